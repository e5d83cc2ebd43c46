//! Interrupt domains and their hierarchies: kernel/irq/irqdomain.c of 5.4 and 6.12.
//!
//! The `parent_data` chain of an interrupt is `IrqDesc::irq_data`, outermost first. A domain that is
//! removed leaves a hole in `IrqState::domains`, so that its number never means another domain.

use kfn::{kfn, kframe};
use kstate::irqdesc::*;
use kstate::irqdomain::*;
use kstate::msi::IrqAffinityDesc;
use kstate::{ChipId, DomainId, Errno, Irq, Kernel};

use crate::chip::{__irq_set_handler, irq_set_chip_and_handler_name, irq_set_handler_data};
use crate::dummychip::NO_IRQ_CHIP;
use crate::irqdesc::{__irq_alloc_descs, irq_free_descs, irq_get_nr_irqs};
use crate::manage::synchronize_irq;
use crate::proc::irq_proc_update_chip;
use crate::settings::{irq_clear_status_flags, irq_set_status_flags};

/// Allocates a node that names a domain. The node is nothing but its name.
#[kfn("kernel/irq/irqdomain.c")]
pub fn __irq_domain_alloc_fwnode(k: &mut Kernel, name: &str) -> String {
    let _ = &k;
    name.to_owned()
}

/// `irq_domain_alloc_named_fwnode()`.
pub fn irq_domain_alloc_named_fwnode(k: &mut Kernel, name: &str) -> String {
    __irq_domain_alloc_fwnode(k, name)
}

/// `irq_domain_alloc_named_id_fwnode()`: name and number.
pub fn irq_domain_alloc_named_id_fwnode(k: &mut Kernel, name: &str, id: i32) -> String {
    __irq_domain_alloc_fwnode(k, &format!("{name}-{id}"))
}

/// What a domain is created from (`struct irq_domain_info` of 6.12).
#[derive(Clone, Debug, Default)]
pub struct IrqDomainInfo {
    /// Name of the node; empty for none.
    pub fwnode: String,
    /// `IRQ_DOMAIN_*`.
    pub domain_flags: u32,
    /// Size of the linear map.
    pub size: u32,
    /// One more than the highest hardware number.
    pub hwirq_max: u64,
    /// Callbacks.
    pub ops: IrqDomainOps,
    /// The domain below.
    pub parent: Option<DomainId>,
    /// `DOMAIN_BUS_*`; 0 is any.
    pub bus_token: u32,
}

/// The number that a bus token has in names. `DOMAIN_BUS_FSL_MC_MSI` was number 7.
fn bus_token_number(k: &Kernel, bus_token: u32) -> u32 {
    const DOMAIN_BUS_FSL_MC_MSI: u32 = 7;
    if bus_token > DOMAIN_BUS_FSL_MC_MSI && !k.sem.domain_bus_fsl_mc_msi { bus_token - 1 } else { bus_token }
}

fn new_domain(k: &mut Kernel, info: &IrqDomainInfo) -> DomainId {
    let base = if info.fwnode.is_empty() {
        k.irq.unknown_domains += 1;
        format!("unknown-{}", k.irq.unknown_domains)
    } else {
        info.fwnode.clone()
    };
    let name =
        if info.bus_token == 0 { base } else { format!("{base}-{}", bus_token_number(k, info.bus_token)) };
    let mut flags = k.sem.irq_domain_name_allocated;
    if info.ops.alloc.is_some() {
        flags |= IRQ_DOMAIN_FLAG_HIERARCHY;
    }
    k.irq.domains.push(Some(IrqDomain {
        name,
        ops: info.ops,
        flags,
        revmap_size: info.size,
        hwirq_max: info.hwirq_max,
        bus_token: info.bus_token,
        ..IrqDomain::default()
    }));
    DomainId(k.irq.domains.len() as u32 - 1)
}

/// Creates a domain without a parent (5.4).
#[kfn("kernel/irq/irqdomain.c")]
pub fn __irq_domain_add(
    k: &mut Kernel,
    fwnode: &str,
    size: u32,
    hwirq_max: u64,
    ops: IrqDomainOps,
) -> DomainId {
    let info = IrqDomainInfo { fwnode: fwnode.to_owned(), size, hwirq_max, ops, ..IrqDomainInfo::default() };
    new_domain(k, &info)
}

