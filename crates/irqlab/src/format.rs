//! `irqlab run --format`: what a run recorded, for people and for other tools.

use std::path::Path;
use std::process::ExitCode;

use diagnostic::file::{self, Existing};
use kstate::semantics::Semantics;
use kstate::trace::Recorded;
use kstate::{CpuId, Irq};
use record::formats::{Slice, events, flow, ftrace, graph, json, perfetto, sequence, svg, tracecmd};
use record::stacks;
use record::{Options, Recording};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::plan::Kind;
use sim::script::{Script, Statement};

use crate::hardware;
use crate::input::{OptionError, Output, complain};
use crate::run::{given_up, status};

/// What to write instead of the files of a capture.
#[derive(clap::Args, Debug)]
#[group(id = "formats")]
pub struct Args {
    /// Write what happened in one of these formats instead of a capture's files
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// With --format: only this recording of the script [default: the whole script, or the boot
    /// where there is none]
    #[arg(long, value_name = "NAME", requires = "format")]
    recording: Option<String>,
    /// With --format dot, mermaid or svg: the domains of this interrupt instead of the calls
    #[arg(long, value_name = "IRQ", requires = "format")]
    domains: Option<u32>,
    /// With --format svg: the vectors of all CPUs at the end instead of the calls
    #[arg(long, requires = "format", conflicts_with_all = ["domains", "recording"])]
    vectors: bool,
}

/// The formats.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Call trees for people: repetitions are counted
    Story,
    /// Call trees, as in a capture
    Flow,
    /// Tracepoints with their stacks, as in a capture
    Events,
    /// /sys/kernel/tracing/trace of the function_graph tracer
    Ftrace,
    /// /sys/kernel/tracing/trace of the events alone
    FtraceEvents,
    /// A trace.dat for `trace-cmd report` and KernelShark: function_graph and all events
    TraceCmd,
    /// The distinct stacks of every tracepoint
    Stacks,
    /// What hardware did: messages, vectors, EOIs, doorbells (docs/trace-schema.md)
    Hardware,
    /// JSON lines (docs/trace-schema.md)
    Json,
    /// A trace for ui.perfetto.dev
    Perfetto,
    /// A graph for Graphviz
    Dot,
    /// A graph for Mermaid
    Mermaid,
    /// A sequence diagram for Mermaid, with records of hardware: who tells whom what
    MermaidSequence,
    /// A picture: the lanes of tasks, CPUs and hardware
    Svg,
}

impl Args {
    /// A format was asked for.
    pub const fn is_some(&self) -> bool {
        self.format.is_some()
    }
}

/// Runs the script and writes the format.
pub fn run(
    args: &Args,
    hardware: hardware::Args,
    machine: &Machine,
    semantics: Semantics,
    script: &Script,
    out: Option<&Path>,
    existing: Existing,
) -> diagnostic::Result<ExitCode> {
    let Some(format) = args.format else { return Err(diagnostic::report!("--format is needed")) };
    let recorded = match format {
        Format::Hardware | Format::MermaidSequence => Recorded::Hardware,
        _ => hardware.recorded(),
    };
    let mut lab = Lab::boot_with(machine, semantics, recorded);
    let start = if script.statements.is_empty() { 0 } else { lab.k.trace.records.len() };
    let mut recordings = Vec::new();
    lab.run_each(
        script,
        |_| {},
        |_, marked| {
            if matches!(marked.planned.kind, Kind::Flow | Kind::Events | Kind::BootEvents) {
                recordings.push((marked.planned.name.clone(), marked.records.clone()));
            }
        },
    );
    given_up(&lab)?;
    let records = match &args.recording {
        None => start..lab.k.trace.records.len(),
        Some(name) => match recordings.iter().find(|(n, _)| n == name) {
            Some((_, records)) => records.clone(),
            None => {
                let names: Vec<&str> = recordings.iter().map(|(n, _)| n.as_str()).collect();
                let names = if names.is_empty() { "a script that records".into() } else { names.join(", ") };
                return Err(OptionError::new("--recording", format!("no recording `{name}`"), names).into());
            }
        },
    };
    let bytes = text(args, format, &lab, script, records)?;
    match out {
        Some(path) => file::write(path, &bytes, existing)?,
        None => {
            let mut stdout = Output::new();
            stdout.bytes(&bytes)?;
            stdout.finish()?;
        }
    }
    // The output is the format's.
    for failure in &lab.failed {
        complain(format_args!("{}: {failure}", script.name));
    }
    Ok(status(&lab))
}

