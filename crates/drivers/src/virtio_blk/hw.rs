//! The block device of virtio (Virtual I/O Device specification 1.1, section 5.2).
//!
//! # What it doesn't implement
//! The data of sectors.

use kstate::data::Data;
use kstate::hw::pci::{DeviceModel, Parameter, PciFunction};
use kstate::hw::virtio::{DESC_F_WRITE, Served, VirtioDevice, VirtioKind, VirtqDesc};
use kstate::{Kernel, PciDevId, VirtioId};

use crate::virtio::hw;

/// PCI Device ID of a transitional block device.
pub const DEVICE_ID: u16 = 0x1001;
/// PCI class code: mass storage, SCSI.
pub const CLASS: u32 = 0x01_0000;

/// VIRTIO_BLK_F_SEG_MAX: `seg_max` is valid.
pub const F_SEG_MAX: u64 = 1 << 2;
/// VIRTIO_BLK_F_BLK_SIZE: `blk_size` is valid.
pub const F_BLK_SIZE: u64 = 1 << 6;
/// VIRTIO_BLK_F_FLUSH: there is a cache to flush.
pub const F_FLUSH: u64 = 1 << 9;
/// VIRTIO_BLK_F_TOPOLOGY: optimal sizes are valid.
pub const F_TOPOLOGY: u64 = 1 << 10;
/// VIRTIO_BLK_F_CONFIG_WCE: the cache can be switched.
pub const F_CONFIG_WCE: u64 = 1 << 11;
/// VIRTIO_BLK_F_MQ: `num_queues` is valid.
pub const F_MQ: u64 = 1 << 12;
/// VIRTIO_BLK_T_IN: read.
pub const T_IN: u32 = 0;
/// VIRTIO_BLK_T_OUT: write.
pub const T_OUT: u32 = 1;
/// VIRTIO_BLK_T_FLUSH: flush.
pub const T_FLUSH: u32 = 4;
/// VIRTIO_BLK_T_GET_ID: the serial number.
pub const T_GET_ID: u32 = 8;

/// Sectors of a disk: 64 MiB.
const DISK_SECTORS: u64 = 131_072;
/// Length of the string that `T_GET_ID` answers.
const ID_BYTES: u32 = 20;
/// Status byte: success.
const S_OK: u8 = 0;
/// Status byte: error.
const S_IOERR: u8 = 1;
/// Status byte: not supported.
const S_UNSUPP: u8 = 2;

/// The kind of PCI device.
pub static MODEL: DeviceModel = DeviceModel {
    name: "virtio-blk",
    parameters: &[Parameter { key: "request_queues", min: 1, max: 1024, default: None }],
    power_on,
    ..hw::MODEL
};

/// The kind of virtio device.
pub static KIND: VirtioKind = VirtioKind { name: "block", device_id: 2, ready: |_, _| true, serve };

/// `struct virtio_blk_req` up to its data (section 5.2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BlkOutHdr {
    /// `T_*`.
    pub ty: u32,
    /// Priority.
    pub ioprio: u32,
    /// First sector.
    pub sector: u64,
}

impl BlkOutHdr {
    /// As it lies in memory.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.ty.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.ioprio.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sector.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        let all = u128::from_le_bytes(bytes);
        Self { ty: all as u32, ioprio: (all >> 32) as u32, sector: (all >> 64) as u64 }
    }
}

/// Device configuration layout (section 5.2.4), the fields a driver reads.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct BlkConfig {
    /// Size in sectors of 512 bytes.
    pub capacity: u64,
    /// Most segments in a request.
    pub seg_max: u32,
    /// Block size in bytes.
    pub blk_size: u32,
    /// Write cache is on.
    pub writeback: bool,
    /// Request queues.
    pub num_queues: u16,
}

/// The configuration of a block device.
pub fn config(device: &VirtioDevice) -> BlkConfig {
    device.data.get().cloned().unwrap_or_default()
}

/// A device with `request_queues` request queues and a disk of `capacity` sectors.
pub fn new(dev: PciDevId, request_queues: u16, msix_vectors: u16, capacity: u64) -> VirtioDevice {
    let mut features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE;
    if request_queues > 1 {
        features |= F_MQ;
    }
    let config = BlkConfig {
        capacity,
        seg_max: u32::from(hw::QUEUE_SIZE) - 2,
        blk_size: 512,
        writeback: true,
        num_queues: request_queues,
    };
    hw::new(dev, &KIND, features, request_queues, msix_vectors, Data::new(config))
}

/// Puts a disk behind a function.
fn power_on(k: &mut Kernel, dev: PciDevId, function: &mut PciFunction, parameters: &[u32]) {
    let request_queues = parameters.first().copied().unwrap_or(1);
    let msix_vectors = function.msix.as_ref().map_or(0, |msix| msix.table.len());
    (function.device_id, function.class_code) = (DEVICE_ID, CLASS);
    hw::attach(k, function, new(dev, request_queues as u16, msix_vectors as u16, DISK_SECTORS));
}

/// A request: the first buffer is the header, the last one the status byte.
fn serve(device: &mut VirtioDevice, _queue: u16, buffers: &[VirtqDesc]) -> Served {
    let header = buffers.first().and_then(|first| device.memory.buffers.get(&first.addr)).copied();
    let last = buffers.last().filter(|d| d.flags & DESC_F_WRITE != 0);
    let (Some(header), Some(last)) = (header, last) else { return Served::Malformed };
    let data = buffers.iter().skip(1).rev().skip(1).fold(0u32, |sum, d| sum.saturating_add(d.len));
    let capacity = device.data.get().map_or(0, |config: &BlkConfig| config.capacity);
    let (status, written) = execute(capacity, BlkOutHdr::from_bytes(header), data);
    let mut byte = [0; 16];
    byte[0] = status;
    device.memory.buffers.insert(last.addr, byte);
    Served::Used(written)
}

/// Executes one request and returns its status byte and how many bytes the device wrote.
fn execute(capacity: u64, header: BlkOutHdr, data: u32) -> (u8, u32) {
    let sectors = u64::from(data / 512);
    let inside = header.sector.checked_add(sectors).is_some_and(|end| end <= capacity);
    match header.ty {
        T_IN if inside && data.is_multiple_of(512) => (S_OK, data + 1),
        T_OUT if inside && data.is_multiple_of(512) => (S_OK, 1),
        T_IN | T_OUT => (S_IOERR, 1),
        T_FLUSH => (S_OK, 1),
        T_GET_ID => (S_OK, data.min(ID_BYTES) + 1),
        _ => (S_UNSUPP, 1),
    }
}

/// Changes the size of the disk, as an administrator would.
pub fn resize(device: &mut VirtioDevice, capacity: u64) -> Option<hw::Notification> {
    device.data.get_mut::<BlkConfig>()?.capacity = capacity;
    hw::config_changed(device)
}

/// Changes the size of the disk and tells the driver.
pub fn set_capacity(k: &mut Kernel, id: VirtioId, capacity: u64) {
    let Some(device) = k.hw.virtio.get_mut(id.index()) else { return };
    if let Some(notification) = resize(device, capacity) {
        hw::interrupt(k, id, notification);
    }
}
