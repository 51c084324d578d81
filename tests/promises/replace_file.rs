//! A database that is replaced as a whole is the snapshot's afterwards, in the very file that it was: who has it
//! open goes on with it, who reads it sees the old or the new, and whatever stops it leaves the old.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::error::Error;
use larder::format::manifest::Manifest;
use larder::ops::restore::{self, Builder, Form, Mode, RestoreOptions, RestoreOutcome};
use larder::ops::undo::{self, UndoOptions};
use larder::progress::{NoProgress, Progress, Unit};
use larder::target::{CheckLevel, TargetError};
use larder::testkit::fault_vfs::FaultVfs;
use rusqlite::Connection;

use crate::sandbox::{scale, seed};
use crate::stage::{Stage, content, number, rows, table};
use crate::tree_rows::Random;
use crate::workshop::{differences, sql};

const MODES: [&str; 2] = ["DELETE", "WAL"];

const SCHEMA: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, b);
    CREATE INDEX t_b ON t(b); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE c(t REFERENCES t, x); CREATE VIEW v AS SELECT a FROM t;
    CREATE TRIGGER g AFTER DELETE ON t BEGIN DELETE FROM c WHERE t = OLD.id; END;
    CREATE VIRTUAL TABLE f USING fts5(x);";

fn fill(first: u32, count: u32) -> String {
    let n = format!(
        "WITH n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {first} + {count} - 1)"
    );
    format!(
        "{n} INSERT INTO t SELECT i, 'name ' || i, zeroblob(i % 400) FROM n;
         {n} INSERT INTO w SELECT i, i * 1.5 FROM n; {n} INSERT INTO c SELECT i, 'c' FROM n;
         {n} INSERT INTO f SELECT 'word' || i FROM n LIMIT 10;"
    )
}

fn options(to: &Path) -> RestoreOptions {
    RestoreOptions {
        target: to.to_owned(),
        mode: Mode::Replace,
        whole_file: true,
        busy_timeout: Duration::from_millis(300),
        check: CheckLevel::Full,
        ..RestoreOptions::default()
    }
}

fn replace(
    stage: &mut Stage,
    manifest: &Manifest,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    restore::run(
        &mut stage.store,
        &stage.world,
        manifest,
        options,
        &mut restore::NoDecider,
        progress,
    )
}

/// A snapshot of `from.db`, and `to.db`, which differs, in a journal mode.
fn scene(mode: &str, settings: &str) -> (Stage, Manifest, PathBuf, PathBuf) {
    let mut stage = Stage::new();
    let from = stage.make("from.db", &format!("{settings}; {SCHEMA} {}", fill(1, 700)));
    let snapshot = stage.back_up(&from);
    let to = stage.make(
        "to.db",
        &format!(
            "{settings}; PRAGMA journal_mode={mode}; {SCHEMA} {}",
            fill(300, 900)
        ),
    );
    (stage, snapshot, from, to)
}

/// Nothing of the work is left beside the databases.
fn assert_no_scratch(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains(".larder-"), "{name}");
        assert!(!name.ends_with("-journal"), "{name}");
    }
}

fn assert_sound(path: &Path) {
    let db = Connection::open(path).unwrap();
    let said: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(said, "ok");
}

