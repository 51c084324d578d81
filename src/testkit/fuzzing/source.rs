//! A database that somebody made to do harm, or that is damaged, as the source of a backup: what is taken
//! is whole, whatever it is.

use std::sync::Arc;

use super::input::Input;
use super::scene::{backup, folder, restore, usage, world};
use crate::backend::memory::MemoryBackend;
use crate::error::Error;
use crate::ops::open::Store;
use crate::ops::validate::{self, ValidateOptions};
use crate::progress::NoProgress;

/// The bytes of a database; with an odd first byte, its length and then those of its write-ahead log.
pub fn source_database(data: &[u8]) {
    let _any = comes_back(data);
}

/// True if it was backed up and restored.
pub(super) fn comes_back(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let folder = folder();
    let database = folder.path().join("a.db");
    if input.u8() % 2 == 1 {
        std::fs::write(&database, input.long()).unwrap();
        std::fs::write(folder.path().join("a.db-wal"), input.rest()).unwrap();
    } else {
        std::fs::write(&database, input.rest()).unwrap();
    }
    let (world, env) = world();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = Store::create(backend, env, usage()).unwrap();
    let id = match backup(&mut store, &world, &database, folder.path()) {
        Ok(id) => id,
        Err(error @ (Error::Store(_) | Error::Safety(_))) => panic!("{error}"),
        Err(_) => return false,
    };
    let options = ValidateOptions::default();
    let outcome = validate::run(&store, &world, &options, &mut NoProgress).unwrap();
    assert_eq!(outcome.damage, []);
    assert!(outcome.snapshots.iter().all(|check| check.good));
    match restore(&mut store, &world, &id, folder.path()) {
        Err(error @ Error::Store(_)) => panic!("{error}"),
        restored => restored.is_ok(),
    }
}
