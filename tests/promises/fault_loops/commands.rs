//! Every command that touches a store, as one call: a row a command.

use std::path::PathBuf;
use std::time::Duration;

use larder::cli::exit::{self, Code};
use larder::error::Error;
use larder::ops::backup::{self, BackupOptions};
use larder::ops::copy::{self, CopyOptions};
use larder::ops::diff::{Diff, DiffOptions, Operand};
use larder::ops::export::{self, ExportOptions, RecordForm};
use larder::ops::import::{self, ImportOptions};
use larder::ops::open::Store;
use larder::ops::parity::{self, AddOptions};
use larder::ops::prune::{self, PruneOptions};
use larder::ops::repair::{self, RepairOptions};
use larder::ops::restore::{self, Mode, NoDecider, RestoreOptions};
use larder::ops::stats::{self, StatsOptions};
use larder::ops::undo::{self, UndoOptions};
use larder::ops::validate::{self, Level, ValidateOptions};
use larder::ops::{list, open, show};
use larder::progress::NoProgress;

use super::place::{Done, Place};

/// What is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// Not even a store.
    Nothing,
    /// An empty store.
    Empty,
    /// A store of several snapshots, of which some are forgotten.
    Full,
    /// The same, and a database that a restore has changed.
    Restored,
    /// The same, with second copies.
    Redundant,
    /// The same, and a pack is damaged that has one.
    Damaged,
    /// As `Full`, and another store beside it.
    Beside,
    /// As `Full`, a pack is damaged, and another store has copies of all.
    Lacking,
    /// A store of which a pack is so long that it may have parity.
    Large,
    /// The same, with parity.
    Covered,
}

impl Start {
    /// Another store is there.
    pub fn has_other(self) -> bool {
        matches!(self, Self::Beside | Self::Lacking)
    }

    /// Something is damaged, and can be healed.
    pub fn is_damaged(self) -> bool {
        matches!(self, Self::Damaged | Self::Lacking)
    }
}

/// What a command may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Reads,
    /// The store; done again, it says the same.
    Writes,
    /// The store; done again, it says that it was done.
    Marks,
}

/// A command.
pub struct Command {
    pub name: &'static str,
    pub start: Start,
    pub kind: Kind,
    pub run: fn(&Place) -> Result<Done, Error>,
}

const fn command(
    name: &'static str,
    start: Start,
    kind: Kind,
    run: fn(&Place) -> Result<Done, Error>,
) -> Command {
    Command {
        name,
        start,
        kind,
        run,
    }
}

