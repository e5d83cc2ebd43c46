//! drivers/nvme/host: driver state of NVMe controllers.

/// drivers/nvme/host: driver state of NVMe controllers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeState {}
