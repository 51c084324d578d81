use super::*;
use crate::model::schema::{Column, ColumnKind};
use crate::model::value::{LongClass, Spilled, Value};
use crate::ops::export::tests::{MapBlobs, build, records_of, table};
use crate::ops::export::text::TextEncoding;
use crate::progress::{NoProgress, Progress, Unit};
use crate::tree::large;
use base64::Engine as _;

fn bytes_in(form: RecordForm, table: &Table, rows: &[(i64, Vec<Value>)]) -> Vec<u8> {
    let mut blobs = MapBlobs::default();
    let root = build(&mut blobs, table, rows);
    let mut out = Vec::new();
    let mut values = Values {
        source: &blobs,
        encoding: TextEncoding::Utf8,
        progress: &mut NoProgress,
    };
    write_records(table, root.as_ref(), form, &mut values, &mut out).unwrap();
    out
}

fn text_in(form: RecordForm, table: &Table, rows: &[(i64, Vec<Value>)]) -> String {
    String::from_utf8(bytes_in(form, table, rows)).unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.as_bytes().to_vec())
}

/// The ancestor's layout, byte for byte.
#[test]
fn a_document_has_the_ancestors_layout() {
    let table = table("labels", &["name", "id", "label"], Some(1));
    let rows = [
        (1, vec![text("Crème"), Value::Blob(b"abc".to_vec())]),
        (7, vec![Value::Null, Value::Real(2.0)]),
    ];
    let expected = r#"{
  "version": "1.0",
  "entity_type": "labels",
  "records": [
    {
      "name": "Crème",
      "id": 1,
      "label": {
        "$blob": "YWJj"
      }
    },
    {
      "name": null,
      "id": 7,
      "label": 2.0
    }
  ]
}"#;
    assert_eq!(text_in(RecordForm::Document, &table, &rows), expected);
    let empty = "{\n  \"version\": \"1.0\",\n  \"entity_type\": \"labels\",\n  \"records\": []\n}";
    assert_eq!(text_in(RecordForm::Document, &table, &[]), empty);
}

#[test]
fn lines_hold_one_record_each() {
    let mut table = table("t \"x\"", &["id", "a\"b", "virtual", "stored"], Some(0));
    table.columns[2].kind = ColumnKind::GeneratedVirtual;
    table.columns[3].kind = ColumnKind::GeneratedStored;
    let rows = [
        (-1, vec![text("line\nbreak\u{2028}"), Value::Integer(2)]),
        (3, vec![Value::Real(f64::INFINITY), Value::Null]),
    ];
    assert_eq!(
        text_in(RecordForm::Lines, &table, &rows),
        "{\"id\":-1,\"a\\\"b\":\"line\\nbreak\u{2028}\",\"stored\":2}\n\
         {\"id\":3,\"a\\\"b\":{\"$real\":\"Infinity\"},\"stored\":null}\n"
    );
    assert_eq!(text_in(RecordForm::Lines, &table, &[]), "");
}

#[test]
fn a_rowid_that_is_no_column_is_no_part_of_a_record() {
    let table = table("bare", &["a"], None);
    let rows = [(5, vec![Value::Integer(1)])];
    assert_eq!(text_in(RecordForm::Lines, &table, &rows), "{\"a\":1}\n");
}

/// In documents it is told where a reader would not guess it: a table read again has the same rowids.
#[test]
fn a_document_tells_hidden_rowids_where_they_do_not_count_on() {
    let table = table("bare", &["a", "$rowid"], None);
    let value = |n| vec![Value::Integer(n), Value::Null];
    let rows = [1, 2, 7, 8].map(|rowid| (rowid, value(rowid)));
    let document = bytes_in(RecordForm::Document, &table, &rows);
    let told: Vec<Option<i64>> = records_of(&document)
        .iter()
        .map(|record| record.get("$$rowid").and_then(serde_json::Value::as_i64))
        .collect();
    assert_eq!(told, [None, None, Some(7), None]);
    let ends = [
        (i64::MIN, value(0)),
        (-1, value(1)),
        (0, value(2)),
        (i64::MAX, value(3)),
    ];
    let document = String::from_utf8(bytes_in(RecordForm::Document, &table, &ends)).unwrap();
    let told: Vec<&str> = document
        .lines()
        .filter(|line| line.contains("$$"))
        .collect();
    assert_eq!(
        told,
        [
            "      \"$$rowid\": -9223372036854775808,",
            "      \"$$rowid\": -1,",
            "      \"$$rowid\": 9223372036854775807,"
        ]
    );
}

#[test]
fn csv_tells_null_from_empty_text() {
    let two = table("t", &["id", "a,b"], Some(0));
    let rows = [
        (1, vec![Value::Null]),
        (2, vec![text("")]),
        (3, vec![text("say \"hi\"")]),
        (4, vec![Value::Blob(vec![0, 255])]),
        (5, vec![Value::Real(f64::NEG_INFINITY)]),
    ];
    assert_eq!(
        text_in(RecordForm::Csv, &two, &rows),
        "id,\"a,b\"\r\n1,\r\n2,\"\"\r\n3,\"say \"\"hi\"\"\"\r\n4,AP8=\r\n5,-Infinity\r\n"
    );
    let one = table("t", &["a"], None);
    let rows = [(1, vec![Value::Null]), (2, vec![Value::Integer(3)])];
    assert_eq!(text_in(RecordForm::Csv, &one, &rows), "a\r\n\"\"\r\n3\r\n");
}

