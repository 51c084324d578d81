//! §8.3 Integers of a column, and the lengths of texts and blobs: byte planes.
//!
//! Values are taken as they are or as differences, made small and non-negative, cut to the fewest
//! bytes that hold the largest, and written plane by plane (all low bytes first): the noisy bytes
//! stay apart from the constant ones, which is what zstd needs.

use crate::format::FormatError;
use crate::format::bytes::{Fields, unzigzag, zigzag};

/// The value minus the smallest one.
pub const FROM_MIN: u8 = 0;
/// Zigzag of the difference to the value before (the first to 0).
pub const DIFFERENCES: u8 = 1;

/// Bytes that hold `value`: 0 for 0, 8 at most.
fn width(value: u64) -> usize {
    (64 - value.leading_zeros() as usize).div_ceil(8)
}

/// Bits that an entropy coder would need for the planes: the sum of their order-0 entropies.
fn cost(values: &[u64], width: usize) -> f64 {
    let mut bits = 0.0;
    for plane in 0..width {
        let mut counts = [0_u32; 256];
        for value in values {
            counts[usize::from(value.to_le_bytes()[plane])] += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 65,536 values")]
        let total = values.len() as f64;
        bits += counts
            .iter()
            .filter(|count| **count > 0)
            .map(|count| f64::from(*count) * (total / f64::from(*count)).log2())
            .sum::<f64>();
    }
    bits
}

/// Appends the values: codec, then its fields. Nothing at all for no values.
///
/// | bytes | field |
/// |---|---|
/// | 0 | codec |
/// | 1 | width in bytes, 0 to 8 |
/// | 2..10 | smallest value (codec 0 only) |
/// | then | width planes of one byte a value, lowest first |
pub fn encode(values: &[i64], out: &mut Vec<u8>) {
    let Some(&min) = values.iter().min() else {
        return;
    };
    let from_min: Vec<u64> = values
        .iter()
        .map(|v| v.wrapping_sub(min).cast_unsigned())
        .collect();
    let mut before = 0_i64;
    let differences: Vec<u64> = values
        .iter()
        .map(|v| zigzag(v.wrapping_sub(std::mem::replace(&mut before, *v))))
        .collect();
    let width_of = |values: &[u64]| values.iter().copied().max().map_or(0, width);
    let (min_width, difference_width) = (width_of(&from_min), width_of(&differences));
    let plain =
        min_width == 0 || cost(&from_min, min_width) <= cost(&differences, difference_width);
    let (codec, width, values) = if plain {
        (FROM_MIN, min_width, &from_min)
    } else {
        (DIFFERENCES, difference_width, &differences)
    };
    out.push(codec);
    #[expect(clippy::cast_possible_truncation, reason = "0 to 8")]
    out.push(width as u8);
    if codec == FROM_MIN {
        out.extend_from_slice(&min.to_le_bytes());
    }
    for plane in 0..width {
        out.extend(values.iter().map(|value| value.to_le_bytes()[plane]));
    }
}

/// Decodes `count` values.
pub fn decode(fields: &mut Fields<'_>, count: usize) -> Result<Vec<i64>, FormatError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let codec = fields.u8()?;
    let width = usize::from(fields.u8()?);
    if width > 8 {
        return Err(FormatError::Invalid {
            what: "the width of integers",
        });
    }
    let min = match codec {
        FROM_MIN => fields.i64()?,
        DIFFERENCES => 0,
        _ => {
            return Err(FormatError::Invalid {
                what: "the codec of integers",
            });
        }
    };
    let mut raw = vec![0_u64; count];
    for plane in 0..width {
        for (value, byte) in raw.iter_mut().zip(fields.bytes(count)?) {
            *value |= u64::from(*byte) << (8 * plane);
        }
    }
    let mut before = 0_i64;
    Ok(raw
        .into_iter()
        .map(|value| match codec {
            FROM_MIN => min.wrapping_add(value.cast_signed()),
            _ => {
                before = before.wrapping_add(unzigzag(value));
                before
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(values in proptest::collection::vec(any::<i64>(), 0..200), small in any::<bool>()) {
            let values: Vec<i64> = values.iter().map(|v| if small { v % 1000 } else { *v }).collect();
            let mut bytes = Vec::new();
            encode(&values, &mut bytes);
            let mut fields = Fields::new(&bytes, "test");
            prop_assert_eq!(decode(&mut fields, values.len()).unwrap(), values);
            prop_assert_eq!(fields.left(), 0);
        }
    }

    #[test]
    fn a_counting_column_costs_next_to_nothing() {
        let mut bytes = Vec::new();
        encode(&(1_000_000..1_002_000).collect::<Vec<i64>>(), &mut bytes);
        assert!(crate::codec::zstd::compress(&bytes, 1).unwrap().len() < 60);
    }
}
