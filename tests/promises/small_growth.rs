//! What does not change is not stored again.

use crate::workshop::{Workshop, bakery, copy_database, real_databases, sql};

/// Leaves of one snapshot that another lacks: what the second backup had to store of the rows.
fn new_leaves(shop: &Workshop) -> usize {
    let manifest = shop.manifest("latest");
    let blobs = larder::ops::show::blobs(&shop.store, &manifest).unwrap();
    blobs
        .iter()
        .filter(|blob| blob.new && blob.kind == "leaf")
        .count()
}

#[test]
fn an_unchanged_database_adds_a_manifest_and_no_data() {
    let mut shop = Workshop::new();
    let database = shop.path("bakery.db");
    copy_database(&bakery(), &database);
    shop.backup(&database);
    let again = shop.backup(&database);
    assert_eq!(new_leaves(&shop), 0);
    assert!(again.stored_bytes < 4096, "{} bytes", again.stored_bytes);
}

#[test]
fn a_vacuum_adds_no_data() {
    let mut shop = Workshop::new();
    let database = shop.path("bakery.db");
    copy_database(&bakery(), &database);
    sql(
        &database,
        "DELETE FROM inventory_depletions WHERE id % 3 = 0;",
    );
    shop.backup(&database);
    sql(&database, "VACUUM;");
    let again = shop.backup(&database);
    assert_eq!(new_leaves(&shop), 0);
    assert!(again.stored_bytes < 4096, "{} bytes", again.stored_bytes);
    assert!(
        again
            .entities
            .iter()
            .all(|e| e.changes.is_some_and(|c| c.is_empty()))
    );
}

/// 55 tables, more than 300 indexes.
#[test]
fn a_vacuum_of_a_real_application_adds_less_than_4_kib() {
    let Some(data) = real_databases() else { return };
    let mut shop = Workshop::new();
    let database = shop.path("bake.db");
    copy_database(&data.join("series/bake/day-15.db"), &database);
    shop.backup(&database);
    for change in ["", "VACUUM;", "REINDEX;"] {
        sql(&database, change);
        let again = shop.backup(&database);
        assert_eq!(new_leaves(&shop), 0, "{change}");
        assert!(
            again.stored_bytes < 4096,
            "{change}: {} bytes",
            again.stored_bytes
        );
    }
}

/// VACUUM renumbers the rows of a table without rowid alias and index: only leaves with gaps change.
#[test]
fn a_vacuum_that_renumbers_rows_changes_only_leaves_with_gaps() {
    let mut shop = Workshop::new();
    let database = shop.path("hidden.db");
    sql(
        &database,
        "CREATE TABLE t(a, b);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         INSERT INTO t SELECT i, 'row number ' || (i * 7919 % 60000) FROM n;
         DELETE FROM t WHERE rowid BETWEEN 100 AND 110;",
    );
    shop.backup(&database);
    sql(&database, "VACUUM;");
    let again = shop.backup(&database);
    assert!(new_leaves(&shop) <= 1, "{} new leaves", new_leaves(&shop));
    let changes = again.entities[0].changes.unwrap();
    assert!(changes.is_empty(), "the same rows: {changes:?}");
}

#[test]
fn equal_tables_have_equal_roots_whatever_happened_to_the_file() {
    let mut shop = Workshop::new();
    let (a, b) = (shop.path("a.db"), shop.path("b.db"));
    let table = "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);";
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                INSERT INTO t SELECT i, 'name ' || (i * 31 % 997) FROM n";
    sql(&a, &format!("{table}{rows};"));
    sql(
        &b,
        &format!("PRAGMA page_size=1024;{table}{rows} ORDER BY i * 7919 % 20000;"),
    );
    sql(
        &b,
        "UPDATE t SET name = 'x' WHERE id = 5; UPDATE t SET name = 'name 155' WHERE id = 5;",
    );
    shop.backup(&a);
    shop.backup(&b);
    let (first, second) = (shop.manifest("latest~1"), shop.manifest("latest"));
    assert_eq!(first.entities[0].root, second.entities[0].root);
}
