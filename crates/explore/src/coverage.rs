//! What a search has seen of the model: which functions, how they ended, and which kinds of steps.
//!
//! A search notes it where its world records ([`World::cover`]). The records of a step are looked through and dropped at
//! once, so that copies of the world stay small.
//!
//! # What it doesn't implement
//! Branches within a function that show in nothing it returns.

use core::hash::{Hash, Hasher};
use std::collections::{BTreeMap, BTreeSet, HashSet};

use foldhash::quality::FixedState;
use kstate::event::Event;
use kstate::oracle::{Choice, Point};
use kstate::trace::{FnMeta, Record, Recorded, What};

use super::World;
use super::graph::Agent;

/// A kind of step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StepKind {
    /// A CPU takes an interrupt.
    Interrupt,
    /// A CPU goes on with an interrupt that was cut.
    InInterrupt,
    /// A CPU runs its softirqs.
    Softirq,
    /// A task runs to its next wait.
    Task,
    /// A device does something, between two steps of the kernel.
    Device,
    /// A device does something between two register accesses of the kernel.
    DeviceInBetween,
    /// A CPU's timer cleans up its vectors.
    VectorCleanup,
    /// The IO-APIC looks at the line of a pin again.
    PinAgain,
    /// A level-triggered line changes after a delay.
    Line,
    /// Somebody has slept for long enough.
    WakeUp,
    /// A request was not completed in time.
    RequestTimeout,
    /// The shell or a job goes on.
    Shell,
}

impl StepKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Interrupt,
        Self::InInterrupt,
        Self::Softirq,
        Self::Task,
        Self::Device,
        Self::DeviceInBetween,
        Self::VectorCleanup,
        Self::PinAgain,
        Self::Line,
        Self::WakeUp,
        Self::RequestTimeout,
        Self::Shell,
    ];

    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::InInterrupt => "in an interrupt",
            Self::Softirq => "softirq",
            Self::Task => "task",
            Self::Device => "device",
            Self::DeviceInBetween => "device between two accesses",
            Self::VectorCleanup => "vector cleanup timer",
            Self::PinAgain => "IO-APIC pin",
            Self::Line => "interrupt line",
            Self::WakeUp => "wake-up",
            Self::RequestTimeout => "request timeout",
            Self::Shell => "shell",
        }
    }

    /// The kind of a step by who takes it.
    fn of(agent: Agent) -> Self {
        match agent {
            Agent::Entry(_) => Self::Interrupt,
            Agent::Hardirq(_) => Self::InInterrupt,
            Agent::Softirq(_) => Self::Softirq,
            Agent::Task(_) => Self::Task,
            Agent::Actor(_) => Self::Shell,
            Agent::Event(event) => match event {
                Event::Device(..) => Self::Device,
                Event::VectorCleanup(_) => Self::VectorCleanup,
                Event::IoApicLevel(_) => Self::PinAgain,
                Event::IntxLevel(..) => Self::Line,
                Event::Wake(_) | Event::WakeOn(_) => Self::WakeUp,
                Event::BlkTimeout(_) => Self::RequestTimeout,
            },
        }
    }
}

/// How a function ended, as far as it is told apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ended {
    /// With the negative of this error number; a value that is not there is -1, too.
    Error(u16),
    /// With 0: success, or false.
    Zero,
    /// With 1: true, or one of a count.
    One,
    /// With another value.
    More,
}

impl Ended {
    fn of(word: u64) -> Self {
        match word as i64 {
            error @ -4095..=-1 => Self::Error(-error as u16),
            0 => Self::Zero,
            1 => Self::One,
            _ => Self::More,
        }
    }
}

/// A function that was entered, or how it ended. Functions are told apart by where what is known of them stands.
#[derive(Clone, Copy, Debug)]
struct Call {
    meta: &'static FnMeta,
    ended: Option<Ended>,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.meta, other.meta) && self.ended == other.ended
    }
}

impl Eq for Call {}

impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        core::ptr::from_ref(self.meta).hash(state);
        self.ended.hash(state);
    }
}

/// A function by its name and its C files.
pub type Function = (&'static str, &'static [&'static str]);

/// What was seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    calls: HashSet<Call, FixedState>,
    /// Kinds of steps, and whether they were taken although the quiet choice was another.
    steps: BTreeSet<(StepKind, bool)>,
}

impl Seen {
    /// The functions that were entered, and how they ended where that was recorded.
    pub fn functions(&self) -> BTreeMap<Function, BTreeSet<Ended>> {
        let mut functions: BTreeMap<Function, BTreeSet<Ended>> = BTreeMap::new();
        for Call { meta, ended } in &self.calls {
            functions.entry((meta.name, meta.files)).or_default().extend(*ended);
        }
        functions
    }

    /// A step of this kind was taken as the quiet choice, or although that was another.
    pub fn has_step(&self, kind: StepKind, unusual: bool) -> bool {
        self.steps.contains(&(kind, unusual))
    }

    /// Adds what was seen elsewhere.
    pub fn add(&mut self, other: Self) {
        if self.calls.is_empty() {
            self.calls = other.calls;
        } else {
            self.calls.extend(other.calls);
        }
        self.steps.extend(other.steps);
    }

    fn records(&mut self, records: &[Record]) {
        for record in records {
            match record.what {
                What::Enter { meta, .. } => {
                    self.calls.insert(Call { meta, ended: None });
                }
                What::Exit { meta, ret } => {
                    self.calls.insert(Call { meta, ended: ret.map(Ended::of) });
                }
                What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
            }
        }
    }

    /// Notes a step that `agent` took and the choices that were made in it, and takes its records from the world.
    pub(super) fn step(&mut self, world: &mut World, agent: Agent, made: &[Choice]) {
        let unusual = |point| made.iter().any(|choice| choice.point == point && choice.answer != 0);
        self.steps.insert((StepKind::of(agent), unusual(Point::Schedule)));
        if made.iter().any(|choice| choice.point == Point::Hardware) {
            self.steps.insert((StepKind::DeviceInBetween, unusual(Point::Hardware)));
        }
        world.forget(self);
    }
}

impl World {
    /// Records what it does from here on, for a search that notes what it sees. Returns what was seen before: nothing
    /// unless it recorded already.
    pub fn cover(&mut self) -> Seen {
        let mut before = Seen::default();
        self.forget(&mut before);
        self.k.trace.record(Recorded::Kernel);
        before
    }

    /// A search of this world notes what it sees.
    pub(super) const fn covers(&self) -> bool {
        self.k.trace.on
    }

    /// The same world, which records nothing.
    pub(super) fn unrecorded(&self) -> Self {
        let mut world = self.clone();
        world.k.trace.record(Recorded::Nothing);
        world
    }

    /// Moves what was recorded to `seen`.
    fn forget(&mut self, seen: &mut Seen) {
        let trace = &mut self.k.trace;
        seen.records(&trace.records);
        trace.records.clear();
        // What the tracer of a world that records nothing has in its buffer: nothing.
        trace.marks.clear();
        // Contexts of interrupts that are over.
        let sched = &self.k.sched;
        let tasks = sched.tasks.iter().map(|task| task.ctx);
        let used = tasks.chain(sched.hardirqs.values().map(|hardirq| hardirq.ctx)).chain([self.k.cur.ctx]);
        trace.ctxs.truncate(used.map(|ctx| ctx.0 as usize + 1).max().unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_errors_truths_or_more() {
        assert_eq!(Ended::of(i64::from(kstate::errno::Errno::EBUSY.code()) as u64), Ended::Error(16));
        assert_eq!(Ended::of(u64::MAX), Ended::Error(1));
        assert_eq!([0, 1, 2, 1 << 40].map(Ended::of), [Ended::Zero, Ended::One, Ended::More, Ended::More]);
    }

    #[test]
    fn every_kind_of_step_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = StepKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), StepKind::ALL.len());
    }
}
