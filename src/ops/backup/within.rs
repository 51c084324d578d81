//! A snapshot of a database within the transaction that writes it, read just before that counts: so
//! it is what the transaction makes of the database, and nothing that others write is in it.
//!
//! Only what was written is read. Of all other tables the snapshot before the transaction is taken
//! at its word, so that one must be of the very state in which the transaction began.

use super::conclude::{Label, Written, conclude};
use super::content::Content;
use super::naming::{self, Basis, Lineage};
use super::parent::{self, Parent};
use super::report::ids_with;
use super::{FENCED_TRIES, go_on, tables};
use crate::error::Error;
use crate::format::manifest::{Entity, Manifest, RestoreMark, Source};
use crate::model::id::SnapshotId;
use crate::model::schema::{Schema, Table};
use crate::ops::list::{SnapshotSummary, summary};
use crate::ops::open::{Store, World};
use crate::ops::select::{AFTER_TAG, UNCOMMITTED_TAG, each_forgotten, newest_first};
use crate::progress::{Finding, Progress, Unit};
use crate::source::{Moment, Uncommitted};
use crate::store::{StoreError, StoreWriter};
use crate::target::LiveDatabase;

/// What the transaction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It restores records of this snapshot.
    Restore(SnapshotId),
    /// It replaces all of the database by what this snapshot holds.
    Replace {
        /// The snapshot.
        of: SnapshotId,
        /// It holds pages, for its records do not make the database again.
        of_pages: bool,
    },
    /// It undoes the restore after which this snapshot was taken.
    Undo(SnapshotId),
}

/// What a snapshot within a transaction stands on.
#[derive(Debug, Clone)]
pub struct After<'a> {
    /// The snapshot of the database as it was when the transaction began.
    pub before: &'a Manifest,
    /// What the transaction does.
    pub deed: Deed,
    /// Tables whose rows it wrote, or may have written. New tables, tables with another definition
    /// and those that no person made are read in any case.
    pub changed: &'a [String],
}

/// A snapshot that was taken within a transaction which does not count yet.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its manifest.
    pub manifest: Manifest,
    /// As lists show it.
    pub summary: SnapshotSummary,
}

/// Takes the snapshot. On return it is durable and visible, and the transaction may be committed; if
/// that fails, [`withdraw`] takes the snapshot back. After an error nothing is visible, as far as the
/// store could still be told so.
///
/// Errors: `Store`; `Source` if the database cannot be read; `Target` outside a transaction;
/// `Cancelled`.
pub fn take_within(
    store: &Store,
    world: &World,
    live: &LiveDatabase,
    job: &After<'_>,
    progress: &mut dyn Progress,
) -> Result<Taken, Error> {
    let state = Uncommitted::read(live.in_transaction()?)?;
    take_of(store, world, &state, job, progress)
}

/// As [`take_within`], of what a transaction will make, wherever that is to be read.
pub fn take_of(
    store: &Store,
    world: &World,
    state: &Uncommitted<'_>,
    job: &After<'_>,
    progress: &mut dyn Progress,
) -> Result<Taken, Error> {
    let mut tries = 1;
    loop {
        match attempt(store, world, state, job, progress) {
            Err(Error::Store(StoreError::Fenced { .. })) if tries < FENCED_TRIES => tries += 1,
            done => return done,
        }
    }
}

/// Says of a snapshot that its transaction counts: it is put in the place of the one that does not say so.
/// Where that does not come about, nobody can know from the store whether the transaction came to count.
///
/// Errors: `Store`; then both may stand, or the first.
pub fn confirm(store: &Store, world: &World, taken: &Taken) -> Result<Taken, Error> {
    let time_ms = time_after(store, world, &taken.manifest.source.path)?;
    let writer = store.writer(time_ms)?;
    let manifest = Manifest {
        id: writer.snapshot().clone(),
        time: crate::store::rfc3339(time_ms),
        tags: vec![AFTER_TAG.to_owned()],
        ..taken.manifest.clone()
    };
    let (writer, ids) = go_on(writer, ids_with(store, &manifest.id).map_err(Error::from))?;
    writer.commit(&manifest)?;
    withdraw(store, taken)?;
    Ok(Taken {
        summary: summary(&manifest, &ids),
        manifest,
    })
}

/// Now, but after all that was done to this database before, whatever the clocks say: the last deed is the
/// newest.
fn time_after(store: &Store, world: &World, path: &str) -> Result<i64, Error> {
    let time = |manifest: &Manifest| manifest.time.parse::<jiff::Timestamp>().ok();
    let is_deed = |manifest: &Manifest| manifest.restore.is_some() && manifest.source.path == path;
    let mut last = None;
    newest_first(
        store,
        |manifest| {
            if is_deed(&manifest) {
                last = time(&manifest);
                return Ok(false);
            }
            Ok(true)
        },
        |_, error| Err(error.into()),
    )?;
    // What is forgotten was done, and may be taken back.
    each_forgotten(store, |manifest| {
        if is_deed(&manifest) {
            last = last.max(time(&manifest));
        }
    })?;
    let after = last.map_or(i64::MIN, |time| time.as_millisecond().saturating_add(1));
    Ok(world.env.unix_ms().max(after))
}

