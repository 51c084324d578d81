//! Records into one table of a live database: INSERT, and UPDATE of what is NULL. Never REPLACE,
//! never IGNORE, also where the table's text asks for it: what the table refuses is an error, and the
//! transaction is taken back.

use std::collections::BTreeMap;
use std::path::Path;

use super::columns::{ColumnMap, Identity, Record, shown};
use super::error::TargetError;
use super::live::LiveDatabase;
use super::lookup::{RowId, Stop};
use super::writer::{STREAM_BYTES, SpilledContent, copy_exactly, load};
use crate::model::schema::{ColumnKind, ObjectKind, Schema, SchemaObject, Table, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Spilled, Value, ValueRef};
use crate::sqlite::quote::{ident, idents};
use crate::sqlite::{Connection, ErrorKind, SqliteError, Statement};

/// Kinds of UPDATE that stay prepared.
const UPDATES_MAX: usize = 64;

/// Blobs up to this length are bound whole.
const WHOLE_BYTES_MAX: u64 = 1 << 20;

/// Writes records to one table.
pub struct LiveWriter<'d> {
    db: &'d Connection,
    path: &'d Path,
    table: &'d Table,
    map: &'d ColumnMap,
    identity: Identity,
    insert: Statement<'d>,
    elsewhere: Option<Elsewhere<'d>>,
    updates: BTreeMap<Vec<usize>, Statement<'d>>,
    /// The mapped column whose long blobs are streamed.
    streamed: Option<usize>,
    encoding: TextEncoding,
}

/// How a row whose rowid is taken gets another.
struct Elsewhere<'d> {
    /// Is this rowid taken?
    taken: Statement<'d>,
    /// INSERT without a rowid: SQLite gives one.
    insert: Statement<'d>,
    /// The next rowid that neither the table nor the snapshot has; `None` at the end of integers.
    next: Option<i64>,
}

impl<'d> Elsewhere<'d> {
    fn new(
        db: &'d Connection,
        table: &Table,
        map: &ColumnMap,
        rowid: &str,
    ) -> Result<Self, SqliteError> {
        let (rowid, name) = (ident(rowid)?, ident(&table.name)?);
        let last = db.integer(&format!(
            "SELECT coalesce(max({rowid}), 0) FROM main.{name}"
        ))?;
        Ok(Self {
            taken: db.prepare(&format!("SELECT 1 FROM main.{name} WHERE {rowid} = ?1"))?,
            insert: db.prepare(&insert_sql(table, map, None)?)?,
            next: last.unwrap_or(0).max(0).checked_add(1),
        })
    }
}

impl<'d> LiveWriter<'d> {
    /// A writer for a table of a live database. `rowid_max`: the largest rowid among the records;
    /// where one of them must give way to a row, it goes behind all of these.
    pub fn new(
        live: &'d LiveDatabase,
        schema: &Schema,
        table: &'d Table,
        map: &'d ColumnMap,
        rowid_max: i64,
    ) -> Result<Self, TargetError> {
        let place = (&live.db, live.path.as_path(), live.encoding);
        let mut writer = Self::on(place, schema, table, map)?;
        if let Some(elsewhere) = &mut writer.elsewhere {
            let behind = rowid_max.checked_add(1);
            elsewhere.next = elsewhere.next.zip(behind).map(|(a, b)| a.max(b));
        }
        Ok(writer)
    }

    pub(super) fn on(
        (db, path, encoding): (&'d Connection, &'d Path, TextEncoding),
        schema: &Schema,
        table: &'d Table,
        map: &'d ColumnMap,
    ) -> Result<Self, TargetError> {
        let at =
            |cause: SqliteError| TargetError::of(path, &format!("table {}", table.name), cause);
        let rowid = table.rowid_column().filter(|_| map.keeps_rowid);
        let insert = insert_sql(table, map, rowid).and_then(|sql| db.prepare(&sql));
        let elsewhere = rowid.map(|rowid| Elsewhere::new(db, table, map, rowid));
        let elsewhere = elsewhere.transpose().map_err(at)?;
        Ok(Self {
            db,
            path,
            table,
            map,
            identity: Identity::of(table),
            insert: insert.map_err(at)?,
            elsewhere,
            updates: BTreeMap::new(),
            streamed: streamed_column(schema, table, map),
            encoding,
        })
    }

    /// Inserts a record. A rowid that is no column is kept if it is free.
    ///
    /// Errors: `Constraint` if the table refuses it, `Content` if a long value cannot be had.
    pub fn insert(
        &mut self,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        self.insert_row(record, content)
            .map_err(|stop| self.refused(record, stop))
    }

