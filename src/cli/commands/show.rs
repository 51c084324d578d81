//! `larder show`: what a snapshot is made of.

use std::ffi::OsString;

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::ops::select::SourceChoice;
use crate::ops::show;

/// Show what a snapshot is made of
///
/// Its facts, and per entity file: exported name, records, bytes, import order, root of its tree and
/// the entities it refers to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  larder show latest\n  larder show latest --blobs")]
pub struct ShowArgs {
    /// The snapshot: id, its first digits, name, latest, latest~N, STORE/NAME; a store means its latest
    #[arg(value_name = "SNAP")]
    snapshot: OsString,
    /// List every blob: kind, BLAKE3 id, pack, plain and stored bytes, shared or new [default: no blobs]
    #[arg(long)]
    blobs: bool,
}

/// Shows it.
pub fn run(args: &ShowArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let selected = cx.one(&args.snapshot, &SourceChoice::Any)?;
    let manifest = &selected.manifest;
    let blobs = if args.blobs {
        Some(show::blobs(&selected.store, manifest)?)
    } else {
        None
    };
    cx.answer(&json::show(manifest, blobs.as_deref()), |look| {
        let mut out = text::show::show(manifest, look);
        if let Some(blobs) = &blobs {
            out.push('\n');
            out.push_str(&text::show::blobs(blobs));
        }
        out
    });
    Ok(Code::Ok)
}
