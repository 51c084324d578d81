//! Values for people, on one line: short ones whole, of long ones the beginning, the place that
//! differs, or the length.

use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Spilled, ValueRef};

/// Characters of a text that are shown.
const CHARS_MAX: usize = 60;
/// Bytes of a blob that are shown.
const BYTES_MAX: usize = 16;
/// What is shown before the place where two long values differ.
const BEFORE_PLACE: usize = 10;

/// `12`, `9.5`, `"open"`, `NULL`, `x'00ff'`, `text of 1.2 MiB`.
pub fn shown(value: ValueRef<'_>, encoding: TextEncoding) -> String {
    part(value, encoding, 0)
}

/// Two values that differ, so that it can be seen in what.
pub fn shown_apart(
    before: (ValueRef<'_>, TextEncoding),
    after: (ValueRef<'_>, TextEncoding),
) -> (String, String) {
    let from = match (before.0, after.0) {
        (ValueRef::Text(a), ValueRef::Text(b)) => match (before.1.decode(a), after.1.decode(b)) {
            (Some(a), Some(b)) => place(a.chars(), b.chars(), CHARS_MAX),
            _ => place(a.iter(), b.iter(), BYTES_MAX),
        },
        (ValueRef::Blob(a), ValueRef::Blob(b)) => place(a.iter(), b.iter(), BYTES_MAX),
        (ValueRef::Spilled(a), ValueRef::Spilled(b))
            if a.class == b.class && figures::bytes(a.bytes) == figures::bytes(b.bytes) =>
        {
            return (with_id(&a), with_id(&b));
        }
        _ => 0,
    };
    (part(before.0, before.1, from), part(after.0, after.1, from))
}

/// Where to begin to show two long values: a little before they differ.
fn place<T: PartialEq>(
    a: impl Iterator<Item = T> + Clone,
    b: impl Iterator<Item = T> + Clone,
    max: usize,
) -> usize {
    let is_long = a.clone().nth(max).is_some() || b.clone().nth(max).is_some();
    let same = a.zip(b).take_while(|(a, b)| a == b).count();
    match same.checked_sub(BEFORE_PLACE) {
        Some(from) if is_long && same + BEFORE_PLACE > max / 2 => from,
        _ => 0,
    }
}

fn part(value: ValueRef<'_>, encoding: TextEncoding, from: usize) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(v) => v.to_string(),
        // Debug: always a point or an exponent, so that 1.0 is not taken for 1.
        ValueRef::Real(v) => format!("{v:?}"),
        ValueRef::Text(bytes) => match encoding.decode(bytes) {
            Some(text) => text_part(&text, from),
            None => format!("text {}", bytes_part(bytes, from)),
        },
        ValueRef::Blob(bytes) => bytes_part(bytes, from),
        ValueRef::Spilled(large) => length(&large),
    }
}

fn text_part(text: &str, from: usize) -> String {
    let mut rest = text.chars().skip(from);
    let cut: String = rest.by_ref().take(CHARS_MAX).collect();
    let cut = escape::shown(&cut).replace('"', "\\\"");
    let (start, end) = (dots(from > 0), dots(rest.next().is_some()));
    format!("\"{start}{cut}{end}\"")
}

fn dots(cut: bool) -> &'static str {
    if cut { "…" } else { "" }
}

fn bytes_part(bytes: &[u8], from: usize) -> String {
    let rest = bytes.get(from..).unwrap_or_default();
    let hex: String = rest
        .iter()
        .take(BYTES_MAX)
        .map(|b| format!("{b:02x}"))
        .collect();
    let (start, end) = (dots(from > 0), dots(rest.len() > BYTES_MAX));
    let length = match (start, end) {
        ("", "") => String::new(),
        _ => format!(" ({})", figures::bytes(bytes.len() as u64)),
    };
    format!("x'{start}{hex}{end}'{length}")
}

fn length(large: &Spilled) -> String {
    let class = match large.class {
        LongClass::Text => "text",
        LongClass::Blob => "blob",
    };
    format!("{class} of {}", figures::bytes(large.bytes))
}

fn with_id(large: &Spilled) -> String {
    let id = large.root.to_string();
    format!("{} ({})", length(large), id.get(..8).unwrap_or(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTF8: TextEncoding = TextEncoding::Utf8;

    fn text(text: &str) -> ValueRef<'_> {
        ValueRef::Text(text.as_bytes())
    }

    #[test]
    fn values_are_told_apart_by_their_form() {
        let of = |value| shown(value, UTF8);
        assert_eq!(of(ValueRef::Integer(1)), "1");
        assert_eq!(of(ValueRef::Real(1.0)), "1.0");
        assert_eq!(of(ValueRef::Real(-0.0)), "-0.0");
        assert_eq!(of(text("a\n\"b\"")), r#""a\n\"b\"""#);
        assert_eq!(of(ValueRef::Text(b"\xff")), "text x'ff'");
        assert_eq!(of(ValueRef::Blob(b"")), "x''");
        assert_eq!(
            of(ValueRef::Blob(&[7; 20])),
            "x'07070707070707070707070707070707…' (20 B)"
        );
        assert_eq!(
            of(text(&"x".repeat(61))),
            format!("\"{}…\"", "x".repeat(60))
        );
    }

    /// Two long values with one beginning looked the same.
    #[test]
    fn long_values_are_shown_where_they_differ() {
        let (a, b) = ("x".repeat(300) + "1", "x".repeat(300) + "2");
        let apart = shown_apart((text(&a), UTF8), (text(&b), UTF8));
        assert_eq!(apart.0, "\"…xxxxxxxxxx1\"");
        assert_eq!(apart.1, "\"…xxxxxxxxxx2\"");
        let apart = shown_apart((text("open"), UTF8), (text("paid"), UTF8));
        assert_eq!(apart, ("\"open\"".to_owned(), "\"paid\"".to_owned()));
        let (a, mut b) = ([0; 100], [0; 100]);
        b[90] = 1;
        let apart = shown_apart((ValueRef::Blob(&a), UTF8), (ValueRef::Blob(&b), UTF8));
        assert_eq!(apart.1, "x'…00000000000000000000010000000000…' (100 B)");
        assert_ne!(apart.0, apart.1);
    }
}
