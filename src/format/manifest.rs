//! §10.1 Snapshot manifests: what a snapshot is. Creating this object is the commit.

use serde::{Deserialize, Serialize};

use super::config::FormatMark;
use super::{FormatError, limits};
use crate::model::finding::Finding;
use crate::model::id::{BlobId, SnapshotId};
use crate::model::schema::Settings;

/// A snapshot. Names blobs by id only, never by pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format it is written in.
    pub format: FormatMark,
    /// Features that a reader must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Its id; equal to the object's name.
    pub id: SnapshotId,
    /// The id under which the snapshot was first committed, if it was copied from another store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<SnapshotId>,
    /// Its name, unique among the visible snapshots of the store.
    pub name: String,
    /// When the source was read, RFC 3339 UTC.
    pub time: String,
    /// Name of the machine that made it.
    pub host: String,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The snapshot it is compared with, for the report and as a source of bases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    /// It was taken within a restore, of what the restore made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreMark>,
    /// What was backed up.
    pub source: Source,
    /// Settings of the database.
    pub settings: Settings,
    /// The schema blob.
    pub schema: BlobId,
    /// Entity files, in import order.
    pub entities: Vec<Entity>,
    /// SQLite's own tables and those behind virtual tables, in the same form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub internal: Vec<Entity>,
    /// The database's pages, where records alone do not make it again: the tree of a table of page
    /// numbers and contents (store-format.md §10.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<Entity>,
    /// The source is damaged: what could be read is here, and `findings` says what could not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub damaged: bool,
    /// What SQLite's own check said of the source; absent if it was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// Full-text indexes that were compared with the content they were made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub full_text: Vec<FullTextVerdict>,
    /// Foreign keys as they were found: those with violations, or that could not be checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKeyVerdict>,
    /// What was not carried, and facts that were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Bytes of packs that this backup, or this copy, added to the store.
    pub new_bytes: u64,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Absolute path with symbolic links resolved; of an export if the snapshot was imported.
    pub path: String,
    /// Name given with `--source-name`: then it, not the path, tells sources apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Length of the database file, or of the export's files.
    pub bytes: u64,
}

/// Says of a snapshot that it is a database as a restore left it, read before that restore counted.
/// What the restore changed is the difference between `before` and this snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreMark {
    /// The snapshot of the same database that was taken just before.
    pub before: SnapshotId,
    /// The snapshot whose records were restored; absent if a restore was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<SnapshotId>,
    /// The snapshot after the restore that was undone; absent if one was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<SnapshotId>,
    /// Tables that were written, or may have been. Others that both snapshots have are the same in both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// A table in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The table's name.
    pub entity: String,
    /// Name of its file in exports.
    pub file: String,
    /// Number of records.
    pub records: u64,
    /// Canonical bytes of its leaves.
    pub bytes: u64,
    /// Its tree; absent for a table without records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootRef>,
    /// Order in which references are satisfied.
    pub import_order: u32,
    /// Entities that it refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// Bytes of its largest value, if that is a large one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub largest_value: u64,
    /// What changed since the parent; absent if nothing did or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
}

/// Whether a full-text index fits its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullTextVerdict {
    /// The virtual table.
    pub table: String,
    /// What its module complained of; absent: it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
}

/// What SQLite's own check said of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Integrity {
    /// The pragma that was run.
    pub check: IntegrityCheck,
    /// What it complained of, the first [`Integrity::LINES_MAX`]; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<String>,
}

impl Integrity {
    /// Complaints that are kept.
    pub const LINES_MAX: usize = 100;
}

/// A pragma that checks a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrityCheck {
    /// Pages and records, not whether indexes agree with their tables.
    QuickCheck,
    /// Indexes as well.
    IntegrityCheck,
}

impl IntegrityCheck {
    /// The pragma's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::QuickCheck => "quick_check",
            Self::IntegrityCheck => "integrity_check",
        }
    }
}

/// What the entity of a database's pages is called: a table may be, too.
pub const PAGES_NAME: &str = "(pages)";

/// The root of a record tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRef {
    /// The leaf or node.
    pub id: BlobId,
    /// 0 for a leaf, else the node's level.
    #[serde(default, skip_serializing_if = "is_level_0")]
    pub level: u8,
    /// Rowid of the first record, in tables that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_rowid: Option<i64>,
    /// True if a leaf below holds a spilled value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_refs: bool,
}

/// Records that differ from the parent's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Records that the parent lacks.
    pub added: u64,
    /// Records of the same key with other values.
    pub changed: u64,
    /// Records that only the parent has.
    pub removed: u64,
}

impl Changes {
    /// True if nothing differs.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What was found about one foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKeyVerdict {
    /// The child table.
    pub table: String,
    /// SQLite's number of the key within its table.
    pub id: u32,
    /// The parent table as declared.
    pub parent: String,
    /// Records whose reference has no target.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub violations: u64,
    /// Why it could not be checked ("foreign key mismatch …").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_level_0(value: &u8) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Manifest {
    /// Refuses a manifest that is not `id`'s, of another format, beyond what a tree can be, or that
    /// says two things of one restore.
    pub fn check(&self, id: &SnapshotId) -> Result<(), FormatError> {
        self.format.check(&self.features)?;
        if self.id != *id {
            return Err(FormatError::Invalid {
                what: "the id in a manifest",
            });
        }
        let of_one = |mark: &RestoreMark| mark.of.is_some() != mark.undoes.is_some();
        if !self.restore.as_ref().is_none_or(of_one) {
            return Err(FormatError::Invalid {
                what: "the restore of a manifest",
            });
        }
        let sum = |of: fn(&Entity) -> u64| {
            self.all_tables()
                .try_fold(0_u64, |sum, entity| sum.checked_add(of(entity)))
        };
        if sum(|entity| entity.records).is_none() || sum(|entity| entity.bytes).is_none() {
            return Err(FormatError::Invalid {
                what: "the counts of a manifest",
            });
        }
        for entity in self.all_tables() {
            let level = entity.root.map_or(0, |root| root.level);
            super::bytes::check_limit(
                "levels of a tree",
                level.into(),
                limits::TREE_LEVELS_MAX.into(),
            )?;
            if entity.root.is_some() != (entity.records > 0) {
                return Err(FormatError::Invalid {
                    what: "the root of an entity",
                });
            }
        }
        Ok(())
    }

    /// The id under which the snapshot was first committed, in whatever store: all copies share it.
    pub fn first_id(&self) -> &SnapshotId {
        self.original.as_ref().unwrap_or(&self.id)
    }

    /// Entity files and internal tables.
    pub fn all_tables(&self) -> impl Iterator<Item = &Entity> {
        self.entities.iter().chain(&self.internal)
    }

    /// Records of all entity files.
    pub fn records(&self) -> u64 {
        self.entities.iter().map(|entity| entity.records).sum()
    }

    /// The entity of this name; SQLite compares names without ASCII case.
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities
            .iter()
            .find(|e| e.entity.eq_ignore_ascii_case(name))
    }

    /// What tells this snapshot's source from others: the name given to it, else host and path.
    pub fn source_key(&self) -> (Option<&str>, &str, &str) {
        match &self.source.name {
            Some(name) => (Some(name), "", ""),
            None => (None, &self.host, &self.source.path),
        }
    }
}
