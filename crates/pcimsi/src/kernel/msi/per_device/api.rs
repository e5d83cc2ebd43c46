//! drivers/pci/msi/api.c.

use irqcore::affinity::irq_create_affinity_masks;
use irqcore::msi::msi_domain_get_virq;
use kfn::{kfn, kframe};
use kstate::msi::{IrqAffinity, MSI_DEFAULT_DOMAIN};
use kstate::{CpuMask, Errno, Irq, Kernel, PciDevId};

use super::msi::{
    __pci_enable_msi_range, __pci_enable_msix_range, pci_free_msi_irqs, pci_msi_shutdown, pci_msix_shutdown,
};
use crate::kernel::pci::pci_intx;
use crate::kernel::{PCI_IRQ_AFFINITY, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX};

/// Turns MSI off and frees the interrupts.
#[kframe("drivers/pci/msi/api.c")]
pub fn pci_disable_msi(k: &mut Kernel, dev: PciDevId) {
    if !pci_msi_enabled(k) || !k.pci_dev(dev).msi_enabled {
        return;
    }
    pci_msi_shutdown(k, dev);
    call!(pci_free_msi_irqs(dev));
}

/// Turns MSI-X off and frees the interrupts.
#[kframe("drivers/pci/msi/api.c")]
pub fn pci_disable_msix(k: &mut Kernel, dev: PciDevId) {
    if !pci_msi_enabled(k) || !k.pci_dev(dev).msix_enabled {
        return;
    }
    pci_msix_shutdown(k, dev);
    call!(pci_free_msi_irqs(dev));
}

/// Allocates vectors without spreading them.
#[kfn("drivers/pci/msi/api.c")]
pub fn pci_alloc_irq_vectors(
    k: &mut Kernel,
    dev: PciDevId,
    min_vecs: u32,
    max_vecs: u32,
    flags: u32,
) -> Result<u32, Errno> {
    pci_alloc_irq_vectors_affinity(k, dev, min_vecs, max_vecs, flags, None)
}

/// Allocates vectors of the best kind that `flags` allow.
#[kfn("drivers/pci/msi/api.c")]
pub fn pci_alloc_irq_vectors_affinity(
    k: &mut Kernel,
    dev: PciDevId,
    min_vecs: u32,
    max_vecs: u32,
    flags: u32,
    affd: Option<&mut IrqAffinity>,
) -> Result<u32, Errno> {
    let mut msi_default_affd = IrqAffinity::default();
    let mut affd = affd;
    if flags & PCI_IRQ_AFFINITY != 0 {
        affd.get_or_insert(&mut msi_default_affd);
    } else if affd.is_some() {
        k.warn("WARNING: at drivers/pci/msi/api.c pci_alloc_irq_vectors_affinity");
        affd = None;
    }

    let mut nvecs = Err(Errno::ENOSPC);
    if flags & PCI_IRQ_MSIX != 0 {
        nvecs = __pci_enable_msix_range(k, dev, None, min_vecs, max_vecs, affd.as_deref_mut(), flags);
        if nvecs.is_ok_and(|vecs| vecs > 0) {
            return nvecs;
        }
    }
    if flags & PCI_IRQ_MSI != 0 {
        nvecs = __pci_enable_msi_range(k, dev, min_vecs, max_vecs, affd.as_deref_mut());
        if nvecs.is_ok_and(|vecs| vecs > 0) {
            return nvecs;
        }
    }
    if flags & PCI_IRQ_INTX != 0 && min_vecs == 1 && k.pci_dev(dev).irq != 0 {
        // The driver's callback learns that there is only one vector.
        if let Some(affd) = affd {
            irq_create_affinity_masks(k, 1, affd);
        }
        pci_intx(k, dev, true);
        return Ok(1);
    }
    nvecs
}

/// The interrupt of a vector.
#[kfn("drivers/pci/msi/api.c")]
pub fn pci_irq_vector(k: &mut Kernel, dev: PciDevId, nr: u32) -> Result<Irq, Errno> {
    let d = k.pci_dev(dev);
    if !d.msi_enabled && !d.msix_enabled {
        return if nr == 0 { Ok(Irq(d.irq)) } else { Err(Errno::EINVAL) };
    }
    match msi_domain_get_virq(k, dev, MSI_DEFAULT_DOMAIN, nr) {
        0 => Err(Errno::EINVAL),
        irq => Ok(Irq(irq)),
    }
}

/// The CPUs a vector was spread to.
#[kfn("drivers/pci/msi/api.c")]
pub fn pci_irq_get_affinity(k: &mut Kernel, dev: PciDevId, nr: u32) -> Option<CpuMask> {
    let irq = pci_irq_vector(k, dev, nr).ok().filter(|irq| irq.0 != 0);
    let Some(irq) = irq else {
        k.warn_once("WARNING: at drivers/pci/msi/api.c pci_irq_get_affinity");
        return None;
    };
    let Some(desc) = k.irq_get_msi_desc(irq) else { return Some(k.topo.possible.clone()) };
    let masks = k.msi.descs[desc].affinity.as_ref()?;
    // MSI has a mask for each message in one descriptor, MSI-X a descriptor for each.
    let index = if k.pci_dev(dev).msi_enabled { nr as usize } else { 0 };
    masks.get(index).map(|desc| desc.mask.clone())
}

/// Whether `pci=nomsi` was given.
#[kfn("drivers/pci/msi/api.c")]
pub fn pci_msi_enabled(k: &mut Kernel) -> bool {
    k.pci.pci_msi_enable
}
