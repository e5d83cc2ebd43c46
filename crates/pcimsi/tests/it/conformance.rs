//! What other projects' test suites and published dumps state about MSI, MSI-X and the debugfs text
//! of PCI interrupts, case by case. The facts are in tests/golden/conformance.jsonl; every case of
//! the areas below is a row here, or says why not.

use crate::common::{Spec, add, pc, take};
use irqcore::debugfs::{irq_debug_show, irq_domain_debug_show};
use kstate::hw::pci::{MsiCapability, PciFunction};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IRQD_ACTIVATED, IrqReturn};
use kstate::semantics::KernelVersion;
use kstate::{Irq, Kernel, PciDevId};
use pcimsi::hw::config::{self, add_msix, msix_bar_size};
use pcimsi::hw::msix::{bar_read, bar_write, pba_read, table_read, table_write};
use pcimsi::hw::{config_read, config_write, msix_message, msix_raise, msix_table, power_on};
use pcimsi::kernel::{
    PCI_IRQ_AFFINITY, PCI_IRQ_MSI, PCI_IRQ_MSIX, pci_alloc_irq_vectors_affinity, pci_irq_vector,
    pci_request_irq, pci_set_master,
};

/// Areas of the file that are about PCI interrupts.
const AREAS: [&str; 3] = ["pci_msix", "pci_msi", "debugfs"];

/// Cases that the model leaves out, with the reason.
const OUTSIDE: &[(&str, &str)] = &[];

