//! Rows as the layers pass them on, and the order of their keys.
//!
//! The order is SQLite's own: NULL, then numbers by value (integers against reals exactly), then
//! text by collation, then blobs by bytes (SQLite file format, section 2.4 "Record Sort Order").

use std::cmp::Ordering;

use super::text::TextEncoding;
use super::value::ValueRef;

/// One row, borrowed: valid until the next one is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RowRef<'a> {
    /// The rowid; `None` for WITHOUT ROWID tables and where every name of the rowid is hidden.
    pub rowid: Option<i64>,
    /// The values of the table's leaf columns (`Table::leaf_columns`), in that order.
    pub values: &'a [ValueRef<'a>],
}

/// How texts of a key column compare.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collation {
    /// By bytes.
    Binary,
    /// ASCII letters without case.
    Nocase,
    /// By bytes, trailing spaces ignored.
    Rtrim,
    /// A collation larder does not know: no order can be checked.
    Unknown(String),
}

impl Collation {
    /// The collation of this name, as SQLite compares names: ASCII letters without case.
    pub fn by_name(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "BINARY" => Self::Binary,
            "NOCASE" => Self::Nocase,
            "RTRIM" => Self::Rtrim,
            _ => Self::Unknown(name.to_owned()),
        }
    }

    /// Compares two texts: BINARY as they are stored, NOCASE and RTRIM in UTF-8, the only encoding
    /// for which SQLite has them.
    fn compare(&self, a: &[u8], b: &[u8], encoding: TextEncoding) -> Ordering {
        let utf8 = |text| encoding.to_sqlites_utf8(text);
        match self {
            Self::Binary | Self::Unknown(_) => a.cmp(b),
            Self::Nocase => compare_nocase(&utf8(a), &utf8(b)),
            Self::Rtrim => trim_spaces(&utf8(a)).cmp(trim_spaces(&utf8(b))),
        }
    }
}

/// SQLite compares letters without case only up to a NUL; texts equal until there compare by length.
fn compare_nocase(a: &[u8], b: &[u8]) -> Ordering {
    for (a_byte, b_byte) in a.iter().zip(b) {
        let order = a_byte
            .to_ascii_lowercase()
            .cmp(&b_byte.to_ascii_lowercase());
        if order != Ordering::Equal {
            return order;
        }
        if *a_byte == 0 {
            break;
        }
    }
    a.len().cmp(&b.len())
}

/// A text without the spaces at its end, as RTRIM compares it.
pub fn trim_spaces(text: &[u8]) -> &[u8] {
    let kept = text
        .iter()
        .rposition(|&b| b != b' ')
        .map_or(0, |last| last + 1);
    &text[..kept]
}

/// Compares an integer with a real exactly, as SQLite does (never by rounding the integer).
fn compare_integer_real(integer: i64, real: f64) -> Ordering {
    // 2^63 is exact in f64; every real at or beyond it is larger than any i64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if real >= LIMIT {
        return Ordering::Less;
    }
    if real < -LIMIT {
        return Ordering::Greater;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "in range: checked above; the fraction is compared next"
    )]
    let whole = real as i64;
    #[expect(
        clippy::cast_precision_loss,
        reason = "only compared where both are below 2^53 or equal in their whole part"
    )]
    let fraction = real - whole as f64;
    integer
        .cmp(&whole)
        .then_with(|| 0.0_f64.partial_cmp(&fraction).unwrap_or(Ordering::Equal))
}

/// Compares two key values under a collation, texts being in `encoding`. `None` where one of them
/// is spilled: its content is not here to be compared.
pub fn compare_values(
    a: ValueRef<'_>,
    b: ValueRef<'_>,
    collation: &Collation,
    encoding: TextEncoding,
) -> Option<Ordering> {
    use ValueRef::{Blob, Integer, Null, Real, Spilled, Text};
    let rank = |v: &ValueRef<'_>| match v {
        Null => 0,
        Integer(_) | Real(_) => 1,
        Text(_) => 2,
        Blob(_) => 3,
        Spilled(s) => match s.class {
            super::value::LongClass::Text => 2,
            super::value::LongClass::Blob => 3,
        },
    };
    let by_rank = rank(&a).cmp(&rank(&b));
    if by_rank != Ordering::Equal {
        return Some(by_rank);
    }
    Some(match (a, b) {
        (Integer(a), Integer(b)) => a.cmp(&b),
        (Real(a), Real(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (Integer(a), Real(b)) => compare_integer_real(a, b),
        (Real(a), Integer(b)) => compare_integer_real(b, a).reverse(),
        (Text(a), Text(b)) => collation.compare(a, b, encoding),
        (Blob(a), Blob(b)) => a.cmp(b),
        (Null, Null) => Ordering::Equal,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_reals_compare_exactly() {
        let big = (1_i64 << 53) + 1;
        #[expect(clippy::cast_precision_loss, reason = "the loss is the point")]
        let rounded = big as f64;
        assert_eq!(compare_integer_real(big, rounded), Ordering::Greater);
        assert_eq!(compare_integer_real(i64::MAX, 9.3e18), Ordering::Less);
        assert_eq!(compare_integer_real(3, 3.5), Ordering::Less);
        assert_eq!(compare_integer_real(-3, -3.5), Ordering::Greater);
        assert_eq!(compare_integer_real(0, -0.0), Ordering::Equal);
    }

    #[test]
    fn collations_compare_as_sqlites() {
        let text = |s: &'static str| ValueRef::Text(s.as_bytes());
        let by = |c: Collation, a, b| compare_values(text(a), text(b), &c, TextEncoding::Utf8);
        assert_eq!(by(Collation::Nocase, "aBC", "Abc"), Some(Ordering::Equal));
        assert_eq!(by(Collation::Nocase, "a_", "aB"), Some(Ordering::Less));
        // SQLite stops at NUL: a good tree was called damaged.
        assert_eq!(by(Collation::Nocase, "a\0z", "a\0bb"), Some(Ordering::Less));
        assert_eq!(by(Collation::Nocase, "a\0z", "A\0b"), Some(Ordering::Equal));
        assert_eq!(by(Collation::Rtrim, "a  ", "a"), Some(Ordering::Equal));
        assert_eq!(by(Collation::Binary, "a ", "a"), Some(Ordering::Greater));
    }
}
