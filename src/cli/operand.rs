//! What a word means where both a snapshot and a database may stand: a path with a `/` that is a
//! file is a database; a bare word is a snapshot if there is one, else the file of that name.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::open::Selected;
use crate::cli::paths;
use crate::cli::render::escape;
use crate::error::Error;
use crate::error::SelectError;
use crate::error::StoreError;
use crate::ops::open;
use crate::ops::open::PathKind;
use crate::ops::select;
use crate::ops::select::SourceChoice;

/// A state of a database.
#[derive(Debug)]
pub enum StateWord {
    /// A snapshot.
    Snapshot(Box<Selected>),
    /// A database file.
    Live(PathBuf),
}

/// Which source `latest` is about: that of the database among the words, else the only one.
pub fn source(words: [&OsStr; 2], cx: &Context<'_>) -> Result<SourceChoice, Failure> {
    for word in words.into_iter().filter(|word| !word.is_empty()) {
        let path = Path::new(word);
        if cx.kind(path)? == PathKind::File {
            return Ok(SourceChoice::Of(path.to_owned()));
        }
    }
    Ok(SourceChoice::Single)
}

/// What a word means. Errors: neither a snapshot nor a file, with what is near.
pub fn state(word: &OsStr, source: &SourceChoice, cx: &Context<'_>) -> Result<StateWord, Failure> {
    let path = Path::new(word);
    let is_file = !word.is_empty() && cx.kind(path)? == PathKind::File;
    let has_slash = word.as_encoded_bytes().contains(&b'/');
    if is_file && has_slash {
        return Ok(StateWord::Live(path.to_owned()));
    }
    let failure = match cx.one(word, source) {
        Ok(selected) => return Ok(StateWord::Snapshot(Box::new(selected))),
        Err(failure) => failure,
    };
    let near = match &failure {
        // Of a name that only a forgotten snapshot has, the file is meant.
        Failure::Library(Error::Select(SelectError::Forgotten { .. })) if is_file => None,
        Failure::Library(Error::Select(SelectError::NoSnapshot { nearest, .. })) => nearest.clone(),
        Failure::Library(
            Error::Store(StoreError::NoStore { .. }) | Error::Select(SelectError::Empty { .. }),
        )
        | Failure::Said {
            code: Code::NoStore,
            ..
        } => {
            // Nothing else is called so, and there is no snapshot: that is what is wrong.
            if !is_file && word.to_str().is_some_and(paths::is_latest) {
                return Err(failure);
            }
            None
        }
        _ => return Err(failure),
    };
    if is_file {
        return Ok(StateWord::Live(path.to_owned()));
    }
    Err(neither(word, near, cx))
}

fn neither(word: &OsStr, snapshot: Option<String>, cx: &Context<'_>) -> Failure {
    let path = Path::new(word);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name().unwrap_or(word).to_string_lossy();
    let names = open::names_in(folder.unwrap_or(Path::new(".")), &cx.world);
    let file = select::nearest(&name, names.iter().map(String::as_str));
    let file = file.map(|name| match folder {
        Some(folder) => folder.join(name).display().to_string(),
        None => name,
    });
    let near: Vec<String> = [snapshot, file].into_iter().flatten().collect();
    let near = near.iter().map(|name| format!("{name:?}"));
    let near = near.collect::<Vec<_>>().join(" or ");
    let asked = match near.as_str() {
        "" => String::new(),
        near => format!("; did you mean {near}?"),
    };
    Failure::said(
        Code::Failed,
        format!(
            "{:?} is neither a snapshot in {} nor a file{asked}",
            word.to_string_lossy(),
            escape::path(&cx.store)
        ),
        format!(
            "Snapshots are listed with: {}",
            cx.look.command(&cx.store, &["list".as_ref()])
        ),
    )
}
