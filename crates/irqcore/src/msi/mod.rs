//! MSI domains: kernel/irq/msi.c of 5.4, 6.12 and 7.3.
//!
//! Functions that both releases have in the same form are here. [`global`] has what 5.4 does with
//! one domain for all functions, [`per_device`] what 6.12 does with a domain for each.

use core::fmt::Write as _;

use kfn::kfn;
use kstate::irqchip::SetMask;
use kstate::irqdesc::Irqd;
use kstate::irqdomain::{IrqAllocInfo, IrqDomainOps};
use kstate::msi::{MSI_FLAG_NO_AFFINITY, MSI_FLAG_USE_DEF_DOM_OPS, MsiDomainInfo, MsiDomainOps, MsiMsg};
use kstate::semantics::MsiDomains;
use kstate::{CpuMask, DomainId, Errno, Irq, Kernel, MsiDescId, PciDevId};

use crate::chip::{__irq_set_handler, irq_chip_compose_msi_msg};
use crate::irqdomain::{
    irq_domain_alloc_irqs_parent, irq_domain_free_irqs_top, irq_domain_set_hwirq_and_chip, irq_find_mapping,
};

pub mod global;
pub mod per_device;

pub use global::{alloc_msi_entry, free_msi_entry, msi_domain_alloc_irqs, msi_domain_free_irqs};
pub use per_device::{
    MsiCtrl, msi_create_device_irq_domain, msi_device_data_release, msi_domain_alloc_irqs_all_locked,
    msi_domain_free_irqs_all_locked, msi_domain_get_virq, msi_domain_insert_msi_desc,
    msi_match_device_irq_domain, msi_parent_init_dev_msi_info, msi_remove_device_irq_domain,
    msi_setup_device_data,
};

/// Creates an MSI domain on top of `parent`. `fwnode` is its name.
pub fn msi_create_irq_domain(
    k: &mut Kernel,
    fwnode: &str,
    info: MsiDomainInfo,
    parent: DomainId,
) -> Option<DomainId> {
    match k.sem.msi_domains {
        MsiDomains::Global => global::msi_create_irq_domain(k, fwnode, info, parent),
        MsiDomains::PerDevice => per_device::msi_create_irq_domain(k, fwnode, info, parent),
    }
}

/// `domain->host_data` of an MSI domain.
pub(crate) fn msi_get_domain_info(k: &Kernel, domain: DomainId) -> &MsiDomainInfo {
    k.domain(domain).msi.as_ref().expect("an MSI callback on a domain that is not an MSI domain")
}

// A device has the second, empty message of C only for level triggered MSIs, which x86 does not
// have: `msi_check_level()` never finds anything.
fn irq_chip_write_msi_msg(k: &mut Kernel, d: Irqd, msg: &MsiMsg) {
    if let Some(write) = k.chip(d).irq_write_msi_msg {
        write(k, d, msg);
    }
}

/// Sets the affinity at the parent and writes the message that results.
#[kfn("kernel/irq/msi.c")]
pub fn msi_domain_set_affinity(
    k: &mut Kernel,
    irq_data: Irqd,
    mask: &CpuMask,
    force: bool,
) -> Result<SetMask, Errno> {
    let parent = k.parent_data(irq_data).ok_or(Errno::ENOSYS)?;
    let set = k.chip(parent).irq_set_affinity.ok_or(Errno::ENOSYS)?;
    let ret = set(k, parent, mask, force)?;
    if ret != SetMask::OkDone {
        let mut msg = MsiMsg::default();
        if irq_chip_compose_msi_msg(k, irq_data, &mut msg).is_err() {
            k.bug("kernel BUG at kernel/irq/msi.c msi_domain_set_affinity");
            return Ok(ret);
        }
        irq_chip_write_msi_msg(k, irq_data, &msg);
    }
    Ok(ret)
}

/// Writes the message of an interrupt whose vector was just assigned.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_activate(k: &mut Kernel, _domain: DomainId, irq_data: Irqd, _early: bool) -> Result<(), Errno> {
    let mut msg = MsiMsg::default();
    if irq_chip_compose_msi_msg(k, irq_data, &mut msg).is_err() {
        k.bug("kernel BUG at kernel/irq/msi.c msi_domain_activate");
        return Ok(());
    }
    irq_chip_write_msi_msg(k, irq_data, &msg);
    Ok(())
}

/// Writes an empty message, which no APIC takes for an interrupt.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_deactivate(k: &mut Kernel, _domain: DomainId, irq_data: Irqd) {
    irq_chip_write_msi_msg(k, irq_data, &MsiMsg::default());
}

