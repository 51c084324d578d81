//! Outcomes made by hand, with the numbers of the transcripts.

use jiff::tz::TimeZone;
use larder::cli::render::Look;
use larder::model::value::Value;
use larder::ops::backup::{BackupOutcome, EntityReport};
use larder::ops::import::{ExportCheck, ExportSummary, FileCheck, FileDamage, FileDamageKind};
use larder::ops::list::{ListOutcome, SnapshotSummary};
use larder::ops::restore::{
    Choice, Conflict, ConflictKind, Decision, LeftOut, Missing, Mode, Remapped, RestoreOutcome,
    TableReport,
};
use larder::ops::show::Changes;
use larder::ops::validate::{
    AffectedRecords, Audited, BrokenConstraint, Damage, EntityCheck, Level, NotAudited, PacksRead,
    SnapshotCheck, ValidateOutcome,
};

fn summary(time: &str, random: &str, name: &str, records: u64, new_bytes: u64) -> SnapshotSummary {
    let id_time = time.replace(['-', ':'], "");
    SnapshotSummary {
        id: format!("{id_time}-{random}{}", "0".repeat(28)),
        short_id: format!("{id_time}-{random}"),
        name: name.into(),
        time: time.into(),
        files: 16,
        records,
        new_bytes,
        source: "app.db".into(),
        tags: Vec::new(),
        damaged: false,
        pinned: None,
    }
}

pub fn newest() -> SnapshotSummary {
    let name = "backup_20261123_211530";
    summary("2026-11-23T20:15:30Z", "9f3c", name, 3738, 10_035)
}

pub fn older() -> SnapshotSummary {
    let name = "backup_20261122_211528";
    SnapshotSummary {
        tags: vec!["before-upgrade".into()],
        ..summary("2026-11-22T20:15:28Z", "77ab", name, 3527, 11_469)
    }
}

fn report(entity: &str, records: u64, changes: Option<(u64, u64, u64)>) -> EntityReport {
    EntityReport {
        entity: entity.into(),
        file: format!("{entity}.json"),
        records,
        changes: changes.map(|(added, changed, removed)| Changes {
            added,
            changed,
            removed,
        }),
    }
}

/// The second backup of a store.
pub fn backup() -> BackupOutcome {
    BackupOutcome {
        snapshot: newest(),
        parent: Some("backup_20261122_211528".into()),
        entities: vec![
            report("suppliers", 8, Some((0, 0, 0))),
            report("ingredients", 412, Some((3, 2, 0))),
            report("products", 1, Some((0, 0, 1))),
            report("recipes", 57, Some((0, 0, 0))),
            report("tastings", 209, None),
        ],
        dropped: vec!["old_prices".into()],
        pages: None,
        damaged: false,
        findings: Vec::new(),
        journal: "WAL".into(),
        longest_lock_ms: None,
        skipped_records: 0,
        source_bytes: 2_726_298,
        stored_bytes: 10_035,
        store_bytes: 421_888,
        store_snapshots: 31,
        elapsed_ms: 112,
    }
}

/// The first backup of a store.
pub fn first_backup() -> BackupOutcome {
    let mut outcome = backup();
    outcome.parent = None;
    outcome.dropped.clear();
    outcome.store_snapshots = 1;
    for entity in &mut outcome.entities {
        entity.changes = None;
    }
    outcome
}

pub fn list() -> ListOutcome {
    ListOutcome {
        store: "./backups".into(),
        snapshots: vec![newest(), older()],
        store_bytes: 430_182,
        forgotten: 0,
        findings: Vec::new(),
    }
}

fn check(snapshot: SnapshotSummary, good: bool) -> SnapshotCheck {
    let entity = |entity: &str, records, good| EntityCheck {
        entity: entity.into(),
        file: format!("{entity}.json"),
        records,
        bytes: records * 40,
        good,
    };
    SnapshotCheck {
        snapshot,
        entities: vec![
            entity("customers", 412, true),
            entity("orders", 41_870, good),
        ],
        references: vec![("orders".into(), "customers".into(), 3)],
        audited: Some(Audited {
            constraints: 5,
            broken: vec![BrokenConstraint {
                table: "orders".into(),
                constraint: "FOREIGN KEY (customer_id) → customers".into(),
                found: 3,
                recorded: Some(3),
            }],
            not_audited: vec![NotAudited {
                table: "orders".into(),
                constraint: "UNIQUE INDEX open_orders".into(),
                reason: "it is of some records only, or of an expression".into(),
            }],
        }),
        good,
    }
}

