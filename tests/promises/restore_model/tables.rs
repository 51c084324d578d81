//! The world of the model: values as SQLite compares and stores them, schemas, and tables as lists
//! of rows. Nothing here comes from larder.

use std::cmp::Ordering;

use super::wishes::Gap;

/// A value. Reals and blobs would add nothing to the rules of a restore.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
}

impl Value {
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// As SQL.
    pub fn sql(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Int(v) => v.to_string(),
            Self::Text(v) => format!("'{}'", v.replace('\'', "''")),
        }
    }
}

/// What a column turns values into when they are stored, or compared with its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    Integer,
    Text,
    None,
}

impl Affinity {
    pub fn apply(self, value: &Value) -> Value {
        match (self, value) {
            (Self::Integer, Value::Text(text)) => {
                text.parse().map_or_else(|_| value.clone(), Value::Int)
            }
            (Self::Text, Value::Int(v)) => Value::Text(v.to_string()),
            _ => value.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub affinity: Affinity,
    pub nocase: bool,
    pub not_null: bool,
}

impl Column {
    /// NULL before numbers before texts; the texts by the column's collation.
    pub fn order(&self, a: &Value, b: &Value) -> Ordering {
        match (a, b) {
            (Value::Text(a), Value::Text(b)) if self.nocase => {
                a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase())
            }
            _ => a.cmp(b),
        }
    }

    /// `a = b` in SQL, for values that are stored in the column: NULL equals nothing.
    pub fn equal(&self, a: &Value, b: &Value) -> bool {
        !a.is_null() && !b.is_null() && self.order(a, b).is_eq()
    }
}

/// A UNIQUE key, and in which of the two databases it is declared.
#[derive(Debug, Clone)]
pub struct Key {
    pub columns: Vec<usize>,
    pub in_snapshot: bool,
    pub in_live: bool,
    /// Made by CREATE UNIQUE INDEX, not in the table's own text.
    pub as_index: bool,
}

/// A reference, and where it is declared: as a foreign key of either database, or as an option.
#[derive(Debug, Clone)]
pub struct Reference {
    pub columns: Vec<usize>,
    pub parent: usize,
    pub parent_columns: Vec<usize>,
    pub in_snapshot: bool,
    pub in_live: bool,
    pub declared: bool,
    /// What would happen to children in SQL, as ` ON DELETE CASCADE`; a restore must not let it.
    pub action: &'static str,
}

#[derive(Debug, Clone, Default)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// Columns of the primary key; empty if there is none.
    pub primary: Vec<usize>,
    pub without_rowid: bool,
    pub autoincrement: bool,
    pub unique: Vec<Key>,
    pub references: Vec<Reference>,
}

impl Table {
    /// True if the primary key is the rowid by another name.
    pub fn has_alias(&self) -> bool {
        !self.without_rowid
            && self.primary.len() == 1
            && self.columns[self.primary[0]].affinity == Affinity::Integer
    }

    /// `a = b` for these columns of two rows of the table.
    pub fn equal_in(&self, columns: &[usize], a: &[Value], b: &[Value]) -> bool {
        columns.iter().all(|&c| self.columns[c].equal(&a[c], &b[c]))
    }

    /// UNIQUE keys of the live table.
    pub fn live_unique(&self) -> impl Iterator<Item = &Vec<usize>> {
        self.unique
            .iter()
            .filter(|key| key.in_live)
            .map(|key| &key.columns)
    }

    /// References that a restore knows of, with their numbers.
    pub fn known_references(&self) -> impl Iterator<Item = (usize, &Reference)> {
        let known = |(_, r): &(usize, &Reference)| r.in_live || r.declared;
        self.references.iter().enumerate().filter(known)
    }

    /// The values as the table's columns store them.
    pub fn stored(&self, values: &[Value]) -> Vec<Value> {
        let columns = self.columns.iter().zip(values);
        columns.map(|(c, v)| c.affinity.apply(v)).collect()
    }
}