pub const COMMANDS: &[Command] = &[
    command("init", Start::Nothing, Kind::Writes, init),
    command("first backup", Start::Empty, Kind::Writes, back_up),
    command("next backup", Start::Full, Kind::Writes, back_up),
    command("list", Start::Full, Kind::Reads, list),
    command("show", Start::Full, Kind::Reads, show),
    command("ls", Start::Full, Kind::Reads, ls),
    command("cat", Start::Full, Kind::Reads, cat),
    command("stats", Start::Full, Kind::Reads, stats),
    command("validate", Start::Full, Kind::Reads, validate),
    command("validate --quick", Start::Full, Kind::Reads, |place| {
        checked(place, true)
    }),
    command("restore to a new file", Start::Full, Kind::Reads, |place| {
        restored(place, "new.db")
    }),
    command(
        "restore into a database",
        Start::Full,
        Kind::Writes,
        |place| restored(place, "live.db"),
    ),
    command("undo", Start::Restored, Kind::Writes, undo),
    command("diff", Start::Full, Kind::Reads, diff),
    command("export", Start::Full, Kind::Reads, export),
    command("import", Start::Full, Kind::Writes, import),
    command("forget", Start::Full, Kind::Marks, |place| {
        let store = place.open()?;
        let id = place.one(&store, "second")?.id;
        marked(store.forget(&id)?)
    }),
    command("forget --undo", Start::Full, Kind::Marks, |place| {
        let store = place.open()?;
        let forgotten = store.snapshot_names()?.forgotten;
        // None: it was done before the command failed.
        match forgotten.last() {
            Some(last) => marked(store.unforget(last)?),
            None => marked(false),
        }
    }),
    command("pin", Start::Full, Kind::Marks, |place| {
        let store = place.open()?;
        let id = place.one(&store, "second")?.id;
        marked(store.pin(&id)?)
    }),
    command("unpin", Start::Full, Kind::Marks, |place| {
        let store = place.open()?;
        let pins = store.pins()?;
        match pins.first() {
            Some(id) => marked(store.unpin(id)?),
            None => marked(false),
        }
    }),
    command("validate --drill", Start::Full, Kind::Reads, drill),
    command(
        "backup with second copies",
        Start::Redundant,
        Kind::Writes,
        back_up,
    ),
    command(
        "prune with second copies",
        Start::Redundant,
        Kind::Writes,
        |place| pruned(place, false),
    ),
    command("copy to another store", Start::Beside, Kind::Writes, |p| {
        copied(&p.open()?, &p.open_other()?, p)
    }),
    command(
        "copy from another store",
        Start::Beside,
        Kind::Writes,
        |p| copied(&p.open_other()?, &p.open()?, p),
    ),
    command("parity status", Start::Redundant, Kind::Reads, |place| {
        let status = parity::status(&place.open()?)?;
        done(&status, exit::of_parity_status(&status))
    }),
    command("parity check", Start::Redundant, Kind::Reads, |place| {
        let store = place.open()?;
        let checked = parity::check(&store, &place.world, &mut NoProgress)?;
        let told = (checked.parity, checked.seconds, &checked.damage);
        done(told, exit::of_redundancy(&checked.damage))
    }),
    command("parity add", Start::Large, Kind::Marks, |place| {
        parity_added(place, false)
    }),
    command("parity add --full", Start::Full, Kind::Marks, |place| {
        parity_added(place, true)
    }),
    command("parity remove", Start::Covered, Kind::Marks, parity_removed),
    command(
        "parity remove of second copies",
        Start::Redundant,
        Kind::Marks,
        parity_removed,
    ),
    command("repair --dry-run", Start::Damaged, Kind::Reads, |place| {
        repaired(place, true, Vec::new(), Vec::new())
    }),
    command("repair", Start::Damaged, Kind::Marks, |place| {
        repaired(place, false, Vec::new(), Vec::new())
    }),
    command(
        "repair from another store",
        Start::Lacking,
        Kind::Marks,
        |place| repaired(place, false, vec![place.open_other()?], Vec::new()),
    ),
    command(
        "repair from a database",
        Start::Lacking,
        Kind::Marks,
        |place| repaired(place, false, Vec::new(), vec![place.path("first.db")]),
    ),
    command("prune --dry-run", Start::Full, Kind::Reads, |place| {
        pruned(place, true)
    }),
    command("prune", Start::Full, Kind::Writes, |place| {
        pruned(place, false)
    }),
];

fn done(told: impl std::fmt::Debug, code: Code) -> Result<Done, Error> {
    let told = format!("{told:?}");
    Ok(Done { told, code })
}

fn marked(new: bool) -> Result<Done, Error> {
    done(new, Code::Ok)
}

fn init(place: &Place) -> Result<Done, Error> {
    match &place.backend {
        Some(backend) => {
            let env = place.world.env.clone();
            open::Store::create(backend.clone(), env, crate::sandbox::usage())?;
        }
        None => drop(open::create(&place.options(), &place.world)?),
    }
    done("made", Code::Ok)
}

fn back_up(place: &Place) -> Result<Done, Error> {
    let mut store = place.open()?;
    let options = BackupOptions {
        database: place.path("app.db"),
        name: None,
        tags: Vec::new(),
        source_name: Some("test".to_owned()),
        busy_timeout: Duration::from_millis(200),
        temp_dir: Some(place.path("temp")),
        check_source: None,
        strict: false,
        reading: backup::Reading::default(),
        fast_skip_from: None,
    };
    let made = backup::run(&mut store, &place.world, &options, &mut NoProgress)?;
    done(
        (made.snapshot.records, made.dropped.len(), &made.findings),
        exit::of_backup(&made),
    )
}

