//! Namespaces: finding them, and what comes with one. drivers/nvme/host/core.c of 5.4.0 and 6.12.117.

use super::*;
use crate::block::{blk_settings, fops, genhd};

/// `nvme_queue_scan()`.
pub fn nvme_queue_scan(k: &mut Kernel, id: NvmeId) {
    if d(k, id).state == NvmeCtrlState::Live && d(k, id).tagset.is_some() {
        let work = d(k, id).scan_work;
        queue_work(k, &NVME_WQ, work);
    }
}

fn nvme_find_get_ns(k: &Kernel, id: NvmeId, nsid: u32) -> Option<NvmeNs> {
    d(k, id).namespaces.iter().copied().find(|ns| ns.ns_id == nsid)
}

/// `nvme_scan_work()` of 5.4 with `nvme_scan_ns_list()`.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn scan_by_list_then_alloc(k: &mut Kernel, id: NvmeId) {
    if d(k, id).state != NvmeCtrlState::Live || d(k, id).tagset.is_none() {
        return;
    }
    let identity: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, 0, CNS_CTRL, 0));
    if identity.ret() != 0 {
        return;
    }
    let list: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, 0, CNS_NS_ACTIVE_LIST, 0));
    if list.ret() != 0 {
        call!(nvme_scan_ns_sequential(id));
        return;
    }
    let prev: u32 = 0;
    loop {
        let next: Option<u32> = hw::next_namespace(k, id, prev);
        if next.is_none() {
            break;
        }
        prev = next.unwrap_or_default();
        call!(nvme_validate_ns(id, prev));
    }
    call!(nvme_remove_invalid_namespaces(id, prev));
}

/// `nvme_scan_ns_sequential()` of 5.4: asks for every namespace that there can be. A reset that cancels the
/// command for the list brings this about, and the commands wait until it has set up the queue again.
#[kframe("drivers/nvme/host/core.c")]
fn nvme_scan_ns_sequential(k: &mut Kernel, id: NvmeId) {
    let nn: u32 = hw::identify_ctrl(k, id).nn;
    let nsid: u32 = 0;
    while nsid < nn {
        nsid += 1;
        call!(nvme_validate_ns(id, nsid));
    }
    call!(nvme_remove_invalid_namespaces(id, nn));
}

/// `nvme_validate_ns()` of 5.4, with `revalidate_disk()` of a disk that there is already.
#[kframe("drivers/nvme/host/core.c")]
fn nvme_validate_ns(k: &mut Kernel, id: NvmeId, nsid: u32) {
    if nvme_find_get_ns(k, id, nsid).is_none() {
        call!(alloc_ns_identifying(id, nsid));
        return;
    }
    let gone: bool = call!(nvme_revalidate_disk(id, nsid));
    fops::check_disk_size_change(k, disk_of(k, id, nsid), !gone);
    if gone {
        call!(nvme_ns_remove(id, nsid));
    }
}

/// What `nvme_alloc_ns()` begins with: a queue that takes requests as long as the controller does
/// (`nvme_set_queue_limits()`, `nvme_set_ctrl_limits()`).
fn nvme_init_ns_queue(k: &mut Kernel, id: NvmeId, set: TagSetId) -> QueueId {
    let queue = blk_mq::blk_mq_init_queue(k, set);
    let max_hw_sectors = d(k, id).max_hw_sectors;
    blk_settings::blk_queue_max_hw_sectors(k, queue, max_hw_sectors);
    queue
}

/// `nvme_revalidate_disk()` of 5.4: true when the namespace is no longer what it was.
#[kframe("drivers/nvme/host/core.c")]
fn nvme_revalidate_disk(k: &mut Kernel, id: NvmeId, nsid: u32) -> bool {
    let ns: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, nsid, CNS_NS, 0));
    if ns.ret() != 0 {
        dev_info(k, id, &format!("Identify namespace failed ({})", ns.ret()));
        // Only what the device declares final takes the disk away.
        return ns.ret() < 0 || ns.ret() as u16 & hw::status::DNR != 0;
    }
    if hw::namespace_sectors(k, id, nsid) == 0 {
        return true;
    }
    let descs: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, nsid, CNS_NS_DESC_LIST, 0));
    if descs.ret() != 0 {
        dev_info(k, id, &format!("Identify Descriptors failed ({})", descs.ret()));
    }
    descs.ret() < 0
}

