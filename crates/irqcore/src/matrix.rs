//! The vector matrix: which CPU has which interrupt vectors free.
//!
//! C file: kernel/irq/matrix.c of 5.4 and 6.12. All functions work on the one matrix there is,
//! `Kernel::vector_matrix`; "the local CPU" of the C comments is `Kernel::cur.cpu`.

use core::fmt::Write as _;

use kfn::kfn;
use kstate::matrix::{IRQ_MATRIX_BITS, IrqMatrix};
use kstate::trace::Tracepoint;
use kstate::{CpuId, CpuMask, Errno, Kernel};

/// Creates the matrix with bits `0..matrix_bits`, of which `alloc_start..alloc_end` can be
/// allocated.
///
/// # Errors
/// `ENOMEM` where C returns NULL: more bits than a CPU has vectors.
pub fn irq_alloc_matrix(
    k: &mut Kernel,
    matrix_bits: u32,
    alloc_start: u32,
    alloc_end: u32,
) -> Result<(), Errno> {
    if matrix_bits > IRQ_MATRIX_BITS {
        return Err(Errno::ENOMEM);
    }
    *k.vector_matrix = IrqMatrix::new(matrix_bits, alloc_start, alloc_end, k.topo.nr_cpu_ids);
    Ok(())
}

/// The local CPU's vectors take part from now on.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_online(k: &mut Kernel) {
    let cpu = k.cpu();
    let m = &mut *k.vector_matrix;
    let cm = &mut m.maps[cpu.index()];
    if cm.online {
        k.bug("kernel BUG at kernel/irq/matrix.c irq_matrix_online");
        return;
    }
    if !cm.initialized {
        cm.available = m.alloc_size.wrapping_sub(cm.managed.wrapping_add(m.systembits_inalloc));
        cm.initialized = true;
    }
    m.global_available = m.global_available.wrapping_add(cm.available);
    cm.online = true;
    m.online_maps = m.online_maps.wrapping_add(1);
    m.reindex(cpu);
    let global = m.global();
    k.tp(Tracepoint::IrqMatrixOnline(global));
}

/// The local CPU's vectors no longer take part. What is allocated there stays allocated.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_offline(k: &mut Kernel) {
    let cpu = k.cpu();
    let m = &mut *k.vector_matrix;
    let cm = &mut m.maps[cpu.index()];
    m.global_available = m.global_available.wrapping_sub(cm.available);
    cm.online = false;
    m.online_maps = m.online_maps.wrapping_sub(1);
    m.reindex(cpu);
    let global = m.global();
    k.tp(Tracepoint::IrqMatrixOffline(global));
}

/// Marks `num` bits in a row that are neither allocated nor managed nor the system's, and answers
/// the first of them; a number not below `alloc_end` when there are none.
#[kfn("kernel/irq/matrix.c")]
fn matrix_alloc_area(k: &mut Kernel, cpu: CpuId, num: u32, managed: bool) -> u32 {
    let m = &mut *k.vector_matrix;
    let (start, end) = (m.alloc_start, m.alloc_end);
    let cm = &mut m.maps[cpu.index()];
    let mut taken = cm.managed_map.or(&m.system_map).or(&cm.alloc_map);
    m.set_aside.iter().filter(|(at, _)| *at == cpu).for_each(|(_, bit)| taken.set(*bit));
    let area = taken.find_next_zero_area(end, start, num);
    if area >= end {
        return area;
    }
    let map = if managed { &mut cm.managed_map } else { &mut cm.alloc_map };
    (area..area + num).for_each(|bit| map.set(bit));
    area
}

/// The online CPU of `msk` with the most vectors available, the lowest of equals.
#[kfn("kernel/irq/matrix.c")]
fn matrix_find_best_cpu(k: &mut Kernel, msk: &CpuMask) -> Option<CpuId> {
    k.vector_matrix.most_available(msk)
}

/// The online CPU of `msk` with the fewest managed vectors allocated, the highest of equals: the
/// comparison in C lets an equal one pass.
#[kfn("kernel/irq/matrix.c")]
fn matrix_find_best_cpu_managed(k: &mut Kernel, msk: &CpuMask) -> Option<CpuId> {
    let mut best_cpu = None;
    let mut allocated = u32::MAX;
    for cpu in msk.iter() {
        let Some(cm) = k.vector_matrix.maps.get(cpu.index()) else { break };
        if !cm.online || cm.managed_allocated > allocated {
            continue;
        }
        best_cpu = Some(cpu);
        allocated = cm.managed_allocated;
    }
    best_cpu
}

