//! drivers/pci/msi/irqdomain.c.

use irqcore::chip::{
    irq_chip_mask_parent, irq_chip_shutdown_parent, irq_chip_startup_parent, irq_chip_unmask_parent,
};
use irqcore::msi::{
    msi_create_device_irq_domain, msi_domain_alloc_irqs_all_locked, msi_domain_free_irqs_all_locked,
    msi_match_device_irq_domain, msi_remove_device_irq_domain,
};
use kfn::{kfn, kframe};
use kstate::irqchip::{IRQCHIP_ONESHOT_SAFE, IrqChip};
use kstate::irqdesc::Irqd;
use kstate::irqdomain::{IRQ_DOMAIN_FLAG_MSI_PARENT, IrqAllocInfo};
use kstate::msi::{
    DOMAIN_BUS_PCI_DEVICE_MSI, DOMAIN_BUS_PCI_DEVICE_MSIX, DOMAIN_BUS_PCI_MSI, MSI_DEFAULT_DOMAIN,
    MSI_FLAG_ACTIVATE_EARLY, MSI_FLAG_DEV_SYSFS, MSI_FLAG_FREE_MSI_DESCS, MSI_FLAG_LEVEL_CAPABLE,
    MSI_FLAG_MULTI_PCI_MSI, MSI_FLAG_MUST_REACTIVATE, MSI_FLAG_PCI_MSI_MASK_PARENT,
    MSI_FLAG_PCI_MSI_STARTUP_PARENT, MSI_FLAG_PCI_MSIX, MSI_FLAG_PCI_MSIX_ALLOC_DYN,
    MSI_FLAG_USE_DEF_CHIP_OPS, MSI_FLAG_USE_DEF_DOM_OPS, MsiDomainInfo, MsiDomainOps, MsiDomainTemplate,
    pci_msi_domain_calc_hwirq,
};
use kstate::{DomainId, Errno, Kernel, MsiDescId, PciDevId};

use super::msi::{
    msix_prepare_msi_desc, pci_msi_mask, pci_msi_mask_irq, pci_msi_unmask, pci_msi_unmask_irq, pci_msix_mask,
    pci_msix_unmask,
};
use crate::kernel::msi::{hierarchical_domain, pci_msi_domain_write_msg};

/// Sets up interrupts for the descriptors of a function. A positive value asks the caller to try
/// again with so many.
///
/// # Errors
/// `ENODEV` without a domain: this kernel was built without the legacy fallbacks.
#[kframe("drivers/pci/msi/irqdomain.c")]
pub fn pci_msi_setup_msi_irqs(k: &mut Kernel, dev: PciDevId, nvec: u32, kind: u32) -> Result<u32, Errno> {
    let _ = kind;
    if hierarchical_domain(k, dev).is_some() {
        return call!(msi_domain_alloc_irqs_all_locked(dev, MSI_DEFAULT_DOMAIN, nvec));
    }
    k.warn_once("WARNING: at drivers/pci/msi/msi.h pci_msi_legacy_setup_msi_irqs");
    Err(Errno::ENODEV)
}

/// Frees the interrupts of a function's descriptors, and the descriptors.
#[kframe("drivers/pci/msi/irqdomain.c")]
pub fn pci_msi_teardown_msi_irqs(k: &mut Kernel, dev: PciDevId) {
    if hierarchical_domain(k, dev).is_some() {
        call!(msi_domain_free_irqs_all_locked(dev, MSI_DEFAULT_DOMAIN));
    } else {
        k.warn_once("WARNING: at drivers/pci/msi/msi.h pci_msi_legacy_teardown_msi_irqs");
    }
}

/// Stores the descriptor and its number in a global domain.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_msi_domain_set_desc(k: &mut Kernel, arg: &mut IrqAllocInfo, desc: MsiDescId) {
    arg.desc = Some(desc);
    arg.hwirq = pci_msi_domain_calc_hwirq(k, desc);
}

/// Fills in the domain callbacks that the architecture left out.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_msi_domain_update_dom_ops(k: &mut Kernel, info: &mut MsiDomainInfo) {
    let _ = &k;
    info.ops.set_desc.get_or_insert(pci_msi_domain_set_desc);
}

/// Fills in the chip callbacks that the architecture left out.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_msi_domain_update_chip_ops(k: &mut Kernel, info: &mut MsiDomainInfo) {
    let chip = &mut k.irq.chips[info.chip.index()];
    chip.irq_write_msi_msg.get_or_insert(pci_msi_domain_write_msg);
    chip.irq_mask.get_or_insert(pci_msi_mask_irq);
    chip.irq_unmask.get_or_insert(pci_msi_unmask_irq);
}