fn journal_mode(path: &Path) -> String {
    let db = Connection::open(path).unwrap();
    db.query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap()
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

#[test]
fn the_database_is_the_snapshots_and_the_file_is_the_one_it_was() {
    for mode in MODES {
        for from_mode in MODES {
            let (mut stage, _, from, to) = scene(mode, "PRAGMA user_version=7");
            stage.make(
                "from.db",
                &format!("PRAGMA journal_mode={from_mode}; PRAGMA user_version=9"),
            );
            let snapshot = stage.back_up(&from);
            let before = (inode(&to), content(&to));
            let plan = RestoreOptions {
                dry_run: true,
                ..options(&to)
            };
            let planned = replace(&mut stage, &snapshot, &plan, &mut NoProgress).unwrap();
            assert_eq!(content(&to), before.1, "a plan writes nothing");
            let done = replace(&mut stage, &snapshot, &options(&to), &mut NoProgress).unwrap();
            assert!(done.whole_file && !done.new_file && !done.is_stopped());
            assert_eq!(done.tables, planned.tables);
            assert_eq!(table(&done, "t").inserted, 700);
            assert_eq!(table(&done, "t").deleted, 900);
            assert_eq!(inode(&to), before.0);
            let told = differences(&from, &to, "journal_mode,order").unwrap_or_default();
            assert_eq!(told, "", "{mode} {from_mode}");
            assert_eq!(content(&from), content(&to));
            assert_eq!(journal_mode(&to).to_uppercase(), mode);
            assert_eq!(number(&to, "PRAGMA user_version"), 9);
            assert_sound(&to);
            assert_no_scratch(stage.dir.path());
        }
    }
}

/// Its statements were prepared for the schema before; it holds pages of the content before in its cache.
#[test]
fn a_connection_that_is_open_goes_on_with_the_new_content() {
    for mode in MODES {
        for vacuum in [(0, 1), (2, 0)] {
            let mut stage = Stage::new();
            let from = stage.make(
                "from.db",
                &format!(
                    "PRAGMA auto_vacuum={}; CREATE TABLE first(x); CREATE TABLE t(a, id INTEGER PRIMARY KEY, more);
                     INSERT INTO t VALUES('new', 1, 'more')",
                    vacuum.0
                ),
            );
            let snapshot = stage.back_up(&from);
            let to = stage.make(
                "to.db",
                &format!(
                    "PRAGMA auto_vacuum={}; PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, a);
                     WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                     INSERT INTO t SELECT i, 'old' FROM n",
                    vacuum.1
                ),
            );
            let open = Connection::open(&to).unwrap();
            let mut read = open.prepare("SELECT a FROM t WHERE id = 1").unwrap();
            let mut insert = open
                .prepare("INSERT INTO t(id, a) VALUES(?1, 'x')")
                .unwrap();
            insert.execute([5000]).unwrap();
            let mut one = || read.query_row([], |row| row.get::<_, String>(0)).unwrap();
            assert_eq!(one(), "old");
            let done = replace(&mut stage, &snapshot, &options(&to), &mut NoProgress).unwrap();
            assert_eq!(done.beyond_undo, ["t"]);
            assert_eq!(one(), "new", "{mode}");
            for id in 2..500 {
                insert.execute([id]).unwrap();
            }
            open.execute_batch("DELETE FROM t WHERE id > 100; PRAGMA incremental_vacuum")
                .unwrap();
            drop((read, insert));
            drop(open);
            assert_sound(&to);
            assert_eq!(number(&to, "SELECT count(*) FROM t"), 100);
            assert_eq!(number(&to, "PRAGMA auto_vacuum"), vacuum.0);
        }
    }
}

#[test]
fn what_would_be_lost_or_cannot_be_is_refused_before_anything_is_made() {
    for mode in MODES {
        let (mut stage, snapshot, _, to) = scene(mode, "");
        stage.make(
            "to.db",
            "CREATE TABLE mine(a); CREATE VIRTUAL TABLE mine_too USING fts5(x)",
        );
        let before = content(&to);
        let snapshots = stage.store.snapshot_names().unwrap().ids.len();
        for dry_run in [true, false] {
            let options = RestoreOptions {
                dry_run,
                ..options(&to)
            };
            let error = replace(&mut stage, &snapshot, &options, &mut NoProgress).unwrap_err();
            let said = error.to_string();
            assert!(
                said.ends_with("has tables that the snapshot lacks: mine, mine_too"),
                "{said}"
            );
        }
        for (name, settings, what) in [
            ("size.db", "PRAGMA page_size=8192", "page size"),
            ("text.db", "PRAGMA encoding='UTF-16le'", "text encoding"),
        ] {
            let other = stage.make(
                name,
                &format!("{settings}; PRAGMA journal_mode={mode}; CREATE TABLE t(a)"),
            );
            let error =
                replace(&mut stage, &snapshot, &options(&other), &mut NoProgress).unwrap_err();
            assert!(
                matches!(&error, Error::Target(TargetError::OtherForm { what: w, .. }) if *w == what),
                "{error}"
            );
            assert_eq!(number(&other, "SELECT count(*) FROM t"), 0);
        }
        stage.make("from.db", "PRAGMA application_id=1");
        let marked = stage.back_up(&stage.path("from.db"));
        stage.make("size.db", "PRAGMA application_id=2");
        let error = replace(
            &mut stage,
            &marked,
            &options(&to.with_file_name("size.db")),
            &mut NoProgress,
        )
        .unwrap_err();
        assert!(
            matches!(error, Error::Target(TargetError::OtherApplication { .. })),
            "{error}"
        );
        assert_eq!(content(&to), before);
        // That of the marked database alone.
        assert_eq!(
            stage.store.snapshot_names().unwrap().ids.len(),
            snapshots + 1
        );
        assert_no_scratch(stage.dir.path());
    }
}

/// An empty file has no form yet.
#[test]
fn an_empty_database_takes_any_form() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        "PRAGMA page_size=1024; PRAGMA encoding='UTF-16be'; PRAGMA auto_vacuum=1; CREATE TABLE t(a);
         INSERT INTO t VALUES('x')",
    );
    let snapshot = stage.back_up(&from);
    let to = stage.path("to.db");
    std::fs::write(&to, "").unwrap();
    replace(&mut stage, &snapshot, &options(&to), &mut NoProgress).unwrap();
    assert_eq!(differences(&from, &to, "").unwrap_or_default(), "");
    assert_sound(&to);
    // And back.
    let empty = stage.path("empty.db");
    std::fs::write(&empty, "").unwrap();
    let nothing = stage.back_up(&empty);
    for mode in MODES {
        let bare = stage.make(
            &format!("bare {mode}.db"),
            &format!("PRAGMA journal_mode={mode}; CREATE VIEW v AS SELECT 1"),
        );
        replace(&mut stage, &nothing, &options(&bare), &mut NoProgress).unwrap();
        assert_eq!(content(&bare), [""; 0]);
    }
}

