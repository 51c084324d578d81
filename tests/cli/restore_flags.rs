//! The flags of `larder restore`: what they mean, and what is refused with which words.

use std::ffi::OsString;

use crate::workplace::Workplace;

fn parse(words: &[&str]) -> Result<larder::cli::args::Cli, clap::Error> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    larder::cli::parse(&words)
}

#[test]
fn every_flag_is_understood() {
    let words = [
        "larder",
        "restore",
        "latest",
        "--to",
        "app.db",
        "-t",
        "orders",
        "--table",
        "my table",
        "--exclude-table",
        "log",
        "--where",
        "total > 100",
        "--key-value",
        "orders=77",
        "--with-parents",
        "--with-children",
        "--match",
        "natural",
        "--key",
        "products=brand,name",
        "--reference",
        "\"my.table\".\"a col\"=customers.id",
        "--rename",
        "orders.cust=customer",
        "--on-conflict",
        "skip",
        "--on-missing",
        "null",
        "-i",
        "--resolve",
        "d.json",
        "--save-decisions",
        "d.json",
        "--deleted",
        "--force",
        "--fire-triggers",
        "--no-safety-snapshot",
        "--config",
        "other.toml",
        "-n",
        "-m",
        "augment",
    ];
    parse(&words).unwrap();
}

/// A flag that cannot be meant says what was expected, with an example.
#[test]
fn a_value_that_cannot_be_meant_is_refused_with_an_example() {
    let place = Workplace::empty();
    for (flag, value, example) in [
        ("--table", "", "orders"),
        ("--exclude-table", "\"log", "not closed"),
        ("--key-value", "orders", "orders=77"),
        ("--key-value", "orders=", "orders=77"),
        ("--key", "products", "products=brand,name"),
        ("--key", "products=a,,b", "products=brand,name"),
        (
            "--reference",
            "orders=customers",
            "orders.customer=customers.id",
        ),
        ("--rename", "cust=customer", "orders.cust=customer"),
        ("--match", "name", "natural"),
        ("--on-missing", "map", "create, skip, null"),
        ("--on-conflict", "ignore", "stop, skip"),
    ] {
        let run = place.code(2, &["restore", "latest", "--to", "x.db", flag, value]);
        assert!(run.err.contains(example), "{flag} {value}: {}", run.err);
        assert!(run.err.contains(flag), "{flag} {value}: {}", run.err);
    }
}

/// Each with the reason, and before anything is opened: there is no store here.
#[test]
fn flags_that_make_no_sense_together_are_refused() {
    let place = Workplace::empty();
    for (words, reason) in [
        ("--where x", "--where needs one --table"),
        ("--where x -t a -t b", "--where needs one --table"),
        ("-t a --exclude-table A", "both chosen and excluded"),
        (
            "--key-value a=1 --exclude-table a",
            "both chosen and excluded",
        ),
        ("--with-parents", "all tables are"),
        ("--with-children", "all tables are"),
        ("--deleted -m replace", "replace writes over rows"),
        ("--deleted -m augment", "augment fills rows"),
        ("--force", "--mode replace"),
        ("--force -m augment", "--mode replace"),
        ("-i --on-missing skip", "nothing would be asked"),
        ("--match id --key t=a", "--key would not be used"),
        ("-m replace --match id", "for chosen rows"),
        ("-m replace -t a --key a=b", "for chosen rows"),
    ] {
        let mut line = vec!["restore", "latest", "--to", "x.db"];
        line.extend(words.split(' '));
        let run = place.code(2, &line);
        assert!(run.err.contains(reason), "{words}: {}", run.err);
        assert_eq!(run.err.lines().count(), 2, "{words}: {}", run.err);
        assert_eq!(run.out, "");
    }
}

#[test]
fn what_is_for_a_database_that_exists_is_refused_for_a_new_one() {
    let place = Workplace::backed_up();
    for words in [
        "--table orders",
        "--exclude-table orders",
        "--key-value orders=1",
        "--deleted",
        "--match id",
        "--key t=a",
        "--reference a.b=c.d",
        "--rename a.b=c",
        "--on-conflict skip",
        "--on-missing skip",
        "-i",
        "--resolve d.json",
        "--save-decisions d.json",
        "--fire-triggers",
        "--no-safety-snapshot",
        "--force -m replace",
    ] {
        let mut line = vec!["restore", "latest", "--to", "new.db"];
        line.extend(words.split(' '));
        let run = place.code(2, &line);
        let said = "is for a database that exists, and new.db does not";
        assert!(run.err.contains(said), "{words}: {}", run.err);
        assert!(!place.path("new.db").exists(), "{words}");
    }
}

#[test]
fn a_settings_file_is_read_and_its_mistakes_are_named() {
    let place = Workplace::backed_up();
    let write = |name: &str, text: &str| std::fs::write(place.path(name), text).unwrap();
    let to_app = ["restore", "latest", "--to", "app.db"];
    write("larder.toml", "[keys]\nsuppliers = [\"name\"]\n");
    place.ok(&to_app);
    write("larder.toml", "[keys]\n\n[refrences]\n\"a.b\" = \"c.d\"\n");
    let run = place.code(2, &to_app);
    let said =
        "larder.toml line 3: unknown section or key \"refrences\"; did you mean \"references\"?";
    assert!(run.err.contains(said), "{}", run.err);
    // Another file takes its place.
    write("mine.toml", "");
    place.ok(&[
        "restore",
        "latest",
        "--to",
        "app.db",
        "--config",
        "mine.toml",
    ]);
    let run = place.code(
        2,
        &["restore", "latest", "--to", "app.db", "--config", "no.toml"],
    );
    assert!(run.err.contains("no file no.toml"), "{}", run.err);
    let run = place.code(2, &["restore", "latest", "--to", "app.db", "--config", "."]);
    assert!(run.err.contains("cannot read ."), "{}", run.err);
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let place = Workplace::backed_up();
    let mut command = place.std_command();
    command.args(["restore", "latest", "--to", "app.db", "-i"]);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("-i asks at a terminal"), "{err}");
    assert!(
        err.contains("--resolve") && err.contains("--on-missing"),
        "{err}"
    );
}

#[test]
fn the_report_goes_to_stdout_with_every_flag() {
    let place = Workplace::backed_up();
    place.sql("app.db", "DELETE FROM suppliers WHERE rowid = 1");
    let out = place.ok(&[
        "restore",
        "latest",
        "--to",
        "app.db",
        "--no-safety-snapshot",
        "-n",
    ]);
    assert!(out.contains("it cannot be undone"), "{out}");
    assert!(out.ends_with("Nothing was written (dry run).\n"), "{out}");
}
