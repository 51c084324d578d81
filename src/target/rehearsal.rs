//! What a restore would make of a schema, tried on an empty database in memory.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::TargetError;
use super::schema;
use crate::model::schema::{ObjectKind, Schema, Settings};
use crate::progress::Finding;
use crate::sqlite::Connection;

/// An object that SQL does not make again as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmade {
    /// Its kind and name, for people.
    pub object: String,
    /// Why: lower case, no full stop.
    pub reason: String,
}

/// The objects of a schema that a restore could not make again, one by one, as they were.
pub fn rehearse(schema: &Schema, settings: &Settings) -> Result<Vec<Unmade>, TargetError> {
    let path = Path::new("(a rehearsal)");
    let db = Connection::open_memory().map_err(|e| TargetError::of(path, "memory", e))?;
    let mut unmade = Vec::new();
    // Page sizes and the like are the file's own affair.
    let in_memory = Settings {
        auto_vacuum: 0,
        page_size: 4096,
        ..settings.clone()
    };
    schema::set_before_tables(&db, path, &in_memory)?;
    let mut skipped = BTreeSet::new();
    let none = BTreeSet::new();
    schema::create_tables(&db, path, schema, &none, &mut |table, error| {
        skipped.insert(table.name.clone());
        unmade.push(Unmade {
            object: table.name.clone(),
            reason: error.message,
        });
        Ok(())
    })?;
    let mut findings: Vec<Finding> = Vec::new();
    let missing = schema::create_rest(&db, path, schema, &mut findings)?;
    for (kind, name) in &missing {
        let object = schema.objects_of(*kind).find(|o| o.name == *name);
        // Named with its table already.
        let of_unmade = object.is_some_and(|object| skipped.contains(&object.table));
        if *kind == ObjectKind::Index && of_unmade {
            continue;
        }
        let place = format!("{} {name}", schema::kind_name(*kind));
        let said = findings.iter().find(|finding| finding.subject == place);
        unmade.push(Unmade {
            object: place,
            reason: said.map_or_else(String::new, |finding| finding.text.clone()),
        });
    }
    let entered = schema::add_virtual_tables(&db, path, schema);
    let equal = entered.and_then(|()| schema::ensure_equal(&db, path, schema, &skipped, &missing));
    match equal {
        Ok(()) => {}
        Err(TargetError::SchemaDiffers { what, .. }) => unmade.push(Unmade {
            object: what,
            reason: "it comes out different".to_owned(),
        }),
        Err(error) => return Err(error),
    }
    Ok(unmade)
}
