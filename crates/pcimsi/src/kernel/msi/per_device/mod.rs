//! drivers/pci/msi, since every function has its own domain (6.2): one module per C file.

pub mod api;
pub mod irqdomain;
pub mod msi;
