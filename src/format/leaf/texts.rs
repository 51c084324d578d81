//! §8.5 Texts and blobs of a column: with the codec that suits all of them, or plain.

use std::borrow::Cow;

use super::codecs::Codecs;
use super::output::Output;
use super::{dictionary, hex, integers, numbers, timestamps};
use crate::format::FormatError;
use crate::format::bytes::{Fields, check_limit, length_u32};
use crate::model::value::SPILL_BYTES_OVER;

/// Lengths, then all bytes.
pub const TEXTS_PLAIN: u8 = 0;
/// Different values once, then which is where.
pub const TEXTS_DICTIONARY: u8 = 1;
/// Timestamps as integers.
pub const TEXTS_TIMESTAMPS: u8 = 2;
/// Decimal numbers as integers.
pub const TEXTS_NUMBERS: u8 = 3;
/// Hexadecimal digits as bytes.
pub const TEXTS_HEX: u8 = 4;

/// Texts and blobs one after the other.
#[derive(Debug, Clone, Default)]
pub struct Texts<'a> {
    /// Length of each, none over what stands in a row.
    pub lengths: Vec<u32>,
    /// Bytes of all.
    pub bytes: Cow<'a, [u8]>,
}

impl Texts<'_> {
    /// Each value.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        self.lengths.iter().map(move |length| {
            let (value, behind) = rest.split_at(*length as usize);
            rest = behind;
            value
        })
    }

    /// The first value; nothing is like the empty one.
    fn first(&self) -> &[u8] {
        self.iter().next().unwrap_or_default()
    }
}

/// Values being decoded, in no more than the room that is left.
pub struct Decoded {
    lengths: Vec<u32>,
    bytes: Vec<u8>,
    room: usize,
}

impl Decoded {
    /// For `count` values of about so many bytes, all in `room` bytes.
    pub fn new(count: usize, bytes_each: usize, room: usize) -> Self {
        Self {
            lengths: Vec::with_capacity(count),
            bytes: Vec::with_capacity(count.saturating_mul(bytes_each).min(room)),
            room,
        }
    }

    /// Appends a value.
    pub fn push(&mut self, value: &[u8]) -> Result<(), FormatError> {
        let length = value.len();
        if length > SPILL_BYTES_OVER || self.bytes.len() + length > self.room {
            check_limit("a value in a leaf", length as u64, SPILL_BYTES_OVER as u64)?;
            let total = self.bytes.len() + length;
            check_limit("a decoded leaf", total as u64, self.room as u64)?;
        }
        self.bytes.extend_from_slice(value);
        self.lengths.push(length_u32(length));
        Ok(())
    }

    /// The values.
    pub fn finish<'a>(self) -> Texts<'a> {
        Texts {
            lengths: self.lengths,
            bytes: Cow::Owned(self.bytes),
        }
    }
}

/// Appends the values. Nothing at all for no values.
pub fn encode(texts: &Texts<'_>, codecs: &Codecs, out: &mut Output) {
    if texts.lengths.is_empty() {
        return;
    }
    if codecs.dictionary
        && let Some(found) = dictionary::find(texts)
    {
        out.bytes.push(TEXTS_DICTIONARY);
        dictionary::encode(&found, codecs, out);
        return;
    }
    encode_without_dictionary(texts, codecs, out);
}

/// Appends the values as they are, or by what they look like.
pub fn encode_without_dictionary(texts: &Texts<'_>, codecs: &Codecs, out: &mut Output) {
    let first = texts.first();
    if codecs.timestamps
        && let Some((form, values)) = timestamps::parse_all(first, texts)
    {
        out.bytes.extend_from_slice(&[TEXTS_TIMESTAMPS, form]);
        integers::encode(&values, codecs.integers, out);
    } else if codecs.numbers
        && let Some((form, values)) = numbers::parse_all(first, texts)
    {
        out.bytes.push(TEXTS_NUMBERS);
        form.append(&mut out.bytes);
        integers::encode(&values, codecs.integers, out);
    } else if codecs.hex
        && let Some((form, planes)) = hex::parse_all(first, texts)
    {
        out.bytes.push(TEXTS_HEX);
        form.append(&mut out.bytes);
        for plane in planes.chunks_exact(texts.lengths.len()) {
            out.seam();
            out.bytes.extend_from_slice(plane);
        }
        out.seam();
    } else {
        out.bytes.push(TEXTS_PLAIN);
        let lengths: Vec<i64> = texts.lengths.iter().map(|l| i64::from(*l)).collect();
        integers::encode(&lengths, codecs.integers, out);
        out.bytes.extend_from_slice(&texts.bytes);
        out.seam();
    }
}

/// Decodes `count` values of at most `room` bytes.
pub fn decode<'a>(
    fields: &mut Fields<'a>,
    count: usize,
    room: usize,
) -> Result<Texts<'a>, FormatError> {
    if count == 0 {
        return Ok(Texts::default());
    }
    match fields.u8()? {
        TEXTS_DICTIONARY => dictionary::decode(fields, count, room),
        codec => decode_without_dictionary(codec, fields, count, room),
    }
}

/// Decodes by any other codec than a dictionary.
pub fn decode_without_dictionary<'a>(
    codec: u8,
    fields: &mut Fields<'a>,
    count: usize,
    room: usize,
) -> Result<Texts<'a>, FormatError> {
    match codec {
        TEXTS_PLAIN => decode_plain(fields, count),
        TEXTS_TIMESTAMPS => timestamps::decode(fields, count, room),
        TEXTS_NUMBERS => numbers::decode(fields, count, room),
        TEXTS_HEX => hex::decode(fields, count, room),
        _ => Err(FormatError::Invalid {
            what: "the codec of texts",
        }),
    }
}

fn decode_plain<'a>(fields: &mut Fields<'a>, count: usize) -> Result<Texts<'a>, FormatError> {
    let length = |length: i64| {
        let length = u32::try_from(length).map_err(|_| FormatError::Invalid {
            what: "the length of a value",
        })?;
        check_limit("a value in a leaf", length.into(), SPILL_BYTES_OVER as u64)?;
        Ok(length)
    };
    let lengths = integers::decode(fields, count)?;
    let lengths: Vec<u32> = lengths
        .into_iter()
        .map(length)
        .collect::<Result<_, FormatError>>()?;
    // At most 65,536 values of 16 KiB.
    let bytes = fields.bytes(lengths.iter().map(|length| *length as usize).sum())?;
    Ok(Texts {
        lengths,
        bytes: Cow::Borrowed(bytes),
    })
}
