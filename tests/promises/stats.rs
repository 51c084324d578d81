//! What `stats` counts is what is there: every byte of every pack once, and what snapshots and
//! tables reach as a plain walk finds it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::error::Error;
use larder::format::blob::{BlobKind, BlobSource, Encoding};
use larder::format::footer::{Footer, TRAILER_BYTES, Trailer};
use larder::format::leaf::Leaf;
use larder::format::manifest::{Entity, Manifest};
use larder::format::name;
use larder::model::id::BlobId;
use larder::ops::open::Store;
use larder::ops::stats::{self, Figures, StatsOptions, StatsOutcome, TableSort};
use larder::progress::{NoProgress, Progress};
use larder::store::StoreReader;
use larder::tree::Root;
use larder::tree::cursor::Place;
use larder::tree::large;

use crate::forged_pack::{ForgedItem, ForgedPack};
use crate::sandbox::{Sandbox, names, snapshots};
use crate::workshop::sql;

type Key = (BlobKind, BlobId);

/// Canonical bytes and encoding of every copy, read from the packs without the library's index.
fn footers(backend: &dyn Backend) -> Vec<(Footer, u64)> {
    let read = |pack: String| {
        let bytes = backend.get(&pack, u64::MAX).unwrap();
        let at = bytes.len() - TRAILER_BYTES;
        let trailer = Trailer::decode(&bytes[at..]).unwrap();
        let from = at - trailer.stored_bytes as usize;
        let hash = StoreHash::unkeyed();
        let length = bytes.len() as u64;
        (
            Footer::decode(hash, &trailer, &bytes[from..at], length).unwrap(),
            length,
        )
    };
    names(backend, name::PACKS).into_iter().map(read).collect()
}

/// What blobs take: canonical bytes, and the share of their frame. For stores without duplicates.
fn sizes(backend: &dyn Backend) -> BTreeMap<Key, (u64, u64)> {
    let mut sizes = BTreeMap::new();
    for (footer, _) in footers(backend) {
        for (at, frame) in footer.frames.iter().enumerate() {
            let blobs = footer.blobs.iter().filter(|blob| blob.frame as usize == at);
            let sum: u64 = blobs.clone().map(|b| u64::from(b.encoded_bytes)).sum();
            let mut before = 0;
            for blob in blobs {
                let upto = |n: u64| u64::from(frame.stored_bytes) * n / sum;
                let after = before + u64::from(blob.encoded_bytes);
                let size = (u64::from(blob.canonical_bytes), upto(after) - upto(before));
                let known = sizes.insert((blob.kind, blob.id), size);
                assert_eq!(known, None, "a duplicate");
                before = after;
            }
        }
    }
    sizes
}

fn figures(sizes: &BTreeMap<Key, (u64, u64)>, keys: &BTreeSet<Key>) -> Figures {
    keys.iter().filter_map(|key| sizes.get(key)).fold(
        Figures::default(),
        |sum, (canonical_bytes, stored_bytes)| {
            sum.plus(Figures {
                blobs: 1,
                canonical_bytes: *canonical_bytes,
                stored_bytes: *stored_bytes,
            })
        },
    )
}

fn table_blobs(reader: &StoreReader, entity: &Entity, found: &mut BTreeSet<Key>) -> u64 {
    let Some(root) = entity.root else {
        return 0;
    };
    let root = Root {
        id: root.id,
        level: root.level,
        rows: entity.records,
        bytes: entity.bytes,
        has_refs: root.has_refs,
        first_rowid: root.first_rowid,
    };
    let (mut open, mut large_bytes) = (vec![Place::root(&root)], 0);
    while let Some(place) = open.pop() {
        found.insert((place.kind(), place.id));
        if place.level > 0 {
            open.extend(place.children(reader).unwrap());
            continue;
        }
        // Forged leaves are unreadable deltas; they hold no large values.
        let Ok(leaf) = reader.get(BlobKind::Leaf, &place.id) else {
            continue;
        };
        for value in Leaf::parse(leaf).unwrap().spilled() {
            large_bytes += value.bytes;
            let mut enter = |kind, piece: &larder::format::chunk::Piece| {
                found.insert((kind, piece.id));
                Ok(true)
            };
            large::walk(reader, &value, &mut enter, &mut |_| Ok(())).unwrap();
        }
    }
    large_bytes
}

