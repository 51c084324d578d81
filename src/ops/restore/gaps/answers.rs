//! What is decided about missing references: the answers that were given, and what they add to the
//! scope of the restore. They hold for all rounds of planning.

use super::decision;
use crate::error::Error;
use crate::model::value::Value;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::identity::keys::Changes;
use crate::ops::restore::missing::{Choice, Decision, OnMissing};
use crate::ops::restore::scope::links::{Link, Links, Parent};
use crate::ops::restore::scope::shape::TableShape;
use crate::target::{KeyMap, Record, TargetError, Worksheet};

/// What is done with the records of one missing value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops::restore) enum Answer {
    /// Nothing is decided.
    None,
    /// The snapshot's record of the parent is inserted.
    Create,
    /// A row of given values is inserted.
    Give,
    /// They refer to this key.
    Map(Vec<Value>),
    /// They refer to nothing.
    Null,
    /// They are left out.
    Skip,
}

/// A row that is inserted beside the snapshot's records.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops::restore) struct Given {
    /// The live table.
    pub table: String,
    /// Columns and values.
    pub values: Vec<(String, Value)>,
}

/// All answers.
pub(in crate::ops::restore) struct Answers<'w> {
    /// Those for single values.
    pub decisions: Vec<Decision>,
    /// For each of them, whether it is about something that is missing.
    pub used: Vec<bool>,
    others: Option<OnMissing>,
    /// By link: the places of the decisions.
    by_link: Vec<KeyMap<'w>>,
    /// By wanted key: parents that were put in the scope since planning began anew.
    fresh: Vec<KeyMap<'w>>,
    /// By link: values of references that have no target, and what was decided to stand for them.
    applied: Vec<KeyMap<'w>>,
    /// Rows of given values that are needed.
    pub given: Vec<Given>,
    /// Some of them are new since planning began anew.
    gives_more: bool,
    /// Somebody decided that nothing is to be written.
    pub aborted: bool,
}

impl<'w> Answers<'w> {
    /// Those of the options.
    ///
    /// Errors: `BadDecision` for one that maps to a row which is not there.
    pub(in crate::ops::restore) fn new(
        basis: &Basis<'_>,
        sheet: &'w Worksheet,
        shapes: &[TableShape],
        links: &Links,
    ) -> Result<Self, Error> {
        let (mut by_link, mut fresh, mut applied) = (Vec::new(), Vec::new(), Vec::new());
        for link in &links.all {
            let table = parent_table(basis, shapes, link);
            by_link.push(sheet.key_map(table, &link.parent_columns)?);
            applied.push(sheet.key_map(table, &link.parent_columns)?);
        }
        for wanted in &links.wanted {
            fresh.push(sheet.key_map(&shapes[wanted.table].live, &wanted.columns)?);
        }
        let mut answers = Self {
            decisions: Vec::new(),
            used: Vec::new(),
            others: basis.options.decisions.others,
            by_link,
            fresh,
            applied,
            given: Vec::new(),
            gives_more: false,
            aborted: false,
        };
        for decision in &basis.options.decisions.single {
            answers.add(basis, shapes, links, decision.clone())?;
        }
        for decision in basis.decided {
            match answers.add(basis, shapes, links, decision.clone()) {
                // The row is gone since: it is asked about again.
                Err(Error::Target(TargetError::BadDecision { .. })) => {}
                added => added?,
            }
        }
        Ok(answers)
    }

    /// Adds a decision. Errors: `BadDecision` if it cannot be carried out, `Target`.
    pub(in crate::ops::restore) fn add(
        &mut self,
        basis: &Basis<'_>,
        shapes: &[TableShape],
        links: &Links,
        decision: Decision,
    ) -> Result<(), Error> {
        let place = i64::try_from(self.decisions.len()).unwrap_or(i64::MAX);
        for at in decision::links_of(basis, shapes, links, &decision)? {
            self.by_link[at].add(&decision.values, place)?;
        }
        self.aborted |= decision.choice == Choice::Abort;
        self.used.push(decision.choice == Choice::Abort);
        self.decisions.push(decision);
        Ok(())
    }

