//! The keys of one table as they are compared, kept while its snapshots are looked at one by one: from
//! the second on only the records that differ are read.

use crate::error::Error;
use crate::format::blob::BlobError;
use crate::model::equal_form::append_equal_form;
use crate::model::fit::{Affinity, Fit, Misfit};
use crate::model::row::{Collation, RowRef};
use crate::model::schema::{ColumnKind, Table};
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;
use crate::store::{DigestSet, DigestStore, StoreError, StoreReader};
use crate::target::{Affine, Applied};
use crate::tree::diff::{Difference, Field, State, by_place};
use crate::tree::{Root, TreeShape};

/// A column of a key, and how its values are compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyPart {
    pub field: Field,
    pub collation: Collation,
    /// That of the parent's column for references; else the values are what they are.
    pub affinity: Affinity,
}

/// How keys are compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyForm {
    pub parts: Vec<KeyPart>,
}

/// The keys of one form.
struct Keys {
    set: DigestSet,
    /// Records whose key holds no NULL; those that do have no key.
    whole: i64,
    /// Records of which the row alone does not tell the key.
    unknown: i64,
    too_many: Option<u64>,
}

/// What is known of a table's records.
pub(super) struct TableKeys {
    table: Table,
    shape: TreeShape,
    forms: Vec<KeyForm>,
    /// The tree that was read; `None` without records.
    root: Option<Root>,
    keys: Vec<Keys>,
    fit: Option<Fit>,
    refused: i64,
    /// Leaf columns that are NOT NULL, with the number of NULLs in each.
    nulls: Vec<(usize, i64)>,
    buffer: Vec<u8>,
    /// No other state of any table has it.
    pub version: u64,
}

/// A failure behind a tree that is read.
enum Stop {
    Blob(BlobError),
    Other(Error),
}

impl From<BlobError> for Stop {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl TableKeys {
    /// Of a table without records.
    pub fn new(table: &Table, shape: &TreeShape, forms: Vec<KeyForm>, store: &DigestStore) -> Self {
        let keys = forms.iter().map(|_| Keys {
            set: store.set(forms.len()),
            whole: 0,
            unknown: 0,
            too_many: None,
        });
        let fit = Fit::of(table, shape.encoding);
        let not_null = |(_, column): &(usize, usize)| {
            let column = &table.columns[*column];
            column.not_null && column.kind == ColumnKind::Ordinary
        };
        let nulls = table.leaf_columns().enumerate().filter(not_null);
        Self {
            keys: keys.collect(),
            fit: (!fit.takes_all()).then_some(fit),
            nulls: nulls.map(|(at, _)| (at, 0)).collect(),
            table: table.clone(),
            shape: shape.clone(),
            forms,
            root: None,
            refused: 0,
            buffer: Vec::new(),
            version: 0,
        }
    }

    /// True if a table of this definition, with its keys in these forms, can be told from this one by
    /// what differs.
    pub fn is_of(&self, table: &Table, shape: &TreeShape, forms: &[KeyForm]) -> bool {
        self.table == *table && self.shape == *shape && self.forms == forms
    }

    /// True if it is of this tree.
    pub fn has_root(&self, root: Option<&Root>) -> bool {
        self.root.as_ref() == root
    }

    /// The tree that was read is this one.
    pub fn set_root(&mut self, root: Option<Root>, version: u64) -> Result<(), Error> {
        for keys in &mut self.keys {
            keys.set.seal()?;
        }
        self.root = root;
        self.version = version;
        Ok(())
    }

    /// Takes a record in so many times more; less than 0: out again.
    pub fn row(&mut self, row: RowRef<'_>, count: i64, affine: &Affine) -> Result<(), Error> {
        if let Some(fit) = &self.fit {
            if matches!(fit.misfit(row.values), Some((_, Misfit::Refused))) {
                self.refused += count;
            }
            for (at, nulls) in &mut self.nulls {
                if row.values.get(*at) == Some(&ValueRef::Null) {
                    *nulls += count;
                }
            }
        }
        let encoding = self.shape.encoding;
        for (form, keys) in self.forms.iter().zip(&mut self.keys) {
            match form.key(row, encoding, affine, &mut self.buffer)? {
                Told::Null => {}
                Told::Unknown => {
                    keys.whole += count;
                    keys.unknown += count;
                }
                Told::Key => {
                    keys.whole += count;
                    keys.set.add(&self.buffer, count)?;
                }
            }
            keys.too_many = None;
        }
        Ok(())
    }

