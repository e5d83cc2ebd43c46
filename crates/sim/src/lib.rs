//! The machine that runs: events, tasks, boot, scripts, virtual files, verification.
//!
//! # Architecture
//! [`machine`] reads what a PC is made of, [`boot`] builds it and brings the kernel up, [`engine`]
//! makes it run, [`vfs`] is the tree of virtual files through which a script ([`script`]) acts and
//! looks, and [`lab`] ties them together. The crate `record` turns what was recorded
//! into the texts that the crate `compare` compares with a real kernel's.
//!
//! # What it doesn't implement
//! A scheduler's policy: which CPU a task or worker runs on is nobody's result.

pub mod boot;
pub mod engine;
pub mod invariants;
pub mod lab;
pub mod machine;
pub mod plan;
pub mod script;
pub mod shell;
pub mod state;
pub mod steps;
pub mod testmod;
pub mod tracefs;
pub mod vfs;
