//! Entering a queue, and its end.
//!
//! C file: block/blk-core.c of 5.4; 6.12 has the end of a queue in block/blk-mq.c.

use kcore::workqueue::KWORKER_ROOTS;
use kfn::kframe;
use kstate::blk::RqState;
use kstate::sched::{TaskKind, WaitOn};
use kstate::{Errno, Kernel, QueueId, ReqId};

use super::blk_mq::{blk_mq_freeze_queue, blk_mq_remove_cpuhp, blk_mq_timeout_work};

/// `blk_set_queue_dying()`.
pub fn blk_set_queue_dying(k: &mut Kernel, q: QueueId) {
    k.blk.q_mut(q).dying = true;
    k.wake(WaitOn::Unfrozen(q));
}

/// `blk_cleanup_queue()` (5.4), `blk_mq_destroy_queue()` (6.12).
#[kframe("block/blk-core.c")]
pub fn blk_cleanup_queue(k: &mut Kernel, q: QueueId) {
    if k.blk.find_q(q).is_none() {
        return;
    }
    blk_set_queue_dying(k, q);
    call!(blk_mq_freeze_queue(q));
    let set = k.blk.q(q).tag_set;
    let ops = k.blk.ops(q);
    for hctx in 0..k.blk.q(q).queue_hw_ctx.len() {
        if let Some(exit_hctx) = ops.exit_hctx {
            exit_hctx(k, q, hctx as u32);
        }
        blk_mq_remove_cpuhp(k, q, hctx as u32);
    }
    k.blk.set_mut(set).tag_list.retain(|&other| other != q);
    k.blk.queues[q.index()] = None;
    // Who still has the disk open is not to find another queue under its number.
    for disk in k.blk.disks.iter_mut().flatten().filter(|disk| disk.queue == q) {
        disk.queue = QueueId(u32::MAX);
    }
    k.wake(WaitOn::Unfrozen(q));
}

/// `blk_queue_enter()`: sleeps while the queue is frozen.
#[kframe("block/blk-core.c")]
pub(super) fn blk_queue_enter(k: &mut Kernel, q: QueueId, nowait: bool) -> Result<(), Errno> {
    if nowait && k.blk.find_q(q).is_some_and(|queue| queue.mq_freeze_depth != 0) {
        return Err(Errno::EBUSY);
    }
    wait_until!(
        k.blk.find_q(q).is_none_or(|queue| queue.mq_freeze_depth == 0 || queue.dying),
        WaitOn::Unfrozen(q)
    );
    if k.blk.find_q(q).is_none_or(|queue| queue.dying) {
        return Err(Errno::ENODEV);
    }
    k.blk.q_mut(q).q_usage_counter += 1;
    Ok(())
}

pub(super) fn blk_queue_exit(k: &mut Kernel, q: QueueId) {
    let Some(queue) = k.blk.queues.get_mut(q.index()).and_then(Option::as_deref_mut) else { return };
    queue.q_usage_counter -= 1;
    if queue.q_usage_counter == 0 {
        k.wake(WaitOn::Drained(q));
    }
}

/// A request's time is up (`blk_mq_timeout_work()` on a worker).
pub fn blk_rq_timed_out_timer(k: &mut Kernel, rq: ReqId) {
    let Some(request) = k.blk.requests.get_mut(rq) else { return };
    request.timer = None;
    let q = request.q;
    if request.state == RqState::InFlight && k.blk.ops(q).timeout.is_some() {
        let cpu = k.cur.cpu;
        let cpu = if k.topo.online.contains(cpu) { cpu } else { k.topo.online.first().unwrap_or(cpu) };
        k.spawn(TaskKind::Kworker, cpu, blk_mq_timeout_work(rq).frame, KWORKER_ROOTS);
    }
}
