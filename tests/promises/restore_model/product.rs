//! larder itself, behind the model's words: databases as files, a backup, restores.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder::backend::memory::MemoryBackend;
use larder::format::manifest::Manifest;
use larder::model::value::Value as Stored;
use larder::ops::open::Store;
use larder::ops::restore::{
    self, CheckLevel, DeclaredKey, DeclaredReference, KeyValue, NoDecider, OnConflict, OnMissing,
    RestoreOptions, RestoreOutcome,
};
use larder::ops::select::{self, SourceChoice};
use larder::progress::NoProgress;
use rusqlite::Connection;

use super::sql::{Half, read, script};
use super::tables::{Database, Schema, Value};
use super::wishes::{Choice, Counts, Gap, Match, Mode, Others, Outcome, Wishes};
use super::words::table;
use crate::sandbox::Sandbox;

/// A snapshot of one database, and another to be restored into.
pub struct Product<'a> {
    schema: &'a Schema,
    sandbox: Sandbox,
    store: Store,
    manifest: Manifest,
    target: PathBuf,
}

impl<'a> Product<'a> {
    pub fn new(schema: &'a Schema, snapshot: &Database, live: &Database) -> Self {
        let sandbox = Sandbox::new();
        let (source, target) = (sandbox.path("source.db"), sandbox.path("target.db"));
        make(&source, &script(schema, snapshot, Half::Snapshot));
        make(&target, &script(schema, live, Half::Live));
        let mut store = sandbox.create(Arc::new(MemoryBackend::new()));
        let id = sandbox.backup(&mut store, &source);
        let manifest = select::one(&store, &id.to_string(), &SourceChoice::Any).unwrap();
        Self {
            schema,
            sandbox,
            store,
            manifest,
            target,
        }
    }

    /// All rows as they are now.
    pub fn rows(&self) -> Database {
        read(self.schema, &Connection::open(&self.target).unwrap())
    }

    /// What `PRAGMA foreign_key_check` finds, by table and number of the foreign key.
    pub fn violations(&self) -> Vec<(String, i64)> {
        let db = Connection::open(&self.target).unwrap();
        let sql = r#"SELECT "table", fkid FROM pragma_foreign_key_check ORDER BY 1, 2"#;
        let mut statement = db.prepare(sql).unwrap();
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        found.unwrap().map(Result::unwrap).collect()
    }

    /// What `PRAGMA integrity_check` says.
    pub fn integrity(&self) -> String {
        let db = Connection::open(&self.target).unwrap();
        let all = db.query_row(
            "SELECT group_concat(integrity_check) FROM pragma_integrity_check",
            [],
            |row| row.get(0),
        );
        all.unwrap()
    }

    /// Restores, or only plans. `is_safe`: with a snapshot before and after.
    pub fn restore(
        &mut self,
        wishes: &Wishes,
        dry_run: bool,
        is_safe: bool,
    ) -> Result<Outcome, String> {
        let options = RestoreOptions {
            dry_run,
            no_safety_snapshot: !is_safe,
            ..options(self.schema, &self.target, wishes)
        };
        self.sandbox.env.advance(Duration::from_secs(1));
        let world = self.sandbox.world();
        let done = restore::run(
            &mut self.store,
            &world,
            &self.manifest,
            &options,
            &mut NoDecider,
            &mut NoProgress,
        );
        let done = done.map_err(|error| format!("{error}: {error:?}"))?;
        Ok(self.outcome(&done))
    }

    fn outcome(&self, done: &RestoreOutcome) -> Outcome {
        let mut outcome = Outcome {
            counts: vec![Counts::default(); self.schema.tables.len()],
            stopped: done.is_stopped(),
            after: self.rows(),
            ..Outcome::default()
        };
        for t in &done.tables {
            let left_out = t.left_out;
            let reasons = [
                left_out.differing,
                left_out.doubtful,
                left_out.missing,
                left_out.conflicting,
            ];
            assert_eq!(t.skipped, reasons.iter().sum::<u64>(), "{t:?}");
            outcome.counts[table(self.schema, &t.table)] = Counts {
                inserted: t.inserted,
                filled: t.filled,
                updated: t.updated,
                same: t.same,
                differing: left_out.differing,
                doubtful: left_out.doubtful,
                missing: left_out.missing,
                conflicting: left_out.conflicting,
                deleted: t.deleted,
                remapped: t.remapped,
                carried: t.carried,
                conflicts: t.conflicts,
            };
        }
        for missing in &done.missing {
            let t = table(self.schema, &missing.table);
            let names = |table: usize, columns: &[usize]| -> Vec<String> {
                let all = &self.schema.tables[table].columns;
                columns.iter().map(|&c| all[c].name.clone()).collect()
            };
            let reference = self.schema.tables[t].references.iter().position(|r| {
                names(t, &r.columns) == missing.columns
                    && self.schema.tables[r.parent].name == missing.parent
                    && names(r.parent, &r.parent_columns) == missing.parent_columns
            });
            let gap = Gap {
                table: t,
                reference: reference.unwrap(),
                values: missing.values.iter().map(of_product).collect(),
            };
            let before = outcome.missing.insert(gap, missing.records);
            assert_eq!(before, None, "a value is listed once: {missing:?}");
        }
        outcome
    }
}

