//! §13 Parity sidecars: what makes a damaged pack whole again.
//!
//! A sidecar says of each shard of a pack how it is told from a damaged one, and holds parity shards.
//! Head and checks stand at both ends, and what is used of them is used piece by piece: a head has a
//! digest of its own, and a shard is good if either copy of its check says so. So no one burst of
//! damage in a sidecar costs more than the parity shards it hits. What is made of it is proven by the
//! pack's name, never by the sidecar.

use super::bytes::{Fields, check_limit, length_u32};
use super::{FormatError, limits};
use crate::codec::erasure::{self, ErasureError};
use crate::codec::hash::plain_digest;
use crate::model::id::PackId;

/// First bytes of both heads.
pub const PARITY_MAGIC: [u8; 8] = *b"larderPR";
/// Length of a head.
pub const PARITY_HEAD_BYTES: usize = 128;
/// Length of a shard, of packs that have no more than `SHARDS_MAX` of them; else the next power of 2.
pub const SHARD_BYTES_MIN: u32 = 4096;
/// Shards of data, and of parity, at most: more would need another code.
pub const SHARDS_MAX: u32 = 32_768;
/// Length of a shard's check.
pub const CHECK_BYTES: usize = 8;
/// A writer makes a sidecar for packs of this length and more.
pub const PARITY_PACK_BYTES_MIN: u64 = 1 << 20;
/// Length of a sidecar in percent of its pack, unless the store says otherwise.
pub const PARITY_PERCENT: u8 = 3;

const _: () = assert!(SHARDS_MAX as usize == erasure::SHARDS_MAX);

type Check = [u8; CHECK_BYTES];

/// What tells a shard from a damaged one: the first bytes of its plain BLAKE3.
fn check_of(shard: &[u8]) -> Check {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&plain_digest(shard)[..CHECK_BYTES]);
    check
}

/// The head of a sidecar. See store-format.md §13 for its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParityHead {
    /// The pack.
    pub pack: PackId,
    /// Its length.
    pub pack_bytes: u64,
    /// Shards of parity.
    pub parity_shards: u32,
    /// BLAKE3 of the checks.
    checks_digest: [u8; 32],
}

/// Length of the shards of a pack.
pub fn shard_bytes(pack_bytes: u64) -> u32 {
    let mut bytes = SHARD_BYTES_MIN;
    while pack_bytes.div_ceil(bytes.into()) > SHARDS_MAX.into() && bytes < 1 << 30 {
        bytes *= 2;
    }
    bytes
}

/// Shards of parity, so that the whole sidecar has at most `percent` of the pack's length; at least one,
/// at most as many as there are shards of data.
pub fn parity_shards(pack_bytes: u64, percent: u8) -> u32 {
    let data = data_shards(pack_bytes);
    let fixed = 2 * PARITY_HEAD_BYTES as u64 + 2 * CHECK_BYTES as u64 * data;
    let each = u64::from(shard_bytes(pack_bytes)) + 2 * CHECK_BYTES as u64;
    let room = (pack_bytes.saturating_mul(percent.into()) / 100).saturating_sub(fixed);
    let shards = (room / each).clamp(1, data.max(1));
    u32::try_from(shards).unwrap_or(SHARDS_MAX).min(SHARDS_MAX)
}

fn data_shards(pack_bytes: u64) -> u64 {
    pack_bytes.div_ceil(shard_bytes(pack_bytes).into())
}

