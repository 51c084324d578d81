//! The local cache of pack footers: an SQLite file that may be deleted at any time.
//!
//! It is never trusted: packs are matched with a fresh listing by name and size, and a read that
//! fails through it is tried again with the stored footer. When missing, stale or damaged it is
//! built anew from the store; where no file can be kept, it lives in a temporary one.

use std::path::{Path, PathBuf};

use crate::format::blob::{BlobKind, Encoding};
use crate::format::footer::{BasePrefix, BlobEntry, Footer, FrameEntry};
use crate::model::id::{BlobId, PackId, SnapshotId};
use crate::model::value::ValueRef;
use crate::sqlite::{Connection, Row, SqliteError};

/// Raised whenever the tables change; a cache of another version is built anew.
const VERSION: i64 = 3;

const TABLES: [&str; 7] = [
    "CREATE TABLE packs(n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL)",
    "CREATE TABLE frames(pack INTEGER NOT NULL, n INTEGER NOT NULL, offset INTEGER NOT NULL,
       stored INTEGER NOT NULL, plain INTEGER NOT NULL, PRIMARY KEY(pack, n)) WITHOUT ROWID",
    "CREATE TABLE blobs(id BLOB NOT NULL, kind INTEGER NOT NULL, pack INTEGER NOT NULL,
       frame INTEGER NOT NULL, offset INTEGER NOT NULL, encoding INTEGER NOT NULL,
       depth INTEGER NOT NULL, base BLOB NOT NULL, canonical INTEGER NOT NULL,
       encoded INTEGER NOT NULL, PRIMARY KEY(id, kind, pack, frame, offset)) WITHOUT ROWID",
    "CREATE INDEX blobs_by_pack ON blobs(pack)",
    "CREATE INDEX blobs_by_base ON blobs(substr(base, 1, 16), kind) WHERE depth > 0",
    "CREATE TABLE complete(snapshot TEXT PRIMARY KEY) WITHOUT ROWID",
    // Records of writers, as they were first seen; `boot`: the run of the system whose clock it is.
    "CREATE TABLE writers(snapshot TEXT PRIMARY KEY, record BLOB NOT NULL, boot TEXT NOT NULL,
       since_ms INTEGER NOT NULL) WITHOUT ROWID",
];

/// Where a copy of a blob lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The pack.
    pub pack: PackId,
    /// Begin of the frame in the pack.
    pub frame_offset: u64,
    /// Length of the frame in the pack.
    pub frame_stored: u64,
    /// Length of the frame's plain text.
    pub frame_plain: u64,
    /// Begin of the item in the frame's plain text.
    pub offset: u64,
    /// How it is encoded.
    pub encoding: Encoding,
    /// The bases of a delta; none for a whole copy.
    pub bases: Vec<BasePrefix>,
    /// Length of the canonical form.
    pub canonical_bytes: u64,
    /// Length of the encoded form.
    pub encoded_bytes: u64,
}

/// The cache of one store.
#[derive(Debug)]
pub struct Cache {
    db: Connection,
}

impl Cache {
    /// Opens the cache file, made or made anew where needed; without a path, a temporary one.
    pub fn open(path: Option<&Path>) -> Result<Self, SqliteError> {
        let db = Connection::open_cache(path)?;
        let cache = Self { db };
        if cache.db.integer("PRAGMA user_version")? != Some(VERSION) {
            cache.db.execute("BEGIN IMMEDIATE")?;
            // Another process may have made the tables meanwhile.
            if cache.db.integer("PRAGMA user_version")? != Some(VERSION) {
                for table in ["blobs", "frames", "packs", "complete", "writers"] {
                    cache.db.execute(&format!("DROP TABLE IF EXISTS {table}"))?;
                }
                for sql in TABLES {
                    cache.db.execute(sql)?;
                }
                cache.db.pragma("user_version", VERSION)?;
            }
            cache.db.execute("COMMIT")?;
        }
        Ok(cache)
    }

    /// All packs with their sizes, in no order.
    pub fn packs(&self) -> Result<Vec<(PackId, u64)>, SqliteError> {
        let mut packs = Vec::new();
        self.db
            .for_each("SELECT id, bytes FROM packs", &[], |row| {
                packs.push((PackId(id_of(row, 0)?), unsigned(row, 1)?));
                Ok(())
            })?;
        Ok(packs)
    }

    /// A number that is another one once another process has written to the cache.
    pub fn version(&self) -> Result<i64, SqliteError> {
        Ok(self.db.integer("PRAGMA data_version")?.unwrap_or_default())
    }

