//! Where the trees of a table begin, and what their records hold, as SQLite itself tells it.

use super::open::Connection;
use super::quote::ident;
use super::statement::SqliteError;
use crate::model::row::Collation;
use crate::model::value::ValueRef;

/// What a value of an index's record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexValue {
    /// The column at this position of the table.
    Column(usize),
    /// The rowid.
    Rowid,
    /// The value of an expression.
    Expression,
}

/// A value of an index's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// Where it comes from.
    pub value: IndexValue,
    /// How texts compare.
    pub collation: Collation,
    /// Larger first.
    pub descending: bool,
    /// It is of the key, not only there to find the row by.
    pub in_key: bool,
}

/// An index, those of keys included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexLayout {
    /// Its name.
    pub name: String,
    /// The page of its root; `None` for the primary key of a WITHOUT ROWID table, which is the table.
    pub root: Option<u32>,
    /// No two rows have one key.
    pub unique: bool,
    /// Of some rows only.
    pub partial: bool,
    /// The values of its records, in order.
    pub columns: Vec<IndexColumn>,
}

impl IndexLayout {
    /// The columns of its key.
    pub fn key(&self) -> impl Iterator<Item = &IndexColumn> {
        self.columns.iter().filter(|column| column.in_key)
    }

    /// The other ones, which the row is found by.
    pub fn behind_key(&self) -> impl Iterator<Item = &IndexColumn> {
        self.columns.iter().filter(|column| !column.in_key)
    }
}

/// The trees of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLayout {
    /// The page of its root.
    pub root: u32,
    /// Its indexes, in SQLite's order.
    pub indexes: Vec<IndexLayout>,
}

/// Reads where a table's trees are; `None` for one that has none.
pub fn read_layout(db: &Connection, table: &str) -> Result<Option<TableLayout>, SqliteError> {
    let Some(root) = read_root(db, "table", table)? else {
        return Ok(None);
    };
    let mut listed = Vec::new();
    let sql = format!("PRAGMA main.index_list({})", ident(table)?);
    db.for_each(&sql, &[], |row| {
        let name = row.text(1)?.unwrap_or_default();
        listed.push((name, row.integer(2)? != 0, row.integer(4)? != 0));
        Ok(())
    })?;
    // The order of the list changes with VACUUM.
    listed.sort();
    let mut indexes = Vec::new();
    for (name, unique, partial) in listed {
        indexes.push(IndexLayout {
            root: read_root(db, "index", &name)?,
            columns: read_columns(db, &name)?,
            name,
            unique,
            partial,
        });
    }
    Ok(Some(TableLayout { root, indexes }))
}

/// The root page of the tree of a table or an index (`kind`); `None` for one that has none.
pub fn read_root(db: &Connection, kind: &str, name: &str) -> Result<Option<u32>, SqliteError> {
    let mut root = None;
    let sql = "SELECT rootpage FROM main.sqlite_schema WHERE type = ?1 AND name = ?2";
    let parameters = [kind, name].map(|text| ValueRef::Text(text.as_bytes()));
    db.for_each(sql, &parameters, |row| {
        root = u32::try_from(row.integer(0)?).ok().filter(|page| *page > 0);
        Ok(())
    })?;
    Ok(root)
}

fn read_columns(db: &Connection, index: &str) -> Result<Vec<IndexColumn>, SqliteError> {
    let mut columns = Vec::new();
    let sql = format!("PRAGMA main.index_xinfo({})", ident(index)?);
    db.for_each(&sql, &[], |row| {
        let column = row.integer(1)?;
        columns.push(IndexColumn {
            value: match usize::try_from(column) {
                Ok(at) => IndexValue::Column(at),
                // -1 is the rowid, -2 an expression.
                Err(_) if column == -1 => IndexValue::Rowid,
                Err(_) => IndexValue::Expression,
            },
            collation: Collation::by_name(&row.text(4)?.unwrap_or_default()),
            descending: row.integer(3)? != 0,
            in_key: row.integer(5)? != 0,
        });
        Ok(())
    })?;
    Ok(columns)
}
