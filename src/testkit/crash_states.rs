//! What a power cut may leave: a [`Vfs`](crate::vfs::Vfs) that records every change, and the states that the
//! record allows at each point of it.
//!
//! The model is the harshest that the contract allows, as that of `memory_vfs`: bytes of a file are
//! durable once it was synced, a name once its folder was, each of them alone. A move is two changes:
//! a name that comes and one that goes. What is not durable may be lost, kept, or torn, in any order.

mod image;
mod record;
mod replay;
mod states;

pub use image::Image;
pub use record::{Broken, RecordingVfs};
pub use replay::Replay;
pub use states::CrashState;

/// A file or a folder, by its number: those of files are odd.
type NodeNumber = usize;
