//! MSI and MSI-X of PCI functions, and the IOMMU's own message.
//!
//! Follows arch/x86/kernel/apic/msi.c of 5.4, where one domain serves all functions, and of 6.12,
//! where the vector domain is the parent of one domain per function.

use irqcore::chip::{irq_chip_ack_parent, irq_chip_retrigger_hierarchy};
use irqcore::irqdomain::{__irq_domain_alloc_irqs, irq_domain_free_irqs, irq_domain_set_info};
use irqcore::msi::{global, msi_domain_set_affinity, per_device};
use kfn::{kfn, kframe};
use kstate::apic::{IrqCfg, MANAGED_IRQ_SHUTDOWN_VECTOR, VectorIrq};
use kstate::irqchip::{
    IRQCHIP_AFFINITY_PRE_STARTUP, IRQCHIP_MOVE_DEFERRED, IRQCHIP_SKIP_SET_WAKE, IrqChip, SetMask,
};
use kstate::irqdesc::{ChipData, FlowHandler, IRQD_CAN_RESERVE, IRQD_IRQ_STARTED, Irqd};
use kstate::irqdomain::{AllocType, IRQ_DOMAIN_FLAG_MSI_PARENT, IrqAllocInfo};
use kstate::msi::{
    DOMAIN_BUS_ANY, DOMAIN_BUS_DMAR, DOMAIN_BUS_PCI_DEVICE_MSI, DOMAIN_BUS_PCI_DEVICE_MSIX,
    MSI_FLAG_MULTI_PCI_MSI, MSI_FLAG_PCI_MSIX, MSI_FLAG_PCI_MSIX_ALLOC_DYN, MSI_FLAG_USE_DEF_CHIP_OPS,
    MSI_FLAG_USE_DEF_DOM_OPS, MSI_GENERIC_FLAGS_MASK, MsiDomainInfo, MsiDomainOps, MsiMsg, MsiParentOps,
    pci_msi_domain_calc_hwirq,
};
use kstate::semantics::{MsiAffinity, MsiDomains};
use kstate::{ChipId, CpuMask, DomainId, Errno, Irq, Kernel, MsiDescId, PciDevId};

use super::apic::lapic_vector_set_in_irr;
use super::irq_remapping::irq_remapping_get_irq_domain;
use super::vector::{init_irq_alloc_info, irqd_cfg, lock_vector_lock, unlock_vector_lock};

/// `X86_VECTOR_MSI_FLAGS_REQUIRED`.
pub const X86_VECTOR_MSI_FLAGS_REQUIRED: u32 = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS;
/// `X86_VECTOR_MSI_FLAGS_SUPPORTED`.
pub const X86_VECTOR_MSI_FLAGS_SUPPORTED: u32 =
    MSI_GENERIC_FLAGS_MASK | MSI_FLAG_PCI_MSIX | MSI_FLAG_PCI_MSIX_ALLOC_DYN;

/// The message that reaches an interrupt's vector directly (5.4).
#[kfn("arch/x86/kernel/apic/msi.c")]
fn irq_msi_compose_msg(k: &mut Kernel, data: Irqd, msg: &mut MsiMsg) {
    let cfg = irqd_cfg(k, data.irq).unwrap_or_default();
    __irq_msi_compose_msg(k, cfg, msg);
}

/// The message for a configuration (5.4).
fn __irq_msi_compose_msg(k: &Kernel, cfg: IrqCfg, msg: &mut MsiMsg) {
    *msg = MsiMsg {
        address_lo: 0xfee0_0000
            | u32::from(k.apic.driver.dest_mode_logical()) << 2
            | cfg.dest_apicid << 12 & 0x000f_fff0,
        address_hi: if k.apic.x2apic_mode { cfg.dest_apicid & 0xffff_ff00 } else { 0 },
        // Edge, asserted, fixed.
        data: 1 << 14 | cfg.vector,
    };
}

