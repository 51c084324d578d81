//! `larder stats`: as whole texts of an outcome made by hand, and as the program says it.

use std::path::Path;

use jiff::tz::TimeZone;
use larder::cli::exit::{self, Code};
use larder::cli::render::{Look, json, text};
use larder::format::blob::BlobKind;
use larder::ops::stats::{
    Chains, Figures, KindFigures, ObjectTotals, OneSnapshot, PackFigures, Ratios, SnapshotFigures,
    SnapshotUse, StatsDamage, StatsOutcome, TableFigures, TableSort, Uses,
};
use serde_json::{Value, json as document};

use crate::samples;
use crate::workplace::{Workplace, files};

fn figures(blobs: u64, canonical_bytes: u64, stored_bytes: u64) -> Figures {
    Figures {
        blobs,
        canonical_bytes,
        stored_bytes,
    }
}

fn table(name: &str, sort: TableSort, records: u64, leaves: Figures) -> TableFigures {
    TableFigures {
        sort,
        name: name.into(),
        snapshots: 2,
        records,
        leaves,
        leaf_deltas: Figures::default(),
        nodes: Figures::default(),
        chunks: Figures::default(),
        schemas: Figures::default(),
    }
}

fn tables() -> Vec<TableFigures> {
    let none = Figures::default();
    vec![
        TableFigures {
            leaf_deltas: figures(2, 262_144, 1_200),
            nodes: figures(3, 1_950, 1_400),
            chunks: figures(5, 900_000, 160_000),
            ..table(
                "orders",
                TableSort::Entity,
                41_870,
                figures(20, 2_621_440, 160_000),
            )
        },
        TableFigures {
            schemas: figures(1, 20_480, 3_072),
            ..table("schema", TableSort::Schema, 0, none)
        },
        TableFigures {
            snapshots: 1,
            ..table(
                "sqlite_sequence",
                TableSort::Internal,
                4,
                figures(1, 128, 90),
            )
        },
        table("nothing_yet", TableSort::Entity, 0, none),
        table("nothing_either", TableSort::Entity, 0, none),
    ]
}

fn kind(kind: BlobKind, delta: bool, figures: Figures) -> KindFigures {
    KindFigures {
        kind,
        delta,
        figures,
    }
}

/// A store with a bit of everything.
fn outcome() -> StatsOutcome {
    let held = |snapshot, alone| SnapshotFigures {
        snapshot,
        source_bytes: 2_726_298,
        held_bytes: 2_100_000,
        alone,
    };
    StatsOutcome {
        store: "./backups".into(),
        objects: ObjectTotals {
            manifests: (2, 6_200),
            protocol: (1, 164),
            parity: (1, 60_000),
            seconds: (2, 3_000),
            other: (0, 0),
        },
        packs: PackFigures {
            packs: 4,
            bytes: 423_818,
            overhead_bytes: 12_056,
            unreadable: 0,
            unreadable_bytes: 0,
            garbage: 1,
            garbage_bytes: 86_016,
        },
        kinds: vec![
            kind(BlobKind::Leaf, false, figures(27, 3_538_944, 244_290)),
            kind(BlobKind::Leaf, true, figures(2, 262_144, 1_200)),
            kind(BlobKind::Node, false, figures(3, 1_950, 1_400)),
            kind(BlobKind::Chunk, false, figures(4, 899_800, 161_600)),
            kind(BlobKind::ChunkNode, false, figures(1, 200, 200)),
            kind(BlobKind::Schema, false, figures(1, 20_480, 3_072)),
        ],
        uses: Uses {
            reached: figures(32, 3_806_142, 325_762),
            bases: figures(1, 131_072, 9_000),
            duplicates: figures(1, 131_072, 8_000),
            garbage: figures(4, 655_232, 69_000),
        },
        ratios: Ratios {
            held_bytes: 4_200_000,
            distinct_bytes: 3_806_142,
            distinct_stored_bytes: 325_762,
            source_bytes: 5_452_596,
            store_bytes: 493_182,
            redundancy_bytes: 63_000,
        },
        chains: Chains {
            bases: 2,
            versions: 3,
            versions_max: 2,
            depth_max: 2,
            newest_blobs: 30,
            newest_depths: 3,
        },
        snapshots: vec![
            held(samples::newest(), figures(3, 300_000, 2_600)),
            held(samples::older(), figures(2, 262_144, 17_000)),
        ],
        one: None,
        tables: None,
        damage: Vec::new(),
        damaged_blobs: 0,
        elapsed_ms: 12,
    }
}

