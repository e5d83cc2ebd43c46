//! drivers/pci/msi: MSI and MSI-X. [`global`] has one domain for all functions, as it was in a single
//! file; [`per_device`] gives every function its own, and is a folder in C too.

pub mod global;
pub mod per_device;
