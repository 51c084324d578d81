//! The database that is written, and the proof that a copy is exactly one of its committed states.
//!
//! Transaction `n` changes every table in a way that follows from `n` alone; change `k` of the
//! schema leaves one that follows from `k`. So a copy that mixes two moments contradicts itself.

use std::path::Path;

use rusqlite::Connection;

/// Rows that stay in `a`, in `c`, and that `b` has.
const KEPT_A: i64 = 2000;
const KEPT_C: i64 = 300;
const ROWS_B: i64 = 64;
/// Bytes of the large value, and transactions between its changes.
const LARGE_BYTES: i64 = 40_000;
const LARGE_EVERY: i64 = 8;

/// What transaction `n` writes, as an expression over `?1`.
const TEXT: &str = "printf('%d of %x', ?1, ?1 * 2654435761 % 1000003)";

/// Makes the database. `filler`: rows of 1000 bytes that nobody changes, between the tables that
/// change, so that their pages are far apart.
pub fn create(path: &Path, mode: &str, filler: i64) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "PRAGMA journal_mode={mode}; PRAGMA synchronous=OFF;
         BEGIN;
         CREATE TABLE tick(n INTEGER NOT NULL); INSERT INTO tick VALUES(0);
         CREATE TABLE a(n INTEGER PRIMARY KEY, v TEXT);
         CREATE TABLE filler(id INTEGER PRIMARY KEY, v BLOB);
         CREATE TABLE b(id INTEGER PRIMARY KEY, n INTEGER, v TEXT);
         CREATE TABLE c(k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
         CREATE TABLE large(v BLOB); INSERT INTO large VALUES(zeroblob({LARGE_BYTES}));
         CREATE TABLE checks(n, sum, v); INSERT INTO checks VALUES(0, 0, NULL);
         CREATE TABLE changes(k INTEGER); INSERT INTO changes VALUES(0);
         WITH i(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM i LIMIT {ROWS_B})
           INSERT INTO b SELECT i, 0, NULL FROM i;
         WITH i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i LIMIT {filler})
           INSERT INTO filler SELECT i, randomblob(1000) FROM i WHERE {filler} > 0;
         COMMIT;"
    ))
    .unwrap();
    db.close().unwrap();
}

