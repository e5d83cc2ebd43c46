//! What happened on a machine, as text.
//!
//! A [`Recording`] is the part of a run between two marks, cut down to what the tracer of that kernel can see
//! ([`functions`]); [`stacks`] are the stacks on which something was called. [`formats`] are the texts: those of
//! a capture, and those of other tools.
//!
//! # What it doesn't implement
//! Running anything: a record is read, never made.

pub mod formats;
pub mod functions;
mod recording;
pub mod stacks;

pub use recording::{
    Entry, HARDWARE, Line, Options, Recording, StackedEvent, Tree, boot_events, event_label, events,
    flow_label,
};
