//! Requests of a driver's own.
//!
//! C file: block/blk-exec.c of 5.4, which became a part of block/blk-mq.c.

use kfn::kframe;
use kstate::blk::EndIo;
use kstate::sched::WaitOn;
use kstate::{Kernel, ReqId};

use super::blk_mq::{blk_mq_insert_request, blk_mq_run_hw_queue};

/// `blk_execute_rq_nowait()`: a passthrough request whose `end_io` was set.
pub fn blk_execute_rq_nowait(k: &mut Kernel, rq: ReqId, at_head: bool, done: EndIo) {
    k.blk.requests[rq].end_io = Some(done);
    let (q, hctx) = (k.blk.requests[rq].q, k.blk.requests[rq].hctx);
    blk_mq_insert_request(k, rq, at_head);
    blk_mq_run_hw_queue(k, q, hctx);
}

/// `blk_end_sync_rq()`.
fn blk_end_sync_rq(k: &mut Kernel, rq: ReqId) {
    k.blk.requests[rq].done = true;
    k.wake(WaitOn::Request(rq));
}

/// `blk_execute_rq()`: runs a passthrough request and sleeps until it has ended. The caller frees
/// it.
#[kframe("block/blk-exec.c")]
pub fn blk_execute_rq(k: &mut Kernel, rq: ReqId, at_head: bool) {
    k.blk.requests[rq].waiter = k.cur.task;
    blk_execute_rq_nowait(k, rq, at_head, EndIo { name: "blk_end_sync_rq", call: blk_end_sync_rq });
    wait_until!(k.blk.requests.get(rq).is_none_or(|r| r.done), WaitOn::Request(rq));
}
