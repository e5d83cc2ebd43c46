//! drivers/nvme/host/pci.c, since probing brings the controller up itself; completions are handled while
//! the queue is walked.

use kcore::base::core::dev_err_probe;
use kcore::workqueue::flush_work;
use kfn::{kfn, kframe};
use kstate::blk::{BlkMqOps, HctxType, ReqOp, RqState};
use kstate::event::Event;
use kstate::irqdesc::IrqReturn;
use kstate::nvme::NvmeCtrlState;
use kstate::printk::RATELIMIT_BURST;
use kstate::{Errno, Irq, Kernel, NvmeId, PciDevId, QueueId, ReqId, TagSetId};

use super::{
    NVME_AQ_MQ_TAG_DEPTH, NVME_QUIRK_QDEPTH_ONE, alloc_dev, irq_types, nvme_cqe_pending,
    nvme_create_io_queues, nvme_delete_queue, nvme_dev_map, nvme_dev_remove_admin, nvme_dev_unmap,
    nvme_free_queues, nvme_free_tagset, nvme_handle_cqe, nvme_pci_complete_rq,
    nvme_pci_configure_admin_queue, nvme_pci_map_queues, nvme_queue_rq, nvme_queue_rqs,
    nvme_ring_cq_doorbell, nvme_setup_irqs, nvme_suspend_io_queues, nvme_suspend_queue, nvme_update_cq_head,
    nvme_warn_reset, pci_is_enabled, q, qm, queue_request_irq, quirks, send_abort,
};
use crate::block::blk_mq;
use crate::block::blk_mq_cpumap::blk_mq_num_possible_queues;
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
    queue_rqs: Some(nvme_queue_rqs),
    ..NVME_MQ_ADMIN_OPS
};

// Completion.

/// `nvme_poll_cq()`: handles all new entries, then rings the doorbell; how many there were.
fn nvme_poll_cq(k: &mut Kernel, id: NvmeId, qid: u16) -> u32 {
    let mut found = 0;
    while let Some(cqe) = nvme_cqe_pending(k, id, qid) {
        found += 1;
        nvme_handle_cqe(k, id, qid, &cqe);
        nvme_update_cq_head(k, id, qid);
    }
    if found != 0 {
        nvme_ring_cq_doorbell(k, id, qid);
    }
    found
}

/// The body of `nvme_irq()`.
pub(super) fn nvme_irq(k: &mut Kernel, id: NvmeId, qid: u16) -> IrqReturn {
    if nvme_poll_cq(k, id, qid) != 0 { IrqReturn::Handled } else { IrqReturn::None }
}

/// Looks for completions of a polled queue.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_poll(k: &mut Kernel, queue: QueueId, hctx: u32) -> u32 {
    let id = k.nvme_of_set(k.blk.q(queue).tag_set);
    let qid = hctx as u16 + 1;
    if !q(k, id, qid).polled { 0 } else { nvme_poll_cq(k, id, qid) }
}

/// Looks for completions with the queue's interrupt held off.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_poll_irqdisable(k: &mut Kernel, id: NvmeId, qid: u16) {
    if q(k, id, qid).polled {
        k.warn_once("WARNING: at drivers/nvme/host/pci.c nvme_poll_irqdisable");
    }
    let (pdev, vector) = (d(k, id).dev, u32::from(q(k, id, qid).cq_vector));
    let irq: Irq = pcimsi::kernel::pci_irq_vector(k, pdev, vector).unwrap_or_default();
    call!(irqcore::manage::disable_irq(irq));
    nvme_poll_cq(k, id, qid);
    irqcore::manage::enable_irq(k, irq);
}

/// Takes what the I/O queues still hold once their interrupts are gone.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_reap_pending_cqes(k: &mut Kernel, id: NvmeId) {
    for qid in (1..d(k, id).queue_count as u16).rev() {
        nvme_poll_cq(k, id, qid);
    }
}

// Queues.

/// Takes `shutdown_lock` unless the controller is being disabled.
///
/// # Errors
/// `ENODEV` then.
#[kfn("drivers/nvme/host/pci.c")]
pub(super) fn nvme_setup_io_queues_trylock(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    if d(k, id).shutdown_lock.is_locked() {
        return Err(Errno::ENODEV);
    }
    if d(k, id).state != NvmeCtrlState::Connecting {
        return Err(Errno::ENODEV);
    }
    let owner = k.cur.task;
    dm(k, id).shutdown_lock.lock(owner);
    Ok(())
}

