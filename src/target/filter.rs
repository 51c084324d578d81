//! Which records an SQL expression holds for. Each stands for a moment in a table of the stored text,
//! in a temporary database, so names, affinities and collations are the table's own.

use std::io;
use std::path::{Path, PathBuf};

use super::columns::collation_name;
use super::error::TargetError;
use super::writer::{SpilledContent, TableWriter, load};
use crate::model::row::{Collation, RowRef};
use crate::model::schema::{ColumnKind, ObjectKind, Schema, Table};
use crate::model::text::TextEncoding;
use crate::model::value::{Spilled, Value, ValueRef};
use crate::sqlite::Connection;
use crate::sqlite::quote::ident;

/// A temporary database for one table's records.
pub struct FilterTable {
    db: Connection,
    path: PathBuf,
}

/// The records of one table for which an expression holds.
pub struct Filter<'f> {
    db: &'f Connection,
    path: &'f PathBuf,
    table: &'f Table,
    writer: TableWriter<'f>,
    /// Whether the expression may read a leaf column.
    reads: Vec<bool>,
    ask: String,
    empty: String,
    parameters: Vec<Value>,
}

impl FilterTable {
    /// For a table of this schema.
    ///
    /// Errors: `Unsupported` if this SQLite cannot make the table.
    pub fn new(path: &Path, schema: &Schema, table: &Table) -> Result<Self, TargetError> {
        let at = |e| TargetError::of(path, "temporary database", e);
        let path = path.to_owned();
        let db = Connection::open_cache(None).map_err(at)?;
        db.execute(&format!("PRAGMA encoding='{}'", schema.encoding.name()))
            .map_err(at)?;
        db.execute("BEGIN").map_err(at)?;
        db.pragma("ignore_check_constraints", 1).map_err(at)?;
        let mut texts = schema.objects_of(ObjectKind::Table);
        let text = texts.find(|object| object.name == table.name);
        let made = text.and_then(|object| object.sql.as_deref());
        let made = made.map_or(Ok(()), |sql| db.create(sql));
        made.map_err(|e| TargetError::Unsupported {
            path: path.clone(),
            what: format!("an expression over table {}: {}", table.name, e.message),
        })?;
        Ok(Self { db, path })
    }

    /// Looks at what SQLite computes of the table's rows, their texts in this encoding. `None` if it computes
    /// nothing that is stored.
    pub fn computed<'f>(
        &'f self,
        table: &'f Table,
        encoding: TextEncoding,
    ) -> Result<Option<Computed<'f>>, TargetError> {
        let is_stored = |c: &crate::model::schema::Column| c.kind == ColumnKind::GeneratedStored;
        if !table.columns.iter().any(is_stored) {
            return Ok(None);
        }
        let name = ident(&table.name);
        let name = name.map_err(|e| TargetError::of(&self.path, &table.name, e.into()))?;
        Ok(Some(Computed {
            db: &self.db,
            path: &self.path,
            writer: TableWriter::new(&self.db, &self.path, table, encoding)?,
            empty: format!("DELETE FROM main.{name}"),
        }))
    }

    /// An expression over the table's columns, with parameters from `?1` on.
    ///
    /// Errors: `BadExpression` with what SQLite says of it.
    pub fn filter<'f>(
        &'f self,
        table: &'f Table,
        expression: &str,
        parameters: Vec<Value>,
    ) -> Result<Filter<'f>, TargetError> {
        let bad = |reason: String| TargetError::BadExpression {
            expression: expression.to_owned(),
            table: table.name.clone(),
            reason,
        };
        let name = ident(&table.name).map_err(|e| bad(e.to_string()))?;
        // Alone first: brackets around it would hide that it closes one too many.
        let alone = format!("SELECT 1 FROM main.{name} WHERE {expression}\n");
        drop(self.db.prepare(&alone).map_err(|e| bad(e.message))?);
        let ask = format!("SELECT 1 FROM main.{name} WHERE ({expression}\n)");
        let prepared = self.db.prepare(&ask).map_err(|e| bad(e.message))?;
        if !prepared.is_readonly() {
            return Err(bad("it writes".to_owned()));
        }
        drop(prepared);
        // A generated column may read any other.
        let is_generated = |c: &crate::model::schema::Column| c.kind != ColumnKind::Ordinary;
        let has_generated = table.columns.iter().any(is_generated);
        let lower = expression.to_ascii_lowercase();
        let may_read = |at: usize| {
            let column = table.columns[at].name.to_ascii_lowercase();
            // A name may be written in other ways than its own.
            let is_plain = column.chars().all(|c| c.is_alphanumeric() || c == '_');
            has_generated || !is_plain || lower.contains(&column)
        };
        Ok(Filter {
            db: &self.db,
            path: &self.path,
            table,
            writer: TableWriter::new(&self.db, &self.path, table, TextEncoding::Utf8)?,
            reads: table.leaf_columns().map(may_read).collect(),
            ask,
            empty: format!("DELETE FROM main.{name}"),
            parameters,
        })
    }
}

