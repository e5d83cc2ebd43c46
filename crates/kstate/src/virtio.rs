//! `struct virtio_device`, `struct virtio_pci_device`, `struct virtio_blk` and the rings' own
//! bookkeeping (drivers/virtio, drivers/block/virtio_blk.c).

use std::collections::{BTreeMap, BTreeSet};

use crate::{CpuMask, DiskId, PciDevId, QueueId, ReqId, TagSetId, VirtioId, WorkId};

/// `VP_MSIX_CONFIG_VECTOR`: configuration changes use the first vector.
pub const VP_MSIX_CONFIG_VECTOR: u16 = 0;
/// `VP_MSIX_VQ_VECTOR`: queues that share one use the second.
pub const VP_MSIX_VQ_VECTOR: u16 = 1;

/// `enum vp_vq_vector_policy`. In 5.4 this is the flag `per_vq_vectors`: the first and the last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VpVqVectorPolicy {
    /// A vector for every queue.
    Each,
    /// Slow queues share the vector of configuration changes.
    SharedSlow,
    /// All queues share one.
    Shared,
}

impl crate::sched::Slot for VpVqVectorPolicy {
    fn to_slot(self) -> u64 {
        self as u64
    }
    fn from_slot(slot: u64) -> Self {
        match slot {
            0 => Self::Each,
            1 => Self::SharedSlow,
            _ => Self::Shared,
        }
    }
}

/// `struct vring_virtqueue`, the driver's side of a split ring.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Virtqueue {
    /// `name`.
    pub name: String,
    /// The driver has a callback for used buffers; all of virtio-blk's are `virtblk_done`.
    pub callback: bool,
    /// Number of descriptors.
    pub num: u16,
    /// `num_free`.
    pub num_free: u16,
    /// `free_head`.
    pub free_head: u16,
    /// Buffers added since the last notification.
    pub num_added: u16,
    /// Used elements seen so far.
    pub last_used_idx: u16,
    /// `avail_idx_shadow`.
    pub avail_idx_shadow: u16,
    /// `avail_flags_shadow`.
    pub avail_flags_shadow: u16,
    /// `indirect`: VIRTIO_RING_F_INDIRECT_DESC.
    pub indirect: bool,
    /// `event`: VIRTIO_RING_F_EVENT_IDX.
    pub event: bool,
    /// `event_triggered`: the device has used up its event (6.12).
    pub event_triggered: bool,
    /// `broken`.
    pub broken: bool,
    /// `desc_state`: the request behind each head in flight.
    pub desc_state: BTreeMap<u16, ReqId>,
    /// Address of the descriptor table.
    pub desc_addr: u64,
}

/// `struct virtio_pci_vq_info`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioPciVqInfo {
    /// `msix_vector`.
    pub msix_vector: u16,
}

/// `struct virtio_blk_vq`: what `init_vq` asks a queue to be.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioBlkVq {
    /// `name`.
    pub name: String,
    /// It has a callback.
    pub callback: bool,
}

/// `struct virtio_blk`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioBlkDrv {
    /// `vqs`.
    pub vqs: Vec<VirtioBlkVq>,
    /// `num_vqs`.
    pub num_vqs: u32,
    /// `io_queues` by hctx type (6.12).
    pub io_queues: [u32; 3],
    /// The tag set.
    pub tag_set: Option<TagSetId>,
    /// The request queue of the disk.
    pub queue: Option<QueueId>,
    /// The disk.
    pub disk: Option<DiskId>,
    /// `index`: of the disk's name.
    pub index: u32,
    /// `config_work`.
    pub config_work: WorkId,
    /// `desc.pre_vectors` of the affinity description on `init_vq`'s stack, which every attempt
    /// of `vp_find_vqs` increments.
    pub pre_vectors: u32,
}

/// `struct virtio_pci_device` with the `struct virtio_device` in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioPciDevice {
    /// `pci_dev`.
    pub pci_dev: PciDevId,
    /// `vdev.index`: the number in `virtio0`.
    pub index: u32,
    /// `vdev.features`.
    pub features: u64,
    /// `vdev.config_enabled`, later `config_core_enabled`.
    pub config_enabled: bool,
    /// `vdev.config_change_pending`.
    pub config_change_pending: bool,
    /// `vdev.vqs`: the queues by number, which is also the order of their list.
    pub vdev_vqs: BTreeMap<u16, Virtqueue>,
    /// `vqs`: transport data by queue number.
    pub vqs: BTreeMap<u16, VirtioPciVqInfo>,
    /// `virtqueues`: the queues with a callback, newest first.
    pub virtqueues: Vec<u16>,
    /// `slow_virtqueues` (6.12): those on the vector of configuration changes.
    pub slow_virtqueues: Vec<u16>,
    /// `intx_enabled`.
    pub intx_enabled: bool,
    /// `msix_enabled`.
    pub msix_enabled: bool,
    /// `per_vq_vectors`.
    pub per_vq_vectors: bool,
    /// `msix_vectors`: how many were asked for.
    pub msix_vectors: u32,
    /// `msix_used_vectors`: how many of them are not a queue's own.
    pub msix_used_vectors: u32,
    /// `msix_names`.
    pub msix_names: Vec<String>,
    /// `msix_affinity_masks`.
    pub msix_affinity_masks: Vec<CpuMask>,
    /// `vdev.priv`: virtio-blk's data while it drives the device.
    pub blk: Option<Box<VirtioBlkDrv>>,
}

/// Everything of drivers/virtio and drivers/block/virtio_blk.c.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioState {
    /// By `VirtioId`; `None` while virtio-pci is not bound to the function.
    pub devs: Vec<Option<Box<VirtioPciDevice>>>,
    /// `virtio_index_ida`.
    pub virtio_index_ida: BTreeSet<u32>,
    /// `vd_index_ida`.
    pub vd_index_ida: BTreeSet<u32>,
}

impl VirtioState {
    /// The device, which must be bound.
    pub fn dev(&self, id: VirtioId) -> &VirtioPciDevice {
        self.find(id).expect("a virtio device that is not bound")
    }
    /// The device, mutably.
    pub fn dev_mut(&mut self, id: VirtioId) -> &mut VirtioPciDevice {
        self.devs[id.index()].as_deref_mut().expect("a virtio device that is not bound")
    }
    /// The device, if it is bound.
    pub fn find(&self, id: VirtioId) -> Option<&VirtioPciDevice> {
        self.devs.get(id.index())?.as_deref()
    }
    /// A queue of a bound device.
    pub fn vq(&self, id: VirtioId, index: u16) -> Option<&Virtqueue> {
        self.find(id)?.vdev_vqs.get(&index)
    }
    /// virtio-blk's data of a bound device that it drives.
    pub fn blk(&self, id: VirtioId) -> &VirtioBlkDrv {
        self.dev(id).blk.as_deref().expect("a virtio device without virtio-blk")
    }
    /// virtio-blk's data, mutably.
    pub fn blk_mut(&mut self, id: VirtioId) -> &mut VirtioBlkDrv {
        self.dev_mut(id).blk.as_deref_mut().expect("a virtio device without virtio-blk")
    }
}
