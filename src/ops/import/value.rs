//! JSON values as SQLite's: the forms of `ops::export::json` read back bit for bit, and what any
//! other JSON becomes.
//!
//! | JSON | SQLite |
//! |---|---|
//! | `null` | NULL |
//! | `true`, `false` | the integers 1 and 0 |
//! | a number without `.` and `e` | an integer; text, verbatim, if it needs more than 64 bits |
//! | a number with `.` or `e` | the nearest real; text, verbatim, if that is infinite |
//! | a string | text |
//! | `{"$blob": base64}` | a blob |
//! | `{"$text": base64}`, also with `"$encoding"` | text of these bytes |
//! | `{"$real": "Infinity"}`, `{"$real": "-Infinity"}` | a real |
//! | any other object, and an array | text: the JSON, verbatim |

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::long_strings::{Aside, Written};
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Value};

/// The value of a JSON text without blanks around it.
pub(super) fn value(json: &str, aside: &Aside) -> Result<Value, String> {
    let text = |text: &str| Value::Text(aside.encoding().encode(text.to_owned()));
    match json.as_bytes() {
        b"null" => Ok(Value::Null),
        b"true" => Ok(Value::Integer(1)),
        b"false" => Ok(Value::Integer(0)),
        [b'"', ..] => match serde_json::from_str::<String>(json) {
            Ok(string) => match aside.value(&string, LongClass::Text, Written::Plain) {
                Some(long) => long,
                None => Ok(Value::Text(aside.encoding().encode(string))),
            },
            Err(error) => Err(error.to_string()),
        },
        [b'{', ..] => match tagged(json, aside)? {
            Some(value) => Ok(value),
            None => Ok(text(&aside.whole(json)?)),
        },
        [b'[', ..] => Ok(text(&aside.whole(json)?)),
        _ => Ok(number(json).unwrap_or_else(|| text(json))),
    }
}

/// `None` for a number that neither class holds.
fn number(json: &str) -> Option<Value> {
    if json.contains(['.', 'e', 'E']) {
        let real: f64 = json.parse().ok()?;
        return real.is_finite().then_some(Value::Real(real));
    }
    json.parse().ok().map(Value::Integer)
}

/// The forms of an export for what JSON has no values for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagged<'a> {
    #[serde(rename = "$blob", borrow)]
    blob: Option<Content<'a>>,
    #[serde(rename = "$text", borrow)]
    text: Option<Content<'a>>,
    #[serde(rename = "$encoding")]
    encoding: Option<String>,
    #[serde(rename = "$real")]
    real: Option<String>,
}

/// A string that may be long: without escapes in it, it is not copied.
#[derive(Deserialize)]
struct Content<'a>(#[serde(borrow)] Cow<'a, str>);

/// `None` for an object that is none of the forms.
fn tagged(json: &str, aside: &Aside) -> Result<Option<Value>, String> {
    let is_one = json[1..].trim_start().starts_with("\"$");
    let Some(form) = is_one.then(|| serde_json::from_str(json).ok()).flatten() else {
        return Ok(None);
    };
    let bytes = |text: &str, class: LongClass| {
        if let Some(long) = aside.value(text, class, Written::Base64) {
            return long;
        }
        let bytes = STANDARD.decode(text);
        let bytes = bytes.map_err(|error| format!("no base64: {error}"))?;
        Ok(match class {
            LongClass::Text => Value::Text(bytes),
            LongClass::Blob => Value::Blob(bytes),
        })
    };
    match form {
        Tagged {
            blob: Some(blob),
            text: None,
            encoding: None,
            real: None,
        } => Ok(Some(bytes(&blob.0, LongClass::Blob)?)),
        Tagged {
            blob: None,
            text: Some(text),
            encoding: written,
            real: None,
        } => {
            let written = written.as_deref().unwrap_or(TextEncoding::Utf8.name());
            if written != aside.encoding().name() {
                let own = aside.encoding().name();
                return Err(format!("a text in {written}, in a database of {own}"));
            }
            Ok(Some(bytes(&text.0, LongClass::Text)?))
        }
        Tagged {
            blob: None,
            text: None,
            encoding: None,
            real: Some(real),
        } => match real.as_str() {
            "Infinity" => Ok(Some(Value::Real(f64::INFINITY))),
            "-Infinity" => Ok(Some(Value::Real(f64::NEG_INFINITY))),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(json: &str, encoding: TextEncoding) -> Result<Value, String> {
        value(json, &Aside::new("m4rk".to_owned(), encoding))
    }

    fn read(json: &str) -> Result<Value, String> {
        read_in(json, TextEncoding::Utf8)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn values_keep_their_class() {
        let cases = [
            ("null", Value::Null),
            ("true", Value::Integer(1)),
            ("false", Value::Integer(0)),
            ("9223372036854775807", Value::Integer(i64::MAX)),
            ("-9223372036854775808", Value::Integer(i64::MIN)),
            ("9223372036854775808", text("9223372036854775808")),
            ("1.0", Value::Real(1.0)),
            ("1e2", Value::Real(100.0)),
            ("5e-324", Value::Real(5e-324)),
            ("1e999", text("1e999")),
            (r#""a\u0000\n\ud83e\udd80""#, text("a\0\n🦀")),
            (r#"{"$blob": "AP8="}"#, Value::Blob(vec![0, 255])),
            (r#"{ "$text": "/w==" }"#, Value::Text(vec![255])),
            (r#"{ "$text": "\/w=\u003d" }"#, Value::Text(vec![255])),
            (r#"{"$real": "-Infinity"}"#, Value::Real(f64::NEG_INFINITY)),
            (r#"{"$real": "1"}"#, text(r#"{"$real": "1"}"#)),
            (r#"{"$blob": 1}"#, text(r#"{"$blob": 1}"#)),
            (r#"{"$blob": "", "x": 1}"#, text(r#"{"$blob": "", "x": 1}"#)),
            (r#"{"a":  [1]}"#, text(r#"{"a":  [1]}"#)),
            ("[1,\n 2]", text("[1,\n 2]")),
            ("{}", text("{}")),
        ];
        for (json, expected) in cases {
            assert_eq!(read(json), Ok(expected), "{json}");
        }
        let zero = read("-0.0").unwrap();
        assert!(zero.as_ref().identical(Value::Real(-0.0).as_ref()));
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        for json in [
            r#"{"$blob": "?"}"#,
            r#"{"$text": "AA==", "$encoding": "UTF-16le"}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(read(r#""\ud800""#).is_err(), "half a pair");
        let raw = r#"{"$text": "PdgA", "$encoding": "UTF-16le"}"#;
        let utf16 = read_in(raw, TextEncoding::Utf16le);
        assert_eq!(utf16, Ok(Value::Text(vec![0x3d, 0xd8, 0])));
        let utf16 = read_in("\"aé\"", TextEncoding::Utf16be);
        assert_eq!(utf16, Ok(Value::Text(vec![0, b'a', 0, 0xe9])));
    }
}
