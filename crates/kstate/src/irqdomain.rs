//! `struct irq_domain` and its operations (include/linux/irqdomain.h).

use crate::irqdesc::Irqd;
use crate::msi::{MsiDomainInfo, MsiParentOps};
use crate::named::by_name;
use crate::sorted::SortedMap;
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
    /// `ioapic_entry` (5.4): the redirection entry, `None` unless the remapping domain wrote it.
    pub ioapic_entry: Option<crate::apic::IoApicRouteEntry>,
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

type AllocCb = fn(&mut Kernel, DomainId, Irq, u32, &mut IrqAllocInfo) -> Result<(), Errno>;
type ActivateCb = fn(&mut Kernel, DomainId, Irqd, bool) -> Result<(), Errno>;
type DebugShowCb = fn(&Kernel, &mut String, Option<DomainId>, Option<Irqd>, usize);

/// `struct irq_domain_ops`.
#[derive(Clone, Copy, Default)]
#[expect(
    missing_docs,
    reason = "the fields are the C structure's own, documented in include/linux/irqdomain.h"
)]
pub struct IrqDomainOps {
    /// The C name of the structure: identifies it.
    pub name: &'static str,
    pub alloc: Option<AllocCb>,
    pub free: Option<fn(&mut Kernel, DomainId, Irq, u32)>,
    pub activate: Option<ActivateCb>,
    pub deactivate: Option<fn(&mut Kernel, DomainId, Irqd)>,
    /// Appends to the text; with no data it describes the domain, indented by so many spaces.
    pub debug_show: Option<DebugShowCb>,
}

by_name! { IrqDomainOps }

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {$($(#[$doc])* pub const $name: u32 = $value;)*};
}

bits! {
    /// Part of a hierarchy.
    IRQ_DOMAIN_FLAG_HIERARCHY = 1 << 0;
    /// The name belongs to the domain, value of 6.12; 5.4 has it at bit 6.
    IRQ_DOMAIN_NAME_ALLOCATED = 1 << 1;
    /// An interrupt between processors, one per CPU.
    IRQ_DOMAIN_FLAG_IPI_PER_CPU = 1 << 2;
    /// An interrupt between processors, one for all.
    IRQ_DOMAIN_FLAG_IPI_SINGLE = 1 << 3;
    /// MSI.
    IRQ_DOMAIN_FLAG_MSI = 1 << 4;
    /// `IRQ_DOMAIN_FLAG_MSI_REMAP` (5.4), `IRQ_DOMAIN_FLAG_ISOLATED_MSI` (6.12).
    IRQ_DOMAIN_FLAG_ISOLATED_MSI = 1 << 5;
    /// No reverse map (6.12).
    IRQ_DOMAIN_FLAG_NO_MAP = 1 << 6;
    /// Can be the parent of a device's MSI domain (6.12).
    IRQ_DOMAIN_FLAG_MSI_PARENT = 1 << 8;
    /// A device's MSI domain (6.12).
    IRQ_DOMAIN_FLAG_MSI_DEVICE = 1 << 9;
    /// The first flag that is not the core's.
    IRQ_DOMAIN_FLAG_NONCORE = 1 << 16;
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
    /// One more than the highest hardware number.
    pub hwirq_max: u64,
    /// Interrupts by hardware number.
    pub revmap: SortedMap<u64, Irq>,
    /// The domain below.
    pub parent: Option<DomainId>,
    /// For an MSI domain: its description (`host_data`).
    pub msi: Option<MsiDomainInfo>,
    /// What it offers to per-device MSI domains above it (6.12).
    pub msi_parent_ops: Option<MsiParentOps>,
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