#[kfn("kernel/irq/irqdomain.c")]
fn __irq_domain_create(k: &mut Kernel, info: &IrqDomainInfo) -> DomainId {
    new_domain(k, info)
}

// The list of domains is the vector itself; here the debugfs file appears.
#[kfn("kernel/irq/irqdomain.c")]
fn __irq_domain_publish(k: &mut Kernel, domain: DomainId) {
    let _ = (&k, domain);
}

#[kfn("kernel/irq/irqdomain.c")]
fn irq_domain_free(k: &mut Kernel, domain: DomainId) {
    k.irq.domains[domain.index()] = None;
}

#[kfn("kernel/irq/irqdomain.c")]
fn __irq_domain_instantiate(k: &mut Kernel, info: &IrqDomainInfo) -> DomainId {
    let domain = __irq_domain_create(k, info);
    let d = k.domain_mut(domain);
    d.flags |= info.domain_flags;
    d.parent = info.parent;
    __irq_domain_publish(k, domain);
    domain
}

/// Creates a domain (6.12).
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_instantiate(k: &mut Kernel, info: &IrqDomainInfo) -> DomainId {
    __irq_domain_instantiate(k, info)
}

/// `irq_domain_create_tree()`: a domain with a sparse map, without parent.
pub fn irq_domain_create_tree(k: &mut Kernel, fwnode: &str, ops: IrqDomainOps) -> DomainId {
    create(k, fwnode, 0, ops)
}

/// `irq_domain_create_linear()`: a domain with a linear map, without parent.
pub fn irq_domain_create_linear(k: &mut Kernel, fwnode: &str, size: u32, ops: IrqDomainOps) -> DomainId {
    create(k, fwnode, size, ops)
}

fn create(k: &mut Kernel, fwnode: &str, size: u32, ops: IrqDomainOps) -> DomainId {
    let hwirq_max = if size == 0 { u64::from(u32::MAX) } else { u64::from(size) };
    if k.sem.irq_domain_instantiate {
        let info =
            IrqDomainInfo { fwnode: fwnode.to_owned(), size, hwirq_max, ops, ..IrqDomainInfo::default() };
        irq_domain_instantiate(k, &info)
    } else {
        __irq_domain_add(k, fwnode, size, hwirq_max, ops)
    }
}

/// Creates a domain on top of `parent`; a `size` of 0 means a sparse map.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_create_hierarchy(
    k: &mut Kernel,
    parent: Option<DomainId>,
    flags: u32,
    size: u32,
    name: &str,
    ops: IrqDomainOps,
) -> DomainId {
    if k.sem.irq_domain_instantiate {
        let info = IrqDomainInfo {
            fwnode: name.to_owned(),
            domain_flags: flags,
            size,
            hwirq_max: if size == 0 { u64::from(u32::MAX) } else { u64::from(size) },
            ops,
            parent,
            bus_token: 0,
        };
        return irq_domain_instantiate(k, &info);
    }
    let domain = create(k, name, size, ops);
    let d = k.domain_mut(domain);
    d.parent = parent;
    d.flags |= flags;
    domain
}

/// Removes a domain without mappings.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_remove(k: &mut Kernel, domain: DomainId) {
    if k.irq.domains.get(domain.index()).is_none_or(Option::is_none) {
        return;
    }
    let d = k.domain(domain);
    let size = u64::from(d.revmap_size);
    if d.revmap.last_key().is_some_and(|&last| last >= size) {
        k.warn("WARNING: at kernel/irq/irqdomain.c irq_domain_remove");
    }
    if k.irq.default_domain == Some(domain) {
        irq_set_default_host(k, None);
    }
    if k.sem.irq_domain_instantiate {
        irq_domain_free(k, domain);
    } else {
        k.irq.domains[domain.index()] = None;
    }
}

/// Gives a domain a bus token, which becomes part of its name.
pub fn irq_domain_update_bus_token(k: &mut Kernel, domain: DomainId, bus_token: u32) {
    let (allocated, number) = (k.sem.irq_domain_name_allocated, bus_token_number(k, bus_token));
    let d = k.domain_mut(domain);
    if d.bus_token == bus_token {
        return;
    }
    d.bus_token = bus_token;
    d.name = format!("{}-{number}", d.name);
    d.flags |= allocated;
}

/// Sets the domain that is used where none is named.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_set_default_host(k: &mut Kernel, domain: Option<DomainId>) {
    k.irq.default_domain = domain;
}

