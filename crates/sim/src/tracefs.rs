//! /sys/kernel/tracing: the files that set the tracer, and the text of its buffer
//! (kernel/trace/{trace,trace_events,trace_output,trace_functions_graph,ftrace}.c of 5.4 and 6.12).
//!
//! The buffer is not kept: everything that happened is recorded anyway, and marks in the record say
//! when which file was written. What `trace` shows is cut out of it when it is read.
//!
//! # What it doesn't implement
//! Instances, triggers, filters on fields, per-CPU buffers and their size: nothing is overwritten.
//! An interrupt shows as taken by the idle task, since whom it interrupts is nobody's result.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use kstate::trace::{Actor, Record, Trace, Tracepoint, What};
use kstate::tracing::{Mark, MarkWhat, Tracer, Tracing};
use kstate::{CpuId, CtxId, Errno, Kernel};

use crate::functions::Functions;

/// The tracepoints by system, both in the order of `ls`.
pub const EVENTS: [(&str, &[&str]); 3] = [
    ("irq", &["irq_handler_entry", "irq_handler_exit"]),
    (
        "irq_matrix",
        &[
            "irq_matrix_alloc",
            "irq_matrix_alloc_managed",
            "irq_matrix_alloc_reserved",
            "irq_matrix_assign",
            "irq_matrix_assign_system",
            "irq_matrix_free",
            "irq_matrix_offline",
            "irq_matrix_online",
            "irq_matrix_remove_managed",
            "irq_matrix_remove_reserved",
            "irq_matrix_reserve",
            "irq_matrix_reserve_managed",
        ],
    ),
    (
        "irq_vectors",
        &[
            "vector_activate",
            "vector_alloc",
            "vector_alloc_managed",
            "vector_clear",
            "vector_config",
            "vector_deactivate",
            "vector_free_moved",
            "vector_reserve",
            "vector_reserve_managed",
            "vector_setup",
            "vector_teardown",
            "vector_update",
        ],
    ),
];

const FILES: [&str; 9] = [
    "available_events",
    "available_filter_functions",
    "available_tracers",
    "current_tracer",
    "options/stacktrace",
    "set_ftrace_filter",
    "trace",
    "trace_marker",
    "tracing_on",
];

/// The tracepoints that an `enable` file stands for.
fn group(path: &[&str]) -> Option<Vec<&'static str>> {
    let all = || EVENTS.iter().flat_map(|(system, names)| names.iter().map(move |name| (*system, *name)));
    let found: Vec<&'static str> = match path {
        ["enable"] => all().map(|(_, name)| name).collect(),
        [system, "enable"] => all().filter(|(s, _)| s == system).map(|(_, name)| name).collect(),
        [system, event, "enable"] => {
            all().filter(|(s, name)| s == system && name == event).map(|(_, name)| name).collect()
        }
        _ => return None,
    };
    (!found.is_empty()).then_some(found)
}

/// Lists a directory.
///
/// # Errors
/// `ENOENT` for a path that does not exist, `ENOTDIR` for a file.
pub fn list(path: &[&str]) -> Result<Vec<String>, Errno> {
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    Ok(match path {
        [] => {
            let files = FILES.iter().filter(|f| !f.contains('/')).copied();
            owned(&files.chain(["events", "options"]).collect::<Vec<_>>())
        }
        ["options"] => owned(&["stacktrace"]),
        ["events"] => owned(&EVENTS.iter().map(|(s, _)| *s).chain(["enable"]).collect::<Vec<_>>()),
        ["events", rest @ ..] => match rest {
            [system] | [system, _] => {
                let (_, names) = EVENTS.iter().find(|(s, _)| s == system).ok_or(Errno::ENOENT)?;
                match rest {
                    [_, event] if names.contains(event) => owned(&["enable"]),
                    [_, "enable"] => return Err(Errno::ENOTDIR),
                    [_, _] => return Err(Errno::ENOENT),
                    _ => owned(&names.iter().copied().chain(["enable"]).collect::<Vec<_>>()),
                }
            }
            _ if group(rest).is_some() => return Err(Errno::ENOTDIR),
            _ => return Err(Errno::ENOENT),
        },
        _ if FILES.contains(&path.join("/").as_str()) => return Err(Errno::ENOTDIR),
        _ => return Err(Errno::ENOENT),
    })
}

