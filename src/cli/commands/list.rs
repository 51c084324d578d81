//! `larder list`: the snapshots of a store, newest first.

use std::path::Path;
use std::path::PathBuf;

use crate::cli::args;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::paths;
use crate::cli::paths::Place;
use crate::cli::render::escape;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::error::Error;
use crate::ops;
use crate::ops::open::PathKind;
use crate::ops::open::Store;
use crate::progress::Finding;
use crate::progress::Severity;

/// Show the snapshots of a store, newest first
///
/// For each: its name, short id, local date, number of entity files and records, the bytes that it
/// added to the store, its source and its tags. A folder that is no store but holds stores lists them all; an
/// export is one line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder list
  larder list ./export
  larder backup-list --dir ./backups/
  larder list --forgotten

Snapshots that a restore or an undo took are tagged before-restore and after-restore; `latest` passes over
them.")]
pub struct ListArgs {
    /// A store, a folder with stores in it, or an export, in place of --store [default: the store]
    #[arg(value_name = "DIR|FILE.zip", conflicts_with = "dir")]
    place: Option<PathBuf>,
    /// The same, as larder's ancestor has it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Show those that are forgotten, and until when they can be taken back for certain
    #[arg(long)]
    forgotten: bool,
}

/// Lists the store, or the stores of a folder. `ancestor`: as with `--dir`, a place without any
/// store is no failure.
pub fn run(args: &ListArgs, cx: &mut Context<'_>, ancestor: bool) -> Result<Code, Failure> {
    let dir = args::given(args.dir.as_ref().or(args.place.as_ref()));
    let may_be_empty = ancestor || dir.is_some();
    let folder = dir.unwrap_or_else(|| cx.store.clone());
    if cx.kind(&folder)?.is_export() {
        if args.forgotten {
            let shown = escape::path(&folder);
            let message = format!("{shown} is an export: nothing in it is forgotten");
            return Err(Failure::usage(
                message,
                "Name a store, or leave out --forgotten.",
            ));
        }
        let summary = ops::import::look(&folder, &cx.world)?;
        cx.answer(&json::import::list(&summary), |look| {
            text::import::list(&summary, look)
        });
        return Ok(Code::Ok);
    }
    let Some(stores) = stores(&folder, may_be_empty, cx)? else {
        cx.answer(&json::list([]), |_| {
            format!("No backups found in {}\n", escape::path(&folder))
        });
        return Ok(Code::Ok);
    };
    if args.forgotten {
        let (listed, code) = each(stores, cx, ops::list::forgotten)?;
        tell(listed.iter().flat_map(|(_, o)| &o.findings), cx);
        cx.answer(&json::forget::list(pairs(&listed)), |look| {
            let texts = pairs(&listed).map(|(path, o)| text::list::forgotten(o, path, look));
            texts.collect::<Vec<_>>().join("\n")
        });
        let codes = listed.iter().map(|(_, o)| exit::of_forgotten(o));
        return Ok(codes.fold(code, Code::and));
    }
    let (listed, code) = each(stores, cx, ops::list::run)?;
    tell(listed.iter().flat_map(|(_, o)| &o.findings), cx);
    cx.answer(&json::list(pairs(&listed)), |look| {
        let texts = pairs(&listed).map(|(path, o)| text::list::list(o, path, look));
        texts.collect::<Vec<_>>().join("\n")
    });
    let codes = listed.iter().map(|(_, outcome)| exit::of_list(outcome));
    Ok(codes.fold(code, Code::and))
}

/// What each store says, and the code of those that could not be read.
fn each<O>(
    stores: Vec<PathBuf>,
    cx: &mut Context<'_>,
    list: fn(&Store) -> Result<O, Error>,
) -> Result<(Vec<(PathBuf, O)>, Code), Failure> {
    let mut listed = Vec::new();
    let (several, mut code) = (stores.len() > 1, Code::Ok);
    for path in stores {
        let outcome = cx.open(&path).and_then(|store| Ok(list(&store)?));
        match outcome {
            Ok(outcome) => listed.push((path, outcome)),
            // One that cannot be read says nothing of the others.
            Err(failure) if several => code = code.and(cx.go_on_after(failure)?),
            Err(failure) => return Err(failure),
        }
    }
    Ok((listed, code))
}

fn pairs<O>(listed: &[(PathBuf, O)]) -> impl Iterator<Item = (&Path, &O)> {
    listed
        .iter()
        .map(|(path, outcome)| (path.as_path(), outcome))
}

fn tell<'f>(findings: impl Iterator<Item = &'f Finding>, cx: &mut Context<'_>) {
    if cx.global.json {
        return;
    }
    for finding in findings {
        if !(cx.global.quiet && finding.severity == Severity::Note) {
            cx.streams.problem(&text::finding(finding));
        }
    }
}

/// The stores to list; `None` if the folder is there and holds none, which `may_be_empty` allows.
fn stores(
    folder: &Path,
    may_be_empty: bool,
    cx: &Context<'_>,
) -> Result<Option<Vec<PathBuf>>, Failure> {
    match cx.kind(folder)? {
        PathKind::EmptyFolder if may_be_empty => return Ok(None),
        PathKind::Folder { stores } if stores.is_empty() && may_be_empty => return Ok(None),
        PathKind::Store
        | PathKind::Absent
        | PathKind::EmptyFolder
        | PathKind::Folder { .. }
        | PathKind::ExportFolder
        | PathKind::ExportZip
        | PathKind::File => {}
    }
    match paths::whole(folder, &|path| cx.kind(path))? {
        Place::Store(store) | Place::Snapshot { store, .. } => Ok(Some(vec![store])),
        Place::Folder { stores, .. } => Ok(Some(stores)),
        Place::Export(path) => Err(paths::no_store(&path, &PathKind::ExportFolder)),
    }
}
