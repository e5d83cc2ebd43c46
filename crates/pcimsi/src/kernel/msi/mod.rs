//! drivers/pci/msi.c and the folder that it became, drivers/pci/msi. [`global`] has one domain for all
//! functions, [`per_device`] gives every function its own. What did not change in between is here, with
//! two inline functions of drivers/pci/pci.h that moved into that folder.

use irqcore::affinity::irq_create_affinity_masks;
use kfn::{kfn, kframe};
use kstate::irqdesc::Irqd;
use kstate::irqdomain::IRQ_DOMAIN_FLAG_HIERARCHY;
use kstate::msi::{IrqAffinity, IrqAffinityDesc, MsiMsg};
use kstate::semantics::MsiDomains;
use kstate::{DomainId, Errno, Kernel, MsiDescId, PciDevId};

use super::access::{pci_read_config_dword, pci_read_config_word, pci_write_config_word};
use super::pci::pci_intx;
use super::{PCI_IRQ_AFFINITY, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX, msix_table_size};
use crate::hw::config::BASE_ADDRESS_0;
use crate::hw::msi;

pub mod global;
pub mod per_device;

/// Capability ID of MSI, as the `type` of a setup.
const PCI_CAP_ID_MSI: u32 = 0x05;
/// Capability ID of MSI-X.
const PCI_CAP_ID_MSIX: u32 = 0x11;
/// Message Control.
const PCI_MSI_FLAGS: u16 = 2;
/// Message Control: Multiple Message Enable.
const PCI_MSI_FLAGS_QSIZE: u16 = 0x70;
/// Message Control: Multiple Message Capable.
const PCI_MSI_FLAGS_QMASK: u16 = 0x0e;
const PCI_MSI_ADDRESS_LO: u16 = 4;
const PCI_MSI_ADDRESS_HI: u16 = 8;
const PCI_MSI_DATA_32: u16 = 8;
const PCI_MSI_DATA_64: u16 = 12;
const PCI_MSI_MASK_32: u16 = 12;
const PCI_MSI_MASK_64: u16 = 16;
/// Message Control of MSI-X.
const PCI_MSIX_FLAGS: u16 = 2;
const PCI_MSIX_TABLE: u16 = 4;

/// `dev_get_msi_domain()`, where it is a hierarchical one.
fn hierarchical_domain(k: &Kernel, dev: PciDevId) -> Option<DomainId> {
    let domain = k.pci_dev(dev).msi_domain?;
    (k.domain(domain).flags & IRQ_DOMAIN_FLAG_HIERARCHY != 0).then_some(domain)
}

/// Whether `nvec` messages may be set up at all.
#[kfn("drivers/pci/msi.c", "drivers/pci/msi/msi.c")]
fn pci_msi_supported(k: &mut Kernel, dev: PciDevId, nvec: u32) -> bool {
    k.pci.pci_msi_enable && !k.pci_dev(dev).no_msi && nvec >= 1
}

/// Lets a function use its pin, or forbids it.
#[kfn("drivers/pci/msi.c", "drivers/pci/msi/msi.c")]
fn pci_intx_for_msi(k: &mut Kernel, dev: PciDevId, enable: bool) {
    pci_intx(k, dev, enable);
}

/// Turns MSI on or off at the function.
#[kfn("drivers/pci/pci.h", "drivers/pci/msi/msi.c")]
fn pci_msi_set_enable(k: &mut Kernel, dev: PciDevId, enable: bool) {
    let at = k.pci_dev(dev).msi_cap + PCI_MSI_FLAGS;
    let mut control = pci_read_config_word(k, dev, at) & !msi::CONTROL_ENABLE;
    if enable {
        control |= msi::CONTROL_ENABLE;
    }
    pci_write_config_word(k, dev, at, control);
}

/// Changes the Message Control of MSI-X.
#[kfn("drivers/pci/pci.h", "drivers/pci/msi/msi.c")]
fn pci_msix_clear_and_set_ctrl(k: &mut Kernel, dev: PciDevId, clear: u16, set: u16) {
    let at = k.pci_dev(dev).msix_cap + PCI_MSIX_FLAGS;
    let ctrl = pci_read_config_word(k, dev, at) & !clear | set;
    pci_write_config_word(k, dev, at, ctrl);
}

/// Maps the MSI-X table; false when nothing answers behind its base address register.
#[kfn("drivers/pci/msi.c", "drivers/pci/msi/msi.c")]
fn msix_map_region(k: &mut Kernel, dev: PciDevId, nr_entries: u32) -> bool {
    let _ = nr_entries;
    let table_offset = pci_read_config_dword(k, dev, k.pci_dev(dev).msix_cap + PCI_MSIX_TABLE);
    let bir = table_offset as u16 & 7;
    bir < 6 && pci_read_config_dword(k, dev, BASE_ADDRESS_0 + 4 * bir) != 0
}

