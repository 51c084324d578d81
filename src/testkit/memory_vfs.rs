//! Files in memory that know what a power cut would leave.
//!
//! The model is the harshest that the contract allows: bytes of a file are durable when the file
//! was synced, a name is durable when its folder was, and each of them alone. A move between two
//! folders of which one was synced leaves both names, or none.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::vfs::{Entry, EntryKind, Vfs, VfsError, VfsErrorKind, VfsFile, folder_of};

/// A file system in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryVfs {
    disk: Arc<Mutex<Disk>>,
}

/// Number of a node of the disk. Nodes are never removed, only their names.
type NodeNumber = usize;
type Names = BTreeMap<OsString, NodeNumber>;

const ROOT: NodeNumber = 0;

#[derive(Debug, Clone)]
struct Disk {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
enum Node {
    File { bytes: Vec<u8>, synced: Vec<u8> },
    Folder { names: Names, synced: Names },
    Foreign,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            nodes: vec![Node::empty_folder()],
        }
    }
}

impl Node {
    fn empty_folder() -> Self {
        Self::Folder {
            names: Names::new(),
            synced: Names::new(),
        }
    }

    fn kind(&self) -> EntryKind {
        match self {
            Self::File { .. } => EntryKind::File,
            Self::Folder { .. } => EntryKind::Folder,
            Self::Foreign => EntryKind::Foreign,
        }
    }

    fn entry(&self, path: PathBuf) -> Entry {
        let bytes = match self {
            Self::File { bytes, .. } => bytes.len().try_into().unwrap_or(u64::MAX),
            Self::Folder { .. } | Self::Foreign => 0,
        };
        Entry {
            path,
            kind: self.kind(),
            bytes,
        }
    }
}

fn failure(kind: VfsErrorKind, op: &'static str, path: &Path) -> VfsError {
    VfsError::new(kind, op, path, format!("{kind:?}"))
}

impl Disk {
    /// The node at a path; `None`: nothing. A relative path starts at the root.
    fn find(&self, path: &Path) -> Option<NodeNumber> {
        let mut parts = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        parts.try_fold(ROOT, |folder, name| match &self.nodes[folder] {
            Node::Folder { names, .. } => names.get(name).copied(),
            Node::File { .. } | Node::Foreign => None,
        })
    }

    /// The names of the folder that holds a path.
    fn names_around(&mut self, op: &'static str, path: &Path) -> Result<&mut Names, VfsError> {
        let folder = self
            .find(folder_of(path))
            .ok_or_else(|| failure(VfsErrorKind::NotFound, op, path))?;
        match &mut self.nodes[folder] {
            Node::Folder { names, .. } => Ok(names),
            Node::File { .. } | Node::Foreign => Err(failure(VfsErrorKind::Other, op, path)),
        }
    }

    /// Gives a name to a node.
    fn name(&mut self, op: &'static str, path: &Path, node: NodeNumber) -> Result<(), VfsError> {
        let name = name_of(op, path)?;
        self.names_around(op, path)?.insert(name, node);
        Ok(())
    }

    /// Makes a node with a name that must be free.
    fn create(
        &mut self,
        op: &'static str,
        path: &Path,
        node: Node,
    ) -> Result<NodeNumber, VfsError> {
        if self.find(path).is_some() {
            return Err(failure(VfsErrorKind::Exists, op, path));
        }
        let number = self.nodes.len();
        self.name(op, path, number)?;
        self.nodes.push(node);
        Ok(number)
    }

    /// Takes a name away.
    fn forget(&mut self, op: &'static str, path: &Path) -> Result<(), VfsError> {
        let name = name_of(op, path)?;
        match self.names_around(op, path)?.remove(&name) {
            Some(_) => Ok(()),
            None => Err(failure(VfsErrorKind::NotFound, op, path)),
        }
    }

