//! Seeds get to where they should: a body that turned all of them away would find nothing.

use super::*;
use crate::format::blob::BlobKind;

#[test]
fn every_seed_of_a_delta_is_applied() {
    let kinds = [
        ("delta_leaf", BlobKind::Leaf, deltas::leaf_bases()),
        ("delta_node", BlobKind::Node, deltas::node_bases()),
        ("delta_bytes", BlobKind::Chunk, deltas::byte_bases()),
    ];
    for (target, kind, bases) in kinds {
        for (at, seed) in seeds(target).iter().enumerate() {
            let applied = deltas::chain(kind, bases, seed).is_some();
            assert!(applied, "seed {at} of {target}");
        }
    }
}

#[test]
fn seeds_of_exports_are_taken() {
    type Takes = fn(&[u8]) -> bool;
    let bodies: [(&str, Takes); 3] = [
        ("import_document", imports::takes_document),
        ("import_manifest", imports::takes_manifest),
        ("import_zip", imports::takes_zip),
    ];
    for (target, body) in bodies {
        for (at, seed) in seeds(target).iter().enumerate() {
            assert!(body(seed), "seed {at} of {target}");
        }
    }
}

#[test]
fn seeds_of_sources_come_back() {
    for (at, seed) in seeds("source_database").iter().enumerate() {
        assert!(source::comes_back(seed), "seed {at}");
    }
}

/// Damage is refused, what is whole beside it is exact, and some lies are good enough to be restored.
#[test]
fn seeds_of_stores_come_to_every_end() {
    let whole = stores::try_all(&[stores::RESTORED]);
    assert_eq!((whole.exact, whole.lies, whole.refused), (3, 0, 0));
    let all = seeds("whole_store");
    let tried: Vec<stores::Tried> = all.iter().map(|seed| stores::try_all(seed)).collect();
    let count = |of: fn(&stores::Tried) -> bool| tried.iter().filter(|t| of(t)).count();
    let (lies, refused) = (count(|t| t.lies > 0), count(|t| t.refused > 0));
    let forged = count(|t| t.lies > 0 && t.exact > 0);
    println!(
        "{} seeds: {lies} with lies restored, {forged} of them beside an honest one, {refused} with a refusal",
        all.len()
    );
    assert!(lies > 5 && forged > 5 && refused > 20);
}
