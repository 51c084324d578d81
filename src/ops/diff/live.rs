//! The two states before they are compared: a snapshot as it is, a database read into trees.

use std::path::Path;

use super::named::Wanted;
use super::tables::{DatabaseState, TableRoot};
use super::{DiffOptions, Operand, StateName};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::row::RowRef;
use crate::model::schema::{Schema, Table};
use crate::ops::grow::TreeSink;
use crate::ops::open::World;
use crate::ops::stored::{read_schema, root_of};
use crate::progress::{Finding, Progress, StopSign, Unit};
use crate::source::{Capture, CaptureOptions, Scanned, SourceError, rows};
use crate::store::{ScratchBlobs, rfc3339};
use crate::tree::TreeShape;
use crate::tree::build::TreeBuilder;

/// A state whose schema is known.
pub(super) enum Begun<'a> {
    Snapshot {
        manifest: &'a Manifest,
        schema: Schema,
        name: StateName,
    },
    Live {
        /// Fixes the moment.
        capture: Box<Capture>,
        name: StateName,
    },
}

impl Begun<'_> {
    pub(super) fn schema(&self) -> &Schema {
        match self {
            Self::Snapshot { schema, .. } => schema,
            Self::Live { capture, .. } => capture.schema(),
        }
    }

    pub(super) fn name(&self) -> &StateName {
        match self {
            Self::Snapshot { name, .. } | Self::Live { name, .. } => name,
        }
    }
}

/// How states are read.
pub(super) struct LiveOptions<'a> {
    pub options: &'a DiffOptions,
    pub world: &'a World,
    pub stop: StopSign,
}

impl LiveOptions<'_> {
    /// Reads a state's schema; of a database the moment is fixed.
    pub(super) fn begin<'a>(
        &self,
        operand: Operand<'a>,
        blobs: &ScratchBlobs,
    ) -> Result<Begun<'a>, Error> {
        match operand {
            Operand::Snapshot(_, manifest) => Ok(Begun::Snapshot {
                manifest,
                schema: read_schema(blobs, manifest)?,
                name: StateName {
                    name: manifest.name.clone(),
                    id: Some(manifest.id.to_string()),
                    time: manifest.time.clone(),
                },
            }),
            Operand::Live(path) => Ok(Begun::Live {
                capture: Box::new(self.capture(path, false)?),
                name: StateName {
                    name: path.display().to_string(),
                    id: None,
                    time: rfc3339(self.world.env.unix_ms()),
                },
            }),
        }
    }

    fn capture(&self, path: &Path, private_copy: bool) -> Result<Capture, SourceError> {
        let mut reading = self.options.reading.clone();
        reading.private_copy |= private_copy;
        let temp_dir = self.options.temp_dir.clone();
        let options = CaptureOptions {
            busy: self.options.busy_timeout,
            temp_dir: temp_dir.unwrap_or_else(std::env::temp_dir),
            vfs: self.world.vfs.clone(),
            env: self.world.env.clone(),
            stop: self.stop.clone(),
            reading,
        };
        Capture::begin(path, &options)
    }

    /// Reads a state. Nothing of a database stays open.
    pub(super) fn read(
        &self,
        begun: Begun<'_>,
        wanted: &Wanted,
        blobs: &mut ScratchBlobs,
        progress: &mut dyn Progress,
    ) -> Result<DatabaseState, Error> {
        let (mut capture, name) = match begun {
            Begun::Live { capture, name } => (*capture, name),
            Begun::Snapshot {
                manifest,
                schema,
                name,
            } => return Ok(of_snapshot(manifest, schema, name)),
        };
        let path = capture.path().to_owned();
        progress.phase(&format!("Reading {}", name.name), 0, Unit::Records);
        let mut copied = self.options.reading.private_copy;
        loop {
            match tables_of(&capture, wanted, blobs, progress) {
                // Others write more than may pile up: a copy lets go of the source sooner.
                Err(Error::Source(SourceError::WalGrew { .. })) if !copied => {
                    drop(capture);
                    copied = true;
                    capture = self.capture(&path, true)?;
                }
                Err(error) => return Err(error),
                Ok((tables, mut findings)) => {
                    findings.extend(facts(&capture, &name));
                    let state = DatabaseState {
                        schema: capture.schema().clone(),
                        settings: capture.settings().clone(),
                        name,
                        tables,
                        findings,
                    };
                    capture.finish()?;
                    return Ok(state);
                }
            }
        }
    }
}

fn of_snapshot(manifest: &Manifest, schema: Schema, name: StateName) -> DatabaseState {
    let mut findings = Vec::new();
    if manifest.damaged {
        let text =
            "its database was damaged when it was taken: rows that could not be read are missing";
        findings.push(Finding::note(format!("snapshot {}", manifest.name), text));
    }
    let tables = manifest.all_tables().map(|entity| TableRoot {
        table: entity.entity.clone(),
        root: root_of(entity),
    });
    DatabaseState {
        tables: tables.collect(),
        schema,
        settings: manifest.settings.clone(),
        name,
        findings,
    }
}

/// What was found while the database was opened.
fn facts(capture: &Capture, name: &StateName) -> Vec<Finding> {
    let notes = capture.notes().iter();
    let notes = notes.map(|note| Finding::note(name.name.clone(), note.clone()));
    let damage = capture.damage();
    let damage =
        damage.map(|damage| Finding::warning(name.name.clone(), format!("damaged: {damage}")));
    let unreadable = capture.unreadable().iter();
    let unreadable = unreadable.map(|object| {
        let text = format!("cannot be read from the schema ({})", object.reason);
        Finding::warning(object.name.clone(), text)
    });
    notes.chain(damage).chain(unreadable).collect()
}

/// Reads the tables that are wanted into trees.
fn tables_of(
    capture: &Capture,
    wanted: &Wanted,
    blobs: &mut ScratchBlobs,
    progress: &mut dyn Progress,
) -> Result<(Vec<TableRoot>, Vec<Finding>), Error> {
    let (mut roots, mut findings) = (Vec::new(), Vec::new());
    let schema = capture.schema();
    for table in &schema.tables {
        if !capture.moment().carries(table) || !(wanted.is_all() || wanted.names(&table.name)) {
            continue;
        }
        let shape = TreeShape::of(table, schema.encoding);
        let builder = TreeBuilder::new(&shape, blobs.hash());
        let mut look_at = |_: RowRef<'_>| true;
        let mut sink = TreeSink::new(builder, blobs, progress, &mut look_at);
        let scanned = rows(capture.moment(), table, &mut sink);
        let grown = sink.end(scanned, capture.path())?;
        findings.extend(of_gaps(table, &grown.scanned));
        roots.push(TableRoot {
            table: table.name.clone(),
            root: grown.root,
        });
    }
    Ok((roots, findings))
}

fn of_gaps(table: &Table, scanned: &Scanned) -> Option<Finding> {
    let cause = &scanned.gaps.first()?.cause;
    let places = match scanned.gap_count {
        1 => "one place".to_owned(),
        count => format!("{count} places"),
    };
    let text = format!("rows at {places} cannot be read ({cause}): they count as missing");
    Some(Finding::warning(table.name.clone(), text))
}
