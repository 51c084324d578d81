//! A database that is in use, was left by a crash, or may not be written, is read as one state and
//! left as it was: byte for byte, with the files beside it that were there and no others.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder::env::SystemEnv;
use larder::error::SourceError;
use larder::model::row::RowRef;
use larder::model::value::{Spilled, ValueRef};
use larder::progress::{NoProgress, StopSign};
use larder::source::{Capture, CaptureOptions, LargeValue, Reading, RowSink, RowsError, rows};
use larder::vfs::os::OsVfs;

use crate::live_writers::{back_up, many_rows};
use crate::workshop::Workshop;

/// A folder with databases, and one for private copies.
pub struct Scene {
    pub dir: tempfile::TempDir,
    temp: tempfile::TempDir,
}

impl Scene {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            temp: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An application that has a database open.
    pub fn app(&self, name: &str, sql: &str) -> rusqlite::Connection {
        let app = rusqlite::Connection::open(self.path(name)).unwrap();
        app.busy_timeout(Duration::ZERO).unwrap();
        app.execute_batch(sql).unwrap();
        app
    }

    /// A database as a crash leaves it: its files copied while an application has it open.
    fn crashed(&self, name: &str, suffixes: &[&str], sql: &str) -> PathBuf {
        let app = self.app("app", sql);
        for suffix in suffixes {
            let from = self.path(&format!("app{suffix}"));
            fs::copy(from, self.path(&format!("{name}{suffix}"))).unwrap();
        }
        drop(app);
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(self.path(&format!("app{suffix}")));
        }
        self.path(name)
    }

    pub fn options(&self) -> CaptureOptions {
        CaptureOptions {
            busy: Duration::from_millis(200),
            temp_dir: self.temp.path().to_owned(),
            vfs: Arc::new(OsVfs),
            env: Arc::new(SystemEnv),
            stop: StopSign::default(),
            reading: Reading::default(),
        }
    }

    fn immutable(&self) -> CaptureOptions {
        let mut options = self.options();
        options.reading.immutable = true;
        options
    }

    /// Every file beside the databases, with its content; of a `-shm` only that it is there.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        entries
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let is_index = name.ends_with("-shm");
                let content = if is_index {
                    Vec::new()
                } else {
                    fs::read(&path).unwrap()
                };
                (name, content)
            })
            .collect()
    }

    pub fn temp_is_empty(&self) -> bool {
        fs::read_dir(self.temp.path()).unwrap().count() == 0
    }
}

/// The first column of every row, as text.
struct Texts(Vec<String>);

impl RowSink for Texts {
    type Error = io::Error;

    fn large(&mut self, value: LargeValue, content: &mut dyn Read) -> io::Result<Spilled> {
        let (class, bytes, level) = (value.class, value.bytes, 0);
        io::copy(content, &mut io::sink())?;
        let root = larder::model::id::BlobId([0; 32]);
        Ok(Spilled {
            class,
            bytes,
            level,
            root,
        })
    }

    fn row(&mut self, row: RowRef<'_>) -> io::Result<()> {
        self.0.push(match row.values[0] {
            ValueRef::Integer(v) => v.to_string(),
            ValueRef::Text(v) => String::from_utf8_lossy(v).into_owned(),
            ref other => format!("{other:?}"),
        });
        Ok(())
    }
}

/// The first column of table `t`.
pub fn texts(capture: &Capture) -> Vec<String> {
    let mut sink = Texts(Vec::new());
    let table = capture.schema().table("t").unwrap();
    match rows(capture.moment(), table, &mut sink) {
        Ok(_) => sink.0,
        Err(RowsError::Source(error)) => panic!("{error}"),
        Err(RowsError::Sink(error)) => panic!("{error}"),
    }
}

/// Reads it whole; gives table `t`, the journal mode and the notes.
pub fn read(path: &Path, options: &CaptureOptions) -> (Vec<String>, String, Vec<String>) {
    let capture = Capture::begin(path, options).unwrap();
    let found = texts(&capture);
    let mode = capture.settings().journal_mode.clone();
    let notes = capture.notes().to_vec();
    assert!(capture.check(true).unwrap().lines.is_empty());
    capture.finish().unwrap();
    (found, mode, notes)
}

pub const WAL: &str = "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)";
const TWO_ROWS: [&str; 2] = ["1", "2"];

