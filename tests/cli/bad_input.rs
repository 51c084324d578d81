//! What is not what it should be, as a person meets it: a clear message, the documented exit code,
//! and nothing half-written.

use std::fs;
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::local::LocalBackend;
use larder::codec::hash::{StoreHash, pack_id};
use larder::env::SystemEnv;
use larder::format::config::FormatMark;
use larder::format::frame::{self, ObjectKind};
use larder::format::manifest::Manifest;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::vfs::os::OsVfs;

use crate::workplace::{Run, Workplace, files};

/// Fails with this code and says this; the store lists nothing.
#[track_caller]
fn refused(place: &Workplace, database: &str, code: i32, says: &str) -> Run {
    let run = place.code(code, &["backup", database, "--deadline", "1"]);
    assert!(run.err.contains(says), "{says}: {}", run.err);
    assert!(!run.err.contains("panicked"), "{}", run.err);
    assert_eq!(run.out, "");
    if place.path("backups/config").exists() {
        let listed = place.run(&["list"]);
        assert!(!listed.out.contains("backup_2"), "{}", listed.out);
        let records = files(&place.path("backups"), "");
        let is_record = |path: &std::path::PathBuf| path.to_string_lossy().contains("/writers/");
        assert!(!records.iter().any(is_record), "{records:?}");
    }
    run
}

#[test]
fn what_is_no_database_is_refused_by_what_it_is() {
    let place = Workplace::empty();
    fs::write(place.path("notes.db"), "dear diary").unwrap();
    fs::write(place.path("random.db"), [0x9c; 4096]).unwrap();
    fs::create_dir(place.path("folder.db")).unwrap();
    refused(&place, "notes.db", 1, "begins with \"dear diary\"");
    refused(&place, "random.db", 1, "as an encrypted database may");
    refused(&place, "missing.db", 1, "no database at missing.db");
    refused(
        &place,
        "folder.db",
        1,
        "folder.db is a folder, not a database",
    );
    refused(&place, "/dev/null", 1, "/dev/null");
}

/// Cut short: what is there is kept, and the snapshot says that it is not all.
#[test]
fn a_truncated_database_is_3_and_said_so() {
    let place = Workplace::bakery();
    let whole = fs::read(place.path("app.db")).unwrap();
    fs::write(place.path("cut.db"), &whole[..whole.len() / 2]).unwrap();
    let run = place.code(3, &["backup", "cut.db"]);
    let says = "cut.db: damaged: database disk image is malformed; what can be read of it is kept";
    assert!(run.err.contains(says), "{}", run.err);
    assert!(run.out.contains("the database is damaged"), "{}", run.out);
    // Of a header alone nothing reads, and that is said.
    fs::write(place.path("head.db"), &whole[..100]).unwrap();
    let run = place.code(3, &["backup", "head.db"]);
    assert!(
        run.err.contains("sqlite_schema: not all of it"),
        "{}",
        run.err
    );
    assert!(run.out.contains("0 entity files, 0 records"), "{}", run.out);
}

#[test]
fn a_locked_database_is_6() {
    let place = Workplace::bakery();
    let other = rusqlite::Connection::open(place.path("app.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for deadline in ["0", "1"] {
        let run = place.code(6, &["backup", "app.db", "--deadline", deadline]);
        let says = format!("app.db is locked by another program (waited {deadline} s)");
        assert!(run.err.contains(&says), "{}", run.err);
        let advises = format!("raise --deadline (now {deadline} s)");
        assert!(run.err.contains(&advises), "{}", run.err);
    }
    other.execute_batch("COMMIT").unwrap();
    place.ok(&["backup", "app.db", "--deadline", "0"]);
}

fn objects(place: &Workplace) -> LocalBackend {
    let vfs = Arc::new(OsVfs);
    LocalBackend::new(vfs, Arc::new(SystemEnv), place.path("backups"))
}

/// Every command that opens the store.
const OPENING: [&[&str]; 5] = [
    &["list"],
    &["validate"],
    &["backup", "app.db"],
    &["restore", "latest", "--to", "new.db"],
    &["show", "latest"],
];

#[test]
fn a_store_of_a_newer_format_is_refused_politely() {
    let place = Workplace::backed_up();
    let config = files(&place.path("backups"), "config").remove(0);
    let newer = FormatMark {
        version: 1,
        draft: 0,
    };
    let content = serde_json::json!({
        "format": newer, "store_id": "07".repeat(16), "created": "2027-01-01T00:00:00Z", "more": [1],
    });
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Config, &content).unwrap();
    fs::remove_file(&config).unwrap();
    fs::write(&config, bytes).unwrap();
    for words in OPENING {
        let run = place.code(1, words);
        assert!(
            run.err.contains("format version 1"),
            "{words:?}: {}",
            run.err
        );
        assert!(run.err.contains("a newer one"), "{words:?}: {}", run.err);
    }
    assert!(!place.path("new.db").exists());
}

