//! How long a source is waited for, and how the work on it is stopped.

use std::time::Duration;

use super::options::CaptureOptions;
use crate::sqlite::source::Watch;

/// Waits between two tries for a lock, in milliseconds; the last one for ever after.
const WAITS_MS: [u64; 8] = [1, 2, 5, 10, 15, 25, 50, 100];

/// How long to wait before the try of this number, counted from 0.
pub(super) fn wait_before(attempt: usize) -> Duration {
    let at = attempt.min(WAITS_MS.len() - 1);
    Duration::from_millis(WAITS_MS[at])
}

/// For a new connection: each lock is waited for as long as the options allow, by the clock of
/// [`crate::env`], and Ctrl-C ends both waits and statements.
pub(super) fn watch(options: &CaptureOptions) -> Watch {
    let (env, stop, busy) = (options.env.clone(), options.stop.clone(), options.busy);
    let mut until = Duration::ZERO;
    let wait = move |attempt: i32| {
        let now = env.monotonic();
        if attempt == 0 {
            until = now.saturating_add(busy);
        }
        if stop.is_set() || now >= until {
            return false;
        }
        let pause = wait_before(usize::try_from(attempt).unwrap_or(0));
        env.sleep(pause.min(until.saturating_sub(now)));
        true
    };
    let stop = options.stop.clone();
    Watch {
        wait: Box::new(wait),
        stop: Box::new(move || stop.is_set()),
    }
}

/// Tries again where SQLite does not wait by itself: for another's recovery, for its own locks.
#[derive(Debug)]
pub(super) struct Tries {
    until: Duration,
    tried: usize,
}

impl Tries {
    pub(super) fn begin(options: &CaptureOptions) -> Self {
        Self {
            until: options.env.monotonic().saturating_add(options.busy),
            tried: 0,
        }
    }

    /// Waits a little; false once the time is up.
    pub(super) fn again(&mut self, options: &CaptureOptions) -> bool {
        if options.stop.is_set() || options.env.monotonic() >= self.until {
            return false;
        }
        options.env.sleep(wait_before(self.tried));
        self.tried += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::env::{Env as _, SystemEnv};
    use crate::progress::StopSign;
    use crate::source::Reading;
    use crate::vfs::os::OsVfs;

    fn options(busy: Duration, stop: StopSign) -> CaptureOptions {
        CaptureOptions {
            busy,
            temp_dir: std::env::temp_dir(),
            vfs: Arc::new(OsVfs),
            env: Arc::new(SystemEnv),
            stop,
            reading: Reading::default(),
        }
    }

    /// What SQLite does not wait for itself is tried again until the time is up, and not once if
    /// there is none, or if it is told to stop.
    #[test]
    fn tries_end_with_the_time_or_with_the_stop_sign() {
        let never = StopSign::default();
        let short = options(Duration::from_millis(60), never.clone());
        let mut tries = Tries::begin(&short);
        let mut count = 0;
        while tries.again(&short) {
            count += 1;
        }
        assert!((2..=60).contains(&count), "{count}");
        let none = options(Duration::ZERO, never);
        assert!(!Tries::begin(&none).again(&none));
        let stopped = options(Duration::from_secs(60), StopSign::new(|| true));
        assert!(!Tries::begin(&stopped).again(&stopped));
    }

    #[test]
    fn each_lock_is_waited_for_as_long_as_allowed() {
        let flag = Arc::new(AtomicBool::new(false));
        let asked = flag.clone();
        let stop = StopSign::new(move || asked.load(Ordering::Relaxed));
        let Watch { mut wait, .. } = watch(&options(Duration::from_millis(40), stop));
        for _ in 0..2 {
            let begun = SystemEnv.monotonic();
            let mut attempt = 0;
            while wait(attempt) {
                attempt += 1;
            }
            let waited = SystemEnv.monotonic().saturating_sub(begun);
            assert!(
                attempt > 1 && waited >= Duration::from_millis(40),
                "{waited:?}"
            );
        }
        flag.store(true, Ordering::Relaxed);
        assert!(!wait(0));
    }
}
