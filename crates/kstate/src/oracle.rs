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

/// Answers every question that the machine itself leaves open. Choice 0 means "nothing unusual".
#[derive(Clone, Debug)]
pub struct Oracle {
    policy: Policy,
    /// Every answer that was not forced, in order: with it the run can be replayed.
    pub log: Vec<Choice>,
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
        Self { policy, log: Vec::new(), interleave: false }
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

    /// Every answer will be 0.
    pub const fn is_quiet(&self) -> bool {
        matches!(self.policy, Policy::Quiet)
    }

    /// One of `n` possibilities. `n` of 0 or 1 leaves no choice and is not logged.
    pub fn choose(&mut self, point: Point, n: u32) -> u32 {
        // Where everything is open a device acts when it is chosen to.
        if n < 2 || self.interleave && point == Point::Latency {
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
