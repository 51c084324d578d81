//! Parity makes damaged packs whole: identical bytes as long as it is enough, and else it says how much
//! is lost. It never stands in the way of a backup or a snapshot.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendError, BackendErrorKind, ObjectInfo};
use larder::codec::hash::pack_id;
use larder::env::{Env, SystemEnv};
use larder::error::Error;
use larder::format::name;
use larder::format::parity::{self, PARITY_PACK_BYTES_MIN, PARITY_PERCENT};
use larder::model::id::{PackId, SnapshotId};
use larder::ops::open::Store;
use larder::ops::parity::{self as ops, AddOptions, Redundancy, RedundancyLevel};
use larder::ops::validate::{self, ValidateOptions};
use larder::progress::NoProgress;
use larder::store::Rebuilt;
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::faults::{Fault, Operation};
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::Vfs;

use crate::sandbox::{Sandbox, names, scale, seed, snapshots};
use crate::tree_rows::Random;
use crate::workshop::sql;

/// Some 2.5 MiB that do not compress, and do not leave their rows.
fn fill(database: &Path, seed: u64) {
    let mut random = Random(seed);
    let db = rusqlite::Connection::open(database).unwrap();
    db.execute_batch("BEGIN; CREATE TABLE IF NOT EXISTS a(id INTEGER PRIMARY KEY, x BLOB)")
        .unwrap();
    for id in 1..=170 {
        let value = random.bytes(15_000);
        db.execute("INSERT OR REPLACE INTO a VALUES(?1, ?2)", (id, value))
            .unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    db.close().unwrap();
}

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    database: PathBuf,
    id: SnapshotId,
}

/// A store of one large pack with its parity, and a snapshot that needs it.
fn case() -> Case {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    let database = sandbox.path("a.db");
    fill(&database, seed());
    let id = sandbox.backup(&mut store, &database);
    Case {
        sandbox,
        backend,
        store,
        database,
        id,
    }
}

fn read(backend: &dyn Backend, name: &str) -> Vec<u8> {
    backend.get(name, 1 << 30).unwrap()
}

fn large_packs(backend: &dyn Backend) -> Vec<PackId> {
    let listed = backend.list(name::PACKS).unwrap();
    let large = listed
        .iter()
        .filter(|pack| pack.bytes >= PARITY_PACK_BYTES_MIN);
    large
        .map(|pack| name::parse_pack(&pack.name).unwrap())
        .collect()
}

/// The only large pack.
fn only_pack(case: &Case) -> PackId {
    let packs = large_packs(&*case.backend);
    assert_eq!(packs.len(), 1);
    packs[0]
}

#[test]
fn only_packs_of_a_mebibyte_and_more_have_parity_by_themselves() {
    let mut case = case();
    let pack = only_pack(&case);
    let sidecars = names(&*case.backend, name::PARITY);
    assert_eq!(sidecars, [name::parity(&pack)]);
    assert_eq!(names(&*case.backend, name::SECOND), [""; 0]);
    let bytes = read(&*case.backend, &name::pack(&pack)).len();
    assert!(read(&*case.backend, &sidecars[0]).len() * 100 <= bytes * usize::from(PARITY_PERCENT));
    // A small backup adds none.
    sql(&case.database, "INSERT INTO a VALUES(1000, 'small')");
    case.sandbox.backup(&mut case.store, &case.database);
    assert_eq!(names(&*case.backend, name::PARITY), sidecars);
    case.sandbox.assert_whole(&case.store, 2);
    let checked = ops::check(&case.store, &case.sandbox.world(), &mut NoProgress).unwrap();
    assert_eq!(
        (checked.parity.count, checked.damage.as_slice()),
        (1, &[][..])
    );
    for name in names(&*case.backend, "") {
        assert!(name::is_known(&name), "{name}");
    }
    for stranger in [
        "parity/x",
        "second/x",
        "second/redundancy",
        "second/",
        "parity/",
    ] {
        assert!(!name::is_known(stranger), "{stranger}");
    }
}

