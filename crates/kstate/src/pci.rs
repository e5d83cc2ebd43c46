//! `struct pci_dev` and what hangs off its `struct device` for MSI (include/linux/pci.h,
//! include/linux/device.h, kernel/irq/msi.c).

use crate::data::Data;
use crate::irqdomain::IrqAllocInfo;
use crate::msi::{IrqAffinity, IrqAffinityDesc};
use crate::named::by_name;
use crate::sched::{Call, Mutex};
use crate::sorted::SortedMap;
use crate::{DomainId, Errno, Irq, Kernel, MsiDescId, PciDevId, PciDriverId};

/// `PCI_ANY_ID`: a device table's entry takes every value.
pub const PCI_ANY_ID: u32 = !0;

/// `struct pci_device_id`: functions that a driver drives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PciDeviceId {
    /// Vendor ID or [`PCI_ANY_ID`].
    pub vendor: u32,
    /// Device ID or [`PCI_ANY_ID`].
    pub device: u32,
    /// Class code, in the bits of `class_mask`.
    pub class: u32,
    /// Which bits of the class code count.
    pub class_mask: u32,
}

impl PciDeviceId {
    /// `PCI_DEVICE()`.
    pub const fn device(vendor: u32, device: u32) -> Self {
        Self { vendor, device, class: 0, class_mask: 0 }
    }
    /// `PCI_DEVICE_CLASS()`.
    pub const fn class(class: u32, class_mask: u32) -> Self {
        Self { vendor: PCI_ANY_ID, device: PCI_ANY_ID, class, class_mask }
    }
}

/// `enum probe_type`: whether a driver is probed beside others at boot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProbeType {
    /// `PROBE_DEFAULT_STRATEGY`: one after the other.
    Default,
    /// `PROBE_PREFER_ASYNCHRONOUS`.
    PreferAsynchronous,
}

/// `struct pci_driver`: what a driver gives to the bus. The name identifies it.
#[derive(Clone, Copy)]
pub struct PciDriver {
    /// `name`, also of its directory below /sys/bus/pci/drivers.
    pub name: &'static str,
    /// `id_table`.
    pub id_table: &'static [PciDeviceId],
    /// `probe`: binds a function.
    pub probe: fn(&Kernel, PciDevId) -> Call<Result<(), Errno>>,
    /// `remove`: lets it go.
    pub remove: fn(&Kernel, PciDevId) -> Call<()>,
    /// `shutdown`: the machine goes down.
    pub shutdown: Option<fn(&Kernel, PciDevId) -> Call<()>>,
    /// `err_handler->reset_prepare`: the function is going to be reset.
    pub reset_prepare: Option<fn(&Kernel, PciDevId) -> Call<()>>,
    /// `driver.probe_type`.
    pub probe_type: fn(&Kernel) -> ProbeType,
    /// Its functions are bound at boot. Others are bound by whoever needs them.
    pub built_in: bool,
    /// Several of its functions come up at the same time, whether in their probes or behind them, so
    /// that one may overtake another.
    pub overlaps: bool,
}

by_name! { BusType PciDriver }

/// `struct bus_type`: what the driver core asks of a bus. The name identifies it.
// DEVIATION: a device of the driver core is a PCI function. Nothing else is bound by a file or taken away.
#[derive(Clone, Copy)]
pub struct BusType {
    /// `name`.
    pub name: &'static str,
    /// The registered driver that `match` finds for a device.
    pub matching: fn(&Kernel, PciDevId) -> Option<PciDriverId>,
    /// `probe`: binds a device.
    pub probe: fn(PciDevId) -> Call<Result<(), Errno>>,
    /// `remove`: lets it go.
    pub remove: fn(PciDevId) -> Call<()>,
}

/// `struct msi_dev_domain` (6.12): one domain of a device and the descriptors in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsiDevDomain {
    /// Descriptors by index.
    pub store: SortedMap<u32, MsiDescId>,
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

/// What is on the stack of whoever allocates vectors for a function: others run before all of them are there.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsiSetup {
    /// `affd` of `pci_alloc_irq_vectors_affinity()`, where the driver has one.
    pub affd: IrqAffinity,
    /// `masks`, from their making to the attempt that gives them to descriptors (6.12).
    pub masks: Option<Vec<IrqAffinityDesc>>,
    /// `entries` of `pci_enable_msix_range()`, where the driver chooses them by number.
    pub entries: Vec<MsixEntry>,
    /// `arg` of the loop that allocates the interrupts.
    pub arg: IrqAllocInfo,
}

/// `struct pci_dev`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PciDev {
    /// Bus, device and function as 8, 5 and 3 bits: `pci_dev_id()`.
    pub bdf: u16,
    /// The PCI segment.
    pub domain_nr: u32,
    /// The interrupt, 0 for none. An MSI replaces it while it is enabled.
    pub irq: u32,
    /// The interrupt pin, 1 for INTA, 0 for none.
    pub pin: u8,
    /// The GSI the pin is wired to, as the ACPI routing table says.
    pub gsi: u32,
    /// The ISA interrupt that the firmware gave the pin's link.
    pub isa_irq: u32,
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
    /// What the allocation that is under way was asked for; `None` while there is none.
    pub msi_setup: Option<Box<MsiSetup>>,
    /// Somebody holds `device_lock()`: a driver is being bound or unbound.
    pub device_lock: Mutex,
    /// The driver it is bound to.
    pub driver: Option<PciDriverId>,
    /// `dev_get_drvdata()`: what its driver keeps, unless the driver has a place of its own in the state.
    pub drvdata: Data,
}

impl PciDev {
    /// `pci_name()`: `0000:00:03.0`.
    pub fn name(&self) -> String {
        let Self { bdf, domain_nr, .. } = self;
        format!("{domain_nr:04x}:{:02x}:{:02x}.{}", bdf >> 8, bdf >> 3 & 0x1f, bdf & 7)
    }

    /// What the allocation that is under way was asked for. Who begins one calls this first.
    pub fn msi_setup(&mut self) -> &mut MsiSetup {
        self.msi_setup.get_or_insert_default()
    }
}

/// drivers/pci: functions and their driver-visible state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PciState {
    /// `pci_bus_type`, once it is registered.
    pub bus: Option<&'static BusType>,
    /// By `PciDevId`.
    pub devs: Vec<PciDev>,
    /// The registered drivers, in the order in which the kernel's link order registers them.
    pub drivers: Vec<&'static PciDriver>,
    /// `pci_msi_enable`: off after `pci=nomsi`.
    pub pci_msi_enable: bool,
    /// `pci_msi_ignore_mask` (5.4): set by Xen only.
    pub pci_msi_ignore_mask: bool,
}

impl Default for PciState {
    fn default() -> Self {
        Self {
            bus: None,
            devs: Vec::new(),
            drivers: Vec::new(),
            pci_msi_enable: true,
            pci_msi_ignore_mask: false,
        }
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
    /// The driver that a PCI function is bound to.
    pub fn pci_driver_of(&self, dev: PciDevId) -> Option<&'static PciDriver> {
        self.pci_dev(dev).driver.map(|drv| self.pci.drivers[drv.index()])
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
