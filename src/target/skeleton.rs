//! A new database without rows: SQLite makes every table, index, view and trigger of it, and tells where their
//! trees begin. What larder then writes are the trees.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::btree::{Field, Geometry, IndexShape, KeyOrder, Part, Sorting, TableShape, Tree};
use super::error::TargetError;
use super::schema;
use crate::model::fit::Affinity;
use crate::model::row::Collation;
use crate::model::schema::{ColumnKind, ObjectKind, Schema, Settings, Table, TableKind};
use crate::model::text::TextEncoding;
use crate::progress::Finding;
use crate::sqlite::layout::{IndexColumn, IndexLayout, IndexValue, read_layout};
use crate::sqlite::quote::ident;
use crate::sqlite::schema::read_schema;
use crate::sqlite::{Connection, SqliteError};

/// What SQLite made.
#[derive(Debug)]
pub(super) struct Skeleton {
    /// The tables that wait for rows, in the order in which to fill them.
    pub tables: Vec<TableShape>,
    /// Indexes that only SQLite can fill: of some rows only, of expressions.
    pub left_out: Vec<String>,
    /// Objects that could not be made.
    pub missing: BTreeSet<(ObjectKind, String)>,
}

/// Makes the database in an empty file, and closes it.
///
/// Errors: `NeedsSql` for a table whose keys larder cannot order.
pub(super) fn make(
    file: &Path,
    place: &Path,
    settings: &Settings,
    schema: &Schema,
    (tables, skipped): (&[&Table], &BTreeSet<String>),
    findings: &mut Vec<Finding>,
) -> Result<Skeleton, TargetError> {
    let at = |cause: SqliteError| TargetError::of(place, "", cause);
    let db = Connection::open_scratch(file, false).map_err(at)?;
    schema::ensure_kinds(place, schema)?;
    schema::set_before_tables(&db, place, settings)?;
    schema::create_tables(&db, place, schema, skipped, &mut |_, error| Err(error))?;
    schema::keep_settings(&db, place, settings)?;
    let missing = schema::create_rest(&db, place, schema, findings)?;
    schema::add_virtual_tables(&db, place, schema)?;
    schema::set_numbers(&db, place, settings)?;
    let made = read_schema(&db).map_err(at)?.schema;
    let mut skeleton = Skeleton {
        tables: Vec::new(),
        left_out: Vec::new(),
        missing,
    };
    for table in tables {
        let of_table =
            |cause: SqliteError| TargetError::of(place, &format!("table {}", table.name), cause);
        if table.is_sqlites() {
            // SQLite may have put rows of its own there.
            let name = ident(&table.name).map_err(|e| of_table(e.into()))?;
            db.execute(&format!("DELETE FROM main.{name}"))
                .map_err(of_table)?;
        }
        ensure_described(&made, table)?;
        let layout = read_layout(&db, &table.name).map_err(of_table)?;
        let Some(layout) = layout else {
            return Err(TargetError::SchemaDiffers {
                path: place.to_owned(),
                what: format!("table {}", table.name),
            });
        };
        let shape = Shaping {
            schema,
            table,
            encoding: schema.encoding,
        };
        let shape = shape.of(layout.root, layout.indexes, &mut skeleton.left_out)?;
        skeleton.tables.push(shape);
    }
    db.close().map_err(at)?;
    Ok(skeleton)
}

/// A snapshot may say other things of a table than its text: then rows would be put where they do not belong.
fn ensure_described(made: &Schema, table: &Table) -> Result<(), TargetError> {
    let is_described = made.table(&table.name).is_some_and(|made| {
        (&made.columns, &made.kind, made.strict, &made.primary_key)
            == (
                &table.columns,
                &table.kind,
                table.strict,
                &table.primary_key,
            )
    });
    match is_described {
        true => Ok(()),
        false => Err(TargetError::NeedsSql {
            table: table.name.clone(),
            reason: "its columns are not those that the snapshot describes".to_owned(),
        }),
    }
}

/// How a table's trees are made of its records.
struct Shaping<'t> {
    schema: &'t Schema,
    table: &'t Table,
    encoding: TextEncoding,
}

