//! Which blobs count as known: the least fixpoint of "usable", store-format.md, "Usable". No writer
//! makes such packs, so they are made by hand.

use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::format::blob::{BlobErrorKind, BlobKind, BlobSink, BlobSource, Encoding};
use larder::format::frame::{self, ObjectKind};
use larder::format::protocol::GcRecord;
use larder::format::{delta, name};
use larder::model::id::{BlobId, GcId, PackId};
use larder::ops::open::Store;

use crate::forged_pack::{ForgedItem, ForgedPack};
use crate::sandbox::Sandbox;

const KIND: BlobKind = BlobKind::Chunk;

/// One copy of a blob: its content, and the base if it is a delta.
#[derive(Clone, Copy)]
struct Copy {
    content: u32,
    base: Option<u32>,
}

fn canonical(content: u32) -> Vec<u8> {
    format!("content {content}").into_bytes()
}

fn id(content: u32) -> BlobId {
    StoreHash::unkeyed().blob_id(KIND as u8, &canonical(content))
}

fn whole(content: u32) -> Copy {
    Copy {
        content,
        base: None,
    }
}

fn delta_of(content: u32, base: u32) -> Copy {
    Copy {
        content,
        base: Some(base),
    }
}

/// Puts a pack of these copies, one frame each.
fn put_pack(backend: &dyn Backend, random: u8, copies: &[Copy]) -> PackId {
    let items = copies.iter().map(|copy| {
        let content = canonical(copy.content);
        let base = copy.base.map(|base| {
            let mut prefix = [0; 16];
            prefix.copy_from_slice(&id(base).0[..16]);
            prefix
        });
        ForgedItem {
            id: id(copy.content),
            kind: KIND,
            encoding: base.map_or(Encoding::Plain, |_| Encoding::Delta),
            base,
            canonical_bytes: content.len() as u32,
            encoded: match copy.base {
                None => content,
                Some(base) => delta::encode_bytes(&canonical(base), &content, 3).unwrap(),
            },
        }
    });
    ForgedPack::of(random, items).put(backend)
}

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
}

fn case(packs: &[&[Copy]]) -> (Case, Vec<PackId>) {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let store = sandbox.create(backend.clone());
    let numbered = packs.iter().zip(1..);
    let ids = numbered
        .map(|(copies, n)| put_pack(&*backend, n, copies))
        .collect();
    let case = Case {
        sandbox,
        backend,
        store,
    };
    (case, ids)
}

impl Case {
    fn usable(&self, content: u32) -> bool {
        let reader = self.store.reader().unwrap();
        reader.usable(KIND, &id(content)).unwrap()
    }

    /// Whether a writer stores the blob again.
    fn stored_again(&self, content: u32) -> bool {
        let mut writer = self.store.writer(0).unwrap();
        writer.put(KIND, &canonical(content)).unwrap();
        let bytes = writer.flush().unwrap();
        writer.abandon().unwrap();
        bytes > 0
    }
}

#[test]
fn two_deltas_that_are_each_others_base_are_not_usable_and_stored_again() {
    let (case, _) = case(&[&[delta_of(1, 2)], &[delta_of(2, 1)]]);
    assert!(!case.usable(1) && !case.usable(2));
    assert!(case.stored_again(1));
    // One whole copy makes both usable: the cycle does not stand in the way.
    assert!(case.usable(1) && case.usable(2));
    let reader = case.store.reader().unwrap();
    for content in [1, 2] {
        assert_eq!(reader.get(KIND, &id(content)).unwrap(), canonical(content));
    }
    assert!(!case.stored_again(2));
}

#[test]
fn longer_circles_and_a_delta_on_itself_are_not_usable() {
    let (case, _) = case(&[
        &[delta_of(1, 2), delta_of(2, 3), delta_of(3, 1)],
        &[delta_of(4, 4)],
        &[delta_of(5, 1)],
    ]);
    for content in 1..=5 {
        assert!(!case.usable(content), "{content}");
    }
    assert!(case.stored_again(1));
    for content in [2, 3, 5] {
        assert!(case.usable(content), "{content}");
    }
    assert!(!case.usable(4) && case.stored_again(4));
}

#[test]
fn a_delta_over_a_whole_base_is_usable_also_through_others() {
    let (case, _) = case(&[&[whole(1)], &[delta_of(2, 1), delta_of(3, 2)]]);
    for content in 1..=3 {
        assert!(case.usable(content), "{content}");
        assert!(!case.stored_again(content), "{content}");
    }
    assert!(!case.usable(4));
    let reader = case.store.reader().unwrap();
    for content in 1..=3 {
        assert_eq!(reader.get(KIND, &id(content)).unwrap(), canonical(content));
    }
}

#[test]
fn a_delta_is_as_usable_as_its_base() {
    type Loss = fn(&Case, PackId);
    let condemn: Loss = |case, pack| {
        let record = GcRecord::of(GcId([1; 16]), vec![pack]);
        let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Gc, &record).unwrap();
        let name = name::gc(&GcId([1; 16]));
        case.backend.put_new(&name, &bytes).unwrap();
    };
    let mark: Loss = |case, pack| {
        let name = format!("damaged/{pack}");
        case.backend.put_new(&name, b"").unwrap();
    };
    let remove: Loss = |case, pack| case.backend.delete(&name::pack(&pack)).unwrap();
    for lose in [condemn, mark, remove] {
        // A second whole copy of the base elsewhere keeps the delta usable.
        let twice: [&[Copy]; 3] = [&[whole(1)], &[delta_of(2, 1)], &[whole(1)]];
        let (with_twin, packs) = case(&twice);
        lose(&with_twin, packs[0]);
        assert!(with_twin.usable(1) && with_twin.usable(2));
        let reader = with_twin.store.reader().unwrap();
        assert_eq!(reader.get(KIND, &id(2)).unwrap(), canonical(2));
        let (alone, packs) = case(&twice[..2]);
        lose(&alone, packs[0]);
        assert!(!alone.usable(1) && !alone.usable(2));
        assert!(alone.stored_again(2));
        drop(alone.sandbox);
    }
}

#[test]
fn a_chain_is_followed_to_its_bound_and_no_further() {
    let depth = u32::from(delta::DELTA_DEPTH_MAX);
    let mut copies = vec![whole(0)];
    copies.extend((1..=depth + 1).map(|n| delta_of(n, n - 1)));
    let (case, _) = case(&[&copies]);
    assert!(case.usable(depth));
    assert!(!case.usable(depth + 1));
    let reader = case.store.reader().unwrap();
    assert_eq!(reader.get(KIND, &id(depth)).unwrap(), canonical(depth));
    let error = reader.get(KIND, &id(depth + 1)).unwrap_err();
    assert_eq!(error.why, BlobErrorKind::Missing, "{error}");
    assert!(case.stored_again(depth + 1));
}
