//! Restores that are undone after an application wrote something, drawn by chance: what it wrote is as it
//! wrote it, everything else as before the restore or as it was found, and no reference is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use larder::format::manifest::Manifest;
use larder::ops::restore::{self, Mode, NoDecider, OnConflict, RestoreOptions};
use larder::ops::undo::UndoOptions;
use larder::progress::NoProgress;

use super::stage::{Stage, content};
use super::tree_rows::Random;
use super::undo::undo;
use crate::sandbox::{scale, seed};

/// Restores at scale 1.
const DRAWS: usize = 24;

const SCHEMA: &str = "CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE, v);
    CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p, u TEXT, v);
    CREATE UNIQUE INDEX of_c ON c(lower(u)) WHERE v <> 0;
    CREATE TABLE q(k TEXT PRIMARY KEY, p REFERENCES p(u), c REFERENCES c, s REFERENCES q) WITHOUT ROWID;
    CREATE TABLE l(v);";

/// Writes some rows, as an application may that does not look at references.
fn edit(path: &Path, times: u64, random: &mut Random) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch("PRAGMA foreign_keys=OFF").unwrap();
    for _ in 0..times {
        let mut n = || random.below(9);
        let (a, b, c, d) = (n(), n(), n(), n());
        let letter = if d % 2 == 0 { 'u' } else { 'U' };
        let sql = match n() {
            0 | 1 => format!("INSERT OR IGNORE INTO p VALUES({a}, 'u{b}', {c})"),
            2 | 3 => format!(
                "INSERT OR IGNORE INTO c VALUES({a}, {b}, '{letter}{c}', {})",
                d % 3
            ),
            4 => format!("INSERT OR IGNORE INTO q VALUES('k{a}', 'u{b}', {c}, 'k{d}')"),
            5 => format!("UPDATE OR IGNORE p SET u = 'u{a}', v = {b} WHERE id = {c}"),
            6 => format!(
                "UPDATE OR IGNORE c SET p = {a}, v = {} WHERE id = {c}",
                d % 3
            ),
            7 => format!("UPDATE OR IGNORE q SET p = 'u{a}', c = {b} WHERE k = 'k{c}'"),
            _ => match a {
                0 | 1 => format!("DELETE FROM p WHERE id = {b}"),
                2 | 3 => format!("DELETE FROM c WHERE id = {b}"),
                4 | 5 => format!("DELETE FROM q WHERE k = 'k{b}'"),
                6 => format!("DELETE FROM l WHERE rowid = {b}"),
                _ => format!("INSERT INTO l VALUES('l{b}{c}')"),
            },
        };
        db.execute_batch(&sql).unwrap();
    }
}

fn texts(path: &Path, sql: &str) -> Vec<(String, String)> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    found.unwrap().map(Result::unwrap).collect()
}

/// Rows by what tells them apart.
fn state(path: &Path) -> BTreeMap<String, String> {
    let rows = texts(
        path,
        "SELECT 'p' || id, quote(u) || quote(v) FROM p
         UNION ALL SELECT 'c' || id, quote(p) || quote(u) || quote(v) FROM c
         UNION ALL SELECT 'q' || k, quote(p) || quote(c) || quote(s) FROM q
         UNION ALL SELECT 'l' || rowid, quote(v) FROM l",
    );
    rows.into_iter().collect()
}

/// Rows without a parent, each with what it refers to.
fn orphans(path: &Path) -> BTreeSet<(String, String)> {
    let rows = texts(
        path,
        "SELECT 'c' || id, 'p ' || p FROM c WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.id = c.p)
         UNION ALL SELECT 'q' || k, 'p ' || p FROM q WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.u = q.p)
         UNION ALL SELECT 'q' || k, 'c ' || c FROM q WHERE NOT EXISTS (SELECT 1 FROM c WHERE c.id = q.c)
         UNION ALL SELECT 'q' || k, 's ' || s FROM q WHERE NOT EXISTS (SELECT 1 FROM q o WHERE o.k = q.s)",
    );
    rows.into_iter().collect()
}

