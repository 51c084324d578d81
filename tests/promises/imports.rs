//! Exports read again: an import of an export is the same snapshot, and nothing is taken from an
//! export that is not as its manifest says.

mod hostile;
mod plain;
mod round;

use std::path::{Path, PathBuf};

use larder::error::{Error, FileDamageKind, ImportError};
use larder::format::manifest::{Entity, Manifest};
use larder::ops::backup::BackupOutcome;
use larder::ops::export::{self, ExportForm, ExportOptions};
use larder::ops::import::{self, ExportCheck, ImportOptions};
use larder::progress::{NoProgress, Progress, Unit};

use crate::workshop::{Workshop, bakery, restore_options};

/// An export, as a folder or zip, of the newest snapshot.
pub fn export(shop: &Workshop, name: &str) -> PathBuf {
    let to = shop.path(name);
    let is_zip = to.extension().is_some_and(|e| e == "zip");
    let options = ExportOptions {
        form: if is_zip {
            ExportForm::Zip
        } else {
            ExportForm::Folder
        },
        entities: Vec::new(),
    };
    let manifest = shop.manifest("latest");
    export::run(&shop.store, &manifest, &to, &options, &mut NoProgress).unwrap();
    to
}

pub fn try_import(shop: &mut Workshop, from: &Path) -> Result<BackupOutcome, Error> {
    let options = ImportOptions {
        export: from.to_owned(),
        source_name: Some("imported".to_owned()),
        temp_dir: Some(shop.dir.path().to_owned()),
        ..ImportOptions::default()
    };
    import::run(&mut shop.store, &shop.world, &options, &mut NoProgress)
}

/// The manifest of the snapshot that an export becomes.
pub fn imported(shop: &mut Workshop, from: &Path) -> Manifest {
    let outcome = try_import(shop, from).unwrap();
    shop.manifest(&outcome.snapshot.id)
}

fn validate(shop: &Workshop, export: &Path) -> ExportCheck {
    import::validate(export, &shop.world, &mut NoProgress).unwrap()
}

/// A folder export of the example database.
pub fn sample() -> (Workshop, PathBuf) {
    let mut shop = Workshop::new();
    shop.backup(&bakery());
    let folder = export(&shop, "export");
    (shop, folder)
}

fn snapshots(shop: &Workshop) -> usize {
    shop.store.snapshot_names().unwrap().ids.len()
}

/// Each kind of change of a file is named with what was found and what was recorded, and nothing
/// is taken.
#[test]
fn a_changed_byte_is_named() {
    let (mut shop, folder) = sample();
    let file = folder.join("suppliers.json");
    let whole = std::fs::read(&file).unwrap();
    let before = snapshots(&shop);
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let check = validate(&shop, &folder);
        let damage = check.damage.iter().find_map(|damage| match &damage.cause {
            FileDamageKind::Changed { found, recorded } => Some((&damage.file, found, recorded)),
            _ => None,
        });
        let (name, found, recorded) = damage.unwrap();
        assert_eq!(name, "suppliers.json");
        assert!(found.len() == 64 && recorded.len() == 64 && found != recorded);
        let bad: Vec<_> = check.files.iter().filter(|file| !file.good).collect();
        assert!(bad.len() == 1 && bad[0].file == *name, "{bad:?}");
        let error = try_import(&mut shop, &folder).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, Error::Import(ImportError::Damaged { .. })),
            "{text}"
        );
        for word in [name, found, recorded] {
            assert!(text.contains(word.as_str()), "{text}");
        }
    }
    std::fs::remove_file(&file).unwrap();
    let check = validate(&shop, &folder);
    assert_eq!(check.damage[0].cause, FileDamageKind::Missing);
    assert!(try_import(&mut shop, &folder).is_err());
    assert_eq!(snapshots(&shop), before, "nothing was taken");
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(validate(&shop, &folder).damage, []);
}

/// The sum is right, the count is not: both numbers are named.
#[test]
fn another_count_is_named() {
    let (mut shop, folder) = sample();
    let path = folder.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let count = manifest["files"][0]["record_count"].as_u64().unwrap();
    manifest["files"][0]["record_count"] = (count + 1).into();
    std::fs::write(&path, manifest.to_string()).unwrap();
    let check = validate(&shop, &folder);
    let (found, recorded) = (count, count + 1);
    assert_eq!(
        check.damage[0].cause,
        FileDamageKind::Count { found, recorded }
    );
    let error = try_import(&mut shop, &folder).unwrap_err().to_string();
    assert!(error.contains(&format!("holds {found} records")), "{error}");
}

