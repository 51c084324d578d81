//! `larder validate`: reads snapshots and says whether all of them is there and right.

use std::ffi::OsString;
use std::path::Path;
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
use crate::ops::validate::Level;
use crate::ops::validate::Subset;
use crate::ops::validate::ValidateOptions;

/// Read snapshots and say whether all of them is there and right
///
/// Reads every blob and checks it against its id, keys against their order, and counts against
/// what was recorded. FOREIGN KEY, UNIQUE and NOT NULL are asked of the stored records, and the
/// answers compared with those at backup time. Damage is named with the records and snapshots that
/// it affects: exit code 4. Of an export every file is read, digested and counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder validate
  larder validate latest --quick
  larder validate --read-subset 1/7            one seventh of the packs, another one tomorrow
  larder validate --read-subset 5%             the bytes that were read longest ago
  larder validate latest --drill --json        restore it for trial, and keep the receipt
  larder validate ./export
  larder backup-validate ./backups/b1")]
pub struct ValidateArgs {
    /// Snapshots: ids, names, latest, latest~N, STORE/NAME; a store means all of its; or exports [default: all]
    #[arg(value_name = "SNAP")]
    snapshots: Vec<OsString>,
    /// Look at the structure only: is every blob that is needed in some pack? [default: read all]
    #[arg(long)]
    quick: bool,
    /// The structure, and every byte of some packs: part N of M, or the X % that were read longest ago
    #[arg(long, value_name = "N/M|X%", value_parser = subset, conflicts_with_all = ["quick", "drill"])]
    read_subset: Option<Subset>,
    /// Restore each snapshot into a scratch file, check it, compare every record, and print a receipt
    #[arg(long, conflicts_with = "quick")]
    drill: bool,
    /// Where the scratch file is made; it needs as much room as the database [default: $TMPDIR or /tmp]
    #[arg(long, value_name = "DIR", requires = "drill")]
    temp_dir: Option<PathBuf>,
}

/// `2/7` or `5%`.
fn subset(word: &str) -> Result<Subset, String> {
    let part = word
        .split_once('/')
        .and_then(|(n, of)| Some((n.parse().ok()?, of.parse().ok()?)));
    if let Some((n, of)) = part
        && (1..=of).contains(&n)
    {
        return Ok(Subset::Part { n, of });
    }
    let share = word
        .strip_suffix('%')
        .and_then(|share| share.trim().parse().ok());
    match share {
        Some(share) if share > 0.0 && share <= 100.0 => Ok(Subset::Percent(share)),
        _ => Err(
            "write 2/7 for the second of seven parts, or 5% for a share of the bytes".to_owned(),
        ),
    }
}

impl ValidateArgs {
    fn level(&self) -> Level {
        match self.read_subset {
            Some(subset) => Level::Subset(subset),
            None if self.quick => Level::Quick,
            None => Level::All,
        }
    }

    /// The folder for a drill, if there is to be one.
    fn drill(&self) -> Option<PathBuf> {
        let folder = || self.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        self.drill.then(folder)
    }
}

/// What is validated together.
enum Task {
    /// A store, and the words for its snapshots; none: all of them.
    Store { store: PathBuf, words: Vec<String> },
    /// An export.
    Export(PathBuf),
}

/// Validates, one store after the other.
pub fn run(args: &ValidateArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let (tasks, mut code) = tasks(args, cx)?;
    let several = tasks.len() > 1 || args.snapshots.len() > 1;
    for task in tasks {
        let done = match task {
            Task::Store { store, words } => validate(&store, &words, args, cx),
            Task::Export(path) => validate_export(&path, cx),
        };
        code = code.and(match done {
            // One that cannot be read says nothing of the others.
            Err(failure) if several => cx.go_on_after(failure)?,
            done => done?,
        });
    }
    Ok(code)
}

/// The stores that the words name, each once, and the code of the words that name none.
fn tasks(args: &ValidateArgs, cx: &mut Context<'_>) -> Result<(Vec<Task>, Code), Failure> {
    let (mut places, mut code) = (Vec::new(), Code::Ok);
    for word in &args.snapshots {
        match cx.place(word) {
            Ok(place) => places.push(place),
            Err(failure) if args.snapshots.len() > 1 => code = code.and(cx.go_on_after(failure)?),
            Err(failure) => return Err(failure),
        }
    }
    if args.snapshots.is_empty() {
        places.push(paths::whole(&cx.store, &|path| cx.kind(path))?);
    }
    let mut tasks: Vec<Task> = Vec::new();
    let all_of = |store| Task::Store {
        store,
        words: Vec::new(),
    };
    for place in places {
        match place {
            Place::Snapshot { store, word } => {
                let same = tasks.iter_mut().find_map(|task| match task {
                    Task::Store {
                        store: other,
                        words,
                    } if !words.is_empty() => paths::same(other, &store).then_some(words),
                    Task::Store { .. } | Task::Export(_) => None,
                });
                match same {
                    Some(words) => words.push(word),
                    None => tasks.push(Task::Store {
                        store,
                        words: vec![word],
                    }),
                }
            }
            Place::Store(store) => tasks.push(all_of(store)),
            Place::Folder { stores, .. } => tasks.extend(stores.into_iter().map(all_of)),
            Place::Export(path) => tasks.push(Task::Export(path)),
        }
    }
    Ok((tasks, code))
}

/// Reads every file; there is nothing quicker to look at.
fn validate_export(path: &Path, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let check = ops::import::validate(path, &world, &mut reporter)?;
    reporter.finish(&check.findings);
    cx.show_or(
        &json::import::validate(&check),
        |look| text::import::validate(&check, look),
        |_| text::import::damage_only(&check),
    );
    Ok(exit::of_export(&check))
}

fn validate(
    path: &Path,
    words: &[String],
    args: &ValidateArgs,
    cx: &mut Context<'_>,
) -> Result<Code, Failure> {
    let store = cx.open(path)?;
    let mut options = ValidateOptions {
        snapshots: Vec::new(),
        level: args.level(),
        drill: args.drill(),
    };
    let mut code = Code::Ok;
    for word in words {
        let manifest = match select::one(&store, word, &SourceChoice::Any) {
            Ok(manifest) => manifest,
            Err(error) if words.len() > 1 => {
                code = code.and(cx.go_on_after(error.into())?);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if !options.snapshots.contains(&manifest) {
            options.snapshots.push(manifest);
        }
    }
    // None of them is there: nothing is left of what was asked.
    if options.snapshots.is_empty() && !words.is_empty() {
        return Ok(code);
    }
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let outcome = ops::validate::run(&store, &world, &options, &mut reporter)?;
    reporter.finish(&outcome.findings);
    let view = ValidateView {
        store: path,
        named: !words.is_empty(),
    };
    cx.show_or(
        &json::validate::validate(&outcome, path),
        |look| text::validate::validate(&outcome, &view, look),
        |look| text::validate::damage_only(&outcome, look),
    );
    Ok(code.and(exit::of_validate(&outcome)))
}
