//! Every state that a power cut may leave, at every file operation of everything that writes to a
//! store: what was reported is there, what can be seen is whole, and the next backup and the next prune
//! make it as if nothing had happened. States: `testkit::crash_states`.

mod examine;
mod harm;
mod scene;
mod works;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use larder::testkit::crash_states::{Broken, Replay};

use examine::{Counts, Examiner};
use scene::Scene;

use crate::sandbox::{ROOT, scale, seed};

/// At one point in so many, of those where only `tmp/` changed, its states are made.
const ASIDE_EACH: u64 = 16;

/// Records all the work from a seed, and examines the states.
fn record(seed: u64) -> Scene {
    let mut scene = Scene::new(seed);
    works::all(&mut scene);
    scene
}

/// Which points of a record are examined.
#[derive(Clone, Copy)]
enum Points {
    /// One in so many.
    Share(u64),
    /// Those at which something was reported.
    Said,
}

fn examine(scene: &Scene, replay: Replay, seed: u64, points: Points) -> Counts {
    let mut replay = replay.leaving_aside(&Path::new(ROOT).join("tmp"));
    let mut examiner = Examiner::new(scene);
    let mut of_note = seed;
    while replay.step() {
        let position = replay.position();
        let begun = scene.works.iter().rev().find(|(at, _)| *at < position);
        let Some((_, work)) = begun else {
            continue;
        };
        let said = scene.said.contains(&position);
        let is_of_note = replay.is_of_note() || said;
        of_note += u64::from(is_of_note);
        let states = match points {
            Points::Said if said => replay.states(seed),
            Points::Share(share) if is_of_note && of_note.is_multiple_of(share) => {
                replay.states(seed)
            }
            Points::Share(share)
                if !is_of_note && (position as u64 + seed).is_multiple_of(ASIDE_EACH * share) =>
            {
                replay.states_aside(seed)
            }
            _ => continue,
        };
        examiner.counts.points += 1;
        for state in states {
            examiner.state(position, work, &state);
        }
    }
    examiner.counts
}

#[test]
fn every_state_that_a_power_cut_may_leave_keeps_every_word() {
    let begun = Instant::now();
    // A sample of the points of one record, or records until there are enough states.
    let (share, wanted) = match scale() {
        1 => (48, 1),
        scale => (1, 1000 * scale as u64),
    };
    let next = Mutex::new((seed(), Counts::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = {
                        let mut next = next.lock().unwrap();
                        if next.1.contents >= wanted || (share > 1 && next.0 >= seed() + 2) {
                            return;
                        }
                        next.0 += 1;
                        next.0 - 1
                    };
                    let scene = record(seed);
                    let counts = examine(&scene, scene.disk.replay(), seed, Points::Share(share));
                    println!("seed {seed}: {counts:?}");
                    next.lock().unwrap().1.add(&counts);
                }
            });
        }
    });
    let (last, counts) = next.into_inner().unwrap();
    println!(
        "seeds {} to {}, {} s: {counts:?}",
        seed(),
        last - 1,
        begun.elapsed().as_secs()
    );
    assert!(counts.contents >= wanted.max(300), "{counts:?}");
}

/// The tests of the tests: on a disk that does not do one kind of sync, some word is broken.
#[test]
fn a_sync_that_is_missing_is_found_out() {
    let scene = record(seed());
    let broken = [
        Broken::Bytes,
        Broken::Names("/packs"),
        Broken::Names("/snapshots"),
        Broken::Names("/forgotten"),
    ];
    for broken in broken {
        let found = std::panic::catch_unwind(AssertUnwindSafe(|| {
            examine(&scene, scene.disk.replay_on(broken), seed(), Points::Said)
        }));
        let Err(told) = found else {
            panic!("{broken:?} goes unnoticed");
        };
        let told = told.downcast_ref::<String>().cloned().unwrap_or_default();
        println!("{broken:?}: {}", told.lines().next().unwrap_or_default());
    }
}
