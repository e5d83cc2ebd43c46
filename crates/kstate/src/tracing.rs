//! What the files of /sys/kernel/tracing are set to (kernel/trace/trace.c).

use std::collections::{BTreeMap, BTreeSet};

mod ring;

pub use ring::{Entry, EntryKind, Kept, OpenCall, Ring};

/// Bytes of the buffer of each CPU once somebody traces (`TRACE_BUF_SIZE_DEFAULT`).
pub const TRACE_BUF_SIZE: u64 = 1_441_792;

/// And before that: the two pages that a ring has at least.
const UNEXPANDED: u64 = 2 * ring::BUF_PAGE_SIZE;

/// The tracer that `current_tracer` names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Tracer {
    /// None: only events are kept.
    #[default]
    Nop,
    /// Every function call on a line of its own.
    Function,
    /// Calls and returns, as a tree.
    FunctionGraph,
}

impl Tracer {
    /// All of them, in the order of `available_tracers`.
    pub const ALL: [Self; 3] = [Self::FunctionGraph, Self::Function, Self::Nop];

    /// The name in `current_tracer`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nop => "nop",
            Self::Function => "function",
            Self::FunctionGraph => "function_graph",
        }
    }

    /// The tracer with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}

/// The filter of a tracepoint (`struct event_filter`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EventFilter {
    /// What the file shows: the expression, or a wrong one and what is wrong with it.
    pub text: String,
    /// The expression is one, so that events are filtered.
    pub active: bool,
}

/// The settings of the tracer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tracing {
    /// `tracing_on`.
    pub tracing_on: bool,
    /// `current_tracer`.
    pub current_tracer: Tracer,
    /// `set_ftrace_filter`; empty for all functions.
    pub set_ftrace_filter: BTreeSet<String>,
    /// `set_graph_function`; empty for all functions.
    pub set_graph_function: BTreeSet<String>,
    /// `max_graph_depth`; 0 for any.
    pub max_graph_depth: u64,
    /// Tracepoints whose `enable` is 1, by name.
    pub events: BTreeSet<&'static str>,
    /// `filter` of a tracepoint, by its name.
    pub filters: BTreeMap<&'static str, EventFilter>,
    /// `options/stacktrace`.
    pub stacktrace: bool,
    /// Bytes of the buffer of each CPU.
    pub buffer_size: u64,
    /// It was given its size already (`ring_buffer_expanded`).
    pub expanded: bool,
}

/// A kernel boots with the buffer open and nothing that writes to it.
impl Default for Tracing {
    fn default() -> Self {
        Self {
            tracing_on: true,
            current_tracer: Tracer::Nop,
            set_ftrace_filter: BTreeSet::new(),
            set_graph_function: BTreeSet::new(),
            max_graph_depth: 0,
            events: BTreeSet::new(),
            filters: BTreeMap::new(),
            stacktrace: false,
            buffer_size: UNEXPANDED,
            expanded: false,
        }
    }
}

impl Tracing {
    /// Somebody is about to trace (`tracing_update_buffers()`).
    pub fn expand(&mut self) {
        if !self.expanded {
            (self.buffer_size, self.expanded) = (TRACE_BUF_SIZE, true);
        }
    }

    /// Something is written to the buffer as it happens.
    pub fn is_active(&self) -> bool {
        self.tracing_on && (self.current_tracer != Tracer::Nop || !self.events.is_empty())
    }
}

/// Something that happened to the tracer, at a place in the record of the run. The buffer of the
/// real tracer is what lies between these marks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Index into the records that come after it.
    pub at: usize,
    /// What happened.
    pub what: MarkWhat,
}

/// What happened to the tracer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MarkWhat {
    /// From here on it is set like this.
    Set(Tracing),
    /// The buffer was emptied.
    Clear,
    /// What was in the buffer was read, and is not there any more.
    Consume,
    /// A line was written to `trace_marker`.
    Marker {
        /// The text.
        text: String,
        /// Virtual time.
        time: u64,
        /// The CPU of the writer.
        cpu: crate::CpuId,
    },
}
