//! Values as JSON: every value exactly, and readable where JSON has a form for it.
//!
//! | SQLite | JSON |
//! |---|---|
//! | NULL | `null` |
//! | integer | a number without `.` and `e` |
//! | real | a number with `.` or `e`: the shortest that reads back to the same bits |
//! | infinite real | `{"$real": "Infinity"}`, `{"$real": "-Infinity"}` |
//! | text | a string; escaped is only what JSON demands |
//! | text that is no Unicode | `{"$text": base64}` of its bytes, in UTF-16 databases with `"$encoding"` |
//! | blob | `{"$blob": base64}` |
//!
//! No text is ever written as an object, so the forms cannot be confused. Large values are streamed:
//! memory is one chunk, whatever their length.

use std::io::{Read, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;

use super::WriteError;
use super::text::{PieceDecoder, TextEncoding};
use crate::format::FormatError;
use crate::format::blob::BlobSource;
use crate::model::value::{LongClass, Spilled, ValueRef};
use crate::progress::Progress;
use crate::tree::large::{LargeReader, blob_failure, chunk_kind_at};

/// Bytes of a large value that are passed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// A new line with the deepest indent that occurs: a member of a value of a record.
const LINE: [u8; 1 + 2 * DEPTH_MAX] = *b"\n          ";
const DEPTH_MAX: usize = 5;

/// How a document is laid out: on one line, or with an indent of 2 at a depth.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layout {
    Compact,
    Indented { depth: usize },
}

impl Layout {
    /// The layout of what stands one level deeper.
    pub(super) fn inner(self) -> Self {
        match self {
            Self::Compact => Self::Compact,
            Self::Indented { depth } => Self::Indented { depth: depth + 1 },
        }
    }

    /// Begins the line of a member.
    pub(super) fn line(self, out: &mut dyn Write) -> std::io::Result<()> {
        match self {
            Self::Compact => Ok(()),
            Self::Indented { depth } => out.write_all(&LINE[..1 + 2 * depth.min(DEPTH_MAX)]),
        }
    }

    /// What stands between a member's name and its value.
    pub(super) fn colon(self) -> &'static str {
        match self {
            Self::Compact => ":",
            Self::Indented { .. } => ": ",
        }
    }
}

/// What is needed to write values: where large ones are read, and how text is to be understood.
pub(super) struct Values<'a> {
    pub(super) source: &'a dyn BlobSource,
    pub(super) encoding: TextEncoding,
    pub(super) progress: &'a mut dyn Progress,
}

impl Values<'_> {
    /// Writes one value as JSON.
    pub(super) fn json(
        &mut self,
        value: ValueRef<'_>,
        layout: Layout,
        out: &mut dyn Write,
    ) -> Result<(), WriteError> {
        match value {
            ValueRef::Spilled(large) => self.large_json(&large, layout, out),
            value => plain(value, self.encoding, layout, out),
        }
    }

    fn large_json(
        &mut self,
        large: &Spilled,
        layout: Layout,
        out: &mut dyn Write,
    ) -> Result<(), WriteError> {
        match large.class {
            LongClass::Blob => tagged(out, layout, "$blob", None, |out| {
                self.large_base64(large, out)
            }),
            // Read twice: the form stands before the text.
            LongClass::Text if self.large_is_text(large)? => {
                out.write_all(b"\"")?;
                self.large_text(large, &mut |text| Ok(escape(out, text)?))?;
                Ok(out.write_all(b"\"")?)
            }
            LongClass::Text => {
                let encoding = named(self.encoding);
                tagged(out, layout, "$text", encoding, |out| {
                    self.large_base64(large, out)
                })
            }
        }
    }

    /// True if a large text is text in the database's encoding.
    pub(super) fn large_is_text(&mut self, large: &Spilled) -> Result<bool, WriteError> {
        self.large_text(large, &mut |_| Ok(()))
    }

    /// Passes a large text on in pieces; false, at the place where that shows, if it is none.
    pub(super) fn large_text(
        &mut self,
        large: &Spilled,
        each: &mut dyn FnMut(&str) -> Result<(), WriteError>,
    ) -> Result<bool, WriteError> {
        let mut decoder = PieceDecoder::new(self.encoding);
        let whole = self.large_pieces(large, &mut |piece| decoder.push(piece, each))?;
        Ok(whole && decoder.is_complete())
    }

    /// Writes the bytes of a large value as base64.
    pub(super) fn large_base64(
        &mut self,
        large: &Spilled,
        out: &mut dyn Write,
    ) -> Result<(), WriteError> {
        let mut encoder = EncoderWriter::new(out, &STANDARD);
        self.large_pieces(large, &mut |piece| {
            encoder.write_all(piece)?;
            Ok(true)
        })?;
        encoder.finish()?;
        Ok(())
    }

    /// Passes a large value on until `each` says false; true if it was passed on to its end.
    fn large_pieces(
        &mut self,
        large: &Spilled,
        each: &mut dyn FnMut(&[u8]) -> Result<bool, WriteError>,
    ) -> Result<bool, WriteError> {
        let mut reader = LargeReader::new(self.source, large);
        let mut buffer = vec![0; PIECE_BYTES];
        let mut left = large.bytes;
        loop {
            if self.progress.cancelled() {
                return Err(WriteError::Cancelled);
            }
            let count = match reader.read(&mut buffer) {
                Ok(count) => count,
                Err(cause) => return Err(blob_failure(reader, large, cause).into()),
            };
            match left.checked_sub(count as u64) {
                Some(0) if count == 0 => return Ok(true),
                Some(rest) if count > 0 => left = rest,
                _ => return Err(wrong_length(large)),
            }
            if !each(&buffer[..count])? {
                return Ok(false);
            }
        }
    }
}

