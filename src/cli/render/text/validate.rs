//! What a validation says: what was read, what is damaged, and what hangs on it.

mod constraints;
mod drill;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::validate::AffectedRecords;
use crate::ops::validate::Damage;
use crate::ops::validate::Level;
use crate::ops::validate::SnapshotCheck;
use crate::ops::validate::ValidateOutcome;

/// How much of it a person wants to see.
#[derive(Debug, Clone, Copy)]
pub struct ValidateView<'a> {
    /// The store, as it was given.
    pub store: &'a Path,
    /// True if snapshots were named: their entity files are listed if it is one.
    pub named: bool,
}

/// The whole report.
pub fn validate(outcome: &ValidateOutcome, view: &ValidateView<'_>, look: &Look) -> String {
    let mut out = String::new();
    let how = match outcome.level {
        Level::Quick => "Looking up all",
        Level::Subset(_) => "Looking up all and reading some",
        Level::All => "Reading all",
    };
    let snapshots = figures::counted(outcome.snapshots.len() as u64, "snapshot");
    let store = escape::path(view.store);
    let _ = writeln!(out, "{how} blobs of {snapshots} in {store}");
    let (packs, good) = (outcome.packs, outcome.packs_good);
    let _ = writeln!(
        out,
        "  packs      {} of {} {}, {}; {}",
        figures::count(good),
        figures::count(packs),
        match outcome.level {
            Level::All if good == packs => "read",
            // Nothing else was read of most of them, or of any.
            Level::Quick | Level::Subset(_) if good == packs => "with good footers",
            _ => "good",
        },
        figures::bytes(outcome.pack_bytes),
        figures::counted(outcome.blobs, "blob")
    );
    out.push_str(&constraints::packs_read(outcome, look));
    out.push_str(&totals(outcome));
    out.push_str(&lines(outcome, view, look));
    out.push_str(&references(outcome));
    out.push_str(&constraints::constraints(outcome, look));
    if let Some(receipt) = &outcome.drill {
        out.push_str(&drill::receipt(receipt, look));
    }
    for damage in &outcome.damage {
        out.push_str(&damage_lines(damage, look.verbose));
    }
    out.push_str(&advice_on_parity(outcome, view, look));
    out.push_str(&advice_on_repair(outcome, view, look));
    out.push_str(&verdict(outcome, view, look));
    out
}

/// What to do about damage that affects nothing yet.
fn advice_on_parity(outcome: &ValidateOutcome, view: &ValidateView<'_>, look: &Look) -> String {
    let mut objects = outcome.damage.iter().map(|damage| &damage.object);
    let is_redundancy = |object: &String| {
        let starts = ["parity of ", "second copy of ", "redundancy"];
        starts.iter().any(|start| object.starts_with(start))
    };
    if !objects.any(is_redundancy) {
        return String::new();
    }
    let words = [OsStr::new("parity"), OsStr::new("add")];
    let command = look.command(view.store, &words);
    format!("  what keeps data whole is damaged, data is not; make it again with: {command}\n")
}

/// What heals damage, if anything does.
fn advice_on_repair(outcome: &ValidateOutcome, view: &ValidateView<'_>, look: &Look) -> String {
    let heals = |damage: &Damage| {
        let starts = ["pack ", "snapshot ", "gc/", "config", "forgotten/"];
        damage.blob.is_some() || starts.iter().any(|start| damage.object.starts_with(start))
    };
    if !outcome.damage.iter().any(heals) {
        return String::new();
    }
    let command = look.command(view.store, &[OsStr::new("repair")]);
    let damaged = outcome.packs.saturating_sub(outcome.packs_good);
    let (parity, second) = (outcome.packs_with_parity, outcome.packs_with_second);
    let has =
        |with: u64, what: &str| (with > 0).then(|| format!("{} {what}", figures::count(with)));
    let beside = match (damaged, parity, second) {
        (0, ..) => String::new(),
        (_, 0, 0) => {
            " (no damaged pack has parity or a second copy: copies of its blobs, other stores and databases are tried)"
                .to_owned()
        }
        (1, 0, _) => " (the damaged pack has a second copy)".to_owned(),
        (1, ..) => " (the damaged pack has parity)".to_owned(),
        (damaged, ..) => {
            let with = [has(parity, "with parity"), has(second, "with a second copy")];
            let with: Vec<String> = with.into_iter().flatten().collect();
            format!(
                " (of {} {})",
                figures::counted(damaged, "damaged pack"),
                with.join(", ")
            )
        }
    };
    format!("  to heal it: {command}{beside}\n")
}

