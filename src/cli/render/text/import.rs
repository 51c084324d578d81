//! What is said of exports that are listed or validated as they are.

use std::fmt::Write as _;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::import::ExportCheck;
use crate::ops::import::ExportSummary;
use crate::ops::import::FileDamage;

/// The export as a line of a list of snapshots.
pub fn list(summary: &ExportSummary, look: &Look) -> String {
    let head = ["NAME", "DATE", "FILES", "RECORDS", "SOURCE"];
    let row = vec![
        escape::shown(&summary.name).into_owned(),
        date(summary, look),
        figures::count(summary.files),
        figures::count(summary.records),
        escape::shown(&summary.source).into_owned(),
    ];
    let sides = [Side::Left, Side::Left, Side::Right, Side::Right, Side::Left];
    let mut out = super::columns("", &sides, &[head.map(str::to_owned).to_vec(), row]);
    let path = escape::path(&summary.path);
    let _ = writeln!(
        out,
        "1 export, {path} (no store; its manifest was read, not its files)"
    );
    out
}

fn date(summary: &ExportSummary, look: &Look) -> String {
    match &summary.time {
        Some(time) => figures::local_time(time, &look.zone),
        None => escape::shown(&summary.export_date).into_owned(),
    }
}

/// The report of a validation.
pub fn validate(check: &ExportCheck, look: &Look) -> String {
    let export = &check.export;
    let mut out = format!(
        "Reading all files of the export {}\n",
        escape::path(&export.path)
    );
    let rows: Vec<Vec<String>> = check
        .files
        .iter()
        .map(|file| {
            vec![
                escape::shown(&file.file).into_owned(),
                figures::counted(file.records, "record"),
                figures::bytes(file.bytes),
                if file.good { "good" } else { "DAMAGED" }.to_owned(),
            ]
        })
        .collect();
    let sides = [Side::Left, Side::Right, Side::Right, Side::Left];
    out.push_str(&super::columns("  ", &sides, &rows));
    let good = check.files.iter().filter(|file| file.good).count();
    let of_export = match (export.source.as_str(), date(export, look).as_str()) {
        ("", "") => String::new(),
        (source, date) => format!("; {} {date}", escape::shown(source)),
    };
    let _ = writeln!(
        out,
        "  {} of {} {} as manifest.json says, with {}{}",
        figures::count(good as u64),
        figures::counted(check.files.len() as u64, "file"),
        figures::agree(check.files.len() as u64, "is", "are"),
        figures::counted(check.files.iter().map(|file| file.records).sum(), "record"),
        of_export.trim_end()
    );
    out.push_str(&damage_only(check));
    let time = figures::seconds(check.elapsed_ms);
    let _ = match check.files.len() - good {
        0 => writeln!(out, "Validation passed in {time}."),
        bad => writeln!(
            out,
            "Validation found {} in {time}.",
            figures::counted(bad as u64, "damaged file")
        ),
    };
    out
}

/// Damage alone, for `--quiet`.
pub fn damage_only(check: &ExportCheck) -> String {
    check.damage.iter().map(damage_line).collect()
}

fn damage_line(damage: &FileDamage) -> String {
    format!(
        "damaged: {}: {}\n",
        escape::shown(&damage.file),
        escape::shown(&damage.cause.to_string())
    )
}
