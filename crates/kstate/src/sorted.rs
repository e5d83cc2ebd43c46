//! A small map.

use core::mem;

/// A map as a list in the order of its keys. Next to a tree it is one block, which is copied, compared and hashed
/// fast. In exchange a key that is not the highest moves those behind it when it comes or goes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    fn place(&self, key: &K) -> Result<usize, usize> {
        // Most keys come in their order.
        match self.0.last() {
            Some((last, _)) if key > last => Err(self.0.len()),
            _ => self.0.binary_search_by(|(at, _)| at.cmp(key)),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|at| &self.0[at].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|at| &mut self.0[at].1)
    }

    /// The value of a key, which begins with the default.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = self.place(&key).unwrap_or_else(|at| {
            self.0.insert(at, (key, V::default()));
            at
        });
        &mut self.0[at].1
    }

    /// Sets the value of a key, and answers what it was before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => Some(mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes a key away with its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.place(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The highest key.
    pub fn last_key(&self) -> Option<&K> {
        self.0.last().map(|(key, _)| key)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_a_map() {
        let (mut map, mut expect) = (SortedMap::default(), BTreeMap::new());
        let mut random = 1u32;
        for n in 0..4000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = random >> 26;
            match random >> 24 & 3 {
                0 => assert_eq!(map.remove(&key), expect.remove(&key)),
                1 => {
                    *map.or_default(key) += n;
                    *expect.entry(key).or_default() += n;
                }
                2 => assert_eq!(map.get_mut(&key), expect.get_mut(&key)),
                _ => assert_eq!(map.insert(key, n), expect.insert(key, n)),
            }
            assert_eq!(map.get(&key), expect.get(&key));
            assert_eq!(map.last_key(), expect.keys().last());
            assert_eq!((map.len(), map.is_empty()), (expect.len(), expect.is_empty()));
        }
        assert!(map.0.iter().map(|(key, value)| (key, value)).eq(&expect));
    }
}
