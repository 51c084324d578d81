//! The contract of [`Vfs`], sentence by sentence, for any implementation.
//!
//! What V3 and V4 promise of a power cut needs a disk that can lose it: `MemoryVfs` is asked in
//! `tests/promises/vfs_contract.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::vfs::{Entry, EntryKind, Vfs, VfsErrorKind, write_all};

/// An implementation and an empty folder in it.
pub struct VfsPlace {
    /// The implementation.
    pub vfs: Arc<dyn Vfs>,
    /// An empty folder that exists.
    pub dir: PathBuf,
    /// Puts a symbolic link, or what stands for one, at a path.
    pub plant_link: Box<dyn Fn(&Path)>,
}

/// Tests V1 to V12, each in a place of its own.
pub fn check_all(fresh: &dyn Fn() -> VfsPlace) {
    let sentences: [fn(&VfsPlace); 12] = [
        v1_create_new_refuses_whatever_is_there,
        v2_writes_append_in_order,
        v3_a_file_can_be_synced_open_and_by_path,
        v4_a_folder_can_be_synced,
        v5_publishing_has_one_winner_and_replaces_nothing,
        v6_replacing_takes_the_place_of_a_file,
        v7_reading_is_bounded,
        v8_a_range_is_whole_or_an_error,
        v9_listing_shows_everything_and_follows_nothing,
        v10_links_are_seen_and_not_followed,
        v11_unlink_removes_a_name_once,
        v12_create_dir_makes_one_folder,
    ];
    for sentence in sentences {
        sentence(&fresh());
    }
}

fn file(place: &VfsPlace, name: &str, bytes: &[u8]) -> PathBuf {
    let path = place.dir.join(name);
    let mut file = place.vfs.create_new(&path).unwrap();
    write_all(&mut *file, &path, bytes).unwrap();
    path
}

fn kind<T>(result: Result<T, crate::vfs::VfsError>) -> Option<VfsErrorKind> {
    result.err().map(|error| error.kind)
}

/// V1.
pub fn v1_create_new_refuses_whatever_is_there(place: &VfsPlace) {
    let path = file(place, "a", b"old");
    let again = place.vfs.create_new(&path);
    assert_eq!(kind(again), Some(VfsErrorKind::Exists), "V1");
    assert_eq!(place.vfs.read(&path, 9).unwrap(), b"old", "V1");
    let link = place.dir.join("link");
    (place.plant_link)(&link);
    let through = place.vfs.create_new(&link);
    assert_eq!(kind(through), Some(VfsErrorKind::Exists), "V1: a link");
    let orphan = place.vfs.create_new(&place.dir.join("none/x"));
    assert_eq!(kind(orphan), Some(VfsErrorKind::NotFound), "V1: no folder");
}

/// V2.
pub fn v2_writes_append_in_order(place: &VfsPlace) {
    let path = place.dir.join("a");
    let mut file = place.vfs.create_new(&path).unwrap();
    for piece in [&b"one "[..], b"", b"two ", b"three"] {
        write_all(&mut *file, &path, piece).unwrap();
    }
    drop(file);
    assert_eq!(place.vfs.read(&path, 99).unwrap(), b"one two three", "V2");
}

/// V3, as far as it can be asked without a power cut.
pub fn v3_a_file_can_be_synced_open_and_by_path(place: &VfsPlace) {
    let path = place.dir.join("a");
    let mut file = place.vfs.create_new(&path).unwrap();
    write_all(&mut *file, &path, b"bytes").unwrap();
    file.make_read_only().unwrap();
    file.sync().unwrap();
    drop(file);
    place.vfs.sync_file(&path).unwrap();
    let absent = place.vfs.sync_file(&place.dir.join("none"));
    assert_eq!(kind(absent), Some(VfsErrorKind::NotFound), "V3");
}

/// V4, likewise.
pub fn v4_a_folder_can_be_synced(place: &VfsPlace) {
    place.vfs.sync_dir(&place.dir).unwrap();
    let absent = place.vfs.sync_dir(&place.dir.join("none"));
    assert_eq!(kind(absent), Some(VfsErrorKind::NotFound), "V4");
}

/// V5.
pub fn v5_publishing_has_one_winner_and_replaces_nothing(place: &VfsPlace) {
    let to = place.dir.join("final");
    let names: Vec<String> = (0..8).map(|n| format!("temp-{n}")).collect();
    let files: Vec<PathBuf> = names.iter().map(|n| file(place, n, n.as_bytes())).collect();
    let vfs = &place.vfs;
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = files
            .iter()
            .map(|from| scope.spawn(|| kind(vfs.publish_no_replace(from, &to))))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let winners: Vec<usize> = (0..8).filter(|n| results[*n].is_none()).collect();
    assert_eq!(winners.len(), 1, "V5: one winner, {results:?}");
    let winner = winners[0];
    assert_eq!(vfs.read(&to, 99).unwrap(), names[winner].as_bytes(), "V5");
    assert_eq!(vfs.entry(&files[winner]).unwrap(), None, "V5: it moved");
    for loser in (0..8).filter(|n| *n != winner) {
        assert_eq!(results[loser], Some(VfsErrorKind::Exists), "V5");
        assert!(vfs.entry(&files[loser]).unwrap().is_some(), "V5: it stays");
    }
    let link = place.dir.join("link");
    (place.plant_link)(&link);
    let over = vfs.publish_no_replace(&files[(winner + 1) % 8], &link);
    assert_eq!(kind(over), Some(VfsErrorKind::Exists), "V5: a link");
}

