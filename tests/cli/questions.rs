//! Questions at a real terminal: keys are pressed, and what is shown is read.
//!
//! The first tests ask one question in a process of its own, the others run the program.

use std::process::Command;

use larder::cli::prompt::{Dialogue as _, Terminal};
use larder::cli::questions::Questions;
use larder::error::Error;
use larder::model::text::TextEncoding;
use larder::model::value::Value;
use larder::ops::restore::{Candidate, Candidates, Decider as _};

use crate::restore_decisions::{ORDERS, ORDERS_ALONE, shop};
use crate::samples;
use crate::terminal::{Ended, Session};
use crate::workplace::Workplace;

const ASKED: &str = "LARDER_TEST_ASKED";

/// This program, where it does nothing but ask.
fn asking() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "questions::asked_in_a_process_of_its_own",
            "--nocapture",
        ])
        .env(ASKED, "1");
    command
}

struct Rows;

impl Candidates for Rows {
    fn like(&mut self, text: &str, _max: usize) -> Result<Vec<Candidate>, Error> {
        let row = |id: i64, name: &str| Candidate {
            key: vec![Value::Integer(id)],
            row: vec![
                ("id".into(), Value::Integer(id)),
                ("name".into(), Value::Text(name.into())),
            ],
        };
        Ok(match text {
            "größe" => vec![row(40, "Größe"), row(71, "Große")],
            _ => Vec::new(),
        })
    }
}

/// The child: one question, its answer to stdout.
#[test]
fn asked_in_a_process_of_its_own() {
    if std::env::var_os(ASKED).is_none() {
        return;
    }
    let mut terminal = Terminal::open().unwrap();
    let _ = terminal.say("begin\n");
    let mut questions = Questions::new(terminal, "app.db".into(), TextEncoding::Utf8);
    let missing = &samples::missing().missing[0];
    let decided = questions.decide(missing, &mut Rows);
    println!("decided {:?}, ended {:?}.", decided.ok(), questions.ended());
}

const FIRST: &str =
    "orders.customer_id refers to customers 12, which app.db does not have (3 records: 5, 9, 31)";

#[track_caller]
fn assert_decided(ended: &Ended, answer: &str) {
    assert_eq!(ended.code, 0, "{}\n{}", ended.screen, ended.out);
    let line = ended.out.lines().find(|line| line.contains("decided "));
    let line = line.unwrap_or_default();
    assert!(line.contains(answer), "{line}\n{}", ended.screen);
    let on_stdout = ended.out.contains("search") || ended.out.contains("[m]");
    assert!(!on_stdout, "questions are in the report:\n{}", ended.out);
}

#[test]
fn letters_can_be_corrected_before_they_count() {
    let mut session = Session::start(&asking());
    session.expect(FIRST);
    session.answer("> ", "x\u{7f}m");
    session.answer("search customers: ", "größer\u{7f}");
    session.expect("1)  40  Größe");
    session.answer("(Enter: back): ", "2");
    assert_decided(&session.end(), "Some(Some(Map([Integer(71)])))");
}

#[test]
fn enter_takes_what_the_snapshot_has() {
    let mut session = Session::start(&asking());
    session.answer("> ", "");
    assert_decided(&session.end(), "Some(Some(Create([])))");
}

#[test]
fn ctrl_c_and_the_end_of_input_end_the_questions_wherever_they_are() {
    for (keys, ended) in [("\u{3}", "Interrupted"), ("\u{4}", "EndOfInput")] {
        let mut session = Session::start(&asking());
        session.expect("> ");
        session.press(keys);
        assert_decided(
            &session.end(),
            &format!("decided None, ended Some({ended})"),
        );
        let mut session = Session::start(&asking());
        session.answer("> ", "m");
        session.expect("search customers: ");
        session.press(keys);
        assert_decided(
            &session.end(),
            &format!("decided None, ended Some({ended})"),
        );
    }
}

/// A terminal that cannot move the cursor, as in an editor.
#[test]
fn a_simple_terminal_is_enough() {
    let mut command = asking();
    command.env("TERM", "dumb");
    let mut session = Session::start(&command);
    session.expect(FIRST);
    session.answer("> ", "m");
    session.answer("search customers: ", "größe");
    session.answer("(Enter: back): ", "1");
    assert_decided(&session.end(), "Some(Some(Map([Integer(40)])))");
    let mut session = Session::start(&command);
    session.expect("> ");
    session.press("\u{4}");
    assert_decided(&session.end(), "ended Some(EndOfInput)");
}

/// The shop's orders, restored with questions.
fn restore(place: &Workplace, more: &[&str]) -> Session {
    let mut command = place.std_command();
    command.args(ORDERS_ALONE).arg("-i").args(more);
    Session::start(&command)
}

#[test]
fn nothing_is_asked_where_nothing_is_missing() {
    let place = Workplace::backed_up();
    place.sql("app.db", "DELETE FROM suppliers WHERE rowid = 1");
    let mut command = place.std_command();
    command.args(["restore", "latest", "--to", "app.db", "-i"]);
    let ended = Session::start(&command).end();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(ended.out.contains("1 record inserted"), "{}", ended.out);
}

#[test]

