//! drivers/iommu/intel_irq_remapping.c of 5.4 and drivers/iommu/intel/irq_remapping.c of 6.12: the
//! domain between the vector domain and the IO-APIC and MSI domains.

use kfn::kfn;
use kstate::apic::{ApicDriver, IoApicRouteEntry};
use kstate::hw::vtd::{CFI, IRE, IRTP, Irte};
use kstate::irqchip::{IrqChip, SetMask};
use kstate::irqdesc::{ChipData, IRQ_MOVE_PCNTXT, Irqd};
use kstate::irqdomain::{
    AllocType, IRQ_DOMAIN_FLAG_ISOLATED_MSI, IRQ_DOMAIN_FLAG_MSI_PARENT, IrqAllocInfo, IrqDomainOps,
};
use kstate::msi::{
    DOMAIN_BUS_DMAR, MSI_FLAG_MULTI_PCI_MSI, MSI_FLAG_PCI_MSIX, MSI_FLAG_PCI_MSIX_ALLOC_DYN,
    MSI_GENERIC_FLAGS_MASK, MsiMsg, MsiParentOps,
};
use kstate::remap::{IntelIrData, IoapicScope, IrTable, Irq2Iommu};
use kstate::semantics::{MsiDomains, VectorCleanup};
use kstate::{ChipId, CpuMask, DomainId, Errno, Irq, Kernel, PciDevId};

use super::{dmar, vector};
use crate::hw::vtd;

/// `INTR_REMAP_TABLE_ENTRIES`.
pub const INTR_REMAP_TABLE_ENTRIES: u32 = 65536;
/// `SVT_VERIFY_SID_SQ`.
const SVT_VERIFY_SID_SQ: u32 = 1;
/// `SVT_VERIFY_BUS`.
const SVT_VERIFY_BUS: u32 = 2;
/// `SQ_ALL_16`.
const SQ_ALL_16: u32 = 0;
/// `MSI_ADDR_BASE_LO`.
const MSI_ADDR_BASE_LO: u32 = 0xfee0_0000;
/// `MSI_ADDR_IR_EXT_INT`: remappable format.
const MSI_ADDR_IR_EXT_INT: u32 = 1 << 4;
/// `MSI_ADDR_IR_SHV`: the data is a subhandle.
const MSI_ADDR_IR_SHV: u32 = 1 << 3;

/// `irte->dest_id`: xAPIC destinations sit one byte higher.
fn irte_dest(k: &Kernel, dest: u32) -> u32 {
    if k.remap.eim_mode { dest } else { dest << 8 }
}

/// `bitmap_find_free_region()`: the lowest free block of `1 << order` entries, aligned to its size.
fn bitmap_find_free_region(bitmap: &mut Vec<u64>, bits: u32, order: u32) -> Option<u32> {
    let count = 1 << order;
    let test = |bitmap: &[u64], bit: u32| {
        bitmap.get((bit / 64) as usize).is_some_and(|word| word >> (bit % 64) & 1 != 0)
    };
    let free = |bitmap: &[u64], start: u32| (start..start + count).all(|bit| !test(bitmap, bit));
    // Full words are skipped, so that a long table costs one look per 64 entries.
    let mut start = 0;
    while start + count <= bits {
        if start % 64 == 0 && bitmap.get((start / 64) as usize) == Some(&u64::MAX) {
            start += count.max(64);
        } else if free(bitmap, start) {
            let words = ((start + count).div_ceil(64)) as usize;
            if bitmap.len() < words {
                bitmap.resize(words, 0);
            }
            (start..start + count).for_each(|bit| bitmap[(bit / 64) as usize] |= 1 << (bit % 64));
            return Some(start);
        } else {
            start += count;
        }
    }
    None
}

/// `bitmap_release_region()`.
fn bitmap_release_region(bitmap: &mut [u64], start: u32, order: u32) {
    for bit in start..start + (1 << order) {
        if let Some(word) = bitmap.get_mut((bit / 64) as usize) {
            *word &= !(1 << (bit % 64));
        }
    }
}

