//! The state of `struct irq_matrix`, which hands out interrupt vectors (kernel/irq/matrix.c of
//! 5.4 and 6.12).

use crate::cpumask::Bits;
use crate::trace::{MatrixCpu, MatrixGlobal};
use crate::{CpuId, CpuMask};

/// The largest number of bits a matrix can have: one per vector of an x86 CPU.
pub const IRQ_MATRIX_BITS: u32 = 256;

const WORDS: usize = IRQ_MATRIX_BITS as usize / 64;

/// How many CPUs share one entry of the search index.
const BLOCK: usize = 64;

/// One bit per vector.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VectorMap(pub [u64; WORDS]);

/// The bits that are set.
impl core::fmt::Debug for VectorMap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let words = self.0.iter().zip(0u32..);
        let bits = words.flat_map(|(word, n)| crate::cpumask::Bits(*word).map(move |bit| 64 * n + bit));
        crate::names::list(f, bits)
    }
}

impl VectorMap {
    /// The bit is set (`test_bit`). Bits outside of the map are clear.
    pub fn test(&self, bit: u32) -> bool {
        self.0.get(bit as usize / 64).is_some_and(|w| w >> (bit % 64) & 1 != 0)
    }

    /// `set_bit`. Bits outside of the map are ignored.
    pub fn set(&mut self, bit: u32) {
        if let Some(word) = self.0.get_mut(bit as usize / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    /// `clear_bit`. Bits outside of the map are ignored.
    pub fn clear(&mut self, bit: u32) {
        if let Some(word) = self.0.get_mut(bit as usize / 64) {
            *word &= !(1 << (bit % 64));
        }
    }

    /// `bitmap_or`.
    pub fn or(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// `bitmap_andnot`.
    pub fn andnot(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    /// The lowest set bit below `end`, else `end` (`find_first_bit`).
    pub fn find_first(&self, end: u32) -> u32 {
        let found = self.iter().next().unwrap_or(end);
        found.min(end)
    }

    /// The start of the lowest run of `num` clear bits in `start..end`; a number not below `end`
    /// when there is none (`bitmap_find_next_zero_area` without alignment).
    pub fn find_next_zero_area(&self, end: u32, start: u32, num: u32) -> u32 {
        let mut index = start;
        loop {
            while index < end && self.test(index) {
                // Skips the rest of a full word at once.
                let rest = !self.0[index as usize / 64] >> (index % 64);
                index += if rest == 0 { 64 - index % 64 } else { rest.trailing_zeros() };
            }
            let index_or_end = index.min(end);
            let last = index_or_end.saturating_add(num);
            if last > end {
                return last;
            }
            match (index_or_end..last).find(|b| self.test(*b)) {
                Some(taken) => index = taken + 1,
                None => return index_or_end,
            }
        }
    }

    /// Number of set bits below a bit that is set; `None` where it is clear.
    #[inline]
    pub fn position(&self, bit: u32) -> Option<usize> {
        let (word, mask) = (bit as usize / 64, 1 << (bit % 64));
        let here = *self.0.get(word)?;
        if here & mask == 0 {
            return None;
        }
        let mut below = (here & (mask - 1)).count_ones();
        for word in &self.0[..word] {
            below += word.count_ones();
        }
        Some(below as usize)
    }

    /// Number of set bits below `bit`, which must be a bit of the map.
    pub fn rank(&self, bit: u32) -> usize {
        let word = bit as usize / 64;
        let below: u32 = self.0.iter().take(word).map(|w| w.count_ones()).sum();
        let here = self.0.get(word).map_or(0, |w| (w & !(u64::MAX << (bit % 64))).count_ones());
        (below + here) as usize
    }

    /// The lowest set bit not below `bit` (`find_next_bit`).
    pub fn next_from(&self, bit: u32) -> Option<u32> {
        let start = bit as usize / 64;
        let mut mask = u64::MAX << (bit % 64);
        for (i, word) in self.0.iter().enumerate().skip(start) {
            let found = word & mask;
            if found != 0 {
                return Some(i as u32 * 64 + found.trailing_zeros());
            }
            mask = u64::MAX;
        }
        None
    }

    /// Number of set bits (`bitmap_weight`).
    pub fn weight(&self) -> u32 {
        self.0.iter().map(|w| w.count_ones()).sum()
    }

    /// The set bits, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().enumerate().flat_map(|(i, &w)| Bits(w).map(move |b| i as u32 * 64 + b))
    }

    /// The range list of the bits below `bits`, as `%*pbl` prints it.
    pub fn list(&self, bits: u32) -> String {
        self.iter().take_while(|b| *b < bits).map(CpuId).collect::<CpuMask>().list()
    }
}

/// `struct cpumap`: the vectors of one CPU. The counters are the kernel's own, which wrap; they
/// are never derived from the maps.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct CpuMap {
    /// Bits that can be allocated.
    pub available: u32,
    /// Bits that are allocated.
    pub allocated: u32,
    /// Bits kept back for managed interrupts.
    pub managed: u32,
    /// Bits of managed interrupts that are allocated.
    pub managed_allocated: u32,
    /// The CPU has been online once.
    pub initialized: bool,
    /// The CPU takes part.
    pub online: bool,
    /// What is allocated.
    pub alloc_map: VectorMap,
    /// What is kept back for managed interrupts.
    pub managed_map: VectorMap,
    /// No field of C: how many bits were kept back, less those given up, while the CPU was offline.
    /// `irq_matrix_reserve_managed()` and `irq_matrix_remove_managed()` leave `available` alone then,
    /// and `irq_matrix_online()` computes it only once, so that the counters disagree by this much.
    pub managed_while_offline: u32,
    /// No field of C: how often `irq_matrix_free()` was told to free a bit that was not allocated and
    /// counted it, where it does not look. `allocated` is too low by this much.
    pub freed_unallocated: u32,
}

/// `struct irq_matrix`. The kernel's `scratch_map` holds nothing between two calls and is left
/// out.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqMatrix {
    /// Number of bits.
    pub matrix_bits: u32,
    /// First bit that can be allocated.
    pub alloc_start: u32,
    /// First bit after `alloc_start` that cannot.
    pub alloc_end: u32,
    /// `alloc_end - alloc_start`.
    pub alloc_size: u32,
    /// Available bits of all online CPUs.
    pub global_available: u32,
    /// Reservations that have no bit yet.
    pub global_reserved: u32,
    /// System bits between `alloc_start` and `alloc_end`.
    pub systembits_inalloc: u32,
    /// Allocated bits of all CPUs.
    pub total_allocated: u32,
    /// Bits that were freed while their CPU was offline: `total_allocated` still counts them. Not a field
    /// of the kernel's.
    pub freed_while_offline: u32,
    /// How many CPUs are online.
    pub online_maps: u32,
    /// By CPU number.
    pub maps: Vec<CpuMap>,
    /// Bits that belong to the system on every CPU.
    pub system_map: VectorMap,
    /// Bits that boot is known to give to an interrupt later on: no search finds them. Empty once
    /// the machine has booted.
    // DEVIATION: the kernel's drivers probe in parallel; their order is an input here.
    pub set_aside: Vec<(CpuId, u32)>,
    /// Search index: `available` of every online CPU, 0 for the others. It follows from `maps`;
    /// `reindex` keeps it so.
    candidates: Vec<u32>,
    /// Search index: the largest candidate of every `BLOCK` CPUs.
    block_max: Vec<u32>,
}

impl IrqMatrix {
    /// An empty matrix for the CPUs `0..nr_cpu_ids`.
    pub fn new(matrix_bits: u32, alloc_start: u32, alloc_end: u32, nr_cpu_ids: u32) -> Self {
        let cpus = nr_cpu_ids as usize;
        Self {
            matrix_bits,
            alloc_start,
            alloc_end,
            alloc_size: alloc_end.wrapping_sub(alloc_start),
            maps: vec![CpuMap::default(); cpus],
            candidates: vec![0; cpus],
            block_max: vec![0; cpus.div_ceil(BLOCK)],
            ..Self::default()
        }
    }