#[test]
fn a_wal_database_that_was_closed_gets_no_files_that_stay() {
    let scene = Scene::new();
    drop(scene.app("app.db", WAL));
    let before = scene.files();
    assert_eq!(before.len(), 1);
    let capture = Capture::begin(&scene.path("app.db"), &scene.options()).unwrap();
    assert!(capture.holds_source());
    assert_eq!(capture.longest_lock(), None);
    // An application may come meanwhile, write, and go.
    let app = scene.app("app.db", "INSERT INTO t VALUES(2)");
    assert_eq!(texts(&capture), ["1"]);
    drop(app);
    capture.finish().unwrap();
    let after = scene.files();
    assert_eq!(after.keys().collect::<Vec<_>>(), ["app.db"]);
    let (found, mode, _) = read(&scene.path("app.db"), &scene.options());
    assert_eq!(
        (found.as_slice(), mode.as_str()),
        (&TWO_ROWS.map(String::from)[..], "wal")
    );
    assert_eq!(scene.files(), after);
    // Not even if the read is given up.
    drop(Capture::begin(&scene.path("app.db"), &scene.options()).unwrap());
    assert_eq!(scene.files(), after);
    assert!(scene.temp_is_empty());
}

/// In use, or left by a crash with its index: no checkpoint, and the files stay.
#[test]
fn a_wal_in_use_is_read_and_neither_checkpointed_nor_removed() {
    let scene = Scene::new();
    scene.crashed(
        "crash.db",
        &["", "-wal", "-shm"],
        &format!("{WAL}; INSERT INTO t VALUES(2)"),
    );
    let app = scene.app("live.db", &format!("{WAL}; INSERT INTO t VALUES(2)"));
    for name in ["crash.db", "live.db"] {
        let before = scene.files();
        assert!(before.contains_key(&format!("{name}-shm")));
        let (found, mode, notes) = read(&scene.path(name), &scene.options());
        assert_eq!(
            (found.as_slice(), mode.as_str()),
            (&TWO_ROWS.map(String::from)[..], "wal")
        );
        assert_eq!(notes, [""; 0]);
        assert_eq!(scene.files(), before, "{name}");
    }
    app.execute_batch("INSERT INTO t VALUES(3)").unwrap();
}

/// A pair of files that was copied: what is committed in the `-wal` counts.
#[test]
fn a_hot_wal_that_nobody_has_open_is_read_and_stays_as_it_was() {
    let scene = Scene::new();
    let path = scene.crashed(
        "pair.db",
        &["", "-wal"],
        &format!("{WAL}; INSERT INTO t VALUES(2)"),
    );
    let before = scene.files();
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        ["pair.db", "pair.db-wal"]
    );
    let (found, mode, _) = read(&path, &scene.options());
    assert_eq!(
        (found.as_slice(), mode.as_str()),
        (&TWO_ROWS.map(String::from)[..], "wal")
    );
    assert_eq!(scene.files(), before);
    let capture = Capture::begin(&path, &scene.options()).unwrap();
    assert!(!capture.holds_source() && capture.longest_lock().is_some());
    let stale = scene.path("stale");
    fs::copy(scene.path("pair.db-wal"), &stale).unwrap();
    // It is let go once it is copied: an application can come and write.
    scene.app("pair.db", "INSERT INTO t VALUES(3)");
    assert_eq!(texts(&capture), TWO_ROWS);
    capture.finish().unwrap();
    assert!(scene.temp_is_empty());
    // An empty one stays too, and one beside a file of no bytes, which SQLite would remove.
    drop(scene.app("empty.db", WAL));
    fs::write(scene.path("empty.db-wal"), "").unwrap();
    fs::write(scene.path("nothing.db"), "").unwrap();
    fs::copy(&stale, scene.path("nothing.db-wal")).unwrap();
    let before = scene.files();
    read(&scene.path("empty.db"), &scene.options());
    let capture = Capture::begin(&scene.path("nothing.db"), &scene.options()).unwrap();
    assert!(capture.is_empty_file() && capture.bytes() == 0);
    assert_eq!(capture.settings().journal_mode, "delete");
    capture.finish().unwrap();
    assert_eq!(scene.files(), before);
    assert!(scene.temp_is_empty());
}

/// SQLite gives files that root makes to the owner of the database.
#[test]
fn what_root_makes_beside_a_database_belongs_to_its_owner() {
    if !rustix_is_root() {
        println!("not run: needs root");
        return;
    }
    let scene = Scene::new();
    drop(scene.app("app.db", WAL));
    let path = scene.path("app.db");
    std::os::unix::fs::chown(&path, Some(4242), Some(4343)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let capture = Capture::begin(&path, &scene.options()).unwrap();
    for made in ["app.db-wal", "app.db-shm"] {
        let facts = fs::metadata(scene.path(made)).unwrap();
        assert_eq!((facts.uid(), facts.gid()), (4242, 4343), "{made}");
        assert_eq!(facts.mode() & 0o777, 0o640, "{made}");
    }
    capture.finish().unwrap();
    assert_eq!(scene.files().len(), 1);
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0)
}

