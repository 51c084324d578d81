//! Connection profiles: how a database is opened, and what can be asked of a connection. Those of
//! databases that are backed up: `source`; what all of them refuse: `hardening`.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;

use super::authorize::{self, SchemaOnly};
use super::statement::{BlobIo, Row, SqliteError, Statement};
use super::value::Bound;
use crate::model::row::Collation;
use crate::model::value::{Value, ValueRef};

/// The longest value SQLite can hold in this build.
const LENGTH_MAX: i32 = 1_000_000_000;

/// The bundled SQLite takes every name that begins so for a URI.
fn plain_name(path: &Path) -> Cow<'_, Path> {
    if path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
        Cow::Owned(Path::new(".").join(path))
    } else {
        Cow::Borrowed(path)
    }
}

/// A connection to one database.
#[derive(Debug)]
pub struct Connection {
    pub(super) db: rusqlite::Connection,
    schema_only: SchemaOnly,
}

impl Connection {
    /// A database in use by others, read only: nothing of it is changed, no checkpoint is made.
    pub fn open_live(path: &Path, busy: Duration) -> Result<Self, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Self::open(path, flags, busy)?;
        opened.harden(false)?;
        opened
            .db
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        opened.pragma("query_only", 1)?;
        Ok(opened)
    }

    /// A file of our own that exists and is empty: a private copy, or a new database being built.
    /// The journal is in memory, nothing is synced: after a crash the file is garbage.
    /// `tolerant`: what is copied there may be damaged.
    pub fn open_scratch(path: &Path, tolerant: bool) -> Result<Self, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let opened = Self::open(path, flags, Duration::ZERO)?;
        opened.execute("PRAGMA locking_mode=EXCLUSIVE")?;
        opened.execute("PRAGMA journal_mode=MEMORY")?;
        opened.execute("PRAGMA synchronous=OFF")?;
        opened.harden_for(false, tolerant)?;
        Ok(opened)
    }

    /// An existing database that will be written, perhaps while others use it.
    pub fn open_target(
        path: &Path,
        busy: Duration,
        fire_triggers: bool,
    ) -> Result<Self, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Self::open(path, flags, busy)?;
        opened.harden(fire_triggers)?;
        Ok(opened)
    }

    /// A database of our own that is kept between runs and may be used by several of them at once,
    /// made if absent; without a path a temporary one. It can be rebuilt, so it is not synced.
    pub fn open_cache(path: Option<&Path>) -> Result<Self, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        // SQLite keeps a database with an empty name in a temporary file.
        let path = path.unwrap_or(Path::new(""));
        let opened = Self::open(path, flags, Duration::from_secs(30))?;
        opened.harden(false)?;
        // Else a statement is prepared anew for each range it is asked for.
        opened
            .db
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        opened.execute("PRAGMA synchronous=OFF")?;
        Ok(opened)
    }

    /// A file of our own that is complete: read only, without locks and without sidecars, also where
    /// its header says WAL. `tolerant`: it may be damaged.
    pub fn open_complete(path: &Path, tolerant: bool) -> Result<Self, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_URI;
        let db = rusqlite::Connection::open_with_flags(immutable_uri(path), flags)?;
        let opened = Self::of(db)?;
        opened.harden_for(false, tolerant)?;
        Ok(opened)
    }

    /// Registers a collation by bytes under a name that SQLite does not know, so that what it
    /// orders can be scanned as it lies. Never for a comparison: the order is another.
    pub fn stub_collation(&self, name: &str) -> Result<(), SqliteError> {
        let by_bytes = |a: &str, b: &str| a.cmp(b);
        self.db.create_collation(name, by_bytes)?;
        // An index that SQLite wanted without it stays switched off until the schema is read anew.
        self.execute("PRAGMA writable_schema=RESET")
    }

    /// How a column of the main database compares where nothing else is said; BINARY if there is no
    /// such column.
    pub fn collation_of(&self, table: &str, column: &str) -> Result<Collation, SqliteError> {
        if !self.db.column_exists(Some("main"), table, column)? {
            return Ok(Collation::Binary);
        }
        let (_, collation, ..) = self.db.column_metadata(Some("main"), table, column)?;
        let name = collation.map_or("BINARY".into(), |name| name.to_string_lossy());
        Ok(Collation::by_name(&name))
    }

    /// Takes a stub away again.
    pub fn remove_collation(&self, name: &str) -> Result<(), SqliteError> {
        Ok(self.db.remove_collation(name)?)
    }

    /// An empty database in memory, to try schema texts on.
    pub fn open_memory() -> Result<Self, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = rusqlite::Connection::open_in_memory_with_flags(flags)?;
        let opened = Self::of(db)?;
        opened.harden(false)?;
        Ok(opened)
    }

    fn open(path: &Path, flags: OpenFlags, busy: Duration) -> Result<Self, SqliteError> {
        let db = rusqlite::Connection::open_with_flags(plain_name(path), flags)?;
        // Over 24 days SQLite's own counter overflows.
        db.busy_timeout(busy.min(Duration::from_secs(24 * 3600)))?;
        Self::of(db)
    }

    pub(super) fn of(mut db: rusqlite::Connection) -> Result<Self, SqliteError> {
        let schema_only = authorize::install(&mut db)?;
        Ok(Self { db, schema_only })
    }

    /// Sets a pragma to a number. `name` is one of ours, never data.
    pub fn pragma(&self, name: &'static str, value: i64) -> Result<(), SqliteError> {
        self.execute(&format!("PRAGMA {name}={value}"))
    }

    /// Runs one statement; rows that it gives are dropped.
    pub fn execute(&self, sql: &str) -> Result<(), SqliteError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.rows();
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// Runs a stored schema text: exactly one CREATE statement, and nothing but that.
    pub fn create(&self, sql: &str) -> Result<(), SqliteError> {
        self.schema_only.set(true);
        let done = self
            .prepare_create(sql)
            .and_then(|mut statement| statement.run());
        self.schema_only.set(false);
        done
    }

    /// Parses a stored schema text as [`Connection::create`] would, and does not run it.
    pub fn try_create(&self, sql: &str) -> Result<(), SqliteError> {
        self.schema_only.set(true);
        let tried = self.prepare_create(sql).map(drop);
        self.schema_only.set(false);
        tried
    }

    /// Enters virtual tables, by name and text, into the schema without running their modules. Each
    /// text must begin with CREATE; SQLite parses it when the schema is next read, which is here.
    pub fn enter_virtual_tables(&self, tables: &[(&str, &str)]) -> Result<(), SqliteError> {
        let guard = |off: bool| -> Result<(), SqliteError> {
            let db = &self.db;
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, !off)?;
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, off)?;
            Ok(())
        };
        guard(true)?;
        let entered = self.enter(tables);
        guard(false)?;
        entered?;
        // The schema is parsed anew.
        self.execute("PRAGMA writable_schema=RESET")?;
        self.integer("SELECT count(*) FROM main.sqlite_schema")?;
        Ok(())
    }

    fn enter(&self, tables: &[(&str, &str)]) -> Result<(), SqliteError> {
        let sql = "INSERT INTO main.sqlite_schema(type, name, tbl_name, rootpage, sql) \
                   VALUES('table', ?1, ?1, 0, ?2)";
        let mut insert = self.prepare(sql)?;
        for (name, text) in tables {
            check_create(text)?;
            insert.bind(1, ValueRef::Text(name.as_bytes()))?;
            insert.bind(2, ValueRef::Text(text.as_bytes()))?;
            insert.run()?;
        }
        Ok(())
    }

    fn prepare_create(&self, sql: &str) -> Result<Statement<'_>, SqliteError> {
        check_create(sql)?;
        self.prepare(sql)
    }

    /// Prepares exactly one statement.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>, SqliteError> {
        Ok(Statement(self.db.prepare(sql)?))
    }

    /// Calls `each` for every row.
    pub fn for_each(
        &self,
        sql: &str,
        parameters: &[ValueRef<'_>],
        mut each: impl FnMut(Row<'_>) -> Result<(), SqliteError>,
    ) -> Result<(), SqliteError> {
        let mut statement = self.prepare(sql)?;
        for (at, value) in parameters.iter().enumerate() {
            statement.bind(at + 1, *value)?;
        }
        let mut rows = statement.rows();
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }

    /// As [`Connection::for_each`], for a statement that is run often: it stays prepared.
    pub fn for_each_cached(
        &self,
        sql: &'static str,
        parameters: &[ValueRef<'_>],
        mut each: impl FnMut(Row<'_>) -> Result<(), SqliteError>,
    ) -> Result<(), SqliteError> {
        let mut statement = self.db.prepare_cached(sql)?;
        for (at, value) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(at + 1, Bound(*value))?;
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            each(Row(row))?;
        }
        Ok(())
    }

    /// The first column of the first row as an integer; `None` without a row.
    pub fn integer(&self, sql: &str) -> Result<Option<i64>, SqliteError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.rows();
        rows.next()?.map(|row| row.integer(0)).transpose()
    }

    /// The first column of the first row; NULL without a row.
    pub fn value(&self, sql: &str) -> Result<Value, SqliteError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.rows();
        Ok(match rows.next()? {
            Some(row) => row.value(0)?.to_owned(),
            None => Value::Null,
        })
    }

    /// The first column of the first row as text; `None` without a row or for NULL.
    pub fn text(&self, sql: &str) -> Result<Option<String>, SqliteError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.rows();
        match rows.next()? {
            Some(row) => row.text(0),
            None => Ok(None),
        }
    }

    /// Opens a text or blob of a rowid table for reading or writing piece by piece. SQLite refuses
    /// it for tables with generated columns and, to write, for indexed columns.
    pub fn blob(
        &self,
        table: &str,
        column: &str,
        rowid: i64,
        write: bool,
    ) -> Result<BlobIo<'_>, SqliteError> {
        let blob = self
            .db
            .blob_open(rusqlite::MAIN_DB, table, column, rowid, !write)?;
        Ok(BlobIo(blob))
    }

    /// From here on, a value over so many bytes is an error of kind `TooBig` and never loaded;
    /// `None` takes the limit away.
    pub fn limit_length(&self, bytes: Option<i32>) -> Result<(), SqliteError> {
        let bytes = bytes.unwrap_or(LENGTH_MAX);
        self.db.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)?;
        Ok(())
    }

    /// True if the file was renamed, deleted or replaced since it was opened.
    pub fn has_moved(&self) -> Result<bool, SqliteError> {
        let mut moved = 0;
        let control = rusqlite::FileControl::HasMoved(&mut moved);
        self.db.file_control(Some(rusqlite::MAIN_DB), control)?;
        Ok(moved != 0)
    }

    /// True if the database was opened without permission to write it.
    pub fn is_readonly(&self) -> Result<bool, SqliteError> {
        Ok(self.db.is_readonly(rusqlite::MAIN_DB)?)
    }

    /// Rows that the last INSERT, UPDATE or DELETE changed.
    pub fn changes(&self) -> u64 {
        self.db.changes()
    }

    /// Rowid of the row inserted last.
    pub fn last_insert_rowid(&self) -> i64 {
        self.db.last_insert_rowid()
    }

    /// Closes the connection, so that an error on the way is seen.
    pub fn close(self) -> Result<(), SqliteError> {
        self.db.close().map_err(|(_, error)| error.into())
    }
}

/// What is asked of every stored schema text before SQLite sees it.
fn check_create(sql: &str) -> Result<(), SqliteError> {
    let starts_so = sql
        .get(..6)
        .is_some_and(|s| s.eq_ignore_ascii_case("create"));
    if !starts_so {
        return Err(SqliteError::other(
            "a schema text does not begin with CREATE",
        ));
    }
    if sql.contains('\0') {
        return Err(SqliteError::other("a schema text holds a NUL character"));
    }
    Ok(())
}

/// A file as a URI that says that nobody writes to it.
pub(super) fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bundled SQLite would open another file, with options that are not ours.
    #[test]
    fn a_name_that_looks_like_a_uri_is_a_name() {
        assert_eq!(
            plain_name(Path::new("file:app.db?immutable=1")),
            Path::new("./file:app.db?immutable=1")
        );
        assert_eq!(plain_name(Path::new("")), Path::new(""));
        assert_eq!(plain_name(Path::new("/file:x")), Path::new("/file:x"));
    }
}
