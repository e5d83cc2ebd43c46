//! A part of a run in one of the formats, with a filter: what `irqlab run --format` writes, and a session's `:export`.

use core::ops::Range;

use kstate::trace::What;
use kstate::{CpuId, Irq, Kernel};

use super::{Slice, events, flow, ftrace, graph, hardware, json, perfetto, sequence, story, svg, tracecmd};
use crate::filter::{Filter, Leave, Levels};
use crate::functions::Functions;
use crate::recording::{CallText, Options, Recording, events_with, name_of, with_arguments};
use crate::stacks;

/// The formats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// Call trees for people.
    Story,
    /// Call trees, as in a capture.
    Flow,
    /// Tracepoints with their stacks, as in a capture.
    Events,
    /// The text of the function_graph tracer.
    Ftrace,
    /// The text of the events alone.
    FtraceEvents,
    /// A trace.dat.
    TraceCmd,
    /// The distinct stacks of every tracepoint.
    Stacks,
    /// What hardware did.
    Hardware,
    /// JSON lines.
    Json,
    /// A trace for ui.perfetto.dev.
    Perfetto,
    /// A graph for Graphviz.
    Dot,
    /// A graph for Mermaid.
    Mermaid,
    /// A sequence diagram for Mermaid, with records of hardware.
    MermaidSequence,
    /// A picture.
    Svg,
}

/// A filter, or an interrupt's domains, that a format has no place for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{found}")]
pub struct Unfit {
    /// The option, without dashes.
    pub option: &'static str,
    /// Why not.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl Format {
    /// All of them, with what each is.
    pub const ALL: [(Self, &'static str, &'static str); 14] = [
        (Self::Story, "story", "Call trees for people: repetitions are counted"),
        (Self::Flow, "flow", "Call trees, as in a capture"),
        (Self::Events, "events", "Tracepoints with their stacks, as in a capture"),
        (Self::Ftrace, "ftrace", "/sys/kernel/tracing/trace of the function_graph tracer"),
        (Self::FtraceEvents, "ftrace-events", "/sys/kernel/tracing/trace of the events alone"),
        (
            Self::TraceCmd,
            "trace-cmd",
            "A trace.dat for `trace-cmd report` and KernelShark: function_graph and all events",
        ),
        (Self::Stacks, "stacks", "The distinct stacks of every tracepoint"),
        (
            Self::Hardware,
            "hardware",
            "What hardware did: messages, vectors, EOIs, doorbells (docs/trace-schema.md)",
        ),
        (Self::Json, "json", "JSON lines (docs/trace-schema.md)"),
        (Self::Perfetto, "perfetto", "A trace for ui.perfetto.dev"),
        (Self::Dot, "dot", "A graph for Graphviz"),
        (Self::Mermaid, "mermaid", "A graph for Mermaid"),
        (
            Self::MermaidSequence,
            "mermaid-sequence",
            "A sequence diagram for Mermaid, with records of hardware: who tells whom what",
        ),
        (Self::Svg, "svg", "A picture: the lanes of tasks, CPUs and hardware"),
    ];

    /// The name on a command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(format, ..)| *format == self).map_or("", |(_, name, _)| name)
    }

    /// The format with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(format, ..)| *format)
    }

    /// All names, for people.
    pub fn names() -> String {
        Self::ALL.map(|(_, name, _)| name).join(", ")
    }

    /// Which calls count as a level in it.
    pub const fn levels(self, functions: &Functions) -> Levels<'_> {
        if matches!(self, Self::Json) { Levels::All } else { Levels::Traced(functions) }
    }

    /// The domains of an interrupt can be drawn in it.
    pub const fn is_graph(self) -> bool {
        matches!(self, Self::Dot | Self::Mermaid | Self::Svg)
    }

    /// It shows what hardware does, so that this has to be recorded.
    pub const fn needs_hardware(self) -> bool {
        matches!(self, Self::Hardware | Self::MermaidSequence)
    }
}

/// What is written: a part of what a machine recorded.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// The machine.
    pub k: &'a Kernel,
    /// The part of its record.
    pub records: Range<usize>,
    /// What the script did in it.
    pub options: Options,
    /// What of it is shown.
    pub filter: &'a Filter,
    /// The domains of this interrupt instead of the calls, for graphs.
    pub domains: Option<Irq>,
    /// The vectors of all CPUs as they are now instead of the calls, for a picture.
    pub vectors: bool,
    /// What a trace takes for time, for the format that has a choice.
    pub clock: Option<perfetto::Clock>,
    /// What a picture is of.
    pub title: &'a str,
}

