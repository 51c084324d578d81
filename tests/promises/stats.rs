//! What `stats` counts is what is there: every byte of every pack once, and what snapshots and
//! tables reach as a plain walk finds it.

mod deltas;
mod plain;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::error::Error;
use larder::format::blob::BlobKind;
use larder::format::manifest::Manifest;
use larder::format::name;
use larder::ops::open::Store;
use larder::ops::stats::{self, Figures, StatsOptions, StatsOutcome, TableSort};
use larder::progress::{NoProgress, Progress};

use crate::sandbox::{Sandbox, names, snapshots};
use crate::workshop::sql;
use plain::{Key, Standing, Walked, alone, by_table, figures, sizes};

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
}

impl Case {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        let store = sandbox.create(backend.clone());
        Self {
            sandbox,
            backend,
            store,
        }
    }

    fn back_up(&mut self, changes: &str) {
        let database = self.sandbox.path("app.db");
        sql(&database, changes);
        self.sandbox.backup(&mut self.store, &database);
    }

    /// Newest first.
    fn manifests(&self) -> Vec<Manifest> {
        let ids = snapshots(&self.store);
        let manifest = |id| self.store.manifest(id).unwrap().unwrap();
        ids.iter().rev().map(manifest).collect()
    }

    fn stats(&self, snapshot: Option<&Manifest>) -> StatsOutcome {
        let options = StatsOptions {
            snapshot: snapshot.cloned(),
            by_table: true,
        };
        stats::run(
            &self.store,
            &self.sandbox.world(),
            &options,
            &mut NoProgress,
        )
        .unwrap()
    }

    /// Trees of several levels, large values shared by tables and snapshots, tables that are equal,
    /// a table that comes and goes, a state that comes back.
    fn lively() -> Self {
        let mut case = Self::new();
        case.back_up(
            "CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT, total REAL);
             WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
             INSERT INTO orders SELECT i, 'order ' || hex(i * 7919) || printf('%080d', i), i / 4.0 FROM n;
             CREATE TABLE copies AS SELECT * FROM orders WHERE id < 500;
             CREATE TABLE a_copies AS SELECT * FROM orders WHERE id < 500;
             CREATE TABLE keyed(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
             INSERT INTO keyed SELECT note, total FROM orders WHERE id < 900;
             CREATE TABLE photos(id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB);
             INSERT INTO photos(data) SELECT CAST(group_concat(note) AS BLOB) FROM orders WHERE id < 9000;
             INSERT INTO photos(data) SELECT CAST(group_concat(note) AS BLOB) FROM orders WHERE id < 300;
             CREATE TABLE albums AS SELECT data FROM photos;
             CREATE TABLE no_rows(x);",
        );
        case.back_up("UPDATE orders SET total = 0 WHERE id = 20000; DELETE FROM albums;");
        case.back_up("UPDATE orders SET total = 5000 WHERE id = 20000; DROP TABLE copies;");
        case.back_up("DELETE FROM photos WHERE id = 2; DELETE FROM orders WHERE id % 3000 = 7;");
        case.back_up(
            "INSERT INTO albums SELECT data FROM photos; UPDATE keyed SET v = k WHERE v < 9;",
        );
        case.back_up("");
        case
    }

    fn assert_every_byte_is_counted_once(&self, outcome: &StatsOutcome) {
        let packs = &outcome.packs;
        let listed: u64 = self
            .backend
            .list(name::PACKS)
            .unwrap()
            .iter()
            .map(|o| o.bytes)
            .sum();
        assert_eq!(packs.bytes, listed);
        let kinds = outcome.kinds.iter().map(|kind| kind.figures);
        let kinds = kinds.fold(Figures::default(), Figures::plus);
        assert_eq!(
            kinds.stored_bytes + packs.overhead_bytes + packs.unreadable_bytes,
            packs.bytes
        );
        let uses = &outcome.uses;
        let used = [uses.bases, uses.duplicates, uses.garbage];
        assert_eq!(used.into_iter().fold(uses.reached, Figures::plus), kinds);
        assert_eq!(outcome.ratios.store_bytes, self.store.bytes().unwrap());
        let tables = outcome.tables.as_ref().unwrap().iter();
        let tables = tables.fold(Figures::default(), |sum, table| sum.plus(table.all()));
        assert_eq!(
            tables,
            outcome
                .one
                .as_ref()
                .map_or(uses.reached, |one| one.uses.reached)
        );
    }

    /// The whole report against a plain count.
    fn assert_as_plainly_counted(&self) {
        let (outcome, sizes) = (self.stats(None), sizes(&*self.backend));
        self.assert_every_byte_is_counted_once(&outcome);
        assert_eq!(outcome.damage, []);
        assert_eq!(outcome.uses.garbage, Figures::default());
        let reader = self.store.reader().unwrap();
        let standing = Standing::of(&*self.backend);
        let manifests = self.manifests();
        let walks: Vec<Walked> = manifests.iter().map(|m| Walked::of(&reader, m)).collect();
        assert_tables(&outcome, &walks.iter().collect::<Vec<_>>(), &sizes);
        let reached: Vec<BTreeSet<Key>> = walks.iter().map(Walked::blobs).collect();
        let needed: Vec<BTreeSet<Key>> = reached.iter().map(|b| standing.with_bases(b)).collect();
        let distinct: BTreeSet<Key> = reached.iter().flatten().copied().collect();
        assert_eq!(outcome.uses.reached, figures(&sizes, &distinct));
        let bases = standing
            .with_bases(&distinct)
            .difference(&distinct)
            .copied()
            .collect();
        assert_eq!(outcome.uses.bases, figures(&sizes, &bases));
        assert_eq!(outcome.chains, standing.chains(&distinct, &reached[0]));
        assert!(outcome.chains.versions > 0);
        let held: u64 = walks.iter().map(|walk| walk.held_bytes).sum();
        assert_eq!(outcome.ratios.held_bytes, held);
        let is_content = |key: &&Key| matches!(key.0, BlobKind::Leaf | BlobKind::Chunk);
        let contents = figures(
            &sizes,
            &distinct.iter().filter(is_content).copied().collect(),
        );
        let told = (
            outcome.ratios.distinct_bytes,
            outcome.ratios.distinct_stored_bytes,
        );
        assert_eq!(told, (contents.canonical_bytes, contents.stored_bytes));
        assert!(held > contents.canonical_bytes);
        for (at, (manifest, walk)) in manifests.iter().zip(&walks).enumerate() {
            let told = &outcome.snapshots[at];
            assert_eq!(told.snapshot.id, manifest.id.to_string());
            assert_eq!(told.held_bytes, walk.held_bytes);
            let expected = figures(&sizes, &alone(&needed, at));
            assert_eq!(told.alone, expected, "snapshot {at}");
            let one = self.stats(Some(manifest));
            self.assert_every_byte_is_counted_once(&one);
            assert_tables(&one, &[walk], &sizes);
            let uses = one.one.unwrap().uses;
            assert_eq!(uses.reached, figures(&sizes, &reached[at]));
            let bases = needed[at].difference(&reached[at]).copied().collect();
            assert_eq!(uses.bases, figures(&sizes, &bases));
            assert_eq!(uses.alone, told.alone);
            assert_eq!(uses.alone.plus(uses.shared), uses.reached.plus(uses.bases));
        }
    }
}

