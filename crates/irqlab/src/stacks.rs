//! `irqlab stacks`: on which kernel stacks something was reached.

use std::path::PathBuf;
use std::process::ExitCode;

use kstate::semantics::KernelVersion;
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::Script;

use crate::experiment::Experiment;
use crate::input::Output;
use crate::input::read;
use crate::names::{near, tracepoints};
use crate::run::given_up;

/// Options of `irqlab stacks`.
#[derive(clap::Args)]
pub struct Args {
    /// A kernel function or a tracepoint
    #[arg(long, value_name = "FUNCTION|TRACEPOINT")]
    at: String,
    #[command(flatten)]
    experiment: Experiment,
    /// Machine file instead of the embedded machine
    #[arg(long, value_name = "FILE", requires = "script")]
    machine: Option<PathBuf>,
    /// Script instead of booting and binding alone
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let machine = match &args.machine {
        None => Machine::embedded(KernelVersion::default()),
        Some(path) => Machine::parse(&path.display().to_string(), &read(path)?)?,
    };
    let semantics = args.experiment.semantics(machine.kernel)?;
    let note = args.experiment.note(&semantics);
    let mut lab = Lab::boot_with(&machine, semantics, true);
    if let Some(path) = &args.script {
        let script = Script::parse(&path.display().to_string(), &read(path)?)?;
        lab.run_each(&script, |_| {}, |_, _| {});
        given_up(&lab)?;
    }
    let functions = lab.functions();
    if functions.get(&args.at).is_none() && !tracepoints().any(|t| t == args.at) {
        let names = functions.iter().map(|f| f.name).chain(tracepoints());
        return Err(diagnostic::report!(
            help = near(names, &args.at)
                .unwrap_or_else(|| "functions in scope are listed in crates/record/data".to_owned()),
            "`{}` is no function in scope of {} and no tracepoint",
            args.at,
            lab.k.sem.version.name()
        ));
    }
    let stacks = record::stacks::reaching(&lab.k.trace, &args.at, functions);
    let mut out = Output::styled();
    if let Some(note) = note {
        out.line(format_args!("# {note}"))?;
    }
    if stacks.is_empty() {
        out.line(format_args!("{} was not reached", args.at))?;
    }
    for (i, stack) in stacks.iter().enumerate() {
        if i > 0 {
            out.line("")?;
        }
        let times = if stack.count == 1 { "time" } else { "times" };
        out.line(format_args!("# {}, {} {times}", stack.actor, stack.count))?;
        out.text(&record::stacks::print(stack))?;
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}
