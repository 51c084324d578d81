//! `larder forget`: snapshots on their way out, by name or by rules; and back again.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::error::Error;
use crate::error::SelectError;
use crate::ops;
use crate::ops::forget::ByPolicy;
use crate::ops::forget::ForgetOptions;
use crate::ops::forget::TakeBack;
use crate::ops::forget::TakeBackOptions;
use crate::ops::forget::Which;
use crate::ops::retention::Age;
use crate::ops::retention::Count;
use crate::ops::retention::Filter;
use crate::ops::retention::GroupBy;
use crate::ops::retention::Moment;
use crate::ops::retention::Period;
use crate::ops::retention::Policy;
use crate::ops::retention::Rule;
use crate::ops::retention::TagSet;

/// Forget snapshots, by name or by rules; it can be taken back for a day
///
/// A forgotten snapshot is listed no more, and nothing else: `larder prune` deletes it, once it has been
/// forgotten for 24 hours. Until then --undo takes it back.
///
/// With --keep options, all snapshots are forgotten that no rule keeps. The rules are applied to the snapshots of each source
/// and host for themselves, in local time; what any rule keeps is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder forget --keep-last 3 --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run
  larder forget --keep-within 30d --keep-yearly unlimited --source app.db
  larder forget 20261123T201530Z-9f3c before-upgrade
  larder list --forgotten
  larder forget --undo before-upgrade

Always kept: pinned snapshots (larder pin); what the rules would keep if snapshots of damaged sources did not
count; what `larder undo` needs, for --keep-undo. A number of 0 keeps nothing, unlimited or -1 all.
A DURATION is years, months, weeks, days and hours: 2y5m7d3h. It is counted back from the newest snapshot of
the group; that of --keep-undo from now.")]
pub struct ForgetArgs {
    /// The snapshots: id, its first digits, name, latest, latest~N, STORE/NAME; one whose manifest is damaged by
    /// its full id. With --undo: id, its first digits, or name
    #[arg(value_name = "SNAP")]
    snapshots: Vec<OsString>,
    /// Show what would be done, change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Take back: the snapshots are there again
    #[arg(long)]
    undo: bool,
    /// With --undo: all that are forgotten
    #[arg(long, requires = "undo", conflicts_with = "snapshots")]
    all: bool,
    /// The rules.
    #[command(flatten)]
    rules: RuleArgs,
    /// Which snapshots the rules are about.
    #[command(flatten)]
    about: AboutArgs,
}

/// The rules.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Rules: what any of them keeps is kept")]
struct RuleArgs {
    /// Keep the newest N
    #[arg(short = 'l', long, value_name = "N", allow_negative_numbers = true)]
    keep_last: Option<Count>,
    /// Keep the newest of each of the last N hours that have a snapshot
    #[arg(short = 'H', long, value_name = "N", allow_negative_numbers = true)]
    keep_hourly: Option<Count>,
    /// Keep the newest of each of the last N days that have a snapshot
    #[arg(short = 'd', long, value_name = "N", allow_negative_numbers = true)]
    keep_daily: Option<Count>,
    /// Keep the newest of each of the last N weeks that have a snapshot; a week begins on Monday
    #[arg(short = 'w', long, value_name = "N", allow_negative_numbers = true)]
    keep_weekly: Option<Count>,
    /// Keep the newest of each of the last N months that have a snapshot
    #[arg(short = 'm', long, value_name = "N", allow_negative_numbers = true)]
    keep_monthly: Option<Count>,
    /// Keep the newest of each of the last N years that have a snapshot
    #[arg(short = 'y', long, value_name = "N", allow_negative_numbers = true)]
    keep_yearly: Option<Count>,
    /// Keep all that are no older than this
    #[arg(long, value_name = "DURATION")]
    keep_within: Option<Age>,
    /// Keep the newest of each hour, of those that are no older
    #[arg(long, value_name = "DURATION")]
    keep_within_hourly: Option<Age>,
    /// Keep the newest of each day, of those that are no older
    #[arg(long, value_name = "DURATION")]
    keep_within_daily: Option<Age>,
    /// Keep the newest of each week, of those that are no older
    #[arg(long, value_name = "DURATION")]
    keep_within_weekly: Option<Age>,
    /// Keep the newest of each month, of those that are no older
    #[arg(long, value_name = "DURATION")]
    keep_within_monthly: Option<Age>,
    /// Keep the newest of each year, of those that are no older
    #[arg(long, value_name = "DURATION")]
    keep_within_yearly: Option<Age>,
    /// Keep all that have this tag; a,b: both; may be given several times
    #[arg(long, value_name = "TAG")]
    keep_tag: Vec<TagSet>,
    /// For how long `larder undo` can take restores back; the last one into each database always
    /// [default: 30d]
    #[arg(long, value_name = "DURATION")]
    keep_undo: Option<Age>,
}