fn irq_domain_clear_mapping(k: &mut Kernel, domain: DomainId, hwirq: u64) {
    k.domain_mut(domain).revmap.remove(&hwirq);
}

fn irq_domain_set_mapping(k: &mut Kernel, domain: DomainId, hwirq: u64, irq: Irq) {
    k.domain_mut(domain).revmap.insert(hwirq, irq);
}

fn associate(k: &mut Kernel, domain: DomainId, virq: Irq, hwirq: u64) -> Result<(), Errno> {
    let at = if k.sem.irq_domain_root_lock {
        "WARNING: at kernel/irq/irqdomain.c irq_domain_associate_locked"
    } else {
        "WARNING: at kernel/irq/irqdomain.c irq_domain_associate"
    };
    if hwirq >= k.domain(domain).hwirq_max {
        let line = format!("error: hwirq 0x{hwirq:x} is too large for {}", k.domain(domain).name);
        k.warn_text(line, at);
        return Err(Errno::EINVAL);
    }
    let Some(desc) = k.find_desc(virq) else {
        k.warn_text(format!("error: virq{virq} is not allocated"), at);
        return Err(Errno::EINVAL);
    };
    if desc.irq_data[0].domain.is_some() {
        k.warn_text(format!("error: virq{virq} is already associated"), at);
        return Err(Errno::EINVAL);
    }
    let data = k.irqd_mut(Irqd::top(virq));
    data.hwirq = hwirq;
    data.domain = Some(domain);
    k.domain_mut(domain).mapcount += 1;
    irq_domain_set_mapping(k, domain, hwirq, virq);
    irq_clear_status_flags(k, virq, IRQ_NOREQUEST);
    Ok(())
}

#[kfn("kernel/irq/irqdomain.c")]
fn irq_domain_associate_locked(k: &mut Kernel, domain: DomainId, virq: Irq, hwirq: u64) -> Result<(), Errno> {
    associate(k, domain, virq, hwirq)
}

/// Ties an interrupt that exists to a domain without hierarchy.
///
/// # Errors
/// `EINVAL` for a hardware number out of range, or an interrupt that does not exist or is tied.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_associate(k: &mut Kernel, domain: DomainId, virq: Irq, hwirq: u64) -> Result<(), Errno> {
    if k.sem.irq_domain_root_lock {
        irq_domain_associate_locked(k, domain, virq, hwirq)
    } else {
        associate(k, domain, virq, hwirq)
    }
}

/// Ties `count` interrupts to a domain, one after the other.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_associate_many(
    k: &mut Kernel,
    domain: DomainId,
    irq_base: Irq,
    hwirq_base: u64,
    count: u32,
) {
    for i in 0..count {
        let _ = irq_domain_associate(k, domain, Irq(irq_base.0 + i), hwirq_base + u64::from(i));
    }
}

/// The interrupt behind a hardware number (`irq_find_mapping()`).
pub fn irq_find_mapping(k: &Kernel, domain: DomainId, hwirq: u64) -> Option<Irq> {
    k.irq.domains.get(domain.index())?.as_ref()?.revmap.get(&hwirq).copied()
}

/// Allocates descriptors: at `virq`, or where numbers are free, hinted by the hardware number.
///
/// # Errors
/// As `__irq_alloc_descs()`.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_alloc_descs(
    k: &mut Kernel,
    virq: Option<Irq>,
    cnt: u32,
    hwirq: u64,
    node: i32,
    affinity: Option<&[IrqAffinityDesc]>,
) -> Result<Irq, Errno> {
    if let Some(virq) = virq {
        return __irq_alloc_descs(k, Some(virq), virq.0, cnt, node, affinity);
    }
    let nr_irqs = if k.sem.nr_irqs_private { irq_get_nr_irqs(k) } else { k.irq.nr_irqs };
    let hint = ((hwirq % u64::from(nr_irqs.max(1))) as u32).max(1);
    let got = __irq_alloc_descs(k, None, hint, cnt, node, affinity);
    if got.is_err() && hint > 1 {
        return __irq_alloc_descs(k, None, 1, cnt, node, affinity);
    }
    got
}

fn irq_domain_insert_irq(k: &mut Kernel, virq: Irq) {
    for level in 0..k.desc(virq).irq_data.len() {
        let data = &k.desc(virq).irq_data[level];
        let (domain, hwirq) = (data.domain, data.hwirq);
        if let Some(domain) = domain {
            k.domain_mut(domain).mapcount += 1;
            irq_domain_set_mapping(k, domain, hwirq, virq);
        }
    }
    irq_clear_status_flags(k, virq, IRQ_NOREQUEST);
}

