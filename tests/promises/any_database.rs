//! Random databases at the edges of what SQLite allows, changed at random: every snapshot comes
//! back as the source was, and has the roots of a full backup into an empty store.
//!
//! A case is a script of SQL and backups, made from its seed. One that fails is made small and
//! printed; LARDER_TEST_SEED with its seed runs it first.

mod changes;
mod compare;
mod draw;
mod edits;
mod play;
mod schema;
mod values;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use compare::Content;
use draw::Step;
use play::{Seen, as_sql, play, shrink};
use rusqlite::Connection;

use crate::sandbox::{scale, seed};

/// What larder carries, of what not every version does.
#[derive(Clone, Copy)]
pub struct Features {
    utf16: bool,
    virtual_tables: bool,
}

const FEATURES: Features = Features {
    utf16: true,
    virtual_tables: true,
};

/// Cases of one run at scale 1.
const CASES: usize = 150;
/// One case in so many is also compared by `dbdiff.py`, unless LARDER_TEST_JUDGED_EVERY says another number.
const JUDGED_EVERY: usize = 50;

/// Every case of the seeds from `seed()` on, on all cores.
#[test]
fn any_database_comes_back_from_every_snapshot_and_has_the_roots_of_a_full_backup() {
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Seen::default()));
    let cases = CASES * scale();
    let given = std::env::var("LARDER_TEST_JUDGED_EVERY").ok();
    let judged_every = given.map_or(JUDGED_EVERY, |number| number.parse().unwrap());
    let work = || {
        loop {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= cases {
                break;
            }
            if case > 0 && case % 500 == 0 {
                println!("{case} cases");
            }
            let seen = run(seed().wrapping_add(case as u64), case % judged_every == 0);
            let mut total = total.lock().unwrap();
            total.backups += seen.backups;
            total.rows += seen.rows;
            total.warnings += seen.warnings;
            total.statements += seen.statements;
            total.refused += seen.refused;
            total.judged += seen.judged;
            total.by_trees += seen.by_trees;
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let total = total.into_inner().unwrap();
    println!("seed {}: {cases} cases, {total:?}", seed());
    // Else most of what is drawn would not be tried.
    assert!(total.refused * 4 < total.statements, "{total:?}");
    assert!(total.by_trees * 2 > total.backups, "{total:?}");
}

/// The SQL of a case: some of it may be refused.
pub fn statements(seed: u64) -> impl Iterator<Item = String> {
    let steps = edits::script(seed, FEATURES).steps.into_iter();
    steps.filter_map(|step| match step {
        Step::Sql(sql) => Some(sql),
        Step::Reopen | Step::Backup => None,
    })
}

fn run(seed: u64, judged: bool) -> Seen {
    let steps = edits::script(seed, FEATURES).steps;
    play(&steps, judged).unwrap_or_else(|failure| {
        let count = steps.len();
        let (steps, failure_of_small) = shrink(steps, &failure);
        panic!(
            "LARDER_TEST_SEED={seed}\n{failure}\nof {count} steps these are enough:\n{}{failure_of_small}",
            as_sql(&steps)
        );
    })
}

/// A file without tables was restored without a byte, and its settings were lost.
#[test]
fn a_database_without_tables_keeps_its_settings() {
    for settings in [
        "PRAGMA page_size=8192",
        "PRAGMA encoding='UTF-16be'",
        "PRAGMA auto_vacuum=2",
        "PRAGMA page_size=512; PRAGMA auto_vacuum=1; PRAGMA journal_mode=WAL",
        "PRAGMA encoding='UTF-16le'; PRAGMA user_version=7",
        "PRAGMA application_id=5",
        "",
    ] {
        let steps = [
            Step::Sql(format!("{settings}; CREATE TABLE t(a); DROP TABLE t")),
            Step::Backup,
            Step::Sql("CREATE TABLE u(a); INSERT INTO u VALUES('text')".to_owned()),
            Step::Backup,
            Step::Sql("DROP TABLE u".to_owned()),
            Step::Backup,
        ];
        if let Err(failure) = play(&steps, true) {
            panic!("{settings}: {failure}");
        }
    }
}

/// Whole numbers of a stored generated REAL column were taken for integers while a UTF-16 database
/// was restored, and the restore was given up.
#[test]
fn generated_columns_of_utf_16_databases_come_back() {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let sql = format!(
            "PRAGMA encoding='{encoding}';
             CREATE TABLE t(a, r REAL AS (a) STORED, n AS (a) STORED, t TEXT AS (a || 'x') STORED);
             INSERT INTO t(a) VALUES(5), (-0.0), (2.5), (9e999), ('text'), (NULL), (x'00'),
               (9007199254740993), (140737488355328), (-9223372036854775808), (1e18);"
        );
        let steps = [Step::Sql(sql), Step::Backup];
        if let Err(failure) = play(&steps, true) {
            panic!("{encoding}: {failure}");
        }
    }
}

