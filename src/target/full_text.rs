//! Full-text indexes over tables of their own database (`content=`): triggers keep them up to date, and
//! when triggers do not fire they are built anew (SQLite FTS5, section 6.9 "The 'rebuild' command").

use super::error::TargetError;
use super::live::LiveDatabase;
use crate::model::schema::Schema;
use crate::sqlite::SqliteError;
use crate::sqlite::quote::ident;

/// The full-text indexes whose content is one of these tables.
pub fn full_texts_over(schema: &Schema, tables: &[String]) -> Vec<String> {
    let names = schema.full_text_tables();
    let over = |name: &str| {
        let mut objects = schema.objects.iter();
        let text = objects.find(|object| object.name == name)?.sql.as_deref()?;
        let content = content_table(text)?;
        let mut tables = tables.iter();
        tables.find(|table| table.eq_ignore_ascii_case(&content))
    };
    let names = names.into_iter().map(|(name, _)| name);
    names.filter(|name| over(name).is_some()).collect()
}

/// The value of the option `content` in the text of a virtual table.
fn content_table(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    for (at, word) in lower.match_indices("content") {
        let starts = at == 0 || !is_name(lower.as_bytes()[at - 1]);
        let rest = text[at + word.len()..].trim_start();
        let Some(value) = rest.strip_prefix('=').filter(|_| starts) else {
            continue;
        };
        let value = value.trim_start();
        let close = match value.chars().next()? {
            quote @ ('\'' | '"' | '`') => Some(quote),
            '[' => Some(']'),
            _ => None,
        };
        let name = match close {
            Some(close) => value.get(1..)?.split(close).next()?,
            None => value
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()?,
        };
        return Some(name.to_owned()).filter(|name| !name.is_empty());
    }
    None
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl LiveDatabase {
    /// Builds a full-text index anew from its content. The answer is SQLite's refusal, where its module
    /// is not to be had or does not want to.
    pub fn rebuild_full_text(&self, name: &str) -> Result<Option<String>, TargetError> {
        let rebuild = || -> Result<(), SqliteError> {
            let quoted = ident(name)?;
            self.db.execute(&format!(
                "INSERT INTO main.{quoted}({quoted}) VALUES('rebuild')"
            ))
        };
        match rebuild() {
            Ok(()) => Ok(None),
            Err(error) if error.is_of_text() => Ok(Some(error.message)),
            Err(error) => Err(self.at(&format!("full-text index {name}"), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_an_index_is_read_from_its_text() {
        for (text, content) in [
            (
                "CREATE VIRTUAL TABLE f USING fts5(a, content='notes', content_rowid='id')",
                Some("notes"),
            ),
            (
                "CREATE VIRTUAL TABLE f USING fts5(a, content_rowid=id, content = notes)",
                Some("notes"),
            ),
            (
                "CREATE VIRTUAL TABLE f USING fts4(content=\"my notes\", body)",
                Some("my notes"),
            ),
            ("CREATE VIRTUAL TABLE f USING fts5(content, title)", None),
            ("CREATE VIRTUAL TABLE f USING fts5(a, content='')", None),
        ] {
            assert_eq!(content_table(text).as_deref(), content, "{text}");
        }
    }
}
