//! The bug museum: bugs of real kernels, each with a machine and a script that show it.
//!
//! An exhibit is data: the texts in `data/museum/ID`, the values of [`Semantics`] that bring the bug, and those that take it
//! away. The assertions of the script decide: with the bug some of them fail, without it none does. If the bug is a race,
//! irqlab searches for it: with the bug it finds something, without it nothing.
//!
//! # What it doesn't implement
//! Kernels between the modelled ones: an exhibit of another release runs on a modelled kernel that is given the behaviour of
//! that release.

mod search;

pub use search::{Found, Search, Searched};

use core::fmt::Write as _;

use kstate::Kernel;
use kstate::semantics::{KernelVersion, Semantics};

use crate::{Schedule, World};
use sim::lab::Lab;
use sim::machine::Machine;
use sim::script::{Failure, Script};

/// Values of fields of [`Semantics`], by name.
pub type Settings = &'static [(&'static str, &'static str)];

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
#[derive(Clone, Copy, Debug)]
pub struct Exhibit {
    /// `M03`.
    pub id: &'static str,
    /// What it is, in a line.
    pub title: &'static str,
    /// What has to overlap.
    pub class: Class,
    /// The release that has the fix, and its commit.
    pub fixed_in: &'static str,
    /// What else a kernel has to do for the bug to show on it.
    pub needs: Settings,
    /// What gives the bug to a kernel that does not have it.
    pub bug: Settings,
    /// What takes the bug away again; each of them does by itself.
    pub fixes: &'static [Settings],
    /// The machine file.
    pub machine: &'static str,
    /// The script.
    pub script: &'static str,
    /// The story, in Markdown.
    pub story: &'static str,
}

macro_rules! texts {
    ($id:literal, $file:literal) => {
        include_str!(concat!("../data/museum/", $id, "/", $file))
    };
}

macro_rules! exhibits {
    ($(
        $id:literal $title:literal, $class:ident $(by $search:ident $many:literal)?, fixed in $fixed:literal {
            $(needs: [$($need:literal = $need_value:literal),+],)?
            bug: [$($bug:literal = $bug_value:literal),+],
            fixes: $([$($fix:literal = $fix_value:literal),+]),+,
        }
    )+) => {
        /// All exhibits, by id.
        pub const EXHIBITS: &[Exhibit] = &[$(Exhibit {
            id: $id,
            title: $title,
            class: Class::$class $((Search::$search($many)))?,
            fixed_in: $fixed,
            needs: &[$($(($need, $need_value)),+)?],
            bug: &[$(($bug, $bug_value)),+],
            fixes: &[$(&[$(($fix, $fix_value)),+]),+],
            machine: texts!($id, "machine.toml"),
            script: texts!($id, "script.sh"),
            story: texts!($id, "story.md"),
        }),+];
    };
}

