//! Text of a database as Unicode, piece by piece; text that is none is found out.

use super::WriteError;
pub use crate::model::text::TextEncoding;

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
