//! Random schedules: each actor runs for a while, then sleeps while others run; some never wake.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use super::actors::{Actor, End, Role};
use super::judge::Judge;
use super::scene::Blobs;
use super::stepping::{Gate, Objects, StepBackend};
use crate::tree_rows::Random;

/// An actor on its own thread that waits to be told to take a step.
struct Running {
    ready: Receiver<()>,
    go: Option<Sender<()>>,
    backend: Arc<StepBackend>,
    end: Arc<Mutex<Option<End>>>,
}

/// What a schedule came to.
pub struct Played {
    pub steps: usize,
    pub crashes: usize,
    pub commits: usize,
    pub loss: Option<(String, Vec<String>)>,
}

fn launch<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    blobs: &'s Blobs,
    actor: &'s Actor,
    objects: &Arc<Mutex<Objects>>,
) -> Running {
    let (ready_in, ready) = mpsc::channel();
    let (go, go_out) = mpsc::channel();
    let gate = Gate {
        ready: ready_in,
        go: go_out,
    };
    let backend = Arc::new(StepBackend::gated(objects.clone(), gate));
    let end = Arc::new(Mutex::new(None));
    let (its_backend, its_end) = (backend.clone(), end.clone());
    scope.spawn(move || {
        let ended = actor.run(blobs, its_backend.clone());
        if !its_backend.past().halted {
            *its_end.lock().unwrap() = Some(ended);
        }
        // Nobody waits for it any more.
        its_backend.retire();
    });
    Running {
        ready,
        go: Some(go),
        backend,
        end,
    }
}

/// Plays one schedule, and looks after every step.
pub fn play(
    blobs: &Blobs,
    judge: &Judge,
    actors: &[Actor],
    objects: Objects,
    random: &mut Random,
) -> Played {
    let objects = Arc::new(Mutex::new(objects));
    let mut played = Played {
        steps: 0,
        crashes: 0,
        commits: 0,
        loss: None,
    };
    let mut trace = Vec::new();
    std::thread::scope(|scope| {
        let mut running: Vec<Running> = Vec::new();
        for actor in actors {
            running.push(launch(scope, blobs, actor, &objects));
        }
        // Each waits for its first step, or has ended.
        let mut alive: Vec<bool> = running.iter().map(|r| r.ready.recv().is_ok()).collect();
        while alive.iter().any(|alive| *alive) && played.loss.is_none() {
            let open: Vec<usize> = (0..alive.len()).filter(|at| alive[*at]).collect();
            let at = open[random.below(open.len() as u64) as usize];
            if random.below(40) == 0 {
                running[at].go = None;
                alive[at] = false;
                played.crashes += 1;
                trace.push(format!("{}: is dead", actors[at].name()));
                continue;
            }
            // Mostly short runs, sometimes to the end.
            let run = match random.below(4) {
                0 => 1,
                1 => 1 + random.below(6),
                2 => 1 + random.below(40),
                _ => 500,
            };
            for _ in 0..run {
                let actor = &running[at];
                if actor.go.as_ref().is_none_or(|go| go.send(()).is_err()) {
                    alive[at] = false;
                    break;
                }
                alive[at] = actor.ready.recv().is_ok();
                played.steps += 1;
                trace.push(format!(
                    "{}: {}",
                    actors[at].name(),
                    actor.backend.past_step()
                ));
                let loss = judge.loss(&objects.lock().unwrap());
                let loss = loss.or_else(|| had_back_and_gone(actors, &running, &objects));
                if let Some(loss) = loss {
                    played.loss = Some((loss, std::mem::take(&mut trace)));
                    break;
                }
                if !alive[at] {
                    break;
                }
            }
        }
        played.commits = running
            .iter()
            .filter(|r| *r.end.lock().unwrap() == Some(End::Committed))
            .count();
        for actor in &mut running {
            actor.go = None;
        }
    });
    played
}

fn had_back_and_gone(
    actors: &[Actor],
    running: &[Running],
    objects: &Mutex<Objects>,
) -> Option<String> {
    let objects = objects.lock().unwrap();
    let mut pairs = actors.iter().zip(running);
    pairs.find_map(|(actor, running)| {
        let Role::Undo(id) = &actor.role else {
            return None;
        };
        let manifest = larder::format::name::snapshot(id);
        let had_back = *running.end.lock().unwrap() == Some(End::Undone);
        (had_back && !objects.contains_key(&manifest))
            .then(|| format!("{id} was had back, and is gone"))
    })
}