fn spilled(blobs: &mut MapBlobs, class: LongClass, content: &[u8]) -> Spilled {
    large::store(class, &mut &content[..], MapBlobs::hash(), blobs).unwrap()
}

/// Spilled values of every class come out as inline ones would, in all forms.
#[test]
fn large_values_are_written_like_small_ones() {
    let long = "ä\"\\\n€🦀".repeat(200_000);
    let mut broken = long.clone().into_bytes();
    broken.push(0xff);
    let mut cut_off = long.clone().into_bytes();
    cut_off.pop();
    let bytes: Vec<u8> = (0..3_000_001_u32)
        .map(|n| n.to_le_bytes()[0] ^ 0x5a)
        .collect();
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut blobs = MapBlobs::default();
    let row = vec![
        Value::Spilled(spilled(&mut blobs, LongClass::Text, long.as_bytes())),
        Value::Spilled(spilled(&mut blobs, LongClass::Text, &broken)),
        Value::Spilled(spilled(&mut blobs, LongClass::Text, &cut_off)),
        Value::Spilled(spilled(&mut blobs, LongClass::Blob, &bytes)),
    ];
    let table = table("t", &["long", "broken", "cut", "blob"], None);
    let root = build(&mut blobs, &table, &[(1, row)]);
    let write = |form| {
        let mut out = Vec::new();
        let mut values = Values {
            source: &blobs,
            encoding: TextEncoding::Utf8,
            progress: &mut NoProgress,
        };
        write_records(&table, root.as_ref(), form, &mut values, &mut out).unwrap();
        out
    };
    let expected = serde_json::json!({
        "long": long,
        "broken": {"$text": base64(&broken)},
        "cut": {"$text": base64(&cut_off)},
        "blob": {"$blob": base64(&bytes)},
    });
    let document = write(RecordForm::Document);
    assert_eq!(records_of(&document), std::slice::from_ref(&expected));
    let line: serde_json::Value = serde_json::from_slice(&write(RecordForm::Lines)).unwrap();
    assert_eq!(line, expected);
    let csv = format!(
        "long,broken,cut,blob\r\n\"{}\",{},{},{}\r\n",
        long.replace('"', "\"\""),
        base64(&broken),
        base64(&cut_off),
        base64(&bytes)
    );
    assert!(write(RecordForm::Csv) == csv.as_bytes());
}

/// Counts, and keeps nothing.
#[derive(Default)]
struct Counting {
    bytes: u64,
    largest: usize,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes += bytes.len() as u64;
        self.largest = self.largest.max(bytes.len());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// 300 MB of zeros share a few chunks in the store; written out they pass in small pieces.
#[test]
fn a_value_of_300_mb_is_written_in_small_pieces() {
    let length = 300_000_000;
    let mut blobs = MapBlobs::default();
    let mut zeros = std::io::Read::take(std::io::repeat(0), length);
    let large = large::store(LongClass::Blob, &mut zeros, MapBlobs::hash(), &mut blobs).unwrap();
    let mut out = Counting::default();
    let mut values = Values {
        source: &blobs,
        encoding: TextEncoding::Utf8,
        progress: &mut NoProgress,
    };
    values
        .json(ValueRef::Spilled(large), Layout::Compact, &mut out)
        .unwrap();
    let around = r#"{"$blob":""}"#.len() as u64;
    assert_eq!(out.bytes, length.div_ceil(3) * 4 + around);
    assert!(out.largest <= 64 << 10, "{} bytes at once", out.largest);
}

/// Says stop after so many questions.
struct StopAfter(std::cell::Cell<u32>);

impl Progress for StopAfter {
    fn phase(&mut self, _: &str, _: u64, _: Unit) {}
    fn cancelled(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn a_large_value_can_be_stopped_within() {
    let mut blobs = MapBlobs::default();
    let large = spilled(&mut blobs, LongClass::Blob, &[7; 1_000_000]);
    let mut values = Values {
        source: &blobs,
        encoding: TextEncoding::Utf8,
        progress: &mut StopAfter(std::cell::Cell::new(4)),
    };
    let mut out = Counting::default();
    let result = values.json(ValueRef::Spilled(large), Layout::Compact, &mut out);
    assert!(matches!(result, Err(WriteError::Cancelled)));
    assert!(out.bytes < 500_000);
}

#[test]
fn a_large_value_of_another_length_is_damage() {
    let mut blobs = MapBlobs::default();
    let large = spilled(&mut blobs, LongClass::Blob, &vec![7; 3_000_000]);
    assert!(large.level > 0);
    for bytes in [large.bytes - 1, large.bytes + 1, 20_000] {
        let wrong = Spilled { bytes, ..large };
        let mut values = Values {
            source: &blobs,
            encoding: TextEncoding::Utf8,
            progress: &mut NoProgress,
        };
        let mut out = Counting::default();
        let result = values.json(ValueRef::Spilled(wrong), Layout::Compact, &mut out);
        let Err(WriteError::Blob(error)) = result else {
            panic!("{bytes} bytes were written");
        };
        assert_eq!(
            (error.why, error.id),
            (crate::format::blob::BlobErrorKind::Damaged, large.root)
        );
    }
}

#[test]
fn a_record_has_the_columns_that_are_stored() {
    let mut table = table("t", &["a"], None);
    table.columns.push(Column {
        name: "h".to_owned(),
        declared_type: String::new(),
        not_null: false,
        default: None,
        kind: ColumnKind::Hidden,
    });
    let names: Vec<String> = fields_of(&table)
        .unwrap()
        .into_iter()
        .map(|f| f.name)
        .collect();
    assert_eq!(names, ["a"]);
}
