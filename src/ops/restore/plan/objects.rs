//! The indexes, triggers and views that come with tables which a restore makes.

use crate::model::schema::{ObjectKind, SchemaObject};
use crate::ops::restore::basis::Basis;
use crate::ops::restore::report::Made;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::restore::table_plan::TablePlan;
use crate::progress::Finding;

/// What belongs to tables that are made: their indexes and triggers, and the views that name one of
/// them; and what of it is not made, since the database has something else of that name, which stays.
pub(in crate::ops::restore) fn of_made(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    tables: &[TablePlan<'_>],
) -> (Vec<SchemaObject>, Vec<Finding>) {
    let made: Vec<String> = shapes
        .iter()
        .zip(tables)
        .filter(|(shape, plan)| is_made(shape, plan))
        .map(|(shape, _)| shape.stored.name.to_ascii_lowercase())
        .collect();
    let is_new = basis.view.schema.tables.is_empty();
    let of_made = |object: &SchemaObject| {
        let mut made = made.iter();
        made.any(|name| object.table.eq_ignore_ascii_case(name))
    };
    let is_view_wanted = |view: &SchemaObject| {
        let text = view.sql.as_deref().unwrap_or_default().to_ascii_lowercase();
        is_new || made.iter().any(|name| text.contains(name))
    };
    let of_views = |trigger: &SchemaObject| {
        basis
            .schema
            .objects_of(ObjectKind::View)
            .any(|view| view.name.eq_ignore_ascii_case(&trigger.table) && is_view_wanted(view))
    };
    let wanted = |object: &&SchemaObject| match object.kind {
        ObjectKind::Table => false,
        ObjectKind::Index => of_made(object),
        ObjectKind::Trigger => of_made(object) || of_views(object),
        ObjectKind::View => is_view_wanted(object),
    };
    let there = |object: &SchemaObject| {
        let mut objects = basis.view.schema.objects.iter();
        // Triggers have names of their own.
        let is_trigger = |o: &SchemaObject| o.kind == ObjectKind::Trigger;
        objects.find(|o| {
            is_trigger(o) == is_trigger(object) && o.name.eq_ignore_ascii_case(&object.name)
        })
    };
    let objects = basis.schema.objects.iter();
    let wanted = objects.filter(|object| object.sql.is_some() && wanted(object));
    let (mut new, mut findings) = (Vec::new(), Vec::new());
    for object in wanted {
        match there(object) {
            None => new.push(object.clone()),
            Some(other) if other.kind == object.kind && other.sql == object.sql => {}
            Some(_) => {
                let text = format!(
                    "{} {} is not made: the database has something else of that name",
                    kind_word(object.kind),
                    object.name
                );
                findings.push(Finding::warning(&object.table, text));
            }
        }
    }
    (new, findings)
}

fn kind_word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "table",
        ObjectKind::Index => "index",
        ObjectKind::View => "view",
        ObjectKind::Trigger => "trigger",
    }
}

/// All that is made, in the order in which it is.
pub(in crate::ops::restore) fn made(
    shapes: &[TableShape],
    tables: &[TablePlan<'_>],
    objects: &[SchemaObject],
) -> Vec<Made> {
    let made = shapes.iter().zip(tables);
    let made = made.filter(|(shape, plan)| is_made(shape, plan));
    let made = made.map(|(shape, _)| (ObjectKind::Table, &shape.live.name));
    let objects = objects.iter().map(|object| (object.kind, &object.name));
    let made = made.chain(objects).map(|(kind, name)| Made {
        kind,
        name: name.clone(),
    });
    made.collect()
}

/// True if a table is made: the database lacks it, and it is restored, or a row of it is.
pub(in crate::ops::restore) fn is_made(shape: &TableShape, plan: &TablePlan<'_>) -> bool {
    shape.made
        && (shape.role == crate::ops::restore::scope::shape::Role::Whole || plan.is_touched())
}
