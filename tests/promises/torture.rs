//! Databases made of hard cases come back equal; the cases are listed in docs/fidelity.md.

use std::path::{Path, PathBuf};
use std::process::Command;

use larder::cli::exit;
use larder::error::Error;

use crate::sandbox::{seed, snapshots};
use crate::workshop::{Workshop, copy_database, differences, python};

/// Has `torture.py` make its databases; the files with this ending, by name. `None`, said aloud, where there is no Python.
fn torture(folder: &Path, ending: &str) -> Option<Vec<PathBuf>> {
    let python = python("not run")?;
    let seed = seed().to_string();
    println!("torture.py --seed {seed}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/torture.py");
    let made = Command::new(python)
        .arg(script)
        .arg(folder)
        .args(["--seed", &seed])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("main.d"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain([folder.join("main.db")])
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    files.sort();
    Some(files)
}

/// What is not as it was after a backup and a restore; nothing if all is.
fn lost(database: &Path) -> String {
    let mut shop = Workshop::new();
    let copy = shop.path("source.db");
    copy_database(database, &copy);
    if let Err(error) = shop.try_backup(&copy) {
        return format!("backup: {error}");
    }
    let manifest = shop.manifest("latest");
    let restored = shop.path("restored.db");
    if let Err(error) = shop.try_restore_new(&manifest, &restored) {
        return format!("restore: {error}");
    }
    let damage = shop.validate().damage;
    if !damage.is_empty() {
        return format!("validate: {damage:?}");
    }
    // The original: reading the copy may have folded its -wal in, or rolled its -journal back.
    differences(database, &restored, "").unwrap_or_default()
}

/// Every value, rowid, setting, schema text, index of words and tree of rectangles, in every encoding and page size, beside
/// a -wal and a hot -journal, with missing modules, functions and collations, and with damage.
#[test]
fn every_torture_database_comes_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let Some(databases) = torture(folder.path(), "db") else {
        return;
    };
    assert!(databases.len() >= 18, "{databases:?}");
    let mut wrong = Vec::new();
    for database in &databases {
        let told = lost(database);
        if !told.is_empty() {
            let name = database.file_name().unwrap().to_string_lossy();
            wrong.push(format!("{name}: {told}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        databases.len(),
        wrong.join("\n")
    );
}

#[test]
fn torture_files_that_are_no_databases_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = torture(folder.path(), "bin") else {
        return;
    };
    assert_eq!(files.len(), 2, "{files:?}");
    for (file, said) in files
        .iter()
        .zip(["as an encrypted database may", "begins with \"this is not"])
    {
        let mut shop = Workshop::new();
        let error = shop.try_backup(file).unwrap_err();
        assert!(matches!(error, Error::Source(_)), "{error:?}");
        assert_eq!(exit::of_error(&error, None).number(), 1);
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(snapshots(&shop.store), [], "{error}");
    }
}

/// All texts of the tests, those in folders of their own too.
fn texts_of_tests(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &texts_of_tests(&path);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all += &std::fs::read_to_string(&path).unwrap();
        }
    }
    all
}

/// docs/fidelity.md lists the cases 1 to 96, and each test that it names exists.
#[test]
fn every_case_of_the_document_is_shown_by_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/fidelity.md")).unwrap();
    let (_, cases) = document.split_once("\n## The cases\n").unwrap();
    let tests =
        ["tests/promises", "tests/cli", "src"].map(|folder| texts_of_tests(&root.join(folder)));
    let tests = tests.concat();
    let mut next = 1;
    let mut wrong = Vec::new();
    for line in cases.lines().filter(|l| l.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let Ok(number) = cells[0].trim().parse::<u32>() else {
            continue;
        };
        assert_eq!(number, next, "{line}");
        next += 1;
        for name in cells[3].split([',', '`', ' ']).filter(|n| n.len() > 1) {
            if !tests.contains(&format!("fn {name}(")) {
                wrong.push(format!("{number}: {name}"));
            }
        }
    }
    assert_eq!(next, 97, "the last case is 96");
    assert!(wrong.is_empty(), "no such tests:\n{}", wrong.join("\n"));
}