/// Damage alone, for `--quiet`.
pub fn damage_only(outcome: &ValidateOutcome, look: &Look) -> String {
    let lines = outcome.damage.iter();
    lines.map(|d| damage_lines(d, look.verbose)).collect()
}

fn totals(outcome: &ValidateOutcome) -> String {
    let good = outcome.snapshots.iter().filter(|s| s.good).count();
    let entities = outcome.snapshots.iter().flat_map(|s| &s.entities);
    let (count, records) = entities.fold((0_u64, 0_u64), |(count, records), entity| {
        (count + 1, records + entity.records)
    });
    let all_good = good == outcome.snapshots.len();
    let checked = match (all_good, outcome.level) {
        (true, Level::All) => ", keys in order, counts as recorded",
        (true, Level::Quick) => ", every blob of them is in a pack (contents were not read)",
        (true, Level::Subset(_)) => ", every blob of them is in a pack",
        (false, _) => "",
    };
    let count = figures::counted(count, "entity");
    format!(
        "  snapshots  {} of {} complete: {count}, {}{checked}\n",
        figures::count(good as u64),
        figures::count(outcome.snapshots.len() as u64),
        figures::counted(records, "record")
    )
}

/// A line per entity file of a snapshot that was named, or of all with `-v`; else one per snapshot.
fn lines(outcome: &ValidateOutcome, view: &ValidateView<'_>, look: &Look) -> String {
    let mut out = String::new();
    let one = view.named && outcome.snapshots.len() == 1;
    let word = |good: bool| if good { "good" } else { "DAMAGED" }.to_owned();
    if one || look.verbose {
        for snapshot in &outcome.snapshots {
            let _ = writeln!(out, "{}", heading(snapshot, look));
            let rows: Vec<Vec<String>> = snapshot
                .entities
                .iter()
                .map(|entity| {
                    vec![
                        escape::shown(&entity.file).into_owned(),
                        figures::counted(entity.records, "record"),
                        figures::bytes(entity.bytes),
                        word(entity.good),
                    ]
                })
                .collect();
            let sides = [Side::Left, Side::Right, Side::Right, Side::Left];
            out.push_str(&super::columns("  ", &sides, &rows));
        }
        return out;
    }
    let rows: Vec<Vec<String>> = outcome
        .snapshots
        .iter()
        .map(|check| {
            let summary = &check.snapshot;
            vec![
                escape::shown(&summary.name).into_owned(),
                escape::shown(&summary.short_id).into_owned(),
                figures::local_time(&summary.time, &look.zone),
                figures::counted(summary.records, "record"),
                word(check.good),
            ]
        })
        .collect();
    let sides = [Side::Left, Side::Left, Side::Left, Side::Right, Side::Left];
    out.push_str(&super::columns("  ", &sides, &rows));
    out
}

fn heading(check: &SnapshotCheck, look: &Look) -> String {
    format!(
        "{}   (snapshot {}, {})",
        escape::shown(&check.snapshot.name),
        escape::shown(&check.snapshot.short_id),
        figures::local_time(&check.snapshot.time, &look.zone)
    )
}

/// `references as recorded at backup time: orders→customers 3 missing`, each once.
fn references(outcome: &ValidateOutcome) -> String {
    let mut seen: Vec<&(String, String, u64)> = Vec::new();
    for reference in outcome.snapshots.iter().flat_map(|s| &s.references) {
        if !seen.contains(&reference) {
            seen.push(reference);
        }
    }
    let shown: Vec<String> = seen
        .iter()
        .map(|(child, parent, missing)| {
            let (child, parent) = (escape::shown(child), escape::shown(parent));
            format!("{child}→{parent} {} missing", figures::count(*missing))
        })
        .collect();
    let what = if shown.is_empty() {
        "all resolved".to_owned()
    } else {
        shown.join(", ")
    };
    format!("  references as recorded at backup time: {what}\n")
}

