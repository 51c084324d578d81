//! The parents that references of a live database refer to.

use super::columns::{Identity, equals};
use super::error::TargetError;
use super::live::LiveDatabase;
use super::lookup::RowId;
use crate::model::row::Collation;
use crate::model::schema::{ForeignKey, Table};
use crate::model::value::Value;
use crate::sqlite::quote::{ident, idents};
use crate::sqlite::{SqliteError, Statement};

/// The columns of the parent that a foreign key names, with the collations that decide; `None` if
/// they are no key of it: then SQLite cannot check the reference either, or, where a key has one column
/// twice, checks other columns than were named. A reference that was declared for this restore may name
/// any columns: how they compare is asked of the database.
///
/// Errors: `Damaged`, `Busy`.
pub fn parent_columns(
    key: &ForeignKey,
    parent: &Table,
    declared: Option<&LiveDatabase>,
) -> Result<Option<Vec<(usize, Collation)>>, TargetError> {
    let named: Option<Vec<usize>> = key
        .columns
        .iter()
        .map(|(_, column)| column.as_deref().and_then(|name| parent.column_at(name)))
        .collect();
    let columns = match named {
        Some(columns) if (1..columns.len()).any(|n| columns[..n].contains(&columns[n])) => {
            return Ok(None);
        }
        Some(columns) => columns,
        None if key.columns.iter().all(|(_, column)| column.is_none()) => {
            let primary = parent.primary_key.iter().map(|key| key.column as usize);
            primary.collect()
        }
        None => return Ok(None),
    };
    if columns.len() != key.columns.len() {
        return Ok(None);
    }
    let unique = parent.unique_keys.iter().map(|key| &key.columns);
    let keys: Vec<_> = std::iter::once(&parent.primary_key).chain(unique).collect();
    if let Some(live) = declared {
        let with_collation = columns.iter().map(|column| {
            let name = &parent.columns[*column].name;
            Ok((*column, live.collation(&parent.name, name)?))
        });
        return with_collation.collect::<Result<_, _>>().map(Some);
    }
    let matching = keys.into_iter().find(|key| {
        let has = |column: &usize| key.iter().any(|k| k.column as usize == *column);
        key.len() == columns.len() && columns.iter().all(has)
    });
    let Some(matching) = matching else {
        return Ok(None);
    };
    let collation = |column: &usize| {
        let of = matching.iter().find(|k| k.column as usize == *column);
        of.map_or(Collation::Binary, |k| k.collation.clone())
    };
    Ok(Some(columns.iter().map(|c| (*c, collation(c))).collect()))
}

/// Looks up the targets of references in a live parent table.
pub struct Targets<'d> {
    live: &'d LiveDatabase,
    find: Statement<'d>,
}

impl<'d> Targets<'d> {
    /// Prepares for these columns of a parent.
    pub fn new(
        live: &'d LiveDatabase,
        parent: &Table,
        columns: &[(usize, Collation)],
    ) -> Result<Self, TargetError> {
        let make = || -> Result<Statement<'d>, SqliteError> {
            let mut terms = Vec::new();
            for (n, (column, collation)) in columns.iter().enumerate() {
                let name = &parent.columns[*column].name;
                terms.push(equals(name, n + 1, collation)?);
            }
            live.db.prepare(&format!(
                "SELECT 1 FROM main.{} WHERE {}",
                ident(&parent.name)?,
                terms.join(" AND ")
            ))
        };
        let find = make().map_err(|e| live.at(&format!("table {}", parent.name), e))?;
        Ok(Self { live, find })
    }

    /// True if the parent has a row that a reference of these values finds.
    pub fn has(&mut self, values: &[Value]) -> Result<bool, TargetError> {
        let mut has = || -> Result<bool, SqliteError> {
            for (at, value) in values.iter().enumerate() {
                self.find.bind(at + 1, value.as_ref())?;
            }
            Ok(self.find.rows().next()?.is_some())
        };
        has().map_err(|e| self.live.at("references", e))
    }
}

/// Bytes of a value that is shown whole.
const SHORT_BYTES_MAX: u32 = 400;

impl LiveDatabase {
    /// Calls `each` for every row of a table with the values of some columns, long ones cut short.
    pub fn each_short_row(
        &self,
        table: &Table,
        columns: &[&str],
        mut each: impl FnMut(&[Value]),
    ) -> Result<(), TargetError> {
        let mut read = || -> Result<(), SqliteError> {
            let mut asked = Vec::new();
            for column in columns {
                let c = ident(column)?;
                asked.push(format!(
                    "CASE WHEN octet_length({c}) > {SHORT_BYTES_MAX} THEN substr({c}, 1, 100) ELSE {c} END"
                ));
            }
            let name = ident(&table.name)?;
            let sql = format!("SELECT {} FROM main.{name} NOT INDEXED", asked.join(", "));
            self.db.for_each(&sql, &[], |row| {
                let values: Result<Vec<Value>, SqliteError> = (0..columns.len())
                    .map(|at| Ok(row.value(at)?.to_owned()))
                    .collect();
                each(&values?);
                Ok(())
            })
        };
        read().map_err(|e| self.at(&format!("table {}", table.name), e))
    }

    /// Calls `each` for every row of a table that refers to something by this foreign key, with the values
    /// of the reference.
    pub fn each_reference(
        &self,
        table: &Table,
        key: &ForeignKey,
        mut each: impl FnMut(&RowId, Vec<Value>) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        let at = |e: SqliteError| self.at(&format!("table {}", table.name), e);
        let identity = Identity::of(table);
        let sql = || -> Result<String, SqliteError> {
            let children: Vec<&str> = key
                .columns
                .iter()
                .map(|(child, _)| child.as_str())
                .collect();
            let mut whole = Vec::new();
            for child in &children {
                whole.push(format!("{} IS NOT NULL", ident(child)?));
            }
            Ok(format!(
                "SELECT {} FROM main.{} WHERE {}",
                idents(
                    children
                        .into_iter()
                        .chain(identity.columns.iter().map(String::as_str))
                )?,
                ident(&table.name)?,
                whole.join(" AND ")
            ))
        };
        let sql = sql().map_err(at)?;
        let mut statement = self.db.prepare(&sql).map_err(at)?;
        let mut rows = statement.rows();
        while let Some(row) = rows.next().map_err(at)? {
            let width = key.columns.len();
            let mut values = Vec::new();
            for n in 0..width + identity.columns.len() {
                values.push(row.value(n).map_err(at)?.to_owned());
            }
            let id = RowId(values.split_off(width));
            each(&id, values)?;
        }
        Ok(())
    }
}
