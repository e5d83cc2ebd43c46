//! The kernel stacks on which a function was called or a tracepoint fired.

use std::borrow::Cow;
use std::ops::Range;

use kstate::trace::{Args, FnMeta, Table, Trace, What};
use kstate::{CpuId, Irq};

use crate::functions::Functions;
use crate::recording::{CallText, event_label, name_of};

/// One stack, and how often it came up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stack {
    /// Frames, innermost first.
    pub frames: Vec<Cow<'static, str>>,
    /// Who ran, as recordings name it.
    pub actor: String,
    /// The CPU of the first time.
    pub cpu: CpuId,
    /// How often it came up.
    pub count: u32,
    /// The tracepoints' text, one per time, where a tracepoint was asked for.
    pub fired: Vec<String>,
    /// Interrupts the tracepoints named.
    pub irqs: Vec<Irq>,
}

/// Every distinct stack that reached `name`, a function or a tracepoint, in order of appearance.
pub fn reaching(trace: &Trace, name: &str, functions: &Functions) -> Vec<Stack> {
    reaching_within(trace, 0..trace.records.len(), name, functions)
}

/// The same for a part of the record: `records` are indices into `trace.records`.
pub fn reaching_within(
    trace: &Trace,
    records: Range<usize>,
    name: &str,
    functions: &Functions,
) -> Vec<Stack> {
    reaching_with(trace, records, name, functions, &name_of, &|_| true)
}

/// The same, with calls shown as `text` says: where that has arguments, stacks differ by them. Only records that
/// `counts` picks are looked at.
pub fn reaching_with(
    trace: &Trace,
    records: Range<usize>,
    name: &str,
    functions: &Functions,
    text: &CallText<'_>,
    counts: &dyn Fn(usize) -> bool,
) -> Vec<Stack> {
    let mut open: Table<Vec<(&'static FnMeta, Args)>> = trace.ctxs.table();
    let mut stacks: Vec<Stack> = Vec::new();
    for (i, record) in trace.records.iter().enumerate().take(records.end) {
        let (Some(calls), Some(ctx)) = (open.get_mut(record.ctx), trace.ctxs.get(record.ctx)) else {
            continue;
        };
        let fired = match record.what {
            What::Enter { meta, args } => {
                calls.push((meta, args));
                if meta.name != name {
                    continue;
                }
                None
            }
            What::Exit { .. } => {
                calls.pop();
                continue;
            }
            What::Tracepoint(t) if t.name() == name => Some(t),
            What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => continue,
        };
        if i < records.start || !counts(i) {
            continue;
        }
        let shown = |frame: &str| functions.in_stacks(frame) || frame == name;
        let calls = calls.iter().rev().filter(|(meta, _)| shown(meta.name));
        let roots = ctx.roots.iter().filter(|root| shown(root));
        let frames: Vec<Cow<'static, str>> = calls
            .map(|(meta, args)| text(meta, args))
            .chain(roots.map(|root| Cow::Borrowed(*root)))
            .collect();
        let actor = event_label(&ctx.actor);
        let at = stacks.iter().position(|s| s.frames == frames && s.actor == actor);
        let at = at.unwrap_or_else(|| {
            stacks.push(Stack {
                frames,
                actor,
                cpu: record.cpu,
                count: 0,
                fired: Vec::new(),
                irqs: Vec::new(),
            });
            stacks.len() - 1
        });
        stacks[at].count += 1;
        if let Some(t) = fired {
            stacks[at].fired.push(t.to_string());
            stacks[at].irqs.extend(t.irq());
        }
    }
    stacks
}

/// A stack in the form of a note: `[cpu] function`, innermost first.
pub fn print(stack: &Stack) -> String {
    stack.frames.iter().map(|frame| format!("[{}] {frame}\n", stack.cpu)).collect()
}
