//! Checks a tree against what is said of it: levels, counts, bounds, and the order of its keys.
//!
//! Ids have been checked when a blob is read; here it is decided whether good blobs make a good
//! tree. Damage is reported with the rows it affects, and the rest of the tree is still checked.

use std::cmp::Ordering;

use super::cursor::Place;
use super::large::{self, chunk_kind_at};
use super::{Order, Root, TreeShape, compare_keys, key_of, misfit};
use crate::codec::hash::{SplitDigest, StoreHash};
use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSource};
use crate::format::chunk::Piece;
use crate::format::leaf::{Leaf, append_value};
use crate::format::node::{NodeKey, Span, key_canonical};
use crate::model::id::BlobId;
use crate::model::row::RowRef;
use crate::model::value::{Spilled, Value, ValueRef};

/// Rows that damage affects.
#[derive(Debug, Clone, PartialEq)]
pub struct Affected {
    /// Number of rows.
    pub rows: u64,
    /// Ordinal of the first of them in the table, from 0.
    pub first_ordinal: u64,
    /// Their first and last rowid, where rows have one.
    pub rowids: Option<(i64, i64)>,
    /// The key of the row before the first of them, in a tree that is ordered by keys; `None` at its
    /// beginning, where only a part of the key is known, and of a single row.
    pub after_key: Option<Vec<Value>>,
    /// The key of the last of them, likewise.
    pub last_key: Option<Vec<Value>>,
}

/// A blob, with all that is said of it where it hangs. Two places that say the same of the same
/// blob need only one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Kind of the blob.
    pub kind: BlobKind,
    /// The blob.
    pub id: BlobId,
    /// True if large values hang below it.
    pub has_refs: bool,
    /// Digest of the blob's id and of what is said of it.
    pub digest: SplitDigest,
}

impl Claim {
    /// Half of its digest: enough to know the claim again.
    pub fn half(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&self.digest[..16]);
        half
    }
}

/// Decides what is read, and receives what is wrong.
pub trait Visitor {
    /// True if this claim is known to hold for the blob and all below it: it is passed over.
    fn is_good(&mut self, claim: &Claim) -> Result<bool, BlobError>;
    /// This claim holds for the blob and all below it.
    fn set_good(&mut self, claim: &Claim) -> Result<(), BlobError>;
    /// True if whatever is not known to be good is read: it may then be read ahead.
    fn reads_all(&self) -> bool {
        false
    }
    /// A leaf that was read and is good, as far as its own rows go. Leaves come in order; those below
    /// what [`Visitor::is_good`] passed over do not come.
    fn leaf(&mut self, _place: &Place, _leaf: Leaf) {}
    /// A blob is missing, damaged, or does not fit its place.
    fn damaged(&mut self, error: BlobError, affected: Affected);
}

/// Checks a whole tree. Fails only if blobs cannot be read for reasons other than damage.
pub fn check(
    source: &dyn BlobSource,
    hash: StoreHash,
    shape: &TreeShape,
    root: &Root,
    visitor: &mut dyn Visitor,
) -> Result<(), BlobError> {
    let order_is_known = shape.order_is_known();
    let mut check = Check {
        source,
        hash,
        shape,
        order_is_known,
        visitor,
        rows: 0,
        last: Last::None,
    };
    check.place(&Place::root(root)).map(|_| ())
}

/// The last row before the place being checked.
#[derive(Clone)]
enum Last {
    None,
    Rowid(i64),
    /// Values of the key; none where only a cut key is known.
    Key(Vec<Value>),
}

impl Last {
    /// That of a place.
    fn of(place: &Place) -> Self {
        match &place.span {
            Some(Span::Rowids { last, .. }) => Self::Rowid(*last),
            Some(Span::Key(key)) => Self::Key(key_of(key).unwrap_or_default()),
            _ => Self::None,
        }
    }
}

struct Check<'a> {
    source: &'a dyn BlobSource,
    hash: StoreHash,
    shape: &'a TreeShape,
    order_is_known: bool,
    visitor: &'a mut dyn Visitor,
    /// Rows before the place being checked.
    rows: u64,
    last: Last,
}

