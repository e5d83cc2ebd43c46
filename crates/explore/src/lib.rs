//! Every interleaving of a script, or many of them.
//!
//! # Architecture
//! A [`World`] is a machine and the shell that runs a script on it. It is a value: it can be copied and compared, and its
//! [`fingerprint`] identifies its state. A [`Step`] is the smallest thing that can happen next: the machine takes one of
//! its own steps, or the shell or one of its jobs goes on. [`World::steps`] lists the possible steps. Every choice,
//! between steps and inside a step, goes through the machine's oracle, so the list of its answers is a run.
//! [`exhaustive`] tries all answers in every state that it has not seen. [`random`] draws them, uniformly or by
//! priorities. [`shrink()`] shortens the [`Schedule`] of a [`Finding`], and [`narrate()`] shows the run. [`coverage`] is
//! what a search has seen of the model.
//!
//! Everything before the first background job runs the quiet way, because preparation is not part of the question. A
//! script without jobs is explored from its beginning.
//!
//! # What it doesn't implement
//! Weak memory: a CPU does a whole step at once, and all others see its result.
//! Independence of two steps of the machine: both orders are tried, and lead to the same state. Only steps of the shell
//! that concern it alone are taken in one order (`exhaustive::reduction`).

use std::sync::Arc;

use kstate::Kernel;
use kstate::oracle::{Choice, Oracle, Point};

use crate::checks::{is_unexpected, nothing_is_lost};
use crate::fingerprint::{Eye, Prints};
use sim::engine;
use sim::invariants::{check_invariants, check_invariants_since};
use sim::lab::Lab;
use sim::script::{Script, Statement, Variables};
use sim::shell::{ActorId, Bench, Progress, Shell};

mod blocked;
pub mod checks;
pub mod coverage;
pub mod exhaustive;
pub mod fingerprint;
pub mod generate;
mod graph;
mod jobs;
pub mod museum;
mod narrate;
mod pool;
pub mod random;
mod schedule;
mod shrink;

pub use blocked::{wait_for, waits_for_itself};
pub use narrate::{Chosen, Detail, Misfit, Narration, Told, narrate};
pub use schedule::{Schedule, ScheduleError};
pub use shrink::shrink;

/// The smallest thing that can happen next. The word means the same everywhere: a depth, a bound and a length
/// of a run are counted in steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The machine does something.
    Machine(engine::Step),
    /// The shell or one of its jobs goes on.
    Actor(ActorId),
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// An assertion of the script does not hold.
    Property,
    /// The kernel says something that it does not say while all is well.
    Log,
    /// A rule that holds in every state is broken.
    Invariant,
    /// Everything has come to rest, and something was not done.
    Lost,
    /// Tasks wait for each other, or for something that will not happen.
    Deadlock,
    /// A state comes back: what happened in between can happen for ever.
    Livelock,
}

impl Kind {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Property => "assertion",
            Self::Log => "log",
            Self::Invariant => "invariant",
            Self::Lost => "lost",
            Self::Deadlock => "deadlock",
            Self::Livelock => "livelock",
        }
    }
}

/// Something wrong, and how to get there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What kind of thing.
    pub kind: Kind,
    /// In words.
    pub text: String,
    /// The answers that lead there.
    pub schedule: Schedule,
    /// Steps until it showed.
    pub depth: usize,
}

/// What goes wrong in a state or on the way to it, before it has a way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// What kind of thing.
    pub kind: Kind,
    /// In words.
    pub text: String,
}

/// Two texts about what is wrong are about the same thing: numbers, which tell one run from another, are
/// not looked at.
pub fn is_like(text: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    plain(text) == plain(other)
}

impl Finding {
    /// It is one of this.
    fn shows(&self, wrong: &Wrong) -> bool {
        self.kind == wrong.kind && is_like(&self.text, &wrong.text)
    }
}

impl Wrong {
    fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Two runs found the same thing.
    fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind && is_like(&self.text, &other.text)
    }
}

/// A machine and the shell that runs a script on it.
///
/// Copies have the shell and the terminal in common until one of them changes them.
#[derive(Debug)]
pub struct World {
    /// The machine.
    pub k: Kernel,
    /// What was printed.
    pub terminal: Arc<Vec<String>>,
    /// The shell.
    pub shell: Arc<Shell>,
    /// How much of the log and of the failed assertions was looked at.
    seen: (usize, usize),
    /// Tasks wait in a circle, and that was said. They do so for ever.
    circle: bool,
    /// The fingerprints of its parts, where they were taken since it was changed.
    prints: Prints,
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            k: self.k.clone(),
            terminal: Arc::clone(&self.terminal),
            shell: Arc::clone(&self.shell),
            seen: self.seen,
            circle: self.circle,
            prints: Prints::default(),
        }
    }

    /// Costs less than a copy where both have much in common, and takes no memory then.
    fn clone_from(&mut self, source: &Self) {
        let Self { k, terminal, shell, seen, circle, prints } = self;
        k.clone_from(&source.k);
        clone_shared(terminal, &source.terminal);
        clone_shared(shell, &source.shell);
        (*seen, *circle) = (source.seen, source.circle);
        prints.forget();
    }
}

/// Threads that count the same references wait for each other: who has it already does not count.
fn clone_shared<T>(value: &mut Arc<T>, source: &Arc<T>) {
    if !Arc::ptr_eq(value, source) {
        value.clone_from(source);
    }
}

