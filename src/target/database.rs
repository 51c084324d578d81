//! A new database: built in a file beside its place, checked, synced, published whole.
//!
//! Order: settings that precede tables; tables; rows; indexes, views, triggers; virtual tables; the
//! other settings; checks; WAL mode last. Until [`Completed::publish`] nothing has the final name.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::check::{self, CheckLevel, Expected};
use super::error::TargetError;
use super::files::{Place, Unpublished};
use super::schema;
use super::writer::TableWriter;
use crate::model::schema::{Schema, Settings, Table};
use crate::progress::Finding;
use crate::sqlite::{Connection, SqliteError};
use crate::vfs::Vfs;

/// A database being built. Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct NewDatabase {
    // Before `file`: the connection closes before the file goes.
    db: Connection,
    file: Unpublished,
    settings: Settings,
    schema: Schema,
    skipped: BTreeSet<String>,
    findings: Vec<Finding>,
}

/// A database that is complete and checked, and waits for its name.
#[derive(Debug)]
pub struct Completed {
    file: Unpublished,
    findings: Vec<Finding>,
}

impl Completed {
    pub(super) fn new(file: Unpublished, findings: Vec<Finding>) -> Self {
        Self { file, findings }
    }

    /// Checks a database whose schema is as it should be, and closes it.
    ///
    /// Errors: `Damaged`, `Count`.
    pub(super) fn check(
        db: Connection,
        file: Unpublished,
        settings: &Settings,
        schema: &Schema,
        (level, expected): (CheckLevel, &Expected),
        mut findings: Vec<Finding>,
    ) -> Result<Self, TargetError> {
        let place = file.place().to_owned();
        check::new_file(
            &db,
            (file.temp(), &place),
            level,
            (schema, expected),
            &mut findings,
        )?;
        set_journal_mode(&db, &place, settings.journal_mode == "wal")?;
        db.close()
            .map_err(|cause| TargetError::of(&place, "", cause))?;
        Ok(Self::new(file, findings))
    }

    /// Where it is for now: a file of our own, closed.
    pub fn path(&self) -> &Path {
        self.file.temp()
    }

    /// The database that it is, or whose content it is.
    pub fn place(&self) -> &Path {
        self.file.place()
    }

    /// Its length.
    pub fn bytes(&self) -> Result<u64, TargetError> {
        self.file.bytes()
    }

    /// Says in its header whether it is in WAL mode. `tolerant`: its pages may be damaged.
    pub fn set_journal_mode(&self, is_wal: bool, tolerant: bool) -> Result<(), TargetError> {
        let place = self.file.place();
        let at = |cause: SqliteError| TargetError::of(place, "journal_mode", cause);
        // Opened so, it is in WAL mode no more.
        let db = Connection::open_scratch(self.file.temp(), tolerant).map_err(at)?;
        set_journal_mode(&db, place, is_wal)?;
        db.close().map_err(at)
    }

    /// The same, with one thing more to be told of it.
    #[must_use]
    pub fn with(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// What was found while it was made.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Gives it its name. On return it is durable.
    ///
    /// Errors: `Exists` if the place was taken meanwhile. Only where the folder cannot be synced, the
    /// complete file is there and may be gone after a power cut.
    pub fn publish(self) -> Result<Restored, TargetError> {
        self.file.publish()?;
        Ok(Restored {
            findings: self.findings,
        })
    }
}

/// A database that was built and published.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Objects that could not be created, values that break a constraint, foreign keys that are
    /// violated more or less often than in the source.
    pub findings: Vec<Finding>,
}

impl NewDatabase {
    /// Begins: all tables exist, empty, and wait for their rows, those behind virtual tables
    /// included. `skipped` names tables that are not carried.
    /// With `lenient`, a table that SQL does not make is left out and named; else it is an error.
    ///
    /// Errors: `Exists` if the place or a sidecar of it is taken.
    pub fn create<'p>(
        vfs: &Arc<dyn Vfs>,
        place: impl Into<Place<'p>>,
        settings: &Settings,
        schema: &Schema,
        skipped: impl IntoIterator<Item = String>,
        lenient: bool,
    ) -> Result<Self, TargetError> {
        let place = place.into();
        let (file, open) = Unpublished::create(vfs.clone(), place)?;
        drop(open);
        let place = place.path();
        let at = |cause: SqliteError| TargetError::of(place, "", cause);
        let db = Connection::open_scratch(file.temp(), false).map_err(at)?;
        let mut skipped: BTreeSet<String> = skipped.into_iter().collect();
        let left_out = |name: &str, text: &str| Finding::warning(format!("table {name}"), text);
        let mut findings: Vec<Finding> = skipped
            .iter()
            .map(|name| left_out(name, "it is not carried"))
            .collect();
        schema::ensure_kinds(place, schema)?;
        schema::set_before_tables(&db, place, settings)?;
        let mut failed = Vec::new();
        schema::create_tables(&db, place, schema, &skipped, &mut |table, error| {
            if !lenient {
                return Err(error);
            }
            let text = format!("it is left out: {}", error.message);
            findings.push(left_out(&table.name, &text));
            failed.push(table.name.clone());
            Ok(())
        })?;
        skipped.extend(failed);
        schema::keep_settings(&db, place, settings)?;
        // Rows may break a CHECK that is younger than they; it is checked at the end.
        db.pragma("ignore_check_constraints", 1).map_err(at)?;
        db.execute("BEGIN").map_err(at)?;
        Ok(Self {
            db,
            file,
            settings: settings.clone(),
            schema: schema.clone(),
            skipped,
            findings,
        })
    }

    /// Tables that wait for rows, in the order in which to fill them.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        schema::due(&self.schema, &self.skipped)
    }

    /// A writer for the rows of one table, which must be one of [`NewDatabase::tables`].
    pub fn writer<'d>(&'d self, table: &'d Table) -> Result<TableWriter<'d>, TargetError> {
        TableWriter::new(&self.db, self.file.place(), table, self.schema.encoding)
    }

    /// Completes and checks the database.
    ///
    /// Errors leave the place untouched: `Damaged`, `Count`, `SchemaDiffers`.
    pub fn complete(
        self,
        level: CheckLevel,
        expected: &Expected,
    ) -> Result<Completed, TargetError> {
        let Self {
            db,
            file,
            settings,
            schema,
            skipped,
            mut findings,
        } = self;
        let place = file.place().to_owned();
        let at = |cause: SqliteError| TargetError::of(&place, "", cause);
        db.execute("COMMIT").map_err(at)?;
        let missing = schema::create_rest(&db, &place, &schema, &mut findings)?;
        schema::add_virtual_tables(&db, &place, &schema)?;
        schema::set_numbers(&db, &place, &settings)?;
        db.pragma("ignore_check_constraints", 0).map_err(at)?;
        schema::ensure_equal(&db, &place, &schema, &skipped, &missing)?;
        Completed::check(db, file, &settings, &schema, (level, expected), findings)
    }
}

/// WAL is kept in the file's header; everything else is the connection's own.
fn set_journal_mode(db: &Connection, place: &Path, is_wal: bool) -> Result<(), TargetError> {
    if !is_wal {
        return Ok(());
    }
    let mode = db
        .text("PRAGMA main.journal_mode=WAL")
        .map_err(|cause| TargetError::of(place, "journal_mode", cause))?;
    match mode.as_deref() {
        Some("wal") => Ok(()),
        _ => Err(TargetError::Unsupported {
            path: place.to_owned(),
            what: "WAL mode".to_owned(),
        }),
    }
}
