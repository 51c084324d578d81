//! Canonical values one by one (§7.2): what keys and split inputs are made of, and their weight.

use super::class;
use crate::format::FormatError;
use crate::format::bytes::{Fields, length_u32};
use crate::model::id::BlobId;
use crate::model::value::{LongClass, Spilled, Value, ValueRef};

/// Weight of a value for the splitter; §7.1.
pub fn weight(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Null => 1,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(v) | ValueRef::Blob(v) => 1 + v.len() as u64,
        ValueRef::Spilled(_) => 48,
    }
}

/// Appends the canonical bytes of one value: class, length of text and blobs, then the value.
/// Used for keys and for split inputs; §7.2.
pub fn append_value(value: ValueRef<'_>, out: &mut Vec<u8>) {
    let long = |class, v: &[u8], out: &mut Vec<u8>| {
        out.push(class);
        out.extend_from_slice(&length_u32(v.len()).to_le_bytes());
        out.extend_from_slice(v);
    };
    match value {
        ValueRef::Null => out.push(class::NULL),
        ValueRef::Integer(v) => {
            out.push(class::INTEGER);
            out.extend_from_slice(&v.to_le_bytes());
        }
        ValueRef::Real(v) => {
            out.push(class::REAL);
            out.extend_from_slice(&v.to_bits().to_le_bytes());
        }
        ValueRef::Text(v) => long(class::TEXT, v, out),
        ValueRef::Blob(v) => long(class::BLOB, v, out),
        ValueRef::Spilled(v) => {
            out.push(match v.class {
                LongClass::Text => class::SPILLED_TEXT,
                LongClass::Blob => class::SPILLED_BLOB,
            });
            out.extend_from_slice(&v.bytes.to_le_bytes());
            out.push(v.level);
            out.extend_from_slice(&v.root.0);
        }
    }
}

/// Reads values that `append_value` wrote one behind the other.
pub fn read_values(bytes: &[u8]) -> Result<Vec<Value>, FormatError> {
    let mut fields = Fields::new(bytes, "the values of a key");
    let mut values = Vec::new();
    while fields.left() > 0 {
        let class = fields.u8()?;
        let spilled = |class, fields: &mut Fields<'_>| {
            let (bytes, level, root) = (fields.u64()?, fields.u8()?, BlobId(fields.array()?));
            Ok::<_, FormatError>(Value::Spilled(Spilled {
                class,
                bytes,
                level,
                root,
            }))
        };
        values.push(match class {
            class::NULL => Value::Null,
            class::INTEGER => Value::Integer(fields.i64()?),
            class::REAL => Value::Real(f64::from_bits(fields.u64()?)),
            class::TEXT | class::BLOB => {
                let length = fields.u32()? as usize;
                let bytes = fields.bytes(length)?.to_vec();
                if class == class::TEXT {
                    Value::Text(bytes)
                } else {
                    Value::Blob(bytes)
                }
            }
            class::SPILLED_TEXT => spilled(LongClass::Text, &mut fields)?,
            class::SPILLED_BLOB => spilled(LongClass::Blob, &mut fields)?,
            _ => {
                return Err(FormatError::Invalid {
                    what: "a value's class",
                });
            }
        });
    }
    Ok(values)
}
