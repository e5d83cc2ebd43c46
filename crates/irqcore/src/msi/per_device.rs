//! kernel/irq/msi.c of 6.12: each device has its own domain and a store of descriptors by index.

use kfn::{kfn, kframe};
use kstate::irqdesc::{IRQD_ACTIVATED, IRQD_AFFINITY_MANAGED, IRQD_CAN_RESERVE, IRQD_MANAGED_SHUTDOWN};
use kstate::irqdomain::{
    IRQ_DOMAIN_FLAG_MSI, IRQ_DOMAIN_FLAG_MSI_DEVICE, IRQ_DOMAIN_FLAG_MSI_PARENT, IrqAllocInfo,
};
use kstate::msi::{
    DOMAIN_BUS_PCI_DEVICE_MSI, DOMAIN_BUS_PCI_DEVICE_MSIX, DOMAIN_BUS_PCI_MSI, MSI_DEFAULT_DOMAIN,
    MSI_FLAG_ACTIVATE_EARLY, MSI_FLAG_ALLOC_SIMPLE_MSI_DESCS, MSI_FLAG_FREE_MSI_DESCS,
    MSI_FLAG_MUST_REACTIVATE, MSI_FLAG_NO_MASK, MSI_FLAG_USE_DEF_CHIP_OPS, MSI_XA_DOMAIN_SIZE, MsiDesc,
    MsiDomainInfo, MsiDomainTemplate,
};
use kstate::pci::MsiDeviceData;
use kstate::sched::Slot;
use kstate::sorted::SortedMap;
use kstate::{DomainId, Errno, Irq, Kernel, MsiDescId, PciDevId};

use super::{
    irq_set_msi_desc_off, msi_domain_ops, msi_domain_update_chip_ops, msi_domain_update_dom_ops,
    msi_get_domain_info,
};
use crate::debugfs::irq_debugfs_copy_devname;
use crate::irqdomain::{
    __irq_domain_alloc_fwnode, __irq_domain_alloc_irqs, irq_domain_activate_irq, irq_domain_create_hierarchy,
    irq_domain_deactivate_irq, irq_domain_free_irqs, irq_domain_get_irq_data, irq_domain_remove,
    irq_domain_update_bus_token,
};

/// `struct msi_ctrl`: a range of indices of one domain of a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MsiCtrl {
    /// Which domain.
    pub domid: u32,
    /// First index.
    pub first: u32,
    /// Last index.
    pub last: u32,
    /// How many interrupts.
    pub nirqs: u32,
}

impl MsiCtrl {
    /// A range, of which everything is meant.
    const fn range(domid: u32, first: u32, last: u32) -> Self {
        Self { domid, first, last, nirqs: last + 1 - first }
    }
}

impl Slot for MsiCtrl {
    // Indices are below `MSI_XA_DOMAIN_SIZE`.
    fn to_slot(self) -> u64 {
        u64::from(self.first)
            | u64::from(self.last) << 16
            | u64::from(self.nirqs) << 32
            | u64::from(self.domid) << 56
    }
    fn from_slot(slot: u64) -> Self {
        Self {
            first: slot as u32 & 0xffff,
            last: (slot >> 16) as u32 & 0xffff,
            nirqs: (slot >> 32) as u32 & 0xff_ffff,
            domid: (slot >> 56) as u32,
        }
    }
}

fn store(k: &Kernel, dev: PciDevId) -> Option<&SortedMap<u32, MsiDescId>> {
    k.pci_dev(dev).msi_data.as_ref().map(|data| &data.default_domain.store)
}

/// The descriptors of a range that have, or do not have, an interrupt.
fn descs(k: &Kernel, dev: PciDevId, ctrl: MsiCtrl, associated: bool) -> Vec<MsiDescId> {
    let all = store(k, dev).into_iter().flat_map(|store| store.range(ctrl.first..=ctrl.last));
    all.map(|(_, &id)| id).filter(|&id| k.msi.descs[id].irq.is_some() == associated).collect()
}

