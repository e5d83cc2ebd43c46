//! The part of the NVMe core that sends commands: the controller's states, its work, synchronous
//! commands, enabling, disabling and identification (drivers/nvme/host/core.c, 5.4.0 and 6.12.117).
//! `scan` looks for namespaces.
//!
//! # What it doesn't implement
//! Multipath, keep-alive, fabrics, power states, streams, zones, authentication.

use kcore::rcu::tree::synchronize_rcu;
use kcore::workqueue::{__init_work, flush_work, queue_work};
use kfn::kframe;
use kstate::blk::ReqOp;
use kstate::hw::nvme::NvmeCommand;
use kstate::nvme::{NvmeCtrlOps, NvmeCtrlState, NvmeDev, NvmeNs};
use kstate::sched::WaitOn;
use kstate::semantics::NvmeProbe;
use kstate::workqueue::{WorkFunc, WorkqueueStruct};
use kstate::{DiskId, Errno, Kernel, NvmeId, QueueId, ReqId, TagSetId};

use super::hw::{self, opcode};
use crate::block::{blk_core, blk_exec, blk_mq, blk_mq_tag, fops, genhd};

mod scan;

pub use scan::*;

const SEC: u64 = 1_000_000_000;
/// `shutdown_timeout`: seconds a shutdown may take.
const SHUTDOWN_TIMEOUT: u64 = 5;
/// `NVME_SC_HOST_PATH_ERROR`, for requests that 5.4 cancels.
const NVME_SC_HOST_PATH_ERROR: u16 = 0x370;
/// `NVME_SC_HOST_ABORTED_CMD`, for requests that 6.12 cancels.
const NVME_SC_HOST_ABORTED_CMD: u16 = 0x371;
/// `nvme_max_retries`.
const NVME_MAX_RETRIES: u8 = 5;
/// `NVME_NSID_ALL`.
const NVME_NSID_ALL: u32 = u32::MAX;

const CNS_NS: u32 = 0;
const CNS_CTRL: u32 = 1;
const CNS_NS_ACTIVE_LIST: u32 = 2;
const CNS_NS_DESC_LIST: u32 = 3;
const CNS_CS_NS: u32 = 5;
const CNS_CS_CTRL: u32 = 6;

const FEAT_NUM_QUEUES: u32 = 0x07;
const FEAT_ASYNC_EVENT: u32 = 0x0b;
const FEAT_TIMESTAMP: u32 = 0x0e;
const FEAT_HOST_BEHAVIOR: u32 = 0x16;

/// `NVME_LOG_CMD_EFFECTS`.
const LOG_CMD_EFFECTS: u32 = 0x05;
/// Dwords of a log page of 4 KiB, 0's based.
const LOG_PAGE_NUMD: u32 = 0x3ff;

pub(super) fn d(k: &Kernel, id: NvmeId) -> &NvmeDev {
    k.nvme.dev(id)
}

pub(super) fn dm(k: &mut Kernel, id: NvmeId) -> &mut NvmeDev {
    k.nvme.dev_mut(id)
}

/// `ctrl->ops`.
fn ops(k: &Kernel, id: NvmeId) -> NvmeCtrlOps {
    d(k, id).ops.expect("nvme_init_ctrl() has set the transport's operations")
}

/// A line of the kernel log with the controller's name in front.
pub(super) fn dev_info(k: &mut Kernel, id: NvmeId, text: &str) {
    let line = format!("nvme nvme{}: {text}", d(k, id).instance);
    k.log.push(line);
}

// States and work.

