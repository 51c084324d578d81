//! Values and references for people, on one line and cut short.

use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::model::text::TextEncoding;
use crate::model::value::Value;
use crate::ops::restore::Missing;

/// Characters of a text that are shown.
const CHARS_MAX: usize = 40;

/// A value that stands alone: texts in quotes.
pub fn quoted(value: &Value, encoding: TextEncoding) -> String {
    match value {
        Value::Text(_) => format!("\"{}\"", plain(value, encoding)),
        _ => plain(value, encoding),
    }
}

/// A value in a table of values.
pub fn plain(value: &Value, encoding: TextEncoding) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(v) => v.to_string(),
        Value::Real(v) => format!("{v:?}"),
        Value::Text(bytes) => match encoding.decode(bytes) {
            Some(text) => cut(&text),
            None => cut(&String::from_utf8_lossy(bytes)),
        },
        Value::Blob(bytes) => format!("a blob of {}", figures::counted(bytes.len() as u64, "byte")),
        Value::Spilled(spilled) => {
            format!("a value of {}", figures::counted(spilled.bytes, "byte"))
        }
    }
}

fn cut(text: &str) -> String {
    let mut chars = text.chars();
    let mut begin: String = chars.by_ref().take(CHARS_MAX).collect();
    if chars.next().is_some() {
        begin.push('…');
    }
    escape::shown(&begin).into_owned()
}

/// `orders.customer_id refers to customers 12`, `lines.(order, no) refers to orders (5, 2)`
pub fn reference(table: &str, columns: &[String], parent: &str, values: &[String]) -> String {
    let list = |parts: &[String]| match parts {
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    };
    let (columns, values) = (list(columns), list(values));
    format!(
        "{}.{} refers to {} {values}",
        escape::shown(table),
        escape::shown(&columns),
        escape::shown(parent)
    )
}

/// `id 12, name "Ada Klein"`
pub fn row(values: &[(String, Value)], encoding: TextEncoding) -> String {
    let one = |(name, value): &(String, Value)| {
        format!("{} {}", escape::shown(name), quoted(value, encoding))
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Why a reference has no target: `which app.db does not have`.
pub fn why(missing: &Missing, target: &str) -> String {
    match missing.in_conflict {
        true => format!("whose record in the snapshot is in conflict with {target}, and left out"),
        false => format!("which {target} does not have"),
    }
}

/// `: 5, 9, 31, …`: the first records that refer to a missing one.
pub fn examples(missing: &Missing) -> String {
    if missing.examples.is_empty() {
        return String::new();
    }
    let examples: Vec<_> = missing.examples.iter().map(|e| escape::shown(e)).collect();
    let more = missing.records > examples.len() as u64;
    let dots = if more { ", …" } else { "" };
    format!(": {}{dots}", examples.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_harmless() {
        let utf8 = TextEncoding::Utf8;
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(quoted(&text("Ada"), utf8), "\"Ada\"");
        assert_eq!(plain(&text("a\u{1b}[2J\nb"), utf8), r"a\u{1b}[2J\nb");
        let long = plain(&text(&"ä".repeat(50)), utf8);
        assert_eq!(long.chars().count(), 41);
        assert_eq!(plain(&Value::Real(1.0), utf8), "1.0");
        assert_eq!(plain(&Value::Blob(vec![0; 7]), utf8), "a blob of 7 bytes");
        let le: Vec<u8> = "é".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(quoted(&Value::Text(le), TextEncoding::Utf16le), "\"é\"");
    }

    #[test]
    fn references_of_several_columns_are_in_brackets() {
        let (columns, values) = (
            ["a".to_owned(), "b".to_owned()],
            ["1".to_owned(), "\"x\"".to_owned()],
        );
        assert_eq!(
            reference("t", &columns, "p", &values),
            "t.(a, b) refers to p (1, \"x\")"
        );
        assert_eq!(
            reference("t", &columns[..1], "p", &values[..1]),
            "t.a refers to p 1"
        );
    }
}
