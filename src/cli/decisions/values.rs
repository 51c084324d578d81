//! Values in a file of decisions: the forms that an export has (`ops/export/json.rs`), both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use serde_json::json;

use crate::model::text::TextEncoding;
use crate::model::value::Value;

/// A value as JSON; `None` for one that stands outside its row.
pub fn write(value: &Value, encoding: TextEncoding) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Integer(v) => json!(v),
        Value::Real(v) if v.is_finite() => json!(v),
        Value::Real(v) => json!({ "$real": if *v > 0.0 { "Infinity" } else { "-Infinity" } }),
        Value::Text(bytes) => match encoding.decode(bytes) {
            Some(text) => json!(text),
            None if encoding.is_utf8() => json!({ "$text": STANDARD.encode(bytes) }),
            None => json!({ "$text": STANDARD.encode(bytes), "$encoding": encoding.name() }),
        },
        Value::Blob(bytes) => json!({ "$blob": STANDARD.encode(bytes) }),
        Value::Spilled(_) => return None,
    })
}

/// The value of JSON, texts in this encoding. Errors say what was expected.
pub fn read(json: &Json, encoding: TextEncoding) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(encoded(text, encoding)),
        Json::Number(number) => match (number.as_i64(), number.is_u64(), number.as_f64()) {
            (Some(integer), ..) => Value::Integer(integer),
            (None, false, Some(real)) => Value::Real(real),
            _ => return Err(format!("{number} is larger than an integer of SQLite")),
        },
        Json::Object(form) => read_form(form, encoding).ok_or_else(|| {
            format!("{json} is no value; expected a form as {{\"$blob\": \"AP8=\"}}")
        })?,
        Json::Bool(_) | Json::Array(_) => {
            return Err(format!(
                "{json} is no value of SQLite; expected null, a number or a text"
            ));
        }
    })
}

/// `{"$blob": …}`, `{"$text": …}`, `{"$real": …}`
fn read_form(form: &serde_json::Map<String, Json>, encoding: TextEncoding) -> Option<Value> {
    let text = |name: &str| form.get(name).and_then(Json::as_str);
    let bytes = |name: &str| STANDARD.decode(text(name)?).ok();
    if let Some(named) = form.get("$encoding") {
        let is_ours = named.as_str() == Some(encoding.name());
        return match (form.len(), is_ours) {
            (2, true) => bytes("$text").map(Value::Text),
            _ => None,
        };
    }
    if form.len() != 1 {
        return None;
    }
    match text("$real") {
        Some("Infinity") => return Some(Value::Real(f64::INFINITY)),
        Some("-Infinity") => return Some(Value::Real(f64::NEG_INFINITY)),
        Some(_) => return None,
        None => {}
    }
    let blob = bytes("$blob").map(Value::Blob);
    blob.or_else(|| bytes("$text").map(Value::Text))
}

/// A text as the bytes of a database.
pub fn encoded(text: &str, encoding: TextEncoding) -> Vec<u8> {
    let units = text.encode_utf16();
    match encoding {
        TextEncoding::Utf8 => text.as_bytes().to_vec(),
        TextEncoding::Utf16le => units.flat_map(u16::to_le_bytes).collect(),
        TextEncoding::Utf16be => units.flat_map(u16::to_be_bytes).collect(),
    }
}
