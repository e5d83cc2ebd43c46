//! A run as a page for a browser: what happened, who did it, and the state of the machine at each record.
//!
//! [`Run::of`] runs a script on a machine. A [`Watch`] looks at the machine after each record and keeps
//! what changed, so a run has the state at every record without a copy of the machine for any. A [`Page`] is one run or two beside each other,
//! with what belongs to them. It is written as JSON (docs/page-schema.md), or as one HTML file that has the JSON and its
//! viewer in itself.
//!
//! # Architecture
//! `records` has the columns of what happened, `state` compares the machine with what it was at the record before, `watch` is
//! called by the recorder. The viewer is written in TypeScript (web/ in the repository) and built into `viewer.html`, which is
//! committed.
//!
//! # What it doesn't implement
//! Showing anything: the viewer does.

mod cell;
mod html;
mod records;
mod run;
mod session;
mod state;
mod watch;

use serde::Serialize;

pub use html::viewer;
pub use run::{Case, Command, MOST_RECORDS, Run};
pub use watch::Watch;

/// The version of the schema.
pub const SCHEMA: u32 = 1;

/// A run, or two beside each other, with what belongs to them.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    schema: &'static str,
    version: u32,
    title: String,
    runs: Vec<Run>,
}

impl Page {
    /// A page of runs: one, or two to be compared.
    pub fn new(title: &str, runs: Vec<Run>) -> Self {
        Self { schema: "irqlab-page", version: SCHEMA, title: title.to_owned(), runs }
    }

    /// The runs.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The JSON of docs/page-schema.md.
    pub fn json(&self) -> Vec<u8> {
        // Numbers and texts: there is nothing in it that JSON does not have.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The JSON, packed with gzip.
    pub fn packed(&self) -> Vec<u8> {
        html::packed(&self.json())
    }

    /// One file that shows it in a browser, and needs nothing else.
    pub fn html(&self) -> String {
        html::html(&self.title, &self.json())
    }
}
