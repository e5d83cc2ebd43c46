//! Worlds that nobody needs any more, for others to be copied over them.

use std::sync::{Mutex, PoisonError};

use super::World;

/// As many are kept by a thread.
const SPARE: usize = 64;
/// As many steps lead on from most states.
const FEW: usize = 8;

/// Spare worlds. A search copies a world for every step, and most copies lead to a state that it knows: these are used
/// again, since a world that is copied over one that has most in common with it needs no memory.
pub(crate) struct Pool {
    #[expect(
        clippy::vec_box,
        reason = "searches keep boxes, and a world is too large to be moved out of one for each step"
    )]
    spare: Vec<Box<World>>,
    /// As many are kept.
    most: usize,
}

/// That of one thread.
impl Default for Pool {
    fn default() -> Self {
        Self::new(SPARE)
    }
}

impl Pool {
    /// One that keeps at most so many.
    pub(crate) const fn new(most: usize) -> Self {
        Self { spare: Vec::new(), most }
    }

    /// A copy of a world.
    pub(crate) fn copy(&mut self, world: &World) -> Box<World> {
        match self.spare.pop() {
            Some(mut copy) => {
                World::clone_from(&mut copy, world);
                copy
            }
            None => Box::new(world.clone()),
        }
    }

    /// Takes a world that nobody needs.
    pub(crate) fn give(&mut self, world: Box<World>) {
        if self.spare.len() < self.most {
            self.spare.push(world);
        }
    }

    /// Takes some from others if few are left.
    pub(crate) fn refill(&mut self, others: &Mutex<Self>) {
        if self.spare.len() < FEW {
            let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
            let rest = others.spare.len().saturating_sub(2 * FEW);
            self.spare.extend(others.spare.drain(rest..));
        }
    }
}
