//! Which CPUs each vector of a multi-queue device gets.
//!
//! C file: kernel/irq/affinity.c of 5.4, 6.12 and 7.3. Since 6.12 the spreading itself is
//! `group_cpus_evenly()`, in [`crate::group_cpus`]; both work in the same two stages, and
//! each has the functions that its C file has.

use kfn::kfn;
use kstate::msi::{CalcSets, IRQ_AFFINITY_MAX_SETS, IrqAffinity, IrqAffinityDesc};
use kstate::semantics::Spread;
use kstate::{CpuMask, Errno, Kernel};
use smallvec::{SmallVec, smallvec};

use crate::group_cpus::group_cpus_evenly;
use crate::sort::sort;

/// Moves `cpus_per_vec` CPUs from `nmsk` to `irqmsk`, SMT siblings together.
#[kfn("kernel/irq/affinity.c")]
fn irq_spread_init_one(k: &mut Kernel, irqmsk: &mut CpuMask, nmsk: &mut CpuMask, cpus_per_vec: u32) {
    let mut cpus_per_vec = cpus_per_vec;
    while cpus_per_vec > 0 {
        let Some(cpu) = nmsk.take_first() else { return };
        irqmsk.set(cpu);
        cpus_per_vec -= 1;
        if cpus_per_vec == 0 {
            return;
        }
        let Some(siblmsk) = k.topo.siblings.get(cpu.index()) else { continue };
        // Most machines have no more than one sibling, and the CPU itself is gone already.
        if siblmsk.single() == Some(cpu) {
            continue;
        }
        for sibl in siblmsk.iter() {
            if cpus_per_vec == 0 {
                break;
            }
            if !nmsk.test_and_clear(sibl) {
                continue;
            }
            irqmsk.set(sibl);
            cpus_per_vec -= 1;
        }
    }
}

/// A mask per node. Up to four need no allocation.
pub(crate) type NodeMasks = SmallVec<[CpuMask; 4]>;

#[kfn("kernel/irq/affinity.c")]
fn alloc_node_to_cpumask(k: &mut Kernel) -> NodeMasks {
    smallvec![CpuMask::new(); k.topo.nr_node_ids as usize]
}

#[kfn("kernel/irq/affinity.c")]
fn free_node_to_cpumask(k: &mut Kernel, masks: NodeMasks) {
    drop(masks);
}

#[kfn("kernel/irq/affinity.c")]
fn build_node_to_cpumask(k: &mut Kernel, masks: &mut [CpuMask]) {
    k.topo.possible_by_node(masks);
}

/// Nodes by number, or what is known of each. Up to eight need no allocation.
pub(crate) type PerNode<T> = SmallVec<[T; 8]>;

/// The nodes with a CPU in `mask`, ascending. C sets them in a node mask and returns their number.
#[kfn("kernel/irq/affinity.c")]
fn get_nodes_in_cpumask(k: &mut Kernel, node_to_cpumask: &[CpuMask], mask: &CpuMask) -> PerNode<usize> {
    (0..node_to_cpumask.len()).filter(|n| node_to_cpumask[*n].intersects(mask)).collect()
}

/// `struct node_vectors`, in 6.12 `struct node_groups`. The number is a union in C: the CPUs of
/// the node first, `u32::MAX` where it has none, and later its share of vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeVectors {
    pub(crate) id: usize,
    pub(crate) n: u32,
}

/// The difference as a signed number: a node without CPUs counts as -1 and sorts to the front.
#[kfn("kernel/irq/affinity.c")]
fn ncpus_cmp_func(k: &mut Kernel, l: &NodeVectors, r: &NodeVectors) -> i32 {
    l.n.wrapping_sub(r.n) as i32
}

