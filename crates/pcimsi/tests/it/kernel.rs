//! drivers/pci on a booted machine, in both releases.

use crate::common::{Spec, add, pc, take};
use kstate::hw::pci::{DeviceModel, MsiCapability};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn, Irqd};
use kstate::oracle::Oracle;
use kstate::semantics::KernelVersion;
use kstate::{CpuId, CpuMask, Errno, Irq, Kernel, PciDevId};
use pcimsi::hw::{config_read, msix_raise, msix_table};
use pcimsi::kernel::{
    PCI_IRQ_AFFINITY, PCI_IRQ_ALL_TYPES, PCI_IRQ_MSI, PCI_IRQ_MSIX, check_invariants, pci_alloc_irq_vectors,
    pci_alloc_irq_vectors_affinity, pci_disable_device, pci_enable_device, pci_free_irq_vectors,
    pci_irq_get_affinity, pci_irq_vector, pci_request_irq, pci_set_master,
};

fn handler() -> Option<Handler> {
    fn nvme_irq(_: &mut Kernel, _: Irq, _: DevId) -> IrqReturn {
        IrqReturn::Handled
    }
    Some(Handler { name: "nvme_irq", call: nvme_irq })
}

fn take_vectors(k: &mut Kernel, dev: PciDevId, min: u32, max: u32, flags: u32) -> Result<u32, Errno> {
    let call = pci_alloc_irq_vectors(k, dev, min, max, flags);
    k.run_now(call)
}

fn check_all(k: &Kernel) {
    assert_eq!(check_invariants(k), Ok(()));
    assert_eq!(irqcore::irqdomain::check_invariants(k), Ok(()));
}

/// Everything that an allocation takes: descriptors, interrupts, domains in use, vectors.
fn resources(k: &Kernel) -> (usize, usize, usize, u32, u32) {
    let domains = k.irq.domains.iter().flatten().count();
    let (available, reserved) = (k.vector_matrix.global_available, k.vector_matrix.global_reserved);
    (k.msi.descs.len(), k.for_each_irq().count(), domains, available, reserved)
}

#[test]
fn without_msi_a_driver_gets_the_pin() {
    for &version in KernelVersion::ALL {
        let mut k = pc(2, Some((version, "pci=nomsi")));
        let dev = add(&mut k, Spec { device: 3, msix: 9, input: 23, ..Spec::default() });
        pci_enable_device(&mut k, dev).expect("a pin that can be mapped");
        assert_eq!(take_vectors(&mut k, dev, 2, 4, PCI_IRQ_ALL_TYPES), Err(Errno::EINVAL));
        assert_eq!(take_vectors(&mut k, dev, 1, 4, PCI_IRQ_ALL_TYPES), Ok(1));
        assert_eq!(pci_irq_vector(&mut k, dev, 0), Ok(Irq(23)));
        assert_eq!(pci_irq_get_affinity(&mut k, dev, 0), Some(CpuMask::first_n(2)));
        assert_eq!(pci_irq_vector(&mut k, dev, 1), Err(Errno::EINVAL));
        check_all(&k);
    }
}

#[test]
fn functions_on_one_input_share_its_interrupt() {
    for &version in KernelVersion::ALL {
        let mut k = pc(1, Some((version, "")));
        let [a, b] = [3, 4].map(|device| add(&mut k, Spec { device, input: 20, ..Spec::default() }));
        let before = resources(&k);
        for dev in [a, b, a] {
            pci_enable_device(&mut k, dev).expect("a pin that can be mapped");
        }
        assert_eq!((k.pci_dev(a).irq, k.pci_dev(b).irq), (20, 20));
        for (dev, left) in [(a, true), (a, true), (b, false)] {
            k.run_now(pci_disable_device(dev));
            assert_eq!(k.find_desc(Irq(20)).is_some(), left);
        }
        assert_eq!(resources(&k), before);
        check_all(&k);
    }
}

#[test]
fn vectors_come_and_go_without_a_trace() {
    for &version in KernelVersion::ALL {
        let mut k = pc(4, Some((version, "")));
        let dev = add(&mut k, Spec { device: 3, msix: 9, ..Spec::default() });
        let (before, chips) = (resources(&k), k.irq.chips.len());
        for round in 0..2 {
            for max in [1, 9] {
                k.pci_dev_mut(dev).msi_setup().affd.pre_vectors = 1;
                let flags = PCI_IRQ_MSIX | PCI_IRQ_AFFINITY;
                let got = k.run_now(pci_alloc_irq_vectors_affinity(dev, 1, max, flags, true));
                // One vector for each CPU, and one that is not spread.
                assert_eq!(got, Ok(max.min(5)), "round {round}");
                check_all(&k);
                k.run_now(pci_free_irq_vectors(dev));
                check_all(&k);
            }
            kcore::base::dd::device_unbind_cleanup(&mut k, dev);
            assert_eq!(resources(&k), before);
        }
        // A domain that is created again takes the place of its chip.
        assert!(k.irq.chips.len() <= chips + 1);
        assert_eq!(k.warnings, 0, "{:?}", k.log);
    }
}

