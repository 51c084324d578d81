//! Every `Backend` keeps the sentences B1 to B8 of `src/backend/mod.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::backend::local::LocalBackend;
use larder::backend::memory::MemoryBackend;
use larder::backend::{self, Backend, BackendErrorKind};
use larder::env::SystemEnv;
use larder::testkit::backend_suite::{BackendPlace, check_all};
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::faults::Fault;
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::os::OsVfs;
use larder::vfs::{Vfs, VfsErrorKind};

/// A local backend as a process of its own would open it. Random names must differ between them,
/// so the world is the real one.
fn local(vfs: Arc<dyn Vfs>, root: PathBuf) -> Arc<dyn Backend> {
    Arc::new(LocalBackend::new(vfs, Arc::new(SystemEnv), root))
}

#[test]
fn a_store_in_a_real_folder_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let rounds = std::cell::Cell::new(0);
    check_all(&|| {
        rounds.set(rounds.get() + 1);
        let root = dir.path().join(rounds.get().to_string()).join("store");
        let open = {
            let root = root.clone();
            move || local(Arc::new(OsVfs), root.clone())
        };
        let link_root = root.clone();
        BackendPlace {
            backend: open(),
            reopen: Box::new(open),
            after_power_cut: None,
            plant_link: Some(Box::new(move |name| {
                std::os::unix::fs::symlink(std::env::temp_dir(), link_root.join(name)).unwrap();
            })),
            plant_file: Some(Box::new(move |name| {
                std::fs::write(root.join(name), "1").unwrap();
            })),
        }
    });
}

#[test]
fn a_store_in_a_simulated_folder_keeps_the_contract() {
    check_all(&|| {
        let root = PathBuf::from("/deep/store");
        let vfs = MemoryVfs::new();
        let (cut, links, files) = (vfs.clone(), vfs.clone(), vfs.clone());
        let (link_root, file_root, cut_root) = (root.clone(), root.clone(), root.clone());
        let open = move || local(Arc::new(vfs.clone()), root.clone());
        BackendPlace {
            backend: open(),
            reopen: Box::new(open),
            after_power_cut: Some(Box::new(move || {
                local(Arc::new(cut.after_power_cut()), cut_root.clone())
            })),
            plant_link: Some(Box::new(move |name| {
                links.plant_foreign(&link_root.join(name)).unwrap();
            })),
            plant_file: Some(Box::new(move |name| {
                files.plant_file(&file_root.join(name), b"1").unwrap();
            })),
        }
    });
}

fn shared(backend: Arc<dyn Backend>) -> BackendPlace {
    let again = backend.clone();
    BackendPlace {
        backend,
        reopen: Box::new(move || again.clone()),
        after_power_cut: None,
        plant_link: None,
        plant_file: None,
    }
}

#[test]
fn a_store_in_memory_keeps_the_contract() {
    check_all(&|| shared(Arc::new(MemoryBackend::new())));
}

#[test]
fn a_dry_run_over_another_store_keeps_the_contract() {
    check_all(&|| {
        shared(Arc::new(MemoryBackend::over(
            Arc::new(MemoryBackend::new()),
        )))
    });
}

#[test]
fn a_store_whose_calls_are_counted_keeps_the_contract() {
    check_all(&|| shared(Arc::new(FaultBackend::new(Arc::new(MemoryBackend::new())))));
}

/// What a dry run does must look done to it, and leave the real store as it was.
#[test]
fn a_dry_run_changes_nothing_beneath_it() {
    let real = Arc::new(MemoryBackend::new());
    real.put_new("config", b"c").unwrap();
    real.put_new("snapshots/s", b"s").unwrap();
    let dry = MemoryBackend::over(real.clone());
    dry.put_new("config", b"c").unwrap();
    let taken = dry.put_new("config", b"other").unwrap_err();
    assert_eq!(taken.kind, BackendErrorKind::Exists);
    dry.put_new("packs/ab/p", b"pack").unwrap();
    dry.put("writers/w", b"w").unwrap();
    dry.delete("snapshots/s").unwrap();
    let gone = dry.get("snapshots/s", 9).unwrap_err();
    assert_eq!(gone.kind, BackendErrorKind::NotFound);
    let names: Vec<_> = dry.list("").unwrap().into_iter().map(|o| o.name).collect();
    assert_eq!(names, ["config", "packs/ab/p", "writers/w"]);
    assert_eq!(dry.bytes_held(), 5);
    assert_eq!(real.list("").unwrap().len(), 2);
    assert_eq!(real.get("snapshots/s", 9).unwrap(), b"s");
}

#[test]
fn a_location_names_a_folder_and_other_kinds_are_refused() {
    let open =
        |location: &str| backend::open(Path::new(location), Arc::new(OsVfs), Arc::new(SystemEnv));
    assert_eq!(open("some/folder").unwrap().location(), "some/folder");
    for location in ["s3://bucket/store", ""] {
        let error = open(location).unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Other, "{location}");
    }
}

/// `--store backups` is the usual call: a relative path with one part.
#[test]
fn a_store_with_a_relative_path_is_made_in_the_current_folder() {
    let vfs = MemoryVfs::new();
    let store = local(Arc::new(vfs.clone()), PathBuf::from("backups"));
    store.put_new("config", b"c").unwrap();
    store.barrier().unwrap();
    let after = local(Arc::new(vfs.after_power_cut()), PathBuf::from("backups"));
    assert_eq!(after.get("config", 9).unwrap(), b"c");
}

/// The folder above the store may be closed to us when somebody else made the store's folder; that
/// must not fail a backup. When we made it ourselves, its name is ours to make durable.
#[test]
fn a_folder_above_the_store_that_cannot_be_synced_matters_only_to_its_maker() {
    for (root_was_there, fine) in [(true, true), (false, false)] {
        let disk = MemoryVfs::new();
        disk.create_dir(Path::new("/home")).unwrap();
        if root_was_there {
            disk.create_dir(Path::new("/home/store")).unwrap();
        }
        let faults = FaultVfs::new(Arc::new(disk));
        let store = local(Arc::new(faults.clone()), PathBuf::from("/home/store"));
        store.put_new("config", b"c").unwrap();
        faults.reset();
        // The folders are synced in the order of their paths.
        faults.fail(Fault::once(1, VfsErrorKind::Denied));
        assert_eq!(store.barrier().is_ok(), fine, "was there: {root_was_there}");
        assert_eq!(faults.log()[0].name, "/home");
    }
}
