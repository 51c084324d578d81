//! Every byte counts: whatever is changed in any object of a store, cut off, deleted or exchanged, `validate`
//! names that object, every snapshot it calls good restores exactly, nothing panics, no command loses
//! more, and parity gives the same bytes back.
//!
//! `cargo test` tries a sample; at LARDER_TEST_SCALE=100 (`.ci/long corruption`) it is every byte of every
//! object of two stores, one of them with redundancy. In every case the altered object is looked at by the code
//! that reads it; the whole judgement (`judge`) is made of the first case of each look and, but for a prune,
//! of one case in a hundred besides.

mod every_kind;
mod frozen;
mod harm;
mod judge;
mod kinds;
mod sight;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::env::{Env, SystemEnv};
use larder::format::name;
use larder::store::Rebuilt;

use crate::sandbox::{scale, seed};
use crate::tree_rows::Random;
use crate::workshop::sql;
use every_kind::{Bench, EveryKind};
use frozen::{Altered, Objects};
use harm::Change;
use judge::{Case, Expected, Judged};
use kinds::{HARMLESS, Harm, Kind, called, harmless};
use sight::Known;

/// Everything is tried.
fn is_full() -> bool {
    scale() >= 100
}

/// Does work items on two threads.
fn on_two_threads(count: usize, work: impl Fn(&dyn Fn() -> Option<usize>) + Sync) {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < count);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| work(&take));
        }
    });
}

#[derive(Default)]
struct Tally {
    by_change: BTreeMap<&'static str, usize>,
    by_kind: BTreeMap<Kind, usize>,
    judged: Judged,
    /// Entries of what is harmless.
    harmless: BTreeSet<usize>,
}

impl Tally {
    fn cases(&self) -> usize {
        self.by_change.values().sum()
    }

    fn add(&mut self, other: Self) {
        self.judged += other.judged;
        self.harmless.extend(other.harmless);
        for (name, count) in other.by_change {
            *self.by_change.entry(name).or_default() += count;
        }
        for (kind, count) in other.by_kind {
            *self.by_kind.entry(kind).or_default() += count;
        }
    }
}

/// No length that an altered byte says takes memory: the most that this process ever had, in MiB.
fn assert_memory_bounded() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let mib = kib.map_or(0, |kib| kib.trim().parse::<u64>().unwrap() / 1024);
    // Other tests run in the process too.
    assert!(mib < 1024, "{mib} MiB");
    mib
}

/// What must be said of one altered object, and which snapshots nothing protects any more.
fn expected(of: &EveryKind, object: &str, change: &Change) -> (Expected, Option<usize>) {
    let kind = Kind::of(object, &of.objects[object]);
    let harm = change.harm();
    let named = |object: &str| BTreeSet::from([called(object)]);
    if (kind, harm, of.redundant) == (Kind::Config, Harm::Exchanged, true) {
        // Beside a copy it is another one.
        return (Expected::Named(named("second/config")), None);
    }
    if (kind, harm) == (Kind::Pack, Harm::Deleted) {
        return (Expected::Missed, None);
    }
    if (kind, harm) == (Kind::Manifest, Harm::Deleted) && of.is_listed(object) && of.redundant {
        // Nobody has forgotten it, and its second copy says that it was there.
        return (Expected::Named(named(object)), None);
    }
    if harmless(kind, harm).is_some() {
        let entry = HARMLESS
            .iter()
            .position(|(k, h, _)| (*k, *h) == (kind, harm));
        return (Expected::Unseen, entry);
    }
    let swapped = match change {
        Change::Swapped(with) => Some(with.as_str()),
        _ => None,
    };
    // The manifest of a snapshot whose deletion was decided is not looked at, nor its copy.
    let going = of.going.to_string();
    let looked_at = [Some(object), swapped].into_iter().flatten();
    let looked_at = looked_at.filter(|object| !object.ends_with(&going));
    let named: BTreeSet<String> = looked_at.map(called).collect();
    match named.is_empty() {
        true => (Expected::Unseen, None),
        false => (Expected::Named(named), None),
    }
}

