//! How many states there are, where a search has not seen all: an estimate by capture and recapture.
//!
//! The search has captured its states. A second search, which knows nothing of the first, goes forward step by step
//! from the beginning and keeps at most [`WIDTH`] of the states at each distance, those whose fingerprints come first: a
//! sample in which each state of a distance is about as likely as the others. The larger the part of the sample that
//! the first search has seen, the fewer states there are beside. Chapman's estimator says how many there are of each
//! distance from the beginning; where no more than [`WIDTH`] exist, they are counted. Runs that are drawn step by step
//! would be a worse sample: they come to few of the states again and again.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::states::States;
use super::{Taken, steps_to_try};
use crate::fingerprint::Eye;
use crate::pool::Pool;
use crate::{Kind, World};

/// States of the sample at each distance, at most.
const WIDTH: usize = 256;
/// Steps that are tried for the sample, at most.
const STEPS: usize = 250_000;

/// How many states there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Estimate {
    /// All states, those that were seen among them.
    pub states: u64,
    /// There are distances at which the search has seen nothing, and only a part is in the sample: there may be many
    /// more states.
    pub at_least: bool,
}

/// The states at one distance from the beginning.
#[derive(Clone, Copy, Default)]
struct Level {
    /// What the search has seen.
    seen: u64,
    /// What the sample has.
    drawn: u64,
    /// What of it the search has seen.
    known: u64,
}

impl Level {
    /// How many states there are.
    fn states(self) -> f64 {
        let Self { seen, drawn, known } = self;
        let [seen, drawn, known] = [seen, drawn, known].map(|n| n as f64);
        ((seen + 1.0) * (drawn + 1.0) / (known + 1.0) - 1.0).max(seen + drawn - known)
    }
}

/// What a search has seen.
pub(super) struct Captured<'a> {
    pub eye: Eye,
    /// The states.
    pub seen: &'a States,
    /// By state, the steps from the beginning.
    pub depths: &'a [u32],
}

/// An order of fingerprints that has nothing to do with who wrote them.
const fn mixed(print: u64) -> u64 {
    let print = (print ^ print >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    print ^ print >> 29
}

/// A state of the sample; without its world where the search would not go on.
type Drawn = (u64, Option<Box<World>>);

impl Captured<'_> {
    /// Draws the sample behind `root`, which leaves out what the search leaves out, and says how many states there are.
    pub(super) fn estimate(&self, root: &World) -> Estimate {
        let mut levels: Vec<Level> = Vec::new();
        self.depths.iter().for_each(|&depth| level(&mut levels, depth as usize).seen += 1);
        let mut root = Box::new(root.clone());
        let mut here: Vec<Drawn> = vec![(root.print(self.eye, None), Some(root))];
        let pool = &mut Pool::new(WIDTH);
        let mut come_to: HashSet<u64> = here.iter().map(|(print, _)| *print).collect();
        let (mut distance, mut tried) = (0, 0);
        while !here.is_empty() && tried < STEPS {
            for (print, _) in &here {
                let state = self.seen.find(*print);
                let depth = state.and_then(|state| self.depths.get(state as usize));
                let level = level(&mut levels, depth.map_or(distance, |depth| *depth as usize));
                level.drawn += 1;
                level.known += u64::from(state.is_some());
            }
            let mut there: Vec<Drawn> = Vec::new();
            for world in here.into_iter().filter_map(|(_, world)| world) {
                steps_to_try(&world, self.eye.reduction, pool, |pool, Taken { world: mut to, .. }| {
                    tried += 1;
                    let wrong = to.check_since(Some(&world));
                    let print = to.print(self.eye, Some(&world));
                    if come_to.insert(print) {
                        let broken = wrong.is_some_and(|wrong| wrong.kind == Kind::Invariant);
                        let goes_on = !broken && !to.steps().is_empty();
                        to.k.share();
                        there.push((print, goes_on.then_some(to)));
                    } else {
                        pool.give(to);
                    }
                    ControlFlow::<()>::Continue(())
                });
                pool.give(world);
                if there.len() >= 4 * WIDTH {
                    least(&mut there, pool);
                }
            }
            least(&mut there, pool);
            here = there;
            distance += 1;
        }
        let open = |level: &Level| level.known == 0 && level.drawn as usize >= WIDTH;
        Estimate {
            states: levels.iter().map(|level| level.states()).sum::<f64>().round() as u64,
            at_least: !here.is_empty() || levels.iter().any(open),
        }
    }
}

/// Leaves those of the sample whose fingerprints come first.
fn least(drawn: &mut Vec<Drawn>, pool: &mut Pool) {
    drawn.sort_unstable_by_key(|(print, _)| mixed(*print));
    let rest = drawn.drain(WIDTH.min(drawn.len())..);
    rest.filter_map(|(_, world)| world).for_each(|world| pool.give(world));
}

/// The level at a distance, which may be new.
fn level(levels: &mut Vec<Level>, distance: usize) -> &mut Level {
    if levels.len() <= distance {
        levels.resize(distance + 1, Level::default());
    }
    &mut levels[distance]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_as_many_states_as_were_captured_and_missed() {
        // Half of the sample was seen.
        let level = Level { seen: 999, drawn: 99, known: 49 };
        assert_eq!(level.states().round(), 1999.0);
        // All was seen, and all is in the sample.
        let level = Level { seen: 7, drawn: 7, known: 7 };
        assert_eq!(level.states(), 7.0);
        // Nothing was seen: there is at least the sample.
        let level = Level { seen: 0, drawn: 30, known: 0 };
        assert_eq!(level.states(), 30.0);
    }
}
