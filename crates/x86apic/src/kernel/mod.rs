//! arch/x86/kernel/apic, irq.c, irqinit.c and i8259.c, and the remapping driver.

pub mod apic;
pub mod dmar;
pub mod i8259;
pub mod intel_iommu;
pub mod intel_irq_remapping;
pub mod io_apic;
pub mod irq;
pub mod irq_remapping;
pub mod msi;
pub mod vector;

mod boot;
mod invariants;

pub use boot::{boot_done, boot_irqs, is_device_vector};
pub use invariants::check_invariants;
