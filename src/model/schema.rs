//! A database's schema as it was read: objects verbatim, tables with their columns and keys.
//!
//! These types are stored as the schema blob (store-format.md §10.2): field names are part of the
//! format. Column positions are those of `PRAGMA table_xinfo`.

use serde::{Deserialize, Serialize};

use super::row::Collation;
use super::text::TextEncoding;

/// What kind of object an entry of `sqlite_schema` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// An ordinary or virtual table.
    Table,
    /// An index.
    Index,
    /// A view.
    View,
    /// A trigger.
    Trigger,
}

/// An entry of `sqlite_schema`, without its root page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaObject {
    /// Kind of the object.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// The table it belongs to.
    pub table: String,
    /// Its text, verbatim; `None` only in a database whose schema was tampered with.
    pub sql: Option<String>,
}

/// What the text of a virtual table begins with; SQLite writes it so, whatever was typed.
const VIRTUAL: &str = "CREATE VIRTUAL TABLE";

impl SchemaObject {
    /// True for a virtual table.
    pub fn is_virtual(&self) -> bool {
        let start = self.sql.as_deref().and_then(|sql| sql.get(..VIRTUAL.len()));
        self.kind == ObjectKind::Table && start.is_some_and(|s| s.eq_ignore_ascii_case(VIRTUAL))
    }

    /// The module of a virtual table, in lower case; `None` for anything else.
    pub fn module(&self) -> Option<String> {
        if !self.is_virtual() {
            return None;
        }
        let mut words = Words(self.sql.as_deref()?.as_bytes());
        words.find(|word| word.eq_ignore_ascii_case(b"using"))?;
        let module = String::from_utf8_lossy(words.next()?).to_ascii_lowercase();
        Some(module)
    }

    /// Its place among the groups of a schema blob; store-format.md §10.2.
    ///
    /// Kinds alone would not do: VACUUM moves virtual tables behind ordinary ones.
    pub fn group(&self) -> u8 {
        match self.kind {
            ObjectKind::Table if self.name.eq_ignore_ascii_case("sqlite_sequence") => 2,
            ObjectKind::Table if self.is_virtual() => 1,
            ObjectKind::Table => 0,
            ObjectKind::Index => 3,
            ObjectKind::View => 4,
            ObjectKind::Trigger => 5,
        }
    }
}

/// The words of an SQL text, without quotes, comments and signs between them. Quoted
/// names are passed over.
pub(crate) struct Words<'a>(pub &'a [u8]);

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some(&first) = self.0.first() {
            let rest = self.0;
            let length = match first {
                b'\'' | b'"' | b'`' => quoted_bytes(rest, first),
                b'[' => quoted_bytes(rest, b']'),
                b'-' if rest.starts_with(b"--") => until(&rest[2..], b"\n") + 2,
                b'/' if rest.starts_with(b"/*") => until(&rest[2..], b"*/") + 2,
                b if is_word(b) => rest.iter().take_while(|&&b| is_word(b)).count(),
                _ => 1,
            };
            let (word, after) = rest.split_at(length.min(rest.len()));
            self.0 = after;
            if is_word(first) {
                return Some(word);
            }
        }
        None
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Length up to and with the closing quote. A doubled quote ends one and begins the next: the same
/// for our purpose.
fn quoted_bytes(text: &[u8], close: u8) -> usize {
    text.iter()
        .skip(1)
        .position(|&b| b == close)
        .map_or(text.len(), |at| at + 2)
}

fn until(text: &[u8], end: &[u8]) -> usize {
    text.windows(end.len())
        .position(|w| w == end)
        .map_or(text.len(), |at| at + end.len())
}

/// How a table's records are identified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// A rowid table.
    Rowid {
        /// Position of the INTEGER PRIMARY KEY column, which is the rowid, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alias: Option<u32>,
        /// A name under which the rowid can be reached; `None` if columns hide all three.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rowid_name: Option<String>,
    },
    /// A WITHOUT ROWID table: ordered by its primary key.
    WithoutRowid,
    /// A virtual table: it has no records of its own.
    Virtual,
}

