//! §8.3 Integers of a column, and whatever is counted beside them: planes.
//!
//! Values are taken as they are or as differences, made small and non-negative, cut to the fewest
//! bits that hold the largest, and written plane by plane (all low bytes first): the noisy bytes
//! stay apart from the constant ones, which is what zstd needs. Which is best is estimated from a
//! sample.

use super::estimate;
use super::output::Output;
use crate::format::FormatError;
use crate::format::bytes::{Fields, append_varint, append_zigzag};

/// Bits of the head that hold the width: 4 for each plane of bytes, 1 to 3 for one of 1, 2, 4 bits.
pub const WIDTH_BITS: u8 = 0x3F;
/// Largest width: 8 planes of bytes.
pub const WIDTH_MAX: u8 = 32;
/// Bit of the head: distances from the base are multiples of a factor.
pub const MULTIPLES: u8 = 0x40;
/// Bit of the head: numbers are differences to the value before; the first value stands in front.
pub const DIFFERENCES: u8 = 0x80;

/// Bits that the first value costs in front of differences, about.
const FIRST_BITS: f32 = 16.0;

/// Which ways of writing integers an encoder may use.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Differences.
    pub differences: bool,
    /// Multiples.
    pub multiples: bool,
}

/// The width of numbers up to `largest`: whole planes of 8 bits, the last of 1, 2, 4 or 8.
fn width(largest: u64) -> u8 {
    let bits = 64 - largest.leading_zeros();
    let (whole, rest) = (bits / 8, bits % 8);
    let last = match rest {
        0 => 0,
        1 => 1,
        2 => 2,
        3..=4 => 3,
        _ => 4,
    };
    #[expect(clippy::cast_possible_truncation, reason = "0 to 32")]
    let width = (4 * whole + last) as u8;
    width
}

/// Bits of each plane of a width, lowest first.
fn planes(width: u8) -> impl Iterator<Item = usize> + Clone {
    let last = usize::from(width % 4);
    let whole = std::iter::repeat_n(8, usize::from(width / 4));
    whole.chain((last > 0).then_some(1 << last >> 1))
}

/// How values are made small, and what it costs.
struct Plan {
    /// Width and `MULTIPLES`.
    head: u8,
    base: i64,
    factor: u64,
    /// Bits that the planes will need, about.
    cost: f32,
}

impl Plan {
    /// The number of a value or difference.
    fn small(&self, value: i64) -> u64 {
        let distance = value.wrapping_sub(self.base).cast_unsigned();
        // Divisions are slow, and mostly by 1.
        if self.factor == 1 {
            distance
        } else {
            distance / self.factor
        }
    }

    /// The plan for `count` values or differences.
    fn of(values: impl Iterator<Item = i64> + Clone, count: usize, allowed: Allowed) -> Self {
        let (min, max) = values.clone().fold((i64::MAX, i64::MIN), |(min, max), v| {
            (min.min(v), max.max(v))
        });
        let distance = |value: i64| value.wrapping_sub(min).cast_unsigned();
        let factor = if allowed.multiples {
            common_factor(values.clone().map(distance))
        } else {
            1
        };
        let width = width(distance(max) / factor);
        let head = width | if factor > 1 { MULTIPLES } else { 0 };
        let mut plan = Self {
            head,
            base: min,
            factor,
            cost: 0.0,
        };
        if width == 0 {
            return plan;
        }
        let step = estimate::stride(count);
        let mut sample = [0_i64; estimate::SAMPLE];
        let mut taken = 0;
        for (place, value) in sample.iter_mut().zip(values.step_by(step)) {
            *place = value;
            taken += 1;
        }
        let sample = &sample[..taken];
        plan.cost = estimate::planes(sample.iter().map(|v| plan.small(*v)), planes(width), count);
        plan
    }

    fn append(&self, first: Option<i64>, values: impl Iterator<Item = i64>, out: &mut Output) {
        let differences = if first.is_some() { DIFFERENCES } else { 0 };
        out.bytes.push(self.head | differences);
        if let Some(first) = first {
            append_zigzag(first, &mut out.bytes);
        }
        append_zigzag(self.base, &mut out.bytes);
        if self.head & MULTIPLES != 0 {
            append_varint(self.factor, &mut out.bytes);
        }
        let numbers: Vec<u64> = values.map(|value| self.small(value)).collect();
        append_planes(&numbers, self.head & WIDTH_BITS, out);
    }
}

/// Appends planes, lowest first; numbers of less than 8 bits share bytes, the first lowest.
fn append_planes(numbers: &[u64], width: u8, out: &mut Output) {
    for (plane, bits) in planes(width).enumerate() {
        out.seam();
        let byte = |number: &u64| number.to_le_bytes()[plane];
        if bits == 8 {
            out.bytes.extend(numbers.iter().map(byte));
        } else {
            let packed = |some: &[u64]| {
                some.iter()
                    .rev()
                    .fold(0, |all, number| all << bits | byte(number))
            };
            out.bytes.extend(numbers.chunks(8 / bits).map(packed));
        }
    }
    out.seam();
}

