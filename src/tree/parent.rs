//! The parent snapshot's tree, walked beside the tree that is being built: which leaf or node was
//! there before, so that the new one need not be stored, or only as what differs.
//!
//! Correctness never depends on it: a bad guess costs bytes. Damage in the parent ends the walk.
//! Memory: the places of one open node a level, and of those a few leaves ahead.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::align::align;
use super::cursor::{Place, PlacedLeaf};
use super::{Order, Root, TreeShape, compare_keys, key_of};
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource, Patch};
use crate::format::delta;
use crate::format::leaf::Leaf;
use crate::format::node::{Child, Node, Span};
use crate::model::id::BlobId;

/// How many places ahead an equal one is looked for.
const AHEAD: usize = 64;

/// What the parent's tree has where a new leaf or node stands.
#[derive(Debug)]
enum Found {
    /// The same blob.
    Same,
    /// Another one, which may serve as base.
    Base(Place),
    /// Nothing.
    Nothing,
}

/// The places of one level that the new tree has not passed yet.
#[derive(Debug, Default)]
struct Level {
    places: VecDeque<Place>,
    /// So many of them, from the front, have their children in the level below already.
    opened: usize,
    /// Where the last new leaf or node of this level ended.
    passed: Option<Span>,
    /// Rows of new leaves that the first place may have stood for.
    unmatched: u64,
}

impl Level {
    fn drop_front(&mut self, count: usize) {
        self.unmatched = 0;
        self.places.drain(..count);
        self.opened = self.opened.saturating_sub(count);
    }
}

/// The walk through one tree of the parent.
pub struct ParentWalk<'a> {
    source: &'a dyn BlobSource,
    shape: TreeShape,
    columns: Vec<Option<usize>>,
    /// `levels[0]` holds leaves.
    levels: Vec<Level>,
    /// The last base that was read: where a leaf was split, it serves both.
    base: Option<PlacedLeaf>,
}

impl std::fmt::Debug for ParentWalk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParentWalk")
            .field("levels", &self.levels)
            .finish_non_exhaustive()
    }
}

impl<'a> ParentWalk<'a> {
    /// Begins at the root of the parent's tree. `columns` says for each leaf column of the new
    /// tree which one of the parent's it was.
    pub fn new(
        source: &'a dyn BlobSource,
        shape: TreeShape,
        root: Option<&Root>,
        columns: Vec<Option<usize>>,
    ) -> Self {
        let mut levels: Vec<Level> = Vec::new();
        if let Some(root) = root {
            levels.resize_with(usize::from(root.level) + 1, Level::default);
            if let Some(top) = levels.last_mut() {
                top.places.push_back(Place::root(root));
            }
        }
        Self {
            source,
            shape,
            columns,
            levels,
            base: None,
        }
    }

    /// What the parent has in place of a new blob of this level. Calls go forward in each level.
    fn find(&mut self, level: usize, new: &Child) -> Result<Found, BlobError> {
        match self.look(level, new) {
            Err(error) if error.why != BlobErrorKind::Unavailable => {
                self.levels.clear();
                Ok(Found::Nothing)
            }
            found => found,
        }
    }

    fn look(&mut self, level: usize, new: &Child) -> Result<Found, BlobError> {
        let span = &new.span;
        if level >= self.levels.len() {
            return Ok(Found::Nothing);
        }
        self.drop_passed(level)?;
        self.levels[level].passed = Some(span.clone());
        let mut at = 0;
        let mut end = None;
        while at < AHEAD && self.fill(level, at)? {
            let place = &self.levels[level].places[at];
            if place.id == new.id {
                self.levels[level].drop_front(at + 1);
                return Ok(Found::Same);
            }
            if end.is_none() && ends_alike(place.span.as_ref(), span) {
                end = Some(at);
                // An equal one beyond the end of this one stands for another.
                break;
            }
            at += 1;
        }
        let candidates = end.unwrap_or(0);
        if !self.fill(level, candidates)? {
            return Ok(Found::Nothing);
        }
        let this = &mut self.levels[level];
        let places = this.places.range(..=candidates);
        let best = places.max_by_key(|place| place.rows).cloned();
        if let Some(end) = end {
            this.drop_front(end + 1);
        } else if !matches!(self.shape.order, Order::RowidAlias | Order::Key(_)) {
            // Rowids may have been renumbered: rows are counted off.
            this.unmatched += new.rows;
            let front = this.places.front().map_or(0, |place| place.rows);
            if this.unmatched >= front - front / 8 {
                this.drop_front(1);
            }
        }
        Ok(best
            .filter(|place| !begins_behind(place, span))
            .map_or(Found::Nothing, Found::Base))
    }

    /// Drops places that end where the last new one of this level ended, or before.
    fn drop_passed(&mut self, level: usize) -> Result<(), BlobError> {
        while self.fill(level, 0)? {
            let this = &self.levels[level];
            let passed = match (
                &this.passed,
                this.places.front().and_then(|p| p.span.as_ref()),
            ) {
                (Some(passed), Some(span)) => self.is_passed(span, passed),
                _ => false,
            };
            if !passed {
                break;
            }
            self.levels[level].drop_front(1);
        }
        Ok(())
    }

