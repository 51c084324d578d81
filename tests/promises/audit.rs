//! What a schema asks of its records is asked of the stored ones, and answered as SQLite answers it;
//! an answer that is not that of backup time is damage.

mod cases;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::format::manifest::Manifest;
use larder::ops::open::{Store, World};
use larder::ops::validate::{self, Audited, Level, ValidateOptions, ValidateOutcome};
use larder::progress::NoProgress;
use rusqlite::Connection;

use crate::sandbox::{Sandbox, scale, seed};
use crate::workshop::{Workshop, copy_database, real_databases, sql};
use cases::{Case, Keys};

/// Random cases at scale 1.
const CASES: u64 = 100;

/// Violations of each table's foreign keys, as SQLite counts them.
fn by_sqlite(path: &Path) -> BTreeMap<String, u64> {
    let db = Connection::open(path).unwrap();
    let mut found = BTreeMap::new();
    let mut tables = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for table in tables.map(Result::unwrap) {
        let quoted = table.replace('"', "\"\"");
        let sql = format!("PRAGMA foreign_key_check(\"{quoted}\")");
        // A declaration that SQLite cannot check.
        let Ok(mut check) = db.prepare(&sql) else {
            continue;
        };
        let count = check.query_map([], |_| Ok(())).unwrap().count() as u64;
        if count > 0 {
            found.insert(table, count);
        }
    }
    found
}

fn by_audit(audited: &Audited) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let of_keys = |b: &&validate::BrokenConstraint| b.constraint.starts_with("FOREIGN KEY");
    for broken in audited.broken.iter().filter(of_keys) {
        *found.entry(broken.table.clone()).or_insert(0) += broken.found;
    }
    found
}

/// Runs what SQLite does not refuse.
fn edit(path: &Path, statements: &[String]) {
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA foreign_keys=OFF; BEGIN").unwrap();
    for statement in statements {
        let _refused = db.execute_batch(statement);
    }
    db.execute_batch("COMMIT").unwrap();
}

fn backed_up(workshop: &mut Workshop, path: &Path) -> Manifest {
    let id = workshop.backup(path).snapshot.id;
    workshop.manifest(&id)
}

fn in_sandbox(sandbox: &Sandbox, store: &mut Store, path: &Path) -> Manifest {
    let id = sandbox.backup(store, path);
    store.manifest(&id).unwrap().unwrap()
}

fn audit(store: &Store, world: &World, manifest: Manifest) -> ValidateOutcome {
    let options = ValidateOptions {
        snapshots: vec![manifest],
        ..ValidateOptions::default()
    };
    validate::run(store, world, &options, &mut NoProgress).unwrap()
}

/// Tables that refer to each other by keys of every kind, changed at random: each snapshot is audited
/// in one run, from the second on by what differs, and each alone.
#[test]
fn foreign_keys_of_stored_records_are_judged_as_sqlite_judges_them() {
    let (mut violations, mut constraints, mut left_out) = (0, 0, 0);
    let cases = CASES * scale() as u64;
    for number in 0..cases {
        let mut case = Case::new(seed().wrapping_add(number));
        let sandbox = Sandbox::new();
        let mut store = sandbox.create(Arc::new(MemoryBackend::new()));
        let path = sandbox.path("a.db");
        let mut expected = BTreeMap::new();
        sql(&path, &case.references());
        for _ in 0..3 {
            edit(&path, &case.edits());
            let id = sandbox.backup(&mut store, &path);
            expected.insert(id.to_string(), by_sqlite(&path));
        }
        let outcome = sandbox.try_validate(&store).unwrap();
        let told = format!(
            "LARDER_TEST_SEED={}\n{}",
            seed().wrapping_add(number),
            case.said()
        );
        assert_eq!(outcome.damage, [], "{told}");
        for check in &outcome.snapshots {
            let expected = &expected[&check.snapshot.id];
            let audited = check.audited.as_ref().unwrap();
            assert_eq!(by_audit(audited), *expected, "{told}");
            constraints += audited.constraints;
            left_out += audited.not_audited.len();
            violations += expected.values().sum::<u64>();
            let id = check.snapshot.id.parse().unwrap();
            let manifest = store.manifest(&id).unwrap().unwrap();
            let alone = audit(&store, &sandbox.world(), manifest);
            assert_eq!(alone.snapshots[0].audited.as_ref(), Some(audited), "{told}");
        }
    }
    println!(
        "seed {}: {cases} cases, {constraints} constraints asked, {left_out} not, {violations} violations",
        seed()
    );
    assert!(
        violations > 50 * cases && left_out < 10 * cases as usize,
        "{violations} {left_out}"
    );
}