/// The first descriptor of a device (`msi_first_desc(dev, MSI_DESC_ALL)`).
pub fn msi_first_desc(k: &Kernel, dev: PciDevId) -> Option<MsiDescId> {
    store(k, dev)?.values().next().copied()
}

/// `msi_get_device_domain()`.
fn msi_get_device_domain(k: &Kernel, dev: PciDevId, domid: u32) -> Option<DomainId> {
    if domid != MSI_DEFAULT_DOMAIN {
        return None;
    }
    k.pci_dev(dev).msi_data.as_ref()?.default_domain.domain
}

/// `msi_domain_get_hwsize()`.
fn msi_domain_get_hwsize(k: &Kernel, dev: PciDevId, domid: u32) -> u32 {
    match msi_get_device_domain(k, dev, domid) {
        Some(domain) => msi_get_domain_info(k, domain).hwsize,
        None => MSI_XA_DOMAIN_SIZE,
    }
}

/// `msi_ctrl_valid()`.
fn msi_ctrl_valid(k: &mut Kernel, dev: PciDevId, ctrl: MsiCtrl) -> bool {
    let missing = k.pci_dev(dev).msi_domain.is_some() && msi_get_device_domain(k, dev, ctrl.domid).is_none();
    let hwsize = msi_domain_get_hwsize(k, dev, ctrl.domid);
    if missing || ctrl.first > ctrl.last || ctrl.first >= hwsize || ctrl.last >= hwsize {
        k.warn_once("WARNING: at kernel/irq/msi.c msi_ctrl_valid");
        return false;
    }
    true
}

/// Enters a descriptor into the store, or frees it when its place is taken or outside.
#[kfn("kernel/irq/msi.c")]
fn msi_insert_desc(
    k: &mut Kernel,
    dev: PciDevId,
    desc: MsiDescId,
    domid: u32,
    index: u32,
) -> Result<(), Errno> {
    let hwsize = msi_domain_get_hwsize(k, dev, domid);
    let taken = store(k, dev).is_none_or(|store| store.contains_key(&index));
    if index >= hwsize || taken {
        k.msi.descs.remove(desc);
        return Err(if index >= hwsize { Errno::ERANGE } else { Errno::EBUSY });
    }
    k.msi.descs[desc].msi_index = index;
    if let Some(data) = &mut k.pci_dev_mut(dev).msi_data {
        data.default_domain.store.insert(index, desc);
    }
    Ok(())
}

/// Allocates a descriptor like `init_desc` and enters it into the store.
#[kfn("kernel/irq/msi.c")]
pub fn msi_domain_insert_msi_desc(
    k: &mut Kernel,
    dev: PciDevId,
    domid: u32,
    init_desc: &MsiDesc,
) -> Result<(), Errno> {
    let mut desc = init_desc.clone();
    desc.dev = dev;
    desc.irq = None;
    let index = init_desc.msi_index;
    let desc = k.msi.descs.insert(desc);
    msi_insert_desc(k, dev, desc, domid, index)
}

/// Removes and frees the descriptors of a range.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_free_descs(k: &mut Kernel, dev: PciDevId, ctrl: MsiCtrl) {
    if !msi_ctrl_valid(k, dev, ctrl) {
        return;
    }
    let Some(data) = &mut k.pci_dev_mut(dev).msi_data else { return };
    let store = &mut data.default_domain.store;
    let range: Vec<_> = store.range(ctrl.first..=ctrl.last).map(|(&index, &id)| (index, id)).collect();
    for &(index, _) in &range {
        store.remove(&index);
    }
    for (_, id) in range {
        if k.msi.descs[id].irq.is_some() {
            k.warn_once("WARNING: at kernel/irq/msi.c msi_domain_free_descs");
            continue;
        }
        k.msi.descs.remove(id);
    }
}

/// Allocates a plain descriptor for each index of a range.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_add_simple_msi_descs(k: &mut Kernel, dev: PciDevId, ctrl: MsiCtrl) -> Result<(), Errno> {
    if !msi_ctrl_valid(k, dev, ctrl) {
        return Err(Errno::EINVAL);
    }
    for index in ctrl.first..=ctrl.last {
        let desc = k.msi.descs.insert(MsiDesc { dev, nvec_used: 1, ..MsiDesc::default() });
        if let Err(e) = msi_insert_desc(k, dev, desc, ctrl.domid, index) {
            msi_domain_free_descs(k, dev, ctrl);
            return Err(e);
        }
    }
    Ok(())
}

