//! A new database whose trees larder writes itself: SQLite makes the skeleton, larder fills it, SQLite makes the
//! indexes that are in doubt, and checks all of it. The same database comes of `database.rs`, by SQL.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::btree::{
    BuildError, Field, FileBuilder, LargeRecord, PageFile, Plan, RecordBuilder, TableShape,
    sort_pool,
};
use super::check::{CheckLevel, Expected};
use super::database::Completed;
use super::error::TargetError;
use super::files::{Place, Unpublished};
use super::writer::{SpilledContent, VALUE_BYTES_MAX, copy_exactly};
use super::{schema, skeleton};
use crate::model::fit::Fit;
use crate::model::row::RowRef;
use crate::model::schema::{ObjectKind, Schema, Settings, Table};
use crate::model::value::{Spilled, ValueRef};
use crate::progress::{Finding, StopSign};
use crate::sqlite::quote::ident;
use crate::sqlite::{Connection, ErrorKind, SqliteError};
use crate::vfs::Vfs;

/// Bytes copied at a time from a large value.
const PIECE_BYTES: usize = 256 << 10;

/// A database being built. Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct BuiltDatabase {
    file: Unpublished,
    settings: Settings,
    schema: Schema,
    /// Names of the tables that wait for rows, in the order in which to fill them.
    due: Vec<String>,
    plan: Arc<Plan>,
    /// `None` for a database without a page.
    builder: Option<FileBuilder>,
    left_out: Vec<String>,
    missing: BTreeSet<(ObjectKind, String)>,
    skipped: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl BuiltDatabase {
    /// Begins: the tables wait for their rows. `skipped` names tables that are not carried; keys may take
    /// `sort_bytes` of memory while they are sorted; `stop` says whether to go on.
    ///
    /// Errors: `Exists` if the place or a sidecar of it is taken, `NeedsSql`.
    pub fn create<'p>(
        vfs: &Arc<dyn Vfs>,
        place: impl Into<Place<'p>>,
        settings: &Settings,
        schema: &Schema,
        skipped: impl IntoIterator<Item = String>,
        (sort_bytes, stop): (usize, StopSign),
    ) -> Result<Self, TargetError> {
        let place = place.into();
        let (file, open) = Unpublished::create(vfs.clone(), place)?;
        let skipped: BTreeSet<String> = skipped.into_iter().collect();
        let mut findings: Vec<Finding> = skipped
            .iter()
            .map(|name| Finding::warning(format!("table {name}"), "it is not carried"))
            .collect();
        let tables: Vec<&Table> = schema::due(schema, &skipped).collect();
        let made = skeleton::make(
            file.temp(),
            place.path(),
            settings,
            schema,
            (&tables, &skipped),
            &mut findings,
        )?;
        let plan = Arc::new(Plan {
            tables: made.tables,
            encoding: schema.encoding,
            folder: file.folder().to_owned(),
            sort_bytes,
            pool: sort_pool(),
            stop,
        });
        let builder =
            start(open, &plan).map_err(|cause| TargetError::file("write", file.temp(), cause))?;
        Ok(Self {
            due: tables.iter().map(|table| table.name.clone()).collect(),
            file,
            settings: settings.clone(),
            schema: schema.clone(),
            plan,
            builder,
            left_out: made.left_out,
            missing: made.missing,
            skipped,
            findings,
        })
    }

    /// A writer for the next of the tables. Each must have had one, with rows or without, in their order.
    pub fn writer(&mut self, at: usize) -> Option<RecordWriter<'_>> {
        let table = self.schema.table(self.due.get(at)?)?;
        Some(RecordWriter {
            table,
            shape: self.plan.tables.get(at)?,
            fit: Fit::of(table, self.schema.encoding),
            values: table.leaf_columns().count(),
            needs_rowid: table.rowid_column().is_some(),
            builder: &mut self.builder,
            path: self.file.temp(),
            record: RecordBuilder::default(),
            rows: 0,
        })
    }

    /// Writes what is left to be written once all rows are here. Errors: as [`BuiltDatabase::complete`].
    pub fn write_indexes(&mut self) -> Result<(), TargetError> {
        if let Some(builder) = self.builder.take() {
            let built = builder
                .finish()
                .map_err(|error| failed(self.file.temp(), error))?;
            self.left_out.extend(built.left_out);
        }
        Ok(())
    }

    /// Completes and checks the database.
    ///
    /// Errors leave the place untouched: `NeedsSql`, `Damaged`, `Count`, `SchemaDiffers`.
    pub fn complete(
        mut self,
        level: CheckLevel,
        expected: &Expected,
    ) -> Result<Completed, TargetError> {
        let place = self.file.place().to_owned();
        self.write_indexes()?;
        let at = |cause: SqliteError| TargetError::of(&place, "", cause);
        let db = Connection::open_scratch(self.file.temp(), false).map_err(at)?;
        self.fill_left_out(&db)?;
        let Self {
            file,
            settings,
            schema,
            missing,
            skipped,
            findings,
            ..
        } = self;
        schema::ensure_equal(&db, &place, &schema, &skipped, &missing)?;
        Completed::check(db, file, &settings, &schema, (level, expected), findings)
    }

    /// Has SQLite fill the indexes that are empty still.
    fn fill_left_out(&self, db: &Connection) -> Result<(), TargetError> {
        for name in &self.left_out {
            let object = format!("index {name}");
            let of_index = |cause: SqliteError| TargetError::of(self.file.place(), &object, cause);
            let quoted = ident(name).map_err(|e| of_index(e.into()))?;
            match db.execute(&format!("REINDEX main.{quoted}")) {
                Ok(()) => {}
                // By SQL the index is left out, and that is said.
                Err(error) if matches!(error.kind, ErrorKind::Constraint | ErrorKind::Other) => {
                    return Err(TargetError::NeedsSql {
                        table: object,
                        reason: error.message,
                    });
                }
                Err(error) => return Err(of_index(error)),
            }
        }
        Ok(())
    }
}

