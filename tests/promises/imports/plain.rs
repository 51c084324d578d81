//! Records without a schema: what tables they become.

use std::collections::HashSet;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::{hostile, imported};
use crate::workshop::Workshop;

/// Entities and their records.
const ENTITIES: &[(&str, &str)] = &[
    (
        "a",
        r#"[{"id": 3, "x": 1, "n": {"k":  [true]}}, {"id": 1, "y": null, "x": "one"}]"#,
    ),
    (
        "b",
        r#"[{"id": "k", "r": 1.0, "t": true}, {"r": 2.5, "id": "l", "t": false}]"#,
    ),
    ("c", r#"[{"id": 1, "rowid": 5}, {"id": 1}]"#),
    (
        "d",
        r#"[{"id": 1, "z": 18446744073709551616}, {"id": null}]"#,
    ),
    ("e", "[]"),
    ("f", "[{}, {}]"),
    ("g", r#"[{"b": {"$blob": "AP8="}}, {"b": null}]"#),
];

/// Their tables.
const TABLES: &[&str] = &[
    r#"CREATE TABLE "a"( "id" INTEGER PRIMARY KEY NOT NULL, "x", "n" TEXT, "y" )"#,
    r#"CREATE TABLE "b"( "id" TEXT PRIMARY KEY NOT NULL, "r" REAL, "t" INTEGER )"#,
    r#"CREATE TABLE "c"( "id" INTEGER, "rowid" INTEGER )"#,
    r#"CREATE TABLE "d"( "id" INTEGER, "z" TEXT )"#,
    r#"CREATE TABLE "e"( "id" )"#,
    r#"CREATE TABLE "f"( "id" )"#,
    r#"CREATE TABLE "g"( "b" BLOB )"#,
];

/// Rows of a query, each as one text.
fn rows(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values: Vec<String> = (0..columns)
            .map(|at| match row.get_ref(at).unwrap() {
                ValueRef::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
                ValueRef::Null => "NULL".to_owned(),
                ValueRef::Integer(value) => value.to_string(),
                value => format!("{value:?}"),
            })
            .collect();
        Ok(values.join(" "))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Long strings are not held in memory; they come out as short ones do, nested ones verbatim.
#[test]
fn long_values_come_out_as_short_ones_do() {
    let shop = &mut Workshop::new();
    let folder = shop.path("long");
    let text = "Ä\\n\\ud83e\\udd80x".repeat(20_000);
    let base64 = "AP8A".repeat(20_000);
    let nested = format!("{{\"k\":  [\"{text}\", 1, \"{text}\"]}}");
    let record = |n: u32| {
        format!(
            "{{\"id\": \"{n}{text}\", \"b\": {{\"$blob\": \"{base64}\"}}, \"n\": {nested}, \
             \"r\": {{\"$text\": \"{base64}\"}}, \"o\": {{\"$blob\": \"{base64}\", \"x\": 1}}}}"
        )
    };
    let records = format!("[{}, {}, {}]", record(1), record(2), record(3));
    hostile::write(&folder, &[("a", &records)]);
    let manifest = imported(shop, &folder);
    let target = shop.path("long.db");
    shop.restore_new(manifest.id.as_str(), &target);
    let db = Connection::open(&target).unwrap();
    let parsed: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
    let blob = [0, 255, 0].repeat(20_000);
    for n in 1..=3_i64 {
        let sql = "SELECT id, b, n, CAST(r AS BLOB), typeof(r), o FROM a WHERE rowid = ?1";
        let row = db.query_row(sql, [n], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, Vec<u8>>(3)?,
                row.get::<_, String>(4)?,
                row.get::<_, String>(5)?,
            ))
        });
        let (id, b, nest, raw, class, object) = row.unwrap();
        assert!(
            id == format!("{n}{parsed}") && b == blob && nest == nested,
            "{n}"
        );
        assert!(raw == blob && class == "text", "{n}");
        assert_eq!(object, format!("{{\"$blob\": \"{base64}\", \"x\": 1}}"));
    }
    let keys = rows(&db, "SELECT name FROM pragma_table_info('a') WHERE pk");
    assert_eq!(keys, ["'id'"]);
}

/// Names, classes, keys, and what is nested.
#[test]
fn records_without_a_schema_become_tables() {
    let shop = &mut Workshop::new();
    let folder = shop.path("plain");
    hostile::write(&folder, ENTITIES);
    let manifest = imported(shop, &folder);
    let names = |e: &larder::format::manifest::Entity| e.entity.clone();
    let order: Vec<String> = manifest.entities.iter().map(names).collect();
    assert_eq!(order, ["a", "b", "c", "d", "e", "f", "g"]);
    let target = shop.path("plain.db");
    shop.restore_new(manifest.id.as_str(), &target);
    let db = Connection::open(&target).unwrap();
    let all = |sql: &str| rows(&db, sql);
    let schema: HashSet<String> = all("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
        .into_iter()
        .map(|sql| sql.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for table in TABLES {
        let quoted = format!("'{table}'");
        assert!(schema.contains(&quoted), "{table}: {schema:#?}");
    }
    assert_eq!(
        all("SELECT *, typeof(x) FROM a"),
        [
            "1 'one' NULL NULL 'text'",
            r#"3 1 '{"k":  [true]}' NULL 'integer'"#,
        ]
    );
    assert_eq!(
        all("SELECT * FROM b"),
        ["'k' Real(1.0) 1", "'l' Real(2.5) 0"]
    );
    assert_eq!(all("SELECT * FROM c"), ["1 5", "1 NULL"]);
    assert_eq!(
        all("SELECT * FROM d"),
        ["1 '18446744073709551616'", "NULL NULL"]
    );
    assert_eq!(all("SELECT * FROM f"), ["NULL", "NULL"]);
    assert_eq!(all("SELECT typeof(b), hex(b) FROM g")[0], "'blob' '00FF'");
}
