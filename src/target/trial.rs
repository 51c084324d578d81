//! A plan's scratch paper: a temporary database that spills to disk.
//!
//! In it new records are inserted into tables of the live text, so that what the live database
//! would refuse is known before it is written; and sets of keys are kept that references are
//! looked up in, compared as SQLite compares them.

use std::cell::Cell;
use std::path::Path;

use super::columns::{ColumnMap, collation_name};
use super::error::TargetError;
use super::live::LiveDatabase;
use super::live_writer::{LiveWriter, mentions_check};
use crate::model::row::Collation;
use crate::model::schema::{ForeignKey, ObjectKind, Schema, Table, TableKind};
use crate::model::value::{Value, ValueRef};
use crate::sqlite::quote::{ident, idents};
use crate::sqlite::{Connection, SqliteError, Statement};

/// A temporary database beside the live one.
pub struct Trial {
    db: Connection,
    /// Apart from the copies of live tables: those may have any name.
    keys: Connection,
    path: std::path::PathBuf,
    sets: Cell<u32>,
}

impl Trial {
    /// An empty one.
    pub fn new(live: &LiveDatabase) -> Result<Self, TargetError> {
        let at = |cause: SqliteError| live.at("temporary database", cause);
        let open = || {
            let db = Connection::open_cache(None)?;
            db.execute("BEGIN")?;
            Ok(db)
        };
        Ok(Self {
            db: open().map_err(at)?,
            keys: open().map_err(at)?,
            path: live.path().to_owned(),
            sets: Cell::new(0),
        })
    }

    /// A writer for a copy of a live table, empty, with its UNIQUE indexes. `None` if the stored
    /// table has the same text and keys, and no CHECK or one that may be broken: what is stored
    /// fits it, then. Only one writer may be in use.
    pub fn writer<'t>(
        &'t self,
        live: &Schema,
        table: &'t Table,
        map: &'t ColumnMap,
        stored: &Schema,
        ignore_checks: bool,
    ) -> Result<Option<LiveWriter<'t>>, TargetError> {
        let text = |schema: &'_ Schema| {
            schema
                .objects_of(ObjectKind::Table)
                .find(|object| object.name.eq_ignore_ascii_case(&table.name))
                .and_then(|object| object.sql.clone())
        };
        let same_keys = stored.table(&table.name).is_some_and(|other| {
            other.primary_key == table.primary_key
                && table
                    .unique_keys
                    .iter()
                    .all(|key| other.unique_keys.iter().any(|o| o.columns == key.columns))
        });
        let same = text(live) == text(stored) && same_keys;
        if same && (ignore_checks || !mentions_check(live, &table.name)) {
            return Ok(None);
        }
        let Some(sql) = text(live) else {
            return Ok(None);
        };
        // A text that cannot be made here (an unknown function) is tried by the database itself.
        if self.db.create(&sql).is_err() {
            return Ok(None);
        }
        let is_key = |name: &str| table.unique_keys.iter().any(|key| key.index == name);
        for index in live.objects_of(ObjectKind::Index) {
            if let (true, Some(sql)) = (is_key(&index.name), &index.sql) {
                let _ = self.db.create(sql);
            }
        }
        self.db
            .pragma("ignore_check_constraints", i64::from(ignore_checks))
            .map_err(|e| TargetError::of(&self.path, "temporary database", e))?;
        LiveWriter::on(&self.db, &self.path, live, table, map).map(Some)
    }

    /// An empty set of a live table's rows, each as [`super::RowId`] has it.
    pub fn row_set(&self, table: &Table) -> Result<KeySet<'_>, TargetError> {
        // The values come from the table: they are compared as they are.
        let columns = super::columns::Identity::of(table).columns.len();
        let untyped = vec![(usize::MAX, Collation::Binary); columns];
        self.key_set(table, &untyped)
    }

    /// An empty set of keys, with the affinities and collations of a table's columns.
    pub fn key_set(
        &self,
        table: &Table,
        columns: &[(usize, Collation)],
    ) -> Result<KeySet<'_>, TargetError> {
        let at = |cause: SqliteError| TargetError::of(&self.path, "temporary database", cause);
        let number = self.sets.get();
        self.sets.set(number + 1);
        let (name, index) = (format!("keys{number}"), format!("index{number}"));
        let make = || -> Result<KeySet<'_>, SqliteError> {
            let (mut declared, mut names, mut marks, mut terms) = (vec![], vec![], vec![], vec![]);
            for (n, (column, collation)) in columns.iter().enumerate() {
                // Quoted, a type gives the same affinity, whatever is written in it.
                let kind = match table.columns.get(*column).map(|c| c.declared_type.as_str()) {
                    None | Some("") => String::new(),
                    Some(any) if table.strict && any.eq_ignore_ascii_case("any") => String::new(),
                    Some(kind) => ident(kind)?,
                };
                let collation = ident(collation_name(collation))?;
                declared.push(format!("c{n} {kind} COLLATE {collation}"));
                names.push(format!("c{n}"));
                marks.push(format!("?{}", n + 1));
                terms.push(format!("c{n} = ?{}", n + 1));
            }
            self.keys
                .execute(&format!("CREATE TABLE {name}({})", declared.join(", ")))?;
            self.keys.execute(&format!(
                "CREATE INDEX {index} ON {name}({})",
                names.join(", ")
            ))?;
            Ok(KeySet {
                path: &self.path,
                insert: self
                    .keys
                    .prepare(&format!("INSERT INTO {name} VALUES({})", marks.join(", ")))?,
                find: self.keys.prepare(&format!(
                    "SELECT 1 FROM {name} WHERE {}",
                    terms.join(" AND ")
                ))?,
                count: 0,
            })
        };
        make().map_err(at)
    }
}

