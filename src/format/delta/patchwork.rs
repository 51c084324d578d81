//! A leaf in pieces: cells that point into the texts they came from, so that a delta costs what it
//! changes. Rows are kept by number: removing and inserting moves 4 bytes a row.

use crate::format::bytes::{Fields, check_limit, length_u32};
use crate::format::leaf::class;
use crate::format::leaf::column::ColumnIndex;
use crate::format::leaf::{Leaf, rows_and_columns};
use crate::format::{FormatError, limits};

/// A value: its class, and where its bytes lie in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    at: u32,
    /// At most 16,384.
    bytes: u16,
    class: u8,
}

/// What cells and text may hold before they are made anew without what no row shows.
const TEXT_BYTES_MAX: usize = 2 * limits::BLOB_BYTES_MAX as usize;

/// A leaf in pieces.
#[derive(Debug)]
pub(super) struct Patchwork {
    /// Canonical forms of the base and of new values, one behind the other.
    text: Vec<u8>,
    /// Rows in order, as positions in each column and in `rowids`.
    rows: Vec<u32>,
    /// Offsets, before `shift` is added; `None` without rowids.
    rowids: Option<Vec<u64>>,
    shift: u64,
    columns: Vec<Vec<Cell>>,
    /// Length of each column, also where there are no columns.
    cells: u32,
}

impl Patchwork {
    /// The pieces of a leaf.
    pub fn new(leaf: &Leaf) -> Result<Self, FormatError> {
        let mut text = Vec::new();
        let columns = (0..leaf.columns())
            .map(|column| cells_of(leaf.canonical(), leaf.index(column), leaf.rows(), 0))
            .collect();
        text.extend_from_slice(leaf.canonical());
        let (rows, _) = rows_and_columns(leaf.rows(), leaf.columns())?;
        let offsets = || (0..leaf.rows()).filter_map(|row| leaf.rowid_offset(row));
        Ok(Self {
            text,
            rows: (0..rows).collect(),
            rowids: leaf.has_rowids().then(|| offsets().collect()),
            shift: 0,
            columns,
            cells: rows,
        })
    }

