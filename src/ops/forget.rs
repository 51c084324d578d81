//! Forgets snapshots, by name or by a policy. Nothing is deleted: each gets a mark, and a mark can be taken
//! back until a clean-up has decided otherwise (`take_back`).
//!
//! All is looked at before the first mark is made. A mark is one object: whenever the work is cut off, each
//! snapshot is forgotten or as it was, and the same again does the rest.

mod take_back;

use std::collections::BTreeSet;

pub use take_back::{TakeBack, TakeBackOptions, TakenBack, take_back};

use crate::error::{Error, SelectError};
use crate::format::manifest::Manifest;
use crate::model::counted::agree;
use crate::model::id::SnapshotId;
use crate::ops::list::{SnapshotLine, all_ids, line, newest_line_first};
use crate::ops::open::Store;
use crate::ops::retention::{Candidate, Filter, Group, GroupBy, GroupKey, Moment, Policy, judge};
use crate::ops::select::{Named, SourceChoice, UNCOMMITTED_TAG, known_source, named, newest_first};
use crate::progress::{Finding, Progress};
use crate::store::StoreError;

/// Which snapshots are forgotten.
#[derive(Debug, Clone)]
pub enum Which {
    /// Those that the words name.
    Words(Vec<String>),
    /// Those that a policy does not keep.
    Policy(Box<ByPolicy>),
}

/// A policy, and what it is applied to.
#[derive(Debug, Clone)]
pub struct ByPolicy {
    /// The policy.
    pub policy: Policy,
    /// Which snapshots it is about.
    pub filter: Filter,
    /// Which of them it is applied to together.
    pub group_by: GroupBy,
    /// A group may be forgotten as a whole.
    pub allow_empty: bool,
    /// Now, and the zone whose days and weeks count.
    pub moment: Moment,
}

/// What to forget.
#[derive(Debug, Clone)]
pub struct ForgetOptions {
    /// Which snapshots.
    pub which: Which,
    /// Say what would be forgotten, and stop there.
    pub dry_run: bool,
}

/// What was forgotten, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgetOutcome {
    /// Where the store is.
    pub store: String,
    /// Nothing was forgotten: it was only said what would be.
    pub dry_run: bool,
    /// With a policy, what it says of each group.
    pub groups: Vec<GroupReport>,
    /// Those that are forgotten now, or would be, newest first.
    pub forgotten: Vec<SnapshotLine>,
    /// Those that were named and are forgotten already.
    pub already: Vec<SnapshotLine>,
    /// It was asked to stop before so many others were forgotten.
    pub left: u64,
    /// Snapshots that no policy can judge, and what follows from what was named.
    pub findings: Vec<Finding>,
}

/// What a policy says of a group of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// What they have in common.
    pub key: GroupKey,
    /// Newest first.
    pub snapshots: Vec<Verdict>,
}

/// What a policy says of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot.
    pub snapshot: SnapshotLine,
    /// Why it is kept; empty: it is not.
    pub reasons: Vec<String>,
}

/// Forgets.
///
/// Errors: `Select`, `Store`. What was forgotten before a `Store` error stays so, and is told to `progress`.
pub fn run(
    store: &Store,
    options: &ForgetOptions,
    progress: &mut dyn Progress,
) -> Result<ForgetOutcome, Error> {
    let mut plan = match &options.which {
        Which::Words(words) => by_words(store, words)?,
        Which::Policy(by) => by_policy(store, by)?,
    };
    let outcome = &mut plan.outcome;
    outcome.dry_run = options.dry_run;
    if options.dry_run {
        return Ok(plan.outcome);
    }
    let done = mark_all(store, &plan.order, progress)?;
    outcome.left = (plan.order.len() - done.len()) as u64;
    outcome.forgotten.retain(|line| done.contains(&line.id));
    Ok(plan.outcome)
}

/// What is to be forgotten, and in which order.
struct Plan {
    outcome: ForgetOutcome,
    order: Vec<SnapshotId>,
}

fn nothing_yet(store: &Store) -> ForgetOutcome {
    ForgetOutcome {
        store: store.location(),
        dry_run: false,
        groups: Vec::new(),
        forgotten: Vec::new(),
        already: Vec::new(),
        left: 0,
        findings: Vec::new(),
    }
}