exhibits! {
    "L1" "A CPU's free vectors are miscounted while it is offline", State, fixed in "no release" {
        bug: ["matrix_counts_offline" = "off"],
        fixes: ["matrix_counts_offline" = "on"],
    }
    "M01" "An interrupt can be moved once and never again", State, fixed in "5.9 (e027fffff799)" {
        bug: ["irq_regs_lose_vector" = "on"],
        fixes: ["irq_regs_lose_vector" = "off"],
    }
    "M02" "The vector count of CPU 0 wraps to 4294967295", State, fixed in "5.12 (a501b048a95b), 5.13 (c93a5e20c3c2)" {
        needs: ["cpu0_hotplug" = "on"],
        bug: ["isa_irq2_refused" = "off", "matrix_free_checks_bit" = "off"],
        fixes: ["isa_irq2_refused" = "on"], ["matrix_free_checks_bit" = "on"],
    }
    "M03" "A vector leaks if its CPU goes offline before the moved interrupt arrives", Order,
    fixed in "6.10 (a6c11c0a5235)" {
        bug: ["migrate_completes_move_first" = "off"],
        fixes: ["migrate_completes_move_first" = "on"],
    }
    "M04" "Requests are lost when the last CPU of their queue goes offline", Order, fixed in "5.8 (bf0beec0607d)" {
        bug: ["hctx_drain" = "off"],
        fixes: ["hctx_drain" = "on"],
    }
    "M05" "CPU hotplug forgets disable_irq() of a managed interrupt", State,
    fixed in "6.16 (788019eb559f)" {
        bug: ["managed_shutdown_keeps_depth" = "off"],
        fixes: ["managed_shutdown_keeps_depth" = "on"],
    }
    "M09" "A queue stays inactive after its isolated CPU comes back", State, fixed in "6.10 (7b815817aa58)" {
        needs: ["hctx_skips_isolated_cpus" = "on"],
        bug: ["hctx_online_tests_cpumask" = "on"],
        fixes: ["hctx_online_tests_cpumask" = "off"],
    }
    "M11" "A CPU that goes offline switches its APIC off and loses a message", Race by Runs 2_000,
    fixed in "5.9 (52d6b926aabc)" {
        bug: ["apic_disabled_before_fixup" = "on"],
        fixes: ["apic_disabled_before_fixup" = "off"],
    }
    "M12" "A device sends a message with the new CPU and the old vector", Race by Runs 2_000,
    fixed in "5.6 (6f1a4891a592), not in 6.12 or 7.3" {
        bug: ["msi_affinity" = "one-write"],
        fixes: ["msi_affinity" = "staged-if-not-maskable"],
    }
    "M13" "The old CPU never leaves the handler of a moved interrupt", Race by States 100_000,
    fixed in "6.17 (8d39d6ec4db5)" {
        bug: ["edge_waits_for_old_cpu" = "off"],
        fixes: ["edge_waits_for_old_cpu" = "on"],
    }
    "M14" "A late interrupt overwrites a vector that was just set up", Race by Runs 2_000,
    fixed in "6.17 (ce0b5eedcb75), 6.12.43" {
        bug: ["reevaluates_vector" = "off"],
        fixes: ["reevaluates_vector" = "on"],
    }
    "M15" "A CPU cannot go offline because managed vectors are counted too", State,
    fixed in "6.7 (a0b0bad10587)" {
        bug: ["matrix_allocated_counts_managed" = "on"],
        fixes: ["matrix_allocated_counts_managed" = "off"],
    }
    "M16" "An interrupt stays on a dead CPU because its other CPUs are full", State,
    fixed in "6.10 (88d724e2301a)" {
        bug: ["migrate_breaks_affinity_on_enospc" = "off"],
        fixes: ["migrate_breaks_affinity_on_enospc" = "on"],
    }
    "M17" "The kernel reports exhausted vectors although nearly all are free", State,
    fixed in "5.10 (190113b4c653)" {
        bug: ["any_vector_node_last" = "off"],
        fixes: ["any_vector_node_last" = "on"],
    }
    "M23" "A small node is given more vectors than it has CPUs", State, fixed in "5.4 (b1a5a73e64e9)" {
        bug: ["nodes_share_by_cpus" = "off"],
        fixes: ["nodes_share_by_cpus" = "on"],
    }
    "M25" "An isolated CPU handles the interrupts of others' disks", State, fixed in "5.6 (11ea68f553e2)" {
        bug: ["housekeeping_managed_irq" = "off"],
        fixes: ["housekeeping_managed_irq" = "on"],
    }
}

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
        KernelVersion::ALL.iter().copied().filter(|kernel| has(&Semantics::of(*kernel), self.needs))
    }

    /// A kernel has the bug as it is: it can be shown there, and none of the fixes is in.
    pub fn is_live(&self, kernel: KernelVersion) -> bool {
        let kernel = Semantics::of(kernel);
        has(&kernel, self.needs) && !self.fixes.iter().any(|fix| has(&kernel, fix))
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
        if self.is_live(kernel) { as_it_is } else { set(as_it_is, self.bug) }
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
        Outcome { failed: lab.failed, terminal: lab.terminal, log: lab.k.log }
    }
}

fn has(semantics: &Semantics, settings: Settings) -> bool {
    settings.iter().all(|(field, value)| semantics.get(field).as_deref() == Some(*value))
}

fn set(mut semantics: Semantics, settings: Settings) -> Semantics {
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
    for change in changes(semantics) {
        // Writing to a string cannot fail.
        let _ = write!(text, " --set {change}");
    }
    text
}

/// What of `semantics` no kernel of its version has, as `--set` takes it.
fn changes(semantics: &Semantics) -> Vec<String> {
    let changed = semantics.differences(semantics.version);
    changed
        .into_iter()
        .map(|field| format!("{}={}", field.name, semantics.get(field.name).unwrap_or_default()))
        .collect()
}

/// A kernel and what is changed in it, in words.
pub fn describe(semantics: &Semantics) -> String {
    let changes = changes(semantics);
    let kernel = semantics.version.name();
    if changes.is_empty() {
        format!("{kernel} as it is")
    } else {
        format!("{kernel} with {}", changes.join(" and "))
    }
}
