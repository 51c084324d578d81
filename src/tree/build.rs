//! Rows in key order become leaves, leaves become nodes, and one root is left.
//!
//! Depends on nothing but the rows: equal rows give the same root from whatever file they came.

use std::io::Read;

use super::large::{self, StoreLargeError};
use super::old_chunks::OldChunks;
use super::parent::ParentWalk;
use super::{Order, Root, TreeShape, first_rowid};
use crate::codec::hash::{SplitDigest, StoreHash};
use crate::format::blob::{BlobError, BlobKind, BlobSink};
use crate::format::bytes::length_u32;
use crate::format::leaf::{self, LeafBuilder};
use crate::format::node::{Child, Node, NodeKey, ROW_WEIGHT, Span, key_canonical};
use crate::model::id::BlobId;
use crate::model::row::RowRef;
use crate::model::value::{LongClass, Spilled};

use super::split::{self, LeafWeights};

/// A level of nodes being filled.
#[derive(Debug, Default)]
struct Level {
    children: Vec<Child>,
    /// Split digest of the last row below the last child.
    digest: SplitDigest,
}

/// A leaf that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafEnd {
    /// The leaf.
    pub leaf: Child,
    /// The split digest of its last row.
    pub digest: SplitDigest,
}

/// Builds one tree.
#[derive(Debug)]
pub struct TreeBuilder<'a> {
    shape: &'a TreeShape,
    hash: StoreHash,
    weights: LeafWeights,
    leaf: LeafBuilder,
    leaf_weight: u64,
    /// Last row's rowid, and its key in canonical form.
    last_rowid: i64,
    last_key: Vec<u8>,
    last_digest: SplitDigest,
    /// `levels[0]` holds leaves.
    levels: Vec<Level>,
    canonical: Vec<u8>,
    split_input: Vec<u8>,
    parent: Option<ParentWalk<'a>>,
}

impl<'a> TreeBuilder<'a> {
    /// A builder of trees of this shape.
    pub fn new(shape: &'a TreeShape, hash: StoreHash) -> Self {
        Self::with_weights(shape, hash, LeafWeights::FORMAT)
    }

    /// A builder of trees that no store may hold, unless the weights are those of the format.
    pub fn with_weights(shape: &'a TreeShape, hash: StoreHash, weights: LeafWeights) -> Self {
        Self {
            shape,
            hash,
            weights,
            leaf: LeafBuilder::new(shape.columns),
            leaf_weight: 0,
            last_rowid: 0,
            last_key: Vec::new(),
            last_digest: [0; 32],
            levels: Vec::new(),
            canonical: Vec::new(),
            split_input: Vec::new(),
            parent: None,
        }
    }

