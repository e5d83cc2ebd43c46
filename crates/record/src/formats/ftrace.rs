//! What `/sys/kernel/tracing/trace` shows (kernel/trace/trace_functions_graph.c, trace_output.c).
//!
//! A `Buffer` holds entries as the tracers write them, and [`print()`] is the text of all of them.
//! The buffer of the machine's own tracer is filled by `sim::tracefs`; [`graph`] and [`events`]
//! fill one with a part of the record.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::fmt::Write as _;

use kstate::semantics::Semantics;
use kstate::trace::{Actor, FnMeta, Record, Trace, Tracepoint, What};
use kstate::tracing::{Entry, EntryKind as Kind, OpenCall, Ring, Tracer};
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

/// A buffer that is being filled.
#[derive(Debug)]
pub struct Buffer<'a> {
    trace: &'a Trace,
    /// Who knows what arguments are, where they are asked for.
    args: Option<&'a Kernel>,
    /// The calls that are open, by context, outermost first.
    pub stacks: BTreeMap<CtxId, Vec<OpenCall>>,
    /// What was written so far.
    pub entries: Vec<Entry>,
}

impl<'a> Buffer<'a> {
    /// An empty buffer for the contexts of a record.
    pub fn new(trace: &'a Trace) -> Self {
        Self { trace, args: None, stacks: BTreeMap::new(), entries: Vec::new() }
    }

    /// How many calls of a context's stack the graph tracer saw.
    pub fn depth(&self, ctx: CtxId) -> u32 {
        self.stacks.get(&ctx).map_or(0, |stack| depth(stack))
    }

    fn push(&mut self, record: &Record, time: u64, kind: Kind) {
        self.entries.push(Entry { ctx: Some(record.ctx), cpu: record.cpu, time, kind });
    }

    fn roots(&self, ctx: CtxId) -> &'static [&'static str] {
        self.trace.ctxs.get(ctx).map_or(&[], |c| c.roots)
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
                let parent = stack.last().map(|call| call.name).or_else(|| roots.first().copied());
                Some(Kind::Call { name: meta.name, parent: parent.unwrap_or("ret_from_fork") })
            }
        };
        let entered = (tracer == Tracer::FunctionGraph).then_some(time);
        stack.push(OpenCall { name: meta.name, entered });
        if let Some(kind) = kind {
            self.push(record, time, kind);
        }
    }

    /// A return, which is `seen` where the graph tracer saw the call.
    pub fn exit(&mut self, record: &Record, time: u64, seen: bool) {
        let btree_map::Entry::Occupied(mut stack) = self.stacks.entry(record.ctx) else { return };
        let call = stack.get_mut().pop();
        let depth = depth(stack.get());
        // Most stacks are those of interrupts, which nobody asks for any more.
        if stack.get().is_empty() {
            stack.remove();
        }
        if let Some(OpenCall { name, entered: Some(entered) }) = call
            && seen
        {
            self.push(record, time, Kind::Exit { name, entered, depth });
        }
    }

    /// A tracepoint; its stack is kept as far as `stack` knows the functions.
    pub fn event(&mut self, record: &Record, time: u64, tracepoint: Tracepoint, stack: Option<&Functions>) {
        let open = self.stacks.get(&record.ctx).map_or(&[][..], Vec::as_slice);
        let irqs_off = irqs_off(&tracepoint, open);
        let stack = stack.map(|functions| {
            let roots = self.roots(record.ctx).iter().copied();
            let names = open.iter().rev().map(|call| call.name).chain(roots);
            names.filter(|name| functions.in_stacks(name)).collect()
        });
        self.push(record, time, Kind::Event { tracepoint, irqs_off, stack });
    }
}

/// How many calls of a stack the graph tracer saw.
fn depth(stack: &[OpenCall]) -> u32 {
    stack.iter().filter(|call| call.entered.is_some()).count() as u32
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
            open.iter().any(|call| holders.contains(&call.name))
        }
        _ => true,
    }
}

