//! The leaf pages of a rowid table's tree, in the order of its rows, found by its interior pages alone: SQLite file
//! format, section 1.6 "B-tree Pages".
//!
//! Nothing is believed that does not fit: any oddity ends the walk, and the caller reads rows instead.

use super::moment::Moment;
use crate::model::schema::Table;
use crate::sqlite::SqliteError;
use crate::sqlite::layout::read_root;
use crate::sqlite::pages::PageReader;
use crate::sqlite::record::read_varint;

const INTERIOR_TABLE: u8 = 0x05;
const LEAF_TABLE: u8 = 0x0d;

/// Bytes before the cell pointers of an interior page, and of a leaf.
const INTERIOR_HEADER: usize = 12;
const LEAF_HEADER: usize = 8;

/// Levels that SQLite itself goes down at most.
const DEPTH_MAX: usize = 20;

/// Where usable bytes end: the number of reserved ones at the end of each page, in the file's header
/// (section 1.3.4).
const RESERVED_AT: usize = 20;

/// Why a walk ended before the end of the tree.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// SQLite cannot read a page.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// A page is not what it should be in its place.
    #[error("page {page} is not part of a table's tree")]
    Odd {
        /// The page.
        page: u32,
    },
}

/// A leaf page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafPage {
    /// Its rows, and those that may be put there, end with this rowid.
    pub last: i64,
    /// A row of it goes on in overflow pages, or cannot be read here.
    pub overflows: bool,
}

/// An interior page whose children are being walked.
#[derive(Debug)]
struct Open {
    /// Its children with the last rowid below each.
    children: std::vec::IntoIter<(u32, i64)>,
}

/// Walks through a tree.
#[derive(Debug)]
pub struct LeafPages<'a> {
    pages: PageReader<'a>,
    usable: usize,
    /// The root, before the walk begins.
    root: Option<u32>,
    open: Vec<Open>,
    /// Pages that end before it are passed over.
    from: i64,
    /// The last rowid of the leaf page before.
    before: Option<i64>,
    /// Pages that the file has and the walk has not visited: a tree has none of them twice.
    unvisited: u64,
}

impl<'a> LeafPages<'a> {
    /// Begins at the root of a table; `None` for what cannot be walked here: a table without rowids, or pages that
    /// SQLite does not give.
    pub fn of(moment: Moment<'a>, table: &Table) -> Result<Option<Self>, SqliteError> {
        let db = moment.db;
        if table.rowid_column().is_none() {
            return Ok(None);
        }
        let (Some(mut pages), Some(root)) =
            (db.page_reader()?, read_root(db, "table", &table.name)?)
        else {
            return Ok(None);
        };
        let reserved = pages.read(1, |page| page.get(RESERVED_AT).copied())?;
        let (Some(reserved), count) = (reserved.flatten(), db.integer("PRAGMA main.page_count")?)
        else {
            return Ok(None);
        };
        let page_bytes = usize::try_from(moment.settings.page_size).unwrap_or(0);
        Ok(Some(Self {
            pages,
            usable: page_bytes.saturating_sub(usize::from(reserved)),
            root: Some(root),
            open: Vec::new(),
            from: i64::MIN,
            before: None,
            unvisited: count.unwrap_or(0).unsigned_abs(),
        }))
    }

    /// The same, without the pages whose rows all come before this rowid.
    pub fn from(moment: Moment<'a>, table: &Table, from: i64) -> Result<Option<Self>, SqliteError> {
        Ok(Self::of(moment, table)?.map(|pages| Self { from, ..pages }))
    }

    /// Bytes of a page that trees use.
    pub fn usable(&self) -> usize {
        self.usable
    }

    /// The next leaf page. `look` is shown what it holds.
    pub fn next(
        &mut self,
        mut look: impl FnMut(&[u8], LeafPage),
    ) -> Result<Option<LeafPage>, WalkError> {
        loop {
            let (page, last) = match self.root.take() {
                Some(root) => (root, i64::MAX),
                None => match self.next_child() {
                    Some(child) => child,
                    None => return Ok(None),
                },
            };
            let odd = WalkError::Odd { page };
            let Some(unvisited) = self.unvisited.checked_sub(1) else {
                return Err(odd);
            };
            self.unvisited = unvisited;
            let (before, usable) = (self.before, self.usable);
            let is_root = self.open.is_empty();
            let seen = self.pages.read(page, |content| {
                let seen = Seen::of(content, usable, before, last, is_root);
                if let Some(Seen::Leaf { overflows }) = seen {
                    look(content, LeafPage { last, overflows });
                }
                seen
            })?;
            match seen.flatten() {
                Some(Seen::Leaf { overflows }) => {
                    self.before = Some(last);
                    return Ok(Some(LeafPage { last, overflows }));
                }
                Some(Seen::Interior(mut children)) if self.open.len() < DEPTH_MAX => {
                    children.retain(|(_, last)| *last >= self.from);
                    self.open.push(Open {
                        children: children.into_iter(),
                    });
                }
                _ => return Err(odd),
            }
        }
    }