/// The largest number that divides all; 1 as soon as it is clear.
fn common_factor(numbers: impl Iterator<Item = u64>) -> u64 {
    let mut factor = 0_u64;
    for number in numbers {
        let (mut a, mut b) = (factor, number);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        factor = a;
        if factor == 1 {
            break;
        }
    }
    factor.max(1)
}

/// Appends the values. Nothing at all for no values.
pub fn encode(values: &[i64], allowed: Allowed, out: &mut Output) {
    let Some(&first) = values.first() else {
        return;
    };
    let plain = Plan::of(values.iter().copied(), values.len(), allowed);
    if allowed.differences && plain.cost > 0.0 {
        let steps = values.windows(2).map(|two| two[1].wrapping_sub(two[0]));
        let plan = Plan::of(steps.clone(), values.len() - 1, allowed);
        if plan.cost + FIRST_BITS < plain.cost {
            return plan.append(Some(first), steps, out);
        }
    }
    plain.append(None, values.iter().copied(), out);
}

/// Decodes `count` values.
pub fn decode(fields: &mut Fields<'_>, count: usize) -> Result<Vec<i64>, FormatError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let head = fields.u8()?;
    let width = head & WIDTH_BITS;
    if width > WIDTH_MAX {
        return Err(FormatError::Invalid {
            what: "the head of integers",
        });
    }
    let differences = head & DIFFERENCES != 0;
    let first = if differences { fields.zigzag()? } else { 0 };
    let base = fields.zigzag()?;
    let factor = if head & MULTIPLES == 0 {
        1
    } else {
        fields.varint()?
    };
    let numbers = decode_planes(fields, count - usize::from(differences), width)?;
    let large = |number: u64| base.wrapping_add(number.wrapping_mul(factor).cast_signed());
    if !differences {
        return Ok(numbers.into_iter().map(large).collect());
    }
    let mut values = Vec::with_capacity(count);
    let mut value = first;
    values.push(value);
    values.extend(numbers.into_iter().map(|number| {
        value = value.wrapping_add(large(number));
        value
    }));
    Ok(values)
}

/// Reads planes, lowest first.
fn decode_planes(
    fields: &mut Fields<'_>,
    count: usize,
    width: u8,
) -> Result<Vec<u64>, FormatError> {
    // At most 65,536, whatever is there.
    let mut numbers = vec![0_u64; count];
    for (plane, bits) in planes(width).enumerate() {
        let bytes = fields.bytes((count * bits).div_ceil(8))?;
        if bits == 8 {
            for (number, byte) in numbers.iter_mut().zip(bytes) {
                *number |= u64::from(*byte) << (8 * plane);
            }
            continue;
        }
        let mask = (1_u8 << bits) - 1;
        for (some, byte) in numbers.chunks_mut(8 / bits).zip(bytes) {
            for (at, number) in some.iter_mut().enumerate() {
                *number |= u64::from(byte >> (at * bits) & mask) << (8 * plane);
            }
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::leaf::codecs::Codecs;
    use proptest::prelude::*;

    fn encoded(values: &[i64], codecs: &Codecs) -> Vec<u8> {
        let mut out = Output::default();
        encode(values, codecs.integers, &mut out);
        out.bytes
    }

    proptest! {
        #[test]
        fn integers_come_back(
            values in proptest::collection::vec(any::<i64>(), 0..200),
            shift in 0_u32..64,
            factor in 1_i64..10_000,
            rising in any::<bool>(),
            plain in any::<bool>(),
        ) {
            let mut values: Vec<i64> = values.iter().map(|v| (v >> shift).wrapping_mul(factor)).collect();
            if rising {
                values.sort_unstable();
            }
            let bytes = encoded(&values, if plain { &Codecs::PLAIN } else { &Codecs::ALL });
            let mut fields = Fields::new(&bytes, "test");
            prop_assert_eq!(decode(&mut fields, values.len()).unwrap(), values);
            prop_assert_eq!(fields.left(), 0);
        }

        #[test]
        fn any_bytes_are_integers_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), count in 0_usize..20) {
            let _ = decode(&mut Fields::new(&bytes, "test"), count);
        }
    }

    #[test]
    fn a_counting_column_costs_next_to_nothing() {
        let bytes = encoded(&(1_000_000..1_002_000).collect::<Vec<i64>>(), &Codecs::ALL);
        assert!(bytes.len() < 8, "{bytes:?}");
    }

    #[test]
    fn few_integers_cost_few_bytes() {
        for (values, most) in [
            (&[7][..], 2),
            (&[1_000_000], 5),
            (&[3, 1, 2], 5),
            (&[0, 1000, 5000], 8),
        ] {
            assert!(encoded(values, &Codecs::ALL).len() <= most, "{values:?}");
        }
    }
}
