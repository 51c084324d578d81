//! The file of decisions about missing references: read for `--resolve`, written by
//! `--save-decisions`. Its form: docs/scripting.md. A value is written as `export` writes it.
//!
//! What was not decided is written with `"choice": null`: a template, which is refused until it is
//! filled in.

mod values;

pub use self::values::encoded;
pub use self::values::write as value;

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value as Json;

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::values as shown;
use crate::model::text::TextEncoding;
use crate::model::value::Value;
use crate::ops::restore::Choice;
use crate::ops::restore::Decision;
use crate::ops::restore::Missing;

/// One decision, as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    table: String,
    columns: Vec<String>,
    parent: String,
    values: Vec<Json>,
    choice: Option<Word>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    row: Option<serde_json::Map<String, Json>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Create,
    Map,
    Skip,
    Null,
    Abort,
}

/// Undecided entries that a message names.
const NAMED_MAX: usize = 5;

/// Reads the decisions of a file. Texts are in the encoding of the snapshot. Entries that are not decided
/// yet are an error, unless somebody is asked about them (`asks`).
pub fn read(path: &Path, encoding: TextEncoding, asks: bool) -> Result<Vec<Decision>, Failure> {
    let place = escape::path(path);
    let text = match files::read(path) {
        Ok(Some(text)) => text,
        Ok(None) => {
            return Err(Failure::usage(
                format!("no file {place}, which --resolve names"),
                "Such a file is written with: --save-decisions FILE",
            ));
        }
        Err(error) => {
            return Err(Failure::usage(
                format!("cannot read {place}: {error}"),
                "Such a file is written with: --save-decisions FILE",
            ));
        }
    };
    parse(&text, encoding, asks).map_err(|mistake| {
        Failure::usage(
            format!("{place}: {mistake}"),
            "The choices are create, map (with \"to\"), skip, null as a word, and abort.",
        )
    })
}

fn parse(text: &str, encoding: TextEncoding, asks: bool) -> Result<Vec<Decision>, String> {
    let mut entries = entries(text)?;
    if asks {
        entries.retain(|entry| entry.choice.is_some());
    }
    let open: Vec<String> = entries
        .iter()
        .filter(|entry| entry.choice.is_none())
        .map(Entry::name)
        .collect();
    if !open.is_empty() {
        let mut named = open[..open.len().min(NAMED_MAX)].join("; ");
        if open.len() > NAMED_MAX {
            named.push_str("; …");
        }
        return Err(format!(
            "{} of {} not decided yet (\"choice\": null): {named}",
            open.len(),
            entries.len()
        ));
    }
    let (mut decisions, mut known) = (Vec::new(), HashSet::new());
    for (at, entry) in entries.iter().enumerate() {
        let wrong = |why: String| format!("entry {} ({}): {why}", at + 1, entry.name());
        let decision = entry.decision(encoding).map_err(wrong)?;
        if !known.insert(about_decision(&decision)) {
            return Err(wrong("it was decided before".to_owned()));
        }
        decisions.push(decision);
    }
    Ok(decisions)
}

/// The entries of the file. What is wrong with one is said with its number.
fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let error = match serde_json::from_str(text) {
        Ok(entries) => return Ok(entries),
        Err(error) => error,
    };
    let list = match serde_json::from_str(text) {
        Ok(Json::Array(list)) => list,
        Ok(_) => return Err("it must hold a list of decisions: [{\"table\": …}, …]".to_owned()),
        Err(_) => return Err(error.to_string()),
    };
    let is_wrong = |json: &&Json| serde_json::from_value::<Entry>((*json).clone()).is_err();
    Err(match list.iter().position(|json| is_wrong(&json)) {
        Some(at) => format!("entry {}{}: {error}", at + 1, reference_of(&list[at])),
        None => error.to_string(),
    })
}

/// ` (orders.customer_id)`, as far as an entry that is not understood says.
fn reference_of(entry: &Json) -> String {
    let table = entry.get("table").and_then(Json::as_str);
    let columns = entry.get("columns").and_then(Json::as_array);
    let columns = columns.into_iter().flatten().filter_map(Json::as_str);
    match (table, columns.collect::<Vec<_>>().join(", ")) {
        (Some(table), columns) if !columns.is_empty() => {
            format!(" ({}.{})", escape::shown(table), escape::shown(&columns))
        }
        _ => String::new(),
    }
}

impl Entry {
    /// `orders.customer_id refers to customers 12`
    fn name(&self) -> String {
        let values: Vec<String> = self.values.iter().map(Json::to_string).collect();
        let name = shown::reference(&self.table, &self.columns, &self.parent, &values);
        escape::shown(&name).into_owned()
    }

    fn decision(&self, encoding: TextEncoding) -> Result<Decision, String> {
        let read = |values: &[Json]| -> Result<Vec<Value>, String> {
            values
                .iter()
                .map(|json| values::read(json, encoding))
                .collect()
        };
        if self.columns.is_empty() || self.values.len() != self.columns.len() {
            return Err("\"values\" must have one value for each of \"columns\"".to_owned());
        }
        if self.to.is_some() && self.choice != Some(Word::Map) {
            return Err("\"to\" goes with the choice \"map\" only".to_owned());
        }
        if self.row.is_some() && self.choice != Some(Word::Create) {
            return Err("\"row\" goes with the choice \"create\" only".to_owned());
        }
        let choice = match self.choice {
            Some(Word::Create) => {
                let row = self.row.iter().flatten();
                let row = row.map(|(name, json)| Ok((name.clone(), values::read(json, encoding)?)));
                Choice::Create(row.collect::<Result<_, String>>()?)
            }
            Some(Word::Map) => match &self.to {
                Some(Json::Array(to)) if to.len() == self.columns.len() => Choice::Map(read(to)?),
                Some(to) => {
                    return Err(format!(
                        "\"to\" is {to}; it must be a list of {}, the key of a row that exists, as \"to\": [40]",
                        figures::counted(self.columns.len() as u64, "value")
                    ));
                }
                None => {
                    let why = "\"map\" needs \"to\": the key of a row that exists, as \"to\": [40]";
                    return Err(why.to_owned());
                }
            },
            Some(Word::Skip) => Choice::Skip,
            Some(Word::Null) => Choice::Null,
            Some(Word::Abort) => Choice::Abort,
            None => return Err("it has no choice".to_owned()),
        };
        Ok(Decision {
            table: self.table.clone(),
            columns: self.columns.clone(),
            parent: self.parent.clone(),
            values: read(&self.values)?,
            choice,
        })
    }
}

