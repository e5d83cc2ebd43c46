//! The PCIe NVMe driver, drivers/nvme/host/pci.c: what all kernels have in common, and its generations.
//! In [`by_reset_work`] probing hands over to the reset work, in [`synchronous`] it does it all.
//!
//! # What it doesn't implement
//! Data mapping, quirks of single devices, controller and host memory buffers, power management.

pub mod by_reset_work;
mod quirks;
pub mod synchronous;

use kcore::workqueue::{__init_work, flush_work};
use kfn::{kfn, kframe};
use kstate::blk::{BlkStatus, EndIo, HctxType, ReqOp};
use kstate::hw::nvme::{NvmeCommand, NvmeCompletion};
use kstate::irqchip::Handler;
use kstate::irqdesc::{DevId, IrqReturn};
use kstate::kstrtox::{kstrtoint, kstrtouint};
use kstate::msi::{CalcSets, IrqAffinity};
use kstate::nvme::{NvmeCtrlOps, NvmeCtrlState, NvmeDev, NvmeQueue};
use kstate::pci::{PciDeviceId, PciDriver, ProbeType};
use kstate::semantics::NvmeProbe;
use kstate::shared::Shared;
use kstate::workqueue::WorkFunc;
use kstate::{Errno, Irq, Kernel, NvmeId, PciDevId, QueueId, ReqId, TagSetId};

pub use quirks::quirks_param_set;
use quirks::{NVME_QUIRK_BROKEN_MSI, NVME_QUIRK_QDEPTH_ONE, NVME_QUIRK_SINGLE_VECTOR};

use super::core::{self, Sync, d, dm, nvme_submit_sync_cmd};
use super::hw::{self, id_of, opcode};
use crate::block::{blk_core, blk_exec, blk_mq, blk_mq_cpumap, blk_mq_pci};
use pcimsi::kernel::pci_driver::{pci_device_irq_get_affinity, pci_register_driver};

/// `NVME_AQ_DEPTH`.
pub(super) const NVME_AQ_DEPTH: u32 = 32;
/// `NVME_AQ_BLK_MQ_DEPTH`: one slot is kept for asynchronous events.
pub(super) const NVME_AQ_BLK_MQ_DEPTH: u32 = NVME_AQ_DEPTH - 1;
/// `NVME_AQ_MQ_TAG_DEPTH`: a full queue is told from an empty one.
pub(super) const NVME_AQ_MQ_TAG_DEPTH: u32 = NVME_AQ_BLK_MQ_DEPTH - 1;
/// `NVME_QUEUE_PHYS_CONTIG`.
const NVME_QUEUE_PHYS_CONTIG: u32 = 1;
/// `NVME_CQ_IRQ_ENABLED`.
const NVME_CQ_IRQ_ENABLED: u32 = 2;

/// `nvme_id_table`: every NVMe controller, by its class.
static NVME_ID_TABLE: [PciDeviceId; 1] = [PciDeviceId::class(0x01_0802, 0xff_ffff)];

/// `nvme_driver`.
static NVME_DRIVER: PciDriver = PciDriver {
    name: "nvme",
    id_table: &NVME_ID_TABLE,
    probe: nvme_probe,
    remove: |_, dev| nvme_remove(dev),
    shutdown: Some(|_, dev| nvme_shutdown(dev)),
    reset_prepare: Some(|_, dev| nvme_reset_prepare(dev)),
    probe_type: |k| match k.sem.nvme_probe {
        // What takes long is done by a work there.
        NvmeProbe::ByResetWork => ProbeType::Default,
        NvmeProbe::Synchronous => ProbeType::PreferAsynchronous,
    },
    built_in: true,
    overlaps: true,
};

/// `nvme_pci_ctrl_ops`.
const NVME_PCI_CTRL_OPS: NvmeCtrlOps = NvmeCtrlOps {
    name: "pcie",
    reg_read32: nvme_pci_reg_read32,
    reg_write32: nvme_pci_reg_write32,
    reg_read64: nvme_pci_reg_read64,
    submit_async_event: nvme_pci_submit_async_event,
};

/// The module's `nvme_init()`.
pub fn nvme_init(k: &mut Kernel) {
    pci_register_driver(k, &NVME_DRIVER);
}

/// One of a controller's queues.
pub(super) fn q(k: &Kernel, id: NvmeId, qid: u16) -> &NvmeQueue {
    &d(k, id).queues[usize::from(qid)]
}

/// One of a controller's queues, mutably.
pub(super) fn qm(k: &mut Kernel, id: NvmeId, qid: u16) -> &mut NvmeQueue {
    &mut dm(k, id).queues[usize::from(qid)]
}

// Parameters of the module.

