//! Behaviour of the IO-APIC (82093AA data sheet; the EOI register of version 20H; VT-d 5.1.5.1 for
//! entries of the remappable format).

use kstate::Kernel;
use kstate::event::Event;
use kstate::hw::ioapic::{
    IoApic, RTE_DELIVERY_STATUS, RTE_LEVEL, RTE_LOGICAL, RTE_MASK, RTE_REMAPPABLE, RTE_REMOTE_IRR, RTE_VECTOR,
};
use kstate::trace::{Hardware, Reason, Source};

use super::bus::{self, DeliveryMode, Message};
use super::vtd;

/// Redirection entries of an 82093AA and of a q35's IO-APIC.
pub const PINS: usize = 24;
/// How long an asserted line takes from its EOI to its next message, in ns. A CPU goes on in
/// between, as real ones do: otherwise a source that software left unmasked would starve the
/// thread that is to serve it.
const RESEND_NS: u64 = 1_000;
/// What software cannot write.
const READ_ONLY: u64 = RTE_DELIVERY_STATUS | RTE_REMOTE_IRR;
/// What software can write: bits 47:17 are reserved and stay zero.
const WRITABLE: u64 = 0xffff_0000_0001_ffff & !READ_ONLY;

/// After power-on: all entries masked.
pub fn power_on(k: &mut Kernel, id: u8, version: u8, pins: usize, source_id: u16) {
    *k.hw.ioapic =
        IoApic { id, version, select: 0, redirection: vec![RTE_MASK; pins], asserted: 0, source_id };
}

/// A device asserts or deasserts the line of a pin.
pub fn set_line(k: &mut Kernel, pin: u32, level: bool) {
    let Some(&rte) = k.hw.ioapic.redirection.get(pin as usize) else {
        return;
    };
    let was = k.hw.ioapic.asserted >> pin & 1 != 0;
    if was != level {
        k.hw(|_| Hardware::IoApicLine { pin: pin as u8, asserted: level });
    }
    if level {
        k.hw.ioapic.asserted |= 1 << pin;
    } else {
        k.hw.ioapic.asserted &= !(1 << pin);
    }
    if rte & RTE_LEVEL != 0 {
        service_level(k, pin as usize);
    } else if level && !was && rte & RTE_MASK == 0 {
        // An edge on a masked pin is lost.
        send(k, pin as usize);
    }
}

/// Reads a redirection entry; a pin that does not exist reads all ones.
pub fn read_rte(k: &Kernel, pin: usize) -> u64 {
    k.hw.ioapic.redirection.get(pin).copied().unwrap_or(u64::MAX)
}

/// Writes a redirection entry.
pub fn write_rte(k: &mut Kernel, pin: usize, value: u64) {
    let Some(rte) = k.hw.ioapic.redirection.get_mut(pin) else {
        return;
    };
    *rte = value & WRITABLE | *rte & READ_ONLY;
    // An edge-triggered entry has no remote IRR: the switch to edge and back clears it.
    let waited = *rte & RTE_REMOTE_IRR != 0;
    if *rte & RTE_LEVEL == 0 {
        *rte &= !READ_ONLY;
    }
    let value = *rte;
    k.hw(|_| Hardware::IoApicEntry { pin: pin as u8, value });
    if waited && value & RTE_REMOTE_IRR == 0 {
        k.hw(|_| Hardware::RemoteIrr { pin: pin as u8, set: false });
    }
    service_level(k, pin);
}

/// A level-triggered line that is asserted, unmasked and not waiting for its EOI is sent.
pub fn service_level(k: &mut Kernel, pin: usize) {
    let IoApic { redirection, asserted, .. } = &*k.hw.ioapic;
    let rte = redirection[pin];
    let active = asserted >> pin & 1 != 0;
    if active && rte & RTE_LEVEL != 0 && rte & (RTE_MASK | RTE_REMOTE_IRR) == 0 {
        // Remote IRR is set when a local APIC accepts; until then the interrupt is pending here.
        let status = if send(k, pin) { RTE_REMOTE_IRR } else { RTE_DELIVERY_STATUS };
        let rte = &mut k.hw.ioapic.redirection[pin];
        *rte = *rte & !READ_ONLY | status;
        if status == RTE_REMOTE_IRR {
            k.hw(|_| Hardware::RemoteIrr { pin: pin as u8, set: true });
        }
    } else if !active {
        k.hw.ioapic.redirection[pin] &= !RTE_DELIVERY_STATUS;
    }
}

