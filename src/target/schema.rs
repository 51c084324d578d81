//! Making a schema: tables first, what hangs on them after the rows, each kind in creation order.
//!
//! Texts come from a store and are not trusted: each is exactly one CREATE statement, prepared
//! under an authorizer that allows nothing else. What came of it is compared in [`ensure_equal`].

use std::collections::BTreeSet;
use std::path::Path;

use super::error::TargetError;
use crate::model::schema::{ObjectKind, Schema, SchemaObject, Settings, Table, TableKind};
use crate::model::text::TextEncoding;
use crate::progress::Finding;
use crate::sqlite::quote::ident;
use crate::sqlite::schema::read_objects;
use crate::sqlite::{Connection, ErrorKind, SqliteError};

/// SQLite's own tables that `ANALYZE` makes, in the order in which it makes them.
const STATISTICS: [&str; 2] = ["sqlite_stat1", "sqlite_stat4"];

/// Refuses a schema in which a text makes another kind of table than the schema says.
pub(super) fn ensure_kinds(path: &Path, schema: &Schema) -> Result<(), TargetError> {
    let is_virtual = |name: &str| {
        let table = schema.table(name);
        table.is_some_and(|table| table.kind == TableKind::Virtual)
    };
    let mut tables = schema.objects_of(ObjectKind::Table);
    match tables.find(|object| object.is_virtual() != is_virtual(&object.name)) {
        None => Ok(()),
        Some(object) => Err(TargetError::SchemaDiffers {
            path: path.to_owned(),
            what: format!("table {}", object.name),
        }),
    }
}

/// Sets what must stand before the first table. A setting that does not take is an error.
pub(super) fn set_before_tables(
    db: &Connection,
    path: &Path,
    settings: &Settings,
) -> Result<(), TargetError> {
    let unsupported = |what: String| TargetError::Unsupported {
        path: path.to_owned(),
        what,
    };
    let set = |name: &'static str, value: i64| -> Result<Option<i64>, SqliteError> {
        db.pragma(name, value)?;
        db.integer(&format!("PRAGMA main.{name}"))
    };
    for (name, value) in [
        ("page_size", i64::from(settings.page_size)),
        ("auto_vacuum", i64::from(settings.auto_vacuum)),
    ] {
        let now = set(name, value).map_err(|e| TargetError::of(path, name, e))?;
        if now != Some(value) {
            return Err(unsupported(format!("{name} {value}")));
        }
    }
    db.execute(&format!("PRAGMA encoding='{}'", settings.encoding.name()))
        .map_err(|e| TargetError::of(path, "encoding", e))
}

/// Makes all tables but those skipped and virtual ones. What cannot be made goes to `failed`, which decides whether
/// the others are still made.
pub(super) fn create_tables(
    db: &Connection,
    path: &Path,
    schema: &Schema,
    skipped: &BTreeSet<String>,
    failed: &mut dyn FnMut(&SchemaObject, SqliteError) -> Result<(), SqliteError>,
) -> Result<(), TargetError> {
    let wanted: Vec<&SchemaObject> = schema
        .objects_of(ObjectKind::Table)
        .filter(|table| !table.is_virtual() && !skipped.contains(&table.name))
        .collect();
    for (at, table) in wanted.iter().enumerate() {
        let named = |name: &str| table.name.eq_ignore_ascii_case(name);
        let made = if STATISTICS.iter().any(|name| named(name)) {
            make_statistics(db, &wanted[..=at])
        } else if named("sqlite_sequence") {
            make_sequence(db, schema)
        } else {
            match &table.sql {
                Some(sql) => db.create(sql),
                None => continue,
            }
        };
        made.or_else(|error| failed(table, error))
            .map_err(|e| TargetError::of(path, &format!("table {}", table.name), e))?;
    }
    Ok(())
}

/// Tables that wait for rows, in the order in which to fill them: SQLite's own come last, for rows in the
/// others change them.
pub(super) fn due<'s>(
    schema: &'s Schema,
    skipped: &'s BTreeSet<String>,
) -> impl Iterator<Item = &'s Table> {
    let of = |sqlites: bool| {
        schema.tables.iter().filter(move |table| {
            table.is_sqlites() == sqlites
                && table.kind != TableKind::Virtual
                && !skipped.contains(&table.name)
        })
    };
    of(false).chain(of(true))
}

/// Sets the numbers that an application keeps in the header.
pub(super) fn set_numbers(
    db: &Connection,
    path: &Path,
    settings: &Settings,
) -> Result<(), TargetError> {
    for (name, value) in [
        ("user_version", settings.user_version),
        ("application_id", settings.application_id),
    ] {
        // Writing a zero would give an empty database its first page.
        if value != 0 {
            db.pragma(name, i64::from(value))
                .map_err(|cause| TargetError::of(path, name, cause))?;
        }
    }
    Ok(())
}

