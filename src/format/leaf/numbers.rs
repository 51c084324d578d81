//! §8.5 Texts that are decimal numbers of one form, as integers.
//!
//! Only what is written back letter for letter is taken: no `+5`, no `-0`, no `1e3`.

use super::integers;
use super::texts::{Decoded, Texts};
use crate::format::FormatError;
use crate::format::bytes::{Fields, append_varint};
use crate::model::value::SPILL_BYTES_OVER;

/// Most digits of a number, fraction included: any such number is an i64.
pub const NUMBER_DIGITS_MAX: usize = 18;

/// How the numbers of a column are written.
#[derive(Debug)]
pub struct Form {
    /// What stands before each.
    prefix: Vec<u8>,
    /// Least digits before the point; shorter numbers have zeros in front.
    width: usize,
    /// Digits behind the point; 0: no point.
    scale: usize,
}

impl Form {
    /// The form of a text that may be a number.
    fn of(text: &[u8]) -> Option<Self> {
        let digit = text.iter().position(u8::is_ascii_digit)?;
        // A minus in front of all is a sign; behind other letters it belongs to them.
        let prefix = if text[..digit] == *b"-" {
            &[]
        } else {
            &text[..digit]
        };
        let whole = &text[digit..];
        let whole_digits = whole.iter().take_while(|c| c.is_ascii_digit()).count();
        let scale = match whole.get(whole_digits) {
            None => 0,
            Some(b'.') => whole.len() - whole_digits - 1,
            Some(_) => return None,
        };
        let width = if whole[0] == b'0' { whole_digits } else { 1 };
        // Nothing to the right of a point is not a number.
        let good = scale > 0 || whole.len() == whole_digits;
        good.then(|| Self {
            prefix: prefix.to_vec(),
            width,
            scale,
        })
    }

    /// The number of a text, if `write` makes the text of it again.
    fn parse(&self, text: &[u8]) -> Option<i64> {
        let text = text.strip_prefix(&self.prefix[..])?;
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (whole, fraction) = if self.scale == 0 {
            (text, &[][..])
        } else {
            let point = text.len().checked_sub(self.scale + 1)?;
            if text[point] != b'.' {
                return None;
            }
            (&text[..point], &text[point + 1..])
        };
        let short = whole.len() < self.width || whole.is_empty();
        if short
            || whole.len() + self.scale > NUMBER_DIGITS_MAX
            || (whole.len() > self.width.max(1) && whole[0] == b'0')
        {
            return None;
        }
        let number = whole
            .iter()
            .chain(fraction)
            .try_fold(0_i64, |number, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| number * 10 + i64::from(digit - b'0'))
            })?;
        match (negative, number) {
            (true, 0) => None,
            (true, _) => Some(-number),
            (false, _) => Some(number),
        }
    }

    /// Appends the form.
    pub fn append(&self, out: &mut Vec<u8>) {
        append_varint(self.prefix.len() as u64, out);
        out.extend_from_slice(&self.prefix);
        append_varint(self.width as u64, out);
        append_varint(self.scale as u64, out);
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, FormatError> {
        let prefix = fields.count(SPILL_BYTES_OVER)?;
        let prefix = fields.bytes(prefix)?.to_vec();
        let width = fields.count(NUMBER_DIGITS_MAX)?;
        let scale = fields.count(NUMBER_DIGITS_MAX)?;
        Ok(Self {
            prefix,
            width,
            scale,
        })
    }

    /// Makes `text` the text of a number.
    fn write(&self, number: i64, text: &mut Vec<u8>) {
        text.truncate(self.prefix.len());
        if number < 0 {
            text.push(b'-');
        }
        // 20 digits hold any u64; in front of them zeros as far as the form asks.
        let mut digits = [b'0'; 2 * NUMBER_DIGITS_MAX + 20];
        let mut rest = number.unsigned_abs();
        let mut at = digits.len();
        while rest > 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10).to_le_bytes()[0];
            rest /= 10;
        }
        let least = self.width.max(1) + self.scale;
        let digits = &digits[at.min(digits.len() - least)..];
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        text.extend_from_slice(whole);
        if self.scale > 0 {
            text.push(b'.');
            text.extend_from_slice(fraction);
        }
    }
}

/// The form of all texts and their numbers, if all have one.
pub fn parse_all(first: &[u8], texts: &Texts<'_>) -> Option<(Form, Vec<i64>)> {
    let mut form = Form::of(first)?;
    form.parse(first)?;
    match parse_with(&form, texts) {
        Ok(values) => Some((form, values)),
        // Leading zeros show only where there are some: the first that has them says how many.
        Err(text) if form.width == 1 => {
            form.width = Form::of(text)?.width;
            let values = parse_with(&form, texts).ok()?;
            Some((form, values))
        }
        Err(_) => None,
    }
}

/// The numbers of all texts, or the first that is of another form.
fn parse_with<'a>(form: &Form, texts: &'a Texts<'_>) -> Result<Vec<i64>, &'a [u8]> {
    let values = texts.iter().map(|text| form.parse(text).ok_or(text));
    values.collect()
}

/// Decodes `count` values of at most `room` bytes.
pub fn decode<'a>(
    fields: &mut Fields<'_>,
    count: usize,
    room: usize,
) -> Result<Texts<'a>, FormatError> {
    let form = Form::read(fields)?;
    let numbers = integers::decode(fields, count)?;
    let mut out = Decoded::new(count, form.prefix.len() + form.width + form.scale, room);
    let mut text = form.prefix.clone();
    for number in numbers {
        form.write(number, &mut text);
        out.push(&text)?;
    }
    Ok(out.finish())
}
