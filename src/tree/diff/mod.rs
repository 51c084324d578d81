//! What differs between two states of a table, without reading what they share.
//!
//! Subtrees of equal id are passed over unread wherever both trees stand at a boundary. Rows are
//! the same by rowid alias or by the key of the tree (`by_key`), else by content (`by_content`).
//! Memory: some leaves, and a bounded number of digests.

mod by_content;
mod by_key;
mod long_keys;

use super::cursor::{Cursor, PlacedLeaf};
use super::{KeyPart, Order, Root, TreeShape};
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobError, BlobSource};
use crate::format::manifest::Changes;
use crate::model::row::RowRef;
use crate::model::schema::Table;
use crate::model::value::ValueRef;

/// One state of a table.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// Shape of its tree.
    pub shape: &'a TreeShape,
    /// Its root; `None` without rows.
    pub root: Option<&'a Root>,
    /// The primary key, where the tree is not ordered by it; else empty. Both states have as many.
    pub key: &'a [Field],
}

impl State<'_> {
    fn rows(&self) -> u64 {
        self.root.map_or(0, |root| root.rows)
    }
}

/// Where a row has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The value is the rowid.
    Rowid,
    /// One of the leaf columns.
    Leaf(usize),
}

impl Field {
    /// Where the tree of a table has a column; `None`: it is computed when it is read.
    pub fn of_column(table: &Table, column: usize) -> Option<Self> {
        if table.rowid_alias() == Some(column) {
            return Some(Self::Rowid);
        }
        let mut columns = table.leaf_columns();
        columns.position(|at| at == column).map(Self::Leaf)
    }

    /// The value that a row has there.
    pub fn of<'a>(self, row: RowRef<'a>) -> ValueRef<'a> {
        match self {
            Self::Rowid => row.rowid.map_or(ValueRef::Null, ValueRef::Integer),
            Self::Leaf(at) => row.values.get(at).copied().unwrap_or(ValueRef::Null),
        }
    }
}

/// Which columns of two states are compared.
#[derive(Debug, Clone, Copy)]
pub enum Columns<'a> {
    /// All, by their place: where their number differs, so does every row.
    AsStored,
    /// These, the earlier state's first.
    Pairs(&'a [(Field, Field)]),
}

impl Columns<'_> {
    /// True if every column is compared with the one in its own place.
    fn keep_places(self) -> bool {
        match self {
            Self::AsStored => true,
            Self::Pairs(pairs) => pairs.iter().all(|(before, after)| before == after),
        }
    }

    /// True if a column of one state is the other's.
    fn are_one(self, before: usize, after: usize) -> bool {
        match self {
            Self::AsStored => before == after,
            Self::Pairs(pairs) => pairs.contains(&(Field::Leaf(before), Field::Leaf(after))),
        }
    }

    /// True if two rows have the same values.
    fn are_equal(self, before: RowRef<'_>, after: RowRef<'_>) -> bool {
        match self {
            Self::AsStored => {
                let mut values = before.values.iter().zip(after.values);
                before.values.len() == after.values.len() && values.all(|(a, b)| a.identical(*b))
            }
            Self::Pairs(pairs) => pairs
                .iter()
                .all(|(a, b)| a.of(before).identical(b.of(after))),
        }
    }
}

/// A row that differs.
#[derive(Debug, Clone, Copy)]
pub enum Difference<'r> {
    /// Only the later state has it.
    Added(RowRef<'r>),
    /// Only the earlier state has it.
    Removed(RowRef<'r>),
    /// Both have it, with other values.
    Changed(RowRef<'r>, RowRef<'r>),
}

/// How the rows of two states were told to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched {
    /// By the key of their trees.
    ByKey,
    /// By content, and those that differ by their primary key.
    ByContentAndKey,
    /// By content alone: a changed row is one removed and one added.
    ByContent,
    /// By content, but so much differs that some rows may be called removed and added that are only
    /// in another place.
    InParts,
    /// Not at all: no column is in both.
    NotAtAll,
}

