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
mod lesson;
mod records;
mod run;
mod session;
mod state;
mod watch;

use compare::diff::RENAMED;
use compare::diff::attribution::Cause;
use serde::Serialize;

pub use html::viewer;
pub use lesson::Lesson;
pub use run::{Case, Command, MOST_RECORDS, Run, Wrong};
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
    /// The behaviours in which two runs differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
    /// Functions that a later kernel has under another name.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    renamed: &'static [(&'static str, &'static str)],
    #[serde(skip_serializing_if = "Option::is_none")]
    lesson: Option<Lesson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exhibit: Option<Exhibit>,
}

/// An exhibit of the museum.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Exhibit {
    /// `M03`.
    pub id: String,
    /// What it is, in a line.
    pub title: String,
    /// The story, in Markdown.
    pub story: String,
    /// The schedule of the run, if it is one that was searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

impl Page {
    /// A page of runs: one, or two to be compared.
    pub fn new(title: &str, runs: Vec<Run>) -> Self {
        let renamed: &[_] = if runs.len() > 1 { &RENAMED } else { &[] };
        Self {
            schema: "irqlab-page",
            version: SCHEMA,
            title: title.to_owned(),
            runs,
            causes: Vec::new(),
            renamed,
            lesson: None,
            exhibit: None,
        }
    }

    /// With the behaviours that are behind the differences of two runs.
    #[must_use]
    pub fn with_causes(mut self, causes: Vec<Cause>) -> Self {
        self.causes = causes;
        self
    }

    /// With a lesson beside the run.
    #[must_use]
    pub fn with_lesson(mut self, lesson: Lesson) -> Self {
        self.lesson = Some(lesson);
        self
    }

    /// With the exhibit that the run is of.
    #[must_use]
    pub fn with_exhibit(mut self, exhibit: Exhibit) -> Self {
        self.exhibit = Some(exhibit);
        self
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
