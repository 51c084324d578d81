//! A value as somebody types it: as in SQL, but that a text needs no quotes.

use crate::cli::decisions::encoded;
use crate::model::text::TextEncoding;
use crate::model::value::Value;

/// What a person must know.
pub(super) const HOW: &str =
    "  Values are written as 12, 1.5, any text, 'a text' ('' if it is empty), x'00ff' or NULL.\n";

/// The value of a line; `None` for an empty one.
///
/// A number is one only if it reads back to the same letters: `007` and `1.50` stay texts, and the
/// column's affinity has the last word, as with any INSERT.
pub(super) fn value(line: &str, encoding: TextEncoding) -> Option<Value> {
    let word = line.trim();
    if word.is_empty() {
        return None;
    }
    if word.eq_ignore_ascii_case("null") {
        return Some(Value::Null);
    }
    if let Ok(integer) = word.parse::<i64>()
        && integer.to_string() == word
    {
        return Some(Value::Integer(integer));
    }
    if let Ok(real) = word.parse::<f64>()
        && real.is_finite()
        && format!("{real:?}") == word
    {
        return Some(Value::Real(real));
    }
    if let Some(bytes) = blob(word) {
        return Some(Value::Blob(bytes));
    }
    let quoted = word
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    // A lone quote inside is no SQL: then it is a text that happens to begin and end with one.
    let quoted = quoted.filter(|inner| !inner.replace("''", "").contains('\''));
    let text = quoted.map_or_else(|| word.to_owned(), |inner| inner.replace("''", "'"));
    Some(Value::Text(encoded(&text, encoding)))
}

/// `x'00ff'`
fn blob(word: &str) -> Option<Vec<u8>> {
    let rest = word.strip_prefix(['x', 'X'])?;
    let digits = rest.strip_prefix('\'')?.strip_suffix('\'')?;
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex {
        return None;
    }
    (0..digits.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_understood_as_in_sql() {
        let text = |text: &str| Some(Value::Text(text.into()));
        let cases = [
            ("", None),
            ("  ", None),
            ("null", Some(Value::Null)),
            ("'NULL'", text("NULL")),
            ("12", Some(Value::Integer(12))),
            (" -3 ", Some(Value::Integer(-3))),
            ("007", text("007")),
            ("+1", text("+1")),
            ("1.5", Some(Value::Real(1.5))),
            ("1.50", text("1.50")),
            ("1e300", Some(Value::Real(1e300))),
            ("inf", text("inf")),
            ("99999999999999999999", text("99999999999999999999")),
            ("Ada Klein", text("Ada Klein")),
            ("'12'", text("12")),
            ("''", text("")),
            ("'it''s'", text("it's")),
            ("it's", text("it's")),
            ("'a' or 'b'", text("'a' or 'b'")),
            ("'", text("'")),
            ("x'00fF'", Some(Value::Blob(vec![0, 255]))),
            ("x''", Some(Value::Blob(vec![]))),
            ("x'0'", text("x'0'")),
            ("x'+1'", text("x'+1'")),
        ];
        for (line, expected) in cases {
            assert_eq!(value(line, TextEncoding::Utf8), expected, "{line:?}");
        }
    }

    #[test]
    fn texts_are_in_the_encoding_of_the_snapshot() {
        let found = value("é", TextEncoding::Utf16be);
        assert_eq!(found, Some(Value::Text(vec![0, 0xe9])));
    }
}
