//! A damaged source: what can be read is kept, the damage is named, nothing is taken for whole.

use std::fs;
use std::path::{Path, PathBuf};

use larder::cli::exit;
use larder::model::counted::counted;
use larder::model::finding::Severity;
use larder::ops::backup::{BackupOptions, BackupOutcome, IntegrityCheck};
use larder::ops::restore::Form;
use larder::progress::NoProgress;
use rusqlite::Connection;

use crate::workshop::{Workshop, sql};

const PAGE: usize = 1024;
const ROWS: i64 = 2_000;

/// A database of three kinds of tables; gives the leaf pages of one.
fn make(path: &Path, table: &str) -> Vec<usize> {
    sql(
        path,
        &format!(
            "PRAGMA page_size={PAGE};
             CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX ta ON t(a);
             CREATE TABLE n(a, b); CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
             CREATE TABLE big(id INTEGER PRIMARY KEY, x);
             WITH i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i LIMIT {ROWS})
             INSERT INTO t SELECT n * 2, 'row ' || n FROM i;
             INSERT INTO n SELECT id, a FROM t; INSERT INTO w SELECT printf('%06d', id), a FROM t;
             INSERT INTO big SELECT id, zeroblob(2500) FROM t LIMIT 50"
        ),
    );
    pages(path, table)
}

fn root(path: &Path, table: &str) -> usize {
    let db = Connection::open(path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = db.query_row(sql, [table], |row| row.get(0)).unwrap();
    usize::try_from(page).unwrap()
}

/// The leaf pages of a table, in order, found through the pages above them.
fn pages(path: &Path, table: &str) -> Vec<usize> {
    let root = root(path, table);
    let bytes = fs::read(path).unwrap();
    let mut leaves = Vec::new();
    let mut open = vec![root];
    while let Some(page) = open.pop() {
        let content = &bytes[(page - 1) * PAGE..page * PAGE];
        let number =
            |at: usize| u32::from_be_bytes(content[at..at + 4].try_into().unwrap()) as usize;
        let short = |at: usize| usize::from(u16::from_be_bytes([content[at], content[at + 1]]));
        match content[0] {
            2 | 5 => {
                open.push(number(8));
                for cell in (0..short(3)).rev() {
                    open.push(number(short(12 + 2 * cell)));
                }
            }
            _ => leaves.push(page),
        }
    }
    leaves
}

fn spoil(path: &Path, page: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[(page - 1) * PAGE..page * PAGE].fill(0xA5);
    fs::write(path, bytes).unwrap();
}

fn count(path: &Path, table: &str) -> i64 {
    let db = Connection::open(path).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
        row.get(0)
    })
    .unwrap()
}

fn warnings(outcome: &BackupOutcome) -> Vec<String> {
    let is_warning = |f: &&larder::progress::Finding| f.severity == Severity::Warning;
    let all = outcome.findings.iter().filter(is_warning);
    all.map(|f| format!("{}: {}", f.subject, f.text)).collect()
}

struct Scene {
    shop: Workshop,
    source: PathBuf,
    leaves: Vec<usize>,
}

impl Scene {
    fn new(table: &str) -> Self {
        let shop = Workshop::new();
        let source = shop.path("source.db");
        let leaves = make(&source, table);
        Self {
            shop,
            source,
            leaves,
        }
    }

    /// Backs up what is damaged, and restores it. Gives the warnings and the restored database.
    fn salvage(&mut self) -> (Vec<String>, PathBuf) {
        let outcome = self.shop.backup(&self.source);
        assert!(outcome.damaged);
        assert_eq!(exit::of_backup(&outcome).number(), 3);
        let manifest = self.shop.manifest("latest");
        assert!(manifest.damaged && manifest.pages.is_some());
        let restored = self.shop.path("restored.db");
        let again = self.shop.restore_new("latest", &restored);
        assert_eq!(exit::of_restore(&again).number(), 3, "{:?}", again.findings);
        let db = Connection::open(&restored).unwrap();
        let check: String = db
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        // The store holds what it says, and the pages as they were, damage and all.
        assert_eq!(self.shop.validate().damage, []);
        let image = self.shop.path("image.db");
        self.shop
            .try_restore_form("latest", &image, Form::Pages)
            .unwrap();
        let (was, is) = (fs::read(&self.source).unwrap(), fs::read(&image).unwrap());
        assert!(was[PAGE..] == is[PAGE..], "the pages are others");
        (warnings(&outcome), restored)
    }
}