    /// The decision that was added last is about what is missing.
    pub(in crate::ops::restore) fn use_last(&mut self) {
        if let Some(used) = self.used.last_mut() {
            *used = true;
        }
    }

    /// What is decided about a value of a link.
    pub(in crate::ops::restore) fn of(
        &mut self,
        basis: &Basis<'_>,
        shapes: &[TableShape],
        links: &Links,
        link_at: usize,
        key: &[Value],
        in_snapshot: bool,
    ) -> Result<Answer, TargetError> {
        let Some(decision) = self.decision(link_at, key)? else {
            return Ok(match self.others {
                Some(OnMissing::Create) if in_snapshot => Answer::Create,
                Some(OnMissing::Skip) => Answer::Skip,
                Some(OnMissing::Null) => Answer::Null,
                Some(OnMissing::Create) | None => Answer::None,
            });
        };
        Ok(match &decision.choice {
            Choice::Create(values) if values.is_empty() && in_snapshot => Answer::Create,
            Choice::Create(values) if values.is_empty() => Answer::None,
            Choice::Create(values) => {
                let values = values.clone();
                let link = &links.all[link_at];
                let parent = parent_table(basis, shapes, link);
                let name = |(at, _): &(usize, _)| parent.columns[*at].name.clone();
                let keyed = link
                    .parent_columns
                    .iter()
                    .map(name)
                    .zip(key.iter().cloned());
                let given = Given {
                    table: parent.name.clone(),
                    values: keyed.chain(values).collect(),
                };
                if self.given.contains(&given) {
                    return Ok(Answer::None);
                }
                self.given.push(given);
                self.gives_more = true;
                Answer::Give
            }
            Choice::Map(values) => Answer::Map(values.clone()),
            Choice::Skip => Answer::Skip,
            Choice::Null => Answer::Null,
            Choice::Abort => Answer::None,
        })
    }

    /// True if the records of a value are left out.
    pub(in crate::ops::restore) fn skips(
        &mut self,
        link_at: usize,
        key: &[Value],
    ) -> Result<bool, TargetError> {
        Ok(match self.decision(link_at, key)? {
            Some(decision) => decision.choice == Choice::Skip,
            None => self.others == Some(OnMissing::Skip),
        })
    }

    /// What is decided to stand for a value: a key, or nothing at all. `None`: neither.
    pub(in crate::ops::restore) fn stand_in(
        &mut self,
        link_at: usize,
        key: &[Value],
    ) -> Result<Option<Answer>, TargetError> {
        let choice = self.decision(link_at, key)?.map(|one| &one.choice);
        Ok(match choice {
            Some(Choice::Map(values)) => Some(Answer::Map(values.clone())),
            Some(Choice::Null) => Some(Answer::Null),
            Some(_) => None,
            None => (self.others == Some(OnMissing::Null)).then_some(Answer::Null),
        })
    }

    fn decision(
        &mut self,
        link_at: usize,
        key: &[Value],
    ) -> Result<Option<&Decision>, TargetError> {
        let place = self.by_link[link_at].get(key)?;
        let at = place.and_then(|entry| usize::try_from(entry.mark).ok());
        if let Some(used) = at.and_then(|at| self.used.get_mut(at)) {
            *used = true;
        }
        Ok(at.and_then(|at| self.decisions.get(at)))
    }

    /// True if a row of given values has this key.
    pub(in crate::ops::restore) fn gives(
        &self,
        basis: &Basis<'_>,
        shapes: &[TableShape],
        link: &Link,
        key: &[Value],
    ) -> bool {
        let parent = parent_table(basis, shapes, link);
        let columns = link.parent_columns.iter();
        let names: Vec<&String> = columns.map(|(at, _)| &parent.columns[*at].name).collect();
        self.given.iter().any(|given| {
            let value = |name: &str| {
                let mut values = given.values.iter();
                values.find(|(column, _)| column == name).map(|(_, v)| v)
            };
            given.table == parent.name
                && names
                    .iter()
                    .zip(key)
                    .all(|(name, wanted)| value(name) == Some(wanted))
        })
    }

