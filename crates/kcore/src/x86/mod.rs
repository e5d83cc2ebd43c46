//! Starting and stopping a CPU of a PC: arch/x86/kernel.

pub mod smpboot;