    /// Brings the search index up to date after `available` or `online` of a CPU changed.
    pub fn reindex(&mut self, cpu: CpuId) {
        let cm = &self.maps[cpu.index()];
        let new = if cm.online { cm.available } else { 0 };
        let old = core::mem::replace(&mut self.candidates[cpu.index()], new);
        let block = cpu.index() / BLOCK;
        let max = self.block_max[block];
        if new >= max {
            self.block_max[block] = new;
        } else if old == max {
            let cpus = &self.candidates[block * BLOCK..];
            self.block_max[block] = cpus.iter().take(BLOCK).copied().max().unwrap_or(0);
        }
    }

    /// The online CPU of `msk` with the most available bits, the lowest of equals; none when
    /// nothing is available.
    pub fn most_available(&self, msk: &CpuMask) -> Option<CpuId> {
        let of_block = |block: usize, word: u64| {
            let cpus = self.candidates.get(block * BLOCK..).unwrap_or_default();
            Bits(word).filter_map(move |bit| Some((bit as usize, *cpus.get(bit as usize)?)))
        };
        // The index answers for a block that is all in the mask; one that is not is looked
        // through, unless the index says that it is no better.
        let mut best: Option<(usize, u64)> = None;
        let mut maxavl = 0;
        for (block, word) in msk.iter_words() {
            let Some(&max) = self.block_max.get(block) else { break };
            if max <= maxavl {
                continue;
            }
            let available = if word == u64::MAX {
                max
            } else {
                of_block(block, word).map(|(_, available)| available).max().unwrap_or(0)
            };
            if available > maxavl {
                maxavl = available;
                best = Some((block, word));
            }
        }
        let (block, word) = best?;
        let (bit, _) = of_block(block, word).find(|(_, available)| *available == maxavl)?;
        Some(CpuId((block * BLOCK + bit) as u32))
    }

