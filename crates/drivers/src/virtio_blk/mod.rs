//! virtio-blk: the device in [`hw`], and drivers/block/virtio_blk.c of 5.4 and 6.12.

pub mod hw;

use kcore::workqueue::{__init_work, flush_work, queue_work};
use kfn::{kfn, kframe};
use kstate::blk::{BlkMqOps, BlkStatus, HCTX_MAX_TYPES, ReqOp};
use kstate::data::Data;
use kstate::hw::virtio::{DESC_F_WRITE, F_INDIRECT_DESC, VirtqDesc};
use kstate::sched::Slot;
use kstate::string_helpers::{StringUnits, string_get_size};
use kstate::virtio::{VirtioDriver, VirtqueueInfo, VqCallback};
use kstate::workqueue::{WorkFunc, WorkqueueStruct};
use kstate::{DiskId, Errno, Kernel, QueueId, ReqId, TagSetId, VirtioId, WorkId};

use hw::{
    BlkConfig, BlkOutHdr, F_BLK_SIZE, F_CONFIG_WCE, F_FLUSH, F_MQ, F_SEG_MAX, F_TOPOLOGY, T_GET_ID, T_IN,
    T_OUT, config,
};

use crate::block::blk_core::blk_cleanup_queue;
use crate::block::blk_mq::{
    blk_mq_alloc_tag_set, blk_mq_complete_request, blk_mq_end_request, blk_mq_free_tag_set,
    blk_mq_init_queue, blk_mq_start_request, blk_mq_start_stopped_hw_queues,
};
use crate::block::blk_mq_cpumap::{blk_mq_map_hw_queues, blk_mq_map_queues, blk_mq_num_possible_queues};
use crate::block::blk_mq_virtio::blk_mq_virtio_map_queues;
use crate::block::blk_settings::blk_queue_max_hw_sectors;
use crate::block::fops::{check_disk_size_change, read_part_sector};
use crate::block::genhd::{del_gendisk, device_add_disk, set_capacity, set_capacity_and_notify};
use crate::virtio::hw::config_read;
use crate::virtio::{pci_common, pci_modern, ring, virtio};

/// Bytes of `T_GET_ID`'s answer (`VIRTIO_BLK_ID_BYTES`).
const VIRTIO_BLK_ID_BYTES: u32 = 20;
/// Index of the polled queues' map.
const HCTX_TYPE_POLL: usize = 2;

/// How many sectors a partition scan reads: the page with the partition table.
const SCAN_SECTORS: u32 = 8;

/// `struct virtio_blk`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct VirtioBlk {
    /// `num_vqs`.
    num_vqs: u32,
    /// `io_queues` by hctx type (6.12).
    io_queues: [u32; 3],
    /// The tag set.
    tag_set: Option<TagSetId>,
    /// The request queue of the disk.
    queue: Option<QueueId>,
    /// The disk.
    disk: Option<DiskId>,
    /// `index`: of the disk's name.
    index: u32,
    /// `config_work`.
    config_work: WorkId,
}

/// `virtio_blk`.
pub static VIRTIO_BLK: VirtioDriver = VirtioDriver {
    name: "virtio_blk",
    id_table: &[2],
    // As far as the device can offer them.
    feature_table: F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE | F_MQ,
    probe: virtblk_probe,
    remove: virtblk_remove,
    config_changed: Some(virtblk_config_changed),
};

/// The module's `init()`.
pub fn init(k: &mut Kernel) {
    virtio::register_virtio_driver(k, &VIRTIO_BLK);
}

/// `virtio_mq_ops`, with what 6.12 added to it.
fn virtio_mq_ops(k: &Kernel) -> BlkMqOps {
    BlkMqOps {
        name: "virtio_mq_ops",
        queue_rq: virtio_queue_rq,
        complete: virtblk_request_done,
        map_queues: Some(virtblk_map_queues),
        init_hctx: None,
        exit_hctx: None,
        poll: if k.sem.virtblk_poll_queues { Some(virtblk_poll) } else { None },
        queue_rqs: if k.sem.virtio_queue_rqs { Some(virtio_queue_rqs) } else { None },
        timeout: None,
    }
}

