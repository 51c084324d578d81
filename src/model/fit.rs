//! Which values a column takes as they are.
//!
//! A database may hold others: its schema text was changed over its rows, or a check was off. Such
//! a value cannot be inserted again, or comes out of it as another. <https://sqlite.org/datatype3.html>

use super::counted::{agree, counted};
use super::schema::{Column, ColumnKind, Table};
use super::text::TextEncoding;
use super::value::{LongClass, ValueRef};

/// What becomes of a value that is inserted where it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It is refused: NULL in a NOT NULL column, another class in a STRICT table.
    Refused,
    /// It is converted by the column's affinity.
    Converted,
}

impl Misfit {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Converted => "converted",
        }
    }
}

/// What a column makes of values that are stored in it: section 3 of the page above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// Numbers, whole ones as integers.
    Integer,
    /// Numbers, as reals.
    Real,
    /// Numbers.
    Numeric,
    /// Texts.
    Text,
    /// Values as they are.
    None,
}

impl Affinity {
    /// The affinity of a column of this declared type.
    pub fn of(declared: &str, strict: bool) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        if strict && declared == "ANY" {
            Self::None
        } else if has(&["INT"]) {
            Self::Integer
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if declared.is_empty() || has(&["BLOB"]) {
            Self::None
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// `value`'s text is UTF-8.
    fn converts(self, value: ValueRef<'_>) -> bool {
        match (self, value) {
            (Self::Text, ValueRef::Integer(_) | ValueRef::Real(_)) => true,
            (Self::Integer | Self::Numeric, ValueRef::Real(real)) => is_integer(real),
            // It is stored as the integer 0.
            (Self::Real, ValueRef::Real(real)) => real == 0.0 && real.is_sign_negative(),
            (Self::Integer | Self::Numeric | Self::Real, ValueRef::Text(text)) => is_number(text),
            _ => false,
        }
    }
}

/// True for a real that SQLite stores as an integer where it may.
fn is_integer(real: f64) -> bool {
    // 2^63; the outermost integers themselves are excepted.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    real.fract() == 0.0 && real > -LIMIT && real < LIMIT
}

/// What SQLite reads of a text that may be a number. Older versions read on behind a NUL, and so kept
/// texts that are converted now.
fn up_to_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// True for a text that as a whole is a number to SQLite, spaces around it allowed.
fn is_number(text: &[u8]) -> bool {
    let is_space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let skip = |text: &mut &[u8], of: &dyn Fn(&u8) -> bool| {
        let count = text.iter().take_while(|byte| of(byte)).count();
        *text = &text[count..];
        count
    };
    let sign = |text: &mut &[u8]| {
        if let [b'+' | b'-', rest @ ..] = *text {
            *text = rest;
        }
    };
    let mut rest = up_to_nul(text);
    skip(&mut rest, &is_space);
    sign(&mut rest);
    let mut digits = skip(&mut rest, &u8::is_ascii_digit);
    if let [b'.', after @ ..] = rest {
        rest = after;
        digits += skip(&mut rest, &u8::is_ascii_digit);
    }
    if let (1.., [b'e' | b'E', after @ ..]) = (digits, rest) {
        rest = after;
        sign(&mut rest);
        if skip(&mut rest, &u8::is_ascii_digit) == 0 {
            return false;
        }
    }
    skip(&mut rest, &is_space);
    digits > 0 && rest.is_empty()
}

/// True for a number, as text, that SQLite stores as an integer.
fn is_whole(number: &[u8]) -> bool {
    let text = String::from_utf8_lossy(up_to_nul(number));
    let text = text.trim_matches(|c: char| c == ' ' || ('\t'..='\r').contains(&c));
    text.parse::<i64>().is_ok() || text.parse().is_ok_and(is_integer)
}

/// How rows with a [`Misfit::Refused`] value are told of: `3 records hold` this.
const REFUSED: &str = "a value that its column refuses";

/// What is said of a table with so many rows that hold a value which its column refuses, the first
/// of them in this place.
pub fn refused_text(rows: u64, first: &str) -> String {
    let (records, hold) = (counted(rows, "record"), agree(rows, "holds", "hold"));
    format!("{records} {hold} {REFUSED} (the first: {first})")
}

/// The number of rows in what [`refused_text`] says; `None` for any other text.
pub fn refused_rows(text: &str) -> Option<u64> {
    let (number, rest) = text.split_once(" record")?;
    let rest = rest.split_once(" hold")?.1.trim_start_matches('s');
    let is_one = rest.strip_prefix(' ')?.starts_with(REFUSED);
    let number = number.replace(',', "").parse().ok();
    number.filter(|_| is_one)
}

/// What one column of a leaf asks of its values.
#[derive(Debug, Clone, Copy)]
struct Rule {
    not_null: bool,
    affinity: Affinity,
    /// The only storage class that a STRICT table takes there.
    only: Option<Class>,
}

/// The storage classes that a STRICT table tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Integer,
    Real,
    Text,
    Blob,
}

impl Class {
    fn of(value: ValueRef<'_>) -> Option<Self> {
        Some(match value {
            ValueRef::Null => return None,
            ValueRef::Integer(_) => Self::Integer,
            ValueRef::Real(_) => Self::Real,
            ValueRef::Text(_) => Self::Text,
            ValueRef::Blob(_) => Self::Blob,
            ValueRef::Spilled(spilled) => match spilled.class {
                LongClass::Text => Self::Text,
                LongClass::Blob => Self::Blob,
            },
        })
    }

