//! Random tables, indexes, views and triggers: whatever SQLite lets an application make.

use std::collections::BTreeSet;

use super::draw::{Maker, quote};
use super::values::text;

const TYPES: [&str; 16] = [
    "",
    "",
    "INTEGER",
    "INT",
    "TEXT",
    "TEXT",
    "REAL",
    "NUMERIC",
    "BLOB",
    "VARCHAR(10)",
    "DATETIME",
    "ANY",
    "FLOATING POINT",
    "DECIMAL(10,5)",
    "\"odd type\"",
    "CHARINT",
];
const STRICT_TYPES: [&str; 7] = ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY", "ANY"];
const COLLATIONS: [&str; 4] = ["", " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE binary"];
const ACTIONS: [&str; 5] = [
    "",
    " ON DELETE CASCADE",
    " ON UPDATE SET NULL ON DELETE SET DEFAULT",
    " DEFERRABLE INITIALLY DEFERRED",
    " MATCH FULL ON DELETE RESTRICT",
];

/// How the rows of a new table are identified.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    None,
    Alias(&'static str),
    Columns,
    WithoutRowid,
}

impl Maker {
    pub fn create_table(&mut self) {
        let name = self.name();
        let table = self.quoted(&name);
        let strict = self.once_in(4);
        let key = match self.below(12) {
            0..=2 => Key::None,
            3 | 4 => Key::Alias("PRIMARY KEY"),
            5 | 6 => Key::Alias("PRIMARY KEY AUTOINCREMENT"),
            7 => Key::Alias("PRIMARY KEY DESC"),
            8 => Key::Columns,
            _ => Key::WithoutRowid,
        };
        let mut taken = BTreeSet::new();
        let mut parts = Vec::new();
        let mut ordinary = Vec::new();
        if let Key::Alias(rest) = key {
            let column = self.column_name(&mut taken);
            parts.push(format!("{} INTEGER {rest}", self.quoted(&column)));
        }
        let most = if self.once_in(60) { 120 } else { 6 };
        for _ in 0..=self.below(most) {
            let column = self.column_name(&mut taken);
            ordinary.push(column.clone());
            let definition = self.column(&column, &name, strict);
            parts.push(definition);
        }
        if let Key::Alias(_) = key {
            let at = self.below(parts.len());
            parts.swap(0, at);
        }
        for _ in 0..self.below(8).saturating_sub(5) {
            let column = self.column_name(&mut taken);
            let definition = self.generated(&column, &ordinary, strict);
            let at = self.below(parts.len() + 1);
            parts.insert(at, definition);
        }
        if matches!(key, Key::Columns | Key::WithoutRowid) {
            let key = self.key_columns(&ordinary);
            parts.push(format!("PRIMARY KEY({key})"));
        }
        parts.extend(self.constraints(&ordinary, &name));
        let mut options = Vec::new();
        options.extend((key == Key::WithoutRowid).then_some("WITHOUT ROWID"));
        options.extend(strict.then_some("STRICT"));
        let comma = self.pick(&[",", ", ", ", -- a comment\n  ", "/* , */,"]);
        let begin = self.pick(&[
            "CREATE TABLE",
            "create table if not exists",
            "CREATE  TABLE main.",
        ]);
        let space = if begin.ends_with('.') { "" } else { " " };
        self.sql(format!(
            "{begin}{space}{table}({}) {}",
            parts.join(comma),
            options.join(", ")
        ));
    }

