//! Exit codes never change: scripts depend on them.

use larder::cli::exit;
use larder::cli::exit::Code;
use larder::cli::signals::Signal;
use larder::error::{Error, SelectError, StoreError, TargetError};
use larder::model::id::SnapshotId;
use larder::progress::Finding;

use crate::samples;
use crate::workplace::Workplace;

#[test]
fn the_table_of_exit_codes_is_frozen() {
    let numbers = Code::ALL.map(Code::number);
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 130, 143]);
}

/// The first column of the table in docs/scripting.md is the list of codes.
#[test]
fn the_document_lists_every_exit_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scripting.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("## Exit codes").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let listed: Vec<u8> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(listed, Code::ALL.map(Code::number));
}

#[test]
fn the_ancestors_names_exit_with_0_1_or_2_unless_a_signal_stops_them() {
    let numbers = Code::ALL.map(|code| code.for_ancestor().number());
    assert_eq!(numbers, [0, 1, 2, 1, 1, 1, 1, 1, 1, 1, 130, 143]);
}

#[test]
fn errors_have_the_codes_that_the_document_says() {
    let store = || "./backups".to_owned();
    let cases = [
        (
            Error::Store(StoreError::NoStore {
                location: store(),
                found: "nothing is there",
            }),
            10,
        ),
        (
            Error::Store(StoreError::Fenced {
                snapshot: SnapshotId::new(0, [0; 16]),
            }),
            11,
        ),
        (
            Error::Store(StoreError::Damaged {
                object: "pack".into(),
                cause: larder::format::FormatError::Truncated { what: "a pack" },
            }),
            4,
        ),
        (
            Error::Target(TargetError::Damaged {
                path: "app.db".into(),
                lines: Vec::new(),
            }),
            4,
        ),
        (Error::Store(StoreError::Exists { location: store() }), 1),
        (Error::Store(StoreError::NotEmpty { location: store() }), 1),
        (
            Error::Select(SelectError::Empty {
                store: store(),
                forgotten: 0,
            }),
            1,
        ),
    ];
    for (error, number) in cases {
        assert_eq!(exit::of_error(&error, None).number(), number, "{error}");
    }
}

#[test]
fn work_that_a_signal_stopped_exits_with_the_signals_code() {
    let left = |signal| exit::of_marks(1, &[], signal).number();
    assert_eq!(left(Some(Signal::Interrupt)), 130);
    assert_eq!(left(Some(Signal::Terminate)), 143);
    assert_eq!(exit::of_marks(0, &[], Some(Signal::Interrupt)).number(), 0);
    let code = |signal| exit::of_error(&Error::Cancelled, signal).number();
    assert_eq!(code(Some(Signal::Interrupt)), 130);
    assert_eq!(code(Some(Signal::Terminate)), 143);
    assert_eq!(code(None), 130);
}

#[test]
fn notes_are_no_failure_and_warnings_are_3() {
    let mut outcome = samples::backup();
    assert_eq!(exit::of_backup(&outcome), Code::Ok);
    outcome.findings.push(Finding::note("orders", "kept"));
    assert_eq!(exit::of_backup(&outcome), Code::Ok);
    outcome.findings.push(Finding::warning("photos", "lost"));
    assert_eq!(exit::of_backup(&outcome), Code::Incomplete);
}

#[test]
fn damage_is_4_and_conflicts_are_5_whatever_else_was_found() {
    let mut damaged = samples::damaged();
    damaged.findings.push(Finding::warning("x", "y"));
    assert_eq!(exit::of_validate(&damaged), Code::Damaged);
    assert_eq!(exit::of_validate(&samples::valid()), Code::Ok);
    let mut stopped = samples::conflicts();
    stopped.findings.push(Finding::warning("x", "y"));
    assert_eq!(exit::of_restore(&stopped), Code::Conflicts);
    assert_eq!(exit::of_restore(&samples::restored()), Code::Ok);
}

#[test]
fn damage_counts_most_where_several_stores_are_looked_at() {
    assert_eq!(Code::Ok.and(Code::Incomplete), Code::Incomplete);
    assert_eq!(Code::Incomplete.and(Code::Damaged), Code::Damaged);
    assert_eq!(Code::Damaged.and(Code::Ok), Code::Damaged);
}

#[test]
fn a_full_disk_behind_stdout_is_told_once() {
    let place = Workplace::backed_up();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = place.std_command();
    let output = command
        .args(["cat", "latest:purchases"])
        .stdout(full)
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), err.matches("error:").count()),
        (Some(1), 1),
        "{err}"
    );
}
