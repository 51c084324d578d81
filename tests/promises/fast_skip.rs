//! What a backup does not read because its pages have not changed is what it would have read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder::backend::memory::MemoryBackend;
use larder::env::SystemEnv;
use larder::format::manifest::Manifest;
use larder::ops::backup::{self, BackupOptions, BackupOutcome};
use larder::ops::open::{Store, World};
use larder::progress::{NoProgress, Progress};
use larder::store::Usage;

use crate::delta_steps::essence;
use crate::sandbox::{Sandbox, names, scale, seed, usage};
use crate::tree_rows::Random;

/// A database, and a store that remembers its pages.
struct Remembering {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    database: PathBuf,
    db: rusqlite::Connection,
}

impl Remembering {
    fn new(sql: &str) -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        drop(sandbox.create(backend.clone()));
        let database = sandbox.path("app.db");
        std::fs::create_dir(sandbox.path("cache")).unwrap();
        let store = open(&sandbox, &backend);
        let db = rusqlite::Connection::open(&database).unwrap();
        db.execute_batch("PRAGMA synchronous=OFF").unwrap();
        db.execute_batch(sql).unwrap();
        Self {
            sandbox,
            backend,
            store,
            database,
            db,
        }
    }

    fn sql(&self, text: &str) {
        if let Err(error) = self.db.execute_batch(text) {
            panic!("{text}: {error}");
        }
    }

    /// Backs up, and compares with a backup that reads everything. Gives how many records were not read.
    #[track_caller]
    fn backup(&mut self) -> u64 {
        self.backup_and_see().skipped_records
    }

    #[track_caller]
    fn backup_and_see(&mut self) -> BackupOutcome {
        let outcome = self.sandbox.try_backup(&mut self.store, &self.database);
        let outcome = outcome.unwrap();
        let skipped = manifest(&self.store, &outcome);
        let full = self.full();
        assert_eq!(essence(&skipped), essence(&full));
        assert_eq!(skipped.foreign_keys, full.foreign_keys);
        outcome
    }

    /// The manifest of a backup that reads everything.
    fn full(&self) -> Manifest {
        let mut other = self.sandbox.create(Arc::new(MemoryBackend::new()));
        let full = self.sandbox.try_backup(&mut other, &self.database).unwrap();
        assert_eq!(full.skipped_records, 0);
        manifest(&other, &full)
    }

    fn options(&self) -> BackupOptions {
        BackupOptions {
            database: self.database.clone(),
            name: None,
            tags: Vec::new(),
            source_name: Some("test".to_owned()),
            busy_timeout: Duration::from_secs(30),
            temp_dir: Some(self.sandbox.dir.path().to_owned()),
            check_source: None,
            strict: false,
            reading: backup::Reading::default(),
            fast_skip_from: Some(0),
        }
    }

    fn cache(&self) -> PathBuf {
        let files = std::fs::read_dir(self.sandbox.path("cache")).unwrap();
        let mut paths = files.map(|file| file.unwrap().path());
        let is_of_pages = |path: &PathBuf| path.extension().is_some_and(|end| end == "pages");
        paths.find(is_of_pages).unwrap()
    }
}

fn open(sandbox: &Sandbox, backend: &Arc<MemoryBackend>) -> Store {
    let usage = Usage {
        cache_dir: Some(sandbox.path("cache")),
        ..usage()
    };
    Store::open(backend.clone(), sandbox.env.clone(), usage).unwrap()
}

fn manifest(store: &Store, outcome: &BackupOutcome) -> Manifest {
    let id = outcome.snapshot.id.parse().unwrap();
    store.manifest(&id).unwrap().unwrap()
}

/// A table of some leaves: 30,000 rows of about 60 bytes.
const ROWS: u64 = 30_000;

fn fill(table: &str, columns: &str) -> String {
    format!(
        "CREATE TABLE {table}({columns});
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
         INSERT INTO {table} SELECT i, hex(randomblob(20)), i % 100, i / 3.0 FROM n;"
    )
}