#[test]
fn rows_around_a_damaged_page_are_kept_and_the_page_is_named() {
    let mut scene = Scene::new("t");
    let middle = scene.leaves.len() / 2;
    let spoilt = [0, 3, middle, middle + 1, scene.leaves.len() - 1].map(|at| scene.leaves[at]);
    for page in spoilt {
        spoil(&scene.source, page);
    }
    let (warnings, restored) = scene.salvage();
    for page in spoilt {
        let named = format!("t: damaged: page {page}:");
        assert!(
            warnings.iter().any(|w| w.starts_with(&named)),
            "{warnings:?}"
        );
    }
    let kept = count(&restored, "t");
    let a_page = ROWS / i64::try_from(scene.leaves.len()).unwrap();
    assert!(kept > ROWS - 7 * a_page && kept < ROWS, "{kept}");
    let kept = counted(kept.unsigned_abs(), "record");
    let told = format!("t: {kept} kept; others with rowid up to ");
    assert!(
        warnings.iter().any(|w| w.starts_with(&told)),
        "{warnings:?}"
    );
    for table in ["n", "w"] {
        assert_eq!(count(&restored, table), ROWS, "{table}");
    }
}

#[test]
fn rows_on_both_sides_of_damage_are_kept_where_there_is_no_rowid() {
    let mut scene = Scene::new("w");
    let spoilt = scene.leaves[scene.leaves.len() / 3];
    spoil(&scene.source, spoilt);
    let (warnings, restored) = scene.salvage();
    let kept = count(&restored, "w");
    assert!(kept > ROWS - 100 && kept < ROWS, "{kept}");
    let kept = counted(kept.unsigned_abs(), "record");
    let told = format!("w: {kept} kept; others behind the first ");
    assert!(
        warnings.iter().any(|w| w.starts_with(&told)),
        "{warnings:?}"
    );
}

#[test]
fn a_value_that_cannot_be_read_costs_its_row_alone() {
    let mut scene = Scene::new("big");
    // Each value of 2,500 bytes lies on pages of its own, the first right behind its leaf.
    let bytes = fs::read(&scene.source).unwrap();
    let leaf = scene.leaves[1];
    let content = &bytes[(leaf - 1) * PAGE..leaf * PAGE];
    let cell = usize::from(u16::from_be_bytes([content[8], content[9]]));
    let end = content[cell..].windows(4).skip(3).find_map(|four| {
        let page = u32::from_be_bytes(four.try_into().unwrap()) as usize;
        (page > 1 && page <= bytes.len() / PAGE && page.abs_diff(leaf) < 4).then_some(page)
    });
    let first = end.unwrap();
    // Its chain of pages leads nowhere.
    let mut bytes = bytes;
    bytes[(first - 1) * PAGE..(first - 1) * PAGE + 4].fill(0xA5);
    fs::write(&scene.source, bytes).unwrap();
    let (warnings, restored) = scene.salvage();
    assert_eq!(count(&restored, "big"), 49, "{warnings:?}");
}

#[test]
fn a_table_whose_root_is_damaged_is_lost_and_said_so() {
    let mut scene = Scene::new("n");
    let root = root(&scene.source, "n");
    spoil(&scene.source, root);
    let (warnings, restored) = scene.salvage();
    assert_eq!(count(&restored, "n"), 0);
    assert_eq!(count(&restored, "t"), ROWS);
    assert!(
        warnings.iter().any(|w| w.starts_with("n: 0 records kept")),
        "{warnings:?}"
    );
}

/// Its rows are all there, and the restored one is built anew.
#[test]
fn a_damaged_index_costs_no_row() {
    let mut scene = Scene::new("ta");
    let spoilt = scene.leaves[2];
    spoil(&scene.source, spoilt);
    let (warnings, restored) = scene.salvage();
    assert!(
        warnings[0].starts_with("index ta: damaged: page "),
        "{warnings:?}"
    );
    assert_eq!(count(&restored, "t"), ROWS);
}

