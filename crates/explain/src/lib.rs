//! What people ask about, and what is known of it.
//!
//! [`look_up`] takes what somebody typed or pasted: the name of a function, a file, an error, a line of the kernel log, a
//! parameter, a notion, a row of /proc/interrupts, a tracepoint or one of its fields, an exhibit, a field of
//! [`Semantics`](kstate::semantics::Semantics), a driver. It answers with [`Entry`]s: what it is, which function
//! decides and where that is in each kernel, the kernels for which it holds, where to see it, and what else to ask
//! for. [`text::print`] makes text of them.
//!
//! # Architecture
//! The texts are in `data`, by kind. [`source`] has the tables of the kernels' sources, from which places come.
//! [`message`] finds the format that a line of the log was made by. [`asked`] says what a piece of a question names.
//!
//! # What it doesn't implement
//! Questions in sentences: words that are not known are left aside.

use std::collections::BTreeSet;

use kstate::semantics::KernelVersion;
use serde::{Serialize, Serializer};

pub mod asked;
pub mod flags;
pub mod message;
mod observed;
pub mod source;
pub mod text;
pub mod words;

/// What an [`Entry`] is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Function,
    Tracepoint,
    /// A field of tracepoints.
    Field,
    /// A record of what hardware did.
    Hardware,
    /// A flag of an interrupt.
    Flag,
    /// A field of `Semantics`.
    Behaviour,
    File,
    /// An errno.
    Error,
    /// A word of the kernel's command line.
    Parameter,
    Notion,
    /// A row, a column or a word of /proc/interrupts.
    Row,
    /// A line of the kernel log.
    Message,
    /// A `WARN_ON()` or `BUG_ON()`.
    Warning,
    /// What another program says.
    Program,
    /// An exhibit of the museum.
    Exhibit,
    /// A driver of which only the interrupts count.
    Driver,
}

impl Kind {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Tracepoint => "tracepoint",
            Self::Field => "field of tracepoints",
            Self::Hardware => "record of hardware",
            Self::Flag => "flag of an interrupt",
            Self::Behaviour => "behaviour",
            Self::File => "file",
            Self::Error => "error",
            Self::Parameter => "kernel parameter",
            Self::Notion => "notion",
            Self::Row => "/proc/interrupts",
            Self::Message => "line of the kernel log",
            Self::Warning => "warning of the kernel",
            Self::Program => "what another program says",
            Self::Exhibit => "exhibit",
            Self::Driver => "driver",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What is known of something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub text: String,
    /// The kernels for which it holds.
    pub kernels: Vec<&'static str>,
    /// What it can say or be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Point>,
    /// The functions that decide.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decides: Vec<Decides>,
    /// What differs between the kernels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Where to see it: lines of `irqlab sh`, or commands that begin with `irqlab`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub look: Vec<String>,
    /// What else to ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub see: Vec<String>,
}

/// Something that an [`Entry`] can say or be: an error of a write, a value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Point {
    /// The error or the value.
    pub name: String,
    /// The kernels for which this holds.
    pub kernels: Vec<&'static str>,
    /// What it means.
    pub text: String,
    /// The functions that decide.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub decides: Vec<Decides>,
}

/// A function that decides, and where it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Decides {
    /// Its name.
    pub function: String,
    /// Where each kernel that has it defines it.
    pub places: Vec<At>,
}

/// Where a kernel has something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct At {
    /// The kernel.
    pub kernel: &'static str,
    /// The C file.
    pub file: String,
    /// The line, where the tables have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// What one kernel does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Note {
    /// The kernel.
    pub kernel: String,
    /// The first line: mostly where it is.
    pub text: String,
    /// More lines, each with a label that may be empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<(String, String)>,
}

impl Note {
    fn new(version: KernelVersion, text: impl Into<String>) -> Self {
        Self { kernel: version.name().to_owned(), text: text.into(), lines: Vec::new() }
    }

    fn line(&mut self, label: &str, text: impl Into<String>) {
        self.lines.push((label.to_owned(), text.into()));
    }
}

impl Entry {
    fn new(kind: Kind, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            text: text.into(),
            kernels: names(KernelVersion::ALL),
            values: Vec::new(),
            decides: Vec::new(),
            notes: Vec::new(),
            look: Vec::new(),
            see: Vec::new(),
        }
    }
}

fn names(versions: &[KernelVersion]) -> Vec<&'static str> {
    versions.iter().map(|version| version.name()).collect()
}

/// Where each of some kernels has functions. Those that a kernel does not have are left out there.
fn decides(functions: &[String], kernels: &[KernelVersion]) -> Vec<Decides> {
    let all = functions.iter().map(|function| words::decider(function));
    let found = all.map(|decider| Decides {
        function: decider.function.to_owned(),
        places: kernels.iter().flat_map(|version| places_of(&decider, *version)).collect(),
    });
    found.filter(|decides| !decides.places.is_empty()).collect()
}

/// Where a kernel has a function that decides.
fn places_of(decider: &words::Decider<'_>, version: KernelVersion) -> Vec<At> {
    let kernel = version.name();
    if let Some(file) = decider.file {
        let there = decider.kernels.is_empty() || decider.kernels.contains(&kernel);
        return there.then(|| At { kernel, file: file.to_owned(), line: None }).into_iter().collect();
    }
    let mut found = source::places(version, decider.function);
    // What arch has takes the place of a weak function.
    if found.iter().any(|place| place.file.starts_with("arch/")) {
        found.retain(|place| place.file.starts_with("arch/"));
    }
    found.into_iter().map(|place| At { kernel, file: place.file, line: Some(place.line) }).collect()
}

/// What was found for a question.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Found {
    /// The answers, the best first.
    pub answers: Vec<Entry>,
    /// Where there are none: names that may have been meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<String>,
}

/// Looks up what somebody typed or pasted. Each line of several is a question of its own.
pub fn look_up(question: &str) -> Found {
    let mut found = Found::default();
    let mut seen: BTreeSet<(Kind, String)> = BTreeSet::new();
    for line in question.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for entry in asked::line(line) {
            if seen.insert((entry.kind, entry.name.clone())) {
                found.answers.push(entry);
            }
        }
    }
    if found.answers.is_empty() {
        found.near = asked::near(question);
    }
    found
}

/// The text of a function, if it is one of those that have one.
pub fn function_text(name: &str) -> Option<&'static str> {
    words::texts().functions.get(name).map(String::as_str)
}
