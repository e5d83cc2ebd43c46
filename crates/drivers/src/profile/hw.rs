//! A PCI function of which nothing is known but its interrupts.
//!
//! It has an MSI-X table, an MSI capability or an INTx line, as the machine file says, and asks for an
//! interrupt when somebody writes its number to a file of the test module. No device has a counterpart.

use kstate::data::Data;
use kstate::hw::pci::{Bar, DeviceModel, PciFunction};
use kstate::{Kernel, PciDevId};

use super::Board;

/// The kind of device. Which driver takes it is in its [`Board`].
pub static MODEL: DeviceModel = DeviceModel { name: "generic", power_on, ..DeviceModel::INERT };

/// The MSI-X table is behind base address register 0.
fn power_on(_: &mut Kernel, _: PciDevId, function: &mut PciFunction, _: &[u32]) {
    function.bars[0] = Bar::Msix;
}

/// Makes the function one that the driver of `board` takes.
pub fn identify(function: &mut PciFunction, board: Board) {
    (function.vendor_id, function.device_id) = board.profile.id;
    function.class_code = board.profile.class;
    function.board = Data::new(board);
}

/// What the function is.
pub fn board(k: &Kernel, dev: PciDevId) -> Option<&Board> {
    k.hw.pci.get(dev.index())?.board.get()
}