/// A number of queues: in 6.12 as many as there can be CPUs, read as a decimal number first. 5.4 takes any int.
///
/// # Errors
/// `EINVAL` for what is no number of queues.
pub fn io_queue_count_set(k: &Kernel, value: Option<&str>) -> Result<u32, Errno> {
    let text = value.ok_or(Errno::EINVAL)?.as_bytes();
    if !k.sem.nvme_queue_params_checked {
        return kstrtoint(text, 0).map(|n| n as u32);
    }
    match kstrtouint(text, 10) {
        Ok(n) if n <= k.topo.possible.weight() => kstrtouint(text, 0),
        _ => Err(Errno::EINVAL),
    }
}

/// `nvme.io_queue_depth=` (`io_queue_depth_set()`): checked as a decimal number, then read like any
/// other.
///
/// # Errors
/// `EINVAL` for a depth that no queue has, and as [`kstrtouint`].
pub fn io_queue_depth_set(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    let text = value.ok_or(Errno::EINVAL)?.as_bytes();
    let most = if k.sem.nvme_queue_params_checked { 4095 } else { i32::MAX };
    if !kstrtoint(text, 10).is_ok_and(|n| (2..=most).contains(&n)) {
        return Err(Errno::EINVAL);
    }
    k.params.nvme_io_queue_depth = kstrtouint(text, 0)?;
    Ok(())
}

/// `reset_work`.
const RESET_WORK: WorkFunc = WorkFunc {
    name: "nvme_reset_work",
    call: |k, id| match k.sem.nvme_probe {
        NvmeProbe::ByResetWork => by_reset_work::nvme_reset_work(NvmeId(id)),
        NvmeProbe::Synchronous => synchronous::nvme_reset_work(NvmeId(id)),
    },
};

/// `remove_work` (5.4).
const REMOVE_WORK: WorkFunc = WorkFunc {
    name: "nvme_remove_dead_ctrl_work",
    call: |_, id| by_reset_work::nvme_remove_dead_ctrl_work(NvmeId(id)),
};

/// The devices' memory for an instance: a fresh `struct nvme_dev` with its number.
pub(super) fn alloc_dev(k: &mut Kernel, id: NvmeId, dev: PciDevId, nr_queues: u32) {
    let mut instance = 0;
    while k.nvme.devs.iter().any(|d| d.bound && d.instance == instance) {
        instance += 1;
    }
    if k.nvme.devs.len() <= id.index() {
        k.nvme.devs.resize(id.index() + 1, Shared::new(NvmeDev::default()));
    }
    let queues = vec![NvmeQueue::default(); nr_queues as usize];
    *dm(k, id) = NvmeDev { dev, bound: true, drvdata: true, instance, queues, ..NvmeDev::default() };
    core::nvme_init_ctrl(k, id, NVME_PCI_CTRL_OPS);
    let reset_work = __init_work(k, RESET_WORK, id.0);
    let remove_work = __init_work(k, REMOVE_WORK, id.0);
    let ctrl = dm(k, id);
    (ctrl.reset_work, ctrl.remove_work) = (reset_work, remove_work);
}

// Submission.

/// `nvme_submit_cmd()` (5.4), `nvme_sq_copy_cmd()` and `nvme_write_sq_db()` (6.12): copies a command
/// into the queue and rings the doorbell, or leaves that to the last command of a batch.
///
/// DEVIATION: with the doorbell buffer the device may ask not to be told; here it always is.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_submit_cmd(k: &mut Kernel, id: NvmeId, qid: u16, cmd: NvmeCommand, write_sq: bool) {
    let (slot, depth) = (q(k, id, qid).sq_tail, q(k, id, qid).q_depth);
    hw::sq_write(k, id, qid, slot, cmd);
    let queue = qm(k, id, qid);
    queue.sq_tail = if u32::from(slot) + 1 == depth { 0 } else { slot + 1 };
    let tail = queue.sq_tail;
    if !write_sq {
        // A queue that would look empty has to be told about.
        let next = if u32::from(tail) + 1 == depth { 0 } else { tail + 1 };
        if next != queue.last_sq_tail {
            return;
        }
    }
    queue.last_sq_tail = tail;
    hw::write32(k, id, hw::sq_tail_doorbell(qid), u32::from(tail));
}

/// `nvme_setup_cmd()`.
// DEVIATION: an identifier is the tag alone. Since 5.14 its upper four bits count how often the tag was used
// (nvme_cid_install_genctr()), which would tell states apart that differ in nothing else.
fn nvme_setup_cmd(k: &Kernel, id: NvmeId, rq: ReqId) -> NvmeCommand {
    let request = &k.blk.requests[rq];
    let command_id = request.tag as u16;
    let opcode = match request.op {
        ReqOp::Drv => return NvmeCommand { command_id, ..request.cmd },
        ReqOp::Read => opcode::READ,
        ReqOp::Write => opcode::WRITE,
    };
    let ns = d(k, id).namespaces.iter().find(|ns| ns.queue == request.q);
    NvmeCommand {
        opcode,
        command_id,
        nsid: ns.map_or(0, |ns| ns.ns_id),
        cdw10: request.sector as u32,
        cdw11: (request.sector >> 32) as u32,
        cdw12: request.nr_sectors.saturating_sub(1) & 0xffff,
        ..NvmeCommand::default()
    }
}

