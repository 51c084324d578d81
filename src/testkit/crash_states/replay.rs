//! A record gone through operation by operation, and the states that each point of it allows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::NodeNumber;
use super::image::{Change, Image, Node, Tree};
use super::record::Operation;
use crate::vfs::folder_of;

/// A disk writes whole units of so many bytes: sectors, pages.
const TEAR_UNITS: [usize; 2] = [512, 4096];
/// Places where a write is torn that are tried, of each unit.
const TEARS_MAX: usize = 8;
/// Random choices of what was kept, at each point.
const RANDOM_SUBSETS: usize = 16;

/// A state that a power cut may leave.
#[derive(Debug, Clone)]
pub struct CrashState {
    /// How it came to be.
    pub how: String,
    /// What is there.
    pub image: Image,
}

/// What becomes of one change that is not durable.
enum Fate {
    Kept,
    Lost,
    /// These bytes were written in place of its own.
    Spoilt(Vec<u8>),
}

/// A record, operation by operation.
#[derive(Debug)]
pub struct Replay {
    operations: std::vec::IntoIter<Operation>,
    position: usize,
    folders: usize,
    live: Tree,
    durable: Tree,
    pending: Vec<Change>,
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
        }
    }

    /// How many operations were done.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Does the next operation. `false`: there is none.
    pub fn step(&mut self) -> bool {
        let Some(operation) = self.operations.next() else {
            return false;
        };
        self.position += 1;
        match operation {
            Operation::CreateFile(path, node) => {
                self.make(&path, node, Node::File(Arc::default()));
            }
            Operation::CreateFolder(path) => {
                self.folders += 1;
                let node = Node::Folder(BTreeMap::new());
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
        self.live.apply(&change);
        self.pending.push(change);
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
            match is_durable(&change) {
                true => self.durable.apply(&change),
                false => self.pending.push(change),
            }
        }
    }

    fn image(&self, fate: impl Fn(usize, &Change) -> Fate) -> Image {
        let mut tree = self.durable.clone();
        for (n, change) in self.pending.iter().enumerate() {
            match (fate(n, change), change) {
                (Fate::Lost, _) => {}
                (Fate::Spoilt(bytes), Change::Bytes(node, at, _)) => {
                    tree.apply(&Change::Bytes(*node, *at, bytes));
                }
                _ => tree.apply(change),
            }
        }
        Image::of(&tree)
    }

    /// Every state that is tried at this point. `seed` decides the random ones.
    pub fn states(&self, seed: u64) -> Vec<CrashState> {
        let mut states = Vec::new();
        let mut add = |how: String, image: Image| states.push(CrashState { how, image });
        let when = |kept: bool| if kept { Fate::Kept } else { Fate::Lost };
        add("all kept".to_owned(), self.image(|_, _| Fate::Kept));
        if self.pending.is_empty() {
            return states;
        }
        add(
            "all unsynced lost".to_owned(),
            self.image(|_, _| Fate::Lost),
        );
        for one in 0..self.pending.len() {
            let change = self.describe(one);
            add(
                format!("{change} alone lost"),
                self.image(|n, _| when(n != one)),
            );
            add(
                format!("{change} alone kept"),
                self.image(|n, _| when(n == one)),
            );
        }
        let is_name = |change: &Change| !matches!(change, Change::Bytes(..));
        add(
            "names without bytes".to_owned(),
            self.image(|_, change| when(is_name(change))),
        );
        for (what, byte) in [("zeros", 0), ("garbage", 0xA5)] {
            let image = self.image(|_, change| match change {
                Change::Bytes(_, _, bytes) => Fate::Spoilt(vec![byte; bytes.len()]),
                _ => Fate::Kept,
            });
            add(format!("lengths with {what}"), image);
        }
        self.torn(&mut add);
        for subset in 0..RANDOM_SUBSETS {
            let coin = |n: usize| {
                let mut hasher = blake3::Hasher::new();
                for part in [seed, self.position as u64, subset as u64, n as u64] {
                    hasher.update(&part.to_le_bytes());
                }
                hasher.finalize().as_bytes()[0] & 1 == 0
            };
            add(
                format!("random choice {subset}"),
                self.image(|n, _| when(coin(n))),
            );
        }
        states
    }

    /// The last write that is not durable, torn at the borders of units.
    fn torn(&self, add: &mut impl FnMut(String, Image)) {
        let is_bytes = |change: &Change| matches!(change, Change::Bytes(..));
        let Some(last) = self.pending.iter().rposition(is_bytes) else {
            return;
        };
        let Change::Bytes(_, at, bytes) = &self.pending[last] else {
            return;
        };
        for unit in TEAR_UNITS {
            let borders = (at / unit + 1..).map(|n| n * unit - at);
            let borders = borders.take_while(|border| *border < bytes.len());
            for border in borders.take(TEARS_MAX) {
                let mut late = bytes.clone();
                late[..border].fill(0);
                let variants = [("up to", bytes[..border].to_vec()), ("only from", late)];
                for (which, torn) in variants {
                    let image = self.image(|n, _| match n == last {
                        true => Fate::Spoilt(torn.clone()),
                        false => Fate::Kept,
                    });
                    add(format!("last write {which} {border}"), image);
                }
            }
        }
    }

    fn describe(&self, n: usize) -> String {
        match &self.pending[n] {
            Change::Bytes(_, at, bytes) => format!("{} bytes at {at}", bytes.len()),
            Change::Comes(_, name, _) => format!("name {}", name.display()),
            Change::Goes(_, name) => format!("removal of {}", name.display()),
        }
    }
}