#[test]
fn a_function_keeps_its_domain_until_it_loses_its_driver() {
    let mut k = pc(1, Some((KernelVersion::V6_12, "")));
    let msi = MsiCapability { maskable: true, address_64: true, ..MsiCapability::default() };
    let dev = add(&mut k, Spec { device: 3, msix: 2, msi: Some(msi), ..Spec::default() });
    let name = |k: &Kernel| {
        let id = k.pci_dev(dev).msi_data.as_ref().and_then(|data| data.default_domain.domain);
        id.map(|id| k.domain(id).name.clone()).unwrap_or_default()
    };
    let mut names = Vec::new();
    for flags in [PCI_IRQ_MSIX, PCI_IRQ_MSI, PCI_IRQ_MSIX] {
        assert_eq!(take_vectors(&mut k, dev, 1, 1, flags), Ok(1));
        k.run_now(pci_free_irq_vectors(dev));
        names.push(name(&k));
        check_all(&k);
    }
    kcore::base::dd::device_unbind_cleanup(&mut k, dev);
    names.push(name(&k));
    assert_eq!(
        names,
        ["PCI-MSIX-0000:00:03.0-12", "PCI-MSI-0000:00:03.0-11", "PCI-MSIX-0000:00:03.0-12", ""]
    );
}

#[test]
fn several_msis_need_remapping() {
    for &version in KernelVersion::ALL {
        for (cmdline, vectors, at_least_two) in [("", 1, Err(Errno::ENOSPC)), ("intel_iommu=on", 4, Ok(4))] {
            let mut k = pc(4, Some((version, cmdline)));
            let msi =
                MsiCapability { multiple_message_capable: 2, maskable: true, ..MsiCapability::default() };
            let dev = add(&mut k, Spec { device: 3, msi: Some(msi), ..Spec::default() });
            assert_eq!(take_vectors(&mut k, dev, 1, 4, PCI_IRQ_MSI), Ok(vectors));
            let irqs: Vec<_> =
                (0..vectors).map(|nr| pci_irq_vector(&mut k, dev, nr).map(|irq| irq.0)).collect();
            let first = k.pci_dev(dev).irq;
            assert_eq!(irqs, (first..first + vectors).map(Ok).collect::<Vec<_>>());
            // Multiple Message Enable, and MSI Enable.
            let control = config_read(&k, dev, 0x52, 2) & 0x71;
            assert_eq!(control, vectors.trailing_zeros() << 4 | 1);
            check_all(&k);
            k.run_now(pci_free_irq_vectors(dev));
            assert_eq!(take_vectors(&mut k, dev, 2, 4, PCI_IRQ_MSI), at_least_two);
            check_all(&k);
        }
    }
}

#[test]
fn each_msi_has_its_own_mask_bit() {
    for &version in KernelVersion::ALL {
        let mut k = pc(1, Some((version, "intel_iommu=on")));
        let msi = MsiCapability { multiple_message_capable: 1, maskable: true, ..MsiCapability::default() };
        let dev = add(&mut k, Spec { device: 3, msi: Some(msi), ..Spec::default() });
        assert_eq!(take_vectors(&mut k, dev, 2, 2, PCI_IRQ_MSI), Ok(2));
        let mask = |k: &Kernel| config_read(k, dev, 0x5c, 4);
        let mut masks = vec![mask(&k)];
        for nr in [1, 0] {
            pci_request_irq(&mut k, dev, nr, handler(), None, DevId::Driver(dev, nr as u16), "test")
                .expect("a free interrupt");
            masks.push(mask(&k));
        }
        assert_eq!(masks, [0b11, 0b01, 0b00]);
    }
}

