//! The pages of a new database, appended one after the other: with pointer maps where the database has them
//! (SQLite file format, section 1.8), and without the page at 1 GiB (section 1.5).
//!
//! What SQLite has made already stays where it is: roots of trees are written in place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::durable::{Durable, Written};
use super::geometry::Geometry;
use super::page::Page;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// What a page is, for its entry in a pointer map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The first of an overflow chain: the page of its cell.
    Overflow = 3,
    /// A later one: the one before it.
    OverflowOn = 4,
    /// A page of a tree that is no root: its parent.
    Tree = 5,
}

/// A database file whose pages are being appended.
#[derive(Debug)]
pub struct PageFile {
    file: File,
    geometry: Geometry,
    /// The number of the page that would come next.
    next: u32,
    /// Pages that are not written yet, which end before `next`.
    buffer: Vec<u8>,
    maps: BTreeMap<u32, Vec<u8>>,
    /// Bytes that pointer maps may take in memory; one is held in any case.
    map_bytes_max: usize,
    /// Who makes the file durable; not in a part of it.
    durable: Option<Durable>,
    written: Option<Written>,
}

fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        "the database has more pages than SQLite can count",
    )
}

impl PageFile {
    /// Appends to a file of so many pages, which must be its length.
    pub fn new(
        file: File,
        geometry: Geometry,
        pages: u32,
        map_bytes_max: usize,
    ) -> io::Result<Self> {
        let (durable, written) = Durable::begin(&file)?.unzip();
        Ok(Self {
            file,
            geometry,
            next: pages.checked_add(1).ok_or_else(too_large)?,
            buffer: Vec::with_capacity(WRITE_BYTES + geometry.page),
            maps: BTreeMap::new(),
            map_bytes_max,
            durable,
            written,
        })
    }

    /// The next so many pages, for somebody else to append to beside this one, up to [`PageFile::end_part`]. `None`
    /// where some of them hold no content, or where it is noted what each page is.
    pub fn part(&mut self, pages: u32) -> io::Result<Option<Self>> {
        let (first, end) = (self.next, self.next.checked_add(pages));
        let end = end.filter(|end| *end < u32::MAX).ok_or_else(too_large)?;
        if self.geometry.has_pointer_maps || (first..end).contains(&self.geometry.lock_page()) {
            return Ok(None);
        }
        self.flush()?;
        let part = Self {
            file: self.file.try_clone()?,
            geometry: self.geometry,
            next: first,
            buffer: Vec::with_capacity(WRITE_BYTES + self.geometry.page),
            maps: BTreeMap::new(),
            map_bytes_max: 0,
            durable: None,
            written: self.written.clone(),
        };
        self.next = end;
        Ok(Some(part))
    }

    /// Writes what is left of a part of so many pages.
    ///
    /// Errors: `Other` if there were more pages, or fewer.
    pub fn end_part(mut self, first: u32, pages: u32) -> io::Result<()> {
        self.flush()?;
        match self.next.checked_sub(first) {
            Some(appended) if appended == pages => Ok(()),
            _ => Err(io::Error::other(
                "indexes have other pages than they were to have (a bug)",
            )),
        }
    }

    /// The number of the page that would come next.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// What its pages hold.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Pages up to now.
    pub fn pages(&self) -> u32 {
        self.next - 1
    }

    /// The first page from this one on that holds content.
    fn content_from(&self, mut page: u32) -> u32 {
        while self.geometry.is_set_aside(page) {
            page += 1;
        }
        page
    }

    /// Sets pages aside as they come; the number that the next appended page gets.
    fn following(&mut self) -> io::Result<u32> {
        while self.geometry.is_set_aside(self.next) {
            self.buffer
                .resize(self.buffer.len() + self.geometry.page, 0);
            self.took_one()?;
        }
        Ok(self.next)
    }

    fn took_one(&mut self) -> io::Result<()> {
        // 2^32 - 2: SQLite's SQLITE_MAX_PAGE_COUNT.
        if self.next >= u32::MAX - 1 {
            return Err(too_large());
        }
        self.next += 1;
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Appends a page, and says what it is; gives its number.
    pub fn append(&mut self, page: &mut Page, right: u32) -> io::Result<u32> {
        let number = self.following()?;
        self.note_below(page, right, number)?;
        self.buffer.extend_from_slice(page.finish(right));
        self.took_one()?;
        Ok(number)
    }

    /// Writes the page of a root, which is there already.
    pub fn write_root(&mut self, number: u32, page: &mut Page, right: u32) -> io::Result<()> {
        self.note_below(page, right, number)?;
        self.write_at(number, page.finish(right))
    }

    /// Appends a page of an overflow chain: the number of the next one, or 0, and content. `after`: the one
    /// before it.
    pub fn append_overflow(
        &mut self,
        is_last: bool,
        content: &[u8],
        after: Option<u32>,
    ) -> io::Result<u32> {
        let number = self.following()?;
        if let Some(before) = after {
            self.note(number, Use::OverflowOn, before)?;
        }
        let following = match is_last {
            true => 0,
            false => self.content_from(number + 1),
        };
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&following.to_be_bytes());
        self.buffer.extend_from_slice(content);
        self.buffer.resize(start + self.geometry.page, 0);
        self.took_one()?;
        Ok(number)
    }