impl World {
    /// A booted machine at the beginning of what is open in a script.
    pub fn new(lab: Lab, script: &Script) -> Self {
        let shell = Shell::new(Arc::new(script.clone()), Variables::default());
        let mut world = Self {
            k: lab.k,
            terminal: Arc::new(lab.terminal),
            shell: Arc::new(shell),
            seen: (0, 0),
            circle: false,
            prints: Prints::default(),
        };
        if script.starts_jobs() {
            while !world.shell.starts_job_next() && !world.shell.done() {
                world.act_quietly();
            }
        }
        world.k.oracle = Oracle::scripted(Vec::new()).interleaving();
        world.seen = (world.k.log.len(), 0);
        world.k.share();
        world
    }

    fn act_quietly(&mut self) -> Progress {
        let Self { k, terminal, shell, .. } = self;
        Arc::make_mut(shell).advance(&mut Bench { k, terminal: Arc::make_mut(terminal) })
    }

    /// The same world with other answers to come.
    pub fn with(&self, oracle: Oracle) -> Self {
        let mut world = self.clone();
        world.k.oracle = oracle.interleaving();
        world
    }

    /// The steps there are, the quiet one first. The clock goes on where only a `sleep` is left.
    pub fn steps(&mut self) -> Vec<Step> {
        loop {
            let (steps, limit) = self.steps_now();
            match limit {
                Some(until) if steps.is_empty() && until > self.k.events.now => {
                    self.prints.forget();
                    self.k.events.now = until;
                }
                _ => return steps,
            }
        }
    }

    /// The steps there are before the clock goes on, and how far it may go.
    fn steps_now(&self) -> (Vec<Step>, Option<u64>) {
        let limit = if self.shell.done() { None } else { self.shell.limit(true) };
        let steps = engine::candidates(&self.k, limit.unwrap_or(u64::MAX));
        let mut steps: Vec<Step> = steps.into_iter().map(Step::Machine).collect();
        // Nobody sleeps where all wait for others, so that the limit is not what leaves the machine nothing to do.
        let hangs = steps.is_empty() && self.shell.waits_for_others(&self.k);
        if !hangs {
            let ready = self.shell.ready_if(&self.k, true, false);
            steps.extend(ready.filter(|actor| self.shell.has_cpu(&self.k, *actor)).map(Step::Actor));
        }
        (steps, limit)
    }

    /// Takes a step. For one of the shell: the statement that it began.
    pub fn take(&mut self, next: Step) -> Option<Statement> {
        self.prints.forget();
        let actor = match next {
            Step::Machine(step) => {
                engine::take(&mut self.k, step);
                return None;
            }
            Step::Actor(actor) => actor,
        };
        // Nobody who spins looks again: what a command does at once ends no handler, empties no register of a local APIC and
        // no queue of a device, and these are what is spun for.
        let Self { k, terminal, shell, .. } = self;
        let (shell, terminal) = (Arc::make_mut(shell), Arc::make_mut(terminal));
        loop {
            match shell.act(&mut Bench { k, terminal }, actor) {
                Progress::Began(statement) => return Some(statement),
                // That a command has returned is no step of its own.
                Progress::Returned | Progress::Ended | Progress::Directive(_)
                    if shell.ready(k, true).any(|ready| ready == actor) => {}
                _ => return None,
            }
        }
    }

    /// Lets the oracle choose the next step; `None` when there is none.
    pub fn advance(&mut self) -> Option<Step> {
        let steps = self.steps();
        let next = self.choose(&steps)?;
        self.take(next);
        Some(next)
    }

    /// The step that the oracle chooses; `None` where there is none.
    pub fn choose(&mut self, steps: &[Step]) -> Option<Step> {
        let n = self.k.oracle.choose(Point::Schedule, steps.len() as u32);
        steps.get(n as usize).copied()
    }

    /// What the last steps did wrong. Looking again finds nothing new.
    pub fn check(&mut self) -> Option<Wrong> {
        self.check_since(None)
    }

    /// The same. `before` is the world before the last step, in which all rules hold.
    fn check_since(&mut self, before: Option<&Self>) -> Option<Wrong> {
        let seen = core::mem::replace(&mut self.seen, (self.k.log.len(), self.shell.failed.len()));
        if let Some(failure) = self.shell.failed.get(seen.1) {
            return Some(Wrong::new(Kind::Property, failure.to_string()));
        }
        let said = self.k.log.iter().skip(seen.0).find(|line| is_unexpected(&self.k.sem, line));
        if let Some(line) = said {
            return Some(Wrong::new(Kind::Log, line.clone()));
        }
        let rules = match before {
            Some(before) => check_invariants_since(&self.k, &before.k),
            None => check_invariants(&self.k),
        };
        if let Err(broken) = rules {
            return Some(Wrong::new(Kind::Invariant, broken));
        }
        if self.circle {
            return None;
        }
        let circle = blocked::waits_for_itself(&self.k)?;
        self.circle = true;
        Some(Wrong::new(Kind::Deadlock, circle))
    }

    /// What is wrong with a world in which nothing more will happen.
    pub fn check_end(&self) -> Option<Wrong> {
        if !self.shell.done() {
            return Some(Wrong::new(Kind::Deadlock, wait_for(self)));
        }
        nothing_is_lost(&self.k).err().map(|lost| Wrong::new(Kind::Lost, lost))
    }

    /// Its fingerprint. `before` is the world before the last step; what is the same there need not be hashed.
    fn print(&mut self, eye: Eye, before: Option<&Self>) -> u64 {
        let mut prints = core::mem::take(&mut self.prints);
        let print = prints.take(self, eye, before.map(|before| (before, &before.prints)));
        debug_assert_eq!(print, eye.print(self), "what is the same has the same fingerprint");
        self.prints = prints;
        print
    }

    /// Takes the choices that were made since the last time.
    fn take_log(&mut self) -> Vec<Choice> {
        core::mem::take(&mut self.k.oracle.log)
    }
}
