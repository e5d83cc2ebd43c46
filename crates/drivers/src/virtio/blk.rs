//! virtio-blk.
//!
//! drivers/block/virtio_blk.c of 5.4 and 6.12.

use kcore::workqueue::{__init_work, flush_work, queue_work};
use kfn::{kfn, kframe};
use kstate::blk::{BlkMqOps, BlkOwner, BlkStatus, HCTX_MAX_TYPES, ReqOp};
use kstate::hw::virtio::{BlkOutHdr, F_INDIRECT_DESC, F_MQ, T_GET_ID, T_IN, T_OUT};
use kstate::virtio::{VirtioBlkDrv, VirtioBlkVq};
use kstate::workqueue::{WorkFunc, WorkqueueStruct};
use kstate::{DiskId, Errno, Kernel, QueueId, ReqId, TagSetId, VirtioId};

use super::{pci_common, pci_modern, ring, virtio};
use crate::block::blk_core::blk_cleanup_queue;
use crate::block::blk_mq::{
    blk_mq_alloc_tag_set, blk_mq_complete_request, blk_mq_end_request, blk_mq_free_tag_set,
    blk_mq_init_queue, blk_mq_start_request, blk_mq_start_stopped_hw_queues,
};
use crate::block::blk_mq_cpumap::blk_mq_map_queues;
use crate::block::blk_mq_virtio::blk_mq_virtio_map_queues;
use crate::block::fops::blkdev_read_iter;
use crate::block::genhd::{del_gendisk, device_add_disk};

/// Bytes of `T_GET_ID`'s answer (`VIRTIO_BLK_ID_BYTES`).
const VIRTIO_BLK_ID_BYTES: u32 = 20;
/// Index of the polled queues' map.
const HCTX_TYPE_POLL: usize = 2;

/// How many sectors a partition scan reads: the page with the partition table.
const SCAN_SECTORS: u32 = 8;

/// `virtio_mq_ops`, with what 6.12 added to it.
fn virtio_mq_ops(k: &Kernel, nr_hw_queues: u32) -> BlkMqOps {
    // A disk with a single queue has an I/O scheduler (`elevator_get_default`, block/elevator.c),
    // and what a scheduler passes on never comes as a list.
    let lists = k.sem.virtio_queue_rqs && nr_hw_queues > 1;
    BlkMqOps {
        name: "virtio_mq_ops",
        queue_rq: virtio_queue_rq,
        complete: virtblk_request_done,
        map_queues: Some(virtblk_map_queues),
        init_hctx: None,
        exit_hctx: None,
        poll: if k.sem.virtblk_poll_queues { Some(virtblk_poll) } else { None },
        queue_rqs: if lists { Some(virtio_queue_rqs) } else { None },
        timeout: None,
    }
}

/// The device behind a request queue.
fn owner(k: &Kernel, q: QueueId) -> Option<VirtioId> {
    match k.blk.set(k.blk.q(q).tag_set).driver_data {
        BlkOwner::VirtioBlk(id) => Some(id),
        _ => None,
    }
}

/// A request is over.
fn virtblk_request_done(k: &mut Kernel, rq: ReqId) {
    blk_mq_end_request(k, rq);
}

/// Hands on what the device reports as done; true when there was something.
fn take_used(k: &mut Kernel, id: VirtioId, index: u16) -> u32 {
    let mut found = 0;
    while let Some((rq, status)) = ring::virtqueue_get_buf(k, id, index) {
        if let Some(request) = k.blk.requests.get_mut(rq) {
            request.status = u16::from(status);
        }
        blk_mq_complete_request(k, rq);
        found += 1;
    }
    found
}

/// A queue has used buffers.
#[kfn("drivers/block/virtio_blk.c")]
pub fn virtblk_done(k: &mut Kernel, id: VirtioId, vq: u16) {
    let mut req_done = false;
    loop {
        ring::virtqueue_disable_cb(k, id, vq);
        req_done |= take_used(k, id, vq) != 0;
        if ring::virtqueue_enable_cb(k, id, vq) {
            break;
        }
    }
    if req_done && let Some(q) = k.virtio.blk(id).queue {
        // The queue may have been stopped because the ring was full.
        blk_mq_start_stopped_hw_queues(k, q);
    }
}

