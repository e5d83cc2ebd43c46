//! Sets of CPUs, and the two text forms the kernel prints (lib/vsprintf.c).

use core::fmt::{self, Write as _};
use core::hash::{Hash, Hasher};

use smallvec::SmallVec;

use crate::bitmap::bitmap_parselist;
use crate::semantics::Semantics;
use crate::{CpuId, Errno};

/// The largest number of CPUs a machine can have.
pub const MAX_CPUS: u32 = 8192;

/// A set of CPUs.
///
/// Only the words from the first CPU's to the last one's are kept, so that a set of CPUs that are
/// close to each other is small in a machine of any size: up to 256 CPUs in a row need no
/// allocation. Neither the first nor the last word is zero, so that equal sets are equal values.
#[derive(Eq, PartialOrd, Ord, Default)]
pub struct CpuMask {
    /// Number of the first word; 0 for the empty set.
    base: u32,
    words: SmallVec<[u64; INLINE]>,
}

/// Words that need no allocation.
const INLINE: usize = 4;

impl Clone for CpuMask {
    fn clone(&self) -> Self {
        Self { base: self.base, words: SmallVec::from_slice(&self.words) }
    }
    fn clone_from(&mut self, source: &Self) {
        self.base = source.base;
        self.words.clear();
        self.words.extend_from_slice(&source.words);
    }
}

impl PartialEq for CpuMask {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.words[..], &other.words[..]) {
            // Most sets: none or two numbers need no memcmp().
            ([], []) => true,
            ([a], [b]) => a == b,
            (a, b) => a == b,
        };
        same && self.base == other.base
    }
}

impl Hash for CpuMask {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.base, &self.words[..]).hash(state);
    }
}

/// Number of a CPU's word.
const fn word_of(cpu: CpuId) -> u32 {
    cpu.0 / 64
}

/// A CPU's bit in its word.
const fn bit_of(cpu: CpuId) -> u64 {
    1 << (cpu.0 % 64)
}

impl CpuMask {
    /// The empty set.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// One CPU (`cpumask_of`).
    #[inline]
    pub fn of(cpu: CpuId) -> Self {
        Self { base: word_of(cpu), words: SmallVec::from_buf_and_len([bit_of(cpu), 0, 0, 0], 1) }
    }

    /// The CPUs `0..n`.
    pub fn first_n(n: u32) -> Self {
        let mut words: SmallVec<[u64; INLINE]> = SmallVec::from_elem(u64::MAX, (n / 64) as usize);
        if !n.is_multiple_of(64) {
            words.push((1 << (n % 64)) - 1);
        }
        Self { base: 0, words }
    }

    /// Drops zero words at both ends. Most sets have one word.
    #[inline]
    fn trim(&mut self) {
        match self.words[..] {
            [0] => {
                self.words.clear();
                self.base = 0;
            }
            [_] => {}
            _ => self.trim_words(),
        }
    }

    #[inline(never)]
    fn trim_words(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
        if self.words.first() == Some(&0) {
            let zeros = self.words.iter().position(|w| *w != 0).unwrap_or(0);
            self.words.drain(..zeros);
            self.base += zeros as u32;
        }
        if self.words.is_empty() {
            self.base = 0;
        }
    }

    /// The word of this number.
    #[inline]
    fn word(&self, number: u32) -> u64 {
        // A number below the base wraps to one that is past the end.
        self.words.get(number.wrapping_sub(self.base) as usize).copied().unwrap_or(0)
    }

    /// Makes room for the words `from..to`.
    #[cold]
    fn cover(&mut self, from: u32, to: u32) {
        if self.words.is_empty() {
            self.base = from;
        }
        if from < self.base {
            let more = (self.base - from) as usize;
            self.words.insert_many(0, core::iter::repeat_n(0, more));
            self.base = from;
        }
        let len = (to - self.base) as usize;
        if len > self.words.len() {
            self.words.resize(len, 0);
        }
    }

    /// Adds a CPU (`cpumask_set_cpu`).
    #[inline]
    pub fn set(&mut self, cpu: CpuId) {
        let number = word_of(cpu);
        if let Some(word) = self.words.get_mut(number.wrapping_sub(self.base) as usize) {
            *word |= bit_of(cpu);
            return;
        }
        if self.words.is_empty() {
            *self = Self::of(cpu);
            return;
        }
        self.cover(number, number + 1);
        self.words[(number - self.base) as usize] |= bit_of(cpu);
    }

