//! Which records are meant, and which row a record means: docs/restore.md §1 and §2.

use super::{Maker, NAMED, natural, no_wish, skip};

use crate::restore_model::wishes::{Match, Test};
use crate::restore_model::words::{table, value};

const FAMILY: &str = "a id:pk name
    b id:pk a:->a.id
    c id:pk b:->b.id";

const FAMILY_ROWS: &str = "a: 1 x | 2 y
    b: 1 1 | 2 2
    c: 1 1 | 2 2";

pub fn all(to: &mut Maker) {
    scopes(to);
    verdicts(to);
    contradictions(to);
    whole_rows(to);
    keys(to);
    new_keys(to);
    keys_of_references(to);
}

fn scopes(to: &mut Maker) {
    to.case(
        "all tables, if none is named",
        FAMILY,
        [FAMILY_ROWS, ""],
        no_wish,
        ["a: inserted 2\nb: inserted 2\nc: inserted 2", FAMILY_ROWS],
    );
    to.case(
        "the tables that are named, without those that are excluded",
        FAMILY,
        [FAMILY_ROWS, ""],
        |s, w| {
            w.tables = vec![table(s, "a"), table(s, "c")];
            w.excluded = vec![table(s, "c")];
        },
        ["a: inserted 2", "a: 1 x | 2 y"],
    );
    to.case(
        "records by an expression",
        FAMILY,
        [FAMILY_ROWS, ""],
        |s, w| {
            w.tables = vec![table(s, "a")];
            w.filter = Some((1, Test::Equals(value("y"))));
        },
        ["a: inserted 1", "a: 2 y"],
    );
    to.case(
        "records by key, with what they refer to",
        FAMILY,
        [FAMILY_ROWS, ""],
        |s, w| {
            w.key_values = vec![(table(s, "b"), vec![value("2")])];
            w.with_parents = true;
        },
        ["a: inserted 1\nb: inserted 1", "a: 2 y\nb: 2 2"],
    );
    to.case(
        "records by key, with what refers to them",
        FAMILY,
        [FAMILY_ROWS, "a: 2 y"],
        |s, w| {
            w.key_values = vec![(table(s, "b"), vec![value("2")])];
            w.with_children = true;
        },
        ["b: inserted 1\nc: inserted 1", "a: 2 y\nb: 2 2\nc: 2 2"],
    );
    to.case(
        "references that are declared as an option are followed",
        "a id:pk\n b id:pk a:->?a.id",
        ["a: 1 | 2\n b: 1 2", ""],
        |s, w| {
            w.key_values = vec![(table(s, "b"), vec![value("1")])];
            w.with_parents = true;
        },
        ["a: inserted 1\nb: inserted 1", "a: 2\nb: 1 2"],
    );
    to.case(
        "a composite key is written with commas",
        "t k:text n:int pk(k,n)",
        ["t: a 1 | a 2 | b 1", ""],
        |_, w| w.key_values = vec![(0, vec![value("a"), value("2")])],
        ["t: inserted 1", "t: a 2"],
    );
}

fn verdicts(to: &mut Maker) {
    to.case(
        "nothing is found: new",
        NAMED,
        ["t: 1 a x", "t: 2 b y"],
        no_wish,
        ["t: inserted 1", "t: 1 a x | 2 b y"],
    );
    to.case(
        "found by the primary key, the UNIQUE key agrees: same",
        NAMED,
        ["t: 1 a x", "t: 1 a x"],
        no_wish,
        ["t: same 1", ""],
    );
    to.case(
        "found by the primary key, the UNIQUE key has a NULL: same",
        NAMED,
        ["t: 1 - x | 2 b y", "t: 1 a x | 2 - y"],
        no_wish,
        ["t: differing 2", ""],
    );
    to.case(
        "found by the primary key, the UNIQUE key differs: doubtful",
        NAMED,
        ["t: 1 a x", "t: 1 b x"],
        no_wish,
        ["t: doubtful 1", ""],
    );
    to.case(
        "found by the UNIQUE key alone: same, and references follow",
        "t id:pk name:text,unique\n c id:pk t:->t.id",
        ["t: 1 a\n c: 1 1", "t: 9 a"],
        no_wish,
        ["t: same 1 remapped 1\nc: inserted 1", "t: 9 a\nc: 1 9"],
    );
    to.case(
        "found by one UNIQUE key alone, and another one differs: conflict",
        "t id:pk name:text,unique code:text,unique",
        ["t: 1 a x | 2 b y | 3 c z", "t: 7 a v | 8 b - | 3 c w"],
        skip,
        // The third is found by the primary key too.
        ["t: differing 2 conflicting 1 remapped 1 conflicts 1", ""],
    );
}

