//! Records as CSV by RFC 4180: for spreadsheets and other tools; the JSON forms are the exact ones.
//!
//! A line of names, then one line a record, each ended by CR LF. NULL is an empty field, an empty
//! text is `""`; NULL in a table of one column is `""` too, for readers pass over empty lines. Numbers are written as in JSON, infinities as `Infinity`. Blobs, and text that is
//! no Unicode, are base64: no byte is lost, but the field does not say that it is one.

use std::io::Write;

use super::WriteError;
use super::json::{Values, base64, real_text};
use crate::model::value::{LongClass, Spilled, ValueRef};

impl Values<'_> {
    /// Writes one value as a field.
    pub(super) fn csv(
        &mut self,
        value: ValueRef<'_>,
        out: &mut dyn Write,
    ) -> Result<(), WriteError> {
        match value {
            ValueRef::Null => {}
            ValueRef::Integer(v) => write!(out, "{v}")?,
            ValueRef::Real(v) => out.write_all(real_text(v).as_bytes())?,
            ValueRef::Text(bytes) => match self.encoding.decode(bytes) {
                Some(text) => field(out, &text)?,
                None => base64(out, bytes)?,
            },
            ValueRef::Blob(bytes) => base64(out, bytes)?,
            ValueRef::Spilled(large) => self.large_csv(&large, out)?,
        }
        Ok(())
    }

    fn large_csv(&mut self, large: &Spilled, out: &mut dyn Write) -> Result<(), WriteError> {
        if large.class == LongClass::Blob || !self.large_is_text(large)? {
            return self.large_base64(large, out);
        }
        out.write_all(b"\"")?;
        self.large_text(large, &mut |text| Ok(double_quotes(out, text)?))?;
        Ok(out.write_all(b"\"")?)
    }
}

/// Writes a text as a field, in quotes if it needs them.
pub(super) fn field(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    // A leading or trailing space is kept by the RFC, but trimmed by many readers.
    let special = |byte: u8| matches!(byte, b'"' | b',' | b'\r' | b'\n');
    let plain = !text.is_empty() && text.trim() == text && !text.bytes().any(special);
    if plain {
        return out.write_all(text.as_bytes());
    }
    out.write_all(b"\"")?;
    double_quotes(out, text)?;
    out.write_all(b"\"")
}

fn double_quotes(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_readers_need_it() {
        let table = [
            ("plain", "plain"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" edge", "\" edge\""),
        ];
        for (text, expected) in table {
            let mut out = Vec::new();
            field(&mut out, text).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
