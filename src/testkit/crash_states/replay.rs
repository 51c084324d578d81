//! A record gone through operation by operation: what is there at each point of it, what of that is durable,
//! and what is not yet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::NodeNumber;
use super::image::{Bytes, Change, Node, ROOT, Tree};
use super::record::Operation;
use crate::vfs::folder_of;

/// What can be reached no more is dropped after so many operations.
const COLLECT_EACH: usize = 256;

/// A record, operation by operation.
#[derive(Debug)]
pub struct Replay {
    operations: std::vec::IntoIter<Operation>,
    position: usize,
    folders: usize,
    live: Tree,
    pub(super) durable: Tree,
    pub(super) pending: Vec<Change>,
    aside: Aside,
    /// The last operation changed what may be there, outside the folder that is left aside.
    is_of_note: bool,
}

/// A folder in which nobody looks for anything.
#[derive(Debug, Default)]
struct Aside {
    path: Option<PathBuf>,
    node: Option<NodeNumber>,
    /// Files that have, or had, a name in another folder.
    named_elsewhere: BTreeSet<NodeNumber>,
}

impl Aside {
    fn holds(&self, change: &Change) -> bool {
        match change {
            Change::Comes(folder, ..) | Change::Goes(folder, _) => self.node == Some(*folder),
            Change::Bytes(file, ..) => self.path.is_some() && !self.named_elsewhere.contains(file),
        }
    }
}

impl Replay {
    pub(super) fn new(operations: Vec<Operation>) -> Self {
        Self {
            operations: operations.into_iter(),
            position: 0,
            folders: 0,
            live: Tree::new(),
            durable: Tree::new(),
            pending: Vec::new(),
            aside: Aside::default(),
            is_of_note: false,
        }
    }

    /// States that differ only in what lies in this folder are made apart from the others.
    #[must_use]
    pub fn leaving_aside(mut self, folder: &Path) -> Self {
        self.aside.path = Some(folder.to_owned());
        self
    }

    /// How many operations were done.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether the last operation changed what may be there outside the folder that is left aside.
    pub fn is_of_note(&self) -> bool {
        self.is_of_note
    }

    /// Changes that are not durable, by number: outside the folder that is left aside, or in it.
    pub(super) fn changes(&self, aside: bool) -> Vec<usize> {
        let held = |n: &usize| self.aside.holds(&self.pending[*n]) == aside;
        (0..self.pending.len()).filter(held).collect()
    }

    /// Does the next operation. `false`: there is none.
    pub fn step(&mut self) -> bool {
        let Some(operation) = self.operations.next() else {
            return false;
        };
        self.position += 1;
        self.is_of_note = false;
        if self.position.is_multiple_of(COLLECT_EACH) {
            self.collect();
        }
        match operation {
            Operation::CreateFile(path, node) => {
                self.make(&path, node, Node::File(Arc::default()));
            }
            Operation::CreateFolder(path) => {
                self.folders += 1;
                let node = Node::Folder(Arc::default());
                if self.aside.path.as_ref() == Some(&path) {
                    self.aside.node = Some(self.folders * 2);
                }
                self.make(&path, self.folders * 2, node);
            }
            Operation::Write(node, bytes) => {
                let at = self.live.bytes_of(node);
                self.change(Change::Bytes(node, at, bytes));
            }
            Operation::Sync(node) => self.settle_bytes(node),
            Operation::SyncPath(path) => self.settle_bytes(self.live.find(&path)),
            Operation::SyncFolder(path) => self.settle_names(self.live.find(&path)),
            Operation::Move(from, to) => {
                let node = self.live.find(&from);
                self.name(&to, Some(node));
                self.name(&from, None);
            }
            Operation::Unlink(path) => self.name(&path, None),
            Operation::Damage(path, bytes) => self.damage(&path, bytes.as_deref()),
            Operation::Ignored => {}
        }
        true
    }

    fn make(&mut self, path: &Path, number: NodeNumber, node: Node) {
        self.live.nodes.insert(number, node.clone());
        self.durable.nodes.insert(number, node);
        self.name(path, Some(number));
    }

    fn name(&mut self, path: &Path, node: Option<NodeNumber>) {
        let folder = self.live.find(folder_of(path));
        let name = path.file_name().unwrap_or_default().to_owned();
        self.change(match node {
            Some(node) => Change::Comes(folder, name, node),
            None => Change::Goes(folder, name),
        });
    }

    fn change(&mut self, change: Change) {
        let aside = self.aside.holds(&change);
        if let (Change::Comes(_, _, node), false) = (&change, aside) {
            self.aside.named_elsewhere.insert(*node);
        }
        self.is_of_note |= !aside;
        self.live.apply(&change);
        self.pending.push(change);
    }

    /// What is damaged was durable, and so is its damage.
    fn damage(&mut self, path: &Path, bytes: Option<&[u8]>) {
        self.is_of_note = true;
        let node = self.live.find(path);
        self.settle_bytes(node);
        self.settle_names(self.live.find(folder_of(path)));
        if let Some(bytes) = bytes {
            let file = Node::File(Arc::new(Bytes::of(bytes)));
            self.live.nodes.insert(node, file.clone());
            self.durable.nodes.insert(node, file);
        } else {
            self.name(path, None);
            self.settle_names(self.live.find(folder_of(path)));
        }
    }

    fn settle_bytes(&mut self, file: NodeNumber) {
        self.settle(|change| matches!(change, Change::Bytes(node, ..) if *node == file));
    }

    fn settle_names(&mut self, folder: NodeNumber) {
        self.settle(|change| match change {
            Change::Comes(node, ..) | Change::Goes(node, _) => *node == folder,
            Change::Bytes(..) => false,
        });
    }

    /// What is durable now never meets what is not: it is about other files, or other folders.
    fn settle(&mut self, is_durable: impl Fn(&Change) -> bool) {
        let pending = std::mem::take(&mut self.pending);
        for change in pending {
            if is_durable(&change) {
                self.is_of_note |= !self.aside.holds(&change);
                self.durable.apply(&change);
            } else {
                self.pending.push(change);
            }
        }
    }

    /// Drops what has no name any more, and will have none: states are copies of all that is kept.
    fn collect(&mut self) {
        let mut kept = self.live.reachable();
        kept.extend(self.durable.reachable());
        for change in &self.pending {
            match change {
                Change::Bytes(node, ..) | Change::Goes(node, _) => kept.extend([*node]),
                Change::Comes(folder, _, node) => kept.extend([*folder, *node]),
            }
        }
        kept.insert(ROOT);
        let keep = |nodes: &mut BTreeMap<NodeNumber, Node>| nodes.retain(|n, _| kept.contains(n));
        keep(&mut self.live.nodes);
        keep(&mut self.durable.nodes);
    }
}
