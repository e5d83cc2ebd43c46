//! Compares two runs: the emulator with a real kernel, or two emulated machines.
//!
//! A [`capture`] is what a real kernel did on a machine. [`verify`] compares the emulator with it, by the rules of
//! `tests/captures/README.md` and no others. [`diff`] compares two runs of one script, by function, tracepoint and file, and
//! says which behaviours explain the difference.
//!
//! # What it doesn't implement
//! Times: a comparison ignores how long a kernel takes.

pub mod capture;
pub mod diff;
pub mod verify;
