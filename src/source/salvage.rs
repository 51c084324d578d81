//! Where reading goes on behind damage.

use super::scan::{FAST_BYTES_MAX, RESULT_COLUMNS_MAX, Scan, Stop, by_rowid_sql, columns_sql};
use super::table::RowSink;
use crate::model::row::Collation;
use crate::model::schema::TableKind;
use crate::model::value::{Value, ValueRef};
use crate::sqlite::quote::ident;
use crate::sqlite::{ErrorKind, SqliteError};

/// How often a nearer place is looked for.
const ISLANDS_MAX: usize = 64;

/// Places tried between two others.
const BETWEEN: u64 = 256;

/// `part` of `parts` of the way from `low` to `high`.
fn middle_of(low: i64, high: i64, part: u64, parts: u64) -> i64 {
    let way = u128::from(high.abs_diff(low)) * u128::from(part) / u128::from(parts);
    low.saturating_add_unsigned(u64::try_from(way).unwrap_or(u64::MAX))
}

/// 1, 3, 7 … behind a place, and the last that there is.
fn steps_on(from: i64) -> impl Iterator<Item = i64> {
    let steps = (1..=64).map(|n| (1_u128 << n) - 1);
    let places = steps.map_while(move |step| {
        let step = u64::try_from(step).ok()?;
        from.checked_add_unsigned(step)
    });
    places.chain([i64::MAX])
}

/// 2, 4, 8 … before a place, as far as another.
fn steps_back(from: i64, to: i64) -> impl Iterator<Item = i64> {
    let places = (1..64).map_while(move |n| from.checked_sub_unsigned(1 << n));
    places.take_while(move |place| *place > to)
}

/// Places between two, evenly.
fn between(low: i64, high: i64) -> impl Iterator<Item = i64> {
    let wide = high.abs_diff(low) > 2;
    let places = (1..BETWEEN).map(move |part| middle_of(low, high, part, BETWEEN));
    places.filter(move |place| wide && *place > low && *place < high)
}

/// What reading the first row at or behind a rowid came to.
enum Probe {
    /// Its rowid.
    Row(i64),
    /// No row is there.
    End,
    Damage,
}

