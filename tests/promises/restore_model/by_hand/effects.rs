//! What is done with a record, and with references that lead nowhere: docs/restore.md §3 and §4.

use super::{Maker, NAMED, augment, decision, no_wish, replace, skip};

use crate::restore_model::tables::Schema;
use crate::restore_model::wishes::{Choice, Match, Mode, Others, Test, Wishes};
use crate::restore_model::words::{table, value};

const ORDERS: &str = "p id:pk name:text\n t id:pk p:int,->p.id note\n u id:pk t:->t.id";

const ORDERS_ROWS: [&str; 2] = ["p: 1 x | 2 y\n t: 1 1 n | 2 2 m\n u: 1 1 | 2 2", "p: 2 y"];

pub fn all(to: &mut Maker) {
    modes(to);
    conflicts(to);
    replacements(to);
    chosen_rows(to);
    missing(to);
    decided(to);
    left_out(to);
}

fn modes(to: &mut Maker) {
    to.case(
        "add leaves a row that differs byte for byte",
        NAMED,
        ["t: 1 a x", "t: 1 a -"],
        no_wish,
        ["t: differing 1", ""],
    );
    to.case(
        "augment fills what is NULL in the row and not in the record",
        "t id:pk a b c",
        ["t: 1 x y - | 2 x - -", "t: 1 - z - | 2 z - c"],
        augment,
        ["t: filled 1 differing 1", "t: 1 x z - | 2 z - c"],
    );
    to.case(
        "augment never fills a key",
        NAMED,
        ["t: 1 a x | 2 b -", "t: 1 - - | 2 - -"],
        augment,
        ["t: filled 1 differing 1", "t: 1 - x | 2 - -"],
    );
}

fn conflicts(to: &mut Maker) {
    to.case(
        "augment: doubtful is a conflict",
        NAMED,
        ["t: 1 a x", "t: 1 b -"],
        augment,
        ["t: conflicts 1\nstopped", ""],
    );
    to.case(
        "a row under another id is compared without its primary key",
        NAMED,
        ["t: 1 a x | 2 b y", "t: 8 a x | 9 b -"],
        augment,
        ["t: filled 1 same 1 remapped 2", "t: 8 a x | 9 b y"],
    );
    to.case(
        "two records that would fill the same row: the second is a conflict",
        "t id:pk name:text a b",
        ["t: 1 n x - | 2 n - y", "t: 5 n - -"],
        |s, w| {
            augment(s, w);
            skip(s, w);
            w.keys = vec![(0, vec![1])];
        },
        [
            "t: filled 1 conflicting 1 remapped 2 conflicts 1",
            "t: 5 n x -",
        ],
    );
    to.case(
        "deleted: only what is gone is inserted, and nothing is a conflict",
        NAMED,
        [
            "t: 1 a x | 2 b y | 3 c z | 4 d z | 5 e z",
            "t: 1 a - | 2 c y | 4 g z | 6 d z",
        ],
        |_, w| w.deleted_only = true,
        // 1 has another note, 2 was renamed, 3 has another id, 4 contradicts.
        [
            "t: inserted 1 differing 3 doubtful 1 remapped 1",
            "t: 1 a - | 2 c y | 4 g z | 5 e z | 6 d z",
        ],
    );
    to.case(
        "on conflict skip: the record is left out and reported",
        NAMED,
        ["t: 1 a x | 3 c z", "t: 1 b x | 2 a x"],
        skip,
        [
            "t: inserted 1 conflicting 1 conflicts 1",
            "t: 1 b x | 2 a x | 3 c z",
        ],
    );
}

fn replacements(to: &mut Maker) {
    to.case(
        "replace: the table equals the snapshot's afterwards",
        NAMED,
        ["t: 1 a x | 2 b y | 3 c z", "t: 1 a x | 2 c y | 4 d z"],
        replace,
        [
            "t: inserted 1 updated 1 same 1 deleted 1",
            "t: 1 a x | 2 b y | 3 c z",
        ],
    );
    to.case(
        "replace without rowids: by primary key",
        "t k:text,nocase v pk(k) without_rowid",
        ["t: a 1 | b 2", "t: A 1 | c 2"],
        replace,
        ["t: inserted 1 updated 1 deleted 1", "t: a 1 | b 2"],
    );
    to.case(
        "replace carries the references without a target that the snapshot had",
        "p id:pk\n t id:pk p:->p.id",
        ["p: 1\n t: 1 1 | 2 5", "p: 5"],
        replace,
        [
            "p: inserted 1 deleted 1\nt: inserted 2 carried 1",
            "p: 1\n t: 1 1 | 2 5",
        ],
    );
    to.case(
        "replace is blocked by rows outside that would lose their parent",
        "p id:pk\n t id:pk p:->p.id",
        ["p: 1", "p: 1 | 2\n t: 1 1 | 2 2"],
        |s, w| {
            replace(s, w);
            w.tables = vec![0];
        },
        ["p: same 1 deleted 1\nt: conflicts 1\nstopped", ""],
    );
    to.case(
        "replace, forced",
        "p id:pk\n t id:pk p:->p.id",
        ["p: 1", "p: 1 | 2\n t: 1 1 | 2 2"],
        |s, w| {
            replace(s, w);
            w.tables = vec![0];
            w.force = true;
        },
        ["p: same 1 deleted 1", "p: 1\n t: 1 1 | 2 2"],
    );
}

