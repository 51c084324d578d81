//! Which row of the database a record means, and what became of the keys that records refer to. The
//! rules: docs/restore.md §2.

pub(super) mod beside;
pub(super) mod decide;
pub(super) mod keys;
pub(super) mod matcher;
pub(super) mod new_ids;