impl Shaping<'_> {
    fn doubt(&self, reason: &str) -> TargetError {
        TargetError::NeedsSql {
            table: self.table.name.clone(),
            reason: reason.to_owned(),
        }
    }

    fn of(
        &self,
        root: u32,
        indexes: Vec<IndexLayout>,
        left_out: &mut Vec<String>,
    ) -> Result<TableShape, TargetError> {
        let (table_itself, indexes): (Vec<_>, Vec<_>) =
            indexes.into_iter().partition(|index| index.root.is_none());
        let (tree, columns) = match (&self.table.kind, table_itself.as_slice()) {
            (TableKind::Rowid { .. }, []) => (Tree::Table, self.stored_columns()),
            (TableKind::WithoutRowid, [key]) => (Tree::Index, self.columns_of(&key.columns)?),
            _ => return Err(self.doubt("its indexes are not as its kind asks for")),
        };
        let key = match table_itself.first() {
            Some(key) => self.key_order(key.key())?,
            None => Vec::new(),
        };
        if key.iter().any(|order| !order.is_known(self.encoding)) {
            return Err(self.doubt("how its primary key compares is not known here"));
        }
        let mut shapes = Vec::new();
        for index in indexes {
            match self.index(index, table_itself.first(), &columns)? {
                Ok(shape) => shapes.push(shape),
                Err(name) => left_out.push(name),
            }
        }
        let leaf: Vec<usize> = self.table.leaf_columns().collect();
        let field = |column: &usize| {
            let at = leaf.iter().position(|leaf| leaf == column);
            let declared = &self.table.columns[*column].declared_type;
            let affinity = Affinity::of(declared, self.table.strict);
            at.map_or(Field::Alias, |at| Field::Leaf(at, affinity))
        };
        Ok(TableShape {
            name: self.table.name.clone(),
            root,
            tree,
            fields: columns.iter().map(field).collect(),
            key,
            indexes: shapes,
        })
    }

    /// Columns with a value in each record of a table with rowids, the rowid's own included.
    fn stored_columns(&self) -> Vec<usize> {
        let is_stored =
            |kind: ColumnKind| matches!(kind, ColumnKind::Ordinary | ColumnKind::GeneratedStored);
        let columns = self.table.columns.iter().enumerate();
        columns
            .filter(|(_, column)| is_stored(column.kind))
            .map(|(at, _)| at)
            .collect()
    }

    fn columns_of(&self, columns: &[IndexColumn]) -> Result<Vec<usize>, TargetError> {
        let stored = self.stored_columns();
        let column = |column: &IndexColumn| match column.value {
            IndexValue::Column(at) if stored.contains(&at) => Ok(at),
            _ => Err(self.doubt("its primary key is not of stored columns alone")),
        };
        columns.iter().map(column).collect()
    }

    fn key_order<'c>(
        &self,
        columns: impl Iterator<Item = &'c IndexColumn>,
    ) -> Result<Vec<KeyOrder>, TargetError> {
        let order = |column: &IndexColumn| match &column.collation {
            // Where SQLite itself needs it, an index cannot be left to SQLite.
            Collation::Unknown(name) => {
                Err(self.doubt(&format!("collation {name} is not known here")))
            }
            collation => Ok(KeyOrder {
                collation: collation.clone(),
                descending: column.descending,
            }),
        };
        columns.map(order).collect()
    }

    /// The place of the value that must be there for a row to be in a partial index; `None` for any other
    /// condition than `WHERE column IS NOT NULL`.
    fn filter(&self, index: &str, columns: &[usize]) -> Option<usize> {
        let mut objects = self.schema.objects_of(ObjectKind::Index);
        let object = objects.find(|object| object.name.eq_ignore_ascii_case(index))?;
        let column = self
            .table
            .column_at(column_that_is_some(object.sql.as_deref()?)?)?;
        columns
            .iter()
            .position(|stored| *stored == column)
            .filter(|_| self.table.rowid_alias() != Some(column))
    }

    /// An index as it is built here, or the name of one that is not. `table`: the index that the table itself is.
    fn index(
        &self,
        index: IndexLayout,
        table: Option<&IndexLayout>,
        columns: &[usize],
    ) -> Result<Result<IndexShape, String>, TargetError> {
        let mut order = self.key_order(index.key())?;
        let key_columns = order.len();
        if !has_order_of_table(&index, table) {
            order.extend(self.key_order(index.behind_key())?);
        }
        let is_known = order.iter().all(|order| order.is_known(self.encoding));
        let alias = self.table.rowid_alias();
        let part = |column: &IndexColumn| match column.value {
            IndexValue::Rowid => Some(Part::Rowid),
            IndexValue::Column(at) if alias == Some(at) => Some(Part::Rowid),
            IndexValue::Column(at) => {
                let place = columns.iter().position(|column| *column == at)?;
                Some(Part::Field(place))
            }
            IndexValue::Expression => None,
        };
        let parts: Option<Vec<Part>> = index.columns.iter().map(part).collect();
        let filter = match index.partial {
            true => self.filter(&index.name, columns),
            false => None,
        };
        Ok(match (parts, index.root) {
            (Some(parts), Some(root)) if is_known && (!index.partial || filter.is_some()) => {
                Ok(IndexShape {
                    name: index.name,
                    root,
                    parts,
                    only_where_some: filter,
                    sorting: Sorting {
                        order,
                        key_columns,
                        unique: index.unique,
                        encoding: self.encoding,
                    },
                })
            }
            _ => Err(index.name),
        })
    }
}

