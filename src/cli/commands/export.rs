//! `larder export`: a snapshot as a folder or zip of JSON files.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::json;
use crate::ops;
use crate::ops::export::{ExportForm, ExportOptions};
use crate::ops::select::SourceChoice;

/// Write a snapshot as a folder or zip of JSON files
///
/// A manifest.json and one file per entity, with every record. Nothing that exists is overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder export latest -o ./export
  larder export latest -o export.zip")]
pub struct ExportArgs {
    /// The snapshot: id, its first digits, name, latest, latest~N, STORE/NAME; a store means its latest
    #[arg(value_name = "SNAP")]
    snapshot: OsString,
    /// The folder or zip to make; must not exist (an empty folder may)
    #[arg(short, long, value_name = "DIR|FILE.zip")]
    output: PathBuf,
    /// Write a zip [default: if the output's name ends in .zip]
    #[arg(long)]
    zip: bool,
}

/// Exports it.
pub fn run(args: &ExportArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let selected = cx.one(&args.snapshot, &SourceChoice::Any)?;
    let is_zip = args.zip || is_zip(&args.output);
    let options = ExportOptions {
        form: if is_zip {
            ExportForm::Zip
        } else {
            ExportForm::Folder
        },
        entities: Vec::new(),
    };
    let mut reporter = cx.reporter();
    let outcome = ops::export::run(
        &selected.store,
        &selected.manifest,
        &args.output,
        &options,
        &mut reporter,
    )?;
    reporter.finish(&[]);
    cx.show(&json::export(&outcome, &selected.manifest), |_| {
        format!(
            "Exported {} to {}: {}, {}, {}\n",
            escape::shown(&selected.manifest.name),
            escape::path(&outcome.path),
            figures::counted(outcome.files, "entity file"),
            figures::counted(outcome.records, "record"),
            figures::bytes(outcome.bytes)
        )
    });
    Ok(Code::Ok)
}

fn is_zip(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}
