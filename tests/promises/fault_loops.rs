//! Every command that touches a store, with each of its calls failing in turn, once and for ever, for
//! every reason: a failure is told as what it is, never taken for absence or for damage; what was there
//! stays; nothing is left behind; the same command works as soon as the fault is gone.

mod commands;
mod place;
mod scene;
mod starts;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use larder::backend::BackendErrorKind;
use larder::cli::exit::{self, Code};
use larder::error::Error;
use larder::store::StoreError;
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::faults::{Fault, Operation};
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::VfsErrorKind;

use commands::{COMMANDS, Command, Kind, Start};
use place::{Done, Place, TwoVfs, files, local};
use scene::{Scene, temporary};

use crate::sandbox::{ROOT, scale};
use crate::stage::content;

/// EIO, ENOSPC, EINTR, EROFS and EACCES, and an error that may have had its effect.
const KINDS: [VfsErrorKind; 5] = [
    VfsErrorKind::Other,
    VfsErrorKind::NoSpace,
    VfsErrorKind::Transient,
    VfsErrorKind::Denied,
    VfsErrorKind::OutcomeUnknown,
];
const HOW: [fn(usize, VfsErrorKind) -> Fault<VfsErrorKind>; 3] =
    [Fault::once, Fault::for_ever, Fault::lost_reply];

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seam {
    Files,
    /// And every write takes half of what it is given.
    ShortWrites,
    Objects,
}

/// A command that was run.
struct Run {
    place: Place,
    disk: MemoryVfs,
    done: Result<Done, Error>,
    log: Vec<Operation>,
}

fn run(
    scene: &mut Scene,
    command: &Command,
    seam: Seam,
    fault: Option<Fault<VfsErrorKind>>,
) -> Run {
    let disk = scene.disk(command.start);
    let plain = Arc::new(TwoVfs {
        memory: disk.clone(),
    });
    if seam == Seam::Objects {
        let mut place = scene.place(command.start, plain.clone());
        let faults = FaultBackend::new(local(plain, &place.world.env, ROOT));
        if let Some(fault) = fault {
            faults.fail(Fault {
                nth: fault.nth,
                kind: BackendErrorKind::from(fault.kind),
                for_ever: fault.for_ever,
                after_effect: fault.after_effect,
            });
        }
        place.backend = Some(Arc::new(faults.clone()));
        let done = (command.run)(&place);
        let log = faults.log();
        return Run {
            place,
            disk,
            done,
            log,
        };
    }
    let faults = FaultVfs::new(plain);
    faults.write_short(seam == Seam::ShortWrites);
    if let Some(fault) = fault {
        faults.fail(fault);
    }
    let place = scene.place(command.start, Arc::new(faults.clone()));
    let done = (command.run)(&place);
    Run {
        place,
        disk,
        done,
        log: faults.log(),
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Calls of runs without a fault, at all seams.
    operations: usize,
    faults: u64,
    /// Of those, the ones that failed the command.
    failed: u64,
    /// Temporary files of the store that are there after the next run.
    temporary_left: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.faults += other.faults;
        self.failed += other.failed;
        self.temporary_left += other.temporary_left;
    }
}

