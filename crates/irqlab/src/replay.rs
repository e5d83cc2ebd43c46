//! `irqlab replay`: one run of a script, move by move.

use std::process::ExitCode;

use explore::{Choices, ChoicesError, Detail, tell};

use crate::case;
use crate::cli::DIFFERS;
use crate::input::{OptionError, Output};

/// Options of `irqlab replay`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").args(["script", "exhibit"]).required(true)))]
pub struct Args {
    #[command(flatten)]
    case: case::Args,
    /// The choices of the run, as `irqlab explore` prints them: `17:2` is answer 2 at place 17, `none` a
    /// run in which nothing unusual happens
    #[arg(long, value_name = "PLACE:ANSWER,...", default_value = "none")]
    choices: String,
    /// Show every call and tracepoint
    #[arg(long)]
    calls: bool,
    /// Show only what is wrong
    #[arg(long, short, conflicts_with = "calls")]
    quiet: bool,
    /// Moves after which a run that goes on is left
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    depth: u32,
}

/// Parses a list of choices.
fn choices(text: &str) -> Result<Choices, OptionError> {
    text.parse().map_err(|e: ChoicesError| {
        OptionError::new("--choices", e.to_string(), "places in ascending order, as in 3:1,17:2, or none")
    })
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let choices = choices(&args.choices)?;
    let case = args.case.load()?;
    let detail = Detail { longest: args.depth as usize, calls: args.calls };
    let mut shown = String::new();
    let root = case.world(true);
    let told = tell(&root, &choices, detail, |text| {
        if !args.quiet {
            shown.push_str(text);
        }
    });
    told.fits(&choices).map_err(|misfit| {
        OptionError::new("--choices", misfit.to_string(), "choices of this script, machine and kernel")
    })?;
    let mut output = Output::new();
    if let Some(note) = &case.note {
        output.line(format_args!("# {note}"))?;
    }
    output.text(&shown)?;
    for (at, wrong) in &told.found {
        let text = wrong.text.trim_end();
        output.line(format_args!("found after {at} moves: {}: {text}", wrong.kind.name()))?;
    }
    if told.cut {
        output.line(format_args!("left after {} moves: --depth shows more", told.moves))?;
    } else if told.found.is_empty() {
        output.line(format_args!("nothing is wrong after {} moves, which are all", told.moves))?;
    }
    output.finish()?;
    Ok(if told.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}
