//! `larder restore`: puts a snapshot's records back.

mod fit;
mod flags;
mod from;

use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use self::flags::DoingFlags;
use self::flags::MatchFlags;
use self::flags::MissingFlags;
use self::flags::ScopeFlags;
use self::from::From;
use crate::cli::args;
use crate::cli::config;
use crate::cli::config::Config;
use crate::cli::decisions;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::prompt::Ended;
use crate::cli::prompt::Terminal;
use crate::cli::questions::Questions;
use crate::cli::quote;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::cli::render::text::restore::RestoreView;
use crate::model::text::TextEncoding;
use crate::ops;
use crate::ops::restore::Builder;
use crate::ops::restore::CheckLevel;
use crate::ops::restore::Choice;
use crate::ops::restore::Decider;
use crate::ops::restore::Decision;
use crate::ops::restore::Decisions;
use crate::ops::restore::Form;
use crate::ops::restore::NoDecider;
use crate::ops::restore::RestoreOptions;
use crate::ops::restore::RestoreOutcome;
use crate::ops::select;
use crate::ops::select::SourceChoice;
use crate::progress::Finding;

/// Put a snapshot's records back, into a new or an existing database
///
/// A database that does not exist yet is made exactly as it was. Into one that exists records are
/// put in one transaction, or nothing is; the database may be in use. What will happen is shown
/// beforehand with --dry-run, and can be taken back with `larder undo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder restore latest --to restored.db
  larder restore latest --to app.db --dry-run
  larder restore latest --to app.db --table orders -i
  larder restore latest --to app.db --key-value orders=77 --with-parents
  larder restore latest --to app.db --table orders --where \"total > 100\" --deleted
  larder restore backup_20261123_211530 --to app.db --mode replace
  larder restore latest --to app.db --mode replace --replace-file
  larder restore ./export --to restored.db
  larder restore latest --to app.db --save-decisions d.json --dry-run
  larder restore latest --to app.db --resolve d.json
  LARDER_DATABASE=app.db larder restore ./backups/b1 --mode replace

`latest` is that of the database that is restored to, if the store has snapshots of it; else of the
only source there is, or of --source-name. It passes over the snapshots that restores and undos take
(tags before-restore, after-restore): name one of those by its id.

T.COL splits at the last dot. A name that holds a dot, = or a comma is quoted as in SQL:
  --reference '\"my.table\".\"a col\"=customers.id'

larder.toml may hold what the database does not declare; options add to it and override it:
  [keys]
  products = [\"brand\", \"name\"]
  [references]
  \"orders.customer\" = \"customers.id\"

A restore that stops on conflicts or missing records writes nothing and exits with 5. One of a snapshot
that is damaged writes nothing and exits with 4; with --allow-damaged a new file gets all that is whole,
every range of records that it lacks is named, and the exit code is 4 all the same.")]
pub struct RestoreArgs {
    /// The snapshot: id, its first digits, name, latest, latest~N, STORE/NAME; a store means its latest
    #[arg(value_name = "SNAP")]
    snapshot: OsString,
    /// For who names the database here too: told how it is done.
    #[arg(hide = true)]
    second: Option<OsString>,
    /// The database to write; absent or existing. Never the recorded source unless it is given here
    #[arg(
        long,
        value_name = "DB",
        env = "LARDER_DATABASE",
        hide_env_values = true
    )]
    to: Option<PathBuf>,
    /// Restore the latest snapshot of the source of this name or path [default: see below]
    #[arg(long, value_name = "NAME")]
    source_name: Option<String>,
    /// How the result is checked before it counts
    #[arg(long, value_name = "CHECK", value_enum, default_value_t)]
    check: CheckWord,
    /// What a new file is made from
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    from: FormWord,
    /// Who writes a new file that is made from records
    #[arg(long, value_name = "BUILDER", value_enum, default_value_t)]
    builder: BuilderWord,
    /// Memory for keys of a new file that are sorted; more goes to temporary files beside it
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = args::memory)]
    memory: usize,
    /// How long to wait for a database that is busy, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = args::seconds,
        allow_negative_numbers = true
    )]
    deadline: u64,
    #[command(flatten)]
    scope: ScopeFlags,
    #[command(flatten)]
    doing: DoingFlags,
    #[command(flatten)]
    matching: MatchFlags,
    #[command(flatten)]
    missing: MissingFlags,
}

/// What a new file is made from.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum FormWord {
    /// Records; pages where the snapshot holds them because records do not make the database again
    #[default]
    Best,
    /// Records: what SQL does not make again is left out and named
    Records,
    /// The pages as they were, those of a damaged database too
    Pages,
}

/// Who writes a new file.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum BuilderWord {
    /// larder, tree by tree; where only SQL can do it, SQL does, and that is said
    #[default]
    Trees,
    /// SQLite, by INSERT and CREATE INDEX
    Sql,
}

