//! Parity sidecars: written beside packs, checked, and used to make damaged packs whole again.
//!
//! A pack that is gone altogether is not covered: parity is a few percent of it. What is rebuilt is
//! proven by the pack's own name before anybody sees it, and put nowhere: a repair writes its blobs into
//! new packs. In memory at once: one pack (`PACK_BYTES_MAX`, 16 MiB as a rule), its sidecar, and while it
//! is coded an eighth of the pack, or a quarter. store-format.md §13.

use std::collections::HashSet;

use super::error::StoreError;
use super::redundancy::{is_full, put_once};
use super::usable::Excluded;
use super::{Store, redundancy};
use crate::backend::{Backend, BackendErrorKind, ObjectInfo};
use crate::codec::erasure::ErasureError;
use crate::codec::hash::pack_id;
pub use crate::format::parity::Shards;
use crate::format::parity::{self, PARITY_PACK_BYTES_MIN, SHARD_BYTES_MIN, Sidecar, parity_shards};
use crate::format::redundancy::{Redundancy, RedundancyLevel};
use crate::format::{FormatError, limits, name};
use crate::model::counted::{agree, counted};
use crate::model::id::PackId;

/// Packs are read in pieces of this length; a piece that cannot be read, in pieces of a shard.
const PIECE_BYTES: u64 = 1 << 20;

/// A pack that should have parity, or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParityOf {
    /// The pack.
    pub pack: PackId,
    /// Its length as it is now.
    pub pack_bytes: u64,
    /// Length of its sidecar; `None` if there is none.
    pub sidecar_bytes: Option<u64>,
}

/// What became of a sidecar that was to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeParity {
    /// It is there, so many bytes long; durable at the next barrier.
    Made(u64),
    /// The pack is damaged: parity of it would prove the damage.
    Damaged,
    /// The pack was deleted meanwhile.
    Gone,
}

/// What can be had of a damaged pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebuilt {
    /// The pack is as its name says already.
    Whole,
    /// Its bytes, which have its name, from parity; and which shards were bad.
    FromParity {
        /// The bytes.
        bytes: Vec<u8>,
        /// What was bad, and what could be had.
        shards: Shards,
    },
    /// Its bytes, which have its name, from the second copy.
    FromSecond(Vec<u8>),
    /// More shards are bad than can be had.
    Lost {
        /// Bad shards of the pack.
        bad: usize,
        /// Good shards of parity.
        spare: usize,
    },
    /// What the sidecar gives is not what the pack's name says.
    Unproven,
    /// There is no sidecar, or none of its heads is good.
    NoParity(Option<FormatError>),
}

/// What a sidecar and its pack were found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParityState {
    /// The pack is whole, and the sidecar is, byte for byte, what is made of it.
    Good,
    /// The pack is whole, the sidecar is not.
    SidecarDamaged(String),
    /// The pack is damaged, and can be rebuilt: so many of so many shards are bad.
    PackRebuildable(Shards),
    /// The pack is damaged, and cannot be rebuilt from its parity; why.
    PackLost(String),
    /// The sidecar or its pack is not there.
    Gone,
}

/// W4: what goes beside a pack that was just put. Returns its length. Durable at the next barrier.
pub fn put_beside_pack(
    backend: &dyn Backend,
    redundancy: &Redundancy,
    pack: &PackId,
    bytes: &[u8],
) -> Result<u64, StoreError> {
    if redundancy.level == RedundancyLevel::None {
        return Ok(0);
    }
    let length = bytes.len() as u64;
    if length >= PARITY_PACK_BYTES_MIN {
        let sidecar = sidecar(pack, bytes, redundancy.percent)?;
        put_once(backend, &name::parity(pack), &sidecar)?;
        return Ok(sidecar.len() as u64);
    }
    if !is_full(redundancy) {
        return Ok(0);
    }
    put_once(backend, &name::second(&name::pack(pack)), bytes)?;
    Ok(length)
}

fn sidecar(pack: &PackId, bytes: &[u8], percent: u8) -> Result<Vec<u8>, StoreError> {
    let shards = parity_shards(bytes.len() as u64, percent);
    parity::encode(pack, bytes, shards).map_err(|error| unexpected(pack, &error))
}

fn unexpected(pack: &PackId, error: &ErasureError) -> StoreError {
    StoreError::Encoding {
        what: format!("parity of pack {pack}: {error}"),
    }
}

