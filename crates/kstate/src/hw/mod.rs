//! Registers of every device. Each device has its own module; what the registers do is in the
//! crate of the device.

use crate::copied::clone_by_field;
use crate::shared::Shared;

pub mod ioapic;
pub mod lapic;
pub mod nvme;
pub mod pci;
pub mod pic;
pub mod virtio;
pub mod vtd;

/// All hardware.
#[derive(PartialEq, Eq, Hash, Debug, Default)]
pub struct Hw {
    /// Local APICs, by CPU.
    pub lapics: Vec<lapic::LocalApic>,
    /// Which local APIC answers to which destination.
    pub destinations: Shared<lapic::DestinationMap>,
    /// CPUs whose local APIC has an interrupt to deliver.
    pub pending_cpus: crate::CpuMask,
    /// The IO-APIC.
    pub ioapic: Shared<ioapic::IoApic>,
    /// The pair of 8259s.
    pub pic: pic::I8259,
    /// The VT-d unit.
    pub vtd: vtd::Vtd,
    /// PCI functions, by `PciDevId`.
    pub pci: Vec<Shared<pci::PciFunction>>,
    /// NVMe controllers, by `NvmeId`.
    pub nvme: Vec<Shared<nvme::NvmeController>>,
    /// virtio devices, by `VirtioId`.
    pub virtio: Vec<Shared<virtio::VirtioDevice>>,
}

clone_by_field! {
    Hw { lapics, destinations, pending_cpus, ioapic, pic, vtd, pci, nvme, virtio }
}