/// Whether and how a column's value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// An ordinary column.
    #[default]
    Ordinary,
    /// Computed when read; never stored.
    GeneratedVirtual,
    /// Computed when written; stored, but cannot be inserted.
    GeneratedStored,
    /// A hidden column of a virtual table.
    Hidden,
}

impl ColumnKind {
    fn is_ordinary(&self) -> bool {
        *self == Self::Ordinary
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Declared type, verbatim; empty if none.
    pub declared_type: String,
    /// Declared NOT NULL.
    #[serde(default, skip_serializing_if = "is_false")]
    pub not_null: bool,
    /// Text of the DEFAULT expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether and how it is stored.
    #[serde(default, skip_serializing_if = "ColumnKind::is_ordinary")]
    pub kind: ColumnKind,
}

/// A column of a key, with its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumn {
    /// Position of the column.
    pub column: u32,
    /// How texts compare.
    pub collation: Collation,
    /// Larger first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub descending: bool,
}

/// A UNIQUE key over columns only (no expressions, not partial).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueKey {
    /// Name of its index.
    pub index: String,
    /// Its columns.
    pub columns: Vec<KeyColumn>,
}

/// A declared reference to a parent table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// SQLite's number of it within its table.
    pub id: u32,
    /// Name of the parent table as declared.
    pub parent: String,
    /// Child column and parent column; `None` stands for the parent's primary key.
    pub columns: Vec<(String, Option<String>)>,
    /// ON UPDATE action.
    pub on_update: String,
    /// ON DELETE action.
    pub on_delete: String,
}

/// A table as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Name.
    pub name: String,
    /// How its records are identified.
    pub kind: TableKind,
    /// Declared STRICT.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
    /// A virtual table keeps its data in it, as the virtual table's module says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow: bool,
    /// Declared AUTOINCREMENT.
    #[serde(default, skip_serializing_if = "is_false")]
    pub autoincrement: bool,
    /// All columns, in `table_xinfo` order.
    pub columns: Vec<Column>,
    /// Primary key; empty if none is declared. Order and collations as its index has them.
    pub primary_key: Vec<KeyColumn>,
    /// Other unique keys, in index order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_keys: Vec<UniqueKey>,
    /// Declared references, in SQLite's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
}

