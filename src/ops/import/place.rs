//! Where an export lies: a folder, or a zip archive. Nothing is unpacked; files are streams.
//!
//! An export is foreign input: only plain files of the folder itself are opened, never through a
//! link, and an archive is refused as a whole if any entry is named to lie elsewhere.

use std::cell::Cell;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use zip::ZipArchive;
use zip::result::ZipError;

use super::long_strings::AsideError;
use crate::env::random_16;
use crate::error::{A_DATABASE, A_STORE, ImportError};
use crate::model::file_name::MANIFEST_FILE;
use crate::ops::open::{World, is_zip};
use crate::source::recorded_path;
use crate::vfs::{EntryKind, Vfs, VfsError};

const BUFFER_BYTES: usize = 64 << 10;
/// Bytes that are read to learn what an archive holds: its directory is kept in memory.
const DIRECTORY_BYTES_MAX: u64 = 64 << 20;

/// An export that was found.
pub(super) struct Place {
    /// As it was given.
    path: PathBuf,
    /// Without links in it.
    resolved: PathBuf,
    vfs: Arc<dyn Vfs>,
    zip: Option<Zip>,
    mark: String,
}

struct Zip {
    archive: ZipArchive<BufReader<VfsReader>>,
    /// The folder within the archive, with a slash; empty if the files lie at its top.
    prefix: String,
}

/// A file of an export.
pub(super) struct Opened<'a> {
    pub reader: Box<dyn Read + 'a>,
    /// Its length, unpacked.
    pub bytes: u64,
}

impl Place {
    /// Finds an export. Errors: `NotAnExport`, `Zip`, `UnsafeName`, `Input`.
    pub fn open(path: &Path, world: &World) -> Result<Self, ImportError> {
        let resolved = recorded_path(path);
        let digits = random_16(&*world.env).map(|byte| format!("{byte:02x}"));
        let mut place = Self {
            path: path.to_owned(),
            resolved,
            vfs: world.vfs.clone(),
            zip: None,
            mark: digits.concat(),
        };
        let entry = place.entry(&place.resolved)?;
        match entry.map(|entry| (entry.kind, entry.bytes)) {
            None => Err(place.not_one("nothing is there")),
            Some((EntryKind::Foreign, _)) => Err(place.not_one("it is neither file nor folder")),
            Some((EntryKind::File, bytes)) => {
                let is_zip = is_zip(&place.resolved, &*world.vfs).map_err(input)?;
                if !is_zip {
                    let beginning = place.vfs.read_at(&place.resolved, 0, bytes.min(16));
                    let is_database = beginning.map_err(input)? == *b"SQLite format 3\0";
                    return Err(place.not_one(match is_database {
                        true => A_DATABASE,
                        false => "it is a file, and no zip archive",
                    }));
                }
                place.zip = Some(place.open_zip(bytes)?);
                Ok(place)
            }
            Some((EntryKind::Folder, _)) => {
                place.ensure_manifest()?;
                Ok(place)
            }
        }
    }

    /// As it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hex digits that nobody knew when the export was made.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Absolute, without links.
    pub fn resolved(&self) -> &Path {
        &self.resolved
    }

    fn entry(&self, path: &Path) -> Result<Option<crate::vfs::Entry>, ImportError> {
        self.vfs.entry(path).map_err(input)
    }

    fn not_one(&self, found: &'static str) -> ImportError {
        ImportError::NotAnExport {
            path: self.path.clone(),
            found,
        }
    }

    fn ensure_manifest(&self) -> Result<(), ImportError> {
        if self.entry(&self.resolved.join("config"))?.is_some() {
            return Err(self.not_one(A_STORE));
        }
        if self.entry(&self.resolved.join(MANIFEST_FILE))?.is_some() {
            return Ok(());
        }
        let listed = self.vfs.list_folder(&self.resolved).map_err(input)?;
        Err(self.not_one(match listed.is_empty() {
            true => "the folder is empty",
            false => "it has no manifest.json",
        }))
    }

