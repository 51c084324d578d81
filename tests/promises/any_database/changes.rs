//! Random changes of what is not a record: columns, names, settings, statistics, virtual tables.

use super::draw::{Maker, ROWID_NAMES, quote};
use super::edits::Column;
use super::values::text;

impl Maker {
    pub fn alter(&mut self, table: &str) {
        let (columns, name) = (self.columns(table), quote(table));
        let column = quote(&self.pick_of(&columns).unwrap().name);
        let hides = |c: &&Column| ROWID_NAMES.contains(&c.name.to_ascii_lowercase().as_str());
        let mut new = self.name();
        if ROWID_NAMES.contains(&new.as_str()) && columns.iter().filter(hides).count() > 1 {
            new = "other".to_owned();
        }
        let new = self.quoted(&new);
        let change = match self.below(6) {
            0 => format!("RENAME TO {new}"),
            1 => format!("RENAME COLUMN {column} TO {new}"),
            2 => format!("DROP COLUMN {column}"),
            3 => format!("ADD COLUMN {new} INTEGER DEFAULT 7"),
            4 => format!("ADD COLUMN {new} TEXT NOT NULL DEFAULT 'it''s' COLLATE NOCASE"),
            _ => format!("ADD COLUMN {new} AS (typeof({column}))"),
        };
        self.sql(format!("ALTER TABLE {name} {change}"));
    }

    pub fn drop_something(&mut self) {
        let sql = "SELECT type || ' \"' || replace(name, '\"', '\"\"') || '\"' FROM sqlite_schema
                   WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT IN
                   (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')";
        let all = self.strings(sql);
        if let Some(what) = self.pick_of(&all) {
            self.sql(format!("DROP {what}"));
        }
    }

    /// What is not a change of records: pages, statistics, settings, SQLite's own tables.
    pub fn maintain(&mut self, table: &str) {
        let name = text(table);
        let line = match self.below(13) {
            0..=2 => "VACUUM".to_owned(),
            3 => "REINDEX".to_owned(),
            4 | 5 => "ANALYZE".to_owned(),
            6 => format!("PRAGMA user_version={}", self.below(100)),
            7 => "PRAGMA journal_mode=DELETE; PRAGMA page_size=2048; VACUUM".to_owned(),
            8 => format!("PRAGMA auto_vacuum={}; VACUUM", self.pick(&[0, 1, 2])),
            9 => format!("PRAGMA journal_mode={}", self.pick(&["WAL", "DELETE"])),
            10 => {
                let seq = self.value();
                format!("UPDATE sqlite_sequence SET seq = {seq} WHERE name = {name} OR 1")
            }
            11 => "INSERT INTO sqlite_sequence VALUES('nobody', 5), (NULL, x'00')".to_owned(),
            _ => format!(
                "INSERT INTO sqlite_stat1 VALUES({name}, 'none', {})",
                self.value()
            ),
        };
        self.sql(line);
    }

    /// A table with a module of its own. It is filled at once; its own tables change with it.
    pub fn create_virtual(&mut self) {
        // No column may be called as the table will be.
        let name = quote(&self.name());
        let rows = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 40)";
        let (module, from) = match self.below(4) {
            0 => (
                "fts5(words, more)",
                "SELECT 'bread ' || i, 'milk' || i % 7 FROM n",
            ),
            1 => ("fts5(words, content='')", "SELECT 'word ' || i FROM n"),
            2 => ("fts4(words, more)", "SELECT 'rye ' || i, i FROM n"),
            _ => ("rtree(id, x, y)", "SELECT i, i * 0.1, i * 0.2 + 1 FROM n"),
        };
        self.sql(format!("CREATE VIRTUAL TABLE {name} USING {module}"));
        let columns = match module {
            "fts5(words, content='')" => "(words)",
            _ => "",
        };
        self.sql(format!("{rows} INSERT INTO {name}{columns} {from}"));
    }

    pub fn edit_virtual(&mut self) {
        let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual'";
        let all = self.strings(sql);
        let Some(name) = self.pick_of(&all).map(|name| quote(&name)) else {
            return;
        };
        let sql = match self.below(7) {
            0 => format!("DELETE FROM {name} WHERE rowid % 3 = 0"),
            1 => format!("INSERT INTO {name}({name}) VALUES('optimize')"),
            2 => format!("INSERT INTO {name}({name}) VALUES('rebuild')"),
            3 => format!("ALTER TABLE {name} RENAME TO {}", quote(&self.name())),
            4 => format!("INSERT INTO {name}(words) VALUES({})", self.value()),
            5 => format!("INSERT INTO {name} VALUES(1000, -1.5, 1e30)"),
            _ => format!("UPDATE {name} SET words = 'salt ' || rowid WHERE rowid < 5"),
        };
        self.sql(sql);
    }
}