fn flag(on: bool) -> String {
    format!("{}\n", u8::from(on))
}

/// Reads a file.
///
/// # Errors
/// `ENOENT` for a path that does not exist, `EISDIR` for a directory, `EINVAL` for a file that can
/// only be written.
pub fn read(k: &Kernel, path: &[&str]) -> Result<String, Errno> {
    let set = &k.tracing;
    Ok(match path {
        ["trace"] => text(k),
        ["tracing_on"] => flag(set.tracing_on),
        ["current_tracer"] => format!("{}\n", set.current_tracer.name()),
        ["available_tracers"] => format!("{}\n", Tracer::ALL.map(Tracer::name).join(" ")),
        ["available_events"] => {
            let names = EVENTS
                .iter()
                .flat_map(|(system, names)| names.iter().map(move |n| format!("{system}:{n}\n")));
            names.collect()
        }
        ["available_filter_functions"] => traceable(k).fold(String::new(), |text, name| text + name + "\n"),
        ["set_ftrace_filter"] if set.set_ftrace_filter.is_empty() => {
            "#### all functions enabled ####\n".to_owned()
        }
        ["set_ftrace_filter"] => {
            set.set_ftrace_filter.iter().fold(String::new(), |text, name| text + name + "\n")
        }
        ["options", "stacktrace"] => flag(set.stacktrace),
        ["trace_marker"] => return Err(Errno::EINVAL),
        ["events", rest @ ..] if group(rest).is_some() => {
            let names = group(rest).unwrap_or_default();
            let on = names.iter().filter(|name| set.events.contains(*name)).count();
            if on == 0 {
                "0\n".to_owned()
            } else if on == names.len() {
                "1\n".to_owned()
            } else {
                "X\n".to_owned()
            }
        }
        _ => {
            return Err(match list(path) {
                Ok(_) => Errno::EISDIR,
                Err(e) => e,
            });
        }
    })
}

fn traceable(k: &Kernel) -> impl Iterator<Item = &'static str> {
    Functions::of(k.sem.version).iter().filter(|f| f.traceable).map(|f| f.name)
}

/// What `kstrtoul()` makes of a text, as far as files that take a switch tell apart.
fn number(text: &str) -> Result<u64, Errno> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if !hex.starts_with(['+', '-']) => u64::from_str_radix(hex, 16),
        _ if digits.starts_with(['+', '-']) => return Err(Errno::EINVAL),
        _ => digits.parse(),
    };
    parsed.map_err(|e| match e.kind() {
        std::num::IntErrorKind::PosOverflow => Errno::ERANGE,
        _ => Errno::EINVAL,
    })
}

/// Writes to a file; without `append` it was emptied when it was opened.
///
/// # Errors
/// `ENOENT` for a path that does not exist, `EISDIR` for a directory, `EINVAL` for a text that is
/// not accepted and for a file that can only be read.
pub fn write(k: &mut Kernel, path: &[&str], value: &str, append: bool) -> Result<(), Errno> {
    let mut set = k.tracing.clone();
    match path {
        ["trace"] => {
            if !append {
                mark(k, MarkWhat::Clear);
            }
            return Ok(());
        }
        ["trace_marker"] => {
            if set.tracing_on {
                let (time, cpu) = (k.events.now, k.cur.cpu);
                mark(k, MarkWhat::Marker { text: value.trim_end_matches('\n').to_owned(), time, cpu });
            }
            return Ok(());
        }
        ["tracing_on"] => set.tracing_on = number(value)? != 0,
        ["current_tracer"] => {
            set.current_tracer = Tracer::from_name(value.trim()).ok_or(Errno::EINVAL)?;
            if set.current_tracer != k.tracing.current_tracer {
                mark(k, MarkWhat::Clear);
            }
        }
        ["options", "stacktrace"] => {
            set.stacktrace = match number(value)? {
                0 => false,
                1 => true,
                _ => return Err(Errno::EINVAL),
            };
        }
        ["set_ftrace_filter"] => {
            if !append {
                set.set_ftrace_filter.clear();
            }
            let before = set.clone();
            for word in value.split_whitespace() {
                if !filter(k, &mut set, word) {
                    // Opening the file emptied the filter, whatever is written then.
                    apply(k, before);
                    return Err(Errno::EINVAL);
                }
            }
        }
        ["events", rest @ ..] if group(rest).is_some() => {
            let on = match number(value)? {
                0 => false,
                1 => true,
                _ => return Err(Errno::EINVAL),
            };
            for name in group(rest).unwrap_or_default() {
                if on {
                    set.events.insert(name);
                } else {
                    set.events.remove(name);
                }
            }
        }
        _ => {
            return Err(match read(k, path) {
                Ok(_) => Errno::EINVAL,
                Err(e) => e,
            });
        }
    }
    apply(k, set);
    Ok(())
}

