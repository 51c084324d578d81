//! Redundancy of a store, for people.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::validate::short_ids;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::parity::Amount;
use crate::ops::parity::ParityAdded;
use crate::ops::parity::ParityChecked;
use crate::ops::parity::ParityRemoved;
use crate::ops::parity::ParityStatus;
use crate::ops::parity::Redundancy;
use crate::ops::parity::RedundancyDamage;
use crate::ops::parity::RedundancyLevel;

/// `4 packs, 16.0 MiB`
fn amount(amount: Amount, noun: &str) -> String {
    match amount.count {
        0 => "none".to_owned(),
        count => format!(
            "{}, {}",
            figures::counted(count, noun),
            figures::bytes(amount.bytes)
        ),
    }
}

fn setting(redundancy: Redundancy) -> String {
    let Redundancy { level, percent } = redundancy;
    match level {
        RedundancyLevel::None => "none".to_owned(),
        RedundancyLevel::Parity => format!("parity, {percent} % of packs of 1 MiB and more"),
        RedundancyLevel::Full => {
            format!("parity, {percent} % of packs of 1 MiB and more, and copies of what is smaller")
        }
    }
}

fn add(store: &Path, look: &Look) -> String {
    look.command(store, &[OsStr::new("parity"), OsStr::new("add")])
}

/// What there is, and what lacks it.
pub fn status(outcome: &ParityStatus, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    let said = outcome.redundancy.map_or_else(
        || "what says so is damaged; parity is added".to_owned(),
        setting,
    );
    let _ = writeln!(out, "backups add    {said}");
    let _ = writeln!(
        out,
        "large packs    {}; without parity: {}",
        amount(outcome.packs, "pack"),
        amount(outcome.without, "pack")
    );
    let _ = writeln!(out, "parity         {}", amount(outcome.parity, "file"));
    let _ = writeln!(out, "second copies  {}", amount(outcome.seconds, "object"));
    if outcome.not_copied > 0 {
        let lacking = figures::counted(outcome.not_copied, "object");
        let _ = writeln!(out, "without a copy {lacking}");
    }
    if outcome.orphans.count > 0 {
        let orphans = amount(outcome.orphans, "object");
        let _ = writeln!(out, "of what is gone, for a prune to delete: {orphans}");
    }
    if outcome.without.count + outcome.not_copied > 0 || outcome.redundancy.is_none() {
        let _ = writeln!(out, "Add what lacks with: {}", add(store, look));
    }
    out
}

/// What was added.
pub fn added(outcome: &ParityAdded, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Parity added to {}; {} had it",
        amount(outcome.made, "pack").replace("none", "no pack"),
        figures::counted(outcome.kept, "pack")
    );
    if outcome.again.count > 0 {
        let again = amount(outcome.again, "pack");
        let _ = writeln!(out, "Damaged parity made again of {again}");
    }
    if outcome.resized.count > 0 {
        let resized = amount(outcome.resized, "pack");
        let _ = writeln!(out, "Parity of another percentage made again of {resized}");
    }
    if outcome.copied.count > 0 {
        let copied = amount(outcome.copied, "object");
        let _ = writeln!(out, "Second copies made of {copied}");
    }
    let _ = writeln!(
        out,
        "Backups add from now on: {}",
        setting(outcome.redundancy)
    );
    out.push_str(&damage(&outcome.damage, look));
    if !outcome.damage.is_empty() {
        let validate = look.command(store, &[OsStr::new("validate")]);
        let _ = writeln!(out, "See what that affects with: {validate}");
    }
    out
}

/// What was taken away.
pub fn removed(outcome: &ParityRemoved, store: &Path, look: &Look) -> String {
    format!(
        "Removed: parity {}; second copies {}\nBackups add none from now on; add it again with: {}\n",
        amount(outcome.parity, "file"),
        amount(outcome.seconds, "object"),
        add(store, look)
    )
}

/// What was checked.
pub fn checked(outcome: &ParityChecked, store: &Path, look: &Look) -> String {
    let mut out = format!(
        "Read: parity {}; second copies {}\n",
        amount(outcome.parity, "file"),
        amount(outcome.seconds, "object")
    );
    out.push_str(&damage(&outcome.damage, look));
    let time = figures::seconds(outcome.elapsed_ms);
    if outcome.parity.count + outcome.seconds.count == 0 {
        let _ = writeln!(
            out,
            "Nothing to check: there is no parity and no second copy. See what lacks it with: {}",
            look.command(store, &[OsStr::new("parity")])
        );
    } else if outcome.damage.is_empty() {
        let _ = writeln!(out, "All of it would help. {time}");
    } else {
        let found = figures::counted(outcome.damage.len() as u64, "damaged object");
        let _ = writeln!(out, "Found {found} in {time}.");
    }
    if outcome.damage.iter().any(is_redundancy) {
        let _ = writeln!(out, "Make damaged parity again with: {}", add(store, look));
    }
    out
}

/// True for parity and copies, false for what they stand beside.
fn is_redundancy(damage: &RedundancyDamage) -> bool {
    ["parity of ", "second copy of "]
        .iter()
        .any(|start| damage.object.starts_with(start))
}

/// Damage alone, a line each; for `--quiet` too.
pub fn damage(damage: &[RedundancyDamage], look: &Look) -> String {
    let shown = |text: &str| match look.verbose {
        true => escape::shown(text).into_owned(),
        false => short_ids(&escape::shown(text)),
    };
    let mut out = String::new();
    for damage in damage {
        let _ = writeln!(
            out,
            "damaged: {} ({})",
            shown(&damage.object),
            shown(&damage.cause)
        );
    }
    out
}