fn list(place: &Place) -> Result<Done, Error> {
    let listed = list::run(&place.open()?)?;
    done(
        (&listed.snapshots, listed.store_bytes, &listed.findings),
        exit::of_list(&listed),
    )
}

fn show(place: &Place) -> Result<Done, Error> {
    let store = place.open()?;
    let manifest = place.one(&store, "latest")?;
    done((&manifest, show::blobs(&store, &manifest)?.len()), Code::Ok)
}

fn ls(place: &Place) -> Result<Done, Error> {
    let store = place.open()?;
    let manifest = place.one(&store, "latest~1")?;
    done((&manifest.name, manifest.entities), Code::Ok)
}

fn cat(place: &Place) -> Result<Done, Error> {
    let store = place.open()?;
    let manifest = place.one(&store, "first")?;
    let mut out = Vec::new();
    let form = RecordForm::Lines;
    let count = export::cat(&store, &manifest, "a", form, &mut out, &mut NoProgress)?;
    done((count, out), Code::Ok)
}

fn stats(place: &Place) -> Result<Done, Error> {
    let store = place.open()?;
    let options = StatsOptions {
        snapshot: None,
        by_table: true,
    };
    let counted = stats::run(&store, &place.world, &options, &mut NoProgress)?;
    done(
        (
            &counted.uses,
            &counted.packs,
            &counted.tables,
            &counted.damage,
        ),
        exit::of_stats(&counted),
    )
}

fn validate(place: &Place) -> Result<Done, Error> {
    checked(place, false)
}

fn checked(place: &Place, quick: bool) -> Result<Done, Error> {
    let store = place.open()?;
    let options = ValidateOptions {
        level: if quick { Level::Quick } else { Level::All },
        ..ValidateOptions::default()
    };
    let found = validate::run(&store, &place.world, &options, &mut NoProgress)?;
    done(
        (
            &found.snapshots,
            found.packs_good,
            found.blobs,
            &found.damage,
            &found.findings,
        ),
        exit::of_validate(&found),
    )
}

fn restored(place: &Place, target: &str) -> Result<Done, Error> {
    let mut store = place.open()?;
    let manifest = place.one(&store, "second")?;
    let options = RestoreOptions {
        target: place.path(target),
        mode: Mode::Replace,
        busy_timeout: Duration::from_millis(200),
        ..RestoreOptions::default()
    };
    let world = &place.world;
    let (decider, progress) = (&mut NoDecider, &mut NoProgress);
    let restored = restore::run(&mut store, world, &manifest, &options, decider, progress)?;
    done(
        (&restored.tables, &restored.conflicts, &restored.findings),
        exit::of_restore(&restored),
    )
}

fn undo(place: &Place) -> Result<Done, Error> {
    let mut store = place.open()?;
    let options = UndoOptions {
        target: place.path("live.db"),
        busy_timeout: Duration::from_millis(200),
        ..UndoOptions::default()
    };
    let undone = undo::run(&mut store, &place.world, &options, &mut NoProgress)?;
    done(
        (&undone.tables, &undone.changed, &undone.findings),
        exit::of_undo(&undone),
    )
}

fn diff(place: &Place) -> Result<Done, Error> {
    let store = place.open()?;
    let (first, second) = (place.one(&store, "first")?, place.one(&store, "latest")?);
    let (before, after) = (
        Operand::Snapshot(&store, &first),
        Operand::Snapshot(&store, &second),
    );
    let options = DiffOptions::default();
    let diff = Diff::open(before, after, &options, &place.world, &mut NoProgress)?;
    let compared = diff.run(None, &NoProgress)?;
    done(&compared.tables, exit::of_diff(&compared, false))
}

fn export(place: &Place) -> Result<Done, Error> {
    let store = place.open()?;
    let manifest = place.one(&store, "latest")?;
    let to = place.path("new-export");
    let options = ExportOptions::default();
    let made = export::run(&store, &manifest, &to, &options, &mut NoProgress)?;
    done((made.files, made.records, made.bytes), Code::Ok)
}