/// `nvme_change_ctrl_state()`: false when the controller's state does not allow it.
pub fn nvme_change_ctrl_state(k: &mut Kernel, id: NvmeId, new_state: NvmeCtrlState) -> bool {
    use NvmeCtrlState as S;
    let old_state = d(k, id).state;
    let changed = match new_state {
        S::Live if k.sem.nvme_live_from_connecting => old_state == S::Connecting,
        S::Live => matches!(old_state, S::New | S::Resetting | S::Connecting),
        S::Resetting => matches!(old_state, S::New | S::Live),
        S::Connecting => matches!(old_state, S::New | S::Resetting),
        S::Deleting => matches!(old_state, S::Live | S::Resetting | S::Connecting),
        S::DeletingNoio => matches!(old_state, S::Deleting | S::Dead),
        S::Dead => old_state == S::Deleting,
        S::New => false,
    };
    if changed {
        dm(k, id).state = new_state;
        let on = d(k, id).state_wq();
        k.wake(on);
    }
    changed
}

/// `nvme_state_terminal()`.
pub(super) fn nvme_state_terminal(k: &Kernel, id: NvmeId) -> bool {
    use NvmeCtrlState as S;
    matches!(d(k, id).state, S::Deleting | S::DeletingNoio | S::Dead)
}

/// `nvme_wait_reset()`: true when the caller may reset the controller.
#[kframe("drivers/nvme/host/core.c")]
pub fn nvme_wait_reset(k: &mut Kernel, id: NvmeId) -> bool {
    let ours: bool = nvme_change_ctrl_state(k, id, NvmeCtrlState::Resetting);
    while !ours && !nvme_state_terminal(k, id) {
        wait!(d(k, id).state_wq());
        ours = nvme_change_ctrl_state(k, id, NvmeCtrlState::Resetting);
    }
    d(k, id).state == NvmeCtrlState::Resetting
}

/// `nvme_wq` and `nvme_reset_wq`.
pub(super) const NVME_WQ: WorkqueueStruct = WorkqueueStruct { name: "nvme-wq", unbound: true };

/// `scan_work`.
const SCAN_WORK: WorkFunc = WorkFunc {
    name: "nvme_scan_work",
    call: |k, id| match k.sem.nvme_probe {
        NvmeProbe::ByResetWork => scan_by_list_then_alloc(NvmeId(id)),
        NvmeProbe::Synchronous => nvme_scan_work(NvmeId(id)),
    },
};

/// `async_event_work`.
const ASYNC_EVENT_WORK: WorkFunc =
    WorkFunc { name: "nvme_async_event_work", call: |_, id| nvme_async_event_work(NvmeId(id)) };

/// `nvme_init_ctrl()`: the transport's operations, and what a controller leaves to workers. The transport adds
/// works of its own.
pub(super) fn nvme_init_ctrl(k: &mut Kernel, id: NvmeId, ops: NvmeCtrlOps) {
    let scan_work = __init_work(k, SCAN_WORK, id.0);
    let async_event_work = __init_work(k, ASYNC_EVENT_WORK, id.0);
    let ctrl = dm(k, id);
    ctrl.ops = Some(ops);
    (ctrl.scan_work, ctrl.async_event_work) = (scan_work, async_event_work);
}

/// `mutex_lock(&dev->shutdown_lock)`.
#[kframe("kernel/locking/mutex.c", part)]
pub(super) fn lock_shutdown(k: &mut Kernel, id: NvmeId) {
    wait_until!(!d(k, id).shutdown_lock.is_locked(), d(k, id).state_wq());
    let owner = k.cur.task;
    dm(k, id).shutdown_lock.lock(owner);
}

/// `mutex_unlock(&dev->shutdown_lock)`.
pub(super) fn unlock_shutdown(k: &mut Kernel, id: NvmeId) {
    dm(k, id).shutdown_lock.unlock();
    let on = d(k, id).state_wq();
    k.wake(on);
}

// Commands.

/// What a synchronous command came to: `Err` of an errno, or a status and a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sync(i64);

impl kstate::sched::Slot for Sync {
    fn to_slot(self) -> u64 {
        self.0 as u64
    }
    fn from_slot(slot: u64) -> Self {
        Self(slot as i64)
    }
}

