//! Walks what snapshots need, and puts into new packs what no usable copy is left of.
//!
//! Memory: the children of one blob a level, and a name of each node that could not be read.

use super::outcome::{RepairOutcome, Way};
use super::search::Search;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ops::open::Store;
use crate::ops::walk::Step;
use crate::progress::{Progress, Unit};
use crate::store::StoreError;
use crate::store::gc::{Lacking, View};
use crate::store::heal::HealedPacks;

/// Blobs asked for at once.
const BLOBS_AT_ONCE: u64 = 1000;

/// What has been walked, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Places that lead on and could not be read: what is below is not known.
    pub unread: Vec<Step>,
}

impl Walked {
    /// Tells `view` all that a snapshot needs, as far as it can be told.
    pub fn snapshot(
        &mut self,
        manifest: &Manifest,
        view: &View,
        search: &Search,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let mut roots = vec![Step::Schema(manifest.schema)];
        let tables = manifest.all_tables().chain(&manifest.pages);
        roots.extend(tables.filter_map(Step::root));
        for root in roots {
            let (kind, id) = root.blob();
            if view.need(kind, &id)? {
                self.below(root, view, search, progress)?;
            }
        }
        Ok(())
    }

    /// Tries again what could not be read.
    pub fn again(
        &mut self,
        view: &View,
        search: &Search,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        for step in std::mem::take(&mut self.unread) {
            self.below(step, view, search, progress)?;
        }
        Ok(())
    }

    fn below(
        &mut self,
        top: Step,
        view: &View,
        search: &Search,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let mut open = vec![top];
        while let Some(step) = open.pop() {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            progress.advance(1);
            if !step.leads_on() {
                continue;
            }
            let (kind, id) = step.blob();
            let Some((canonical, _)) = search.find(kind, &id)? else {
                self.unread.push(step);
                continue;
            };
            for child in step.below(canonical).map_err(StoreError::from)? {
                let (kind, id) = child.blob();
                if view.need(kind, &id)? {
                    open.push(child);
                }
            }
        }
        Ok(())
    }
}

/// Puts healed blobs, unless it is only a plan.
pub(super) struct Healer<'s> {
    packs: Option<HealedPacks<'s>>,
}

impl<'s> Healer<'s> {
    pub fn new(store: &'s Store, dry_run: bool) -> Result<Self, Error> {
        let packs = match dry_run {
            true => None,
            false => Some(store.healed_packs()?),
        };
        Ok(Self { packs })
    }

    /// Heals all that `view` lacks and that can be had. Returns how many blobs still lack.
    pub fn all(
        &mut self,
        view: &View,
        search: &Search,
        outcome: &mut RepairOutcome,
        progress: &mut dyn Progress,
    ) -> Result<u64, Error> {
        progress.phase("Healing", 0, Unit::Blobs);
        // First what is nowhere: a delta whose base is healed may do without a copy of its own.
        self.pass(view, search, true, outcome, progress)?;
        view.settle()?;
        let left = self.pass(view, search, false, outcome, progress)?;
        if let Some(packs) = &mut self.packs {
            outcome.new_packs = packs.settle()?;
        }
        Ok(left)
    }

    fn pass(
        &mut self,
        view: &View,
        search: &Search,
        unlisted: bool,
        outcome: &mut RepairOutcome,
        progress: &mut dyn Progress,
    ) -> Result<u64, Error> {
        let (mut last, mut left): (Option<Lacking>, u64) = (None, 0);
        loop {
            let lacking = view.lacking(last.as_ref(), BLOBS_AT_ONCE, unlisted)?;
            for blob in &lacking {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                progress.advance(1);
                match search.find(blob.kind, &blob.id)? {
                    Some((canonical, way)) => self.one(view, blob, &canonical, way, outcome)?,
                    None => left += 1,
                }
            }
            match lacking.into_iter().last() {
                Some(blob) => last = Some(blob),
                None => return Ok(left),
            }
        }
    }

    fn one(
        &mut self,
        view: &View,
        blob: &Lacking,
        canonical: &[u8],
        way: Way,
        outcome: &mut RepairOutcome,
    ) -> Result<(), Error> {
        if let Some(packs) = &mut self.packs {
            packs.put(blob.kind, blob.id, canonical)?;
        }
        view.set_had(blob)?;
        let healed = outcome.healed.entry(way).or_default();
        healed.blobs += 1;
        healed.bytes = healed.bytes.saturating_add(canonical.len() as u64);
        Ok(())
    }
}
