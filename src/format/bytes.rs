//! Reading and writing little-endian fields; every read is checked against what is there.

use super::FormatError;

/// Bytes being decoded, from front to back.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    /// What is being decoded, for errors.
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// Begins to decode `bytes` as a `what`.
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// Bytes not yet decoded.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(FormatError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(FormatError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Eight bytes, signed.
    pub fn i64(&mut self) -> Result<i64, FormatError> {
        self.array().map(i64::from_le_bytes)
    }

    /// An unsigned LEB128 number of at most 10 bytes, in its shortest form.
    pub fn varint(&mut self) -> Result<u64, FormatError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            let longer = byte & 0x80 != 0;
            // Bits beyond the 64th, or a last byte that says nothing.
            let lost = shift == 63 && (bits > 1 || longer);
            if lost || (byte == 0 && shift > 0) {
                break;
            }
            value |= bits << shift;
            if !longer {
                return Ok(value);
            }
        }
        Err(FormatError::Invalid {
            what: "a number of variable length",
        })
    }

    /// A signed number: zigzag, as [`Self::varint`].
    pub fn zigzag(&mut self) -> Result<i64, FormatError> {
        self.varint().map(unzigzag)
    }

    /// A count that must not pass `max`, as [`Self::varint`].
    pub fn count(&mut self, max: usize) -> Result<usize, FormatError> {
        let value = self.varint()?;
        check_limit(self.what, value, max as u64)?;
        usize::try_from(value).map_err(|_| FormatError::Invalid { what: self.what })
    }

    /// A bool as one byte, 0 or 1.
    pub fn flag(&mut self) -> Result<bool, FormatError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FormatError::Invalid { what: self.what }),
        }
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(FormatError::Invalid { what: self.what })
        }
    }
}

/// Appends an unsigned LEB128 number, in its shortest form.
pub fn append_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a signed number: zigzag, as [`append_varint`].
pub fn append_zigzag(value: i64, out: &mut Vec<u8>) {
    append_varint(zigzag(value), out);
}

/// Maps signed numbers near 0 to small unsigned ones.
const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Refuses a value over its limit.
pub fn check_limit(what: &'static str, value: u64, max: u64) -> Result<(), FormatError> {
    if value <= max {
        Ok(())
    } else {
        Err(FormatError::Limit { what, value, max })
    }
}

/// A length as the 4 bytes it has in the format.
///
/// Lengths are bounded far below 4 GiB before they get here (`limits`).
pub fn length_u32(length: usize) -> u32 {
    debug_assert!(
        u32::try_from(length).is_ok(),
        "lengths are bounded by format::limits"
    );
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_of_variable_length_come_back(value in any::<u64>(), bits in 0_u32..64) {
            let (value, mut bytes) = (value >> bits, Vec::new());
            append_varint(value, &mut bytes);
            append_zigzag(value.cast_signed(), &mut bytes);
            let mut fields = Fields::new(&bytes, "test");
            prop_assert_eq!(fields.varint().unwrap(), value);
            prop_assert_eq!(fields.zigzag().unwrap(), value.cast_signed());
            prop_assert_eq!(fields.left(), 0);
        }

        /// There is one form of a number: what is read is what would be written.
        #[test]
        fn only_the_shortest_form_is_read(bytes in proptest::collection::vec(prop_oneof![Just(0x80), Just(0xFF), any::<u8>()], 1..12)) {
            let mut fields = Fields::new(&bytes, "test");
            if let Ok(value) = fields.varint() {
                let mut again = Vec::new();
                append_varint(value, &mut again);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - fields.left()]);
            }
        }
    }

    #[test]
    fn longer_forms_and_larger_numbers_are_refused() {
        let read = |bytes: &[u8]| Fields::new(bytes, "test").varint();
        assert_eq!(read(&[0x80, 1]), Ok(128));
        assert_eq!(
            read(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
            Ok(u64::MAX)
        );
        for bad in [
            &[0x80, 0][..],
            &[0xFF; 11],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2],
            &[0x80],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
