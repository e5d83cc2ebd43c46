//! What debugfs says about hardware queues.
//!
//! C file: block/blk-mq-debugfs.c of 5.4 and 6.12.

use kstate::Kernel;

/// The flags of a disk's hardware queue, without the
/// line's end.
// DEVIATION: of all flags only BLK_MQ_S_INACTIVE is modelled.
pub fn hctx_state_show(k: &Kernel, disk: &str, queue: u32) -> Option<&'static str> {
    let disk = k.blk.disk(k.blk.disk_by_name(disk)?)?;
    let hctx = k.blk.find_q(disk.queue)?.queue_hw_ctx.get(queue as usize)?;
    Some(if hctx.inactive { "INACTIVE" } else { "" })
}
