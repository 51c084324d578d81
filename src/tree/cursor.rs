//! Reading a tree in order, leaf by leaf. Memory: one leaf and one open node a level.

use super::holes::Holes;
use super::{Root, TreeShape, first_rowid, kind_at, misfit};
use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobKind, BlobSource};
use crate::format::leaf::Leaf;
use crate::format::node::{Child, Node, Span};
use crate::model::id::BlobId;
use crate::model::row::RowRef;
use crate::model::value::ValueRef;

/// A place in a tree: a blob with what is said of it above.
#[derive(Debug, Clone)]
pub struct Place {
    /// 0 for a leaf.
    pub level: u8,
    /// The leaf or node.
    pub id: BlobId,
    /// Rows below it.
    pub rows: u64,
    /// Canonical bytes of the leaves below it.
    pub bytes: u64,
    /// True if a leaf below it holds a spilled value.
    pub has_refs: bool,
    /// Rowid of its first row.
    pub first_rowid: Option<i64>,
    /// Where it lies; `None` for the root.
    pub span: Option<Span>,
}

impl Place {
    /// Where a tree begins.
    pub fn root(root: &Root) -> Self {
        Self {
            level: root.level,
            id: root.id,
            rows: root.rows,
            bytes: root.bytes,
            has_refs: root.has_refs,
            first_rowid: root.first_rowid,
            span: None,
        }
    }

    /// A child of a node, on the child's own level.
    pub(super) fn child(level: u8, child: Child) -> Self {
        Self {
            level,
            id: child.id,
            rows: child.rows,
            bytes: child.bytes,
            has_refs: child.has_refs,
            first_rowid: first_rowid(&child.span),
            span: Some(child.span),
        }
    }

    /// Kind of the blob.
    pub fn kind(&self) -> BlobKind {
        kind_at(self.level)
    }

    /// Reads a node and gives its children, in order. Their level is one less, and what the node
    /// says of them adds up to what is said of it.
    pub fn children(&self, source: &dyn BlobSource) -> Result<Vec<Place>, BlobError> {
        self.children_in(&source.get(BlobKind::Node, &self.id)?)
    }

    /// The same, of a node that was read: `canonical` is its blob.
    pub fn children_in(&self, canonical: &[u8]) -> Result<Vec<Place>, BlobError> {
        let wrong = |cause| misfit(BlobKind::Node, self.id, cause);
        let node = Node::decode(canonical).map_err(wrong)?;
        let sum = |of: fn(&Child) -> u64| {
            node.children
                .iter()
                .try_fold(0_u64, |sum, child| sum.checked_add(of(child)))
        };
        let counts = (sum(|child| child.rows), sum(|child| child.bytes));
        let has_refs = node.children.iter().any(|child| child.has_refs);
        if node.level != self.level
            || counts != (Some(self.rows), Some(self.bytes))
            || has_refs != self.has_refs
        {
            return Err(wrong(FormatError::Invalid {
                what: "the level or counts of a node",
            }));
        }
        Ok(node
            .children
            .into_iter()
            .map(|child| Place::child(self.level - 1, child))
            .collect())
    }

    /// Reads a leaf of this shape.
    pub fn leaf(&self, shape: &TreeShape, source: &dyn BlobSource) -> Result<Leaf, BlobError> {
        let wrong = |cause| misfit(BlobKind::Leaf, self.id, cause);
        let leaf = Leaf::parse(source.get(BlobKind::Leaf, &self.id)?).map_err(wrong)?;
        let invalid = |what| Err(wrong(FormatError::Invalid { what }));
        if leaf.columns() != shape.columns || leaf.has_rowids() != shape.has_rowids() {
            return invalid("the columns of a leaf");
        }
        if leaf.rows() as u64 != self.rows || leaf.canonical().len() as u64 != self.bytes {
            return invalid("the counts of a leaf");
        }
        let last = leaf.rowid(leaf.rows() - 1, self.first_rowid);
        if leaf.has_rowids() != last.is_some() || leaf.has_rowids() != self.first_rowid.is_some() {
            return invalid("the rowids of a leaf");
        }
        Ok(leaf)
    }
}

/// A leaf where it lies in its tree.
#[derive(Debug, Clone)]
pub struct PlacedLeaf {
    /// Its blob.
    pub place: Place,
    /// Its rows.
    pub leaf: Leaf,
}