/// How the result is checked.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum CheckWord {
    /// Counts only, and of a database that existed foreign keys: SQLite itself verifies nothing
    None,
    /// Counts, foreign keys, and SQLite's `quick_check`
    #[default]
    Quick,
    /// And SQLite's `integrity_check`, and every record read again
    Full,
}

impl RestoreArgs {
    fn options(&self, target: PathBuf, config: &Config, single: Vec<Decision>) -> RestoreOptions {
        let (matching, doing) = (&self.matching, &self.doing);
        RestoreOptions {
            target,
            mode: doing.mode.unwrap_or_default().into(),
            dry_run: doing.dry_run,
            busy_timeout: Duration::from_secs(self.deadline),
            check: match self.check {
                CheckWord::None => CheckLevel::None,
                CheckWord::Quick => CheckLevel::Quick,
                CheckWord::Full => CheckLevel::Full,
            },
            form: match self.from {
                FormWord::Best => Form::Best,
                FormWord::Records => Form::Records,
                FormWord::Pages => Form::Pages,
            },
            builder: match self.builder {
                BuilderWord::Trees => Builder::Trees,
                BuilderWord::Sql => Builder::Sql,
            },
            sort_bytes: self.memory,
            scope: self.scope.scope(),
            matching: matching.by.unwrap_or_default().into(),
            keys: config.keys_and(&matching.keys),
            references: config.references_and(&matching.references),
            renames: matching.renames.clone(),
            on_conflict: doing.on_conflict.unwrap_or_default().into(),
            decisions: Decisions {
                single,
                others: self.missing.on_missing.map(Into::into),
            },
            deleted_only: self.scope.deleted,
            allow_damaged: doing.allow_damaged,
            force: doing.force,
            whole_file: doing.replace_file,
            fire_triggers: doing.fire_triggers,
            no_safety_snapshot: doing.no_safety_snapshot,
        }
    }

    fn source(&self, target: Option<&Path>) -> SourceChoice {
        match (&self.source_name, target) {
            (Some(name), _) => SourceChoice::Named(name.clone()),
            (None, Some(target)) => SourceChoice::Of(target.to_owned()),
            (None, None) => SourceChoice::Any,
        }
    }
}

/// Restores.
pub fn run(args: &RestoreArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    fit::together(args)?;
    let Some(target) = args::given(args.to.as_ref()) else {
        return Err(no_target(args, cx));
    };
    fit::with_target(args, &target, cx.kind(&target)?)?;
    let config = config::read(args.matching.config.as_deref())?;
    let terminal = args.missing.interactive.then(terminal).transpose()?;
    let save = Save::of(args)?;
    let source = args.source(Some(&target));
    let mut from = From::open(&args.snapshot, &source, &target, &args.doing, cx)?;
    let encoding = from.manifest().settings.encoding;
    let single = match &args.missing.resolve {
        Some(path) => decisions::read(path, encoding, args.missing.interactive)?,
        None => Vec::new(),
    };
    let options = args.options(target, &config, single);
    cx.look.store = from.store().to_owned();
    let look = cx.look.clone();
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let shown = escape::path(&options.target);
    let bar = reporter.bar();
    let mut questions = terminal.map(|t| Questions::new(t.beside(bar), shown, encoding));
    let mut nobody = NoDecider;
    let decider: &mut dyn Decider = match &mut questions {
        Some(questions) => questions,
        None => &mut nobody,
    };
    let done = from.restore(&world, &options, decider, &mut reporter);
    let mut outcome = match (done, &questions) {
        (Ok(outcome), _) => outcome,
        (Err(_), Some(questions)) if questions.ended().is_some() => {
            reporter.finish(&[]);
            return Err(ended(questions, save.as_ref(), &options, encoding));
        }
        (Err(error), _) => {
            drop(reporter);
            return Err(config.failure(error, &cx.look));
        }
    };
    // What the restore did is reported, whatever becomes of the file of decisions.
    if let Some(save) = &save {
        let finding = save.outcome(&options, &outcome, encoding, &look);
        outcome.findings.push(finding);
    }
    reporter.finish(&outcome.findings);
    let other = select::other_source(from.manifest(), &options.target);
    let view = RestoreView {
        store: from.store(),
        store_created: from.store_created(),
        export: from.export(),
        word: &args.snapshot,
        source_name: args.source_name.as_deref(),
        source: other.as_deref(),
        makes_store: from.makes_store(),
        encoding,
        options: &options,
        interactive: args.missing.interactive,
        saves: args.missing.save_decisions.is_some(),
    };
    let report = |look: &_| text::restore::restore(&outcome, &view, look);
    let document = json::restore::restore(&outcome, encoding);
    if outcome.is_stopped() || options.dry_run {
        cx.answer(&document, report);
    } else {
        cx.show(&document, report);
    }
    Ok(exit::of_restore(&outcome))
}

