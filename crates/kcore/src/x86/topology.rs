//! Which CPUs can be taken down.
//!
//! C file: arch/x86/kernel/topology.c of 5.4 and 6.12.

use kstate::{CpuId, Irq, Kernel};

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
