//! The recording contexts of a run, of which an endless run forgets those that nothing names any more.

use core::fmt;
use core::ops::{Index, IndexMut};
use std::collections::{BTreeMap, BTreeSet};

use super::Ctx;
use crate::CtxId;

/// The contexts that were opened. Their numbers count them from the first on, and none is given twice.
///
/// Going back in time closes the later ones, but leaves them where they are: going on opens the same ones again, and
/// a run of a million steps has so many that moving them takes longer than the steps.
#[derive(Default)]
pub struct Contexts {
    /// Those below `first` that were not forgotten, by number.
    kept: BTreeMap<u32, Ctx>,
    /// The number of the first of `known`.
    first: usize,
    /// From there on all of them.
    known: Vec<Ctx>,
    /// How many are open, the forgotten ones among them.
    open: usize,
}

impl Contexts {
    /// Opens the next.
    pub fn open(&mut self, ctx: Ctx) -> CtxId {
        // NOBODY's number is left; some billion interrupts later the last context is everybody's.
        self.open = self.open.min(u32::MAX as usize - 1);
        let number = self.open as u32;
        match self.open.checked_sub(self.first) {
            None => {
                self.kept.insert(number, ctx);
            }
            Some(at) => match self.known.get_mut(at) {
                Some(known) => *known = ctx,
                None => self.known.push(ctx),
            },
        }
        self.open += 1;
        CtxId(number)
    }

    /// One of the open ones; `None` where it is forgotten, too.
    pub fn get(&self, ctx: CtxId) -> Option<&Ctx> {
        if ctx.index() >= self.open {
            return None;
        }
        match ctx.index().checked_sub(self.first) {
            Some(at) => self.known.get(at),
            None => self.kept.get(&ctx.0),
        }
    }

    /// How many were opened, the forgotten ones among them.
    pub fn opened(&self) -> usize {
        self.open
    }

    /// How many are held, those among them that going on opens again.
    pub fn held(&self) -> usize {
        self.kept.len() + self.known.len()
    }

    /// The open ones that are held, with their numbers, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (CtxId, &Ctx)> {
        let known = self.known.iter().zip(self.first..self.open).map(|(ctx, number)| (number as u32, ctx));
        let kept = self.kept.range(..self.open as u32).map(|(number, ctx)| (*number, ctx));
        kept.chain(known).map(|(number, ctx)| (CtxId(number), ctx))
    }

    /// Only the first so many are open now, or so many again that were open before.
    pub fn reopen(&mut self, open: usize) {
        self.open = open.min(self.first + self.known.len());
    }

    /// Forgets all but the first.
    pub fn truncate(&mut self, len: usize) {
        self.open = self.open.min(len);
        self.kept.split_off(&(self.open as u32));
        self.known.truncate(self.open.saturating_sub(self.first));
        self.first = self.first.min(self.open);
    }

    /// Forgets the open ones but those in `named`. What going on opens again stays.
    pub fn forget_all_but(&mut self, named: &BTreeSet<CtxId>) {
        let open = self.open as u32;
        self.kept.retain(|&number, _| number >= open || named.contains(&CtxId(number)));
        let Some(over) = self.open.checked_sub(self.first) else { return };
        let gone = self.known.drain(..over).zip(self.first as u32..);
        let gone = gone.map(|(ctx, number)| (number, ctx));
        self.kept.extend(gone.filter(|(number, _)| named.contains(&CtxId(*number))));
        self.first = self.open;
    }

    /// Room for something about each of the open ones.
    pub fn table<T: Default>(&self) -> Table<T> {
        Table {
            kept: self.kept.range(..self.open as u32).map(|(&number, _)| (number, T::default())).collect(),
            first: self.first,
            known: (self.first..self.open).map(|_| T::default()).collect(),
        }
    }
}

impl Index<CtxId> for Contexts {
    type Output = Ctx;

    /// One of the open ones that is held.
    fn index(&self, ctx: CtxId) -> &Ctx {
        self.get(ctx).expect("an open context that something names")
    }
}

impl IndexMut<CtxId> for Contexts {
    fn index_mut(&mut self, ctx: CtxId) -> &mut Ctx {
        let held = match ctx.index().checked_sub(self.first) {
            Some(at) => self.known.get_mut(at),
            None => self.kept.get_mut(&ctx.0),
        };
        held.expect("an open context that something names")
    }
}

