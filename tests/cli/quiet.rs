//! `--quiet`: what was asked for is printed, what is wrong too, and nothing else.

use crate::workplace::{Workplace, files};

/// A store with a snapshot, an export, and a database in which a record is missing.
fn place() -> Workplace {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 'x'), (2, 'y')",
    );
    place.ok(&["backup", "app.db", "--name", "first"]);
    place.ok(&["export", "first", "--output", "export"]);
    place.sql("app.db", "DELETE FROM t WHERE id = 2");
    place
}

#[test]
fn what_was_done_is_not_told() {
    let place = place();
    let commands: [&[&str]; 21] = [
        &["init", "--store", "new"],
        &["backup", "app.db", "--name", "second", "--zip"],
        &["validate"],
        &["validate", "--drill"],
        &["validate", "--quick"],
        &["validate", "export"],
        &["backup-validate"],
        &["export", "second", "--output", "second.zip"],
        &["import", "export", "--name", "third"],
        &["restore", "first", "--to", "new.db"],
        &["restore", "first", "--to", "app.db"],
        &["undo", "--to", "app.db"],
        &["pin", "third"],
        &["unpin", "third"],
        &["forget", "third"],
        &["forget", "--undo", "third"],
        &["forget", "--keep-last", "1"],
        &["copy", "--to", "other"],
        &["parity", "add", "--all"],
        &["parity", "check"],
        &["prune", "--grace", "0"],
    ];
    for words in commands {
        let run = place.code(0, &[words, &["-q"]].concat());
        assert_eq!((&*run.out, &*run.err), ("", ""), "{words:?}");
    }
    for words in [["parity", "remove", "-q"], ["repair", "--no-source", "-q"]] {
        let run = place.code(0, &words);
        assert_eq!((&*run.out, &*run.err), ("", ""), "{words:?}");
    }
}

/// Some plans were shown and others not.
#[test]
fn what_was_asked_for_is_shown() {
    let place = place();
    place.ok(&["backup", "app.db", "--name", "second"]);
    place.ok(&["restore", "first", "--to", "app.db"]);
    let commands: [&[&str]; 15] = [
        &["list"],
        &["list", "--forgotten"],
        &["show", "first"],
        &["ls", "first"],
        &["cat", "first:t"],
        &["diff", "first", "second"],
        &["stats"],
        &["parity"],
        &["parity", "status"],
        &["forget", "second", "-n"],
        &["forget", "--keep-last", "1", "-n"],
        &["restore", "second", "--to", "app.db", "-n"],
        &["undo", "--to", "app.db", "-n"],
        &["prune", "-n"],
        &["repair", "-n"],
    ];
    for words in commands {
        let run = place.code(0, &[words, &["-q"]].concat());
        assert_ne!(run.out, "", "{words:?}");
        assert_eq!(run.err, "", "{words:?}");
        assert_eq!(run.out.lines().count(), place.ok(words).lines().count());
    }
}

#[test]
fn what_is_wrong_is_shown_alone() {
    let place = Workplace::bakery();
    place.ok(&["init", "--redundancy", "full"]);
    place.ok(&["backup", "app.db", "--name", "first"]);
    let copy = files(&place.path("backups/second/packs"), "").remove(0);
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&copy).unwrap();
    std::fs::write(&copy, bytes).unwrap();
    for words in [["validate", "-q"].as_slice(), &["parity", "check", "-q"]] {
        let run = place.code(4, words);
        assert!(
            run.out.starts_with("damaged: second copy of pack "),
            "{}",
            run.out
        );
        for told in ["Read", "Found", "Make", "Validation"] {
            assert!(!run.out.contains(told), "{words:?}: {}", run.out);
        }
        assert_eq!(run.err, "");
    }
    std::fs::remove_dir_all(place.path("backups/second")).unwrap();
    let pack = files(&place.path("backups/packs"), "").remove(0);
    std::fs::remove_file(pack).unwrap();
    let run = place.code(4, &["copy", "--to", "other", "-q"]);
    assert!(run.out.contains("not copied"), "{}", run.out);
    let run = place.code(4, &["repair", "--no-source", "-q"]);
    assert!(run.out.starts_with("lost: "), "{}", run.out);
    let run = place.code(4, &["restore", "first", "--to", "x.db", "-q"]);
    assert!(
        run.out.is_empty() && run.err.starts_with("error: "),
        "{}",
        run.err
    );
}

/// `1 packs have no parity yet` was one of them.
#[test]
fn numbers_have_their_nouns_from_one_place() {
    let nouns = "packs snapshots records blobs rows files tables objects entities shards sources values columns";
    // More than one by their condition.
    let several = [
        "n => format!(\"keep none of",
        "may be any of",
        "holds snapshots of",
        "values with commas between",
        "rows => format!(\"{rows} rows",
        "{done} of {of} snapshots",
        "{how} blobs of",
        "there is no such code",
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in files(&root, ".rs") {
        if path.components().any(|part| part.as_os_str() == "testkit") || path.ends_with("tests.rs")
        {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            let after_number = line.split('}').skip(1).filter(|rest| rest.starts_with(' '));
            let mut words = after_number.filter_map(|rest| rest.split_whitespace().next());
            let is_noun = |word: &str| {
                nouns
                    .split(' ')
                    .any(|noun| word.trim_end_matches([',', '.', ';', ':', '"', ')']) == noun)
            };
            if words.any(is_noun) && !several.iter().any(|known| line.contains(known)) {
                found.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_eq!(found, [""; 0], "use model::counted");
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
           INSERT INTO a SELECT i, randomblob(15000) FROM n;",
    );
    place.ok(&["backup", "app.db"]);
    std::fs::remove_file(files(&place.path("backups/parity"), "").remove(0)).unwrap();
    let run = place.code(0, &["validate"]);
    assert!(
        run.err
            .contains("note: redundancy: 1 pack has no parity yet\n"),
        "{}",
        run.err
    );
}
