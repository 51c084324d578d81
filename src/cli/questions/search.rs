//! Looking for the row that a missing value is mapped to.

use super::Unanswered;
use crate::cli::prompt::Dialogue;
use crate::cli::render::escape;
use crate::cli::render::text::Side;
use crate::cli::render::text::columns;
use crate::cli::render::values;
use crate::model::text::TextEncoding;
use crate::model::value::Value;
use crate::ops::restore::Candidate;
use crate::ops::restore::Candidates;
use crate::ops::restore::Missing;

/// Rows that are shown at once.
const SHOWN_MAX: usize = 5;

/// Columns of a row that are shown.
const COLUMNS_MAX: usize = 6;

/// The key of the row that is chosen; `None`: none, ask anew.
pub(super) fn choose(
    dialogue: &mut impl Dialogue,
    missing: &Missing,
    candidates: &mut dyn Candidates,
) -> Result<Option<Vec<Value>>, Unanswered> {
    let parent = escape::shown(&missing.parent).into_owned();
    let mut text = dialogue.ask(&format!("  search {parent}: "))?;
    loop {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let mut found = candidates.like(text.trim(), SHOWN_MAX)?;
        found.truncate(SHOWN_MAX);
        let prompt = if found.is_empty() {
            dialogue.say(&format!(
                "  nothing in {parent} is like {:?}\n",
                escape::shown(text.trim())
            ))?;
            "  search again (Enter: back): "
        } else {
            dialogue.say(&table(&found))?;
            "  number, or another search (Enter: back): "
        };
        let line = dialogue.ask(prompt)?;
        let number = line.trim().parse::<usize>().ok();
        let chosen = number.and_then(|number| found.get(number.checked_sub(1)?));
        if let Some(candidate) = chosen {
            return Ok(Some(candidate.key.clone()));
        }
        text = line;
    }
}

/// Rows with their numbers, the names of the columns above them. The live database is in UTF-8.
fn table(rows: &[Candidate]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.row) {
        if names.len() < COLUMNS_MAX && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let mut head = vec![String::new()];
    head.extend(names.iter().map(|name| escape::shown(name).into_owned()));
    let mut lines = vec![head];
    for (n, row) in rows.iter().enumerate() {
        let mut line = vec![format!("{})", n + 1)];
        line.extend(names.iter().map(|name| {
            let value = row.row.iter().find(|(other, _)| other == name);
            value.map_or(String::new(), |(_, v)| values::plain(v, TextEncoding::Utf8))
        }));
        lines.push(line);
    }
    columns("  ", &vec![Side::Left; names.len() + 1], &lines)
}
