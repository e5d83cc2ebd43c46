//! Registers of a PCI function and what writing them does.
//!
//! PCI Local Bus 3.0: the configuration header (6.2), MSI (6.8.1) and MSI-X (6.8.2). A message is a
//! memory write of the function, so it needs Bus Master Enable, and it goes to
//! [`x86apic::hw::bus::msi_write`]. The interrupt pins of all functions on one input of the IO-APIC
//! are wired-or.

use kstate::event::Event;
use kstate::hw::pci::{ASKS, MsiCapability, MsixCapability, PciFunction};
use kstate::trace::{Hardware, Reason, Source};
use kstate::{Kernel, PciDevId};
use x86apic::hw::bus;
pub use x86apic::hw::bus::{hw_point, hw_points};

pub mod config;
pub mod msi;
pub mod msix;

pub use config::{COMMAND, config_read, config_write};
pub use msi::msi_raise;
pub use msix::{msix_message, msix_raise, msix_table, msix_table_text};

/// Command: Bus Master Enable.
pub const COMMAND_BUS_MASTER: u16 = 1 << 2;
/// Command: Interrupt Disable.
pub const COMMAND_INTERRUPT_DISABLE: u16 = 1 << 10;

pub(crate) fn function(k: &Kernel, dev: PciDevId) -> &PciFunction {
    &k.hw.pci[dev.index()]
}

pub(crate) fn function_mut(k: &mut Kernel, dev: PciDevId) -> &mut PciFunction {
    &mut k.hw.pci[dev.index()]
}

/// A function after power-on, with the capabilities laid out as given.
pub fn power_on(function: &mut PciFunction) {
    let PciFunction { command, interrupt_line, msi, msix, interrupt_status, intx_driven, asking, .. } =
        function;
    *command = 0;
    asking.clear();
    *interrupt_line = 0;
    *interrupt_status = false;
    *intx_driven = false;
    if let Some(msi) = msi {
        let MsiCapability {
            offset: _,
            next: _,
            multiple_message_capable: _,
            address_64: _,
            maskable: _,
            enable,
            multiple_message_enable,
            address_lo,
            address_hi,
            data,
            mask_bits,
            pending_bits,
        } = msi;
        *enable = false;
        *multiple_message_enable = 0;
        (*address_lo, *address_hi, *data) = (0, 0, 0);
        (*mask_bits, *pending_bits) = (0, 0);
    }
    if let Some(msix) = msix {
        let MsixCapability {
            offset: _,
            next: _,
            enable,
            function_mask,
            table_bir: _,
            table_offset: _,
            pba_bir: _,
            pba_offset: _,
            table,
            pba,
        } = msix;
        (*enable, *function_mask) = (false, false);
        table.fill(kstate::hw::pci::MsixEntry::default());
        pba.fill(0);
    }
}

/// Sends a message, unless the function may not write to memory.
pub(crate) fn send(k: &mut Kernel, dev: PciDevId, address: u64, data: u32) {
    let function = function(k, dev);
    let from = Source::Function(dev);
    let taken = if function.command & COMMAND_BUS_MASTER != 0 {
        let source = function.bdf;
        k.hw(|_| Hardware::Message { from, address, data });
        bus::msi_write(k, address, data, source)
    } else {
        Err(Reason::BusMaster)
    };
    bus::say_blocked(k, from, taken);
}

/// The function asserts or deasserts its interrupt. The pin follows unless Interrupt Disable is
/// set; the input of the IO-APIC follows any of the pins that are wired to it.
pub fn intx_set(k: &mut Kernel, dev: PciDevId, level: bool) {
    function_mut(k, dev).interrupt_status = level;
    intx_update(k, dev);
}

