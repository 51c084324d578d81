//! Parity shards: lost parts of some bytes are computed again from the rest and from parity.
//!
//! Reed-Solomon over GF(2^16), of the crate `reed-solomon-simd`, always in its high-rate form, which
//! is one code whatever the counts: store-format.md §13 defines it. It restores *erasures*: which
//! shards are bad must be known. Shards are coded in strips, so that what is needed beside data and
//! parity is an eighth of the data at most (twice that for restoring), and 9 MiB of tables.

use reed_solomon_simd::engine::{self, DefaultEngine};
use reed_solomon_simd::rate::{HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder};

use crate::model::counted::{agree, counted};

/// The field's polynomial.
pub const POLYNOMIAL: usize = engine::GF_POLYNOMIAL;
/// What the bits of a number stand for as an element of the field.
pub const BASIS: [u16; 16] = engine::CANTOR_BASIS;
/// Shards of data, and of parity, at most.
pub const SHARDS_MAX: usize = 32_768;
/// Shards are coded so many bytes at a time; the code sees blocks of 64 bytes, each for itself.
const STRIP_BYTES: usize = 512;

/// Why there is no parity, or why it does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErasureError {
    /// More shards are bad than parity shards are good.
    #[error("{} {} bad, and {spare} can be had", counted(*bad as u64, "shard"), agree(*bad as u64, "is", "are"))]
    TooMany {
        /// Shards of data that are bad.
        bad: usize,
        /// Shards of parity that are good.
        spare: usize,
    },
    /// No data, or counts or lengths that the code does not know.
    #[error("{0} shards of data, {1} of parity, {2} bytes each: there is no such code")]
    Shape(usize, usize, usize),
    /// The crate refused what should be allowed: a bug.
    #[error("the erasure code failed: {0}")]
    Code(String),
}

impl From<reed_solomon_simd::Error> for ErasureError {
    fn from(error: reed_solomon_simd::Error) -> Self {
        Self::Code(error.to_string())
    }
}

/// Shards of `shard_bytes` that `data` fills, the last one perhaps in part.
fn count(data: &[u8], shard_bytes: usize) -> usize {
    data.len().checked_div(shard_bytes).map_or(0, |whole| {
        whole + usize::from(!data.len().is_multiple_of(shard_bytes))
    })
}

fn check_shape(data: usize, parity: usize, shard_bytes: usize) -> Result<(), ErasureError> {
    let good = (1..=SHARDS_MAX).contains(&data)
        && (1..=SHARDS_MAX).contains(&parity)
        && shard_bytes > 0
        && shard_bytes.is_multiple_of(STRIP_BYTES);
    match good {
        true => Ok(()),
        false => Err(ErasureError::Shape(data, parity, shard_bytes)),
    }
}

/// The last shard of data, padded with zeros.
fn padded_last(data: &[u8], shard_bytes: usize) -> Vec<u8> {
    let begin = (count(data, shard_bytes) - 1) * shard_bytes;
    let mut last = data[begin..].to_vec();
    last.resize(shard_bytes, 0);
    last
}

/// A strip of a shard of data; `last` is the last one, padded.
fn strip<'a>(
    data: &'a [u8],
    last: &'a [u8],
    shard_bytes: usize,
    shard: usize,
    at: usize,
) -> &'a [u8] {
    let begin = shard * shard_bytes;
    let whole = match data.get(begin..begin + shard_bytes) {
        Some(whole) => whole,
        None => last,
    };
    &whole[at..at + STRIP_BYTES]
}