/// Keys of one parent table.
pub struct KeySet<'t> {
    path: &'t Path,
    insert: Statement<'t>,
    find: Statement<'t>,
    count: u64,
}

impl KeySet<'_> {
    /// Adds a key.
    pub fn add(&mut self, values: &[Value]) -> Result<(), TargetError> {
        self.count += 1;
        bind(&mut self.insert, values)
            .and_then(|()| self.insert.run())
            .map_err(|e| TargetError::of(self.path, "temporary database", e))
    }

    /// True if it holds no key.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True if a reference of these values finds its target in the set.
    pub fn has(&mut self, values: &[Value]) -> Result<bool, TargetError> {
        finds(&mut self.find, values)
            .map_err(|e| TargetError::of(self.path, "temporary database", e))
    }
}

fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<(), SqliteError> {
    for (at, value) in values.iter().enumerate() {
        statement.bind(at + 1, value.as_ref())?;
    }
    Ok(())
}

fn finds(statement: &mut Statement<'_>, values: &[Value]) -> Result<bool, SqliteError> {
    bind(statement, values)?;
    Ok(statement.rows().next()?.is_some())
}

/// The columns of the parent that a foreign key names, with the collations that decide; `None` if
/// they are no key of it: then SQLite cannot check the reference either.
pub fn parent_columns(key: &ForeignKey, parent: &Table) -> Option<Vec<(usize, Collation)>> {
    let named: Option<Vec<usize>> = key
        .columns
        .iter()
        .map(|(_, column)| column.as_deref().and_then(|name| parent.column_at(name)))
        .collect();
    let columns = match named {
        Some(columns) => columns,
        None if key.columns.iter().all(|(_, column)| column.is_none()) => {
            let primary = parent.primary_key.iter().map(|key| key.column as usize);
            primary.collect()
        }
        None => return None,
    };
    if columns.len() != key.columns.len() {
        return None;
    }
    let unique = parent.unique_keys.iter().map(|key| &key.columns);
    let keys: Vec<_> = std::iter::once(&parent.primary_key).chain(unique).collect();
    let matching = keys.into_iter().find(|key| {
        key.len() == columns.len() && key.iter().all(|k| columns.contains(&(k.column as usize)))
    })?;
    let collation = |column: &usize| {
        let of = matching.iter().find(|k| k.column as usize == *column);
        of.map_or(Collation::Binary, |k| k.collation.clone())
    };
    Some(columns.iter().map(|c| (*c, collation(c))).collect())
}

/// Looks up the targets of references in a live parent table.
pub struct Targets<'d> {
    live: &'d LiveDatabase,
    find: Statement<'d>,
}

impl<'d> Targets<'d> {
    /// Prepares for these columns of a parent.
    pub fn new(
        live: &'d LiveDatabase,
        parent: &Table,
        columns: &[(usize, Collation)],
    ) -> Result<Self, TargetError> {
        let make = || -> Result<Statement<'d>, SqliteError> {
            let mut terms = Vec::new();
            for (n, (column, collation)) in columns.iter().enumerate() {
                let name = &parent.columns[*column].name;
                terms.push(super::columns::equals(name, n + 1, collation)?);
            }
            live.db.prepare(&format!(
                "SELECT 1 FROM main.{} WHERE {}",
                ident(&parent.name)?,
                terms.join(" AND ")
            ))
        };
        let find = make().map_err(|e| live.at(&format!("table {}", parent.name), e))?;
        Ok(Self { live, find })
    }

    /// True if the parent has a row that a reference of these values finds.
    pub fn has(&mut self, values: &[Value]) -> Result<bool, TargetError> {
        finds(&mut self.find, values).map_err(|e| self.live.at("references", e))
    }
}

impl LiveDatabase {
    /// Calls `each` for every row of a table that refers to something by this foreign key: the
    /// row's name for people, and the values of the reference.
    pub fn each_reference(
        &self,
        table: &Table,
        key: &ForeignKey,
        mut each: impl FnMut(String, Vec<Value>) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        let at = |e: SqliteError| self.at(&format!("table {}", table.name), e);
        let name = match table.rowid_column() {
            Some(rowid) if table.kind != TableKind::WithoutRowid => Some(rowid),
            _ => None,
        };
        let sql = || -> Result<String, SqliteError> {
            let children: Vec<&str> = key
                .columns
                .iter()
                .map(|(child, _)| child.as_str())
                .collect();
            let mut whole = Vec::new();
            for child in &children {
                whole.push(format!("{} IS NOT NULL", ident(child)?));
            }
            Ok(format!(
                "SELECT {} FROM main.{} WHERE {}",
                idents(children.into_iter().chain(name))?,
                ident(&table.name)?,
                whole.join(" AND ")
            ))
        };
        let sql = sql().map_err(at)?;
        let mut statement = self.db.prepare(&sql).map_err(at)?;
        let mut rows = statement.rows();
        while let Some(row) = rows.next().map_err(at)? {
            let width = key.columns.len();
            let values: Result<Vec<Value>, SqliteError> =
                (0..width).map(|n| Ok(row.value(n)?.to_owned())).collect();
            let named = match name {
                Some(_) => match row.value(width).map_err(at)? {
                    ValueRef::Integer(rowid) => format!("row {rowid}"),
                    _ => "a row".to_owned(),
                },
                None => "a row".to_owned(),
            };
            each(named, values.map_err(at)?)?;
        }
        Ok(())
    }
}
