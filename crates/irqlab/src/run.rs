//! `irqlab run`: a script on a machine, written as the files of a capture.

use std::path::PathBuf;
use std::process::ExitCode;

use compare::capture;
use diagnostic::file::Existing;
use record::filter::Filter;
use sim::lab::Lab;
use sim::script::Script;
use sim::state::Sections;

use crate::exit::DIFFERS;
use crate::filter;
use crate::format;
use crate::hardware;
use crate::input::Output;
use crate::opening::{self, Opened, Opening};

/// Options of `irqlab run`.
#[derive(clap::Args)]
pub struct Args {
    /// Script (docs/scripts.md), `-` for standard input [default with --format: none, which leaves the boot]
    #[arg(value_name = "SCRIPT")]
    script: Option<PathBuf>,
    /// The same
    #[arg(long = "script", value_name = "FILE", conflicts_with = "script")]
    named: Option<PathBuf>,
    #[command(flatten)]
    opening: Opening,
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
    hardware: hardware::Args,
    #[command(flatten)]
    filter: filter::Args,
    /// States also show topology and queue maps
    #[arg(long)]
    full_states: bool,
}

/// The exit status of a run: 1 where an assertion of the script did not hold, or a command did not do what it was told.
pub fn status(lab: &Lab) -> ExitCode {
    let held = lab.failed.is_empty() && lab.complaints == 0;
    if held { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) }
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
    let Opened { text: machine_text, machine, semantics, note, script: exhibit, .. } = args.opening.open()?;
    let (script_name, script_text) = match (args.script.as_ref().or(args.named.as_ref()), exhibit) {
        (Some(path), _) => opening::script_text(path)?,
        (None, Some(text)) => ("the exhibit's script".to_owned(), text.to_owned()),
        (None, None) if args.format.is_some() => ("no script".to_owned(), String::new()),
        (None, None) => {
            return Err(diagnostic::report!(
                help = "expected a script, as in `irqlab run script.sh`, or `-` for standard input",
                "there is no script to run"
            ));
        }
    };
    if debugger::Saved::parse(&script_text).is_ok_and(|saved| saved.is_some_and(|saved| saved.sets())) {
        return Err(diagnostic::report!(
            help = "`irqlab sh --script` does a saved session again",
            "{script_name}: in this session `:set` was typed, which no script can do"
        ));
    }
    let script = Script::parse(&script_name, &script_text)?;
    let filter = args.filter.filter();
    if args.format.is_some() {
        let asked = format::Asked {
            machine: &machine,
            semantics,
            script: &script,
            hardware: args.hardware,
            filter: &filter,
        };
        return format::run(&args.format, asked, args.out.as_deref(), Existing::forced(args.force));
    }
    if args.out.is_some() && filter != Filter::default() {
        return Err(diagnostic::report!(
            help = "without --out what is left is printed; with --format it is written to the file of --out",
            "the files of a capture are whole, or `irqlab verify` would find differences"
        ));
    }
    let sections = Sections { topology: args.full_states, queues: args.full_states };
    let mut lab = Lab::boot_with(&machine, semantics, args.hardware.recorded());
    lab.filter = filter;
    let outputs = lab.run(&script, |_| sections);
    given_up(&lab)?;
    filter::check(&lab.filter, &lab.k)?;
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