fn what_is_answered_is_restored() {
    let place = shop();
    let mut session = restore(&place, &["--save-decisions", "d.json"]);
    session.expect(" refers to customers 12, which app.db does not have (3 records: ");
    session.expect("[c] create it from the snapshot: id 12, name \"Ada Klein\"");
    session.answer("> ", "m");
    session.answer("search customers: ", "klein");
    session.expect("Ada Klein-Berg");
    session.answer("(Enter: back): ", "1");
    session.expect(" refers to customers 13, ");
    session.answer("> ", "");
    let ended = session.end();
    assert_eq!(ended.code, 0, "{}\n{}", ended.screen, ended.out);
    assert!(!ended.out.contains("[c]"), "{}", ended.out);
    assert_eq!(place.count("app.db", ORDERS), 5);
    let customers = "SELECT count(*) FROM customers WHERE id IN (12, 13)";
    assert_eq!(place.count("app.db", customers), 1);
    // The answers, replayed without a terminal, do the same.
    place.sql(
        "app.db",
        "DELETE FROM orders; DELETE FROM customers WHERE id < 40",
    );
    place.ok(&[&ORDERS_ALONE[..], &["--resolve", "d.json"]].concat());
    assert_eq!(place.count("app.db", ORDERS), 5);
    assert_eq!(place.count("app.db", customers), 1);
}

#[test]

fn a_row_of_given_values_is_inserted() {
    let place = shop();
    let mut session = restore(&place, &[]);
    // What cannot be is asked for again.
    for row in [&["foo=3"][..], &["email=berg@example.org", "id=3"]] {
        session.answer("> ", "v");
        session.answer("  name (Enter: back): ", "Eva");
        for column in row {
            session.answer("no more): ", column);
        }
        session.answer("no more): ", "");
        session.expect(match row.len() {
            1 => "That cannot be: customers has no column \"foo\".",
            _ => "refers to customers 13, ",
        });
    }
    session.answer("> ", "s");
    let ended = session.end();
    assert_eq!(ended.code, 0, "{}\n{}", ended.screen, ended.out);
    let eva =
        "SELECT count(*) FROM customers WHERE id = 12 AND name = 'Eva' AND email LIKE 'berg@%'";
    assert_eq!(place.count("app.db", eva), 1);
    assert_eq!(place.count("app.db", ORDERS), 4);
}

/// What a file of decisions leaves open is asked.
#[test]

fn what_a_file_leaves_open_is_asked() {
    let place = shop();
    place.code(
        5,
        &[&ORDERS_ALONE[..], &["--save-decisions", "d.json"]].concat(),
    );
    let text = std::fs::read_to_string(place.path("d.json")).unwrap();
    std::fs::write(
        place.path("d.json"),
        text.replacen("\"choice\": null", "\"choice\": \"skip\"", 1),
    )
    .unwrap();
    let mut session = restore(&place, &["--resolve", "d.json"]);
    session.expect(" refers to customers 13, ");
    session.answer("> ", "");
    let ended = session.end();
    assert_eq!(ended.code, 0, "{}\n{}", ended.screen, ended.out);
    assert_eq!(place.count("app.db", ORDERS), 2);
}

/// What was answered before is kept.
#[test]

fn an_abort_writes_nothing_and_answers_are_kept() {
    let place = shop();
    let mut session = restore(&place, &["--save-decisions", "d.json"]);
    session.answer("> ", "s");
    session.expect(" refers to customers 13, ");
    session.answer("> ", "a");
    let ended = session.end();
    assert_eq!(ended.code, 5, "{}\n{}", ended.screen, ended.out);
    let saved = std::fs::read_to_string(place.path("d.json")).unwrap();
    assert!(saved.contains("\"choice\": \"skip\""), "{saved}");
    assert_eq!(place.count("app.db", ORDERS), 1);
}

#[test]

fn stopped_at_a_question_nothing_is_written_and_answers_are_kept() {
    for (keys, code, said) in [
        ("\u{3}", 130, "stopped at a question; nothing was written"),
        (
            "\u{4}",
            1,
            "the input ended before all was decided; nothing was written",
        ),
    ] {
        let place = shop();
        let mut session = restore(&place, &["--save-decisions", "d.json"]);
        session.answer("> ", "s");
        session.expect(" refers to customers 13, ");
        session.expect("> ");
        session.press(keys);
        session.expect(said);
        session.expect("d.json: 1 decision saved");
        let ended = session.end();
        assert_eq!(ended.code, code, "{}", ended.screen);
        assert_eq!(place.count("app.db", ORDERS), 1);
        // Only the other one is asked about then.
        let more = ["--resolve", "d.json", "--save-decisions", "d.json"];
        let mut session = restore(&place, &more);
        session.expect(" refers to customers 13, ");
        session.answer("> ", "");
        assert_eq!(session.end().code, 0);
        assert_eq!(place.count("app.db", ORDERS), 2);
    }
}

#[test]
fn who_aborts_is_told_that_nothing_was_written() {
    let place = shop();
    let mut session = restore(&place, &[]);
    session.answer("> ", "a");
    let ended = session.end();
    assert_eq!(ended.code, 5, "{}", ended.screen);
    assert_eq!(ended.out, "Nothing was written, as was decided.\n");
    assert_eq!(place.count("app.db", ORDERS), 1);
}

#[test]
fn who_aborts_writes_nothing_and_the_report_stays_json() {
    let place = shop();
    let mut session = restore(&place, &["--json"]);
    session.answer("> ", "a");
    let ended = session.end();
    assert_eq!(ended.code, 5, "{}", ended.screen);
    let last = ended.out.lines().last().unwrap();
    let document: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(document["written"], false);
    assert_eq!(document["decisions"][0]["choice"], "abort");
    assert_eq!(place.count("app.db", ORDERS), 1);
}

#[test]

fn a_plan_can_be_made_by_answering() {
    let place = shop();
    let mut session = restore(&place, &["-n"]);
    session.answer("> ", "C");
    let ended = session.end();
    assert_eq!(ended.code, 0, "{}", ended.screen);
    assert!(ended.out.contains("2 created"), "{}", ended.out);
    assert!(
        ended.out.ends_with("Nothing was written (dry run).\n"),
        "{}",
        ended.out
    );
    assert_eq!(place.count("app.db", ORDERS), 1);
}
