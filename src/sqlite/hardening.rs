//! What every connection refuses, whatever its profile: a database or a stored schema text may be
//! hostile.
//!
//! `trusted_schema` is off before the schema is first parsed: switched off later, functions in it
//! would still run. Foreign keys are off everywhere (the bundled SQLite turns them on by default):
//! larder checks them itself, and by `foreign_key_check`.

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;

use super::open::Connection;
use super::statement::SqliteError;

/// Page cache of every connection, in KiB.
const CACHE_KIB: i64 = 16 * 1024;

/// What no connection needs more of. A schema that SQLite accepts as it is built by default is
/// never refused: a limit stands well above what its texts can ask for.
const LIMITS: [(Limit, i32); 6] = [
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 1_000),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 500),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50_000),
    // A tenth of the default: checks of thousands of tables are one program.
    (Limit::SQLITE_LIMIT_VDBE_OP, 25_000_000),
];

impl Connection {
    /// What every profile has in common. Runs before the schema is read.
    pub(super) fn harden(&self, fire_triggers: bool) -> Result<(), SqliteError> {
        self.harden_for(fire_triggers, false)
    }

    /// As [`Connection::harden`]; if `tolerant`, a database whose size or schema is damaged is read as
    /// far as it goes. SQLite does so where the schema may be written, which `query_only` and the
    /// authorizer still refuse.
    pub(super) fn harden_for(
        &self,
        fire_triggers: bool,
        tolerant: bool,
    ) -> Result<(), SqliteError> {
        for (setting, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, !tolerant),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, fire_triggers),
            (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, tolerant),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
            // Old schemas quote strings with ".
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, true),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, true),
        ] {
            self.db.set_db_config(setting, on)?;
        }
        for (limit, most) in LIMITS {
            self.db.set_limit(limit, most)?;
        }
        self.db.set_limit(
            Limit::SQLITE_LIMIT_TRIGGER_DEPTH,
            if fire_triggers { 1000 } else { 10 },
        )?;
        self.pragma("cell_size_check", 1)?;
        self.pragma("mmap_size", 0)?;
        self.pragma("cache_size", -CACHE_KIB)?;
        Ok(())
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the databases to open are made here"
)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::sqlite::source::tests::profiles as of_sources;

    /// Every way to open a connection, each on a database with a table of its own.
    fn profiles(dir: &Path) -> Vec<(&'static str, Connection)> {
        let fresh = |name: &str| {
            let path = dir.join(name);
            let db = rusqlite::Connection::open(&path).unwrap();
            db.execute_batch("CREATE TABLE t(a)").unwrap();
            path
        };
        let scratch = dir.join("scratch.db");
        std::fs::write(&scratch, "").unwrap();
        let zero = Duration::ZERO;
        let mut all = vec![
            ("live", Connection::open_live(&fresh("live"), zero).unwrap()),
            (
                "scratch",
                Connection::open_scratch(&scratch, false).unwrap(),
            ),
            (
                "target",
                Connection::open_target(&fresh("target"), zero, false).unwrap(),
            ),
            (
                "cache",
                Connection::open_cache(Some(&dir.join("cache"))).unwrap(),
            ),
            ("memory", Connection::open_memory().unwrap()),
            (
                "complete",
                Connection::open_complete(&fresh("complete"), false).unwrap(),
            ),
        ];
        all.extend(of_sources(dir));
        all
    }

    /// Read back from SQLite itself, for every profile.
    #[test]
    fn every_connection_is_hardened() {
        let dir = tempfile::tempdir().unwrap();
        for (name, profile) in profiles(dir.path()) {
            for (setting, on) in [
                (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
                (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
                (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false),
                (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
                (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
                (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
                (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
                (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
            ] {
                assert_eq!(
                    profile.db.db_config(setting).unwrap(),
                    on,
                    "{name} {setting:?}"
                );
            }
            let mut limits = LIMITS.to_vec();
            limits.push((Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10));
            for (limit, most) in limits {
                assert_eq!(profile.db.limit(limit).unwrap(), most, "{name} {limit:?}");
            }
            for (pragma, value) in [
                ("cell_size_check", 1),
                // Without memory mapping there is no row, or a 0.
                ("mmap_size", 0),
                ("foreign_keys", 0),
                ("trusted_schema", 0),
            ] {
                let found = profile.integer(&format!("PRAGMA {pragma}")).unwrap();
                assert_eq!(found.unwrap_or(0), value, "{name} {pragma}");
            }
        }
    }

    #[test]
    fn no_connection_reaches_outside_its_database() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other.db");
        for (name, profile) in profiles(dir.path()) {
            for sql in [
                format!("ATTACH '{}' AS other", other.display()),
                format!("VACUUM INTO '{}'", other.display()),
                "SELECT load_extension('x')".to_owned(),
                "SELECT fts3_tokenizer('simple')".to_owned(),
                "SELECT readfile('/etc/passwd')".to_owned(),
                "PRAGMA writable_schema=ON".to_owned(),
                "PRAGMA trusted_schema=ON".to_owned(),
                "PRAGMA temp_store_directory='/'".to_owned(),
                "CREATE TEMP TABLE x(a)".to_owned(),
                "UPDATE sqlite_schema SET sql = 'CREATE TABLE t(b)'".to_owned(),
            ] {
                assert!(profile.execute(&sql).is_err(), "{name}: {sql}");
            }
            assert!(!other.exists(), "{name}");
        }
    }
}
