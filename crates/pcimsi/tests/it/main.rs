//! PCI functions and their interrupts: a file per subject.

mod common;
mod conformance;
mod hardware;
mod kernel;
