//! What drivers stand on beside interrupts, one module per C file.
//!
//! # Architecture
//! A module has the name of its C file. Those of kernel/ stand at the top; kernel/sched, kernel/rcu,
//! drivers/base and arch/x86/kernel ([`x86`]) have a folder each.
//!
//! # What it doesn't implement
//! Scheduling classes, timers of the kernel's own, RCU readers, power management.

pub mod base;
pub mod cpu;
pub mod rcu;
pub mod sched;
pub mod smp;
pub mod smpboot;
pub mod stop_machine;
pub mod workqueue;
pub mod x86;
