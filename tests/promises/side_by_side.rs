//! A snapshot's table and a live one, walked side by side: every record and every row comes once,
//! in order, and those of one key come together.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use larder::model::row::RowRef;
use larder::model::schema::{Schema, Table};
use larder::model::value::{LongClass, Spilled, ValueRef};
use larder::ops::side_by_side::{Beside, SharedOrder, walk};
use larder::ops::stored::{read_schema, root_of};
use larder::progress::NoProgress;
use larder::store::StoreReader;
use larder::target::{Hold, LiveDatabase, LiveRow, LiveTable, LiveValue, SpilledContent};
use larder::tree::TreeShape;
use larder::tree::large::LargeReader;
use proptest::prelude::*;

use crate::workshop::{Workshop, sql};

struct Content<'a>(&'a StoreReader);

impl SpilledContent for Content<'_> {
    fn open<'a>(&'a mut self, spilled: &Spilled) -> std::io::Result<Box<dyn Read + 'a>> {
        Ok(Box::new(LargeReader::new(self.0, spilled)))
    }
}

/// A value as a text that tells it from any other.
fn told(value: ValueRef<'_>, content: &mut dyn SpilledContent) -> String {
    match value {
        ValueRef::Text(bytes) => format!("text {}", digest(bytes)),
        ValueRef::Blob(bytes) => format!("blob {}", digest(bytes)),
        ValueRef::Spilled(s) => {
            let mut bytes = Vec::new();
            content.open(&s).unwrap().read_to_end(&mut bytes).unwrap();
            let class = match s.class {
                LongClass::Text => "text",
                LongClass::Blob => "blob",
            };
            format!("{class} {}", digest(&bytes))
        }
        other => format!("{other:?}"),
    }
}

fn digest(bytes: &[u8]) -> String {
    match bytes.len() {
        0..40 => format!("{:?}", String::from_utf8_lossy(bytes)),
        _ => format!(
            "{} {:?}",
            bytes.len(),
            larder::codec::hash::plain_digest(bytes)
        ),
    }
}

fn of_record(row: RowRef<'_>, content: &mut dyn SpilledContent) -> String {
    let values = row.values.iter().map(|value| told(*value, content));
    format!("{:?} {}", row.rowid, values.collect::<Vec<_>>().join(", "))
}

fn of_live(row: &LiveRow<'_>) -> String {
    let value = |at| match row.value(at).unwrap() {
        LiveValue::Here(ValueRef::Text(_) | ValueRef::Blob(_)) | LiveValue::Long(..) => {
            let mut bytes = Vec::new();
            row.open(at).unwrap().read_to_end(&mut bytes).unwrap();
            let is_text = match row.value(at).unwrap() {
                LiveValue::Here(value) => matches!(value, ValueRef::Text(_)),
                LiveValue::Long(class, length) => {
                    assert_eq!(length, bytes.len() as u64);
                    class == LongClass::Text
                }
            };
            let class = if is_text { "text" } else { "blob" };
            format!("{class} {}", digest(&bytes))
        }
        LiveValue::Here(value) => format!("{value:?}"),
    };
    let values: Vec<String> = (0..row.columns()).map(value).collect();
    format!("{:?} {}", row.rowid, values.join(", "))
}

