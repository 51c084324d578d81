//! Which flags of `larder restore` go together. What makes no sense is refused before anything is
//! opened: passed over in silence, it would be taken for done.

use std::path::Path;

use super::RestoreArgs;
use super::flags::MatchWord;
use super::flags::ModeWord;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::paths;
use crate::cli::render::escape;
use crate::error::Error;
use crate::error::SelectError;
use crate::ops::open::PathKind;
use crate::ops::restore::Scope;

/// Refuses flags that contradict each other.
pub(super) fn together(args: &RestoreArgs) -> Result<(), Failure> {
    if let Some(second) = &args.second {
        return Err(Failure::usage(
            format!(
                "restore takes one word, the snapshot; {} is one too many",
                escape::path(Path::new(second))
            ),
            "The database is named with --to, as in: larder restore latest --to app.db",
        ));
    }
    let scope = args.scope.scope();
    rows(&scope)?;
    modes(args, &scope)?;
    whole_file(args)?;
    if args.missing.interactive && args.missing.on_missing.is_some() {
        return Err(Failure::usage(
            "-i asks about every missing record, --on-missing answers for all: nothing would be asked",
            "Give one of them.",
        ));
    }
    if args.matching.by == Some(MatchWord::Id) && !args.matching.keys.is_empty() {
        return Err(Failure::usage(
            "--match id asks the primary key alone: --key would not be used",
            "Give --match natural with --key, or leave one of them out.",
        ));
    }
    Ok(())
}

fn rows(scope: &Scope) -> Result<(), Failure> {
    if scope
        .filter
        .as_ref()
        .is_some_and(|text| text.trim().is_empty())
    {
        return Err(Failure::usage(
            "--where is empty: it says of no record whether it is chosen",
            "As in: --table orders --where \"total > 100\"; or leave it out for all records.",
        ));
    }
    if scope.filter.is_some() && scope.tables.len() != 1 {
        return Err(Failure::usage(
            "--where needs one --table: the one whose records it chooses among",
            "As in: --table orders --where \"total > 100\"",
        ));
    }
    let is_excluded = |table: &String| {
        let mut excluded = scope.excluded.iter();
        excluded.any(|other| other.eq_ignore_ascii_case(table))
    };
    let named = scope.key_values.iter().map(|named| &named.table);
    if let Some(table) = scope
        .tables
        .iter()
        .chain(named)
        .find(|table| is_excluded(table))
    {
        return Err(Failure::usage(
            format!(
                "table {:?} is both chosen and excluded",
                escape::shown(table)
            ),
            "Leave out one of the two.",
        ));
    }
    let all = scope.tables.is_empty() && scope.excluded.is_empty() && scope.key_values.is_empty();
    if all && (scope.with_parents || scope.with_children) {
        return Err(Failure::usage(
            "--with-parents and --with-children add to what is chosen, and all tables are",
            "Choose some, as in: --key-value orders=77 --with-parents",
        ));
    }
    Ok(())
}

fn modes(args: &RestoreArgs, scope: &Scope) -> Result<(), Failure> {
    let mode = args.doing.mode.unwrap_or_default();
    if args.scope.deleted && mode != ModeWord::Add {
        let what = match mode {
            ModeWord::Replace => "--mode replace writes over rows that are there",
            _ => "--mode augment fills rows that are there",
        };
        return Err(Failure::usage(
            format!("--deleted leaves all rows alone that are there, {what}"),
            "Leave out --mode, or --deleted.",
        ));
    }
    if args.doing.force && mode != ModeWord::Replace {
        return Err(Failure::usage(
            "--force is about rows that --mode replace deletes; nothing is deleted otherwise",
            "Leave out --force, or say --mode replace.",
        ));
    }
    let matches = args.matching.by.is_some() || !args.matching.keys.is_empty();
    if mode == ModeWord::Replace && !scope.chooses_rows() && matches {
        return Err(Failure::usage(
            "whole tables are replaced as they were, ids included: --match and --key are for chosen rows",
            "Choose rows, as in: --table products --where \"brand = 'x'\" --mode replace",
        ));
    }
    Ok(())
}

