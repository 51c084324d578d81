//! How the keys of an index compare: SQLite file format, sections 2.4 "Record Sort Order" and 2.5.
//!
//! Of each key the first 24 bytes of a form are kept whose bytes compare as the keys do: most comparisons end
//! there. The form is this, column by column; no form is the beginning of another, and all that is not there
//! counts as zeros:
//!
//! - NULL: `01`. A number: `02` and its nearest real, with the order of reals as bytes; where several integers
//!   have one nearest real, nothing follows and the form is called cut.
//! - A text: `03`, its bytes as the collation sees them with `00 FF` for `00`, then `00 00`. A blob: `04`, the
//!   same with its bytes. NOCASE sees nothing but the length behind a NUL: there `00 01` ends it, and the form
//!   is cut.
//! - In a descending column every bit is the other.

use std::cmp::Ordering;

use super::record::{RecordReader, decoded};
use crate::model::row::{Collation, compare_values, trim_spaces};
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;

/// Bytes of the form that are kept.
pub const PREFIX_BYTES: usize = 24;

/// How one column of a key compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrder {
    /// How its texts do.
    pub collation: Collation,
    /// Larger first.
    pub descending: bool,
}

impl KeyOrder {
    /// False where larder does not know how SQLite compares: a collation of the application, or one that SQLite
    /// has for UTF-8 only, in another encoding.
    pub fn is_known(&self, encoding: TextEncoding) -> bool {
        match self.collation {
            Collation::Binary => true,
            Collation::Nocase | Collation::Rtrim => encoding.is_utf8(),
            Collation::Unknown(_) => false,
        }
    }
}

/// The beginning of a key's form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Its first bytes, as big-endian numbers.
    pub bytes: [u64; 3],
    /// The form goes on, or says less than the key.
    pub is_cut: bool,
}

/// Makes prefixes, and what follows them: words at a time and where they are to stay, for bytes that were just written one
/// by one are slow to be read as words, and words to be moved in pairs.
#[derive(Debug)]
struct Form<'w> {
    /// The bytes of the form that are kept, as big-endian numbers.
    words: &'w mut [u64; 3],
    /// How many there are so far, beyond those that are kept as well.
    length: usize,
    /// Bytes of the form that are still to be passed over.
    hidden: usize,
    is_cut: bool,
    /// All ones where the bits of the column that is being written are the other ones.
    inverted: u64,
}

/// The first so many bytes of a word, 8 at most.
pub fn first_bytes(count: usize) -> u64 {
    match count {
        8.. => u64::MAX,
        _ => !(u64::MAX >> (8 * count)),
    }
}

/// The first eight bytes, big-endian; zeros stand for those that are not there.
#[inline]
pub fn word(bytes: &[u8]) -> u64 {
    if let Some(all) = bytes.first_chunk() {
        return u64::from_be_bytes(*all);
    }
    // Two parts, which lie over each other where there are less than twice as many bytes.
    let zeros = 8 * (8 - bytes.len());
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
        return u64::from(first) << 32 | u64::from(last) << zeros;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u16::from_be_bytes(*first), u16::from_be_bytes(*last));
        return u64::from(first) << 48 | u64::from(last) << zeros;
    }
    bytes.first().map_or(0, |byte| u64::from(*byte) << 56)
}

/// True if one of the bytes of a word is zero.
fn has_zero(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    word.wrapping_sub(ONES) & !word & (ONES << 7) != 0
}