/// Holds a lock while the copy is to begin.
struct Locking<'l> {
    phase: &'static str,
    hold: Box<dyn FnMut() + 'l>,
    told: Vec<String>,
}

impl Progress for Locking<'_> {
    fn phase(&mut self, name: &str, _: u64, _: Unit) {
        self.told.push(name.to_owned());
        if name == self.phase {
            (self.hold)();
        }
    }
}

#[test]
fn a_writer_that_does_not_end_makes_it_give_up() {
    for mode in MODES {
        let (mut stage, snapshot, _, to) = scene(mode, "");
        let before = content(&to);
        let writer = Connection::open(&to).unwrap();
        let mut locking = Locking {
            phase: "Restoring",
            hold: Box::new(|| writer.execute_batch("BEGIN IMMEDIATE").unwrap()),
            told: Vec::new(),
        };
        let begun = std::time::Instant::now();
        let error = replace(&mut stage, &snapshot, &options(&to), &mut locking).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Target(TargetError::Busy { .. }) | Error::Source(_)
            ),
            "{error}"
        );
        assert!(begun.elapsed() >= Duration::from_millis(300));
        writer.execute_batch("ROLLBACK").unwrap();
        assert_eq!(content(&to), before);
        assert_no_scratch(stage.dir.path());
        let said = stage.store.snapshot_names().unwrap().ids;
        let left = said.iter().map(|id| stage.manifest(id.as_str()));
        assert!(
            left.into_iter().all(|m| m.restore.is_none()),
            "no snapshot of what never was"
        );
    }
}

