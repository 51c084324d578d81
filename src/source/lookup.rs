//! Whether a table has a row with some values, asked again and again.

use std::path::Path;

use super::error::SourceError;
use super::moment::Moment;
use crate::model::value::ValueRef;
use crate::sqlite::quote::ident;
use crate::sqlite::statement::Statement;
use crate::sqlite::texts::Texts;
use crate::sqlite::{Connection, SqliteError};

/// Finds rows of one table by the values of some of its columns, compared as those columns compare.
#[derive(Debug)]
pub struct Lookup<'a> {
    statement: Statement<'a>,
    texts: Texts,
    path: &'a Path,
}

impl<'a> Lookup<'a> {
    /// By these columns. `None` if SQLite would read the whole table for each row.
    pub fn new(
        moment: Moment<'a>,
        table: &str,
        columns: &[&str],
    ) -> Result<Option<Self>, SourceError> {
        let texts = Texts::of(moment.schema.encoding);
        let prepared = prepare(moment.db, texts, table, columns);
        let statement =
            prepared.map_err(|cause| SourceError::of(moment.path, Some(table), cause))?;
        Ok(statement.map(|statement| Self {
            statement,
            texts,
            path: moment.path,
        }))
    }

    /// True if there is a row with these values.
    pub fn finds<'v>(
        &mut self,
        values: impl Iterator<Item = ValueRef<'v>>,
    ) -> Result<bool, SourceError> {
        let found = find(&mut self.statement, self.texts, values);
        found.map_err(|cause| SourceError::of(self.path, None, cause))
    }
}

fn prepare<'a>(
    db: &'a Connection,
    texts: Texts,
    table: &str,
    columns: &[&str],
) -> Result<Option<Statement<'a>>, SqliteError> {
    let mut conditions = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let parameter = texts.parameter_sql(1 + at * texts.width());
        conditions.push(format!("{} = {parameter}", ident(column)?));
    }
    let sql = format!(
        "SELECT 1 FROM main.{} WHERE {} LIMIT 1",
        ident(table)?,
        conditions.join(" AND ")
    );
    let mut searches = true;
    db.for_each(&format!("EXPLAIN QUERY PLAN {sql}"), &[], |row| {
        searches &= row
            .text(3)?
            .is_some_and(|detail| detail.starts_with("SEARCH"));
        Ok(())
    })?;
    searches.then(|| db.prepare(&sql)).transpose()
}

fn find<'v>(
    statement: &mut Statement<'_>,
    texts: Texts,
    values: impl Iterator<Item = ValueRef<'v>>,
) -> Result<bool, SqliteError> {
    for (at, value) in values.enumerate() {
        texts.bind(statement, 1 + at * texts.width(), value)?;
    }
    Ok(statement.rows().next()?.is_some())
}