/// True if a key of these columns has no NULL in it.
pub fn is_whole(columns: &[usize], values: &[Value]) -> bool {
    columns.iter().all(|&c| !values[c].is_null())
}

#[derive(Debug, Clone, Default)]
pub struct Schema {
    pub tables: Vec<Table>,
}

impl Schema {
    /// True if this row of the parent is what the values refer to: SQLite compares with affinity and
    /// collation of the parent's columns.
    pub fn refers(&self, reference: &Reference, values: &[Value], parent_row: &[Value]) -> bool {
        let parent = &self.tables[reference.parent];
        let pairs = reference.columns.iter().zip(&reference.parent_columns);
        pairs.clone().count() > 0
            && pairs.into_iter().all(|(&c, &p)| {
                let column = &parent.columns[p];
                column.equal(&column.affinity.apply(&values[c]), &parent_row[p])
            })
    }

    /// True if both are the same missing value: a row of the parent would be meant by both.
    pub fn same_gap(&self, a: &Gap, b: &Gap) -> bool {
        let reference = &self.tables[a.table].references[a.reference];
        let parent = &self.tables[reference.parent];
        let stored = |c: &Column, v: &Value| c.affinity.apply(v);
        let values = a.values.iter().zip(&b.values);
        (a.table, a.reference) == (b.table, b.reference)
            && values.zip(&reference.parent_columns).all(|((a, b), &p)| {
                let column = &parent.columns[p];
                column.equal(&stored(column, a), &stored(column, b))
            })
    }

    /// Tables so that parents come first; in a cycle, as they stand.
    pub fn parents_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < self.tables.len() {
            let left = || (0..self.tables.len()).filter(|t| !order.contains(t));
            let is_ready = |&t: &usize| {
                let mut parents = self.tables[t].known_references().map(|(_, r)| r.parent);
                parents.all(|p| p == t || order.contains(&p))
            };
            let next = left().find(is_ready).or_else(|| left().next());
            order.extend(next);
        }
        order
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// 0 in a table WITHOUT ROWID; in a table with an alias the same as that column.
    pub rowid: i64,
    pub values: Vec<Value>,
}

/// Rows of all tables, in the order of their trees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Database {
    pub rows: Vec<Vec<Row>>,
    /// Of tables with AUTOINCREMENT: the largest rowid there ever was.
    pub sequence: Vec<i64>,
}

impl Database {
    pub fn empty(schema: &Schema) -> Self {
        Self {
            rows: vec![Vec::new(); schema.tables.len()],
            sequence: vec![0; schema.tables.len()],
        }
    }

    /// By rowid, or by primary key where there is none.
    pub fn sort(&mut self, schema: &Schema) {
        for (table, rows) in schema.tables.iter().zip(&mut self.rows) {
            rows.sort_by(|a, b| match table.without_rowid {
                false => a.rowid.cmp(&b.rowid),
                true => table.primary.iter().fold(Ordering::Equal, |order, &c| {
                    order.then_with(|| table.columns[c].order(&a.values[c], &b.values[c]))
                }),
            });
        }
    }

    /// The row that the values refer to, if there is one.
    pub fn parent(
        &self,
        schema: &Schema,
        reference: &Reference,
        values: &[Value],
    ) -> Option<usize> {
        self.rows[reference.parent]
            .iter()
            .position(|row| schema.refers(reference, values, &row.values))
    }

    /// The rows by their values, for rowids that are no column are chosen by SQLite.
    pub fn values(&self) -> Vec<Vec<&[Value]>> {
        let mut tables = Vec::new();
        for rows in &self.rows {
            let mut values: Vec<&[Value]> = rows.iter().map(|row| &row.values[..]).collect();
            values.sort();
            tables.push(values);
        }
        tables
    }

    pub fn largest_rowid(&self, table: usize) -> i64 {
        self.rows[table]
            .iter()
            .map(|row| row.rowid)
            .max()
            .unwrap_or(0)
    }
}