/// Allocates interrupts in an MSI domain and below.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_alloc(
    k: &mut Kernel,
    domain: DomainId,
    virq: Irq,
    nr_irqs: u32,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let ops = msi_get_domain_info(k, domain).ops;
    let hwirq = ops.get_hwirq.map_or(arg.hwirq, |get| get(k, arg));
    if irq_find_mapping(k, domain, hwirq).is_some() {
        return Err(Errno::EEXIST);
    }
    if k.domain(domain).parent.is_some() {
        irq_domain_alloc_irqs_parent(k, domain, virq, nr_irqs, arg)?;
    }
    let Some(msi_init) = ops.msi_init else { return Ok(()) };
    for i in 0..nr_irqs {
        // DEVIATION: no domain here has a `msi_free`, so there is nothing to call for the
        // interrupts before the one that failed.
        if let Err(e) = msi_init(k, domain, Irq(virq.0 + i), hwirq + u64::from(i), arg) {
            irq_domain_free_irqs_top(k, domain, virq, nr_irqs);
            return Err(e);
        }
    }
    Ok(())
}

/// Frees interrupts of an MSI domain and below.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_free(k: &mut Kernel, domain: DomainId, virq: Irq, nr_irqs: u32) {
    if let Some(msi_free) = msi_get_domain_info(k, domain).ops.msi_free {
        for i in 0..nr_irqs {
            msi_free(k, domain, Irq(virq.0 + i));
        }
    }
    irq_domain_free_irqs_top(k, domain, virq, nr_irqs);
}

/// `msi_domain_ops`: the operations of every MSI domain.
pub const fn msi_domain_ops() -> IrqDomainOps {
    IrqDomainOps {
        name: "msi_domain_ops",
        alloc: Some(msi_domain_alloc),
        free: Some(msi_domain_free),
        activate: Some(msi_domain_activate),
        deactivate: Some(msi_domain_deactivate),
        debug_show: Some(msi_domain_debug_show),
    }
}

/// The message that the device was told, below the interrupt's data in this domain (6.15).
fn msi_domain_debug_show(k: &Kernel, m: &mut String, _d: Option<DomainId>, irqd: Option<Irqd>, ind: usize) {
    if !k.sem.debugfs_shows_message {
        return;
    }
    let desc = irqd.and_then(|irqd| k.desc(irqd.irq).irq_common_data.msi_desc);
    let Some(msg) = desc.and_then(|desc| k.msi.descs.get(desc)).map(|desc| desc.msg) else { return };
    let w = ind + 1;
    let _ = write!(m, "\n{:w$}address_hi: 0x{:08x}", "", msg.address_hi);
    let _ = write!(m, "\n{:w$}address_lo: 0x{:08x}", "", msg.address_lo);
    let _ = writeln!(m, "\n{:w$}msg_data:   0x{:08x}", "", msg.data);
}

/// The hardware number that `set_desc` stored.
fn msi_domain_ops_get_hwirq(_k: &Kernel, arg: &IrqAllocInfo) -> u64 {
    arg.hwirq
}

/// Starts with an empty allocation description.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_ops_prepare(
    k: &mut Kernel,
    domain: DomainId,
    dev: PciDevId,
    nvec: u32,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let _ = (k, domain, dev, nvec);
    *arg = IrqAllocInfo::default();
    Ok(())
}

/// Nothing was kept for the device (6.16).
#[kfn("kernel/irq/msi.c")]
fn msi_domain_ops_teardown(k: &mut Kernel, domain: DomainId) {
    let _ = (k, domain);
}

/// Stores the descriptor in the allocation description.
fn msi_domain_ops_set_desc(_k: &mut Kernel, arg: &mut IrqAllocInfo, desc: MsiDescId) {
    arg.desc = Some(desc);
}

/// Gives a new interrupt its chip and flow handler.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_ops_init(
    k: &mut Kernel,
    domain: DomainId,
    virq: Irq,
    hwirq: u64,
    _arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let info = msi_get_domain_info(k, domain);
    let (chip, chip_data) = (info.chip, info.chip_data);
    let (handler, handler_name) = (info.handler, info.handler_name);
    irq_domain_set_hwirq_and_chip(k, domain, virq, hwirq, chip, chip_data)?;
    if handler_name.is_some() {
        __irq_set_handler(k, virq, handler, false, handler_name);
    }
    Ok(())
}

