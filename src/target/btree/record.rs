//! Records as SQLite stores them: SQLite file format, section 2.1 "Record Format".
//!
//! A header (its own length, then a serial type for each value, as varints) and the bodies of the values.

use crate::model::fit::Affinity;
use crate::model::value::{LongClass, ValueRef};
pub use crate::sqlite::record::{VARINT_BYTES_MAX, decoded, read_varint, serial};

/// Puts a varint at the beginning of `out`, which has room for it: big-endian groups of seven bits, the
/// ninth byte whole. Gives how many bytes it takes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "of each number only the low bits are taken"
)]
#[inline]
pub fn put_varint(out: &mut [u8], value: u64) -> usize {
    let more = |shift: u32| (value >> shift) as u8 | 0x80;
    let last = value as u8 & 0x7F;
    match value {
        0..0x80 => {
            out[0] = last;
            1
        }
        0x80..0x4000 => {
            out[..2].copy_from_slice(&[more(7), last]);
            2
        }
        0x4000..0x20_0000 => {
            out[..3].copy_from_slice(&[more(14), more(7), last]);
            3
        }
        _ => put_longer_varint(out, value),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "of each number only the low bits are taken"
)]
fn put_longer_varint(out: &mut [u8], value: u64) -> usize {
    let bytes = varint_bytes(value);
    let mut left = value;
    let mut last = bytes - 1;
    if bytes == VARINT_BYTES_MAX {
        out[last] = left as u8;
        left >>= 8;
        last -= 1;
    }
    for at in (0..=last).rev() {
        out[at] = left as u8 & 0x7F | 0x80;
        left >>= 7;
    }
    if bytes < VARINT_BYTES_MAX {
        out[bytes - 1] &= 0x7F;
    }
    bytes
}

/// Appends a varint.
pub fn push_varint(out: &mut Vec<u8>, value: u64) {
    match u8::try_from(value) {
        Ok(byte) if byte < 0x80 => out.push(byte),
        _ => {
            let mut bytes = [0; VARINT_BYTES_MAX];
            let count = put_varint(&mut bytes, value);
            out.extend_from_slice(&bytes[..count]);
        }
    }
}

/// Bytes that a varint takes.
#[inline]
pub fn varint_bytes(value: u64) -> usize {
    let bits = 64 - value.leading_zeros() as usize;
    bits.div_ceil(7).clamp(1, VARINT_BYTES_MAX)
}

/// The serial type of an integer, and how many bytes its body has. `real`: it stands for a real, which takes
/// no more than eight bytes in any case, and then stays one.
fn of_integer(value: i64) -> (u8, usize) {
    let magnitude = if value < 0 { !value } else { value };
    match magnitude {
        0..=127 if value == 0 => (serial::ZERO, 0),
        0..=127 if value == 1 => (serial::ZERO + 1, 0),
        0..=127 => (1, 1),
        128..=32_767 => (2, 2),
        32_768..=8_388_607 => (3, 3),
        8_388_608..=2_147_483_647 => (4, 4),
        2_147_483_648..=140_737_488_355_327 => (5, 6),
        _ => (6, 8),
    }
}

/// A record that is put together value by value. Kept for many records, so that its buffers are.
#[derive(Debug, Default)]
pub struct RecordBuilder {
    serials: Vec<u8>,
    body: Vec<u8>,
    /// Bytes of values that stand elsewhere.
    elsewhere: u64,
}

