//! The protocol of commit and clean-up as a step machine over larder's own code: whatever the order in
//! which writers, clean-ups and those who forget come before one another, and wherever any of them is
//! cut off, every visible snapshot has all that it needs. And a rule that is broken is noticed.

mod actors;
mod judge;
mod mutants;
mod random;
mod scene;
mod search;
mod stepping;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use larder::format::blob::BlobSink;
use larder::ops::open::Store;
use larder::store::Usage;
use larder::store::rules::Rules;
use larder::testkit::seeded_env::SeededEnv;

use crate::sandbox::{scale, seed};
use crate::tree_rows::Random;
use actors::{Actor, End, Role};
use judge::Judge;
use mutants::{Broken, MUTANTS, Mutant};
use random::{play, play_script};
use scene::{Blobs, SCENES, Scene, Start, closure, kind, manifest_id, scene};
use search::{Found, Search};
use stepping::{Objects, Replay, StepBackend};

/// How writers and clean-ups go about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Variant {
    deltas: bool,
    alone: bool,
    follows: bool,
    /// So many of the clean-ups copy partly dead packs: the last ones.
    repacks: usize,
    tries: u32,
    /// Manifests that are deleted, or forgotten and had back.
    forgets: usize,
    /// Those manifests are gone at the start.
    gone: bool,
    /// Clean-ups find every other process dead, be it or not; else alive.
    finds_dead: bool,
    /// The second writer takes what the first one committed unasked; that is deleted later.
    follows_first: bool,
}

const PLAIN: Variant = Variant {
    deltas: false,
    alone: false,
    follows: false,
    repacks: 0,
    tries: 1,
    forgets: 1,
    gone: false,
    finds_dead: true,
    follows_first: false,
};

/// A scene with its actors.
struct Stage {
    blobs: Arc<Blobs>,
    judge: Judge,
    objects: Objects,
    actors: Vec<Actor>,
    _caches: Vec<tempfile::TempDir>,
}

impl Stage {
    fn new(
        scene: &Scene,
        writers: usize,
        prunes: usize,
        variant: Variant,
        broken: Option<Broken>,
    ) -> Self {
        let blobs = Arc::new(Blobs::new());
        let start = scene::start(scene, &blobs);
        let judge = Judge::new(blobs.clone(), &start);
        let mut objects: Objects = start.objects.iter().cloned().collect();
        let mut caches = Vec::new();
        // Where something is damaged from the start, nobody knows that all is there.
        let variant = Variant {
            follows: variant.follows && scene.rotten.is_none(),
            ..variant
        };
        if variant.follows {
            caches.push(complete_cache(scene, &blobs, &start));
        }
        if variant.gone && !scene.undo {
            for name in scene.forgets {
                objects.remove(&larder::format::name::snapshot(&manifest_id(name)));
            }
        }
        let (rules, sin) = match broken {
            Some(Broken::Rule(rule)) => (Rules::without(rule), None),
            Some(Broken::Sin(sin)) => (Rules::default(), Some(sin)),
            None => (Rules::default(), None),
        };
        let mut actors: Vec<Actor> = roles(scene, writers, prunes, variant)
            .into_iter()
            .enumerate()
            .map(|(n, role)| Actor {
                role,
                number: n as u64 + 1,
                rules,
                cache: None,
                cache_kept: None,
            })
            .collect();
        for actor in &mut actors {
            if let Role::Writer { sin: its, .. } = &mut actor.role {
                *its = sin;
                actor.cache = caches.first().map(|dir| PathBuf::from(dir.path()));
            }
        }
        // What a snapshot holds is known of it alone.
        let same = scene.wants.chars().next() == scene.wants.chars().nth(1);
        if variant.follows_first && writers > 1 && same {
            let dir = follow_first(&mut actors, &blobs, &start);
            actors[1].cache = Some(PathBuf::from(dir.path()));
            caches.push(dir);
        }
        Self {
            blobs,
            judge,
            objects,
            actors,
            _caches: caches,
        }
    }

