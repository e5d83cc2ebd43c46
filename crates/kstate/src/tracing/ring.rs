//! The buffer that the tracers write to: a ring of pages for each CPU (kernel/trace/ring_buffer.c).
//!
//! A page that is full is never written again, so that copies of a buffer have it in common.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Tracing;
use crate::trace::Tracepoint;
use crate::{CpuId, CtxId};

/// Bytes of a page that entries may fill: the rest is its head (`BUF_PAGE_SIZE`).
pub const BUF_PAGE_SIZE: u64 = 4096 - 16;

/// One line of the buffer, or several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Whose it is; `None` for the shell.
    pub ctx: Option<CtxId>,
    /// The CPU it ran on.
    pub cpu: CpuId,
    /// In nanoseconds.
    pub time: u64,
    /// What happened.
    pub kind: EntryKind,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// The graph tracer saw a call.
    Enter {
        /// The function.
        name: &'static str,
        /// Its arguments, where they are asked for (`funcgraph-args` of newer kernels).
        args: Box<str>,
        /// The number of calls around it.
        depth: u32,
    },
    /// It saw the return of a call.
    Exit {
        /// The function.
        name: &'static str,
        /// When it was entered, in nanoseconds.
        entered: u64,
        /// The number of calls around it.
        depth: u32,
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
        stack: Option<Box<[&'static str]>>,
    },
    /// Text that was written to `trace_marker`.
    Marker(Box<str>),
}

impl EntryKind {
    /// How many entries of the kernel's buffer it stands for: a stack is one of its own.
    pub const fn count(&self) -> u64 {
        match self {
            Self::Event { stack: Some(_), .. } => 2,
            _ => 1,
        }
    }
}

/// A call that has not returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenCall {
    /// The function.
    pub name: &'static str,
    /// When the graph tracer saw it entered, in nanoseconds.
    pub entered: Option<u64>,
}

/// A page: what is in it, each with its place among all entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Page {
    entries: Vec<(u64, Entry)>,
    used: u64,
}

/// The ring of a CPU (`struct ring_buffer_per_cpu`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct PerCpu {
    /// The oldest first; the last one is written to.
    pages: VecDeque<Arc<Page>>,
    /// Entries that were written over.
    overrun: u64,
    /// Those of them that a reader of `trace_pipe` was told of.
    last_overrun: u64,
}

impl PerCpu {
    fn overwrite_oldest(&mut self) {
        if let Some(page) = self.pages.pop_front() {
            self.overrun += page.entries.iter().map(|(_, entry)| entry.kind.count()).sum::<u64>();
        }
    }
}

/// The buffers of all CPUs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ring {
    cpus: BTreeMap<CpuId, PerCpu>,
    /// Entries that were ever written.
    written: u64,
}

impl Ring {
    /// How many pages a buffer of a CPU has (`ring_buffer_resize()`).
    fn pages(size: u64) -> usize {
        usize::try_from(size.div_ceil(BUF_PAGE_SIZE)).unwrap_or(usize::MAX).max(2)
    }

    /// Writes an entry that takes so many bytes of its page into the buffer of its CPU, each of which has `size` bytes.
    /// Where all pages are full, the oldest one is used again, and what was in it is lost.
    pub fn write(&mut self, entry: Entry, bytes: u64, size: u64) {
        let cpu = self.cpus.entry(entry.cpu).or_default();
        if cpu.pages.back().is_none_or(|page| page.used + bytes > BUF_PAGE_SIZE) {
            if cpu.pages.len() >= Self::pages(size) {
                cpu.overwrite_oldest();
            }
            cpu.pages.push_back(Arc::default());
        }
        if let Some(page) = cpu.pages.back_mut().map(Arc::make_mut) {
            page.used += bytes;
            page.entries.push((self.written, entry));
        }
        self.written += 1;
    }

    /// The buffer of each CPU has so many bytes from now on.
    pub fn resize(&mut self, size: u64) {
        for cpu in self.cpus.values_mut() {
            while cpu.pages.len() > Self::pages(size) {
                cpu.overwrite_oldest();
            }
        }
    }

    /// Empties it (`tracing_reset_online_cpus()`).
    pub fn clear(&mut self) {
        self.cpus.clear();
    }

