//! What a word means that may be a path: which store, and which snapshot in it.
//!
//! Pure over a function that tells what is at a path, so that the rules can be tried without files.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::error::Error;
use crate::error::StoreError;
use crate::ops::open::PathKind;

/// Tells what is at a path.
pub type Look<'a> = &'a dyn Fn(&Path) -> Result<PathKind, Error>;

/// Where a backup goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPlace {
    /// The store.
    pub store: PathBuf,
    /// True if it must be made first.
    pub create: bool,
    /// The name that the path gives the snapshot.
    pub name: Option<String>,
}

/// What a word for snapshots means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One snapshot of a store: an id, prefix, name, `latest` or `latest~N`.
    Snapshot {
        /// The store.
        store: PathBuf,
        /// The word, for `ops::select`.
        word: String,
    },
    /// A store as a whole: all its snapshots, or its latest.
    Store(PathBuf),
    /// A folder that is no store, and the stores one level down.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// At least one, sorted.
        stores: Vec<PathBuf>,
    },
    /// An export: one snapshot in plain files, in no store.
    Export(PathBuf),
}

/// The folder that a path is in; `.` for a single word.
fn parent(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    })
}

/// True for `latest` and `latest~1`, which are no paths.
pub fn is_latest(word: &str) -> bool {
    word == "latest" || word.starts_with("latest~")
}

/// True for `backup_YYYYMMDD_HHMMSS`, the form of a name that was not chosen.
pub fn is_default_name(name: &str) -> bool {
    let digits = |text: &str, n| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    name.strip_prefix("backup_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(date, time)| digits(date, 8) && digits(time, 6))
}

/// What `found` says of a path that is no folder.
pub const A_FILE: &str = "a file is there";

/// What `found` says of an export.
pub const AN_EXPORT: &str = "an export is there";

/// What is at a path, for the end of "no store at …".
pub fn found(kind: &PathKind) -> &'static str {
    match kind {
        PathKind::Store => "a store is there",
        PathKind::Absent => "nothing is there",
        PathKind::EmptyFolder => "the folder is empty",
        PathKind::Folder { stores } if stores.is_empty() => "the folder holds other things",
        PathKind::Folder { .. } => "the folder holds stores, but is none",
        PathKind::ExportFolder | PathKind::ExportZip => AN_EXPORT,
        PathKind::File => A_FILE,
    }
}

/// No store, and no snapshot of one, at a path.
pub fn no_store(path: &Path, kind: &PathKind) -> Failure {
    Failure::Library(Error::Store(StoreError::NoStore {
        location: path.display().to_string(),
        found: found(kind),
    }))
}

/// Where `backup` goes with the store at `path`, which is made if nothing is there.
pub fn backup_store(path: &Path, look: Look<'_>) -> Result<BackupPlace, Failure> {
    let place = |create| BackupPlace {
        store: path.to_owned(),
        create,
        name: None,
    };
    match look(path)? {
        PathKind::Store => Ok(place(false)),
        PathKind::Absent | PathKind::EmptyFolder => Ok(place(true)),
        PathKind::Folder { stores } => Err(refused(path, &stores)),
        PathKind::ExportFolder => Err(refused(path, &[])),
        PathKind::ExportZip | PathKind::File => Err(Failure::said(
            Code::Failed,
            format!("{} is a file, and a store is a folder", escape::path(path)),
            "Give a store, or a folder that is empty or does not exist yet.",
        )),
    }
}

/// Where `backup -o path` goes: a store, a new snapshot's place in one, or a new store.
pub fn backup_output(path: &Path, look: Look<'_>) -> Result<BackupPlace, Failure> {
    if look(path)? == PathKind::Store {
        return backup_store(path, look);
    }
    if let (Some(store), Some(name)) = (parent(path), path.file_name().and_then(OsStr::to_str))
        && (is_default_name(name) || look(store)? == PathKind::Store)
    {
        let name = Some(name.to_owned());
        return Ok(BackupPlace {
            name,
            ..backup_store(store, look)?
        });
    }
    backup_store(path, look)
}

fn refused(path: &Path, stores: &[PathBuf]) -> Failure {
    let shown = escape::path(path);
    if stores.is_empty() {
        return Failure::Library(Error::Store(StoreError::NotEmpty {
            location: path.display().to_string(),
        }));
    }
    Failure::said(
        Code::Failed,
        format!("{shown} is not a store, and holds other things"),
        format!(
            "It holds {}. Name one of them with --store.",
            list_of(stores)
        ),
    )
}

/// `1 store: ./backups/b1`, `2 stores: …`
pub fn list_of(stores: &[PathBuf]) -> String {
    let shown: Vec<String> = stores.iter().map(|store| escape::path(store)).collect();
    let stores = figures::counted(stores.len() as u64, "store");
    format!("{stores}: {}", shown.join(", "))
}

/// What a word for snapshots means: a path if it has a `/` or names a store's folder, else a
/// snapshot in the store that is used.
pub fn place(word: &OsStr, store: &Path, look: Look<'_>) -> Result<Place, Failure> {
    let path = Path::new(word);
    let in_store = |word: &str| Place::Snapshot {
        store: store.to_owned(),
        word: word.to_owned(),
    };
    let has_slash = word.as_encoded_bytes().contains(&b'/');
    match word.to_str() {
        Some("") => return Err(Failure::usage("an empty word names no snapshot", LIST_THEM)),
        Some(text) if !has_slash && is_latest(text) => return Ok(in_store(text)),
        _ => {}
    }
    let kind = look(path)?;
    match (kind, word.to_str()) {
        (PathKind::Store, _) => Ok(Place::Store(path.to_owned())),
        (PathKind::ExportFolder | PathKind::ExportZip, _) => Ok(Place::Export(path.to_owned())),
        (_, Some(text)) if !has_slash => Ok(in_store(text)),
        (PathKind::Folder { stores }, _) if !stores.is_empty() => Ok(Place::Folder {
            folder: path.to_owned(),
            stores,
        }),
        (kind, _) => match (parent(path), path.file_name().and_then(OsStr::to_str)) {
            (Some(store), Some(word)) if look(store)? == PathKind::Store => Ok(Place::Snapshot {
                store: store.to_owned(),
                word: word.to_owned(),
            }),
            _ => Err(no_store(path, &kind)),
        },
    }
}

const LIST_THEM: &str =
    "Name it by its id, its first digits, its name, latest, latest~N, or STORE/NAME.";

/// What the store that is used means where no snapshot is named: it, or the stores one level down.
pub fn whole(store: &Path, look: Look<'_>) -> Result<Place, Failure> {
    match look(store)? {
        PathKind::Store => Ok(Place::Store(store.to_owned())),
        PathKind::ExportFolder | PathKind::ExportZip => Ok(Place::Export(store.to_owned())),
        PathKind::Folder { stores } if !stores.is_empty() => Ok(Place::Folder {
            folder: store.to_owned(),
            stores,
        }),
        kind => Err(no_store(store, &kind)),
    }
}

/// True if both are one folder as written: `./backups/` and `backups`.
pub fn same(a: &Path, b: &Path) -> bool {
    let parts = |path: &Path| -> Vec<PathBuf> {
        path.components()
            .filter(|part| *part != std::path::Component::CurDir)
            .map(|part| PathBuf::from(part.as_os_str()))
            .collect()
    };
    parts(a) == parts(b)
}

#[cfg(test)]
mod tests;