    fn search(&self, states_max: usize) -> Found {
        let search = Search {
            blobs: &self.blobs,
            judge: &self.judge,
            actors: &self.actors,
            states_max,
            memory: search::Memory::default(),
        };
        search.run(self.objects.clone())
    }
}

fn roles(scene: &Scene, writers: usize, prunes: usize, variant: Variant) -> Vec<Role> {
    let mut roles = Vec::new();
    for want in scene.wants.chars().take(writers) {
        let of_root =
            |(name, root): &(&'static str, char)| (*root == want).then(|| manifest_id(name));
        roles.push(Role::Writer {
            want,
            deltas: variant.deltas,
            alone: variant.alone,
            follows: scene
                .manifests
                .iter()
                .find_map(of_root)
                .filter(|_| variant.follows),
            tries: variant.tries,
            sin: None,
        });
    }
    for n in 0..prunes {
        roles.push(Role::Prune {
            repacks: n + variant.repacks >= prunes,
            finds_dead: variant.finds_dead,
        });
    }
    for name in scene.forgets.iter().take(variant.forgets) {
        let id = manifest_id(name);
        match scene.undo {
            true => roles.push(Role::Undo(id)),
            false if variant.gone => {}
            false => roles.push(Role::Delete(id)),
        }
    }
    roles
}

/// The second writer knows, as on the first one's machine, that all is there that the first one's
/// snapshot needs; that snapshot is deleted at some time. Returns the cache that says so.
fn follow_first(actors: &mut Vec<Actor>, blobs: &Blobs, start: &Start) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let objects: Objects = start.objects.iter().cloned().collect();
    let objects = Arc::new(Mutex::new(objects));
    let replay = Replay {
        answers: Vec::new(),
        live: usize::MAX,
    };
    let backend = Arc::new(StepBackend::replay(objects.clone(), replay));
    let before: BTreeSet<String> = objects.lock().unwrap().keys().cloned().collect();
    let kept = Actor {
        rules: Rules::default(),
        cache_kept: Some(dir.path().to_owned()),
        ..actors[0].clone()
    };
    assert_eq!(kept.run(blobs, backend), End::Committed);
    let objects = objects.lock().unwrap();
    let mut committed = objects.keys().filter(|name| !before.contains(*name));
    let first = committed
        .find_map(|name| larder::format::name::parse_snapshot(name))
        .unwrap();
    if let Role::Writer { follows, .. } = &mut actors[1].role {
        *follows = Some(first.clone());
    }
    let number = actors.len() as u64 + 1;
    actors.push(Actor {
        role: Role::Delete(first),
        number,
        ..actors[0].clone()
    });
    dir
}

/// A cache that remembers of the scene's manifests that all they need was there.
fn complete_cache(scene: &Scene, blobs: &Blobs, start: &Start) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, root) in scene.manifests {
        // As if they were committed on this machine.
        let objects: Objects = start
            .objects
            .iter()
            .filter(|(object, _)| *object != larder::format::name::snapshot(&manifest_id(name)))
            .cloned()
            .collect();
        let replay = Replay {
            answers: Vec::new(),
            live: usize::MAX,
        };
        let backend = StepBackend::replay(Arc::new(Mutex::new(objects)), replay);
        let usage = Usage {
            cache_dir: Some(dir.path().to_owned()),
            compression: 1,
            rules: Rules::default(),
        };
        let env = Arc::new(SeededEnv::new(99));
        let store = Store::open(Arc::new(backend), env, usage).unwrap();
        let mut writer = store.writer(0).unwrap();
        for letter in closure(*root).into_iter().chain(['S']) {
            let id = writer.put(kind(letter), &blobs.canonical[&letter]).unwrap();
            assert_eq!(id, blobs.id(letter));
        }
        assert_eq!(writer.flush().unwrap(), 0, "all of it was there");
        let manifest = blobs.manifest(&manifest_id(name), *root);
        writer.commit(&manifest).unwrap();
    }
    dir
}

