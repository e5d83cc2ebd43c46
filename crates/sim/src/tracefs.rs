//! /sys/kernel/tracing: the files that control the tracer, and the text of its buffer
//! (kernel/trace/{trace,trace_events,trace_output,trace_functions_graph,ftrace}.c of 5.4 and 6.12).
//!
//! The tracer writes nothing while the machine runs. The machine records everything anyway, and marks in the record note
//! each write to a file of the tracer. A read of `trace` does on the record what the tracer would have done, and so fills
//! the buffer: a ring for each CPU, of as many pages as the kernel's, in which new entries take the place of old ones.
//! Where old records are forgotten, [`keep`] does it on them before that and keeps the buffer.
//!
//! # What it doesn't implement
//! Instances, triggers, histograms, and the files of a single CPU's buffer. An interrupt shows as
//! taken by the idle task, because no capture compares which task it interrupts.

use std::collections::BTreeMap;
use std::sync::Arc;

use kstate::kstrtox::kstrtoull;
use kstate::trace::{Record, What};
use kstate::tracing::{Entry, EntryKind, EventFilter, Kept, Mark, MarkWhat, TRACE_BUF_SIZE, Tracer, Tracing};
use kstate::{Errno, Kernel};

use record::formats::ftrace::{self, Buffer, Contents};
use record::formats::tracecmd;
use record::functions::{Finder, Functions};

mod filter;
mod format;

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

const FILES: [&str; 14] = [
    "available_events",
    "available_filter_functions",
    "available_tracers",
    "buffer_size_kb",
    "buffer_total_size_kb",
    "current_tracer",
    "max_graph_depth",
    "options/stacktrace",
    "set_ftrace_filter",
    "set_graph_function",
    "trace",
    "trace_marker",
    "trace_pipe",
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
                    [_, event] if names.contains(event) => owned(&OF_EVENT),
                    [_, "enable" | "filter"] => return Err(Errno::ENOTDIR),
                    [_, _] => return Err(Errno::ENOENT),
                    _ => owned(&names.iter().copied().chain(["enable", "filter"]).collect::<Vec<_>>()),
                }
            }
            [system, event, file] if OF_EVENT.contains(file) && named(system, event).is_some() => {
                return Err(Errno::ENOTDIR);
            }
            _ if group(rest).is_some() => return Err(Errno::ENOTDIR),
            _ => return Err(Errno::ENOENT),
        },
        _ if FILES.contains(&path.join("/").as_str()) => return Err(Errno::ENOTDIR),
        _ => return Err(Errno::ENOENT),
    })
}

/// The files of an event.
const OF_EVENT: [&str; 4] = ["enable", "filter", "format", "id"];

/// What the filter of a system shows: it has none of its own.
const DEFAULT_SYS_FILTER_MESSAGE: &str = "### global filter ###\n\
    # Use this to set filters for multiple events.\n\
    # Only events with the given fields will be affected.\n\
    # If no events are modified, an error message will be displayed here\n";