#[test]
fn a_snapshot_or_pack_of_a_newer_larder_is_refused_by_name() {
    let place = Workplace::backed_up();
    let store = objects(&place);
    let snapshot = store.list(name::SNAPSHOTS).unwrap().remove(0);
    let bytes = store.get(&snapshot.name, u64::MAX).unwrap();
    let mut manifest: Manifest =
        frame::decode(StoreHash::unkeyed(), ObjectKind::Manifest, &bytes, "test").unwrap();
    manifest.features = vec!["time-travel".to_owned()];
    manifest.id = SnapshotId::new(4_000_000_000, [1; 16]);
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Manifest, &manifest).unwrap();
    store
        .put_new(&name::snapshot(&manifest.id), &bytes)
        .unwrap();
    for words in OPENING {
        let run = place.code(1, words);
        assert!(run.err.contains("time-travel"), "{words:?}: {}", run.err);
        assert!(
            run.err.contains(manifest.id.as_str()),
            "{words:?}: {}",
            run.err
        );
    }
    store.delete(&name::snapshot(&manifest.id)).unwrap();
    let pack = store.list(name::PACKS).unwrap().remove(0);
    let mut bytes = store.get(&pack.name, u64::MAX).unwrap();
    bytes[9] += 1;
    let foreign = pack_id(&bytes);
    store.put_new(&name::pack(&foreign), &bytes).unwrap();
    for words in &OPENING[1..4] {
        let run = place.code(1, words);
        assert!(
            run.err.contains(&foreign.to_string()),
            "{words:?}: {}",
            run.err
        );
        assert!(run.err.contains("draft"), "{words:?}: {}", run.err);
    }
    assert!(!place.path("new.db").exists());
}

#[test]
fn damage_is_4_whichever_object_it_is() {
    for (folder, names) in [
        ("packs", "pack "),
        ("snapshots", "snapshot "),
        ("config", "config"),
    ] {
        let place = Workplace::backed_up();
        let object = files(&place.path("backups").join(folder), "").remove(0);
        let mut bytes = fs::read(&object).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        fs::remove_file(&object).unwrap();
        fs::write(&object, bytes).unwrap();
        let run = place.code(4, &["validate"]);
        let said = format!("{}{}", run.out, run.err);
        assert!(said.contains(names), "{folder}: {said}");
        let run = place.run(&["restore", "latest", "--to", "new.db"]);
        assert!(run.code == 4 || run.code == 1, "{folder}: {}", run.err);
        assert!(!place.path("new.db").exists());
    }
}

/// A damaged cache, or a folder that cannot be made, costs time and nothing else.
#[test]
fn the_cache_may_be_anything() {
    let mut place = Workplace::backed_up();
    for cache in files(&place.path("cache"), ".footers") {
        fs::write(cache, "garbage").unwrap();
    }
    place.ok(&["validate"]);
    place.ok(&["backup", "app.db", "--name", "second"]);
    place.ok(&["restore", "latest", "--to", "one.db"]);
    fs::write(place.path("occupied"), "").unwrap();
    let occupied = place.path("occupied").display().to_string();
    place.set("LARDER_CACHE_DIR", &occupied);
    place.ok(&["backup", "app.db", "--name", "third"]);
    place.ok(&["restore", "latest", "--to", "two.db"]);
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(read("one.db"), read("two.db"));
}

#[test]
fn strangers_in_the_store_are_notes_and_stay() {
    let place = Workplace::backed_up();
    place.ok(&["backup", "app.db", "--name", "zipped", "--zip"]);
    let at = |name: &str| place.path("backups").join(name);
    fs::write(at("notes.txt"), "mine").unwrap();
    fs::write(at("packs/README"), "mine").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("snapshots/link")).unwrap();
    for words in [&["list"][..], &["validate"]] {
        let run = place.code(0, words);
        let said = format!("{}{}", run.out, run.err);
        for name in ["notes.txt", "packs/README", "snapshots/link"] {
            assert!(said.contains(name), "{words:?} {name}: {said}");
        }
        assert!(!said.contains(".zip"), "{words:?}: {said}");
        assert!(!run.err.contains("warning"), "{words:?}: {}", run.err);
    }
    place.ok(&["backup", "app.db", "--name", "later"]);
    assert!(at("notes.txt").exists() && at("packs/README").exists());
    assert!(at("snapshots/link").is_symlink());
}

/// A new database is as readable as any file that a program makes; the store is not.
#[test]
fn a_restored_file_has_the_usual_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let place = Workplace::backed_up();
    place.ok(&["restore", "latest", "--to", "new.db"]);
    fs::write(place.path("usual"), "").unwrap();
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("new.db"), mode("usual"));
}

/// A real disk that is full, where the system lets a test mount one.
#[test]
fn a_full_disk_fails_the_backup_and_keeps_what_is_there() {
    let place = Workplace::bakery();
    let larder = assert_cmd::cargo::cargo_bin!("larder");
    let script = format!(
        "mkdir full && mount -t tmpfs -o size=SIZEk tmpfs full || exit 99
         {0} backup small.db --store full/store --name small || exit 98
         {0} backup app.db --store full/store --name large; code=$?
         {0} validate --store full/store --quiet || exit 97
         {0} list --store full/store
         exit $code",
        larder.display()
    );
    place.sql("small.db", "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    let mut seen = Vec::new();
    for size in (40..=400).step_by(24) {
        let script = script.replace("SIZE", &size.to_string());
        let mut command = std::process::Command::new("unshare");
        command
            .args(["-Urm", "sh", "-c", &script])
            .current_dir(place.path(""))
            .env("LARDER_CACHE_DIR", place.path("cache"));
        let Ok(output) = command.output() else {
            println!("not run: there is no unshare");
            return;
        };
        fs::remove_dir(place.path("full")).unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        match output.status.code() {
            Some(99) => {
                println!("not run: no tmpfs can be mounted: {err}");
                return;
            }
            // Not even the first one fits.
            Some(98) => {}
            Some(1) => {
                assert!(err.contains("No space left"), "{size}: {err}");
                assert!(
                    out.contains("small") && !out.contains("large  "),
                    "{size}: {out}"
                );
            }
            Some(0) => assert!(out.contains("large"), "{size}: {out}"),
            code => panic!("{size}: {code:?} {out} {err}"),
        }
        seen.push(output.status.code());
    }
    println!("{seen:?}");
}