/// One transaction, from BEGIN IMMEDIATE to COMMIT.
pub fn advance(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    db.prepare_cached("UPDATE tick SET n = n + 1")?
        .execute([])?;
    let n: i64 = db
        .prepare_cached("SELECT n FROM tick")?
        .query_row([], |row| row.get(0))?;
    let run = |sql: &str| db.prepare_cached(sql)?.execute([n]);
    run(&format!("INSERT INTO a(n, v) VALUES(?1, {TEXT})"))?;
    run(&format!("DELETE FROM a WHERE n = ?1 - {KEPT_A}"))?;
    run(&format!(
        "UPDATE b SET n = ?1, v = {TEXT} WHERE id = ?1 % {ROWS_B}"
    ))?;
    run("INSERT INTO c VALUES(printf('key %d', ?1 * 7919 % 1000003), ?1)")?;
    run(&format!(
        "DELETE FROM c WHERE k = printf('key %d', (?1 - {KEPT_C}) * 7919 % 1000003)"
    ))?;
    if n % LARGE_EVERY == 0 {
        run(&format!(
            "UPDATE large SET v = CAST(substr(replace(hex(zeroblob({LARGE_BYTES} / 2)), '0', ?1), 1, {LARGE_BYTES}) AS BLOB)"
        ))?;
    }
    run(&format!(
        "UPDATE checks SET n = ?1, sum = sum + ?1, v = {TEXT}"
    ))?;
    db.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

/// The next change of the schema, in one transaction that counts it twice.
pub fn change_schema(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let k: i64 = db.query_row("SELECT k + 1 FROM changes", [], |row| row.get(0))?;
    let change = match k % 4 {
        1 => format!("ALTER TABLE a ADD COLUMN x INTEGER DEFAULT {k}"),
        2 => "CREATE INDEX later ON b(v, n)".to_owned(),
        3 => "ALTER TABLE a DROP COLUMN x".to_owned(),
        _ => "DROP INDEX later".to_owned(),
    };
    db.execute_batch(&format!(
        "{change}; UPDATE changes SET k = {k}; PRAGMA user_version={k}; COMMIT"
    ))
}

/// The number of committed transactions.
pub fn tick(db: &Connection) -> i64 {
    number(db, "SELECT n FROM tick")
}

fn number(db: &Connection, sql: &str) -> i64 {
    let read = db.query_row(sql, [], |row| row.get(0));
    read.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Proves that a database is what transaction `n` and some change of the schema left. Gives `n`.
pub fn prove(path: &Path) -> i64 {
    let db = Connection::open(path).unwrap();
    let whole: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
    let n = tick(&db);
    let (kept_a, kept_c) = (n.min(KEPT_A), n.min(KEPT_C));
    let text = TEXT.replace("?1", "n");
    let large = n / LARGE_EVERY * LARGE_EVERY;
    let large = match large {
        0 => format!("zeroblob({LARGE_BYTES})"),
        _ => format!(
            "CAST(substr(replace(hex(zeroblob({LARGE_BYTES} / 2)), '0', {large}), 1, {LARGE_BYTES}) AS BLOB)"
        ),
    };
    let facts = [
        (format!("SELECT count(*) FROM tick WHERE n = {n}"), 1),
        ("SELECT count(*) FROM tick".to_owned(), 1),
        ("SELECT count(*) FROM a".to_owned(), kept_a),
        (format!("SELECT count(*) FROM a WHERE n > {n} - {KEPT_A} AND n <= {n} AND v = {text}"), kept_a),
        ("SELECT count(*) FROM b".to_owned(), ROWS_B),
        // The last transaction up to n that wrote the row.
        (
            format!(
                "SELECT count(*) FROM b WHERE n = max(0, {n} - (({n} - id) % {ROWS_B} + {ROWS_B}) % {ROWS_B})
                 AND (v = {text} OR n = 0)"
            ),
            ROWS_B,
        ),
        ("SELECT count(*) FROM c".to_owned(), kept_c),
        (
            format!(
                "SELECT count(*) FROM c WHERE n > {n} - {KEPT_C} AND n <= {n}
                 AND k = printf('key %d', n * 7919 % 1000003)"
            ),
            kept_c,
        ),
        (format!("SELECT count(*) FROM large WHERE v = {large}"), 1),
        (
            format!(
                "SELECT count(*) FROM checks WHERE n = {n} AND sum = {n} * ({n} + 1) / 2
                 AND (v = {text} OR n = 0)"
            ),
            1,
        ),
    ];
    for (sql, expected) in facts {
        assert_eq!(number(&db, &sql), expected, "state {n}: {sql}");
    }
    prove_schema(&db, n);
    n
}

fn prove_schema(db: &Connection, n: i64) {
    let k = number(db, "PRAGMA user_version");
    assert_eq!(number(db, "SELECT k FROM changes"), k, "state {n}");
    let columns = number(
        db,
        "SELECT count(*) FROM pragma_table_info('a') WHERE name = 'x'",
    );
    let indexes = number(
        db,
        "SELECT count(*) FROM sqlite_schema WHERE name = 'later'",
    );
    let expected = [(0, 0), (1, 0), (1, 1), (0, 1)][usize::try_from(k % 4).unwrap()];
    assert_eq!((columns, indexes), expected, "state {n}, schema {k}");
    if columns == 1 {
        let added = k - (k - 1) % 4;
        let others = number(
            db,
            &format!("SELECT count(*) FROM a WHERE x IS NOT {added}"),
        );
        assert_eq!(others, 0, "state {n}, schema {k}");
    }
}
