//! A plan's paper: a temporary database that spills to disk, so that a plan of any size takes little
//! memory. On it stand the steps of each table, in the order of its records; rows to be deleted;
//! sets of records; and keys (`key_map`).

use std::cell::Cell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::error::TargetError;
use super::live::LiveDatabase;
use super::lookup::RowId;
use super::packed;
use crate::model::value::{Value, ValueRef};
use crate::sqlite::{Connection, SqliteError, Statement};

/// Steps that are read at a time.
const PAGE_STEPS: i64 = 1024;

/// A temporary database for one plan.
#[derive(Debug)]
pub struct Worksheet {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    names: Cell<u32>,
}

/// What is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It is inserted.
    Insert,
    /// Columns of a row that are NULL get its values.
    Fill,
    /// Columns of a row get its values.
    Update,
    /// A row is deleted first and then inserted with its values: its keys change.
    Rewrite,
}

impl Doing {
    const ALL: [Self; 4] = [Self::Insert, Self::Fill, Self::Update, Self::Rewrite];

    fn number(self) -> i64 {
        match self {
            Self::Insert => 0,
            Self::Fill => 1,
            Self::Update => 2,
            Self::Rewrite => 3,
        }
    }
}

/// One step of a plan: what is done with one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Place of the record among those of its table, from 0.
    pub ordinal: u64,
    /// What is done.
    pub doing: Doing,
    /// The row that it is done to; `None` for an insert.
    pub id: Option<RowId>,
    /// The mapped columns that are written, for `Fill` and `Update`.
    pub columns: Vec<usize>,
    /// Values other than the record's: mapped column and value.
    pub changes: Vec<(usize, Value)>,
}

impl Worksheet {
    /// An empty one.
    pub fn new(live: &LiveDatabase) -> Result<Self, TargetError> {
        let open = || {
            let db = Connection::open_cache(None)?;
            db.execute("BEGIN")?;
            Ok(db)
        };
        Ok(Self {
            db: open().map_err(|e| live.at("temporary database", e))?,
            path: live.path().to_owned(),
            names: Cell::new(0),
        })
    }

    pub(super) fn at(&self, cause: SqliteError) -> TargetError {
        TargetError::of(&self.path, "temporary database", cause)
    }

    pub(super) fn new_name(&self, kind: &str) -> String {
        let number = self.names.get();
        self.names.set(number + 1);
        format!("{kind}{number}")
    }

    /// Room for the steps of one table.
    pub fn steps(&self) -> Result<Steps<'_>, TargetError> {
        let name = self.new_name("steps");
        let make = || -> Result<Steps<'_>, SqliteError> {
            self.db.execute(&format!(
                "CREATE TABLE {name}(ordinal INTEGER PRIMARY KEY, doing INTEGER, id BLOB, columns BLOB, changes BLOB)"
            ))?;
            Ok(Steps {
                worksheet: self,
                insert: self.db.prepare(&format!(
                    "INSERT OR REPLACE INTO {name} VALUES(?1, ?2, ?3, ?4, ?5)"
                ))?,
                remove: self
                    .db
                    .prepare(&format!("DELETE FROM {name} WHERE ordinal = ?1"))?,
                name: name.clone(),
            })
        };
        make().map_err(|e| self.at(e))
    }

    /// Room for rows of one table.
    pub fn row_list(&self) -> Result<RowList<'_>, TargetError> {
        let name = self.new_name("rows");
        let make = || -> Result<RowList<'_>, SqliteError> {
            self.db.execute(&format!(
                "CREATE TABLE {name}(n INTEGER PRIMARY KEY, id BLOB)"
            ))?;
            Ok(RowList {
                worksheet: self,
                insert: self
                    .db
                    .prepare(&format!("INSERT INTO {name}(id) VALUES(?1)"))?,
                name: name.clone(),
                count: 0,
            })
        };
        make().map_err(|e| self.at(e))
    }

    /// An empty set of records of one table.
    pub fn ordinals(&self) -> Result<Ordinals<'_>, TargetError> {
        let name = self.new_name("records");
        let make = || -> Result<Ordinals<'_>, SqliteError> {
            self.db
                .execute(&format!("CREATE TABLE {name}(ordinal INTEGER PRIMARY KEY)"))?;
            Ok(Ordinals {
                path: &self.path,
                insert: self
                    .db
                    .prepare(&format!("INSERT OR IGNORE INTO {name} VALUES(?1)"))?,
                find: self
                    .db
                    .prepare(&format!("SELECT 1 FROM {name} WHERE ordinal = ?1"))?,
                db: &self.db,
                count: 0,
            })
        };
        make().map_err(|e| self.at(e))
    }
}