fn unmap_all_levels(k: &mut Kernel, virq: Irq) {
    for level in 0..k.desc(virq).irq_data.len() {
        let data = &k.desc(virq).irq_data[level];
        let (domain, hwirq) = (data.domain, data.hwirq);
        if let Some(domain) = domain {
            let d = k.domain_mut(domain);
            d.mapcount = d.mapcount.wrapping_sub(1);
            irq_domain_clear_mapping(k, domain, hwirq);
        }
    }
}

#[kframe("kernel/irq/irqdomain.c")]
fn irq_domain_remove_irq(k: &mut Kernel, virq: Irq) {
    irq_set_status_flags(k, virq, IRQ_NOREQUEST);
    irq_set_chip_and_handler_name(k, virq, NO_IRQ_CHIP, FlowHandler::HandleBadIrq, None);
    call!(synchronize_irq(virq));
    unmap_all_levels(k, virq);
}

#[kfn("kernel/irq/irqdomain.c")]
fn __irq_domain_free_hierarchy(k: &mut Kernel, virq: Irq) {
    k.desc_mut(virq).irq_data.truncate(1);
}

fn irq_domain_free_irq_data(k: &mut Kernel, virq: Irq, nr_irqs: u32) {
    for i in 0..nr_irqs {
        let irq = Irq(virq.0 + i);
        if k.sem.irq_domain_root_lock {
            __irq_domain_free_hierarchy(k, irq);
        } else {
            k.desc_mut(irq).irq_data.truncate(1);
        }
        k.irqd_mut(Irqd::top(irq)).domain = None;
    }
}

fn irq_domain_alloc_irq_data(k: &mut Kernel, domain: DomainId, virq: Irq, nr_irqs: u32) {
    for i in 0..nr_irqs {
        let irq = Irq(virq.0 + i);
        let mut parent = k.domain(domain).parent;
        let desc = k.desc_mut(irq);
        desc.irq_data.truncate(1);
        desc.irq_data[0].domain = Some(domain);
        while let Some(p) = parent {
            k.desc_mut(irq).irq_data.push(IrqData { domain: Some(p), ..IrqData::default() });
            parent = k.domain(p).parent;
        }
    }
}

/// The data of an interrupt that belongs to a domain.
pub fn irq_domain_get_irq_data(k: &Kernel, domain: DomainId, virq: Irq) -> Option<Irqd> {
    let desc = k.find_desc(virq)?;
    let level = desc.irq_data.iter().position(|data| data.domain == Some(domain))?;
    Some(Irqd { irq: virq, level: level as u8 })
}

/// Sets the hardware number and the chip of an interrupt in one domain.
///
/// # Errors
/// `ENOENT` when the interrupt does not pass through the domain.
pub fn irq_domain_set_hwirq_and_chip(
    k: &mut Kernel,
    domain: DomainId,
    virq: Irq,
    hwirq: u64,
    chip: ChipId,
    chip_data: ChipData,
) -> Result<(), Errno> {
    let d = irq_domain_get_irq_data(k, domain, virq).ok_or(Errno::ENOENT)?;
    let data = k.irqd_mut(d);
    data.hwirq = hwirq;
    data.chip = chip;
    data.chip_data = chip_data;
    irq_proc_update_chip(k, chip);
    Ok(())
}

/// Sets everything about an interrupt in one domain.
pub fn irq_domain_set_info(
    k: &mut Kernel,
    domain: DomainId,
    virq: Irq,
    hwirq: u64,
    chip: ChipId,
    chip_data: ChipData,
    handler: FlowHandler,
    handler_data: u64,
    handler_name: Option<&'static str>,
) {
    let _ = irq_domain_set_hwirq_and_chip(k, domain, virq, hwirq, chip, chip_data);
    __irq_set_handler(k, virq, handler, false, handler_name);
    let _ = irq_set_handler_data(k, virq, handler_data);
}

/// Forgets hardware number, chip and chip data.
pub fn irq_domain_reset_irq_data(k: &mut Kernel, d: Irqd) {
    let data = k.irqd_mut(d);
    data.hwirq = 0;
    data.chip = NO_IRQ_CHIP;
    data.chip_data = ChipData::None;
}

