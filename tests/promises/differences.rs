//! What differs between two states of a database: applied to one, the rows give the other, whatever
//! kind of state each is; what is the same is not read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::error::{Error, SelectError, SourceError};
use larder::format::manifest::Manifest;
use larder::model::text::TextEncoding;
use larder::model::value::{LongClass, SPILL_BYTES_OVER, ValueRef};
use larder::ops::diff::{
    Change, Diff, DiffOptions, DiffOutcome, DiffRow, DiffSink, Matched, Operand, TableDiff,
};
use larder::progress::{NoProgress, Progress, StopSign};
use proptest::prelude::*;

use crate::workshop::{Workshop, bakery, copy_database, real_databases, sql};

/// A row that differs, with every value as a text that tells it from others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    table: String,
    sign: char,
    key: Vec<(String, String)>,
    before: BTreeMap<String, String>,
    after: BTreeMap<String, String>,
}

#[derive(Default)]
struct Rows(Vec<Told>);

impl DiffSink for Rows {
    fn table(&mut self, table: &TableDiff) -> Result<(), Error> {
        assert!(table.differs());
        Ok(())
    }

    fn row(&mut self, table: &TableDiff, row: &DiffRow<'_>) -> Result<(), Error> {
        let mut told = Told {
            table: table.table.clone(),
            sign: match row.change {
                Change::Added => '+',
                Change::Changed => '~',
                Change::Removed => '-',
            },
            key: Vec::new(),
            before: BTreeMap::new(),
            after: BTreeMap::new(),
        };
        let key_encoding = match row.change {
            Change::Added => row.encodings.1,
            Change::Changed | Change::Removed => row.encodings.0,
        };
        told.key.extend(
            row.key
                .iter()
                .map(|(name, value)| ((*name).to_owned(), tell(*value, key_encoding))),
        );
        for cell in &row.cells {
            let name = cell.column.to_owned();
            told.before.extend(
                cell.before
                    .map(|value| (name.clone(), tell(value, row.encodings.0))),
            );
            told.after.extend(
                cell.after
                    .map(|value| (name.clone(), tell(value, row.encodings.1))),
            );
        }
        self.0.push(told);
        Ok(())
    }
}

/// Texts as SQLite hands them over.
fn tell(value: ValueRef<'_>, encoding: TextEncoding) -> String {
    match value {
        ValueRef::Text(bytes) if bytes.len() > SPILL_BYTES_OVER => {
            format!("text of {}", bytes.len())
        }
        ValueRef::Blob(bytes) if bytes.len() > SPILL_BYTES_OVER => {
            format!("blob of {}", bytes.len())
        }
        ValueRef::Spilled(s) => match s.class {
            LongClass::Text => format!("text of {}", s.bytes),
            LongClass::Blob => format!("blob of {}", s.bytes),
        },
        ValueRef::Real(v) => format!("real {:x}", v.to_bits()),
        ValueRef::Text(bytes) => format!("text {:?}", encoding.to_sqlites_utf8(bytes)),
        value => format!("{value:?}"),
    }
}

fn options() -> DiffOptions {
    DiffOptions {
        busy_timeout: Duration::from_millis(200),
        ..DiffOptions::default()
    }
}

impl Workshop {
    fn open_diff(
        &self,
        a: Operand<'_>,
        b: Operand<'_>,
        options: &DiffOptions,
    ) -> Result<Diff, Error> {
        let mut options = options.clone();
        options.temp_dir = Some(self.dir.path().to_owned());
        Diff::open(a, b, &options, &self.world, &mut NoProgress)
    }

    fn diff(&self, a: Operand<'_>, b: Operand<'_>) -> (DiffOutcome, Vec<Told>) {
        self.diff_with(a, b, &options())
    }

    fn diff_with(
        &self,
        a: Operand<'_>,
        b: Operand<'_>,
        options: &DiffOptions,
    ) -> (DiffOutcome, Vec<Told>) {
        let diff = self.open_diff(a, b, options).unwrap();
        let mut rows = Rows::default();
        let outcome = diff.run(Some(&mut rows), &NoProgress).unwrap();
        assert_eq!(diff.run(None, &NoProgress).unwrap(), outcome);
        for table in &outcome.tables {
            let count = |sign| {
                let of = |row: &&Told| row.table == table.table && row.sign == sign;
                rows.0.iter().filter(of).count() as u64
            };
            assert_eq!(count('+'), table.changes.added, "{}", table.table);
            assert_eq!(count('~'), table.changes.changed, "{}", table.table);
            assert_eq!(count('-'), table.changes.removed, "{}", table.table);
        }
        (outcome, rows.0)
    }

