use super::*;

const UTF8: TextEncoding = TextEncoding::Utf8;

fn decision(values: Vec<Value>, choice: Choice) -> Decision {
    let columns = (0..values.len()).map(|n| format!("c{n}")).collect();
    Decision {
        table: "orders".into(),
        columns,
        parent: "customers".into(),
        values,
        choice,
    }
}

fn missing(values: Vec<Value>) -> Missing {
    let of = decision(values, Choice::Skip);
    Missing {
        table: of.table,
        parent_columns: of.columns.clone(),
        columns: of.columns,
        parent: of.parent,
        values: of.values,
        records: 3,
        examples: Vec::new(),
        record: None,
        in_conflict: false,
        nullable: false,
        required: Vec::new(),
    }
}

/// Saves and reads again.
fn round(decided: &[Decision], encoding: TextEncoding) -> Vec<Decision> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.json");
    let saved = save(&path, false, decided, &[], encoding).unwrap();
    assert_eq!((saved.decided, saved.open), (decided.len(), 0));
    read(&path, encoding, false).unwrap()
}

fn failure(text: &str) -> String {
    parse(text, UTF8, false).unwrap_err()
}

fn entry(rest: &str) -> String {
    format!(r#"[{{"table":"t","columns":["a"],"parent":"p","values":[1],{rest}}}]"#)
}

#[test]
fn every_value_comes_back_bit_for_bit() {
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Integer(0),
        Value::Real(1.0),
        Value::Real(-0.0),
        Value::Real(0.1 + 0.2),
        Value::Real(1e16),
        Value::Real(5e-324),
        Value::Real(f64::MAX),
        Value::Real(f64::INFINITY),
        Value::Real(f64::NEG_INFINITY),
        Value::Text(b"".to_vec()),
        Value::Text("größe \"\u{0}\n\u{2028}🦀".into()),
        Value::Text(b"\xff\xc3".to_vec()),
        Value::Text(b"{\"$blob\": \"AA==\"}".to_vec()),
        Value::Blob(vec![]),
        Value::Blob(vec![0, 255, 34]),
    ];
    let decided: Vec<Decision> = values
        .into_iter()
        .map(|value| decision(vec![value.clone()], Choice::Map(vec![value])))
        .collect();
    let read = round(&decided, UTF8);
    for (a, b) in decided.iter().zip(&read) {
        assert_eq!(about_decision(a), about_decision(b));
        let (Choice::Map(a), Choice::Map(b)) = (&a.choice, &b.choice) else {
            panic!("{b:?}");
        };
        assert!(a[0].as_ref().identical(b[0].as_ref()), "{a:?} {b:?}");
    }
    assert_eq!(read.len(), decided.len());
}

#[test]
fn texts_of_utf_16_databases_come_back() {
    for encoding in [TextEncoding::Utf16le, TextEncoding::Utf16be] {
        for bytes in [
            values::encoded("größe🦀", encoding),
            vec![0x3d, 0xd8],
            vec![1, 2, 3],
        ] {
            let decided = [decision(vec![Value::Text(bytes)], Choice::Skip)];
            assert_eq!(round(&decided, encoding), decided);
        }
    }
}

#[test]
fn every_choice_comes_back() {
    let row = vec![
        ("name".to_owned(), Value::Text(b"Ada".to_vec())),
        ("zip".to_owned(), Value::Null),
    ];
    let choices = [
        Choice::Create(Vec::new()),
        Choice::Create(row),
        Choice::Map(vec![Value::Integer(40), Value::Text(b"x".to_vec())]),
        Choice::Skip,
        Choice::Null,
        Choice::Abort,
    ];
    let decided: Vec<Decision> = (0..)
        .zip(choices)
        .map(|(n, choice)| decision(vec![Value::Integer(n), Value::Integer(2)], choice))
        .collect();
    assert_eq!(round(&decided, UTF8), decided);
}

#[test]
fn what_is_not_decided_is_a_template_that_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.json");
    let decided = [decision(vec![Value::Integer(1)], Choice::Skip)];
    let (known, open) = (
        missing(vec![Value::Integer(1)]),
        missing(vec![Value::Integer(12)]),
    );
    let saved = save(&path, false, &decided, &[known, open], UTF8).unwrap();
    assert_eq!((saved.decided, saved.open, saved.too_long), (1, 1, 0));
    let text = files::read(&path).unwrap().unwrap();
    assert!(text.contains("\"choice\": null"), "{text}");
    let error = failure(&text);
    assert_eq!(
        error,
        "1 of 2 not decided yet (\"choice\": null): orders.c0 refers to customers 12"
    );
    let filled = parse(&text.replace("null", "\"skip\""), UTF8, false).unwrap();
    assert_eq!(filled.len(), 2);
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    let cases = [
        ("{}", "a list of decisions"),
        ("[{}]", "missing field `table`"),
        (&entry(r#""choice":"creat""#), "unknown variant `creat`"),
        (&entry(r#""choice":"skip","why":1"#), "unknown field `why`"),
        (&entry(r#""choice":"map""#), "\"to\": [40]"),
        (&entry(r#""choice":"map","to":[]"#), "\"to\": [40]"),
        (&entry(r#""choice":"map","to":[true]"#), "true is no value"),
        (
            &entry(r#""choice":"map","to":[18446744073709551615]"#),
            "larger than",
        ),
        (
            &entry(r#""choice":"map","to":[{"$blob":"?"}]"#),
            "expected a form",
        ),
        (
            &entry(r#""choice":"map","to":[{"$text":"AA==","$encoding":"UTF-16le"}]"#),
            "expected a form",
        ),
        (&entry(r#""choice":"skip","to":[1]"#), "\"map\" only"),
        (
            &entry(r#""choice":"map","to":[1],"row":{}"#),
            "\"create\" only",
        ),
        (
            &entry(r#""choice":"skip""#).replace("[1]", "[1,2]"),
            "one value for each",
        ),
        (&entry(r#""choice":null"#), "not decided yet"),
    ];
    for (text, expected) in cases {
        let error = failure(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    let twice = entry(r#""choice":"skip""#);
    let twice = format!("{},{}", &twice[..twice.len() - 1], &twice[1..]);
    assert!(failure(&twice).contains("entry 2 (t.a refers to p 1): it was decided before"));
}

#[test]
fn only_the_file_that_answers_come_from_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("1.json"), folder.path().join("2.json"));
    files::write(&one, "[]\n", false).unwrap();
    assert!(place(&one, Some(&one)).unwrap());
    assert!(place(&one, Some(&folder.path().join("./1.json"))).unwrap());
    assert!(place(&one, Some(&two)).is_err());
    assert!(place(&one, None).is_err());
    assert!(!place(&two, Some(&one)).unwrap());
}

#[test]
fn what_was_decided_before_stays_and_is_added_to() {
    let (one, two) = (vec![Value::Integer(1)], vec![Value::Real(1.0)]);
    let first = [decision(one.clone(), Choice::Skip)];
    let mut again = decision(one, Choice::Null);
    again.table = "ORDERS".into();
    let other = decision(two, Choice::Null);
    let all = together(&first, &[again, other.clone()]);
    assert_eq!(all, [first[0].clone(), other]);
}
