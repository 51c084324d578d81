//! The contract of [`Backend`], sentence by sentence, for any implementation.
//!
//! B3 needs a disk that can lose something: an implementation that has one gives
//! [`BackendPlace::after_power_cut`].

use std::sync::Arc;

use crate::backend::{Backend, BackendError, BackendErrorKind};

/// Puts something at a path relative to the store, past the backend.
pub type Plant = Box<dyn Fn(&str)>;

/// An implementation, and how to look at it from elsewhere.
pub struct BackendPlace {
    /// An empty store.
    pub backend: Arc<dyn Backend>,
    /// The same store opened anew, as another process would.
    pub reopen: Box<dyn Fn() -> Arc<dyn Backend>>,
    /// The store as a power cut would leave it, if that can be simulated.
    pub after_power_cut: Option<Box<dyn Fn() -> Arc<dyn Backend>>>,
    /// Puts a symbolic link, or what stands for one, at a path relative to the store.
    pub plant_link: Option<Plant>,
    /// Writes a file at a path relative to the store, past the backend.
    pub plant_file: Option<Plant>,
}

/// Tests B1 to B8, each in a place of its own.
pub fn check_all(fresh: &dyn Fn() -> BackendPlace) {
    let sentences: [fn(&BackendPlace); 9] = [
        b1_one_creator_wins,
        b2_an_object_is_whole_or_absent,
        b3_after_a_barrier_everything_is_durable,
        b4_reading_is_bounded,
        b5_a_range_is_whole_or_an_error,
        b6_listing_shows_what_was_put,
        b7_deleting_removes_once,
        b8_foreign_entries_are_named_and_never_read,
        names_that_are_no_objects_are_refused,
    ];
    for sentence in sentences {
        sentence(&fresh());
    }
}

fn kind<T>(result: Result<T, BackendError>) -> Option<BackendErrorKind> {
    result.err().map(|error| error.kind)
}

fn names(backend: &dyn Backend, prefix: &str) -> Vec<String> {
    let objects = backend.list(prefix).unwrap();
    objects.into_iter().map(|object| object.name).collect()
}

/// B1.
pub fn b1_one_creator_wins(place: &BackendPlace) {
    let backend = &*place.backend;
    backend.put_new("snapshots/s", b"first").unwrap();
    backend.put_new("snapshots/s", b"first").unwrap();
    for other in [&b"second"[..], b"", b"third"] {
        let put = (place.reopen)().put_new("snapshots/s", other);
        assert_eq!(kind(put), Some(BackendErrorKind::Exists), "B1: {other:?}");
    }
    assert_eq!(backend.get("snapshots/s", 9).unwrap(), b"first", "B1");

    for round in 0..20 {
        let name = format!("gc/{round}");
        let handles: Vec<_> = (0..8).map(|_| (place.reopen)()).collect();
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = handles
                .iter()
                .enumerate()
                .map(|(n, handle)| {
                    let (name, bytes) = (&name, [u8::try_from(n).unwrap(); 100]);
                    scope.spawn(move || kind(handle.put_new(name, &bytes)))
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let winners: Vec<usize> = (0..8).filter(|n| results[*n].is_none()).collect();
        assert_eq!(winners.len(), 1, "B1: round {round}: {results:?}");
        let lost = results.iter().flatten();
        assert!(
            lost.copied().all(|kind| kind == BackendErrorKind::Exists),
            "B1"
        );
        let there = backend.get(&name, 100).unwrap();
        assert_eq!(there, [u8::try_from(winners[0]).unwrap(); 100], "B1");
    }
}

/// B2: a reader beside a writer sees all of an object, old or new, or nothing.
pub fn b2_an_object_is_whole_or_absent(place: &BackendPlace) {
    let (writer, reader) = (&place.backend, (place.reopen)());
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            for round in 0..50 {
                writer.put("writers/w", &[round; 5000]).unwrap();
                writer
                    .put_new(&format!("packs/ab/{round}"), &[round; 5000])
                    .unwrap();
            }
        });
        while !writing.is_finished() {
            for object in reader.list("").unwrap() {
                let bytes = reader.get(&object.name, 5000).unwrap();
                assert_eq!(object.bytes, 5000, "B2: {}", object.name);
                assert_eq!(bytes, [bytes[0]; 5000], "B2: {}", object.name);
            }
        }
    });
}

/// B3.
pub fn b3_after_a_barrier_everything_is_durable(place: &BackendPlace) {
    let backend = &*place.backend;
    backend.put_new("config", b"c").unwrap();
    backend.put_new("packs/ab/p", b"pack").unwrap();
    backend.put("writers/w", b"old").unwrap();
    backend.put("writers/w", b"new").unwrap();
    backend.barrier().unwrap();
    backend.barrier().unwrap();
    let after = match &place.after_power_cut {
        Some(after) => after(),
        None => (place.reopen)(),
    };
    for (name, bytes) in [
        ("config", &b"c"[..]),
        ("packs/ab/p", b"pack"),
        ("writers/w", b"new"),
    ] {
        assert_eq!(after.get(name, 9).unwrap(), bytes, "B3: {name}");
    }
}

