//! A database's schema and settings, read verbatim into the model.
//!
//! What is not UTF-8, or cannot be read, is listed: nothing is dropped unseen.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::open::Connection;
use super::quote::ident;
use super::statement::{Row, SqliteError};
use super::table::read_table;
use crate::model::schema::{ObjectKind, Schema, SchemaObject, Settings, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;

/// A schema as it was read.
#[derive(Debug, Clone, Default)]
pub struct ReadSchema {
    /// What could be read.
    pub schema: Schema,
    /// What could not, or not exactly.
    pub unreadable: Vec<Unreadable>,
}

impl ReadSchema {
    /// A schema of which nothing could be read.
    pub fn unreadable(error: &SqliteError) -> Self {
        let mut read = Self::default();
        read.lacks(error);
        read
    }

    fn lacks(&mut self, error: &SqliteError) {
        self.unreadable.push(Unreadable {
            name: "sqlite_schema".to_owned(),
            reason: format!("not all of it can be read: {}", error.message),
        });
    }
}

/// An object of a schema that could not be read, or not exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its name, for people.
    pub name: String,
    /// Why: lower case, no full stop.
    pub reason: String,
}

/// Reads all objects, each kind in creation order, and every table.
pub fn read_schema(db: &Connection) -> Result<ReadSchema, SqliteError> {
    let mut read = read_objects(db)?;
    read.schema.encoding = read_encoding(db)?;
    let kinds = super::table::read_kinds(db)?;
    let Schema {
        objects, tables, ..
    } = &mut read.schema;
    for object in objects.iter().filter(|o| o.kind == ObjectKind::Table) {
        match read_table(db, object, &kinds) {
            Ok(table) if table.columns.is_empty() && table.kind != TableKind::Virtual => {
                read.unreadable.push(Unreadable {
                    name: object.name.clone(),
                    reason: "its text cannot be parsed".to_owned(),
                });
            }
            Ok(table) => tables.push(table),
            // A name that is not UTF-8, a text that this SQLite does not parse.
            Err(error) if error.is_of_text() || error.is_damage() => {
                read.unreadable.push(Unreadable {
                    name: object.name.clone(),
                    reason: format!("its columns cannot be read: {}", error.message),
                })
            }
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Reads the entries of `sqlite_schema` alone.
pub fn read_objects(db: &Connection) -> Result<ReadSchema, SqliteError> {
    let mut read = ReadSchema::default();
    let done = db.for_each(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid",
        &[],
        |row| {
            let name = row.bytes(1)?.filter(|name| !name.is_empty());
            let name = name.map_or_else(
                || "(an entry without a name)".into(),
                |name| String::from_utf8_lossy(name).into_owned(),
            );
            let mut unreadable = |reason: &str| {
                read.unreadable.push(Unreadable {
                    name: name.clone(),
                    reason: reason.to_owned(),
                });
            };
            let Some(mut object) = read_object(row, &mut unreadable)? else {
                return Ok(());
            };
            if let Some(text) = row.bytes(3)? {
                let text = String::from_utf8_lossy(text);
                if matches!(text, Cow::Owned(_)) {
                    unreadable("its text is not UTF-8");
                }
                object.sql = Some(text.into_owned());
            }
            // The automatic indexes of keys come with their tables; VACUUM moves them.
            if object.kind != ObjectKind::Index || object.sql.is_some() {
                read.schema.objects.push(object);
            }
            Ok(())
        },
    );
    match done {
        Err(error) if error.is_damage() => read.lacks(&error),
        done => done?,
    }
    // A stable sort: within a kind the order stays that of creation.
    read.schema.objects.sort_by_key(SchemaObject::group);
    Ok(read)
}

/// Reads an entry but for its text. `None`, with the reason, where it has no kind or name.
fn read_object(
    row: Row<'_>,
    unreadable: &mut dyn FnMut(&str),
) -> Result<Option<SchemaObject>, SqliteError> {
    let kind = match row.bytes(0)? {
        Some(b"table") => ObjectKind::Table,
        Some(b"index") => ObjectKind::Index,
        Some(b"view") => ObjectKind::View,
        Some(b"trigger") => ObjectKind::Trigger,
        _ => {
            unreadable("it is of a kind that is unknown");
            return Ok(None);
        }
    };
    let (Ok(Some(name)), Ok(Some(table))) = (row.text(1), row.text(2)) else {
        unreadable("its name is not UTF-8");
        return Ok(None);
    };
    Ok(Some(SchemaObject {
        kind,
        name,
        table,
        sql: None,
    }))
}

/// The name of the index that is, or stands for, a table's primary key.
pub fn primary_key_index(db: &Connection, table: &str) -> Result<Option<String>, SqliteError> {
    let mut found = None;
    db.for_each(
        &format!("PRAGMA main.index_list({})", ident(table)?),
        &[],
        |row| {
            if row.bytes(3)? == Some(b"pk") {
                found = row.text(1)?;
            }
            Ok(())
        },
    )?;
    Ok(found)
}

/// What each root page belongs to, for people: `orders`, `index orders_day`.
pub fn read_root_pages(db: &Connection) -> Result<BTreeMap<i64, String>, SqliteError> {
    let mut owners = BTreeMap::from([(1, "sqlite_schema".to_owned())]);
    let sql = "SELECT rootpage, type, name FROM main.sqlite_schema WHERE rootpage > 0";
    let done = db.for_each(sql, &[], |row| {
        let ValueRef::Integer(root) = row.value(0)? else {
            return Ok(());
        };
        let text = |at| -> Result<String, SqliteError> {
            Ok(String::from_utf8_lossy(row.bytes(at)?.unwrap_or_default()).into_owned())
        };
        let name = text(2)?;
        let owner = if text(1)? == "table" {
            name
        } else {
            format!("index {name}")
        };
        owners.insert(root, owner);
        Ok(())
    });
    match done {
        // As far as it goes.
        Err(error) if error.is_damage() => {}
        done => done?,
    }
    Ok(owners)
}

/// How the database's texts are written.
pub fn read_encoding(db: &Connection) -> Result<TextEncoding, SqliteError> {
    let name = db.text("PRAGMA main.encoding")?.unwrap_or_default();
    TextEncoding::by_name(&name)
        .ok_or_else(|| SqliteError::other(format!("an unknown text encoding: {name:?}")))
}

/// Reads the settings that no record holds.
pub fn read_settings(db: &Connection) -> Result<Settings, SqliteError> {
    let number = |pragma: &'static str| -> Result<i64, SqliteError> {
        Ok(db.integer(&format!("PRAGMA {pragma}"))?.unwrap_or(0))
    };
    let narrow = |value: i64| {
        u32::try_from(value)
            .map_err(|_| SqliteError::other(format!("a setting is out of range: {value}")))
    };
    let signed = |value: i64| {
        i32::try_from(value)
            .map_err(|_| SqliteError::other(format!("a setting is out of range: {value}")))
    };
    let wal = db.text("PRAGMA journal_mode")?.as_deref() == Some("wal");
    Ok(Settings {
        page_size: narrow(number("page_size")?)?,
        encoding: read_encoding(db)?,
        auto_vacuum: narrow(number("auto_vacuum")?)?,
        user_version: signed(number("user_version")?)?,
        application_id: signed(number("application_id")?)?,
        journal_mode: if wal { "wal" } else { "delete" }.to_owned(),
    })
}
