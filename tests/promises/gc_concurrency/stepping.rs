//! A store that is used one call at a time. An actor's calls that others can notice, or that notice
//! others, are its steps; reading what never changes goes with the step before. An actor is stopped
//! by failing all its further calls, and goes on by being run again from its beginning with the answers
//! that it had: it does the same, for all that it knows comes from the store and from a seeded world.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};

use larder::backend::{Backend, BackendError, BackendErrorKind, ObjectInfo};
use larder::format::name;

/// The objects of a store.
pub type Objects = BTreeMap<String, Arc<[u8]>>;

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done(Result<(), BackendErrorKind>),
    Bytes(Result<Arc<[u8]>, BackendErrorKind>),
    Names(Vec<ObjectInfo>),
}

impl Answer {
    /// Takes the answer into what tells two pasts of an actor apart.
    fn hash(&self, hasher: &mut blake3::Hasher) {
        match self {
            Self::Done(done) => hasher.update(format!("{done:?}").as_bytes()),
            Self::Bytes(Ok(bytes)) => hasher
                .update(b"bytes")
                .update(blake3::hash(bytes).as_bytes()),
            Self::Bytes(Err(kind)) => hasher.update(format!("{kind:?}").as_bytes()),
            Self::Names(names) => hasher.update(format!("{names:?}").as_bytes()),
        };
    }
}