/// Creates a global PCI/MSI domain. x86 no longer has one.
#[kfn("drivers/pci/msi/irqdomain.c")]
pub fn pci_msi_create_irq_domain(
    k: &mut Kernel,
    fwnode: &str,
    info: MsiDomainInfo,
    parent: DomainId,
) -> Option<DomainId> {
    let mut info = info;
    if info.flags & MSI_FLAG_LEVEL_CAPABLE != 0 {
        k.warn("WARNING: at drivers/pci/msi/irqdomain.c pci_msi_create_irq_domain");
        info.flags &= !MSI_FLAG_LEVEL_CAPABLE;
    }
    if info.flags & MSI_FLAG_USE_DEF_DOM_OPS != 0 {
        pci_msi_domain_update_dom_ops(k, &mut info);
    }
    if info.flags & MSI_FLAG_USE_DEF_CHIP_OPS != 0 {
        pci_msi_domain_update_chip_ops(k, &mut info);
    }
    info.flags |=
        MSI_FLAG_FREE_MSI_DESCS | MSI_FLAG_ACTIVATE_EARLY | MSI_FLAG_DEV_SYSFS | MSI_FLAG_MUST_REACTIVATE;
    k.irq.chips[info.chip.index()].flags |= IRQCHIP_ONESHOT_SAFE;
    info.bus_token = DOMAIN_BUS_PCI_MSI;
    irqcore::msi::msi_create_irq_domain(k, fwnode, info, parent)
}

fn pci_device_domain_set_desc(k: &mut Kernel, arg: &mut IrqAllocInfo, desc: MsiDescId) {
    arg.desc = Some(desc);
    arg.hwirq = u64::from(k.msi.descs[desc].msi_index);
}

/// Whether the domain of an interrupt has a flag.
fn has_flag(k: &Kernel, data: Irqd, flag: u32) -> bool {
    let domain = k.irqd(data).domain.map(|domain| k.domain(domain));
    let info = domain.and_then(|domain| domain.msi.as_ref());
    info.is_some_and(|info| info.flags & flag != 0)
}

// Until 6.17 masking looked at the parent, since then only starting and stopping does.
fn cond_mask_parent(k: &mut Kernel, data: Irqd) {
    if !k.sem.pci_msi_startup_callbacks && has_flag(k, data, MSI_FLAG_PCI_MSI_MASK_PARENT) {
        irq_chip_mask_parent(k, data);
    }
}

fn cond_unmask_parent(k: &mut Kernel, data: Irqd) {
    if !k.sem.pci_msi_startup_callbacks && has_flag(k, data, MSI_FLAG_PCI_MSI_MASK_PARENT) {
        irq_chip_unmask_parent(k, data);
    }
}

/// Stops an interrupt at the domain below, where that asked for it.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn cond_shutdown_parent(k: &mut Kernel, data: Irqd) {
    if has_flag(k, data, MSI_FLAG_PCI_MSI_STARTUP_PARENT) {
        irq_chip_shutdown_parent(k, data);
    } else if has_flag(k, data, MSI_FLAG_PCI_MSI_MASK_PARENT) {
        irq_chip_mask_parent(k, data);
    }
}

/// Starts an interrupt at the domain below, where that asked for it.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn cond_startup_parent(k: &mut Kernel, data: Irqd) -> u32 {
    if has_flag(k, data, MSI_FLAG_PCI_MSI_STARTUP_PARENT) {
        return irq_chip_startup_parent(k, data);
    }
    if has_flag(k, data, MSI_FLAG_PCI_MSI_MASK_PARENT) {
        irq_chip_unmask_parent(k, data);
    }
    0
}

/// `irq_shutdown` of a function's MSI domain (6.18).
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_irq_shutdown_msi(k: &mut Kernel, data: Irqd) {
    let Some(desc) = k.irq_get_msi_desc(data.irq) else { return };
    let bit = msi_bit(k, data, desc);
    pci_msi_mask(k, desc, bit);
    cond_shutdown_parent(k, data);
}

/// `irq_startup` of a function's MSI domain (6.18).
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_irq_startup_msi(k: &mut Kernel, data: Irqd) -> u32 {
    let Some(desc) = k.irq_get_msi_desc(data.irq) else { return 0 };
    let ret = cond_startup_parent(k, data);
    let bit = msi_bit(k, data, desc);
    pci_msi_unmask(k, desc, bit);
    ret
}

