//! §8.5 Texts of few different values: each once, then which of them is where.

use super::codecs::Codecs;
use super::integers;
use super::output::Output;
use super::texts::{self, Decoded, Texts};
use crate::format::FormatError;
use crate::format::bytes::{Fields, append_varint, length_u32};

/// A dictionary pays if its entries are at most one in so many values.
pub const RATIO: usize = 2;
/// After so many values that are nearly all different, no more are looked at.
const GLANCE: usize = 256;

/// Different values, in order of first appearance, and the number of each value's entry.
pub struct Found<'a> {
    entries: Texts<'a>,
    /// The number of the entry of each.
    pub numbers: Vec<i64>,
}

/// Entries by hash; open addressing, a power of two of places that are never full.
struct Table {
    /// Number of the entry, plus 1; 0: free.
    places: Vec<u32>,
    /// Places that may still be looked at. Values made to collide end the search for a dictionary,
    /// not the backup.
    patience: usize,
}

impl Table {
    fn new(most: usize, values: usize) -> Self {
        Self {
            places: vec![0; (most * 2 + 2).next_power_of_two()],
            patience: values * 8 + 64,
        }
    }

    /// The place of the entry for which `is_it` holds, or the free one where it belongs.
    fn place(&mut self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<&mut u32> {
        let mask = self.places.len() - 1;
        let mut at = (hash >> 20) as usize & mask;
        loop {
            self.patience = self.patience.checked_sub(1)?;
            let number = *self.places.get(at)?;
            if number == 0 || is_it(number - 1) {
                return self.places.get_mut(at);
            }
            at = (at + 1) & mask;
        }
    }
}

/// A quick hash: 8 bytes at a time, multiplied by an odd number (that of FxHash).
fn hash(value: &[u8]) -> u64 {
    const ODD: u64 = 0x51_7C_C1_B7_27_22_0A_95;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(ODD);
    let (words, rest) = value.as_chunks();
    let hash = words.iter().fold(value.len() as u64, |hash, word| {
        mix(hash, u64::from_le_bytes(*word))
    });
    let last = rest
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    let hash = mix(hash, last);
    hash ^ hash >> 32
}

/// A dictionary of at most a `RATIO`th of the values.
pub fn find<'a>(texts: &'a Texts<'_>) -> Option<Found<'a>> {
    let count = texts.lengths.len();
    let most = count / RATIO;
    let mut table = Table::new(most, count);
    let mut entries: Vec<&[u8]> = Vec::new();
    let mut numbers = Vec::with_capacity(count);
    for (at, value) in texts.iter().enumerate() {
        let is_it = |number: u32| entries.get(number as usize) == Some(&value);
        let place = table.place(hash(value), is_it)?;
        if *place == 0 {
            let nearly_all = at >= GLANCE && entries.len() > at - at / 16;
            if entries.len() >= most || nearly_all {
                return None;
            }
            entries.push(value);
            *place = length_u32(entries.len());
        }
        numbers.push(i64::from(*place - 1));
    }
    Some(Found {
        entries: Texts {
            lengths: entries
                .iter()
                .map(|entry| length_u32(entry.len()))
                .collect(),
            bytes: entries.concat().into(),
        },
        numbers,
    })
}

/// Appends a dictionary and the numbers.
pub fn encode(found: &Found<'_>, codecs: &Codecs, out: &mut Output) {
    append_varint(found.entries.lengths.len() as u64, &mut out.bytes);
    texts::encode_without_dictionary(&found.entries, codecs, out);
    integers::encode(&found.numbers, codecs.integers, out);
}

/// Decodes `count` values of at most `room` bytes.
pub fn decode<'a>(
    fields: &mut Fields<'a>,
    count: usize,
    room: usize,
) -> Result<Texts<'a>, FormatError> {
    let entry_count = fields.count(count)?;
    let codec = fields.u8()?;
    let entries = texts::decode_without_dictionary(codec, fields, entry_count, room)?;
    let numbers = integers::decode(fields, count)?;
    let average = entries.bytes.len() / entry_count.max(1) + 1;
    let entries: Vec<&[u8]> = entries.iter().collect();
    let mut out = Decoded::new(count, average, room);
    for number in numbers {
        let entry = usize::try_from(number).ok().and_then(|n| entries.get(n));
        let entry = entry.ok_or(FormatError::Invalid {
            what: "the number of a dictionary's entry",
        })?;
        out.push(entry)?;
    }
    Ok(out.finish())
}
