//! Databases to measure with: those asked for, or a shop made by `benches/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

#[allow(
    dead_code,
    reason = "each bench is a program of its own; not all change the shop"
)]
/// Changes that are made to a shop, as `mutate_shop.py` calls them.
pub const CHANGES: [&str; 3] = ["update1pct", "day", "append1pct"];

/// The databases named on the command line or by `LARDER_BENCH_DB`; else a shop of `rows` rows.
pub fn databases(rows: u64, scratch: &Path) -> Vec<PathBuf> {
    // Cargo passes options of its own.
    let mut asked: Vec<PathBuf> = std::env::args_os()
        .skip(1)
        .filter(|word| !word.to_string_lossy().starts_with("--"))
        .map(PathBuf::from)
        .collect();
    if asked.is_empty() {
        asked.extend(std::env::var_os("LARDER_BENCH_DB").map(PathBuf::from));
    }
    if asked.is_empty() {
        let shop = scratch.join("shop.db");
        let rows = rows.to_string();
        script(
            "gen_shop.py",
            &[&shop.to_string_lossy(), "--rows", rows.as_str()],
        );
        asked.push(shop);
    }
    asked
}

#[allow(
    dead_code,
    reason = "each bench is a program of its own; not all change the shop"
)]
/// A shop after each of [`CHANGES`]; nothing for another database.
pub fn changed(shop: &Path, scratch: &Path) -> Vec<(&'static str, PathBuf)> {
    let db =
        rusqlite::Connection::open_with_flags(shop, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap();
    let tables =
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('orders','order_items','events')";
    if db
        .query_row(tables, [], |row| row.get::<_, i64>(0))
        .unwrap()
        != 3
    {
        return Vec::new();
    }
    CHANGES
        .iter()
        .map(|change| {
            let state = scratch.join(format!("{change}.db"));
            std::fs::copy(shop, &state).unwrap();
            script("mutate_shop.py", &[&state.to_string_lossy(), change]);
            (*change, state)
        })
        .collect()
}

/// Runs a script of `benches/peers`.
pub fn script(name: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/peers")
        .join(name);
    let status = Command::new("python3").arg(script).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "{name} failed");
}