/// Which snapshots the rules are about.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "What the rules are about")]
struct AboutArgs {
    /// Only snapshots that have this tag; a,b: both; may be given several times [default: all]
    #[arg(long, value_name = "TAG")]
    tag: Vec<TagSet>,
    /// Only snapshots that this machine made; may be given several times [default: all]
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Only snapshots of the source of this name or path; may be given several times [default: all]
    #[arg(long, value_name = "NAME|DB")]
    source: Vec<String>,
    /// What snapshots must have in common to be counted together: of source, host, tags, with commas
    /// between; nothing: all together [default: source,host]
    #[arg(long, value_name = "WORDS")]
    group_by: Option<GroupBy>,
    /// Let the rules forget all snapshots of a group; without rules, all that --tag, --host or --source name
    #[arg(long, alias = "unsafe-allow-remove-all")]
    allow_empty: bool,
}

impl RuleArgs {
    fn policy(&self) -> Policy {
        let counts = [
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        let ages = [
            self.keep_within_hourly,
            self.keep_within_daily,
            self.keep_within_weekly,
            self.keep_within_monthly,
            self.keep_within_yearly,
        ];
        let mut rules: Vec<Rule> = self.keep_last.map(Rule::Last).into_iter().collect();
        for (period, count) in Period::ALL.into_iter().zip(counts) {
            rules.extend(count.map(|count| Rule::Each(period, count)));
        }
        rules.extend(self.keep_within.map(Rule::Within));
        for (period, age) in Period::ALL.into_iter().zip(ages) {
            rules.extend(age.map(|age| Rule::EachWithin(period, age)));
        }
        rules.extend(self.keep_tag.iter().cloned().map(Rule::Tags));
        let policy = Policy::new(rules);
        Policy {
            keep_undo: self.keep_undo.unwrap_or(policy.keep_undo),
            ..policy
        }
    }
}

impl AboutArgs {
    fn filter(&self) -> Filter {
        Filter {
            tags: self.tag.clone(),
            hosts: self.host.clone(),
            sources: self.source.clone(),
        }
    }

