//! What a restore says: its plan, or what it did and how to take it back.

mod conflicts;
mod lost;
mod missing;
mod plan;
mod skipped;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::model::schema::ObjectKind;
use crate::model::text::TextEncoding;
use crate::ops::restore::Made;
use crate::ops::restore::Mode;
use crate::ops::restore::RestoreOptions;
use crate::ops::restore::RestoreOutcome;
use crate::ops::restore::TableReport;

/// What else is known of a restore.
#[derive(Debug, Clone, Copy)]
pub struct RestoreView<'a> {
    /// Where the store is, as it was given.
    pub store: &'a Path,
    /// True if the store was made for this restore.
    pub store_created: bool,
    /// The export that is restored, if it is one: its records are in no store.
    pub export: Option<&'a Path>,
    /// The word that names the snapshot.
    pub word: &'a OsStr,
    /// The source of which the latest was asked for.
    pub source_name: Option<&'a str>,
    /// Name or path of the database that the snapshot is of, if it is another one than the target.
    pub source: Option<&'a str>,
    /// True if a store would be made for the safety snapshot.
    pub makes_store: bool,
    /// How the snapshot's texts are written.
    pub encoding: TextEncoding,
    /// What was asked for.
    pub options: &'a RestoreOptions,
    /// True if somebody is asked about missing records.
    pub interactive: bool,
    /// True if what is to be decided is written to a file.
    pub saves: bool,
}

/// The word of a mode on the command line.
pub fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Add => "add",
        Mode::Augment => "augment",
        Mode::Replace => "replace",
    }
}

/// The whole report.
pub fn restore(outcome: &RestoreOutcome, view: &RestoreView<'_>, look: &Look) -> String {
    let mut out = String::new();
    if outcome.is_stopped() && missing::is_aborted(outcome) {
        return "Nothing was written, as was decided.\n".to_owned();
    }
    let is_plan = outcome.dry_run || outcome.is_stopped();
    if view.store_created {
        let _ = writeln!(out, "store {} created", escape::path(view.store));
    }
    if is_plan {
        out.push_str(&plan::heading(outcome, view, look));
    }
    if !outcome.new_file || look.verbose {
        out.push_str(&plan::tables(&outcome.tables, look.verbose));
    }
    if !outcome.new_file {
        out.push_str(&plan::made(outcome));
    }
    if !outcome.new_file && !outcome.whole_file {
        out.push_str(&plan::references(outcome));
    }
    if is_plan && !outcome.new_file {
        out.push_str(&plan::facts(outcome, view));
    }
    out.push_str(&conflicts::list(outcome));
    out.push_str(&missing::list(outcome, view));
    if outcome.is_stopped() {
        out.push_str(&stopped(outcome, view));
    } else if outcome.dry_run {
        out.push_str(&lost::summary(outcome, view, look));
        out.push_str(&skipped::next(outcome, view, look));
        out.push_str("Nothing was written (dry run).\n");
    } else {
        out.push_str(&done(outcome, view, look));
    }
    out
}

fn sum(outcome: &RestoreOutcome, of: impl Fn(&TableReport) -> u64) -> u64 {
    outcome.tables.iter().map(of).sum()
}

/// What is restored.
fn snapshot_words(outcome: &RestoreOutcome, view: &RestoreView<'_>, look: &Look) -> String {
    if let Some(export) = view.export {
        return format!("the export {}", escape::path(export));
    }
    let source = view.source.filter(|_| !outcome.new_file);
    let of = source.map_or(String::new(), |source| {
        format!(", of {}", escape::shown(source))
    });
    format!(
        "{} (snapshot {}, {}{of})",
        escape::shown(&outcome.snapshot.name),
        escape::shown(&outcome.snapshot.short_id),
        figures::local_time(&outcome.snapshot.time, &look.zone)
    )
}

/// A flag that lets a restore go on.
struct Flag {
    /// As it is written.
    words: String,
    /// What it does.
    what: String,
}

fn flag(words: impl Into<String>, what: impl Into<String>) -> Flag {
    Flag {
        words: words.into(),
        what: what.into(),
    }
}

/// Why nothing was written, and what to add to the command.
fn stopped(outcome: &RestoreOutcome, view: &RestoreView<'_>) -> String {
    let (conflicts, missing) = (conflicts::stopping(outcome), outcome.missing.len() as u64);
    let mut reasons = Vec::new();
    if conflicts > 0 {
        reasons.push(figures::counted(conflicts, "conflict"));
    }
    if missing > 0 {
        reasons.push(figures::counted(missing, "missing record"));
    }
    let mut out = format!("Nothing was written: {}.\n", reasons.join(", "));
    let mut next = Vec::new();
    if conflicts > 0 {
        next.extend(conflicts::next(outcome, view.options));
    }
    next.extend(missing::next(outcome, view));
    if next.is_empty() {
        return out;
    }
    out.push_str("To go on, add to the command:\n");
    let rows: Vec<Vec<String>> = next
        .iter()
        .map(|flag| vec![flag.words.clone(), flag.what.clone()])
        .collect();
    let sides = [super::Side::Left, super::Side::Left];
    out.push_str(&super::columns("  ", &sides, &rows));
    out
}