/// Deletes all submission queues, then all completion queues.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_delete_io_queues(k: &mut Kernel, id: NvmeId) {
    let done: bool = call!(__nvme_delete_io_queues(id, opcode::DELETE_SQ));
    if done {
        let _deleted: bool = call!(__nvme_delete_io_queues(id, opcode::DELETE_CQ));
    }
}

/// Sends the commands that delete all queues of one kind and waits for them, the last queue first;
/// false when they take too long.
#[kframe("drivers/nvme/host/pci.c")]
fn __nvme_delete_io_queues(k: &mut Kernel, id: NvmeId, opcode: u8) -> bool {
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

/// `nvme_alloc_admin_tag_set()`.
fn nvme_alloc_admin_tag_set(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
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
    let admin_q = blk_mq::blk_mq_init_queue(k, set);
    let dev = dm(k, id);
    dev.admin_tagset = Some(set);
    dev.admin_q = Some(admin_q);
    Ok(())
}

/// `nvme_pci_nr_maps()`.
fn nvme_pci_nr_maps(k: &Kernel, id: NvmeId) -> u32 {
    match d(k, id).io_queues {
        [_, _, poll] if poll != 0 => 3,
        [_, read, _] if read != 0 => 2,
        _ => 1,
    }
}

/// `nvme_alloc_io_tag_set()`.
fn nvme_alloc_io_tag_set(k: &mut Kernel, id: NvmeId) {
    let maps = nvme_pci_nr_maps(k, id);
    let (queues, depth) =
        (d(k, id).queue_count - 1, (d(k, id).q_depth - 1).min(blk_mq::BLK_MQ_MAX_DEPTH - 1));
    let owner = id.driver_data(false);
    let set = blk_mq::blk_mq_alloc_tag_set(
        k,
        NVME_MQ_OPS,
        owner,
        queues,
        maps,
        depth,
        0,
        k.params.nvme_io_timeout_ns(),
    );
    dm(k, id).tagset = set.ok();
}

/// `nvme_dbbuf_set()`.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_dbbuf_set(k: &mut Kernel, id: NvmeId) {
    if !d(k, id).dbbuf {
        return;
    }
    let answer: Sync = call!(core::nvme_submit_sync_cmd(id, opcode::DBBUF, 0, 0, 0));
    if answer.ret() != 0 {
        core::dev_info(k, id, "unable to set dbbuf");
        dm(k, id).dbbuf = false;
    }
}

/// `nvme_dbbuf_dma_alloc()`.
fn nvme_dbbuf_dma_alloc(k: &mut Kernel, id: NvmeId) {
    if d(k, id).oacs & hw::OACS_DBBUF != 0 {
        dm(k, id).dbbuf = true;
    }
}

