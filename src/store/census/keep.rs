//! What a clean-up keeps: of each blob that is needed one copy, with the copies that it stands on.
//! Rules G2 and G6: store-format.md, "Write order".

use std::collections::BTreeSet;

use super::load::NEVER_RANK;
use super::{Census, int, kind_of};
use crate::format::blob::BlobKind;
use crate::model::id::{BlobId, PackId};
use crate::model::value::ValueRef;
use crate::sqlite::{Row, SqliteError};
use crate::store::StoreError;
use crate::store::rules::{Rule, Rules};

/// A pack, and what of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackUse {
    /// The pack.
    pub id: PackId,
    /// Its length.
    pub bytes: u64,
    /// True if its footer can be read.
    pub readable: bool,
    /// Copies in it.
    pub copies: u64,
    /// Those that are kept.
    pub kept: u64,
    /// What of the pack's bytes those take.
    pub kept_bytes: u64,
    /// Blobs that can be had from no copy, of which this pack has one.
    pub broken: u64,
}

/// A copy that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCopy {
    /// Its number: copies are asked for by it.
    pub number: i64,
    /// Kind of the blob.
    pub kind: BlobKind,
    /// The blob.
    pub id: BlobId,
    /// What it takes of its pack.
    pub stored_bytes: u64,
    /// Deltas between it and a whole copy, on the longest way; 0 for a whole one.
    pub depth: u8,
    /// The bases of a delta, in order; none for a whole copy.
    pub bases: Vec<BlobId>,
}

pub(super) fn id_of(row: Row<'_>, column: usize) -> Result<BlobId, SqliteError> {
    let mut id = [0; 32];
    let halves = id.split_at_mut(16);
    for (half, at) in [(halves.0, column), (halves.1, column + 1)] {
        // The census holds nothing else.
        if let Some(bytes) = row.bytes(at)?.filter(|bytes| bytes.len() == 16) {
            half.copy_from_slice(bytes);
        }
    }
    Ok(BlobId(id))
}

impl Census {
    /// Once all that is needed has been entered: which copies are kept. Needed is what was reached,
    /// which carries what is below it, and every base of what is kept, which carries its own bases
    /// only. Of what cannot be had all copies are kept, so that a repair has something left.
    pub(in crate::store) fn keep(&self, rules: Rules) -> Result<(), StoreError> {
        self.keep_needed(rules).map_err(StoreError::Census)
    }

