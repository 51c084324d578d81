//! The parts of the report, each a small table of its own.

use std::fmt::Write as _;

use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::text::Side;
use crate::cli::render::text::columns;
use crate::ops::stats::Figures;
use crate::ops::stats::OneSnapshot;
use crate::ops::stats::StatsOutcome;
use crate::ops::stats::TableFigures;
use crate::ops::stats::TableSort;

/// A name, then numbers.
pub(super) const NAME_AND_NUMBERS: [Side; 10] = [
    Side::Left,
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Right,
    Side::Right,
];

/// What stands for no bytes at all.
const NONE: &str = "–";

fn count(n: u64) -> String {
    match n {
        0 => NONE.to_owned(),
        n => figures::count(n),
    }
}

fn bytes(n: u64) -> String {
    match n {
        0 => NONE.to_owned(),
        n => figures::bytes(n),
    }
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn table(rows: &[Vec<String>]) -> String {
    let width = rows.first().map_or(0, Vec::len);
    columns(
        "",
        &NAME_AND_NUMBERS[..width.min(NAME_AND_NUMBERS.len())],
        rows,
    )
}

/// A name, blobs, canonical bytes, stored bytes.
pub(super) fn figures_row(name: &str, figures: Figures) -> Vec<String> {
    vec![
        name.to_owned(),
        count(figures.blobs),
        bytes(figures.canonical_bytes),
        bytes(figures.stored_bytes),
    ]
}

/// What the store is made of.
pub(super) fn objects(outcome: &StatsOutcome) -> String {
    let (packs, objects) = (&outcome.packs, &outcome.objects);
    let parts = [
        ("packs", (packs.packs, packs.bytes)),
        ("manifests", objects.manifests),
        ("config and records", objects.protocol),
        ("parity", objects.parity),
        ("second copies", objects.seconds),
        ("other", objects.other),
    ];
    let store_bytes = outcome.ratios.store_bytes;
    let number = parts.iter().map(|(_, (number, _))| number).sum();
    let all = ("all of the store", (number, store_bytes));
    let mut rows = vec![head(&["OBJECTS", "COUNT", "BYTES", "SHARE"])];
    for (name, (number, size)) in parts.into_iter().chain([all]) {
        if number > 0 || !["parity", "second copies", "other"].contains(&name) {
            rows.push(vec![
                name.to_owned(),
                count(number),
                bytes(size),
                figures::percent(size, store_bytes),
            ]);
        }
    }
    table(&rows)
}

/// What is in the packs, by kind of blob.
pub(super) fn blobs(outcome: &StatsOutcome) -> String {
    let packs = &outcome.packs;
    let of = |kind: &str, delta: Option<bool>| {
        let is_it = |k: &&crate::ops::stats::KindFigures| {
            k.kind.name() == kind && delta.is_none_or(|delta| k.delta == delta)
        };
        let kinds = outcome.kinds.iter().filter(is_it);
        kinds.fold(Figures::default(), |sum, kind| sum.plus(kind.figures))
    };
    let mut rows = vec![head(&["IN PACKS", "BLOBS", "CANONICAL", "STORED", "SHARE"])];
    let mut row = |mut row: Vec<String>, stored| {
        row.push(figures::percent(stored, packs.bytes));
        rows.push(row);
    };
    for (name, figures) in [
        ("leaves, whole", of("leaf", Some(false))),
        ("leaves, as deltas", of("leaf", Some(true))),
        ("nodes, whole", of("node", Some(false))),
        ("nodes, as deltas", of("node", Some(true))),
        ("chunks, whole", of("chunk", Some(false))),
        ("chunks, as deltas", of("chunk", Some(true))),
        ("chunk nodes", of("chunk node", None)),
        ("schemas", of("schema", None)),
    ] {
        row(figures_row(name, figures), figures.stored_bytes);
    }
    for (name, size) in [
        ("heads and footers", packs.overhead_bytes),
        ("unreadable packs", packs.unreadable_bytes),
    ] {
        if name == "heads and footers" || size > 0 {
            let cells = [
                name.to_owned(),
                NONE.to_owned(),
                NONE.to_owned(),
                bytes(size),
            ];
            row(cells.to_vec(), size);
        }
    }
    table(&rows)
}

/// What the copies are there for, and what is garbage.
pub(super) fn uses(outcome: &StatsOutcome) -> String {
    let uses = &outcome.uses;
    let mut rows = vec![head(&["NEEDED", "BLOBS", "CANONICAL", "STORED"])];
    for (name, figures) in [
        ("reached by snapshots", uses.reached),
        ("only as bases of deltas", uses.bases),
        ("further copies of these", uses.duplicates),
        ("garbage: needed by no snapshot", uses.garbage),
    ] {
        rows.push(figures_row(name, figures));
    }
    let mut out = table(&rows);
    let packs = &outcome.packs;
    if packs.garbage > 0 {
        let _ = writeln!(
            out,
            "{} with nothing that is needed: {}",
            figures::counted(packs.garbage, "pack"),
            figures::bytes(packs.garbage_bytes)
        );
    }
    if uses.garbage.blobs + uses.duplicates.blobs > 0 {
        out.push_str("garbage and further copies are for a prune to free; what a snapshot forgotten less than a day ago needs stays\n");
    }
    out
}

/// How much smaller the store is than what its snapshots hold.
pub(super) fn ratios(outcome: &StatsOutcome) -> String {
    let r = &outcome.ratios;
    let size = figures::bytes;
    let data_bytes = r.store_bytes.saturating_sub(r.redundancy_bytes);
    let without = match r.redundancy_bytes {
        0 => "",
        _ => " without parity and copies",
    };
    let rows: Vec<Vec<String>> = [
        (
            "deduplication",
            figures::ratio(r.held_bytes, r.distinct_bytes),
            format!(
                "{} held by all snapshots, {} without repeats",
                size(r.held_bytes),
                size(r.distinct_bytes)
            ),
        ),
        (
            "compression",
            figures::ratio(r.distinct_bytes, r.distinct_stored_bytes),
            format!(
                "{} without repeats, {} stored",
                size(r.distinct_bytes),
                size(r.distinct_stored_bytes)
            ),
        ),
        (
            "together",
            figures::ratio(r.source_bytes, data_bytes),
            format!(
                "{} of databases, {} of store{without}",
                size(r.source_bytes),
                size(data_bytes)
            ),
        ),
    ]
    .into_iter()
    .map(|(name, ratio, of)| vec![name.to_owned(), ratio, of])
    .collect();
    let mut all = vec![head(&["SMALLER BY", "TIMES", "OF WHAT"])];
    all.extend(rows);
    columns("", &[Side::Left, Side::Right, Side::Left], &all)
}

/// Deltas, and the whole blobs they stand on.
pub(super) fn chains(outcome: &StatsOutcome) -> String {
    let chains = &outcome.chains;
    if chains.versions == 0 {
        return "no deltas: every blob is stored whole\n".to_owned();
    }
    let mut rows = vec![head(&["DELTAS", ""])];
    let mut fact = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    fact("whole blobs that deltas stand on", count(chains.bases));
    fact(
        "deltas on one of them, on average",
        figures::average(chains.versions, chains.bases),
    );
    fact("deltas on one of them, at most", count(chains.versions_max));
    fact("deltas to a whole blob, at most", count(chains.depth_max));
    fact(
        "the same in the newest snapshot, on average",
        figures::average(chains.newest_depths, chains.newest_blobs),
    );
    table(&rows)
}

/// One snapshot: what it is, and what it holds.
pub(super) fn facts_of_snapshot(one: &OneSnapshot, look: &Look) -> String {
    let figures = &one.figures;
    let snapshot = &figures.snapshot;
    let id = if look.verbose {
        &snapshot.id
    } else {
        &snapshot.short_id
    };
    let facts = [
        ("snapshot", escape::shown(&snapshot.name).into_owned()),
        ("id", escape::shown(id).into_owned()),
        ("date", figures::local_time(&snapshot.time, &look.zone)),
        (
            "source",
            format!(
                "{}, {}",
                escape::shown(&snapshot.source),
                figures::bytes(figures.source_bytes)
            ),
        ),
        ("files", figures::counted(snapshot.files, "entity file")),
        ("records", figures::count(snapshot.records)),
        (
            "holds",
            format!(
                "{}, each record in full",
                figures::bytes(figures.held_bytes)
            ),
        ),
        (
            "new",
            format!("{} when it was made", figures::bytes(snapshot.new_bytes)),
        ),
    ];
    let mut out = String::new();
    for (name, value) in facts {
        let _ = writeln!(out, "{name:<9}{value}");
    }
    out
}

/// Table by table, as they are ordered; those without records are folded unless `verbose`.
/// `whole_store`: with the number of snapshots that have each.
pub(super) fn tables(tables: &[TableFigures], whole_store: bool, verbose: bool) -> String {
    let mut names = vec![
        "TABLE",
        "RECORDS",
        "CANONICAL",
        "STORED",
        "SHARE",
        "LEAVES",
        "DELTAS",
        "NODES",
        "CHUNKS",
    ];
    if whole_store {
        names.push("SNAPSHOTS");
    }
    let mut rows = vec![head(&names)];
    let sum = tables.iter().map(|table| table.all().stored_bytes).sum();
    let is_empty = |table: &&TableFigures| table.records == 0 && table.all().blobs == 0;
    let empty = tables.iter().filter(is_empty).count() as u64;
    for table in tables.iter().filter(|table| verbose || !is_empty(table)) {
        let all = table.all();
        let name = match table.sort {
            // A table may have this name; only this has no records.
            TableSort::Schema => "(schema)".to_owned(),
            TableSort::Pages => "(pages)".to_owned(),
            _ => escape::shown(&table.name).into_owned(),
        };
        let mut row = vec![
            name,
            count(table.records),
            bytes(all.canonical_bytes),
            bytes(all.stored_bytes),
            figures::percent(all.stored_bytes, sum),
            bytes(table.leaves.stored_bytes),
            bytes(table.leaf_deltas.stored_bytes),
            bytes(table.nodes.stored_bytes),
            bytes(table.chunks.stored_bytes),
        ];
        if whole_store {
            row.push(figures::count(table.snapshots));
        }
        rows.push(row);
    }
    let mut out = columns("", &NAME_AND_NUMBERS[..names.len()], &rows);
    if empty > 0 && !verbose {
        let _ = writeln!(out, "{} without records", figures::counted(empty, "table"));
    }
    out
}
