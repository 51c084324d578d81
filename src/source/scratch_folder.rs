//! Private folders in the system's folder for such, and those that killed processes have left there.
//!
//! A folder's name tells the process that made it, so that a later run can see whether that lives. What is
//! removed is ours: of this user, made by a process of this machine that is known to have ended.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::env::Env;
use crate::model::process::ProcessMark;

/// Names of such folders begin so.
const PREFIX: &str = "larder-";

/// Where the machine has no name.
const NO_MACHINE: &str = "none";

/// An empty folder that only we may enter, removed when it is dropped. Those that dead processes of this user
/// have left beside it are removed before, as far as that can be done.
pub fn scratch_folder(place: &Path, env: &dyn Env) -> io::Result<tempfile::TempDir> {
    remove_leftovers(place, env);
    make(place, env)
}

fn make(place: &Path, env: &dyn Env) -> io::Result<tempfile::TempDir> {
    let prefix = env.process().map_or_else(
        // Of what cannot be known again nothing is removed.
        || PREFIX.to_owned(),
        |process| format!("{PREFIX}{}-", name_of(&process)),
    );
    tempfile::Builder::new().prefix(&prefix).tempdir_in(place)
}

/// Removes the folders of dead processes. What cannot be looked at or removed stays.
#[expect(
    clippy::disallowed_methods,
    reason = "the system's folder for temporary files is not reached through the Vfs, nor are files in it"
)]
pub fn remove_leftovers(place: &Path, env: &dyn Env) {
    let Some(own) = env.process() else {
        return;
    };
    let Ok(listed) = std::fs::read_dir(place) else {
        return;
    };
    let dead = listed.filter_map(|entry| {
        let entry = entry.ok()?;
        let process = process_of(entry.file_name().to_str()?, &own)?;
        (env.is_running(&process) == Some(false)).then(|| entry.path())
    });
    let dead: Vec<_> = dead.collect();
    if dead.is_empty() {
        return;
    }
    // Whose files ours are, a file of ours tells.
    let Ok(ours) = make(place, env) else {
        return;
    };
    let Ok(user) = std::fs::symlink_metadata(ours.path()).map(|facts| facts.uid()) else {
        return;
    };
    for folder in dead {
        let facts = std::fs::symlink_metadata(&folder);
        if facts.is_ok_and(|facts| facts.is_dir() && facts.uid() == user) {
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

/// Letters and digits of a name of the system.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A process as part of a name: machine, run of the system, namespace, number, beginning.
fn name_of(process: &ProcessMark) -> String {
    let machine = match plain(&process.machine) {
        none if none.is_empty() => NO_MACHINE.to_owned(),
        machine => machine,
    };
    let (boot, space) = (plain(&process.boot), plain(&process.space));
    format!(
        "{machine}-{boot}-{space}-{}-{}",
        process.pid, process.started
    )
}

/// The process that a folder's name tells; `None` for a name of another kind. What of it is as in `own` is taken
/// from there, for names hold letters and digits only.
fn process_of(name: &str, own: &ProcessMark) -> Option<ProcessMark> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    let (machine, boot, space) = (next()?, next()?, next()?);
    let (pid, started) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let _random = next()?;
    let known = |part: &str, own: &str| match part == plain(own) {
        true => own.to_owned(),
        false => part.to_owned(),
    };
    let process = ProcessMark {
        machine: match machine {
            NO_MACHINE => String::new(),
            machine => known(machine, &own.machine),
        },
        boot: known(boot, &own.boot),
        space: known(space, &own.space),
        pid,
        started,
    };
    parts.next().is_none().then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_process_and_no_other() {
        let own = ProcessMark {
            machine: "0f".to_owned(),
            boot: "a-b-c".to_owned(),
            space: "pid:[42]".to_owned(),
            pid: 7,
            started: 99,
        };
        let name = format!("{PREFIX}{}-Xy12Zz", name_of(&own));
        assert_eq!(process_of(&name, &own), Some(own.clone()));
        let other = ProcessMark {
            boot: "abd".to_owned(),
            machine: String::new(),
            ..own.clone()
        };
        let of_other = format!("{PREFIX}{}-Xy12Zz", name_of(&other));
        assert_eq!(process_of(&of_other, &own), Some(other));
        for name in [
            "larder-Xy12Zz",
            "larder-import-Xy12Zz",
            "larder-0f-abc-pid42-7-99",
            "larder-0f-abc-pid42-x-99-Xy12Zz",
            "larder-0f-abc-pid42-7-99-Xy-12",
            "0f-abc-pid42-7-99-Xy12Zz",
        ] {
            assert_eq!(process_of(name, &own), None, "{name}");
        }
    }
}
