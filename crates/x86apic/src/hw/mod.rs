//! Interrupt hardware: local APICs, IO-APIC, 8259 pair, VT-d interrupt remapping and the bus
//! between them. No kernel function is called from here; the names are the manuals'.

pub mod bus;
pub mod ioapic;
pub mod lapic;
pub mod pic;
pub mod vtd;
