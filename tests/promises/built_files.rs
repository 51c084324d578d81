//! A new file whose trees larder writes is what SQLite makes of the same records, by SQLite's own judgement;
//! and SQLite goes on with it as with any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder::error::Error;
use larder::model::id::BlobId;
use larder::model::row::RowRef;
use larder::model::value::{LongClass, Spilled, Value, ValueRef};
use larder::ops::restore::{self, Builder, RestoreOptions, RestoreOutcome, SORT_BYTES};
use larder::progress::{NoProgress, StopSign};
use larder::target::{BuiltDatabase, Expected, SpilledContent, TargetError};
use rusqlite::Connection;

use crate::sandbox::{scale, seed};
use crate::tree_rows::Random;
use crate::workshop::{
    Workshop, assert_equal, copy_database, differences, python, real_databases, restore_options,
    sql,
};

const PAGE_SIZES: [u32; 8] = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];

fn try_restore(
    shop: &mut Workshop,
    target: &Path,
    builder: Builder,
    sort_bytes: usize,
) -> Result<RestoreOutcome, Error> {
    let manifest = shop.manifest("latest");
    let options = RestoreOptions {
        builder,
        sort_bytes,
        check: larder::target::CheckLevel::Full,
        ..restore_options(target)
    };
    let (decider, progress) = (&mut restore::NoDecider, &mut NoProgress);
    restore::run(
        &mut shop.store,
        &shop.world,
        &manifest,
        &options,
        decider,
        progress,
    )
}

/// True if SQL made it, though trees were asked for.
fn is_by_sql(outcome: &RestoreOutcome) -> bool {
    let mut findings = outcome.findings.iter();
    findings.any(|finding| finding.text.starts_with("made by SQL"))
}

/// Backs a database up and restores it both ways; gives the file whose trees larder wrote.
fn built(database: &Path) -> (Workshop, PathBuf) {
    let mut shop = Workshop::new();
    shop.backup(database);
    let (trees, by_sql) = (shop.path("trees.db"), shop.path("sql.db"));
    let outcome = try_restore(&mut shop, &trees, Builder::Trees, SORT_BYTES).unwrap();
    assert!(!is_by_sql(&outcome), "{:?}", outcome.findings);
    let outcome = try_restore(&mut shop, &by_sql, Builder::Sql, SORT_BYTES).unwrap();
    assert!(!is_by_sql(&outcome));
    assert_equal(&by_sql, &trees);
    assert_whole(&trees);
    (shop, trees)
}

#[track_caller]
fn assert_whole(database: &Path) {
    let db = Connection::open(database).unwrap();
    let said: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(said, "ok", "{}", database.display());
    let broken: i64 = db
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(broken, 0);
}

/// A database of this page size whose records, and keys, are around every length at which something changes:
/// where a cell keeps all, some or the least of its payload, and where a chain gets another page.
fn at_the_borders(path: &Path, page: u32, settings: &str) {
    let usable = i64::from(page);
    let table = usable - 35;
    let index = (usable - 12) * 64 / 255 - 23;
    let least = (usable - 12) * 32 / 255 - 23;
    let mut lengths: Vec<i64> = (0..12).collect();
    for border in [
        table,
        index,
        least,
        usable,
        2 * usable,
        least + usable - 4,
        table + usable - 4,
    ] {
        lengths.extend(border - 14..border + 3);
    }
    lengths.push(10 * usable + 7);
    lengths.retain(|length| *length >= 0);
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "PRAGMA page_size={page}; {settings};
         CREATE TABLE r(id INTEGER PRIMARY KEY, a, b); CREATE INDEX r_a ON r(a); CREATE UNIQUE INDEX r_ab ON r(a DESC, b);
         CREATE TABLE w(k PRIMARY KEY, a) WITHOUT ROWID; CREATE INDEX w_a ON w(a COLLATE NOCASE);
         BEGIN"
    ))
    .unwrap();
    let mut into_r = db.prepare("INSERT INTO r(a, b) VALUES(?1, ?2)").unwrap();
    let mut into_w = db.prepare("INSERT INTO w VALUES(?1, ?2)").unwrap();
    for (at, length) in (0_i64..).zip(&lengths) {
        let length = usize::try_from(*length).unwrap();
        let text: String = (0..length)
            .map(|n| char::from(b'a' + ((n * 7 + at as usize) % 26) as u8))
            .collect();
        into_r.execute((&text, at)).unwrap();
        // A value over 16 KiB in a key is not for trees.
        let key = &text[..text.len().min(7000)];
        into_w.execute((format!("{at:04}{key}"), &text)).unwrap();
        into_r.execute((text.as_bytes(), "small")).unwrap();
    }
    drop((into_r, into_w));
    db.execute_batch("COMMIT").unwrap();
    db.close().unwrap();
}