fn failed(path: &Path, error: BuildError) -> TargetError {
    match error {
        BuildError::Doubt { table, reason } => TargetError::NeedsSql { table, reason },
        BuildError::Io(cause) => TargetError::file("write", path, cause),
        BuildError::Stopped => {
            let cause = io::Error::other("its records ended early (a bug)");
            TargetError::file("write", path, cause)
        }
    }
}

fn start(file: File, plan: &Arc<Plan>) -> io::Result<Option<FileBuilder>> {
    let mut header = [0; 100];
    let read = match file.read_exact_at(&mut header, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        read => {
            read?;
            skeleton::read_header(&header)?
        }
    };
    let Some((geometry, pages)) = read else {
        return Ok(None);
    };
    let file = PageFile::new(file, geometry, pages, plan.sort_bytes / 8)?;
    FileBuilder::start(file, plan.clone()).map(Some)
}

/// Hands the rows of one table to the builder.
#[derive(Debug)]
pub struct RecordWriter<'d> {
    table: &'d Table,
    shape: &'d TableShape,
    fit: Fit,
    /// Values that a row has.
    values: usize,
    needs_rowid: bool,
    builder: &'d mut Option<FileBuilder>,
    /// The file that is built.
    path: &'d Path,
    record: RecordBuilder,
    rows: u64,
}

