//! Where an export is written: the only place of it that touches files.
//!
//! Everything is written under a temporary name beside the destination and published when it is
//! complete and durable; dropped before that, nothing is left. What exists is never replaced. Into
//! a folder that exists and is empty the files move one by one, the manifest last: without it they
//! are no export.

#![expect(
    clippy::disallowed_methods,
    reason = "a zip is streamed and folders are moved whole: the Vfs knows neither, and an export can be made again"
)]

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir, TempPath};
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

use super::{ExportError, ExportForm};

const BUFFER_BYTES: usize = 64 << 10;

/// An export being written.
pub(super) enum Out {
    Folder(FolderOut),
    Zip(Box<ZipOut>),
}

impl Out {
    /// Begins an export; refuses a destination that is taken before anything is written.
    pub(super) fn create(
        destination: &Path,
        form: ExportForm,
        time: zip::DateTime,
    ) -> Result<Self, ExportError> {
        match form {
            ExportForm::Folder => FolderOut::create(destination).map(Self::Folder),
            ExportForm::Zip => {
                ZipOut::create(destination, time).map(|out| Self::Zip(Box::new(out)))
            }
        }
    }

    /// Begins a file. `is_large`: it may have 4 GiB or more.
    pub(super) fn begin(&mut self, name: &str, is_large: bool) -> Result<(), ExportError> {
        match self {
            Self::Folder(out) => out.begin(name),
            Self::Zip(out) => out.begin(name, is_large),
        }
    }

    /// Ends the file.
    pub(super) fn end(&mut self) -> Result<(), ExportError> {
        match self {
            Self::Folder(out) => out.end(),
            Self::Zip(_) => Ok(()),
        }
    }

