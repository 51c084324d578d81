//! What a power cut may leave: a [`Vfs`] that records every change, and the states that the record
//! allows at each point of it.
//!
//! The model is the harshest that the contract allows, as that of `memory_vfs`: bytes of a file are
//! durable once it was synced, a name once its folder was, each of them alone. A move is two changes:
//! a name that comes and one that goes. What is not durable may be lost, kept, or torn, in any order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory_vfs::MemoryVfs;
use crate::vfs::{Entry, Vfs, VfsError, VfsFile, folder_of};

/// Writes take no more than this at once, so that the record of an object has several.
const WRITE_BYTES_MAX: usize = 3000;
/// A disk writes whole units of so many bytes: sectors, pages.
const TEAR_UNITS: [usize; 2] = [512, 4096];
/// Places where a write is torn that are tried, of each unit.
const TEARS_MAX: usize = 8;
/// Random choices of what was kept, at each point.
const RANDOM_SUBSETS: usize = 16;

type NodeNumber = usize;
const ROOT: NodeNumber = 0;

/// One operation that changed something, or made it durable.
#[derive(Debug, Clone)]
enum Operation {
    CreateFile(PathBuf, NodeNumber),
    Write(NodeNumber, Vec<u8>),
    Sync(NodeNumber),
    SyncPath(PathBuf),
    SyncFolder(PathBuf),
    Move(PathBuf, PathBuf),
    Unlink(PathBuf),
    CreateFolder(PathBuf),
    /// A sync that was asked for, and that a broken disk has not done.
    Ignored,
}

/// Syncs that a broken disk does not do: what a test of the tests asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Bytes of files.
    Bytes,
    /// Names in folders whose path contains this.
    Names(&'static str),
}

/// A file system in memory that records what is done to it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RecordingVfs {
    inner: MemoryVfs,
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    operations: Vec<Operation>,
    files: usize,
}

impl RecordingVfs {
    /// An empty file system, and an empty record.
    pub fn new() -> Self {
        Self::default()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, operation: Operation) {
        self.record().operations.push(operation);
    }

    /// How many operations were recorded: the point that the next one follows.
    pub fn position(&self) -> usize {
        self.record().operations.len()
    }

    /// Goes through the record from its beginning.
    pub fn replay(&self) -> Replay {
        Replay::new(self.record().operations.clone())
    }

    /// As [`RecordingVfs::replay`], on a disk that does not do what it says.
    pub fn replay_on(&self, broken: Broken) -> Replay {
        let mut operations = self.record().operations.clone();
        for operation in &mut operations {
            let ignored = match (&*operation, broken) {
                (Operation::Sync(_) | Operation::SyncPath(_), Broken::Bytes) => true,
                (Operation::SyncFolder(path), Broken::Names(part)) => {
                    path.to_string_lossy().contains(part)
                }
                _ => false,
            };
            if ignored {
                *operation = Operation::Ignored;
            }
        }
        Replay::new(operations)
    }
}

/// A file of a [`RecordingVfs`] being written.
struct RecordingFile {
    inner: Box<dyn VfsFile>,
    vfs: RecordingVfs,
    node: NodeNumber,
}

impl VfsFile for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, VfsError> {
        let some = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        let taken = self.inner.write(some)?;
        self.vfs
            .push(Operation::Write(self.node, some[..taken].to_vec()));
        Ok(taken)
    }

    fn sync(&mut self) -> Result<(), VfsError> {
        self.inner.sync()?;
        self.vfs.push(Operation::Sync(self.node));
        Ok(())
    }

    fn make_read_only(&mut self) -> Result<(), VfsError> {
        self.inner.make_read_only()
    }
}