fn report(name: &str, found: &Found) {
    println!(
        "{name}: {} states, {} steps{}",
        found.states,
        found.steps,
        if found.cut { ", cut off" } else { "" }
    );
}

fn assert_safe(name: &str, found: &Found) {
    if let Some((loss, steps)) = &found.loss {
        panic!("{name}: {loss}\n  {}", steps.join("\n  "));
    }
}

/// Who meets whom: writers, clean-ups, and whether somebody forgets or takes back beside them.
type Meeting = (usize, usize, bool);

/// All orders in which those of a meeting come, or as many as `states_max` allows, nearest to the start:
/// in all scenes, in two ways.
fn search_all(meeting: Meeting, states_max: usize) {
    let (writers, prunes, forgets) = meeting;
    let plain = Variant {
        deltas: true,
        gone: !forgets,
        forgets: usize::from(forgets),
        ..PLAIN
    };
    let ways = [
        Variant { tries: 2, ..plain },
        Variant {
            alone: true,
            repacks: 1,
            ..plain
        },
    ];
    let of_scene = |scene: &'static Scene, n: usize| {
        let way = Variant {
            // What is forgotten, and may be had back, is there.
            gone: ways[n].gone && !scene.undo,
            ..ways[n]
        };
        let found = Stage::new(scene, writers, prunes, way, None).search(states_max);
        let name = format!("{meeting:?}, {}, way {n}", scene.name);
        report(&name, &found);
        assert_safe(&name, &found);
        (
            found.states,
            found.steps,
            found.ends,
            usize::from(found.cut),
        )
    };
    // A search that takes hours can be done in several runs.
    let only = std::env::var("LARDER_TEST_SCENES").ok();
    let is_asked = |(scene, n): &(&'static Scene, usize)| {
        let name = format!("{}.{n}", scene.name);
        let mut asked = only.as_deref().into_iter().flat_map(|only| only.split(','));
        only.is_none() || asked.any(|asked| asked == name)
    };
    let all = SCENES.iter().flat_map(|scene| [(scene, 0), (scene, 1)]);
    let searches: Vec<_> = all.filter(is_asked).collect();
    // Two threads: a search is one after the other.
    let next = std::sync::atomic::AtomicUsize::new(0);
    let sums = std::thread::scope(|scope| {
        let run = || {
            let mut sums = Vec::new();
            while let Some((scene, n)) =
                searches.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
            {
                sums.push(of_scene(scene, *n));
            }
            sums
        };
        let (one, two) = (scope.spawn(run), scope.spawn(run));
        [one.join().unwrap(), two.join().unwrap()].concat()
    });
    let sum = |of: fn(&(usize, usize, usize, usize)) -> usize| sums.iter().map(of).sum::<usize>();
    println!(
        "{writers} writer, {prunes} clean-up{}, orders of {} scenes and ways: {} states, {} steps, {} ends, {} cut off: 0 losses",
        if forgets {
            ", one who forgets or takes back"
        } else {
            ""
        },
        searches.len(),
        sum(|s| s.0),
        sum(|s| s.1),
        sum(|s| s.2),
        sum(|s| s.3),
    );
}

/// All orders with `LARDER_TEST_SCALE=100`; else as many as there is time for, nearest to the start.
#[test]
fn one_writer_and_one_clean_up_in_any_order_lose_nothing() {
    search_all(
        (1, 1, false),
        match scale() {
            1 => 60,
            10 => 3000,
            _ => usize::MAX,
        },
    );
}

/// All orders of one clean-up and one who forgets; of a writer beside them, those nearest to the start.
#[test]
fn one_clean_up_and_one_who_forgets_in_any_order_lose_nothing() {
    let (both, all) = match scale() {
        1 => (30, 60),
        10 => (3000, 3000),
        _ => (usize::MAX, 20_000),
    };
    search_all((0, 1, true), both);
    search_all((1, 1, true), all);
}