/// Accepts every device (5.4).
#[kfn("kernel/irq/msi.c")]
fn msi_domain_ops_check(k: &mut Kernel, domain: DomainId, dev: PciDevId) -> Result<u32, Errno> {
    let _ = (k, domain, dev);
    Ok(0)
}

/// Fills in the domain callbacks that the driver left out.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_update_dom_ops(k: &mut Kernel, info: &mut MsiDomainInfo) {
    let global = k.sem.msi_domains == MsiDomains::Global;
    // 5.4 asks before it calls, 6.12 here.
    if !global && info.flags & MSI_FLAG_USE_DEF_DOM_OPS == 0 {
        return;
    }
    let ops: &mut MsiDomainOps = &mut info.ops;
    ops.get_hwirq.get_or_insert(msi_domain_ops_get_hwirq);
    ops.msi_init.get_or_insert(msi_domain_ops_init);
    if global {
        ops.msi_check.get_or_insert(msi_domain_ops_check);
    }
    ops.msi_prepare.get_or_insert(msi_domain_ops_prepare);
    if k.sem.msi_prepared_with_domain {
        ops.msi_teardown.get_or_insert(msi_domain_ops_teardown);
    }
    ops.set_desc.get_or_insert(msi_domain_ops_set_desc);
}

/// Fills in the chip callbacks that the driver left out.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_update_chip_ops(k: &mut Kernel, info: &mut MsiDomainInfo) {
    let can_set = info.flags & MSI_FLAG_NO_AFFINITY == 0;
    let chip = &mut k.irq.chips[info.chip.index()];
    if chip.irq_mask.is_none() || chip.irq_unmask.is_none() {
        k.bug("kernel BUG at kernel/irq/msi.c msi_domain_update_chip_ops");
        return;
    }
    if can_set {
        chip.irq_set_affinity.get_or_insert(msi_domain_set_affinity);
    }
}

/// `irq_set_msi_desc_off()`: ties an interrupt to its descriptor. The first of several interrupts
/// of a descriptor is the one that the descriptor knows.
pub(crate) fn irq_set_msi_desc_off(k: &mut Kernel, irq_base: Irq, irq_offset: u32, entry: Option<MsiDescId>) {
    let irq = Irq(irq_base.0 + irq_offset);
    if k.find_desc(irq).is_none() {
        return;
    }
    k.desc_mut(irq).irq_common_data.msi_desc = entry;
    if let (Some(entry), 0) = (entry, irq_offset) {
        k.msi.descs[entry].irq = Some(irq_base);
    }
}

/// The message that was written last (`get_cached_msi_msg`).
pub fn get_cached_msi_msg(k: &Kernel, irq: Irq) -> Option<MsiMsg> {
    Some(k.msi.descs.get(k.irq_get_msi_desc(irq)?)?.msg)
}

/// What must hold between descriptors, interrupts and devices in every state.
///
/// # Errors
/// The first rule that is broken, in words.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    let mut listed = 0;
    for (i, dev) in k.pci.devs.iter().enumerate() {
        let name = || dev.name();
        let stored = dev.msi_data.iter().flat_map(|data| data.default_domain.store.iter());
        let stored = stored.map(|(&index, &id)| (Some(index), id));
        let legacy = dev.msi_list.iter().map(|&id| (None, id));
        for (index, id) in legacy.chain(stored) {
            listed += 1;
            let Some(desc) = k.msi.descs.get(id) else {
                return Err(format!("{} lists an MSI descriptor that was freed", name()));
            };
            if desc.dev.index() != i || index.is_some_and(|index| index != desc.msi_index) {
                return Err(format!("{} lists an MSI descriptor of somebody else, {desc:?}", name()));
            }
            let Some(irq) = desc.irq else { continue };
            for n in 0..desc.nvec_used {
                let irq = Irq(irq.0 + n);
                // While a device is torn down, its descriptors outlive the interrupts.
                let other = k.find_desc(irq).is_some_and(|d| d.irq_common_data.msi_desc != Some(id));
                if other {
                    return Err(format!("{}: irq {irq} does not point back to its MSI descriptor", name()));
                }
            }
        }
        let domain = dev.msi_data.as_ref().and_then(|data| data.default_domain.domain);
        if let Some(domain) = domain
            && k.irq.domains.get(domain.index()).and_then(Option::as_ref).and_then(|d| d.dev)
                != Some(PciDevId(i as u32))
        {
            return Err(format!("{} has an MSI domain that is not its own", name()));
        }
    }
    if listed != k.msi.descs.len() {
        return Err(format!("{} MSI descriptors exist, {listed} are listed", k.msi.descs.len()));
    }
    Ok(())
}
