//! What a person sees, as whole texts: every outcome made by hand, in the zone of Berlin.

use std::path::Path;

use jiff::tz::TimeZone;
use larder::cli::render::{Look, text};
use larder::model::schema::ObjectKind;
use larder::model::text::TextEncoding;
use larder::ops::restore::{
    Choice, ConflictKind, Made, Match, Mode, OnConflict, OnMissing, RestoreOptions, RestoreOutcome,
};
use text::backup::BackupView;
use text::restore::RestoreView;
use text::validate::ValidateView;

use crate::samples;

fn look() -> Look {
    Look {
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        ..Look::for_tests()
    }
}

fn verbose() -> Look {
    Look {
        verbose: true,
        ..look()
    }
}

const STORE: &str = "./backups";

fn view<'a>(store: &'a str, created: bool, zip: Option<&'a str>) -> BackupView<'a> {
    BackupView {
        database: Path::new("app.db"),
        store: Path::new(store),
        store_created: created,
        zip: zip.map(Path::new),
    }
}

#[test]
fn the_first_backup_lists_every_entity_file() {
    let outcome = samples::first_backup();
    let text = text::backup::backup(&outcome, &view(STORE, true, None), &look());
    insta::assert_snapshot!(text);
}

#[test]
fn a_later_backup_shows_what_changed_and_folds_the_rest() {
    let outcome = samples::backup();
    let zip = "./backups/backup_20261123_211530.zip";
    let text = text::backup::backup(&outcome, &view(STORE, false, Some(zip)), &look());
    insta::assert_snapshot!(text);
}

#[test]
fn a_verbose_backup_folds_nothing_and_shows_whole_ids() {
    let outcome = samples::backup();
    let text = text::backup::backup(&outcome, &view(STORE, false, None), &verbose());
    insta::assert_snapshot!(text);
}

#[test]
fn only_a_verbose_backup_says_how_long_the_source_was_locked() {
    let mut outcome = samples::backup();
    outcome.longest_lock_ms = Some(40);
    let says = |look: &Look| text::backup::backup(&outcome, &view(STORE, false, None), look);
    assert!(says(&verbose()).contains("\n  source locked for at most 0.04 s\n"));
    assert!(!says(&look()).contains("locked"));
}

#[test]
fn the_command_that_restores_is_quoted_and_names_a_store_that_is_not_the_default() {
    let outcome = samples::backup();
    let last = |store: &str, look: &Look| {
        let text = text::backup::backup(&outcome, &view(store, false, None), look);
        text.lines().last().unwrap().to_owned()
    };
    let words = "restore backup_20261123_211530 --to restored.db";
    assert_eq!(
        last("backups/", &look()),
        format!("Restore it with: larder {words}")
    );
    assert_eq!(
        last("/mnt/my backups", &look()),
        format!("Restore it with: larder {words} --store '/mnt/my backups'")
    );
    let elsewhere = Look {
        default_store: false,
        program: "target/release/larder".into(),
        ..look()
    };
    assert_eq!(
        last("./backups", &elsewhere),
        format!("Restore it with: target/release/larder {words} --store ./backups")
    );
}

#[test]
fn a_list_has_aligned_columns() {
    let text = text::list::list(&samples::list(), Path::new(STORE), &look());
    insta::assert_snapshot!(text);
}

#[test]
fn an_empty_list_is_one_line() {
    let mut outcome = samples::list();
    outcome.snapshots.clear();
    outcome.store_bytes = 512;
    let text = text::list::list(&outcome, Path::new(STORE), &look());
    assert_eq!(
        text,
        "0 snapshots, 512 B in ./backups\nTake one with: larder backup DB\n"
    );
}

fn validated(outcome: &larder::ops::validate::ValidateOutcome, named: bool, look: &Look) -> String {
    let store = Path::new(STORE);
    text::validate::validate(outcome, &ValidateView { store, named }, look)
}

#[test]
fn a_validation_that_passes_has_a_line_per_snapshot() {
    insta::assert_snapshot!(validated(&samples::valid(), false, &look()));
}

#[test]
fn a_validation_of_one_snapshot_has_a_line_per_entity_file() {
    let mut outcome = samples::valid();
    outcome.snapshots.truncate(1);
    insta::assert_snapshot!(validated(&outcome, true, &look()));
}

#[test]
fn a_validation_names_damage_and_what_hangs_on_it() {
    insta::assert_snapshot!(validated(&samples::damaged(), false, &look()));
}

fn restored(outcome: &RestoreOutcome) -> String {
    restored_as(outcome, &RestoreOptions::default())
}