impl Sync {
    fn done(status: u16, result: u32) -> Self {
        Self(i64::from(status) << 32 | i64::from(result))
    }
    /// What the C function returns: negative for an errno, positive for a status, 0 for success.
    pub fn ret(self) -> i32 {
        if self.0 < 0 { self.0 as i32 } else { (self.0 >> 32) as i32 }
    }
    /// The command's result.
    pub fn result(self) -> u32 {
        self.0 as u32
    }
    /// Success, or the errno that a status above zero becomes.
    ///
    /// # Errors
    /// The errno, `EIO` for a status.
    pub fn ok(self) -> Result<u32, Errno> {
        match self.ret() {
            0 => Ok(self.result()),
            e if e < 0 => Err(Errno::from_number(-e).unwrap_or(Errno::EIO)),
            _ => Err(Errno::EIO),
        }
    }
}

/// `__nvme_submit_sync_cmd()`: sends an admin command and sleeps until it is complete.
#[kframe("drivers/nvme/host/core.c")]
pub fn nvme_submit_sync_cmd(
    k: &mut Kernel,
    id: NvmeId,
    opcode: u8,
    nsid: u32,
    cdw10: u32,
    cdw11: u32,
) -> Sync {
    let Some(q) = d(k, id).admin_q else { return Sync(i64::from(Errno::ENODEV.code())) };
    let admin_q: QueueId = q;
    let got: Result<ReqId, Errno> = call!(blk_mq::blk_mq_alloc_request(admin_q, ReqOp::Drv, false));
    let rq: ReqId = got.unwrap_or_default();
    if let Err(e) = got {
        return Sync(i64::from(e.code()));
    }
    k.blk.requests[rq].cmd = NvmeCommand { opcode, nsid, cdw10, cdw11, ..NvmeCommand::default() };
    call!(blk_exec::blk_execute_rq(rq, false));
    let Some(request) = k.blk.requests.get(rq) else { return Sync(i64::from(Errno::EINTR.code())) };
    let answer = match request.status {
        NVME_SC_HOST_PATH_ERROR | NVME_SC_HOST_ABORTED_CMD => Sync(i64::from(Errno::EINTR.code())),
        u16::MAX => Sync(i64::from(Errno::EIO.code())),
        status => Sync::done(status, request.result as u32),
    };
    blk_mq::blk_mq_free_request(k, rq);
    answer
}

/// `nvme_complete_rq()`: a request that failed without a reason to give up is tried again.
pub fn nvme_complete_rq(k: &mut Kernel, rq: ReqId) {
    let request = &mut k.blk.requests[rq];
    let (q, status) = (request.q, request.status);
    let again = status != 0
        && status & hw::status::DNR == 0
        && request.op != ReqOp::Drv
        && request.retries < NVME_MAX_RETRIES;
    if again && !k.blk.q(q).dying {
        let request = &mut k.blk.requests[rq];
        request.retries += 1;
        request.status = 0;
        blk_mq::blk_mq_requeue_request(k, rq);
        return;
    }
    blk_mq::blk_mq_end_request(k, rq);
}

/// `nvme_cancel_tagset()`: fails what is still with the device, and waits for the completions.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_cancel_tagset(k: &mut Kernel, set: TagSetId) {
    let status = match k.sem.nvme_probe {
        NvmeProbe::ByResetWork => NVME_SC_HOST_PATH_ERROR,
        NvmeProbe::Synchronous => NVME_SC_HOST_ABORTED_CMD,
    };
    for rq in blk_mq_tag::blk_mq_tagset_busy_iter(k, set) {
        k.blk.requests[rq].status = status;
        blk_mq::blk_mq_complete_request(k, rq);
    }
    call!(blk_mq_tag::blk_mq_tagset_wait_completed_request(set));
}

/// `nvme_complete_async_event()`.
pub fn nvme_complete_async_event(k: &mut Kernel, id: NvmeId, status: u16) {
    if status >> 1 == 0 {
        let work = d(k, id).async_event_work;
        queue_work(k, &NVME_WQ, work);
    }
}

