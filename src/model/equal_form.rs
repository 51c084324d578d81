//! Bytes that are the same exactly for values which SQLite calls equal.

use super::row::{Collation, trim_spaces};
use super::text::TextEncoding;
use super::value::{LongClass, ValueRef};

/// 2^63, exact in f64: every integer lies below it.
const INTEGERS_END: f64 = 9_223_372_036_854_775_808.0;

/// Forms of integers begin with this and the number of bytes that follow, negative ones with so much less.
const INTEGER: u8 = 0x20;

/// Appends the form of a value under a collation, texts being in `encoding`. Forms end where they
/// end: those of several values, one behind the other, are equal if each is. `false`, and nothing of
/// use, where that cannot be told from the row alone: a long text that is not compared by its bytes,
/// or a collation that is not known.
pub fn append_equal_form(
    value: ValueRef<'_>,
    collation: &Collation,
    encoding: TextEncoding,
    out: &mut Vec<u8>,
) -> bool {
    match value {
        ValueRef::Null => out.push(0),
        ValueRef::Integer(number) => integer(number, out),
        ValueRef::Real(real) => match whole(real) {
            Some(number) => integer(number, out),
            None => {
                out.push(2);
                out.extend_from_slice(&real.to_bits().to_be_bytes());
            }
        },
        ValueRef::Text(text) => match collation {
            Collation::Binary => bytes(3, text, out),
            Collation::Nocase => nocase(&encoding.to_sqlites_utf8(text), out),
            Collation::Rtrim => bytes(3, trim_spaces(&encoding.to_sqlites_utf8(text)), out),
            Collation::Unknown(_) => return false,
        },
        ValueRef::Blob(blob) => bytes(4, blob, out),
        ValueRef::Spilled(long) => {
            if long.class == LongClass::Text && *collation != Collation::Binary {
                return false;
            }
            // Equal contents have equal roots.
            out.push(match long.class {
                LongClass::Text => 5,
                LongClass::Blob => 6,
            });
            out.extend_from_slice(&long.bytes.to_le_bytes());
            out.extend_from_slice(&long.root.0);
        }
    }
    true
}

fn integer(number: i64, out: &mut Vec<u8>) {
    // Short where the number is, and in the order of the numbers: such keys are kept as they are, and soon sorted.
    let magnitude = if number < 0 { !number } else { number };
    let bytes = magnitude.to_be_bytes();
    let zeros = (magnitude.leading_zeros() / 8).min(8) as usize;
    #[expect(clippy::cast_possible_truncation, reason = "8 at most")]
    let count = (8 - zeros) as u8;
    if number < 0 {
        out.push(INTEGER - 1 - count);
        out.extend(bytes[zeros..].iter().map(|byte| !byte));
    } else {
        out.push(INTEGER + count);
        out.extend_from_slice(&bytes[zeros..]);
    }
}

/// In base 128, the last byte without the high bit.
fn length(bytes: usize, out: &mut Vec<u8>) {
    let mut left = bytes;
    while left >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits")]
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 128")]
    out.push(left as u8);
}

/// The integer that a real is equal to.
fn whole(real: f64) -> Option<i64> {
    let in_range = (-INTEGERS_END..INTEGERS_END).contains(&real);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "in range, and without a fraction"
    )]
    let number = (in_range && real.fract() == 0.0).then_some(real as i64);
    number
}

fn bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// SQLite compares letters without case up to a NUL; texts equal until there compare by length.
fn nocase(text: &[u8], out: &mut Vec<u8>) {
    out.push(3);
    length(text.len(), out);
    for byte in text {
        out.push(byte.to_ascii_lowercase());
        if *byte == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::model::row::compare_values;
    use crate::model::value::Value;

    fn value() -> impl Strategy<Value = Value> {
        let text = proptest::collection::vec(
            prop_oneof![
                Just(b'a'),
                Just(b'A'),
                Just(b' '),
                Just(0),
                Just(0xD8),
                any::<u8>()
            ],
            0..4,
        );
        let number = prop_oneof![
            -2_i64..3,
            Just(-257),
            Just(-256),
            Just(255),
            Just(256),
            Just(i64::MIN),
            Just(i64::MAX),
            Just((1 << 53) + 1)
        ];
        let real = prop_oneof![
            Just(0.0),
            Just(-0.0),
            Just(1.0),
            Just(1.5),
            Just(-9_223_372_036_854_775_808.0),
            Just(9_223_372_036_854_775_808.0),
            Just(9_007_199_254_740_992.0),
            Just(f64::INFINITY),
        ];
        prop_oneof![
            Just(Value::Null),
            number.prop_map(Value::Integer),
            real.prop_map(Value::Real),
            text.clone().prop_map(Value::Text),
            text.prop_map(Value::Blob),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Whatever follows them.
        #[test]
        fn forms_of_integers_compare_as_they_do(a: i64, b: i64, shifts in (0..64_u32, 0..64_u32)) {
            let (a, b) = (a >> shifts.0, b >> shifts.1);
            let form = |number| {
                let mut out = Vec::new();
                integer(number, &mut out);
                out
            };
            prop_assert_eq!(form(a).cmp(&form(b)), a.cmp(&b));
            let is_beginning = form(a).starts_with(&form(b)) || form(b).starts_with(&form(a));
            prop_assert_eq!(is_beginning, a == b);
        }

        #[test]
        fn forms_are_equal_exactly_where_values_are(
            a in proptest::collection::vec(value(), 2),
            b in proptest::collection::vec(value(), 2),
            collation in prop_oneof![
                Just(Collation::Binary), Just(Collation::Nocase), Just(Collation::Rtrim)
            ],
            encoding in prop_oneof![Just(TextEncoding::Utf8), Just(TextEncoding::Utf16le)],
        ) {
            let form = |values: &[Value]| {
                let mut out = Vec::new();
                for value in values {
                    assert!(append_equal_form(value.as_ref(), &collation, encoding, &mut out));
                }
                out
            };
            let equal = a.iter().zip(&b).all(|(a, b)| {
                compare_values(a.as_ref(), b.as_ref(), &collation, encoding) == Some(Ordering::Equal)
            });
            prop_assert_eq!(form(&a) == form(&b), equal);
        }
    }
}