fn done(outcome: &RestoreOutcome, view: &RestoreView<'_>, look: &Look) -> String {
    let mut out = String::new();
    let time = figures::seconds(outcome.elapsed_ms);
    let what = if outcome.new_file {
        lost::what(outcome)
    } else {
        totals(outcome)
    };
    let restored = match outcome.new_file || outcome.whole_file || has_written(outcome) {
        true if !outcome.lost.is_empty() => "Restored what is whole of",
        true => "Restored",
        false => "Nothing to restore of",
    };
    let _ = writeln!(
        out,
        "{restored} {} to {} in {time}: {what}.",
        snapshot_words(outcome, view, look),
        escape::path(&outcome.target),
    );
    if !outcome.checked.is_empty() {
        let _ = writeln!(out, "Checked: {}.", outcome.checked.join(", "));
    }
    out.push_str(&lost::summary(outcome, view, look));
    out.push_str(&skipped::next(outcome, view, look));
    out.push_str(&way_back(outcome, view.store, look));
    out
}

/// True if anything of the database is another than before.
fn has_written(outcome: &RestoreOutcome) -> bool {
    let rows = sum(outcome, |table| {
        table.inserted + table.filled + table.updated + table.deleted
    });
    rows > 0 || !outcome.made.is_empty()
}

/// The command that takes it back.
fn way_back(outcome: &RestoreOutcome, store: &Path, look: &Look) -> String {
    let target = outcome.target.as_os_str();
    let Some(safety) = &outcome.safety_snapshot else {
        return String::new();
    };
    let id = escape::shown(&safety.short_id);
    if !outcome.beyond_undo.is_empty() {
        return whole_way_back(outcome, store, look);
    }
    if outcome.after_snapshot.is_some() {
        let words: [&OsStr; 3] = ["undo".as_ref(), "--to".as_ref(), target];
        let command = look.command(store, &words);
        return format!("Undo with: {command}        (safety snapshot {id})\n");
    }
    let words: [&OsStr; 6] = [
        "restore".as_ref(),
        safety.short_id.as_ref(),
        "--to".as_ref(),
        target,
        "--mode".as_ref(),
        "replace".as_ref(),
    ];
    let tags = safety.tags.join(", ");
    let tag = if tags.is_empty() {
        String::new()
    } else {
        format!(", tag {}", escape::shown(&tags))
    };
    format!(
        "Go back with: {}        (snapshot {}{tag})\n",
        look.command(store, &words),
        escape::shown(&safety.name)
    )
}

/// The same where undo cannot bring back all.
fn whole_way_back(outcome: &RestoreOutcome, store: &Path, look: &Look) -> String {
    let Some(safety) = &outcome.safety_snapshot else {
        return String::new();
    };
    let mut words: Vec<&OsStr> = vec![
        "restore".as_ref(),
        safety.short_id.as_ref(),
        "--to".as_ref(),
    ];
    let makes_table = |made: &Made| made.kind == ObjectKind::Table;
    let mut new_file = outcome.target.clone().into_os_string();
    new_file.push(".before");
    let what = match outcome.made.iter().any(makes_table) {
        // What the restore made would be lost by it.
        true => {
            words.push(&new_file);
            "What was there comes back as a new file with"
        }
        false => {
            words.push(outcome.target.as_os_str());
            words.extend(["--mode", "replace", "--replace-file"].map(OsStr::new));
            "Go back with"
        }
    };
    format!(
        "{what}: {}\n(undo would not bring back as they were: {})\n",
        look.command(store, &words),
        escape::shown(&outcome.beyond_undo.join(", "))
    )
}

/// `56 records inserted, 1 skipped`
fn totals(outcome: &RestoreOutcome) -> String {
    let mut parts = vec![format!(
        "{} inserted",
        figures::counted(sum(outcome, |table| table.inserted), "record")
    )];
    let others = [
        (sum(outcome, |table| table.filled), "filled"),
        (sum(outcome, |table| table.updated), "updated"),
        (sum(outcome, |table| table.same), "already there"),
        (sum(outcome, |table| table.skipped), "skipped"),
        (sum(outcome, |table| table.deleted), "deleted"),
    ];
    let others = others.iter().filter(|(n, _)| *n > 0);
    parts.extend(others.map(|(n, what)| format!("{} {what}", figures::count(*n))));
    parts.join(", ")
}