#[kframe("drivers/nvme/host/core.c")]
fn nvme_async_event_work(k: &mut Kernel, id: NvmeId) {
    // 6.12 leaves the queue alone unless the controller is live.
    if k.sem.nvme_probe == NvmeProbe::ByResetWork || d(k, id).state == NvmeCtrlState::Live {
        (ops(k, id).submit_async_event)(k, id);
    }
}

// Enabling and disabling.

/// `nvme_wait_ready()`: looks at CSTS until the bits of `mask` are `val`.
///
/// # Errors
/// `ENODEV` after `timeout` nanoseconds.
#[kframe("drivers/nvme/host/core.c")]
fn nvme_wait_ready(k: &mut Kernel, id: NvmeId, mask: u32, val: u32, timeout: u64) -> Result<(), Errno> {
    let deadline: u64 = k.events.now + timeout;
    while (ops(k, id).reg_read32)(k, id, hw::CSTS) & mask != val {
        wait!(WaitOn::Until(k.events.now + k.sem.nvme_ready_poll_ns));
        if k.events.now > deadline {
            not_ready(k, id, mask, val);
            return Err(Errno::ENODEV);
        }
    }
    Ok(())
}

/// Tells the log what the device did not do in time.
fn not_ready(k: &mut Kernel, id: NvmeId, mask: u32, val: u32) {
    let op = match (mask, val) {
        (hw::CSTS_SHST, _) => "shutdown",
        (_, 0) => "reset",
        _ => "initialisation",
    };
    let text = match k.sem.nvme_probe {
        // There nvme_shutdown_ctrl() has a loop of its own.
        NvmeProbe::ByResetWork if op == "shutdown" => "Device shutdown incomplete; abort shutdown".to_owned(),
        NvmeProbe::ByResetWork => format!("Device not ready; aborting {op}"),
        NvmeProbe::Synchronous => {
            let csts = (ops(k, id).reg_read32)(k, id, hw::CSTS);
            format!("Device not ready; aborting {op}, CSTS=0x{csts:x}")
        }
    };
    dev_info(k, id, &text);
}

/// `nvme_disable_ctrl()`; with `shutdown` also 5.4's `nvme_shutdown_ctrl()`.
///
/// # Errors
/// `ENODEV` when the device does not follow in time.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_disable_ctrl(k: &mut Kernel, id: NvmeId, shutdown: bool) -> Result<(), Errno> {
    let dev = dm(k, id);
    dev.ctrl_config &= !hw::CC_SHN;
    if shutdown {
        dev.ctrl_config |= hw::CC_SHN_NORMAL;
    } else {
        dev.ctrl_config &= !hw::CC_EN;
    }
    let cc = dev.ctrl_config;
    (ops(k, id).reg_write32)(k, id, hw::CC, cc);
    if shutdown {
        return call!(nvme_wait_ready(id, hw::CSTS_SHST, hw::CSTS_SHST_COMPLETE, SHUTDOWN_TIMEOUT * SEC));
    }
    call!(nvme_wait_ready(id, hw::CSTS_RDY, 0, d(k, id).ready_timeout()))
}

/// `nvme_enable_ctrl()`.
///
/// # Errors
/// `ENODEV` when the device does not get ready in time.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_enable_ctrl(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    let cap = (ops(k, id).reg_read64)(k, id, hw::CAP);
    dm(k, id).cap = cap;
    // MPSMIN: the smallest page the device can do must not be above 4 KiB.
    if cap >> 48 & 0xf != 0 {
        let smallest = 1u64 << (12 + (cap >> 48 & 0xf));
        dev_info(k, id, &format!("Minimum device page size {smallest} too large for host (4096)"));
        return Err(Errno::ENODEV);
    }
    // NVM command set, 4 KiB pages, round robin, 64-byte commands and 16-byte completions.
    let config = 6 << 16 | 4 << 20;
    dm(k, id).ctrl_config = config | hw::CC_EN;
    if k.sem.nvme_probe == NvmeProbe::Synchronous {
        // First everything but the enable bit: CAP may change with it.
        (ops(k, id).reg_write32)(k, id, hw::CC, config);
        dm(k, id).cap = (ops(k, id).reg_read64)(k, id, hw::CAP);
    }
    (ops(k, id).reg_write32)(k, id, hw::CC, config | hw::CC_EN);
    call!(nvme_wait_ready(id, hw::CSTS_RDY, hw::CSTS_RDY, d(k, id).ready_timeout()))
}

