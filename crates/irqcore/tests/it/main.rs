//! The interrupt core without a machine below it: a file per subject.

mod conformance;
mod golden;
mod lifecycle;
