//! What now, where a word names no snapshot, table, record or restore.

use std::ffi::OsStr;
use std::path::Path;

use crate::cli::quote;
use crate::cli::render::Look;
use crate::error::SelectError;
use crate::ops::select::nearest as nearest_of;

fn listed(store: &str, look: &Look) -> String {
    format!(
        "Snapshots are listed with: {}",
        look.command(Path::new(store), &["list".as_ref()])
    )
}

/// What now, in a store that shows no snapshots.
fn empty(store: &str, forgotten: u64, look: &Look) -> String {
    let command = |words: &[&'static str]| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        look.command(Path::new(store), &words)
    };
    let take = format!("Take one with: {}", command(&["backup", "DB"]));
    match forgotten {
        0 => take,
        _ => format!(
            "Take one back with: {}   (they are listed with: {})\n{take}",
            command(&["forget", "--undo", "ID"]),
            command(&["list", "--forgotten"]),
        ),
    }
}

const NEW_FILE_FIRST: &str = "Nothing was written. Restore to a new file first, as --to rescued.db, and look at it: \
                              from there records can be taken over.";

/// What now, of words that name nothing, or not one thing.
pub(super) fn select(error: &SelectError, look: &Look) -> Option<String> {
    match error {
        SelectError::NoSnapshot { store, .. } => Some(listed(store, look)),
        SelectError::Forgotten { .. }
        | SelectError::NoForgotten { .. }
        | SelectError::Pinned { .. }
        | SelectError::Unsettled { .. }
        | SelectError::KeepsNothing { .. }
        | SelectError::NoTag { .. }
        | SelectError::NoHost { .. }
        | SelectError::NoneFits { .. }
        | SelectError::LastForgotten { .. } => forgetting(error, look),
        SelectError::TooFew {
            store,
            passed_over: 0,
            ..
        } => Some(listed(store, look)),
        SelectError::TooFew { store, .. } => Some(format!(
            "latest passes over what restores and undos took (before-restore, after-restore): those are named \
             by their ids.\n{}",
            listed(store, look)
        )),
        SelectError::Empty { store, forgotten } => Some(empty(store, *forgotten, look)),
        SelectError::Ambiguous { .. } => Some("Give more of its digits.".to_owned()),
        SelectError::SeveralSources { .. } => {
            Some("Say which with --source-name, or name a snapshot.".to_owned())
        }
        SelectError::NoSource { sources, .. } if sources.is_empty() => None,
        SelectError::NoSource { sources, .. } => Some(format!("There are: {}", sources.join(", "))),
        SelectError::NameTaken { .. } => {
            Some("Choose another with --name, or leave it out.".to_owned())
        }
        SelectError::BadName { .. } => Some("Choose another with --name.".to_owned()),
        SelectError::NoPages { .. } => Some("Leave out --from.".to_owned()),
        SelectError::NewFileOnly { .. } => Some(NEW_FILE_FIRST.to_owned()),
        SelectError::NotARestore { .. } => Some(format!(
            "Restores leave a snapshot with the tag after-restore: look for it with: {}",
            look.command(&look.store, &["list".as_ref()])
        )),
        SelectError::NothingToUndo { database, store } => {
            let (store, database) = (Path::new(store), OsStr::new(database));
            Some(format!(
                "Restores leave a snapshot with the tag after-restore (see: {}); with --no-safety-snapshot they \
                 leave none, and cannot be undone.\n\
                 If the database was moved or renamed since, name that snapshot: {} SNAP --to {}",
                look.command(store, &["list".as_ref()]),
                look.command(store, &["undo".as_ref()]),
                quote::word(database)
            ))
        }
        SelectError::NoTable { .. } | SelectError::Virtual { .. } => {
            Some("Leave out --table to see which tables differ.".to_owned())
        }
        SelectError::NoRecord {
            table, snapshot, ..
        } => {
            let records = format!("{snapshot}:{table}");
            let words = ["cat".as_ref(), OsStr::new(&records)];
            Some(format!(
                "Its records are shown with: {}",
                look.command(&look.store, &words)
            ))
        }
        SelectError::BadKey { .. } => None,
        SelectError::NoEntity { snapshot, .. } => Some(format!(
            "Its entities are listed with: {}",
            look.command(&look.store, &["ls".as_ref(), OsStr::new(snapshot)])
        )),
    }
}

