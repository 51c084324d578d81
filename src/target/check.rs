//! What is checked before a new database gets its name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::TargetError;
use crate::model::counted::counted;
use crate::model::schema::Schema;
use crate::progress::Finding;
use crate::sqlite::check::{self, ForeignKeyCheck};
use crate::sqlite::quote::ident;
use crate::sqlite::{Connection, SqliteError};

/// How thoroughly SQLite itself checks the new database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckLevel {
    /// Not at all.
    None,
    /// `quick_check`: pages and records, not whether indexes agree.
    #[default]
    Quick,
    /// `integrity_check`: indexes as well.
    Full,
}

/// What the source was like; what is absent is not compared.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Foreign-key verdicts by table.
    pub foreign_keys: BTreeMap<String, ForeignKeyCheck>,
    /// Complaints of full-text indexes by table, of those that were compared with their content.
    pub full_text: BTreeMap<String, Option<String>>,
    /// What SQLite's check complained of in the source.
    pub complaints: Vec<String>,
    /// The source is damaged: what it was like is not all here.
    pub damaged: bool,
    /// The new database is to be damaged as the source was.
    pub with_damage: bool,
    /// Records of it are lost: the new database lacks them.
    pub incomplete: bool,
}

/// Checks a new database that is complete, open as `db` in `file`: SQLite's own check on this connection, and
/// beside it, on connections of their own, counts and foreign keys, table by table, on the cores that there
/// are. With [`CheckLevel::None`] nothing is.
///
/// Errors: `Damaged`, `Count`.
pub(super) fn new_file(
    db: &Connection,
    (file, place): (&Path, &Path),
    level: CheckLevel,
    (schema, expected): (&Schema, &Expected),
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    if level == CheckLevel::None {
        return Ok(());
    }
    let counts = expected.rows.keys().map(|table| Part::Count(table));
    let keys = expected.foreign_keys.keys().map(|table| Part::Keys(table));
    let parts: Vec<Part<'_>> = keys.chain(counts).collect();
    let next = AtomicUsize::new(0);
    // Takes parts until none is left.
    let work = |db: &Connection| -> Result<Answers, TargetError> {
        let mut answers = Answers::default();
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            answers.add(part, db, place, schema)?;
        }
        Ok(answers)
    };
    let beside = || {
        let other = Connection::open_complete(file, false)
            .map_err(|cause| TargetError::of(place, "", cause))?;
        work(&other)
    };
    let rows = expected.rows.values();
    let cores = match rows.fold(0, |sum: u64, rows| sum.saturating_add(*rows)) {
        // Another connection is not worth its beginning for less.
        0..PARALLEL_FROM_ROWS => 1,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let mut of_itself = Vec::new();
    let (checked, answers) = std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(beside)).collect();
        let checked = integrity(db, place, level, expected, &mut of_itself);
        let mut answers = vec![work(db)];
        for other in others {
            answers.push(
                other
                    .join()
                    .unwrap_or_else(|p| std::panic::resume_unwind(p)),
            );
        }
        (checked, answers)
    });
    // A file that is damaged gives wrong counts: that it is damaged says more.
    checked?;
    let mut all = Answers::default();
    for answers in answers {
        all.join(answers?);
    }
    judge_counts(&all.counts, expected, findings)?;
    findings.extend(of_itself);
    judge_keys(&all.keys, place, expected, findings)?;
    full_text(db, place, schema, expected, findings)
}

/// Databases of so many rows are checked on several connections.
const PARALLEL_FROM_ROWS: u64 = 10_000;

