//! Forgetting and taking back, met by every fault of the store and of the file system: each snapshot is as it
//! was or forgotten, none is half; the error says which sort it is; the same again does the rest.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendErrorKind};
use larder::cli::exit::{self, Code};
use larder::error::Error;
use larder::model::id::SnapshotId;
use larder::ops::forget::TakeBack;
use larder::ops::open::Store;
use larder::store::StoreError;
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::faults::Fault;
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::{Vfs, VfsErrorKind};

use crate::forgetting::{forget, keep_last, take_back, words};
use crate::sandbox::{Sandbox, names};
use crate::workshop::sql;

/// What is done to a store of four snapshots, and what must be forgotten after it.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// By a policy: all but the newest.
    ForgetByRule,
    /// The two oldest, by their ids.
    ForgetByWord,
    /// All back that are forgotten.
    TakeBack,
}

const DEEDS: [Deed; 3] = [Deed::ForgetByRule, Deed::ForgetByWord, Deed::TakeBack];

impl Deed {
    fn carry_out(self, store: &Store, ids: &[SnapshotId]) -> Result<(), Error> {
        match self {
            Self::ForgetByRule => forget(store, keep_last(1)).map(|_| ()),
            Self::ForgetByWord => {
                forget(store, words(&[ids[0].as_str(), ids[1].as_str()])).map(|_| ())
            }
            Self::TakeBack => take_back(store, TakeBack::All).map(|_| ()),
        }
    }

    fn forgotten_after(self) -> usize {
        match self {
            Self::ForgetByRule => 3,
            Self::ForgetByWord => 2,
            Self::TakeBack => 0,
        }
    }
}

/// Four snapshots; before a `TakeBack` three of them are forgotten.
fn fill(sandbox: &Sandbox, store: &mut Store, deed: Deed) -> Vec<SnapshotId> {
    let database = sandbox.path("a.db");
    let _ = std::fs::remove_file(&database);
    let mut ids = Vec::new();
    for n in 0..4 {
        sql(
            &database,
            &format!("CREATE TABLE IF NOT EXISTS a(x); INSERT INTO a VALUES({n})"),
        );
        ids.push(sandbox.backup(store, &database));
    }
    if matches!(deed, Deed::TakeBack) {
        forget(store, keep_last(1)).unwrap();
    }
    ids
}

/// Each snapshot is whole, and either visible or forgotten; then the same again does what was not done.
fn examine(
    sandbox: &Sandbox,
    store: &Store,
    ids: &[SnapshotId],
    deed: Deed,
    done: bool,
    what: &str,
) {
    let names = store.snapshot_names().unwrap();
    let there: BTreeSet<&SnapshotId> = names.ids.iter().chain(&names.forgotten).collect();
    assert_eq!(there, ids.iter().collect(), "{what}");
    assert_eq!(names.ids.len() + names.forgotten.len(), ids.len(), "{what}");
    if done {
        assert_eq!(names.forgotten.len(), deed.forgotten_after(), "{what}");
    }
    sandbox.assert_whole(store, names.ids.len());
    deed.carry_out(store, ids).unwrap();
    let names = store.snapshot_names().unwrap();
    assert_eq!(names.forgotten.len(), deed.forgotten_after(), "{what}");
    take_back(store, TakeBack::All).unwrap();
    assert_eq!(store.snapshot_names().unwrap().ids, ids, "{what}");
    sandbox.assert_whole(store, ids.len());
}

/// The error says that the store could not be used, and the program ends with 1.
fn check_error(error: &Error, what: &str) {
    let is_of_store = matches!(error, Error::Store(StoreError::Backend(_)));
    assert!(is_of_store, "{what}: {error}");
    assert_eq!(exit::of_error(error, None), Code::Failed, "{what}");
}

#[test]
fn a_store_that_fails_at_any_call_has_each_snapshot_as_it_was_or_forgotten() {
    let sandbox = Sandbox::new();
    let (mut runs, mut failed) = (0, 0);
    for deed in DEEDS {
        let base = Arc::new(MemoryBackend::new());
        let ids = fill(&sandbox, &mut sandbox.create(base.clone()), deed);
        for kind in [
            BackendErrorKind::NoSpace,
            BackendErrorKind::Denied,
            BackendErrorKind::OutcomeUnknown,
        ] {
            for make in [Fault::once, Fault::for_ever, Fault::lost_reply] {
                for nth in 1.. {
                    let copy = Arc::new(MemoryBackend::new());
                    for object in names(&*base, "") {
                        copy.put(&object, &base.get(&object, u64::MAX).unwrap())
                            .unwrap();
                    }
                    let faults = FaultBackend::new(copy.clone());
                    let store = sandbox.open(Arc::new(faults.clone()));
                    faults.reset();
                    faults.fail(make(nth, kind));
                    let done = deed.carry_out(&store, &ids);
                    let log = faults.log();
                    let Some(hit) = log.get(nth - 1) else { break };
                    let what = format!("{deed:?}, {kind:?} at {hit:?}");
                    if let Err(error) = &done {
                        check_error(error, &what);
                        failed += 1;
                    }
                    let store = sandbox.open(copy);
                    examine(&sandbox, &store, &ids, deed, done.is_ok(), &what);
                    runs += 1;
                }
            }
        }
    }
    println!("{runs} faults of the store, {failed} of them failed the command");
    assert!(failed > 100, "{failed}");
}

#[test]
fn a_disk_that_fails_or_loses_power_at_any_operation_has_each_snapshot_as_it_was_or_forgotten() {
    let sandbox = Sandbox::new();
    let (mut runs, mut failed) = (0, 0);
    for deed in DEEDS {
        let disk = MemoryVfs::new();
        disk.create_dir(Path::new("/home")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let mut store = sandbox.create(sandbox.folder(Arc::new(disk.clone())));
        let ids = fill(&sandbox, &mut store, deed);
        for kind in [VfsErrorKind::NoSpace, VfsErrorKind::Other] {
            for make in [Fault::once, Fault::for_ever, Fault::lost_reply] {
                for nth in 1.. {
                    let copy = disk.copy();
                    let faults = FaultVfs::new(Arc::new(copy.clone()));
                    let store = sandbox.open(sandbox.folder(Arc::new(faults.clone())));
                    faults.reset();
                    faults.fail(make(nth, kind));
                    let done = deed.carry_out(&store, &ids);
                    let log = faults.log();
                    let Some(hit) = log.get(nth - 1) else { break };
                    let what = format!("{deed:?}, {kind:?} at {hit:?}");
                    if let Err(error) = &done {
                        check_error(error, &what);
                        failed += 1;
                    }
                    for image in [copy.copy(), copy.after_power_cut()] {
                        let store = sandbox.open(sandbox.folder(Arc::new(image)));
                        examine(&sandbox, &store, &ids, deed, done.is_ok(), &what);
                        runs += 1;
                    }
                }
            }
        }
    }
    println!("{runs} states after faults of the disk, {failed} faults failed the command");
    assert!(failed > 100, "{failed}");
}
