//! A whole case at random, and its changes of records: rows, keys, values.

use super::draw::{Maker, ROWID_NAMES, Step, quote};

/// A column that is there.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub declared: String,
    /// 0: can be written.
    hidden: i64,
    in_key: bool,
}

/// A whole case: a database, and changes between backups.
pub fn script(seed: u64, features: super::Features) -> Maker {
    let mut maker = Maker::new(seed);
    maker.settings(features);
    maker.wide = maker.once_in(8);
    for _ in 0..maker.below(6) {
        maker.create_table();
        maker.fill_last();
    }
    if features.virtual_tables && maker.once_in(3) {
        maker.create_virtual();
    }
    for _ in 0..maker.below(5) {
        maker.create_something();
    }
    maker.steps.push(Step::Backup);
    for _ in 0..=maker.below(4) {
        for _ in 0..maker.below(6) {
            maker.edit();
        }
        if maker.once_in(3) {
            maker.steps.push(Step::Reopen);
        }
        maker.steps.push(Step::Backup);
    }
    maker
}

impl Maker {
    fn settings(&mut self, features: super::Features) {
        let mut lines = vec!["PRAGMA foreign_keys=OFF".to_owned()];
        if features.utf16 && self.once_in(4) {
            let encoding = self.pick(&["UTF-16le", "UTF-16be"]);
            lines.push(format!("PRAGMA encoding='{encoding}'"));
        }
        let page = self.pick(&[512, 1024, 4096, 4096, 8192, 65536]);
        lines.push(format!("PRAGMA page_size={page}"));
        lines.push(format!("PRAGMA auto_vacuum={}", self.pick(&[0, 0, 1, 2])));
        if self.once_in(3) {
            lines.push("PRAGMA journal_mode=WAL".to_owned());
        }
        if self.once_in(5) {
            lines.push("PRAGMA ignore_check_constraints=ON".to_owned());
        }
        if self.once_in(5) {
            lines.push("PRAGMA legacy_alter_table=ON".to_owned());
        }
        if self.once_in(3) {
            lines.push(format!(
                "PRAGMA user_version={}",
                self.pick(&[1, -1, 2_147_483_647])
            ));
            lines.push(format!(
                "PRAGMA application_id={}",
                self.pick(&[1, -2_147_483_648])
            ));
        }
        lines.into_iter().for_each(|line| self.sql(line));
    }

    pub fn strings(&self, sql: &str) -> Vec<String> {
        let mut statement = self.db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    pub fn existing_table(&mut self) -> Option<String> {
        let names = self.strings(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        );
        self.pick_of(&names)
    }

    pub fn columns(&self, table: &str) -> Vec<Column> {
        let sql = "SELECT name, type, hidden, pk FROM pragma_table_xinfo(?, 'main')";
        let mut statement = self.db.prepare(sql).unwrap();
        let column = |row: &rusqlite::Row<'_>| {
            Ok(Column {
                name: row.get(0)?,
                declared: row.get(1)?,
                hidden: row.get(2)?,
                in_key: row.get::<_, i64>(3)? > 0,
            })
        };
        let rows = statement.query_map([table], column).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn is_strict(&self, table: &str) -> bool {
        let sql = "SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?";
        self.db
            .query_row(sql, [table], |row| row.get(0))
            .unwrap_or(false)
    }

    /// The name by which the rowid is reached that is no column.
    fn rowid_name(&self, table: &str) -> Option<&'static str> {
        let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?";
        let without: bool = self
            .db
            .query_row(sql, [table], |row| row.get(0))
            .unwrap_or(true);
        let columns = self.columns(table);
        let free = |name: &&&str| !columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
        ROWID_NAMES.iter().find(free).copied().filter(|_| !without)
    }

    fn last_table(&self) -> Option<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE name IN
                   (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table')
                   AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid DESC LIMIT 1";
        self.strings(sql).pop()
    }