/// Gives a request to the device.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_queue_rq(k: &mut Kernel, q: QueueId, hctx: u32, rq: ReqId, last: bool) -> BlkStatus {
    let (id, qid) = k.nvmeq_of_hctx(q, hctx);
    // `nvme_check_ready()` of 6.12 asks for more on fabrics only.
    if !d(k, id).queues.get(usize::from(qid)).is_some_and(|queue| queue.enabled) {
        return BlkStatus::IoErr;
    }
    let cmd = nvme_setup_cmd(k, id, rq);
    blk_mq::blk_mq_start_request(k, rq);
    nvme_submit_cmd(k, id, qid, cmd, last);
    BlkStatus::Ok
}

/// `nvme_queue_rqs()` (6.12): a list of requests with one ring of the doorbell per queue.
pub(super) fn nvme_queue_rqs(k: &mut Kernel, list: &[ReqId]) -> Vec<ReqId> {
    let mut left = Vec::new();
    for (i, &rq) in list.iter().enumerate() {
        let (queue, hctx) = (k.blk.requests[rq].q, k.blk.requests[rq].hctx);
        let (id, qid) = k.nvmeq_of_hctx(queue, hctx);
        let enabled = d(k, id).queues.get(usize::from(qid)).is_some_and(|queue| queue.enabled);
        if !enabled {
            left.push(rq);
            continue;
        }
        let last = list.get(i + 1).is_none_or(|&next| k.blk.requests[next].hctx != hctx);
        let cmd = nvme_setup_cmd(k, id, rq);
        blk_mq::blk_mq_start_request(k, rq);
        nvme_submit_cmd(k, id, qid, cmd, last);
    }
    left
}

/// `nvme_pci_complete_rq()`.
pub(super) fn nvme_pci_complete_rq(k: &mut Kernel, rq: ReqId) {
    core::nvme_complete_rq(k, rq);
}

/// Asks the device to report its next event.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_pci_submit_async_event(k: &mut Kernel, id: NvmeId) {
    let cmd = NvmeCommand {
        opcode: opcode::ASYNC_EVENT,
        command_id: NVME_AQ_BLK_MQ_DEPTH as u16,
        ..NvmeCommand::default()
    };
    nvme_submit_cmd(k, id, 0, cmd, true);
}

// Completion.

/// `nvme_cqe_pending()`: the slot at the head has the phase tag of a new entry.
pub(super) fn nvme_cqe_pending(k: &Kernel, id: NvmeId, qid: u16) -> Option<NvmeCompletion> {
    let queue = d(k, id).queues.get(usize::from(qid))?;
    hw::cq_read(k, id, qid, queue.cq_head).filter(|e| (e.status & 1 != 0) == queue.cq_phase)
}

/// `nvme_update_cq_head()`.
pub(super) fn nvme_update_cq_head(k: &mut Kernel, id: NvmeId, qid: u16) {
    let head = q(k, id, qid).cq_head;
    hw::cq_consume(k, id, qid, head);
    let queue = qm(k, id, qid);
    if u32::from(head) + 1 == queue.q_depth {
        queue.cq_head = 0;
        queue.cq_phase = !queue.cq_phase;
    } else {
        queue.cq_head = head + 1;
    }
}

/// `nvme_ring_cq_doorbell()`.
pub(super) fn nvme_ring_cq_doorbell(k: &mut Kernel, id: NvmeId, qid: u16) {
    let head = q(k, id, qid).cq_head;
    hw::write32(k, id, hw::cq_head_doorbell(qid), u32::from(head));
}

/// `nvme_handle_cqe()`: finds the request and completes it, here or on the CPU that submitted it.
pub(super) fn nvme_handle_cqe(k: &mut Kernel, id: NvmeId, qid: u16, cqe: &NvmeCompletion) {
    if qid == 0 && u32::from(cqe.command_id) >= NVME_AQ_BLK_MQ_DEPTH {
        core::nvme_complete_async_event(k, id, cqe.status);
        return;
    }
    let set = if qid == 0 { d(k, id).admin_tagset } else { d(k, id).tagset };
    let hctx = if qid == 0 { 0 } else { u32::from(qid) - 1 };
    let tag = u32::from(cqe.command_id);
    let Some(rq) = set.and_then(|set| blk_mq::blk_mq_tag_to_rq(k, set, hctx, tag)) else {
        core::dev_info(k, id, &format!("invalid id {tag} completed on queue {qid}"));
        return;
    };
    let request = &mut k.blk.requests[rq];
    request.status = cqe.status >> 1;
    request.result = u64::from(cqe.result);
    blk_mq::blk_mq_complete_request(k, rq);
}

