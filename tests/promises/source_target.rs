//! A database that is read by `source` and written by `target` comes back equal: every value with
//! its class and bytes, rowids, schema text, settings.
//!
//! On hand-made databases; the real ones are tried through a store, by `round_trip`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::workshop::differences;
use larder::env::SystemEnv;
use larder::model::id::BlobId;
use larder::model::row::RowRef;
use larder::model::schema::Table;
use larder::model::value::Spilled;
use larder::progress::StopSign;
use larder::source::{Capture, CaptureOptions, LargeValue, Reading, RowSink, SourceError, rows};
use larder::target::{
    CheckLevel, Completed, Expected, NewDatabase, Restored, SpilledContent, TableWriter,
    TargetError, rehearse,
};
use larder::vfs::Vfs;
use larder::vfs::os::OsVfs;

/// Keeps large values as files: the test must not need their memory itself.
struct Values {
    folder: PathBuf,
    count: u64,
}

impl SpilledContent for Values {
    fn open<'a>(&'a mut self, spilled: &Spilled) -> io::Result<Box<dyn Read + 'a>> {
        Ok(Box::new(File::open(
            self.folder.join(spilled.root.to_string()),
        )?))
    }
}

struct Copy<'d> {
    writer: TableWriter<'d>,
    values: &'d mut Values,
}

impl RowSink for Copy<'_> {
    type Error = TargetError;

    fn large(&mut self, value: LargeValue, content: &mut dyn Read) -> Result<Spilled, TargetError> {
        let LargeValue { class, bytes, .. } = value;
        self.values.count += 1;
        let mut root = [0; 32];
        root[..8].copy_from_slice(&self.values.count.to_be_bytes());
        let root = BlobId(root);
        let mut file = File::create(self.values.folder.join(root.to_string())).unwrap();
        assert_eq!(io::copy(content, &mut file).unwrap(), bytes);
        let level = 0;
        Ok(Spilled {
            class,
            bytes,
            level,
            root,
        })
    }

    fn row(&mut self, row: RowRef<'_>) -> Result<(), TargetError> {
        self.writer.row(row, self.values)
    }
}

fn files() -> Arc<dyn Vfs> {
    Arc::new(OsVfs)
}

fn options(temp_dir: &Path) -> CaptureOptions {
    CaptureOptions {
        busy: Duration::from_millis(200),
        temp_dir: temp_dir.to_owned(),
        vfs: Arc::new(OsVfs),
        env: Arc::new(SystemEnv),
        stop: StopSign::default(),
        reading: Reading::default(),
    }
}

/// Reads `from` and writes all of it that is carried to `to`.
fn copy(from: &Path, to: &Path, temp_dir: &Path) -> Result<Restored, TargetError> {
    let capture = Capture::begin(from, &options(temp_dir)).unwrap();
    let schema = capture.schema();
    let target = NewDatabase::create(&files(), to, capture.settings(), schema, [], false)?;
    let mut values = Values {
        folder: temp_dir.to_owned(),
        count: 0,
    };
    let mut expected = Expected::default();
    let tables: Vec<Table> = target.tables().cloned().collect();
    for table in &tables {
        assert!(capture.moment().carries(table));
        let mut sink = Copy {
            writer: target.writer(table)?,
            values: &mut values,
        };
        let count = match rows(capture.moment(), table, &mut sink) {
            Ok(scanned) => scanned.rows,
            Err(larder::source::RowsError::Sink(error)) => return Err(error),
            Err(error) => panic!("{}: {error}", from.display()),
        };
        assert_eq!(sink.writer.count(), count);
        assert_eq!(sink.writer.generated_differ(), 0, "{}", table.name);
        expected.rows.insert(table.name.clone(), count);
        let verdict = capture.moment().foreign_key_violations(table).unwrap();
        expected.foreign_keys.insert(table.name.clone(), verdict);
    }
    let restored = target.complete(CheckLevel::Quick, &expected)?.publish()?;
    capture.finish().unwrap();
    Ok(restored)
}

fn make(path: &Path, sql: &str) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(sql).unwrap();
    db
}