    fn only(declared: &str) -> Option<Self> {
        match declared.to_ascii_uppercase().as_str() {
            "INT" | "INTEGER" => Some(Self::Integer),
            "REAL" => Some(Self::Real),
            "TEXT" => Some(Self::Text),
            "BLOB" => Some(Self::Blob),
            _ => None,
        }
    }
}

impl Rule {
    /// Values that kind_of stay what they are, as bits of [`kind_of`]: most do.
    fn plain(self) -> u8 {
        let takes = |class: Class| self.only.is_none_or(|only| only == class);
        let is = |yes: bool, bit: u8| if yes { bit } else { 0 };
        let is_text = matches!(self.affinity, Affinity::Text | Affinity::None);
        let is_real = matches!(self.affinity, Affinity::Real | Affinity::None);
        is(!self.not_null, bit::NULL)
            | is(
                self.affinity != Affinity::Text && takes(Class::Integer),
                bit::INTEGER,
            )
            | is(is_real && takes(Class::Real), bit::REAL)
            | is(
                self.affinity == Affinity::None && takes(Class::Real),
                bit::ZERO,
            )
            | is(is_text && takes(Class::Text), bit::TEXT)
            | is(takes(Class::Blob), bit::BLOB)
    }

    fn misfit(self, value: ValueRef<'_>) -> Option<Misfit> {
        let Some(class) = Class::of(value) else {
            return self.not_null.then_some(Misfit::Refused);
        };
        if self.affinity.converts(value) {
            let stays_real = |text: &[u8]| self.only == Some(Class::Integer) && !is_whole(text);
            return Some(match value {
                // Converted first, and then of the wrong class.
                ValueRef::Text(text) if stays_real(text) => Misfit::Refused,
                _ => Misfit::Converted,
            });
        }
        let is_refused = self.only.is_some_and(|only| only != class);
        is_refused.then_some(Misfit::Refused)
    }
}

/// Kinds of values, each a bit.
mod bit {
    pub const NULL: u8 = 1;
    pub const INTEGER: u8 = 2;
    /// Any but the zeros, of which one is stored as an integer.
    pub const REAL: u8 = 4;
    pub const ZERO: u8 = 8;
    pub const TEXT: u8 = 16;
    pub const BLOB: u8 = 32;
    /// A large one, of which nothing is plain.
    pub const SPILLED: u8 = 64;
}

/// The kind of a value.
fn kind_of(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => bit::NULL,
        ValueRef::Integer(_) => bit::INTEGER,
        ValueRef::Real(0.0) => bit::ZERO,
        ValueRef::Real(_) => bit::REAL,
        ValueRef::Text(_) => bit::TEXT,
        ValueRef::Blob(_) => bit::BLOB,
        ValueRef::Spilled(_) => bit::SPILLED,
    }
}

/// What the columns of a table ask of the values of its leaves.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Of each leaf column; a stored generated one is computed, not inserted.
    rules: Vec<Option<Rule>>,
    /// Of each of them, which kinds of values need no look.
    plain: Vec<u8>,
    encoding: TextEncoding,
}

impl Fit {
    /// True if no value is ever refused.
    pub fn takes_all(&self) -> bool {
        let refuses = |rule: &Rule| rule.not_null || rule.only.is_some();
        !self.rules.iter().flatten().any(refuses)
    }

    /// The rules of a table, whose texts are in `encoding`.
    pub fn of(table: &Table, encoding: TextEncoding) -> Self {
        let rule = |at: usize| {
            let column: &Column = &table.columns[at];
            (column.kind == ColumnKind::Ordinary).then(|| Rule {
                not_null: column.not_null,
                affinity: Affinity::of(&column.declared_type, table.strict),
                only: Class::only(&column.declared_type).filter(|_| table.strict),
            })
        };
        let rules: Vec<Option<Rule>> = table.leaf_columns().map(rule).collect();
        let plain = rules.iter().map(|rule| rule.map_or(u8::MAX, Rule::plain));
        Self {
            plain: plain.collect(),
            rules,
            encoding,
        }
    }