    fn column(&mut self, column: &str, table: &str, strict: bool) -> String {
        let declared = if strict {
            self.pick(&STRICT_TYPES)
        } else {
            self.pick(&TYPES)
        };
        let mut out = format!("{} {declared}", self.quoted(column));
        let own = self.quoted(column);
        if self.once_in(5) {
            let default = match self.below(4) {
                0 => format!("({} )", self.value_for(declared)),
                1 => self
                    .pick(&["-0.0", "x'00ff'", "'it''s'", "NULL", "-5"])
                    .to_owned(),
                2 => self
                    .pick(&["CURRENT_TIMESTAMP", "(abs(-3))", "\"double\"", "TRUE"])
                    .to_owned(),
                _ => text("none"),
            };
            out += &format!(" DEFAULT {default}");
        }
        if self.once_in(6) {
            out += self.pick(&[
                " NOT NULL DEFAULT 0",
                " NOT NULL",
                " CONSTRAINT \"c 1\" NOT NULL",
            ]);
        }
        out += match self.below(5) {
            0 => self.pick(&COLLATIONS),
            _ => "",
        };
        if self.once_in(10) {
            out += " UNIQUE";
        }
        if self.once_in(10) {
            out += &match self.below(3) {
                0 => format!(" CHECK({own} <> \"never this\" OR {own} IS NULL)"),
                1 => format!(" CHECK(typeof({own}) <> 'real')"),
                _ => format!(" CHECK (length({own}) <> 3)"),
            };
        }
        if self.once_in(8) {
            let parent = self.parent(table);
            out += &format!(" REFERENCES {parent}{}", self.pick(&ACTIONS));
        }
        out
    }

    fn generated(&mut self, column: &str, ordinary: &[String], strict: bool) -> String {
        let of = self.pick_of(ordinary).unwrap();
        let of = self.quoted(&of);
        let expression = match self.below(9) {
            0 => format!("length({of})"),
            1 => format!("{of} || '!'"),
            2 => format!("typeof({of})"),
            3 => format!("coalesce({of}, 'none')"),
            4 => format!("{of} + 1"),
            // Fails for the least integer.
            5 => format!("abs({of})"),
            6 => format!("substr({of}, 1, 3)"),
            7 => format!("CAST({of} AS BLOB)"),
            _ => format!("lower(hex(substr({of}, 1, 100)))"),
        };
        let declared = if strict { "ANY" } else { self.pick(&TYPES) };
        let kind = self.pick(&["", " VIRTUAL", " STORED", " STORED"]);
        let begin = self.pick(&["GENERATED ALWAYS AS", "AS"]);
        format!(
            "{} {declared} {begin} ({expression}){kind}",
            self.quoted(column)
        )
    }

    /// Columns of a key: several, in any order, some twice.
    fn key_columns(&mut self, ordinary: &[String]) -> String {
        let count = 1 + self.below(4);
        let mut parts = Vec::new();
        for _ in 0..count {
            let column = self.pick_of(ordinary).unwrap();
            let collation = if self.once_in(3) {
                self.pick(&COLLATIONS)
            } else {
                ""
            };
            let order = self.pick(&["", "", " DESC", " ASC"]);
            parts.push(format!("{}{collation}{order}", self.quoted(&column)));
        }
        parts.join(", ")
    }

    fn constraints(&mut self, ordinary: &[String], table: &str) -> Vec<String> {
        let mut parts = Vec::new();
        if self.once_in(8) {
            parts.push(format!("UNIQUE({})", self.key_columns(ordinary)));
        }
        if self.once_in(8) {
            let column = self.pick_of(ordinary).unwrap();
            let column = self.quoted(&column);
            parts.push(format!("CONSTRAINT [x] CHECK({column} IS NOT 'forbidden')"));
        }
        if self.once_in(6) && ordinary.len() > 1 {
            let parent = self.existing_table().unwrap_or_else(|| table.to_owned());
            let (a, b) = (quote(&ordinary[0]), quote(&ordinary[1]));
            let of_parent = match self.below(3) {
                0 => String::new(),
                _ => format!("({b}, {a})"),
            };
            let action = self.pick(&ACTIONS);
            let parent = self.quoted(&parent);
            parts.push(format!(
                "FOREIGN KEY({a}, {b}) REFERENCES {parent}{of_parent}{action}"
            ));
        }
        parts
    }

