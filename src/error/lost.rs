//! Records of a snapshot that cannot be read, and the error of a restore that would lack them.

use std::path::PathBuf;

use crate::model::counted::{count, counted};

/// Records that lie below a blob that is damaged or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRecords {
    /// The table.
    pub table: String,
    /// Number of records.
    pub records: u64,
    /// Ordinal of the first of them in the table, from 0.
    pub first_ordinal: u64,
    /// Their first and last id, where the rowid is a column of the table and is known.
    pub ids: Option<(i64, i64)>,
    /// Of a table whose rows are known by keys, the key of the record before the first of them, for people,
    /// if it is known.
    pub after_key: Option<String>,
    /// The key of the last of them, likewise.
    pub last_key: Option<String>,
    /// The blob: kind and id.
    pub blob: (&'static str, String),
    /// What is wrong with it.
    pub cause: String,
}

impl LostRecords {
    /// Which they are, for people: `records with id 40961 to 41870`, `records 1 to 412`, counted from 1,
    /// `records 413 to 800, with keys after "de", to "fr"`.
    pub fn range(&self) -> String {
        let first = self.first_ordinal.saturating_add(1);
        let last = self.first_ordinal.saturating_add(self.records);
        let ordinals = match self.ids {
            Some((first, last)) if first == last => return format!("the record with id {first}"),
            Some((first, last)) => return format!("records with id {first} to {last}"),
            None if first == last => format!("record {first}"),
            None => format!("records {first} to {last}"),
        };
        match (&self.after_key, &self.last_key) {
            (None, Some(key)) if first == last => format!("{ordinals}, with the key {key}"),
            (Some(after), Some(last)) => format!("{ordinals}, with keys after {after}, to {last}"),
            (Some(after), None) => format!("{ordinals}, with keys after {after}"),
            (None, Some(last)) => format!("{ordinals}, with keys to {last}"),
            (None, None) => ordinals,
        }
    }
}

/// A snapshot that cannot be restored whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotWhole {
    /// Its name.
    pub snapshot: String,
    /// The new file that was to be made; `None`: its records were to go into a database that exists.
    pub target: Option<PathBuf>,
    /// Records it has.
    pub records: u64,
    /// What of it cannot be read.
    pub lost: NotWholePart,
}

/// What of a snapshot cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWholePart {
    /// Its schema: without it nothing of the snapshot is known. Why it cannot be read.
    Schema(String),
    /// Records, in the order of the snapshot; not empty.
    Records(Vec<LostRecords>),
    /// Pages of the database, which is to be made from them; not empty.
    Pages(Vec<LostRecords>),
}

impl std::fmt::Display for NotWhole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sum = |lost: &[LostRecords]| lost.iter().map(|lost| lost.records).sum::<u64>();
        write!(f, "snapshot {} cannot be restored", self.snapshot)?;
        match &self.lost {
            NotWholePart::Schema(cause) => write!(
                f,
                ": its schema cannot be read, and without it nothing of it can ({cause})"
            )?,
            NotWholePart::Records(lost) => write!(
                f,
                " whole: {} of its {} are damaged or missing{}",
                count(sum(lost)),
                counted(self.records, "record"),
                first_of(lost)
            )?,
            NotWholePart::Pages(lost) => write!(
                f,
                " from its pages: {} of them are damaged or missing{}",
                count(sum(lost)),
                first_of(lost)
            )?,
        }
        write!(f, "; nothing was written")
    }
}

/// `: orders, records with id 1 to 40 (leaf 4b2e…: cause), and 2 more ranges`
fn first_of(lost: &[LostRecords]) -> String {
    let Some(first) = lost.first() else {
        return String::new();
    };
    let (kind, id) = &first.blob;
    let more = match lost.len() as u64 - 1 {
        0 => String::new(),
        n => format!(", and {}", counted(n, "more range")),
    };
    let LostRecords { table, cause, .. } = first;
    format!(": {table}, {} ({kind} {id}: {cause}){more}", first.range())
}
