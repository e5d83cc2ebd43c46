//! block/: queues, tags, requests, queue maps.

/// block/: queues, tags, requests, queue maps.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Blk {}
