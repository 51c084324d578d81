//! What of a source is damaged: what its scan passed over, and what SQLite's own check says.

use crate::error::Error;
use crate::format::manifest::{FullTextVerdict, Integrity, IntegrityCheck};
use crate::model::counted::counted;
use crate::model::schema::Table;
use crate::progress::{Finding, Progress, Unit};
use crate::source::{Capture, CheckBeside, Gap, Scanned};
use crate::target::{of_module, of_values};

/// Complaints of SQLite's check that are told one by one.
const LINES_TOLD: u64 = 12;

/// Gaps that are named in one line.
const GAPS_NAMED: usize = 3;

/// What SQLite's check came to.
pub(super) struct Checked {
    pub integrity: Integrity,
    pub full_text: Vec<FullTextVerdict>,
    pub findings: Vec<Finding>,
    /// A complaint is of the database's structure, not of values that break a rule.
    pub damaged: bool,
}

/// Has SQLite check the source, unless it has done so `beside`. If this was `asked` for, a copy is made for it where it
/// needs one.
pub(super) fn check(
    capture: &Capture,
    level: IntegrityCheck,
    beside: Option<CheckBeside>,
    asked: bool,
    progress: &mut dyn Progress,
) -> Result<Checked, Error> {
    progress.phase("Checking the database", 0, Unit::Records);
    let answer = match beside {
        Some(beside) => beside.end()?,
        None => capture.check(level == IntegrityCheck::IntegrityCheck)?,
    };
    let owners = capture.owners_of_pages()?;
    let mut findings: Vec<Finding> = answer
        .unchecked
        .iter()
        .map(|(table, reason)| {
            let text = format!("SQLite cannot check it here: {reason}");
            Finding::note(table.clone(), text)
        })
        .collect();
    let (mut damaged, mut told, mut unused) = (false, 0_u64, 0_u64);
    for line in &answer.lines {
        let owner = page_tree(line).and_then(|(root, rest)| Some((owners.get(&root)?, rest)));
        if of_values(line) || of_module(line) {
            findings.push(Finding::note("check", format!("{line} (kept as it is)")));
            continue;
        }
        damaged = true;
        // What hung on a damaged page is used by nothing.
        if line.ends_with(": never used") {
            unused += 1;
            continue;
        }
        told += 1;
        if told > LINES_TOLD {
            continue;
        }
        findings.push(match owner {
            Some((owner, rest)) => Finding::warning(owner.clone(), format!("damaged: {rest}")),
            None => Finding::warning("check", format!("damaged: {line}")),
        });
    }
    for (count, what) in [
        (
            told.saturating_sub(LINES_TOLD),
            "more complaints of SQLite's check",
        ),
        (unused, "pages that nothing uses"),
    ] {
        if count > 0 {
            findings.push(Finding::warning(
                "check",
                format!("damaged: {count} {what}"),
            ));
        }
    }
    let full_text = match asked || capture.has_copy() {
        true => full_text(capture)?,
        false => Vec::new(),
    };
    findings.extend(full_text.iter().filter_map(|verdict| {
        let complaint = verdict.complaint.as_ref()?;
        let text = format!("its index does not fit its content: {complaint} (kept as it is)");
        Some(Finding::note(verdict.table.clone(), text))
    }));
    let mut complaints = answer.lines;
    complaints.truncate(Integrity::LINES_MAX);
    Ok(Checked {
        integrity: Integrity {
            check: level,
            complaints,
        },
        full_text,
        findings,
        damaged,
    })
}

fn full_text(capture: &Capture) -> Result<Vec<FullTextVerdict>, Error> {
    let verdict = |(table, complaint)| FullTextVerdict { table, complaint };
    let checked = capture.check_full_text()?;
    Ok(checked.into_iter().map(verdict).collect())
}

/// Root page, and what is said, of a line like `Tree 5 page 812 cell 3: …`.
fn page_tree(line: &str) -> Option<(i64, &str)> {
    let (root, rest) = line.strip_prefix("Tree ")?.split_once(' ')?;
    Some((root.parse().ok()?, rest))
}

/// The finding for what a scan passed over.
pub(super) fn of_scan(table: &Table, scanned: &Scanned) -> Option<Finding> {
    let cause = &scanned.gaps.first()?.cause;
    let named: Vec<String> = scanned.gaps.iter().take(GAPS_NAMED).map(place).collect();
    let others = scanned.gap_count.saturating_sub(named.len() as u64);
    let others = match others {
        0 => String::new(),
        n => format!(" and at {}", counted(n, "more place")),
    };
    let text = format!(
        "{} kept; others {}{others} cannot be read ({cause})",
        counted(scanned.rows, "record"),
        named.join(", "),
    );
    Some(Finding::warning(table.name.clone(), text))
}

fn place(gap: &Gap) -> String {
    match (gap.from, gap.to) {
        (Some(i64::MIN), Some(to)) => format!("with rowid up to {to}"),
        (Some(i64::MIN), None) => "of this table".to_owned(),
        (Some(from), Some(to)) if from == to => format!("with rowid {from}"),
        (Some(from), Some(to)) => format!("with rowid {from} to {to}"),
        (Some(from), None) => format!("from rowid {from} on"),
        (None, _) => format!("behind the first {}", gap.behind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_a_complaint_is_told() {
        assert_eq!(
            page_tree("Tree 5 page 812 cell 3: Rowid 7 out of order"),
            Some((5, "page 812 cell 3: Rowid 7 out of order"))
        );
        assert_eq!(page_tree("Page 9: never used"), None);
        assert_eq!(page_tree("Tree x page 1: y"), None);
    }
}