impl Check<'_> {
    /// Checks a place and all below it. True if all of it is good.
    ///
    /// Recursion is bounded: a level is at most 16 and falls by one.
    fn place(&mut self, place: &Place) -> Result<bool, BlobError> {
        let first_ordinal = self.rows;
        let before = match &self.last {
            Last::Key(key) if !key.is_empty() => Some(key.clone()),
            _ => None,
        };
        let good = match self.known_or_checked(place) {
            Ok(good) => good,
            Err(error) if error.why == BlobErrorKind::Unavailable => return Err(error),
            Err(error) => {
                let affected = Affected {
                    after_key: before,
                    ..affected(place, first_ordinal)
                };
                self.visitor.damaged(error, affected);
                false
            }
        };
        self.rows = first_ordinal.saturating_add(place.rows);
        self.last = Last::of(place);
        Ok(good)
    }

    /// Says which of a node's leaves will be read.
    fn announce(&mut self, node: &Place, children: &[Place]) -> Result<(), BlobError> {
        if node.level != 1 || !self.visitor.reads_all() {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.last, Last::None);
        let mut unread = Vec::new();
        for (n, child) in children.iter().enumerate() {
            self.last = match n.checked_sub(1).map(|n| &children[n]) {
                Some(sibling) => Last::of(sibling),
                None => before.clone(),
            };
            if !self.visitor.is_good(&self.claim(child))? {
                unread.push(child.id);
            }
        }
        self.last = before;
        self.source.soon(BlobKind::Leaf, &unread);
        Ok(())
    }

    fn known_or_checked(&mut self, place: &Place) -> Result<bool, BlobError> {
        self.order_of(place)?;
        let claim = self.claim(place);
        if self.visitor.is_good(&claim)? {
            return Ok(true);
        }
        let good = if place.level == 0 {
            let leaf = place.leaf(self.shape, self.source)?;
            self.leaf(place, leaf)?
        } else {
            let children = place.children(self.source)?;
            bounds(self.shape, place, &children)?;
            self.announce(place, &children)?;
            children
                .iter()
                .try_fold(true, |good, child| Ok(self.place(child)? && good))?
        };
        if good {
            self.visitor.set_good(&claim)?;
        }
        Ok(good)
    }

    /// What is said of a place: by the node above or the manifest, and by its table.
    fn claim(&self, place: &Place) -> Claim {
        let mut said = Vec::with_capacity(128);
        said.extend_from_slice(&[place.kind() as u8, place.level, u8::from(place.has_refs)]);
        said.extend_from_slice(&place.id.0);
        for number in [place.rows, place.bytes, self.shape.columns as u64] {
            said.extend_from_slice(&number.to_le_bytes());
        }
        match &place.span {
            // Leaves are relative to their first rowid.
            Some(Span::Rowids { first, last }) => {
                said.extend_from_slice(&last.wrapping_sub(*first).to_le_bytes());
                if place.level > 0 {
                    said.extend_from_slice(&first.to_le_bytes());
                }
            }
            Some(Span::Key(key)) => {
                said.extend_from_slice(&key.bytes);
                if let Last::Key(before) = &self.last {
                    before
                        .iter()
                        .for_each(|value| append_value(value.as_ref(), &mut said));
                }
            }
            Some(Span::Place) => said.push(1),
            None => said.extend(
                place
                    .first_rowid
                    .iter()
                    .flat_map(|rowid| rowid.to_le_bytes()),
            ),
        }
        // Keys are compared as the table says.
        if let Order::Key(parts) = &self.shape.order {
            said.extend_from_slice(format!("{parts:?}").as_bytes());
        }
        let digest = self.hash.split_digest(&said);
        Claim {
            kind: place.kind(),
            id: place.id,
            has_refs: place.has_refs,
            digest,
        }
    }

    /// A place must lie behind what comes before it.
    fn order_of(&self, place: &Place) -> Result<(), BlobError> {
        let behind = match (&self.last, &place.span) {
            (Last::Rowid(last), Some(Span::Rowids { first, .. })) => last < first,
            (Last::Key(last), Some(Span::Key(key))) if self.order_is_known => {
                // Keys of nodes are last keys: at least not smaller than the last one before.
                key_of(key).is_none_or(|key| {
                    self.compare(last, &key)
                        .is_none_or(|order| order == Ordering::Less)
                })
            }
            _ => true,
        };
        if behind {
            Ok(())
        } else {
            Err(self.wrong(place, "the order of keys"))
        }
    }

    fn wrong(&self, place: &Place, what: &'static str) -> BlobError {
        misfit(place.kind(), place.id, FormatError::Invalid { what })
    }

    /// Compares two keys; `None` if that cannot be decided here.
    fn compare(&self, a: &[Value], b: &[Value]) -> Option<Ordering> {
        compare_keys(self.shape, a, b)
    }

    fn leaf(&mut self, place: &Place, leaf: Leaf) -> Result<bool, BlobError> {
        if let Some(Span::Rowids { last, .. }) = place.span
            && leaf.rowid(leaf.rows() - 1, place.first_rowid) != Some(last)
        {
            return Err(self.wrong(place, "the rowids of a leaf"));
        }
        if matches!(self.shape.order, Order::Key(_)) {
            self.keys_of(place, &leaf)?;
        }
        if leaf.spilled().next().is_none() == place.has_refs {
            return Err(self.wrong(place, "the large values of a leaf"));
        }
        let good = !place.has_refs || self.large_values(place, &leaf)?;
        self.visitor.leaf(place, leaf);
        Ok(good)
    }

    /// Keys rise within a leaf, and the last one is what the node says.
    fn keys_of(&mut self, place: &Place, leaf: &Leaf) -> Result<(), BlobError> {
        let mut values = Vec::new();
        let mut before = match std::mem::replace(&mut self.last, Last::None) {
            Last::Key(key) => key,
            _ => Vec::new(),
        };
        for row in 0..leaf.rows() {
            leaf.row_values(row, &mut values);
            let row = RowRef {
                rowid: None,
                values: &values,
            };
            let key: Vec<Value> = self
                .shape
                .key_values(row)
                .map(|value| value.to_owned())
                .collect();
            let rises = before.is_empty()
                || !self.order_is_known
                || self
                    .compare(&before, &key)
                    .is_none_or(|order| order == Ordering::Less);
            if !rises {
                return Err(self.wrong(place, "the order of keys"));
            }
            before = key;
        }
        let mut canonical = Vec::new();
        key_canonical(before.iter().map(Value::as_ref), &mut canonical);
        match &place.span {
            Some(Span::Key(key)) if *key != NodeKey::new(self.hash, &canonical) => {
                Err(self.wrong(place, "the last key of a leaf"))
            }
            _ => Ok(()),
        }
    }

    /// A large value takes its own row with it only.
    fn large_values(&mut self, place: &Place, leaf: &Leaf) -> Result<bool, BlobError> {
        let (mut good, mut values) = (true, Vec::new());
        for row in 0..leaf.rows() {
            leaf.row_values(row, &mut values);
            let rowid = leaf.rowid(row, place.first_rowid);
            let affected = Affected {
                rows: 1,
                first_ordinal: self.rows.saturating_add(row as u64),
                rowids: rowid.map(|rowid| (rowid, rowid)),
                after_key: None,
                last_key: self.key_of_row(&values),
            };
            for value in &values {
                if let ValueRef::Spilled(value) = value {
                    good &= self.large(value, &affected)?;
                }
            }
        }
        Ok(good)
    }

    fn key_of_row(&self, values: &[ValueRef<'_>]) -> Option<Vec<Value>> {
        let row = RowRef {
            rowid: None,
            values,
        };
        let key = self.shape.key_values(row);
        let key: Vec<Value> = key.map(|value| value.to_owned()).collect();
        Some(key).filter(|key| !key.is_empty())
    }

    fn large(&mut self, value: &Spilled, affected: &Affected) -> Result<bool, BlobError> {
        let kind = chunk_kind_at(value.level);
        let hash = self.hash;
        let claim = |kind, piece: &Piece| {
            let said = [&[kind as u8][..], &piece.id.0, &piece.bytes.to_le_bytes()].concat();
            Claim {
                kind,
                id: piece.id,
                has_refs: false,
                digest: hash.split_digest(&said),
            }
        };
        let root = claim(
            kind,
            &Piece {
                id: value.root,
                bytes: value.bytes,
            },
        );
        let visitor = &mut *self.visitor;
        let mut enter = |kind, piece: &Piece| Ok(!visitor.is_good(&claim(kind, piece))?);
        match large::walk(self.source, value, &mut enter, &mut |_| Ok(())) {
            Ok(()) => {
                self.visitor.set_good(&root)?;
                Ok(true)
            }
            Err(error) if error.why == BlobErrorKind::Unavailable => Err(error),
            Err(error) => {
                self.visitor.damaged(error, affected.clone());
                Ok(false)
            }
        }
    }
}

