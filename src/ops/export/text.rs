//! Text of a database as Unicode, whole or piece by piece; text that is none is found out.

use std::borrow::Cow;

use super::WriteError;

/// How a database writes its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, low byte first.
    Utf16le,
    /// UTF-16, high byte first.
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

    /// The text of these bytes; `None` if they are not text in this encoding.
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        let (text, used) = self.decode_beginning(bytes)?;
        (used == bytes.len()).then_some(text)
    }

    /// The text of these bytes, and of how many of them: the last character may be cut off.
    /// `None` if no bytes that follow could make text of them.
    fn decode_beginning(self, bytes: &[u8]) -> Option<(Cow<'_, str>, usize)> {
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

/// Decodes a text that comes in pieces, cut anywhere.
#[derive(Debug)]
pub(super) struct PieceDecoder {
    encoding: TextEncoding,
    /// Bytes not yet decoded: after every piece the beginning of one character at most.
    pending: Vec<u8>,
}

impl PieceDecoder {
    pub(super) fn new(encoding: TextEncoding) -> Self {
        Self {
            encoding,
            pending: Vec::new(),
        }
    }

    /// Passes the text of a piece on; false if it is not text.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        each: &mut dyn FnMut(&str) -> Result<(), WriteError>,
    ) -> Result<bool, WriteError> {
        self.pending.extend_from_slice(piece);
        let Some((text, used)) = self.encoding.decode_beginning(&self.pending) else {
            return Ok(false);
        };
        each(&text)?;
        self.pending.drain(..used);
        Ok(true)
    }

    /// True if no character was left unfinished.
    pub(super) fn is_complete(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// Every cut of a text into two pieces gives the same text.
    #[test]
    fn a_text_may_be_cut_anywhere() {
        let text = "aé€\u{2028}🦀\0z";
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let forms = [
            (TextEncoding::Utf8, text.as_bytes().to_vec()),
            (TextEncoding::Utf16le, utf16le(text)),
            (TextEncoding::Utf16be, big),
        ];
        for (encoding, bytes) in forms {
            assert_eq!(encoding.decode(&bytes).as_deref(), Some(text));
            for cut in 0..=bytes.len() {
                let (mut decoder, mut got) = (PieceDecoder::new(encoding), String::new());
                for piece in [&bytes[..cut], &bytes[cut..]] {
                    let mut each = |part: &str| {
                        got.push_str(part);
                        Ok(())
                    };
                    assert!(decoder.push(piece, &mut each).unwrap());
                }
                assert!(decoder.is_complete());
                assert_eq!(got, text, "{} cut at {cut}", encoding.name());
            }
        }
    }

    #[test]
    fn what_is_not_text_is_found_out() {
        let utf8 = |bytes: &[u8]| TextEncoding::Utf8.decode(bytes).is_none();
        assert!(utf8(b"\xff") && utf8(b"a\xc3") && utf8(b"\xed\xa0\xbd") && utf8(b"\xc0\x80"));
        let utf16 = |bytes: &[u8]| TextEncoding::Utf16le.decode(bytes).is_none();
        assert!(utf16(b"a"), "half a unit");
        assert!(utf16(&[0x3d, 0xd8]), "the first half of a pair alone");
        assert!(
            utf16(&[0x3d, 0xd8, b'a', 0]),
            "and before another character"
        );
        assert!(utf16(&[0x80, 0xdc, b'a', 0]), "the second half alone");
    }
}