/// Counts the records that differ.
///
/// Records are the same by rowid alias or primary key. Tables without either are multisets of
/// rows: a changed record there counts as one removed and one added. So does one whose key holds
/// NULL, which SQLite allows many times.
pub fn count(
    source: &dyn BlobSource,
    hash: StoreHash,
    before: State<'_>,
    after: State<'_>,
) -> Result<Changes, BlobError> {
    Ok(count_each::<BlobError>(source, hash, before, after, None)?.0)
}

/// As [`count`], giving every record that differs to `each`. False if none were given, because nothing says which
/// record is which.
pub fn count_each<E: From<BlobError>>(
    source: &dyn BlobSource,
    hash: StoreHash,
    before: State<'_>,
    after: State<'_>,
    each: Option<Each<'_, E>>,
) -> Result<(Changes, bool), E> {
    if before.shape.order != after.shape.order {
        let all = Changes {
            added: after.rows(),
            changed: 0,
            removed: before.rows(),
        };
        return Ok((all, false));
    }
    let mut pair = Pair::new(source, before, after, Columns::AsStored, each);
    let matched = pair.run(hash)?;
    Ok((pair.changes, matched != Matched::NotAtAll))
}

/// Gives every row that differs to `each`, if there is one: by key in the order of the trees, else in about the order
/// in which the rows lie. Says how rows were matched, and how many differ.
pub fn rows<E: From<BlobError>>(
    source: &dyn BlobSource,
    hash: StoreHash,
    before: State<'_>,
    after: State<'_>,
    columns: &[(Field, Field)],
    each: Option<Each<'_, E>>,
) -> Result<(Matched, Changes), E> {
    let columns = Columns::Pairs(columns);
    let mut pair = Pair::new(source, before, after, columns, each);
    let matched = pair.run(hash)?;
    Ok((matched, pair.changes))
}

/// Gives every row that differs to `each`, in order: rows are the same by rowid, also where that is no
/// column and VACUUM may have renumbered it, or by the key of the tree. False, and nothing is given, if
/// the two trees are not ordered by the same.
pub fn by_place<E: From<BlobError>>(
    source: &dyn BlobSource,
    before: State<'_>,
    after: State<'_>,
    each: Each<'_, E>,
) -> Result<bool, E> {
    let is_ordered = match (&before.shape.order, &after.shape.order) {
        (Order::Place, _) | (_, Order::Place) => false,
        (Order::Key(a), Order::Key(b)) => {
            a == b && before.shape.encoding == after.shape.encoding && before.shape.order_is_known()
        }
        (Order::Key(_), _) | (_, Order::Key(_)) => false,
        _ => true,
    };
    if is_ordered {
        Pair::new(source, before, after, Columns::AsStored, Some(each)).by_key()?;
    }
    Ok(is_ordered)
}

/// One tree being read.
struct Side<'a> {
    shape: &'a TreeShape,
    cursor: Cursor<'a>,
    /// The leaf being read, and the next row in it.
    leaf: Option<(PlacedLeaf, usize)>,
    key: &'a [Field],
}

impl<'a> Side<'a> {
    fn new(source: &'a dyn BlobSource, state: State<'a>) -> Self {
        Self {
            shape: state.shape,
            cursor: Cursor::new(source, state.shape, state.root),
            leaf: None,
            key: state.key,
        }
    }

    /// Makes sure that a row is at hand, if any is left.
    fn fill(&mut self) -> Result<(), BlobError> {
        if self
            .leaf
            .as_ref()
            .is_some_and(|(leaf, row)| *row >= leaf.leaf.rows())
        {
            self.leaf = None;
        }
        if self.leaf.is_none() {
            self.leaf = self.cursor.next_leaf()?.map(|leaf| (leaf, 0));
        }
        Ok(())
    }

    /// True between two leaves.
    fn at_boundary(&self) -> bool {
        self.leaf
            .as_ref()
            .is_none_or(|(leaf, row)| *row >= leaf.leaf.rows())
    }

