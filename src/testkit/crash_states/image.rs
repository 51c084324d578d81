//! Files and folders at one moment, what may become of them, and what is there after a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::NodeNumber;
use crate::testkit::memory_vfs::MemoryVfs;
use crate::vfs::{Vfs, VfsError, folder_of};

pub(super) const ROOT: NodeNumber = 0;

/// A change that can be lost by itself.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Bytes(NodeNumber, usize, Vec<u8>),
    Comes(NodeNumber, OsString, NodeNumber),
    Goes(NodeNumber, OsString),
}

/// The bytes of a file, and their digest once somebody has asked for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Bytes {
    bytes: Vec<u8>,
    digest: OnceLock<[u8; 32]>,
}

impl Bytes {
    /// These bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            digest: OnceLock::new(),
        }
    }

    fn digest(&self) -> &[u8; 32] {
        self.digest
            .get_or_init(|| *blake3::hash(&self.bytes).as_bytes())
    }
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(Arc<Bytes>),
    Folder(Arc<BTreeMap<OsString, NodeNumber>>),
}

/// Files and folders by number. One without a name is there, and cannot be reached.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub nodes: BTreeMap<NodeNumber, Node>,
}

impl Tree {
    pub fn new() -> Self {
        let root = Node::Folder(Arc::default());
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
        }
    }

    /// What a path names.
    pub fn find(&self, path: &Path) -> NodeNumber {
        let mut node = ROOT;
        for part in path.components() {
            if let (Component::Normal(name), Node::Folder(names)) = (part, &self.nodes[&node]) {
                node = names[name];
            }
        }
        node
    }

    /// The length of a file.
    pub fn bytes_of(&self, node: NodeNumber) -> usize {
        match self.nodes.get(&node) {
            Some(Node::File(bytes)) => bytes.bytes.len(),
            Some(Node::Folder(_)) | None => 0,
        }
    }

    /// The nodes that can be reached from the root.
    pub fn reachable(&self) -> BTreeSet<NodeNumber> {
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(node) = open.pop() {
            if let Some(Node::Folder(names)) = self.nodes.get(&node) {
                let below = names.values().copied();
                open.extend(below.filter(|node| reached.insert(*node)));
            }
        }
        reached
    }

    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Bytes(node, at, written) => {
                if let Some(Node::File(file)) = self.nodes.get_mut(node) {
                    let file = Arc::make_mut(file);
                    file.digest = OnceLock::new();
                    let bytes = &mut file.bytes;
                    // What was written before and is lost reads as zeros.
                    bytes.resize(bytes.len().max(at + written.len()), 0);
                    bytes[*at..at + written.len()].copy_from_slice(written);
                }
            }
            Change::Comes(folder, name, node) => {
                if let Some(Node::Folder(names)) = self.nodes.get_mut(folder) {
                    Arc::make_mut(names).insert(name.clone(), *node);
                }
            }
            Change::Goes(folder, name) => {
                if let Some(Node::Folder(names)) = self.nodes.get_mut(folder) {
                    Arc::make_mut(names).remove(name);
                }
            }
        }
    }
}

/// What is on a disk after a power cut; all of it is durable.
#[derive(Debug, Clone)]
pub struct Image {
    entries: Vec<(PathBuf, Option<Arc<Bytes>>)>,
}

impl Image {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut entries = Vec::new();
        let mut open = vec![(ROOT, PathBuf::from("/"))];
        while let Some((folder, path)) = open.pop() {
            let Some(Node::Folder(names)) = tree.nodes.get(&folder) else {
                continue;
            };
            for (name, node) in names.iter() {
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

    /// Tells images apart by names and bytes of what `counts`: given the path, and whether it is a file.
    pub fn digest(&self, counts: impl Fn(&Path, bool) -> bool) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (path, bytes) in &self.entries {
            if !counts(path, bytes.is_some()) {
                continue;
            }
            hasher.update(path.as_os_str().as_encoded_bytes());
            match bytes {
                Some(bytes) => hasher.update(b"\0f").update(bytes.digest()),
                None => hasher.update(b"\0d"),
            };
        }
        *hasher.finalize().as_bytes()
    }

    /// A file system that holds it.
    pub fn to_vfs(&self) -> Result<MemoryVfs, VfsError> {
        let vfs = MemoryVfs::new();
        for (path, bytes) in &self.entries {
            match bytes {
                Some(bytes) => vfs.plant_file(path, &bytes.bytes)?,
                None => {
                    vfs.create_dir(path)?;
                    vfs.sync_dir(folder_of(path))?;
                }
            }
        }
        Ok(vfs)
    }
}
