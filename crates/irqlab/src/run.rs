//! `irqlab run`: a script on a machine, written as the files of a capture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kstate::semantics::KernelVersion;
use miette::{IntoDiagnostic, WrapErr};
use sim::capture;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

/// Options of `irqlab run`.
#[derive(clap::Args)]
pub struct Args {
    /// Machine file (TOML)
    #[arg(long, value_name = "FILE")]
    machine: PathBuf,
    /// Script (the subset of the root shell that CAPTURES describes)
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// Folder to write; it is created
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Kernel to run instead of the machine file's
    #[arg(long, value_name = "VERSION", value_parser = kernel)]
    kernel: Option<KernelVersion>,
    /// States also show topology and queue maps
    #[arg(long)]
    full_states: bool,
}

/// Parses a kernel's name.
pub fn kernel(name: &str) -> Result<KernelVersion, String> {
    KernelVersion::from_name(name).ok_or_else(|| {
        let known = KernelVersion::ALL.map(KernelVersion::name).join(" or ");
        format!("expected {known}")
    })
}

/// Reads a file as text; what goes wrong names it.
pub fn read(path: &Path) -> miette::Result<String> {
    fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("cannot read {}", path.display()))
}

/// Runs the command.
pub fn run(args: &Args) -> miette::Result<ExitCode> {
    let machine_text = read(&args.machine)?;
    let mut machine =
        Machine::parse(&args.machine.display().to_string(), &machine_text).map_err(|e| miette::Report::new(*e))?;
    if let Some(kernel) = args.kernel {
        machine.kernel = kernel;
    }
    let script_text = read(&args.script)?;
    let script = Script::parse(&args.script.display().to_string(), &script_text)?;
    let sections = Sections { topology: args.full_states, queues: args.full_states };
    let mut lab = Lab::boot(&machine);
    let outputs = lab.run(&script, |_| sections);
    // Everything is known before the first file is written, so that a mistake leaves nothing behind.
    capture::write(&args.out, &machine_text, &script_text, &outputs)?;
    for line in &lab.terminal {
        println!("{line}");
    }
    for output in &outputs {
        println!("{}", args.out.join(&output.name).display());
    }
    Ok(ExitCode::SUCCESS)
}
