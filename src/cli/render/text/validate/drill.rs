//! The receipt of a drill.

use std::fmt::Write as _;

use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::text::Side;
use crate::cli::render::text::columns;
use crate::ops::validate::drill::Receipt;

/// A line for each snapshot, and what it was done with.
pub(super) fn receipt(receipt: &Receipt, look: &Look) -> String {
    let restored = receipt.snapshots.iter().filter(|s| s.failure.is_none());
    let mut out = format!(
        "Drill: {} of {} restored into a scratch file, checked, and every record compared\n",
        figures::count(restored.count() as u64),
        figures::counted(receipt.snapshots.len() as u64, "snapshot"),
    );
    let rows: Vec<Vec<String>> = receipt
        .snapshots
        .iter()
        .map(|drilled| {
            vec![
                escape::shown(&drilled.name).into_owned(),
                figures::counted(drilled.entities, "entity"),
                figures::counted(drilled.records, "record"),
                figures::bytes(drilled.bytes),
                figures::seconds(drilled.elapsed_ms),
                match &drilled.failure {
                    None => "restored".to_owned(),
                    Some(_) => "NOT RESTORED".to_owned(),
                },
            ]
        })
        .collect();
    let sides = [
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Left,
    ];
    out.push_str(&columns("  ", &sides, &rows));
    let _ = writeln!(
        out,
        "  receipt: store {}, {}, on {}, larder {}, SQLite {}",
        receipt.store_id,
        figures::local_time(&receipt.time, &look.zone),
        escape::shown(&receipt.host),
        receipt.larder,
        receipt.sqlite
    );
    out
}