#[test]
fn records_and_keys_of_every_length_come_back_at_every_page_size() {
    for (number, page) in PAGE_SIZES.into_iter().enumerate() {
        let ways = ["", "PRAGMA auto_vacuum=1; PRAGMA encoding='UTF-16le'"];
        // One way after the other, or both.
        let settings = ways.iter().enumerate();
        for (_, settings) in settings.filter(|(way, _)| scale() > 1 || number % 2 == *way) {
            let dir = tempfile::tempdir().unwrap();
            let database = dir.path().join("borders.db");
            at_the_borders(&database, page, settings);
            // In UTF-16, NOCASE is left to SQLite.
            let (_shop, trees) = built(&database);
            let db = Connection::open(trees).unwrap();
            db.execute_batch("VACUUM").unwrap();
        }
    }
}

/// So many records that pages above pages are needed; ints of all lengths, texts, reals.
fn many(path: &Path, settings: &str, rows: u32) {
    sql(
        path,
        &format!(
            "{settings};
             CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, r REAL, s TEXT COLLATE NOCASE UNIQUE, b BLOB);
             CREATE INDEX t_n ON t(n); CREATE INDEX t_r ON t(r DESC, n); CREATE INDEX t_part ON t(s) WHERE n > 0;
             CREATE INDEX t_expr ON t(n % 10, s);
             CREATE TABLE w(a TEXT, b INTEGER, c, PRIMARY KEY(b DESC, a)) WITHOUT ROWID; CREATE INDEX w_c ON w(c);
             CREATE TABLE child(id INTEGER PRIMARY KEY, t REFERENCES t(id)); CREATE INDEX child_t ON child(t);
             CREATE TRIGGER g AFTER INSERT ON child BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.t; END;
             WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < {rows})
             INSERT INTO t SELECT i * 3, (i * 7919) % 2003 - 1000, (i * 31 % 977) / 4.0, 'Name ' || hex(i * 2654435761), zeroblob(i % 40) FROM i;
             INSERT INTO w SELECT s, n, r FROM t;
             INSERT INTO child SELECT NULL, id FROM t WHERE n % 3 = 0;
             ANALYZE"
        ),
    );
}

#[test]
fn trees_of_several_levels_come_back_whole() {
    for (page, vacuum) in [(512, 0), (512, 1), (1024, 2), (4096, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("many.db");
        many(
            &database,
            &format!("PRAGMA page_size={page}; PRAGMA auto_vacuum={vacuum}"),
            6000,
        );
        built(&database);
    }
}

#[test]
fn a_file_is_the_same_whatever_memory_there_was() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("many.db");
    many(
        &database,
        "PRAGMA page_size=1024; PRAGMA auto_vacuum=1",
        4000,
    );
    let mut shop = Workshop::new();
    shop.backup(&database);
    let mut first = None;
    for sort_bytes in [SORT_BYTES, 100_000, 1] {
        let target = shop.path(&format!("with {sort_bytes}.db"));
        let outcome = try_restore(&mut shop, &target, Builder::Trees, sort_bytes).unwrap();
        assert!(!is_by_sql(&outcome));
        let bytes = std::fs::read(&target).unwrap();
        let first = first.get_or_insert_with(|| bytes.clone());
        assert!(
            bytes == *first,
            "{sort_bytes} bytes of memory give another file"
        );
    }
}

