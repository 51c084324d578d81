//! Simulated worlds and contract suites, for tests and benches only (feature `testkit`).
//!
//! Everything here may panic: a broken promise of a simulated world is a failed test.

pub mod blobs;
pub mod crash_states;
pub mod fault_backend;
pub mod fault_vfs;
pub mod faults;
pub mod memory_vfs;
pub mod seeded_env;

#[expect(clippy::unwrap_used, reason = "the suites are tests")]
pub mod backend_suite;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "what is fuzzed is tested: a broken promise panics; its databases are real files"
)]
pub mod fuzzing;
#[expect(clippy::unwrap_used, reason = "the suites are tests")]
pub mod vfs_suite;