/// What a walk gives: `-` only stored, `+` only live, `=` and `~` both.
fn walked(shop: &Workshop, live: &Path, name: &str) -> Vec<String> {
    let manifest = shop.manifest("latest");
    let reader = shop.store.reader().unwrap();
    let schema = read_schema(&reader, &manifest).unwrap();
    let stored = schema.table(name).unwrap();
    let shape = TreeShape::of(stored, schema.encoding);
    let root = root_of(manifest.entity(name).unwrap());
    let database = LiveDatabase::open(live, Duration::ZERO, true, false).unwrap();
    let view = database.begin_view(Hold::Free).unwrap();
    let table: &Table = view.schema.table(name).unwrap();
    let read: Vec<usize> = table.leaf_columns().collect();
    let order = shared(&schema, stored, &view.schema, table, &read);
    let mut rows = LiveTable::new(&database, table, &read).unwrap();
    let mut seen = Vec::new();
    walk(
        &reader,
        (&shape, root.as_ref()),
        &mut rows.rows().unwrap(),
        &order,
        &mut Content(&reader),
        &mut NoProgress,
        &mut |beside, content| {
            seen.push(match beside {
                Beside::OnlyStored(row) => format!("- {}", of_record(row, content)),
                Beside::OnlyLive(row) => format!("+ {}", of_live(&row)),
                Beside::Both(row, live) => match (of_record(row, content), of_live(&live)) {
                    (a, b) if a == b => format!("= {a}"),
                    (a, b) => format!("~ {a} | {b}"),
                },
            });
            Ok(())
        },
    )
    .unwrap();
    assert!(database.end_view(&view).unwrap());
    seen
}

fn shared(a: &Schema, stored: &Table, b: &Schema, live: &Table, read: &[usize]) -> SharedOrder {
    SharedOrder::of((stored, a.encoding), (live, b.encoding), read).unwrap()
}

const LONG: &str = "
    CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
    CREATE TABLE g(id INTEGER PRIMARY KEY, a, b AS (1) STORED);
    CREATE TABLE w(k TEXT PRIMARY KEY COLLATE NOCASE, a) WITHOUT ROWID;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)
      INSERT INTO t SELECT i, CAST(zeroblob(iif(i = 4, 3000000, 10 * i)) AS TEXT),
                           zeroblob(iif(i IN (4, 7), 2000000, 20000)) FROM n;
    INSERT INTO g SELECT id, b FROM t;
    INSERT INTO w SELECT 'K' || id, b FROM t;";

/// Rows behind a long value come as those before it do, and a difference in its last byte is seen.
#[test]
fn long_values_are_opened_where_their_row_is() {
    let mut shop = Workshop::new();
    let (source, live) = (shop.path("a.db"), shop.path("b.db"));
    sql(&source, LONG);
    shop.backup(&source);
    sql(&live, LONG);
    for table in ["t", "g", "w"] {
        let seen = walked(&shop, &live, table);
        assert_eq!(seen.len(), 9, "{table}: {seen:?}");
        assert!(
            seen.iter().all(|row| row.starts_with("= ")),
            "{table}: {seen:?}"
        );
    }
    sql(
        &live,
        "UPDATE t SET b = CAST(zeroblob(1999999) || 'x' AS BLOB) WHERE id = 7;
         UPDATE g SET a = CAST(zeroblob(1999999) || 'x' AS BLOB) WHERE id = 7;
         UPDATE w SET a = CAST(zeroblob(1999999) || 'x' AS BLOB) WHERE k = 'k7'",
    );
    for table in ["t", "g", "w"] {
        let seen = walked(&shop, &live, table);
        let signs: String = seen.iter().map(|row| &row[..1]).collect();
        assert_eq!(signs, "======~==", "{table}");
    }
}

/// More columns than one statement gives beside their lengths, and all that a table can have.
#[test]
fn wide_tables_are_read_in_parts() {
    for count in [599, 600, 601, 1200, 1999] {
        let mut shop = Workshop::new();
        let (source, live) = (shop.path("a.db"), shop.path("b.db"));
        let names: Vec<String> = (0..count).map(|at| format!("c{at}")).collect();
        let last = count - 1;
        let make = format!(
            "CREATE TABLE t({0}); INSERT INTO t(c0, c{last}) VALUES(1, 2), (3, 4), (5, 6);
             UPDATE t SET c{last} = zeroblob(1100000) WHERE c0 = 3",
            names.join(", ")
        );
        sql(&source, &make);
        shop.backup(&source);
        sql(&live, &make);
        sql(&live, &format!("UPDATE t SET c{last} = 7 WHERE c0 = 5"));
        let seen = walked(&shop, &live, "t");
        let signs: String = seen.iter().map(|row| &row[..1]).collect();
        assert_eq!(signs, "==~", "{count} columns");
    }
}