/// The steps of one table.
pub struct Steps<'w> {
    worksheet: &'w Worksheet,
    name: String,
    insert: Statement<'w>,
    remove: Statement<'w>,
}

impl<'w> Steps<'w> {
    /// Adds a step, or puts another in its place.
    pub fn put(&mut self, step: &Step) -> Result<(), TargetError> {
        let id = step.id.as_ref().map(|id| packed::pack(&id.0));
        let columns: Vec<Value> = step.columns.iter().map(|at| position(*at)).collect();
        let changes: Vec<Value> = step
            .changes
            .iter()
            .flat_map(|(at, value)| [position(*at), value.clone()])
            .collect();
        let (columns, changes) = (packed::pack(&columns), packed::pack(&changes));
        let mut put = || -> Result<(), SqliteError> {
            self.insert.bind(1, ordinal(step.ordinal))?;
            self.insert
                .bind(2, ValueRef::Integer(step.doing.number()))?;
            let id = id.as_deref().map_or(ValueRef::Null, ValueRef::Blob);
            self.insert.bind(3, id)?;
            self.insert.bind(4, ValueRef::Blob(&columns))?;
            self.insert.bind(5, ValueRef::Blob(&changes))?;
            self.insert.run()
        };
        put().map_err(|e| self.worksheet.at(e))
    }

    /// Takes a step out.
    pub fn remove(&mut self, at: u64) -> Result<(), TargetError> {
        let removed = self.remove.bind(1, ordinal(at));
        let removed = removed.and_then(|()| self.remove.run());
        removed.map_err(|e| self.worksheet.at(e))
    }

    /// Takes all steps out.
    pub fn clear(&mut self) -> Result<(), TargetError> {
        let sql = format!("DELETE FROM {}", self.name);
        let done = self.worksheet.db.execute(&sql);
        done.map_err(|e| self.worksheet.at(e))
    }

    /// Calls `each` for every row that is deleted first and then written anew.
    pub fn each_rewritten(
        &self,
        mut each: impl FnMut(&RowId) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        let sql = format!(
            "SELECT id FROM {} WHERE doing = {} ORDER BY ordinal",
            self.name,
            Doing::Rewrite.number()
        );
        let at = |e| self.worksheet.at(e);
        let mut statement = self.worksheet.db.prepare(&sql).map_err(at)?;
        let mut rows = statement.rows();
        while let Some(row) = rows.next().map_err(at)? {
            let bytes = row.bytes(0).map_err(at)?;
            each(&RowId(bytes.and_then(packed::unpack).unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Reads the steps in the order of the records.
    pub fn read(&self) -> Result<StepReader<'w>, TargetError> {
        let sql = format!(
            "SELECT ordinal, doing, id, columns, changes FROM {} WHERE ordinal > ?1 \
             ORDER BY ordinal LIMIT {PAGE_STEPS}",
            self.name
        );
        let page = self.worksheet.db.prepare(&sql);
        Ok(StepReader {
            worksheet: self.worksheet,
            page: page.map_err(|e| self.worksheet.at(e))?,
            waiting: VecDeque::new(),
            last: -1,
            ended: false,
        })
    }
}

fn position(at: usize) -> Value {
    Value::Integer(i64::try_from(at).unwrap_or(i64::MAX))
}

fn ordinal(at: u64) -> ValueRef<'static> {
    ValueRef::Integer(i64::try_from(at).unwrap_or(i64::MAX))
}

/// Steps, in the order of their records. Steps may be changed while they are read.
pub struct StepReader<'w> {
    worksheet: &'w Worksheet,
    page: Statement<'w>,
    waiting: VecDeque<Step>,
    last: i64,
    ended: bool,
}

impl StepReader<'_> {
    /// The next step, in order.
    pub fn next_step(&mut self) -> Result<Option<Step>, TargetError> {
        if self.waiting.is_empty() && !self.ended {
            self.fill().map_err(|e| self.worksheet.at(e))?;
        }
        Ok(self.waiting.pop_front())
    }