    fn fill_last(&mut self) {
        let Some(table) = self.last_table() else {
            return;
        };
        if self.wide && self.once_in(2) {
            let count = 1000 + self.below(4000);
            self.insert_series(&table, count);
        }
        for _ in 0..self.below(14) {
            self.insert(&table);
        }
    }

    fn insert(&mut self, table: &str) {
        let strict = self.is_strict(table);
        let (mut names, mut values) = (Vec::new(), Vec::new());
        let sparse = self.once_in(5);
        for column in self.columns(table) {
            if column.hidden == 0 && !(sparse && self.once_in(2)) {
                names.push(quote(&column.name));
                values.push(
                    match (strict, column.in_key && column.declared == "INTEGER") {
                        // Most likely the rowid, which is an integer or nothing.
                        (_, true) if !self.once_in(8) => self.rowid(),
                        (true, _) => self.value_for(&column.declared),
                        (false, _) => self.value(),
                    },
                );
            }
        }
        if let Some(rowid) = self.rowid_name(table).filter(|_| self.once_in(8)) {
            names.push(rowid.to_owned());
            values.push(self.rowid());
        }
        let verb = self.pick(&["INSERT OR IGNORE", "INSERT OR IGNORE", "REPLACE"]);
        let into = quote(table);
        match names.is_empty() {
            true => self.sql(format!("INSERT INTO {into} DEFAULT VALUES")),
            false => self.sql(format!(
                "{verb} INTO {into}({}) VALUES({})",
                names.join(", "),
                values.join(", ")
            )),
        }
    }

    /// A rowid; now and then one at the ends of the range.
    fn rowid(&mut self) -> String {
        let far = [
            "-9223372036854775808",
            "-1",
            "0",
            "70000",
            "9223372036854775806",
        ];
        match self.below(10) {
            0 => self.pick(&far).to_owned(),
            1..=3 => "NULL".to_owned(),
            _ => self.below(60).to_string(),
        }
    }

    fn insert_series(&mut self, table: &str, count: usize) {
        let from = self.below(1000);
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for column in self.columns(table).iter().filter(|c| c.hidden == 0) {
            names.push(quote(&column.name));
            values.push(match column.in_key && column.declared != "BLOB" {
                true => self.pick(&["i", "i * 7919 % 1000003", "i * 3"]).to_owned(),
                false => self.series(&column.declared),
            });
        }
        self.sql(format!(
            "WITH n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n LIMIT {count}) \
             INSERT OR IGNORE INTO {}({}) SELECT {} FROM n",
            quote(table),
            names.join(", "),
            values.join(", ")
        ));
    }

    /// A condition that finds no row, one, some or all.
    fn some_rows(&mut self, table: &str, columns: &[Column]) -> String {
        let place = self.rowid_name(table).map_or_else(
            || format!("length({})", quote(&columns[0].name)),
            str::to_owned,
        );
        let column = quote(&self.pick_of(columns).unwrap().name);
        let (part, rest) = (2 + self.below(6), self.below(3));
        match self.below(6) {
            0 => "1".to_owned(),
            1 => format!("{column} IS {}", self.value()),
            2 => format!(
                "typeof({column}) = '{}'",
                self.pick(&["text", "null", "integer", "blob"])
            ),
            3 => format!("{place} BETWEEN {rest} AND {part}"),
            4 => format!("{place} % 97 = {rest}"),
            _ => format!("{place} % {part} = {rest}"),
        }
    }

    fn update(&mut self, table: &str) {
        let columns = self.columns(table);
        let rows = self.some_rows(table, &columns);
        let written: Vec<Column> = columns.into_iter().filter(|c| c.hidden == 0).collect();
        let Some(column) = self.pick_of(&written) else {
            return;
        };
        let name = quote(&column.name);
        let value = match self.below(8) {
            0 => format!("{name} + 1"),
            1 => format!("{name} || 'x'"),
            2 => format!("substr({name}, 1, 100) || 'm' || substr({name}, 101)"),
            3 => self.pick_of(&written).map(|c| quote(&c.name)).unwrap(),
            _ if self.is_strict(table) => self.value_for(&column.declared),
            _ => self.value(),
        };
        let verb = self.pick(&["UPDATE OR IGNORE", "UPDATE OR IGNORE", "UPDATE OR REPLACE"]);
        self.sql(format!(
            "{verb} {} SET {name} = {value} WHERE {rows}",
            quote(table)
        ));
    }

