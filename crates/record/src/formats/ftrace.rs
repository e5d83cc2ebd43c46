//! What `/sys/kernel/tracing/trace` shows (kernel/trace/trace_functions_graph.c, trace_output.c).
//!
//! A `Buffer` holds entries as the tracers write them, and [`print()`] is the text of all of them.
//! The buffer of the machine's own tracer is filled by `sim::tracefs`; [`graph`] and [`events`]
//! fill one with a part of the record.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kstate::trace::{Actor, FnMeta, Record, Trace, Tracepoint, What};
use kstate::tracing::Tracer;
use kstate::{CpuId, CtxId, Kernel};

use super::Slice;
use crate::functions::Functions;

/// The DURATION column of what has none.
const NO_DURATION: &str = "              |  ";
/// A line around one that tells who takes over.
const SWITCH: &str = " ------------------------------------------\n";

/// The character in front of a duration, by nanoseconds (`mark[]`, trace_output.c).
const MARKS: [(u64, char); 6] = [
    (1_000_000_000, '$'),
    (100_000_000, '@'),
    (10_000_000, '*'),
    (1_000_000, '#'),
    (100_000, '!'),
    (10_000, '+'),
];

/// The C functions in the section `.irqentry.text`: calls of them are marked with arrows. 6.12 puts
/// no C function there on x86 (`__irq_entry`, asm/irq.h).
const IRQ_ENTRIES: [&str; 2] = ["do_IRQ", "smp_irq_move_cleanup_interrupt"];

/// The first process id that is not given to a CPU's threads, however many CPUs there are.
const FIRST_PID: u32 = 41_000;

/// One line of the buffer, or several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Whose it is; `None` for the shell.
    pub ctx: Option<CtxId>,
    /// The CPU it ran on.
    pub cpu: CpuId,
    /// In nanoseconds.
    pub time: u64,
    /// What happened.
    pub kind: Kind<'a>,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind<'a> {
    /// The graph tracer saw a call.
    Enter {
        /// The function.
        name: &'static str,
        /// Its arguments, where they are asked for (`funcgraph-args` of newer kernels).
        args: Box<str>,
        /// The number of calls around it.
        depth: usize,
    },
    /// It saw the return of a call.
    Exit {
        /// The function.
        name: &'static str,
        /// When it was entered, in nanoseconds.
        entered: u64,
        /// The number of calls around it.
        depth: usize,
    },
    /// The function tracer saw a call.
    Call {
        /// The function.
        name: &'static str,
        /// Its caller.
        parent: &'static str,
    },
    /// A tracepoint fired.
    Event {
        /// The tracepoint with its fields.
        tracepoint: Tracepoint,
        /// It fired with interrupts off.
        irqs_off: bool,
        /// The functions on the stack, innermost first, if stacks are asked for.
        stack: Option<Vec<&'static str>>,
    },
    /// Text that was written to `trace_marker`.
    Marker(&'a str),
}

/// A call that has not returned: its name, and when the graph tracer saw it entered.
type OpenCall = (&'static str, Option<u64>);

/// A buffer that is being filled.
#[derive(Debug)]
pub struct Buffer<'a> {
    trace: &'a Trace,
    /// Who knows what arguments are, where they are asked for.
    args: Option<&'a Kernel>,
    stacks: BTreeMap<CtxId, Vec<OpenCall>>,
    /// What was written so far.
    pub entries: Vec<Entry<'a>>,
}

impl<'a> Buffer<'a> {
    /// An empty buffer for the contexts of a record.
    pub fn new(trace: &'a Trace) -> Self {
        Self { trace, args: None, stacks: BTreeMap::new(), entries: Vec::new() }
    }

    /// How many calls of a context's stack the graph tracer saw.
    pub fn depth(&self, ctx: CtxId) -> usize {
        self.stacks.get(&ctx).map_or(0, |stack| depth(stack))
    }

    fn push(&mut self, record: &Record, time: u64, kind: Kind<'a>) {
        self.entries.push(Entry { ctx: Some(record.ctx), cpu: record.cpu, time, kind });
    }

    fn roots(&self, ctx: CtxId) -> &'static [&'static str] {
        self.trace.ctxs.get(ctx.index()).map_or(&[], |c| c.roots)
    }

    /// A call, which `tracer` sees.
    pub fn enter(&mut self, record: &Record, time: u64, meta: &FnMeta, tracer: Tracer) {
        let roots = self.roots(record.ctx);
        let stack = self.stacks.entry(record.ctx).or_default();
        let kind = match tracer {
            Tracer::Nop => None,
            Tracer::FunctionGraph => {
                let args = match (self.args, &record.what) {
                    (Some(k), What::Enter { args, .. }) => k.arguments(meta, args).into(),
                    _ => "".into(),
                };
                Some(Kind::Enter { name: meta.name, args, depth: depth(stack) })
            }
            Tracer::Function => {
                let parent = stack.last().map(|(name, _)| *name).or_else(|| roots.first().copied());
                Some(Kind::Call { name: meta.name, parent: parent.unwrap_or("ret_from_fork") })
            }
        };
        stack.push((meta.name, (tracer == Tracer::FunctionGraph).then_some(time)));
        if let Some(kind) = kind {
            self.push(record, time, kind);
        }
    }

    /// A return, which is `seen` where the graph tracer saw the call.
    pub fn exit(&mut self, record: &Record, time: u64, seen: bool) {
        let stack = self.stacks.entry(record.ctx).or_default();
        if let Some((name, Some(entered))) = stack.pop()
            && seen
        {
            let depth = depth(stack);
            self.push(record, time, Kind::Exit { name, entered, depth });
        }
    }

    /// A tracepoint; its stack is kept as far as `stack` knows the functions.
    pub fn event(&mut self, record: &Record, time: u64, tracepoint: Tracepoint, stack: Option<&Functions>) {
        let open = self.stacks.get(&record.ctx).map_or(&[][..], Vec::as_slice);
        let irqs_off = irqs_off(&tracepoint, open);
        let stack = stack.map(|functions| {
            let roots = self.roots(record.ctx).iter().copied();
            let names = open.iter().rev().map(|(name, _)| *name).chain(roots);
            names.filter(|name| functions.in_stacks(name)).collect()
        });
        self.push(record, time, Kind::Event { tracepoint, irqs_off, stack });
    }
}

