//! The only source of nondeterminism.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Where a choice is made. The name is what a schedule prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Point {
    /// Which of several runnable tasks or pending interrupts goes next.
    Schedule,
    /// How long a device takes for a command.
    Latency,
    /// What hardware does between two register accesses of the kernel.
    Hardware,
    /// Whether a device gets round to something before the kernel takes its next step; see [`Oracle::racing`].
    Device,
    /// On which of its CPUs an unbound worker runs; see [`Oracle::racing`].
    Worker,
}

/// How choices are made.
#[derive(Clone, Debug)]
enum Policy {
    Quiet,
    Seeded(Box<ChaCha8Rng>),
    Scripted { list: Vec<u32>, next: usize },
}

/// An answer that was not forced.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Choice {
    /// Where it was made.
    pub point: Point,
    /// The answer.
    pub answer: u32,
    /// How many there were to choose from.
    pub of: u32,
}

/// A choice of [`Oracle::racing`] that was not the quiet one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Race {
    /// Its place in [`Oracle::log`].
    pub place: usize,
    /// Who did what, and where or when, in words.
    pub text: String,
}

/// Answers every question that the machine itself leaves open. Choice 0 means "nothing unusual".
#[derive(Clone, Debug)]
pub struct Oracle {
    policy: Policy,
    /// See [`Oracle::racing`].
    races: bool,
    /// Every answer that was not forced, in order: with it the run can be replayed.
    pub log: Vec<Choice>,
    /// What the answers of [`Oracle::racing`] that are not 0 came to, in order.
    pub raced: Vec<Race>,
    /// Interrupts are cut where other CPUs can see that they are half done, and devices act when they
    /// are chosen to. Without it an interrupt runs whole and devices keep to their latencies.
    pub interleave: bool,
}

impl Default for Oracle {
    fn default() -> Self {
        Self::with(Policy::Quiet)
    }
}

impl Oracle {
    fn with(policy: Policy) -> Self {
        Self { policy, races: false, log: Vec::new(), raced: Vec::new(), interleave: false }
    }

    /// Answers drawn from a seed.
    pub fn seeded(seed: u64) -> Self {
        Self::with(Policy::Seeded(Box::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    /// Answers read from a list; 0 after its end.
    pub fn scripted(list: Vec<u32>) -> Self {
        Self::with(Policy::Scripted { list, next: 0 })
    }

    /// The same answers, with everything open that can be; see [`Oracle::interleave`].
    pub fn interleaving(self) -> Self {
        Self { interleave: true, ..self }
    }

    /// Answers read from a list, to the questions that two runs of a real machine answer differently though nothing is
    /// started at the same time: when a device gets round to something ([`Point::Device`], [`Point::Hardware`]), and where
    /// an unbound worker runs ([`Point::Worker`]). Everything else goes as it goes in the quiet run.
    pub fn racing(list: Vec<u32>) -> Self {
        Self { races: true, ..Self::scripted(list) }
    }

    /// It is one of [`Oracle::racing`].
    pub const fn is_racing(&self) -> bool {
        self.races
    }

    /// Notes what the last answer of one that is [racing](Oracle::racing) came to.
    pub fn race(&mut self, text: String) {
        if self.races {
            self.raced.push(Race { place: self.log.len().saturating_sub(1), text });
        }
    }

    /// Choices of this kind are made, and not only the quiet answer given.
    const fn is_open(&self, point: Point) -> bool {
        match point {
            Point::Schedule => !self.races,
            // Where everything is open a device acts when it is chosen to.
            Point::Latency => !self.races && !self.interleave,
            Point::Hardware => true,
            Point::Device | Point::Worker => self.races,
        }
    }

    /// Every answer will be 0.
    pub const fn is_quiet(&self) -> bool {
        matches!(self.policy, Policy::Quiet)
    }

    /// One of `n` possibilities. `n` of 0 or 1 leaves no choice and is not logged.
    pub fn choose(&mut self, point: Point, n: u32) -> u32 {
        if n < 2 || !self.is_open(point) {
            return 0;
        }
        let answer = match &mut self.policy {
            Policy::Quiet => return 0,
            Policy::Seeded(rng) => rng.random_range(0..n),
            Policy::Scripted { list, next } => {
                let answer = list.get(*next).copied().unwrap_or(0).min(n - 1);
                *next += 1;
                answer
            }
        };
        self.log.push(Choice { point, answer, of: n });
        answer
    }

    /// Notes a choice among `n` that was made elsewhere.
    pub fn note(&mut self, point: Point, answer: u32, n: u32) {
        if n > 1 {
            self.log.push(Choice { point, answer, of: n });
        }
    }
}
