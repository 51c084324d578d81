//! What a restore takes its records from: a snapshot of a store, or an export as it lies there.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::args::DEFAULT_COMPRESSION;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::open::Selected;
use crate::cli::paths;
use crate::cli::paths::Place;
use crate::error::Error;
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
    },
}

impl From {
    /// What a word means.
    pub fn open(
        word: &OsStr,
        source: &SourceChoice,
        target: &Path,
        dry_run: bool,
        cx: &mut Context<'_>,
    ) -> Result<Self, Failure> {
        let Place::Export(export) = cx.place(word)? else {
            return Ok(Self::Stored(cx.one(word, source)?));
        };
        let path = cx.store.clone();
        // What a database loses is saved in the store that is named, made if it is not there.
        let keep = match cx.kind(target)? != PathKind::Absent && !dry_run {
            true => {
                let place = paths::backup_store(&path, &|path| cx.kind(path))?;
                Some(cx.open_for_backup(&place, DEFAULT_COMPRESSION)?.0)
            }
            false => None,
        };
        let world = cx.world.clone();
        let mut reporter = cx.reporter();
        let borrowed = ops::import::borrow(&export, &world, None, &mut reporter)?;
        reporter.finish(&[]);
        Ok(Self::Exported {
            borrowed,
            keep,
            path,
        })
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