    fn snapshot<'a>(&'a self, manifest: &'a Manifest) -> Operand<'a> {
        Operand::Snapshot(&self.store, manifest)
    }
}

type Row = BTreeMap<String, String>;

/// The rows of a table, each with how often it is there.
fn content(path: &Path, table: &str) -> BTreeMap<Row, i64> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement = db.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query([]).unwrap();
    let mut content = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let value = |at: usize| match row.get_ref(at).unwrap() {
            rusqlite::types::ValueRef::Null => tell(ValueRef::Null, TextEncoding::Utf8),
            rusqlite::types::ValueRef::Integer(v) => tell(ValueRef::Integer(v), TextEncoding::Utf8),
            rusqlite::types::ValueRef::Real(v) => tell(ValueRef::Real(v), TextEncoding::Utf8),
            rusqlite::types::ValueRef::Text(v) => tell(ValueRef::Text(v), TextEncoding::Utf8),
            rusqlite::types::ValueRef::Blob(v) => tell(ValueRef::Blob(v), TextEncoding::Utf8),
        };
        let cells = names.iter().enumerate();
        let row: Row = cells.map(|(at, name)| (name.clone(), value(at))).collect();
        *content.entry(row).or_default() += 1;
    }
    content
}

/// Applies the rows of one table to the content of one state.
fn applied(mut content: BTreeMap<Row, i64>, table: &str, rows: &[Told]) -> BTreeMap<Row, i64> {
    let of_table = || rows.iter().filter(|row| row.table == table);
    let mut added = Vec::new();
    for told in of_table() {
        match told.sign {
            '+' => added.push(told.after.clone()),
            '-' => *content.entry(told.before.clone()).or_default() -= 1,
            _ => {
                let is_it = |row: &&Row| {
                    let has = |(name, value): (&String, &String)| row.get(name) == Some(value);
                    told.before.iter().all(has) && told.key.iter().map(|(n, v)| (n, v)).all(has)
                };
                let old = content.keys().find(is_it).expect("the row before").clone();
                *content.entry(old.clone()).or_default() -= 1;
                let mut new = old;
                new.extend(told.after.clone());
                added.push(new);
            }
        }
    }
    assert!(
        content.values().all(|count| *count >= 0),
        "a row that was not there was removed"
    );
    for row in added {
        *content.entry(row).or_default() += 1;
    }
    content.retain(|_, count| *count > 0);
    content
}

const TABLES: &str = "
    PRAGMA foreign_keys=OFF;
    CREATE TABLE alias(id INTEGER PRIMARY KEY, a, b);
    CREATE TABLE named(name TEXT PRIMARY KEY, a, b);
    CREATE TABLE w(k, l TEXT COLLATE NOCASE, a, b, PRIMARY KEY(l, k DESC)) WITHOUT ROWID;
    CREATE TABLE bag(a, b);
    CREATE TABLE hidden(rowid, _rowid_, oid);
    CREATE INDEX hidden_all ON hidden(oid, _rowid_, rowid);";

/// A change of one row, by SQL.
fn edit() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("NULL".to_owned()),
        (0..4_i64).prop_map(|n| n.to_string()),
        Just("1.0".to_owned()),
        Just("'text'".to_owned()),
        Just("CAST(x'ff00' AS TEXT)".to_owned()),
        Just("zeroblob(20000)".to_owned()),
        Just("x'00'".to_owned()),
    ];
    let put = (0..25_i64, value.clone(), value).prop_map(|(key, a, b)| {
        format!(
            "REPLACE INTO alias VALUES({key}, {a}, {b}); REPLACE INTO named VALUES('n{key}', {a}, {b});
             REPLACE INTO w VALUES({key} / 2, char(65 + {key} % 3), {a}, {b});
             INSERT INTO bag VALUES({a}, {b}); INSERT INTO hidden VALUES({key} % 3, {a}, {b});"
        )
    });
    let delete = (0..25_i64).prop_map(|key| {
        format!(
            "DELETE FROM alias WHERE id = {key}; DELETE FROM named WHERE name = 'n{key}';
             DELETE FROM w WHERE k = {key} / 2;
             DELETE FROM bag WHERE rowid % 7 = {key} % 7; DELETE FROM hidden WHERE rowid = {key} % 3;"
        )
    });
    prop_oneof![3 => put, 1 => delete, 1 => Just("VACUUM;".to_owned())]
}

