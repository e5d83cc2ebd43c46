//! Tags.
//!
//! C file: block/blk-mq-tag.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::blk::{ReqOp, RqState};
use kstate::sched::WaitOn;
use kstate::{Kernel, QueueId, ReqId, TagSetId};

use super::MSEC;
use super::blk_mq::{blk_mq_map_queue, blk_mq_rq_ctx_init, blk_mq_run_hw_queue};

/// `__blk_mq_get_tag()`: the lowest tag that is free.
fn __blk_mq_get_tag(k: &Kernel, q: QueueId, hctx: u32) -> Option<u32> {
    k.blk.set(k.blk.q(q).tag_set).tags.get(hctx as usize)?.lowest_free(false)
}

/// `blk_mq_get_tag()`: waits until a tag is free, and makes the request that it stands for. `None` when none
/// is given out because the hardware queue's last CPU goes, and with `nowait` also when there is none.
#[kframe("block/blk-mq-tag.c")]
pub(super) fn blk_mq_get_tag(k: &mut Kernel, q: QueueId, op: ReqOp, nowait: bool) -> Option<ReqId> {
    loop {
        let hctx: u32 = blk_mq_map_queue(k, q, op, false);
        if let Some(tag) = __blk_mq_get_tag(k, q, hctx) {
            let inactive = k.sem.hctx_drain && k.blk.q(q).queue_hw_ctx[hctx as usize].inactive;
            return (!inactive).then(|| blk_mq_rq_ctx_init(k, q, hctx, tag, op));
        }
        if nowait {
            break;
        }
        blk_mq_run_hw_queue(k, q, hctx);
        // Running the queue may have ended requests.
        if __blk_mq_get_tag(k, q, hctx).is_some() {
            continue;
        }
        wait!(WaitOn::Tag(k.blk.q(q).tag_set, hctx));
        // The CPU, and with it the hardware queue, may be another one now.
        if k.blk.find_q(q).is_none() {
            break;
        }
    }
    None
}

/// `blk_mq_tagset_busy_iter()`: the requests of a tag set that are with the device.
pub fn blk_mq_tagset_busy_iter(k: &Kernel, set: TagSetId) -> Vec<ReqId> {
    let Some(set) = k.blk.tag_sets.get(set.index()).and_then(Option::as_deref) else { return Vec::new() };
    let all = set.tags.iter().flat_map(|tags| tags.rqs.values().copied());
    all.filter(|&rq| k.blk.requests.get(rq).is_some_and(|r| r.state == RqState::InFlight)).collect()
}

/// `blk_mq_tagset_wait_completed_request()`.
#[kframe("block/blk-mq-tag.c")]
pub fn blk_mq_tagset_wait_completed_request(k: &mut Kernel, set: TagSetId) {
    while blk_mq_tagset_count_completed_rqs(k, set) != 0 {
        wait!(WaitOn::Until(k.events.now + 5 * MSEC));
    }
}

/// `blk_mq_tagset_count_completed_rqs()`: how many requests the device is done with and their owners are not.
fn blk_mq_tagset_count_completed_rqs(k: &Kernel, set: TagSetId) -> usize {
    let Some(set) = k.blk.tag_sets.get(set.index()).and_then(Option::as_deref) else { return 0 };
    let all = set.tags.iter().flat_map(|tags| tags.rqs.values()).filter_map(|&rq| k.blk.requests.get(rq));
    all.filter(|request| request.state == RqState::Complete && !request.done).count()
}