    /// Changes a few rows of a table with many, so that most of its tree stays.
    fn change_a_few(&mut self) {
        let all = self.strings(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        );
        let rows = |name: &String| {
            let sql = format!("SELECT count(*) FROM {}", quote(name));
            self.db
                .query_row(&sql, [], |row| row.get(0))
                .unwrap_or(0i64)
        };
        let Some(table) = all.iter().max_by_key(|name| rows(name)) else {
            return;
        };
        let columns = self.columns(table);
        let plain = |c: &&Column| c.hidden == 0 && !c.in_key;
        let plain: Vec<Column> = columns.iter().filter(plain).cloned().collect();
        let key = columns.iter().find(|c| c.in_key).map(|c| quote(&c.name));
        let place = self.rowid_name(table).map(str::to_owned).or(key);
        let (Some(column), Some(place)) = (self.pick_of(&plain), place) else {
            return;
        };
        let value = self.value_for(if self.is_strict(table) {
            &column.declared
        } else {
            ""
        });
        let rest = self.below(400);
        let (table, column) = (quote(table), quote(&column.name));
        self.sql(format!(
            "UPDATE OR IGNORE {table} SET {column} = {value} WHERE {place} % 400 = {rest}"
        ));
    }

    fn change_keys(&mut self, table: &str) {
        let columns = self.columns(table);
        let rows = self.some_rows(table, &columns);
        let key = columns.iter().find(|c| c.in_key).map(|c| quote(&c.name));
        let Some(key) = key.or_else(|| self.rowid_name(table).map(str::to_owned)) else {
            return;
        };
        let new = self
            .pick(&["? + 1", "? + 100000", "-?", "? || 'x'", "? * 2"])
            .replace('?', &key);
        self.sql(format!(
            "UPDATE OR IGNORE {} SET {key} = {new} WHERE {rows}",
            quote(table)
        ));
    }

    fn delete(&mut self, table: &str) {
        let columns = self.columns(table);
        let rows = self.some_rows(table, &columns);
        self.sql(format!("DELETE FROM {} WHERE {rows}", quote(table)));
    }

    fn edit(&mut self) {
        let Some(table) = self.existing_table() else {
            self.create_table();
            return self.fill_last();
        };
        match self.below(16) {
            0..=3 => {
                for _ in 0..=self.below(4) {
                    self.insert(&table);
                }
            }
            4 if self.wide => self.change_a_few(),
            4..=6 => self.update(&table),
            7 => self.change_keys(&table),
            8 | 9 => self.delete(&table),
            10 | 11 => self.alter(&table),
            12 | 13 => self.create_something(),
            14 if self.once_in(2) => self.drop_something(),
            14 => self.edit_virtual(),
            _ => self.maintain(&table),
        }
    }

    pub fn create_something(&mut self) {
        match self.below(8) {
            0..=2 => self.create_index(),
            3 => self.create_view(),
            4 => self.create_trigger(),
            5 => {
                let (Some(of), name) = (self.existing_table(), self.name()) else {
                    return;
                };
                let sql = format!(
                    "CREATE TABLE {} AS SELECT * FROM {}",
                    quote(&name),
                    quote(&of)
                );
                self.sql(sql);
            }
            6 if self.wide => {
                let Some(table) = self.existing_table() else {
                    return;
                };
                let count = 300 + self.below(1500);
                self.insert_series(&table, count);
            }
            _ => {
                self.create_table();
                self.fill_last();
            }
        }
    }
}
