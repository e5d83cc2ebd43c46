//! The bug museum: bugs of real kernels, each with a machine and a script that show it.
//!
//! An exhibit is a folder of `data/museum`: a machine, a script, a story, and in `exhibit.toml` the values of [`Semantics`] that
//! bring the bug and those that take it away. The assertions of the script decide: with the bug some of them fail, without it none does. If the bug is a race,
//! irqlab searches for it: with the bug it finds something, without it nothing.
//!
//! # What it doesn't implement
//! Kernels between the modelled ones: an exhibit of another release runs on a modelled kernel that is given the behaviour of
//! that release.

mod search;

pub use search::{Found, Search, Searched};

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use kstate::Kernel;
use kstate::semantics::{KernelVersion, Semantics};
use serde::Deserialize;

use crate::{Schedule, World};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::{Failure, Script};

/// Values of fields of [`Semantics`], by name.
pub type Settings = BTreeMap<String, String>;

/// What has to overlap for a bug to show.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Nothing: a sequence of operations is enough.
    State,
    /// Whole events, such as an interrupt and a CPU that goes: their order decides.
    Order,
    /// Two things in the middle of each other: it takes an interleaving that a run does not have by
    /// itself, and is searched for in this way.
    Race(Search),
}

impl Class {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Order => "order",
            Self::Race(_) => "race",
        }
    }
}

/// A bug on display.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// `M03`: the name of its folder.
    pub id: &'static str,
    /// What it is, in a line.
    pub title: String,
    /// What has to overlap.
    pub class: Class,
    /// The release that has the fix, and its commit.
    pub fixed_in: String,
    /// What else a kernel has to do for the bug to show on it.
    pub needs: Settings,
    /// What gives the bug to a kernel that does not have it.
    pub bug: Settings,
    /// What takes the bug away again; each of them does by itself.
    pub fixes: Vec<Settings>,
    /// The machine file.
    pub machine: &'static str,
    /// The script.
    pub script: &'static str,
    /// The story, in Markdown.
    pub story: &'static str,
}

/// The files of an exhibit's folder.
struct Folder {
    id: &'static str,
    exhibit: &'static str,
    machine: &'static str,
    script: &'static str,
    story: &'static str,
}

// FOLDERS: all folders of data/museum, by name. build.rs lists them.
include!(concat!(env!("OUT_DIR"), "/museum.rs"));

/// `exhibit.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Row {
    title: String,
    class: String,
    /// A race is found by so many runs.
    runs: Option<u64>,
    /// A race is found among fewer states than this.
    states: Option<usize>,
    fixed_in: String,
    #[serde(default)]
    needs: Settings,
    bug: Settings,
    fixes: Vec<Settings>,
}

impl Folder {
    /// The exhibit, or what is wrong with its `exhibit.toml`.
    fn exhibit(&self) -> Result<Exhibit, String> {
        let wrong = |why: &str| format!("data/museum/{}/exhibit.toml: {why}", self.id);
        let row: Row = toml::from_str(self.exhibit).map_err(|e| wrong(&e.to_string()))?;
        let class = match (row.class.as_str(), row.runs, row.states) {
            ("state", None, None) => Class::State,
            ("order", None, None) => Class::Order,
            ("race", Some(runs), None) => Class::Race(Search::Runs(runs)),
            ("race", None, Some(states)) => Class::Race(Search::States(states)),
            ("race", _, _) => return Err(wrong("a race has either `runs` or `states`")),
            ("state" | "order", _, _) => return Err(wrong("only a race has `runs` or `states`")),
            _ => return Err(wrong("`class` is state, order or race")),
        };
        let Row { title, fixed_in, needs, bug, fixes, .. } = row;
        let Self { id, machine, script, story, .. } = *self;
        Ok(Exhibit { id, title, class, fixed_in, needs, bug, fixes, machine, script, story })
    }
}

/// All exhibits, by id.
pub static EXHIBITS: LazyLock<Vec<Exhibit>> = LazyLock::new(|| {
    let exhibit = |folder: &Folder| folder.exhibit().unwrap_or_else(|wrong| panic!("{wrong}"));
    FOLDERS.iter().map(exhibit).collect()
});

/// What a run of an exhibit came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Assertions of the script that did not hold.
    pub failed: Vec<Failure>,
    /// What the commands printed, and what went wrong with them.
    pub terminal: Vec<String>,
    /// The kernel log since power-on.
    pub log: Vec<String>,
}

impl Outcome {
    /// For people: what failed, then the terminal without it, then the log, each line indented.
    pub fn text(&self) -> String {
        self.tell(|_| true)
    }

    /// The same, with those lines of the log that `other` does not have.
    pub fn text_beside(&self, other: &Self) -> String {
        let mut alike = other.log.clone();
        self.tell(|line| match alike.iter().position(|l| l == line) {
            Some(at) => {
                alike.remove(at);
                false
            }
            None => true,
        })
    }

    fn tell(&self, mut tells: impl FnMut(&String) -> bool) -> String {
        let Self { failed, terminal, log } = self;
        let mut text = String::new();
        // Writing to a string cannot fail.
        if failed.is_empty() {
            let _ = writeln!(text, "every assertion holds");
        }
        for failure in failed {
            let _ = writeln!(text, "{failure}");
        }
        let is_failure = |line: &&String| failed.iter().any(|failure| line.ends_with(&failure.to_string()));
        lines(&mut text, "terminal", terminal.iter().filter(|line| !is_failure(line)));
        lines(&mut text, "kernel log", log.iter().filter(|line| tells(line)));
        text
    }
}

