//! The kernel above the remapping unit: what boot sets up, and what one pin's interrupt then does.

use kstate::hw::ioapic::{RTE_LEVEL, RTE_MASK, RTE_REMAPPABLE};
use kstate::hw::vtd::{IRE, IRTP, QIE};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn, Irqd};
use kstate::msi::MsiDomainInfo;
use kstate::semantics::{KernelVersion, Semantics};
use kstate::topology::CpuPlace;
use kstate::{ApicId, CpuId, CpuMask, DomainId, Irq, Kernel};
use x86apic::hw::{bus, ioapic, lapic, pic, vtd};
use x86apic::kernel::irq_remapping::{setup_irqremap, setup_nointremap};
use x86apic::kernel::{dmar, start_kernel};

use crate::common::take_vector;

/// Requester id of the IO-APIC.
const IOAPIC_SID: u16 = 0xff00;

/// A booted PC with 4 CPUs and a remapping unit, of which only CPU 0 is online.
fn booted(version: KernelVersion, cmdline: &str) -> Kernel {
    let cpus = 4;
    let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
    for word in cmdline.split_whitespace() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let setup = if name == "nointremap" { setup_nointremap } else { setup_irqremap };
        setup(&mut k, value).expect("a value");
    }
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
    ioapic::power_on(&mut k, 0, 0x20, ioapic::PINS, IOAPIC_SID);
    pic::power_on(&mut k);
    vtd::power_on(&mut k, false);
    k.msi.hooks.pci_msi_create_irq_domain = Some(create_pci_msi_domain);
    start_kernel(&mut k);
    k.boot_done();
    k
}

/// What drivers/pci/msi.c does for the chip of a PCI/MSI domain, with nothing behind it.
fn create_pci_msi_domain(
    k: &mut Kernel,
    name: &str,
    info: MsiDomainInfo,
    parent: DomainId,
) -> Option<DomainId> {
    let chip = &mut k.irq.chips[info.chip.index()];
    chip.irq_mask = Some(|_, _| {});
    chip.irq_unmask = Some(|_, _| {});
    irqcore::msi::global::msi_create_irq_domain(k, name, info, parent)
}

fn handled(_: &mut Kernel, _: Irq, _: DevId) -> IrqReturn {
    IrqReturn::Handled
}

/// Requests an interrupt that boot has allocated.
fn request(k: &mut Kernel, irq: Irq) {
    let handler = Handler { name: "handled", call: handled };
    irqcore::manage::request_threaded_irq(k, irq, Some(handler), None, 0, "test", DevId::Platform(1))
        .unwrap();
}

/// The names of the domains an interrupt belongs to, outermost first.
fn domains(k: &Kernel, irq: Irq) -> Vec<String> {
    k.desc(irq).irq_data.iter().map(|data| k.domain(data.domain.unwrap()).name.clone()).collect()
}

#[test]
fn boot_puts_the_remapping_domain_under_the_io_apic() {
    let check = |version, expect: [&str; 3], dmar: Option<Irq>| {
        let mut k = booted(version, "");
        assert!(k.remap.enabled);
        assert_eq!(k.hw.vtd.gsts, IRE | IRTP | QIE);
        assert_eq!(domains(&k, Irq(4)), expect);
        assert_eq!(k.remap.iommus[0].irq, dmar);
        dmar::init_dmars(&mut k).unwrap();
        assert_eq!(k.remap.iommus[0].irq, Some(Irq(24)));
        assert_eq!(domains(&k, Irq(24)), ["DMAR-MSI", "VECTOR"]);
        assert_eq!(k.warnings, 0, "{:?}", k.log);
        x86apic::kernel::check_invariants(&k).expect("a consistent state");
    };
    check(KernelVersion::V5_4, ["IO-APIC-IR-0", "INTEL-IR-0", "VECTOR"], Some(Irq(24)));
    check(KernelVersion::V6_12, ["IO-APIC-0", "INTEL-IR-0-13", "VECTOR"], None);
}

#[test]
fn the_command_line_decides() {
    let check = |cmdline, enabled, svt| {
        let mut k = booted(KernelVersion::V5_4, cmdline);
        assert_eq!(k.remap.enabled, enabled, "{cmdline}");
        request(&mut k, Irq(4));
        assert_eq!(k.remap.data(Irq(4)).map(|data| data.irte_entry.svt()), svt);
    };
    check("", true, Some(1));
    check("intremap=on", true, Some(1));
    check("intremap=on,nosid", true, Some(0));
    check("intremap=off", false, None);
    check("intremap=off intremap=on", true, Some(1));
    check("nointremap", false, None);
}

