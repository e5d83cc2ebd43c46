//! Adding functions and unbinding drivers: drivers/pci/probe.c, arch/x86/pci/common.c and the parts
//! of drivers/base that release what a driver leaves behind, of 5.4 and 6.12.

use kfn::kfn;
use kstate::hw::pci::PciFunction;
use kstate::pci::PciDev;
use kstate::semantics::MsiDomains;
use kstate::shared::Shared;
use kstate::{Kernel, PciDevId};

use super::access::{pci_read_config_byte, pci_read_config_word, pci_write_config_word};
use crate::hw::config::{CAPABILITY_MSI, CAPABILITY_MSIX, INTERRUPT_LINE, INTERRUPT_PIN, find_capability};
use crate::hw::{msi, msix};

/// Turns MSI off, and notes where the capability lies.
#[kfn("drivers/pci/msi/pcidev_msi.c")]
fn pci_msi_init(k: &mut Kernel, dev: PciDevId) {
    let pos = find_capability(k, dev, CAPABILITY_MSI);
    k.pci_dev_mut(dev).msi_cap = pos;
    if pos == 0 {
        return;
    }
    let ctrl = pci_read_config_word(k, dev, pos + 2);
    if ctrl & msi::CONTROL_ENABLE != 0 {
        pci_write_config_word(k, dev, pos + 2, ctrl & !msi::CONTROL_ENABLE);
    }
    if ctrl & msi::CONTROL_64BIT == 0 {
        k.pci_dev_mut(dev).no_64bit_msi = true;
    }
}

/// Turns MSI-X off, and notes where the capability lies.
#[kfn("drivers/pci/msi/pcidev_msi.c")]
fn pci_msix_init(k: &mut Kernel, dev: PciDevId) {
    let pos = find_capability(k, dev, CAPABILITY_MSIX);
    k.pci_dev_mut(dev).msix_cap = pos;
    if pos == 0 {
        return;
    }
    let ctrl = pci_read_config_word(k, dev, pos + 2);
    if ctrl & msix::CONTROL_ENABLE != 0 {
        pci_write_config_word(k, dev, pos + 2, ctrl & !msix::CONTROL_ENABLE);
    }
}

/// Gives a function the domain that its messages come from (6.12).
#[kfn("arch/x86/pci/common.c")]
fn pcibios_device_add(k: &mut Kernel, dev: PciDevId) {
    if k.sem.msi_domains == MsiDomains::Global {
        return;
    }
    k.pci_dev_mut(dev).msi_domain = k.apic.x86_pci_msi_default_domain;
    // With remapping, the notifier of drivers/iommu/intel/dmar.c replaces it.
    if let Some(domain) = k.remap.iommus.first().and_then(|iommu| iommu.ir_domain) {
        k.pci_dev_mut(dev).msi_domain = Some(domain);
    }
}

/// Puts a function on the bus and makes it known to the kernel. The APICs and remapping units have
/// to be set up before.
#[kfn("drivers/pci/probe.c")]
pub fn pci_device_add(k: &mut Kernel, function: PciFunction) -> PciDevId {
    let dev = PciDevId(k.pci.devs.len() as u32);
    let (bdf, gsi, isa_irq) = (function.bdf, function.intx_input, function.intx_isa);
    let domain_nr = function.segment;
    k.hw.pci.push(Shared::new(function));
    k.pci.devs.push(PciDev { bdf, domain_nr, gsi, isa_irq, ..PciDev::default() });
    let pin = pci_read_config_byte(k, dev, INTERRUPT_PIN);
    let irq = pci_read_config_byte(k, dev, INTERRUPT_LINE);
    let pci_dev = k.pci_dev_mut(dev);
    pci_dev.pin = pin;
    pci_dev.irq = u32::from(irq);
    pci_msi_init(k, dev);
    pci_msix_init(k, dev);
    pcibios_device_add(k, dev);
    dev
}
