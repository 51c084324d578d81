//! What changes costs what it changes: bytes of packs, measured at the footers.

use larder::format::blob::{BlobKind, Encoding};

use crate::shelf::{Added, Shelf, leaf_ends, stands_on};
use crate::tree_rows::Random;

/// 4,000 rows of about 200 bytes: several leaves under one node.
fn rows(table: &str, columns: &str, first: &str) -> String {
    format!(
        "CREATE TABLE {table};
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
         INSERT INTO t({columns}) SELECT {first}, i * 7919 % 1000,
           hex(i * 2654435761 % 1000003) || printf('%.*c', 60 + i * 31 % 97, char(97 + i % 26)) || hex(i * 40503 % 65521)
         FROM n;"
    )
}

fn alias() -> String {
    rows("t(id INTEGER PRIMARY KEY, n, x)", "id, n, x", "i")
}

fn hidden() -> String {
    rows("t(k, n, x)", "k, n, x", "i")
}

fn keyed() -> String {
    let key = "printf('key %05d', i)";
    rows("t(k TEXT PRIMARY KEY, n, x) WITHOUT ROWID", "k, n, x", key)
}

fn by_place() -> String {
    rows("t(rowid, oid, _rowid_)", "rowid, oid, _rowid_", "i")
}

/// Every changed leaf is a delta, and all of them together are less than this part of them whole.
#[track_caller]
fn assert_cheap(added: &Added, leaves: std::ops::RangeInclusive<usize>, part: u64) {
    let found = added.of_kind(BlobKind::Leaf);
    assert!(leaves.contains(&found.len()), "{} leaves", found.len());
    assert!(added.all_are_deltas(BlobKind::Leaf), "{found:?}");
    let (encoded, canonical) = added.bytes(BlobKind::Leaf);
    assert!(encoded * part < canonical, "{encoded} of {canonical}");
}

#[test]
fn a_changed_cell_costs_bytes_and_not_a_leaf() {
    let change = [
        (alias(), "UPDATE t SET n = 5000 WHERE id = 1500"),
        (hidden(), "UPDATE t SET n = 5000 WHERE k = 1500"),
        (keyed(), "UPDATE t SET n = 5000 WHERE k = 'key 01500'"),
        (by_place(), "UPDATE t SET oid = 5000 WHERE rowid = 1500"),
    ];
    for (table, update) in change {
        let mut shelf = Shelf::new(&table);
        let first = shelf.backup();
        let whole = first.of_kind(BlobKind::Leaf);
        assert!(whole.len() > 3, "{} leaves", whole.len());
        assert!(whole.iter().all(|leaf| leaf.encoding != Encoding::Delta));
        let added = shelf.step(update);
        assert_cheap(&added, 1..=1, 1000);
        // A number in one cell, and where it stands.
        assert!(added.only(BlobKind::Leaf).encoded_bytes < 40, "{update}");
        // An id, and at most some fields more.
        assert!(added.only(BlobKind::Node).encoded_bytes < 100, "{update}");
        assert_eq!(added.only(BlobKind::Node).encoding, Encoding::Delta);
        assert_eq!(added.blobs.len(), 2);
        // Head, trailer, two entries in a footer, one frame. Where rowids are hidden, those of its page, too.
        let most = if update.contains("oid =") { 1_400 } else { 600 };
        assert!(added.pack_bytes < most, "{} bytes", added.pack_bytes);
        shelf.assert_comes_back(&added.id);
    }
}

#[test]
fn a_new_column_with_a_default_costs_bytes() {
    for table in [alias(), hidden(), keyed()] {
        let mut shelf = Shelf::new(&table);
        let leaves = shelf.backup().of_kind(BlobKind::Leaf).len();
        let added = shelf.step("ALTER TABLE t ADD COLUMN d TEXT NOT NULL DEFAULT 'unknown'");
        // Every leaf; rows that weigh more move some boundaries.
        assert_cheap(&added, leaves - 2..=leaves + 4, 50);
        assert!(added.all_are_deltas(BlobKind::Schema));
        shelf.assert_comes_back(&added.id);
        let added = shelf.step("ALTER TABLE t ADD COLUMN e");
        assert_cheap(&added, leaves - 2..=leaves + 4, 50);
        let added = shelf.step("ALTER TABLE t DROP COLUMN d");
        assert_cheap(&added, leaves - 2..=leaves + 4, 50);
        shelf.assert_comes_back(&added.id);
    }
}

