//! `struct irq_domain` and its operations (include/linux/irqdomain.h).

use core::fmt;
use core::hash::{Hash, Hasher};
use std::collections::BTreeMap;

use crate::irqdesc::Irqd;
use crate::msi::MsiDomainInfo;
use crate::{CpuMask, DomainId, Errno, Irq, Kernel, MsiDescId, PciDevId};

/// What `struct irq_alloc_info` (arch/x86) carries down the hierarchy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqAllocInfo {
    /// `X86_IRQ_ALLOC_TYPE_*`.
    pub kind: AllocType,
    /// `X86_IRQ_ALLOC_LEGACY`: the vector of the 8259 days.
    pub legacy: bool,
    /// `X86_IRQ_ALLOC_CONTIGUOUS_VECTORS`.
    pub contiguous: bool,
    /// CPUs for the vector.
    pub mask: Option<CpuMask>,
    /// The PCI function.
    pub dev: Option<PciDevId>,
    /// The MSI descriptor (6.12: `info->desc`).
    pub desc: Option<MsiDescId>,
    /// The hardware number (`msi_hwirq`, `hwirq`).
    pub hwirq: u64,
    /// IO-APIC pin.
    pub ioapic_pin: u32,
    /// NUMA node, -1 for none.
    pub node: i32,
    /// Level triggered.
    pub trigger_level: bool,
    /// Active low.
    pub polarity_low: bool,
    /// Trigger and polarity are set.
    pub valid: bool,
    /// The IO-APIC entry's vector, written by the remapping domain.
    pub irte_index: u16,
}

/// `enum irq_alloc_type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum AllocType {
    /// None.
    #[default]
    None,
    /// IO-APIC pin.
    IoApic,
    /// HPET message.
    Hpet,
    /// PCI MSI.
    PciMsi,
    /// PCI MSI-X.
    PciMsix,
    /// Fault interrupt of an IOMMU.
    Dmar,
}

/// `struct irq_domain_ops`.
#[derive(Clone, Copy, Default)]
#[expect(
    missing_docs,
    reason = "the fields are the C structure's own, documented in include/linux/irqdomain.h"
)]
pub struct IrqDomainOps {
    /// The C name of the structure: identifies it.
    pub name: &'static str,
    pub alloc: Option<fn(&mut Kernel, DomainId, Irq, u32, &mut IrqAllocInfo) -> Result<(), Errno>>,
    pub free: Option<fn(&mut Kernel, DomainId, Irq, u32)>,
    pub activate: Option<fn(&mut Kernel, DomainId, Irqd, bool) -> Result<(), Errno>>,
    pub deactivate: Option<fn(&mut Kernel, DomainId, Irqd)>,
    /// Appends to the text; with no data it describes the domain, indented by so many spaces.
    pub debug_show: Option<fn(&Kernel, &mut String, Option<DomainId>, Option<Irqd>, usize)>,
}

impl PartialEq for IrqDomainOps {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for IrqDomainOps {}
impl Hash for IrqDomainOps {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
impl fmt::Debug for IrqDomainOps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// `struct irq_domain`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqDomain {
    /// Name in debugfs.
    pub name: String,
    /// Operations.
    pub ops: IrqDomainOps,
    /// `IRQ_DOMAIN_*` flags.
    pub flags: u32,
    /// How many interrupts are mapped.
    pub mapcount: u32,
    /// Size of the linear map, as debugfs shows it.
    pub revmap_size: u32,
    /// Interrupts by hardware number.
    pub revmap: BTreeMap<u64, Irq>,
    /// The domain below.
    pub parent: Option<DomainId>,
    /// For an MSI domain: its description (`host_data`).
    pub msi: Option<MsiDomainInfo>,
    /// The device it belongs to (6.12: `domain->dev`).
    pub dev: Option<PciDevId>,
    /// Token that tells domains of one device apart.
    pub bus_token: u32,
}

impl Kernel {
    /// A domain, which must exist.
    pub fn domain(&self, id: DomainId) -> &IrqDomain {
        self.irq.domains[id.index()].as_ref().expect("a removed irq domain")
    }
    /// A domain, mutably.
    pub fn domain_mut(&mut self, id: DomainId) -> &mut IrqDomain {
        self.irq.domains[id.index()].as_mut().expect("a removed irq domain")
    }
}
