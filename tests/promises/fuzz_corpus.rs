//! What fuzzing found worth keeping (`fuzz/corpus`) goes through the same functions in every test run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use larder::testkit::fuzzing::{TARGETS, seeds};

/// Bytes of all corpora together.
const CORPUS_BYTES_MAX: u64 = 1 << 20;

/// The folder of the targets; `None`, with a line that says so, in a package, which lacks it.
fn fuzz() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "CI must have fuzz/");
        println!("not run: fuzz/ is no part of a package");
        return None;
    }
    Some(folder)
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let names = entries.map(name).map(|name| name.into_string().unwrap());
    names.collect()
}

fn target_names() -> BTreeSet<String> {
    TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect()
}

#[test]
fn every_kept_input_of_every_fuzz_target_keeps_its_promise() {
    let Some(fuzz) = fuzz() else { return };
    for (target, body) in TARGETS {
        let folder = fuzz.join("corpus").join(target);
        let names = names_in(&folder);
        assert!(!names.is_empty(), "{target} has no corpus");
        for name in &names {
            // Shown only if what follows panics.
            println!("fuzz/corpus/{target}/{name}");
            body(&fs::read(folder.join(name)).unwrap());
        }
    }
}

#[test]
fn every_seed_of_every_fuzz_target_keeps_its_promise() {
    for (target, body) in TARGETS {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (at, seed) in seeds.iter().enumerate() {
            println!("seed {at} of {target}");
            body(seed);
        }
    }
}

#[test]
fn fuzz_targets_and_corpora_are_those_of_the_list() {
    let Some(fuzz) = fuzz() else { return };
    let files = names_in(&fuzz.join("fuzz_targets"));
    let files: BTreeSet<String> = files
        .iter()
        .map(|name| name.strip_suffix(".rs").unwrap().to_owned())
        .collect();
    assert_eq!(files, target_names());
    assert_eq!(names_in(&fuzz.join("corpus")), target_names());
    let package = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for target in target_names() {
        let text = fs::read_to_string(fuzz.join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(text.contains(&format!("fuzzing::{target}(data)")), "{text}");
        assert!(
            package.contains(&format!("name = \"{target}\"\n")),
            "{target}"
        );
    }
}

#[test]
fn the_corpora_stay_small() {
    let Some(fuzz) = fuzz() else { return };
    let mut bytes = 0;
    for target in target_names() {
        let folder = fuzz.join("corpus").join(target);
        let names = names_in(&folder).into_iter();
        bytes += names
            .map(|name| fs::metadata(folder.join(name)).unwrap().len())
            .sum::<u64>();
    }
    assert!(
        bytes <= CORPUS_BYTES_MAX,
        "{bytes} bytes, more than {CORPUS_BYTES_MAX}"
    );
}

/// `.ci/fuzz` takes them from the folder in LARDER_FUZZ_SEEDS; without it they go to a temporary one.
#[test]
fn seeds_of_every_target_are_written() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("LARDER_FUZZ_SEEDS")
        .map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    for (target, _) in TARGETS {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).unwrap();
        for (at, seed) in seeds(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{at}")), seed).unwrap();
        }
        assert!(fs::read_dir(&folder).unwrap().count() > 0, "{target}");
    }
}
