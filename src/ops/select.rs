//! Which snapshot a word means: id, unique prefix, name, `latest`, `latest~N`.

mod forgotten;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use forgotten::{Named, forgotten_one, named};
pub(in crate::ops) use forgotten::{each_forgotten, is_deleted};

use crate::error::{Error, SelectError};
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::source::recorded_path;
use crate::store::StoreError;

/// Tag of the snapshots that a restore takes of its target before it writes.
pub const SAFETY_TAG: &str = "before-restore";

/// Tag of the snapshots that a restore takes of its target when it has written.
pub const AFTER_TAG: &str = "after-restore";

/// Tag of a snapshot of what a restore makes, until that counts.
pub const UNCOMMITTED_TAG: &str = "uncommitted";

/// Which source `latest` is about, in a store of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SourceChoice {
    /// Any: the newest of all.
    #[default]
    Any,
    /// The source of this name (`--source-name`), or whose path this is, from the current folder if it is relative.
    Named(String),
    /// The source whose path is this one; else the only source there is; else an error.
    Of(PathBuf),
    /// The only source there is; else an error that lists them.
    Single,
}

/// True if a restore took the snapshot, not a person: `latest` passes over it, and it gives no
/// parent by itself.
pub fn is_of_restore(manifest: &Manifest) -> bool {
    let tags = [SAFETY_TAG, AFTER_TAG];
    manifest.tags.iter().any(|tag| tags.contains(&tag.as_str()))
}

