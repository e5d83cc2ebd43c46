//! The multi-queue block layer: tag sets, queues, dispatch, completion, and what it does when a CPU goes.
//!
//! C file: block/blk-mq.c of 5.4 and 6.12.

use kcore::cpu::{
    cpuhp_setup_state_multi, cpuhp_setup_state_nocalls, cpuhp_state_add_instance_nocalls,
    cpuhp_state_remove_instance_nocalls,
};
use kcore::rcu::tree::synchronize_rcu;
use kcore::sched::core::cpus_share_cache;
use kcore::sched::isolation::cpu_is_isolated;
use kcore::workqueue::KWORKER_ROOTS;
use kfn::kframe;
use kstate::blk::{
    BlkMqOps, BlkStatus, HCTX_MAX_TYPES, HctxType, HwCtx, QueueMap, ReqOp, Request, RequestQueue, RqState,
    TagSet, Tags, fill_slot,
};
use kstate::event::Event;
use kstate::hotplug::{CpuhpCall, CpuhpCallback, CpuhpNode, CpuhpState};
use kstate::hw::nvme::NvmeCommand;
use kstate::sched::{Call, TaskKind, WaitOn};
use kstate::{CpuId, CpuMask, Errno, Kernel, QueueId, ReqId, TagSetId};

use super::MSEC;
use super::blk_core::{blk_queue_enter, blk_queue_exit};
use super::blk_mq_cpumap::{blk_mq_clear_mq_map, blk_mq_map_queues};
use super::blk_mq_tag::blk_mq_get_tag;
use super::blk_softirq::{blk_softirq_cpu_dead, raise_blk_irq};
use super::blk_timeout::blk_add_timer;

/// `BLK_MQ_RESOURCE_DELAY`.
const BLK_MQ_RESOURCE_DELAY: u64 = 3 * MSEC;

/// `BLK_MQ_MAX_DEPTH`.
pub const BLK_MQ_MAX_DEPTH: u32 = 10240;

/// A status that no device reports: the block layer or the driver failed the request.
const STATUS_FAILED: u16 = u16::MAX;

/// `blk_mq_alloc_tag_set()`. `timeout` is in nanoseconds, 0 for none.
///
/// # Errors
/// `EINVAL` for no hardware queues, no tags, too many maps.
pub fn blk_mq_alloc_tag_set(
    k: &mut Kernel,
    ops: BlkMqOps,
    driver_data: u64,
    nr_hw_queues: u32,
    nr_maps: u32,
    queue_depth: u32,
    reserved_tags: u32,
    timeout: u64,
) -> Result<TagSetId, Errno> {
    if nr_hw_queues == 0 || queue_depth == 0 || queue_depth < reserved_tags + 1 {
        return Err(Errno::EINVAL);
    }
    let nr_maps = nr_maps.max(1);
    if nr_maps as usize > HCTX_MAX_TYPES {
        return Err(Errno::EINVAL);
    }
    let queue_depth = queue_depth.min(BLK_MQ_MAX_DEPTH);
    let nr_hw_queues = if nr_maps == 1 { nr_hw_queues.min(k.topo.nr_cpu_ids) } else { nr_hw_queues };
    let mut map: [QueueMap; HCTX_MAX_TYPES] = Default::default();
    for map in map.iter_mut().take(nr_maps as usize) {
        map.mq_map = vec![0; k.topo.nr_cpu_ids as usize].into();
        map.nr_queues = nr_hw_queues;
    }
    let set = TagSet {
        ops,
        driver_data,
        map,
        nr_maps,
        nr_hw_queues,
        queue_depth,
        reserved_tags,
        timeout,
        tags: Vec::new(),
        tag_list: Vec::new(),
    };
    let id = TagSetId(fill_slot(&mut k.blk.tag_sets, set));
    blk_mq_update_queue_map(k, id);
    blk_mq_realloc_tag_set_tags(k, id);
    Ok(id)
}

/// `blk_mq_realloc_tag_set_tags()`: every hardware queue has its tags.
fn blk_mq_realloc_tag_set_tags(k: &mut Kernel, set: TagSetId) {
    let set = k.blk.set_mut(set);
    let fresh = Tags { nr_tags: set.queue_depth, nr_reserved_tags: set.reserved_tags, ..Tags::default() };
    set.tags.resize(set.nr_hw_queues as usize, fresh);
}