/// A crashed writer in rollback mode: some of its pages are in the database already.
fn hot_journal(scene: &Scene, name: &str) -> PathBuf {
    let sql = "CREATE TABLE t(a); WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)
        INSERT INTO t SELECT printf('before %d %.100c', i, 'x') FROM n;
        PRAGMA cache_size=1; BEGIN; UPDATE t SET a = 'after'";
    scene.crashed(name, &["", "-journal"], sql)
}

#[test]
fn a_hot_journal_is_rolled_back_as_by_any_program_and_said_so() {
    let scene = Scene::new();
    let path = hot_journal(&scene, "hot.db");
    assert!(scene.files()["hot.db-journal"].len() > 512);
    let (found, mode, notes) = read(&path, &scene.options());
    assert_eq!(found.len(), 3000);
    assert!(
        found.iter().all(|text| text.starts_with("before ")),
        "{:?}",
        found.last()
    );
    assert_eq!(mode, "delete");
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("an interrupted transaction was rolled back"),
        "{notes:?}"
    );
    // By SQLite, as its journal mode says.
    assert_eq!(scene.files().keys().collect::<Vec<_>>(), ["hot.db"]);
    assert_eq!(read(&path, &scene.options()).2, [""; 0]);
}

/// The journal of a transaction that is under way is none of ours.
#[test]
fn the_journal_of_a_program_at_work_is_not_touched() {
    let scene = Scene::new();
    let app = scene.app(
        "app.db",
        "CREATE TABLE t(a); INSERT INTO t VALUES('before')",
    );
    app.execute_batch("BEGIN; UPDATE t SET a = 'after'")
        .unwrap();
    let before = scene.files();
    assert!(before["app.db-journal"].len() >= 512);
    let (found, _, notes) = read(&scene.path("app.db"), &scene.options());
    assert_eq!((found, notes), (vec!["before".to_owned()], Vec::new()));
    assert_eq!(scene.files(), before);
    app.execute_batch("COMMIT").unwrap();
    assert_eq!(read(&scene.path("app.db"), &scene.options()).0, ["after"]);
}

#[test]
fn on_the_users_word_that_nobody_writes_no_file_is_made_or_changed() {
    for with in [&[""][..], &["", "-wal"], &["", "-wal", "-shm"]] {
        let scene = Scene::new();
        let checkpoint = if with.len() == 1 {
            "; PRAGMA wal_checkpoint(TRUNCATE)"
        } else {
            ""
        };
        let sql = format!("{WAL}; INSERT INTO t VALUES(2){checkpoint}");
        // A name that a URI must not take for its own.
        let path = scene.crashed("a %41?mode=rwc&b#c.db", with, &sql);
        let before = scene.files();
        assert_eq!(before.len(), with.len());
        let (found, mode, _) = read(&path, &scene.immutable());
        assert_eq!(
            (found.as_slice(), mode.as_str()),
            (&TWO_ROWS.map(String::from)[..], "wal")
        );
        assert_eq!(scene.files(), before, "{with:?}");
        assert!(scene.temp_is_empty());
    }
    let scene = Scene::new();
    let path = hot_journal(&scene, "hot.db");
    let before = scene.files();
    let (found, mode, notes) = read(&path, &scene.immutable());
    assert!(found.len() == 3000 && found.iter().all(|text| text.starts_with("before ")));
    assert_eq!((mode.as_str(), notes.len()), ("delete", 0));
    assert_eq!(scene.files(), before);
}

/// A folder on a read-only file system, where the system lets a test mount one.
#[test]
fn a_wal_database_on_read_only_media_is_read_on_the_users_word_only() {
    let scene = Scene::new();
    drop(scene.app("app.db", WAL));
    scene.crashed(
        "hot.db",
        &["", "-wal"],
        &format!("{WAL}; INSERT INTO t VALUES(2)"),
    );
    drop(scene.app("plain.db", "CREATE TABLE t(a); INSERT INTO t VALUES(1)"));
    hot_journal(&scene, "crash.db");
    let media = scene.path("media");
    fs::create_dir(&media).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=4m tmpfs media && cp *.db *-wal *-journal media && mount -o remount,ro media || exit 99
         {} --exact live_sources::reads_read_only_media --nocapture",
        std::env::current_exe().unwrap().display()
    );
    let mut command = std::process::Command::new("unshare");
    command
        .args(["-Urm", "sh", "-c", &script])
        .current_dir(scene.dir.path())
        .env("LARDER_TEST_MEDIA", &media);
    let Ok(output) = command.output() else {
        println!("not run: there is no unshare");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(99) {
        println!("not run: no tmpfs can be mounted: {said}");
        return;
    }
    assert!(
        output.status.success() && said.contains("read all media"),
        "{said}"
    );
}

