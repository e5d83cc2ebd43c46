//! Disks.
//!
//! C file: block/genhd.c of 5.4 and 6.12.

use kstate::blk::{Gendisk, fill_slot};
use kstate::printk::RATELIMIT_BURST;
use kstate::{DiskId, Kernel, QueueId};

use super::elevator::elevator_init_mq;

/// `BLOCK_EXT_MAJOR`: the major number of disks whose driver has none.
pub const BLOCK_EXT_MAJOR: u32 = 259;

/// The disk has a name and can be read from now on. `capacity` is in sectors of 512 bytes. A driver with a major number of
/// its own says it with the disk's first minor one, and how many of these the disk has.
pub fn device_add_disk(
    k: &mut Kernel,
    disk_name: String,
    queue: QueueId,
    capacity: u64,
    own: Option<(u32, u32, u32)>,
) -> DiskId {
    elevator_init_mq(k, queue);
    let (major, first_minor, minors) = own.unwrap_or_else(|| (BLOCK_EXT_MAJOR, blk_alloc_ext_minor(k), 0));
    let disk = Gendisk { disk_name, queue, capacity, major, first_minor, minors, ..Gendisk::default() };
    DiskId(fill_slot(&mut k.blk.disks, disk))
}

/// `blk_alloc_ext_minor()`, in 5.4 a part of `blk_alloc_devt()`: the lowest number that no disk has. One that is gone has
/// its number as long as somebody has it open.
fn blk_alloc_ext_minor(k: &Kernel) -> u32 {
    let disks = || k.blk.disks.iter().flatten().filter(|disk| disk.major == BLOCK_EXT_MAJOR);
    (0..).find(|minor| disks().all(|disk| disk.first_minor != *minor)).unwrap_or_default()
}

/// The disk's size in sectors of 512 bytes, from now on.
pub fn set_capacity(k: &mut Kernel, disk: DiskId, sectors: u64) {
    if let Some(gendisk) = k.blk.disk_mut(disk) {
        gendisk.capacity = sectors;
    }
}

/// Sets the size of a disk that can be seen, and says that it has changed (5.11 and later).
pub fn set_capacity_and_notify(k: &mut Kernel, disk: DiskId, sectors: u64) {
    let Some(gendisk) = k.blk.disk_mut(disk) else { return };
    let before = core::mem::replace(&mut gendisk.capacity, sectors);
    if before == sectors || gendisk.gone {
        return;
    }
    let line = format!("{}: detected capacity change from {before} to {sectors}", gendisk.disk_name);
    if k.ratelimit("set_capacity_and_notify", RATELIMIT_BURST) {
        k.log.push(line);
    }
}

/// The disk is gone. Who has it open keeps it: 5.4 lets the file keep its size as well, 6.12 has one size for
/// both (`__blk_mark_disk_dead()`).
pub fn del_gendisk(k: &mut Kernel, disk: DiskId) {
    let Some(gendisk) = k.blk.disk_mut(disk) else { return };
    gendisk.gone = true;
    gendisk.capacity = 0;
    put_disk(k, disk);
}

/// `put_disk()`: the last of those who have it open, or its driver, lets a removed disk go.
pub(super) fn put_disk(k: &mut Kernel, disk: DiskId) {
    if k.blk.disk(disk).is_some_and(|gendisk| gendisk.gone && gendisk.openers == 0) {
        k.blk.disks[disk.index()] = None;
    }
}

/// `blk_mark_disk_dead()`: who reads finds the end.
pub fn blk_mark_disk_dead(k: &mut Kernel, disk: DiskId) {
    set_capacity(k, disk, 0);
}