    /// The first value of a row that is not taken as it is: its place, and what becomes of it.
    pub fn misfit(&self, values: &[ValueRef<'_>]) -> Option<(usize, Misfit)> {
        let mut kinds = self.plain.iter().zip(values);
        if kinds.all(|(plain, value)| plain & kind_of(*value) != 0) {
            return None;
        }
        let misfit = |rule: Rule, value: ValueRef<'_>| match value {
            ValueRef::Text(text) if !self.encoding.is_utf8() => {
                rule.misfit(ValueRef::Text(&self.encoding.to_sqlites_utf8(text)))
            }
            value => rule.misfit(value),
        };
        let mut rules = self.rules.iter().zip(values).enumerate();
        rules.find_map(|(at, (rule, value))| Some((at, misfit((*rule)?, *value)?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::types::ValueRef as Sql;

    use super::*;

    fn of_sql(value: Sql<'_>) -> ValueRef<'_> {
        match value {
            Sql::Null => ValueRef::Null,
            Sql::Integer(v) => ValueRef::Integer(v),
            Sql::Real(v) => ValueRef::Real(v),
            Sql::Text(v) => ValueRef::Text(v),
            Sql::Blob(v) => ValueRef::Blob(v),
        }
    }

    #[test]
    fn what_is_told_of_refused_values_is_understood_again() {
        for rows in [1, 2, 999, 1_234_567] {
            assert_eq!(refused_rows(&refused_text(rows, "row 3, a")), Some(rows));
        }
        for other in [
            "",
            "3 records hold",
            "1 record holds a value that its column would store",
        ] {
            assert_eq!(refused_rows(other), None, "{other}");
        }
    }

    /// What SQLite makes of the value in each column, against what is foretold.
    fn compare(sql: &str, strict: bool, types: &[&str]) {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        let end = if strict { "STRICT" } else { "" };
        for declared in types {
            db.execute_batch("DROP TABLE IF EXISTS t").unwrap();
            db.execute_batch(&format!("CREATE TABLE t(a {declared}) {end}"))
                .unwrap();
            let rule = Rule {
                not_null: false,
                affinity: Affinity::of(declared, strict),
                only: Class::only(declared).filter(|_| strict),
            };
            let mut select = db.prepare(&format!("SELECT {sql}")).unwrap();
            let mut rows = select.query([]).unwrap();
            let value = rows.next().unwrap().unwrap().get_ref(0).unwrap();
            let foretold = rule.misfit(of_sql(value));
            let is_plain = rule.plain() & kind_of(of_sql(value)) != 0;
            assert!(!is_plain || foretold.is_none(), "{sql} in {declared} {end}");
            let inserted = db.execute(&format!("INSERT INTO t VALUES({sql})"), []);
            let happened = match inserted {
                Err(_) => Some(Misfit::Refused),
                Ok(_) => db
                    .query_row("SELECT a FROM t", [], |row| {
                        let kept = of_sql(row.get_ref(0)?).identical(of_sql(value));
                        Ok((!kept).then_some(Misfit::Converted))
                    })
                    .unwrap(),
            };
            // An integer is read as a real from a REAL column: it never comes from one.
            let is_integer_in_real =
                rule.affinity == Affinity::Real && matches!(value, Sql::Integer(_));
            if !is_integer_in_real {
                assert_eq!(foretold, happened, "{sql} in {declared} {end}");
            }
        }
    }

    const LOOSE: [&str; 10] = [
        "",
        "INTEGER",
        "BIGINT",
        "REAL",
        "FLOAT",
        "NUMERIC",
        "DATETIME",
        "VARCHAR(9)",
        "BLOB",
        "ANY",
    ];
    const STRICT: [&str; 6] = ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"];

    #[test]
    fn what_becomes_of_a_value_is_foretold() {
        let values = [
            "NULL",
            "1",
            "9223372036854775807",
            "1.0",
            "1.5",
            "-0.0",
            "9e999",
            "-9e999",
            "9223372036854775808.0",
            "-9223372036854775808.0",
            "9007199254740993.0",
            "1e15",
            "''",
            "'1'",
            "'007'",
            "' 1 '",
            "'1e3'",
            "'1e'",
            "'1e+'",
            "'.'",
            "'.5'",
            "'5.'",
            "'+1'",
            "'--1'",
            "'1 2'",
            "'0x10'",
            "'Inf'",
            "'nan'",
            "'2026-11-24'",
            "'1' || char(0)",
            "'1.5' || char(0) || 'x'",
            "char(0) || '1'",
            "char(9) || '1'",
            "char(160) || '1'",
            "x'31'",
            "x''",
            "CAST(x'31ff' AS TEXT)",
        ];
        for sql in values {
            compare(sql, false, &LOOSE);
            compare(sql, true, &STRICT);
        }
    }

    proptest! {
        #[test]
        fn what_looks_like_a_number_is_told_as_sqlite_does(text in "[ \t+.eE0-9-]{0,9}") {
            compare(&format!("'{text}'"), false, &["NUMERIC", "INTEGER", "REAL", "TEXT"]);
        }
    }
}
