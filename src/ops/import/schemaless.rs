//! The database that an export without a schema becomes: a table for every entity.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::check;
use super::database::Plan;
use super::document::{Record, Refusal};
use super::listing::Listing;
use super::long_strings::Aside;
use super::made_up::{Fields, IdKey};
use crate::error::{Error, ImportError};
use crate::model::exported::ExportedFile;
use crate::model::import_order::import_order;
use crate::model::row::RowRef;
use crate::model::schema::{ForeignKey, Schema, Settings};
use crate::model::text::TextEncoding;
use crate::ops::open::World;
use crate::progress::Finding;
use crate::target::{NewDatabase, TargetError, plain_table};

/// What was seen of the records of every file, in the order of the manifest.
pub(super) type Seen = Vec<Fields>;

/// Settings of a new database.
fn settings() -> Settings {
    Settings {
        page_size: 4096,
        encoding: TextEncoding::Utf8,
        auto_vacuum: 0,
        user_version: 0,
        application_id: 0,
        journal_mode: "delete".to_owned(),
    }
}

/// The database to make. `scratch`: a folder of our own.
pub(super) fn plan(
    listing: &mut Listing,
    seen: &Seen,
    scratch: &Path,
    world: &World,
) -> Result<Plan, Error> {
    let files = listing.manifest.files.clone();
    let mut tables = HashMap::new();
    for (file, fields) in files.iter().zip(seen) {
        let keyed = match fields.id_key() {
            IdKey::No => false,
            IdKey::Yes => true,
            IdKey::IfUnique => ids_are_unique(listing, file, scratch, world)?,
        };
        let (columns, key) = fields.columns(keyed);
        let made = plain_table(&file.entity_type, &columns, key);
        let made = made.map_err(|error| ImportError::UnsafeName {
            path: listing.path(),
            name: error.0,
            reason: "SQL has no such name",
        })?;
        tables.insert(file.entity_type.clone(), made);
    }
    let mut schema = Schema::default();
    for file in in_order(&files) {
        if let Some((object, table)) = tables.remove(&file.entity_type) {
            schema.objects.push(object);
            schema.tables.push(table);
        }
    }
    Ok(Plan {
        schema,
        settings: settings(),
        made_up: true,
        lenient: false,
    })
}

/// Notes of what was made up.
pub(super) fn notes(listing: &Listing, seen: &Seen) -> Vec<Finding> {
    let place = listing.place.resolved().display().to_string();
    let text = "it has no schema: the tables are made up from the fields of the records";
    let mut notes = vec![Finding::note(place.clone(), text)];
    let files = listing.manifest.files.iter().zip(seen);
    let empty = files.filter(|(_, fields)| fields.is_empty());
    let empty: Vec<&str> = empty.map(|(file, _)| file.entity_type.as_str()).collect();
    if !empty.is_empty() {
        let names = empty.join(", ");
        let text = format!("no field is known of {names}: such a table has one column, id");
        notes.push(Finding::note(place, text));
    }
    notes
}

/// The entities that each one refers to, of those that there are.
pub(super) fn dependencies(files: &[ExportedFile]) -> BTreeMap<String, Vec<String>> {
    let known: HashSet<&str> = files.iter().map(|file| file.entity_type.as_str()).collect();
    let of = |file: &ExportedFile| {
        let mut named = HashSet::new();
        let others = file.dependencies.iter().filter(|other| {
            **other != file.entity_type && known.contains(other.as_str()) && named.insert(*other)
        });
        (file.entity_type.clone(), others.cloned().collect())
    };
    files.iter().map(of).collect()
}