fn blk_mq_update_queue_map(k: &mut Kernel, set: TagSetId) {
    let s = k.blk.set_mut(set);
    if s.nr_maps == 1 {
        s.map[0].nr_queues = s.nr_hw_queues;
    }
    match s.ops.map_queues {
        Some(map_queues) => {
            for map in &mut s.map {
                blk_mq_clear_mq_map(map);
            }
            map_queues(k, set);
        }
        None => blk_mq_map_queues(k, set, 0),
    }
}

/// `blk_mq_free_tag_set()`.
pub fn blk_mq_free_tag_set(k: &mut Kernel, set: TagSetId) {
    if let Some(slot) = k.blk.tag_sets.get_mut(set.index()) {
        *slot = None;
    }
}

/// `blk_mq_init_queue()` (5.4), `blk_mq_alloc_queue()` (6.12).
pub fn blk_mq_init_queue(k: &mut Kernel, set: TagSetId) -> QueueId {
    let queue = RequestQueue { tag_set: set, ..RequestQueue::default() };
    let id = QueueId(fill_slot(&mut k.blk.queues, queue));
    blk_mq_realloc_hw_ctxs(k, id);
    k.blk.set_mut(set).tag_list.push(id);
    blk_mq_map_swqueue(k, id);
    id
}

fn blk_mq_realloc_hw_ctxs(k: &mut Kernel, q: QueueId) {
    let set = k.blk.q(q).tag_set;
    let (ops, wanted) = (k.blk.set(set).ops, k.blk.set(set).nr_hw_queues);
    let have = k.blk.q(q).queue_hw_ctx.len() as u32;
    // Kernels with BLK_MQ_S_INACTIVE initialize every queue again, and blk_mq_init_hctx() clears the bit.
    for hctx in k.blk.q_mut(q).queue_hw_ctx.iter_mut().take(wanted as usize) {
        hctx.inactive = false;
    }
    for i in have..wanted {
        k.blk.q_mut(q).queue_hw_ctx.push(HwCtx { queue_num: i, ..HwCtx::default() });
        if let Some(init_hctx) = ops.init_hctx {
            init_hctx(k, q, i);
        }
        __blk_mq_add_cpuhp(k, q, i);
    }
    for i in (wanted..have).rev() {
        if let Some(exit_hctx) = ops.exit_hctx {
            exit_hctx(k, q, i);
        }
        blk_mq_remove_cpuhp(k, q, i);
        k.blk.q_mut(q).queue_hw_ctx.pop();
    }
}

/// `blk_mq_map_swqueue()`: which CPUs submit to which hardware queue. Where isolated CPUs are taken
/// out of the mask they still submit; only the queue's own work stays away from them.
fn blk_mq_map_swqueue(k: &mut Kernel, q: QueueId) {
    let set = k.blk.q(q).tag_set;
    for hctx in &mut k.blk.q_mut(q).queue_hw_ctx {
        hctx.cpumask = CpuMask::new();
        hctx.nr_ctx = 0;
    }
    for cpu in k.topo.possible.clone().iter() {
        for ty in HctxType::ALL.into_iter().take(k.blk.set(set).nr_maps as usize) {
            let map = &k.blk.set(set).map[ty as usize];
            if map.nr_queues == 0 {
                continue;
            }
            let index = map.mq_map[cpu.index()] as usize;
            let Some(hctx) = k.blk.q_mut(q).queue_hw_ctx.get_mut(index) else { continue };
            if hctx.cpumask.contains(cpu) {
                continue;
            }
            hctx.cpumask.set(cpu);
            hctx.ty = ty;
            hctx.nr_ctx += 1;
        }
    }
    for hctx in &mut k.blk.q_mut(q).queue_hw_ctx {
        hctx.mapped_cpus.clone_from(&hctx.cpumask);
    }
    if k.sem.hctx_skips_isolated_cpus {
        let housekeeping: CpuMask = k.topo.possible.iter().filter(|&cpu| !cpu_is_isolated(k, cpu)).collect();
        for hctx in &mut k.blk.q_mut(q).queue_hw_ctx {
            hctx.cpumask.and_assign(&housekeeping);
        }
    }
}

