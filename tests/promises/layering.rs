//! Imports point one way. The tables here are the rule; a new arrow is a decision, made here first.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Which folder (or file at the top of `src`) may use which others.
const ARROWS: &[(&str, &[&str])] = &[
    ("cli", &["ops", "error", "model", "progress", "env"]),
    (
        "ops",
        &[
            // Of format the manifest; backend and vfs where a store is opened; codec in tests.
            "source", "target", "tree", "store", "format", "error", "model", "progress", "env",
            "backend", "vfs", "codec",
        ],
    ),
    ("error", &["source", "target", "store", "format", "model"]),
    ("source", &["sqlite", "vfs", "model", "progress", "env"]),
    ("target", &["sqlite", "vfs", "model", "progress"]),
    ("tree", &["format", "codec", "model"]),
    (
        "store",
        &[
            // Of sqlite for the cache, the census and scratch blobs only.
            "format", "codec", "backend", "sqlite", "model", "progress", "env",
        ],
    ),
    ("format", &["codec", "model"]),
    ("backend", &["vfs", "env", "model"]),
    ("sqlite", &["model"]),
    ("codec", &["model"]),
    ("vfs", &[]),
    ("env", &["model"]),
    ("progress", &["model"]),
    ("model", &[]),
    (
        "testkit",
        &[
            "cli", "ops", "error", "source", "target", "tree", "store", "format", "codec",
            "backend", "sqlite", "vfs", "env", "progress", "model",
        ],
    ),
];

/// One promise a file in `ops`: who may call whom all the same, and why.
const CALLS_WITHIN_OPS: &[(&str, &str, &str)] = &[
    (
        "safety",
        "backup",
        "snapshots of a database before it is changed, and of what is made of it",
    ),
    ("restore", "safety", "what a restore changes can be undone"),
    (
        "restore",
        "undo",
        "of a restore that was killed it is found out first whether it counts",
    ),
    (
        "validate",
        "restore",
        "a drill restores every snapshot for trial",
    ),
    ("undo", "safety", "so can what an undo changes"),
    ("restore", "backup", "which deed a snapshot is of"),
    ("undo", "backup", "which deed a snapshot is of"),
    ("prune", "clean", "the sealed part of a clean-up"),
    (
        "repair",
        "clean",
        "healed packs are removed as a prune deletes",
    ),
    ("repair", "validate", "what is lost is named as damage is"),
    ("copy", "backup", "names of snapshots"),
    (
        "validate",
        "parity",
        "what damage of redundancy is called, and what lacks it",
    ),
    (
        "import",
        "backup",
        "the database that was made of an export, and names of snapshots",
    ),
];

/// What all of them stand on: the open store, which snapshot is meant, which are kept, how one is summed
/// up, and what a manifest says of its trees and what is below a place in them, what of them is lost, rows
/// that grow into one, large values, and records beside rows.
const DOORS_WITHIN_OPS: &[&str] = &[
    "open",
    "retention",
    "select",
    "list",
    "stored",
    "lost",
    "walk",
    "grow",
    "content",
    "side_by_side",
];

/// Files that may be longer than 800 lines, and why.
const LONG_FILES: &[(&str, &str)] = &[];

const LINES_TO_LOOK_AT: usize = 400;
const LINES_MAX: usize = 800;
const NAMES_THAT_SAY_NOTHING: &[&str] = &["util", "utils", "common", "helpers", "misc", "types"];
const FORBIDDEN: &[&str] = &["use crate::*", "crate::{", "super::super"];

/// One file of `src`, by its path there (`ops/restore/plan.rs`).
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The folder, or the file at the top: `ops`, `vfs`.
    fn layer(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Modules from the crate down: `["ops", "restore", "plan"]`.
    fn modules(&self) -> Vec<&str> {
        let path = self.path.strip_suffix(".rs").unwrap();
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').collect()
    }

    /// Lines of code with their number, comments left out, and whether they belong to tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let mut in_tests = self.path.ends_with("/tests.rs");
        self.text.lines().enumerate().filter_map(move |(n, line)| {
            let code = line.split("//").next().unwrap();
            in_tests |= code.trim() == "#[cfg(test)]";
            (!code.trim().is_empty()).then_some((n + 1, code, in_tests))
        })
    }
}