#[test]
fn two_writers_two_clean_ups_and_one_who_forgets_in_random_orders_lose_nothing() {
    let schedules = match scale() {
        1 => 60,
        10 => 2000,
        _ => 100_000,
    };
    let from = seed();
    let played = random_schedules(from, schedules);
    println!(
        "seed {from}: {schedules} schedules, {} steps, {} crashes, {} commits: 0 losses",
        played.steps, played.crashes, played.commits
    );
    assert!(played.commits > 0 && played.crashes > 0);
}

fn random_schedules(from: u64, schedules: u64) -> random::Played {
    let mut sum = random::Played::default();
    let workers = 2;
    let results: Vec<random::Played> = std::thread::scope(|scope| {
        let worker = |worker: u64| {
            scope.spawn(move || {
                let mut sum = random::Played::default();
                let mut n = worker;
                while n < schedules {
                    // A stage is used a few times: making it costs as much as a schedule.
                    let mut random = Random(from.wrapping_add(n / 50 * 50));
                    let scene = &SCENES[random.below(SCENES.len() as u64) as usize];
                    let variant = Variant {
                        deltas: random.below(2) == 0,
                        alone: random.below(2) == 0,
                        follows: random.below(3) == 0,
                        repacks: random.below(3) as usize,
                        tries: 2,
                        forgets: 1 + random.below(2) as usize,
                        gone: random.below(3) == 0,
                        finds_dead: random.below(4) > 0,
                        follows_first: random.below(4) == 0,
                    };
                    let stage = Stage::new(scene, 2, 2, variant, None);
                    for _ in 0..50 {
                        if n >= schedules {
                            break;
                        }
                        let mut random = Random(from.wrapping_add(n).wrapping_mul(0x9E37_79B9));
                        let objects = stage.objects.clone();
                        let played = play(
                            &stage.blobs,
                            &stage.judge,
                            &stage.actors,
                            objects,
                            &mut random,
                        );
                        if let Some((loss, steps)) = &played.loss {
                            panic!(
                                "seed {from}, schedule {n}, {} {variant:?}: {loss}\n  {}",
                                scene.name,
                                steps.join("\n  ")
                            );
                        }
                        sum.steps += played.steps;
                        sum.crashes += played.crashes;
                        sum.commits += played.commits;
                        n += workers;
                    }
                }
                sum
            })
        };
        let handles: Vec<_> = (0..workers).map(worker).collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    for played in results {
        sum.steps += played.steps;
        sum.crashes += played.crashes;
        sum.commits += played.commits;
    }
    sum
}

/// The scene of a mutant, three ways.
fn stages(mutant: &Mutant, broken: Option<Broken>) -> [Stage; 3] {
    let scene = scene(mutant.scene);
    let variant = Variant {
        deltas: mutant.deltas,
        alone: mutant.alone,
        follows: mutant.follows,
        repacks: mutant.repacks,
        tries: 2,
        forgets: scene.forgets.len(),
        ..PLAIN
    };
    let gone = Variant {
        gone: !mutant.follows,
        follows_first: mutant.follows,
        ..variant
    };
    let alive = Variant {
        finds_dead: false,
        ..gone
    };
    [variant, gone, alive].map(|way| Stage::new(scene, mutant.writers, mutant.prunes, way, broken))
}

/// How a mutant was caught.
fn caught(mutant: &Mutant, schedules: u64) -> Option<String> {
    let mut stages = stages(mutant, Some(mutant.broken));
    if !mutant.script.is_empty() {
        let stage = &mut stages[mutant.way];
        if let Some(second) = mutant.chooses_otherwise {
            stage.actors[second].rules = stage.actors[second].rules.choosing_otherwise();
        }
        let objects = stage.objects.clone();
        let played = play_script(
            &stage.blobs,
            &stage.judge,
            &stage.actors,
            objects,
            mutant.script,
        );
        return match played.loss {
            Some((loss, steps)) => Some(format!("as scripted, {} steps: {loss}", steps.len())),
            None => {
                println!("{}:\n  {}", mutant.name, played.trace.join("\n  "));
                None
            }
        };
    }
    let from = seed();
    for n in 0..schedules {
        let stage = &stages[n as usize % stages.len()];
        let mut random = Random(from.wrapping_add(n).wrapping_mul(0x9E37_79B9));
        let objects = stage.objects.clone();
        let played = play(
            &stage.blobs,
            &stage.judge,
            &stage.actors,
            objects,
            &mut random,
        );
        if let Some((loss, steps)) = played.loss {
            return Some(format!("schedule {n}, {} steps: {loss}", steps.len()));
        }
    }
    None
}

#[test]
fn a_rule_that_is_broken_is_noticed() {
    let schedules = 1000 * scale() as u64;
    let only = std::env::var("LARDER_TEST_MUTANT").ok();
    let (mut caught_in, mut missed) = (0, BTreeSet::new());
    for mutant in &MUTANTS {
        if only.as_deref().is_some_and(|only| only != mutant.name) {
            continue;
        }
        match caught(mutant, schedules) {
            Some(how) => {
                println!("{}: {how}", mutant.name);
                caught_in += 1;
            }
            None => {
                missed.insert(mutant.name);
            }
        }
    }
    println!("{caught_in} of {} mutants caught", MUTANTS.len());
    assert!(missed.is_empty(), "{missed:?}");
}

/// The orders that show a broken rule lose nothing while it holds.
#[test]
fn the_scripts_of_the_mutants_lose_nothing_by_the_rules() {
    for mutant in MUTANTS.iter().filter(|mutant| !mutant.script.is_empty()) {
        let stages = stages(mutant, None);
        let stage = &stages[mutant.way];
        let objects = stage.objects.clone();
        let played = play_script(
            &stage.blobs,
            &stage.judge,
            &stage.actors,
            objects,
            mutant.script,
        );
        assert_eq!(played.loss, None, "{}", mutant.name);
        assert!(played.steps > 20, "{}", mutant.name);
    }
}

/// Without others in its way each does what it is there for: else what is proved of it is nothing.
#[test]
fn each_actor_alone_comes_to_its_end() {
    for scene in &SCENES {
        let all = Variant {
            repacks: 1,
            ..PLAIN
        };
        let stage = Stage::new(scene, 1, 1, all, None);
        let alone = |actor: &Actor, objects: Objects| {
            let objects = Arc::new(Mutex::new(objects));
            let replay = Replay {
                answers: Vec::new(),
                live: usize::MAX,
            };
            let backend = Arc::new(StepBackend::replay(objects.clone(), replay));
            let end = actor.run(&stage.blobs, backend);
            let objects = objects.lock().unwrap().clone();
            assert_eq!(
                stage.judge.loss(&objects),
                None,
                "{}: {}",
                scene.name,
                actor.name()
            );
            (end, objects)
        };
        let [writer, prune, forget] = &stage.actors[..] else {
            panic!("three actors");
        };
        let (end, written) = alone(writer, stage.objects.clone());
        assert_eq!(end, End::Committed, "{}", scene.name);
        assert_eq!(
            alone(forget, stage.objects.clone()).0 == End::Undone,
            scene.undo
        );
        let (end, pruned) = alone(prune, written);
        assert_eq!(end, End::Pruned, "{}", scene.name);
        let seals = pruned
            .keys()
            .filter(|name| name.ends_with(".final"))
            .count();
        // Copies that stand twice, or garbage beside what is needed: nothing in `undo`, where all is needed.
        println!("{}: {seals} seals", scene.name);
    }
}
