//! Who is at work on a store: writers, clean-ups, one who forgets. The code of larder itself, driven by
//! a [`StepBackend`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use larder::env::Env;
use larder::error::Error;
use larder::format::blob::BlobSink;
use larder::model::id::SnapshotId;
use larder::model::process::ProcessMark;
use larder::ops::open::{Store, World};
use larder::ops::prune::{self, PruneOptions};
use larder::progress::NoProgress;
use larder::store::rules::Rules;
use larder::store::{StoreError, Usage};
use larder::testkit::seeded_env::SeededEnv;
use larder::vfs::os::OsVfs;

use super::scene::{Blobs, Letter, closure, kind, other};
use super::stepping::StepBackend;

/// One who is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    Writer {
        want: Letter,
        /// It stores a blob as a delta where it may.
        deltas: bool,
        /// It publishes each blob in a pack of its own, parents first: the worst order.
        alone: bool,
        /// It takes what it knows of this snapshot's blobs unasked, where it may.
        follows: Option<SnapshotId>,
        /// It begins so often when it is fenced.
        tries: u32,
        /// What no writer may do.
        sin: Option<Sin>,
    },
    Prune {
        /// Partly dead packs are copied.
        repacks: bool,
        /// It finds every other process dead, be it or not; else alive.
        finds_dead: bool,
    },
    /// Deletes a manifest: what forgetting and some clean-up do together, at any time.
    Delete(SnapshotId),
    /// Forgets a snapshot and takes that back.
    Undo(SnapshotId),
}

/// What a writer may do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sin {
    /// It takes a known node for a proof of what is below it.
    TrustsNodes,
    /// It skips what a manifest reaches that it saw before it registered.
    SkipsByOldList,
}

/// How an actor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Committed,
    Undone,
    Pruned,
    Other,
}

/// A seeded world in which other processes live, or do not.
struct ActorEnv {
    seeded: SeededEnv,
    finds_dead: bool,
}

impl Env for ActorEnv {
    fn unix_ms(&self) -> i64 {
        self.seeded.unix_ms()
    }
    fn monotonic(&self) -> Duration {
        self.seeded.monotonic()
    }
    fn fill_random(&self, out: &mut [u8]) {
        self.seeded.fill_random(out);
    }
    fn sleep(&self, time: Duration) {
        self.seeded.sleep(time);
    }
    fn host(&self) -> String {
        self.seeded.host()
    }
    fn process(&self) -> Option<ProcessMark> {
        self.seeded.process()
    }
    fn is_running(&self, _: &ProcessMark) -> Option<bool> {
        Some(!self.finds_dead)
    }
}

/// An actor that can be run.
#[derive(Clone)]
pub struct Actor {
    pub role: Role,
    /// Tells it from others.
    pub number: u64,
    pub rules: Rules,
    /// A cache that it begins with.
    pub cache: Option<PathBuf>,
    /// Where its cache is kept, if it is.
    pub cache_kept: Option<PathBuf>,
}

impl Actor {
    /// What it is called in traces.
    pub fn name(&self) -> String {
        let what = match &self.role {
            Role::Writer { .. } => "writer",
            Role::Prune { .. } => "prune",
            Role::Delete(_) => "forget",
            Role::Undo(_) => "undo",
        };
        format!("{what} {}", self.number)
    }

    /// Runs it to its end, or until its store stops it.
    pub fn run(&self, blobs: &Blobs, backend: Arc<StepBackend>) -> End {
        let finds_dead = !matches!(
            self.role,
            Role::Prune {
                finds_dead: false,
                ..
            }
        );
        let env: Arc<dyn Env> = Arc::new(ActorEnv {
            seeded: SeededEnv::new(self.number),
            finds_dead,
        });
        let cache_dir = self.cache.as_ref().map(|from| {
            let dir = tempfile::tempdir().unwrap();
            for entry in std::fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
            }
            dir
        });
        let usage = Usage {
            cache_dir: self
                .cache_kept
                .clone()
                .or_else(|| cache_dir.as_ref().map(|dir| dir.path().to_owned())),
            compression: 1,
            rules: self.rules,
        };
        let Ok(store) = Store::open(backend, env.clone(), usage) else {
            return End::Other;
        };
        match &self.role {
            Role::Writer { .. } => self.write(blobs, &store),
            Role::Prune { repacks, .. } => {
                let options = PruneOptions {
                    dry_run: false,
                    grace: Duration::ZERO,
                    max_wait: Duration::ZERO,
                    max_unused_percent: if *repacks { 0 } else { 100 },
                };
                let world = World {
                    env,
                    vfs: Arc::new(OsVfs),
                };
                match prune::run(&store, &world, &options, &mut NoProgress) {
                    Ok(_) => End::Pruned,
                    Err(_) => End::Other,
                }
            }
            Role::Delete(id) => {
                let _ = store.withdraw(id);
                End::Other
            }
            Role::Undo(id) => {
                let undone = store.forget(id).and_then(|_| store.unforget(id));
                match undone {
                    Ok(true) => End::Undone,
                    _ => End::Other,
                }
            }
        }
    }

    fn write(&self, blobs: &Blobs, store: &Store) -> End {
        let Role::Writer { tries, .. } = &self.role else {
            return End::Other;
        };
        for _ in 0..*tries {
            match self.try_write(blobs, store) {
                Ok(()) => return End::Committed,
                Err(Error::Store(StoreError::Fenced { .. })) => {}
                Err(_) => return End::Other,
            }
        }
        End::Other
    }

    fn try_write(&self, blobs: &Blobs, store: &Store) -> Result<(), Error> {
        let Role::Writer {
            want,
            deltas,
            alone,
            follows,
            sin,
            ..
        } = &self.role
        else {
            return Ok(());
        };
        let (want, deltas, alone) = (*want, *deltas, *alone);
        let skips = *sin == Some(Sin::SkipsByOldList) && {
            let ids = store.snapshot_names()?.ids;
            let mut roots = Vec::new();
            for id in &ids {
                roots.extend(
                    store
                        .manifest(id)?
                        .and_then(|manifest| blobs.root(&manifest)),
                );
            }
            roots.contains(&want)
        };
        let mut writer = store.writer(SeededEnv::START_UNIX_MS)?;
        if let Some(parent) = follows {
            writer.follow(parent)?;
        }
        let mut letters = closure(want);
        letters.push('S');
        // A tree is built from its leaves.
        if !alone {
            letters.reverse();
        }
        for letter in letters {
            let (kind, canonical) = (kind(letter), &blobs.canonical[&letter]);
            if skips {
                continue;
            }
            if *sin == Some(Sin::TrustsNodes)
                && letter != want
                && store.reader()?.usable(kind_of(want), &blobs.id(want))?
            {
                continue;
            }
            let base = other(letter).filter(|_| deltas);
            let put = match (follows, base) {
                (Some(_), _) => writer.keep(kind, &blobs.id(letter), canonical),
                (None, Some(base)) => {
                    let mut patch = || Ok(Some(blobs.patch(letter, base)));
                    let bases = [blobs.id(base)];
                    writer
                        .replace(kind, canonical, &bases, &mut patch)
                        .map(|_| ())
                }
                (None, None) => writer.put(kind, canonical).map(|_| ()),
            };
            if let Err(error) = put {
                let _ = writer.abandon();
                return Err(StoreError::from(error).into());
            }
            if alone {
                writer.flush()?;
            }
        }
        let manifest = blobs.manifest(writer.snapshot(), want);
        writer.commit(&manifest)?;
        Ok(())
    }
}

fn kind_of(letter: Letter) -> larder::format::blob::BlobKind {
    kind(letter)
}
