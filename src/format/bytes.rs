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
