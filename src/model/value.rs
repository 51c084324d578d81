//! One SQLite value with its storage class, owned or borrowed, bit for bit as SQLite stores it.
//!
//! Text is bytes in the database's encoding: it may hold NUL and invalid UTF-8. A value over
//! [`SPILL_BYTES_OVER`] bytes leaves its row and stands there as a [`Spilled`] reference.

use super::id::BlobId;

/// Text and blobs longer than this leave their row; store-format.md, "Large values".
pub const SPILL_BYTES_OVER: usize = 16_384;

/// The two storage classes whose values have a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LongClass {
    /// Text, in the encoding of its database.
    Text,
    /// Bytes.
    Blob,
}

/// A large value that was moved out of its row: what stands in the row instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spilled {
    /// Storage class of the value.
    pub class: LongClass,
    /// Length of the whole value in bytes.
    pub bytes: u64,
    /// 0 if `root` is the only chunk, else the level of the chunk node `root`.
    pub level: u8,
    /// Root of the chunk tree.
    pub root: BlobId,
}

/// A value borrowed from a statement's current row or from a decoded leaf.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// SQL NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A real; SQLite stores no NaN. Compared here by value: use `to_bits` for identity.
    Real(f64),
    /// Text as bytes in the database's encoding.
    Text(&'a [u8]),
    /// A blob.
    Blob(&'a [u8]),
    /// A value that stands outside its row.
    Spilled(Spilled),
}

/// An owned value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A real, never NaN.
    Real(f64),
    /// Text as bytes in the database's encoding.
    Text(Vec<u8>),
    /// A blob.
    Blob(Vec<u8>),
    /// A value that stands outside its row.
    Spilled(Spilled),
}

impl Value {
    /// Borrows the value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Null => ValueRef::Null,
            Value::Integer(v) => ValueRef::Integer(*v),
            Value::Real(v) => ValueRef::Real(*v),
            Value::Text(v) => ValueRef::Text(v),
            Value::Blob(v) => ValueRef::Blob(v),
            Value::Spilled(v) => ValueRef::Spilled(*v),
        }
    }
}

impl ValueRef<'_> {
    /// Copies the value.
    pub fn to_owned(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(v) => Value::Integer(v),
            ValueRef::Real(v) => Value::Real(v),
            ValueRef::Text(v) => Value::Text(v.to_vec()),
            ValueRef::Blob(v) => Value::Blob(v.to_vec()),
            ValueRef::Spilled(v) => Value::Spilled(v),
        }
    }

    /// True if both are the same value of the same storage class, reals bit for bit.
    pub fn identical(self, other: ValueRef<'_>) -> bool {
        match (self, other) {
            (ValueRef::Real(a), ValueRef::Real(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }
}
