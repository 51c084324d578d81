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
    ready: Receiver<String>,
    /// What it waits to do; none: it has ended.
    next: Option<String>,
    go: Option<Sender<()>>,
    backend: Arc<StepBackend>,
    end: Arc<Mutex<Option<End>>>,
}

/// What a schedule came to.
#[derive(Default)]
pub struct Played {
    pub steps: usize,
    pub crashes: usize,
    pub commits: usize,
    pub loss: Option<(String, Vec<String>)>,
    /// The steps of a script.
    pub trace: Vec<String>,
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
        next: None,
        ready,
        go: Some(go),
        backend,
        end,
    }
}

/// Actors on their threads, and the store that they share.
struct Table<'a> {
    judge: &'a Judge,
    actors: &'a [Actor],
    objects: Arc<Mutex<Objects>>,
    running: Vec<Running>,
    trace: Vec<String>,
    played: Played,
}

impl Table<'_> {
    fn alive(&self, at: usize) -> bool {
        self.running[at].next.is_some()
    }

    /// Lets an actor take one step, and looks what it did.
    fn step(&mut self, at: usize) {
        let actor = &mut self.running[at];
        let went = actor.go.as_ref().is_some_and(|go| go.send(()).is_ok());
        actor.next = if went { actor.ready.recv().ok() } else { None };
        if !went {
            return;
        }
        let last = actor.backend.past_step();
        self.played.steps += 1;
        self.trace
            .push(format!("{}: {last}", self.actors[at].name()));
        let loss = self.judge.loss(&self.objects.lock().unwrap());
        if let Some(loss) = loss.or_else(|| self.had_back_and_gone()) {
            self.played.loss = Some((loss, std::mem::take(&mut self.trace)));
        }
    }

    fn crash(&mut self, at: usize) {
        self.running[at].go = None;
        self.running[at].next = None;
        self.played.crashes += 1;
        self.trace
            .push(format!("{}: is dead", self.actors[at].name()));
    }

    fn had_back_and_gone(&self) -> Option<String> {
        let objects = self.objects.lock().unwrap();
        let mut pairs = self.actors.iter().zip(&self.running);
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
}

/// Launches the actors, lets `direct` say who moves, and counts.
fn with_table(
    blobs: &Blobs,
    judge: &Judge,
    actors: &[Actor],
    objects: Objects,
    direct: impl FnOnce(&mut Table<'_>),
) -> Played {
    let objects = Arc::new(Mutex::new(objects));
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for actor in actors {
            running.push(launch(scope, blobs, actor, &objects));
        }
        for actor in &mut running {
            actor.next = actor.ready.recv().ok();
        }
        let mut table = Table {
            judge,
            actors,
            objects,
            running,
            trace: Vec::new(),
            played: Played::default(),
        };
        direct(&mut table);
        let ends = table.running.iter().map(|r| r.end.lock().unwrap().clone());
        table.played.commits = ends.filter(|end| *end == Some(End::Committed)).count();
        for actor in &mut table.running {
            actor.go = None;
        }
        table.played
    })
}

/// Plays one random schedule, and looks after every step.
pub fn play(
    blobs: &Blobs,
    judge: &Judge,
    actors: &[Actor],
    objects: Objects,
    random: &mut Random,
) -> Played {
    with_table(blobs, judge, actors, objects, |table| {
        loop {
            let open: Vec<usize> = (0..actors.len()).filter(|at| table.alive(*at)).collect();
            if open.is_empty() || table.played.loss.is_some() {
                return;
            }
            let at = open[random.below(open.len() as u64) as usize];
            if random.below(40) == 0 {
                table.crash(at);
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
                if !table.alive(at) || table.played.loss.is_some() {
                    break;
                }
                table.step(at);
            }
        }
    })
}

/// Plays a script: who moves, and before which step it stops (empty: it comes to its end).
pub fn play_script(
    blobs: &Blobs,
    judge: &Judge,
    actors: &[Actor],
    objects: Objects,
    script: &[(usize, &str)],
) -> Played {
    with_table(blobs, judge, actors, objects, |table| {
        for (at, before) in script {
            loop {
                if !table.alive(*at) || table.played.loss.is_some() {
                    break;
                }
                table.step(*at);
                let next = table.running[*at].next.as_deref();
                if !before.is_empty() && next.is_some_and(|next| next.starts_with(before)) {
                    break;
                }
            }
        }
        table.played.trace = std::mem::take(&mut table.trace);
    })
}
