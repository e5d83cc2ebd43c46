//! What a queue takes in one request.
//!
//! C file: block/blk-settings.c of 5.4 and 6.12.
//!
//! # What it doesn't implement
//! Segments: where the reader's memory is in one piece, as it is here, none of the drivers' limits on their
//! number and length is reached.

use kstate::{Kernel, QueueId};

/// `BLK_DEF_MAX_SECTORS` (5.4), `BLK_DEF_MAX_SECTORS_CAP` (6.12): sectors of 512 bytes.
const BLK_DEF_MAX_SECTORS: u32 = 2560;

/// `blk_queue_max_hw_sectors()`, of 6.12 a part of `blk_validate_limits()`: the device's limit, in sectors of
/// 512 bytes, and the block layer's own.
pub fn blk_queue_max_hw_sectors(k: &mut Kernel, q: QueueId, max_hw_sectors: u32) {
    let max_sectors = max_hw_sectors.min(BLK_DEF_MAX_SECTORS);
    k.blk.q_mut(q).max_sectors = max_sectors;
}