#[test]
fn only_ranges_whose_pages_changed_are_read() {
    let mut it = Remembering::new(&fill("t", "id INTEGER PRIMARY KEY, a, b, c"));
    assert_eq!(it.backup(), 0);
    // One leaf in a hundred is read all the same: of these, perhaps one.
    let leaf = ROWS / 10;
    let skipped = it.backup();
    assert!(skipped >= ROWS - 2 * leaf, "{skipped}");
    it.sql("UPDATE t SET a = 'changed' WHERE id = 15000");
    let skipped = it.backup();
    assert!((1..ROWS).contains(&skipped), "{skipped}");
    assert!(skipped >= ROWS - 4 * leaf, "{skipped}");
    it.sql("INSERT INTO t(a) VALUES('at the end')");
    let skipped = it.backup();
    assert!(skipped >= ROWS - 4 * leaf, "{skipped}");
    it.sql("DELETE FROM t WHERE id < 10");
    let skipped = it.backup();
    assert!(skipped >= ROWS - 4 * leaf, "{skipped}");
    // Forty bytes longer or shorter: other pages, the same rows in them but one.
    it.sql("UPDATE t SET a = a || a WHERE id = 20000");
    let skipped = it.backup();
    assert!(skipped >= ROWS - 4 * leaf, "{skipped}");
}

/// What was remembered before another backup was taken elsewhere, or of another state, holds as well.
#[test]
fn pages_that_are_what_they_once_were_need_not_be_read() {
    let mut it = Remembering::new(&fill("t", "id INTEGER PRIMARY KEY, a, b, c"));
    it.backup();
    let before = std::fs::read(&it.database).unwrap();
    it.sql("UPDATE t SET b = 77 WHERE id % 50 = 0");
    assert!(it.backup() < ROWS / 2);
    it.db.close().map_err(|(_, error)| error).unwrap();
    std::fs::write(&it.database, before).unwrap();
    it.db = rusqlite::Connection::open(&it.database).unwrap();
    it.backup();
    assert!(it.backup() > ROWS / 2);
}

/// An update of what lies in overflow pages changes no leaf page.
#[test]
fn what_goes_on_in_overflow_pages_is_always_read() {
    let mut it = Remembering::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO t SELECT i, zeroblob(6000) FROM n",
    );
    it.backup();
    for id in [1, 700, 2000] {
        let blob = it.db.blob_open("main", "t", "a", id, false);
        std::io::Write::write_all(&mut blob.unwrap(), &vec![7; 6000]).unwrap();
        assert_eq!(it.backup(), 0);
    }
}

#[test]
fn what_another_program_has_only_in_the_wal_is_seen() {
    let mut it = Remembering::new(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; {}",
        fill("t", "id INTEGER PRIMARY KEY, a, b, c")
    ));
    it.backup();
    it.sql("UPDATE t SET b = -1 WHERE id IN (5, 12345)");
    assert!(it.backup() > ROWS / 2);
    it.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    assert!(it.backup() > ROWS / 2);
}

/// A table of the same name and text may hold other rows: what counts is its pages.
#[test]
fn a_table_that_was_made_anew_is_another_one() {
    let table = fill("t", "id INTEGER PRIMARY KEY, a, b, c");
    let mut it = Remembering::new(&table);
    it.backup();
    it.sql(&format!("DROP TABLE t; {table}"));
    assert_eq!(it.backup(), 0);
    it.sql("ALTER TABLE t ADD COLUMN d DEFAULT 5");
    assert_eq!(it.backup(), 0);
    it.sql("VACUUM");
    it.backup();
    it.sql("PRAGMA page_size=1024; VACUUM");
    assert_eq!(it.backup(), 0);
}

