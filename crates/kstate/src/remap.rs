//! drivers/iommu/intel: interrupt remapping.

/// drivers/iommu/intel: interrupt remapping.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RemapState {}
