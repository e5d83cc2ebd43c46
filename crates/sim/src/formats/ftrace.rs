//! What `/sys/kernel/tracing/trace` shows (kernel/trace/trace_functions_graph.c, trace_output.c).
//!
//! [`graph`] is the text of the function_graph tracer with its default options, [`events`] that of
//! events without a tracer. Both kernels print the graph alike; 6.12 adds a column to the flags of an
//! event.

use std::fmt::Write as _;

use kstate::semantics::KernelVersion;
use kstate::trace::{Actor, What};

use super::{Slice, is_interrupt, task};

const NO_DURATION: &str = "              |  ";

/// The character in front of a duration, by nanoseconds.
const MARKS: [(u64, char); 6] = [
    (1_000_000_000, '$'),
    (100_000_000, '@'),
    (10_000_000, '*'),
    (1_000_000, '#'),
    (100_000, '!'),
    (10_000, '+'),
];

/// A duration with its mark, as wide as [`NO_DURATION`].
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

/// `comm-pid` in the 14 columns that the graph tracer centres it in.
fn process(comm: &str, pid: u32) -> String {
    let comm: String = comm.chars().take(7).collect();
    let pid = pid.to_string();
    let spaces = 14usize.saturating_sub(comm.len() + pid.len() + 1);
    format!("{:before$}{comm}-{pid}{:after$}", "", "", before = spaces / 2, after = spaces - spaces / 2)
}

/// A call that is open on a CPU.
struct Open {
    depth: usize,
    name: &'static str,
    since: u64,
}

/// The text of the function_graph tracer.
pub fn graph(slice: &Slice<'_>, cpus: u32) -> String {
    let width = cpus.saturating_sub(1).to_string().len();
    let mut out = String::from(
        "# tracer: function_graph\n#\n# CPU  DURATION                  FUNCTION CALLS\n\
         # |     |   |                     |   |   |   |\n",
    );
    let records = slice.timed();
    let mut open: Vec<Vec<Open>> = slice.trace.ctxs.iter().map(|_| Vec::new()).collect();
    let mut last: Vec<Option<(String, u32)>> = vec![None; cpus as usize];
    let mut leaf = false;
    for (i, (time, record)) in records.iter().enumerate() {
        if std::mem::take(&mut leaf) {
            // This is the exit of a call that was printed as one line.
            continue;
        }
        let (ctx, cpu) = (record.ctx, record.cpu.0);
        let Some(calls) = open.get_mut(ctx.index()) else { continue };
        let actor = slice.actor(ctx);
        let who = task(actor, ctx);
        let column = format!(" {cpu:>width$}) ");
        if let Some(last) = last.get_mut(cpu as usize)
            && last.as_ref() != Some(&who)
        {
            if let Some((comm, pid)) = last.take() {
                let line = " ------------------------------------------\n";
                let (from, to) = (process(&comm, pid), process(&who.0, who.1));
                let _ = write!(out, "{line}{column}{from} => {to}\n{line}\n");
            }
            *last = Some(who);
        }
        let depth = calls.len();
        let indent = depth * 2;
        // Writing to a string cannot fail.
        let _ = match record.what {
            What::Enter { meta, .. } => {
                if depth == 0 && is_interrupt(actor) {
                    let _ = writeln!(out, "{column}  ==========> |");
                }
                let next = records.get(i + 1).filter(|(_, r)| r.ctx == ctx);
                match next.map(|(t, r)| (t, r.what)) {
                    Some((end, What::Exit { .. })) => {
                        leaf = true;
                        let line =
                            writeln!(out, "{column}{}{:indent$}{}();", duration(end - time), "", meta.name);
                        if depth == 0 && is_interrupt(actor) {
                            let _ = writeln!(out, "{column}  <========== |");
                        }
                        line
                    }
                    _ => {
                        calls.push(Open { depth, name: meta.name, since: *time });
                        writeln!(out, "{column}{NO_DURATION}{:indent$}{}() {{", "", meta.name)
                    }
                }
            }
            What::Exit { meta, .. } => match calls.pop() {
                Some(Open { depth, name, since }) => {
                    let indent = depth * 2;
                    // Another context printed in between leaves the reader without the name.
                    let foreign = i > 0 && records[i - 1].1.ctx != ctx && name == meta.name;
                    let comment = if foreign { format!(" /* {name} */") } else { String::new() };
                    let line = writeln!(out, "{column}{}{:indent$}}}{comment}", duration(time - since), "");
                    if depth == 0 && is_interrupt(actor) {
                        let _ = writeln!(out, "{column}  <========== |");
                    }
                    line
                }
                // Entered before the record began.
                None => writeln!(out, "{column}{NO_DURATION}}} /* {} */", meta.name),
            },
            What::Tracepoint(tracepoint) => {
                writeln!(out, "{column}{NO_DURATION}{:indent$}/* {tracepoint} */", "")
            }
            What::Warn(text) => writeln!(out, "{column}{NO_DURATION}{:indent$}/* {text} */", ""),
        };
    }
    out
}

