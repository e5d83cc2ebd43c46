//! Searches for the bug of an exhibit that is a race.

use core::fmt::Write as _;
use core::ops::ControlFlow;

use super::lines;
use crate::exhaustive::{self, Bounds};
use crate::random::{self, Plan, Strategy};
use crate::{Finding, Kind, World, shrink};

/// The seed of the first run.
const SEED: u64 = 1;
/// Steps in which every run of an exhibit is over.
const LONGEST: usize = 10_000;

/// How the interleavings of an exhibit are searched: in about a second, with the bug and without.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Search {
    /// This many runs are drawn, all steps as likely as each other.
    Runs(u64),
    /// Every state is visited; there are fewer than this.
    States(usize),
}

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Searched {
    /// What was searched.
    pub search: Search,
    /// Runs that were made or states that were visited.
    pub looked: u64,
    /// All that were to be looked at have been, without a finding.
    pub complete: bool,
    /// What was found first.
    pub found: Option<Found>,
}

/// What is wrong, and how a run with it goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The run that found it, where runs were drawn.
    pub run: Option<u64>,
    /// What was found, with a schedule that was made short.
    pub finding: Finding,
    /// What the script's commands printed from there on where it is open.
    pub terminal: Vec<String>,
    /// What the kernel logged meanwhile.
    pub log: Vec<String>,
}

impl Search {
    /// Searches the interleavings of a world.
    pub fn of(self, world: &World) -> Searched {
        let (looked, complete, first) = match self {
            Self::Runs(runs) => {
                let plan = Plan {
                    strategy: Strategy::Uniform,
                    seed: SEED,
                    runs: 0..runs,
                    shard: 0,
                    shards: 1,
                    depth: LONGEST,
                    findings: 1,
                };
                let drawn = random::explore(world, &plan, |_| ControlFlow::Continue(()));
                let complete = drawn.runs == runs && drawn.endless == 0;
                (drawn.runs, complete, drawn.findings.into_iter().next().map(|(run, f)| (Some(run), f)))
            }
            Self::States(states) => {
                let bounds = Bounds { states, depth: LONGEST, findings: 1 };
                let explored = exhaustive::explore(world, bounds, |_| ControlFlow::Continue(()));
                let complete = explored.is_complete();
                let first = explored.findings.into_iter().next().map(|finding| (None, finding));
                (explored.covered.states as u64, complete, first)
            }
        };
        let found = first.map(|(run, finding)| {
            let finding = shrink(world, &finding);
            let (terminal, log) = replayed(world, &finding);
            Found { run, finding, terminal, log }
        });
        Searched { search: self, looked, complete: complete && found.is_none(), found }
    }

    /// The options of `irqlab explore` that search in the same way.
    pub fn options(self) -> String {
        match self {
            Self::Runs(runs) => format!("--seed {SEED} --runs {runs}"),
            Self::States(_) => "--strategy exhaustive".to_owned(),
        }
    }
}

/// Replays a finding and what follows it, to the end of the run; a livelock has none, and is left where
/// it begins anew.
fn replayed(world: &World, finding: &Finding) -> (Vec<String>, Vec<String>) {
    let mut run = world.with(finding.schedule.oracle());
    let steps = if finding.kind == Kind::Livelock { finding.depth } else { LONGEST };
    for _ in 0..steps {
        if run.advance().is_none() {
            break;
        }
    }
    (run.terminal[world.terminal.len()..].to_vec(), run.k.log[world.k.log.len()..].to_vec())
}

impl Searched {
    /// For people: what was found where, and how that run goes on; or that there was nothing.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let Some(Found { run, finding, terminal, log }) = &self.found else {
            let _ = match (self.search, self.complete) {
                (Search::Runs(_), true) => writeln!(text, "nothing in {} runs", self.looked),
                (Search::States(_), true) => writeln!(text, "nothing in all {} states", self.looked),
                (_, false) => writeln!(text, "nothing, but not all was looked at"),
            };
            return text;
        };
        let _ = writeln!(text, "found: {}: {}", finding.kind.name(), finding.text.trim_end());
        let _ = match (self.search, run) {
            (Search::Runs(runs), Some(run)) => writeln!(text, "in run {run} of {runs}"),
            _ => writeln!(text, "among {} states, which are all", self.looked),
        };
        let _ = writeln!(text, "schedule: {}", finding.schedule);
        lines(&mut text, "terminal", terminal.iter());
        lines(&mut text, "kernel log", log.iter());
        text
    }
}
