//! What comes before the reading: the name, what is known of the source, its capture.

use super::fast_skip::FastSkip;
use super::naming::{self, Lineage};
use super::options::BackupOptions;
use super::origin::Origin;
use super::queue::Turn;
use crate::error::Error;
use crate::format::manifest::Source;
use crate::ops::open::{Store, World};
use crate::progress::{Progress, StopSign};
use crate::source::{Capture, CaptureOptions, Reading, recorded_path};

/// A source that is held, and what is known before it is read.
pub(super) struct Begun {
    pub time_ms: i64,
    pub lineage: Lineage,
    pub source: Source,
    pub capture: Capture,
    pub skip: Option<FastSkip>,
}

/// Looks for what is known of the source, and captures it.
pub(super) fn begin(
    store: &Store,
    world: &World,
    options: &BackupOptions,
    origin: Option<&Origin>,
    turn: &mut Turn<'_>,
    progress: &mut dyn Progress,
) -> Result<Begun, Error> {
    let ready = turn.take()?;
    turn.in_slices = false;
    // A name that is taken is found before anything is read.
    let time_ms = match &ready {
        Some((_, time_ms)) => *time_ms,
        None => world.env.unix_ms(),
    };
    let lineage = naming::read(store, options.name.as_deref(), time_ms)?;
    let mut source = source_of(options, origin);
    let skip = fast_skip_of(store, world, options, origin);
    let capture = match ready {
        Some((capture, _)) => capture,
        None => {
            // A first backup is checked by SQLite in one go, which would keep others waiting.
            let remembers = lineage.knows(&world.env.host(), &source)
                && skip.as_ref().is_some_and(FastSkip::remembers);
            let in_slices = options.reading.in_slices && remembers;
            turn.in_slices = in_slices;
            let how = capture_options(world, options, in_slices, progress.stop_sign());
            // Copies of databases that killed runs have left: whether this one needs such a folder or not.
            crate::source::remove_leftovers(&how.temp_dir, &*world.env);
            Capture::begin(&options.database, &how)?
        }
    };
    turn.begin_next(store, world, capture.bytes(), progress.stop_sign());
    source.bytes = origin.map_or(capture.bytes(), |origin| origin.bytes);
    Ok(Begun {
        time_ms,
        lineage,
        source,
        // A damaged one is looked at whole.
        skip: skip.filter(|_| capture.damage().is_none()),
        capture,
    })
}

/// What the source is recorded as; how many bytes it has is not known yet.
fn source_of(options: &BackupOptions, origin: Option<&Origin>) -> Source {
    let path = match origin {
        Some(origin) => origin.path.clone(),
        None => recorded_path(&options.database),
    };
    Source {
        path: path.display().to_string(),
        name: options.source_name.clone(),
        bytes: 0,
    }
}

/// What is remembered of the source's pages; `None` for a small one, and where nothing can be remembered.
pub(super) fn fast_skip_of(
    store: &Store,
    world: &World,
    options: &BackupOptions,
    origin: Option<&Origin>,
) -> Option<FastSkip> {
    let source = source_of(options, origin);
    let skip = is_large(world, options).then(|| FastSkip::begin(store, &*world.env, &source));
    skip.flatten()
}

/// How to capture a source.
pub(super) fn capture_options(
    world: &World,
    options: &BackupOptions,
    in_slices: bool,
    stop: StopSign,
) -> CaptureOptions {
    CaptureOptions {
        busy: options.busy_timeout,
        temp_dir: options.temp_dir(),
        vfs: world.vfs.clone(),
        env: world.env.clone(),
        stop,
        reading: Reading {
            in_slices,
            ..options.reading.clone()
        },
    }
}

/// A small database is read sooner than what is remembered of it.
fn is_large(world: &World, options: &BackupOptions) -> bool {
    let entry = world.vfs.entry(&recorded_path(&options.database));
    let bytes = entry.ok().flatten().map_or(0, |entry| entry.bytes);
    options.fast_skip_from.is_some_and(|min| bytes >= min)
}