    fn row<'b>(&'b self, values: &mut Vec<ValueRef<'b>>) -> Option<Option<i64>> {
        let (leaf, row) = self.leaf.as_ref()?;
        Some(leaf.row(*row, values))
    }

    fn step(&mut self) {
        if let Some((_, row)) = &mut self.leaf {
            *row += 1;
        }
    }

    /// True if the row at hand is the other side's in every value, and in its rowid.
    fn is_at_row_of(&self, other: &Self) -> bool {
        let (Some((leaf, row)), Some((other, other_row))) = (&self.leaf, &other.leaf) else {
            return false;
        };
        leaf.rowid(*row) == other.rowid(*other_row)
            && leaf.leaf.has_values_of(*row, &other.leaf, *other_row)
    }
}

/// Whom the rows are given to.
pub type Each<'a, E> = &'a mut dyn FnMut(Difference<'_>) -> Result<(), E>;

/// Two states being compared.
struct Pair<'a, 'e, E> {
    source: &'a dyn BlobSource,
    before: Side<'a>,
    after: Side<'a>,
    columns: Columns<'a>,
    changes: Changes,
    /// `None`: rows are only counted.
    each: Option<Each<'e, E>>,
    /// Rows held by content before their difference is written off, so that memory stays bounded.
    held_max: usize,
}

/// About 100 MiB at most.
const HELD_ROWS_MAX: usize = 500_000;

impl<'a, 'e, E: From<BlobError>> Pair<'a, 'e, E> {
    fn new(
        source: &'a dyn BlobSource,
        before: State<'a>,
        after: State<'a>,
        columns: Columns<'a>,
        each: Option<Each<'e, E>>,
    ) -> Self {
        Self {
            source,
            before: Side::new(source, before),
            after: Side::new(source, after),
            columns,
            changes: Changes::default(),
            each,
            held_max: HELD_ROWS_MAX,
        }
    }

    fn run(&mut self, hash: StoreHash) -> Result<Matched, E> {
        if self.have_one_order() {
            self.by_key()?;
            return Ok(Matched::ByKey);
        }
        if let Columns::Pairs([]) = self.columns {
            self.all_differ()?;
            return Ok(Matched::NotAtAll);
        }
        self.by_content(hash)
    }

    /// Every row of the earlier state is removed, every row of the later one added.
    fn all_differ(&mut self) -> Result<(), E> {
        let changes = &mut self.changes;
        let each = &mut self.each;
        self.before.cursor.for_each(|row| {
            changes.removed += 1;
            each.as_mut()
                .map_or(Ok(()), |each| each(Difference::Removed(row)))
        })?;
        self.after.cursor.for_each(|row| {
            changes.added += 1;
            each.as_mut()
                .map_or(Ok(()), |each| each(Difference::Added(row)))
        })
    }

    /// True if rows of one key stand in one order in both trees.
    fn have_one_order(&self) -> bool {
        let (before, after) = (self.before.shape, self.after.shape);
        let is_same = |(a, b): (&KeyPart, &KeyPart)| {
            self.columns.are_one(a.at, b.at)
                && a.collation == b.collation
                && a.descending == b.descending
        };
        match (&before.order, &after.order) {
            (Order::RowidAlias, Order::RowidAlias) => match self.columns {
                Columns::AsStored => true,
                // Its column may have another name now.
                Columns::Pairs(pairs) => pairs.contains(&(Field::Rowid, Field::Rowid)),
            },
            (Order::Key(a), Order::Key(b)) => {
                before.encoding == after.encoding
                    && before.order_is_known()
                    && a.len() == b.len()
                    && a.iter().zip(b).all(is_same)
            }
            _ => false,
        }
    }

    /// Passes over subtrees that both sides share, while both stand at a boundary.
    fn skip_equal(&mut self, rowids_matter: bool) -> Result<(), BlobError> {
        if self.before.shape != self.after.shape || !self.columns.keep_places() {
            return Ok(());
        }
        while self.before.at_boundary() && self.after.at_boundary() {
            let (Some(a), Some(b)) = (self.before.cursor.peek(), self.after.cursor.peek()) else {
                break;
            };
            if a.id == b.id && (!rowids_matter || a.first_rowid == b.first_rowid) {
                self.before.cursor.skip();
                self.after.cursor.skip();
                continue;
            }
            let (a, b) = (a.level, b.level);
            if a == 0 && b == 0 {
                break;
            }
            if a >= b {
                self.before.cursor.descend()?;
            }
            if b >= a {
                self.after.cursor.descend()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
