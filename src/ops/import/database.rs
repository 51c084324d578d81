//! An export as a database in a temporary file, which is then backed up as any other.

use std::collections::HashMap;
use std::path::Path;

use super::check;
use super::document::{Record, Refusal};
use super::listing::Listing;
use super::long_strings::Aside;
use crate::error::{Error, ImportError};
use crate::model::counted::{agree, counted};
use crate::model::exported::{ExportedFile, rowid_field};
use crate::model::row::RowRef;
use crate::model::schema::{Schema, Settings, Table, TableKind};
use crate::model::value::{Value, ValueRef};
use crate::ops::open::World;
use crate::progress::{Finding, Progress, Unit};
use crate::target::{CheckLevel, Expected, NewDatabase, TableWriter, TargetError};

/// The field that says a record's rowid, unless a column has that name.
pub(super) const ROWID_FIELD: &str = "$rowid";

/// Records between two looks at Ctrl-C.
pub(super) const RECORDS_A_STEP: u64 = 1024;

/// What database is to be made.
pub(super) struct Plan {
    pub schema: Schema,
    pub settings: Settings,
    /// The schema was made up from the records: fields may be missing.
    pub made_up: bool,
    /// What SQL does not make is left out and named.
    pub lenient: bool,
}

/// Makes the database at `at`. Gives what could not be made or carried.
pub(super) fn make(
    listing: &mut Listing,
    plan: &Plan,
    at: &Path,
    world: &World,
    progress: &mut dyn Progress,
) -> Result<Vec<Finding>, Error> {
    let path = listing.path();
    let refused = |error| refused(&path, error);
    let files = listing.files();
    let file_of = |table: &Table| {
        let named = |f: &&ExportedFile| f.entity_type.eq_ignore_ascii_case(&table.name);
        files.iter().find(named)
    };
    let is_due = |table: &&Table| table.kind != TableKind::Virtual && file_of(table).is_none();
    let skipped = plan.schema.tables.iter().filter(is_due);
    let skipped: Vec<String> = skipped.map(|table| table.name.clone()).collect();
    let database = NewDatabase::create(
        &world.vfs,
        at,
        &plan.settings,
        &plan.schema,
        skipped,
        plan.lenient,
    )
    .map_err(refused)?;
    progress.phase("Reading", listing.records(), Unit::Records);
    for table in database.tables() {
        let Some(file) = file_of(table) else { continue };
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let mut writer = database.writer(table).map_err(refused)?;
        fill(listing, plan, file, table, &mut writer, progress)?;
        if writer.count() != file.record_count {
            return Err(refused(TargetError::Count {
                table: table.name.clone(),
                wanted: file.record_count,
                found: writer.count(),
            }));
        }
    }
    let completed = database.complete(CheckLevel::None, &Expected::default());
    let made = completed.and_then(|completed| completed.publish());
    Ok(made.map_err(refused)?.findings)
}

/// What SQLite says of records is the export's fault, all else is not.
fn refused(path: &Path, error: TargetError) -> Error {
    match error {
        TargetError::Sqlite { .. }
        | TargetError::Unsupported { .. }
        | TargetError::LongKey { .. }
        | TargetError::LittleSpace { .. }
        | TargetError::Constraint { .. }
        | TargetError::RowShape { .. }
        | TargetError::SchemaDiffers { .. }
        | TargetError::Count { .. }
        | TargetError::Damaged { .. } => Error::Import(ImportError::Refused {
            path: path.to_owned(),
            cause: Box::new(error),
        }),
        error => Error::Target(error),
    }
}

