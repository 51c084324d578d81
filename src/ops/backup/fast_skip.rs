//! Rows that need not be read, because the pages that they lie on are what they were when they were last read
//! (docs/decisions/015-fast-skip.md).
//!
//! What is remembered says: pages with this content hold these rows, and they are this leaf. Whenever that was
//! learned, it holds; what may have changed meanwhile is found by reading the pages, through SQLite's own pager, in
//! the transaction of the backup. Any doubt, and rows are read.

use std::collections::VecDeque;

use crate::codec::hash::{SecretHash, first_u64};
use crate::env::{Env, random_32};
use crate::format::blob::{BlobKind, BlobSink};
use crate::format::config::FormatMark;
use crate::format::manifest::Source;
use crate::model::schema::{ObjectKind, Table};
use crate::ops::grow::{Borders, Known, Stop};
use crate::ops::open::Store;
use crate::source::{LeafPages, Moment};
use crate::store::{KnownLeaf, PageCache, StoreError, TablePages};
use crate::tree::build::LeafEnd;

/// One leaf in so many is read though its pages say that it need not be.
const CHECKED_ONE_IN: u64 = 100;

/// A leaf on so many pages is read each time: each has a row at least, so there are no more in a sound tree.
const PAGES_MAX: u32 = crate::format::limits::LEAF_ROWS_MAX + 1;

/// A leaf on pages of more bytes is read each time, too: they are held until its fingerprint is taken.
const RUN_BYTES_MAX: usize = 8 << 20;

/// What is remembered of a source, and learned in this run.
pub(super) struct FastSkip {
    cache: PageCache,
    /// Chooses the leaves that are read all the same.
    draw: SecretHash,
}

impl FastSkip {
    /// `None` where nothing can be remembered.
    pub(super) fn begin(store: &Store, env: &dyn Env, source: &Source) -> Option<Self> {
        let host = env.host();
        let parts = match &source.name {
            Some(name) => [&b"name"[..], name.as_bytes(), b""],
            None => [&b"path"[..], host.as_bytes(), source.path.as_bytes()],
        };
        let cache = store.page_cache(&parts)?;
        Some(Self {
            cache,
            draw: SecretHash::new(random_32(env)),
        })
    }

    /// True if something is remembered of the source.
    pub(super) fn remembers(&self) -> bool {
        self.cache.knows_source()
    }

    /// The borders of a table's leaves; `None` for one whose rows are all read.
    pub(super) fn table<'a>(
        &'a mut self,
        moment: Moment<'a>,
        table: &Table,
    ) -> Option<TableBorders<'a>> {
        // A database that cannot be walked here is read, and says then what is wrong with it.
        let pages = LeafPages::of(moment, table).ok().flatten()?;
        let mut texts = moment.schema().objects_of(ObjectKind::Table);
        let object = texts.find(|object| object.name.eq_ignore_ascii_case(&table.name))?;
        let format = FormatMark::CURRENT;
        let id = self.cache.table(&[
            table.name.as_bytes(),
            object.sql.as_deref()?.as_bytes(),
            &moment.settings().page_size.to_le_bytes(),
            &(pages.usable() as u64).to_le_bytes(),
            format!("{:?}", moment.settings().encoding).as_bytes(),
            format!("{}.{}", format.version, format.draft).as_bytes(),
            env!("CARGO_PKG_VERSION").as_bytes(),
        ]);
        let pages = Window {
            pages,
            hash: self.cache.hash().clone(),
            page_bytes: moment.settings().page_size as usize,
            seen: VecDeque::new(),
            contents: Vec::new(),
            passed: 0,
            at_end: false,
            is_broken: false,
        };
        Some(TableBorders {
            skip: self,
            moment,
            table: table.name.clone(),
            id,
            pages,
            ahead: VecDeque::new(),
            asked: Asked::Behind(None),
            expected: None,
            behind: None,
            doubt: false,
        })
    }

    /// The snapshot is committed: what was learned may be used from now on.
    pub(super) fn remember(&self) -> Result<(), StoreError> {
        self.cache.remember()
    }

    /// Nothing of it may be used again.
    pub(super) fn forget(&self) -> Result<(), StoreError> {
        self.cache.forget()
    }
}