/// Releases a device's MSI data when the device loses its driver.
#[kfn("kernel/irq/msi.c")]
pub fn msi_device_data_release(k: &mut Kernel, dev: PciDevId) {
    msi_remove_device_irq_domain(k, dev, MSI_DEFAULT_DOMAIN);
    if store(k, dev).is_some_and(|store| !store.is_empty()) {
        k.warn_once("WARNING: at kernel/irq/msi.c msi_device_data_release");
    }
    k.pci_dev_mut(dev).msi_data = None;
}

/// Gives a device its MSI data, unless it has them.
#[kfn("kernel/irq/msi.c")]
pub fn msi_setup_device_data(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    if k.pci_dev(dev).msi_data.is_some() {
        return Ok(());
    }
    let mut data = MsiDeviceData::default();
    // A global domain is entered at once, so that everything else finds domains by id.
    if let Some(domain) = k.pci_dev(dev).msi_domain
        && k.domain(domain).flags & IRQ_DOMAIN_FLAG_MSI_PARENT == 0
    {
        data.default_domain.domain = Some(domain);
    }
    k.pci_dev_mut(dev).msi_data = Some(data);
    Ok(())
}

/// The interrupt of an index; 0 when there is none.
#[kfn("kernel/irq/msi.c")]
pub fn msi_domain_get_virq(k: &mut Kernel, dev: PciDevId, domid: u32, index: u32) -> u32 {
    if domid != MSI_DEFAULT_DOMAIN || index >= MSI_XA_DOMAIN_SIZE {
        k.warn_once("WARNING: at kernel/irq/msi.c msi_domain_get_virq");
        return 0;
    }
    // Several MSIs of a function share one descriptor, MSI-X has one for each.
    let pcimsi = k.pci_dev(dev).msi_enabled;
    let at = if pcimsi { 0 } else { index };
    let Some(&id) = store(k, dev).and_then(|store| store.get(&at)) else { return 0 };
    let desc = &k.msi.descs[id];
    match desc.irq {
        Some(irq) if pcimsi && index < desc.nvec_used => irq.0 + index,
        Some(irq) if !pcimsi => irq.0,
        _ => 0,
    }
}

/// Creates a domain from its description.
#[kfn("kernel/irq/msi.c")]
fn __msi_create_irq_domain(
    k: &mut Kernel,
    fwnode: &str,
    info: &mut MsiDomainInfo,
    flags: u32,
    parent: DomainId,
) -> Option<DomainId> {
    if info.hwsize > MSI_XA_DOMAIN_SIZE {
        return None;
    }
    if info.hwsize == 0 {
        info.hwsize = MSI_XA_DOMAIN_SIZE;
    }
    msi_domain_update_dom_ops(k, info);
    if info.flags & MSI_FLAG_USE_DEF_CHIP_OPS != 0 {
        msi_domain_update_chip_ops(k, info);
    }
    let flags = flags | IRQ_DOMAIN_FLAG_MSI;
    let domain = irq_domain_create_hierarchy(k, Some(parent), flags, 0, fwnode, msi_domain_ops());
    k.domain_mut(domain).msi = Some(info.clone());
    irq_domain_update_bus_token(k, domain, info.bus_token);
    Some(domain)
}

/// Creates a domain that is not a device's own.
#[kfn("kernel/irq/msi.c")]
pub fn msi_create_irq_domain(
    k: &mut Kernel,
    fwnode: &str,
    info: MsiDomainInfo,
    parent: DomainId,
) -> Option<DomainId> {
    let mut info = info;
    __msi_create_irq_domain(k, fwnode, &mut info, 0, parent)
}

