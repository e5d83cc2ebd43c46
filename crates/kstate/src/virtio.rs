//! `struct virtio_driver`, `struct virtio_device`, `struct virtio_pci_device` and the rings' own
//! bookkeeping (include/linux/virtio.h, drivers/virtio).

use core::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use crate::copied::clone_by_field;
use crate::data::Data;
use crate::hw::virtio::SplitRing;
use crate::irqdesc::DevId;
use crate::list::List;
use crate::named::by_name;
use crate::sched::Call;
use crate::shared::Shared;
use crate::{CpuMask, Errno, Irq, Kernel, PciDevId, VirtioDriverId, VirtioId};

/// `VP_MSIX_CONFIG_VECTOR`: configuration changes use the first vector.
pub const VP_MSIX_CONFIG_VECTOR: u16 = 0;
/// `VP_MSIX_VQ_VECTOR`: queues that share one use the second.
pub const VP_MSIX_VQ_VECTOR: u16 = 1;

/// The number that stands for the device as a whole in a `dev_id`. Queues have theirs, which are lower.
pub const VP_DEV: u16 = u16::MAX;

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

/// `struct virtio_driver`: what a driver gives to the bus.
#[derive(Clone, Copy)]
pub struct VirtioDriver {
    /// `driver.name`.
    pub name: &'static str,
    /// `id_table`: device IDs (section 5 of the specification).
    pub id_table: &'static [u32],
    /// `feature_table`, as bits: what the driver understands.
    pub feature_table: u64,
    /// `probe`.
    pub probe: fn(VirtioId) -> Call<Result<(), Errno>>,
    /// `remove`.
    pub remove: fn(VirtioId) -> Call<()>,
    /// `config_changed`.
    pub config_changed: Option<fn(&mut Kernel, VirtioId)>,
}

/// A `vq_callback_t`: the device has used buffers of this queue.
#[derive(Clone, Copy)]
pub struct VqCallback {
    /// The C name.
    pub name: &'static str,
    /// The callback.
    pub call: fn(&mut Kernel, VirtioId, u16),
}

by_name! { VirtioDriver VqCallback }

/// `struct virtqueue_info`: what `find_vqs` is asked for. In 5.4 these are arrays of names and
/// callbacks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct VirtqueueInfo {
    /// `name`.
    pub name: String,
    /// `callback`.
    pub callback: Option<VqCallback>,
}

/// `struct vring_virtqueue`, the driver's side of a split ring.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Virtqueue {
    /// `name`.
    pub name: String,
    /// `callback`, where the driver wants to know about used buffers.
    pub callback: Option<VqCallback>,
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
    /// `desc_state`: what the driver knows each head in flight by.
    pub desc_state: BTreeMap<u16, u64>,
    /// Address of the descriptor table.
    pub desc_addr: u64,
}

/// `struct virtio_pci_vq_info`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioPciVqInfo {
    /// `msix_vector`.
    pub msix_vector: u16,
}

/// `struct virtio_pci_device` with the `struct virtio_device` in it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioPciDevice {
    /// `pci_dev`.
    pub pci_dev: PciDevId,
    /// `vdev.id.device`: what kind of device it is.
    pub device: u32,
    /// `vdev.dev.driver`: the driver of the virtio bus.
    pub driver: Option<VirtioDriverId>,
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
    pub virtqueues: List<u16>,
    /// `slow_virtqueues` (6.12): those on the vector of configuration changes.
    pub slow_virtqueues: List<u16>,
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
    /// The queues that `find_vqs` was asked for; on its caller's stack in C.
    pub vqs_info: Vec<VirtqueueInfo>,
    /// `pre_vectors` of the affinity description that `find_vqs` got, if any. It is on the caller's
    /// stack in C, and every attempt increments it.
    pub pre_vectors: Option<u32>,
    /// `vdev.priv`: what its driver keeps.
    pub drvdata: Data,
}

impl VirtioPciDevice {
    /// The driver has asked for a callback of this queue.
    pub fn wants_callback(&self, index: u16) -> bool {
        self.vqs_info.get(usize::from(index)).is_some_and(|vq| vq.callback.is_some())
    }
}

/// drivers/virtio.
#[derive(PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioState {
    /// By `VirtioId`; `None` while virtio-pci is not bound to the function.
    pub devs: Vec<Option<Shared<VirtioPciDevice>>>,
    /// The registered drivers of the virtio bus.
    pub drivers: Vec<&'static VirtioDriver>,
    /// `virtio_index_ida`.
    pub virtio_index_ida: BTreeSet<u32>,
}

clone_by_field! {
    VirtioState { devs, drivers, virtio_index_ida }
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
    /// The driver of a bound device.
    pub fn driver(&self, id: VirtioId) -> Option<&'static VirtioDriver> {
        Some(self.drivers[self.find(id)?.driver?.index()])
    }
    /// `vdev->priv` of a device that is bound to the driver that keeps a `T` there.
    ///
    /// # Panics
    /// If it is not.
    pub fn drvdata<T: Any>(&self, id: VirtioId) -> &T {
        self.dev(id).drvdata.get().expect("a virtio device of another driver")
    }
    /// The same, mutably.
    ///
    /// # Panics
    /// If it is not bound to that driver.
    pub fn drvdata_mut<T: Any>(&mut self, id: VirtioId) -> &mut T {
        self.dev_mut(id).drvdata.get_mut().expect("a virtio device of another driver")
    }
}

impl Kernel {
    /// `pci_dev->irq` of a virtio device.
    pub fn vp_irq(&self, id: VirtioId) -> Irq {
        Irq(self.pci_dev(self.virtio.dev(id).pci_dev).irq)
    }

    /// The `dev_id` of interrupts for configuration changes and shared vectors, which in C is the device's address.
    pub fn vp_dev_id(&self, id: VirtioId) -> DevId {
        DevId::Driver(self.virtio.dev(id).pci_dev, VP_DEV)
    }

    /// The `dev_id` of a queue's interrupt, which in C is the queue's address.
    pub fn vq_dev_id(&self, id: VirtioId, index: u16) -> DevId {
        DevId::Driver(self.hw.virtio[id.index()].dev, index)
    }

    /// What the driver knows of a queue, and the queue's ring in memory.
    pub fn vq_and_ring(&mut self, id: VirtioId, index: u16) -> Option<(&mut Virtqueue, &mut SplitRing)> {
        let vq = self.virtio.devs.get_mut(id.index())?.as_deref_mut()?.vdev_vqs.get_mut(&index)?;
        let ring = self.hw.virtio.get_mut(id.index())?.memory.rings.get_mut(&vq.desc_addr)?;
        Some((vq, ring))
    }
}
