use super::*;
use crate::ops::export::tests::MapBlobs;
use crate::progress::NoProgress;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn written(value: ValueRef<'_>, encoding: TextEncoding, layout: Layout) -> String {
    let mut out = Vec::new();
    let mut values = Values {
        source: &MapBlobs::default(),
        encoding,
        progress: &mut NoProgress,
    };
    values.json(value, layout, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn compact(value: ValueRef<'_>) -> String {
    written(value, TextEncoding::Utf8, Layout::Compact)
}

#[test]
fn every_value_has_its_form() {
    let table: [(ValueRef<'_>, &str); 20] = [
        (ValueRef::Null, "null"),
        (ValueRef::Integer(i64::MIN), "-9223372036854775808"),
        (ValueRef::Integer(i64::MAX), "9223372036854775807"),
        (ValueRef::Integer(1), "1"),
        (ValueRef::Real(1.0), "1.0"),
        (ValueRef::Real(-0.0), "-0.0"),
        (ValueRef::Real(0.1 + 0.2), "0.30000000000000004"),
        (ValueRef::Real(1e16), "1e16"),
        (ValueRef::Real(f64::MAX), "1.7976931348623157e308"),
        (ValueRef::Real(5e-324), "5e-324"),
        (ValueRef::Real(f64::INFINITY), r#"{"$real":"Infinity"}"#),
        (
            ValueRef::Real(f64::NEG_INFINITY),
            r#"{"$real":"-Infinity"}"#,
        ),
        (ValueRef::Text(b""), r#""""#),
        (
            ValueRef::Text(b"a\0b\"\\\n\x1f"),
            r#""a\u0000b\"\\\n\u001f""#,
        ),
        (
            ValueRef::Text("ü€🦀\u{2028}\u{7f}".as_bytes()),
            "\"ü€🦀\u{2028}\u{7f}\"",
        ),
        (
            ValueRef::Text(br#"{"$blob": "x"}"#),
            r#""{\"$blob\": \"x\"}""#,
        ),
        (ValueRef::Text(b"\xff\xfe"), r#"{"$text":"//4="}"#),
        (ValueRef::Text(b"\xed\xa0\xbd"), r#"{"$text":"7aC9"}"#),
        (ValueRef::Blob(b""), r#"{"$blob":""}"#),
        (ValueRef::Blob(b"\0\x01\xff"), r#"{"$blob":"AAH/"}"#),
    ];
    for (value, expected) in table {
        assert_eq!(compact(value), expected);
        let indented = written(value, TextEncoding::Utf8, Layout::Indented { depth: 0 });
        let [a, b] = [compact(value), indented].map(|t| serde_json::from_str::<Json>(&t).unwrap());
        assert_eq!(a, b);
    }
}

#[test]
fn utf_16_becomes_a_string_or_names_its_encoding() {
    let text: Vec<u8> = "é🦀".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let be = |bytes, layout| written(ValueRef::Text(bytes), TextEncoding::Utf16be, layout);
    assert_eq!(be(&text, Layout::Compact), "\"é🦀\"");
    assert_eq!(
        be(&[0xd8, 0x3d], Layout::Compact),
        r#"{"$text":"2D0=","$encoding":"UTF-16be"}"#
    );
    assert_eq!(
        be(&[0xd8, 0x3d], Layout::Indented { depth: 3 }),
        "{\n        \"$text\": \"2D0=\",\n        \"$encoding\": \"UTF-16be\"\n      }"
    );
}

proptest! {
    #[test]
    fn reals_read_back_bit_for_bit(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let text = compact(ValueRef::Real(value));
        prop_assert!(text.contains(['.', 'e']), "{}", text);
        let read: f64 = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.to_bits(), bits);
    }

    #[test]
    fn texts_read_back(text in any::<String>()) {
        let read: Json = serde_json::from_str(&compact(ValueRef::Text(text.as_bytes()))).unwrap();
        prop_assert_eq!(read, json!(text));
    }
}