fn contradictions(to: &mut Maker) {
    to.case(
        "two rows by different keys: conflict",
        NAMED,
        ["t: 1 a x", "t: 1 b x | 2 a x"],
        no_wish,
        ["t: conflicts 1\nstopped", ""],
    );
    to.case(
        "two rows by a key that is not unique: conflict",
        "t id:pk name:text",
        ["t: 1 a", "t: 2 a | 3 a"],
        |_, w| w.keys = vec![(0, vec![1])],
        ["t: conflicts 1\nstopped", ""],
    );
}

fn whole_rows(to: &mut Maker) {
    to.case(
        "no key: as many copies as are missing",
        "t a b",
        ["t: 1 x | 1 x | 2 y", "t: 1 x | 3 z"],
        no_wish,
        ["t: inserted 2 same 1", "t: 1 x | 3 z | 1 x | 2 y"],
    );
    to.case(
        "no key is whole: whole rows are compared",
        "t a:unique b",
        ["t: - x | - y | 1 z", "t: - x | 1 -"],
        no_wish,
        ["t: inserted 1 same 1 differing 1", "t: - x | 1 - | - y"],
    );
    to.case(
        "SQLite compares: collation and affinity",
        "t k:text,nocase v pk(k)",
        ["t: A 1 | 7 2", "t: a 1 | 7 2"],
        no_wish,
        ["t: same 1 differing 1", ""],
    );
    to.case(
        "a second record of the same key means the first one's row",
        "t id:pk name:text",
        ["t: 1 a | 2 a", ""],
        |_, w| w.keys = vec![(0, vec![1])],
        ["t: inserted 1 same 1 remapped 1", "t: 1 a"],
    );
    to.case(
        "references to a doubtful record keep their value",
        "t id:pk name:text,unique\n c id:pk t:->t.id",
        ["t: 1 a\n c: 1 1", "t: 1 b"],
        no_wish,
        ["t: doubtful 1\nc: inserted 1", "t: 1 b\nc: 1 1"],
    );
    to.case(
        "references to a record in conflict have no target",
        "t id:pk name:text,unique\n c id:pk t:->t.id",
        ["t: 1 a\n c: 1 1", "t: 1 b | 2 a"],
        skip,
        [
            "t: conflicting 1 conflicts 1\nc: inserted 1\nmissing c.t=1 x1\nstopped",
            "",
        ],
    );
}

fn keys(to: &mut Maker) {
    to.case(
        "id: the primary key alone",
        NAMED,
        ["t: 1 a x | 2 b y", "t: 1 z x"],
        |_, w| w.matching = Match::Id,
        ["t: inserted 1 differing 1", "t: 1 z x | 2 b y"],
    );
    to.case(
        "id, without a primary key: as auto",
        "t name:text,unique note",
        ["t: a x | b y", "t: a x"],
        |_, w| w.matching = Match::Id,
        ["t: inserted 1 same 1", "t: a x | b y"],
    );
    to.case(
        "natural: the UNIQUE keys alone",
        NAMED,
        ["t: 1 a x", "t: 1 b x | 2 a x"],
        natural,
        ["t: same 1 remapped 1", ""],
    );
    to.case(
        "natural, no UNIQUE key is whole: the primary key",
        NAMED,
        ["t: 1 - x | 2 - y", "t: 1 b x"],
        natural,
        ["t: inserted 1 differing 1", "t: 1 b x | 2 - y"],
    );
    to.case(
        "natural, a key is declared: that alone",
        NAMED,
        ["t: 1 a x", "t: 1 b y | 2 a y | 3 c x"],
        |s, w| {
            natural(s, w);
            w.keys = vec![(0, vec![2])];
        },
        ["t: differing 1 remapped 1", ""],
    );
}

