//! What does this interrupt do, and why? The command line of the laboratory.

mod bench;
mod case;
mod cli;
mod diff;
mod enter;
mod exit;
mod experiment;
mod explain;
mod explore;
mod filter;
mod format;
mod generate;
mod hardware;
mod import;
mod input;
mod lab;
mod lesson;
mod matrix;
mod mount;
mod museum;
#[cfg(test)]
#[path = "../tests/it/mutants.rs"]
mod mutants;
mod names;
mod opening;
mod page;
mod replay;
mod run;
mod semantics;
#[cfg(feature = "serve")]
mod serve;
mod sh;
mod signals;
mod spread;
mod stacks;
mod state;
mod story;
mod test;
mod tui;
mod verify;
mod whatif;

use std::process::ExitCode;

fn main() -> ExitCode {
    // In a shell of `irqlab enter` it is called by other names.
    lab::called().map_or_else(cli::main, lab::run)
}
