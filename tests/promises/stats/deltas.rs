//! Deltas in what `stats` counts: their bases are needed, and what lacks one is damage.

use std::collections::BTreeSet;

use larder::backend::Backend;
use larder::format::blob::{BlobKind, BlobSource, Encoding};
use larder::format::delta::DELTA_DEPTH_MAX;
use larder::format::footer::base_prefix;
use larder::format::name;
use larder::model::id::BlobId;
use larder::ops::stats::StatsOutcome;

use super::Case;
use super::plain::{Key, Standing, Walked, alone, footers};
use crate::forged_pack::{ForgedItem, ForgedPack};
use crate::sandbox::names;

/// The store written again with leaves as deltas, each against the one before it; `base` of the
/// first is a blob that no snapshot reaches, and that may be missing. Packs of garbage and
/// duplicates beside them.
fn with_deltas(case: &Case, has_base: bool) -> (BlobId, Vec<BlobId>) {
    let reader = case.store.reader().unwrap();
    let old = names(&*case.backend, name::PACKS);
    let base = ForgedItem::plain(BlobKind::Leaf, b"an old leaf");
    let mut last = base.id;
    let (mut leaves, mut items) = (Vec::new(), Vec::new());
    items.extend(has_base.then(|| base.clone()));
    for (footer, _) in footers(&*case.backend) {
        for blob in &footer.blobs {
            let canonical = reader.get(blob.kind, &blob.id).unwrap();
            let mut item = ForgedItem::plain(blob.kind, &canonical);
            if blob.kind == BlobKind::Leaf && leaves.len() < 5 {
                item.encoding = Encoding::Delta;
                item.base = Some(last.0[..16].try_into().unwrap());
                item.encoded = b"a delta".to_vec();
                (last, leaves) = (blob.id, [leaves, vec![blob.id]].concat());
            }
            items.push(item);
        }
    }
    let copy = items.last().unwrap().clone();
    ForgedPack::of(1, items).put(&*case.backend);
    let garbage = ForgedItem::plain(BlobKind::Chunk, b"nobody needs this");
    ForgedPack::of(2, [garbage]).put(&*case.backend);
    ForgedPack::of(3, [copy]).put(&*case.backend);
    for pack in old {
        case.backend.delete(&pack).unwrap();
    }
    (base.id, leaves)
}

#[test]
fn deltas_keep_their_bases_and_are_counted_apart() {
    let mut case = Case::new();
    for n in 0..6 {
        case.back_up(&format!(
            "CREATE TABLE IF NOT EXISTS t(x); CREATE TABLE IF NOT EXISTS u(x);
             INSERT INTO t VALUES({n}); INSERT INTO u VALUES({n} / 2);"
        ));
    }
    let (base, leaves) = with_deltas(&case, true);
    let outcome = case.stats(None);
    case.assert_every_byte_is_counted_once(&outcome);
    assert_eq!(outcome.damage, []);
    let deltas = outcome.kinds.iter().find(|kind| kind.delta).unwrap();
    assert_eq!((deltas.kind, deltas.figures.blobs), (BlobKind::Leaf, 5));
    assert_eq!(outcome.uses.bases.blobs, 1);
    assert_eq!(
        (outcome.uses.duplicates.blobs, outcome.uses.garbage.blobs),
        (1, 1)
    );
    // The pack of a duplicate is garbage too, unless that copy is the one that counts.
    assert!((1..=2).contains(&outcome.packs.garbage));
    let chains = &outcome.chains;
    assert_eq!(
        (chains.bases, chains.versions, chains.versions_max),
        (1, 5, 5)
    );
    assert_eq!(chains.depth_max, 5);

    // A plain count: what a snapshot reaches, and the chain below each delta of it.
    let reader = case.store.reader().unwrap();
    let manifests = case.manifests();
    let need: Vec<BTreeSet<Key>> = manifests
        .iter()
        .map(|manifest| {
            let mut need = Walked::of(&reader, manifest).blobs();
            let deepest = leaves
                .iter()
                .rposition(|id| need.contains(&(BlobKind::Leaf, *id)));
            let chain = deepest.map_or(&[][..], |at| &leaves[..at]).iter();
            need.extend(chain.map(|id| (BlobKind::Leaf, *id)));
            need.extend(deepest.map(|_| (BlobKind::Leaf, base)));
            need
        })
        .collect();
    for (at, manifest) in manifests.iter().enumerate() {
        let one = case.stats(Some(manifest)).one.unwrap();
        let uses = one.uses;
        assert_eq!(uses.reached.plus(uses.bases).blobs, need[at].len() as u64);
        assert_eq!(
            uses.alone.blobs,
            alone(&need, at).len() as u64,
            "snapshot {at}"
        );
        assert_eq!(uses.alone, outcome.snapshots[at].alone);
        assert_eq!(uses.alone.plus(uses.shared), uses.reached.plus(uses.bases));
    }
}

