//! A prune deletes what no snapshot needs, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::env::Env;
use larder::error::Error;
use larder::format::config::FormatMark;
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::{GcFinal, GcRecord, WriterRecord};
use larder::model::id::{GcId, SnapshotId};
use larder::ops::open::Store;
use larder::ops::prune::{self, PruneOptions};
use larder::ops::stats::{self, StatsOptions};
use larder::progress::NoProgress;
use larder::store::{StoreError, Usage};

use crate::interfering::Interfering;
use crate::sandbox::{Sandbox, names, scale, seed, snapshots};
use crate::tree_rows::Random;
use crate::workshop::sql;

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    /// Snapshots and what they restore to.
    kept: Vec<(SnapshotId, Vec<u8>)>,
}

const TABLES: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, n REAL);
    CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE large(v);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO a SELECT i, hex(i * 2654435761 % 1000003), i / 8.0 FROM n;
    INSERT INTO b SELECT x, id FROM a WHERE id % 7 = 0;
    INSERT INTO large VALUES(zeroblob(70000)), (randomblob(0));";

fn change(random: &mut Random, step: u64) -> String {
    let at = random.below(3000);
    match random.below(6) {
        0 => format!(
            "UPDATE a SET x = 'step {step}' WHERE id BETWEEN {at} AND {}",
            at + 20
        ),
        1 => format!("DELETE FROM a WHERE id % 11 = {}", step % 11),
        2 => format!("INSERT OR REPLACE INTO b VALUES('new {step}', {at})"),
        3 => format!(
            "UPDATE large SET v = CAST(zeroblob({}) AS TEXT) || 'x'",
            20000 + at * 30
        ),
        4 => format!("CREATE TABLE t{step}(x); INSERT INTO t{step} SELECT id FROM a LIMIT 500"),
        _ => format!("UPDATE a SET n = n + {step} WHERE id % 5 = 0"),
    }
}

impl Case {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        let store = sandbox.create(backend.clone());
        sql(&sandbox.path("app.db"), TABLES);
        Self {
            sandbox,
            backend,
            store,
            kept: Vec::new(),
        }
    }

    fn back_up(&mut self, change: &str) {
        let database = self.sandbox.path("app.db");
        sql(&database, change);
        let id = self.sandbox.backup(&mut self.store, &database);
        let content = self.sandbox.restore(&mut self.store, &id);
        self.kept.push((id, content));
    }

    /// Every snapshot that was kept is what it was, and nothing is left that none of them needs.
    fn examine(&mut self, what: &str) {
        let visible = snapshots(&self.store);
        let kept: Vec<SnapshotId> = self.kept.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(visible, kept, "{what}");
        for (id, content) in &self.kept {
            assert!(
                self.sandbox.restore(&mut self.store, id) == *content,
                "{what}: {id} is not what it was"
            );
        }
        let validated = self.sandbox.try_validate(&self.store).unwrap();
        assert_eq!(
            (validated.damage, validated.findings),
            (vec![], vec![]),
            "{what}"
        );
    }

    fn unused(&self) -> (u64, u64) {
        let world = self.sandbox.world();
        let options = StatsOptions::default();
        let stats = stats::run(&self.store, &world, &options, &mut NoProgress).unwrap();
        (
            stats.uses.garbage.stored_bytes + stats.uses.duplicates.stored_bytes,
            stats.packs.bytes,
        )
    }
}