    fn bad_zip(&self, cause: impl ToString) -> ImportError {
        ImportError::Zip {
            path: self.path.clone(),
            cause: cause.to_string(),
        }
    }

    fn open_zip(&self, bytes: u64) -> Result<Zip, ImportError> {
        let left = Rc::new(Cell::new(DIRECTORY_BYTES_MAX));
        let reader = VfsReader {
            vfs: self.vfs.clone(),
            path: self.resolved.clone(),
            bytes,
            at: 0,
            left: left.clone(),
        };
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        let archive = ZipArchive::new(reader).map_err(|cause| {
            if left.get() == 0 {
                return ImportError::TooMuch {
                    path: self.path.clone(),
                    what: "bytes of the archive's directory".to_owned(),
                    found: DIRECTORY_BYTES_MAX + 1,
                    max: DIRECTORY_BYTES_MAX,
                };
            }
            self.zip_failed(cause)
        });
        let mut archive = archive?;
        left.set(u64::MAX);
        if archive.has_duplicate_names() {
            return Err(self.bad_zip("two of its entries have one name"));
        }
        // Entries that share their bytes would unpack to more than any deflated file can.
        if archive
            .has_overlapping_entries()
            .map_err(|e| self.zip_failed(e))?
        {
            return Err(self.bad_zip("its entries overlap"));
        }
        let prefix = self.check_entries(&archive)?;
        Ok(Zip { archive, prefix })
    }

    /// Looks at all names. Gives the folder that the manifest lies in.
    fn check_entries(
        &self,
        archive: &ZipArchive<BufReader<VfsReader>>,
    ) -> Result<String, ImportError> {
        let mut prefixes = Vec::new();
        for at in 0..archive.len() {
            let entry = archive.by_index_data(at).map_err(|e| self.zip_failed(e))?;
            let name = entry.name().map_err(|e| self.zip_failed(e))?.into_owned();
            let refused = |reason| {
                Err(ImportError::UnsafeName {
                    path: self.path.clone(),
                    name: name.clone(),
                    reason,
                })
            };
            if name.starts_with('/') || name.contains(['\\', '\0', ':']) {
                return refused("it leads out of the archive");
            }
            if name.split('/').any(|part| part == ".." || part == ".") {
                return refused("it leads out of the archive");
            }
            if entry.is_symlink() {
                return refused("it is a link");
            }
            if let Some(prefix) = name.strip_suffix(MANIFEST_FILE)
                && (prefix.is_empty() || prefix.find('/') == Some(prefix.len() - 1))
            {
                prefixes.push(prefix.to_owned());
            }
        }
        prefixes.sort();
        match &prefixes[..] {
            [only] => Ok(only.clone()),
            [first, ..] if first.is_empty() => Ok(String::new()),
            [] => Err(self.not_one("the archive has no manifest.json")),
            _ => Err(self.not_one("the archive has several manifest.json")),
        }
    }

    fn zip_failed(&self, cause: ZipError) -> ImportError {
        match cause {
            ZipError::Io(cause) if is_of_system(&cause) => unreadable(&self.path, cause),
            cause => self.bad_zip(cause),
        }
    }