/// Passes the completion of a child's description on to the parent of `domain`.
#[kfn("kernel/irq/msi.c")]
pub fn msi_parent_init_dev_msi_info(
    k: &mut Kernel,
    dev: PciDevId,
    domain: DomainId,
    msi_parent_domain: DomainId,
    msi_child_info: &mut MsiDomainInfo,
) -> bool {
    let parent = k.domain(domain).parent;
    let init =
        parent.and_then(|parent| k.domain(parent).msi_parent_ops).and_then(|ops| ops.init_dev_msi_info);
    let (Some(parent), Some(init)) = (parent, init) else {
        k.warn_once("WARNING: at kernel/irq/msi.c msi_parent_init_dev_msi_info");
        return false;
    };
    init(k, dev, parent, msi_parent_domain, msi_child_info)
}

/// Creates the MSI or MSI-X domain of a device from a template.
#[kfn("kernel/irq/msi.c")]
pub fn msi_create_device_irq_domain(
    k: &mut Kernel,
    dev: PciDevId,
    domid: u32,
    template: &MsiDomainTemplate,
    hwsize: u32,
) -> bool {
    let Some(parent) = k.pci_dev(dev).msi_domain else { return false };
    if k.domain(parent).flags & IRQ_DOMAIN_FLAG_MSI_PARENT == 0 || domid != MSI_DEFAULT_DOMAIN {
        return false;
    }
    let Some(pops) = k.domain(parent).msi_parent_ops else { return false };
    let name = format!("{}{}-{}", pops.prefix.unwrap_or_default(), template.chip.name, k.pci_dev(dev).name());
    let mut chip = template.chip.clone();
    chip.name.clone_from(&name);
    let mut bundle = template.info.clone();
    bundle.hwsize = hwsize;
    bundle.chip = k.irq.replace_chip(chip);
    bundle.ops = template.ops;

    __irq_domain_alloc_fwnode(k, &name);
    if msi_setup_device_data(k, dev).is_err() {
        return false;
    }
    if msi_get_device_domain(k, dev, domid).is_some() {
        k.warn_once("WARNING: at kernel/irq/msi.c msi_create_device_irq_domain");
        return false;
    }
    let Some(init) = pops.init_dev_msi_info else { return false };
    if !init(k, dev, parent, parent, &mut bundle) {
        return false;
    }
    let domain = __msi_create_irq_domain(k, &name, &mut bundle, IRQ_DOMAIN_FLAG_MSI_DEVICE, parent);
    let Some(domain) = domain else { return false };
    k.domain_mut(domain).dev = Some(dev);
    if let Some(data) = &mut k.pci_dev_mut(dev).msi_data {
        data.default_domain.domain = Some(domain);
    }
    if k.sem.msi_prepared_with_domain {
        let mut alloc_info = IrqAllocInfo::default();
        if msi_domain_prepare_irqs(k, domain, dev, hwsize, &mut alloc_info).is_err() {
            if let Some(data) = &mut k.pci_dev_mut(dev).msi_data {
                data.default_domain.domain = None;
            }
            irq_domain_remove(k, domain);
            return false;
        }
        if let Some(info) = &mut k.domain_mut(domain).msi {
            info.alloc_data = Some(alloc_info);
        }
    }
    true
}

/// Removes a device's own domain.
#[kfn("kernel/irq/msi.c")]
pub fn msi_remove_device_irq_domain(k: &mut Kernel, dev: PciDevId, domid: u32) {
    let Some(domain) = msi_get_device_domain(k, dev, domid) else { return };
    if k.domain(domain).flags & IRQ_DOMAIN_FLAG_MSI_DEVICE == 0 {
        return;
    }
    if let Some(data) = &mut k.pci_dev_mut(dev).msi_data {
        data.default_domain.domain = None;
    }
    if let Some(teardown) = msi_get_domain_info(k, domain).ops.msi_teardown {
        teardown(k, domain);
    }
    irq_domain_remove(k, domain);
}

/// Whether a device has a domain of its own with this bus token.
pub fn msi_match_device_irq_domain(k: &Kernel, dev: PciDevId, domid: u32, bus_token: u32) -> bool {
    msi_get_device_domain(k, dev, domid).is_some_and(|domain| {
        k.domain(domain).flags & IRQ_DOMAIN_FLAG_MSI_DEVICE != 0
            && msi_get_domain_info(k, domain).bus_token == bus_token
    })
}

