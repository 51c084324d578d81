use std::collections::VecDeque;

use super::*;
use crate::ops::restore::Candidate;

/// Somebody whose answers are known beforehand.
#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<&'static str>,
    shown: String,
}

impl Dialogue for Script {
    fn say(&mut self, text: &str) -> Result<(), Ended> {
        self.shown.push_str(text);
        Ok(())
    }

    fn ask(&mut self, prompt: &str) -> Result<String, Ended> {
        self.shown.push_str(prompt);
        let answer = self.answers.pop_front().ok_or(Ended::EndOfInput)?;
        self.shown.push_str(answer);
        self.shown.push('\n');
        Ok(answer.to_owned())
    }
}

/// Customers, and what was searched for.
#[derive(Default)]
struct Rows(Vec<String>);

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

impl Candidates for Rows {
    fn like(&mut self, text_: &str, max: usize) -> Result<Vec<Candidate>, Error> {
        self.0.push(format!("{text_} {max}"));
        let row = |id: i64, name: &str, mail: &str| Candidate {
            key: vec![Value::Integer(id)],
            row: vec![
                ("id".into(), Value::Integer(id)),
                ("name".into(), text(name)),
                ("email".into(), text(mail)),
            ],
        };
        Ok(match text_ {
            "klein" => vec![
                row(40, "Ada Klein-Berg", "ada@example.org"),
                row(71, "Max Klein", "max@example.org"),
            ],
            _ => Vec::new(),
        })
    }
}

fn missing(id: i64) -> Missing {
    Missing {
        table: "orders".into(),
        columns: vec!["customer_id".into()],
        parent: "customers".into(),
        parent_columns: vec!["id".into()],
        values: vec![Value::Integer(id)],
        records: 3,
        examples: vec!["5".into(), "9".into(), "31".into()],
        record: Some(vec![
            ("id".into(), Value::Integer(id)),
            ("name".into(), text("Ada Klein")),
            ("email".into(), text("ada@example.org")),
        ]),
        in_conflict: false,
        nullable: false,
        required: vec!["name".into()],
    }
}

