//! Random damage: whatever it is, what comes back is right, and what does not is named.

use std::collections::BTreeSet;
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::format::name;
use larder::ops::copy::{self, CopyOptions};
use larder::ops::open::Store;
use larder::ops::parity::RedundancyLevel;
use larder::progress::NoProgress;

use super::{Case, change, no_sources};
use crate::sandbox::{names, scale, seed};
use crate::tree_rows::Random;

/// Harms an object in some way; says how.
fn harm(backend: &dyn Backend, object: &str, random: &mut Random) -> String {
    let kind = random.below(7);
    if kind == 0 {
        backend.delete(object).unwrap();
        return format!("{object} deleted");
    }
    let mut said = String::new();
    change(backend, object, |bytes| {
        let length = bytes.len() as u64;
        let run_max = match random.below(3) {
            0 => 8,
            1 => 5000,
            _ => length.max(1),
        };
        let run = 1 + random.below(run_max);
        let at = random.below(length.max(1)) as usize;
        let end = (at + run as usize).min(bytes.len());
        match kind {
            1 | 2 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x5A),
            3 => bytes[at..end].fill(0),
            4 => bytes[at] ^= 1 << random.below(8),
            5 => bytes.truncate(bytes.len() - (end - at)),
            _ => bytes.extend((0..run).map(|i| i.to_le_bytes()[0])),
        }
        said = format!("{object}: way {kind}, {at}..{end} of {length}");
    });
    said
}

/// What may be harmed: all but marks and records of the protocol, of which there are none.
fn may_be_harmed(object: &str, random: &mut Random) -> bool {
    match object {
        name::CONFIG | name::REDUNDANCY | name::BALLAST => false,
        _ if object.starts_with(name::PACKS) => true,
        // Less often: there are more of them.
        _ => random.below(4) == 0,
    }
}

#[test]
fn whatever_is_damaged_what_comes_back_is_right_and_what_does_not_is_named() {
    let stages = [
        Case::small(RedundancyLevel::Full),
        Case::small(RedundancyLevel::None),
        Case::large(),
    ];
    let others: Vec<Arc<MemoryBackend>> = stages.iter().map(other).collect();
    let cases = match scale() {
        1 => 60,
        scale => 200 * scale as u64,
    };
    let (mut healed, mut lost, mut nothing) = (0, 0, 0);
    for n in 0..cases {
        let from = seed().wrapping_add(n);
        let mut random = Random(from);
        let at = random.below(3) as usize;
        let with_other = random.below(4) == 0;
        let stores: Vec<Store> = with_other
            .then(|| stages[at].sandbox.open(others[at].clone()))
            .into_iter()
            .collect();
        let outcome = one(&stages[at], &stores, from, &mut random);
        match outcome {
            Some(true) => lost += 1,
            Some(false) => healed += 1,
            None => nothing += 1,
        }
    }
    println!(
        "{cases} cases: {healed} healed, {lost} with something lost, {nothing} without damage"
    );
    assert!(
        healed * 4 > cases && lost > 0,
        "{healed} healed, {lost} lost"
    );
}

/// A store with the same snapshots.
fn other(case: &Case) -> Arc<MemoryBackend> {
    let backend = Arc::new(MemoryBackend::new());
    let to = case.sandbox.create(backend.clone());
    let from = case.sandbox.open(case.backend.clone());
    let world = case.sandbox.world();
    copy::run(&from, &to, &world, &CopyOptions::default(), &mut NoProgress).unwrap();
    backend
}

/// One case. Whether something is lost; `None`: nothing was damaged.
fn one(case: &Case, stores: &[Store], from: u64, random: &mut Random) -> Option<bool> {
    let backend = case.copy();
    let mut all = names(&*backend, "");
    all.retain(|object| may_be_harmed(object, random));
    let mut done = Vec::new();
    for _ in 0..=random.below(3) {
        let object = all[random.below(all.len() as u64) as usize].clone();
        if names(&*backend, "").contains(&object) {
            done.push(harm(&*backend, &object, random));
        }
    }
    let what = format!("seed {from}: {done:?}");
    let mut store = case.sandbox.open(backend.clone());
    let outcome = case
        .try_repair(&store, stores, &no_sources())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let what = format!("{what}\n{outcome:?}");
    let affected: BTreeSet<&str> = outcome
        .lost
        .iter()
        .flat_map(|damage| &damage.affects)
        .flat_map(|affected| &affected.snapshots)
        .map(String::as_str)
        .collect();
    let new_id = |id: &str| {
        let healed = outcome.snapshots.iter().find(|snapshot| snapshot.id == id);
        healed.map(|snapshot| snapshot.new_id.clone().unwrap().parse().unwrap())
    };
    for (id, content) in &case.kept {
        let now = new_id(&id.to_string()).unwrap_or_else(|| id.clone());
        if done.contains(&format!("{} deleted", name::snapshot(id))) {
            continue;
        }
        match case.sandbox.try_restore(&mut store, &now) {
            Ok(restored) => assert!(restored == *content, "{id} is not what it was\n{what}"),
            Err(error) => assert!(
                affected.contains(id.short()),
                "{id} is lost, and not named: {error}\n{what}"
            ),
        }
    }
    if affected.is_empty() {
        let validated = case.sandbox.try_validate(&store).unwrap();
        assert_eq!(validated.damage, [], "{what}");
    }
    case.assert_done(&backend, stores, &what);
    match outcome.is_clean() {
        true => None,
        false => Some(outcome.is_lost()),
    }
}