/// The parity shards of `data`, one behind the other. The last shard of data counts as padded with
/// zeros. `shard_bytes` is a multiple of 512; data and parity have 1 to [`SHARDS_MAX`] shards.
pub fn encode(
    data: &[u8],
    shard_bytes: usize,
    parity_shards: usize,
) -> Result<Vec<u8>, ErasureError> {
    let shards = count(data, shard_bytes);
    check_shape(shards, parity_shards, shard_bytes)?;
    let last = padded_last(data, shard_bytes);
    let mut parity = vec![0; parity_shards * shard_bytes];
    let engine = DefaultEngine::new();
    let mut encoder = HighRateEncoder::new(shards, parity_shards, STRIP_BYTES, engine, None)?;
    for at in (0..shard_bytes).step_by(STRIP_BYTES) {
        for shard in 0..shards {
            encoder.add_original_shard(strip(data, &last, shard_bytes, shard, at))?;
        }
        let coded = encoder.encode()?;
        for (shard, made) in coded.recovery_iter().enumerate() {
            let begin = shard * shard_bytes + at;
            parity[begin..begin + STRIP_BYTES].copy_from_slice(made);
        }
    }
    Ok(parity)
}

/// Makes the bad shards of `data` again, in place.
///
/// `data` has its full length, whatever stands where it is bad; `is_good` has one entry for each of its
/// shards. `parity` gives a parity shard by its number, `None` for a bad one. What comes out is right
/// only if what was called good is: the caller proves it.
pub fn restore<'a>(
    data: &mut [u8],
    shard_bytes: usize,
    is_good: &[bool],
    parity_shards: usize,
    parity: impl Fn(usize) -> Option<&'a [u8]>,
) -> Result<(), ErasureError> {
    let shards = count(data, shard_bytes);
    check_shape(shards, parity_shards, shard_bytes)?;
    if is_good.len() != shards {
        return Err(ErasureError::Shape(
            is_good.len(),
            parity_shards,
            shard_bytes,
        ));
    }
    let bad = is_good.iter().filter(|good| !**good).count();
    if bad == 0 {
        return Ok(());
    }
    let of_length = |number| Some((number, parity(number).filter(|s| s.len() == shard_bytes)?));
    let spare: Vec<(usize, &[u8])> = (0..parity_shards).filter_map(of_length).collect();
    if bad > spare.len() {
        let spare = spare.len();
        return Err(ErasureError::TooMany { bad, spare });
    }
    let last = padded_last(data, shard_bytes);
    let engine = DefaultEngine::new();
    let mut decoder = HighRateDecoder::new(shards, parity_shards, STRIP_BYTES, engine, None)?;
    for at in (0..shard_bytes).step_by(STRIP_BYTES) {
        for (shard, _) in is_good.iter().enumerate().filter(|(_, good)| **good) {
            decoder.add_original_shard(shard, strip(data, &last, shard_bytes, shard, at))?;
        }
        for (number, shard) in spare.iter().take(bad) {
            decoder.add_recovery_shard(*number, &shard[at..at + STRIP_BYTES])?;
        }
        for (shard, made) in decoder.decode()?.restored_original_iter() {
            let begin = (shard * shard_bytes + at).min(data.len());
            let end = (begin + STRIP_BYTES).min(data.len());
            data[begin..end].copy_from_slice(&made[..end - begin]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that look random and come again.
    fn bytes(count: usize, seed: u64) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        let mut out = vec![0; count];
        hasher.finalize_xof().fill(&mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn as_many_shards_come_back_as_there_is_parity(
            length in 1_usize..40_000, parity in 1_usize..40, extra in 0_usize..3,
            order in any::<prop::sample::Index>(), lost in any::<u64>(),
        ) {
            let good = bytes(length, lost);
            let shards = count(&good, 512);
            let coded = encode(&good, 512, parity).unwrap();
            // A run of bad shards from anywhere, around the end; and some bad parity.
            let bad_parity = order.index(parity);
            let bad = (parity - bad_parity + extra).min(shards);
            let first = order.index(shards);
            let is_bad = |shard: usize| (shard + shards - first) % shards < bad;
            let mut data = good.clone();
            for shard in (0..shards).filter(|shard| is_bad(*shard)) {
                let end = (512 * (shard + 1)).min(length);
                data[512 * shard..end].fill(0x5A);
            }
            let is_good: Vec<bool> = (0..shards).map(|shard| !is_bad(shard)).collect();
            let shard = |number: usize| (number >= bad_parity).then(|| &coded[512 * number..512 * (number + 1)]);
            let done = restore(&mut data, 512, &is_good, parity, shard);
            if bad <= parity - bad_parity {
                prop_assert_eq!(done, Ok(()));
                prop_assert!(data == good);
            } else {
                prop_assert_eq!(done, Err(ErasureError::TooMany { bad, spare: parity - bad_parity }));
            }
        }
    }

    /// A product in the field, by its definition.
    fn times(a: u16, b: u16) -> u16 {
        let polynomial = |number: u16| {
            let bits = (0..16).filter(|bit| number >> bit & 1 == 1);
            bits.fold(0, |sum, bit| sum ^ u32::from(BASIS[bit]))
        };
        let (a, b) = (polynomial(a), polynomial(b));
        let mut product = (0..16)
            .filter(|bit| b >> bit & 1 == 1)
            .fold(0, |p, bit| p ^ a << bit);
        for bit in (16..32).rev() {
            if product >> bit & 1 == 1 {
                product ^= u32::try_from(POLYNOMIAL).unwrap() << (bit - 16);
            }
        }
        // Back into the basis: its elements are solved for one by one.
        let mut rows: Vec<(u32, u16)> = (0..16).map(|i| (u32::from(BASIS[i]), 1 << i)).collect();
        let mut number = 0;
        for bit in (0..16).rev() {
            let at = rows
                .iter()
                .position(|(element, _)| element >> bit & 1 == 1)
                .unwrap();
            let (element, combined) = rows.remove(at);
            for row in rows.iter_mut().filter(|(other, _)| other >> bit & 1 == 1) {
                *row = (row.0 ^ element, row.1 ^ combined);
            }
            if product >> bit & 1 == 1 {
                product ^= element;
                number ^= combined;
            }
        }
        number
    }

    /// The sums of store-format.md §13, with nothing but the definition of the field.
    #[test]
    fn parity_is_what_the_format_says() {
        for (data, parity) in [(1, 1), (5, 4), (13, 8), (40, 2)] {
            let bytes = bytes(512 * data, 7);
            let coded = encode(&bytes, 512, parity).unwrap();
            // The first and last symbol of the second block of 64 bytes of each shard.
            for symbol in [0, 31] {
                let of =
                    |shard: &[u8]| u16::from_le_bytes([shard[64 + symbol], shard[96 + symbol]]);
                let mut word: Vec<u16> = coded.chunks(512).map(of).collect();
                assert!(parity.is_power_of_two(), "all parity is stored");
                word.extend(bytes.chunks(512).map(of));
                for power in 0..parity {
                    let sum = (0..).zip(&word).fold(0, |sum, (point, c)| {
                        sum ^ (0..power).fold(*c, |product, _| times(product, point))
                    });
                    assert_eq!(sum, 0, "{data} {parity} {power}");
                }
            }
        }
    }

    #[test]
    fn strips_do_not_show() {
        let data = bytes(20 * 4096, 1);
        let whole = reed_solomon_simd::encode(20, 7, data.chunks(4096)).unwrap();
        assert_eq!(encode(&data, 4096, 7).unwrap(), whole.concat());
    }

    #[test]
    fn shapes_without_a_code_are_refused() {
        for (data, shard_bytes, parity) in [
            (0, 512, 1),
            (1, 0, 1),
            (1, 64, 1),
            (1, 512, 0),
            (1, 512, SHARDS_MAX + 1),
            (512 * SHARDS_MAX + 1, 512, 1),
        ] {
            let done = encode(&vec![1; data], shard_bytes, parity);
            assert!(matches!(done, Err(ErasureError::Shape(..))), "{done:?}");
        }
    }
}