fn altered(of: &EveryKind, other: &Objects, object: &str, change: &Change) -> Altered {
    let now = change.apply(&of.objects[object], &of.objects, other);
    let mut altered = Altered::from([(object.to_owned(), now)]);
    if let Change::Swapped(with) = change {
        altered.insert(with.clone(), Some(of.objects[object].clone()));
    }
    altered
}

/// Snapshots that a prune may take once this is so, by what the protocol says.
fn unprotected(
    of: &EveryKind,
    object: &str,
    change: &Change,
) -> Vec<larder::model::id::SnapshotId> {
    match (Kind::of(object, &of.objects[object]), change.harm()) {
        (Kind::Manifest, Harm::Deleted) => vec![name::parse_snapshot(object).unwrap()],
        (Kind::ForgottenFinal, Harm::Deleted) => vec![of.taken_back.clone()],
        (Kind::Pin, Harm::Deleted) => vec![of.pinned.clone()],
        _ => Vec::new(),
    }
}

/// All cases, or some of each object.
fn cases<'a>(of: &'a EveryKind, other: &Objects) -> Vec<(&'a String, Change)> {
    let mut cases = Vec::new();
    for (object, bytes) in &*of.objects {
        let mut all = harm::all(object, bytes, &of.objects, other);
        if !is_full() {
            // By chance, so that no sort of change is passed over for its place.
            let mut random = Random(seed() ^ bytes.len() as u64);
            let wanted = 8 * scale();
            let (bytes, rest): (Vec<_>, Vec<_>) = all
                .into_iter()
                .partition(|change| matches!(change, Change::Set(..) | Change::Cut(_)));
            let mut some: Vec<Change> = Vec::new();
            for (of, wanted) in [(bytes, wanted), (rest, wanted.div_ceil(3))] {
                let some_of = (0..wanted.min(of.len())).map(|_| random.below(of.len() as u64));
                some.extend(some_of.map(|at| of[usize::try_from(at).unwrap()].clone()));
            }
            all = some;
        }
        cases.extend(all.into_iter().map(|change| (object, change)));
    }
    cases
}

/// A store, all that is done to it, and what was found.
struct Sweep {
    of: EveryKind,
    other: std::sync::Arc<Objects>,
    known: BTreeMap<String, Known>,
    /// How altered objects looked.
    seen: Mutex<HashSet<(String, u8, String)>>,
    tally: Mutex<Tally>,
}

impl Sweep {
    fn new(redundant: bool) -> Self {
        let of = EveryKind::new(redundant, 0);
        let objects = of.objects.iter();
        let packs = objects.filter(|(name, _)| name.starts_with(name::PACKS));
        let known = packs.map(|(name, bytes)| (name.clone(), Known::new(bytes)));
        Self {
            known: known.collect(),
            of,
            other: EveryKind::new(redundant, 1).objects,
            seen: Mutex::default(),
            tally: Mutex::default(),
        }
    }

    fn run(&self) {
        let begun = SystemEnv.monotonic();
        let cases = cases(&self.of, &self.other);
        on_two_threads(cases.len(), |take| {
            let bench = Bench::new(&self.of);
            let mut own = Tally::default();
            while let Some(number) = take() {
                let (object, change) = &cases[number];
                self.case(&bench, number, cases.len(), object, change, &mut own);
            }
            self.tally.lock().unwrap().add(own);
        });
        let tally = self.tally.lock().unwrap();
        println!(
            "seed {}, {} objects of {} bytes, redundancy {}: {} cases, {} s, {} MiB\n{:?}\n{:?}\n{:?}",
            seed(),
            self.of.objects.len(),
            self.of.bytes(),
            self.of.redundant,
            tally.cases(),
            (SystemEnv.monotonic() - begun).as_secs(),
            assert_memory_bounded(),
            tally.judged,
            tally.by_change,
            tally.by_kind,
        );
        assert!(tally.judged.packs_deleted > 0 && tally.judged.refused > 0);
        if is_full() {
            for (entry, (kind, harm, _)) in HARMLESS.iter().enumerate() {
                let redundancy = matches!(kind, Kind::Parity | Kind::Second);
                // Of these there is one, or the other store has the same.
                let only = matches!(kind, Kind::Ballast | Kind::DamagedMark | Kind::Config);
                let tried = tally.harmless.contains(&entry);
                let must_be = !only && (self.of.redundant || !redundancy);
                assert!(tried || !must_be, "{kind:?} {harm:?} was never tried");
            }
        }
    }

