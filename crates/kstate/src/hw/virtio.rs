//! A virtio-blk device (Virtual I/O Device specification).

/// A virtio-blk device (Virtual I/O Device specification).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioBlk {}