/// The queue behind it.
fn of_dev_id(k: &Kernel, dev_id: DevId) -> Option<(NvmeId, u16)> {
    match dev_id {
        DevId::Driver(dev, qid) => Some((id_of(k, dev), qid)),
        _ => None,
    }
}

/// The handler: takes all new completions.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_irq(k: &mut Kernel, irq: Irq, data: DevId) -> IrqReturn {
    let _ = irq;
    let Some((id, qid)) = of_dev_id(k, data) else { return IrqReturn::None };
    match k.sem.nvme_probe {
        NvmeProbe::ByResetWork => by_reset_work::nvme_irq(k, id, qid),
        NvmeProbe::Synchronous => synchronous::nvme_irq(k, id, qid),
    }
}

/// The hard half with `nvme.use_threaded_interrupts=1`.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_irq_check(k: &mut Kernel, irq: Irq, data: DevId) -> IrqReturn {
    let _ = irq;
    match of_dev_id(k, data) {
        Some((id, qid)) if nvme_cqe_pending(k, id, qid).is_some() => IrqReturn::WakeThread,
        _ => IrqReturn::None,
    }
}

/// Requests a queue's interrupt.
///
/// # Errors
/// Those of `pci_request_irq`.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn queue_request_irq(k: &mut Kernel, id: NvmeId, qid: u16) -> Result<(), Errno> {
    let (pdev, vector) = (d(k, id).dev, u32::from(q(k, id, qid).cq_vector));
    let name = format!("nvme{}q{qid}", d(k, id).instance);
    let irq = Handler { name: "nvme_irq", call: nvme_irq };
    let check = Handler { name: "nvme_irq_check", call: nvme_irq_check };
    let threaded = k.params.nvme_use_threaded_interrupts != 0;
    let (handler, thread_fn) = if threaded { (check, Some(irq)) } else { (irq, None) };
    let dev_id = k.nvmeq_dev_id(id, qid);
    pcimsi::kernel::pci_request_irq(k, pdev, vector, Some(handler), thread_fn, dev_id, &name)
}

// Queues.

/// `adapter_delete_queue()`.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn adapter_delete_queue(k: &mut Kernel, id: NvmeId, opcode: u8, qid: u16) -> Sync {
    call!(nvme_submit_sync_cmd(id, opcode, 0, u32::from(qid), 0))
}

/// Creates a completion queue.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn adapter_alloc_cq(k: &mut Kernel, id: NvmeId, qid: u16, vector: u16) -> Sync {
    let queue = q(k, id, qid);
    let irq = if queue.polled { 0 } else { NVME_CQ_IRQ_ENABLED };
    let cdw10: u32 = u32::from(qid) | (queue.q_depth - 1) << 16;
    let cdw11: u32 = NVME_QUEUE_PHYS_CONTIG | irq | u32::from(vector) << 16;
    call!(nvme_submit_sync_cmd(id, opcode::CREATE_CQ, 0, cdw10, cdw11))
}

/// Creates a submission queue.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn adapter_alloc_sq(k: &mut Kernel, id: NvmeId, qid: u16) -> Sync {
    let cdw10: u32 = u32::from(qid) | (q(k, id, qid).q_depth - 1) << 16;
    let cdw11: u32 = NVME_QUEUE_PHYS_CONTIG | u32::from(qid) << 16;
    call!(nvme_submit_sync_cmd(id, opcode::CREATE_SQ, 0, cdw10, cdw11))
}

/// Frees a queue's memory.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_free_queue(k: &mut Kernel, id: NvmeId, qid: u16) {
    hw::cq_clear(k, id, qid);
}

/// Frees the memory of the queues from `lowest` on.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_free_queues(k: &mut Kernel, id: NvmeId, lowest: u32) {
    while d(k, id).queue_count > lowest {
        dm(k, id).queue_count -= 1;
        let qid = d(k, id).queue_count as u16;
        nvme_free_queue(k, id, qid);
    }
}

/// Allocates a queue's memory, once.
///
/// # Errors
/// None here: memory does not run out.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_alloc_queue(k: &mut Kernel, id: NvmeId, qid: u16, depth: u32) -> Result<(), Errno> {
    if d(k, id).queue_count > u32::from(qid) {
        return Ok(());
    }
    let queue = qm(k, id, qid);
    queue.q_depth = depth;
    queue.cq_head = 0;
    queue.cq_phase = true;
    queue.qid = qid;
    dm(k, id).queue_count += 1;
    Ok(())
}

/// Makes a queue's memory and counters those of an unused one.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_init_queue(k: &mut Kernel, id: NvmeId, qid: u16) {
    let queue = qm(k, id, qid);
    queue.sq_tail = 0;
    queue.last_sq_tail = 0;
    queue.cq_head = 0;
    queue.cq_phase = true;
    hw::cq_clear(k, id, qid);
    dm(k, id).online_queues += 1;
}

