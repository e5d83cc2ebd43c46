//! Local APIC, IO-APIC, 8259 and interrupt remapping, and arch/x86/kernel/apic above them.
//!
//! # Architecture
//! [`hw`] holds what the registers do, named as the manuals name them; it knows no kernel. In
//! [`kernel`] each module is one C file of arch/x86/kernel or drivers/iommu/intel. The vector
//! domain is the root of every interrupt's hierarchy: above it sit the IO-APIC domains and the MSI
//! domains, with the remapping domain in between on a machine that has it.
//!
//! An interrupt enters through a gate of [`kernel::idt::idt_table`], on the CPU whose local APIC took it.
//!
//! # What it doesn't implement
//! The 32-bit APIC drivers, NMI and machine-check entries, the local APIC timer, ExtINT delivery
//! after boot, devicetree IO-APICs and their hot-plugging, suspend and resume.

pub mod hw;
pub mod kernel;
