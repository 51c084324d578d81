//! BLAKE3 as larder uses it: every id, digest and split decision comes from one `StoreHash`.
//!
//! Input is always `"larder\0"`, one byte that says what is hashed (the domain), then the bytes.
//! An encrypted store will use the keyed mode; a store's `StoreHash` never changes in its life.
//! store-format.md §4.1.

use crate::model::id::{BlobId, PackId};

/// What every hash input begins with.
pub const HASH_PREFIX: [u8; 7] = *b"larder\0";
/// Domain of split hashes, followed by the level.
pub const DOMAIN_SPLIT: u8 = b's';
/// Domain of a pack footer's digest.
pub const DOMAIN_FOOTER: u8 = b'f';

/// How a store hashes.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreHash(());

/// A row's split digest: what stands for its split input at every level of the tree.
pub type SplitDigest = [u8; 32];

impl StoreHash {
    /// The hash of unencrypted stores.
    pub fn unkeyed() -> Self {
        Self(())
    }

    fn hasher(self, domain: u8) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&HASH_PREFIX).update(&[domain]);
        hasher
    }

    /// The id of a blob of this kind in canonical form.
    pub fn blob_id(self, kind: u8, canonical: &[u8]) -> BlobId {
        BlobId(*self.hasher(kind).update(canonical).finalize().as_bytes())
    }

    /// The digest of an object (not of a pack): of its kind, a letter, its version, its payload.
    pub fn object_digest(self, kind: u8, version: u8, payload: &[u8]) -> [u8; 32] {
        *self
            .hasher(kind)
            .update(&[version])
            .update(payload)
            .finalize()
            .as_bytes()
    }

    /// The digest of a pack footer as stored.
    pub fn footer_digest(self, footer: &[u8]) -> [u8; 32] {
        *self
            .hasher(DOMAIN_FOOTER)
            .update(footer)
            .finalize()
            .as_bytes()
    }

    /// The digest of a row's split input.
    pub fn split_digest(self, input: &[u8]) -> SplitDigest {
        // One buffer and one call: short inputs are the common case, one for every row.
        const SHORT: usize = 120;
        if input.len() <= SHORT {
            let mut buffer = [0; SHORT + 9];
            buffer[..7].copy_from_slice(&HASH_PREFIX);
            buffer[7] = DOMAIN_SPLIT;
            buffer[8] = 0;
            buffer[9..9 + input.len()].copy_from_slice(input);
            return *blake3::hash(&buffer[..9 + input.len()]).as_bytes();
        }
        *self
            .hasher(DOMAIN_SPLIT)
            .update(&[0])
            .update(input)
            .finalize()
            .as_bytes()
    }

    /// The number on which a node's boundary at `level` (1 and up) is decided.
    pub fn split_at_level(self, level: u8, digest: &SplitDigest) -> u64 {
        let hash = self
            .hasher(DOMAIN_SPLIT)
            .update(&[level])
            .update(digest)
            .finalize();
        first_u64(hash.as_bytes())
    }
}

/// The first 8 bytes of a digest as a little-endian number.
pub fn first_u64(digest: &[u8; 32]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

/// BLAKE3 of bytes, without prefix or key: for comparing what never leaves this process.
pub fn plain_digest(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// BLAKE3 keyed with a secret of this machine: for what no store holds, and nobody else must be able to foresee.
#[derive(Clone)]
pub struct SecretHash([u8; 32]);

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretHash").finish_non_exhaustive()
    }
}

impl SecretHash {
    /// With this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The digest of some bytes.
    pub fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, bytes).as_bytes()
    }

    /// The digest of several strings of bytes, each told from the next by its length.
    pub fn digest_of_parts(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part);
        }
        *hasher.finalize().as_bytes()
    }
}

/// The name of a pack: BLAKE3 of its bytes, without prefix or key, so that `b3sum` can check it.
pub fn pack_id(pack: &[u8]) -> PackId {
    PackId(plain_digest(pack))
}

/// The same, for a pack that is read in pieces.
#[derive(Debug, Default)]
pub struct PackHasher(blake3::Hasher);

impl PackHasher {
    /// Takes the next bytes of the pack.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The name that the bytes taken so far have.
    pub fn finish(&self) -> PackId {
        PackId(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_path_and_the_long_path_agree() {
        let hash = StoreHash::unkeyed();
        let long = |input: &[u8]| {
            *hash
                .hasher(DOMAIN_SPLIT)
                .update(&[0])
                .update(input)
                .finalize()
                .as_bytes()
        };
        for length in [0, 1, 119, 120, 121, 500] {
            let input = vec![9; length];
            assert_eq!(hash.split_digest(&input), long(&input));
        }
    }

    #[test]
    fn the_kind_is_part_of_the_id() {
        let hash = StoreHash::unkeyed();
        assert_ne!(hash.blob_id(1, b"x"), hash.blob_id(2, b"x"));
    }
}
