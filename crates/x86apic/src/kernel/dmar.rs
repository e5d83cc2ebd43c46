//! drivers/iommu/dmar.c of 5.4 and drivers/iommu/intel/dmar.c of 6.12: VT-d units and their fault
//! interrupts.

use kfn::kfn;
use kstate::hw::vtd::{FECTL_IM, PFO, QIE};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn, Irqd};
use kstate::msi::MsiMsg;
use kstate::remap::IntelIommu;
use kstate::{Errno, Irq, Kernel, PciDevId};

use super::msi::{DmarMsiOps, dmar_alloc_hwirq};
use crate::hw::vtd;

/// `IRQF_NO_THREAD`.
const IRQF_NO_THREAD: u32 = 0x0001_0000;

/// `dmar_table_init()`: one `struct intel_iommu` per unit of the machine.
pub fn dmar_table_init(k: &mut Kernel) -> Result<(), Errno> {
    if !k.hw.vtd.present {
        return Err(Errno::ENODEV);
    }
    if k.remap.iommus.is_empty() {
        // DEVIATION: one unit, which all devices are below (INCLUDE_PCI_ALL), and no table that
        // says which node it is near.
        k.remap.iommus.push(IntelIommu { name: "dmar0".to_owned(), node: -1, ..IntelIommu::default() });
    }
    Ok(())
}

/// The unit a function is below.
pub fn dmar_find_matched_drhd_unit(k: &Kernel, _dev: PciDevId) -> Option<u32> {
    (!k.remap.iommus.is_empty()).then_some(0)
}

/// `dmar_enable_qi()`: turns queued invalidation on.
pub fn dmar_enable_qi(k: &mut Kernel, iommu: u32) {
    let unit = &mut k.remap.iommus[iommu as usize];
    unit.qi = true;
    unit.gcmd |= QIE;
    let gcmd = unit.gcmd;
    vtd::write_gcmd(k, gcmd);
}

/// `qi_global_iec()`: forgets all cached entries.
pub fn qi_global_iec(k: &mut Kernel, _iommu: u32) {
    vtd::invalidate_iec(k, None);
}

/// `qi_submit_sync()` with an interrupt entry cache descriptor. It waits for the hardware, which
/// answers at once.
pub fn qi_submit_sync(k: &mut Kernel, index: u16, mask: u8) -> Result<(), Errno> {
    vtd::invalidate_iec(k, Some((index, mask)));
    Ok(())
}

/// Lets fault interrupts through.
#[kfn("drivers/iommu/dmar.c", "drivers/iommu/intel/dmar.c")]
pub fn dmar_msi_unmask(k: &mut Kernel, _data: Irqd) {
    vtd::write_fectl(k, 0);
}

/// Holds fault interrupts back.
#[kfn("drivers/iommu/dmar.c", "drivers/iommu/intel/dmar.c")]
pub fn dmar_msi_mask(k: &mut Kernel, _data: Irqd) {
    vtd::write_fectl(k, FECTL_IM);
}

/// Writes the message of the fault interrupt.
#[kfn("drivers/iommu/dmar.c", "drivers/iommu/intel/dmar.c")]
pub fn dmar_msi_write(k: &mut Kernel, _irq: Irq, msg: &MsiMsg) {
    k.hw.vtd.fedata = msg.data;
    k.hw.vtd.feaddr = u64::from(msg.address_hi) << 32 | u64::from(msg.address_lo);
}

/// `irq_remap_fault_reasons`, from 20H on.
const IRQ_REMAP_FAULT_REASONS: [&str; 7] = [
    "Detected reserved fields in the decoded interrupt-remapped request",
    "Interrupt index exceeded the interrupt-remapping table size",
    "Present field in the IRTE entry is clear",
    "Error accessing interrupt-remapping table pointed by IRTA_REG",
    "Detected reserved fields in the IRTE entry",
    "Blocked a compatibility format interrupt request",
    "Blocked an interrupt request due to source-id verification failure",
];

