//! What /sys/block and /proc/partitions say of a disk: block/{genhd,blk-sysfs}.c and block/partitions/core.c.

use core::fmt::Write as _;

use drivers::block::blk_mq_sysfs::blk_mq_register_hctx;
use kstate::blk::Gendisk;
use kstate::{Kernel, QueueId};

/// Files of a disk beside its folders.
pub(super) const DISK: [&str; 7] = ["dev", "ext_range", "hidden", "range", "removable", "ro", "size"];

/// Files of a disk's request queue.
pub(super) const QUEUE: [&str; 4] = ["hw_sector_size", "logical_block_size", "nr_requests", "rotational"];

/// `DISK_MAX_PARTS`.
const DISK_MAX_PARTS: u32 = 256;
/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Requests that a scheduler keeps at most for a queue, of which it has twice as many (`BLKDEV_DEFAULT_RQ`, in 5.4
/// `BLKDEV_MAX_RQ`).
const BLKDEV_DEFAULT_RQ: u32 = 128;

/// The disk with this name.
fn disk<'a>(k: &'a Kernel, name: &str) -> Option<&'a Gendisk> {
    k.blk.disk(k.blk.disk_by_name(name)?)
}

/// The numbers of a disk, as in `259:0`.
pub(super) fn dev(disk: &Gendisk) -> String {
    format!("{}:{}", disk.major, disk.first_minor)
}

/// The disk that has these numbers, as in `259:0`.
pub(super) fn by_dev<'a>(k: &'a Kernel, numbers: &str) -> Option<&'a str> {
    let mut disks = k.blk.disks.iter().flatten().filter(|disk| !disk.gone);
    disks.find(|disk| dev(disk) == numbers).map(|disk| &*disk.disk_name)
}

/// A file of /sys/block/DISK.
pub(super) fn disk_file(k: &Kernel, name: &str, file: &str) -> Option<String> {
    let disk = disk(k, name)?;
    Some(match file {
        "dev" => dev(disk),
        "range" => disk.minors.to_string(),
        "ext_range" => DISK_MAX_PARTS.to_string(),
        "hidden" | "removable" | "ro" => "0".to_owned(),
        "size" => disk.capacity.to_string(),
        _ => return None,
    })
}

/// A file of /sys/block/DISK/queue.
// DEVIATION: of a queue's many files there are those whose values the model has. A scheduler cannot be chosen, and nothing
// can be written.
pub(super) fn queue_file(k: &Kernel, name: &str, file: &str) -> Option<String> {
    let queue = disk(k, name)?.queue;
    Some(match file {
        "hw_sector_size" | "logical_block_size" => SECTOR.to_string(),
        "nr_requests" => nr_requests(k, queue)?.to_string(),
        // virtio_blk says nothing of its disks, and what says nothing turns.
        "rotational" => u8::from(k.blk.ops(queue).name == "virtio_mq_ops").to_string(),
        _ => return None,
    })
}

/// How many requests a queue has (`blk_mq_init_allocated_queue()`, `blk_mq_init_sched()`).
fn nr_requests(k: &Kernel, queue: QueueId) -> Option<u32> {
    let queue = k.blk.find_q(queue)?;
    let depth = k.blk.set(queue.tag_set).queue_depth;
    Some(if queue.elevator { 2 * depth.min(BLKDEV_DEFAULT_RQ) } else { depth })
}

/// The hardware queues of a disk that have a folder.
pub(super) fn hw_queues(k: &Kernel, name: &str) -> Vec<u32> {
    let all =
        disk(k, name).and_then(|disk| k.blk.find_q(disk.queue)).map_or(0, |q| q.queue_hw_ctx.len() as u32);
    (0..all).filter(|&queue| blk_mq_register_hctx(k, name, queue).is_some()).collect()
}

/// The folders in that of a hardware queue, one for each of its software queues; none where it has no folder.
pub(super) fn software_queues(k: &Kernel, name: &str, queue: u32) -> Option<Vec<String>> {
    let hctx = blk_mq_register_hctx(k, name, queue)?;
    Some(hctx.mapped_cpus.iter().map(|cpu| format!("cpu{cpu}")).collect())
}

/// Text of /proc/partitions (`show_partition()`).
pub(super) fn show_partitions(k: &Kernel) -> String {
    let mut out = String::new();
    for disk in k.blk.disks.iter().flatten().filter(|disk| !disk.gone) {
        // show_partition_start()
        if out.is_empty() {
            out.push_str("major minor  #blocks  name\n\n");
        }
        if disk.capacity > 0 {
            let Gendisk { major, first_minor, capacity, disk_name, .. } = &**disk;
            let _ = writeln!(out, "{major:4}  {first_minor:7} {:10} {disk_name}", capacity / 2);
        }
    }
    out
}
