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

/// States that a run has been in, and whether it can stay among them for ever.
pub(super) struct Circles {
    reads: Reads,
    /// At which move each state was seen first.
    seen: BTreeMap<u64, usize>,
    /// Every move, and what else could have moved.
    moves: Vec<(Move, Vec<Move>)>,
}

impl Circles {
    pub(super) fn new(world: &World) -> Self {
        Self { reads: Reads::of(world.shell.script()), seen: BTreeMap::new(), moves: Vec::new() }
    }

    /// Adds a move that was one of `moves`.
    pub(super) fn moved(&mut self, next: Move, moves: Vec<Move>) {
        self.moves.push((next, moves));
    }

    /// Adds the state after it. Says so if it has been there before and an interrupt or a command went on
    /// in between without coming to an end.
    pub(super) fn look(&mut self, world: &World) -> Option<Wrong> {
        let before = self.seen.insert(identity(world, self.reads), self.moves.len())?;
        let circle = &self.moves[before..];
        let who = endless(world, circle)?;
        let text = format!("{who} never ends: a state comes back after {} moves", circle.len());
        Some(Wrong::new(Kind::Livelock, text))
    }
}

/// As [`replay`], to a state that comes back while an interrupt or a command goes on that should end.
pub fn comes_back(world: &World, choices: &Choices, longest: usize) -> (Option<Wrong>, usize, Choices) {
    let mut run = world.with(choices.oracle());
    let mut circles = Circles::new(world);
    let mut depth = 0;
    let wrong = loop {
        let wrong = circles.look(&run);
        if wrong.is_some() || depth == longest {
            break wrong;
        }
        let moves = run.moves();
        let Some(next) = run.choose(&moves) else { break None };
        run.take(next);
        circles.moved(next, moves);
        depth += 1;
    };
    (wrong, depth, Choices::of(&run.take_log()))
}

/// Looks for a thing of this kind with a list of choices alone.
fn look_for(kind: Kind, world: &World, choices: &Choices, longest: usize) -> (Option<Wrong>, usize, Choices) {
    match kind {
        Kind::Livelock => comes_back(world, choices, longest),
        _ => replay(world, choices, longest, |_, _| {}),
    }
}

impl Finding {
    /// Looks for the same thing with the list of choices alone: what is found.
    pub fn again(&self, world: &World) -> Option<Wrong> {
        const BEYOND: usize = 1000;
        look_for(self.kind, world, &self.choices, self.depth + BEYOND).0
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
            let (wrong, depth, used) = look_for(wanted.kind, world, &fewer, longest);
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
