//! What a repair does to a store: marks damaged packs, reads what can be had of them, and puts what was
//! had into new packs. Nothing is changed in place but small objects that have one right content.

mod marks;
mod packs;
mod records;
mod salvage;
mod search;

pub use marks::Marked;
pub use packs::HealedPacks;
pub use records::HealedRecord;
pub use salvage::{Salvage, WholeBy};
