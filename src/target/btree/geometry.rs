//! How much of a payload a page holds: SQLite file format, sections 1.6 "B-tree Pages" and 1.8 "Pointer Map
//! or Ptrmap Pages".

/// The page that holds this byte of the file is never used (section 1.5 "The Lock-Byte Page").
const LOCK_BYTE: u64 = 1 << 30;

/// Sizes of pages, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes a page: a power of two from 512 to 65,536.
    pub page: usize,
    /// Bytes of them that a b-tree may use: without the reserved ones. At least 480.
    pub usable: usize,
    /// The file has pointer maps: auto_vacuum is full or incremental.
    pub has_pointer_maps: bool,
}

/// Of which kind of tree a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// Records by rowid, in leaves only.
    Table,
    /// Keys, in leaves and interior pages.
    Index,
}

impl Geometry {
    /// How many bytes of a payload stand in its cell; the rest is in overflow pages.
    pub fn local(self, tree: Tree, payload: u64) -> usize {
        let usable = self.usable;
        let most = match tree {
            Tree::Table => usable - 35,
            Tree::Index => (usable - 12) * 64 / 255 - 23,
        };
        if payload <= most as u64 {
            #[expect(clippy::cast_possible_truncation, reason = "at most `most`")]
            return payload as usize;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let over = (payload - least as u64) % (usable as u64 - 4);
        #[expect(clippy::cast_possible_truncation, reason = "less than a page")]
        let local = least + over as usize;
        if local <= most { local } else { least }
    }

    /// Bytes of a payload that one overflow page holds.
    pub fn overflow(self) -> usize {
        self.usable - 4
    }

    /// The number of the page that is never used.
    pub fn lock_page(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^21 + 1")]
        let number = (LOCK_BYTE / self.page as u64 + 1) as u32;
        number
    }

    /// The pointer map in which a page has its entry; itself for a pointer map.
    pub fn pointer_map_of(self, page: u32) -> u32 {
        let entries = self.usable / 5;
        #[expect(clippy::cast_possible_truncation, reason = "at most 13,108")]
        let each = entries as u32 + 1;
        let map = (page - 2) / each * each + 2;
        if map == self.lock_page() {
            map + 1
        } else {
            map
        }
    }

    /// True for pages that hold no content: the lock page and pointer maps.
    pub fn is_set_aside(self, page: u32) -> bool {
        page == self.lock_page()
            || self.has_pointer_maps && page > 1 && self.pointer_map_of(page) == page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(page: usize) -> Geometry {
        Geometry {
            page,
            usable: page,
            has_pointer_maps: true,
        }
    }

    /// The numbers of the format's text, for the smallest and a usual page.
    #[test]
    fn what_a_cell_holds_is_as_the_format_says() {
        let small = of(512);
        assert_eq!(small.local(Tree::Table, 477), 477);
        assert_eq!(small.local(Tree::Table, 478), 39);
        assert_eq!(small.local(Tree::Index, 102), 102);
        assert_eq!(small.local(Tree::Index, 103), 39);
        assert_eq!(small.local(Tree::Table, 39 + 508), 39);
        assert_eq!(small.local(Tree::Table, 39 + 508 + 438), 39 + 438);
        assert_eq!(small.local(Tree::Table, 39 + 508 + 439), 39);
        assert_eq!(of(4096).local(Tree::Table, 4061), 4061);
        assert_eq!(of(4096).local(Tree::Index, 1003), 489);
    }

    #[test]
    fn pages_that_hold_no_content_are_told() {
        let four = of(4096);
        assert_eq!(four.lock_page(), 262_145);
        assert!(four.is_set_aside(262_145));
        assert!(four.is_set_aside(2));
        assert!(four.is_set_aside(2 + 820));
        assert!(!four.is_set_aside(1));
        assert!(!four.is_set_aside(3));
        assert_eq!(four.pointer_map_of(821), 2);
        // A pointer map that would be the lock page stands behind it.
        let clash = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]
            .map(of)
            .into_iter()
            .find(|g| {
                let lock = g.lock_page();
                (lock - 2).is_multiple_of(g.usable as u32 / 5 + 1)
            });
        if let Some(geometry) = clash {
            let lock = geometry.lock_page();
            assert_eq!(geometry.pointer_map_of(lock), lock + 1);
        }
    }
}