fn edits() -> impl Strategy<Value = String> {
    proptest::collection::vec(edit(), 0..30).prop_map(|edits| edits.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    /// Snapshots and databases in every pairing say the same, and it is what was done.
    #[test]
    fn the_difference_applied_to_a_gives_b(first in edits(), second in edits(), utf16 in any::<bool>()) {
        let mut shop = Workshop::new();
        let (a, b) = (shop.path("a.db"), shop.path("b.db"));
        let encoding = if utf16 { "PRAGMA encoding='UTF-16le';" } else { "" };
        sql(&a, &format!("{encoding}{TABLES}{first}"));
        copy_database(&a, &b);
        shop.backup(&a);
        sql(&b, &second);
        shop.backup(&b);
        let (old, new) = (shop.manifest("latest~1"), shop.manifest("latest"));
        let (outcome, rows) = shop.diff(shop.snapshot(&old), shop.snapshot(&new));
        for table in ["alias", "named", "w", "bag", "hidden"] {
            prop_assert_eq!(applied(content(&a, table), table, &rows), content(&b, table), "{}", table);
        }
        let (back_outcome, back) = shop.diff(shop.snapshot(&new), shop.snapshot(&old));
        for table in ["alias", "named", "w", "bag", "hidden"] {
            prop_assert_eq!(applied(content(&b, table), table, &back), content(&a, table), "{}", table);
        }
        prop_assert_eq!(outcome.differs(), back_outcome.differs());
        prop_assert_eq!(outcome.differs(), !rows.is_empty());
        for (before, after) in [
            (shop.snapshot(&old), Operand::Live(&b)),
            (Operand::Live(&a), shop.snapshot(&new)),
            (Operand::Live(&a), Operand::Live(&b)),
        ] {
            let (other, other_rows) = shop.diff(before, after);
            prop_assert_eq!(&other_rows, &rows);
            prop_assert_eq!(&other.tables, &outcome.tables);
        }
        // Each key once: nothing that is the same row is called removed and added.
        for table in ["alias", "named", "w"] {
            let mut keys: Vec<_> = rows.iter().filter(|row| row.table == table).map(|row| &row.key).collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), count, "{}", table);
        }
    }
}

/// Two snapshots of one state, and one that VACUUM went over: told from their roots.
#[test]
fn equal_states_have_no_difference_and_are_not_read() {
    let mut shop = Workshop::new();
    let path = shop.path("a.db");
    copy_database(&bakery(), &path);
    sql(
        &path,
        "CREATE TABLE bag(a); INSERT INTO bag VALUES(1), (2), (3), (4); DELETE FROM bag WHERE a < 3",
    );
    shop.backup(&path);
    sql(&path, "VACUUM");
    shop.backup(&path);
    let (old, new) = (shop.manifest("latest~1"), shop.manifest("latest"));
    for (a, b) in [
        (shop.snapshot(&old), shop.snapshot(&new)),
        (shop.snapshot(&old), Operand::Live(&path)),
        (Operand::Live(&path), shop.snapshot(&old)),
    ] {
        let diff = shop.open_diff(a, b, &options()).unwrap();
        let before = diff.blobs_read();
        let outcome = diff.run(None, &NoProgress).unwrap();
        assert!(!outcome.differs(), "{outcome:?}");
        assert_eq!(outcome.tables.len(), 17);
        assert!(outcome.internal.is_empty());
        assert_eq!(diff.blobs_read(), before, "a blob was read");
    }
}