/// Takes a snapshot back whose transaction did not come to count. Its packs are garbage then.
///
/// Errors: `Store`; the snapshot may then stand, and say what never was.
pub fn withdraw(store: &Store, taken: &Taken) -> Result<(), Error> {
    Ok(store.withdraw(&taken.manifest.id)?)
}

fn attempt(
    store: &Store,
    world: &World,
    state: &Uncommitted<'_>,
    job: &After<'_>,
    progress: &mut dyn Progress,
) -> Result<Taken, Error> {
    let time_ms = time_after(store, world, &job.before.source.path)?;
    let lineage = naming::read(store, None, time_ms)?;
    let mut writer = store.writer(time_ms)?;
    let done = write(store, state, job, &mut writer, progress)
        .and_then(|written| {
            let label = job.label(state, lineage, time_ms);
            conclude(store, state.moment(), label, written, &mut writer)
        })
        .and_then(|(manifest, _)| {
            let ids = ids_with(store, &manifest.id)?;
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let summary = summary(&manifest, &ids);
            Ok(Taken { manifest, summary })
        });
    let (writer, taken) = go_on(writer, done)?;
    match writer.commit(&taken.manifest) {
        Ok(_) => Ok(taken),
        Err(error) => {
            // It may stand all the same. The first error says what went wrong.
            let _ = store.withdraw(&taken.manifest.id);
            Err(error.into())
        }
    }
}

fn write(
    store: &Store,
    state: &Uncommitted<'_>,
    job: &After<'_>,
    writer: &mut StoreWriter,
    progress: &mut dyn Progress,
) -> Result<Written, Error> {
    let moment = state.moment();
    let canonical = parent::encode_schema(moment.schema())?;
    let basis = Basis {
        manifest: job.before.clone(),
        is_of_source: true,
    };
    let parent = Parent::open(store, writer, basis)?;
    let schema = parent::put_schema(&canonical, Some(&parent), writer)?;
    progress.phase("Reading what was written", 0, Unit::Records);
    let kept = |table: &Table| job.kept(&parent, moment.schema(), table);
    let tables = tables::write_all(moment, Some(&parent), &kept, None, writer, progress)?;
    let unreadable = state.unreadable().iter();
    let mut findings: Vec<Finding> = unreadable
        .map(|object| Finding::warning(&object.name, &object.reason))
        .collect();
    findings.extend(tables::unordered(moment.schema(), &tables.entities));
    findings.extend(tables.findings);
    findings.extend(job.lacks(moment));
    Ok(Written {
        parent: Some(parent),
        schema,
        content: Content {
            entities: tables.entities,
            internal: tables.internal,
            pages: None,
            damaged: tables.damaged || (job.before.damaged && !job.replaces_all()),
            integrity: None,
            full_text: Vec::new(),
            findings,
            skipped: 0,
            keys: tables.keys,
        },
    })
}

impl After<'_> {
    fn label(&self, state: &Uncommitted<'_>, lineage: Lineage, time_ms: i64) -> Label {
        let (of, undoes) = match &self.deed {
            Deed::Restore(of) | Deed::Replace { of, .. } => (Some(of.clone()), None),
            Deed::Undo(undoes) => (None, Some(undoes.clone())),
        };
        Label {
            name: lineage.name,
            tags: vec![AFTER_TAG.to_owned(), UNCOMMITTED_TAG.to_owned()],
            time_ms,
            host: self.before.host.clone(),
            source: Source {
                bytes: state.bytes(),
                ..self.before.source.clone()
            },
            restore: Some(RestoreMark {
                before: self.before.id.clone(),
                of,
                undoes,
                changed: self.changed.to_vec(),
            }),
        }
    }

    /// What the snapshot before says of a table that was not written. `None`: the table is read.
    fn kept(&self, parent: &Parent, schema: &Schema, table: &Table) -> Option<Entity> {
        // Unless all blobs of that snapshot are known to be there, each is looked up.
        let was_written = |name: &String| name.eq_ignore_ascii_case(&table.name);
        if self.replaces_all()
            || !parent.is_complete
            || table.is_internal()
            || self.changed.iter().any(was_written)
        {
            return None;
        }
        let (entity, ..) = parent.entity(&table.name)?;
        let is_same = parent.has_same_table(schema, &table.name);
        is_same.then(|| entity.clone())
    }

    /// True if nothing of the database stays.
    fn replaces_all(&self) -> bool {
        matches!(self.deed, Deed::Replace { .. })
    }

    /// What of the database is not in this snapshot.
    fn lacks(&self, moment: Moment<'_>) -> impl Iterator<Item = Finding> {
        let (subject, before) = (moment.path().display().to_string(), &self.before.id);
        let with_pages = match &self.deed {
            Deed::Replace { of, of_pages } => Some(of).filter(|_| *of_pages),
            Deed::Restore(_) | Deed::Undo(_) => self.before.pages.as_ref().map(|_| before),
        };
        let pages = with_pages.map(|snapshot| {
            let text = format!("its records alone are kept; for its pages see snapshot {snapshot}");
            Finding::note(&subject, text)
        });
        let damage = (self.before.damaged && !self.replaces_all()).then(|| {
            let text = format!("damaged: for what cannot be read of it see snapshot {before}");
            Finding::warning(&subject, text)
        });
        pages.into_iter().chain(damage)
    }
}