    /// Makes the export durable, then visible. The last file that was begun appears last.
    pub(super) fn publish(self) -> Result<(), ExportError> {
        match self {
            Self::Folder(out) => out.publish(),
            Self::Zip(out) => out.publish(),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Folder(out) => match &mut out.file {
                Some(file) => file.write(bytes),
                None => Err(io::Error::other("no file was begun")),
            },
            Self::Zip(out) => match &mut out.writer {
                Some(writer) => writer.write(bytes),
                None => Err(ended()),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Files in a folder.
pub(super) struct FolderOut {
    destination: PathBuf,
    /// True if the destination is an empty folder that exists, and `staging` lies within it.
    exists: bool,
    staging: TempDir,
    file: Option<BufWriter<File>>,
    names: Vec<String>,
}

impl FolderOut {
    fn create(destination: &Path) -> Result<Self, ExportError> {
        let exists = match fs::symlink_metadata(destination) {
            Ok(_) => {
                let mut entries =
                    fs::read_dir(destination).map_err(|cause| match cause.kind() {
                        io::ErrorKind::NotADirectory => taken(destination),
                        _ => output(destination, cause),
                    })?;
                if entries.next().is_some() {
                    return Err(ExportError::NotEmpty {
                        path: destination.to_owned(),
                    });
                }
                true
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
            Err(cause) => return Err(output(destination, cause)),
        };
        let place = if exists {
            destination
        } else {
            folder_of(destination)
        };
        let staging = tempfile::Builder::new()
            .prefix(".larder-export-")
            .tempdir_in(place)
            .map_err(|cause| output(place, cause))?;
        Ok(Self {
            destination: destination.to_owned(),
            exists,
            staging,
            file: None,
            names: Vec::new(),
        })
    }

    fn begin(&mut self, name: &str) -> Result<(), ExportError> {
        let path = self.staging.path().join(name);
        let file = File::create_new(&path).map_err(|cause| output(&path, cause))?;
        self.file = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        self.names.push(name.to_owned());
        Ok(())
    }

    fn end(&mut self) -> Result<(), ExportError> {
        let finish = |file: BufWriter<File>| file.into_inner()?.sync_all();
        match self.file.take().map(finish) {
            Some(Err(cause)) => Err(output(&self.destination, cause)),
            _ => Ok(()),
        }
    }

    fn publish(mut self) -> Result<(), ExportError> {
        self.end()?;
        sync_folder(self.staging.path())?;
        if self.exists {
            self.move_files()?;
            sync_folder(&self.destination)
        } else {
            // Replaces nothing but a folder that is empty: so is rename(2) defined.
            fs::rename(self.staging.path(), &self.destination).map_err(|cause| {
                match cause.kind() {
                    io::ErrorKind::NotADirectory
                    | io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::AlreadyExists => taken(&self.destination),
                    _ => output(&self.destination, cause),
                }
            })?;
            self.staging.disable_cleanup(true);
            sync_folder(folder_of(&self.destination))
        }
    }

    fn move_files(&self) -> Result<(), ExportError> {
        for (at, name) in self.names.iter().enumerate() {
            let (from, to) = (self.staging.path().join(name), self.destination.join(name));
            let moved = TempPath::try_from_path(from)
                .map_err(|cause| output(&to, cause))
                .and_then(|file| publish_file(file, &to));
            if moved.is_err() {
                for name in &self.names[..at] {
                    // What cannot be removed is left without a manifest; the first error counts.
                    let _ = fs::remove_file(self.destination.join(name));
                }
                return moved;
            }
        }
        Ok(())
    }
}

/// Files in one zip archive, deflated.
pub(super) struct ZipOut {
    destination: PathBuf,
    /// `None` once the archive was ended.
    writer: Option<ZipWriter<StreamWriter<ZipFile>>>,
    /// True once nobody wants the archive.
    abandoned: Rc<Cell<bool>>,
    options: SimpleFileOptions,
}

/// The archive's file. Once abandoned, or after an error, it takes and drops everything: a zip
/// writer ends its archive when it is dropped, and complains on stderr if it cannot.
struct ZipFile {
    file: BufWriter<NamedTempFile>,
    abandoned: Rc<Cell<bool>>,
}

impl ZipFile {
    fn checked<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.abandoned.set(true);
        }
        result
    }
}

impl Write for ZipFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.abandoned.get() {
            return Ok(bytes.len());
        }
        let result = self.file.write(bytes);
        self.checked(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.abandoned.get() {
            return Ok(());
        }
        let result = self.file.flush();
        self.checked(result)
    }
}

impl Drop for ZipOut {
    fn drop(&mut self) {
        self.abandoned.set(true);
    }
}

impl ZipOut {
    fn create(destination: &Path, time: zip::DateTime) -> Result<Self, ExportError> {
        match fs::symlink_metadata(destination) {
            Ok(_) => return Err(taken(destination)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(output(destination, cause)),
        }
        let place = folder_of(destination);
        let file = tempfile::Builder::new()
            .prefix(".larder-export-")
            .tempfile_in(place)
            .map_err(|cause| output(place, cause))?;
        let abandoned = Rc::new(Cell::new(false));
        let file = ZipFile {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            abandoned: Rc::clone(&abandoned),
        };
        Ok(Self {
            destination: destination.to_owned(),
            writer: Some(ZipWriter::new_stream(file)),
            abandoned,
            options: SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Deflated)
                .last_modified_time(time)
                .unix_permissions(0o600),
        })
    }

    fn begin(&mut self, name: &str, is_large: bool) -> Result<(), ExportError> {
        let options = self.options.large_file(is_large);
        let begun = match &mut self.writer {
            Some(writer) => writer.start_file(name, options).map_err(io::Error::from),
            None => Err(ended()),
        };
        begun.map_err(|cause| output(&self.destination, cause))
    }

    fn publish(mut self: Box<Self>) -> Result<(), ExportError> {
        let destination = self.destination.clone();
        let failed = |cause| output(&destination, cause);
        let writer = self.writer.take().ok_or_else(|| failed(ended()))?;
        let file = writer.finish().map_err(|cause| failed(cause.into()))?;
        if self.abandoned.get() {
            return Err(failed(io::Error::other("an earlier write failed")));
        }
        let file = file.into_inner().file.into_inner();
        let file = file.map_err(|cause| failed(cause.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        publish_file(file.into_temp_path(), &destination)?;
        sync_folder(folder_of(&destination))
    }
}

fn ended() -> io::Error {
    io::Error::other("the archive was ended")
}

/// Gives a finished file its name unless that is taken.
fn publish_file(file: TempPath, to: &Path) -> Result<(), ExportError> {
    file.persist_noclobber(to).map_err(|failed| {
        if failed.error.kind() == io::ErrorKind::AlreadyExists {
            taken(to)
        } else {
            output(to, failed.error)
        }
    })
}

fn sync_folder(folder: &Path) -> Result<(), ExportError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|cause| output(folder, cause))
}

/// The folder that holds a path; `.` for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

fn taken(path: &Path) -> ExportError {
    ExportError::Exists {
        path: path.to_owned(),
    }
}

fn output(path: &Path, cause: io::Error) -> ExportError {
    ExportError::Output {
        path: path.to_owned(),
        cause,
    }
}

/// Counts and digests what passes through it.
pub(super) struct Digested<'a> {
    out: &'a mut dyn Write,
    sha256: Sha256,
    bytes: u64,
}

impl<'a> Digested<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            sha256: Sha256::new(),
            bytes: 0,
        }
    }

    /// SHA-256 in hex digits, and the number of bytes.
    pub(super) fn finish(self) -> (String, u64) {
        let digits = self.sha256.finalize();
        let digits = digits.iter().map(|byte| format!("{byte:02x}"));
        (digits.collect(), self.bytes)
    }
}

impl Write for Digested<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that cannot be written stands for a full disk.
    #[test]
    fn a_failed_write_is_told_once_and_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let destination = dir.path().join("out.zip");
        let mut out = ZipOut::create(&destination, zip::DateTime::default()).unwrap();
        let (_, path) = NamedTempFile::new_in(dir.path()).unwrap().into_parts();
        let read_only = NamedTempFile::from_parts(File::open(&path).unwrap(), path);
        out.writer = Some(ZipWriter::new_stream(ZipFile {
            file: BufWriter::with_capacity(1, read_only),
            abandoned: Rc::clone(&out.abandoned),
        }));
        assert!(out.begin("a.json", false).is_err());
        assert!(out.abandoned.get());
        let result = Box::new(out).publish();
        assert!(matches!(result, Err(ExportError::Output { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
