//! §10.2 Schema blobs: the canonical form is the JSON of `model::schema::Schema`, as serde_json
//! writes it (no spaces, fields in the order of the document).

use super::FormatError;
use crate::model::schema::Schema;

/// The canonical form.
pub fn encode(schema: &Schema) -> Result<Vec<u8>, FormatError> {
    serde_json::to_vec(schema).map_err(|e| FormatError::Json {
        what: "a schema",
        cause: e.to_string(),
    })
}

/// Reads a canonical form; positions of columns are checked.
pub fn decode(bytes: &[u8]) -> Result<Schema, FormatError> {
    let schema: Schema = serde_json::from_slice(bytes).map_err(|e| FormatError::Json {
        what: "a schema",
        cause: e.to_string(),
    })?;
    for table in &schema.tables {
        let columns = table.columns.len() as u64;
        let keys = table
            .primary_key
            .iter()
            .chain(table.unique_keys.iter().flat_map(|k| &k.columns));
        let alias = table.rowid_alias().map(|at| at as u64);
        let mut positions = keys.map(|key| u64::from(key.column)).chain(alias);
        if columns > u64::from(super::limits::COLUMNS_MAX) || positions.any(|at| at >= columns) {
            return Err(FormatError::Invalid {
                what: "a column position in a schema",
            });
        }
    }
    Ok(schema)
}
