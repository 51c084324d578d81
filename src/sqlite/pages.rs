//! Pages as SQLite's own pager gives them, in the transaction of the connection: what the `-wal` holds included,
//! which no file handle would show. By the table `sqlite_dbpage`, where this build of SQLite has it.

use super::open::Connection;
use super::statement::{SqliteError, Statement};
use crate::model::value::ValueRef;

const USED_SQL: &str = "SELECT sqlite_compileoption_used('ENABLE_DBPAGE_VTAB')";
const READ_SQL: &str = "SELECT data FROM sqlite_dbpage WHERE pgno = ?1";

/// Reads pages of the main database by their numbers.
#[derive(Debug)]
pub struct PageReader<'c> {
    statement: Statement<'c>,
}

/// True if this build of SQLite has `sqlite_dbpage`.
pub fn has_dbpage() -> bool {
    Connection::open_memory()
        .and_then(|db| db.integer(USED_SQL))
        .is_ok_and(|used| used == Some(1))
}

impl Connection {
    /// A reader of pages. `None` where pages cannot be had, or where something of the database has taken the name
    /// (as a schema that was written by hand may).
    pub fn page_reader(&self) -> Result<Option<PageReader<'_>>, SqliteError> {
        let sql =
            "SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_dbpage' COLLATE NOCASE";
        if self.integer(USED_SQL)? != Some(1) || self.integer(sql)? != Some(0) {
            return Ok(None);
        }
        let statement = self.prepare(READ_SQL)?;
        Ok(Some(PageReader { statement }))
    }
}

impl PageReader<'_> {
    /// Shows a page, counted from 1; `None` for one that is not there.
    pub fn read<T>(
        &mut self,
        page: u32,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, SqliteError> {
        self.statement.bind(1, ValueRef::Integer(page.into()))?;
        let mut rows = self.statement.rows();
        match rows.next()? {
            Some(row) => Ok(row.bytes(0)?.map(look)),
            None => Ok(None),
        }
    }
}