/// Gives a bit to the system, on every CPU. With `replace` the bit was allocated on the local CPU
/// before.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_assign_system(k: &mut Kernel, bit: u32, replace: bool) {
    let cpu = k.cpu();
    let m = &mut *k.vector_matrix;
    if bit > m.matrix_bits || m.online_maps > 1 || (m.online_maps != 0 && !replace) {
        k.bug("kernel BUG at kernel/irq/matrix.c irq_matrix_assign_system");
        return;
    }
    m.system_map.set(bit);
    if replace {
        let cm = &mut m.maps[cpu.index()];
        if !cm.alloc_map.test(bit) {
            k.bug("kernel BUG at kernel/irq/matrix.c irq_matrix_assign_system");
            return;
        }
        cm.alloc_map.clear(bit);
        cm.allocated = cm.allocated.wrapping_sub(1);
        m.total_allocated = m.total_allocated.wrapping_sub(1);
    }
    if bit >= m.alloc_start && bit < m.alloc_end {
        m.systembits_inalloc = m.systembits_inalloc.wrapping_add(1);
    }
    let global = m.global();
    k.tp(Tracepoint::IrqMatrixAssignSystem { bit: bit as i32, global });
}

/// Keeps one bit back on every CPU of `msk`, online or not, not necessarily the same one.
///
/// # Errors
/// `ENOSPC` when a CPU has none left; then nothing is kept back.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_reserve_managed(k: &mut Kernel, msk: &CpuMask) -> Result<(), Errno> {
    let counts_offline = k.sem.matrix_counts_offline;
    for cpu in msk.iter() {
        let bit = matrix_alloc_area(k, cpu, 1, true);
        if bit >= k.vector_matrix.alloc_end {
            for done in msk.iter().take_while(|c| *c != cpu) {
                irq_matrix_remove_managed(k, &CpuMask::of(done));
            }
            return Err(Errno::ENOSPC);
        }
        let m = &mut *k.vector_matrix;
        let cm = &mut m.maps[cpu.index()];
        cm.managed = cm.managed.wrapping_add(1);
        if cm.online {
            cm.available = cm.available.wrapping_sub(1);
            m.global_available = m.global_available.wrapping_sub(1);
            m.reindex(cpu);
        } else if cm.initialized && counts_offline {
            cm.available = cm.available.wrapping_sub(1);
        } else if cm.initialized {
            cm.managed_while_offline = cm.managed_while_offline.wrapping_add(1);
        }
        let counters = m.counters(bit, cpu);
        k.tp(Tracepoint::IrqMatrixReserveManaged(counters));
    }
    Ok(())
}

/// Gives one bit that is kept back but not allocated up again, on every CPU of `msk`.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_remove_managed(k: &mut Kernel, msk: &CpuMask) {
    let counts_offline = k.sem.matrix_counts_offline;
    for cpu in msk.iter() {
        let m = &mut *k.vector_matrix;
        let end = m.alloc_end;
        let cm = &mut m.maps[cpu.index()];
        if cm.managed == 0 {
            k.warn_once("WARNING: at kernel/irq/matrix.c irq_matrix_remove_managed");
            continue;
        }
        let bit = cm.managed_map.andnot(&cm.alloc_map).find_first(end);
        if bit >= end {
            k.warn_once("WARNING: at kernel/irq/matrix.c irq_matrix_remove_managed");
            continue;
        }
        cm.managed_map.clear(bit);
        cm.managed = cm.managed.wrapping_sub(1);
        if cm.online {
            cm.available = cm.available.wrapping_add(1);
            m.global_available = m.global_available.wrapping_add(1);
            m.reindex(cpu);
        } else if cm.initialized && counts_offline {
            cm.available = cm.available.wrapping_add(1);
        } else if cm.initialized {
            cm.managed_while_offline = cm.managed_while_offline.wrapping_sub(1);
        }
        let counters = m.counters(bit, cpu);
        k.tp(Tracepoint::IrqMatrixRemoveManaged(counters));
    }
}

