//! Which hardware queue a CPU uses.
//!
//! C file: block/blk-mq-cpumap.c of 5.4 and 6.12.

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
    k.blk.set_mut(set).map[map].mq_map = mq_map;
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

/// The 6.12 body.
fn map_groups(k: &mut Kernel, nr_queues: u32, queue_offset: u32) -> Vec<u32> {
    let mut map = vec![queue_offset; k.topo.nr_cpu_ids as usize];
    let Some(masks) = group_cpus_evenly(k, nr_queues) else { return map };
    for (queue, mask) in masks.iter().take(nr_queues as usize).enumerate() {
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
