//! A record with what is done with it, and the references that its row has then.

use super::answers::Answer;
use crate::model::value::{Value, ValueRef};
use crate::ops::restore::scope::links::Link;
use crate::target::{Comparer, Doing, Record, RowId, Step, TargetError};

/// A record with its step.
pub(in crate::ops::restore) struct One<'r> {
    pub ordinal: u64,
    pub was: Record<'r>,
    pub step: Option<&'r Step>,
    /// Its row is as it is to be: only what is left out concerns it.
    pub is_same: bool,
}

/// The value of a reference.
pub(in crate::ops::restore) struct Reference {
    /// In the snapshot.
    pub was: Vec<Value>,
    /// As it will be written.
    pub now: Vec<Value>,
    /// Part of it is the row's, part the record's.
    pub is_mixed: bool,
}

impl Reference {
    /// False if what is decided would need columns of a row that are not written. `primary`: the columns
    /// of the primary key, which stay.
    pub(in crate::ops::restore) fn fits(
        &self,
        link: &Link,
        step: &Step,
        primary: &[usize],
        answer: &Answer,
        nulls: &[usize],
    ) -> bool {
        if matches!(step.doing, Doing::Insert | Doing::Rewrite) {
            return true;
        }
        let Answer::Map(to) = answer else {
            return nulls.iter().any(|at| step.columns.contains(at));
        };
        let writes = |at: &usize| {
            step.columns.contains(at) || (step.doing == Doing::Update && !primary.contains(at))
        };
        let mut parts = link.columns.iter().zip(&self.now).zip(to);
        parts.all(|((at, now), to)| writes(at) || now.as_ref().identical(to.as_ref()))
    }
}

/// A step that stands for a row which is as it is to be.
pub(in crate::ops::restore) fn untouched(
    ordinal: u64,
    rowid: Option<i64>,
    values: &[ValueRef<'_>],
    identity: &[usize],
) -> Step {
    let key = identity.iter().map(|at| values[*at].to_owned());
    let id = match identity {
        [] => vec![rowid.map_or(Value::Null, Value::Integer)],
        _ => key.collect(),
    };
    Step {
        ordinal,
        doing: Doing::Rewrite,
        id: Some(RowId(id)),
        columns: (0..values.len()).collect(),
        changes: Vec::new(),
    }
}

/// The key that a row has once a step is carried out; `None` if one of its columns is NULL then.
pub(in crate::ops::restore) fn key_of_row(
    rows: Option<&Comparer<'_>>,
    step: &Step,
    now: Record<'_>,
    columns: &[usize],
) -> Result<Option<Vec<Value>>, TargetError> {
    let (Some(rows), Some(id)) = (rows, &step.id) else {
        return Ok(now.whole(columns));
    };
    let mut values = rows.values(id, columns)?;
    for (value, at) in values.iter_mut().zip(columns) {
        if step.columns.contains(at) {
            *value = now.value(*at).to_owned();
        }
    }
    Ok((!values.contains(&Value::Null)).then_some(values))
}
