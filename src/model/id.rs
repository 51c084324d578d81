//! Identifiers of everything in a store, as new types, with their one text form each.
//!
//! Blob and pack ids are BLAKE3-256 digests, written as 64 hex digits. A snapshot id is its UTC
//! time and 128 random bits: sortable by time as text, unique without a clock that can be trusted.

use std::fmt;
use std::str::FromStr;

/// A text that is not an identifier of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}: {text:?}")]
pub struct IdError {
    /// What was expected, with its article: "a blob id (64 hex digits)".
    pub expected: &'static str,
    /// The text that was given.
    pub text: String,
}

/// Writes bytes as lower-case hex digits.
fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    let text = std::str::from_utf8(&text[..2 * bytes.len()]);
    f.write_str(text.unwrap_or_default())
}

/// Reads exactly `N` bytes from lower-case hex digits.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Some(out)
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// The first 8 hex digits, for people.
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                read_hex(text)
                    .map(Self)
                    .ok_or_else(|| IdError { expected: $expected, text: text.to_owned() })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(
    /// The name of a blob: the digest of its canonical form, its kind included.
    BlobId, 32, "a blob id (64 hex digits)"
);
hex_id!(
    /// The name of a pack: the digest of its bytes.
    PackId, 32, "a pack id (64 hex digits)"
);
hex_id!(
    /// The random name of a store, made with it.
    StoreId, 16, "a store id (32 hex digits)"
);
hex_id!(
    /// The random name of a clean-up.
    GcId, 16, "a clean-up's id (32 hex digits)"
);

/// The name of a snapshot: UTC time to the second, and 128 random bits.
///
/// Text form: `20261123T201530Z-` and 32 hex digits. Order is that of time, then of the random bits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// Length of the text form in bytes.
    pub const TEXT_BYTES: usize = 16 + 1 + 32;
    const EXPECTED: &'static str = "a snapshot id (like 20261123T201530Z- and 32 hex digits)";

    /// Builds an id from a UTC time (seconds since 1970) and 16 random bytes.
    ///
    /// Times outside the years 0 to 9999 are clamped to 1970: an id must have its fixed width.
    pub fn new(unix_seconds: i64, random: [u8; 16]) -> Self {
        let time = jiff::Timestamp::from_second(unix_seconds)
            .ok()
            .map(|t| t.strftime("%Y%m%dT%H%M%SZ").to_string())
            .filter(|t| t.len() == 16)
            .unwrap_or_else(|| "19700101T000000Z".to_owned());
        Self(format!("{time}-{}", StoreId(random)))
    }

    /// The time part, which ends with `Z`.
    pub fn second(&self) -> &str {
        &self.0[..16]
    }

    /// The time part, in milliseconds since 1970; `None` if it is no time.
    pub fn unix_ms(&self) -> Option<i64> {
        let time = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", self.second());
        let time = time.ok()?.to_datetime().ok()?;
        let time = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
        Some(time.as_millisecond())
    }

    /// The full text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time part and the first 4 random digits; people see this unless it is ambiguous.
    pub fn short(&self) -> &str {
        &self.0[..21]
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotId({self})")
    }
}

impl FromStr for SnapshotId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        let good = bytes.len() == Self::TEXT_BYTES
            && bytes[..8].iter().all(u8::is_ascii_digit)
            && bytes[8] == b'T'
            && bytes[9..15].iter().all(u8::is_ascii_digit)
            && &bytes[15..17] == b"Z-"
            && text.get(17..).and_then(read_hex::<16>).is_some();
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError {
                expected: Self::EXPECTED,
                text: text.to_owned(),
            })
        }
    }
}

impl<'de> serde::Deserialize<'de> for SnapshotId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_they_were_written() {
        let blob = BlobId([0xab; 32]);
        assert_eq!(blob.to_string().parse(), Ok(blob));
        let snapshot = SnapshotId::new(1_795_464_930, [7; 16]);
        assert_eq!(snapshot.to_string().parse(), Ok(snapshot));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "ab", "AB", "20261123T201530Z-9f3c", "é"] {
            assert!(text.parse::<BlobId>().is_err(), "{text}");
            assert!(text.parse::<SnapshotId>().is_err(), "{text}");
        }
        assert!(
            "AB".repeat(32).parse::<BlobId>().is_err(),
            "one text form only: lower case"
        );
    }
}
