//! A world that replays: bytes from a seed, clocks that move when told to, sleep without waiting.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::env::Env;
use crate::model::process::ProcessMark;

/// A simulated [`Env`]. Equal seeds and equal calls give equal answers.
#[derive(Debug)]
pub struct SeededEnv {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seed: u64,
    /// How often bytes were asked for; each time gives others.
    draws: u64,
    unix_ms: i64,
    monotonic: Duration,
    slept: Duration,
    /// The number of the process that asks, and of those that have ended.
    pid: u32,
    ended: BTreeSet<u32>,
}

impl SeededEnv {
    /// Where the wall clock of every new world stands: 2026-11-23 20:15:30 UTC.
    pub const START_UNIX_MS: i64 = 1_795_464_930_000;

    /// A world with this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                seed,
                draws: 0,
                unix_ms: Self::START_UNIX_MS,
                monotonic: Duration::ZERO,
                slept: Duration::ZERO,
                pid: 1,
                ended: BTreeSet::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the wall clock, backwards too; the monotonic clock does not notice.
    pub fn set_unix_ms(&self, unix_ms: i64) {
        self.state().unix_ms = unix_ms;
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        state.monotonic += time;
        let passed_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        state.unix_ms = state.unix_ms.saturating_add(passed_ms);
    }

    /// From now on another process asks; all those before it have ended.
    pub fn begin_process(&self) {
        let mut state = self.state();
        let pid = state.pid;
        state.ended.insert(pid);
        state.pid += 1;
    }

    /// For how long all sleeps together were meant to last.
    pub fn slept(&self) -> Duration {
        self.state().slept
    }
}

impl Env for SeededEnv {
    fn unix_ms(&self) -> i64 {
        self.state().unix_ms
    }

    fn monotonic(&self) -> Duration {
        self.state().monotonic
    }

    fn fill_random(&self, out: &mut [u8]) {
        let mut state = self.state();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&state.seed.to_le_bytes());
        hasher.update(&state.draws.to_le_bytes());
        hasher.finalize_xof().fill(out);
        state.draws += 1;
    }

    fn sleep(&self, time: Duration) {
        self.advance(time);
        self.state().slept += time;
    }

    fn host(&self) -> String {
        "seeded-host".to_owned()
    }

    fn process(&self) -> Option<ProcessMark> {
        Some(ProcessMark {
            machine: "seeded-machine".to_owned(),
            boot: "seeded-boot".to_owned(),
            space: String::new(),
            pid: self.state().pid,
            started: 0,
        })
    }

    fn is_running(&self, process: &ProcessMark) -> Option<bool> {
        let state = self.state();
        let here = process.machine == "seeded-machine";
        here.then(|| !state.ended.contains(&process.pid))
    }
}
