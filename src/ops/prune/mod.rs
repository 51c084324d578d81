//! Deletes what no snapshot needs, beside backups that run: steps G0 to G9 and F2 in their order
//! (store-format.md, "Write order"), and what is worth copying before.

mod choose;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::error::Error;
use crate::model::counted::{agree, counted};
use crate::model::id::{PackId, SnapshotId};
use crate::ops::clean;
use crate::ops::open::{Store, World};
pub use crate::ops::retention::GRACE;
use crate::progress::{Finding, Progress, Unit};
use crate::store::census::PackUse;
use crate::store::gc::{CleanUp, Deleted, PackUses, View};
use choose::{Choice, choose};
pub use choose::{MERGE_BYTES, MERGE_PACKS};

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneOptions {
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Snapshots stay so long after they were forgotten.
    pub grace: Duration,
    /// How long to wait for backups that are at work.
    pub max_wait: Duration,
    /// Percent of the bytes of all packs that may stay though nothing needs them: what is left in packs of
    /// which a part is needed. 100: no pack is copied for it.
    pub max_unused_percent: u8,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            grace: GRACE,
            max_wait: Duration::from_secs(10 * 60),
            max_unused_percent: 5,
        }
    }
}

/// Packs, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packs {
    /// How many.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Packs {
    fn add(&mut self, bytes: u64) {
        self.packs += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// A forgotten snapshot that stays for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: String,
    /// Until when at least, RFC 3339; `None`: it is pinned.
    pub until: Option<String>,
}

/// What was done, or with `dry_run` would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneOutcome {
    /// Where the store is.
    pub store: String,
    /// Nothing was done.
    pub dry_run: bool,
    /// Ids of the forgotten snapshots that were deleted.
    pub deleted_snapshots: Vec<String>,
    /// Forgotten snapshots that were not.
    pub waiting_snapshots: Vec<Waiting>,
    /// Snapshots that are left, forgotten ones included.
    pub snapshots: u64,
    /// Clean-ups of before that had not come to their end.
    pub resolved: u64,
    /// Snapshots that writers had begun and that can never be committed now: their processes are dead.
    pub fenced: Vec<String>,
    /// All packs, as they were.
    pub packs_before: Packs,
    /// Packs in which nothing was needed.
    pub dead: Packs,
    /// Packs that were copied, for the sake of what is not needed in them, or because they were small.
    pub repacked: Packs,
    /// The new ones.
    pub new: Packs,
    /// Bytes of packs that nothing needs and that go, by what the footers say.
    pub frees: u64,
    /// Packs that were deleted.
    pub deleted: Packs,
    /// Parity and second copies of what was gone already.
    pub orphans: Deleted,
    /// Bytes of packs that stay though nothing needs them.
    pub unused_bytes: u64,
    /// Sum of the lengths of the store's objects before, and after.
    pub store_bytes: (u64, u64),
    /// Something that snapshots need cannot be read: what is left of it was kept.
    pub damaged: bool,
    /// Things worth a line.
    pub findings: Vec<Finding>,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// Prunes a store. Backups may run meanwhile, and wait for nothing.
