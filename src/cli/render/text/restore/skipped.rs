//! Records that were left out since their row has other values, or is doubtful: what shows them, and what
//! restores them all the same.

use std::ffi::OsStr;
use std::fmt::Write as _;

use super::RestoreView;
use super::sum;
use crate::cli::names;
use crate::cli::quote;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::restore::KeyValue;
use crate::ops::restore::Match;
use crate::ops::restore::Mode;
use crate::ops::restore::RestoreOutcome;
use crate::ops::restore::TableReport;

/// Tables that are named where none was chosen.
const TABLES_MAX: usize = 3;

/// `3,503 rows have other values: larder diff latest app.db --table orders shows them; …`
pub(super) fn next(outcome: &RestoreOutcome, view: &RestoreView<'_>, look: &Look) -> String {
    // Who wants only what is gone wants the other rows as they are.
    if outcome.new_file || outcome.mode == Mode::Replace || view.options.deleted_only {
        return String::new();
    }
    let mut out = String::new();
    let differing = sum(outcome, |table| table.left_out.differing);
    if differing > 0 {
        let tables = tables(outcome, view);
        let _ = writeln!(
            out,
            "{} {} other values{}; {}",
            figures::counted(differing, "row"),
            figures::agree(differing, "has", "have"),
            shows(&tables, differing, outcome, view, look),
            puts_back(&tables, differing, view)
        );
    }
    let doubtful = sum(outcome, |table| table.left_out.doubtful);
    if doubtful > 0 && view.options.matching == Match::Auto {
        let _ = writeln!(
            out,
            "{} {} doubtful: --match id trusts the primary key alone, and takes the row with it for the record's",
            figures::counted(doubtful, "record"),
            figures::agree(doubtful, "is", "are"),
        );
    }
    out
}

/// The tables that are named: those with such rows, unless they are too many.
fn tables<'o>(outcome: &'o RestoreOutcome, view: &RestoreView<'_>) -> Vec<&'o str> {
    let concerned = outcome.tables.iter();
    let concerned = concerned.filter(|table| table.left_out.differing > 0);
    let names: Vec<&str> = concerned.map(|table: &TableReport| &*table.table).collect();
    let chosen = !view.options.scope.tables.is_empty() || !view.options.scope.excluded.is_empty();
    match chosen || names.len() <= TABLES_MAX {
        true => names,
        false => Vec::new(),
    }
}

/// `: larder diff latest app.db --table orders shows them`; an export is not compared.
fn shows(
    tables: &[&str],
    rows: u64,
    outcome: &RestoreOutcome,
    view: &RestoreView<'_>,
    look: &Look,
) -> String {
    if view.export.is_some() {
        return String::new();
    }
    let target = outcome.target.as_os_str();
    let mut words = vec!["diff".into(), view.word.to_owned(), target.to_owned()];
    for table in tables {
        words.extend(["--table".into(), (*table).into()]);
    }
    for KeyValue { table, value } in &view.options.scope.key_values {
        words.extend(["--key-value".into(), format!("{table}={value}").into()]);
    }
    if let Some(name) = view.source_name {
        words.extend(["--source-name".into(), name.into()]);
    }
    let words: Vec<&OsStr> = words.iter().map(|word| word.as_os_str()).collect();
    let command = look.command(view.store, &words);
    format!(": {command} shows {}", figures::agree(rows, "it", "them"))
}

/// `--mode replace puts them back`: whole tables lose what came since, too.
fn puts_back(tables: &[&str], rows: u64, view: &RestoreView<'_>) -> String {
    let scope = &view.options.scope;
    let them = figures::agree(rows, "it", "them");
    if scope.chooses_rows() {
        return format!("--mode replace puts {them} back");
    }
    let mut flags = String::new();
    if scope.tables.is_empty() {
        for table in tables {
            let word = names::written(table);
            let _ = write!(flags, "--table {} ", quote::word(OsStr::new(&word)));
        }
    }
    // All that is chosen is replaced, whichever rows were meant.
    let replaced = match scope.tables.is_empty() {
        true => tables.to_vec(),
        false => scope.tables.iter().map(String::as_str).collect(),
    };
    let replaced: Vec<_> = replaced.into_iter().map(escape::shown).collect();
    let which = match replaced.len() {
        1..=TABLES_MAX => replaced.join(", "),
        _ => "the tables".to_owned(),
    };
    format!("{flags}--mode replace puts {them} back, and deletes what came into {which} since")
}