#[test]
fn deltas_that_stand_on_nothing_are_damage() {
    let mut case = Case::new();
    case.back_up("CREATE TABLE t(x); INSERT INTO t VALUES(1); CREATE TABLE u AS SELECT 2 AS x");
    let (_, leaves) = with_deltas(&case, false);
    let outcome = case.stats(None);
    case.assert_every_byte_is_counted_once(&outcome);
    assert_eq!(outcome.damaged_blobs as usize, leaves.len());
    let tables: BTreeSet<_> = outcome
        .damage
        .iter()
        .flat_map(|damage| &damage.affects)
        .collect();
    assert_eq!(tables.len(), 2);
    assert_eq!(outcome.chains.versions, 0);
}

#[test]
fn leaves_that_were_merged_stand_on_several() {
    let mut case = Case::new();
    for (table, order) in [("t", ""), ("keyed", "WITHOUT ROWID")] {
        case.back_up(&format!(
            "CREATE TABLE {table}(id INTEGER PRIMARY KEY, note TEXT, total REAL) {order};
             WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
             INSERT INTO {table} SELECT i, 'note ' || hex(i * 7919) || printf('%040d', i), i / 4.0 FROM n;"
        ));
    }
    // Whatever row ends a leaf: some of these do.
    let mut days = 0;
    while Standing::of(&*case.backend).most_bases() < 2 || days < 8 {
        days += 1;
        assert!(days < 60, "no leaves were merged");
        let at = days * 330;
        case.back_up(&format!(
            "DELETE FROM t WHERE id BETWEEN {at} AND {at} + 60;
             DELETE FROM keyed WHERE id BETWEEN {at} AND {at} + 60;
             UPDATE t SET total = {at} WHERE id % 5000 = {days};"
        ));
    }
    assert!(Standing::of(&*case.backend).most_bases() >= 2);
    case.assert_as_plainly_counted();
    let outcome = case.stats(None);
    let deltas = outcome.kinds.iter().filter(|kind| kind.delta);
    let deltas: u64 = deltas.map(|kind| kind.figures.blobs).sum();
    assert!(outcome.chains.versions > deltas, "some count on two");
}

/// A forged leaf: its content, and the contents of its bases.
type Forged<'a> = (&'a str, &'a [&'a str]);

/// The leaf that the snapshot of a forged store reaches.
const REACHED: &str = "reached";