#[test]
fn what_no_snapshot_needs_goes_and_what_one_needs_stays() {
    let cases = 6 * scale() as u64;
    for case in 0..cases {
        let from = seed() + case;
        let mut random = Random(from);
        let mut case = Case::new();
        let mut step = 0;
        for round in 0..4 {
            for _ in 0..4 {
                step += 1;
                case.back_up(&change(&mut random, step));
            }
            let mut forgotten = 0;
            let store = &case.store;
            case.kept.retain(|(id, _)| {
                let goes = random.below(2) == 0;
                if goes {
                    store.forget(id).unwrap();
                    forgotten += 1;
                }
                !goes
            });
            let done = case.sandbox.try_prune(&case.store).unwrap();
            let what = format!("seed {}, round {round}: {done:?}", from);
            assert_eq!(done.deleted_snapshots.len(), forgotten, "{what}");
            assert_eq!(done.snapshots, case.kept.len() as u64, "{what}");
            case.examine(&what);
            let (unused, packs) = case.unused();
            assert!(
                unused * 10 <= packs,
                "{what}: {unused} of {packs} bytes are unused"
            );
            if case.kept.is_empty() {
                assert_eq!(names(&*case.backend, name::PACKS).len(), 0, "{what}");
            }
            let again = case.sandbox.try_prune(&case.store).unwrap();
            assert_eq!((again.dead.packs, again.deleted.packs), (0, 0), "{what}");
        }
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let mut case = Case::new();
    let mut random = Random(5);
    for step in 1..6 {
        case.back_up(&change(&mut random, step));
    }
    for (id, _) in case.kept.drain(..3) {
        case.store.forget(&id).unwrap();
    }
    let before = case.backend.list("").unwrap();
    let options = PruneOptions {
        dry_run: true,
        grace: Duration::ZERO,
        ..PruneOptions::default()
    };
    let world = case.sandbox.world();
    let planned = prune::run(&case.store, &world, &options, &mut NoProgress).unwrap();
    assert_eq!(case.backend.list("").unwrap(), before);
    let done = case.sandbox.try_prune(&case.store).unwrap();
    assert_eq!(planned.deleted_snapshots, done.deleted_snapshots);
    assert_eq!(
        (
            planned.packs_before,
            planned.dead,
            planned.repacked,
            planned.snapshots
        ),
        (done.packs_before, done.dead, done.repacked, done.snapshots)
    );
    assert_eq!(done.deleted.packs, done.dead.packs + done.repacked.packs);
    case.examine("after the real one");
}

#[test]
fn a_forgotten_snapshot_stays_until_its_time_is_up_and_while_it_is_pinned() {
    let mut case = Case::new();
    let mut random = Random(6);
    for step in 1..4 {
        case.back_up(&change(&mut random, step));
    }
    let ids: Vec<SnapshotId> = case.kept.iter().map(|(id, _)| id.clone()).collect();
    for id in &ids[..2] {
        case.store.forget(id).unwrap();
    }
    case.store.pin(&ids[1]).unwrap();
    let world = case.sandbox.world();
    let prune = || {
        let options = PruneOptions::default();
        prune::run(&case.store, &world, &options, &mut NoProgress).unwrap()
    };
    let early = prune();
    assert_eq!(early.deleted_snapshots, Vec::<String>::new());
    let waiting = |n: usize| early.waiting_snapshots[n].until.is_some();
    assert_eq!((waiting(0), waiting(1)), (true, false));
    assert!(case.store.unforget(&ids[0]).unwrap());
    case.store.forget(&ids[0]).unwrap();
    case.sandbox.env.advance(prune::GRACE);
    assert_eq!(prune().deleted_snapshots, [ids[0].to_string()]);
    assert!(case.store.unforget(&ids[1]).unwrap(), "it was pinned");
    case.kept.remove(0);
    case.examine("after both");
}

#[test]
fn of_a_deleted_snapshot_one_small_file_is_left_which_still_keeps_its_id() {
    let mut case = Case::new();
    let mut random = Random(7);
    for step in 1..5 {
        case.back_up(&change(&mut random, step));
    }
    let ids: Vec<SnapshotId> = case.kept.iter().map(|(id, _)| id.clone()).collect();
    for id in &ids[..3] {
        case.store.forget(id).unwrap();
    }
    case.store.unforget(&ids[0]).unwrap();
    case.store.forget(&ids[0]).unwrap();
    case.store.pin(&ids[2]).unwrap();
    let options = PruneOptions {
        grace: Duration::ZERO,
        ..PruneOptions::default()
    };
    let world = case.sandbox.world();
    prune::run(&case.store, &world, &options, &mut NoProgress).unwrap();

    let marks = names(&*case.backend, name::FORGOTTEN);
    let expected = [
        name::forgotten(&ids[0], 1),
        name::forgotten_final(&ids[0], 1),
        name::forgotten_final(&ids[0], 2),
        name::forgotten_final(&ids[1], 1),
        name::forgotten(&ids[2], 1),
    ];
    assert_eq!(marks, expected);
    for id in &ids[..2] {
        assert!(
            !case.store.forget(id).unwrap(),
            "it is deleted, and still counts as forgotten"
        );
        let again = case.store.unforget(id).unwrap_err();
        assert!(matches!(again, StoreError::Pruned { .. }), "{again}");
    }
    case.kept.drain(..2);
    let pinned = case.kept.remove(0);
    case.examine("after the prune");
    case.store.unforget(&pinned.0).unwrap();
    case.kept.insert(0, pinned);
    case.examine("with the one that was pinned");
}

/// A record of a writer on a machine that nobody here can look into.
fn put_record(backend: &dyn Backend, id: &SnapshotId, beat: u64) {
    let record = WriterRecord {
        format: FormatMark::CURRENT,
        snapshot: id.clone(),
        host: "elsewhere".to_owned(),
        started: "2026-11-23T20:15:30.000Z".to_owned(),
        beat,
        process: None,
    };
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Writer, &record).unwrap();
    backend.put(&name::writer(id), &bytes).unwrap();
}