/// Allocates `count` entries, rounded up to a power of two.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn alloc_irte(k: &mut Kernel, iommu: u32, irq_iommu: &mut Irq2Iommu, count: u16) -> Result<u16, Errno> {
    if count == 0 {
        return Err(Errno::EPERM);
    }
    let mask = u32::from(count).next_power_of_two().trailing_zeros();
    if mask > u32::from(k.hw.vtd.max_handle_mask) {
        let max = k.hw.vtd.max_handle_mask;
        k.pr_warn(format!(
            "DMAR-IR: Requested mask {mask:x} exceeds the max invalidation handle mask value {max:x}"
        ));
        return Err(Errno::EPERM);
    }
    let table = k.remap.iommus[iommu as usize].ir_table.get_or_insert_default();
    let Some(index) = bitmap_find_free_region(&mut table.bitmap, INTR_REMAP_TABLE_ENTRIES, mask) else {
        let seq_id = k.remap.iommus[iommu as usize].seq_id;
        k.pr_warn(format!("DMAR-IR: IR{seq_id}: can't allocate an IRTE"));
        return Err(Errno::ENOMEM);
    };
    *irq_iommu = Irq2Iommu {
        iommu,
        irte_index: index as u16,
        sub_handle: 0,
        irte_mask: mask as u8,
        ..Irq2Iommu::default()
    };
    Ok(index as u16)
}

/// Makes the unit forget `1 << mask` cached entries from `index`.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn qi_flush_iec(k: &mut Kernel, _iommu: u32, index: u16, mask: u8) -> Result<(), Errno> {
    dmar::qi_submit_sync(k, index, mask)
}

/// Writes an entry into the table and flushes it.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn modify_irte(k: &mut Kernel, irq_iommu: Irq2Iommu, irte_modified: Irte) -> Result<(), Errno> {
    let index = irq_iommu.irte_index.wrapping_add(irq_iommu.sub_handle);
    vtd::write_irte(k, index, irte_modified);
    qi_flush_iec(k, irq_iommu.iommu, index, 0)
}

/// The unit that remaps an IO-APIC (`map_ioapic_to_ir()` in 5.4).
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn map_ioapic_to_iommu(k: &mut Kernel, apic: u32) -> Option<u32> {
    k.remap.ir_ioapic.iter().find(|scope| scope.id == apic).map(|scope| scope.iommu)
}

/// The unit that remaps a function; in 6.12 the caller wants its domain.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn map_dev_to_ir(k: &mut Kernel, dev: PciDevId) -> Option<u32> {
    dmar::dmar_find_matched_drhd_unit(k, dev)
}

/// Clears and frees the block of entries, when called for its first one.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn clear_entries(k: &mut Kernel, irq_iommu: Irq2Iommu) -> Result<(), Errno> {
    if irq_iommu.sub_handle != 0 {
        return Ok(());
    }
    let Irq2Iommu { iommu, irte_index, irte_mask, .. } = irq_iommu;
    let (start, order) = (u32::from(irte_index), u32::from(irte_mask));
    for entry in start..start + (1 << order) {
        vtd::write_irte(k, entry as u16, Irte::default());
    }
    if let Some(table) = &mut k.remap.iommus[iommu as usize].ir_table {
        bitmap_release_region(&mut table.bitmap, start, order);
    }
    qi_flush_iec(k, iommu, irte_index, irte_mask)
}

/// Says which requesters an entry is for.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn set_irte_sid(k: &mut Kernel, irte: &mut Irte, svt: u32, sq: u32, sid: u32) {
    irte.set_svt(if k.remap.disable_sourceid_checking { 0 } else { svt });
    irte.set_sq(sq);
    irte.set_sid(sid);
}

/// An entry for every requester on these buses.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn set_irte_verify_bus(k: &mut Kernel, irte: &mut Irte, start_bus: u32, end_bus: u32) {
    set_irte_sid(k, irte, SVT_VERIFY_BUS, SQ_ALL_16, start_bus << 8 | end_bus);
}

