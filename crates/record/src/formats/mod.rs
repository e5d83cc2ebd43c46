//! What was recorded, in the formats of other tools.
//!
//! Each format is made from a [`Slice`], a part of the record of a run. The record's clock stands
//! still while kernel code runs; the formats that show durations let every record take
//! [`RECORD_TIME`], so that a viewer has something to draw. Order is exact, durations are not
//! measurements.

use core::ops::Range;

use kstate::CtxId;
use kstate::trace::{Actor, Record, Trace, What};

use crate::functions::Functions;

pub mod events;
mod export;
pub mod flow;
pub mod ftrace;
pub mod graph;
pub mod hardware;
pub mod json;
pub mod perfetto;
pub mod sequence;
mod story;
pub mod svg;
pub mod tracecmd;
mod tracks;
pub mod xml;

pub use export::{Export, Format, Unfit};
pub use story::story;

/// What one record is taken to last, in nanoseconds.
pub const RECORD_TIME: u64 = 10;

/// A part of the record of a run.
#[derive(Clone, Debug)]
pub struct Slice<'a> {
    /// The record.
    pub trace: &'a Trace,
    /// The part.
    pub records: Range<usize>,
    /// What the tracer of the kernel can see.
    pub functions: &'static Functions,
}

impl<'a> Slice<'a> {
    /// The records with the time each is taken to happen at, and whether the tracer can see them.
    /// What it cannot see takes no time.
    fn clocked(&self) -> impl Iterator<Item = (u64, &'a Record, bool)> {
        let end = self.records.end.min(self.trace.records.len());
        let start = self.records.start.min(end);
        let mut clock = 0;
        self.trace.records[start..end].iter().map(move |record| {
            let shown = match record.what {
                What::Enter { meta, .. } | What::Exit { meta, .. } => {
                    self.functions.shown(meta.name).is_some()
                }
                What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => true,
            };
            if shown {
                clock = record.time.max(clock + RECORD_TIME);
            }
            (clock, record, shown)
        })
    }

    /// The records that the tracer can see, with the time each is taken to happen at.
    fn timed(&self) -> Vec<(u64, &'a Record)> {
        let seen = self.clocked().filter(|(.., shown)| *shown);
        seen.map(|(time, record, _)| (time, record)).collect()
    }

    fn actor(&self, ctx: CtxId) -> &'a Actor {
        self.trace.ctxs.get(ctx).map_or(&Actor::Boot, |c| &c.actor)
    }
}

/// The fields of a tracepoint's text, `name: a=1 b=2, c=3`.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let rest = text.split_once(": ").map_or("", |(_, rest)| rest);
    rest.split_whitespace().filter_map(|word| word.trim_end_matches(',').split_once('='))
}