fn import(place: &Place) -> Result<Done, Error> {
    let mut store = place.open()?;
    let options = ImportOptions {
        export: place.path("export"),
        temp_dir: Some(place.path("temp")),
        ..ImportOptions::default()
    };
    let made = import::run(&mut store, &place.world, &options, &mut NoProgress)?;
    done(
        (made.snapshot.records, &made.findings),
        exit::of_backup(&made),
    )
}

fn drill(place: &Place) -> Result<Done, Error> {
    let store = place.open()?;
    let options = ValidateOptions {
        drill: Some(place.path("temp")),
        ..ValidateOptions::default()
    };
    let found = validate::run(&store, &place.world, &options, &mut NoProgress)?;
    let drilled = found.drill.iter().flat_map(|drill| &drill.snapshots);
    let drilled: Vec<_> = drilled
        .map(|of| (&of.id, of.records, of.bytes, &of.findings, &of.failure))
        .collect();
    done(
        (drilled, &found.damage, &found.findings),
        exit::of_validate(&found),
    )
}

fn copied(from: &Store, to: &Store, place: &Place) -> Result<Done, Error> {
    let options = CopyOptions::default();
    let made = copy::run(from, to, &place.world, &options, &mut NoProgress)?;
    done(
        (
            made.copied.len() + made.present.len(),
            &made.not_copied,
            &made.findings,
        ),
        exit::of_copy(&made, None),
    )
}

fn parity_added(place: &Place, full: bool) -> Result<Done, Error> {
    let store = place.open()?;
    let options = AddOptions {
        full,
        percent: None,
    };
    let added = parity::add(&store, &place.world, &options, &mut NoProgress)?;
    done(
        (added.made.count + added.kept, &added.damage),
        exit::of_redundancy(&added.damage),
    )
}

fn parity_removed(place: &Place) -> Result<Done, Error> {
    let removed = parity::remove(&place.open()?, &mut NoProgress)?;
    done(removed, Code::Ok)
}

fn repaired(
    place: &Place,
    dry_run: bool,
    stores: Vec<Store>,
    sources: Vec<PathBuf>,
) -> Result<Done, Error> {
    let store = open_for_repair(place)?;
    let options = RepairOptions {
        dry_run,
        sources,
        no_sources: true,
        max_wait: Duration::ZERO,
        busy_timeout: Duration::from_millis(200),
        temp_dir: Some(place.path("temp")),
    };
    let made = repair::run(&store, &stores, &place.world, &options, &mut NoProgress)?;
    // Why a place of what is lost could not be looked at.
    let told = if made.is_lost() {
        &made.findings[..]
    } else {
        &[]
    };
    done(
        (
            made.healed_in_all(),
            &made.records,
            &made.lost,
            made.damaged.len(),
            told,
        ),
        exit::of_repair(&made),
    )
}

fn open_for_repair(place: &Place) -> Result<Store, Error> {
    match &place.backend {
        Some(backend) => Ok(Store::open_for_repair(
            backend.clone(),
            place.world.env.clone(),
            crate::sandbox::usage(),
        )?),
        None => open::open_for_repair(&place.options(), &place.world),
    }
}

fn pruned(place: &Place, dry_run: bool) -> Result<Done, Error> {
    let store = place.open()?;
    let options = PruneOptions {
        dry_run,
        grace: Duration::ZERO,
        max_wait: Duration::ZERO,
        max_unused_percent: 0,
    };
    let made = prune::run(&store, &place.world, &options, &mut NoProgress)?;
    let code = exit::of_prune(&made);
    match dry_run {
        true => done(
            (
                &made.deleted_snapshots,
                made.dead,
                made.repacked,
                made.snapshots,
            ),
            code,
        ),
        // What was copied depends on the space; what is deleted at the end is looked at.
        false => done((made.snapshots, made.waiting_snapshots.len()), code),
    }
}
