//! What must hold between two steps.

use kstate::Kernel;
use kstate::hw::virtio::{DESC_F_NEXT, VirtioDevice};
use kstate::virtio::VirtioPciDevice;

/// What must hold between driver, rings and device in every state.
///
/// # Errors
/// The first rule that is broken, in words.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    for (id, dev) in k.virtio.devs.iter().enumerate() {
        let Some(device) = k.hw.virtio.get(id) else {
            return Err(format!("virtio device {id} has no hardware"));
        };
        let Some(dev) = dev else {
            if !device.memory.rings.is_empty() {
                return Err(format!("virtio device {id} is not bound and its rings still exist"));
            }
            continue;
        };
        check_device(k, dev, device).map_err(|e| format!("virtio{}: {e}", dev.index))?;
    }
    Ok(())
}

fn check_device(k: &Kernel, dev: &VirtioPciDevice, device: &VirtioDevice) -> Result<(), String> {
    if !k.virtio.virtio_index_ida.contains(&dev.index) && !dev.vdev_vqs.is_empty() {
        return Err("has queues and no number".to_owned());
    }
    if dev.msix_used_vectors > dev.msix_vectors {
        let (used, all) = (dev.msix_used_vectors, dev.msix_vectors);
        return Err(format!("uses {used} vectors of {all}"));
    }
    if device.memory.rings.len() != dev.vdev_vqs.len() {
        return Err(format!("{} queues, {} rings", dev.vdev_vqs.len(), device.memory.rings.len()));
    }
    for (index, vq) in &dev.vdev_vqs {
        let Some(ring) = device.memory.rings.get(&vq.desc_addr) else {
            return Err(format!("queue {index} has no ring"));
        };
        let mut used = 0;
        for &head in vq.desc_state.keys() {
            let mut desc = ring.desc.get(&head);
            while let Some(d) = desc {
                used += 1;
                let more = d.flags & DESC_F_NEXT != 0 && used <= vq.num;
                desc = more.then(|| ring.desc.get(&d.next)).flatten();
            }
        }
        if vq.num_free + used != vq.num {
            return Err(format!("queue {index}: {used} used and {} free of {}", vq.num_free, vq.num));
        }
        let seen = ring.used_idx.wrapping_sub(vq.last_used_idx);
        let given = vq.avail_idx_shadow.wrapping_sub(vq.last_used_idx);
        if seen > given || usize::from(given) != vq.desc_state.len() {
            return Err(format!("queue {index}: {given} given, {seen} used, {} known", vq.desc_state.len()));
        }
        let listed = dev.virtqueues.contains(index) || dev.slow_virtqueues.contains(index);
        if listed && vq.callback.is_none() {
            return Err(format!("queue {index} is listed for interrupts and has no callback"));
        }
    }
    Ok(())
}