/// Starts the allocation description.
#[kfn("kernel/irq/msi.c")]
pub fn msi_domain_prepare_irqs(
    k: &mut Kernel,
    domain: DomainId,
    dev: PciDevId,
    nvec: u32,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    match msi_get_domain_info(k, domain).ops.msi_prepare {
        Some(prepare) => prepare(k, domain, dev, nvec, arg),
        None => Ok(()),
    }
}

fn is_pci_msi(bus_token: u32) -> bool {
    matches!(bus_token, DOMAIN_BUS_PCI_MSI | DOMAIN_BUS_PCI_DEVICE_MSI | DOMAIN_BUS_PCI_DEVICE_MSIX)
}

/// Whether the interrupts may stand on a dummy vector until they are requested. That is safe only
/// where they can be masked.
#[kfn("kernel/irq/msi.c")]
fn msi_check_reservation_mode(k: &mut Kernel, domain: DomainId, dev: PciDevId) -> bool {
    if !is_pci_msi(k.domain(domain).bus_token) {
        return false;
    }
    let flags = msi_get_domain_info(k, domain).flags;
    if flags & MSI_FLAG_MUST_REACTIVATE == 0 || flags & MSI_FLAG_NO_MASK != 0 {
        return false;
    }
    // One descriptor stands for all: MSI-X can always mask, and MSI has only one.
    let Some(first) = msi_first_desc(k, dev) else { return false };
    let desc = &k.msi.descs[first];
    desc.is_msix || desc.can_mask
}

/// What a failed allocation means: so many could be had, or none.
#[kfn("kernel/irq/msi.c")]
fn msi_handle_pci_fail(
    k: &mut Kernel,
    domain: DomainId,
    desc: MsiDescId,
    allocated: u32,
) -> Result<u32, Errno> {
    if !is_pci_msi(k.domain(domain).bus_token) {
        return Err(Errno::ENOSPC);
    }
    // Several MSIs are tried again as one.
    if k.msi.descs[desc].nvec_used > 1 {
        return Ok(1);
    }
    if allocated != 0 { Ok(allocated) } else { Err(Errno::ENOSPC) }
}

const VIRQ_CAN_RESERVE: u32 = 0x01;
const VIRQ_ACTIVATE: u32 = 0x02;

/// Activates a new interrupt early.
#[kfn("kernel/irq/msi.c")]
fn msi_init_virq(k: &mut Kernel, domain: DomainId, virq: Irq, vflags: u32) -> Result<(), Errno> {
    let Some(irqd) = irq_domain_get_irq_data(k, domain, virq) else { return Err(Errno::EINVAL) };
    if vflags & VIRQ_CAN_RESERVE == 0 {
        k.desc_mut(virq).clear(IRQD_CAN_RESERVE);
        // Without a reserved vector an interrupt whose CPUs are all offline has nowhere to go.
        if vflags & VIRQ_ACTIVATE != 0
            && k.desc(virq).has(IRQD_AFFINITY_MANAGED)
            && !k.desc(virq).irq_common_data.affinity.intersects(&k.topo.online)
        {
            k.desc_mut(virq).set(IRQD_MANAGED_SHUTDOWN);
            return Ok(());
        }
    }
    if vflags & VIRQ_ACTIVATE == 0 {
        return Ok(());
    }
    irq_domain_activate_irq(k, irqd, vflags & VIRQ_CAN_RESERVE != 0)?;
    // With a reserved vector, requesting the interrupt activates it again and for good.
    if vflags & VIRQ_CAN_RESERVE != 0 {
        k.desc_mut(virq).clear(IRQD_ACTIVATED);
    }
    Ok(())
}

/// Starts the allocation description: what the domain was prepared with, if it was (6.16).
#[kfn("kernel/irq/msi.c")]
fn populate_alloc_info(
    k: &mut Kernel,
    domain: DomainId,
    dev: PciDevId,
    nirqs: u32,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let Some(alloc_data) = msi_get_domain_info(k, domain).alloc_data.clone() else {
        return msi_domain_prepare_irqs(k, domain, dev, nirqs, arg);
    };
    *arg = alloc_data;
    Ok(())
}

