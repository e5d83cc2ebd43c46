//! A slot map that can be compared and hashed.

use core::hash::{Hash, Hasher};
use core::ops::{Index, IndexMut};

use slotmap::{Key, SlotMap};

/// Values behind generation-checked handles: a stale handle finds nothing instead of a stranger.
#[derive(Clone, Debug)]
pub struct Arena<K: Key, V>(SlotMap<K, V>);

impl<K: Key, V> Default for Arena<K, V> {
    fn default() -> Self {
        Self(SlotMap::with_key())
    }
}

impl<K: Key, V> Arena<K, V> {
    /// Stores `value` and returns its handle.
    pub fn insert(&mut self, value: V) -> K {
        self.0.insert(value)
    }
    /// Takes the value out; `None` when the handle is stale.
    pub fn remove(&mut self, key: K) -> Option<V> {
        self.0.remove(key)
    }
    /// The value, unless the handle is stale.
    pub fn get(&self, key: K) -> Option<&V> {
        self.0.get(key)
    }
    /// The value, mutably, unless the handle is stale.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.0.get_mut(key)
    }
    /// All values in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.0.iter()
    }
    /// How many values are stored.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// No value is stored.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Key, V> Index<K> for Arena<K, V> {
    type Output = V;
    fn index(&self, key: K) -> &V {
        &self.0[key]
    }
}

impl<K: Key, V> IndexMut<K> for Arena<K, V> {
    fn index_mut(&mut self, key: K) -> &mut V {
        &mut self.0[key]
    }
}

impl<K: Key, V: PartialEq> PartialEq for Arena<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().eq(other.0.iter())
    }
}

impl<K: Key, V: Eq> Eq for Arena<K, V> {}

impl<K: Key, V: Hash> Hash for Arena<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.len().hash(state);
        for (key, value) in &self.0 {
            key.hash(state);
            value.hash(state);
        }
    }
}
