//! The CPUs of a PC: arch/x86/kernel.

pub mod smpboot;
pub mod topology;