/// Looks for completions of a polled queue (6.12).
fn virtblk_poll(k: &mut Kernel, q: QueueId, hctx: u32) -> u32 {
    let Some(id) = owner(k, q) else { return 0 };
    let found = take_used(k, id, hctx as u16);
    if found != 0 {
        blk_mq_start_stopped_hw_queues(k, q);
    }
    found
}

/// Starts a request and puts it into its queue's ring (`virtblk_add_req`). Hardware queues and
/// virtqueues have the same numbers.
fn add_req(k: &mut Kernel, id: VirtioId, hctx: u32, rq: ReqId) -> Result<(), Errno> {
    let request = k.blk.requests.get(rq).ok_or(Errno::EIO)?;
    let (ty, sector, len) = match request.op {
        ReqOp::Read => (T_IN, request.sector, request.nr_sectors * 512),
        ReqOp::Write => (T_OUT, request.sector, request.nr_sectors * 512),
        ReqOp::Drv => (T_GET_ID, 0, VIRTIO_BLK_ID_BYTES),
    };
    let tag = request.tag;
    blk_mq_start_request(k, rq);
    let header = BlkOutHdr { ty, ioprio: 0, sector };
    ring::virtqueue_add_sgs(k, id, hctx as u16, rq, header, (len, ty == T_OUT), tag)
}

/// Gives one request to the device.
#[kfn("drivers/block/virtio_blk.c")]
pub fn virtio_queue_rq(k: &mut Kernel, q: QueueId, hctx: u32, rq: ReqId, last: bool) -> BlkStatus {
    let Some(id) = owner(k, q) else { return BlkStatus::IoErr };
    let vq = hctx as u16;
    if let Err(e) = add_req(k, id, hctx, rq) {
        ring::virtqueue_kick(k, id, vq);
        return match e {
            Errno::ENOMEM | Errno::ENOSPC => BlkStatus::DevResource,
            _ => BlkStatus::IoErr,
        };
    }
    if last && ring::virtqueue_kick_prepare(k, id, vq) {
        ring::virtqueue_notify(k, id, vq);
    }
    BlkStatus::Ok
}

/// Gives a task's list of requests to the device, and notifies once per queue (6.12). Returns
/// those that found no room.
#[kfn("drivers/block/virtio_blk.c")]
fn virtio_queue_rqs(k: &mut Kernel, rqlist: &[ReqId]) -> Vec<ReqId> {
    let mut requeue_list = Vec::new();
    for (i, &rq) in rqlist.iter().enumerate() {
        let place = |k: &Kernel, rq: ReqId| k.blk.requests.get(rq).map(|r| (r.q, r.hctx));
        let Some((q, hctx)) = place(k, rq) else { continue };
        let Some(id) = owner(k, q) else { continue };
        if add_req(k, id, hctx, rq).is_err() {
            requeue_list.push(rq);
        }
        let next = rqlist.get(i + 1).and_then(|&next| place(k, next));
        if next != Some((q, hctx)) {
            ring::virtqueue_kick(k, id, hctx as u16);
        }
    }
    requeue_list
}

/// A number given as `virtio_blk.name=` on the command line.
fn module_param(k: &Kernel, name: &str) -> Option<u32> {
    let word = ["virtio_blk.", name].concat();
    k.cmdline_value(&word)?.parse().ok()
}

/// Decides how many queues there are and creates them.
#[kframe("drivers/block/virtio_blk.c")]
fn init_vq(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let decided: Result<u32, Errno> = plan_vqs(k, id);
    if decided.is_err() {
        return decided.map(drop);
    }
    let num_vqs: u32 = decided.unwrap_or_default();
    let found: Result<(), Errno> = call!(pci_modern::vp_modern_find_vqs(id, num_vqs));
    if found.is_ok() {
        k.virtio.blk_mut(id).num_vqs = num_vqs;
    }
    found
}

