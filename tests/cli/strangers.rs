//! What somebody is told who uses the program for the first time: what is wrong, with which thing, and what to do.

use crate::workplace::Workplace;

/// The text of errors, with the program called by its name.
fn told(place: &Workplace, code: i32, words: &[&str]) -> String {
    let run = place.code(code, words);
    let program = assert_cmd::cargo::cargo_bin!("larder")
        .display()
        .to_string();
    run.err.replace(&program, "larder")
}

#[test]
fn what_is_lacking_is_told_with_an_example_and_the_commands_own_help() {
    let place = Workplace::empty();
    let cases: [(&[&str], &str, &str); 8] = [
        (&["show"], "larder show latest", "larder show --help"),
        (&["ls"], "larder ls latest", "larder ls --help"),
        (
            &["restore"],
            "larder restore latest --to",
            "larder restore --help",
        ),
        (
            &["export", "x"],
            "larder export latest",
            "larder export --help",
        ),
        (&["diff", "x"], "larder diff ", "larder diff --help"),
        (
            &["copy"],
            "larder copy --to /mnt/disk/backups\n",
            "larder copy --help",
        ),
        (&["pin"], "larder pin before-upgrade\n", "larder pin --help"),
        (
            &["completions"],
            "larder completions ",
            "larder completions --help",
        ),
    ];
    for (words, example, help) in cases {
        let said = told(&place, 2, words);
        assert!(said.contains(&format!("\nAs in: {example}")), "{said}");
        assert!(
            said.ends_with(&format!("\nOptions and examples: {help}\n")),
            "{said}"
        );
        assert!(!said.contains("try '--help'"), "{said}");
    }
    let said = told(&place, 2, &["parity", "add", "--percent", "0"]);
    assert!(said.contains("0 is not in 1..=100"), "{said}");
    assert!(said.ends_with("larder parity add --help\n"), "{said}");
    // A flag that is none is not a value that somebody wanted to pass.
    let said = told(&place, 2, &["restore", "x", "--columns", "a"]);
    assert!(!said.contains("as a value"), "{said}");
    assert!(said.contains("'--columns'"), "{said}");
    // A variable that is set made another text of this.
    let said = told(&place, 2, &[]);
    assert!(said.contains("A first round:"), "{said}");
}

#[test]
fn numbers_are_refused_with_what_they_count() {
    let place = Workplace::bakery();
    for (flag, word, said) in [
        (
            "--deadline",
            "5s",
            "a whole number of seconds is expected, as 30",
        ),
        (
            "--deadline",
            "-1",
            "a whole number of seconds is expected, as 30",
        ),
        (
            "--max-lock",
            "x",
            "a whole number of seconds is expected, as 30",
        ),
        (
            "--max-wal",
            "1GiB",
            "a whole number of MiB is expected, as 1024",
        ),
        (
            "--max-wal",
            "-1",
            "a whole number of MiB is expected, as 1024",
        ),
        ("--compression", "-1", "-1 is not in 1..=19"),
    ] {
        let err = told(&place, 2, &["backup", "app.db", flag, word]);
        assert!(err.contains(said), "{flag} {word}: {err}");
    }
    let err = told(&place, 2, &["prune", "--max-unused", "-1"]);
    assert!(err.contains("-1 is not in 0..=100"), "{err}");
}

/// `forget` could ask for none of these, or for another snapshot than was meant.
#[test]
fn tags_are_words() {
    let place = Workplace::bakery();
    for (tag, said) in [
        ("", "leave --tag out for none"),
        (" ", "leave --tag out for none"),
        ("a,b", "--tag a --tag b"),
        (" a", "no blank at its ends"),
        ("a\nb", "no control characters"),
        ("before-restore", "latest passes over what has it"),
        ("after-restore", "latest passes over what has it"),
        ("uncommitted", "latest passes over what has it"),
    ] {
        let err = told(&place, 2, &["backup", "app.db", "--tag", tag]);
        assert!(err.contains(said), "{tag:?}: {err}");
    }
    assert!(!place.path("backups").exists());
    place.ok(&[
        "backup",
        "app.db",
        "--tag",
        "vor dem Umzug",
        "--tag",
        "release-7",
    ]);
}

#[test]
fn things_of_another_sort_are_named_as_what_they_are() {
    let place = Workplace::backed_up();
    std::fs::create_dir(place.path("folder")).unwrap();
    let cases: [(i32, &[&str], &[&str]); 9] = [
        (
            1,
            &["restore", "first", "--to", "folder"],
            &["folder is a folder, not a database", "--to restored.db"],
        ),
        (
            1,
            &["restore", "first", "--to", "./backups"],
            &["./backups is a folder, not a database"],
        ),
        (
            1,
            &["init", "--store", "app.db"],
            &["app.db is a file, and a store is a folder"],
        ),
        (
            1,
            &["import", "./backups"],
            &["it is a store", "larder copy ./backups --to STORE"],
        ),
        (
            1,
            &["validate", "app.db"],
            &[
                "no snapshot \"app.db\"",
                "app.db is a file. A database is backed up with: larder backup app.db\n",
                "larder list",
            ],
        ),
        (1, &["show", "app.db"], &["app.db is a file. A database"]),
        (
            10,
            &["repair", "--from", "nix"],
            &[
                "no store at nix (nothing is there)",
                "--from names another store",
            ],
        ),
        (
            1,
            &["undo", "first", "--to", "app.db"],
            &["is not one that a restore made", "larder list\n"],
        ),
        (2, &["undo"], &["larder undo --to DB "]),
    ];
    for (code, words, said) in cases {
        let err = told(&place, code, words);
        for said in said {
            assert!(err.contains(said), "{words:?}: {err}");
        }
        assert!(!err.contains("larder init"), "{words:?}: {err}");
    }
}

/// `latest` was said to be neither a snapshot nor a file.
#[test]
fn where_there_is_nothing_yet_that_is_said() {
    let place = Workplace::bakery();
    let err = told(&place, 10, &["diff", "latest", "app.db"]);
    assert!(
        err.contains("no store at ./backups (nothing is there)"),
        "{err}"
    );
    place.ok(&["init"]);
    let err = told(&place, 1, &["diff", "latest", "app.db"]);
    assert!(err.contains("./backups has no snapshots yet"), "{err}");
    let out = place.ok(&["list"]);
    assert!(out.ends_with(" backup DB\n"), "{out}");
    place.ok(&["backup", "app.db", "--name", "a"]);
    let out = place.ok(&["forget", "a"]);
    assert!(out.contains("\nFree its space with: "), "{out}");
    let out = place.ok(&["list"]);
    assert!(out.contains("\n1 is forgotten: "), "{out}");
}

/// All of thousands of ids were printed.
#[test]
fn a_word_that_many_snapshots_begin_with_names_some_of_them() {
    let place = Workplace::empty();
    place.sql("app.db", "CREATE TABLE t(a)");
    for _ in 0..7 {
        place.ok(&["backup", "app.db"]);
    }
    let err = told(&place, 1, &["show", "20"]);
    assert!(err.contains("no snapshot \"20\""), "{err}");
    let err = told(&place, 1, &["show", "202"]);
    assert!(err.contains("no snapshot \"202\""), "{err}");
    let list: serde_json::Value = serde_json::from_str(&place.ok(&["list", "--json"])).unwrap();
    let year = &list["snapshots"][0]["id"].as_str().unwrap()[..4];
    let err = told(&place, 1, &["show", year]);
    assert!(err.contains(" may be any of 7 snapshots: 2"), "{err}");
    assert!(err.contains(" and 2 others\n"), "{err}");
}