/// `irq_shutdown` of a function's MSI-X domain (6.18).
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_irq_shutdown_msix(k: &mut Kernel, data: Irqd) {
    if let Some(desc) = k.irq_get_msi_desc(data.irq) {
        pci_msix_mask(k, desc);
    }
    cond_shutdown_parent(k, data);
}

/// `irq_startup` of a function's MSI-X domain (6.18).
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_irq_startup_msix(k: &mut Kernel, data: Irqd) -> u32 {
    let ret = cond_startup_parent(k, data);
    if let Some(desc) = k.irq_get_msi_desc(data.irq) {
        pci_msix_unmask(k, desc);
    }
    ret
}

/// The bit of one of several MSIs.
fn msi_bit(k: &Kernel, data: Irqd, desc: MsiDescId) -> u32 {
    1 << (data.irq.0 - k.msi.descs[desc].irq.unwrap_or(data.irq).0)
}

/// `irq_mask` of a function's MSI domain.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_irq_mask_msi(k: &mut Kernel, data: Irqd) {
    let Some(desc) = k.irq_get_msi_desc(data.irq) else { return };
    let bit = msi_bit(k, data, desc);
    pci_msi_mask(k, desc, bit);
    cond_mask_parent(k, data);
}

/// `irq_unmask` of a function's MSI domain.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_irq_unmask_msi(k: &mut Kernel, data: Irqd) {
    let Some(desc) = k.irq_get_msi_desc(data.irq) else { return };
    cond_unmask_parent(k, data);
    let bit = msi_bit(k, data, desc);
    pci_msi_unmask(k, desc, bit);
}

/// `irq_mask` of a function's MSI-X domain.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_irq_mask_msix(k: &mut Kernel, data: Irqd) {
    if let Some(desc) = k.irq_get_msi_desc(data.irq) {
        pci_msix_mask(k, desc);
    }
    cond_mask_parent(k, data);
}

/// `irq_unmask` of a function's MSI-X domain.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_irq_unmask_msix(k: &mut Kernel, data: Irqd) {
    cond_unmask_parent(k, data);
    if let Some(desc) = k.irq_get_msi_desc(data.irq) {
        pci_msix_unmask(k, desc);
    }
}

/// Completes a descriptor that the core allocated.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_msix_prepare_desc(k: &mut Kernel, domain: DomainId, arg: &mut IrqAllocInfo, desc: MsiDescId) {
    let _ = (domain, arg);
    if !k.msi.descs[desc].mask_base {
        let mut prepared = k.msi.descs[desc].clone();
        let dev = prepared.dev;
        msix_prepare_msi_desc(k, dev, &mut prepared);
        k.msi.descs[desc] = prepared;
    }
}

const MSI_COMMON_FLAGS: u32 =
    MSI_FLAG_FREE_MSI_DESCS | MSI_FLAG_ACTIVATE_EARLY | MSI_FLAG_DEV_SYSFS | MSI_FLAG_MUST_REACTIVATE;

/// `pci_msi_template`.
fn pci_msi_template(k: &Kernel) -> MsiDomainTemplate {
    let callbacks = k.sem.pci_msi_startup_callbacks;
    MsiDomainTemplate {
        chip: IrqChip {
            name: "PCI-MSI".to_owned(),
            irq_startup: callbacks.then_some(pci_irq_startup_msi),
            irq_shutdown: callbacks.then_some(pci_irq_shutdown_msi),
            irq_mask: Some(pci_irq_mask_msi),
            irq_unmask: Some(pci_irq_unmask_msi),
            irq_write_msi_msg: Some(pci_msi_domain_write_msg),
            flags: IRQCHIP_ONESHOT_SAFE,
            ..IrqChip::default()
        },
        ops: MsiDomainOps {
            name: "pci_msi_template",
            set_desc: Some(pci_device_domain_set_desc),
            ..MsiDomainOps::default()
        },
        info: MsiDomainInfo {
            flags: MSI_COMMON_FLAGS | MSI_FLAG_MULTI_PCI_MSI,
            bus_token: DOMAIN_BUS_PCI_DEVICE_MSI,
            ..MsiDomainInfo::default()
        },
    }
}

