//! Disks.
//!
//! C file: block/genhd.c of 5.4 and 6.12.

use kstate::blk::{Gendisk, fill_slot};
use kstate::{DiskId, Kernel, QueueId};

use super::elevator::elevator_init_mq;

/// The disk has a name and can be read from now on. `capacity` is in sectors of 512 bytes.
pub fn device_add_disk(k: &mut Kernel, disk_name: String, queue: QueueId, capacity: u64) -> DiskId {
    elevator_init_mq(k, queue);
    DiskId(fill_slot(&mut k.blk.disks, Gendisk { disk_name, queue, capacity }))
}

/// The disk is gone.
pub fn del_gendisk(k: &mut Kernel, disk: DiskId) {
    if let Some(slot) = k.blk.disks.get_mut(disk.index()) {
        *slot = None;
    }
}
