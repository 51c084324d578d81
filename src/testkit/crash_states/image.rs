//! Files and folders at one moment, what may become of them, and what is there after a power cut.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::NodeNumber;
use crate::testkit::memory_vfs::MemoryVfs;
use crate::vfs::{Vfs, VfsError, folder_of};

const ROOT: NodeNumber = 0;

/// A change that can be lost by itself.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Bytes(NodeNumber, usize, Vec<u8>),
    Comes(NodeNumber, OsString, NodeNumber),
    Goes(NodeNumber, OsString),
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(Arc<Vec<u8>>),
    Folder(BTreeMap<OsString, NodeNumber>),
}

/// Files and folders by number. One without a name is there, and cannot be reached.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub nodes: BTreeMap<NodeNumber, Node>,
}

impl Tree {
    pub fn new() -> Self {
        let root = Node::Folder(BTreeMap::new());
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
        }
    }

    pub fn find(&self, path: &Path) -> NodeNumber {
        let mut node = ROOT;
        for part in path.components() {
            if let (Component::Normal(name), Node::Folder(names)) = (part, &self.nodes[&node]) {
                node = names[name];
            }
        }
        node
    }

    pub fn bytes_of(&self, node: NodeNumber) -> usize {
        match &self.nodes[&node] {
            Node::File(bytes) => bytes.len(),
            Node::Folder(_) => 0,
        }
    }

    pub fn apply(&mut self, change: &Change) {
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
    pub(super) fn of(tree: &Tree) -> Self {
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