/// Restores what does not contradict; false if nothing was written.
fn restore(stage: &mut Stage, snapshot: &Manifest, to: &Path, mode: Mode) -> bool {
    let options = RestoreOptions {
        target: to.to_owned(),
        mode,
        on_conflict: OnConflict::Skip,
        force: mode == Mode::Replace,
        ..RestoreOptions::default()
    };
    let done = restore::run(
        &mut stage.store,
        &stage.world,
        snapshot,
        &options,
        &mut NoDecider,
        &mut NoProgress,
    );
    done.unwrap().after_snapshot.is_some()
}

#[test]
fn whatever_came_since_an_undo_overwrites_nothing_and_orphans_nothing() {
    let (mut undone, mut stayed) = (0, 0);
    for draw in 0..DRAWS * scale() {
        let random = &mut Random(seed().wrapping_add(draw as u64));
        let mut stage = Stage::new();
        let encoding = ["UTF-8", "UTF-16le"][usize::from(draw % 5 == 0)];
        let from = stage.make(
            "from.db",
            &format!("PRAGMA encoding='{encoding}'; {SCHEMA}"),
        );
        edit(&from, 25, random);
        let to = stage.path("to.db");
        std::fs::copy(&from, &to).unwrap();
        edit(&from, 12, random);
        edit(&to, 12, random);
        let snapshot = stage.back_up(&from);
        let (before, before_orphans) = (state(&to), orphans(&to));
        let mode = [Mode::Add, Mode::Augment, Mode::Replace][draw % 3];
        if !restore(&mut stage, &snapshot, &to, mode) {
            continue;
        }
        let after = state(&to);
        let edits = if draw % 4 == 0 { 0 } else { random.below(12) };
        edit(&to, edits, random);
        let (now, now_orphans) = (state(&to), orphans(&to));
        let skip = |options: &mut UndoOptions| options.skip_conflicts = true;
        let planned = undo(&mut stage, &to, |options| {
            skip(options);
            options.dry_run = true;
        });
        let what = format!("draw {draw} of seed {}, {mode:?}, {edits} edits", seed());
        let whole = content(&to);
        let strict = undo(&mut stage, &to, |options| options.dry_run = true);
        assert_eq!(strict.is_stopped(), planned.staying() > 0, "{what}");
        assert_eq!(content(&to), whole, "{what}");
        let outcome = undo(&mut stage, &to, skip);
        assert!(!outcome.is_stopped(), "{what}: {:?}", outcome.changed);
        assert_eq!(outcome.tables, planned.tables, "{what}");
        let last = state(&to);
        if edits == 0 {
            assert_eq!(outcome.staying(), 0, "{what}: {:?}", outcome.changed);
            assert_eq!(last, before, "{what}");
            if let Some(done) = &outcome.after_snapshot {
                let again = done.id.clone();
                undo(&mut stage, &to, |options| options.restore = Some(again));
                assert_eq!(state(&to), after, "{what}");
                undo(&mut stage, &to, |_| {});
                assert_eq!(state(&to), before, "{what}");
            }
        }
        let keys: BTreeSet<&String> = [&before, &after, &now, &last]
            .into_iter()
            .flat_map(BTreeMap::keys)
            .collect();
        for key in keys {
            let [was, made, is, left] = [&before, &after, &now, &last].map(|s| s.get(key));
            let may_be_undone = was != made && is == made;
            assert!(
                left == is || (may_be_undone && left == was),
                "{what}: {key}: {was:?} {made:?} {is:?} {left:?}"
            );
            undone += usize::from(left != is);
            stayed += usize::from(was != made && left != was);
        }
        for orphan in orphans(&to) {
            let is_known = before_orphans.contains(&orphan) || now_orphans.contains(&orphan);
            assert!(is_known, "{what}: {orphan:?}");
        }
    }
    println!("{undone} rows were undone, {stayed} stayed");
    assert!(undone > DRAWS && stayed > 0);
}
