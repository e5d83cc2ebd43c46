//! Enabling functions and their pins: drivers/pci/pci.c and arch/x86/pci/common.c of 5.4 and 6.12.

use kfn::{kfn, kframe};
use kstate::{Errno, Kernel, PciDevId};

use super::access::{pci_read_config_byte, pci_read_config_word, pci_write_config_word};
use super::acpi::{acpi_pci_irq_disable, acpi_pci_irq_enable};
use crate::hw::config::{COMMAND, INTERRUPT_PIN};
use crate::hw::{COMMAND_BUS_MASTER, COMMAND_INTERRUPT_DISABLE};

/// Command: Memory Space Enable.
const PCI_COMMAND_MEMORY: u16 = 1 << 1;

/// `pci_dev_msi_enabled()`.
pub fn pci_dev_msi_enabled(k: &Kernel, dev: PciDevId) -> bool {
    let dev = k.pci_dev(dev);
    dev.msi_enabled || dev.msix_enabled
}

/// Lets a function use its pin, or forbids it.
#[kfn("drivers/pci/pci.c")]
pub fn pci_intx(k: &mut Kernel, pdev: PciDevId, enable: bool) {
    let pci_command = pci_read_config_word(k, pdev, COMMAND);
    let new = if enable {
        pci_command & !COMMAND_INTERRUPT_DISABLE
    } else {
        pci_command | COMMAND_INTERRUPT_DISABLE
    };
    if new != pci_command {
        pci_write_config_word(k, pdev, COMMAND, new);
    }
}

/// Lets a function write to memory, which includes messages.
#[kfn("drivers/pci/pci.c")]
pub fn pci_set_master(k: &mut Kernel, dev: PciDevId) {
    let old_cmd = pci_read_config_word(k, dev, COMMAND);
    let cmd = old_cmd | COMMAND_BUS_MASTER;
    if cmd != old_cmd {
        pci_write_config_word(k, dev, COMMAND, cmd);
    }
}

#[kfn("arch/x86/pci/common.c")]
fn pcibios_enable_device(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let cmd = pci_read_config_word(k, dev, COMMAND);
    if cmd & PCI_COMMAND_MEMORY == 0 {
        pci_write_config_word(k, dev, COMMAND, cmd | PCI_COMMAND_MEMORY);
    }
    if !pci_dev_msi_enabled(k, dev) {
        return acpi_pci_irq_enable(k, dev);
    }
    Ok(())
}

#[kfn("drivers/pci/pci.c")]
fn do_pci_enable_device(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    pcibios_enable_device(k, dev)?;
    if pci_dev_msi_enabled(k, dev) {
        return Ok(());
    }
    if pci_read_config_byte(k, dev, INTERRUPT_PIN) != 0 {
        pci_intx(k, dev, true);
    }
    Ok(())
}

#[kfn("drivers/pci/pci.c")]
fn pci_enable_device_flags(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let enabled = &mut k.pci_dev_mut(dev).enable_cnt;
    *enabled += 1;
    if *enabled > 1 {
        return Ok(());
    }
    let ret = do_pci_enable_device(k, dev);
    if ret.is_err() {
        k.pci_dev_mut(dev).enable_cnt -= 1;
    }
    ret
}

/// Enables a function: its registers answer and its pin has an interrupt.
///
/// # Errors
/// Those of mapping the interrupt.
#[kfn("drivers/pci/pci.c")]
pub fn pci_enable_device(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    pci_enable_device_flags(k, dev)
}

/// Enables a function that has registers in memory only.
///
/// # Errors
/// Those of mapping the interrupt.
#[kfn("drivers/pci/pci.c")]
pub fn pci_enable_device_mem(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    pci_enable_device_flags(k, dev)
}

#[kframe("arch/x86/pci/common.c")]
fn pcibios_disable_device(k: &mut Kernel, dev: PciDevId) {
    if !pci_dev_msi_enabled(k, dev) {
        call!(acpi_pci_irq_disable(dev));
    }
}

/// Takes a function out of use: it can no longer write to memory, and its pin loses the interrupt.
/// Only the last of several users does that.
#[kframe("drivers/pci/pci.c")]
pub fn pci_disable_device(k: &mut Kernel, dev: PciDevId) {
    if k.pci_dev(dev).enable_cnt == 0 {
        let line = format!("{}: disabling already-disabled device", k.dev_name(dev));
        k.warn_once_text(line, "WARNING: at drivers/pci/pci.c pci_disable_device");
        return;
    }
    k.pci_dev_mut(dev).enable_cnt -= 1;
    if k.pci_dev(dev).enable_cnt != 0 {
        return;
    }
    let pci_command = pci_read_config_word(k, dev, COMMAND);
    if pci_command & COMMAND_BUS_MASTER != 0 {
        pci_write_config_word(k, dev, COMMAND, pci_command & !COMMAND_BUS_MASTER);
    }
    call!(pcibios_disable_device(dev));
}
