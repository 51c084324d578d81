//! UNIQUE indexes over expressions, over a part of the rows, or over computed columns: no key of a record
//! says what they hold, so SQLite itself is asked, by the terms of their text.

use super::columns::{Identity, collation_name, is_computed};
use super::error::TargetError;
use super::live::LiveDatabase;
use super::lookup::RowId;
use crate::model::schema::{KeyColumn, ObjectKind, Schema, SchemaObject, Table};
use crate::model::value::Value;
use crate::sqlite::quote::ident;
use crate::sqlite::{Connection, SqliteError};

/// Such an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherUnique {
    /// Its name.
    pub name: String,
    /// What it holds, as the text has it.
    terms: Vec<String>,
    /// Which rows are in it; all if `None`.
    condition: Option<String>,
}

/// Those of a table. One whose text cannot be taken apart is left out: the database has the last word.
pub fn other_unique(schema: &Schema, live: &Table) -> Vec<OtherUnique> {
    let is_key = |name: &str| live.unique_keys.iter().any(|key| key.index == name);
    let of_table = schema
        .objects_of(ObjectKind::Index)
        .filter(|index| index.table.eq_ignore_ascii_case(&live.name) && !is_key(&index.name));
    let parsed = of_table.filter_map(|index| {
        let (is_unique, terms, condition) = parts(index.sql.as_deref()?)?;
        is_unique.then(|| OtherUnique {
            name: index.name.clone(),
            terms,
            condition,
        })
    });
    let keys = live.unique_keys.iter();
    let computed = keys.filter(|key| is_computed(live, &key.columns));
    let computed = computed.filter_map(|key| {
        let term = |part: &KeyColumn| {
            let column = ident(&live.columns[part.column as usize].name).ok()?;
            let collation = ident(collation_name(&part.collation)).ok()?;
            Some(format!("{column} COLLATE {collation}"))
        };
        Some(OtherUnique {
            name: key.index.clone(),
            terms: key.columns.iter().map(term).collect::<Option<_>>()?,
            condition: None,
        })
    });
    parsed.chain(computed).collect()
}

/// The indexes of a table that compute something, which may fail, and which the stored table does not have
/// with the same text.
pub(super) fn computing(schema: &Schema, stored: &Schema, live: &Table) -> Vec<String> {
    let of_table = schema
        .objects_of(ObjectKind::Index)
        .filter(|index| index.table.eq_ignore_ascii_case(&live.name));
    let computes = |index: &&SchemaObject| {
        let mut known = stored.objects_of(ObjectKind::Index);
        let is_known = known.any(|other| other.sql == index.sql);
        let parts = index.sql.as_deref().and_then(parts);
        !is_known
            && parts.is_some_and(|(_, terms, condition)| {
                condition.is_some() || terms.iter().any(|term| live.column_at(term).is_none())
            })
    };
    of_table
        .filter(computes)
        .map(|index| index.name.clone())
        .collect()
}

impl OtherUnique {
    fn condition(&self) -> &str {
        self.condition.as_deref().unwrap_or("1")
    }

    /// What the index holds of a row of a table in `db`; `None` if the row is not in it, or NULL is among
    /// it: then nothing collides.
    pub(super) fn held(
        &self,
        db: &Connection,
        table: &Table,
        id: &RowId,
    ) -> Result<Option<Vec<Value>>, SqliteError> {
        let sql = format!(
            "SELECT {} FROM main.{} WHERE {} AND ({})",
            self.terms.join(", "),
            ident(&table.name)?,
            Identity::of(table).terms(1)?,
            self.condition()
        );
        let mut statement = db.prepare(&sql)?;
        for (at, value) in id.0.iter().enumerate() {
            statement.bind(at + 1, value.as_ref())?;
        }
        let mut rows = statement.rows();
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let mut held = Vec::new();
        for at in 0..self.terms.len() {
            held.push(row.value(at)?.to_owned());
        }
        Ok((!held.contains(&Value::Null)).then_some(held))
    }

    /// The rows of the live table for which the index holds the same.
    pub(super) fn rows(
        &self,
        live: &LiveDatabase,
        table: &Table,
        held: &[Value],
    ) -> Result<Vec<RowId>, TargetError> {
        let identity = Identity::of(table);
        let find = || -> Result<Vec<RowId>, SqliteError> {
            let mut columns = Vec::new();
            for column in &identity.columns {
                columns.push(ident(column)?);
            }
            let terms = self.terms.iter().enumerate();
            let terms: Vec<String> = terms
                .map(|(n, term)| format!("{term} = ?{}", n + 1))
                .collect();
            let sql = format!(
                "SELECT {} FROM main.{} WHERE ({}) AND {}",
                columns.join(", "),
                ident(&table.name)?,
                self.condition(),
                terms.join(" AND ")
            );
            let mut statement = live.db.prepare(&sql)?;
            for (at, value) in held.iter().enumerate() {
                statement.bind(at + 1, value.as_ref())?;
            }
            let mut rows = statement.rows();
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let id: Result<Vec<Value>, SqliteError> = (0..columns.len())
                    .map(|at| Ok(row.value(at)?.to_owned()))
                    .collect();
                found.push(RowId(id?));
            }
            Ok(found)
        };
        find().map_err(|e| live.at(&format!("index {}", self.name), e))
    }
}

