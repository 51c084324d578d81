//! Deltas and what they stand on: which copy of each blob can be had, how deep it lies, and who
//! needs its bases.
//!
//! A delta can be had if all of its bases can: the least fixpoint counts, so those that lead
//! nowhere or in a circle cannot. It lies one deeper than the deepest of its bases.

use super::load::NEVER_RANK;
use super::{Census, int};
use crate::format::delta::DELTA_DEPTH_MAX;
use crate::model::value::ValueRef;
use crate::sqlite::SqliteError;
use crate::store::StoreError;
use crate::store::chain::TRIES_MAX;

/// True if all that a copy stands on can be had, and within the bounds of a reader: depths below
/// `?1`, copies to read below `?2`. A whole copy stands on nothing.
macro_rules! can_be_had {
    ($copy:literal) => {
        concat!(
            "(SELECT count(*) = count(h.depth) AND coalesce(max(h.depth) < ?1, 1)
                AND coalesce(sum(h.reads) < ?2, 1)
               FROM bases s LEFT JOIN blobs h ON h.n = s.base WHERE s.copy = ",
            $copy,
            ")"
        )
    };
}

impl Census {
    /// Once all packs are in: which blobs each delta stands on, and how deep. Those that cannot be
    /// had stay without a depth.
    pub fn chains(&self) -> Result<(), StoreError> {
        self.find_chains().map_err(StoreError::Census)
    }

    fn find_chains(&self) -> Result<(), SqliteError> {
        self.run(
            // Two ids with one head do not happen by chance; the first is as good as the other.
            "UPDATE bases SET base = (SELECT min(b.n) FROM blobs b WHERE b.head = bases.head AND
               b.kind = (SELECT d.kind FROM copies c JOIN blobs d ON d.n = c.blob
                          WHERE c.n = bases.copy))",
            &[],
        )?;
        self.run(
            "INSERT OR IGNORE INTO stands SELECT d.n, s.base
               FROM blobs d JOIN bases s ON s.copy = d.copy WHERE s.base IS NOT NULL",
            &[],
        )?;
        loop {
            self.run(
                "UPDATE blobs SET depth = 0, reads = 1
                  WHERE depth IS NULL AND NOT delta AND rank IS NOT NULL",
                &[],
            )?;
            for depth in 1..=DELTA_DEPTH_MAX {
                self.settle(depth)?;
            }
            // Every copy taken now can be had, so it ends; and each time round those that this
            // settles lie deeper, so it ends soon.
            if !self.take_other_copies()? {
                break;
            }
        }
        self.find_whole()
    }

    /// Gives deltas their depth if all their bases have theirs, and one of these is next to `depth`.
    fn settle(&self, depth: u8) -> Result<(), SqliteError> {
        self.run(
            concat!(
                "UPDATE blobs AS d SET (depth, reads) = (SELECT max(h.depth) + 1, sum(h.reads) + 1
                   FROM bases s JOIN blobs h ON h.n = s.base WHERE s.copy = d.copy)
                  WHERE d.depth IS NULL AND d.n IN (SELECT s.delta
                      FROM blobs b CROSS JOIN stands s ON s.base = b.n WHERE b.depth = ?3 - 1)
                    AND ",
                can_be_had!("d.copy")
            ),
            &[
                int(DELTA_DEPTH_MAX.into()),
                int(TRIES_MAX.into()),
                int(depth.into()),
            ],
        )
    }

    /// Where the copy that comes first cannot be had but another can, that one is taken, as a
    /// reader does. True if that happened.
    fn take_other_copies(&self) -> Result<bool, SqliteError> {
        self.run("DELETE FROM taken", &[])?;
        self.run(
            concat!(
                // Beside min(), SQLite gives the other columns of the row that has it.
                "INSERT INTO taken SELECT blob, copy FROM
                   (SELECT d.n AS blob, c.n AS copy, min((c.rank << 32) + c.n)
                      FROM blobs d CROSS JOIN copies c ON c.blob = d.n
                     WHERE d.depth IS NULL AND d.rank IS NOT NULL AND c.rank < ?3 AND ",
                can_be_had!("c.n"),
                " GROUP BY d.n)"
            ),
            &[
                int(DELTA_DEPTH_MAX.into()),
                int(TRIES_MAX.into()),
                int(NEVER_RANK),
            ],
        )?;
        if self.db.changes() == 0 {
            return Ok(false);
        }
        for sql in [
            "UPDATE blobs SET copy = c.n, rank = c.rank, delta = c.delta,
                 canonical = c.canonical, stored = c.stored
               FROM taken t JOIN copies c ON c.n = t.copy WHERE blobs.n = t.blob",
            "DELETE FROM stands WHERE delta IN (SELECT blob FROM taken)",
            "INSERT OR IGNORE INTO stands SELECT t.blob, s.base
               FROM taken t JOIN bases s ON s.copy = t.copy",
        ] {
            self.run(sql, &[])?;
        }
        Ok(true)
    }

    /// Which whole blobs each delta stands on in the end: those of its bases.
    fn find_whole(&self) -> Result<(), SqliteError> {
        for depth in 1..=DELTA_DEPTH_MAX {
            self.run(
                "INSERT OR IGNORE INTO footing SELECT d.n, coalesce(f.whole, s.base)
                   FROM blobs d CROSS JOIN stands s ON s.delta = d.n
                   LEFT JOIN footing f ON f.delta = s.base WHERE d.depth = ?",
                &[int(depth.into())],
            )?;
        }
        Ok(())
    }

    /// Once all snapshots are marked: every base of a delta is needed by whoever needs the delta,
    /// and its bases in turn. What is below a base that is a node is not needed for that.
    pub fn need_bases(&self) -> Result<(), StoreError> {
        self.spread_need().map_err(StoreError::Census)
    }

    pub(super) fn spread_need(&self) -> Result<(), SqliteError> {
        // Those that cannot be had first: what there is of their bases may have a depth. They
        // may lead in a circle; nobody follows them further than a reader would.
        for _ in 0..2 * DELTA_DEPTH_MAX {
            self.need_bases_of(ValueRef::Null)?;
            if self.db.changes() == 0 {
                break;
            }
        }
        // Then from the ends of chains to their whole blobs: a base is less deep.
        for depth in (1..=DELTA_DEPTH_MAX).rev() {
            self.need_bases_of(int(depth.into()))?;
        }
        Ok(())
    }

    /// Marks the bases of the deltas that lie so deep, where they are not marked yet.
    fn need_bases_of(&self, depth: ValueRef<'_>) -> Result<(), SqliteError> {
        self.run(
            "UPDATE blobs AS b SET need = coalesce(b.need, m.low),
                 shared = max(b.shared, m.shared, coalesce(b.need <> m.low, 0))
               FROM (SELECT s.base AS base, min(d.need) AS low,
                            max(d.shared) OR min(d.need) <> max(d.need) AS shared
                       FROM blobs d CROSS JOIN stands s ON s.delta = d.n
                      WHERE d.depth IS ? AND d.need IS NOT NULL GROUP BY s.base) m
              WHERE b.n = m.base AND (b.need IS NULL
                    OR NOT b.shared AND (m.shared OR b.need <> m.low))",
            &[depth],
        )
    }
}