/// Takes a queue out of use and gives its interrupt back.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_suspend_queue(k: &mut Kernel, id: NvmeId, qid: u16) {
    if !qm(k, id, qid).enabled {
        return;
    }
    qm(k, id, qid).enabled = false;
    dm(k, id).online_queues -= 1;
    let admin_q: Option<QueueId> = if qid == 0 { d(k, id).admin_q } else { None };
    if admin_q.is_some() {
        call!(blk_mq::blk_mq_quiesce_queue(admin_q.unwrap_or_default()));
    }
    let polled = ::core::mem::take(&mut qm(k, id, qid).polled);
    if !polled {
        call!(pcimsi::kernel::pci_free_irq(
            d(k, id).dev,
            u32::from(q(k, id, qid).cq_vector),
            k.nvmeq_dev_id(id, qid)
        ));
    }
}

/// Takes all I/O queues out of use, the last one first.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_suspend_io_queues(k: &mut Kernel, id: NvmeId) {
    let i: u32 = d(k, id).queue_count.saturating_sub(1);
    while i > 0 {
        call!(nvme_suspend_queue(id, i as u16));
        i -= 1;
    }
}

/// Prepares the admin queue, enables the controller and requests the queue's interrupt.
///
/// # Errors
/// `ENODEV` when the device does not follow, and those of requesting the interrupt.
// DEVIATION: 6.12 resets the function of a controller that stays ready when it is disabled, with pcie_reset_flr() and
// pci_restore_state(), and tries once more. A device that is stuck here would stay so.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_pci_configure_admin_queue(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    call!(core::nvme_disable_ctrl(id, false))?;
    nvme_alloc_queue(k, id, 0, NVME_AQ_DEPTH)?;
    let aqa = q(k, id, 0).q_depth - 1;
    hw::write32(k, id, hw::AQA, aqa | aqa << 16);
    // Queue memory is not at addresses here; two pages that are not zero stand for it.
    hw::write64(k, id, hw::ASQ, 0x1000);
    hw::write64(k, id, hw::ACQ, 0x2000);
    call!(core::nvme_enable_ctrl(id))?;
    qm(k, id, 0).cq_vector = 0;
    nvme_init_queue(k, id, 0);
    let requested: Result<(), Errno> = queue_request_irq(k, id, 0);
    if requested.is_err() {
        dm(k, id).online_queues -= 1;
        if k.sem.nvme_probe == NvmeProbe::Synchronous {
            call!(core::nvme_disable_ctrl(id, false))?;
        }
        return requested;
    }
    qm(k, id, 0).enabled = true;
    Ok(())
}

/// Creates a queue pair; above zero a status, below an errno.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_create_queue(k: &mut Kernel, id: NvmeId, qid: u16, polled: bool) -> i32 {
    let one_vector = d(k, id).num_vecs == 1;
    let queue = qm(k, id, qid);
    queue.delete_error = false;
    let vector: u16 = if polled || one_vector { 0 } else { qid };
    if polled {
        queue.polled = true;
    }
    let cq: Sync = call!(adapter_alloc_cq(id, qid, vector));
    if cq.ret() != 0 {
        return cq.ret();
    }
    let result: i32 = 0;
    let sq: Sync = call!(adapter_alloc_sq(id, qid));
    result = sq.ret();
    if result < 0 {
        return result;
    }
    if result == 0 {
        qm(k, id, qid).cq_vector = vector;
        let synchronous: bool = k.sem.nvme_probe == NvmeProbe::Synchronous;
        if synchronous && let Err(e) = synchronous::nvme_setup_io_queues_trylock(k, id) {
            return e.code();
        }
        nvme_init_queue(k, id, qid);
        let requested = if polled { Ok(()) } else { queue_request_irq(k, id, qid) };
        result = requested.err().map_or(0, Errno::code);
        if result == 0 {
            qm(k, id, qid).enabled = true;
            if synchronous {
                core::unlock_shutdown(k, id);
            }
            return 0;
        }
        dm(k, id).online_queues -= 1;
        if synchronous {
            core::unlock_shutdown(k, id);
        }
        let _sq: Sync = call!(adapter_delete_queue(id, opcode::DELETE_SQ, qid));
    }
    let _cq: Sync = call!(adapter_delete_queue(id, opcode::DELETE_CQ, qid));
    result
}

