//! Several databases in one run, a snapshot each, one after the other: while one is read and packed, the next one is
//! copied, if it is to be read from a copy. A source that is read where it lies is not held before its turn.
//! (docs/decisions/017-several-databases.md)

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::begin::{capture_options, fast_skip_of};
use super::{BackupOptions, BackupOutcome, run_turn};
use crate::error::Error;
use crate::ops::open::{Store, World};
use crate::progress::{Progress, StopSign};
use crate::source::{Capture, SourceError, recorded_path};

/// Databases that wait for their turn.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<BackupOptions>,
    /// Of the first one, or of that whose turn it is.
    ahead: Option<Ahead>,
}

impl Queue {
    /// They are backed up in this order.
    pub fn new(databases: impl IntoIterator<Item = BackupOptions>) -> Self {
        Self {
            waiting: databases.into_iter().collect(),
            ahead: None,
        }
    }

    /// The database whose turn it is.
    pub fn first(&self) -> Option<&BackupOptions> {
        self.waiting.front()
    }

    /// Backs it up, as [`super::run`] does; `None` behind the last one. After an error the others still have their turn.
    pub fn next(
        &mut self,
        store: &mut Store,
        world: &World,
        progress: &mut dyn Progress,
    ) -> Option<Result<BackupOutcome, Error>> {
        let options = self.waiting.pop_front()?;
        let mut turn = Turn {
            own: self.ahead.take(),
            next: self.waiting.front(),
            ..Turn::default()
        };
        let done = run_turn(store, world, &options, None, &mut turn, progress);
        self.ahead = turn.ahead;
        Some(done)
    }
}

/// The turn of one database.
#[derive(Debug, Default)]
pub(super) struct Turn<'n> {
    /// What was made ready for it.
    own: Option<Ahead>,
    next: Option<&'n BackupOptions>,
    /// What is made ready for the next one.
    ahead: Option<Ahead>,
    /// It is being read in slices, and may be read from a copy instead.
    pub in_slices: bool,
}

impl Turn<'_> {
    /// What was captured ahead of this database, and when, since 1970. `None` if nothing was: whatever kept it from being
    /// copied is met again in its turn, if it is still there.
    ///
    /// Errors: `LockTooLong`; others have waited for that once already.
    pub(super) fn take(&mut self) -> Result<Option<(Capture, i64)>, SourceError> {
        let Some(own) = self.own.take() else {
            return Ok(None);
        };
        let time_ms = own.time_ms;
        match own.end() {
            Ok(capture) => Ok(capture.map(|capture| (capture, time_ms))),
            Err(error @ SourceError::LockTooLong { .. }) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// This database is captured, and has so many bytes: the next one may be.
    pub(super) fn begin_next(&mut self, store: &Store, world: &World, bytes: u64, stop: StopSign) {
        if let Some(next) = self.next.take() {
            self.ahead = Ahead::begin(store, world, next, bytes, stop);
        }
    }
}

/// A database that is being captured before its turn.
#[derive(Debug)]
struct Ahead {
    time_ms: i64,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Option<Capture>, SourceError>>>,
}

impl Ahead {
    /// Begins, on a thread of its own, unless it is better done in its turn. `other_bytes`: of the database before it.
    fn begin(
        store: &Store,
        world: &World,
        options: &BackupOptions,
        other_bytes: u64,
        stop: StopSign,
    ) -> Option<Self> {
        // What is remembered says that it will hardly be read.
        let remembers =
            fast_skip_of(store, world, options, None).is_some_and(|skip| skip.remembers());
        if remembers || !has_room(world, options, other_bytes) {
            return None;
        }
        let own_stop = Arc::new(AtomicBool::new(false));
        let asked = own_stop.clone();
        let either = StopSign::new(move || asked.load(Ordering::Relaxed) || stop.is_set());
        let how = capture_options(world, options, false, either);
        let path = options.database.clone();
        let time_ms = world.env.unix_ms();
        let thread = thread::Builder::new()
            .name("ahead".to_owned())
            .spawn(move || Capture::begin_copy(&path, &how));
        Some(Self {
            time_ms,
            stop: own_stop,
            thread: Some(thread.ok()?),
        })
    }

    fn end(mut self) -> Result<Option<Capture>, SourceError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(captured)) => captured,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(None),
        }
    }
}

impl Drop for Ahead {
    /// No copy is left behind.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop.store(true, Ordering::Relaxed);
            // What it found, or why it failed, nobody asks any more.
            let _ = thread.join();
        }
    }
}

/// True if a copy takes no room that the database before it may need: as much again as both have is left.
fn has_room(world: &World, options: &BackupOptions, other_bytes: u64) -> bool {
    let folder = options.temp_dir();
    let entry = world.vfs.entry(&recorded_path(&options.database));
    let Some(bytes) = entry.ok().flatten().map(|entry| entry.bytes) else {
        return false;
    };
    let needed = bytes.saturating_mul(2).saturating_add(other_bytes);
    let free = world.vfs.free_bytes(&folder);
    free.is_some_and(|free| free >= needed)
}
