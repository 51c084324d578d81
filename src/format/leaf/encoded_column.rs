//! §8.2 A column as it is encoded: classes, then the values of each class together.
//!
//! Whole leaves and deltas share this form.

use std::borrow::Cow;

use super::class;
use super::codecs::Codecs;
use super::column::{ColumnParts, SPILLED_BYTES};
use super::columns::Canonical;
use super::output::Output;
use super::texts::{self, Texts};
use super::{integers, reals};
use crate::format::FormatError;
use crate::format::bytes::Fields;

/// Class bytes of a column differ and are listed; a number below `CLASSES_TWO` is the class of all.
pub const CLASSES_LISTED: u8 = 0xFF;
/// Plus 8 · a + b: there are two classes, a and b, and a bit for every value, set where it is b.
pub const CLASSES_TWO: u8 = 0x80;

/// Appends the values of a column, at least one.
pub(in crate::format) fn encode_column(column: ColumnParts<'_>, codecs: &Codecs, out: &mut Output) {
    let ColumnParts {
        classes,
        lengths,
        values,
    } = column;
    let mut counts = [0_usize; 7];
    for class in classes {
        counts[usize::from(*class)] += 1;
    }
    encode_classes(classes, &counts, codecs, out);
    let lengths = lengths
        .chunks_exact(4)
        .map(|l| u32::from_le_bytes([l[0], l[1], l[2], l[3]]))
        .collect::<Vec<_>>();
    let values = by_class(classes, &counts, &lengths, values);
    let numbers = |bytes: &[u8]| -> Vec<i64> {
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| i64::from_le_bytes(*b))
            .collect()
    };
    integers::encode(&numbers(&values.integers), codecs.integers, out);
    let bits = numbers(&values.reals).into_iter();
    let reals: Vec<f64> = bits.map(|b| f64::from_bits(b.cast_unsigned())).collect();
    reals::encode(&reals, codecs, out);
    let texts = Texts {
        lengths,
        bytes: values.long,
    };
    texts::encode(&texts, codecs, out);
    out.bytes.extend_from_slice(&values.spilled);
    out.seam();
}

fn encode_classes(classes: &[u8], counts: &[usize; 7], codecs: &Codecs, out: &mut Output) {
    let mut used = (0_u8..)
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(class, _)| class);
    match (used.next(), used.next(), used.next()) {
        (Some(only), None, _) => out.bytes.push(only),
        (Some(a), Some(b), None) if codecs.class_bits => {
            out.bytes.push(CLASSES_TWO + 8 * a + b);
            for eight in classes.chunks(8) {
                let bits = eight
                    .iter()
                    .rev()
                    .fold(0, |bits, class| bits << 1 | u8::from(*class == b));
                out.bytes.push(bits);
            }
            out.seam();
        }
        _ => {
            out.bytes.push(CLASSES_LISTED);
            out.bytes.extend_from_slice(classes);
            out.seam();
        }
    }
}

/// The bytes of a column's values by class.
#[derive(Default)]
struct ByClass<'a> {
    integers: Cow<'a, [u8]>,
    reals: Cow<'a, [u8]>,
    long: Cow<'a, [u8]>,
    spilled: Cow<'a, [u8]>,
}

fn by_class<'a>(
    classes: &[u8],
    counts: &[usize; 7],
    lengths: &[u32],
    values: &'a [u8],
) -> ByClass<'a> {
    let count = |class: u8| counts[usize::from(class)];
    let kinds = [
        count(class::INTEGER),
        count(class::REAL),
        count(class::TEXT) + count(class::BLOB),
        count(class::SPILLED_TEXT) + count(class::SPILLED_BLOB),
    ];
    let mut out = ByClass::default();
    // Mostly all values that have bytes are of one kind.
    if kinds.iter().filter(|count| **count > 0).count() <= 1 {
        let only = match kinds {
            [0, 0, 0, _] => &mut out.spilled,
            [0, 0, _, _] => &mut out.long,
            [0, _, _, _] => &mut out.reals,
            _ => &mut out.integers,
        };
        *only = Cow::Borrowed(values);
        return out;
    }
    let mut lengths = lengths.iter();
    let mut rest = values;
    for &class in classes {
        let (kind, count) = match class {
            class::INTEGER => (&mut out.integers, 8),
            class::REAL => (&mut out.reals, 8),
            class::TEXT | class::BLOB => (&mut out.long, lengths.next().map_or(0, |l| *l as usize)),
            class::SPILLED_TEXT | class::SPILLED_BLOB => (&mut out.spilled, SPILLED_BYTES),
            _ => continue,
        };
        let (taken, left) = rest.split_at(count);
        rest = left;
        kind.to_mut().extend_from_slice(taken);
    }
    out
}