impl RecordBuilder {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.serials.clear();
        self.body.clear();
        self.elsewhere = 0;
    }

    /// Appends NULL.
    pub fn push_null(&mut self) {
        push_varint(&mut self.serials, serial::NULL);
    }

    /// Appends an integer.
    pub fn push_integer(&mut self, value: i64) {
        let (serial, length) = of_integer(value);
        self.serials.push(serial);
        if length > 0 {
            // Eight bytes are copied sooner than a few.
            let end = self.body.len() + length;
            let bytes = (value << (64 - 8 * length)).to_be_bytes();
            self.body.extend_from_slice(&bytes);
            self.body.truncate(end);
        }
    }

    /// Appends a value. In a column of REAL affinity a whole number is stored as an integer where that is shorter
    /// (section 2.1, and the function `sqlite3VdbeIntegerAffinity`).
    ///
    /// The value is not moved: moving one that was just written in parts is slow.
    #[inline]
    pub fn push(&mut self, value: &ValueRef<'_>, affinity: Affinity) {
        match *value {
            ValueRef::Null => self.push_null(),
            ValueRef::Integer(value) => self.push_integer(value),
            ValueRef::Real(real) => match whole(real).filter(|_| affinity == Affinity::Real) {
                Some(integer) => self.push_integer(integer),
                None => {
                    push_varint(&mut self.serials, serial::REAL);
                    self.body.extend_from_slice(&real.to_bits().to_be_bytes());
                }
            },
            ValueRef::Text(text) => {
                push_varint(&mut self.serials, serial::BLOB + 1 + 2 * text.len() as u64);
                self.body.extend_from_slice(text);
            }
            ValueRef::Blob(blob) => {
                push_varint(&mut self.serials, serial::BLOB + 2 * blob.len() as u64);
                self.body.extend_from_slice(blob);
            }
            ValueRef::Spilled(ref spilled) => {
                let of_text = u64::from(spilled.class == LongClass::Text);
                let serial = spilled.bytes.saturating_mul(2);
                push_varint(
                    &mut self.serials,
                    serial.saturating_add(serial::BLOB + of_text),
                );
                self.elsewhere = self.elsewhere.saturating_add(spilled.bytes);
            }
        }
    }

    /// Bytes of the whole record, values that stand elsewhere included.
    pub fn bytes(&self) -> u64 {
        let here = self.header_bytes() + self.body.len();
        (here as u64).saturating_add(self.elsewhere)
    }

    fn header_bytes(&self) -> usize {
        header_bytes(self.serials.len())
    }

    /// The bodies of its values, one after the other.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Appends the header to `out`.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        push_varint(out, self.header_bytes() as u64);
        out.extend_from_slice(&self.serials);
    }

    /// Appends the record to `out`; of a value that stands elsewhere nothing.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_header(out);
        out.extend_from_slice(&self.body);
    }
}

/// Bytes of a header with so many bytes of serial types: it counts its own length.
pub fn header_bytes(serials: usize) -> usize {
    let mut bytes = serials + 1;
    while varint_bytes(bytes as u64) + serials > bytes {
        bytes += 1;
    }
    bytes
}

/// The integer that a real is stored as in a column of REAL affinity: if it is whole, and takes less than the
/// eight bytes of a real.
fn whole(real: f64) -> Option<i64> {
    const LIMIT: f64 = 140_737_488_355_328.0;
    if real.fract() != 0.0 || !(-LIMIT..LIMIT).contains(&real) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole, and in range")]
    Some(real as i64)
}

/// The values of a record that was put together here.
#[derive(Debug, Clone, Copy)]
pub struct RecordReader<'r> {
    serials: &'r [u8],
    body: &'r [u8],
}

impl<'r> RecordReader<'r> {
    /// Of a whole record; `None` for bytes that are none.
    pub fn new(record: &'r [u8]) -> Option<Self> {
        let (header, used) = read_varint(record)?;
        let header = usize::try_from(header).ok()?;
        Some(Self {
            serials: record.get(used..header)?,
            body: record.get(header..)?,
        })
    }

    /// Serial type and body of the next value; `None` behind the last one.
    pub fn next_encoded(&mut self) -> Option<(u64, &'r [u8])> {
        let (serial, used) = read_varint(self.serials)?;
        self.serials = &self.serials[used..];
        let bytes = usize::try_from(serial::bytes(serial)?).ok()?;
        let (body, rest) = self.body.split_at_checked(bytes)?;
        self.body = rest;
        Some((serial, body))
    }
}

/// The values of a record that was put together here; none where it is none.
pub fn values(record: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    let mut reader = RecordReader::new(record);
    let next = move || reader.as_mut()?.next_encoded();
    std::iter::from_fn(next).map(|(serial, body)| decoded(serial, body))
}

/// Where a value stands in its record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    serial: u64,
    serial_at: u32,
    serial_bytes: u32,
    body_at: u32,
    body_bytes: u32,
}

impl Place {
    /// The value that stands there in its record.
    pub fn of(self, record: &[u8]) -> Encoded<'_> {
        let part = |at: u32, bytes: u32| {
            let at = at as usize;
            record.get(at..at + bytes as usize).unwrap_or_default()
        };
        Encoded {
            serial: self.serial,
            serial_bytes: part(self.serial_at, self.serial_bytes),
            body: part(self.body_at, self.body_bytes),
        }
    }
}