/// `blk_mq_map_queue_type()`, block/blk-mq.h, with the types that have no queues folded into the default one.
fn blk_mq_map_queue_type(k: &Kernel, q: QueueId, ty: HctxType, cpu: CpuId) -> u32 {
    let set = k.blk.set(k.blk.q(q).tag_set);
    let usable = (ty as u32) < set.nr_maps && set.map[ty as usize].nr_queues != 0;
    let ty = if usable { ty } else { HctxType::Default };
    set.map[ty as usize].mq_map.get(cpu.index()).copied().unwrap_or(0)
}

/// `blk_mq_update_nr_hw_queues()`.
#[kframe("block/blk-mq.c")]
pub fn blk_mq_update_nr_hw_queues(k: &mut Kernel, set: TagSetId, nr_hw_queues: u32) {
    let nr: u32 =
        if k.blk.set(set).nr_maps == 1 { nr_hw_queues.min(k.topo.nr_cpu_ids) } else { nr_hw_queues };
    // 6.12 maps again in any case when there are several maps.
    let same = nr == k.blk.set(set).nr_hw_queues;
    if nr < 1 || same && (k.blk.set(set).nr_maps == 1 || !k.sem.same_nr_hw_queues_remaps) {
        return;
    }
    let i: u32 = 0;
    while (i as usize) < k.blk.set(set).tag_list.len() {
        call!(blk_mq_freeze_queue(k.blk.set(set).tag_list[i as usize]));
        i += 1;
    }
    k.blk.set_mut(set).nr_hw_queues = nr;
    blk_mq_realloc_tag_set_tags(k, set);
    blk_mq_update_queue_map(k, set);
    for q in k.blk.set(set).tag_list.clone() {
        blk_mq_realloc_hw_ctxs(k, q);
        blk_mq_map_swqueue(k, q);
    }
    for q in k.blk.set(set).tag_list.clone() {
        blk_mq_unfreeze_queue(k, q);
    }
}

/// `blk_freeze_queue_start()`.
pub fn blk_freeze_queue_start(k: &mut Kernel, q: QueueId) {
    k.blk.q_mut(q).mq_freeze_depth += 1;
}

/// `blk_mq_freeze_queue_wait()`.
#[kframe("block/blk-mq.c")]
pub fn blk_mq_freeze_queue_wait(k: &mut Kernel, q: QueueId) {
    wait_until!(k.blk.find_q(q).is_none_or(|queue| queue.q_usage_counter == 0), WaitOn::Drained(q));
}

/// `blk_mq_freeze_queue_wait_timeout()`: waits until `deadline` at the latest.
#[kframe("block/blk-mq.c")]
pub fn blk_mq_freeze_queue_wait_timeout(k: &mut Kernel, q: QueueId, deadline: u64) {
    let left = deadline.saturating_sub(k.events.now);
    k.events.push(left, Event::WakeOn(WaitOn::Drained(q)));
    wait_until!(
        k.blk.find_q(q).is_none_or(|queue| queue.q_usage_counter == 0) || k.events.now >= deadline,
        WaitOn::Drained(q)
    );
    k.events.cancel_all(|event| *event == Event::WakeOn(WaitOn::Drained(q)));
}

/// `blk_mq_freeze_queue()`.
#[kframe("block/blk-mq.c")]
pub fn blk_mq_freeze_queue(k: &mut Kernel, q: QueueId) {
    blk_freeze_queue_start(k, q);
    call!(blk_mq_freeze_queue_wait(q));
}

/// `blk_mq_unfreeze_queue()`.
pub fn blk_mq_unfreeze_queue(k: &mut Kernel, q: QueueId) {
    let queue = k.blk.q_mut(q);
    queue.mq_freeze_depth = queue.mq_freeze_depth.saturating_sub(1);
    if queue.mq_freeze_depth == 0 {
        k.wake(WaitOn::Unfrozen(q));
    }
}

/// `blk_mq_quiesce_queue()`: nothing is given to the driver any more once this returns.
#[kframe("block/blk-mq.c")]
pub fn blk_mq_quiesce_queue(k: &mut Kernel, q: QueueId) {
    k.blk.q_mut(q).quiesced = true;
    call!(synchronize_rcu());
}

