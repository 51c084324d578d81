//! Promises of the library, one module each.

mod source_target;
