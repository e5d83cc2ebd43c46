//! Interrupt controllers and the vectors above them: a file per subject.

mod common;
mod conformance;
mod hardware;
mod remapping;
mod vectors;