/// A copy has those that are open.
impl Clone for Contexts {
    fn clone(&self) -> Self {
        Self {
            kept: self.kept.range(..self.open as u32).map(|(number, ctx)| (*number, ctx.clone())).collect(),
            first: self.first.min(self.open),
            known: self.known[..self.open.saturating_sub(self.first)].to_vec(),
            open: self.open,
        }
    }
}

impl PartialEq for Contexts {
    fn eq(&self, other: &Self) -> bool {
        self.open == other.open && self.iter().eq(other.iter())
    }
}

impl Eq for Contexts {}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Something about each context.
#[derive(Clone, Debug)]
pub struct Table<T> {
    kept: BTreeMap<u32, T>,
    first: usize,
    known: Vec<T>,
}

impl<T> Table<T> {
    /// What is known of a context; `None` where there is none with this number.
    pub fn get(&self, ctx: CtxId) -> Option<&T> {
        match ctx.index().checked_sub(self.first) {
            Some(at) => self.known.get(at),
            None => self.kept.get(&ctx.0),
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, ctx: CtxId) -> Option<&mut T> {
        match ctx.index().checked_sub(self.first) {
            Some(at) => self.known.get_mut(at),
            None => self.kept.get_mut(&ctx.0),
        }
    }

    /// All of them by the contexts' numbers, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (CtxId, &T)> {
        let known = self.known.iter().zip(self.first as u32..).map(|(value, number)| (CtxId(number), value));
        self.kept.iter().map(|(number, value)| (CtxId(*number), value)).chain(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuId;
    use crate::trace::Actor;

    fn ctx(cpu: u32) -> Ctx {
        Ctx { actor: Actor::Idle(CpuId(cpu)), roots: &[] }
    }

    fn numbers(contexts: &Contexts) -> Vec<u32> {
        contexts.iter().map(|(ctx, _)| ctx.0).collect()
    }

    #[test]
    fn what_is_named_keeps_its_number() {
        let mut contexts = Contexts::default();
        for cpu in 0..10 {
            contexts.open(ctx(cpu));
        }
        contexts.forget_all_but(&[2, 7].map(CtxId).into());
        assert_eq!((contexts.opened(), contexts.held()), (10, 2));
        assert_eq!(contexts.open(ctx(10)), CtxId(10));
        assert_eq!(numbers(&contexts), [2, 7, 10]);
        assert_eq!(contexts.get(CtxId(7)), Some(&ctx(7)));
        assert_eq!(contexts.get(CtxId(3)), None);
        let mut table = contexts.table::<u32>();
        *table.get_mut(CtxId(10)).unwrap() = 1;
        assert_eq!(table.iter().map(|(ctx, n)| (ctx.0, *n)).collect::<Vec<_>>(), [(2, 0), (7, 0), (10, 1)]);
        assert!(table.get(CtxId(3)).is_none());
    }

    #[test]
    fn what_is_done_again_has_the_numbers_that_it_had() {
        let mut contexts = Contexts::default();
        for cpu in 0..10 {
            contexts.open(ctx(cpu));
        }
        contexts.forget_all_but(&[CtxId(2)].into());
        contexts.open(ctx(10));
        // Back to where the fifth was not open yet, and on.
        contexts.reopen(4);
        assert_eq!(numbers(&contexts), [2]);
        assert_eq!(contexts.clone(), contexts);
        for cpu in 4..11 {
            assert_eq!(contexts.open(ctx(cpu)), CtxId(cpu));
        }
        assert_eq!(numbers(&contexts), [2, 4, 5, 6, 7, 8, 9, 10]);
        contexts.forget_all_but(&BTreeSet::new());
        assert_eq!((contexts.held(), contexts.opened()), (0, 11));
        // A jump forward to what was open once.
        contexts.open(ctx(11));
        contexts.reopen(3);
        contexts.reopen(12);
        assert_eq!(contexts.get(CtxId(11)), Some(&ctx(11)));
        contexts.truncate(2);
        assert_eq!((contexts.held(), contexts.opened()), (0, 2));
    }
}