/// An entry for an IO-APIC.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn set_ioapic_sid(k: &mut Kernel, irte: &mut Irte, apic: u32) -> Result<(), Errno> {
    let scope = k.remap.ir_ioapic.iter().find(|scope| scope.id == apic);
    let sid = scope.map_or(0, |scope| u32::from(scope.bus) << 8 | u32::from(scope.devfn));
    if sid == 0 {
        k.pr_warn(format!("DMAR-IR: Failed to set source-id of IOAPIC ({apic})"));
        return Err(Errno::EPERM);
    }
    set_irte_sid(k, irte, SVT_VERIFY_SID_SQ, SQ_ALL_16, sid);
    Ok(())
}

/// `struct set_msi_sid_data`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SetMsiSidData {
    /// The last function seen on the way up.
    pub pdev: PciDevId,
    /// Its requester id.
    pub alias: u16,
    /// How many were seen.
    pub count: u32,
    /// How many of them on one bus.
    pub busmatch_count: u32,
}

/// Notes one requester id that a function's messages can carry.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn set_msi_sid_cb(k: &mut Kernel, pdev: PciDevId, alias: u16, data: &mut SetMsiSidData) {
    let _ = k;
    if data.count == 0 || alias >> 8 == data.alias >> 8 {
        data.busmatch_count += 1;
    }
    data.pdev = pdev;
    data.alias = alias;
    data.count += 1;
}

/// An entry for a PCI function.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn set_msi_sid(k: &mut Kernel, irte: &mut Irte, dev: PciDevId) {
    let mut data = SetMsiSidData::default();
    let own = k.pci_dev(dev).bdf;
    // DEVIATION: pci_for_each_dma_alias() stops at the function itself, because machines here have
    // no quirks of requester ids and no bridges to conventional PCI.
    set_msi_sid_cb(k, dev, own, &mut data);
    let last = k.pci_dev(data.pdev).bdf;
    if data.alias >> 8 != last >> 8 {
        set_irte_verify_bus(k, irte, u32::from(data.alias >> 8), u32::from(own >> 8));
    } else if data.count >= 2 && data.busmatch_count == data.count {
        set_irte_verify_bus(k, irte, u32::from(own >> 8), u32::from(own >> 8));
    } else if last >> 8 != own >> 8 {
        set_irte_sid(k, irte, SVT_VERIFY_SID_SQ, SQ_ALL_16, u32::from(data.alias));
    } else {
        set_irte_sid(k, irte, SVT_VERIFY_SID_SQ, SQ_ALL_16, u32::from(own));
    }
}

/// Tells the unit where the table is.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn iommu_set_irq_remapping(k: &mut Kernel, iommu: u32, mode: bool) {
    vtd::write_irta(k, INTR_REMAP_TABLE_ENTRIES, mode);
    let gcmd = k.remap.iommus[iommu as usize].gcmd;
    vtd::write_gcmd(k, gcmd | IRTP);
    dmar::qi_global_iec(k, iommu);
}

/// Turns remapping on and blocks messages of the compatibility format.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn iommu_enable_irq_remapping(k: &mut Kernel, iommu: u32) {
    let unit = &mut k.remap.iommus[iommu as usize];
    unit.gcmd |= IRE;
    unit.gcmd &= !CFI;
    let gcmd = unit.gcmd;
    vtd::write_gcmd(k, gcmd);
}

/// Turns remapping off.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn iommu_disable_irq_remapping(k: &mut Kernel, iommu: u32) {
    dmar::qi_global_iec(k, iommu);
    if !vtd::enabled(&k.hw.vtd) {
        return;
    }
    let unit = &mut k.remap.iommus[iommu as usize];
    unit.gcmd &= !IRE;
    let gcmd = unit.gcmd;
    vtd::write_gcmd(k, gcmd);
}

/// `dmar_msi_parent_ops` (6.12).
fn dmar_msi_parent_ops() -> MsiParentOps {
    MsiParentOps {
        name: "dmar_msi_parent_ops",
        supported_flags: MSI_GENERIC_FLAGS_MASK
            | MSI_FLAG_PCI_MSIX
            | MSI_FLAG_PCI_MSIX_ALLOC_DYN
            | MSI_FLAG_MULTI_PCI_MSI,
        prefix: Some("IR-"),
        init_dev_msi_info: Some(irqcore::msi::msi_parent_init_dev_msi_info),
    }
}

