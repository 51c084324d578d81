//! Exit codes: the only map from errors and outcomes to them. `docs/scripting.md` has the table,
//! `tests/cli/exit_codes.rs` freezes it. No `match` here has a wildcard arm: a new error must be
//! given its code by whoever adds it.

use crate::cli::signals::Signal;
use crate::error::BlobError;
use crate::error::BlobErrorKind;
use crate::error::Error;
use crate::error::ExportError;
use crate::error::ImportError;
use crate::error::SelectError;
use crate::error::SourceError;
use crate::error::StoreError;
use crate::error::TargetError;
use crate::ops::backup::BackupOutcome;
use crate::ops::copy::CopyOutcome;
use crate::ops::diff::DiffOutcome;
use crate::ops::import::ExportCheck;
use crate::ops::list::ForgottenOutcome;
use crate::ops::list::ListOutcome;
use crate::ops::parity::ParityStatus;
use crate::ops::parity::RedundancyDamage;
use crate::ops::prune::PruneOutcome;
use crate::ops::repair::RepairOutcome;
use crate::ops::restore::RestoreOutcome;
use crate::ops::stats::StatsOutcome;
use crate::ops::undo::UndoOutcome;
use crate::ops::validate::ValidateOutcome;
use crate::progress::Finding;
use crate::progress::Severity;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Done.
    Ok,
    /// Not done.
    Failed,
    /// The command line cannot be meant.
    Usage,
    /// Done, but something could not be read or carried.
    Incomplete,
    /// Damage was found, by any command.
    Damaged,
    /// A restore stopped on conflicts, nothing written.
    Conflicts,
    /// The source or target was busy or changed, or the time was up.
    Busy,
    /// No store there.
    NoStore,
    /// A prune took this writer for dead.
    Fenced,
    /// The key does not open the store.
    WrongKey,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl Code {
    /// Every code there is.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Incomplete,
        Self::Damaged,
        Self::Conflicts,
        Self::Busy,
        Self::NoStore,
        Self::Fenced,
        Self::WrongKey,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the system is given.
    pub fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Damaged => 4,
            Self::Conflicts => 5,
            Self::Busy => 6,
            Self::NoStore => 10,
            Self::Fenced => 11,
            Self::WrongKey => 12,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What the program exits with under the names that larder's ancestor had.
    #[must_use]
    pub fn for_ancestor(self) -> Self {
        match self {
            Self::Ok => Self::Ok,
            Self::Usage => Self::Usage,
            Self::Failed
            | Self::Incomplete
            | Self::Damaged
            | Self::Conflicts
            | Self::Busy
            | Self::NoStore
            | Self::Fenced
            | Self::WrongKey => Self::Failed,
            // The shell says these of any program that a signal stops.
            Self::Interrupted => Self::Interrupted,
            Self::Terminated => Self::Terminated,
        }
    }

    /// The code of two pieces of work together: damage counts most, then the first that is not 0.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Damaged, _) | (_, Self::Damaged) => Self::Damaged,
            (Self::Ok, code) | (code, _) => code,
        }
    }
}

/// The code of work that a signal, or a caller, stopped.
fn of_signal(signal: Option<Signal>) -> Code {
    match signal {
        Some(Signal::Interrupt) | None => Code::Interrupted,
        Some(Signal::Terminate) => Code::Terminated,
    }
}

/// The code of an error. `signal` is the one that was caught, if any.
pub fn of_error(error: &Error, signal: Option<Signal>) -> Code {
    match error {
        Error::Source(error) => source_code(error, signal),
        Error::Store(error) => store_code(error),
        Error::Target(error) => target_code(error),
        Error::Export(error) => export_code(error, signal),
        Error::Import(error) => import_code(error),
        Error::Select(error) => select_code(error),
        Error::Safety(error) => store_code(error),
        Error::NotWhole(_) => Code::Damaged,
        Error::Cancelled => of_signal(signal),
    }
}

fn source_code(error: &SourceError, signal: Option<Signal>) -> Code {
    match error {
        SourceError::Busy { .. }
        | SourceError::LockTooLong { .. }
        | SourceError::WalGrew { .. }
        | SourceError::WrittenMeanwhile { .. }
        | SourceError::Changed { .. } => Code::Busy,
        SourceError::Corrupt { .. } => Code::Damaged,
        SourceError::Cancelled { .. } => of_signal(signal),
        SourceError::NotFound { .. }
        | SourceError::NotADatabase { .. }
        | SourceError::NeedsRecovery { .. }
        | SourceError::WalNeedsWrite { .. }
        | SourceError::WalOverNetwork { .. }
        | SourceError::Denied { .. }
        | SourceError::NoSpace { .. }
        | SourceError::NotAllCarried { .. }
        | SourceError::Sqlite { .. }
        | SourceError::File { .. } => Code::Failed,
    }
}

