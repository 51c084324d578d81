//! What is missing, from the databases themselves: one is read as a backup reads it, and a blob of the
//! same id is the same blob.

use std::path::{Path, PathBuf};

use super::RepairOptions;
use super::search::{Search, Taking};
use crate::error::Error;
use crate::format::blob::{BlobKind, BlobSink};
use crate::format::manifest::Manifest;
use crate::format::schema;
use crate::model::row::RowRef;
use crate::ops::grow::TreeSink;
use crate::ops::open::World;
use crate::progress::{Finding, Progress, Unit};
use crate::source::{Capture, CaptureOptions, Reading, pages, rows};
use crate::store::StoreError;
use crate::store::gc::View;
use crate::tree::TreeShape;
use crate::tree::build::TreeBuilder;
use crate::vfs::EntryKind;

/// A database that may have what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    path: PathBuf,
    /// Its pages are in some snapshot.
    with_pages: bool,
}

/// The databases that snapshots of this machine name, each once.
#[derive(Debug, Default)]
pub(super) struct Origins {
    named: Vec<Origin>,
    any_pages: bool,
}

impl Origins {
    /// Takes note of a snapshot, the newest last.
    pub fn note(&mut self, manifest: &Manifest, world: &World) {
        let with_pages = manifest.pages.is_some();
        self.any_pages |= with_pages;
        if manifest.host != world.env.host() {
            return;
        }
        let path = PathBuf::from(&manifest.source.path);
        match self.named.iter_mut().find(|origin| origin.path == path) {
            Some(origin) => origin.with_pages |= with_pages,
            None => self.named.push(Origin { path, with_pages }),
        }
    }

    /// Those to read: the ones that were asked for, then those that are there.
    pub fn chosen(self, world: &World, options: &RepairOptions) -> Vec<Origin> {
        let is_file = |path: &Path| {
            let found = world.vfs.entry(path).ok().flatten();
            found.is_some_and(|entry| entry.kind == EntryKind::File)
        };
        let with_pages = self.any_pages;
        let given = options.sources.iter().map(|path| Origin {
            path: path.clone(),
            with_pages,
        });
        let mut all: Vec<Origin> = given.collect();
        if !options.no_sources {
            let there = self.named.into_iter().rev();
            all.extend(there.filter(|origin| is_file(&origin.path)));
        }
        all
    }
}

/// Reads one database. Returns how often it has a missing blob; that it cannot be read is a finding.
pub(super) fn take(
    origin: &Origin,
    search: &mut Search,
    view: &View,
    world: &World,
    options: &RepairOptions,
    findings: &mut Vec<Finding>,
    progress: &mut dyn Progress,
) -> Result<u64, Error> {
    let place = origin.path.display().to_string();
    progress.phase(&format!("Reading {place}"), 0, Unit::Records);
    let capture_options = CaptureOptions {
        busy: options.busy_timeout,
        temp_dir: options.temp_dir.clone().unwrap_or_else(std::env::temp_dir),
        vfs: world.vfs.clone(),
        env: world.env.clone(),
        stop: progress.stop_sign(),
        reading: Reading::default(),
    };
    let mut taking = search.take_from(view);
    let read = Capture::begin(&origin.path, &capture_options)
        .map_err(Error::from)
        .and_then(|capture| {
            database(&capture, origin.with_pages, &mut taking, progress)?;
            Ok(capture.finish()?)
        });
    match read {
        // What was taken before is as good as its ids say.
        Err(Error::Source(error)) => {
            let text = format!("could not be read: {error}");
            findings.push(Finding::warning(place.clone(), text));
        }
        read => read?,
    }
    let taken = taking.taken;
    search.add(&place, taking.blobs);
    Ok(taken)
}

fn database(
    capture: &Capture,
    with_pages: bool,
    taking: &mut Taking<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let schema = capture.schema();
    // A schema that cannot be encoded was never stored.
    if let Ok(canonical) = schema::encode(schema) {
        taking
            .put(BlobKind::Schema, &canonical)
            .map_err(StoreError::from)?;
    }
    let moment = capture.moment();
    let hash = taking.hash;
    for table in schema.tables.iter().filter(|table| moment.carries(table)) {
        let shape = TreeShape::of(table, schema.encoding);
        let mut look_at = |_: RowRef<'_>| true;
        let builder = TreeBuilder::new(&shape, hash);
        let mut sink = TreeSink::new(builder, taking, progress, &mut look_at);
        let scanned = rows(moment, table, &mut sink);
        sink.end(scanned, capture.path())?;
    }
    if with_pages {
        let shape = TreeShape::pages();
        let mut look_at = |_: RowRef<'_>| true;
        let builder = TreeBuilder::new(&shape, hash);
        let mut sink = TreeSink::new(builder, taking, progress, &mut look_at);
        let read = pages(capture, &mut sink);
        sink.end(read, capture.path())?;
    }
    Ok(())
}