/// `intel_ir_domain_ops`.
fn intel_ir_domain_ops() -> IrqDomainOps {
    IrqDomainOps {
        name: "intel_ir_domain_ops",
        alloc: Some(intel_irq_remapping_alloc),
        free: Some(intel_irq_remapping_free),
        activate: Some(intel_irq_remapping_activate),
        deactivate: Some(intel_irq_remapping_deactivate),
        ..IrqDomainOps::default()
    }
}

/// Gives a unit its table and its domains.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_setup_irq_remapping(k: &mut Kernel, iommu: u32) -> Result<(), Errno> {
    let unit = &k.remap.iommus[iommu as usize];
    if unit.ir_table.is_some() {
        return Ok(());
    }
    let seq_id = unit.seq_id;
    if k.remap.intel_ir_chip == ChipId::default() {
        k.remap.intel_ir_chip = k.irq.add_chip(intel_ir_chip());
    }
    // `arch_get_ir_parent_domain()`
    let parent = k.apic.x86_vector_domain;
    let name = irqcore::irqdomain::irq_domain_alloc_named_id_fwnode(k, "INTEL-IR", seq_id as i32);
    let domain = irqcore::irqdomain::irq_domain_create_hierarchy(
        k,
        Some(parent),
        0,
        INTR_REMAP_TABLE_ENTRIES,
        &name,
        intel_ir_domain_ops(),
    );
    k.remap.iommus[iommu as usize].ir_domain = Some(domain);
    match k.sem.msi_domains {
        MsiDomains::Global => {
            let msi = super::msi::arch_create_remap_msi_irq_domain(k, domain, "INTEL-IR-MSI", seq_id);
            k.remap.iommus[iommu as usize].ir_msi_domain = msi;
        }
        MsiDomains::PerDevice => {
            irqcore::irqdomain::irq_domain_update_bus_token(k, domain, DOMAIN_BUS_DMAR);
            let domain = k.domain_mut(domain);
            domain.flags |= IRQ_DOMAIN_FLAG_MSI_PARENT | IRQ_DOMAIN_FLAG_ISOLATED_MSI;
            domain.msi_parent_ops = Some(dmar_msi_parent_ops());
        }
    }
    k.remap.iommus[iommu as usize].ir_table = Some(IrTable::default());
    if !k.remap.iommus[iommu as usize].qi {
        dmar::dmar_enable_qi(k, iommu);
    }
    // init_ir_status() finds remapping off, because nothing ran before this kernel.
    let eim = k.remap.eim_mode;
    iommu_set_irq_remapping(k, iommu, eim);
    Ok(())
}

/// Learns from the firmware's table which unit each IO-APIC is below, and its requester id.
fn parse_ioapics_under_ir(k: &mut Kernel) -> Result<(), Errno> {
    if !k.remap.ir_ioapic.is_empty() {
        return Ok(());
    }
    let sid = k.hw.ioapic.source_id;
    let scope = IoapicScope { iommu: 0, id: ioapic_id(k), bus: (sid >> 8) as u8, devfn: (sid & 0xff) as u8 };
    k.remap.ir_ioapic.push(scope);
    Ok(())
}

/// Id of the one IO-APIC (`mpc_ioapic_id(0)`).
fn ioapic_id(k: &Kernel) -> u32 {
    u32::from(k.hw.ioapic.id)
}

/// Finds the units and sets them up, with remapping still off.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
pub(crate) fn intel_prepare_irq_remapping(k: &mut Kernel) -> Result<(), Errno> {
    dmar::dmar_table_init(k)?;
    parse_ioapics_under_ir(k)?;
    // The CPUs of a machine whose unit can hold 32-bit destinations have x2APICs.
    k.remap.eim_mode = k.hw.vtd.eim && !k.params.nox2apic;
    for iommu in 0..k.remap.iommus.len() as u32 {
        intel_setup_irq_remapping(k, iommu)?;
    }
    Ok(())
}

