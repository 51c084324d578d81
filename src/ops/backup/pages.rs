//! What the records alone do not bring back exactly, and the pages that are kept for it.

use super::parent::Parent;
use crate::error::Error;
use crate::format::manifest::{Entity, PAGES_NAME};
use crate::model::counted::{agree, counted};
use crate::model::row::RowRef;
use crate::ops::grow::TreeSink;
use crate::progress::{Finding, Progress, Unit};
use crate::source::{Capture, SourceError, pages};
use crate::store::StoreWriter;
use crate::target::rehearse;
use crate::tree::TreeShape;
use crate::tree::build::TreeBuilder;

/// Objects of the schema that SQL does not make again, and tables whose rowids it does not.
pub(super) fn reasons(capture: &Capture, entities: &[Entity]) -> Result<Vec<Finding>, Error> {
    let mut reasons = Vec::new();
    for object in capture.unreadable() {
        reasons.push(Finding::warning(&object.name, &object.reason));
    }
    for unmade in rehearse(capture.schema(), capture.settings())? {
        let text = format!("SQL does not make it again: {}", unmade.reason);
        reasons.push(Finding::warning(unmade.object, text));
    }
    for table in capture.without_rowid_name() {
        let has_rows = |e: &Entity| e.entity == table.name && e.records > 0;
        if entities.iter().any(has_rows) {
            let text = "columns hide all names of the rowid: its rows are kept in their order, \
                        their rowids are not";
            reasons.push(Finding::warning(table.name.clone(), text));
        }
    }
    Ok(reasons)
}

/// Puts the database's pages beside its records, and says so in `findings`. Those of a damaged one
/// as far as SQLite copies them.
pub(super) fn write(
    capture: &Capture,
    parent: Option<&Parent>,
    writer: &mut StoreWriter,
    progress: &mut dyn Progress,
    damaged: bool,
    findings: &mut Vec<Finding>,
) -> Result<Option<Entity>, Error> {
    progress.phase("Reading pages", 0, Unit::Records);
    let shape = TreeShape::pages();
    let mut builder = TreeBuilder::new(&shape, writer.hash());
    if let Some(walk) = parent.and_then(Parent::walk_pages) {
        builder = builder.beside(walk);
    }
    let mut look_at = |_: RowRef<'_>| true;
    let mut sink = TreeSink::new(builder, writer, progress, &mut look_at);
    let read = pages(capture, &mut sink);
    let subject = capture.path().display().to_string();
    let grown = match sink.end(read, capture.path()) {
        Err(Error::Source(error @ (SourceError::Corrupt { .. } | SourceError::Sqlite { .. })))
            if damaged =>
        {
            let text = format!("its pages cannot be copied, its records are kept alone: {error}");
            findings.push(Finding::warning(subject, text));
            return Ok(None);
        }
        grown => grown?.entity(),
    };
    let bytes = grown.records * u64::from(capture.settings().page_size);
    let use_of = match damaged {
        true => "restore --from pages gives them back, damage and all",
        false => "a new file is made from them",
    };
    let text = format!(
        "its {} ({bytes} bytes) {} kept beside its records: {use_of}",
        counted(grown.records, "page"),
        agree(grown.records, "is", "are")
    );
    findings.push(Finding::warning(subject, text));
    Ok(Some(Entity {
        entity: PAGES_NAME.to_owned(),
        ..grown
    }))
}
