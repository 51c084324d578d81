//! The promises of larder, one module each.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests look at real files from outside the library, fail by panicking, and say what was not run"
)]

mod after_snapshot_faults;
mod after_snapshots;
mod ancestors_faults;
mod any_database;
mod asked_for;
mod audit;
mod backend_contract;
mod bad_input;
mod bad_sources;
mod beside;
mod built_files;
mod changing_database;
mod codecs;
mod commit_protocol;
mod committed_states;
mod copies;
mod copy_faults;
mod corruption;
mod crash;
mod crash_states;
mod damaged_snapshots;
mod damaged_sources;
mod delta_damage;
mod delta_losses;
mod delta_steps;
mod delta_trees;
mod deltas;
mod differences;
mod fast_skip;
mod fault_loops;
mod foreign_keys;
mod forged_deltas;
mod forged_pack;
mod forgetting;
mod forgetting_faults;
mod format_spec;
mod full_disks;
mod fuzz_corpus;
mod gc_concurrency;
mod hostile_chains;
mod hostile_deltas;
mod hostile_store;
mod imports;
mod independent_reader;
mod interfering;
mod killed_restores;
mod layering;
mod leftovers;
mod live_sources;
mod live_writers;
mod local_writes;
mod lost_manifests;
mod misplaced;
mod moving_packs;
mod odd_tables;
mod old_stores;
mod pages;
mod parity;
mod pruning;
mod pruning_beside;
mod repair;
mod replace_file;
mod restore_beside_others;
mod restore_faults;
mod restore_model;
mod restore_modes;
mod restore_rules;
mod retention;
mod retention_cases;
mod round_trip;
mod sandbox;
mod second_copies;
mod several_databases;
mod shelf;
mod side_by_side;
mod small_disk;
mod small_growth;
mod source_target;
mod stage;
mod stats;
mod text_encodings;
mod torture;
mod transactions;
mod tree;
mod tree_damage;
mod tree_differences;
mod tree_rows;
mod undo;
mod undo_chain;
mod undo_obstacles;
mod undo_random;
mod usable_copies;
mod validate_levels;
mod verdict_steps;
mod vfs_contract;
mod virtual_tables;
mod workshop;
