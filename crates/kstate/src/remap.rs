//! drivers/iommu/intel: interrupt remapping.

use crate::hw::vtd::Irte;
use crate::msi::MsiMsg;
use crate::{ChipId, DomainId, Irq};

/// `struct irq_2_iommu`: which entries belong to an interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Irq2Iommu {
    /// The unit, index into [`RemapState::iommus`].
    pub iommu: u32,
    /// First entry of the block.
    pub irte_index: u16,
    /// Which of the block.
    pub sub_handle: u16,
    /// log2 of the block's size.
    pub irte_mask: u8,
    /// `mode == IRQ_POSTING` (5.4). Nothing here posts interrupts, so it stays false.
    pub posted: bool,
    /// The message goes through a posted interrupt descriptor (6.12).
    pub posted_msi: bool,
    /// The interrupt belongs to a guest (6.12).
    pub posted_vcpu: bool,
}

/// `struct intel_ir_data`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct IntelIrData {
    /// The entries.
    pub irq_2_iommu: Irq2Iommu,
    /// The entry as it was last composed.
    pub irte_entry: Irte,
    /// The message that leads to the entry.
    pub msi_entry: MsiMsg,
}

/// `struct ir_table`: the table itself is in memory that the unit reads
/// ([`Vtd::table`](crate::hw::vtd::Vtd)).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrTable {
    /// Entries in use; words beyond the end are zero.
    pub bitmap: Vec<u64>,
}

/// `struct intel_iommu`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IntelIommu {
    /// Sequence number.
    pub seq_id: u32,
    /// `dmar0`.
    pub name: String,
    /// NUMA node, -1 for none.
    pub node: i32,
    /// Global command register, as last written.
    pub gcmd: u32,
    /// The remapping domain.
    pub ir_domain: Option<DomainId>,
    /// The MSI domain above it (5.4).
    pub ir_msi_domain: Option<DomainId>,
    /// The table.
    pub ir_table: Option<IrTable>,
    /// Queued invalidation is set up.
    pub qi: bool,
    /// The fault interrupt.
    pub irq: Option<Irq>,
}

/// `struct ioapic_scope`: which unit an IO-APIC is below, and its requester id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct IoapicScope {
    /// The unit.
    pub iommu: u32,
    /// Id of the IO-APIC.
    pub id: u32,
    /// PCI bus.
    pub bus: u8,
    /// PCI device and function.
    pub devfn: u8,
}

/// drivers/iommu/intel: interrupt remapping.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RemapState {
    /// `irq_remapping_enabled`.
    pub enabled: bool,
    /// `remap_ops`: preparation succeeded.
    pub prepared: bool,
    /// `disable_irq_remap`: the command line says no.
    pub disable_irq_remap: bool,
    /// `disable_sourceid_checking`: `intremap=nosid`.
    pub disable_sourceid_checking: bool,
    /// `eim_mode`: destinations have 32 bits.
    pub eim_mode: bool,
    /// The units (`for_each_iommu`).
    pub iommus: Vec<IntelIommu>,
    /// `ir_ioapic`.
    pub ir_ioapic: Vec<IoapicScope>,
    /// `struct intel_ir_data` by interrupt number.
    pub ir_data: Vec<Option<IntelIrData>>,
    /// `intel_ir_chip`.
    pub intel_ir_chip: ChipId,
}

impl RemapState {
    /// The data of an interrupt (`irq_data->chip_data` of its remapping level).
    pub fn data(&self, irq: Irq) -> Option<&IntelIrData> {
        self.ir_data.get(irq.index())?.as_ref()
    }
}
