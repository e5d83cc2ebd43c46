//! drivers/pci: functions and their driver-visible state.

/// drivers/pci: functions and their driver-visible state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PciState {}
