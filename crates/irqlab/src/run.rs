//! `irqlab run`: a script on a machine, written as the files of a capture.

use std::path::PathBuf;
use std::process::ExitCode;

use compare::capture;
use diagnostic::file::Existing;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;
use sim::state::Sections;

use crate::exit::DIFFERS;
use crate::experiment::Experiment;
use crate::format;
use crate::hardware;
use crate::input::{Output, machine_file, read};

/// Options of `irqlab run`.
#[derive(clap::Args)]
pub struct Args {
    /// Machine file (TOML) [default: the embedded machine]
    #[arg(long, value_name = "FILE")]
    machine: Option<PathBuf>,
    /// Script (docs/scripts.md) [default with --format: none, which leaves the boot]
    #[arg(long, value_name = "FILE", required_unless_present = "format")]
    script: Option<PathBuf>,
    /// Folder to write, created if needed; with --format the file to write [default: everything is
    /// printed]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Replace what was recorded at PATH before
    #[arg(long, requires = "out")]
    force: bool,
    #[command(flatten)]
    format: format::Args,
    #[command(flatten)]
    experiment: Experiment,
    #[command(flatten)]
    hardware: hardware::Args,
    /// States also show topology and queue maps
    #[arg(long)]
    full_states: bool,
}

/// The exit status of a run: 1 where an assertion of the script did not hold.
pub fn status(lab: &Lab) -> ExitCode {
    if lab.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) }
}

/// A script that was not run to its end has no result.
///
/// # Errors
/// For such a one.
pub fn given_up(lab: &Lab) -> diagnostic::Result<()> {
    match &lab.given_up {
        None => Ok(()),
        Some(why) => Err(diagnostic::report!(
            help = "expected a script in which less happens, or of which less is recorded",
            "{why}"
        )),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let (name, machine_text) = machine_file(args.machine.as_deref())?;
    let machine = Machine::parse(&name, &machine_text)?;
    let semantics = args.experiment.semantics(machine.kernel)?;
    let (script_name, script_text) = match &args.script {
        Some(path) => (path.display().to_string(), read(path)?),
        None => ("no script".to_owned(), String::new()),
    };
    let script = Script::parse(&script_name, &script_text)?;
    if args.format.is_some() {
        return format::run(
            &args.format,
            args.hardware,
            &machine,
            semantics,
            &script,
            args.out.as_deref(),
            Existing::forced(args.force),
        );
    }
    let sections = Sections { topology: args.full_states, queues: args.full_states };
    let note = args.experiment.note(&semantics);
    let mut lab = Lab::boot_with(&machine, semantics, args.hardware.recorded());
    let outputs = lab.run(&script, |_| sections);
    given_up(&lab)?;
    // Everything is known before the first file is written, so that a mistake leaves nothing behind.
    if let Some(out) = &args.out {
        let existing = Existing::forced(args.force);
        capture::write(out, &machine_text, &script_text, &outputs, existing)?;
    }
    let mut terminal = Output::new();
    if let Some(note) = note {
        terminal.line(format_args!("# {note}"))?;
    }
    for line in &lab.terminal {
        terminal.line(line)?;
    }
    for output in &outputs {
        match &args.out {
            Some(out) => terminal.line(out.join(&output.name).display())?,
            // As tail(1) has it for several files.
            None => terminal.text(&format!("==> {} <==\n{}", output.name, output.text))?,
        }
    }
    terminal.finish()?;
    Ok(status(&lab))
}