    fn next_child(&mut self) -> Option<(u32, i64)> {
        while let Some(open) = self.open.last_mut() {
            match open.children.next() {
                Some(child) => return Some(child),
                None => self.open.pop(),
            };
        }
        None
    }
}

/// What a page is.
enum Seen {
    Leaf {
        overflows: bool,
    },
    /// Children, each with the last rowid below it.
    Interior(Vec<(u32, i64)>),
}

impl Seen {
    /// `None` if it is no page whose rowids lie behind `before` and end with `last`.
    fn of(
        page: &[u8],
        usable: usize,
        before: Option<i64>,
        last: i64,
        is_root: bool,
    ) -> Option<Self> {
        let page = page.get(..usable)?;
        match *page.first()? {
            LEAF_TABLE => {
                let cells = cells(page, LEAF_HEADER)?;
                // Only an empty table has a leaf without rows.
                if cells.len() == 0 && !is_root {
                    return None;
                }
                let overflows = cells.into_iter().any(|at| overflows(page, at));
                Some(Self::Leaf { overflows })
            }
            INTERIOR_TABLE => {
                let mut children = Vec::new();
                let mut before = before;
                for at in cells(page, INTERIOR_HEADER)? {
                    let child = u32_at(page, at)?;
                    let (rowid, _) = varint(page, at + 4)?;
                    let rowid = rowid.cast_signed();
                    if before.is_some_and(|before| rowid <= before) || rowid >= last {
                        return None;
                    }
                    before = Some(rowid);
                    children.push((child, rowid));
                }
                children.push((u32_at(page, 8)?, last));
                Some(Self::Interior(children))
            }
            _ => None,
        }
    }
}

/// A row in a leaf page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'p> {
    /// Its rowid.
    pub rowid: i64,
    /// Its record; `None` for one that goes on in overflow pages.
    pub record: Option<&'p [u8]>,
}

/// The rows of a leaf page, given without its reserved bytes. The iterator ends with `None` at what is no row.
pub(super) fn rows_of(page: &[u8]) -> Option<impl Iterator<Item = Option<Cell<'_>>>> {
    let cell = |at| {
        let (payload, after) = varint(page, at)?;
        let (rowid, start) = varint(page, after)?;
        let record = match overflows(page, at) {
            true => None,
            false => Some(page.get(start..start.checked_add(usize::try_from(payload).ok()?)?)?),
        };
        Some(Cell {
            rowid: rowid.cast_signed(),
            record,
        })
    };
    Some(cells(page, LEAF_HEADER)?.map(cell))
}

/// Where the cells of a page begin.
fn cells(page: &[u8], header: usize) -> Option<impl ExactSizeIterator<Item = usize> + '_> {
    let count = usize::from(u16_at(page, 3)?);
    // A cell takes four bytes at least, and two for its place.
    if count > page.len().saturating_sub(LEAF_HEADER) / 6 {
        return None;
    }
    let pointers = page.get(header..header + 2 * count)?;
    Some(
        pointers
            .chunks_exact(2)
            .map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]]))),
    )
}

/// True if the row of a leaf's cell is longer than what a page holds of it, or cannot be read.
fn overflows(page: &[u8], at: usize) -> bool {
    let most = page.len().saturating_sub(35) as u64;
    varint(page, at).is_none_or(|(payload, _)| payload > most)
}

fn u16_at(page: &[u8], at: usize) -> Option<u16> {
    let bytes = page.get(at..at.checked_add(2)?)?;
    bytes.try_into().ok().map(u16::from_be_bytes)
}

fn u32_at(page: &[u8], at: usize) -> Option<u32> {
    let bytes = page.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// A varint, and where it ends.
fn varint(page: &[u8], at: usize) -> Option<(u64, usize)> {
    let (value, bytes) = read_varint(page.get(at..)?)?;
    Some((value, at + bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever bytes a page has, they are read or refused.
    #[test]
    fn any_bytes_are_a_page_or_not() {
        let mut state = 1_u64;
        let mut draw = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        };
        for length in [0, 1, 7, 12, 480, 512] {
            for _ in 0..300 {
                let mut page: Vec<u8> = (0..length).map(|_| draw()).collect();
                if let Some(first) = page.first_mut() {
                    *first = if draw() % 2 == 0 {
                        LEAF_TABLE
                    } else {
                        INTERIOR_TABLE
                    };
                }
                if let Some(Seen::Interior(children)) =
                    Seen::of(&page, length, Some(0), 1 << 40, true)
                {
                    assert!(children.windows(2).all(|pair| pair[0].1 < pair[1].1));
                }
                assert!(Seen::of(&page, length + 1, None, 0, true).is_none());
            }
        }
    }
}