    /// What is in it was read, so that it is not there any more.
    pub fn consume(&mut self) {
        for cpu in self.cpus.values_mut() {
            cpu.pages.clear();
            cpu.last_overrun = cpu.overrun;
        }
    }

    /// Nothing was written since it was emptied.
    pub fn is_empty(&self) -> bool {
        self.cpus.is_empty()
    }

    /// What is in it, in the order in which it was written.
    pub fn entries(&self) -> Vec<&Entry> {
        let pages = self.cpus.values().flat_map(|cpu| &cpu.pages);
        let mut entries: Vec<_> =
            pages.flat_map(|page| page.entries.iter().map(|(at, e)| (*at, e))).collect();
        entries.sort_unstable_by_key(|(at, _)| *at);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Whose entries are in it, as often as they have one.
    pub fn contexts(&self) -> impl Iterator<Item = CtxId> {
        let pages = self.cpus.values().flat_map(|cpu| &cpu.pages);
        pages.flat_map(|page| &page.entries).filter_map(|(_, entry)| entry.ctx)
    }

    /// How many entries are held.
    pub fn held(&self) -> usize {
        self.cpus.values().flat_map(|cpu| &cpu.pages).map(|page| page.entries.len()).sum()
    }

    /// How many entries were written over since it was emptied (`ring_buffer_overruns()`).
    pub fn overruns(&self) -> u64 {
        self.cpus.values().map(|cpu| cpu.overrun).sum()
    }

    /// How many of a CPU's entries were written over since a reader of `trace_pipe` was told (`lost_events`).
    pub fn lost(&self, cpu: CpuId) -> u64 {
        self.cpus.get(&cpu).map_or(0, |cpu| cpu.overrun - cpu.last_overrun)
    }
}

/// The tracer as it was at a place in the record of a run: what comes before that place is not needed for it any more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// How it was set.
    pub set: Tracing,
    /// What was in its buffer.
    pub ring: Ring,
    /// The calls that were open, by context, outermost first.
    pub stacks: BTreeMap<CtxId, Vec<OpenCall>>,
}

impl Kept {
    /// A tracer that nobody has used yet, with the calls that are open.
    pub fn unused(stacks: BTreeMap<CtxId, Vec<OpenCall>>) -> Self {
        Self { stacks, ..Self::default() }
    }

    /// Nobody has used the tracer, or has left anything of it behind.
    pub fn is_unused(&self) -> bool {
        self.ring.is_empty() && self.set == Tracing::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(cpu: u32, n: u64) -> Entry {
        Entry { ctx: None, cpu: CpuId(cpu), time: n, kind: EntryKind::Marker("x".into()) }
    }

    fn times(ring: &Ring) -> Vec<u64> {
        ring.entries().iter().map(|entry| entry.time).collect()
    }

    #[test]
    fn a_full_buffer_loses_its_oldest_page() {
        let mut ring = Ring::default();
        // Four entries of a thousand bytes fit into a page, and a buffer has two pages at least.
        for n in 0..9 {
            ring.write(mark(0, n), 1000, 1);
        }
        assert_eq!((times(&ring), ring.overruns(), ring.lost(CpuId(0))), (vec![4, 5, 6, 7, 8], 4, 4));
        // Another CPU has a buffer of its own.
        ring.write(mark(1, 9), 1000, 1);
        assert_eq!((times(&ring), ring.held()), (vec![4, 5, 6, 7, 8, 9], 6));
        ring.consume();
        assert_eq!((ring.held(), ring.overruns(), ring.lost(CpuId(0))), (0, 4, 0));
    }

    #[test]
    fn a_smaller_buffer_loses_what_does_not_fit() {
        let mut ring = Ring::default();
        for n in 0..16 {
            ring.write(mark(0, n), 1000, 4 * BUF_PAGE_SIZE);
        }
        let copy = ring.clone();
        assert_eq!((ring.held(), ring.overruns()), (16, 0));
        ring.resize(3 * BUF_PAGE_SIZE);
        assert_eq!((times(&ring).first(), ring.overruns()), (Some(&4), 4));
        assert_eq!(copy.held(), 16, "a copy keeps what the other one loses");
        ring.clear();
        assert_eq!((ring.is_empty(), ring.overruns()), (true, 0));
    }
}
