//! What a census says: sums over copies, blobs, snapshots and tables.

use super::figures::{
    Chains, DamagedBlob, Figures, KindFigures, PackFigures, SnapshotUse, TableFigures, Uses,
};
use super::{Census, TableSort, int, kind_of};
use crate::format::blob::BlobKind;
use crate::model::id::BlobId;
use crate::model::value::ValueRef;
use crate::sqlite::{Row, SqliteError};
use crate::store::StoreError;

/// An integer that is never negative; none for NULL, as sums over nothing are.
fn number(row: Row<'_>, column: usize) -> Result<u64, SqliteError> {
    match row.value(column)? {
        ValueRef::Integer(v) => Ok(u64::try_from(v).unwrap_or_default()),
        _ => Ok(0),
    }
}

/// Count, canonical and stored bytes, from this column on.
fn figures(row: Row<'_>, column: usize) -> Result<Figures, SqliteError> {
    Ok(Figures {
        blobs: number(row, column)?,
        canonical_bytes: number(row, column + 1)?,
        stored_bytes: number(row, column + 2)?,
    })
}

impl Census {
    /// Rows of a question.
    fn each(
        &self,
        sql: &str,
        values: &[ValueRef<'_>],
        each: impl FnMut(Row<'_>) -> Result<(), SqliteError>,
    ) -> Result<(), StoreError> {
        self.db
            .for_each(sql, values, each)
            .map_err(StoreError::Census)
    }

    /// All copies, by kind and whether they are deltas.
    pub fn kinds(&self) -> Result<Vec<KindFigures>, StoreError> {
        let mut kinds = Vec::new();
        self.each(
            "SELECT b.kind, c.delta, count(*), sum(c.canonical), sum(c.stored)
               FROM copies c JOIN blobs b ON b.n = c.blob GROUP BY b.kind, c.delta",
            &[],
            |row| {
                kinds.push(KindFigures {
                    kind: kind_of(number(row, 0)?),
                    delta: number(row, 1)? == 1,
                    figures: figures(row, 2)?,
                });
                Ok(())
            },
        )?;
        Ok(kinds)
    }

    /// The packs.
    pub fn packs(&self) -> Result<PackFigures, StoreError> {
        let mut packs = PackFigures::default();
        self.each(
            "SELECT count(*), sum(bytes), sum(overhead), sum(not readable),
                    sum(iif(readable, 0, bytes)) FROM packs",
            &[],
            |row| {
                packs.packs = number(row, 0)?;
                packs.bytes = number(row, 1)?;
                packs.overhead_bytes = number(row, 2)?;
                packs.unreadable = number(row, 3)?;
                packs.unreadable_bytes = number(row, 4)?;
                Ok(())
            },
        )?;
        self.each(
            "SELECT count(*), sum(bytes) FROM packs WHERE readable AND n NOT IN
               (SELECT c.pack FROM blobs b JOIN copies c ON c.n = b.copy WHERE b.need IS NOT NULL)",
            &[],
            |row| {
                packs.garbage = number(row, 0)?;
                packs.garbage_bytes = number(row, 1)?;
                Ok(())
            },
        )?;
        Ok(packs)
    }

    /// All copies, by what they are there for.
    pub fn uses(&self) -> Result<Uses, StoreError> {
        let mut uses = Uses::default();
        self.each(
            "SELECT CASE WHEN b.need IS NULL THEN 3 WHEN b.copy <> c.n THEN 2
                         WHEN b.reached THEN 0 ELSE 1 END AS use,
                    count(*), sum(c.canonical), sum(c.stored)
               FROM copies c JOIN blobs b ON b.n = c.blob GROUP BY use",
            &[],
            |row| {
                let figures = figures(row, 1)?;
                match number(row, 0)? {
                    0 => uses.reached = figures,
                    1 => uses.bases = figures,
                    2 => uses.duplicates = figures,
                    _ => uses.garbage = figures,
                }
                Ok(())
            },
        )?;
        Ok(uses)
    }

    /// Leaves and chunks that snapshots reach: records and large values, each once.
    pub fn contents(&self) -> Result<Figures, StoreError> {
        let mut contents = Figures::default();
        self.each(
            "SELECT count(*), sum(canonical), sum(stored) FROM blobs
              WHERE reached AND rank IS NOT NULL AND kind IN (?, ?)",
            &[int(BlobKind::Leaf as u64), int(BlobKind::Chunk as u64)],
            |row| {
                contents = figures(row, 0)?;
                Ok(())
            },
        )?;
        Ok(contents)
    }

    /// Bytes of the large values of a snapshot, each in full.
    pub fn large_bytes(&self, snapshot: u64) -> Result<u64, StoreError> {
        self.row(
            "SELECT CAST(min(total(b.large), 4e18) AS INTEGER)
               FROM entities e JOIN blobs b ON b.n = e.blob WHERE e.snapshot = ?",
            &[int(snapshot)],
        )
        .map(|[bytes]| bytes)
        .map_err(StoreError::Census)
    }

    /// What only one snapshot needs: its number, and how much.
    pub fn alone(&self) -> Result<Vec<(u64, Figures)>, StoreError> {
        let mut alone = Vec::new();
        self.each(
            "SELECT need, count(*), sum(canonical), sum(stored) FROM blobs
              WHERE need IS NOT NULL AND NOT shared AND rank IS NOT NULL GROUP BY need",
            &[],
            |row| {
                alone.push((number(row, 0)?, figures(row, 1)?));
                Ok(())
            },
        )?;
        Ok(alone)
    }

    /// What the snapshot needs that tables were assigned for.
    pub fn snapshot_use(&self) -> Result<SnapshotUse, StoreError> {
        let mut all = SnapshotUse::default();
        self.each(
            "WITH RECURSIVE below(n) AS (
               SELECT s.base FROM blobs b JOIN stands s ON s.delta = b.n WHERE b.tab IS NOT NULL
               UNION SELECT s.base FROM below JOIN stands s ON s.delta = below.n)
             SELECT tab IS NULL, shared, count(*), sum(canonical), sum(stored) FROM blobs
              WHERE rank IS NOT NULL AND (tab IS NOT NULL OR n IN below)
              GROUP BY tab IS NULL, shared",
            &[],
            |row| {
                let figures = figures(row, 2)?;
                let whose = match number(row, 0)? {
                    0 => &mut all.reached,
                    _ => &mut all.bases,
                };
                *whose = whose.plus(figures);
                let whose = match number(row, 1)? {
                    0 => &mut all.alone,
                    _ => &mut all.shared,
                };
                *whose = whose.plus(figures);
                Ok(())
            },
        )?;
        Ok(all)
    }

    /// Chains of deltas.
    pub fn delta_chains(&self) -> Result<Chains, StoreError> {
        let mut chains = Chains::default();
        self.each(
            "SELECT count(*), sum(versions), max(versions), max(deepest) FROM
               (SELECT count(*) AS versions, max(d.depth) AS deepest
                  FROM footing f JOIN blobs d ON d.n = f.delta
                 WHERE d.need IS NOT NULL GROUP BY f.whole)",
            &[],
            |row| {
                chains.bases = number(row, 0)?;
                chains.versions = number(row, 1)?;
                chains.versions_max = number(row, 2)?;
                chains.depth_max = number(row, 3)?;
                Ok(())
            },
        )?;
        self.each(
            "WITH RECURSIVE below(n) AS (
               SELECT blob FROM entities WHERE snapshot = 0 AND blob IS NOT NULL
               UNION SELECT e.child FROM below JOIN edges e ON e.parent = below.n)
             SELECT count(*), sum(depth) FROM below JOIN blobs USING (n)",
            &[],
            |row| {
                chains.newest_blobs = number(row, 0)?;
                chains.newest_depths = number(row, 1)?;
                Ok(())
            },
        )?;
        Ok(chains)
    }