/// How many calls of a stack the graph tracer saw.
fn depth(stack: &[OpenCall]) -> usize {
    stack.iter().filter(|(_, entered)| entered.is_some()).count()
}

/// A tracepoint fires with interrupts off in whatever context: under `vector_lock`, which all of
/// arch/x86/kernel/apic/vector.c and of the matrix are but for these, or below who holds the lock of
/// the descriptor.
fn irqs_off(tracepoint: &Tracepoint, open: &[OpenCall]) -> bool {
    match tracepoint {
        // reserve_managed_vector() has given the lock back.
        Tracepoint::VectorReserveManaged { .. } => false,
        // vector_configure_legacy() has the lock, x86_vector_alloc_irqs() does not.
        Tracepoint::VectorSetup { is_legacy, .. } => *is_legacy,
        // Before the lock is taken; MSI allocates and frees interrupts that nobody has requested.
        Tracepoint::VectorActivate { .. } | Tracepoint::VectorDeactivate { .. } => {
            let holders = ["irq_activate", "irq_startup", "irq_shutdown_and_deactivate", "__free_irq"];
            open.iter().any(|(name, _)| holders.contains(name))
        }
        _ => true,
    }
}

/// Name and process id of whom a context belongs to. The ids are made up, but for the idle task's:
/// nothing here forks. Every command is a process of its own, as commands at once have to be.
pub fn task(trace: &Trace, ctx: Option<CtxId>) -> (String, u32) {
    let Some((ctx, known)) = ctx.and_then(|ctx| Some((ctx, trace.ctxs.get(ctx.index())?))) else {
        return ("sh".to_owned(), FIRST_PID);
    };
    let pid = (FIRST_PID + 1).saturating_add(ctx.0);
    match &known.actor {
        Actor::Task => ("sh".to_owned(), pid),
        Actor::Kworker => ("kworker/u16:1".to_owned(), pid),
        Actor::Cpuhp(CpuId(cpu)) => (format!("cpuhp/{cpu}"), 13 + 5 * cpu),
        Actor::Migration(CpuId(cpu)) => (format!("migration/{cpu}"), 11 + 5 * cpu),
        Actor::IrqThread(name) => (name.clone(), pid),
        Actor::Boot => ("swapper/0".to_owned(), 1),
        // Interrupts and softirqs run on top of whatever the CPU does: here, mostly nothing.
        Actor::Idle(_) | Actor::Softirq(_) | Actor::Irq { .. } | Actor::Cleanup(_) => {
            ("<idle>".to_owned(), 0)
        }
    }
}

