//! Groups of CPUs that are close to each other, all of about the same size.
//!
//! C file: lib/group_cpus.c of 6.12; in 5.4 the same code is part of kernel/irq/affinity.c. The
//! tracer never sees lib/, so these are plain functions. Masks and shares of nodes have their types in
//! [`crate::affinity`].

use kfn::kfn;
use kstate::{CpuMask, Kernel};
use smallvec::smallvec;

use crate::affinity::{NodeMasks, NodeVectors, PerNode};
use crate::sort::sort;

/// Moves `cpus_per_grp` CPUs from `nmsk` to `irqmsk`, SMT siblings together.
fn grp_spread_init_one(k: &Kernel, irqmsk: &mut CpuMask, nmsk: &mut CpuMask, mut cpus_per_grp: u32) {
    while cpus_per_grp > 0 {
        let Some(cpu) = nmsk.take_first() else { return };
        irqmsk.set(cpu);
        cpus_per_grp -= 1;
        if cpus_per_grp == 0 {
            return;
        }
        let Some(siblmsk) = k.topo.siblings.get(cpu.index()) else { continue };
        // Most machines have no more than one sibling, and the CPU itself is gone already.
        if siblmsk.single() == Some(cpu) {
            continue;
        }
        for sibl in siblmsk.iter() {
            if cpus_per_grp == 0 {
                break;
            }
            if !nmsk.test_and_clear(sibl) {
                continue;
            }
            irqmsk.set(sibl);
            cpus_per_grp -= 1;
        }
    }
}

fn alloc_node_to_cpumask(k: &Kernel) -> NodeMasks {
    smallvec![CpuMask::new(); k.topo.nr_node_ids as usize]
}

fn free_node_to_cpumask(masks: NodeMasks) {
    drop(masks);
}

fn build_node_to_cpumask(k: &Kernel, masks: &mut [CpuMask]) {
    k.topo.possible_by_node(masks);
}

/// The nodes with a CPU in `mask`, ascending.
fn get_nodes_in_cpumask(node_to_cpumask: &[CpuMask], mask: &CpuMask) -> PerNode<usize> {
    (0..node_to_cpumask.len()).filter(|n| node_to_cpumask[*n].intersects(mask)).collect()
}

/// The difference as a signed number: a node without CPUs counts as -1 and sorts to the front.
fn ncpus_cmp_func(_: &mut Kernel, l: &NodeVectors, r: &NodeVectors) -> i32 {
    l.n.wrapping_sub(r.n) as i32
}

/// Gives each node its share of `numgrps`, at least one and at most one per CPU, the smallest node first.
fn alloc_nodes_groups(
    k: &mut Kernel,
    numgrps: u32,
    node_to_cpumask: &[CpuMask],
    cpu_mask: &CpuMask,
    nodemsk: &[usize],
    node_groups: &mut [NodeVectors],
) {
    for (n, nv) in node_groups.iter_mut().enumerate() {
        *nv = NodeVectors { id: n, n: u32::MAX };
    }
    if !k.sem.nodes_share_by_cpus {
        // As in alloc_nodes_vectors().
        let mut done = 0u32;
        for (passed, &n) in nodemsk.iter().enumerate() {
            let ncpus = cpu_mask.and(&node_to_cpumask[n]).weight();
            let nodes = (nodemsk.len() - passed) as u32;
            let grps_per_node = (numgrps.saturating_sub(done) / nodes).max(1);
            node_groups[n].n = grps_per_node.min(ncpus);
            done += node_groups[n].n;
        }
        return;
    }
    let mut remaining_ncpus = 0u32;
    for &n in nodemsk {
        let ncpus = cpu_mask.and(&node_to_cpumask[n]).weight();
        if ncpus == 0 {
            continue;
        }
        remaining_ncpus += ncpus;
        node_groups[n].n = ncpus;
    }
    let mut numgrps = remaining_ncpus.min(numgrps);
    sort(k, node_groups, ncpus_cmp_func);
    for nv in node_groups {
        if nv.n == u32::MAX {
            continue;
        }
        if numgrps == 0 {
            k.warn_once("WARNING: at lib/group_cpus.c alloc_nodes_groups");
        }
        let ncpus = nv.n;
        let ngroups = (numgrps.wrapping_mul(ncpus) / remaining_ncpus).max(1);
        if ngroups > ncpus {
            k.warn_once("WARNING: at lib/group_cpus.c alloc_nodes_groups");
        }
        nv.n = ngroups;
        remaining_ncpus -= ncpus;
        numgrps = numgrps.wrapping_sub(ngroups);
    }
}

