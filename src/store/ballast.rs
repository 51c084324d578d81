//! The ballast: bytes without meaning that a store keeps, so that on a full disk there is room for the
//! few records with which a clean-up makes more.

use super::Store;
use super::error::StoreError;
use crate::backend::BackendErrorKind;
use crate::format::name;

/// What the smallest file takes of a disk, as a rule.
const BLOCK_BYTES: u64 = 4096;
/// A store of fewer bytes keeps none: it would be a burden.
const STORE_BYTES_MIN: u64 = 1 << 20;
/// Ballast of a small store: eight records of one block each.
const SMALL_BYTES: u64 = 32 << 10;
/// From here on a store keeps [`LARGE_BYTES`].
const LARGE_STORE_BYTES: u64 = 100 << 20;
/// Ballast of a large store: room for the names of 12,000 packs, twice.
const LARGE_BYTES: u64 = 1 << 20;

/// What of a ballast a mark that a snapshot is forgotten leaves: the mark frees nothing, and the records of
/// the clean-up that does must have room then. A whole ballast gives three eighths; a smaller one a fifth each time,
/// down to three eighths. `None`: it gives nothing.
///
/// A ballast that takes what a clean-up has freed must give some of it again: else nothing more could be
/// forgotten, and no clean-up would free more.
fn left_to_clean_up(ballast_bytes: u64) -> Option<u64> {
    let whole = match ballast_bytes {
        0..=SMALL_BYTES => SMALL_BYTES,
        _ => LARGE_BYTES,
    };
    let left = match ballast_bytes > whole / 8 * 5 {
        true => whole / 8 * 5,
        false => (ballast_bytes / 5 * 4 / BLOCK_BYTES * BLOCK_BYTES).max(whole / 8 * 3),
    };
    (left < ballast_bytes).then_some(left)
}

/// What a store of so many bytes should keep.
fn wanted(store_bytes: u64) -> u64 {
    match store_bytes {
        0..STORE_BYTES_MIN => 0,
        STORE_BYTES_MIN..LARGE_STORE_BYTES => SMALL_BYTES,
        _ => LARGE_BYTES,
    }
}

impl Store {
    /// Does what writes a small object; where there is no space for it, the ballast makes some.
    pub(super) fn with_room<T>(
        &self,
        work: impl Fn() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match work() {
            Err(error) if error.is_no_space() => {
                match self.backend.delete(name::BALLAST) {
                    Ok(()) => work(),
                    // There is none: the first error says what is wrong.
                    Err(_) => Err(error),
                }
            }
            done => done,
        }
    }

    /// The same for what frees nothing by itself: a part of the ballast stays.
    pub(super) fn with_some_room<T>(
        &self,
        work: impl Fn() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match work() {
            Err(error) if error.is_no_space() => {
                let there = self.backend.list("")?;
                let ballast = there.iter().find(|object| object.name == name::BALLAST);
                let bytes = ballast.map_or(0, |ballast| ballast.bytes);
                let Some(left) = left_to_clean_up(bytes) else {
                    return Err(error);
                };
                self.backend.delete(name::BALLAST)?;
                self.put_ballast(left);
                work()
            }
            done => done,
        }
    }

    /// Puts the ballast in its place, if the store is large enough to need one and there is space. That
    /// it could not is no error: it matters only once something else has gone wrong.
    pub fn keep_ballast(&self) {
        let Ok(objects) = self.backend.list("") else {
            return;
        };
        let is_ballast = |object: &&crate::backend::ObjectInfo| object.name == name::BALLAST;
        let there = objects.iter().find(is_ballast).map(|object| object.bytes);
        let all = objects.iter().map(|object| object.bytes).sum::<u64>();
        let wanted = wanted(all.saturating_sub(there.unwrap_or(0)));
        if there.unwrap_or(0) >= wanted {
            return;
        }
        if there.is_some() && self.backend.delete(name::BALLAST).is_err() {
            return;
        }
        // Where there is no room for all of it: less, down to a mark and the three records of a small clean-up.
        for bytes in [wanted, wanted / 8 * 5, SMALL_BYTES / 8 * 4] {
            if self.put_ballast(bytes) {
                return;
            }
        }
    }

    /// Whether there is a ballast now.
    fn put_ballast(&self, bytes: u64) -> bool {
        // Random ones: there is no file system that makes them smaller.
        let mut random = vec![0; usize::try_from(bytes).unwrap_or(0)];
        self.env.fill_random(&mut random);
        match self.backend.put_new(name::BALLAST, &random) {
            Ok(()) => self.backend.barrier().is_ok(),
            // A process beside this one has put its own; either will do.
            Err(error) => error.kind == BackendErrorKind::Exists,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ballast_that_is_put_gives_room_for_a_mark_and_keeps_some_for_a_clean_up() {
        for wanted in [SMALL_BYTES, LARGE_BYTES] {
            for put in [wanted, wanted / 8 * 5, SMALL_BYTES / 8 * 4] {
                let left = left_to_clean_up(put).unwrap();
                assert!(
                    (12 << 10..=put - BLOCK_BYTES).contains(&left),
                    "{put}: {left}"
                );
            }
        }
        assert_eq!(left_to_clean_up(12 << 10), None);
        assert_eq!(left_to_clean_up(0), None);
    }
}