    /// What is counted under each table, by name. `snapshot`: the tables of this one only.
    pub fn tables(&self, snapshot: Option<u64>) -> Result<Vec<TableFigures>, StoreError> {
        let mut tables: Vec<(u64, TableFigures)> = Vec::new();
        self.each(
            // Beside min(), SQLite gives the other columns of the row that has it.
            "SELECT t.n, t.sort, t.name, count(*), e.records, min(e.snapshot)
               FROM entities e JOIN tables t ON t.n = e.tab WHERE ?1 IS NULL OR e.snapshot = ?1
              GROUP BY t.n ORDER BY t.n",
            &[snapshot.map_or(ValueRef::Null, int)],
            |row| {
                let none = Figures::default();
                let table = TableFigures {
                    sort: TableSort::of(number(row, 1)?),
                    name: row.text(2)?.unwrap_or_default(),
                    snapshots: number(row, 3)?,
                    records: number(row, 4)?,
                    leaves: none,
                    leaf_deltas: none,
                    nodes: none,
                    chunks: none,
                    schemas: none,
                };
                tables.push((number(row, 0)?, table));
                Ok(())
            },
        )?;
        self.each(
            "SELECT tab, kind, delta, count(*), sum(canonical), sum(stored) FROM blobs
              WHERE tab IS NOT NULL AND rank IS NOT NULL GROUP BY tab, kind, delta",
            &[],
            |row| {
                let tab = number(row, 0)?;
                let Ok(at) = tables.binary_search_by_key(&tab, |(n, _)| *n) else {
                    return Ok(());
                };
                let table = &mut tables[at].1;
                let part = match (kind_of(number(row, 1)?), number(row, 2)?) {
                    (BlobKind::Leaf, 0) => &mut table.leaves,
                    (BlobKind::Leaf, _) => &mut table.leaf_deltas,
                    (BlobKind::Node, _) => &mut table.nodes,
                    (BlobKind::Chunk | BlobKind::ChunkNode, _) => &mut table.chunks,
                    (BlobKind::Schema, _) => &mut table.schemas,
                };
                *part = part.plus(figures(row, 3)?);
                Ok(())
            },
        )?;
        tables.sort_by(|(_, a), (_, b)| (&a.name, a.sort).cmp(&(&b.name, b.sort)));
        Ok(tables.into_iter().map(|(_, table)| table).collect())
    }

