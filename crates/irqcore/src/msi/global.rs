//! kernel/irq/msi.c of 5.4: one domain for all functions, descriptors in a list of the device.

use kfn::{kfn, kframe};
use kstate::irqdesc::{IRQD_ACTIVATED, IRQD_CAN_RESERVE, Irqd};
use kstate::irqdomain::{IRQ_DOMAIN_FLAG_MSI, IrqAllocInfo};
use kstate::msi::{
    DOMAIN_BUS_PCI_MSI, IrqAffinityDesc, MSI_FLAG_ACTIVATE_EARLY, MSI_FLAG_MUST_REACTIVATE,
    MSI_FLAG_USE_DEF_CHIP_OPS, MSI_FLAG_USE_DEF_DOM_OPS, MsiDesc, MsiDomainInfo,
};
use kstate::{DomainId, Errno, Irq, Kernel, MsiDescId, PciDevId};

use super::{
    irq_set_msi_desc_off, msi_domain_ops, msi_domain_update_chip_ops, msi_domain_update_dom_ops,
    msi_get_domain_info,
};
use crate::debugfs::irq_debugfs_copy_devname;
use crate::irqdomain::{
    __irq_domain_alloc_irqs, irq_domain_activate_irq, irq_domain_create_hierarchy, irq_domain_deactivate_irq,
    irq_domain_free_irqs, irq_domain_get_irq_data,
};

/// Allocates a descriptor for `nvec` interrupts of `dev`. The caller enters it into the device's
/// list.
#[kfn("kernel/irq/msi.c")]
pub fn alloc_msi_entry(
    k: &mut Kernel,
    dev: PciDevId,
    nvec: u32,
    affinity: Option<&[IrqAffinityDesc]>,
) -> MsiDescId {
    k.msi.descs.insert(MsiDesc {
        dev,
        nvec_used: nvec,
        affinity: affinity.map(|masks| masks[..nvec as usize].to_vec()),
        ..MsiDesc::default()
    })
}

/// Frees a descriptor.
#[kfn("kernel/irq/msi.c")]
pub fn free_msi_entry(k: &mut Kernel, entry: MsiDescId) {
    k.msi.descs.remove(entry);
}

/// Creates an MSI domain on top of `parent`. `fwnode` is its name.
#[kfn("kernel/irq/msi.c")]
pub fn msi_create_irq_domain(
    k: &mut Kernel,
    fwnode: &str,
    info: MsiDomainInfo,
    parent: DomainId,
) -> Option<DomainId> {
    let mut info = info;
    if info.flags & MSI_FLAG_USE_DEF_DOM_OPS != 0 {
        msi_domain_update_dom_ops(k, &mut info);
    }
    if info.flags & MSI_FLAG_USE_DEF_CHIP_OPS != 0 {
        msi_domain_update_chip_ops(k, &mut info);
    }
    let domain =
        irq_domain_create_hierarchy(k, Some(parent), IRQ_DOMAIN_FLAG_MSI, 0, fwnode, msi_domain_ops());
    k.domain_mut(domain).msi = Some(info);
    Some(domain)
}

/// Checks the device against the domain and starts the allocation description.
#[kfn("kernel/irq/msi.c")]
pub fn msi_domain_prepare_irqs(
    k: &mut Kernel,
    domain: DomainId,
    dev: PciDevId,
    nvec: u32,
    arg: &mut IrqAllocInfo,
) -> Result<u32, Errno> {
    let ops = msi_get_domain_info(k, domain).ops;
    let ret = match ops.msi_check {
        Some(check) => check(k, domain, dev)?,
        None => 0,
    };
    if let (0, Some(prepare)) = (ret, ops.msi_prepare) {
        prepare(k, domain, dev, nvec, arg)?;
    }
    Ok(ret)
}

/// Whether the interrupts may stand on a dummy vector until they are requested. That is safe only
/// where they can be masked.
#[kfn("kernel/irq/msi.c")]
fn msi_check_reservation_mode(k: &mut Kernel, domain: DomainId, dev: PciDevId) -> bool {
    if k.domain(domain).bus_token != DOMAIN_BUS_PCI_MSI {
        return false;
    }
    if msi_get_domain_info(k, domain).flags & MSI_FLAG_MUST_REACTIVATE == 0 {
        return false;
    }
    if k.pci.pci_msi_ignore_mask {
        return false;
    }
    // One descriptor stands for all: MSI-X can always mask, and MSI has only one.
    let Some(&first) = k.pci_dev(dev).msi_list.first() else { return false };
    let desc = &k.msi.descs[first];
    desc.is_msix || desc.can_mask
}

/// `irq_domain_get_irq_data()` of an interrupt's descriptor, which the domain has just allocated.
fn data_of(k: &Kernel, domain: DomainId, desc: MsiDescId) -> Option<Irqd> {
    irq_domain_get_irq_data(k, domain, k.msi.descs[desc].irq?)
}