/// The event of a system.
fn named(system: &str, event: &str) -> Option<&'static str> {
    let (_, names) = EVENTS.iter().find(|(s, _)| *s == system)?;
    names.iter().copied().find(|name| *name == event)
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
        ["set_ftrace_filter" | "set_graph_function"] => {
            let names =
                if path == ["set_ftrace_filter"] { &set.set_ftrace_filter } else { &set.set_graph_function };
            match names.is_empty() {
                true => "#### all functions enabled ####\n".to_owned(),
                false => names.iter().fold(String::new(), |text, name| text + name + "\n"),
            }
        }
        // Of the number that was written, which is a long, an int is kept and shown.
        ["max_graph_depth"] => format!("{}\n", set.max_graph_depth as i32),
        ["trace_pipe"] => ftrace::print_pipe(k, set.current_tracer, &tape(k).kept.ring),
        ["buffer_size_kb"] => size_text(set, 1),
        ["buffer_total_size_kb"] => size_text(set, u64::from(k.topo.possible.weight())),
        ["events", system, "filter"] if EVENTS.iter().any(|(s, _)| s == system) => {
            DEFAULT_SYS_FILTER_MESSAGE.to_owned()
        }
        ["events", system, event, file @ ("filter" | "format" | "id")] => {
            let event = named(system, event).ok_or(Errno::ENOENT)?;
            match *file {
                "format" => tracecmd::event_text(k, event).ok_or(Errno::ENOENT)?,
                "id" => format!("{}\n", tracecmd::event_id(event).ok_or(Errno::ENOENT)?),
                _ => set.filters.get(event).map_or("none\n".to_owned(), |f| format!("{}\n", f.text)),
            }
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

/// `kstrtoul_from_user()`: these files take decimal numbers.
fn number(text: &str) -> Result<u64, Errno> {
    kstrtoull(text.as_bytes(), 10)
}

/// Writes to a file; without `append` it was emptied when it was opened.
///
/// # Errors
/// `ENOENT` for a path that does not exist, `EISDIR` for a directory, `EINVAL` for a text that is
/// not accepted and for a file that can only be read.
pub fn write(k: &mut Kernel, path: &[&str], value: &str, append: bool) -> Result<(), Errno> {
    let mut set = Tracing::clone(&k.tracing);
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
        ["buffer_size_kb"] => {
            set.buffer_size = resized(k, number(value)?)?;
            set.expanded = true;
        }
        ["current_tracer"] => {
            // Even for a name that is none (tracing_set_tracer()).
            set.expand();
            apply(k, set.clone());
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
        ["max_graph_depth"] => set.max_graph_depth = u64::from(number(value)? as u32),
        ["events", system, "filter"] if EVENTS.iter().any(|(s, _)| s == system) => {
            let text = stripped(value)?;
            // A filter that an event does not take is none for it, and an error for nobody.
            for event in group(&[system, "enable"]).unwrap_or_default() {
                let _ = set_filter(&mut set, event, text, true);
            }
        }
        ["events", system, event, "filter"] => {
            let event = named(system, event).ok_or(Errno::ENOENT)?;
            let done = set_filter(&mut set, event, stripped(value)?, false);
            apply(k, set);
            return done;
        }
        ["set_ftrace_filter" | "set_graph_function"] => {
            let graph = path == ["set_graph_function"];
            if !append {
                let names = if graph { &mut set.set_graph_function } else { &mut set.set_ftrace_filter };
                names.clear();
            }
            let before = set.clone();
            for word in value.split_whitespace() {
                let names = if graph { &mut set.set_graph_function } else { &mut set.set_ftrace_filter };
                if !pick(k, names, word) {
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
            set.expand();
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

/// What was written to a filter, without the blanks around it (`strstrip()`; only those behind it go for good).
fn stripped(value: &str) -> Result<&str, Errno> {
    const PAGE_SIZE: usize = 4096;
    if value.len() >= PAGE_SIZE {
        return Err(Errno::EINVAL);
    }
    Ok(value.split('\0').next().unwrap_or("").trim_end())
}

/// `apply_event_filter()`, or for an event of a system what `process_system_preds()` does.
fn set_filter(set: &mut Tracing, event: &'static str, text: &str, of_system: bool) -> Result<(), Errno> {
    if text.trim_start() == "0" {
        set.filters.remove(event);
        return Ok(());
    }
    let (shown, result) = match filter::parse(event, text) {
        Ok(_) => (text.to_owned(), Ok(())),
        Err(mistake) => {
            let mistake = if of_system { mistake.of_system() } else { mistake };
            (filter::with_mistake(text, &mistake), Err(mistake.errno))
        }
    };
    set.filters.insert(event, EventFilter { text: shown, active: result.is_ok() });
    result
}

/// Adds the functions that a word names, or with `!` takes them away; false when there are none.
fn pick(k: &Kernel, names: &mut std::collections::BTreeSet<String>, word: &str) -> bool {
    let (remove, pattern) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
    let matching: Vec<&str> = traceable(k).filter(|name| glob(pattern, name)).collect();
    for name in &matching {
        if remove {
            names.remove(*name);
        } else {
            names.insert((*name).to_owned());
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
    if set != *k.tracing {
        mark(k, MarkWhat::Set(set.clone()));
        *k.tracing = set;
    }
}

/// What a file with a size shows (`tracing_entries_read()`); `cpus` buffers together.
fn size_text(set: &Tracing, cpus: u64) -> String {
    let size = (set.buffer_size >> 10) * cpus;
    match set.expanded {
        true => format!("{size}\n"),
        false => format!("{size} (expanded: {})\n", (TRACE_BUF_SIZE >> 10) * cpus),
    }
}

/// The size in bytes that so many KiB are (`tracing_entries_write()`).
// DEVIATION: a machine has as much memory for all buffers as the default size takes, and no less than 1 GiB.
fn resized(k: &Kernel, kb: u64) -> Result<u64, Errno> {
    const ROOM: u64 = 1 << 30;
    if kb == 0 {
        return Err(Errno::EINVAL);
    }
    let cpus = u64::from(k.topo.possible.weight());
    let size = kb.checked_mul(1024).ok_or(Errno::ENOMEM)?;
    let all = size.checked_mul(cpus).ok_or(Errno::ENOMEM)?;
    if all > ROOM.max(TRACE_BUF_SIZE * cpus) { Err(Errno::ENOMEM) } else { Ok(size) }
}

/// The filters of events that are set, as they are applied.
fn filters_of(set: &Tracing) -> BTreeMap<&'static str, filter::Filter> {
    let active = set.filters.iter().filter(|(_, filter)| filter.active);
    active.filter_map(|(event, f)| Some((*event, filter::parse(event, &f.text).ok()?))).collect()
}

/// What the tracer does with a record.
struct Tape<'a> {
    k: &'a Kernel,
    functions: &'static Functions,
    finder: Finder<'static>,
    kept: Kept,
    filters: BTreeMap<&'static str, filter::Filter>,
    buffer: Buffer<'a>,
}

impl<'a> Tape<'a> {
    /// As it was when records were forgotten, or when the machine booted.
    fn new(k: &'a Kernel) -> Self {
        let mut kept = k.trace.kept.as_deref().cloned().unwrap_or_default();
        let filters = filters_of(&kept.set);
        let mut buffer = Buffer::new(&k.trace);
        buffer.stacks = core::mem::take(&mut kept.stacks);
        let functions = Functions::of(k.sem.version);
        let finder = Finder::new(functions, Functions::get);
        Self { k, functions, finder, kept, filters, buffer }
    }

    /// Does so much of the record, and so many marks in it.
    fn play(&mut self, records: usize, marks: usize) {
        let trace = &self.k.trace;
        let marks = &trace.marks[..marks.min(trace.marks.len())];
        let cleared = marks.iter().rposition(|mark| mark.what == MarkWhat::Clear);
        let mut ahead = marks.iter().enumerate().peekable();
        for at in trace.kept_until..=records {
            while let Some((n, mark)) = ahead.next_if(|(_, mark)| mark.at <= at || at == records) {
                self.mark(mark);
                // What is emptied later need not be written; whether it was written over is told by nobody then.
                if cleared.is_some_and(|cleared| n < cleared) {
                    self.kept.ring.clear();
                }
            }
            let Some(record) = trace.records.get(at).filter(|_| at < records) else { break };
            self.record(record);
            let written = cleared.is_none_or(|cleared| ahead.peek().is_none_or(|(n, _)| *n > cleared));
            for entry in self.buffer.entries.drain(..).filter(|_| written) {
                let bytes = ftrace::bytes(&self.k.sem, &entry.kind);
                self.kept.ring.write(entry, bytes, self.kept.set.buffer_size);
            }
        }
    }

    fn mark(&mut self, mark: &Mark) {
        match &mark.what {
            MarkWhat::Set(to) => {
                if to.buffer_size != self.kept.set.buffer_size {
                    self.kept.ring.resize(to.buffer_size);
                }
                self.kept.set = to.clone();
                self.filters = filters_of(to);
            }
            MarkWhat::Clear => self.kept.ring.clear(),
            MarkWhat::Consume => self.kept.ring.consume(),
            MarkWhat::Marker { text, time, cpu } => {
                let kind = EntryKind::Marker(text.as_str().into());
                let bytes = ftrace::bytes(&self.k.sem, &kind);
                let entry = Entry { ctx: None, cpu: *cpu, time: *time, kind };
                self.kept.ring.write(entry, bytes, self.kept.set.buffer_size);
            }
        }
    }

    fn record(&mut self, record: &Record) {
        let Self { k, functions, finder, kept: Kept { set, .. }, filters, buffer } = self;
        match record.what {
            What::Enter { meta, .. } => {
                let wanted = set.tracing_on
                    && set.current_tracer != Tracer::Nop
                    && finder.get(meta).is_some_and(|f| f.traceable)
                    && (set.set_ftrace_filter.is_empty() || set.set_ftrace_filter.contains(meta.name));
                // trace_graph_entry(): what is called below a function that is traced is traced, too.
                let depth = buffer.depth(record.ctx);
                let in_graph = set.current_tracer != Tracer::FunctionGraph
                    || (depth > 0
                        || set.set_graph_function.is_empty()
                        || set.set_graph_function.contains(meta.name))
                        && (set.max_graph_depth == 0 || u64::from(depth) < set.max_graph_depth);
                let tracer = if wanted && in_graph { set.current_tracer } else { Tracer::Nop };
                buffer.enter(record, record.time, meta, tracer);
            }
            What::Exit { .. } => {
                let seen = set.tracing_on && set.current_tracer == Tracer::FunctionGraph;
                buffer.exit(record, record.time, seen);
            }
            What::Tracepoint(tracepoint)
                if set.tracing_on
                    && set.events.contains(tracepoint.name())
                    && filters
                        .get(tracepoint.name())
                        .is_none_or(|filter| filter.passes(&k.trace, record, &tracepoint)) =>
            {
                buffer.event(record, record.time, tracepoint, set.stacktrace.then_some(*functions));
            }
            What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
        }
    }

    fn kept(mut self) -> Kept {
        self.kept.stacks = core::mem::take(&mut self.buffer.stacks);
        self.kept
    }
}

/// The tracer after everything that was recorded.
fn tape(k: &Kernel) -> Tape<'_> {
    let mut tape = Tape::new(k);
    tape.play(k.trace.records.len(), k.trace.marks.len());
    tape
}

/// Keeps of the first records, and of so many marks that were made between them, what the tracer made of them: the
/// records may be forgotten then, and the marks are.
pub fn keep(k: &mut Kernel, records: usize, marks: usize) {
    let mut tape = Tape::new(k);
    tape.play(records, marks);
    let kept = tape.kept();
    k.trace.kept = Some(Arc::new(kept));
    k.trace.kept_until = records;
    k.trace.marks.drain(..marks.min(k.trace.marks.len()));
}

/// What was read from `trace_pipe` is gone.
// DEVIATION: a real read of it waits where nothing is there, and ends with who reads it; this one ends like other files.
pub fn was_read(k: &mut Kernel) {
    mark(k, MarkWhat::Consume);
}

/// The text of `trace`.
pub fn text(k: &Kernel) -> String {
    ftrace::print(k, k.tracing.current_tracer, &Contents::of(&tape(k).kept.ring))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        check("0x10", Err(Errno::EINVAL));
        check("010", Ok(10));
        check(" 1", Err(Errno::EINVAL));
        check("", Err(Errno::EINVAL));
        check("x", Err(Errno::EINVAL));
        check("-1", Err(Errno::EINVAL));
        check("99999999999999999999", Err(Errno::ERANGE));
    }
}
