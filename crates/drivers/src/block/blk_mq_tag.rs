//! Tags.
//!
//! C file: block/blk-mq-tag.c of 5.4 and 6.12.

use kfn::kframe;
use kstate::blk::{ReqOp, Request, RqState};
use kstate::hw::nvme::NvmeCommand;
use kstate::sched::WaitOn;
use kstate::{Kernel, QueueId, ReqId, TagSetId};

use super::MSEC;
use super::blk_mq::hctx_for;

/// `blk_mq_get_tag()` without its waiting: `None` when there is no tag, or none is given out
/// because the hardware queue's last CPU goes.
pub(super) fn try_get_tag(k: &mut Kernel, q: QueueId, op: ReqOp) -> Option<ReqId> {
    let hctx = hctx_for(k, q, op, false);
    let set = k.blk.q(q).tag_set;
    if k.blk.q(q).queue_hw_ctx.get(hctx as usize).is_none_or(|h| k.sem.hctx_drain && h.inactive) {
        return None;
    }
    let rq = k.blk.requests.insert(Request {
        q,
        hctx,
        tag: 0,
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
        end_io_data: 0,
        aborted: false,
        retries: 0,
        status: 0,
        result: 0,
        cmd: NvmeCommand::default(),
    });
    match k.blk.set_mut(set).tags[hctx as usize].get(rq, false) {
        Some(tag) => {
            k.blk.requests[rq].tag = tag;
            Some(rq)
        }
        None => {
            k.blk.requests.remove(rq);
            None
        }
    }
}

/// `blk_mq_tagset_busy_iter()`: the requests of a tag set that are with the device.
pub fn busy_requests(k: &Kernel, set: TagSetId) -> Vec<ReqId> {
    let Some(set) = k.blk.tag_sets.get(set.index()).and_then(Option::as_deref) else { return Vec::new() };
    let all = set.tags.iter().flat_map(|tags| tags.rqs.values().copied());
    all.filter(|&rq| k.blk.requests.get(rq).is_some_and(|r| r.state == RqState::InFlight)).collect()
}

/// `blk_mq_tagset_wait_completed_request()`.
#[kframe("block/blk-mq-tag.c")]
pub fn blk_mq_tagset_wait_completed_request(k: &mut Kernel, set: TagSetId) {
    while any_completed(k, set) {
        wait!(WaitOn::Until(k.events.now + 5 * MSEC));
    }
}

fn any_completed(k: &Kernel, set: TagSetId) -> bool {
    let Some(set) = k.blk.tag_sets.get(set.index()).and_then(Option::as_deref) else { return false };
    let mut all = set.tags.iter().flat_map(|tags| tags.rqs.values());
    all.any(|&rq| k.blk.requests.get(rq).is_some_and(|r| r.state == RqState::Complete && !r.done))
}
