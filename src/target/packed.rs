//! Lists of values as bytes, for the plan's temporary tables: a class, then the value; texts and
//! blobs with their length. Written and read by one process only, so there is no version.

use crate::model::id::BlobId;
use crate::model::value::{LongClass, Spilled, Value, ValueRef};

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;
const LONG_TEXT: u8 = 5;
const LONG_BLOB: u8 = 6;

/// Appends a value.
fn push(out: &mut Vec<u8>, value: ValueRef<'_>) {
    let (class, bytes) = match value {
        ValueRef::Null => return out.push(NULL),
        ValueRef::Spilled(long) => {
            out.push(match long.class {
                LongClass::Text => LONG_TEXT,
                LongClass::Blob => LONG_BLOB,
            });
            out.extend(long.bytes.to_be_bytes());
            out.push(long.level);
            return out.extend(long.root.0);
        }
        ValueRef::Integer(v) => {
            out.push(INTEGER);
            return out.extend(v.to_be_bytes());
        }
        ValueRef::Real(v) => {
            out.push(REAL);
            return out.extend(v.to_bits().to_be_bytes());
        }
        ValueRef::Text(bytes) => (TEXT, bytes),
        ValueRef::Blob(bytes) => (BLOB, bytes),
    };
    out.push(class);
    out.extend((bytes.len() as u64).to_be_bytes());
    out.extend(bytes);
}

/// A list of values as bytes.
pub(super) fn pack<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        push(&mut out, value.as_ref());
    }
    out
}

/// The values of a list; `None` if the bytes are none.
pub(super) fn unpack(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while let Some((&class, rest)) = bytes.split_first() {
        bytes = rest;
        values.push(match class {
            NULL => Value::Null,
            INTEGER => Value::Integer(i64::from_be_bytes(eight(&mut bytes)?)),
            REAL => Value::Real(f64::from_bits(u64::from_be_bytes(eight(&mut bytes)?))),
            TEXT => Value::Text(counted(&mut bytes)?),
            BLOB => Value::Blob(counted(&mut bytes)?),
            LONG_TEXT => Value::Spilled(spilled(LongClass::Text, &mut bytes)?),
            LONG_BLOB => Value::Spilled(spilled(LongClass::Blob, &mut bytes)?),
            _ => return None,
        });
    }
    Some(values)
}

fn spilled(class: LongClass, bytes: &mut &[u8]) -> Option<Spilled> {
    let length = u64::from_be_bytes(eight(bytes)?);
    let (level, rest) = bytes.split_first()?;
    let (root, rest) = rest.split_first_chunk::<32>()?;
    *bytes = rest;
    Some(Spilled {
        class,
        bytes: length,
        level: *level,
        root: BlobId(*root),
    })
}

fn eight(bytes: &mut &[u8]) -> Option<[u8; 8]> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(*head)
}

fn counted(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u64::from_be_bytes(eight(bytes)?)).ok()?;
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let values = vec![
            Value::Null,
            Value::Integer(i64::MIN),
            Value::Real(-0.0),
            Value::Text(b"a\0\xff".to_vec()),
            Value::Blob(Vec::new()),
            Value::Spilled(Spilled {
                class: LongClass::Blob,
                bytes: 70_000,
                level: 1,
                root: BlobId([7; 32]),
            }),
        ];
        let bytes = pack(&values);
        let back = unpack(&bytes).unwrap();
        assert_eq!(back, values);
        assert!(matches!(back[2], Value::Real(v) if v.is_sign_negative()));
        for cut in [2, 12, bytes.len() - 1] {
            assert_ne!(unpack(&bytes[..cut]), Some(values.clone()));
        }
    }
}