/// Puts the records of a file into its table.
fn fill(
    listing: &mut Listing,
    plan: &Plan,
    file: &ExportedFile,
    table: &Table,
    writer: &mut TableWriter<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let path = listing.path();
    let mut shape = Shape::of(table, plan.made_up);
    let mut each = |number: u64, record: &mut Record, mut aside: &Aside| {
        let rowid = shape.take(number, record).map_err(Refusal::Content)?;
        let values: Vec<ValueRef<'_>> = shape.values.iter().map(Value::as_ref).collect();
        let row = RowRef {
            rowid,
            values: &values,
        };
        let written = writer.row(row, &mut aside);
        written.map_err(|error| Refusal::Error(refused(&path, error)))?;
        if number.is_multiple_of(RECORDS_A_STEP) {
            progress.advance(RECORDS_A_STEP);
            if progress.cancelled() {
                return Err(Refusal::Error(Error::Cancelled));
            }
        }
        Ok(())
    };
    let looked = check::file(&mut listing.place, file, plan.schema.encoding, &mut each)?;
    if !looked.damage.is_empty() {
        // Checked once already: somebody writes to it, or its records do not fit its schema.
        return Err(Error::Import(ImportError::Damaged {
            path,
            damage: looked.damage,
        }));
    }
    match writer.generated_differ() {
        0 => Ok(()),
        rows => {
            let (have, rows) = (agree(rows, "has", "have"), counted(rows, "row"));
            let text = format!("{rows} {have} other generated values than were exported");
            let error = TargetError::Damaged {
                path: Path::new(&table.name).to_owned(),
                lines: vec![text],
            };
            Err(refused(&path, error))
        }
    }
}

/// Where a field belongs.
#[derive(Clone, Copy)]
enum Slot {
    /// This leaf column.
    Column(usize),
    /// The column that is the rowid.
    Rowid,
}

/// How records become rows of a table.
struct Shape<'t> {
    table: &'t Table,
    slots: HashMap<&'t str, Slot>,
    rowid_field: String,
    may_lack: bool,
    /// The values of the record that was taken last.
    values: Vec<Value>,
    /// The record that each was last set by, and that of the rowid.
    set_by: Vec<u64>,
    rowid: Option<i64>,
    rowid_set_by: u64,
}

impl<'t> Shape<'t> {
    fn of(table: &'t Table, may_lack: bool) -> Self {
        let leaf: Vec<usize> = table.leaf_columns().collect();
        let name = |at: usize| table.columns[at].name.as_str();
        let columns = leaf.iter().enumerate();
        let mut slots: HashMap<&str, Slot> = columns
            .map(|(place, &at)| (name(at), Slot::Column(place)))
            .collect();
        slots.extend(table.rowid_alias().map(|at| (name(at), Slot::Rowid)));
        Self {
            table,
            slots,
            rowid_field: rowid_field(table),
            may_lack,
            values: vec![Value::Null; leaf.len()],
            set_by: vec![0; leaf.len()],
            rowid: Some(0),
            rowid_set_by: 0,
        }
    }

    /// Takes a record over into `values`. Gives its rowid, if the table has one that can be set.
    fn take(&mut self, number: u64, record: &mut Record) -> Result<Option<i64>, String> {
        self.values.fill(Value::Null);
        for (name, value) in record.drain(..) {
            let twice = || format!("two fields named {name:?}");
            match self.slots.get(name.as_str()) {
                Some(Slot::Column(at)) => {
                    if std::mem::replace(&mut self.set_by[*at], number) == number {
                        return Err(twice());
                    }
                    self.values[*at] = value;
                }
                Some(Slot::Rowid) => self.set_rowid(number, &name, &value)?,
                None if name == self.rowid_field => {
                    if self.table.rowid_alias().is_none() {
                        self.set_rowid(number, &name, &value)?;
                    }
                }
                None => {
                    let table = &self.table.name;
                    return Err(format!("{table} has no column for the field {name:?}"));
                }
            }
        }
        let lacking = self.set_by.iter().position(|&record| record != number);
        if let Some(at) = lacking.filter(|_| !self.may_lack) {
            let column = self.table.leaf_columns().nth(at);
            let name = column.map(|at| self.table.columns[at].name.as_str());
            return Err(format!("it has no field {:?}", name.unwrap_or_default()));
        }
        if self.rowid_set_by != number {
            if let Some(at) = self.table.rowid_alias() {
                return Err(format!("it has no field {:?}", self.table.columns[at].name));
            }
            self.rowid = self.rowid.and_then(|rowid| rowid.checked_add(1));
        }
        match self.table.rowid_column() {
            None => Ok(None),
            Some(_) if self.rowid.is_some() => Ok(self.rowid),
            Some(_) => Err("no rowid is left for it".to_owned()),
        }
    }

    fn set_rowid(&mut self, number: u64, name: &str, value: &Value) -> Result<(), String> {
        let Value::Integer(rowid) = value else {
            return Err(format!("its {name:?} is no integer"));
        };
        if std::mem::replace(&mut self.rowid_set_by, number) == number {
            return Err(format!("two fields named {name:?}"));
        }
        self.rowid = Some(*rowid);
        Ok(())
    }
}
