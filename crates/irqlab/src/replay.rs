//! `irqlab replay`: one run of a script, step by step.

use std::process::ExitCode;

use explore::{Detail, Schedule, ScheduleError, narrate};

use crate::case;
use crate::exit::DIFFERS;
use crate::hardware;
use crate::input::{OptionError, Output};

/// As many steps as are shown at most: each is some lines of text, which are kept until the end.
const MAX_DEPTH: i64 = 1_000_000;

/// Options of `irqlab replay`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("what").args(["script", "exhibit"]).required(true)))]
pub struct Args {
    #[command(flatten)]
    case: case::Args,
    /// The schedule of the run, as `irqlab explore` prints it: `17:2` is answer 2 at place 17, `none` a run
    /// in which nothing unusual happens
    #[arg(long, alias = "choices", value_name = "PLACE:ANSWER,...", default_value = "none")]
    schedule: String,
    /// Show every call and tracepoint
    #[arg(long)]
    calls: bool,
    #[command(flatten)]
    hardware: hardware::Args,
    /// Show only what is wrong
    #[arg(long, short, conflicts_with = "calls")]
    quiet: bool,
    /// Steps after which a run that goes on is left
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=MAX_DEPTH))]
    depth: u32,
}

/// Parses a schedule.
pub fn schedule(text: &str) -> Result<Schedule, OptionError> {
    text.parse().map_err(|e: ScheduleError| {
        OptionError::new("--schedule", e.to_string(), "places in ascending order, as in 3:1,17:2, or none")
    })
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let schedule = schedule(&args.schedule)?;
    let case = args.case.load()?;
    let detail = Detail { longest: args.depth as usize, calls: args.calls };
    let mut shown = String::new();
    let root = case.world(args.hardware.recorded());
    let told = narrate(&root, &schedule, detail, |text| {
        if !args.quiet {
            shown.push_str(text);
        }
    });
    told.fits(&schedule).map_err(|misfit| {
        OptionError::new("--schedule", misfit.to_string(), "a schedule of this script, machine and kernel")
    })?;
    let mut output = Output::new();
    if let Some(note) = &case.note {
        output.line(format_args!("# {note}"))?;
    }
    output.text(&shown)?;
    for (at, wrong) in &told.found {
        let text = wrong.text.trim_end();
        output.line(format_args!("found after {at} steps: {}: {text}", wrong.kind.name()))?;
    }
    if told.cut {
        output.line(format_args!("left after {} steps: --depth shows more", told.steps))?;
    } else if told.found.is_empty() {
        output.line(format_args!("nothing is wrong after {} steps, which are all", told.steps))?;
    }
    output.finish()?;
    Ok(if told.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}