fn shown(outcome: &StatsOutcome, verbose: bool) -> String {
    let look = Look {
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        verbose,
        ..Look::for_tests()
    };
    text::stats::stats(outcome, Path::new("./backups"), &look)
}

fn one_snapshot() -> StatsOutcome {
    let all = outcome();
    StatsOutcome {
        one: Some(OneSnapshot {
            figures: all.snapshots[0].clone(),
            uses: SnapshotUse {
                reached: figures(30, 3_000_000, 320_000),
                bases: figures(1, 131_072, 9_000),
                alone: figures(3, 300_000, 2_600),
                shared: figures(28, 2_831_072, 326_400),
            },
        }),
        tables: Some(tables()),
        ..all
    }
}

#[test]
fn a_store_is_shown_part_by_part() {
    insta::assert_snapshot!(shown(&outcome(), false));
}

#[test]
fn table_by_table_folds_those_without_records() {
    let mut outcome = outcome();
    outcome.tables = Some(tables());
    let text = shown(&outcome, false);
    let part = text.split("\n\n").last().unwrap();
    insta::assert_snapshot!(part);
    let verbose = shown(&outcome, true);
    assert!(verbose.contains("\nnothing_either "), "{verbose}");
}

#[test]
fn one_snapshot_is_shown_with_what_it_needs_alone() {
    insta::assert_snapshot!(shown(&one_snapshot(), false));
}

#[test]
fn damage_is_named_with_what_it_affects_and_what_to_do() {
    let mut outcome = outcome();
    outcome.damaged_blobs = 23;
    outcome.damage = vec![
        StatsDamage {
            object: format!("pack 7c01d9{}", "a".repeat(58)),
            cause: "a pack's footer is cut short".into(),
            affects: Vec::new(),
        },
        StatsDamage {
            object: format!("leaf 4b2e91{}", "b".repeat(58)),
            cause: "it is in no pack".into(),
            affects: vec![
                (Some("ord\ners".into()), vec![samples::newest().short_id]),
                (
                    None,
                    vec![samples::newest().short_id, samples::older().short_id],
                ),
            ],
        },
    ];
    let text = shown(&outcome, false);
    let part = text.split("\n\n").last().unwrap();
    insta::assert_snapshot!(part);
    let ids = vec![samples::older().short_id; 4];
    outcome.damage[1].affects[1].1 = ids.clone();
    let text = shown(&outcome, false);
    assert!(
        text.contains(&format!("of 4 snapshots: {}, …\n", ids[..3].join(", "))),
        "{text}"
    );
    assert!(shown(&outcome, true).contains(&ids.join(", ")));
    assert_eq!(exit::of_stats(&outcome), Code::Damaged);
    outcome.damage.clear();
    assert_eq!(exit::of_stats(&outcome), Code::Ok);
}

#[test]
fn of_many_snapshots_the_newest_are_listed_unless_all_are_wanted() {
    let mut outcome = outcome();
    let one = outcome.snapshots[0].clone();
    outcome.snapshots.resize(50, one.clone());
    let lines = |text: &str| text.lines().filter(|l| l.starts_with("backup_")).count();
    let text = shown(&outcome, false);
    assert_eq!(lines(&text), 50);
    assert!(!text.contains("newest 50"), "{text}");
    outcome.snapshots.push(one);
    let text = shown(&outcome, false);
    assert_eq!(lines(&text), 50);
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        "the newest 50 of 51 snapshots; all of them: larder stats -v"
    );
    assert_eq!(lines(&shown(&outcome, true)), 51);
}