impl Store {
    /// Packs that are on their way out: condemned, dead or marked as damaged. Nothing is added beside
    /// them.
    pub fn packs_on_their_way_out(&self) -> Result<HashSet<PackId>, StoreError> {
        let excluded = Excluded::read(&*self.backend, self.hash)?;
        let mut packs = excluded.condemned;
        packs.extend(excluded.dead);
        packs.extend(excluded.damaged);
        Ok(packs)
    }

    /// Packs that are long enough for parity, or have it, by name.
    pub fn parity_of_packs(&self) -> Result<Vec<ParityOf>, StoreError> {
        let sidecar = |object: ObjectInfo| Some((name::parse_parity(&object.name)?, object.bytes));
        let sidecars: std::collections::HashMap<PackId, u64> = self
            .backend
            .list(name::PARITY)?
            .into_iter()
            .filter_map(sidecar)
            .collect();
        let pack = |object: ObjectInfo| {
            let pack = name::parse_pack(&object.name)?;
            let sidecar_bytes = sidecars.get(&pack).copied();
            let counts = sidecar_bytes.is_some() || object.bytes >= PARITY_PACK_BYTES_MIN;
            counts.then_some(ParityOf {
                pack,
                pack_bytes: object.bytes,
                sidecar_bytes,
            })
        };
        let packs = self.backend.list(name::PACKS)?;
        Ok(packs.into_iter().filter_map(pack).collect())
    }

    /// Makes the sidecar of a pack that is whole, in place of one that is there.
    pub fn make_parity(&self, pack: &PackId, percent: u8) -> Result<MadeParity, StoreError> {
        let Some(bytes) = self.pack_as_found(pack, u64::MAX)? else {
            return Ok(MadeParity::Gone);
        };
        if pack_id(&bytes) != *pack {
            return Ok(MadeParity::Damaged);
        }
        let sidecar = sidecar(pack, &bytes, percent)?;
        // A sidecar is a function of its pack: replacing it loses nothing.
        self.backend.put(&name::parity(pack), &sidecar)?;
        Ok(MadeParity::Made(sidecar.len() as u64))
    }

    /// How many shards of parity the sidecar of a pack says that it has; `None` if it does not say, or is gone.
    pub fn shards_beside(&self, pack: &PackId) -> Result<Option<u32>, StoreError> {
        let bytes = self.sidecar_as_found(pack)?;
        let side = bytes
            .as_deref()
            .map(|bytes| Sidecar::decode(pack, bytes).map(|side| side.head().parity_shards));
        Ok(side.and_then(Result::ok))
    }

    /// What is wrong with the sidecar of a pack, by itself; `None`: nothing, or it is gone.
    pub fn parity_damage(&self, pack: &PackId) -> Result<Option<String>, StoreError> {
        let Some(bytes) = self.sidecar_as_found(pack)? else {
            return Ok(None);
        };
        match Sidecar::decode(pack, &bytes) {
            Ok(sidecar) => Ok(sidecar.damage()),
            Err(cause) => not_another_format(pack, cause).map(|cause| Some(cause.to_string())),
        }
    }

    /// Makes a pack whole, in memory, from its second copy or its parity.
    ///
    /// Its bytes may be flipped, cut off, too many, or unreadable; the sidecar may be damaged as well.
    /// Errors: `Backend` where the store fails otherwise, `Unsupported` for a sidecar of another format.
    pub fn rebuild(&self, pack: &PackId) -> Result<Rebuilt, StoreError> {
        let object = name::pack(pack);
        let second = redundancy::second(&*self.backend, &object)?;
        let sidecar = self.sidecar_as_found(pack)?;
        let side = match sidecar.as_deref().map(|bytes| Sidecar::decode(pack, bytes)) {
            None => Err(None),
            Some(Err(cause)) => Err(Some(not_another_format(pack, cause)?)),
            Some(Ok(side)) => Ok(side),
        };
        let bytes_max = side
            .as_ref()
            .map_or(u64::MAX, |side| side.head().pack_bytes);
        let found = self.pack_as_found(pack, bytes_max)?;
        let mut bytes = found.unwrap_or_default();
        if pack_id(&bytes) == *pack && self.length_of(&object)? == Some(bytes.len() as u64) {
            return Ok(Rebuilt::Whole);
        }
        if let Some(second) = second.filter(|second| pack_id(second) == *pack) {
            return Ok(Rebuilt::FromSecond(second));
        }
        let side = match side {
            Ok(side) => side,
            Err(cause) => return Ok(Rebuilt::NoParity(cause)),
        };
        match side.restore(&mut bytes) {
            Ok(shards) if pack_id(&bytes) == *pack => Ok(Rebuilt::FromParity { bytes, shards }),
            Ok(_) => Ok(Rebuilt::Unproven),
            Err(ErasureError::TooMany { bad, spare }) => Ok(Rebuilt::Lost { bad, spare }),
            Err(error) => Err(unexpected(pack, &error)),
        }
    }

