//! IO-APIC registers (82093AA data sheet, and the EOI register of later ones).

/// Redirection entry: vector, or the virtual vector of the remappable format.
pub const RTE_VECTOR: u64 = 0xff;
/// Redirection entry: destination mode is logical. In the remappable format: bit 15 of the handle.
pub const RTE_LOGICAL: u64 = 1 << 11;
/// Redirection entry: delivery status, read only.
pub const RTE_DELIVERY_STATUS: u64 = 1 << 12;
/// Redirection entry: active low.
pub const RTE_ACTIVE_LOW: u64 = 1 << 13;
/// Redirection entry: remote IRR, read only.
pub const RTE_REMOTE_IRR: u64 = 1 << 14;
/// Redirection entry: level triggered.
pub const RTE_LEVEL: u64 = 1 << 15;
/// Redirection entry: masked.
pub const RTE_MASK: u64 = 1 << 16;
/// Redirection entry: remappable format (VT-d specification 5.1.5.1).
pub const RTE_REMAPPABLE: u64 = 1 << 48;

/// An IO-APIC.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IoApic {
    /// Its id (IOAPICID, bits 27:24).
    pub id: u8,
    /// Its version (IOAPICVER, bits 7:0): 0x11 for an 82093AA, 0x20 with an EOI register.
    pub version: u8,
    /// Index register (IOREGSEL).
    pub select: u8,
    /// Redirection table, 64 bits per pin.
    pub redirection: Vec<u64>,
    /// Electrical state of the pins: the bit is set while the line is asserted, whatever its
    /// polarity.
    pub asserted: u32,
    /// Requester id of its interrupt requests, which interrupt remapping checks.
    pub source_id: u16,
}
