//! What a backup says.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::backup::BackupOutcome;
use crate::ops::backup::EntityReport;
use crate::ops::show::Changes;

/// What the outcome itself does not know.
#[derive(Debug, Clone, Copy)]
pub struct BackupView<'a> {
    /// The database or export, as it was given.
    pub database: &'a Path,
    /// The store, as it was given.
    pub store: &'a Path,
    /// True if it was made for this backup.
    pub store_created: bool,
    /// The zip that was written too.
    pub zip: Option<&'a Path>,
}

/// The whole report, with the command that restores the snapshot.
pub fn backup(outcome: &BackupOutcome, view: &BackupView<'_>, look: &Look) -> String {
    let heading = format!(
        "Backing up {} (SQLite, {}, {})",
        escape::path(view.database),
        escape::shown(&outcome.journal),
        figures::bytes(outcome.source_bytes)
    );
    report(outcome, view, look, &heading, "Backup complete")
}

/// The report of an import: that of a backup of what was made from the export.
pub fn import(outcome: &BackupOutcome, view: &BackupView<'_>, look: &Look) -> String {
    let heading = format!(
        "Importing {} (export, {})",
        escape::path(view.database),
        figures::bytes(outcome.source_bytes)
    );
    report(outcome, view, look, &heading, "Import complete")
}

fn report(
    outcome: &BackupOutcome,
    view: &BackupView<'_>,
    look: &Look,
    heading: &str,
    done: &str,
) -> String {
    let mut out = String::new();
    let store = escape::path(view.store);
    if view.store_created {
        let _ = writeln!(out, "store {store} created");
    }
    let _ = writeln!(out, "{heading}");
    out.push_str(&entities(outcome, look.verbose));
    let snapshot = &outcome.snapshot;
    let id = if look.verbose {
        &snapshot.id
    } else {
        &snapshot.short_id
    };
    let _ = writeln!(
        out,
        "{done}: {}   (snapshot {})",
        escape::shown(&snapshot.name),
        escape::shown(id)
    );
    let _ = writeln!(
        out,
        "  store  {store:<18} date  {}",
        figures::local_time(&snapshot.time, &look.zone)
    );
    if !snapshot.tags.is_empty() {
        let _ = writeln!(out, "  tags   {}", escape::shown(&snapshot.tags.join(", ")));
    }
    let _ = writeln!(
        out,
        "  {}, {}{}",
        figures::counted(snapshot.files, "entity file"),
        figures::counted(snapshot.records, "record"),
        since_parent(outcome)
    );
    if let Some(pages) = outcome.pages {
        let pages = figures::counted(pages, "page");
        let use_of = match outcome.damaged {
            true => "as they are",
            false => "from which it is restored",
        };
        let _ = writeln!(out, "  and the database's {pages}, {use_of}");
    }
    if outcome.damaged {
        out.push_str("  the database is damaged: this is what could be read of it\n");
    }
    out.push_str(&costs(outcome, look.verbose));
    if let Some(zip) = view.zip {
        let _ = writeln!(out, "  zip    {}", escape::path(zip));
    }
    let words: [&OsStr; 4] = [
        "restore".as_ref(),
        snapshot.name.as_ref(),
        "--to".as_ref(),
        "restored.db".as_ref(),
    ];
    let _ = writeln!(out, "Restore it with: {}", look.command(view.store, &words));
    out
}

/// What it cost the store, and with `all` the programs that use the database.
fn costs(outcome: &BackupOutcome, all: bool) -> String {
    let mut out = format!(
        "  read {}, stored {} new (store: {} for {}), {}\n",
        figures::bytes(outcome.source_bytes),
        figures::bytes(outcome.stored_bytes),
        figures::bytes(outcome.store_bytes),
        figures::counted(outcome.store_snapshots, "snapshot"),
        figures::seconds(outcome.elapsed_ms)
    );
    if outcome.skipped_records > 0 && all {
        let _ = writeln!(
            out,
            "  {} lie on pages that have not changed and were not read",
            figures::counted(outcome.skipped_records, "record")
        );
    }
    if let Some(locked) = outcome.longest_lock_ms.filter(|_| all) {
        let seconds = Duration::from_millis(locked).as_secs_f64();
        let _ = writeln!(out, "  source locked for at most {seconds:.2} s");
    }
    out
}

/// A line per entity file. With a parent, the unchanged ones are one line unless `all`.
fn entities(outcome: &BackupOutcome, all: bool) -> String {
    let has_parent = outcome.parent.is_some();
    let is_unchanged = |entity: &&EntityReport| entity.changes.is_some_and(Changes::is_empty);
    let folded = outcome.entities.iter().filter(is_unchanged).count();
    let folds = has_parent && !all && folded > 0;
    let rows: Vec<Vec<String>> = outcome
        .entities
        .iter()
        .filter(|entity| !(folds && is_unchanged(entity)))
        .map(|entity| {
            let noun = figures::agree(entity.records, "record", "records");
            vec![
                escape::shown(&entity.file).into_owned(),
                format!("{} {noun:<7}", figures::count(entity.records)),
                changes(entity, has_parent),
            ]
        })
        .collect();
    let mut out = super::columns("  ", &[Side::Left, Side::Right, Side::Left], &rows);
    if folds {
        let _ = writeln!(
            out,
            "  {} unchanged",
            figures::counted(folded as u64, "entity file")
        );
    }
    for dropped in &outcome.dropped {
        let _ = writeln!(out, "  {} is gone", escape::shown(dropped));
    }
    out
}

/// `+3 new  2 changed  1 removed`
fn changes(entity: &EntityReport, has_parent: bool) -> String {
    let Some(changes) = entity.changes else {
        let first = if has_parent { "  new entity" } else { "" };
        return first.to_owned();
    };
    let parts = [
        (changes.added, "+", "new"),
        (changes.changed, "", "changed"),
        (changes.removed, "", "removed"),
    ];
    parts
        .iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, sign, word)| format!("  {sign}{} {word}", figures::count(*n)))
        .collect()
}

/// `; 214 new or changed, 3 removed since backup_20261122_211528`
fn since_parent(outcome: &BackupOutcome) -> String {
    let Some(parent) = &outcome.parent else {
        return String::new();
    };
    let mut stored = 0_u64;
    let mut removed = 0_u64;
    for entity in &outcome.entities {
        match entity.changes {
            Some(changes) => {
                stored += changes.added + changes.changed;
                removed += changes.removed;
            }
            None => stored += entity.records,
        }
    }
    let what = match (stored, removed) {
        (0, 0) => "nothing new or changed".to_owned(),
        (stored, 0) => format!("{} new or changed", figures::count(stored)),
        (stored, removed) => format!(
            "{} new or changed, {} removed",
            figures::count(stored),
            figures::count(removed)
        ),
    };
    format!("; {what} since {}", escape::shown(parent))
}
