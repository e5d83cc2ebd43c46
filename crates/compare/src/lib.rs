//! Two runs beside each other: a machine and a real kernel, or two machines.
//!
//! A [`capture`] is what a real kernel did on a machine; [`verify`] compares the emulator with it, by the rules of
//! `tests/captures/README.md` and no others. [`diff`] compares two runs of one script, by function, tracepoint and
//! file, and says which behaviours explain the difference.
//!
//! # What it doesn't implement
//! Times are not compared: how long a kernel takes is nobody's result here.

pub mod capture;
pub mod diff;
pub mod verify;