    /// Reads what differs from the tree that was read before. False, and nothing is done, where the two
    /// are not in one order.
    pub fn go_on_to(
        &mut self,
        root: Option<&Root>,
        reader: &StoreReader,
        affine: &Affine,
    ) -> Result<bool, Error> {
        let (before, shape) = (self.root.clone(), self.shape.clone());
        let state = |root| State {
            shape: &shape,
            root,
            key: &[],
        };
        let mut each = |difference: Difference<'_>| {
            let (gone, come) = match difference {
                Difference::Added(row) => (None, Some(row)),
                Difference::Removed(row) => (Some(row), None),
                Difference::Changed(before, after) => (Some(before), Some(after)),
            };
            for (row, count) in [(gone, -1), (come, 1)] {
                if let Some(row) = row {
                    self.row(row, count, affine).map_err(Stop::Other)?;
                }
            }
            Ok(())
        };
        by_place(reader, state(before.as_ref()), state(root), &mut each).map_err(
            |stop| match stop {
                Stop::Blob(error) => StoreError::from(error).into(),
                Stop::Other(error) => error,
            },
        )
    }

    /// Records that hold a value which its column refuses, and the names of NOT NULL columns that hold
    /// NULL.
    pub fn refused(&self) -> (u64, Vec<&str>) {
        let columns: Vec<usize> = self.table.leaf_columns().collect();
        let with_nulls = self.nulls.iter().filter(|(_, nulls)| *nulls > 0);
        let names = with_nulls.map(|(at, _)| self.table.columns[columns[*at]].name.as_str());
        (self.refused.max(0).unsigned_abs(), names.collect())
    }

    /// Records whose key another one has already; `None` where a record's key is not known.
    pub fn too_many(&mut self, form: usize) -> Result<Option<u64>, Error> {
        let keys = &mut self.keys[form];
        if keys.unknown > 0 {
            return Ok(None);
        }
        if keys.too_many.is_none() {
            keys.too_many = Some(keys.set.too_many()?);
        }
        Ok(keys.too_many)
    }

    /// Records that have a key at all.
    pub fn with_key(&self, form: usize) -> u64 {
        self.keys[form].whole.max(0).unsigned_abs()
    }

    /// Records whose key no record of the other has; `None` where a key is not known.
    pub fn without_match(
        &self,
        form: usize,
        other: &Self,
        other_form: usize,
    ) -> Result<Option<u64>, Error> {
        let (Some(here), Some(there)) = (self.keys.get(form), other.keys.get(other_form)) else {
            return Ok(None);
        };
        if here.unknown > 0 || there.unknown > 0 {
            return Ok(None);
        }
        Ok(Some(here.set.without_match(&there.set)?))
    }
}

/// What a row says of its key.
enum Told {
    Key,
    /// It holds NULL.
    Null,
    Unknown,
}

impl KeyForm {
    /// Puts the form of a row's key into `out`.
    fn key(
        &self,
        row: RowRef<'_>,
        encoding: TextEncoding,
        affine: &Affine,
        out: &mut Vec<u8>,
    ) -> Result<Told, Error> {
        out.clear();
        let is_null = |part: &KeyPart| part.field.of(row) == ValueRef::Null;
        if self.parts.iter().any(is_null) {
            return Ok(Told::Null);
        }
        for part in &self.parts {
            let value = part.field.of(row);
            let applied = match part.affinity {
                Affinity::None => Applied::Same,
                affinity => affine.apply(affinity, value, encoding)?,
            };
            let value = match &applied {
                Applied::Same => value,
                Applied::Other(value) => value.as_ref(),
                Applied::Unknown => return Ok(Told::Unknown),
            };
            if !append_equal_form(value, &part.collation, encoding, out) {
                return Ok(Told::Unknown);
            }
        }
        Ok(Told::Key)
    }
}