/// What there is to say of a row is said each time.
#[test]
fn rows_with_findings_are_always_read() {
    let mut it = Remembering::new(&fill(
        "t",
        "id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL",
    ));
    it.sql(
        "PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'b INTEGER', 'b TEXT');
         PRAGMA writable_schema=RESET;",
    );
    let first = it.backup_and_see();
    let second = it.backup_and_see();
    let texts = |outcome: &BackupOutcome| -> Vec<String> {
        let texts = outcome.findings.iter().map(|found| found.text.clone());
        texts.filter(|text| text.contains("records hold")).collect()
    };
    assert_eq!(texts(&first).len(), 1);
    assert_eq!(texts(&first), texts(&second));
    assert_eq!(second.skipped_records, 0);
}

/// A schema that was written by hand can have a table of the name by which pages are read.
#[test]
fn a_table_that_calls_itself_the_pages_is_not_believed() {
    let mut it = Remembering::new(&format!(
        "{} CREATE TABLE fake(pgno INTEGER PRIMARY KEY, data, schema);
         PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET name = 'sqlite_dbpage', tbl_name = 'sqlite_dbpage',
                sql = replace(sql, 'fake', 'sqlite_dbpage') WHERE name = 'fake';
         PRAGMA writable_schema=RESET;",
        fill("t", "id INTEGER PRIMARY KEY, a, b, c")
    ));
    for _ in 0..2 {
        assert_eq!(it.backup(), 0);
    }
}

#[test]
fn a_leaf_that_the_store_has_lost_is_stored_again() {
    let mut it = Remembering::new(&fill("t", "id INTEGER PRIMARY KEY, a, b, c"));
    it.backup();
    let packs = names(&*it.backend, "packs/");
    for pack in packs {
        larder::backend::Backend::delete(&*it.backend, &pack).unwrap();
    }
    assert_eq!(it.backup(), 0);
    let id = larder::ops::select::one(&it.store, "latest", &larder::ops::select::SourceChoice::Any);
    it.sandbox.restore(&mut it.store, &id.unwrap().id);
}

/// Whatever happens to the file in which pages are remembered: nothing wrong is stored.
#[test]
fn a_damaged_memory_is_none() {
    let mut it = Remembering::new(&fill("t", "id INTEGER PRIMARY KEY, a, b, c"));
    it.backup();
    it.sql("UPDATE t SET b = 0 WHERE id IN (100, 29000)");
    let good = std::fs::read(it.cache()).unwrap();
    let mut random = Random(seed());
    for case in 0..12 * scale() {
        let mut bad = good.clone();
        match case {
            0 => bad.clear(),
            1 => bad = b"not a database".repeat(1000),
            2 => bad.truncate(good.len() / 2),
            _ => {}
        }
        for _ in 0..bad.len().min(case * 3) {
            let at = usize::try_from(random.below(bad.len() as u64)).unwrap();
            bad[at] ^= 1 << random.below(8);
        }
        std::fs::write(it.cache(), bad).unwrap();
        it.store = open(&it.sandbox, &it.backend);
        it.backup();
    }
    // Something else has its name.
    let cache = it.cache();
    std::fs::remove_file(&cache).unwrap();
    std::fs::create_dir(&cache).unwrap();
    it.store = open(&it.sandbox, &it.backend);
    assert_eq!(it.backup(), 0);
}

/// One leaf in a hundred is read though its pages have not changed, so what is remembered wrongly is found out.
#[test]
fn a_memory_that_is_wrong_is_found_out_and_dropped_and_told() {
    let mut it = Remembering::new(&fill("t", "id INTEGER PRIMARY KEY, a, b, c"));
    it.backup();
    forge(&it.cache());
    it.store = open(&it.sandbox, &it.backend);
    let tells = |outcome: &BackupOutcome| {
        let mut findings = outcome.findings.iter();
        findings.any(|finding| finding.text.contains("pages of t"))
    };
    let outcome = (0..1000).find_map(|_| {
        let outcome = it.sandbox.try_backup(&mut it.store, &it.database).unwrap();
        tells(&outcome).then_some(outcome)
    });
    assert_eq!(outcome.unwrap().skipped_records, 0);
    for least in [0, ROWS / 2] {
        let outcome = it.backup_and_see();
        assert!(!tells(&outcome) && outcome.skipped_records >= least);
    }
}