/// Adds the functions that a word of `set_ftrace_filter` names, or with `!` takes them away; false
/// when there are none.
fn filter(k: &Kernel, set: &mut Tracing, word: &str) -> bool {
    let (remove, pattern) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
    let matching: Vec<&str> = traceable(k).filter(|name| glob(pattern, name)).collect();
    for name in &matching {
        if remove {
            set.set_ftrace_filter.remove(*name);
        } else {
            set.set_ftrace_filter.insert((*name).to_owned());
        }
    }
    !matching.is_empty()
}

/// Whether a name matches a pattern with `*` and `?`.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last star does not match.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

fn mark(k: &mut Kernel, what: MarkWhat) {
    if k.trace.on {
        let at = k.trace.records.len();
        k.trace.marks.push(Mark { at, what });
    }
}

fn apply(k: &mut Kernel, set: Tracing) {
    if set != k.tracing {
        mark(k, MarkWhat::Set(set.clone()));
        k.tracing = set;
    }
}

/// One line of the buffer, or two.
enum Entry<'a> {
    Enter { ctx: CtxId, cpu: CpuId, time: u64, name: &'static str, depth: usize },
    Exit { ctx: CtxId, cpu: CpuId, time: u64, entered: u64, depth: usize },
    Call { ctx: CtxId, cpu: CpuId, time: u64, name: &'static str, parent: &'static str },
    Event { ctx: CtxId, cpu: CpuId, time: u64, tracepoint: Tracepoint, stack: Option<Vec<&'static str>> },
    Marker { text: &'a str, time: u64, cpu: CpuId },
}

impl Entry<'_> {
    fn place(&self) -> (Option<CtxId>, CpuId, u64) {
        match *self {
            Entry::Enter { ctx, cpu, time, .. }
            | Entry::Exit { ctx, cpu, time, .. }
            | Entry::Call { ctx, cpu, time, .. }
            | Entry::Event { ctx, cpu, time, .. } => (Some(ctx), cpu, time),
            Entry::Marker { time, cpu, .. } => (None, cpu, time),
        }
    }
}

/// A call that has not returned: its name, and when the graph tracer saw it entered.
type OpenCall = (&'static str, Option<u64>);

/// What is in the buffer.
fn buffer<'a>(trace: &'a Trace, functions: &Functions) -> Vec<Entry<'a>> {
    let start = trace.marks.iter().rev().find(|m| m.what == MarkWhat::Clear).map_or(0, |m| m.at);
    let mut set = Tracing::default();
    let mut stacks: BTreeMap<CtxId, Vec<OpenCall>> = BTreeMap::new();
    let mut entries = Vec::new();
    let mut marks = trace.marks.iter().peekable();
    // The first record that matters: nothing is kept before anybody asked for it.
    for at in 0..=trace.records.len() {
        while let Some(mark) = marks.next_if(|m| m.at <= at) {
            match &mark.what {
                MarkWhat::Set(to) => set = to.clone(),
                MarkWhat::Clear => entries.clear(),
                MarkWhat::Marker { text, time, cpu } => {
                    entries.push(Entry::Marker { text, time: *time, cpu: *cpu });
                }
            }
        }
        let Some(record) = trace.records.get(at) else { break };
        let kept = set.tracing_on && at >= start;
        let Record { ctx, cpu, time, what } = *record;
        match what {
            What::Enter { meta, .. } => {
                let stack = stacks.entry(ctx).or_default();
                let wanted = kept
                    && functions.get(meta.name).is_some_and(|f| f.traceable)
                    && (set.set_ftrace_filter.is_empty() || set.set_ftrace_filter.contains(meta.name));
                let graph = wanted && set.current_tracer == Tracer::FunctionGraph;
                if graph {
                    let depth = stack.iter().filter(|(_, entered)| entered.is_some()).count();
                    entries.push(Entry::Enter { ctx, cpu, time, name: meta.name, depth });
                } else if wanted && set.current_tracer == Tracer::Function {
                    let parent = stack.last().map(|(name, _)| *name);
                    let roots = trace.ctxs.get(ctx.index()).map_or(&[][..], |c| c.roots);
                    let parent = parent.or_else(|| roots.first().copied()).unwrap_or("ret_from_fork");
                    entries.push(Entry::Call { ctx, cpu, time, name: meta.name, parent });
                }
                stack.push((meta.name, graph.then_some(time)));
            }
            What::Exit { .. } => {
                let stack = stacks.entry(ctx).or_default();
                if let Some((_, Some(entered))) = stack.pop()
                    && kept
                    && set.current_tracer == Tracer::FunctionGraph
                {
                    let depth = stack.iter().filter(|(_, entered)| entered.is_some()).count();
                    entries.push(Entry::Exit { ctx, cpu, time, entered, depth });
                }
            }
            What::Tracepoint(tracepoint) if kept && set.events.contains(tracepoint.name()) => {
                let stack = set.stacktrace.then(|| {
                    let open = stacks.get(&ctx).map_or(&[][..], Vec::as_slice);
                    let roots = trace.ctxs.get(ctx.index()).map_or(&[][..], |c| c.roots);
                    let names = open.iter().rev().map(|(name, _)| *name).chain(roots.iter().copied());
                    names.filter(|name| functions.in_stacks(name)).collect()
                });
                entries.push(Entry::Event { ctx, cpu, time, tracepoint, stack });
            }
            What::Tracepoint(_) | What::Warn(_) => {}
        }
    }
    entries
}

