//! `manifest.json` of an export, as it is written and read again.
//!
//! The fields of the ancestor's form keep their names and order. What makes an export of larder a
//! whole database again stands under `larder`, which other readers pass over.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::schema::{Schema, Settings, Table};

/// The only version of manifests and documents that there is: the ancestor's.
pub const DOCUMENT_VERSION: &str = "1.0";
/// The version of what stands under `larder`.
pub const CARRIED_VERSION: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportManifest {
    /// [`DOCUMENT_VERSION`].
    pub version: String,
    /// When the source was read.
    #[serde(default)]
    pub export_date: String,
    /// What was exported, for people.
    #[serde(default)]
    pub source: String,
    /// The entity files.
    pub files: Vec<ExportedFile>,
    /// What records do not say; absent in exports of the ancestor, and of single entities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub larder: Option<Carried>,
}

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedFile {
    /// Its name in the folder.
    pub filename: String,
    /// The entity.
    pub entity_type: String,
    /// Number of records.
    pub record_count: u64,
    /// SHA-256 of its bytes, in hex digits.
    pub sha256: String,
    /// Entities that it refers to.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Order in which references are satisfied. The ancestor puts some between two whole numbers.
    #[serde(default = "no_order")]
    pub import_order: Number,
}

fn no_order() -> Number {
    0.into()
}

/// What records do not say of a database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Carried {
    /// [`CARRIED_VERSION`].
    pub version: u32,
    /// Settings of the database.
    pub settings: Settings,
    /// Its schema, verbatim.
    pub schema: Schema,
    /// Files of tables that no person made: SQLite's own, and those behind virtual tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub internal: Vec<ExportedFile>,
    /// Pages that the snapshot holds because its records do not make the database again. An export
    /// lacks them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages_left_out: Option<u64>,
    /// The database was damaged: the records are those that could be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
}

/// The field of a record that says its rowid, in tables where no column is the rowid: not the name
/// of a column. A record without it has the rowid of the one before plus 1, the first one 1.
pub fn rowid_field(table: &Table) -> String {
    let mut field = "$rowid".to_owned();
    while table.columns.iter().any(|column| column.name == field) {
        field.insert(0, '$');
    }
    field
}