// Bringing a controller up.

/// `nvme_init_identify()` of 5.4, in the order of its commands.
///
/// # Errors
/// `EIO` when the controller cannot be identified, else the command's errno.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_init_identify(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    dm(k, id).vs = (ops(k, id).reg_read32)(k, id, hw::VS);
    let answer: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, 0, CNS_CTRL, 0));
    if answer.ret() != 0 {
        dev_info(k, id, &format!("Identify Controller failed ({})", answer.ret()));
        return Err(Errno::EIO);
    }
    keep_identity(k, id);
    if hw::identify_ctrl(k, id).lpa & hw::LPA_EFFECTS != 0 {
        let log: Sync = call!(nvme_get_effects_log(id));
        if log.ret() < 0 {
            return log.ok().map(|_| ());
        }
    }
    let timestamp: Sync = call!(nvme_configure_timestamp(id));
    if timestamp.ret() < 0 {
        return timestamp.ok().map(|_| ());
    }
    dm(k, id).identified = true;
    Ok(())
}

/// `nvme_init_ctrl_finish()` of 6.12, with its `nvme_init_identify()`.
///
/// # Errors
/// `EIO` when the controller cannot be identified, else the command's errno.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_init_ctrl_finish(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    dm(k, id).vs = (ops(k, id).reg_read32)(k, id, hw::VS);
    let answer: Sync = call!(nvme_submit_sync_cmd(id, opcode::IDENTIFY, 0, CNS_CTRL, 0));
    if answer.ret() != 0 {
        dev_info(k, id, &format!("Identify Controller failed ({})", answer.ret()));
        return Err(Errno::EIO);
    }
    keep_identity(k, id);
    // The effects log is read once in a controller's life.
    let wanted = !d(k, id).identified && !d(k, id).effects;
    if wanted && hw::identify_ctrl(k, id).lpa & hw::LPA_EFFECTS != 0 {
        let log: Sync = call!(nvme_get_effects_log(id));
        if log.ret() < 0 {
            return log.ok().map(|_| ());
        }
        dm(k, id).effects = true;
    }
    let timestamp: Sync = call!(nvme_configure_timestamp(id));
    if timestamp.ret() < 0 {
        return timestamp.ok().map(|_| ());
    }
    if d(k, id).ctratt & hw::CTRATT_ELBAS != 0 {
        let host: Sync = call!(nvme_submit_sync_cmd(id, opcode::SET_FEATURES, 0, FEAT_HOST_BEHAVIOR, 0));
        if host.ret() < 0 {
            return host.ok().map(|_| ());
        }
    }
    dm(k, id).identified = true;
    Ok(())
}

fn keep_identity(k: &mut Kernel, id: NvmeId) {
    let identity = hw::identify_ctrl(k, id);
    let serial = k.hw.nvme[id.index()].serial.clone();
    let dev = dm(k, id);
    dev.oacs = identity.oacs;
    dev.oncs = identity.oncs;
    dev.oaes = identity.oaes;
    dev.ctratt = identity.ctratt;
    // The driver's own limits, 4 MiB (NVME_MAX_KB_SZ) and more, are above what MDTS says.
    dev.max_hw_sectors = 1 << (u32::from(identity.mdts) + hw::PAGE_SHIFT - 9);
    dev.abort_limit = i32::from(identity.acl) + 1;
    dev.serial = serial;
}

