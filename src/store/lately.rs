//! Leaves that were read last: who reads one snapshot after the other meets a leaf, and then one that is a delta on
//! it. With them a chain of deltas is gone through once, base first, and not anew for each leaf of it. Relies on
//! nothing but ids; what it gives was found good when it was read.

use std::collections::{HashMap, VecDeque};

use crate::format::footer::{BasePrefix, base_prefix};
use crate::model::id::BlobId;

/// Canonical forms of leaves, the last ones of so many bytes.
#[derive(Debug, Default)]
pub(super) struct Lately {
    bytes_max: usize,
    /// A delta was met: others may stand on what is read from now on.
    met_delta: bool,
    bytes: usize,
    leaves: HashMap<BasePrefix, (BlobId, Vec<u8>)>,
    /// As they came.
    order: VecDeque<BasePrefix>,
}

impl Lately {
    /// Keeps up to so many bytes from now on; 0: nothing.
    pub fn set_bytes(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.make_room(0);
    }

    /// Keeps a good leaf, once [`Lately::base`] was asked for: without deltas nobody wants it again.
    pub fn put(&mut self, id: &BlobId, canonical: &[u8]) {
        let prefix = base_prefix(id);
        if !self.met_delta || canonical.len() > self.bytes_max || self.leaves.contains_key(&prefix)
        {
            return;
        }
        self.make_room(canonical.len());
        self.bytes += canonical.len();
        self.order.push_back(prefix);
        self.leaves.insert(prefix, (*id, canonical.to_vec()));
    }

    fn make_room(&mut self, bytes: usize) {
        while self.bytes + bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some((_, leaf)) = self.leaves.remove(&oldest) {
                self.bytes -= leaf.len();
            }
        }
    }

    /// The leaf.
    pub fn get(&self, id: &BlobId) -> Option<Vec<u8>> {
        let (found, leaf) = self.leaves.get(&base_prefix(id))?;
        (found == id).then(|| leaf.clone())
    }

    /// A leaf that the delta at hand may stand on: what comes of it must be checked.
    pub fn base(&mut self, prefix: &BasePrefix) -> Option<Vec<u8>> {
        self.met_delta = true;
        self.leaves.get(prefix).map(|(_, leaf)| leaf.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> BlobId {
        BlobId([n; 32])
    }

    #[test]
    fn the_last_leaves_are_kept_and_no_more() {
        let mut lately = Lately::default();
        lately.put(&id(1), b"one");
        assert_eq!(lately.get(&id(1)), None);
        lately.set_bytes(7);
        lately.put(&id(1), b"one");
        assert_eq!(lately.get(&id(1)), None);
        assert_eq!(lately.base(&base_prefix(&id(1))), None);
        for (n, leaf) in [(1, &b"one"[..]), (2, b"two"), (1, b"one"), (3, b"3")] {
            lately.put(&id(n), leaf);
        }
        assert_eq!(lately.get(&id(1)).as_deref(), Some(&b"one"[..]));
        lately.put(&id(4), b"four");
        assert_eq!((lately.get(&id(1)), lately.get(&id(2))), (None, None));
        assert_eq!(lately.base(&base_prefix(&id(3))), Some(b"3".to_vec()));
        assert_eq!(lately.get(&id(4)), Some(b"four".to_vec()));
        lately.put(&id(5), b"too long a leaf");
        assert_eq!(lately.get(&id(5)), None);
        let mut alike = id(4);
        alike.0[31] = 0;
        assert_eq!(lately.get(&alike), None);
        assert_eq!((lately.bytes, lately.order.len()), (5, 2));
        lately.set_bytes(0);
        assert_eq!((lately.bytes, lately.leaves.len()), (0, 0));
    }
}