impl<S: RowSink> Scan<'_, S> {
    /// The first rowid behind `from`, where reading failed, from which a row can be read; `None`: no
    /// row can. What is tried: growing steps from the damage on and back to it, and places between.
    /// A few rows that lie between much damage may be missed.
    pub(super) fn behind_damage(
        &mut self,
        rowid: &str,
        from: i64,
    ) -> Result<Option<i64>, Stop<S::Error>> {
        // Most rowids begin at 1, far from the smallest that there could be.
        let starts = [Some(from), (from < -1).then_some(-1)];
        let mut good = None;
        for start in starts.into_iter().flatten() {
            let found = self.first_good(rowid, steps_on(start))?;
            good = match (good, found) {
                (Some(a), Some(b)) => Some(i64::min(a, b)),
                (a, b) => a.or(b),
            };
        }
        let Some(mut good) = good else {
            return Ok(None);
        };
        for _ in 0..ISLANDS_MAX {
            good = self.edge(rowid, from, good)?;
            let tried = steps_back(good, from).chain(between(from, good));
            match self.first_good(rowid, tried)? {
                Some(nearer) => good = nearer,
                None => break,
            }
        }
        Ok(match self.probe(rowid, good)? {
            Probe::Row(rowid) => Some(rowid),
            Probe::End | Probe::Damage => None,
        })
    }

    /// The first of these places where nothing is damaged.
    fn first_good(
        &self,
        rowid: &str,
        places: impl Iterator<Item = i64>,
    ) -> Result<Option<i64>, SqliteError> {
        for place in places {
            if !matches!(self.probe(rowid, place)?, Probe::Damage) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Where damage ends between a place that is damaged and a good one.
    fn edge(&self, rowid: &str, mut bad: i64, mut good: i64) -> Result<i64, SqliteError> {
        while good.abs_diff(bad) > 1 {
            let middle = middle_of(bad, good, 1, 2);
            match self.probe(rowid, middle)? {
                Probe::Damage => bad = middle,
                Probe::Row(_) | Probe::End => good = middle,
            }
        }
        Ok(good)
    }

    /// Reads the first row at or behind a rowid, all of it but for values that are long.
    fn probe(&self, rowid: &str, at: i64) -> Result<Probe, SqliteError> {
        let fits = self.columns.len() * self.texts.width() < RESULT_COLUMNS_MAX;
        let columns = if fits { &self.columns[..] } else { &[] };
        let all = by_rowid_sql(self.table, rowid, self.texts, columns)?;
        self.db.limit_length(Some(FAST_BYTES_MAX))?;
        let found = self.first(&all, at);
        self.db.limit_length(None)?;
        let found = match found {
            Err(error) if error.kind == ErrorKind::TooBig => {
                self.first(&by_rowid_sql(self.table, rowid, self.texts, &[])?, at)
            }
            found => found,
        };
        match found {
            Ok(Some(rowid)) if rowid >= at => Ok(Probe::Row(rowid)),
            Ok(Some(_)) => Ok(Probe::Damage),
            Ok(None) => Ok(Probe::End),
            Err(error) if error.is_damage() => Ok(Probe::Damage),
            Err(error) => Err(error),
        }
    }

    fn first(&self, sql: &str, at: i64) -> Result<Option<i64>, SqliteError> {
        let mut statement = self.db.prepare(&format!("{sql} LIMIT 1"))?;
        statement.bind(1, ValueRef::Integer(at))?;
        let mut rows = statement.rows();
        rows.next()?.map(|row| row.integer(0)).transpose()
    }

    /// The rows of a WITHOUT ROWID table that can be reached from its end. `None` where they cannot be
    /// asked for by their key.
    pub(super) fn first_key_of_tail(&mut self) -> Result<Option<Tail>, SqliteError> {
        let key = &self.table.primary_key;
        let descending = key.first().is_some_and(|part| part.descending);
        let is_even = key.iter().all(|part| {
            part.descending == descending && !matches!(part.collation, Collation::Unknown(_))
        });
        if self.table.kind != TableKind::WithoutRowid || key.is_empty() || !is_even {
            return Ok(None);
        }
        let mut names = Vec::new();
        for part in key {
            let column = self.table.columns.get(part.column as usize);
            names.push(ident(column.map_or("", |column| &column.name))?);
        }
        let table = ident(&self.table.name)?;
        let order = |reversed: bool| {
            let direction = if descending == reversed {
                "ASC"
            } else {
                "DESC"
            };
            let terms: Vec<String> = names.iter().map(|n| format!("{n} {direction}")).collect();
            terms.join(", ")
        };
        let asked: Vec<String> = names.iter().map(|n| self.texts.column_sql(n)).collect();
        let sql = format!(
            "SELECT {} FROM main.{table} ORDER BY {}",
            asked.join(", "),
            order(true)
        );
        let mut last: Option<Vec<Value>> = None;
        let mut statement = self.db.prepare(&sql)?;
        let mut rows = statement.rows();
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let value = |at: usize| {
                        let value = self.texts.value(row, at * self.texts.width())?;
                        Ok::<_, SqliteError>(value.to_owned())
                    };
                    last = Some((0..names.len()).map(value).collect::<Result<_, _>>()?);
                }
                // The damage from its other side.
                Err(error) if error.is_damage() => break,
                Ok(None) => break,
                Err(error) => return Err(error),
            }
        }
        let Some(key) = last else {
            return Ok(None);
        };
        let marks: Vec<String> = (0..names.len())
            .map(|at| self.texts.parameter_sql(1 + at * self.texts.width()))
            .collect();
        Ok(Some(Tail {
            asked: columns_sql(self.texts, &self.columns)?.join(", "),
            table,
            names: names.join(", "),
            marks: marks.join(", "),
            order: order(false),
            descending,
            key,
        }))
    }
}

/// Which rows of a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Its first and all behind it.
    From,
    /// Its first.
    Only,
    /// All behind its first.
    Behind,
}

/// The rows of a table from a key on, in parts of a statement.
#[derive(Debug)]
pub(super) struct Tail {
    asked: String,
    table: String,
    names: String,
    marks: String,
    order: String,
    descending: bool,
    /// The first of them.
    pub key: Vec<Value>,
}

impl Tail {
    pub(super) fn sql(&self, rows: Rest) -> String {
        let operator = match (rows, self.descending) {
            (Rest::Only, _) => "=",
            (Rest::From, false) => ">=",
            (Rest::From, true) => "<=",
            (Rest::Behind, false) => ">",
            (Rest::Behind, true) => "<",
        };
        format!(
            "SELECT {} FROM main.{} WHERE ({}) {operator} ({}) ORDER BY {}",
            self.asked, self.table, self.names, self.marks, self.order
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_between_the_ends_of_all_rowids() {
        let on: Vec<i64> = steps_on(i64::MIN).collect();
        assert_eq!((on[0], on[62], on[63]), (i64::MIN + 1, -1, i64::MAX));
        assert_eq!(
            steps_on(i64::MAX - 2).collect::<Vec<_>>(),
            [i64::MAX - 1, i64::MAX]
        );
        assert_eq!(steps_back(10, 1).collect::<Vec<_>>(), [8, 6, 2]);
        assert!(steps_back(i64::MIN + 1, i64::MIN).next().is_none());
        assert_eq!(between(i64::MIN, i64::MAX).count(), 255);
        assert_eq!(between(4, 5).count(), 0);
        assert_eq!(middle_of(i64::MIN, i64::MAX, 1, 2), -1);
    }
}
