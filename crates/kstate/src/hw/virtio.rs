//! A virtio device behind a PCI function (Virtual I/O Device specification 1.1, sections 2.6 and 4.1).

use std::collections::BTreeMap;

use crate::PciDevId;
use crate::data::Data;
use crate::list::List;
use crate::named::by_name;

/// VIRTIO_MSI_NO_VECTOR: no MSI-X vector is mapped.
pub const NO_VECTOR: u16 = 0xffff;

/// Device status field (section 2.1): the driver has noticed the device.
pub const STATUS_ACKNOWLEDGE: u8 = 1;
/// There is a driver for it.
pub const STATUS_DRIVER: u8 = 2;
/// The driver is ready.
pub const STATUS_DRIVER_OK: u8 = 4;
/// Features are agreed on.
pub const STATUS_FEATURES_OK: u8 = 8;
/// The device has given up until it is reset.
pub const STATUS_NEEDS_RESET: u8 = 0x40;
/// The driver has given up.
pub const STATUS_FAILED: u8 = 0x80;

/// VIRTIO_F_INDIRECT_DESC: a descriptor may name a table of descriptors.
pub const F_INDIRECT_DESC: u64 = 1 << 28;
/// VIRTIO_F_EVENT_IDX: both sides say when they want to hear of something.
pub const F_EVENT_IDX: u64 = 1 << 29;
/// VIRTIO_F_VERSION_1: not a legacy device.
pub const F_VERSION_1: u64 = 1 << 32;

/// VIRTQ_DESC_F_NEXT: the buffer continues in `next`.
pub const DESC_F_NEXT: u16 = 1;
/// VIRTQ_DESC_F_WRITE: the device writes it.
pub const DESC_F_WRITE: u16 = 2;
/// VIRTQ_DESC_F_INDIRECT: the buffer is a table of descriptors.
pub const DESC_F_INDIRECT: u16 = 4;
/// VIRTQ_AVAIL_F_NO_INTERRUPT: the driver wants no interrupt.
pub const AVAIL_F_NO_INTERRUPT: u16 = 1;
/// VIRTQ_USED_F_NO_NOTIFY: the device wants no notification.
pub const USED_F_NO_NOTIFY: u16 = 1;

/// ISR status (section 4.1.4.5): a queue has used buffers.
pub const ISR_QUEUE: u8 = 1;
/// The configuration has changed.
pub const ISR_CONFIG: u8 = 2;

/// `struct virtq_desc` (section 2.6.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtqDesc {
    /// Address of the buffer.
    pub addr: u64,
    /// Its length in bytes.
    pub len: u32,
    /// `DESC_F_*`.
    pub flags: u16,
    /// The descriptor the buffer continues in.
    pub next: u16,
}

/// `struct virtq_used_elem` (section 2.6.8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtqUsedElem {
    /// Head of the descriptor chain.
    pub id: u32,
    /// Bytes the device wrote.
    pub len: u32,
}

/// A split virtqueue in memory. What was never written is zero and takes no room.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SplitRing {
    /// Number of descriptors.
    pub num: u16,
    /// Descriptor table.
    pub desc: BTreeMap<u16, VirtqDesc>,
    /// `AVAIL_F_*`.
    pub avail_flags: u16,
    /// Where the driver puts the next available head.
    pub avail_idx: u16,
    /// Available heads by slot.
    pub avail_ring: BTreeMap<u16, u16>,
    /// Where in the used ring the driver wants the next interrupt.
    pub used_event: u16,
    /// `USED_F_*`.
    pub used_flags: u16,
    /// Where the device puts the next used element.
    pub used_idx: u16,
    /// Used elements by slot.
    pub used_ring: BTreeMap<u16, VirtqUsedElem>,
    /// Where in the available ring the device wants the next notification.
    pub avail_event: u16,
}

