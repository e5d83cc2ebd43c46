//! A PCI function for experiments: it asks for its messages when it is told to.
//!
//! No device has a counterpart.

use kstate::hw::pci::{Bar, DeviceModel, PciFunction};
use kstate::oracle::Point;
use kstate::{Kernel, PciDevId};
use pcimsi::hw::{ask, asks};

/// Vendor and device.
pub const ID: (u16, u16) = (0x1b36, 0x0005);

/// The kind of device. Between two register accesses of the host it may ask for a message.
pub static MODEL: DeviceModel =
    DeviceModel { name: "test", power_on, pending: Some(pending), act: Some(act), ..DeviceModel::INERT };

/// A function that is all there is: the MSI-X table is behind base address register 0.
fn power_on(_: &mut Kernel, _: PciDevId, function: &mut PciFunction, _: &[u32]) {
    (function.vendor_id, function.device_id) = ID;
    function.class_code = 0xff_0000;
    function.bars[0] = Bar::Msix;
}

fn pending(k: &Kernel, dev: PciDevId) -> bool {
    !k.hw.pci[dev.index()].asking.is_empty()
}

fn act(k: &mut Kernel, dev: PciDevId) {
    let count = k.hw.pci[dev.index()].asking.len() as u32;
    let n = k.oracle.choose(Point::Hardware, count);
    let Some((&nr, _)) = k.hw.pci[dev.index()].asking.iter().nth(n as usize) else { return };
    if k.events.take(&asks(dev, nr)) {
        ask(k, dev, nr);
    }
}
