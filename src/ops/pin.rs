//! Pins snapshots, and takes pins away: what is pinned is neither forgotten nor deleted.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::ops::list::{SnapshotLine, all_ids, line};
use crate::ops::open::Store;
use crate::ops::select::{Named, SourceChoice, named, one};
use crate::progress::Progress;
use crate::store::StoreError;

/// What to pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinOptions {
    /// Words that name snapshots.
    pub words: Vec<String>,
    /// Take their pins away.
    pub remove: bool,
}

/// What was pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinOutcome {
    /// Where the store is.
    pub store: String,
    /// Pins were taken away.
    pub removed: bool,
    /// The snapshots, and whether anything changed: `false` if it was so already.
    pub snapshots: Vec<(SnapshotLine, bool)>,
    /// It was asked to stop before so many others were done.
    pub left: u64,
}

/// Pins, or takes pins away. All words are looked at before the first pin is set.
///
/// Errors: `Select` (`Forgotten`: what is forgotten cannot be pinned), `Store`.
pub fn run(
    store: &Store,
    options: &PinOptions,
    progress: &mut dyn Progress,
) -> Result<PinOutcome, Error> {
    let ids = all_ids(&store.snapshot_names()?);
    let (mut wanted, mut seen) = (Vec::new(), BTreeSet::new());
    for word in &options.words {
        let source = SourceChoice::Single;
        let found = match named(store, word, &source)? {
            // A pin on it may be in the way of nobody but a clean-up: it can be taken away.
            Named::Forgotten(_) if !options.remove => {
                Named::Visible(Box::new(one(store, word, &source)?))
            }
            found => found,
        };
        let id = found.id().clone();
        let manifest = match &found {
            Named::Visible(manifest) => Some(manifest.as_ref().clone()),
            Named::Unreadable(_) => None,
            Named::Forgotten(id) => match store.manifest(id) {
                Err(StoreError::Damaged { .. }) => None,
                done => done?,
            },
        };
        if seen.insert(id.clone()) {
            let mut line = line(&id, manifest.as_ref(), &ids);
            if let Some(summary) = &mut line.summary {
                summary.pinned = Some(!options.remove);
            }
            wanted.push((id, line));
        }
    }
    let mut snapshots = Vec::new();
    let all = wanted.len();
    for (id, line) in wanted {
        if progress.cancelled() {
            break;
        }
        let changed = match options.remove {
            true => store.unpin(&id)?,
            false => store.pin(&id)?,
        };
        snapshots.push((line, changed));
    }
    Ok(PinOutcome {
        store: store.location(),
        removed: options.remove,
        left: (all - snapshots.len()) as u64,
        snapshots,
    })
}