/// Resets the data of one domain and frees the interrupts in its parent.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_free_irqs_common(k: &mut Kernel, domain: DomainId, virq: Irq, nr_irqs: u32) {
    for i in 0..nr_irqs {
        if let Some(d) = irq_domain_get_irq_data(k, domain, Irq(virq.0 + i)) {
            irq_domain_reset_irq_data(k, d);
        }
    }
    irq_domain_free_irqs_parent(k, domain, virq, nr_irqs);
}

/// Clears handler and data of the outermost domain, then as `irq_domain_free_irqs_common()`.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_free_irqs_top(k: &mut Kernel, domain: DomainId, virq: Irq, nr_irqs: u32) {
    for i in 0..nr_irqs {
        let irq = Irq(virq.0 + i);
        let _ = irq_set_handler_data(k, irq, 0);
        __irq_set_handler(k, irq, FlowHandler::HandleBadIrq, false, None);
    }
    irq_domain_free_irqs_common(k, domain, virq, nr_irqs);
}

fn irq_domain_free_irqs_hierarchy(k: &mut Kernel, domain: DomainId, irq_base: Irq, nr_irqs: u32) {
    let Some(free) = k.domain(domain).ops.free else { return };
    if !k.sem.irq_domain_frees_singly {
        free(k, domain, irq_base, nr_irqs);
        return;
    }
    for i in 0..nr_irqs {
        let irq = Irq(irq_base.0 + i);
        if irq_domain_get_irq_data(k, domain, irq).is_some() {
            free(k, domain, irq, 1);
        }
    }
}

/// Lets a domain allocate (`irq_domain_alloc_irqs_hierarchy()`).
///
/// # Errors
/// `ENOSYS` when it has no hierarchy, or what it says.
pub fn irq_domain_alloc_irqs_hierarchy(
    k: &mut Kernel,
    domain: DomainId,
    irq_base: Irq,
    nr_irqs: u32,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    match k.domain(domain).ops.alloc {
        Some(alloc) => alloc(k, domain, irq_base, nr_irqs, arg),
        None => Err(Errno::ENOSYS),
    }
}

fn alloc_irqs(
    k: &mut Kernel,
    domain: DomainId,
    irq_base: Option<Irq>,
    nr_irqs: u32,
    node: i32,
    arg: &mut IrqAllocInfo,
    realloc: bool,
    affinity: Option<&[IrqAffinityDesc]>,
) -> Result<Irq, Errno> {
    let virq = match irq_base {
        Some(base) if realloc => {
            let mut irqs = (0..nr_irqs).map(|i| Irq(base.0.saturating_add(i)));
            irqs.all(|irq| k.find_desc(irq).is_some()).then_some(base).ok_or(Errno::EINVAL)?
        }
        _ => irq_domain_alloc_descs(k, irq_base, nr_irqs, 0, node, affinity)?,
    };
    irq_domain_alloc_irq_data(k, domain, virq, nr_irqs);
    if let Err(e) = irq_domain_alloc_irqs_hierarchy(k, domain, virq, nr_irqs, arg) {
        irq_domain_free_irq_data(k, virq, nr_irqs);
        irq_free_descs(k, virq, nr_irqs);
        return Err(e);
    }
    // DEVIATION: irq_domain_trim_hierarchy() of 6.12 looks for levels that a domain has cut off; no
    // domain of this machine does that.
    for i in 0..nr_irqs {
        irq_domain_insert_irq(k, Irq(virq.0 + i));
    }
    Ok(virq)
}

#[kfn("kernel/irq/irqdomain.c")]
fn irq_domain_alloc_irqs_locked(
    k: &mut Kernel,
    domain: DomainId,
    irq_base: Option<Irq>,
    nr_irqs: u32,
    node: i32,
    arg: &mut IrqAllocInfo,
    realloc: bool,
    affinity: Option<&[IrqAffinityDesc]>,
) -> Result<Irq, Errno> {
    alloc_irqs(k, domain, irq_base, nr_irqs, node, arg, realloc, affinity)
}

