//! State that copies of a machine share until one of them changes it.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::rc::Rc;

/// A value that is copied when it is changed, and only if another machine has it too.
///
/// It reads, compares and hashes as the value, and who changes it through `&mut` need not know. It is for
/// what is seldom changed: each access through `&mut` looks whether somebody else has the value. No thread
/// has part in a machine, so that the count of those who have it needs no atomic operations.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shared<T>(Rc<T>);

impl<T> Shared<T> {
    /// A value that nobody else has yet.
    pub fn new(value: T) -> Self {
        Self(Rc::new(value))
    }
}

impl<T: Clone> Shared<T> {
    // Kept out of the way: whoever changes a machine that was not copied never comes here.
    #[cold]
    #[inline(never)]
    fn copy(&mut self) {
        self.0 = Rc::new(T::clone(&self.0));
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        if Rc::strong_count(&self.0) != 1 {
            self.copy();
        }
        Rc::get_mut(&mut self.0).expect("a value that nobody else has")
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_one_value_until_it_is_changed() {
        let one_value = |a: &Shared<Vec<u32>>, b: &Shared<Vec<u32>>| core::ptr::eq(&**a, &**b);
        let mut a = Shared::new(vec![1]);
        let b = a.clone();
        assert!(one_value(&a, &b));
        a.push(2);
        assert!(!one_value(&a, &b));
        assert_eq!((a.as_slice(), b.as_slice()), ([1, 2].as_slice(), [1].as_slice()));
        a.pop();
        assert_eq!(a, b);
        assert_eq!(format!("{a:?}"), "[1]");
    }
}