/// One call.
#[derive(Debug, Clone)]
enum Call<'a> {
    PutNew(&'a str, &'a [u8]),
    Put(&'a str, &'a [u8]),
    Get(&'a str),
    Range(&'a str, u64, u64),
    List(&'a str),
    Delete(&'a str),
}

impl Call<'_> {
    /// True if its order with other actors' calls matters.
    fn is_step(&self) -> bool {
        if self.is_beside() {
            return false;
        }
        match self {
            Self::PutNew(..) | Self::Put(..) | Self::Delete(_) => true,
            Self::List(prefix) => !prefix.is_empty(),
            // Packs never change; whether one is there was told by a listing.
            Self::Range(..) => false,
            Self::Get(object) => *object != name::CONFIG && !object.starts_with(name::PACKS),
        }
    }

    /// What it does, for people and scripts.
    fn words(&self) -> String {
        let (op, name) = match self {
            Call::PutNew(name, _) => ("creates", name),
            Call::Put(name, _) => ("replaces", name),
            Call::Get(name) | Call::Range(name, ..) => ("reads", name),
            Call::List(name) => ("lists", name),
            Call::Delete(name) => ("deletes", name),
        };
        format!("{op} {name}")
    }

    /// About what stands beside other objects, of which these scenes have none.
    fn is_beside(&self) -> bool {
        let (Self::PutNew(object, _)
        | Self::Put(object, _)
        | Self::Get(object)
        | Self::Range(object, ..)
        | Self::List(object)
        | Self::Delete(object)) = self;
        [name::PARITY, name::SECOND, name::REDUNDANCY]
            .iter()
            .any(|beside| object.starts_with(beside))
    }

    /// What it gives, if it changes nothing.
    fn reads(&self, objects: &Objects) -> Option<Answer> {
        use BackendErrorKind::{NotFound, Other};
        Some(match *self {
            Self::PutNew(..) | Self::Put(..) | Self::Delete(_) => return None,
            Self::Get(name) => Answer::Bytes(objects.get(name).cloned().ok_or(NotFound)),
            Self::Range(name, offset, count) => Answer::Bytes(match objects.get(name) {
                None => Err(NotFound),
                Some(bytes) => {
                    let range = offset as usize..(offset + count) as usize;
                    bytes.get(range).map(Into::into).ok_or(Other)
                }
            }),
            Self::List(prefix) => {
                let listed = objects.iter().filter(|(name, _)| name.starts_with(prefix));
                Answer::Names(
                    listed
                        .map(|(name, bytes)| ObjectInfo {
                            name: name.clone(),
                            bytes: bytes.len() as u64,
                        })
                        .collect(),
                )
            }
        })
    }

    fn run(&self, objects: &mut Objects) -> Answer {
        use BackendErrorKind::{Exists, NotFound};
        match *self {
            Self::PutNew(name, bytes) => Answer::Done(match objects.get(name) {
                Some(there) if **there == *bytes => Ok(()),
                Some(_) => Err(Exists),
                None => {
                    objects.insert(name.to_owned(), bytes.into());
                    Ok(())
                }
            }),
            Self::Put(name, bytes) => {
                objects.insert(name.to_owned(), bytes.into());
                Answer::Done(Ok(()))
            }
            Self::Delete(name) => Answer::Done(objects.remove(name).map(|_| ()).ok_or(NotFound)),
            // They give something whatever is there.
            Self::Get(_) | Self::Range(..) | Self::List(_) => {
                self.reads(objects).unwrap_or(Answer::Done(Ok(())))
            }
        }
    }
}

/// A call that was made, to be made again.
#[derive(Debug, Clone)]
enum Made {
    PutNew(String, Arc<[u8]>),
    Put(String, Arc<[u8]>),
    Get(String),
    Range(String, u64, u64),
    List(String),
    Delete(String),
}

impl Made {
    fn of(call: &Call<'_>) -> Self {
        match *call {
            Call::PutNew(name, bytes) => Self::PutNew(name.to_owned(), bytes.into()),
            Call::Put(name, bytes) => Self::Put(name.to_owned(), bytes.into()),
            Call::Get(name) => Self::Get(name.to_owned()),
            Call::Range(name, offset, count) => Self::Range(name.to_owned(), offset, count),
            Call::List(prefix) => Self::List(prefix.to_owned()),
            Call::Delete(name) => Self::Delete(name.to_owned()),
        }
    }

    fn call(&self) -> Call<'_> {
        match self {
            Self::PutNew(name, bytes) => Call::PutNew(name, bytes),
            Self::Put(name, bytes) => Call::Put(name, bytes),
            Self::Get(name) => Call::Get(name),
            Self::Range(name, offset, count) => Call::Range(name, *offset, *count),
            Self::List(prefix) => Call::List(prefix),
            Self::Delete(name) => Call::Delete(name),
        }
    }
}

/// The calls of one step, with what they gave.
#[derive(Debug, Clone, Default)]
pub struct Calls(Vec<(Made, Answer)>);

impl Calls {
    /// Makes the calls again, of other objects. If they give the same, whoever made them would do the same again: then
    /// this is what it leaves.
    pub fn same_again(&self, objects: &Objects) -> Option<Objects> {
        let mut changed = None;
        for (made, answer) in &self.0 {
            let call = made.call();
            let given = match call.reads(changed.as_ref().unwrap_or(objects)) {
                Some(given) => given,
                None => call.run(changed.get_or_insert_with(|| objects.clone())),
            };
            if given != *answer {
                return None;
            }
        }
        Some(changed.unwrap_or_else(|| objects.clone()))
    }
}

/// How an actor is driven by its past: `answers` are given again, then `live` further steps are taken.
#[derive(Default)]
pub struct Replay {
    pub answers: Vec<Answer>,
    pub live: usize,
}

/// Where an actor says that it would take a step, and waits to be let; without an answer it is dead.
pub struct Gate {
    pub ready: Sender<String>,
    pub go: Receiver<()>,
}

/// What one actor did.
pub struct Past {
    pub answers: Vec<Answer>,
    /// The calls that were not answered from the past.
    pub calls: Calls,
    /// Its further calls fail: it has taken its last step.
    pub halted: bool,
    /// Its last step, for people.
    pub last: String,
}

struct Inner {
    replay: Replay,
    at: usize,
    past: Past,
}

/// The store as one actor sees it.
pub struct StepBackend {
    objects: Arc<Mutex<Objects>>,
    /// Held while the actor waits; nobody else asks for it.
    gate: Mutex<Option<Gate>>,
    inner: Mutex<Inner>,
}

impl fmt::Debug for StepBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepBackend").finish_non_exhaustive()
    }
}

impl StepBackend {
    /// Driven by a past.
    pub fn replay(objects: Arc<Mutex<Objects>>, replay: Replay) -> Self {
        Self::new(objects, replay, None)
    }

    /// Driven step by step.
    pub fn gated(objects: Arc<Mutex<Objects>>, gate: Gate) -> Self {
        let replay = Replay {
            answers: Vec::new(),
            live: usize::MAX,
        };
        Self::new(objects, replay, Some(gate))
    }

