//! Which tables can be carried: those that SQLite, as it is built in here, can make again.

use crate::model::schema::{ObjectKind, Schema, Table, TableKind};
use crate::sqlite::{Connection, SqliteError};

/// Something of a database that is not carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCarried {
    /// The object's name.
    pub name: String,
    /// Why: lower case, no full stop.
    pub reason: String,
}

/// SQLite's own tables that it still makes.
const INTERNAL: [&str; 3] = ["sqlite_sequence", "sqlite_stat1", "sqlite_stat4"];

/// The tables that are not carried. Each table's text is tried on an empty database in memory: an
/// unknown collation, function or module shows there as it would at a restore.
pub(super) fn not_carried(schema: &Schema) -> Result<Vec<NotCarried>, SqliteError> {
    let trial = Connection::open_memory()?;
    let mut found = Vec::new();
    for table in &schema.tables {
        if let Some(reason) = reason_against(table, schema, &trial) {
            found.push(NotCarried {
                name: table.name.clone(),
                reason,
            });
        }
    }
    Ok(found)
}

fn reason_against(table: &Table, schema: &Schema, trial: &Connection) -> Option<String> {
    if table.kind == TableKind::Virtual {
        // Its text is carried with the schema; what it holds lies in its shadow tables.
        return None;
    }
    if table.is_sqlites() {
        let known = INTERNAL
            .iter()
            .any(|name| table.name.eq_ignore_ascii_case(name));
        return (!known).then(|| "SQLite no longer makes this table".to_owned());
    }
    let text = schema
        .objects_of(ObjectKind::Table)
        .find(|object| object.name == table.name)
        .and_then(|object| object.sql.as_deref());
    match text.map(|sql| trial.try_create(sql)) {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(format!("SQLite cannot make it again: {}", error.message)),
        None => Some("it has no text in sqlite_schema".to_owned()),
    }
}