/// A later backup does not check the database, but meets the damage.
#[test]
fn damage_that_comes_later_is_met_by_the_next_backup() {
    let mut scene = Scene::new("t");
    assert!(!scene.shop.backup(&scene.source).damaged);
    let spoilt = scene.leaves[9];
    spoil(&scene.source, spoilt);
    let (warnings, _) = scene.salvage();
    let named = format!("t: damaged: page {spoilt}:");
    assert!(
        warnings.iter().any(|w| w.starts_with(&named)),
        "{warnings:?}"
    );
    // The snapshot before it is as it was.
    let before = scene.shop.path("before.db");
    scene.shop.restore_new("latest~1", &before);
    assert_eq!(count(&before, "t"), ROWS);
}

/// An index that disagrees is seen by the full check alone, and only if it is asked for.
#[test]
fn a_full_check_of_the_source_sees_what_a_quick_one_does_not() {
    let mut shop = Workshop::new();
    let source = shop.path("source.db");
    sql(
        &source,
        "CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES(1), (2)",
    );
    let db = Connection::open(&source).unwrap();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
        .unwrap();
    db.execute_batch(
        "PRAGMA writable_schema=ON; CREATE TABLE keep AS SELECT * FROM sqlite_schema WHERE name = 'i';
         DELETE FROM sqlite_schema WHERE name = 'i'",
    )
    .unwrap();
    drop(db);
    let db = Connection::open(&source).unwrap();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
        .unwrap();
    db.execute_batch(
        "INSERT INTO t VALUES(3); DELETE FROM t WHERE a = 1; PRAGMA writable_schema=ON;
         INSERT INTO sqlite_schema SELECT * FROM keep",
    )
    .unwrap();
    drop(db);
    assert!(!shop.backup(&source).damaged);
    let options = BackupOptions {
        check_source: Some(IntegrityCheck::IntegrityCheck),
        ..shop.backup_options(&source)
    };
    let world = shop.world.clone();
    let outcome =
        larder::ops::backup::run(&mut shop.store, &world, &options, &mut NoProgress).unwrap();
    assert!(outcome.damaged);
    let told = "check: damaged: row 2 missing from index i";
    assert!(warnings(&outcome).iter().any(|w| w == told), "{outcome:?}");
    let restored = shop.path("restored.db");
    shop.restore_new("latest", &restored);
    assert_eq!(count(&restored, "t NOT INDEXED"), 2);
}

/// Cut anywhere: what is before the cut is kept.
#[test]
fn a_database_that_was_cut_short_is_kept_as_far_as_it_goes() {
    let mut scene = Scene::new("t");
    let whole = fs::read(&scene.source).unwrap();
    let last = scene.leaves.iter().max().copied().unwrap();
    // Behind all pages of t, amid the others.
    fs::write(&scene.source, &whole[..last * PAGE]).unwrap();
    let (warnings, restored) = scene.salvage();
    assert!(warnings[0].contains("source.db: damaged: "), "{warnings:?}");
    assert_eq!(count(&restored, "t"), ROWS);
    assert!(count(&restored, "w") < ROWS);
}

#[test]
fn a_text_that_cannot_be_parsed_costs_its_own_table_alone() {
    let mut shop = Workshop::new();
    let source = shop.path("source.db");
    sql(
        &source,
        "CREATE TABLE t(a); INSERT INTO t VALUES(1); CREATE TABLE u(a); INSERT INTO u VALUES(2)",
    );
    let db = Connection::open(&source).unwrap();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
        .unwrap();
    db.execute_batch(
        "PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE u(a FROM TOMORROW)' WHERE name = 'u'",
    )
    .unwrap();
    drop(db);
    let outcome = shop.backup(&source);
    assert!(outcome.damaged && outcome.pages.is_some());
    let told = warnings(&outcome);
    assert!(told.iter().any(|w| w.starts_with("u: ")), "{told:?}");
    let restored = shop.path("restored.db");
    shop.restore_new("latest", &restored);
    assert_eq!(count(&restored, "t"), 1);
    let image = shop.path("image.db");
    shop.try_restore_form("latest", &image, Form::Pages)
        .unwrap();
    let (was, is) = (fs::read(&source).unwrap(), fs::read(&image).unwrap());
    assert!(was[100..] == is[100..]);
}
