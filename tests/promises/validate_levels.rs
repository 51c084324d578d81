//! What is read of a store at each level, and what is remembered of it; drills.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::codec::hash::pack_id;
use larder::error::{Error, TargetError};
use larder::ops::open::World;
use larder::ops::validate::{self, Level, Subset, ValidateOptions, ValidateOutcome};
use larder::progress::{NoProgress, Progress};
use larder::testkit::fault_vfs::FaultVfs;
use larder::vfs::os::OsVfs;

use crate::workshop::{Workshop, sql};

/// A store of several packs: each snapshot adds one.
fn several_packs() -> Workshop {
    let mut workshop = Workshop::new();
    let path = workshop.path("a.db");
    sql(
        &path,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE, w); CREATE TABLE c(x REFERENCES t)",
    );
    for n in 0..6 {
        sql(
            &path,
            &format!(
                "INSERT INTO t(v, w) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                   SELECT '{n}/' || i, hex(randomblob(40)) FROM n;
                 INSERT INTO c SELECT id FROM t"
            ),
        );
        workshop.backup(&path);
    }
    workshop
}

fn run(workshop: &Workshop, level: Level) -> ValidateOutcome {
    let options = ValidateOptions {
        level,
        ..ValidateOptions::default()
    };
    validate::run(&workshop.store, &workshop.world, &options, &mut NoProgress).unwrap()
}

fn packs(workshop: &Workshop) -> Vec<PathBuf> {
    let mut packs = Vec::new();
    for shard in std::fs::read_dir(workshop.path("store/packs")).unwrap() {
        let folder = std::fs::read_dir(shard.unwrap().path()).unwrap();
        packs.extend(folder.map(|entry| entry.unwrap().path()));
    }
    packs.sort();
    packs
}

/// A byte of a pack's first frame is turned over: its footer stays as it is.
fn damage(pack: &Path) {
    let mut bytes = std::fs::read(pack).unwrap();
    let at = bytes.len() / 3;
    bytes[at] ^= 0x55;
    std::fs::remove_file(pack).unwrap();
    std::fs::write(pack, bytes).unwrap();
}

/// So many runs read every byte once, and say so; each reads the same packs whenever it runs.
#[test]
fn all_parts_together_are_every_pack_once() {
    let workshop = several_packs();
    let count = packs(&workshop).len() as u64;
    assert!(count >= 6, "{count}");
    let before = run(&workshop, Level::Quick);
    assert_eq!(
        (before.packs_read.packs, before.packs_read.oldest),
        (0, None)
    );
    let (mut read, mut bytes) = (0, 0);
    for n in 1..=4 {
        let level = Level::Subset(Subset::Part { n, of: 4 });
        let outcome = run(&workshop, level);
        assert_eq!(outcome.damage, []);
        assert!(outcome.snapshots.iter().all(|s| s.good));
        read += outcome.packs_read.packs;
        bytes += outcome.packs_read.bytes;
        assert_eq!(outcome.packs_read.oldest.is_some(), read == count, "{n}");
        let again = run(&workshop, level);
        assert_eq!(again.packs_read.packs, outcome.packs_read.packs);
    }
    assert_eq!((read, bytes), (count, before.pack_bytes));
    // Quick reads none, and knows when they were.
    assert!(run(&workshop, Level::Quick).packs_read.oldest.is_some());
}

/// Damage is found by the one part that it lies in, with the records that hang on it, and is not
/// remembered as read.
#[test]
fn damage_is_found_by_the_part_that_it_lies_in() {
    let workshop = several_packs();
    run(&workshop, Level::All);
    assert!(run(&workshop, Level::Quick).packs_read.oldest.is_some());
    for pack in packs(&workshop) {
        let whole = std::fs::read(&pack).unwrap();
        damage(&pack);
        let found: Vec<u32> = (1..=5)
            .filter(|n| {
                let outcome = run(&workshop, Level::Subset(Subset::Part { n: *n, of: 5 }));
                let name = pack_id(&whole).to_string();
                let of_pack = |d: &&validate::Damage| d.object.contains(&name);
                let found = outcome.damage.iter().find(of_pack);
                assert!(
                    found.is_none_or(|damage| !damage.affects.is_empty()),
                    "{found:?}"
                );
                found.is_some()
            })
            .collect();
        let first: [u8; 8] = pack_id(&whole).0[..8].try_into().unwrap();
        let part = u32::try_from(u64::from_be_bytes(first) % 5).unwrap() + 1;
        assert!(found.contains(&part), "{part} {found:?}");
        assert_eq!(run(&workshop, Level::Quick).packs_read.oldest, None);
        std::fs::write(&pack, whole).unwrap();
        run(&workshop, Level::All);
    }
}

/// They took turns, each as if the packs of the other were its own.
#[test]
fn a_copy_of_the_files_of_a_store_has_a_memory_of_its_own() {
    let mut workshop = several_packs();
    let store = workshop.path("store");
    let all = Level::Subset(Subset::Percent(100.0));
    run(&workshop, all);
    assert!(run(&workshop, Level::Quick).packs_read.oldest.is_some());
    let mut copying = std::process::Command::new("cp");
    copying.arg("-a").arg(&store).arg(workshop.path("copy"));
    assert!(copying.status().unwrap().success());
    // The copy comes to lie at the store's own place.
    std::fs::rename(&store, workshop.path("moved")).unwrap();
    std::fs::rename(workshop.path("copy"), &store).unwrap();
    workshop.reopen();
    assert_eq!(run(&workshop, Level::Quick).packs_read.oldest, None);
    // And the store, wherever it is now, is known.
    std::fs::rename(&store, workshop.path("copy")).unwrap();
    std::fs::rename(workshop.path("moved"), &store).unwrap();
    workshop.reopen();
    assert!(run(&workshop, Level::Quick).packs_read.oldest.is_some());
}

