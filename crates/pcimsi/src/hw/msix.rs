//! The MSI-X capability, its table and its pending bits (PCI Local Bus 3.0, 6.8.2).

use core::fmt::Write as _;

use kstate::hw::pci::{MsixCapability, MsixEntry};
use kstate::trace::{Hardware, MsiRegister};
use kstate::{Kernel, PciDevId};

use super::config::CAPABILITY_MSIX;
use super::{function, function_mut, send};

/// Message Control: MSI-X Enable.
pub const CONTROL_ENABLE: u16 = 1 << 15;
/// Message Control: Function Mask.
pub const CONTROL_FUNCTION_MASK: u16 = 1 << 14;
/// The size field has 11 bits and holds the size less one.
pub const MAX_ENTRIES: u32 = 2048;
/// Bytes of a table entry.
pub const ENTRY_SIZE: u32 = 16;
/// Offset of Message Address in an entry.
pub const ENTRY_ADDRESS_LO: u32 = 0;
/// Offset of Message Upper Address in an entry.
pub const ENTRY_ADDRESS_HI: u32 = 4;
/// Offset of Message Data in an entry.
pub const ENTRY_DATA: u32 = 8;
/// Offset of Vector Control in an entry.
pub const ENTRY_VECTOR_CONTROL: u32 = 12;
/// Vector Control: Mask Bit. The other bits are reserved and read as zero.
pub const VECTOR_CONTROL_MASK: u32 = 1;

/// One dword of the capability, `None` outside of it.
pub(crate) fn dword(msix: &MsixCapability, offset: u16) -> Option<u32> {
    Some(match offset.checked_sub(msix.offset)? {
        0 => {
            let mut control = msix.table.len() as u16 - 1;
            if msix.enable {
                control |= CONTROL_ENABLE;
            }
            if msix.function_mask {
                control |= CONTROL_FUNCTION_MASK;
            }
            u32::from(control) << 16 | u32::from(msix.next) << 8 | u32::from(CAPABILITY_MSIX)
        }
        4 => msix.table_offset | u32::from(msix.table_bir),
        8 => msix.pba_offset | u32::from(msix.pba_bir),
        _ => return None,
    })
}

/// Writes one dword of the capability: only the two upper bits of Message Control can be changed.
pub(crate) fn write(k: &mut Kernel, dev: PciDevId, offset: u16, value: u32) {
    let Some(msix) = &mut function_mut(k, dev).msix else { return };
    if offset == msix.offset {
        let control = (value >> 16) as u16;
        msix.enable = control & CONTROL_ENABLE != 0;
        msix.function_mask = control & CONTROL_FUNCTION_MASK != 0;
        let (enable, function_mask) = (msix.enable, msix.function_mask);
        k.hw(|_| Hardware::MsixControl { dev, enable, function_mask });
        send_pending(k, dev);
    }
}

#[inline]
fn open(msix: &MsixCapability, entry: usize) -> bool {
    msix.enable && !msix.function_mask && msix.table[entry].vector_control & VECTOR_CONTROL_MASK == 0
}

#[inline]
fn message_of(entry: &MsixEntry) -> (u64, u32) {
    (u64::from(entry.address_hi) << 32 | u64::from(entry.address_lo), entry.data)
}

/// Sends every pending message that nothing masks any more.
fn send_pending(k: &mut Kernel, dev: PciDevId) {
    let Some(words) = function(k, dev).msix.as_ref().map(|msix| msix.pba.len()) else { return };
    for word in 0..words {
        let Some(msix) = &function(k, dev).msix else { return };
        let mut bits = msix.pba[word];
        while bits != 0 {
            let entry = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            release(k, dev, entry);
        }
    }
}

/// Sends what waited behind a mask, if nothing masks it any more.
fn release(k: &mut Kernel, dev: PciDevId, entry: usize) {
    let Some(msix) = &mut function_mut(k, dev).msix else { return };
    let bit = 1u64 << (entry % 64);
    if open(msix, entry) && msix.pba[entry / 64] & bit != 0 {
        msix.pba[entry / 64] &= !bit;
        let (address, data) = message_of(&msix.table[entry]);
        k.hw(|_| Hardware::Pending { dev, entry: entry as u16, pending: false });
        send(k, dev, address, data);
    }
}

