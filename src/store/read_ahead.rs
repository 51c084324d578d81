//! Blobs that will be asked for soon, read and decoded on other threads. It is only ever a help: what is not had this
//! way, for whatever reason, is read as if it had not been tried.

use std::collections::{HashMap, VecDeque};
use std::iter::repeat;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::cache::Copy;
use super::copies::item_of;
use crate::backend::Backend;
use crate::codec::hash::StoreHash;
use crate::codec::zstd::Decompressor;
use crate::format::blob::{self, BlobKind, Encoding};
use crate::format::{limits, name};
use crate::model::id::BlobId;

/// Canonical bytes that are decoded before they are asked for, at most.
const AHEAD_BYTES: u64 = 8 << 20;

/// So many blobs are looked for in the index at once.
const AT_ONCE: usize = 64;

/// Fewer blobs than this are read sooner than a thread begins.
const WORTH_IT: usize = 16;

/// A blob to be had.
struct Job {
    number: u64,
    kind: BlobKind,
    id: BlobId,
    copy: Copy,
}

/// A blob that was wanted, in the order in which it will be asked for.
struct Given {
    kind: BlobKind,
    id: BlobId,
    /// `None`: it is left to who asks for it.
    number: Option<u64>,
    bytes: u64,
}

/// Reads ahead for one reader.
pub(super) struct ReadAhead {
    jobs: Sender<Job>,
    done: Receiver<(u64, Option<Vec<u8>>)>,
    /// Not looked for yet.
    wanted: VecDeque<(BlobKind, BlobId)>,
    /// Looked for, with the copy that was found, and not given to a thread yet.
    found: VecDeque<(BlobKind, BlobId, Option<Copy>)>,
    given: VecDeque<Given>,
    given_bytes: u64,
    numbers: u64,
    /// What came before it was asked for.
    came: HashMap<u64, Option<Vec<u8>>>,
}

impl std::fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadAhead")
            .field("wanted", &self.wanted.len())
            .field("given", &self.given.len())
            .finish_non_exhaustive()
    }
}

impl ReadAhead {
    /// `None` if these are too few, or if there is no thread for it.
    pub(super) fn begin(backend: &Arc<dyn Backend>, hash: StoreHash, blobs: usize) -> Option<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        if blobs < WORTH_IT || cores == 1 {
            return None;
        }
        let (jobs, taken) = channel();
        let (answers, done) = channel();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 1..cores {
            let (backend, taken, answers) = (backend.clone(), taken.clone(), answers.clone());
            let begun = thread::Builder::new()
                .name("blobs".to_owned())
                .spawn(move || work(&*backend, hash, &taken, &answers));
            begun.ok()?;
        }
        Some(Self {
            jobs,
            done,
            wanted: VecDeque::new(),
            found: VecDeque::new(),
            given: VecDeque::new(),
            given_bytes: 0,
            numbers: 0,
            came: HashMap::new(),
        })
    }

    /// These will be asked for, in this order, and none that was wanted before.
    pub(super) fn want(&mut self, kind: BlobKind, ids: &[BlobId]) {
        self.wanted.clear();
        self.found.clear();
        while let Some(given) = self.given.pop_front() {
            self.drop_given(&given);
        }
        self.wanted.extend(ids.iter().map(|id| (kind, *id)));
    }

    fn drop_given(&mut self, given: &Given) {
        self.given_bytes -= given.bytes;
        let _ = given.number.and_then(|number| self.answer(number));
    }

    /// Gives threads as much to do as may be ahead. `copies_of` says of each blob where it lies, if it knows.
    pub(super) fn top_up(
        &mut self,
        mut copies_of: impl FnMut(&[(BlobKind, BlobId)]) -> Vec<Option<Copy>>,
    ) {
        while self.given_bytes < AHEAD_BYTES {
            if self.found.is_empty() {
                let next = self.wanted.len().min(AT_ONCE);
                let blobs: Vec<(BlobKind, BlobId)> = self.wanted.drain(..next).collect();
                let copies = copies_of(&blobs).into_iter().chain(repeat(None));
                let found = blobs.iter().zip(copies);
                self.found
                    .extend(found.map(|((kind, id), copy)| (*kind, *id, copy)));
            }
            let Some((kind, id, copy)) = self.found.pop_front() else {
                return;
            };
            let copy = copy.filter(is_alone);
            let bytes = copy.as_ref().map_or(0, |copy| copy.canonical_bytes);
            let number = copy.and_then(|copy| {
                self.numbers += 1;
                let job = Job {
                    number: self.numbers,
                    kind,
                    id,
                    copy,
                };
                self.jobs.send(job).ok().map(|()| self.numbers)
            });
            self.given.push_back(Given {
                kind,
                id,
                number,
                bytes,
            });
            self.given_bytes += bytes;
        }
    }

    /// The blob, if it was wanted and could be had. What was wanted before it, and not asked for, is dropped.
    pub(super) fn take(&mut self, kind: BlobKind, id: &BlobId) -> Option<Vec<u8>> {
        let is_it = |given: &Given| given.kind == kind && given.id == *id;
        let at = self.given.iter().position(is_it)?;
        for passed in self.given.drain(..at).collect::<Vec<_>>() {
            self.drop_given(&passed);
        }
        let given = self.given.pop_front()?;
        self.given_bytes -= given.bytes;
        self.answer(given.number?)
    }

    fn answer(&mut self, number: u64) -> Option<Vec<u8>> {
        if let Some(came) = self.came.remove(&number) {
            return came;
        }
        loop {
            let (came, blob) = self.done.recv().ok()?;
            if came == number {
                return blob;
            }
            self.came.insert(came, blob);
        }
    }
}

/// A whole copy in a frame of its own: others share theirs with what is read next, or stand on other blobs.
fn is_alone(copy: &Copy) -> bool {
    copy.encoding != Encoding::Delta && copy.encoded_bytes.saturating_mul(2) > copy.frame_plain
}

fn work(
    backend: &dyn Backend,
    hash: StoreHash,
    jobs: &Mutex<Receiver<Job>>,
    answers: &Sender<(u64, Option<Vec<u8>>)>,
) {
    let mut decompressor = Decompressor::default();
    loop {
        let job = match jobs.lock() {
            Ok(jobs) => jobs.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else {
            return;
        };
        let blob = read(backend, hash, &mut decompressor, &job);
        if answers.send((job.number, blob)).is_err() {
            return;
        }
    }
}

/// The blob; `None` whatever is wrong with it or in the way.
fn read(
    backend: &dyn Backend,
    hash: StoreHash,
    decompressor: &mut Decompressor,
    job: &Job,
) -> Option<Vec<u8>> {
    let Job { kind, id, copy, .. } = job;
    if copy.frame_stored > limits::PACK_BYTES_MAX || copy.frame_plain > limits::FRAME_BYTES_MAX {
        return None;
    }
    let pack = name::pack(&copy.pack);
    let stored = backend
        .get_range(&pack, copy.frame_offset, copy.frame_stored)
        .ok()?;
    let frame = decompressor
        .exact(&stored, usize::try_from(copy.frame_plain).ok()?)
        .ok()?;
    let item = item_of(*kind, copy, &frame).ok()?;
    let canonical = blob::decode(item.encoding, item.encoded, item.canonical_bytes.into()).ok()?;
    (hash.blob_id(*kind as u8, &canonical) == *id).then_some(canonical)
}
