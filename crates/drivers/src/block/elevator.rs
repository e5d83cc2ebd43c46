//! I/O schedulers.
//!
//! C file: block/elevator.c of 5.4 and 6.12.
//!
//! # What it doesn't implement
//! What a scheduler does with requests: it hands them on in order.

use kstate::{Kernel, QueueId};

/// `elevator_init_mq()`: gives the queue of a new disk its default I/O scheduler. It keeps it when the
/// number of its hardware queues changes.
pub(super) fn elevator_init_mq(k: &mut Kernel, q: QueueId) {
    let single = k.blk.q(q).queue_hw_ctx.len() == 1;
    k.blk.q_mut(q).elevator = k.sem.single_queue_elevator && single;
}