/// Turns remapping on; true when it can address x2APICs.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
pub(crate) fn intel_enable_irq_remapping(k: &mut Kernel) -> Result<bool, Errno> {
    for iommu in 0..k.remap.iommus.len() as u32 {
        iommu_enable_irq_remapping(k, iommu);
    }
    if k.remap.iommus.is_empty() {
        return Err(Errno::ENODEV);
    }
    k.remap.enabled = true;
    let mode = if k.remap.eim_mode { "x2apic" } else { "xapic" };
    k.log.push(format!("DMAR-IR: Enabled IRQ remapping in {mode} mode"));
    Ok(k.remap.eim_mode)
}

/// Turns remapping off.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
pub(crate) fn disable_irq_remapping(k: &mut Kernel) {
    for iommu in 0..k.remap.iommus.len() as u32 {
        iommu_disable_irq_remapping(k, iommu);
    }
}

/// Makes the remapping domain the parent of a new function's MSI domains, unless it has one of its
/// own (6.12). Called for every function that appears.
#[kfn("drivers/iommu/intel/irq_remapping.c")]
pub fn intel_irq_remap_add_device(k: &mut Kernel, dev: PciDevId) {
    if !k.remap.enabled || !super::msi::pci_dev_has_default_msi_parent_domain(k, dev) {
        return;
    }
    let unit = map_dev_to_ir(k, dev);
    k.pci_dev_mut(dev).msi_domain = unit.and_then(|unit| k.remap.iommus[unit as usize].ir_domain);
}

/// An entry for this vector and destination.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn prepare_irte(k: &mut Kernel, irte: &mut Irte, vector: u32, dest: u32) {
    *irte = Irte::default();
    irte.set_present(1);
    irte.set_dst_mode(u32::from(k.apic.driver == ApicDriver::Flat));
    // Always edge: the level of an IO-APIC pin is kept in its redirection entry, which is what
    // makes moving it as simple as moving a message.
    irte.set_trigger_mode(0);
    irte.set_dlvry_mode(0);
    irte.set_vector(vector);
    irte.set_dest_id(irte_dest(k, dest));
    irte.set_redir_hint(1);
}

fn unit_of(k: &mut Kernel, info: &IrqAllocInfo) -> Option<u32> {
    match info.kind {
        AllocType::IoApic => {
            let id = ioapic_id(k);
            map_ioapic_to_iommu(k, id)
        }
        AllocType::PciMsi | AllocType::PciMsix => map_dev_to_ir(k, info.dev?),
        AllocType::None | AllocType::Hpet | AllocType::Dmar => None,
    }
}

/// The remapping domain an interrupt belongs below (5.4).
#[kfn("drivers/iommu/intel_irq_remapping.c")]
pub(crate) fn intel_get_ir_irq_domain(k: &mut Kernel, info: &IrqAllocInfo) -> Option<DomainId> {
    let unit = unit_of(k, info)?;
    k.remap.iommus[unit as usize].ir_domain
}

/// The MSI domain above the remapping domain (5.4).
#[kfn("drivers/iommu/intel_irq_remapping.c")]
pub(crate) fn intel_get_irq_domain(k: &mut Kernel, info: &IrqAllocInfo) -> Option<DomainId> {
    match info.kind {
        AllocType::PciMsi | AllocType::PciMsix => {
            let unit = map_dev_to_ir(k, info.dev?)?;
            k.remap.iommus[unit as usize].ir_msi_domain
        }
        _ => None,
    }
}

/// 6.12: does this domain serve the IO-APIC with that id (`intel_irq_remapping_select()`)?
#[kfn("drivers/iommu/intel/irq_remapping.c")]
fn intel_irq_remapping_select(k: &mut Kernel, domain: DomainId, ioapic: u32) -> bool {
    let unit = map_ioapic_to_iommu(k, ioapic);
    unit.is_some_and(|unit| k.remap.iommus[unit as usize].ir_domain == Some(domain))
}