/// Allocates interrupts from a domain: descriptors, data of all levels, and what each domain adds.
/// Activation is a second step.
///
/// # Errors
/// As `__irq_alloc_descs()`, `ENOSYS` for a domain without hierarchy, or what the domains say.
#[kfn("kernel/irq/irqdomain.c")]
pub fn __irq_domain_alloc_irqs(
    k: &mut Kernel,
    domain: DomainId,
    irq_base: Option<Irq>,
    nr_irqs: u32,
    node: i32,
    arg: &mut IrqAllocInfo,
    realloc: bool,
    affinity: Option<&[IrqAffinityDesc]>,
) -> Result<Irq, Errno> {
    if k.sem.irq_domain_root_lock {
        return irq_domain_alloc_irqs_locked(k, domain, irq_base, nr_irqs, node, arg, realloc, affinity);
    }
    if k.domain(domain).ops.alloc.is_none() {
        return Err(Errno::ENOSYS);
    }
    alloc_irqs(k, domain, irq_base, nr_irqs, node, arg, realloc, affinity)
}

// The outermost domain of an interrupt that can be freed.
fn freeable_domain(k: &mut Kernel, virq: Irq) -> Option<DomainId> {
    let domain = k.find_desc(virq).and_then(|desc| desc.irq_data[0].domain);
    let domain = domain.filter(|&domain| k.domain(domain).ops.free.is_some());
    if domain.is_none() {
        k.warn_text(
            "NULL pointer, cannot free irq",
            "WARNING: at kernel/irq/irqdomain.c irq_domain_free_irqs",
        );
    }
    domain
}

/// Frees interrupts with all that the domains hold for them.
#[kframe("kernel/irq/irqdomain.c")]
pub fn irq_domain_free_irqs(k: &mut Kernel, virq: Irq, nr_irqs: u32) {
    let domain: Option<DomainId> = freeable_domain(k, virq);
    if domain.is_none() {
        return;
    }
    let mut i: u32 = 0;
    while i < nr_irqs {
        call!(irq_domain_remove_irq(Irq(virq.0 + i)));
        i += 1;
    }
    irq_domain_free_irqs_hierarchy(k, domain.unwrap_or_default(), virq, nr_irqs);
    irq_domain_free_irq_data(k, virq, nr_irqs);
    irq_free_descs(k, virq, nr_irqs);
}

/// Frees an interrupt of any domain.
#[kframe("kernel/irq/irqdomain.c")]
pub fn irq_dispose_mapping(k: &mut Kernel, virq: Irq) {
    let domain: Option<DomainId> = k.find_desc(virq).and_then(|desc| desc.irq_data[0].domain);
    if domain.is_none() {
        return;
    }
    let hierarchy: bool = k.domain(domain.unwrap_or_default()).flags & IRQ_DOMAIN_FLAG_HIERARCHY != 0;
    if hierarchy {
        call!(irq_domain_free_irqs(virq, 1));
    } else {
        call!(irq_domain_remove_irq(virq));
        k.irqd_mut(Irqd::top(virq)).domain = None;
        irq_free_descs(k, virq, 1);
    }
}

/// The same for callers that cannot wait: error paths, boot.
pub mod nowait {
    use super::*;

    /// As the frame of this name, for interrupts that nobody has requested.
    // DEVIATION: it does not wait for handlers. There are none: such interrupts were never started.
    #[kfn("kernel/irq/irqdomain.c")]
    pub fn irq_domain_free_irqs(k: &mut Kernel, virq: Irq, nr_irqs: u32) {
        let Some(domain) = freeable_domain(k, virq) else { return };
        for i in 0..nr_irqs {
            let irq = Irq(virq.0 + i);
            irq_set_status_flags(k, irq, IRQ_NOREQUEST);
            irq_set_chip_and_handler_name(k, irq, NO_IRQ_CHIP, FlowHandler::HandleBadIrq, None);
            crate::manage::nowait::synchronize_irq(k, irq);
            unmap_all_levels(k, irq);
        }
        irq_domain_free_irqs_hierarchy(k, domain, virq, nr_irqs);
        irq_domain_free_irq_data(k, virq, nr_irqs);
        irq_free_descs(k, virq, nr_irqs);
    }
}

/// Allocates from the parent of a domain.
///
/// # Errors
/// `ENOSYS` without a parent, or what it says.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_alloc_irqs_parent(
    k: &mut Kernel,
    domain: DomainId,
    irq_base: Irq,
    nr_irqs: u32,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let parent = k.domain(domain).parent.ok_or(Errno::ENOSYS)?;
    irq_domain_alloc_irqs_hierarchy(k, parent, irq_base, nr_irqs, arg)
}

