//! A restore into a new file met by any fault of the file system: the file is complete or not
//! there, and nothing is left beside it.

use std::fs;
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::error::{Error, TargetError};
use larder::ops::open::World;
use larder::ops::restore::{self, Form, Mode, RestoreOptions};
use larder::progress::NoProgress;
use larder::target::CheckLevel;
use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::faults::Fault;
use larder::vfs::VfsErrorKind;
use larder::vfs::os::OsVfs;

use crate::sandbox::Sandbox;
use crate::workshop::sql;

#[test]
fn a_restore_met_by_any_fault_leaves_a_complete_file_or_none() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, "CREATE TABLE a(x); INSERT INTO a VALUES(1)");
    let mut store = sandbox.create(Arc::new(MemoryBackend::new()));
    let id = sandbox.backup(&mut store, &database);
    let whole = sandbox.restore(&mut store, &id);
    let manifest = store.manifest(&id).unwrap().unwrap();
    let folder = sandbox.path("here");
    fs::create_dir(&folder).unwrap();
    let target = folder.join("new.db");
    let (mut runs, mut refused) = (0, 0);
    for kind in [
        VfsErrorKind::Other,
        VfsErrorKind::NoSpace,
        VfsErrorKind::Denied,
    ] {
        for make in [Fault::once, Fault::for_ever, Fault::lost_reply] {
            for nth in 1.. {
                let faults = FaultVfs::new(Arc::new(OsVfs));
                faults.fail(make(nth, kind));
                let world = World {
                    env: sandbox.env.clone(),
                    vfs: Arc::new(faults.clone()),
                };
                let options = RestoreOptions {
                    target: target.clone(),
                    mode: Mode::Add,
                    dry_run: false,
                    busy_timeout: std::time::Duration::ZERO,
                    check: CheckLevel::Quick,
                    form: Form::Best,
                    ..RestoreOptions::default()
                };
                let done = restore::run(
                    &mut store,
                    &world,
                    &manifest,
                    &options,
                    &mut restore::NoDecider,
                    &mut NoProgress,
                );
                let log = faults.log();
                let Some(hit) = log.get(nth - 1) else { break };
                let what = format!("{kind:?} at {hit:?}");
                match &done {
                    Ok(_) => assert!(target.exists(), "{what}"),
                    Err(Error::Target(error)) => {
                        refused += 1;
                        let of_kind = match kind {
                            VfsErrorKind::NoSpace => matches!(error, TargetError::NoSpace { .. }),
                            VfsErrorKind::Denied => matches!(error, TargetError::Denied { .. }),
                            _ => matches!(error, TargetError::File { .. }),
                        };
                        assert!(of_kind, "{what}: {error}");
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
                if target.exists() {
                    assert!(fs::read(&target).unwrap() == whole, "{what}");
                    fs::remove_file(&target).unwrap();
                }
                let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
                assert!(left.is_empty(), "{what}: {left:?}");
                runs += 1;
            }
        }
    }
    println!("{runs} faults, {refused} of them failed the restore");
    assert!(refused > 20);
}