/// Allocates interrupts for the descriptors of a range that have none. A positive value says how
/// many could be had.
///
/// `__irq_domain_alloc_irqs()` takes the lock of the hierarchy for one descriptor, so that between two of them
/// the interrupts of another function may be allocated.
#[kframe("kernel/irq/msi.c")]
fn __msi_domain_alloc_irqs(
    k: &mut Kernel,
    dev: PciDevId,
    domain: DomainId,
    ctrl: MsiCtrl,
) -> Result<u32, Errno> {
    let mut arg = IrqAllocInfo::default();
    if k.sem.msi_prepared_with_domain {
        populate_alloc_info(k, domain, dev, ctrl.nirqs, &mut arg)?;
    } else {
        msi_domain_prepare_irqs(k, domain, dev, ctrl.nirqs, &mut arg)?;
    }
    k.pci_dev_mut(dev).msi_setup().arg = arg;

    let vflags: u32 = 0;
    // The message has to be in place before the function is enabled, or it latches garbage.
    if msi_get_domain_info(k, domain).flags & MSI_FLAG_ACTIVATE_EARLY != 0 {
        vflags |= VIRQ_ACTIVATE;
    }
    if msi_check_reservation_mode(k, domain, dev) {
        vflags |= VIRQ_CAN_RESERVE;
    }

    let allocated: u32 = 0;
    let idx: u32 = ctrl.first;
    loop {
        let next: Option<MsiDescId> = next_without_irq(k, dev, &mut idx, ctrl.last);
        if next.is_none() {
            break;
        }
        if allocated > 0 {
            step!();
        }
        if allocated >= ctrl.nirqs {
            k.warn_once("WARNING: at kernel/irq/msi.c __msi_domain_alloc_irqs");
            return Err(Errno::EINVAL);
        }
        let desc = next.unwrap_or_default();
        let ops = msi_get_domain_info(k, domain).ops;
        let mut arg = core::mem::take(&mut k.pci_dev_mut(dev).msi_setup().arg);
        if let Some(prepare_desc) = ops.prepare_desc {
            prepare_desc(k, domain, &mut arg, desc);
        }
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
        let Ok(virq) = virq else { return msi_handle_pci_fail(k, domain, desc, allocated) };
        let name = k.pci_dev(dev).name();
        for i in 0..nvec_used {
            irq_set_msi_desc_off(k, virq, i, Some(desc));
            irq_debugfs_copy_devname(k, Irq(virq.0 + i), &name);
            msi_init_virq(k, domain, Irq(virq.0 + i), vflags)?;
        }
        allocated += 1;
    }
    Ok(0)
}

/// The next descriptor that has no interrupt, from `idx` to `last`. `idx` goes on behind it.
fn next_without_irq(k: &Kernel, dev: PciDevId, idx: &mut u32, last: u32) -> Option<MsiDescId> {
    let rest = (*idx <= last).then(|| store(k, dev)).flatten()?;
    let (&index, &desc) = rest.range(*idx..=last).find(|(_, id)| k.msi.descs[**id].irq.is_none())?;
    *idx = index + 1;
    Some(desc)
}

/// Allocates descriptors where the core does that for the driver.
#[kfn("kernel/irq/msi.c")]
fn msi_domain_alloc_simple_msi_descs(
    k: &mut Kernel,
    dev: PciDevId,
    domain: DomainId,
    ctrl: MsiCtrl,
) -> Result<(), Errno> {
    if msi_get_domain_info(k, domain).flags & MSI_FLAG_ALLOC_SIMPLE_MSI_DESCS == 0 {
        return Ok(());
    }
    msi_domain_add_simple_msi_descs(k, dev, ctrl)
}

