//! §7 Nodes of a record tree, and the constants by which trees are cut.

use super::bytes::{Fields, check_limit, length_u32};
use super::{FormatError, limits};
use crate::codec::hash::StoreHash;
use crate::model::id::BlobId;
use crate::model::value::ValueRef;

/// Weight at which a leaf is expected to close. Frozen: equal tables have equal roots everywhere.
pub const LEAF_TARGET_WEIGHT: u64 = 128 << 10;
/// A leaf of less weight never closes, but at the end of its table.
pub const LEAF_MIN_WEIGHT: u64 = LEAF_TARGET_WEIGHT / 4;
/// A leaf of this weight closes in any case.
pub const LEAF_MAX_WEIGHT: u64 = LEAF_TARGET_WEIGHT * 4;
/// What a row weighs beside its values.
pub const ROW_WEIGHT: u64 = 8;
/// Children at which a node is expected to close.
pub const NODE_TARGET_CHILDREN: u32 = 128;
/// A node of fewer children never closes, but at the end of its table.
pub const NODE_MIN_CHILDREN: u32 = 16;

const _: () = assert!(LEAF_MIN_WEIGHT < LEAF_TARGET_WEIGHT && LEAF_TARGET_WEIGHT < LEAF_MAX_WEIGHT);
const _: () = assert!(
    NODE_MIN_CHILDREN < NODE_TARGET_CHILDREN && NODE_TARGET_CHILDREN < limits::NODE_CHILDREN_MAX
);

/// Where a child lies in its tree's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// First and last rowid.
    Rowids {
        /// First rowid below the child.
        first: i64,
        /// Last rowid below the child.
        last: i64,
    },
    /// The last key below the child, as `NodeKey` bytes.
    Key(NodeKey),
    /// A table whose rowid cannot be reached: rows are known by their place only.
    Place,
}

impl Span {
    /// The last rowid, where rows have one.
    pub fn last_rowid(&self) -> Option<i64> {
        match self {
            Self::Rowids { last, .. } => Some(*last),
            _ => None,
        }
    }
}

/// The canonical bytes of a key, or the beginning of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeKey {
    /// At most 1,024 bytes of the key's canonical form (§7.2).
    pub bytes: Vec<u8>,
    /// Length and digest of the whole canonical form, if `bytes` is only its beginning.
    pub cut: Option<(u64, [u8; 32])>,
}

impl NodeKey {
    /// The key whose canonical form is `canonical`.
    pub fn new(hash: StoreHash, canonical: &[u8]) -> Self {
        if canonical.len() <= limits::NODE_KEY_BYTES_MAX {
            return Self {
                bytes: canonical.to_vec(),
                cut: None,
            };
        }
        Self {
            bytes: canonical[..limits::NODE_KEY_BYTES_MAX].to_vec(),
            cut: Some((canonical.len() as u64, hash.split_digest(canonical))),
        }
    }
}

/// The canonical form of a key: its values one after the other.
pub fn key_canonical<'a>(values: impl Iterator<Item = ValueRef<'a>>, out: &mut Vec<u8>) {
    out.clear();
    values.for_each(|value| super::leaf::append_value(value, out));
}

/// A child of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The leaf or node.
    pub id: BlobId,
    /// Rows below it.
    pub rows: u64,
    /// Canonical bytes of the leaves below it.
    pub bytes: u64,
    /// True if a leaf below it holds a spilled value.
    pub has_refs: bool,
    /// Where it lies.
    pub span: Span,
}

/// A node above leaves (level 1) or nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// 1 if the children are leaves, else one more than theirs.
    pub level: u8,
    /// The children, in order; at least 1.
    pub children: Vec<Child>,
}

/// Children lie between two rowids.
pub const SPAN_ROWIDS: u8 = 0;
/// Children end at a key.
pub const SPAN_KEY: u8 = 1;
/// Nothing is known of children but their place.
pub const SPAN_PLACE: u8 = 2;
/// Flag of a child: spilled values below it.
pub const HAS_REFS: u8 = 1;
/// Flag of a child: its key is only the beginning.
pub const KEY_CUT: u8 = 2;

impl Node {
    /// The canonical form, which is also how it lies in a pack.
    ///
    /// Level (1 byte), kind of span (1), count (4); then per child: id (32), rows (8), bytes (8),
    /// flags (1), span: two rowids (16), or key length (2), key, and if cut its length (8) and
    /// digest (32), or nothing.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(6 + self.children.len() * 65);
        out.push(self.level);
        out.push(self.span_kind());
        out.extend_from_slice(&length_u32(self.children.len()).to_le_bytes());
        for child in &self.children {
            child.encode(&mut out);
        }
        out
    }

    /// How it says where its children lie.
    pub fn span_kind(&self) -> u8 {
        match self.children.first().map(|child| &child.span) {
            Some(Span::Key(_)) => SPAN_KEY,
            Some(Span::Place) => SPAN_PLACE,
            _ => SPAN_ROWIDS,
        }
    }

    /// Reads a canonical form. Order and counts are the tree's business.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, "a node");
        let level = fields.u8()?;
        check_limit(
            "the level of a node",
            u64::from(level),
            u64::from(limits::TREE_LEVELS_MAX),
        )?;
        let span = fields.u8()?;
        let count = fields.u32()?;
        check_limit(
            "children of a node",
            u64::from(count),
            u64::from(limits::NODE_CHILDREN_MAX),
        )?;
        if level == 0 || count == 0 {
            return Err(FormatError::Invalid {
                what: "a node without level or children",
            });
        }
        let children = (0..count)
            .map(|_| Child::decode(&mut fields, span))
            .collect::<Result<Vec<_>, FormatError>>()?;
        fields.end()?;
        Ok(Self { level, children })
    }
}