/// Versions of real databases: rows, and tables that came or went.
#[test]
fn differences_of_real_databases_lead_from_one_to_the_next() {
    let Some(folder) = real_databases() else {
        return;
    };
    for (a, b) in [
        ("series/bake/day-03.db", "series/bake/day-04.db"),
        ("series/proj/3.2.0.db", "series/proj/3.3.0.db"),
        ("series/temoa-utopia/10.db", "series/temoa-utopia/11.db"),
    ] {
        let mut shop = Workshop::new();
        let (from, to) = (shop.path("a.db"), shop.path("b.db"));
        copy_database(&folder.join(a), &from);
        copy_database(&folder.join(b), &to);
        shop.backup(&from);
        let old = shop.manifest("latest");
        let (outcome, rows) = shop.diff(shop.snapshot(&old), Operand::Live(&to));
        assert!(!rows.is_empty(), "{a} {b}");
        for table in &outcome.tables {
            if !table.columns_added.is_empty() || !table.columns_dropped.is_empty() {
                continue;
            }
            let of = |path: &PathBuf, lacks: Change| match table.only_in == Some(lacks) {
                true => BTreeMap::new(),
                false => content(path, &table.table),
            };
            let was = of(&from, Change::Added);
            let is = of(&to, Change::Removed);
            assert!(
                applied(was, &table.table, &rows) == is,
                "{b}: {}",
                table.table
            );
        }
    }
}

/// Columns are compared by name; one that only one state has is told once.
#[test]
fn a_new_column_is_told_once_and_not_compared() {
    let mut shop = Workshop::new();
    let path = shop.path("a.db");
    sql(
        &path,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES(1, 'a', 'b'), (2, 'c', 'd')",
    );
    shop.backup(&path);
    sql(
        &path,
        "ALTER TABLE t ADD COLUMN new DEFAULT 7; UPDATE t SET b = 'x' WHERE id = 2;
         CREATE TABLE made(a); INSERT INTO made VALUES(1); CREATE VIEW v AS SELECT 1; PRAGMA user_version=3",
    );
    let old = shop.manifest("latest");
    let (outcome, rows) = shop.diff(shop.snapshot(&old), Operand::Live(&path));
    let table = |name: &str| outcome.tables.iter().find(|t| t.table == name).unwrap();
    assert_eq!(table("t").columns_added, ["new"]);
    assert_eq!(
        (table("t").changes.changed, table("t").changes.added),
        (1, 0)
    );
    assert_eq!(table("made").only_in, Some(Change::Added));
    assert_eq!(rows.len(), 2);
    let objects: Vec<_> = outcome
        .objects
        .iter()
        .map(|o| (o.name.as_str(), o.change))
        .collect();
    assert_eq!(objects, [("t", Change::Changed), ("v", Change::Added)]);
    assert_eq!(outcome.settings.len(), 1);
    let (back, _) = shop.diff(Operand::Live(&path), shop.snapshot(&old));
    assert_eq!(back.tables[1].columns_dropped, ["new"]);
}

/// How rows were told apart is said where it was not by a key.
#[test]
fn it_is_said_how_rows_were_matched() {
    let shop = Workshop::new();
    let (a, b) = (shop.path("a.db"), shop.path("b.db"));
    sql(
        &a,
        "CREATE TABLE alias(id INTEGER PRIMARY KEY, a); CREATE TABLE named(k TEXT PRIMARY KEY, a);
         CREATE TABLE bag(a); CREATE TABLE other(x); CREATE TABLE moved(id INTEGER PRIMARY KEY, a);
         INSERT INTO alias VALUES(1, 1); INSERT INTO named VALUES('k', 1); INSERT INTO bag VALUES(1);
         INSERT INTO other VALUES(1); INSERT INTO moved VALUES(1, 1), (2, 2)",
    );
    sql(
        &b,
        "CREATE TABLE alias(id INTEGER PRIMARY KEY, a); CREATE TABLE named(k TEXT PRIMARY KEY, a);
         CREATE TABLE bag(a); CREATE TABLE other(y); CREATE TABLE moved(a, id INT PRIMARY KEY) WITHOUT ROWID;
         INSERT INTO alias VALUES(1, 2); INSERT INTO named VALUES('k', 2); INSERT INTO bag VALUES(2);
         INSERT INTO other VALUES(1); INSERT INTO moved VALUES(1, 1), (3, 2)",
    );
    let (outcome, _) = shop.diff(Operand::Live(&a), Operand::Live(&b));
    let matched: Vec<_> = outcome
        .tables
        .iter()
        .map(|t| (t.table.as_str(), t.matched, t.changes.changed))
        .collect();
    assert_eq!(
        matched,
        [
            ("alias", Some(Matched::ByKey), 1),
            ("bag", Some(Matched::ByContent), 0),
            ("moved", Some(Matched::ByContentAndKey), 1),
            ("named", Some(Matched::ByContentAndKey), 1),
            ("other", Some(Matched::NotAtAll), 0),
        ]
    );
}

