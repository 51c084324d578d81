//! Rows written to a live database in a transaction that stays open, by the library's own writers.

use std::io::{self, Read};
use std::time::Duration;

use larder::model::row::RowRef;
use larder::model::schema::{ObjectKind, Schema, SchemaObject, Table};
use larder::model::value::{Spilled, Value, ValueRef};
use larder::progress::Progress;
use larder::target::{
    ColumnMap, Declared, Hold, LiveDatabase, LiveWriter, Record, RowId, SpilledContent, TargetError,
};

use crate::tree_rows::Random;
use crate::workshop::sql;

/// A table that transactions make.
pub const MADE: &str = "CREATE TABLE made(id INTEGER PRIMARY KEY, x TEXT REFERENCES keyed(k))";

/// The schema that a text makes.
pub fn schema_of(text: &str) -> Schema {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("schema.db");
    sql(&path, text);
    let live = LiveDatabase::open(&path, Duration::ZERO, true, false).unwrap();
    live.begin_view(Hold::Free).unwrap().schema
}

/// Counts what is read; stops if it is told to.
#[derive(Default)]
pub struct Counting {
    pub records: u64,
    pub stops: bool,
}

impl Progress for Counting {
    fn advance(&mut self, steps: u64) {
        self.records += steps;
    }

    fn cancelled(&self) -> bool {
        self.stops
    }
}

/// No row of these tests comes out of a store.
struct NoContent;

impl SpilledContent for NoContent {
    fn open<'a>(&'a mut self, _: &Spilled) -> io::Result<Box<dyn Read + 'a>> {
        Err(io::Error::other("nothing is spilled here"))
    }
}

/// What a transaction writes.
pub struct Writing<'d> {
    live: &'d LiveDatabase,
    schema: Schema,
    /// Tables that were written.
    pub changed: Vec<String>,
    /// What was done, for messages.
    pub told: String,
}

impl<'d> Writing<'d> {
    /// How many things can be done to a table.
    pub const DEEDS: usize = 6;

    pub fn new(live: &'d LiveDatabase, schema: Schema) -> Self {
        Self {
            live,
            schema,
            changed: Vec::new(),
            told: String::new(),
        }
    }

    fn writes(&mut self, table: &str, what: &str) {
        self.told += &format!("{what} {table}; ");
        if !self.changed.iter().any(|name| name == table) {
            self.changed.push(table.to_owned());
        }
    }

    pub fn empty(&mut self, table: &str) {
        self.writes(table, "emptied");
        self.live.empty(table).unwrap();
    }

    /// Inserts the row of this number, which no table has before.
    pub fn insert(&mut self, table: &str, number: i64) {
        self.writes(table, "inserted into");
        let table = self.schema.table(table).unwrap();
        let (rowid, values) = row(table, number);
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let map = ColumnMap::of(table, table, &Declared::default());
        let mut writer = LiveWriter::new(self.live, &self.schema, table, &map, 0).unwrap();
        let row = RowRef {
            rowid,
            values: &values,
        };
        let seen: Vec<ValueRef<'_>> = map.values(row).collect();
        let record = Record {
            rowid: map.rowid(row),
            values: &seen,
        };
        writer.insert(record, &mut NoContent).unwrap();
    }

    /// Sets the last column of the row of this number, if it is there.
    pub fn fill(&mut self, table: &str, number: i64) {
        self.writes(table, "updated");
        let table = self.schema.table(table).unwrap();
        let (rowid, values) = row(table, number);
        let id = RowId(vec![match rowid {
            Some(rowid) => Value::Integer(rowid),
            None => values[0].clone(),
        }]);
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let map = ColumnMap::of(table, table, &Declared::default());
        let last = map.columns.len() - 1;
        let mut writer = LiveWriter::new(self.live, &self.schema, table, &map, 0).unwrap();
        let row = RowRef {
            rowid,
            values: &values,
        };
        let seen: Vec<ValueRef<'_>> = map.values(row).collect();
        let record = Record {
            rowid: map.rowid(row),
            values: &seen,
        };
        match writer.fill(&id, &[last], record, &mut NoContent) {
            Ok(()) => {}
            // There is no such row.
            Err(TargetError::Constraint { cause, .. }) if cause.code == 0 => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Makes a table with some rows, and an index on another.
    pub fn make(&mut self, random: &mut Random) {
        let object = |kind, name: &str, table: &str, sql: &str| SchemaObject {
            kind,
            name: name.to_owned(),
            table: table.to_owned(),
            sql: Some(sql.to_owned()),
        };
        for object in [
            object(ObjectKind::Table, "made", "made", MADE),
            object(
                ObjectKind::Index,
                "i",
                "still",
                "CREATE INDEX i ON still(x)",
            ),
        ] {
            assert_eq!(self.live.create(&object).unwrap(), None);
        }
        self.schema.tables.extend(schema_of(MADE).tables);
        for number in 0..random.below(3) {
            self.insert("made", 9000 + i64::try_from(number).unwrap());
        }
        // A new table is read whether it is named or not.
        self.changed.retain(|name| name != "made");
    }

    /// One of [`Writing::DEEDS`] things, as often and where as is drawn.
    pub fn draw(&mut self, deed: usize, table: &str, random: &mut Random) {
        let number = |random: &mut Random, end| i64::try_from(random.below(end)).unwrap();
        match deed {
            0 => {}
            // It may have been written, and was not.
            1 => self.writes(table, "named"),
            2 => self.empty(table),
            3 | 4 => {
                if deed == 3 {
                    self.empty(table);
                }
                let first = 5000 + number(random, 1000);
                for number in first..first + 5 + number(random, 35) {
                    self.insert(table, number);
                }
            }
            _ => {
                for _ in 0..random.below(20) {
                    let number = number(random, 3000);
                    self.fill(table, number);
                }
            }
        }
    }
}

/// The row of a number: its rowid, and the values of the leaf columns.
fn row(table: &Table, number: i64) -> (Option<i64>, Vec<Value>) {
    let text = |text: String| Value::Text(text.into_bytes());
    let size = usize::try_from(number % 5).unwrap();
    match table.name.as_str() {
        "hidden" => {
            let b = text(format!("filled {number}"));
            (Some(number * 3), vec![Value::Integer(number), b])
        }
        "keyed" => {
            let v = Value::Real(0.5);
            (None, vec![text(format!("key {number}")), v])
        }
        "alias" => {
            let (x, keyed) = (text(format!("new {number}")), text(format!("key {number}")));
            (Some(number), vec![x, keyed])
        }
        "long" => {
            let t = text("y".repeat(16_000 + 1000 * size));
            let b = Value::Blob(Random(number.unsigned_abs()).bytes(600_000 * size));
            (Some(number), vec![t, b])
        }
        _ => (Some(number), vec![text(format!("new {number}"))]),
    }
}
