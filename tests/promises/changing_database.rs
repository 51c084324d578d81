//! A database of tables of all kinds that changes at random: rows, keys, long values, schema.

use std::path::PathBuf;

use rusqlite::types::Value;

use crate::tree_rows::Random;

/// A kind of table: its columns before the common ones, how it ends, whether it has a rowid that
/// can be named.
struct Kind {
    columns: &'static str,
    /// Names of the key's columns.
    key: &'static [&'static str],
    end: &'static str,
    rowid: bool,
}

const KINDS: [Kind; 9] = [
    Kind {
        columns: "id INTEGER PRIMARY KEY",
        key: &["id"],
        end: "",
        rowid: true,
    },
    Kind {
        columns: "id INTEGER PRIMARY KEY AUTOINCREMENT",
        key: &["id"],
        end: "STRICT",
        rowid: true,
    },
    Kind {
        columns: "k",
        key: &["k"],
        end: "",
        rowid: true,
    },
    Kind {
        columns: "k TEXT PRIMARY KEY",
        key: &["k"],
        end: "",
        rowid: true,
    },
    Kind {
        columns: "k TEXT PRIMARY KEY",
        key: &["k"],
        end: "WITHOUT ROWID",
        rowid: false,
    },
    Kind {
        columns: "k BLOB PRIMARY KEY",
        key: &["k"],
        end: "WITHOUT ROWID",
        rowid: false,
    },
    Kind {
        columns: "k TEXT COLLATE NOCASE, l INTEGER, PRIMARY KEY(l DESC, k)",
        key: &["k", "l"],
        end: "WITHOUT ROWID",
        rowid: false,
    },
    Kind {
        columns: "k ANY, l REAL NOT NULL, PRIMARY KEY(k, l DESC)",
        key: &["k", "l"],
        end: "STRICT, WITHOUT ROWID",
        rowid: false,
    },
    Kind {
        columns: "rowid TEXT, _rowid_ INTEGER, oid",
        key: &["rowid", "_rowid_", "oid"],
        end: "",
        rowid: false,
    },
];

/// A table as it is now.
struct Table {
    name: String,
    kind: &'static Kind,
    /// Columns that are neither key nor `n`, by name.
    columns: Vec<String>,
    /// Rows are short.
    short: bool,
}

/// A database that changes at random.
pub struct World {
    pub path: PathBuf,
    db: rusqlite::Connection,
    random: Random,
    tables: Vec<Table>,
    /// Numbers given out: rows, names.
    rows: i64,
    names: usize,
}

