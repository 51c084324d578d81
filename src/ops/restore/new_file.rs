//! Into a new file: the database exactly as it was, checked before it gets its name.

mod by_sql;
mod by_trees;
pub(super) mod lost;
mod pages;
mod reread;

use std::collections::BTreeMap;
use std::path::Path;

use self::lost::Lost;
use super::records::Records;
use super::{Builder, Form, RestoreOptions, RestoreOutcome, TableReport, Tried};
use crate::env::random_16;
use crate::error::{Error, SelectError};
use crate::format::manifest::{Entity, Manifest};
use crate::model::schema::{Schema, Table, TableKind};
use crate::ops::open::World;
use crate::ops::stored::read_schema;
use crate::progress::{Finding, Progress, Severity};
use crate::store::StoreReader;
use crate::target::{
    CheckLevel, Completed, Expected, ForeignKeyCheck, Place, TargetError, ensure_can_be_made,
};

/// Builds the database beside its place and publishes it, or only says what it would hold.
pub(super) fn run(
    records: &Records<'_>,
    world: &World,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let Records {
        reader,
        manifest,
        summary,
    } = records;
    let schema = read_schema(reader, manifest)?;
    let (from_pages, lost, note) = match options.allow_damaged {
        true => lost::find(records, &schema, options, progress)?,
        false => (is_from_pages(manifest, options)?, Lost::default(), None),
    };
    let mut outcome = RestoreOutcome {
        new_file: true,
        tables: manifest.entities.iter().map(|e| report(e, &lost)).collect(),
        lost: lost.records.clone(),
        ..RestoreOutcome::of(summary, options)
    };
    if from_pages {
        outcome.findings.push(made_from_pages(&options.target));
    } else {
        outcome.findings = left_out(manifest);
    }
    outcome.findings.extend(note);
    outcome.findings.extend(lost.findings());
    if options.dry_run {
        ensure_can_be_made(&*world.vfs, &options.target)?;
    } else {
        let basis = Making {
            reader,
            world,
            manifest,
            schema: &schema,
            options,
            lost: &lost,
            place: Place::New(&options.target),
        };
        let completed = complete(&basis, from_pages, progress)?;
        outcome.findings.extend(completed.publish()?.findings);
        outcome.checked = checked(&basis, from_pages);
    }
    for finding in &outcome.findings {
        progress.found(finding);
    }
    Ok(outcome)
}

/// Says that pages are restored, not records.
pub(super) fn made_from_pages(target: &Path) -> Finding {
    let text = "made from the pages of the database, as they were";
    Finding::note(target.display().to_string(), text)
}

/// Builds and checks a database beside its place.
pub(super) fn complete(
    basis: &Making<'_>,
    from_pages: bool,
    progress: &mut dyn Progress,
) -> Result<Completed, Error> {
    let completed = match from_pages {
        true => pages::build(basis, progress)?,
        false => build(basis, progress)?,
    };
    if basis.options.check == CheckLevel::Full && !(from_pages && basis.manifest.damaged) {
        reread::roots(basis, &completed, progress)?;
    }
    Ok(completed)
}

