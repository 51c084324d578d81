//! Makes a file durable beside its writing, stretch by stretch, so that little is left to wait for at its end.
//!
//! It is an offer to the disk, not a promise: whoever publishes the file syncs it whole. But an error is one of the file:
//! the system reports what it could not write to one sync only, and the next one succeeds.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Bytes that are written between two syncs.
const STRETCH_BYTES: u64 = 32 << 20;

/// What has been written, told by everybody who writes into the file.
#[derive(Debug, Clone)]
pub struct Written {
    bytes: Arc<AtomicU64>,
    due: SyncSender<()>,
}

impl Written {
    /// So many bytes more. Waits for nothing.
    pub fn add(&self, bytes: usize) {
        let bytes = bytes as u64;
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before / STRETCH_BYTES == before.saturating_add(bytes) / STRETCH_BYTES {
            return;
        }
        match self.due.try_send(()) {
            // One is due already; or none can be made any more, and the end says why.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// A file that is made durable while it is written.
#[derive(Debug)]
pub struct Durable {
    thread: JoinHandle<io::Result<()>>,
}

impl Durable {
    /// Begins, on a thread of its own; `None` where there is none to be had.
    pub fn begin(file: &File) -> io::Result<Option<(Self, Written)>> {
        let file = file.try_clone()?;
        let (due, taken) = sync_channel(1);
        let begun = thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || sync_when_due(&file, &taken));
        let bytes = Arc::default();
        Ok(begun
            .ok()
            .map(|thread| (Self { thread }, Written { bytes, due })))
    }

    /// To be called when every [`Written`] is gone. Errors: those of the syncs.
    pub fn end(self) -> io::Result<()> {
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn sync_when_due(file: &File, due: &Receiver<()>) -> io::Result<()> {
    due.iter().try_for_each(|()| file.sync_data())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a device is no file of a store")]
mod tests {
    use super::*;

    /// A device cannot be synced: that is an error, once a stretch is full, and none before.
    #[test]
    fn a_sync_that_fails_is_told_at_the_end() {
        for (bytes, is_due) in [(STRETCH_BYTES - 1, false), (STRETCH_BYTES, true)] {
            let (durable, written) = Durable::begin(&File::open("/dev/null").unwrap())
                .unwrap()
                .unwrap();
            written.add(usize::try_from(bytes).unwrap());
            written.clone().add(0);
            drop(written);
            assert_eq!(durable.end().is_err(), is_due, "{bytes}");
        }
    }
}