/// Asks for I/O queues, spreads the vectors again and creates the queues; starts over with fewer
/// where the device refuses some.
///
/// # Errors
/// `EIO` without vectors, `ENODEV` when the controller is being disabled, those of the commands.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_setup_io_queues(k: &mut Kernel, id: NvmeId) -> Result<(), Errno> {
    dm(k, id).nr_write_queues = k.params.nvme_write_queues;
    dm(k, id).nr_poll_queues = k.params.nvme_poll_queues;
    if k.sem.nvme_special_queues_need_maps
        && let Some(set) = d(k, id).tagset
    {
        let nr_maps = k.blk.set(set).nr_maps;
        let dev = dm(k, id);
        if nr_maps < 3 {
            dev.nr_poll_queues = 0;
        }
        if nr_maps < 2 {
            dev.nr_write_queues = 0;
        }
    }
    let wanted: u32 = nvme_max_io_queues(k, id).min(d(k, id).queues.len() as u32 - 1);
    let nr_io_queues: u32 = call!(core::nvme_set_queue_count(id, wanted))?;
    if nr_io_queues == 0 {
        return Ok(());
    }
    nvme_setup_io_queues_trylock(k, id)?;
    loop {
        let registered: bool = ::core::mem::take(&mut qm(k, id, 0).enabled);
        if registered {
            call!(pcimsi::kernel::pci_free_irq(d(k, id).dev, 0, k.nvmeq_dev_id(id, 0)));
        }
        call!(pcimsi::kernel::pci_free_irq_vectors(d(k, id).dev));
        let result: Result<u32, Errno> = call!(nvme_setup_irqs(id, nr_io_queues));
        let Ok(vectors) = result else {
            core::unlock_shutdown(k, id);
            return Err(Errno::EIO);
        };
        let ctrl = dm(k, id);
        ctrl.num_vecs = vectors;
        ctrl.max_qid = vectors.saturating_sub(1).max(1) + ctrl.io_queues[HctxType::Poll as usize];
        // Another controller may take its vectors in between.
        step!();
        if let Err(e) = queue_request_irq(k, id, 0) {
            core::unlock_shutdown(k, id);
            return Err(e);
        }
        qm(k, id, 0).enabled = true;
        core::unlock_shutdown(k, id);
        call!(nvme_create_io_queues(id))?;
        if d(k, id).online_queues < 2 {
            return Ok(());
        }
        if d(k, id).online_queues > d(k, id).max_qid {
            break;
        }
        nr_io_queues = d(k, id).online_queues - 1;
        call!(nvme_delete_io_queues(id));
        nvme_setup_io_queues_trylock(k, id)?;
        call!(nvme_suspend_io_queues(id));
    }
    let [default, read, poll] = d(k, id).io_queues;
    core::dev_info(k, id, &format!("{default}/{read}/{poll} default/read/poll queues"));
    Ok(())
}

/// `nvme_max_io_queues()`.
fn nvme_max_io_queues(k: &mut Kernel, id: NvmeId) -> u32 {
    let possible = if k.sem.queues_counted_by_mask {
        blk_mq_num_possible_queues(k, 0)
    } else {
        k.topo.possible.weight()
    };
    possible + d(k, id).nr_write_queues + d(k, id).nr_poll_queues
}

/// Tells the block layer how many queues there are now; false when the controller is being
/// disabled.
#[kframe("drivers/nvme/host/pci.c")]
fn nvme_pci_update_nr_queues(k: &mut Kernel, id: NvmeId) -> bool {
    let set: Option<TagSetId> = d(k, id).tagset;
    if set.is_none() {
        nvme_alloc_io_tag_set(k, id);
        return true;
    }
    if d(k, id).shutdown_lock.is_locked() {
        return false;
    }
    let owner = k.cur.task;
    dm(k, id).shutdown_lock.lock(owner);
    if d(k, id).online_queues == 0 {
        core::unlock_shutdown(k, id);
        return false;
    }
    call!(blk_mq::blk_mq_update_nr_hw_queues(set.unwrap_or_default(), d(k, id).online_queues - 1));
    let online = d(k, id).online_queues;
    nvme_free_queues(k, id, online);
    core::unlock_shutdown(k, id);
    true
}

/// Enables the function, allocates one vector for the time of setup, starts the admin queue.
///
/// # Errors
/// `ENOMEM` when the function cannot be enabled, and those of what follows.
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
    let result: Result<(), Errno> = vector.map(|_| ());
    if result.is_ok() {
        let cap = hw::read64(k, id, hw::CAP);
        let depth = k.params.nvme_io_queue_depth.min((cap & 0xffff) as u32 + 1);
        let depth = if quirks & NVME_QUIRK_QDEPTH_ONE != 0 { 2 } else { depth };
        let dev = dm(k, id);
        dev.cap = cap;
        dev.q_depth = depth;
        result = call!(nvme_pci_configure_admin_queue(id));
        if result.is_ok() {
            return Ok(());
        }
        call!(pcimsi::kernel::pci_free_irq_vectors(pdev));
    }
    call!(pcimsi::kernel::pci_disable_device(pdev));
    result
}

/// `nvme_pci_ctrl_is_dead()`.
fn nvme_pci_ctrl_is_dead(k: &Kernel, id: NvmeId) -> bool {
    if !pci_is_enabled(k, id) || k.pci_dev(d(k, id).dev).disconnected {
        return true;
    }
    let csts = hw::read32(k, id, hw::CSTS);
    csts & hw::CSTS_CFS != 0 || csts & hw::CSTS_RDY == 0
}