impl Form<'_> {
    /// Adds the first so many bytes of a word, 8 at most, of which the others are zero.
    fn push_word(&mut self, word: u64, count: usize) {
        let word = word ^ (self.inverted & first_bytes(count));
        let hidden = self.hidden.min(count);
        let word = if hidden < 8 { word << (8 * hidden) } else { 0 };
        self.hidden -= hidden;
        let (at, bits) = (self.length / 8, self.length % 8 * 8);
        self.length += count - hidden;
        let behind = if bits == 0 { 0 } else { word << (64 - bits) };
        for (at, part) in [(at, word >> bits), (at + 1, behind)] {
            match self.words.get_mut(at) {
                Some(place) => *place |= part,
                // Zeros stand there in any case.
                None => self.is_cut |= part != 0,
            }
        }
    }

    fn push(&mut self, byte: u8) {
        self.push_word(u64::from(byte) << 56, 1);
    }

    fn is_full(&self) -> bool {
        self.length >= PREFIX_BYTES && self.is_cut
    }

    fn push_number(&mut self, real: f64) {
        // Beyond it integers share their nearest real.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let bits = if real == 0.0 { 0 } else { real.to_bits() };
        let ordered = match bits >> 63 {
            0 => bits | 1 << 63,
            _ => !bits,
        };
        self.push(2);
        self.push_word(ordered, 8);
        if real.abs() >= EXACT {
            self.cut();
        }
    }

    /// Nothing follows.
    fn cut(&mut self) {
        self.is_cut = true;
        self.length = self.length.max(PREFIX_BYTES);
    }

    fn push_bytes(&mut self, class: u8, bytes: &[u8]) {
        self.push(class);
        let mut left = bytes;
        while !left.is_empty() {
            let count = left.len().min(8);
            let word = match bytes.last_chunk().filter(|_| count < 8) {
                Some(last) => u64::from_be_bytes(*last) << (8 * (8 - count)),
                None => word(left),
            };
            if has_zero(word | !first_bytes(count)) {
                return self.push_with_zeros(left);
            }
            self.push_word(word, count);
            if self.is_full() {
                return;
            }
            left = &left[count..];
        }
        self.push_word(0, 2);
    }

    /// The end of a text or blob.
    fn push_with_zeros(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
            if byte == 0 {
                self.push(0xFF);
            }
            if self.is_full() {
                return;
            }
        }
        self.push_word(0, 2);
    }

    /// Adds a column of a key.
    fn push_value(&mut self, value: ValueRef<'_>, order: &KeyOrder) {
        self.inverted = if order.descending { u64::MAX } else { 0 };
        match value {
            ValueRef::Null => self.push(1),
            #[expect(clippy::cast_precision_loss, reason = "the form is cut where it loses")]
            ValueRef::Integer(integer) => self.push_number(integer as f64),
            ValueRef::Real(real) => self.push_number(real),
            ValueRef::Text(text) => self.push_text(text, &order.collation),
            ValueRef::Blob(blob) => self.push_bytes(4, blob),
            // It is not here to be compared.
            ValueRef::Spilled(_) => self.cut(),
        }
    }

    fn push_text(&mut self, text: &[u8], collation: &Collation) {
        match collation {
            Collation::Binary | Collation::Unknown(_) => self.push_bytes(3, text),
            Collation::Rtrim => self.push_bytes(3, trim_spaces(text)),
            Collation::Nocase => {
                let end = text.iter().position(|byte| *byte == 0);
                let seen = &text[..end.unwrap_or(text.len())];
                self.push(3);
                for byte in seen {
                    self.push(byte.to_ascii_lowercase());
                    if self.is_full() {
                        return;
                    }
                }
                self.push(0);
                self.push(u8::from(end.is_some()));
                if end.is_some() {
                    self.cut();
                }
            }
        }
    }
}

/// The prefix of a key.
pub fn prefix<'v>(values: impl Iterator<Item = ValueRef<'v>>, order: &[KeyOrder]) -> Prefix {
    let mut bytes = [0; 3];
    let is_cut = write_form(&mut bytes, 0, values, order);
    Prefix { bytes, is_cut }
}

/// Writes what a key's form has behind its first `hidden` bytes to where zeros stand; true if it is cut. It is to forms that
/// begin alike what the prefix is to all.
pub fn write_form<'v>(
    words: &mut [u64; 3],
    hidden: usize,
    values: impl Iterator<Item = ValueRef<'v>>,
    order: &[KeyOrder],
) -> bool {
    let mut form = Form {
        words,
        length: 0,
        hidden,
        is_cut: false,
        inverted: 0,
    };
    for (value, order) in values.zip(order) {
        form.push_value(value, order);
        if form.is_full() {
            break;
        }
    }
    form.is_cut
}

