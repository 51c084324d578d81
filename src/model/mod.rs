//! Plain data that every layer speaks: identifiers, values, rows and schemas. No I/O.

pub mod counted;
pub mod equal_form;
pub mod exported;
pub mod file_name;
pub mod finding;
pub mod fit;
pub mod id;
pub mod import_order;
pub mod process;
pub mod row;
pub mod schema;
pub mod text;
pub mod value;