/// One question about one table.
enum Part<'t> {
    Count(&'t str),
    Keys(&'t str),
}

/// What SQLite says of tables.
#[derive(Debug, Default)]
struct Answers {
    counts: BTreeMap<String, Result<u64, SqliteError>>,
    keys: BTreeMap<String, ForeignKeyCheck>,
}

impl Answers {
    fn add(
        &mut self,
        part: &Part<'_>,
        db: &Connection,
        place: &Path,
        schema: &Schema,
    ) -> Result<(), TargetError> {
        match part {
            Part::Count(table) => {
                let answer = count(db, place, table)?;
                self.counts.insert((*table).to_owned(), answer);
            }
            Part::Keys(table) => {
                let answer = verdict(db, place, table, schema)?;
                self.keys.insert((*table).to_owned(), answer);
            }
        }
        Ok(())
    }

    fn join(&mut self, other: Self) {
        self.counts.extend(other.counts);
        self.keys.extend(other.keys);
    }
}

/// Lines of SQLite's check that speak of values which the source held, too: they break a
/// constraint that was added, or switched off, after they were written.
const OF_VALUES: [&str; 4] = [
    "CHECK constraint failed in ",
    "NULL value in ",
    "NUMERIC value in ",
    "TEXT value in ",
];

/// True if a line of SQLite's check speaks of a value that breaks a constraint, not of damage.
pub fn of_values(line: &str) -> bool {
    // Of STRICT tables: `non-INT value in t.a`.
    let of_class = line.starts_with("non-") && line.contains(" value in ");
    of_class || OF_VALUES.iter().any(|start| line.starts_with(start))
}

/// True if a virtual table says that its index does not fit its content: both are kept.
pub fn of_module(line: &str) -> bool {
    line.contains("inverted index for FTS") || line.starts_with("In RTree ")
}

/// Runs SQLite's check. Damage is an error; values that break a constraint, indexes of virtual tables
/// that do not fit, and whatever the source had too, are findings: most sources are not checked. So
/// is a check that cannot run for want of a collation or a function.
pub(super) fn integrity(
    db: &Connection,
    path: &Path,
    level: CheckLevel,
    expected: &Expected,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    if level == CheckLevel::None {
        return Ok(());
    }
    let answer = check::integrity(db, level == CheckLevel::Full)
        .map_err(|cause| TargetError::of(path, "check", cause))?;
    for (table, reason) in answer.unchecked {
        let text = format!("SQLite cannot check it here: {reason}");
        findings.push(Finding::note(format!("table {table}"), text));
    }
    let mut lines = answer.lines;
    if expected.incomplete {
        // FTS5 says so where records of the tables behind it are lost; of the file itself it says nothing.
        let of_lost = |line: &mut String| line.starts_with("fts5: ");
        let lost = lines.extract_if(.., of_lost);
        let text = |line| Finding::warning("check", format!("{line}: records are lost"));
        findings.extend(lost.map(text));
    }
    let is_known =
        |line: &String| of_values(line) || of_module(line) || expected.complaints.contains(line);
    let (known, lines): (Vec<String>, Vec<String>) = lines.into_iter().partition(is_known);
    findings.extend(known.into_iter().map(|line| Finding::note("check", line)));
    if lines.is_empty() {
        return Ok(());
    }
    if expected.with_damage {
        let text = format!(
            "damaged, as the source was: {}",
            counted(lines.len() as u64, "complaint")
        );
        findings.push(Finding::warning("check", text));
        return Ok(());
    }
    Err(TargetError::Damaged {
        path: path.to_owned(),
        lines,
    })
}

/// Compares the number of rows.
pub(super) fn counts(
    db: &Connection,
    path: &Path,
    expected: &Expected,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    if expected.with_damage {
        return Ok(());
    }
    let mut found = BTreeMap::new();
    for table in expected.rows.keys() {
        found.insert(table.clone(), count(db, path, table)?);
    }
    judge_counts(&found, expected, findings)
}

/// Rows of a table; or why they cannot be counted here, for want of a function, say.
fn count(
    db: &Connection,
    path: &Path,
    table: &str,
) -> Result<Result<u64, SqliteError>, TargetError> {
    let count = || -> Result<i64, SqliteError> {
        let sql = format!("SELECT count(*) FROM main.{} NOT INDEXED", ident(table)?);
        Ok(db.integer(&sql)?.unwrap_or(0))
    };
    match count() {
        Ok(count) => Ok(Ok(count.unsigned_abs())),
        Err(error) if error.is_of_text() => Ok(Err(error)),
        Err(cause) => Err(TargetError::of(path, &format!("table {table}"), cause)),
    }
}

fn judge_counts(
    found: &BTreeMap<String, Result<u64, SqliteError>>,
    expected: &Expected,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    for (table, found) in found {
        let found = match found {
            Ok(found) => *found,
            Err(error) => {
                let text = format!("its records cannot be counted here: {}", error.message);
                findings.push(Finding::note(format!("table {table}"), text));
                continue;
            }
        };
        match expected.rows.get(table) {
            Some(&wanted) if wanted != found => {
                return Err(TargetError::Count {
                    table: table.clone(),
                    wanted,
                    found,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Has full-text indexes compared with their content, and the answers with the source's.
pub(super) fn full_text(
    db: &Connection,
    path: &Path,
    schema: &Schema,
    expected: &Expected,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    let answers = check::full_texts(db, &schema.full_text_tables())
        .map_err(|cause| TargetError::of(path, "check", cause))?;
    let mut lines = Vec::new();
    for (table, complaint) in answers {
        let wanted = expected.full_text.get(&table);
        if let Some(wanted) = wanted.filter(|wanted| **wanted != complaint) {
            let said = |complaint: &Option<String>| {
                complaint.clone().unwrap_or_else(|| "it fits".to_owned())
            };
            lines.push(format!(
                "table {table}: of its index and its content is said: {}; in the source: {}",
                said(&complaint),
                said(wanted)
            ));
        } else if let Some(complaint) = complaint {
            let source = match wanted {
                Some(_) => ", as in the source",
                None => "; of the source that is not known",
            };
            let text = format!("its index does not fit its content{source}: {complaint}");
            findings.push(Finding::note(format!("table {table}"), text));
        }
    }
    if expected.incomplete {
        let lost = |line| Finding::warning("check", format!("{line}: records are lost"));
        findings.extend(std::mem::take(&mut lines).into_iter().map(lost));
    }
    match lines.is_empty() || expected.damaged {
        true => Ok(()),
        false => Err(TargetError::Damaged {
            path: path.to_owned(),
            lines,
        }),
    }
}

/// Compares the foreign-key verdicts with the source's. A difference is damage: with the same rows
/// and the same parents the verdict is the same. That of a damaged source is only reported.
pub(super) fn foreign_keys(
    db: &Connection,
    (path, schema): (&Path, &Schema),
    expected: &Expected,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    let mut found = BTreeMap::new();
    for table in expected.foreign_keys.keys() {
        found.insert(table.clone(), verdict(db, path, table, schema)?);
    }
    judge_keys(&found, path, expected, findings)
}

/// SQLite's verdict on the foreign keys of a table.
fn verdict(
    db: &Connection,
    path: &Path,
    table: &str,
    schema: &Schema,
) -> Result<ForeignKeyCheck, TargetError> {
    let verdict = match schema.table(table) {
        Some(table) => check::foreign_keys(db, table, schema),
        None => check::by_pragma(db, table),
    };
    verdict.map_err(|cause| TargetError::of(path, &format!("table {table}"), cause))
}

fn judge_keys(
    found: &BTreeMap<String, ForeignKeyCheck>,
    path: &Path,
    expected: &Expected,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    let mut lines = Vec::new();
    for (table, found) in found {
        let place = format!("table {table}");
        let Some(wanted) = expected
            .foreign_keys
            .get(table)
            .filter(|wanted| *wanted != found)
        else {
            continue;
        };
        let text = format!(
            "its foreign keys are violated {} times, in the source {} times",
            described(found),
            described(wanted)
        );
        if expected.incomplete {
            let text = format!("{text}: records are lost");
            findings.push(Finding::warning(place, text));
        } else if expected.damaged {
            findings.push(Finding::warning(place, text));
        } else {
            lines.push(format!("{place}: {text}"));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(TargetError::Damaged {
        path: path.to_owned(),
        lines,
    })
}

fn described(check: &ForeignKeyCheck) -> String {
    match &check.defect {
        Some(defect) => format!("(unknown: {defect})"),
        None => {
            let sum = |sum: u64, count: &u64| sum.saturating_add(*count);
            check.violations.values().fold(0, sum).to_string()
        }
    }
}