/// What a plain walk of a snapshot finds: blobs by table, and what it holds in full.
struct Walked {
    tables: BTreeMap<(String, TableSort), BTreeSet<Key>>,
    held_bytes: u64,
}

impl Walked {
    fn of(reader: &StoreReader, manifest: &Manifest) -> Self {
        let mut walked = Self {
            tables: BTreeMap::new(),
            held_bytes: 0,
        };
        let schema = BTreeSet::from([(BlobKind::Schema, manifest.schema)]);
        let name = ("schema".to_owned(), TableSort::Schema);
        walked.tables.insert(name, schema);
        let internal = manifest.internal.iter().map(|e| (TableSort::Internal, e));
        let entities = manifest.entities.iter().map(|e| (TableSort::Entity, e));
        for (sort, entity) in entities.chain(internal) {
            let mut found = BTreeSet::new();
            let large = table_blobs(reader, entity, &mut found);
            walked.held_bytes += entity.bytes + large;
            walked.tables.insert((entity.entity.clone(), sort), found);
        }
        walked
    }

    fn blobs(&self) -> BTreeSet<Key> {
        self.tables.values().flatten().copied().collect()
    }
}

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
}

/// Every distinct blob under the first table by name that leads to it.
fn by_table(walks: &[&Walked]) -> BTreeMap<(String, TableSort), BTreeSet<Key>> {
    let mut tables: BTreeMap<(String, TableSort), BTreeSet<Key>> = BTreeMap::new();
    for (name, blobs) in walks.iter().flat_map(|walk| &walk.tables) {
        tables.entry(name.clone()).or_default().extend(blobs);
    }
    let mut seen = BTreeSet::new();
    for blobs in tables.values_mut() {
        blobs.retain(|blob| seen.insert(*blob));
    }
    tables
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

/// Blobs of one walk that no other has.
fn alone(walks: &[BTreeSet<Key>], at: usize) -> BTreeSet<Key> {
    let others = walks.iter().enumerate().filter(|(other, _)| *other != at);
    let others: BTreeSet<Key> = others.flat_map(|(_, blobs)| blobs).copied().collect();
    walks[at].difference(&others).copied().collect()
}

#[test]
fn every_byte_of_a_pack_is_counted_once_and_snapshots_and_tables_as_a_plain_walk_finds_them() {
    let case = Case::lively();
    let (outcome, sizes) = (case.stats(None), sizes(&*case.backend));
    case.assert_every_byte_is_counted_once(&outcome);
    assert_eq!(outcome.damage, []);
    assert_eq!(outcome.uses.garbage, Figures::default());
    let reader = case.store.reader().unwrap();
    let manifests = case.manifests();
    let walks: Vec<Walked> = manifests.iter().map(|m| Walked::of(&reader, m)).collect();
    assert_tables(&outcome, &walks.iter().collect::<Vec<_>>(), &sizes);
    let blobs: Vec<BTreeSet<Key>> = walks.iter().map(Walked::blobs).collect();
    assert!(
        blobs[0]
            .iter()
            .any(|(kind, _)| *kind == BlobKind::ChunkNode)
            || blobs[0].len() > 20
    );
    let distinct: BTreeSet<Key> = blobs.iter().flatten().copied().collect();
    assert_eq!(outcome.uses.reached, figures(&sizes, &distinct));
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
        assert_eq!(
            told.alone,
            figures(&sizes, &alone(&blobs, at)),
            "snapshot {at}"
        );
        let one = case.stats(Some(manifest));
        case.assert_every_byte_is_counted_once(&one);
        assert_tables(&one, &[walk], &sizes);
        let uses = one.one.unwrap().uses;
        assert_eq!(uses.reached, figures(&sizes, &blobs[at]));
        assert_eq!(uses.alone, told.alone);
        assert_eq!(uses.alone.plus(uses.shared), uses.reached);
    }
}

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
