//! Which hardware queue a CPU uses.
//!
//! C file: block/blk-mq-cpumap.c of 5.4, 6.12 and 7.3.

use irqcore::group_cpus::group_cpus_evenly;
use kfn::kfn;
use kstate::blk::QueueMap;
use kstate::semantics::BlkMap;
use kstate::{CpuId, CpuMask, Kernel, TagSetId};

/// `blk_mq_map_queues()`: spreads CPUs over a map's queues without looking at interrupts.
#[kfn("block/blk-mq-cpumap.c")]
pub fn blk_mq_map_queues(k: &mut Kernel, set: TagSetId, map: usize) {
    let qmap = &k.blk.set(set).map[map];
    let (nr_queues, queue_offset) = (qmap.nr_queues, qmap.queue_offset);
    let mq_map = match k.sem.blk_map {
        BlkMap::Sequential => map_sequential(k, nr_queues, queue_offset),
        BlkMap::GroupCpusEvenly => map_groups(k, nr_queues, queue_offset),
    };
    k.blk.set_mut(set).map[map].mq_map = mq_map.into();
}

/// A queue for each CPU of the mask, up to a limit; 0 is none.
#[kfn("block/blk-mq-cpumap.c")]
fn blk_mq_num_queues(k: &mut Kernel, mask: &CpuMask, max_queues: u32) -> u32 {
    let _ = k;
    let num = mask.weight();
    if max_queues == 0 { num } else { num.min(max_queues) }
}

/// A queue for each possible CPU, up to a limit; 0 is none.
#[kfn("block/blk-mq-cpumap.c")]
pub fn blk_mq_num_possible_queues(k: &mut Kernel, max_queues: u32) -> u32 {
    let possible = k.topo.possible.clone();
    blk_mq_num_queues(k, &possible, max_queues)
}

/// `dev->bus->irq_get_affinity` of a device: the affinity of one of its vectors, `None` where it has none.
pub type IrqGetAffinity<D> = fn(&mut Kernel, D, u32) -> Option<CpuMask>;

/// `blk_mq_map_hw_queues()`: a queue gets the CPUs of its interrupt, which the device's bus knows. Where it
/// knows none, interrupts are not looked at.
#[kfn("block/blk-mq-cpumap.c")]
pub fn blk_mq_map_hw_queues<D: Copy>(
    k: &mut Kernel,
    set: TagSetId,
    map: usize,
    dev: D,
    irq_get_affinity: IrqGetAffinity<D>,
    offset: u32,
) {
    let qmap = &k.blk.set(set).map[map];
    let (nr_queues, queue_offset) = (qmap.nr_queues, qmap.queue_offset);
    for queue in 0..nr_queues {
        let Some(mask) = irq_get_affinity(k, dev, queue + offset) else {
            return blk_mq_map_queues(k, set, map);
        };
        for cpu in mask.iter().filter(|cpu| cpu.0 < k.topo.nr_cpu_ids) {
            k.blk.set_mut(set).map[map].mq_map[cpu.index()] = queue_offset + queue;
        }
    }
}

/// The 5.4 body: present CPUs first, then the others; once every queue has a CPU, an SMT sibling
/// joins the first of its core.
fn map_sequential(k: &Kernel, nr_queues: u32, queue_offset: u32) -> Vec<u32> {
    let mut map = vec![u32::MAX; k.topo.nr_cpu_ids as usize];
    let mut q = 0;
    let next = |q: &mut u32| {
        let index = queue_offset + *q % nr_queues.max(1);
        *q += 1;
        index
    };
    for cpu in k.topo.present.iter() {
        if q >= nr_queues {
            break;
        }
        map[cpu.index()] = next(&mut q);
    }
    for cpu in k.topo.possible.iter() {
        if map[cpu.index()] != u32::MAX {
            continue;
        }
        let first_sibling = k.topo.siblings.get(cpu.index()).and_then(CpuMask::first).unwrap_or(cpu);
        map[cpu.index()] =
            if q < nr_queues || first_sibling == cpu { next(&mut q) } else { map[first_sibling.index()] };
    }
    clear_impossible(k, &mut map);
    map
}

/// The body since 6.12. Where 7.3 has fewer masks than queues, the queues take turns, and a later queue
/// takes the CPUs from an earlier one.
fn map_groups(k: &mut Kernel, nr_queues: u32, queue_offset: u32) -> Vec<u32> {
    let mut map = vec![queue_offset; k.topo.nr_cpu_ids as usize];
    let Some(masks) = group_cpus_evenly(k, nr_queues) else { return map };
    for (queue, mask) in masks.iter().cycle().take(nr_queues as usize).enumerate() {
        for cpu in mask.iter() {
            map[cpu.index()] = queue_offset + queue as u32;
        }
    }
    clear_impossible(k, &mut map);
    map
}

/// The kernel's array comes zeroed and is only read for possible CPUs.
fn clear_impossible(k: &Kernel, map: &mut [u32]) {
    for (cpu, queue) in map.iter_mut().enumerate() {
        if !k.topo.possible.contains(CpuId(cpu as u32)) {
            *queue = 0;
        }
    }
}

/// `blk_mq_clear_mq_map()`: all CPUs on the first queue.
pub(super) fn blk_mq_clear_mq_map(map: &mut QueueMap) {
    map.mq_map.fill(0);
}
