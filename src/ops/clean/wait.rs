//! G5: waits for the writers that a clean-up has to wait for, and fences those that are dead.

use std::time::Duration;

use crate::error::Error;
use crate::model::id::SnapshotId;
use crate::ops::open::World;
use crate::progress::{Finding, Progress};
use crate::store::StoreError;
use crate::store::gc::{CleanUp, SILENCE_MAX, WriterState};

/// Time between two looks at a writer.
const POLL: Duration = Duration::from_secs(1);

/// Returns once each of these writers is over, or fenced; which ones were fenced.
///
/// Errors: `WriterAtWork` after `max_wait`, `Cancelled`.
pub(super) fn wait(
    clean_up: &CleanUp<'_>,
    world: &World,
    writers: &[SnapshotId],
    max_wait: Duration,
    progress: &mut dyn Progress,
) -> Result<Vec<String>, Error> {
    let begun = world.env.monotonic();
    let mut fenced = Vec::new();
    for id in writers {
        let mut told = false;
        loop {
            let writer = match clean_up.writer_state(id)? {
                WriterState::Over => break,
                WriterState::Dead => {
                    clean_up.fence(id)?;
                    fenced.push(id.to_string());
                    break;
                }
                WriterState::AtWork(writer) => writer,
            };
            if clean_up.silent_for(id, &writer.record) >= SILENCE_MAX {
                clean_up.fence(id)?;
                fenced.push(id.to_string());
                break;
            }
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            if world.env.monotonic().saturating_sub(begun) >= max_wait {
                return Err(StoreError::WriterAtWork {
                    host: writer.host,
                    started: writer.started,
                }
                .into());
            }
            if !std::mem::replace(&mut told, true) {
                progress.found(&Finding::note(
                    format!("snapshot {}", id.short()),
                    format!(
                        "is being written on {}; waiting for that to end",
                        writer.host
                    ),
                ));
            }
            world.env.sleep(POLL);
        }
    }
    Ok(fenced)
}

/// As [`wait`], for all writers whose records are there.
pub(in crate::ops) fn wait_for_all(
    clean_up: &CleanUp<'_>,
    world: &World,
    max_wait: Duration,
    progress: &mut dyn Progress,
) -> Result<Vec<String>, Error> {
    wait(clean_up, world, &clean_up.writers()?, max_wait, progress)
}

/// Takes away the records of writers that are over or dead: of the dead ones no pack is condemned
/// without the record having been seen, so they are fenced first.
pub(in crate::ops) fn remove_records(clean_up: &CleanUp<'_>) -> Result<(), StoreError> {
    for id in clean_up.writers()? {
        match clean_up.writer_state(&id)? {
            WriterState::Over => clean_up.remove_record(&id)?,
            WriterState::Dead => {
                clean_up.fence(&id)?;
                clean_up.remove_record(&id)?;
            }
            WriterState::AtWork(_) => {}
        }
    }
    Ok(())
}