/// What [`complete`] has checked, for people.
pub(super) fn checked(basis: &Making<'_>, from_pages: bool) -> Vec<&'static str> {
    let check = basis.options.check;
    let mut checked = match check {
        CheckLevel::None => vec!["counts, as they were written; SQLite verified nothing"],
        CheckLevel::Quick => vec!["quick_check", "counts", "foreign keys"],
        CheckLevel::Full => vec![
            "integrity_check",
            "counts",
            "foreign keys",
            match basis.lost.records.is_empty() {
                true => "every record read again",
                false => "every record of whole tables read again",
            },
        ],
    };
    let has_full_text = !from_pages && !basis.schema.full_text_tables().is_empty();
    if has_full_text && check != CheckLevel::None {
        checked.push("full-text indexes");
    }
    checked
}

/// Builds and checks a database in a scratch file, and takes it away again.
pub(super) fn try_out(
    records: &Records<'_>,
    world: &World,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Tried, Error> {
    let Records {
        reader, manifest, ..
    } = records;
    let number = u128::from_le_bytes(random_16(&*world.env));
    let target = folder.join(format!("larder-drill-{number:032x}.db"));
    let needed = manifest.source.bytes;
    if let Some(free) = world.vfs.free_bytes(folder).filter(|free| *free < needed) {
        let path = target;
        return Err(TargetError::LittleSpace { path, needed, free }.into());
    }
    let schema = read_schema(reader, manifest)?;
    let options = RestoreOptions {
        target,
        check: CheckLevel::Full,
        ..RestoreOptions::default()
    };
    let from_pages = is_from_pages(manifest, &options)?;
    let basis = Making {
        reader,
        world,
        manifest,
        schema: &schema,
        options: &options,
        lost: &Lost::default(),
        place: Place::New(&options.target),
    };
    let completed = complete(&basis, from_pages, progress)?;
    let bytes = completed.bytes()?;
    let mut findings = match from_pages {
        true => Vec::new(),
        false => left_out(manifest),
    };
    findings.extend_from_slice(completed.findings());
    Ok(Tried {
        bytes,
        checked: checked(&basis, from_pages),
        findings,
    })
}

fn report(entity: &Entity, lost: &Lost) -> TableReport {
    let lost = lost.holes(&entity.entity).rows();
    TableReport {
        table: entity.entity.clone(),
        inserted: entity.records.saturating_sub(lost),
        ..TableReport::default()
    }
}

/// What the backup could not carry is missing from the restored database, too.
pub(super) fn left_out(manifest: &Manifest) -> Vec<Finding> {
    let is_warning = |f: &&Finding| f.severity == Severity::Warning;
    manifest
        .findings
        .iter()
        .filter(is_warning)
        .cloned()
        .collect()
}

/// What a new file is made from, and how.
pub(super) struct Making<'a> {
    pub reader: &'a StoreReader,
    pub world: &'a World,
    pub manifest: &'a Manifest,
    pub schema: &'a Schema,
    pub options: &'a RestoreOptions,
    /// Records that cannot be read, and are passed over.
    pub lost: &'a Lost,
    /// What it is built for.
    pub place: Place<'a>,
}

impl Making<'_> {
    /// Tables of the schema that the snapshot does not carry. A virtual table holds nothing itself.
    fn skipped(&self) -> Vec<String> {
        let carried = |table: &&Table| {
            let mut carried = self.manifest.all_tables();
            table.kind == TableKind::Virtual || carried.any(|e| e.entity == table.name)
        };
        let tables = self.schema.tables.iter();
        let skipped = tables.filter(|table| !carried(table));
        skipped.map(|table| table.name.clone()).collect()
    }

    /// The schema without the tables that the snapshot does not carry.
    pub(super) fn carried(&self) -> Schema {
        let skipped = self.skipped();
        let mut schema = self.schema.clone();
        schema.tables.retain(|table| !skipped.contains(&table.name));
        schema
    }

    /// Errors: `Count` unless so many rows of a table were written as it has, without those that are lost.
    fn ensure_count(&self, entity: &Entity, written: u64) -> Result<(), TargetError> {
        let lost = self.lost.holes(&entity.entity).rows();
        let wanted = entity.records.saturating_sub(lost);
        match written == wanted {
            true => Ok(()),
            false => Err(TargetError::Count {
                table: entity.entity.clone(),
                wanted,
                found: written,
            }),
        }
    }

    /// Records that are to be restored.
    fn records(&self) -> u64 {
        self.manifest.all_tables().map(|e| e.records).sum()
    }
}

/// Pages of a damaged database are not taken unasked: its records make a sound one.
pub(super) fn is_from_pages(manifest: &Manifest, options: &RestoreOptions) -> Result<bool, Error> {
    match options.form {
        Form::Records => Ok(false),
        Form::Best => Ok(manifest.pages.is_some() && !manifest.damaged),
        Form::Pages if manifest.pages.is_some() => Ok(true),
        Form::Pages => Err(SelectError::NoPages {
            snapshot: manifest.name.clone(),
        }
        .into()),
    }
}

/// From records: larder writes the trees, or where it cannot, SQLite does.
fn build(basis: &Making<'_>, progress: &mut dyn Progress) -> Result<Completed, Error> {
    // Tables that SQL does not make are left out there, for they are kept as pages.
    if basis.options.builder == Builder::Sql || basis.manifest.pages.is_some() {
        return by_sql::build(basis, progress);
    }
    match by_trees::build(basis, progress) {
        Err(Error::Target(TargetError::NeedsSql { table, reason })) => {
            let text = format!("made by SQL, which takes longer: table {table}: {reason}");
            let place = basis.options.target.display().to_string();
            Ok(by_sql::build(basis, progress)?.with(Finding::note(place, text)))
        }
        done => done,
    }
}

/// What the manifest says the database must be like, without what is lost.
pub(super) fn expected(manifest: &Manifest, schema: &Schema, lost: &Lost) -> Expected {
    let rows = |e: &Entity| e.records.saturating_sub(lost.holes(&e.entity).rows());
    let rows = manifest
        .all_tables()
        // Of a table that is not in the schema all is lost.
        .filter(|e| lost.records.is_empty() || schema.table(&e.entity).is_some())
        .map(|e| (e.entity.clone(), rows(e)))
        .collect();
    let mut foreign_keys: BTreeMap<String, ForeignKeyCheck> = BTreeMap::new();
    for entity in &manifest.entities {
        let has_keys = schema
            .table(&entity.entity)
            .is_some_and(|t| !t.foreign_keys.is_empty());
        if has_keys {
            foreign_keys.insert(entity.entity.clone(), ForeignKeyCheck::default());
        }
    }
    for verdict in &manifest.foreign_keys {
        let check = foreign_keys.entry(verdict.table.clone()).or_default();
        if verdict.unchecked.is_some() {
            check.defect.clone_from(&verdict.unchecked);
        } else {
            check.violations.insert(verdict.id, verdict.violations);
        }
    }
    let complaints = manifest.integrity.as_ref();
    Expected {
        rows,
        foreign_keys,
        full_text: manifest
            .full_text
            .iter()
            .map(|verdict| (verdict.table.clone(), verdict.complaint.clone()))
            .collect(),
        complaints: complaints.map_or_else(Vec::new, |i| i.complaints.clone()),
        damaged: manifest.damaged,
        with_damage: false,
        incomplete: !lost.records.is_empty(),
    }
}