/// Allocates the interrupts of a range.
#[kframe("kernel/irq/msi.c")]
fn __msi_domain_alloc_locked(k: &mut Kernel, dev: PciDevId, ctrl: MsiCtrl) -> Result<u32, Errno> {
    if !msi_ctrl_valid(k, dev, ctrl) {
        return Err(Errno::EINVAL);
    }
    let domain: DomainId = msi_get_device_domain(k, dev, ctrl.domid).ok_or(Errno::ENODEV)?;
    msi_domain_alloc_simple_msi_descs(k, dev, domain, ctrl)?;
    call!(__msi_domain_alloc_irqs(dev, domain, ctrl))
}

/// Allocates the interrupts of a range, or frees all of them.
#[kframe("kernel/irq/msi.c")]
fn msi_domain_alloc_locked(k: &mut Kernel, dev: PciDevId, ctrl: MsiCtrl) -> Result<u32, Errno> {
    let _ = &k;
    let ret: Result<u32, Errno> = call!(__msi_domain_alloc_locked(dev, ctrl));
    if ret != Ok(0) {
        call!(msi_domain_free_locked(dev, ctrl));
    }
    ret
}

/// Allocates `nirqs` interrupts for the descriptors of a device.
#[kframe("kernel/irq/msi.c")]
pub fn msi_domain_alloc_irqs_all_locked(
    k: &mut Kernel,
    dev: PciDevId,
    domid: u32,
    nirqs: u32,
) -> Result<u32, Errno> {
    let last = msi_domain_get_hwsize(k, dev, domid) - 1;
    let ctrl: MsiCtrl = MsiCtrl { nirqs, ..MsiCtrl::range(domid, 0, last) };
    call!(msi_domain_alloc_locked(dev, ctrl))
}

/// Frees the interrupts of a range.
#[kframe("kernel/irq/msi.c")]
fn __msi_domain_free_irqs(k: &mut Kernel, dev: PciDevId, domain: DomainId, ctrl: MsiCtrl) {
    loop {
        // Each turn takes the next descriptor that still has its interrupt.
        let next: Option<MsiDescId> = descs(k, dev, ctrl, true).first().copied();
        if next.is_none() {
            return;
        }
        let desc = next.unwrap_or_default();
        let irq = k.msi.descs[desc].irq.unwrap_or_default();
        let nvec_used = k.msi.descs[desc].nvec_used;
        for i in 0..nvec_used {
            let irqd = irq_domain_get_irq_data(k, domain, Irq(irq.0 + i));
            if let Some(irqd) = irqd
                && k.desc(irqd.irq).has(IRQD_ACTIVATED)
            {
                irq_domain_deactivate_irq(k, irqd);
            }
        }
        call!(irq_domain_free_irqs(irq, nvec_used));
        k.msi.descs[next.unwrap_or_default()].irq = None;
    }
}

/// Frees the interrupts of a range, and the descriptors where the domain says so.
#[kframe("kernel/irq/msi.c")]
fn msi_domain_free_locked(k: &mut Kernel, dev: PciDevId, ctrl: MsiCtrl) {
    if !msi_ctrl_valid(k, dev, ctrl) {
        return;
    }
    if msi_get_device_domain(k, dev, ctrl.domid).is_none() {
        return;
    }
    let domain: DomainId = msi_get_device_domain(k, dev, ctrl.domid).unwrap_or_default();
    call!(__msi_domain_free_irqs(dev, domain, ctrl));
    if msi_get_domain_info(k, domain).flags & MSI_FLAG_FREE_MSI_DESCS != 0 {
        msi_domain_free_descs(k, dev, ctrl);
    }
}

/// Frees the interrupts between two indices.
#[kframe("kernel/irq/msi.c")]
pub fn msi_domain_free_irqs_range_locked(k: &mut Kernel, dev: PciDevId, domid: u32, first: u32, last: u32) {
    let _ = &k;
    call!(msi_domain_free_locked(dev, MsiCtrl::range(domid, first, last)));
}

/// Frees all interrupts of a device.
#[kframe("kernel/irq/msi.c")]
pub fn msi_domain_free_irqs_all_locked(k: &mut Kernel, dev: PciDevId, domid: u32) {
    let last = msi_domain_get_hwsize(k, dev, domid) - 1;
    call!(msi_domain_free_irqs_range_locked(dev, domid, 0, last));
}
