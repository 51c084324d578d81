//! Whether files are what the manifest says: each is read to its end, digested and counted.

use std::fmt::Write as _;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::document::{self, Each, ReadError, of_input};
use super::long_strings::Aside;
use super::place::{Place, unreadable};
use crate::error::{Error, FileDamage, FileDamageKind};
use crate::model::exported::ExportedFile;
use crate::model::text::TextEncoding;

/// A file that was read.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Its length.
    pub bytes: u64,
    /// What is wrong with it; empty: nothing.
    pub damage: Vec<FileDamage>,
}

/// Reads a file, and gives each record on. What is wrong with the file is in the outcome; records
/// may have been given on all the same. Errors: those of the system, and of `each`.
pub(super) fn file(
    place: &mut Place,
    file: &ExportedFile,
    encoding: TextEncoding,
    each: Each<'_>,
) -> Result<Looked, Error> {
    let path = place.path().to_owned();
    let aside = Aside::new(place.mark().to_owned(), encoding);
    let mut looked = Looked::default();
    let Some(opened) = place.file(&file.filename)? else {
        looked.damage.push(damage(file, FileDamageKind::Missing));
        return Ok(looked);
    };
    let mut digested = Digested {
        inner: opened.reader,
        sha256: Sha256::new(),
        bytes: 0,
    };
    let read = document::read(&mut digested, &file.entity_type, aside, each);
    // The sum is of the whole file, however far it holds records.
    let drained = match &read {
        Err(ReadError::Input(_) | ReadError::Other(_)) => Ok(()),
        Ok(_) | Err(ReadError::Content(_)) => {
            let copied = io::copy(&mut digested, &mut io::sink());
            copied.map(drop).map_err(of_input)
        }
    };
    // The reader goes here: the place is free again.
    let (found, bytes) = digested.finish();
    looked.bytes = bytes;
    let read = match (read, drained) {
        (Err(ReadError::Content(cause)), Err(ReadError::Content(_))) => {
            Err(ReadError::Content(cause))
        }
        (read, Ok(())) => read,
        (_, Err(error)) => Err(error),
    };
    let is_same = found.eq_ignore_ascii_case(&file.sha256);
    if !is_same {
        let recorded = file.sha256.clone();
        let changed = FileDamageKind::Changed { found, recorded };
        looked.damage.push(damage(file, changed));
    }
    match read {
        Ok(found) if found == file.record_count => {}
        Ok(found) => {
            let recorded = file.record_count;
            let count = FileDamageKind::Count { found, recorded };
            looked.damage.push(damage(file, count));
        }
        Err(ReadError::Content(cause)) => {
            let unreadable = FileDamageKind::Unreadable { cause };
            looked.damage.push(damage(file, unreadable));
        }
        Err(ReadError::Input(cause)) => return Err(unreadable(&path, cause).into()),
        Err(ReadError::Other(error)) => return Err(error),
    }
    Ok(looked)
}

fn damage(file: &ExportedFile, cause: FileDamageKind) -> FileDamage {
    FileDamage {
        file: file.filename.clone(),
        entity: file.entity_type.clone(),
        cause,
    }
}

/// Digests and counts what is read through it.
struct Digested<R> {
    inner: R,
    sha256: Sha256,
    bytes: u64,
}

impl<R: Read> Digested<R> {
    /// SHA-256 in hex digits, and the number of bytes.
    fn finish(self) -> (String, u64) {
        let mut digits = String::with_capacity(64);
        for byte in self.sha256.finalize() {
            let _ = write!(digits, "{byte:02x}");
        }
        (digits, self.bytes)
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