impl ParityHead {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PARITY_HEAD_BYTES);
        out.extend_from_slice(&PARITY_MAGIC);
        out.push(super::config::FORMAT_VERSION_BYTE);
        out.push(super::config::FORMAT_DRAFT_BYTE);
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&self.pack.0);
        out.extend_from_slice(&self.pack_bytes.to_le_bytes());
        out.extend_from_slice(&shard_bytes(self.pack_bytes).to_le_bytes());
        out.extend_from_slice(&self.parity_shards.to_le_bytes());
        out.extend_from_slice(&self.checks_digest);
        let digest = plain_digest(&out);
        out.extend_from_slice(&digest);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, "a sidecar's head");
        let signed = fields.bytes(PARITY_HEAD_BYTES - 32)?;
        let digest = fields.array::<32>()?;
        fields.end()?;
        let mut fields = Fields::new(signed, "a sidecar's head");
        if fields.array()? != PARITY_MAGIC {
            return Err(FormatError::Invalid {
                what: "a sidecar's first bytes",
            });
        }
        // The digest first: a flipped bit in the version is damage, not another version.
        if plain_digest(signed) != digest {
            return Err(FormatError::Digest {
                what: "a sidecar's head",
            });
        }
        let mark = (fields.u8()?, fields.u8()?);
        if mark
            != (
                super::config::FORMAT_VERSION_BYTE,
                super::config::FORMAT_DRAFT_BYTE,
            )
        {
            return Err(FormatError::Version {
                version: mark.0.into(),
                draft: mark.1.into(),
            });
        }
        let zeros = fields.array::<6>()?;
        let pack = PackId(fields.array()?);
        let (pack_bytes, shard, parity) = (fields.u64()?, fields.u32()?, fields.u32()?);
        check_limit("a pack", pack_bytes, limits::PACK_BYTES_MAX)?;
        let good = zeros == [0; 6]
            && pack_bytes > 0
            && shard == shard_bytes(pack_bytes)
            && (1..=data_shards(pack_bytes)).contains(&parity.into());
        if !good {
            return Err(FormatError::Invalid {
                what: "a sidecar's head",
            });
        }
        Ok(Self {
            pack,
            pack_bytes,
            parity_shards: parity,
            checks_digest: fields.array()?,
        })
    }

    /// Shards of the pack.
    pub fn data_shards(&self) -> usize {
        usize::try_from(data_shards(self.pack_bytes)).unwrap_or(usize::MAX)
    }

    fn parity_count(&self) -> usize {
        self.parity_shards as usize
    }

    /// Length of a shard.
    pub fn shard_bytes(&self) -> usize {
        shard_bytes(self.pack_bytes) as usize
    }

    fn checks_bytes(&self) -> usize {
        (self.data_shards() + self.parity_count()) * CHECK_BYTES
    }

    /// Where parity begins.
    fn parity_at(&self) -> usize {
        PARITY_HEAD_BYTES + self.checks_bytes()
    }

    /// Where the second copy of the checks begins.
    fn second_at(&self) -> usize {
        self.parity_at() + self.parity_count() * self.shard_bytes()
    }

    /// Length of the whole sidecar.
    pub fn sidecar_bytes(&self) -> usize {
        self.second_at() + self.checks_bytes() + PARITY_HEAD_BYTES
    }
}

/// The sidecar of a pack that is whole. Equal packs and counts give equal bytes.
pub fn encode(pack: &PackId, bytes: &[u8], parity_shards: u32) -> Result<Vec<u8>, ErasureError> {
    let pack_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let shard = shard_bytes(pack_bytes) as usize;
    let parity = erasure::encode(bytes, shard, parity_shards as usize)?;
    let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % shard);
    let mut checks: Vec<u8> = whole.chunks(shard).flat_map(check_of).collect();
    if !rest.is_empty() {
        let mut last = rest.to_vec();
        last.resize(shard, 0);
        checks.extend(check_of(&last));
    }
    checks.extend(parity.chunks(shard).flat_map(check_of));
    let head = ParityHead {
        pack: *pack,
        pack_bytes,
        parity_shards,
        checks_digest: plain_digest(&checks),
    };
    debug_assert_eq!(checks.len(), head.checks_bytes());
    let head = head.encode();
    debug_assert_eq!(length_u32(head.len()), length_u32(PARITY_HEAD_BYTES));
    Ok([&head[..], &checks, &parity, &checks, &head].concat())
}

/// A sidecar that was read, damaged perhaps.
#[derive(Debug, Clone, Copy)]
pub struct Sidecar<'a> {
    head: ParityHead,
    bytes: &'a [u8],
    /// What stands in front of the first byte of the sidecar.
    surplus: usize,
    /// What is gone of its front.
    lacking: usize,
}

/// What a pack was found to be in the light of its sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shards {
    /// All shards of the pack.
    pub data: usize,
    /// Those that are bad or missing.
    pub bad: usize,
    /// Shards of parity that are good: as many bad ones can be made again.
    pub spare: usize,
}

impl<'a> Sidecar<'a> {
    /// Reads the sidecar of this pack: one of its heads must be good. Its other parts may be damaged.
    pub fn decode(pack: &PackId, bytes: &'a [u8]) -> Result<Self, FormatError> {
        let head = |at: Option<usize>| {
            let end = at.and_then(|at| Some(at..at.checked_add(PARITY_HEAD_BYTES)?));
            let bytes = end.and_then(|range| bytes.get(range));
            let head =
                ParityHead::decode(bytes.ok_or(FormatError::Truncated { what: "a sidecar" })?)?;
            match head.pack == *pack {
                true => Ok(head),
                false => Err(FormatError::Invalid {
                    what: "a sidecar of another pack",
                }),
            }
        };
        let (first, last) = (head(Some(0)), bytes.len().checked_sub(PARITY_HEAD_BYTES));
        match (first, head(last)) {
            (Ok(head), _) => Ok(Self {
                head,
                bytes,
                surplus: 0,
                lacking: 0,
            }),
            (Err(_), Ok(head)) => Ok(Self {
                head,
                bytes,
                surplus: bytes.len().saturating_sub(head.sidecar_bytes()),
                lacking: head.sidecar_bytes().saturating_sub(bytes.len()),
            }),
            (Err(cause), Err(_)) => Err(cause),
        }
    }