    /// Runs `work` in one transaction.
    pub fn transaction<T>(
        &self,
        work: impl FnOnce() -> Result<T, SqliteError>,
    ) -> Result<T, SqliteError> {
        self.db.execute("BEGIN IMMEDIATE")?;
        let done = work();
        self.db
            .execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        done
    }

    /// Runs `work`, which asks several things, in one transaction: each alone would take a lock of its own.
    pub fn reading<T, E: From<SqliteError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let run = |sql| self.db.for_each_cached(sql, &[], |_| Ok(()));
        run("BEGIN")?;
        let done = work();
        run("COMMIT")?;
        done
    }

    /// Adds a pack and all its blobs, in place of what was known of it. Within a transaction.
    pub fn add_pack(&self, id: &PackId, bytes: u64, footer: &Footer) -> Result<(), SqliteError> {
        self.remove_pack(id)?;
        let run = |sql, values: &[ValueRef<'_>]| self.db.for_each_cached(sql, values, |_| Ok(()));
        let int = |number: u64| ValueRef::Integer(number.cast_signed());
        run(
            "INSERT INTO packs(id, bytes) VALUES(?, ?)",
            &[ValueRef::Blob(&id.0), int(bytes)],
        )?;
        let pack = self
            .db
            .integer("SELECT last_insert_rowid()")?
            .unwrap_or_default();
        let pack = ValueRef::Integer(pack);
        for (n, frame) in footer.frames.iter().enumerate() {
            let numbers = [
                n as u64,
                frame.offset,
                frame.stored_bytes.into(),
                frame.plain_bytes.into(),
            ];
            let [n, offset, stored, plain] = numbers.map(int);
            run(
                "INSERT INTO frames VALUES(?, ?, ?, ?, ?)",
                &[pack, n, offset, stored, plain],
            )?;
        }
        footer
            .blobs
            .iter()
            .try_for_each(|blob| self.add_entry(pack, blob))
    }

    /// Adds a blob that was found in a pack that is known.
    pub fn add_blob(&self, id: &PackId, blob: &BlobEntry) -> Result<(), SqliteError> {
        match self.number_of(id)? {
            Some(pack) => self.add_entry(ValueRef::Integer(pack), blob),
            None => Ok(()),
        }
    }

    fn add_entry(&self, pack: ValueRef<'_>, blob: &BlobEntry) -> Result<(), SqliteError> {
        let int = |number: u64| ValueRef::Integer(number.cast_signed());
        let values = [
            ValueRef::Blob(&blob.id.0),
            int(blob.kind as u64),
            pack,
            int(blob.frame.into()),
            int(blob.offset.into()),
            int(blob.encoding as u64),
            int(blob.depth.into()),
            ValueRef::Blob(blob.bases.as_flattened()),
            int(blob.canonical_bytes.into()),
            int(blob.encoded_bytes.into()),
        ];
        // A hostile footer may list one place twice.
        self.db.for_each_cached(
            "INSERT OR IGNORE INTO blobs VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &values,
            |_| Ok(()),
        )
    }

    fn number_of(&self, id: &PackId) -> Result<Option<i64>, SqliteError> {
        let mut pack = None;
        self.db.for_each_cached(
            "SELECT n FROM packs WHERE id = ?",
            &[ValueRef::Blob(&id.0)],
            |row| {
                pack = Some(row.integer(0)?);
                Ok(())
            },
        )?;
        Ok(pack)
    }

    /// Forgets a pack, and that any snapshot is complete. Within a transaction.
    pub fn remove_pack(&self, id: &PackId) -> Result<(), SqliteError> {
        for sql in [
            "DELETE FROM complete WHERE EXISTS (SELECT 1 FROM packs WHERE id = ?)",
            "DELETE FROM blobs WHERE pack IN (SELECT n FROM packs WHERE id = ?)",
            "DELETE FROM frames WHERE pack IN (SELECT n FROM packs WHERE id = ?)",
            "DELETE FROM packs WHERE id = ?",
        ] {
            self.db
                .for_each_cached(sql, &[ValueRef::Blob(&id.0)], |_| Ok(()))?;
        }
        Ok(())
    }

    /// All copies of a blob, whether usable or not.
    pub fn copies(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<Copy>, SqliteError> {
        self.copies_between(kind, &id.0, &id.0)
    }

    /// All copies of the blobs of this kind that begin with `prefix`.
    pub fn copies_of_base(
        &self,
        kind: BlobKind,
        prefix: &BasePrefix,
    ) -> Result<Vec<Copy>, SqliteError> {
        let (low, high) = bounds(prefix);
        self.copies_between(kind, &low, &high)
    }

    fn copies_between(
        &self,
        kind: BlobKind,
        low: &[u8; 32],
        high: &[u8; 32],
    ) -> Result<Vec<Copy>, SqliteError> {
        let mut copies = Vec::new();
        self.db.for_each_cached(
            "SELECT p.id, f.offset, f.stored, f.plain, b.offset, b.encoding, b.base, b.canonical, b.encoded
               FROM blobs b JOIN packs p ON p.n = b.pack
               JOIN frames f ON f.pack = b.pack AND f.n = b.frame
              WHERE b.id BETWEEN ? AND ? AND b.kind = ?",
            &[
                ValueRef::Blob(low),
                ValueRef::Blob(high),
                ValueRef::Integer(kind as i64),
            ],
            |row| {
                copies.extend(copy_of(row)?);
                Ok(())
            },
        )?;
        Ok(copies)
    }

    /// Remembers that every blob of a snapshot has a usable copy. It holds until a pack goes.
    pub fn set_complete(&self, snapshot: &SnapshotId) -> Result<(), SqliteError> {
        let id = snapshot.to_string();
        self.db.for_each_cached(
            "INSERT OR IGNORE INTO complete VALUES(?)",
            &[ValueRef::Text(id.as_bytes())],
            |_| Ok(()),
        )
    }

    /// True if that is remembered.
    pub fn is_complete(&self, snapshot: &SnapshotId) -> Result<bool, SqliteError> {
        let id = snapshot.to_string();
        let mut found = false;
        self.db.for_each_cached(
            "SELECT 1 FROM complete WHERE snapshot = ?",
            &[ValueRef::Text(id.as_bytes())],
            |_| {
                found = true;
                Ok(())
            },
        )?;
        Ok(found)
    }

    /// When this record of a writer was first seen, by the clock of this run of the system, and that it
    /// is seen now. Records of other writers that were not seen for long are forgotten by no one: there
    /// are few.
    pub fn see_writer(
        &self,
        snapshot: &SnapshotId,
        record: &[u8],
        boot: &str,
        now_ms: u64,
    ) -> Result<u64, SqliteError> {
        let id = snapshot.to_string();
        let now = ValueRef::Integer(now_ms.cast_signed());
        let values = [
            ValueRef::Text(id.as_bytes()),
            ValueRef::Blob(record),
            ValueRef::Text(boot.as_bytes()),
            now,
        ];
        self.db.for_each_cached(
            "INSERT INTO writers VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE SET
               record = excluded.record, boot = excluded.boot, since_ms = excluded.since_ms
             WHERE record <> excluded.record OR boot <> excluded.boot
                OR since_ms > excluded.since_ms",
            &values,
            |_| Ok(()),
        )?;
        let mut since = now_ms;
        self.db.for_each_cached(
            "SELECT since_ms FROM writers WHERE snapshot = ?",
            &values[..1],
            |row| {
                since = row.integer(0)?.cast_unsigned();
                Ok(())
            },
        )?;
        Ok(since)
    }

    /// Blobs that hang on this one through deltas, itself included, counted up to `max`; of a
    /// delta's bases the first one counts.
    pub fn versions(&self, kind: BlobKind, id: &BlobId, max: u32) -> Result<u32, SqliteError> {
        let mut versions = 0;
        self.db.for_each_cached(
            "WITH RECURSIVE v(id) AS (
               VALUES(?) UNION
               SELECT b.id FROM v JOIN blobs b ON substr(b.base, 1, 16) = substr(v.id, 1, 16)
                WHERE b.kind = ? AND b.depth > 0 LIMIT ?)
             SELECT count(*) FROM v",
            &[
                ValueRef::Blob(&id.0),
                ValueRef::Integer(kind as i64),
                ValueRef::Integer(max.into()),
            ],
            |row| {
                versions = u32::try_from(row.integer(0)?).unwrap_or(max);
                Ok(())
            },
        )?;
        Ok(versions)
    }

    /// A pack's footer; `None` for a pack that is not known.
    pub fn footer(&self, id: &PackId) -> Result<Option<Footer>, SqliteError> {
        let Some(pack) = self.number_of(id)?.map(ValueRef::Integer) else {
            return Ok(None);
        };
        let mut footer = Footer::default();
        self.db.for_each_cached(
            "SELECT offset, stored, plain FROM frames WHERE pack = ? ORDER BY n",
            &[pack],
            |row| {
                footer.frames.push(FrameEntry {
                    offset: unsigned(row, 0)?,
                    stored_bytes: short(row, 1)?,
                    plain_bytes: short(row, 2)?,
                });
                Ok(())
            },
        )?;
        self.db.for_each_cached(
            "SELECT id, kind, encoding, depth, base, canonical, encoded, frame, offset
               FROM blobs WHERE pack = ?",
            &[pack],
            |row| {
                footer.blobs.extend(entry_of(row)?);
                Ok(())
            },
        )?;
        Ok(Some(footer))
    }

    /// Ids of this kind that begin with `prefix`: what a delta's base may be.
    pub fn with_prefix(
        &self,
        kind: BlobKind,
        prefix: &BasePrefix,
    ) -> Result<Vec<BlobId>, SqliteError> {
        let (low, high) = bounds(prefix);
        let mut ids = Vec::new();
        self.db.for_each_cached(
            "SELECT DISTINCT id FROM blobs WHERE id >= ? AND id <= ? AND kind = ?",
            &[
                ValueRef::Blob(&low),
                ValueRef::Blob(&high),
                ValueRef::Integer(kind as i64),
            ],
            |row| {
                ids.push(BlobId(id_of(row, 0)?));
                Ok(())
            },
        )?;
        Ok(ids)
    }
}

