//! What to restore, where to, and by which rules. The rules themselves: docs/restore.md.

use std::path::PathBuf;
use std::time::Duration;

use super::missing::Decisions;
pub use crate::target::CheckLevel;

/// What happens to rows that exist already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Existing rows are left as they are; missing ones are inserted.
    #[default]
    Add,
    /// As `Add`, and NULLs of existing rows are filled.
    Augment,
    /// Whole tables equal the snapshot's afterwards; chosen rows get the records' values.
    Replace,
}

/// What a new file is made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Records; pages where the snapshot holds them, unless they are of a damaged database.
    #[default]
    Best,
    /// Records; what SQL does not make again is left out and named.
    Records,
    /// Pages, exactly as they were copied.
    Pages,
}

/// Who writes a new file that is made from records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Builder {
    /// larder writes the trees of tables and indexes; where that cannot be done, SQL does all of it, and that is
    /// said.
    #[default]
    Trees,
    /// SQLite, by INSERT and CREATE INDEX.
    Sql,
}

/// Bytes of memory for keys that are sorted, where nothing else is said.
pub const SORT_BYTES: usize = 64 << 20;

/// Which keys say which row a record means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Match {
    /// The primary key and every UNIQUE key; where they disagree, nothing is guessed.
    #[default]
    Auto,
    /// The primary key alone.
    Id,
    /// The UNIQUE keys, or the declared one.
    Natural,
}

/// What happens to a record that contradicts the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing is written.
    #[default]
    Stop,
    /// The record is left out and reported.
    Skip,
}

/// The records that are restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// These tables; all if empty.
    pub tables: Vec<String>,
    /// Not these.
    pub excluded: Vec<String>,
    /// An SQL expression over the records of the one table that is named.
    pub filter: Option<String>,
    /// Records by primary key.
    pub key_values: Vec<KeyValue>,
    /// And the records that those refer to, and so on.
    pub with_parents: bool,
    /// And the records that refer to those, and so on.
    pub with_children: bool,
}

impl Scope {
    /// True if rows of tables are chosen, not whole tables.
    pub fn chooses_rows(&self) -> bool {
        self.filter.is_some()
            || !self.key_values.is_empty()
            || self.with_parents
            || self.with_children
    }
}

/// A record by its primary key, as text: SQLite compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The table.
    pub table: String,
    /// The key; that of several columns with commas.
    pub value: String,
}

/// Columns that tell a table's rows apart, though the database may not declare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredKey {
    /// The table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
}

/// A reference that the database does not declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredReference {
    /// The table that refers.
    pub table: String,
    /// Its column.
    pub column: String,
    /// The table that is referred to.
    pub parent: String,
    /// The column there.
    pub parent_column: String,
}

/// A column that has another name in the database than in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The table.
    pub table: String,
    /// Name in the snapshot.
    pub old: String,
    /// Name in the database.
    pub new: String,
}

/// What to restore, and where.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct RestoreOptions {
    /// The database to write: absent, or an existing one.
    pub target: PathBuf,
    /// What happens to rows that exist already.
    pub mode: Mode,
    /// Make the plan and stop there.
    pub dry_run: bool,
    /// How long to wait for a database that is busy.
    pub busy_timeout: Duration,
    /// How the result is checked before it counts.
    pub check: CheckLevel,
    /// What a new file is made from.
    pub form: Form,
    /// Who writes it.
    pub builder: Builder,
    /// Bytes that the keys of indexes may take in memory while a new file is made; the rest goes to temporary
    /// files beside it.
    pub sort_bytes: usize,
    /// The records that are restored.
    pub scope: Scope,
    /// Which keys say which row a record means.
    pub matching: Match,
    /// Keys that the database does not declare.
    pub keys: Vec<DeclaredKey>,
    /// References that the database does not declare.
    pub references: Vec<DeclaredReference>,
    /// Columns that were renamed since.
    pub renames: Vec<Rename>,
    /// What happens to a record that contradicts the database.
    pub on_conflict: OnConflict,
    /// Answers for references without a target.
    pub decisions: Decisions,
    /// Insert new records only; leave all others alone, conflicts too.
    pub deleted_only: bool,
    /// Replace, though rows outside the scope lose their parents.
    pub force: bool,
    /// Replace all of a database that exists, as a new file would be made, not record by record. Goes with
    /// `Mode::Replace` and a scope of everything.
    pub whole_file: bool,
    /// Make a new file of what is whole of a damaged snapshot; what it lacks is told.
    pub allow_damaged: bool,
    /// Let the database's triggers fire.
    pub fire_triggers: bool,
    /// Take no snapshot of the database first: the restore cannot be undone.
    pub no_safety_snapshot: bool,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            target: PathBuf::new(),
            mode: Mode::default(),
            dry_run: false,
            busy_timeout: Duration::ZERO,
            check: CheckLevel::default(),
            form: Form::default(),
            builder: Builder::default(),
            sort_bytes: SORT_BYTES,
            scope: Scope::default(),
            matching: Match::default(),
            keys: Vec::new(),
            references: Vec::new(),
            renames: Vec::new(),
            on_conflict: OnConflict::default(),
            decisions: Decisions::default(),
            deleted_only: false,
            force: false,
            whole_file: false,
            allow_damaged: false,
            fire_triggers: false,
            no_safety_snapshot: false,
        }
    }
}
