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
    let id: PackId = id.parse().ok()?;
    (pack(&id) == name && folder.len() == 2).then_some(id)
}

/// The snapshot of this name; `None` if it is not a snapshot's name.
pub fn parse_snapshot(name: &str) -> Option<SnapshotId> {
    name.strip_prefix(SNAPSHOTS)?.parse().ok()
}