/// Sets up the interrupts of a function that has its MSI descriptors (5.4).
///
/// # Errors
/// Those of `msi_domain_alloc_irqs`.
#[kframe("arch/x86/kernel/apic/msi.c")]
pub fn native_setup_msi_irqs(k: &mut Kernel, dev: PciDevId, nvec: u32, kind: u32) -> Result<u32, Errno> {
    let _ = kind;
    let mut info = init_irq_alloc_info(None);
    info.kind = AllocType::PciMsi;
    info.dev = Some(dev);

    let domain: DomainId =
        irq_remapping_get_irq_domain(k, &info).or(k.apic.msi_default_domain).ok_or(Errno::ENOSYS)?;
    call!(global::msi_domain_alloc_irqs(domain, dev, nvec))
}

/// Frees one interrupt (5.4).
#[kframe("arch/x86/kernel/apic/msi.c")]
pub fn native_teardown_msi_irq(k: &mut Kernel, irq: Irq) {
    let _ = &k;
    call!(irq_domain_free_irqs(irq, 1));
}

/// The number a message was prepared with.
fn pci_msi_get_hwirq(_k: &Kernel, arg: &IrqAllocInfo) -> u64 {
    arg.hwirq
}

/// Describes the interrupts that a function is about to allocate (5.4).
///
/// # Errors
/// None; C returns 0.
#[kfn("arch/x86/kernel/apic/msi.c")]
pub fn pci_msi_prepare(
    k: &mut Kernel,
    domain: DomainId,
    dev: PciDevId,
    nvec: u32,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let _ = (domain, nvec);
    *arg = init_irq_alloc_info(None);
    arg.dev = Some(dev);
    let msix = k.pci.devs[dev.index()].msi_list.first().is_some_and(|desc| k.msi.descs[*desc].is_msix);
    if msix {
        arg.kind = AllocType::PciMsix;
    } else {
        arg.kind = AllocType::PciMsi;
        arg.contiguous = true;
    }
    Ok(())
}

/// Numbers one message (5.4).
#[kfn("arch/x86/kernel/apic/msi.c")]
pub fn pci_msi_set_desc(k: &mut Kernel, arg: &mut IrqAllocInfo, desc: MsiDescId) {
    arg.hwirq = pci_msi_domain_calc_hwirq(k, desc);
}

/// `pci_msi_domain_ops` (5.4).
pub const PCI_MSI_DOMAIN_OPS: MsiDomainOps = MsiDomainOps {
    name: "pci_msi_domain_ops",
    get_hwirq: Some(pci_msi_get_hwirq),
    msi_init: None,
    msi_free: None,
    msi_check: None,
    msi_prepare: Some(pci_msi_prepare),
    msi_teardown: None,
    prepare_desc: None,
    set_desc: Some(pci_msi_set_desc),
    handle_error: None,
};

/// The flags of all MSI chips.
fn msi_chip_flags(k: &Kernel) -> u32 {
    let before = if k.sem.chips_set_affinity_pre_startup { IRQCHIP_AFFINITY_PRE_STARTUP } else { 0 };
    IRQCHIP_SKIP_SET_WAKE | before
}

/// A chip of a PCI/MSI domain (5.4). `pci_msi_create_irq_domain()` adds masking and writing.
fn pci_msi_chip(k: &Kernel, name: &str) -> IrqChip {
    IrqChip {
        name: name.to_owned(),
        irq_ack: Some(irq_chip_ack_parent),
        irq_retrigger: Some(irq_chip_retrigger_hierarchy),
        flags: msi_chip_flags(k),
        ..IrqChip::default()
    }
}

/// A PCI/MSI domain's description (5.4).
fn pci_msi_domain_info(chip: ChipId, flags: u32) -> MsiDomainInfo {
    MsiDomainInfo {
        flags: MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS | MSI_FLAG_PCI_MSIX | flags,
        ops: PCI_MSI_DOMAIN_OPS,
        chip,
        handler: FlowHandler::HandleEdgeIrq,
        handler_name: Some("edge"),
        ..MsiDomainInfo::default()
    }
}