    /// Reads a pack and its sidecar whole, and computes parity again.
    pub fn check_parity(&self, pack: &PackId) -> Result<ParityState, StoreError> {
        let rebuilt = self.rebuild(pack)?;
        let (Some(bytes), Some(sidecar)) = (
            self.pack_as_found(pack, u64::MAX)?,
            self.sidecar_as_found(pack)?,
        ) else {
            return Ok(ParityState::Gone);
        };
        let lost = |why: String| Ok(ParityState::PackLost(why));
        match rebuilt {
            Rebuilt::Whole => {}
            Rebuilt::FromParity { shards, .. } => return Ok(ParityState::PackRebuildable(shards)),
            Rebuilt::FromSecond(_) => return lost("its second copy is whole".to_owned()),
            Rebuilt::Lost { bad, spare } => {
                let bad = bad as u64;
                let are = agree(bad, "is", "are");
                return lost(format!(
                    "{} {are} bad, {spare} can be had",
                    counted(bad, "shard")
                ));
            }
            Rebuilt::Unproven => {
                return lost("what its parity gives does not match its name".to_owned());
            }
            Rebuilt::NoParity(cause) => {
                let cause = cause.map_or("it is gone".to_owned(), |cause| cause.to_string());
                return lost(format!("its parity is damaged: {cause}"));
            }
        }
        let side = match Sidecar::decode(pack, &sidecar) {
            Ok(side) => side,
            Err(cause) => {
                let cause = not_another_format(pack, cause)?;
                return Ok(ParityState::SidecarDamaged(cause.to_string()));
            }
        };
        if let Some(damage) = side.damage() {
            return Ok(ParityState::SidecarDamaged(damage));
        }
        let again = parity::encode(pack, &bytes, side.head().parity_shards)
            .map_err(|error| unexpected(pack, &error))?;
        Ok(match again == sidecar {
            true => ParityState::Good,
            false => ParityState::SidecarDamaged("it is not the parity of its pack".to_owned()),
        })
    }

    /// The length of an object; `None` if it is not there.
    fn length_of(&self, object: &str) -> Result<Option<u64>, StoreError> {
        let folder = object.rfind('/').map_or("", |at| &object[..=at]);
        let listed = self.backend.list(folder)?;
        let found = listed.into_iter().find(|info| info.name == object);
        Ok(found.map(|info| info.bytes))
    }

    /// The sidecar as it is; `None` if there is none.
    fn sidecar_as_found(&self, pack: &PackId) -> Result<Option<Vec<u8>>, StoreError> {
        self.as_found(&name::parity(pack), limits::PARITY_BYTES_MAX)
    }

    /// At most so many bytes of a pack as they are; `None` if it is not there.
    pub(super) fn pack_as_found(
        &self,
        pack: &PackId,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.as_found(&name::pack(pack), bytes_max.min(limits::PACK_BYTES_MAX))
    }

    /// An object's first bytes. What cannot be read of them is zeros: a bad sector is damage like any
    /// other, and costs the shards it is in.
    fn as_found(&self, object: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(bytes) = self.length_of(object)? else {
            return Ok(None);
        };
        let bytes = bytes.min(bytes_max);
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes {
            let piece = PIECE_BYTES.min(bytes - at);
            match self.backend.get_range(object, at, piece) {
                Ok(read) => out.extend_from_slice(&read),
                Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(None),
                Err(error) if error.kind == BackendErrorKind::Other => {
                    self.by_shards(object, at, piece, &mut out);
                }
                Err(error) => return Err(error.into()),
            }
            at += piece;
        }
        Ok(Some(out))
    }

    fn by_shards(&self, object: &str, at: u64, piece: u64, out: &mut Vec<u8>) {
        let shard = u64::from(SHARD_BYTES_MIN);
        for begin in (at..at + piece).step_by(SHARD_BYTES_MIN as usize) {
            let bytes = shard.min(at + piece - begin);
            match self.backend.get_range(object, begin, bytes) {
                Ok(read) => out.extend_from_slice(&read),
                Err(_) => out.extend(std::iter::repeat_n(0, usize::try_from(bytes).unwrap_or(0))),
            }
        }
    }
}

/// A sidecar of another format is none that may be judged here.
fn not_another_format(pack: &PackId, cause: FormatError) -> Result<FormatError, StoreError> {
    match cause {
        FormatError::Version { .. } => Err(StoreError::of_object(name::parity(pack), cause)),
        cause => Ok(cause),
    }
}
