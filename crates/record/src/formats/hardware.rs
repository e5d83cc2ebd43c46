//! What hardware did, as text: who acts after `#`, then a line for each record, with the function that ran.

use core::fmt::Write as _;
use core::ops::Range;

use kstate::trace::{Table, Trace, What};

use crate::functions::Functions;
use crate::recording::{HARDWARE, flow_label};

/// The records of hardware between two marks, which are indices into `trace.records`. Behind `<` stands the
/// innermost function that the tracer of this kernel can see, if hardware did not act on its own.
pub fn print(trace: &Trace, marks: Range<usize>, functions: &Functions) -> String {
    let end = marks.end.min(trace.records.len());
    let mut open: Table<Vec<&'static str>> = trace.ctxs.table();
    let mut text = String::new();
    let mut shown = None;
    for (i, record) in trace.records.iter().enumerate().take(end) {
        let calls = open.get_mut(record.ctx);
        match record.what {
            What::Enter { meta, .. } => {
                if let Some(calls) = calls {
                    calls.push(meta.name);
                }
            }
            What::Exit { .. } => {
                if let Some(calls) = calls {
                    calls.pop();
                }
            }
            What::Hardware(hardware) if i >= marks.start => {
                if shown.replace(record.ctx) != Some(record.ctx) {
                    let actor = trace.ctxs.get(record.ctx).map(|ctx| flow_label(&ctx.actor));
                    // Writing to a string cannot fail.
                    let _ = writeln!(text, "# {}", actor.as_deref().unwrap_or(HARDWARE));
                }
                text.push_str(&trace.hardware_text(&hardware));
                let calls = calls.map_or(&[][..], |calls| calls.as_slice());
                match calls.iter().rev().find(|name| functions.in_stacks(name)) {
                    Some(name) => {
                        let _ = writeln!(text, "  < {name}");
                    }
                    None => text.push('\n'),
                }
            }
            What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
        }
    }
    text
}
