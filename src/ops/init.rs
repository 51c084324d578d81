//! Makes an empty store.
// types only: `ops::open::create` does the work; see there.
