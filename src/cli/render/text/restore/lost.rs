//! What a new file lacks of its snapshot: told at the end, range by range before it as warnings.

use std::fmt::Write as _;

use crate::cli::render::Look;
use crate::cli::render::figures;
use crate::ops::restore::RestoreOutcome;

use super::{RestoreView, sum};

/// `16 entity files, 3,700 of 3,738 records`.
pub(super) fn what(outcome: &RestoreOutcome) -> String {
    let files = figures::counted(outcome.snapshot.files, "entity file");
    let all = figures::counted(outcome.snapshot.records, "record");
    if outcome.lost.is_empty() {
        return format!("{files}, {all}");
    }
    let restored = sum(outcome, |table| table.inserted);
    format!("{files}, {} of {all}", figures::count(restored))
}

/// How many records are lost, and what may bring them back. Nothing if none is.
pub(super) fn summary(outcome: &RestoreOutcome, view: &RestoreView<'_>, look: &Look) -> String {
    if outcome.lost.is_empty() {
        return String::new();
    }
    let records = outcome.lost.iter().map(|lost| lost.records).sum();
    let mut tables: Vec<&str> = outcome
        .lost
        .iter()
        .map(|lost| lost.table.as_str())
        .collect();
    tables.dedup();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "MISSING: {} of {}, each range named in a warning: damaged or missing in the store.",
        figures::counted(records, "record"),
        figures::counted(tables.len() as u64, "table")
    );
    let _ = writeln!(
        out,
        "They may be healed by: {}",
        look.command(view.store, &["repair".as_ref()])
    );
    out
}