#[test]
fn a_column_that_is_renamed_keeps_its_table() {
    let mut shelf = Shelf::new(&alias());
    shelf.backup();
    let added = shelf.step("ALTER TABLE t RENAME COLUMN n TO number");
    assert!(added.of_kind(BlobKind::Leaf).is_empty());
    assert!(added.of_kind(BlobKind::Node).is_empty());
    assert!(added.pack_bytes < 600, "{} bytes", added.pack_bytes);
    shelf.assert_comes_back(&added.id);
}

/// Where a leaf ends is drawn from its last row: without that row it goes on to the next end.
#[test]
fn leaves_that_merge_stand_on_both() {
    let mut shelf = Shelf::new(&alias());
    let first = shelf.backup();
    let ends = leaf_ends(&shelf.store, &first.id, "t");
    assert!(ends.len() > 3, "{ends:?}");
    let added = shelf.step(&format!("DELETE FROM t WHERE id = {}", ends[1]));
    assert_cheap(&added, 1..=2, 100);
    let merged = added.of_kind(BlobKind::Leaf)[0];
    assert!(merged.bases.len() >= 2, "{merged:?}");
    let old = first.of_kind(BlobKind::Leaf);
    let on = old.iter().filter(|leaf| stands_on(merged, &leaf.id));
    assert_eq!(on.count(), merged.bases.len());
    shelf.assert_comes_back(&added.id);
    // Several in a row: at most 4 of them.
    let deleted: Vec<String> = ends.iter().map(i64::to_string).collect();
    let all = format!("DELETE FROM t WHERE id IN ({})", deleted.join(","));
    let added = shelf.step(&all);
    assert!(
        added
            .of_kind(BlobKind::Leaf)
            .iter()
            .all(|leaf| leaf.bases.len() <= 4)
    );
    shelf.assert_comes_back(&added.id);
}

#[test]
fn a_leaf_that_is_split_stands_on_the_old_one_twice() {
    let mut with = Shelf::new(&alias());
    let first = with.backup();
    let end = leaf_ends(&with.store, &first.id, "t")[1];
    let copy = format!("CREATE TEMP TABLE c AS SELECT * FROM t WHERE id = {end}");
    let aside = with.sandbox.path("aside.db");
    crate::workshop::copy_database(&with.database, &aside);
    // The same rows without that one, in a store that never saw the two leaves.
    let mut shelf = Shelf::new(&alias());
    shelf.sql(&format!("{copy}; DELETE FROM t WHERE id = {end}"));
    let first = shelf.backup();
    let attach = format!("ATTACH '{}' AS aside", aside.display());
    let insert = format!("INSERT INTO t SELECT * FROM aside.t WHERE id = {end}");
    let added = shelf.step(&format!("{attach}; {insert};"));
    assert_cheap(&added, 2..=3, 50);
    let halves = added.of_kind(BlobKind::Leaf);
    let old = first.of_kind(BlobKind::Leaf);
    let on_both = |leaf: &&&larder::format::footer::BlobEntry| {
        halves
            .iter()
            .filter(|half| stands_on(half, &leaf.id))
            .count()
            >= 2
    };
    assert_eq!(old.iter().filter(on_both).count(), 1);
    shelf.assert_comes_back(&added.id);
}

#[test]
fn a_vacuum_that_renumbers_rowids_costs_the_edits_made_with_it() {
    let mut shelf = Shelf::new(&hidden());
    let leaves = shelf.backup().of_kind(BlobKind::Leaf).len();
    assert!(leaves > 3);
    let added = shelf.step(
        "DELETE FROM t WHERE k BETWEEN 100 AND 110 OR k = 2222;
         UPDATE t SET n = -1 WHERE k IN (500, 1500, 2500, 3500);
         INSERT INTO t VALUES('new', 1, 'row');
         VACUUM;",
    );
    assert_cheap(&added, 1..=7, 50);
    shelf.assert_comes_back(&added.id);
}

/// Every row has another rowid, and no gap is where one was.
#[test]
fn rows_of_a_table_without_key_are_matched_by_content() {
    for (table, columns) in [(hidden(), "k, n, x"), (by_place(), "rowid, oid, _rowid_")] {
        let mut shelf = Shelf::new(&table);
        let leaves = shelf.backup().of_kind(BlobKind::Leaf).len();
        let (key, n, _) = {
            let mut names = columns.split(", ");
            (names.next().unwrap(), names.next().unwrap(), names.next())
        };
        let added = shelf.step(&format!(
            "CREATE TEMP TABLE c AS SELECT {columns} FROM t;
             DELETE FROM t;
             INSERT INTO t SELECT {columns} FROM c WHERE {key} % 700 <> 3 ORDER BY {key};
             UPDATE t SET {n} = -7 WHERE {key} % 900 = 5;"
        ));
        assert_cheap(&added, 1..=leaves + 2, 50);
        shelf.assert_comes_back(&added.id);
    }
}

