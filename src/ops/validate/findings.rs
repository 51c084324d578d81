//! Damage, named once each, with all that hangs on it.

use super::{AffectedRecords, Damage};
use crate::format::blob::BlobError;
use crate::format::name;
use crate::model::id::{PackId, SnapshotId};
use crate::progress::Finding;
use crate::store::UnreadablePack;

/// What was found so far.
#[derive(Debug, Default)]
pub(in crate::ops) struct Findings {
    damage: Vec<Damage>,
    notes: Vec<Finding>,
}

/// How a pack is called: `pack 7c/7c01…`.
pub(in crate::ops) fn pack_object(id: &PackId) -> String {
    let name = name::pack(id);
    format!("pack {}", name.strip_prefix(name::PACKS).unwrap_or(&name))
}

/// What is wrong with a blob, without the pack's name, which the damage has already.
fn cause_in_pack(error: &BlobError) -> String {
    let cause = error.cause.to_string();
    match cause
        .strip_prefix("pack ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((_, cause)) => cause.to_owned(),
        None => cause,
    }
}

impl Findings {
    /// Packs whose table of contents cannot be read.
    pub(super) fn unreadable_packs(&mut self, packs: &[UnreadablePack]) {
        for pack in packs {
            self.object(pack_object(&pack.id), pack.cause.to_string());
        }
    }

    /// An object that is not what its name says. What of a pack affects whom is told blob by blob.
    pub(super) fn object(&mut self, object: String, cause: String) {
        if !self.damage.iter().any(|damage| damage.object == object) {
            self.damage.push(Damage {
                object,
                blob: None,
                cause,
                affects: Vec::new(),
            });
        }
    }

    /// Records that are other than they were at backup time, though each blob is what its id says.
    pub(super) fn difference(&mut self, object: String, cause: String, affected: AffectedRecords) {
        let same = |damage: &&mut Damage| damage.object == object && damage.cause == cause;
        match self.damage.iter_mut().find(same) {
            Some(known) => known
                .affects
                .iter_mut()
                .for_each(|affects| affects.snapshots.extend(affected.snapshots.iter().cloned())),
            None => self.damage.push(Damage {
                object,
                blob: None,
                cause,
                affects: vec![affected],
            }),
        }
    }

    /// A snapshot whose manifest cannot be read.
    pub(in crate::ops) fn snapshot(&mut self, object: String, cause: String, id: &SnapshotId) {
        let affects = vec![AffectedRecords {
            entity: String::new(),
            records: 0,
            range: "the whole snapshot".to_owned(),
            snapshots: vec![id.short().to_owned()],
        }];
        self.damage.push(Damage {
            object,
            blob: None,
            cause,
            affects,
        });
    }

    /// A blob of a snapshot that is missing or damaged.
    pub(in crate::ops) fn blob(
        &mut self,
        error: &BlobError,
        object: Option<String>,
        affected: AffectedRecords,
    ) {
        let blob = Some((error.kind.name(), error.id.to_string()));
        let at = self
            .damage
            .iter()
            .position(|damage| damage.blob == blob)
            .unwrap_or_else(|| {
                self.damage.push(Damage {
                    object: object.unwrap_or_else(|| "no pack".to_owned()),
                    blob,
                    cause: cause_in_pack(error),
                    affects: Vec::new(),
                });
                self.damage.len() - 1
            });
        let affects = &mut self.damage[at].affects;
        let same = |other: &&mut AffectedRecords| {
            other.entity == affected.entity && other.range == affected.range
        };
        match affects.iter_mut().find(same) {
            Some(known) => {
                let new = |s: &&String| !known.snapshots.contains(s);
                let new: Vec<String> = affected.snapshots.iter().filter(new).cloned().collect();
                known.snapshots.extend(new);
            }
            None => affects.push(affected),
        }
    }

    /// Something worth a line that is no damage.
    pub(super) fn note(&mut self, subject: String, text: &str) {
        self.notes.push(Finding::note(subject, text));
    }

    /// True if some damage is in this pack.
    pub(super) fn names_pack(&self, id: &PackId) -> bool {
        let object = pack_object(id);
        self.damage.iter().any(|damage| damage.object == object)
    }

    /// Damage and notes. A pack of which single blobs are named is not named again by itself.
    pub(in crate::ops) fn finish(self) -> (Vec<Damage>, Vec<Finding>) {
        let detailed: Vec<String> = self
            .damage
            .iter()
            .filter(|damage| damage.blob.is_some())
            .map(|damage| damage.object.clone())
            .collect();
        let told = |damage: &Damage| damage.blob.is_none() && detailed.contains(&damage.object);
        (
            self.damage
                .into_iter()
                .filter(|damage| !told(damage))
                .collect(),
            self.notes,
        )
    }
}
