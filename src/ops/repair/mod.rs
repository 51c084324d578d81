//! Makes a damaged store whole again, as far as it can be had: what is damaged is found and marked, what
//! snapshots need of it is healed into new packs, and the damaged packs are removed.
//!
//! Nothing is repaired in place. A repair that is cut off at any point leaves the store no worse, and the
//! next one goes on. docs/decisions/013-repair.md.

mod find;
mod heal;
mod live;
mod lost;
mod outcome;
mod redundancy;
mod remove;
mod roots;
mod search;
mod stand_again;

use crate::error::Error;
use crate::ops::clean;
use crate::ops::open::{Store, World};
use crate::ops::validate::Findings;
use crate::progress::{Finding, Progress, Unit};
use crate::store::StoreError;
use crate::store::gc::View;
use crate::store::heal::{HealedRecord, Marked};
use find::Found;
use heal::{Healer, Walked};
use live::Origins;
pub use outcome::{Blobs, DamagedPack, HealedSnapshot, RepairOptions, RepairOutcome, Way, WholeBy};
use roots::Roots;
use search::Search;

/// Repairs a store. `stores`: others that may have what is missing here.
///
/// Errors: `Store`, `Cancelled`. That something is lost is no error, but in the outcome. Whatever the
/// error, the store is no worse than before.
pub fn run(
    store: &Store,
    stores: &[Store],
    world: &World,
    options: &RepairOptions,
    progress: &mut dyn Progress,
) -> Result<RepairOutcome, Error> {
    let begun = world.env.monotonic();
    let write = !options.dry_run;
    for other in stores {
        if other.id() == store.id() {
            let location = other.location();
            return Err(StoreError::Same { location }.into());
        }
    }
    let mut outcome = RepairOutcome {
        store: store.location(),
        dry_run: options.dry_run,
        ..RepairOutcome::default()
    };
    outcome.records.extend(store.heal_config(write)?);
    outcome.records.extend(store.heal_records(write)?);
    let mut found = find::packs(store, progress)?;
    outcome.packs = found.packs;
    if write {
        mark(store, &mut found, progress)?;
    }
    let stopped = outcome.records.iter().any(|record| record.done.is_none());
    if stopped && write {
        // A record that stops every writer stops a repair as well.
        let text = "no pack can be judged beside a clean-up whose records cannot be read";
        outcome
            .findings
            .push(Finding::warning(store.location(), text));
    } else if !write && outcome.records.iter().any(is_of_clean_up) {
        let text = "what packs hold can be judged once the records of clean-ups are settled";
        outcome.findings.push(Finding::note(store.location(), text));
    } else if !stopped {
        job(
            store,
            stores,
            world,
            options,
            &mut found,
            &mut outcome,
            progress,
        )?;
    }
    redundancy::again(store, &found, &mut outcome, progress)?;
    outcome.damaged = found.damaged.into_values().collect();
    if write {
        store.keep_ballast();
    }
    let elapsed = world.env.monotonic().saturating_sub(begun);
    outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

fn is_of_clean_up(record: &HealedRecord) -> bool {
    record.object.starts_with(crate::format::name::GC)
}

/// From here on no writer leans on any copy in a damaged pack.
fn mark(store: &Store, found: &mut Found, progress: &mut dyn Progress) -> Result<(), Error> {
    for (id, pack) in &mut found.damaged {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        pack.marked = matches!(store.mark_damaged(id)?, Marked::Now(_));
    }
    Ok(())
}

/// Heals what snapshots need, and removes packs.
fn job(
    store: &Store,
    stores: &[Store],
    world: &World,
    options: &RepairOptions,
    found: &mut Found,
    outcome: &mut RepairOutcome,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let mut clean_up = store.clean_up();
    clean_up.distrust(&found.ids());
    // G1: manifests before packs.
    let mut roots = Roots::read(store, stores, clean_up.roots()?)?;
    let view = clean_up.view()?;
    let salvage = store.salvage(&found.ids(), &found.rebuildable)?;
    let mut search = Search::new(salvage, stores)?;
    let work = Work {
        store,
        world,
        options,
        view: &view,
        roots: &roots,
    };
    let (left, unread) = work.heal(&mut search, outcome, progress)?;
    if left > 0 {
        outcome.lost = lost::of(store, &roots, &view, &search, progress)?;
    }
    outcome.lost.extend(lost_snapshots(&roots));
    stand_again::all(store, world, &mut roots, &search, outcome, progress)?;
    let unknown = unread || roots.is_unknown();
    if options.dry_run {
        if !unknown {
            for pack in view.uses()?.dead {
                if let Some(pack) = found.damaged.get_mut(&pack.id) {
                    pack.removed = true;
                    outcome.removed.0 += 1;
                    outcome.removed.1 += pack.bytes;
                }
            }
        }
        return Ok(());
    }
    drop(view);
    drop(search);
    if unknown && !found.damaged.is_empty() {
        let text = "damaged packs stay: it is not known what the lost parts of snapshots need";
        outcome.findings.push(Finding::note(store.location(), text));
        return Ok(());
    }
    let how = clean::How {
        max_wait: options.max_wait,
        without: &roots.replaced(),
    };
    remove::packs(store, world, found, &how, outcome, progress)
}

/// What blobs are healed by.
struct Work<'a> {
    store: &'a Store,
    world: &'a World,
    options: &'a RepairOptions,
    view: &'a View,
    roots: &'a Roots,
}

impl Work<'_> {
    /// Heals what can be had. Returns how many blobs cannot, and whether it is unknown what is below some.
    fn heal(
        &self,
        search: &mut Search,
        outcome: &mut RepairOutcome,
        progress: &mut dyn Progress,
    ) -> Result<(u64, bool), Error> {
        progress.phase("Looking at what snapshots need", 0, Unit::Blobs);
        let (mut walked, mut origins) = (Walked::default(), Origins::default());
        self.roots.each(self.store, |manifest| {
            origins.note(manifest, self.world);
            walked.snapshot(manifest, self.view, search, progress)
        })?;
        let mut healer = Healer::new(self.store, self.options.dry_run)?;
        let mut left = healer.all(self.view, search, outcome, progress)?;
        if left == 0 {
            return Ok((0, !walked.unread.is_empty()));
        }
        let origins = origins.chosen(self.world, self.options);
        // What is below a node is known once that is healed: the next round has it. A tree has no more
        // rounds than levels.
        for round in 0..crate::format::limits::TREE_LEVELS_MAX {
            let mut taken = 0;
            for origin in &origins {
                let mut findings = Vec::new();
                let (view, world) = (self.view, self.world);
                taken += live::take(
                    origin,
                    search,
                    view,
                    world,
                    self.options,
                    &mut findings,
                    progress,
                )?;
                if round == 0 {
                    outcome.findings.extend(findings);
                }
            }
            walked.again(self.view, search, progress)?;
            left = healer.all(self.view, search, outcome, progress)?;
            if taken == 0 || left == 0 {
                break;
            }
        }
        Ok((left, !walked.unread.is_empty()))
    }
}

/// Snapshots of which nothing is known but that they were there.
fn lost_snapshots(roots: &Roots) -> Vec<crate::ops::validate::Damage> {
    let mut found = Findings::default();
    for (id, damaged) in &roots.damaged {
        if damaged.content.is_none() && damaged.replaced_by.is_none() && !damaged.forgotten {
            found.snapshot(format!("snapshot {id}"), damaged.cause.clone(), id);
        }
    }
    found.finish().0
}