/// Address and data of an entry's message: the bits of the entry, each at its place (VT-d 5.1.5.1, SDM volume 3,
/// 11.11).
fn message_of(rte: u64) -> (u64, u32) {
    // Bits 63:48 of the entry are bits 19:4 of the address, bit 11 is bit 2: destination and destination mode, or
    // the handle. Level-triggered messages say that they assert.
    let address = 0xfee0_0000 | (rte >> 48 & 0xffff) << 4 | (rte >> 11 & 1) << 2;
    let level = rte & RTE_LEVEL != 0;
    (address, u32::from(level) << 15 | u32::from(level) << 14 | (rte & 0x7ff) as u32)
}

fn send(k: &mut Kernel, pin: usize) -> bool {
    let rte = k.hw.ioapic.redirection[pin];
    let from = Source::IoApic(pin as u8);
    k.hw(|_| {
        let (address, data) = message_of(rte);
        Hardware::Message { from, address, data }
    });
    let taken = route(k, rte);
    bus::say_blocked(k, from, taken);
    taken.is_ok()
}

fn route(k: &mut Kernel, rte: u64) -> Result<(), Reason> {
    let source = k.hw.ioapic.source_id;
    if vtd::enabled(&k.hw.vtd) {
        if rte & RTE_REMAPPABLE != 0 {
            let handle = (rte >> 49) as u16 | u16::from(rte & RTE_LOGICAL != 0) << 15;
            // VT-d 5.1.5.1: the entry's own trigger mode counts for its remote IRR only.
            let message = vtd::remap(k, handle, 0, false, source);
            return bus::deliver_or_say(k, message, Reason::Remapping);
        }
        if vtd::blocks_compatibility(k, source) {
            return Err(Reason::Remapping);
        }
    }
    let message = DeliveryMode::from_bits((rte >> 8) as u32).map(|mode| Message {
        dest: (rte >> 56) as u32,
        wide: false,
        logical: rte & RTE_LOGICAL != 0,
        mode,
        vector: rte as u8,
        level: rte & RTE_LEVEL != 0,
    });
    bus::deliver_or_say(k, message, Reason::DeliveryMode)
}

/// An EOI arrives, as a broadcast of a local APIC or through the EOI register: every
/// level-triggered entry with this vector drops its remote IRR, and is sent again when its line is
/// still asserted a moment later.
pub fn eoi(k: &mut Kernel, vector: u8) {
    for pin in 0..k.hw.ioapic.redirection.len() {
        let rte = &mut k.hw.ioapic.redirection[pin];
        let waits = RTE_LEVEL | RTE_REMOTE_IRR;
        if *rte & waits == waits && *rte & RTE_VECTOR == u64::from(vector) {
            *rte &= !RTE_REMOTE_IRR;
            k.hw(|_| Hardware::RemoteIrr { pin: pin as u8, set: false });
            if k.hw.ioapic.asserted >> pin & 1 != 0 {
                k.events.push(RESEND_NS, Event::IoApicLevel(pin as u8));
            }
        }
    }
}

/// Reads through the register window: 0 is IOREGSEL, 10H is IOWIN.
pub fn mmio_read(k: &Kernel, offset: u32) -> u32 {
    let io = &k.hw.ioapic;
    match (offset, io.select) {
        (0, select) => u32::from(select),
        (0x10, 0 | 2) => u32::from(io.id) << 24,
        (0x10, 1) => u32::from(io.version) | (io.redirection.len().saturating_sub(1) as u32) << 16,
        (0x10, select @ 0x10..) => {
            let rte = read_rte(k, usize::from(select - 0x10) / 2);
            (rte >> (u32::from(select & 1) * 32)) as u32
        }
        _ => 0,
    }
}

/// Writes through the register window: 0 is IOREGSEL, 10H is IOWIN, 40H is EOI.
pub fn mmio_write(k: &mut Kernel, offset: u32, value: u32) {
    match (offset, k.hw.ioapic.select) {
        (0, _) => k.hw.ioapic.select = value as u8,
        (0x10, 0) => k.hw.ioapic.id = (value >> 24) as u8 & 0xf,
        (0x10, select @ 0x10..) => {
            let pin = usize::from(select - 0x10) / 2;
            let shift = u32::from(select & 1) * 32;
            let old = read_rte(k, pin);
            write_rte(k, pin, old & !(0xffff_ffff << shift) | u64::from(value) << shift);
        }
        (0x40, _) if k.hw.ioapic.version >= 0x20 => eoi(k, value as u8),
        _ => {}
    }
}
