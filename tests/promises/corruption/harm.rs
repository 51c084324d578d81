//! What is done to an object: every byte changed in several ways, cut at every length, and so on.

use super::frozen::Objects;
use super::kinds::{Harm, Kind};

/// One thing that is done to one object.
#[derive(Debug, Clone)]
pub enum Change {
    /// This byte is this one.
    Set(usize, u8),
    /// So many bytes are left.
    Cut(usize),
    /// This is behind it.
    Longer(Vec<u8>),
    Deleted,
    /// The content of this object is in its place, and the other way round.
    Swapped(String),
    /// The content of this object is in its place.
    Instead(String),
    /// This object of another store is in its place.
    Foreign(String),
    /// The content of this object, of another kind, is in its place.
    Misplaced(String),
}

impl Change {
    pub fn harm(&self) -> Harm {
        match self {
            Self::Set(..) | Self::Cut(_) | Self::Longer(_) | Self::Misplaced(_) => Harm::Bytes,
            Self::Deleted => Harm::Deleted,
            Self::Swapped(_) | Self::Instead(_) | Self::Foreign(_) => Harm::Exchanged,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Set(..) => "bytes changed",
            Self::Cut(_) => "cut short",
            Self::Longer(_) => "made longer",
            Self::Deleted => "deleted",
            Self::Swapped(_) => "pairs exchanged",
            Self::Instead(_) => "put in another's place",
            Self::Foreign(_) => "put in place from another store",
            Self::Misplaced(_) => "put in place of another kind",
        }
    }

    /// What is in the object's place then.
    pub fn apply(&self, bytes: &[u8], store: &Objects, other: &Objects) -> Option<Vec<u8>> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Set(at, to) => bytes[*at] = *to,
            Self::Cut(length) => bytes.truncate(*length),
            Self::Longer(tail) => bytes.extend(tail),
            Self::Deleted => return None,
            Self::Swapped(with) | Self::Instead(with) | Self::Misplaced(with) => {
                return store.get(with).cloned();
            }
            Self::Foreign(with) => return other.get(with).cloned(),
        }
        Some(bytes)
    }
}

/// Every byte with a bit flipped, as 0 and as 0xFF; at the ends every bit.
fn changed(kind: Kind, bytes: &[u8], changes: &mut Vec<Change>) {
    let (head, foot) = kind.ends(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        let mut to = vec![0, 0xFF];
        if at < head || at + foot >= bytes.len() {
            to.extend((0..8).map(|bit| byte ^ (1 << bit)));
        } else {
            to.push(byte ^ (1 << (at % 8)));
        }
        to.sort_unstable();
        to.dedup();
        let other = to.into_iter().filter(|to| to != byte);
        changes.extend(other.map(|to| Change::Set(at, to)));
    }
}

/// Small objects at every length; large ones every 512 bytes, and at every length near their ends.
fn cut(bytes: usize, changes: &mut Vec<Change>) {
    let near = |length: &usize| {
        bytes <= 2048 || length.is_multiple_of(512) || *length < 64 || bytes - length <= 128
    };
    changes.extend((0..bytes).filter(near).map(Change::Cut));
}

/// All that is done to one object.
pub fn all(object: &str, bytes: &[u8], store: &Objects, other: &Objects) -> Vec<Change> {
    let kind = Kind::of(object, bytes);
    let mut changes = Vec::new();
    changed(kind, bytes, &mut changes);
    cut(bytes.len(), &mut changes);
    for tail in [vec![0], vec![0xFF; 3], vec![0; 4096], bytes.to_vec()] {
        changes.push(Change::Longer(tail));
    }
    changes.push(Change::Deleted);
    let alike = |objects: &Objects| -> Vec<String> {
        let alike = objects.iter().filter(|(n, b)| Kind::of(n, b) == kind);
        let others = alike.filter(|(_, b)| b.as_slice() != bytes);
        others.map(|(n, _)| n.clone()).collect()
    };
    for with in alike(store) {
        if object < with.as_str() {
            changes.push(Change::Swapped(with.clone()));
        }
        changes.push(Change::Instead(with));
    }
    changes.extend(alike(other).into_iter().map(Change::Foreign));
    // One object of each other kind.
    let mut kinds = vec![kind];
    for (name, others) in store {
        let kind = Kind::of(name, others);
        // A second copy is what its object is.
        if !kinds.contains(&kind) && others != bytes {
            kinds.push(kind);
            changes.push(Change::Misplaced(name.clone()));
        }
    }
    changes
}