/// The ids that begin with a prefix lie between these.
fn bounds(prefix: &BasePrefix) -> ([u8; 32], [u8; 32]) {
    let (mut low, mut high) = ([0; 32], [0xff; 32]);
    low[..prefix.len()].copy_from_slice(prefix);
    high[..prefix.len()].copy_from_slice(prefix);
    (low, high)
}

fn unsigned(row: Row<'_>, column: usize) -> Result<u64, SqliteError> {
    Ok(row.integer(column)?.cast_unsigned())
}

/// An id; zeros where the cache holds something else, so that the id check of the read fails.
fn id_of<const N: usize>(row: Row<'_>, column: usize) -> Result<[u8; N], SqliteError> {
    let bytes = row.bytes(column)?.unwrap_or_default();
    Ok(bytes.try_into().unwrap_or([0; N]))
}

/// A length or number that a footer has 32 bits for.
fn short(row: Row<'_>, column: usize) -> Result<u32, SqliteError> {
    Ok(u32::try_from(row.integer(column)?).unwrap_or(u32::MAX))
}

fn entry_of(row: Row<'_>) -> Result<Option<BlobEntry>, SqliteError> {
    let byte = |column| Ok::<_, SqliteError>(u8::try_from(row.integer(column)?).unwrap_or(u8::MAX));
    let (kind, encoding) = (
        BlobKind::from_number(byte(1)?),
        Encoding::from_number(byte(2)?),
    );
    let (Some(kind), Some(encoding)) = (kind, encoding) else {
        return Ok(None);
    };
    Ok(Some(BlobEntry {
        id: BlobId(id_of(row, 0)?),
        kind,
        encoding,
        depth: byte(3)?,
        bases: bases_of(row, 4)?,
        canonical_bytes: short(row, 5)?,
        encoded_bytes: short(row, 6)?,
        frame: short(row, 7)?,
        offset: short(row, 8)?,
    }))
}

fn bases_of(row: Row<'_>, column: usize) -> Result<Vec<BasePrefix>, SqliteError> {
    let bytes = row.bytes(column)?.unwrap_or_default();
    let (bases, _) = bytes.as_chunks();
    Ok(bases.to_vec())
}

fn copy_of(row: Row<'_>) -> Result<Option<Copy>, SqliteError> {
    let encoding = u8::try_from(row.integer(5)?)
        .ok()
        .and_then(Encoding::from_number);
    let Some(encoding) = encoding else {
        return Ok(None);
    };
    Ok(Some(Copy {
        pack: PackId(id_of(row, 0)?),
        frame_offset: unsigned(row, 1)?,
        frame_stored: unsigned(row, 2)?,
        frame_plain: unsigned(row, 3)?,
        offset: unsigned(row, 4)?,
        encoding,
        bases: bases_of(row, 6)?,
        canonical_bytes: unsigned(row, 7)?,
        encoded_bytes: unsigned(row, 8)?,
    }))
}

/// Name of a store's cache file in the cache folder.
pub fn file_name(store: &crate::model::id::StoreId) -> PathBuf {
    PathBuf::from(format!("{store}.footers"))
}
