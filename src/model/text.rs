//! How a database writes its texts, and what they are in Unicode.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How a database writes its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TextEncoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "UTF-8")]
    Utf8,
    /// UTF-16, low byte first.
    #[serde(rename = "UTF-16le")]
    Utf16le,
    /// UTF-16, high byte first.
    #[serde(rename = "UTF-16be")]
    Utf16be,
}

impl TextEncoding {
    /// The encoding of this name, as `PRAGMA encoding` gives it.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Utf8, Self::Utf16le, Self::Utf16be]
            .into_iter()
            .find(|encoding| encoding.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16le => "UTF-16le",
            Self::Utf16be => "UTF-16be",
        }
    }

    /// True for UTF-8, in which SQLite hands over texts as they are stored.
    pub fn is_utf8(&self) -> bool {
        *self == Self::Utf8
    }

    /// The text of these bytes; `None` if they are not text in this encoding.
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        let (text, used) = self.decode_beginning(bytes)?;
        (used == bytes.len()).then_some(text)
    }

    /// A text as this encoding writes it.
    pub fn encode(self, text: String) -> Vec<u8> {
        match self {
            Self::Utf8 => text.into_bytes(),
            Self::Utf16le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Utf16be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }

    /// The text of these bytes, and of how many of them: the last character may be cut off.
    /// `None` if no bytes that follow could make text of them.
    pub fn decode_beginning(self, bytes: &[u8]) -> Option<(Cow<'_, str>, usize)> {
        let units = match self {
            Self::Utf8 => return utf8_beginning(bytes),
            Self::Utf16le => u16::from_le_bytes,
            Self::Utf16be => u16::from_be_bytes,
        };
        let (pairs, _) = bytes.as_chunks::<2>();
        let (mut text, mut used) = (String::with_capacity(bytes.len()), 0);
        for decoded in char::decode_utf16(pairs.iter().map(|pair| units(*pair))) {
            match decoded {
                Ok(character) => {
                    text.push(character);
                    used += 2 * character.len_utf16();
                }
                Err(lone) if used + 2 == 2 * pairs.len() && is_first_half(&lone) => break,
                Err(_) => return None,
            }
        }
        Some((Cow::Owned(text), used))
    }
}

impl TextEncoding {
    /// A text in UTF-8 as SQLite converts it (`sqlite3VdbeMemTranslate`), lone surrogates and odd
    /// bytes included: what its collations and number parsing see. UTF-8 is left as it is.
    pub fn to_sqlites_utf8(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let units = match self {
            Self::Utf8 => return Cow::Borrowed(bytes),
            Self::Utf16le => u16::from_le_bytes,
            Self::Utf16be => u16::from_be_bytes,
        };
        let (pairs, _) = bytes.as_chunks::<2>();
        let mut units = pairs.iter().map(|pair| u32::from(units(*pair)));
        let mut text = Vec::with_capacity(bytes.len());
        while let Some(unit) = units.next() {
            let second = match unit {
                0xD800..0xE000 => units.next(),
                _ => None,
            };
            let code = second.map_or(unit, |second| {
                (second & 0x03FF) + ((unit & 0x003F) << 10) + (((unit & 0x03C0) + 0x0040) << 10)
            });
            push_utf8(&mut text, code);
        }
        Cow::Owned(text)
    }
}

impl TextEncoding {
    /// How many of these bytes, the beginning of a longer text, [`TextEncoding::to_sqlites_utf8`] can
    /// convert without those that follow.
    pub fn whole_characters(self, bytes: &[u8]) -> usize {
        let units = match self {
            Self::Utf8 => return bytes.len(),
            Self::Utf16le => u16::from_le_bytes,
            Self::Utf16be => u16::from_be_bytes,
        };
        let (pairs, _) = bytes.as_chunks::<2>();
        let mut whole = 0;
        while let Some(pair) = pairs.get(whole) {
            let count = match units(*pair) {
                0xD800..0xE000 => 2,
                _ => 1,
            };
            if whole + count > pairs.len() {
                break;
            }
            whole += count;
        }
        2 * whole
    }
}

/// Surrogates are written as any other code.
fn push_utf8(text: &mut Vec<u8>, code: u32) {
    let six = |shift: u32| 0x80 | low_byte(code >> shift) & 0x3F;
    match code {
        0..0x80 => text.push(low_byte(code)),
        0x80..0x800 => text.extend([0xC0 | low_byte(code >> 6), six(0)]),
        0x800..0x1_0000 => text.extend([0xE0 | low_byte(code >> 12), six(6), six(0)]),
        _ => text.extend([0xF0 | low_byte(code >> 18) & 0x07, six(12), six(6), six(0)]),
    }
}

fn low_byte(code: u32) -> u8 {
    code.to_le_bytes()[0]
}

fn utf8_beginning(bytes: &[u8]) -> Option<(Cow<'_, str>, usize)> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some((Cow::Borrowed(text), bytes.len())),
        Err(error) if error.error_len().is_some() => None,
        Err(error) => {
            let used = error.valid_up_to();
            let text = std::str::from_utf8(&bytes[..used]).ok()?;
            Some((Cow::Borrowed(text), used))
        }
    }
}

fn is_first_half(lone: &std::char::DecodeUtf16Error) -> bool {
    (0xD800..0xDC00).contains(&lone.unpaired_surrogate())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any bytes, as SQLite itself converts them.
        #[test]
        fn texts_convert_as_sqlites_do(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            for encoding in [TextEncoding::Utf16le, TextEncoding::Utf16be] {
                let db = rusqlite::Connection::open_in_memory().unwrap();
                db.execute_batch(&format!("PRAGMA encoding='{}'; CREATE TABLE t(a)", encoding.name()))
                    .unwrap();
                db.execute("INSERT INTO t VALUES(CAST(?1 AS TEXT))", [&bytes]).unwrap();
                let (stored, seen) = db
                    .query_row("SELECT CAST(a AS BLOB), a FROM t", [], |row| {
                        let stored: Vec<u8> = row.get(0)?;
                        Ok((stored, row.get_ref(1)?.as_bytes().unwrap().to_vec()))
                    })
                    .unwrap();
                prop_assert_eq!(encoding.to_sqlites_utf8(&stored).into_owned(), seen);
            }
        }
    }
}