    /// Adds the CPUs of a word.
    pub fn or_word(&mut self, number: u32, bits: u64) {
        if bits == 0 {
            return;
        }
        if self.words.get(number.wrapping_sub(self.base) as usize).is_none() {
            self.cover(number, number + 1);
        }
        self.words[(number - self.base) as usize] |= bits;
    }

    /// Removes a CPU (`cpumask_clear_cpu`).
    #[inline]
    pub fn clear(&mut self, cpu: CpuId) {
        if let Some(word) = self.words.get_mut(word_of(cpu).wrapping_sub(self.base) as usize) {
            *word &= !bit_of(cpu);
            if *word == 0 {
                self.trim_words();
            }
        }
    }

    /// Removes a CPU and says whether it was there (`cpumask_test_and_clear_cpu`).
    #[inline]
    pub fn test_and_clear(&mut self, cpu: CpuId) -> bool {
        let was = self.contains(cpu);
        if was {
            self.clear(cpu);
        }
        was
    }

    /// Removes the lowest CPU and returns it (`cpumask_first` and `cpumask_clear_cpu`).
    #[inline]
    pub fn take_first(&mut self) -> Option<CpuId> {
        let word = self.words.first_mut()?;
        let cpu = CpuId(self.base * 64 + word.trailing_zeros());
        *word &= word.wrapping_sub(1);
        if *word == 0 {
            self.trim_words();
        }
        Some(cpu)
    }

