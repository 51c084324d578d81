//! Footers into the census: which copies there are, and what each takes of its pack.

use super::{Census, halves, int};
use crate::format::blob::Encoding;
use crate::format::footer::{BlobEntry, Footer};
use crate::model::id::PackId;
use crate::model::value::ValueRef;
use crate::sqlite::SqliteError;
use crate::store::StoreError;

/// How gladly copies are taken from a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Any copy.
    First,
    /// Where no such copy can be had.
    Second,
    /// Where none of those can be had.
    Last,
    /// Never: they are only counted.
    Never,
}

impl Tier {
    /// The rank of its whole copies; deltas come after them.
    fn rank(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => 2,
            Self::Last => 4,
            Self::Never => NEVER_RANK,
        }
    }
}

/// Copies of this rank, and behind, are never taken.
pub(super) const NEVER_RANK: u64 = 6;

/// What each blob of a frame takes of the frame's `stored` bytes, by the length of its encoding.
/// Together exactly all of them.
pub(super) fn shares(stored: u64, encoded: &[u64]) -> Vec<u64> {
    let sum: u128 = encoded.iter().map(|bytes| u128::from(*bytes)).sum();
    let count = encoded.len() as u128;
    let (mut before, mut given) = (0_u128, 0_u64);
    let part = |bytes: &u64| {
        // Where nothing has a length, all take the same.
        before += if sum == 0 { 1 } else { u128::from(*bytes) };
        let upto = u128::from(stored) * before / if sum == 0 { count } else { sum };
        let upto = u64::try_from(upto).unwrap_or(stored);
        let share = upto - given;
        given = upto;
        share
    };
    encoded.iter().map(part).collect()
}

impl Census {
    /// Takes in a pack; `None` for a footer that cannot be read.
    pub(in crate::store) fn add_pack(
        &self,
        id: &PackId,
        bytes: u64,
        footer: Option<&Footer>,
        tier: Tier,
    ) -> Result<(), StoreError> {
        self.take_pack(id, bytes, footer, tier)
            .map_err(StoreError::Census)
    }

    fn take_pack(
        &self,
        id: &PackId,
        bytes: u64,
        footer: Option<&Footer>,
        tier: Tier,
    ) -> Result<(), SqliteError> {
        self.run(
            "INSERT INTO packs(id, bytes, readable, tier, overhead) VALUES(?, ?, ?, ?, 0)",
            &[
                ValueRef::Blob(&id.0),
                int(bytes),
                int(u64::from(footer.is_some())),
                int(tier as u64),
            ],
        )?;
        let pack = self.db.last_insert_rowid();
        let mut blobs: Vec<&BlobEntry> = footer.iter().flat_map(|f| &f.blobs).collect();
        blobs.sort_by_key(|blob| (blob.frame, blob.offset));
        let mut in_frames = 0_u64;
        for frame in blobs.chunk_by(|a, b| a.frame == b.frame) {
            let at = frame.first().map_or(0, |blob| blob.frame as usize);
            let stored = footer
                .and_then(|footer| footer.frames.get(at))
                .map_or(0, |frame| u64::from(frame.stored_bytes));
            let encoded: Vec<u64> = frame.iter().map(|b| u64::from(b.encoded_bytes)).collect();
            for (blob, share) in frame.iter().zip(shares(stored, &encoded)) {
                self.take_copy(pack, blob, share, tier)?;
            }
            in_frames += stored;
        }
        if footer.is_some() {
            self.run(
                "UPDATE packs SET overhead = ? WHERE n = ?",
                &[
                    int(bytes.saturating_sub(in_frames)),
                    ValueRef::Integer(pack),
                ],
            )?;
        }
        Ok(())
    }

    fn take_copy(
        &self,
        pack: i64,
        blob: &BlobEntry,
        stored: u64,
        tier: Tier,
    ) -> Result<(), SqliteError> {
        let (head, tail) = halves(&blob.id);
        let delta = blob.encoding == Encoding::Delta;
        // As a reader tries them.
        let rank = tier.rank() + u64::from(delta);
        self.run(
            "INSERT INTO copies(blob, pack, rank, delta, canonical, stored) VALUES(0, ?, ?, ?, ?, ?)",
            &[
                ValueRef::Integer(pack),
                int(rank),
                int(delta.into()),
                int(blob.canonical_bytes.into()),
                int(stored),
            ],
        )?;
        let copy = ValueRef::Integer(self.db.last_insert_rowid());
        for (place, base) in blob.bases.iter().enumerate() {
            self.run(
                "INSERT INTO bases(copy, place, head) VALUES(?, ?, ?)",
                &[copy, int(place as u64), ValueRef::Blob(base)],
            )?;
        }
        if tier == Tier::Never {
            self.run(
                "INSERT INTO blobs(kind, head, tail) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
                &[
                    int(blob.kind as u64),
                    ValueRef::Blob(head),
                    ValueRef::Blob(tail),
                ],
            )?;
            return self.belongs(copy, blob);
        }
        self.run(
            "INSERT INTO blobs(kind, head, tail, rank, copy, delta, canonical, stored)
             VALUES(?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT(kind, head, tail) DO UPDATE SET rank = excluded.rank,
               copy = excluded.copy, delta = excluded.delta, canonical = excluded.canonical,
               stored = excluded.stored
             WHERE blobs.rank IS NULL OR excluded.rank < blobs.rank",
            &[
                int(blob.kind as u64),
                ValueRef::Blob(head),
                ValueRef::Blob(tail),
                int(rank),
                copy,
                int(delta.into()),
                int(blob.canonical_bytes.into()),
                int(stored),
            ],
        )?;
        self.belongs(copy, blob)
    }

    /// Says of which blob a copy is.
    fn belongs(&self, copy: ValueRef<'_>, blob: &BlobEntry) -> Result<(), SqliteError> {
        let (head, tail) = halves(&blob.id);
        self.run(
            "UPDATE copies SET blob = (SELECT n FROM blobs WHERE kind = ? AND head = ? AND tail = ?)
              WHERE n = ?",
            &[
                int(blob.kind as u64),
                ValueRef::Blob(head),
                ValueRef::Blob(tail),
                copy,
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_frame_add_up_to_it() {
        assert_eq!(shares(100, &[1, 1, 1]), [33, 33, 34]);
        assert_eq!(shares(7, &[0, 0]), [3, 4]);
        assert_eq!(shares(7, &[0, 5]), [0, 7]);
        assert!(shares(7, &[]).is_empty());
        for stored in [0, 1, 99, u64::from(u32::MAX)] {
            let encoded = [3, 0, u64::from(u32::MAX), 17, 1];
            assert_eq!(shares(stored, &encoded).iter().sum::<u64>(), stored);
        }
    }
}
