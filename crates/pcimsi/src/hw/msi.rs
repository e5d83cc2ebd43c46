//! The MSI capability (PCI Local Bus 3.0, 6.8.1): 32- or 64-bit address, up to 32 messages, masks.

use kstate::hw::pci::MsiCapability;
use kstate::trace::{Hardware, MsiRegister};
use kstate::{Kernel, PciDevId};

use super::config::CAPABILITY_MSI;
use super::{function, function_mut, send};

/// Message Control: MSI Enable.
pub const CONTROL_ENABLE: u16 = 1 << 0;
/// Message Control: 64-bit Address Capable.
pub const CONTROL_64BIT: u16 = 1 << 7;
/// Message Control: Per-vector Masking Capable.
pub const CONTROL_MASKABLE: u16 = 1 << 8;

/// Offsets of data, mask and pending bits from the start of the capability.
fn layout(msi: &MsiCapability) -> (u16, u16, u16) {
    if msi.address_64 { (12, 16, 20) } else { (8, 12, 16) }
}

/// One dword of the capability, `None` outside of it.
pub(crate) fn dword(msi: &MsiCapability, offset: u16) -> Option<u32> {
    let (data, mask, pending) = layout(msi);
    let at = offset.checked_sub(msi.offset)?;
    Some(match at {
        0 => {
            let mut control =
                u16::from(msi.multiple_message_enable) << 4 | u16::from(msi.multiple_message_capable) << 1;
            if msi.enable {
                control |= CONTROL_ENABLE;
            }
            if msi.address_64 {
                control |= CONTROL_64BIT;
            }
            if msi.maskable {
                control |= CONTROL_MASKABLE;
            }
            u32::from(control) << 16 | u32::from(msi.next) << 8 | u32::from(CAPABILITY_MSI)
        }
        4 => msi.address_lo,
        8 if msi.address_64 => msi.address_hi,
        _ if at == data => u32::from(msi.data),
        _ if at == mask && msi.maskable => msi.mask_bits,
        _ if at == pending && msi.maskable => msi.pending_bits,
        _ => return None,
    })
}

/// Writes one dword of the capability.
pub(crate) fn write(k: &mut Kernel, dev: PciDevId, offset: u16, value: u32) {
    let Some(msi) = &mut function_mut(k, dev).msi else { return };
    let (data, mask, _) = layout(msi);
    let was = msi.mask_bits;
    let written = match offset - msi.offset {
        0 => {
            let control = (value >> 16) as u16;
            msi.enable = control & CONTROL_ENABLE != 0;
            // Software can enable fewer messages than the function asks for, never more.
            msi.multiple_message_enable =
                (control >> 4 & 7).min(u16::from(msi.multiple_message_capable)) as u8;
            let messages = 1 << msi.multiple_message_enable;
            Some(Hardware::MsiControl { dev, enable: msi.enable, messages })
        }
        4 => {
            msi.address_lo = value & !3;
            Some(Hardware::Msi { dev, register: MsiRegister::AddressLo, value: msi.address_lo })
        }
        8 if msi.address_64 => {
            msi.address_hi = value;
            Some(Hardware::Msi { dev, register: MsiRegister::AddressHi, value })
        }
        at if at == data => {
            msi.data = value as u16;
            Some(Hardware::Msi { dev, register: MsiRegister::Data, value: msi.data.into() })
        }
        at if at == mask && msi.maskable => {
            msi.mask_bits = value;
            Some(Hardware::Msi { dev, register: MsiRegister::Mask, value })
        }
        _ => None,
    };
    let (masks, changed) = (msi.mask_bits, was ^ msi.mask_bits);
    if let Some(written) = written {
        k.hw(|_| written);
        for n in kstate::cpumask::Bits(changed.into()) {
            k.hw(|_| Hardware::Mask { dev, entry: n as u16, masked: masks >> n & 1 != 0 });
        }
    }
    send_pending(k, dev);
}

/// Sends what was held back and no longer is.
fn send_pending(k: &mut Kernel, dev: PciDevId) {
    loop {
        let Some(msi) = &mut function_mut(k, dev).msi else { return };
        let ready = msi.pending_bits & !msi.mask_bits;
        if !msi.enable || ready == 0 {
            return;
        }
        let n = ready.trailing_zeros();
        msi.pending_bits &= !(1 << n);
        let (address, data) = message(msi, n);
        k.hw(|_| Hardware::Pending { dev, entry: n as u16, pending: false });
        send(k, dev, address, data);
    }
}

/// The message of vector `n`: the low bits of the data that software left to the function.
fn message(msi: &MsiCapability, n: u32) -> (u64, u32) {
    let low = (1u32 << msi.multiple_message_enable) - 1;
    let address = u64::from(msi.address_hi) << 32 | u64::from(msi.address_lo);
    (address, u32::from(msi.data) & !low | n & low)
}

/// The function wants vector `n` served: a message, or a pending bit while it is masked. False when
/// MSI is off.
pub fn msi_raise(k: &mut Kernel, dev: PciDevId, n: u32) -> bool {
    let Some(msi) = &mut function_mut(k, dev).msi else { return false };
    if !msi.enable {
        return false;
    }
    // With fewer messages than the function asked for, several of its vectors share one.
    let n = n & ((1 << msi.multiple_message_enable) - 1);
    if msi.maskable && msi.mask_bits >> n & 1 == 1 {
        let waited = msi.pending_bits >> n & 1 == 1;
        msi.pending_bits |= 1 << n;
        if !waited {
            k.hw(|_| Hardware::Pending { dev, entry: n as u16, pending: true });
        }
        return true;
    }
    let (address, data) = message(msi, n);
    send(k, dev, address, data);
    true
}

/// MSI is on.
pub fn enabled(k: &Kernel, dev: PciDevId) -> bool {
    function(k, dev).msi.as_ref().is_some_and(|msi| msi.enable)
}
