//! drivers/iommu/irq_remapping.c of 5.4 and 6.12: the switch between kinds of remapping hardware.

use kfn::kfn;
use kstate::irqdomain::IrqAllocInfo;
use kstate::{DomainId, Errno, Kernel};

use super::{dmar, intel_irq_remapping as intel};

/// `nointremap`.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn setup_nointremap(k: &mut Kernel, _: Option<&str>) -> Result<(), Errno> {
    k.remap.disable_irq_remap = true;
    Ok(())
}

/// `intremap=`.
///
/// # Errors
/// `EINVAL` without a value.
// DEVIATION: no_x2apic_optout and nopost are read over, because machines here have neither the opt-out
// bit nor posted interrupts.
pub fn setup_irqremap(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    for option in value.ok_or(Errno::EINVAL)?.split(',') {
        if option.starts_with("on") {
            k.remap.disable_irq_remap = false;
        } else if option.starts_with("off") {
            k.remap.disable_irq_remap = true;
        } else if option.starts_with("nosid") {
            k.remap.disable_sourceid_checking = true;
        }
    }
    Ok(())
}

/// Finds remapping hardware and sets it up, still off.
#[kfn("drivers/iommu/irq_remapping.c")]
pub fn irq_remapping_prepare(k: &mut Kernel) -> Result<(), Errno> {
    if k.remap.disable_irq_remap {
        return Err(Errno::ENOSYS);
    }
    if intel::intel_prepare_irq_remapping(k).is_err() {
        return Err(Errno::ENOSYS);
    }
    k.remap.prepared = true;
    Ok(())
}

/// Turns remapping on; true when it can address x2APICs.
#[kfn("drivers/iommu/irq_remapping.c")]
pub fn irq_remapping_enable(k: &mut Kernel) -> Result<bool, Errno> {
    if !k.remap.prepared {
        return Err(Errno::ENODEV);
    }
    intel::intel_enable_irq_remapping(k)
}

/// Turns remapping off, on the way down.
#[kfn("drivers/iommu/irq_remapping.c")]
pub fn irq_remapping_disable(k: &mut Kernel) {
    if k.remap.enabled {
        intel::disable_irq_remapping(k);
    }
}

/// Sets up the units' fault interrupts at the end of the boot CPU's APIC setup.
#[kfn("drivers/iommu/irq_remapping.c")]
pub fn irq_remap_enable_fault_handling(k: &mut Kernel) -> Result<(), Errno> {
    if !k.remap.enabled {
        return Ok(());
    }
    // DEVIATION: 6.12 also registers enable_drhd_fault_handling() as a hotplug callback. It does
    // nothing for units that have an interrupt or no node, so that it is not called here.
    dmar::enable_drhd_fault_handling(k)
}

/// The remapping domain for an interrupt that is not allocated yet, if it is to be remapped (5.4).
#[kfn("drivers/iommu/irq_remapping.c")]
pub fn irq_remapping_get_ir_irq_domain(k: &mut Kernel, info: &IrqAllocInfo) -> Option<DomainId> {
    if !k.remap.prepared {
        return None;
    }
    intel::intel_get_ir_irq_domain(k, info)
}

/// The domain to allocate a device's MSI interrupts from, if they are to be remapped (5.4).
#[kfn("drivers/iommu/irq_remapping.c")]
pub fn irq_remapping_get_irq_domain(k: &mut Kernel, info: &IrqAllocInfo) -> Option<DomainId> {
    if !k.remap.prepared {
        return None;
    }
    intel::intel_get_irq_domain(k, info)
}
