//! A temporary database in which new records are inserted into tables of the live text, so that what
//! the live database would refuse is known before it is written. It spills to disk.

use std::path::PathBuf;

use super::columns::{ColumnMap, Record};
use super::error::TargetError;
use super::live::LiveDatabase;
use super::live_writer::{LiveWriter, mentions_check};
use super::lookup::{RowId, identity_places};
use super::other_unique::{OtherUnique, computing, other_unique};
use super::writer::SpilledContent;
use crate::model::schema::{ObjectKind, Schema, Table};
use crate::model::text::TextEncoding;
use crate::model::value::Value;
use crate::sqlite::quote::ident;
use crate::sqlite::{Connection, SqliteError};

/// A temporary database beside the live one.
pub struct Trial {
    db: Connection,
    path: PathBuf,
    encoding: TextEncoding,
}

impl Trial {
    /// An empty one.
    pub fn new(live: &LiveDatabase) -> Result<Self, TargetError> {
        let at = |cause: SqliteError| live.at("temporary database", cause);
        let open = || {
            let db = Connection::open_cache(None)?;
            db.execute(&format!("PRAGMA encoding='{}'", live.encoding.name()))?;
            db.execute("BEGIN")?;
            Ok(db)
        };
        Ok(Self {
            db: open().map_err(at)?,
            path: live.path().to_owned(),
            encoding: live.encoding,
        })
    }

    /// Tries records in a copy of a live table, empty, with its indexes that may refuse one. `None` if the stored
    /// table has the same text and keys, and no CHECK or one that may be broken: what is stored
    /// fits it, then; in UTF-8, that is, which holds any bytes as a text. Only one may be in use.
    pub fn of<'t>(
        &'t self,
        live: &Schema,
        table: &'t Table,
        map: &'t ColumnMap,
        stored: &Schema,
        ignore_checks: bool,
    ) -> Result<Option<Tried<'t>>, TargetError> {
        let text = |schema: &'_ Schema| {
            schema
                .objects_of(ObjectKind::Table)
                .find(|object| object.name.eq_ignore_ascii_case(&table.name))
                .and_then(|object| object.sql.clone())
        };
        let same_keys = stored.table(&table.name).is_some_and(|other| {
            other.primary_key == table.primary_key
                && table
                    .unique_keys
                    .iter()
                    .all(|key| other.unique_keys.iter().any(|o| o.columns == key.columns))
        });
        let others = other_unique(live, table);
        let computing = computing(live, stored, table);
        let same = text(live) == text(stored) && same_keys && others.is_empty();
        let same = same && computing.is_empty();
        if same && self.encoding.is_utf8() && (ignore_checks || !mentions_check(live, &table.name))
        {
            return Ok(None);
        }
        let Some(sql) = text(live) else {
            return Ok(None);
        };
        // Of a pass before.
        let name = ident(&table.name).map_err(|e| TargetError::of(&self.path, "", e.into()))?;
        self.db
            .execute(&format!("DROP TABLE IF EXISTS main.{name}"))
            .map_err(|e| TargetError::of(&self.path, "temporary database", e))?;
        // A text that cannot be made here (an unknown function) is tried by the database itself.
        if self.db.create(&sql).is_err() {
            return Ok(None);
        }
        let is_key = |name: &str| table.unique_keys.iter().any(|key| key.index == name);
        let is_other = |name: &str| others.iter().any(|other| other.name == name);
        for index in live.objects_of(ObjectKind::Index) {
            let refuses =
                is_key(&index.name) || is_other(&index.name) || computing.contains(&index.name);
            if let (true, Some(sql)) = (refuses, &index.sql) {
                let _ = self.db.create(sql);
            }
        }
        self.db
            .pragma("ignore_check_constraints", i64::from(ignore_checks))
            .map_err(|e| TargetError::of(&self.path, "temporary database", e))?;
        let place = (&self.db, self.path.as_path(), self.encoding);
        Ok(Some(Tried {
            trial: self,
            writer: LiveWriter::on(place, live, table, map)?,
            table,
            map,
            others,
        }))
    }
}

/// A copy of one table in which records are tried.
pub struct Tried<'t> {
    trial: &'t Trial,
    writer: LiveWriter<'t>,
    table: &'t Table,
    map: &'t ColumnMap,
    others: Vec<OtherUnique>,
}

/// Why a record would be refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// In SQLite's words.
    pub reason: String,
    /// Rows that are in its way.
    pub rows: Vec<RowId>,
}

impl Tried<'_> {
    /// Inserts a record beside those that were; why the table would refuse it.
    pub fn insert(
        &mut self,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Option<Refusal>, TargetError> {
        match self.writer.insert(record, content) {
            Ok(()) => Ok(None),
            Err(TargetError::Constraint { cause, .. }) => Ok(Some(Refusal {
                reason: cause.message,
                rows: Vec::new(),
            })),
            Err(error) => Err(error),
        }
    }

    /// As [`Tried::insert`], and whether UNIQUE indexes that are no keys have a row of the live table in
    /// its place; `yields`: whether a row is not in the way, as the one that becomes so.
    pub fn insert_beside(
        &mut self,
        live: &LiveDatabase,
        record: Record<'_>,
        yields: &mut dyn FnMut(&RowId) -> Result<bool, TargetError>,
        content: &mut dyn SpilledContent,
    ) -> Result<Option<Refusal>, TargetError> {
        if let Some(refusal) = self.insert(record, content)? {
            return Ok(Some(refusal));
        }
        let Some(id) = self.id(record).filter(|_| !self.others.is_empty()) else {
            return Ok(None);
        };
        for other in &self.others {
            let held = other.held(&self.trial.db, self.table, &id);
            let held = held.map_err(|e| TargetError::of(&self.trial.path, &other.name, e))?;
            let Some(held) = held else { continue };
            let mut rows = Vec::new();
            for row in other.rows(live, self.table, &held)? {
                if !yields(&row)? {
                    rows.push(row);
                }
            }
            if !rows.is_empty() {
                let reason = format!("UNIQUE constraint failed: index '{}'", other.name);
                return Ok(Some(Refusal { reason, rows }));
            }
        }
        Ok(None)
    }

    /// What tells the record that was inserted last from the others.
    fn id(&self, record: Record<'_>) -> Option<RowId> {
        let places = identity_places(self.table, self.map)?;
        let values = places.iter().map(|at| record.value(*at).to_owned());
        Some(RowId(match places.is_empty() {
            true => vec![Value::Integer(self.trial.db.last_insert_rowid())],
            false => values.collect(),
        }))
    }
}