/// Name and PID of who a context belongs to.
fn task(trace: &Trace, ctx: Option<CtxId>) -> (String, u32) {
    const FIRST_PID: u32 = 1000;
    let Some((ctx, known)) = ctx.and_then(|ctx| Some((ctx, trace.ctxs.get(ctx.index())?))) else {
        return ("sh".to_owned(), FIRST_PID);
    };
    let pid = FIRST_PID.saturating_add(ctx.0);
    match &known.actor {
        Actor::Task => ("sh".to_owned(), FIRST_PID),
        Actor::Kworker => ("kworker/u16:1".to_owned(), pid),
        Actor::Cpuhp(cpu) => (format!("cpuhp/{cpu}"), 13 + 5 * cpu.0),
        Actor::Migration(cpu) => (format!("migration/{cpu}"), 11 + 5 * cpu.0),
        Actor::IrqThread(irq) => (format!("irq/{irq}"), pid),
        Actor::Boot => ("swapper/0".to_owned(), 1),
        Actor::Idle(_) | Actor::Softirq(_) | Actor::Irq { .. } | Actor::Cleanup(_) => {
            ("<idle>".to_owned(), 0)
        }
    }
}

/// The columns for interrupts off, rescheduling, kind of context and preemption.
fn flags(trace: &Trace, ctx: Option<CtxId>, wide: bool) -> &'static str {
    match (ctx.and_then(|ctx| trace.ctxs.get(ctx.index())).map(|c| &c.actor), wide) {
        (Some(Actor::Irq { .. } | Actor::Cleanup(_)), false) => "d.h.",
        (Some(Actor::Irq { .. } | Actor::Cleanup(_)), true) => "d.h..",
        (Some(Actor::Softirq(_)), false) => "..s.",
        (Some(Actor::Softirq(_)), true) => "..s..",
        (_, false) => "....",
        (_, true) => ".....",
    }
}

