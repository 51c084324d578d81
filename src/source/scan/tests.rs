//! How tables are scanned.

use proptest::prelude::*;

use super::*;
use crate::model::schema::Schema;
use crate::model::value::Spilled;
use crate::source::table::LargeValue;

/// Tables are scanned as they lie: no sort, and no index even where one holds every column.
#[test]
fn a_scan_neither_sorts_nor_uses_an_index() {
    let db = Connection::open_memory().unwrap();
    for sql in [
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x)",
        "CREATE INDEX ax ON a(x)",
        "CREATE TABLE b(x UNIQUE)",
        "CREATE TABLE c(k TEXT COLLATE NOCASE, l, PRIMARY KEY(l DESC, k)) WITHOUT ROWID",
        "CREATE INDEX ck ON c(k, l)",
        "CREATE TABLE h(rowid, _rowid_, oid)",
        "CREATE INDEX hr ON h(rowid, _rowid_, oid)",
    ] {
        db.execute(sql).unwrap();
    }
    let read = crate::sqlite::schema::read_schema(&db).unwrap();
    let texts = Texts::of(read.schema.encoding);
    for table in &read.schema.tables {
        let columns: Vec<&str> = table
            .leaf_columns()
            .map(|at| table.columns[at].name.as_str())
            .collect();
        let sql = match table.rowid_column() {
            Some(rowid) => by_rowid_sql(table, rowid, texts, &columns).unwrap(),
            None => whole_sql(&db, table, texts, &columns).unwrap(),
        };
        let mut plan = Vec::new();
        db.for_each(&format!("EXPLAIN QUERY PLAN {sql}"), &[], |row| {
            plan.push(row.text(3)?.unwrap_or_default());
            Ok(())
        })
        .unwrap();
        let wanted = match table.rowid_column() {
            Some(_) => format!(
                "SEARCH main.{} USING INTEGER PRIMARY KEY (rowid>?)",
                table.name
            ),
            None => format!("SCAN main.{}", table.name),
        };
        assert_eq!(plan, [wanted], "{sql}");
    }
}

/// Keeps rows, and lets long values stand as blobs of their bytes.
#[derive(Default)]
struct Kept {
    rows: Vec<(Option<i64>, Vec<Value>)>,
    long: Vec<Vec<u8>>,
    /// Rows after which no more are wanted.
    enough: Option<usize>,
}

impl RowSink for Kept {
    type Error = ();

    fn large(&mut self, value: LargeValue, content: &mut dyn std::io::Read) -> Result<Spilled, ()> {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(drop)?;
        self.long.push(bytes);
        Ok(Spilled {
            class: value.class,
            bytes: value.bytes,
            level: 0,
            root: crate::model::id::BlobId([7; 32]),
        })
    }

    fn row(&mut self, row: RowRef<'_>) -> Result<(), ()> {
        let values = row.values.iter().map(|value| ValueRef::to_owned(*value));
        self.rows.push((row.rowid, values.collect()));
        Ok(())
    }

    fn has_enough(&self) -> bool {
        self.enough.is_some_and(|enough| self.rows.len() >= enough)
    }
}

/// A value as a literal of SQL; some do not fit a page.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("NULL".to_owned()),
        (0..64_u32, any::<i64>()).prop_map(|(shift, value)| (value >> shift).to_string()),
        any::<i32>().prop_map(|value| format!("{value}.0")),
        any::<f32>().prop_map(|value| match value.is_finite() {
            true => format!("{value:e}"),
            false => "9e999".to_owned(),
        }),
        "[a-z 0-9]{0,12}".prop_map(|text| format!("'{text}'")),
        Just("'1.0'".to_owned()),
        Just("'a' || char(0) || 'b'".to_owned()),
        (0..40_u32).prop_map(|bytes| format!("randomblob({bytes})")),
        // The longest are too long for the fast scan.
        prop_oneof![90 => 100..400_u32, 10 => 300..40_000_u32, 1 => Just(1_050_000)]
            .prop_map(|n| format!("zeroblob({n})")),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Insert(i64, Vec<String>),
    Delete(i64),
    /// With this as its default.
    AddColumn(String),
    DropColumn,
    Update(String),
}

fn step() -> impl Strategy<Value = Step> {
    let rowid = prop_oneof![20 => 0..400_i64, 1 => any::<i64>(), 1 => Just(i64::MAX)];
    prop_oneof![
        60 => (rowid, proptest::collection::vec(literal(), 9)).prop_map(|(id, v)| Step::Insert(id, v)),
        10 => (0..400_i64).prop_map(Step::Delete),
        1 => "[0-9]{1,3}|'[a-z]{3}'|1\\.5".prop_map(Step::AddColumn),
        1 => Just(Step::DropColumn),
        2 => literal().prop_map(Step::Update),
    ]
}

