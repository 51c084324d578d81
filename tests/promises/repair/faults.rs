//! A repair that fails or is cut off at any call: the store is no worse, and the next one goes on.

use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendErrorKind};
use larder::error::Error;
use larder::format::name;
use larder::ops::parity::RedundancyLevel;
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::faults::Fault;

use super::{Case, flip, no_sources};
use crate::sandbox::{scale, snapshots};

#[test]
fn a_repair_of_which_any_call_fails_leaves_the_store_no_worse_and_can_be_done_again() {
    let case = Case::small(RedundancyLevel::Full);
    let start = case.copy();
    let packs = case.packs();
    flip(&*start, &name::pack(&packs[0]), 100..5000);
    flip(&*start, &name::pack(&packs[1]), 0..1 << 20);
    flip(&*start, &name::snapshot(&case.kept[1].0), 60..61);
    flip(&*start, name::CONFIG, 20..30);
    let calm = FaultBackend::new(Arc::new(MemoryBackend::over(start.clone())));
    let store = case.sandbox.open(Arc::new(calm.clone()));
    calm.reset();
    let outcome = case.repair(&store);
    assert!(!outcome.is_lost() && outcome.removed.0 == 2, "{outcome:?}");
    let calls = calm.count();
    let ways = [Fault::once, Fault::for_ever, Fault::lost_reply];
    let kinds = [
        BackendErrorKind::Other,
        BackendErrorKind::NoSpace,
        BackendErrorKind::Transient,
    ];
    let step = if scale() > 1 { 1 } else { 4 };
    let (mut runs, mut failed) = (0, 0);
    for nth in (1..=calls).step_by(step) {
        for (n, way) in ways.into_iter().enumerate() {
            let backend = Arc::new(MemoryBackend::over(start.clone()));
            let faults = FaultBackend::new(backend.clone());
            let store = case.sandbox.open(Arc::new(faults.clone()));
            faults.reset();
            let fault = way(nth, kinds[(nth + n) % 3]);
            faults.fail(fault);
            let done = case.try_repair(&store, &[], &no_sources());
            let what = format!("{fault:?} at {:?}: {done:?}", faults.log().get(nth - 1));
            assert!(matches!(done, Ok(_) | Err(Error::Store(_))), "{what}");
            failed += usize::from(done.is_err());
            // What could not be read once is not lost, and no snapshot stands again for it.
            if let Ok(outcome) = &done {
                assert!(!outcome.is_lost(), "{what}");
                assert!(outcome.snapshots.len() <= 1, "{what}");
            }
            // No worse: what could be had before can be had now.
            case.sandbox.env.begin_process();
            let store = case.sandbox.open(backend.clone());
            let outcome = case.repair(&store);
            assert!(!outcome.is_lost(), "{what}, then {outcome:?}");
            let mut store = case.sandbox.open(backend.clone());
            let ids = snapshots(&store);
            assert_eq!(ids.len(), 4, "{what}");
            let mut contents: Vec<Vec<u8>> = ids
                .iter()
                .map(|id| case.sandbox.restore(&mut store, id))
                .collect();
            let mut kept: Vec<Vec<u8>> = case.kept.iter().map(|(_, c)| c.clone()).collect();
            contents.sort();
            kept.sort();
            assert!(contents == kept, "{what}");
            let validated = case.sandbox.try_validate(&store).unwrap();
            assert_eq!(validated.damage, [], "{what}");
            assert!(store.marked_packs().unwrap().len() >= 2, "{what}");
            case.assert_done(&backend, &[], &what);
            runs += 1;
        }
    }
    println!("{runs} faults of {calls} calls, {failed} of them failed the repair");
    assert!(failed > 20, "{failed}");
    assert!(start.list(name::DAMAGED).unwrap().is_empty());
}
