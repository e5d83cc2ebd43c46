//! drivers/nvme/host/pci.c, as long as probing only starts the reset work, which brings the controller
//! up (until 6.1).

use kcore::workqueue::queue_work;
use kfn::{kfn, kframe};
use kstate::blk::{BlkMqOps, HctxType};
use kstate::event::Event;
use kstate::hw::nvme::NvmeCompletion;
use kstate::irqdesc::IrqReturn;
use kstate::nvme::NvmeCtrlState;
use kstate::printk::RATELIMIT_BURST;
use kstate::{Errno, Irq, Kernel, NvmeId, PciDevId, ReqId, TagSetId};

use super::{
    NVME_AQ_MQ_TAG_DEPTH, NVME_QUIRK_QDEPTH_ONE, alloc_dev, irq_types, nvme_cqe_pending,
    nvme_create_io_queues, nvme_delete_queue, nvme_dev_map, nvme_free_queues, nvme_free_tagset,
    nvme_handle_cqe, nvme_pci_complete_rq, nvme_pci_configure_admin_queue, nvme_pci_map_queues,
    nvme_queue_rq, nvme_ring_cq_doorbell, nvme_setup_irqs, nvme_suspend_io_queues, nvme_suspend_queue,
    nvme_update_cq_head, nvme_warn_reset, pci_is_enabled, q, qm, queue_request_irq, quirks, send_abort,
};
use crate::block::blk_mq;
use crate::nvme::core::{self, Sync, d, dm};
use crate::nvme::hw::{self, id_of, opcode};

const NVME_MQ_ADMIN_OPS: BlkMqOps = BlkMqOps {
    name: "nvme_mq_admin_ops",
    queue_rq: nvme_queue_rq,
    complete: nvme_pci_complete_rq,
    map_queues: None,
    init_hctx: None,
    exit_hctx: None,
    poll: None,
    queue_rqs: None,
    timeout: Some(nvme_timeout),
};

const NVME_MQ_OPS: BlkMqOps = BlkMqOps {
    name: "nvme_mq_ops",
    map_queues: Some(nvme_pci_map_queues),
    poll: Some(nvme_poll),
    ..NVME_MQ_ADMIN_OPS
};

// Completion: the queue is walked and the doorbell rung first, then the requests are completed.

/// `nvme_process_cq()`: takes all new entries off the queue; how many are `tag`'s, or all.
fn nvme_process_cq(
    k: &mut Kernel,
    id: NvmeId,
    qid: u16,
    tag: Option<u32>,
    out: &mut Vec<NvmeCompletion>,
) -> u32 {
    let mut found = 0;
    while let Some(cqe) = nvme_cqe_pending(k, id, qid) {
        if tag.is_none_or(|tag| tag == u32::from(cqe.command_id)) {
            found += 1;
        }
        out.push(cqe);
        nvme_update_cq_head(k, id, qid);
    }
    if !out.is_empty() {
        nvme_ring_cq_doorbell(k, id, qid);
    }
    found
}

/// `nvme_complete_cqes()`.
fn nvme_complete_cqes(k: &mut Kernel, id: NvmeId, qid: u16, cqes: &[NvmeCompletion]) {
    for cqe in cqes {
        nvme_handle_cqe(k, id, qid, cqe);
    }
}

/// The body of `nvme_irq()`. An interrupt that finds nothing new counts as handled when somebody
/// else has taken its completions since the last one.
pub(super) fn nvme_irq(k: &mut Kernel, id: NvmeId, qid: u16) -> IrqReturn {
    let queue = q(k, id, qid);
    let taken = queue.cq_head != queue.last_cq_head;
    let mut cqes = Vec::new();
    nvme_process_cq(k, id, qid, None, &mut cqes);
    let queue = qm(k, id, qid);
    queue.last_cq_head = queue.cq_head;
    nvme_complete_cqes(k, id, qid, &cqes);
    if !cqes.is_empty() || taken { IrqReturn::Handled } else { IrqReturn::None }
}

/// Looks for completions of a polled queue.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_poll(k: &mut Kernel, queue: kstate::QueueId, hctx: u32) -> u32 {
    let id = k.nvme_of_set(k.blk.q(queue).tag_set);
    let mut cqes = Vec::new();
    let found = nvme_process_cq(k, id, hctx as u16 + 1, None, &mut cqes);
    nvme_complete_cqes(k, id, hctx as u16 + 1, &cqes);
    found
}

