//! State that copies of a machine have in common until one of them changes it.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that need not be copied with its machine, once [`Shared::share`] was called: whoever changes it
/// first makes a copy then.
///
/// It reads, compares and hashes as the value, and who changes it through `&mut` need not know. Until it is
/// shared it is a box, so that a machine that nobody copies pays for no counting.
pub struct Shared<T>(Held<T>);

#[derive(Clone)]
enum Held<T> {
    /// This machine's alone.
    Own(Box<T>),
    /// Perhaps that of others too.
    Common(Arc<T>),
}

impl<T> Shared<T> {
    /// A value of one machine.
    pub fn new(value: T) -> Self {
        Self(Held::Own(Box::new(value)))
    }

    /// The same, for copies to have in common.
    #[must_use]
    pub fn share(self) -> Self {
        match self.0 {
            Held::Own(value) => Self(Held::Common(Arc::from(value))),
            Held::Common(_) => self,
        }
    }

    /// As [`share`](Self::share) for a value that is part of another.
    pub fn share_in_place(&mut self)
    where
        T: Default,
    {
        if let Held::Own(value) = &mut self.0 {
            let value = core::mem::take(&mut **value);
            self.0 = Held::Common(Arc::new(value));
        }
    }

    /// It was changed since it was shared, or never shared.
    pub const fn is_own(&self) -> bool {
        matches!(self.0, Held::Own(_))
    }

    /// Both are one value in one place: neither was changed since a machine was copied.
    pub fn is_same(&self, other: &Self) -> bool {
        core::ptr::eq(&**self, &**other)
    }
}

/// Both slots are empty, or hold one value in one place.
pub fn is_same_slot<T>(slot: &Option<Shared<T>>, other: &Option<Shared<T>>) -> bool {
    match (slot, other) {
        (Some(value), Some(other)) => value.is_same(other),
        (value, other) => value.is_none() && other.is_none(),
    }
}

impl<T: Clone> Shared<T> {
    // Kept out of the way of machines that were never copied.
    #[cold]
    #[inline(never)]
    fn copy(&mut self) -> &mut T {
        *self = Self::new(T::clone(self));
        match self.0 {
            Held::Own(ref mut value) => value,
            Held::Common(ref mut value) => Arc::make_mut(value),
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Held::Own(value) => value,
            Held::Common(value) => value,
        }
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match self.0 {
            Held::Own(ref mut value) => value,
            Held::Common(_) => self.copy(),
        }
    }
}

impl<T: Clone> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }

    fn clone_from(&mut self, source: &Self) {
        match (&mut self.0, &source.0) {
            // Threads that count the same references wait for each other: who has it already does not count.
            (Held::Common(value), Held::Common(source)) if Arc::ptr_eq(value, source) => {}
            (Held::Own(value), Held::Own(source)) => T::clone_from(value, source),
            (held, source) => *held = source.clone(),
        }
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Eq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        // What copies still have in common need not be looked at.
        self.is_same(other) || **self == **other
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_value(a: &Shared<Vec<u32>>, b: &Shared<Vec<u32>>) -> bool {
        core::ptr::eq(&**a, &**b)
    }

    #[test]
    fn a_copy_of_what_was_not_shared_is_another_value() {
        let a = Shared::new(vec![1]);
        let b = a.clone();
        assert!(!one_value(&a, &b));
        assert_eq!(a, b);
    }

    #[test]
    fn a_copy_of_what_is_shared_is_one_value_until_it_is_changed() {
        let mut a = Shared::new(vec![1]).share();
        let b = a.clone();
        assert!(one_value(&a, &b) && !a.is_own());
        a.push(2);
        assert!(a.is_own() && !b.is_own());
        assert_eq!((a.as_slice(), b.as_slice()), ([1, 2].as_slice(), [1].as_slice()));
        a.pop();
        assert_eq!(a, b);
        assert_eq!(format!("{a:?}"), "[1]");
    }

    #[test]
    fn a_copy_over_another_value_is_a_copy() {
        let (own, shared) = (Shared::new(vec![1, 2]), Shared::new(vec![3]).share());
        for from in [&own, &shared] {
            for mut to in [Shared::new(vec![7]), Shared::new(vec![7]).share(), shared.clone(), own.clone()] {
                to.clone_from(from);
                assert_eq!(&to, from);
                assert_eq!(one_value(&to, from), !from.is_own());
            }
        }
    }

    #[test]
    fn what_is_shared_in_place_is_the_same_value() {
        let mut a = Shared::new(vec![1]);
        a.share_in_place();
        a.share_in_place();
        let mut b = a.clone();
        assert!(!a.is_own() && a.is_same(&b));
        b.push(2);
        assert!(!a.is_same(&b));
        assert_eq!((a.len(), b.len()), (1, 2));
    }

    #[test]
    fn a_machine_can_go_to_another_thread() {
        fn can_go<T: Send + Sync>() {}
        can_go::<crate::Kernel>();
    }
}