/// B4.
pub fn b4_reading_is_bounded(place: &BackendPlace) {
    let backend = &*place.backend;
    for name in ["config", "packs/ab/p"] {
        assert_eq!(
            kind(backend.get(name, 9)),
            Some(BackendErrorKind::NotFound),
            "B4"
        );
        backend.put_new(name, b"12345").unwrap();
        assert_eq!(backend.get(name, 5).unwrap(), b"12345", "B4");
        let error = backend.get(name, 4).unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Other, "B4: too long");
        assert!(error.to_string().contains(name), "B4: {error}");
    }
    backend.put_new("empty", b"").unwrap();
    assert_eq!(backend.get("empty", 0).unwrap(), b"", "B4: empty");
}

/// B5.
pub fn b5_a_range_is_whole_or_an_error(place: &BackendPlace) {
    let backend = &*place.backend;
    backend.put_new("packs/ab/p", b"12345").unwrap();
    assert_eq!(backend.get_range("packs/ab/p", 1, 3).unwrap(), b"234", "B5");
    assert_eq!(backend.get_range("packs/ab/p", 5, 0).unwrap(), b"", "B5");
    for (offset, bytes) in [(3, 3), (6, 0), (0, u64::MAX), (u64::MAX, 2)] {
        let short = backend.get_range("packs/ab/p", offset, bytes);
        assert_eq!(
            kind(short),
            Some(BackendErrorKind::Other),
            "B5: {offset} {bytes}"
        );
    }
    let absent = backend.get_range("packs/ab/q", 0, 1);
    assert_eq!(kind(absent), Some(BackendErrorKind::NotFound), "B5");
}

/// B6.
pub fn b6_listing_shows_what_was_put(place: &BackendPlace) {
    let backend = &*place.backend;
    assert_eq!(names(backend, ""), [""; 0], "B6: no store");
    assert_eq!(names(backend, "packs/"), [""; 0], "B6: no folder");
    let put = [
        "config",
        "gc/g",
        "gc/g.final",
        "packs/ab/x",
        "packs/ab-x/y",
        "writers/w",
    ];
    for name in put {
        backend.put_new(name, name.as_bytes()).unwrap();
    }
    let mut sorted = put;
    sorted.sort_unstable();
    let other = (place.reopen)();
    for backend in [backend, &*other] {
        assert_eq!(names(backend, ""), sorted, "B6");
        assert_eq!(names(backend, "gc/"), ["gc/g", "gc/g.final"], "B6");
        assert_eq!(names(backend, "packs/ab/"), ["packs/ab/x"], "B6");
        assert_eq!(names(backend, "forgotten/"), [""; 0], "B6");
        let objects = backend.list("gc/").unwrap();
        assert_eq!(objects[1].bytes, 10, "B6: the length of gc/g.final");
    }
}

/// B7.
pub fn b7_deleting_removes_once(place: &BackendPlace) {
    let backend = &*place.backend;
    for name in ["config", "packs/ab/p"] {
        assert_eq!(
            kind(backend.delete(name)),
            Some(BackendErrorKind::NotFound),
            "B7"
        );
        backend.put_new(name, b"1").unwrap();
        backend.delete(name).unwrap();
        assert_eq!(
            kind(backend.delete(name)),
            Some(BackendErrorKind::NotFound),
            "B7"
        );
        assert_eq!(
            kind(backend.get(name, 9)),
            Some(BackendErrorKind::NotFound),
            "B7"
        );
    }
    assert_eq!(names(backend, ""), [""; 0], "B7");
    backend.barrier().unwrap();
}

/// B8.
pub fn b8_foreign_entries_are_named_and_never_read(place: &BackendPlace) {
    let backend = &*place.backend;
    assert_eq!(backend.foreign().unwrap(), [""; 0], "B8: no store");
    backend.put_new("packs/ab/p", b"1").unwrap();
    assert_eq!(backend.foreign().unwrap(), [""; 0], "B8");
    let (Some(link), Some(file)) = (&place.plant_link, &place.plant_file) else {
        return;
    };
    for name in ["packs/ab/l", "snapshots"] {
        link(name);
    }
    for name in ["packs/ab/a b", "backup_1.zip", "tmp/half", "notes.txt"] {
        file(name);
    }
    let foreign = ["packs/ab/a b", "packs/ab/l", "snapshots"];
    assert_eq!(backend.foreign().unwrap(), foreign, "B8");
    assert_eq!(names(backend, ""), ["notes.txt", "packs/ab/p"], "B8");
    assert!(
        backend.get("packs/ab/l", 9).is_err(),
        "B8: a link is not read"
    );
    let fresh = (place.reopen)();
    for beyond in [
        fresh.get("snapshots/x", 9).map(drop),
        fresh.put_new("snapshots/x", b"1"),
    ] {
        assert_eq!(
            kind(beyond),
            Some(BackendErrorKind::Other),
            "B8: nor entered"
        );
    }
    assert!(fresh.list("snapshots/").is_err(), "B8: nor listed");
}

/// The alphabet of names, which keeps every object inside the store.
pub fn names_that_are_no_objects_are_refused(place: &BackendPlace) {
    let backend = &*place.backend;
    for name in ["", "../x", "/x", "a//b", "a b", "tmp/x", "x.zip"] {
        for result in [
            backend.put_new(name, b"1"),
            backend.put(name, b"1"),
            backend.get(name, 9).map(drop),
            backend.get_range(name, 0, 1).map(drop),
            backend.delete(name),
        ] {
            assert_eq!(kind(result), Some(BackendErrorKind::Other), "{name:?}");
        }
    }
    for prefix in ["packs", "../", "/", "tmp/"] {
        assert_eq!(
            kind(backend.list(prefix)),
            Some(BackendErrorKind::Other),
            "{prefix:?}"
        );
    }
}