fn restored_as(outcome: &RestoreOutcome, options: &RestoreOptions) -> String {
    let view = RestoreView {
        store: Path::new(STORE),
        store_created: false,
        export: None,
        word: "latest".as_ref(),
        source_name: None,
        source: None,
        makes_store: false,
        encoding: TextEncoding::Utf8,
        options,
        interactive: false,
        saves: false,
    };
    text::restore::restore(outcome, &view, &look())
}

#[test]
fn a_plan_says_what_would_happen_and_that_nothing_did() {
    let mut plan = samples::restored();
    plan.dry_run = true;
    plan.safety_snapshot = None;
    insta::assert_snapshot!(restored(&plan));
}

#[test]
fn a_restore_says_what_it_did_and_how_to_go_back() {
    insta::assert_snapshot!(restored(&samples::restored()));
}

#[test]
fn a_restore_to_a_new_file_counts_files_and_records() {
    let mut outcome = samples::restored();
    outcome.new_file = true;
    outcome.target_bytes = None;
    outcome.safety_snapshot = None;
    insta::assert_snapshot!(restored(&outcome));
}

#[test]
fn a_replacement_says_what_it_deletes() {
    let mut plan = samples::restored();
    plan.dry_run = true;
    plan.mode = Mode::Replace;
    plan.safety_snapshot = None;
    plan.tables[0].deleted = 410;
    insta::assert_snapshot!(restored(&plan));
}

#[test]
fn a_restore_that_stops_on_conflicts_names_them() {
    insta::assert_snapshot!(restored(&samples::conflicts()));
}

#[test]
fn a_restore_with_a_snapshot_of_its_result_is_taken_back_with_undo() {
    insta::assert_snapshot!(restored(&samples::remapped()));
}

#[test]
fn a_plan_says_which_records_get_new_ids_and_why_others_are_left_out() {
    let mut plan = samples::remapped();
    plan.dry_run = true;
    plan.safety_snapshot = None;
    insta::assert_snapshot!(restored(&plan));
}

#[test]
fn a_plan_without_safety_says_so() {
    let mut plan = samples::restored();
    plan.dry_run = true;
    let options = RestoreOptions {
        no_safety_snapshot: true,
        fire_triggers: true,
        ..RestoreOptions::default()
    };
    let text = restored_as(&plan, &options);
    assert!(text.contains("no safety snapshot is taken: it cannot be undone"));
    assert!(text.contains("the triggers of app.db fire"));
}

#[test]
fn missing_records_are_listed_with_what_decides_about_them() {
    insta::assert_snapshot!(restored(&samples::missing()));
}

#[test]
fn of_many_missing_records_the_first_are_named() {
    let mut outcome = samples::missing();
    let one = outcome.missing[0].clone();
    outcome.missing = vec![one; 1234];
    let text = restored(&outcome);
    assert_eq!(text.matches("\nmissing: ").count(), 10);
    assert!(text.contains("\n  and 1,224 more\n"), "{text}");
    assert!(
        text.contains("Nothing was written: 1,234 missing records.\n"),
        "{text}"
    );
}

#[test]
fn who_aborts_is_told_no_more_than_that() {
    let mut outcome = samples::missing();
    outcome.decisions = samples::decisions();
    outcome.decisions[0].choice = Choice::Abort;
    let text = restored(&outcome);
    assert_eq!(text, "Nothing was written, as was decided.\n");
}

/// What was said already, or does not help, is not said.
#[test]
fn what_lets_a_restore_go_on_is_what_helps_and_was_not_asked_for_yet() {
    use ConflictKind::{Circle, Doubtful, InTheWay, Orphan, Record, Refused};
    let options = RestoreOptions::default();
    let (mut skipped, mut forced, mut by_id) = (options.clone(), options.clone(), options.clone());
    skipped.on_conflict = OnConflict::Skip;
    forced.force = true;
    by_id.matching = Match::Id;
    let mut named = options.clone();
    named.scope.tables = vec!["ORDERS".into()];
    let cases: [(ConflictKind, &RestoreOptions, &[&str]); 12] = [
        (Record, &options, &["--on-conflict skip"]),
        (Record, &skipped, &[]),
        (Doubtful, &options, &["--on-conflict skip", "--match id"]),
        (Doubtful, &skipped, &["--match id"]),
        (Doubtful, &by_id, &["--on-conflict skip"]),
        (Orphan, &options, &["--force"]),
        (Orphan, &forced, &[]),
        (InTheWay, &options, &["--exclude-table orders"]),
        (InTheWay, &named, &[]),
        (Circle, &options, &["--match id"]),
        (Circle, &by_id, &[]),
        (Refused, &options, &[]),
    ];
    for (kind, options, flags) in cases {
        let mut outcome = samples::conflicts();
        outcome.conflicts[0].kind = kind;
        let text = restored_as(&outcome, options);
        let offered = text.lines().filter(|line| line.starts_with("  --"));
        let offered: Vec<&str> = offered
            .map(|line| line.trim_start().split("  ").next().unwrap())
            .collect();
        assert_eq!(offered, flags, "{kind:?}: {text}");
    }
}