/// One stage: deals the CPUs of `cpu_mask` to the groups, beginning at `startgrp`. Answers how many
/// groups got CPUs.
fn __group_cpus_evenly(
    k: &mut Kernel,
    startgrp: u32,
    numgrps: u32,
    node_to_cpumask: &[CpuMask],
    cpu_mask: &CpuMask,
    masks: &mut [CpuMask],
) -> u32 {
    let last_grp = numgrps;
    let mut curgrp = startgrp;
    let mut done = 0u32;
    if cpu_mask.is_empty() {
        return 0;
    }
    let nodemsk = get_nodes_in_cpumask(node_to_cpumask, cpu_mask);
    if numgrps as usize <= nodemsk.len() {
        for n in nodemsk {
            // Only CPUs of this stage: 5.4 takes the whole node.
            masks[curgrp as usize].or_assign(&cpu_mask.and(&node_to_cpumask[n]));
            curgrp += 1;
            if curgrp == last_grp {
                curgrp = 0;
            }
        }
        return numgrps;
    }
    let mut node_groups: PerNode<NodeVectors> = smallvec![NodeVectors { id: 0, n: 0 }; node_to_cpumask.len()];
    alloc_nodes_groups(k, numgrps, node_to_cpumask, cpu_mask, &nodemsk, &mut node_groups);
    for nv in node_groups {
        if nv.n == u32::MAX {
            continue;
        }
        let mut nmsk = cpu_mask.and(&node_to_cpumask[nv.id]);
        let ncpus = nmsk.weight();
        if ncpus == 0 {
            continue;
        }
        if nv.n > ncpus {
            k.warn_once("WARNING: at lib/group_cpus.c __group_cpus_evenly");
        }
        let mut extra_grps = ncpus - nv.n * (ncpus / nv.n);
        for _ in 0..nv.n {
            let mut cpus_per_grp = ncpus / nv.n;
            if extra_grps > 0 {
                cpus_per_grp += 1;
                extra_grps -= 1;
            }
            if curgrp >= last_grp {
                // As in __irq_build_affinity_masks().
                if !k.sem.nodes_share_by_cpus {
                    break;
                }
                curgrp = 0;
            }
            grp_spread_init_one(k, &mut masks[curgrp as usize], &mut nmsk, cpus_per_grp);
            curgrp += 1;
        }
        if !k.sem.nodes_share_by_cpus && curgrp >= last_grp {
            curgrp = 0;
        }
        done = done.wrapping_add(nv.n);
    }
    done
}

/// Divides all possible CPUs into `numgrps` groups: the present ones first, then the absent ones.
/// `None`, as C's NULL, for no groups at all.
#[kfn("lib/group_cpus.c")]
pub fn group_cpus_evenly(k: &mut Kernel, numgrps: u32) -> Option<Vec<CpuMask>> {
    if numgrps == 0 {
        return None;
    }
    let mut node_to_cpumask = alloc_node_to_cpumask(k);
    let mut masks: Vec<CpuMask> = (0..numgrps).map(|_| CpuMask::new()).collect();
    build_node_to_cpumask(k, &mut node_to_cpumask);
    let present = k.topo.present.clone();
    let nr_present = __group_cpus_evenly(k, 0, numgrps, &node_to_cpumask, &present, &mut masks);
    let curgrp = if nr_present >= numgrps { 0 } else { nr_present };
    let others = k.topo.possible.andnot(&present);
    let nr_others = __group_cpus_evenly(k, curgrp, numgrps, &node_to_cpumask, &others, &mut masks);
    if nr_present.wrapping_add(nr_others) < numgrps {
        k.warn("WARNING: at lib/group_cpus.c group_cpus_evenly");
    }
    free_node_to_cpumask(node_to_cpumask);
    Some(masks)
}
