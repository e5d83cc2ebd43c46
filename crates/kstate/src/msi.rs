//! `struct msi_desc`, `struct msi_msg`, MSI domain descriptions (include/linux/msi.h).

use core::fmt;
use core::hash::{Hash, Hasher};

use crate::arena::Arena;
use crate::irqchip::IrqChip;
use crate::irqdesc::{ChipData, FlowHandler};
use crate::irqdomain::IrqAllocInfo;
use crate::named::by_name;
use crate::names::Hex;
use crate::{ChipId, CpuMask, DomainId, Errno, Irq, Kernel, MsiDescId, PciDevId};

/// `struct msi_msg`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MsiMsg {
    /// Lower half of the address.
    pub address_lo: u32,
    /// Upper half of the address.
    pub address_hi: u32,
    /// Data.
    pub data: u32,
}

/// In hexadecimal, as the bus has it.
impl core::fmt::Debug for MsiMsg {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { address_lo, address_hi, data } = *self;
        f.debug_struct("MsiMsg")
            .field("address_lo", &Hex(address_lo.into()))
            .field("address_hi", &Hex(address_hi.into()))
            .field("data", &Hex(data.into()))
            .finish()
    }
}

/// `struct irq_affinity_desc`: CPUs for one vector, and whether the kernel manages them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqAffinityDesc {
    /// The CPUs.
    pub mask: CpuMask,
    /// The kernel manages them.
    pub is_managed: bool,
}

/// `IRQ_AFFINITY_MAX_SETS`.
pub const IRQ_AFFINITY_MAX_SETS: usize = 4;

/// A driver's `calc_sets` callback: divides so many vectors into sets. The name identifies it.
#[derive(Clone, Copy)]
pub struct CalcSets {
    /// The C function.
    pub name: &'static str,
    /// Divides so many vectors.
    pub call: fn(&mut Kernel, &mut IrqAffinity, u32),
}

by_name! { CalcSets }

/// `struct irq_affinity`: how a driver wants its vectors spread.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct IrqAffinity {
    /// Vectors at the front that are not spread.
    pub pre_vectors: u32,
    /// Vectors at the end that are not spread.
    pub post_vectors: u32,
    /// How many sets.
    pub nr_sets: u32,
    /// Size of each set.
    pub set_size: [u32; IRQ_AFFINITY_MAX_SETS],
    /// The driver's callback.
    pub calc_sets: Option<CalcSets>,
    /// The driver's word for its callback.
    pub priv_data: u64,
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
    /// Beyond the end of the table: has no hardware.
    pub is_virtual: bool,
    /// `mask_base`: the table is mapped.
    pub mask_base: bool,
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
    /// The driver's callbacks.
    pub ops: MsiDomainOps,
    /// What the chip's data in each new interrupt is.
    pub chip_data: ChipData,
    /// What an allocation description begins with, where the domain was prepared (6.16).
    pub alloc_data: Option<IrqAllocInfo>,
}