///
/// Errors: `Store`: `Damaged` or `Blob` where it cannot be told what a snapshot needs, `WriterAtWork`,
/// `CleanUpAtWork`; `Cancelled`. Whatever the error, nothing that a snapshot needs is gone.
pub fn run(
    store: &Store,
    world: &World,
    options: &PruneOptions,
    progress: &mut dyn Progress,
) -> Result<PruneOutcome, Error> {
    let begun = world.env.monotonic();
    let mut outcome = empty(store, options)?;
    if let Err(error) = steps(store, world, options, &mut outcome, progress) {
        // Whatever stopped it, this has been decided.
        let gone = outcome.deleted_snapshots.len();
        if gone > 0 && !options.dry_run {
            let ids = outcome.deleted_snapshots.join(", ");
            progress.found(&Finding::note(
                outcome.store,
                format!(
                    "{} cannot be taken back any more ({ids}); the next prune frees {} space",
                    counted(gone as u64, "forgotten snapshot"),
                    agree(gone as u64, "its", "their"),
                ),
            ));
        }
        return Err(error);
    }
    let elapsed = world.env.monotonic().saturating_sub(begun);
    outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

fn steps(
    store: &Store,
    world: &World,
    options: &PruneOptions,
    outcome: &mut PruneOutcome,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let mut clean_up = store.clean_up();
    let unfinished = clean_up.unfinished()?;
    if !options.dry_run {
        // G0
        outcome.resolved = clean_up.resolve()?;
        clean_up.delete_dead()?;
    }
    ensure_all_is_known(store, &clean_up, world, options)?;
    let going = forgotten(store, world, options, &clean_up, outcome, progress)?;
    // G1: manifests before packs.
    let mut roots = clean_up.roots()?;
    if options.dry_run {
        roots.retain(|id| !going.contains(id));
    }
    // G2
    let (view, uses) = look(store, &mut clean_up, &roots, outcome, progress)?;
    let choice = choose(&uses, options.max_unused_percent);
    account(outcome, &uses, &choice);
    if !options.dry_run {
        let with_copied = repack(&mut clean_up, &view, &choice, outcome, progress)?;
        drop(view);
        let goes = |pack: &&PackUse| {
            choice.dead.contains(&pack.id) || with_copied && choice.repacked.contains(&pack.id)
        };
        let packs = uses.dead.iter().chain(&uses.kept).filter(goes);
        let condemned: BTreeMap<PackId, u64> = packs.map(|pack| (pack.id, pack.bytes)).collect();
        if !condemned.is_empty() {
            let how = clean::How {
                max_wait: options.max_wait,
                without: &BTreeSet::new(),
            };
            let cleaned = clean::clean(store, world, &how, clean_up, &condemned, progress)?;
            outcome.fenced.extend(cleaned.fenced);
            for bytes in cleaned.deleted {
                outcome.deleted.add(bytes);
            }
        }
        let clean_up = store.clean_up();
        clean::remove_records(&clean_up)?;
        clean_up.remove_unfinished(&unfinished)?;
        outcome.orphans = clean_up.delete_orphans()?;
        clean_up.drop_marks()?;
        clean_up.expire()?;
        store.keep_ballast();
        outcome.store_bytes.1 = store.bytes()?;
    }
    Ok(())
}

fn empty(store: &Store, options: &PruneOptions) -> Result<PruneOutcome, Error> {
    let bytes = store.bytes()?;
    Ok(PruneOutcome {
        store: store.location(),
        dry_run: options.dry_run,
        deleted_snapshots: Vec::new(),
        waiting_snapshots: Vec::new(),
        snapshots: 0,
        resolved: 0,
        fenced: Vec::new(),
        packs_before: Packs::default(),
        dead: Packs::default(),
        repacked: Packs::default(),
        new: Packs::default(),
        frees: 0,
        deleted: Packs::default(),
        orphans: Deleted::default(),
        unused_bytes: 0,
        store_bytes: (bytes, bytes),
        damaged: false,
        findings: Vec::new(),
        elapsed_ms: 0,
    })
}

/// Before anything is deleted: every manifest that stays can be read, and nothing is in the place of
/// one that is none.
fn ensure_all_is_known(
    store: &Store,
    clean_up: &CleanUp<'_>,
    world: &World,
    options: &PruneOptions,
) -> Result<(), Error> {
    store.ensure_only_snapshots()?;
    let going = clean_up.expired(before_ms(world, options))?;
    for id in clean_up.roots()? {
        if !going.contains(&id) {
            store.root_manifest(&id)?;
        }
    }
    Ok(())
}

/// Snapshots that were forgotten before this may go.
fn before_ms(world: &World, options: &PruneOptions) -> i64 {
    let grace = i64::try_from(options.grace.as_millis()).unwrap_or(i64::MAX);
    world.env.unix_ms().saturating_sub(grace)
}

/// Marks, and reads whole what is chosen where there was a choice: a copy must not go for the sake of one
/// that is damaged.
fn look(
    store: &Store,
    clean_up: &mut CleanUp<'_>,
    roots: &[SnapshotId],
    outcome: &mut PruneOutcome,
    progress: &mut dyn Progress,
) -> Result<(View, PackUses), Error> {
    let mut good = BTreeSet::new();
    loop {
        let view = clean_up.view()?;
        outcome.snapshots = clean::mark(store, &view, roots, progress)?;
        let uses = view.uses()?;
        let mut all_good = true;
        for (pack, bytes) in view.chosen_among_several()? {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            if good.contains(&pack) {
                continue;
            }
            match store.pack_damage(&pack, bytes)? {
                None => {
                    good.insert(pack);
                }
                Some(cause) => {
                    clean_up.distrust(&BTreeSet::from([pack]));
                    all_good = false;
                    outcome.damaged = true;
                    outcome.findings.push(Finding::warning(
                        format!("pack {pack}"),
                        format!("is damaged ({cause}); other copies of what it holds are kept"),
                    ));
                }
            }
        }
        if all_good {
            return Ok((view, uses));
        }
    }
}

/// F2: deletes the forgotten manifests whose time is up, and tells which ones stay.
fn forgotten(
    store: &Store,
    world: &World,
    options: &PruneOptions,
    clean_up: &CleanUp<'_>,
    outcome: &mut PruneOutcome,
    progress: &mut dyn Progress,
) -> Result<Vec<SnapshotId>, Error> {
    let grace = i64::try_from(options.grace.as_millis()).unwrap_or(i64::MAX);
    let going = clean_up.expired(before_ms(world, options))?;
    if !going.is_empty() && !options.dry_run {
        // Not for safety: what could not go on now should not take away what can still be had back.
        outcome.fenced = clean::wait_for_all(clean_up, world, options.max_wait, progress)?;
    }
    for id in &going {
        if options.dry_run || clean_up.delete_forgotten(id)? {
            outcome.deleted_snapshots.push(id.to_string());
        }
    }
    let (forgotten, pins) = (store.forgotten()?, store.pins()?);
    for id in store.snapshot_names()?.forgotten {
        if going.contains(&id) {
            continue;
        }
        let at = match forgotten.mark(&id) {
            Some(mark) if !pins.contains(&id) => store.forgotten_at(&id, mark)?,
            _ => None,
        };
        let until = at.map(|at| crate::store::rfc3339(at.saturating_add(grace)));
        outcome.waiting_snapshots.push(Waiting {
            id: id.to_string(),
            until,
        });
    }
    Ok(going)
}

/// What the packs are, before anything is done.
fn account(outcome: &mut PruneOutcome, uses: &PackUses, choice: &Choice) {
    for pack in uses.dead.iter().chain(&uses.kept).chain(&uses.unreadable) {
        outcome.packs_before.add(pack.bytes);
    }
    for pack in &uses.dead {
        outcome.dead.add(pack.bytes);
        outcome.frees += pack.bytes;
    }
    for pack in &uses.kept {
        if choice.repacked.contains(&pack.id) {
            outcome.repacked.add(pack.bytes);
            outcome.frees += choose::unused(pack);
        } else {
            outcome.unused_bytes += choose::unused(pack);
        }
    }
    outcome.damaged |= uses.broken > 0 || !uses.unreadable.is_empty();
    for pack in &uses.unreadable {
        outcome.findings.push(Finding::warning(
            format!("pack {}", pack.id),
            "cannot be read, and is kept: a repair may find in it what is missing",
        ));
    }
    if uses.broken > 0 {
        outcome.findings.push(Finding::warning(
            "damage",
            format!(
                "{} that snapshots need cannot be read; all that is left of {} is kept",
                counted(uses.broken, "blob"),
                agree(uses.broken, "it", "them"),
            ),
        ));
    }
}

/// Copies what is kept of the packs that were chosen. `false`: there was no space for that; the old
/// ones stay as they are.
fn repack(
    clean_up: &mut CleanUp<'_>,
    view: &crate::store::gc::View,
    choice: &Choice,
    outcome: &mut PruneOutcome,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    if choice.repacked.is_empty() {
        return Ok(false);
    }
    progress.phase("Copying packs", outcome.repacked.bytes, Unit::Bytes);
    let done = clean_up.repack(view, &choice.repacked, |bytes| {
        progress.advance(bytes);
        !progress.cancelled()
    });
    let done = match done {
        Err(error) if error.is_no_space() => {
            outcome.findings.push(Finding::note(
                outcome.store.clone(),
                "has no space for copies: only packs in which nothing is needed are deleted",
            ));
            outcome.repacked = Packs::default();
            return Ok(false);
        }
        done => done?,
    };
    if done.stopped {
        return Err(Error::Cancelled);
    }
    outcome.new = Packs {
        packs: done.packs,
        bytes: done.bytes,
    };
    Ok(true)
}
