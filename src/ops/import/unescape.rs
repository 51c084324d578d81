//! The content of a JSON string, streamed: escapes undone, in the encoding of a database.

use std::io::{self, Read};

use crate::model::text::TextEncoding;

const BLOCK_BYTES: usize = 64 << 10;

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// What was made and is not given yet.
#[derive(Default)]
struct Made {
    bytes: Vec<u8>,
    given: usize,
}

impl Made {
    fn is_empty(&self) -> bool {
        self.given == self.bytes.len()
    }

    fn give(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.bytes[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        count
    }

    fn start(&mut self) -> &mut Vec<u8> {
        self.bytes.clear();
        self.given = 0;
        &mut self.bytes
    }
}

/// Appends a block to `pending`; false at the end.
fn read_block(inner: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<bool> {
    let before = pending.len();
    inner.take(BLOCK_BYTES as u64).read_to_end(pending)?;
    Ok(pending.len() > before)
}

/// Undoes the escapes of a string without its quotes. Errors: `InvalidData`.
pub(super) struct Unescaped<R> {
    inner: R,
    /// Read, and not undone: at most the beginning of an escape is left of it.
    pending: Vec<u8>,
    made: Made,
}

impl<R: Read> Unescaped<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            pending: Vec::new(),
            made: Made::default(),
        }
    }
}

impl<R: Read> Read for Unescaped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.made.is_empty() {
            let has_more = read_block(&mut self.inner, &mut self.pending)?;
            let used = undo(&self.pending, self.made.start())?;
            self.pending.drain(..used);
            if !has_more {
                if !self.pending.is_empty() {
                    return Err(invalid("an escape is cut off"));
                }
                break;
            }
        }
        Ok(self.made.give(buffer))
    }
}

/// Undoes as many escapes as there are whole ones. Gives the bytes that were used.
fn undo(raw: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        let rest = &raw[at..];
        match byte {
            b'\\' => match escape(rest)? {
                Some((character, used)) => {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    at += used;
                }
                None => return Ok(at),
            },
            0..0x20 => return Err(invalid("a control character in a string")),
            _ => {
                let is_plain = |byte: &&u8| **byte != b'\\' && **byte >= 0x20;
                let run = rest.iter().take_while(is_plain).count();
                out.extend_from_slice(&rest[..run]);
                at += run;
            }
        }
    }
    Ok(at)
}

/// The character of an escape, and its length; `None` if it is cut off.
fn escape(raw: &[u8]) -> io::Result<Option<(char, usize)>> {
    let character = match raw.get(1) {
        None => return Ok(None),
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(raw),
        Some(_) => return Err(invalid("an escape that JSON does not have")),
    };
    Ok(Some((character, 2)))
}

/// `\uXXXX`, or two of them.
fn unicode(raw: &[u8]) -> io::Result<Option<(char, usize)>> {
    let unit = |at: usize| -> io::Result<Option<u16>> {
        let Some(digits) = raw.get(at..at + 4) else {
            return Ok(None);
        };
        // No sign: from_str_radix takes one.
        let text = std::str::from_utf8(digits).ok();
        let text = text.filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = text.and_then(|text| u16::from_str_radix(text, 16).ok());
        unit.map(Some)
            .ok_or_else(|| invalid("an escape without four hex digits"))
    };
    let Some(first) = unit(2)? else {
        return Ok(None);
    };
    if let Some(character) = char::from_u32(first.into()) {
        return Ok(Some((character, 6)));
    }
    let lone = || invalid("half of a surrogate pair");
    match raw.get(6..8) {
        None if b"\\u".starts_with(raw.get(6..).unwrap_or_default()) => return Ok(None),
        Some(b"\\u") => {}
        _ => return Err(lone()),
    }
    let Some(second) = unit(8)? else {
        return Ok(None);
    };
    match char::decode_utf16([first, second]).next() {
        Some(Ok(character)) => Ok(Some((character, 12))),
        _ => Err(lone()),
    }
}

/// Text in UTF-8 as a database writes it. Errors: `InvalidData` where it is no UTF-8.
pub(super) struct Recoded<R> {
    inner: R,
    encoding: TextEncoding,
    /// At most the beginning of one character is left of it.
    pending: Vec<u8>,
    made: Made,
}

impl<R: Read> Recoded<R> {
    pub fn new(inner: R, encoding: TextEncoding) -> Self {
        Self {
            inner,
            encoding,
            pending: Vec::new(),
            made: Made::default(),
        }
    }
}

impl<R: Read> Read for Recoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.made.is_empty() {
            let has_more = read_block(&mut self.inner, &mut self.pending)?;
            let text = TextEncoding::Utf8.decode_beginning(&self.pending);
            let (text, used) = text.ok_or_else(|| invalid("a string that is no UTF-8"))?;
            *self.made.start() = self.encoding.encode(text.into_owned());
            self.pending.drain(..used);
            if !has_more {
                if !self.pending.is_empty() {
                    return Err(invalid("a string that is no UTF-8"));
                }
                break;
            }
        }
        Ok(self.made.give(buffer))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn undone(raw: &str) -> Option<String> {
        let mut text = String::new();
        let mut reader = Recoded::new(Unescaped::new(raw.as_bytes()), TextEncoding::Utf8);
        reader.read_to_string(&mut text).ok().map(|_| text)
    }

    proptest! {
        /// As serde_json reads it, or refused as there.
        #[test]
        fn strings_are_read_as_by_the_parser(
            parts in proptest::collection::vec(
                prop_oneof![
                    "[^\"\\\\\u{0}-\u{1f}]{0,3}",
                    "\\\\[bfnrt/\"\\\\]",
                    "\\\\u[0-9a-f]{4}",
                    "\\\\ud8[0-9a-f]{2}\\\\udc[0-9a-f]{2}",
                    "\\\\[a-z+]{1,4}",
                ],
                0..8,
            )
        ) {
            let raw = parts.concat();
            let parsed = serde_json::from_str::<String>(&format!("\"{raw}\"")).ok();
            prop_assert_eq!(undone(&raw), parsed, "{}", raw);
        }
    }

    /// An escape across the end of a block.
    #[test]
    fn a_block_may_end_anywhere() {
        for before in BLOCK_BYTES - 14..=BLOCK_BYTES {
            let raw = format!("{}\\ud83e\\udd80Ä€", "x".repeat(before));
            let text = format!("{}🦀Ä€", "x".repeat(before));
            assert_eq!(undone(&raw), Some(text));
        }
    }
}