/// How many messages an MSI capability asks for.
///
/// # Errors
/// `EINVAL` without the capability.
#[kfn("drivers/pci/msi.c", "drivers/pci/msi/msi.c")]
pub fn pci_msi_vec_count(k: &mut Kernel, dev: PciDevId) -> Result<u32, Errno> {
    let pos = k.pci_dev(dev).msi_cap;
    if pos == 0 {
        return Err(Errno::EINVAL);
    }
    let msgctl = pci_read_config_word(k, dev, pos + PCI_MSI_FLAGS);
    Ok(1 << ((msgctl & PCI_MSI_FLAGS_QMASK) >> 1))
}

/// How many entries an MSI-X table has.
///
/// # Errors
/// `EINVAL` without the capability.
#[kfn("drivers/pci/msi.c", "drivers/pci/msi/api.c")]
pub fn pci_msix_vec_count(k: &mut Kernel, dev: PciDevId) -> Result<u32, Errno> {
    let pos = k.pci_dev(dev).msix_cap;
    if pos == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(msix_table_size(pci_read_config_word(k, dev, pos + PCI_MSIX_FLAGS)))
}

/// `pci=nomsi`.
#[kfn("drivers/pci/msi.c", "drivers/pci/msi/msi.c")]
pub fn pci_no_msi(k: &mut Kernel) {
    k.pci.pci_msi_enable = false;
}

/// MSI is not switched off. With [`global`] the flag is looked at in place.
fn pci_msi_enabled(k: &mut Kernel) -> bool {
    match k.sem.msi_domains {
        MsiDomains::Global => k.pci.pci_msi_enable,
        MsiDomains::PerDevice => per_device::api::pci_msi_enabled(k),
    }
}

/// Something is to be spread, on a kernel that does so only while no CPU comes or goes.
// DEVIATION: irq_build_affinity_masks() and group_cpus_evenly() take the lock themselves. Here it is taken by the function
// that asks for the masks: nobody sees what lies between.
fn waits_for_hotplug(k: &mut Kernel, dev: PciDevId, nvec: u32, affd: bool) -> bool {
    if !affd || !k.sem.spread_takes_hotplug_lock {
        return false;
    }
    let affd = &k.pci_dev_mut(dev).msi_setup().affd;
    nvec > affd.pre_vectors.wrapping_add(affd.post_vectors)
}

/// `affd ? irq_create_affinity_masks(nvec, affd) : NULL`.
fn create_masks(k: &mut Kernel, dev: PciDevId, nvec: u32, affd: bool) -> Option<Vec<IrqAffinityDesc>> {
    if !affd {
        return None;
    }
    let mut affd = k.pci_dev_mut(dev).msi_setup().affd;
    let masks = irq_create_affinity_masks(k, nvec, &mut affd);
    k.pci_dev_mut(dev).msi_setup().affd = affd;
    masks
}

/// Tells a driver that chose entries by number which interrupts they got.
fn tell_vectors(k: &mut Kernel, dev: PciDevId, descs: &[MsiDescId]) {
    let mut entries = core::mem::take(&mut k.pci_dev_mut(dev).msi_setup().entries);
    for (slot, &desc) in entries.iter_mut().zip(descs) {
        slot.vector = k.msi.descs[desc].irq.unwrap_or_default().0;
    }
    k.pci_dev_mut(dev).msi_setup().entries = entries;
}

/// Turns MSI off and frees the interrupts.
#[kframe("drivers/pci/msi.c", "drivers/pci/msi/api.c")]
pub fn pci_disable_msi(k: &mut Kernel, dev: PciDevId) {
    if !pci_msi_enabled(k) || !k.pci_dev(dev).msi_enabled {
        return;
    }
    match k.sem.msi_domains {
        MsiDomains::Global => {
            global::pci_msi_shutdown(k, dev);
            call!(global::free_msi_irqs(dev));
        }
        MsiDomains::PerDevice => {
            per_device::msi::pci_msi_shutdown(k, dev);
            call!(per_device::msi::pci_free_msi_irqs(dev));
        }
    }
}

/// Turns MSI-X off and frees the interrupts.
#[kframe("drivers/pci/msi.c", "drivers/pci/msi/api.c")]
pub fn pci_disable_msix(k: &mut Kernel, dev: PciDevId) {
    if !pci_msi_enabled(k) || !k.pci_dev(dev).msix_enabled {
        return;
    }
    match k.sem.msi_domains {
        MsiDomains::Global => {
            global::pci_msix_shutdown(k, dev);
            call!(global::free_msi_irqs(dev));
        }
        MsiDomains::PerDevice => {
            per_device::msi::pci_msix_shutdown(k, dev);
            call!(per_device::msi::pci_free_msi_irqs(dev));
        }
    }
}