/// A store with something to delete, opened with a cache that later runs have too.
fn with_garbage() -> Case {
    let mut case = Case::new();
    let mut random = Random(7);
    for step in 1..4 {
        case.back_up(&change(&mut random, step));
    }
    let cache = case.sandbox.path("cache");
    std::fs::create_dir_all(&cache).unwrap();
    let usage = Usage {
        cache_dir: Some(cache),
        compression: 3,
        rules: larder::store::rules::Rules::default(),
    };
    case.store = Store::open(case.backend.clone(), case.sandbox.env.clone(), usage).unwrap();
    let (id, _) = case.kept.remove(0);
    case.store.forget(&id).unwrap();
    case
}

#[test]
fn a_writer_of_another_machine_is_fenced_after_half_an_hour_of_silence_however_often_one_looks() {
    let mut case = with_garbage();
    let other = SnapshotId::new(1_795_464_930, [9; 16]);
    put_record(&*case.backend, &other, 0);
    let prune = |minutes: u64| {
        let options = PruneOptions {
            grace: Duration::ZERO,
            max_wait: Duration::from_secs(60 * minutes),
            ..PruneOptions::default()
        };
        prune::run(
            &case.store,
            &case.sandbox.world(),
            &options,
            &mut NoProgress,
        )
    };
    let at_work =
        |done: Result<_, Error>| matches!(done, Err(Error::Store(StoreError::WriterAtWork { .. })));
    let gc = || {
        names(&*case.backend, "gc/")
            .into_iter()
            .filter(|n| !n.ends_with(".final"))
            .count()
    };
    assert!(at_work(prune(10)));
    assert_eq!(gc(), 0, "backups may lean on everything again");
    // It lives: half an hour begins anew.
    put_record(&*case.backend, &other, 1);
    assert!(at_work(prune(10)));
    case.sandbox.env.advance(Duration::from_secs(15 * 60));
    let done = prune(10).unwrap();
    assert_eq!(done.fenced, [other.to_string()]);
    assert_eq!(done.deleted_snapshots.len(), 1);
    assert!(
        case.store.manifest(&other).unwrap().is_none(),
        "an abort marker"
    );
    case.examine("after the fence");
}

#[test]
fn a_writer_of_another_format_is_not_pruned_beside() {
    let case = with_garbage();
    let other = SnapshotId::new(1_795_464_930, [9; 16]);
    let record = WriterRecord {
        format: FormatMark {
            version: 0,
            draft: 99,
        },
        snapshot: other.clone(),
        host: "elsewhere".to_owned(),
        started: String::new(),
        beat: 0,
        process: None,
    };
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Writer, &record).unwrap();
    case.backend.put(&name::writer(&other), &bytes).unwrap();
    let packs = names(&*case.backend, name::PACKS);
    let refused = case.sandbox.try_prune(&case.store);
    assert!(
        matches!(refused, Err(Error::Store(StoreError::Unsupported { .. }))),
        "{refused:?}"
    );
    assert_eq!(names(&*case.backend, name::PACKS), packs);
}

/// Each blob lies in two packs, of which one is damaged, unnoticed: whichever it is, the other stays.
#[test]
fn a_good_copy_does_not_go_for_the_sake_of_a_damaged_one() {
    for spoiled in 0..2 {
        let mut case = Case::new();
        case.back_up("DELETE FROM a WHERE id > 100");
        let first = names(&*case.backend, name::PACKS).remove(0);
        // While a clean-up has condemned the first pack, the next backup stores all of it again.
        let record = GcRecord::of(GcId([7; 16]), vec![name::parse_pack(&first).unwrap()]);
        let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Gc, &record).unwrap();
        let object = name::gc(&GcId([7; 16]));
        case.backend.put_new(&object, &bytes).unwrap();
        case.back_up("PRAGMA user_version = 7");
        case.backend.delete(&object).unwrap();
        let packs = names(&*case.backend, name::PACKS);
        assert_eq!(packs.len(), 2);
        let mut bytes = case.backend.get(&packs[spoiled], u64::MAX).unwrap();
        bytes[60..80].fill(0);
        case.backend.put(&packs[spoiled], &bytes).unwrap();
        let done = case.sandbox.try_prune(&case.store).unwrap();
        let kept = case.kept.clone();
        for (id, content) in kept {
            let restored = case.sandbox.restore(&mut case.store, &id);
            assert!(restored == content, "{spoiled}: {done:?}");
        }
        let left = names(&*case.backend, name::PACKS);
        assert!(left.contains(&packs[1 - spoiled]), "{spoiled}: {done:?}");
    }
}