    /// Walks the parent's tree of the same table beside: what it has too is not put again, and what
    /// replaces something is offered as a delta. The tree that is built is the same without it.
    #[must_use]
    pub fn beside(mut self, parent: ParentWalk<'a>) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Stores the bytes of a large value of the next row, beside what the parent has in its place;
    /// returns the reference that stands in the row.
    pub fn store_large(
        &mut self,
        class: LongClass,
        rowid: Option<i64>,
        column: usize,
        content: &mut dyn Read,
        sink: &mut dyn BlobSink,
    ) -> Result<Spilled, StoreLargeError> {
        let mut old = None;
        if let (Some(parent), Some(rowid)) = (&mut self.parent, rowid) {
            let value = parent.large_value(rowid, column)?;
            old = value.map(|value| OldChunks::new(parent.source(), &value));
        }
        let in_key = match &self.shape.order {
            Order::Key(parts) => parts.iter().any(|part| part.at == column),
            _ => false,
        };
        sink.will_read_chunks(in_key);
        let stored = large::store_beside(class, content, self.hash, old, sink);
        sink.will_read_chunks(false);
        stored
    }

    /// Appends the next row in the tree's order. Returns the leaf that ends with it, if one does.
    ///
    /// `row.rowid` is set if and only if the shape has rowids. Values over 16 KiB come spilled.
    pub fn push(
        &mut self,
        row: RowRef<'_>,
        sink: &mut dyn BlobSink,
    ) -> Result<Option<LeafEnd>, BlobError> {
        debug_assert_eq!(row.rowid.is_some(), self.shape.has_rowids());
        let weight = ROW_WEIGHT
            + row
                .values
                .iter()
                .map(|value| leaf::weight(*value))
                .sum::<u64>();
        self.leaf.push(row);
        self.leaf_weight += weight;
        self.last_rowid = row.rowid.unwrap_or(0);
        match &self.shape.order {
            Order::RowidAlias => {
                self.last_digest = self.hash.split_digest(&self.last_rowid.to_le_bytes());
            }
            Order::Key(_) => {
                key_canonical(self.shape.key_values(row), &mut self.last_key);
                self.last_digest = self.hash.split_digest(&self.last_key);
            }
            Order::RowidHidden | Order::Place => {
                key_canonical(row.values.iter().copied(), &mut self.split_input);
                self.last_digest = self.hash.split_digest(&self.split_input);
            }
        }
        let rows = self.leaf.rows();
        if self
            .weights
            .leaf_ends(&self.last_digest, weight, self.leaf_weight, rows)
        {
            return self.close_leaf(sink).map(Some);
        }
        Ok(None)
    }

    /// Ends the leaf that is open, if one is: no row follows.
    pub fn end_leaf(&mut self, sink: &mut dyn BlobSink) -> Result<Option<LeafEnd>, BlobError> {
        if self.leaf.rows() == 0 {
            return Ok(None);
        }
        self.close_leaf(sink).map(Some)
    }

    /// Appends a leaf whose rows come next, unread: one that a tree of the same rows had, and of which a usable copy
    /// is known. Between leaves only.
    pub fn push_leaf(&mut self, end: &LeafEnd, sink: &mut dyn BlobSink) -> Result<(), BlobError> {
        debug_assert_eq!(self.leaf.rows(), 0);
        if let Some(parent) = &mut self.parent {
            parent.pass_leaf(&end.leaf)?;
        }
        self.add_child(0, end.leaf.clone(), end.digest, sink)
    }

    fn close_leaf(&mut self, sink: &mut dyn BlobSink) -> Result<LeafEnd, BlobError> {
        let span = match (&self.shape.order, self.leaf.first_rowid()) {
            (Order::Key(_), _) => Span::Key(NodeKey::new(self.hash, &self.last_key)),
            (_, Some(first)) => Span::Rowids {
                first,
                last: self.last_rowid,
            },
            _ => Span::Place,
        };
        let (rows, has_refs) = (u64::from(self.leaf.rows()), self.leaf.has_refs());
        self.canonical.clear();
        self.leaf.finish(&mut self.canonical);
        self.leaf_weight = 0;
        let bytes = self.canonical.len() as u64;
        let mut leaf = Child {
            id: BlobId([0; 32]),
            rows,
            bytes,
            has_refs,
            span,
        };
        leaf.id = match &mut self.parent {
            None => sink.put(BlobKind::Leaf, &self.canonical)?,
            Some(parent) => {
                leaf.id = self.hash.blob_id(BlobKind::Leaf as u8, &self.canonical);
                parent.put_leaf(&leaf, self.shape, self.hash, &self.canonical, sink)?
            }
        };
        let end = LeafEnd {
            leaf,
            digest: self.last_digest,
        };
        self.add_child(0, end.leaf.clone(), end.digest, sink)?;
        Ok(end)
    }

    fn add_child(
        &mut self,
        below: usize,
        child: Child,
        digest: SplitDigest,
        sink: &mut dyn BlobSink,
    ) -> Result<(), BlobError> {
        if self.levels.len() == below {
            self.levels.push(Level::default());
        }
        let level = &mut self.levels[below];
        level.children.push(child);
        level.digest = digest;
        // Levels are far fewer than 255: every node has at least 16 children but the last.
        let height = u8::try_from(below + 1).unwrap_or(u8::MAX);
        if split::node_ends(self.hash, height, &digest, length_u32(level.children.len())) {
            self.close_node(below, sink)?;
        }
        Ok(())
    }

    fn close_node(&mut self, below: usize, sink: &mut dyn BlobSink) -> Result<(), BlobError> {
        let level = &mut self.levels[below];
        let node = Node {
            level: u8::try_from(below + 1).unwrap_or(u8::MAX),
            children: std::mem::take(&mut level.children),
        };
        let digest = level.digest;
        let canonical = node.encode();
        let id = self.hash.blob_id(BlobKind::Node as u8, &canonical);
        let Some(summary) = summary(id, &node) else {
            return Ok(());
        };
        match &mut self.parent {
            None => sink.put(BlobKind::Node, &canonical)?,
            Some(parent) => parent.put_node(&summary, &node, &canonical, sink)?,
        };
        self.add_child(below + 1, summary, digest, sink)
    }

    /// Closes what is open. Returns the root, `None` for a tree without rows.
    pub fn finish(mut self, sink: &mut dyn BlobSink) -> Result<Option<Root>, BlobError> {
        self.end_leaf(sink)?;
        let mut below = 0;
        while below < self.levels.len() {
            let is_top = below + 1 == self.levels.len();
            if is_top && let [only] = &self.levels[below].children[..] {
                return Ok(Some(root_of(only, below)));
            }
            if !self.levels[below].children.is_empty() {
                self.close_node(below, sink)?;
            }
            below += 1;
        }
        Ok(None)
    }
}

fn root_of(child: &Child, level: usize) -> Root {
    Root {
        id: child.id,
        level: u8::try_from(level).unwrap_or(u8::MAX),
        rows: child.rows,
        bytes: child.bytes,
        has_refs: child.has_refs,
        first_rowid: first_rowid(&child.span),
    }
}

/// What a parent says of a node; `None` for a node without children, which is never made.
fn summary(id: BlobId, node: &Node) -> Option<Child> {
    let (first, last) = (node.children.first()?, node.children.last()?);
    let span = match (&first.span, &last.span) {
        (Span::Rowids { first, .. }, Span::Rowids { last, .. }) => Span::Rowids {
            first: *first,
            last: *last,
        },
        (_, span) => span.clone(),
    };
    Some(Child {
        id,
        rows: node.children.iter().map(|child| child.rows).sum(),
        bytes: node.children.iter().map(|child| child.bytes).sum(),
        has_refs: node.children.iter().any(|child| child.has_refs),
        span,
    })
}