/// False where rows whose keys are equal stand in another order in an index than in their table: the index of a
/// UNIQUE of a WITHOUT ROWID table has the rest of a descending primary key in ascending order
/// (<https://sqlite.org/src/info/bba7b69f9849b5bf>), that of a CREATE INDEX has not.
fn has_order_of_table(index: &IndexLayout, table: Option<&IndexLayout>) -> bool {
    let Some(table) = table else {
        return true;
    };
    index.behind_key().all(|column| {
        let mut of_table = table.key();
        of_table.any(|other| {
            (other.value, &other.collation, other.descending)
                == (column.value, &column.collation, column.descending)
        })
    })
}

/// The column of an index's text that ends with `WHERE column IS NOT NULL`, and with nothing more.
fn column_that_is_some(sql: &str) -> Option<&str> {
    if sql.contains("--") || sql.contains("/*") {
        // What looks like a condition may be said in a comment.
        return None;
    }
    // Behind the last parenthesis: that of the indexed columns, unless the condition has some.
    let (_, condition) = sql.rsplit_once(')')?;
    let words: Vec<&str> = condition.split_ascii_whitespace().collect();
    let [first, column, is, not, null] = words.as_slice() else {
        return None;
    };
    let said = [(first, "where"), (is, "is"), (not, "not"), (null, "null")];
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let quoted = column
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    let column = quoted.unwrap_or(column);
    let as_said = said
        .iter()
        .all(|(word, wanted)| word.eq_ignore_ascii_case(wanted));
    (as_said && is_name(column)).then_some(column)
}

/// What the header of the file says: SQLite file format, section 1.3 "The Database Header". Its pages, too;
/// `None` for a file without any.
pub(super) fn read_header(header: &[u8]) -> io::Result<Option<(Geometry, u32)>> {
    let Some(header) = header.first_chunk::<100>() else {
        return Ok(None);
    };
    let four = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => usize::from(bytes),
    };
    let geometry = Geometry {
        page,
        usable: page.saturating_sub(usize::from(header[20])),
        has_pointer_maps: four(52) != 0,
    };
    // Schema format 4: DESC counts, and 0 and 1 take no bytes. A database without a table has none yet.
    let is_usual = geometry.usable >= 480 && matches!(four(44), 0 | 4);
    match is_usual {
        true => Ok(Some((geometry, four(28)))),
        false => Err(io::Error::other("SQLite made a file of an unknown form")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plainest_condition_of_an_index_is_understood() {
        let of = |condition: &str| {
            let sql = format!("CREATE INDEX i ON t(a, lower(b)) {condition}");
            column_that_is_some(&sql).map(str::to_owned)
        };
        for plain in ["WHERE a IS NOT NULL", "where\n \"a\" is not\tnull "] {
            assert_eq!(of(plain).as_deref(), Some("a"), "{plain}");
        }
        for other in [
            "",
            "WHERE a IS NULL",
            "WHERE a IS NOT NULL AND b",
            "WHERE (a) IS NOT NULL",
            "WHERE a IS NOT NULL --",
            "WHERE 'a' IS NOT NULL",
            "WHERE \"a\"\"b\" IS NOT NULL",
            "WHERE a/**/IS NOT NULL",
            "WHERE a NOTNULL",
            "WHERE b > 0 -- ) WHERE a IS NOT NULL",
            "WHERE b > 0 /* ) WHERE a IS NOT NULL",
            "WHERE b = ') WHERE a IS NOT NULL'",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