    /// Puts the rows of another leaf, of the same columns, behind its own. Gives the position of
    /// the first of them.
    pub fn join(&mut self, leaf: &Leaf) -> Result<u32, FormatError> {
        let wrong = || FormatError::Invalid {
            what: "the bases of a delta",
        };
        if leaf.columns() != self.columns.len() || leaf.has_rowids() != self.rowids.is_some() {
            return Err(wrong());
        }
        let first = self.cells;
        let (rows, _) = rows_and_columns(leaf.rows(), leaf.columns())?;
        self.cells = first.checked_add(rows).ok_or_else(wrong)?;
        self.rows.extend(first..self.cells);
        if let Some(rowids) = &mut self.rowids {
            let offsets = (0..leaf.rows()).filter_map(|row| leaf.rowid_offset(row));
            rowids.extend(offsets.map(|offset| offset.wrapping_sub(self.shift)));
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            let index = leaf.index(at);
            column.extend(cells_of(
                leaf.canonical(),
                index,
                leaf.rows(),
                self.text.len(),
            ));
        }
        self.text.extend_from_slice(leaf.canonical());
        Ok(first)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Makes the pieces anew if what no row shows any more takes too much memory.
    pub fn tidy(&mut self) -> Result<(), FormatError> {
        let values = u64::from(self.cells) * self.columns.len() as u64;
        if self.text.len() > TEXT_BYTES_MAX || values > 2 * limits::LEAF_VALUES_MAX {
            *self = Self::new(&Leaf::parse(self.canonical(limits::BLOB_BYTES_MAX)?)?)?;
        }
        Ok(())
    }

    /// Takes columns: `sources` says for each new column which old one it is; `None`: it gets its
    /// cells from [`Self::fill_column`]. No old column may be taken twice.
    pub fn take_columns(&mut self, sources: &[Option<usize>]) -> Result<(), FormatError> {
        let mut old: Vec<Option<Vec<Cell>>> = std::mem::take(&mut self.columns)
            .into_iter()
            .map(Some)
            .collect();
        self.columns = sources
            .iter()
            .map(|source| match source {
                None => Ok(Vec::new()),
                Some(at) => {
                    let column = old.get_mut(*at).and_then(Option::take);
                    column.ok_or(FormatError::Invalid {
                        what: "a column of a delta",
                    })
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Takes out the rows of `removed` and makes room at `inserted`; both are runs of (first row,
    /// number of rows), those of `removed` before, those of `inserted` after. The result must have
    /// `rows` rows.
    pub fn move_rows(
        &mut self,
        removed: &[(usize, usize)],
        inserted: &[(usize, usize)],
        rows: usize,
    ) -> Result<(), FormatError> {
        let wrong = FormatError::Invalid {
            what: "the rows of a delta",
        };
        let mut kept = Vec::with_capacity(self.rows.len());
        let mut at = 0;
        for &(first, count) in removed {
            kept.extend_from_slice(self.rows.get(at..first).ok_or(wrong.clone())?);
            at = first + count;
        }
        kept.extend_from_slice(self.rows.get(at..).ok_or(wrong.clone())?);
        let new: usize = inserted.iter().map(|(_, count)| count).sum();
        if kept.len() + new != rows {
            return Err(wrong);
        }
        let mut result = Vec::with_capacity(rows);
        let mut rest = &kept[..];
        let mut next = self.cells;
        for &(first, count) in inserted {
            let before = first.checked_sub(result.len()).ok_or(wrong.clone())?;
            let (taken, left) = rest.split_at_checked(before).ok_or(wrong.clone())?;
            result.extend_from_slice(taken);
            rest = left;
            for _ in 0..count {
                result.push(next);
                next += 1;
            }
        }
        result.extend_from_slice(rest);
        self.rows = result;
        self.cells = next;
        Ok(())
    }

    /// Replaces the offsets of all rows; `None`: there are none any more.
    pub fn set_rowids(&mut self, offsets: Option<Vec<u64>>) {
        self.shift = 0;
        self.rowids = offsets.map(|offsets| {
            let mut rowids = vec![0; self.cells as usize];
            for (row, offset) in self.rows.iter().zip(offsets) {
                rowids[*row as usize] = offset;
            }
            rowids
        });
    }

    /// Adds a shift to the offsets of the rows that were there, and takes those of the inserted.
    /// `shifts` are (first position, shift), the first one of position 0: one for each base.
    pub fn shift_rowids(
        &mut self,
        shifts: &[(u32, u64)],
        inserted: &[u64],
    ) -> Result<(), FormatError> {
        let wrong = FormatError::Invalid {
            what: "the rowids of a delta",
        };
        let (Some(rowids), [(_, shift), more @ ..]) = (&mut self.rowids, shifts) else {
            return Err(wrong);
        };
        for (at, (first, other)) in more.iter().enumerate() {
            let end = more
                .get(at + 1)
                .map_or(rowids.len(), |(next, _)| *next as usize);
            let offsets = rowids.get_mut(*first as usize..end).ok_or(wrong.clone())?;
            for offset in offsets {
                *offset = offset.wrapping_add(other.wrapping_sub(*shift));
            }
        }
        self.shift = self.shift.wrapping_add(*shift);
        rowids.extend(
            inserted
                .iter()
                .map(|offset| offset.wrapping_sub(self.shift)),
        );
        Ok(())
    }

    /// Takes a column's canonical form of `rows` values into the text; gives its cells.
    pub fn take_text(&mut self, canonical: &[u8], rows: usize) -> Result<Vec<Cell>, FormatError> {
        let mut fields = Fields::new(canonical, "values of a delta");
        let index = ColumnIndex::parse(&mut fields, rows, canonical.len())?;
        fields.end()?;
        let cells = cells_of(canonical, &index, rows, self.text.len());
        self.text.extend_from_slice(canonical);
        Ok(cells)
    }

    /// Appends the cells of the inserted rows to a column that was kept.
    pub fn append_cells(&mut self, column: usize, cells: &[Cell]) {
        self.columns[column].extend_from_slice(cells);
    }

    /// Drops the cells that no row shows any more: a new column then has one for each row, and
    /// not one for each row that ever was.
    pub fn drop_unshown(&mut self) {
        for column in self.columns.iter_mut().filter(|cells| !cells.is_empty()) {
            *column = self.rows.iter().map(|row| column[*row as usize]).collect();
        }
        if let Some(rowids) = &mut self.rowids {
            *rowids = self.rows.iter().map(|row| rowids[*row as usize]).collect();
        }
        self.cells = length_u32(self.rows.len());
        self.rows = (0..self.cells).collect();
    }

    /// Gives a new column its cells: one for all rows, or one for each.
    pub fn fill_column(&mut self, column: usize, cells: &[Cell]) {
        if let [only] = cells {
            self.columns[column] = vec![*only; self.cells as usize];
            return;
        }
        let blank = Cell {
            at: 0,
            bytes: 0,
            class: class::NULL,
        };
        let mut all = vec![blank; self.cells as usize];
        for (row, cell) in self.rows.iter().zip(cells) {
            all[*row as usize] = *cell;
        }
        self.columns[column] = all;
    }

    /// Gives a row's value in a column another cell.
    pub fn set(&mut self, row: usize, column: usize, cell: Cell) {
        self.columns[column][self.rows[row] as usize] = cell;
    }

    /// Replaces a text or blob by the bytes that `patch` makes of it.
    pub fn patch(
        &mut self,
        row: usize,
        column: usize,
        patch: impl FnOnce(&[u8]) -> Result<Vec<u8>, FormatError>,
    ) -> Result<(), FormatError> {
        let wrong = FormatError::Invalid {
            what: "a patch of a value",
        };
        let old = self.columns[column][self.rows[row] as usize];
        if !matches!(old.class, class::TEXT | class::BLOB) {
            return Err(wrong);
        }
        let value = patch(self.bytes_of(old))?;
        let cell = Cell {
            at: u32::try_from(self.text.len()).map_err(|_| wrong.clone())?,
            bytes: u16::try_from(value.len()).map_err(|_| wrong)?,
            class: old.class,
        };
        self.text.extend_from_slice(&value);
        self.set(row, column, cell);
        Ok(())
    }

    fn bytes_of(&self, cell: Cell) -> &[u8] {
        let at = cell.at as usize;
        &self.text[at..at + usize::from(cell.bytes)]
    }

    /// Bytes of the canonical form.
    fn canonical_bytes(&self) -> usize {
        let mut bytes = 7 + self.rowids.as_ref().map_or(0, |_| 8 * self.rows.len());
        for column in &self.columns {
            for row in &self.rows {
                let cell = column[*row as usize];
                let long = matches!(cell.class, class::TEXT | class::BLOB);
                bytes += 1 + usize::from(cell.bytes) + if long { 4 } else { 0 };
            }
        }
        bytes
    }

    /// The canonical form (§8.1), of at most `bytes_max` bytes: a short delta may make a long leaf.
    /// Whether it is a leaf's is for its parser and its id to say.
    pub fn canonical(&self, bytes_max: u64) -> Result<Vec<u8>, FormatError> {
        let bytes = self.canonical_bytes();
        check_limit("a decoded leaf", bytes as u64, bytes_max)?;
        let (rows, columns) = rows_and_columns(self.rows.len(), self.columns.len())?;
        let mut out = Vec::with_capacity(bytes);
        out.extend_from_slice(&rows.to_le_bytes());
        out.extend_from_slice(&columns.to_le_bytes());
        out.push(u8::from(self.rowids.is_some()));
        if let Some(rowids) = &self.rowids {
            for row in &self.rows {
                let offset = rowids[*row as usize].wrapping_add(self.shift);
                out.extend_from_slice(&offset.to_le_bytes());
            }
        }
        for column in &self.columns {
            let cells = || self.rows.iter().map(|row| column[*row as usize]);
            out.extend(cells().map(|cell| cell.class));
            for cell in cells().filter(|cell| matches!(cell.class, class::TEXT | class::BLOB)) {
                out.extend_from_slice(&u32::from(cell.bytes).to_le_bytes());
            }
            for cell in cells() {
                out.extend_from_slice(self.bytes_of(cell));
            }
        }
        Ok(out)
    }
}

/// The cells of a column that was parsed, `shift` bytes behind where it was.
fn cells_of(bytes: &[u8], index: &ColumnIndex, rows: usize, shift: usize) -> Vec<Cell> {
    (0..rows)
        .map(|row| {
            let (class, range) = index.place(bytes, row);
            Cell {
                // The text is tidied before it reaches 4 GiB, and values were checked.
                at: u32::try_from(range.start + shift).unwrap_or(u32::MAX),
                bytes: u16::try_from(range.len()).unwrap_or(u16::MAX),
                class,
            }
        })
        .collect()
}
