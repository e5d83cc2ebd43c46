//! `struct pci_dev` and what hangs off its `struct device` for MSI (include/linux/pci.h,
//! include/linux/device.h, kernel/irq/msi.c).

use std::collections::BTreeMap;

use crate::{DomainId, Irq, Kernel, MsiDescId, NvmeId, PciDevId, VirtioId};

/// Which driver is bound to a function, and its device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PciDriver {
    /// drivers/nvme/host/pci.c.
    Nvme(NvmeId),
    /// drivers/virtio/virtio_pci_common.c.
    VirtioPci(VirtioId),
    /// The lab's test module.
    Test,
}

/// `struct msi_dev_domain` (6.12): one domain of a device and the descriptors in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsiDevDomain {
    /// Descriptors by index.
    pub store: BTreeMap<u32, MsiDescId>,
    /// The domain.
    pub domain: Option<DomainId>,
}

/// `struct msi_device_data` (6.12). A PCI function has the default domain only.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsiDeviceData {
    /// `__domains[MSI_DEFAULT_DOMAIN]`.
    pub default_domain: MsiDevDomain,
}

/// `struct msix_entry`: an entry that a driver asks for by number, and the interrupt it got.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsixEntry {
    /// The interrupt.
    pub vector: u32,
    /// Entry number in the table.
    pub entry: u16,
}

/// `struct pci_dev`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PciDev {
    /// Bus, device and function as 8, 5 and 3 bits: `pci_dev_id()`.
    pub bdf: u16,
    /// The PCI segment.
    pub domain_nr: u16,
    /// The interrupt, 0 for none. An MSI replaces it while it is enabled.
    pub irq: u32,
    /// The interrupt pin, 1 for INTA, 0 for none.
    pub pin: u8,
    /// The GSI the pin is wired to, as the ACPI routing table says.
    pub gsi: u32,
    /// `irq` came from the routing table and has to be given back.
    pub irq_managed: bool,
    /// MSI is on.
    pub msi_enabled: bool,
    /// MSI-X is on.
    pub msix_enabled: bool,
    /// MSI must not be used.
    pub no_msi: bool,
    /// The MSI capability cannot hold a 64-bit address.
    pub no_64bit_msi: bool,
    /// Position of the MSI capability, 0 for none.
    pub msi_cap: u16,
    /// Position of the MSI-X capability, 0 for none.
    pub msix_cap: u16,
    /// `msix_base`: the MSI-X table is mapped (6.12).
    pub msix_base: bool,
    /// `pcim_enable_device()` was used.
    pub is_managed: bool,
    /// MSI is released by devres (6.12).
    pub is_msi_managed: bool,
    /// The function is gone.
    pub disconnected: bool,
    /// How often the function was enabled.
    pub enable_cnt: u32,
    /// `numa_node`, -1 for none.
    pub node: i32,
    /// `dev->msi_domain` (5.4), `dev->msi.domain` (6.12).
    pub msi_domain: Option<DomainId>,
    /// `dev->msi_list` (5.4).
    pub msi_list: Vec<MsiDescId>,
    /// `dev->msi.data` (6.12).
    pub msi_data: Option<MsiDeviceData>,
    /// Somebody holds `device_lock()`: a driver is being bound or unbound.
    pub device_lock: bool,
    /// The driver it is bound to.
    pub driver: Option<PciDriver>,
}

impl PciDev {
    /// `pci_name()`: `0000:00:03.0`.
    pub fn name(&self) -> String {
        let Self { bdf, domain_nr, .. } = self;
        format!("{domain_nr:04x}:{:02x}:{:02x}.{}", bdf >> 8, bdf >> 3 & 0x1f, bdf & 7)
    }
}

/// drivers/pci: functions and their driver-visible state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PciState {
    /// By `PciDevId`.
    pub devs: Vec<PciDev>,
    /// `pci_msi_enable`: off after `pci=nomsi`.
    pub pci_msi_enable: bool,
    /// `pci_msi_ignore_mask` (5.4): set by Xen only.
    pub pci_msi_ignore_mask: bool,
}

impl Default for PciState {
    fn default() -> Self {
        Self { devs: Vec::new(), pci_msi_enable: true, pci_msi_ignore_mask: false }
    }
}

impl Kernel {
    /// A PCI function, which must exist.
    pub fn pci_dev(&self, dev: PciDevId) -> &PciDev {
        &self.pci.devs[dev.index()]
    }
    /// A PCI function, mutably.
    pub fn pci_dev_mut(&mut self, dev: PciDevId) -> &mut PciDev {
        &mut self.pci.devs[dev.index()]
    }
    /// The function with this name, such as `0000:00:03.0`.
    pub fn find_pci_dev(&self, name: &str) -> Option<PciDevId> {
        let i = self.pci.devs.iter().position(|d| d.name() == name)?;
        Some(PciDevId(i as u32))
    }
    /// `irq_desc_get_msi_desc()`.
    pub fn irq_get_msi_desc(&self, irq: Irq) -> Option<MsiDescId> {
        self.find_desc(irq)?.irq_common_data.msi_desc
    }
}