/// Reads a column of `rows` values, at least one, and appends its canonical form.
pub(in crate::format) fn decode_column(
    fields: &mut Fields<'_>,
    rows: usize,
    out: &mut Canonical,
) -> Result<(), FormatError> {
    let (only, classes) = decode_classes(fields, rows)?;
    out.append(&classes)?;
    let mut counts = [0_usize; 256];
    for class in &*classes {
        counts[usize::from(*class)] += 1;
    }
    let count = |class: u8| counts[usize::from(class)];
    let integers = integers::decode(fields, count(class::INTEGER))?;
    let reals = reals::decode(fields, count(class::REAL))?;
    let texts = texts::decode(fields, count(class::TEXT) + count(class::BLOB), out.room())?;
    out.append_all(texts.lengths.iter().map(|length| length.to_le_bytes()))?;
    let spilled_count = count(class::SPILLED_TEXT) + count(class::SPILLED_BLOB);
    let spilled = fields.bytes(spilled_count * SPILLED_BYTES)?;
    match only {
        Some(class::INTEGER) => out.append_all(integers.iter().map(|v| v.to_le_bytes())),
        Some(class::REAL) => out.append_all(reals.iter().map(|v| v.to_bits().to_le_bytes())),
        Some(class::TEXT | class::BLOB) => out.append(&texts.bytes),
        _ => {
            let parts = Parts {
                integers: integers.iter(),
                reals: reals.iter(),
                lengths: texts.lengths.iter(),
                long: Fields::new(&texts.bytes, "bytes of a column"),
                spilled: Fields::new(spilled, "spilled values"),
            };
            parts.interleave(&classes, out)
        }
    }
}

/// The class of all values if there is only one, and the class of each.
fn decode_classes<'a>(
    fields: &mut Fields<'a>,
    rows: usize,
) -> Result<(Option<u8>, Cow<'a, [u8]>), FormatError> {
    match fields.u8()? {
        CLASSES_LISTED => Ok((None, Cow::Borrowed(fields.bytes(rows)?))),
        head @ CLASSES_TWO.. => {
            let (a, b) = ((head - CLASSES_TWO) / 8, head % 8);
            let bits = fields.bytes(rows.div_ceil(8))?;
            let class = |row: usize| {
                if bits[row / 8] >> (row % 8) & 1 == 1 {
                    b
                } else {
                    a
                }
            };
            Ok((None, (0..rows).map(class).collect()))
        }
        class => Ok((Some(class), Cow::Owned(vec![class; rows]))),
    }
}

/// The values of a column by class, each class in row order.
struct Parts<'a> {
    integers: std::slice::Iter<'a, i64>,
    reals: std::slice::Iter<'a, f64>,
    lengths: std::slice::Iter<'a, u32>,
    long: Fields<'a>,
    spilled: Fields<'a>,
}

impl Parts<'_> {
    /// Appends the values in row order. There are as many of each class as `classes` says.
    fn interleave(mut self, classes: &[u8], out: &mut Canonical) -> Result<(), FormatError> {
        for class in classes {
            match *class {
                class::NULL => {}
                class::INTEGER => {
                    let integer = self.integers.next().copied().unwrap_or_default();
                    out.append(&integer.to_le_bytes())?;
                }
                class::REAL => {
                    let real = self.reals.next().copied().unwrap_or_default();
                    out.append(&real.to_bits().to_le_bytes())?;
                }
                class::TEXT | class::BLOB => {
                    let length = self.lengths.next().copied().unwrap_or_default();
                    out.append(self.long.bytes(length as usize)?)?;
                }
                class::SPILLED_TEXT | class::SPILLED_BLOB => {
                    out.append(self.spilled.bytes(SPILLED_BYTES)?)?;
                }
                _ => {
                    return Err(FormatError::Invalid {
                        what: "a value's class",
                    });
                }
            }
        }
        Ok(())
    }
}