    fn insert_row(
        &mut self,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), Stop> {
        let values = (0..self.map.columns.len()).map(|at| (at, record.value(at)));
        fits(self.encoding, self.map, values)?;
        let mut first = 1;
        let mut statement = &mut self.insert;
        if let (Some(elsewhere), Some(wanted)) = (&mut self.elsewhere, record.rowid) {
            elsewhere.taken.bind(1, ValueRef::Integer(wanted))?;
            let is_taken = elsewhere.taken.rows().next()?.is_some();
            let rowid = if is_taken {
                elsewhere.next
            } else {
                Some(wanted)
            };
            if is_taken {
                elsewhere.next = elsewhere.next.and_then(|next| next.checked_add(1));
            }
            match rowid {
                Some(rowid) => {
                    statement.bind(1, ValueRef::Integer(rowid))?;
                    first = 2;
                }
                None => statement = &mut elsewhere.insert,
            }
        }
        let mut streamed = None;
        for (at, column) in self.map.columns.iter().enumerate() {
            let parameter = first + at;
            match record.value(at) {
                ValueRef::Spilled(s)
                    if self.streamed == Some(at)
                        && s.class == LongClass::Blob
                        && s.bytes > WHOLE_BYTES_MAX =>
                {
                    streamed = Some((column.name.as_str(), s));
                    statement.bind_zeros(parameter, s.bytes)?;
                }
                ValueRef::Spilled(s) => statement.bind(parameter, load(&s, content)?.as_ref())?,
                value => statement.bind(parameter, value)?,
            }
        }
        statement.run()?;
        one_row(self.db)?;
        if let Some((column, spilled)) = streamed {
            stream(self.db, &self.table.name, column, &spilled, content)?;
        }
        Ok(())
    }

    /// Fills columns (positions among the mapped ones) of a row with the record's values.
    ///
    /// Errors: as [`LiveWriter::insert`].
    pub fn fill(
        &mut self,
        id: &RowId,
        columns: &[usize],
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        self.fill_row(id, columns, record, content)
            .map_err(|stop| self.refused(record, stop))
    }

    fn fill_row(
        &mut self,
        id: &RowId,
        columns: &[usize],
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), Stop> {
        let values = columns.iter().map(|at| (*at, record.value(*at)));
        fits(self.encoding, self.map, values)?;
        if !self.updates.contains_key(columns) {
            if self.updates.len() == UPDATES_MAX {
                self.updates.clear();
            }
            let sql = update_sql(self.table, self.map, &self.identity, columns)?;
            self.updates
                .insert(columns.to_vec(), self.db.prepare(&sql)?);
        }
        let Some(update) = self.updates.get_mut(columns) else {
            return Ok(());
        };
        for (n, at) in columns.iter().enumerate() {
            match record.value(*at) {
                ValueRef::Spilled(s) => update.bind(n + 1, load(&s, content)?.as_ref())?,
                value => update.bind(n + 1, value)?,
            }
        }
        for (n, value) in id.0.iter().enumerate() {
            update.bind(columns.len() + n + 1, value.as_ref())?;
        }
        update.run()?;
        Ok(one_row(self.db)?)
    }

    fn refused(&self, record: Record<'_>, stop: Stop) -> TargetError {
        let (table, name) = (self.table.name.clone(), self.map.name_of(record));
        match stop {
            Stop::Content(cause) => TargetError::Content {
                table,
                row: name,
                cause,
            },
            Stop::Sqlite(cause) => match cause.kind {
                // `Other`: a text where the rowid is due.
                ErrorKind::Constraint | ErrorKind::TooBig | ErrorKind::Other => {
                    TargetError::Constraint {
                        table,
                        row: name,
                        cause,
                    }
                }
                _ => TargetError::of(self.path, &format!("table {table}"), cause),
            },
        }
    }
}

/// The statement that ran last wrote one row, and that is the one.
fn one_row(db: &Connection) -> Result<(), SqliteError> {
    match db.changes() {
        1 => Ok(()),
        rows => Err(SqliteError::not_one(rows)),
    }
}

/// Texts are given in UTF-8. What is none has no form in UTF-16: SQLite would write something else.
fn fits<'a>(
    encoding: TextEncoding,
    map: &ColumnMap,
    mut values: impl Iterator<Item = (usize, ValueRef<'a>)>,
) -> Result<(), SqliteError> {
    if encoding.is_utf8() {
        return Ok(());
    }
    let is_none = |value: ValueRef<'_>| match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).is_err(),
        _ => false,
    };
    match values.find(|(_, value)| is_none(*value)) {
        Some((at, _)) => Err(SqliteError::not_unicode(&map.columns[at].name)),
        None => Ok(()),
    }
}

/// Deletes rows of one table.
pub struct Deleter<'d> {
    live: &'d LiveDatabase,
    table: &'d Table,
    delete: Statement<'d>,
}

impl LiveDatabase {
    /// Prepares to delete rows of a table.
    pub fn deleter<'d>(&'d self, table: &'d Table) -> Result<Deleter<'d>, TargetError> {
        let place = Identity::of(table).place(table);
        let delete = place.and_then(|place| self.db.prepare(&format!("DELETE FROM {place}")));
        Ok(Deleter {
            live: self,
            table,
            delete: delete.map_err(|e| self.at(&format!("table {}", table.name), e))?,
        })
    }

