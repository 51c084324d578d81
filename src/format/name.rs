//! §1 Names of objects in a store.

use crate::model::id::{PackId, SnapshotId};

/// The config.
pub const CONFIG: &str = "config";
/// Prefix of manifests and abort markers.
pub const SNAPSHOTS: &str = "snapshots/";
/// Prefix of packs.
pub const PACKS: &str = "packs/";
/// Prefix of writer records.
pub const WRITERS: &str = "writers/";
/// Prefix of clean-up records and their verdicts.
pub const GC: &str = "gc/";
/// Ending of a clean-up's verdict.
pub const GC_FINAL_ENDING: &str = ".final";
/// Prefix of forgotten snapshots' marks.
pub const FORGOTTEN: &str = "forgotten/";
/// Prefix of the marks of damaged packs.
pub const DAMAGED: &str = "damaged/";

/// Whether an object may bear this name. Whatever else lies in a store is somebody else's.
pub fn is_known(name: &str) -> bool {
    let under = |prefix| name.strip_prefix(prefix);
    let snapshot = |id: &str| id.parse::<SnapshotId>().is_ok();
    let without_final = |id| str::strip_suffix(id, GC_FINAL_ENDING).unwrap_or(id);
    let clean_up = |id: &str| {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        id.len() == 32 && id.bytes().all(hex)
    };
    name == CONFIG
        || parse_snapshot(name).is_some()
        || parse_pack(name).is_some()
        || under(WRITERS).is_some_and(snapshot)
        || under(GC).is_some_and(|id| clean_up(without_final(id)))
        || under(FORGOTTEN).is_some_and(|id| snapshot(without_final(id)))
        || under(DAMAGED).is_some_and(|id| id.parse::<PackId>().is_ok())
        // Reserved: key slots, parity.
        || name.starts_with("keys/")
        || name.starts_with("parity/")
}

/// Where a snapshot's manifest is.
pub fn snapshot(id: &SnapshotId) -> String {
    format!("{SNAPSHOTS}{id}")
}

/// Where a pack is: spread over 256 folders.
pub fn pack(id: &PackId) -> String {
    let id = id.to_string();
    format!("{PACKS}{}/{id}", &id[..2])
}

/// Where a writer's record is.
pub fn writer(id: &SnapshotId) -> String {
    format!("{WRITERS}{id}")
}

/// The pack of this name; `None` if it is not a pack's name.
pub fn parse_pack(name: &str) -> Option<PackId> {
    let (folder, id) = name.strip_prefix(PACKS)?.split_once('/')?;
    // An id has one text form, so this is the one name of the pack.
    (folder.len() == 2 && id.starts_with(folder)).then(|| id.parse().ok())?
}

/// The snapshot of this name; `None` if it is not a snapshot's name.
pub fn parse_snapshot(name: &str) -> Option<SnapshotId> {
    name.strip_prefix(SNAPSHOTS)?.parse().ok()
}