/// In rollback mode nobody reads while pages are written: a reader that does not end keeps it waiting.
#[test]
fn a_reader_keeps_its_state_or_the_restore_waiting() {
    for mode in MODES {
        let (mut stage, snapshot, _, to) = scene(mode, "");
        let reader = Connection::open(&to).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let count = |db: &Connection| -> i64 {
            db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(count(&reader), 900);
        let done = replace(&mut stage, &snapshot, &options(&to), &mut NoProgress);
        match mode {
            "WAL" => {
                done.unwrap();
                assert_eq!(count(&reader), 900);
                reader.execute_batch("COMMIT").unwrap();
                assert_eq!(count(&reader), 700);
            }
            _ => {
                let error = done.unwrap_err();
                assert!(
                    matches!(error, Error::Target(TargetError::Busy { .. })),
                    "{error}"
                );
                reader.execute_batch("COMMIT").unwrap();
                assert_eq!(count(&reader), 900);
                assert_sound(&to);
            }
        }
        assert_no_scratch(stage.dir.path());
    }
}

/// What is written at any time before is in the safety snapshot, or is refused.
#[test]
fn what_others_write_meanwhile_is_saved_or_has_to_wait() {
    for mode in MODES {
        for phase in [
            "Restoring",
            "Reading",
            "Reading what was written",
            "Replacing the database",
        ] {
            for times in [1, 99] {
                let (mut stage, snapshot, _, to) = scene(mode, "");
                let (mut written, mut refused, mut left) = (0, 0, times);
                let mut locking = Locking {
                    phase,
                    hold: Box::new(|| {
                        if left == 0 {
                            return;
                        }
                        left -= 1;
                        let db = Connection::open(&to).unwrap();
                        db.busy_timeout(Duration::ZERO).unwrap();
                        match db.execute_batch("INSERT INTO t(b) VALUES('meanwhile')") {
                            Ok(()) => written += 1,
                            Err(_) => refused += 1,
                        }
                    }),
                    told: Vec::new(),
                };
                let done = replace(&mut stage, &snapshot, &options(&to), &mut locking).unwrap();
                drop(locking);
                let what = format!("{mode} {phase} {times}: {written} written, {refused} refused");
                assert_eq!(number(&to, "SELECT count(*) FROM t"), 700, "{what}");
                assert_eq!(table(&done, "t").deleted, 900 + written, "{what}");
                assert!(written + refused > 0, "{what}");
                let safety = done.safety_snapshot.unwrap();
                let saved = stage.manifest(&safety.id);
                assert_eq!(saved.entity("t").unwrap().records, 900 + written, "{what}");
            }
        }
    }
}

#[test]
fn a_restore_that_is_stopped_leaves_the_database_as_it_was() {
    struct Stop(&'static str, bool);
    impl Progress for Stop {
        fn phase(&mut self, name: &str, _: u64, _: Unit) {
            self.1 |= name == self.0;
        }
        fn cancelled(&self) -> bool {
            self.1
        }
    }
    for mode in MODES {
        let (mut stage, snapshot, _, to) = scene(mode, "");
        let before = content(&to);
        for phase in [
            "Restoring",
            "Building indexes and checking",
            "Reading every record again",
            "Reading what was written",
            "Replacing the database",
        ] {
            let mut stop = Stop(phase, false);
            let error = replace(&mut stage, &snapshot, &options(&to), &mut stop).unwrap_err();
            assert!(matches!(error, Error::Cancelled), "{phase}: {error}");
            assert_eq!(content(&to), before, "{mode} {phase}");
            assert_no_scratch(stage.dir.path());
        }
        // What was begun and stopped stands in nobody's way.
        replace(&mut stage, &snapshot, &options(&to), &mut NoProgress).unwrap();
        assert_eq!(rows(&to, "t").len(), 700);
    }
}

/// Too little for the file, or for what SQLite needs to copy it; a disk that is full all the same: tests/cli.
#[test]
fn what_has_no_room_is_told_beforehand() {
    for mode in MODES {
        let (mut stage, snapshot, _, to) = scene(mode, "");
        let faults = FaultVfs::new(stage.world.vfs.clone());
        stage.world.vfs = std::sync::Arc::new(faults.clone());
        let before = content(&to);
        // Too little for the file beside it, then for the journal as well.
        let made = snapshot.source.bytes;
        for free in [made - 1, made] {
            faults.set_free(free);
            let mut phases = Locking {
                phase: "",
                hold: Box::new(|| ()),
                told: Vec::new(),
            };
            let error = replace(&mut stage, &snapshot, &options(&to), &mut phases);
            let was_made = phases.told.iter().any(|phase| phase == "Restoring");
            assert_eq!(was_made, free == made);
            match error {
                Err(Error::Target(TargetError::LittleSpace { .. })) => {
                    assert_eq!(content(&to), before);
                }
                // In WAL mode the copy may be smaller than the database was.
                done => assert!(free == made && mode == "WAL", "{mode} {free}: {done:?}"),
            }
            assert_no_scratch(stage.dir.path());
        }
    }
}

#[test]
fn undo_takes_it_back_and_does_it_again() {
    for mode in MODES {
        let (mut stage, snapshot, from, to) = scene(mode, "");
        stage.make(
            "to.db",
            "DROP TABLE f; CREATE INDEX own ON w(v); DROP VIEW v; CREATE VIEW v AS SELECT b FROM t;
             CREATE TRIGGER own_g AFTER INSERT ON w BEGIN DELETE FROM c; END; PRAGMA user_version=5",
        );
        let before = content(&to);
        let done = replace(&mut stage, &snapshot, &options(&to), &mut NoProgress).unwrap();
        assert!(done.after_snapshot.is_some() && done.beyond_undo.is_empty());
        assert_eq!(done.made.len(), 1);
        let replaced = content(&to);
        sql(&to, "INSERT INTO w VALUES('since', 1)");
        let options = UndoOptions {
            target: to.clone(),
            check: CheckLevel::Full,
            ..UndoOptions::default()
        };
        let undone = undo::run(&mut stage.store, &stage.world, &options, &mut NoProgress).unwrap();
        assert!(!undone.is_stopped(), "{undone:?}");
        assert_eq!(undone.made_again, ["own", "v", "own_g", "user_version"]);
        let is_sequence = |line: &&String| line.starts_with("sqlite_sequence");
        let without = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|l| !is_sequence(l)).cloned().collect()
        };
        assert_eq!(number(&to, "PRAGMA user_version"), 5);
        stage.make(
            "to.db",
            "DROP TRIGGER own_g; DELETE FROM w WHERE k = 'since'",
        );
        stage.make(
            "to.db",
            "CREATE TRIGGER own_g AFTER INSERT ON w BEGIN DELETE FROM c; END",
        );
        assert_eq!(without(&content(&to)), without(&before), "{mode}");
        // And again: but for what is not of rows alone.
        let again = UndoOptions {
            restore: Some(undone.after_snapshot.unwrap().id),
            ..options
        };
        let redone = undo::run(&mut stage.store, &stage.world, &again, &mut NoProgress).unwrap();
        assert!(!redone.is_stopped(), "{redone:?}");
        assert_eq!(rows(&to, "t"), rows(&from, "t"));
        let of_table_f =
            |line: &&String| line.contains(" f: ") || line.contains(" f_") || line.starts_with("f");
        let without_f: Vec<String> = replaced
            .iter()
            .filter(|l| !of_table_f(l))
            .cloned()
            .collect();
        assert_eq!(without(&content(&to)), without(&without_f), "{mode}");
    }
}

