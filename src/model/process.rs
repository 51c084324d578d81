//! Which process of which machine wrote something, so that another one can see whether it lives.

use serde::{Deserialize, Serialize};

/// One process, told from all others, also from a later one of the same number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessMark {
    /// The machine: `/etc/machine-id`; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// The run of the system: Linux's `boot_id`, new with each start of the machine.
    pub boot: String,
    /// The namespace in which its number counts; containers have their own.
    pub space: String,
    /// Its number.
    pub pid: u32,
    /// When it began, in the system's ticks since the start of the machine.
    pub started: u64,
}