/// `blk_mq_unquiesce_queue()`: what has gathered is dispatched.
pub fn blk_mq_unquiesce_queue(k: &mut Kernel, q: QueueId) {
    k.blk.q_mut(q).quiesced = false;
    for hctx in 0..k.blk.q(q).queue_hw_ctx.len() {
        if !k.blk.q(q).queue_hw_ctx[hctx].dispatch.is_empty() {
            blk_mq_delay_run_hw_queue(k, q, hctx as u32, 0);
        }
    }
}

/// `blk_mq_get_hctx_type()` (5.4 has it in the function below).
fn blk_mq_get_hctx_type(op: ReqOp, polled: bool) -> HctxType {
    match op {
        _ if polled => HctxType::Poll,
        ReqOp::Read => HctxType::Read,
        _ => HctxType::Default,
    }
}

/// `blk_mq_map_queue()`, block/blk-mq.h: the hardware queue to which requests of this CPU go.
pub(super) fn blk_mq_map_queue(k: &Kernel, q: QueueId, op: ReqOp, polled: bool) -> u32 {
    blk_mq_map_queue_type(k, q, blk_mq_get_hctx_type(op, polled), k.cur.cpu)
}

/// `blk_mq_rq_ctx_init()`: the request that a tag stands for.
pub(super) fn blk_mq_rq_ctx_init(k: &mut Kernel, q: QueueId, hctx: u32, tag: u32, op: ReqOp) -> ReqId {
    let rq = k.blk.requests.insert(Request {
        q,
        hctx,
        tag,
        cpu: k.cur.cpu,
        op,
        sector: 0,
        nr_sectors: 0,
        polled: false,
        state: RqState::Idle,
        done: false,
        timer: None,
        end_io: None,
        waiter: None,
        next: None,
        end_io_data: 0,
        aborted: false,
        retries: 0,
        status: 0,
        result: 0,
        cmd: NvmeCommand::default(),
    });
    let set = k.blk.q(q).tag_set;
    k.blk.set_mut(set).tags[hctx as usize].rqs.insert(tag, rq);
    rq
}

/// `blk_mq_alloc_request()`: waits for the queue and for a tag, or with `nowait` (`BLK_MQ_REQ_NOWAIT`) for
/// neither.
///
/// # Errors
/// `ENODEV` for a queue that goes away; with `nowait` also `EBUSY` for a frozen queue and `EAGAIN` without
/// a tag.
#[kframe("block/blk-mq.c")]
pub fn blk_mq_alloc_request(k: &mut Kernel, q: QueueId, op: ReqOp, nowait: bool) -> Result<ReqId, Errno> {
    call!(blk_queue_enter(q, nowait))?;
    let rq: Option<ReqId> = None;
    loop {
        rq = call!(blk_mq_get_tag(q, op, nowait));
        if rq.is_some() || nowait || k.blk.find_q(q).is_none() {
            break;
        }
        // The hardware queue's CPUs go offline: another CPU's queue is tried a little later.
        wait!(WaitOn::Until(k.events.now + 3 * MSEC));
    }
    if rq.is_none() && nowait {
        blk_queue_exit(k, q);
        return Err(Errno::EAGAIN);
    }
    rq.ok_or(Errno::ENODEV)
}

/// `blk_mq_free_request()`: gives the tag back; the request is gone.
pub fn blk_mq_free_request(k: &mut Kernel, rq: ReqId) {
    __blk_mq_free_request(k, rq);
    k.blk.requests.remove(rq);
}

/// Gives the tag back, whoever waits for the request or for the queue.
fn __blk_mq_free_request(k: &mut Kernel, rq: ReqId) {
    let Some(request) = k.blk.requests.get_mut(rq) else { return };
    let (q, hctx, tag) = (request.q, request.hctx, request.tag);
    if let Some(timer) = request.timer.take() {
        k.events.cancel(timer);
    }
    let Some(queue) = k.blk.find_q(q) else { return };
    let set = queue.tag_set;
    let restart = queue.queue_hw_ctx.get(hctx as usize).is_some_and(|h| !h.dispatch.is_empty());
    if let Some(tags) = k.blk.set_mut(set).tags.get_mut(hctx as usize) {
        tags.rqs.remove(&tag);
    }
    k.wake(WaitOn::Tag(set, hctx));
    if restart {
        blk_mq_delay_run_hw_queue(k, q, hctx, 0);
    }
    blk_queue_exit(k, q);
}

