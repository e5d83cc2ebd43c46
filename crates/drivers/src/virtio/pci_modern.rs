//! virtio-pci by the modern interface: the common configuration structure.
//!
//! drivers/virtio/virtio_pci_modern.c of 5.4 and 6.12, and 6.12's virtio_pci_modern_dev.c.

use kfn::kframe;
use kstate::hw::virtio::{F_VERSION_1, NO_VECTOR};
use kstate::virtio::VirtioPciVqInfo;
use kstate::{Errno, Kernel, VirtioId};

use super::hw::{self, Reg, ioread, iowrite};
use super::{pci_common, ring};

/// `VIRTIO_FEATURES_BITS / 32` (7.3), or the two selects of older kernels.
fn feature_words(k: &Kernel) -> u32 {
    if k.sem.virtio_features_128 { 4 } else { 2 }
}

/// `config->get_features`.
// DEVIATION: the upper 64 features are read and written, but not kept: no driver here knows one of them.
pub fn vp_get_features(k: &mut Kernel, id: VirtioId) -> u64 {
    let mut features = 0;
    for word in 0..feature_words(k) {
        iowrite(k, id, Reg::DeviceFeatureSelect, word);
        let cur = u64::from(ioread(k, id, Reg::DeviceFeature));
        if word < 2 {
            features |= cur << (32 * word);
        }
    }
    features
}

/// `config->finalize_features`.
///
/// # Errors
/// `EINVAL` when the device is a legacy one.
pub fn vp_finalize_features(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let features = k.virtio.dev(id).features;
    if features & F_VERSION_1 == 0 {
        let name = k.vdev_name(id);
        k.pr_warn(format!(
            "{name}: virtio: device uses modern interface but does not have VIRTIO_F_VERSION_1"
        ));
        return Err(Errno::EINVAL);
    }
    for word in 0..feature_words(k) {
        let cur = if word < 2 { features >> (32 * word) } else { 0 };
        iowrite(k, id, Reg::DriverFeatureSelect, word);
        iowrite(k, id, Reg::DriverFeature, cur as u32);
    }
    Ok(())
}

/// `config->get_status`.
pub fn vp_get_status(k: &Kernel, id: VirtioId) -> u8 {
    ioread(k, id, Reg::DeviceStatus) as u8
}

/// `config->set_status`.
pub fn vp_set_status(k: &mut Kernel, id: VirtioId, status: u8) {
    iowrite(k, id, Reg::DeviceStatus, u32::from(status));
}

/// `config->reset`.
#[kframe("drivers/virtio/virtio_pci_modern.c")]
pub(crate) fn vp_reset(k: &mut Kernel, id: VirtioId) {
    iowrite(k, id, Reg::DeviceStatus, 0);
    // DEVIATION: the C loop sleeps until the status reads 0; this device resets within the write.
    call!(pci_common::vp_synchronize_vectors(id));
}

/// Maps the vector for configuration changes and returns what the device says it mapped.
pub fn vp_config_vector(k: &mut Kernel, id: VirtioId, vector: u16) -> u16 {
    iowrite(k, id, Reg::MsixConfig, u32::from(vector));
    ioread(k, id, Reg::MsixConfig) as u16
}

/// Writes an address in two halves.
fn vp_iowrite64_twopart(k: &mut Kernel, id: VirtioId, [lo, hi]: [Reg; 2], address: u64) {
    iowrite(k, id, lo, address as u32);
    iowrite(k, id, hi, (address >> 32) as u32);
}

/// Creates a queue and describes it to the device, without enabling it. Returns whether it has a
/// callback.
///
/// # Errors
/// `ENOENT` for an absent or active queue, `EINVAL` for a size that is no power of two, `EBUSY`
/// when the device refuses the vector.
pub fn setup_vq(k: &mut Kernel, id: VirtioId, index: u16, msix_vec: u16) -> Result<bool, Errno> {
    if u32::from(index) >= ioread(k, id, Reg::NumQueues) {
        return Err(if k.sem.virtio_slow_path_queues { Errno::EINVAL } else { Errno::ENOENT });
    }
    iowrite(k, id, Reg::QueueSelect, u32::from(index));
    let num = ioread(k, id, Reg::QueueSize);
    if num == 0 || ioread(k, id, Reg::QueueEnable) != 0 {
        return Err(Errno::ENOENT);
    }
    if !num.is_power_of_two() {
        return Err(Errno::EINVAL);
    }
    k.virtio.dev_mut(id).vqs.insert(index, VirtioPciVqInfo { msix_vector: msix_vec });

    let asked = k.virtio.dev(id).vqs_info.get(usize::from(index)).cloned().ok_or(Errno::EINVAL)?;
    ring::vring_create_virtqueue(k, id, index, num as u16, asked.name, asked.callback);
    iowrite(k, id, Reg::QueueSize, num);
    let desc = ring::virtqueue_get_desc_addr(k, id, index);
    vp_iowrite64_twopart(k, id, [Reg::QueueDescLo, Reg::QueueDescHi], desc);
    let avail = ring::virtqueue_get_avail_addr(k, id, index);
    vp_iowrite64_twopart(k, id, [Reg::QueueDriverLo, Reg::QueueDriverHi], avail);
    let used = ring::virtqueue_get_used_addr(k, id, index);
    vp_iowrite64_twopart(k, id, [Reg::QueueDeviceLo, Reg::QueueDeviceHi], used);
    if msix_vec != NO_VECTOR {
        iowrite(k, id, Reg::QueueMsixVector, u32::from(msix_vec));
        if ioread(k, id, Reg::QueueMsixVector) == u32::from(NO_VECTOR) {
            ring::vring_del_virtqueue(k, id, index);
            k.virtio.dev_mut(id).vqs.remove(&index);
            return Err(Errno::EBUSY);
        }
    }
    Ok(asked.callback.is_some())
}

/// Takes a queue's vector away and frees its ring.
pub fn del_vq(k: &mut Kernel, id: VirtioId, index: u16) {
    iowrite(k, id, Reg::QueueSelect, u32::from(index));
    if k.virtio.dev(id).msix_enabled {
        iowrite(k, id, Reg::QueueMsixVector, u32::from(NO_VECTOR));
        // The read flushes the write.
        ioread(k, id, Reg::QueueMsixVector);
    }
    ring::vring_del_virtqueue(k, id, index);
}

/// `config->find_vqs`: creates the queues, then enables them, from where only a reset leads back.
#[kframe("drivers/virtio/virtio_pci_modern.c")]
pub(crate) fn vp_modern_find_vqs(k: &mut Kernel, id: VirtioId, nvqs: u32) -> Result<(), Errno> {
    let rc: Result<(), Errno> = call!(pci_common::vp_find_vqs(id, nvqs));
    if rc.is_ok() {
        let queues: Vec<u16> = k.virtio.dev(id).vdev_vqs.keys().copied().collect();
        for index in queues {
            hw::iowrite(k, id, Reg::QueueSelect, u32::from(index));
            hw::iowrite(k, id, Reg::QueueEnable, 1);
        }
    }
    rc
}