/// Takes the controller out of use: queues, interrupts, vectors, and whatever was on its way.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_dev_disable(k: &mut Kernel, id: NvmeId, shutdown: bool) {
    let state = d(k, id).state;
    let usable: bool = matches!(state, NvmeCtrlState::Live | NvmeCtrlState::Resetting);
    call!(core::lock_shutdown(id));
    let dead: bool = nvme_pci_ctrl_is_dead(k, id);
    if usable {
        if pci_is_enabled(k, id) {
            core::nvme_start_freeze(k, id);
        }
        if !dead && shutdown {
            call!(core::nvme_wait_freeze_timeout(id, k.params.nvme_io_timeout_ns()));
        }
    }
    call!(core::nvme_stop_queues(id));
    if !dead && d(k, id).queue_count > 0 {
        call!(nvme_delete_io_queues(id));
        let _disabled: Result<(), Errno> = call!(core::nvme_disable_ctrl(id, shutdown));
        call!(nvme_poll_irqdisable(id, 0));
    }
    call!(nvme_suspend_io_queues(id));
    if !d(k, id).queues.is_empty() {
        call!(nvme_suspend_queue(id, 0));
    }
    call!(pcimsi::kernel::pci_free_irq_vectors(d(k, id).dev));
    if pci_is_enabled(k, id) {
        call!(pcimsi::kernel::pci_disable_device(d(k, id).dev));
    }
    nvme_reap_pending_cqes(k, id);
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

/// Takes the controller down and brings it up again.
// DEVIATION: nvme_sync_queues() waits for time-outs that are being handled. A time-out is a request's here, and
// what is left of one goes on beside the reset.
#[kframe("drivers/nvme/host/pci.c")]
pub(in crate::nvme) fn nvme_reset_work(k: &mut Kernel, id: NvmeId) {
    let result: Result<(), Errno> = 'out: {
        if d(k, id).state != NvmeCtrlState::Resetting {
            // Its number in the enum, as C prints it.
            core::dev_info(k, id, &format!("ctrl state {} is not RESETTING", d(k, id).state as u8));
            break 'out Err(Errno::ENODEV);
        }
        if d(k, id).ctrl_config & hw::CC_EN != 0 {
            call!(nvme_dev_disable(id, false));
        }
        call!(core::lock_shutdown(id));
        let result: Result<(), Errno> = call!(nvme_pci_enable(id));
        if result.is_ok()
            && let Some(admin_q) = d(k, id).admin_q
        {
            blk_mq::blk_mq_unquiesce_queue(k, admin_q);
        }
        core::unlock_shutdown(k, id);
        if result.is_err() {
            break 'out result;
        }
        if !core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Connecting) {
            core::dev_info(k, id, "failed to mark controller CONNECTING");
            break 'out Err(Errno::EBUSY);
        }
        let result: Result<(), Errno> = call!(core::nvme_init_ctrl_finish(id));
        if result.is_err() {
            break 'out result;
        }
        nvme_dbbuf_dma_alloc(k, id);
        let result: Result<(), Errno> = call!(nvme_setup_io_queues(id));
        if result.is_err() {
            break 'out result;
        }
        if d(k, id).online_queues > 1 {
            call!(nvme_dbbuf_set(id));
            core::nvme_start_queues(k, id);
            call!(core::nvme_wait_freeze(id));
            let updated: bool = call!(nvme_pci_update_nr_queues(id));
            if !updated {
                // C's result is 0 here.
                break 'out Ok(());
            }
            core::nvme_unfreeze(k, id);
        } else {
            core::dev_info(k, id, "IO queues lost");
            core::nvme_kill_queues(k, id);
            core::nvme_start_queues(k, id);
            call!(core::nvme_remove_namespaces(id));
            nvme_free_tagset(k, id);
        }
        if !core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Live) {
            core::dev_info(k, id, "failed to mark controller live state");
            break 'out Err(Errno::ENODEV);
        }
        call!(core::nvme_start_ctrl(id));
        return;
    };
    let code = result.err().map_or(0, Errno::code);
    core::dev_info(k, id, &format!("Disabling device after reset failure: {code}"));
    core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Deleting);
    call!(nvme_dev_disable(id, true));
    core::nvme_kill_queues(k, id);
    core::nvme_start_queues(k, id);
    core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Dead);
}

