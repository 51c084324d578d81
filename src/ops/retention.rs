//! Which snapshots a policy keeps, and why. Pure: snapshots, policy and time in, a verdict for each out.
//! The rules with examples: docs/retention.md.
//!
//! What holds for every policy (`tests/promises/retention.rs`): more is kept by a larger number and by a
//! further rule; what was kept is kept again; the newest snapshot of a group is kept by any rule but a tag's;
//! damaged snapshots, those of a damaged source, never cost a good one its place.

mod policy;
mod restores;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use policy::{Age, BadWord, Count, Filter, GroupBy, Period, Policy, Rule, TagSet};

use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::select::{UNCOMMITTED_TAG, is_of_restore, source_label};

/// How long a forgotten snapshot can be taken back for certain: a clean-up leaves it alone so long, unless it
/// is told otherwise.
pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a policy looks at of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: SnapshotId,
    /// When the source was read.
    pub time: Timestamp,
    /// Its tags.
    pub tags: Vec<String>,
    /// The machine that made it.
    pub host: String,
    /// Name of its source, or the path if it has none.
    pub source: String,
    /// Path of its source.
    pub path: String,
    /// It is pinned.
    pub pinned: bool,
    /// Its source was damaged: it holds what could be read.
    pub damaged: bool,
    /// Taken by a restore or an undo, before it or after it.
    pub of_restore: bool,
    /// It is not known yet whether what it holds came to count.
    pub uncommitted: bool,
    /// The restore or undo after which it was taken.
    pub deed: Option<Deed>,
}

/// What a snapshot after a restore or an undo says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The snapshot before it.
    pub before: SnapshotId,
    /// The snapshot after the restore that it undid.
    pub undoes: Option<SnapshotId>,
}

impl Candidate {
    /// What a policy looks at of a manifest; `None` if that does not say when it was made.
    pub fn of(manifest: &Manifest, pinned: bool) -> Option<Self> {
        Some(Self {
            id: manifest.id.clone(),
            time: manifest.time.parse().ok()?,
            tags: manifest.tags.clone(),
            host: manifest.host.clone(),
            source: source_label(manifest),
            path: manifest.source.path.clone(),
            pinned,
            damaged: manifest.damaged,
            of_restore: is_of_restore(manifest),
            uncommitted: manifest.tags.iter().any(|tag| tag == UNCOMMITTED_TAG),
            deed: manifest.restore.as_ref().map(|mark| Deed {
                before: mark.before.clone(),
                undoes: mark.undoes.clone(),
            }),
        })
    }
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A rule keeps it.
    Rule {
        /// The rule.
        rule: Rule,
        /// It would not, if the damaged snapshots that are newer counted.
        past_damaged: bool,
    },
    /// It is pinned.
    Pinned,
    /// `larder undo` needs it, for the last restore into its database.
    LastRestore,
    /// `larder undo` needs it, for a restore of the last days.
    RecentRestore,
    /// It is not known yet whether what it holds came to count.
    Uncommitted,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { rule, past_damaged } => {
                write!(f, "{rule}")?;
                match past_damaged {
                    true => f.write_str(" not damaged"),
                    false => Ok(()),
                }
            }
            Self::Pinned => f.write_str("pinned"),
            Self::LastRestore => f.write_str("last restore"),
            Self::RecentRestore => f.write_str("recent restore"),
            Self::Uncommitted => f.write_str("uncommitted"),
        }
    }
}

/// A snapshot, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Its place among the candidates.
    pub index: usize,
    /// Why it is kept; empty: it is forgotten.
    pub reasons: Vec<Reason>,
}

/// Snapshots that a policy is applied to together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub key: GroupKey,
    /// Newest first.
    pub snapshots: Vec<Judged>,
}

impl Group {
    /// True if something of it is left.
    pub fn keeps_some(&self) -> bool {
        self.snapshots.iter().any(|s| !s.reasons.is_empty())
    }
}

/// What the snapshots of a group have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// They were taken by restores and undos, and have rules of their own.
    pub of_restores: bool,
    /// The source, if they are grouped by it; of those of restores the database's path.
    pub source: Option<String>,
    /// The machine, if they are grouped by it.
    pub host: Option<String>,
    /// The tags, if they are grouped by them.
    pub tags: Option<Vec<String>>,
}

/// When it is, and where: days and weeks are those of a zone.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// The zone.
    pub zone: TimeZone,
}

