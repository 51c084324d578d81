//! The rows of a live table that a missing reference could be mapped to, for somebody who is asked.

use super::similar::{Best, score};
use crate::error::Error;
use crate::model::value::Value;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::missing::{Candidate, Candidates, Missing};

/// The rows of the table that a missing value refers to.
pub(in crate::ops::restore) fn of<'c>(
    basis: &'c Basis<'c>,
    missing: &'c Missing,
) -> impl Candidates + 'c {
    Rows { basis, missing }
}

struct Rows<'c> {
    basis: &'c Basis<'c>,
    missing: &'c Missing,
}

impl Candidates for Rows<'_> {
    fn like(&mut self, text: &str, max: usize) -> Result<Vec<Candidate>, Error> {
        let Some(parent) = self.basis.view.schema.table(&self.missing.parent) else {
            return Ok(Vec::new());
        };
        let names: Vec<&str> = parent.columns.iter().map(|c| c.name.as_str()).collect();
        let keys: Vec<&str> = self
            .missing
            .parent_columns
            .iter()
            .map(String::as_str)
            .collect();
        let mut best = Best::new(max);
        let live = self.basis.live;
        live.each_short_row(parent, &[keys.as_slice(), &names].concat(), |values| {
            let (key, row) = values.split_at(keys.len());
            if key.contains(&Value::Null) {
                return;
            }
            let texts: Vec<String> = row.iter().filter_map(text_of).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let score = score(text, &texts);
            if best.wants(score, key) {
                let named = names.iter().map(|name| (*name).to_owned());
                best.push(
                    score,
                    Candidate {
                        key: key.to_vec(),
                        row: named.zip(row.iter().cloned()).collect(),
                    },
                );
            }
        })?;
        Ok(best.into_rows())
    }
}

/// What somebody may look for in a value.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}
