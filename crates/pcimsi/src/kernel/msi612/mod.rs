//! drivers/pci/msi of 6.12: one module per C file.

pub mod api;
pub mod irqdomain;
pub mod msi;
