//! The parent snapshot's tree, walked beside the tree that is being built: which leaf or node was
//! there before, so that the new one need not be stored, or only as what differs.
//!
//! Correctness never depends on it: a bad guess costs bytes. Damage in the parent ends the walk.
//! Memory: the places of one open node a level, and of those a few leaves ahead.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::align::align;
use super::attempts::Attempts;
use super::cursor::{Place, PlacedLeaf};
use super::{Order, Root, TreeShape, compare_keys, key_of};
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource, Patch};
use crate::format::delta;
use crate::format::leaf::Leaf;
use crate::format::node::{Child, Node, Span};
use crate::model::id::BlobId;
use crate::model::value::{Spilled, ValueRef};

/// How many places ahead an equal one is looked for.
const AHEAD: usize = 64;

/// What the parent's tree has where a new leaf or node stands.
#[derive(Debug)]
enum Found {
    /// The same blob.
    Same,
    /// Others, in order, which may serve as bases.
    Bases(Vec<Place>),
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
    last: Option<PlacedLeaf>,
    /// `None`: a delta is tried for each leaf.
    attempts: Option<Attempts>,
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
            last: None,
            attempts: None,
        }
    }

    /// The parent is of another database, which may have nothing in common with this one: after some leaves of which
    /// nothing was there, few are tried, until one is.
    #[must_use]
    pub fn of_another_source(mut self) -> Self {
        self.attempts = Some(Attempts::default());
        self
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
        let counts_rows = !matches!(self.shape.order, Order::RowidAlias | Order::Key(_));
        let mut at = 0;
        // How far the new one reaches: to the first place that ends where it ends, or behind.
        let mut end = None;
        while at < AHEAD && self.fill(level, at)? {
            let place = &self.levels[level].places[at];
            if place.id == new.id {
                self.levels[level].drop_front(at + 1);
                return Ok(Found::Same);
            }
            if end.is_none() {
                end = self.end(place.span.as_ref(), span).map(|order| (at, order));
            }
            // What is equal beyond the end stands for another, unless rowids were renumbered.
            if end.is_some() && !counts_rows {
                break;
            }
            at += 1;
        }
        if !self.fill(level, 0)? {
            return Ok(Found::Nothing);
        }
        let reach = match end {
            Some((at, _)) => at + 1,
            None => 1,
        };
        let this = &mut self.levels[level];
        let bases: Vec<Place> = this
            .places
            .range(..reach)
            .filter(|place| !begins_behind(place, span))
            .cloned()
            .collect();
        if let Some((at, Ordering::Equal)) = end {
            this.drop_front(at + 1);
        } else if counts_rows {
            // Rowids may have been renumbered: rows are counted off.
            this.unmatched += new.rows;
            let front = this.places.front().map_or(0, |place| place.rows);
            if this.unmatched >= front - front / 8 {
                this.drop_front(1);
            }
        }
        Ok(if bases.is_empty() {
            Found::Nothing
        } else {
            Found::Bases(bases)
        })
    }

    /// Compares where a place ends with where a new one does; `None` if it ends before, or if that
    /// cannot be said.
    fn end(&self, place: Option<&Span>, new: &Span) -> Option<Ordering> {
        let order = match (place?, new) {
            (Span::Rowids { last: a, .. }, Span::Rowids { last: b, .. }) => a.cmp(b),
            (Span::Key(a), Span::Key(b)) if a == b => Ordering::Equal,
            (Span::Key(a), Span::Key(b)) => compare_keys(&self.shape, &key_of(a)?, &key_of(b)?)?,
            _ => return None,
        };
        (order != Ordering::Less).then_some(order)
    }

    /// The large value that the parent has in a row's column; only rowids tell rows apart here.
    /// Calls go forward, as those for leaves do.
    pub(super) fn large_value(
        &mut self,
        rowid: i64,
        column: usize,
    ) -> Result<Option<Spilled>, BlobError> {
        Ok(readable(self.look_for_large(rowid, column))?.flatten())
    }

    fn look_for_large(&mut self, rowid: i64, column: usize) -> Result<Option<Spilled>, BlobError> {
        let Some(column) = self.columns.get(column).copied().flatten() else {
            return Ok(None);
        };
        let mut at = 0;
        while !self.levels.is_empty() && self.fill(0, at)? {
            let place = self.levels[0].places[at].clone();
            let reaches = match place.span {
                Some(Span::Rowids { last, .. }) => last >= rowid,
                // A leaf that is the root has no span.
                None => true,
                _ => return Ok(None),
            };
            if reaches && place.has_refs {
                let leaf = self.read(&place)?;
                let row = (0..leaf.leaf.rows()).find(|row| leaf.rowid(*row) >= Some(rowid));
                let found = row.filter(|row| leaf.rowid(*row) == Some(rowid));
                let value = found.map(|row| leaf.leaf.value(row, column));
                let large = match value {
                    Some(ValueRef::Spilled(large)) => Some(large),
                    _ => None,
                };
                self.last = Some(leaf);
                return Ok(large);
            }
            if reaches {
                return Ok(None);
            }
            at += 1;
        }
        Ok(None)
    }

    /// A leaf of the parent; the last one that was read may be at hand.
    fn read(&mut self, place: &Place) -> Result<PlacedLeaf, BlobError> {
        let at_hand = self.last.take_if(|last| {
            last.place.id == place.id && last.place.first_rowid == place.first_rowid
        });
        if let Some(leaf) = at_hand {
            return Ok(leaf);
        }
        let leaf = place.leaf(&self.shape, self.source)?;
        let place = place.clone();
        Ok(PlacedLeaf { place, leaf })
    }

    /// Where the parent's blobs are read.
    pub(super) fn source(&self) -> &'a dyn BlobSource {
        self.source
    }

    /// Drops places that end where the last new one of this level ended, or before.
    fn drop_passed(&mut self, level: usize) -> Result<(), BlobError> {
        while self.fill(level, 0)? {
            let this = &self.levels[level];
            let passed = match (
                &this.passed,
                this.places.front().and_then(|p| p.span.as_ref()),
            ) {
                (Some(passed), Some(span)) => self.end(Some(passed), span).is_some(),
                _ => false,
            };
            if !passed {
                break;
            }
            self.levels[level].drop_front(1);
        }
        Ok(())
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
            Found::Bases(mut places) => {
                places.truncate(delta::DELTA_BASES_MAX);
                if self.attempts.as_mut().is_some_and(Attempts::passes_over) {
                    return sink.put(BlobKind::Leaf, canonical);
                }
                let bases: Vec<BlobId> = places.iter().map(|place| place.id).collect();
                let replaced = sink.replace(BlobKind::Leaf, canonical, &bases, &mut || {
                    self.leaf_patch(&places, leaf, shape, hash, canonical)
                })?;
                if let Some(attempts) = &mut self.attempts {
                    attempts.made(replaced.as_delta);
                }
                Ok(replaced.id)
            }
        }
    }

    /// Passes by what the parent has in place of a leaf that need not be put.
    pub(super) fn pass_leaf(&mut self, leaf: &Child) -> Result<(), BlobError> {
        self.find(0, leaf).map(drop)
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
            Found::Bases(places) => {
                // One of them: the largest.
                let largest = places.iter().max_by_key(|place| place.rows);
                let base = largest.map_or(summary.id, |place| place.id);
                let replaced = sink.replace(BlobKind::Node, canonical, &[base], &mut || {
                    self.node_patch(&base, node)
                })?;
                Ok(replaced.id)
            }
        }
    }

    /// A leaf as a delta on those that were there; `None` if they have nothing in common.
    fn leaf_patch(
        &mut self,
        places: &[Place],
        new: &Child,
        shape: &TreeShape,
        hash: StoreHash,
        canonical: &[u8],
    ) -> Result<Option<Patch>, BlobError> {
        let mut bases = Vec::new();
        for place in places {
            match readable(self.read(place))? {
                Some(base) => bases.push(base),
                None => return Ok(None),
            }
        }
        let Ok(leaf) = Leaf::parse(canonical.to_vec()) else {
            return Ok(None);
        };
        let new = PlacedLeaf {
            place: Place::child(0, new.clone()),
            leaf,
        };
        let kept = align(&self.shape, &bases, shape, &new, &self.columns, hash);
        let leaves: Vec<&Leaf> = bases.iter().map(|base| &base.leaf).collect();
        let delta = (!kept.is_empty())
            .then(|| delta::encode_leaf(&leaves, &new.leaf, &kept, &self.columns));
        let patch = delta.map(|delta| Patch {
            bases: leaves
                .iter()
                .map(|leaf| leaf.canonical().to_vec())
                .collect(),
            delta,
        });
        self.last = bases.pop();
        Ok(patch)
    }

    /// A node as a delta on the one that was there.
    fn node_patch(&self, id: &BlobId, node: &Node) -> Result<Option<Patch>, BlobError> {
        let Some(base) = readable(self.source.get(BlobKind::Node, id))? else {
            return Ok(None);
        };
        let old = Node::decode(&base).ok();
        let delta = old.and_then(|old| delta::encode_node(&old, node));
        Ok(delta.map(|delta| Patch {
            bases: vec![base],
            delta,
        }))
    }
}

/// Damage in the parent must not stop a backup: what it hits is no base.
pub(super) fn readable<T>(read: Result<T, BlobError>) -> Result<Option<T>, BlobError> {
    match read {
        Err(error) if error.why != BlobErrorKind::Unavailable => Ok(None),
        read => read.map(Some),
    }
}

/// True if the place begins where the span has ended already.
fn begins_behind(place: &Place, span: &Span) -> bool {
    match (&place.span, span) {
        (Some(Span::Rowids { first, .. }), Span::Rowids { last, .. }) => first > last,
        _ => false,
    }
}
