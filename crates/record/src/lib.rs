//! What happened on a machine, as text.
//!
//! A [`Recording`] is the part of a run between two marks, cut down to what the tracer of that kernel can see
//! ([`functions`]); [`stacks`] are the stacks on which something was called. [`formats`] are the texts: those of
//! a capture, and those of other tools. A [`filter`] says what of it is shown.
//!
//! # What it doesn't implement
//! Running anything: a record is read, never made.

pub mod filter;
pub mod formats;
pub mod functions;
mod recording;
pub mod stacks;

pub use recording::{
    CallText, Entry, HARDWARE, Line, Options, Recording, StackedEvent, Tree, boot_events, event_label,
    events, events_with, flow_label, name_of, with_arguments,
};
