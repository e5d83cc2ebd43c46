//! Groups of CPUs that are close to each other, all of about the same size.
//!
//! C file: lib/group_cpus.c of 6.12 and 7.3; in 5.4 the same code is part of kernel/irq/affinity.c. The
//! tracer never sees lib/, so these are plain functions. Masks and shares of nodes have their types in
//! [`crate::affinity`].

use kfn::kfn;
use kstate::{CpuId, CpuMask, Kernel};
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
            let ncpus = cpu_mask.weight_and(&node_to_cpumask[n]);
            let nodes = (nodemsk.len() - passed) as u32;
            let grps_per_node = (numgrps.saturating_sub(done) / nodes).max(1);
            node_groups[n].n = grps_per_node.min(ncpus);
            done += node_groups[n].n;
        }
        return;
    }
    let mut numcpus = 0u32;
    for &n in nodemsk {
        let ncpus = cpu_mask.weight_and(&node_to_cpumask[n]);
        if ncpus == 0 {
            continue;
        }
        numcpus += ncpus;
        node_groups[n].n = ncpus;
    }
    sort(k, node_groups, ncpus_cmp_func);
    alloc_groups_to_nodes(k, numcpus.min(numgrps), numcpus, node_groups);
}

/// Turns the number of CPUs of each node, or in 7.3 of each cluster of a node, into its share of `numgrps`.
/// `numcpus` are the CPUs of all. C sorts here: what is sorted comes in, the smallest first.
fn alloc_groups_to_nodes(k: &mut Kernel, numgrps: u32, numcpus: u32, node_groups: &mut [NodeVectors]) {
    let (mut numgrps, mut remaining_ncpus) = (numgrps, numcpus);
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

/// Deals the CPUs of `nmsk`, of which there are `ncpus`, to `nv.n` groups from `curgrp` on.
fn assign_cpus_to_groups(
    k: &mut Kernel,
    ncpus: u32,
    nmsk: &mut CpuMask,
    nv: NodeVectors,
    masks: &mut [CpuMask],
    curgrp: &mut u32,
    last_grp: u32,
) {
    let mut extra_grps = ncpus - nv.n * (ncpus / nv.n);
    for _ in 0..nv.n {
        let mut cpus_per_grp = ncpus / nv.n;
        if extra_grps > 0 {
            cpus_per_grp += 1;
            extra_grps -= 1;
        }
        if *curgrp >= last_grp {
            // As in __irq_build_affinity_masks().
            if !k.sem.nodes_share_by_cpus {
                break;
            }
            *curgrp = 0;
        }
        grp_spread_init_one(k, &mut masks[*curgrp as usize], nmsk, cpus_per_grp);
        *curgrp += 1;
    }
}

/// What sort() does to elements that are all equal: nothing moves within the heap, and what is left are the
/// exchanges by which two elements at a time leave it. No comparison is needed for long lists then.
fn sort_equal<T>(base: &mut [T]) {
    let mut n = base.len();
    while n > 3 {
        base.swap(0, n - 1);
        base.swap(2, n - 2);
        n -= 2;
    }
    if n > 1 {
        base.swap(0, n - 1);
    }
}

/// The clusters of a node's CPUs, the smallest first, each with its share of `ngroups`. The number of
/// such an entry is that of the cluster's first CPU. `None` where the groups are fewer than the clusters,
/// and where a CPU says nothing of its cluster: one that is absent or offline.
///
/// Clusters are mostly of one size, and then their order is what the heapsort makes of equal elements.
fn alloc_cluster_groups(
    k: &mut Kernel,
    ncpus: u32,
    ngroups: u32,
    node_cpumask: &CpuMask,
) -> Option<PerNode<NodeVectors>> {
    let mut clusters = PerNode::<NodeVectors>::with_capacity(ncpus.min(ngroups) as usize);
    let mut msk = node_cpumask.clone();
    let mut equal = true;
    while let Some(cpu) = msk.take_first() {
        let cluster = k.topo.topology_cluster_cpumask(cpu).filter(|cluster| !cluster.is_empty())?;
        // C counts on and then skips: more clusters than groups have to share groups anyway.
        if clusters.len() as u32 == ngroups {
            return None;
        }
        let mut n = 1;
        if cluster.single().is_none() {
            n = cluster.weight_and(node_cpumask);
            msk = msk.andnot(cluster);
        }
        equal &= clusters.first().is_none_or(|first| first.n == n);
        clusters.push(NodeVectors { id: cpu.index(), n });
    }
    if equal && k.sem.sort_extracts_two {
        sort_equal(&mut clusters);
    } else {
        sort(k, &mut clusters, ncpus_cmp_func);
    }
    // A group for each CPU, and each CPU by itself: what there is to share out is done.
    if clusters.len() as u32 != ncpus || ngroups != ncpus {
        alloc_groups_to_nodes(k, ngroups, ncpus, &mut clusters);
    }
    Some(clusters)
}

/// Deals a node's CPUs cluster by cluster (7.0). False where it cannot be done.
fn __try_group_cluster_cpus(
    k: &mut Kernel,
    ncpus: u32,
    ngroups: u32,
    node_cpumask: &CpuMask,
    masks: &mut [CpuMask],
    curgrp: &mut u32,
    last_grp: u32,
) -> bool {
    let Some(clusters) = alloc_cluster_groups(k, ncpus, ngroups, node_cpumask) else { return false };
    let alone = clusters.len() as u32 == ncpus;
    for nv in clusters {
        let cpu = CpuId(nv.id as u32);
        // Most machines have clusters of one CPU, which is dealt already.
        if alone {
            if *curgrp >= last_grp {
                if !k.sem.nodes_share_by_cpus {
                    break;
                }
                *curgrp = 0;
            }
            masks[*curgrp as usize].set(cpu);
            *curgrp += 1;
            continue;
        }
        let Some(cluster) = k.topo.topology_cluster_cpumask(cpu) else { continue };
        let mut nmsk = node_cpumask.and(cluster);
        let nc = nmsk.weight();
        if nv.n > nc {
            k.warn_once("WARNING: at lib/group_cpus.c __try_group_cluster_cpus");
        }
        assign_cpus_to_groups(k, nc, &mut nmsk, nv, masks, curgrp, last_grp);
    }
    true
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
        let clusters = k.sem.spread_by_cluster
            && __try_group_cluster_cpus(k, ncpus, nv.n, &nmsk, masks, &mut curgrp, last_grp);
        if !clusters {
            assign_cpus_to_groups(k, ncpus, &mut nmsk, nv, masks, &mut curgrp, last_grp);
        }
        if !k.sem.nodes_share_by_cpus && curgrp >= last_grp {
            curgrp = 0;
        }
        done = done.wrapping_add(nv.n);
    }
    done
}

/// Divides all possible CPUs into `numgrps` groups: the present ones first, then the absent ones.
/// `None`, as C's NULL, for no groups at all. Where there are fewer CPUs than groups, 7.3 says how many
/// masks there are (`nummasks`) and has no others; before, the last ones are empty.
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
    let grouped = nr_present.wrapping_add(nr_others);
    if k.sem.spread_reports_masks {
        masks.truncate(grouped as usize);
    } else if grouped < numgrps {
        k.warn("WARNING: at lib/group_cpus.c group_cpus_evenly");
    }
    free_node_to_cpumask(node_to_cpumask);
    Some(masks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kstate::semantics::{KernelVersion, Semantics};

    #[test]
    fn equal_elements_are_exchanged_as_the_whole_sort_does_it() {
        let mut k = Kernel { sem: Semantics::of(KernelVersion::V7_3), ..Kernel::default() };
        for len in 0..300_usize {
            let mut sorted: Vec<usize> = (0..len).collect();
            let mut exchanged = sorted.clone();
            sort(&mut k, &mut sorted, |_, _, _| 0);
            sort_equal(&mut exchanged);
            assert_eq!(exchanged, sorted, "{len}");
        }
    }
}