/// `nvme_alloc_ns()` of 5.4, up to and with the partition scan of `device_add_disk()`.
#[kframe("drivers/nvme/host/core.c")]
fn alloc_ns_identifying(k: &mut Kernel, id: NvmeId, nsid: u32) {
    let Some(set) = d(k, id).tagset else { return };
    let queue: QueueId = nvme_init_ns_queue(k, id, set);
    let identity: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, nsid, CNS_NS, 0));
    if identity.ret() != 0 {
        dev_info(k, id, &format!("Identify namespace failed ({})", identity.ret()));
    }
    if identity.ret() != 0 || hw::namespace_sectors(k, id, nsid) == 0 {
        call!(blk_core::blk_cleanup_queue(queue));
        return;
    }
    let descs: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, nsid, CNS_NS_DESC_LIST, 0));
    if descs.ret() != 0 {
        dev_info(k, id, &format!("Identify Descriptors failed ({})", descs.ret()));
    }
    if descs.ret() < 0 {
        call!(blk_core::blk_cleanup_queue(queue));
        return;
    }
    add_ns(k, id, nsid, queue);
    // The disk is opened for the partition scan and asked for its size again first.
    let gone: bool = call!(nvme_revalidate_disk(id, nsid));
    if !gone {
        call!(disk_scan_partitions(id, nsid));
    }
}

fn add_ns(k: &mut Kernel, id: NvmeId, nsid: u32, queue: QueueId) {
    let name = format!("nvme{}n{nsid}", d(k, id).instance);
    let capacity = hw::namespace_sectors(k, id, nsid);
    let disk = genhd::device_add_disk(k, name, queue, capacity, None);
    let dev = dm(k, id);
    dev.namespaces.push(NvmeNs { ns_id: nsid, queue, disk, removing: false });
    dev.namespaces.sort_by_key(|ns| ns.ns_id);
}

/// What a partition scan reads when it finds no table: the first page, once.
#[kframe("block/partitions/core.c", part)]
fn disk_scan_partitions(k: &mut Kernel, id: NvmeId, nsid: u32) {
    if nvme_find_get_ns(k, id, nsid).is_none() {
        return;
    }
    // What the block layer says of a page that cannot be read is not modelled.
    let _read: Result<(), Errno> = call!(fops::read_part_sector(disk_of(k, id, nsid), 0, 8));
}

fn disk_of(k: &Kernel, id: NvmeId, nsid: u32) -> kstate::DiskId {
    nvme_find_get_ns(k, id, nsid).map_or(kstate::DiskId(u32::MAX), |ns| ns.disk)
}

/// `nvme_scan_work()` of 6.12 with `nvme_scan_ns_list()`.
// DEVIATION: the namespaces of a list are scanned one after the other instead of by one asynchronous call each. Where
// the device says for good that it has no list, C asks for every namespace up to NN (nvme_scan_ns_sequential());
// this device always has it.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_scan_work(k: &mut Kernel, id: NvmeId) {
    if d(k, id).state != NvmeCtrlState::Live || d(k, id).tagset.is_none() {
        return;
    }
    if !d(k, id).skip_id_cns_cs {
        let limits: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, 0, CNS_CS_CTRL, 0));
        if limits.ret() > 0 {
            dm(k, id).skip_id_cns_cs = true;
        }
        if limits.ret() < 0 {
            dev_info(k, id, &format!("reading non-mdts-limits failed: {}", limits.ret()));
            return;
        }
    }
    let list: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, 0, CNS_NS_ACTIVE_LIST, 0));
    if list.ret() != 0 {
        dev_info(k, id, &format!("Identify NS List failed (status=0x{:x})", list.ret()));
        return;
    }
    let prev: u32 = 0;
    loop {
        let next: Option<u32> = hw::next_namespace(k, id, prev);
        if next.is_none() {
            break;
        }
        prev = next.unwrap_or_default();
        call!(nvme_scan_ns(id, prev));
    }
    call!(nvme_remove_invalid_namespaces(id, prev));
}

