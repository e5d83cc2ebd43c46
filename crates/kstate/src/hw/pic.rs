//! The pair of 8259A interrupt controllers of a PC.

/// Master (0) and slave (1).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct I8259 {
    /// Interrupt mask registers.
    pub imr: [u8; 2],
    /// Interrupt request registers.
    pub irr: [u8; 2],
    /// In-service registers.
    pub isr: [u8; 2],
    /// Edge/level control registers (ports 4D0H and 4D1H): level where set.
    pub elcr: [u8; 2],
    /// Vector bases (ICW2).
    pub base: [u8; 2],
    /// Initialization word that comes next, 0 for none.
    pub init_state: [u8; 2],
    /// The pair's output INTR.
    pub intr: bool,
    /// Automatic EOI (ICW4).
    pub auto_eoi: [bool; 2],
}