macro_rules! msi_flags {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {$($(#[$doc])* pub const $name: u32 = $value;)*};
}

// The numbers of 6.12. They are printed nowhere, so 5.4's own values are not needed.
msi_flags! {
    /// Fills in missing domain callbacks.
    MSI_FLAG_USE_DEF_DOM_OPS = 1 << 0;
    /// Fills in missing chip callbacks.
    MSI_FLAG_USE_DEF_CHIP_OPS = 1 << 1;
    /// Activates before the function sends anything.
    MSI_FLAG_ACTIVATE_EARLY = 1 << 2;
    /// Has to be activated again after early activation.
    MSI_FLAG_MUST_REACTIVATE = 1 << 3;
    /// Has entries in sysfs.
    MSI_FLAG_DEV_SYSFS = 1 << 4;
    /// The core allocates the descriptors.
    MSI_FLAG_ALLOC_SIMPLE_MSI_DESCS = 1 << 5;
    /// The core frees the descriptors.
    MSI_FLAG_FREE_MSI_DESCS = 1 << 6;
    /// Masks at the parent as well.
    MSI_FLAG_PCI_MSI_MASK_PARENT = 1 << 9;
    /// Starts and stops the parent as well (6.18).
    MSI_FLAG_PCI_MSI_STARTUP_PARENT = 1 << 10;
    /// The flags that no parent can take away.
    MSI_GENERIC_FLAGS_MASK = 0xffff;
    /// More than one MSI per function.
    MSI_FLAG_MULTI_PCI_MSI = 1 << 16;
    /// MSI-X.
    MSI_FLAG_PCI_MSIX = 1 << 17;
    /// Level triggered messages.
    MSI_FLAG_LEVEL_CAPABLE = 1 << 18;
    /// MSI-X without gaps only.
    MSI_FLAG_MSIX_CONTIGUOUS = 1 << 19;
    /// MSI-X vectors can be added later.
    MSI_FLAG_PCI_MSIX_ALLOC_DYN = 1 << 20;
    /// The affinity cannot be set.
    MSI_FLAG_NO_AFFINITY = 1 << 21;
    /// Must not be masked.
    MSI_FLAG_NO_MASK = 1 << 22;

    /// `DOMAIN_BUS_*`, with the numbers before 7.3: no particular bus.
    DOMAIN_BUS_ANY = 0;
    /// A global PCI/MSI domain.
    DOMAIN_BUS_PCI_MSI = 3;
    /// The MSI domain of one PCI function.
    DOMAIN_BUS_PCI_DEVICE_MSI = 11;
    /// The MSI-X domain of one PCI function.
    DOMAIN_BUS_PCI_DEVICE_MSIX = 12;
    /// The remapping domain of a VT-d unit.
    DOMAIN_BUS_DMAR = 13;
}

/// `MSI_DEFAULT_DOMAIN`: the only domain a PCI function has here.
pub const MSI_DEFAULT_DOMAIN: u32 = 0;
/// `MSI_XA_DOMAIN_SIZE`: the largest index space of a domain.
pub const MSI_XA_DOMAIN_SIZE: u32 = 0x1_0000;

type MsiInit = fn(&mut Kernel, DomainId, Irq, u64, &mut IrqAllocInfo) -> Result<(), Errno>;

/// `struct msi_domain_ops`. The domain's `msi_domain_info` is found through the domain. The C field
/// names are kept; a positive return value of C is `Ok(n)`.
#[derive(Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields are the C structure's own, documented in include/linux/msi.h")]
pub struct MsiDomainOps {
    /// The C name of the structure: identifies it.
    pub name: &'static str,
    pub get_hwirq: Option<fn(&Kernel, &IrqAllocInfo) -> u64>,
    pub msi_init: Option<MsiInit>,
    pub msi_free: Option<fn(&mut Kernel, DomainId, Irq)>,
    /// 5.4 only.
    pub msi_check: Option<fn(&mut Kernel, DomainId, PciDevId) -> Result<u32, Errno>>,
    pub msi_prepare: Option<fn(&mut Kernel, DomainId, PciDevId, u32, &mut IrqAllocInfo) -> Result<(), Errno>>,
    /// Undoes `msi_prepare` when the domain goes (6.16).
    pub msi_teardown: Option<fn(&mut Kernel, DomainId)>,
    /// 6.12 and later.
    pub prepare_desc: Option<fn(&mut Kernel, DomainId, &mut IrqAllocInfo, MsiDescId)>,
    pub set_desc: Option<fn(&mut Kernel, &mut IrqAllocInfo, MsiDescId)>,
    /// 5.4 only.
    pub handle_error: Option<fn(&mut Kernel, DomainId, MsiDescId, Errno) -> Result<u32, Errno>>,
}

// Missing callbacks are filled in while a domain is created and never change after that, so the name identifies
// the structure.
by_name! { MsiDomainOps }

/// `init_dev_msi_info`: device, the domain asked, the real parent, the child's description.
type InitDevMsiInfo = fn(&mut Kernel, PciDevId, DomainId, DomainId, &mut MsiDomainInfo) -> bool;

/// `struct msi_parent_ops` (6.12): what a domain offers to the per-device domains above it.
#[derive(Clone, Copy, Default)]
pub struct MsiParentOps {
    /// The C name of the structure: identifies it.
    pub name: &'static str,
    /// `MSI_FLAG_*` a child may have.
    pub supported_flags: u32,
    /// Put before the name of each child.
    pub prefix: Option<&'static str>,
    /// Completes the description of a child.
    pub init_dev_msi_info: Option<InitDevMsiInfo>,
}

by_name! { MsiParentOps }

/// `struct msi_domain_template` (6.12): what a per-device domain starts from.
#[derive(Clone, Debug, Default)]
pub struct MsiDomainTemplate {
    /// The chip; its name becomes the middle of the domain's.
    pub chip: IrqChip,
    /// The callbacks.
    pub ops: MsiDomainOps,
    /// The description, without chip and callbacks.
    pub info: MsiDomainInfo,
}

/// `pci_msi_create_irq_domain()`: firmware node name, description, parent.
type CreateIrqDomain = fn(&mut Kernel, &str, MsiDomainInfo, DomainId) -> Option<DomainId>;

/// What arch/x86 calls in drivers/pci/msi.c. `pcimsi::init` fills it in before the boot code of the
/// APICs runs, because that crate lies above the callers.
#[derive(Clone, Copy, Default)]
pub struct PciMsiHooks {
    /// `pci_msi_create_irq_domain()`. The chip in the description is completed with
    /// `pci_msi_mask_irq`, `pci_msi_unmask_irq` and `pci_msi_domain_write_msg`.
    pub pci_msi_create_irq_domain: Option<CreateIrqDomain>,
}

impl PartialEq for PciMsiHooks {
    fn eq(&self, other: &Self) -> bool {
        self.pci_msi_create_irq_domain.is_some() == other.pci_msi_create_irq_domain.is_some()
    }
}
impl Eq for PciMsiHooks {}
impl Hash for PciMsiHooks {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pci_msi_create_irq_domain.is_some().hash(state);
    }
}
impl fmt::Debug for PciMsiHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PciMsiHooks({})", self.pci_msi_create_irq_domain.is_some())
    }
}

/// All MSI descriptors.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Msi {
    /// The descriptors; a device lists its own.
    pub descs: Arena<MsiDescId, MsiDesc>,
    /// Calls from arch/x86 up into drivers/pci/msi.c.
    pub hooks: PciMsiHooks,
}

/// `pci_msi_domain_calc_hwirq()`: the number of a message in a global domain.
pub fn pci_msi_domain_calc_hwirq(k: &Kernel, desc: MsiDescId) -> u64 {
    let desc = &k.msi.descs[desc];
    let entry = if desc.is_msix { u64::from(desc.entry_nr) } else { 0 };
    let dev = &k.pci.devs[desc.dev.index()];
    entry | u64::from(dev.bdf) << 11 | u64::from(dev.domain_nr) << 27
}
