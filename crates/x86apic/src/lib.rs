//! x86apic
