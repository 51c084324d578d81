//! SQL texts that come from a store or a command line: a stored schema text creates one object and does
//! nothing else, an expression is read and not run, a quoted name is that name.

use std::path::Path;
use std::sync::OnceLock;

use super::input::Input;
use crate::format::schema as schema_blob;
use crate::model::schema::Schema;
use crate::model::value::Value;
use crate::sqlite::Connection;
use crate::sqlite::quote::ident;
use crate::target::FilterTable;

/// The one table that is there before.
const TABLE: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT, y)";
const SCHEMA: &str = r#"{"objects":[{"kind":"table","name":"t","table":"t","sql":"CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT, y)"}],"tables":[{"name":"t","kind":{"rowid":{"alias":0,"rowid_name":"rowid"}},"columns":[{"name":"id","declared_type":"INTEGER"},{"name":"x","declared_type":"TEXT"},{"name":"y","declared_type":""}],"primary_key":[{"column":0,"collation":"binary"}]}]}"#;
/// What a person made: SQLite makes indexes and tables of its own for it.
const OBJECTS: &str =
    "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
const CONTENT: &str = "SELECT group_concat(id || x || quote(y)) FROM t";
const TABLE_TEXT: &str = "SELECT sql FROM sqlite_schema WHERE name = 't'";

fn integer(db: &Connection, sql: &str) -> i64 {
    db.integer(sql).unwrap().unwrap_or_default()
}

/// Runs a stored schema text beside a table of one row.
fn create(text: &str) {
    let db = Connection::open_memory().unwrap();
    db.execute(TABLE).unwrap();
    db.execute("INSERT INTO t VALUES(1, 'one', x'00')").unwrap();
    let before = (db.text(CONTENT).unwrap(), db.text(TABLE_TEXT).unwrap());
    let tried = db.try_create(text);
    assert_eq!(integer(&db, OBJECTS), 1, "{text:?} was run");
    let created = db.create(text);
    assert!(tried.is_ok() || created.is_err(), "{text:?}");
    let objects = integer(&db, OBJECTS);
    assert!(
        objects == 1 || (objects == 2 && created.is_ok()),
        "{text:?}"
    );
    let after = (db.text(CONTENT).unwrap(), db.text(TABLE_TEXT).unwrap());
    assert_eq!(before, after, "{text:?}");
    for (sql, wanted) in [
        (
            "SELECT count(*) FROM pragma_database_list WHERE name <> 'main'",
            0,
        ),
        ("SELECT count(*) FROM temp.sqlite_schema", 0),
        ("SELECT writable_schema FROM pragma_writable_schema", 0),
        ("SELECT trusted_schema FROM pragma_trusted_schema", 0),
    ] {
        if let Ok(found) = db.integer(sql) {
            assert_eq!(found.unwrap_or_default(), wanted, "{text:?}: {sql}");
        }
    }
}

fn table_schema() -> &'static Schema {
    static FOUND: OnceLock<Schema> = OnceLock::new();
    FOUND.get_or_init(|| schema_blob::decode(SCHEMA.as_bytes()).unwrap())
}

/// Prepares an expression over the table.
fn filter(expression: &str) {
    let schema = table_schema();
    let table = schema.table("t").unwrap();
    let filters = FilterTable::new(Path::new("t.db"), schema, table).unwrap();
    let _any = filters.filter(table, expression, vec![Value::Integer(1)]);
    // Whatever it was, the next one is prepared as if it had not been.
    assert!(
        filters
            .filter(table, "id = ?1", vec![Value::Integer(1)])
            .is_ok()
    );
}

/// A quoted name means that table.
fn quote(name: &str) {
    let Ok(quoted) = ident(name) else {
        assert!(name.contains('\0'));
        return;
    };
    if name.to_ascii_lowercase().starts_with("sqlite_") {
        return;
    }
    let db = Connection::open_memory().unwrap();
    db.execute(&format!("CREATE TABLE {quoted}(a)")).unwrap();
    let found = db.text("SELECT name FROM sqlite_schema").unwrap();
    assert_eq!(found.as_deref(), Some(name));
}

/// A text as each of the three.
pub fn ddl(data: &[u8]) {
    let mut input = Input::new(data);
    let how = input.u8();
    let Ok(text) = std::str::from_utf8(input.rest()) else {
        return;
    };
    match how % 3 {
        0 => create(text),
        1 => filter(text),
        _ => quote(text),
    }
}