/// Drives the pin as status and command say.
pub(crate) fn intx_update(k: &mut Kernel, dev: PciDevId) {
    let function = function_mut(k, dev);
    let driven = function.interrupt_status
        && function.interrupt_pin != 0
        && function.command & COMMAND_INTERRUPT_DISABLE == 0;
    if function.intx_driven == driven {
        return;
    }
    function.intx_driven = driven;
    k.hw(|_| Hardware::Intx { dev, asserted: driven });
    let function = function_mut(k, dev);
    let (input, isa) = (function.intx_input, function.intx_isa);
    let level = k.hw.pci.iter().any(|f| f.intx_driven && f.intx_input == input);
    x86apic::hw::ioapic::set_line(k, input, level);
    if isa != 0 {
        let level = k.hw.pci.iter().any(|f| f.intx_driven && f.intx_isa == isa);
        x86apic::hw::pic::set_line(k, isa, level);
    }
}

/// Something drives an input of the IO-APIC for a moment.
pub fn pulse(k: &mut Kernel, input: u32) {
    x86apic::hw::ioapic::set_line(k, input, true);
    let level = k.hw.pci.iter().any(|f| f.intx_driven && f.intx_input == input);
    x86apic::hw::ioapic::set_line(k, input, level);
}

/// How long a function takes to ask for what it was told to, in ns.
const LATENCY: u64 = 10_000;

/// The event of a function that asks for a message.
pub fn asks(dev: PciDevId, nr: u16) -> Event {
    Event::Device(dev, ASKS | u64::from(nr))
}

/// From now on the function will ask for a message; with `again` without end.
pub fn begin_asking(k: &mut Kernel, dev: PciDevId, nr: u16, again: bool) {
    if function_mut(k, dev).asking.insert(nr, again).is_none() {
        k.events.push(LATENCY, asks(dev, nr));
    }
}

/// The function will not ask for the message any more.
pub fn cease_asking(k: &mut Kernel, dev: PciDevId, nr: u16) {
    if function_mut(k, dev).asking.remove(&nr).is_some() {
        k.events.take(&asks(dev, nr));
    }
}

/// The time has come to ask for a message.
pub fn ask(k: &mut Kernel, dev: PciDevId, nr: u16) {
    let asking = &mut function_mut(k, dev).asking;
    match asking.get(&nr) {
        None => return,
        Some(true) => {
            k.events.push(LATENCY, asks(dev, nr));
        }
        Some(false) => {
            asking.remove(&nr);
        }
    }
    raise(k, dev, nr);
}

/// A function asks for a message, by MSI-X where that is enabled. A device that has to do something
/// first, as a network device has to receive a packet, does it. False if there is no such message.
pub fn raise(k: &mut Kernel, dev: PciDevId, nr: u16) -> bool {
    if let Some(raised) = function(k, dev).model.raise.and_then(|raise| raise(k, dev, nr)) {
        return raised;
    }
    if function(k, dev).msix.as_ref().is_some_and(|msix| msix.enable) {
        msix_raise(k, dev, nr)
    } else {
        msi_raise(k, dev, u32::from(nr))
    }
}

/// What the device behind a function scheduled for itself is due, or what it was told to ask for.
pub fn device_event(k: &mut Kernel, dev: PciDevId, word: u64) {
    if word & ASKS != 0 {
        k.on_its_own(|k| ask(k, dev, word as u16));
        return;
    }
    let event = function(k, dev).model.event;
    k.on_its_own(|k| event(k, dev, word));
}

/// What must hold between the registers of every function.
///
/// # Errors
/// The first rule that is broken, in words.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    for function in &k.hw.pci {
        let bdf = function.bdf;
        if let Some(msix) = &function.msix {
            let live = msix.enable && !msix.function_mask;
            for (n, entry) in msix.table.iter().enumerate() {
                let pending = msix.pba[n / 64] >> (n % 64) & 1 == 1;
                if pending && live && entry.vector_control & 1 == 0 {
                    return Err(format!("{bdf:#06x}: MSI-X entry {n} is pending although nothing masks it"));
                }
            }
        }
        if let Some(msi) = &function.msi
            && msi.enable
            && msi.pending_bits & !msi.mask_bits != 0
        {
            return Err(format!("{bdf:#06x}: an MSI is pending although nothing masks it"));
        }
        if function.intx_driven && !function.interrupt_status {
            return Err(format!("{bdf:#06x}: the pin is driven without a reason"));
        }
    }
    Ok(())
}
