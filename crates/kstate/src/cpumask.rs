//! Sets of CPUs, and the two text forms the kernel prints and parses (lib/bitmap.c).

use core::fmt::{self, Write as _};

use smallvec::SmallVec;

use crate::{CpuId, Errno};

/// The largest number of CPUs a machine can have.
pub const MAX_CPUS: u32 = 8192;

/// A set of CPUs.
///
/// The words never end in a zero word, so that equal sets are equal values. Up to 256 CPUs need no
/// allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CpuMask {
    words: SmallVec<[u64; 4]>,
}

impl CpuMask {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// One CPU (`cpumask_of`).
    pub fn of(cpu: CpuId) -> Self {
        let mut mask = Self::new();
        mask.set(cpu);
        mask
    }

    /// The CPUs `0..n`.
    pub fn first_n(n: u32) -> Self {
        let mut words: SmallVec<[u64; 4]> = SmallVec::from_elem(u64::MAX, (n / 64) as usize);
        if !n.is_multiple_of(64) {
            words.push((1 << (n % 64)) - 1);
        }
        Self { words }
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    /// Adds a CPU (`cpumask_set_cpu`).
    pub fn set(&mut self, cpu: CpuId) {
        let word = cpu.index() / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (cpu.0 % 64);
    }

    /// Removes a CPU (`cpumask_clear_cpu`).
    pub fn clear(&mut self, cpu: CpuId) {
        if let Some(word) = self.words.get_mut(cpu.index() / 64) {
            *word &= !(1 << (cpu.0 % 64));
            self.trim();
        }
    }

    /// Removes a CPU and says whether it was there (`cpumask_test_and_clear_cpu`).
    pub fn test_and_clear(&mut self, cpu: CpuId) -> bool {
        let was = self.contains(cpu);
        if was {
            self.clear(cpu);
        }
        was
    }

    /// The CPU is in the set (`cpumask_test_cpu`).
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.words.get(cpu.index() / 64).is_some_and(|w| w >> (cpu.0 % 64) & 1 != 0)
    }

    /// No CPU is in the set (`cpumask_empty`).
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Number of CPUs (`cpumask_weight`).
    pub fn weight(&self) -> u32 {
        self.words.iter().map(|w| w.count_ones()).sum()
    }

    /// The lowest CPU (`cpumask_first`, which returns `nr_cpu_ids` where this returns `None`).
    pub fn first(&self) -> Option<CpuId> {
        self.words.iter().position(|w| *w != 0).map(|i| CpuId(i as u32 * 64 + self.words[i].trailing_zeros()))
    }

    /// The lowest CPU above `cpu` (`cpumask_next`).
    pub fn next_after(&self, cpu: CpuId) -> Option<CpuId> {
        self.next_from(cpu.0 + 1)
    }

    /// The lowest CPU not below `from`.
    pub fn next_from(&self, from: u32) -> Option<CpuId> {
        let start = (from / 64) as usize;
        let mut word = *self.words.get(start)? & (u64::MAX << (from % 64));
        let mut i = start;
        while word == 0 {
            i += 1;
            word = *self.words.get(i)?;
        }
        Some(CpuId(i as u32 * 64 + word.trailing_zeros()))
    }

    /// The highest CPU (`cpumask_last`).
    pub fn last(&self) -> Option<CpuId> {
        self.words.last().map(|w| CpuId(self.words.len() as u32 * 64 - 1 - w.leading_zeros()))
    }

