//! SEAM: the clock, randomness and sleep. Nothing else in the crate asks the system for them.

use std::time::Duration;

use crate::model::process::ProcessMark;

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
    /// This process; `None` where the system does not say.
    fn process(&self) -> Option<ProcessMark>;
    /// Whether a process still runs; `None` for one of another machine, or of a container that cannot
    /// be looked into.
    fn is_running(&self, process: &ProcessMark) -> Option<bool>;
}

/// 16 random bytes.
pub fn random_16(env: &dyn Env) -> [u8; 16] {
    let mut out = [0; 16];
    env.fill_random(&mut out);
    out
}

/// 32 random bytes.
pub fn random_32(env: &dyn Env) -> [u8; 32] {
    let mut out = [0; 32];
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

    fn process(&self) -> Option<ProcessMark> {
        let place = Place::here()?;
        let pid = std::process::id();
        Some(ProcessMark {
            machine: place.machine,
            boot: place.boot,
            space: place.space,
            pid,
            started: start_of(pid)?,
        })
    }

    fn is_running(&self, process: &ProcessMark) -> Option<bool> {
        let place = Place::here()?;
        if place.boot != process.boot {
            // A machine that started anew has none of its old processes.
            let same = !place.machine.is_empty() && place.machine == process.machine;
            return same.then_some(false);
        }
        (place.space == process.space).then(|| start_of(process.pid) == Some(process.started))
    }
}

/// Where processes have their numbers: fields of [`ProcessMark`].
struct Place {
    machine: String,
    boot: String,
    space: String,
}

impl Place {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn here() -> Option<Self> {
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
        Some(Self {
            machine: machine.trim().to_owned(),
            boot: boot.trim().to_owned(),
            space: space.to_string_lossy().into_owned(),
        })
    }
}

/// When a process began, in ticks; `None` if there is none of this number, or it has ended and waits
/// for its parent. proc(5): field 22 of `stat`, the state is field 3.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program is in parentheses, and may hold any character.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_runs_until_it_has_ended() {
        let env = SystemEnv;
        let own = env.process().unwrap();
        assert_eq!(env.is_running(&own), Some(true));
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let other = ProcessMark {
            pid: child.id(),
            started: start_of(child.id()).unwrap(),
            ..own.clone()
        };
        assert_eq!(env.is_running(&other), Some(true));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(env.is_running(&other), Some(false));
        let elsewhere = ProcessMark {
            machine: "another".to_owned(),
            boot: "another".to_owned(),
            ..own
        };
        assert_eq!(env.is_running(&elsewhere), None);
    }
}
