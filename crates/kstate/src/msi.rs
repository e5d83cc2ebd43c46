//! `struct msi_desc`, `struct msi_msg`, MSI domain descriptions (include/linux/msi.h).

use crate::arena::Arena;
use crate::irqdesc::FlowHandler;
use crate::{ChipId, CpuMask, Irq, MsiDescId, PciDevId};

/// `struct msi_msg`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsiMsg {
    /// Lower half of the address.
    pub address_lo: u32,
    /// Upper half of the address.
    pub address_hi: u32,
    /// Data.
    pub data: u32,
}

/// `struct irq_affinity_desc`: CPUs for one vector, and whether the kernel manages them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqAffinityDesc {
    /// The CPUs.
    pub mask: CpuMask,
    /// The kernel manages them.
    pub is_managed: bool,
}

/// `struct msi_desc`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsiDesc {
    /// The first interrupt, `None` before it is allocated.
    pub irq: Option<Irq>,
    /// How many interrupts.
    pub nvec_used: u32,
    /// The function.
    pub dev: PciDevId,
    /// The last message written.
    pub msg: MsiMsg,
    /// Affinity of each interrupt, where the caller asked for one.
    pub affinity: Option<Vec<IrqAffinityDesc>>,
    /// MSI-X rather than MSI.
    pub is_msix: bool,
    /// Multiple-message capable: log2 (MSI).
    pub multi_cap: u8,
    /// Messages in use: log2 (MSI).
    pub multiple: u8,
    /// Can be masked.
    pub can_mask: bool,
    /// 64-bit address.
    pub is_64: bool,
    /// Entry number in the table.
    pub entry_nr: u16,
    /// The interrupt the function had before.
    pub default_irq: u32,
    /// Cached mask bits (MSI) or vector control (MSI-X).
    pub masked: u32,
    /// Position of the mask register (MSI).
    pub mask_pos: u16,
    /// Index in the device's store (6.12).
    pub msi_index: u32,
}

/// `struct msi_domain_info`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsiDomainInfo {
    /// `MSI_FLAG_*`.
    pub flags: u32,
    /// `DOMAIN_BUS_*`.
    pub bus_token: u32,
    /// Upper bound of hardware numbers (6.12).
    pub hwsize: u32,
    /// The chip.
    pub chip: ChipId,
    /// The flow handler.
    pub handler: FlowHandler,
    /// Its name.
    pub handler_name: Option<&'static str>,
    /// Which driver's callbacks (`msi_domain_ops`).
    pub ops: MsiOps,
}

/// Which `struct msi_domain_ops` an MSI domain has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MsiOps {
    /// The global PCI/MSI domain of 5.4.
    #[default]
    PciMsi,
    /// The remapped IR-PCI-MSI domain of 5.4.
    PciMsiRemapped,
    /// A device's own MSI domain.
    DeviceMsi,
    /// A device's own MSI-X domain.
    DeviceMsix,
    /// The IOMMU's fault interrupts.
    Dmar,
}

/// All MSI descriptors.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Msi {
    /// The descriptors; a device lists its own.
    pub descs: Arena<MsiDescId, MsiDesc>,
}