/// Allocates up to `max_vecs` vectors: MSI-X, else MSI, else the pin, as `flags` allow. Returns how
/// many. `affd` says whether the driver has put one into [`kstate::pci::PciDev::msi_setup`].
///
/// # Errors
/// `ENOSPC` when there are fewer than `min_vecs`, and those of the kind that was tried last.
#[kframe("drivers/pci/msi.c", "drivers/pci/msi/api.c")]
pub fn pci_alloc_irq_vectors_affinity(
    k: &mut Kernel,
    dev: PciDevId,
    min_vecs: u32,
    max_vecs: u32,
    flags: u32,
    affd: bool,
) -> Result<u32, Errno> {
    if flags & PCI_IRQ_AFFINITY != 0 {
        if !affd {
            // `msi_default_affd`.
            k.pci_dev_mut(dev).msi_setup().affd = IrqAffinity::default();
            affd = true;
        }
    } else if affd {
        k.warn(match k.sem.msi_domains {
            MsiDomains::Global => "WARNING: at drivers/pci/msi.c pci_alloc_irq_vectors_affinity",
            MsiDomains::PerDevice => "WARNING: at drivers/pci/msi/api.c pci_alloc_irq_vectors_affinity",
        });
        affd = false;
    }

    let msix_vecs: Result<u32, Errno> = Err(Errno::ENOSPC);
    let msi_vecs: Result<u32, Errno> = Err(Errno::ENOSPC);
    if flags & PCI_IRQ_MSIX != 0 {
        match k.sem.msi_domains {
            MsiDomains::Global => {
                msix_vecs =
                    call!(global::__pci_enable_msix_range(dev, false, min_vecs, max_vecs, affd, flags));
            }
            MsiDomains::PerDevice => {
                msix_vecs = call!(per_device::msi::__pci_enable_msix_range(
                    dev, false, min_vecs, max_vecs, affd, flags
                ));
            }
        }
        if msix_vecs.is_ok_and(|vecs| vecs > 0) {
            k.pci_dev_mut(dev).msi_setup = None;
            return msix_vecs;
        }
    }
    if flags & PCI_IRQ_MSI != 0 {
        match k.sem.msi_domains {
            MsiDomains::Global => {
                msi_vecs = call!(global::__pci_enable_msi_range(dev, min_vecs, max_vecs, affd));
            }
            MsiDomains::PerDevice => {
                msi_vecs = call!(per_device::msi::__pci_enable_msi_range(dev, min_vecs, max_vecs, affd));
            }
        }
        if msi_vecs.is_ok_and(|vecs| vecs > 0) {
            k.pci_dev_mut(dev).msi_setup = None;
            return msi_vecs;
        }
    }
    let setup = k.pci_dev_mut(dev).msi_setup.take();
    if flags & PCI_IRQ_INTX != 0 && min_vecs == 1 && k.pci_dev(dev).irq != 0 {
        // The driver's callback learns that there is only one vector.
        if let Some(mut setup) = setup.filter(|_| affd) {
            irq_create_affinity_masks(k, 1, &mut setup.affd);
        }
        pci_intx(k, dev, true);
        return Ok(1);
    }
    // What 5.4 says of a function that has no room for either; later kernels keep the last error.
    let global = k.sem.msi_domains == MsiDomains::Global;
    let first = if global { msix_vecs == Err(Errno::ENOSPC) } else { flags & PCI_IRQ_MSI == 0 };
    let vecs = if first { msix_vecs } else { msi_vecs };
    vecs
}

/// Enables MSI with one message.
///
/// # Errors
/// `ENOSPC` when there is none, and those of setting it up.
#[kframe("drivers/pci/msi.c", "drivers/pci/msi/api.c")]
pub fn pci_enable_msi(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let rc: Result<u32, Errno> = Ok(0);
    match k.sem.msi_domains {
        MsiDomains::Global => rc = call!(global::__pci_enable_msi_range(dev, 1, 1, false)),
        MsiDomains::PerDevice => rc = call!(per_device::msi::__pci_enable_msi_range(dev, 1, 1, false)),
    }
    k.pci_dev_mut(dev).msi_setup = None;
    rc.map(|_| ())
}

/// Enables MSI-X for entries chosen by number: those that the driver has put into
/// [`kstate::pci::PciDev::msi_setup`], where it finds their interrupts.
///
/// # Errors
/// `ENOSPC` when there are fewer than `minvec`, and those of setting them up.
#[kframe("drivers/pci/msi.c", "drivers/pci/msi/api.c")]
pub fn pci_enable_msix_range(k: &mut Kernel, dev: PciDevId, minvec: u32, maxvec: u32) -> Result<u32, Errno> {
    let maxvec: u32 = maxvec.min(k.pci_dev_mut(dev).msi_setup().entries.len() as u32);
    if k.sem.msi_domains == MsiDomains::Global {
        return call!(global::__pci_enable_msix_range(dev, true, minvec, maxvec, false, 0));
    }
    call!(per_device::msi::__pci_enable_msix_range(dev, true, minvec, maxvec, false, 0))
}

/// `irq_write_msi_msg` of PCI/MSI chips. Several MSIs of a function share one message, which is
/// written with the first.
#[kfn("drivers/pci/msi.c", "drivers/pci/msi/irqdomain.c")]
fn pci_msi_domain_write_msg(k: &mut Kernel, irq_data: Irqd, msg: &MsiMsg) {
    let Some(desc) = k.irq_get_msi_desc(irq_data.irq) else { return };
    if k.msi.descs[desc].irq == Some(irq_data.irq) {
        match k.sem.msi_domains {
            MsiDomains::Global => global::__pci_write_msi_msg(k, desc, msg),
            MsiDomains::PerDevice => per_device::msi::__pci_write_msi_msg(k, desc, msg),
        }
    }
}