/// Where the header of a request lies, its data and its status byte. The tag is the request's own.
fn request_addrs(id: VirtioId, vq: u16, tag: u32) -> (u64, u64, u64) {
    let (pdu, data) = crate::virtio::hw::buffer_addrs(id, vq, tag);
    (pdu, data, pdu + 0x10)
}

/// A request is over.
fn virtblk_request_done(k: &mut Kernel, rq: ReqId) {
    blk_mq_end_request(k, rq);
}

/// Hands on what the device reports as done; true when there was something.
fn take_used(k: &mut Kernel, id: VirtioId, index: u16) -> u32 {
    let mut found = 0;
    while let Some((data, _)) = ring::virtqueue_get_buf(k, id, index) {
        let rq = ReqId::from_slot(data);
        if let Some(request) = k.blk.requests.get_mut(rq) {
            let (_, _, status) = request_addrs(id, index, request.tag);
            let status = k.hw.virtio[id.index()].memory.buffers.remove(&status);
            request.status = status.map_or(u16::from(u8::MAX), |bytes| u16::from(bytes[0]));
        }
        blk_mq_complete_request(k, rq);
        found += 1;
    }
    found
}

const VIRTBLK_DONE: VqCallback = VqCallback { name: "virtblk_done", call: virtblk_done };

/// A queue has used buffers.
#[kfn("drivers/block/virtio_blk.c")]
fn virtblk_done(k: &mut Kernel, id: VirtioId, vq: u16) {
    let mut req_done = false;
    loop {
        ring::virtqueue_disable_cb(k, id, vq);
        req_done |= take_used(k, id, vq) != 0;
        if ring::virtqueue_enable_cb(k, id, vq) {
            break;
        }
    }
    if req_done && let Some(q) = k.virtio.drvdata::<VirtioBlk>(id).queue {
        // The queue may have been stopped because the ring was full.
        blk_mq_start_stopped_hw_queues(k, q);
    }
}

/// Looks for completions of a polled queue (6.12).
fn virtblk_poll(k: &mut Kernel, q: QueueId, hctx: u32) -> u32 {
    let id = VirtioId(k.blk.queuedata(q) as u32);
    let found = take_used(k, id, hctx as u16);
    if found != 0 {
        blk_mq_start_stopped_hw_queues(k, q);
    }
    found
}

/// Starts a request and puts it into its queue's ring. Hardware queues and virtqueues have the same
/// numbers.
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
    virtblk_add_req(k, id, hctx as u16, rq, header, (len, ty == T_OUT), tag)
}

/// Puts a request into a queue's ring: header, `len` bytes of data in either direction, status byte.
fn virtblk_add_req(
    k: &mut Kernel,
    id: VirtioId,
    vq: u16,
    rq: ReqId,
    header: BlkOutHdr,
    (len, to_device): (u32, bool),
    tag: u32,
) -> Result<(), Errno> {
    let (header_addr, data_addr, status_addr) = request_addrs(id, vq, tag);
    let mut sgs = vec![VirtqDesc { addr: header_addr, len: 16, ..VirtqDesc::default() }];
    if len != 0 {
        let flags = if to_device { 0 } else { DESC_F_WRITE };
        sgs.push(VirtqDesc { addr: data_addr, len, flags, next: 0 });
    }
    sgs.push(VirtqDesc { addr: status_addr, len: 1, flags: DESC_F_WRITE, next: 0 });
    ring::virtqueue_add_sgs(k, id, vq, sgs, rq.to_slot())?;
    let buffers = &mut k.hw.virtio[id.index()].memory.buffers;
    buffers.insert(header_addr, header.to_bytes());
    buffers.remove(&status_addr);
    Ok(())
}