fn collect(folder: &Path, root: &Path, out: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, root, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let relative = path.strip_prefix(root).unwrap();
            out.push(Source {
                path: relative.to_str().unwrap().to_owned(),
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    collect(&root, &root, &mut out);
    assert!(out.len() > 10, "the sources were not found");
    out
}

/// The module path after each `crate::` (or another `start`) of a line.
fn paths_after<'a>(line: &'a str, start: &str) -> Vec<Vec<&'a str>> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    line.match_indices(start)
        // `$crate::x` counts, `my_crate::x` does not.
        .filter(|(at, _)| {
            !line[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        })
        .map(|(at, _)| {
            let rest = &line[at + start.len()..];
            let end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
            rest[..end].split("::").collect()
        })
        .collect()
}

/// Everything wrong with the imports of one file.
fn wrong_arrows(source: &Source) -> Vec<String> {
    let mut wrong = Vec::new();
    let layer = source.layer();
    if matches!(layer, "lib" | "main") {
        return wrong;
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == layer) else {
        return vec![format!("src/{}: {layer} has no row in ARROWS", source.path)];
    };
    for (number, line, in_tests) in source.code() {
        let at = format!("src/{}:{number}", source.path);
        for forbidden in FORBIDDEN.iter().filter(|f| line.contains(**f)) {
            wrong.push(format!("{at}: `{forbidden}` hides an arrow"));
        }
        for path in paths_after(line, "crate::") {
            let to = path[0];
            let fine = to == layer || allowed.contains(&to) || (to == "testkit" && in_tests);
            let is_module = ARROWS.iter().any(|(name, _)| *name == to);
            if is_module && !fine {
                wrong.push(format!("{at}: {layer} -> {to} is not an arrow"));
            }
        }
        for callee in calls_within_ops(source, line) {
            let caller = source.modules()[1];
            let listed = |(from, to, _): &(&str, &str, &str)| *from == caller && *to == callee;
            let is_door = DOORS_WITHIN_OPS.contains(&callee);
            if !in_tests && !is_door && !CALLS_WITHIN_OPS.iter().any(listed) {
                wrong.push(format!(
                    "{at}: ops::{caller} -> ops::{callee} is not listed"
                ));
            }
        }
    }
    wrong
}

/// Other files of `ops` that a line of a file of `ops` names.
fn calls_within_ops<'a>(source: &Source, line: &'a str) -> Vec<&'a str> {
    let modules = source.modules();
    if modules[0] != "ops" || modules.len() < 2 {
        return Vec::new();
    }
    let mut named: Vec<&str> = paths_after(line, "crate::ops::")
        .into_iter()
        .map(|path| path[0])
        .collect();
    // In ops/restore.rs and ops/restore/mod.rs `super` is ops; deeper down it is the verb itself.
    if modules.len() == 2 {
        named.extend(paths_after(line, "super::").into_iter().map(|path| path[0]));
    }
    let is_module = |name: &&str| name.starts_with(char::is_lowercase) && **name != *modules[1];
    named.retain(is_module);
    named
}

#[test]
fn imports_point_one_way() {
    let wrong: Vec<String> = sources().iter().flat_map(wrong_arrows).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_arrows_have_no_circle() {
    // A row may use only rows below it.
    for (row, (from, allowed)) in ARROWS
        .iter()
        .enumerate()
        .filter(|(_, (f, _))| *f != "testkit")
    {
        for to in *allowed {
            let at = ARROWS.iter().position(|(name, _)| name == to).unwrap();
            assert!(at > row, "{from} -> {to} points upwards");
        }
    }
}

/// The test must see what it is there for.
#[test]
fn a_wrong_arrow_is_seen() {
    let cases = [
        ("tree/build.rs", "use crate::store::Store;", 1),
        ("tree/build.rs", "    let x = crate::store::open();", 1),
        ("tree/build.rs", "// crate::store is above us", 0),
        ("tree/build.rs", "use crate::format::blob::BlobSink;", 0),
        ("tree/build.rs", "use crate::{model, store};", 1),
        ("tree/build.rs", "use super::super::store;", 1),
        ("tree/build.rs", "use crate::testkit::arbitrary;", 1),
        (
            "tree/build.rs",
            "#[cfg(test)]\nuse crate::testkit::arbitrary;",
            0,
        ),
        ("vfs/os.rs", "use crate::env::Env;", 1),
        ("store/gc/mark.rs", "use crate::backend::Backend;", 0),
        ("attic/mod.rs", "", 1),
        ("ops/restore/mod.rs", "use crate::ops::backup;", 0),
        ("ops/restore/mod.rs", "use super::backup;", 0),
        ("ops/restore/apply.rs", "use super::plan::Plan;", 0),
        ("ops/prune.rs", "use super::backup;", 1),
        ("ops/prune.rs", "use crate::ops::backup::run;", 1),
        ("main.rs", "use crate::store::Store;", 0),
    ];
    for (path, text, expected) in cases {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let wrong = wrong_arrows(&source);
        assert_eq!(wrong.len(), expected, "{path}: {text}: {wrong:?}");
    }
}

#[test]
fn files_stay_short_enough_to_read() {
    let (mut list, mut too_long) = (String::new(), Vec::new());
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LINES_TO_LOOK_AT {
            writeln!(list, "{lines:5} src/{}", source.path).unwrap();
        }
        let listed = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if lines > LINES_MAX && !listed {
            too_long.push(source.path);
        }
    }
    println!("files of more than {LINES_TO_LOOK_AT} lines:\n{list}");
    assert!(
        too_long.is_empty(),
        "more than {LINES_MAX} lines: {too_long:?}"
    );
}

#[test]
fn every_module_has_a_name_that_says_something() {
    for source in sources() {
        for module in source.modules() {
            let empty = NAMES_THAT_SAY_NOTHING.contains(&module);
            assert!(!empty, "src/{}: {module} says nothing", source.path);
        }
    }
}
