//! A table b-tree, built from records in the order of their rowids: SQLite file format, section 1.6.
//!
//! Leaves are filled one after the other. The page above them knows of each its number and its largest rowid;
//! the last of its children stands in its header. A page that has closed leaves its last child but one to the
//! page that follows it, so that none is left with one child alone, which SQLite takes for damage.

use std::io;

use super::file::PageFile;
use super::geometry::Tree;
use super::page::{Page, PageKind, child};
use super::payload::{Head, OpenCell};
use super::record::{push_varint, read_varint};

/// A tree being built.
#[derive(Debug)]
pub struct TableTree {
    leaf: Page,
    levels: Vec<Level>,
    last: Option<i64>,
}

/// A page above others.
#[derive(Debug)]
struct Level {
    page: Page,
    /// The child that came last, and its largest rowid.
    right: Option<(u32, i64)>,
}

/// Why a record is not taken.
#[derive(Debug)]
pub enum Refused {
    /// Its rowid is not larger than the one before it.
    Order,
    /// The file cannot be written.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl TableTree {
    /// An empty tree.
    pub fn new(file: &PageFile) -> Self {
        Self {
            leaf: Page::new(file.geometry(), PageKind::TableLeaf),
            levels: Vec::new(),
            last: None,
        }
    }

    /// Appends a record.
    pub fn push(&mut self, file: &mut PageFile, rowid: i64, record: &[u8]) -> Result<(), Refused> {
        self.ensure_order(rowid)?;
        let bytes = record.len() as u64;
        if file.geometry().local(Tree::Table, bytes) < record.len() {
            let mut open = OpenCell::begin(file, Tree::Table, Some(rowid), bytes);
            open.more(file, record)?;
            return self.push_open(file, rowid, open);
        }
        let head = Head::of(bytes, Some(rowid));
        let cell = head.length() + record.len();
        self.make_room(file, cell)?;
        head.put(self.leaf.cell(cell, 0)).copy_from_slice(record);
        self.last = Some(rowid);
        Ok(())
    }

    /// Begins a record that comes in pieces; [`TableTree::push_open`] ends it.
    pub fn open(&self, file: &PageFile, rowid: i64, bytes: u64) -> Result<OpenCell, Refused> {
        self.ensure_order(rowid)?;
        Ok(OpenCell::begin(file, Tree::Table, Some(rowid), bytes))
    }

    /// Appends a record that came in pieces.
    pub fn push_open(
        &mut self,
        file: &mut PageFile,
        rowid: i64,
        open: OpenCell,
    ) -> Result<(), Refused> {
        self.ensure_order(rowid)?;
        let cell = open.end(file)?;
        self.make_room(file, cell.bytes.len())?;
        self.leaf.push(&cell.bytes, cell.overflow);
        self.last = Some(rowid);
        Ok(())
    }

    fn ensure_order(&self, rowid: i64) -> Result<(), Refused> {
        match self.last {
            Some(last) if last >= rowid => Err(Refused::Order),
            _ => Ok(()),
        }
    }

    /// Closes the leaf if it has no room for a cell of so many bytes.
    fn make_room(&mut self, file: &mut PageFile, cell: usize) -> io::Result<()> {
        match self.last {
            Some(last) if !self.leaf.fits(cell) => {
                let number = file.append(&mut self.leaf, 0)?;
                self.leaf.clear();
                self.add(file, 0, number, last)
            }
            _ => Ok(()),
        }
    }

    /// Adds a child to the page that is open at a level.
    fn add(
        &mut self,
        file: &mut PageFile,
        level: usize,
        number: u32,
        largest: i64,
    ) -> io::Result<()> {
        if level == self.levels.len() {
            self.levels.push(Level {
                page: Page::new(file.geometry(), PageKind::TableInterior),
                right: None,
            });
        }
        let open = &mut self.levels[level];
        let Some((before, its_largest)) = open.right.replace((number, largest)) else {
            return Ok(());
        };
        let mut cell = before.to_be_bytes().to_vec();
        push_varint(&mut cell, its_largest.cast_unsigned());
        if open.page.fits(cell.len()) {
            open.page.push(&cell, 0);
            return Ok(());
        }
        let Some(popped) = open.page.pop() else {
            return Err(no_room());
        };
        let key = read_varint(&popped.bytes[4..]).ok_or_else(no_room)?.0;
        let closed = file.append(&mut open.page, child(&popped.bytes))?;
        open.page.clear();
        open.page.push(&cell, 0);
        self.add(file, level + 1, closed, key.cast_signed())
    }

    /// Closes the tree, its top page at `root`. An empty tree leaves `root` as it is.
    pub fn finish(mut self, file: &mut PageFile, root: u32) -> io::Result<()> {
        let Some(last) = self.last else {
            return Ok(());
        };
        if self.levels.is_empty() {
            return file.write_root(root, &mut self.leaf, 0);
        }
        let mut number = file.append(&mut self.leaf, 0)?;
        let mut level = 0;
        loop {
            self.add(file, level, number, last)?;
            let is_top = level + 1 == self.levels.len();
            let open = &mut self.levels[level];
            if is_top {
                return file.write_root(root, &mut open.page, number);
            }
            number = file.append(&mut open.page, number)?;
            level += 1;
        }
    }
}

fn no_room() -> io::Error {
    io::Error::other("a page has no room for a cell (a bug)")
}
