//! What differs from one state of a database to another: rows added, changed and removed, and what
//! is different in the schema. A state is a snapshot, or a database as it lies there.
//!
//! A database is read first, whole and in one state as for a backup, into trees of which only what
//! no store has is kept; then two trees are compared, whatever they are of. So nothing of a database
//! is held while rows are given to a reader that may be slow.

mod columns;
mod live;
mod named;
mod schema;
mod tables;

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::format::manifest::{Changes, Manifest};
use crate::model::schema::ObjectKind;
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;
use crate::ops::open::{Store, World};
use crate::progress::{Finding, Progress};
pub use crate::source::Reading;
use crate::store::ScratchBlobs;
pub use crate::tree::diff::Matched;
use live::LiveOptions;
use named::Wanted;
use tables::DatabaseState;

/// A state to compare.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    /// A snapshot, and its store.
    Snapshot(&'a Store, &'a Manifest),
    /// A database file.
    Live(&'a Path),
}

/// What to compare, and how databases are read.
#[derive(Debug, Clone, Default)]
pub struct DiffOptions {
    /// Tables to compare; empty: all but SQLite's own and those behind virtual tables.
    pub tables: Vec<String>,
    /// Only the rows with these primary keys: table, and the parts of the key with commas.
    pub key_values: Vec<(String, String)>,
    /// How long to wait for a database that is busy.
    pub busy_timeout: std::time::Duration,
    /// Folder for private copies; `None`: the system's temporary folder.
    pub temp_dir: Option<PathBuf>,
    /// What the programs that use a database are asked to bear.
    pub reading: Reading,
}

/// Which state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateName {
    /// Name of the snapshot; path of the database.
    pub name: String,
    /// Id of the snapshot; `None` for a database.
    pub id: Option<String>,
    /// When its source was read, RFC 3339 UTC.
    pub time: String,
}

/// What became of a thing that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Only the later state has it.
    Added,
    /// Both have it, and it differs.
    Changed,
    /// Only the earlier state has it.
    Removed,
}

/// A table that was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDiff {
    /// Its name.
    pub table: String,
    /// `Some` if only one state has the table.
    pub only_in: Option<Change>,
    /// Rows that differ.
    pub changes: Changes,
    /// How rows were told to be the same; `None` where nothing had to be told.
    pub matched: Option<Matched>,
    /// Columns that only the later state has: they are not compared.
    pub columns_added: Vec<String>,
    /// Columns that only the earlier state has: they are not compared.
    pub columns_dropped: Vec<String>,
}

impl TableDiff {
    /// True if it differs in rows or columns, or one state lacks it.
    pub fn differs(&self) -> bool {
        self.only_in.is_some()
            || !self.changes.is_empty()
            || !self.columns_added.is_empty()
            || !self.columns_dropped.is_empty()
    }
}

/// An object of the schema that differs. Tables stand here if both states have them and their texts
/// differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDiff {
    /// What kind of object.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
}

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDiff {
    /// Its name, as that of the pragma.
    pub name: &'static str,
    /// In the earlier state.
    pub before: String,
    /// In the later state.
    pub after: String,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffOutcome {
    /// The earlier state.
    pub before: StateName,
    /// The later state.
    pub after: StateName,
    /// The tables that were compared, those that are the same included, by name.
    pub tables: Vec<TableDiff>,
    /// Objects of the schema, if all tables were compared.
    pub objects: Vec<ObjectDiff>,
    /// Settings, if all tables were compared.
    pub settings: Vec<SettingDiff>,
    /// Tables of SQLite's own, or behind virtual tables, that differ; their rows were not compared.
    pub internal: Vec<String>,
    /// Keys that were named and that no row has in either state, by table: only where nothing differs.
    pub absent: Vec<(String, String)>,
    /// Notes and warnings about the two states.
    pub findings: Vec<Finding>,
}

impl DiffOutcome {
    /// True if anything differs; SQLite's own tables count where they were asked for.
    pub fn differs(&self) -> bool {
        self.tables.iter().any(TableDiff::differs)
            || !self.objects.is_empty()
            || !self.settings.is_empty()
    }
}

/// A row that differs.
#[derive(Debug)]
pub struct DiffRow<'r> {
    /// What became of it.
    pub change: Change,
    /// Its primary key, by column; empty where the table has none. The earlier one, where both
    /// states have it: keys that SQLite takes for equal may be written otherwise.
    pub key: Vec<(&'r str, ValueRef<'r>)>,
    /// The columns that differ; all of a row that is added or removed, its key included.
    pub cells: Vec<Cell<'r>>,
    /// How the earlier and the later state write texts.
    pub encodings: (TextEncoding, TextEncoding),
}