/// Says of each remembered leaf that it is the next one, with good digests: the secret is in the file.
fn forge(cache: &Path) {
    let db = rusqlite::Connection::open(cache).unwrap();
    let key: [u8; 32] = db
        .query_row("SELECT key FROM secret", [], |row| row.get(0))
        .unwrap();
    let hash = larder::codec::hash::SecretHash::new(key);
    let mut statement = db
        .prepare("SELECT id, last, leaf FROM leaves ORDER BY last")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = rows.unwrap().map(Result::unwrap).collect();
    assert!(rows.len() > 5);
    // Its id stands behind two flags and three rowids.
    let id_of = |leaf: &[u8]| leaf[26..58].to_vec();
    for (at, (id, last, leaf)) in rows.iter().enumerate() {
        let mut said = leaf[..leaf.len() - 32].to_vec();
        said[26..58].copy_from_slice(&id_of(&rows[(at + 1) % rows.len()].2));
        let own = hash.digest_of_parts(&[id, &said]);
        said.extend(own);
        let sql = "UPDATE leaves SET leaf = ?3 WHERE id = ?1 AND last = ?2";
        db.execute(sql, rusqlite::params![id, last, said]).unwrap();
    }
}

/// What was learned counts from the commit of the snapshot on.
#[test]
fn nothing_is_remembered_of_a_backup_that_failed() {
    let mut it = Remembering::new(&fill("t", "id INTEGER PRIMARY KEY, a, b, c"));
    it.sql(
        "CREATE TABLE f(a INTEGER); INSERT INTO f VALUES(1);
         PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE f(a TEXT)' WHERE name = 'f';
         PRAGMA writable_schema=RESET;",
    );
    let options = BackupOptions {
        strict: true,
        ..it.options()
    };
    let world = it.sandbox.world();
    backup::run(&mut it.store, &world, &options, &mut NoProgress).unwrap_err();
    assert_eq!(it.backup(), 0);
    assert!(it.backup() > ROWS / 2);
}

/// Tables of several leaves, edited at random, VACUUM and other page sizes included.
#[test]
fn any_edits_give_the_roots_of_a_backup_that_reads_everything() {
    let mut skipped = 0;
    for case in 0..scale() as u64 {
        let mut random = Random(seed().wrapping_add(case));
        let mut it = Remembering::new(&format!(
            "PRAGMA page_size={}; PRAGMA auto_vacuum={}; {} {} {}",
            512 << random.below(5),
            random.below(3),
            fill("alias", "id INTEGER PRIMARY KEY, a, b, c"),
            fill("hidden", "k, a, b, c"),
            fill("indexed", "k PRIMARY KEY, a, b, c"),
        ));
        if random.below(2) == 0 {
            it.sql("PRAGMA journal_mode=WAL");
        }
        for round in 0..7 {
            let mut done = Vec::new();
            for _ in 0..round.min(1) * (1 + random.below(3)) {
                let sql = edit(&mut random);
                it.sql(&sql);
                done.push(sql);
            }
            println!("case {case}, round {round}: {done:?}");
            skipped += it.backup();
        }
    }
    println!("seed {}: {skipped} records skipped", seed());
    assert!(skipped > 20_000 * scale() as u64, "{skipped}");
}