/// 6.12: the entry goes to the hardware unless a guest owns the interrupt.
#[kfn("drivers/iommu/intel/irq_remapping.c")]
fn __intel_ir_reconfigure_irte(k: &mut Kernel, irqd: Irqd, force_host: bool) {
    let Some(data) = ir_data_mut(k, irqd.irq) else {
        return;
    };
    if data.irq_2_iommu.posted_vcpu && !force_host {
        return;
    }
    data.irq_2_iommu.posted_vcpu = false;
    let IntelIrData { irq_2_iommu, irte_entry, .. } = *data;
    // A failed flush has nobody to be told to.
    let _ = modify_irte(k, irq_2_iommu, irte_entry);
}

/// Brings the entry in line with the vector below.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_ir_reconfigure_irte(k: &mut Kernel, irqd: Irqd, force: bool) {
    let Some(cfg) = k.apic.apicd(irqd.irq).map(|apicd| *apicd.hw_irq_cfg) else {
        return;
    };
    let dest = irte_dest(k, cfg.dest_apicid);
    let Some(data) = ir_data_mut(k, irqd.irq) else {
        return;
    };
    data.irte_entry.set_vector(cfg.vector);
    data.irte_entry.set_dest_id(dest);
    let IntelIrData { irq_2_iommu, irte_entry, .. } = *data;
    if k.sem.ir_posted_flags {
        __intel_ir_reconfigure_irte(k, irqd, force);
    } else if force || !irq_2_iommu.posted {
        let _ = modify_irte(k, irq_2_iommu, irte_entry);
    }
}

/// Moves an interrupt: the vector domain finds a new place, and one write to the entry sends all
/// later interrupts there.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_ir_set_affinity(k: &mut Kernel, data: Irqd, mask: &CpuMask, force: bool) -> Result<SetMask, Errno> {
    let parent = data.parent();
    let set_affinity = k.chip(parent).irq_set_affinity.ok_or(Errno::ENOSYS)?;
    let ret = set_affinity(k, parent, mask, force)?;
    if ret == SetMask::OkDone {
        return Ok(ret);
    }
    intel_ir_reconfigure_irte(k, data, false);
    match k.sem.vector_cleanup {
        VectorCleanup::Ipi => vector::send_cleanup_vector(k, data.irq),
        VectorCleanup::Timer => vector::vector_schedule_cleanup(k, data.irq),
    }
    Ok(SetMask::OkDone)
}

/// The message never changes: it names the entry, not the vector.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_ir_compose_msi_msg(k: &mut Kernel, irq_data: Irqd, msg: &mut MsiMsg) {
    *msg = k.remap.data(irq_data.irq).map(|data| data.msi_entry).unwrap_or_default();
}

/// `intel_ir_chip`.
// DEVIATION: no irq_set_vcpu_affinity, because there are no guests.
fn intel_ir_chip() -> IrqChip {
    IrqChip {
        name: "INTEL-IR".to_owned(),
        irq_ack: Some(vector::apic_ack_irq),
        irq_set_affinity: Some(intel_ir_set_affinity),
        irq_compose_msi_msg: Some(intel_ir_compose_msi_msg),
        ..IrqChip::default()
    }
}

/// The remappable format of a message (VT-d specification 5.1.5.2).
fn remappable_msg(index: u16, subhandle: u16) -> MsiMsg {
    let index = u32::from(index);
    MsiMsg {
        address_lo: MSI_ADDR_BASE_LO
            | MSI_ADDR_IR_EXT_INT
            | MSI_ADDR_IR_SHV
            | (index & 0x7fff) << 5
            | (index & 0x8000) >> 13,
        address_hi: 0,
        data: u32::from(subhandle),
    }
}

/// 6.12: the message of any kind of interrupt.
#[kfn("drivers/iommu/intel/irq_remapping.c")]
fn fill_msi_msg(k: &mut Kernel, msg: &mut MsiMsg, index: u16, subhandle: u16) {
    let _ = k;
    *msg = remappable_msg(index, subhandle);
}