/// It is a hard interrupt.
pub(super) const fn is_hard(actor: &Actor) -> bool {
    matches!(actor, Actor::Irq { .. } | Actor::Cleanup(_))
}

/// It is a softirq.
pub(super) const fn is_soft(actor: &Actor) -> bool {
    matches!(actor, Actor::Softirq(_))
}

/// The columns for interrupts off, rescheduling, kind of context, preemption and, where the kernel
/// has it, migration (`trace_print_lat_fmt()`).
// DEVIATION: where a call of the function tracer is made in a task with interrupts off is not known, so
// that it shows them on; depths of preemption show as in a kernel without CONFIG_PREEMPT_COUNT.
fn flags(k: &Kernel, entry: &Entry<'_>) -> String {
    let actor = entry.ctx.and_then(|ctx| k.trace.ctxs.get(ctx.index())).map(|c| &c.actor);
    let (context, hard) = match actor {
        Some(actor) if is_hard(actor) => ('h', true),
        Some(actor) if is_soft(actor) => ('s', false),
        _ => ('.', false),
    };
    let off = hard || matches!(entry.kind, Kind::Event { irqs_off: true, .. });
    let off = if off { 'd' } else { '.' };
    let migration = if k.sem.trace_shows_migrate_disable { "." } else { "" };
    format!("{off}.{context}.{migration}")
}

