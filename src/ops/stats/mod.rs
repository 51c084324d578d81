//! What uses a store's space: by kind of object and blob, by snapshot, by table; and what of it no
//! snapshot needs.
//!
//! Footers are counted, nodes are read, leaves only where large values hang below them. What is
//! counted lies in a temporary database (`store::census`), not in memory.

mod walk;

use crate::error::{Error, SelectError};
use crate::format::manifest::Manifest;
use crate::ops::list::SnapshotSummary;
use crate::ops::open::{Store, World};
use crate::progress::{Progress, Unit};
pub use crate::store::ObjectTotals;
use crate::store::census::{Census, DamagedBlob};
pub use crate::store::census::{
    Chains, Figures, KindFigures, PackFigures, SnapshotUse, TableFigures, TableSort, Uses,
};
use crate::store::{StoreError, StoreReader};
use walk::Walk;

/// Damaged blobs that are named one by one; the rest are counted.
const DAMAGE_NAMED_MAX: u64 = 20;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct StatsOptions {
    /// One snapshot; `None`: the whole store.
    pub snapshot: Option<Manifest>,
    /// Table by table too.
    pub by_table: bool,
}

/// A snapshot, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFigures {
    /// The snapshot.
    pub snapshot: SnapshotSummary,
    /// Length of its database file.
    pub source_bytes: u64,
    /// Canonical bytes of its records and large values, each in full.
    pub held_bytes: u64,
    /// What no other snapshot needs, bases of its deltas included.
    pub alone: Figures,
}

/// What saves space, as numerators and denominators, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ratios {
    /// Canonical bytes of the records and large values of all snapshots, each in full.
    pub held_bytes: u64,
    /// Canonical bytes of the same, each leaf and each chunk once.
    pub distinct_bytes: u64,
    /// Stored bytes of those leaves and chunks.
    pub distinct_stored_bytes: u64,
    /// Lengths of the database files of all snapshots.
    pub source_bytes: u64,
    /// All objects of the store.
    pub store_bytes: u64,
    /// Of these parity and second copies, which are not counted against the databases.
    pub redundancy_bytes: u64,
}

/// The one snapshot that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneSnapshot {
    /// As among all snapshots.
    pub figures: SnapshotFigures,
    /// Stored bytes of it, and of them what others need too.
    pub uses: SnapshotUse,
}

