//! Values that could not be inserted where they were read: named, since a restore meets them again.

use crate::model::counted::{agree, counted};
use crate::model::fit::{Fit, Misfit, refused_text};
use crate::model::row::RowRef;
use crate::model::schema::Table;
use crate::model::text::TextEncoding;
use crate::progress::Finding;

/// Rows with a value that its column would not take as it is: what a restore makes of them.
pub(super) struct Misfits {
    fit: Fit,
    rows: u64,
    refused: Misfitting,
    converted: Misfitting,
}

/// How many, and the first: what names its row, and the position of the leaf column.
#[derive(Default)]
struct Misfitting {
    rows: u64,
    first: Option<(String, usize)>,
}

impl Misfits {
    pub(super) fn of(table: &Table, encoding: TextEncoding) -> Self {
        Self {
            fit: Fit::of(table, encoding),
            rows: 0,
            refused: Misfitting::default(),
            converted: Misfitting::default(),
        }
    }

    /// True if each value fits.
    pub(super) fn look_at(&mut self, row: RowRef<'_>) -> bool {
        self.rows += 1;
        let Some((at, misfit)) = self.fit.misfit(row.values) else {
            return true;
        };
        let kind = match misfit {
            Misfit::Refused => &mut self.refused,
            Misfit::Converted => &mut self.converted,
        };
        kind.rows += 1;
        kind.first.get_or_insert_with(|| {
            let name = match row.rowid {
                Some(rowid) => format!("row {rowid}"),
                None => format!("record {}", self.rows),
            };
            (name, at)
        });
        false
    }

    pub(super) fn findings(self, table: &Table) -> impl Iterator<Item = Finding> {
        let finding = |kind: Misfitting, told: fn(u64, &str) -> String| {
            let (row, at) = kind.first?;
            let column = &table.columns[table.leaf_columns().nth(at)?].name;
            let text = told(kind.rows, &format!("{row}, {column}"));
            Some(Finding::warning(table.name.clone(), text))
        };
        [
            finding(self.refused, refused_text),
            finding(self.converted, converted_text),
        ]
        .into_iter()
        .flatten()
    }
}

fn converted_text(rows: u64, first: &str) -> String {
    let (records, hold) = (counted(rows, "record"), agree(rows, "holds", "hold"));
    format!("{records} {hold} a value that its column would store as another (the first: {first})")
}
