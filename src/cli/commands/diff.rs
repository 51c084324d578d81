//! `larder diff`: what differs between two states of a database.

use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

use crate::cli::args;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::operand;
use crate::cli::operand::StateWord;
use crate::cli::output::Streams;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::cli::signals::Signals;
use crate::error::Error;
use crate::ops::diff::{
    Diff, DiffOptions, DiffOutcome, DiffRow, DiffSink, Operand, Reading, TableDiff,
};
use crate::ops::select::SourceChoice;
use crate::progress::Progress;
use crate::progress::StopSign;

/// Show what differs between two snapshots, or a snapshot and a database
///
/// Rows that B has and A lacks are added (+), those that only A has are removed (-), and rows of
/// one primary key that differ are changed (~), column by column. In a table without a primary key
/// whole rows are compared. A database is read in one state, as for a backup, before anything is
/// shown; nothing is written to it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder diff latest~1 latest
  larder diff latest app.db --table orders --key-value orders=77
  larder diff before-upgrade ./app.db --summary --exit-code
  larder diff old.db new.db --json

A and B are snapshots, named as in other commands, or database files. A bare word that is both
is the snapshot; ./NAME is the file. Columns that are NULL are left out of rows that are added or
removed; of long values the beginning, the place that differs, or the length is shown.")]
pub struct DiffArgs {
    /// The earlier state: a snapshot or a database file
    #[arg(value_name = "A")]
    before: OsString,
    /// The later state
    #[arg(value_name = "B")]
    after: OsString,
    /// Compare this table only; may be given several times [default: all but SQLite's own]
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Compare only the row of TABLE whose primary key is KEY; values of several columns with commas
    #[arg(long = "key-value", value_name = "TABLE=KEY")]
    key_values: Vec<String>,
    /// In a store of several sources: the one that latest is about [default: that of the database file]
    #[arg(long, value_name = "NAME")]
    source_name: Option<String>,
    /// Show no rows, only how many differ
    #[arg(long)]
    summary: bool,
    /// Exit with 1 if anything differs
    #[arg(long)]
    exit_code: bool,
    /// How long to wait for a database that is busy, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = args::seconds,
        allow_negative_numbers = true
    )]
    deadline: u64,
    /// Without WAL: how long other programs may be kept from writing, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = args::seconds,
        allow_negative_numbers = true
    )]
    max_lock: u64,
    /// With WAL: by how much the -wal may grow while a database is read, in MiB; then a copy is read
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 1024,
        value_parser = args::mebibytes,
        allow_negative_numbers = true
    )]
    max_wal: u64,
    /// Nobody writes to the databases while they are read: read-only media, or copies. Takes no locks
    #[arg(long)]
    immutable: bool,
}

/// Shows it.
pub fn run(args: DiffArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let options = options(&args)?;
    let source = match &args.source_name {
        Some(name) => SourceChoice::Named(name.clone()),
        None => operand::source([&args.before, &args.after], cx)?,
    };
    let (before, after) = (
        operand::state(&args.before, &source, cx)?,
        operand::state(&args.after, &source, cx)?,
    );
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let diff = Diff::open(
        operand_of(&before),
        operand_of(&after),
        &options,
        &world,
        &mut reporter,
    )?;
    reporter.finish(diff.findings());
    // Nothing is told while rows are written, but it can be stopped.
    let stop = Stoppable(cx.signals.clone());
    let outcome = if args.summary {
        diff.run(None, &stop)?
    } else if cx.global.json {
        diff.run(Some(&mut JsonRows(&mut *cx.streams)), &stop)?
    } else {
        let mut rows = TextRows {
            streams: &mut *cx.streams,
            before: &args.before.to_string_lossy(),
            after: &args.after.to_string_lossy(),
        };
        diff.run(Some(&mut rows), &stop)?
    };
    conclude(&args, &outcome, cx);
    Ok(exit::of_diff(&outcome, args.exit_code))
}

fn options(args: &DiffArgs) -> Result<DiffOptions, Failure> {
    let key = |word: &String| match word.split_once('=') {
        Some((table, key)) if !table.is_empty() => Ok((table.to_owned(), key.to_owned())),
        _ => Err(Failure::usage(
            format!("{word:?} names no table and key"),
            "Give both: --key-value orders=77",
        )),
    };
    Ok(DiffOptions {
        tables: args.tables.clone(),
        key_values: args.key_values.iter().map(key).collect::<Result<_, _>>()?,
        busy_timeout: Duration::from_secs(args.deadline),
        temp_dir: None,
        reading: Reading {
            max_lock: Duration::from_secs(args.max_lock),
            max_wal_bytes: args.max_wal.saturating_mul(1 << 20),
            immutable: args.immutable,
            ..Reading::default()
        },
    })
}

fn operand_of(word: &StateWord) -> Operand<'_> {
    match word {
        StateWord::Snapshot(selected) => Operand::Snapshot(&selected.store, &selected.manifest),
        StateWord::Live(path) => Operand::Live(path),
    }
}

/// What stands behind the rows: the schema, and totals.
fn conclude(args: &DiffArgs, outcome: &DiffOutcome, cx: &mut Context<'_>) {
    let (before, after) = (args.before.to_string_lossy(), args.after.to_string_lossy());
    cx.answer(&json::diff::summary(outcome), |_| {
        let mut out = String::new();
        if args.summary {
            for table in outcome.tables.iter().filter(|table| table.differs()) {
                out.push_str(&text::diff::table(table, &before, &after));
            }
        }
        out.push_str(&text::diff::end(outcome, &before, &after));
        out
    });
}

/// Tells nothing, but can be stopped.
struct Stoppable(Signals);

impl Progress for Stoppable {
    fn cancelled(&self) -> bool {
        self.0.caught().is_some()
    }

    fn stop_sign(&self) -> StopSign {
        let signals = self.0.clone();
        StopSign::new(move || signals.caught().is_some())
    }
}

/// Writes a line; a reader that has gone away ends the work, quietly.
fn write(streams: &mut Streams, line: &[u8]) -> Result<(), Error> {
    streams.write_all(line).map_err(|_| Error::Cancelled)
}

struct TextRows<'a> {
    streams: &'a mut Streams,
    before: &'a str,
    after: &'a str,
}

impl DiffSink for TextRows<'_> {
    fn table(&mut self, table: &TableDiff) -> Result<(), Error> {
        let head = text::diff::table(table, self.before, self.after);
        write(self.streams, head.as_bytes())
    }

    fn row(&mut self, _: &TableDiff, row: &DiffRow<'_>) -> Result<(), Error> {
        write(self.streams, text::diff::row(row).as_bytes())
    }
}

struct JsonRows<'a>(&'a mut Streams);

impl DiffSink for JsonRows<'_> {
    fn table(&mut self, _: &TableDiff) -> Result<(), Error> {
        Ok(())
    }

    fn row(&mut self, table: &TableDiff, row: &DiffRow<'_>) -> Result<(), Error> {
        write(self.0, &json::diff::row(&table.table, row))
    }
}