    /// Notes the parent of all that hangs on a page.
    fn note_below(&mut self, page: &Page, right: u32, number: u32) -> io::Result<()> {
        if !self.geometry.has_pointer_maps {
            return Ok(());
        }
        for child in page.children().chain((right != 0).then_some(right)) {
            self.note(child, Use::Tree, number)?;
        }
        for overflow in page.overflows() {
            self.note(overflow, Use::Overflow, number)?;
        }
        Ok(())
    }

    fn note(&mut self, page: u32, is: Use, parent: u32) -> io::Result<()> {
        if !self.geometry.has_pointer_maps {
            return Ok(());
        }
        let map = self.geometry.pointer_map_of(page);
        if !self.maps.contains_key(&map) {
            if (self.maps.len() + 1) * self.geometry.page > self.map_bytes_max {
                self.write_maps()?;
            }
            // It comes before the page, so it has been set aside.
            self.flush()?;
            let mut bytes = vec![0; self.geometry.page];
            self.file.read_exact_at(&mut bytes, self.offset(map))?;
            self.maps.insert(map, bytes);
        }
        if let Some(bytes) = self.maps.get_mut(&map) {
            let at = (page - map - 1) as usize * 5;
            bytes[at] = is as u8;
            bytes[at + 1..at + 5].copy_from_slice(&parent.to_be_bytes());
        }
        Ok(())
    }

    fn offset(&self, page: u32) -> u64 {
        u64::from(page - 1) * self.geometry.page as u64
    }

    fn write_at(&mut self, number: u32, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.offset(number))
    }

    fn flush(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let pages = buffer.len() / self.geometry.page;
        #[expect(clippy::cast_possible_truncation, reason = "of a buffer")]
        let first = self.next - pages as u32;
        if pages > 0 {
            self.write_at(first, &buffer)?;
            self.written.iter().for_each(|to| to.add(buffer.len()));
        }
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    fn write_maps(&mut self) -> io::Result<()> {
        // A map is a page that was set aside: it is behind what was written, or in it.
        self.flush()?;
        for (map, bytes) in std::mem::take(&mut self.maps) {
            self.write_at(map, &bytes)?;
        }
        Ok(())
    }

    /// Writes what is left, and the number of pages into the header (section 1.3: offsets 28 and 92). No part of it may
    /// be left. The file is not synced: much of it may be.
    pub fn finish(mut self) -> io::Result<()> {
        self.write_maps()?;
        self.written = None;
        self.durable.take().map_or(Ok(()), Durable::end)?;
        let pages = self.pages();
        let mut counter = [0; 4];
        self.file.read_exact_at(&mut counter, 24)?;
        self.file.write_all_at(&pages.to_be_bytes(), 28)?;
        self.file.write_all_at(&counter, 92)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::btree::geometry::Geometry;
    use crate::target::btree::page::PageKind;

    /// A file that is nearly 1 GiB long, without taking that space.
    fn nearly_a_gibibyte(geometry: Geometry, before: u32) -> (File, PageFile) {
        let file = tempfile::tempfile().unwrap();
        let pages = geometry.lock_page() - before;
        file.set_len(u64::from(pages) * geometry.page as u64)
            .unwrap();
        let written = PageFile::new(file.try_clone().unwrap(), geometry, pages, 0).unwrap();
        (file, written)
    }

    #[test]
    fn the_page_at_one_gibibyte_stays_empty() {
        for page in [512, 4096, 65_536] {
            for has_pointer_maps in [false, true] {
                let geometry = Geometry {
                    page,
                    usable: page,
                    has_pointer_maps,
                };
                let (file, mut written) = nearly_a_gibibyte(geometry, 3);
                let lock = geometry.lock_page();
                let mut numbers = Vec::new();
                let mut leaf = Page::new(geometry, PageKind::TableLeaf);
                leaf.push(b"cell", 0);
                for _ in 0..6 {
                    numbers.push(written.append(&mut leaf, 0).unwrap());
                }
                // A chain that goes over it says so.
                let (_, mut again) = nearly_a_gibibyte(geometry, 2);
                let first = again.append_overflow(false, b"first", None).unwrap();
                let second = again.append_overflow(true, b"last", Some(first)).unwrap();
                assert!(first < lock && second > lock);
                written.finish().unwrap();
                assert!(!numbers.contains(&lock), "{numbers:?}");
                assert!(numbers.contains(&(lock - 1)));
                assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
                let mut bytes = vec![1; page];
                let at = u64::from(lock - 1) * page as u64;
                file.read_exact_at(&mut bytes, at).unwrap();
                assert!(bytes.iter().all(|byte| *byte == 0));
            }
        }
    }
}
