//! Reading a disk.
//!
//! C file: fs/block_dev.c of 5.4, block/fops.c and block/bdev.c of 6.12.
//!
//! # What it doesn't implement
//! The page cache. The pages of a reader's buffer are in one piece, so that a read is one bio, however long.

use kfn::kframe;
use kstate::blk::{Gendisk, ReqOp};
use kstate::sched::WaitOn;
use kstate::{DiskId, Errno, Kernel, QueueId, ReqId, TaskId};

use super::blk_mq::{blk_mq_alloc_request, blk_mq_submit_bio};
use super::genhd::put_disk;

/// Sectors of 512 bytes that `BIO_MAX_PAGES` (`BIO_MAX_VECS`) pages hold: a longer read holds its requests
/// back with a plug.
const BIO_MAX_SECTORS: u32 = 256 * 8;

/// `blkdev_get()` (5.4), `bdev_open()` (6.12): opens a disk. The first who does gives the file its size.
///
/// # Errors
/// `ENXIO` for a disk that is gone.
pub fn blkdev_get(k: &mut Kernel, disk: DiskId) -> Result<(), Errno> {
    let gendisk = k.blk.disk_mut(disk).filter(|gendisk| !gendisk.gone).ok_or(Errno::ENXIO)?;
    if gendisk.openers == 0 {
        gendisk.bd_size = gendisk.capacity;
    }
    gendisk.openers += 1;
    Ok(())
}

/// `blkdev_put()` (5.4), `bdev_release()` (6.12): closes it.
pub fn blkdev_put(k: &mut Kernel, disk: DiskId) {
    let Some(gendisk) = k.blk.disk_mut(disk) else { return };
    gendisk.openers -= 1;
    if gendisk.openers == 0 {
        // The inode is dropped with its last user, and its size with it.
        gendisk.bd_size = 0;
    }
    put_disk(k, disk);
}

/// Where a file that is open ends, in sectors of 512 bytes (`i_size_read()`, `bdev_nr_bytes()`).
pub fn bdev_nr_sectors(k: &Kernel, disk: DiskId) -> u64 {
    let size = |gendisk: &Gendisk| if k.sem.bdev_keeps_size { gendisk.bd_size } else { gendisk.capacity };
    k.blk.disk(disk).map_or(0, size)
}

/// `check_disk_size_change()` (5.4): gives the file the disk's size. `verbose` says so, which it does for every
/// disk that nobody has open.
pub fn check_disk_size_change(k: &mut Kernel, disk: DiskId, verbose: bool) {
    let Some(gendisk) = k.blk.disk_mut(disk) else { return };
    let (disk_size, bdev_size) = (gendisk.capacity * 512, gendisk.bd_size * 512);
    if disk_size == bdev_size {
        return;
    }
    if gendisk.openers != 0 {
        gendisk.bd_size = gendisk.capacity;
    }
    if verbose {
        let name = &gendisk.disk_name;
        k.log.push(format!("{name}: detected capacity change from {bdev_size} to {disk_size}"));
    }
}

/// `bio_check_eod()`: part of a read lies behind the end of the disk, which is shorter than it was.
// DEVIATION: it is not logged. C says whose read it was, with the flags of the bio.
fn bio_check_eod(k: &Kernel, disk: DiskId, sector: u64, sectors: u32) -> bool {
    let capacity = k.blk.disk(disk).map_or(0, |gendisk| gendisk.capacity);
    // 5.4 lets everything through to a disk without a size: its queue will not take it.
    let looks = capacity != 0 || !k.sem.bdev_keeps_size;
    looks && sector.checked_add(u64::from(sectors)).is_none_or(|end| end > capacity)
}

/// What `read(2)` with `O_DIRECT` does: reads up to `sectors` sectors of 512 bytes from `sector` on, from the
/// CPU it runs on, and waits for all requests that it takes. How many it has read: fewer at the end of the
/// disk, none behind it. The disk is open.
///
/// # Errors
/// `EIO` when the device, the driver or the block layer failed one of the requests.
// DEVIATION: with a plug C holds back each request until the next one is made, since none but the last is
// shorter than BLK_PLUG_FLUSH_SIZE. Here the driver gets it at once.
#[kframe("block/fops.c", part)]
pub fn blkdev_read_iter(k: &mut Kernel, disk: DiskId, sector: u64, sectors: u32) -> Result<u32, Errno> {
    let size = bdev_nr_sectors(k, disk);
    if sector >= size {
        return Ok(0);
    }
    let count: u32 = u64::from(sectors).min(size - sector) as u32;
    let plug: bool = count > BIO_MAX_SECTORS;
    // Without a task nobody would take the requests' remains away; a number nobody has stands for the
    // reader then.
    let waiter: TaskId = k.cur.task.unwrap_or(TaskId(u32::MAX));
    let failed: bool = false;
    let done: u32 = 0;
    // The requests in the order in which they are made: each names the next one.
    let first: Option<ReqId> = None;
    let last: Option<ReqId> = None;
    while done < count {
        let queue = k.blk.disk(disk).map_or(QueueId(u32::MAX), |gendisk| gendisk.queue);
        let q: QueueId = queue;
        let Some(limits) = k.blk.find_q(q) else { return Err(Errno::EIO) };
        // bio_split_to_limits(), blk_queue_split() of 5.4.
        let split: u32 = (count - done).min(limits.max_sectors);
        if bio_check_eod(k, disk, sector + u64::from(done), split) {
            failed = true;
            done += split;
            continue;
        }
        let got: Result<ReqId, Errno> = call!(blk_mq_alloc_request(q, ReqOp::Read, false));
        if got.is_err() {
            failed = true;
        } else {
            let rq: ReqId = got.unwrap_or_default();
            let request = &mut k.blk.requests[rq];
            request.sector = sector + u64::from(done);
            request.nr_sectors = split;
            request.waiter = Some(waiter);
            match last {
                Some(before) => k.blk.requests[before].next = Some(rq),
                None => first = Some(rq),
            }
            last = Some(rq);
            blk_mq_submit_bio(k, rq, plug);
        }
        done += split;
    }
    while first.is_some() {
        let id: ReqId = first.unwrap_or_default();
        wait_until!(k.blk.requests.get(id).is_none_or(|r| r.done), WaitOn::Request(id));
        let request = k.blk.requests.remove(id);
        failed |= request.as_ref().is_none_or(|request| request.status != 0);
        first = request.and_then(|request| request.next);
    }
    if failed {
        return Err(Errno::EIO);
    }
    Ok(count)
}

/// Opens a disk, reads it once and closes it, as a partition scan does that finds nothing in the first sectors.
///
/// # Errors
/// As [`blkdev_get`] and [`blkdev_read_iter`], and `EIO` for less than was wanted.
#[kframe("block/fops.c", part)]
pub fn read_part_sector(k: &mut Kernel, disk: DiskId, sector: u64, sectors: u32) -> Result<(), Errno> {
    blkdev_get(k, disk)?;
    let read: Result<u32, Errno> = call!(blkdev_read_iter(disk, sector, sectors));
    blkdev_put(k, disk);
    read.and_then(|got| if got == sectors { Ok(()) } else { Err(Errno::EIO) })
}
