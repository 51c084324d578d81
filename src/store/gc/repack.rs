//! Copies what is kept of partly dead packs, and of small ones, into new packs, before the old ones are
//! condemned (G2). Every blob is read, checked by its id, and decoded again from its new place.

use std::collections::BTreeSet;

use super::{CleanUp, View};
use crate::env::random_16;
use crate::format::blob::BlobSource;
use crate::format::name;
use crate::model::id::PackId;
use crate::store::census::KeptCopy;
use crate::store::error::StoreError;
use crate::store::pack_builder::PackBuilder;
use crate::store::rules::Rule;
use crate::store::{parity, redundancy};

/// Copies asked for at once.
const COPIES_AT_ONCE: u64 = 1000;

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repacked {
    /// New packs.
    pub packs: u64,
    /// Their bytes, without parity.
    pub bytes: u64,
    /// True if it was asked to stop before all was copied: then the old packs must stay.
    pub stopped: bool,
}

impl CleanUp<'_> {
    /// Copies what `view` keeps of these packs into new ones, durably. `go_on` is told of stored bytes
    /// that were copied, and says whether to go on.
    pub fn repack(
        &mut self,
        view: &View,
        packs: &BTreeSet<PackId>,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<Repacked, StoreError> {
        let mut done = Repacked::default();
        view.census
            .choose(&packs.iter().copied().collect::<Vec<_>>())?;
        let mut builder = PackBuilder::new(self.store.hash, self.store.compression)?;
        let mut last: Option<KeptCopy> = None;
        loop {
            let copies = view.census.kept_copies(last.as_ref(), COPIES_AT_ONCE)?;
            for copy in &copies {
                if !go_on(copy.stored_bytes) {
                    done.stopped = true;
                    return Ok(done);
                }
                self.begin(&mut builder);
                copy_blob(view, copy, &mut builder)?;
                if builder.is_full() {
                    self.publish(&mut builder, &mut done)?;
                }
            }
            match copies.into_iter().last() {
                Some(copy) => last = Some(copy),
                None => break,
            }
        }
        self.publish(&mut builder, &mut done)?;
        self.barrier()?;
        Ok(done)
    }

    fn begin(&self, builder: &mut PackBuilder) {
        let unique = self.store.rules.hold(Rule::UniqueNames);
        builder.begin(|| match unique {
            true => random_16(&*self.store.env),
            false => [0; 16],
        });
    }

    fn publish(
        &mut self,
        builder: &mut PackBuilder,
        done: &mut Repacked,
    ) -> Result<(), StoreError> {
        let Some(pack) = builder.finish()? else {
            return Ok(());
        };
        done.packs += 1;
        done.bytes += pack.bytes.len() as u64;
        if self.store.rules.hold(Rule::RepackPublished) {
            let backend = &*self.store.backend;
            backend.put_new(&name::pack(&pack.id), &pack.bytes)?;
            let redundancy = redundancy::read_or_default(backend, self.store.hash)?;
            parity::put_beside_pack(backend, &redundancy, &pack.id, &pack.bytes)?;
        } else {
            self.unpublished.push(pack);
        }
        Ok(())
    }
}

/// Puts one blob into the pack that is being filled: as the delta that it is, or whole.
fn copy_blob(view: &View, copy: &KeptCopy, builder: &mut PackBuilder) -> Result<(), StoreError> {
    let canonical = view.get(copy.kind, &copy.id)?;
    if copy.depth > 0
        && let Some(patch) = view.reader.patch(copy.kind, &copy.id, &copy.bases)?
    {
        return builder.push_delta(
            copy.kind,
            copy.id,
            &canonical,
            &copy.bases,
            copy.depth,
            &patch,
        );
    }
    builder.push(copy.kind, copy.id, &canonical)
}
