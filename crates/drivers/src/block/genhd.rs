//! Disks.
//!
//! C file: block/genhd.c of 5.4 and 6.12.

use kstate::blk::Gendisk;
use kstate::{DiskId, Kernel, QueueId};

use super::{free_slot, put};

/// The disk has a name and can be read from now on. `capacity` is in sectors of 512 bytes.
pub fn device_add_disk(k: &mut Kernel, disk_name: String, queue: QueueId, capacity: u64) -> DiskId {
    let id = free_slot(&k.blk.disks);
    put(&mut k.blk.disks, id, Gendisk { disk_name, queue, capacity });
    DiskId(id as u32)
}

/// The disk is gone.
pub fn del_gendisk(k: &mut Kernel, disk: DiskId) {
    if let Some(slot) = k.blk.disks.get_mut(disk.index()) {
        *slot = None;
    }
}

/// The names of all disks, in the order of `ls`.
pub fn disk_names(k: &Kernel) -> Vec<String> {
    let mut names: Vec<String> = k.blk.disks.iter().flatten().map(|d| d.disk_name.clone()).collect();
    names.sort();
    names
}