impl Export<'_> {
    /// The part in a format.
    ///
    /// # Errors
    /// For what the format has no place for, and for an interrupt that is not there.
    pub fn write(&self, format: Format) -> Result<Vec<u8>, Unfit> {
        let Self { k, options, filter, domains, vectors, clock, title, .. } = *self;
        let functions = Functions::of(k.sem.version);
        if domains.is_some() && !format.is_graph() {
            let found = "this format has no graph".to_owned();
            return Err(Unfit {
                option: "domains",
                found,
                expected: "--format dot, mermaid or svg".to_owned(),
            });
        }
        if vectors && format != Format::Svg {
            let found = "this format is no picture".to_owned();
            return Err(Unfit { option: "vectors", found, expected: "--format svg".to_owned() });
        }
        if clock.is_some() && format != Format::Perfetto {
            let found = "this format has one time".to_owned();
            return Err(Unfit { option: "clock", found, expected: "--format perfetto".to_owned() });
        }
        let argless = matches!(
            format,
            Format::FtraceEvents
                | Format::TraceCmd
                | Format::Hardware
                | Format::Dot
                | Format::Mermaid
                | Format::MermaidSequence
                | Format::Svg
        );
        if filter.args && argless {
            let found = format!("the format {} shows no calls that could have arguments", format.name());
            let expected = "story, flow, events, stacks, ftrace, json or perfetto".to_owned();
            return Err(Unfit { option: "args", found, expected });
        }
        if let Some(irq) = domains {
            let Some(domains) = graph::domains(k, irq) else {
                let there: Vec<String> = k.for_each_irq().map(|irq| irq.to_string()).collect();
                let found = format!("no interrupt {irq}");
                let expected = format!("one of {}", there.join(", "));
                return Err(Unfit { option: "domains", found, expected });
            };
            let text = match format {
                Format::Dot => graph::dot(&domains),
                Format::Mermaid => graph::mermaid(&domains),
                _ => svg::domains(&domains),
            };
            return Ok(text.into_bytes());
        }
        if vectors {
            return Ok(svg::vectors(k).into_bytes());
        }
        let leave = match format {
            Format::Events | Format::FtraceEvents | Format::Stacks | Format::Hardware => Leave::Points,
            _ => Leave::Calls,
        };
        let levels = format.levels(functions);
        let cut = (!filter.shows_all()).then(|| filter.cut(&k.trace, self.records.clone(), levels, leave));
        let (trace, records) = match &cut {
            None => (&k.trace, self.records.clone()),
            Some(cut) => (&cut.trace, cut.records.clone()),
        };
        let slice = Slice { trace, records: records.clone(), functions };
        let with_args = with_arguments(k);
        let call: &CallText<'_> = if filter.args { &with_args } else { &name_of };
        let recording = || Recording::between_with(trace, records.clone(), functions, options, call);
        let number = |n: usize| match &cut {
            None => n,
            Some(cut) => n.checked_sub(cut.records.start).map_or(n, |at| cut.numbers[at]),
        };
        let text = match format {
            Format::Story => story(&recording()),
            Format::Flow => flow::print(&recording()),
            Format::Events => events::print(&events_with(trace, records, functions, call)),
            Format::Ftrace if filter.args => ftrace::graph_with_arguments(k, &slice),
            Format::Ftrace => ftrace::graph(k, &slice),
            Format::FtraceEvents => ftrace::events(k, &slice),
            Format::TraceCmd => return Ok(tracecmd::encode(k, &slice)),
            Format::Stacks => all_stacks(&slice, call),
            Format::Hardware => hardware::print(trace, records, functions),
            Format::Json => {
                let cpus = k.topo.possible.iter().last().map_or(1, |CpuId(last)| last + 1);
                json::print_numbered(&slice, k.sem.version, cpus, number)
            }
            Format::Perfetto => {
                let how = perfetto::How {
                    clock: clock.unwrap_or_default(),
                    args_of: filter.args.then_some(k),
                    number: &number,
                    counters: cut.is_none(),
                };
                return Ok(perfetto::encode_with(&slice, &how));
            }
            Format::Dot => graph::dot(&graph::calls(&slice)),
            Format::Mermaid => graph::mermaid(&graph::calls(&slice)),
            Format::MermaidSequence => sequence::mermaid(&slice),
            Format::Svg => {
                let online = k.topo.online.weight();
                let release = k.sem.version.name();
                svg::lanes(&slice, &format!("{title}: Linux {release}, {online} CPUs online at the end"))
            }
        };
        Ok(text.into_bytes())
    }
}

/// The distinct stacks of every tracepoint that fired.
fn all_stacks(slice: &Slice<'_>, call: &CallText<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    let end = slice.records.end.min(slice.trace.records.len());
    for record in &slice.trace.records[slice.records.start.min(end)..end] {
        if let What::Tracepoint(tracepoint) = record.what
            && !names.contains(&tracepoint.name())
        {
            names.push(tracepoint.name());
        }
    }
    let mut out = String::new();
    for name in names {
        for stack in
            stacks::reaching_with(slice.trace, slice.records.clone(), name, slice.functions, call, &|_| true)
        {
            out.push_str(&format!("# {name}: {}, {} times\n", stack.actor, stack.count));
            out.push_str(&stacks::print(&stack));
            out.push('\n');
        }
    }
    out
}