/// Gives each node its share of `numvecs`, at least one and at most one per CPU, the smallest node first.
// DEVIATION: 5.3 has no such function and divides by zero where nothing is left for a node. It gets one
// vector here, which is what 5.4 made of it (53c1788b7d77) right before the division changed as a whole.
#[kfn("kernel/irq/affinity.c")]
fn alloc_nodes_vectors(
    k: &mut Kernel,
    numvecs: u32,
    node_to_cpumask: &[CpuMask],
    cpu_mask: &CpuMask,
    nodemsk: &[usize],
    node_vectors: &mut [NodeVectors],
) {
    for (n, nv) in node_vectors.iter_mut().enumerate() {
        *nv = NodeVectors { id: n, n: u32::MAX };
    }
    if !k.sem.nodes_share_by_cpus {
        // Each node gets what is left divided by the nodes that are left, and no more than it has CPUs.
        let mut done = 0u32;
        for (passed, &n) in nodemsk.iter().enumerate() {
            let ncpus = cpu_mask.weight_and(&node_to_cpumask[n]);
            let nodes = (nodemsk.len() - passed) as u32;
            let vecs_per_node = (numvecs.saturating_sub(done) / nodes).max(1);
            node_vectors[n].n = vecs_per_node.min(ncpus);
            done += node_vectors[n].n;
        }
        return;
    }
    let mut remaining_ncpus = 0u32;
    for &n in nodemsk {
        let ncpus = cpu_mask.weight_and(&node_to_cpumask[n]);
        if ncpus == 0 {
            continue;
        }
        remaining_ncpus += ncpus;
        node_vectors[n].n = ncpus;
    }
    let mut numvecs = remaining_ncpus.min(numvecs);
    sort(k, node_vectors, ncpus_cmp_func);
    for nv in node_vectors {
        if nv.n == u32::MAX {
            continue;
        }
        if numvecs == 0 {
            k.warn_once("WARNING: at kernel/irq/affinity.c alloc_nodes_vectors");
        }
        let ncpus = nv.n;
        let nvectors = (numvecs.wrapping_mul(ncpus) / remaining_ncpus).max(1);
        if nvectors > ncpus {
            k.warn_once("WARNING: at kernel/irq/affinity.c alloc_nodes_vectors");
        }
        nv.n = nvectors;
        remaining_ncpus -= ncpus;
        numvecs = numvecs.wrapping_sub(nvectors);
    }
}

/// An empty set, or sets with more vectors than there are, make C write past the end of the masks.
// DEVIATION: C says nothing and overwrites what lies there. Here the write has no effect, and the
// kernel log says so once; it is no warning of the kernel's.
fn past_the_end(k: &mut Kernel) {
    const TEXT: &str = "irqlab: this kernel writes past the end of the affinity masks";
    if k.log.last().is_none_or(|line| line != TEXT) {
        k.log.push(TEXT.to_owned());
    }
}

/// One stage: deals the CPUs of `cpu_mask` to the vectors, beginning at `startvec`. Answers how many
/// vectors got CPUs.
#[kfn("kernel/irq/affinity.c")]
fn __irq_build_affinity_masks(
    k: &mut Kernel,
    startvec: u32,
    numvecs: u32,
    firstvec: u32,
    node_to_cpumask: &[CpuMask],
    cpu_mask: &CpuMask,
    masks: &mut [IrqAffinityDesc],
) -> u32 {
    let last_affv = firstvec.wrapping_add(numvecs);
    let mut curvec = startvec;
    let mut done = 0u32;
    if cpu_mask.is_empty() {
        return 0;
    }
    let nodemsk = get_nodes_in_cpumask(k, node_to_cpumask, cpu_mask);
    if numvecs as usize <= nodemsk.len() {
        for n in nodemsk {
            // The whole node, also its CPUs outside of `cpu_mask`.
            if let Some(desc) = masks.get_mut(curvec as usize) {
                desc.mask.or_assign(&node_to_cpumask[n]);
            } else {
                past_the_end(k);
            }
            curvec += 1;
            if curvec == last_affv {
                curvec = firstvec;
            }
        }
        return numvecs;
    }
    let mut node_vectors: PerNode<NodeVectors> =
        smallvec![NodeVectors { id: 0, n: 0 }; node_to_cpumask.len()];
    alloc_nodes_vectors(k, numvecs, node_to_cpumask, cpu_mask, &nodemsk, &mut node_vectors);
    for nv in node_vectors {
        if nv.n == u32::MAX {
            continue;
        }
        let mut nmsk = cpu_mask.and(&node_to_cpumask[nv.id]);
        let ncpus = nmsk.weight();
        if ncpus == 0 {
            continue;
        }
        if nv.n > ncpus {
            k.warn_once("WARNING: at kernel/irq/affinity.c __irq_build_affinity_masks");
        }
        let mut extra_vecs = ncpus - nv.n * (ncpus / nv.n);
        for _ in 0..nv.n {
            let mut cpus_per_vec = ncpus / nv.n;
            if extra_vecs > 0 {
                cpus_per_vec += 1;
                extra_vecs -= 1;
            }
            if curvec >= last_affv {
                // 5.3 goes on with the next node; the CPUs that are left here get no vector.
                if !k.sem.nodes_share_by_cpus {
                    break;
                }
                curvec = firstvec;
            }
            if let Some(desc) = masks.get_mut(curvec as usize) {
                irq_spread_init_one(k, &mut desc.mask, &mut nmsk, cpus_per_vec);
            } else {
                past_the_end(k);
            }
            curvec += 1;
        }
        if !k.sem.nodes_share_by_cpus && curvec >= last_affv {
            curvec = firstvec;
        }
        done = done.wrapping_add(nv.n);
    }
    done
}