/// The part of `init_vq` before `virtio_find_vqs`: number, names and callbacks of the queues.
fn plan_vqs(k: &mut Kernel, id: VirtioId) -> Result<u32, Errno> {
    let multi = k.virtio.dev(id).features & F_MQ != 0;
    let mut num_vqs = if multi { u32::from(k.hw.virtio[id.index()].config.num_queues) } else { 1 };
    if num_vqs == 0 {
        return Err(Errno::EINVAL);
    }
    let mut limit = k.topo.nr_cpu_ids;
    let mut poll_vqs = 0;
    if k.sem.virtblk_poll_queues {
        limit = module_param(k, "num_request_queues").filter(|&n| n != 0).map_or(limit, |n| n.min(limit));
        num_vqs = num_vqs.min(limit);
        poll_vqs = module_param(k, "poll_queues").unwrap_or(0).min(num_vqs - 1);
    }
    num_vqs = num_vqs.min(limit);
    let blk = k.virtio.blk_mut(id);
    blk.pre_vectors = 0;
    blk.io_queues = [num_vqs - poll_vqs, 0, poll_vqs];
    blk.vqs = (0..num_vqs)
        .map(|i| {
            let callback = i < num_vqs - poll_vqs;
            let name = if callback { format!("req.{i}") } else { format!("req_poll.{i}") };
            VirtioBlkVq { name, callback }
        })
        .collect();
    Ok(num_vqs)
}

/// Maps CPUs to the queues whose interrupts they get.
#[kfn("drivers/block/virtio_blk.c")]
pub fn virtblk_map_queues(k: &mut Kernel, set: TagSetId) {
    let BlkOwner::VirtioBlk(id) = k.blk.set(set).driver_data else { return };
    if !k.sem.virtblk_poll_queues {
        blk_mq_virtio_map_queues(k, set, 0, id, 0, Some(pci_common::vp_get_vq_affinity));
        return;
    }
    let mut qoff = 0;
    for ty in 0..k.blk.set(set).nr_maps as usize {
        let nr_queues = k.virtio.blk(id).io_queues[ty];
        let map = &mut k.blk.set_mut(set).map[ty];
        map.nr_queues = nr_queues;
        map.queue_offset = qoff;
        qoff += nr_queues;
        match ty {
            _ if nr_queues == 0 => {}
            // A polled queue has no interrupt to follow.
            HCTX_TYPE_POLL => blk_mq_map_queues(k, set, ty),
            _ => blk_mq_virtio_map_queues(k, set, ty, id, 0, Some(pci_common::vp_get_vq_affinity)),
        }
    }
}

/// `virtblk_name_format("vd", ..)`: vda to vdz, then vdaa.
fn virtblk_name_format(index: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = Some(index);
    while let Some(n) = rest {
        letters.push(char::from(b'a' + (n % 26) as u8));
        rest = (n / 26).checked_sub(1);
    }
    letters.push('d');
    letters.push('v');
    letters.into_iter().rev().collect()
}

/// `virtblk_update_capacity`.
fn virtblk_update_capacity(k: &mut Kernel, id: VirtioId) {
    let capacity = k.hw.virtio[id.index()].config.capacity;
    let disk = k.virtio.blk(id).disk;
    if let Some(disk) = disk.and_then(|d| k.blk.disks.get_mut(d.index())?.as_deref_mut()) {
        disk.capacity = capacity;
    }
}

/// `virtblk_wq`.
const VIRTBLK_WQ: WorkqueueStruct = WorkqueueStruct { name: "virtio-blk", unbound: false };

/// `config_work`.
const CONFIG_WORK: WorkFunc =
    WorkFunc { name: "virtblk_config_changed_work", call: |_, id| virtblk_config_changed_work(VirtioId(id)) };

/// Reads the size of the disk again.
#[kframe("drivers/block/virtio_blk.c")]
fn virtblk_config_changed_work(k: &mut Kernel, id: VirtioId) {
    if k.virtio.find(id).is_some_and(|dev| dev.blk.is_some()) {
        virtblk_update_capacity(k, id);
    }
}

/// `virtio_blk`'s `config_changed`: leaves it to a work.
pub fn virtblk_config_changed(k: &mut Kernel, id: VirtioId) {
    let work = k.virtio.blk(id).config_work;
    queue_work(k, &VIRTBLK_WQ, work);
}

