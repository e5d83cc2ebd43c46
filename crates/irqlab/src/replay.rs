//! `irqlab replay`: one run of a script, step by step.

use std::process::ExitCode;

use explore::{Detail, Schedule, ScheduleError, Told, narrate};
use serde::Serialize;

use crate::case;
use crate::exit::DIFFERS;
use crate::filter;
use crate::hardware;
use crate::input::{OptionError, Output, json};

/// As many steps as are shown at most: each is some lines of text, which are kept until the end.
const MAX_STEPS: i64 = 1_000_000;

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
    #[arg(long, short, conflicts_with_all = ["calls", "json"])]
    quiet: bool,
    /// Steps after which a run that goes on is left
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=MAX_STEPS))]
    steps: u32,
    #[command(flatten)]
    filter: filter::Args,
    /// Print JSON (docs/formats.md)
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    version: u32,
    kernel: &'a str,
    experiment: Option<&'a str>,
    schedule: String,
    steps: &'a [Told],
    taken: usize,
    cut: bool,
    found: Vec<JsonFound<'a>>,
}

#[derive(Serialize)]
struct JsonFound<'a> {
    after: usize,
    kind: &'a str,
    text: &'a str,
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
    // Calls are shown with their arguments in any case.
    let detail = Detail { longest: args.steps as usize, calls: args.calls, filter: args.filter.filter() };
    let (mut shown, mut steps) = (String::new(), Vec::new());
    let root = case.world(args.hardware.recorded());
    let told = narrate(&root, &schedule, &detail, |told| match (args.json, args.quiet) {
        (true, _) => steps.push(told),
        (false, true) => {}
        (false, false) => shown.push_str(&told.to_string()),
    });
    filter::fitted(told.unfit.as_ref())?;
    told.fits(&schedule).map_err(|misfit| {
        OptionError::new("--schedule", misfit.to_string(), "a schedule of this script, machine and kernel")
    })?;
    let status = if told.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) };
    if args.json {
        let found = told.found.iter().map(|(after, wrong)| JsonFound {
            after: *after,
            kind: wrong.kind.name(),
            text: wrong.text.trim_end(),
        });
        json(&Json {
            schema: "irqlab-replay",
            version: 1,
            kernel: case.semantics.version.name(),
            experiment: case.note.as_deref(),
            schedule: schedule.to_string(),
            steps: &steps,
            taken: told.steps,
            cut: told.cut,
            found: found.collect(),
        })?;
        return Ok(status);
    }
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
        output.line(format_args!("left after {} steps: --steps shows more", told.steps))?;
    } else if told.found.is_empty() {
        output.line(format_args!("nothing is wrong after {} steps, which are all", told.steps))?;
    }
    output.finish()?;
    Ok(status)
}