    /// Once all is walked: how many blobs are missing or damaged, and the first `limit` of them.
    pub fn damage(&self, limit: u64) -> Result<(u64, Vec<DamagedBlob>), StoreError> {
        self.each(
            "INSERT OR IGNORE INTO damaged
               SELECT n, 'it is a delta, and not all that it stands on can be had'
                 FROM blobs WHERE need IS NOT NULL AND rank IS NOT NULL AND depth IS NULL",
            &[],
            |_| Ok(()),
        )?;
        let [count] = self
            .row("SELECT count(*) FROM damaged", &[])
            .map_err(StoreError::Census)?;
        if count == 0 {
            return Ok((0, Vec::new()));
        }
        let mut damaged = Vec::new();
        self.each(
            "SELECT b.n, b.kind, CAST(b.head || b.tail AS BLOB), d.cause
               FROM damaged d JOIN blobs b USING (n) ORDER BY d.n LIMIT ?",
            &[int(limit)],
            |row| {
                let mut id = BlobId([0; 32]);
                if let Some(bytes) = row.bytes(2)?.filter(|bytes| bytes.len() == 32) {
                    id.0.copy_from_slice(bytes);
                }
                let blob = DamagedBlob {
                    kind: kind_of(number(row, 1)?),
                    id,
                    cause: row.text(3)?.unwrap_or_default(),
                    affects: Vec::new(),
                };
                damaged.push((number(row, 0)?, blob));
                Ok(())
            },
        )?;
        self.each(
            "CREATE INDEX IF NOT EXISTS parents ON edges(child)",
            &[],
            |_| Ok(()),
        )?;
        for (n, blob) in &mut damaged {
            self.each(
                // First what stands on it, then what leads to any of these.
                "WITH RECURSIVE lost(n) AS (
                   VALUES(?) UNION SELECT s.delta FROM lost JOIN stands s ON s.base = lost.n),
                 above(n) AS (
                   SELECT n FROM lost
                   UNION SELECT e.parent FROM above JOIN edges e ON e.child = above.n)
                 SELECT t.sort, t.name, e.snapshot FROM entities e JOIN tables t ON t.n = e.tab
                  WHERE e.blob IN above ORDER BY t.name, t.sort, e.snapshot",
                &[int(*n)],
                |row| {
                    blob.affects.push((
                        TableSort::of(number(row, 0)?),
                        row.text(1)?.unwrap_or_default(),
                        number(row, 2)?,
                    ));
                    Ok(())
                },
            )?;
        }
        Ok((count, damaged.into_iter().map(|(_, blob)| blob).collect()))
    }
}
