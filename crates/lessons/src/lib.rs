//! Lessons: from two phases to what hotplug does, with questions whose answers the machine knows.
//!
//! A lesson is a folder of `data`: a machine, a script, a text, and in `lesson.toml` the stations and the questions. A
//! station is a place in the run of the script. It is named by a breakpoint or by a command that is done, never by a
//! number, so that it is found on every kernel. What is true at a station is read from the machine there ([`Walk`]); no
//! file says which answer is right.
//!
//! # What it doesn't implement
//! Showing a lesson on a terminal: the command line does.

mod page;
mod truth;
mod walk;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kstate::semantics::KernelVersion;
use serde::Deserialize;

pub use page::{index, letter};
pub use walk::{Answer, Stand, Walk};

/// A lesson.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Its number, from 1: the name of its folder.
    pub number: u32,
    /// What it is about, in a line.
    pub title: String,
    /// The kernels that it holds for.
    pub kernels: Vec<KernelVersion>,
    /// What `{NAME}` stands for in stations, questions and truths: the first interrupt of which it is true.
    names: BTreeMap<String, String>,
    /// Places in the run, in this order.
    pub stations: Vec<Station>,
    /// What is asked.
    pub questions: Vec<Question>,
    /// The machine file.
    pub machine: &'static str,
    /// The script.
    pub script: &'static str,
    /// The text, in Markdown. `[NAME]` is a station.
    pub text: &'static str,
}

/// A place in the run of a script.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Station {
    /// What the text calls it.
    pub name: String,
    /// The breakpoint that is hit there: the first time after the station before.
    at: Option<String>,
    /// The command of the script that is done there; `boot` is before the first one.
    after: Option<String>,
}

/// A question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is asked.
    pub ask: String,
    /// The station at which the answer can be seen.
    pub at: String,
    /// The file that has the answer; `record` for the record at the station.
    read: Option<String>,
    /// The answer stands behind this label, or is this field of the record.
    field: Option<String>,
    /// What there is to choose from.
    #[serde(default, rename = "choice")]
    pub choices: Vec<Choice>,
    /// What to look at after a wrong answer.
    pub hint: String,
}

/// An answer to choose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What it says.
    pub text: String,
    /// What has to be true at the station for it to be right.
    holds: String,
}

/// The files of a lesson's folder.
struct Folder {
    number: u32,
    lesson: &'static str,
    machine: &'static str,
    script: &'static str,
    text: &'static str,
}

// FOLDERS: all folders of data, by number. build.rs lists them.
include!(concat!(env!("OUT_DIR"), "/lessons.rs"));

/// `lesson.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    title: String,
    kernels: Vec<String>,
    #[serde(default)]
    name: BTreeMap<String, String>,
    station: Vec<Station>,
    question: Vec<Question>,
}

impl Folder {
    /// The lesson, or what is wrong with its `lesson.toml`.
    fn lesson(&self) -> Result<Lesson, String> {
        let wrong = |why: &str| format!("data/{}/lesson.toml: {why}", self.number);
        let row: Row = toml::from_str(self.lesson).map_err(|e| wrong(&e.to_string()))?;
        let kernel = |name: &String| {
            KernelVersion::from_name(name).ok_or_else(|| wrong(&format!("`{name}` is no kernel")))
        };
        let kernels = row.kernels.iter().map(kernel).collect::<Result<_, _>>()?;
        for station in &row.station {
            if station.at.is_some() == station.after.is_some() {
                return Err(wrong(&format!("station {} has either `at` or `after`", station.name)));
            }
        }
        for question in &row.question {
            if !row.station.iter().any(|station| station.name == question.at) {
                return Err(wrong(&format!("there is no station {}", question.at)));
            }
            if question.read.is_none() == question.choices.is_empty() {
                return Err(wrong(&format!("`{}` has either `read` or choices", question.ask)));
            }
        }
        Ok(Lesson {
            number: self.number,
            title: row.title,
            kernels,
            names: row.name,
            stations: row.station,
            questions: row.question,
            machine: self.machine,
            script: self.script,
            text: self.text,
        })
    }
}

/// All lessons, in their order.
pub static LESSONS: LazyLock<Vec<Lesson>> = LazyLock::new(|| {
    let lesson = |folder: &Folder| folder.lesson().unwrap_or_else(|wrong| panic!("{wrong}"));
    FOLDERS.iter().map(lesson).collect()
});

impl Lesson {
    /// The lesson of this number.
    pub fn find(number: u32) -> Option<&'static Self> {
        LESSONS.iter().find(|lesson| lesson.number == number)
    }

    /// The kernel of its machine file, on which it is shown if nobody names another.
    pub fn kernel(&self) -> KernelVersion {
        sim::machine::Machine::parse("machine.toml", self.machine)
            .map_or(self.kernels[0], |machine| machine.kernel)
    }

    /// The commands of its script.
    pub fn commands(&self) -> impl Iterator<Item = &'static str> {
        self.script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    }
}

impl Station {
    /// Where it is, for somebody who wants to go there in a session.
    pub fn place(&self) -> String {
        match (&self.at, &self.after) {
            (Some(at), _) => format!(":break {at}"),
            (None, Some(after)) if after == "boot" => "before the first command".to_owned(),
            (None, after) => format!("after `{}`", after.as_deref().unwrap_or_default()),
        }
    }
}