/// Records that break keys which SQLite would not let them break: those of a table without keys, said
/// to be of one with keys.
#[test]
fn unique_and_not_null_are_judged_as_sqlite_would() {
    let mut broken = 0;
    let cases = CASES / 2 * scale() as u64;
    for number in 0..cases {
        let mut case = Case::new(seed().wrapping_add(number));
        let sandbox = Sandbox::new();
        let mut store = sandbox.create(Arc::new(MemoryBackend::new()));
        let Keys {
            loose,
            tight,
            questions,
        } = case.keys();
        let (path, other) = (sandbox.path("loose.db"), sandbox.path("tight.db"));
        sql(&path, &loose);
        sql(&other, &tight);
        let honest = in_sandbox(&sandbox, &mut store, &path);
        let forged = Manifest {
            schema: in_sandbox(&sandbox, &mut store, &other).schema,
            ..honest
        };
        let outcome = audit(&store, &sandbox.world(), forged);
        let told = format!(
            "LARDER_TEST_SEED={}\n{loose}\n{tight}",
            seed().wrapping_add(number)
        );
        let audited = outcome.snapshots[0].audited.as_ref().unwrap();
        assert_eq!(audited.not_audited, [], "{told}");
        let db = Connection::open(&path).unwrap();
        let mut expected = BTreeMap::new();
        for (constraint, question) in questions {
            let count: i64 = db.query_row(&question, [], |row| row.get(0)).unwrap();
            if count > 0 {
                expected.insert(constraint, count.unsigned_abs());
            }
        }
        let found: BTreeMap<String, u64> = audited
            .broken
            .iter()
            .map(|b| {
                let is_null = b.constraint.starts_with("NOT NULL");
                let name = if is_null { "NOT NULL" } else { &b.constraint };
                (name.to_owned(), b.found)
            })
            .collect();
        assert_eq!(found, expected, "{told}");
        assert_eq!(outcome.damage.len(), expected.len(), "{told}");
        assert_eq!(outcome.snapshots[0].good, expected.is_empty(), "{told}");
        broken += expected.len();
    }
    println!(
        "seed {}: {cases} cases, {broken} broken constraints",
        seed()
    );
    assert!(broken > 100, "{broken}");
}

const SHOP: &str = "
    PRAGMA foreign_keys=OFF;
    CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE);
    CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers, note TEXT);
    INSERT INTO customers VALUES(1, 'a'), (2, 'b'), (3, 'c');
    INSERT INTO orders VALUES(1, 1, 'x'), (2, 2, 'y'), (3, 9, 'z'), (4, NULL, '');";

/// Violations that were there at backup time are told and are no damage; a verdict that lies, and a
/// table of another time, are.
#[test]
fn a_verdict_that_does_not_fit_the_records_is_damage() {
    let mut workshop = Workshop::new();
    let path = workshop.path("a.db");
    sql(&path, SHOP);
    let first = backed_up(&mut workshop, &path);
    let outcome = audit(&workshop.store, &workshop.world, first.clone());
    assert_eq!(outcome.damage, []);
    let audited = outcome.snapshots[0].audited.as_ref().unwrap();
    assert_eq!(audited.constraints, 3);
    assert_eq!(
        audited.broken[0].to_string(),
        "FOREIGN KEY (customer) → customers: 1 record breaks it, as at backup time"
    );
    let mut more = first.clone();
    more.foreign_keys[0].violations = 4;
    let mut none = first.clone();
    none.foreign_keys.clear();
    // Every blob of it is good, and so is each tree.
    sql(
        &path,
        "PRAGMA foreign_keys=OFF; DELETE FROM customers WHERE id = 2; INSERT INTO customers VALUES(9, 'b')",
    );
    let mut mixed = backed_up(&mut workshop, &path);
    let at = |m: &Manifest| {
        m.entities
            .iter()
            .position(|e| e.entity == "customers")
            .unwrap()
    };
    let (to, from) = (at(&mixed), at(&first));
    mixed.entities[to] = first.entities[from].clone();
    mixed.foreign_keys.clear();
    for (forged, cause) in [
        (more, "1 record breaks it, 4 at backup time"),
        (none, "1 record breaks it, 0 at backup time"),
        (mixed, "1 record breaks it, 0 at backup time"),
    ] {
        let outcome = audit(&workshop.store, &workshop.world, forged);
        assert_eq!(outcome.damage.len(), 1, "{:?}", outcome.damage);
        let damage = &outcome.damage[0];
        assert_eq!(damage.object, "table orders");
        assert_eq!(
            damage.cause,
            format!("FOREIGN KEY (customer) → customers: {cause}")
        );
        assert_eq!(damage.affects[0].snapshots.len(), 1);
        assert!(!outcome.snapshots[0].good);
    }
}