/// Looks for completions with the queue's interrupt held off; how many are `tag`'s, or all.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_poll_irqdisable(k: &mut Kernel, id: NvmeId, qid: u16, tag: Option<u32>) -> u32 {
    let polled: bool = q(k, id, qid).polled;
    if !polled {
        let irq: Irq = vector_irq(k, id, qid).unwrap_or_default();
        call!(irqcore::manage::disable_irq(irq));
    }
    let mut cqes = Vec::new();
    let found = nvme_process_cq(k, id, qid, tag, &mut cqes);
    if !polled && let Ok(line) = vector_irq(k, id, qid) {
        irqcore::manage::enable_irq(k, line);
    }
    nvme_complete_cqes(k, id, qid, &cqes);
    found
}

fn vector_irq(k: &mut Kernel, id: NvmeId, qid: u16) -> Result<Irq, Errno> {
    let (pdev, vector) = (d(k, id).dev, u32::from(q(k, id, qid).cq_vector));
    pcimsi::kernel::pci_irq_vector(k, pdev, vector)
}

// Queues.

/// Deletes all submission queues, then all completion queues.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_disable_io_queues(k: &mut Kernel, id: NvmeId) {
    let done: bool = call!(__nvme_disable_io_queues(id, opcode::DELETE_SQ));
    if done {
        let _deleted: bool = call!(__nvme_disable_io_queues(id, opcode::DELETE_CQ));
    }
}

/// Sends the commands that delete all queues of one kind and waits for them, the last queue first;
/// false when they take too long.
#[kframe("drivers/nvme/host/pci.c")]
fn __nvme_disable_io_queues(k: &mut Kernel, id: NvmeId, opcode: u8) -> bool {
    let nr_queues: u32 = d(k, id).online_queues.saturating_sub(1);
    let sent: u32 = 0;
    loop {
        while nr_queues > 0 {
            if nvme_delete_queue(k, id, nr_queues as u16, opcode).is_err() {
                break;
            }
            nr_queues -= 1;
            sent += 1;
        }
        let deadline: u64 = k.events.now + k.params.nvme_admin_timeout_ns();
        let timeout = Event::WakeOn(d(k, id).delete_done());
        k.events.push(k.params.nvme_admin_timeout_ns(), timeout);
        let again: bool = false;
        while sent > 0 && !again {
            let qid: u16 = (nr_queues + sent) as u16;
            wait_until!(q(k, id, qid).delete_done || k.events.now >= deadline, d(k, id).delete_done());
            if !q(k, id, qid).delete_done {
                return false;
            }
            if opcode == opcode::DELETE_CQ && !q(k, id, qid).delete_error {
                let _found: u32 = call!(nvme_poll_irqdisable(id, qid, None));
            }
            sent -= 1;
            again = nr_queues > 0;
        }
        let timeout = Event::WakeOn(d(k, id).delete_done());
        k.events.cancel_all(|event| *event == timeout);
        if !again {
            break;
        }
    }
    true
}

/// Disables the controller and takes what the admin queue still holds.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_disable_admin_queue(k: &mut Kernel, id: NvmeId, shutdown: bool) {
    let _disabled: Result<(), Errno> = call!(core::nvme_disable_ctrl(id, shutdown));
    let _found: u32 = call!(nvme_poll_irqdisable(id, 0, None));
}

/// Makes the admin queue usable by the block layer.
///
/// # Errors
/// Those of allocating its tags.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_alloc_admin_tags(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    if let Some(admin_q) = d(k, id).admin_q {
        blk_mq::blk_mq_unquiesce_queue(k, admin_q);
        return Ok(());
    }
    let (owner, depth) = (id.driver_data(true), NVME_AQ_MQ_TAG_DEPTH);
    let set = blk_mq::blk_mq_alloc_tag_set(
        k,
        NVME_MQ_ADMIN_OPS,
        owner,
        1,
        1,
        depth,
        0,
        k.params.nvme_admin_timeout_ns(),
    )?;
    dm(k, id).admin_tagset = Some(set);
    let admin_q = blk_mq::blk_mq_init_queue(k, set);
    dm(k, id).admin_q = Some(admin_q);
    Ok(())
}