fn new_keys(to: &mut Maker) {
    to.case(
        "an id that is taken is replaced by the next one free; references follow",
        "t id:pk name:text,unique\n c id:pk t:->t.id",
        ["t: 1 a | 2 b | 5 c\n c: 1 1 | 2 2", "t: 1 x | 2 y | 7 z"],
        natural,
        [
            "t: inserted 3 remapped 2\nc: inserted 2",
            "t: 1 x | 2 y | 5 c | 7 z | 8 a | 9 b\nc: 1 8 | 2 9",
        ],
    );
    to.case(
        "the next one free is behind the snapshot's too",
        "t id:pk name:text,unique",
        ["t: 1 a | 9 b", "t: 1 x"],
        natural,
        ["t: inserted 2 remapped 1", "t: 1 x | 9 b | 10 a"],
    );
    to.case(
        "an id that refers to something is never replaced",
        "p id:pk\n c id:pk,->p.id name:text,unique",
        ["p: 1 | 2\n c: 1 a", "p: 1 | 2\n c: 1 b"],
        natural,
        ["p: same 2\nc: conflicts 1\nstopped", ""],
    );
    to.case(
        "another key that is taken is a conflict",
        NAMED,
        ["t: 1 a x", "t: 2 a x"],
        |_, w| w.matching = Match::Id,
        ["t: conflicts 1\nstopped", ""],
    );
    to.case(
        "a primary key of text that is taken is a conflict",
        "t k:text name:text,unique pk(k)",
        ["t: a one | b two", "t: a three"],
        |s, w| {
            natural(s, w);
            w.skip_conflicts = true;
        },
        [
            "t: inserted 1 conflicting 1 conflicts 1",
            "t: a three | b two",
        ],
    );
}

fn keys_of_references(to: &mut Maker) {
    to.case(
        "a key made of references is looked for as they were translated",
        "a id:pk name:text,unique\n b id:pk name:text,unique
         j a:int,->a.id b:int,->b.id note pk(a,b) without_rowid",
        [
            "a: 1 x\n b: 1 y | 2 z\n j: 1 1 n | 1 2 m",
            "a: 8 x\n b: 9 y\n j: 8 9 n",
        ],
        no_wish,
        [
            "a: same 1 remapped 1\nb: inserted 1 same 1 remapped 1\nj: inserted 1 same 1",
            "a: 8 x\n b: 2 z | 9 y\n j: 8 2 m | 8 9 n",
        ],
    );
    to.case(
        "a natural key that holds a reference is looked for as it was translated",
        "p id:pk name:text,unique\n t id:pk p:int,->p.id name:text unique(p,name)",
        ["p: 1 x\n t: 1 1 a | 2 1 b", "p: 5 x\n t: 7 5 a"],
        no_wish,
        [
            "p: same 1 remapped 1\nt: inserted 1 same 1 remapped 1",
            "p: 5 x\n t: 2 5 b | 7 5 a",
        ],
    );
    to.case(
        "references within a table follow, whichever comes first",
        "t id:pk name:text,unique boss:->t.id",
        ["t: 1 a 3 | 2 b 1 | 3 c -", "t: 9 c - | 8 a -"],
        no_wish,
        [
            "t: inserted 1 same 1 differing 1 remapped 2",
            "t: 2 b 8 | 8 a - | 9 c -",
        ],
    );
    to.case(
        "references to a UNIQUE key follow the row's",
        "t id:pk code:text,unique\n c id:pk t:text,->t.code",
        ["t: 1 a\n c: 1 a", "t: 1 b"],
        |_, w| w.matching = Match::Id,
        ["t: differing 1\nc: inserted 1", "t: 1 b\nc: 1 b"],
    );
    to.case(
        "a new record keeps its key beside rows under other ids",
        "t id:pk name:text,unique\n c id:pk t:->t.id",
        ["t: 1 a | 2 b\n c: 1 1 | 2 2", "t: 2 a"],
        natural,
        [
            "t: inserted 1 same 1 remapped 2\nc: inserted 2",
            "t: 2 a | 3 b\nc: 1 2 | 2 3",
        ],
    );
}