/// Allocates a bit that is kept back on one CPU of `msk`.
///
/// # Errors
/// `EINVAL` for an empty mask, `ENOSPC` without an online CPU or without a bit.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_alloc_managed(k: &mut Kernel, msk: &CpuMask, mapped_cpu: &mut CpuId) -> Result<u32, Errno> {
    if msk.is_empty() {
        return Err(Errno::EINVAL);
    }
    let cpu = matrix_find_best_cpu_managed(k, msk).ok_or(Errno::ENOSPC)?;
    let m = &mut *k.vector_matrix;
    let end = m.alloc_end;
    let cm = &mut m.maps[cpu.index()];
    let bit = cm.managed_map.andnot(&cm.alloc_map).find_first(end);
    if bit >= end {
        return Err(Errno::ENOSPC);
    }
    cm.alloc_map.set(bit);
    cm.allocated = cm.allocated.wrapping_add(1);
    cm.managed_allocated = cm.managed_allocated.wrapping_add(1);
    m.total_allocated = m.total_allocated.wrapping_add(1);
    *mapped_cpu = cpu;
    let counters = m.counters(bit, cpu);
    k.tp(Tracepoint::IrqMatrixAllocManaged(counters));
    Ok(bit)
}

/// Marks a bit that was given away before there was a matrix, on the local CPU.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_assign(k: &mut Kernel, bit: u32) {
    let cpu = k.cpu();
    let m = &mut *k.vector_matrix;
    if bit < m.alloc_start || bit >= m.alloc_end {
        k.warn_once("WARNING: at kernel/irq/matrix.c irq_matrix_assign");
        return;
    }
    let cm = &mut m.maps[cpu.index()];
    if cm.alloc_map.test(bit) {
        k.warn_once("WARNING: at kernel/irq/matrix.c irq_matrix_assign");
        return;
    }
    cm.alloc_map.set(bit);
    cm.allocated = cm.allocated.wrapping_add(1);
    m.total_allocated = m.total_allocated.wrapping_add(1);
    cm.available = cm.available.wrapping_sub(1);
    m.global_available = m.global_available.wrapping_sub(1);
    m.reindex(cpu);
    let counters = m.counters(bit, cpu);
    k.tp(Tracepoint::IrqMatrixAssign(counters));
}

/// Counts one more interrupt that will want a bit when it is activated.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_reserve(k: &mut Kernel) {
    let m = &k.vector_matrix;
    let (reserved, available) = (m.global_reserved, m.global_available);
    let exhausted = if k.sem.matrix_reserve_compares_equal {
        reserved == available
    } else {
        reserved <= available && reserved.wrapping_add(1) > available
    };
    if exhausted {
        k.pr_warn("Interrupt reservation exceeds available resources");
    }
    let m = &mut *k.vector_matrix;
    m.global_reserved = m.global_reserved.wrapping_add(1);
    let global = m.global();
    k.tp(Tracepoint::IrqMatrixReserve(global));
}

/// Takes one reservation back.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_remove_reserved(k: &mut Kernel) {
    let m = &mut *k.vector_matrix;
    m.global_reserved = m.global_reserved.wrapping_sub(1);
    let global = m.global();
    k.tp(Tracepoint::IrqMatrixRemoveReserved(global));
}

/// Allocates a bit on the CPU of `msk` that has most left. With `reserved` the interrupt had a
/// reservation, which is used up.
///
/// # Errors
/// `ENOSPC` when no online CPU of `msk` has a bit left; 6.12: `EINVAL` for an empty mask.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_alloc(
    k: &mut Kernel,
    msk: &CpuMask,
    reserved: bool,
    mapped_cpu: &mut CpuId,
) -> Result<u32, Errno> {
    if k.sem.matrix_alloc_refuses_empty_mask && msk.is_empty() {
        return Err(Errno::EINVAL);
    }
    let cpu = matrix_find_best_cpu(k, msk).ok_or(Errno::ENOSPC)?;
    let bit = matrix_alloc_area(k, cpu, 1, false);
    let m = &mut *k.vector_matrix;
    if bit >= m.alloc_end {
        return Err(Errno::ENOSPC);
    }
    let cm = &mut m.maps[cpu.index()];
    cm.allocated = cm.allocated.wrapping_add(1);
    cm.available = cm.available.wrapping_sub(1);
    m.total_allocated = m.total_allocated.wrapping_add(1);
    m.global_available = m.global_available.wrapping_sub(1);
    if reserved {
        m.global_reserved = m.global_reserved.wrapping_sub(1);
    }
    m.reindex(cpu);
    *mapped_cpu = cpu;
    let counters = m.counters(bit, cpu);
    k.tp(Tracepoint::IrqMatrixAlloc(counters));
    Ok(bit)
}

