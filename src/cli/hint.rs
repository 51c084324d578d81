//! What now: advice for people, per error. The library's errors say what and which; only here do
//! commands get named.

mod not_whole;
mod select;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use self::select::nearest;
use self::select::select;
use crate::cli::paths::A_FILE;
use crate::cli::paths::AN_EXPORT;
use crate::cli::quote;
use crate::cli::render::Look;
use crate::error::A_DATABASE;
use crate::error::A_STORE;
use crate::error::Error;
use crate::error::ExportError;
use crate::error::ImportError;
use crate::error::SourceError;
use crate::error::StoreError;
use crate::error::TargetError;

/// What a person is told of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What, and which.
    pub message: String,
    /// What now; may have several lines.
    pub next: Option<String>,
}

/// What a person is told of an error.
pub fn advise(error: &Error, look: &Look) -> Advice {
    let mut message = error.to_string();
    let next = match error {
        Error::Source(error) => source(error),
        Error::Store(error) => {
            if let StoreError::NoStore { found, .. } = error {
                let _ = write!(message, " ({found})");
            }
            store(error, look)
        }
        Error::Target(error) => target(error, look),
        Error::Export(error) => export(error),
        Error::Import(error) => import(error, look),
        Error::Select(error) => {
            if let Some(nearest) = nearest(error) {
                let _ = write!(message, "; did you mean {nearest:?}?");
            }
            select(error, look)
        }
        Error::Safety(cause) => {
            let next = store(cause, look).map_or(String::new(), |next| format!("{next}\n"));
            Some(format!(
                "{next}Nothing was written. --no-safety-snapshot goes without it: then it cannot be undone."
            ))
        }
        Error::NotWhole(error) => Some(not_whole::not_whole(error, look)),
        Error::Cancelled => Some("Nothing that counts was changed; run it again.".to_owned()),
    };
    Advice { message, next }
}

/// Where temporary files are. SQLite looks elsewhere than we do, if nobody says where.
fn temporary_files() -> String {
    match std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => quote::word(&folder),
        None => "/tmp and /var/tmp".to_owned(),
    }
}

fn source(error: &SourceError) -> Option<String> {
    let next = match error {
        SourceError::Busy { waited, .. } => {
            return Some(format!(
                "Try again when it is quieter, or raise --deadline (now {} s).",
                waited.as_secs_f64()
            ));
        }
        SourceError::LockTooLong { max, .. } => {
            return Some(format!(
                "Try again when the disk is quieter, or raise --max-lock (now {} s).",
                max.as_secs_f64()
            ));
        }
        SourceError::WalGrew { max_bytes, .. } => {
            return Some(format!(
                "Try again when it is quieter, or raise --max-wal (now {} MiB).",
                max_bytes >> 20
            ));
        }
        SourceError::WalNeedsWrite { .. } => {
            "Run it as a user who may write there. If nobody writes to it (read-only media, a copy), say \
             --immutable."
        }
        SourceError::WalOverNetwork { .. } => {
            "Run it on the machine where the file lies. If nobody writes to it meanwhile, say --immutable."
        }
        SourceError::WrittenMeanwhile { .. } => "Try again when it is quieter.",
        SourceError::Changed { .. } => "Try again: another file stands in its place now.",
        SourceError::NotADatabase { .. } => "Give a database file.",
        SourceError::NeedsRecovery { .. } => {
            "Open it once with its application, or run this as a user who may write it. If nobody writes to it, \
             say --immutable: then a copy is rolled back."
        }
        SourceError::Corrupt { .. } => {
            "Look at it with: sqlite3 DATABASE \"PRAGMA integrity_check\". An older snapshot may be whole."
        }
        SourceError::NotAllCarried { .. } => {
            "Leave out --strict to take the snapshot as far as it goes."
        }
        SourceError::NoSpace { .. } => {
            return Some(format!(
                "Free some space in {}, or set TMPDIR to another folder.",
                temporary_files()
            ));
        }
        _ => return None,
    };
    Some(next.to_owned())
}