    /// The step of a record, if it has one. Records must be asked for in their order.
    pub fn of(&mut self, at: u64) -> Result<Option<Step>, TargetError> {
        loop {
            match self.waiting.front() {
                Some(step) if step.ordinal > at => return Ok(None),
                Some(step) if step.ordinal == at => return Ok(self.waiting.pop_front()),
                Some(_) => {
                    self.waiting.pop_front();
                }
                None if self.ended => return Ok(None),
                None => self.fill().map_err(|e| self.worksheet.at(e))?,
            }
        }
    }

    fn fill(&mut self) -> Result<(), SqliteError> {
        self.page.bind(1, ValueRef::Integer(self.last))?;
        let mut rows = self.page.rows();
        while let Some(row) = rows.next()? {
            let list = |at| -> Result<Vec<Value>, SqliteError> {
                Ok(packed::unpack(row.bytes(at)?.unwrap_or_default()).unwrap_or_default())
            };
            self.last = row.integer(0)?;
            let doing = row.integer(1)?;
            let id = row.bytes(2)?.and_then(packed::unpack).map(RowId);
            let columns = list(3)?.iter().filter_map(place).collect();
            let changes = list(4)?
                .chunks_exact(2)
                .filter_map(|pair| Some((place(&pair[0])?, pair[1].clone())))
                .collect();
            self.waiting.push_back(Step {
                ordinal: self.last.unsigned_abs(),
                doing: Doing::ALL
                    .into_iter()
                    .find(|d| d.number() == doing)
                    .unwrap_or(Doing::Insert),
                id,
                columns,
                changes,
            });
        }
        self.ended = self.waiting.is_empty();
        Ok(())
    }
}

fn place(value: &Value) -> Option<usize> {
    match value {
        Value::Integer(at) => usize::try_from(*at).ok(),
        _ => None,
    }
}

/// Rows of one table, in the order in which they were added.
pub struct RowList<'w> {
    worksheet: &'w Worksheet,
    name: String,
    insert: Statement<'w>,
    count: u64,
}

impl RowList<'_> {
    /// Adds a row.
    pub fn add(&mut self, id: &RowId) -> Result<(), TargetError> {
        self.count += 1;
        let packed = packed::pack(&id.0);
        let added = self.insert.bind(1, ValueRef::Blob(&packed));
        let added = added.and_then(|()| self.insert.run());
        added.map_err(|e| self.worksheet.at(e))
    }

    /// Number of rows.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Calls `each` for every row.
    pub fn for_each(
        &self,
        mut each: impl FnMut(RowId) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        let sql = format!("SELECT id FROM {} ORDER BY n", self.name);
        let statement = self.worksheet.db.prepare(&sql);
        let mut statement = statement.map_err(|e| self.worksheet.at(e))?;
        let mut rows = statement.rows();
        while let Some(row) = rows.next().map_err(|e| self.worksheet.at(e))? {
            let bytes = row.bytes(0).map_err(|e| self.worksheet.at(e))?;
            each(RowId(bytes.and_then(packed::unpack).unwrap_or_default()))?;
        }
        Ok(())
    }
}

/// A set of records of one table, by their place.
pub struct Ordinals<'w> {
    path: &'w Path,
    db: &'w Connection,
    insert: Statement<'w>,
    find: Statement<'w>,
    count: u64,
}

impl Ordinals<'_> {
    /// Adds a record; true if it was not in it.
    pub fn add(&mut self, at: u64) -> Result<bool, TargetError> {
        let added = self.insert.bind(1, ordinal(at));
        let added = added.and_then(|()| self.insert.run());
        added.map_err(|e| TargetError::of(self.path, "temporary database", e))?;
        let is_new = self.db.changes() == 1;
        self.count += u64::from(is_new);
        Ok(is_new)
    }

    /// True if the record is in it.
    pub fn has(&mut self, at: u64) -> Result<bool, TargetError> {
        if self.count == 0 {
            return Ok(false);
        }
        let found = self.find.bind(1, ordinal(at));
        let found = found.and_then(|()| Ok(self.find.rows().next()?.is_some()));
        found.map_err(|e| TargetError::of(self.path, "temporary database", e))
    }

    /// Number of records in it.
    pub fn count(&self) -> u64 {
        self.count
    }
}