fn questions(answers: &[&'static str]) -> Questions<Script> {
    let script = Script {
        answers: answers.iter().copied().collect(),
        shown: String::new(),
    };
    Questions::new(script, "app.db".into(), TextEncoding::Utf8)
}

/// What is decided about one value, and all that was said.
fn asked(missing: &Missing, answers: &[&'static str]) -> (Option<Choice>, String) {
    let mut questions = questions(answers);
    let choice = questions.decide(missing, &mut Rows::default());
    assert_eq!(choice.is_err(), questions.ended().is_some());
    let left = &questions.dialogue.answers;
    assert!(left.is_empty(), "not asked for: {left:?}");
    (choice.ok().flatten(), questions.dialogue.shown)
}

fn choice(missing: &Missing, answers: &[&'static str]) -> Option<Choice> {
    asked(missing, answers).0
}

#[test]
fn a_question_says_what_refers_to_what_and_what_can_be_done() {
    let (choice, shown) = asked(&missing(12), &["m", "klein", "1"]);
    assert_eq!(choice, Some(Choice::Map(vec![Value::Integer(40)])));
    insta::assert_snapshot!(shown, @r#"
    orders.customer_id refers to customers 12, which app.db does not have (3 records: 5, 9, 31)
      [c] create it from the snapshot: id 12, name "Ada Klein", email "ada@example.org"   (Enter)
      [v] create it with values that you give
      [m] map to an existing row   [s] skip the 3 records   [a] abort, write nothing
      C or S: the same for all further values of this reference
    > m
      search customers: klein
          id  name            email
      1)  40  Ada Klein-Berg  ada@example.org
      2)  71  Max Klein       max@example.org
      number, or another search (Enter: back): 1
    "#);
}

#[test]
fn enter_creates_what_the_snapshot_has_and_nothing_else() {
    assert_eq!(choice(&missing(12), &[""]), Some(Choice::Create(vec![])));
    assert_eq!(choice(&missing(12), &[" c "]), Some(Choice::Create(vec![])));
    let mut unknown = missing(12);
    unknown.record = None;
    let (choice, shown) = asked(&unknown, &["", "x", "s"]);
    assert_eq!(choice, Some(Choice::Skip));
    assert!(
        shown.contains("the snapshot does not have it either"),
        "{shown}"
    );
    assert!(shown.contains("Answer with c, m, s or a."), "{shown}");
    assert!(shown.contains("\"x\" is no answer here"), "{shown}");
}

#[test]
fn null_is_offered_only_where_it_can_be() {
    let (no, shown) = asked(&missing(12), &["n", "a"]);
    assert_eq!(no, Some(Choice::Abort));
    assert!(!shown.contains("NULL"), "{shown}");
    let mut nullable = missing(12);
    nullable.nullable = true;
    let (yes, shown) = asked(&nullable, &["n"]);
    assert_eq!(yes, Some(Choice::Null));
    assert!(shown.contains("[n] refer to nothing (NULL)"), "{shown}");
}

#[test]
fn a_search_can_be_repeated_and_left() {
    let map = |id| Some(Choice::Map(vec![Value::Integer(id)]));
    assert_eq!(choice(&missing(12), &["m", "groß", "klein", "2"]), map(71));
    // A number that is none of the rows is searched for.
    assert_eq!(
        choice(&missing(12), &["m", "klein", "3", "klein", "1"]),
        map(40)
    );
    assert_eq!(
        choice(&missing(12), &["m", "klein", "0", "", "s"]),
        Some(Choice::Skip)
    );
    let (left, shown) = asked(&missing(12), &["m", "", "s"]);
    assert_eq!(left, Some(Choice::Skip));
    assert_eq!(shown.matches("which app.db does not have").count(), 2);
}

#[test]
fn a_row_of_given_values_has_all_that_it_needs() {
    let answers = [
        "v",
        "",
        "v",
        "NULL",
        "Ada",
        "name=Eva",
        "id=3",
        "nothing",
        "zip=01234",
        "",
    ];
    let (choice, shown) = asked(&missing(12), &answers);
    let row = vec![
        ("name".to_owned(), text("Ada")),
        ("zip".to_owned(), text("01234")),
    ];
    assert_eq!(choice, Some(Choice::Create(row)));
    for said in [
        "name (Enter: back)",
        "cannot be NULL",
        "name has its value",
        "id has its value",
        "Not understood",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}

#[test]
fn a_capital_letter_answers_for_the_rest_of_the_reference() {
    let mut questions = questions(&["S", "c", "C", "m", "klein", "1"]);
    let mut decide = |missing: &Missing| {
        let choice = questions.decide(missing, &mut Rows::default());
        choice.unwrap().unwrap()
    };
    assert_eq!(decide(&missing(1)), Choice::Skip);
    assert_eq!(decide(&missing(2)), Choice::Skip);
    // Another reference is asked about.
    let mut other = missing(3);
    other.columns = vec!["payer_id".into()];
    assert_eq!(decide(&other), Choice::Create(vec![]));
    assert_eq!(decide(&other), Choice::Create(vec![]));
    assert_eq!(decide(&other), Choice::Create(vec![]));
    // What cannot be created from the snapshot is asked about all the same.
    other.record = None;
    assert_eq!(decide(&other), Choice::Map(vec![Value::Integer(40)]));
    assert_eq!(questions.given().len(), 6);
}

#[test]
fn what_ends_before_it_is_answered_decides_nothing() {
    for answers in [&[][..], &["m"], &["m", "klein"], &["v"], &["v", "Ada"]] {
        let mut questions = questions(answers);
        let decided = questions.decide(&missing(12), &mut Rows::default());
        assert!(matches!(decided, Err(Error::Cancelled)));
        assert!(matches!(questions.ended(), Some(Ended::EndOfInput)));
        assert!(questions.given().is_empty());
    }
}

#[test]
fn several_columns_and_many_records_are_shown_short() {
    let mut wide = missing(12);
    wide.columns = vec!["order_id".into(), "no".into()];
    wide.values = vec![Value::Integer(5), text("a\u{1b}[2J")];
    wide.records = 1200;
    let (_, shown) = asked(&wide, &["a"]);
    let first = shown.lines().next().unwrap();
    assert_eq!(
        first,
        "orders.(order_id, no) refers to customers (5, \"a\\u{1b}[2J\"), which app.db does not have \
         (1,200 records: 5, 9, 31, …)"
    );
}
