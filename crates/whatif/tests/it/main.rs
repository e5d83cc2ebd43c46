//! What happens to each interrupt, on small machines of every kernel.

mod common;
mod questions;
mod searches;
mod verdicts;