    /// The bytes of a regular file.
    fn bytes(
        &mut self,
        op: &'static str,
        path: &Path,
    ) -> Result<(&mut Vec<u8>, &mut Vec<u8>), VfsError> {
        let node = self
            .find(path)
            .ok_or_else(|| failure(VfsErrorKind::NotFound, op, path))?;
        match &mut self.nodes[node] {
            Node::File { bytes, synced } => Ok((bytes, synced)),
            Node::Folder { .. } | Node::Foreign => Err(failure(VfsErrorKind::Other, op, path)),
        }
    }

    fn list(&self, folder: NodeNumber, path: &Path, out: &mut Vec<Entry>) {
        if let Node::Folder { names, .. } = &self.nodes[folder] {
            for (name, node) in names {
                let path = path.join(name);
                out.push(self.nodes[*node].entry(path.clone()));
                self.list(*node, &path, out);
            }
        }
    }
}

fn name_of(op: &'static str, path: &Path) -> Result<OsString, VfsError> {
    path.file_name()
        .map(OsString::from)
        .ok_or_else(|| failure(VfsErrorKind::Other, op, path))
}

impl MemoryVfs {
    /// A file system with nothing but its root folder, `/`.
    pub fn new() -> Self {
        Self::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left after a power cut now: everything that was not synced is lost. A file whose
    /// name is durable and whose bytes are not is empty.
    pub fn after_power_cut(&self) -> Self {
        let mut disk = self.disk().clone();
        for node in &mut disk.nodes {
            match node {
                Node::File { bytes, synced } => bytes.clone_from(synced),
                Node::Folder { names, synced } => names.clone_from(synced),
                Node::Foreign => {}
            }
        }
        Self::of(disk)
    }

    /// As [`MemoryVfs::after_power_cut`], but the unsynced names for which `survives` says so are
    /// there: a file system may write names in any order, and early. Their bytes are those synced.
    pub fn after_power_cut_with(&self, survives: &dyn Fn(&Path) -> bool) -> Self {
        let cut = self.after_power_cut();
        {
            let (before, mut after) = (self.disk(), cut.disk());
            let mut open = vec![(ROOT, PathBuf::from("/"))];
            while let Some((folder, path)) = open.pop() {
                let Node::Folder { names, .. } = &before.nodes[folder] else {
                    continue;
                };
                for (name, node) in names {
                    let path = path.join(name);
                    if let Node::Folder { names, .. } = &mut after.nodes[folder]
                        && survives(&path)
                    {
                        names.insert(name.clone(), *node);
                    }
                    open.push((*node, path));
                }
            }
        }
        cut
    }

    /// A copy that shares nothing with this one.
    pub fn copy(&self) -> Self {
        Self::of(self.disk().clone())
    }

    fn of(disk: Disk) -> Self {
        Self {
            disk: Arc::new(Mutex::new(disk)),
        }
    }

    /// Puts something there that is neither file nor folder, as a link or a device.
    pub fn plant_foreign(&self, path: &Path) -> Result<(), VfsError> {
        self.disk().create("plant", path, Node::Foreign).map(drop)
    }

    /// Writes a durable file, replacing what is there: damage, or a file of somebody else's.
    pub fn plant_file(&self, path: &Path, content: &[u8]) -> Result<(), VfsError> {
        let mut disk = self.disk();
        if disk.find(path).is_none() {
            let node = Node::File {
                bytes: Vec::new(),
                synced: Vec::new(),
            };
            let number = disk.create("plant", path, node)?;
            let folder = disk.find(folder_of(path)).unwrap_or(ROOT);
            let name = name_of("plant", path)?;
            if let Node::Folder { synced, .. } = &mut disk.nodes[folder] {
                synced.insert(name, number);
            }
        }
        let (bytes, synced) = disk.bytes("plant", path)?;
        bytes.clear();
        bytes.extend_from_slice(content);
        synced.clone_from(bytes);
        Ok(())
    }
}

/// A file of a [`MemoryVfs`] being written.
struct MemoryFile {
    vfs: MemoryVfs,
    node: NodeNumber,
}

impl VfsFile for MemoryFile {
    fn write(&mut self, more: &[u8]) -> Result<usize, VfsError> {
        if let Node::File { bytes, .. } = &mut self.vfs.disk().nodes[self.node] {
            bytes.extend_from_slice(more);
        }
        Ok(more.len())
    }

