//! `irqlab verify`: the emulator against captures of real kernels.

use std::path::PathBuf;
use std::process::ExitCode;

use sim::capture::Capture;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::state::Sections;
use sim::verify::{self, Report};

use crate::cli::DIFFERS;

/// Options of `irqlab verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Capture folders: machine.toml, script.sh and recordings
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// Show what differs, in context
    #[arg(short, long)]
    verbose: bool,
}

/// Runs a capture's script on its machine and compares every recording.
pub fn check(capture: &Capture) -> miette::Result<(Report, Vec<String>)> {
    let name = capture.folder.join("machine.toml").display().to_string();
    let machine = Machine::parse(&name, &capture.machine).map_err(|e| miette::Report::new(*e))?;
    let mut lab = Lab::boot(&machine);
    let outputs = lab.run(&capture.script, |file| {
        let expected = capture.files.iter().find(|(planned, _)| planned.file == file);
        expected.and_then(|(_, text)| text.as_deref()).map(Sections::of).unwrap_or_default()
    });
    Ok((verify::verify(capture, &outputs), lab.terminal))
}

/// Runs the command.
pub fn run(args: &Args) -> miette::Result<ExitCode> {
    let mut passed = true;
    for folder in &args.folders {
        let capture = Capture::read(folder)?;
        let (report, terminal) = check(&capture)?;
        anstream::println!("{}", folder.display());
        anstream::print!("{}", report.table());
        if args.verbose {
            for line in terminal {
                anstream::println!("  {line}");
            }
            anstream::print!("{}", report.diff());
        }
        passed &= report.passed();
    }
    Ok(ExitCode::from(if passed { 0 } else { DIFFERS }))
}
