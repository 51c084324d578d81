//! Rows of a tree are taken in on a thread of their own, while it is read and checked on this one.

use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Audit, Rows};
use crate::format::leaf::Leaf;
use crate::tree::cursor::Place;

/// Leaves that wait to be taken in, at most.
const WAITING: usize = 4;

/// Whom leaves are handed to, in their order, each with its place.
pub(in crate::ops::validate) type Hand<'h> = &'h mut dyn FnMut(&Place, Leaf);

impl Rows {
    /// Runs `read`, and takes in the rows of all leaves that it hands over. A tree of one leaf is not worth a
    /// thread: `has_many` says that there are more.
    pub fn take_in<T>(
        &mut self,
        audit: &Audit,
        has_many: bool,
        read: impl FnOnce(Hand<'_>) -> T,
    ) -> T {
        let affine = &audit.affine;
        if !has_many || thread::available_parallelism().map_or(1, usize::from) == 1 {
            return read(&mut |place, leaf| self.leaf(place.first_rowid, &leaf, affine));
        }
        let rows = Mutex::new(self);
        let take = |(first_rowid, leaf): (Option<i64>, Leaf)| {
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.leaf(first_rowid, &leaf, affine);
        };
        thread::scope(|scope| {
            let (sender, leaves) = sync_channel(WAITING);
            let taking = thread::Builder::new()
                .name("audit".to_owned())
                .spawn_scoped(scope, move || leaves.into_iter().for_each(take));
            let taking = match taking {
                Ok(taking) => taking,
                Err(_) => return read(&mut |place, leaf| take((place.first_rowid, leaf))),
            };
            // It takes leaves until it panics, which is found out below.
            let done = read(&mut |place, leaf| drop(sender.send((place.first_rowid, leaf))));
            drop(sender);
            match taking.join() {
                Ok(()) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}
