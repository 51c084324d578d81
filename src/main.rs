//! The program `larder`: its arguments go to `larder::cli`, which says how to exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder::cli::run(std::env::args_os())
}