/// Where tables are defined in another way, undo says so, and the safety snapshot is the way back.
#[test]
fn what_undo_cannot_take_back_comes_back_as_a_whole() {
    for mode in MODES {
        let (mut stage, snapshot, _, to) = scene(mode, "");
        stage.make(
            "to.db",
            "ALTER TABLE c ADD COLUMN more; UPDATE c SET more = t",
        );
        let before = content(&to);
        let done = replace(&mut stage, &snapshot, &options(&to), &mut NoProgress).unwrap();
        assert_eq!(done.beyond_undo, ["f", "c"]);
        let undo_options = UndoOptions {
            target: to.clone(),
            ..UndoOptions::default()
        };
        let replaced = content(&to);
        let undone = undo::run(
            &mut stage.store,
            &stage.world,
            &undo_options,
            &mut NoProgress,
        )
        .unwrap();
        assert!(undone.is_stopped());
        let mut changed = undone.changed.iter();
        assert!(changed.any(|one| one.table == "c" && one.reason.contains("other columns")));
        let mut told = undone.findings.iter();
        assert!(told.any(|finding| finding.subject == "f"));
        assert_eq!(content(&to), replaced);
        let safety = stage.manifest(&done.safety_snapshot.unwrap().id);
        replace(&mut stage, &safety, &options(&to), &mut NoProgress).unwrap();
        assert_eq!(content(&to), before, "{mode}");
    }
}

