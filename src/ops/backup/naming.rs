//! What a new snapshot is called, and which older one it is built on.

use std::collections::HashSet;

use crate::error::{Error, SelectError};
use crate::format::manifest::{Manifest, Source};
use crate::model::id::{BlobId, SnapshotId};
use crate::ops::open::Store;
use crate::ops::select::{is_of_restore, newest_first};

/// The name of a new snapshot, and the snapshots that may be its basis.
#[derive(Debug)]
pub(super) struct Lineage {
    /// The name; not taken when it was looked at.
    pub name: String,
    /// Snapshots there are, damaged ones included.
    pub snapshots: u64,
    /// Newest snapshot of every source, newest first.
    newest: Vec<Manifest>,
}

/// A snapshot whose trees serve a new one as bases.
#[derive(Debug)]
pub(super) struct Basis {
    /// Its manifest.
    pub manifest: Manifest,
    /// It is of the same source: the new one is compared with it.
    pub is_of_source: bool,
}

/// Reads the manifests of the store, one at a time. `name`: the one that was asked for.
///
/// Errors: `NameTaken`, `BadName`.
pub(super) fn read(store: &Store, name: Option<&str>, time_ms: i64) -> Result<Lineage, Error> {
    if let Some(name) = name {
        check_name(name)?;
    }
    let mut names = HashSet::new();
    let mut newest: Vec<Manifest> = Vec::new();
    let snapshots = std::cell::Cell::new(0);
    newest_first(
        store,
        |manifest| {
            snapshots.set(snapshots.get() + 1);
            names.insert(manifest.name.clone());
            let known = newest
                .iter()
                .any(|other| other.source_key() == manifest.source_key());
            if !known && !is_of_restore(&manifest) {
                newest.push(manifest);
            }
            Ok(true)
        },
        // It is no basis; `list` and `validate` name it.
        |_, _| {
            snapshots.set(snapshots.get() + 1);
            Ok(())
        },
    )?;
    let name = match name {
        Some(name) if names.contains(name) => {
            let store = store.location();
            return Err(SelectError::NameTaken {
                name: name.to_owned(),
                store,
            }
            .into());
        }
        Some(name) => name.to_owned(),
        None => free_name(&default_name(time_ms), &names),
    };
    Ok(Lineage {
        name,
        snapshots: snapshots.get(),
        newest,
    })
}

/// `backup_YYYYMMDD_HHMMSS` in local time, as the ancestor named its folders.
fn default_name(time_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    let local = time.to_zoned_datetime(jiff::tz::TimeZone::system());
    local.strftime("backup_%Y%m%d_%H%M%S").to_string()
}

/// The name, or the first of `name_2`, `name_3` … that is not taken.
pub(in crate::ops) fn free_name(name: &str, taken: &HashSet<String>) -> String {
    let numbered = (2_u64..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|candidate| !taken.contains(candidate))
        .unwrap_or_else(|| name.to_owned())
}

/// A name must be a file name and nothing that is read as another word for a snapshot.
pub(in crate::ops) fn check_name(name: &str) -> Result<(), SelectError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > 200 {
        "it is longer than 200 bytes"
    } else if name
        .chars()
        .any(|c| c == '/' || c == '\\' || c == ':' || c.is_control())
    {
        "it holds a slash, a colon or a control character"
    } else if name.starts_with(['.', '-', '@', '~']) {
        "it begins with '.', '-', '@' or '~'"
    } else if name == "latest" || name.starts_with("latest~") {
        "latest means the newest snapshot"
    } else if name.parse::<SnapshotId>().is_ok() {
        "it looks like a snapshot id"
    } else {
        return Ok(());
    };
    Err(SelectError::BadName {
        name: name.to_owned(),
        reason,
    })
}

/// What tells a source from others; see `Manifest::source_key`.
fn key_of<'a>(host: &'a str, source: &'a Source) -> (Option<&'a str>, &'a str, &'a str) {
    match &source.name {
        Some(name) => (Some(name.as_str()), "", ""),
        None => (None, host, source.path.as_str()),
    }
}

impl Lineage {
    /// True if there is a snapshot of the source.
    pub(super) fn knows(&self, host: &str, source: &Source) -> bool {
        let key = key_of(host, source);
        self.newest.iter().any(|other| other.source_key() == key)
    }

    /// The snapshot whose trees serve as bases: the newest of the same source, else the newest with the
    /// same schema, else the one that shares most entity names. Nothing depends on it.
    pub(super) fn basis(
        &self,
        host: &str,
        source: &Source,
        schema: BlobId,
        entities: &[&str],
    ) -> Option<Basis> {
        let key = key_of(host, source);
        let shared = |other: &&Manifest| {
            entities
                .iter()
                .filter(|entity| other.entity(entity).is_some())
                .count()
        };
        let of_same_source = self.newest.iter().find(|other| other.source_key() == key);
        let is_of_source = of_same_source.is_some();
        let manifest = of_same_source
            .or_else(|| self.newest.iter().find(|other| other.schema == schema))
            .or_else(|| {
                // `max_by_key` takes the last of equals: the newest, when read from the oldest.
                self.newest
                    .iter()
                    .rev()
                    .filter(|o| shared(o) > 0)
                    .max_by_key(shared)
            })?;
        Some(Basis {
            manifest: manifest.clone(),
            is_of_source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_mean_something_else_are_refused() {
        for name in [
            "", "a/b", "latest", "latest~1", "-x", ".hidden", "@2026", "a\nb",
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["b1", "backup_20261123_211530", "before upgrade", "Käse"] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn a_taken_default_name_is_numbered() {
        let taken = HashSet::from(["b".to_owned(), "b_2".to_owned()]);
        assert_eq!(free_name("b", &taken), "b_3");
        assert_eq!(free_name("c", &taken), "c");
    }
}