    /// Its head.
    pub fn head(&self) -> &ParityHead {
        &self.head
    }

    /// Bytes of the sidecar as it was written; `None` where it ends, or begins, before them.
    fn part(&self, at: usize, bytes: usize) -> Option<&'a [u8]> {
        let begin = (at + self.surplus).checked_sub(self.lacking)?;
        self.bytes.get(begin..begin.checked_add(bytes)?)
    }

    /// True if a shard, by its number among data and parity, is what one of its two checks says.
    fn is_good(&self, number: usize, shard: &[u8]) -> bool {
        let check = check_of(shard);
        [PARITY_HEAD_BYTES, self.head.second_at()]
            .into_iter()
            .any(|at| self.part(at + number * CHECK_BYTES, CHECK_BYTES) == Some(&check))
    }

    /// A shard of parity; `None` if it is bad.
    fn parity(&self, number: usize) -> Option<&'a [u8]> {
        let shard = self.head.shard_bytes();
        let bytes = self.part(self.head.parity_at() + number * shard, shard)?;
        let number = self.head.data_shards() + number;
        self.is_good(number, bytes).then_some(bytes)
    }

    /// Which shards of a pack are good. `pack` has the pack's full length.
    fn good_shards(&self, pack: &[u8]) -> Vec<bool> {
        let shard = self.head.shard_bytes();
        let mut padded = Vec::new();
        let is_good = |(number, bytes): (usize, &[u8])| {
            if bytes.len() == shard {
                return self.is_good(number, bytes);
            }
            padded.clear();
            padded.extend_from_slice(bytes);
            padded.resize(shard, 0);
            self.is_good(number, &padded)
        };
        pack.chunks(shard).enumerate().map(is_good).collect()
    }

    /// Makes a pack whole, in place. What was cut off counts as bad, what is too much goes. The result is
    /// what the sidecar says: the caller compares it with the pack's name.
    ///
    /// Errors: `TooMany` if more shards are bad than can be had. Other ones are bugs.
    pub fn restore(&self, pack: &mut Vec<u8>) -> Result<Shards, ErasureError> {
        let head = &self.head;
        pack.resize(usize::try_from(head.pack_bytes).unwrap_or(usize::MAX), 0);
        let is_good = self.good_shards(pack);
        let parity: Vec<Option<&[u8]>> = (0..head.parity_count()).map(|n| self.parity(n)).collect();
        let shards = Shards {
            data: is_good.len(),
            bad: is_good.iter().filter(|good| !**good).count(),
            spare: parity.iter().flatten().count(),
        };
        let shard = |number: usize| parity.get(number).copied().flatten();
        erasure::restore(
            pack,
            head.shard_bytes(),
            &is_good,
            head.parity_count(),
            shard,
        )?;
        Ok(shards)
    }

    /// What is wrong with the sidecar itself; `None`: every byte of it is as it was written.
    pub fn damage(&self) -> Option<String> {
        let head = &self.head;
        if self.bytes.len() != head.sidecar_bytes() {
            return Some(format!(
                "{} bytes, and {} were written",
                self.bytes.len(),
                head.sidecar_bytes()
            ));
        }
        let heads = [0, head.sidecar_bytes() - PARITY_HEAD_BYTES];
        let checks = [PARITY_HEAD_BYTES, head.second_at()];
        let is_head = |at: &usize| {
            let bytes = self.part(*at, PARITY_HEAD_BYTES);
            bytes.is_some_and(|bytes| ParityHead::decode(bytes).as_ref() == Ok(head))
        };
        let is_checks = |at: &usize| {
            let bytes = self.part(*at, head.checks_bytes());
            bytes.is_some_and(|bytes| plain_digest(bytes) == head.checks_digest)
        };
        if !heads.iter().all(is_head) {
            return Some("one of its heads does not match its digest".to_owned());
        }
        if !checks.iter().all(is_checks) {
            return Some("a copy of its checks does not match their digest".to_owned());
        }
        let count = head.parity_count();
        let bad = (0..count).filter(|n| self.parity(*n).is_none()).count();
        (bad > 0).then(|| format!("{bad} of {count} parity shards do not match their checks"))
    }
}

#[cfg(test)]
mod tests;
