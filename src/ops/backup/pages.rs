//! What the records alone do not bring back exactly, and the pages that are kept for it.

use super::parent::Parent;
use crate::error::Error;
use crate::format::manifest::{Entity, PAGES_NAME};
use crate::model::row::RowRef;
use crate::ops::grow::TreeSink;
use crate::progress::{Finding, Progress, Unit};
use crate::source::{Capture, pages};
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

/// Puts the database's pages beside its records.
pub(super) fn write(
    capture: &Capture,
    parent: Option<&Parent>,
    writer: &mut StoreWriter,
    progress: &mut dyn Progress,
) -> Result<Entity, Error> {
    progress.phase("Reading pages", 0, Unit::Records);
    let shape = TreeShape::pages();
    let mut builder = TreeBuilder::new(&shape, writer.hash());
    if let Some(walk) = parent.and_then(Parent::walk_pages) {
        builder = builder.beside(walk);
    }
    let mut look_at = |_: RowRef<'_>| {};
    let mut sink = TreeSink::new(builder, writer, progress, &mut look_at);
    let read = pages(capture, &mut sink);
    Ok(Entity {
        entity: PAGES_NAME.to_owned(),
        ..sink.end(read, capture.path())?.entity()
    })
}

/// Says that the pages are kept.
pub(super) fn finding(capture: &Capture, pages: &Entity) -> Finding {
    let bytes = pages.records * u64::from(capture.settings().page_size);
    let text = format!(
        "its {} pages ({bytes} bytes) are kept beside its records: a new file is made from them",
        pages.records
    );
    Finding::warning(capture.path().display().to_string(), text)
}
