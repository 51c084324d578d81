//! The ancestor's command lines, word for word, and what a path may be.

use crate::workplace::Workplace;

fn place_with_database() -> Workplace {
    let mut place = Workplace::bakery();
    place.set("LARDER_DATABASE", "app.db");
    place
}

/// The four command lines, in their order.
fn ancestors_lines(place: &Workplace) -> [String; 4] {
    [
        place.ok(&["backup", "-o", "./backups/b1"]),
        place.ok(&["backup-list", "--dir", "./backups/"]),
        place.ok(&["backup-validate", "./backups/b1"]),
        place.ok(&["restore", "./backups/b1", "--mode", "replace"]),
    ]
}

#[test]
fn the_ancestors_lines_work_where_there_is_no_store_yet() {
    let place = place_with_database();
    let [backup, list, validate, _] = ancestors_lines(&place);
    assert!(
        backup.starts_with("store ./backups/b1 created\n"),
        "{backup}"
    );
    assert!(list.contains("1 snapshot, "), "{list}");
    assert!(validate.contains("Validation passed"), "{validate}");
}

#[test]
fn the_ancestors_lines_work_where_backups_is_a_store() {
    let place = place_with_database();
    place.ok(&["init"]);
    let [backup, list, validate, _] = ancestors_lines(&place);
    assert!(backup.contains("Backup complete: b1 "), "{backup}");
    assert!(list.contains("\nb1 "), "{list}");
    assert!(validate.contains("1 of 1 complete"), "{validate}");
}

#[test]
fn the_ancestors_lines_work_with_the_default_places() {
    let place = place_with_database();
    place.ok(&["backup"]);
    place.ok(&["backup-list"]);
    place.ok(&["backup-validate"]);
    place.ok(&["restore", "./backups", "--mode", "replace"]);
}

#[test]
fn default_names_in_a_path_are_snapshots() {
    let place = place_with_database();
    let name = "backup_20260101_120000";
    let out = place.ok(&["backup", "-o", &format!("./new/{name}")]);
    assert!(out.starts_with("store ./new created\n"), "{out}");
    assert!(out.contains(&format!("Backup complete: {name} ")), "{out}");
    place.ok(&["validate", &format!("new/{name}")]);
    place.ok(&["restore", "new", "--to", "out.db"]);
}

#[test]
fn a_folder_of_other_things_is_never_made_a_store() {
    let place = place_with_database();
    std::fs::create_dir(place.path("home")).unwrap();
    std::fs::write(place.path("home/notes.txt"), "x").unwrap();
    place.code(1, &["backup", "-o", "./home"]);
    place.code(1, &["backup", "-s", "./home"]);
    place.code(1, &["init", "-s", "./home"]);
    let left: Vec<_> = std::fs::read_dir(place.path("home")).unwrap().collect();
    assert_eq!(left.len(), 1);
}