/// The forgotten snapshot was deleted first, and then nothing could be: it could have been had back. And that was
/// said only after a wait for a backup that had nothing to do with it.
#[test]
fn what_cannot_be_told_stops_a_prune_before_it_waits_and_before_it_takes_anything_away() {
    let mut case = Case::new();
    for change in ["", "DELETE FROM a WHERE id > 2000", "DELETE FROM b"] {
        case.back_up(change);
    }
    let ids: Vec<SnapshotId> = case.kept.iter().map(|(id, _)| id.clone()).collect();
    case.store.forget(&ids[0]).unwrap();
    case.sandbox.env.advance(Duration::from_secs(90 * 3600));
    // A backup at work: a prune would wait for it.
    let writer = case.store.writer(1_700_000_000_000).unwrap();
    let manifest = name::snapshot(&ids[1]);
    let good = case.backend.get(&manifest, u64::MAX).unwrap();
    let mut bytes = good.clone();
    bytes[60] ^= 1;
    case.backend.put(&manifest, &bytes).unwrap();
    let before = names(&*case.backend, "");
    let began = case.sandbox.env.monotonic();
    let stopped = case.sandbox.try_prune(&case.store);
    assert!(
        matches!(stopped, Err(Error::Store(StoreError::Damaged { .. }))),
        "{stopped:?}"
    );
    assert_eq!(case.sandbox.env.monotonic(), began, "it waited");
    assert_eq!(names(&*case.backend, ""), before);
    assert!(case.store.unforget(&ids[0]).unwrap());
    case.backend.put(&manifest, &good).unwrap();
    writer.abandon().unwrap();
    for (id, content) in case.kept.clone() {
        assert!(case.sandbox.restore(&mut case.store, &id) == content);
    }
}

/// Both backed off, each because of the other.
#[test]
fn of_two_prunes_that_come_at_once_one_goes_on() {
    use std::collections::BTreeSet;
    let mut went_on = [0, 0, 0];
    for round in 0..24 {
        let case = with_garbage();
        let pack = name::parse_pack(&names(&*case.backend, name::PACKS)[0]).unwrap();
        let condemned = BTreeSet::from([pack]);
        let sealed = round % 3 == 2;
        // Other ids each time.
        (0..round).for_each(|_| drop(case.store.clean_up()));
        // Between the look of the first one and its record, the second one makes its own, and perhaps seals.
        let (other, packs) = (case.sandbox.open(case.backend.clone()), condemned.clone());
        let second = Arc::new(std::sync::Mutex::new(None));
        let made = second.clone();
        let backend = Interfering::new(case.backend.clone(), move |_, object| {
            let mut made = made.lock().unwrap();
            if object.starts_with(name::GC) && made.is_none() {
                let mut second = other.clean_up();
                assert!(second.condemn(packs.clone()).unwrap());
                if sealed {
                    assert!(second.seal(BTreeSet::new()).unwrap());
                }
                // It goes on later: whether it may is decided by its verdict.
                *made = Some(names_of_records(&other));
            }
            Ok(())
        });
        let store = case.sandbox.open(Arc::new(backend));
        let mut first = store.clean_up();
        let first_goes_on = first.condemn(condemned.clone()).unwrap();
        let verdict = verdict_of_other(&case, second.lock().unwrap().as_deref().unwrap());
        match (sealed, first_goes_on) {
            (true, goes_on) => {
                assert!(
                    !goes_on && verdict == Some(true),
                    "one that is sealed was first"
                );
                went_on[2] += 1;
            }
            (false, true) => {
                assert_eq!(verdict, Some(false), "both go on");
                went_on[0] += 1;
            }
            (false, false) => {
                assert_eq!(verdict, None, "neither goes on");
                went_on[1] += 1;
            }
        }
    }
    println!("first, second, second sealed: {went_on:?}");
    assert!(went_on.iter().all(|count| *count > 1), "{went_on:?}");
}

/// The clean-up that is at work.
fn names_of_records(store: &Store) -> String {
    let objects = store.objects().unwrap().into_iter();
    let mut records =
        objects.filter(|object| matches!(name::parse_gc(&object.name), Some((_, false))));
    records.next().unwrap().name
}

/// Its verdict: `true` if it is sealed.
fn verdict_of_other(case: &Case, record: &str) -> Option<bool> {
    let object = format!("{record}{}", name::GC_FINAL_ENDING);
    let bytes = case.backend.get(&object, u64::MAX).ok()?;
    let verdict = frame::decode(StoreHash::unkeyed(), ObjectKind::GcFinal, &bytes, "").unwrap();
    Some(matches!(verdict, GcFinal::Sealed { .. }))
}
