//! Work that is done on other threads, in databases large enough for it: nothing comes out otherwise for that.

use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::BackendErrorKind;
use larder::backend::memory::MemoryBackend;
use larder::error::Error;
use larder::format::blob::BlobKind;
use larder::model::id::BlobId;
use larder::store::StoreError;
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::faults::Fault;

use crate::sandbox::{Sandbox, names};
use crate::shelf::footer_of;
use crate::workshop::sql;

/// 36 MB that hardly compress: more than one pack.
const LARGE: &str = "
    CREATE TABLE t(id INTEGER PRIMARY KEY, a);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
    INSERT INTO t SELECT i, zeroblob(0) FROM n;";

fn large(sandbox: &Sandbox) -> std::path::PathBuf {
    let path = sandbox.path("large.db");
    sql(&path, LARGE);
    let mut random = crate::tree_rows::Random(7);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("BEGIN").unwrap();
    for id in 1..=12_000 {
        let value = random.bytes(3000);
        db.execute(
            "UPDATE t SET a = ?1 WHERE id = ?2",
            rusqlite::params![value, id],
        )
        .unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    path
}

/// The blobs of all packs, pack by pack: sets of them, since packs have names by chance.
fn blobs(backend: &dyn Backend) -> Vec<Vec<(BlobKind, BlobId)>> {
    let packs = names(backend, "packs/").into_iter();
    let mut packs: Vec<Vec<(BlobKind, BlobId)>> = packs
        .map(|name| {
            let footer = footer_of(&backend.get(&name, u64::MAX).unwrap());
            footer
                .blobs
                .iter()
                .map(|blob| (blob.kind, blob.id))
                .collect()
        })
        .collect();
    packs.sort();
    packs
}

#[test]
fn packs_that_are_filled_beside_hold_the_same_blobs_in_every_run() {
    let sandbox = Sandbox::new();
    let database = large(&sandbox);
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let backend = Arc::new(MemoryBackend::new());
            let mut store = sandbox.create(backend.clone());
            let id = sandbox.backup(&mut store, &database);
            sandbox.assert_whole(&store, 1);
            let restored = sandbox.path("compared.db");
            std::fs::write(&restored, sandbox.restore(&mut store, &id)).unwrap();
            crate::shelf::assert_same_rows(&database, &restored);
            blobs(&*backend)
        })
        .collect();
    assert!(runs[0].len() > 1);
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn damage_to_what_is_read_ahead_is_found_as_any_other() {
    let sandbox = Sandbox::new();
    let database = large(&sandbox);
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    sandbox.backup(&mut store, &database);
    let name = names(&*backend, "packs/").remove(0);
    let mut bytes = backend.get(&name, u64::MAX).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    backend.delete(&name).unwrap();
    backend.put_new(&name, &bytes).unwrap();
    let found = sandbox.try_validate(&store).unwrap();
    let named: Vec<_> = found
        .damage
        .iter()
        .map(|damage| damage.object.clone())
        .collect();
    assert!(
        named
            .iter()
            .any(|object| name.contains(object.trim_start_matches("pack "))),
        "{named:?}"
    );
    let affected = found.damage.iter().flat_map(|damage| &damage.affects);
    let lost: u64 = affected.map(|affected| affected.records).sum();
    // The rows of one leaf.
    assert!((1..2000).contains(&lost), "{lost}");
}

/// The disk is full at each pack in turn: the backup fails for that, and the one after it works.
#[test]
fn a_pack_that_cannot_be_written_ends_the_backup_whoever_filled_it() {
    let sandbox = Sandbox::new();
    let database = large(&sandbox);
    let faults = FaultBackend::new(Arc::new(MemoryBackend::new()));
    let mut store = sandbox.create(Arc::new(faults.clone()));
    faults.reset();
    sandbox.backup(&mut store, &database);
    let log = faults.log();
    let is_pack = |name: &str| name.starts_with("packs/");
    let writes = log
        .iter()
        .zip(1..)
        .filter(|(call, _)| call.op == "write" && is_pack(&call.name));
    let writes: Vec<usize> = writes.map(|(_, nth)| nth).collect();
    assert!(writes.len() > 1);
    for nth in writes {
        let faults = FaultBackend::new(Arc::new(MemoryBackend::new()));
        let mut store = sandbox.create(Arc::new(faults.clone()));
        faults.reset();
        faults.fail(Fault::once(nth, BackendErrorKind::NoSpace));
        let failed = sandbox.try_backup(&mut store, &database).unwrap_err();
        assert!(
            matches!(&failed, Error::Store(StoreError::Backend(_))),
            "{failed}"
        );
        faults.reset();
        sandbox.backup(&mut store, &database);
        sandbox.assert_whole(&store, 1);
    }
}
