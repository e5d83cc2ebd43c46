//! Access to configuration space and to the MSI-X table: drivers/pci/access.c, and `readl` and
//! `writel` on a mapped table.

use kstate::{Kernel, MsiDescId, PciDevId};

use crate::hw::{config_read, config_write, msix};

/// `pci_read_config_byte()`.
pub fn pci_read_config_byte(k: &Kernel, dev: PciDevId, at: u16) -> u8 {
    config_read(k, dev, at, 1) as u8
}

/// `pci_read_config_word()`.
pub fn pci_read_config_word(k: &Kernel, dev: PciDevId, at: u16) -> u16 {
    config_read(k, dev, at, 2) as u16
}

/// `pci_read_config_dword()`.
pub fn pci_read_config_dword(k: &Kernel, dev: PciDevId, at: u16) -> u32 {
    config_read(k, dev, at, 4)
}

/// `pci_write_config_byte()`.
pub fn pci_write_config_byte(k: &mut Kernel, dev: PciDevId, at: u16, value: u8) {
    config_write(k, dev, at, 1, value.into());
}

/// `pci_write_config_word()`.
pub fn pci_write_config_word(k: &mut Kernel, dev: PciDevId, at: u16, value: u16) {
    config_write(k, dev, at, 2, value.into());
}

/// `pci_write_config_dword()`.
pub fn pci_write_config_dword(k: &mut Kernel, dev: PciDevId, at: u16, value: u32) {
    config_write(k, dev, at, 4, value);
}

/// Reads a dword of a descriptor's table entry.
pub(crate) fn readl(k: &Kernel, desc: MsiDescId, register: u32) -> u32 {
    let desc = &k.msi.descs[desc];
    msix::table_read(k, desc.dev, u32::from(desc.entry_nr) * msix::ENTRY_SIZE + register, 4) as u32
}

/// Writes a dword of a descriptor's table entry.
pub(crate) fn writel(k: &mut Kernel, value: u32, desc: MsiDescId, register: u32) {
    let desc = &k.msi.descs[desc];
    let (dev, offset) = (desc.dev, u32::from(desc.entry_nr) * msix::ENTRY_SIZE + register);
    msix::table_write(k, dev, offset, 4, value.into());
}