    fn sync(&mut self) -> Result<(), VfsError> {
        if let Node::File { bytes, synced } = &mut self.vfs.disk().nodes[self.node] {
            synced.clone_from(bytes);
        }
        Ok(())
    }

    fn make_read_only(&mut self) -> Result<(), VfsError> {
        Ok(())
    }
}

impl Vfs for MemoryVfs {
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError> {
        let file = Node::File {
            bytes: Vec::new(),
            synced: Vec::new(),
        };
        let node = self.disk().create("create", path, file)?;
        let vfs = self.clone();
        Ok(Box::new(MemoryFile { vfs, node }))
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        let mut disk = self.disk();
        let (bytes, synced) = disk.bytes("sync", path)?;
        synced.clone_from(bytes);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        let mut disk = self.disk();
        let folder = disk
            .find(path)
            .ok_or_else(|| failure(VfsErrorKind::NotFound, "sync folder", path))?;
        match &mut disk.nodes[folder] {
            Node::Folder { names, synced } => {
                synced.clone_from(names);
                Ok(())
            }
            _ => Err(failure(VfsErrorKind::Other, "sync folder", path)),
        }
    }

    fn publish_no_replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        let mut disk = self.disk();
        if disk.find(to).is_some() {
            return Err(failure(VfsErrorKind::Exists, "publish", to));
        }
        let node = disk
            .find(from)
            .ok_or_else(|| failure(VfsErrorKind::NotFound, "publish", from))?;
        disk.name("publish", to, node)?;
        disk.forget("publish", from)
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        let mut disk = self.disk();
        let node = disk
            .find(from)
            .ok_or_else(|| failure(VfsErrorKind::NotFound, "replace", from))?;
        disk.name("replace", to, node)?;
        disk.forget("replace", from)
    }

    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError> {
        let mut disk = self.disk();
        let (bytes, _) = disk.bytes("read", path)?;
        match u64::try_from(bytes.len()) {
            Ok(len) if len <= bytes_max => Ok(bytes.clone()),
            _ => Err(failure(VfsErrorKind::Other, "read", path)),
        }
    }

    fn read_at(&self, path: &Path, offset: u64, len: u64) -> Result<Vec<u8>, VfsError> {
        let mut disk = self.disk();
        let (bytes, _) = disk.bytes("read", path)?;
        let start = usize::try_from(offset).ok();
        let end = offset
            .checked_add(len)
            .and_then(|end| usize::try_from(end).ok());
        start
            .zip(end)
            .and_then(|(start, end)| bytes.get(start..end))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| failure(VfsErrorKind::Other, "read", path))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        let disk = self.disk();
        let folder = disk
            .find(dir)
            .ok_or_else(|| failure(VfsErrorKind::NotFound, "list", dir))?;
        let mut out = Vec::new();
        disk.list(folder, Path::new(""), &mut out);
        out.sort();
        Ok(out)
    }

    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        let mut entries = self.list(dir)?;
        entries.retain(|entry| entry.path.components().count() == 1);
        Ok(entries)
    }

    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError> {
        let disk = self.disk();
        Ok(disk
            .find(path)
            .map(|node| disk.nodes[node].entry(path.to_owned())))
    }

    fn unlink(&self, path: &Path) -> Result<(), VfsError> {
        let mut disk = self.disk();
        let node = disk.find(path);
        match node.map(|node| disk.nodes[node].kind()) {
            Some(EntryKind::Folder) => Err(failure(VfsErrorKind::Other, "remove", path)),
            _ => disk.forget("remove", path),
        }
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        let folder = Node::empty_folder();
        self.disk().create("create folder", path, folder).map(drop)
    }

    fn free_bytes(&self, _dir: &Path) -> Option<u64> {
        None
    }
}
