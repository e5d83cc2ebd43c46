//! The interrupt of a pin: drivers/acpi/pci_irq.c and arch/x86/kernel/acpi/boot.c of 5.4 and 6.12.

use kfn::{kfn, kframe};
use kstate::irqdomain::{AllocType, IrqAllocInfo};
use kstate::{Errno, Irq, Kernel, PciDevId};
use x86apic::kernel::io_apic::{IOAPIC_MAP_ALLOC, mp_map_gsi_to_irq, mp_unmap_irq};

#[kfn("arch/x86/kernel/acpi/boot.c")]
fn acpi_register_gsi_ioapic(k: &mut Kernel, dev: PciDevId, gsi: u32) -> Result<Irq, Errno> {
    let info = IrqAllocInfo {
        kind: AllocType::IoApic,
        node: k.pci_dev(dev).node,
        // The links of the routing table are shared and active high.
        trigger_level: true,
        polarity_low: false,
        valid: true,
        ..IrqAllocInfo::default()
    };
    mp_map_gsi_to_irq(k, gsi, IOAPIC_MAP_ALLOC, Some(&info))
}

/// Without an IO-APIC an interrupt is that of the 8259 with its number.
#[kfn("arch/x86/kernel/acpi/boot.c")]
fn acpi_register_gsi_pic(k: &mut Kernel, gsi: u32) -> Irq {
    x86apic::hw::pic::set_level(k, gsi);
    Irq(gsi)
}

/// `acpi_pci_link_allocate_irq()`, drivers/acpi/pci_link.c: the links keep what the firmware gave them,
/// which is an ISA interrupt where there is no IO-APIC.
fn link_gsi(k: &Kernel, dev: PciDevId) -> u32 {
    if k.apic.acpi_ioapic { k.pci_dev(dev).gsi } else { k.pci_dev(dev).isa_irq }
}

/// Maps the GSI of a function's pin.
#[kfn("drivers/acpi/pci_irq.c")]
pub fn acpi_pci_irq_enable(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let pci_dev = k.pci_dev(dev);
    if pci_dev.pin == 0 || pci_dev.irq_managed && pci_dev.irq > 0 {
        return Ok(());
    }
    let gsi = link_gsi(k, dev);
    let registered = if k.apic.acpi_ioapic {
        acpi_register_gsi_ioapic(k, dev, gsi)
    } else {
        Ok(acpi_register_gsi_pic(k, gsi))
    };
    match registered {
        Ok(irq) => {
            let dev = k.pci_dev_mut(dev);
            dev.irq = irq.0;
            dev.irq_managed = true;
            Ok(())
        }
        Err(e) => {
            let name = k.dev_name(dev);
            let pin = char::from(b'A' + k.pci_dev(dev).pin.saturating_sub(1));
            k.pr_warn(format!("{name}: PCI INT {pin}: failed to register GSI"));
            Err(e)
        }
    }
}

/// Gives the GSI of a function's pin back; the last user frees the interrupt.
#[kframe("drivers/acpi/pci_irq.c")]
pub fn acpi_pci_irq_disable(k: &mut Kernel, dev: PciDevId) {
    let pci_dev = k.pci_dev(dev);
    if pci_dev.pin == 0 || !pci_dev.irq_managed || pci_dev.irq == 0 {
        return;
    }
    let gsi = pci_dev.gsi;
    // An interrupt of the 8259 is not given back: there is no function to do it.
    let irq: Option<Irq> = mp_map_gsi_to_irq(k, gsi, 0, None).ok().filter(|_| k.apic.acpi_ioapic);
    if irq.is_some() {
        call!(mp_unmap_irq(irq.unwrap_or_default()));
    }
    k.pci_dev_mut(dev).irq_managed = false;
}