    /// Inserts a row of given values; the other columns get their defaults.
    ///
    /// Errors: `Constraint` if the table refuses it.
    pub fn insert_given(&self, table: &str, values: &[(String, Value)]) -> Result<(), TargetError> {
        let insert = || -> Result<(), SqliteError> {
            let columns = idents(values.iter().map(|(column, _)| column.as_str()))?;
            let marks: Vec<String> = (1..=values.len()).map(|n| format!("?{n}")).collect();
            let name = ident(table)?;
            let sql = format!(
                "INSERT OR ABORT INTO main.{name}({columns}) VALUES({})",
                marks.join(", ")
            );
            let mut statement = self.db.prepare(&sql)?;
            for (at, (_, value)) in values.iter().enumerate() {
                statement.bind(at + 1, value.as_ref())?;
            }
            statement.run()?;
            one_row(&self.db)
        };
        insert().map_err(|cause| match cause.kind {
            ErrorKind::Constraint | ErrorKind::Other => {
                let named = values.iter().take(2);
                let named = named.map(|(c, v)| format!("{c} {}", shown(v.as_ref())));
                TargetError::Constraint {
                    table: table.to_owned(),
                    row: named.collect::<Vec<_>>().join(", "),
                    cause,
                }
            }
            _ => self.at(&format!("table {table}"), cause),
        })
    }
}

impl Deleter<'_> {
    /// Deletes a row. No cascade runs.
    pub fn delete(&mut self, id: &RowId) -> Result<(), TargetError> {
        let mut delete = || -> Result<(), SqliteError> {
            for (at, value) in id.0.iter().enumerate() {
                self.delete.bind(at + 1, value.as_ref())?;
            }
            self.delete.run()?;
            one_row(&self.live.db)
        };
        delete().map_err(|e| self.live.at(&format!("table {}", self.table.name), e))
    }
}

fn insert_sql(table: &Table, map: &ColumnMap, rowid: Option<&str>) -> Result<String, SqliteError> {
    let mapped = map.columns.iter().map(|column| column.name.as_str());
    let columns: Vec<&str> = rowid.into_iter().chain(mapped).collect();
    let name = ident(&table.name)?;
    if columns.is_empty() {
        return Ok(format!("INSERT OR ABORT INTO main.{name} DEFAULT VALUES"));
    }
    let marks: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
    Ok(format!(
        "INSERT OR ABORT INTO main.{name}({}) VALUES({})",
        idents(columns)?,
        marks.join(", ")
    ))
}

fn update_sql(
    table: &Table,
    map: &ColumnMap,
    identity: &Identity,
    columns: &[usize],
) -> Result<String, SqliteError> {
    let mut set = Vec::new();
    for (n, at) in columns.iter().enumerate() {
        set.push(format!("{} = ?{}", ident(&map.columns[*at].name)?, n + 1));
    }
    Ok(format!(
        "UPDATE OR ABORT main.{} SET {} WHERE {}",
        ident(&table.name)?,
        set.join(", "),
        identity.terms(columns.len() + 1)?
    ))
}

/// The mapped column whose blobs can be written as zeros first: the last one of a rowid table that
/// nothing looks at meanwhile, neither an index nor a CHECK, a generated column or a trigger.
fn streamed_column(schema: &Schema, table: &Table, map: &ColumnMap) -> Option<usize> {
    let last = map.columns.last()?;
    let of_table = |object: &&SchemaObject| object.table.eq_ignore_ascii_case(&table.name);
    let is_plain = table.columns.iter().all(|c| c.kind == ColumnKind::Ordinary)
        && matches!(table.kind, TableKind::Rowid { .. })
        && last.column + 1 == table.columns.len()
        && !last.in_key;
    let name = last.name.to_ascii_lowercase();
    let names_it = |index: &SchemaObject| {
        let text = index.sql.as_deref().unwrap_or_default();
        text.to_ascii_lowercase().contains(&name)
    };
    let mut indexes = schema.objects_of(ObjectKind::Index).filter(of_table);
    let has_index = indexes.any(names_it);
    let has_trigger = schema.objects_of(ObjectKind::Trigger).any(|t| of_table(&t));
    let is_seen = has_index || has_trigger || mentions_check(schema, &table.name);
    (is_plain && !is_seen).then(|| map.columns.len() - 1)
}

/// True if a table's text may hold a CHECK.
pub(super) fn mentions_check(schema: &Schema, table: &str) -> bool {
    let text = schema
        .objects_of(ObjectKind::Table)
        .find(|object| object.name.eq_ignore_ascii_case(table))
        .and_then(|object| object.sql.as_deref());
    text.is_none_or(|sql| sql.to_ascii_lowercase().contains("check"))
}

/// Fills the zeros of the row inserted last with a blob's content.
fn stream(
    db: &Connection,
    table: &str,
    column: &str,
    spilled: &Spilled,
    content: &mut dyn SpilledContent,
) -> Result<(), Stop> {
    let mut blob = db.blob(table, column, db.last_insert_rowid(), true)?;
    let mut buffer = vec![0; STREAM_BYTES];
    Ok(copy_exactly(spilled, content, &mut blob, &mut buffer)?)
}