#[derive(Debug, Clone)]
struct Edit {
    key: i64,
    value: Option<i64>,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = (-20..60_i64, proptest::option::of(0..4_i64));
    proptest::collection::vec(edit.prop_map(|(key, value)| Edit { key, value }), 0..40)
}

const TABLES: &str = "
    CREATE TABLE t(id INTEGER PRIMARY KEY, a);
    CREATE TABLE h(a);
    CREATE TABLE w(k TEXT, l, a, PRIMARY KEY(l DESC, k COLLATE NOCASE DESC)) WITHOUT ROWID;";

fn apply(path: &Path, edits: &[Edit]) {
    let mut script = String::from("BEGIN;");
    for Edit { key, value } in edits {
        let key_of_w = format!("char(65 + abs({key}) % 40), iif({key} % 3, {key}, {key} / 2.0)");
        match value {
            Some(value) => script.push_str(&format!(
                "REPLACE INTO t VALUES({key}, {value}); REPLACE INTO h(rowid, a) VALUES({key}, {value});
                 REPLACE INTO w VALUES({key_of_w}, {value});"
            )),
            None => script.push_str(&format!(
                "DELETE FROM t WHERE id = {key}; DELETE FROM h WHERE rowid = {key};
                 DELETE FROM w WHERE (k, l) = ({key_of_w});"
            )),
        }
    }
    sql(path, &(script + "COMMIT"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Against SQLite's own join of both states.
    #[test]
    fn a_walk_gives_what_a_join_of_both_gives(before in edits(), after in edits()) {
        let mut shop = Workshop::new();
        let (source, live) = (shop.path("a.db"), shop.path("b.db"));
        for path in [&source, &live] {
            sql(path, TABLES);
            apply(path, &before);
        }
        shop.backup(&source);
        apply(&live, &after);
        for (table, key, order) in [
            ("t", "id", "id"),
            ("h", "rowid", "rowid"),
            ("w", "l, k", "l DESC, k COLLATE NOCASE DESC"),
        ] {
            let seen = walked(&shop, &live, table);
            let signs: String = seen.iter().map(|row| &row[..1]).collect();
            prop_assert_eq!(signs, joined(&source, &live, table, key, order), "{}: {:?}", table, seen);
        }
    }
}

fn joined(a: &Path, b: &Path, table: &str, key: &str, order: &str) -> String {
    let db = rusqlite::Connection::open(a).unwrap();
    db.execute("ATTACH ?1 AS b", [b.to_str().unwrap()]).unwrap();
    let query = format!(
        "SELECT iif(o IS NULL, '+', iif(n IS NULL, '-', iif(o = n, '=', '~'))) FROM (
           SELECT *, (SELECT a FROM main.{table} x WHERE ({key_x}) = ({key_u})) AS o,
                     (SELECT a FROM b.{table} x WHERE ({key_x}) = ({key_u})) AS n
           FROM (SELECT {key_as} FROM main.{table} UNION SELECT {key_as} FROM b.{table}) u)
         ORDER BY {order}",
        key_x = key
            .split(", ")
            .map(|k| format!("x.{k}"))
            .collect::<Vec<_>>()
            .join(", "),
        key_u = key
            .split(", ")
            .map(|k| format!("u.{k}"))
            .collect::<Vec<_>>()
            .join(", "),
        key_as = key
            .split(", ")
            .map(|k| format!("{k} AS {k}"))
            .collect::<Vec<_>>()
            .join(", "),
    );
    let mut statement = db.prepare(&query).unwrap();
    let signs = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    signs.map(Result::unwrap).collect()
}
