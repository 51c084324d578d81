//! The manifest of a new snapshot: what was put, what of it differs from the parent, and the verdicts
//! on foreign keys.

use super::content::Content;
use super::parent::Parent;
use super::references::References;
use super::{tables, verdicts};
use crate::error::Error;
use crate::format::config::FormatMark;
use crate::format::manifest::{Manifest, RestoreMark, Source};
use crate::model::id::BlobId;
use crate::model::schema::Table;
use crate::ops::open::Store;
use crate::source::Moment;
use crate::store::StoreWriter;

/// What a snapshot says of itself.
pub(super) struct Label {
    pub name: String,
    pub tags: Vec<String>,
    /// When the source was read, since 1970.
    pub time_ms: i64,
    pub host: String,
    pub source: Source,
    pub restore: Option<RestoreMark>,
}

/// What was read and put into packs.
pub(super) struct Written {
    pub parent: Option<Parent>,
    pub schema: BlobId,
    pub content: Content,
}

/// Publishes what was put, and completes the manifest. Returns that of the parent, too, if it is of the same
/// source.
pub(super) fn conclude(
    store: &Store,
    moment: Moment<'_>,
    label: Label,
    written: Written,
    writer: &mut StoreWriter,
) -> Result<(Manifest, Option<Manifest>), Error> {
    let Written {
        parent,
        schema,
        mut content,
    } = written;
    // Packs are written, and others may write, too.
    moment.rest()?;
    let new_bytes = writer.flush()?;
    moment.resume()?;
    let mut references = None;
    if let Some(parent) = parent.as_ref().filter(|parent| parent.is_of_source) {
        // Everything put so far is published: a reader sees it.
        let held = references.insert(References::of(
            moment,
            parent,
            &content.entities,
            content.damaged,
        )?);
        tables::count_changes(store, moment.schema(), parent, &mut content.entities, held)?;
    }
    let holds = |table: &Table| {
        let by_changes = references.as_ref().is_some_and(|held| held.hold(table));
        by_changes || !content.damaged && content.keys.hold(table)
    };
    let foreign_keys = verdicts::read(moment, parent.as_ref(), &holds, &content.entities)?;
    moment.rest()?;
    let parent = parent.filter(|parent| parent.is_of_source);
    let parent = parent.map(|parent| parent.manifest);
    content
        .findings
        .extend(verdicts::notes(&foreign_keys, parent.as_ref()));
    let manifest = Manifest {
        format: FormatMark::CURRENT,
        features: Vec::new(),
        id: writer.snapshot().clone(),
        original: None,
        name: label.name,
        time: crate::store::rfc3339(label.time_ms),
        host: label.host,
        tags: label.tags,
        parent: parent.as_ref().map(|parent| parent.id.clone()),
        restore: label.restore,
        source: label.source,
        settings: moment.settings().clone(),
        schema,
        entities: content.entities,
        internal: content.internal,
        pages: content.pages,
        damaged: content.damaged,
        integrity: content.integrity,
        full_text: content.full_text,
        foreign_keys,
        findings: content.findings,
        new_bytes,
    };
    Ok((manifest, parent))
}