impl World {
    pub fn new(path: PathBuf, seed: u64) -> Self {
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA synchronous=OFF").unwrap();
        let mut world = Self {
            path,
            db,
            random: Random(seed),
            tables: Vec::new(),
            rows: 0,
            names: 0,
        };
        // The first one has rowids and large values, and is never dropped.
        let first = world.below(4);
        world.create(first, false);
        for _ in 0..2 {
            world.create_any();
        }
        world
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(end.max(1) as u64)).unwrap()
    }

    fn sql(&self, text: &str) {
        if let Err(error) = self.db.execute_batch(text) {
            panic!("{text}: {error}");
        }
    }

    fn create_any(&mut self) {
        let (kind, short) = (self.below(KINDS.len()), self.below(4) == 0);
        self.create(kind, short);
    }

    /// Makes a table and fills it.
    fn create(&mut self, kind: usize, short: bool) {
        self.names += 1;
        let kind = &KINDS[kind];
        let table = Table {
            name: format!("t{}", self.names),
            kind,
            columns: ["a", "b", "c"].map(str::to_owned).to_vec(),
            short,
        };
        let (before, after) = match kind.columns.split_once(", PRIMARY") {
            Some((columns, key)) => (columns, format!(", PRIMARY{key}")),
            None => (kind.columns, String::new()),
        };
        self.sql(&format!(
            "CREATE TABLE {}({before}, n INTEGER, a {any}, b TEXT, c {any}{after}) {}",
            table.name,
            kind.end,
            any = if kind.end.contains("STRICT") {
                "ANY"
            } else {
                ""
            },
        ));
        self.tables.push(table);
        let last = self.tables.len() - 1;
        let count = if self.tables[last].short { 5000 } else { 1000 };
        let count = count + self.below(count / 2);
        self.insert(last, count);
    }

    /// Letters, hardly compressible.
    fn letters(&mut self, bytes: usize) -> String {
        let bytes = self.random.bytes(bytes);
        bytes
            .iter()
            .map(|byte| char::from(b'0' + byte % 64))
            .collect()
    }

    fn small(&mut self) -> Value {
        match self.random.below(6) {
            0 => Value::Null,
            1 => Value::Integer(self.random.next().cast_signed()),
            2 => Value::Real(self.random.below(1_000_000) as f64 / 100.0),
            3 => Value::Blob(self.random.bytes(9)),
            4 => Value::Text("a word of these".to_owned()),
            _ => Value::Integer(self.random.below(100).cast_signed()),
        }
    }

    /// Now and then a long value, a large one, a very large one.
    fn long(&mut self) -> Value {
        let bytes = match self.random.below(600) {
            0 => 300_000 + self.below(100_000),
            1..=4 => 16_000 + self.below(30_000),
            5..=34 => 1000 + self.below(11_000),
            _ => return self.small(),
        };
        match self.below(2) {
            0 => Value::Text(self.letters(bytes)),
            _ => Value::Blob(self.random.bytes(bytes)),
        }
    }

    fn key(&mut self, kind: &Kind, n: i64) -> Vec<Value> {
        let mixed = n * 7919 % 1_000_003;
        match (kind.key, kind.end) {
            (["id"], _) => vec![Value::Integer(n * 3)],
            (["k"], "WITHOUT ROWID") if kind.columns.contains("BLOB") => {
                vec![Value::Blob(mixed.to_be_bytes().to_vec())]
            }
            (["k"], _) => vec![Value::Text(format!("key {mixed:07}"))],
            (["k", "l"], end) if end.contains("STRICT") => {
                vec![Value::Integer(mixed / 64), Value::Real(mixed as f64 / 8.0)]
            }
            (["k", "l"], _) => vec![
                Value::Text(format!("{}ey {n}", if n % 2 == 0 { 'K' } else { 'k' })),
                Value::Integer(n / 50),
            ],
            _ => vec![
                Value::Text(format!("row {n}")),
                Value::Integer(mixed),
                Value::Null,
            ],
        }
    }

    fn insert(&mut self, at: usize, count: usize) {
        let (name, kind) = (self.tables[at].name.clone(), self.tables[at].kind);
        let (columns, short) = (self.tables[at].columns.clone(), self.tables[at].short);
        let names: Vec<&str> = kind
            .key
            .iter()
            .copied()
            .chain(["n"])
            .chain(columns.iter().map(String::as_str))
            .collect();
        let marks = vec!["?"; names.len()].join(",");
        let sql = format!(
            "INSERT OR IGNORE INTO {name}({}) VALUES({marks})",
            names.join(",")
        );
        self.sql("BEGIN");
        for _ in 0..count {
            self.rows += 1;
            let mut values = self.key(kind, self.rows);
            values.push(Value::Integer(self.rows));
            for column in &columns {
                let value = match column.as_bytes()[0] {
                    b'b' if !short => {
                        let bytes = 100 + self.below(150);
                        Value::Text(self.letters(bytes))
                    }
                    b'b' => Value::Text("b".to_owned()),
                    b'c' if !short => self.long(),
                    b'x' => Value::Integer(self.random.below(5).cast_signed()),
                    _ => self.small(),
                };
                values.push(value);
            }
            let mut insert = self.db.prepare_cached(&sql).unwrap();
            insert.execute(rusqlite::params_from_iter(&values)).unwrap();
        }
        self.sql("COMMIT");
    }

    /// A condition on `n` that finds one row, some, or many.
    fn some_rows(&mut self) -> String {
        let from = self.random.below(self.rows.unsigned_abs());
        match self.below(4) {
            0 => format!("n BETWEEN {from} AND {}", from + 150),
            1 => format!("n % 97 = {}", from % 97),
            _ => format!("n = {from}"),
        }
    }

    /// Changes a long value somewhere.
    fn change_long(&mut self, at: usize) {
        let name = self.tables[at].name.clone();
        let Some(column) = self.tables[at]
            .columns
            .iter()
            .find(|c| c.starts_with('c'))
            .cloned()
        else {
            return;
        };
        let skip = self.below(6);
        let sql = format!(
            "SELECT n, {column} FROM {name} WHERE length({column}) > 900
             ORDER BY length({column}) > 16000 DESC, n LIMIT 1 OFFSET {skip}"
        );
        let found = self
            .db
            .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let Ok((n, value)): Result<(i64, Value), _> = found else {
            return;
        };
        let (mut bytes, is_text) = match value {
            Value::Text(text) => (text.into_bytes(), true),
            Value::Blob(blob) => (blob, false),
            other => panic!("{other:?}"),
        };
        let place = self.below(bytes.len());
        match self.below(5) {
            0 => drop(bytes.splice(place..place, *b"grown in the middle")),
            1 => drop(bytes.drain(place..(place + 500).min(bytes.len()))),
            2 => bytes.truncate(place),
            3 => bytes.extend_from_within(..place),
            _ => bytes[place] = b'!',
        }
        let value = if is_text {
            Value::Text(String::from_utf8(bytes).unwrap())
        } else {
            Value::Blob(bytes)
        };
        let sql = format!("UPDATE {name} SET {column} = ? WHERE n = ?");
        self.db.execute(&sql, rusqlite::params![value, n]).unwrap();
    }

    fn add_column(&mut self, at: usize) {
        self.names += 1;
        let column = format!("x{}", self.names);
        let name = self.tables[at].name.clone();
        let rest = [
            "INTEGER",
            "INTEGER DEFAULT 7",
            "TEXT NOT NULL DEFAULT 'none'",
        ][self.below(3)];
        self.sql(&format!("ALTER TABLE {name} ADD COLUMN {column} {rest}"));
        self.tables[at].columns.push(column);
    }

    fn drop_column(&mut self, at: usize) {
        let column = self.below(self.tables[at].columns.len());
        if self.tables[at].columns.len() > 1 && !self.tables[at].columns[column].starts_with('c') {
            let column = self.tables[at].columns.remove(column);
            self.sql(&format!(
                "ALTER TABLE {} DROP COLUMN {column}",
                self.tables[at].name
            ));
        }
    }

    fn rename_column(&mut self, at: usize) {
        self.names += 1;
        let column = self.below(self.tables[at].columns.len());
        let old = self.tables[at].columns[column].clone();
        let new = format!("{}_{}", &old[..1], self.names);
        let name = &self.tables[at].name;
        self.sql(&format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}"));
        self.tables[at].columns[column] = new;
    }

    fn change_keys(&mut self, at: usize) {
        let rows = self.some_rows();
        let Table { name, kind, .. } = &self.tables[at];
        let key = kind.key[0];
        let new = match (key, kind.end) {
            ("id", _) => "id + 1".to_owned(),
            ("k", end) if end.contains("STRICT") => "k + 1".to_owned(),
            ("k", _) if kind.columns.contains("BLOB") => "CAST(k || 'x' AS BLOB)".to_owned(),
            _ => format!("{key} || 'x'"),
        };
        self.sql(&format!(
            "UPDATE OR IGNORE {name} SET {key} = {new} WHERE {rows}"
        ));
        if kind.rowid && key != "id" {
            self.sql(&format!(
                "UPDATE OR IGNORE {name} SET rowid = rowid + 5000 WHERE {rows}"
            ));
        }
    }

    /// Changes a long value of every table that has some.
    pub fn change_all_long(&mut self) {
        (0..self.tables.len()).for_each(|at| self.change_long(at));
    }

    /// One change. Gives what it was.
    pub fn edit(&mut self) -> &'static str {
        match self.below(2) {
            0 => self.edit_rows(),
            _ => self.edit_schema(),
        }
    }

    fn edit_rows(&mut self) -> &'static str {
        let at = self.below(self.tables.len());
        let name = self.tables[at].name.clone();
        let rows = self.some_rows();
        let value = self.small();
        let first = self.tables[at].columns[0].clone();
        match self.below(8) {
            0 => {
                let count = 1 + self.below(400);
                self.insert(at, count);
                "insert"
            }
            1 | 2 => {
                self.sql(&format!("DELETE FROM {name} WHERE {rows}"));
                "delete"
            }
            3 | 4 if !first.starts_with(['b', 'x']) => {
                let sql = format!("UPDATE {name} SET {first} = ? WHERE {rows}");
                self.db.execute(&sql, [value]).unwrap();
                "update"
            }
            5 => {
                self.change_keys(at);
                "change of keys"
            }
            6 => {
                self.sql(&format!(
                    "UPDATE {name} SET {first} = n WHERE typeof(n) = 'integer'"
                ));
                "mass update"
            }
            _ => {
                self.change_long(at);
                "change of a long value"
            }
        }
    }

    fn edit_schema(&mut self) -> &'static str {
        let at = self.below(self.tables.len());
        let name = self.tables[at].name.clone();
        match self.below(8) {
            0 | 1 => {
                self.sql("VACUUM");
                "vacuum"
            }
            2 => {
                self.add_column(at);
                "add column"
            }
            3 => {
                self.drop_column(at);
                "drop column"
            }
            4 => {
                self.rename_column(at);
                "rename column"
            }
            5 if at > 0 => {
                self.tables.remove(at);
                self.sql(&format!("DROP TABLE {name}"));
                "drop table"
            }
            5 => {
                self.create_any();
                "create table"
            }
            6 => {
                self.names += 1;
                self.tables[at].name = format!("t{}", self.names);
                self.sql(&format!("ALTER TABLE {name} RENAME TO t{}", self.names));
                "rename table"
            }
            _ => {
                self.names += 1;
                self.sql(&format!("CREATE INDEX i{} ON {name}(n)", self.names));
                "create index"
            }
        }
    }
}
