//! Words that can be meant, and those that cannot.

use std::ffi::OsString;

use larder::cli::args::Command;

use crate::workplace::Workplace;

fn parse(line: &str) -> Result<larder::cli::args::Cli, clap::Error> {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    larder::cli::parse(&words)
}

#[test]
fn the_ancestors_command_lines_are_understood_word_for_word() {
    for line in [
        "larder backup -o ./backups/b1",
        "larder backup-list --dir ./backups/",
        "larder backup-list",
        "larder backup-validate ./backups/b1",
        "larder backup-validate",
        "larder restore ./backups/b1 --mode replace",
        "larder backup",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn other_names_of_a_command_are_that_command() {
    for name in ["list", "snapshots"] {
        let cli = parse(&format!("larder {name}")).unwrap();
        assert!(matches!(cli.command, Command::List(_)), "{name}");
    }
    for name in ["validate", "check", "verify"] {
        let cli = parse(&format!("larder {name} latest")).unwrap();
        assert!(matches!(cli.command, Command::Validate(_)), "{name}");
    }
    for (line, ancestor) in [
        ("larder backup-list", true),
        ("larder backup-validate", true),
        ("larder list", false),
        ("larder validate", false),
    ] {
        assert_eq!(parse(line).unwrap().command.is_ancestors(), ancestor);
    }
}

#[test]
fn the_store_may_stand_before_or_after_the_command_under_each_of_its_names() {
    for line in [
        "larder -s /s list",
        "larder list -s /s",
        "larder list --store /s",
        "larder list -r /s",
        "larder --repo /s list",
        "larder list --repo=/s --json",
    ] {
        let store = parse(line).unwrap().global.store;
        assert_eq!(store, Some("/s".into()), "{line}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for line in [
        "larder backup a.db --compression 20",
        "larder backup a.db --compression 0",
        "larder restore latest --to x.db --mode merge",
        "larder restore latest --to x.db --check some",
        "larder restore",
        "larder cat",
        "larder export latest",
        "larder list extra more",
        "larder list -q -v",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn unknown_words_name_the_nearest_one_that_exists() {
    let place = Workplace::empty();
    let run = place.run(&["lits"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("'list'"), "{}", run.err);
    let run = place.run(&["list", "--jsn"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("'--json'"), "{}", run.err);
    let run = place.run(&["restore", "x", "--mode", "replce"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("'replace'"), "{}", run.err);
}

#[test]
fn usage_errors_are_json_where_json_is_wanted() {
    let place = Workplace::empty();
    let run = place.run(&["lits", "--json"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    let error: serde_json::Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!(error["message_type"], "error");
    assert_eq!(error["code"], 2);
    assert!(error["message"].as_str().unwrap().contains("'lits'"));
}

#[test]
fn a_backup_of_nothing_says_both_ways_to_name_the_database() {
    let run = Workplace::empty().run(&["backup"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("backup app.db"), "{}", run.err);
    assert!(run.err.contains("LARDER_DATABASE=app.db"), "{}", run.err);
}

#[test]
fn help_and_version_go_to_stdout() {
    let place = Workplace::empty();
    let version = place.run(&["--version"]);
    assert_eq!(version.code, 0);
    let lines: Vec<&str> = version.out.lines().collect();
    assert_eq!(lines[0], concat!("larder ", env!("CARGO_PKG_VERSION")));
    // As this repository builds it.
    assert_eq!(lines[1..], ["fast skip of unchanged pages: yes"]);
    let help = place.run(&["restore", "--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.contains("--dry-run"));
    let nothing = place.run(&[]);
    assert_eq!((nothing.code, nothing.out.as_str()), (2, ""));
    assert!(nothing.err.contains("Usage: larder"));
}

#[test]
fn completions_are_written_for_a_shell() {
    let run = Workplace::empty().run(&["completions", "bash"]);
    assert_eq!(run.code, 0);
    assert!(run.out.contains("complete -F"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::Stdio;
    let mut child = Workplace::empty()
        .std_command()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