/// `blk_mq_start_request()`: the device gets it; its time runs.
pub fn blk_mq_start_request(k: &mut Kernel, rq: ReqId) {
    let request = &mut k.blk.requests[rq];
    request.state = RqState::InFlight;
    blk_add_timer(k, rq);
}

/// `blk_mq_tag_to_rq()`.
pub fn blk_mq_tag_to_rq(k: &Kernel, set: TagSetId, hctx: u32, tag: u32) -> Option<ReqId> {
    k.blk.tag_sets.get(set.index())?.as_ref()?.tags.get(hctx as usize)?.rqs.get(&tag).copied()
}

/// Puts a request to the others that wait for dispatch.
pub(super) fn blk_mq_insert_request(k: &mut Kernel, rq: ReqId, at_head: bool) {
    let (q, hctx) = (k.blk.requests[rq].q, k.blk.requests[rq].hctx);
    let dispatch = &mut k.blk.q_mut(q).queue_hw_ctx[hctx as usize].dispatch;
    if at_head { dispatch.insert(0, rq) } else { dispatch.push(rq) }
}

/// `blk_mq_hw_queue_need_run()`, of 5.4 a part of `blk_mq_run_hw_queue()`.
fn blk_mq_hw_queue_need_run(k: &Kernel, q: QueueId, hctx: u32) -> bool {
    let Some(queue) = k.blk.find_q(q) else { return false };
    let hctx = queue.queue_hw_ctx.get(hctx as usize);
    !queue.quiesced && hctx.is_some_and(|hctx| !hctx.dispatch.is_empty())
}

/// `blk_mq_run_hw_queue()`: gives the driver what waits.
pub fn blk_mq_run_hw_queue(k: &mut Kernel, q: QueueId, hctx: u32) {
    if blk_mq_hw_queue_need_run(k, q, hctx) {
        blk_mq_dispatch_rq_list(k, q, hctx);
    }
}

/// `blk_mq_dispatch_rq_list()`: gives the driver one request after the other, until it refuses.
fn blk_mq_dispatch_rq_list(k: &mut Kernel, q: QueueId, hctx: u32) {
    while blk_mq_hw_queue_need_run(k, q, hctx) {
        let dispatch = &mut k.blk.q_mut(q).queue_hw_ctx[hctx as usize].dispatch;
        let rq = dispatch.remove(0);
        let last = dispatch.is_empty();
        match (k.blk.ops(q).queue_rq)(k, q, hctx, rq, last) {
            BlkStatus::Ok => {}
            // The end of a request that the device has runs the queue again.
            BlkStatus::DevResource => {
                blk_mq_insert_request(k, rq, true);
                return;
            }
            BlkStatus::Resource => {
                blk_mq_insert_request(k, rq, true);
                blk_mq_delay_run_hw_queue(k, q, hctx, BLK_MQ_RESOURCE_DELAY);
                return;
            }
            BlkStatus::IoErr => {
                k.blk.requests[rq].status = STATUS_FAILED;
                blk_mq_end_request(k, rq);
            }
        }
    }
}

/// `blk_mq_try_issue_directly()`: gives the driver a request that nobody has waited for, or puts it to those
/// that wait.
// DEVIATION: C runs the hardware queue at once after a refusal, which the driver then refuses again.
fn blk_mq_try_issue_directly(k: &mut Kernel, rq: ReqId) {
    let (q, hctx) = (k.blk.requests[rq].q, k.blk.requests[rq].hctx);
    if k.blk.q(q).quiesced {
        blk_mq_insert_request(k, rq, false);
        return;
    }
    match (k.blk.ops(q).queue_rq)(k, q, hctx, rq, true) {
        BlkStatus::Ok => {}
        BlkStatus::DevResource => blk_mq_insert_request(k, rq, true),
        BlkStatus::Resource => {
            blk_mq_insert_request(k, rq, true);
            blk_mq_delay_run_hw_queue(k, q, hctx, BLK_MQ_RESOURCE_DELAY);
        }
        BlkStatus::IoErr => {
            k.blk.requests[rq].status = STATUS_FAILED;
            blk_mq_end_request(k, rq);
        }
    }
}

