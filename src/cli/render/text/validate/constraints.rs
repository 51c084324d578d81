//! What the schema asks of the records, and which packs were read when.

use std::fmt::Write as _;

use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::validate::Audited;
use crate::ops::validate::Level;
use crate::ops::validate::ValidateOutcome;

/// Constraints that could not be asked, shown unless all are wanted.
const LEFT_OUT_SHOWN: usize = 8;

/// Which packs were read whole, and since when every byte was; nothing where all were now.
pub(super) fn packs_read(outcome: &ValidateOutcome, look: &Look) -> String {
    if !matches!(outcome.level, Level::Subset(_)) {
        return String::new();
    }
    let read = &outcome.packs_read;
    let oldest = match &read.oldest {
        Some(time) => format!(
            "every byte was read since {}",
            figures::local_time(time, &look.zone)
        ),
        None => "some bytes were never read".to_owned(),
    };
    format!(
        "  read whole {} of {}, {} of {} ({}); {oldest}\n",
        figures::count(read.packs),
        figures::counted(outcome.packs, "pack"),
        figures::bytes(read.bytes),
        figures::bytes(outcome.pack_bytes),
        figures::percent(read.bytes, outcome.pack_bytes),
    )
}

/// How many constraints were asked of the records, and those that are broken; nothing where none was.
pub(super) fn constraints(outcome: &ValidateOutcome, look: &Look) -> String {
    let audits: Vec<&Audited> = outcome
        .snapshots
        .iter()
        .filter_map(|s| s.audited.as_ref())
        .collect();
    if audits.is_empty() {
        return String::new();
    }
    let asked = audits.iter().map(|audited| audited.constraints).sum();
    let broken = audits.iter().flat_map(|audited| &audited.broken);
    let differing = broken.clone().filter(|broken| broken.differs()).count() as u64;
    let verdict = match differing {
        0 => "all as at backup time".to_owned(),
        n => format!("{} otherwise than at backup time", figures::count(n)),
    };
    let asked = figures::counted(asked, "constraint");
    let mut out = format!("  {asked} asked of the records: {verdict}\n");
    let mut told = Vec::new();
    // Those that differ are told as damage.
    for broken in broken.filter(|broken| !broken.differs()) {
        let line = format!(
            "    {}: {}\n",
            escape::shown(&broken.table),
            escape::shown(&broken.to_string())
        );
        if !told.contains(&line) {
            out.push_str(&line);
            told.push(line);
        }
    }
    let mut left_out = Vec::new();
    for skipped in audits.iter().flat_map(|audited| &audited.not_audited) {
        let colon = if skipped.table.is_empty() { "" } else { ": " };
        let line = format!(
            "    not asked: {}{colon}{} ({})\n",
            escape::shown(&skipped.table),
            escape::shown(&skipped.constraint),
            escape::shown(&skipped.reason)
        );
        if !left_out.contains(&line) {
            left_out.push(line);
        }
    }
    let shown = if look.verbose {
        usize::MAX
    } else {
        LEFT_OUT_SHOWN
    };
    left_out
        .iter()
        .take(shown)
        .for_each(|line| out.push_str(line));
    let more = left_out.len().saturating_sub(shown);
    if more > 0 {
        let _ = writeln!(
            out,
            "    not asked: {} more; -v names them",
            figures::count(more as u64)
        );
    }
    out
}
