//! The IO-APIC (82093AA).

/// The IO-APIC (82093AA).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IoApic {}