impl Child {
    /// Appends the entry of a node.
    pub(in crate::format) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        self.encode_tail(out);
    }

    /// Appends flags and span.
    pub(in crate::format) fn encode_tail(&self, out: &mut Vec<u8>) {
        let cut = match &self.span {
            Span::Key(key) => key.cut,
            _ => None,
        };
        let refs = if self.has_refs { HAS_REFS } else { 0 };
        out.push(refs | if cut.is_some() { KEY_CUT } else { 0 });
        match &self.span {
            Span::Rowids { first, last } => {
                out.extend_from_slice(&first.to_le_bytes());
                out.extend_from_slice(&last.to_le_bytes());
            }
            Span::Key(key) => {
                debug_assert!(key.bytes.len() <= limits::NODE_KEY_BYTES_MAX);
                let length = u16::try_from(key.bytes.len()).unwrap_or(u16::MAX);
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(&key.bytes);
                if let Some((length, digest)) = cut {
                    out.extend_from_slice(&length.to_le_bytes());
                    out.extend_from_slice(&digest);
                }
            }
            Span::Place => {}
        }
    }

    /// Reads the entry of a node whose spans are of this kind.
    pub(in crate::format) fn decode(
        fields: &mut Fields<'_>,
        span: u8,
    ) -> Result<Self, FormatError> {
        let mut child = Self {
            id: BlobId(fields.array()?),
            rows: fields.u64()?,
            bytes: fields.u64()?,
            has_refs: false,
            span: Span::Place,
        };
        if child.rows == 0 {
            return Err(FormatError::Invalid {
                what: "a child of a node",
            });
        }
        child.decode_tail(fields, span)?;
        Ok(child)
    }

    /// Reads flags and span.
    pub(in crate::format) fn decode_tail(
        &mut self,
        fields: &mut Fields<'_>,
        span: u8,
    ) -> Result<(), FormatError> {
        let flags = fields.u8()?;
        let known = if span == SPAN_KEY {
            HAS_REFS | KEY_CUT
        } else {
            HAS_REFS
        };
        if flags & !known != 0 {
            return Err(FormatError::Invalid {
                what: "a child of a node",
            });
        }
        self.has_refs = flags & HAS_REFS != 0;
        self.span = match span {
            SPAN_ROWIDS => {
                let (first, last) = (fields.i64()?, fields.i64()?);
                if first > last {
                    return Err(FormatError::Invalid {
                        what: "the rowids of a child",
                    });
                }
                Span::Rowids { first, last }
            }
            SPAN_KEY => {
                let length = usize::from(fields.u16()?);
                check_limit(
                    "a key in a node",
                    length as u64,
                    limits::NODE_KEY_BYTES_MAX as u64,
                )?;
                let bytes = fields.bytes(length)?.to_vec();
                let cut = match flags & KEY_CUT {
                    0 => None,
                    _ => Some((fields.u64()?, fields.array()?)),
                };
                Span::Key(NodeKey { bytes, cut })
            }
            SPAN_PLACE => Span::Place,
            _ => {
                return Err(FormatError::Invalid {
                    what: "the kind of a node's spans",
                });
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(span: impl Fn(i64) -> Span) -> Node {
        let children = (0..3)
            .map(|at| Child {
                id: BlobId([7; 32]),
                rows: 5,
                bytes: 500,
                has_refs: at == 1,
                span: span(at),
            })
            .collect();
        Node { level: 2, children }
    }

    #[test]
    fn nodes_come_back_and_cut_ones_are_refused() {
        let long = vec![1; 5000];
        let spans: [&dyn Fn(i64) -> Span; 4] = [
            &|at| Span::Rowids {
                first: at * 10,
                last: at * 10 + 9,
            },
            &|at| {
                Span::Key(NodeKey {
                    bytes: vec![0; at as usize],
                    cut: None,
                })
            },
            &|_| Span::Key(NodeKey::new(StoreHash::unkeyed(), &long)),
            &|_| Span::Place,
        ];
        for span in spans {
            let node = node(span);
            let bytes = node.encode();
            assert_eq!(Node::decode(&bytes).unwrap(), node);
            for cut in 0..bytes.len() {
                assert!(Node::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }
}