/// What now, of snapshots that are forgotten, and of those that cannot be.
fn forgetting(error: &SelectError, look: &Look) -> Option<String> {
    match error {
        SelectError::Forgotten { deleted: true, .. } => {
            Some("It cannot be had back; what newer snapshots hold is as it was.".to_owned())
        }
        SelectError::Forgotten {
            snapshot, store, ..
        } => {
            let words = ["forget", "--undo", snapshot].map(OsStr::new);
            Some(format!(
                "Take it back with: {}",
                look.command(Path::new(store), &words)
            ))
        }
        SelectError::NoForgotten { store, .. } => Some(format!(
            "Those that can be taken back are listed with: {}",
            look.command(Path::new(store), &["list", "--forgotten"].map(OsStr::new))
        )),
        SelectError::Pinned { snapshot, store } => {
            let words = ["unpin", snapshot].map(OsStr::new);
            Some(format!(
                "Nothing was forgotten. Take its pin away first: {}",
                look.command(Path::new(store), &words)
            ))
        }
        SelectError::Unsettled { .. } => Some(
            "Nothing was forgotten. The next restore into its database, or an undo, finds out whether it counts."
                .to_owned(),
        ),
        SelectError::KeepsNothing { .. } => Some(
            "Nothing was forgotten. If all of them are to go, say --allow-empty; else add a rule, as --keep-last 1."
                .to_owned(),
        ),
        SelectError::NoTag { known, .. } | SelectError::NoHost { known, .. } => {
            let there_are = format!("Nothing was forgotten. There are: {}", known.join(", "));
            (!known.is_empty()).then_some(there_are)
        }
        SelectError::NoneFits { store } => {
            Some(format!("Nothing was forgotten. {}", listed(store, look)))
        }
        SelectError::LastForgotten {
            snapshot,
            database,
            store,
            deleted,
        } => {
            let command = |words: &[&str]| {
                let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
                look.command(Path::new(store), &words)
            };
            let undo = ["forget", "--undo", snapshot];
            let back = match deleted {
                true => "It cannot be had back, nor undone.".to_owned(),
                false => format!("Take it back, then undo it: {}", command(&undo)),
            };
            Some(format!(
                "Nothing was written. {back}\n\
                 An earlier restore is undone by the snapshot that it left: {} SNAP",
                command(&["undo", "--to", database])
            ))
        }
        _ => None,
    }
}

/// The nearest thing that exists, for the words that name nothing.
pub(super) fn nearest(error: &SelectError) -> Option<String> {
    match error {
        SelectError::NoSnapshot { nearest, .. }
        | SelectError::NoForgotten { nearest, .. }
        | SelectError::NoEntity { nearest, .. }
        | SelectError::NoTable { nearest, .. } => nearest.clone(),
        SelectError::NoSource { name, sources, .. } => {
            nearest_of(name, sources.iter().map(String::as_str))
        }
        SelectError::NoHost { host, known, .. } => {
            nearest_of(host, known.iter().map(String::as_str))
        }
        SelectError::NoTag { tags, known, .. } => match tags.as_slice() {
            [tag] => nearest_of(tag, known.iter().map(String::as_str)),
            _ => None,
        },
        SelectError::Empty { .. }
        | SelectError::NoneFits { .. }
        | SelectError::Forgotten { .. }
        | SelectError::Pinned { .. }
        | SelectError::Unsettled { .. }
        | SelectError::KeepsNothing { .. }
        | SelectError::TooFew { .. }
        | SelectError::Ambiguous { .. }
        | SelectError::SeveralSources { .. }
        | SelectError::NameTaken { .. }
        | SelectError::BadName { .. }
        | SelectError::NotARestore { .. }
        | SelectError::NothingToUndo { .. }
        | SelectError::LastForgotten { .. }
        | SelectError::BadKey { .. }
        | SelectError::NoRecord { .. }
        | SelectError::Virtual { .. }
        | SelectError::NewFileOnly { .. }
        | SelectError::NoPages { .. } => None,
    }
}
