//! What of a source is put into packs: its check, its tables, and its pages where they are needed.

use super::fast_skip::FastSkip;
use super::parent::Parent;
use super::seen_keys::SeenKeys;
use super::{damage, pages, tables};
use crate::error::Error;
use crate::format::manifest::{Entity, FullTextVerdict, Integrity, IntegrityCheck};
use crate::progress::{Finding, Progress, Unit};
use crate::source::Capture;
use crate::store::StoreWriter;

/// What was read and put into packs.
pub(super) struct Content {
    pub entities: Vec<Entity>,
    pub internal: Vec<Entity>,
    pub pages: Option<Entity>,
    pub damaged: bool,
    pub integrity: Option<Integrity>,
    pub full_text: Vec<FullTextVerdict>,
    pub findings: Vec<Finding>,
    /// Records that were not read, since their pages had not changed.
    pub skipped: u64,
    /// Foreign keys that were seen to hold.
    pub keys: SeenKeys,
}

/// Checks the source if asked, or if it has no snapshot yet, and puts all of it.
pub(super) fn write(
    capture: &Capture,
    asked: Option<IntegrityCheck>,
    parent: Option<&Parent>,
    skip: Option<&mut FastSkip>,
    writer: &mut StoreWriter,
    progress: &mut dyn Progress,
) -> Result<Content, Error> {
    // A first backup looks at the whole database anyway.
    let is_first = parent.is_none_or(|parent| !parent.is_of_source);
    let level = asked.or(is_first.then_some(IntegrityCheck::QuickCheck));
    let is_full = level == Some(IntegrityCheck::IntegrityCheck);
    let beside = level.and_then(|_| capture.check_beside(is_full));
    let check = |level, beside, progress: &mut dyn Progress| {
        damage::check(capture, level, beside, asked.is_some(), progress)
    };
    let mut checked = match level {
        Some(level) if beside.is_none() => Some(check(level, None, progress)?),
        _ => None,
    };
    progress.phase("Reading", 0, Unit::Records);
    let moment = capture.moment();
    let tables = tables::write_all(moment, parent, &|_| None, skip, writer, progress)?;
    let level = level.or(tables.damaged.then_some(IntegrityCheck::QuickCheck));
    if let (Some(level), None) = (level, &checked) {
        checked = Some(check(level, beside, progress)?);
    }
    let mut findings = facts(capture);
    let mut damaged = capture.damage().is_some();
    let (mut integrity, mut full_text) = (None, Vec::new());
    if let Some(checked) = checked {
        findings.extend(checked.findings);
        damaged |= checked.damaged;
        integrity = Some(checked.integrity);
        full_text = checked.full_text;
    }
    damaged |= tables.damaged;
    findings.extend(tables::unordered(capture.schema(), &tables.entities));
    let mut reasons = tables.findings;
    reasons.extend(pages::reasons(capture, &tables.entities)?);
    let pages = match reasons.is_empty() && !damaged {
        true => None,
        false => pages::write(capture, parent, writer, progress, damaged, &mut reasons)?,
    };
    findings.extend(reasons);
    Ok(Content {
        entities: tables.entities,
        internal: tables.internal,
        pages,
        damaged,
        integrity,
        full_text,
        findings,
        skipped: tables.skipped,
        keys: tables.keys,
    })
}

/// Facts of the source that are known before its rows are read.
fn facts(capture: &Capture) -> Vec<Finding> {
    let subject = capture.path().display().to_string();
    let empty = capture
        .is_empty_file()
        .then_some("the file has 0 bytes: an empty database");
    let notes = capture.notes().iter().map(String::as_str);
    let texts = empty.into_iter().chain(notes);
    let mut facts: Vec<Finding> = texts.map(|text| Finding::note(&subject, text)).collect();
    facts.extend(capture.damage().map(|cause| {
        let text = format!("damaged: {cause}; what can be read of it is kept");
        Finding::warning(&subject, text)
    }));
    facts
}