/// Asks for I/O queues, spreads the vectors again and creates the queues; starts over with fewer
/// where the device refuses some.
///
/// # Errors
/// `EIO` without vectors, and those of the commands.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_setup_io_queues(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    // DEVIATION: C goes by max_io_queues() alone, and writes behind the queues that it allocated where more are asked
    // for since.
    let wanted: u32 = max_io_queues(k).min(d(k, id).queues.len() as u32 - 1);
    let nr_io_queues: u32 = call!(core::nvme_set_queue_count(id, wanted))?;
    if nr_io_queues == 0 {
        return Ok(());
    }
    qm(k, id, 0).enabled = false;
    loop {
        call!(pcimsi::kernel::pci_free_irq(d(k, id).dev, 0, k.nvmeq_dev_id(id, 0)));
        call!(pcimsi::kernel::pci_free_irq_vectors(d(k, id).dev));
        let result: Result<u32, Errno> = call!(nvme_setup_irqs(id, nr_io_queues));
        let Ok(vectors) = result else { return Err(Errno::EIO) };
        let ctrl = dm(k, id);
        ctrl.num_vecs = vectors;
        ctrl.max_qid = vectors.saturating_sub(1).max(1) + ctrl.io_queues[HctxType::Poll as usize];
        // Another controller may take its vectors in between.
        step!();
        queue_request_irq(k, id, 0)?;
        qm(k, id, 0).enabled = true;
        call!(nvme_create_io_queues(id))?;
        if d(k, id).online_queues < 2 {
            return Ok(());
        }
        if d(k, id).online_queues > d(k, id).max_qid {
            break;
        }
        nr_io_queues = d(k, id).online_queues - 1;
        call!(nvme_disable_io_queues(id));
        call!(nvme_suspend_io_queues(id));
    }
    let [default, read, poll] = d(k, id).io_queues;
    core::dev_info(k, id, &format!("{default}/{read}/{poll} default/read/poll queues"));
    Ok(())
}

/// `max_io_queues()`.
fn max_io_queues(k: &Kernel) -> u32 {
    let extra = k.params.nvme_write_queues.saturating_add(k.params.nvme_poll_queues);
    k.topo.possible.weight().saturating_add(extra).min(u32::from(u16::MAX) - 1)
}

/// Gives the I/O queues to the block layer, or tells it how many there are now.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_dev_add(k: &mut Kernel, id: NvmeId) {
    let known: Option<TagSetId> = d(k, id).tagset;
    if known.is_none() {
        let dev = d(k, id);
        let nr_maps = if dev.io_queues[2] != 0 { 3 } else { 2 };
        let (queues, depth) = (dev.online_queues - 1, dev.q_depth.min(blk_mq::BLK_MQ_MAX_DEPTH) - 1);
        let owner = id.driver_data(false);
        match blk_mq::blk_mq_alloc_tag_set(
            k,
            NVME_MQ_OPS,
            owner,
            queues,
            nr_maps,
            depth,
            0,
            k.params.nvme_io_timeout_ns(),
        ) {
            Ok(tagset) => dm(k, id).tagset = Some(tagset),
            Err(e) => {
                core::dev_info(k, id, &format!("IO queues tagset allocation failed {}", e.code()));
                return;
            }
        }
    } else {
        let set: TagSetId = known.unwrap_or_default();
        call!(blk_mq::blk_mq_update_nr_hw_queues(set, d(k, id).online_queues - 1));
        let online = d(k, id).online_queues;
        nvme_free_queues(k, id, online);
    }
    if d(k, id).dbbuf {
        let answer: Sync = call!(core::nvme_submit_sync_cmd(id, opcode::DBBUF, 0, 0, 0));
        if answer.ret() != 0 {
            core::dev_info(k, id, "unable to set dbbuf");
            dm(k, id).dbbuf = false;
        }
    }
}

/// Enables the function and allocates one vector for the time of setup.
///
/// # Errors
/// `ENOMEM` when the function cannot be enabled, and those of allocating the vector.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_pci_enable(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    let pdev: PciDevId = d(k, id).dev;
    if pcimsi::kernel::pci_enable_device_mem(k, pdev).is_err() {
        return Err(Errno::ENOMEM);
    }
    pcimsi::kernel::pci_set_master(k, pdev);
    let quirks: u32 = quirks::detect_dynamic_quirks(k, id);
    let vector: Result<u32, Errno> =
        call!(pcimsi::kernel::pci_alloc_irq_vectors(k, pdev, 1, 1, irq_types(quirks)));
    vector?;
    let cap = hw::read64(k, id, hw::CAP);
    let depth = k.params.nvme_io_queue_depth.min((cap & 0xffff) as u32 + 1);
    let depth = if quirks & NVME_QUIRK_QDEPTH_ONE != 0 { 2 } else { depth };
    let dev = dm(k, id);
    dev.cap = cap;
    dev.q_depth = depth;
    Ok(())
}