/// A store with one leaf: `copies` of it, each with its bases, then `others`, a pack each.
fn forged(copies: &[&[&str]], others: &[Forged<'_>]) -> (Case, BlobId) {
    let mut case = Case::new();
    case.back_up("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    let reader = case.store.reader().unwrap();
    let old = names(&*case.backend, name::PACKS);
    let mut items = Vec::new();
    for (footer, _) in footers(&*case.backend) {
        for blob in &footer.blobs {
            let canonical = reader.get(blob.kind, &blob.id).unwrap();
            items.push(ForgedItem::plain(blob.kind, &canonical));
        }
    }
    let at = items.iter().position(|item| item.kind == BlobKind::Leaf);
    let reached = items.remove(at.unwrap());
    ForgedPack::of(0, items).put(&*case.backend);
    let leaf = |content: &str| match content {
        REACHED => reached.clone(),
        content => ForgedItem::plain(BlobKind::Leaf, content.as_bytes()),
    };
    let copies = copies.iter().map(|bases| (REACHED, *bases));
    for (random, (content, bases)) in copies.chain(others.iter().copied()).enumerate() {
        let mut item = leaf(content);
        let prefix = |base: &&str| base_prefix(&leaf(base).id);
        item.base = bases.first().map(prefix);
        if item.base.is_some() {
            item.encoding = Encoding::Delta;
        }
        let mut pack = ForgedPack::of(random as u8 + 1, [item]);
        pack.footer.blobs[0].bases = bases.iter().map(prefix).collect();
        pack.put(&*case.backend);
    }
    for pack in old {
        case.backend.delete(&pack).unwrap();
    }
    (case, reached.id)
}

/// Counts a forged store: the report, whether the leaf is damaged, and how many are.
fn count(copies: &[&[&str]], others: &[Forged<'_>]) -> (StatsOutcome, bool, u64) {
    let (case, id) = forged(copies, others);
    let outcome = case.stats(None);
    case.assert_every_byte_is_counted_once(&outcome);
    let one = case.stats(Some(&case.manifests()[0])).one.unwrap();
    assert_eq!(one.uses.bases, outcome.uses.bases);
    assert_eq!(one.uses.alone, outcome.snapshots[0].alone);
    let mut affects = outcome.damage.iter().map(|damage| damage.affects.len());
    assert!(affects.all(|tables| tables == 1), "{:?}", outcome.damage);
    let object = format!("leaf {id}");
    let damaged = outcome.damage.iter().any(|damage| damage.object == object);
    let all = outcome.damaged_blobs;
    (outcome, damaged, all)
}

/// Whole blobs, deltas on them, the most on one, the greatest depth.
fn chains(outcome: &StatsOutcome) -> [u64; 4] {
    let chains = &outcome.chains;
    let (bases, versions) = (chains.bases, chains.versions);
    [bases, versions, chains.versions_max, chains.depth_max]
}

#[test]
fn a_delta_needs_all_of_its_bases() {
    let (a, b): (Forged<'_>, Forged<'_>) = (("a", &[]), ("b", &[]));
    let (outcome, damaged, _) = count(&[&["a", "b"]], &[a, b]);
    assert!(!damaged);
    assert_eq!(chains(&outcome), [2, 2, 1, 1], "on each of two");
    assert_eq!(outcome.uses.bases.blobs, 2);

    let (outcome, damaged, all) = count(&[&["a", "b"]], &[a]);
    assert_eq!((damaged, all), (true, 1), "one is missing");
    assert_eq!(chains(&outcome), [0; 4]);
    assert_eq!(outcome.uses.bases.blobs, 1, "the other is still needed");

    let longer: [Forged<'_>; 3] = [a, ("b", &["c", "a"]), ("c", &["a", "a"])];
    let (outcome, damaged, _) = count(&[&["a", "b"]], &longer);
    assert!(!damaged);
    assert_eq!(chains(&outcome), [1, 3, 3, 3], "the longest way, each once");

    let (outcome, damaged, all) = count(&[&["a", "b"]], &[a, ("b", &[REACHED])]);
    assert_eq!((damaged, all), (true, 2), "a circle");
    assert_eq!(outcome.uses.bases.blobs, 2);
}

#[test]
fn where_a_delta_lacks_a_base_another_copy_counts() {
    let (a, b): (Forged<'_>, Forged<'_>) = (("a", &[]), ("b", &[]));
    let good: &[&str] = &["a", "b"];
    for copies in [[good, &["a", "c"]], [&["c", "a"], good]] {
        let (outcome, damaged, _) = count(&copies, &[a, b]);
        assert!(!damaged);
        assert_eq!(chains(&outcome), [2, 2, 1, 1]);
        assert_eq!(outcome.uses.bases.blobs, 2);
        assert_eq!(outcome.uses.duplicates.blobs, 1);
    }
    // What stands on such a copy can be had too.
    let others: [Forged<'_>; 4] = [a, b, ("d", &["c"]), ("d", &["b", "a"])];
    let (outcome, damaged, _) = count(&[&["d", "b"]], &others);
    assert!(!damaged);
    assert_eq!(chains(&outcome), [2, 4, 2, 2]);
}

#[test]
fn deltas_that_no_reader_follows_are_damage() {
    let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let one: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    for deltas in [31, 32, 33, 34] {
        let leaves: Vec<Forged<'_>> = (0..deltas)
            .map(|n: usize| (one[n][0], n.checked_sub(1).map_or(&[][..], |n| &one[n])))
            .collect();
        let (outcome, damaged, _) = count(&[&one[deltas - 1]], &leaves);
        assert_eq!(damaged, deltas > usize::from(DELTA_DEPTH_MAX), "{deltas}");
        if !damaged {
            let deltas = deltas as u64;
            assert_eq!(chains(&outcome), [1, deltas, deltas, deltas]);
        }
    }
    // Each on the two before it: what is read to have one grows as Fibonacci's numbers do.
    let two: Vec<[&str; 2]> = one.windows(2).map(|two| [two[1][0], two[0][0]]).collect();
    for (leaves, readable) in [(11, true), (28, false)] {
        let all: Vec<Forged<'_>> = (0..leaves)
            .map(|n: usize| (one[n][0], n.checked_sub(2).map_or(&[][..], |n| &two[n])))
            .collect();
        let (outcome, damaged, _) = count(&[&two[leaves - 2]], &all);
        assert_eq!(damaged, !readable);
        if readable {
            // The second stands on the first two, so all of them do.
            assert_eq!(chains(&outcome), [2, 20, 10, 10]);
        }
    }
}
