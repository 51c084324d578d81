//! A database's schema and settings, read verbatim into the model.
//!
//! Names and texts that are not UTF-8 cannot be carried yet: they are listed, never dropped unseen.

use super::open::Connection;
use super::quote::ident;
use super::statement::{Row, SqliteError};
use super::table::read_table;
use crate::model::schema::{ObjectKind, Schema, SchemaObject, Settings};
use crate::model::text::TextEncoding;

/// A schema as it was read.
#[derive(Debug, Clone, Default)]
pub struct ReadSchema {
    /// What could be read.
    pub schema: Schema,
    /// Objects that could not: a name for people, and why.
    pub unreadable: Vec<(String, String)>,
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
        tables.push(read_table(db, object, &kinds)?);
    }
    Ok(read)
}

/// Reads the entries of `sqlite_schema` alone.
pub fn read_objects(db: &Connection) -> Result<ReadSchema, SqliteError> {
    let mut read = ReadSchema::default();
    db.for_each(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid",
        &[],
        |row| {
            match read_object(row)? {
                // The automatic indexes of keys come with their tables; VACUUM moves them.
                Ok(object) if object.kind == ObjectKind::Index && object.sql.is_none() => {}
                Ok(object) => read.schema.objects.push(object),
                Err((name, why)) => read.unreadable.push((name, why.to_owned())),
            }
            Ok(())
        },
    )?;
    // A stable sort: within a kind the order stays that of creation.
    read.schema.objects.sort_by_key(SchemaObject::group);
    Ok(read)
}

type Unreadable = (String, &'static str);

fn read_object(row: Row<'_>) -> Result<Result<SchemaObject, Unreadable>, SqliteError> {
    let name = String::from_utf8_lossy(row.bytes(1)?.unwrap_or_default()).into_owned();
    let kind = match row.bytes(0)? {
        Some(b"table") => ObjectKind::Table,
        Some(b"index") => ObjectKind::Index,
        Some(b"view") => ObjectKind::View,
        Some(b"trigger") => ObjectKind::Trigger,
        _ => return Ok(Err((name, "it is of a kind that is unknown"))),
    };
    let (own, table, sql) = (row.text(1), row.text(2), row.text(3));
    let (Ok(Some(own)), Ok(Some(table)), Ok(sql)) = (own, table, sql) else {
        return Ok(Err((name, "its name or its text is not UTF-8")));
    };
    Ok(Ok(SchemaObject {
        kind,
        name: own,
        table,
        sql,
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