/// Writes one value as JSON on one line, as exports do; of a large one its class, length and id:
/// `{"$large":"text","bytes":20000,"id":"…"}`. Large values of one id are equal.
pub fn value_line(
    value: ValueRef<'_>,
    encoding: TextEncoding,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    plain(value, encoding, Layout::Compact, out).map_err(|error| match error {
        WriteError::Output(error) => error,
        // Nothing is read.
        WriteError::Blob(_) | WriteError::Cancelled => std::io::ErrorKind::Other.into(),
    })
}

/// Writes a value without reading anything.
fn plain(
    value: ValueRef<'_>,
    encoding: TextEncoding,
    layout: Layout,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    match value {
        ValueRef::Null => out.write_all(b"null")?,
        ValueRef::Integer(v) => write!(out, "{v}")?,
        ValueRef::Real(v) if v.is_finite() => out.write_all(real_text(v).as_bytes())?,
        ValueRef::Real(v) => tagged(out, layout, "$real", None, |out| {
            Ok(out.write_all(real_text(v).as_bytes())?)
        })?,
        ValueRef::Text(bytes) => match encoding.decode(bytes) {
            Some(text) => string(out, &text)?,
            None => tagged(out, layout, "$text", named(encoding), |out| {
                base64(out, bytes)
            })?,
        },
        ValueRef::Blob(bytes) => {
            tagged(out, layout, "$blob", None, |out| base64(out, bytes))?;
        }
        ValueRef::Spilled(large) => {
            let class = match large.class {
                LongClass::Text => "text",
                LongClass::Blob => "blob",
            };
            let (bytes, id) = (large.bytes, large.root);
            write!(
                out,
                "{{\"$large\":\"{class}\",\"bytes\":{bytes},\"id\":\"{id}\"}}"
            )?;
        }
    }
    Ok(())
}

/// The encoding that stands beside bytes of a text, where it is not the usual one.
fn named(encoding: TextEncoding) -> Option<TextEncoding> {
    Some(encoding).filter(|encoding| *encoding != TextEncoding::Utf8)
}

fn wrong_length(large: &Spilled) -> WriteError {
    let cause = FormatError::Invalid {
        what: "the length of a large value",
    };
    crate::tree::misfit(chunk_kind_at(large.level), large.root, cause).into()
}

/// Writes `{"<tag>": "<content>"}`; the content needs no escapes.
fn tagged(
    out: &mut dyn Write,
    layout: Layout,
    tag: &str,
    encoding: Option<TextEncoding>,
    content: impl FnOnce(&mut dyn Write) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let inner = layout.inner();
    out.write_all(b"{")?;
    inner.line(out)?;
    write!(out, "\"{tag}\"{}\"", layout.colon())?;
    content(out)?;
    out.write_all(b"\"")?;
    if let Some(encoding) = encoding {
        out.write_all(b",")?;
        inner.line(out)?;
        let colon = layout.colon();
        write!(out, "\"$encoding\"{colon}\"{}\"", encoding.name())?;
    }
    layout.line(out)?;
    Ok(out.write_all(b"}")?)
}

/// The shortest text that reads back to the same bits; `Infinity` where JSON has no number.
pub(super) fn real_text(value: f64) -> String {
    if value == f64::INFINITY {
        return "Infinity".to_owned();
    }
    if value == f64::NEG_INFINITY {
        return "-Infinity".to_owned();
    }
    // Debug, not Display: always a point or an exponent, and an exponent where it is shorter.
    format!("{value:?}")
}

/// Writes bytes as base64.
pub(super) fn base64(out: &mut dyn Write, bytes: &[u8]) -> Result<(), WriteError> {
    let mut encoder = EncoderWriter::new(out, &STANDARD);
    encoder.write_all(bytes)?;
    encoder.finish()?;
    Ok(())
}

/// Writes a text as a JSON string.
pub(super) fn string(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    out.write_all(b"\"")?;
    escape(out, text)?;
    out.write_all(b"\"")
}

/// Writes a text as part of a JSON string: quotes, backslashes and control characters escaped.
fn escape(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..0x20 => b"",
            _ => continue,
        };
        out.write_all(&bytes[written..at])?;
        match short {
            b"" => write!(out, "\\u{byte:04x}")?,
            short => out.write_all(short)?,
        }
        written = at + 1;
    }
    out.write_all(&bytes[written..])
}

#[cfg(test)]
mod tests;
