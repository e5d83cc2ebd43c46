//! The scheduler, as far as others ask it: kernel/sched.

pub mod core;
pub mod deadline;
pub mod isolation;
mod topology;