/// A value of a record, as it is encoded there.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'r> {
    /// Its serial type.
    pub serial: u64,
    /// The same as a varint.
    pub serial_bytes: &'r [u8],
    /// Its body.
    pub body: &'r [u8],
}

impl<'r> Encoded<'r> {
    /// What it stands for.
    pub fn value(self) -> ValueRef<'r> {
        decoded(self.serial, self.body)
    }
}

/// An integer as a record has it.
#[derive(Debug, Clone, Copy)]
pub struct EncodedInteger {
    serial: [u8; 1],
    bytes: [u8; 8],
    length: usize,
}

impl EncodedInteger {
    /// Encodes it.
    pub fn of(value: i64) -> Self {
        let (serial, length) = of_integer(value);
        Self {
            serial: [serial],
            bytes: value.to_be_bytes(),
            length,
        }
    }

    /// The value.
    pub fn encoded(&self) -> Encoded<'_> {
        Encoded {
            serial: u64::from(self.serial[0]),
            serial_bytes: &self.serial,
            body: &self.bytes[8 - self.length..],
        }
    }
}

/// Finds the first so many values of a record that was put together here; fewer where it is none, or of 4 GiB.
pub fn locate(record: &[u8], count: usize, places: &mut Vec<Place>) {
    places.clear();
    let Some((header, at)) = read_varint(record) else {
        return;
    };
    let (Ok(mut body_at), Ok(end)) = (u32::try_from(header), u32::try_from(record.len())) else {
        return;
    };
    let Some(mut serials) = record.get(at..body_at as usize) else {
        return;
    };
    #[expect(clippy::cast_possible_truncation, reason = "at most 9")]
    let mut serial_at = at as u32;
    while places.len() < count {
        let Some((serial, used)) = read_varint(serials) else {
            return;
        };
        let bytes = serial::bytes(serial).filter(|bytes| *bytes <= u64::from(end - body_at));
        let Some(bytes) = bytes else {
            return;
        };
        #[expect(clippy::cast_possible_truncation, reason = "within the record")]
        let (serial_bytes, body_bytes) = (used as u32, bytes as u32);
        places.push(Place {
            serial,
            serial_at,
            serial_bytes,
            body_at,
            body_bytes,
        });
        serials = &serials[used..];
        serial_at += serial_bytes;
        body_at += body_bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64, shift in 0..64_u32) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            push_varint(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varint_bytes(value));
            prop_assert_eq!(read_varint(&bytes), Some((value, bytes.len())));
            prop_assert_eq!(read_varint(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn integers_come_back(value: i64, shift in 0..64_u32) {
            let value = value >> shift;
            let mut builder = RecordBuilder::default();
            builder.push_integer(value);
            let mut record = Vec::new();
            builder.write(&mut record);
            prop_assert_eq!(record.len() as u64, builder.bytes());
            let mut reader = RecordReader::new(&record).unwrap();
            let (serial, body) = reader.next_encoded().unwrap();
            prop_assert!(decoded(serial, body).identical(ValueRef::Integer(value)));
            prop_assert!(reader.next_encoded().is_none());
        }
    }

    /// Headers whose length is at the border of one byte and two.
    #[test]
    fn a_header_counts_its_own_length() {
        for (values, header) in [
            (126, 127),
            (127, 129),
            (128, 130),
            (16_381, 16_383),
            (16_382, 16_385),
        ] {
            let mut builder = RecordBuilder::default();
            for _ in 0..values {
                builder.push_null();
            }
            let mut record = Vec::new();
            builder.write(&mut record);
            assert_eq!(record.len(), header, "{values}");
            assert_eq!(read_varint(&record).unwrap().0, header as u64);
        }
    }

    #[test]
    fn whole_reals_are_stored_short_where_that_is_shorter() {
        assert_eq!(whole(1.0), Some(1));
        assert_eq!(whole(-140_737_488_355_328.0), Some(-140_737_488_355_328));
        assert_eq!(whole(140_737_488_355_327.0), Some(140_737_488_355_327));
        assert_eq!(whole(140_737_488_355_328.0), None);
        assert_eq!(whole(1.5), None);
        assert_eq!(whole(f64::INFINITY), None);
    }
}
