//! Forgetting a snapshot hides it and deletes nothing: it can be taken back until a clean-up has
//! decided otherwise, and of both only one comes first (rules F1 and F3). What is forgotten by a policy is
//! what `retention.rs` says; here, that it is those snapshots, and nothing half.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::error::{Error, SelectError};
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::ForgetFinal;
use larder::model::id::SnapshotId;
use larder::ops::forget::{
    self, ByPolicy, ForgetOptions, ForgetOutcome, TakeBack, TakeBackOptions, TakenBack, Which,
};
use larder::ops::list;
use larder::ops::open::Store;
use larder::ops::pin::{self, PinOptions};
use larder::ops::retention::{Count, Filter, GRACE, GroupBy, Moment, Policy, Rule};
use larder::ops::select::{self, SourceChoice};
use larder::progress::{NoProgress, Progress};
use larder::store::{StoreError, Verdict};

use crate::sandbox::{Sandbox, names};
use crate::workshop::sql;

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    ids: Vec<SnapshotId>,
}

fn case() -> Case {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    let database = sandbox.path("app.db");
    let ids = [
        "CREATE TABLE a(x); INSERT INTO a VALUES(1)",
        "INSERT INTO a VALUES(2)",
    ]
    .map(|change| {
        sql(&database, change);
        sandbox.backup(&mut store, &database)
    })
    .to_vec();
    Case {
        sandbox,
        backend,
        store,
        ids,
    }
}

fn visible(store: &Store) -> Vec<SnapshotId> {
    store.snapshot_names().unwrap().ids
}

#[test]
fn a_forgotten_snapshot_is_hidden_and_whole_until_it_is_taken_back() {
    let Case {
        sandbox,
        mut store,
        ids,
        ..
    } = case();
    let before = sandbox.restore(&mut store, &ids[0]);
    assert!(store.forget(&ids[0]).unwrap());
    assert!(!store.forget(&ids[0]).unwrap(), "it is forgotten already");
    assert_eq!(visible(&store), ids[1..]);
    assert_eq!(store.snapshot_names().unwrap().forgotten, ids[..1]);
    assert!(store.manifest(&ids[0]).unwrap().is_some());
    assert!(store.unforget(&ids[0]).unwrap());
    assert!(!store.unforget(&ids[0]).unwrap(), "it is not forgotten");
    assert_eq!(visible(&store), ids);
    assert!(sandbox.restore(&mut store, &ids[0]) == before);
}

#[test]
fn forgetting_again_is_a_new_mark() {
    let Case {
        backend,
        store,
        ids,
        ..
    } = case();
    for nth in 1..=3_u32 {
        assert!(store.forget(&ids[0]).unwrap());
        let forgotten = store.forgotten().unwrap();
        assert_eq!(forgotten.mark(&ids[0]).unwrap().nth, nth);
        assert!(store.unforget(&ids[0]).unwrap());
    }
    assert_eq!(names(&*backend, name::FORGOTTEN).len(), 6);
    assert_eq!(visible(&store), ids);
}

#[test]
fn an_undo_that_comes_after_the_verdict_of_a_clean_up_is_refused() {
    let Case {
        backend,
        store,
        ids,
        ..
    } = case();
    store.forget(&ids[0]).unwrap();
    let delete = ForgetFinal::Delete {
        snapshot: ids[0].clone(),
        mark: 1,
        time: "2026-11-23T20:15:31.000Z".to_owned(),
    };
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::ForgetFinal, &delete).unwrap();
    backend
        .put_new(&name::forgotten_final(&ids[0], 1), &bytes)
        .unwrap();
    let mark = store.forgotten().unwrap().mark(&ids[0]).cloned().unwrap();
    assert_eq!(mark.verdict, Some(Verdict::Delete));
    let refused = store.unforget(&ids[0]);
    assert!(
        matches!(refused, Err(StoreError::Pruned { .. })),
        "{refused:?}"
    );
    assert_eq!(visible(&store), ids[1..]);
}

#[test]
fn a_pin_is_there_until_it_is_taken_away() {
    let Case { store, ids, .. } = case();
    assert!(store.pin(&ids[0]).unwrap());
    assert!(!store.pin(&ids[0]).unwrap());
    assert_eq!(
        store.pins().unwrap().into_iter().collect::<Vec<_>>(),
        ids[..1]
    );
    assert!(store.unpin(&ids[0]).unwrap());
    assert!(!store.unpin(&ids[0]).unwrap());
    assert!(store.pins().unwrap().is_empty());
}

pub fn words(words: &[&str]) -> Which {
    Which::Words(words.iter().map(|word| (*word).to_owned()).collect())
}