#[test]
fn a_pin_goes_through_its_entry() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, "");
        request(&mut k, Irq(4));
        let data = *k.remap.data(Irq(4)).unwrap();
        let index = data.irq_2_iommu.irte_index;
        // The redirection entry names the entry, and its vector is the pin.
        assert_eq!(ioapic::read_rte(&k, 4), u64::from(index) << 49 | RTE_REMAPPABLE | 4);
        assert_eq!(k.irqd(Irqd { irq: Irq(4), level: 1 }).hwirq, u64::from(index) << 16);
        assert_eq!(vtd::read_irte(&k, index), data.irte_entry);
        assert_eq!(data.irte_entry.sid(), u32::from(IOAPIC_SID));
        ioapic::set_line(&mut k, 4, true);
        let cfg = k.apic.apicd(Irq(4)).unwrap().hw_irq_cfg;
        assert_eq!(lapic::pending(&k, CpuId(0)).map(u32::from), Some(cfg.vector));
        assert_eq!(k.hw.vtd.frcd, None);
    }
}

#[test]
fn a_pin_that_is_not_requested_has_no_entry_in_the_table() {
    let k = booted(KernelVersion::V5_4, "");
    let data = k.remap.data(Irq(10)).unwrap();
    assert_eq!(vtd::read_irte(&k, data.irq_2_iommu.irte_index).present(), 0);
    assert_eq!(ioapic::read_rte(&k, 10) & RTE_MASK, RTE_MASK);
}

#[test]
fn moving_changes_the_entry_and_nothing_above_it() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, "");
        request(&mut k, Irq(4));
        k.topo.online.set(CpuId(1));
        k.topo.active.set(CpuId(1));
        k.cur.cpu = CpuId(1);
        x86apic::kernel::apic::setup_local_APIC(&mut k);
        x86apic::kernel::vector::lapic_online(&mut k);
        k.cur.cpu = CpuId(0);
        let rte = ioapic::read_rte(&k, 4);
        irqcore::manage::__irq_set_affinity(&mut k, Irq(4), &CpuMask::of(CpuId(1)), false).unwrap();
        assert_eq!(ioapic::read_rte(&k, 4), rte);
        ioapic::set_line(&mut k, 4, true);
        let cfg = k.apic.apicd(Irq(4)).unwrap().hw_irq_cfg;
        assert_eq!(lapic::pending(&k, CpuId(1)).map(u32::from), Some(cfg.vector));
        // 5.4 tells the old CPU at once to free its vector.
        let cleanup = (version == KernelVersion::V5_4).then_some(0x20);
        assert_eq!(lapic::pending(&k, CpuId(0)), cleanup);
    }
}

#[test]
fn a_level_pin_is_masked_until_it_starts() {
    let mut k = booted(KernelVersion::V5_4, "");
    assert_eq!(ioapic::read_rte(&k, 9) & (RTE_LEVEL | RTE_MASK), RTE_MASK);
    request(&mut k, Irq(9));
    assert_eq!(ioapic::read_rte(&k, 9) & RTE_MASK, 0);
}

#[test]
fn freeing_gives_the_entry_back() {
    for &version in KernelVersion::ALL {
        let mut k = booted(version, "");
        let domain = k.remap.iommus[0].ir_domain.unwrap();
        let used = |k: &Kernel| {
            let table = k.remap.iommus[0].ir_table.as_ref().unwrap();
            table.bitmap.iter().map(|word| word.count_ones()).sum::<u32>()
        };
        let before = used(&k);
        let free = k.domain(domain).ops.free.unwrap();
        free(&mut k, domain, Irq(10), 1);
        assert_eq!((used(&k), k.remap.data(Irq(10))), (before - 1, None));
    }
}

#[test]
fn a_refused_message_is_reported_by_the_fault_interrupt() {
    let check = |version, numbers| {
        let mut k = booted(version, "");
        dmar::init_dmars(&mut k).unwrap();
        let from = k.log.len();
        assert!(bus::msi_write(&mut k, 0xfee0_0010 | 0x3fe << 5, 0, 0x18).is_err());
        let vector = lapic::pending(&k, CpuId(0)).expect("the fault interrupt");
        take_vector(&mut k, vector);
        let request = "DMAR: [INTR-REMAP] Request device [00:03.0] fault index";
        let expect = [
            "DMAR: DRHD: handling fault status reg 2".to_owned(),
            format!("{request} {numbers} Present field in the IRTE entry is clear"),
        ];
        assert_eq!(k.log[from..], expect);
        assert_eq!((k.hw.vtd.frcd, k.hw.vtd.fsts), (None, 0));
    };
    check(KernelVersion::V5_4, "3fe [fault reason 34]");
    check(KernelVersion::V6_12, "0x3fe [fault reason 0x22]");
}
