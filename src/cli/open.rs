//! From a location to an open store: the only place where the command line makes its `World`.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::cli::args;
use crate::cli::args::DEFAULT_COMPRESSION;
use crate::cli::args::DEFAULT_STORE;
use crate::cli::args::Global;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::output::Streams;
use crate::cli::paths;
use crate::cli::paths::BackupPlace;
use crate::cli::paths::Place;
use crate::cli::quote;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::json;
use crate::cli::render::progress_bar::Reporter;
use crate::cli::render::progress_bar::Style;
use crate::cli::render::text;
use crate::cli::signals::Signals;
use crate::error::Error;
use crate::error::SelectError;
use crate::error::StoreError;
use crate::ops::open;
use crate::ops::open::PathKind;
use crate::ops::open::Store;
use crate::ops::open::StoreOptions;
use crate::ops::open::World;
use crate::ops::select;
use crate::ops::select::SourceChoice;
use crate::ops::show::Manifest;

/// What every command works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// Where output goes.
    pub streams: &'a mut Streams,
    /// How things are shown.
    pub look: Look,
    /// The flags that every command takes.
    pub global: Global,
    /// The store that is used if the command's own words name none.
    pub store: PathBuf,
    /// Which signal was caught.
    pub signals: Signals,
    /// Clock, randomness and files.
    pub world: World,
}

impl<'a> Context<'a> {
    /// The context of a run of `program`, its name as it was called.
    pub fn new(global: Global, program: &OsStr, streams: &'a mut Streams) -> Self {
        let in_environment = std::env::var_os("LARDER_STORE").is_some_and(|v| !v.is_empty());
        let store: PathBuf =
            args::given(global.store.as_ref()).unwrap_or_else(|| DEFAULT_STORE.into());
        Self {
            streams,
            look: Look {
                verbose: global.verbose,
                zone: TimeZone::system(),
                program: quote::word(program),
                default_store: !in_environment,
                store: store.clone(),
            },
            store,
            global,
            signals: Signals::default(),
            world: World::system(),
        }
    }

    /// How a store is opened.
    pub fn options(&self, store: &Path, compression: i32) -> StoreOptions {
        StoreOptions {
            location: store.to_owned(),
            cache_dir: cache_folder(&self.global),
            compression,
        }
    }

    /// What is at a path.
    pub fn kind(&self, path: &Path) -> Result<PathKind, Error> {
        open::path_kind(path, &self.world)
    }

    /// Opens a store. Where there is none, but stores one level down, they are named.
    pub fn open(&self, store: &Path) -> Result<Store, Failure> {
        match paths::whole(store, &|path| self.kind(path))? {
            Place::Folder { folder, stores } => Err(which_store(&folder, &stores)),
            Place::Export(path) => Err(paths::no_store(&path, &PathKind::ExportFolder)),
            Place::Store(_) | Place::Snapshot { .. } => Ok(open::open(
                &self.options(store, DEFAULT_COMPRESSION),
                &self.world,
            )?),
        }
    }

    /// Opens the store that a backup goes to, or makes it. Says whether it was made.
    pub fn open_for_backup(
        &self,
        place: &BackupPlace,
        compression: i32,
    ) -> Result<(Store, bool), Failure> {
        let options = self.options(&place.store, compression);
        if place.create {
            match open::create(&options, &self.world) {
                // Another first backup made it meanwhile.
                Err(Error::Store(StoreError::Exists { .. })) => {}
                made => return Ok((made?, true)),
            }
        }
        Ok((open::open(&options, &self.world)?, false))
    }

    /// Makes an empty store.
    pub fn create(&self, store: &Path) -> Result<Store, Failure> {
        Ok(open::create(
            &self.options(store, DEFAULT_COMPRESSION),
            &self.world,
        )?)
    }

    /// What a word for snapshots means.
    pub fn place(&self, word: &OsStr) -> Result<Place, Failure> {
        paths::place(word, &self.store, &|path| self.kind(path))
    }

    /// The one snapshot that a word means: a store as such means its latest.
    pub fn one(&self, word: &OsStr, source: &SourceChoice) -> Result<Selected, Failure> {
        let (path, word) = match self.place(word)? {
            Place::Snapshot { store, word } => (store, word),
            Place::Store(store) => (store, "latest".to_owned()),
            Place::Folder { folder, stores } => return Err(which_store(&folder, &stores)),
            Place::Export(path) => return Err(self.is_export(&path)),
        };
        let store = self.open(&path)?;
        let manifest = select::one(&store, &word, source)?;
        Ok(Selected {
            path,
            store,
            manifest,
        })
    }

    /// The one store that all of the words name snapshots of, and what they are called there. A store as such
    /// is none of its snapshots here: what is done to the one that is meant should not happen to its latest.
    pub fn in_one_store(&self, words: &[OsString]) -> Result<(PathBuf, Vec<String>), Failure> {
        let mut found: Option<PathBuf> = None;
        let mut in_store = Vec::new();
        for word in words {
            let (store, word) = match self.place(word)? {
                Place::Snapshot { store, word } => (store, word),
                Place::Store(store) => {
                    return Err(Failure::usage(
                        format!("{} is a store, and no snapshot", escape::path(&store)),
                        "Name the snapshots: by id, its first digits, name, latest, latest~N, or STORE/NAME.",
                    ));
                }
                Place::Folder { folder, stores } => return Err(which_store(&folder, &stores)),
                Place::Export(path) => return Err(self.is_export(&path)),
            };
            if let Some(other) = &found
                && !paths::same(other, &store)
            {
                return Err(Failure::usage(
                    format!(
                        "the snapshots are of two stores: {} and {}",
                        escape::path(other),
                        escape::path(&store)
                    ),
                    "Do it for one store at a time.",
                ));
            }
            found = Some(store);
            in_store.push(word);
        }
        Ok((found.unwrap_or_else(|| self.store.clone()), in_store))
    }