/// A complaint about a value was cut at the line break of the table's name, and its rest taken for
/// damage: the restore was given up.
#[test]
fn a_table_with_a_line_break_in_its_name_may_break_its_checks() {
    for mode in ["DELETE", "WAL"] {
        let sql = format!(
            "PRAGMA journal_mode={mode}; PRAGMA ignore_check_constraints=ON;
             CREATE TABLE \"a\nb\"(\"c\nd\" CHECK(\"c\nd\" > 0)); INSERT INTO \"a\nb\" VALUES(-1)"
        );
        let steps = [Step::Sql(sql), Step::Backup, Step::Backup];
        if let Err(failure) = play(&steps, true) {
            panic!("{mode}: {failure}");
        }
    }
}

/// Only a first backup looks for complaints of virtual tables; later snapshots could not be restored.
#[test]
fn virtual_tables_out_of_step_come_back_from_every_snapshot() {
    for sql in [
        "CREATE VIRTUAL TABLE f USING fts4(a, b); DROP TABLE f_content",
        "CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES('bread'); DELETE FROM f_content",
        "CREATE VIRTUAL TABLE r USING rtree(id, x, y); INSERT INTO r_parent VALUES(NULL, 'x')",
    ] {
        let steps = [Step::Sql(sql.to_owned()), Step::Backup, Step::Backup];
        if let Err(failure) = play(&steps, true) {
            panic!("{sql}: {failure}");
        }
    }
}

/// SQLite's check takes the default of a STRICT column for its value: no reason not to restore it.
#[test]
fn a_table_of_which_sqlite_complains_comes_back() {
    let sql =
        "CREATE TABLE t(a ANY, b ANY AS (a), id INTEGER PRIMARY KEY, c BLOB DEFAULT 'none') STRICT;
               INSERT INTO t(a, c) VALUES(1, x'00')";
    let steps = [Step::Sql(sql.to_owned()), Step::Reopen, Step::Backup];
    if let Err(failure) = play(&steps, true) {
        panic!("{failure}");
    }
}

const COMPARED: &str = r#"
    PRAGMA foreign_keys=OFF;
    CREATE TABLE t(a, b TEXT, c AS (a || 'c')); INSERT INTO t VALUES(1, 'one'), (2.0, 'two'), (NULL, '');
    CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT, x); INSERT INTO s(x) VALUES(zeroblob(20000));
    CREATE TABLE w(k TEXT PRIMARY KEY COLLATE NOCASE, v) WITHOUT ROWID; INSERT INTO w VALUES('k', -0.0);
    CREATE INDEX i ON t(a); CREATE INDEX j ON t(b); CREATE VIEW v AS SELECT 1; ANALYZE;
"#;

/// The comparison that the cases rely on sees a change of anything that must come back.
#[test]
fn the_comparison_sees_every_kind_of_difference() {
    let content = |change: &str| {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join("a.db")).unwrap();
        db.execute_batch(COMPARED).unwrap();
        db.execute_batch(change).unwrap();
        Content::of(&db).unwrap()
    };
    let original = content("");
    assert_eq!(original.difference(&content("VACUUM")), None);
    for change in [
        "UPDATE t SET a = 1.0 WHERE a = 1",
        "UPDATE t SET a = '1' WHERE a = 1",
        "UPDATE t SET a = x'31' WHERE a = 1",
        "UPDATE t SET b = NULL WHERE b = ''",
        "UPDATE t SET b = CAST(x'6f6e65ff' AS TEXT) WHERE a = 1",
        "UPDATE t SET rowid = 9 WHERE a = 1",
        "UPDATE t SET rowid = -1 WHERE a = 2",
        "DELETE FROM t WHERE a IS NULL",
        "INSERT INTO t SELECT a, b FROM t LIMIT 1",
        "UPDATE s SET x = CAST(substr(x, 1, 19999) || x'01' AS BLOB)",
        "UPDATE w SET v = 0.0",
        "UPDATE w SET v = 0",
        "UPDATE w SET k = 'K'",
        "UPDATE sqlite_sequence SET seq = 2",
        "UPDATE sqlite_stat1 SET stat = '7 7' WHERE idx = 'i'",
        "DROP INDEX i",
        "DROP INDEX i; CREATE INDEX i ON t(a)",
        "DROP VIEW v; CREATE VIEW v AS SELECT  1",
        "ALTER TABLE t ADD COLUMN d",
        "CREATE TABLE sqlitey(a)",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
        "PRAGMA user_version=1",
        "PRAGMA application_id=1",
        "PRAGMA page_size=512; VACUUM",
    ] {
        let changed = content(change);
        assert!(original.difference(&changed).is_some(), "{change}");
        assert!(changed.difference(&original).is_some(), "{change}");
    }
}