/// In rollback mode a database that has not changed much is read where it lies. Who writes meanwhile waits a moment,
/// and what is stored is one state: that before, or that after.
#[test]
fn a_source_that_is_written_to_while_it_is_read_in_slices_is_stored_in_one_state() {
    let mut between = 0;
    for turn in 0..4 {
        let mut it = Remembering::new(&format!(
            "{} {}",
            fill("s", "id INTEGER PRIMARY KEY, a, b, c"),
            fill("t", "id INTEGER PRIMARY KEY, a, b, c")
        ));
        it.backup();
        it.sql("UPDATE t SET b = 5 WHERE id IN (1, 20000)");
        let before = it.full();
        let mut writing = Writing {
            at: turn,
            writer: None,
            it: &it,
        };
        let options = it.options();
        // Waits take their time here.
        let world = World {
            env: Arc::new(SystemEnv),
            ..it.sandbox.world()
        };
        let mut store = open(&it.sandbox, &it.backend);
        let outcome = backup::run(&mut store, &world, &options, &mut writing).unwrap();
        let writer = writing.writer.take().unwrap();
        writer.join().unwrap();
        let after = it.full();
        let stored = essence(&manifest(&store, &outcome));
        assert_ne!(essence(&before), essence(&after));
        assert!(
            stored == essence(&before) || stored == essence(&after),
            "turn {turn}"
        );
        between += usize::from(stored == essence(&after));
    }
    assert!(between > 0);
}

/// Has another program write to the database while it is read, and takes its time.
struct Writing<'a> {
    at: u64,
    writer: Option<std::thread::JoinHandle<()>>,
    it: &'a Remembering,
}

impl Progress for Writing<'_> {
    fn advance(&mut self, _: u64) {
        std::thread::sleep(Duration::from_millis(15));
        if self.at > 0 {
            self.at -= 1;
        } else if self.writer.is_none() {
            let path = self.it.database.clone();
            let (tell, told) = std::sync::mpsc::channel();
            self.writer = Some(std::thread::spawn(move || {
                let db = rusqlite::Connection::open(path).unwrap();
                db.busy_timeout(Duration::from_secs(60)).unwrap();
                db.execute_batch("BEGIN IMMEDIATE").unwrap();
                tell.send(()).unwrap();
                db.execute_batch(
                    "UPDATE s SET b = -1 WHERE id = 3; UPDATE t SET b = -1 WHERE id = 29999; COMMIT",
                )
                .unwrap();
            }));
            told.recv().unwrap();
            // It asks for the lock that a reader has.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Something that happens to a database.
fn edit(random: &mut Random) -> String {
    let table = ["alias", "hidden", "indexed"][usize::try_from(random.below(3)).unwrap()];
    let from = random.below(ROWS + 2000);
    let some = [1, 1, 1, 40, 3000][usize::try_from(random.below(5)).unwrap()];
    let rows = format!("rowid BETWEEN {from} AND {}", from + some - 1);
    match random.below(13) {
        0 | 1 => format!("UPDATE {table} SET a = hex(randomblob(20)) WHERE {rows}"),
        2 => format!("UPDATE {table} SET a = a || 'longer' WHERE {rows}"),
        3 => format!("UPDATE {table} SET b = b WHERE {rows}"),
        4 | 5 => format!("DELETE FROM {table} WHERE {rows}"),
        6 => format!(
            "INSERT INTO {table} SELECT NULL, hex(randomblob(30)), 1, 2 FROM alias WHERE {rows}"
        ),
        7 => format!(
            "INSERT OR IGNORE INTO {table}(rowid, a) SELECT rowid - 1, 'gap' FROM {table} WHERE {rows}"
        ),
        8 => format!("INSERT OR IGNORE INTO {table}(rowid, a) VALUES(-{from}, 'below')"),
        9 => format!(
            "UPDATE {table} SET c = zeroblob({}) WHERE rowid = {from}",
            some * 4
        ),
        10 => "VACUUM".to_owned(),
        11 => format!("DELETE FROM {table} WHERE rowid > {from}"),
        _ => format!("UPDATE OR IGNORE {table} SET rowid = rowid + 100000 WHERE {rows}"),
    }
}
