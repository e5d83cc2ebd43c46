//! Registers of a PCI function: the type 0 configuration header (PCI Local Bus 3.0, 6.1), the MSI
//! capability (6.8.1) and the MSI-X capability with its table and pending bits (6.8.2).

use std::collections::BTreeMap;

use crate::data::Data;
use crate::named::by_name;
use crate::{Kernel, PciDevId};

/// What answers behind a base address register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Bar {
    /// Not implemented: reads as zero.
    #[default]
    None,
    /// The device's own registers.
    Registers,
    /// MSI-X table and pending bits only.
    Msix,
}

/// The MSI capability structure.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsiCapability {
    /// Where it lies in configuration space.
    pub offset: u16,
    /// Offset of the next capability.
    pub next: u8,
    /// Multiple Message Capable: log2 of how many messages the function asks for.
    pub multiple_message_capable: u8,
    /// 64-bit Address Capable.
    pub address_64: bool,
    /// Per-vector Masking Capable.
    pub maskable: bool,
    /// MSI Enable.
    pub enable: bool,
    /// Multiple Message Enable: log2 of how many messages may be sent.
    pub multiple_message_enable: u8,
    /// Message Address.
    pub address_lo: u32,
    /// Message Upper Address.
    pub address_hi: u32,
    /// Message Data.
    pub data: u16,
    /// Mask Bits.
    pub mask_bits: u32,
    /// Pending Bits.
    pub pending_bits: u32,
}

/// One entry of the MSI-X table, as its four dwords.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MsixEntry {
    /// Message Address.
    pub address_lo: u32,
    /// Message Upper Address.
    pub address_hi: u32,
    /// Message Data.
    pub data: u32,
    /// Vector Control: bit 0 masks the entry.
    pub vector_control: u32,
}

impl Default for MsixEntry {
    // After reset every entry is masked.
    fn default() -> Self {
        Self { address_lo: 0, address_hi: 0, data: 0, vector_control: 1 }
    }
}

/// The MSI-X capability structure, the table and the pending bit array.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MsixCapability {
    /// Where it lies in configuration space.
    pub offset: u16,
    /// Offset of the next capability.
    pub next: u8,
    /// MSI-X Enable.
    pub enable: bool,
    /// Function Mask.
    pub function_mask: bool,
    /// Table BIR.
    pub table_bir: u8,
    /// Table Offset.
    pub table_offset: u32,
    /// PBA BIR.
    pub pba_bir: u8,
    /// PBA Offset.
    pub pba_offset: u32,
    /// The table.
    pub table: Vec<MsixEntry>,
    /// Pending bits, 64 entries a word.
    pub pba: Vec<u64>,
}

/// A number that a machine file gives about a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Parameter {
    /// Its key.
    pub key: &'static str,
    /// The smallest value.
    pub min: u32,
    /// The largest value.
    pub max: u32,
    /// What it is where the file says nothing; `None` where the file has to.
    pub default: Option<u32>,
}

/// The bit of an `Event::Device`'s word that no device of its own uses: the function asks for the message whose number is
/// the rest, because somebody told it to.
pub const ASKS: u64 = 1 << 63;

/// A kind of device, as what a PCI function is made with and does on its own. The crate of the
/// devices has the table of all kinds.
#[derive(Clone, Copy)]
pub struct DeviceModel {
    /// Identifies the kind: the word for it in a machine file.
    pub name: &'static str,
    /// What a machine file says about such a device beside what it says about every function.
    pub parameters: &'static [Parameter],
    /// Table BIR and Table Offset of its MSI-X capability, where it has one.
    pub msix_table: (u8, u32),
    /// It may have an MSI capability.
    pub can_msi: bool,
    /// Puts a new device behind a function, with the values of `parameters`. The function has its
    /// MSI-X capability already and is not on the bus yet.
    pub power_on: fn(&mut Kernel, PciDevId, &mut PciFunction, &[u32]),
    /// What the device scheduled for itself is due: an `Event::Device` with this word.
    pub event: fn(&mut Kernel, PciDevId, u64),
    /// What this word of an event stands for, for people.
    pub describe: fn(u64) -> String,
    /// Does what makes the device send this message, and says whether it could. `None` for a message that
    /// nothing else goes with.
    pub raise: Option<fn(&mut Kernel, PciDevId, u16) -> Option<bool>>,
    /// Whether it has something to do between two register accesses of a driver.
    pub pending: Option<fn(&Kernel, PciDevId) -> bool>,
    /// Does it. Only hardware state may change.
    pub act: Option<fn(&mut Kernel, PciDevId)>,
}

impl DeviceModel {
    /// A device that does nothing on its own.
    pub const INERT: Self = Self {
        name: "",
        parameters: &[],
        msix_table: (0, 0),
        can_msi: true,
        power_on: |_, _, _, _| {},
        event: |_, _, _| {},
        describe: |word| word.to_string(),
        raise: None,
        pending: None,
        act: None,
    };
}

impl Default for &DeviceModel {
    fn default() -> Self {
        &DeviceModel::INERT
    }
}

by_name! { DeviceModel }

/// A PCI function: configuration space, MSI and MSI-X.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PciFunction {
    /// The segment that its bus belongs to.
    pub segment: u32,
    /// Bus, device and function: the requester ID of its writes.
    pub bdf: u16,
    /// Vendor ID.
    pub vendor_id: u16,
    /// Device ID.
    pub device_id: u16,
    /// Class code, 24 bits.
    pub class_code: u32,
    /// Command.
    pub command: u16,
    /// Interrupt Pin: 1 for INTA, 0 for none.
    pub interrupt_pin: u8,
    /// Interrupt Line: scratch.
    pub interrupt_line: u8,
    /// What answers behind each base address register.
    pub bars: [Bar; 6],
    /// Offset of the first capability.
    pub capabilities_pointer: u8,
    /// The MSI capability.
    pub msi: Option<MsiCapability>,
    /// The MSI-X capability.
    pub msix: Option<MsixCapability>,
    /// The input of the IO-APIC that the board wires the pin to.
    pub intx_input: u32,
    /// The input of the 8259 that the chipset's router puts the line on as well; 0 for none.
    pub intx_isa: u32,
    /// The function asserts its interrupt (Status: Interrupt Status), whether the pin shows it or
    /// not.
    pub interrupt_status: bool,
    /// The pin is driven.
    pub intx_driven: bool,
    /// What kind of device is behind it.
    pub model: &'static DeviceModel,
    /// Which one of its kind.
    pub unit: u32,
    /// What is known of the function beyond its kind, for kinds that need more than a number.
    pub board: Data,
    /// The messages that a test device will ask for by itself, and whether again and again.
    pub asking: BTreeMap<u16, bool>,
}