/// Makes the table `t`.
fn make(page: u32, types: &[&str], alias: usize, steps: &[Step]) -> Connection {
    let db = Connection::open_memory().unwrap();
    db.execute(&format!("PRAGMA page_size = {page}")).unwrap();
    let mut columns: Vec<String> = (0..types.len())
        .map(|at| format!("c{at} {}", types[at]))
        .collect();
    if alias < columns.len() {
        columns.insert(alias, "id INTEGER PRIMARY KEY".to_owned());
    }
    db.execute(&format!("CREATE TABLE t({})", columns.join(", ")))
        .unwrap();
    let (mut there, mut next): (Vec<String>, usize) = (
        (0..types.len()).map(|at| format!("c{at}")).collect(),
        types.len(),
    );
    for step in steps {
        let sql = match step {
            Step::Insert(id, values) => {
                let values: Vec<&str> = values
                    .iter()
                    .cycle()
                    .take(there.len())
                    .map(String::as_str)
                    .collect();
                format!(
                    "INSERT OR REPLACE INTO t(rowid, {}) VALUES({id}, {})",
                    there.join(", "),
                    values.join(", ")
                )
            }
            Step::Delete(id) => format!("DELETE FROM t WHERE rowid BETWEEN {id} AND {id} + 3"),
            Step::AddColumn(value) => {
                there.push(format!("c{next}"));
                next += 1;
                let of_type = types[next % types.len()];
                format!(
                    "ALTER TABLE t ADD COLUMN c{} {of_type} DEFAULT {value}",
                    next - 1
                )
            }
            Step::DropColumn if there.len() > 1 => {
                format!(
                    "ALTER TABLE t DROP COLUMN {}",
                    there.remove(there.len() / 2)
                )
            }
            Step::DropColumn => continue,
            Step::Update(value) => {
                format!("UPDATE t SET {} = {value} WHERE rowid % 7 = 3", there[0])
            }
        };
        db.execute(&sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    db
}

/// All that a scan gives, as text: reals by their bits, so to say.
fn scanned(
    db: &Connection,
    schema: &Schema,
    (first, enough): (i64, Option<usize>),
    by_pages: bool,
) -> String {
    let settings = crate::sqlite::schema::read_settings(db).unwrap();
    let moment = Moment {
        db,
        path: std::path::Path::new("t.db"),
        schema,
        settings: &settings,
        growth: None,
        slices: None,
    };
    let mut kept = Kept {
        enough,
        ..Kept::default()
    };
    let table = schema.table("t").unwrap();
    let rowid = table.rowid_column().unwrap();
    let mut scan = Scan::of(moment, table, first, &mut kept);
    let done = match by_pages {
        true => scan.by_pages(rowid),
        false => scan.by_rowid(rowid),
    };
    assert!(done.is_ok());
    let told = scan.scanned;
    db.limit_length(None).unwrap();
    format!("{told:?} {:?} {:?}", kept.rows, kept.long)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Rows of pages are the rows that a statement gives.
    #[test]
    fn rows_of_pages_are_those_of_a_statement(
        page in prop_oneof![Just(512_u32), Just(1024), Just(4096), Just(65_536)],
        types in proptest::collection::vec(
            prop_oneof![
                Just(""), Just("INTEGER"), Just("REAL"), Just("DOUBLE PRECISION"), Just("TEXT"),
                Just("NUMERIC"), Just("BLOB"), Just("FLOATING POINT"), Just("DATETIME"),
            ],
            1..5,
        ),
        alias in 0..6_usize,
        steps in proptest::collection::vec(step(), 0..250),
        first in prop_oneof![3 => Just(i64::MIN), 1 => 0..400_i64],
        enough in proptest::option::weighted(0.3, 1..60_usize),
    ) {
        let db = make(page, &types, alias, &steps);
        let schema = crate::sqlite::schema::read_schema(&db).unwrap().schema;
        let from = (first, enough);
        prop_assert_eq!(scanned(&db, &schema, from, true), scanned(&db, &schema, from, false));
    }
}

/// The last of all rowids has none behind it, from which to go on: its row was given by the statement that was asked
/// for a page before, and by its own page again.
#[test]
fn the_row_with_the_last_rowid_is_given_once() {
    for (page, long) in [
        (512, 1_050_000),
        (4096, 1_050_000),
        (4096, 20_000),
        (512, 600),
    ] {
        let insert = |id: i64| Step::Insert(id, vec![format!("zeroblob({long})")]);
        let short = |id: i64| Step::Insert(id, vec!["'short'".to_owned()]);
        let mut steps: Vec<Step> = (0..300).map(short).collect();
        steps.extend([insert(300), insert(301), insert(302), insert(i64::MAX)]);
        let db = make(page, &["", "REAL"], 9, &steps);
        let schema = crate::sqlite::schema::read_schema(&db).unwrap().schema;
        let of = |by_pages| scanned(&db, &schema, (i64::MIN, None), by_pages);
        assert!(of(true) == of(false), "{page} {long}");
    }
}

/// Not every row of the property above is left to a statement.
#[test]
fn plain_rows_are_taken_out_of_pages() {
    let db = Connection::open_memory().unwrap();
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a REAL, b TEXT)")
        .unwrap();
    db.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO t SELECT i, i, hex(i) FROM n",
    )
    .unwrap();
    let schema = crate::sqlite::schema::read_schema(&db).unwrap().schema;
    let settings = crate::sqlite::schema::read_settings(&db).unwrap();
    let moment = Moment {
        db: &db,
        path: std::path::Path::new("t.db"),
        schema: &schema,
        settings: &settings,
        growth: None,
        slices: None,
    };
    let table = schema.table("t").unwrap();
    let mut pages = PageRows::of(moment, table, 4000).unwrap().unwrap();
    let mut given = Vec::new();
    loop {
        let page = pages.next(4000, |rowid, values| {
            assert_eq!(values.len(), 2);
            given.push(rowid);
            Ok::<_, ()>(Wanted::More)
        });
        match page {
            Page::Given => {}
            Page::End => break,
            _ => panic!("a page is not plain"),
        }
    }
    assert_eq!(given, (4000..=5000).collect::<Vec<_>>());
}