fn round_trip(sql: &str) -> (tempfile::TempDir, PathBuf, PathBuf, Restored) {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from.db"), dir.path().join("to.db"));
    drop(make(&from, sql));
    let restored = copy(&from, &to, dir.path()).unwrap();
    let told = differences(&from, &to, "").unwrap_or_default();
    assert_eq!(told, "", "{sql}");
    (dir, from, to, restored)
}

const ODD: &str = r#"
    PRAGMA foreign_keys=OFF; PRAGMA page_size=1024; PRAGMA auto_vacuum=2; PRAGMA user_version=-7; PRAGMA application_id=1234;
    CREATE TABLE gone(id INTEGER PRIMARY KEY AUTOINCREMENT);
    CREATE TABLE plain(a, b TEXT, c REAL, d NUMERIC, e BLOB);
    INSERT INTO plain VALUES(1, '1', 1, 1.0, x'31'), (1.0, '', -0.0, 9e999, x''),
        (-0.0, CAST(x'ff00fe' AS TEXT), 9e999, '1e5x', NULL),
        (9223372036854775807, 'ab' || char(0) || 'cd', 0.1, -9223372036854775808, zeroblob(16385)),
        (NULL, printf('%.*c', 20000, 'x'), 1e-300, 12345678901234567890, zeroblob(16384));
    DELETE FROM plain WHERE rowid = 2;
    INSERT INTO plain(rowid, a) VALUES(-9223372036854775808, 'least'), (9223372036854775807, 'most');
    CREATE TABLE later(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
    INSERT INTO later(v) VALUES('x'), ('y'), ('z'); DELETE FROM later WHERE id = 3;
    DROP TABLE gone;
    CREATE TABLE "quo""ted; --" ("a b" TEXT COLLATE NOCASE, "" INT, rowid TEXT, PRIMARY KEY("a b" DESC, ""))
        WITHOUT ROWID;
    INSERT INTO "quo""ted; --" VALUES('Abc', 1, 'r'), ('abd', 2, printf('%.*c', 30000, 'y'));
    CREATE TABLE covered(k TEXT PRIMARY KEY, l) WITHOUT ROWID; CREATE INDEX ck ON covered(l, k);
    INSERT INTO covered VALUES('a', 3), ('b', 2), ('c', 1);
    CREATE TABLE descending(id INTEGER PRIMARY KEY DESC, v UNIQUE);
    INSERT INTO descending VALUES(NULL, 1), (NULL, 2), (5, 3);
    CREATE TABLE hidden(rowid, _rowid_, oid); INSERT INTO hidden VALUES(3, 2, 1), (1, 2, 3);
    CREATE TABLE named(rowid, x); INSERT INTO named(_rowid_, rowid, x) VALUES(40, 'a', 'b'), (7, 'c', 'd');
    CREATE TABLE gen(a, s AS (a || '!') STORED, v AS (a || '?'), z BLOB);
    INSERT INTO gen(a, z) VALUES('one', x'00'), (NULL, NULL), (printf('%.*c', 17000, 'g'), zeroblob(1500000));
    CREATE TABLE st(i INT, t TEXT, r REAL, b BLOB, y ANY) STRICT;
    INSERT INTO st VALUES(1, 't', 2, x'01', '000123');
    CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(a REFERENCES p, b REFERENCES nowhere(x));
    INSERT INTO c VALUES(1, NULL), (NULL, NULL);
    CREATE TABLE only(id INTEGER PRIMARY KEY); INSERT INTO only VALUES(3), (-1);
    CREATE INDEX i1 ON plain(b COLLATE NOCASE DESC) WHERE a > "text";
    CREATE UNIQUE INDEX i2 ON plain(a, lower(b)); CREATE INDEX i3 ON later(v);
    CREATE VIEW w AS SELECT * FROM nowhere; CREATE VIEW w2(x) AS SELECT count(*) FROM plain;
    CREATE TRIGGER tr AFTER INSERT ON plain BEGIN INSERT INTO nowhere VALUES(new.a); END;
    ANALYZE; DROP TABLE sqlite_stat1; CREATE TABLE zzz(a CHECK(a > 0)); ANALYZE;
    PRAGMA ignore_check_constraints=1; INSERT INTO zzz VALUES(-5);
"#;

/// Values, names, keys and objects at the edges of what SQLite allows come back exactly.
#[test]
fn odd_tables_come_back_equal() {
    let (_dir, _from, _to, restored) = round_trip(ODD);
    let told: Vec<&str> = restored.findings.iter().map(|f| f.text.as_str()).collect();
    assert_eq!(told, ["CHECK constraint failed in zzz"]);
}

/// WAL mode is restored, and a file without a byte is a database without tables.
#[test]
fn journal_modes_come_back() {
    let (_dir, from, to, _) =
        round_trip("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1);");
    assert_eq!(fs::read(&to).unwrap()[18..20], [2, 2]);
    assert_eq!(fs::read(&from).unwrap()[18..20], [2, 2]);
    assert!(!to.with_file_name("to.db-wal").exists());
    let dir = tempfile::tempdir().unwrap();
    let (empty, to) = (dir.path().join("empty.db"), dir.path().join("to.db"));
    File::create(&empty).unwrap();
    let capture = Capture::begin(&empty, &options(dir.path())).unwrap();
    assert!(capture.is_empty_file());
    assert_eq!(capture.bytes(), 0);
    copy(&empty, &to, dir.path()).unwrap();
    assert_eq!(differences(&empty, &to, "").unwrap_or_default(), "");
}

/// The model of a schema says what a restore and a diff rely on.
#[test]
fn keys_are_read_as_sqlite_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from.db");
    drop(make(&from, ODD));
    let capture = Capture::begin(&from, &options(dir.path())).unwrap();
    let seen: Vec<String> = capture
        .schema()
        .tables
        .iter()
        .map(|t| {
            let keys: Vec<String> = t
                .primary_key
                .iter()
                .map(|k| {
                    format!(
                        "{}{:?}{}",
                        k.column,
                        k.collation,
                        if k.descending { "-" } else { "" }
                    )
                })
                .collect();
            format!(
                "{} alias {:?} name {:?} key {keys:?} unique {} auto {} strict {} fk {}",
                t.name,
                t.rowid_alias(),
                t.rowid_name(),
                t.unique_keys.len(),
                t.autoincrement,
                t.strict,
                t.foreign_keys.len()
            )
        })
        .collect();
    for expected in [
        r#"later alias Some(0) name Some("rowid") key ["0Binary"] unique 0 auto true strict false fk 0"#,
        r#"quo"ted; -- alias None name None key ["0Nocase-", "1Binary"] unique 0 auto false strict false fk 0"#,
        r#"descending alias None name Some("rowid") key ["0Binary-"] unique 1 auto false strict false fk 0"#,
        r#"hidden alias None name None key [] unique 0 auto false strict false fk 0"#,
        r#"named alias None name Some("_rowid_") key [] unique 0 auto false strict false fk 0"#,
        r#"plain alias None name Some("rowid") key [] unique 0 auto false strict false fk 0"#,
        r#"c alias None name Some("rowid") key [] unique 0 auto false strict false fk 2"#,
        r#"st alias None name Some("rowid") key [] unique 0 auto false strict true fk 0"#,
    ] {
        assert!(
            seen.iter().any(|s| s == expected),
            "{expected}\nnot in {seen:#?}"
        );
    }
    let c = capture.schema().table("C").unwrap();
    let verdict = capture.moment().foreign_key_violations(c).unwrap();
    assert_eq!(verdict.violations, BTreeMap::from([(1, 1)]));
    let hidden: Vec<&str> = capture
        .without_rowid_name()
        .map(|t| t.name.as_str())
        .collect();
    assert_eq!(hidden, ["hidden"]);
}