/// By age every pack has its turn, the one that was read longest ago first; the memory may be deleted.
#[test]
fn a_share_of_the_bytes_is_those_that_were_read_longest_ago() {
    let mut workshop = several_packs();
    let count = packs(&workshop).len() as u64;
    let level = Level::Subset(Subset::Percent(20.0));
    for round in 0..2 {
        let (mut oldest, mut read) = (BTreeSet::new(), 0);
        while read < count {
            let outcome = run(&workshop, level);
            assert!(outcome.packs_read.bytes * 5 >= outcome.pack_bytes);
            assert!(outcome.packs_read.packs > 0 && outcome.packs_read.packs < count);
            read += outcome.packs_read.packs;
            oldest.insert(outcome.packs_read.oldest.clone());
            if round == 0 && read < count {
                assert_eq!(outcome.packs_read.oldest, None);
            }
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        assert!(run(&workshop, Level::Quick).packs_read.oldest.is_some());
    }
    let memory = std::fs::read_dir(workshop.path("cache")).unwrap();
    let is_memory = |path: &PathBuf| path.extension().is_some_and(|end| end == "read");
    let memory = memory
        .map(|entry| entry.unwrap().path())
        .find(is_memory)
        .unwrap();
    std::fs::write(
        &memory,
        b"this is no database, and it is longer than a header of one",
    )
    .unwrap();
    let outcome = run(&workshop, level);
    assert_eq!(outcome.damage, []);
    assert!(
        outcome.findings[0].text.contains("cannot be kept"),
        "{:?}",
        outcome.findings
    );
    std::fs::remove_file(&memory).unwrap();
    workshop.reopen();
    assert_eq!(run(&workshop, level).packs_read.oldest, None);
    assert_eq!(run(&workshop, Level::All).packs_read.packs, count);
    assert!(run(&workshop, Level::Quick).packs_read.oldest.is_some());
}

fn drill(
    workshop: &Workshop,
    world: &World,
    progress: &mut dyn Progress,
) -> Result<ValidateOutcome, Error> {
    let scratch = workshop.path("scratch");
    if !scratch.exists() {
        std::fs::create_dir(&scratch).unwrap();
    }
    let options = ValidateOptions {
        drill: Some(scratch.clone()),
        ..ValidateOptions::default()
    };
    let outcome = validate::run(&workshop.store, world, &options, progress);
    let left = std::fs::read_dir(scratch).unwrap().count();
    assert_eq!(left, 0, "a drill left a file");
    outcome
}

#[test]
fn a_drill_restores_every_snapshot_and_leaves_nothing() {
    let workshop = several_packs();
    let outcome = drill(&workshop, &workshop.world, &mut NoProgress).unwrap();
    assert_eq!(outcome.damage, []);
    let receipt = outcome.drill.unwrap();
    assert_eq!(receipt.snapshots.len(), 6);
    for (drilled, check) in receipt.snapshots.iter().zip(&outcome.snapshots) {
        assert_eq!(drilled.id, check.snapshot.id);
        assert_eq!(
            (drilled.entities, drilled.records),
            (2, check.snapshot.records)
        );
        assert!(drilled.bytes >= 8192 && drilled.failure.is_none());
        assert!(drilled.checked.contains(&"integrity_check"));
        let object = workshop.path(&format!("store/snapshots/{}", drilled.id));
        let digest = pack_id(&std::fs::read(object).unwrap()).to_string();
        assert_eq!(drilled.manifest_digest, digest);
    }
    assert_eq!(receipt.store_id, workshop.store.id().to_string());
}

/// Says stop at the N-th question.
struct StopAt(std::cell::Cell<u32>);

impl Progress for StopAt {
    fn cancelled(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn a_drill_that_is_stopped_leaves_nothing() {
    let workshop = several_packs();
    let mut stopped = 0;
    for n in 1.. {
        let mut progress = StopAt(n.into());
        match drill(&workshop, &workshop.world, &mut progress) {
            Err(Error::Cancelled) => stopped += 1,
            done => {
                done.unwrap();
                break;
            }
        }
    }
    println!("stopped at {stopped} places");
    assert!(stopped > 20, "{stopped}");
}

#[test]
fn a_snapshot_that_cannot_be_restored_is_damage_and_the_others_are_drilled() {
    let workshop = several_packs();
    let newest = packs(&workshop)
        .into_iter()
        .max_by_key(|pack| std::fs::metadata(pack).unwrap().modified().unwrap())
        .unwrap();
    damage(&newest);
    let outcome = drill(&workshop, &workshop.world, &mut NoProgress).unwrap();
    let receipt = outcome.drill.unwrap();
    let failed: Vec<bool> = receipt
        .snapshots
        .iter()
        .map(|s| s.failure.is_some())
        .collect();
    assert_eq!(
        failed.iter().filter(|failed| **failed).count(),
        1,
        "{failed:?}"
    );
    let told = |d: &validate::Damage| d.cause.starts_with("it cannot be restored: ");
    assert!(outcome.damage.iter().any(told), "{:?}", outcome.damage);
}

#[test]
fn a_drill_asks_for_room_first() {
    let workshop = several_packs();
    let vfs = FaultVfs::new(Arc::new(OsVfs));
    vfs.set_free(4096);
    let world = World {
        vfs: Arc::new(vfs),
        ..workshop.world.clone()
    };
    let refused = drill(&workshop, &world, &mut NoProgress).unwrap_err();
    let Error::Target(TargetError::LittleSpace { needed, free, .. }) = refused else {
        panic!("{refused}");
    };
    assert!(needed > free && free == 4096);
}
