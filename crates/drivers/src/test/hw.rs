//! A PCI function for experiments: it asks for its messages when it is told to.
//!
//! No device has a counterpart.

use kstate::event::Event;
use kstate::hw::pci::{Bar, DeviceModel, PciFunction};
use kstate::oracle::Point;
use kstate::{Kernel, PciDevId};

/// Vendor and device.
pub const ID: (u16, u16) = (0x1b36, 0x0005);

/// The kind of device. Between two register accesses of the host it may ask for a message.
pub static MODEL: DeviceModel = DeviceModel {
    name: "test",
    power_on,
    event: |k, dev, word| ask(k, dev, word as u16),
    describe: |word| format!("asks for message {word}"),
    pending: Some(pending),
    act: Some(act),
    ..DeviceModel::INERT
};

/// A function that is all there is: the MSI-X table is behind base address register 0.
fn power_on(_: &mut Kernel, _: PciDevId, function: &mut PciFunction, _: &[u32]) {
    (function.vendor_id, function.device_id) = ID;
    function.class_code = 0xff_0000;
    function.bars[0] = Bar::Msix;
}

/// The event of a function that asks for a message.
fn due(dev: PciDevId, nr: u16) -> Event {
    Event::Device(dev, u64::from(nr))
}

/// How long the function takes to ask for what it was told to, in ns.
const LATENCY: u64 = 10_000;

fn pending(k: &Kernel, dev: PciDevId) -> bool {
    !k.hw.pci[dev.index()].asking.is_empty()
}

fn act(k: &mut Kernel, dev: PciDevId) {
    let count = k.hw.pci[dev.index()].asking.len() as u32;
    let n = k.oracle.choose(Point::Hardware, count);
    let Some((&nr, _)) = k.hw.pci[dev.index()].asking.iter().nth(n as usize) else { return };
    if k.events.take(&due(dev, nr)) {
        ask(k, dev, nr);
    }
}

/// From now on the function will ask for a message; with `again` without end.
pub fn begin(k: &mut Kernel, dev: PciDevId, nr: u16, again: bool) {
    if k.hw.pci[dev.index()].asking.insert(nr, again).is_none() {
        k.events.push(LATENCY, due(dev, nr));
    }
}

/// The function will not ask for the message any more.
pub fn cease(k: &mut Kernel, dev: PciDevId, nr: u16) {
    if k.hw.pci[dev.index()].asking.remove(&nr).is_some() {
        k.events.take(&due(dev, nr));
    }
}

/// The time has come to ask for a message.
pub fn ask(k: &mut Kernel, dev: PciDevId, nr: u16) {
    let asking = &mut k.hw.pci[dev.index()].asking;
    match asking.get(&nr) {
        None => return,
        Some(true) => {
            k.events.push(LATENCY, due(dev, nr));
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
    if let Some(raised) = k.hw.pci[dev.index()].model.raise.and_then(|raise| raise(k, dev, nr)) {
        return raised;
    }
    if k.hw.pci[dev.index()].msix.as_ref().is_some_and(|msix| msix.enable) {
        pcimsi::hw::msix_raise(k, dev, nr)
    } else {
        pcimsi::hw::msi_raise(k, dev, u32::from(nr))
    }
}