#[test]
fn what_decides_about_missing_records_is_what_helps_and_was_not_given() {
    let offered = |outcome: &RestoreOutcome, options: &RestoreOptions, interactive, saves| {
        let view = RestoreView {
            store: Path::new(STORE),
            store_created: false,
            export: None,
            word: "latest".as_ref(),
            source_name: None,
            source: None,
            makes_store: false,
            encoding: TextEncoding::Utf8,
            options,
            interactive,
            saves,
        };
        let text = text::restore::restore(outcome, &view, &look());
        let mut lines = text.lines().map(str::to_owned);
        lines.find(|line| line == "To go on, add to the command:");
        let flags = lines.map(|line| line.trim_start().split("  ").next().unwrap().to_owned());
        flags.collect::<Vec<String>>()
    };
    let options = RestoreOptions::default();
    let mut outcome = samples::missing();
    let [i, parents, create, skip, null, save, resolve] = [
        "-i",
        "--with-parents",
        "--on-missing create",
        "--on-missing skip",
        "--on-missing null",
        "--save-decisions FILE",
        "--resolve FILE",
    ];
    assert_eq!(
        offered(&outcome, &options, false, false),
        [i, create, skip, null, save, resolve]
    );
    let mut chosen = options.clone();
    chosen.scope.tables = vec!["orders".into()];
    assert_eq!(
        offered(&outcome, &chosen, true, true),
        [parents, create, skip, null, resolve]
    );
    chosen.scope.excluded = vec!["Customers".into(), "parts".into()];
    assert_eq!(
        offered(&outcome, &chosen, true, true),
        [create, skip, null, resolve]
    );
    let mut given = options.clone();
    given.decisions.others = Some(OnMissing::Null);
    given.scope.with_parents = true;
    assert_eq!(
        offered(&outcome, &given, false, true),
        [i, create, skip, resolve]
    );
    // What contradicts the database cannot be created either.
    outcome.missing[0].in_conflict = true;
    assert_eq!(
        offered(&outcome, &options, true, true),
        [skip, null, resolve]
    );
    let text = restored(&outcome);
    let said =
        "customers 12, whose record in the snapshot is in conflict with app.db, and left out (";
    assert!(text.contains(said), "{text}");
}

#[test]
fn what_is_made_is_told_before_and_after() {
    let mut outcome = samples::restored();
    let made = [
        (ObjectKind::Table, "a"),
        (ObjectKind::Table, "b"),
        (ObjectKind::Index, "a_x"),
    ];
    outcome.made = made
        .map(|(kind, name)| Made {
            kind,
            name: name.into(),
        })
        .into();
    let text = restored(&outcome);
    assert!(
        text.contains("\n  made: tables a, b; index a_x\n"),
        "{text}"
    );
    outcome.dry_run = true;
    let text = restored(&outcome);
    let said = "\n  to be made, the database lacks them: tables a, b; index a_x\n";
    assert!(text.contains(said), "{text}");
}

#[test]
fn conflicts_that_are_skipped_stop_nothing() {
    let mut outcome = samples::conflicts();
    outcome.tables[1].skipped = 12;
    outcome.tables[1].left_out.conflicting = 12;
    let text = restored(&outcome);
    assert!(text.contains("12 in conflict"), "{text}");
    assert!(text.contains("conflict: orders 77: "), "{text}");
    assert!(text.contains("\nRestored "), "{text}");
}

#[test]
fn names_cannot_move_the_cursor_or_break_a_line() {
    let mut outcome = samples::backup();
    outcome.entities[1].file = "a\nb\u{202e}\u{1b}[2J.json".into();
    outcome.snapshot.name = "x\u{7}".into();
    let text = text::backup::backup(&outcome, &view(STORE, false, None), &look());
    assert!(text.contains(r"a\nb\u{202e}\u{1b}[2J.json"), "{text}");
    let hidden = |c: char| c != '\n' && larder::cli::render::escape::is_hidden(c);
    assert!(!text.contains(hidden), "{text}");
    let mut outcome = samples::missing();
    outcome.conflicts = samples::conflicts().conflicts;
    let evil = "a\nb\u{202e}\u{1b}[2J";
    outcome.conflicts[0].values = vec![evil.into()];
    outcome.missing[0].parent = evil.into();
    outcome.missing[0].examples = vec![evil.into()];
    outcome.tables[0].table = evil.into();
    outcome.tables[0].remapped = 1;
    outcome.tables[0].carried = 1;
    let text = restored(&outcome);
    assert!(text.matches(r"a\nb\u{202e}\u{1b}[2J").count() > 5, "{text}");
    assert!(!text.contains(hidden), "{text}");
}