/// Creates the domain of all PCI functions (5.4).
#[kfn("arch/x86/kernel/apic/msi.c")]
pub fn arch_init_msi_domain(k: &mut Kernel, parent: DomainId) {
    if k.apic.apic_is_disabled {
        return;
    }
    let mut chip = pci_msi_chip(k, "PCI-MSI");
    chip.irq_compose_msi_msg = Some(irq_msi_compose_msg);
    if k.sem.msi_affinity != MsiAffinity::OneWrite {
        chip.irq_set_affinity = Some(msi_set_affinity);
    }
    let chip = k.irq.add_chip(chip);
    k.apic.chips.pci_msi_controller = chip;
    let info = pci_msi_domain_info(chip, 0);
    if let Some(create) = k.msi.hooks.pci_msi_create_irq_domain {
        k.apic.msi_default_domain = create(k, "PCI-MSI", info, parent);
    }
    if k.apic.msi_default_domain.is_none() {
        k.pr_warn("failed to initialize irqdomain for MSI/MSI-x.");
    }
}

/// Creates the domain of the PCI functions behind a remapping unit (5.4).
#[kfn("arch/x86/kernel/apic/msi.c")]
pub fn arch_create_remap_msi_irq_domain(
    k: &mut Kernel,
    parent: DomainId,
    name: &str,
    id: u32,
) -> Option<DomainId> {
    let chip = pci_msi_chip(k, "IR-PCI-MSI");
    let chip = k.irq.add_chip(chip);
    k.apic.chips.pci_msi_ir_controller = chip;
    let info = pci_msi_domain_info(chip, MSI_FLAG_MULTI_PCI_MSI);
    let create = k.msi.hooks.pci_msi_create_irq_domain?;
    create(k, &format!("{name}-{id}"), info, parent)
}

/// Writes the message for a given configuration (5.6 and later).
#[kfn("arch/x86/kernel/apic/msi.c")]
fn irq_msi_update_msg(k: &mut Kernel, irqd: Irqd, cfg: IrqCfg) {
    let mut msg = MsiMsg::default();
    match k.sem.msi_domains {
        MsiDomains::Global => __irq_msi_compose_msg(k, cfg, &mut msg),
        MsiDomains::PerDevice => super::apic::__irq_msi_compose_msg(k, cfg, &mut msg, false),
    }
    if let Some(write) = k.chip(irqd).irq_write_msi_msg {
        write(k, irqd, &msg);
    }
}

/// The function can mask the message: every one of MSI-X, of MSI those with mask bits.
fn maskable(k: &Kernel, irq: Irq) -> bool {
    let desc = k.irq_get_msi_desc(irq).map(|desc| &k.msi.descs[desc]);
    desc.is_some_and(|desc| desc.is_msix || desc.can_mask)
}