/// Puts random letters or bytes into a row of a table of its own.
fn put_value(shelf: &Shelf, value: &[u8], text: bool) {
    let db = rusqlite::Connection::open(&shelf.database).unwrap();
    let cast = if text { "CAST(?1 AS TEXT)" } else { "?1" };
    let sql = format!("INSERT INTO t VALUES(2000, 1, {cast}) ON CONFLICT DO UPDATE SET x = {cast}");
    db.execute(&sql, [value]).unwrap();
}

#[test]
fn a_long_text_changed_in_the_middle_costs_its_change() {
    let letters = |random: &mut Random, bytes: usize| -> Vec<u8> {
        let digits = random.bytes(bytes);
        digits.into_iter().map(|byte| b'0' + byte % 64).collect()
    };
    let mut random = Random(30);
    let mut shelf = Shelf::new(&alias());
    let mut text = letters(&mut random, 10_000);
    put_value(&shelf, &text, true);
    shelf.backup();
    let changes: [(_, &[u8]); 3] = [
        (5000..5010, b"other words"),
        (2000..2000, b"grown"),
        (7000..7100, b""),
    ];
    for (range, new) in changes {
        text.splice(range, new.iter().copied());
        put_value(&shelf, &text, true);
        let added = shelf.backup();
        let leaf = added.only(BlobKind::Leaf);
        assert_eq!(leaf.encoding, Encoding::Delta);
        assert!(leaf.encoded_bytes < 150, "{} bytes", leaf.encoded_bytes);
        shelf.assert_comes_back(&added.id);
    }
    // One that was of one kind and is of another is no patch, and comes back all the same.
    put_value(&shelf, &text, false);
    let added = shelf.backup();
    shelf.assert_comes_back(&added.id);
}

#[test]
fn a_large_value_changed_in_the_middle_costs_its_change() {
    let mut random = Random(31);
    let mut shelf = Shelf::new(&alias());
    let mut blob = random.bytes(5 << 20);
    put_value(&shelf, &blob, false);
    let first = shelf.backup();
    assert!(first.of_kind(BlobKind::Chunk).len() > 8);
    let end = blob.len();
    let changes: [(_, &[u8]); 4] = [
        (2_500_000..2_500_010, b"some bytes"),
        (1_000_000..1_000_000, b"grown"),
        (4_000_000..4_000_100, b""),
        (5_000_000..end - 95, b"its end"),
    ];
    for (range, new) in changes {
        let at = range.start;
        blob.splice(range, new.iter().copied());
        put_value(&shelf, &blob, false);
        let added = shelf.backup();
        assert!(added.all_are_deltas(BlobKind::Chunk), "{at}");
        // A node of some 20 chunks is always whole; patches are short.
        assert!(added.pack_bytes < 4096, "{at}: {} bytes", added.pack_bytes);
        shelf.assert_comes_back(&added.id);
    }
}

#[test]
fn a_schema_change_costs_its_change() {
    let table = |n| {
        format!(
            "CREATE TABLE table_{n}(id INTEGER PRIMARY KEY, name_{} TEXT NOT NULL, other_{} REAL);
             CREATE INDEX index_{n} ON table_{n}(name_{});",
            n * 31 % 97,
            n * 57 % 89,
            n * 31 % 97,
        )
    };
    let tables: String = (0..60).map(table).collect();
    let mut shelf = Shelf::new(&tables);
    let first = shelf.backup();
    let whole = first.only(BlobKind::Schema).canonical_bytes;
    assert_eq!(first.only(BlobKind::Schema).encoding, Encoding::Plain);
    for change in [
        "CREATE INDEX more ON table_30(other_19)",
        "DROP TABLE table_7",
        "ALTER TABLE table_40 ADD COLUMN new TEXT",
        "CREATE VIEW v AS SELECT 1 AS one",
    ] {
        let added = shelf.step(change);
        let schema = added.only(BlobKind::Schema);
        assert_eq!(schema.encoding, Encoding::Delta, "{change}");
        assert!(
            schema.encoded_bytes * 20 < whole,
            "{change}: {} of {whole}",
            schema.encoded_bytes
        );
        shelf.assert_comes_back(&added.id);
    }
}