/// Everything that an error says, cause by cause.
fn text_of(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

fn takes_what_it_can(command: &Command) -> bool {
    command.name.starts_with("copy") || command.name == "repair from a database"
}

/// A bad sector is damage for those who look for it: reads that fail in a way nobody knows better, for ever.
fn may_be_damage(command: &Command, fault: Fault<VfsErrorKind>) -> bool {
    let looks = command.name.starts_with("repair") || command.name.starts_with("parity");
    looks && fault.kind == VfsErrorKind::Other && fault.for_ever
}

fn check_answer(
    command: &Command,
    calm: &Done,
    fault: Fault<VfsErrorKind>,
    (done, hit): (&Result<Done, Error>, &Operation),
    what: &str,
) {
    match done {
        // What was absorbed has changed nothing; what was not is said by the exit code.
        Ok(done) if done.code == Code::Ok => assert_eq!(done.told, calm.told, "{what}"),
        // Of a place that cannot be read a copy and a repair take what they can, and name the rest with the
        // reason.
        Ok(done) if takes_what_it_can(command) && done.told.contains("planned fault") => {
            assert_eq!(done.code, Code::Damaged, "{what}: {done:?}");
        }
        // Who looks for damage may take a place for damaged that cannot be read, twice.
        Ok(done) if may_be_damage(command, fault) => {
            assert_eq!(done.code, Code::Damaged, "{what}: {done:?}");
        }
        Ok(done) => assert_eq!(done.code, Code::Incomplete, "{what}: {done:?}"),
        Err(Error::Store(StoreError::StillNeeded { .. })) if may_be_damage(command, fault) => {}
        Err(error) => {
            let text = text_of(error);
            assert_eq!(exit::of_error(error, None), Code::Failed, "{what}: {text}");
            let reasons = ["planned fault", "no space", "denied"];
            assert!(reasons.iter().any(|r| text.contains(r)), "{what}: {text}");
            let known = match error {
                Error::Store(_) => true,
                Error::Safety(_) => {
                    matches!(command.name, "restore into a database" | "undo")
                }
                Error::Target(_) => {
                    command.name.starts_with("restore")
                        || matches!(command.name, "undo" | "import" | "validate --drill")
                }
                Error::Export(_) => matches!(command.name, "export" | "cat"),
                Error::Import(_) => command.name == "import",
                // Never for a call of the store's: a full store is no unreadable database.
                Error::Source(_) => hit.name.starts_with('/') && !hit.name.starts_with("/home"),
                _ => false,
            };
            assert!(known, "{what}: {error:?}");
        }
    }
}

/// What a command does when nothing fails.
struct Calm {
    done: Done,
    /// Names of the files that are there afterwards.
    files: BTreeMap<String, Vec<u8>>,
    /// The database that restores change, before and after.
    live: [Vec<String>; 2],
}

fn calm(scene: &mut Scene, command: &Command) -> Calm {
    let nothing = Arc::new(TwoVfs {
        memory: scene.disk(Start::Nothing),
    });
    let before = content(&scene.place(command.start, nothing).path("live.db"));
    let run = run(scene, command, Seam::Files, None);
    let done = run.done.unwrap_or_else(|e| panic!("{}: {e}", command.name));
    assert_eq!(done.code, Code::Ok, "{}: {done:?}", command.name);
    let after = content(&run.place.path("live.db"));
    let changes = command.start == Start::Restored || command.name == "restore into a database";
    assert_eq!(before != after, changes, "{}", command.name);
    Calm {
        done,
        files: files(&run.place.folder),
        live: [before, after],
    }
}

/// The files of the place: as before or as planned, and nothing beside them.
fn check_files(calm: &Calm, folder: &std::path::Path, complete: bool, what: &str) {
    let now = content(&folder.join("live.db"));
    match complete {
        true => assert!(now == calm.live[1], "{what}: not what was planned"),
        false => assert!(calm.live.contains(&now), "{what}: half done"),
    }
    let found = files(folder);
    for made in ["new.db", "new-export/manifest.json"] {
        let planned = calm.files.get(made);
        // After an error it may be there as well, if only its last sync failed: then all of it.
        if complete || found.contains_key(made) {
            assert!(found.get(made) == planned, "{what}: {made}");
        }
    }
    let beside = found.keys().filter(|name| !calm.files.contains_key(*name));
    assert_eq!(beside.collect::<Vec<_>>(), [""; 0], "{what}");
}

/// One call of a command fails; then the command is run again.
fn fail(
    scene: &mut Scene,
    (command, calm): (&Command, &Calm),
    seam: Seam,
    fault: Fault<VfsErrorKind>,
    counts: &mut Counts,
) {
    let run = run(scene, command, seam, Some(fault));
    let Some(hit) = run.log.get(fault.nth - 1) else {
        return;
    };
    counts.faults += 1;
    let what = format!("{}: {seam:?} {fault:?} at {hit:?}", command.name);
    check_answer(command, &calm.done, fault, (&run.done, hit), &what);
    counts.failed += u64::from(run.done.is_err());
    check_files(calm, &run.place.folder, run.done.is_ok(), &what);
    scene.examine(command, &run.disk, &what);
    let is_lost = run
        .done
        .as_ref()
        .is_ok_and(|done| done.code == Code::Damaged);
    if run.done.is_err() || is_lost {
        let vfs = Arc::new(TwoVfs {
            memory: run.disk.clone(),
        });
        let place = scene.again(run.place.folder, vfs);
        let _ = std::fs::remove_file(place.path("new.db"));
        let _ = std::fs::remove_dir_all(place.path("new-export"));
        let again = match (command.run)(&place) {
            // It was made before the reply was lost.
            Err(Error::Store(StoreError::Exists { .. })) if command.name == "init" => None,
            // It was done before the command failed.
            Err(Error::Select(larder::error::SelectError::NothingToUndo { .. }))
                if content(&place.path("live.db")) == calm.live[1] =>
            {
                None
            }
            Err(Error::Select(larder::error::SelectError::Forgotten { .. }))
                if command.name == "forget" =>
            {
                None
            }
            again => Some(again.unwrap_or_else(|e| panic!("{what}: once more: {e}"))),
        };
        if let Some(again) = again {
            assert_eq!(again.code, Code::Ok, "{what}: once more: {again:?}");
            if command.kind == Kind::Reads {
                assert_eq!(again.told, calm.done.told, "{what}: once more");
            }
            check_files(calm, &place.folder, true, &format!("{what}, once more"));
        }
        scene.examine(command, &run.disk, &format!("{what}, once more"));
    }
    if command.kind != Kind::Reads {
        scene.is_clean(&run.disk, command.start, &what);
    }
    counts.temporary_left += temporary(&run.disk) as u64;
}

/// All faults of a command, or a sample of them.
fn fail_all(scene: &mut Scene, number: usize, command: &Command) -> Counts {
    let calm = calm(scene, command);
    let mut counts = Counts::default();
    for seam in [Seam::Files, Seam::ShortWrites, Seam::Objects] {
        let operations = run(scene, command, seam, None).log.len();
        for nth in 1.. {
            for (k, kind) in KINDS.into_iter().enumerate() {
                for (h, how) in HOW.into_iter().enumerate() {
                    let turn = number + nth + seam as usize * 7;
                    let sampled = (turn % (KINDS.len() * HOW.len())) == k * HOW.len() + h
                        && (nth % if seam == Seam::Files { 2 } else { 6 }) == 0;
                    if scale() == 1 && !sampled {
                        continue;
                    }
                    fail(scene, (command, &calm), seam, how(nth, kind), &mut counts);
                }
            }
            if nth > operations {
                counts.operations += operations;
                break;
            }
        }
    }
    counts
}

#[test]
fn every_call_of_every_command_can_fail_for_every_reason() {
    let begun = Instant::now();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let all = Mutex::new(Counts::default());
    let wrong: Mutex<Vec<&str>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut scene = Scene::new();
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let Some(command) = COMMANDS.get(number) else {
                        break;
                    };
                    let begun = Instant::now();
                    let tried =
                        catch_unwind(AssertUnwindSafe(|| fail_all(&mut scene, number, command)));
                    let Ok(counts) = tried else {
                        // What is wrong was told; the other commands have their turn all the same.
                        wrong.lock().unwrap().push(command.name);
                        continue;
                    };
                    let elapsed = begun.elapsed().as_secs();
                    println!("{}, {elapsed} s: {counts:?}", command.name);
                    all.lock().unwrap().add(&counts);
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    println!(
        "{} commands, {} s: {all:?}",
        COMMANDS.len(),
        begun.elapsed().as_secs()
    );
    assert_eq!(wrong.into_inner().unwrap(), [""; 0]);
    assert!(all.failed > 1000, "{all:?}");
}