/// Reports one fault in the log.
#[kfn("drivers/iommu/dmar.c", "drivers/iommu/intel/dmar.c")]
fn dmar_fault_do_one(k: &mut Kernel, fault_reason: u8, source_id: u16, index: u16) {
    let reason = IRQ_REMAP_FAULT_REASONS[usize::from(fault_reason - 0x20)];
    let (bus, slot, func) = (source_id >> 8, source_id >> 3 & 0x1f, source_id & 7);
    let numbers = if k.sem.dmar_fault_hex {
        format!("0x{index:x} [fault reason 0x{fault_reason:02x}]")
    } else {
        format!("{index:x} [fault reason {fault_reason:02}]")
    };
    // The units of the chipset are in segment 0.
    let segment = if k.sem.dmar_fault_segment { "0000:" } else { "" };
    k.log.push(format!(
        "DMAR: [INTR-REMAP] Request device [{segment}{bus:02x}:{slot:02x}.{func}] fault index {numbers} {reason}"
    ));
}

/// The fault interrupt's handler: takes every record.
// DEVIATION: the log is not rate-limited.
#[kfn("drivers/iommu/dmar.c", "drivers/iommu/intel/dmar.c")]
pub fn dmar_fault(k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    let fault_status = k.hw.vtd.fsts;
    if fault_status != 0 {
        k.log.push(format!("DMAR: DRHD: handling fault status reg {fault_status:x}"));
    }
    while let Some(record) = vtd::take_fault(k) {
        dmar_fault_do_one(k, record.reason as u8, record.source, record.index);
    }
    vtd::write_fsts(k, PFO);
    IrqReturn::Handled
}

/// Gives a unit its fault interrupt, once.
#[kfn("drivers/iommu/dmar.c", "drivers/iommu/intel/dmar.c")]
pub fn dmar_set_interrupt(k: &mut Kernel, iommu: u32) -> Result<(), Errno> {
    let unit = &k.remap.iommus[iommu as usize];
    if unit.irq.is_some() {
        return Ok(());
    }
    let (seq_id, node, name) = (unit.seq_id, unit.node, unit.name.clone());
    let ops = DmarMsiOps { unmask: dmar_msi_unmask, mask: dmar_msi_mask, write: dmar_msi_write_msg };
    let Ok(irq) = dmar_alloc_hwirq(k, seq_id, node, ops) else {
        k.pr_warn("DMAR: No free IRQ vectors");
        return Err(Errno::EINVAL);
    };
    k.remap.iommus[iommu as usize].irq = Some(irq);
    let handler = Handler { name: "dmar_fault", call: dmar_fault };
    irqcore::manage::request_threaded_irq(
        k,
        irq,
        Some(handler),
        None,
        IRQF_NO_THREAD,
        &name,
        DevId::Iommu(iommu),
    )
}

/// Gives the units their fault interrupts; in 6.12 those of this CPU's node only, so that a unit
/// without a node is left to [`init_dmars`].
#[kfn("drivers/iommu/dmar.c", "drivers/iommu/intel/dmar.c")]
pub fn enable_drhd_fault_handling(k: &mut Kernel) -> Result<(), Errno> {
    let here = k.cpu_to_node(k.cpu()).0 as i32;
    for iommu in 0..k.remap.iommus.len() as u32 {
        let unit = &k.remap.iommus[iommu as usize];
        if k.sem.drhd_fault_per_node && (unit.irq.is_some() || unit.node != here) {
            continue;
        }
        if dmar_set_interrupt(k, iommu).is_err() {
            return Err(Errno::EPERM);
        }
        let irq = k.remap.iommus[iommu as usize].irq.unwrap_or_default();
        dmar_fault(k, irq, DevId::Iommu(iommu));
    }
    Ok(())
}

/// `init_dmars()` of drivers/iommu/intel/iommu.c, as far as interrupts are concerned: runs after
/// all CPUs are up and before drivers probe, where DMA remapping is on.
pub fn init_dmars(k: &mut Kernel) -> Result<(), Errno> {
    let on = k.params.intel_iommu.unwrap_or(k.sem.intel_iommu_default_on);
    if !on || !k.hw.vtd.present || dmar_table_init(k).is_err() {
        return Ok(());
    }
    for iommu in 0..k.remap.iommus.len() as u32 {
        dmar_set_interrupt(k, iommu)?;
    }
    Ok(())
}

/// `dmar_msi_write_msg()` of arch/x86/kernel/apic/msi.c: hands the message to the unit.
#[kfn("arch/x86/kernel/apic/msi.c")]
fn dmar_msi_write_msg(k: &mut Kernel, data: Irqd, msg: &MsiMsg) {
    dmar_msi_write(k, data.irq, msg);
}