    /// The CPU is in the set (`cpumask_test_cpu`).
    #[inline]
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.word(word_of(cpu)) & bit_of(cpu) != 0
    }

    /// No CPU is in the set (`cpumask_empty`).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The only CPU of the set; `None` for no CPU and for several.
    #[inline]
    pub fn single(&self) -> Option<CpuId> {
        match self.words[..] {
            [word] if word.is_power_of_two() => Some(CpuId(self.base * 64 + word.trailing_zeros())),
            _ => None,
        }
    }

    /// Number of CPUs (`cpumask_weight`).
    pub fn weight(&self) -> u32 {
        self.words.iter().map(|w| w.count_ones()).sum()
    }

    /// Number of CPUs in both sets (`cpumask_weight_and`).
    pub fn weight_and(&self, other: &Self) -> u32 {
        let (_, a, b) = self.common(other);
        a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum()
    }

    /// The lowest CPU (`cpumask_first`, which returns `nr_cpu_ids` where this returns `None`).
    #[inline]
    pub fn first(&self) -> Option<CpuId> {
        self.words.first().map(|w| CpuId(self.base * 64 + w.trailing_zeros()))
    }

    /// The lowest CPU above `cpu` (`cpumask_next`).
    pub fn next_after(&self, cpu: CpuId) -> Option<CpuId> {
        self.next_from(cpu.0 + 1)
    }

    /// The lowest CPU not below `from`.
    pub fn next_from(&self, from: u32) -> Option<CpuId> {
        let number = from / 64;
        if number < self.base {
            return self.first();
        }
        let start = (number - self.base) as usize;
        let mut word = *self.words.get(start)? & (u64::MAX << (from % 64));
        let mut i = start;
        while word == 0 {
            i += 1;
            word = *self.words.get(i)?;
        }
        Some(CpuId((self.base + i as u32) * 64 + word.trailing_zeros()))
    }

    /// The highest CPU (`cpumask_last`).
    pub fn last(&self) -> Option<CpuId> {
        let end = (self.base + self.words.len() as u32) * 64;
        self.words.last().map(|w| CpuId(end - 1 - w.leading_zeros()))
    }

    /// The CPUs in ascending order (`for_each_cpu`).
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        self.iter_words().flat_map(|(i, w)| Bits(w).map(move |b| CpuId(i as u32 * 64 + b)))
    }

    /// The set in words of 64 CPUs, each with its number, lowest CPUs first. Words without a CPU
    /// at either end are left out.
    #[inline]
    pub fn iter_words(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.words.iter().enumerate().map(|(i, w)| (self.base as usize + i, *w))
    }

    /// The word of the CPUs 0 to 63.
    pub fn low_word(&self) -> u64 {
        self.word(0)
    }

    /// The words that two sets share: the number of the first, and both sets' words.
    #[inline]
    fn common<'a>(&'a self, other: &'a Self) -> (u32, &'a [u64], &'a [u64]) {
        let base = self.base.max(other.base);
        let from = |mask: &'a Self| mask.words.get((base - mask.base) as usize..).unwrap_or_default();
        let (a, b) = (from(self), from(other));
        let len = a.len().min(b.len());
        (base, &a[..len], &b[..len])
    }

    /// CPUs in both sets (`cpumask_and`).
    pub fn and(&self, other: &Self) -> Self {
        let (base, a, b) = self.common(other);
        let mut mask = Self { base, words: a.iter().zip(b).map(|(a, b)| a & b).collect() };
        mask.trim();
        mask
    }

    /// CPUs in either set (`cpumask_or`).
    pub fn or(&self, other: &Self) -> Self {
        let mut mask = self.clone();
        mask.or_assign(other);
        mask
    }

    /// Adds all of `other`.
    pub fn or_assign(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.cover(other.base, other.base + other.words.len() as u32);
        let start = (other.base - self.base) as usize;
        for (a, b) in self.words[start..].iter_mut().zip(&other.words) {
            *a |= b;
        }
    }

    /// Keeps only what is in `other` too.
    pub fn and_assign(&mut self, other: &Self) {
        *self = self.and(other);
    }

    /// CPUs of this set that are not in `other` (`cpumask_andnot`).
    pub fn andnot(&self, other: &Self) -> Self {
        let mut mask = self.clone();
        for (i, a) in mask.words.iter_mut().enumerate() {
            *a &= !other.word(mask.base + i as u32);
        }
        mask.trim();
        mask
    }

    /// The sets share a CPU (`cpumask_intersects`).
    #[inline]
    pub fn intersects(&self, other: &Self) -> bool {
        let (_, a, b) = self.common(other);
        a.iter().zip(b).any(|(a, b)| a & b != 0)
    }

    /// Every CPU is in `other` (`cpumask_subset`).
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter_words().all(|(i, a)| a & !other.word(i as u32) == 0)
    }

    /// The lowest CPU in both sets (`cpumask_first_and`).
    pub fn first_and(&self, other: &Self) -> Option<CpuId> {
        let (base, a, b) = self.common(other);
        let (i, word) = a.iter().zip(b).map(|(a, b)| a & b).enumerate().find(|(_, word)| *word != 0)?;
        Some(CpuId((base + i as u32) * 64 + word.trailing_zeros()))
    }

    /// The range list as `%*pbl` prints it: `0-3,8`.
    pub fn list(&self) -> String {
        let mut out = String::new();
        let mut next = self.first();
        while let Some(start) = next {
            let mut end = start;
            while self.contains(CpuId(end.0 + 1)) {
                end.0 += 1;
            }
            if !out.is_empty() {
                out.push(',');
            }
            let _ = if start == end { write!(out, "{start}") } else { write!(out, "{start}-{end}") };
            next = self.next_after(end);
        }
        out
    }

    /// The hexadecimal words as `%*pb` prints them for `nr_cpu_ids` CPUs: `ff`, `1,00000000`.
    pub fn hex(&self, nr_cpu_ids: u32) -> String {
        let mut out = String::new();
        let chunks = nr_cpu_ids.div_ceil(32).max(1);
        for chunk in (0..chunks).rev() {
            let word = self.word(chunk / 2);
            let value = (word >> (chunk % 2 * 32)) as u32;
            if chunk + 1 == chunks {
                let bits = nr_cpu_ids - chunk * 32;
                let digits = bits.div_ceil(4).max(1) as usize;
                let _ = write!(out, "{value:0digits$x}");
            } else {
                let _ = write!(out, ",{value:08x}");
            }
        }
        out
    }

    /// Reads a range list, `0-3,8` or `0-31:1/4`, as every kernel does. What a kernel reads is read
    /// by [`bitmap_parselist`] itself.
    ///
    /// # Errors
    /// `EINVAL` for anything that is no list, `ERANGE` for a number not below `nr_cpu_ids`,
    /// `EOVERFLOW` for one that is no unsigned int.
    pub fn parse_list(text: &str, nr_cpu_ids: u32) -> Result<Self, Errno> {
        Self::parse_list_of(&Semantics::default(), text, nr_cpu_ids)
    }

    /// The same as one kernel does, where it is known which: `N` and `all` are not of every kernel.
    ///
    /// # Errors
    /// Those of [`CpuMask::parse_list`].
    pub fn parse_list_of(sem: &Semantics, text: &str, nr_cpu_ids: u32) -> Result<Self, Errno> {
        let mut mask = Self::new();
        bitmap_parselist(sem, text.as_bytes(), &mut mask, nr_cpu_ids)?;
        Ok(mask)
    }
}

