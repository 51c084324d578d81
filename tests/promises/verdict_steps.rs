//! Verdicts on foreign keys that are told from what has changed are those that SQLite gives of the whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::ops::open::Store;

use crate::sandbox::{Sandbox, scale, seed};
use crate::tree_rows::Random;

const SCHEMA: &str = "
    CREATE TABLE p(id INTEGER PRIMARY KEY, code TEXT UNIQUE, name TEXT COLLATE NOCASE UNIQUE, note);
    CREATE TABLE w(k TEXT PRIMARY KEY, note) WITHOUT ROWID;
    CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, w TEXT REFERENCES w, note);
    CREATE INDEX c_p ON c(p);
    CREATE TABLE d(p REFERENCES p(id), code TEXT REFERENCES p(code), name REFERENCES p(name), boss TEXT);
    CREATE INDEX d_p ON d(p);
    CREATE TABLE e(a INTEGER, b INTEGER, up INTEGER, PRIMARY KEY(a, b), FOREIGN KEY(up, b) REFERENCES e(a, b)) WITHOUT ROWID;
    CREATE INDEX e_up ON e(up, b);";

#[test]
fn verdicts_told_from_what_changed_are_those_of_sqlite() {
    let mut seen = [0_u64; 2];
    for case in 0..2 * scale() as u64 {
        let mut random = Random(seed().wrapping_add(case));
        let sandbox = Sandbox::new();
        let path = sandbox.path("app.db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF")
            .unwrap();
        if case % 2 == 1 {
            db.execute_batch("PRAGMA encoding='UTF-16le'").unwrap();
        }
        db.execute_batch(SCHEMA).unwrap();
        for i in 1..=40 {
            db.execute_batch(
                &format!(
                    "INSERT INTO p VALUES({i}, 'code {i}', 'Name {i}', 0);
                 INSERT INTO w VALUES('w{i}', 0);
                 INSERT INTO c VALUES({i}, {i}, 'w{i}', 0);
                 INSERT INTO d VALUES({i}, 'code {i}', 'NAME {i}', NULL);
                 INSERT INTO e VALUES({i}, 1, {}, 0 + 0);",
                    i / 2
                )
                .replace(", 0 + 0)", ")"),
            )
            .unwrap();
        }
        db.execute_batch("UPDATE e SET up = NULL WHERE up = 0")
            .unwrap();
        let mut store = sandbox.create(Arc::new(MemoryBackend::new()));
        for _ in 0..20 {
            let mut done = Vec::new();
            for _ in 0..1 + random.below(3) {
                let sql = edit(&mut random);
                // Keys that are taken.
                let _ = db.execute_batch(&sql);
                done.push(sql);
            }
            let expected = of_sqlite(&db);
            let in_steps = verdicts(&sandbox, &mut store, &path);
            assert_eq!(in_steps, expected, "seed {}, case {case}: {done:?}", seed());
            // Told from the rows as they pass by.
            let mut empty = sandbox.create(Arc::new(MemoryBackend::new()));
            let at_once = verdicts(&sandbox, &mut empty, &path);
            assert_eq!(at_once, expected, "seed {}, case {case}: {done:?}", seed());
            seen[usize::from(expected.is_empty())] += 1;
            if random.below(3) == 0 {
                mend(&db);
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}

/// Violating rows by table and number of the key.
type Verdicts = BTreeMap<(String, u32), u64>;

fn verdicts(sandbox: &Sandbox, store: &mut Store, path: &Path) -> Verdicts {
    let id = sandbox.backup(store, path);
    let manifest = store.manifest(&id).unwrap().unwrap();
    let verdicts = manifest.foreign_keys.into_iter();
    verdicts
        .map(|verdict| ((verdict.table, verdict.id), verdict.violations))
        .collect()
}

fn of_sqlite(db: &rusqlite::Connection) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let mut check = db.prepare("PRAGMA foreign_key_check").unwrap();
    let rows = check.query_map([], |row| Ok((row.get(0)?, row.get(3)?)));
    for row in rows.unwrap() {
        *verdicts.entry(row.unwrap()).or_default() += 1;
    }
    verdicts
}

/// Takes away what refers to nothing.
fn mend(db: &rusqlite::Connection) {
    db.execute_batch(
        "DELETE FROM c WHERE p NOT IN (SELECT id FROM p) OR w NOT IN (SELECT k FROM w);
         DELETE FROM d WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.id = d.p)
            OR code NOT IN (SELECT code FROM p) OR NOT EXISTS (SELECT 1 FROM p WHERE p.name = d.name);
         DELETE FROM e; INSERT INTO e VALUES(1, 1, NULL), (2, 1, 1), (3, 1, 2);",
    )
    .unwrap();
}

/// Something that keeps references, or breaks one.
fn edit(random: &mut Random) -> String {
    let i = 1 + random.below(45);
    let j = 1 + random.below(45);
    match random.below(20) {
        0 => format!("DELETE FROM p WHERE id = {i}"),
        1 => format!(
            "DELETE FROM c WHERE p = {i}; DELETE FROM d WHERE p = {i}; DELETE FROM p WHERE id = {i}"
        ),
        2 => format!("INSERT INTO p VALUES({i}, 'code {i}', 'name {i}', 1)"),
        3 => format!("UPDATE p SET note = note + 1 WHERE id = {i}"),
        4 => format!("UPDATE p SET id = id + 100 WHERE id = {i}"),
        5 => format!("UPDATE p SET name = upper(name), code = code || '' WHERE id = {i}"),
        6 => format!("UPDATE p SET code = 'code ' || {j} WHERE id = {i}"),
        7 => format!("INSERT INTO c VALUES(NULL, {i}, 'w{j}', 2)"),
        8 => format!("INSERT INTO c VALUES(NULL, '{i}', NULL, 2)"),
        9 => format!("UPDATE c SET p = {j} WHERE id = {i}"),
        10 => format!("UPDATE c SET note = random() WHERE id > {i}"),
        11 => format!("UPDATE c SET p = NULL, w = NULL WHERE id = {i}"),
        12 => format!("DELETE FROM w WHERE k = 'w{i}'"),
        13 => format!("INSERT INTO w VALUES('w{i}', 3)"),
        14 => format!("INSERT INTO d VALUES('{i}', 'code {j}', 'nAmE {i}', 4)"),
        15 => format!("INSERT INTO d VALUES({i}.0, NULL, zeroblob(20000), 4)"),
        16 => format!("DELETE FROM d WHERE p = {i}"),
        17 => format!("DELETE FROM e WHERE a = {i}"),
        18 => format!("INSERT INTO e VALUES({i}, 1, {j})"),
        _ => "VACUUM".to_owned(),
    }
}
