//! What a driver or a device keeps for itself: C's `void *`, but the value and not a pointer to it.

use core::any::{Any, type_name};
use core::fmt::{self, Debug};
use core::hash::{Hash, Hasher};

/// A value of a type that only its owner knows. It is copied, compared, hashed and printed as what it
/// is, so that it is part of the machine's state like every other field.
#[derive(Default)]
pub struct Data(Option<Box<dyn Value>>);

trait Value: Any + Debug + Send + Sync {
    fn copy(&self) -> Box<dyn Value>;
    fn equals(&self, other: &dyn Value) -> bool;
    fn hash_into(&self, state: &mut dyn Hasher);
    fn any(&self) -> &dyn Any;
    fn any_mut(&mut self) -> &mut dyn Any;
}

impl<T: Any + Clone + Eq + Hash + Debug + Send + Sync> Value for T {
    fn copy(&self) -> Box<dyn Value> {
        Box::new(self.clone())
    }
    fn equals(&self, other: &dyn Value) -> bool {
        other.any().downcast_ref::<T>() == Some(self)
    }
    fn hash_into(&self, mut state: &mut dyn Hasher) {
        // Values of two types can have the same bytes.
        type_name::<T>().hash(&mut state);
        self.hash(&mut state);
    }
    fn any(&self) -> &dyn Any {
        self
    }
    fn any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Data {
    /// Holds a value.
    pub fn new<T: Any + Clone + Eq + Hash + Debug + Send + Sync>(value: T) -> Self {
        Self(Some(Box::new(value)))
    }
    /// The value, if it is one of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        (**self.0.as_ref()?).any().downcast_ref()
    }
    /// The value, mutably.
    pub fn get_mut<T: Any>(&mut self) -> Option<&mut T> {
        (**self.0.as_mut()?).any_mut().downcast_mut()
    }
    /// There is none.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Clone for Data {
    fn clone(&self) -> Self {
        Self(self.0.as_ref().map(|value| (**value).copy()))
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => (**a).equals(&**b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

impl Eq for Data {}

impl Hash for Data {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.is_some().hash(state);
        if let Some(value) = &self.0 {
            (**value).hash_into(state);
        }
    }
}

impl Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => Debug::fmt(&**value, f),
            None => f.write_str("None"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct Other(u32);

    #[test]
    fn data_is_the_value_that_it_holds() {
        let hasher = RandomState::new();
        let hash = |data: &Data| hasher.hash_one(data);
        let mut a = Data::new(7u32);
        let b = a.clone();
        assert_eq!((&a, hash(&a)), (&b, hash(&b)));
        *a.get_mut::<u32>().unwrap() += 1;
        assert_eq!((a.get(), b.get(), b.get::<u64>()), (Some(&8u32), Some(&7u32), None));
        assert_ne!(a, b);
        assert_ne!(hash(&a), hash(&b));
        let other = Data::new(Other(7));
        assert_ne!(other, b);
        assert_ne!(hash(&other), hash(&b));
        assert_ne!(Data::default(), b);
        assert_eq!(format!("{other:?} {:?}", Data::default()), "Other(7) None");
    }
}