#[test]
fn a_driver_gets_as_many_managed_vectors_as_there_are() {
    let flags = PCI_IRQ_MSIX | PCI_IRQ_AFFINITY;
    for &version in KernelVersion::ALL {
        let mut k = pc(2, Some((version, "")));
        // Other functions take all vectors of the boot CPU, which has fewer than the other.
        let left = k.vector_matrix.maps[0].available as u16;
        for device in 8.. {
            let dev = add(&mut k, Spec { device, msix: 1, ..Spec::default() });
            match k.run_now(pci_alloc_irq_vectors_affinity(dev, 1, 1, flags, false)) {
                Ok(got) => assert_eq!(got, 1),
                Err(e) => {
                    assert_eq!((e, device), (Errno::ENOSPC, 8 + left));
                    kcore::base::dd::device_unbind_cleanup(&mut k, dev);
                    break;
                }
            }
        }
        let dev = add(&mut k, Spec { device: 3, msix: 3, ..Spec::default() });
        let before = resources(&k);
        // The first vector is not managed, and a reservation never fails.
        for (min, expect) in [(1, Ok(1)), (2, Err(Errno::ENOSPC))] {
            k.pci_dev_mut(dev).msi_setup().affd.pre_vectors = 1;
            let got = k.run_now(pci_alloc_irq_vectors_affinity(dev, min, 3, flags, true));
            assert_eq!(got, expect);
            check_all(&k);
            k.run_now(pci_free_irq_vectors(dev));
            kcore::base::dd::device_unbind_cleanup(&mut k, dev);
            assert_eq!(resources(&k), before);
        }
        check_all(&k);
    }
}

/// A device that raises entry 0 whenever it is let.
static EAGER: DeviceModel = DeviceModel {
    name: "eager",
    pending: Some(|_, _| true),
    act: Some(|k, dev| {
        msix_raise(k, dev, 0);
    }),
    ..DeviceModel::INERT
};

/// The entry as address and data.
fn entry(k: &Kernel, dev: PciDevId) -> (u32, u32) {
    let entry = &msix_table(k, dev)[0];
    (entry.address_lo, entry.data)
}

/// Moves the interrupt of entry 0 from one CPU to the other while the device raises it after the address
/// was written. Returns the vectors before and after, and what the old and the new CPU take.
fn raised_in_the_middle_of_a_move(version: KernelVersion) -> (u8, u8, [Vec<u8>; 2]) {
    let mut k = pc(2, Some((version, "")));
    let dev = add(&mut k, Spec { device: 3, msix: 1, ..Spec::default() });
    pci_set_master(&mut k, dev);
    // Another function has an interrupt on the other CPU, so that the vectors differ.
    let other = add(&mut k, Spec { device: 4, msix: 1, ..Spec::default() });
    let mut irqs = Vec::new();
    for (n, dev) in [other, dev].into_iter().enumerate() {
        assert_eq!(take_vectors(&mut k, dev, 1, 1, PCI_IRQ_MSIX), Ok(1));
        pci_request_irq(&mut k, dev, 0, handler(), None, DevId::Driver(dev, n as u16), "test")
            .expect("a free interrupt");
        irqs.push(pci_irq_vector(&mut k, dev, 0).expect("a vector"));
    }
    let target = k.desc(irqs[1]).irq_common_data.effective_affinity.first().expect("a target");
    let away = CpuId(1 - target.0);
    k.cur.cpu = target;
    let (_, old) = entry(&k, dev);
    k.hw.pci[dev.index()].model = &EAGER;
    k.oracle = Oracle::scripted(vec![1]);
    let d = Irqd::top(irqs[1]);
    let set_affinity = k.chip(d).irq_set_affinity.expect("an MSI chip can move its interrupts");
    set_affinity(&mut k, d, &CpuMask::of(away), false).expect("a CPU with free vectors");
    let (_, new) = entry(&k, dev);
    assert_eq!(check_invariants(&k), Ok(()));
    assert_ne!(old & 0xff, new & 0xff);
    (old as u8, new as u8, [take(&mut k, target.0), take(&mut k, away.0)])
}

#[test]
fn an_entry_that_is_not_masked_sends_half_a_message() {
    // 5.4 writes address and data of a live entry one after the other: the new CPU gets the old
    // vector, which is nobody's there.
    let (old, _, taken) = raised_in_the_middle_of_a_move(KernelVersion::V5_4);
    assert_eq!(taken, [vec![], vec![old]]);
    // 6.12 masks the entry meanwhile, so the message waits and is whole. It goes to the step in
    // between, the new vector on the old CPU; the kernel sees it there and sends it on.
    let (_, new, taken) = raised_in_the_middle_of_a_move(KernelVersion::V6_12);
    assert_eq!(taken, [vec![new], vec![new]]);
}