fn chosen_rows(to: &mut Maker) {
    to.case(
        "replace of chosen rows: they get the record's values but for the primary key",
        NAMED,
        ["t: 1 a x | 2 b y | 3 c z", "t: 9 a - | 4 d -"],
        |_, w| {
            w.mode = Mode::Replace;
            w.tables = vec![0];
            w.filter = Some((0, Test::Equals(value("1"))));
        },
        ["t: updated 1 remapped 1", "t: 4 d - | 9 a x"],
    );
    to.case(
        "replace of chosen rows: new ones are inserted, doubtful ones are conflicts",
        NAMED,
        ["t: 1 a x | 2 b y | 3 c z", "t: 2 z y"],
        |_, w| {
            w.mode = Mode::Replace;
            w.tables = vec![0];
            w.filter = Some((0, Test::Above(value("1"))));
            w.skip_conflicts = true;
        },
        [
            "t: inserted 1 conflicting 1 conflicts 1",
            "t: 2 z y | 3 c z",
        ],
    );
}

fn only_orders(s: &Schema, w: &mut Wishes) {
    w.tables = vec![table(s, "t"), table(s, "u")];
}

fn missing(to: &mut Maker) {
    to.case(
        "without a target, and nothing decided: listed, nothing is written",
        ORDERS,
        ORDERS_ROWS,
        only_orders,
        [
            "t: inserted 2\nu: inserted 2\nmissing t.p=1 x1\nstopped",
            "",
        ],
    );
    to.case(
        "a reference that the snapshot had no parent for is carried",
        ORDERS,
        ["t: 1 5 n | 2 6 m", "p: 6 z"],
        no_wish,
        ["t: inserted 2 carried 1", "p: 6 z\n t: 1 5 n | 2 6 m"],
    );
}

fn decided(to: &mut Maker) {
    to.case(
        "create: the parent's record is inserted",
        ORDERS,
        ORDERS_ROWS,
        |s, w| {
            only_orders(s, w);
            w.others = Some(Others::Create);
        },
        [
            "p: inserted 1\nt: inserted 2\nu: inserted 2",
            "p: 1 x | 2 y\n t: 1 1 n | 2 2 m\n u: 1 1 | 2 2",
        ],
    );
    to.case(
        "create, where the snapshot has none: a row of given values",
        "p id:pk name:text,notnull\n t id:pk p:int,->!p.id",
        ["t: 1 5 | 2 5", ""],
        |_, w| {
            let choice = Choice::Give(vec![value("5"), value("given")]);
            w.decisions.push(decision(choice, "5"));
        },
        ["p: inserted 1\nt: inserted 2", "p: 5 given\n t: 1 5 | 2 5"],
    );
    to.case(
        "map: the records refer to the row that is named",
        ORDERS,
        ORDERS_ROWS,
        |s, w| {
            only_orders(s, w);
            let choice = Choice::Map(vec![value("2")]);
            w.decisions.push(decision(choice, "1"));
        },
        [
            "t: inserted 2\nu: inserted 2",
            "p: 2 y\n t: 1 2 n | 2 2 m\n u: 1 1 | 2 2",
        ],
    );
}

fn left_out(to: &mut Maker) {
    to.case(
        "skip: the records are left out, and what refers to them",
        ORDERS,
        ORDERS_ROWS,
        |s, w| {
            only_orders(s, w);
            w.others = Some(Others::Skip);
        },
        [
            "t: inserted 1 missing 1\nu: inserted 1 missing 1",
            "p: 2 y\n t: 2 2 m\n u: 2 2",
        ],
    );
    to.case(
        "null: the columns are NULL",
        ORDERS,
        ORDERS_ROWS,
        |s, w| {
            only_orders(s, w);
            w.others = Some(Others::Null);
        },
        [
            "t: inserted 2\nu: inserted 2",
            "p: 2 y\n t: 1 - n | 2 2 m\n u: 1 1 | 2 2",
        ],
    );
    to.case(
        "null where it may not be: nothing is decided",
        "p id:pk\n t id:pk p:int,notnull,->p.id",
        ["p: 1\n t: 1 1", ""],
        |_, w| {
            w.tables = vec![1];
            w.others = Some(Others::Null);
        },
        ["t: inserted 1\nmissing t.p=1 x1\nstopped", ""],
    );
    to.case(
        "skip: a row is not filled with what is missing",
        ORDERS,
        ["p: 1 x\n t: 1 1 n | 2 1 m", "t: 1 - - | 2 - m"],
        |s, w| {
            augment(s, w);
            only_orders(s, w);
            w.others = Some(Others::Skip);
        },
        ["t: filled 1 missing 1", "t: 1 - n | 2 - m"],
    );
    to.case(
        "records that refer to a record in conflict are left out with it",
        "t id:pk name:text,unique\n c id:pk t:->t.id\n d id:pk c:->c.id",
        ["t: 1 a | 3 c\n c: 1 1 | 2 3\n d: 1 1", "t: 1 b | 2 a"],
        |s, w| {
            skip(s, w);
            w.others = Some(Others::Skip);
        },
        [
            "t: inserted 1 conflicting 1 conflicts 1\nc: inserted 1 missing 1\nd: missing 1",
            "t: 1 b | 2 a | 3 c\n c: 2 3",
        ],
    );
    to.case(
        "a parent that is left out of the scope is found under its other id",
        "t id:pk name:text,unique\n c id:pk t:->t.id",
        ["t: 1 a\n c: 1 1", "t: 1 b | 9 a"],
        |_, w| {
            w.matching = Match::Natural;
            w.tables = vec![1];
        },
        ["c: inserted 1", "t: 1 b | 9 a\n c: 1 9"],
    );
}
