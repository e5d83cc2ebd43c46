//! From a run that found something to the shortest list of choices known to find it.

use std::collections::BTreeMap;

use super::graph::endless;
use super::identity::{Reads, identity};
use super::{Choices, Finding, Kind, Move, World, Wrong};

/// Runs that are tried to make one list shorter.
const TRIES: usize = 400;

/// Runs `world` with `choices`, to its end or to the first thing that is wrong. `each` sees the world
/// before and after every move.
pub fn replay(
    world: &World,
    choices: &Choices,
    longest: usize,
    mut each: impl FnMut(&World, Option<Move>),
) -> (Option<Wrong>, usize, Choices) {
    let mut world = world.with(choices.oracle());
    each(&world, None);
    for depth in 1..=longest {
        let Some(next) = world.advance() else {
            let log = world.take_log();
            return (world.check_end(), depth - 1, Choices::of(&log));
        };
        let wrong = world.check();
        each(&world, Some(next));
        if wrong.is_some() {
            let log = world.take_log();
            return (wrong, depth, Choices::of(&log));
        }
    }
    let log = world.take_log();
    (None, longest, Choices::of(&log))
}

/// Whether a run comes back to a state while an interrupt or a command goes on that should end. States are
/// looked at from the `from`th move on, and for `longest` moves at most.
pub fn comes_back(world: &World, from: usize, longest: usize) -> Option<Wrong> {
    let reads = Reads::of(world.shell.script());
    let mut run = world.clone();
    let mut seen = BTreeMap::new();
    let mut moves = Vec::new();
    for at in 0..from + longest {
        if at >= from
            && let Some(before) = seen.insert(identity(&run, reads), moves.len())
        {
            let circle: &[Move] = &moves[before..];
            if let Some(who) = endless(world, circle) {
                let text = format!("{who} never ends: a state comes back after {} moves", circle.len());
                return Some(Wrong::new(Kind::Livelock, text));
            }
        }
        moves.push(run.advance()?);
    }
    None
}

impl Finding {
    /// Looks for the same thing with the list of choices alone: what is found.
    pub fn again(&self, world: &World) -> Option<Wrong> {
        const BEYOND: usize = 1000;
        match self.kind {
            Kind::Livelock => comes_back(&world.with(self.choices.oracle()), 0, self.depth + BEYOND),
            _ => replay(world, &self.choices, self.depth + BEYOND, |_, _| {}).0,
        }
    }
}

/// Makes the list of choices of a finding shorter: groups of unusual answers become the quiet one as
/// long as the same thing is found.
pub fn shrink(world: &World, finding: &Finding) -> Finding {
    let wanted = Wrong { kind: finding.kind, text: finding.text.clone() };
    let longest = finding.depth * 2 + 1000;
    let mut best = finding.clone();
    let mut tries = 0;
    let mut group = best.choices.unusual().div_ceil(2).max(1);
    loop {
        let places: Vec<usize> = (0..best.choices.0.len()).filter(|&i| best.choices.0[i] != 0).collect();
        let mut better = false;
        // Late answers first: what they decide depends on nothing that follows.
        for some in places.rchunks(group) {
            if tries == TRIES {
                return best;
            }
            tries += 1;
            let mut fewer = best.choices.clone();
            some.iter().for_each(|&place| fewer.0[place] = 0);
            let (wrong, depth, used) = replay(world, &fewer, longest, |_, _| {});
            let Some(wrong) = wrong.filter(|wrong| wrong.is_like(&wanted)) else { continue };
            if used.unusual() < best.choices.unusual() {
                best = Finding { kind: wrong.kind, text: wrong.text, choices: used, depth };
                better = true;
                break;
            }
        }
        if !better {
            if group == 1 {
                return best;
            }
            group = group.div_ceil(2);
        }
    }
}