impl PlacedLeaf {
    /// Calls `row` for every row, in order.
    pub fn for_each<E>(&self, mut row: impl FnMut(RowRef<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut values = Vec::with_capacity(self.leaf.columns());
        for at in 0..self.leaf.rows() {
            self.leaf.row_values(at, &mut values);
            row(RowRef {
                rowid: self.rowid(at),
                values: &values,
            })?;
        }
        Ok(())
    }

    /// The rowid of a row.
    pub fn rowid(&self, row: usize) -> Option<i64> {
        self.leaf.rowid(row, self.place.first_rowid)
    }

    /// Fills `values` with a row's values and gives its rowid.
    pub fn row<'a>(&'a self, row: usize, values: &mut Vec<ValueRef<'a>>) -> Option<i64> {
        self.leaf.row_values(row, values);
        self.rowid(row)
    }
}

/// The rowid of a tree's last row; `None` in trees without rowids. Reads one node a level.
pub fn last_rowid(source: &dyn BlobSource, root: &Root) -> Result<Option<i64>, BlobError> {
    let mut place = Place::root(root);
    loop {
        if let Some(Span::Rowids { last, .. }) = &place.span {
            return Ok(Some(*last));
        }
        if place.level == 0 {
            let leaf = source.get(BlobKind::Leaf, &place.id)?;
            let wrong = |cause| misfit(BlobKind::Leaf, place.id, cause);
            let leaf = Leaf::parse(leaf).map_err(wrong)?;
            let last = leaf.rows().checked_sub(1);
            return Ok(last.and_then(|last| leaf.rowid(last, place.first_rowid)));
        }
        match place.children(source)?.pop() {
            Some(last) => place = last,
            None => return Ok(None),
        }
    }
}

/// Goes through a tree's leaves in order.
pub struct Cursor<'a> {
    source: &'a dyn BlobSource,
    shape: &'a TreeShape,
    /// What is still to be visited, the next one last.
    open: Vec<Place>,
}

impl std::fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl<'a> Cursor<'a> {
    /// Begins at the first leaf; `root` is `None` for a tree without rows.
    pub fn new(source: &'a dyn BlobSource, shape: &'a TreeShape, root: Option<&Root>) -> Self {
        Self {
            source,
            shape,
            open: root.map(Place::root).into_iter().collect(),
        }
    }

    /// The next place, a leaf or a node, without reading it.
    pub fn peek(&self) -> Option<&Place> {
        self.open.last()
    }

    /// Passes over the next place and all below it.
    pub fn skip(&mut self) {
        self.open.pop();
    }

    /// Replaces the next place, a node, by its children.
    pub fn descend(&mut self) -> Result<(), BlobError> {
        if let Some(place) = self.open.pop() {
            self.open
                .extend(place.children(self.source)?.into_iter().rev());
        }
        Ok(())
    }

    /// The same, on the way through all of them: leaves may be read ahead.
    fn descend_to_read(&mut self) -> Result<(), BlobError> {
        let above = self.open.len().saturating_sub(1);
        self.descend()?;
        let below = self.open[above..].iter().rev();
        let leaves: Vec<BlobId> = below.filter(|p| p.level == 0).map(|p| p.id).collect();
        if !leaves.is_empty() {
            self.source.soon(BlobKind::Leaf, &leaves);
        }
        Ok(())
    }

    /// The next leaf; `None` at the end.
    pub fn next_leaf(&mut self) -> Result<Option<PlacedLeaf>, BlobError> {
        while self.open.last().is_some_and(|place| place.level > 0) {
            self.descend()?;
        }
        let Some(place) = self.open.pop() else {
            return Ok(None);
        };
        let leaf = place.leaf(self.shape, self.source)?;
        Ok(Some(PlacedLeaf { place, leaf }))
    }

    /// As [`Cursor::for_each`], with each row's ordinal, of a cursor that has not begun yet. What lies in
    /// `holes` is passed over, unread where it can be.
    pub fn for_each_outside<E: From<BlobError>>(
        &mut self,
        holes: &Holes,
        mut row: impl FnMut(u64, RowRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut first = 0_u64;
        while let Some(place) = self.peek() {
            let rows = place.rows;
            if holes.cover(first, rows) {
                self.skip();
            } else if place.level > 0 {
                self.descend_to_read()?;
                continue;
            } else if let Some(leaf) = self.next_leaf()? {
                let mut ordinal = first;
                leaf.for_each(|values| {
                    let at = ordinal;
                    ordinal = ordinal.saturating_add(1);
                    match holes.cover(at, 1) {
                        true => Ok(()),
                        false => row(at, values),
                    }
                })?;
            }
            first = first.saturating_add(rows);
        }
        Ok(())
    }

    /// Calls `row` for every row that is left, in order.
    pub fn for_each<E: From<BlobError>>(
        &mut self,
        mut row: impl FnMut(RowRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(place) = self.peek() {
            if place.level > 0 {
                self.descend_to_read()?;
            } else if let Some(leaf) = self.next_leaf()? {
                leaf.for_each(&mut row)?;
            }
        }
        Ok(())
    }
}
