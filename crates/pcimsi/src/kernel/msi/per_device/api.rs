//! drivers/pci/msi/api.c.

use irqcore::msi::msi_domain_get_virq;
use kfn::{kfn, kframe};
use kstate::msi::MSI_DEFAULT_DOMAIN;
use kstate::{CpuMask, Errno, Irq, Kernel, PciDevId};

use crate::kernel::msi::pci_alloc_irq_vectors_affinity;

/// Allocates vectors without spreading them.
#[kframe("drivers/pci/msi/api.c")]
pub fn pci_alloc_irq_vectors(
    k: &mut Kernel,
    dev: PciDevId,
    min_vecs: u32,
    max_vecs: u32,
    flags: u32,
) -> Result<u32, Errno> {
    let _ = &k;
    call!(pci_alloc_irq_vectors_affinity(dev, min_vecs, max_vecs, flags, false))
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
