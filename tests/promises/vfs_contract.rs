//! Every `Vfs` keeps the sentences V1 to V12 of `src/vfs.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::memory_vfs::MemoryVfs;
use larder::testkit::vfs_suite::{VfsPlace, check_all};
use larder::vfs::os::OsVfs;
use larder::vfs::{Vfs, write_all};

#[test]
fn the_real_file_system_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let rounds = std::cell::Cell::new(0);
    check_all(&|| {
        rounds.set(rounds.get() + 1);
        let dir = dir.path().join(rounds.get().to_string());
        std::fs::create_dir(&dir).unwrap();
        VfsPlace {
            vfs: Arc::new(OsVfs),
            dir,
            plant_link: Box::new(|path| std::os::unix::fs::symlink("nowhere", path).unwrap()),
        }
    });
}

/// A link to a file that exists is the tempting one: its content must not come back.
#[test]
fn a_link_to_a_real_file_is_not_followed_either() {
    let dir = tempfile::tempdir().unwrap();
    let (secret, link) = (dir.path().join("secret"), dir.path().join("link"));
    std::fs::write(&secret, "secret").unwrap();
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    assert!(OsVfs.read(&link, 99).is_err());
    assert!(OsVfs.create_new(&link).is_err());
    OsVfs.unlink(&link).unwrap();
    assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
}

/// Opening a pipe for reading would wait for a writer for ever.
#[test]
fn a_pipe_under_the_name_of_a_file_does_not_stop_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    assert!(OsVfs.read(&pipe, 99).is_err());
}

#[test]
fn a_written_file_is_private_until_published_and_then_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let mut file = OsVfs.create_new(&path).unwrap();
    assert_eq!(mode() & 0o077, 0);
    file.make_read_only().unwrap();
    assert_eq!(mode(), 0o444);
}

fn memory_place() -> (MemoryVfs, PathBuf) {
    let vfs = MemoryVfs::new();
    let dir = PathBuf::from("/d");
    vfs.create_dir(&dir).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    (vfs, dir)
}

#[test]
fn the_simulated_file_system_keeps_the_contract() {
    check_all(&|| {
        let (vfs, dir) = memory_place();
        let planted = vfs.clone();
        VfsPlace {
            vfs: Arc::new(vfs),
            dir,
            plant_link: Box::new(move |path| planted.plant_foreign(path).unwrap()),
        }
    });
}

/// Short writes must not be noticed above `write_all`.
#[test]
fn a_file_system_with_short_writes_keeps_the_contract() {
    check_all(&|| {
        let (vfs, dir) = memory_place();
        let planted = vfs.clone();
        let faulty = FaultVfs::new(Arc::new(vfs));
        faulty.write_short(true);
        VfsPlace {
            vfs: Arc::new(faulty),
            dir,
            plant_link: Box::new(move |path| planted.plant_foreign(path).unwrap()),
        }
    });
}

/// V3 and V4: the simulated disk loses exactly what the contract allows it to lose.
#[test]
fn a_power_cut_takes_what_was_not_synced_and_nothing_else() {
    let (vfs, dir) = memory_place();
    let write = |name: &str, sync: bool| {
        let path = dir.join(name);
        let mut file = vfs.create_new(&path).unwrap();
        write_all(&mut *file, &path, b"bytes").unwrap();
        if sync {
            file.sync().unwrap();
        }
    };
    write("synced", true);
    write("not-synced", false);
    vfs.sync_dir(&dir).unwrap();
    write("not-named", true);
    vfs.replace(&dir.join("synced"), &dir.join("moved"))
        .unwrap();

    let after = vfs.after_power_cut();
    assert_eq!(after.read(&dir.join("synced"), 9).unwrap(), b"bytes");
    assert_eq!(after.read(&dir.join("not-synced"), 9).unwrap(), b"");
    assert_eq!(after.list(&dir).unwrap().len(), 2);

    vfs.sync_dir(&dir).unwrap();
    let after = vfs.after_power_cut();
    assert_eq!(after.read(&dir.join("moved"), 9).unwrap(), b"bytes");
    assert_eq!(after.read(&dir.join("not-named"), 9).unwrap(), b"bytes");
    assert_eq!(after.entry(&dir.join("synced")).unwrap(), None);
}
