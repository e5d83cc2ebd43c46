//! arch/x86/kernel/apic: vectors, local APIC driver state, IO-APIC pins.

/// arch/x86/kernel/apic: vectors, local APIC driver state, IO-APIC pins.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Apic {}