/// Spreads the present CPUs over the vectors `firstvec..firstvec + numvecs` beginning at
/// `startvec`, and then the CPUs that are possible but absent.
#[kfn("kernel/irq/affinity.c")]
fn irq_build_affinity_masks(
    k: &mut Kernel,
    startvec: u32,
    numvecs: u32,
    firstvec: u32,
    masks: &mut [IrqAffinityDesc],
) -> Result<(), Errno> {
    // An allocation never fails here, so nothing below returns ENOMEM as C could.
    let mut node_to_cpumask = alloc_node_to_cpumask(k);
    build_node_to_cpumask(k, &mut node_to_cpumask);
    let present = k.topo.present.clone();
    let nr_present =
        __irq_build_affinity_masks(k, startvec, numvecs, firstvec, &node_to_cpumask, &present, masks);
    let curvec = if nr_present >= numvecs { firstvec } else { firstvec + nr_present };
    let npresmsk = k.topo.possible.andnot(&present);
    let nr_others =
        __irq_build_affinity_masks(k, curvec, numvecs, firstvec, &node_to_cpumask, &npresmsk, masks);
    if nr_present.wrapping_add(nr_others) < numvecs {
        k.warn("WARNING: at kernel/irq/affinity.c irq_build_affinity_masks");
    }
    free_node_to_cpumask(k, node_to_cpumask);
    Ok(())
}

/// One set with everything in it, for drivers without a callback of their own.
#[kfn("kernel/irq/affinity.c")]
fn default_calc_sets(k: &mut Kernel, affd: &mut IrqAffinity, affvecs: u32) {
    affd.nr_sets = 1;
    affd.set_size[0] = affvecs;
}

const DEFAULT_CALC_SETS: CalcSets = CalcSets { name: "default_calc_sets", call: default_calc_sets };

/// One affinity descriptor for each of `nvecs` vectors. `None`, as C's NULL, when there is nothing
/// to spread, when the driver wants more than four sets, or (6.12) when a set is empty.
#[kfn("kernel/irq/affinity.c")]
pub fn irq_create_affinity_masks(
    k: &mut Kernel,
    nvecs: u32,
    affd: &mut IrqAffinity,
) -> Option<Vec<IrqAffinityDesc>> {
    let reserved = affd.pre_vectors.wrapping_add(affd.post_vectors);
    let affvecs = if nvecs > reserved { nvecs.wrapping_sub(reserved) } else { 0 };
    let calc_sets = *affd.calc_sets.get_or_insert(DEFAULT_CALC_SETS);
    // The callback runs even when there is nothing to spread, so that the driver can adjust.
    (calc_sets.call)(k, affd, affvecs);
    if affd.nr_sets as usize > IRQ_AFFINITY_MAX_SETS {
        k.warn_once("WARNING: at kernel/irq/affinity.c irq_create_affinity_masks");
        return None;
    }
    if affvecs == 0 {
        return None;
    }
    let default_affinity = k.irq.default_affinity.clone();
    let mut masks: Vec<IrqAffinityDesc> = (0..nvecs).map(|_| IrqAffinityDesc::default()).collect();
    let mut curvec = 0u32;
    while curvec < affd.pre_vectors {
        if let Some(desc) = masks.get_mut(curvec as usize) {
            desc.mask.clone_from(&default_affinity);
        }
        curvec += 1;
    }
    let mut usedvecs = 0u32;
    for i in 0..affd.nr_sets as usize {
        let mut this_vecs = affd.set_size[i];
        match k.sem.spread {
            Spread::IrqBuildAffinityMasks => {
                irq_build_affinity_masks(k, curvec, this_vecs, curvec, &mut masks).ok()?;
            }
            Spread::GroupCpusEvenly => {
                let result = group_cpus_evenly(k, this_vecs)?;
                let start = (curvec as usize).min(masks.len());
                if masks.len() - start < result.len() {
                    past_the_end(k);
                }
                // 7.3 has no more masks than there are groups with CPUs, and the next set begins there.
                this_vecs = result.len() as u32;
                for (desc, mask) in masks[start..].iter_mut().zip(result) {
                    desc.mask = mask;
                }
            }
        }
        curvec = curvec.wrapping_add(this_vecs);
        usedvecs = usedvecs.wrapping_add(this_vecs);
    }
    let rest = affd.pre_vectors + affvecs.min(usedvecs);
    for desc in masks.iter_mut().skip(rest as usize) {
        desc.mask.clone_from(&default_affinity);
    }
    for i in affd.pre_vectors..nvecs - affd.post_vectors {
        masks[i as usize].is_managed = true;
    }
    Some(masks)
}