fn assert_tables(outcome: &StatsOutcome, walks: &[&Walked], sizes: &BTreeMap<Key, (u64, u64)>) {
    let told: BTreeMap<(String, TableSort), Figures> = outcome
        .tables
        .iter()
        .flatten()
        .map(|table| ((table.name.clone(), table.sort), table.all()))
        .collect();
    let expected: BTreeMap<(String, TableSort), Figures> = by_table(walks)
        .into_iter()
        .map(|(name, blobs)| (name, figures(sizes, &blobs)))
        .collect();
    assert_eq!(told, expected);
    let stored = |n: usize| outcome.tables.as_ref().unwrap()[n].all().stored_bytes;
    let count = outcome.tables.as_ref().unwrap().len();
    assert!(
        (1..count).all(|n| stored(n - 1) >= stored(n)),
        "largest first"
    );
}

#[test]
fn every_byte_of_a_pack_is_counted_once_and_snapshots_and_tables_as_a_plain_walk_finds_them() {
    let case = Case::lively();
    let reader = case.store.reader().unwrap();
    let newest = Walked::of(&reader, &case.manifests()[0]).blobs();
    assert!(newest.iter().any(|(kind, _)| *kind == BlobKind::ChunkNode) || newest.len() > 20);
    case.assert_as_plainly_counted();
}