impl Vfs for RecordingVfs {
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError> {
        let inner = self.inner.create_new(path)?;
        let node = {
            let mut record = self.record();
            record.files += 1;
            // Odd numbers; the folders that a replay makes have even ones.
            record.files * 2 - 1
        };
        self.push(Operation::CreateFile(path.to_owned(), node));
        Ok(Box::new(RecordingFile {
            inner,
            vfs: self.clone(),
            node,
        }))
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_file(path)?;
        self.push(Operation::SyncPath(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_dir(path)?;
        self.push(Operation::SyncFolder(path.to_owned()));
        Ok(())
    }

    fn publish_no_replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.publish_no_replace(from, to)?;
        self.push(Operation::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.replace(from, to)?;
        self.push(Operation::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError> {
        self.inner.read(path, bytes_max)
    }

    fn read_at(&self, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, VfsError> {
        self.inner.read_at(path, offset, bytes)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.inner.list(dir)
    }

    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.inner.list_folder(dir)
    }

    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError> {
        self.inner.entry(path)
    }

    fn unlink(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.unlink(path)?;
        self.push(Operation::Unlink(path.to_owned()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.create_dir(path)?;
        self.push(Operation::CreateFolder(path.to_owned()));
        Ok(())
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        self.inner.free_bytes(dir)
    }
}

/// A change that can be lost by itself.
#[derive(Debug, Clone)]
enum Change {
    Bytes(NodeNumber, usize, Vec<u8>),
    Comes(NodeNumber, OsString, NodeNumber),
    Goes(NodeNumber, OsString),
}

#[derive(Debug, Clone)]
enum Node {
    File(Arc<Vec<u8>>),
    Folder(BTreeMap<OsString, NodeNumber>),
}

/// Files and folders by number. One without a name is there, and cannot be reached.
#[derive(Debug, Clone)]
struct Tree {
    nodes: BTreeMap<NodeNumber, Node>,
}

impl Tree {
    fn new() -> Self {
        let root = Node::Folder(BTreeMap::new());
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
        }
    }

    fn find(&self, path: &Path) -> NodeNumber {
        let mut node = ROOT;
        for part in path.components() {
            if let (Component::Normal(name), Node::Folder(names)) = (part, &self.nodes[&node]) {
                node = names[name];
            }
        }
        node
    }

    fn bytes_of(&self, node: NodeNumber) -> usize {
        match &self.nodes[&node] {
            Node::File(bytes) => bytes.len(),
            Node::Folder(_) => 0,
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Bytes(node, at, written) => {
                if let Some(Node::File(bytes)) = self.nodes.get_mut(node) {
                    let bytes = Arc::make_mut(bytes);
                    // What was written before and is lost reads as zeros.
                    bytes.resize(bytes.len().max(at + written.len()), 0);
                    bytes[*at..at + written.len()].copy_from_slice(written);
                }
            }
            Change::Comes(folder, name, node) => {
                if let Some(Node::Folder(names)) = self.nodes.get_mut(folder) {
                    names.insert(name.clone(), *node);
                }
            }
            Change::Goes(folder, name) => {
                if let Some(Node::Folder(names)) = self.nodes.get_mut(folder) {
                    names.remove(name);
                }
            }
        }
    }
}

/// What is on a disk after a power cut; all of it is durable.
#[derive(Debug, Clone)]
pub struct Image {
    entries: Vec<(PathBuf, Option<Arc<Vec<u8>>>)>,
}

impl Image {
    fn of(tree: &Tree) -> Self {
        let mut entries = Vec::new();
        let mut open = vec![(ROOT, PathBuf::from("/"))];
        while let Some((folder, path)) = open.pop() {
            let Node::Folder(names) = &tree.nodes[&folder] else {
                continue;
            };
            for (name, node) in names {
                let path = path.join(name);
                match &tree.nodes[node] {
                    Node::File(bytes) => entries.push((path, Some(bytes.clone()))),
                    Node::Folder(_) => {
                        entries.push((path.clone(), None));
                        open.push((*node, path));
                    }
                }
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Self { entries }
    }

    /// Tells images apart: names and bytes. `but`: what lies in this folder is not looked at.
    pub fn digest(&self, but: Option<&Path>) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (path, bytes) in &self.entries {
            if but.is_some_and(|folder| path.starts_with(folder) && path != folder) {
                continue;
            }
            let mut head = String::new();
            let length = bytes.as_ref().map(|bytes| bytes.len());
            // Writing to a string cannot fail.
            let _ = write!(head, "{}\0{length:?}\0", path.display());
            hasher.update(head.as_bytes());
            hasher.update(bytes.as_ref().map_or(&[], |bytes| bytes.as_slice()));
        }
        *hasher.finalize().as_bytes()
    }

    /// A file system that holds it.
    pub fn to_vfs(&self) -> Result<MemoryVfs, VfsError> {
        let vfs = MemoryVfs::new();
        for (path, bytes) in &self.entries {
            match bytes {
                Some(bytes) => vfs.plant_file(path, bytes)?,
                None => {
                    vfs.create_dir(path)?;
                    vfs.sync_dir(folder_of(path))?;
                }
            }
        }
        Ok(vfs)
    }
}

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
    fn new(operations: Vec<Operation>) -> Self {
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