/// An expression that holds where columns have the values of parameters, from `?first` on: texts, which a
/// column takes for numbers if it holds one. Without a collation, texts compare as the column says.
pub fn equal_to(columns: &[(&str, Option<&Collation>)], first: usize) -> Option<String> {
    let mut terms = Vec::new();
    for (n, (column, collation)) in columns.iter().enumerate() {
        let (column, parameter) = (ident(column).ok()?, first + n);
        let collate = match collation {
            Some(collation) => format!(" COLLATE {}", ident(collation_name(collation)).ok()?),
            None => String::new(),
        };
        terms.push(format!(
            "({column} = ?{parameter}{collate} OR (typeof({column}) IN ('integer', 'real') \
             AND CAST(CAST(?{parameter} AS NUMERIC) AS TEXT) = ?{parameter} \
             AND {column} = CAST(?{parameter} AS NUMERIC)))"
        ));
    }
    Some(format!("({})", terms.join(" AND ")))
}

/// Rows of one table whose stored columns are computed anew.
pub struct Computed<'f> {
    db: &'f Connection,
    path: &'f Path,
    writer: TableWriter<'f>,
    empty: String,
}

impl Computed<'_> {
    /// Looks at a row. One with a large value is passed over: that would have to be read; one that the table
    /// refuses is not for this to tell.
    pub fn look_at(&mut self, row: RowRef<'_>) -> Result<(), TargetError> {
        let is_large = |value: &ValueRef<'_>| matches!(value, ValueRef::Spilled(_));
        if row.values.iter().any(is_large) {
            return Ok(());
        }
        match self.writer.row(row, &mut Nothing) {
            Ok(()) | Err(TargetError::Constraint { .. }) => {}
            Err(error) => return Err(error),
        }
        let at = |e| TargetError::of(self.path, "temporary database", e);
        self.db.execute(&self.empty).map_err(at)
    }

    /// Rows of which something else is computed than was stored.
    pub fn differ(&self) -> u64 {
        self.writer.generated_differ()
    }
}

/// Rows without large values need none.
struct Nothing;

impl SpilledContent for Nothing {
    fn open(&mut self, _: &Spilled) -> io::Result<Box<dyn io::Read + '_>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Filter<'_> {
    /// True if the expression holds for the record.
    pub fn holds(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<bool, TargetError> {
        let loaded: Vec<Option<Value>> = self.loaded(row, content)?;
        let values: Vec<ValueRef<'_>> = row
            .values
            .iter()
            .zip(&loaded)
            .map(|(value, loaded)| loaded.as_ref().map_or(*value, Value::as_ref))
            .collect();
        let row = RowRef {
            rowid: row.rowid,
            values: &values,
        };
        self.writer.row(row, content)?;
        let at = |e| TargetError::of(self.path, "temporary database", e);
        let parameters: Vec<ValueRef<'_>> = self.parameters.iter().map(Value::as_ref).collect();
        let mut holds = false;
        let asked = self.db.for_each(&self.ask, &parameters, |_| {
            holds = true;
            Ok(())
        });
        asked.map_err(|e| TargetError::BadExpression {
            expression: self.ask.clone(),
            table: self.table.name.clone(),
            reason: e.message,
        })?;
        self.db.execute(&self.empty).map_err(at)?;
        Ok(holds)
    }

    /// Large values that the expression may read, whole; the others as NULL: they are not looked at.
    fn loaded(
        &self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Vec<Option<Value>>, TargetError> {
        let mut loaded = Vec::with_capacity(row.values.len());
        for (value, reads) in row.values.iter().zip(&self.reads) {
            let whole = match value {
                ValueRef::Spilled(long) if *reads => Some(self.load(long, content)?),
                ValueRef::Spilled(_) => Some(Value::Null),
                _ => None,
            };
            loaded.push(whole);
        }
        Ok(loaded)
    }

    fn load(&self, long: &Spilled, content: &mut dyn SpilledContent) -> Result<Value, TargetError> {
        load(long, content).map_err(|cause| TargetError::Content {
            table: self.table.name.clone(),
            row: "a record".to_owned(),
            cause,
        })
    }
}