/// Frees in the parent of a domain.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_free_irqs_parent(k: &mut Kernel, domain: DomainId, irq_base: Irq, nr_irqs: u32) {
    if let Some(parent) = k.domain(domain).parent {
        irq_domain_free_irqs_hierarchy(k, parent, irq_base, nr_irqs);
    }
}

#[kfn("kernel/irq/irqdomain.c")]
fn __irq_domain_deactivate_irq(k: &mut Kernel, d: Irqd) {
    let Some(domain) = k.irqd(d).domain else { return };
    if let Some(deactivate) = k.domain(domain).ops.deactivate {
        deactivate(k, domain, d);
    }
    if let Some(parent) = k.parent_data(d) {
        __irq_domain_deactivate_irq(k, parent);
    }
}

#[kfn("kernel/irq/irqdomain.c")]
fn __irq_domain_activate_irq(k: &mut Kernel, d: Irqd, reserve: bool) -> Result<(), Errno> {
    let Some(domain) = k.irqd(d).domain else { return Ok(()) };
    let parent = k.parent_data(d);
    if let Some(parent) = parent {
        __irq_domain_activate_irq(k, parent, reserve)?;
    }
    let Some(activate) = k.domain(domain).ops.activate else { return Ok(()) };
    let ret = activate(k, domain, d, reserve);
    if ret.is_err()
        && let Some(parent) = parent
    {
        __irq_domain_deactivate_irq(k, parent);
    }
    ret
}

/// Activates an interrupt in all its domains, innermost first. With `reserve` a vector is only
/// reserved.
///
/// # Errors
/// What the domains say, `ENOSPC` for no vector.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_activate_irq(k: &mut Kernel, d: Irqd, reserve: bool) -> Result<(), Errno> {
    if !k.desc(d.irq).has(IRQD_ACTIVATED) {
        __irq_domain_activate_irq(k, d, reserve)?;
    }
    k.desc_mut(d.irq).set(IRQD_ACTIVATED);
    Ok(())
}

/// Deactivates an interrupt in all its domains, outermost first.
#[kfn("kernel/irq/irqdomain.c")]
pub fn irq_domain_deactivate_irq(k: &mut Kernel, d: Irqd) {
    if k.desc(d.irq).has(IRQD_ACTIVATED) {
        __irq_domain_deactivate_irq(k, d);
        k.desc_mut(d.irq).clear(IRQD_ACTIVATED);
    }
}

/// What has to hold between descriptors and domains.
///
/// # Errors
/// Which rule is broken, and where.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    let parent = |id: DomainId| k.irq.domains.get(id.index())?.as_ref()?.parent;
    for first in (0..k.irq.domains.len() as u32).map(DomainId) {
        // Who comes past more domains than there are has been somewhere twice.
        let ancestors = core::iter::successors(parent(first), |id| parent(*id));
        if ancestors.take(k.irq.domains.len() + 1).count() > k.irq.domains.len() {
            return Err("the irq domains' parents form a cycle".to_owned());
        }
    }
    let mut mapped = vec![0u32; k.irq.domains.len()];
    for irq in k.for_each_irq() {
        for (level, data) in k.desc(irq).irq_data.iter().enumerate() {
            let Some(id) = data.domain else { continue };
            let domain = k.irq.domains.get(id.index()).and_then(Option::as_ref);
            let Some(domain) = domain else {
                return Err(format!("irq {irq} level {level} points to domain {id}, which is gone"));
            };
            mapped[id.index()] += 1;
            if domain.revmap.get(&data.hwirq) != Some(&irq) {
                return Err(format!(
                    "irq {irq}: domain {} does not find it at hwirq {:#x}",
                    domain.name, data.hwirq
                ));
            }
            let next = k.desc(irq).irq_data.get(level + 1).and_then(|d| d.domain);
            if next.is_some() && domain.parent != next {
                return Err(format!("irq {irq} level {level}: its parent data is not of the parent domain"));
            }
        }
    }
    for (i, domain) in k.irq.domains.iter().enumerate() {
        let Some(domain) = domain else { continue };
        if domain.mapcount != mapped[i] || domain.revmap.len() != mapped[i] as usize {
            return Err(format!(
                "domain {}: mapcount {}, {} entries, but {} interrupts",
                domain.name,
                domain.mapcount,
                domain.revmap.len(),
                mapped[i]
            ));
        }
    }
    Ok(())
}
