//! Writes the indexes of tables: where it is known before how many pages they take, beside the next table.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::builder::{BuildError, Plan};
use super::file::PageFile;
use super::index_size::IndexSize;
use super::index_tree::IndexTree;
use super::key_maker::{KeyBudget, Made, bytes_of};
use super::shape::IndexShape;
use super::sorter::Sorter;
use super::sorting::Stop;

/// Keys of so many bytes are written on a thread of their own.
const THREAD_FROM_BYTES: usize = 1 << 20;

/// So many keys are written before it is asked again whether to go on.
const KEYS_BETWEEN: u32 = 256;

/// Writes indexes of one table at a time.
#[derive(Debug)]
pub struct Indexes {
    plan: Arc<Plan>,
    budget: KeyBudget,
    running: Option<JoinHandle<Result<(), BuildError>>>,
}

impl Indexes {
    /// Nothing to write yet. What was written is given back to `budget`.
    pub fn new(plan: Arc<Plan>, budget: KeyBudget) -> Self {
        Self {
            plan,
            budget,
            running: None,
        }
    }

    /// Writes those of a table; they may not all be written before [`Indexes::end`].
    pub fn write(
        &mut self,
        file: &mut PageFile,
        table: usize,
        keys: Made,
    ) -> Result<(), BuildError> {
        let bytes = bytes_of(&keys);
        let pages = match bytes < THREAD_FROM_BYTES {
            true => None,
            false => pages_of(file, &keys),
        };
        // Of those before them, too, the keys are in memory.
        self.end()?;
        let first = file.next();
        let part = pages.map_or(Ok(None), |pages| file.part(pages))?;
        let (plan, budget) = (self.plan.clone(), self.budget.clone());
        let (Some(mut part), Some(pages)) = (part, pages) else {
            write_all(&plan, table, file, keys)?;
            budget.give_back(bytes);
            return Ok(());
        };
        let running = std::thread::Builder::new()
            .name("indexes".to_owned())
            .spawn(move || {
                write_all(&plan, table, &mut part, keys)?;
                budget.give_back(bytes);
                Ok(part.end_part(first, pages)?)
            })?;
        self.running = Some(running);
        Ok(())
    }

    /// Waits for what is being written.
    pub fn end(&mut self) -> Result<(), BuildError> {
        match self.running.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(done)) => done,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

/// The pages that sorted keys take; `None` where that is not known before they are written.
fn pages_of(file: &PageFile, keys: &Made) -> Option<u32> {
    let mut pages = 0;
    for sorter in keys.iter().flatten() {
        let mut size = IndexSize::new(file.geometry());
        sorter.lengths()?.for_each(|length| size.push(length));
        pages += size.pages();
    }
    u32::try_from(pages).ok()
}

fn write_all(plan: &Plan, table: usize, file: &mut PageFile, keys: Made) -> Result<(), BuildError> {
    let shape = &plan.tables[table];
    for (index, sorter) in shape.indexes.iter().zip(keys) {
        let Some(sorter) = sorter else { continue };
        match write(plan, index, file, sorter) {
            Ok(()) => {}
            Err(Stop::Io(error)) => return Err(error.into()),
            Err(Stop::Twice) => {
                return Err(BuildError::Doubt {
                    table: shape.name.clone(),
                    reason: format!("two rows have one key in its index {}", index.name),
                });
            }
        }
    }
    Ok(())
}

fn write(plan: &Plan, index: &IndexShape, file: &mut PageFile, sorter: Sorter) -> Result<(), Stop> {
    let mut tree = IndexTree::new(file);
    let mut keys = 0_u32;
    sorter.for_each(|record| {
        keys = keys.wrapping_add(1);
        match keys.is_multiple_of(KEYS_BETWEEN) && plan.stop.is_set() {
            false => tree.push(file, record),
            true => Err(io::ErrorKind::Interrupted.into()),
        }
    })?;
    Ok(tree.finish(file, index.root)?)
}