/// Composes the entry of an interrupt, and the message or redirection entry that leads to it.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_irq_remapping_prepare_irte(
    k: &mut Kernel,
    data: &mut IntelIrData,
    virq: Irq,
    info: &mut IrqAllocInfo,
    index: u16,
    sub_handle: u16,
) {
    let cfg = k.apic.apicd(virq).map(|apicd| *apicd.hw_irq_cfg).unwrap_or_default();
    prepare_irte(k, &mut data.irte_entry, cfg.vector, cfg.dest_apicid);
    let mut sub_handle = sub_handle;
    match info.kind {
        AllocType::IoApic => {
            let id = ioapic_id(k);
            // A pin without a requester id keeps an entry that any requester may use.
            let _ = set_ioapic_sid(k, &mut data.irte_entry, id);
            info.irte_index = index;
            if k.sem.ioapic_entry_from_msi {
                sub_handle = info.ioapic_pin as u16;
            } else {
                // The redirection entry's vector is a virtual one, the pin: the real one is in the
                // remapping entry, and the handler's EOI names the pin.
                info.ioapic_entry = Some(IoApicRouteEntry {
                    vector: info.ioapic_pin as u8,
                    dest_mode_logical: index >> 15 != 0,
                    is_level: info.trigger_level,
                    active_low: info.polarity_low,
                    masked: info.trigger_level,
                    w2: (u32::from(index) & 0x7fff) << 17 | 1 << 16,
                    ..IoApicRouteEntry::default()
                });
            }
        }
        AllocType::PciMsi | AllocType::PciMsix => {
            let dev = info.desc.map(|desc| k.msi.descs[desc].dev).or(info.dev);
            if let Some(dev) = dev {
                set_msi_sid(k, &mut data.irte_entry, dev);
            }
        }
        AllocType::None | AllocType::Hpet | AllocType::Dmar => {}
    }
    if k.sem.ioapic_entry_from_msi {
        fill_msi_msg(k, &mut data.msi_entry, index, sub_handle);
    } else if info.kind != AllocType::IoApic {
        data.msi_entry = remappable_msg(index, sub_handle);
    }
}

fn ir_data_mut(k: &mut Kernel, irq: Irq) -> Option<&mut IntelIrData> {
    k.remap.ir_data.get_mut(irq.index())?.as_mut()
}

/// Gives back the entries of interrupts.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_free_irq_resources(k: &mut Kernel, domain: DomainId, virq: Irq, nr_irqs: u32) {
    for i in 0..nr_irqs {
        let irq = Irq(virq.0 + i);
        let Some(irq_data) = irqcore::irqdomain::irq_domain_get_irq_data(k, domain, irq) else {
            continue;
        };
        if k.irqd(irq_data).chip_data != ChipData::IntelIr {
            continue;
        }
        if let Some(data) = k.remap.ir_data.get_mut(irq.index()).and_then(Option::take) {
            let _ = clear_entries(k, data.irq_2_iommu);
        }
        irqcore::irqdomain::irq_domain_reset_irq_data(k, irq_data);
    }
}

