//! What the generator draws from: numbers, names that are hard to quote, and the script it writes.

use std::collections::BTreeSet;

use crate::tree_rows::Random;

/// One step of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A statement; one that SQLite refuses changes nothing, and the case goes on.
    Sql(String),
    /// The application closes the database and opens it again.
    Reopen,
    /// A backup, compared in every way.
    Backup,
}

/// Makes the script of a case.
pub struct Maker {
    random: Random,
    /// The database as it is now: what is drawn next depends on what is there.
    pub db: rusqlite::Connection,
    pub steps: Vec<Step>,
    /// Statements that SQLite refused.
    pub refused: usize,
    pub names: usize,
    pub wide: bool,
}

impl Maker {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            db: rusqlite::Connection::open_in_memory().unwrap(),
            steps: Vec::new(),
            refused: 0,
            names: 0,
            wide: false,
        }
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(end.max(1) as u64)).unwrap()
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len());
        from[at]
    }

    pub fn pick_of<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len());
        from.get(at).cloned()
    }

    pub fn next(&mut self) -> u64 {
        self.random.next()
    }

    pub fn hex(&mut self, bytes: usize) -> String {
        let bytes = self.random.bytes(bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Runs a statement here, and again when the case is played.
    pub fn sql(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.refused += usize::from(self.db.execute_batch(&text).is_err());
        self.steps.push(Step::Sql(text));
    }

    /// A name for something new: often plain, often not.
    pub fn name(&mut self) -> String {
        self.names += 1;
        match self.below(5) {
            0 | 1 => format!("n{}", self.names),
            2 => format!("{} {}", self.pick(&ODD_NAMES), self.names),
            _ => self.pick(&ODD_NAMES).to_owned(),
        }
    }

    /// A name of a column that the table does not have yet. The last name by which a rowid can be
    /// reached is not taken: tables without any are tried elsewhere.
    pub fn column_name(&mut self, taken: &mut BTreeSet<String>) -> String {
        loop {
            let name = match self.below(8) {
                0 => self.pick(&ROWID_NAMES).to_owned(),
                1..=3 => format!("c{}", taken.len()),
                _ => self.name(),
            };
            let folded = name.to_ascii_lowercase();
            let hides = |name: &&&str| taken.contains(**name) || **name == folded;
            if ROWID_NAMES.iter().filter(hides).count() < 3 && taken.insert(folded) {
                return name;
            }
        }
    }

    /// A name as it may stand in a statement.
    pub fn quoted(&mut self, name: &str) -> String {
        let plain = name.starts_with('n') && name[1..].bytes().all(|b| b.is_ascii_digit());
        match self.below(6) {
            0 | 1 if plain && name.len() > 1 => name.to_owned(),
            2 => format!("`{}`", name.replace('`', "``")),
            3 if !name.contains(']') => format!("[{name}]"),
            _ => quote(name),
        }
    }
}

pub const ROWID_NAMES: [&str; 3] = ["rowid", "oid", "_rowid_"];

const ODD_NAMES: [&str; 36] = [
    "",
    " ",
    "a",
    "A b",
    "select",
    "ORDER",
    "table",
    "Straße",
    "ünï",
    "Ünï",
    "ÜNÏ",
    "é",
    "e\u{301}",
    "🧀 cheese",
    "quo\"te",
    "it's",
    "back`tick",
    "[square]",
    "semi;--",
    "/* no comment */",
    "slash/back\\",
    "../up",
    "CON",
    "nul.json",
    "dot.dot",
    "tab\tnew\nline",
    "%s %",
    "?1",
    ":x",
    "$",
    "0",
    "-1",
    "NULL",
    "autoincrement",
    "sqlitex",
    "\u{202e}right",
];

/// A name in double quotes.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
