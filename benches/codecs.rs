//! What column codecs and compression levels are worth: bytes, and the time to encode, compress,
//! decompress and decode. docs/decisions/006-column-codecs.md.
//!
//!     cargo bench --bench codecs -- [DATABASE…]
//!
//! Without arguments the database is `LARDER_BENCH_DB`, or a shop of 200,000 rows made for the
//! occasion. All leaves are built first; then every variant encodes each of them, in turns. What
//! counts is the whole leaf after zstd, for that is what is stored. `LARDER_BENCH_TURNS`: how often
//! (default 5); times are medians.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench looks at real files, measures time, fails by panicking, and prints"
)]

mod shop;
mod trees;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use larder::codec::hash::StoreHash;
use larder::codec::zstd::{Compressor, Decompressor};
use larder::format::blob::{BlobError, BlobKind, BlobSink};
use larder::format::leaf::codecs::Codecs;
use larder::format::leaf::{Leaf, columns};
use larder::model::id::BlobId;
use larder::tree::split::LeafWeights;

const LEVEL: i32 = 3;
const LEVELS: std::ops::RangeInclusive<i32> = 1..=6;

/// Keeps each leaf once.
#[derive(Default)]
struct Leaves {
    seen: HashSet<BlobId>,
    leaves: Vec<Leaf>,
}

impl BlobSink for Leaves {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        let id = StoreHash::unkeyed().blob_id(kind as u8, canonical);
        if kind == BlobKind::Leaf && self.seen.insert(id) {
            self.leaves.push(Leaf::parse(canonical.to_vec()).unwrap());
        }
        Ok(id)
    }
}

fn leaves_of(database: &Path) -> Vec<Leaf> {
    let mut leaves = Leaves::default();
    trees::put(database, LeafWeights::FORMAT, &mut leaves);
    leaves.leaves
}

/// One way of storing leaves.
struct Variant {
    name: String,
    codecs: Codecs,
    /// Blocks begin where content changes.
    seams: bool,
    level: i32,
    bytes: u64,
    /// Encoding and compression; the way back.
    times: [Vec<Duration>; 2],
}

impl Variant {
    fn new(name: impl Into<String>, codecs: Codecs, seams: bool, level: i32) -> Self {
        Self {
            name: name.into(),
            codecs,
            seams,
            level,
            bytes: 0,
            times: [Vec::new(), Vec::new()],
        }
    }

    /// One turn.
    fn run(&mut self, leaves: &[Leaf]) {
        let mut compressor = Compressor::new(self.level).unwrap();
        let mut decompressor = Decompressor::default();
        let mut times = [Duration::ZERO; 2];
        self.bytes = 0;
        for leaf in leaves {
            let begun = Instant::now();
            let encoded = columns::encode_with(leaf, &self.codecs);
            let seams = if self.seams { &encoded.seams[..] } else { &[] };
            let stored = compressor.compress(&encoded.bytes, seams).unwrap();
            times[0] += begun.elapsed();
            let begun = Instant::now();
            let plain = decompressor.exact(&stored, encoded.bytes.len()).unwrap();
            let canonical = columns::decode(&plain, leaf.canonical().len()).unwrap();
            times[1] += begun.elapsed();
            assert!(canonical == leaf.canonical());
            self.bytes += stored.len() as u64;
        }
        for (all, time) in self.times.iter_mut().zip(times) {
            all.push(time);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn print(&mut self, against: u64) {
        let [forth, back] = &mut self.times;
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            times[times.len() / 2].as_secs_f64() * 1e3
        };
        println!(
            "| {} | {} | {:+.2} | {:.1} | {:.1} |",
            self.name,
            self.bytes,
            (self.bytes as f64 / against as f64 - 1.0) * 100.0,
            median(forth),
            median(back)
        );
    }
}

/// Changes one codec in a set.
type Switch = fn(&mut Codecs, bool);

const SWITCHES: [(&str, Switch); 8] = [
    ("classes as bits", |c, on| c.class_bits = on),
    ("differences", |c, on| c.integers.differences = on),
    ("multiples", |c, on| c.integers.multiples = on),
    ("decimals", |c, on| c.decimals = on),
    ("dictionary", |c, on| c.dictionary = on),
    ("timestamps", |c, on| c.timestamps = on),
    ("numbers in text", |c, on| c.numbers = on),
    ("hexadecimal", |c, on| c.hex = on),
];

fn variants() -> Vec<Variant> {
    let mut out = vec![
        Variant::new("all codecs", Codecs::ALL, true, LEVEL),
        Variant::new("all, one block a leaf", Codecs::ALL, false, LEVEL),
        Variant::new("none", Codecs::PLAIN, true, LEVEL),
        Variant::new("none, one block a leaf", Codecs::PLAIN, false, LEVEL),
    ];
    for (name, switch) in SWITCHES {
        let mut without = Codecs::ALL;
        switch(&mut without, false);
        out.push(Variant::new(
            format!("without {name}"),
            without,
            true,
            LEVEL,
        ));
    }
    for (name, switch) in SWITCHES {
        let mut only = Codecs::PLAIN;
        switch(&mut only, true);
        out.push(Variant::new(format!("only {name}"), only, true, LEVEL));
    }
    for level in LEVELS {
        out.push(Variant::new(
            format!("all, zstd -{level}"),
            Codecs::ALL,
            true,
            level,
        ));
    }
    out
}

fn main() {
    let turns = std::env::var("LARDER_BENCH_TURNS").map_or(5, |turns| turns.parse().unwrap());
    let scratch = tempfile::tempdir().unwrap();
    for database in shop::databases(200_000, scratch.path()) {
        let leaves = leaves_of(&database);
        let name = database.file_name().unwrap().to_string_lossy();
        println!(
            "\n{name}: {} leaves, zstd -{LEVEL} unless said\n",
            leaves.len()
        );
        println!("| variant | bytes | % | encode ms | decode ms |");
        println!("| --- | --: | --: | --: | --: |");
        let mut variants = variants();
        for _ in 0..turns {
            for variant in &mut variants {
                variant.run(&leaves);
            }
        }
        let against = variants[0].bytes;
        for variant in &mut variants {
            variant.print(against);
        }
    }
}
