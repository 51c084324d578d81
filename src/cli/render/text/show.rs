//! What a snapshot is made of: its manifest, its entity files, its blobs.

use std::fmt::Write as _;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::show::BlobLine;
use crate::ops::show::Entity;
use crate::ops::show::Manifest;

/// The manifest: facts of the snapshot, then a row per entity file.
pub fn show(manifest: &Manifest, look: &Look) -> String {
    let mut out = String::new();
    for (name, value) in facts(manifest, look) {
        let _ = writeln!(out, "{name:<9}{value}");
    }
    let head = ["FILE", "RECORDS", "BYTES", "ORDER", "ROOT", "DEPENDS ON"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(manifest.entities.iter().map(|e| row(e, look)));
    let sides = [
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Left,
        Side::Left,
    ];
    out.push('\n');
    out.push_str(&super::columns("", &sides, &rows));
    if let Some(pages) = &manifest.pages {
        let (count, size) = (figures::count(pages.records), figures::bytes(pages.bytes));
        let _ = writeln!(out, "pages of the database: {count} ({size})");
    }
    for key in &manifest.foreign_keys {
        let (table, parent) = (escape::shown(&key.table), escape::shown(&key.parent));
        let what = match &key.unchecked {
            Some(why) => format!("could not be checked: {}", escape::shown(why)),
            None => format!("{} missing", figures::count(key.violations)),
        };
        let _ = writeln!(out, "references {table}→{parent}: {what}");
    }
    for finding in &manifest.findings {
        out.push_str(&super::finding(finding));
    }
    out
}

fn facts(manifest: &Manifest, look: &Look) -> Vec<(&'static str, String)> {
    let text = |text: &str| escape::shown(text).into_owned();
    let mut facts = vec![
        ("snapshot", text(&manifest.name)),
        ("id", manifest.id.to_string()),
        ("date", figures::local_time(&manifest.time, &look.zone)),
        (
            "source",
            format!(
                "{} ({})",
                text(&manifest.source.path),
                figures::bytes(manifest.source.bytes)
            ),
        ),
        ("host", text(&manifest.host)),
    ];
    if let Some(name) = &manifest.source.name {
        facts.push(("known as", text(name)));
    }
    if !manifest.tags.is_empty() {
        facts.push(("tags", text(&manifest.tags.join(", "))));
    }
    if manifest.damaged {
        let text = "damaged source: what could be read of it is here";
        facts.push(("state", text.to_owned()));
    }
    if let Some(original) = &manifest.original {
        facts.push(("copy of", original.to_string()));
    }
    if let Some(parent) = &manifest.parent {
        facts.push(("parent", parent.to_string()));
    }
    if let Some(mark) = &manifest.restore {
        let what = match (&mark.of, &mark.undoes) {
            (Some(of), _) => format!("after {of} was restored"),
            (None, Some(undone)) => format!("after {undone} was undone"),
            (None, None) => "after a restore".to_owned(),
        };
        facts.push(("taken", format!("{what}; before it: {}", mark.before)));
    }
    let schema = manifest.schema.to_string();
    facts.extend([
        (
            "entities",
            format!(
                "{}, {}",
                figures::counted(manifest.entities.len() as u64, "file"),
                figures::counted(manifest.records(), "record")
            ),
        ),
        ("new", figures::bytes(manifest.new_bytes)),
        ("schema", schema),
    ]);
    facts
}

/// The root of an entity's tree: cut to its first digits unless `-v`.
fn root(entity: &Entity, look: &Look) -> String {
    match &entity.root {
        None => "–".to_owned(),
        Some(root) if look.verbose => root.id.to_string(),
        Some(root) => root.id.short(),
    }
}

fn row(entity: &Entity, look: &Look) -> Vec<String> {
    vec![
        escape::shown(&entity.file).into_owned(),
        figures::count(entity.records),
        figures::bytes(entity.bytes),
        entity.import_order.to_string(),
        root(entity, look),
        escape::shown(&entity.dependencies.join(", ")).into_owned(),
    ]
}

/// A row per blob, with whole ids.
pub fn blobs(lines: &[BlobLine]) -> String {
    let head = ["KIND", "PLAIN", "STORED", "", "BLAKE3", "PACK", "ENTITY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(lines.iter().map(|line| {
        vec![
            line.kind.to_owned(),
            figures::bytes(line.plain_bytes),
            figures::bytes(line.stored_bytes),
            if line.new { "new" } else { "shared" }.to_owned(),
            line.id.clone(),
            escape::shown(&line.pack).into_owned(),
            escape::shown(&line.entity).into_owned(),
        ]
    }));
    let sides = [
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Left,
    ];
    let mut out = super::columns("", &sides, &rows);
    let plain: u64 = lines.iter().map(|line| line.plain_bytes).sum();
    let stored: u64 = lines.iter().map(|line| line.stored_bytes).sum();
    let new = lines.iter().filter(|line| line.new).count();
    let _ = writeln!(
        out,
        "{}, {} of them new; {} plain, {} stored",
        figures::counted(lines.len() as u64, "blob"),
        figures::count(new as u64),
        figures::bytes(plain),
        figures::bytes(stored)
    );
    out
}

/// A row per entity file.
pub fn ls(manifest: &Manifest) -> String {
    let rows: Vec<Vec<String>> = manifest
        .entities
        .iter()
        .map(|entity| {
            vec![
                figures::count(entity.records),
                figures::bytes(entity.bytes),
                escape::shown(&entity.file).into_owned(),
                escape::shown(&entity.entity).into_owned(),
            ]
        })
        .collect();
    let sides = [Side::Right, Side::Right, Side::Left, Side::Left];
    super::columns("", &sides, &rows)
}
