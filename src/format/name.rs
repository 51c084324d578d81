//! §1 Names of objects in a store.

use crate::model::id::{GcId, PackId, SnapshotId};

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
/// Prefix of the marks of forgotten snapshots: `forgotten/S.N`, the Nth time that S was forgotten.
pub const FORGOTTEN: &str = "forgotten/";
/// Prefix of the marks of damaged packs.
pub const DAMAGED: &str = "damaged/";
/// Prefix of the pins of snapshots.
pub const PINS: &str = "pins/";
/// Prefix of the parity sidecars of packs.
pub const PARITY: &str = "parity/";
/// Prefix of second copies: the name of the first one follows.
pub const SECOND: &str = "second/";
/// How much redundancy the store keeps.
pub const REDUNDANCY: &str = "redundancy";
/// An object without meaning: deleted, it gives a clean-up room on a full disk.
pub const BALLAST: &str = "ballast";

/// Whether an object may bear this name. Whatever else lies in a store is somebody else's.
pub fn is_known(name: &str) -> bool {
    let under = |prefix| name.strip_prefix(prefix);
    let snapshot = |id: &str| id.parse::<SnapshotId>().is_ok();
    name == CONFIG
        || name == BALLAST
        || name == REDUNDANCY
        || parse_snapshot(name).is_some()
        || parse_pack(name).is_some()
        || under(WRITERS).is_some_and(snapshot)
        || parse_gc(name).is_some()
        || parse_forgotten(name).is_some()
        || under(PINS).is_some_and(snapshot)
        || parse_damaged(name).is_some()
        || parse_parity(name).is_some()
        || parse_second(name).is_some()
        // Reserved: key slots.
        || name.starts_with("keys/")
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

/// Where the mark of a damaged pack is.
pub fn damaged(id: &PackId) -> String {
    format!("{DAMAGED}{id}")
}

/// The damaged pack whose mark has this name; `None` if it is no such mark's name.
pub fn parse_damaged(name: &str) -> Option<PackId> {
    name.strip_prefix(DAMAGED)?.parse().ok()
}

/// Where a pack's parity is.
pub fn parity(id: &PackId) -> String {
    format!("{PARITY}{id}")
}

/// Where the second copy of an object is.
pub fn second(name: &str) -> String {
    format!("{SECOND}{name}")
}

/// The pack whose parity has this name; `None` if it is no sidecar's name.
pub fn parse_parity(name: &str) -> Option<PackId> {
    name.strip_prefix(PARITY)?.parse().ok()
}

/// The object whose second copy has this name; `None` if it is not a second copy's name. Only the
/// config, manifests and packs have one.
pub fn parse_second(name: &str) -> Option<&str> {
    let first = name.strip_prefix(SECOND)?;
    let may_have =
        first == CONFIG || parse_snapshot(first).is_some() || parse_pack(first).is_some();
    may_have.then_some(first)
}

/// Where a writer's record is.
pub fn writer(id: &SnapshotId) -> String {
    format!("{WRITERS}{id}")
}

/// Where a clean-up's record is.
pub fn gc(id: &GcId) -> String {
    format!("{GC}{id}")
}

/// Where a clean-up's verdict is.
pub fn gc_final(id: &GcId) -> String {
    format!("{GC}{id}{GC_FINAL_ENDING}")
}

/// Where the `nth` mark of a forgotten snapshot is, from 1.
pub fn forgotten(id: &SnapshotId, nth: u32) -> String {
    format!("{FORGOTTEN}{id}.{nth}")
}

/// Where the verdict on that mark is.
pub fn forgotten_final(id: &SnapshotId, nth: u32) -> String {
    format!("{FORGOTTEN}{id}.{nth}{GC_FINAL_ENDING}")
}

/// Where a snapshot's pin is.
pub fn pin(id: &SnapshotId) -> String {
    format!("{PINS}{id}")
}

/// The clean-up of this name, and whether it is its verdict; `None` if it is neither.
pub fn parse_gc(name: &str) -> Option<(GcId, bool)> {
    let id = name.strip_prefix(GC)?;
    let (id, is_final) = split_final(id);
    Some((id.parse().ok()?, is_final))
}

/// The forgotten snapshot of this name, which mark of it, and whether it is the verdict on that.
pub fn parse_forgotten(name: &str) -> Option<(SnapshotId, u32, bool)> {
    let (mark, is_final) = split_final(name.strip_prefix(FORGOTTEN)?);
    let (id, nth) = mark.split_once('.')?;
    let nth: u32 = nth.parse().ok()?;
    let id = id.parse().ok()?;
    // A number has one text form here, so a mark has one name.
    (nth > 0 && name.starts_with(&forgotten(&id, nth))).then_some((id, nth, is_final))
}

/// The writer of this name; `None` if it is not a writer's.
pub fn parse_writer(name: &str) -> Option<SnapshotId> {
    name.strip_prefix(WRITERS)?.parse().ok()
}

/// The pinned snapshot of this name; `None` if it is not a pin's.
pub fn parse_pin(name: &str) -> Option<SnapshotId> {
    name.strip_prefix(PINS)?.parse().ok()
}

fn split_final(name: &str) -> (&str, bool) {
    match name.strip_suffix(GC_FINAL_ENDING) {
        Some(name) => (name, true),
        None => (name, false),
    }
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
