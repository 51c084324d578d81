//! What a restore takes its records from: a snapshot of a store, or an export as it lies there.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use super::flags::DoingFlags;
use crate::cli::args::DEFAULT_COMPRESSION;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::open::Selected;
use crate::cli::paths;
use crate::cli::paths::Place;
use crate::cli::render::escape;
use crate::error::Error;
use crate::error::SelectError;
use crate::error::StoreError;
use crate::ops;
use crate::ops::import::Borrowed;
use crate::ops::open::PathKind;
use crate::ops::open::Store;
use crate::ops::open::World;
use crate::ops::restore::Decider;
use crate::ops::restore::RestoreOptions;
use crate::ops::restore::RestoreOutcome;
use crate::ops::select::SourceChoice;
use crate::ops::show::Manifest;
use crate::progress::Progress;

/// The snapshot that a word means. A file of that name is most likely the database.
fn stored(word: &OsStr, source: &SourceChoice, cx: &Context<'_>) -> Result<Selected, Failure> {
    let failure = match cx.one(word, source) {
        Ok(selected) => return Ok(selected),
        Err(failure) => failure,
    };
    let path = Path::new(word);
    let is_unknown = matches!(
        failure,
        Failure::Library(
            Error::Select(SelectError::NoSnapshot { .. } | SelectError::Empty { .. })
                | Error::Store(StoreError::NoStore { .. })
        )
    );
    if !is_unknown || cx.kind(path)? != PathKind::File {
        return Err(failure);
    }
    let words = ["restore".as_ref(), "latest".as_ref(), "--to".as_ref(), word];
    Err(Failure::said(
        Code::Failed,
        format!("{} is a file, and no snapshot", escape::path(path)),
        format!(
            "The snapshot comes first, the database is named with --to: {}\n\
             Snapshots are listed with: {}",
            cx.look.command(&cx.store, &words),
            cx.look.command(&cx.store, &["list".as_ref()])
        ),
    ))
}

/// A snapshot that can be restored.
pub enum From {
    /// Of a store.
    Stored(Selected),
    /// An export, as a snapshot in a store of its own, which goes again.
    Exported {
        borrowed: Borrowed,
        /// Where the snapshots around a change of the database go; `None`: there is nothing to keep.
        keep: Option<Store>,
        /// The store's place.
        path: PathBuf,
        /// True if the store was made for it.
        created: bool,
        /// True if it was not there before.
        makes_store: bool,
        /// The export, as it was given.
        export: PathBuf,
    },
}

impl From {
    /// What a word means.
    pub fn open(
        word: &OsStr,
        source: &SourceChoice,
        target: &Path,
        doing: &DoingFlags,
        cx: &mut Context<'_>,
    ) -> Result<Self, Failure> {
        let Place::Export(export) = cx.place(word)? else {
            return Ok(Self::Stored(stored(word, source, cx)?));
        };
        let path = cx.store.clone();
        // What a database loses is saved in the store that is named, made if it is not there.
        let keeps = cx.kind(target)? != PathKind::Absent && !doing.no_safety_snapshot;
        let place = match keeps {
            true => Some(paths::backup_store(&path, &|path| cx.kind(path))?),
            false => None,
        };
        let kept = match &place {
            Some(place) if !doing.dry_run => Some(cx.open_for_backup(place, DEFAULT_COMPRESSION)?),
            _ => None,
        };
        let makes_store = place.is_some_and(|place| place.create);
        let (keep, created) = kept.map_or((None, false), |(store, made)| (Some(store), made));
        let world = cx.world.clone();
        let mut reporter = cx.reporter();
        let borrowed = ops::import::borrow(&export, &world, None, &mut reporter)?;
        reporter.finish(&[]);
        Ok(Self::Exported {
            borrowed,
            keep,
            path,
            created,
            makes_store,
            export,
        })
    }

    /// True if the store was made for what the database loses.
    pub fn store_created(&self) -> bool {
        matches!(self, Self::Exported { created: true, .. })
    }

    /// True if what the database loses goes to a store that is not there yet.
    pub fn makes_store(&self) -> bool {
        matches!(
            self,
            Self::Exported {
                makes_store: true,
                ..
            }
        )
    }

    /// The export, if it is one.
    pub fn export(&self) -> Option<&Path> {
        match self {
            Self::Stored(_) => None,
            Self::Exported { export, .. } => Some(export),
        }
    }

    /// The snapshot.
    pub fn manifest(&self) -> &Manifest {
        match self {
            Self::Stored(selected) => &selected.manifest,
            Self::Exported { borrowed, .. } => &borrowed.manifest,
        }
    }

    /// Where the store is that snapshots of the database go to.
    pub fn store(&self) -> &Path {
        match self {
            Self::Stored(selected) => &selected.path,
            Self::Exported { path, .. } => path,
        }
    }

    /// Restores it.
    pub fn restore(
        &mut self,
        world: &World,
        options: &RestoreOptions,
        decider: &mut dyn Decider,
        progress: &mut dyn Progress,
    ) -> Result<RestoreOutcome, Error> {
        match self {
            Self::Stored(selected) => {
                let (store, manifest) = (&mut selected.store, &selected.manifest);
                ops::restore::run(store, world, manifest, options, decider, progress)
            }
            Self::Exported {
                borrowed,
                keep: Some(keep),
                ..
            } => {
                let (store, manifest) = (&borrowed.store, &borrowed.manifest);
                ops::restore::run_from(store, manifest, keep, world, options, decider, progress)
            }
            Self::Exported { borrowed, .. } => {
                let (store, manifest) = (&mut borrowed.store, &borrowed.manifest);
                ops::restore::run(store, world, manifest, options, decider, progress)
            }
        }
    }
}