    fn new(objects: Arc<Mutex<Objects>>, replay: Replay, gate: Option<Gate>) -> Self {
        Self {
            objects,
            gate: Mutex::new(gate),
            inner: Mutex::new(Inner {
                replay,
                at: 0,
                past: Past {
                    answers: Vec::new(),
                    calls: Calls::default(),
                    halted: false,
                    last: String::new(),
                },
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn past(&self) -> Past {
        let inner = self.inner();
        Past {
            answers: inner.past.answers.clone(),
            calls: inner.past.calls.clone(),
            halted: inner.past.halted,
            last: inner.past.last.clone(),
        }
    }

    /// What it did last, for people.
    pub fn past_step(&self) -> String {
        self.inner().past.last.clone()
    }

    /// It will take no further step.
    pub fn retire(&self) {
        *self.gate.lock().unwrap() = None;
    }

    /// `None`: the actor is stopped.
    fn call(&self, call: &Call<'_>) -> Option<Answer> {
        if call.is_step() && !self.may_go(call) {
            self.inner().past.halted = true;
        }
        let mut inner = self.inner();
        let Inner { replay, at, past } = &mut *inner;
        if past.halted {
            return None;
        }
        if let Some(answer) = replay.answers.get(*at) {
            *at += 1;
            past.answers.push(answer.clone());
            return Some(answer.clone());
        }
        if call.is_step() {
            if replay.live == 0 {
                past.halted = true;
                return None;
            }
            replay.live -= 1;
        }
        let answer = call.run(&mut self.objects.lock().unwrap());
        if call.is_step() {
            past.last = describe(call, &answer);
        }
        // Whoever is let go step by step is never run again.
        if replay.live < usize::MAX / 2 {
            past.answers.push(answer.clone());
            past.calls.0.push((Made::of(call), answer.clone()));
        }
        Some(answer)
    }

    /// Waits to be let, where there is a gate.
    fn may_go(&self, call: &Call<'_>) -> bool {
        let gate = self.gate.lock().unwrap();
        let Some(gate) = &*gate else {
            return true;
        };
        gate.ready.send(call.words()).is_ok() && gate.go.recv().is_ok()
    }

    fn done(&self, op: &'static str, name: &str, call: &Call<'_>) -> Result<(), BackendError> {
        match self.call(call) {
            Some(Answer::Done(Ok(()))) => Ok(()),
            Some(Answer::Done(Err(kind))) => Err(error(kind, op, name)),
            _ => Err(halted(op, name)),
        }
    }

    fn bytes(&self, name: &str, call: &Call<'_>) -> Result<Vec<u8>, BackendError> {
        match self.call(call) {
            Some(Answer::Bytes(Ok(bytes))) => Ok(bytes.to_vec()),
            Some(Answer::Bytes(Err(kind))) => Err(error(kind, "read", name)),
            _ => Err(halted("read", name)),
        }
    }
}

/// What two pasts of one actor must have in common to be the same.
pub fn digest(answers: &[Answer]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for answer in answers {
        // A listing of everything is for the report only.
        answer.hash(&mut hasher);
    }
    *hasher.finalize().as_bytes()
}

fn describe(call: &Call<'_>, answer: &Answer) -> String {
    let short = |name: &str| name.chars().take(44).collect::<String>();
    let said = match answer {
        Answer::Done(Ok(())) => String::new(),
        Answer::Done(Err(kind)) | Answer::Bytes(Err(kind)) => format!(": {kind:?}"),
        Answer::Bytes(Ok(bytes)) => format!(": {} bytes", bytes.len()),
        Answer::Names(names) => format!(": {} names", names.len()),
    };
    format!("{}{said}", short(&call.words()))
}

fn error(kind: BackendErrorKind, op: &'static str, name: &str) -> BackendError {
    BackendError::new(kind, op, name, format!("{kind:?}"))
}

fn halted(op: &'static str, name: &str) -> BackendError {
    BackendError::new(BackendErrorKind::Other, op, name, "the actor is stopped")
}

impl Backend for StepBackend {
    fn location(&self) -> String {
        "stepped".to_owned()
    }

    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.done("write", name, &Call::PutNew(name, bytes))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.done("write", name, &Call::Put(name, bytes))
    }

    fn barrier(&self) -> Result<(), BackendError> {
        match self.inner().past.halted {
            true => Err(halted("sync", "")),
            false => Ok(()),
        }
    }

    fn get(&self, name: &str, _bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        self.bytes(name, &Call::Get(name))
    }

    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        self.bytes(name, &Call::Range(name, offset, bytes))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        match self.call(&Call::List(prefix)) {
            Some(Answer::Names(names)) => Ok(names),
            _ => Err(halted("list", prefix)),
        }
    }

    fn delete(&self, name: &str) -> Result<(), BackendError> {
        self.done("delete", name, &Call::Delete(name))
    }

    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }
}
