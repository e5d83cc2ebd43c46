//! drivers/virtio and drivers/block/virtio_blk.c: driver state.

/// drivers/virtio and drivers/block/virtio_blk.c: driver state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct VirtioState {}