    /// A parent of a reference: another table, the table itself, none that exists.
    fn parent(&mut self, table: &str) -> String {
        let parent = match self.below(4) {
            0 => table.to_owned(),
            1 => "nowhere".to_owned(),
            _ => self.existing_table().unwrap_or_default(),
        };
        let column = match self.below(3) {
            0 => {
                let columns = self.columns(&parent);
                self.pick_of(&columns)
                    .map_or_else(String::new, |column| format!("({})", quote(&column.name)))
            }
            _ => String::new(),
        };
        format!("{}{column}", self.quoted(&parent))
    }

    pub fn create_index(&mut self) {
        let Some(table) = self.existing_table() else {
            return;
        };
        let columns = self.columns(&table);
        let mut parts = Vec::new();
        for _ in 0..=self.below(3) {
            let column = quote(&self.pick_of(&columns).unwrap().name);
            let part = match self.below(6) {
                0 => format!("lower({column})"),
                1 => format!("{column} || 'x'"),
                2 => format!("length({column}) + 1"),
                _ => column,
            };
            let collation = if self.once_in(3) {
                self.pick(&COLLATIONS)
            } else {
                ""
            };
            parts.push(format!(
                "{part}{collation}{}",
                self.pick(&["", " DESC", " ASC"])
            ));
        }
        let column = quote(&columns[0].name);
        let rest = match self.below(6) {
            0 => format!(" WHERE {column} IS NOT NULL"),
            1 => format!(" WHERE {column} > \"text\" AND typeof({column}) = 'text'"),
            _ => String::new(),
        };
        let begin = self.pick(&["CREATE INDEX", "CREATE INDEX", "CREATE UNIQUE INDEX"]);
        let name = self.name();
        let (name, table) = (self.quoted(&name), self.quoted(&table));
        self.sql(format!(
            "{begin} {name} ON {table}({}){rest}",
            parts.join(", ")
        ));
    }

    pub fn create_view(&mut self) {
        let name = self.name();
        let name = self.quoted(&name);
        let table = self
            .existing_table()
            .unwrap_or_else(|| "nowhere".to_owned());
        let from = self.quoted(&table);
        let view = match self.below(6) {
            0 => format!("CREATE VIEW {name} AS SELECT * FROM nowhere"),
            1 => format!("CREATE VIEW {name} AS SELECT missing_function(1) AS \"x y\""),
            2 => format!("CREATE VIEW {name}(\"one\", two) AS SELECT 1, count(*) FROM {from}"),
            3 => format!("create view {name} as select * from {from} -- to the end"),
            _ => format!(
                "CREATE VIEW {name} AS SELECT count(*) AS n FROM {from} WHERE \"text\" <> 1"
            ),
        };
        self.sql(view);
    }

    /// A trigger. Those that would make every write fail fire only for one value.
    pub fn create_trigger(&mut self) {
        let Some(table) = self.existing_table() else {
            return;
        };
        let other = self.existing_table().unwrap();
        let name = self.name();
        let (name, on, other) = (self.quoted(&name), self.quoted(&table), self.quoted(&other));
        let when = self.pick(&[
            "BEFORE DELETE",
            "AFTER DELETE",
            "AFTER UPDATE",
            "AFTER INSERT",
        ]);
        let body = match self.below(6) {
            0 => "SELECT missing_function(1)".to_owned(),
            1 => "INSERT INTO nowhere VALUES(1)".to_owned(),
            2 => format!("DELETE FROM {other} WHERE 0"),
            3 => "SELECT RAISE(IGNORE)".to_owned(),
            _ => "SELECT 1; SELECT \"text\"".to_owned(),
        };
        let condition = if self.once_in(2) { " WHEN 0" } else { "" };
        self.sql(format!(
            "CREATE TRIGGER {name} {when} ON {on}{condition} BEGIN {body}; END"
        ));
    }
}