    fn is_given(&self) -> bool {
        !self.filter().is_empty() || self.group_by.is_some() || self.allow_empty
    }
}

/// Forgets, or takes back.
pub fn run(args: &ForgetArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let policy = args.rules.policy();
    let has_rules = !policy.rules.is_empty() || args.rules.keep_undo.is_some();
    let by_rules = has_rules || args.about.is_given();
    let names = !args.snapshots.is_empty();
    if by_rules && (names || args.undo) {
        let message = match args.undo {
            true => "rules forget; they do not take back",
            false => "either snapshots are named, or rules say which are kept",
        };
        return Err(Failure::usage(message, "Leave out one of the two."));
    }
    if args.undo {
        return undo(args, cx);
    }
    if names {
        let (path, words) = cx.in_one_store(&args.snapshots)?;
        return forget(path, Which::Words(words), args.dry_run, cx);
    }
    let filter = args.about.filter();
    let may_keep_nothing = args.about.allow_empty && !filter.is_empty();
    if policy.is_empty() && !may_keep_nothing {
        let message = match policy.rules.is_empty() {
            true => "nothing says which snapshots to forget",
            false => "the rules keep nothing",
        };
        return Err(Failure::usage(
            message,
            format!(
                "Say which are kept, and look first: {} --dry-run\n\
                 Or name them: {} SNAP",
                cx.look.command(
                    &cx.store,
                    &["forget", "--keep-daily", "7", "--keep-weekly", "5"].map(AsRef::as_ref)
                ),
                cx.look.command(&cx.store, &["forget".as_ref()]),
            ),
        ));
    }
    let now = Timestamp::from_millisecond(cx.world.env.unix_ms()).unwrap_or_default();
    let by = ByPolicy {
        policy,
        filter,
        group_by: args.about.group_by.unwrap_or_default(),
        allow_empty: args.about.allow_empty,
        moment: Moment {
            now,
            zone: cx.look.zone.clone(),
        },
    };
    let path = cx.store.clone();
    forget(path, Which::Policy(Box::new(by)), args.dry_run, cx)
}

fn forget(
    path: PathBuf,
    which: Which,
    dry_run: bool,
    cx: &mut Context<'_>,
) -> Result<Code, Failure> {
    let store = cx.open(&path)?;
    let options = ForgetOptions { which, dry_run };
    let mut reporter = cx.reporter();
    let done = ops::forget::run(&store, &options, &mut reporter);
    let outcome = match done {
        Ok(outcome) => outcome,
        Err(error) => {
            drop(reporter);
            return Err(told_apart(error, &path, cx));
        }
    };
    reporter.finish(&outcome.findings);
    let report = |look: &_| text::forget::forget(&outcome, &path, look);
    match dry_run {
        true => cx.answer(&json::forget::forget(&outcome, &path), report),
        false => cx.show(&json::forget::forget(&outcome, &path), report),
    }
    let signal = cx.signals.caught();
    Ok(exit::of_marks(outcome.left, &outcome.findings, signal))
}

/// Where `latest` may be of several sources, there is no flag here that says of which: snapshots are named.
fn told_apart(error: Error, path: &Path, cx: &Context<'_>) -> Failure {
    if !matches!(error, Error::Select(SelectError::SeveralSources { .. })) {
        return error.into();
    }
    let next = format!(
        "Nothing was forgotten. Name the snapshot by its id or name; they are listed with: {}",
        cx.look.command(path, &["list".as_ref()])
    );
    Failure::said(exit::of_error(&error, None), error.to_string(), next)
}

fn undo(args: &ForgetArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let (path, words) = cx.in_one_store(&args.snapshots)?;
    if words.is_empty() && !args.all {
        return Err(Failure::usage(
            "nothing says which snapshots to take back",
            format!(
                "Name them, or say --all. They are listed with: {}",
                cx.look
                    .command(&path, &["list", "--forgotten"].map(AsRef::as_ref))
            ),
        ));
    }
    let store = cx.open(&path)?;
    let options = TakeBackOptions {
        which: match args.all {
            true => TakeBack::All,
            false => TakeBack::Words(words),
        },
        dry_run: args.dry_run,
    };
    let mut reporter = cx.reporter();
    let outcome = ops::forget::take_back(&store, &options, &mut reporter)?;
    reporter.finish(&outcome.findings);
    let report = |look: &_| text::forget::taken_back(&outcome, look);
    match args.dry_run {
        true => cx.answer(&json::forget::taken_back(&outcome, &path), report),
        false => cx.show(&json::forget::taken_back(&outcome, &path), report),
    }
    let signal = cx.signals.caught();
    Ok(exit::of_marks(outcome.left, &outcome.findings, signal))
}