#[test]
fn the_document_has_exact_numbers_and_ratios_of_three_decimals() {
    let whole = json::stats::stats(&outcome(), Path::new("./backups"));
    assert_eq!(
        whole["ratios"],
        document!({
            "deduplication": 1.103, "compression": 11.684, "together": 12.675,
            "held_bytes": 4_200_000, "distinct_bytes": 3_806_142,
            "distinct_stored_bytes": 325_762, "source_bytes": 5_452_596,
        })
    );
    assert_eq!(whole["deltas"]["newest_depth_average"], 0.1);
    assert_eq!(whole["blobs"][1]["encoding"], "delta");
    assert_eq!(
        (&whole["snapshot"], &whole["tables"]),
        (&Value::Null, &Value::Null)
    );
    let one = json::stats::stats(&one_snapshot(), Path::new("./backups"));
    assert_eq!(one["snapshot"]["alone"]["stored_bytes"], 2_600);
    assert_eq!(one["tables"][0]["percent"], 99.029);
    assert_eq!(one["tables"][1]["sort"], "schema");
    let mut empty = outcome();
    empty.ratios = Ratios::default();
    let empty = json::stats::stats(&empty, Path::new("./backups"));
    assert_eq!(empty["ratios"]["compression"], Value::Null);
}

/// The first column of the tables below `### stats` in docs/scripting.md lists what there is.
#[test]
fn the_document_lists_every_field() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scripting.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("### `stats`").nth(1).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let whole = json::stats::stats(&one_snapshot(), Path::new("./backups"));
    let mut open = vec![&whole];
    while let Some(value) = open.pop() {
        for (field, below) in value.as_object().into_iter().flatten() {
            // `snapshot` within a snapshot is as everywhere.
            assert!(section.contains(&format!("`{field}`")), "{field}");
            if field != "snapshot" || below["alone"].is_object() {
                open.push(below);
            }
        }
        open.extend(value.as_array().into_iter().flatten());
    }
}

#[test]
fn a_store_and_a_snapshot_of_it_are_counted() {
    let place = Workplace::backed_up();
    place.sql("app.db", "DELETE FROM suppliers WHERE id = 1");
    place.ok(&["backup", "app.db", "--name", "second"]);
    let out = place.ok(&["stats"]);
    for start in [
        "OBJECTS ",
        "IN PACKS ",
        "NEEDED ",
        "SMALLER BY ",
        "SNAPSHOT ",
        "second ",
        "first ",
    ] {
        assert!(
            out.lines().any(|line| line.starts_with(start)),
            "{start}\n{out}"
        );
    }
    assert_eq!(out, place.ok(&["stats", "./backups"]));
    assert!(!out.contains("TABLE "), "{out}");
    let out = place.ok(&["stats", "--by-table"]);
    assert!(out.contains("\nsuppliers "), "{out}");
    let out = place.ok(&["stats", "first"]);
    assert!(out.starts_with("snapshot first\n"), "{out}");
    let run = place.code(0, &["stats", "./backups/second", "--by-table", "--json"]);
    let document: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(document["snapshot"]["snapshot"]["name"], "second");
    assert_eq!(document["snapshots"].as_array().unwrap().len(), 2);
    assert_eq!((run.out.lines().count(), run.err.as_str()), (1, ""));
}

#[test]
fn what_is_not_there_is_the_same_error_as_elsewhere() {
    let place = Workplace::backed_up();
    let errors = ["stats", "show"].map(|command| place.code(1, &[command, "frist"]).err);
    assert_eq!(errors[0], errors[1]);
    place.code(10, &["stats", "--store", "elsewhere"]);
}

#[test]
fn a_lost_pack_is_damage() {
    let place = Workplace::backed_up();
    for pack in files(&place.path("backups/packs"), "") {
        std::fs::remove_file(pack).unwrap();
    }
    let run = place.code(4, &["stats"]);
    assert!(run.out.contains("it is in no pack"), "{}", run.out);
    assert!(run.out.contains("larder"), "{}", run.out);
    let run = place.code(4, &["stats", "--json"]);
    let document: Value = serde_json::from_str(&run.out).unwrap();
    assert!(document["damaged_blobs"].as_u64().unwrap() > 16);
}
