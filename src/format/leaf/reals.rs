//! §8.4 Reals of a column: as integers where all are decimals of few digits, else their bits.

use super::codecs::Codecs;
use super::integers;
use super::output::Output;
use crate::format::FormatError;
use crate::format::bytes::Fields;

/// In place of a number of digits: the integers are the bits.
pub const BITS: u8 = 0xFF;
/// Largest number of digits, k, of reals that are n / 10^k.
pub const DIGITS_MAX: u8 = 15;
/// |n| stays below 2^53, so that it is exact as a real.
pub const NUMERATOR_MAX: f64 = 9_007_199_254_740_992.0;

const POWERS: [f64; DIGITS_MAX as usize + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// n, if n / 10^k has exactly the bits of `value` (so -0.0 never does).
fn numerator(value: f64, digits: u8) -> Option<i64> {
    let power = POWERS[usize::from(digits)];
    let scaled = (value * power).round();
    if scaled.abs() >= NUMERATOR_MAX || (scaled / power).to_bits() != value.to_bits() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    let n = scaled as i64;
    // The numerator loses a sign that only -0.0 has.
    (n != 0 || value.to_bits() == 0).then_some(n)
}

/// The fewest digits that suffice for every value, with the numerators.
fn as_decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut digits = 0;
    for &value in values {
        while numerator(value, digits).is_none() {
            digits += 1;
            if digits > DIGITS_MAX {
                return None;
            }
        }
    }
    // A value that needs fewer digits may fail with more (by rounding): all are tried again.
    let numerators = values
        .iter()
        .map(|v| numerator(*v, digits))
        .collect::<Option<Vec<_>>>()?;
    Some((digits, numerators))
}

/// Appends the values. Nothing at all for no values.
pub fn encode(values: &[f64], codecs: &Codecs, out: &mut Output) {
    if values.is_empty() {
        return;
    }
    if codecs.decimals
        && let Some((digits, numerators)) = as_decimals(values)
    {
        out.bytes.push(digits);
        integers::encode(&numerators, codecs.integers, out);
        return;
    }
    out.bytes.push(BITS);
    let bits: Vec<i64> = values.iter().map(|v| v.to_bits().cast_signed()).collect();
    integers::encode(&bits, codecs.integers, out);
}

/// Decodes `count` values.
pub fn decode(fields: &mut Fields<'_>, count: usize) -> Result<Vec<f64>, FormatError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let digits = fields.u8()?;
    let numbers = integers::decode(fields, count)?;
    if digits == BITS {
        let reals = numbers
            .into_iter()
            .map(|n| f64::from_bits(n.cast_unsigned()));
        return Ok(reals.collect());
    }
    let power = *POWERS
        .get(usize::from(digits))
        .ok_or(FormatError::Invalid {
            what: "the digits of decimals",
        })?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "an encoder keeps them below 2^53; the id decides"
    )]
    Ok(numbers.into_iter().map(|n| n as f64 / power).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f64]) -> Vec<u64> {
        let mut out = Output::default();
        encode(values, &Codecs::ALL, &mut out);
        let mut fields = Fields::new(&out.bytes, "test");
        let out = decode(&mut fields, values.len()).unwrap();
        assert_eq!(fields.left(), 0);
        out.into_iter().map(f64::to_bits).collect()
    }

    proptest! {
        #[test]
        fn reals_come_back_bit_for_bit(values in proptest::collection::vec(any::<f64>(), 1..50)) {
            prop_assert_eq!(round_trip(&values), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        }

        #[test]
        fn prices_come_back_bit_for_bit(cents in proptest::collection::vec(-10_000_000_i64..10_000_000, 1..50)) {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let values: Vec<f64> = cents.iter().map(|c| *c as f64 / 100.0).collect();
            prop_assert_eq!(round_trip(&values), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn awkward_reals_come_back_bit_for_bit() {
        let values = [
            0.0,
            -0.0,
            0.1 + 0.2,
            1e308,
            5e-324,
            f64::INFINITY,
            -1.0,
            9_007_199_254_740_993.0,
        ];
        for value in values {
            assert_eq!(
                round_trip(&[value, 1.5]),
                [value.to_bits(), 1.5_f64.to_bits()]
            );
        }
    }
}