/// A column of a row that differs.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'r> {
    /// Its name.
    pub column: &'r str,
    /// True if it belongs to the primary key.
    pub in_key: bool,
    /// The value in the earlier state, if it has the row.
    pub before: Option<ValueRef<'r>>,
    /// The value in the later state, if it has the row.
    pub after: Option<ValueRef<'r>>,
}

/// Takes what differs, table by table.
pub trait DiffSink {
    /// A table that differs; its rows follow.
    fn table(&mut self, table: &TableDiff) -> Result<(), Error>;
    /// A row of the last table.
    fn row(&mut self, table: &TableDiff, row: &DiffRow<'_>) -> Result<(), Error>;
}

/// Two states that can be compared; no database is open any more.
#[derive(Debug)]
pub struct Diff {
    blobs: ScratchBlobs,
    before: DatabaseState,
    after: DatabaseState,
    wanted: Wanted,
    findings: Vec<Finding>,
}

impl Diff {
    /// Reads what the two states are; databases whole.
    ///
    /// Errors: `Source` for a database, `Store` for a snapshot, `Select` for a table that neither
    /// has.
    pub fn open(
        before: Operand<'_>,
        after: Operand<'_>,
        options: &DiffOptions,
        world: &World,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let mut readers = Vec::new();
        let mut opened: Vec<String> = Vec::new();
        for operand in [before, after] {
            if let Operand::Snapshot(store, _) = operand
                && !opened.contains(&store.location())
            {
                opened.push(store.location());
                readers.push(store.reader()?);
            }
        }
        let mut blobs = ScratchBlobs::new(readers);
        let live = LiveOptions {
            options,
            world,
            stop: progress.stop_sign(),
        };
        let (first, second) = (live.begin(before, &blobs)?, live.begin(after, &blobs)?);
        let wanted = Wanted::of(options, &first, &second)?;
        let before = live.read(first, &wanted, &mut blobs, progress)?;
        let after = live.read(second, &wanted, &mut blobs, progress)?;
        let mut findings: Vec<Finding> = Vec::new();
        findings.extend(before.findings.iter().chain(&after.findings).cloned());
        findings.extend(schema::other_encoding(&before, &after));
        Ok(Self {
            findings,
            blobs,
            before,
            after,
            wanted,
        })
    }

    /// Compares, and gives what differs to `sink`; without one, rows are only counted.
    pub fn run(
        &self,
        mut sink: Option<&mut dyn DiffSink>,
        progress: &dyn Progress,
    ) -> Result<DiffOutcome, Error> {
        let (before, after) = (&self.before, &self.after);
        let (mut tables, mut absent) = (Vec::new(), Vec::new());
        let (pairs, internal) = tables::pairs(before, after, &self.wanted);
        for pair in pairs {
            let counted = pair.count(&self.blobs, &self.wanted, progress)?;
            if let Some(sink) = sink.as_deref_mut()
                && counted.differs()
            {
                sink.table(&counted)?;
                pair.rows(&self.blobs, &self.wanted, &counted, sink, progress)?;
            }
            if counted.changes.is_empty() {
                let keys = pair.absent(&self.blobs, &self.wanted, progress)?;
                absent.extend(keys.into_iter().map(|key| (counted.table.clone(), key)));
            }
            tables.push(counted);
        }
        let whole = self.wanted.is_all();
        Ok(DiffOutcome {
            before: before.name.clone(),
            after: after.name.clone(),
            tables,
            objects: match whole {
                true => schema::objects(&before.schema, &after.schema),
                false => Vec::new(),
            },
            settings: match whole {
                true => schema::settings(&before.settings, &after.settings),
                false => Vec::new(),
            },
            internal,
            absent,
            findings: self.findings.clone(),
        })
    }

    /// Notes and warnings about the two states.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Blobs of stores read so far.
    pub fn blobs_read(&self) -> u64 {
        self.blobs.blobs_read()
    }
}
