//! `irqlab page`: a run as one file for a browser.

use std::path::PathBuf;
use std::process::ExitCode;

use compare::capture::Capture;
use diagnostic::file::{self, Existing};
use kstate::semantics::{KernelVersion, Semantics};
use page::{Case, Page, Run};
use sim::machine::Machine;
use sim::script::Script;

use crate::experiment::apply;
use crate::input::{Output, kernel};
use crate::opening::{self, Opened, Opening};

/// Write a run as a page for a browser: lanes, calls, and the state of the machine at each record.
///
/// The page is one file that needs nothing else. Without a script the run is the boot.
#[derive(clap::Args)]
pub struct Args {
    /// Machine file (TOML) [default: the embedded machine]
    #[arg(value_name = "MACHINE", conflicts_with_all = ["machine", "exhibit", "capture"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
    /// Script to run (docs/scripts.md), `-` for standard input [default: none, which leaves the boot]
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Machine and script of a capture folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["machine", "exhibit", "script"])]
    capture: Option<PathBuf>,
    /// Show the run on two kernels, beside each other
    #[arg(long, num_args = 2, value_names = [KernelVersion::CHOICE, KernelVersion::CHOICE], value_parser = kernel, conflicts_with_all = ["kernel", "set"])]
    diff: Vec<KernelVersion>,
    /// With --diff: change one behaviour of the first kernel
    #[arg(long, value_name = "FIELD=VALUE", requires = "diff")]
    left_set: Vec<String>,
    /// With --diff: change one behaviour of the second kernel
    #[arg(long, value_name = "FIELD=VALUE", requires = "diff")]
    right_set: Vec<String>,
    /// Begin with power-on, also where there is a script
    #[arg(long)]
    boot: bool,
    /// File to write
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Replace FILE
    #[arg(long)]
    force: bool,
    /// Write the data alone, as JSON (docs/page-schema.md)
    #[arg(long)]
    json: bool,
}

/// What is shown.
struct Asked {
    name: String,
    machine: Machine,
    semantics: Semantics,
    script: Option<Script>,
}

impl Args {
    fn open(&self) -> diagnostic::Result<Asked> {
        if let Some(folder) = &self.capture {
            let capture = Capture::read(folder)?;
            let name = folder.join("machine.toml").display().to_string();
            let Opened { machine, semantics, .. } = self.opening.open_text(name, capture.machine, None)?;
            let name = folder.display().to_string();
            return Ok(Asked { name, machine, semantics, script: Some(capture.script) });
        }
        let mut opening = self.opening.clone();
        opening.machine = self.file.clone().or(opening.machine);
        let Opened { name, machine, semantics, script, .. } = opening.open()?;
        let script = match (&self.script, script) {
            (Some(path), _) => {
                let (name, text) = opening::script_text(path)?;
                Some(Script::parse(&name, &text)?)
            }
            (None, Some(text)) => Some(Script::parse("the exhibit's script", text)?),
            (None, None) => None,
        };
        Ok(Asked { name, machine, semantics, script })
    }
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    file::check(&args.out, Existing::forced(args.force))?;
    let asked = args.open()?;
    let page = match args.diff[..] {
        [left, right] => {
            let mut runs = Vec::new();
            for (option, version, set) in
                [("--left-set", left, &args.left_set), ("--right-set", right, &args.right_set)]
            {
                let mut semantics = Semantics::of(version);
                apply(option, &mut semantics, set)?;
                let mut machine = asked.machine.clone();
                // Where interrupts stood at boot was noted on one kernel and says nothing about another.
                if [left, right] != [machine.kernel; 2] {
                    machine.boot_vectors.clear();
                    machine.boot_interrupts.clear();
                }
                machine.kernel = version;
                runs.push(one(args, &asked, &machine, &semantics)?);
            }
            Page::new(&format!("{}: {} and {}", asked.name, left.name(), right.name()), runs)
        }
        _ => {
            let run = one(args, &asked, &asked.machine, &asked.semantics)?;
            Page::new(&format!("{} on {}", asked.name, run.kernel()), vec![run])
        }
    };
    let bytes = if args.json { page.json() } else { page.html().into_bytes() };
    file::write(&args.out, &bytes, Existing::forced(args.force))?;
    let mut out = Output::new();
    for run in page.runs() {
        let (records, changes) = (run.records(), run.changes());
        out.line(format_args!("{}: {records} records, {changes} changes of the state", run.kernel()))?;
    }
    out.line(format_args!("{}: {} kB", args.out.display(), bytes.len().div_ceil(1000)))?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn one(args: &Args, asked: &Asked, machine: &Machine, semantics: &Semantics) -> diagnostic::Result<Run> {
    let case =
        Case { name: &asked.name, machine, semantics, script: asked.script.as_ref(), with_boot: args.boot };
    Run::of(&case).map_err(|wrong| diagnostic::report!(help = "expected a shorter script", "{wrong}"))
}