fn target(error: &TargetError, look: &Look) -> Option<String> {
    let next = match error {
        TargetError::Exists { .. } => "Give a file that does not exist yet, or move this one away.",
        TargetError::Busy { .. } => {
            "Nothing was written. Try again when it is quieter, or raise --deadline."
        }
        TargetError::Damaged { path, .. } => return Some(damaged(path, look)),
        TargetError::Denied { .. } => {
            "Nothing was written. Run it as a user who may write the file and its folder, or restore into a new \
             file elsewhere."
        }
        TargetError::NotADatabase { .. } => "Give a database, or a file that does not exist yet.",
        TargetError::OtherApplication { .. } => {
            "Nothing was written: it belongs to another application. Restore into a new file instead."
        }
        TargetError::LosesTables { path, .. } => return Some(loses_tables(path, look)),
        TargetError::OtherForm { .. } => {
            "Nothing was written: that cannot be changed under those who have it open. Leave out --replace-file to \
             go record by record, or restore into a new file."
        }
        TargetError::Constraint { .. } => {
            "Nothing was written: the record breaks a rule of its own schema. All records can be had with: \
             larder export"
        }
        TargetError::NoColumn { columns, .. } => {
            return Some(format!("It has: {}", columns.join(", ")));
        }
        TargetError::NoRenamed {
            table,
            place,
            columns,
            ..
        } => {
            return Some(format!(
                "Left stands the snapshot's column, right the database's. In {place} {table} has: {}",
                columns.join(", ")
            ));
        }
        TargetError::BadExpression { reason, .. } if is_unbalanced(reason) => {
            "Nothing was written. A bracket or quote in it is not closed, or closed once too often."
        }
        TargetError::BadExpression { .. } => {
            "Nothing was written. It is an SQL expression over the columns of the snapshot's table, as: total > 100"
        }
        TargetError::LongKey { .. } => {
            "Name the other tables with --table; a new file gets this one whole."
        }
        TargetError::BadRename { .. } => {
            "Each column takes its values from one column: rename every one that moves, and each once."
        }
        TargetError::BadDecision { .. } => {
            "Nothing was written. Change it in the file of decisions."
        }
        TargetError::NoFolder { .. } => "Make the folder first, or give another place.",
        TargetError::NoSpace { .. } | TargetError::LittleSpace { .. } => {
            "Free some space there; nothing was written."
        }
        _ => return None,
    };
    Some(next.to_owned())
}

fn damaged(path: &Path, look: &Look) -> String {
    format!(
        "Nothing was written to it. Restore into a new file: --to restored.db\n\
         What can still be read of it is kept by: {} backup {}",
        look.program,
        quote::word(path.as_os_str())
    )
}

fn loses_tables(path: &Path, look: &Look) -> String {
    format!(
        "Nothing was written: --replace-file would lose what they hold. Leave it out, and they stay as they are; or drop \
         them.\nWhat they hold is kept by: {} backup {}",
        look.program,
        quote::word(path.as_os_str())
    )
}

/// What SQLite says of an expression that ends too early, or too late.
fn is_unbalanced(reason: &str) -> bool {
    reason.contains("incomplete input")
        || reason.contains("near \")\"")
        || reason.contains("unrecognized token")
}

fn export(error: &ExportError) -> Option<String> {
    let next = match error {
        ExportError::Exists { .. } | ExportError::NotEmpty { .. } => {
            "Give a folder or file that does not exist yet."
        }
        _ => return None,
    };
    Some(next.to_owned())
}

fn import(error: &ImportError, look: &Look) -> Option<String> {
    let next = match error {
        ImportError::NotAnExport { path, found } if *found == A_DATABASE => {
            return Some(format!(
                "A database is backed up with: {} backup {}",
                look.program,
                quote::word(path.as_os_str())
            ));
        }
        ImportError::NotAnExport { path, found } if *found == A_STORE => {
            return Some(format!(
                "Its snapshots are copied into another store with: {} copy {} --to STORE",
                look.program,
                quote::word(path.as_os_str())
            ));
        }
        ImportError::NotAnExport { .. } => {
            "Give the folder or zip that holds manifest.json, as larder export makes it."
        }
        ImportError::Damaged { path, damage } if damage.len() > 1 => {
            return Some(format!(
                "Nothing was taken from it. All of it is listed by: {} validate {}",
                look.program,
                quote::word(path.as_os_str())
            ));
        }
        ImportError::Damaged { .. } => {
            "Nothing was taken from it. Look for another copy of the file."
        }
        ImportError::Zip { .. } | ImportError::Manifest { .. } => {
            "Nothing was taken from it. Look for another copy."
        }
        ImportError::Version { .. } => "Use the version of larder that wrote it, or a newer one.",
        ImportError::UnsafeName { .. }
        | ImportError::Duplicate { .. }
        | ImportError::TooMuch { .. }
        | ImportError::Refused { .. } => "Nothing was taken from it.",
        _ => return None,
    };
    Some(next.to_owned())
}

/// Where backups and prunes met.
fn beside_others(error: &StoreError) -> &'static str {
    match error {
        StoreError::Fenced { .. } => "The store is as it was; run the backup again.",
        StoreError::CleanUpAtWork { .. } | StoreError::Overtaken => {
            "Wait until it has ended; backups need not wait."
        }
        StoreError::WriterAtWork { .. } => {
            "What snapshots need is as it was. Run it again when the backup has ended, or wait longer with --max-wait."
        }
        StoreError::Pruned { .. } => {
            "It cannot be had back; what newer snapshots hold is as it was."
        }
        _ => "Run it again.",
    }
}

