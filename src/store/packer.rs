//! Packs that are filled beside the work that finds the blobs: encoding, compressing and proving takes about as long
//! as reading. A small backup does it on the spot.
//!
//! When a pack is done is told at the same blob in every run, however fast the two sides are: whoever gives blobs waits
//! for the answers to those that are [`AHEAD_BYTES`] back.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::error::StoreError;
use super::pack_builder::{FinishedPack, PackBuilder};
use crate::codec::hash::plain_digest;
use crate::format::blob::{BlobKind, Patch};
use crate::model::id::BlobId;

/// Canonical bytes after which packs are filled on another thread.
const BESIDE_FROM_BYTES: usize = 4 << 20;

/// Canonical bytes that wait for the other side, at most.
const AHEAD_BYTES: usize = 4 << 20;

/// A blob on its way into a pack.
#[derive(Debug)]
pub(super) struct Job {
    pub kind: BlobKind,
    pub id: BlobId,
    pub canonical: Vec<u8>,
    /// How it is stored as a delta; `None`: whole.
    pub delta: Option<DeltaJob>,
}

/// What a delta stands on.
#[derive(Debug)]
pub(super) struct DeltaJob {
    pub bases: Vec<BlobId>,
    pub depth: u8,
    pub patch: Patch,
}

/// What came of a job: the pack that was full with it, if one was, and the job's buffer.
type Done = (Result<Option<FinishedPack>, StoreError>, Vec<u8>);

/// Fills packs.
#[derive(Debug)]
struct Filler {
    builder: PackBuilder,
    /// What tells its packs from all others; `None`: nothing (in tests of the tests).
    names: Option<[u8; 16]>,
    begun: u64,
}

impl Filler {
    fn push(&mut self, job: &Job) -> Result<Option<FinishedPack>, StoreError> {
        let (names, begun) = (self.names, &mut self.begun);
        self.builder.begin(|| {
            *begun += 1;
            names.map_or([0; 16], |names| nth_name(names, *begun))
        });
        let Job {
            kind,
            id,
            canonical,
            delta,
        } = job;
        match delta {
            None => self.builder.push(*kind, *id, canonical)?,
            Some(DeltaJob {
                bases,
                depth,
                patch,
            }) => {
                let builder = &mut self.builder;
                builder.push_delta(*kind, *id, canonical, bases, *depth, patch)?;
            }
        }
        match self.builder.is_full() {
            true => self.builder.finish(),
            false => Ok(None),
        }
    }
}

/// The random bytes of a writer's pack: another for each, as unlikely to meet as those of the writer.
fn nth_name(names: [u8; 16], n: u64) -> [u8; 16] {
    let mut all = [0; 24];
    all[..16].copy_from_slice(&names);
    all[16..].copy_from_slice(&n.to_le_bytes());
    let digest = plain_digest(&all);
    let mut name = [0; 16];
    name.copy_from_slice(&digest[..16]);
    name
}

/// Where packs are filled.
#[derive(Debug)]
enum Place {
    Here(Box<Filler>),
    Beside {
        jobs: Sender<Option<Job>>,
        done: Receiver<Done>,
    },
}

/// Takes blobs, gives packs.
#[derive(Debug)]
pub(super) struct Packer {
    place: Place,
    /// Canonical bytes of all jobs so far.
    bytes: usize,
    /// Lengths of the jobs that have no answer yet.
    waiting: VecDeque<usize>,
    waiting_bytes: usize,
    spare: Vec<Vec<u8>>,
}

impl Packer {
    /// `names`: random bytes from which the names of its packs are made.
    pub(super) fn new(builder: PackBuilder, names: Option<[u8; 16]>) -> Self {
        Self {
            place: Place::Here(Box::new(Filler {
                builder,
                names,
                begun: 0,
            })),
            bytes: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            spare: Vec::new(),
        }
    }

    /// A copy of these bytes, for a job.
    pub(super) fn buffer(&mut self, canonical: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(canonical);
        buffer
    }

    /// Takes a blob. Returns the packs that are known to be full by now.
    pub(super) fn push(&mut self, job: Job) -> Result<Vec<FinishedPack>, StoreError> {
        self.bytes += job.canonical.len();
        if self.bytes >= BESIDE_FROM_BYTES {
            self.go_beside();
        }
        match &mut self.place {
            Place::Here(filler) => {
                let full = filler.push(&job);
                self.spare.push(job.canonical);
                Ok(full?.into_iter().collect())
            }
            Place::Beside { jobs, .. } => {
                let bytes = job.canonical.len();
                // If nobody takes it, the answer says why.
                let _ = jobs.send(Some(job));
                self.waiting.push_back(bytes);
                self.waiting_bytes += bytes;
                self.answers(AHEAD_BYTES)
            }
        }
    }

    /// Ends the pack that is being filled. Returns all packs that were not returned yet.
    pub(super) fn finish(&mut self) -> Result<Vec<FinishedPack>, StoreError> {
        match &mut self.place {
            Place::Here(filler) => Ok(filler.builder.finish()?.into_iter().collect()),
            Place::Beside { jobs, .. } => {
                let _ = jobs.send(None);
                self.waiting.push_back(0);
                self.answers(0)
            }
        }
    }

    /// Waits for answers until at most so many bytes wait for theirs; with 0, for all.
    fn answers(&mut self, ahead_bytes: usize) -> Result<Vec<FinishedPack>, StoreError> {
        let mut full = Vec::new();
        while self.waiting_bytes > ahead_bytes || ahead_bytes == 0 && !self.waiting.is_empty() {
            let Some(bytes) = self.waiting.pop_front() else {
                break;
            };
            self.waiting_bytes -= bytes;
            let Place::Beside { done, .. } = &self.place else {
                break;
            };
            let (pack, buffer) = done.recv().map_err(|_| StoreError::Encoding {
                what: "a pack: the thread that fills it has ended".to_owned(),
            })?;
            self.spare.push(buffer);
            full.extend(pack?);
        }
        Ok(full)
    }

    /// Goes on filling on another thread, where there is a core for it and a thread to be had.
    fn go_beside(&mut self) {
        if matches!(self.place, Place::Beside { .. })
            || thread::available_parallelism().map_or(1, usize::from) == 1
        {
            return;
        }
        let (jobs, taken) = channel();
        let (answers, done) = channel();
        let (give, filler) = channel();
        // A thread that does not come about leaves the filler here.
        let begun = thread::Builder::new()
            .name("packs".to_owned())
            .spawn(move || {
                if let Ok(filler) = filler.recv() {
                    fill(filler, &taken, &answers);
                }
            });
        if begun.is_err() {
            return;
        }
        let beside = Place::Beside { jobs, done };
        if let Place::Here(filler) = std::mem::replace(&mut self.place, beside) {
            // The thread waits for it; if it were gone, the first answer would say so.
            let _ = give.send(filler);
        }
    }
}

/// Does jobs until there are no more, or nobody wants their answers.
fn fill(mut filler: Box<Filler>, jobs: &Receiver<Option<Job>>, answers: &Sender<Done>) {
    for job in jobs {
        let done = match job {
            Some(job) => (filler.push(&job), job.canonical),
            None => (filler.builder.finish(), Vec::new()),
        };
        if answers.send(done).is_err() {
            break;
        }
    }
}