    /// The CPUs in ascending order (`for_each_cpu`).
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &w)| Bits(w).map(move |b| CpuId(i as u32 * 64 + b)))
    }

    /// The set's words, lowest CPUs first, without trailing zero words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// CPUs in both sets (`cpumask_and`).
    pub fn and(&self, other: &Self) -> Self {
        let mut mask = Self { words: self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect() };
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
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a |= b;
        }
    }

    /// Keeps only what is in `other` too.
    pub fn and_assign(&mut self, other: &Self) {
        self.words.truncate(other.words.len());
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= b;
        }
        self.trim();
    }

    /// CPUs of this set that are not in `other` (`cpumask_andnot`).
    pub fn andnot(&self, other: &Self) -> Self {
        let mut mask = self.clone();
        for (a, b) in mask.words.iter_mut().zip(&other.words) {
            *a &= !b;
        }
        mask.trim();
        mask
    }

    /// The sets share a CPU (`cpumask_intersects`).
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Every CPU is in `other` (`cpumask_subset`).
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words.len() <= other.words.len() && self.words.iter().zip(&other.words).all(|(a, b)| a & !b == 0)
    }

    /// The lowest CPU in both sets (`cpumask_first_and`).
    pub fn first_and(&self, other: &Self) -> Option<CpuId> {
        self.words
            .iter()
            .zip(&other.words)
            .position(|(a, b)| a & b != 0)
            .map(|i| CpuId(i as u32 * 64 + (self.words[i] & other.words[i]).trailing_zeros()))
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
            let word = self.words.get(chunk as usize / 2).copied().unwrap_or(0);
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

    /// Parses a range list (`bitmap_parselist`): `0-3,8`, also `0-31:1/4`.
    ///
    /// # Errors
    /// `EINVAL` for anything that is no list, `ERANGE` for a number not below `nr_cpu_ids`.
    pub fn parse_list(text: &str, nr_cpu_ids: u32) -> Result<Self, Errno> {
        let number = |t: &str| -> Result<u32, Errno> {
            if t.is_empty() || !t.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Errno::EINVAL);
            }
            t.parse().map_err(|_| Errno::EOVERFLOW)
        };
        let mut mask = Self::new();
        for region in text.trim().split([',', ' ', '\n']).filter(|r| !r.is_empty()) {
            let (range, step) = region.split_once(':').map_or((region, None), |(r, s)| (r, Some(s)));
            let (start, end) = match range.split_once('-') {
                Some((a, b)) => (number(a)?, number(b)?),
                None => (number(range)?, number(range)?),
            };
            let (off, group) = match step {
                None => (1, 1),
                Some(s) => {
                    let (used, group) = s.split_once('/').ok_or(Errno::EINVAL)?;
                    (number(used)?, number(group)?)
                }
            };
            if start > end || group == 0 || off > group {
                return Err(Errno::EINVAL);
            }
            if end >= nr_cpu_ids {
                return Err(Errno::ERANGE);
            }
            for cpu in start..=end {
                if (cpu - start) % group < off {
                    mask.set(CpuId(cpu));
                }
            }
        }
        Ok(mask)
    }

    /// Parses hexadecimal words (`bitmap_parse`): `ff`, `1,00000000`.
    ///
    /// # Errors
    /// `EINVAL` for anything that is no hexadecimal mask, `EOVERFLOW` for a bit not below
    /// `nr_cpu_ids` or a word of more than 8 digits.
    pub fn parse_hex(text: &str, nr_cpu_ids: u32) -> Result<Self, Errno> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut mask = Self::new();
        for (i, word) in text.rsplit(',').enumerate() {
            if word.is_empty() || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(Errno::EINVAL);
            }
            let value = u32::from_str_radix(word, 16).map_err(|_| Errno::EOVERFLOW)?;
            for bit in Bits(u64::from(value)) {
                let cpu = i as u64 * 32 + u64::from(bit);
                if cpu >= u64::from(nr_cpu_ids) {
                    return Err(Errno::EOVERFLOW);
                }
                mask.set(CpuId(cpu as u32));
            }
        }
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
        assert_eq!(CpuMask::parse_hex("2,00000000", 64).unwrap().list(), "33");
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        assert_eq!(CpuMask::parse_list("3-1", 8), Err(Errno::EINVAL));
        assert_eq!(CpuMask::parse_list("x", 8), Err(Errno::EINVAL));
        assert_eq!(CpuMask::parse_list("8", 8), Err(Errno::ERANGE));
        assert_eq!(CpuMask::parse_hex("100", 8), Err(Errno::EOVERFLOW));
        assert_eq!(CpuMask::parse_hex("zz", 8), Err(Errno::EINVAL));
    }

    #[test]
    fn equal_sets_are_equal_values() {
        let mut mask = list("3,8000");
        mask.clear(CpuId(8000));
        assert_eq!(mask, list("3"));
        assert_eq!(list("0-8191").weight(), 8192);
        assert_eq!(CpuMask::first_n(70), list("0-69"));
        assert_eq!(list("1,70").last(), Some(CpuId(70)));
        assert_eq!(list("1,70").next_after(CpuId(1)), Some(CpuId(70)));
    }
}