fn terminal() -> Result<Terminal, Failure> {
    Terminal::open().ok_or_else(|| {
        Failure::usage(
            "-i asks at a terminal, and there is none",
            "Decide beforehand: --resolve FILE for each missing record (--save-decisions FILE with --dry-run \
             writes what is to be decided), or --on-missing create, skip or null for all.",
        )
    })
}

/// Nobody answers any more: nothing was written.
fn ended(
    questions: &Questions<Terminal>,
    save: Option<&Save<'_>>,
    options: &RestoreOptions,
    encoding: TextEncoding,
) -> Failure {
    let given = questions.given();
    let next = match save.filter(|_| !given.is_empty()) {
        Some(save) => match save.write(options, given, &[], encoding) {
            Ok(finding) => format!("{}: {}", finding.subject, finding.text),
            Err(failure) => return failure,
        },
        None if given.is_empty() => String::new(),
        None => "Answers are kept for the next time with --save-decisions FILE.".to_owned(),
    };
    let said = |code, message: String| Failure::said(code, message, next);
    match questions.ended() {
        Some(Ended::Failed(error)) => {
            let message = format!("the terminal cannot be used ({error}); nothing was written");
            said(Code::Failed, message)
        }
        Some(Ended::EndOfInput) => {
            let message = "the input ended before all was decided; nothing was written";
            said(Code::Failed, message.to_owned())
        }
        Some(Ended::Interrupted) | None => said(
            Code::Interrupted,
            "stopped at a question; nothing was written".to_owned(),
        ),
    }
}

/// Where decisions are written to.
struct Save<'a> {
    path: &'a Path,
    replace: bool,
}

impl<'a> Save<'a> {
    fn of(args: &'a RestoreArgs) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.missing.save_decisions else {
            return Ok(None);
        };
        let replace = decisions::place(path, args.missing.resolve.as_deref())?;
        Ok(Some(Self { path, replace }))
    }

    /// Writes what was decided, and as a template what was not. That it could not is a warning: the restore
    /// stands.
    fn outcome(
        &self,
        options: &RestoreOptions,
        outcome: &RestoreOutcome,
        encoding: TextEncoding,
        look: &Look,
    ) -> Finding {
        self.write(options, &outcome.decisions, &outcome.missing, encoding)
            .unwrap_or_else(|failure| {
                let place = self.path.display().to_string();
                Finding::warning(place, failure.advice(look).message)
            })
    }

    fn write(
        &self,
        options: &RestoreOptions,
        decided: &[Decision],
        missing: &[ops::restore::Missing],
        encoding: TextEncoding,
    ) -> Result<Finding, Failure> {
        // Who aborts has not decided: the next time it is asked again.
        let is_kept = |decision: &&Decision| decision.choice != Choice::Abort;
        let decided: Vec<Decision> = decided.iter().filter(is_kept).cloned().collect();
        let all = decisions::together(&options.decisions.single, &decided);
        let saved = decisions::save(self.path, self.replace, &all, missing, encoding)?;
        let mut text = format!(
            "{} saved",
            figures::counted(saved.decided as u64, "decision")
        );
        if saved.open > 0 {
            let open = figures::count(saved.open as u64);
            text.push_str(&format!(
                ", {open} to be filled in (\"choice\": null), then: --resolve"
            ));
        }
        if saved.too_long > 0 {
            let long = saved.too_long as u64;
            text.push_str(&format!(
                "; {} {} of values too long for it",
                figures::count(long),
                figures::agree(long, "is", "are")
            ));
        }
        Ok(Finding::note(self.path.display().to_string(), text))
    }
}

/// No database to write to. The recorded source is suggested, and never written unasked.
fn no_target(args: &RestoreArgs, cx: &Context<'_>) -> Failure {
    let word = args.snapshot.as_os_str();
    let with = [
        "restore".as_ref(),
        word,
        "--to".as_ref(),
        "restored.db".as_ref(),
    ];
    let with = cx.look.command(&cx.store, &with);
    let without = cx.look.command(&cx.store, &["restore".as_ref(), word]);
    let mut next = format!(
        "Name it:            {with}\n\
         or in environment:  LARDER_DATABASE=restored.db {without}"
    );
    // A suggestion only: where it cannot be made, the message stands without it.
    if let Ok(selected) = cx.one(&args.snapshot, &args.source(None)) {
        let recorded = OsStr::new(&selected.manifest.source.path);
        next.push_str("\nIt is a snapshot of: ");
        next.push_str(&quote::word(recorded));
        next.push_str("  (to restore there: --to ");
        next.push_str(&quote::word(recorded));
        next.push(')');
    }
    Failure::usage("no database to restore to", next)
}
