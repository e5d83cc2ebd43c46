//! Reading a disk.
//!
//! C file: fs/block_dev.c of 5.4, block/fops.c of 6.12.

use kfn::kframe;
use kstate::blk::ReqOp;
use kstate::sched::WaitOn;
use kstate::{DiskId, Errno, QueueId, ReqId, TaskId};

use super::blk_mq::{blk_mq_alloc_request, blk_mq_submit_bio};

/// What `dd` does: one read of `sectors` sectors from the CPU it runs on, waited for.
///
/// # Errors
/// `ENXIO` for a disk that is gone, `EIO` when the device or the driver failed it or the range
/// lies behind the end.
#[kframe("block/fops.c", part)]
pub fn blkdev_read_iter(k: &mut Kernel, disk: DiskId, sector: u64, sectors: u32) -> Result<(), Errno> {
    let Some(gendisk) = k.blk.disk(disk) else { return Err(Errno::ENXIO) };
    let q: QueueId = gendisk.queue;
    if sector.checked_add(u64::from(sectors)).is_none_or(|end| end > gendisk.capacity) {
        return Err(Errno::EIO);
    }
    let got: Result<ReqId, Errno> = call!(blk_mq_alloc_request(q, ReqOp::Read, false));
    let Ok(rq) = got else { return Err(Errno::EIO) };
    let id: ReqId = rq;
    let task = k.cur.task;
    let request = &mut k.blk.requests[id];
    request.sector = sector;
    request.nr_sectors = sectors;
    // Without a task nobody would take the request's remains away; a number nobody has stands for
    // the reader then.
    request.waiter = Some(task.unwrap_or(TaskId(u32::MAX)));
    blk_mq_submit_bio(k, id);
    wait_until!(k.blk.requests.get(id).is_none_or(|r| r.done), WaitOn::Request(id));
    let failed = k.blk.requests.remove(id).is_none_or(|request| request.status != 0);
    if failed {
        return Err(Errno::EIO);
    }
    Ok(())
}