/// The text of `trace`.
pub fn text(k: &Kernel) -> String {
    let functions = Functions::of(k.sem.version);
    let entries = buffer(&k.trace, functions);
    let mut out = format!("# tracer: {}\n#\n", k.tracing.current_tracer.name());
    // Writing to a String does not fail.
    let _ = match k.tracing.current_tracer {
        Tracer::FunctionGraph => graph(&mut out, k, &entries),
        Tracer::Nop | Tracer::Function => lines(&mut out, k, &entries),
    };
    out
}

fn lines(out: &mut String, k: &Kernel, entries: &[Entry<'_>]) -> core::fmt::Result {
    let wide = k.sem.trace_shows_migrate_disable;
    let (n, cpus) = (entries.len(), k.topo.online.weight());
    writeln!(out, "# entries-in-buffer/entries-written: {n}/{n}   #P:{cpus}\n#")?;
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
    for entry in entries {
        let (ctx, cpu, time) = entry.place();
        let (name, pid) = task(&k.trace, ctx);
        let flags = flags(&k.trace, ctx, wide);
        let width = if wide { 7 } else { 5 };
        let us = time / 1000;
        let prefix = format!(
            "{name:>16}-{pid:<width$} [{:03}] {flags} {:>5}.{:06}: ",
            cpu.0,
            us / 1_000_000,
            us % 1_000_000
        );
        match entry {
            Entry::Call { name, parent, .. } => writeln!(out, "{prefix}{name} <-{parent}")?,
            Entry::Marker { text, .. } => writeln!(out, "{prefix}tracing_mark_write: {text}")?,
            Entry::Event { tracepoint, stack, .. } => {
                writeln!(out, "{prefix}{tracepoint}")?;
                if let Some(stack) = stack {
                    writeln!(out, "{prefix}<stack trace>")?;
                    for name in stack {
                        writeln!(out, " => {name}")?;
                    }
                }
            }
            Entry::Enter { name, .. } => writeln!(out, "{prefix}graph_ent: func={name}")?,
            Entry::Exit { entered, .. } => writeln!(out, "{prefix}graph_ret: time={}", time - entered)?,
        }
    }
    Ok(())
}

/// The DURATION column: how long in microseconds, and a sign for what took longer than others.
fn duration(ns: u64) -> String {
    let sign = match ns {
        1_000_000_001.. => '$',
        100_000_001.. => '@',
        10_000_001.. => '*',
        1_000_001.. => '#',
        100_001.. => '!',
        10_001.. => '+',
        _ => ' ',
    };
    let mut text = format!("{sign} {}", ns / 1000);
    let digits = text.len() - 2;
    if digits < 7 {
        let rest = format!("{:03}", ns % 1000);
        let _ = write!(text, ".{}", &rest[..3.min(7 - digits)]);
    }
    text.push_str(" us ");
    format!("{text:<14}|  ")
}

fn graph(out: &mut String, k: &Kernel, entries: &[Entry<'_>]) -> core::fmt::Result {
    const EMPTY: &str = "              |  ";
    out.push_str(
        "# CPU  DURATION                  FUNCTION CALLS\n\
         # |     |   |                     |   |   |   |\n",
    );
    let width = k.topo.nr_cpu_ids.saturating_sub(1).to_string().len();
    // For each entry the next one on its CPU: a call with nothing between it and its return is one line.
    let mut next: Vec<Option<usize>> = vec![None; entries.len()];
    let mut last: BTreeMap<CpuId, usize> = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate().rev() {
        next[i] = last.insert(entry.place().1, i);
    }
    let mut owner: BTreeMap<CpuId, (String, u32)> = BTreeMap::new();
    let mut depths: BTreeMap<CpuId, usize> = BTreeMap::new();
    let mut leaf_ends = vec![false; entries.len()];
    for (i, entry) in entries.iter().enumerate() {
        if leaf_ends[i] {
            continue;
        }
        let (ctx, cpu, _) = entry.place();
        let who = task(&k.trace, ctx);
        if let Some(before) = owner.insert(cpu, who.clone())
            && before.1 != who.1
        {
            let line = " ------------------------------------------\n";
            writeln!(out, "{line} {:>width$}) {} => {}\n{line}", cpu.0, centred(&before), centred(&who))?;
        }
        write!(out, " {:>width$}) ", cpu.0)?;
        match entry {
            Entry::Enter { ctx, name, time, depth, .. } => {
                let end = next[i].filter(|j| {
                    matches!(&entries[*j], Entry::Exit { ctx: c, depth: d, .. } if c == ctx && d == depth)
                });
                let indent = depth * 2;
                if let Some(end) = end {
                    leaf_ends[end] = true;
                    let took = entries[end].place().2 - time;
                    writeln!(out, "{}{:indent$}{name}();", duration(took), "")?;
                    depths.insert(cpu, depth.saturating_sub(1));
                } else {
                    writeln!(out, "{EMPTY}{:indent$}{name}() {{", "")?;
                    depths.insert(cpu, *depth);
                }
            }
            Entry::Exit { entered, time, depth, .. } => {
                let indent = depth * 2;
                writeln!(out, "{}{:indent$}}}", duration(time - entered), "")?;
                depths.insert(cpu, depth.saturating_sub(1));
            }
            Entry::Event { tracepoint, .. } => comment(out, &depths, cpu, tracepoint)?,
            Entry::Marker { text, .. } => comment(out, &depths, cpu, text)?,
            Entry::Call { name, parent, .. } => comment(out, &depths, cpu, format!("{name} <-{parent}"))?,
        }
    }
    Ok(())
}

fn comment(
    out: &mut String,
    depths: &BTreeMap<CpuId, usize>,
    cpu: CpuId,
    text: impl core::fmt::Display,
) -> core::fmt::Result {
    let depth = depths.get(&cpu).copied().unwrap_or(0);
    let indent = if depth > 0 { (depth + 1) * 2 } else { 0 };
    writeln!(out, "              |  {:indent$}/* {text} */", "")
}

/// A task in a line that tells who takes over, in the middle of its 14 columns.
fn centred((name, pid): &(String, u32)) -> String {
    let name: String = name.chars().take(7).collect();
    format!("{:^14}", format!("{name}-{pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fill_their_column() {
        let check = |ns, expect: &str| assert_eq!(duration(ns), expect, "{ns}");
        check(0, "  0.000 us    |  ");
        check(1_234, "  1.234 us    |  ");
        check(12_345, "+ 12.345 us   |  ");
        check(1_234_567, "# 1234.567 us |  ");
        check(12_345_678, "* 12345.67 us |  ");
        check(1_234_567_890, "$ 1234567 us  |  ");
    }

    #[test]
    fn patterns_match_as_ftrace_does() {
        let check = |pattern, name, expect| assert_eq!(glob(pattern, name), expect, "{pattern} {name}");
        check("irq_startup", "irq_startup", true);
        check("irq_*", "irq_startup", true);
        check("*startup", "irq_startup", true);
        check("*_st*", "irq_startup", true);
        check("irq", "irq_startup", false);
        check("*startupx", "irq_startup", false);
        check("irq_startu?", "irq_startup", true);
        check("", "irq_startup", false);
    }

    #[test]
    fn numbers_are_read_as_the_kernel_reads_them() {
        let check = |text, expect| assert_eq!(number(text), expect, "{text}");
        check("1\n", Ok(1));
        check("0x10", Ok(16));
        check("", Err(Errno::EINVAL));
        check("x", Err(Errno::EINVAL));
        check("-1", Err(Errno::EINVAL));
        check("99999999999999999999", Err(Errno::ERANGE));
    }
}
