//! An index b-tree, built from keys in their order: SQLite file format, section 1.6. WITHOUT ROWID tables are
//! such trees as well.
//!
//! Between two leaves one key stands in the page above them. It is the last of a full leaf, and so on upwards:
//! then the page that follows has a key in any case, for one without keys is damage to SQLite.

use std::io;

use super::file::PageFile;
use super::geometry::Tree;
use super::page::{Cell, Page, PageKind, child};
use super::payload::{Head, OpenCell};

/// A tree being built.
#[derive(Debug)]
pub struct IndexTree {
    leaf: Page,
    levels: Vec<Page>,
}

impl IndexTree {
    /// An empty tree.
    pub fn new(file: &PageFile) -> Self {
        Self {
            leaf: Page::new(file.geometry(), PageKind::IndexLeaf),
            levels: Vec::new(),
        }
    }

    /// Appends a key, which must not come before the last one.
    pub fn push(&mut self, file: &mut PageFile, record: &[u8]) -> io::Result<()> {
        let bytes = record.len() as u64;
        if file.geometry().local(Tree::Index, bytes) < record.len() {
            let mut open = self.open(file, bytes);
            open.more(file, record)?;
            return self.push_open(file, open);
        }
        let head = Head::of(bytes, None);
        let cell = head.length() + record.len();
        self.make_room(file, cell)?;
        head.put(self.leaf.cell(cell, 0)).copy_from_slice(record);
        Ok(())
    }

    /// Begins a key that comes in pieces; [`IndexTree::push_open`] ends it.
    pub fn open(&self, file: &PageFile, bytes: u64) -> OpenCell {
        OpenCell::begin(file, Tree::Index, None, bytes)
    }

    /// Appends a key that came in pieces.
    pub fn push_open(&mut self, file: &mut PageFile, open: OpenCell) -> io::Result<()> {
        let cell = open.end(file)?;
        self.make_room(file, cell.bytes.len())?;
        self.leaf.push(&cell.bytes, cell.overflow);
        Ok(())
    }

    /// Closes the leaf if it has no room for a cell of so many bytes.
    fn make_room(&mut self, file: &mut PageFile, cell: usize) -> io::Result<()> {
        if self.leaf.fits(cell) {
            return Ok(());
        }
        let key = self.leaf.pop().ok_or_else(no_room)?;
        let number = file.append(&mut self.leaf, 0)?;
        self.leaf.clear();
        self.add(file, 0, number, key)
    }

    /// Adds to the page that is open at a level a child, and the key behind it.
    fn add(&mut self, file: &mut PageFile, level: usize, number: u32, key: Cell) -> io::Result<()> {
        if level == self.levels.len() {
            self.levels
                .push(Page::new(file.geometry(), PageKind::IndexInterior));
        }
        let open = &mut self.levels[level];
        let mut cell = number.to_be_bytes().to_vec();
        cell.extend_from_slice(&key.bytes);
        if open.fits(cell.len()) {
            open.push(&cell, key.overflow);
            return Ok(());
        }
        let popped = open.pop().ok_or_else(no_room)?;
        let closed = file.append(open, child(&popped.bytes))?;
        open.clear();
        open.push(&cell, key.overflow);
        let above = Cell {
            bytes: popped.bytes[4..].to_vec(),
            overflow: popped.overflow,
        };
        self.add(file, level + 1, closed, above)
    }

    /// Closes the tree, its top page at `root`. An empty tree leaves `root` as it is.
    pub fn finish(mut self, file: &mut PageFile, root: u32) -> io::Result<()> {
        if self.leaf.is_empty() {
            return Ok(());
        }
        let Some(top) = self.levels.len().checked_sub(1) else {
            return file.write_root(root, &mut self.leaf, 0);
        };
        let mut number = file.append(&mut self.leaf, 0)?;
        for level in 0..top {
            number = file.append(&mut self.levels[level], number)?;
        }
        file.write_root(root, &mut self.levels[top], number)
    }
}

fn no_room() -> io::Error {
    io::Error::other("a page has no room for a cell (a bug)")
}
