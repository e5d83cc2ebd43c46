//! arch/x86/kernel/apic, idt.c, irq.c, irqinit.c, smp.c and i8259.c, and the remapping driver.

pub mod apic;
pub mod dmar;
pub mod i8259;
pub mod idt;
pub mod intel_iommu;
pub mod intel_irq_remapping;
pub mod io_apic;
pub mod irq;
pub mod irq_remapping;
pub mod msi;
pub mod smp;
pub mod vector;

mod boot;
mod invariants;

pub use boot::start_kernel;
pub use invariants::check_invariants;
