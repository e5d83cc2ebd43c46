//! The random search: it draws runs step by step, uniformly, or by priorities that change a few times (PCT).

use core::ops::ControlFlow;
use std::collections::BTreeMap;

use kstate::event::Event;
use kstate::oracle::{Oracle, Point};
use kstate::{CpuId, PciDevId, TaskId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::coverage::Seen;
use super::graph;
use super::jobs::crew;
use super::shrink::Circles;
use super::{Finding, Schedule, Step, World, Wrong};
use sim::engine;
use sim::shell::ActorId;

/// Steps after which a run is looked at for a state that comes back.
const LONG: usize = 256;
/// Of so many runs one is looked at from its beginning. It takes most of a run's time.
const CLOSELY: u64 = 16;

/// How steps are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// Each is as likely as the others.
    Uniform,
    /// Every actor has a priority, and the one with the highest takes the next step. At `changes` steps of a run,
    /// drawn beforehand, the running actor falls below all others. This is PCT ("A Randomized Scheduler with
    /// Probabilistic Guarantees of Finding Bugs", ASPLOS 2010): it finds bugs of small depth even in long runs.
    Priorities {
        /// Changes in a run.
        changes: usize,
    },
}

/// Which runs to make.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How steps are chosen.
    pub strategy: Strategy,
    /// Every run's choices follow from this and its number.
    pub seed: u64,
    /// Numbers of runs.
    pub runs: core::ops::Range<u64>,
    /// Of these every `shards`th, beginning with `shard`.
    pub shard: u64,
    /// In how many parts the runs are split.
    pub shards: u64,
    /// Steps after which a run is given up.
    pub depth: usize,
    /// Different findings to collect before the search ends.
    pub findings: usize,
}

impl Plan {
    /// The first run that belongs to this part.
    fn first(&self) -> u64 {
        let shards = self.shards.max(1);
        let behind = (self.shard + shards - self.runs.start % shards) % shards;
        self.runs.start.saturating_add(behind)
    }

    /// The numbers of its runs.
    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        (self.first()..self.runs.end).step_by(self.shards.max(1) as usize)
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        self.runs.end.saturating_sub(self.first()).div_ceil(self.shards.max(1))
    }
}

/// What runs have covered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Drawn {
    /// Runs that were made.
    pub runs: u64,
    /// Their steps.
    pub steps: u64,
    /// Of the longest.
    pub depth: usize,
    /// Runs that were given up: more steps than allowed, and no state that came back.
    pub endless: u64,
    /// What was found, with the number of the run.
    pub findings: Vec<(u64, Finding)>,
    /// The search was told to stop.
    pub stopped: bool,
    /// What the steps have shown, if the world records.
    pub seen: Option<Seen>,
}

/// Who takes a step: what has a priority of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Agent {
    Cpu(CpuId),
    Task(TaskId),
    Function(PciDevId),
    Pin(u8),
    /// The timer that cleans up a CPU's vectors.
    Cleanup(CpuId),
    Time,
    Actor(ActorId),
}

fn agent(next: Step) -> Agent {
    match next {
        Step::Machine(
            engine::Step::Interrupt(cpu, _) | engine::Step::Hardirq(cpu) | engine::Step::Softirq(cpu),
        ) => Agent::Cpu(cpu),
        Step::Machine(engine::Step::Task(task)) => Agent::Task(task),
        Step::Machine(engine::Step::Event(event)) => match event {
            Event::Device(dev, _) => Agent::Function(dev),
            Event::IoApicLevel(pin) => Agent::Pin(pin),
            Event::VectorCleanup(cpu) => Agent::Cleanup(cpu),
            Event::Wake(_) | Event::IntxLevel(..) | Event::BlkTimeout(_) | Event::WakeOn(_) => Agent::Time,
        },
        Step::Actor(actor) => Agent::Actor(actor),
    }
}

/// The priorities of one run.
struct Priorities {
    rng: ChaCha8Rng,
    of: BTreeMap<Agent, u64>,
    /// Steps at which the agent falls, latest first.
    changes: Vec<usize>,
    /// Below everyone.
    lowest: u64,
}

impl Priorities {
    fn new(seed: u64, changes: usize, length: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        let mut at: Vec<usize> = (0..changes).map(|_| rng.random_range(0..length.max(1))).collect();
        at.sort_unstable_by(|a, b| b.cmp(a));
        Self { rng, of: BTreeMap::new(), changes: at, lowest: 1 << 32 }
    }

    fn pick(&mut self, steps: &[Step], depth: usize) -> usize {
        let mut best = (0, 0);
        for (i, &next) in steps.iter().enumerate() {
            let rng = &mut self.rng;
            let priority = *self.of.entry(agent(next)).or_insert_with(|| rng.random_range(1 << 32..u64::MAX));
            if priority > best.1 {
                best = (i, priority);
            }
        }
        while self.changes.last().is_some_and(|&at| at <= depth) {
            self.changes.pop();
            self.lowest -= 1;
            if let Some(&next) = steps.get(best.0) {
                self.of.insert(agent(next), self.lowest);
            }
        }
        best.0
    }
}