/// Compares two keys by the values at the beginning of their records, as many as `order` has columns.
pub fn compare(a: &[u8], b: &[u8], order: &[KeyOrder], encoding: TextEncoding) -> Ordering {
    let (Some(mut a), Some(mut b)) = (RecordReader::new(a), RecordReader::new(b)) else {
        return Ordering::Equal;
    };
    for column in order {
        let (Some((a, a_body)), Some((b, b_body))) = (a.next_encoded(), b.next_encoded()) else {
            return Ordering::Equal;
        };
        let (a, b) = (decoded(a, a_body), decoded(b, b_body));
        let found = compare_values(a, b, &column.collation, encoding).unwrap_or(Ordering::Equal);
        if found != Ordering::Equal {
            return if column.descending {
                found.reverse()
            } else {
                found
            };
        }
    }
    Ordering::Equal
}

/// True if one of the first values of a record is NULL: then it is equal to no other key.
pub fn has_null(record: &[u8], columns: usize) -> bool {
    let Some(mut reader) = RecordReader::new(record) else {
        return false;
    };
    (0..columns).any(|_| matches!(reader.next_encoded(), Some((0, _))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::fit::Affinity;
    use crate::model::value::Value;
    use crate::target::btree::record::RecordBuilder;

    fn value() -> impl Strategy<Value = Value> {
        let text = proptest::collection::vec(
            prop_oneof![
                Just(0),
                Just(b' '),
                Just(b'a'),
                Just(b'A'),
                Just(b'_'),
                any::<u8>()
            ],
            0..20,
        );
        // Such that one often is the beginning of another.
        let short = proptest::collection::vec(
            prop_oneof![Just(0), Just(b' '), Just(b'a'), Just(b'A')],
            0..4,
        );
        prop_oneof![
            short.prop_map(Value::Text),
            Just(Value::Null),
            (-3..3_i64).prop_map(Value::Integer),
            any::<i64>().prop_map(Value::Integer),
            (0..9_i64).prop_map(|n| Value::Integer((1 << 53) - 4 + n)),
            (-3..3_i8).prop_map(|n| Value::Real(f64::from(n) / 2.0)),
            any::<f64>()
                .prop_filter("SQLite has none", |real| !real.is_nan())
                .prop_map(Value::Real),
            text.clone().prop_map(Value::Text),
            text.prop_map(Value::Blob),
        ]
    }

    fn order() -> impl Strategy<Value = KeyOrder> {
        let collation = prop_oneof![
            Just(Collation::Binary),
            Just(Collation::Nocase),
            Just(Collation::Rtrim)
        ];
        (collation, any::<bool>()).prop_map(|(collation, descending)| KeyOrder {
            collation,
            descending,
        })
    }

    fn record(values: &[Value]) -> Vec<u8> {
        let mut builder = RecordBuilder::default();
        for value in values {
            builder.push(&value.as_ref(), Affinity::None);
        }
        let mut record = Vec::new();
        builder.write(&mut record);
        record
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Prefixes that differ compare as the keys do; where they are equal and not cut, so are the keys.
        #[test]
        fn prefixes_compare_as_keys_do(
            a in proptest::collection::vec(value(), 1..4),
            b in proptest::collection::vec(value(), 1..4),
            same in 0..3_usize,
            order in proptest::collection::vec(order(), 3),
        ) {
            let mut b = b;
            let count = a.len().min(b.len());
            let same = same.min(count);
            b[..same].clone_from_slice(&a[..same]);
            let order = &order[..count];
            let of = |values: &[Value]| prefix(values.iter().map(Value::as_ref), order);
            let (x, y) = (of(&a), of(&b));
            let compared = compare(&record(&a), &record(&b), order, TextEncoding::Utf8);
            match x.bytes.cmp(&y.bytes) {
                Ordering::Equal if !x.is_cut && !y.is_cut => prop_assert_eq!(compared, Ordering::Equal),
                Ordering::Equal => {}
                differ => prop_assert_eq!(compared, differ),
            }
        }
    }
}