/// A reader of a rollback-mode database holds no lock after `begin`; a WAL reader sees one moment.
#[test]
fn a_capture_neither_blocks_nor_sees_later_writes() {
    for mode in ["DELETE", "WAL"] {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from.db");
        let app = make(
            &from,
            &format!("PRAGMA journal_mode={mode}; CREATE TABLE t(a); INSERT INTO t VALUES(1);"),
        );
        app.busy_timeout(Duration::ZERO).unwrap();
        let capture = Capture::begin(&from, &options(dir.path())).unwrap();
        assert_eq!(capture.holds_source(), mode == "WAL");
        app.execute_batch("INSERT INTO t VALUES(2); CREATE TABLE u(a)")
            .unwrap();
        assert_eq!(capture.schema().tables.len(), 1);
        struct Count(u64);
        impl RowSink for Count {
            type Error = io::Error;
            fn large(&mut self, _: LargeValue, _: &mut dyn Read) -> io::Result<Spilled> {
                Err(io::Error::other("no large value is due"))
            }
            fn row(&mut self, _: RowRef<'_>) -> io::Result<()> {
                self.0 += 1;
                Ok(())
            }
        }
        let mut count = Count(0);
        let table = &capture.schema().tables[0];
        assert_eq!(rows(capture.moment(), table, &mut count).unwrap().rows, 1);
        assert_eq!(count.0, 1);
    }
}