    /// An export where only a snapshot of a store will do.
    fn is_export(&self, path: &Path) -> Failure {
        let words = ["import".as_ref(), path.as_os_str()];
        Failure::said(
            Code::Failed,
            format!(
                "{} is an export, and no snapshot of a store",
                escape::path(path)
            ),
            format!(
                "It is taken into the store with: {}\n\
                 list, validate and restore take it as it is.",
                self.look.command(&self.store, &words)
            ),
        )
    }

    /// From now on a signal asks the work to stop, and this tells how far it is.
    pub fn reporter(&mut self) -> Reporter<'_> {
        self.signals.catch();
        let style = if self.global.json {
            Style::Json
        } else if self.global.quiet {
            Style::Quiet
        } else if self.global.no_progress {
            Style::FindingsOnly
        } else if self.streams.err_is_terminal() {
            Style::Terminal
        } else {
            Style::Lines
        };
        Reporter::new(
            self.streams,
            style,
            self.signals.clone(),
            self.world.env.clone(),
        )
    }

    /// Tells why something was not done, and gives the code for it.
    pub fn tell(&mut self, failure: &Failure) -> Code {
        let code = failure.code(self.signals.caught());
        let mut advice = failure.advice(&self.look);
        if let Some(more) = self.is_a_file(failure) {
            let next = advice.next.take().unwrap_or_default();
            advice.next = Some(format!("{more}\n{next}"));
        }
        if self.global.json {
            let report = json::error(code, &advice.message, advice.next.as_deref());
            self.streams.problem_json(&report);
        } else {
            let causes = match self.global.verbose {
                true => failure.causes(),
                false => Vec::new(),
            };
            self.streams.problem(&text::error(&advice, &causes));
        }
        code
    }

    /// What to say where a word names no snapshot, but a file.
    fn is_a_file(&self, failure: &Failure) -> Option<String> {
        let Failure::Library(Error::Select(SelectError::NoSnapshot { word, .. })) = failure else {
            return None;
        };
        let path = Path::new(word);
        if self.kind(path).ok()? != PathKind::File {
            return None;
        }
        let words = ["backup".as_ref(), path.as_os_str()];
        Some(format!(
            "{} is a file. A database is backed up with: {}",
            escape::path(path),
            self.look.command(&self.store, &words)
        ))
    }

    /// As `tell`, where other work goes on. Once nobody reads any more, or it was asked to stop, the failure is
    /// handed back.
    pub fn go_on_after(&mut self, failure: Failure) -> Result<Code, Failure> {
        let is_over = self.streams.is_closed() || self.streams.has_failed();
        match is_over || self.signals.caught().is_some() {
            true => Err(failure),
            false => Ok(self.tell(&failure)),
        }
    }

    /// Shows what was done, or that all is well: the document with `--json`, nothing with `--quiet`, else the
    /// text.
    pub fn show<D: serde::Serialize>(&mut self, document: &D, text: impl FnOnce(&Look) -> String) {
        self.show_or(document, text, |_| String::new());
    }

    /// As `show`; with `--quiet` what is wrong of it, and nothing where nothing is.
    pub fn show_or<D: serde::Serialize>(
        &mut self,
        document: &D,
        text: impl FnOnce(&Look) -> String,
        wrong: impl FnOnce(&Look) -> String,
    ) {
        if self.global.json {
            self.streams.document(document);
        } else if self.global.quiet {
            self.streams.print(&wrong(&self.look));
        } else {
            self.streams.print(&text(&self.look));
        }
    }

    /// Shows what was asked for, with `--quiet` too: what a command is there to show, and a plan.
    pub fn answer<D: serde::Serialize>(
        &mut self,
        document: &D,
        text: impl FnOnce(&Look) -> String,
    ) {
        if self.global.json {
            self.streams.document(document);
        } else {
            self.streams.print(&text(&self.look));
        }
    }
}

/// A snapshot, and the store it is in.
#[derive(Debug)]
pub struct Selected {
    /// Where the store is, as it was given.
    pub path: PathBuf,
    /// The store.
    pub store: Store,
    /// The snapshot.
    pub manifest: Manifest,
}

fn which_store(folder: &Path, stores: &[PathBuf]) -> Failure {
    Failure::said(
        Code::NoStore,
        format!(
            "no store at {} (the folder holds {})",
            escape::path(folder),
            paths::list_of(stores)
        ),
        "Name one of them with --store.",
    )
}

/// Folder of the cache: as given, else `larder` in the user's cache folder, else none.
fn cache_folder(global: &Global) -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    args::given(global.cache_dir.as_ref())
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("larder")))
        .or_else(|| Some(folder("HOME")?.join(".cache").join("larder")))
}
