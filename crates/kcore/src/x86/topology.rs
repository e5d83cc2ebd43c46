//! Which CPUs can be taken down.
//!
//! C file: arch/x86/kernel/topology.c of 5.4 and 6.12.

use std::collections::BTreeMap;

use kstate::topology::CpuPlace;
use kstate::{CpuId, Irq, Kernel, NodeId};

/// `arch_register_cpu()`: whether the CPU has a file `online`. The boot CPU has
/// one if the command line asks for it and nobody needs the 8259, which only that CPU can serve.
pub fn arch_register_cpu(k: &Kernel, cpu: CpuId) -> bool {
    if cpu.0 != 0 {
        return k.topo.present.contains(cpu);
    }
    let of_8259 = |irq: &Irq| irq.0 < 16 && k.apic.io_apic_irqs >> irq.0 & 1 == 0;
    k.sem.cpu0_hotplug
        && k.params.cpu0_hotpluggable
        && !k.for_each_irq().filter(of_8259).any(|irq| !k.desc(irq).action.is_empty())
}

/// `BAD_APICID`: what stands for the L2 of a CPU that does not tell.
const BAD_APICID: u32 = 0xffff;

/// `topology_cluster_id()`, which is `l2c_id` of arch/x86/kernel/cpu/cacheinfo.c: the APIC ID without the bits
/// in which the CPUs of one L2 can differ.
// DEVIATION: how many IDs an L2 can have is CPUID's; here as many as the most spread-out one has. So the numbers
// are those of CPUs that all say the same.
pub fn topology_cluster_id(k: &Kernel, cpu: CpuId) -> u32 {
    let places = &k.topo.cpus;
    let Some(place) = places.get(cpu.index()).filter(|place| place.l2.is_some()) else { return BAD_APICID };
    // Of each L2 the bits that all its APIC IDs have, and those that any has.
    let mut caches: BTreeMap<(NodeId, u32), (u32, u32)> = BTreeMap::new();
    for CpuPlace { node, l2, apic_id, .. } in places {
        if let Some(l2) = l2 {
            let (all, any) = caches.entry((*node, *l2)).or_insert((u32::MAX, 0));
            *all &= apic_id.0;
            *any |= apic_id.0;
        }
    }
    let spans = caches.values().map(|(all, any)| u32::BITS - (all ^ any).leading_zeros());
    let widest = spans.max().unwrap_or(0);
    place.apic_id.0 & u32::MAX.checked_shl(widest).unwrap_or(0)
}