/// Allocates the driver's structures.
#[kfn("drivers/nvme/host/pci.c")]
fn nvme_pci_alloc_dev(k: &mut Kernel, id: NvmeId, pdev: PciDevId) {
    let (write, poll) = (k.params.nvme_write_queues, k.params.nvme_poll_queues);
    let possible = if k.sem.queues_counted_by_mask {
        blk_mq_num_possible_queues(k, 0)
    } else {
        k.topo.possible.weight()
    };
    let queues = possible + write + poll + 1;
    alloc_dev(k, id, pdev, queues);
    let dev = dm(k, id);
    dev.nr_write_queues = write;
    dev.nr_poll_queues = poll;
}

/// Binds a controller: brings it up and waits for the first scan.
///
/// # Errors
/// `ENODEV` for a function that is no controller or does not answer, and those of the steps.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_probe(k: &mut Kernel, dev: PciDevId) -> Result<(), Errno> {
    let id: NvmeId = id_of(k, dev);
    nvme_pci_alloc_dev(k, id, dev);
    // Controllers are probed at the same time: one may have the lower number, and another the first
    // interrupt.
    step!();
    let mapped: Result<(), Errno> = nvme_dev_map(k, id);
    if let Err(e) = mapped {
        if k.sem.nvme_probe_failed_logs {
            let name = k.pci_dev(dev).name();
            dev_err_probe(k, "nvme", &name, e, "probe failed");
        }
        return mapped;
    }
    let name = k.pci_dev(dev).name();
    core::dev_info(k, id, &format!("pci function {name}"));
    let result: Result<(), Errno> = 'out_dev_unmap: {
        let result: Result<(), Errno> = call!(nvme_pci_enable(id));
        if result.is_err() {
            break 'out_dev_unmap result;
        }
        let result: Result<(), Errno> = 'out_disable: {
            let result: Result<(), Errno> = nvme_alloc_admin_tag_set(k, id);
            if result.is_err() {
                break 'out_disable result;
            }
            if !core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Connecting) {
                core::dev_info(k, id, "failed to mark controller CONNECTING");
                break 'out_disable Err(Errno::EBUSY);
            }
            let result: Result<(), Errno> = call!(core::nvme_init_ctrl_finish(id));
            if result.is_err() {
                break 'out_disable result;
            }
            nvme_dbbuf_dma_alloc(k, id);
            let result: Result<(), Errno> = call!(nvme_setup_io_queues(id));
            if result.is_err() {
                break 'out_disable result;
            }
            if d(k, id).online_queues > 1 {
                nvme_alloc_io_tag_set(k, id);
                call!(nvme_dbbuf_set(id));
            }
            if d(k, id).tagset.is_none() {
                core::dev_info(k, id, "IO queues not created");
            }
            if !core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Live) {
                core::dev_info(k, id, "failed to mark controller live state");
                break 'out_disable Err(Errno::ENODEV);
            }
            call!(core::nvme_start_ctrl(id));
            call!(flush_work(d(k, id).scan_work));
            return Ok(());
        };
        core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Deleting);
        call!(nvme_dev_disable(id, true));
        call!(nvme_dev_remove_admin(id));
        nvme_free_queues(k, id, 0);
        nvme_free_tagset(k, id);
        result
    };
    nvme_dev_unmap(k, id);
    dm(k, id).bound = false;
    if let Err(e) = result
        && k.sem.nvme_probe_failed_logs
    {
        let name = k.pci_dev(dev).name();
        dev_err_probe(k, "nvme", &name, e, "probe failed");
    }
    result
}

/// `nvme_opcode_str()` without CONFIG_NVME_VERBOSE_ERRORS.
const fn nvme_opcode_str(qid: u16) -> &'static str {
    if qid == 0 { "Admin Cmd" } else { "I/O Cmd" }
}

/// `nvme_req(req)->cmd->common.opcode`.
fn opcode_of(k: &Kernel, rq: ReqId) -> u8 {
    k.blk.requests.get(rq).map_or(0, |request| match request.op {
        ReqOp::Read => opcode::READ,
        ReqOp::Write => opcode::WRITE,
        ReqOp::Drv => request.cmd.opcode,
    })
}