fn target_code(error: &TargetError) -> Code {
    match error {
        TargetError::Busy { .. } => Code::Busy,
        TargetError::Damaged { .. } => Code::Damaged,
        TargetError::BadExpression { .. }
        | TargetError::BadDecision { .. }
        | TargetError::BadRename { .. }
        | TargetError::NoRenamed { .. }
        | TargetError::NoColumn { .. } => Code::Usage,
        TargetError::NotADatabase { .. }
        | TargetError::OtherApplication { .. }
        | TargetError::LosesTables { .. }
        | TargetError::OtherForm { .. }
        | TargetError::PlanDiffers { .. }
        | TargetError::Exists { .. }
        | TargetError::NoFolder { .. }
        | TargetError::Denied { .. }
        | TargetError::NoSpace { .. }
        | TargetError::LittleSpace { .. }
        | TargetError::Unsupported { .. }
        | TargetError::LongKey { .. }
        | TargetError::Constraint { .. }
        | TargetError::RowShape { .. }
        | TargetError::Content { .. }
        | TargetError::SchemaDiffers { .. }
        | TargetError::NeedsSql { .. }
        | TargetError::Count { .. }
        | TargetError::Sqlite { .. }
        | TargetError::File { .. } => Code::Failed,
    }
}

fn export_code(error: &ExportError, signal: Option<Signal>) -> Code {
    match error {
        ExportError::Blob { cause, .. } => blob_code(cause),
        ExportError::Cancelled => of_signal(signal),
        ExportError::Exists { .. }
        | ExportError::NotEmpty { .. }
        | ExportError::Output { .. }
        | ExportError::NoEntity { .. }
        | ExportError::Misfit { .. } => Code::Failed,
    }
}

fn import_code(error: &ImportError) -> Code {
    match error {
        ImportError::Damaged { .. } | ImportError::Manifest { .. } | ImportError::Zip { .. } => {
            Code::Damaged
        }
        ImportError::NotAnExport { .. }
        | ImportError::Version { .. }
        | ImportError::UnsafeName { .. }
        | ImportError::Duplicate { .. }
        | ImportError::TooMuch { .. }
        | ImportError::Refused { .. }
        | ImportError::Input { .. } => Code::Failed,
    }
}

fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::NoStore { .. } => Code::NoStore,
        StoreError::Fenced { .. } => Code::Fenced,
        StoreError::CleanUpAtWork { .. }
        | StoreError::WriterAtWork { .. }
        | StoreError::Overtaken => Code::Busy,
        StoreError::Damaged { .. } | StoreError::StillNeeded { .. } => Code::Damaged,
        StoreError::Blob(error) => blob_code(error),
        StoreError::Exists { .. }
        | StoreError::Same { .. }
        | StoreError::Within { .. }
        | StoreError::NotEmpty { .. }
        | StoreError::Unsupported { .. }
        | StoreError::Backend(_)
        | StoreError::TooOld { .. }
        | StoreError::Pruned { .. }
        | StoreError::Encoding { .. }
        | StoreError::Cache(_)
        | StoreError::WrongPages { .. }
        | StoreError::Census(_)
        | StoreError::Scratch(_) => Code::Failed,
    }
}

fn blob_code(error: &BlobError) -> Code {
    match error.why {
        BlobErrorKind::Missing | BlobErrorKind::Damaged => Code::Damaged,
        BlobErrorKind::Unavailable => Code::Failed,
    }
}

fn select_code(error: &SelectError) -> Code {
    match error {
        SelectError::NoSnapshot { .. }
        | SelectError::TooFew { .. }
        | SelectError::Empty { .. }
        | SelectError::NoTag { .. }
        | SelectError::NoHost { .. }
        | SelectError::NoneFits { .. }
        | SelectError::Ambiguous { .. }
        | SelectError::NoSource { .. }
        | SelectError::NameTaken { .. }
        | SelectError::BadName { .. }
        | SelectError::NoEntity { .. }
        | SelectError::Forgotten { .. }
        | SelectError::NoForgotten { .. }
        | SelectError::Pinned { .. }
        | SelectError::Unsettled { .. }
        | SelectError::KeepsNothing { .. }
        | SelectError::NotARestore { .. }
        | SelectError::NothingToUndo { .. }
        | SelectError::LastForgotten { .. }
        | SelectError::NoTable { .. }
        | SelectError::Virtual { .. }
        | SelectError::NoPages { .. } => Code::Failed,
        // The words do not say which: more of them do.
        SelectError::SeveralSources { .. }
        | SelectError::BadKey { .. }
        | SelectError::NewFileOnly { .. } => Code::Usage,
        SelectError::NoRecord { .. } => Code::Failed,
    }
}

