//! Redundancy of a store, for programs: one document each.

use std::path::Path;

use super::{Document, shown};
use crate::ops::parity::{
    Amount, ParityAdded, ParityChecked, ParityRemoved, ParityStatus, Redundancy, RedundancyDamage,
};

fn amount(amount: Amount) -> Document {
    serde_json::json!({ "count": amount.count, "bytes": amount.bytes })
}

fn setting(redundancy: Redundancy) -> Document {
    serde_json::json!({ "level": redundancy.level.name(), "percent": redundancy.percent })
}

fn damage(damage: &[RedundancyDamage]) -> Vec<Document> {
    let one = |damage: &RedundancyDamage| {
        serde_json::json!({
            "object": damage.object,
            "cause": damage.cause,
            "can_be_healed": damage.can_be_healed,
        })
    };
    damage.iter().map(one).collect()
}

/// What there is.
pub fn status(outcome: &ParityStatus, store: &Path) -> Document {
    serde_json::json!({
        "store": shown(store),
        "redundancy": outcome.redundancy.map(setting),
        "packs": amount(outcome.packs),
        "without": amount(outcome.without),
        "parity": amount(outcome.parity),
        "second_copies": amount(outcome.seconds),
        "not_copied": outcome.not_copied,
        "orphans": amount(outcome.orphans),
    })
}

/// What was added.
pub fn added(outcome: &ParityAdded, store: &Path) -> Document {
    serde_json::json!({
        "store": shown(store),
        "redundancy": setting(outcome.redundancy),
        "made": amount(outcome.made),
        "again": amount(outcome.again),
        "resized": amount(outcome.resized),
        "kept": outcome.kept,
        "copied": amount(outcome.copied),
        "damage": damage(&outcome.damage),
        "elapsed_ms": outcome.elapsed_ms,
    })
}

/// What was taken away.
pub fn removed(outcome: &ParityRemoved, store: &Path) -> Document {
    serde_json::json!({
        "store": shown(store),
        "parity": amount(outcome.parity),
        "second_copies": amount(outcome.seconds),
    })
}

/// What was checked.
pub fn checked(outcome: &ParityChecked, store: &Path) -> Document {
    serde_json::json!({
        "store": shown(store),
        "parity": amount(outcome.parity),
        "second_copies": amount(outcome.seconds),
        "damage": damage(&outcome.damage),
        "elapsed_ms": outcome.elapsed_ms,
    })
}