/// Name and process id of whom a context belongs to. The ids are made up, but for the idle task's:
/// nothing here forks. Every command is a process of its own, as commands at once have to be.
pub fn task(trace: &Trace, ctx: Option<CtxId>) -> (String, u32) {
    let Some((ctx, known)) = ctx.and_then(|ctx| Some((ctx, trace.ctxs.get(ctx)?))) else {
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
fn flags(k: &Kernel, entry: &Entry) -> String {
    let actor = entry.ctx.and_then(|ctx| k.trace.ctxs.get(ctx)).map(|c| &c.actor);
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

/// The bytes of a page that an entry takes: its data behind the head of an event, in words of four bytes
/// (`rb_calculate_event_length()`).
// DEVIATION: a stack stands in the page of its event, and the 8 bytes that tell of more than 134 ms without an entry are
// not counted.
pub fn bytes(sem: &Semantics, kind: &Kind) -> u64 {
    /// The head of an event, and the largest data whose length fits into it.
    const HEAD: u64 = 4;
    const SMALL: u64 = 112;
    /// What all entries begin with (`struct trace_entry`).
    const COMMON: u64 = 8;
    let event = |data: u64| (data + if data > SMALL { HEAD } else { 0 } + HEAD).next_multiple_of(4);
    match kind {
        Kind::Enter { .. } => event(COMMON + u64::from(sem.graph_entry_bytes)),
        Kind::Exit { .. } => event(COMMON + u64::from(sem.graph_return_bytes)),
        Kind::Call { .. } => event(COMMON + 16),
        // An address, the text, and room for a newline and the end.
        Kind::Marker(text) => event(COMMON + 8 + (text.len() as u64 + 1).max(9) + 2),
        Kind::Event { tracepoint, stack, .. } => {
            let stack = stack.as_ref().map_or(0, |names| event(COMMON + 8 + 8 * names.len() as u64));
            event(super::tracecmd::event_bytes(tracepoint)) + stack
        }
    }
}

/// What is in a buffer, and what was.
#[derive(Debug, Default)]
pub struct Contents<'a> {
    /// What is in it, in the order in which it was written.
    pub entries: Vec<&'a Entry>,
    /// How many entries were written over.
    pub overruns: u64,
}

impl<'a> Contents<'a> {
    /// All of a ring.
    pub fn of(ring: &'a Ring) -> Self {
        Self { entries: ring.entries(), overruns: ring.overruns() }
    }
}

/// The text of the buffer under a tracer.
pub fn print(k: &Kernel, tracer: Tracer, contents: &Contents<'_>) -> String {
    let mut out = format!("# tracer: {}\n#\n", tracer.name());
    if tracer == Tracer::FunctionGraph {
        out.push_str(TREE_HEAD);
    } else {
        head(&mut out, k, contents);
    }
    // Writing to a String does not fail.
    let _ = match tracer {
        Tracer::FunctionGraph => tree(&mut out, k, &contents.entries, &|_| 0),
        Tracer::Nop | Tracer::Function => {
            let annotate = contents.overruns > 0;
            lines(&mut out, k, &contents.entries, annotate, &|_| 0)
        }
    };
    out
}

/// What a reader of `trace_pipe` gets: no head, and what was lost on a CPU before the first entry of it.
pub fn print_pipe(k: &Kernel, tracer: Tracer, ring: &Ring) -> String {
    let mut out = String::new();
    let lost = |cpu| ring.lost(cpu);
    // Writing to a String does not fail.
    let _ = match tracer {
        Tracer::FunctionGraph => tree(&mut out, k, &ring.entries(), &lost),
        Tracer::Nop | Tracer::Function => lines(&mut out, k, &ring.entries(), false, &lost),
    };
    out
}

/// How many entries of a CPU were written over before the reader came, told once.
type Lost<'a> = &'a dyn Fn(CpuId) -> u64;

/// Says what was lost in front of the first entry of a CPU (`print_trace_line()`).
fn tell_lost(out: &mut String, told: &mut BTreeSet<CpuId>, cpu: CpuId, lost: Lost<'_>) -> core::fmt::Result {
    if told.insert(cpu) && lost(cpu) > 0 {
        writeln!(out, "CPU:{cpu} [LOST {} EVENTS]", lost(cpu))?;
    }
    Ok(())
}

const TREE_HEAD: &str =
    "# CPU  DURATION                  FUNCTION CALLS\n# |     |   |                     |   |   |   |\n";

/// The lines above those of events (`print_func_help_header_irq()`).
fn head(out: &mut String, k: &Kernel, contents: &Contents<'_>) {
    let wide = k.sem.trace_shows_migrate_disable;
    let cpus = k.topo.online.weight();
    let n: u64 = contents.entries.iter().map(|entry| entry.kind.count()).sum();
    let written = n + contents.overruns;
    // Writing to a String does not fail.
    let _ = writeln!(out, "# entries-in-buffer/entries-written: {n}/{written}   #P:{cpus}\n#");
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

/// `annotate` is for buffers that have written over entries: a CPU whose entries begin later than the first one says so
/// (`test_cpu_buff_start()`).
fn lines(
    out: &mut String,
    k: &Kernel,
    entries: &[&Entry],
    annotate: bool,
    lost: Lost<'_>,
) -> core::fmt::Result {
    let wide = k.sem.trace_shows_migrate_disable;
    let (mut started, mut told) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        tell_lost(out, &mut told, entry.cpu, lost)?;
        if annotate && started.insert(entry.cpu) && started.len() > 1 {
            writeln!(out, "##### CPU {} buffer started ####", entry.cpu)?;
        }
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
                    for name in stack.iter() {
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
    depth: u32,
    /// Calls that were printed and not closed, by depth.
    entered: BTreeMap<u32, &'static str>,
}

fn tree(out: &mut String, k: &Kernel, entries: &[&Entry], lost: Lost<'_>) -> core::fmt::Result {
    let mut told = BTreeSet::new();
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
        tell_lost(out, &mut told, entry.cpu, lost)?;
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
                let indent = *depth as usize * 2;
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
                let indent = *depth as usize * 2;
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
fn comment(out: &mut String, column: &str, depth: u32, text: impl core::fmt::Display) -> core::fmt::Result {
    let indent = if depth > 0 { (depth as usize + 1) * 2 } else { 0 };
    writeln!(out, "{column}{NO_DURATION}{:indent$}/* {text} */", "")
}

/// What a tracer that was on during a slice, with all events, has in its buffer. The time is the
/// slice's, so that durations have something to show.
pub(super) fn recorded<'a>(slice: &Slice<'a>, tracer: Tracer, args: Option<&'a Kernel>) -> Vec<Entry> {
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

fn print_all(k: &Kernel, tracer: Tracer, entries: &[Entry]) -> String {
    print(k, tracer, &Contents { entries: entries.iter().collect(), overruns: 0 })
}

/// The text of the function_graph tracer with its default options and all events, of a part of what
/// `k` recorded.
pub fn graph(k: &Kernel, slice: &Slice<'_>) -> String {
    print_all(k, Tracer::FunctionGraph, &recorded(slice, Tracer::FunctionGraph, None))
}

/// The same with the arguments of the calls, as newer kernels have them with `funcgraph-args`.
pub fn graph_with_arguments<'a>(k: &'a Kernel, slice: &Slice<'a>) -> String {
    print_all(k, Tracer::FunctionGraph, &recorded(slice, Tracer::FunctionGraph, Some(k)))
}

/// The text of all events without a tracer, of a part of what `k` recorded.
pub fn events(k: &Kernel, slice: &Slice<'_>) -> String {
    print_all(k, Tracer::Nop, &recorded(slice, Tracer::Nop, None))
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