/// Frees a bit of one CPU. That of a managed interrupt stays kept back and is not available.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_free(k: &mut Kernel, cpu: CpuId, bit: u32, managed: bool) {
    let m = &mut *k.vector_matrix;
    if bit < m.alloc_start || bit >= m.alloc_end {
        k.warn_once("WARNING: at kernel/irq/matrix.c irq_matrix_free");
        return;
    }
    let cm = &mut m.maps[cpu.index()];
    if !cm.alloc_map.test(bit) {
        if k.sem.matrix_free_checks_bit {
            k.warn_once("WARNING: at kernel/irq/matrix.c irq_matrix_free");
            return;
        }
        cm.freed_unallocated = cm.freed_unallocated.wrapping_add(1);
    }
    cm.alloc_map.clear(bit);
    cm.allocated = cm.allocated.wrapping_sub(1);
    if managed {
        cm.managed_allocated = cm.managed_allocated.wrapping_sub(1);
    }
    if cm.online {
        m.total_allocated = m.total_allocated.wrapping_sub(1);
    } else {
        m.freed_while_offline = m.freed_while_offline.wrapping_add(1);
    }
    if !managed {
        cm.available = cm.available.wrapping_add(1);
        if cm.online {
            m.global_available = m.global_available.wrapping_add(1);
        }
    }
    m.reindex(cpu);
    let counters = m.counters(bit, cpu);
    k.tp(Tracepoint::IrqMatrixFree(counters));
}

/// How many bits are available globally; with `cpudown` without those of the local CPU.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_available(k: &mut Kernel, cpudown: bool) -> u32 {
    let m = &k.vector_matrix;
    if !cpudown {
        return m.global_available;
    }
    m.global_available.wrapping_sub(m.maps[k.cur.cpu.index()].available)
}

/// How many reservations have no bit yet.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_reserved(k: &mut Kernel) -> u32 {
    k.vector_matrix.global_reserved
}

/// How many bits are allocated on the local CPU; 6.12 leaves managed ones out.
#[kfn("kernel/irq/matrix.c")]
pub fn irq_matrix_allocated(k: &mut Kernel) -> u32 {
    let cm = &k.vector_matrix.maps[k.cur.cpu.index()];
    if k.sem.matrix_allocated_counts_managed {
        cm.allocated
    } else {
        cm.allocated.wrapping_sub(cm.managed_allocated)
    }
}

/// The text that debugfs shows below the VECTOR domain, with the table indented by `ind`.
pub fn irq_matrix_debug_show(k: &Kernel, sf: &mut String, ind: usize) {
    let m = &k.vector_matrix;
    let nsys = m.system_map.weight();
    // Writing to a String cannot fail.
    let _ = writeln!(sf, "Online bitmaps:   {:6}", m.online_maps);
    let _ = writeln!(sf, "Global available: {:6}", m.global_available);
    let _ = writeln!(sf, "Global reserved:  {:6}", m.global_reserved);
    let _ = writeln!(sf, "Total allocated:  {:6}", m.total_allocated);
    let _ = writeln!(sf, "System: {nsys}: {}", m.system_map.list(m.matrix_bits));
    let _ = writeln!(sf, "{:>ind$}| CPU | avl | man | mac | act | vectors", " ");
    for cpu in k.topo.online.iter() {
        let cm = &m.maps[cpu.index()];
        let _ = writeln!(
            sf,
            "{:>ind$} {:4}  {:4}  {:4}  {:4} {:4}  {}",
            " ",
            cpu.0,
            cm.available,
            cm.managed,
            cm.managed_allocated,
            cm.allocated,
            cm.alloc_map.list(m.matrix_bits)
        );
    }
}
