//! The headers: every piece of state of the emulated PC, as plain data.
//!
//! # Architecture
//! [`kernel::Kernel`] is the whole machine: hardware registers, kernel structures, tasks, pending
//! events. It is `Clone + Eq + Hash + Debug`, holds no reference, closure, clock or thread, and
//! every behaviour crate takes it as `&mut Kernel`. Pointers of the C code are ids here.
//!
//! # What it doesn't implement
//! Behaviour. A function lives here only when it reads or writes one structure without a rule of
//! the kernel or of the hardware in it.

pub mod apic;
pub mod arena;
pub mod bitmap;
pub mod blk;
mod blocks;
mod copied;
pub mod cpumask;
pub mod data;
pub mod errno;
pub mod event;
pub mod hotplug;
pub mod hw;
pub mod ids;
pub mod irqchip;
pub mod irqdesc;
pub mod irqdomain;
pub mod isolation;
pub mod kernel;
pub mod kstrtox;
pub mod list;
pub mod matrix;
pub mod msi;
mod named;
mod names;
pub mod nvme;
pub mod oracle;
pub mod params;
pub mod pci;
pub mod printk;
pub mod remap;
pub mod sched;
pub mod semantics;
pub mod shared;
pub mod sorted;
pub mod string_helpers;
pub mod topology;
pub mod trace;
pub mod tracing;
pub mod virtio;
pub mod workqueue;

pub use cpumask::CpuMask;
pub use errno::Errno;
pub use ids::*;
pub use kernel::Kernel;
