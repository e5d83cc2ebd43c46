//! kernel/irq of Linux 5.4 and 6.12: descriptors, domains, chips, flow handlers, affinity, the
//! vector matrix, CPU hotplug of interrupts, and the text of /proc and debugfs.
//!
//! # Architecture
//! One module per C file. A function has its C name and takes `k: &mut Kernel` first. What C
//! reaches through function pointers (chip and domain callbacks, flow handlers, handlers of
//! drivers) is reached through the tables of plain `fn` pointers in `kstate`, so that this crate
//! knows nothing of APICs or PCI. The few architecture hooks that C calls by name are
//! `kstate::irqdesc::ArchOps`.
//!
//! Functions that can sleep or spin (`synchronize_irq`, `free_irq`, `irq_domain_free_irqs`, ...)
//! are frames; everything else runs in one go, like a section under a raw spinlock.
//!
//! # What it doesn't implement
//! Interrupt resources with power management, NMIs, per-CPU interrupts, nested threads,
//! wake-up sources, autoprobing, `irq_poll`, IPIs as interrupts, timings, and the generic chip.

pub mod affinity;
pub mod chip;
pub mod cpuhotplug;
pub mod cpumask;
pub mod debugfs;
pub mod dummychip;
pub mod group_cpus;
pub mod handle;
pub mod irqdesc;
pub mod irqdomain;
pub mod manage;
pub mod matrix;
pub mod migration;
pub mod msi;
pub mod proc;
pub mod resend;
pub mod settings;
pub mod sort;
pub mod spurious;

/// What has to hold after every step about descriptors, domains and MSI descriptors.
///
/// # Errors
/// Which rule is broken, and where.
pub fn check_invariants(k: &kstate::Kernel) -> Result<(), String> {
    manage::check_invariants(k)?;
    msi::check_invariants(k)
}
