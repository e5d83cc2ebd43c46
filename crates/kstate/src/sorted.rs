//! A small map.

use core::mem;
use core::ops::{Bound, Index, RangeBounds};

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

    /// All keys with their values, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The keys of a range with their values, in order.
    pub fn range(&self, keys: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        let first = match keys.start_bound() {
            Bound::Unbounded => 0,
            Bound::Included(start) => self.0.partition_point(|(key, _)| key < start),
            Bound::Excluded(start) => self.0.partition_point(|(key, _)| key <= start),
        };
        let rest = &self.0[first..];
        let len = match keys.end_bound() {
            Bound::Unbounded => rest.len(),
            Bound::Included(end) => rest.partition_point(|(key, _)| key <= end),
            Bound::Excluded(end) => rest.partition_point(|(key, _)| key < end),
        };
        rest[..len].iter().map(|(key, value)| (key, value))
    }

    /// The key is there.
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Keeps what `wanted` picks.
    pub fn retain(&mut self, mut wanted: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| wanted(key, value));
    }

    /// Takes all keys away.
    pub fn clear(&mut self) {
        self.0.clear();
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

impl<K: Ord, V> Index<&K> for SortedMap<K, V> {
    type Output = V;
    fn index(&self, key: &K) -> &V {
        self.get(key).expect("a key that is in the map")
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
            let (from, to) = (key.min(random & 63), key.max(random & 63));
            assert!(map.range(from..to).eq(expect.range(from..to)));
            assert!(map.range(from..=to).eq(expect.range(from..=to)));
            assert!(map.range(from..).eq(expect.range(from..)));
            assert_eq!(map.contains_key(&from), expect.contains_key(&from));
            if n % 500 == 0 {
                map.retain(|key, value| (*key + *value) % 3 != 0);
                expect.retain(|key, value| (*key + *value) % 3 != 0);
            }
        }
        assert!(map.iter().eq(&expect) && map.keys().eq(expect.keys()) && map.values().eq(expect.values()));
    }
}
