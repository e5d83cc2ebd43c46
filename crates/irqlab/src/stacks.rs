//! `irqlab stacks`: on which kernel stacks something was reached.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;

use explain::asked::tracepoints;
use record::filter::Levels;
use record::{CallText, name_of, with_arguments};
use serde::Serialize;
use sim::lab::Lab;
use sim::script::Script;

use crate::filter;
use crate::input::{Output, json};
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
    #[arg(value_name = "SCRIPT")]
    script: Option<PathBuf>,
    /// The same
    #[arg(long = "script", value_name = "FILE", conflicts_with = "script")]
    named: Option<PathBuf>,
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
    at: &'a str,
    stacks: Vec<JsonStack<'a>>,
}

#[derive(Serialize)]
struct JsonStack<'a> {
    actor: &'a str,
    cpu: u32,
    times: u32,
    frames: &'a [Cow<'static, str>],
    fired: &'a [String],
    irqs: Vec<u32>,
}

/// Runs the command.
pub fn run(args: &Args) -> diagnostic::Result<ExitCode> {
    let Opened { machine, semantics, note, script: exhibit, .. } = args.opening.open()?;
    let mut lab = Lab::boot_with(&machine, semantics, true);
    let script = match (args.script.as_ref().or(args.named.as_ref()), exhibit) {
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
    let filter = args.filter.filter();
    filter::check(&filter, &lab.k)?;
    let levels = Levels::Traced(functions);
    let trace = &lab.k.trace;
    let all = 0..trace.records.len();
    let kept = (!filter.shows_all()).then(|| filter.chosen(trace, all.clone(), levels));
    let counts = |at: usize| kept.as_ref().is_none_or(|kept| kept[at]);
    let with_args = with_arguments(&lab.k);
    let call: &CallText<'_> = if filter.args { &with_args } else { &name_of };
    let stacks = record::stacks::reaching_with(trace, all, &args.at, functions, call, &counts);
    if args.json {
        let stacks = stacks.iter().map(|stack| JsonStack {
            actor: &stack.actor,
            cpu: stack.cpu.0,
            times: stack.count,
            frames: &stack.frames,
            fired: &stack.fired,
            irqs: stack.irqs.iter().map(|irq| irq.0).collect(),
        });
        json(&Json {
            schema: "irqlab-stacks",
            version: 1,
            kernel: lab.k.sem.version.name(),
            experiment: note.as_deref(),
            at: &args.at,
            stacks: stacks.collect(),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
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