/// Random harm: a run of bytes flipped or zeroed, the end cut off, something behind it.
fn harm(random: &mut Random, bytes: &mut Vec<u8>, run_max: usize) -> String {
    let length = 1 + random.below(run_max as u64) as usize;
    let at = random.below(bytes.len() as u64) as usize;
    let end = (at + length).min(bytes.len());
    match random.below(5) {
        0 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0xA5),
        1 => bytes[at..end].fill(0),
        2 => bytes[at] ^= 1,
        3 => bytes.truncate(bytes.len() - length.min(bytes.len())),
        _ => bytes.extend((0..length).map(|i| i.to_le_bytes()[0])),
    }
    format!("{length} bytes at {at}, {} left", bytes.len())
}

/// Shards that differ, by comparison with what was there.
fn bad_shards(good: &[u8], found: &[u8]) -> usize {
    let shard = |bytes: &[u8], at: usize| {
        let end = (at + 4096).min(good.len());
        let mut shard = bytes[at.min(bytes.len())..end.min(bytes.len())].to_vec();
        shard.resize(4096, 0);
        shard
    };
    let starts = (0..good.len()).step_by(4096);
    starts
        .filter(|at| shard(good, *at) != shard(found, *at))
        .count()
}

#[test]
fn damage_within_parity_rebuilds_to_identical_bytes_and_beyond_it_is_said_to_be_lost() {
    let case = case();
    let pack = only_pack(&case);
    let (object, sidecar) = (name::pack(&pack), name::parity(&pack));
    let (good, side) = (
        read(&*case.backend, &object),
        read(&*case.backend, &sidecar),
    );
    let parity_at = 128 + 8 * (good.len().div_ceil(4096) + parity_shards(&good));
    let mut random = Random(seed());
    let (mut rebuilt, mut lost, mut whole) = (0, 0, 0);
    for run in 0..60 * scale() {
        let (mut found, mut beside, mut what) = (good.clone(), side.clone(), Vec::new());
        for _ in 0..=random.below(2) {
            what.push(harm(&mut random, &mut found, 48_000));
        }
        if random.below(2) == 0 && beside.len() > 1 {
            what.push(format!(
                "beside: {}",
                harm(&mut random, &mut beside, 24_000)
            ));
        }
        let what = format!("seed {}, run {run}: {what:?}", seed());
        let damaged = Arc::new(MemoryBackend::over(case.backend.clone()));
        damaged.put(&object, &found).unwrap();
        damaged.put(&sidecar, &beside).unwrap();
        let intact = |n: &usize| {
            let range = parity_at + 4096 * n..parity_at + 4096 * (n + 1);
            beside.get(range.clone()) == side.get(range)
        };
        let spare = (0..parity_shards(&good)).filter(intact).count();
        let bad = bad_shards(&good, &found);
        match case.sandbox.open(damaged).rebuild(&pack).unwrap() {
            Rebuilt::Whole => {
                assert!(found == good, "{what}");
                whole += 1;
            }
            Rebuilt::FromParity { bytes, shards } => {
                assert!(bytes == good, "{what}");
                assert_eq!((shards.bad, shards.spare), (bad, spare), "{what}");
                assert!(bad <= spare, "{what}");
                rebuilt += 1;
            }
            Rebuilt::Lost { bad: b, spare: s } => {
                assert_eq!((b, s), (bad, spare), "{what}");
                assert!(bad > spare, "{what}");
                lost += 1;
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    println!(
        "seed {}: {rebuilt} rebuilt, {lost} lost, {whole} not harmed",
        seed()
    );
    assert!(rebuilt >= 20 && lost >= 5, "{rebuilt} {lost}");
}

fn parity_shards(pack: &[u8]) -> usize {
    parity::parity_shards(pack.len() as u64, PARITY_PERCENT) as usize
}

#[test]
fn a_pack_that_is_gone_is_not_covered_and_its_parity_is_garbage() {
    let case = case();
    let pack = only_pack(&case);
    case.backend.delete(&name::pack(&pack)).unwrap();
    let rebuilt = case.store.rebuild(&pack).unwrap();
    assert!(matches!(rebuilt, Rebuilt::Lost { .. }), "{rebuilt:?}");
    let redundants = case.store.redundants().unwrap();
    assert!(redundants.iter().all(|r| r.is_orphan && r.is_parity));
    let status = ops::status(&case.store).unwrap();
    assert_eq!((status.orphans.count, status.packs.count), (1, 0));
    case.store.delete_redundant(&redundants[0]).unwrap();
    assert_eq!(case.store.redundants().unwrap(), []);
    assert_eq!(case.store.rebuild(&pack).unwrap(), Rebuilt::NoParity(None));
}

/// A disk with sectors that cannot be read.
struct BadSectors {
    inner: Arc<dyn Backend>,
    object: String,
    bad: Vec<Range<u64>>,
}

impl fmt::Debug for BadSectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadSectors").finish_non_exhaustive()
    }
}

impl BadSectors {
    fn touch(&self, name: &str, range: Range<u64>) -> Result<(), BackendError> {
        let hit = |bad: &Range<u64>| bad.start < range.end && range.start < bad.end;
        match name == self.object && self.bad.iter().any(hit) {
            true => Err(BackendError::new(
                BackendErrorKind::Other,
                "read",
                name,
                "EIO",
            )),
            false => Ok(()),
        }
    }
}

impl Backend for BadSectors {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.inner.put_new(name, bytes)
    }
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.inner.put(name, bytes)
    }
    fn barrier(&self) -> Result<(), BackendError> {
        self.inner.barrier()
    }
    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        self.touch(name, 0..u64::MAX)?;
        self.inner.get(name, bytes_max)
    }
    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        self.touch(name, offset..offset + bytes)?;
        self.inner.get_range(name, offset, bytes)
    }
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        self.inner.list(prefix)
    }
    fn delete(&self, name: &str) -> Result<(), BackendError> {
        self.inner.delete(name)
    }
    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        self.inner.foreign()
    }
}