pub(super) fn damage_lines(damage: &Damage, whole_ids: bool) -> String {
    let short = |text: &str| {
        if whole_ids {
            escape::shown(text).into_owned()
        } else {
            short_ids(&escape::shown(text))
        }
    };
    let blob = match &damage.blob {
        Some((kind, id)) => format!("{kind} blob {}: ", short(id)),
        None => String::new(),
    };
    let mut out = format!(
        "damaged: {} ({blob}{})\n",
        short(&damage.object),
        escape::shown(&damage.cause)
    );
    if damage.affects.is_empty() {
        out.push_str("  affects no snapshot\n");
    }
    for affected in &damage.affects {
        let _ = writeln!(out, "  affects {}", affects(affected));
    }
    out
}

fn affects(affected: &AffectedRecords) -> String {
    let count = affected.snapshots.len() as u64;
    let snapshots = format!(
        "{}: {}",
        figures::counted(count, "snapshot"),
        escape::shown(&affected.snapshots.join(", "))
    );
    if affected.entity.is_empty() {
        return format!("all of {snapshots}");
    }
    let records = match affected.records {
        0 => String::new(),
        n => format!(" ({})", figures::counted(n, "record")),
    };
    let range = escape::shown(&affected.range);
    let comma = if range.is_empty() { "" } else { ", " };
    format!(
        "{}{comma}{range}{records}, in {snapshots}",
        escape::shown(&affected.entity)
    )
}

fn verdict(outcome: &ValidateOutcome, view: &ValidateView<'_>, look: &Look) -> String {
    let time = figures::seconds(outcome.elapsed_ms);
    let bad: Vec<&SnapshotCheck> = outcome.snapshots.iter().filter(|s| !s.good).collect();
    if outcome.damage.is_empty() && bad.is_empty() {
        return format!("Validation passed in {time}.\n");
    }
    let mut out = String::new();
    let mut good = outcome.snapshots.iter().filter(|s| s.good);
    let whole = good.clone().count() as u64;
    if let Some(newest) = good.next() {
        let _ = writeln!(
            out,
            "  {} can be restored whole, the newest is {}",
            figures::counted(whole, "snapshot"),
            escape::shown(&newest.snapshot.name)
        );
    }
    // Without its schema nothing of it can; then no entity is good.
    let in_part = |s: &&&SnapshotCheck| s.entities.iter().any(|entity| entity.good);
    if let Some(newest) = bad.iter().find(in_part) {
        let name = newest.snapshot.name.as_str();
        let words = ["restore", name, "--to", "restored.db", "--allow-damaged"];
        let _ = writeln!(
            out,
            "  of {} everything else can be restored: {}",
            escape::shown(name),
            look.command(view.store, &words.map(OsStr::new))
        );
    }
    let blobs = outcome.damage.iter().filter(|d| d.blob.is_some()).count();
    let objects = outcome.damage.len() - blobs;
    let parts: Vec<String> = [(blobs, "damaged blob"), (objects, "damaged object")]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, noun)| figures::counted(*n as u64, noun))
        .collect();
    let found = if parts.is_empty() {
        figures::counted(bad.len() as u64, "damaged snapshot")
    } else {
        parts.join(" and ")
    };
    let _ = writeln!(out, "Validation found {found} in {time}.");
    out
}

/// Runs of 32 or more hex digits cut to 8 and `…`.
pub fn short_ids(text: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    let end = |run: &mut String, out: &mut String| {
        if run.len() >= 32 {
            out.push_str(&run[..8]);
            out.push('…');
        } else {
            out.push_str(run);
        }
        run.clear();
    };
    for c in text.chars() {
        if c.is_ascii_hexdigit() {
            run.push(c);
        } else {
            end(&mut run, &mut out);
            out.push(c);
        }
    }
    end(&mut run, &mut out);
    out
}
