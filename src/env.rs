//! SEAM: the clock, randomness and sleep. Nothing else in the crate asks the system for them.

use std::time::Duration;

/// What the world outside a run gives it. Tests replace it by a seeded one.
pub trait Env: Send + Sync {
    /// Wall clock: milliseconds since 1970 UTC. May jump; never decides safety.
    fn unix_ms(&self) -> i64;
    /// A clock that only goes forward, also while the machine sleeps. Its zero means nothing.
    fn monotonic(&self) -> Duration;
    /// Fills `out` with random bytes that nobody can predict.
    fn fill_random(&self, out: &mut [u8]);
    /// Waits.
    fn sleep(&self, time: Duration);
    /// The machine's name, for manifests.
    fn host(&self) -> String;
}

/// 16 random bytes.
pub fn random_16(env: &dyn Env) -> [u8; 16] {
    let mut out = [0; 16];
    env.fill_random(&mut out);
    out
}

/// The real world.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEnv;

impl Env for SystemEnv {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn unix_ms(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }

    fn monotonic(&self) -> Duration {
        // CLOCK_BOOTTIME: a laptop that slept for a month must notice it (rule A5).
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(
            now.tv_sec.unsigned_abs(),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }

    fn fill_random(&self, out: &mut [u8]) {
        let mut filled = 0;
        while filled < out.len() {
            match rustix::rand::getrandom(&mut out[filled..], rustix::rand::GetRandomFlags::empty())
            {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                // Linux has had getrandom since 3.17; without it no id could be unique.
                Err(error) => unreachable!("the system gives no random bytes: {error}"),
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn host(&self) -> String {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    }
}
