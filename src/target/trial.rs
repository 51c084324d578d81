//! A temporary database in which new records are inserted into tables of the live text, so that what
//! the live database would refuse is known before it is written. It spills to disk.

use std::path::PathBuf;

use super::columns::ColumnMap;
use super::error::TargetError;
use super::live::LiveDatabase;
use super::live_writer::{LiveWriter, mentions_check};
use crate::model::schema::{ObjectKind, Schema, Table};
use crate::model::text::TextEncoding;
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

    /// A writer for a copy of a live table, empty, with its UNIQUE indexes. `None` if the stored
    /// table has the same text and keys, and no CHECK or one that may be broken: what is stored
    /// fits it, then; in UTF-8, that is, which holds any bytes as a text. Only one writer may be in use.
    pub fn writer<'t>(
        &'t self,
        live: &Schema,
        table: &'t Table,
        map: &'t ColumnMap,
        stored: &Schema,
        ignore_checks: bool,
    ) -> Result<Option<LiveWriter<'t>>, TargetError> {
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
        let same = text(live) == text(stored) && same_keys;
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
        for index in live.objects_of(ObjectKind::Index) {
            if let (true, Some(sql)) = (is_key(&index.name), &index.sql) {
                let _ = self.db.create(sql);
            }
        }
        self.db
            .pragma("ignore_check_constraints", i64::from(ignore_checks))
            .map_err(|e| TargetError::of(&self.path, "temporary database", e))?;
        LiveWriter::on((&self.db, &self.path, self.encoding), live, table, map).map(Some)
    }
}
