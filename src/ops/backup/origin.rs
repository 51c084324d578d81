//! A database that was made in order to be backed up, and what it was made from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::content::Content;
use crate::progress::Finding;

/// What a database was made from, in order to be backed up: its snapshot is recorded as one of this.
#[derive(Debug, Clone)]
pub struct Origin {
    /// In place of the database's path.
    pub path: PathBuf,
    /// In place of the database's length.
    pub bytes: u64,
    /// What was found while it was made.
    pub findings: Vec<Finding>,
    /// What entities refer to, of those for which the database does not say it.
    pub dependencies: BTreeMap<String, Vec<String>>,
}

impl Origin {
    /// Says of this what was found of the database, and what is known besides.
    pub(super) fn take_place_of(&self, database: &Path, content: &mut Content) {
        let database = database.display().to_string();
        for finding in &mut content.findings {
            if finding.subject == database {
                finding.subject = self.path.display().to_string();
            }
        }
        content.findings.extend(self.findings.iter().cloned());
        for entity in &mut content.entities {
            if let Some(others) = self.dependencies.get(&entity.entity) {
                entity.dependencies.clone_from(others);
            }
        }
    }
}