/// The code of findings: a note is a fact that is carried, a warning is not.
pub fn of_findings(findings: &[Finding]) -> Code {
    let is_warning = |finding: &Finding| match finding.severity {
        Severity::Note => false,
        Severity::Warning => true,
    };
    if findings.iter().any(is_warning) {
        Code::Incomplete
    } else {
        Code::Ok
    }
}

/// The code of a backup that committed its snapshot.
pub fn of_backup(outcome: &BackupOutcome) -> Code {
    of_findings(&outcome.findings)
}

/// The code of work on snapshots that were forgotten, taken back or pinned one after the other. `left`: how
/// many were not done, for it was asked to stop; `signal`: the one that was caught, if any.
pub fn of_marks(left: u64, findings: &[Finding], signal: Option<Signal>) -> Code {
    match left {
        0 => of_findings(findings),
        _ => of_signal(signal),
    }
}

/// The code of a list of forgotten snapshots.
pub fn of_forgotten(outcome: &ForgottenOutcome) -> Code {
    of_findings(&outcome.findings)
}

/// The code of a list.
pub fn of_list(outcome: &ListOutcome) -> Code {
    of_findings(&outcome.findings)
}

/// The code of a validation that could be carried out.
pub fn of_validate(outcome: &ValidateOutcome) -> Code {
    let whole = outcome.damage.is_empty() && outcome.snapshots.iter().all(|s| s.good);
    if whole {
        of_findings(&outcome.findings)
    } else {
        Code::Damaged
    }
}

/// The code of an export that was validated.
pub fn of_export(check: &ExportCheck) -> Code {
    if check.damage.is_empty() {
        of_findings(&check.findings)
    } else {
        Code::Damaged
    }
}

/// The code of a prune, or of its plan.
pub fn of_prune(outcome: &PruneOutcome) -> Code {
    match outcome.damaged {
        true => Code::Damaged,
        false => of_findings(&outcome.findings),
    }
}

/// The code of a repair, or of its plan.
pub fn of_repair(outcome: &RepairOutcome) -> Code {
    match outcome.is_lost() {
        true => Code::Damaged,
        false => Code::Ok,
    }
}

/// The code of a store's figures.
pub fn of_stats(outcome: &StatsOutcome) -> Code {
    if outcome.damage.is_empty() {
        Code::Ok
    } else {
        Code::Damaged
    }
}

/// The code of what was found while parity was added or checked.
pub fn of_redundancy(damage: &[RedundancyDamage]) -> Code {
    if damage.is_empty() {
        Code::Ok
    } else {
        Code::Damaged
    }
}

/// The code of what redundancy there is: that it lacks is no damage.
pub fn of_parity_status(status: &ParityStatus) -> Code {
    match status.redundancy {
        Some(_) => Code::Ok,
        None => Code::Damaged,
    }
}

/// The code of a copy. `signal` is the one that was caught, if any: what was copied before it stays.
pub fn of_copy(outcome: &CopyOutcome, signal: Option<Signal>) -> Code {
    let stopped = match outcome.stopped {
        true => of_signal(signal),
        false => of_findings(&outcome.findings),
    };
    match outcome.not_copied.is_empty() {
        true => stopped,
        false => Code::Damaged.and(stopped),
    }
}

/// The code of an undo, or of its plan.
pub fn of_undo(outcome: &UndoOutcome) -> Code {
    if outcome.is_stopped() {
        Code::Conflicts
    } else {
        of_findings(&outcome.findings)
    }
}

/// The code of a restore, or of its plan.
pub fn of_restore(outcome: &RestoreOutcome) -> Code {
    if outcome.is_stopped() {
        Code::Conflicts
    } else if !outcome.lost.is_empty() {
        Code::Damaged
    } else {
        of_findings(&outcome.findings)
    }
}

/// The code of a comparison. `tell`: a difference is told by it, as `git diff --exit-code` does.
pub fn of_diff(outcome: &DiffOutcome, tell: bool) -> Code {
    match of_findings(&outcome.findings) {
        // The number that `git diff` and `diff` have for it.
        Code::Ok if tell && outcome.differs() => Code::Failed,
        code => code,
    }
}