/// The files in the order in which references are satisfied: as the manifest says, if that fits
/// its own dependencies; else as these say.
fn in_order(files: &[ExportedFile]) -> Vec<&ExportedFile> {
    let dependencies = dependencies(files);
    let place = |file: &ExportedFile| file.import_order.as_f64().unwrap_or_default();
    let places: HashMap<&str, f64> = files
        .iter()
        .map(|file| (file.entity_type.as_str(), place(file)))
        .collect();
    let distinct: HashSet<u64> = places.values().map(|place| place.to_bits()).collect();
    let fits = |file: &ExportedFile| {
        let others = dependencies.get(&file.entity_type).into_iter().flatten();
        let mut places = others.filter_map(|other| places.get(other.as_str()));
        places.all(|other| *other < place(file))
    };
    let mut ordered: Vec<&ExportedFile> = files.iter().collect();
    if distinct.len() == files.len() && files.iter().all(fits) {
        ordered.sort_by(|a, b| place(a).total_cmp(&place(b)));
        return ordered;
    }
    // Dependencies as references of tables: their order is known how to find.
    let mut schema = Schema::default();
    for file in files {
        let Ok((_, mut table)) = plain_table(&file.entity_type, &[], None) else {
            return ordered;
        };
        let others = dependencies.get(&file.entity_type).into_iter().flatten();
        table.foreign_keys = others
            .map(|parent| ForeignKey {
                id: 0,
                parent: parent.clone(),
                columns: Vec::new(),
                on_update: String::new(),
                on_delete: String::new(),
            })
            .collect();
        schema.tables.push(table);
    }
    let placed: HashMap<usize, u32> = import_order(&schema)
        .tables
        .iter()
        .map(|order| (order.table, order.import_order))
        .collect();
    let mut numbered: Vec<(usize, &ExportedFile)> = files.iter().enumerate().collect();
    numbered.sort_by_key(|(at, _)| placed.get(at).copied().unwrap_or(u32::MAX));
    numbered.into_iter().map(|(_, file)| file).collect()
}

/// True if no two records have the same `id`: SQLite says so, in a table of their own.
fn ids_are_unique(
    listing: &mut Listing,
    file: &ExportedFile,
    scratch: &Path,
    world: &World,
) -> Result<bool, Error> {
    const ID: &str = "id";
    let columns = [(ID.to_owned(), "")];
    let Ok((object, table)) = plain_table("ids", &columns, Some(0)) else {
        return Ok(false);
    };
    let schema = Schema {
        objects: vec![object],
        tables: vec![table],
        ..Schema::default()
    };
    let place = scratch.join("ids.db");
    let skipped = std::iter::empty();
    let database = NewDatabase::create(&world.vfs, &place, &settings(), &schema, skipped, false)?;
    let mut unique = true;
    for table in database.tables() {
        let mut writer = database.writer(table)?;
        let mut each = |number: u64, record: &mut Record, mut aside: &Aside| {
            let id = record.iter().find(|(name, _)| name == ID);
            let (Some((_, id)), true) = (id, unique) else {
                return Ok(());
            };
            let row = RowRef {
                rowid: i64::try_from(number).ok(),
                values: &[id.as_ref()],
            };
            match writer.row(row, &mut aside) {
                Ok(()) => Ok(()),
                Err(TargetError::Constraint { .. }) => {
                    unique = false;
                    Ok(())
                }
                Err(error) => Err(Refusal::from(error)),
            }
        };
        check::file(&mut listing.place, file, TextEncoding::Utf8, &mut each)?;
    }
    Ok(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, import_order: u32, dependencies: &[&str]) -> ExportedFile {
        ExportedFile {
            filename: format!("{name}.json"),
            entity_type: name.to_owned(),
            record_count: 0,
            sha256: String::new(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
            import_order: import_order.into(),
        }
    }

    fn order(files: &[ExportedFile]) -> Vec<&str> {
        in_order(files)
            .iter()
            .map(|f| f.entity_type.as_str())
            .collect()
    }

    #[test]
    fn the_order_is_the_manifests_if_it_fits_the_dependencies() {
        let files = [
            file("b", 9, &["a"]),
            file("a", 2, &["gone", "a"]),
            file("c", 4, &[]),
        ];
        assert_eq!(order(&files), ["a", "c", "b"]);
        let wrong = [file("b", 1, &["a"]), file("a", 2, &[]), file("c", 3, &[])];
        assert_eq!(order(&wrong), ["a", "b", "c"]);
        let none = [
            file("b", 0, &["a", "a"]),
            file("a", 0, &["c"]),
            file("c", 0, &[]),
        ];
        assert_eq!(order(&none), ["c", "a", "b"]);
        let circle = [file("b", 1, &["a"]), file("a", 2, &["b"])];
        assert_eq!(order(&circle), ["b", "a"]);
        assert_eq!(dependencies(&none)["b"], ["a"]);
    }
}