/// A leaf page that was seen.
struct SeenPage {
    last: i64,
    overflows: bool,
}

/// The leaf pages of a table from where its rows are being taken.
struct Window<'a> {
    pages: LeafPages<'a>,
    hash: SecretHash,
    page_bytes: usize,
    seen: VecDeque<SeenPage>,
    /// What the pages hold that were seen, one behind the other: many are hashed sooner at once than one by one.
    contents: Vec<u8>,
    /// So many bytes of it are of pages that were passed.
    passed: usize,
    at_end: bool,
    /// They cannot be walked any further.
    is_broken: bool,
}

impl Window<'_> {
    /// How many pages the rows behind `behind` up to `last` lie on, or all that follow, and their fingerprint. `None`
    /// if they are more than `max`, if a row of them goes on elsewhere, or if they cannot be walked.
    fn run(&mut self, behind: Option<i64>, last: Option<i64>, max: u32) -> Option<(u32, [u8; 32])> {
        let is_passed = |page: &SeenPage| behind.is_some_and(|behind| page.last <= behind);
        while self.seen.front().is_some_and(is_passed) {
            self.seen.pop_front();
            self.passed += self.page_bytes;
        }
        let mut count = 0;
        while self.seen.len() > count || self.see_next(behind) {
            let page = self.seen.get(count)?;
            count += 1;
            let is_long = count > max as usize || count * self.page_bytes > RUN_BYTES_MAX;
            if page.overflows || is_long {
                return None;
            }
            if last.is_some_and(|last| page.last >= last) {
                break;
            }
        }
        if self.is_broken {
            return None;
        }
        let end = self.passed + count * self.page_bytes;
        let fingerprint = self.hash.digest(self.contents.get(self.passed..end)?);
        Some((u32::try_from(count).ok()?, fingerprint))
    }

    /// Looks at the next page on which rows behind `behind` lie; false if there is none.
    fn see_next(&mut self, behind: Option<i64>) -> bool {
        if self.passed > self.contents.len() / 2 {
            self.contents.drain(..self.passed);
            self.passed = 0;
        }
        while !self.at_end {
            let before = self.contents.len();
            let contents = &mut self.contents;
            let is_ahead = |last: i64| behind.is_none_or(|behind| last > behind);
            let page = self.pages.next(|content, page| {
                if is_ahead(page.last) {
                    contents.extend_from_slice(content);
                }
            });
            match page {
                Ok(Some(page)) if is_ahead(page.last) => {
                    // Every page has one length; else nothing is where it is looked for.
                    let is_whole = self.contents.len() - before == self.page_bytes;
                    if !is_whole {
                        (self.at_end, self.is_broken) = (true, true);
                    }
                    self.seen.push_back(SeenPage {
                        last: page.last,
                        overflows: page.overflows,
                    });
                    return true;
                }
                Ok(Some(_)) => {}
                Ok(None) => self.at_end = true,
                // No error here: its rows are read, and say what is wrong with it.
                Err(_) => (self.at_end, self.is_broken) = (true, true),
            }
        }
        false
    }
}

/// Where the next remembered leaves are asked for.
#[derive(Clone, Copy)]
enum Asked {
    Behind(Option<i64>),
    /// There are no more.
    AtEnd,
}

/// The borders between the leaves of one table.
pub(super) struct TableBorders<'a> {
    skip: &'a mut FastSkip,
    moment: Moment<'a>,
    table: String,
    id: TablePages,
    pages: Window<'a>,
    /// Leaves that are remembered, in order, from where the rows are being taken.
    ahead: VecDeque<KnownLeaf>,
    asked: Asked,
    /// The leaf that is read though it need not be.
    expected: Option<KnownLeaf>,
    /// The last border.
    behind: Option<i64>,
    /// From here on everything is read, and nothing is remembered.
    doubt: bool,
}

