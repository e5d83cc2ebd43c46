//! Shortens the schedule of a finding as far as the same thing is still found.

use std::collections::BTreeMap;

use super::fingerprint::{Reads, fingerprint};
use super::graph::endless;
use super::{Finding, Kind, Schedule, Step, World, Wrong};

mod least;

use least::least;

/// Runs that are tried to make one list shorter.
const TRIES: usize = 1000;

/// Runs `world` with `schedule`, to its end or to the first thing that is wrong. `each` sees the world
/// before and after every step.
pub(super) fn replay(
    world: &World,
    schedule: &Schedule,
    longest: usize,
    mut each: impl FnMut(&World, Option<Step>),
) -> (Option<Wrong>, usize, Schedule) {
    let mut world = world.with(schedule.oracle());
    each(&world, None);
    for depth in 1..=longest {
        let Some(next) = world.advance() else {
            let log = world.take_log();
            return (world.check_end(), depth - 1, Schedule::of(&log));
        };
        let wrong = world.check();
        each(&world, Some(next));
        if wrong.is_some() {
            let log = world.take_log();
            return (wrong, depth, Schedule::of(&log));
        }
    }
    let log = world.take_log();
    (None, longest, Schedule::of(&log))
}

/// States that a run has been in, and whether it can stay among them for ever.
pub(super) struct Circles {
    reads: Reads,
    /// At which step each state was seen first.
    seen: BTreeMap<u64, usize>,
    /// Every step, and what else could have stepped.
    steps: Vec<(Step, Vec<Step>)>,
}

impl Circles {
    pub(super) fn new(world: &World) -> Self {
        Self { reads: Reads::of(world.shell.script()), seen: BTreeMap::new(), steps: Vec::new() }
    }

    /// Adds a step that was one of `steps`.
    pub(super) fn stepped(&mut self, next: Step, steps: Vec<Step>) {
        self.steps.push((next, steps));
    }

    /// Adds the state after it. Says so if it has been there before and an interrupt or a command went on
    /// in between without coming to an end.
    pub(super) fn look(&mut self, world: &World) -> Option<Wrong> {
        let before = self.seen.insert(fingerprint(world, self.reads), self.steps.len())?;
        let circle = &self.steps[before..];
        let who = endless(world, circle)?;
        let text = format!("{who} never ends: a state comes back after {} steps", circle.len());
        Some(Wrong::new(Kind::Livelock, text))
    }
}

/// As [`replay`], to a state that comes back while an interrupt or a command goes on that should end.
fn comes_back(world: &World, schedule: &Schedule, longest: usize) -> (Option<Wrong>, usize, Schedule) {
    let mut run = world.with(schedule.oracle());
    let mut circles = Circles::new(world);
    let mut depth = 0;
    let wrong = loop {
        let wrong = circles.look(&run);
        if wrong.is_some() || depth == longest {
            break wrong;
        }
        let steps = run.steps();
        let Some(next) = run.choose(&steps) else { break None };
        run.take(next);
        circles.stepped(next, steps);
        depth += 1;
    };
    (wrong, depth, Schedule::of(&run.take_log()))
}

/// Looks for a thing of this kind with a schedule alone.
fn look_for(
    kind: Kind,
    world: &World,
    schedule: &Schedule,
    longest: usize,
) -> (Option<Wrong>, usize, Schedule) {
    match kind {
        Kind::Livelock => comes_back(world, schedule, longest),
        _ => replay(world, schedule, longest, |_, _| {}),
    }
}

impl Finding {
    /// Looks for the same thing with the schedule alone: what is found.
    pub fn again(&self, world: &World) -> Option<Wrong> {
        const BEYOND: usize = 1000;
        look_for(self.kind, world, &self.schedule, self.depth + BEYOND).0
    }
}

/// A finding whose list is being made shorter.
struct Shrinker<'a> {
    world: &'a World,
    wanted: Wrong,
    longest: usize,
    tries: usize,
    best: Finding,
}

impl Shrinker<'_> {
    /// How short a list is: by its unusual answers, and where it has the same number of them by its length.
    fn length(schedule: &Schedule) -> (usize, usize) {
        (schedule.unusual(), schedule.0.len())
    }

    /// Takes a list that is shorter and finds the same.
    fn attempt(&mut self, schedule: Schedule) -> bool {
        if self.tries == TRIES {
            return false;
        }
        self.tries += 1;
        let (wrong, depth, used) = look_for(self.wanted.kind, self.world, &schedule, self.longest);
        let Some(wrong) = wrong.filter(|wrong| wrong.is_like(&self.wanted)) else { return false };
        let shorter = Self::length(&used) < Self::length(&self.best.schedule);
        if shorter {
            self.best = Finding { kind: wrong.kind, text: wrong.text, schedule: used, depth };
        }
        shorter
    }

    /// Groups of unusual answers become the quiet one. Says whether that made a difference.
    fn quieten(&mut self) -> bool {
        let before = Self::length(&self.best.schedule);
        let mut group = self.best.schedule.unusual().div_ceil(2).max(1);
        loop {
            let answers = &self.best.schedule.0;
            let places: Vec<usize> = (0..answers.len()).filter(|&i| answers[i] != 0).collect();
            // Late answers first: what they decide depends on nothing that follows.
            let better = places.rchunks(group).any(|some| {
                let mut fewer = self.best.schedule.clone();
                some.iter().for_each(|&place| fewer.0[place] = 0);
                self.attempt(fewer)
            });
            match group {
                _ if better => {}
                1 => return Self::length(&self.best.schedule) < before,
                _ => group = group.div_ceil(2),
            }
        }
    }

    /// Answers are left out, so that those behind them are given earlier: what happened in between was of no
    /// use. Says whether that made a difference.
    fn leave_out(&mut self) -> bool {
        let before = Self::length(&self.best.schedule);
        for group in [16, 8, 4, 2, 1] {
            let mut end = self.best.schedule.0.len();
            while end > 0 {
                let begin = end.saturating_sub(group);
                let mut fewer = self.best.schedule.clone();
                fewer.0.drain(begin..end);
                end = if self.attempt(fewer) { end.min(self.best.schedule.0.len()) } else { begin };
            }
        }
        Self::length(&self.best.schedule) < before
    }

    /// Takes the list with the fewest unusual answers that there is, where the states on the way there are not too many.
    fn take_least(&mut self) {
        let reads = Reads::of(self.world.shell.script());
        self.tries = 0;
        for schedule in least(self.world, &self.wanted, self.best.schedule.unusual(), reads) {
            if self.attempt(schedule) {
                return;
            }
        }
    }
}

/// Makes the schedule of a finding shorter as long as the same thing is found.
pub fn shrink(world: &World, finding: &Finding) -> Finding {
    let wanted = Wrong { kind: finding.kind, text: finding.text.clone() };
    let longest = finding.depth * 2 + 1000;
    let mut shrinker = Shrinker { world, wanted, longest, tries: 0, best: finding.clone() };
    shrinker.quieten();
    while shrinker.leave_out() && shrinker.quieten() {}
    shrinker.take_least();
    shrinker.best
}
