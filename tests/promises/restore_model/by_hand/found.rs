//! Cases that random ones have shown, made small; then readings of what docs/restore.md leaves open (the
//! others are named "silent" in the model).

use super::{Maker, NAMED, augment, decision, natural, no_wish, skip};

use crate::restore_model::wishes::{Choice, Match, Mode, Others};
use crate::restore_model::words::value;

pub fn all(to: &mut Maker) {
    followed(to);
    corners(to);
    unclear(to);
}

fn followed(to: &mut Maker) {
    to.case(
        "references to a UNIQUE key of a chosen row follow what it gets",
        "p id:pk code:text,unique\n c id:pk p:text,->p.code",
        ["p: 1 a\n c: 1 a | 2 a", "p: 1 b\n c: 1 z"],
        |_, w| {
            w.mode = Mode::Replace;
            w.matching = Match::Id;
            w.key_values = vec![(0, vec![value("1")])];
            w.with_children = true;
        },
        [
            "p: updated 1\nc: inserted 1 updated 1",
            "p: 1 a\n c: 1 a | 2 a",
        ],
    );
    to.case(
        "a chosen row may not take a UNIQUE key that another row has",
        NAMED,
        ["t: 1 a x", "t: 1 c x | 2 a x"],
        |_, w| {
            w.mode = Mode::Replace;
            w.matching = Match::Id;
            w.key_values = vec![(0, vec![value("1")])];
            w.skip_conflicts = true;
        },
        ["t: conflicting 1 conflicts 1", ""],
    );
    to.case(
        "another id is no way out where a UNIQUE key is taken as well",
        NAMED,
        ["t: 1 a x", "t: 1 a y"],
        |s, w| {
            natural(s, w);
            skip(s, w);
            w.keys = vec![(0, vec![2])];
        },
        ["t: conflicting 1 conflicts 1", ""],
    );
}

fn corners(to: &mut Maker) {
    to.case(
        "a record that is left out has no other id",
        "q id:pk\n p id:pk q:int,->q.id name:text,unique",
        ["q: 1\n p: 1 1 a", "p: 1 - b"],
        |s, w| {
            natural(s, w);
            w.tables = vec![1];
            w.others = Some(Others::Skip);
        },
        ["p: missing 1", ""],
    );
    to.case(
        "a translated reference has its column's affinity: nothing is inserted twice",
        "p id:pk name:text,unique\n c p:text,->p.id x",
        ["p: 1 a\n c: 1 y", "p: 9 a\n c: 9 y"],
        no_wish,
        ["p: same 1 remapped 1\nc: same 1", ""],
    );
    to.case(
        "and the class of the row's key, where its column has no affinity",
        "p id:pk code:unique\n c a:text p:->p.code pk(a,p)",
        ["p: 1 k\n c: x k", "p: 1 4"],
        |_, w| w.matching = Match::Id,
        ["p: differing 1\nc: inserted 1", "p: 1 4\n c: x 4"],
    );
    to.case(
        "and a text that looks like a number stays a text",
        "p id:pk code:unique\n c id:pk p:->p.code",
        ["p: 1 k\n c: 1 k", "p: 1 '7"],
        |_, w| w.matching = Match::Id,
        ["p: differing 1\nc: inserted 1", "p: 1 '7\n c: 1 '7"],
    );
    to.case(
        "a key in other letters is no other key, for references declared as options too",
        "p k:text,nocase x pk(k)\n c id:pk p:text,->?p.k",
        ["p: A 1\n c: 1 A | 2 A", "p: a 2\n c: 1 A"],
        no_wish,
        [
            "p: differing 1\nc: inserted 1 same 1",
            "p: a 2\n c: 1 A | 2 A",
        ],
    );
    to.case(
        "a composite reference that a fill would complete must lead somewhere",
        "q a:int b:int unique(a,b)\n t id:pk a:int b:int x ref(a,b)->q(a,b)",
        ["q: 1 2\n t: 1 1 2 x", "q: 1 2\n t: 1 3 - -"],
        |s, w| {
            augment(s, w);
            w.others = Some(Others::Skip);
        },
        ["q: same 1\nt: filled 1", "q: 1 2\n t: 1 3 - x"],
    );
}

fn unclear(to: &mut Maker) {
    to.case(
        "a parent outside the scope that is gone, its id another thing's now, has no row",
        "p id:pk name:text,unique\n c id:pk p:int,->p.id",
        ["p: 1 a\n c: 1 1", "p: 1 b"],
        |s, w| {
            natural(s, w);
            w.tables = vec![1];
        },
        ["c: inserted 1\nmissing c.p=1 x1\nstopped", ""],
    );
    to.case(
        "nor has one that contradicts the database",
        "p id:pk name:text,unique\n c id:pk p:int,->p.id",
        ["p: 1 a\n c: 1 1", "p: 1 b | 2 a"],
        |_, w| w.tables = vec![1],
        ["c: inserted 1\nmissing c.p=1 x1\nstopped", ""],
    );
    to.case(
        "replace of whole tables: a parent outside is there if the value is",
        "p id:pk name:text,unique\n c id:pk p:int,->p.id",
        ["p: 1 a\n c: 1 1", "p: 1 b | 2 a"],
        |_, w| {
            w.mode = Mode::Replace;
            w.tables = vec![1];
        },
        ["c: inserted 1", "p: 1 b | 2 a\n c: 1 1"],
    );
    to.case(
        "replace of whole tables: a reference that a row had before, without a parent, stays",
        "p id:pk\n c id:pk p:int,->p.id x",
        ["p: 1\n c: 1 1 x | 2 1 y", "c: 1 1 x | 2 1 z | 3 2 x"],
        |_, w| {
            w.mode = Mode::Replace;
            w.tables = vec![1];
        },
        ["c: updated 1 same 1 deleted 1", "c: 1 1 x | 2 1 y"],
    );
    to.case(
        "a record whose reference was decided is looked for again",
        "p id:pk\n c id:pk p:int,->p.id x unique(p,x)",
        ["p: 1\n c: 1 1 y", "p: 2\n c: 7 2 y"],
        |_, w| {
            w.tables = vec![1];
            w.decisions
                .push(decision(Choice::Map(vec![value("2")]), "1"));
        },
        ["c: same 1 remapped 1", ""],
    );
    to.case(
        "and so is one without a key, as a whole row",
        "p id:pk\n c p:int,->p.id x",
        ["p: 1\n c: 1 y", "c: - y"],
        |_, w| {
            w.tables = vec![1];
            w.others = Some(Others::Null);
        },
        ["c: same 1", "c: - y"],
    );
    to.case(
        "references to a key that was decided follow it",
        "q id:pk\n p q:int,->q.id n:int unique(q,n)
         c id:pk q:int n:int ref(q,n)->p(q,n)",
        ["q: 1\n p: 1 1\n c: 1 1 1", "q: 2"],
        |_, w| {
            w.tables = vec![1, 2];
            w.decisions
                .push(decision(Choice::Map(vec![value("2")]), "1"));
        },
        ["p: inserted 1\nc: inserted 1", "q: 2\n p: 2 1\n c: 1 2 1"],
    );
}
