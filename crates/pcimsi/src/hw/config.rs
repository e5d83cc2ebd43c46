//! Configuration space: the type 0 header and the capability list (PCI Local Bus 3.0, 6.1 and 6.7).

use kstate::hw::pci::{Bar, MsiCapability, MsixCapability, PciFunction};
use kstate::{Kernel, PciDevId};

use super::{function, function_mut, intx_update, msi, msix};

/// Vendor ID.
pub const VENDOR_ID: u16 = 0x00;
/// Command.
pub const COMMAND: u16 = 0x04;
/// Status.
pub const STATUS: u16 = 0x06;
/// Revision ID and class code.
pub const REVISION_ID: u16 = 0x08;
/// The first base address register.
pub const BASE_ADDRESS_0: u16 = 0x10;
/// Capabilities Pointer.
pub const CAPABILITIES_POINTER: u16 = 0x34;
/// Interrupt Line.
pub const INTERRUPT_LINE: u16 = 0x3c;
/// Interrupt Pin.
pub const INTERRUPT_PIN: u16 = 0x3d;
/// Capability ID of MSI.
pub const CAPABILITY_MSI: u8 = 0x05;
/// Capability ID of MSI-X.
pub const CAPABILITY_MSIX: u8 = 0x11;

/// The Command bits that can be written: I/O, memory, bus master, parity, SERR, interrupt disable.
const COMMAND_WRITABLE: u16 = 0x0547;
/// Status: Interrupt Status.
const STATUS_INTERRUPT: u16 = 1 << 3;
/// Status: Capabilities List.
const STATUS_CAPABILITIES: u16 = 1 << 4;

/// Lays out an MSI capability behind the ones that exist.
pub fn add_msi(function: &mut PciFunction, mut capability: MsiCapability) {
    capability.next = function.capabilities_pointer;
    function.capabilities_pointer = capability.offset as u8;
    function.msi = Some(capability);
}

/// Lays out an MSI-X capability with a table of `entries` in front of the ones that exist. The
/// pending bits follow the table on a page of their own. `None` when the size field cannot hold so
/// many.
pub fn add_msix(
    function: &mut PciFunction,
    offset: u16,
    bir: u8,
    table_offset: u32,
    entries: u32,
) -> Option<()> {
    if !(1..=msix::MAX_ENTRIES).contains(&entries) {
        return None;
    }
    let table_size = entries * msix::ENTRY_SIZE;
    let pba_offset = (table_offset + table_size).next_multiple_of(0x1000);
    function.msix = Some(MsixCapability {
        offset,
        next: function.capabilities_pointer,
        table_bir: bir,
        table_offset,
        pba_bir: bir,
        pba_offset,
        table: vec![Default::default(); entries as usize],
        pba: vec![0; entries.div_ceil(64) as usize],
        ..MsixCapability::default()
    });
    function.capabilities_pointer = offset as u8;
    Some(())
}

/// How much of its base address register the table and the pending bits take: a power of two.
pub fn msix_bar_size(capability: &MsixCapability) -> u32 {
    let pba_end = capability.pba_offset + 8 * capability.pba.len() as u32;
    pba_end.next_multiple_of(0x1000).next_power_of_two()
}

/// One dword of configuration space.
fn dword(function: &PciFunction, offset: u16) -> u32 {
    match offset {
        0x00 => u32::from(function.device_id) << 16 | u32::from(function.vendor_id),
        0x04 => {
            let capabilities = if function.capabilities_pointer != 0 { STATUS_CAPABILITIES } else { 0 };
            let interrupt = if function.interrupt_status { STATUS_INTERRUPT } else { 0 };
            u32::from(capabilities | interrupt) << 16 | u32::from(function.command)
        }
        0x08 => function.class_code << 8,
        // DEVIATION: base address registers have no addresses; they tell apart only whether
        // something answers, as a 64-bit memory register.
        0x10..=0x24 => {
            let bar = function.bars[usize::from(offset - BASE_ADDRESS_0) / 4];
            if bar == Bar::None { 0 } else { 0x4 }
        }
        0x34 => u32::from(function.capabilities_pointer),
        0x3c => u32::from(function.interrupt_pin) << 8 | u32::from(function.interrupt_line),
        _ => {
            let of_msi = function.msi.as_ref().and_then(|msi| msi::dword(msi, offset));
            let of_msix = || function.msix.as_ref().and_then(|msix| msix::dword(msix, offset));
            of_msi.or_else(of_msix).unwrap_or(0)
        }
    }
}

/// Reads 1, 2 or 4 bytes. An access that is not aligned to its size reads as all ones.
pub fn config_read(k: &Kernel, dev: PciDevId, offset: u16, size: u8) -> u32 {
    let ones = u32::MAX >> (32 - 8 * u32::from(size.clamp(1, 4)));
    if !offset.is_multiple_of(size.into()) {
        return ones;
    }
    dword(function(k, dev), offset & !3) >> (8 * u32::from(offset & 3)) & ones
}

/// Writes 1, 2 or 4 bytes. An access that is not aligned to its size is ignored.
pub fn config_write(k: &mut Kernel, dev: PciDevId, offset: u16, size: u8, value: u32) {
    if !offset.is_multiple_of(size.into()) {
        return;
    }
    let shift = 8 * u32::from(offset & 3);
    let mask = (u32::MAX >> (32 - 8 * u32::from(size.clamp(1, 4)))) << shift;
    let aligned = offset & !3;
    let function = function_mut(k, dev);
    let new = dword(function, aligned) & !mask | value << shift & mask;
    match aligned {
        // Status has no bits here that writing changes.
        0x04 => {
            function.command = new as u16 & COMMAND_WRITABLE;
            intx_update(k, dev);
        }
        0x3c => function.interrupt_line = new as u8,
        _ => {
            if function.msi.as_ref().is_some_and(|msi| msi::dword(msi, aligned).is_some()) {
                msi::write(k, dev, aligned, new);
            } else if function.msix.as_ref().is_some_and(|msix| msix::dword(msix, aligned).is_some()) {
                msix::write(k, dev, aligned, new);
            }
        }
    }
}

/// Walks the capability list; 0 when there is no such capability.
pub fn find_capability(k: &Kernel, dev: PciDevId, id: u8) -> u16 {
    let mut at = config_read(k, dev, CAPABILITIES_POINTER, 1) as u16;
    // A list cannot be longer than the space it lies in.
    for _ in 0..48 {
        if at == 0 {
            break;
        }
        if config_read(k, dev, at, 1) == u32::from(id) {
            return at;
        }
        at = config_read(k, dev, at + 1, 1) as u16;
    }
    0
}