/// Adds lines, indented, under a heading; nothing if there are none.
fn lines<'a>(text: &mut String, what: &str, lines: impl Iterator<Item = &'a String>) {
    for (i, line) in lines.enumerate() {
        // Writing to a string cannot fail.
        if i == 0 {
            let _ = writeln!(text, "{what}:");
        }
        let _ = writeln!(text, "    {}", line.trim_end());
    }
}

impl Exhibit {
    /// The exhibit with this id, in capitals or not.
    pub fn find(id: &str) -> Option<&'static Self> {
        EXHIBITS.iter().find(|exhibit| exhibit.id.eq_ignore_ascii_case(id))
    }

    /// Ids that somebody may have meant.
    pub fn close_ids(id: &str) -> Vec<&'static str> {
        let id = id.to_ascii_uppercase();
        let close = |exhibit: &&Self| strsim::levenshtein(exhibit.id, &id) <= 1;
        EXHIBITS.iter().filter(close).map(|exhibit| exhibit.id).collect()
    }

    /// The kernels it can be shown on, oldest first.
    pub fn kernels(&self) -> impl Iterator<Item = KernelVersion> {
        KernelVersion::ALL.iter().copied().filter(|kernel| has(&Semantics::of(*kernel), &self.needs))
    }

    /// A kernel has the bug as it is: it can be shown there, and none of the fixes is in.
    pub fn is_live(&self, kernel: KernelVersion) -> bool {
        let kernel = Semantics::of(kernel);
        has(&kernel, &self.needs) && !self.fixes.iter().any(|fix| has(&kernel, fix))
    }

    /// The kernels that have the bug as they are, oldest first.
    pub fn live(&self) -> impl Iterator<Item = KernelVersion> {
        self.kernels().filter(|kernel| self.is_live(*kernel))
    }

    /// The kernel it is shown on without being asked for another: the first that has the bug as it is.
    pub fn kernel(&self) -> KernelVersion {
        self.live().chain(self.kernels()).next().unwrap_or_default()
    }

    /// The machine, under one of its kernels.
    pub fn machine(&self, kernel: KernelVersion) -> Machine {
        let mut machine =
            Machine::parse("machine.toml", self.machine).expect("machines of exhibits are checked by a test");
        machine.kernel = kernel;
        machine
    }

    /// The script.
    pub fn script(&self) -> Script {
        Script::parse("script.sh", self.script).expect("scripts of exhibits are checked by a test")
    }

    /// A kernel with the bug: as it is, if it has it.
    pub fn with_bug(&self, kernel: KernelVersion) -> Semantics {
        let as_it_is = Semantics::of(kernel);
        if self.is_live(kernel) { as_it_is } else { set(as_it_is, &self.bug) }
    }

    /// The same without it, in each of the ways there are.
    pub fn without_bug(&self, kernel: KernelVersion) -> Vec<Semantics> {
        self.fixes.iter().map(|fix| set(self.with_bug(kernel), fix)).collect()
    }

    /// The machine at the beginning of what is open in the script, to be explored.
    pub fn world(&self, kernel: KernelVersion, semantics: Semantics) -> World {
        World::new(Lab::boot_with(&self.machine(kernel), semantics, false), &self.script())
    }

    /// Runs it. `step` is called after every step of the machine.
    pub fn run(&self, kernel: KernelVersion, semantics: Semantics, step: impl FnMut(&Kernel)) -> Outcome {
        let mut lab = Lab::boot_with(&self.machine(kernel), semantics, false);
        lab.run_each(&self.script(), step, |_, _| {});
        Outcome { failed: lab.failed, terminal: lab.terminal, log: lab.k.log.to_vec() }
    }
}

fn has(semantics: &Semantics, settings: &Settings) -> bool {
    settings.iter().all(|(field, value)| semantics.get(field).as_deref() == Some(value.as_str()))
}

fn set(mut semantics: Semantics, settings: &Settings) -> Semantics {
    for (field, value) in settings {
        semantics.set(field, value).expect("settings of exhibits are checked by a test");
    }
    semantics
}

/// The command line that searches the interleavings of an exhibit as `search` does.
pub fn explore_line(exhibit: &Exhibit, semantics: &Semantics, search: Search) -> String {
    format!("irqlab explore --exhibit {} {} {}", exhibit.id, options(semantics), search.options())
}

/// The command line that shows a run of an exhibit again, by its schedule.
pub fn schedule_line(exhibit: &Exhibit, semantics: &Semantics, schedule: &Schedule) -> String {
    replay_command(&format!("--exhibit {}", exhibit.id), semantics, schedule)
}

/// The command line that shows a run again. `subject` is a script and a machine, or an exhibit, in words
/// of a command line.
pub fn replay_command(subject: &str, semantics: &Semantics, schedule: &Schedule) -> String {
    format!("irqlab replay {subject} {} --schedule {schedule}", options(semantics))
}

/// The command line that runs an exported exhibit again. `folder` is where its files are, `out` the
/// folder in there that the recording goes to.
pub fn replay_line(semantics: &Semantics, folder: &str, out: &str) -> String {
    let kernel = options(semantics);
    format!(
        "irqlab run --machine {folder}/machine.toml --script {folder}/script.sh --out {folder}/{out} {kernel}"
    )
}

/// A kernel and what is changed in it, as options.
pub fn options(semantics: &Semantics) -> String {
    let mut text = format!("--kernel {}", semantics.version.name());
    for change in semantics.changes() {
        // Writing to a string cannot fail.
        let _ = write!(text, " --set {change}");
    }
    text
}

/// A kernel and what is changed in it, in words.
pub fn describe(semantics: &Semantics) -> String {
    let changes = semantics.changes();
    let kernel = semantics.version.name();
    if changes.is_empty() {
        format!("{kernel} as it is")
    } else {
        format!("{kernel} with {}", changes.join(" and "))
    }
}