    /// From here on, these values stand for a value of a link: records are looked at anew with them. False
    /// if they do already.
    pub(in crate::ops::restore) fn apply(
        &mut self,
        link_at: usize,
        key: &[Value],
        values: &[(usize, Value)],
    ) -> Result<bool, TargetError> {
        if self.applied[link_at].has(key)? {
            return Ok(false);
        }
        let packed: Vec<Value> = values
            .iter()
            .flat_map(|(at, value)| {
                let at = i64::try_from(*at).unwrap_or(i64::MAX);
                [Value::Integer(at), value.clone()]
            })
            .collect();
        self.applied[link_at].put(key, 0, &packed)?;
        Ok(true)
    }

    /// True if it was decided what stands for a value of a link.
    pub(in crate::ops::restore) fn is_applied(
        &mut self,
        link_at: usize,
        key: &[Value],
    ) -> Result<bool, TargetError> {
        self.applied[link_at].has(key)
    }

    /// True if values of a table's references are decided about.
    pub(in crate::ops::restore) fn may_change(&self, links: &Links, child: usize) -> bool {
        let mut of_child = links.of_child(child);
        of_child.any(|(at, _)| !self.applied[at].is_empty())
    }

    /// What stands for the references of a record: mapped columns and values.
    pub(in crate::ops::restore) fn changes(
        &mut self,
        links: &Links,
        child: usize,
        record: Record<'_>,
    ) -> Result<Changes, TargetError> {
        let mut changes = Changes::new();
        for (at, link) in links.of_child(child) {
            if self.applied[at].is_empty() {
                continue;
            }
            let Some(key) = record.whole(&link.columns) else {
                continue;
            };
            let Some(entry) = self.applied[at].get(&key)? else {
                continue;
            };
            for pair in entry.values.chunks_exact(2) {
                if let Value::Integer(at) = pair[0] {
                    let at = usize::try_from(at).unwrap_or(usize::MAX);
                    changes.push((at, pair[1].clone()));
                }
            }
        }
        Ok(changes)
    }

    /// True if a parent was put in the scope since planning began anew.
    pub(in crate::ops::restore) fn is_new(
        &mut self,
        wanted: usize,
        key: &[Value],
    ) -> Result<bool, TargetError> {
        self.fresh[wanted].has(key)
    }

    /// Notes that a parent was put in the scope.
    pub(in crate::ops::restore) fn note_new(
        &mut self,
        wanted: usize,
        key: &[Value],
    ) -> Result<(), TargetError> {
        self.fresh[wanted].add(key, 0)
    }

    /// Planning begins anew.
    pub(in crate::ops::restore) fn begin(&mut self) -> Result<(), TargetError> {
        let creates = self.gives_more || self.fresh.iter().any(|keys| !keys.is_empty());
        if creates {
            // What was missing may have a target now.
            self.applied.iter_mut().try_for_each(KeyMap::clear)?;
        }
        self.gives_more = false;
        self.fresh.iter_mut().try_for_each(KeyMap::clear)
    }
}

/// The live table that a link refers to.
pub(in crate::ops::restore) fn parent_table<'t>(
    basis: &Basis<'t>,
    shapes: &'t [TableShape],
    link: &Link,
) -> &'t crate::model::schema::Table {
    match link.parent {
        Parent::Planned(at) => &shapes[at].live,
        Parent::Live(at) => &basis.view.schema.tables[at],
    }
}

/// A key for people.
pub(in crate::ops::restore) fn named(values: &[Value]) -> String {
    let shown = values
        .iter()
        .map(|value| crate::target::shown(value.as_ref()));
    shown.collect::<Vec<_>>().join(", ")
}
