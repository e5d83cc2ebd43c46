//! The library of the program: the laboratory for tests, under the program's name.
//!
//! A crate that only tests depends on `irqlab-test`, which needs nothing of the program and is what this crate shows.
//!
//! # What it doesn't implement
//! Anything of its own.

pub use irqlab_test::*;