/// Refuses flags that choose, where all of the database is replaced.
fn whole_file(args: &RestoreArgs) -> Result<(), Failure> {
    let doing = &args.doing;
    if !doing.replace_file {
        return Ok(());
    }
    if doing.mode != Some(ModeWord::Replace) {
        return Err(Failure::usage(
            "--replace-file replaces all of the database, and --mode says otherwise",
            "Say --mode replace with it, or leave it out.",
        ));
    }
    let is_other = |flag: &str| flag != "--no-safety-snapshot";
    let given = of_existing(args);
    let mut given = given
        .iter()
        .filter(|(is_given, flag)| *is_given && is_other(flag));
    let Some((_, flag)) = given.next() else {
        return Ok(());
    };
    Err(Failure::usage(
        format!("--replace-file replaces all of the database at once: {flag} would not be used"),
        format!("Leave out {flag}, or --replace-file to go record by record."),
    ))
}

/// Refuses flags that do not go with what is at the target.
pub(super) fn with_target(
    args: &RestoreArgs,
    target: &Path,
    kind: PathKind,
) -> Result<(), Failure> {
    if kind == PathKind::Absent {
        no_snapshot(target)?;
        return with_new_file(args, target);
    }
    if !matches!(kind, PathKind::File | PathKind::ExportZip) {
        return Err(Failure::said(
            Code::Failed,
            format!("{} is a folder, not a database", escape::path(target)),
            "--to names a database file, or one that does not exist yet, as: --to restored.db",
        ));
    }
    if args.doing.allow_damaged {
        // The library says the same; here before a store is made for what the database would lose.
        let database = target.to_owned();
        return Err(Error::from(SelectError::NewFileOnly { database }).into());
    }
    Ok(())
}

/// Refuses a word for snapshots where a database is to be made: who writes it has changed places.
fn no_snapshot(target: &Path) -> Result<(), Failure> {
    let Some(word) = target.to_str() else {
        return Ok(());
    };
    if !paths::is_latest(word) && !paths::is_default_name(word) {
        return Ok(());
    }
    Err(Failure::usage(
        format!("{word} is a word for a snapshot, and --to names a database file"),
        format!(
            "As in: larder restore {word} --to restored.db   (if a new file of that name is meant: --to ./{word})"
        ),
    ))
}

/// Flags that are about the rows of a database that exists, and whether they are given.
fn of_existing(args: &RestoreArgs) -> [(bool, &'static str); 19] {
    let (scope, matching, doing, missing) =
        (&args.scope, &args.matching, &args.doing, &args.missing);
    [
        (!scope.tables.is_empty(), "--table"),
        (!scope.excluded.is_empty(), "--exclude-table"),
        (scope.filter.is_some(), "--where"),
        (!scope.key_values.is_empty(), "--key-value"),
        (scope.with_parents, "--with-parents"),
        (scope.with_children, "--with-children"),
        (scope.deleted, "--deleted"),
        (matching.by.is_some(), "--match"),
        (!matching.keys.is_empty(), "--key"),
        (!matching.references.is_empty(), "--reference"),
        (!matching.renames.is_empty(), "--rename"),
        (doing.on_conflict.is_some(), "--on-conflict"),
        (doing.force, "--force"),
        (doing.fire_triggers, "--fire-triggers"),
        (doing.no_safety_snapshot, "--no-safety-snapshot"),
        (missing.interactive, "--interactive"),
        (missing.on_missing.is_some(), "--on-missing"),
        (missing.resolve.is_some(), "--resolve"),
        (missing.save_decisions.is_some(), "--save-decisions"),
    ]
}

/// Refuses flags that are about a database that exists, where none does.
fn with_new_file(args: &RestoreArgs, target: &Path) -> Result<(), Failure> {
    let whole = (args.doing.replace_file, "--replace-file");
    let mut given = std::iter::once(whole).chain(of_existing(args));
    let Some((_, flag)) = given.find(|(is_given, _)| *is_given) else {
        return Ok(());
    };
    Err(Failure::usage(
        format!(
            "{flag} is for a database that exists, and {} does not",
            escape::path(target)
        ),
        format!(
            "A new file gets the whole snapshot, exactly as it was: leave out {flag}, or name the database \
             that the records go into."
        ),
    ))
}
