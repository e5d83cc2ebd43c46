//! PCI configuration space, MSI and MSI-X hardware, and drivers/pci above them.
//!
//! # Architecture
//! [`hw`] is what a function's registers do, in the words of the PCI specification. [`kernel`] is
//! drivers/pci of Linux, one module per C file. [`kernel::msi`] has a module for each generation of its
//! C file; what drivers call is in [`kernel`] itself and picks one by `Semantics::msi_domains`.
//!
//! # What it doesn't implement
//! Bridges and buses other than 0, addresses in base address registers, power states, AER,
//! hot-plugging, suspend and resume, MSI-X vectors added later, interrupt message store domains,
//! and the paths for architectures without hierarchical domains.

pub mod hw;
pub mod kernel;

/// Registers what the crates below call in this one. Has to run before the boot code of the APICs.
pub fn init(k: &mut kstate::Kernel) {
    kernel::pci_driver::pci_driver_init(k);
    k.msi.hooks.pci_msi_create_irq_domain = Some(kernel::pci_msi_create_irq_domain);
}