/// One run. `longest` is that of the runs before, among whose steps priorities change. `seen` takes what it shows, if that
/// is noted.
fn run(
    root: &World,
    plan: &Plan,
    number: u64,
    longest: usize,
    mut seen: Option<&mut Seen>,
) -> (Option<Wrong>, World, usize) {
    let seed = plan.seed.wrapping_add(number);
    let mut world = root.with(Oracle::seeded(seed));
    let mut priorities = match plan.strategy {
        Strategy::Uniform => None,
        Strategy::Priorities { changes } => Some(Priorities::new(seed, changes, longest)),
    };
    let mut circles = Circles::new(root);
    let long = if number.is_multiple_of(CLOSELY) { 0 } else { LONG };
    for depth in 0..plan.depth {
        let steps = world.steps();
        let made = world.k.oracle.log.len();
        let next = match &mut priorities {
            None => world.choose(&steps),
            Some(priorities) => {
                let at = priorities.pick(&steps, depth);
                world.k.oracle.note(Point::Schedule, at as u32, steps.len() as u32);
                steps.get(at).copied()
            }
        };
        let Some(next) = next else { return (world.check_end(), world, depth) };
        world.take(next);
        if let Some(seen) = &mut seen {
            let log = core::mem::take(&mut world.k.oracle.log);
            seen.step(&mut world, graph::Agent::of(next), &log[made..]);
            world.k.oracle.log = log;
        }
        let mut wrong = world.check();
        if depth >= long && wrong.is_none() {
            circles.stepped(next, steps);
            wrong = circles.look(&world);
        }
        if wrong.is_some() {
            return (wrong, world, depth + 1);
        }
    }
    (None, world, plan.depth)
}

/// Runs that a thread makes before it tells of them.
const TOGETHER: usize = 16;
/// Parts of this many runs that are given out at once.
const PARTS: usize = 64;

/// A run that was made.
struct Made {
    number: u64,
    depth: usize,
    found: Option<(Wrong, Schedule)>,
    seen: Option<Box<Seen>>,
}

impl Drawn {
    /// Adds the next run of a plan.
    fn add(&mut self, plan: &Plan, run: Made) {
        let Made { number, depth, found, seen } = run;
        if let Some(seen) = seen {
            self.seen.get_or_insert_default().add(*seen);
        }
        self.runs += 1;
        self.steps += depth as u64;
        self.depth = self.depth.max(depth);
        self.endless += u64::from(found.is_none() && depth >= plan.depth);
        if let Some((wrong, schedule)) = found
            && !self.findings.iter().any(|(_, known)| known.shows(&wrong))
        {
            let Wrong { kind, text } = wrong;
            self.findings.push((number, Finding { kind, text, schedule, depth }));
        }
    }
}

/// Makes the runs of a plan with one thread. `progress` is called now and then and can end the search.
pub fn explore(root: &World, plan: &Plan, progress: impl FnMut(&Drawn) -> ControlFlow<()>) -> Drawn {
    explore_with(root, plan, 1, progress)
}

/// As [`explore`], with `jobs` threads. Runs count in the order of their numbers, so that the search ends behind the same
/// run whoever made it.
pub fn explore_with(
    root: &World,
    plan: &Plan,
    jobs: usize,
    mut progress: impl FnMut(&Drawn) -> ControlFlow<()>,
) -> Drawn {
    let mut drawn = Drawn::default();
    // The quiet run says how long runs are about.
    let quiet = super::shrink::replay(&root.unrecorded(), &Schedule::default(), plan.depth, |_, _| {}).1;
    let make = |(): &mut (), numbers: Vec<u64>| -> Vec<Made> {
        let made = numbers.into_iter().map(|number| {
            let mut seen = root.covers().then(Box::<Seen>::default);
            let (wrong, mut world, depth) = run(root, plan, number, quiet, seen.as_deref_mut());
            let found = wrong.map(|wrong| (wrong, Schedule::of(&world.take_log())));
            Made { number, depth, found, seen }
        });
        made.collect()
    };
    crew(jobs, make, |crew| {
        let mut numbers = plan.numbers().peekable();
        // The first parts are small, since many searches end soon.
        let (mut together, mut parts) = (1, jobs.max(1));
        while numbers.peek().is_some() && drawn.findings.len() < plan.findings {
            let part = |_| numbers.by_ref().take(together).collect::<Vec<u64>>();
            let round: Vec<Vec<u64>> = (0..parts).map(part).filter(|part| !part.is_empty()).collect();
            for made in crew.all(round.into_iter()).into_iter().flatten() {
                drawn.add(plan, made);
                if drawn.findings.len() >= plan.findings {
                    return;
                }
            }
            if progress(&drawn).is_break() {
                drawn.stopped = true;
                return;
            }
            (together, parts) = ((together * 2).min(TOGETHER), (parts * 2).min(PARTS.max(jobs)));
        }
    });
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_belongs_to_one_part() {
        let plan = |runs: core::ops::Range<u64>, shard, shards| Plan {
            strategy: Strategy::Uniform,
            seed: 1,
            runs,
            shard,
            shards,
            depth: 1,
            findings: 1,
        };
        for (runs, shards) in [(0..10, 3), (7..8, 4), (5..29, 7), (0..2, 5), (3..3, 2)] {
            let mut all: Vec<u64> = Vec::new();
            for shard in 0..shards {
                let plan = plan(runs.clone(), shard, shards);
                assert_eq!(plan.count(), plan.numbers().count() as u64, "{runs:?} {shard}/{shards}");
                all.extend(plan.numbers());
            }
            all.sort_unstable();
            assert_eq!(all, runs.collect::<Vec<_>>());
        }
        assert_eq!(plan(0..u64::MAX, 0, 2).count(), u64::MAX.div_ceil(2));
    }
}
