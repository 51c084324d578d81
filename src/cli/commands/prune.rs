//! `larder prune`: deletes what no snapshot needs.

use std::time::Duration;

use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::paths::Place;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::ops;
use crate::ops::prune::PruneOptions;

/// Delete what no snapshot needs
///
/// Deletes snapshots that were forgotten at least a day ago, and every pack in which nothing is
/// needed any more. Of packs in which little is needed the rest is copied first; small packs are
/// merged. Backups may run meanwhile and wait for nothing; a prune that is cut off at any point
/// leaves the store whole, and the next one ends what it began.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder forget --keep-daily 7 --keep-weekly 8
  larder prune                     forgotten snapshots can be taken back for 24 hours
  larder prune -n                  what would be deleted
  larder prune --grace 0           delete what is forgotten at once

A backup that is at work when a prune begins may need what the prune would delete: the prune waits for
it, for --max-wait at most. A backup whose process has died is not waited for.")]
pub struct PruneArgs {
    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// How long forgotten snapshots can be taken back: 0, 90m, 24h, 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    grace: Duration,
    /// How long to wait for backups that are at work
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    max_wait: Duration,
    /// Percent of the packs' bytes that may stay without being needed, before packs are copied
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = clap::value_parser!(u8).range(0..=100), allow_negative_numbers = true)]
    max_unused: u8,
    /// The store's folder, as --store
    #[arg(value_name = "STORE")]
    place: Option<std::ffi::OsString>,
}

/// A time: 0, or a number with `s`, `m`, `h`, `d` or `w` behind it.
pub fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        // A number alone would be read as what its reader thinks of.
        "" if digits != "0" => return Err("say of what: 90m, 24h, 7d".to_owned()),
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        unit => return Err(format!("{unit:?} is no unit of time: use s, m, h, d or w")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "give a number with s, m, h, d or w behind it, as in 24h".to_owned())?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(|| "this is too long".to_owned())
}

/// Prunes, and says what is gone.
pub fn run(args: &PruneArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let path = match &args.place {
        None => cx.store.clone(),
        Some(word) => match cx.place(word)? {
            Place::Store(path) => path,
            _ => std::path::PathBuf::from(word),
        },
    };
    let store = cx.open(&path)?;
    let options = PruneOptions {
        dry_run: args.dry_run,
        grace: args.grace,
        max_wait: args.max_wait,
        max_unused_percent: args.max_unused,
    };
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let outcome = ops::prune::run(&store, &world, &options, &mut reporter)?;
    reporter.finish(&outcome.findings);
    let document = json::prune::prune(&outcome, &path);
    let report = |look: &_| text::prune::prune(&outcome, &path, look);
    match args.dry_run {
        true => cx.answer(&document, report),
        false => cx.show(&document, report),
    }
    Ok(exit::of_prune(&outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        let seconds = |text| time(text).map(|time| time.as_secs());
        assert_eq!(seconds("0"), Ok(0));
        assert_eq!(seconds("90m"), Ok(5400));
        assert_eq!(seconds("24h"), Ok(86400));
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for wrong in [
            "",
            "h",
            "-1h",
            "1.5h",
            "24",
            "3y",
            "99999999999999999999",
            "9999999999999999d",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