/// Whether an index is UNIQUE, its terms and its condition, by its text; `None` if that is no such text.
fn parts(sql: &str) -> Option<(bool, Vec<String>, Option<String>)> {
    let tokens = tokens(sql)?;
    let word = |at: usize, wanted: &str| {
        let token = tokens.get(at).map(|(start, end)| &sql[*start..*end]);
        token.is_some_and(|token| token.eq_ignore_ascii_case(wanted))
    };
    let is_unique = word(1, "UNIQUE");
    if !word(0, "CREATE") || !word(1 + usize::from(is_unique), "INDEX") {
        return None;
    }
    let is = |at: usize, wanted: &str| sql[tokens[at].0..tokens[at].1] == *wanted;
    let open = (0..tokens.len()).find(|at| is(*at, "("))?;
    let (mut depth, mut first, mut terms, mut close) = (0_i32, open + 1, Vec::new(), None);
    for at in open..tokens.len() {
        match &sql[tokens[at].0..tokens[at].1] {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 1 => {
                terms.push((first, at));
                first = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            terms.push((first, at));
            close = Some(at);
            break;
        }
    }
    let close = close?;
    let text = |(from, to): (usize, usize)| {
        // The order in the index says nothing about what is the same.
        let ends = |at: usize| word(at, "ASC") || word(at, "DESC");
        let to = if to > from && ends(to - 1) {
            to - 1
        } else {
            to
        };
        let (from, to) = (tokens.get(from)?, tokens.get(to.checked_sub(1)?)?);
        (from.0 < to.1).then(|| sql[from.0..to.1].to_owned())
    };
    let terms: Option<Vec<String>> = terms.into_iter().map(text).collect();
    let condition = match word(close + 1, "WHERE") {
        true => Some(sql[tokens.get(close + 2)?.0..tokens.last()?.1].to_owned()),
        false => None,
    };
    Some((is_unique, terms?, condition))
}

/// Where the tokens of an SQL text begin and end, comments left out; `None` if a quote is open.
fn tokens(sql: &str) -> Option<Vec<(usize, usize)>> {
    let bytes = sql.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &sql[at..];
        let length = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
                continue;
            }
            b'[' => rest.find(']')? + 1,
            quote @ (b'\'' | b'"' | b'`') => quoted(rest.as_bytes(), quote)?,
            byte if is_word(byte) => {
                let end = rest.bytes().position(|b| !is_word(b));
                end.unwrap_or(rest.len())
            }
            _ => 1,
        };
        tokens.push((at, at + length));
        at += length;
    }
    Some(tokens)
}

/// Bytes of a text that begins with a quote, which is doubled where it stands within.
fn quoted(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text.get(at..)?.iter().position(|b| *b == quote)? + 1;
        if text.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_index_is_taken_apart() {
        let parts = |sql: &str| {
            let (is_unique, terms, condition) = parts(sql)?;
            is_unique.then(|| (terms.join(" | "), condition))
        };
        let some = |terms: &str, condition: Option<&str>| {
            Some((terms.to_owned(), condition.map(str::to_owned)))
        };
        assert_eq!(
            parts("CREATE UNIQUE INDEX pu ON part(k) where del=0"),
            some("k", Some("del=0"))
        );
        assert_eq!(
            parts(
                "create unique index \"a(b\" on [t)](lower(a) COLLATE NOCASE desc, -- why, (\n substr(b, 1, 2) asc)"
            ),
            some("lower(a) COLLATE NOCASE | substr(b, 1, 2)", None)
        );
        assert_eq!(
            parts(
                "CREATE UNIQUE INDEX i ON t(a || ')' , \"it\"\"s\") WHERE a IN ('x', 'y') /* ok */"
            ),
            some("a || ')' | \"it\"\"s\"", Some("a IN ('x', 'y')"))
        );
        assert_eq!(parts("CREATE INDEX i ON t(a)"), None);
        assert_eq!(parts("CREATE UNIQUE INDEX i ON t('a"), None);
        assert_eq!(parts("CREATE UNIQUE INDEX i ON t()"), None);
        assert_eq!(
            parts("CREATE UNIQUE INDEX IF NOT EXISTS i ON t(ä, b) WHERE"),
            None
        );
    }
}
