//! `larder validate`: reads snapshots and says whether all of them is there and right.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::paths;
use crate::cli::paths::Place;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::cli::render::text::validate::ValidateView;
use crate::ops;
use crate::ops::select;
use crate::ops::select::SourceChoice;
use crate::ops::validate::ValidateOptions;

/// Read snapshots and say whether all of them is there and right
///
/// Reads every blob and checks it against its id, keys against their order, and counts against
/// what was recorded. Damage is named with the records and snapshots that it affects: exit code 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder validate
  larder validate latest --quick
  larder backup-validate ./backups/b1")]
pub struct ValidateArgs {
    /// Snapshots: ids, names, latest, latest~N, STORE/NAME; a store means all of its [default: all]
    #[arg(value_name = "SNAP")]
    snapshots: Vec<OsString>,
    /// Look at the structure only: is every blob that is needed in some pack? [default: read all]
    #[arg(long)]
    quick: bool,
}

/// A store, and the words for its snapshots; none: all of them.
struct Task {
    store: PathBuf,
    words: Vec<String>,
}

/// Validates, one store after the other.
pub fn run(args: &ValidateArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let mut code = Code::Ok;
    for task in tasks(args, cx)? {
        code = code.and(validate(&task, args.quick, cx)?);
    }
    Ok(code)
}

/// The stores that the words name, each once.
fn tasks(args: &ValidateArgs, cx: &Context<'_>) -> Result<Vec<Task>, Failure> {
    let mut places = Vec::new();
    for word in &args.snapshots {
        places.push(cx.place(word)?);
    }
    if places.is_empty() {
        places.push(paths::whole(&cx.store, &|path| cx.kind(path))?);
    }
    let mut tasks: Vec<Task> = Vec::new();
    for place in places {
        match place {
            Place::Snapshot { store, word } => {
                let same =
                    |task: &&mut Task| !task.words.is_empty() && paths::same(&task.store, &store);
                match tasks.iter_mut().find(same) {
                    Some(task) => task.words.push(word),
                    None => tasks.push(Task {
                        store,
                        words: vec![word],
                    }),
                }
            }
            Place::Store(store) => tasks.push(Task {
                store,
                words: Vec::new(),
            }),
            Place::Folder { stores, .. } => tasks.extend(stores.into_iter().map(|store| Task {
                store,
                words: Vec::new(),
            })),
        }
    }
    Ok(tasks)
}

fn validate(task: &Task, quick: bool, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let store = cx.open(&task.store)?;
    let mut options = ValidateOptions {
        snapshots: Vec::new(),
        quick,
    };
    for word in &task.words {
        let manifest = select::one(&store, word, &SourceChoice::Any)?;
        if !options.snapshots.contains(&manifest) {
            options.snapshots.push(manifest);
        }
    }
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let outcome = ops::validate::run(&store, &world, &options, &mut reporter)?;
    reporter.finish(&outcome.findings);
    let view = ValidateView {
        store: &task.store,
        named: !task.words.is_empty(),
    };
    cx.show(&json::validate(&outcome, &task.store), |look| {
        text::validate::validate(&outcome, &view, look)
    });
    if cx.global.quiet && !cx.global.json {
        let damage = text::validate::damage_only(&outcome, &cx.look);
        cx.streams.print(&damage);
    }
    Ok(exit::of_validate(&outcome))
}