#[test]
fn a_lost_pack_is_damage_with_what_it_affects_and_the_rest_is_counted() {
    let mut case = Case::new();
    case.back_up("CREATE TABLE t(x); INSERT INTO t VALUES(1); CREATE TABLE u AS SELECT 2 AS x;");
    let first = names(&*case.backend, name::PACKS);
    case.back_up("INSERT INTO t VALUES(3)");
    case.backend.delete(&first[0]).unwrap();
    let outcome = case.stats(None);
    case.assert_every_byte_is_counted_once(&outcome);
    assert_eq!(outcome.snapshots.len(), 2);
    assert_eq!(outcome.damaged_blobs as usize, outcome.damage.len());
    let affected = |table: Option<&str>| {
        let all = outcome.damage.iter().flat_map(|damage| &damage.affects);
        let of = |(name, _): &&(Option<String>, Vec<String>)| name.as_deref() == table;
        all.filter(of)
            .map(|(_, snapshots)| snapshots.len())
            .sum::<usize>()
    };
    // The new leaf of `t` is in the second pack; `u` and the schema are in none.
    let shared = (affected(Some("t")), affected(Some("u")), affected(None));
    assert_eq!(shared, (1, 2, 2));
}

#[test]
fn a_pack_whose_footer_is_damaged_is_counted_as_a_whole() {
    let mut case = Case::new();
    case.back_up("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    let pack = &names(&*case.backend, name::PACKS)[0];
    let mut bytes = case.backend.get(pack, u64::MAX).unwrap();
    let end = bytes.len() - 60;
    bytes[end] ^= 1;
    case.backend.delete(pack).unwrap();
    case.backend.put_new(pack, &bytes).unwrap();
    let outcome = case.stats(None);
    case.assert_every_byte_is_counted_once(&outcome);
    assert_eq!(
        (outcome.packs.unreadable, outcome.packs.unreadable_bytes),
        (1, bytes.len() as u64)
    );
    assert!(
        outcome
            .damage
            .iter()
            .any(|damage| damage.object.starts_with("pack "))
    );
    assert!(outcome.damaged_blobs >= 2);
}

/// Says yes after so many questions.
struct StopAfter(Cell<u32>);

impl Progress for StopAfter {
    fn cancelled(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn it_stops_when_asked_to() {
    let mut case = Case::new();
    case.back_up("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    let options = StatsOptions::default();
    let mut stopped = 0;
    for after in 1..100 {
        let mut progress = StopAfter(Cell::new(after));
        match stats::run(&case.store, &case.sandbox.world(), &options, &mut progress) {
            Err(Error::Cancelled) => stopped += 1,
            done => {
                done.unwrap();
                break;
            }
        }
    }
    // At a pack, in a tree, at a snapshot.
    assert!(stopped >= 3, "{stopped}");
}

#[test]
fn an_empty_store_has_no_ratios() {
    let case = Case::new();
    let outcome = case.stats(None);
    case.assert_every_byte_is_counted_once(&outcome);
    assert_eq!(outcome.ratios.distinct_bytes, 0);
    assert_eq!(outcome.snapshots, []);
    assert_eq!(outcome.objects.protocol.0, 1);
}
