//! A PC with local APICs, an IO-APIC and PCI functions, with or without a kernel above them.

use kstate::hw::pci::{Bar, MsiCapability, PciFunction};
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::{ApicId, CpuId, CpuMask, Kernel, PciDevId};
use pcimsi::hw::{COMMAND, COMMAND_BUS_MASTER, config, config_write};
use pcimsi::kernel::pci_device_add;
use x86apic::hw::{ioapic, lapic, pic, vtd};

/// A PC after power-on, with every local APIC on; or after a kernel with this command line has set
/// up its interrupts and brought all CPUs online.
pub fn pc(cpus: u32, kernel: Option<(KernelVersion, &str)>) -> Kernel {
    let (version, cmdline) = kernel.unwrap_or_default();
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    k.topo.nr_cpu_ids = cpus;
    k.topo.nr_node_ids = 1;
    for cpu in 0..cpus {
        k.topo.cpus.push(CpuPlace { core: cpu, apic_id: ApicId(cpu), ..CpuPlace::default() });
        k.topo.siblings.push(CpuMask::of(CpuId(cpu)));
    }
    k.topo.possible = CpuMask::first_n(cpus);
    k.topo.present = CpuMask::first_n(cpus);
    k.topo.node_cpus = vec![CpuMask::first_n(cpus)];
    k.topo.online = CpuMask::of(CpuId(0));
    k.topo.active = CpuMask::of(CpuId(0));
    lapic::power_on(&mut k);
    ioapic::power_on(&mut k, 0, 0x20, ioapic::PINS, 0xff00);
    pic::power_on(&mut k);
    pcimsi::init(&mut k);
    if kernel.is_none() {
        for cpu in 0..cpus {
            lapic::soft_enable(&mut k, CpuId(cpu), 0xff);
        }
        return k;
    }
    if cmdline == "intel_iommu=on" {
        vtd::power_on(&mut k, false);
    }
    if let Some(options) = cmdline.strip_prefix("pci=") {
        pcimsi::kernel::pci_setup(&mut k, Some(options)).expect("options of pci=");
    }
    x86apic::kernel::start_kernel(&mut k);
    for cpu in (1..cpus).map(CpuId) {
        k.cur.cpu = cpu;
        x86apic::kernel::apic::setup_local_APIC(&mut k);
        x86apic::kernel::vector::lapic_online(&mut k);
        k.topo.online.set(cpu);
        k.topo.active.set(cpu);
    }
    k.cur.cpu = CpuId(0);
    k.boot_done();
    assert_eq!(k.warnings, 0, "{:?}", k.log);
    k
}

/// What a function has.
#[derive(Default)]
pub struct Spec {
    /// Device number on bus 0.
    pub device: u16,
    /// Entries of the MSI-X table, 0 for no capability.
    pub msix: u32,
    /// The MSI capability.
    pub msi: Option<MsiCapability>,
    /// The input of the IO-APIC.
    pub input: u32,
}

/// Adds a function that may write to memory.
pub fn add(k: &mut Kernel, spec: Spec) -> PciDevId {
    let Spec { device, msix, msi, input } = spec;
    let mut function =
        PciFunction { bdf: device << 3, interrupt_pin: 1, intx_input: input, ..PciFunction::default() };
    function.bars[0] = Bar::Msix;
    if let Some(msi) = msi {
        config::add_msi(&mut function, MsiCapability { offset: 0x50, ..msi });
    }
    if msix != 0 {
        config::add_msix(&mut function, 0x40, 0, 0x2000, msix).expect("a table that the size field can hold");
    }
    let dev = pci_device_add(k, function);
    config_write(k, dev, COMMAND, 2, COMMAND_BUS_MASTER.into());
    dev
}

/// What a CPU takes, each ended with an EOI.
pub fn take(k: &mut Kernel, cpu: u32) -> Vec<u8> {
    let mut vectors = Vec::new();
    while lapic::pending(k, CpuId(cpu)).is_some() {
        vectors.push(lapic::ack(k, CpuId(cpu)));
        lapic::eoi(k, CpuId(cpu));
    }
    vectors
}
