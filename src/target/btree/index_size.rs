//! How many pages an index takes, told by the lengths of its records: what [`IndexTree`](super::index_tree) does
//! with them, without their bytes. So its place in the file is known before it is written.

use super::geometry::{Geometry, Tree};
use super::page::{CELL_BYTES_MIN, PageKind};
use super::record::varint_bytes;

/// A page as it fills.
#[derive(Debug, Clone)]
struct Filling {
    header: usize,
    cells: usize,
    /// Bytes that are neither header nor cells.
    left: usize,
    /// Bytes of the last cell.
    last: usize,
}

impl Filling {
    fn new(geometry: Geometry, kind: PageKind) -> Self {
        Self {
            header: kind.header_bytes(),
            cells: 0,
            left: geometry.usable,
            last: 0,
        }
    }

    fn fits(&self, cell: usize) -> bool {
        self.header + 2 * (self.cells + 1) + cell.max(CELL_BYTES_MIN) <= self.left
    }

    fn push(&mut self, cell: usize) {
        self.left -= cell.max(CELL_BYTES_MIN);
        self.cells += 1;
        self.last = cell;
    }
}

/// Counts the pages of one index.
#[derive(Debug)]
pub struct IndexSize {
    geometry: Geometry,
    leaf: Filling,
    levels: Vec<Filling>,
    pages: u64,
}

impl IndexSize {
    /// Of an index without keys.
    pub fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            leaf: Filling::new(geometry, PageKind::IndexLeaf),
            levels: Vec::new(),
            pages: 0,
        }
    }

    /// A key, of so many bytes, follows.
    pub fn push(&mut self, record: usize) {
        let local = self.geometry.local(Tree::Index, record as u64);
        let mut cell = varint_bytes(record as u64) + local;
        if local < record {
            cell += 4;
            self.pages += (record - local).div_ceil(self.geometry.overflow()) as u64;
        }
        if !self.leaf.fits(cell) {
            let key = self.leaf.last;
            self.pages += 1;
            self.leaf = Filling::new(self.geometry, PageKind::IndexLeaf);
            self.add(0, key);
        }
        self.leaf.push(cell);
    }

    /// A key, of so many bytes, and the page before it are to stand in a page of this level.
    fn add(&mut self, level: usize, key: usize) {
        let empty = Filling::new(self.geometry, PageKind::IndexInterior);
        if level == self.levels.len() {
            self.levels.push(empty.clone());
        }
        let open = &mut self.levels[level];
        let cell = 4 + key;
        if open.fits(cell) {
            open.push(cell);
            return;
        }
        let above = open.last - 4;
        self.pages += 1;
        *open = empty;
        open.push(cell);
        self.add(level + 1, above);
    }

    /// The pages that are appended for it. Its root is there already.
    pub fn pages(&self) -> u64 {
        self.pages + self.levels.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::target::btree::file::PageFile;
    use crate::target::btree::index_tree::IndexTree;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn as_many_pages_are_counted_as_are_written(
            lengths in proptest::collection::vec(prop_oneof![8 => 2..40_usize, 1 => 2..3000_usize], 0..4000),
            page in prop_oneof![Just(512), Just(1024), Just(4096)],
            reserved in 0..32_usize,
        ) {
            let geometry = Geometry { page, usable: page - reserved, has_pointer_maps: false };
            let mut file = PageFile::new(tempfile::tempfile().unwrap(), geometry, 3, 0).unwrap();
            let mut tree = IndexTree::new(&file);
            let mut size = IndexSize::new(geometry);
            for length in lengths {
                tree.push(&mut file, &vec![1; length]).unwrap();
                size.push(length);
            }
            tree.finish(&mut file, 3).unwrap();
            prop_assert_eq!(u64::from(file.next() - 4), size.pages());
        }
    }
}
