//! §8.5 Texts of hexadecimal digits with the same letters between them, such as UUIDs: as bytes.
//!
//! The bytes stand in planes: where versions and variants keep bits constant, they lie together.

use super::texts::{Decoded, Texts};
use crate::format::FormatError;
use crate::format::bytes::{Fields, append_varint};
use crate::model::value::SPILL_BYTES_OVER;

/// Digits above 9 are lower case.
pub const HEX_LOWER: u8 = 0;
/// Digits above 9 are upper case.
pub const HEX_UPPER: u8 = 1;

/// Fewer digits are not worth it.
const DIGITS_MIN: usize = 6;
/// What stands between digits is at most half as much.
const LITERALS: usize = 2;

/// Where the digits of a column's values stand.
pub struct Form {
    case: u8,
    digits: usize,
    /// Digits before each other letter, counted from the one before it, and the letter.
    literals: Vec<(usize, u8)>,
}

fn is_digit(letter: u8) -> bool {
    letter.is_ascii_hexdigit()
}

/// The value of a digit; 16 if it is none of this case.
fn value(letter: u8, case: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        b'a'..=b'f' if case == HEX_LOWER => letter - b'a' + 10,
        b'A'..=b'F' if case == HEX_UPPER => letter - b'A' + 10,
        _ => 16,
    }
}

impl Form {
    /// The form of a text that may be such.
    fn of(text: &[u8], case: u8) -> Option<Self> {
        let digits = text.iter().filter(|c| is_digit(**c)).count();
        if digits < DIGITS_MIN || (text.len() - digits) * LITERALS > digits {
            return None;
        }
        let mut literals = Vec::new();
        let mut gap = 0;
        for letter in text {
            if is_digit(*letter) {
                gap += 1;
            } else {
                literals.push((gap, *letter));
                gap = 0;
            }
        }
        Some(Self {
            case,
            digits,
            literals,
        })
    }

    /// Appends the form.
    pub fn append(&self, out: &mut Vec<u8>) {
        out.push(self.case);
        append_varint(self.digits as u64, out);
        append_varint(self.literals.len() as u64, out);
        for (gap, letter) in &self.literals {
            append_varint(*gap as u64, out);
            out.push(*letter);
        }
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let invalid = FormatError::Invalid {
            what: "the form of hexadecimal texts",
        };
        let case = fields.u8()?;
        let digits = fields.count(SPILL_BYTES_OVER)?;
        let count = fields.count(SPILL_BYTES_OVER)?;
        let mut literals = Vec::new();
        let mut left = digits;
        for _ in 0..count {
            let gap = fields.count(left)?;
            left -= gap;
            literals.push((gap, fields.u8()?));
        }
        if case > HEX_UPPER {
            return Err(invalid);
        }
        Ok(Self {
            case,
            digits,
            literals,
        })
    }
}

/// The form of all texts, and their bytes in planes, if all have one.
pub fn parse_all(first: &[u8], texts: &Texts<'_>) -> Option<(Form, Vec<u8>)> {
    let count = texts.lengths.len();
    let letters = texts
        .bytes
        .iter()
        .find(|c| matches!(c, b'a'..=b'f' | b'A'..=b'F'));
    let case = match letters {
        Some(b'A'..=b'F') => HEX_UPPER,
        _ => HEX_LOWER,
    };
    if texts
        .lengths
        .iter()
        .any(|length| *length as usize != first.len())
    {
        return None;
    }
    let form = Form::of(first, case)?;
    // What stands at each place: another letter, or 0 for a digit. A NUL is its own error.
    let mut shape = vec![0_u8; first.len()];
    let mut at = 0;
    for (gap, letter) in &form.literals {
        at += gap;
        if *letter == 0 {
            return None;
        }
        shape[at] = *letter;
        at += 1;
    }
    let mut planes = vec![0_u8; count * form.digits.div_ceil(2)];
    for (row, text) in texts.iter().enumerate() {
        let mut digit = 0;
        for (letter, expected) in text.iter().zip(&shape) {
            if *expected != 0 {
                if letter != expected {
                    return None;
                }
                continue;
            }
            let value = value(*letter, case);
            if value > 15 {
                return None;
            }
            let place = &mut planes[digit / 2 * count + row];
            *place |= if digit % 2 == 0 { value << 4 } else { value };
            digit += 1;
        }
    }
    Some((form, planes))
}

/// Decodes `count` values of at most `room` bytes.
pub fn decode<'a>(
    fields: &mut Fields<'_>,
    count: usize,
    room: usize,
) -> Result<Texts<'a>, FormatError> {
    let form = Form::read(fields)?;
    let planes = fields.bytes(count * form.digits.div_ceil(2))?;
    let letters = if form.case == HEX_LOWER {
        b"0123456789abcdef"
    } else {
        b"0123456789ABCDEF"
    };
    let mut out = Decoded::new(count, form.digits + form.literals.len(), room);
    let mut text = Vec::new();
    for row in 0..count {
        text.clear();
        let mut digit = 0;
        let mut write = |digits: usize, text: &mut Vec<u8>| {
            for _ in 0..digits {
                let byte = planes[digit / 2 * count + row];
                let half = if digit % 2 == 0 { byte >> 4 } else { byte & 15 };
                text.push(letters[usize::from(half)]);
                digit += 1;
            }
        };
        let mut left = form.digits;
        for (gap, letter) in &form.literals {
            write(*gap, &mut text);
            text.push(*letter);
            left -= gap;
        }
        write(left, &mut text);
        out.push(&text)?;
    }
    Ok(out.finish())
}