#[kframe("drivers/nvme/host/core.c")]
fn nvme_get_effects_log(k: &mut Kernel, id: NvmeId) -> Sync {
    call!(nvme_submit_sync_cmd(
        id,
        opcode::GET_LOG_PAGE,
        NVME_NSID_ALL,
        LOG_PAGE_NUMD << 16 | LOG_CMD_EFFECTS,
        0
    ))
}

#[kframe("drivers/nvme/host/core.c")]
fn nvme_configure_timestamp(k: &mut Kernel, id: NvmeId) -> Sync {
    if d(k, id).oncs & hw::ONCS_TIMESTAMP == 0 {
        return Sync::done(0, 0);
    }
    let answer: Sync = call!(nvme_submit_sync_cmd(id, opcode::SET_FEATURES, 0, FEAT_TIMESTAMP, 0));
    if answer.ret() != 0 {
        let instance = d(k, id).instance;
        k.pr_warn_once(format!("nvme nvme{instance}: could not set timestamp ({})", answer.ret()));
    }
    answer
}

/// `nvme_set_queue_count()`: how many of `count` I/O queues the device grants; 0 when it refuses.
///
/// # Errors
/// The command's errno.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_set_queue_count(k: &mut Kernel, id: NvmeId, count: u32) -> Result<u32, Errno> {
    let n: u32 = count - 1;
    let answer: Sync = call!(nvme_submit_sync_cmd(id, opcode::SET_FEATURES, 0, FEAT_NUM_QUEUES, n | n << 16));
    if answer.ret() < 0 {
        return answer.ok();
    }
    if answer.ret() > 0 {
        dev_info(k, id, &format!("Could not set queue count ({})", answer.ret()));
        return Ok(0);
    }
    let granted = (answer.result() & 0xffff).min(answer.result() >> 16) + 1;
    Ok(count.min(granted))
}

/// `nvme_start_ctrl()`.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_start_ctrl(k: &mut Kernel, id: NvmeId) {
    // NVME_AEN_SUPPORTED holds namespace attribute changes and what this device never announces.
    let aens: u32 = d(k, id).oaes & hw::OAES_NS_ATTR;
    if aens != 0 {
        let answer: Sync = call!(nvme_submit_sync_cmd(id, opcode::SET_FEATURES, 0, FEAT_ASYNC_EVENT, aens));
        if answer.ret() != 0 {
            dev_info(k, id, &format!("Failed to configure AEN (cfg {aens:x})"));
        }
        let work = d(k, id).async_event_work;
        queue_work(k, &NVME_WQ, work);
    }
    if d(k, id).queue_count > 1 {
        nvme_queue_scan(k, id);
        nvme_start_queues(k, id);
    }
}

/// `nvme_stop_ctrl()`.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_stop_ctrl(k: &mut Kernel, id: NvmeId) {
    call!(flush_work(d(k, id).async_event_work));
}

/// `nvme_reset_ctrl()`.
///
/// # Errors
/// `EBUSY` when the controller is neither new nor live, or a reset is queued.
pub fn nvme_reset_ctrl(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    let work = d(k, id).reset_work;
    if !nvme_change_ctrl_state(k, id, NvmeCtrlState::Resetting) || !queue_work(k, &NVME_WQ, work) {
        return Err(Errno::EBUSY);
    }
    Ok(())
}

/// `nvme_try_sched_reset()`.
///
/// # Errors
/// `EBUSY` when the controller is not being reset, or a reset is queued.
pub fn nvme_try_sched_reset(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    let work = d(k, id).reset_work;
    if d(k, id).state != NvmeCtrlState::Resetting || !queue_work(k, &NVME_WQ, work) {
        return Err(Errno::EBUSY);
    }
    Ok(())
}

/// `nvme_reset_ctrl_sync()`.
///
/// # Errors
/// `EBUSY` as above, `ENETRESET` when the controller is not live afterwards.
#[kframe("drivers/nvme/host/core.c")]
pub fn nvme_reset_ctrl_sync(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    nvme_reset_ctrl(k, id)?;
    call!(flush_work(d(k, id).reset_work));
    if d(k, id).state != NvmeCtrlState::Live {
        return Err(Errno::ENETRESET);
    }
    Ok(())
}