/// The text of events without a tracer.
pub fn events(slice: &Slice<'_>, version: KernelVersion, cpus: u32) -> String {
    let points: Vec<_> = slice
        .timed()
        .into_iter()
        .filter_map(|(time, record)| match record.what {
            What::Tracepoint(tracepoint) => Some((time, record, tracepoint)),
            _ => None,
        })
        .collect();
    let count = points.len();
    let mut out =
        format!("# tracer: nop\n#\n# entries-in-buffer/entries-written: {count}/{count}   #P:{cpus}\n#\n");
    let five = version == KernelVersion::V6_12;
    out.push_str(if five {
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
    for (time, record, tracepoint) in points {
        let actor = slice.actor(record.ctx);
        let (comm, pid) = task(actor, record.ctx);
        let level = match actor {
            Actor::Irq { .. } | Actor::Cleanup(_) => 'h',
            Actor::Softirq(_) => 's',
            _ => '.',
        };
        let flags = format!("d.{level}.{}", if five { "." } else { "" });
        let (seconds, rest) = (time / 1_000_000_000, time % 1_000_000_000 / 1000);
        let width = if five { 7 } else { 5 };
        let cpu = record.cpu.0;
        // Writing to a string cannot fail.
        let _ =
            writeln!(out, "{comm:>16}-{pid:<width$} [{cpu:03}] {flags} {seconds:>5}.{rest:06}: {tracepoint}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tests::{embedded, whole};

    #[test]
    fn durations_have_the_width_of_the_kernels() {
        let check = |ns, expect: &str| assert_eq!(duration(ns), expect);
        check(123, "  0.123 us    |  ");
        check(12_345, "+ 12.345 us   |  ");
        check(1_234_567, "# 1234.567 us |  ");
        check(123_456_789, "@ 123456.7 us |  ");
        check(12_345_678_901, "$ 12345678 us |  ");
    }

    #[test]
    fn every_call_that_is_opened_is_closed() {
        let lab = embedded(KernelVersion::V5_4);
        let text = graph(&whole(&lab), 8);
        let (mut opened, mut closed) = (0, 0);
        for line in text.lines().filter(|l| l.contains('|') && !l.starts_with('#')) {
            opened += usize::from(line.ends_with("() {"));
            closed += usize::from(line.trim_end_matches(" */").contains("|  ") && line.contains('}'));
        }
        assert!(opened > 100);
        assert_eq!(opened, closed);
        assert!(text.contains("/* vector_config: irq="));
    }

    #[test]
    fn events_name_task_cpu_and_time() {
        for version in KernelVersion::ALL {
            let lab = embedded(version);
            let text = events(&whole(&lab), version, 8);
            let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
            assert!(text.contains(&format!("written: {0}/{0}   #P:8", lines.len())));
            for line in lines {
                let (head, rest) = line.split_at(16);
                assert!(head.trim_start().len() > 1 && rest.starts_with('-'), "{line}");
                assert!(line.contains(" [00") && line.contains(": "), "{line}");
            }
        }
    }
}
