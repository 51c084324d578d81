//! The flags of `larder restore` that say what is restored, and by which rules: docs/restore.md.
//! Grouped as the help shows them.

use std::path::PathBuf;

use crate::cli::names;
use crate::ops::restore::DeclaredKey;
use crate::ops::restore::DeclaredReference;
use crate::ops::restore::KeyValue;
use crate::ops::restore::Match;
use crate::ops::restore::Mode;
use crate::ops::restore::OnConflict;
use crate::ops::restore::OnMissing;
use crate::ops::restore::Rename;
use crate::ops::restore::Scope;

/// Which records.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What is restored")]
pub(super) struct ScopeFlags {
    /// Only this table; may be repeated [default: all tables]
    #[arg(short, long = "table", value_name = "T", value_parser = names::table)]
    pub tables: Vec<String>,
    /// Not this table; may be repeated
    #[arg(long = "exclude-table", value_name = "T", value_parser = names::table)]
    pub excluded: Vec<String>,
    /// Only records that this expression over their columns is true of; needs one --table
    #[arg(long = "where", value_name = "SQL")]
    pub filter: Option<String>,
    /// Only the record with this primary key; a composite key with commas; may be repeated
    #[arg(long = "key-value", value_name = "T=KEY", value_parser = names::key_value)]
    pub key_values: Vec<KeyValue>,
    /// Also the records that those (with their children, if asked for) refer to, and what these refer to
    #[arg(long)]
    pub with_parents: bool,
    /// Also the records that refer to those, and what refers to these
    #[arg(long)]
    pub with_children: bool,
    /// Only records that are gone from the database: insert those, leave all other rows alone
    #[arg(long)]
    pub deleted: bool,
}

impl ScopeFlags {
    pub(super) fn scope(&self) -> Scope {
        Scope {
            tables: self.tables.clone(),
            excluded: self.excluded.clone(),
            filter: self.filter.clone(),
            key_values: self.key_values.clone(),
            with_parents: self.with_parents,
            with_children: self.with_children,
        }
    }
}

/// Which row a record means.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Which row a record means")]
pub(super) struct MatchFlags {
    /// The keys that are asked [default: auto]
    #[arg(long = "match", value_name = "KEYS", value_enum)]
    pub by: Option<MatchWord>,
    /// Columns that tell the rows of a table apart, as products=brand,name; may be repeated
    #[arg(long = "key", value_name = "T=A,B", value_parser = names::key)]
    pub keys: Vec<DeclaredKey>,
    /// A reference that the database does not declare, as orders.customer=customers.id; may be repeated
    #[arg(long = "reference", value_name = "T.COL=P.COL", value_parser = names::reference)]
    pub references: Vec<DeclaredReference>,
    /// A column that has another name in the database, as orders.cust=customer; may be repeated
    #[arg(long = "rename", value_name = "T.OLD=NEW", value_parser = names::rename)]
    pub renames: Vec<Rename>,
    /// File with [keys] and [references] [default: larder.toml of this folder, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What happens to rows.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What is done")]
pub(super) struct DoingFlags {
    /// What happens to rows that exist already [default: add]
    #[arg(short, long, value_name = "MODE", value_enum)]
    pub mode: Option<ModeWord>,
    /// With --mode replace: make the whole database anew beside it, and put its content in the place of all
    /// that is there, in one transaction [default: record by record]
    #[arg(long)]
    pub replace_file: bool,
    /// What happens to a record that contradicts the database [default: stop]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub on_conflict: Option<ConflictWord>,
    /// Replace, though rows of other tables lose the rows that they refer to
    #[arg(long)]
    pub force: bool,
    /// Make a new file of what is whole of a damaged snapshot, and list what it lacks [default: make none]
    #[arg(long)]
    pub allow_damaged: bool,
    /// Let the triggers of the database fire [default: they do not]
    #[arg(long)]
    pub fire_triggers: bool,
    /// Take no snapshot of the database first: the restore cannot be undone, and larder undo will not know
    /// of it
    #[arg(long)]
    pub no_safety_snapshot: bool,
    /// Show what would happen, write nothing [default: write]
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// References without a target.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "References to records that are missing")]
pub(super) struct MissingFlags {
    /// Ask about every missing record
    #[arg(short, long)]
    pub interactive: bool,
    /// What is done about every one that nothing else is decided about [default: stop, and list them]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub on_missing: Option<MissingWord>,
    /// Read decisions from a file that --save-decisions wrote
    #[arg(long, value_name = "FILE")]
    pub resolve: Option<PathBuf>,
    /// Write the decisions to a new file, and what is still to be decided as a template; the file that
    /// --resolve names is added to
    #[arg(long, value_name = "FILE")]
    pub save_decisions: Option<PathBuf>,
}

/// What happens to rows that exist already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ModeWord {
    /// Leave them as they are; insert records that are missing
    #[default]
    Add,
    /// As add, and fill what is NULL in them
    Augment,
    /// Whole tables equal the snapshot afterwards; chosen records take the place of their rows
    Replace,
}

impl From<ModeWord> for Mode {
    fn from(word: ModeWord) -> Self {
        match word {
            ModeWord::Add => Self::Add,
            ModeWord::Augment => Self::Augment,
            ModeWord::Replace => Self::Replace,
        }
    }
}

/// Which keys are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum MatchWord {
    /// The primary key, every UNIQUE key, and that of --key; where they disagree nothing is guessed
    #[default]
    Auto,
    /// The primary key alone
    Id,
    /// The key of --key; without it the UNIQUE keys
    Natural,
}

impl From<MatchWord> for Match {
    fn from(word: MatchWord) -> Self {
        match word {
            MatchWord::Auto => Self::Auto,
            MatchWord::Id => Self::Id,
            MatchWord::Natural => Self::Natural,
        }
    }
}

/// What happens to a record that contradicts the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ConflictWord {
    /// Write nothing
    #[default]
    Stop,
    /// Leave the record out, and report it
    Skip,
}

impl From<ConflictWord> for OnConflict {
    fn from(word: ConflictWord) -> Self {
        match word {
            ConflictWord::Stop => Self::Stop,
            ConflictWord::Skip => Self::Skip,
        }
    }
}

/// What is done about a missing record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum MissingWord {
    /// Insert it from the snapshot, if it is there
    Create,
    /// Leave out the records that refer to it, and what refers to those
    Skip,
    /// Let them refer to nothing, where the column may be NULL
    Null,
}

impl From<MissingWord> for OnMissing {
    fn from(word: MissingWord) -> Self {
        match word {
            MissingWord::Create => Self::Create,
            MissingWord::Skip => Self::Skip,
            MissingWord::Null => Self::Null,
        }
    }
}