/// NULL in a NOT NULL column, as a schema text that was changed over its rows leaves it.
#[test]
fn null_where_it_was_at_backup_time_is_no_damage() {
    let mut workshop = Workshop::new();
    let path = workshop.path("a.db");
    sql(
        &path,
        "CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 2), (NULL, 3), (NULL, NULL);
         PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a NOT NULL, b)' WHERE name = 't';",
    );
    let first = backed_up(&mut workshop, &path);
    let outcome = audit(&workshop.store, &workshop.world, first.clone());
    assert_eq!(outcome.damage, []);
    let audited = outcome.snapshots[0].audited.as_ref().unwrap();
    assert_eq!(
        audited.broken[0].to_string(),
        "NOT NULL a: 2 records break it, as at backup time"
    );
    let mut forged = first;
    forged.findings.clear();
    let outcome = audit(&workshop.store, &workshop.world, forged);
    assert_eq!(
        outcome.damage[0].cause,
        "NOT NULL a: 2 records break it, 0 at backup time"
    );
}

/// What cannot be asked is named with the reason, and nothing is asked where not all is read.
#[test]
fn what_is_not_asked_is_named() {
    let mut workshop = Workshop::new();
    let path = workshop.path("a.db");
    let long = 20_000;
    sql(
        &path,
        &format!(
            "PRAGMA foreign_keys=OFF; CREATE TABLE p(id INTEGER PRIMARY KEY, v TEXT AS (id || 'x') UNIQUE NOT NULL, n TEXT COLLATE NOCASE UNIQUE);
             CREATE TABLE c(a, b, x REFERENCES p(v), y REFERENCES absent(z), m REFERENCES p(m));
             CREATE TABLE twice(k, x, PRIMARY KEY(k, k), FOREIGN KEY(x, k) REFERENCES twice(k, x));
             INSERT INTO twice VALUES(NULL, 5);
             CREATE UNIQUE INDEX some ON c(a) WHERE a > 3; CREATE UNIQUE INDEX made ON c(lower(b));
             INSERT INTO p(id, n) VALUES(1, printf('%.*c', {long}, 'n')); INSERT INTO c(a, b) VALUES(1, 'b');"
        ),
    );
    workshop.backup(&path);
    let outcome = workshop.validate();
    assert_eq!(outcome.damage, []);
    let audited = outcome.snapshots[0].audited.clone().unwrap();
    let left_out: Vec<String> = audited
        .not_audited
        .iter()
        .map(|left| format!("{}: {} ({})", left.table, left.constraint, left.reason))
        .collect();
    for expected in [
        "p: UNIQUE (v) (v is computed)",
        "p: NOT NULL v (its column is computed)",
        "p: UNIQUE (n) (a key holds a text over 16 KiB)",
        // SQLite looks both up by the first, and finds no 5.
        "twice: FOREIGN KEY (x, k) → twice (which key of twice it refers to cannot be told)",
        "c: UNIQUE INDEX some (it is of some records only, or of an expression)",
        "c: UNIQUE INDEX made (it is of some records only, or of an expression)",
    ] {
        assert!(
            left_out.iter().any(|line| line == expected),
            "{expected}: {left_out:#?}"
        );
    }
    assert!(
        left_out
            .iter()
            .any(|line| line.starts_with("c: FOREIGN KEY (x) → p (not checked at"))
    );
    for level in [
        Level::Quick,
        Level::Subset(validate::Subset::Percent(100.0)),
    ] {
        let options = ValidateOptions {
            level,
            ..ValidateOptions::default()
        };
        let outcome = validate::run(&workshop.store, &workshop.world, &options, &mut NoProgress);
        assert_eq!(outcome.unwrap().snapshots[0].audited, None);
    }
}

#[test]
fn real_databases_pass_the_audit_with_what_sqlite_says_of_them() {
    let Some(folder) = real_databases() else {
        return;
    };
    let (mut databases, mut constraints, mut violations) = (0, 0, 0);
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    for from in paths.iter().filter(|p| p.is_file()) {
        let mut workshop = Workshop::new();
        let path = workshop.path("real.db");
        copy_database(from, &path);
        if workshop.try_backup(&path).is_err() {
            continue;
        }
        let outcome = workshop.validate();
        assert_eq!(outcome.damage, [], "{}", from.display());
        let audited = outcome.snapshots[0].audited.as_ref().unwrap();
        let expected = by_sqlite(&path);
        assert_eq!(by_audit(audited), expected, "{}", from.display());
        databases += 1;
        constraints += audited.constraints;
        violations += expected.values().sum::<u64>();
    }
    println!("{databases} databases, {constraints} constraints, {violations} violations");
    assert!(databases > 0 && constraints > 0);
}
