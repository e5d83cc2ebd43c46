//! Many interleavings of a script, up to a bound.

use core::fmt;
use core::ops::ControlFlow;

use explore::random::{Plan, Strategy};
use explore::{World, exhaustive, random, shrink};

/// Steps after which a run is given up.
const DEPTH: usize = 10_000;
/// Different findings to collect.
const FINDINGS: usize = 8;

/// How far a search goes.
///
/// ```
/// use irqlab_test::Bound;
///
/// assert_eq!(Bound::runs(100), Bound::Runs { runs: 100, seed: 1 });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// So many runs, drawn from a seed.
    Runs {
        /// How many.
        runs: u64,
        /// Every choice follows from it and the number of the run.
        seed: u64,
    },
    /// Every state, up to so many.
    States(usize),
}

impl Bound {
    /// So many runs from seed 1.
    pub const fn runs(runs: u64) -> Self {
        Self::Runs { runs, seed: 1 }
    }
}

/// Something that goes wrong in some interleaving.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What kind of thing: `assertion`, `log`, `invariant`, `lost`, `deadlock` or `livelock` (docs/explore.md).
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// The shortest schedule that was found to lead there, for `irqlab replay --schedule`.
    pub schedule: String,
    /// Steps until it shows.
    pub steps: usize,
}

/// What a search came to. As text it is a line for each finding, and one that says how much was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explored {
    /// What goes wrong, each kind of thing once.
    pub findings: Vec<Finding>,
    /// Runs that were made, or states that were visited.
    pub tried: u64,
    /// Runs among them that were given up after 10,000 steps: what they would have come to is not known.
    pub unfinished: u64,
    /// Every interleaving was tried. A search by runs never is.
    pub complete: bool,
    bound: Bound,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { kind, text, schedule, steps } in &self.findings {
            writeln!(f, "{kind}: {text}\n  after {steps} steps, schedule {schedule}")?;
        }
        let nothing = if self.findings.is_empty() { "nothing found in " } else { "" };
        let all = if self.complete { ", which are all" } else { "" };
        match self.bound {
            Bound::Runs { seed, .. } => {
                let left = match self.unfinished {
                    0 => String::new(),
                    n => format!("; {n} left unfinished"),
                };
                writeln!(f, "{nothing}{} runs from seed {seed}{left}", self.tried)
            }
            Bound::States(_) => writeln!(f, "{nothing}{} states{all}", self.tried),
        }
    }
}

pub(crate) fn explore(world: &World, bound: Bound) -> Explored {
    let on = ControlFlow::Continue(());
    let (found, tried, unfinished, complete): (Vec<explore::Finding>, _, _, _) = match bound {
        Bound::Runs { runs, seed } => {
            let plan = Plan {
                strategy: Strategy::Uniform,
                seed,
                runs: 0..runs,
                shard: 0,
                shards: 1,
                depth: DEPTH,
                findings: FINDINGS,
            };
            let drawn = random::explore(world, &plan, |_| on);
            let found = drawn.findings.into_iter().map(|(_, finding)| finding).collect();
            (found, drawn.runs, drawn.endless, false)
        }
        Bound::States(states) => {
            let bounds = exhaustive::Bounds { states, depth: DEPTH, findings: FINDINGS };
            let explored = exhaustive::explore(world, bounds, |_| on);
            let complete = explored.is_complete();
            (explored.findings, explored.covered.states as u64, 0, complete)
        }
    };
    let shortest = |finding: &explore::Finding| {
        let finding = shrink(world, finding);
        Finding {
            kind: finding.kind.name(),
            schedule: finding.schedule.to_string(),
            text: finding.text,
            steps: finding.depth,
        }
    };
    Explored { findings: found.iter().map(shortest).collect(), tried, unfinished, complete, bound }
}
