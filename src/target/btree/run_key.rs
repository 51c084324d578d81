//! How a key stands in a run: of its prefix only what differs from the key before it, for keys that follow each other in order
//! begin alike.

use super::key::{PREFIX_BYTES, Prefix, first_bytes, word};
use super::record::{VARINT_BYTES_MAX, push_varint};

/// Of each key in a run: how many bytes its prefix shares with the one before, with `CUT` where it is cut; how many bytes
/// follow, behind which there are zeros only; the length of the record. Those bytes and the record follow.
pub const HEAD_BYTES_MAX: usize = 2 + VARINT_BYTES_MAX;
pub const CUT: u8 = 0x80;

/// A key on its way into a run.
pub struct KeyRef<'k> {
    /// Its normalised prefix.
    pub prefix: Prefix,
    /// The record.
    pub record: &'k [u8],
}

/// Bytes that two prefixes have in common at their beginning.
fn shared(a: &[u64; 3], b: &[u64; 3]) -> usize {
    let differ = a.iter().zip(b).position(|(a, b)| a != b);
    differ.map_or(PREFIX_BYTES, |at| {
        8 * at + (a[at] ^ b[at]).leading_zeros() as usize / 8
    })
}

/// Bytes of a prefix without the zeros at its end.
fn without_zeros(prefix: &[u64; 3]) -> usize {
    let last = prefix.iter().rposition(|part| *part != 0);
    last.map_or(0, |at| {
        8 * (at + 1) - prefix[at].trailing_zeros() as usize / 8
    })
}

/// A prefix without so many of its first bytes: the others come first, and zeros behind them.
fn without_first(prefix: &[u64; 3], bytes: usize) -> [u64; 3] {
    let (words, bits) = (bytes / 8, bytes % 8 * 8);
    let word = |at: usize| prefix.get(at).copied().unwrap_or(0);
    let mut left = [0; 3];
    for (at, place) in left.iter_mut().enumerate() {
        let (first, next) = (word(at + words), word(at + words + 1));
        *place = first << bits | (next >> 1) >> (63 - bits);
    }
    left
}

/// Appends a key, which follows one with the prefix `before`.
#[expect(clippy::cast_possible_truncation, reason = "at most PREFIX_BYTES")]
pub fn push_key(out: &mut Vec<u8>, before: &Prefix, key: &KeyRef<'_>) {
    let from = shared(&before.bytes, &key.prefix.bytes);
    let kept = without_zeros(&key.prefix.bytes).saturating_sub(from);
    let cut = if key.prefix.is_cut { CUT } else { 0 };
    out.extend_from_slice(&[from as u8 | cut, kept as u8]);
    push_varint(out, key.record.len() as u64);
    let end = out.len() + kept;
    let rest = without_first(&key.prefix.bytes, from);
    out.extend_from_slice(rest.map(u64::to_be_bytes).as_flattened());
    out.truncate(end);
    out.extend_from_slice(key.record);
}

/// The first `shared` bytes of a prefix, behind them the first `kept` of others, and zeros.
pub fn replaced(prefix: &[u64; 3], shared: usize, bytes: &[u8], kept: usize) -> [u64; 3] {
    let mut new = [0; 3];
    for (at, place) in new.iter_mut().enumerate() {
        let left = bytes.get(8 * at..).unwrap_or_default();
        *place = word(left) & first_bytes(kept.saturating_sub(8 * at));
    }
    let (words, bits) = (shared / 8, shared % 8 * 8);
    let mut replaced = [0; 3];
    for (at, place) in replaced.iter_mut().enumerate() {
        let new = |back: usize| at.checked_sub(back).map_or(0, |at| new[at]);
        *place = prefix[at] & first_bytes(shared.saturating_sub(8 * at))
            | new(words) >> bits
            | (new(words + 1) << 1) << (63 - bits);
    }
    replaced
}