/// What SQL does not make again comes from pages; what trees cannot, by SQL.
#[test]
fn every_way_to_make_a_new_file_is_one_to_replace_a_database() {
    for (way, form, builder) in [
        ("trees", Form::Best, Builder::Trees),
        ("sql", Form::Best, Builder::Sql),
        ("pages", Form::Best, Builder::Trees),
    ] {
        for mode in MODES {
            let (mut stage, mut snapshot, from, to) = scene(mode, "");
            if way == "pages" {
                let db = Connection::open(&from).unwrap();
                db.create_collation("odd", |a: &str, b: &str| b.cmp(a))
                    .unwrap();
                db.execute_batch(
                    "PRAGMA journal_mode=WAL; CREATE TABLE o(a TEXT COLLATE odd PRIMARY KEY);
                     INSERT INTO o VALUES('a'), ('b')",
                )
                .unwrap();
                drop(db);
                snapshot = stage.back_up(&from);
                assert!(snapshot.pages.is_some());
            }
            let options = RestoreOptions {
                form,
                builder,
                check: CheckLevel::Quick,
                ..options(&to)
            };
            replace(&mut stage, &snapshot, &options, &mut NoProgress).unwrap();
            assert_eq!(journal_mode(&to).to_uppercase(), mode, "{way}");
            assert_eq!(rows(&to, "t"), rows(&from, "t"), "{way}");
            let size = number(&to, "PRAGMA page_count");
            assert!(way != "pages" || size == number(&from, "PRAGMA page_count"));
        }
    }
}

/// What reads of it is saved; the rest is what it is replaced for.
#[test]
fn a_damaged_database_is_replaced() {
    for mode in MODES {
        let (mut stage, snapshot, from, to) = scene(mode, "");
        sql(&to, "PRAGMA wal_checkpoint(TRUNCATE)");
        let root = number(&to, "SELECT rootpage FROM sqlite_schema WHERE name = 'c'");
        let mut bytes = std::fs::read(&to).unwrap();
        let at = usize::try_from(root - 1).unwrap() * 4096;
        bytes[at..at + 4096].fill(0xA5);
        std::fs::write(&to, bytes).unwrap();
        let done = replace(&mut stage, &snapshot, &options(&to), &mut NoProgress).unwrap();
        assert_eq!(content(&from), content(&to));
        assert_sound(&to);
        assert!(done.safety_snapshot.as_ref().unwrap().damaged);
        assert!(!done.after_snapshot.as_ref().unwrap().damaged);
        assert_eq!(table(&done, "t").deleted, 900);
    }
}