/// `pci_msix_template`.
fn pci_msix_template(k: &Kernel) -> MsiDomainTemplate {
    let callbacks = k.sem.pci_msi_startup_callbacks;
    MsiDomainTemplate {
        chip: IrqChip {
            name: "PCI-MSIX".to_owned(),
            irq_startup: callbacks.then_some(pci_irq_startup_msix),
            irq_shutdown: callbacks.then_some(pci_irq_shutdown_msix),
            irq_mask: Some(pci_irq_mask_msix),
            irq_unmask: Some(pci_irq_unmask_msix),
            irq_write_msi_msg: Some(pci_msi_domain_write_msg),
            flags: IRQCHIP_ONESHOT_SAFE,
            ..IrqChip::default()
        },
        ops: MsiDomainOps {
            name: "pci_msix_template",
            prepare_desc: Some(pci_msix_prepare_desc),
            set_desc: Some(pci_device_domain_set_desc),
            ..MsiDomainOps::default()
        },
        info: MsiDomainInfo {
            flags: MSI_COMMON_FLAGS | MSI_FLAG_PCI_MSIX | MSI_FLAG_PCI_MSIX_ALLOC_DYN,
            bus_token: DOMAIN_BUS_PCI_DEVICE_MSIX,
            ..MsiDomainInfo::default()
        },
    }
}

fn pci_match_device_domain(k: &Kernel, pdev: PciDevId, bus_token: u32) -> bool {
    msi_match_device_irq_domain(k, pdev, MSI_DEFAULT_DOMAIN, bus_token)
}

/// Creates a function's own domain where the domain below wants one.
#[kfn("drivers/pci/msi/irqdomain.c")]
fn pci_create_device_domain(k: &mut Kernel, pdev: PciDevId, tmpl: &MsiDomainTemplate, hwsize: u32) -> bool {
    let Some(domain) = k.pci_dev(pdev).msi_domain else { return true };
    if k.domain(domain).flags & IRQ_DOMAIN_FLAG_MSI_PARENT == 0 {
        return true;
    }
    msi_create_device_irq_domain(k, pdev, MSI_DEFAULT_DOMAIN, tmpl, hwsize)
}

/// Makes sure that a function has an MSI domain. It stays until the driver is unbound or MSI-X is
/// wanted instead.
#[kfn("drivers/pci/msi/irqdomain.c")]
pub fn pci_setup_msi_device_domain(k: &mut Kernel, pdev: PciDevId, hwsize: u32) -> bool {
    if k.pci_dev(pdev).msix_enabled {
        k.warn_once("WARNING: at drivers/pci/msi/irqdomain.c pci_setup_msi_device_domain");
        return false;
    }
    if pci_match_device_domain(k, pdev, DOMAIN_BUS_PCI_DEVICE_MSI) {
        return true;
    }
    if pci_match_device_domain(k, pdev, DOMAIN_BUS_PCI_DEVICE_MSIX) {
        msi_remove_device_irq_domain(k, pdev, MSI_DEFAULT_DOMAIN);
    }
    // Until 6.15 the size was 1. Nothing tells: all messages of MSI have one descriptor.
    let template = pci_msi_template(k);
    pci_create_device_domain(k, pdev, &template, hwsize)
}

/// Makes sure that a function has an MSI-X domain. It stays until the driver is unbound or MSI is
/// wanted instead.
#[kfn("drivers/pci/msi/irqdomain.c")]
pub fn pci_setup_msix_device_domain(k: &mut Kernel, pdev: PciDevId, hwsize: u32) -> bool {
    if k.pci_dev(pdev).msi_enabled {
        k.warn_once("WARNING: at drivers/pci/msi/irqdomain.c pci_setup_msix_device_domain");
        return false;
    }
    if pci_match_device_domain(k, pdev, DOMAIN_BUS_PCI_DEVICE_MSIX) {
        return true;
    }
    if pci_match_device_domain(k, pdev, DOMAIN_BUS_PCI_DEVICE_MSI) {
        msi_remove_device_irq_domain(k, pdev, MSI_DEFAULT_DOMAIN);
    }
    let template = pci_msix_template(k);
    pci_create_device_domain(k, pdev, &template, hwsize)
}

/// Whether the domain of a function can do all of `feature_mask`. C's `mode` matters only with the
/// legacy fallbacks, which are not built.
#[kfn("drivers/pci/msi/irqdomain.c")]
pub fn pci_msi_domain_supports(k: &mut Kernel, pdev: PciDevId, feature_mask: u32) -> bool {
    let Some(domain) = hierarchical_domain(k, pdev) else { return false };
    let domain = k.domain(domain);
    // A parent's own offer is known before the function has its domain.
    let supported = if domain.flags & IRQ_DOMAIN_FLAG_MSI_PARENT == 0 {
        domain.msi.as_ref().map_or(0, |info| info.flags)
    } else {
        domain.msi_parent_ops.map_or(0, |ops| ops.supported_flags)
    };
    supported & feature_mask == feature_mask
}