    /// The global counters, as tracepoints show them.
    pub fn global(&self) -> MatrixGlobal {
        MatrixGlobal {
            online_maps: self.online_maps,
            global_available: self.global_available,
            global_reserved: self.global_reserved,
            total_allocated: self.total_allocated,
        }
    }

    /// One CPU's counters and the global ones, as tracepoints show them.
    pub fn counters(&self, bit: u32, cpu: CpuId) -> MatrixCpu {
        let cm = &self.maps[cpu.index()];
        MatrixCpu {
            bit: bit as i32,
            cpu,
            online: cm.online,
            available: cm.available,
            allocated: cm.allocated,
            managed: cm.managed,
            global: self.global(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(bits: &[u32]) -> VectorMap {
        let mut map = VectorMap::default();
        bits.iter().for_each(|b| map.set(*b));
        map
    }

    #[test]
    fn a_free_area_is_found_where_c_finds_it() {
        let full = VectorMap([u64::MAX; WORDS]);
        assert_eq!(full.find_next_zero_area(256, 32, 1), 257);
        assert_eq!(map(&[32, 33]).find_next_zero_area(236, 32, 1), 34);
        assert_eq!(map(&[32, 35]).find_next_zero_area(236, 32, 3), 36);
        assert_eq!(map(&[]).find_next_zero_area(48, 48, 1), 49);
        let mut low = full;
        low.clear(200);
        assert_eq!(low.find_next_zero_area(236, 0, 1), 200);
        assert_eq!(low.find_next_zero_area(200, 0, 1), 201);
    }

    #[test]
    fn the_index_finds_what_a_scan_finds() {
        let mut m = IrqMatrix::new(256, 32, 236, 200);
        let all = CpuMask::first_n(200);
        assert_eq!(m.most_available(&all), None);
        let mut seed = 1u32;
        for _ in 0..3000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let cpu = CpuId((seed >> 8) % 200);
            let cm = &mut m.maps[cpu.index()];
            cm.available = seed >> 16 & 7;
            cm.online = seed >> 24 & 3 != 0;
            m.reindex(cpu);
            let scan = (0..200)
                .filter(|c| m.maps[*c].online && m.maps[*c].available > 0)
                .rev()
                .max_by_key(|c| m.maps[*c].available);
            assert_eq!(m.most_available(&all).map(CpuId::index), scan);
            let some: CpuMask = (0..200).filter(|c| (seed >> (c % 23)) & 1 != 0).map(CpuId).collect();
            let scan = some
                .iter()
                .map(CpuId::index)
                .filter(|c| m.maps[*c].online && m.maps[*c].available > 0)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .max_by_key(|c| m.maps[*c].available);
            assert_eq!(m.most_available(&some).map(CpuId::index), scan);
        }
    }
}