/// How many of `minvec..=maxvec` vectors are worth having: one per possible CPU, unless the driver
/// divides them itself. 0 when not even those that are not spread fit.
#[kfn("kernel/irq/affinity.c")]
pub fn irq_calc_affinity_vectors(k: &mut Kernel, minvec: u32, maxvec: u32, affd: &IrqAffinity) -> u32 {
    let resv = affd.pre_vectors.wrapping_add(affd.post_vectors);
    if resv > minvec {
        return 0;
    }
    let room = maxvec.wrapping_sub(resv);
    let set_vecs = if affd.calc_sets.is_some() { room } else { k.topo.possible.weight() };
    resv.wrapping_add(set_vecs.min(room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kstate::semantics::{KernelVersion, Semantics};
    use kstate::topology::CpuPlace;
    use kstate::{CpuId, NodeId};

    fn machine(version: KernelVersion, cpus: u32, nodes: u32) -> Kernel {
        let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
        k.topo.nr_cpu_ids = cpus;
        k.topo.nr_node_ids = nodes;
        k.topo.possible = CpuMask::first_n(cpus);
        k.topo.present = CpuMask::first_n(cpus);
        k.irq.default_affinity = CpuMask::first_n(cpus);
        for cpu in 0..cpus {
            let node = NodeId(cpu * nodes / cpus);
            k.topo.cpus.push(CpuPlace { node, core: cpu, ..CpuPlace::default() });
            k.topo.siblings.push(CpuMask::of(CpuId(cpu)));
        }
        k
    }

    fn check(cpus: u32, nodes: u32, nvecs: u32, pre: u32, expect: &[&str]) {
        check_on(KernelVersion::ALL, cpus, nodes, nvecs, pre, expect);
    }

    fn check_on(versions: &[KernelVersion], cpus: u32, nodes: u32, nvecs: u32, pre: u32, expect: &[&str]) {
        for &version in versions {
            let mut k = machine(version, cpus, nodes);
            let mut affd = IrqAffinity { pre_vectors: pre, ..IrqAffinity::default() };
            let masks = irq_create_affinity_masks(&mut k, nvecs, &mut affd).unwrap();
            let text: Vec<_> = masks.iter().map(|d| d.mask.list()).collect();
            assert_eq!(text, expect, "{}", version.name());
            assert_eq!(masks.iter().filter(|d| !d.is_managed).count(), pre as usize);
        }
    }

    #[test]
    fn one_vector_per_cpu_after_the_admin_vector() {
        use KernelVersion::{V5_4, V6_12, V7_3};
        check_on(&[V5_4, V6_12], 4, 1, 5, 1, &["0-3", "0", "1", "2", "3"]);
        check(8, 1, 5, 1, &["0-7", "0-1", "2-3", "4-5", "6-7"]);
        // Each CPU is a cluster of its own, and the heapsort exchanges clusters of one size.
        check_on(&[V7_3], 4, 1, 5, 1, &["0-3", "1", "3", "2", "0"]);
        check_on(&[V7_3], 8, 1, 9, 1, &["0-7", "1", "3", "4", "5", "6", "7", "2", "0"]);
    }

    #[test]
    fn fewer_vectors_than_nodes_get_whole_nodes() {
        check(8, 4, 2, 0, &["0-1,4-5", "2-3,6-7"]);
    }

    #[test]
    fn without_vectors_to_spread_there_are_no_masks() {
        let mut k = machine(KernelVersion::V5_4, 4, 1);
        let mut affd = IrqAffinity { pre_vectors: 1, ..IrqAffinity::default() };
        assert_eq!(irq_create_affinity_masks(&mut k, 1, &mut affd), None);
        assert_eq!(affd.nr_sets, 1);
        assert_eq!(k.warnings, 0);
    }
}