    fn case(
        &self,
        bench: &Bench,
        number: usize,
        cases: usize,
        object: &str,
        change: &Change,
        tally: &mut Tally,
    ) {
        let of = &self.of;
        let altered = altered(of, &self.other, object, change);
        let what = match change {
            Change::Longer(tail) => format!("{object}: {} bytes more", tail.len()),
            change => format!("{object} of {}: {change:?}", of.objects[object].len()),
        };
        bench.frozen.alter(altered.clone());
        let now = altered[object].as_deref();
        let look = sight::look(
            of,
            self.known.get(object),
            bench,
            object,
            change,
            now,
            &what,
        );
        let (expected, entry) = expected(of, object, change);
        let look = (object.to_owned(), change.harm() as u8, look);
        let first = self.seen.lock().unwrap().insert(look);
        let drawn = Random(seed() ^ number as u64).below(cases as u64);
        let chance = |wanted: usize| drawn < wanted as u64;
        let judged = match is_full() {
            true => first || chance(cases / 100),
            // Most looks of a sample are first ones.
            false => first && chance(90 * scale()),
        };
        if judged {
            let case = Case {
                of,
                altered: &altered,
                expected,
                unprotected: unprotected(of, object, change),
                exchanged: change.harm() == Harm::Exchanged,
                what: &what,
                number,
                all: first && is_full(),
                commands: first || number.is_multiple_of(5),
            };
            tally.judged += case.examine(bench);
        }
        tally.harmless.extend(entry);
        *tally.by_change.entry(change.name()).or_default() += 1;
        let kind = Kind::of(object, &of.objects[object]);
        *tally.by_kind.entry(kind).or_default() += 1;
    }
}

#[test]
fn whatever_happens_to_one_object_is_found_and_named_and_costs_no_more() {
    Sweep::new(false).run();
}

#[test]
fn whatever_happens_to_one_object_of_a_store_with_redundancy_is_found_and_healed() {
    Sweep::new(true).run();
}

/// Damage of bytes, of one or of a run of them.
fn random_change(random: &mut Random, bytes: &mut Vec<u8>) -> String {
    let below =
        |random: &mut Random, end: usize| usize::try_from(random.below(end as u64)).unwrap();
    if bytes.is_empty() {
        bytes.push(1);
        return "a byte where none was left".to_owned();
    }
    let at = below(random, bytes.len());
    let end = (at + 1 + below(random, 600)).min(bytes.len());
    match random.below(6) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at..end].fill(0),
        2 => bytes[at..end].fill(0xFF),
        3 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0xA5),
        4 => bytes.truncate(at),
        _ => bytes.extend_from_within(at..end),
    }
    format!("{at}..{end}")
}

