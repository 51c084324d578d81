//! The rows of one table of a live database, in the order of its tree: by rowid, or by the primary key of
//! a WITHOUT ROWID table.
//!
//! A row with a value over [`FAST_BYTES_MAX`] is not loaded: it is known by its key, and compared piece
//! by piece.

use super::columns::{ColumnMap, Identity, Record};
use super::compare::{Comparer, FAST_BYTES_MAX, Field, field};
use super::error::TargetError;
use super::live::LiveDatabase;
use super::lookup::{RowId, Stop};
use super::writer::{SpilledContent, load};
use crate::model::schema::{Table, TableKind};
use crate::model::value::{Spilled, Value, ValueRef};
use crate::sqlite::quote::{NameError, ident};
use crate::sqlite::{ErrorKind, Row, SqliteError};

/// Reads the rows of one table.
pub struct LiveRows<'d> {
    live: &'d LiveDatabase,
    table: &'d Table,
    map: &'d ColumnMap,
    identity: Identity,
    comparer: Comparer<'d>,
    /// Positions of the primary key's columns among the mapped ones; empty in rowid tables.
    key: Vec<usize>,
}

/// A row, valid until the next one is asked for.
pub struct LiveRow<'r> {
    /// Its rowid; `None` in a WITHOUT ROWID table.
    pub rowid: Option<i64>,
    width: usize,
    /// `None`: a value is too long to be loaded.
    row: Option<Row<'r>>,
}

impl<'d> LiveRows<'d> {
    /// Prepares to read a table. `None` if its rows cannot be read in an order that is known: the rowid
    /// has no name, or the key is not all among the mapped columns.
    pub fn new(
        live: &'d LiveDatabase,
        table: &'d Table,
        map: &'d ColumnMap,
    ) -> Result<Option<Self>, TargetError> {
        let place = |column: u32| {
            let mut columns = map.columns.iter();
            columns.position(|mapped| mapped.column == column as usize)
        };
        let key = match table.kind {
            TableKind::WithoutRowid => {
                let parts = table.primary_key.iter();
                parts.map(|part| place(part.column)).collect()
            }
            TableKind::Rowid { .. } => table.rowid_column().map(|_| Vec::new()),
            TableKind::Virtual => None,
        };
        let Some(key) = key else { return Ok(None) };
        Ok(Some(Self {
            live,
            table,
            map,
            identity: Identity::of(table),
            comparer: Comparer::new(live, table, map)?,
            key,
        }))
    }

