//! `irqlab verify`: the emulator against captures of real kernels.

use std::path::PathBuf;
use std::process::ExitCode;

use compare::capture::{self, Capture};
use compare::verify;

use crate::exit::DIFFERS;
use crate::experiment::Experiment;
use crate::input::Output;

/// Options of `irqlab verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Capture folders (machine.toml, script.sh and recordings), or folders of such folders
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    experiment: Experiment,
    /// Show what differs, in context
    #[arg(short, long)]
    verbose: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let mut passed = true;
    let mut out = Output::new();
    for folder in args.folders.iter().flat_map(|path| capture::folders(path)) {
        let capture = Capture::read(&folder)?;
        let machine = capture.machine()?;
        let semantics = args.experiment.semantics(machine.kernel)?;
        let note = args.experiment.note(&semantics);
        let (report, lab) = verify::run_with(&capture, &machine, semantics);
        crate::run::given_up(&lab)?;
        out.line(folder.display())?;
        if let Some(note) = note {
            out.line(format_args!("# {note}"))?;
        }
        out.text(&report.table())?;
        if args.verbose {
            for line in lab.terminal {
                out.line(format_args!("  {line}"))?;
            }
            out.text(&report.diff())?;
        }
        passed &= report.passed();
        out.flush()?;
    }
    Ok(ExitCode::from(if passed { 0 } else { DIFFERS }))
}