#[test]
fn whatever_happens_to_several_objects_at_once_is_found_and_costs_no_more() {
    let begun = SystemEnv.monotonic();
    let stores = [EveryKind::new(false, 0), EveryKind::new(true, 0)];
    let count = if is_full() { 10_000 } else { 30 * scale() };
    let damages = AtomicUsize::new(0);
    let judged = Mutex::new(Judged::default());
    on_two_threads(count, |take| {
        let benches = [Bench::new(&stores[0]), Bench::new(&stores[1])];
        while let Some(number) = take() {
            let (of, bench) = (&stores[number % 2], &benches[number % 2]);
            let mut random = Random(seed() + number as u64);
            let names: Vec<&String> = of.objects.keys().collect();
            let mut altered = Altered::new();
            let mut what = format!("seed {}, case {number}:", seed());
            let times = 2 + random.below(19);
            for _ in 0..times {
                let object = names[usize::try_from(random.below(names.len() as u64)).unwrap()];
                let kind = Kind::of(object, &of.objects[object]);
                let goes = random.below(12) == 0
                    && matches!(kind, Kind::Pack | Kind::Parity | Kind::Second);
                let there = altered.entry(object.clone());
                let now = there.or_insert_with(|| Some(of.objects[object].clone()));
                match now {
                    Some(bytes) if !goes => {
                        what += &format!(" {object} {},", random_change(&mut random, bytes))
                    }
                    _ => {
                        *now = None;
                        what += &format!(" {object} deleted,");
                    }
                }
            }
            altered.retain(|name, now| now.as_ref() != Some(&of.objects[name]));
            bench.frozen.alter(altered.clone());
            let case = Case {
                of,
                altered: &altered,
                expected: Expected::Among(altered.keys().map(|name| called(name)).collect()),
                unprotected: Vec::new(),
                exchanged: false,
                what: &what,
                number,
                all: false,
                commands: true,
            };
            let found = case.examine(bench);
            *judged.lock().unwrap() += found;
            rebuilt(of, bench, &altered, &what);
            damages.fetch_add(usize::try_from(times).unwrap(), Ordering::Relaxed);
        }
    });
    println!(
        "seed {}: {count} cases of 2 to 20 damages, {} in all, {} s\n{:?}",
        seed(),
        damages.into_inner(),
        (SystemEnv.monotonic() - begun).as_secs(),
        judged.into_inner().unwrap()
    );
}

/// What redundancy gives of the packs that were altered is what they were, or nothing.
fn rebuilt(of: &EveryKind, bench: &Bench, altered: &Altered, what: &str) {
    for pack in altered.keys().filter_map(|name| name::parse_pack(name)) {
        match bench.store.rebuild(&pack).unwrap() {
            Rebuilt::FromParity { bytes, .. } | Rebuilt::FromSecond(bytes) => {
                assert!(
                    bytes == of.objects[&name::pack(&pack)],
                    "{what}: {pack} rebuilt wrong"
                );
            }
            Rebuilt::Lost { bad, spare } => assert!(bad > spare, "{what}: {pack}"),
            Rebuilt::NoParity(_) => {}
            other => panic!("{what}: {pack}: {other:?}"),
        }
    }
}

/// What changed is only reported: a parent that cannot be read must not stop the next backup.
#[test]
fn damage_in_the_parent_does_not_stop_a_backup() {
    let of = EveryKind::new(false, 0);
    let bench = Bench::new(&of);
    let database = bench.sandbox.path("a.db");
    sql(&database, "ALTER TABLE b ADD COLUMN w; UPDATE a SET n = 0");
    for (object, bytes) in &*of.objects {
        if !object.starts_with(name::PACKS) {
            continue;
        }
        let backend = MemoryBackend::over(bench.frozen.clone());
        // Its footer is whole, its frames are not.
        let mut altered = bytes.clone();
        altered[32..48].fill(0xa5);
        backend.put(object, &altered).unwrap();
        let mut store = bench.sandbox.open(std::sync::Arc::new(backend));
        bench.sandbox.backup(&mut store, &database);
    }
}

#[test]
fn what_is_harmless_by_definition_is_in_the_documentation_with_its_reasons() {
    let docs = include_str!("../../docs/testing.md");
    for (kind, harm, why) in HARMLESS {
        let row = format!("| {} | {} | {why} |", kind.title(), harm.title());
        assert!(docs.contains(&row), "{row}");
    }
}
