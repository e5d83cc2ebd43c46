//! An NVMe controller (NVM Express Base Specification).

/// An NVMe controller (NVM Express Base Specification).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NvmeController {}