impl TableBorders<'_> {
    /// The table has ended; `whole`: without gaps.
    pub(super) fn end(mut self, whole: bool) {
        if !whole {
            // Its leaves lack rows, though their pages are what they are.
            self.skip.cache.forget_table(&self.id);
        } else if !self.doubt && matches!(self.next_remembered(), Ok(Some(_))) {
            self.skip.cache.change(&self.id, self.behind, None, None);
        }
    }

    /// The first leaf that is remembered behind the last border, or across it.
    fn next_remembered(&mut self) -> Result<Option<KnownLeaf>, StoreError> {
        let behind = self.behind;
        loop {
            let is_passed = |known: &KnownLeaf| known.leaf.span.last_rowid() <= behind;
            while self.ahead.front().is_some_and(is_passed) {
                self.ahead.pop_front();
            }
            match self.asked {
                Asked::Behind(asked) if self.ahead.is_empty() => {
                    let more = self.skip.cache.leaves(&self.id, asked.max(behind))?;
                    self.asked = match more.last() {
                        Some(known) => Asked::Behind(known.leaf.span.last_rowid()),
                        None => Asked::AtEnd,
                    };
                    self.ahead.extend(more);
                }
                _ => return Ok(self.ahead.front().cloned()),
            }
        }
    }

    /// The leaf that was made of the pages behind the last border, if they are what they were.
    fn unchanged(&mut self) -> Option<KnownLeaf> {
        let known = match self.next_remembered() {
            Ok(known) => known?,
            Err(_) => {
                // A cache that is damaged is none.
                let _ = self.skip.forget();
                self.doubt = true;
                return None;
            }
        };
        if known.after != self.behind {
            return None;
        }
        let last = known.leaf.span.last_rowid().filter(|_| !known.ends_table);
        let run = self.pages.run(self.behind, last, known.pages);
        (run == Some((known.pages, known.fingerprint))).then_some(known)
    }
}

impl Borders for TableBorders<'_> {
    fn next(
        &mut self,
        behind: Option<i64>,
        blobs: &mut dyn BlobSink,
    ) -> Result<Option<Known>, Stop> {
        self.behind = behind;
        if self.doubt {
            return Ok(None);
        }
        self.moment.check_hold().map_err(Stop::Source)?;
        let Some(known) = self.unchanged() else {
            self.doubt |= self.pages.is_broken;
            return Ok(None);
        };
        if !blobs
            .has(BlobKind::Leaf, &known.leaf.id)
            .map_err(Stop::Blob)?
        {
            return Ok(None);
        }
        let drawn = first_u64(&self.skip.draw.digest(&known.leaf.id.0));
        if drawn.is_multiple_of(CHECKED_ONE_IN) {
            self.expected = Some(known);
            return Ok(None);
        }
        Ok(Some(Known {
            end: LeafEnd {
                leaf: known.leaf,
                digest: known.digest,
            },
            ends_table: known.ends_table,
        }))
    }

    fn is_pause_due(&self) -> bool {
        self.moment.is_slice_due()
    }

    fn read(
        &mut self,
        behind: Option<i64>,
        end: &LeafEnd,
        ends_table: bool,
        plain: bool,
    ) -> Result<(), Stop> {
        self.behind = end.leaf.span.last_rowid();
        if let Some(expected) = self.expected.take() {
            let same = expected.leaf == end.leaf
                && expected.digest == end.digest
                && expected.ends_table == ends_table;
            if same {
                return Ok(());
            }
            let table = self.table.clone();
            return Err(Stop::Store(StoreError::WrongPages { table }));
        }
        if self.doubt {
            return Ok(());
        }
        let last = self.behind.filter(|_| !ends_table);
        // What large values refer to may be gone; what there is to say of a row must be said again.
        let run = (plain && !end.leaf.has_refs)
            .then(|| self.pages.run(behind, last, PAGES_MAX))
            .flatten();
        let known = run.map(|(pages, fingerprint)| KnownLeaf {
            after: behind,
            leaf: end.leaf.clone(),
            digest: end.digest,
            ends_table,
            pages,
            fingerprint,
        });
        self.skip
            .cache
            .change(&self.id, behind, last, known.as_ref());
        self.doubt |= self.pages.is_broken;
        Ok(())
    }
}