/// The function wants an entry served: a message, or a pending bit while the entry or the function
/// is masked. False when MSI-X is off or there is no such entry.
pub fn msix_raise(k: &mut Kernel, dev: PciDevId, entry: u16) -> bool {
    let at = usize::from(entry);
    let Some(msix) = &function(k, dev).msix else { return false };
    if !msix.enable || at >= msix.table.len() {
        return false;
    }
    // What nothing masks has no pending bit, and the message leaves at once.
    if open(msix, at) {
        let (address, data) = message_of(&msix.table[at]);
        send(k, dev, address, data);
    } else if let Some(msix) = &mut function_mut(k, dev).msix {
        let waited = msix.pba[at / 64] >> (at % 64) & 1 != 0;
        msix.pba[at / 64] |= 1 << (at % 64);
        if !waited {
            k.hw(|_| Hardware::Pending { dev, entry, pending: true });
        }
    }
    true
}

/// The function takes back what it asked for before the message was sent.
pub fn msix_clear_pending(k: &mut Kernel, dev: PciDevId, entry: u16) {
    let entry = usize::from(entry);
    if let Some(msix) = &mut function_mut(k, dev).msix
        && entry < msix.table.len()
        && msix.pba[entry / 64] >> (entry % 64) & 1 != 0
    {
        msix.pba[entry / 64] &= !(1 << (entry % 64));
        k.hw(|_| Hardware::Pending { dev, entry: entry as u16, pending: false });
    }
}

/// The message that an entry would send now: address and data; `None` while anything masks it.
pub fn msix_message(k: &Kernel, dev: PciDevId, entry: u16) -> Option<(u64, u32)> {
    let msix = function(k, dev).msix.as_ref()?;
    let at = usize::from(entry);
    (at < msix.table.len() && open(msix, at)).then(|| message_of(&msix.table[at]))
}

/// MSI-X is on.
pub fn enabled(k: &Kernel, dev: PciDevId) -> bool {
    function(k, dev).msix.as_ref().is_some_and(|msix| msix.enable)
}

fn table_dword(msix: &MsixCapability, offset: u32) -> Option<u32> {
    let entry = msix.table.get((offset / ENTRY_SIZE) as usize)?;
    Some(match offset % ENTRY_SIZE {
        ENTRY_ADDRESS_LO => entry.address_lo,
        ENTRY_ADDRESS_HI => entry.address_hi,
        ENTRY_DATA => entry.data,
        _ => entry.vector_control,
    })
}

fn pba_dword(msix: &MsixCapability, offset: u32) -> Option<u32> {
    let word = msix.pba.get((offset / 8) as usize)?;
    Some((word >> (8 * (offset % 8))) as u32)
}

/// Reads 4 or 8 bytes, all ones where nothing answers: misaligned, of another size or past the end.
fn read(offset: u32, size: u8, dword: impl Fn(u32) -> Option<u32>) -> u64 {
    let ones = if size == 8 { u64::MAX } else { u64::from(u32::MAX) };
    if !matches!(size, 4 | 8) || !offset.is_multiple_of(size.into()) {
        return ones;
    }
    let Some(low) = dword(offset) else { return ones };
    let high = if size == 8 { dword(offset + 4).unwrap_or(u32::MAX) } else { 0 };
    u64::from(high) << 32 | u64::from(low)
}

/// Reads 4 or 8 bytes of the table.
pub fn table_read(k: &Kernel, dev: PciDevId, offset: u32, size: u8) -> u64 {
    read(offset, size, |at| table_dword(function(k, dev).msix.as_ref()?, at))
}

/// Reads 4 or 8 bytes of the pending bit array. It cannot be written.
pub fn pba_read(k: &Kernel, dev: PciDevId, offset: u32, size: u8) -> u64 {
    read(offset, size, |at| pba_dword(function(k, dev).msix.as_ref()?, at))
}

