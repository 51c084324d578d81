//! The path rules as tables: what is on disk, what was given, what it means.

use super::*;

fn folder(stores: &[&str]) -> PathKind {
    PathKind::Folder {
        stores: stores.iter().map(PathBuf::from).collect(),
    }
}

/// A disk on which these things are, and nothing else.
fn disk<'a>(things: &'a [(&'a str, PathKind)]) -> impl Fn(&Path) -> Result<PathKind, Error> + 'a {
    move |path| {
        let here = things.iter().find(|(at, _)| same(Path::new(at), path));
        Ok(here.map_or(PathKind::Absent, |(_, kind)| kind.clone()))
    }
}

fn backup(path: &str, things: &[(&str, PathKind)]) -> Result<(String, bool, Option<String>), Code> {
    backup_output(Path::new(path), &disk(things))
        .map(|p| (p.store.display().to_string(), p.create, p.name))
        .map_err(|failure| failure.code(None))
}

fn to(
    store: &str,
    create: bool,
    name: Option<&str>,
) -> Result<(String, bool, Option<String>), Code> {
    Ok((store.into(), create, name.map(Into::into)))
}

#[test]
fn a_backup_goes_where_the_path_says() {
    let b = [("./backups", PathKind::Store)];
    assert_eq!(backup("./backups", &b), to("./backups", false, None));
    assert_eq!(backup("./backups/", &b), to("./backups/", false, None));
    assert_eq!(backup("backups", &b), to("backups", false, None));
    assert_eq!(
        backup("./backups/b1", &b),
        to("./backups", false, Some("b1"))
    );
    assert_eq!(
        backup("./backups/b1/", &b),
        to("./backups", false, Some("b1"))
    );
    // Nothing there: a new store at the path itself.
    assert_eq!(backup("./backups/b1", &[]), to("./backups/b1", true, None));
    assert_eq!(backup("b1", &[]), to("b1", true, None));
    let empty = [("./b", PathKind::EmptyFolder)];
    assert_eq!(backup("./b", &empty), to("./b", true, None));
    // The ancestor's own names are snapshots, also where no store is yet.
    let name = "backup_20260101_120000";
    assert_eq!(
        backup(&format!("./backups/{name}"), &[]),
        to("./backups", true, Some(name))
    );
    assert_eq!(
        backup(name, &[(".", PathKind::Store)]),
        to(".", false, Some(name))
    );
}

#[test]
fn a_backup_into_a_folder_of_other_things_is_refused() {
    let things = [
        ("./home", folder(&[])),
        ("./backups", folder(&["./backups/b1"])),
        ("./backups/b1", PathKind::Store),
        ("./notes.txt", PathKind::File),
    ];
    for path in [
        "./home",
        "./notes.txt",
        "./backups",
        "./home/backup_20260101_120000",
    ] {
        assert_eq!(backup(path, &things), Err(Code::Failed), "{path}");
    }
    assert_eq!(
        backup("./backups/b1", &things),
        to("./backups/b1", false, None)
    );
    assert_eq!(
        backup("./backups/b2", &things),
        to("./backups/b2", true, None)
    );
}

#[test]
fn a_word_is_a_path_if_it_has_a_slash_or_names_a_store() {
    let things = [
        ("./backups", PathKind::Store),
        ("./other", PathKind::Store),
        ("./many", folder(&["./many/a", "./many/b"])),
        ("./home", folder(&[])),
        ("./app.db", PathKind::File),
    ];
    let place = |word: &str| {
        super::place(OsStr::new(word), Path::new("./backups"), &disk(&things))
            .map_err(|failure| failure.code(None))
    };
    let snapshot = |store: &str, word: &str| {
        Ok(Place::Snapshot {
            store: store.into(),
            word: word.into(),
        })
    };
    for word in [
        "latest",
        "latest~2",
        "b1",
        "20261123T201530Z-9f3c",
        "home",
        "app.db",
    ] {
        assert_eq!(place(word), snapshot("./backups", word), "{word}");
    }
    assert_eq!(place("./backups"), Ok(Place::Store("./backups".into())));
    assert_eq!(place("other"), Ok(Place::Store("other".into())));
    assert_eq!(place("./backups/b1"), snapshot("./backups", "b1"));
    assert_eq!(place("other/latest~1"), snapshot("other", "latest~1"));
    assert_eq!(
        place("./many"),
        Ok(Place::Folder {
            folder: "./many".into(),
            stores: vec!["./many/a".into(), "./many/b".into()],
        })
    );
    for word in ["./home", "./home/b1", "./absent/b1", "./app.db", "/"] {
        assert_eq!(place(word), Err(Code::NoStore), "{word}");
    }
    assert_eq!(place(""), Err(Code::Usage));
}

/// An export is known by what is there, with or without a slash in the word.
#[test]
fn an_export_may_stand_where_a_snapshot_does() {
    let things = [
        ("./backups", PathKind::Store),
        ("./backups/b1.zip", PathKind::ExportZip),
        ("./day-15", PathKind::ExportFolder),
        ("./latest", PathKind::ExportFolder),
    ];
    let look = disk(&things);
    let place = |word: &str| super::place(OsStr::new(word), Path::new("./backups"), &look).unwrap();
    for word in ["day-15", "./day-15/", "./backups/b1.zip", "./latest"] {
        assert_eq!(place(word), Place::Export(word.into()), "{word}");
    }
    assert!(matches!(place("latest"), Place::Snapshot { .. }));
    assert_eq!(
        whole(Path::new("day-15"), &look).unwrap(),
        Place::Export("day-15".into())
    );
    // A backup does not write into it.
    assert_eq!(backup("./day-15", &things), Err(Code::Failed));
    assert_eq!(
        backup("./backups/b1.zip", &things),
        to("./backups", false, Some("b1.zip"))
    );
}

#[test]
fn a_store_named_as_latest_is_given_with_a_slash() {
    let things = [("./latest", PathKind::Store)];
    let look = disk(&things);
    let place = |word: &str| super::place(OsStr::new(word), Path::new("s"), &look).unwrap();
    assert_eq!(
        place("latest"),
        Place::Snapshot {
            store: "s".into(),
            word: "latest".into()
        }
    );
    assert_eq!(place("./latest"), Place::Store("./latest".into()));
}

#[test]
fn only_whole_default_names_are_default_names() {
    assert!(is_default_name("backup_20261123_211530"));
    for name in [
        "backup_20261123_211530_2",
        "backup_2026112_211530",
        "backup_20261123",
        "b1",
        "backup_2026112x_211530",
    ] {
        assert!(!is_default_name(name), "{name}");
    }
}

#[test]
fn folders_are_compared_as_written() {
    assert!(same(Path::new("./backups/"), Path::new("backups")));
    assert!(!same(Path::new("/backups"), Path::new("./backups")));
}