/// `nvme_scan_ns()` (6.12).
#[kframe("drivers/nvme/host/core.c")]
fn nvme_scan_ns(k: &mut Kernel, id: NvmeId, nsid: u32) {
    let descs: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, nsid, CNS_NS_DESC_LIST, 0));
    if descs.ret() != 0 {
        let status = descs.ret();
        dev_info(k, id, &format!("Identify Descriptors failed (nsid={nsid}, status=0x{status:x})"));
        return;
    }
    let info: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, nsid, CNS_NS, 0));
    if info.ret() != 0 {
        dev_info(k, id, &format!("Identify namespace failed ({})", info.ret()));
        return;
    }
    if hw::namespace_sectors(k, id, nsid) == 0 {
        call!(nvme_ns_remove(id, nsid));
        return;
    }
    if k.sem.nvme_quirk_bogus_nid {
        dev_info(k, id, "Ignoring bogus Namespace Identifiers");
    }
    if nvme_find_get_ns(k, id, nsid).is_some() {
        let update: Sync = call!(nvme_update_ns_info_block(id, nsid));
        if update.ret() > 0 && update.ret() as u16 & hw::status::DNR != 0 {
            call!(nvme_ns_remove(id, nsid));
        }
    } else {
        let Some(set) = d(k, id).tagset else { return };
        let queue: QueueId = nvme_init_ns_queue(k, id, set);
        let update: Sync = call!(nvme_update_ns_info_block(id, nsid));
        // A disk that appears while the queues are frozen would stay frozen.
        if update.ret() != 0 || d(k, id).frozen {
            call!(blk_core::blk_cleanup_queue(queue));
            return;
        }
        add_ns(k, id, nsid, queue);
        call!(disk_scan_partitions(id, nsid));
    }
}

/// `nvme_update_ns_info_block()` (6.12).
// DEVIATION: C sets limits between blk_mq_freeze_queue() and blk_mq_unfreeze_queue(), and so waits for the requests of
// the namespace. Its limits do not change here, and a scan does not wait for them.
#[kframe("drivers/nvme/host/core.c")]
fn nvme_update_ns_info_block(k: &mut Kernel, id: NvmeId, nsid: u32) -> Sync {
    let ns: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, nsid, CNS_NS, 0));
    if ns.ret() != 0 {
        dev_info(k, id, &format!("Identify namespace failed ({})", ns.ret()));
        return ns;
    }
    if d(k, id).ctratt & hw::CTRATT_ELBAS != 0 {
        let nvm: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, nsid, CNS_CS_NS, 0));
        if nvm.ret() < 0 {
            return nvm;
        }
    }
    let (disk, capacity) = (disk_of(k, id, nsid), hw::namespace_sectors(k, id, nsid));
    genhd::set_capacity_and_notify(k, disk, capacity);
    Sync::done(0, 0)
}

/// `nvme_remove_invalid_namespaces()`: those above `nsid` are gone.
#[kframe("drivers/nvme/host/core.c")]
fn nvme_remove_invalid_namespaces(k: &mut Kernel, id: NvmeId, nsid: u32) {
    loop {
        let Some(ns) = d(k, id).namespaces.iter().find(|ns| ns.ns_id > nsid && !ns.removing) else { return };
        let gone: u32 = ns.ns_id;
        call!(nvme_ns_remove(id, gone));
    }
}

/// `nvme_ns_remove()`.
#[kframe("drivers/nvme/host/core.c")]
fn nvme_ns_remove(k: &mut Kernel, id: NvmeId, nsid: u32) {
    let Some(ns) = dm(k, id).namespaces.iter_mut().find(|ns| ns.ns_id == nsid && !ns.removing) else {
        return;
    };
    ns.removing = true;
    let (queue_id, disk) = (ns.queue, ns.disk);
    let queue: QueueId = queue_id;
    genhd::del_gendisk(k, disk);
    call!(blk_core::blk_cleanup_queue(queue));
    dm(k, id).namespaces.retain(|ns| ns.ns_id != nsid);
}

/// `nvme_remove_namespaces()`.
#[kframe("drivers/nvme/host/core.c")]
pub(in crate::nvme) fn nvme_remove_namespaces(k: &mut Kernel, id: NvmeId) {
    if k.sem.nvme_probe == NvmeProbe::Synchronous {
        nvme_start_queues(k, id);
    }
    call!(flush_work(d(k, id).scan_work));
    if d(k, id).state == NvmeCtrlState::Dead {
        nvme_kill_queues(k, id);
    }
    if k.sem.nvme_probe == NvmeProbe::Synchronous {
        nvme_change_ctrl_state(k, id, NvmeCtrlState::DeletingNoio);
    }
    loop {
        let Some(ns) = d(k, id).namespaces.iter().find(|ns| !ns.removing) else { return };
        let nsid: u32 = ns.ns_id;
        call!(nvme_ns_remove(id, nsid));
    }
}
