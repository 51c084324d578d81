//! A pack whose table of contents is damaged is searched frame by frame: what is whole in it is had back.

use std::collections::BTreeSet;

use larder::backend::Backend;
use larder::format::footer::{TRAILER_BYTES, Trailer};
use larder::format::name;
use larder::model::id::PackId;
use larder::ops::parity::RedundancyLevel;
use larder::ops::repair::Way;

use super::{Case, blobs, change, flip};
use crate::shelf::footer_of;

/// What is done to a pack.
type Cut = fn(&mut Vec<u8>);

/// Ways to damage the end of a pack, and nothing else of it.
const HARMS: [(&str, Cut); 4] = [
    ("a bit of the digest", |bytes| {
        let at = bytes.len() - 20;
        bytes[at] ^= 4;
    }),
    ("the footer", |bytes| {
        let at = bytes.len() - TRAILER_BYTES - 3;
        bytes[at] ^= 4;
    }),
    ("no trailer", |bytes| {
        bytes.truncate(bytes.len() - TRAILER_BYTES);
    }),
    ("no footer", |bytes| {
        let end = bytes.len() - TRAILER_BYTES;
        let trailer = Trailer::decode(&bytes[end..]).unwrap();
        bytes.truncate(end - trailer.stored_bytes as usize);
    }),
];

#[test]
fn what_lies_in_packs_without_a_table_of_contents_is_had_back() {
    let case = Case::small(RedundancyLevel::None);
    let packs = case.packs();
    let sets: Vec<&[PackId]> = packs.chunks(1).chain([&packs[..]]).collect();
    for packs in sets {
        for (what, harm) in HARMS {
            let what = format!("{what} of {packs:?}");
            let backend = case.copy();
            for pack in packs {
                change(&*backend, &name::pack(pack), harm);
            }
            let mut store = case.sandbox.open(backend.clone());
            let outcome = case.repair(&store);
            assert!(!outcome.is_lost(), "{what}: {:?}", outcome.lost);
            assert_eq!(outcome.damaged.len(), packs.len(), "{what}");
            assert!(outcome.damaged.iter().all(|pack| pack.removed), "{what}");
            assert!(blobs(&outcome, &Way::Copy) > 0, "{what}");
            case.assert_all(&mut store, &what);
            case.assert_done(&backend, &[], &what);
        }
    }
}

/// A frame that is damaged takes what is in it, and what stands on that; the rest is found behind it.
#[test]
fn a_damaged_frame_costs_no_more_where_the_table_of_contents_is_damaged_too() {
    let case = Case::small(RedundancyLevel::None);
    let (mut cases, mut with_loss) = (0, 0);
    for pack in case.packs() {
        let object = name::pack(&pack);
        let whole = case.backend.get(&object, u64::MAX).unwrap();
        for frame in footer_of(&whole).frames {
            let begin = usize::try_from(frame.offset).unwrap();
            let middle = begin + frame.stored_bytes as usize / 2;
            // Its first bytes too: then it is not seen at all.
            for at in [begin, middle] {
                let lost = |footer: bool| {
                    let backend = case.copy();
                    flip(&*backend, &object, at..at + 1);
                    if footer {
                        change(&*backend, &object, HARMS[0].1);
                    }
                    let store = case.sandbox.open(backend.clone());
                    let outcome = case.repair(&store);
                    let lost = outcome.lost.into_iter().filter_map(|damage| damage.blob);
                    // Of a base that no footer names only the first half of its id is known.
                    let half = |(kind, id): (&'static str, String)| (kind, id[..32].to_owned());
                    lost.map(half).collect::<BTreeSet<_>>()
                };
                let (with_footer, without) = (lost(false), lost(true));
                assert_eq!(with_footer, without, "{object}, byte {at}");
                cases += 1;
                with_loss += usize::from(!without.is_empty());
            }
        }
    }
    println!("{cases} cases, {with_loss} with losses");
    assert!(with_loss > 3);
}