/// The file is private while it is made: the database may be its owner's alone.
#[test]
fn nobody_else_reads_what_is_made_beside_it() {
    use std::os::unix::fs::PermissionsExt;
    let (mut stage, snapshot, _, to) = scene("DELETE", "");
    let folder = stage.dir.path().to_owned();
    let mut modes = Vec::new();
    let mut look = Locking {
        phase: "Building indexes and checking",
        hold: Box::new(|| {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_name().to_string_lossy().contains(".larder-") {
                    modes.push(entry.metadata().unwrap().permissions().mode() & 0o777);
                }
            }
        }),
        told: Vec::new(),
    };
    replace(&mut stage, &snapshot, &options(&to), &mut look).unwrap();
    drop(look);
    assert_eq!(modes, [0o600]);
}

/// Kills in the middle of the copy for each journal mode, at scale 1.
const KILLS: u64 = 5;

fn child(stage: &Stage, id: &str, to: &Path) -> std::process::Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_larder"))
        .arg("--store")
        .arg(stage.path("store"))
        .args(["restore", id, "--to"])
        .arg(to)
        .args(["-m", "replace", "--replace-file", "--check", "none"])
        .env("LARDER_CACHE_DIR", stage.path("cache"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// What SQLite has written for the copy so far: original pages, or new ones.
fn copied(to: &Path) -> u64 {
    ["-journal", "-wal"]
        .iter()
        .filter_map(|end| std::fs::metadata(format!("{}{end}", to.display())).ok())
        .map(|facts| facts.len())
        .sum()
}

/// SQLite rolls back what was begun when the database is opened next.
#[test]
fn a_copy_that_is_killed_leaves_the_database_as_before_or_as_planned() {
    let mut random = Random(seed());
    for mode in MODES {
        let mut stage = Stage::new();
        let rows = |what: &str| {
            format!(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
                 WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
                 INSERT INTO t SELECT i, '{what}', randomblob(6000) FROM n"
            )
        };
        let from = stage.make("from.db", &rows("new"));
        let id = stage.back_up(&from).id.to_string();
        let whole = stage.make("whole.db", &rows("old"));
        sql(&whole, &format!("PRAGMA journal_mode={mode}"));
        let to = stage.path("to.db");
        let (mut killed, mut within) = (0, 0);
        let kills = KILLS * u64::try_from(scale()).unwrap();
        for _ in 0..kills {
            for end in ["", "-wal", "-shm", "-journal"] {
                let _ = std::fs::remove_file(format!("{}{end}", to.display()));
            }
            std::fs::copy(&whole, &to).unwrap();
            let inode_before = inode(&to);
            let mut child = child(&stage, &id, &to);
            let enough = random.below(8 << 20);
            while copied(&to) <= enough && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            let was_at_work = child.try_wait().unwrap().is_none();
            let _ = child.kill();
            child.wait().unwrap();
            killed += u64::from(was_at_work);
            within += u64::from(copied(&to) > 0);
            let states =
                "SELECT group_concat(DISTINCT a) || count(*) || '/' || sum(length(b)) FROM t";
            let db = Connection::open(&to).unwrap();
            let state: String = db.query_row(states, [], |row| row.get(0)).unwrap();
            assert!(
                ["old1500/9000000", "new1500/9000000"].contains(&state.as_str()),
                "{mode}: {state}"
            );
            assert_eq!(inode(&to), inode_before);
            assert_eq!(journal_mode(&to).to_uppercase(), mode);
            assert_sound(&to);
        }
        println!(
            "{mode}: {killed} of {kills} killed at work, {within} with pages of the copy there"
        );
        assert!(killed > 0 && within > 0, "{mode}: nothing was tried");
    }
}
