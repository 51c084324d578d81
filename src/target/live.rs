//! An existing database, perhaps in use by others, that is read to plan and then written in one
//! transaction. The file itself is never replaced.
//!
//! A plan is read in a read transaction in WAL mode only: in rollback mode that would keep writers
//! from committing. What makes it safe in both is `data_version`: it is read before the plan and
//! compared once the write lock is held.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::TargetError;
use super::files::ensure_can_be_written;
use super::schema::kind_name;
use crate::model::row::Collation;
use crate::model::schema::{Schema, SchemaObject, Settings, Table, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::{Value, ValueRef};
use crate::sqlite::check::{self, ForeignKeyCheck};
use crate::sqlite::quote::ident;
use crate::sqlite::schema::{read_schema, read_settings};
use crate::sqlite::transaction::InTransaction;
use crate::sqlite::{Connection, ErrorKind, SqliteError};

/// An open database. Dropped in the middle of a transaction, it rolls back.
#[derive(Debug)]
pub struct LiveDatabase {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    pub(super) encoding: TextEncoding,
}

/// How others are kept from writing while a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// They are not: [`LiveDatabase::begin_write`] says whether they did.
    Free,
    /// A transaction that reads lasts as long: without WAL, what others write waits to be committed.
    Reading,
    /// The write lock is taken first.
    Writing,
}

/// A database as a plan sees it.
#[derive(Debug, Clone)]
pub struct LiveView {
    /// Its objects.
    pub schema: Schema,
    /// Its settings.
    pub settings: Settings,
    version: i64,
    in_transaction: bool,
    is_locked: bool,
}

impl LiveDatabase {
    /// Opens a database that exists; to plan only, without the right to write.
    ///
    /// Errors: `NotADatabase`, `Denied`, `Busy`, `Damaged`.
    pub fn open(
        path: &Path,
        busy: Duration,
        plan_only: bool,
        fire_triggers: bool,
    ) -> Result<Self, TargetError> {
        if path.is_dir() {
            let path = path.to_owned();
            return Err(TargetError::NotADatabase { path });
        }
        let at = |cause: SqliteError| TargetError::of(path, "", cause);
        let db = if plan_only {
            // What cannot be carried out is not planned.
            ensure_can_be_written(path)?;
            Connection::open_live(path, busy).map_err(at)?
        } else {
            Connection::open_target(path, busy, fire_triggers).map_err(at)?
        };
        // The file is opened lazily: the first read says what it is.
        db.integer("PRAGMA main.schema_version").map_err(at)?;
        if !plan_only && db.is_readonly().map_err(at)? {
            return Err(TargetError::Denied {
                path: path.to_owned(),
                cause: "it is read-only".to_owned(),
            });
        }
        let name = db.text("PRAGMA main.encoding").map_err(at)?;
        let name = name.unwrap_or_default();
        let encoding = TextEncoding::by_name(&name).ok_or_else(|| TargetError::Unsupported {
            path: path.to_owned(),
            what: format!("its texts are in an encoding that is not known: {name}"),
        })?;
        Ok(Self {
            db,
            path: path.to_owned(),
            encoding,
        })
    }

    /// The database, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it writes its texts. It is read and written in UTF-8: SQLite converts them.
    pub fn encoding(&self) -> TextEncoding {
        self.encoding
    }

    /// How a column compares where nothing else is said; BINARY if there is no such column.
    pub fn collation(&self, table: &str, column: &str) -> Result<Collation, TargetError> {
        let asked = self.db.collation_of(table, column);
        asked.map_err(|e| self.at(&format!("table {table}"), e))
    }

    pub(super) fn at(&self, place: &str, cause: SqliteError) -> TargetError {
        TargetError::of(&self.path, place, cause)
    }

    /// Begins to plan: what is read from here on is one state, or [`LiveDatabase::end_view`] says no.
    ///
    /// Errors: `Busy` if a lock was not had in time.
    pub fn begin_view(&self, hold: Hold) -> Result<LiveView, TargetError> {
        let at = |cause| self.at("", cause);
        let is_locked = hold == Hold::Writing;
        let in_transaction = hold != Hold::Free || self.is_wal()?;
        if in_transaction {
            let begin = match is_locked {
                true => "BEGIN IMMEDIATE",
                false => "BEGIN",
            };
            self.db.execute(begin).map_err(at)?;
        }
        let read = || {
            let version = self.data_version()?;
            let read = read_schema(&self.db).map_err(at)?;
            let settings = read_settings(&self.db).map_err(at)?;
            Ok(LiveView {
                schema: read.schema,
                settings,
                version,
                in_transaction,
                is_locked,
            })
        };
        let view = read();
        if view.is_err() {
            self.roll_back();
        }
        view
    }