/// Behind equal keys the index of a UNIQUE has the rest of a descending primary key in ascending order, that of a
/// CREATE INDEX has not: rows were missing from such an index.
#[test]
fn indexes_of_tables_whose_keys_descend_have_sqlites_order() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("descending.db");
    sql(
        &database,
        "CREATE TABLE a(k, r REAL, c UNIQUE, d, PRIMARY KEY(k DESC, r)) WITHOUT ROWID;
         CREATE TABLE b(k COLLATE NOCASE, l, c, d, PRIMARY KEY(k, l DESC), UNIQUE(c DESC, k), UNIQUE(d, l)) WITHOUT ROWID;
         CREATE INDEX a_d ON a(d); CREATE UNIQUE INDEX a_c ON a(c DESC); CREATE INDEX b_c ON b(c, k COLLATE BINARY);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
           INSERT INTO a SELECT i * 7919 % 3001, i / 2.0, iif(i % 3, NULL, i), i % 5 FROM n;
         INSERT INTO b SELECT 'a long beginning of each key ' || char(97 + k % 26, 65 + k % 26), k, iif(k % 2, NULL, k), NULL FROM a;",
    );
    let (mut shop, built) = built(&database);
    let spilled = shop.path("spilled.db");
    let outcome = try_restore(&mut shop, &spilled, Builder::Trees, 1).unwrap();
    assert!(!is_by_sql(&outcome), "{:?}", outcome.findings);
    assert!(std::fs::read(&built).unwrap() == std::fs::read(&spilled).unwrap());
}

/// Writes at random, `VACUUM`, other settings: what SQLite does with any file.
#[test]
fn sqlite_goes_on_with_the_file() {
    for (number, settings) in [
        "PRAGMA page_size=512",
        "PRAGMA page_size=4096; PRAGMA auto_vacuum=1",
        "PRAGMA page_size=1024; PRAGMA auto_vacuum=2; PRAGMA encoding='UTF-16be'",
    ]
    .into_iter()
    .enumerate()
    {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("many.db");
        many(&database, settings, 3000);
        let (_shop, trees) = built(&database);
        let db = Connection::open(&trees).unwrap();
        let mut random = Random(seed() + number as u64);
        for step in 0..10 {
            db.execute_batch("BEGIN").unwrap();
            for _ in 0..1000 {
                write(&db, &mut random);
            }
            db.execute_batch("COMMIT").unwrap();
            let change = match step {
                2 => "VACUUM",
                4 => "PRAGMA journal_mode=WAL",
                6 => "PRAGMA incremental_vacuum(20)",
                7 => "PRAGMA wal_checkpoint(TRUNCATE)",
                8 => "REINDEX; ANALYZE",
                _ => "SELECT 1",
            };
            db.execute_batch(change)
                .or_else(|error| match error {
                    rusqlite::Error::ExecuteReturnedResults => Ok(()),
                    error => Err(error),
                })
                .unwrap();
            assert_whole(&trees);
        }
    }
}

fn write(db: &Connection, random: &mut Random) {
    let signed = |number: u64| i64::try_from(number).unwrap();
    let (id, n) = (signed(random.below(9000)), signed(random.below(100_000)));
    let done = match random.below(7) {
        0 => db.execute(
            "INSERT OR IGNORE INTO t VALUES(?1, ?2, ?3, ?4, zeroblob(?5))",
            (id, n, n as f64 / 8.0, format!("new {n}"), n % 3000),
        ),
        1 => db.execute("DELETE FROM child WHERE t = ?1", [id]),
        2 => db.execute(
            "UPDATE t SET s = s || ?2, n = -n WHERE id BETWEEN ?1 AND ?1 + 9",
            (id, n),
        ),
        3 => db.execute(
            "INSERT OR REPLACE INTO w VALUES(?1, ?2, zeroblob(?3))",
            (format!("w{n}"), id, n % 700),
        ),
        4 => db.execute("DELETE FROM w WHERE b = ?1", [id - 4500]),
        5 => db.execute("UPDATE w SET c = ?1 WHERE b = ?2", (n, id % 2000 - 1000)),
        _ => db.execute(
            "DELETE FROM t WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM child WHERE child.t = t.id)",
            [id],
        ),
    };
    done.unwrap();
}