/// The text of the buffer under a tracer.
pub fn print(k: &Kernel, tracer: Tracer, entries: &[Entry<'_>]) -> String {
    let mut out = format!("# tracer: {}\n#\n", tracer.name());
    if tracer == Tracer::FunctionGraph {
        out.push_str(TREE_HEAD);
    } else {
        head(&mut out, k, entries.len());
    }
    out.push_str(&print_body(k, tracer, entries));
    out
}

/// The same without the lines at its head.
pub fn print_body(k: &Kernel, tracer: Tracer, entries: &[Entry<'_>]) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = match tracer {
        Tracer::FunctionGraph => tree(&mut out, k, entries),
        Tracer::Nop | Tracer::Function => lines(&mut out, k, entries),
    };
    out
}

const TREE_HEAD: &str =
    "# CPU  DURATION                  FUNCTION CALLS\n# |     |   |                     |   |   |   |\n";

/// The lines above those of events (`print_func_help_header_irq()`).
fn head(out: &mut String, k: &Kernel, n: usize) {
    let wide = k.sem.trace_shows_migrate_disable;
    let cpus = k.topo.online.weight();
    // Writing to a String does not fail.
    let _ = writeln!(out, "# entries-in-buffer/entries-written: {n}/{n}   #P:{cpus}\n#");
    out.push_str(if wide {
        "#                                _-----=> irqs-off/BH-disabled\n\
         #                               / _----=> need-resched\n\
         #                              | / _---=> hardirq/softirq\n\
         #                              || / _--=> preempt-depth\n\
         #                              ||| / _-=> migrate-disable\n\
         #                              |||| /     delay\n\
         #           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n\
         #              | |         |   |||||     |         |\n"
    } else {
        "#                              _-----=> irqs-off\n\
         #                             / _----=> need-resched\n\
         #                            | / _---=> hardirq/softirq\n\
         #                            || / _--=> preempt-depth\n\
         #                            ||| /     delay\n\
         #           TASK-PID   CPU#  ||||    TIMESTAMP  FUNCTION\n\
         #              | |       |   ||||       |         |\n"
    });
}

fn lines(out: &mut String, k: &Kernel, entries: &[Entry<'_>]) -> core::fmt::Result {
    let wide = k.sem.trace_shows_migrate_disable;
    for entry in entries {
        let (name, pid) = task(&k.trace, entry.ctx);
        let width = if wide { 7 } else { 5 };
        // ns2usecs() rounds.
        let us = entry.time.saturating_add(500) / 1000;
        let prefix = format!(
            "{name:>16}-{pid:<width$} [{:03}] {} {:>5}.{:06}: ",
            entry.cpu.0,
            flags(k, entry),
            us / 1_000_000,
            us % 1_000_000
        );
        match &entry.kind {
            Kind::Call { name, parent } => writeln!(out, "{prefix}{name} <-{parent}")?,
            Kind::Marker(text) => writeln!(out, "{prefix}tracing_mark_write: {text}")?,
            Kind::Event { tracepoint, stack, .. } => {
                writeln!(out, "{prefix}{tracepoint}")?;
                if let Some(stack) = stack {
                    writeln!(out, "{prefix}<stack trace>")?;
                    for name in stack {
                        writeln!(out, " => {name}")?;
                    }
                }
            }
            Kind::Enter { name, .. } => writeln!(out, "{prefix}graph_ent: func={name}")?,
            Kind::Exit { entered, .. } => writeln!(out, "{prefix}graph_ret: time={}", entry.time - entered)?,
        }
    }
    Ok(())
}

/// A duration with its mark, as wide as [`NO_DURATION`] (`print_graph_duration()`).
fn duration(nanoseconds: u64) -> String {
    let mark = MARKS.iter().find(|(above, _)| nanoseconds > *above).map_or(' ', |(_, mark)| *mark);
    let mut text = (nanoseconds / 1000).to_string();
    if text.len() < 7 {
        let rest = format!("{:03}", nanoseconds % 1000);
        let room = (7 - text.len()).min(3);
        text.push('.');
        text.push_str(&rest[..room]);
    }
    let fill = 8usize.saturating_sub(text.len());
    format!("{mark} {text} us {:fill$}|  ", "")
}

/// A task in a line that tells who takes over, in the middle of its 14 columns (`print_graph_proc()`).
fn centred((name, pid): &(String, u32)) -> String {
    let name: String = name.chars().take(7).collect();
    format!("{:^14}", format!("{name}-{pid}"))
}

/// What the graph remembers of a CPU (`struct fgraph_cpu_data`).
#[derive(Default)]
struct Printed {
    /// Who ran last.
    owner: Option<(String, u32)>,
    /// Depth of the last line; a call's comments stand one deeper.
    depth: usize,
    /// Calls that were printed and not closed, by depth.
    entered: BTreeMap<usize, &'static str>,
}

fn tree(out: &mut String, k: &Kernel, entries: &[Entry<'_>]) -> core::fmt::Result {
    let width = k.topo.nr_cpu_ids.saturating_sub(1).to_string().len();
    // For each entry the next one on its CPU: a call with nothing between it and its return is one line.
    let mut next: Vec<Option<usize>> = vec![None; entries.len()];
    let mut last: BTreeMap<CpuId, usize> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate().rev() {
        next[i] = last.insert(entry.cpu, i);
    }
    let mut printed: BTreeMap<CpuId, Printed> = BTreeMap::new();
    let mut leaf_ends = vec![false; entries.len()];
    for (i, entry) in entries.iter().enumerate() {
        if leaf_ends[i] {
            continue;
        }
        let column = format!(" {:>width$}) ", entry.cpu.0);
        let cpu = printed.entry(entry.cpu).or_default();
        let who = task(&k.trace, entry.ctx);
        if let Some(before) = cpu.owner.replace(who.clone())
            && before.1 != who.1
        {
            writeln!(out, "{SWITCH}{column}{} => {}\n{SWITCH}", centred(&before), centred(&who))?;
        }
        match &entry.kind {
            Kind::Enter { name, args, depth } => {
                let arrows = IRQ_ENTRIES.contains(name);
                if arrows {
                    writeln!(out, "{column}  ==========> |")?;
                }
                let end = next[i].filter(|&j| {
                    entries[j].ctx == entry.ctx
                        && matches!(&entries[j].kind, Kind::Exit { depth: d, .. } if d == depth)
                });
                let indent = depth * 2;
                if let Some(end) = end {
                    leaf_ends[end] = true;
                    let took = duration(entries[end].time - entry.time);
                    writeln!(out, "{column}{took}{:indent$}{name}({args});", "")?;
                    cpu.depth = depth.saturating_sub(1);
                    cpu.entered.remove(depth);
                    if arrows {
                        writeln!(out, "{column}  <========== |")?;
                    }
                } else {
                    writeln!(out, "{column}{NO_DURATION}{:indent$}{name}({args}) {{", "")?;
                    cpu.depth = *depth;
                    cpu.entered.insert(*depth, *name);
                }
            }
            Kind::Exit { name, entered, depth } => {
                let indent = depth * 2;
                cpu.depth = depth.saturating_sub(1);
                // What another stack of this CPU printed in between leaves the reader without the name.
                let known = cpu.entered.remove(depth) == Some(*name);
                let comment = if known { String::new() } else { format!(" /* {name} */") };
                writeln!(out, "{column}{}{:indent$}}}{comment}", duration(entry.time - entered), "")?;
                if IRQ_ENTRIES.contains(name) {
                    writeln!(out, "{column}  <========== |")?;
                }
            }
            Kind::Event { tracepoint, .. } => comment(out, &column, cpu.depth, tracepoint)?,
            Kind::Marker(text) => comment(out, &column, cpu.depth, text)?,
            Kind::Call { name, parent } => {
                comment(out, &column, cpu.depth, format!("{name} <-{parent}"))?;
            }
        }
    }
    Ok(())
}

/// `print_graph_comment()`.
fn comment(out: &mut String, column: &str, depth: usize, text: impl core::fmt::Display) -> core::fmt::Result {
    let indent = if depth > 0 { (depth + 1) * 2 } else { 0 };
    writeln!(out, "{column}{NO_DURATION}{:indent$}/* {text} */", "")
}

/// What a tracer that was on during a slice, with all events, has in its buffer. The time is the
/// slice's, so that durations have something to show.
pub(super) fn recorded<'a>(slice: &Slice<'a>, tracer: Tracer, args: Option<&'a Kernel>) -> Vec<Entry<'a>> {
    let mut buffer = Buffer { args, ..Buffer::new(slice.trace) };
    for (time, record, shown) in slice.clocked() {
        match record.what {
            What::Enter { meta, .. } => {
                let seen = if shown { tracer } else { Tracer::Nop };
                buffer.enter(record, time, meta, seen);
            }
            What::Exit { .. } => buffer.exit(record, time, true),
            What::Tracepoint(tracepoint) => buffer.event(record, time, tracepoint, None),
            What::Warn(_) | What::Hardware(_) => {}
        }
    }
    buffer.entries
}

/// The text of the function_graph tracer with its default options and all events, of a part of what
/// `k` recorded.
pub fn graph(k: &Kernel, slice: &Slice<'_>) -> String {
    print(k, Tracer::FunctionGraph, &recorded(slice, Tracer::FunctionGraph, None))
}

/// The same with the arguments of the calls, as newer kernels have them with `funcgraph-args`.
pub fn graph_with_arguments<'a>(k: &'a Kernel, slice: &Slice<'a>) -> String {
    print(k, Tracer::FunctionGraph, &recorded(slice, Tracer::FunctionGraph, Some(k)))
}

/// The text of all events without a tracer, of a part of what `k` recorded.
pub fn events(k: &Kernel, slice: &Slice<'_>) -> String {
    print(k, Tracer::Nop, &recorded(slice, Tracer::Nop, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_width_of_the_kernels() {
        let check = |ns, expect: &str| assert_eq!(duration(ns), expect);
        check(0, "  0.000 us    |  ");
        check(123, "  0.123 us    |  ");
        check(12_345, "+ 12.345 us   |  ");
        check(1_234_567, "# 1234.567 us |  ");
        check(12_345_678, "* 12345.67 us |  ");
        check(123_456_789, "@ 123456.7 us |  ");
        check(1_234_567_890, "$ 1234567 us  |  ");
        check(12_345_678_901, "$ 12345678 us |  ");
    }
}