/// Frees the vectors and disables the function.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_pci_disable(k: &mut Kernel, id: NvmeId) {
    call!(pcimsi::kernel::pci_free_irq_vectors(d(k, id).dev));
    if pci_is_enabled(k, id) {
        call!(pcimsi::kernel::pci_disable_device(d(k, id).dev));
    }
}

/// Takes the controller out of use: queues, interrupts, vectors, and whatever was on its way.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_dev_disable(k: &mut Kernel, id: NvmeId, shutdown: bool) {
    call!(core::lock_shutdown(id));
    let dead: bool = true;
    let freeze: bool = false;
    if pci_is_enabled(k, id) {
        let csts = hw::read32(k, id, hw::CSTS);
        if matches!(d(k, id).state, NvmeCtrlState::Live | NvmeCtrlState::Resetting) {
            freeze = true;
            core::nvme_start_freeze(k, id);
        }
        dead = csts & hw::CSTS_CFS != 0 || csts & hw::CSTS_RDY == 0;
    }
    if !dead && shutdown && freeze {
        call!(core::nvme_wait_freeze_timeout(id, k.params.nvme_io_timeout_ns()));
    }
    call!(core::nvme_stop_queues(id));
    if !dead && d(k, id).queue_count > 0 {
        call!(nvme_disable_io_queues(id));
        call!(nvme_disable_admin_queue(id, shutdown));
    }
    call!(nvme_suspend_io_queues(id));
    if !d(k, id).queues.is_empty() {
        call!(nvme_suspend_queue(id, 0));
    }
    call!(nvme_pci_disable(id));
    let set: Option<TagSetId> = d(k, id).tagset;
    if set.is_some() {
        call!(core::nvme_cancel_tagset(set.unwrap_or_default()));
    }
    let admin: Option<TagSetId> = d(k, id).admin_tagset;
    if admin.is_some() {
        call!(core::nvme_cancel_tagset(admin.unwrap_or_default()));
    }
    if shutdown {
        core::nvme_start_queues(k, id);
        if let Some(admin_q) = d(k, id).admin_q {
            blk_mq::blk_mq_unquiesce_queue(k, admin_q);
        }
    }
    core::unlock_shutdown(k, id);
}

/// Brings the controller up, after taking it down when it is up.
// DEVIATION: nvme_sync_queues() waits for time-outs that are being handled. A time-out is a request's here, and
// what is left of one goes on beside the reset.
#[kframe("drivers/nvme/host/pci.c")]
pub(in crate::nvme) fn nvme_reset_work(k: &mut Kernel, id: NvmeId) {
    let result: Result<(), Errno> = 'out: {
        if d(k, id).state != NvmeCtrlState::Resetting {
            k.warn("WARNING: at drivers/nvme/host/pci.c nvme_reset_work");
            break 'out Err(Errno::ENODEV);
        }
        if d(k, id).ctrl_config & hw::CC_EN != 0 {
            call!(nvme_dev_disable(id, false));
        }
        call!(core::lock_shutdown(id));
        let result: Result<(), Errno> = 'out_unlock: {
            let result: Result<(), Errno> = call!(nvme_pci_enable(id));
            if result.is_err() {
                break 'out_unlock result;
            }
            let result: Result<(), Errno> = call!(nvme_pci_configure_admin_queue(id));
            if result.is_err() {
                break 'out_unlock result;
            }
            nvme_alloc_admin_tags(k, id)
        };
        core::unlock_shutdown(k, id);
        if result.is_err() {
            break 'out result;
        }
        if !core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Connecting) {
            core::dev_info(k, id, "failed to mark controller CONNECTING");
            break 'out Err(Errno::EBUSY);
        }
        let result: Result<(), Errno> = call!(core::nvme_init_identify(id));
        if result.is_err() {
            break 'out result;
        }
        if d(k, id).oacs & hw::OACS_DBBUF != 0 {
            dm(k, id).dbbuf = true;
        }
        let result: Result<(), Errno> = call!(nvme_setup_io_queues(id));
        if result.is_err() {
            break 'out result;
        }
        if d(k, id).online_queues < 2 {
            core::dev_info(k, id, "IO queues not created");
            core::nvme_kill_queues(k, id);
            call!(core::nvme_remove_namespaces(id));
            nvme_free_tagset(k, id);
        } else {
            core::nvme_start_queues(k, id);
            call!(core::nvme_wait_freeze(id));
            call!(nvme_dev_add(id));
            core::nvme_unfreeze(k, id);
        }
        if !core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Live) {
            core::dev_info(k, id, "failed to mark controller live state");
            break 'out Err(Errno::ENODEV);
        }
        call!(core::nvme_start_ctrl(id));
        return;
    };
    let code = result.err().map_or(0, Errno::code);
    core::dev_info(k, id, &format!("Removing after probe failure status: {code}"));
    call!(nvme_remove_dead_ctrl(id));
}