/// Large values stand in chains of pages; one in the key of an index leaves that index to SQLite.
#[test]
fn large_values_come_back_and_leave_indexes_over_them_to_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("large.db");
    sql(
        &database,
        "PRAGMA auto_vacuum=1;
         CREATE TABLE t(id INTEGER PRIMARY KEY, first BLOB, mid TEXT, n INTEGER, last);
         CREATE INDEX t_n ON t(n); CREATE INDEX t_mid ON t(mid);
         CREATE TABLE w(k TEXT PRIMARY KEY, v, n) WITHOUT ROWID; CREATE INDEX w_n ON w(n);
         INSERT INTO t VALUES(1, zeroblob(3000000), 'small', 7, randomblob(5)), (2, x'', hex(zeroblob(20000)), 3, zeroblob(100000)),
           (3, NULL, NULL, NULL, NULL), (9, randomblob(70000), hex(randomblob(40000)), 3, 1.0);
         INSERT INTO w VALUES('b', zeroblob(400000), 5), ('c', 'x', 4), ('a', hex(randomblob(50000)), 6)",
    );
    built(&database);
}

/// What cannot be written as trees is made by SQL, and that is said.
#[test]
fn what_larder_cannot_order_is_made_by_sql() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("utf16.db");
    sql(
        &database,
        "PRAGMA encoding='UTF-16le'; CREATE TABLE w(k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID;
         INSERT INTO w VALUES('a', 1), ('B', 2), ('c', 3)",
    );
    let mut shop = Workshop::new();
    shop.backup(&database);
    let target = shop.path("made.db");
    let outcome = try_restore(&mut shop, &target, Builder::Trees, SORT_BYTES).unwrap();
    assert!(is_by_sql(&outcome), "{:?}", outcome.findings);
    assert_equal(&database, &target);
}

/// Says to stop from a phase on.
struct Until(&'static str, Arc<AtomicBool>);

impl larder::progress::Progress for Until {
    fn phase(&mut self, name: &str, _: u64, _: larder::progress::Unit) {
        if name == self.0 {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    fn cancelled(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }

    fn stop_sign(&self) -> StopSign {
        let set = self.1.clone();
        StopSign::new(move || set.load(Ordering::Relaxed))
    }
}

#[test]
fn a_restore_that_is_stopped_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("many.db");
    many(&database, "", 20_000);
    let mut shop = Workshop::new();
    shop.backup(&database);
    let folder = tempfile::tempdir().unwrap();
    for phase in ["Restoring", "Building indexes and checking"] {
        let options = restore_options(&folder.path().join("stopped.db"));
        let manifest = shop.manifest("latest");
        let (decider, progress) = (&mut restore::NoDecider, &mut Until(phase, Arc::default()));
        let run = restore::run(
            &mut shop.store,
            &shop.world,
            &manifest,
            &options,
            decider,
            progress,
        );
        assert!(matches!(run, Err(Error::Cancelled)), "{phase}: {run:?}");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            0,
            "{phase}"
        );
    }
}

/// Gives no large value.
struct NoContent;

impl SpilledContent for NoContent {
    fn open<'a>(&'a mut self, _: &Spilled) -> std::io::Result<Box<dyn std::io::Read + 'a>> {
        Err(std::io::Error::other("it is not there"))
    }
}

/// A database with one table, and rows that are handed to the builder as they come.
fn hand_over(shop: &Workshop, table: &str, rows: &[(i64, Vec<Value>)]) -> Result<(), TargetError> {
    let place = shop.path("handed.db");
    let source = shop.path("shape.db");
    let _ = std::fs::remove_file(&source);
    sql(&source, table);
    let capture = larder::source::Capture::of_complete(&source, &shop.world.vfs).unwrap();
    let (settings, schema) = (capture.settings(), capture.schema());
    let (vfs, sort) = (&shop.world.vfs, (SORT_BYTES, StopSign::default()));
    let mut database = BuiltDatabase::create(vfs, &place, settings, schema, [], sort)?;
    let handed = (|| {
        let mut writer = database.writer(0).unwrap();
        for (rowid, values) in rows {
            let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
            let row = RowRef {
                rowid: Some(*rowid),
                values: &values,
            };
            writer.row(row, &mut NoContent)?;
        }
        writer.end()
    })();
    let completed = handed
        .and_then(|()| database.complete(larder::target::CheckLevel::None, &Expected::default()));
    let done = completed.and_then(larder::target::Completed::publish);
    assert_eq!(place.exists(), done.is_ok());
    done.map(|_| ())
}