    fn is_passed(&self, span: &Span, passed: &Span) -> bool {
        match (span, passed) {
            (Span::Rowids { last, .. }, Span::Rowids { last: passed, .. }) => last <= passed,
            (Span::Key(key), Span::Key(passed)) => {
                let Order::Key(parts) = &self.shape.order else {
                    return false;
                };
                let (Some(key), Some(passed)) = (key_of(key), key_of(passed)) else {
                    return false;
                };
                compare_keys(parts, &key, &passed).is_some_and(|order| order != Ordering::Greater)
            }
            _ => false,
        }
    }

    /// Makes sure that place `at` of a level is at hand. `false`: the level has no more.
    fn fill(&mut self, level: usize, at: usize) -> Result<bool, BlobError> {
        while self.levels[level].places.len() <= at {
            let above = level + 1;
            if above >= self.levels.len() {
                return Ok(false);
            }
            let next = self.levels[above].opened;
            if !self.fill(above, next)? {
                return Ok(false);
            }
            let children = self.levels[above].places[next].children(self.source)?;
            self.levels[above].opened += 1;
            self.levels[level].places.extend(children);
        }
        Ok(true)
    }

    /// Puts a leaf of the new tree: as the parent's own, as a delta, or as it is.
    pub(super) fn put_leaf(
        &mut self,
        leaf: &Child,
        shape: &TreeShape,
        hash: StoreHash,
        canonical: &[u8],
        sink: &mut dyn BlobSink,
    ) -> Result<BlobId, BlobError> {
        match self.find(0, leaf)? {
            Found::Nothing => sink.put(BlobKind::Leaf, canonical),
            Found::Same => {
                sink.keep(BlobKind::Leaf, &leaf.id, canonical)?;
                Ok(leaf.id)
            }
            Found::Base(place) => sink.replace(BlobKind::Leaf, canonical, &place.id, &mut || {
                self.leaf_patch(&place, leaf, shape, hash, canonical)
            }),
        }
    }

    /// Puts a node of the new tree likewise; `summary` is what its parent will say of it.
    pub(super) fn put_node(
        &mut self,
        summary: &Child,
        node: &Node,
        canonical: &[u8],
        sink: &mut dyn BlobSink,
    ) -> Result<BlobId, BlobError> {
        match self.find(usize::from(node.level), summary)? {
            Found::Nothing => sink.put(BlobKind::Node, canonical),
            Found::Same => {
                sink.keep(BlobKind::Node, &summary.id, canonical)?;
                Ok(summary.id)
            }
            Found::Base(place) => sink.replace(BlobKind::Node, canonical, &place.id, &mut || {
                self.node_patch(&place.id, node)
            }),
        }
    }

    /// A leaf as a delta on the one that was there; `None` if they have nothing in common.
    fn leaf_patch(
        &mut self,
        place: &Place,
        new: &Child,
        shape: &TreeShape,
        hash: StoreHash,
        canonical: &[u8],
    ) -> Result<Option<Patch>, BlobError> {
        let at_hand = |base: &PlacedLeaf| {
            base.place.id == place.id && base.place.first_rowid == place.first_rowid
        };
        if !self.base.as_ref().is_some_and(at_hand) {
            let Some(leaf) = readable(place.leaf(&self.shape, self.source))? else {
                return Ok(None);
            };
            let place = place.clone();
            self.base = Some(PlacedLeaf { place, leaf });
        }
        let (Some(base), Ok(leaf)) = (&self.base, Leaf::parse(canonical.to_vec())) else {
            return Ok(None);
        };
        let new = PlacedLeaf {
            place: Place::child(0, new.clone()),
            leaf,
        };
        let kept = align(&self.shape, base, shape, &new, &self.columns, hash);
        if kept.is_empty() {
            return Ok(None);
        }
        Ok(Some(Patch {
            base: base.leaf.canonical().to_vec(),
            delta: delta::encode_leaf(&base.leaf, &new.leaf, &kept, &self.columns),
        }))
    }

    /// A node as a delta on the one that was there.
    fn node_patch(&self, id: &BlobId, node: &Node) -> Result<Option<Patch>, BlobError> {
        let Some(base) = readable(self.source.get(BlobKind::Node, id))? else {
            return Ok(None);
        };
        let old = Node::decode(&base).ok();
        let delta = old.and_then(|old| delta::encode_node(&old, node));
        Ok(delta.map(|delta| Patch { base, delta }))
    }
}

/// Damage in the parent must not stop a backup: what it hits is no base.
fn readable<T>(read: Result<T, BlobError>) -> Result<Option<T>, BlobError> {
    match read {
        Err(error) if error.why != BlobErrorKind::Unavailable => Ok(None),
        read => read.map(Some),
    }
}

/// True if both end with the same record.
fn ends_alike(a: Option<&Span>, b: &Span) -> bool {
    match (a, b) {
        (Some(Span::Rowids { last: a, .. }), Span::Rowids { last: b, .. }) => a == b,
        (Some(Span::Key(a)), Span::Key(b)) => a == b,
        _ => false,
    }
}

/// True if the place begins where the span has ended already.
fn begins_behind(place: &Place, span: &Span) -> bool {
    match (&place.span, span) {
        (Some(Span::Rowids { first, .. }), Span::Rowids { last, .. }) => first > last,
        _ => false,
    }
}
