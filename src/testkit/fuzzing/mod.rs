//! What the fuzz targets of `fuzz/` do with their input: bytes in, nothing out, a panic where a promise
//! is broken. `tests/promises/fuzz_corpus.rs` sends the kept corpora through the same functions.

mod ddl;
mod deltas;
mod imports;
mod input;
mod mutation;
mod objects;
mod packs;
mod scene;
mod seeds;
mod source;
mod stores;
#[cfg(test)]
mod tests;
mod trees;
mod words;

pub use ddl::ddl;
pub use deltas::{delta_bytes, delta_leaf, delta_node};
pub use imports::{import_document, import_manifest, import_zip};
pub use objects::{frame, manifest, names};
pub use packs::{footer, pack};
pub use seeds::seeds;
pub use source::source_database;
pub use stores::whole_store;
pub use trees::{chunk_node, columns, leaf, node, schema};
pub use words::words;

/// What a target does with one input.
pub type Body = fn(&[u8]);

/// All targets by name: that of the file in `fuzz/fuzz_targets` and of the folder in `fuzz/corpus`.
pub const TARGETS: [(&str, Body); 20] = [
    ("frame", frame),
    ("manifest", manifest),
    ("names", names),
    ("footer", footer),
    ("pack", pack),
    ("leaf", leaf),
    ("columns", columns),
    ("node", node),
    ("chunk_node", chunk_node),
    ("schema", schema),
    ("delta_leaf", delta_leaf),
    ("delta_node", delta_node),
    ("delta_bytes", delta_bytes),
    ("words", words),
    ("ddl", ddl),
    ("import_document", import_document),
    ("import_manifest", import_manifest),
    ("import_zip", import_zip),
    ("whole_store", whole_store),
    ("source_database", source_database),
];