/// Creates the I/O queues that do not exist yet. A device that refuses leaves fewer.
///
/// # Errors
/// Those of a command that could not be sent.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_create_io_queues(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    let depth = d(k, id).q_depth;
    for qid in d(k, id).queue_count..=d(k, id).max_qid {
        nvme_alloc_queue(k, id, qid as u16, depth)?;
    }
    let dev = d(k, id);
    let max: u32 = dev.max_qid.min(dev.queue_count - 1);
    let rw_queues: u32 = if max != 1 && dev.io_queues[HctxType::Poll as usize] != 0 {
        dev.io_queues[HctxType::Default as usize] + dev.io_queues[HctxType::Read as usize]
    } else {
        max
    };
    let i: u32 = dev.online_queues;
    while i <= max {
        let polled: bool = i > rw_queues;
        let ret: i32 = call!(nvme_create_queue(id, i as u16, polled));
        if ret < 0 {
            return Err(Errno::from_number(-ret).unwrap_or(Errno::EIO));
        }
        if ret > 0 {
            break;
        }
        i += 1;
    }
    Ok(())
}

// Vectors.

const NVME_CALC_IRQ_SETS: CalcSets = CalcSets { name: "nvme_calc_irq_sets", call: nvme_calc_irq_sets };

/// The interrupt core's question: how many of `nrirqs` vectors are for which set.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_calc_irq_sets(k: &mut Kernel, affd: &mut IrqAffinity, nrirqs: u32) {
    let id = NvmeId(affd.priv_data as u32);
    // 5.4 looks at the parameter itself, each time.
    let nr_write_queues = match k.sem.nvme_probe {
        NvmeProbe::ByResetWork => k.params.nvme_write_queues,
        NvmeProbe::Synchronous => d(k, id).nr_write_queues,
    };
    let (nrirqs, nr_read_queues) = if nrirqs == 0 {
        (1, 0)
    } else if nrirqs == 1 || nr_write_queues == 0 {
        (nrirqs, 0)
    } else if nr_write_queues >= nrirqs {
        (nrirqs, 1)
    } else {
        (nrirqs, nrirqs - nr_write_queues)
    };
    let dev = dm(k, id);
    dev.io_queues[HctxType::Default as usize] = nrirqs - nr_read_queues;
    affd.set_size[HctxType::Default as usize] = nrirqs - nr_read_queues;
    dev.io_queues[HctxType::Read as usize] = nr_read_queues;
    affd.set_size[HctxType::Read as usize] = nr_read_queues;
    affd.nr_sets = if nr_read_queues != 0 { 2 } else { 1 };
}

/// The kinds of interrupts that a controller with these quirks may use.
fn irq_types(quirks: u32) -> u32 {
    let all = pcimsi::kernel::PCI_IRQ_ALL_TYPES;
    if quirks & NVME_QUIRK_BROKEN_MSI != 0 { all & !pcimsi::kernel::PCI_IRQ_MSI } else { all }
}

/// Allocates the vectors for `nr_io_queues` queues and the admin queue.
///
/// # Errors
/// Those of `pci_alloc_irq_vectors_affinity`.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_setup_irqs(k: &mut Kernel, id: NvmeId, nr_io_queues: u32) -> Result<u32, Errno> {
    let affd = IrqAffinity {
        pre_vectors: 1,
        calc_sets: Some(NVME_CALC_IRQ_SETS),
        priv_data: u64::from(id.0),
        ..IrqAffinity::default()
    };
    let nr_cpus = k.topo.possible.weight();
    let wanted = k.params.nvme_poll_queues;
    let (poll_queues, irqs) = match k.sem.nvme_probe {
        NvmeProbe::ByResetWork if wanted >= nr_io_queues => (nr_io_queues - 1, 1),
        NvmeProbe::ByResetWork => (wanted, nr_cpus.min(nr_io_queues - wanted) + 1),
        NvmeProbe::Synchronous => {
            let poll_queues = d(k, id).nr_poll_queues.min(nr_io_queues - 1);
            (poll_queues, nr_io_queues - poll_queues + 1)
        }
    };
    let quirks = quirks::detect_dynamic_quirks(k, id);
    let irq_queues: u32 = if quirks & NVME_QUIRK_SINGLE_VECTOR != 0 { 1 } else { irqs };
    let dev = dm(k, id);
    dev.io_queues[HctxType::Poll as usize] = poll_queues;
    dev.io_queues[HctxType::Default as usize] = 1;
    dev.io_queues[HctxType::Read as usize] = 0;
    let pdev: PciDevId = dev.dev;
    let flags: u32 = irq_types(quirks) | pcimsi::kernel::PCI_IRQ_AFFINITY;
    k.pci_dev_mut(pdev).msi_setup().affd = affd;
    call!(pcimsi::kernel::pci_alloc_irq_vectors_affinity(pdev, 1, irq_queues, flags, true))
}

/// `queue_irq_offset()`: the admin queue has the first vector to itself unless it is the only one.
fn queue_irq_offset(k: &Kernel, id: NvmeId) -> u32 {
    u32::from(d(k, id).num_vecs > 1)
}

