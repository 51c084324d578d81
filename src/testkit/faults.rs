//! Which operation of a simulated world fails, and how; counts and remembers all of them.
//!
//! Operations are numbered from 1 in the order in which they begin, so a test can run once to
//! count them and then let each one fail in turn.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One planned failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault<K> {
    /// The number of the operation that fails, from 1.
    pub nth: usize,
    /// The kind of error it gives.
    pub kind: K,
    /// Whether all operations after it fail too.
    pub for_ever: bool,
    /// Whether it takes effect all the same: a reply that was lost.
    pub after_effect: bool,
}

impl<K> Fault<K> {
    /// Operation `nth` fails without an effect; the ones after it work.
    pub fn once(nth: usize, kind: K) -> Self {
        Self {
            nth,
            kind,
            for_ever: false,
            after_effect: false,
        }
    }

    /// Operation `nth` and all after it fail without an effect.
    pub fn for_ever(nth: usize, kind: K) -> Self {
        Self {
            for_ever: true,
            ..Self::once(nth, kind)
        }
    }

    /// Operation `nth` takes effect and reports a failure.
    pub fn lost_reply(nth: usize, kind: K) -> Self {
        Self {
            after_effect: true,
            ..Self::once(nth, kind)
        }
    }
}

/// An operation that was asked for, failed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The verb.
    pub op: &'static str,
    /// The path or the object.
    pub name: String,
}

/// What is to happen to one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<K> {
    /// It is done as usual.
    Go,
    /// It fails with this kind and has no effect.
    Fail(K),
    /// It is done, then fails with this kind.
    DoAndFail(K),
}

/// The plan of failures and the log of operations.
#[derive(Debug)]
pub struct Faults<K> {
    plan: Mutex<Plan<K>>,
}

#[derive(Debug)]
struct Plan<K> {
    faults: Vec<Fault<K>>,
    log: Vec<Operation>,
}

impl<K> Default for Faults<K> {
    fn default() -> Self {
        Self {
            plan: Mutex::new(Plan {
                faults: Vec::new(),
                log: Vec::new(),
            }),
        }
    }
}

impl<K: Copy> Faults<K> {
    fn plan(&self) -> MutexGuard<'_, Plan<K>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a failure to the plan. Numbers count from the last [`Faults::reset`].
    pub fn fail(&self, fault: Fault<K>) {
        self.plan().faults.push(fault);
    }

    /// Forgets the plan and the log; the next operation is number 1.
    pub fn reset(&self) {
        let mut plan = self.plan();
        plan.faults.clear();
        plan.log.clear();
    }

    /// How many operations there were since the last reset.
    pub fn count(&self) -> usize {
        self.plan().log.len()
    }

    /// The operations since the last reset, in the order in which they began.
    pub fn log(&self) -> Vec<Operation> {
        self.plan().log.clone()
    }

    /// Counts and logs an operation, and says what is to happen to it.
    pub fn begin(&self, op: &'static str, name: impl Into<String>) -> Verdict<K> {
        let mut plan = self.plan();
        let name = name.into();
        plan.log.push(Operation { op, name });
        let number = plan.log.len();
        let hit = |fault: &&Fault<K>| fault.nth == number || (fault.for_ever && fault.nth < number);
        match plan.faults.iter().find(hit) {
            None => Verdict::Go,
            Some(fault) if fault.after_effect => Verdict::DoAndFail(fault.kind),
            Some(fault) => Verdict::Fail(fault.kind),
        }
    }

    /// Runs one operation by the plan.
    pub fn run<T, E>(
        &self,
        op: &'static str,
        name: impl Into<String>,
        work: impl FnOnce() -> Result<T, E>,
        failure: impl FnOnce(K) -> E,
    ) -> Result<T, E> {
        match self.begin(op, name) {
            Verdict::Go => work(),
            Verdict::Fail(kind) => Err(failure(kind)),
            Verdict::DoAndFail(kind) => {
                work()?;
                Err(failure(kind))
            }
        }
    }
}