    /// Ends planning; the write lock is kept. False if the database changed meanwhile: the plan may be of several states.
    pub fn end_view(&self, view: &LiveView) -> Result<bool, TargetError> {
        if view.is_locked {
            return Ok(true);
        }
        if view.in_transaction {
            match self.db.execute("COMMIT") {
                // Where damage was met SQLite ends it by taking it back: nothing was written.
                Err(error) if error.is_damage() => self.roll_back(),
                ended => ended.map_err(|e| self.at("", e))?,
            }
            return Ok(true);
        }
        Ok(self.data_version()? == view.version)
    }

    /// True if it is in WAL mode.
    pub fn is_wal(&self) -> Result<bool, TargetError> {
        let mode = self.db.text("PRAGMA main.journal_mode");
        Ok(mode.map_err(|e| self.at("", e))?.as_deref() == Some("wal"))
    }

    /// Another number once another connection has written.
    pub(super) fn data_version(&self) -> Result<i64, TargetError> {
        let version = self.db.integer("PRAGMA main.data_version");
        Ok(version.map_err(|e| self.at("", e))?.unwrap_or(0))
    }

    /// Takes the write lock, if it was not taken for the view. False, and no lock, if the database is no longer what the view saw.
    ///
    /// Errors: `Busy` if the lock was not had in time.
    pub fn begin_write(&self, view: &LiveView) -> Result<bool, TargetError> {
        if view.is_locked {
            return Ok(true);
        }
        self.db
            .execute("BEGIN IMMEDIATE")
            .map_err(|e| self.at("", e))?;
        match self.data_version() {
            Ok(version) if version == view.version => Ok(true),
            Ok(_) => {
                self.roll_back();
                Ok(false)
            }
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Lends what was written since `begin_write` to a reader, before it counts.
    pub fn in_transaction(&self) -> Result<InTransaction<'_>, TargetError> {
        InTransaction::of(&self.db, &self.path).map_err(|e| self.at("", e))
    }

    /// Makes everything since `begin_write` durable.
    pub fn commit(&self) -> Result<(), TargetError> {
        self.db.execute("COMMIT").map_err(|e| self.at("", e))
    }

    /// Takes everything since `begin_write` or `begin_view` back.
    pub fn roll_back(&self) {
        // Outside a transaction it fails; closing the connection rolls back as well.
        let _ = self.db.execute("ROLLBACK");
    }

    /// Number of rows of a table.
    pub fn count(&self, table: &str) -> Result<u64, TargetError> {
        let count = || -> Result<i64, SqliteError> {
            let sql = format!("SELECT count(*) FROM main.{} NOT INDEXED", ident(table)?);
            Ok(self.db.integer(&sql)?.unwrap_or(0))
        };
        let count = count().map_err(|e| self.at(&format!("table {table}"), e))?;
        Ok(count.unsigned_abs())
    }

    /// True if a table has rows.
    pub fn has_rows(&self, table: &str) -> Result<bool, TargetError> {
        let has = || -> Result<bool, SqliteError> {
            let sql = format!("SELECT EXISTS(SELECT 1 FROM main.{})", ident(table)?);
            Ok(self.db.integer(&sql)? == Some(1))
        };
        has().map_err(|e| self.at(&format!("table {table}"), e))
    }

    /// The largest rowid of a table, or the largest that AUTOINCREMENT gave out; 0 without rows.
    pub fn last_id(&self, table: &Table) -> Result<i64, TargetError> {
        let Some(rowid) = table.rowid_column() else {
            return Ok(0);
        };
        let last = || -> Result<i64, SqliteError> {
            let (rowid, name) = (ident(rowid)?, ident(&table.name)?);
            let sql = format!("SELECT max({rowid}) FROM main.{name}");
            let largest = match self.db.value(&sql)? {
                Value::Integer(id) => id,
                _ => 0,
            };
            let given = match table.autoincrement {
                true => self.sequence(&table.name)?,
                false => 0,
            };
            Ok(largest.max(given))
        };
        last().map_err(|e| self.at(&format!("table {}", table.name), e))
    }

    fn sequence(&self, table: &str) -> Result<i64, SqliteError> {
        let name = [ValueRef::Text(table.as_bytes())];
        let mut last = 0;
        let sql = "SELECT seq FROM main.sqlite_sequence WHERE name = ?1";
        self.db.for_each(sql, &name, |row| {
            if let ValueRef::Integer(seq) = row.value(0)? {
                last = seq;
            }
            Ok(())
        })?;
        Ok(last)
    }

    /// Deletes all rows of a table; returns how many there were.
    pub fn empty(&self, table: &str) -> Result<u64, TargetError> {
        let delete = || -> Result<(), SqliteError> {
            self.db
                .execute(&format!("DELETE FROM main.{}", ident(table)?))
        };
        delete().map_err(|e| self.at(&format!("table {table}"), e))?;
        Ok(self.db.changes())
    }

    /// Makes an object by its stored text. The answer is SQLite's refusal, where the text or the
    /// rows are at fault.
    pub fn create(&self, object: &SchemaObject) -> Result<Option<String>, TargetError> {
        let Some(sql) = &object.sql else {
            return Ok(None);
        };
        match self.db.create(sql) {
            Ok(()) => Ok(None),
            Err(error)
                if matches!(
                    error.kind,
                    ErrorKind::Other | ErrorKind::Constraint | ErrorKind::Refused
                ) =>
            {
                Ok(Some(error.message))
            }
            Err(error) => {
                let place = format!("{} {}", kind_name(object.kind), object.name);
                Err(self.at(&place, error))
            }
        }
    }

    /// Drops an object.
    pub fn drop_object(&self, object: &SchemaObject) -> Result<(), TargetError> {
        let kind = kind_name(object.kind);
        let drop = || -> Result<(), SqliteError> {
            let name = ident(&object.name)?;
            self.db.execute(&format!("DROP {kind} main.{name}"))
        };
        drop().map_err(|e| self.at(&format!("{kind} {}", object.name), e))
    }

    /// The foreign-key verdict of one table.
    pub fn foreign_keys(&self, table: &str) -> Result<ForeignKeyCheck, TargetError> {
        check::by_pragma(&self.db, table).map_err(|e| self.at(&format!("table {table}"), e))
    }

    /// Lines of `quick_check`, or of the full `integrity_check`.
    pub fn integrity(&self, full: bool) -> Result<Vec<String>, TargetError> {
        let answer = check::integrity(&self.db, full).map_err(|e| self.at("check", e))?;
        Ok(answer.lines)
    }

    /// Rows break a CHECK only where the snapshot's do: while its tables are filled whole.
    pub fn ignore_checks(&self, on: bool) -> Result<(), TargetError> {
        self.db
            .pragma("ignore_check_constraints", i64::from(on))
            .map_err(|e| self.at("", e))
    }

    /// Raises the last id that an AUTOINCREMENT table gave out; never lowers it.
    pub fn raise_sequence(&self, table: &str, saved: i64) -> Result<(), TargetError> {
        let parameters = [ValueRef::Text(table.as_bytes()), ValueRef::Integer(saved)];
        let run = |sql: &str| self.db.for_each(sql, &parameters, |_| Ok(()));
        run("UPDATE main.sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1")
            .and_then(|()| {
                run("INSERT INTO main.sqlite_sequence(name, seq) SELECT ?1, ?2 \
                     WHERE NOT EXISTS (SELECT 1 FROM main.sqlite_sequence WHERE name = ?1)")
            })
            .map_err(|e| self.at("sqlite_sequence", e))
    }

    /// Sets a number in the header.
    pub fn set_header(&self, setting: Header, value: i32) -> Result<(), TargetError> {
        let name = match setting {
            Header::UserVersion => "user_version",
            Header::ApplicationId => "application_id",
        };
        self.db
            .pragma(name, i64::from(value))
            .map_err(|e| self.at(name, e))
    }

    /// Sets what a database without a page takes from its first write; others ignore it.
    pub fn set_before_pages(&self, settings: &Settings) -> Result<(), TargetError> {
        self.db
            .pragma("page_size", i64::from(settings.page_size))
            .and_then(|()| {
                self.db
                    .pragma("auto_vacuum", i64::from(settings.auto_vacuum))
            })
            .map_err(|e| self.at("", e))
    }

    /// Bytes of pages in the file that hold nothing.
    pub fn unused_bytes(&self) -> Result<u64, TargetError> {
        self.bytes_of_pages("PRAGMA main.freelist_count")
    }

    /// Bytes of all its pages.
    pub fn bytes(&self) -> Result<u64, TargetError> {
        self.bytes_of_pages("PRAGMA main.page_count")
    }

    fn bytes_of_pages(&self, count: &str) -> Result<u64, TargetError> {
        let number = |sql: &str| -> Result<u64, SqliteError> {
            Ok(self.db.integer(sql)?.unwrap_or(0).unsigned_abs())
        };
        let read = || -> Result<u64, SqliteError> {
            let pages = number(count)?;
            Ok(pages.saturating_mul(number("PRAGMA main.page_size")?))
        };
        read().map_err(|e| self.at("", e))
    }

    /// Closes the connection, so that an error on the way is seen.
    pub fn close(self) -> Result<(), TargetError> {
        let Self { db, path, .. } = self;
        db.close().map_err(|e| TargetError::of(&path, "", e))
    }
}

/// A number that an application keeps in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The version of the application's schema.
    UserVersion,
    /// The application's own mark.
    ApplicationId,
}

/// True if the table holds rows of its own that may be written.
pub fn is_ordinary(table: &Table) -> bool {
    let has_rows = matches!(
        table.kind,
        TableKind::Rowid { .. } | TableKind::WithoutRowid
    );
    has_rows && !table.shadow
}