/// Values that are nowhere loaded whole: equal ones are, and one byte makes a difference.
#[test]
fn large_values_are_told_apart() {
    let mut shop = Workshop::new();
    let path = shop.path("a.db");
    sql(
        &path,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE w(k PRIMARY KEY, a) WITHOUT ROWID;
         INSERT INTO t VALUES(1, zeroblob(3000000)), (2, zeroblob(3000000)), (3, 'short');
         INSERT INTO w SELECT id, a FROM t",
    );
    shop.backup(&path);
    let old = shop.manifest("latest");
    assert!(
        !shop
            .diff(shop.snapshot(&old), Operand::Live(&path))
            .0
            .differs()
    );
    sql(
        &path,
        "UPDATE t SET a = CAST(zeroblob(2999999) || 'x' AS BLOB) WHERE id = 2;
         UPDATE w SET a = CAST(zeroblob(3000000) AS TEXT) WHERE k = 1",
    );
    let (_, rows) = shop.diff(shop.snapshot(&old), Operand::Live(&path));
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.table.as_str(),
                row.sign,
                row.before["a"].as_str(),
                row.after["a"].as_str(),
            )
        })
        .collect();
    let of = "blob of 3000000";
    assert_eq!(
        told,
        [("t", '~', of, of), ("w", '~', of, "text of 3000000")]
    );
}

/// Only what was asked for; names that are not there are told with what is near.
#[test]
fn tables_and_keys_can_be_named() {
    let shop = Workshop::new();
    let (a, b) = (shop.path("a.db"), shop.path("b.db"));
    sql(
        &a,
        "CREATE TABLE orders(id INTEGER PRIMARY KEY, a); CREATE TABLE pairs(x, y TEXT, a, PRIMARY KEY(x, y));
         CREATE TABLE bag(a); INSERT INTO orders VALUES(1, 1), (2, 2), (3, 3);
         INSERT INTO pairs VALUES(1, 'a', 1), (1, 'b', 1)",
    );
    copy_database(&a, &b);
    sql(
        &b,
        "UPDATE orders SET a = 0; UPDATE pairs SET a = 0; INSERT INTO orders VALUES(4, 4);
         INSERT INTO bag VALUES(1)",
    );
    let with = |tables: &[&str], keys: &[(&str, &str)]| DiffOptions {
        tables: tables.iter().map(|t| (*t).to_owned()).collect(),
        key_values: keys
            .iter()
            .map(|(t, k)| ((*t).to_owned(), (*k).to_owned()))
            .collect(),
        ..options()
    };
    let run = |options: DiffOptions| {
        let (outcome, rows) = shop.diff_with(Operand::Live(&a), Operand::Live(&b), &options);
        (outcome.tables.len(), rows.len())
    };
    assert_eq!(run(with(&["ORDERS"], &[])), (1, 4));
    assert_eq!(run(with(&[], &[("orders", "2"), ("Orders", "4")])), (1, 2));
    assert_eq!(run(with(&[], &[("pairs", "1,b")])), (1, 1));
    assert_eq!(run(with(&["bag", "pairs"], &[("pairs", "1,b")])), (2, 2));
    assert_eq!(run(with(&[], &[("orders", "9")])), (1, 0));
    let refused = |options: DiffOptions| {
        let opened = shop.open_diff(Operand::Live(&a), Operand::Live(&b), &options);
        match opened.unwrap_err() {
            Error::Select(error) => error,
            other => panic!("{other:?}"),
        }
    };
    for path in [&a, &b] {
        sql(path, "CREATE VIRTUAL TABLE words USING fts5(word)");
    }
    let error = refused(with(&["words"], &[]));
    assert!(matches!(error, SelectError::Virtual { .. }), "{error:?}");
    let SelectError::NoTable { nearest, .. } = refused(with(&["order"], &[])) else {
        panic!("a table that is not there");
    };
    assert_eq!(nearest.as_deref(), Some("orders"));
    for (table, key) in [("pairs", "1"), ("pairs", "1,b,c"), ("bag", "1")] {
        let error = refused(with(&[], &[(table, key)]));
        assert!(matches!(error, SelectError::BadKey { .. }), "{error:?}");
    }
}

