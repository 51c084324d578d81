//! §8.5 Texts that are timestamps, all of one form, as integers.
//!
//! Only what is written back letter for letter is taken: days that exist, no leap seconds.

use super::integers;
use super::texts::{Decoded, Texts};
use crate::format::FormatError;
use crate::format::bytes::Fields;

/// Bits of the form that hold the digits of the second's fraction, at most 9.
pub const TIME_DIGITS: u8 = 0x0F;
/// Bit of the form: `T` between day and time; without it, a space.
pub const TIME_T: u8 = 0x10;
/// Bit of the form: `Z` at the end.
pub const TIME_Z: u8 = 0x20;
/// Bit of the form: `+00:00` at the end.
pub const TIME_OFFSET: u8 = 0x40;
/// The form of days alone: numbers count days.
pub const TIME_DAYS: u8 = 0x80;

const DAY_SECONDS: i64 = 86_400;
/// Days from 0001-01-01 and to 9999-12-31, counted from 1970-01-01.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// The form of a text that may be a timestamp.
fn form_of(text: &[u8]) -> Option<u8> {
    if text.len() == 10 {
        return Some(TIME_DAYS);
    }
    let time = match text.get(10)? {
        b' ' => 0,
        b'T' => TIME_T,
        _ => return None,
    };
    let behind = text.get(19..)?;
    let (end, behind) = if let Some(rest) = behind.strip_suffix(b"Z") {
        (TIME_Z, rest)
    } else if let Some(rest) = behind.strip_suffix(b"+00:00") {
        (TIME_OFFSET, rest)
    } else {
        (0, behind)
    };
    match behind.len() {
        0 => Some(time | end),
        digits @ 2..=10 => Some(time | end | u8::try_from(digits - 1).ok()?),
        _ => None,
    }
}

/// Bytes of a text of this form; `None` if there is no such form.
fn length(form: u8) -> Option<usize> {
    if form == TIME_DAYS {
        return Some(10);
    }
    let digits = usize::from(form & TIME_DIGITS);
    let end = match form & (TIME_Z | TIME_OFFSET) {
        0 => 0,
        TIME_Z => 1,
        TIME_OFFSET => 6,
        _ => return None,
    };
    (digits <= 9 && form & TIME_DAYS == 0).then_some(19 + usize::from(digits > 0) + digits + end)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0_i64, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// The number of a text of this form.
fn parse(text: &[u8], form: u8) -> Option<i64> {
    if text.len() != length(form)? || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        digits(&text[..4])?,
        digits(&text[5..7])?,
        digits(&text[8..10])?,
    );
    let days = days_of(year, month, day)?;
    if form == TIME_DAYS {
        return Some(days);
    }
    let between = if form & TIME_T == 0 { b' ' } else { b'T' };
    if text[10] != between || text[13] != b':' || text[16] != b':' {
        return None;
    }
    let (hour, minute, second) = (
        digits(&text[11..13])?,
        digits(&text[14..16])?,
        digits(&text[17..19])?,
    );
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    let count = usize::from(form & TIME_DIGITS);
    let end = if count == 0 { 19 } else { 20 + count };
    let good_end = match form & (TIME_Z | TIME_OFFSET) {
        TIME_Z => &text[end..] == b"Z",
        TIME_OFFSET => &text[end..] == b"+00:00",
        _ => true,
    };
    if !good_end {
        return None;
    }
    if count == 0 {
        return Some(seconds);
    }
    if text[19] != b'.' {
        return None;
    }
    let power = 10_i64.pow(u32::from(form & TIME_DIGITS));
    seconds
        .checked_mul(power)?
        .checked_add(digits(&text[20..end])?)
}

/// The form of all texts and their numbers, if all have one.
pub fn parse_all(first: &[u8], texts: &Texts<'_>) -> Option<(u8, Vec<i64>)> {
    let form = form_of(first)?;
    // Most columns that are none are found out here, before anything is allocated.
    parse(first, form)?;
    let values = texts.iter().map(|text| parse(text, form));
    Some((form, values.collect::<Option<_>>()?))
}

/// Decodes `count` values of at most `room` bytes.
pub fn decode<'a>(
    fields: &mut Fields<'_>,
    count: usize,
    room: usize,
) -> Result<Texts<'a>, FormatError> {
    let invalid = FormatError::Invalid {
        what: "a timestamp",
    };
    let form = fields.u8()?;
    let length = length(form).ok_or_else(|| invalid.clone())?;
    let numbers = integers::decode(fields, count)?;
    let mut out = Decoded::new(count, length, room);
    let power = 10_i64.pow(u32::from(form & TIME_DIGITS));
    let mut text = *b"0000-00-00 00:00:00.000000000+00:00";
    let digit_count = usize::from(form & TIME_DIGITS);
    let behind = if digit_count == 0 {
        19
    } else {
        20 + digit_count
    };
    match form & (TIME_Z | TIME_OFFSET) {
        TIME_Z => text[behind] = b'Z',
        TIME_OFFSET => text[behind..behind + 6].copy_from_slice(b"+00:00"),
        _ => {}
    }
    if form & TIME_T != 0 {
        text[10] = b'T';
    }
    // The day that stands in `text`; columns of times stay in one for long.
    let mut shown = None;
    for number in numbers {
        let (days, of_day, fraction) = if form == TIME_DAYS {
            (number, 0, 0)
        } else {
            let seconds = number.div_euclid(power);
            (
                seconds.div_euclid(DAY_SECONDS),
                seconds.rem_euclid(DAY_SECONDS),
                number.rem_euclid(power),
            )
        };
        if shown != Some(days) {
            let (year, month, day) = date_of(days).ok_or_else(|| invalid.clone())?;
            write_digits(year, &mut text[..4]);
            write_digits(month, &mut text[5..7]);
            write_digits(day, &mut text[8..10]);
            shown = Some(days);
        }
        if form != TIME_DAYS {
            write_digits(of_day / 3600, &mut text[11..13]);
            write_digits(of_day / 60 % 60, &mut text[14..16]);
            write_digits(of_day % 60, &mut text[17..19]);
            write_digits(fraction, &mut text[20..20 + digit_count]);
        }
        out.push(&text[..length])?;
    }
    Ok(out.finish())
}

fn write_digits(mut number: i64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar; nothing for a day that does not exist.
///
/// Years are counted from March, so that the leap day is their last.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > month_days(year, month) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let before_year = year * 365 + year / 4 - year / 100 + year / 400;
    Some(before_year + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// Year, month and day.
fn date_of(days: i64) -> Option<(i64, i64, i64)> {
    if !DAYS.contains(&days) {
        return None;
    }
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year + era * 400;
    Some(if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    })
}