/// `nvme_remove_dead_ctrl()`: gives up; a worker unbinds the driver.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_remove_dead_ctrl(k: &mut Kernel, id: NvmeId) {
    core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Deleting);
    call!(nvme_dev_disable(id, false));
    core::nvme_kill_queues(k, id);
    let work = d(k, id).remove_work;
    queue_work(k, &core::NVME_WQ, work);
}

/// `nvme_remove_dead_ctrl_work()`.
#[kframe("drivers/nvme/host/pci.c")]
pub(in crate::nvme) fn nvme_remove_dead_ctrl_work(k: &mut Kernel, id: NvmeId) {
    if d(k, id).drvdata {
        call!(kcore::base::dd::device_release_driver(d(k, id).dev));
    }
}

/// Binds a controller: everything but the registers is left to the reset work.
///
/// # Errors
/// `ENODEV` for a function that is no controller.
// DEVIATION: nvme_async_probe() is there for those who wait for all probes, and itself waits for the reset and
// the scan. Here whoever boots waits for everything, and nobody else waits for probes.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let id = id_of(k, dev);
    if k.pci_dev(dev).node < 0 {
        // The first node with memory; from now on it is the device's.
        k.pci_dev_mut(dev).node = 0;
    }
    let nr_queues = 1 + max_io_queues(k);
    alloc_dev(k, id, dev, nr_queues);
    nvme_dev_map(k, id)?;
    let name = k.pci_dev(dev).name();
    core::dev_info(k, id, &format!("pci function {name}"));
    core::nvme_reset_ctrl(k, id)?;
    Ok(())
}

/// A command takes too long: perhaps an interrupt was lost, else it is aborted, else the
/// controller is reset. True when the request has been dealt with.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_timeout(k: &mut Kernel, rq: ReqId) -> bool {
    let Some(found) = k.nvmeq_of_rq(rq) else { return true };
    let id: NvmeId = found.0;
    let qid: u16 = found.1;
    let tag: u32 = k.blk.requests[rq].tag;
    let resetting = matches!(d(k, id).state, NvmeCtrlState::Resetting | NvmeCtrlState::Connecting);
    if hw::read32(k, id, hw::CSTS) & hw::CSTS_CFS != 0 && !resetting {
        let csts = hw::read32(k, id, hw::CSTS);
        nvme_warn_reset(k, id, csts);
        call!(nvme_dev_disable(id, false));
        let _ = core::nvme_reset_ctrl(k, id);
        return true;
    }
    let found_it: u32 = call!(nvme_poll_irqdisable(id, qid, Some(tag)));
    if found_it != 0 {
        core::dev_info(k, id, &format!("I/O {tag} QID {qid} timeout, completion polled"));
        return true;
    }
    let state = d(k, id).state;
    if matches!(state, NvmeCtrlState::Connecting | NvmeCtrlState::Deleting) {
        core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Deleting);
        if k.ratelimit("nvme_timeout", RATELIMIT_BURST) {
            core::dev_info(k, id, &format!("I/O {tag} QID {qid} timeout, disable controller"));
        }
        call!(nvme_dev_disable(id, true));
        return true;
    }
    if d(k, id).state == NvmeCtrlState::Resetting {
        return false;
    }
    let aborted = k.blk.requests.get(rq).is_none_or(|r| r.aborted);
    if qid == 0 || aborted {
        core::dev_info(k, id, &format!("I/O {tag} QID {qid} timeout, reset controller"));
        call!(nvme_dev_disable(id, false));
        let _ = core::nvme_reset_ctrl(k, id);
        return true;
    }
    send_abort(k, id, qid, rq, &format!("I/O {tag} QID {qid} timeout, aborting"));
    false
}