/// Each way in which a source cannot be read has its own error.
#[test]
fn sources_that_cannot_be_read_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let begin = |name: &str| Capture::begin(&dir.path().join(name), &options(dir.path()));
    let app = make(
        &dir.path().join("locked.db"),
        "CREATE TABLE t(a); BEGIN EXCLUSIVE;",
    );
    assert!(matches!(begin("locked.db"), Err(SourceError::Busy { .. })));
    drop(app);
    let rows = "CREATE TABLE t(a); WITH n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 5000) INSERT INTO t SELECT i FROM n";
    drop(make(&dir.path().join("short.db"), rows));
    let short = File::options()
        .write(true)
        .open(dir.path().join("short.db"))
        .unwrap();
    short.set_len(9000).unwrap();
    assert!(begin("short.db").unwrap().damage().is_some());
}

/// What SQL cannot make again is foretold by name.
#[test]
fn objects_that_cannot_be_made_again_are_foretold() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from.db");
    let db = rusqlite::Connection::open(&from).unwrap();
    db.create_collation("odd", |a: &str, b: &str| a.cmp(b))
        .unwrap();
    db.execute_batch(
        "CREATE TABLE o(a TEXT COLLATE odd PRIMARY KEY); CREATE VIRTUAL TABLE f USING fts5(x);
         CREATE TABLE kept(a); CREATE INDEX ki ON kept(a COLLATE odd); INSERT INTO kept VALUES(1);
         CREATE VIEW broken AS SELECT * FROM nowhere;",
    )
    .unwrap();
    drop(db);
    let capture = Capture::begin(&from, &options(dir.path())).unwrap();
    let unmade = rehearse(capture.schema(), capture.settings()).unwrap();
    let named: Vec<&str> = unmade.iter().map(|o| o.object.as_str()).collect();
    assert_eq!(named, ["o", "index ki"]);
    assert!(unmade[0].reason.contains("no such collation"), "{unmade:?}");
}

