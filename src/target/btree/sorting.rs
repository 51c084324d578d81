//! How the keys of one index compare, and sorting many of them, on the cores that there are.
//!
//! Keys are sorted by their prefixes. Those whose prefixes are equal and cut are sorted by what their forms have behind
//! these, 24 bytes at a time, so that no key is decoded for each that it is compared with.

use std::cmp::Ordering;
use std::io;
use std::sync::Arc;

use rayon::ThreadPool;
use rayon::prelude::*;

use super::arena::Arena;
use super::key::{KeyOrder, PREFIX_BYTES, Prefix, compare, has_null, write_form};
use super::record::values;
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;

/// From so many keys on they are sorted on the cores that there are.
const PARALLEL_KEYS: usize = 1 << 15;

/// So often equal prefixes are followed by the next bytes of the form; then keys are compared as they are.
const DEPTH_MAX: usize = 16;

/// Not more keys than these are compared as they are in any case.
const FEW_KEYS: usize = 8;

/// Threads that sort; `None` where there is one core, or no thread to be had.
pub type Pool = Option<Arc<ThreadPool>>;

/// A pool of as many threads as there are cores.
pub fn pool() -> Pool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores)
        .thread_name(|_| "sort".to_owned());
    (cores > 1)
        .then(|| pool.build().ok())
        .flatten()
        .map(Arc::new)
}

/// Two keys of a unique index are equal.
#[derive(Debug)]
pub enum Stop {
    /// They are.
    Twice,
    /// A file failed.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A key in memory: where its record stands in the arena.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    prefix: [u64; 3],
    /// The place in the arena, and in the last bit whether the prefix is cut.
    at: u32,
    /// Bytes of the record.
    length: u32,
}

/// How keys of one index compare, and whether two may be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sorting {
    /// Of each column of the key, and behind them of those that the row is found by, where rows whose keys are
    /// equal do not come in their order.
    pub order: Vec<KeyOrder>,
    /// Columns of the key.
    pub key_columns: usize,
    /// No two keys without a NULL are equal.
    pub unique: bool,
    /// How texts are written.
    pub encoding: TextEncoding,
}

impl Entry {
    /// Of a record that lies in an arena. It has no prefix yet.
    pub fn new(place: u32, length: u32) -> Self {
        Self {
            prefix: [0; 3],
            at: place << 1,
            length,
        }
    }

    /// Gives it the prefix of a key of these values, or what stands behind the first `hidden` bytes of its form.
    pub fn set_prefix<'v>(
        &mut self,
        hidden: usize,
        values: impl Iterator<Item = ValueRef<'v>>,
        order: &[KeyOrder],
    ) {
        self.prefix = [0; 3];
        let is_cut = write_form(&mut self.prefix, hidden, values, order);
        self.at = self.at & !1 | u32::from(is_cut);
    }

    /// Bytes of the record.
    pub fn length(self) -> usize {
        self.length as usize
    }

    /// The record.
    pub fn record(self, arena: &Arena) -> &[u8] {
        arena.get(self.at >> 1, self.length)
    }

    /// The prefix of its key.
    pub fn prefix(self) -> Prefix {
        Prefix {
            bytes: self.prefix,
            is_cut: self.is_cut(),
        }
    }

    fn is_cut(self) -> bool {
        self.at & 1 == 1
    }

    /// By prefixes, equal ones as they came.
    fn by_prefix(&self, other: &Self) -> Ordering {
        let ([a, b, c], [d, e, f]) = (self.prefix, other.prefix);
        (a, b, c, self.at).cmp(&(d, e, f, other.at))
    }
}

impl Sorting {
    /// How the columns of the key compare.
    pub fn key(&self) -> &[KeyOrder] {
        self.order.get(..self.key_columns).unwrap_or(&self.order)
    }

    /// Compares two records whose keys have the same prefix.
    pub fn compare(&self, is_cut: bool, a: &[u8], b: &[u8]) -> Ordering {
        match is_cut || self.has_more_than_keys() {
            true => compare(a, b, &self.order, self.encoding),
            false => Ordering::Equal,
        }
    }

    /// True if two keys with the same prefix are equal, and both without NULL.
    pub fn are_equal(&self, is_cut: bool, a: &[u8], b: &[u8]) -> bool {
        let equal = !is_cut || compare(a, b, self.key(), self.encoding) == Ordering::Equal;
        equal && !has_null(a, self.key_columns)
    }

    fn has_more_than_keys(&self) -> bool {
        self.order.len() > self.key_columns
    }

    /// Sorts keys whose records lie in `arena`, those that are equal as they came; `parallel`: on the threads of the pool
    /// that it is called in.
    pub fn sort(&self, entries: &mut [Entry], arena: &Arena, parallel: bool) {
        sort_by_prefix(entries, parallel);
        let is_settled = |entry: &Entry| !entry.is_cut() && !self.has_more_than_keys();
        if entries.iter().all(is_settled) {
            return;
        }
        let settle = |group: &mut [Entry]| match self.has_more_than_keys() {
            true => self.sort_by_records(group, arena),
            false => self.settle(group, arena, 1, parallel),
        };
        match parallel && entries.len() >= PARALLEL_KEYS {
            true => entries.par_chunk_by_mut(alike).for_each(settle),
            false => entries.chunk_by_mut(alike).for_each(settle),
        }
    }

    /// Sorts keys that have the first `depth` times 24 bytes of their forms in common.
    fn settle(&self, group: &mut [Entry], arena: &Arena, depth: usize, parallel: bool) {
        if group.len() < 2 || !group.iter().any(|entry| entry.is_cut()) {
            return;
        }
        if group.len() <= FEW_KEYS || depth > DEPTH_MAX {
            return self.sort_by_records(group, arena);
        }
        let prefix = group[0].prefix;
        for entry in &mut *group {
            let values = values(entry.record(arena));
            entry.set_prefix(depth * PREFIX_BYTES, values, self.key());
        }
        sort_by_prefix(group, parallel);
        for equal in group.chunk_by_mut(alike) {
            self.settle(equal, arena, depth + 1, parallel);
        }
        for entry in group {
            entry.prefix = prefix;
            // Of some of them that may say too little: they are compared once more than they must be.
            entry.at |= 1;
        }
    }

    fn sort_by_records(&self, entries: &mut [Entry], arena: &Arena) {
        entries.sort_unstable_by(|a, b| {
            let by_key = self.compare(a.is_cut() || b.is_cut(), a.record(arena), b.record(arena));
            by_key.then(a.at.cmp(&b.at))
        });
    }
}

fn alike(a: &Entry, b: &Entry) -> bool {
    a.prefix == b.prefix
}

fn sort_by_prefix(entries: &mut [Entry], parallel: bool) {
    match parallel && entries.len() >= PARALLEL_KEYS {
        true => entries.par_sort_unstable_by(Entry::by_prefix),
        false => entries.sort_unstable_by(Entry::by_prefix),
    }
}
