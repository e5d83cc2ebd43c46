//! CPUs, cores, sockets and nodes, and the masks over them (include/linux/cpumask.h, topology.h).

use crate::sorted::SortedMap;
use crate::{ApicId, CpuId, CpuMask, NodeId};

/// Where one CPU sits. All numbers are the kernel's logical ones.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct CpuPlace {
    /// NUMA node.
    pub node: NodeId,
    /// Package.
    pub socket: u32,
    /// Core within the whole machine: two CPUs are SMT siblings when node and core agree.
    pub core: u32,
    /// L2 cache within the whole machine, `l2c_id` in C: CPUs of a node with the same number share it.
    /// `None` where CPUID does not say, `BAD_APICID` in C: then the SMT siblings do.
    pub l2: Option<u32>,
    /// The initial APIC ID.
    pub apic_id: ApicId,
}

/// The machine's CPUs and the four masks the kernel keeps over them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Topology {
    /// Place of every possible CPU, by number.
    pub cpus: Vec<CpuPlace>,
    /// `nr_cpu_ids`: one more than the highest possible CPU.
    pub nr_cpu_ids: u32,
    /// `nr_node_ids`: nodes without CPUs count.
    pub nr_node_ids: u32,
    /// `cpu_possible_mask`.
    pub possible: CpuMask,
    /// `cpu_present_mask`.
    pub present: CpuMask,
    /// `cpu_online_mask`.
    pub online: CpuMask,
    /// `cpu_active_mask`.
    pub active: CpuMask,
    /// `node_to_cpumask_map` (arch/x86/mm/numa.c): per node the CPUs that were identified and have
    /// not gone offline since.
    pub node_cpus: Vec<CpuMask>,
    /// `cpu_sibling_map` per CPU: the SMT siblings that are online, itself included. An offline
    /// CPU's mask is empty on x86 (arch/x86/kernel/smpboot.c, `remove_siblinginfo`).
    pub siblings: Vec<CpuMask>,
    /// The CPUs in `siblings`, by node, socket and core: what C finds by going through all of them.
    pub core_cpus: SortedMap<(NodeId, u32, u32), CpuMask>,
    /// `cpu_l2c_shared_map` per CPU: the online CPUs that share its L2, itself included, and none for an
    /// offline CPU. Nothing at all where no CPU says which L2 it has, since `siblings` is then the same.
    pub clusters: Vec<CpuMask>,
    /// The CPUs in `clusters`, by node and L2.
    pub l2_cpus: SortedMap<(NodeId, u32), CpuMask>,
    /// CPUID says that a hypervisor is below (`X86_FEATURE_HYPERVISOR`).
    pub hypervisor: bool,
}

impl Topology {
    /// The NUMA node of a CPU (`cpu_to_node`).
    pub fn node_of(&self, cpu: CpuId) -> NodeId {
        self.cpus[cpu.index()].node
    }

    /// Fills one mask per node with its possible CPUs, whether or not they are there (`cpu_to_node()` of each).
    pub fn possible_by_node(&self, masks: &mut [CpuMask]) {
        for (number, word) in self.possible.iter_words() {
            let node = |bit: u32| self.node_of(CpuId(number as u32 * 64 + bit));
            let mut rest = word;
            while rest != 0 {
                // Neighbours are mostly of one node.
                let here = node(rest.trailing_zeros());
                let mut bits = 0;
                while rest != 0 && node(rest.trailing_zeros()) == here {
                    bits |= rest & rest.wrapping_neg();
                    rest &= rest - 1;
                }
                if let Some(mask) = masks.get_mut(here.index()) {
                    mask.or_word(number as u32, bits);
                }
            }
        }
    }

    /// The online CPUs that share the L2 of `cpu` (`topology_cluster_cpumask()`). `None` for a CPU that
    /// the machine has no place for.
    #[inline]
    pub fn topology_cluster_cpumask(&self, cpu: CpuId) -> Option<&CpuMask> {
        let masks = if self.clusters.is_empty() { &self.siblings } else { &self.clusters };
        masks.get(cpu.index())
    }

    /// Brings `cpu` into the masks of its core and of its L2 (`set_cpu_sibling_map`).
    pub fn set_cpu_sibling_map(&mut self, cpu: CpuId) {
        let CpuPlace { node, socket, core, l2, .. } = self.cpus[cpu.index()];
        let core = self.core_cpus.or_default((node, socket, core));
        core.set(cpu);
        for other in core.iter() {
            self.siblings[other.index()].clone_from(core);
        }
        if let Some(l2) = l2 {
            // As many as there are siblings: the CPUs that have a place.
            self.clusters.resize(self.siblings.len(), CpuMask::new());
            let shared = self.l2_cpus.or_default((node, l2));
            shared.set(cpu);
            for other in shared.iter() {
                self.clusters[other.index()].clone_from(shared);
            }
        }
    }

    /// Takes `cpu` out of all masks of cores and caches (`remove_siblinginfo`).
    pub fn remove_siblinginfo(&mut self, cpu: CpuId) {
        let CpuPlace { node, socket, core, l2, .. } = self.cpus[cpu.index()];
        self.siblings[cpu.index()] = CpuMask::new();
        if let Some(core) = self.core_cpus.get_mut(&(node, socket, core)) {
            core.clear(cpu);
            for other in core.iter() {
                self.siblings[other.index()].clone_from(core);
            }
        }
        if let Some(shared) = l2.and_then(|l2| self.l2_cpus.get_mut(&(node, l2))) {
            self.clusters[cpu.index()] = CpuMask::new();
            shared.clear(cpu);
            for other in shared.iter() {
                self.clusters[other.index()].clone_from(shared);
            }
        }
    }

    /// The CPU's node learns of it.
    pub fn numa_add_cpu(&mut self, cpu: CpuId) {
        let node = self.node_of(cpu).index();
        if let Some(cpus) = self.node_cpus.get_mut(node) {
            cpus.set(cpu);
        }
    }

    /// The CPU's node forgets it.
    pub fn numa_remove_cpu(&mut self, cpu: CpuId) {
        let node = self.node_of(cpu).index();
        if let Some(cpus) = self.node_cpus.get_mut(node) {
            cpus.clear(cpu);
        }
    }

    /// `cpu` is online.
    pub fn is_online(&self, cpu: CpuId) -> bool {
        self.online.contains(cpu)
    }
}