/// Moves a message that is not remapped (5.6 and later).
///
/// # Errors
/// Those of the vector domain.
#[kfn("arch/x86/kernel/apic/msi.c")]
fn msi_set_affinity(k: &mut Kernel, irqd: Irqd, mask: &CpuMask, force: bool) -> Result<SetMask, Errno> {
    let irq = irqd.irq;
    let parent = irqd.parent();

    let cpu = k.desc(irq).irq_common_data.effective_affinity.first();
    let mut old_cfg = irqd_cfg(k, irq).unwrap_or_default();

    let set_affinity = k.chip(parent).irq_set_affinity.ok_or(Errno::ENOSYS)?;
    let ret = set_affinity(k, parent, mask, force)?;
    if ret == SetMask::OkDone {
        return Ok(ret);
    }

    // Address and data cannot be written at once. That does not matter while the message is masked,
    // or if only one of them changes. What 6.12 asks about masking is the reservation bit, which says
    // the opposite of what it takes it for.
    let cfg = irqd_cfg(k, irq).unwrap_or_default();
    let desc = k.desc(irq);
    let staged = match k.sem.msi_affinity {
        MsiAffinity::OneWrite => false,
        MsiAffinity::StagedIfReservable => desc.has(IRQD_CAN_RESERVE),
        MsiAffinity::StagedIfNotMaskable => !maskable(k, irq),
    };
    if !staged
        || cfg.vector == old_cfg.vector
        || old_cfg.vector == MANAGED_IRQ_SHUTDOWN_VECTOR
        || !desc.has(IRQD_IRQ_STARTED)
        || cfg.dest_apicid == old_cfg.dest_apicid
    {
        irq_msi_update_msg(k, irqd, cfg);
        return Ok(ret);
    }

    let this_cpu = k.cpu();
    if cpu != Some(this_cpu) {
        k.warn_once("WARNING: at arch/x86/kernel/apic/msi.c msi_set_affinity");
        irq_msi_update_msg(k, irqd, cfg);
        return Ok(ret);
    }

    // First the new vector on this CPU, then the new CPU. What comes on the new vector here in
    // between is no surprise, whether somebody else has that vector or nobody.
    lock_vector_lock(k);
    if !matches!(k.apic.vector_irq(this_cpu, cfg.vector), VectorIrq::Desc(_)) {
        k.apic.set_vector_irq(this_cpu, cfg.vector, VectorIrq::Retriggered);
    }
    old_cfg.vector = cfg.vector;
    irq_msi_update_msg(k, irqd, old_cfg);
    irq_msi_update_msg(k, irqd, cfg);
    unlock_vector_lock(k);

    // Interrupts are off: one that came in between waits in IRR.
    if lapic_vector_set_in_irr(k, cfg.vector)
        && let Some(retrigger) = k.chip(irqd).irq_retrigger
    {
        retrigger(k, irqd);
    }
    Ok(ret)
}

/// The function gets its messages straight from the vector domain (6.12).
#[kfn("arch/x86/kernel/apic/msi.c")]
pub fn pci_dev_has_default_msi_parent_domain(k: &mut Kernel, dev: PciDevId) -> bool {
    let domain = k.pci.devs[dev.index()].msi_domain.or(k.apic.x86_pci_msi_default_domain);
    domain == Some(k.apic.x86_vector_domain)
}

/// Describes the interrupts that a function is about to allocate (6.12).
///
/// # Errors
/// `EINVAL` for a domain that is not one of a PCI function.
#[kfn("arch/x86/kernel/apic/msi.c")]
fn x86_msi_prepare(
    k: &mut Kernel,
    domain: DomainId,
    dev: PciDevId,
    nvec: u32,
    alloc: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let _ = nvec;
    *alloc = init_irq_alloc_info(None);
    // The remapping domain finds the function through the descriptor; here it is at hand.
    alloc.dev = Some(dev);
    alloc.kind = match k.domain(domain).msi.as_ref().map(|info| info.bus_token) {
        Some(DOMAIN_BUS_PCI_DEVICE_MSI) => AllocType::PciMsi,
        Some(DOMAIN_BUS_PCI_DEVICE_MSIX) => AllocType::PciMsix,
        _ => return Err(Errno::EINVAL),
    };
    Ok(())
}