/// `blk_mq_delay_run_hw_queue()`: a worker runs the hardware queue, after `delay` nanoseconds. One
/// that is on its way already will do.
fn blk_mq_delay_run_hw_queue(k: &mut Kernel, q: QueueId, hctx: u32, delay: u64) {
    let cpu = k.cur.cpu;
    let Some(h) = k.blk.q_mut(q).queue_hw_ctx.get_mut(hctx as usize) else { return };
    if !core::mem::replace(&mut h.run_work, true) {
        k.spawn(TaskKind::Kworker, cpu, blk_mq_run_work_fn(q, hctx, delay).frame, KWORKER_ROOTS);
    }
}

#[kframe("block/blk-mq.c")]
fn blk_mq_run_work_fn(k: &mut Kernel, q: QueueId, hctx: u32, delay: u64) {
    if delay != 0 {
        wait!(WaitOn::Until(k.events.now + delay));
    }
    if k.blk.find_q(q).is_none_or(|queue| queue.queue_hw_ctx.len() <= hctx as usize) {
        return;
    }
    k.blk.q_mut(q).queue_hw_ctx[hctx as usize].run_work = false;
    blk_mq_run_hw_queue(k, q, hctx);
}

/// `blk_mq_start_stopped_hw_queues()`: drivers call it when the device has room again.
pub fn blk_mq_start_stopped_hw_queues(k: &mut Kernel, q: QueueId) {
    for hctx in 0..k.blk.find_q(q).map_or(0, |queue| queue.queue_hw_ctx.len()) {
        if !k.blk.q(q).queue_hw_ctx[hctx].dispatch.is_empty() {
            blk_mq_delay_run_hw_queue(k, q, hctx as u32, 0);
        }
    }
}

/// `blk_mq_requeue_request()` with a run of the queue: the request is dispatched again.
pub fn blk_mq_requeue_request(k: &mut Kernel, rq: ReqId) {
    let request = &mut k.blk.requests[rq];
    request.state = RqState::Idle;
    let (q, hctx) = (request.q, request.hctx);
    blk_mq_insert_request(k, rq, false);
    if !k.blk.q(q).quiesced {
        blk_mq_delay_run_hw_queue(k, q, hctx, 0);
    }
}

/// `blk_mq_end_request()`: tells the owner. The tag of a file system request is free afterwards;
/// what is left of the request waits for the reader.
pub fn blk_mq_end_request(k: &mut Kernel, rq: ReqId) {
    let Some(request) = k.blk.requests.get_mut(rq) else { return };
    request.state = RqState::Complete;
    if let Some(timer) = request.timer.take() {
        k.events.cancel(timer);
    }
    match request.end_io {
        Some(end_io) => (end_io.call)(k, rq),
        None => {
            let waited_for = request.waiter.is_some();
            request.done = true;
            __blk_mq_free_request(k, rq);
            if waited_for {
                k.wake(WaitOn::Request(rq));
            } else {
                k.blk.requests.remove(rq);
            }
        }
    }
}

/// `blk_mq_complete_request()`: the device has reported the end of a request.
pub fn blk_mq_complete_request(k: &mut Kernel, rq: ReqId) {
    if !blk_mq_complete_request_remote(k, rq) {
        let q = k.blk.requests[rq].q;
        (k.blk.ops(q).complete)(k, rq);
    }
}

/// `blk_mq_complete_request_remote()` (6.12), `__blk_mq_complete_request()` (5.4): false when the
/// caller is to complete the request on the spot.
pub fn blk_mq_complete_request_remote(k: &mut Kernel, rq: ReqId) -> bool {
    let request = &mut k.blk.requests[rq];
    request.state = RqState::Complete;
    let (q, hctx, there, polled) = (request.q, request.hctx, request.cpu, request.polled);
    if let Some(timer) = request.timer.take() {
        k.events.cancel(timer);
    }
    let here = k.cur.cpu;
    let queues = k.blk.q(q).queue_hw_ctx.len();
    let elsewhere = here != there && !cpus_share_cache(k, here, there) && k.topo.online.contains(there);
    if k.sem.complete_remote_first {
        let nr_ctx = k.blk.q(q).queue_hw_ctx.get(hctx as usize).map_or(0, |h| h.nr_ctx);
        if nr_ctx == 1 && here == there || polled {
            return false;
        }
        if elsewhere {
            raise_blk_irq(k, there, rq);
            return true;
        }
        if queues == 1 {
            raise_blk_irq(k, here, rq);
            return true;
        }
        return false;
    }
    if queues == 1 {
        raise_blk_irq(k, if elsewhere { there } else { here }, rq);
        return true;
    }
    if !polled && elsewhere {
        raise_blk_irq(k, there, rq);
        return true;
    }
    false
}

