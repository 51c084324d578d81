//! Records with their texts in UTF-8, as SQLite converts them: a live database is read and written in
//! UTF-8, whatever its own encoding and that of the snapshot are.

use std::io::{self, Read};

use super::compare::filled;
use super::error::TargetError;
use super::writer::SpilledContent;
use crate::model::row::RowRef;
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Spilled, Value, ValueRef};

/// Bytes of a long text that are converted at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Calls `each` with a record, its texts in UTF-8. Long texts are read once to know their length, and
/// converted when they are opened.
///
/// Errors: those of `each`; `failed` makes one of a long text that cannot be read.
pub fn in_utf8<R>(
    encoding: TextEncoding,
    row: RowRef<'_>,
    content: &mut dyn SpilledContent,
    failed: impl FnOnce(io::Error) -> TargetError,
    each: impl FnOnce(RowRef<'_>, &mut dyn SpilledContent) -> Result<R, TargetError>,
) -> Result<R, TargetError> {
    if encoding.is_utf8() {
        return each(row, content);
    }
    let mut long = Vec::new();
    let mut convert = || {
        let mut converted = Vec::with_capacity(row.values.len());
        for value in row.values {
            converted.push(match value {
                ValueRef::Text(bytes) => {
                    Some(Value::Text(encoding.to_sqlites_utf8(bytes).into_owned()))
                }
                ValueRef::Spilled(stored) if stored.class == LongClass::Text => {
                    let mut text = Utf8Reader::new(encoding, content.open(stored)?);
                    let bytes = io::copy(&mut text, &mut io::sink())?;
                    let told = Spilled { bytes, ..*stored };
                    long.push((told, *stored));
                    Some(Value::Spilled(told))
                }
                _ => None,
            });
        }
        Ok(converted)
    };
    let converted: Vec<Option<Value>> = convert().map_err(failed)?;
    let pairs = row.values.iter().zip(&converted);
    let values: Vec<ValueRef<'_>> = pairs
        .map(|(value, text)| text.as_ref().map_or(*value, Value::as_ref))
        .collect();
    let row = RowRef {
        rowid: row.rowid,
        values: &values,
    };
    let mut content = Converted {
        inner: content,
        encoding,
        long: &long,
    };
    each(row, &mut content)
}

/// Gives long texts in UTF-8.
struct Converted<'c> {
    inner: &'c mut dyn SpilledContent,
    encoding: TextEncoding,
    /// As they are told, and as they are stored.
    long: &'c [(Spilled, Spilled)],
}

impl SpilledContent for Converted<'_> {
    fn open<'a>(&'a mut self, spilled: &Spilled) -> io::Result<Box<dyn Read + 'a>> {
        if spilled.class == LongClass::Blob {
            return self.inner.open(spilled);
        }
        let known = self.long.iter().find(|(told, _)| told == spilled);
        let Some((_, stored)) = known else {
            let text = "a text over 16 KiB of another record is not at hand in UTF-8";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        };
        let text = Utf8Reader::new(self.encoding, self.inner.open(stored)?);
        Ok(Box::new(text))
    }
}

/// Reads a text of another encoding as UTF-8, piece by piece.
pub(super) struct Utf8Reader<R> {
    encoding: TextEncoding,
    inner: R,
    /// Read, not converted.
    rest: Vec<u8>,
    /// Converted, and how much of it was given.
    text: Vec<u8>,
    given: usize,
    is_at_end: bool,
}

impl<R: Read> Utf8Reader<R> {
    pub(super) fn new(encoding: TextEncoding, inner: R) -> Self {
        Self {
            encoding,
            inner,
            rest: Vec::new(),
            text: Vec::new(),
            given: 0,
            is_at_end: false,
        }
    }

    fn convert_more(&mut self) -> io::Result<()> {
        let kept = self.rest.len();
        self.rest.resize(kept + PIECE_BYTES, 0);
        let count = filled(&mut self.inner, &mut self.rest[kept..])?;
        self.rest.truncate(kept + count);
        self.is_at_end = count < PIECE_BYTES;
        let whole = match self.is_at_end {
            true => self.rest.len(),
            false => self.encoding.whole_characters(&self.rest),
        };
        let text = self.encoding.to_sqlites_utf8(&self.rest[..whole]);
        self.text = text.into_owned();
        self.given = 0;
        self.rest.drain(..whole);
        Ok(())
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if self.is_at_end {
                return Ok(0);
            }
            self.convert_more()?;
        }
        let count = out.len().min(self.text.len() - self.given);
        out[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Wherever it is cut into pieces.
        #[test]
        fn a_long_text_is_converted_like_a_short_one(
            begin in PIECE_BYTES - 9..PIECE_BYTES + 9,
            units in proptest::collection::vec(prop_oneof![any::<u16>(), 0xD7FF_u16..0xE001], 0..40),
            odd in any::<bool>(),
        ) {
            let mut bytes = vec![b'a'; begin / 2 * 2];
            bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
            bytes.extend(odd.then_some(1));
            let encoding = TextEncoding::Utf16le;
            let mut text = Vec::new();
            Utf8Reader::new(encoding, bytes.as_slice()).read_to_end(&mut text).unwrap();
            prop_assert!(text == encoding.to_sqlites_utf8(&bytes).as_ref());
        }
    }
}