/// Completes the description of a function's own domain (6.12).
#[kfn("arch/x86/kernel/apic/msi.c")]
fn x86_init_dev_msi_info(
    k: &mut Kernel,
    dev: PciDevId,
    domain: DomainId,
    real_parent: DomainId,
    info: &mut MsiDomainInfo,
) -> bool {
    let _ = dev;
    let parent = k.domain(real_parent);
    let supported = parent.msi_parent_ops.map_or(0, |ops| ops.supported_flags);
    match parent.bus_token {
        DOMAIN_BUS_ANY => {
            if domain != real_parent {
                k.warn_once("WARNING: at arch/x86/kernel/apic/msi.c x86_init_dev_msi_info");
                return false;
            }
            if k.sem.msi_affinity != MsiAffinity::OneWrite {
                k.irq.chips[info.chip.index()].irq_set_affinity = Some(msi_set_affinity);
            }
            if k.sem.move_deferred_by_chip {
                k.irq.chips[info.chip.index()].flags |= IRQCHIP_MOVE_DEFERRED;
            }
        }
        DOMAIN_BUS_DMAR => {}
        _ => {
            k.warn_once("WARNING: at arch/x86/kernel/apic/msi.c x86_init_dev_msi_info");
            return false;
        }
    }
    if !matches!(info.bus_token, DOMAIN_BUS_PCI_DEVICE_MSI | DOMAIN_BUS_PCI_DEVICE_MSIX) {
        k.warn_once("WARNING: at arch/x86/kernel/apic/msi.c x86_init_dev_msi_info");
        return false;
    }

    info.flags &= supported;
    info.flags |= X86_VECTOR_MSI_FLAGS_REQUIRED;
    info.ops.msi_prepare = Some(x86_msi_prepare);

    let flags = msi_chip_flags(k);
    let chip = &mut k.irq.chips[info.chip.index()];
    chip.irq_ack = Some(irq_chip_ack_parent);
    chip.irq_retrigger = Some(irq_chip_retrigger_hierarchy);
    chip.flags |= flags;

    info.handler = FlowHandler::HandleEdgeIrq;
    info.handler_name = Some("edge");
    true
}

/// `x86_vector_msi_parent_ops` (6.12).
pub const X86_VECTOR_MSI_PARENT_OPS: MsiParentOps = MsiParentOps {
    name: "x86_vector_msi_parent_ops",
    supported_flags: X86_VECTOR_MSI_FLAGS_SUPPORTED,
    prefix: None,
    init_dev_msi_info: Some(x86_init_dev_msi_info),
};

/// Makes the vector domain the parent of MSI domains (6.12).
#[kfn("arch/x86/kernel/apic/msi.c")]
pub fn native_create_pci_msi_domain(k: &mut Kernel) -> Option<DomainId> {
    if k.apic.apic_is_disabled {
        return None;
    }
    let domain = k.apic.x86_vector_domain;
    let d = k.domain_mut(domain);
    d.flags |= IRQ_DOMAIN_FLAG_MSI_PARENT;
    d.msi_parent_ops = Some(X86_VECTOR_MSI_PARENT_OPS);
    Some(domain)
}

/// Decides what PCI functions without a remapping unit use (6.12).
#[kfn("arch/x86/kernel/apic/msi.c")]
pub fn x86_create_pci_msi_domain(k: &mut Kernel) {
    k.apic.x86_pci_msi_default_domain = native_create_pci_msi_domain(k);
}

/// The message of the IOMMU's own interrupt, which may name any CPU (6.12).
#[kfn("arch/x86/kernel/apic/msi.c")]
fn dmar_msi_compose_msg(k: &mut Kernel, data: Irqd, msg: &mut MsiMsg) {
    let cfg = irqd_cfg(k, data.irq).unwrap_or_default();
    super::apic::__irq_msi_compose_msg(k, cfg, msg, true);
}

/// The IOMMU's unit number.
fn dmar_msi_get_hwirq(_k: &Kernel, arg: &IrqAllocInfo) -> u64 {
    arg.hwirq
}

/// Sets up the IOMMU's own interrupt.
///
/// # Errors
/// None; C returns 0.
#[kfn("arch/x86/kernel/apic/msi.c")]
fn dmar_msi_init(
    k: &mut Kernel,
    domain: DomainId,
    virq: Irq,
    hwirq: u64,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let _ = hwirq;
    let chip = k.apic.chips.dmar_msi_controller;
    irq_domain_set_info(
        k,
        domain,
        virq,
        arg.hwirq,
        chip,
        ChipData::None,
        FlowHandler::HandleEdgeIrq,
        arg.hwirq,
        Some("edge"),
    );
    Ok(())
}