/// `mq_ops->timeout`, which a driver may leave out.
fn timeout(k: &Kernel, rq: ReqId) -> Call<bool> {
    let timeout = k.blk.requests.get(rq).and_then(|request| k.blk.ops(request.q).timeout);
    timeout.map_or_else(no_timeout, |timeout| timeout(rq))
}

#[kframe("block/blk-mq.c", part)]
fn no_timeout(k: &mut Kernel) -> bool {
    true
}

/// `blk_mq_timeout_work()`, for the one request whose time is up.
#[kframe("block/blk-mq.c")]
pub(super) fn blk_mq_timeout_work(k: &mut Kernel, rq: ReqId) {
    call!(blk_mq_rq_timed_out(rq));
}

/// `blk_mq_rq_timed_out()`: the driver deals with the request, or it gets more time.
#[kframe("block/blk-mq.c")]
fn blk_mq_rq_timed_out(k: &mut Kernel, rq: ReqId) {
    let done: bool = call!(timeout(k, rq));
    if !done && k.blk.requests.get(rq).is_some_and(|r| r.state == RqState::InFlight) {
        blk_add_timer(k, rq);
    }
}

fn blk_mq_hctx_has_online_cpu(k: &Kernel, q: QueueId, hctx: u32, this_cpu: CpuId) -> bool {
    // C looks for a CPU that is online and maps to the queue among all that are online.
    let mapped = &k.blk.q(q).queue_hw_ctx[hctx as usize].mapped_cpus;
    mapped.iter().any(|cpu| cpu != this_cpu && k.topo.online.contains(cpu))
}

fn blk_mq_hctx_has_requests(k: &Kernel, q: QueueId, hctx: u32) -> bool {
    let Some(queue) = k.blk.find_q(q) else { return false };
    let tags = k.blk.set(queue.tag_set).tags.get(hctx as usize);
    tags.is_some_and(|t| t.rqs.values().any(|&rq| k.blk.requests.get(rq).is_some_and(|r| r.q == q)))
}

/// `blk_mq_init()`, with `blk_softirq_init()` of 5.4: what block/ has to do for a CPU that comes or goes.
pub fn blk_mq_init(k: &mut Kernel) {
    let single = |name, call| Some(CpuhpCallback { name, call: CpuhpCall::Single(call) });
    let multi = |name, call| Some(CpuhpCallback { name, call: CpuhpCall::Multi(call) });
    let dead = single("blk_softirq_cpu_dead", blk_softirq_cpu_dead);
    let softirq =
        cpuhp_setup_state_nocalls(k, CpuhpState::BlockSoftirqDead, "block/softirq:dead", None, dead);
    let dead = multi("blk_mq_hctx_notify_dead", blk_mq_hctx_notify_dead);
    let mq = cpuhp_setup_state_multi(k, CpuhpState::BlkMqDead, "block/mq:dead", None, dead);
    debug_assert_eq!((softirq, mq), (Ok(()), Ok(())));
    if k.sem.hctx_drain {
        let online = multi("blk_mq_hctx_notify_online", blk_mq_hctx_notify_online);
        let call = CpuhpCall::MultiSleeps(blk_mq_hctx_notify_offline);
        let offline = Some(CpuhpCallback { name: "blk_mq_hctx_notify_offline", call });
        let mq = cpuhp_setup_state_multi(k, CpuhpState::ApBlkMqOnline, "block/mq:online", online, offline);
        debug_assert_eq!(mq, Ok(()));
    }
}

/// `hlist_entry_safe()`: the hardware queue behind an instance.
fn hlist_entry_safe(node: CpuhpNode) -> (QueueId, u32) {
    node.hctx()
}

/// `__blk_mq_add_cpuhp()`; in 5.4 a piece of `blk_mq_init_hctx()`.
fn __blk_mq_add_cpuhp(k: &mut Kernel, q: QueueId, hctx: u32) {
    // C does not look at the answers either: a machine without CPU hotplug has no such steps.
    let _ = cpuhp_state_add_instance_nocalls(k, CpuhpState::ApBlkMqOnline, CpuhpNode::of_hctx(q, hctx));
    let _ = cpuhp_state_add_instance_nocalls(k, CpuhpState::BlkMqDead, CpuhpNode::of_hctx(q, hctx));
}