pub fn valid() -> ValidateOutcome {
    ValidateOutcome {
        store: "./backups".into(),
        packs: 4,
        packs_good: 4,
        packs_with_parity: 0,
        packs_with_second: 0,
        pack_bytes: 430_182,
        blobs: 96,
        snapshots: vec![check(newest(), true), check(older(), true)],
        damage: Vec::new(),
        findings: Vec::new(),
        packs_read: PacksRead {
            packs: 4,
            bytes: 430_182,
            oldest: Some("2026-11-23T20:15:30.000Z".into()),
        },
        drill: None,
        level: Level::All,
        elapsed_ms: 100,
    }
}

pub fn damaged() -> ValidateOutcome {
    let pack = format!("pack 7c/7c01d9{}", "a".repeat(58));
    ValidateOutcome {
        packs_good: 3,
        packs_with_parity: 1,
        snapshots: vec![check(newest(), false), check(older(), true)],
        damage: vec![
            Damage {
                object: pack,
                blob: Some(("leaf", format!("4b2e91{}", "b".repeat(58)))),
                cause: "content does not match its id".into(),
                affects: vec![AffectedRecords {
                    entity: "orders".into(),
                    records: 910,
                    range: "records with id 40,961 to 41,870".into(),
                    snapshots: vec![newest().short_id],
                }],
            },
            Damage {
                object: "pack 9d/9d".into(),
                blob: None,
                cause: "cut short".into(),
                affects: Vec::new(),
            },
        ],
        ..valid()
    }
}

fn table(table: &str, inserted: u64, same: u64, skipped: u64) -> TableReport {
    TableReport {
        table: table.into(),
        inserted,
        same,
        skipped,
        left_out: LeftOut {
            differing: skipped,
            ..LeftOut::default()
        },
        ..TableReport::default()
    }
}

/// Records added to an existing database.
pub fn restored() -> RestoreOutcome {
    RestoreOutcome {
        snapshot: newest(),
        target: "app.db".into(),
        new_file: false,
        whole_file: false,
        target_bytes: Some(2_726_298),
        dry_run: false,
        mode: Mode::Add,
        tables: vec![
            table("customers", 2, 410, 0),
            table("orders", 14, 1203, 1),
            table("order_items", 40, 3110, 0),
            table("products", 0, 202, 0),
        ],
        made: Vec::new(),
        beyond_undo: Vec::new(),
        conflicts: Vec::new(),
        missing: Vec::new(),
        lost: Vec::new(),
        decisions: Vec::new(),
        remapped: Vec::new(),
        references_followed: 0,
        after_snapshot: None,
        safety_snapshot: Some(SnapshotSummary {
            tags: vec!["before-restore".into()],
            ..summary(
                "2026-11-23T20:44:11Z",
                "0b1d",
                "backup_20261123_214411",
                1,
                1,
            )
        }),
        findings: Vec::new(),
        checked: vec!["quick_check", "foreign keys", "counts"],
        elapsed_ms: 214,
    }
}

/// A restore that stopped.
pub fn conflicts() -> RestoreOutcome {
    let mut outcome = restored();
    outcome.safety_snapshot = None;
    outcome.tables[1].conflicts = 12;
    outcome.conflicts = vec![Conflict {
        kind: ConflictKind::Record,
        table: "orders".into(),
        record: "77".into(),
        reason: "its number A-12 belongs to order 91".into(),
        values: vec!["id 77".into(), "number A-12".into(), "total 19.5".into()],
        rows: vec![
            vec!["id 77".into(), "number B-7".into(), "total NULL".into()],
            vec!["id 91".into(), "number A-12".into(), "total 4".into()],
        ],
    }];
    outcome
}

/// In the zone of Berlin.
pub fn berlin() -> Look {
    Look {
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        ..Look::for_tests()
    }
}

/// An export that was looked at.
pub fn export() -> ExportSummary {
    ExportSummary {
        path: "backups/day-15".into(),
        name: "day-15".into(),
        export_date: "2026-11-23T20:46:31.023555+00:00Z".into(),
        time: Some("2026-11-23T20:46:31.023Z".into()),
        source: "Seasonal Baking Tracker v0.1.0".into(),
        files: 24,
        records: 1809,
        has_schema: false,
    }
}

