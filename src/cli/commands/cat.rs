//! `larder cat`: the records of one entity, on stdout.

use std::ffi::OsStr;

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::ops::export;
use crate::ops::export::RecordForm;
use crate::ops::select::SourceChoice;
use crate::ops::show::Manifest;
use crate::progress::NoProgress;

/// Write the records of one entity to stdout
///
/// In key order. SNAP:orders gives one JSON object a line, SNAP:orders.json the document that
/// `export` writes for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder cat latest:orders
  larder cat latest:orders.json
  larder cat backup_20261123_211530:orders --csv
  larder cat ./backups/b1:orders")]
pub struct CatArgs {
    /// A snapshot and an entity of it: a table, or its exported file; split at the first colon
    #[arg(value_name = "SNAP:ENTITY")]
    what: String,
    /// Write CSV with a head line [default: JSON]
    #[arg(long)]
    csv: bool,
}

/// Writes them.
pub fn run(args: &CatArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let Some((word, entity)) = split(&args.what) else {
        return Err(Failure::usage(
            format!("{:?} names no entity", args.what),
            format!(
                "Give a snapshot, a colon and an entity: {} cat latest:orders",
                cx.look.program
            ),
        ));
    };
    let selected = cx.one(OsStr::new(word), &SourceChoice::Any)?;
    let form = form(entity, args.csv, &selected.manifest);
    export::cat(
        &selected.store,
        &selected.manifest,
        entity,
        form,
        &mut *cx.streams,
        &mut NoProgress,
    )?;
    Ok(Code::Ok)
}

/// The snapshot's word and the entity. No name of a snapshot has a colon; one of a table may.
fn split(what: &str) -> Option<(&str, &str)> {
    what.split_once(':')
        .filter(|(word, entity)| !word.is_empty() && !entity.is_empty())
}

/// A name that ends in `.json` asks for the document, unless a table has just that name.
fn form(entity: &str, csv: bool, manifest: &Manifest) -> RecordForm {
    if csv {
        RecordForm::Csv
    } else if entity.ends_with(".json") && manifest.entity(entity).is_none() {
        RecordForm::Document
    } else {
        RecordForm::Lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_separates_snapshot_and_entity() {
        assert_eq!(split("latest:orders"), Some(("latest", "orders")));
        assert_eq!(split("./b/b1:a:b.json"), Some(("./b/b1", "a:b.json")));
        for wrong in ["latest", "latest:", ":orders", ""] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }
}