    /// Opens a file of the export; `None` if it is not there. The name was checked: it is one of a
    /// file in the folder itself.
    pub fn file(&mut self, name: &str) -> Result<Option<Opened<'_>>, ImportError> {
        if self.zip.is_none() {
            return self.plain_file(name);
        }
        let path = self.path.clone();
        let Some(zip) = &mut self.zip else {
            return Ok(None);
        };
        let name = format!("{}{name}", zip.prefix);
        match zip.archive.by_name(&name) {
            Ok(file) => {
                let bytes = file.size();
                // One more, so that what is longer than it says is not taken for whole.
                let reader = Box::new(file.take(bytes.saturating_add(1)));
                Ok(Some(Opened { reader, bytes }))
            }
            Err(ZipError::FileNotFound) => Ok(None),
            Err(ZipError::Io(cause)) if is_of_system(&cause) => Err(unreadable(&path, cause)),
            Err(cause) => Err(ImportError::Zip {
                path,
                cause: format!("{name}: {cause}"),
            }),
        }
    }

    fn plain_file(&self, name: &str) -> Result<Option<Opened<'_>>, ImportError> {
        let path = self.resolved.join(name);
        let Some(entry) = self.entry(&path)? else {
            return Ok(None);
        };
        if entry.kind != EntryKind::File {
            return Err(ImportError::UnsafeName {
                path: self.path.clone(),
                name: name.to_owned(),
                reason: "it is no plain file",
            });
        }
        let reader = VfsReader {
            vfs: self.vfs.clone(),
            path,
            bytes: entry.bytes,
            at: 0,
            left: Rc::new(Cell::new(u64::MAX)),
        };
        let bytes = entry.bytes;
        Ok(Some(Opened {
            reader: Box::new(BufReader::with_capacity(BUFFER_BYTES, reader)),
            bytes,
        }))
    }

    /// Names of what lies beside the manifest, folders apart.
    pub fn names(&self) -> Result<Vec<String>, ImportError> {
        let names = match &self.zip {
            Some(zip) => {
                let mut names = Vec::new();
                for at in 0..zip.archive.len() {
                    let entry = zip.archive.by_index_data(at);
                    let name = entry.and_then(|e| Ok(e.name()?.into_owned()));
                    names.push(name.map_err(|e| self.zip_failed(e))?);
                }
                let own = names.iter().filter(|name| !name.ends_with('/'));
                own.map(|name| name.strip_prefix(&zip.prefix).unwrap_or(name).to_owned())
                    .collect()
            }
            None => {
                let listed = self.vfs.list_folder(&self.resolved).map_err(input)?;
                let files = listed
                    .iter()
                    .filter(|entry| entry.kind != EntryKind::Folder);
                files.map(|e| e.path.display().to_string()).collect()
            }
        };
        Ok(names)
    }
}

/// A failure of the system while a file was read.
pub(super) fn unreadable(path: &Path, cause: io::Error) -> ImportError {
    ImportError::Input {
        op: "read",
        path: path.to_owned(),
        cause,
    }
}

fn input(error: VfsError) -> ImportError {
    ImportError::Input {
        op: error.op,
        path: error.path,
        cause: error.cause,
    }
}

/// True for a failure of the system, which says nothing about what the export holds.
pub(super) fn is_of_system(error: &io::Error) -> bool {
    let is_one = |inner: &(dyn std::error::Error + 'static)| {
        inner.is::<VfsError>() || inner.is::<AsideError>()
    };
    error.get_ref().is_some_and(|inner| is_one(inner))
}

/// A file through the Vfs, from its beginning to the end that it had when it was found.
struct VfsReader {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    bytes: u64,
    at: u64,
    /// Bytes that may still be read.
    left: Rc<Cell<u64>>,
}

impl Read for VfsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.bytes.saturating_sub(self.at);
        let count = rest.min(buffer.len() as u64);
        if count == 0 {
            return Ok(0);
        }
        match self.left.get().checked_sub(count) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(0);
                return Err(io::Error::other("more is read than may be"));
            }
        }
        let read = self.vfs.read_at(&self.path, self.at, count);
        let read = read.map_err(io::Error::other)?;
        let Some(place) = buffer.get_mut(..read.len()) else {
            return Err(io::Error::other("more was read than was asked for"));
        };
        place.copy_from_slice(&read);
        self.at += read.len() as u64;
        Ok(read.len())
    }
}

impl Seek for VfsReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a place before the file"))?;
        Ok(self.at)
    }
}
