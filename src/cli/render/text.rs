//! Outcomes for people: one fact a line, columns aligned, nothing that breaks in a pipe.
//! What each command shows stands in its own file below.

pub mod backup;
pub mod copy;
pub mod diff;
pub mod forget;
pub mod import;
pub mod list;
pub mod parity;
pub mod prune;
pub mod repair;
pub mod restore;
pub mod show;
pub mod stats;
pub mod undo;
pub mod validate;
pub mod values;

use std::fmt::Write as _;

use crate::cli::hint::Advice;
use crate::cli::render::escape;
use crate::progress::Finding;
use crate::progress::Severity;

/// On which side a column's texts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows as aligned columns, two blanks apart; no line ends in blanks.
pub fn columns(indent: &str, sides: &[Side], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sides.len()).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (i, ((cell, side), width)) in row.iter().zip(sides).zip(&widths).enumerate() {
            if i > 0 {
                line.push_str("  ");
            }
            let _ = match side {
                Side::Left => write!(line, "{cell:<width$}"),
                Side::Right => write!(line, "{cell:>width$}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// `note: orders: …` or `warning: orders: …`
pub fn finding(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
    };
    let subject = escape::shown(&finding.subject);
    let separator = if subject.is_empty() { "" } else { ": " };
    format!(
        "{word}: {subject}{separator}{}\n",
        escape::shown(&finding.text)
    )
}

/// An error: one line, its causes if they are wanted, and what to do now.
pub fn error(advice: &Advice, causes: &[String]) -> String {
    let mut out = format!("error: {}\n", escape::shown(&advice.message));
    for cause in causes {
        let _ = writeln!(out, "  caused by: {}", escape::shown(cause));
    }
    for line in advice.next.iter().flat_map(|next| next.lines()) {
        let _ = writeln!(out, "  {}", escape::shown(line));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".into(), "1".into(), String::new()],
            vec!["größe".into(), "3,738".into(), "x".into()],
        ];
        let sides = [Side::Left, Side::Right, Side::Left];
        assert_eq!(
            columns("  ", &sides, &rows),
            "  a          1\n  größe  3,738  x\n"
        );
    }

    #[test]
    fn findings_and_errors_are_one_line_each() {
        let note = Finding::note("ord\ners", "3 records kept");
        assert_eq!(finding(&note), "note: ord\\ners: 3 records kept\n");
        let advice = Advice {
            message: "no store".into(),
            next: Some("Make one.\nOr not.".into()),
        };
        assert_eq!(
            error(&advice, &["io".into()]),
            "error: no store\n  caused by: io\n  Make one.\n  Or not.\n"
        );
    }
}
