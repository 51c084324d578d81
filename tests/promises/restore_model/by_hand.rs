//! Cases written by hand from docs/restore.md, a row of its tables each: what is told and what is in
//! the database afterwards was written from the page, by no program. Model and larder must both say it.

mod effects;
mod found;
mod identity;

use super::sql::{Half, script};
use super::tables::{Database, Schema};
use super::wishes::{Choice, Decision, Gap, Match, Mode, Wishes};
use super::words::{rows, schema, value};

/// A case and what comes of it.
pub struct HandMade {
    pub rule: &'static str,
    pub schema: Schema,
    pub snapshot: Database,
    pub live: Database,
    pub wishes: Wishes,
    /// As `words::told`.
    pub told: Vec<String>,
    pub after: Database,
}

impl HandMade {
    /// The case for people.
    pub fn text(&self) -> String {
        format!(
            "{}\n-- the snapshot\n{}-- the database\n{}-- {}",
            self.rule,
            script(&self.schema, &self.snapshot, Half::Snapshot),
            script(&self.schema, &self.live, Half::Live),
            self.wishes.text(&self.schema)
        )
    }
}

/// Changes the options of a case.
type Wish = fn(&Schema, &mut Wishes);

struct Maker(Vec<HandMade>);

impl Maker {
    /// A case: the rule, the schema, rows of the snapshot and of the database, the options; what is told,
    /// and the rows afterwards (of all tables that have any; the same as before if it is empty).
    fn case(
        &mut self,
        rule: &'static str,
        tables: &str,
        [snapshot, live]: [&str; 2],
        wish: Wish,
        [told, after]: [&str; 2],
    ) {
        let schema = schema(tables);
        let (snapshot, live) = (rows(&schema, snapshot), rows(&schema, live));
        let after = match after.is_empty() {
            true => live.clone(),
            false => rows(&schema, after),
        };
        let mut wishes = Wishes::default();
        wish(&schema, &mut wishes);
        let told = told.lines().map(|line| line.trim().to_owned());
        self.0.push(HandMade {
            rule,
            told: told.filter(|line| !line.is_empty()).collect(),
            schema,
            snapshot,
            live,
            wishes,
            after,
        });
    }
}

/// All of them.
pub fn cases() -> Vec<HandMade> {
    let mut to = Maker(Vec::new());
    identity::all(&mut to);
    effects::all(&mut to);
    found::all(&mut to);
    to.0
}

const NAMED: &str = "t id:pk name:text,unique note";

fn no_wish(_: &Schema, _: &mut Wishes) {}

fn augment(_: &Schema, w: &mut Wishes) {
    w.mode = Mode::Augment;
}

fn replace(_: &Schema, w: &mut Wishes) {
    w.mode = Mode::Replace;
}

fn natural(_: &Schema, w: &mut Wishes) {
    w.matching = Match::Natural;
}

fn skip(_: &Schema, w: &mut Wishes) {
    w.skip_conflicts = true;
}

/// Decides about a value of the only reference of the second table.
fn decision(choice: Choice, of: &str) -> Decision {
    let of = Gap {
        table: 1,
        reference: 0,
        values: vec![value(of)],
    };
    Decision { of, choice }
}
