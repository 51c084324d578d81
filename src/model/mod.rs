//! Plain data that every layer speaks: identifiers, values, rows and schemas. No I/O.

pub mod id;
pub mod row;
pub mod schema;
pub mod value;