#[test]
fn sectors_that_cannot_be_read_are_damage_like_any_other() {
    let case = case();
    let pack = only_pack(&case);
    let disk = BadSectors {
        inner: case.backend.clone(),
        object: name::pack(&pack),
        bad: vec![5_000..5_512, 1_300_000..1_320_000],
    };
    let store = case.sandbox.open(Arc::new(disk));
    match store.rebuild(&pack).unwrap() {
        Rebuilt::FromParity { bytes, shards } => {
            assert_eq!(pack_id(&bytes), pack);
            assert_eq!(shards.bad, 1 + 6);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn validate_names_damaged_parity_which_affects_nothing_and_notes_missing_parity() {
    let case = case();
    let pack = only_pack(&case);
    let sidecar = name::parity(&pack);
    let mut bytes = read(&*case.backend, &sidecar);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    case.backend.put(&sidecar, &bytes).unwrap();
    let outcome = case.sandbox.try_validate(&case.store).unwrap();
    assert_eq!(outcome.damage.len(), 1);
    let damage = &outcome.damage[0];
    assert!(damage.object.starts_with("parity of pack "), "{damage:?}");
    assert_eq!(damage.affects, []);
    assert!(outcome.snapshots.iter().all(|snapshot| snapshot.good));
    assert_eq!(outcome.packs_good, outcome.packs);
    // Looked at by structure only, it is not read.
    let quick = ValidateOptions {
        level: larder::ops::validate::Level::Quick,
        ..ValidateOptions::default()
    };
    let world = case.sandbox.world();
    let outcome = validate::run(&case.store, &world, &quick, &mut NoProgress).unwrap();
    assert_eq!(outcome.damage, []);
    let added = ops::add(&case.store, &world, &AddOptions::default(), &mut NoProgress).unwrap();
    assert_eq!((added.again.count, added.made.count, added.kept), (1, 0, 0));
    case.sandbox.assert_whole(&case.store, 1);
    case.backend.delete(&sidecar).unwrap();
    let outcome = case.sandbox.try_validate(&case.store).unwrap();
    assert_eq!(
        (outcome.damage.as_slice(), outcome.findings.len()),
        (&[][..], 1)
    );
    // A store that keeps none lacks none.
    ops::remove(&case.store, &mut NoProgress).unwrap();
    let outcome = case.sandbox.try_validate(&case.store).unwrap();
    assert_eq!((outcome.damage, outcome.findings), (vec![], vec![]));
}

#[test]
fn what_is_damaged_gets_no_parity_and_is_named() {
    let case = case();
    let pack = only_pack(&case);
    let (object, sidecar) = (name::pack(&pack), name::parity(&pack));
    let mut bytes = read(&*case.backend, &object);
    bytes[100_000] ^= 4;
    case.backend.put(&object, &bytes).unwrap();
    let world = case.sandbox.world();
    let checked = ops::check(&case.store, &world, &mut NoProgress).unwrap();
    assert!(checked.damage[0].can_be_healed, "{checked:?}");
    assert!(checked.damage[0].object.starts_with("pack "), "{checked:?}");
    case.backend.delete(&sidecar).unwrap();
    let added = ops::add(&case.store, &world, &AddOptions::default(), &mut NoProgress).unwrap();
    assert_eq!((added.made.count, added.damage.len()), (0, 1));
    assert_eq!(names(&*case.backend, name::PARITY), [""; 0]);
    // Nor does a pack that is on its way out.
    bytes[100_000] ^= 4;
    case.backend.put(&object, &bytes).unwrap();
    let mark = format!("{}{pack}", name::DAMAGED);
    case.backend.put_new(&mark, b"reserved").unwrap();
    let added = ops::add(&case.store, &world, &AddOptions::default(), &mut NoProgress).unwrap();
    assert_eq!((added.made.count, added.damage.len()), (0, 0));
    case.backend.delete(&mark).unwrap();
    let added = ops::add(&case.store, &world, &AddOptions::default(), &mut NoProgress).unwrap();
    assert_eq!((added.made.count, added.damage.len()), (1, 0));
}

const KINDS: [BackendErrorKind; 3] = [
    BackendErrorKind::Other,
    BackendErrorKind::NoSpace,
    BackendErrorKind::OutcomeUnknown,
];

#[test]
fn adding_parity_met_by_any_fault_changes_no_snapshot_and_can_be_done_again() {
    let case = case();
    ops::remove(&case.store, &mut NoProgress).unwrap();
    let (world, full) = (
        case.sandbox.world(),
        AddOptions {
            full: true,
            percent: Some(2),
        },
    );
    let (mut runs, mut failed) = (0, 0);
    for kind in KINDS {
        for make in [Fault::once, Fault::for_ever, Fault::lost_reply] {
            for nth in 1.. {
                let copy = Arc::new(MemoryBackend::over(case.backend.clone()));
                let faults = FaultBackend::new(copy.clone());
                let store = case.sandbox.open(Arc::new(faults.clone()));
                faults.reset();
                faults.fail(make(nth, kind));
                let done = ops::add(&store, &world, &full, &mut NoProgress);
                if faults.count() < nth {
                    break;
                }
                let what = format!("{kind:?} at {:?}", faults.log().get(nth - 1));
                match done {
                    Ok(_) => {}
                    Err(Error::Store(_)) => failed += 1,
                    Err(error) => panic!("{what}: {error}"),
                }
                let store = case.sandbox.open(copy.clone());
                let validated = case.sandbox.try_validate(&store).unwrap();
                assert_eq!(validated.damage, [], "{what}");
                let added = ops::add(&store, &world, &full, &mut NoProgress).unwrap();
                assert_eq!(added.damage, [], "{what}");
                let status = ops::status(&store).unwrap();
                assert_eq!((status.without.count, status.not_copied), (0, 0), "{what}");
                case.sandbox.assert_whole(&store, 1);
                runs += 1;
            }
        }
    }
    println!("{runs} faults, {failed} of them failed the work");
    assert!(failed > 20, "{failed}");
}

#[test]
fn a_backup_whose_parity_cannot_be_written_fails_as_for_any_fault_and_the_next_one_succeeds() {
    let case = case();
    fill(&case.database, seed() + 1);
    // Where it is written, of a run without faults.
    let faults = FaultBackend::new(Arc::new(MemoryBackend::over(case.backend.clone())));
    let mut store = case.sandbox.open(Arc::new(faults.clone()));
    faults.reset();
    case.sandbox.backup(&mut store, &case.database);
    let log = faults.log();
    let is_parity =
        |operation: &Operation| operation.op == "write" && operation.name.starts_with(name::PARITY);
    let at = 1 + log.iter().position(is_parity).unwrap();
    for (kind, make) in KINDS
        .into_iter()
        .flat_map(|kind| [Fault::once, Fault::for_ever, Fault::lost_reply].map(|make| (kind, make)))
    {
        let copy = Arc::new(MemoryBackend::over(case.backend.clone()));
        let faults = FaultBackend::new(copy.clone());
        let mut store = case.sandbox.open(Arc::new(faults.clone()));
        faults.reset();
        faults.fail(make(at, kind));
        let done = case.sandbox.try_backup(&mut store, &case.database);
        assert!(is_parity(&faults.log()[at - 1]));
        assert!(matches!(done, Err(Error::Store(_))), "{kind:?}: {done:?}");
        let mut store = case.sandbox.open(copy);
        assert_eq!(snapshots(&store), std::slice::from_ref(&case.id));
        case.sandbox.backup(&mut store, &case.database);
        let outcome = case.sandbox.try_validate(&store).unwrap();
        assert_eq!(outcome.damage, []);
    }
}

#[test]
fn parity_of_an_acknowledged_snapshot_survives_a_power_cut() {
    let sandbox = Sandbox::new();
    let disk = MemoryVfs::new();
    disk.create_dir(Path::new("/home")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let mut store = sandbox.create(sandbox.folder(Arc::new(disk.clone())));
    let level = RedundancyLevel::Full;
    ops::choose(&store, Redundancy { level, percent: 3 }).unwrap();
    fill(&sandbox.path("a.db"), seed());
    sandbox.backup(&mut store, &sandbox.path("a.db"));
    let before = store.redundants().unwrap();
    assert!(before.len() >= 3, "{before:?}");
    let store = sandbox.open(sandbox.folder(Arc::new(disk.after_power_cut())));
    assert_eq!(store.redundants().unwrap(), before);
    assert_eq!(store.redundancy().unwrap().level, level);
    sandbox.assert_whole(&store, 1);
}

/// What it costs, printed; the bound is the promise.
#[test]
fn parity_of_a_pack_of_16_mib_takes_3_percent_of_it() {
    let pack = Random(1).bytes(16 << 20);
    let (id, env) = (pack_id(&pack), SystemEnv);
    let count = parity_shards(&pack);
    parity::encode(&id, &pack[..8192], 1).unwrap();
    let begun = env.monotonic();
    let sidecar = parity::encode(&id, &pack, u32::try_from(count).unwrap()).unwrap();
    let encoding = env.monotonic() - begun;
    let mut found = pack.clone();
    found[8 << 20..(8 << 20) + count * 4096].fill(0);
    let begun = env.monotonic();
    let side = parity::Sidecar::decode(&id, &sidecar).unwrap();
    let shards = side.restore(&mut found).unwrap();
    let decoding = env.monotonic() - begun;
    assert!(found == pack);
    assert_eq!(shards.bad, count);
    let share = sidecar.len() as f64 * 100.0 / pack.len() as f64;
    let speed = |time: std::time::Duration| 16.777 / time.as_secs_f64();
    println!(
        "{} bytes, {share:.2} %, {count} shards: encoded at {:.0} MB/s, all parity used at {:.0} MB/s",
        sidecar.len(),
        speed(encoding),
        speed(decoding)
    );
    assert!(share <= 3.0);
}