/// An object or blob that is missing or damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsDamage {
    /// What: `pack …`, `snapshot …`, `leaf …`.
    pub object: String,
    /// What was found.
    pub cause: String,
    /// Tables, none for a whole snapshot, with the short ids of the snapshots.
    pub affects: Vec<(Option<String>, Vec<String>)>,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsOutcome {
    /// Where the store is.
    pub store: String,
    /// Objects that are no packs.
    pub objects: ObjectTotals,
    /// Packs.
    pub packs: PackFigures,
    /// All copies of blobs, by kind; only those that there are.
    pub kinds: Vec<KindFigures>,
    /// All copies of blobs, by what they are there for.
    pub uses: Uses,
    /// What saves space.
    pub ratios: Ratios,
    /// Deltas and their bases.
    pub chains: Chains,
    /// All snapshots, newest first.
    pub snapshots: Vec<SnapshotFigures>,
    /// The one that was asked for.
    pub one: Option<OneSnapshot>,
    /// Table by table, most stored bytes first: of the one snapshot, else of all.
    pub tables: Option<Vec<TableFigures>>,
    /// Damage; of blobs the first ones.
    pub damage: Vec<StatsDamage>,
    /// Missing or damaged blobs, named or not.
    pub damaged_blobs: u64,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// Counts. Damage is in the outcome; an error means that it could not be counted.
pub fn run(
    store: &Store,
    world: &World,
    options: &StatsOptions,
    progress: &mut dyn Progress,
) -> Result<StatsOutcome, Error> {
    let begun = world.env.monotonic();
    // Snapshots before packs: what they need is then in the listing.
    let names = store.snapshot_names()?;
    let reader = store.reader()?;
    let (census, mut damage) = count_packs(&reader, progress)?;
    let mut walk = Walk::new(&reader, &census, progress);
    walk.all_snapshots(store, &names.ids)?;
    let (mut snapshots, manifests) = walk.finish();
    damage.extend(manifests);
    damage.extend(store.lost_manifests()?.iter().map(|id| StatsDamage {
        object: format!("snapshot {id}"),
        cause: "its manifest is gone, and nobody has forgotten it".to_owned(),
        affects: vec![(None, vec![id.short().to_owned()])],
    }));
    mark_needed(&census, &mut snapshots, progress)?;
    let asked = match &options.snapshot {
        Some(manifest) => Some(number_of(store, manifest, &snapshots)?),
        None => None,
    };
    let wants_tables = options.by_table || asked.is_some();
    if wants_tables {
        census.assign_tables(asked.map(|at| at as u64))?;
    }
    let one = match asked.and_then(|at| snapshots.get(at)) {
        Some(figures) => Some(OneSnapshot {
            figures: figures.clone(),
            uses: census.snapshot_use()?,
        }),
        None => None,
    };
    let tables = if options.by_table {
        Some(by_size(census.tables(asked.map(|at| at as u64))?))
    } else {
        None
    };
    let (damaged_blobs, blobs) = census.damage(DAMAGE_NAMED_MAX)?;
    damage.extend(blobs.iter().map(|blob| told(blob, &snapshots)));
    let (objects, packs, uses) = (store.object_totals()?, census.packs()?, census.uses()?);
    let elapsed = world.env.monotonic().saturating_sub(begun);
    Ok(StatsOutcome {
        store: store.location(),
        ratios: ratios(&objects, &packs, census.contents()?, &snapshots),
        objects,
        packs,
        kinds: census.kinds()?,
        uses,
        chains: census.delta_chains()?,
        snapshots,
        one,
        tables,
        damage,
        damaged_blobs,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Takes the footers of all packs; those that cannot be read are damage.
fn count_packs(
    reader: &StoreReader,
    progress: &mut dyn Progress,
) -> Result<(Census, Vec<StatsDamage>), Error> {
    let (census, packs) = reader.census()?;
    let mut damage = Vec::new();
    let total = packs.iter().map(|(_, bytes)| bytes).sum();
    progress.phase("Counting packs", total, Unit::Bytes);
    for (id, bytes) in &packs {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        if let Some(cause) = reader.count_pack(&census, id, *bytes)? {
            damage.push(StatsDamage {
                object: format!("pack {id}"),
                cause: cause.to_string(),
                affects: Vec::new(),
            });
        }
        progress.advance(*bytes);
    }
    census.chains()?;
    Ok((census, damage))
}

/// Marks who needs what, and sums up what each snapshot holds and needs alone.
fn mark_needed(
    census: &Census,
    snapshots: &mut [SnapshotFigures],
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    census.sum_large_values()?;
    for (at, snapshot) in snapshots.iter_mut().enumerate() {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        census.need(at as u64)?;
        let large = census.large_bytes(at as u64)?;
        snapshot.held_bytes = snapshot.held_bytes.saturating_add(large);
    }
    census.need_bases()?;
    for (at, figures) in census.alone()? {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        if let Some(snapshot) = snapshots.get_mut(at) {
            snapshot.alone = figures;
        }
    }
    Ok(())
}

/// The place of a snapshot among all. One that was deleted meanwhile is not there any more.
fn number_of(
    store: &Store,
    manifest: &Manifest,
    snapshots: &[SnapshotFigures],
) -> Result<usize, Error> {
    let id = manifest.id.to_string();
    let is_it = |figures: &SnapshotFigures| figures.snapshot.id == id;
    snapshots.iter().position(is_it).ok_or_else(|| {
        SelectError::NoSnapshot {
            word: id.clone(),
            store: store.location(),
            nearest: None,
        }
        .into()
    })
}

fn by_size(mut tables: Vec<TableFigures>) -> Vec<TableFigures> {
    // Stable: tables of one size stay in the order of their names.
    tables.sort_by_key(|table| std::cmp::Reverse(table.all().stored_bytes));
    tables
}

fn ratios(
    objects: &ObjectTotals,
    packs: &PackFigures,
    contents: Figures,
    snapshots: &[SnapshotFigures],
) -> Ratios {
    let sum =
        |of: fn(&SnapshotFigures) -> u64| snapshots.iter().map(of).fold(0, u64::saturating_add);
    let redundancy_bytes = objects.parity.1.saturating_add(objects.seconds.1);
    Ratios {
        held_bytes: sum(|snapshot| snapshot.held_bytes),
        distinct_bytes: contents.canonical_bytes,
        distinct_stored_bytes: contents.stored_bytes,
        source_bytes: sum(|snapshot| snapshot.source_bytes),
        store_bytes: [objects.manifests.1, objects.protocol.1, objects.other.1]
            .into_iter()
            .fold(packs.bytes, u64::saturating_add)
            .saturating_add(redundancy_bytes),
        redundancy_bytes,
    }
}

/// A damaged blob as damage: its tables, each with the snapshots.
fn told(blob: &DamagedBlob, snapshots: &[SnapshotFigures]) -> StatsDamage {
    let mut affects: Vec<(Option<String>, Vec<String>)> = Vec::new();
    for (sort, table, at) in &blob.affects {
        let table = (*sort != TableSort::Schema).then(|| table.clone());
        let short_id = usize::try_from(*at).ok().and_then(|at| snapshots.get(at));
        let short_id = short_id.map_or_else(String::new, |s| s.snapshot.short_id.clone());
        match affects.last_mut().filter(|(known, _)| *known == table) {
            Some((_, ids)) => ids.push(short_id),
            None => affects.push((table, vec![short_id])),
        }
    }
    StatsDamage {
        object: format!("{} {}", blob.kind.name(), blob.id),
        cause: blob.cause.clone(),
        affects,
    }
}

/// A manifest that cannot be read: what it needs is not known.
fn unreadable(error: &StoreError, object: String, short_id: &str) -> StatsDamage {
    StatsDamage {
        object,
        cause: match error {
            StoreError::Damaged { cause, .. } => cause.to_string(),
            error => error.to_string(),
        },
        affects: vec![(None, vec![short_id.to_owned()])],
    }
}
