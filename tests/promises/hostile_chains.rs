//! Chains of deltas that no writer makes: circles, thickets, ladders, one step too deep. Reading
//! ends, and what cannot be read does not count as known.

use larder::format::blob::BlobKind;
use larder::format::delta::{self, DELTA_DEPTH_MAX, Kept};

use crate::forged_deltas::{Lie, READS_MAX, Scene, delta_of, id_of, leaf, whole};

/// Chunks that are deltas in circles, of every length, beside whole blobs that stay readable.
#[test]
fn circles_of_deltas_end() {
    let text = |n: usize| format!("text number {n}").into_bytes();
    let id = |n| id_of(BlobKind::Chunk, &text(n));
    for length in [1, 2, 3, 31, 32, 33, 100] {
        let mut scene = Scene::new();
        let circle: Vec<Lie> = (0..length)
            .map(|n| {
                let base = (n + 1) % length;
                let patch = delta::encode_bytes(&text(base), &text(n), 3).unwrap();
                delta_of(BlobKind::Chunk, &text(n), &[id(base)], patch)
            })
            .collect();
        scene.put(&circle);
        scene.refused(&circle[0], "a circle");
        assert!(!scene.is_known(BlobKind::Chunk, &text(0)));
        // Stored again, it is a whole copy on which others stand.
        assert!(scene.read(&circle[0], READS_MAX).unwrap() == text(0));
        let last = &circle[length - 1];
        assert!(
            scene.read(last, READS_MAX).unwrap() == text(length - 1),
            "{length}"
        );
    }
}

/// Every one of 40 blobs is a delta on every other: more ways than can ever be tried.
#[test]
fn a_thicket_of_deltas_ends() {
    let text = |n: usize| format!("text number {n}").into_bytes();
    let id = |n| id_of(BlobKind::Chunk, &text(n));
    let mut scene = Scene::new();
    let mut lies = Vec::new();
    for n in 0..40 {
        for base in (0..40).filter(|base| *base != n) {
            let patch = delta::encode_bytes(&text(base), &text(n), 3).unwrap();
            lies.push(delta_of(BlobKind::Chunk, &text(n), &[id(base)], patch));
        }
    }
    scene.put(&lies);
    scene.refused(&lies[0], "a thicket");
    assert!(!scene.is_known(BlobKind::Chunk, &text(0)));
    assert!(scene.read(&lies[0], READS_MAX).unwrap() == text(0));
}

#[test]
fn a_chain_is_as_deep_as_it_may_be_and_no_deeper() {
    let text = |n: u8| format!("text number {n}").into_bytes();
    let mut scene = Scene::new();
    let mut lies = vec![whole(BlobKind::Chunk, &text(0))];
    for n in 1..=DELTA_DEPTH_MAX + 1 {
        let patch = delta::encode_bytes(&text(n - 1), &text(n), 3).unwrap();
        let base = id_of(BlobKind::Chunk, &text(n - 1));
        lies.push(delta_of(BlobKind::Chunk, &text(n), &[base], patch));
    }
    scene.put(&lies);
    let deepest = &lies[usize::from(DELTA_DEPTH_MAX)];
    assert!(scene.read(deepest, 40).unwrap() == text(DELTA_DEPTH_MAX));
    let beyond = &lies[usize::from(DELTA_DEPTH_MAX) + 1];
    scene.refused(beyond, "33 deltas");
    assert!(!scene.is_known(BlobKind::Chunk, &text(DELTA_DEPTH_MAX + 1)));
}

/// Two leaves a level, each a good delta on both below: 2^30 ways down.
#[test]
fn a_ladder_of_bases_ends() {
    const LEVELS: i64 = 30;
    let pair = |level: i64| [leaf([level * 2, 1]), leaf([level * 2 + 1, 1])];
    let mut scene = Scene::new();
    let mut lies: Vec<Lie> = pair(0)
        .iter()
        .map(|leaf| whole(BlobKind::Leaf, leaf.canonical()))
        .collect();
    for level in 1..LEVELS {
        let below = pair(level - 1);
        let bases = below
            .each_ref()
            .map(|leaf| id_of(BlobKind::Leaf, leaf.canonical()));
        for leaf in pair(level) {
            let kept = [Kept {
                base: 0,
                result: 0,
                rows: 2,
            }];
            let delta = delta::encode_leaf(&[&below[0], &below[1]], &leaf, &kept, &[Some(0)]);
            lies.push(delta_of(BlobKind::Leaf, leaf.canonical(), &bases, delta));
        }
    }
    scene.put(&lies);
    // Low on the ladder it is a good one: 2 + 4 + 8 deltas.
    assert!(scene.read(&lies[6], 40).unwrap() == pair(3)[0].canonical());
    assert!(scene.is_known(BlobKind::Leaf, pair(3)[0].canonical()));
    let top = lies.last().unwrap();
    scene.refused(top, "a ladder");
    // What a reader gives up is not known to a writer.
    let canonical = pair(LEVELS - 1)[1].canonical().to_vec();
    assert!(!scene.is_known(BlobKind::Leaf, &canonical));
    assert!(scene.read(top, READS_MAX).unwrap() == canonical);
}