/// `dmar_msi_domain_ops`.
pub const DMAR_MSI_DOMAIN_OPS: MsiDomainOps = MsiDomainOps {
    name: "dmar_msi_domain_ops",
    get_hwirq: Some(dmar_msi_get_hwirq),
    msi_init: Some(dmar_msi_init),
    msi_free: None,
    msi_check: None,
    msi_prepare: None,
    msi_teardown: None,
    prepare_desc: None,
    set_desc: None,
    handle_error: None,
};

/// The domain of the IOMMUs' own interrupts, created on first use.
#[kfn("arch/x86/kernel/apic/msi.c")]
fn dmar_get_irq_domain(k: &mut Kernel, ops: DmarMsiOps) -> Option<DomainId> {
    if k.apic.dmar_domain.is_some() {
        return k.apic.dmar_domain;
    }
    let per_device = k.sem.msi_domains == MsiDomains::PerDevice;
    let chip = IrqChip {
        name: "DMAR-MSI".to_owned(),
        irq_unmask: Some(ops.unmask),
        irq_mask: Some(ops.mask),
        irq_ack: Some(irq_chip_ack_parent),
        irq_set_affinity: Some(msi_domain_set_affinity),
        irq_retrigger: Some(irq_chip_retrigger_hierarchy),
        irq_compose_msi_msg: Some(if per_device { dmar_msi_compose_msg } else { irq_msi_compose_msg }),
        irq_write_msi_msg: Some(ops.write),
        flags: msi_chip_flags(k) | if k.sem.move_deferred_by_chip { IRQCHIP_MOVE_DEFERRED } else { 0 },
        ..IrqChip::default()
    };
    let chip = k.irq.add_chip(chip);
    k.apic.chips.dmar_msi_controller = chip;
    let info = MsiDomainInfo {
        flags: if per_device { MSI_FLAG_USE_DEF_DOM_OPS } else { 0 },
        ops: DMAR_MSI_DOMAIN_OPS,
        chip,
        ..MsiDomainInfo::default()
    };
    let parent = k.apic.x86_vector_domain;
    k.apic.dmar_domain = if per_device {
        per_device::msi_create_irq_domain(k, "DMAR-MSI", info, parent)
    } else {
        global::msi_create_irq_domain(k, "DMAR-MSI", info, parent)
    };
    k.apic.dmar_domain
}

/// What the IOMMU driver does for its own interrupt (drivers/iommu/dmar.c): `dmar_msi_unmask`,
/// `dmar_msi_mask` and `dmar_msi_write`.
#[derive(Clone, Copy)]
pub struct DmarMsiOps {
    /// Unmasks.
    pub unmask: fn(&mut Kernel, Irqd),
    /// Masks.
    pub mask: fn(&mut Kernel, Irqd),
    /// Writes the message.
    pub write: fn(&mut Kernel, Irqd, &MsiMsg),
}

/// Allocates the interrupt of IOMMU `id`.
///
/// # Errors
/// `ENOSYS` without a domain, else those of the allocation.
#[kfn("arch/x86/kernel/apic/msi.c")]
pub fn dmar_alloc_hwirq(k: &mut Kernel, id: u32, node: i32, ops: DmarMsiOps) -> Result<Irq, Errno> {
    let Some(domain) = dmar_get_irq_domain(k, ops) else { return Err(Errno::ENOSYS) };
    let mut info = init_irq_alloc_info(None);
    info.kind = AllocType::Dmar;
    info.hwirq = u64::from(id);
    __irq_domain_alloc_irqs(k, domain, None, 1, node, &mut info, false, None)
}
