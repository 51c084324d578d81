//! Ctrl-C and SIGTERM: the first asks long work to stop at its next safe place, the second ends the
//! program at once. Only commands that look at the flag catch signals; the others just end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::flag;

use crate::cli::exit::Code;

/// A signal that asks the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Which signal has been caught, if any.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    caught: Arc<AtomicUsize>,
    catching: Arc<AtomicBool>,
}

const INTERRUPT: usize = 1;
const TERMINATE: usize = 2;

impl Signals {
    /// From now on the first signal is only noted. Once is enough for a run.
    ///
    /// Where the system refuses, signals end the program at once, as they did before.
    pub fn catch(&self) {
        if self.catching.swap(true, Ordering::Relaxed) {
            return;
        }
        let second = Arc::new(AtomicBool::new(false));
        let codes = [
            (SIGINT, Code::Interrupted, INTERRUPT),
            (SIGTERM, Code::Terminated, TERMINATE),
        ];
        // In this order: the shutdown looks at the flag before the first signal sets it.
        for (signal, code, _) in codes {
            let exit = i32::from(code.number());
            if flag::register_conditional_shutdown(signal, exit, second.clone()).is_err() {
                return;
            }
        }
        for (signal, _, mark) in codes {
            let noted = flag::register(signal, second.clone())
                .and_then(|_| flag::register_usize(signal, self.caught.clone(), mark));
            if noted.is_err() {
                return;
            }
        }
    }

    /// The signal that was caught.
    pub fn caught(&self) -> Option<Signal> {
        match self.caught.load(Ordering::Relaxed) {
            INTERRUPT => Some(Signal::Interrupt),
            TERMINATE => Some(Signal::Terminate),
            _ => None,
        }
    }
}
