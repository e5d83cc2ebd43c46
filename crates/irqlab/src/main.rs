//! What does this interrupt do, and why? The command line of the laboratory.

mod cli;
mod input;
mod matrix;
mod run;
mod spread;
mod stacks;
mod story;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
