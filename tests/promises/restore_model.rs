//! A restore into a database that exists does what docs/restore.md says: it is compared with a model
//! of that page, which shares nothing with larder.
//!
//! A case is made from its seed. One that fails is made small and printed as SQL and options;
//! LARDER_TEST_SEED with its seed runs it first.

mod by_hand;
mod case;
mod compare;
mod cycles;
mod draw;
mod edits;
mod identity;
mod product;
mod references;
mod rules;
mod scope;
mod sql;
mod tables;
mod whole;
mod wishes;
mod words;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::Case;
use compare::{Seen, compare};
use product::Product;
use rusqlite::Connection;
use sql::{Half, read, script};
use tables::{Database, Schema};
use wishes::Outcome;
use words::told;

use crate::sandbox::{scale, seed};

/// Cases of one run at scale 1.
const CASES: usize = 300;
/// One case in so many is restored with snapshots before and after.
const SAFE_EVERY: usize = 8;

/// The model says of every case what was written by hand from the page.
#[test]
fn the_model_says_what_the_rules_say() {
    by_hand_all(|case| {
        let said = rules::restore(&case.schema, &case.snapshot, &case.live, &case.wishes).unwrap();
        (told(&case.schema, &said), said)
    });
}

/// So does larder, and it does what it has said before.
#[test]
fn a_restore_says_and_does_what_the_rules_say() {
    by_hand_all(|case| {
        let mut product = Product::new(&case.schema, &case.snapshot, &case.live);
        let mut restore = |dry_run| {
            let done = product.restore(&case.wishes, dry_run, false);
            done.unwrap_or_else(|error| panic!("{}\n{error}", case.text()))
        };
        let planned = told(&case.schema, &restore(true));
        (planned, restore(false))
    });
}

/// `restore` gives what is told beforehand, and what is done.
fn by_hand_all(restore: impl Fn(&by_hand::HandMade) -> (Vec<String>, Outcome)) {
    let mut wrong = String::new();
    for case in by_hand::cases() {
        let (planned, done) = restore(&case);
        let told = told(&case.schema, &done);
        let (expected, got) = (case.after.values(), done.after.values());
        if planned != case.told || told != case.told || expected != got {
            wrong += &format!(
                "{}\nexpected {:?}\n planned {planned:?}\n    told {told:?}\n",
                case.text(),
                case.told
            );
            wrong += &format!("expected {expected:?}\n   there {got:?}\n\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The model has SQLite's idea of every database that it draws: SQLite takes it, and gives it back.
#[test]
fn the_databases_of_the_model_are_those_of_sqlite() {
    for n in 0..CASES * scale() {
        let seed = seed().wrapping_add(n as u64);
        let case = Case::draw(seed);
        let (snapshot, live) = case.databases();
        for (half, db) in [(Half::Snapshot, &snapshot), (Half::Live, &live)] {
            let made = made_by_sqlite(&case.schema, db, half);
            assert_eq!(made, *db, "LARDER_TEST_SEED={seed}\n{}", case.text());
        }
    }
}

fn made_by_sqlite(schema: &Schema, db: &Database, half: Half) -> Database {
    let sqlite = Connection::open_in_memory().unwrap();
    let sql = format!("PRAGMA foreign_keys=OFF; {}", script(schema, db, half));
    sqlite.execute_batch(&sql).unwrap();
    read(schema, &sqlite)
}

/// Every case of the seeds from `seed()` on, on all cores.
#[test]
fn a_restore_of_any_records_into_any_database_is_as_the_model_says() {
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Seen::default()));
    let failures = Mutex::new(Vec::new());
    let cases = CASES * scale();
    let work = || {
        loop {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= cases {
                break;
            }
            match run(seed().wrapping_add(case as u64), case % SAFE_EVERY == 0) {
                Ok(seen) => total.lock().unwrap().add(seen),
                Err(failure) => failures.lock().unwrap().push(failure),
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let (total, failures) = (total.into_inner().unwrap(), failures.into_inner().unwrap());
    println!("seed {}: {cases} cases, {total:?}", seed());
    let count = failures.len();
    assert!(count == 0, "{count} cases differ:\n{}", failures.join("\n"));
    // Else most of what is drawn would not be tried.
    assert!(
        total.restored * 2 > total.stopped && total.endless * 25 < cases as u64,
        "{total:?}"
    );
}

/// One case; if it differs, a smaller one that does, and how.
fn run(seed: u64, is_safe: bool) -> Result<Seen, String> {
    let case = Case::draw(seed);
    let failure_of = |case: &Case| {
        let (snapshot, live) = case.databases();
        compare(&case.schema, &snapshot, &live, &case.wishes, is_safe)
    };
    failure_of(&case).map_err(|failure| {
        let kind = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        let fails = |case: &Case| failure_of(case).is_err_and(|f| kind(&f) == kind(&failure));
        let small = case.shrink(fails);
        let failure = failure_of(&small).expect_err("it was made small by its failure");
        format!("LARDER_TEST_SEED={seed}\n{}{failure}\n", small.text())
    })
}