/// Maps CPUs to queues as their interrupts were spread; polled queues have none.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_pci_map_queues(k: &mut Kernel, set: TagSetId) {
    let id = k.nvme_of_set(set);
    let pdev = d(k, id).dev;
    let mut offset = queue_irq_offset(k, id);
    let mut qoff = 0;
    for i in 0..k.blk.set(set).nr_maps as usize {
        let nr_queues = d(k, id).io_queues[i];
        let map = &mut k.blk.set_mut(set).map[i];
        map.nr_queues = nr_queues;
        if nr_queues == 0 {
            continue;
        }
        map.queue_offset = qoff;
        if i != HctxType::Poll as usize && offset != 0 && k.sem.map_hw_queues {
            blk_mq_cpumap::blk_mq_map_hw_queues(k, set, i, pdev, pci_device_irq_get_affinity, offset);
        } else if i != HctxType::Poll as usize && offset != 0 {
            blk_mq_pci::blk_mq_pci_map_queues(k, set, i, pdev, offset);
        } else {
            blk_mq_cpumap::blk_mq_map_queues(k, set, i);
        }
        qoff += nr_queues;
        offset += nr_queues;
    }
}

// Deleting queues.

/// A queue's deletion is over.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_del_queue_end(k: &mut Kernel, req: ReqId) {
    let queue = k.blk.requests[req].end_io_data;
    let (id, qid) = (NvmeId((queue >> 16) as u32), queue as u16);
    blk_mq::blk_mq_free_request(k, req);
    qm(k, id, qid).delete_done = true;
    let on = d(k, id).delete_done();
    k.wake(on);
}

/// A completion queue's deletion is over, perhaps with an error.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_del_cq_end(k: &mut Kernel, req: ReqId) {
    let queue = k.blk.requests[req].end_io_data;
    if k.blk.requests[req].status != 0 {
        qm(k, NvmeId((queue >> 16) as u32), queue as u16).delete_error = true;
    }
    nvme_del_queue_end(k, req);
}

/// Sends the command that deletes a queue and does not wait for it.
///
/// # Errors
/// When there is no tag, or no queue to send it to.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_delete_queue(k: &mut Kernel, id: NvmeId, qid: u16, opcode: u8) -> Result<(), Errno> {
    let admin_q = d(k, id).admin_q.ok_or(Errno::ENODEV)?;
    let req = k.run_now(blk_mq::blk_mq_alloc_request(admin_q, ReqOp::Drv, true))?;
    let request = &mut k.blk.requests[req];
    request.cmd = NvmeCommand { opcode, cdw10: u32::from(qid), ..NvmeCommand::default() };
    request.end_io_data = u64::from(id.0) << 16 | u64::from(qid);
    qm(k, id, qid).delete_done = false;
    let end_io = if opcode == opcode::DELETE_CQ {
        EndIo { name: "nvme_del_cq_end", call: nvme_del_cq_end }
    } else {
        EndIo { name: "nvme_del_queue_end", call: nvme_del_queue_end }
    };
    blk_exec::blk_execute_rq_nowait(k, req, false, end_io);
    Ok(())
}

// Mapping, probing, removing.

/// `nvme_pci_reg_read32()`.
fn nvme_pci_reg_read32(k: &Kernel, id: NvmeId, off: u32) -> u32 {
    hw::read32(k, id, off)
}

/// `nvme_pci_reg_write32()`.
fn nvme_pci_reg_write32(k: &mut Kernel, id: NvmeId, off: u32, val: u32) {
    hw::write32(k, id, off, val);
}

/// `nvme_pci_reg_read64()`.
fn nvme_pci_reg_read64(k: &Kernel, id: NvmeId, off: u32) -> u64 {
    hw::read64(k, id, off)
}

/// Maps the registers.
///
/// # Errors
/// None here.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_dev_map(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    dm(k, id).bar = true;
    Ok(())
}

/// Unmaps the registers.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_dev_unmap(k: &mut Kernel, id: NvmeId) {
    dm(k, id).bar = false;
}

/// Shuts the admin queue down and frees its tags.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_dev_remove_admin(k: &mut Kernel, id: NvmeId) {
    let Some(admin_q) = d(k, id).admin_q else { return };
    let queue: QueueId = admin_q;
    blk_mq::blk_mq_unquiesce_queue(k, queue);
    call!(blk_core::blk_cleanup_queue(queue));
    dm(k, id).admin_q = None;
    if let Some(set) = dm(k, id).admin_tagset.take() {
        blk_mq::blk_mq_free_tag_set(k, set);
    }
}

/// `nvme_free_tagset()`.
pub(super) fn nvme_free_tagset(k: &mut Kernel, id: NvmeId) {
    if let Some(set) = dm(k, id).tagset.take() {
        blk_mq::blk_mq_free_tag_set(k, set);
    }
}

/// `pci_is_enabled()`.
pub(super) fn pci_is_enabled(k: &Kernel, id: NvmeId) -> bool {
    k.pci_dev(d(k, id).dev).enable_cnt > 0
}

