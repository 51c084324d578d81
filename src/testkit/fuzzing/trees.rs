//! Blobs in their canonical forms, and leaves column by column.

use super::input::Input;
use crate::format::blob::{self, BlobKind, Encoding};
use crate::format::chunk::ChunkNode;
use crate::format::leaf::{Leaf, LeafBuilder, columns as coded, read_values};
use crate::format::node::{Node, Span, key_canonical};
use crate::format::schema as schema_blob;
use crate::model::row::RowRef;
use crate::model::value::Value;

/// What a leaf says, put into a leaf anew, is the leaf: there is one form for a content.
fn look_at(leaf: &Leaf) {
    let mut builder = LeafBuilder::new(leaf.columns());
    let mut values = Vec::new();
    for row in 0..leaf.rows() {
        leaf.row_values(row, &mut values);
        let rowid = leaf.rowid(row, leaf.has_rowids().then_some(i64::MIN));
        assert_eq!(rowid.is_some(), leaf.has_rowids());
        builder.push(RowRef {
            rowid,
            values: &values,
        });
    }
    assert_eq!(builder.has_refs(), leaf.spilled().next().is_some());
    let mut again = Vec::new();
    builder.finish(&mut again);
    assert!(again == leaf.canonical(), "a leaf of another form");
    let coded = coded::encode(leaf);
    let decoded = coded::decode(&coded.bytes, again.len()).unwrap();
    assert!(decoded == again, "columns of another leaf");
}

/// The canonical form of a leaf.
pub fn leaf(data: &[u8]) {
    if let Ok(leaf) = Leaf::parse(data.to_vec()) {
        assert_eq!(leaf.canonical(), data);
        look_at(&leaf);
    }
}

/// A leaf column by column: its canonical length, then what lies in a frame.
pub fn columns(data: &[u8]) {
    let mut input = Input::new(data);
    let length = u64::from(input.u32());
    let Ok(canonical) = blob::decode(Encoding::Columns, input.rest(), length) else {
        return;
    };
    assert_eq!(canonical.len() as u64, length);
    if let Ok(leaf) = Leaf::parse(canonical) {
        look_at(&leaf);
    }
}

/// The canonical form of a node.
pub fn node(data: &[u8]) {
    let Ok(node) = Node::decode(data) else { return };
    assert_eq!(node.encode(), data);
    for child in &node.children {
        if let Span::Key(key) = &child.span
            && let Ok(values) = read_values(&key.bytes)
        {
            let mut again = Vec::new();
            key_canonical(values.iter().map(Value::as_ref), &mut again);
            assert_eq!(again, key.bytes);
        }
    }
}

/// The canonical form of a chunk node.
pub fn chunk_node(data: &[u8]) {
    if let Ok(node) = ChunkNode::decode(data) {
        assert_eq!(node.encode(), data);
    }
}

/// The canonical form of a schema, and what is asked of one.
pub fn schema(data: &[u8]) {
    let Ok(schema) = schema_blob::decode(data) else {
        return;
    };
    let written = schema_blob::encode(&schema).unwrap();
    assert_eq!(schema_blob::decode(&written).as_ref(), Ok(&schema));
    let whole = blob::encode(BlobKind::Schema, &written).unwrap();
    let length = written.len() as u64;
    assert_eq!(
        blob::decode(whole.encoding, &whole.bytes, length),
        Ok(written)
    );
    for object in &schema.objects {
        let _any = (object.group(), object.module());
    }
    let _any = (
        schema.full_text_tables(),
        crate::model::import_order::import_order(&schema),
    );
    for table in &schema.tables {
        assert!(table.leaf_columns().all(|at| at < table.columns.len()));
        let _any = (
            table.rowid_column(),
            table.hides_rowid(),
            table.is_internal(),
        );
        assert!(schema.table(&table.name).is_some());
        let shape = crate::tree::TreeShape::of(table, schema.encoding);
        let _any = format!("{shape:?}");
    }
}