fn store(error: &StoreError, look: &Look) -> Option<String> {
    match error {
        StoreError::NoStore { found, .. } if *found == A_FILE => {
            Some("Give the folder of a store.".to_owned())
        }
        StoreError::NoStore { location, found } if *found == AN_EXPORT => Some(format!(
            "It is taken into a store with: {} import {}",
            look.program,
            quote::word(OsStr::new(location))
        )),
        StoreError::NoStore { location, .. } => Some(format!(
            "Name the store with --store DIR or in LARDER_STORE. A new one is made with: {}",
            look.command(Path::new(location), &["init".as_ref()])
        )),
        StoreError::Exists { location } => Some(format!(
            "It can be used as it is: {}",
            look.command(Path::new(location), &["list".as_ref()])
        )),
        StoreError::Same { .. } | StoreError::Within { .. } => Some(
            "Give another store with --to, or a folder that is empty or does not exist yet."
                .to_owned(),
        ),
        StoreError::NotEmpty { .. } => {
            Some("Give a store, or a folder that is empty or does not exist yet.".to_owned())
        }
        StoreError::Unsupported { .. } => {
            Some("Use the version of larder that wrote it, or a newer one.".to_owned())
        }
        StoreError::WrongPages { .. }
        | StoreError::Fenced { .. }
        | StoreError::CleanUpAtWork { .. }
        | StoreError::Overtaken
        | StoreError::WriterAtWork { .. }
        | StoreError::Pruned { .. }
        | StoreError::TooOld { .. } => Some(beside_others(error).to_owned()),
        StoreError::StillNeeded { .. } => Some(format!(
            "Heal it first: {}",
            look.command(&look.store, &["repair".as_ref()])
        )),
        StoreError::Damaged { .. } | StoreError::Blob(_) => Some(format!(
            "What is affected, and what is not, says: {}",
            look.command(&look.store, &["validate".as_ref()])
        )),
        StoreError::Encoding { .. } => Some(
            "The machine's memory may be faulty; test it, then run the backup again.".to_owned(),
        ),
        StoreError::Backend(_) if error.is_denied() => Some(
            "The store belongs to another user, or its disk is read-only: ask for permission, or name another place."
                .to_owned(),
        ),
        StoreError::Backend(_) if error.is_no_space() => Some(format!(
            "The disk of the store is full; what is in the store is whole. Free some space there, or delete what is \
             not needed: {program} forget, then {program} prune. They need 64 KiB themselves; a store of 1 MiB and more keeps that back, \
             for a few snapshots at a time.",
            program = look.program
        )),
        StoreError::Backend(_) => None,
        StoreError::Census(_) | StoreError::Scratch(_) => Some(format!(
            "Free some space in {}, or set TMPDIR to another folder.",
            temporary_files()
        )),
        StoreError::Cache(_) => Some(
            "The cache holds nothing that the store lacks: delete it, or name another folder with \
             --cache-dir or LARDER_CACHE_DIR."
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SelectError;

    #[test]
    fn an_error_says_what_and_what_now() {
        let look = Look::for_tests();
        let no_store = Error::Store(StoreError::NoStore {
            location: "/mnt/bkp".into(),
            found: "nothing is there",
        });
        let advice = advise(&no_store, &look);
        assert_eq!(advice.message, "no store at /mnt/bkp (nothing is there)");
        assert_eq!(
            advice.next.as_deref(),
            Some(
                "Name the store with --store DIR or in LARDER_STORE. A new one is made with: \
                 larder init --store /mnt/bkp"
            )
        );
        let unknown = Error::Select(SelectError::NoSnapshot {
            word: "lastest".into(),
            store: "./backups".into(),
            nearest: Some("latest".into()),
        });
        let advice = advise(&unknown, &look);
        assert_eq!(
            advice.message,
            "no snapshot \"lastest\" in ./backups; did you mean \"latest\"?"
        );
        assert_eq!(
            advice.next.as_deref(),
            Some("Snapshots are listed with: larder list")
        );
    }

    /// A limit is told with its value now: else nobody knows what to raise it to.
    #[test]
    fn a_limit_that_was_reached_is_named_with_its_value() {
        let path = || Path::new("app.db").to_owned();
        let seconds = std::time::Duration::from_secs;
        for (error, option) in [
            (
                SourceError::LockTooLong {
                    path: path(),
                    max: seconds(30),
                },
                "--max-lock (now 30 s)",
            ),
            (
                SourceError::WalGrew {
                    path: path(),
                    grown_bytes: 3 << 30,
                    max_bytes: 1 << 30,
                },
                "--max-wal (now 1024 MiB)",
            ),
        ] {
            let advice = advise(&Error::Source(error), &Look::for_tests());
            assert!(advice.message.starts_with("app.db was given up: "));
            assert!(advice.next.is_some_and(|next| next.contains(option)));
        }
    }

    /// What a database that cannot be written leaves: another place.
    #[test]
    fn a_database_that_cannot_be_written_leads_to_another_file() {
        for error in [
            TargetError::Denied {
                path: "app.db".into(),
                cause: "it is read-only".into(),
            },
            TargetError::Damaged {
                path: "app.db".into(),
                lines: vec!["page 2".into()],
            },
        ] {
            let next = advise(&Error::Target(error), &Look::for_tests())
                .next
                .unwrap();
            assert!(next.starts_with("Nothing was written"), "{next}");
            assert!(next.contains("new file"), "{next}");
        }
    }
}