/// Makes the tag set and the request queue.
fn make_queue(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let (dev, blk) = (k.virtio.dev(id), k.virtio.blk(id));
    let (nr_hw_queues, polls) = (blk.num_vqs, blk.io_queues[HCTX_TYPE_POLL] != 0);
    let mut queue_depth = k.virtio.vq(id, 0).map_or(0, |vq| u32::from(vq.num_free));
    if dev.features & F_INDIRECT_DESC == 0 {
        // Without indirect tables a request takes at least two descriptors.
        queue_depth /= 2;
    }
    let queue_depth = module_param(k, "queue_depth").filter(|&n| n != 0).unwrap_or(queue_depth);
    let nr_maps = if polls { HCTX_MAX_TYPES as u32 } else { 1 };
    let (ops, owner) = (virtio_mq_ops(k, nr_hw_queues), BlkOwner::VirtioBlk(id));
    // No handler of timeouts: a request that takes too long gets more time.
    let set = blk_mq_alloc_tag_set(k, ops, owner, nr_hw_queues, nr_maps, queue_depth, 0, 0)?;
    let q = blk_mq_init_queue(k, set);
    let blk = k.virtio.blk_mut(id);
    blk.tag_set = Some(set);
    blk.queue = Some(q);
    Ok(())
}

/// Gives a disk's number back.
fn free_index(k: &mut Kernel, id: VirtioId) {
    let index = k.virtio.blk(id).index;
    k.virtio.vd_index_ida.remove(&index);
    k.virtio.dev_mut(id).blk = None;
}

/// Makes a disk of a device.
#[kframe("drivers/block/virtio_blk.c")]
pub fn virtblk_probe(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let free = (0..).find(|i| !k.virtio.vd_index_ida.contains(i)).unwrap_or_default();
    k.virtio.vd_index_ida.insert(free);
    let work = __init_work(k, CONFIG_WORK, id.0);
    let blk = VirtioBlkDrv { index: free, config_work: work, ..VirtioBlkDrv::default() };
    k.virtio.dev_mut(id).blk = Some(Box::new(blk));

    let inited: Result<(), Errno> = call!(init_vq(id));
    if inited.is_err() {
        free_index(k, id);
        return inited;
    }
    let made: Result<(), Errno> = make_queue(k, id);
    if made.is_err() {
        call!(pci_common::vp_del_vqs(id));
        free_index(k, id);
        return made;
    }
    virtio::virtio_device_ready(k, id);
    let disk: DiskId = show_disk(k, id);
    let scan: u32 = k.blk.disk(disk).map_or(0, |d| d.capacity.min(u64::from(SCAN_SECTORS)) as u32);
    if scan != 0 {
        // The partition scan. Whether it finds something readable is not the probe's concern.
        let _read: Result<(), Errno> = call!(blkdev_read_iter(disk, 0, scan));
    }
    Ok(())
}

/// `device_add_disk` without the partition scan.
fn show_disk(k: &mut Kernel, id: VirtioId) -> DiskId {
    let blk = k.virtio.blk(id);
    let (name, q) = (virtblk_name_format(blk.index), blk.queue.unwrap_or_default());
    let capacity = k.hw.virtio[id.index()].config.capacity;
    let disk = device_add_disk(k, name, q, capacity);
    k.virtio.blk_mut(id).disk = Some(disk);
    disk
}

/// Takes the disk away.
#[kframe("drivers/block/virtio_blk.c")]
pub fn virtblk_remove(k: &mut Kernel, id: VirtioId) {
    call!(flush_work(k.virtio.blk(id).config_work));
    let disk: DiskId = k.virtio.blk(id).disk.unwrap_or_default();
    let q: QueueId = k.virtio.blk(id).queue.unwrap_or_default();
    del_gendisk(k, disk);
    call!(blk_cleanup_queue(q));
    let set = k.virtio.blk_mut(id).tag_set.take();
    if let Some(set) = set {
        blk_mq_free_tag_set(k, set);
    }
    call!(pci_modern::vp_reset(id));
    call!(pci_common::vp_del_vqs(id));
    free_index(k, id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_named_like_columns_of_a_spreadsheet() {
        for (index, name) in [(0, "vda"), (25, "vdz"), (26, "vdaa"), (701, "vdzz"), (702, "vdaaa")] {
            assert_eq!(virtblk_name_format(index), name);
        }
    }
}