/// Forgets one after the other, until it is asked to stop. Gives the ids of those that are forgotten.
fn mark_all(
    store: &Store,
    order: &[SnapshotId],
    progress: &mut dyn Progress,
) -> Result<BTreeSet<String>, Error> {
    let mut done = BTreeSet::new();
    if order.is_empty() {
        return Ok(done);
    }
    let marks = store.forgotten()?;
    for id in order {
        if progress.cancelled() {
            break;
        }
        if let Err(error) = store.forget_knowing(&marks, id) {
            tell_how_far(done.len(), order.len(), "forgotten", progress);
            return Err(error.into());
        }
        done.insert(id.to_string());
    }
    Ok(done)
}

/// Says how much was done before an error: it stays done.
fn tell_how_far(done: usize, of: usize, what: &str, progress: &mut dyn Progress) {
    if of > 1 {
        let are = agree(done as u64, "is", "are");
        let text = format!("{done} of {of} snapshots {are} {what}; the same again does the rest");
        progress.found(&Finding::note("", text));
    }
}

/// Those that the words name. Errors: also `Pinned`, `Unsettled`.
fn by_words(store: &Store, words: &[String]) -> Result<Plan, Error> {
    let (pins, ids) = (store.pins()?, all_ids(&store.snapshot_names()?));
    let mut outcome = nothing_yet(store);
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for word in words {
        // Nobody should forget the newest snapshot of a source that they did not think of.
        let found = named(store, word, &SourceChoice::Single)?;
        let id = found.id().clone();
        if !seen.insert(id.clone()) {
            continue;
        }
        let manifest = match found {
            Named::Forgotten(id) => {
                let manifest = readable(store, &id)?;
                outcome.already.push(line(&id, manifest.as_ref(), &ids));
                continue;
            }
            Named::Visible(manifest) => Some(*manifest),
            Named::Unreadable(_) => None,
        };
        if pins.contains(&id) {
            let (snapshot, store) = (id.short().to_owned(), store.location());
            return Err(SelectError::Pinned { snapshot, store }.into());
        }
        if let Some(manifest) = &manifest {
            let has_tag = |wanted: &str| manifest.tags.iter().any(|tag| tag == wanted);
            if has_tag(UNCOMMITTED_TAG) {
                let snapshot = id.short().to_owned();
                return Err(SelectError::Unsettled { snapshot }.into());
            }
            if manifest.restore.is_some() {
                let text = "its restore or undo cannot be undone as long as it is forgotten";
                let subject = format!("snapshot {}", id.short());
                outcome.findings.push(Finding::note(subject, text));
            }
        }
        outcome.forgotten.push(line(&id, manifest.as_ref(), &ids));
        order.push(id);
    }
    outcome.forgotten.sort_by(newest_line_first);
    Ok(Plan { outcome, order })
}

/// A manifest, if it is there and can be read.
fn readable(store: &Store, id: &SnapshotId) -> Result<Option<Manifest>, Error> {
    match store.manifest(id) {
        Err(StoreError::Damaged { .. }) => Ok(None),
        done => Ok(done?),
    }
}

/// Refuses a filter that no snapshot fits: it is mistyped, or about another store.
///
/// Errors: `NoTag`, `NoHost`, `NoneFits`.
fn refuse_no_fit(
    store: &Store,
    filter: &Filter,
    candidates: &[Candidate],
) -> Result<(), SelectError> {
    let distinct = |words: &mut dyn Iterator<Item = &String>| -> Vec<String> {
        let words: BTreeSet<&String> = words.collect();
        words.into_iter().cloned().collect()
    };
    for tags in &filter.tags {
        if !candidates.iter().any(|one| tags.fit(&one.tags)) {
            return Err(SelectError::NoTag {
                tags: tags.0.clone(),
                store: store.location(),
                known: distinct(&mut candidates.iter().flat_map(|one| &one.tags)),
            });
        }
    }
    for host in &filter.hosts {
        if !candidates.iter().any(|one| one.host == *host) {
            return Err(SelectError::NoHost {
                host: host.clone(),
                store: store.location(),
                known: distinct(&mut candidates.iter().map(|one| &one.host)),
            });
        }
    }
    let fits = |one: &Candidate| filter.lets_through(one);
    if !filter.is_empty() && !candidates.iter().any(fits) {
        let store = store.location();
        return Err(SelectError::NoneFits { store });
    }
    Ok(())
}