/// `nvme_warn_reset()`.
pub(super) fn nvme_warn_reset(k: &mut Kernel, id: NvmeId, csts: u32) {
    let pci_status =
        pcimsi::kernel::access::pci_read_config_word(k, d(k, id).dev, pcimsi::hw::config::STATUS);
    let line = format!("controller is down; will reset: CSTS=0x{csts:x}, PCI_STATUS=0x{pci_status:x}");
    core::dev_info(k, id, &line);
}

/// `abort_endio()`.
pub(super) fn abort_endio(k: &mut Kernel, rq: ReqId) {
    let status = k.blk.requests[rq].status;
    let (id, _) = k.nvmeq_of_hctx(k.blk.requests[rq].q, 0);
    core::dev_info(k, id, &format!("Abort status: 0x{status:x}"));
    dm(k, id).abort_limit += 1;
    blk_mq::blk_mq_free_request(k, rq);
}

/// Sends an abort for a request that takes too long, which `line` says, unless as many are out as the
/// controller takes. The request gets more time in any case.
pub(super) fn send_abort(k: &mut Kernel, id: NvmeId, qid: u16, rq: ReqId, line: &str) {
    if d(k, id).abort_limit <= 0 {
        return;
    }
    dm(k, id).abort_limit -= 1;
    k.blk.requests[rq].aborted = true;
    core::dev_info(k, id, line);
    let abort_req = match d(k, id).admin_q {
        Some(admin_q) => k.run_now(blk_mq::blk_mq_alloc_request(admin_q, ReqOp::Drv, true)),
        None => Err(Errno::ENODEV),
    };
    let Ok(abort_req) = abort_req else {
        dm(k, id).abort_limit += 1;
        return;
    };
    let cdw10 = u32::from(qid) | k.blk.requests[rq].tag << 16;
    k.blk.requests[abort_req].cmd = NvmeCommand { opcode: opcode::ABORT, cdw10, ..NvmeCommand::default() };
    blk_exec::blk_execute_rq_nowait(k, abort_req, false, EndIo { name: "abort_endio", call: abort_endio });
}

/// Binds a controller to the driver (dispatches on the release).
///
/// # Errors
/// `ENODEV` when the device does not answer, and those of the steps on the way.
fn nvme_probe(k: &Kernel, dev: PciDevId) -> kstate::sched::Call<Result<(), Errno>> {
    match k.sem.nvme_probe {
        NvmeProbe::ByResetWork => by_reset_work::nvme_probe(dev),
        NvmeProbe::Synchronous => synchronous::nvme_probe(dev),
    }
}

/// Unbinds a controller.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_remove(k: &mut Kernel, dev: PciDevId) {
    let id: NvmeId = id_of(k, dev);
    if !d(k, id).bound {
        return;
    }
    core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Deleting);
    dm(k, id).drvdata = false;
    if k.pci_dev(dev).disconnected {
        core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Dead);
        call!(nvme_dev_disable(k, id, true));
        if k.sem.nvme_probe == NvmeProbe::ByResetWork {
            call!(nvme_dev_remove_admin(id));
        }
    }
    call!(flush_work(d(k, id).reset_work));
    call!(core::nvme_stop_ctrl(id));
    call!(core::nvme_remove_namespaces(id));
    call!(nvme_dev_disable(k, id, true));
    call!(nvme_dev_remove_admin(id));
    dm(k, id).dbbuf = false;
    nvme_free_queues(k, id, 0);
    nvme_dev_unmap(k, id);
    nvme_free_tagset(k, id);
    dm(k, id).bound = false;
}

/// `nvme_dev_disable()` (dispatches on the release).
pub(super) fn nvme_dev_disable(k: &Kernel, id: NvmeId, shutdown: bool) -> kstate::sched::Call<()> {
    match k.sem.nvme_probe {
        NvmeProbe::ByResetWork => by_reset_work::nvme_dev_disable(id, shutdown),
        NvmeProbe::Synchronous => synchronous::nvme_dev_disable(id, shutdown),
    }
}

/// Before the function is reset.
// DEVIATION: nvme_sync_queues() waits for time-outs that are being handled, as in nvme_reset_work().
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_reset_prepare(k: &mut Kernel, dev: PciDevId) {
    let ctrl: NvmeId = id_of(k, dev);
    let ours: bool = call!(core::nvme_wait_reset(ctrl));
    if ours {
        call!(nvme_dev_disable(k, ctrl, false));
    }
}

/// When the machine is shut down.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_shutdown(k: &mut Kernel, dev: PciDevId) {
    let ctrl: NvmeId = id_of(k, dev);
    let ours: bool = call!(core::nvme_wait_reset(ctrl));
    if ours {
        call!(nvme_dev_disable(k, ctrl, true));
    }
}