/// What a decision is about, as a text that differs from that of any other missing value. Case of
/// tables does not count; reals differ bit for bit.
fn about(table: &str, columns: &[String], parent: &str, values: &[Value]) -> String {
    let (table, parent) = (table.to_ascii_lowercase(), parent.to_ascii_lowercase());
    format!("{:?}", (table, columns, parent, values))
}

fn about_decision(decision: &Decision) -> String {
    let Decision {
        table,
        columns,
        parent,
        values,
        ..
    } = decision;
    about(table, columns, parent, values)
}

/// All of `first`, and those of `more` that are about something else.
pub fn together(first: &[Decision], more: &[Decision]) -> Vec<Decision> {
    let known: HashSet<String> = first.iter().map(about_decision).collect();
    let more = more
        .iter()
        .filter(|one| !known.contains(&about_decision(one)));
    first.iter().chain(more).cloned().collect()
}

/// What was written to a file of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Decisions.
    pub decided: usize,
    /// Entries that are to be filled in.
    pub open: usize,
    /// Values that are too long for it.
    pub too_long: usize,
}

/// Where decisions go, and whether a file that is there is replaced: only the one that `--resolve`
/// names is, with what was decided besides. That a file can be written there is found out before anything
/// is asked.
pub fn place(save: &Path, resolve: Option<&Path>) -> Result<bool, Failure> {
    let replace = resolve.is_some_and(|resolve| files::is_same(save, resolve));
    if !replace && files::is_there(save) {
        let shown = escape::path(save);
        return Err(Failure::said(
            Code::Failed,
            format!("{shown} exists already; nothing was done"),
            format!(
                "Give another file. To take up its answers and add to them, say --resolve {shown} too."
            ),
        ));
    }
    files::ensure_writable(save, replace).map_err(|error| {
        Failure::said(
            Code::Failed,
            format!(
                "the decisions cannot be saved in {}: {error}; nothing was done",
                escape::path(save)
            ),
            "Give --save-decisions a file in a folder that exists and that you may write.",
        )
    })?;
    Ok(replace)
}

/// Writes decisions, and missing values as a template.
pub fn save(
    path: &Path,
    replace: bool,
    decided: &[Decision],
    missing: &[Missing],
    encoding: TextEncoding,
) -> Result<Saved, Failure> {
    let mut saved = Saved {
        decided: 0,
        open: 0,
        too_long: 0,
    };
    let mut entries = Vec::new();
    for decision in decided {
        match entry_of(decision, encoding) {
            Some(entry) => entries.push(entry),
            None => saved.too_long += 1,
        }
    }
    saved.decided = entries.len();
    let known: HashSet<String> = decided.iter().map(about_decision).collect();
    for one in missing {
        if known.contains(&about(&one.table, &one.columns, &one.parent, &one.values)) {
            continue;
        }
        match template(one, encoding) {
            Some(entry) => entries.push(entry),
            None => saved.too_long += 1,
        }
    }
    saved.open = entries.len() - saved.decided;
    let failed = |error: std::io::Error| {
        let message = format!(
            "the decisions are not saved: cannot write {}: {error}",
            escape::path(path)
        );
        Failure::said(Code::Failed, message, "")
    };
    let mut text = serde_json::to_string_pretty(&entries).map_err(|error| failed(error.into()))?;
    text.push('\n');
    files::write(path, &text, replace).map_err(failed)?;
    Ok(saved)
}

/// `None` if it has a value that stands outside its row.
fn entry_of(decision: &Decision, encoding: TextEncoding) -> Option<Entry> {
    let write = |values: &[Value]| -> Option<Vec<Json>> {
        values
            .iter()
            .map(|value| values::write(value, encoding))
            .collect()
    };
    let mut entry = Entry {
        table: decision.table.clone(),
        columns: decision.columns.clone(),
        parent: decision.parent.clone(),
        values: write(&decision.values)?,
        choice: None,
        to: None,
        row: None,
    };
    entry.choice = Some(match &decision.choice {
        Choice::Create(row) => {
            if !row.is_empty() {
                let row = row.iter();
                let row =
                    row.map(|(name, value)| Some((name.clone(), values::write(value, encoding)?)));
                entry.row = Some(row.collect::<Option<_>>()?);
            }
            Word::Create
        }
        Choice::Map(to) => {
            entry.to = Some(Json::Array(write(to)?));
            Word::Map
        }
        Choice::Skip => Word::Skip,
        Choice::Null => Word::Null,
        Choice::Abort => Word::Abort,
    });
    Some(entry)
}

fn template(missing: &Missing, encoding: TextEncoding) -> Option<Entry> {
    let values = missing.values.iter();
    let values: Option<Vec<Json>> = values.map(|value| values::write(value, encoding)).collect();
    Some(Entry {
        table: missing.table.clone(),
        columns: missing.columns.clone(),
        parent: missing.parent.clone(),
        values: values?,
        choice: None,
        to: None,
        row: None,
    })
}

#[cfg(test)]
mod tests;
