//! The machine that runs: events, tasks, boot, scripts, virtual files.
//!
//! # Architecture
//! [`machine`] reads what a PC is made of, [`boot`] builds it and brings the kernel up, [`engine`] makes it run,
//! [`vfs`] is the tree of virtual files through which a script ([`script`]) acts and looks, [`shell`] runs the
//! script, and [`lab`] ties them together. [`plan`] says which files a script's recordings become. What was
//! recorded is text by the crate `record`; `compare`, `explore` and `debugger` stand on this crate. [`modelled`] lists
//! the kernel functions that there are.
//!
//! # What it doesn't implement
//! A scheduling policy. The CPU a task runs on is never compared with a real kernel.

pub mod boot;
pub mod engine;
pub mod invariants;
pub mod lab;
pub mod machine;
pub mod modelled;
pub mod params;
pub mod plan;
pub mod script;
pub mod shell;
pub mod state;
pub mod steps;
mod testmod;
mod topology;
pub mod tracefs;
pub mod vfs;