fn affected(place: &Place, first_ordinal: u64) -> Affected {
    let rowids = match place.span {
        Some(Span::Rowids { first, last }) => Some((first, last)),
        _ => None,
    };
    let last_key = match &place.span {
        Some(Span::Key(key)) => key_of(key),
        _ => None,
    };
    Affected {
        rows: place.rows,
        first_ordinal,
        rowids,
        after_key: None,
        last_key,
    }
}

/// A node's own span begins and ends with its children's, and all are of the kind that the tree's
/// order asks for: another kind would leave that order unchecked.
fn bounds(shape: &TreeShape, place: &Place, children: &[Place]) -> Result<(), BlobError> {
    let span = |place: Option<&Place>| place.and_then(|place| place.span.clone());
    let (first, last) = (span(children.first()), span(children.last()));
    let good = match (&place.span, first, last) {
        (
            Some(Span::Rowids { first, last }),
            Some(Span::Rowids {
                first: child_first, ..
            }),
            Some(Span::Rowids {
                last: child_last, ..
            }),
        ) => (*first, *last) == (child_first, child_last),
        (Some(Span::Key(key)), _, Some(Span::Key(child))) => *key == child,
        (Some(Span::Place), _, Some(Span::Place)) => true,
        // The root: only its first rowid is said elsewhere.
        (None, Some(Span::Rowids { first, .. }), _) => place.first_rowid == Some(first),
        (None, _, _) => place.first_rowid.is_none(),
        _ => false,
    };
    if good && children.iter().all(|child| fits(shape, child)) {
        Ok(())
    } else {
        let cause = FormatError::Invalid {
            what: "the bounds of a node",
        };
        Err(misfit(BlobKind::Node, place.id, cause))
    }
}

/// True if a child's span is of the kind that its tree's order asks for.
fn fits(shape: &TreeShape, child: &Place) -> bool {
    matches!(
        (&shape.order, &child.span),
        (
            Order::RowidAlias | Order::RowidHidden,
            Some(Span::Rowids { .. })
        ) | (Order::Key(_), Some(Span::Key(_)))
            | (Order::Place, Some(Span::Place))
    )
}
