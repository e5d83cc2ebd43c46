//! The machines that are measured.

use kstate::hw::pci::{Bar, PciFunction};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::trace::Recorded;
use kstate::{CpuId, CpuMask, Irq, Kernel, NodeId, PciDevId};
use sim::machine::Machine;

/// A kernel that knows so many CPUs on so many nodes, and nothing else.
pub fn topology(version: KernelVersion, cpus: u32, nodes: u32) -> Kernel {
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    k.topo.nr_cpu_ids = cpus;
    k.topo.nr_node_ids = nodes;
    k.topo.possible = CpuMask::first_n(cpus);
    k.topo.present = CpuMask::first_n(cpus);
    k.topo.online = CpuMask::first_n(cpus);
    k.irq.default_affinity = CpuMask::first_n(cpus);
    for cpu in 0..cpus {
        let node = NodeId(cpu * nodes / cpus);
        k.topo.cpus.push(CpuPlace { node, core: cpu, ..CpuPlace::default() });
        k.topo.siblings.push(CpuMask::of(CpuId(cpu)));
    }
    k
}

/// A booted PC of 8 CPUs with a function that has one MSI-X interrupt, whose handler does nothing.
pub fn one_interrupt(version: KernelVersion, recorded: impl Into<Recorded>) -> (Kernel, PciDevId) {
    fn handler(_: &mut Kernel, _: Irq, _: DevId) -> IrqReturn {
        IrqReturn::Handled
    }
    let mut machine = Machine::embedded(version);
    machine.pci.clear();
    let mut k = sim::boot::boot(&machine, Semantics::of(version), recorded);
    let mut function =
        PciFunction { bdf: 3 << 3, interrupt_pin: 1, intx_input: 23, ..PciFunction::default() };
    function.bars[0] = Bar::Msix;
    pcimsi::hw::config::add_msix(&mut function, 0x40, 0, 0x2000, 1).expect("a table of one entry");
    let dev = pcimsi::kernel::pci_device_add(&mut k, function);
    pcimsi::kernel::pci_enable_device(&mut k, dev).expect("a function that can be enabled");
    pcimsi::kernel::pci_set_master(&mut k, dev);
    let flags = pcimsi::kernel::PCI_IRQ_MSIX;
    let vectors = pcimsi::kernel::pci_alloc_irq_vectors(&k, dev, 1, 1, flags);
    k.run_now(vectors).expect("one vector");
    let handler = Handler { name: "handler", call: handler };
    pcimsi::kernel::pci_request_irq(&mut k, dev, 0, Some(handler), None, DevId::Platform(99), "bench")
        .expect("an interrupt that is free");
    (k, dev)
}

/// The device raises its interrupt and the CPU takes it, to the handler's return and the EOI.
pub fn interrupt(k: &mut Kernel, dev: PciDevId) {
    pcimsi::hw::msix_raise(k, dev, 0);
    let step = sim::engine::step(k, 0);
    assert!(matches!(step, Some(sim::engine::Step::Interrupt(..))), "{step:?}");
}
