//! Queues that follow the interrupts of a virtio device.
//!
//! C file: block/blk-mq-virtio.c of 5.4 and 6.12.

use kfn::kfn;
use kstate::{CpuMask, Kernel, TagSetId, VirtioId};

use super::blk_mq_cpumap::blk_mq_map_queues;

/// `blk_mq_virtio_map_queues()`; `get_vq_affinity` is the transport's, `None` where it has none.
#[kfn("block/blk-mq-virtio.c")]
pub fn blk_mq_virtio_map_queues(
    k: &mut Kernel,
    set: TagSetId,
    map: usize,
    vdev: VirtioId,
    first_vec: u32,
    get_vq_affinity: Option<fn(&mut Kernel, VirtioId, u32) -> Option<CpuMask>>,
) {
    let qmap = &k.blk.set(set).map[map];
    let (nr_queues, queue_offset) = (qmap.nr_queues, qmap.queue_offset);
    let Some(get_vq_affinity) = get_vq_affinity else { return blk_mq_map_queues(k, set, map) };
    for queue in 0..nr_queues {
        let Some(mask) = get_vq_affinity(k, vdev, first_vec + queue) else {
            return blk_mq_map_queues(k, set, map);
        };
        for cpu in mask.iter().filter(|cpu| cpu.0 < k.topo.nr_cpu_ids) {
            k.blk.set_mut(set).map[map].mq_map[cpu.index()] = queue_offset + queue;
        }
    }
}