/// V6.
pub fn v6_replacing_takes_the_place_of_a_file(place: &VfsPlace) {
    let (old, new) = (file(place, "old", b"old"), file(place, "new", b"new!"));
    place.vfs.replace(&new, &old).unwrap();
    assert_eq!(place.vfs.read(&old, 9).unwrap(), b"new!", "V6");
    assert_eq!(place.vfs.entry(&new).unwrap(), None, "V6");
    place.vfs.replace(&old, &new).unwrap();
    assert_eq!(place.vfs.read(&new, 9).unwrap(), b"new!", "V6: a free name");
}

/// V7.
pub fn v7_reading_is_bounded(place: &VfsPlace) {
    let path = file(place, "a", b"12345");
    assert_eq!(place.vfs.read(&path, 5).unwrap(), b"12345", "V7");
    let long = place.vfs.read(&path, 4);
    assert_eq!(kind(long), Some(VfsErrorKind::Other), "V7: too long");
    let absent = place.vfs.read(&place.dir.join("none"), 9);
    assert_eq!(kind(absent), Some(VfsErrorKind::NotFound), "V7");
    let folder = place.vfs.read(&place.dir, 9);
    assert_eq!(kind(folder), Some(VfsErrorKind::Other), "V7: a folder");
}

/// V8.
pub fn v8_a_range_is_whole_or_an_error(place: &VfsPlace) {
    let path = file(place, "a", b"12345");
    assert_eq!(place.vfs.read_at(&path, 1, 3).unwrap(), b"234", "V8");
    assert_eq!(place.vfs.read_at(&path, 5, 0).unwrap(), b"", "V8: the end");
    for (offset, bytes) in [(3, 3), (6, 0), (0, u64::MAX), (u64::MAX, 2)] {
        let short = place.vfs.read_at(&path, offset, bytes);
        assert_eq!(
            kind(short),
            Some(VfsErrorKind::Other),
            "V8: {offset} {bytes}"
        );
    }
    let absent = place.vfs.read_at(&place.dir.join("none"), 0, 1);
    assert_eq!(kind(absent), Some(VfsErrorKind::NotFound), "V8");
}

/// V9.
pub fn v9_listing_shows_everything_and_follows_nothing(place: &VfsPlace) {
    place.vfs.create_dir(&place.dir.join("sub")).unwrap();
    place.vfs.create_dir(&place.dir.join("sub/empty")).unwrap();
    file(place, "sub/b", b"22");
    file(place, "a", b"1");
    (place.plant_link)(&place.dir.join("sub/link"));
    let entry = |path: &str, kind, bytes| Entry {
        path: path.into(),
        kind,
        bytes,
    };
    let expected = [
        entry("a", EntryKind::File, 1),
        entry("sub", EntryKind::Folder, 0),
        entry("sub/b", EntryKind::File, 2),
        entry("sub/empty", EntryKind::Folder, 0),
        entry("sub/link", EntryKind::Foreign, 0),
    ];
    assert_eq!(place.vfs.list(&place.dir).unwrap(), expected, "V9");
    assert_eq!(
        place.vfs.list_folder(&place.dir).unwrap(),
        expected[..2],
        "V9"
    );
    let absent = place.vfs.list(&place.dir.join("none"));
    assert_eq!(kind(absent), Some(VfsErrorKind::NotFound), "V9");
}

/// V10.
pub fn v10_links_are_seen_and_not_followed(place: &VfsPlace) {
    let link = place.dir.join("link");
    assert_eq!(place.vfs.entry(&link).unwrap(), None, "V10");
    (place.plant_link)(&link);
    let entry = place.vfs.entry(&link).unwrap().unwrap();
    assert_eq!(entry.kind, EntryKind::Foreign, "V10");
    let read = place.vfs.read(&link, 9);
    assert_eq!(kind(read), Some(VfsErrorKind::Other), "V10: read");
    let range = place.vfs.read_at(&link, 0, 0);
    assert_eq!(kind(range), Some(VfsErrorKind::Other), "V10: range");
    let sync = place.vfs.sync_file(&link);
    assert_eq!(kind(sync), Some(VfsErrorKind::Other), "V10: sync");
}

/// V11.
pub fn v11_unlink_removes_a_name_once(place: &VfsPlace) {
    let path = file(place, "a", b"1");
    place.vfs.unlink(&path).unwrap();
    assert_eq!(place.vfs.entry(&path).unwrap(), None, "V11");
    let again = place.vfs.unlink(&path);
    assert_eq!(kind(again), Some(VfsErrorKind::NotFound), "V11");
    let link = place.dir.join("link");
    (place.plant_link)(&link);
    place.vfs.unlink(&link).unwrap();
    assert_eq!(place.vfs.list(&place.dir).unwrap(), [], "V11: the link");
}

/// V12.
pub fn v12_create_dir_makes_one_folder(place: &VfsPlace) {
    let path = place.dir.join("sub");
    place.vfs.create_dir(&path).unwrap();
    let again = place.vfs.create_dir(&path);
    assert_eq!(kind(again), Some(VfsErrorKind::Exists), "V12");
    let orphan = place.vfs.create_dir(&place.dir.join("none/sub"));
    assert_eq!(kind(orphan), Some(VfsErrorKind::NotFound), "V12");
    let link = place.dir.join("link");
    (place.plant_link)(&link);
    let over = place.vfs.create_dir(&link);
    assert_eq!(kind(over), Some(VfsErrorKind::Exists), "V12: a link");
}
