//! Random tables with keys and references, and rows that often collide.

use crate::tree_rows::Random;

/// Draws one case.
pub struct Case {
    random: Random,
    said: String,
}

/// A table twice, without and with keys, and what SQLite is asked of each key.
pub struct Keys {
    pub loose: String,
    pub tight: String,
    pub questions: Vec<(String, String)>,
}

const TYPES: [&str; 8] = [
    "",
    "INTEGER",
    "TEXT",
    "NUMERIC",
    "REAL",
    "BLOB",
    "VARCHAR(9)",
    "ANY",
];
const COLLATIONS: [&str; 5] = ["", "", "COLLATE NOCASE", "COLLATE RTRIM", "COLLATE BINARY"];
const VALUES: [&str; 32] = [
    "NULL",
    "NULL",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "1.0",
    "2.5",
    "-0.0",
    "9e999",
    "'1'",
    "'2'",
    "'01'",
    "'1.0'",
    "' 1'",
    "'2.50'",
    "'a'",
    "'A'",
    "'a '",
    "'b'",
    "'A  '",
    "''",
    "x'31'",
    "x'61'",
    "x''",
    "9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775808.0",
    "9007199254740993",
    "9007199254740992.0",
    "'é' || char(0) || 'x'",
];
const ROWIDS: [&str; 4] = [
    "-9223372036854775808",
    "9223372036854775807",
    "9007199254740992",
    "0",
];
const ENCODINGS: [&str; 4] = ["UTF-8", "UTF-8", "UTF-16le", "UTF-16be"];