impl SplitRing {
    /// Which free descriptor follows `i`: the free list starts out in ascending order.
    pub fn next_free(&self, i: u16) -> u16 {
        self.desc.get(&i).map_or(i.wrapping_add(1), |d| d.next)
    }
}

/// The part of the machine's memory that driver and device share, by address. It is memory, so a
/// reset of the device leaves it alone. What disk sectors and packets hold is not modelled.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SharedMemory {
    /// Rings, by the address of their descriptor table.
    pub rings: BTreeMap<u64, SplitRing>,
    /// Indirect descriptor tables.
    pub tables: BTreeMap<u64, Vec<VirtqDesc>>,
    /// Buffers with something in them that the other side reads, as their first bytes.
    pub buffers: BTreeMap<u64, [u8; 16]>,
}

/// One queue's part of the common configuration structure, and what the device remembers of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtqueueRegs {
    /// Largest size the device supports.
    pub queue_size_max: u16,
    /// queue_size.
    pub queue_size: u16,
    /// queue_msix_vector.
    pub queue_msix_vector: u16,
    /// queue_enable.
    pub queue_enable: bool,
    /// queue_desc: address of the descriptor table.
    pub queue_desc: u64,
    /// queue_driver: address of the available ring.
    pub queue_driver: u64,
    /// queue_device: address of the used ring.
    pub queue_device: u64,
    /// How far the available ring was read.
    pub last_avail_idx: u16,
    /// used_idx when an interrupt was last considered; `None` since the last reset.
    pub signalled_used: Option<u16>,
    /// Heads that were fetched and are not used yet, oldest first.
    pub in_flight: List<u16>,
}

/// What became of a chain of buffers that a device took from a queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Served {
    /// It is done with it, and has written so many bytes.
    Used(u32),
    /// It cannot be understood: the device needs a reset.
    Malformed,
}

/// A kind of virtio device (section 5): what it does with buffers. The name identifies it.
#[derive(Clone, Copy)]
pub struct VirtioKind {
    /// Its name.
    pub name: &'static str,
    /// Its device ID.
    pub device_id: u32,
    /// Whether it has a use for a chain from this queue now.
    pub ready: fn(&VirtioDevice, u16) -> bool,
    /// Takes a chain from a queue that it is ready for.
    pub serve: fn(&mut VirtioDevice, u16, &[VirtqDesc]) -> Served,
}

impl VirtioKind {
    /// A device that uses every buffer at once and writes nothing.
    pub const SINK: Self =
        Self { name: "", device_id: 0, ready: |_, _| true, serve: |_, _, _| Served::Used(0) };
}

impl Default for &VirtioKind {
    fn default() -> Self {
        &VirtioKind::SINK
    }
}

by_name! { VirtioKind }

/// A virtio device.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioDevice {
    /// What kind of device it is.
    pub kind: &'static VirtioKind,
    /// Its PCI function.
    pub dev: PciDevId,
    /// Features it offers.
    pub device_feature: u64,
    /// device_feature_select.
    pub device_feature_select: u32,
    /// driver_feature: what the driver accepted.
    pub driver_feature: u64,
    /// driver_feature_select.
    pub driver_feature_select: u32,
    /// msix_config: the vector for configuration changes.
    pub msix_config: u16,
    /// device_status.
    pub device_status: u8,
    /// config_generation.
    pub config_generation: u8,
    /// The driver may have read the device configuration since that last changed.
    pub config_looked_at: bool,
    /// queue_select.
    pub queue_select: u16,
    /// The queues.
    pub queues: Vec<VirtqueueRegs>,
    /// ISR status.
    pub isr_status: u8,
    /// Entries of the MSI-X table.
    pub msix_vectors: u16,
    /// Its device configuration and what else its kind keeps.
    pub data: Data,
    /// Starting fails (for experiments): DRIVER_OK is not accepted.
    pub start_fails: bool,
    /// What driver and device share.
    pub memory: SharedMemory,
}