    fn keep_needed(&self, rules: Rules) -> Result<(), SqliteError> {
        self.run("UPDATE blobs SET need = 0 WHERE reached = 1", &[])?;
        if rules.choose_otherwise() {
            self.take_a_delta()?;
        }
        let need_bases = || match rules.hold(Rule::MarkBases) {
            true => self.spread_need(),
            false => Ok(()),
        };
        need_bases()?;
        while rules.hold(Rule::KeepBroken) {
            self.run(
                "INSERT OR IGNORE INTO kept SELECT c.n FROM blobs b JOIN copies c ON c.blob = b.n
                  WHERE b.need IS NOT NULL AND b.depth IS NULL",
                &[],
            )?;
            let more = self.db.changes();
            self.run(
                "UPDATE blobs SET need = 0 WHERE need IS NULL AND n IN
                   (SELECT s.base FROM kept k JOIN bases s ON s.copy = k.copy)",
                &[],
            )?;
            if more + self.db.changes() == 0 {
                break;
            }
            need_bases()?;
        }
        let homes = match rules.hold(Rule::KeepFixpoint) {
            true => {
                // One that a repair has found elsewhere has no copy here.
                "INSERT OR IGNORE INTO kept SELECT copy FROM blobs
                  WHERE need IS NOT NULL AND depth IS NOT NULL AND copy IS NOT NULL"
            }
            false => {
                // Any one copy, and of several a delta.
                "INSERT OR IGNORE INTO kept SELECT n FROM (SELECT c.n AS n, max(c.delta)
                   FROM copies c JOIN blobs b ON b.n = c.blob WHERE b.need IS NOT NULL GROUP BY b.n)"
            }
        };
        self.run(homes, &[])
    }

    /// Takes a delta of one blob in place of a whole copy: another choice that is as good.
    fn take_a_delta(&self) -> Result<(), SqliteError> {
        self.run("DELETE FROM taken", &[])?;
        self.run(
            "INSERT INTO taken SELECT c.blob, c.n FROM copies c JOIN blobs b ON b.n = c.blob
               JOIN bases s ON s.copy = c.n JOIN blobs h ON h.n = s.base
              WHERE b.reached = 1 AND b.depth = 0 AND h.depth = 0 AND c.rank < ? LIMIT 1",
            &[int(NEVER_RANK)],
        )?;
        self.run(
            "UPDATE blobs SET copy = t.copy, delta = 1, depth = 1
               FROM taken t WHERE blobs.n = t.blob",
            &[],
        )?;
        self.run(
            "INSERT OR IGNORE INTO stands SELECT t.blob, s.base FROM taken t
               JOIN bases s ON s.copy = t.copy",
            &[],
        )
    }

    /// All packs with what of them is kept, by name.
    pub(in crate::store) fn pack_uses(&self) -> Result<Vec<PackUse>, StoreError> {
        let mut uses = Vec::new();
        let mut each = || {
            self.db.for_each(
                "SELECT p.id, p.bytes, p.readable, count(c.n), count(k.copy),
                        coalesce(sum(iif(k.copy IS NULL, 0, c.stored)), 0),
                        coalesce(sum(k.copy IS NOT NULL AND b.depth IS NULL), 0)
                   FROM packs p LEFT JOIN copies c ON c.pack = p.n LEFT JOIN blobs b ON b.n = c.blob
                   LEFT JOIN kept k ON k.copy = c.n GROUP BY p.n ORDER BY p.id",
                &[],
                |row| {
                    let number = |at| Ok::<_, SqliteError>(row.integer(at)?.cast_unsigned());
                    let id = row.bytes(0)?.unwrap_or_default();
                    uses.push(PackUse {
                        id: PackId(id.try_into().unwrap_or([0; 32])),
                        bytes: number(1)?,
                        readable: number(2)? == 1,
                        copies: number(3)?,
                        kept: number(4)?,
                        kept_bytes: number(5)?,
                        broken: number(6)?,
                    });
                    Ok(())
                },
            )
        };
        each().map_err(StoreError::Census)?;
        Ok(uses)
    }

    /// True if a delta of some pack stands on the blob.
    pub(in crate::store) fn is_base(&self, blob: super::Number) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM stands WHERE base = ?)";
        let [found] = self.row(sql, &[blob.value()]).map_err(StoreError::Census)?;
        Ok(found == 1)
    }

    /// Packs of a list that hold copies of what was reached and of which no other pack has a copy.
    pub(in crate::store) fn only_homes(
        &self,
        packs: &BTreeSet<PackId>,
    ) -> Result<Vec<PackId>, StoreError> {
        let packs: Vec<PackId> = packs.iter().copied().collect();
        self.choose(&packs)?;
        let mut homes = Vec::new();
        let each = self.db.for_each(
            "SELECT DISTINCT p.id FROM chosen h JOIN packs p ON p.n = h.pack
               JOIN copies c ON c.pack = p.n JOIN blobs b ON b.n = c.blob
              WHERE b.reached = 1 AND NOT EXISTS (SELECT 1 FROM copies o
                      WHERE o.blob = b.n AND o.pack NOT IN (SELECT pack FROM chosen))",
            &[],
            |row| {
                let id = row.bytes(0)?.unwrap_or_default();
                homes.push(PackId(id.try_into().unwrap_or([0; 32])));
                Ok(())
            },
        );
        each.map_err(StoreError::Census)?;
        Ok(homes)
    }

    /// Packs with a kept copy of a blob that other packs have copies of as well: these may go because of
    /// it. With their lengths.
    pub(in crate::store) fn chosen_among_several(&self) -> Result<Vec<(PackId, u64)>, StoreError> {
        let mut packs = Vec::new();
        let each = self.db.for_each(
            "SELECT DISTINCT p.id, p.bytes FROM kept k JOIN copies c ON c.n = k.copy
               JOIN packs p ON p.n = c.pack JOIN blobs b ON b.n = c.blob
              WHERE b.depth IS NOT NULL AND EXISTS
                    (SELECT 1 FROM copies o WHERE o.blob = c.blob AND o.pack <> c.pack)",
            &[],
            |row| {
                let id = row.bytes(0)?.unwrap_or_default();
                let id = PackId(id.try_into().unwrap_or([0; 32]));
                packs.push((id, row.integer(1)?.cast_unsigned()));
                Ok(())
            },
        );
        each.map_err(StoreError::Census)?;
        Ok(packs)
    }

    /// Needed blobs that can be had from no copy.
    pub(in crate::store) fn broken(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM blobs WHERE need IS NOT NULL AND depth IS NULL";
        let [count] = self.row(sql, &[]).map_err(StoreError::Census)?;
        Ok(count)
    }

    /// Marks packs whose kept copies are to be had from [`Census::kept_copies`].
    pub(in crate::store) fn choose(&self, packs: &[PackId]) -> Result<(), StoreError> {
        let choose = || {
            self.db
                .execute("CREATE TABLE chosen(pack INTEGER PRIMARY KEY)")?;
            packs.iter().try_for_each(|id| {
                self.run(
                    "INSERT OR IGNORE INTO chosen SELECT n FROM packs WHERE id = ?",
                    &[ValueRef::Blob(&id.0)],
                )
            })
        };
        choose().map_err(StoreError::Census)
    }

    /// Kept copies of the chosen packs, each after those that it stands on; at most `max`, those that
    /// come after `last`.
    pub(in crate::store) fn kept_copies(
        &self,
        last: Option<&KeptCopy>,
        max: u64,
    ) -> Result<Vec<KeptCopy>, StoreError> {
        let read = || {
            let mut copies = Vec::new();
            let (depth, number) = last.map_or((0, -1), |copy| (copy.depth.into(), copy.number));
            self.db.for_each_cached(
                "SELECT c.n, b.kind, b.head, b.tail, b.depth, c.stored
                   FROM chosen p JOIN copies c ON c.pack = p.pack JOIN kept k ON k.copy = c.n
                   JOIN blobs b ON b.n = c.blob
                  WHERE b.copy = c.n AND b.depth IS NOT NULL AND (b.depth, c.n) > (?, ?)
                  ORDER BY b.depth, c.n LIMIT ?",
                &[int(depth), ValueRef::Integer(number), int(max)],
                |row| {
                    copies.push(KeptCopy {
                        number: row.integer(0)?,
                        kind: kind_of(row.integer(1)?.cast_unsigned()),
                        id: id_of(row, 2)?,
                        stored_bytes: row.integer(5)?.cast_unsigned(),
                        depth: u8::try_from(row.integer(4)?).unwrap_or(u8::MAX),
                        bases: Vec::new(),
                    });
                    Ok(())
                },
            )?;
            for copy in &mut copies {
                self.db.for_each_cached(
                    "SELECT b.head, b.tail FROM bases s JOIN blobs b ON b.n = s.base
                      WHERE s.copy = ? ORDER BY s.place",
                    &[ValueRef::Integer(copy.number)],
                    |row| {
                        copy.bases.push(id_of(row, 0)?);
                        Ok(())
                    },
                )?;
            }
            Ok(copies)
        };
        read().map_err(StoreError::Census)
    }
}
