//! A local APIC (Intel SDM volume 3, chapter 11).

/// A local APIC (Intel SDM volume 3, chapter 11).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LocalApic {}
