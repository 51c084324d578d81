//! What now, where a snapshot cannot be restored whole: what is affected, and how the rest is had.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::error::LostRecords;
use crate::error::NotWhole;
use crate::error::NotWholePart;

/// Ranges that are listed; a validation lists all.
const RANGES_SHOWN: usize = 20;

/// What now, of a damaged snapshot.
pub(super) fn not_whole(error: &NotWhole, look: &Look) -> String {
    let repair = look.command(&look.store, &["repair".as_ref()]);
    let snapshot = OsStr::new(&error.snapshot);
    let target = error.target.as_deref();
    let new_file = target.unwrap_or(Path::new("rescued.db")).as_os_str();
    let restore = |more: &[&'static str]| {
        let mut words: Vec<&OsStr> = vec!["restore".as_ref(), snapshot, "--to".as_ref(), new_file];
        words.extend(more.iter().map(OsStr::new));
        look.command(&look.store, &words)
    };
    let mut next = String::new();
    match &error.lost {
        NotWholePart::Schema(_) => {
            next.push_str("Another snapshot may be whole: ");
            next.push_str(&look.command(&look.store, &["validate".as_ref()]));
        }
        NotWholePart::Records(lost) => {
            list(lost, &mut next);
            let more = if lost.len() > RANGES_SHOWN {
                let words = ["validate".as_ref(), snapshot];
                format!(
                    "All of it is listed by: {}\n",
                    look.command(&look.store, &words)
                )
            } else {
                String::new()
            };
            let what = match target {
                Some(_) => "Everything else can be restored",
                None => "Everything else can be restored, into a new file",
            };
            let _ = write!(next, "{more}{what}: {}", restore(&["--allow-damaged"]));
        }
        NotWholePart::Pages(lost) => {
            list(lost, &mut next);
            let _ = write!(
                next,
                "Pages are restored all or none. Its records may be whole: {}",
                restore(&["--from", "records"])
            );
        }
    }
    let _ = write!(next, "\nWhat is damaged may be healed by: {repair}");
    next
}

/// All of them, unless the message itself names the only one.
fn list(lost: &[LostRecords], out: &mut String) {
    if lost.len() == 1 {
        return;
    }
    for lost in lost.iter().take(RANGES_SHOWN) {
        let (kind, id) = &lost.blob;
        let _ = writeln!(
            out,
            "  {}, {}: {kind} {}…: {}",
            escape::shown(&lost.table),
            range(lost),
            id.get(..8).unwrap_or(id),
            escape::shown(&lost.cause)
        );
    }
    if lost.len() > RANGES_SHOWN {
        let more = figures::count((lost.len() - RANGES_SHOWN) as u64);
        let _ = writeln!(out, "  and {more} more");
    }
}

fn range(lost: &LostRecords) -> String {
    match lost.records {
        1 => lost.range(),
        n => format!("{} ({})", lost.range(), figures::counted(n, "record")),
    }
}
