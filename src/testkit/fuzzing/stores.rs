//! A whole store, put out of order, and all that reads one: nothing panics, what is restored is exact, and
//! what validation calls good can be restored.

use super::input::Input;
use super::mutation::Altered;
use super::scene::{Scene, backend_of, folder, restore, scene, usage, world};
use crate::error::Error;
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::ops::stats::{self, StatsOptions};
use crate::ops::validate::{self, Level, ValidateOptions};
use crate::ops::{list, select};
use crate::progress::NoProgress;

/// Bits of an input's first byte: what is done beside validating all and restoring lies.
pub(super) const LISTED: u8 = 1;
pub(super) const COUNTED: u8 = 2;
/// All honest snapshots are restored; without it one of them, by the bits above.
pub(super) const RESTORED: u8 = 4;

/// The content of a snapshot that was honest.
fn content<'s>(scene: &'s Scene, altered: &Altered, id: &SnapshotId) -> Option<&'s Vec<u8>> {
    let found = scene.snapshots.iter().find(|(honest, _)| honest == id);
    found
        .filter(|_| !altered.lies.contains(id))
        .map(|(_, content)| content)
}

/// What all snapshots together are: validated, and if so wished listed, chosen, counted. Gives the ids of those that
/// validation calls good.
fn look_at(store: &Store, what: u8) -> Vec<String> {
    let (world, _) = world();
    let validate = |level| {
        let options = ValidateOptions {
            level,
            ..ValidateOptions::default()
        };
        validate::run(store, &world, &options, &mut NoProgress)
    };
    if what & LISTED != 0 {
        let _any = list::run(store);
        let _any = select::one(store, "latest~1", &select::SourceChoice::Any);
        let _any = validate(Level::Quick);
    }
    if what & COUNTED != 0 {
        let options = StatsOptions {
            snapshot: None,
            by_table: true,
        };
        let _any = stats::run(store, &world, &options, &mut NoProgress);
    }
    let Ok(outcome) = validate(Level::All) else {
        return Vec::new();
    };
    let good = outcome.snapshots.into_iter().filter(|check| check.good);
    good.map(|check| check.snapshot.id).collect()
}

/// What became of the snapshots of a store that was put out of order.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tried {
    /// Restored, exactly.
    pub(super) exact: usize,
    /// Lies that were restored: they are well formed.
    pub(super) lies: usize,
    /// Not restored.
    pub(super) refused: usize,
}

/// A store with one object after another put out of order.
pub fn whole_store(data: &[u8]) {
    let _any = try_all(data);
}

pub(super) fn try_all(data: &[u8]) -> Tried {
    let mut tried = Tried::default();
    let scene = scene();
    let mut input = Input::new(data);
    let what = input.u8();
    let altered = Altered::of(scene, input);
    let (world, env) = world();
    let backend = backend_of(&altered.objects);
    let Ok(mut store) = Store::open(backend, env, usage()) else {
        return tried;
    };
    let good = look_at(&store, what);
    let Ok(names) = store.snapshot_names() else {
        return tried;
    };
    let folder = folder();
    let wanted = usize::from(what >> 3) % scene.snapshots.len();
    let wanted = &scene.snapshots[wanted].0;
    for id in &names.ids {
        let is_honest = content(scene, &altered, id).is_some();
        if is_honest && what & RESTORED == 0 && id != wanted {
            continue;
        }
        let restored = restore(&mut store, &world, id, folder.path());
        let is_good = good.iter().any(|good| good == id.as_str());
        match (restored, content(scene, &altered, id)) {
            (Ok(restored), Some(content)) => {
                assert!(restored == *content, "{id} is wrong");
                tried.exact += 1;
            }
            (Ok(_), None) => tried.lies += 1,
            // Validation reads records, not what the texts of a schema would do.
            (Err(Error::Target(_)), None) => tried.refused += 1,
            (Err(error), _) => {
                assert!(!is_good, "{id} was called good: {error}");
                tried.refused += 1;
            }
        }
    }
    tried
}
