//! Groups of CPUs that are close to each other, all of about the same size.
//!
//! C file: lib/group_cpus.c of 6.12; in 5.4 the same code is part of kernel/irq/affinity.c. The
//! tracer never sees lib/, so these are plain functions and what both releases share stands in
//! [`crate::affinity`].

use kfn::kfn;
use kstate::{CpuMask, Kernel};
use smallvec::smallvec;

use crate::affinity::{
    NodeVectors, PerNode, grp_spread_init_one, ncpus_cmp, node_masks, node_to_cpumask, nodes_in_cpumask,
    share_among_nodes,
};

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
    let nodemsk = nodes_in_cpumask(node_to_cpumask, cpu_mask);
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
    let cmp = |_: &mut Kernel, l: &NodeVectors, r: &NodeVectors| ncpus_cmp(l, r);
    share_among_nodes(k, numgrps, node_to_cpumask, cpu_mask, &nodemsk, &mut node_groups, cmp);
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
    let mut node_masks = node_masks(k);
    let mut masks: Vec<CpuMask> = (0..numgrps).map(|_| CpuMask::new()).collect();
    node_to_cpumask(k, &mut node_masks);
    let present = k.topo.present.clone();
    let nr_present = __group_cpus_evenly(k, 0, numgrps, &node_masks, &present, &mut masks);
    let curgrp = if nr_present >= numgrps { 0 } else { nr_present };
    let others = k.topo.possible.andnot(&present);
    let nr_others = __group_cpus_evenly(k, curgrp, numgrps, &node_masks, &others, &mut masks);
    if nr_present.wrapping_add(nr_others) < numgrps {
        k.warn("WARNING: at lib/group_cpus.c group_cpus_evenly");
    }
    Some(masks)
}
