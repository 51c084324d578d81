//! A run that is killed leaves its private folder behind; the next one of this user on this machine removes it,
//! and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use larder::env::{Env, SystemEnv};
use larder::model::process::ProcessMark;
use larder::ops::backup;
use larder::progress::NoProgress;
use larder::source::{remove_leftovers, scratch_folder};

use crate::workshop::{Workshop, sql};

/// The world of a process that is another one.
struct Of(ProcessMark);

impl Env for Of {
    fn unix_ms(&self) -> i64 {
        SystemEnv.unix_ms()
    }
    fn monotonic(&self) -> std::time::Duration {
        SystemEnv.monotonic()
    }
    fn fill_random(&self, out: &mut [u8]) {
        SystemEnv.fill_random(out);
    }
    fn sleep(&self, time: std::time::Duration) {
        SystemEnv.sleep(time);
    }
    fn host(&self) -> String {
        SystemEnv.host()
    }
    fn process(&self) -> Option<ProcessMark> {
        Some(self.0.clone())
    }
    fn is_running(&self, process: &ProcessMark) -> Option<bool> {
        SystemEnv.is_running(process)
    }
}

/// Leaves a folder with a file in it, as that process would when it is killed.
fn leave(place: &Path, process: ProcessMark) -> PathBuf {
    // Made elsewhere: who makes one looks around.
    let elsewhere = tempfile::tempdir().unwrap();
    let made = scratch_folder(elsewhere.path(), &Of(process)).unwrap();
    let folder = place.join(made.path().file_name().unwrap());
    std::fs::rename(made.keep(), &folder).unwrap();
    std::fs::write(folder.join("copy.db"), b"a copy of a database").unwrap();
    folder
}

/// A process that does not outlive its test.
struct Sleeper(Child);

impl Sleeper {
    fn end(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.end();
    }
}

fn sleeper() -> (Sleeper, ProcessMark) {
    let mut command = std::process::Command::new("sleep");
    command
        .arg("600")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let started = stat.rsplit(')').next().unwrap().split_whitespace().nth(19);
    let mark = ProcessMark {
        pid: child.id(),
        started: started.unwrap().parse().unwrap(),
        ..SystemEnv.process().unwrap()
    };
    assert_eq!(SystemEnv.is_running(&mark), Some(true));
    (Sleeper(child), mark)
}

#[test]
fn folders_of_dead_processes_go_and_all_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    let own = SystemEnv.process().unwrap();
    let (mut child, mark) = sleeper();
    let of_child = leave(place, mark.clone());
    let own_folder = scratch_folder(place, &SystemEnv).unwrap();
    let elsewhere = [
        // Nobody can see from here whether these live.
        leave(
            place,
            ProcessMark {
                space: "pid:[1]".to_owned(),
                ..mark.clone()
            },
        ),
        leave(
            place,
            ProcessMark {
                machine: "another".to_owned(),
                boot: "another".to_owned(),
                ..mark.clone()
            },
        ),
    ];
    let stranger = place.join("larder-Ab12Cd");
    std::fs::create_dir(&stranger).unwrap();
    remove_leftovers(place, &SystemEnv);
    assert!(of_child.exists(), "its process lives");
    child.end();
    // What bears such a name and is no folder.
    let name = of_child.file_name().unwrap().to_str().unwrap();
    let file = place.join(format!("{name}x"));
    std::fs::write(&file, b"").unwrap();
    let link = place.join(format!("{name}y"));
    std::os::unix::fs::symlink(&stranger, &link).unwrap();
    remove_leftovers(place, &SystemEnv);
    assert!(!of_child.exists());
    for stays in elsewhere.iter().chain([&stranger, &file]) {
        assert!(stays.exists(), "{}", stays.display());
    }
    assert!(link.symlink_metadata().is_ok() && own_folder.path().exists());
    // One of the same number that began at another time is another one.
    let again = leave(
        place,
        ProcessMark {
            started: own.started + 1,
            ..own
        },
    );
    remove_leftovers(place, &SystemEnv);
    assert!(!again.exists() && own_folder.path().exists());
}

#[test]
fn folders_of_another_user_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, mark) = sleeper();
    let left = leave(dir.path(), mark);
    child.end();
    if std::os::unix::fs::chown(&left, Some(12345), None).is_err() {
        println!("only root can give a folder to another user: not tried");
        return;
    }
    remove_leftovers(dir.path(), &SystemEnv);
    assert!(left.exists());
}

#[test]
fn the_next_backup_removes_what_a_killed_one_left() {
    let mut workshop = Workshop::new();
    let database = workshop.path("a.db");
    sql(&database, "CREATE TABLE a(x); INSERT INTO a VALUES(1)");
    let temp_dir = workshop.path("temp");
    std::fs::create_dir(&temp_dir).unwrap();
    let (mut child, mark) = sleeper();
    let left = leave(&temp_dir, mark);
    child.end();
    let options = backup::BackupOptions {
        temp_dir: Some(temp_dir.clone()),
        ..workshop.backup_options(&database)
    };
    let world = workshop.world.clone();
    backup::run(&mut workshop.store, &world, &options, &mut NoProgress).unwrap();
    assert!(!left.exists());
    assert_eq!(std::fs::read_dir(&temp_dir).unwrap().count(), 0);
}