/// Calls `each` for every visible snapshot, newest first, until it says `false`. The manifests of
/// one second are in memory at a time. A damaged one goes to `damaged`, which decides whether to go on.
pub fn newest_first(
    store: &Store,
    mut each: impl FnMut(Manifest) -> Result<bool, Error>,
    mut damaged: impl FnMut(&SnapshotId, StoreError) -> Result<(), Error>,
) -> Result<(), Error> {
    let ids = store.snapshot_names()?.ids;
    // Ids tell the second; within one, the manifests tell more.
    for second in ids.chunk_by(|a, b| a.second() == b.second()).rev() {
        let mut manifests = Vec::with_capacity(second.len());
        for id in second {
            match store.manifest(id) {
                Ok(manifest) => manifests.extend(manifest),
                Err(error @ StoreError::Damaged { .. }) => damaged(id, error)?,
                Err(error) => return Err(error.into()),
            }
        }
        manifests.sort_by(|a, b| (&b.time, &b.id).cmp(&(&a.time, &a.id)));
        for manifest in manifests {
            if !each(manifest)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The snapshot that `word` means; a copy is also known by the id that it had where it was copied from.
/// Errors: `Select` (`Forgotten` for one that is forgotten), `Store`.
pub fn one(store: &Store, word: &str, source: &SourceChoice) -> Result<Manifest, Error> {
    if let Ok(id) = word.parse::<SnapshotId>() {
        forgotten::refuse(store, &id)?;
        if let Some(manifest) = store.manifest(&id)? {
            return Ok(manifest);
        }
    }
    match latest_number(word) {
        Some(back) => latest(store, word, back, source),
        None => by_name_or_prefix(store, word),
    }
}

/// N of `latest~N`; 0 for `latest`.
fn latest_number(word: &str) -> Option<u64> {
    match word.strip_prefix("latest")? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

fn no_snapshot(store: &Store, word: &str, nearest: Option<String>) -> SelectError {
    SelectError::NoSnapshot {
        word: word.to_owned(),
        store: store.location(),
        nearest,
    }
}

/// The name by which people know a snapshot's source.
pub fn source_label(manifest: &Manifest) -> String {
    manifest
        .source
        .name
        .clone()
        .unwrap_or_else(|| manifest.source.path.clone())
}

/// Name or path of a snapshot's source, if it is another database than this one.
pub fn other_source(manifest: &Manifest, database: &Path) -> Option<String> {
    (manifest.source.path != recorded(database)).then(|| source_label(manifest))
}

fn latest(store: &Store, word: &str, back: u64, source: &SourceChoice) -> Result<Manifest, Error> {
    let wanted = match source {
        SourceChoice::Any => None,
        _ => chosen_source(store, source)?,
    };
    let mut left = back;
    let (mut found, mut any, mut passed_over) = (None, false, 0);
    newest_first(
        store,
        |manifest| {
            any = true;
            let is_wanted = wanted.as_ref().is_none_or(|wanted| {
                source_label(&manifest) == *wanted || manifest.source.path == *wanted
            });
            if is_of_restore(&manifest) || !is_wanted {
                passed_over += u64::from(is_wanted);
                return Ok(true);
            }
            if left == 0 {
                found = Some(manifest);
                return Ok(false);
            }
            left -= 1;
            Ok(true)
        },
        // Falling back to an older snapshot unasked would hide that the newest is damaged.
        |_, error| Err(error.into()),
    )?;
    match found {
        Some(manifest) => Ok(manifest),
        None if any => Err(SelectError::TooFew {
            word: word.to_owned(),
            store: store.location(),
            source_label: wanted,
            count: back - left,
            passed_over,
        }
        .into()),
        None => Err(SelectError::Empty {
            store: store.location(),
            forgotten: store.snapshot_names()?.forgotten.len() as u64,
        }
        .into()),
    }
}

/// The name or path that the wanted source's snapshots have; `None` if there is only one source.
fn chosen_source(store: &Store, source: &SourceChoice) -> Result<Option<String>, Error> {
    let known = sources(store)?;
    let has = |word: &str| {
        known
            .iter()
            .any(|(label, path)| label == word || path == word)
    };
    let labels: BTreeSet<String> = known.iter().map(|(label, _)| label.clone()).collect();
    let (store, sources) = (store.location(), labels.into_iter().collect::<Vec<_>>());
    match source {
        SourceChoice::Named(name) if has(name) => Ok(Some(name.clone())),
        SourceChoice::Named(name) if has(&recorded(Path::new(name))) => {
            Ok(Some(recorded(Path::new(name))))
        }
        SourceChoice::Named(name) => {
            let name = name.clone();
            Err(SelectError::NoSource {
                name,
                store,
                sources,
            }
            .into())
        }
        SourceChoice::Of(path) if has(&recorded(path)) => Ok(Some(recorded(path))),
        _ if sources.len() > 1 => Err(SelectError::SeveralSources { store, sources }.into()),
        _ => Ok(None),
    }
}

/// The name or path that the snapshots of a source have which is called so. Errors: `Select` (`NoSource`).
pub(in crate::ops) fn known_source(store: &Store, name: &str) -> Result<String, Error> {
    let named = SourceChoice::Named(name.to_owned());
    Ok(chosen_source(store, &named)?.unwrap_or_else(|| name.to_owned()))
}

/// The path under which a source is recorded.
fn recorded(path: &Path) -> String {
    recorded_path(path).to_string_lossy().into_owned()
}

/// The sources of a store: name, or path if none was given, and path.
fn sources(store: &Store) -> Result<BTreeSet<(String, String)>, Error> {
    let mut sources = BTreeSet::new();
    newest_first(
        store,
        |manifest| {
            if !is_of_restore(&manifest) {
                sources.insert((source_label(&manifest), manifest.source.path.clone()));
            }
            Ok(true)
        },
        |_, _| Ok(()),
    )?;
    Ok(sources)
}

fn by_name_or_prefix(store: &Store, word: &str) -> Result<Manifest, Error> {
    // A prefix of an id begins as ids do: with the digits of a year.
    let prefixed: Vec<SnapshotId> = match word.len() {
        0..4 => Vec::new(),
        _ => store
            .snapshot_names()?
            .ids
            .into_iter()
            .filter(|id| id.as_str().starts_with(word))
            .collect(),
    };
    let mut named: Vec<Manifest> = Vec::new();
    let mut names = Vec::new();
    let mut copies = Vec::new();
    newest_first(
        store,
        |manifest| {
            names.push(manifest.name.clone());
            if manifest.name == word {
                named.push(manifest);
                return Ok(true);
            }
            let original = manifest.original.as_ref();
            if word.len() >= 4 && original.is_some_and(|id| id.as_str().starts_with(word)) {
                copies.push(manifest.id);
            }
            Ok(true)
        },
        |_, _| Ok(()),
    )?;
    // Two at once may have been given one name: neither saw the other's.
    if named.len() > 1 {
        return Err(ambiguous(word, &named));
    }
    if let Some(manifest) = named.pop() {
        return Ok(manifest);
    }
    // A prefix that ids here have does not mean others.
    let ids = if prefixed.is_empty() {
        copies
    } else {
        prefixed
    };
    let mut visible = Vec::new();
    for id in &ids {
        visible.extend(store.manifest(id)?);
    }
    match visible.len() {
        0 => {
            if let Some(id) = forgotten::matching(store, word)?.pop() {
                forgotten::refuse(store, &id)?;
            }
            names.push("latest".to_owned());
            let nearest = nearest(word, names.iter().map(String::as_str));
            Err(no_snapshot(store, word, nearest).into())
        }
        1 => Ok(visible.remove(0)),
        _ => Err(ambiguous(word, &visible)),
    }
}

fn ambiguous(word: &str, found: &[Manifest]) -> Error {
    let matches = found.iter().map(|m| m.id.short().to_owned()).collect();
    let word = word.to_owned();
    SelectError::Ambiguous { word, matches }.into()
}

/// The candidate that a mistyped word most likely means; `None` if none is near.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let limit = 1 + word.chars().count() / 4;
    candidates
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Edit distance: insertions, deletions, changes, and swaps of neighbours.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (
        a.to_lowercase().chars().collect(),
        b.to_lowercase().chars().collect(),
    );
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped {
                    rows[i - 2][j - 2] + 1
                } else {
                    usize::MAX
                };
                changed
                    .min(rows[i - 1][j] + 1)
                    .min(rows[i][j - 1] + 1)
                    .min(swap)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_names_what_was_meant() {
        let names = ["latest", "backup_20261123_211530", "before-upgrade"];
        let near = |word| nearest(word, names.into_iter());
        assert_eq!(near("lastest").as_deref(), Some("latest"));
        assert_eq!(near("befor-upgrade").as_deref(), Some("before-upgrade"));
        assert_eq!(near("zzz"), None);
    }

    #[test]
    fn latest_counts_back() {
        assert_eq!(latest_number("latest"), Some(0));
        assert_eq!(latest_number("latest~12"), Some(12));
        assert_eq!(latest_number("latest~x"), None);
        assert_eq!(latest_number("lates"), None);
    }
}