fn text(
    args: &Args,
    format: Format,
    lab: &Lab,
    script: &Script,
    records: core::ops::Range<usize>,
) -> diagnostic::Result<Vec<u8>> {
    let functions = lab.functions();
    let trace = &lab.k.trace;
    let slice = Slice { trace, records: records.clone(), functions };
    let cpus = lab.k.topo.possible.iter().last().map_or(1, |CpuId(last)| last + 1);
    let version = lab.k.sem.version;
    let io = script.statements.iter().any(Statement::reads_disk);
    if args.domains.is_some() && !matches!(format, Format::Dot | Format::Mermaid | Format::Svg) {
        return Err(OptionError::new(
            "--domains",
            "this format has no graph",
            "--format dot, mermaid or svg",
        )
        .into());
    }
    if args.vectors && format != Format::Svg {
        return Err(OptionError::new("--vectors", "this format is no picture", "--format svg").into());
    }
    let text = match format {
        Format::Story => {
            record::formats::story(&Recording::between(trace, records, functions, Options { io }))
        }
        Format::Flow => flow::print(&Recording::between(trace, records, functions, Options { io })),
        Format::Events => events::print(&record::events(trace, records, functions)),
        Format::Ftrace => ftrace::graph(&lab.k, &slice),
        Format::FtraceEvents => ftrace::events(&lab.k, &slice),
        Format::TraceCmd => return Ok(tracecmd::encode(&lab.k, &slice)),
        Format::Stacks => all_stacks(&slice),
        Format::Hardware => record::formats::hardware::print(trace, records, functions),
        Format::Json => json::print(&slice, version, cpus),
        Format::Perfetto => return Ok(perfetto::encode(&slice)),
        Format::MermaidSequence => sequence::mermaid(&slice),
        Format::Svg if args.vectors => svg::vectors(&lab.k),
        Format::Svg if args.domains.is_none() => {
            let of = match &args.recording {
                Some(name) => name.as_str(),
                None if script.statements.is_empty() => "boot",
                None => script.name.as_str(),
            };
            let online = lab.k.topo.online.weight();
            svg::lanes(&slice, &format!("{of}: Linux {}, {online} CPUs online at the end", version.name()))
        }
        Format::Dot | Format::Mermaid | Format::Svg => match args.domains {
            None => {
                let calls = graph::calls(&slice);
                if format == Format::Dot { graph::dot(&calls) } else { graph::mermaid(&calls) }
            }
            Some(irq) => {
                let Some(domains) = graph::domains(&lab.k, Irq(irq)) else {
                    let there: Vec<String> = lab.k.for_each_irq().map(|i| i.to_string()).collect();
                    let expected = format!("one of {}", there.join(", "));
                    return Err(OptionError::new("--domains", format!("no interrupt {irq}"), expected).into());
                };
                match format {
                    Format::Dot => graph::dot(&domains),
                    Format::Mermaid => graph::mermaid(&domains),
                    _ => svg::domains(&domains),
                }
            }
        },
    };
    Ok(text.into_bytes())
}

/// The distinct stacks of every tracepoint that fired.
fn all_stacks(slice: &Slice<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for record in &slice.trace.records[slice.records.clone()] {
        if let kstate::trace::What::Tracepoint(tracepoint) = record.what
            && !names.contains(&tracepoint.name())
        {
            names.push(tracepoint.name());
        }
    }
    let mut part = kstate::trace::Trace { on: true, ..Default::default() };
    part.records = slice.trace.records[slice.records.clone()].to_vec();
    part.ctxs.clone_from(&slice.trace.ctxs);
    let mut out = String::new();
    for name in names {
        for stack in stacks::reaching(&part, name, slice.functions) {
            out.push_str(&format!("# {name}: {}, {} times\n", stack.actor, stack.count));
            out.push_str(&stacks::print(&stack));
            out.push('\n');
        }
    }
    out
}
