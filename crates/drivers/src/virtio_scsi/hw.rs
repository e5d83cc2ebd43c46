//! The SCSI host device of virtio (Virtual I/O Device specification 1.1, section 5.6).
//!
//! # What it doesn't implement
//! Targets, and with them every request.

use kstate::data::Data;
use kstate::hw::pci::{DeviceModel, Parameter, PciFunction};
use kstate::hw::virtio::{Served, VirtioDevice, VirtioKind};
use kstate::{Kernel, PciDevId};

use crate::virtio::hw;

/// PCI Device ID of a transitional SCSI host.
pub const DEVICE_ID: u16 = 0x1004;
/// PCI class code: mass storage, SCSI.
pub const CLASS: u32 = 0x01_0000;
/// VIRTIO_ID_SCSI.
pub const VIRTIO_ID_SCSI: u32 = 8;
/// Queues before those for requests: control and event (section 5.6.2).
pub const VQ_BASE: u16 = 2;

/// The kind of PCI device.
pub static MODEL: DeviceModel = DeviceModel {
    name: "virtio-scsi",
    parameters: &[Parameter { key: "request_queues", min: 1, max: 1024, default: None }],
    power_on,
    ..hw::MODEL
};

/// The kind of virtio device. Nobody gives it a buffer.
pub static KIND: VirtioKind = VirtioKind {
    name: "scsi",
    device_id: VIRTIO_ID_SCSI,
    ready: |_, _| true,
    serve: |_, _, _| Served::Malformed,
};

/// What the device keeps.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Scsi {
    /// `num_queues` of its configuration (section 5.6.4): queues for requests.
    pub num_queues: u32,
}

/// `num_queues` of a device.
pub fn num_queues(device: &VirtioDevice) -> u32 {
    device.data.get::<Scsi>().map_or(1, |scsi| scsi.num_queues)
}

fn power_on(k: &mut Kernel, dev: PciDevId, function: &mut PciFunction, parameters: &[u32]) {
    let num_queues = parameters.first().copied().unwrap_or(1);
    let msix_vectors = function.msix.as_ref().map_or(0, |msix| msix.table.len());
    let queues = VQ_BASE + num_queues as u16;
    (function.device_id, function.class_code) = (DEVICE_ID, CLASS);
    let scsi = Data::new(Scsi { num_queues });
    hw::attach(k, function, hw::new(dev, &KIND, 0, queues, msix_vectors as u16, scsi));
}