impl FromIterator<CpuId> for CpuMask {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> Self {
        let mut mask = Self::new();
        for cpu in cpus {
            mask.set(cpu);
        }
        mask
    }
}

impl fmt::Debug for CpuMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.list())
    }
}

impl fmt::Display for CpuMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list())
    }
}

/// The set bits of one word, lowest first.
#[derive(Clone, Copy, Debug)]
pub struct Bits(pub u64);

impl Iterator for Bits {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> CpuMask {
        CpuMask::parse_list(text, MAX_CPUS).unwrap()
    }

    #[test]
    fn lists_print_as_they_parse() {
        for text in ["", "0", "0-7", "0-1,3", "63-64", "0,2,4,300-8191"] {
            assert_eq!(list(text).list(), text);
        }
        assert_eq!(list("0-15:1/4").list(), "0,4,8,12");
    }

    #[test]
    fn hex_has_the_width_of_the_machine() {
        assert_eq!(list("0-7").hex(8), "ff");
        assert_eq!(list("0").hex(8), "01");
        assert_eq!(list("0").hex(4), "1");
        assert_eq!(list("32").hex(64), "00000001,00000000");
        assert_eq!(list("33").hex(40), "02,00000000");
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        assert_eq!(CpuMask::parse_list("3-1", 8), Err(Errno::EINVAL));
        assert_eq!(CpuMask::parse_list("x", 8), Err(Errno::EINVAL));
        assert_eq!(CpuMask::parse_list("8", 8), Err(Errno::ERANGE));
    }

    #[test]
    fn sets_do_what_sets_of_numbers_do() {
        use std::collections::BTreeSet;
        let sets = ["", "0", "63-64", "5,700", "640-650,8191", "0-8191", "128-255", "3,70,130,600"];
        let numbers = |mask: &CpuMask| mask.iter().map(|c| c.0).collect::<BTreeSet<u32>>();
        for a in sets.map(list) {
            let x = numbers(&a);
            for b in sets.map(list) {
                let y = numbers(&b);
                assert_eq!(numbers(&a.and(&b)), &x & &y);
                assert_eq!(numbers(&a.or(&b)), &x | &y);
                assert_eq!(numbers(&a.andnot(&b)), &x - &y);
                assert_eq!(a.intersects(&b), !x.is_disjoint(&y));
                assert_eq!(a.is_subset(&b), x.is_subset(&y));
                assert_eq!(a.first_and(&b).map(|c| c.0), (&x & &y).first().copied());
                assert_eq!(a.or(&b), b.or(&a));
                assert_eq!(a.and(&b).or(&a.andnot(&b)), a);
                let mut c = a.clone();
                c.clone_from(&b);
                assert_eq!(c, b);
            }
            assert_eq!(a.weight() as usize, x.len());
            assert_eq!(a.single().is_some(), x.len() == 1);
            assert_eq!(a.last().map(|c| c.0), x.last().copied());
            assert_eq!(a.next_from(129).map(|c| c.0), x.range(129..).next().copied());
            let mut rest = a.clone();
            let taken: Vec<u32> = core::iter::from_fn(|| rest.take_first()).map(|c| c.0).collect();
            assert_eq!((taken, rest), (x.into_iter().collect(), CpuMask::new()));
        }
    }

    #[test]
    fn equal_sets_are_equal_values() {
        let mut mask = list("3,8000");
        mask.clear(CpuId(8000));
        assert_eq!(mask, list("3"));
        mask.set(CpuId(7000));
        mask.clear(CpuId(3));
        assert_eq!(mask, list("7000"));
        assert_eq!(list("0-8191").weight(), 8192);
        assert_eq!(CpuMask::first_n(70), list("0-69"));
        assert_eq!(list("1,70").last(), Some(CpuId(70)));
        assert_eq!(list("1,70").next_after(CpuId(1)), Some(CpuId(70)));
    }
}