/// `blk_mq_remove_cpuhp()`.
pub(super) fn blk_mq_remove_cpuhp(k: &mut Kernel, q: QueueId, hctx: u32) {
    let _ = cpuhp_state_remove_instance_nocalls(k, CpuhpState::ApBlkMqOnline, CpuhpNode::of_hctx(q, hctx));
    let _ = cpuhp_state_remove_instance_nocalls(k, CpuhpState::BlkMqDead, CpuhpNode::of_hctx(q, hctx));
}

/// `blk_mq_hctx_notify_dead()`: moves what waits in the software queue of a CPU that is dead.
// DEVIATION: there are no software queues, so that nothing waits there.
fn blk_mq_hctx_notify_dead(_k: &mut Kernel, _cpu: CpuId, _node: CpuhpNode) -> Result<(), Errno> {
    Ok(())
}

/// `blk_mq_hctx_notify_offline()` (5.8 and later): a hardware queue whose last CPU goes gives out no more
/// tags and is waited for.
#[kframe("block/blk-mq.c")]
fn blk_mq_hctx_notify_offline(k: &mut Kernel, cpu: CpuId, node: CpuhpNode) -> Result<(), Errno> {
    let q: QueueId = hlist_entry_safe(node).0;
    let hctx: u32 = hlist_entry_safe(node).1;
    let known = k.blk.find_q(q).and_then(|queue| queue.queue_hw_ctx.get(hctx as usize));
    if known.is_none_or(|h| h.nr_ctx == 0) || blk_mq_hctx_has_online_cpu(k, q, hctx, cpu) {
        return Ok(());
    }
    k.blk.q_mut(q).queue_hw_ctx[hctx as usize].inactive = true;
    // percpu_ref_tryget(): a frozen queue without requests gives no reference.
    let queue = k.blk.q_mut(q);
    if queue.mq_freeze_depth != 0 && queue.q_usage_counter == 0 {
        return Ok(());
    }
    queue.q_usage_counter += 1;
    // DEVIATION: this machine is never suspended, so that no wake-up (pm_wakeup_pending()) ends this.
    while blk_mq_hctx_has_requests(k, q, hctx) {
        wait!(WaitOn::Until(k.events.now + 5 * MSEC));
    }
    blk_queue_exit(k, q);
    Ok(())
}

/// `blk_mq_hctx_notify_online()`: a hardware queue of the new CPU gives out tags again.
fn blk_mq_hctx_notify_online(k: &mut Kernel, cpu: CpuId, node: CpuhpNode) -> Result<(), Errno> {
    let (q, hctx) = hlist_entry_safe(node);
    let h = &k.blk.q(q).queue_hw_ctx[hctx as usize];
    let own = if k.sem.hctx_online_tests_cpumask {
        h.cpumask.contains(cpu)
    } else {
        blk_mq_map_queue_type(k, q, h.ty, cpu) == hctx
    };
    if own {
        k.blk.q_mut(q).queue_hw_ctx[hctx as usize].inactive = false;
    }
    Ok(())
}

/// `blk_mq_submit_bio()` (`blk_mq_make_request()` in 5.4), with the end of the reader's plug: straight to the
/// driver, through `queue_rqs` where there is a plug and the driver takes lists; with an I/O scheduler by way of
/// it and of a worker. A reader with a `plug` of its own runs the hardware queue itself (`blk_mq_flush_plug_list()`).
pub(super) fn blk_mq_submit_bio(k: &mut Kernel, rq: ReqId, plug: bool) {
    let (q, hctx) = (k.blk.requests[rq].q, k.blk.requests[rq].hctx);
    if k.blk.q(q).elevator {
        blk_mq_insert_request(k, rq, false);
        if plug {
            blk_mq_run_hw_queue(k, q, hctx);
        } else {
            blk_mq_delay_run_hw_queue(k, q, hctx, 0);
        }
        return;
    }
    match k.blk.ops(q).queue_rqs {
        Some(queue_rqs) if (plug || k.sem.submit_bio_plugs) && !k.blk.q(q).quiesced => {
            for rq in queue_rqs(k, &[rq]) {
                blk_mq_try_issue_directly(k, rq);
            }
        }
        _ => blk_mq_try_issue_directly(k, rq),
    }
}
