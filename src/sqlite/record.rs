//! What stands in a record: varints, serial types and the bodies of values (SQLite file format, sections 1.6 and
//! 2.1 "Record Format").

use crate::model::value::ValueRef;

/// The longest varint: section 1.6.
pub const VARINT_BYTES_MAX: usize = 9;

/// Reads a varint, and how many bytes it takes; `None` if the bytes end before it does.
#[inline]
pub fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    match *bytes.first()? {
        first @ ..0x80 => Some((u64::from(first), 1)),
        _ => read_longer(bytes),
    }
}

fn read_longer(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        if at == VARINT_BYTES_MAX - 1 {
            return Some((value << 8 | u64::from(*byte), VARINT_BYTES_MAX));
        }
        value = value << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// Serial types and their bodies.
pub mod serial {
    /// NULL.
    pub const NULL: u64 = 0;
    /// A real in eight bytes.
    pub const REAL: u64 = 7;
    /// The integer 0; 1 is the next.
    pub const ZERO: u8 = 8;
    /// Blobs from here on, by even numbers, texts by odd ones.
    pub const BLOB: u64 = 12;

    /// Bytes of a body; `None` for the two types that are never stored.
    #[inline]
    pub fn bytes(serial: u64) -> Option<u64> {
        Some(match serial {
            0 | 8 | 9 => 0,
            1..=4 => serial,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => (serial - 12) / 2,
        })
    }
}

/// The value of a serial type and a body of its length.
#[inline]
pub fn decoded(serial: u64, body: &[u8]) -> ValueRef<'_> {
    match serial {
        0 | 10 | 11 => ValueRef::Null,
        8 => ValueRef::Integer(0),
        9 => ValueRef::Integer(1),
        7 => {
            let mut bits = [0; 8];
            bits[8 - body.len().min(8)..].copy_from_slice(&body[..body.len().min(8)]);
            let real = f64::from_bits(u64::from_be_bytes(bits));
            // What is no number is read as NULL: `sqlite3VdbeSerialGet`.
            if real.is_nan() {
                ValueRef::Null
            } else {
                ValueRef::Real(real)
            }
        }
        1..=6 => ValueRef::Integer(integer(body)),
        _ if serial.is_multiple_of(2) => ValueRef::Blob(body),
        _ => ValueRef::Text(body),
    }
}

/// A big-endian two's-complement number of one to eight bytes.
#[inline]
fn integer(body: &[u8]) -> i64 {
    match *body {
        [a] => i64::from(i8::from_be_bytes([a])),
        [a, b] => i64::from(i16::from_be_bytes([a, b])),
        [a, b, c] => i64::from(i32::from_be_bytes([a, b, c, 0]) >> 8),
        [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f] => i64::from_be_bytes([a, b, c, d, e, f, 0, 0]) >> 16,
        _ => {
            let mut bytes = [0; 8];
            let count = body.len().min(8);
            bytes[8 - count..].copy_from_slice(&body[..count]);
            i64::from_be_bytes(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_as_the_format_says() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0x81, 0x00], 128),
            (&[0xff; 9], u64::MAX),
            (
                &[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                u64::MAX >> 1,
            ),
        ] {
            assert_eq!(read_varint(bytes), Some((value, bytes.len())), "{bytes:?}");
        }
        for bytes in [&[][..], &[0x80], &[0xff; 8]] {
            assert_eq!(read_varint(bytes), None, "{bytes:?}");
        }
    }
}
