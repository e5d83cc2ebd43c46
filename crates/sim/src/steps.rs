//! Describes a step of the machine for people.

use core::fmt::Write as _;
use core::ops::Range;
use std::collections::BTreeMap;

use kstate::sched::TaskState;
use kstate::trace::{Trace, What};
use kstate::{CtxId, Kernel};

use crate::engine::Step;
use record::{HARDWARE, event_label};

/// Who or what moves in a step.
pub fn describe(k: &Kernel, step: &Step) -> String {
    match step {
        Step::Interrupt(cpu, vector) => format!("cpu {cpu} takes vector {vector}"),
        Step::Hardirq(cpu) => format!("cpu {cpu} goes on with its interrupt"),
        Step::Softirq(cpu) => format!("cpu {cpu} runs its softirqs"),
        Step::Task(task) => {
            let known = k.sched.tasks.get(task.index());
            let cpu = known.map_or_else(String::new, |t| format!(" on cpu {}", t.cpu));
            let state = known.map_or("", |t| match t.state {
                _ if k.cur.task == Some(*task) => ", runs",
                TaskState::Runnable => ", can go on",
                TaskState::Spinning => ", spins",
                TaskState::Waiting(_) => ", waits",
                TaskState::Done(_) => ", ended",
            });
            format!("{}{cpu}{state}", k.task_name(*task))
        }
        Step::Event(event) => k.event_name(event),
    }
}

/// The outermost functions among the records from `from` on, in a line; `None` where nothing was called.
pub fn summary(trace: &Trace, from: usize) -> Option<String> {
    summary_of(trace, from, |_| true)
}

/// The same for records that `shows` picks. It picks a call's return as it picked the call.
pub fn summary_of(trace: &Trace, from: usize, shows: impl Fn(usize) -> bool) -> Option<String> {
    const SHOWN: usize = 6;
    let mut depth: BTreeMap<CtxId, usize> = BTreeMap::new();
    let (mut names, mut calls, mut fired): (Vec<&str>, usize, usize) = (Vec::new(), 0, 0);
    for (_, record) in trace.records.iter().enumerate().skip(from).filter(|(i, _)| shows(*i)) {
        let depth = depth.entry(record.ctx).or_default();
        match record.what {
            What::Enter { meta, .. } => {
                if *depth == 0 && names.last() != Some(&meta.name) {
                    names.push(meta.name);
                }
                *depth += 1;
                calls += 1;
            }
            What::Exit { .. } => *depth = depth.saturating_sub(1),
            What::Tracepoint(_) => fired += 1,
            What::Warn(_) | What::Hardware(_) => {}
        }
    }
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    names.truncate(SHOWN);
    (calls > 0).then(|| format!("{}{more} ({calls} calls, {fired} tracepoints)", names.join(", ")))
}

/// The calls and tracepoints of some records, indented by their depth; `open` is how many calls each
/// context is in before that, and after it on return. The record at `cursor` is marked.
pub fn flow(
    k: &Kernel,
    records: Range<usize>,
    open: &mut BTreeMap<CtxId, usize>,
    cursor: Option<usize>,
) -> String {
    flow_of(k, records, open, cursor, |_| true)
}

/// The same for records that `shows` picks. It picks a call's return as it picked the call.
pub fn flow_of(
    k: &Kernel,
    records: Range<usize>,
    open: &mut BTreeMap<CtxId, usize>,
    cursor: Option<usize>,
    shows: impl Fn(usize) -> bool,
) -> String {
    let trace = &k.trace;
    let mut out = String::new();
    let mut ctx = None;
    let shown = trace.records.iter().enumerate().take(records.end).skip(records.start);
    for (i, record) in shown.filter(|(i, _)| shows(*i)) {
        if ctx != Some(record.ctx) {
            ctx = Some(record.ctx);
            let _ = match trace.ctxs.get(record.ctx) {
                Some(ctx) => writeln!(out, "# {}, cpu {}", event_label(&ctx.actor), record.cpu),
                None => writeln!(out, "# {HARDWARE}"),
            };
        }
        let depth = open.entry(record.ctx).or_default();
        let here = if cursor == Some(i) { ">" } else { " " };
        let indent = *depth * 2;
        match record.what {
            What::Enter { meta, args } => {
                let _ = writeln!(out, "{here}{:indent$}{}({})", "", meta.name, k.arguments(meta, &args));
                *depth += 1;
            }
            What::Exit { .. } => *depth = depth.saturating_sub(1),
            What::Tracepoint(t) => {
                let _ = writeln!(out, "{here}{:indent$}@ {t}", "");
            }
            What::Hardware(hardware) => {
                let _ = writeln!(out, "{here}{:indent$}* {}", "", trace.hardware_text(&hardware));
            }
            What::Warn(text) => {
                let _ = writeln!(out, "{here}warning: {text}");
            }
        }
    }
    out
}