    /// Calls `each` for every row, in order, until it says false.
    pub fn for_each(
        &self,
        mut each: impl FnMut(&LiveRow<'_>) -> Result<bool, TargetError>,
    ) -> Result<(), TargetError> {
        let mut next = Some(i64::MIN);
        while let Some(from) = next {
            next = self.from(from, &mut each)?;
        }
        Ok(())
    }

    /// Reads from a rowid on. The answer is where to go on behind a row that is too long to be loaded.
    fn from(
        &self,
        from: i64,
        each: &mut impl FnMut(&LiveRow<'_>) -> Result<bool, TargetError>,
    ) -> Result<Option<i64>, TargetError> {
        let at = |cause| self.live.at(&format!("table {}", self.table.name), cause);
        let sql = self.sql().map_err(|e| at(e.into()))?;
        let mut statement = self.live.db.prepare(&sql).map_err(at)?;
        let is_rowid = self.identity.is_rowid;
        if is_rowid {
            statement.bind(1, ValueRef::Integer(from)).map_err(at)?;
        }
        let mut rows = statement.rows();
        let mut behind = from;
        loop {
            self.live
                .db
                .limit_length(Some(FAST_BYTES_MAX))
                .map_err(at)?;
            let read = rows.next();
            self.live.db.limit_length(None).map_err(at)?;
            let row = match read {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(None),
                Err(error) if error.kind == ErrorKind::TooBig && is_rowid => {
                    return self.long_row(behind, each);
                }
                Err(error) => return Err(at(error)),
            };
            let rowid = match is_rowid {
                true => Some(row.integer(0).map_err(at)?),
                false => None,
            };
            let is_wanted = each(&LiveRow {
                rowid,
                width: self.map.columns.len(),
                row: Some(row),
            })?;
            match (is_wanted, rowid) {
                (false, _) => return Ok(None),
                (true, Some(i64::MAX)) => return Ok(None),
                (true, Some(rowid)) => behind = rowid + 1,
                (true, None) => {}
            }
        }
    }

    /// Columns of a WITHOUT ROWID table whose values are too long stand as NULL with a mark behind: its
    /// scan cannot go on behind one of them.
    fn sql(&self) -> Result<String, NameError> {
        let table = ident(&self.table.name)?;
        let mut columns = Vec::new();
        for column in &self.map.columns {
            columns.push(ident(&column.name)?);
        }
        if let (true, Some(rowid)) = (self.identity.is_rowid, self.identity.columns.first()) {
            let rowid = ident(rowid)?;
            columns.insert(0, rowid.clone());
            return Ok(format!(
                "SELECT {} FROM main.{table} NOT INDEXED WHERE {rowid} >= ?1 ORDER BY {rowid}",
                columns.join(", ")
            ));
        }
        let long = columns.iter();
        let long = long.map(|c| format!("coalesce(octet_length({c}) > {FAST_BYTES_MAX}, 0)"));
        let long = long.collect::<Vec<_>>().join(" OR ");
        let short = columns
            .iter()
            .enumerate()
            .map(|(at, c)| match self.key.contains(&at) {
                true => c.clone(),
                false => {
                    format!("CASE WHEN octet_length({c}) > {FAST_BYTES_MAX} THEN NULL ELSE {c} END")
                }
            });
        let mut order = Vec::new();
        for part in &self.table.primary_key {
            let name = ident(&self.table.columns[part.column as usize].name)?;
            let collation = ident(super::columns::collation_name(&part.collation))?;
            let way = if part.descending { " DESC" } else { "" };
            order.push(format!("{name} COLLATE {collation}{way}"));
        }
        Ok(format!(
            "SELECT {}, {long} FROM main.{table} ORDER BY {}",
            short.collect::<Vec<_>>().join(", "),
            order.join(", ")
        ))
    }

    fn long_row(
        &self,
        from: i64,
        each: &mut impl FnMut(&LiveRow<'_>) -> Result<bool, TargetError>,
    ) -> Result<Option<i64>, TargetError> {
        let first = || -> Result<Option<i64>, SqliteError> {
            let rowid = ident(&self.identity.columns[0])?;
            let table = ident(&self.table.name)?;
            self.live.db.integer(&format!(
                "SELECT {rowid} FROM main.{table} NOT INDEXED WHERE {rowid} >= {from} ORDER BY {rowid} LIMIT 1"
            ))
        };
        let first = first().map_err(|e| self.live.at(&format!("table {}", self.table.name), e))?;
        let Some(rowid) = first else { return Ok(None) };
        let is_wanted = each(&LiveRow {
            rowid: Some(rowid),
            width: self.map.columns.len(),
            row: None,
        })?;
        Ok(rowid.checked_add(1).filter(|_| is_wanted))
    }

    /// Compares a row with a record: one field for each mapped column.
    pub fn compare(
        &self,
        row: &LiveRow<'_>,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
        fields: &mut Vec<Field>,
    ) -> Result<(), TargetError> {
        fields.clear();
        if row.is_long().map_err(|e| self.live.at("", e))? {
            let id = self.id(row)?;
            return self.comparer.compare_long(&id, record, content, fields);
        }
        let mut compare = || -> Result<(), Stop> {
            for at in 0..row.width {
                fields.push(field(row.value(at)?, record.value(at), content)?);
            }
            Ok(())
        };
        compare().map_err(|stop| stop.named(self.live, self.table, self.map, record))
    }

    /// What tells a row from the others of its table.
    pub fn id(&self, row: &LiveRow<'_>) -> Result<RowId, TargetError> {
        if let Some(rowid) = row.rowid {
            return Ok(RowId(vec![Value::Integer(rowid)]));
        }
        let mut values = Vec::new();
        for name in &self.identity.columns {
            let at = self.map.position(name);
            let value = at.map_or(Ok(ValueRef::Null), |at| row.value(at));
            values.push(value.map_err(|e| self.live.at("", e))?.to_owned());
        }
        Ok(RowId(values))
    }

    /// The values of the primary key of a WITHOUT ROWID table's row, in its order.
    pub fn key<'r>(&self, row: &LiveRow<'r>) -> Result<Vec<ValueRef<'r>>, TargetError> {
        let values: Result<Vec<_>, SqliteError> =
            self.key.iter().map(|at| row.value(*at)).collect();
        values.map_err(|e| self.live.at(&format!("table {}", self.table.name), e))
    }

    /// A long value of a record's key, whole.
    pub fn load(
        &self,
        long: &Spilled,
        content: &mut dyn SpilledContent,
    ) -> Result<Value, TargetError> {
        load(long, content).map_err(|cause| TargetError::Content {
            table: self.table.name.clone(),
            row: "a record".to_owned(),
            cause,
        })
    }

    /// Values of mapped columns of a row; long ones are loaded.
    pub fn values(&self, row: &LiveRow<'_>, columns: &[usize]) -> Result<Vec<Value>, TargetError> {
        let at = |e| self.live.at(&format!("table {}", self.table.name), e);
        if row.is_long().map_err(at)? {
            return self.comparer.values(&self.id(row)?, columns);
        }
        let values = columns.iter();
        values
            .map(|column| Ok(row.value(*column).map_err(at)?.to_owned()))
            .collect()
    }
}

impl<'r> LiveRow<'r> {
    fn is_long(&self) -> Result<bool, SqliteError> {
        match (&self.row, self.rowid) {
            (None, _) => Ok(true),
            (Some(_), Some(_)) => Ok(false),
            // The mark behind the columns.
            (Some(row), None) => Ok(row.integer(self.width)? != 0),
        }
    }

    /// The value of a mapped column; NULL for one that is too long.
    pub fn value(&self, at: usize) -> Result<ValueRef<'r>, SqliteError> {
        match &self.row {
            None => Ok(ValueRef::Null),
            Some(row) => row.value(at + usize::from(self.rowid.is_some())),
        }
    }
}