/// Writes 4 or 8 bytes of the table; anything else is ignored. The result of changing the message
/// of an entry that is not masked is undefined; here each write counts from the moment it is made.
pub fn table_write(k: &mut Kernel, dev: PciDevId, offset: u32, size: u8, value: u64) {
    let at = (offset / ENTRY_SIZE) as usize;
    let Some(msix) = &mut function_mut(k, dev).msix else { return };
    if !matches!(size, 4 | 8) || !offset.is_multiple_of(size.into()) || at >= msix.table.len() {
        return;
    }
    let entry = &mut msix.table[at];
    let was = *entry;
    let dwords = [value as u32, (value >> 32) as u32];
    let written = &dwords[..usize::from(size / 4)];
    for (n, &dword) in written.iter().enumerate() {
        match register_at(offset + 4 * n as u32) {
            MsiRegister::AddressLo => entry.address_lo = dword,
            MsiRegister::AddressHi => entry.address_hi = dword,
            MsiRegister::Data => entry.data = dword,
            MsiRegister::Mask => entry.vector_control = dword & VECTOR_CONTROL_MASK,
        }
    }
    let masked = entry.vector_control & VECTOR_CONTROL_MASK != 0;
    let changed = entry.vector_control != was.vector_control;
    let entry = at as u16;
    for (n, &value) in written.iter().enumerate() {
        let register = register_at(offset + 4 * n as u32);
        k.hw(|_| Hardware::MsixEntry { dev, entry, register, value });
    }
    if changed {
        k.hw(|_| Hardware::Mask { dev, entry, masked });
    }
    release(k, dev, at);
}

/// Which dword of an entry an offset in the table means.
fn register_at(offset: u32) -> MsiRegister {
    match offset % ENTRY_SIZE {
        ENTRY_ADDRESS_LO => MsiRegister::AddressLo,
        ENTRY_ADDRESS_HI => MsiRegister::AddressHi,
        ENTRY_DATA => MsiRegister::Data,
        _ => MsiRegister::Mask,
    }
}

/// Where an access to a base address register arrives.
enum Place {
    Table(u32),
    Pba(u32),
}

fn place(msix: &MsixCapability, bir: u8, offset: u32) -> Option<Place> {
    let within = |base: u32, size: usize| offset.checked_sub(base).filter(|&at| (at as usize) < size);
    if let Some(at) = within(msix.table_offset, msix.table.len() * ENTRY_SIZE as usize)
        && bir == msix.table_bir
    {
        return Some(Place::Table(at));
    }
    let at = within(msix.pba_offset, 8 * msix.pba.len())?;
    (bir == msix.pba_bir).then_some(Place::Pba(at))
}

/// Reads 4 or 8 bytes behind a base address register; `None` where neither table nor pending bits
/// are.
pub fn bar_read(k: &Kernel, dev: PciDevId, bir: u8, offset: u32, size: u8) -> Option<u64> {
    match place(function(k, dev).msix.as_ref()?, bir, offset)? {
        Place::Table(at) => Some(table_read(k, dev, at, size)),
        Place::Pba(at) => Some(pba_read(k, dev, at, size)),
    }
}

/// Writes 4 or 8 bytes behind a base address register. False where neither table nor pending bits
/// are; pending bits take the write and keep their value.
pub fn bar_write(k: &mut Kernel, dev: PciDevId, bir: u8, offset: u32, size: u8, value: u64) -> bool {
    match function(k, dev).msix.as_ref().and_then(|msix| place(msix, bir, offset)) {
        Some(Place::Table(at)) => table_write(k, dev, at, size, value),
        Some(Place::Pba(_)) => {}
        None => return false,
    }
    true
}

/// The table, entry by entry.
pub fn msix_table(k: &Kernel, dev: PciDevId) -> &[MsixEntry] {
    function(k, dev).msix.as_ref().map_or(&[], |msix| &msix.table)
}

/// The table in words: one line for each entry, without the function's name.
pub fn msix_table_text(k: &Kernel, dev: PciDevId) -> Vec<String> {
    let line = |(n, entry): (usize, &MsixEntry)| {
        let MsixEntry { address_lo, address_hi, data, vector_control } = entry;
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "entry {n}: addr_lo={address_lo:#010x} addr_hi={address_hi:#010x} data={data:#010x} ctrl={vector_control:#x}"
        );
        text
    };
    msix_table(k, dev).iter().enumerate().map(line).collect()
}