/// Allocates interrupts for all descriptors of a device. A positive value asks the caller to try
/// again with so many.
///
/// `__irq_domain_alloc_irqs()` takes its locks for one descriptor, so that between two of them the interrupts of
/// another function may be allocated.
#[kframe("kernel/irq/msi.c")]
pub fn msi_domain_alloc_irqs(
    k: &mut Kernel,
    domain: DomainId,
    dev: PciDevId,
    nvec: u32,
) -> Result<u32, Errno> {
    let mut arg = IrqAllocInfo::default();
    let ret = msi_domain_prepare_irqs(k, domain, dev, nvec, &mut arg)?;
    if ret != 0 {
        return Ok(ret);
    }
    k.pci_dev_mut(dev).msi_setup().arg = arg;

    let n: usize = 0;
    while n < k.pci_dev(dev).msi_list.len() {
        if n > 0 {
            step!();
        }
        let desc = k.pci_dev(dev).msi_list[n];
        let ops = msi_get_domain_info(k, domain).ops;
        let mut arg = core::mem::take(&mut k.pci_dev_mut(dev).msi_setup().arg);
        if let Some(set_desc) = ops.set_desc {
            set_desc(k, &mut arg, desc);
        }
        let nvec_used = k.msi.descs[desc].nvec_used;
        let affinity = k.msi.descs[desc].affinity.take();
        let node = k.pci_dev(dev).node;
        let masks = affinity.as_deref();
        let virq = __irq_domain_alloc_irqs(k, domain, None, nvec_used, node, &mut arg, false, masks);
        k.msi.descs[desc].affinity = affinity;
        k.pci_dev_mut(dev).msi_setup().arg = arg;
        let Ok(virq) = virq else {
            return match ops.handle_error {
                Some(handle_error) => handle_error(k, domain, desc, Errno::ENOSPC),
                None => Err(Errno::ENOSPC),
            };
        };
        let name = k.pci_dev(dev).name();
        for i in 0..nvec_used {
            irq_set_msi_desc_off(k, virq, i, Some(desc));
            irq_debugfs_copy_devname(k, Irq(virq.0 + i), &name);
        }
        n += 1;
    }
    let activated: Result<(), Errno> = activate_early(k, domain, dev);
    if activated.is_err() {
        call!(msi_domain_free_irqs(domain, dev));
    }
    activated.map(|()| 0)
}

/// The second half of [`msi_domain_alloc_irqs`], after its label: the messages have to be in place before the
/// function is enabled, or it latches garbage.
fn activate_early(k: &mut Kernel, domain: DomainId, dev: PciDevId) -> Result<(), Errno> {
    let flags = msi_get_domain_info(k, domain).flags;
    let list = k.pci_dev(dev).msi_list.clone();
    let can_reserve = msi_check_reservation_mode(k, domain, dev);

    for (n, &desc) in list.iter().enumerate() {
        if flags & MSI_FLAG_ACTIVATE_EARLY == 0 {
            continue;
        }
        let Some(irq_data) = data_of(k, domain, desc) else { continue };
        if !can_reserve {
            k.desc_mut(irq_data.irq).clear(IRQD_CAN_RESERVE);
        }
        if let Err(e) = irq_domain_activate_irq(k, irq_data, can_reserve) {
            deactivate_activated(k, domain, &list[..n]);
            return Err(e);
        }
    }

    // With a reserved vector, requesting the interrupt activates it again and for good.
    if can_reserve {
        for &desc in &list {
            if let Some(irq_data) = data_of(k, domain, desc) {
                k.desc_mut(irq_data.irq).clear(IRQD_ACTIVATED);
            }
        }
    }
    Ok(())
}

/// What [`activate_early`] takes back.
fn deactivate_activated(k: &mut Kernel, domain: DomainId, list: &[MsiDescId]) {
    for &desc in list {
        let Some(irqd) = data_of(k, domain, desc) else { continue };
        if k.desc(irqd.irq).has(IRQD_ACTIVATED) {
            irq_domain_deactivate_irq(k, irqd);
        }
    }
}

/// Frees the interrupts of all descriptors of a device.
#[kframe("kernel/irq/msi.c")]
pub fn msi_domain_free_irqs(k: &mut Kernel, domain: DomainId, dev: PciDevId) {
    let _ = domain;
    let mut n: usize = 0;
    while n < k.pci_dev(dev).msi_list.len() {
        let desc: MsiDescId = k.pci_dev(dev).msi_list[n];
        n += 1;
        // An allocation that failed early leaves descriptors without an interrupt.
        if k.msi.descs[desc].irq.is_some() {
            let irq = k.msi.descs[desc].irq.unwrap_or_default();
            let nvec_used = k.msi.descs[desc].nvec_used;
            call!(irq_domain_free_irqs(irq, nvec_used));
            k.msi.descs[desc].irq = None;
        }
    }
}