/// What is written after a database was opened is not seen, and nobody is kept from writing.
#[test]
fn a_database_is_compared_as_it_was_at_one_moment() {
    for mode in ["WAL", "DELETE"] {
        let mut shop = Workshop::new();
        let path = shop.path("a.db");
        sql(
            &path,
            &format!("PRAGMA journal_mode={mode}; CREATE TABLE t(a); INSERT INTO t VALUES(1)"),
        );
        shop.backup(&path);
        let old = shop.manifest("latest");
        let app = rusqlite::Connection::open(&path).unwrap();
        app.execute_batch("INSERT INTO t VALUES(2)").unwrap();
        let diff = shop
            .open_diff(shop.snapshot(&old), Operand::Live(&path), &options())
            .unwrap();
        app.execute_batch("INSERT INTO t VALUES(3)").unwrap();
        let mut rows = Rows::default();
        diff.run(Some(&mut rows), &NoProgress).unwrap();
        assert_eq!(rows.0.len(), 1, "{mode}");
        assert_eq!(rows.0[0].after["a"], "Integer(2)", "{mode}");
    }
}

/// The lock is waited for so long, and no longer.
#[test]
fn a_database_that_stays_locked_is_busy() {
    let shop = Workshop::new();
    let path = shop.path("a.db");
    sql(&path, "CREATE TABLE t(a)");
    let app = rusqlite::Connection::open(&path).unwrap();
    app.execute_batch("BEGIN EXCLUSIVE; INSERT INTO t VALUES(1)")
        .unwrap();
    let error = shop.open_diff(Operand::Live(&path), Operand::Live(&path), &options());
    assert!(matches!(
        error,
        Err(Error::Source(SourceError::Busy { .. }))
    ));
}

struct Stopped;

impl Progress for Stopped {
    fn cancelled(&self) -> bool {
        true
    }

    fn stop_sign(&self) -> StopSign {
        StopSign::new(|| true)
    }
}

#[test]
fn a_comparison_stops_when_it_is_told_to() {
    let mut shop = Workshop::new();
    let path = shop.path("a.db");
    copy_database(&bakery(), &path);
    shop.backup(&path);
    sql(&path, "UPDATE ingredients SET notes = 'x'");
    let old = shop.manifest("latest");
    let diff = shop
        .open_diff(shop.snapshot(&old), Operand::Live(&path), &options())
        .unwrap();
    assert!(matches!(diff.run(None, &Stopped), Err(Error::Cancelled)));
    assert!(matches!(
        diff.run(Some(&mut Rows::default()), &Stopped),
        Err(Error::Cancelled)
    ));
    let reading = Diff::open(
        shop.snapshot(&old),
        Operand::Live(&path),
        &options(),
        &shop.world,
        &mut Stopped,
    );
    assert!(matches!(
        reading,
        Err(Error::Cancelled | Error::Source(SourceError::Cancelled { .. }))
    ));
}

/// The keys of the database are not in the store, and are compared all the same.
#[test]
fn a_database_whose_keys_are_long_differs_in_what_was_changed_alone() {
    let mut shop = Workshop::new();
    let path = shop.path("long.db");
    sql(
        &path,
        "CREATE TABLE w(k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID;
         WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12)
         INSERT INTO w SELECT hex(zeroblob(600000)) || char(64 + n) || hex(zeroblob(20000)), n FROM n",
    );
    shop.backup(&path);
    let manifest = shop.manifest("latest");
    let copy = shop.path("changed.db");
    copy_database(&path, &copy);
    sql(
        &copy,
        "UPDATE w SET v = 'other' WHERE v = 5; DELETE FROM w WHERE v = 9;
         INSERT INTO w VALUES(hex(zeroblob(600000)) || 'BB' || hex(zeroblob(20000)), 'new')",
    );
    let (outcome, rows) = shop.diff(shop.snapshot(&manifest), Operand::Live(&copy));
    let signs: String = rows.iter().map(|row| row.sign).collect();
    assert_eq!(signs, "+~-");
    assert_eq!(outcome.tables[0].matched, Some(Matched::ByKey));
    let (_, rows) = shop.diff(Operand::Live(&copy), Operand::Live(&path));
    let signs: String = rows.iter().map(|row| row.sign).collect();
    assert_eq!(signs, "-~+");
}