/// A store may be made to do harm: its records may come twice, in any order, with any value.
#[test]
fn rows_out_of_order_or_twice_or_too_large_never_give_a_file() {
    let shop = Workshop::new();
    let text = |text: &str| Value::Text(text.as_bytes().to_vec());
    let rowid = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INT NOT NULL)";
    let without =
        "CREATE TABLE t(a TEXT COLLATE NOCASE, n INT, PRIMARY KEY(a, n DESC)) WITHOUT ROWID";
    let absent = Value::Spilled(Spilled {
        class: LongClass::Text,
        bytes: 1 << 40,
        level: 3,
        root: BlobId([7; 32]),
    });
    let one = |n| Value::Integer(n);
    let cases = [
        (
            rowid,
            vec![(2, vec![text("a"), one(1)]), (1, vec![text("b"), one(1)])],
        ),
        (
            rowid,
            vec![(2, vec![text("a"), one(1)]), (2, vec![text("b"), one(1)])],
        ),
        (
            rowid,
            vec![(1, vec![text("a"), one(1)]), (2, vec![text("a"), one(1)])],
        ),
        (rowid, vec![(1, vec![text("a"), Value::Null])]),
        (rowid, vec![(1, vec![text("a"), text("9")])]),
        (rowid, vec![(1, vec![text("a")])]),
        (rowid, vec![(1, vec![absent.clone(), one(1)])]),
        (
            without,
            vec![(0, vec![text("b"), one(1)]), (0, vec![text("A"), one(1)])],
        ),
        (
            without,
            vec![(0, vec![text("a"), one(1)]), (0, vec![text("A"), one(1)])],
        ),
        (
            without,
            vec![(0, vec![text("a"), one(1)]), (0, vec![text("a"), one(2)])],
        ),
        (without, vec![(0, vec![absent, one(1)])]),
    ];
    for (number, (table, rows)) in cases.iter().enumerate() {
        let refused = hand_over(&shop, table, rows);
        assert!(refused.is_err(), "case {number}");
        let left: Vec<_> = std::fs::read_dir(shop.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().contains("handed"))
            .collect();
        assert!(left.is_empty(), "case {number}: {left:?}");
    }
    let good = [
        (1, vec![text("a"), one(1)]),
        (i64::MAX, vec![Value::Null, one(2)]),
    ];
    hand_over(&shop, rowid, &good).unwrap();
    assert_whole(&shop.path("handed.db"));
}

/// The real databases, both ways.
#[test]
fn real_databases_come_back_the_same_both_ways() {
    let Some(data) = real_databases() else { return };
    if python("not compared").is_none() {
        return;
    }
    let mut names: Vec<PathBuf> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "db"))
        .collect();
    names.sort();
    // The whole set takes minutes: `.ci/long built`.
    let most = if scale() > 1 { u64::MAX } else { 8 << 20 };
    let mut by_trees = 0;
    for path in &names {
        if std::fs::metadata(path).unwrap().len() > most {
            continue;
        }
        let mut shop = Workshop::new();
        let copy = shop.path("copy.db");
        copy_database(path, &copy);
        shop.backup(&copy);
        let (trees, by_sql) = (shop.path("trees.db"), shop.path("sql.db"));
        let outcome = try_restore(&mut shop, &trees, Builder::Trees, 1 << 20).unwrap();
        if is_by_sql(&outcome) {
            println!("{}: {:?}", path.display(), outcome.findings);
        }
        by_trees += usize::from(!is_by_sql(&outcome));
        try_restore(&mut shop, &by_sql, Builder::Sql, SORT_BYTES).unwrap();
        let told = differences(&by_sql, &trees, "").unwrap_or_default();
        assert!(told.is_empty(), "{}: {told}", path.display());
    }
    println!("{by_trees} of {} by trees", names.len());
    assert!(by_trees > 7, "{by_trees} of {}", names.len());
}
