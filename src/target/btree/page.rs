//! One b-tree page that is filled cell by cell: SQLite file format, section 1.6 "B-tree Pages".
//!
//! Cells lie at the end of the page, the last one first; their offsets stand behind the header, in order. No
//! space is lost between them, so there are neither free blocks nor fragments.

use super::geometry::Geometry;

/// The types of pages, as their first byte says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    /// Keys, and pages between them.
    IndexInterior = 2,
    /// Pages, and the largest rowid below each.
    TableInterior = 5,
    /// Keys.
    IndexLeaf = 10,
    /// Records.
    TableLeaf = 13,
}

impl PageKind {
    /// True for a page whose cells begin with the number of another.
    pub fn is_interior(self) -> bool {
        matches!(self, Self::IndexInterior | Self::TableInterior)
    }

    /// Bytes before the pointers to its cells.
    pub fn header_bytes(self) -> usize {
        if self.is_interior() { 12 } else { 8 }
    }
}

/// A page takes no less for a cell.
pub const CELL_BYTES_MIN: usize = 4;

/// A cell, and where its payload goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The first page of the rest of its payload; 0: there is none.
    pub overflow: u32,
}

/// A page being filled.
#[derive(Debug)]
pub struct Page {
    kind: PageKind,
    usable: usize,
    bytes: Vec<u8>,
    /// Of each cell: its bytes, and its first overflow page.
    cells: Vec<(usize, u32)>,
    /// Where the cell that was pushed last begins.
    content: usize,
}

impl Page {
    /// An empty page.
    pub fn new(geometry: Geometry, kind: PageKind) -> Self {
        Self {
            kind,
            usable: geometry.usable,
            bytes: vec![0; geometry.page],
            cells: Vec::new(),
            content: geometry.usable,
        }
    }

    /// Empties it. What lies between the pointers and the cells is cleared when it is finished.
    pub fn clear(&mut self) {
        self.cells.clear();
        self.content = self.usable;
    }

    /// True without cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// True if there is room for a cell of so many bytes.
    pub fn fits(&self, cell: usize) -> bool {
        let pointers = self.kind.header_bytes() + 2 * (self.cells.len() + 1);
        pointers + cell.max(CELL_BYTES_MIN) <= self.content
    }

    /// Appends a cell, for which there must be room.
    pub fn push(&mut self, cell: &[u8], overflow: u32) {
        self.cell(cell.len(), overflow).copy_from_slice(cell);
    }

    /// Appends a cell of so many bytes, for which there must be room: all of them are to be written.
    pub fn cell(&mut self, bytes: usize, overflow: u32) -> &mut [u8] {
        let start = self.content - bytes.max(CELL_BYTES_MIN);
        let pointer = self.kind.header_bytes() + 2 * self.cells.len();
        self.bytes[pointer..pointer + 2].copy_from_slice(&two_bytes(start));
        self.cells.push((bytes, overflow));
        // What a cell is shorter than the shortest one.
        self.bytes[start + bytes..self.content].fill(0);
        self.content = start;
        &mut self.bytes[start..start + bytes]
    }

    /// Takes the last cell off again.
    pub fn pop(&mut self) -> Option<Cell> {
        let (length, overflow) = self.cells.pop()?;
        let end = self.content + length.max(CELL_BYTES_MIN);
        let cell = self.bytes[self.content..self.content + length].to_vec();
        self.content = end;
        Some(Cell {
            bytes: cell,
            overflow,
        })
    }

    /// Writes the header, with the page to the right of all cells of an interior one. Its bytes.
    pub fn finish(&mut self, right: u32) -> &[u8] {
        let pointers_end = self.kind.header_bytes() + 2 * self.cells.len();
        self.bytes[..8].fill(0);
        self.bytes[pointers_end..self.content].fill(0);
        self.bytes[0] = self.kind as u8;
        self.bytes[3..5].copy_from_slice(&two_bytes(self.cells.len()));
        self.bytes[5..7].copy_from_slice(&two_bytes(self.content));
        if self.kind.is_interior() {
            self.bytes[8..12].copy_from_slice(&right.to_be_bytes());
        }
        &self.bytes
    }

    /// First overflow pages of its cells.
    pub fn overflows(&self) -> impl Iterator<Item = u32> + '_ {
        let pages = self.cells.iter().map(|(_, overflow)| *overflow);
        pages.filter(|page| *page != 0)
    }

    /// The pages to the left of its cells, if it is an interior one.
    pub fn children(&self) -> impl Iterator<Item = u32> + '_ {
        let count = if self.kind.is_interior() {
            self.cells.len()
        } else {
            0
        };
        (0..count).map(|at| {
            let pointer = self.kind.header_bytes() + 2 * at;
            let cell = usize::from(u16::from_be_bytes([
                self.bytes[pointer],
                self.bytes[pointer + 1],
            ]));
            child(&self.bytes[cell..])
        })
    }
}

/// The page number that a cell of an interior page begins with.
pub fn child(cell: &[u8]) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&cell[..4]);
    u32::from_be_bytes(number)
}

/// As a page's header has it: 65,536 is 0.
#[expect(clippy::cast_possible_truncation, reason = "at most 65,536")]
fn two_bytes(value: usize) -> [u8; 2] {
    (value as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(kind: PageKind) -> Page {
        let geometry = Geometry {
            page: 512,
            usable: 512,
            has_pointer_maps: false,
        };
        Page::new(geometry, kind)
    }

    #[test]
    fn a_cell_that_is_taken_off_leaves_nothing_behind() {
        let mut pushed = page(PageKind::IndexLeaf);
        pushed.push(b"abc", 0);
        let before = pushed.finish(0).to_vec();
        pushed.push(b"a longer one", 7);
        let cell = pushed.pop().unwrap();
        assert_eq!(
            (cell.bytes.as_slice(), cell.overflow),
            (b"a longer one".as_slice(), 7)
        );
        assert_eq!(pushed.finish(0), before);
        assert_eq!(pushed.pop().unwrap().bytes, b"abc");
        assert!(pushed.is_empty());
    }

    #[test]
    fn a_page_is_filled_to_its_last_byte() {
        let mut full = page(PageKind::TableLeaf);
        // 8 bytes of header; each cell takes 2 more.
        while full.fits(61) {
            full.push(&[1; 61], 0);
        }
        assert_eq!(full.cells.len(), 8);
        assert!(!full.fits(61) && full.content == 512 - 8 * 61);
    }
}