pub fn keep_last(n: u32) -> Which {
    Which::Policy(Box::new(ByPolicy {
        policy: Policy::new(vec![Rule::Last(Count::Of(n))]),
        filter: Filter::default(),
        group_by: GroupBy::default(),
        allow_empty: false,
        moment: Moment {
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            zone: TimeZone::UTC,
        },
    }))
}

pub fn forget(store: &Store, which: Which) -> Result<ForgetOutcome, Error> {
    let dry_run = false;
    forget::run(store, &ForgetOptions { which, dry_run }, &mut NoProgress)
}

pub fn take_back(store: &Store, which: TakeBack) -> Result<TakenBack, Error> {
    let dry_run = false;
    forget::take_back(store, &TakeBackOptions { which, dry_run }, &mut NoProgress)
}

fn named(words: &[&str]) -> TakeBack {
    TakeBack::Words(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn a_dry_run_says_what_would_be_forgotten_and_changes_nothing() {
    let Case {
        backend,
        store,
        ids,
        ..
    } = case();
    let before = names(&*backend, "");
    for which in [keep_last(1), words(&[ids[0].as_str()])] {
        let options = ForgetOptions {
            which,
            dry_run: true,
        };
        let outcome = forget::run(&store, &options, &mut NoProgress).unwrap();
        assert_eq!(outcome.forgotten.len(), 1);
        assert_eq!(outcome.forgotten[0].id, ids[0].as_str());
    }
    assert_eq!(names(&*backend, ""), before);
}

#[test]
fn a_forgotten_snapshot_that_is_named_is_refused_and_the_way_back_is_known() {
    let Case { store, ids, .. } = case();
    forget(&store, keep_last(1)).unwrap();
    let name = store.manifest(&ids[0]).unwrap().unwrap().name;
    for word in [ids[0].as_str(), &ids[0].as_str()[..25], &name] {
        let refused = select::one(&store, word, &SourceChoice::Any);
        let Err(Error::Select(SelectError::Forgotten {
            snapshot, deleted, ..
        })) = refused
        else {
            panic!("{word}: {refused:?}");
        };
        assert_eq!((snapshot.as_str(), deleted), (ids[0].as_str(), false));
        assert_eq!(
            take_back(&store, named(&[word])).unwrap().snapshots.len(),
            1
        );
        assert_eq!(visible(&store), ids);
        // What is there, or gone, already is no error: so a run that was cut off can be made again.
        let again = take_back(&store, named(&[word])).unwrap();
        assert_eq!((again.snapshots.len(), again.already.len()), (0, 1));
        assert_eq!(forget(&store, words(&[word])).unwrap().forgotten.len(), 1);
        let again = forget(&store, words(&[word])).unwrap();
        assert_eq!((again.forgotten.len(), again.already.len()), (0, 1));
    }
    assert!(
        take_back(&store, named(&["latest"])).is_err(),
        "latest is never a forgotten one"
    );
}

#[test]
fn the_list_of_forgotten_snapshots_says_until_when_they_are_safe() {
    let Case {
        sandbox,
        store,
        ids,
        ..
    } = case();
    let now = || Timestamp::from_millisecond(larder::env::Env::unix_ms(&*sandbox.env)).unwrap();
    let at = now();
    forget(&store, words(&[ids[0].as_str()])).unwrap();
    let listed = list::forgotten(&store).unwrap();
    assert_eq!(listed.snapshots.len(), 1);
    let time = |text: &Option<String>| text.as_ref().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(time(&listed.snapshots[0].forgotten_at), at);
    assert_eq!(time(&listed.snapshots[0].safe_until), at + GRACE);
    assert_eq!(list::run(&store).unwrap().forgotten, 1);
}

/// Its name says which it is; what it holds cannot be known any more.
#[test]
fn a_snapshot_whose_manifest_is_damaged_is_forgotten_by_its_full_id_and_by_no_rule() {
    let Case {
        backend,
        store,
        ids,
        ..
    } = case();
    let object = name::snapshot(&ids[0]);
    let mut bytes = backend.get(&object, u64::MAX).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    backend.put(&object, &bytes).unwrap();
    let outcome = forget(&store, keep_last(1)).unwrap();
    assert_eq!(outcome.forgotten, []);
    assert_eq!(outcome.findings.len(), 1);
    assert!(outcome.findings[0].subject.contains(ids[0].as_str()));
    assert!(forget(&store, words(&[&ids[0].as_str()[..25]])).is_err());
    let outcome = forget(&store, words(&[ids[0].as_str()])).unwrap();
    assert_eq!(outcome.forgotten[0].id, ids[0].as_str());
    assert_eq!(visible(&store), ids[1..]);
    assert_eq!(list::forgotten(&store).unwrap().snapshots.len(), 1);
    take_back(&store, TakeBack::All).unwrap();
    assert_eq!(visible(&store), ids);
}

#[test]
fn a_pinned_snapshot_is_not_forgotten_by_any_way() {
    let Case { store, ids, .. } = case();
    let pin = |remove| {
        let words = vec![ids[0].to_string()];
        pin::run(&store, &PinOptions { words, remove }, &mut NoProgress).unwrap()
    };
    assert!(pin(false).snapshots[0].1);
    assert!(!pin(false).snapshots[0].1, "it is pinned already");
    assert_eq!(forget(&store, keep_last(1)).unwrap().forgotten, []);
    let all = [ids[1].as_str(), ids[0].as_str()];
    let refused = forget(&store, words(&all));
    let is_that = matches!(refused, Err(Error::Select(SelectError::Pinned { .. })));
    assert!(is_that, "{refused:?}");
    assert_eq!(
        visible(&store),
        ids,
        "nothing is forgotten before all are looked at"
    );
    assert!(pin(true).snapshots[0].1);
    assert_eq!(forget(&store, words(&all)).unwrap().forgotten.len(), 2);
}

#[test]
fn a_rule_that_keeps_nothing_of_a_group_is_refused_unless_that_is_meant() {
    let Case { store, ids, .. } = case();
    let by_tag = |allow_empty| {
        let Which::Policy(by) = keep_last(1) else {
            unreachable!()
        };
        let rules = vec![Rule::Tags("none has it".parse().unwrap())];
        Which::Policy(Box::new(ByPolicy {
            policy: Policy::new(rules),
            allow_empty,
            ..*by
        }))
    };
    let refused = forget(&store, by_tag(false));
    let is_that = matches!(
        refused,
        Err(Error::Select(SelectError::KeepsNothing {
            snapshots: 2,
            ..
        }))
    );
    assert!(is_that, "{refused:?}");
    assert_eq!(visible(&store), ids);
    assert_eq!(forget(&store, by_tag(true)).unwrap().forgotten.len(), 2);
    assert!(visible(&store).is_empty());
}

/// Asks to stop after so many questions.
struct Stopping(std::cell::Cell<u32>);

impl Progress for Stopping {
    fn cancelled(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
}

#[test]
fn a_run_that_is_asked_to_stop_says_what_it_did_and_the_next_does_the_rest() {
    let Case { store, ids, .. } = case();
    let all = words(&[ids[0].as_str(), ids[1].as_str()]);
    let options = ForgetOptions {
        which: all.clone(),
        dry_run: false,
    };
    let outcome = forget::run(&store, &options, &mut Stopping(1.into())).unwrap();
    assert_eq!((outcome.forgotten.len(), outcome.left), (1, 1));
    assert_eq!(visible(&store), ids[1..]);
    let outcome = forget(&store, all).unwrap();
    assert_eq!(
        (outcome.forgotten.len(), outcome.already.len(), outcome.left),
        (1, 1, 0)
    );
}

#[test]
fn a_name_that_a_newer_snapshot_has_meanwhile_is_told_of() {
    let Case {
        sandbox,
        mut store,
        ids,
        ..
    } = case();
    let name = store.manifest(&ids[0]).unwrap().unwrap().name;
    forget(&store, words(&[&name])).unwrap();
    let options = larder::ops::backup::BackupOptions {
        database: sandbox.path("app.db"),
        name: Some(name.clone()),
        tags: Vec::new(),
        source_name: Some("test".to_owned()),
        busy_timeout: std::time::Duration::ZERO,
        temp_dir: Some(sandbox.dir.path().to_owned()),
        check_source: None,
        strict: false,
        reading: larder::ops::backup::Reading::default(),
        fast_skip_from: None,
    };
    sandbox.env.advance(std::time::Duration::from_secs(1));
    let world = sandbox.world();
    larder::ops::backup::run(&mut store, &world, &options, &mut NoProgress).unwrap();
    let back = take_back(&store, named(&[&name])).unwrap();
    assert_eq!(back.snapshots[0].id, ids[0].as_str());
    assert_eq!(back.findings.len(), 1, "{:?}", back.findings);
    assert!(
        back.findings[0].text.contains("is named"),
        "{:?}",
        back.findings
    );
}

/// A mark of a number behind which there is none: refused, and not looked for without end.
#[test]
fn a_mark_of_the_last_number_is_damage() {
    let Case {
        backend,
        store,
        ids,
        ..
    } = case();
    let put = |object: &str, bytes: &[u8]| backend.put_new(object, bytes).unwrap();
    let time = "2026-11-23T20:15:31.000Z".to_owned();
    let undone = ForgetFinal::Undone {
        snapshot: ids[0].clone(),
        mark: u32::MAX,
        time,
    };
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::ForgetFinal, &undone).unwrap();
    put(&name::forgotten_final(&ids[0], u32::MAX), &bytes);
    let refused = store.forget(&ids[0]);
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
    assert_eq!(visible(&store), ids);
}