impl RecordWriter<'_> {
    /// The table.
    pub fn table(&self) -> &Table {
        self.table
    }

    /// Hands over a row: its values are those of `Table::leaf_columns`.
    ///
    /// Errors: `NeedsSql` for a value that SQLite would convert or refuse, `Content`, `RowShape`.
    pub fn row(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        self.rows += 1;
        // Where every name of the rowid is hidden, rows are numbered, as SQLite does it.
        let numbered = || i64::try_from(self.rows).unwrap_or(i64::MAX);
        let rowid = match self.table.hides_rowid() {
            true => numbered(),
            false => row.rowid.unwrap_or(0),
        };
        self.ensure_shape(row)?;
        if let Some((at, misfit)) = self.fit.misfit(row.values) {
            let column = self.table.leaf_columns().nth(at);
            let column = column.map_or("", |at| self.table.columns[at].name.as_str());
            return Err(TargetError::NeedsSql {
                table: self.table.name.clone(),
                reason: format!("a value of its column {column} would be {}", misfit.word()),
            });
        }
        self.record.clear();
        let mut has_large = false;
        for field in &self.shape.fields {
            match field {
                Field::Alias => self.record.push_null(),
                Field::Leaf(at, affinity) => {
                    let value = row.values.get(*at).unwrap_or(&ValueRef::Null);
                    has_large |= matches!(value, ValueRef::Spilled(_));
                    self.record.push(value, *affinity);
                }
            }
        }
        match has_large {
            true => self.large(rowid, row, content),
            false => {
                let record = &self.record;
                let builder = self.builder.as_mut();
                let handed = builder.map_or(Err(BuildError::Stopped), |b| b.record(rowid, record));
                self.told(handed)
            }
        }
    }

    fn ensure_shape(&self, row: RowRef<'_>) -> Result<(), TargetError> {
        let (wanted, needs_rowid) = (self.values, self.needs_rowid);
        if row.values.len() == wanted && (row.rowid.is_some() || !needs_rowid) {
            return Ok(());
        }
        Err(TargetError::RowShape {
            table: self.table.name.clone(),
            row: format!("record {}", self.rows),
            wanted: wanted + usize::from(needs_rowid),
            found: row.values.len() + usize::from(row.rowid.is_some()),
        })
    }

    /// Hands over a row of which values lie elsewhere: they are copied piece by piece.
    fn large(
        &mut self,
        rowid: i64,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        if self.record.bytes() > VALUE_BYTES_MAX {
            return Err(TargetError::NeedsSql {
                table: self.table.name.clone(),
                reason: format!("record {} is too long for SQLite", self.rows),
            });
        }
        let mut header = Vec::new();
        self.record.write_header(&mut header);
        let bytes = self.record.bytes();
        let (small, large) = self.without_large(row);
        let record = LargeRecord {
            rowid,
            bytes,
            small,
            large,
        };
        self.hand(|builder| builder.open(record))?;
        self.hand(|builder| builder.piece(&header))?;
        for at in 0..self.shape.fields.len() {
            let Field::Leaf(leaf, affinity) = self.shape.fields[at] else {
                continue;
            };
            match row.values.get(leaf).unwrap_or(&ValueRef::Null) {
                ValueRef::Spilled(spilled) => self.copy(spilled, content)?,
                value => {
                    self.record.clear();
                    self.record.push(value, affinity);
                    let body = std::mem::take(&mut self.record);
                    self.hand(|builder| builder.piece(body.body()))?;
                    self.record = body;
                }
            }
        }
        self.hand(FileBuilder::close)
    }

    fn hand(
        &mut self,
        what: impl FnOnce(&mut FileBuilder) -> Result<(), BuildError>,
    ) -> Result<(), TargetError> {
        let builder = self.builder.as_mut();
        let handed = builder.map_or(Err(BuildError::Stopped), what);
        self.told(handed)
    }

    /// Where the builder has ended before its records did, why.
    fn told(&mut self, handed: Result<(), BuildError>) -> Result<(), TargetError> {
        let Err(mut error) = handed else {
            return Ok(());
        };
        if let BuildError::Stopped = error
            && let Some(Err(its)) = self.builder.take().map(FileBuilder::finish)
        {
            error = its;
        }
        Err(failed(self.path, error))
    }

    /// The record with NULL in the place of large values, and their places.
    fn without_large(&mut self, row: RowRef<'_>) -> (Vec<u8>, Vec<usize>) {
        self.record.clear();
        let mut large = Vec::new();
        for (place, field) in self.shape.fields.iter().enumerate() {
            let Field::Leaf(at, affinity) = field else {
                self.record.push_null();
                continue;
            };
            match row.values.get(*at).unwrap_or(&ValueRef::Null) {
                ValueRef::Spilled(_) => {
                    large.push(place);
                    self.record.push_null();
                }
                value => self.record.push(value, *affinity),
            }
        }
        let mut small = Vec::new();
        self.record.write(&mut small);
        (small, large)
    }

    fn copy(
        &mut self,
        spilled: &Spilled,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        let Some(builder) = self.builder.as_mut() else {
            return self.told(Err(BuildError::Stopped));
        };
        let mut pieces = Pieces {
            builder,
            handed: Ok(()),
        };
        let mut buffer = vec![0; PIECE_BYTES];
        let copied = copy_exactly(spilled, content, &mut pieces, &mut buffer);
        let handed = pieces.handed;
        self.told(handed)?;
        copied.map_err(|cause| TargetError::Content {
            table: self.table.name.clone(),
            row: format!("record {}", self.rows),
            cause,
        })
    }

    /// Rows handed over so far.
    pub fn count(&self) -> u64 {
        self.rows
    }

    /// The table has no more rows.
    pub fn end(mut self) -> Result<(), TargetError> {
        self.hand(FileBuilder::end_table)
    }
}

/// Takes a large value piece by piece.
struct Pieces<'b> {
    builder: &'b mut FileBuilder,
    handed: Result<(), BuildError>,
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.handed = self.builder.piece(bytes);
        match self.handed {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
