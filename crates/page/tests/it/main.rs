//! What a page says about a run.

mod differences;
mod lessons;