/// Run by the test above, where the folder is read only.
#[test]
fn reads_read_only_media() {
    let Some(media) = std::env::var_os("LARDER_TEST_MEDIA").map(PathBuf::from) else {
        return;
    };
    let scene = Scene::new();
    for (name, rows) in [("app.db", 1), ("hot.db", 2)] {
        let path = media.join(name);
        let error = Capture::begin(&path, &scene.options()).unwrap_err();
        assert!(
            matches!(error, SourceError::WalNeedsWrite { .. }),
            "{name}: {error:?}"
        );
        assert!(
            error.to_string().contains("Read-only file system"),
            "{error}"
        );
        assert_eq!(read(&path, &scene.immutable()).0.len(), rows);
    }
    // A journal that cannot be rolled back is not passed over.
    let path = media.join("crash.db");
    let error = Capture::begin(&path, &scene.options()).unwrap_err();
    assert!(
        matches!(error, SourceError::NeedsRecovery { .. }),
        "{error:?}"
    );
    let (found, ..) = read(&path, &scene.immutable());
    assert!(found.iter().all(|text| text.starts_with("before ")));
    // In rollback mode nothing is written in any case.
    assert_eq!(read(&media.join("plain.db"), &scene.options()).0, ["1"]);
    assert!(scene.temp_is_empty());
    println!("read all media");
}

/// POSIX locks go with the first close of the file in a process: SQLite alone opens it.
#[test]
fn a_capture_takes_no_lock_from_a_connection_of_the_same_process() {
    for mode in ["DELETE", "WAL"] {
        let scene = Scene::new();
        let path = scene.path("app.db");
        let app = scene.app(
            "app.db",
            &format!("PRAGMA journal_mode={mode}; CREATE TABLE t(a); INSERT INTO t VALUES(1)"),
        );
        app.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES(2)")
            .unwrap();
        assert_eq!(read(&path, &scene.options()).0, ["1"]);
        // Seen from another process: the write lock is still held.
        let script = "import sqlite3, sys\n\
                      db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n\
                      try: db.execute('BEGIN IMMEDIATE'); print('free')\n\
                      except sqlite3.OperationalError as e: print(e)";
        let output = std::process::Command::new("python3")
            .args(["-c", script])
            .arg(&path)
            .output();
        let Ok(output) = output else {
            println!("not run: there is no python3");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.trim(), "database is locked", "{mode}: {output:?}");
        app.execute_batch("COMMIT").unwrap();
    }
}

#[test]
fn several_names_of_a_database_are_a_note() {
    let mut workshop = Workshop::new();
    let path = workshop.path("app.db");
    drop(many_rows(&path));
    fs::hard_link(&path, workshop.path("second.db")).unwrap();
    std::os::unix::fs::symlink("app.db", workshop.path("link.db")).unwrap();
    let link = workshop.path("link.db");
    let outcome = back_up(&mut workshop, &link, Reading::default(), &mut NoProgress).unwrap();
    let note = outcome
        .findings
        .iter()
        .find(|f| f.text.contains("2 names (hard links)"));
    // Named by where the symbolic link leads.
    assert!(
        note.unwrap().subject.ends_with("/app.db"),
        "{:?}",
        outcome.findings
    );
}

/// Pages that are kept beside records are of the same state, the commits in a `-wal` included.
#[test]
fn pages_are_those_of_the_state_that_is_read_however_it_is_held() {
    let sql = "PRAGMA journal_mode=WAL; CREATE TABLE t(rowid, oid, _rowid_);
               INSERT INTO t VALUES(1, 2, 3); DELETE FROM t; INSERT INTO t VALUES(4, 5, 6), (7, 8, 9)";
    for immutable in [false, true] {
        let scene = Scene::new();
        let mut workshop = Workshop::new();
        scene.crashed("pair.db", &["", "-wal"], sql);
        drop(scene.app("closed.db", sql));
        drop(scene.app("plain.db", &sql.replace("=WAL", "=DELETE")));
        let app = scene.app("live.db", sql);
        for name in ["pair.db", "closed.db", "plain.db", "live.db"] {
            let before = scene.files();
            let reading = Reading {
                immutable,
                ..Reading::default()
            };
            let path = scene.path(name);
            let outcome = back_up(&mut workshop, &path, reading, &mut NoProgress).unwrap();
            assert_eq!(outcome.pages, Some(2), "{name} {immutable}");
            assert_eq!(scene.files(), before, "{name} {immutable}");
            let restored = workshop.path(&format!("restored {name}"));
            workshop.restore_new(&outcome.snapshot.name, &restored);
            assert_eq!(crate::stage::number(&restored, "SELECT count(*) FROM t"), 2);
        }
        drop(app);
    }
}
