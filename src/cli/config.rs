//! `larder.toml`: what the database itself does not say of its keys and references.
//!
//! ```toml
//! [keys]
//! products = ["brand", "name"]
//!
//! [references]
//! "orders.customer" = "customers.id"
//! ```
//!
//! What is not understood is an error that names the line: a setting that is passed over in silence
//! would change what a restore does.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::Value;

use crate::cli::exit;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::hint;
use crate::cli::names;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::error::Error;
use crate::error::SelectError;
use crate::error::TargetError;
use crate::ops::restore::DeclaredKey;
use crate::ops::restore::DeclaredReference;
use crate::ops::select::nearest;

/// The file that is read from the working folder if no other is given.
pub const DEFAULT_NAME: &str = "larder.toml";

const SECTIONS: [&str; 2] = ["keys", "references"];
const EXAMPLE: &str = "It may hold:\n\
                       [keys]\n\
                       products = [\"brand\", \"name\"]\n\
                       [references]\n\
                       \"orders.customer\" = \"customers.id\"";

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Keys, by table.
    pub keys: Vec<DeclaredKey>,
    /// References.
    pub references: Vec<DeclaredReference>,
    /// Where each table and column is named.
    places: Vec<Named>,
}

/// A line that names tables and columns.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    /// `larder.toml line 2`
    at: String,
    tables: Vec<String>,
    columns: Vec<String>,
}

impl Config {
    /// The keys of the file, but for tables that `more` has one of; then those.
    #[must_use]
    pub fn keys_and(&self, more: &[DeclaredKey]) -> Vec<DeclaredKey> {
        let is_replaced = |key: &&DeclaredKey| {
            let mut more = more.iter();
            !more.any(|other| other.table.eq_ignore_ascii_case(&key.table))
        };
        let kept = self.keys.iter().filter(is_replaced);
        kept.chain(more).cloned().collect()
    }

    /// An error of a restore with these settings; where the file names what does not exist, its line is
    /// told.
    pub fn failure(&self, error: Error, look: &Look) -> Failure {
        let has = |names: &[String], name: &str| {
            let mut names = names.iter();
            names.any(|other| other.eq_ignore_ascii_case(name))
        };
        let mut places = self.places.iter();
        let place = match &error {
            Error::Select(SelectError::NoEntity { entity, .. }) => {
                places.find(|place| has(&place.tables, entity))
            }
            Error::Target(TargetError::NoColumn { table, column, .. }) => {
                places.find(|place| has(&place.tables, table) && has(&place.columns, column))
            }
            _ => None,
        };
        let Some(place) = place else {
            return error.into();
        };
        let advice = hint::advise(&error, look);
        let message = format!("{}: {}", place.at, advice.message);
        let next = advice.next.unwrap_or_default();
        Failure::said(exit::of_error(&error, None), message, next)
    }

    /// The references of the file, but for columns that `more` has one of; then those.
    #[must_use]
    pub fn references_and(&self, more: &[DeclaredReference]) -> Vec<DeclaredReference> {
        let is_replaced = |reference: &&DeclaredReference| {
            let mut more = more.iter();
            !more.any(|other| {
                other.table.eq_ignore_ascii_case(&reference.table)
                    && other.column.eq_ignore_ascii_case(&reference.column)
            })
        };
        let kept = self.references.iter().filter(is_replaced);
        kept.chain(more).cloned().collect()
    }
}