/// What `nvme_timeout()` says of a request that it is going to abort.
fn aborting(k: &Kernel, rq: ReqId, qid: u16) -> String {
    let request = &k.blk.requests[rq];
    let (op, op_str) = match request.op {
        ReqOp::Read => (0, "READ"),
        ReqOp::Write => (1, "WRITE"),
        ReqOp::Drv => (34, "DRV_IN"),
    };
    format!(
        "I/O tag {tag} ({tag:04x}) opcode {opcode:#x} ({name}) QID {qid} timeout, aborting req_op:{op_str}({op}) size:{size}",
        tag = request.tag,
        opcode = opcode_of(k, rq),
        name = nvme_opcode_str(qid),
        size = u64::from(request.nr_sectors) * 512,
    )
}

/// A command takes too long: perhaps an interrupt was lost, else it is aborted, else the
/// controller is reset. True when the request has been dealt with.
#[kframe("drivers/nvme/host/pci.c")]
pub(super) fn nvme_timeout(k: &mut Kernel, rq: ReqId) -> bool {
    let Some(found) = k.nvmeq_of_rq(rq) else { return true };
    let id: NvmeId = found.0;
    let qid: u16 = found.1;
    let tag: u32 = k.blk.requests[rq].tag;
    // The device is gone: whoever waits for it is let go.
    if k.pci_dev(d(k, id).dev).disconnected {
        core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Deleting);
    }
    let disable: bool = core::nvme_state_terminal(k, id);
    if !disable {
        let resetting = matches!(d(k, id).state, NvmeCtrlState::Resetting | NvmeCtrlState::Connecting);
        if hw::read32(k, id, hw::CSTS) & hw::CSTS_CFS != 0 && !resetting {
            let csts = hw::read32(k, id, hw::CSTS);
            nvme_warn_reset(k, id, csts);
            if csts == u32::MAX {
                core::dev_info(k, id, "Does your device have a faulty power saving mode enabled?");
                let try_it = "nvme_core.default_ps_max_latency_us=0 pcie_aspm=off pcie_port_pm=off";
                core::dev_info(k, id, &format!("Try \"{try_it}\" and report a bug"));
            }
            disable = true;
        }
    }
    if !disable {
        if q(k, id, qid).polled {
            nvme_poll_cq(k, id, qid);
        } else {
            call!(nvme_poll_irqdisable(id, qid));
        }
        if k.blk.requests.get(rq).is_none_or(|r| r.state != RqState::InFlight) {
            core::dev_info(k, id, &format!("I/O tag {tag} ({tag:04x}) QID {qid} timeout, completion polled"));
            return true;
        }
        let state = d(k, id).state;
        if matches!(state, NvmeCtrlState::Connecting | NvmeCtrlState::Deleting) {
            core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Deleting);
            if k.ratelimit("nvme_timeout", RATELIMIT_BURST) {
                let line = format!("I/O tag {tag} ({tag:04x}) QID {qid} timeout, disable controller");
                core::dev_info(k, id, &line);
            }
            call!(nvme_dev_disable(id, true));
            return true;
        }
        if d(k, id).state == NvmeCtrlState::Resetting {
            return false;
        }
        let aborted = k.blk.requests.get(rq).is_none_or(|r| r.aborted);
        if qid != 0 && !aborted {
            let line = aborting(k, rq, qid);
            send_abort(k, id, qid, rq, &line);
            return false;
        }
        let name = nvme_opcode_str(qid);
        let opcode = opcode_of(k, rq);
        core::dev_info(
            k,
            id,
            &format!(
                "I/O tag {tag} ({tag:04x}) opcode {opcode:#x} ({name}) QID {qid} timeout, reset controller"
            ),
        );
    }
    if !core::nvme_change_ctrl_state(k, id, NvmeCtrlState::Resetting) {
        if core::nvme_state_terminal(k, id) {
            call!(nvme_dev_disable(id, true));
        }
        return true;
    }
    call!(nvme_dev_disable(id, false));
    if core::nvme_try_sched_reset(k, id).is_err() {
        core::nvme_start_queues(k, id);
    }
    true
}