/// Those that a policy does not keep. Errors: also `NoSource`, `NoTag`, `NoHost`, `NoneFits`, `KeepsNothing`.
fn by_policy(store: &Store, by: &ByPolicy) -> Result<Plan, Error> {
    let mut filter = by.filter.clone();
    for source in &mut filter.sources {
        *source = known_source(store, source)?;
    }
    let (pins, ids) = (store.pins()?, all_ids(&store.snapshot_names()?));
    let (mut candidates, mut lines) = (Vec::new(), Vec::new());
    let mut outcome = nothing_yet(store);
    let findings = std::cell::RefCell::new(Vec::new());
    let not_judged = |id: &SnapshotId, why: &str| {
        let text = format!("no rule can judge it, and it is kept: {why}");
        let finding = Finding::warning(format!("snapshot {id}"), text);
        findings.borrow_mut().push(finding);
    };
    newest_first(
        store,
        |manifest| {
            match Candidate::of(&manifest, pins.contains(&manifest.id)) {
                Some(candidate) => {
                    let mut line = line(&manifest.id, Some(&manifest), &ids);
                    if let Some(summary) = &mut line.summary {
                        summary.pinned = Some(candidate.pinned);
                    }
                    lines.push(line);
                    candidates.push(candidate);
                }
                None => not_judged(&manifest.id, "it does not say when it was made"),
            }
            Ok(true)
        },
        |id, error| {
            not_judged(id, &error.to_string());
            Ok(())
        },
    )?;
    outcome.findings = findings.into_inner();
    refuse_no_fit(store, &filter, &candidates)?;
    let groups = judge(&candidates, &by.policy, &filter, by.group_by, &by.moment);
    // Those of restores have rules of their own, which keep what is needed.
    let is_empty = |group: &&Group| !group.key.of_restores && !group.keeps_some();
    if let Some(group) = groups.iter().find(is_empty)
        && !by.allow_empty
    {
        return Err(SelectError::KeepsNothing {
            group: title(&group.key),
            snapshots: group.snapshots.len() as u64,
        }
        .into());
    }
    let order = order(&groups, &candidates);
    let wanted: BTreeSet<&SnapshotId> = order.iter().collect();
    let is_wanted = |candidate: &Candidate| wanted.contains(&candidate.id);
    let pairs = candidates.iter().zip(&lines);
    let forgotten = pairs.filter(|(candidate, _)| is_wanted(candidate));
    outcome.forgotten = forgotten.map(|(_, line)| line.clone()).collect();
    outcome.groups = groups.into_iter().map(|g| report(g, &lines)).collect();
    Ok(Plan { outcome, order })
}

fn report(group: Group, lines: &[SnapshotLine]) -> GroupReport {
    let verdicts = group.snapshots.into_iter().filter_map(|judged| {
        Some(Verdict {
            snapshot: lines.get(judged.index)?.clone(),
            reasons: judged.reasons.iter().map(ToString::to_string).collect(),
        })
    });
    GroupReport {
        snapshots: verdicts.collect(),
        key: group.key,
    }
}

/// Oldest first, and of restores the snapshots after before those before: whenever this is cut off, an undo
/// finds both snapshots of a restore or does not know of it, and none whose undo is forgotten.
fn order(groups: &[Group], candidates: &[Candidate]) -> Vec<SnapshotId> {
    let snapshots = groups.iter().flat_map(|group| &group.snapshots);
    let forgotten = snapshots.filter(|judged| judged.reasons.is_empty());
    let mut order: Vec<&Candidate> = forgotten
        .filter_map(|judged| candidates.get(judged.index))
        .collect();
    order.sort_by_key(|c| (c.deed.is_none(), c.time, &c.id));
    order.into_iter().map(|c| c.id.clone()).collect()
}

/// `app.db on build-host, tags a,b`
pub fn title(key: &GroupKey) -> String {
    let source = key.source.as_deref().unwrap_or("all sources");
    let mut title = match key.of_restores {
        true => format!("restores into {source}"),
        false => source.to_owned(),
    };
    if let Some(host) = &key.host {
        title.push_str(" on ");
        title.push_str(host);
    }
    match key.tags.as_deref() {
        None => {}
        Some([]) => title.push_str(", no tags"),
        Some(tags) => {
            title.push_str(", tags ");
            title.push_str(&tags.join(","));
        }
    }
    title
}