// Namespaces' queues.

/// `nvme_start_freeze()`.
pub(super) fn nvme_start_freeze(k: &mut Kernel, id: NvmeId) {
    dm(k, id).frozen = true;
    for q in d(k, id).ns_queues() {
        blk_mq::blk_freeze_queue_start(k, q);
    }
}

/// `nvme_wait_freeze()`.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_wait_freeze(k: &mut Kernel, id: NvmeId) {
    let i: u32 = 0;
    while (i as usize) < d(k, id).namespaces.len() {
        call!(blk_mq::blk_mq_freeze_queue_wait(d(k, id).namespaces[i as usize].queue));
        i += 1;
    }
}

/// `nvme_wait_freeze_timeout()`: waits for no longer than `timeout` nanoseconds.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_wait_freeze_timeout(k: &mut Kernel, id: NvmeId, timeout: u64) {
    let deadline: u64 = k.events.now + timeout;
    let i: u32 = 0;
    while (i as usize) < d(k, id).namespaces.len() && k.events.now < deadline {
        call!(blk_mq::blk_mq_freeze_queue_wait_timeout(d(k, id).namespaces[i as usize].queue, deadline));
        i += 1;
    }
}

/// `nvme_unfreeze()`.
pub(super) fn nvme_unfreeze(k: &mut Kernel, id: NvmeId) {
    for q in d(k, id).ns_queues() {
        blk_mq::blk_mq_unfreeze_queue(k, q);
    }
    dm(k, id).frozen = false;
}

/// `nvme_stop_queues()` (5.4), `nvme_quiesce_io_queues()` (6.12), which waits once for all queues.
#[kframe("drivers/nvme/host/core.c")]
pub(super) fn nvme_stop_queues(k: &mut Kernel, id: NvmeId) {
    dm(k, id).stopped = true;
    let together: bool = k.sem.nvme_probe == NvmeProbe::Synchronous;
    if together {
        for q in d(k, id).ns_queues() {
            k.blk.q_mut(q).quiesced = true;
        }
        if d(k, id).tagset.is_some() {
            call!(synchronize_rcu());
        }
        return;
    }
    let i: u32 = 0;
    while (i as usize) < d(k, id).namespaces.len() {
        call!(blk_mq::blk_mq_quiesce_queue(d(k, id).namespaces[i as usize].queue));
        i += 1;
    }
}

/// `nvme_start_queues()` (5.4), `nvme_unquiesce_io_queues()` (6.12).
pub(super) fn nvme_start_queues(k: &mut Kernel, id: NvmeId) {
    dm(k, id).stopped = false;
    for q in d(k, id).ns_queues() {
        blk_mq::blk_mq_unquiesce_queue(k, q);
    }
}

/// `nvme_kill_queues()` with `nvme_set_queue_dying()` (5.4), `nvme_mark_namespaces_dead()` (6.12): requests that
/// want to enter fail from now on, and who reads finds the end.
pub(super) fn nvme_kill_queues(k: &mut Kernel, id: NvmeId) {
    if let Some(q) = d(k, id).admin_q
        && !k.blk.q(q).dying
    {
        blk_mq::blk_mq_unquiesce_queue(k, q);
    }
    for q in d(k, id).ns_queues() {
        blk_core::blk_set_queue_dying(k, q);
        blk_mq::blk_mq_unquiesce_queue(k, q);
    }
    let disks: Vec<DiskId> = d(k, id).namespaces.iter().filter(|ns| !ns.removing).map(|ns| ns.disk).collect();
    for disk in disks {
        genhd::blk_mark_disk_dead(k, disk);
        if k.sem.bdev_keeps_size {
            // revalidate_disk() of a namespace that is dead.
            fops::check_disk_size_change(k, disk, false);
        }
    }
}
