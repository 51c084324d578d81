//! A store on a disk that gets full: a backup is there or not, what is there stays, and forget and prune
//! make room from 0 bytes free. On real disks, and with the program: `.ci/long disk-full`.

use std::path::Path;
use std::sync::Arc;

use larder::error::Error;
use larder::ops::open::Store;
use larder::vfs::Vfs;

use crate::sandbox::{Sandbox, scale, snapshots, usage};
use crate::small_disk::SmallDisk;
use crate::workshop::sql;

/// What a small clean-up needs, as docs/scripting.md says.
const NEEDS: u64 = 64 << 10;

fn is_no_space(error: &Error) -> bool {
    matches!(error, Error::Store(error) if error.is_no_space())
}

/// Backs up a database that grows, until one does not fit.
fn fill(sandbox: &Sandbox, store: &mut Store, disk: &SmallDisk, kib: u64) {
    let database = sandbox.path("app.db");
    sql(&database, "CREATE TABLE t(a, b)");
    for step in 0.. {
        sql(
            &database,
            &format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
                 INSERT INTO t SELECT {step}, randomblob(1000 + {step} * 97 % 1500 * 4) FROM n"
            ),
        );
        let before = snapshots(store);
        match sandbox.try_backup(store, &database) {
            Ok(_) => assert_eq!(snapshots(store).len(), before.len() + 1, "{kib} KiB"),
            Err(error) => {
                assert!(is_no_space(&error), "{kib} KiB: {error}");
                assert_eq!(snapshots(store), before, "{kib} KiB");
                assert!(disk.used() <= kib << 10, "{kib} KiB");
                return;
            }
        }
    }
}

#[test]
fn a_store_on_a_full_disk_stays_whole_and_makes_room_for_itself() {
    let (mut by_ballast, mut asked) = (0, 0);
    let step = 280 / scale().min(70);
    for kib in (64..1800).step_by(step) {
        let sandbox = Sandbox::new();
        let disk = SmallDisk::new(kib << 10);
        let Ok(mut store) = Store::create(
            sandbox.folder(Arc::new(disk.clone())),
            sandbox.env.clone(),
            usage(),
        ) else {
            continue;
        };
        fill(&sandbox, &mut store, &disk, kib);
        let ids = snapshots(&store);
        let Some(first) = ids.first() else { continue };
        // 0 bytes free.
        disk.resize(disk.used());
        sandbox.assert_whole(&store, ids.len());
        let last = sandbox.restore(&mut store, &ids[ids.len() - 1]);
        // It may be smaller, or not be there, if the store was of 1 MiB only when the disk was nearly full.
        let ballast = disk.disk.entry(Path::new("/home/store/ballast")).unwrap();
        let has_ballast = ballast.is_some_and(|ballast| ballast.bytes >= 32 << 10);
        let done = store.forget(first).map_err(Error::from);
        let done = done.and_then(|_| sandbox.try_prune(&store));
        match done {
            Ok(_) => by_ballast += u32::from(has_ballast),
            Err(error) => {
                assert!(is_no_space(&error), "{kib} KiB: {error}");
                assert!(!has_ballast, "{kib} KiB: {error}");
                sandbox.assert_whole(&store, snapshots(&store).len());
                disk.resize(disk.used() + NEEDS);
                store.forget(first).unwrap();
                sandbox.try_prune(&store).unwrap();
                asked += 1;
            }
        }
        let left = snapshots(&store);
        assert_eq!(left, ids[1..], "{kib} KiB");
        sandbox.assert_whole(&store, left.len());
        if let Some(id) = left.last() {
            assert!(sandbox.restore(&mut store, id) == last, "{kib} KiB");
        }
    }
    println!("{by_ballast} stores made room by their ballast, {asked} were given some");
    assert!(by_ballast > 0 && asked > 0, "{by_ballast} {asked}");
}
