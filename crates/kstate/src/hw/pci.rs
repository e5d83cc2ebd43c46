//! A PCI function: configuration space, MSI and MSI-X.

/// A PCI function: configuration space, MSI and MSI-X.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PciFunction {}