/// Applies a policy to the candidates that the filter lets through. The others are neither kept nor
/// forgotten, and count for nothing; but which of those of restores belong together is told from all.
pub fn judge(
    candidates: &[Candidate],
    policy: &Policy,
    filter: &Filter,
    group_by: GroupBy,
    moment: &Moment,
) -> Vec<Group> {
    let needed = restores::needed(candidates, policy, moment);
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|a, b| {
        let key = |index: &usize| candidates.get(*index).map(|c| (c.time, &c.id));
        key(b).cmp(&key(a))
    });
    let mut groups: BTreeMap<GroupKey, Vec<usize>> = BTreeMap::new();
    for index in order {
        let Some(candidate) = candidates.get(index) else {
            continue;
        };
        if filter.lets_through(candidate) {
            let key = key_of(candidate, group_by);
            groups.entry(key).or_default().push(index);
        }
    }
    let groups = groups.into_iter().map(|(key, members)| {
        let group: Vec<&Candidate> = members.iter().filter_map(|i| candidates.get(*i)).collect();
        let kept = match key.of_restores {
            true => vec![Vec::new(); group.len()],
            false => by_rules(&group, policy, moment),
        };
        let judged = members.into_iter().zip(group).zip(kept);
        let snapshots = judged.map(|((index, candidate), mut reasons)| {
            reasons.extend(of_tags(candidate, policy));
            reasons.extend(needed.get(&candidate.id).cloned());
            if candidate.uncommitted {
                reasons.push(Reason::Uncommitted);
            }
            if candidate.pinned {
                reasons.push(Reason::Pinned);
            }
            Judged { index, reasons }
        });
        Group {
            snapshots: snapshots.collect(),
            key,
        }
    });
    groups.collect()
}

fn key_of(candidate: &Candidate, by: GroupBy) -> GroupKey {
    if candidate.of_restore || candidate.uncommitted {
        // As `undo` tells which restores are of one database.
        return GroupKey {
            of_restores: true,
            source: Some(candidate.path.clone()),
            ..GroupKey::default()
        };
    }
    let mut tags = candidate.tags.clone();
    tags.sort();
    tags.dedup();
    GroupKey {
        of_restores: false,
        source: by.source.then(|| candidate.source.clone()),
        host: by.host.then(|| candidate.host.clone()),
        tags: by.tags.then_some(tags),
    }
}

/// Which rules keep which snapshots of a group, newest first.
///
/// They are applied twice, and either keeps: to all, and to the good ones alone. So a damaged snapshot is
/// kept as any other one is, and each good one is kept that would be if there were no damaged ones.
fn by_rules(group: &[&Candidate], policy: &Policy, moment: &Moment) -> Vec<Vec<Reason>> {
    let mut reasons = vec![Vec::new(); group.len()];
    let all: Vec<usize> = (0..group.len()).collect();
    let is_good = |i: &usize| group.get(*i).is_some_and(|c| !c.damaged);
    let good: Vec<usize> = all.iter().copied().filter(is_good).collect();
    for rule in &policy.rules {
        let kept = kept_by(rule, group, &all, moment);
        let kept_too = match good.len() == all.len() {
            true => BTreeSet::new(),
            false => kept_by(rule, group, &good, moment),
        };
        for (index, reasons) in reasons.iter_mut().enumerate() {
            let past_damaged = !kept.contains(&index);
            if !past_damaged || kept_too.contains(&index) {
                let rule = rule.clone();
                reasons.push(Reason::Rule { rule, past_damaged });
            }
        }
    }
    reasons
}

/// The members, newest first, that a rule keeps. A rule about tags does not look at others: see `of_tags`.
fn kept_by(
    rule: &Rule,
    group: &[&Candidate],
    members: &[usize],
    moment: &Moment,
) -> BTreeSet<usize> {
    let times = members
        .iter()
        .filter_map(|i| Some((*i, group.get(*i)?.time)));
    let oldest = |age: &Age| {
        // What lies in the future cannot be the newest that ages are counted from.
        let newest = times.clone().map(|(_, time)| time);
        let newest = newest.filter(|time| *time <= moment.now).max()?;
        age.before(newest, &moment.zone)
    };
    let (period, count, oldest) = match rule {
        Rule::Tags(_) => return BTreeSet::new(),
        Rule::Last(count) => (None, *count, None),
        Rule::Each(period, count) => (Some(*period), *count, None),
        Rule::Within(age) => (None, Count::Unlimited, oldest(age)),
        Rule::EachWithin(period, age) => (Some(*period), Count::Unlimited, oldest(age)),
    };
    let has_age = matches!(rule, Rule::Within(_) | Rule::EachWithin(..));
    let mut seen = BTreeSet::new();
    let mut kept = BTreeSet::new();
    for (index, time) in times {
        // It has no age, and takes no other one's place: the one that ages are counted from is always kept.
        if has_age && time > moment.now {
            kept.insert(index);
            continue;
        }
        let is_young = oldest.is_none_or(|oldest| time >= oldest);
        let is_first = period.is_none_or(|period| seen.insert(period.of(time, &moment.zone)));
        if is_young && is_first && count.allows(kept.len()) {
            kept.insert(index);
        }
    }
    kept
}

fn of_tags(candidate: &Candidate, policy: &Policy) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for rule in &policy.rules {
        if let Rule::Tags(tags) = rule
            && tags.fit(&candidate.tags)
        {
            let rule = rule.clone();
            reasons.push(Reason::Rule {
                rule,
                past_damaged: false,
            });
        }
    }
    reasons
}