/// Reads the file that is given, which must be there; else that of the working folder, if there is one.
pub fn read(given: Option<&Path>) -> Result<Config, Failure> {
    let path = given.unwrap_or(Path::new(DEFAULT_NAME));
    let shown = escape::path(path);
    match files::read(path) {
        Ok(Some(text)) => match parse(&text) {
            Ok(mut config) => {
                for place in &mut config.places {
                    place.at = format!("{shown} {}", place.at);
                }
                Ok(config)
            }
            Err(mistake) => Err(Failure::usage(format!("{shown} {mistake}"), EXAMPLE)),
        },
        Ok(None) if given.is_none() => Ok(Config::default()),
        Ok(None) => Err(Failure::usage(
            format!("no file {shown}, which --config names"),
            format!("Leave out --config to use {DEFAULT_NAME} of this folder, if there is one."),
        )),
        Err(error) => Err(Failure::usage(
            format!("cannot read {shown}: {error}"),
            format!("It is read for [keys] and [references]. {EXAMPLE}"),
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    keys: BTreeMap<Spanned<String>, Spanned<Value>>,
    #[serde(default)]
    references: BTreeMap<Spanned<String>, Spanned<Value>>,
}

/// What the text says; else what is wrong with it, beginning with the line.
fn parse(text: &str) -> Result<Config, String> {
    let line = |at: usize| {
        let before = text.get(..at).unwrap_or(text);
        format!("line {}", 1 + before.matches('\n').count())
    };
    let sections: Sections = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let word = text.get(span.clone()).unwrap_or_default();
        format!("{}: {}", line(span.start), reason(word, error.message()))
    })?;
    let mut config = Config::default();
    for (table, value) in sections.keys {
        let at = line(value.span().start);
        let key = key(table.get_ref(), value.get_ref()).map_err(|why| format!("{at}: {why}"))?;
        config.places.push(Named {
            at,
            tables: vec![key.table.clone()],
            columns: key.columns.clone(),
        });
        config.keys.push(key);
    }
    for (child, value) in sections.references {
        let at = line(value.span().start);
        let found = value.get_ref().as_str();
        let found = found.and_then(|parent| names::references(child.get_ref(), parent));
        let reference = found.ok_or_else(|| {
            let child = escape::shown(child.get_ref());
            format!(
                "{at}: {child:?} must name a column and be set to one, as \"orders.customer\" = \"customers.id\""
            )
        })?;
        config.places.push(Named {
            at,
            tables: vec![reference.table.clone(), reference.parent.clone()],
            columns: vec![reference.column.clone(), reference.parent_column.clone()],
        });
        config.references.push(reference);
    }
    Ok(config)
}

/// The parser's own words, but for a section that nobody knows.
fn reason(word: &str, message: &str) -> String {
    if !message.starts_with("unknown field") {
        return escape::shown(message.trim_end()).into_owned();
    }
    let word = word.trim_matches(['"', '\'', '[', ']']);
    let near = match nearest(word, SECTIONS.into_iter()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "there are \"keys\" and \"references\"".to_owned(),
    };
    format!("unknown section or key {:?}; {near}", escape::shown(word))
}

fn key(table: &str, value: &Value) -> Result<DeclaredKey, String> {
    let shown = escape::shown(table);
    let list = value.as_array().into_iter().flatten();
    let columns: Option<Vec<String>> = list.map(|c| c.as_str().map(str::to_owned)).collect();
    let columns =
        columns.filter(|columns| !columns.is_empty() && columns.iter().all(|c| !c.is_empty()));
    let columns = columns.filter(|_| value.is_array()).ok_or_else(|| {
        format!("the key of {shown:?} must be a list of its columns, as [\"brand\", \"name\"]")
    })?;
    match names::repeated(&columns) {
        Some(twice) => Err(format!(
            "the key of {shown:?} has {:?} twice",
            escape::shown(twice)
        )),
        None => Ok(DeclaredKey {
            table: table.to_owned(),
            columns,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn keys_and_references_are_read() {
        let text = "# ours\n[keys]\nproducts = [\"brand\", \"name\"]\n\"my table\" = [\"a b\"]\n\
                    [references]\n\"orders.customer\" = \"customers.id\"\n\
                    '\"my.table\".x' = 'p.\"q.r\"'\n";
        let config = parse(text).unwrap();
        assert_eq!(config.keys.len(), 2);
        let of = |table: &str| config.keys.iter().find(|key| key.table == table).unwrap();
        assert_eq!(of("products").columns, ["brand", "name"]);
        assert_eq!(of("my table").columns, ["a b"]);
        let quoted = names::reference("\"my.table\".x=p.\"q.r\"").unwrap();
        let plain = names::reference("orders.customer=customers.id").unwrap();
        assert!(config.references.contains(&quoted));
        assert!(config.references.contains(&plain));
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn what_is_not_known_is_named_with_its_line_and_what_is_near() {
        let text = "[keys]\na = [\"b\"]\n\n[refrences]\n\"a.b\" = \"c.d\"\n";
        assert_eq!(
            wrong(text),
            "line 4: unknown section or key \"refrences\"; did you mean \"references\"?"
        );
        assert_eq!(
            wrong("kyes = 1"),
            "line 1: unknown section or key \"kyes\"; did you mean \"keys\"?"
        );
        let far = wrong("[keys]\n[store]\npath = \"x\"\n");
        assert_eq!(
            far,
            "line 2: unknown section or key \"store\"; there are \"keys\" and \"references\""
        );
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_its_line() {
        for text in [
            "\nproducts = \"brand\"",
            "\nproducts = []",
            "\nproducts = [1]",
            "\nproducts = [\"\"]",
        ] {
            let error = wrong(&format!("[keys]{text}\n"));
            assert!(error.starts_with("line 2: "), "{error}");
            assert!(error.contains("[\"brand\", \"name\"]"), "{error}");
        }
        assert!(wrong("[keys]\nt = [\"a\", \"A\"]").contains("\"A\" twice"));
        for text in [
            "orders = \"customers.id\"",
            "\"a.b\" = \"c\"",
            "\"a.b\" = 1",
        ] {
            let error = wrong(&format!("[references]\n{text}\n"));
            assert!(error.starts_with("line 2: "), "{error}");
            assert!(error.contains("customers.id"), "{error}");
        }
        assert!(wrong("[keys\n").starts_with("line 1: "));
        assert!(wrong("[keys]\na = [\"b\"]\na = [\"c\"]").starts_with("line 3: "));
    }

    #[test]
    fn the_command_line_adds_to_the_file_and_overrides_it() {
        let config =
            parse("[keys]\na = [\"x\"]\nb = [\"x\"]\n[references]\n\"t.c\" = \"p.id\"").unwrap();
        let keys = config.keys_and(&[names::key("A=y").unwrap(), names::key("c=z").unwrap()]);
        let keys: Vec<_> = keys.iter().map(|k| (&*k.table, &*k.columns[0])).collect();
        assert_eq!(keys, [("b", "x"), ("A", "y"), ("c", "z")]);
        let more = [
            names::reference("T.C=q.id").unwrap(),
            names::reference("t.d=p.id").unwrap(),
        ];
        let references = config.references_and(&more);
        assert_eq!(references, more);
    }
}