impl Case {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            said: String::new(),
        }
    }

    /// All SQL so far.
    pub fn said(&self) -> &str {
        &self.said
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(end as u64)).unwrap()
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        let at = self.below(words.len());
        words[at]
    }

    fn column(&mut self, name: &str) -> String {
        format!(
            "{name} {} {}",
            self.one_of(&TYPES),
            self.one_of(&COLLATIONS)
        )
    }

    /// A parent with several keys, and children that refer to each of them, to nothing, and to themselves.
    pub fn references(&mut self) -> String {
        let (a, b, c) = (self.column("a"), self.column("b"), self.column("c"));
        let (key, end) = match self.below(5) {
            0 => ("id INTEGER PRIMARY KEY,", ")"),
            1 => ("", ", PRIMARY KEY(a))"),
            2 => ("", ", PRIMARY KEY(a, b))"),
            3 => ("", ", PRIMARY KEY(b, a)) WITHOUT ROWID"),
            _ => ("", ", PRIMARY KEY(a)) WITHOUT ROWID"),
        };
        let mut sql = format!(
            "PRAGMA encoding='{}'; PRAGMA foreign_keys=OFF;
             CREATE TABLE p({key} {a}, {b}, {c}, UNIQUE(b), UNIQUE(c, b){end};\n",
            self.one_of(&ENCODINGS)
        );
        for (table, reference) in [
            ("k", "FOREIGN KEY(x) REFERENCES p"),
            (
                "l",
                "FOREIGN KEY(x) REFERENCES p(b), FOREIGN KEY(x, y) REFERENCES p(b, c)",
            ),
            (
                "m",
                "FOREIGN KEY(x, y) REFERENCES p, FOREIGN KEY(y) REFERENCES absent(q)",
            ),
            ("s", "UNIQUE(y), FOREIGN KEY(x) REFERENCES s(y)"),
            (
                "t",
                "FOREIGN KEY(n) REFERENCES p(b), FOREIGN KEY(x) REFERENCES t(n)",
            ),
        ] {
            let own = match self.below(3) {
                0 => "",
                _ => "n INTEGER PRIMARY KEY,",
            };
            let own = if table == "t" {
                "n INTEGER PRIMARY KEY,"
            } else {
                own
            };
            let (x, y) = (self.column("x"), self.column("y"));
            sql.push_str(&format!(
                "CREATE TABLE {table}({own} {x}, {y}, {reference});\n"
            ));
        }
        self.said.push_str(&sql);
        sql
    }

    /// Rows that come and go; some of it may be refused.
    pub fn edits(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..30 {
            let table = self.one_of(&["p", "p", "p", "k", "l", "m", "s", "t"]);
            let columns = if table == "p" { "a, b, c" } else { "x, y" };
            let mut values: Vec<&str> = Vec::new();
            for _ in columns.split(", ") {
                values.push(self.one_of(&VALUES));
            }
            let values = values.join(", ");
            let first = columns.split(", ").next().unwrap();
            let line = match self.below(6) {
                0 => format!(
                    "DELETE FROM {table} WHERE {first} IS {};\n",
                    self.one_of(&VALUES)
                ),
                1 => format!(
                    "UPDATE OR IGNORE {table} SET {first} = {} WHERE {first} IS {};\n",
                    self.one_of(&VALUES),
                    self.one_of(&VALUES)
                ),
                // A table without rowids refuses it.
                2 => format!(
                    "INSERT OR IGNORE INTO {table}(rowid, {columns}) VALUES({}, {values});\n",
                    self.one_of(&ROWIDS)
                ),
                _ => format!("INSERT OR IGNORE INTO {table}({columns}) VALUES({values});\n"),
            };
            self.said.push_str(&line);
            lines.push(line);
        }
        lines
    }

    /// A table without keys whose rows break those of the other.
    pub fn keys(&mut self) -> Keys {
        let encoding = format!("PRAGMA encoding='{}';", self.one_of(&ENCODINGS));
        let columns: [String; 3] = ["a", "b", "c"].map(|name| self.column(name));
        let own = columns.clone().map(|column| {
            let words: Vec<&str> = column.split(' ').collect();
            if words[2] == "COLLATE" {
                words[3].to_owned()
            } else {
                "BINARY".to_owned()
            }
        });
        let not_null = self.below(2) == 0;
        let index = self.one_of(&["BINARY", "NOCASE", "RTRIM"]);
        let mut loose = format!(
            "{encoding} CREATE TABLE t({}); BEGIN;\n",
            columns.join(", ")
        );
        for _ in 0..self.below(40) {
            let values: [&str; 3] = [(); 3].map(|()| self.one_of(&VALUES));
            loose.push_str(&format!("INSERT INTO t VALUES({});\n", values.join(", ")));
        }
        loose.push_str("COMMIT;");
        let mut tight = columns.clone();
        if not_null {
            tight[2].push_str(" NOT NULL");
        }
        let tight = format!(
            "{encoding} CREATE TABLE t({}, UNIQUE(a), UNIQUE(b, c)); CREATE UNIQUE INDEX i ON t(c COLLATE {index} DESC);",
            tight.join(", ")
        );
        let question = |terms: &[(&str, &str)]| {
            let whole: Vec<String> = terms
                .iter()
                .map(|(c, _)| format!("{c} IS NOT NULL"))
                .collect();
            let groups: Vec<String> = terms
                .iter()
                .map(|(c, by)| format!("{c} COLLATE {by}"))
                .collect();
            format!(
                "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM t WHERE {} GROUP BY {})",
                whole.join(" AND "),
                groups.join(", ")
            )
        };
        let mut questions = vec![
            ("UNIQUE (a)".to_owned(), question(&[("a", &own[0])])),
            (
                "UNIQUE (b, c)".to_owned(),
                question(&[("b", &own[1]), ("c", &own[2])]),
            ),
            ("UNIQUE (c)".to_owned(), question(&[("c", index)])),
        ];
        if not_null {
            let sql = "SELECT count(*) FROM t WHERE c IS NULL".to_owned();
            questions.push(("NOT NULL".to_owned(), sql));
        }
        Keys {
            loose,
            tight,
            questions,
        }
    }
}
