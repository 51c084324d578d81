//! Cells of leaves: what of a payload a cell holds, and the chain of pages for the rest (SQLite file format,
//! sections 1.6 and 1.7 "Cell Payload Overflow Pages").

use std::io;

use super::file::PageFile;
use super::geometry::Tree;
use super::page::Cell;
use super::record::{put_varint, varint_bytes};

/// A cell whose payload is coming in pieces.
#[derive(Debug)]
pub struct OpenCell {
    cell: Cell,
    /// Bytes of the payload that the cell still takes.
    local: usize,
    /// Bytes of the payload that are still to come.
    left: u64,
    /// What the next page of the chain holds so far.
    page: Vec<u8>,
    /// The page of the chain that was written last.
    last: Option<u32>,
}

impl OpenCell {
    /// Begins the cell of a leaf, for so many bytes of payload.
    pub fn begin(file: &PageFile, tree: Tree, rowid: Option<i64>, payload: u64) -> Self {
        let head = Head::of(payload, rowid);
        let mut bytes = vec![0; head.length()];
        head.put(&mut bytes);
        Self {
            cell: Cell { bytes, overflow: 0 },
            local: file.geometry().local(tree, payload),
            left: payload,
            page: Vec::new(),
            last: None,
        }
    }

    /// The next bytes of the payload. Errors: `InvalidData` for more than were announced.
    pub fn more(&mut self, file: &mut PageFile, mut bytes: &[u8]) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| wrong_length("more"))?;
        let local = bytes.len().min(self.local);
        self.cell.bytes.extend_from_slice(&bytes[..local]);
        self.local -= local;
        bytes = &bytes[local..];
        while !bytes.is_empty() {
            if self.page.len() == file.geometry().overflow() {
                self.write(file, false)?;
            }
            let count = bytes
                .len()
                .min(file.geometry().overflow() - self.page.len());
            self.page.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    fn write(&mut self, file: &mut PageFile, is_last: bool) -> io::Result<()> {
        let number = file.append_overflow(is_last, &self.page, self.last)?;
        if self.last.replace(number).is_none() {
            self.cell.overflow = number;
        }
        self.page.clear();
        Ok(())
    }

    /// The whole cell. Errors: `InvalidData` if less came than was announced.
    pub fn end(mut self, file: &mut PageFile) -> io::Result<Cell> {
        if self.left > 0 {
            return Err(wrong_length("less"));
        }
        if !self.page.is_empty() {
            self.write(file, true)?;
            let first = self.cell.overflow.to_be_bytes();
            self.cell.bytes.extend_from_slice(&first);
        }
        Ok(self.cell)
    }
}

fn wrong_length(than: &str) -> io::Error {
    let text = format!("a record has {than} bytes than its values");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// How the cell of a leaf begins: bytes of the payload, and the rowid of a record.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    payload: u64,
    rowid: Option<u64>,
}

impl Head {
    /// For so many bytes of payload.
    pub fn of(payload: u64, rowid: Option<i64>) -> Self {
        Self {
            payload,
            rowid: rowid.map(i64::cast_unsigned),
        }
    }

    /// Its bytes.
    pub fn length(self) -> usize {
        varint_bytes(self.payload) + self.rowid.map_or(0, varint_bytes)
    }

    /// Puts it at the beginning of a cell; gives what follows.
    pub fn put(self, cell: &mut [u8]) -> &mut [u8] {
        let mut length = put_varint(cell, self.payload);
        if let Some(rowid) = self.rowid {
            length += put_varint(&mut cell[length..], rowid);
        }
        &mut cell[length..]
    }
}