/// Cut in a zip, too: what cannot be unpacked is damage, and no error of the system.
#[test]
fn a_damaged_zip_is_damage() {
    let mut shop = Workshop::new();
    shop.backup(&bakery());
    let path = export(&shop, "export.zip");
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(validate(&shop, &path).damage, []);
    let mut seen = 0;
    for at in (100..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        match import::validate(&path, &shop.world, &mut NoProgress) {
            Ok(check) => seen += usize::from(!check.damage.is_empty()),
            Err(Error::Import(ImportError::Zip { .. } | ImportError::Manifest { .. })) => seen += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
        // A byte that says nothing of the content (a time, a version) changes nothing.
        if let Ok(outcome) = try_import(&mut shop, &path) {
            let manifest = shop.manifest(&outcome.snapshot.id);
            assert_eq!(manifest.records(), 3738, "byte {at}");
        }
    }
    assert!(seen > 30, "{seen}");
    for bytes in [10, whole.len() / 2, whole.len() - 10] {
        std::fs::write(&path, &whole[..bytes]).unwrap();
        let error = import::validate(&path, &shop.world, &mut NoProgress).unwrap_err();
        assert!(
            matches!(error, Error::Import(ImportError::Zip { .. })),
            "{error}"
        );
    }
}

/// An export in the place of a snapshot: the same database, through a store that goes again.
#[test]
fn an_export_can_be_restored_as_it_is() {
    let (shop, folder) = sample();
    let zip = export(&shop, "export.zip");
    let before = snapshots(&shop);
    let temp = shop.path("temp");
    std::fs::create_dir(&temp).unwrap();
    for (n, from) in [folder, zip].iter().enumerate() {
        let mut borrowed = import::borrow(from, &shop.world, Some(&temp), &mut NoProgress).unwrap();
        let name = from.file_name().unwrap().to_str().unwrap();
        assert_eq!(borrowed.manifest.name, name);
        let target = shop.path(&format!("restored-{n}.db"));
        larder::ops::restore::run(
            &mut borrowed.store,
            &shop.world,
            &borrowed.manifest,
            &restore_options(&target),
            &mut larder::ops::restore::NoDecider,
            &mut NoProgress,
        )
        .unwrap();
        crate::workshop::assert_equal(&bakery(), &target);
    }
    assert_eq!(
        std::fs::read_dir(&temp).unwrap().count(),
        0,
        "nothing stays"
    );
    assert_eq!(snapshots(&shop), before);
}

/// Stops in a phase of the work.
struct StopIn(&'static str, bool);

impl Progress for StopIn {
    fn phase(&mut self, name: &str, _total: u64, _unit: Unit) {
        self.1 |= name == self.0;
    }

    fn cancelled(&self) -> bool {
        self.1
    }
}

/// Neither in the store nor in the folder for temporary files.
#[test]
fn an_import_that_is_stopped_leaves_nothing() {
    let (mut shop, folder) = sample();
    let before = snapshots(&shop);
    let temp = shop.path("temp");
    std::fs::create_dir(&temp).unwrap();
    let options = ImportOptions {
        export: folder,
        temp_dir: Some(temp.clone()),
        ..ImportOptions::default()
    };
    for phase in ["Checking", "Reading", "none"] {
        let progress = &mut StopIn(phase, false);
        let done = import::run(&mut shop.store, &shop.world, &options, progress);
        match phase {
            "none" => assert!(done.is_ok()),
            _ => assert!(matches!(done, Err(Error::Cancelled)), "{phase}: {done:?}"),
        }
        assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0, "{phase}");
        assert_eq!(snapshots(&shop), before + usize::from(phase == "none"));
    }
}

/// What is equal in a snapshot and in what its export becomes again.
pub fn essence(entity: &Entity) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        entity.entity.clone(),
        entity.records,
        entity.bytes,
        entity.root,
        entity.import_order,
        entity.dependencies.clone(),
    )
}
