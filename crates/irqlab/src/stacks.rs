//! `irqlab stacks`: on which kernel stacks something was reached.

use std::path::PathBuf;
use std::process::ExitCode;

use explain::asked::tracepoints;
use sim::lab::Lab;
use sim::script::Script;

use crate::input::Output;
use crate::names::near;
use crate::opening::{self, Opened, Opening};
use crate::run::given_up;

/// Options of `irqlab stacks`.
#[derive(clap::Args)]
pub struct Args {
    /// A kernel function or a tracepoint
    #[arg(long, value_name = "FUNCTION|TRACEPOINT")]
    at: String,
    #[command(flatten)]
    opening: Opening,
    /// Script, `-` for standard input, instead of booting and binding alone
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let Opened { machine, semantics, note, script: exhibit, .. } = args.opening.open()?;
    let mut lab = Lab::boot_with(&machine, semantics, true);
    let script = match (&args.script, exhibit) {
        (Some(path), _) => Some(opening::script_text(path)?),
        (None, Some(text)) => Some(("the exhibit's script".to_owned(), text.to_owned())),
        (None, None) => None,
    };
    if let Some((name, text)) = script {
        let script = Script::parse(&name, &text)?;
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
