//! Takes forgetting back: a forgotten snapshot that no clean-up has deleted is there again.

use std::collections::{BTreeMap, BTreeSet};

use super::{readable, tell_how_far};
use crate::error::{Error, SelectError};
use crate::model::id::SnapshotId;
use crate::ops::list::{SnapshotLine, all_ids, line, newest_line_first};
use crate::ops::open::Store;
use crate::ops::select::{Named, SourceChoice, forgotten_one, named, newest_first};
use crate::progress::{Finding, Progress};

/// Which forgotten snapshots are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeBack {
    /// Those that the words name.
    Words(Vec<String>),
    /// All that are not deleted.
    All,
}

/// What to take back.
#[derive(Debug, Clone)]
pub struct TakeBackOptions {
    /// Which snapshots.
    pub which: TakeBack,
    /// Say what would be taken back, and stop there.
    pub dry_run: bool,
}

/// What was taken back, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// Where the store is.
    pub store: String,
    /// Nothing was taken back: it was only said what would be.
    pub dry_run: bool,
    /// Those that are there again, newest first.
    pub snapshots: Vec<SnapshotLine>,
    /// Those that were named and are not forgotten.
    pub already: Vec<SnapshotLine>,
    /// It was asked to stop before so many others were taken back.
    pub left: u64,
    /// Names that others have meanwhile; of all, those that a clean-up was deleting.
    pub findings: Vec<Finding>,
}

/// Takes back.
///
/// Errors: `Select`; `Store`, `Pruned` if a clean-up has deleted one. What was taken back before an error in
/// the midst of the work stays so, and is told to `progress`.
pub fn take_back(
    store: &Store,
    options: &TakeBackOptions,
    progress: &mut dyn Progress,
) -> Result<TakenBack, Error> {
    let ids = all_ids(&store.snapshot_names()?);
    let mut outcome = TakenBack {
        store: store.location(),
        dry_run: options.dry_run,
        snapshots: Vec::new(),
        already: Vec::new(),
        left: 0,
        findings: Vec::new(),
    };
    let wanted = match &options.which {
        TakeBack::Words(words) => by_words(store, words, &ids, &mut outcome)?,
        TakeBack::All => all(store, &mut outcome)?,
    };
    let mut lines = Vec::new();
    for id in &wanted {
        let manifest = readable(store, id)?;
        lines.push(line(id, manifest.as_ref(), &ids));
    }
    if options.dry_run {
        outcome.snapshots = lines;
    } else {
        for (done, (id, line)) in wanted.iter().zip(lines).enumerate() {
            if progress.cancelled() {
                break;
            }
            if let Err(error) = store.unforget(id) {
                tell_how_far(done, wanted.len(), "taken back", progress);
                return Err(error.into());
            }
            outcome.snapshots.push(line);
        }
        outcome.left = (wanted.len() - outcome.snapshots.len()) as u64;
    }
    outcome.snapshots.sort_by(newest_line_first);
    names_of_others(store, &mut outcome)?;
    Ok(outcome)
}

/// Those that the words name, each once. What is there already, as after a run that was cut off, is no error.
fn by_words(
    store: &Store,
    words: &[String],
    ids: &[SnapshotId],
    outcome: &mut TakenBack,
) -> Result<Vec<SnapshotId>, Error> {
    let (mut wanted, mut seen) = (Vec::new(), BTreeSet::new());
    for word in words {
        match forgotten_one(store, word) {
            Ok(id) => {
                if seen.insert(id.clone()) {
                    wanted.push(id);
                }
            }
            Err(Error::Select(error @ SelectError::NoForgotten { .. })) => {
                let is_latest = word == "latest" || word.starts_with("latest~");
                match named(store, word, &SourceChoice::Any) {
                    Ok(Named::Visible(manifest)) if !is_latest => {
                        let there = line(&manifest.id, Some(&manifest), ids);
                        outcome.already.push(there);
                    }
                    Ok(Named::Unreadable(id)) if !is_latest => {
                        outcome.already.push(line(&id, None, ids));
                    }
                    Ok(_) | Err(Error::Select(_)) => return Err(error.into()),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(wanted)
}

fn all(store: &Store, outcome: &mut TakenBack) -> Result<Vec<SnapshotId>, Error> {
    let marks = store.forgotten()?;
    let mut wanted = Vec::new();
    for id in store.snapshot_names()?.forgotten {
        if marks.mark(&id).is_some_and(|mark| mark.verdict.is_none()) {
            wanted.push(id);
        } else {
            let text = "a clean-up is deleting it: it cannot be taken back";
            let subject = format!("snapshot {}", id.short());
            outcome.findings.push(Finding::note(subject, text));
        }
    }
    Ok(wanted)
}

/// Names that two snapshots have now: a new one may be called as one was that is forgotten.
fn names_of_others(store: &Store, outcome: &mut TakenBack) -> Result<(), Error> {
    let summaries = outcome.snapshots.iter().filter_map(|s| s.summary.as_ref());
    let back: BTreeMap<String, String> = summaries
        .map(|summary| (summary.id.clone(), summary.name.clone()))
        .collect();
    let mut notes = Vec::new();
    newest_first(
        store,
        |manifest| {
            for (id, name) in &back {
                if *name == manifest.name && *id != manifest.id.as_str() {
                    let text = format!(
                        "snapshot {} is named {name:?} as well: only their ids tell them apart",
                        manifest.id.short()
                    );
                    let subject = format!("snapshot {}", id.get(..21).unwrap_or(id));
                    notes.push(Finding::note(subject, text));
                }
            }
            Ok(true)
        },
        |_, _| Ok::<(), Error>(()),
    )?;
    outcome.findings.extend(notes);
    Ok(())
}