fn make(path: &Path, sql: &str) {
    let db = Connection::open(path).unwrap();
    let settings = "PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF";
    db.execute_batch(&format!("{settings}; BEGIN; {sql} COMMIT"))
        .unwrap();
    db.close().unwrap();
}

fn of_product(value: &Stored) -> Value {
    match value {
        Stored::Null => Value::Null,
        Stored::Integer(v) => Value::Int(*v),
        Stored::Text(text) => Value::Text(String::from_utf8(text.clone()).unwrap()),
        other => panic!("the model knows no {other:?}"),
    }
}

fn to_product(value: &Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Int(v) => Stored::Integer(*v),
        Value::Text(text) => Stored::Text(text.clone().into_bytes()),
    }
}

fn options(schema: &Schema, target: &Path, wishes: &Wishes) -> RestoreOptions {
    let name = |t: &usize| schema.tables[*t].name.clone();
    let names = |t: usize, columns: &[usize]| -> Vec<String> {
        let all = &schema.tables[t].columns;
        columns.iter().map(|&c| all[c].name.clone()).collect()
    };
    let keys = wishes.keys.iter().map(|(t, columns)| DeclaredKey {
        table: name(t),
        columns: names(*t, columns),
    });
    let key_values = wishes.key_values.iter().map(|(t, key)| KeyValue {
        table: name(t),
        value: commas(key),
    });
    let mut references = Vec::new();
    for (t, table) in schema.tables.iter().enumerate() {
        for r in table.references.iter().filter(|r| r.declared) {
            references.push(DeclaredReference {
                table: name(&t),
                column: names(t, &r.columns).concat(),
                parent: name(&r.parent),
                parent_column: names(r.parent, &r.parent_columns).concat(),
            });
        }
    }
    RestoreOptions {
        target: target.to_owned(),
        mode: match wishes.mode {
            Mode::Add => restore::Mode::Add,
            Mode::Augment => restore::Mode::Augment,
            Mode::Replace => restore::Mode::Replace,
        },
        matching: match wishes.matching {
            Match::Auto => restore::Match::Auto,
            Match::Id => restore::Match::Id,
            Match::Natural => restore::Match::Natural,
        },
        busy_timeout: Duration::from_millis(200),
        check: CheckLevel::Full,
        scope: restore::Scope {
            tables: wishes.tables.iter().map(name).collect(),
            excluded: wishes.excluded.iter().map(name).collect(),
            filter: wishes.filter_sql(schema),
            key_values: key_values.collect(),
            with_parents: wishes.with_parents,
            with_children: wishes.with_children,
        },
        keys: keys.collect(),
        references,
        on_conflict: match wishes.skip_conflicts {
            true => OnConflict::Skip,
            false => OnConflict::Stop,
        },
        decisions: decisions(schema, wishes),
        deleted_only: wishes.deleted_only,
        force: wishes.force,
        ..RestoreOptions::default()
    }
}

fn commas(key: &[Value]) -> String {
    let words: Vec<String> = key
        .iter()
        .map(|value| match value {
            Value::Null => String::new(),
            Value::Int(v) => v.to_string(),
            Value::Text(text) => text.clone(),
        })
        .collect();
    words.join(",")
}

fn decisions(schema: &Schema, wishes: &Wishes) -> restore::Decisions {
    let single = wishes.decisions.iter().map(|decision| {
        let of = &decision.of;
        let shape = &schema.tables[of.table];
        let reference = &shape.references[of.reference];
        let columns = reference.columns.iter();
        restore::Decision {
            table: shape.name.clone(),
            columns: columns.map(|&c| shape.columns[c].name.clone()).collect(),
            parent: schema.tables[reference.parent].name.clone(),
            values: of.values.iter().map(to_product).collect(),
            choice: match &decision.choice {
                Choice::Give(row) => {
                    let parent = &schema.tables[reference.parent];
                    let all = parent.columns.iter().zip(row).enumerate();
                    let others = all.filter(|(p, _)| !reference.parent_columns.contains(p));
                    let named = others.map(|(_, (c, v))| (c.name.clone(), to_product(v)));
                    restore::Choice::Create(named.collect())
                }
                Choice::Create => restore::Choice::Create(Vec::new()),
                Choice::Map(key) => restore::Choice::Map(key.iter().map(to_product).collect()),
                Choice::Skip => restore::Choice::Skip,
                Choice::Null => restore::Choice::Null,
            },
        }
    });
    restore::Decisions {
        single: single.collect(),
        others: wishes.others.map(|others| match others {
            Others::Create => OnMissing::Create,
            Others::Skip => OnMissing::Skip,
            Others::Null => OnMissing::Null,
        }),
    }
}