/// Gives one request to the device.
#[kfn("drivers/block/virtio_blk.c")]
fn virtio_queue_rq(k: &mut Kernel, q: QueueId, hctx: u32, rq: ReqId, last: bool) -> BlkStatus {
    let id = VirtioId(k.blk.queuedata(q) as u32);
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
        let id = VirtioId(k.blk.queuedata(q) as u32);
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

/// Decides how many queues there are and creates them.
#[kframe("drivers/block/virtio_blk.c")]
fn init_vq(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let multi = k.virtio.dev(id).features & F_MQ != 0;
    let mut num_vqs: u32 = if multi { u32::from(config(config_read(k, id)).num_queues) } else { 1 };
    if num_vqs == 0 {
        return Err(Errno::EINVAL);
    }
    let mut limit = k.topo.nr_cpu_ids;
    let mut poll_vqs = 0;
    if k.sem.virtblk_poll_queues {
        if k.params.virtblk_num_request_queues != 0 {
            limit = limit.min(k.params.virtblk_num_request_queues);
        }
        num_vqs = num_vqs.min(limit);
        poll_vqs = k.params.virtblk_poll_queues.min(num_vqs - 1);
    }
    num_vqs = num_vqs.min(limit);
    if k.sem.queues_counted_by_mask {
        num_vqs = blk_mq_num_possible_queues(k, num_vqs);
        poll_vqs = poll_vqs.min(num_vqs - 1);
    }
    k.virtio.drvdata_mut::<VirtioBlk>(id).io_queues = [num_vqs - poll_vqs, 0, poll_vqs];
    if k.sem.virtblk_poll_queues {
        let name = k.vdev_name(id);
        k.log.push(format!("{name}: {}/0/{poll_vqs} default/read/poll queues", num_vqs - poll_vqs));
    }
    let vp_dev = k.virtio.dev_mut(id);
    vp_dev.pre_vectors = Some(0);
    vp_dev.vqs_info = (0..num_vqs)
        .map(|i| {
            if i < num_vqs - poll_vqs {
                VirtqueueInfo { name: format!("req.{i}"), callback: Some(VIRTBLK_DONE) }
            } else {
                VirtqueueInfo { name: format!("req_poll.{i}"), callback: None }
            }
        })
        .collect();
    let found: Result<(), Errno> = call!(pci_modern::vp_modern_find_vqs(id, num_vqs));
    if found.is_ok() {
        k.virtio.drvdata_mut::<VirtioBlk>(id).num_vqs = num_vqs;
    }
    found
}

/// Maps CPUs to the queues whose interrupts they get.
#[kfn("drivers/block/virtio_blk.c")]
fn virtblk_map_queues(k: &mut Kernel, set: TagSetId) {
    let id = VirtioId(k.blk.set(set).driver_data as u32);
    if !k.sem.virtblk_poll_queues {
        blk_mq_virtio_map_queues(k, set, 0, id, 0, Some(pci_common::vp_get_vq_affinity));
        return;
    }
    let mut qoff = 0;
    for ty in 0..k.blk.set(set).nr_maps as usize {
        let nr_queues = k.virtio.drvdata::<VirtioBlk>(id).io_queues[ty];
        let map = &mut k.blk.set_mut(set).map[ty];
        map.nr_queues = nr_queues;
        map.queue_offset = qoff;
        qoff += nr_queues;
        match ty {
            _ if nr_queues == 0 => {}
            // A polled queue has no interrupt to follow.
            HCTX_TYPE_POLL => blk_mq_map_queues(k, set, ty),
            _ if k.sem.map_hw_queues => {
                blk_mq_map_hw_queues(k, set, ty, id, virtio::virtio_irq_get_affinity, 0);
            }
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

/// `virtblk_update_capacity`: reads the size of the disk, says it, and gives it to the disk that there is
/// already.
fn virtblk_update_capacity(k: &mut Kernel, id: VirtioId, resize: bool) {
    let BlkConfig { capacity, blk_size, .. } = config(config_read(k, id));
    let nblocks = capacity.div_ceil(u64::from(blk_size / 512));
    let text = format!(
        "{}: [{}] {}{nblocks} {blk_size}-byte logical blocks ({}/{})",
        k.vdev_name(id),
        virtblk_name_format(k.virtio.drvdata::<VirtioBlk>(id).index),
        if resize { "new size: " } else { "" },
        string_get_size(nblocks, u64::from(blk_size), StringUnits::Units10),
        string_get_size(nblocks, u64::from(blk_size), StringUnits::Units2),
    );
    k.log.push(text);
    let Some(disk) = k.virtio.drvdata::<VirtioBlk>(id).disk else { return };
    if k.sem.bdev_keeps_size {
        set_capacity(k, disk, capacity);
    } else {
        set_capacity_and_notify(k, disk, capacity);
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
    let bound = k.virtio.find(id).and_then(|dev| dev.drvdata.get::<VirtioBlk>());
    let Some(vblk) = bound else { return };
    let disk = vblk.disk;
    virtblk_update_capacity(k, id, true);
    // revalidate_disk() of 5.4.
    if let Some(disk) = disk.filter(|_| k.sem.bdev_keeps_size) {
        check_disk_size_change(k, disk, true);
    }
}

/// `virtio_blk`'s `config_changed`: leaves it to a work.
fn virtblk_config_changed(k: &mut Kernel, id: VirtioId) {
    let work = k.virtio.drvdata::<VirtioBlk>(id).config_work;
    queue_work(k, &VIRTBLK_WQ, work);
}

/// Makes the tag set and the request queue.
fn make_queue(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let (dev, blk) = (k.virtio.dev(id), k.virtio.drvdata::<VirtioBlk>(id));
    let (nr_hw_queues, polls) = (blk.num_vqs, blk.io_queues[HCTX_TYPE_POLL] != 0);
    let mut queue_depth = k.params.virtblk_queue_depth;
    if queue_depth == 0 {
        queue_depth = k.virtio.vq(id, 0).map_or(0, |vq| u32::from(vq.num_free));
        if dev.features & F_INDIRECT_DESC == 0 {
            // Without indirect tables a request takes at least two descriptors.
            queue_depth /= 2;
        }
        if k.sem.virtblk_depth_stays {
            k.params.virtblk_queue_depth = queue_depth;
        }
    }
    let nr_maps = if polls { HCTX_MAX_TYPES as u32 } else { 1 };
    let (ops, owner) = (virtio_mq_ops(k), u64::from(id.0));
    // No handler of timeouts: a request that takes too long gets more time.
    let set = blk_mq_alloc_tag_set(k, ops, owner, nr_hw_queues, nr_maps, queue_depth, 0, 0)?;
    let q = blk_mq_init_queue(k, set);
    // The device names no limit.
    blk_queue_max_hw_sectors(k, q, u32::MAX);
    let blk: &mut VirtioBlk = k.virtio.drvdata_mut(id);
    blk.tag_set = Some(set);
    blk.queue = Some(q);
    Ok(())
}

/// `ida_simple_get(&vd_index_ida)`: the lowest number that no disk has.
fn next_index(k: &Kernel) -> u32 {
    let disks = || {
        (0..k.virtio.devs.len() as u32).filter_map(|i| k.virtio.find(VirtioId(i))?.drvdata.get::<VirtioBlk>())
    };
    (0..).find(|&index| disks().all(|vblk| vblk.index != index)).unwrap_or_default()
}

/// Makes a disk of a device.
#[kframe("drivers/block/virtio_blk.c")]
fn virtblk_probe(k: &mut Kernel, id: VirtioId) -> Result<(), Errno> {
    let free = next_index(k);
    let work = __init_work(k, CONFIG_WORK, id.0);
    let vblk = VirtioBlk { index: free, config_work: work, ..VirtioBlk::default() };
    k.virtio.dev_mut(id).drvdata = Data::new(vblk);

    let inited: Result<(), Errno> = call!(init_vq(id));
    if inited.is_err() {
        k.virtio.dev_mut(id).drvdata = Data::default();
        return inited;
    }
    let made: Result<(), Errno> = make_queue(k, id);
    if made.is_err() {
        call!(pci_common::vp_del_vqs(id));
        k.virtio.dev_mut(id).drvdata = Data::default();
        return made;
    }
    virtblk_update_capacity(k, id, false);
    virtio::virtio_device_ready(k, id);
    let disk: DiskId = show_disk(k, id);
    let scan: u32 = k.blk.disk(disk).map_or(0, |d| d.capacity.min(u64::from(SCAN_SECTORS)) as u32);
    if scan != 0 {
        // The partition scan. Whether it finds something readable is not the probe's concern.
        let _read: Result<(), Errno> = call!(read_part_sector(disk, 0, scan));
    }
    Ok(())
}

/// What `register_blkdev(0, "virtblk")` gives: the highest number that is free.
const MAJOR: u32 = 254;
/// `PART_BITS`: so many bits of a minor number tell a disk's partitions apart.
const PART_BITS: u32 = 4;

/// `device_add_disk` without the partition scan.
// DEVIATION: no other driver of this kernel has asked for a major number before. A real kernel with the device mapper gives
// one less.
fn show_disk(k: &mut Kernel, id: VirtioId) -> DiskId {
    let blk: &VirtioBlk = k.virtio.drvdata(id);
    let (index, q) = (blk.index, blk.queue.unwrap_or_default());
    let (name, own) = (virtblk_name_format(index), (MAJOR, index << PART_BITS, 1 << PART_BITS));
    let capacity = config(config_read(k, id)).capacity;
    let disk = device_add_disk(k, name, q, capacity, Some(own));
    k.virtio.drvdata_mut::<VirtioBlk>(id).disk = Some(disk);
    disk
}

/// Takes the disk away.
#[kframe("drivers/block/virtio_blk.c")]
fn virtblk_remove(k: &mut Kernel, id: VirtioId) {
    call!(flush_work(k.virtio.drvdata::<VirtioBlk>(id).config_work));
    let disk: DiskId = k.virtio.drvdata::<VirtioBlk>(id).disk.unwrap_or_default();
    let q: QueueId = k.virtio.drvdata::<VirtioBlk>(id).queue.unwrap_or_default();
    del_gendisk(k, disk);
    call!(blk_cleanup_queue(q));
    let set = k.virtio.drvdata_mut::<VirtioBlk>(id).tag_set.take();
    if let Some(set) = set {
        blk_mq_free_tag_set(k, set);
    }
    call!(pci_modern::vp_reset(id));
    call!(pci_common::vp_del_vqs(id));
    k.virtio.dev_mut(id).drvdata = Data::default();
}

#[cfg(test)]
mod tests {
    use hw::T_IN;
    use kstate::PciDevId;
    use kstate::hw::virtio::{F_EVENT_IDX, F_VERSION_1};
    use kstate::shared::Shared;
    use kstate::virtio::VirtioPciDevice;

    use super::*;
    use crate::virtio::hw::{Reg, fetch, process, write};
    use crate::virtio::ring::{
        virtqueue_get_buf, virtqueue_get_desc_addr, virtqueue_kick_prepare, vring_create_virtqueue,
    };

    #[test]
    fn disks_are_named_like_columns_of_a_spreadsheet() {
        for (index, name) in [(0, "vda"), (25, "vdz"), (26, "vdaa"), (701, "vdzz"), (702, "vdaaa")] {
            assert_eq!(virtblk_name_format(index), name);
        }
    }

    const ID: VirtioId = VirtioId(0);

    /// A started device with one queue of `num` descriptors.
    fn machine(num: u16, features: u64) -> Kernel {
        let mut k = Kernel::default();
        let mut device = hw::new(PciDevId(0), 1, 2, 2048);
        device.driver_feature = features | F_VERSION_1;
        device.device_status = 0xf;
        k.hw.virtio.push(Shared::new(device));
        k.virtio.devs.push(Some(Shared::new(VirtioPciDevice { features, ..VirtioPciDevice::default() })));
        vring_create_virtqueue(&mut k, ID, 0, num, "req.0".to_owned(), Some(VIRTBLK_DONE));
        let desc = virtqueue_get_desc_addr(&k, ID, 0);
        let device = &mut k.hw.virtio[0];
        write(device, Reg::QueueDescLo, desc as u32);
        write(device, Reg::QueueDescHi, (desc >> 32) as u32);
        write(device, Reg::QueueEnable, 1);
        k
    }

    fn add(k: &mut Kernel, n: u32) -> Result<(), Errno> {
        let header = BlkOutHdr { ty: T_IN, ioprio: 0, sector: u64::from(n) };
        let rq = ReqId::from_slot((1 << 32) | (u64::from(n) + 1));
        virtblk_add_req(k, ID, 0, rq, header, (512, false), n)
    }

    /// Lets the device work, and returns what comes back.
    fn drain(k: &mut Kernel) -> Vec<(u32, u8)> {
        fetch(&mut k.hw.virtio[0], 0);
        process(&mut k.hw.virtio[0], 0);
        let mut done = Vec::new();
        while let Some((rq, _)) = virtqueue_get_buf(k, ID, 0) {
            let n = rq as u32 - 1;
            let status = k.hw.virtio[0].memory.buffers.remove(&request_addrs(ID, 0, n).2);
            done.push((n, status.map_or(u8::MAX, |bytes| bytes[0])));
        }
        done
    }

    #[test]
    fn requests_come_back_in_order_and_leave_no_memory_behind() {
        for features in [0, F_INDIRECT_DESC, F_EVENT_IDX, F_INDIRECT_DESC | F_EVENT_IDX] {
            let mut k = machine(16, features);
            for round in 0..20 {
                for n in 0..5 {
                    assert_eq!(add(&mut k, n), Ok(()), "round {round}");
                }
                assert!(virtqueue_kick_prepare(&mut k, ID, 0));
                assert_eq!(drain(&mut k), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]);
                assert_eq!(k.virtio.vq(ID, 0).map(|vq| vq.num_free), Some(16));
                assert!(k.hw.virtio[0].memory.tables.is_empty());
            }
        }
    }

    #[test]
    fn a_full_ring_refuses_and_tells_the_device() {
        for (features, room) in [(0, 5), (F_INDIRECT_DESC, 16)] {
            let mut k = machine(16, features);
            for n in 0..room {
                assert_eq!(add(&mut k, n), Ok(()));
            }
            assert_eq!(add(&mut k, room), Err(Errno::ENOSPC));
            assert!(k.events.next_time().is_some());
            assert_eq!(drain(&mut k).len(), room as usize);
            assert_eq!(add(&mut k, room), Ok(()));
        }
    }

    #[test]
    fn a_read_behind_the_end_of_the_disk_fails() {
        let mut k = machine(16, F_INDIRECT_DESC);
        assert_eq!(add(&mut k, 2047), Ok(()));
        assert_eq!(add(&mut k, 2048), Ok(()));
        assert_eq!(drain(&mut k), [(2047, 0), (2048, 1)]);
    }

    #[test]
    fn with_event_indices_a_second_request_notifies_only_what_has_not_been_fetched() {
        let mut k = machine(16, F_EVENT_IDX);
        assert_eq!(add(&mut k, 0), Ok(()));
        assert!(virtqueue_kick_prepare(&mut k, ID, 0));
        assert_eq!(add(&mut k, 1), Ok(()));
        // The device has not looked since, so its event index still stands before the first.
        assert!(!virtqueue_kick_prepare(&mut k, ID, 0));
        assert_eq!(drain(&mut k).len(), 2);
        assert_eq!(add(&mut k, 2), Ok(()));
        assert!(virtqueue_kick_prepare(&mut k, ID, 0));
    }
}
