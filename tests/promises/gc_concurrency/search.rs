//! All ways in which actors can come before one another. Two ways that leave the same store, and each
//! actor with the same past, are one. Whatever is visited may be the last that an actor ever did: so
//! every crash is, too.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use larder::model::id::SnapshotId;

use super::actors::{Actor, End, Role};
use super::judge::Judge;
use super::scene::Blobs;
use super::stepping::{Answer, Calls, Objects, Replay, StepBackend, digest};

/// How far an actor is.
#[derive(Clone)]
enum Progress {
    At(Arc<Vec<Answer>>, [u8; 32]),
    Ended(End),
}

#[derive(Clone)]
struct State {
    objects: Objects,
    actors: Vec<Progress>,
    /// The steps that led here, newest first.
    trace: Option<Arc<Trace>>,
}

struct Trace {
    before: Option<Arc<Trace>>,
    step: String,
}

/// A step that an actor took once.
pub struct Taken {
    calls: Calls,
    progress: Progress,
    /// For people.
    step: String,
}

/// Steps that were taken, by the actor and its past. An actor with the same past makes the same calls, as long as they
/// give the same: then it need not be run again.
pub type Memory = RefCell<HashMap<(usize, [u8; 32]), Vec<Taken>>>;

/// What was found.
pub struct Found {
    pub states: usize,
    pub steps: usize,
    /// States in which all actors have come to their end.
    pub ends: usize,
    /// What was lost, and by which steps.
    pub loss: Option<(String, Vec<String>)>,
    /// The search was cut off.
    pub cut: bool,
}

pub struct Search<'a> {
    pub blobs: &'a Blobs,
    pub judge: &'a Judge,
    pub actors: &'a [Actor],
    pub states_max: usize,
    pub memory: Memory,
}

fn key(state: &State) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in &state.objects {
        hasher.update(name.as_bytes()).update(b"\0");
        // Packs are named by what they hold.
        if !name.starts_with("packs/") {
            hasher.update(bytes);
        }
    }
    for actor in &state.actors {
        match actor {
            Progress::At(_, digest) => hasher.update(digest),
            Progress::Ended(end) => hasher.update(format!("{end:?}").as_bytes()),
        };
    }
    *hasher.finalize().as_bytes()
}

impl State {
    /// The state after a step of an actor that left these objects.
    fn after(&self, at: usize, taken: &Taken, objects: Objects) -> Self {
        let mut actors = self.actors.clone();
        actors[at] = taken.progress.clone();
        Self {
            objects,
            actors,
            trace: Some(Arc::new(Trace {
                before: self.trace.clone(),
                step: taken.step.clone(),
            })),
        }
    }
}

impl Search<'_> {
    pub fn run(&self, objects: Objects) -> Found {
        let nothing = Progress::At(Arc::default(), digest(&[]));
        let first = State {
            objects,
            actors: vec![nothing; self.actors.len()],
            trace: None,
        };
        let mut seen = HashSet::from([key(&first)]);
        let mut open = VecDeque::from([first]);
        let mut found = Found {
            states: 1,
            steps: 0,
            ends: 0,
            loss: None,
            cut: false,
        };
        while let Some(state) = open.pop_front() {
            let mut moved = false;
            for at in 0..self.actors.len() {
                let Some(next) = self.step(&state, at) else {
                    continue;
                };
                moved = true;
                found.steps += 1;
                if !seen.insert(key(&next)) {
                    continue;
                }
                if let Some(loss) = self.loss(&next) {
                    found.loss = Some((loss, steps(next.trace.as_ref())));
                    return found;
                }
                found.states += 1;
                if found.states >= self.states_max {
                    found.cut = true;
                    return found;
                }
                open.push_back(next);
            }
            found.ends += usize::from(!moved);
        }
        found
    }

    /// The state after one step of an actor; `None` if it has ended.
    fn step(&self, state: &State, at: usize) -> Option<State> {
        let Progress::At(answers, past) = &state.actors[at] else {
            return None;
        };
        let known = (at, *past);
        let mut memory = self.memory.borrow_mut();
        for taken in memory.get(&known).into_iter().flatten() {
            if let Some(objects) = taken.calls.same_again(&state.objects) {
                return Some(state.after(at, taken, objects));
            }
        }
        let objects = Arc::new(Mutex::new(state.objects.clone()));
        let replay = Replay {
            answers: answers.to_vec(),
            live: 1,
        };
        let backend = Arc::new(StepBackend::replay(objects.clone(), replay));
        let end = self.actors[at].run(self.blobs, backend.clone());
        let past = backend.past();
        let progress = match past.halted {
            true => {
                let digest = digest(&past.answers);
                Progress::At(Arc::new(past.answers), digest)
            }
            false => Progress::Ended(end),
        };
        let taken = Taken {
            calls: past.calls,
            progress,
            step: format!("{}: {}", self.actors[at].name(), past.last),
        };
        let objects = objects.lock().unwrap().clone();
        let next = state.after(at, &taken, objects);
        memory.entry(known).or_default().push(taken);
        Some(next)
    }

    fn loss(&self, state: &State) -> Option<String> {
        if let Some(loss) = self.judge.loss(&state.objects) {
            return Some(loss);
        }
        let is_there = |id: &SnapshotId| {
            state
                .objects
                .contains_key(&larder::format::name::snapshot(id))
        };
        for (actor, progress) in self.actors.iter().zip(&state.actors) {
            if let (Role::Undo(id), Progress::Ended(End::Undone)) = (&actor.role, progress)
                && !is_there(id)
            {
                return Some(format!("{id} was had back, and is gone"));
            }
        }
        None
    }
}

fn steps(mut trace: Option<&Arc<Trace>>) -> Vec<String> {
    let mut steps = Vec::new();
    while let Some(step) = trace {
        steps.push(step.step.clone());
        trace = step.before.as_ref();
    }
    steps.reverse();
    steps
}
