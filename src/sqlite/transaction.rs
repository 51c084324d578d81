//! A connection in the middle of a transaction, lent by the room that holds it to the one that reads.

use std::path::Path;

use super::open::Connection;
use super::statement::SqliteError;

/// A database as a transaction of ours sees it, what it wrote included. Until that ends, nobody else
/// changes it. Whoever passes it on asks nothing of it.
#[derive(Debug, Clone, Copy)]
pub struct InTransaction<'c> {
    /// The connection that holds the transaction.
    pub db: &'c Connection,
    /// The database, for messages.
    pub path: &'c Path,
}

impl<'c> InTransaction<'c> {
    /// Refuses a connection that holds none: each of its statements would see a state of its own.
    pub fn of(db: &'c Connection, path: &'c Path) -> Result<Self, SqliteError> {
        if db.db.is_autocommit() {
            return Err(SqliteError::other("no transaction is open (a bug)"));
        }
        Ok(Self { db, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_a_transaction_there_is_nothing_to_lend() {
        let db = Connection::open_memory().unwrap();
        let path = Path::new("memory");
        assert!(InTransaction::of(&db, path).is_err());
        db.execute("BEGIN IMMEDIATE").unwrap();
        assert!(InTransaction::of(&db, path).is_ok());
        db.execute("ROLLBACK").unwrap();
        assert!(InTransaction::of(&db, path).is_err());
    }
}