/// A file takes over its settings with the first table. Where there is none, one comes and goes,
/// unless a file without a byte has these settings as well.
pub(super) fn keep_settings(
    db: &Connection,
    path: &Path,
    settings: &Settings,
) -> Result<(), TargetError> {
    let at = |cause: SqliteError| TargetError::of(path, "the settings", cause);
    let is_default = (settings.page_size, settings.auto_vacuum) == (4096, 0)
        && settings.encoding == TextEncoding::Utf8;
    let there = db.integer("SELECT 1 FROM main.sqlite_schema").map_err(at)?;
    if is_default || there.is_some() {
        return Ok(());
    }
    db.execute("CREATE TABLE main.larder(a)").map_err(at)?;
    db.execute("DROP TABLE main.larder").map_err(at)
}

/// `ANALYZE` makes both tables of statistics; those not wanted up to here go again.
fn make_statistics(db: &Connection, wanted: &[&SchemaObject]) -> Result<(), SqliteError> {
    db.execute("ANALYZE main.sqlite_schema")?;
    for name in STATISTICS {
        if !wanted
            .iter()
            .any(|table| table.name.eq_ignore_ascii_case(name))
        {
            db.execute(&format!("DROP TABLE IF EXISTS main.{name}"))?;
        }
    }
    Ok(())
}

/// `sqlite_sequence` comes with the first AUTOINCREMENT table. If that one was dropped in the
/// source, another must come and go.
fn make_sequence(db: &Connection, schema: &Schema) -> Result<(), SqliteError> {
    let there = "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'";
    if db.integer(there)?.is_some() {
        return Ok(());
    }
    let mut name = "larder".to_owned();
    while schema
        .objects
        .iter()
        .any(|o| o.name.eq_ignore_ascii_case(&name))
    {
        name.push('_');
    }
    let quoted = ident(&name)?;
    db.execute(&format!(
        "CREATE TABLE main.{quoted}(id INTEGER PRIMARY KEY AUTOINCREMENT)"
    ))?;
    db.execute(&format!("DROP TABLE main.{quoted}"))
}

/// Makes indexes, views and triggers. What cannot be made is a finding: a trigger on a table that
/// was skipped, an index with an unknown collation, a UNIQUE index over rows that are not.
/// Returns the objects not made.
pub(super) fn create_rest(
    db: &Connection,
    path: &Path,
    schema: &Schema,
    findings: &mut Vec<Finding>,
) -> Result<BTreeSet<(ObjectKind, String)>, TargetError> {
    let mut missing = BTreeSet::new();
    for kind in [ObjectKind::Index, ObjectKind::View, ObjectKind::Trigger] {
        for object in schema.objects_of(kind) {
            let Some(sql) = &object.sql else { continue };
            let place = format!("{} {}", kind_name(kind), object.name);
            match db.create(sql) {
                Ok(()) => {}
                Err(error) if is_of_the_object(error.kind) => {
                    missing.insert((kind, object.name.clone()));
                    let text = format!("it cannot be created: {}", error.message);
                    findings.push(Finding::warning(place, text));
                }
                Err(error) => return Err(TargetError::of(path, &place, error)),
            }
        }
    }
    Ok(missing)
}

/// Enters the virtual tables into the schema, as they stood there: their modules run nothing and need
/// not be known, for the tables that they would make are filled already.
pub(super) fn add_virtual_tables(
    db: &Connection,
    path: &Path,
    schema: &Schema,
) -> Result<(), TargetError> {
    let tables: Vec<(&str, &str)> = schema
        .objects_of(ObjectKind::Table)
        .filter(|table| table.is_virtual())
        .filter_map(|table| Some((table.name.as_str(), table.sql.as_deref()?)))
        .collect();
    if tables.is_empty() {
        return Ok(());
    }
    db.enter_virtual_tables(&tables)
        .map_err(|e| TargetError::of(path, "virtual tables", e))
}

/// True where the text or the rows are at fault, not the place that is written.
fn is_of_the_object(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Other | ErrorKind::Constraint | ErrorKind::Refused | ErrorKind::TooBig
    )
}

pub(super) fn kind_name(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "table",
        ObjectKind::Index => "index",
        ObjectKind::View => "view",
        ObjectKind::Trigger => "trigger",
    }
}

/// Compares what was made with what was wanted: every object, its text, each kind in its order.
pub(super) fn ensure_equal(
    db: &Connection,
    path: &Path,
    wanted: &Schema,
    skipped: &BTreeSet<String>,
    missing: &BTreeSet<(ObjectKind, String)>,
) -> Result<(), TargetError> {
    let made = read_objects(db).map_err(|e| TargetError::of(path, "schema", e))?;
    let differs = |what: String| TargetError::SchemaDiffers {
        path: path.to_owned(),
        what,
    };
    let is_due = |o: &&SchemaObject| {
        let of_skipped =
            matches!(o.kind, ObjectKind::Table | ObjectKind::Index) && skipped.contains(&o.table);
        !of_skipped && !missing.contains(&(o.kind, o.name.clone()))
    };
    let wanted: Vec<&SchemaObject> = wanted.objects.iter().filter(is_due).collect();
    let made: Vec<&SchemaObject> = made.schema.objects.iter().collect();
    let first = wanted
        .iter()
        .zip(&made)
        .find(|(a, b)| a != b)
        .map(|(a, _)| a);
    let extra = wanted.get(made.len()).or_else(|| made.get(wanted.len()));
    if let Some(object) = first.or(extra) {
        return Err(differs(format!(
            "{} {}",
            kind_name(object.kind),
            object.name
        )));
    }
    Ok(())
}
