//! How long a request may take.
//!
//! C file: block/blk-timeout.c of 5.4 and 6.12.

use kstate::event::Event;
use kstate::{Kernel, ReqId};

/// The time of a request begins.
// DEVIATION: a queue has one timer that looks at all requests; here each has its own, which fires exactly
// on time.
pub(super) fn blk_add_timer(k: &mut Kernel, rq: ReqId) {
    let timeout = k.blk.set(k.blk.q(k.blk.requests[rq].q).tag_set).timeout;
    k.blk.requests[rq].timer = (timeout != 0).then(|| k.events.push(timeout, Event::BlkTimeout(rq)));
}