/// Nothing that stands in the place of a new database is replaced, its sidecars included, and a
/// restore that fails leaves nothing behind.
#[test]
fn nothing_is_replaced_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from.db");
    drop(make(
        &from,
        "CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES(1)",
    ));
    let capture = Capture::begin(&from, &options(dir.path())).unwrap();
    let create = |to: &Path| {
        NewDatabase::create(
            &files(),
            to,
            capture.settings(),
            capture.schema(),
            [],
            false,
        )
    };
    for taken in ["to.db", "to.db-wal", "to.db-journal", "to.db-shm"] {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join(taken)).unwrap();
        let refused = create(&folder.path().join("to.db"));
        assert!(
            matches!(refused, Err(TargetError::Exists { .. })),
            "{taken}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to.db");
    let database = create(&to).unwrap();
    File::create(&to).unwrap();
    let late = database.complete(CheckLevel::Full, &Expected::default());
    let late = late.and_then(Completed::publish);
    assert!(matches!(late, Err(TargetError::Exists { .. })), "{late:?}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
    fs::remove_file(&to).unwrap();
    let wanted = Expected {
        rows: BTreeMap::from([("t".to_owned(), 1)]),
        ..Expected::default()
    };
    let short = create(&to).unwrap().complete(CheckLevel::Quick, &wanted);
    assert!(
        matches!(
            short,
            Err(TargetError::Count {
                wanted: 1,
                found: 0,
                ..
            })
        ),
        "{short:?}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A schema text from a hostile store does nothing but create its object, or is refused.
#[test]
fn hostile_schema_texts_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from.db");
    drop(make(&from, "CREATE TABLE t(a)"));
    let capture = Capture::begin(&from, &options(dir.path())).unwrap();
    for text in [
        "CREATE TABLE t(a); DROP TABLE t",
        "CREATE TABLE t AS SELECT 1 AS a",
        "CREATE TEMP TABLE t(a)",
        "CREATE TABLE other(a)",
        "CREATE TABLE t(a DEFAULT (load_extension('x')), CHECK(load_extension(a)))",
        "CREATE VIRTUAL TABLE t USING fts5(a)",
        "ATTACH 'x.db' AS x",
        "VACUUM INTO 'x.db'",
        "PRAGMA writable_schema=1",
        "CREATE TABLE t(a)\0; DROP TABLE t",
        "CREATE TABLE IF NOT EXISTS main.t(a)",
        "",
    ] {
        let mut schema = capture.schema().clone();
        schema.objects[0].sql = Some(text.to_owned());
        let to = dir.path().join("to.db");
        let made = NewDatabase::create(&files(), &to, capture.settings(), &schema, [], false)
            .and_then(|database| database.complete(CheckLevel::Full, &Expected::default()));
        assert!(made.is_err(), "{text}");
        assert!(!to.exists());
    }
}

/// The most memory this process has used since it was reset, in MB.
fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

const LARGE_BYTES: u64 = 300_000_000;

/// A blob of 300 MB in the last column is read and written in far less memory than it has bytes.
#[test]
fn a_large_blob_needs_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from.db");
    let db = make(
        &from,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, content BLOB)",
    );
    db.execute(
        "INSERT INTO t VALUES(1, 'small', x'01'), (2, 'large', zeroblob(?1)), (9, 'end', 'x')",
        [LARGE_BYTES as i64],
    )
    .unwrap();
    drop(db);
    // The peak is the process's: it needs one of its own.
    let out = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "source_target::copies_a_large_blob",
            "--nocapture",
        ])
        .env("LARDER_TEST_LARGE", &from)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    println!("{text}");
    assert!(
        out.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(text.contains("peak grew by"), "{text}");
    let told = differences(&from, &dir.path().join("to.db"), "").unwrap_or_default();
    assert_eq!(told, "");
}

/// Run by the test above in a process of its own.
#[test]
fn copies_a_large_blob() {
    let Some(from) = std::env::var_os("LARDER_TEST_LARGE") else {
        return;
    };
    let from = PathBuf::from(from);
    let before = peak_mb();
    copy(&from, &from.with_file_name("to.db"), from.parent().unwrap()).unwrap();
    let grown = peak_mb() - before;
    println!("peak grew by {grown} MB");
    // Page caches are most of it: of the new database while it is filled and indexed, and of the source.
    assert!(grown < 96, "{grown} MB");
}

/// A value that stops the fast scan is read another way, and the scan goes on behind its row.
#[test]
fn values_too_long_for_the_fast_scan_come_back_in_order() {
    round_trip(
        "CREATE TABLE t(a, b BLOB, c TEXT);
         INSERT INTO t VALUES(1, zeroblob(2000000), 'x'), (2, 'short', 'y'), (3, printf('%.*c', 1500000, 'z'), NULL),
            (zeroblob(1048576), zeroblob(1048577), zeroblob(600000)), (5, NULL, zeroblob(3000000));
         INSERT INTO t(rowid, a) VALUES(9223372036854775807, zeroblob(1100000));
         CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES('a', zeroblob(2000000)), ('b', 1);
         CREATE TABLE hidden(rowid, _rowid_, oid); INSERT INTO hidden VALUES(zeroblob(2000000), 1, 2);",
    );
}