/// One row per case.
const CASES: &[(&str, fn())] = &[
    ("CRO-45", || messages_survive_a_snapshot(false)),
    ("CRO-46", || messages_survive_a_snapshot(true)),
    ("OVM-MSIX-03", entries_start_masked_and_empty),
    ("OVM-MSIX-07", || silenced(|k, dev| table_write(k, dev, CONTROL, 4, 1), &[0])),
    ("OVM-MSIX-08", || silenced(|k, dev| control(k, dev, 0), &[0, 1])),
    ("OVM-MSIX-10", data_of_an_open_entry_counts_at_once),
    ("PRO-NVME-06", || {
        assert_eq!([0, 2049, 2048, 256].map(bar_size), [None, None, Some(0x1_0000), Some(0x2000)]);
    }),
    ("FC-MSIX-01", || assert_eq!(bar_size(2049), None)),
    ("FC-MSIX-03", || assert_eq!(enable_and_mask(0x8000), (true, false))),
    ("FC-MSIX-04", || assert_eq!(enable_and_mask(0x4000), (false, true))),
    ("FC-MSIX-05", || assert_eq!(enable_and_mask(0xc000), (true, true))),
    ("FC-MSIX-06", || assert_eq!(enable_and_mask(0x0000), (false, false))),
    ("FC-MSIX-09", || {
        let (k, dev) = msix(2);
        assert_eq!(table_read(&k, dev, 19, 8), u64::MAX);
        assert_eq!(table_read(&k, dev, 1, 4), u64::from(u32::MAX));
    }),
    ("FC-MSIX-10", || {
        let (mut k, dev) = enabled_msix(2);
        assert_eq!(updates(&mut k, dev, &[(0, 8, 0x0000_1312_0000_1110)]), [0]);
    }),
    ("FC-MSIX-11", || {
        let (mut k, dev) = enabled_msix(2);
        assert_eq!(updates(&mut k, dev, &[(0, 8, 0x0000_1312_0000_1110), (8, 8, 0x20)]), [0, 1]);
        let entry = &msix_table(&k, dev)[0];
        assert_eq!((entry.address_hi, entry.address_lo), (0x1312, 0x1110));
        assert_eq!((entry.data, entry.vector_control), (0x20, 0));
    }),
    ("FC-MSIX-12", || {
        let (mut k, dev) = enabled_msix(2);
        let writes = [(16, 4, 0x4241), (20, 4, 0x4443), (24, 4, 0x21), (28, 4, 0)];
        assert_eq!(updates(&mut k, dev, &writes), [0, 0, 0, 1]);
    }),
    ("FC-MSIX-13", || {
        let (mut k, dev) = enabled_msix(2);
        let both = |value| [(12, 4, value), (28, 4, value)];
        updates(&mut k, dev, &both(0));
        assert_eq!(updates(&mut k, dev, &both(1)), [0, 0]);
        assert_eq!(updates(&mut k, dev, &both(0)), [1, 1]);
        assert_eq!(updates(&mut k, dev, &both(0)), [0, 0]);
    }),
    ("FC-MSIX-15", || {
        let (mut k, dev) = enabled_msix(128);
        msix_raise(&mut k, dev, 1);
        msix_raise(&mut k, dev, 96);
        assert_eq!([0, 8].map(|at| pba_read(&k, dev, at, 8)), [2, 1 << 32]);
        assert_eq!([8, 12].map(|at| pba_read(&k, dev, at, 4)), [0, 1]);
    }),
    ("FC-MSIX-17", || {
        let (mut k, dev) = enabled_msix(2);
        msix_raise(&mut k, dev, 1);
        for value in [0, u64::MAX] {
            assert!(bar_write(&mut k, dev, 0, PBA, 8, value));
            assert_eq!(bar_read(&k, dev, 0, PBA, 8), Some(2));
        }
    }),
    ("FC-MSIX-18", || {
        let (k, dev) = msix(2);
        assert_eq!(pba_read(&k, dev, 128, 8), u64::MAX);
        assert_eq!(pba_read(&k, dev, 3, 4), u64::from(u32::MAX));
    }),
    ("FC-MSIX-19", || {
        let (mut k, dev) = enabled_msix(2);
        message(&mut k, dev, 1, 0x51);
        msix_raise(&mut k, dev, 1);
        control(&mut k, dev, 0x8000);
        assert_eq!((take(&mut k, 0), pba_read(&k, dev, 0, 8)), (vec![], 2));
    }),
    ("FC-MSIX-21", || {
        let (mut k, dev) = msix(2);
        message(&mut k, dev, 0, 0x50);
        table_write(&mut k, dev, 12, 4, 0);
        control(&mut k, dev, 0xc000);
        msix_raise(&mut k, dev, 0);
        assert_eq!((take(&mut k, 0), pba_read(&k, dev, 0, 8)), (vec![], 1));
        control(&mut k, dev, 0x8000);
        assert_eq!((take(&mut k, 0), pba_read(&k, dev, 0, 8)), (vec![0x50], 0));
    }),
    ("QT-06", either_mask_counts),
    ("OVM-MSI-01", || {
        let (k, dev) = msi(4, true, false);
        assert_eq!(msi_dwords(&k, dev, 4), [0x0084_0005, 0, 0, 0]);
    }),
    ("OVM-MSI-02", || {
        let (mut k, dev) = msi(4, true, false);
        for (at, value) in [(4, 0x1234_5678), (8, 0x9abc_def0), (12, 0x1234)] {
            config_write(&mut k, dev, MSI + at, 4, value);
        }
        assert_eq!(msi_dwords(&k, dev, 4)[1..], [0x1234_5678, 0x9abc_def0, 0x1234]);
    }),
    ("OVM-MSI-03", || {
        let (mut k, dev) = msi(4, true, false);
        config_write(&mut k, dev, MSI, 4, 0x0011_0005);
        assert_eq!(msi_dwords(&k, dev, 1), [0x0095_0005]);
    }),
    ("OVM-MSI-04", || {
        let (mut k, dev) = msi(4, true, false);
        config_write(&mut k, dev, MSI, 4, 0x0011_0005);
        config_write(&mut k, dev, MSI + 4, 4, 0x1234_5678);
        config_write(&mut k, dev, MSI + 12, 2, 0x1234);
        power_on(&mut k.hw.pci[dev.index()]);
        assert_eq!(msi_dwords(&k, dev, 4), [0x0084_0005, 0, 0, 0]);
    }),
    ("OVM-MSI-05", || {
        let (mut k, dev) = msi(2, false, false);
        config_write(&mut k, dev, MSI + 8, 2, 0x4321);
        assert_eq!(msi_dwords(&k, dev, 3), [0x0002_0005, 0, 0x4321]);
        assert_eq!(k.hw.pci[dev.index()].msi.as_ref().map(|msi| msi.data), Some(0x4321));
    }),
    ("OVM-MSI-06", || {
        let (mut k, dev) = msi(2, true, false);
        config_write(&mut k, dev, MSI + 2, 2, 0x0031);
        let restored = k.clone();
        for k in [k, restored] {
            assert_eq!(config_read(&k, dev, MSI + 2, 2), 0x0093);
        }
    }),
    ("OVM-MSI-07", || {
        let (mut k, dev) = msi(8, false, true);
        config_write(&mut k, dev, MSI + 2, 2, 0x0021);
        // The two low bits of the address are not there to be written.
        config_write(&mut k, dev, MSI + 4, 4, 0x8765_4321);
        config_write(&mut k, dev, MSI + 8, 2, 0x1234);
        let saved = k.clone();
        config_write(&mut k, dev, MSI + 2, 2, 0);
        config_write(&mut k, dev, MSI + 8, 2, 0);
        assert_ne!(k, saved);
        k = saved;
        assert_eq!(msi_dwords(&k, dev, 3), [0x0127_0005, 0x8765_4320, 0x1234]);
    }),
    ("RUL-12", || {
        assert_eq!(activated_early(KernelVersion::V6_12), [true; 4]);
        // 5.4 is older than the change that made it all of them.
        assert_eq!(activated_early(KernelVersion::V5_4), [true, false, false, false]);
    }),
    ("DBG-01", || {
        let (k, irq) = managed();
        let text = irq_debug_show(&k, irq);
        // The state bits are those of an older release; 6.12's are in DBG-05.
        for part in [
            "handler:  handle_edge_irq\ndevice:   0000:00:0b.0\n",
            "domain:  PCI-MSIX-0000:00:0b.0-12\n hwirq:   0x0\n chip:    PCI-MSIX-0000:00:0b.0\n  flags:   0x430\n",
            &format!(" parent:\n    domain:  VECTOR\n     hwirq:   {:#x}\n     chip:    APIC\n", irq.0),
            "     is_managed:       1\n     can_reserve:      0\n     has_reserved:     0\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }),
    ("DBG-05", || {
        let (k, irq) = managed();
        let text = irq_debug_show(&k, irq);
        for part in ["istate:   0x00004000\n", "ddepth:   0\n", "dstate:   0x19601200\n"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }),
    ("DBG-06", || {
        let mut k = pc(8, Some((KernelVersion::V6_12, "")));
        let dev = add(&mut k, Spec { device: 4, msix: 5, ..Spec::default() });
        k.run_now(pci_alloc_irq_vectors_affinity(dev, 5, 5, PCI_IRQ_MSIX, false)).expect("five vectors");
        let domain = k.pci_dev(dev).msi_data.as_ref().and_then(|data| data.default_domain.domain);
        let text = irq_domain_debug_show(&k, domain.expect("the function's own domain"));
        let own = "name:   PCI-MSIX-0000:00:04.0-12\n size:   0\n mapped: 5\n flags:  0x00000213\n";
        assert!(text.starts_with(own), "{text}");
        let vector = irq_domain_debug_show(&k, k.apic.x86_vector_domain);
        assert!(vector.contains(" flags:  0x00000103\n"), "{vector}");
    }),
];

#[test]
fn every_case_holds() {
    for (id, case) in CASES {
        println!("{id}");
        case();
    }
}

#[test]
fn every_case_of_these_areas_is_here_once() {
    let text = include_str!("../../../../tests/golden/conformance.jsonl");
    let mut stated: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is an object"))
        .filter(|case| AREAS.contains(&case["area"].as_str().unwrap_or_default()))
        .map(|case| case["id"].as_str().expect("a case has an id").to_owned())
        .collect();
    let mut ours: Vec<&str> = CASES.iter().map(|(id, _)| *id).collect();
    ours.extend(OUTSIDE.iter().map(|(id, _)| *id));
    stated.sort();
    ours.sort();
    assert_eq!(ours, stated);
}

/// Where the MSI capability lies.
const MSI: u16 = 0x50;
/// Where the MSI-X capability lies.
const MSIX: u16 = 0x40;
/// Vector Control of the first entry.
const CONTROL: u32 = 12;
/// The pending bits of a small table: the page after it.
const PBA: u32 = 0x3000;

fn msix(entries: u32) -> (Kernel, PciDevId) {
    let mut k = pc(1, None);
    let dev = add(&mut k, Spec { device: 3, msix: entries, ..Spec::default() });
    (k, dev)
}

fn enabled_msix(entries: u32) -> (Kernel, PciDevId) {
    let (mut k, dev) = msix(entries);
    control(&mut k, dev, 0x8000);
    (k, dev)
}

fn msi(messages: u32, address_64: bool, maskable: bool) -> (Kernel, PciDevId) {
    let mut k = pc(1, None);
    let multiple_message_capable = messages.trailing_zeros() as u8;
    let msi = MsiCapability { multiple_message_capable, address_64, maskable, ..MsiCapability::default() };
    let dev = add(&mut k, Spec { device: 3, msi: Some(msi), ..Spec::default() });
    (k, dev)
}

fn msi_dwords(k: &Kernel, dev: PciDevId, n: u16) -> Vec<u32> {
    (0..n).map(|i| config_read(k, dev, MSI + 4 * i, 4)).collect()
}

/// Writes Message Control of MSI-X.
fn control(k: &mut Kernel, dev: PciDevId, value: u32) {
    config_write(k, dev, MSIX + 2, 2, value);
}

/// Gives an entry a message to CPU 0 with this vector.
fn message(k: &mut Kernel, dev: PciDevId, entry: u32, vector: u64) {
    table_write(k, dev, 16 * entry, 8, 0xfee0_0000);
    table_write(k, dev, 16 * entry + 8, 4, vector);
}

/// How many entries could send something new after each write.
fn updates(k: &mut Kernel, dev: PciDevId, writes: &[(u32, u8, u64)]) -> Vec<usize> {
    let messages = |k: &Kernel| {
        let entries = msix_table(k, dev).len() as u16;
        (0..entries).map(|entry| msix_message(k, dev, entry)).collect::<Vec<_>>()
    };
    let count = |&(offset, size, value): &(u32, u8, u64)| {
        let before = messages(k);
        table_write(k, dev, offset, size, value);
        messages(k).iter().zip(&before).filter(|(new, old)| new.is_some() && new != old).count()
    };
    writes.iter().map(count).collect()
}

fn enable_and_mask(value: u32) -> (bool, bool) {
    let (mut k, dev) = msix(2);
    control(&mut k, dev, value);
    let read = config_read(&k, dev, MSIX + 2, 2);
    assert_eq!(read, value | 1);
    (read & 0x8000 != 0, read & 0x4000 != 0)
}

fn bar_size(entries: u32) -> Option<u32> {
    let mut function = PciFunction::default();
    add_msix(&mut function, 0x40, 0, 0, entries)?;
    function.msix.as_ref().map(msix_bar_size)
}

fn entries_start_masked_and_empty() {
    let (k, dev) = msix(3);
    let entries: Vec<u64> = (0..12).map(|dword| table_read(&k, dev, 4 * dword, 4)).collect();
    assert_eq!(entries, [0, 0, 0, 1].repeat(3));
}

/// Two entries with messages; `act` takes them from those in `gone`.
fn silenced(act: impl Fn(&mut Kernel, PciDevId), gone: &[u16]) {
    let (mut k, dev) = enabled_msix(2);
    for entry in 0..2 {
        message(&mut k, dev, entry, 0x40 + u64::from(entry));
        table_write(&mut k, dev, 16 * entry + 12, 4, 0);
    }
    act(&mut k, dev);
    let silent: Vec<u16> = (0..2).filter(|&entry| msix_message(&k, dev, entry).is_none()).collect();
    assert_eq!(silent, gone);
}

fn data_of_an_open_entry_counts_at_once() {
    let (mut k, dev) = enabled_msix(1);
    message(&mut k, dev, 0, 0x42);
    table_write(&mut k, dev, CONTROL, 4, 0);
    table_write(&mut k, dev, 8, 4, 0x99);
    assert_eq!(msix_message(&k, dev, 0), Some((0xfee0_0000, 0x99)));
    msix_raise(&mut k, dev, 0);
    assert_eq!(take(&mut k, 0), [0x99]);
}

/// A snapshot is a copy of the machine, with nothing outside that would have to be routed again.
fn messages_survive_a_snapshot(warm: bool) {
    let (mut k, dev) = enabled_msix(2);
    for (entry, address, data) in [(0, 0xa0, 0xd0), (1, 0xa1, 0xd1)] {
        table_write(&mut k, dev, 16 * entry, 8, address);
        table_write(&mut k, dev, 16 * entry + 8, 8, data);
    }
    let snapshot = k.clone();
    if warm {
        control(&mut k, dev, 0);
        table_write(&mut k, dev, 0, 8, 0xb0);
    }
    k = snapshot;
    let messages: Vec<_> = (0..2).map(|entry| msix_message(&k, dev, entry)).collect();
    assert_eq!(messages, [Some((0xa0, 0xd0)), Some((0xa1, 0xd1))]);
}

fn either_mask_counts() {
    let (mut k, dev) = msix(5);
    assert_eq!((config_read(&k, dev, MSIX + 2, 2) & 0x7ff) + 1, 5);
    assert_eq!(config::find_capability(&k, dev, config::CAPABILITY_MSIX), MSIX);
    for (function, entry) in [(false, false), (false, true), (true, false), (true, true)] {
        control(&mut k, dev, 0x8000 | u32::from(function) << 14);
        table_write(&mut k, dev, CONTROL, 4, u64::from(entry));
        assert_eq!(msix_message(&k, dev, 0).is_none(), function || entry);
    }
}

/// Which of four MSIs that cannot be masked are active before anybody requests them. Several MSIs
/// need remapping.
fn activated_early(version: KernelVersion) -> Vec<bool> {
    let mut k = pc(4, Some((version, "intel_iommu=on")));
    let msi = MsiCapability { multiple_message_capable: 2, address_64: true, ..MsiCapability::default() };
    let dev = add(&mut k, Spec { device: 3, msi: Some(msi), ..Spec::default() });
    assert_eq!(k.run_now(pci_alloc_irq_vectors_affinity(dev, 4, 4, PCI_IRQ_MSI, false)), Ok(4));
    let active = |nr| {
        let irq = pci_irq_vector(&mut k, dev, nr).expect("a vector");
        k.desc(irq).has(IRQD_ACTIVATED)
    };
    (0..4).map(active).collect()
}

/// The first of 9 spread vectors of 00:0b.0 on 6.12, requested.
fn managed() -> (Kernel, Irq) {
    fn nvme_irq(_: &mut Kernel, _: Irq, _: DevId) -> IrqReturn {
        IrqReturn::Handled
    }
    let mut k = pc(8, Some((KernelVersion::V6_12, "")));
    let dev = add(&mut k, Spec { device: 0xb, msix: 9, ..Spec::default() });
    pci_set_master(&mut k, dev);
    let flags = PCI_IRQ_MSIX | PCI_IRQ_AFFINITY;
    k.run_now(pci_alloc_irq_vectors_affinity(dev, 8, 8, flags, false)).expect("eight vectors");
    let handler = Handler { name: "nvme_irq", call: nvme_irq };
    let dev_id = DevId::Driver(dev, 1);
    pci_request_irq(&mut k, dev, 0, Some(handler), None, dev_id, "nvme0q1").expect("a free interrupt");
    let irq = pci_irq_vector(&mut k, dev, 0).expect("a vector");
    (k, irq)
}
