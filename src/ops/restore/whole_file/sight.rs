//! A live database that is about to be replaced, as it was seen: what it holds is what is lost.

use std::collections::BTreeMap;

use super::shown;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::counted::counted;
use crate::ops::restore::existing::FREE_PLANS;
use crate::ops::restore::{RestoreOptions, TableReport};
use crate::progress::Finding;
use crate::target::{Hold, LiveDatabase, LiveView, TargetError, is_ordinary};

/// What was seen.
pub(super) struct Sight {
    pub view: LiveView,
    /// Rows by table; `None`: it is damaged, and nobody can count them.
    rows: BTreeMap<String, Option<u64>>,
    /// The last ids that AUTOINCREMENT gave out.
    last_ids: BTreeMap<String, i64>,
    /// Its length.
    pub bytes: u64,
}

impl Sight {
    /// Looks at all of it in one state.
    ///
    /// Errors: `Busy`; `Damaged` where its schema cannot be read.
    pub(super) fn of(live: &LiveDatabase) -> Result<Self, Error> {
        let mut tries = 0;
        loop {
            let hold = match tries < FREE_PLANS {
                true => Hold::Free,
                false => Hold::Reading,
            };
            let view = live.begin_view(hold)?;
            let sight = Self::read(live, view).inspect_err(|_| live.roll_back())?;
            if live.end_view(&sight.view)? {
                return Ok(sight);
            }
            tries += 1;
        }
    }

    fn read(live: &LiveDatabase, view: LiveView) -> Result<Self, TargetError> {
        let (mut rows, mut last_ids) = (BTreeMap::new(), BTreeMap::new());
        for table in view.schema.tables.iter().filter(|table| is_ordinary(table)) {
            let readable = |answer| match answer {
                Err(TargetError::Damaged { .. }) => Ok(None),
                answer => answer.map(Some),
            };
            rows.insert(table.name.clone(), readable(live.count(&table.name))?);
            if table.autoincrement {
                let last = live.last_id(table).unwrap_or(0);
                last_ids.insert(table.name.clone(), last);
            }
        }
        Ok(Self {
            bytes: live.bytes()?,
            view,
            rows,
            last_ids,
        })
    }

    /// True in WAL mode.
    pub(super) fn is_wal(&self) -> bool {
        self.view.settings.journal_mode == "wal"
    }

    /// What becomes of each table of the snapshot.
    pub(super) fn tables(&self, manifest: &Manifest) -> Vec<TableReport> {
        let report = |entity: &crate::format::manifest::Entity| TableReport {
            table: entity.entity.clone(),
            inserted: entity.records,
            deleted: self.rows_of(&entity.entity),
            ..TableReport::default()
        };
        manifest.entities.iter().map(report).collect()
    }

    fn rows_of(&self, table: &str) -> u64 {
        let mut all = self.rows.iter();
        let found = all.find(|(name, _)| name.eq_ignore_ascii_case(table));
        found.and_then(|(_, rows)| *rows).unwrap_or(0)
    }

    /// What is worth knowing of it.
    /// `sequences`: the last ids that AUTOINCREMENT gave out in the snapshot, by table.
    pub(super) fn findings(
        &self,
        manifest: &Manifest,
        sequences: &BTreeMap<String, i64>,
        options: &RestoreOptions,
    ) -> Vec<Finding> {
        let target = shown(&options.target);
        let mut findings = Vec::new();
        let (now, saved) = (
            self.view.settings.user_version,
            manifest.settings.user_version,
        );
        if now != saved && !self.view.schema.tables.is_empty() {
            let text = format!("its user_version is {now}, and becomes the snapshot's, {saved}");
            findings.push(Finding::note(&target, text));
        }
        let damaged = self.rows.iter().filter(|(_, rows)| rows.is_none());
        findings.extend(damaged.map(|(table, _)| {
            let text = "it is damaged: its rows cannot be counted, and go with the rest";
            Finding::note(format!("table {table}"), text)
        }));
        let saved = |table: &String| sequences.get(table).copied().unwrap_or(0);
        let last_ids = self.last_ids.iter();
        let given = last_ids.filter(|(table, last)| **last > saved(table));
        let given = given.count() as u64;
        if given > 0 {
            let text = format!(
                "ids that AUTOINCREMENT gave out in {} since may be given out again",
                counted(given, "table")
            );
            findings.push(Finding::note(&target, text));
        }
        findings
    }
}