/// Allocates vectors below, then a block of entries for them.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_irq_remapping_alloc(
    k: &mut Kernel,
    domain: DomainId,
    virq: Irq,
    nr_irqs: u32,
    arg: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    let unit = k.remap.iommus.iter().position(|unit| unit.ir_domain == Some(domain)).ok_or(Errno::EINVAL)?;
    let several = match arg.kind {
        AllocType::PciMsi => true,
        AllocType::PciMsix => k.sem.msi_domains == MsiDomains::Global,
        _ => false,
    };
    if nr_irqs > 1 && !several {
        return Err(Errno::EINVAL);
    }
    // Remapped messages of one function need no adjacent vectors.
    if arg.kind == AllocType::PciMsi && k.sem.msi_domains == MsiDomains::Global {
        arg.contiguous = false;
    }
    irqcore::irqdomain::irq_domain_alloc_irqs_parent(k, domain, virq, nr_irqs, arg)?;
    let mut data = IntelIrData::default();
    let index = match alloc_irte(k, unit as u32, &mut data.irq_2_iommu, nr_irqs as u16) {
        Ok(index) => index,
        Err(_) => {
            k.pr_warn("DMAR-IR: Failed to allocate IRTE");
            irqcore::irqdomain::irq_domain_free_irqs_common(k, domain, virq, nr_irqs);
            return Err(Errno::ENOMEM);
        }
    };
    for i in 0..nr_irqs {
        let irq = Irq(virq.0 + i);
        let irq_data = irqcore::irqdomain::irq_domain_get_irq_data(k, domain, irq);
        let Some(irq_data) = irq_data.filter(|_| k.apic.apicd(irq).is_some()) else {
            intel_free_irq_resources(k, domain, virq, i);
            irqcore::irqdomain::irq_domain_free_irqs_common(k, domain, virq, nr_irqs);
            return Err(Errno::EINVAL);
        };
        let mut ird = data;
        ird.irq_2_iommu.sub_handle = i as u16;
        let chip = k.remap.intel_ir_chip;
        let level = k.irqd_mut(irq_data);
        level.hwirq = (u64::from(index) << 16) + u64::from(i);
        level.chip_data = ChipData::IntelIr;
        level.chip = chip;
        intel_irq_remapping_prepare_irte(k, &mut ird, irq, arg, index, i as u16);
        if k.remap.ir_data.len() <= irq.index() {
            k.remap.ir_data.resize(irq.index() + 1, None);
        }
        k.remap.ir_data[irq.index()] = Some(ird);
        // `irq_set_status_flags()`
        if !k.sem.move_deferred_by_chip {
            irqcore::chip::irq_modify_status(k, irq, 0, IRQ_MOVE_PCNTXT);
        }
    }
    Ok(())
}

/// Frees the entries, then the vectors below.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_irq_remapping_free(k: &mut Kernel, domain: DomainId, virq: Irq, nr_irqs: u32) {
    intel_free_irq_resources(k, domain, virq, nr_irqs);
    irqcore::irqdomain::irq_domain_free_irqs_common(k, domain, virq, nr_irqs);
}

/// Writes the entry for the vector that the level below just activated.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_irq_remapping_activate(
    k: &mut Kernel,
    _domain: DomainId,
    irq_data: Irqd,
    _reserve: bool,
) -> Result<(), Errno> {
    intel_ir_reconfigure_irte(k, irq_data, true);
    Ok(())
}

/// Clears the entry: messages that still come are refused.
#[kfn("drivers/iommu/intel_irq_remapping.c", "drivers/iommu/intel/irq_remapping.c")]
fn intel_irq_remapping_deactivate(k: &mut Kernel, _domain: DomainId, irq_data: Irqd) {
    let Some(data) = ir_data_mut(k, irq_data.irq) else {
        return;
    };
    data.irq_2_iommu.posted_vcpu = false;
    let irq_2_iommu = data.irq_2_iommu;
    let _ = modify_irte(k, irq_2_iommu, Irte::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_entries_are_aligned_and_reused() {
        let mut bitmap = Vec::new();
        let mut find = |order| bitmap_find_free_region(&mut bitmap, 256, order);
        assert_eq!([find(0), find(2), find(0), find(1)], [Some(0), Some(4), Some(1), Some(2)]);
        assert_eq!([find(6), find(7), find(6), find(3)], [Some(64), Some(128), None, Some(8)]);
        bitmap_release_region(&mut bitmap, 4, 2);
        assert_eq!(bitmap_find_free_region(&mut bitmap, 256, 0), Some(4));
    }

    #[test]
    fn a_message_names_its_entry() {
        let check = |index, subhandle, lo| {
            assert_eq!(
                remappable_msg(index, subhandle),
                MsiMsg { address_lo: lo, address_hi: 0, data: u32::from(subhandle) }
            );
        };
        check(0x16, 0, 0xfee0_02d8);
        check(0x8001, 3, 0xfee0_003c);
        check(0x7fff, 0, 0xfeef_fff8);
    }
}