/// An export of which three files are damaged.
pub fn checked() -> ExportCheck {
    let file = |name: &str, records, bytes, good| FileCheck {
        file: format!("{name}.json"),
        entity: name.into(),
        records,
        bytes,
        good,
    };
    let damage = |name: &str, cause| FileDamage {
        file: format!("{name}.json"),
        entity: name.into(),
        cause,
    };
    ExportCheck {
        export: export(),
        files: vec![
            file("suppliers", 8, 3006, true),
            file("products", 192, 160_022, false),
            file("recipes", 22, 0, false),
            file("events", 5, 6443, false),
        ],
        damage: vec![
            damage(
                "products",
                FileDamageKind::Changed {
                    found: "4e".repeat(32),
                    recorded: "a2".repeat(32),
                },
            ),
            damage("recipes", FileDamageKind::Missing),
            damage(
                "events",
                FileDamageKind::Count {
                    found: 4,
                    recorded: 5,
                },
            ),
        ],
        findings: Vec::new(),
        elapsed_ms: 214,
    }
}

/// A restore in which records get new ids, and some are left out.
pub fn remapped() -> RestoreOutcome {
    let mut outcome = restored();
    let customers = &mut outcome.tables[0];
    (customers.remapped, customers.bytes) = (2, 180);
    let orders = &mut outcome.tables[1];
    (orders.skipped, orders.carried, orders.bytes) = (6, 3, 9_212);
    orders.left_out.doubtful = 2;
    orders.left_out.missing = 3;
    (outcome.tables[2].filled, outcome.tables[2].updated) = (7, 1200);
    let new_id = |from: &str, to: &str| Remapped {
        table: "customers".into(),
        from: from.into(),
        to: to.into(),
    };
    outcome.remapped = vec![new_id("77", "91"), new_id("78", "92")];
    outcome.references_followed = 14;
    outcome.decisions = decisions();
    outcome.after_snapshot = Some(SnapshotSummary {
        tags: vec!["after-restore".into()],
        ..summary(
            "2026-11-23T20:44:12Z",
            "77aa",
            "backup_20261123_214412",
            1,
            1,
        )
    });
    outcome
}

/// One decision of each sort but abort.
pub fn decisions() -> Vec<Decision> {
    let name = || ("name".to_owned(), Value::Text(b"Ada".to_vec()));
    let choices = [
        Choice::Create(vec![]),
        Choice::Create(vec![name()]),
        Choice::Map(vec![Value::Integer(40)]),
        Choice::Skip,
        Choice::Null,
    ];
    let decision = |(n, choice)| Decision {
        table: "orders".into(),
        columns: vec!["customer_id".into()],
        parent: "customers".into(),
        values: vec![Value::Integer(n)],
        choice,
    };
    (20..).zip(choices).map(decision).collect()
}

/// A restore that stopped because records are missing.
pub fn missing() -> RestoreOutcome {
    let mut outcome = restored();
    outcome.safety_snapshot = None;
    let text = |text: &str| Value::Text(text.into());
    outcome.missing = vec![
        Missing {
            table: "orders".into(),
            columns: vec!["customer_id".into()],
            parent: "customers".into(),
            parent_columns: vec!["id".into()],
            values: vec![Value::Integer(12)],
            records: 3,
            examples: vec!["5".into(), "9".into(), "31".into()],
            record: Some(vec![
                ("id".into(), Value::Integer(12)),
                ("name".into(), text("Ada Klein")),
                ("photo".into(), Value::Blob(vec![255; 3])),
            ]),
            in_conflict: false,
            nullable: true,
            required: vec!["name".into()],
        },
        Missing {
            table: "order_items".into(),
            columns: vec!["order_id".into(), "no".into()],
            parent: "parts".into(),
            parent_columns: vec!["order_id".into(), "no".into()],
            values: vec![Value::Integer(5), text("b")],
            records: 1200,
            examples: vec!["1".into(), "2".into(), "3".into()],
            record: None,
            in_conflict: false,
            nullable: false,
            required: Vec::new(),
        },
    ];
    outcome
}