impl Table {
    /// Positions of the columns that a leaf holds, in order: ordinary and stored generated ones,
    /// without the rowid alias (its value *is* the rowid). store-format.md §8.1.
    pub fn leaf_columns(&self) -> impl Iterator<Item = usize> + '_ {
        let alias = self.rowid_alias();
        self.columns
            .iter()
            .enumerate()
            .filter_map(move |(at, column)| {
                let stored = matches!(
                    column.kind,
                    ColumnKind::Ordinary | ColumnKind::GeneratedStored
                );
                (stored && alias != Some(at)).then_some(at)
            })
    }

    /// Position of the column that is the rowid, if there is one.
    pub fn rowid_alias(&self) -> Option<usize> {
        match self.kind {
            TableKind::Rowid { alias, .. } => alias.map(|at| at as usize),
            _ => None,
        }
    }

    /// A name by which statements reach the rowid; `None` if there is none.
    pub fn rowid_name(&self) -> Option<&str> {
        match &self.kind {
            TableKind::Rowid { rowid_name, .. } => rowid_name.as_deref(),
            _ => None,
        }
    }

    /// The column by which statements reach the rowid; `None` if there is no rowid or no way to it.
    pub fn rowid_column(&self) -> Option<&str> {
        match self.rowid_alias() {
            Some(at) => self.columns.get(at).map(|column| column.name.as_str()),
            None => self.rowid_name(),
        }
    }

    /// True for a rowid table whose rowid has no name left: rows are carried, rowids are not.
    pub fn hides_rowid(&self) -> bool {
        matches!(self.kind, TableKind::Rowid { .. }) && self.rowid_column().is_none()
    }

    /// Collations of the primary key that larder does not know, by name.
    pub fn unknown_collations(&self) -> impl Iterator<Item = &str> {
        self.primary_key
            .iter()
            .filter_map(|key| match &key.collation {
                Collation::Unknown(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// Tables that no person made: SQLite's own and those behind virtual tables. They are carried,
    /// but never entity files.
    pub fn is_internal(&self) -> bool {
        self.shadow || self.is_sqlites()
    }

    /// SQLite's own tables: `sqlite_sequence`, `sqlite_stat1` …
    pub fn is_sqlites(&self) -> bool {
        self.name
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
    }

    /// Position of the column of this name; SQLite compares names without ASCII case.
    pub fn column_at(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|c| c.name.eq_ignore_ascii_case(name))
    }
}

/// A whole schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// How the database's texts are written.
    #[serde(default, skip_serializing_if = "TextEncoding::is_utf8")]
    pub encoding: TextEncoding,
    /// Objects by `SchemaObject::group`, within a group in creation order; without the automatic
    /// indexes of keys, which come with their tables.
    /// VACUUM changes how the groups interleave, never the order within one.
    pub objects: Vec<SchemaObject>,
    /// What was read of every table, in the order of `objects`.
    pub tables: Vec<Table>,
}

impl Schema {
    /// The table of this name; SQLite compares names without ASCII case.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|t| t.name.eq_ignore_ascii_case(name))
    }

    /// Virtual tables that are full-text indexes, each with its module.
    pub fn full_text_tables(&self) -> Vec<(String, String)> {
        let of_full_text = |object: &SchemaObject| {
            let module = object.module()?;
            let is_one = matches!(module.as_str(), "fts3" | "fts4" | "fts5");
            is_one.then(|| (object.name.clone(), module))
        };
        self.objects.iter().filter_map(of_full_text).collect()
    }

    /// The objects of one kind, in creation order.
    pub fn objects_of(&self, kind: ObjectKind) -> impl Iterator<Item = &SchemaObject> {
        self.objects.iter().filter(move |o| o.kind == kind)
    }
}

/// Settings of a database that no record holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Bytes a page.
    pub page_size: u32,
    /// How its texts are written.
    pub encoding: TextEncoding,
    /// 0 none, 1 full, 2 incremental.
    pub auto_vacuum: u32,
    /// The application's schema version.
    pub user_version: i32,
    /// The application's file type.
    pub application_id: i32,
    /// `wal` or `delete`: the part of it that a file keeps.
    pub journal_mode: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders of one schema before and after VACUUM, as SQLite 3.54 gives them: by kind alone they
    /// differ, by group they do not.
    #[test]
    fn vacuum_leaves_the_order_of_objects_as_it_is() {
        let object = |kind, name: &str, sql: Option<&str>| SchemaObject {
            kind,
            name: name.to_owned(),
            table: "a".to_owned(),
            sql: sql.map(str::to_owned),
        };
        let virtual_table = object(
            ObjectKind::Table,
            "f",
            Some("CREATE VIRTUAL TABLE f USING fts5(x)"),
        );
        let table = object(ObjectKind::Table, "a", Some("CREATE TABLE a(x UNIQUE)"));
        let index = object(ObjectKind::Index, "i", Some("CREATE INDEX i ON a(x)"));
        let view = object(ObjectKind::View, "v", Some("CREATE VIEW v AS SELECT 1"));
        let mut before = [&virtual_table, &table, &index, &view];
        let mut after = [&table, &index, &virtual_table, &view];
        before.sort_by_key(|object| object.group());
        after.sort_by_key(|object| object.group());
        assert_eq!(before, after);
    }
}
