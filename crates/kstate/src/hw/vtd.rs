//! Registers of a VT-d unit, interrupt remapping part (Intel VT-d specification, chapters 5, 9
//! and 11).

use crate::copied::clone_by_field;
use crate::shared::Shared;

/// An interrupt remapping table entry (9.10): low and high half.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Irte {
    /// Bits 63:0.
    pub low: u64,
    /// Bits 127:64.
    pub high: u64,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $half:ident[$shift:literal; $width:literal];)*) => {
        impl Irte {$(
            $(#[$doc])*
            pub const fn $get(&self) -> u32 {
                (self.$half >> $shift & ((1u64 << $width) - 1)) as u32
            }
            $(#[$doc])*
            pub const fn $set(&mut self, value: u32) {
                let mask = ((1u64 << $width) - 1) << $shift;
                self.$half = self.$half & !mask | (value as u64) << $shift & mask;
            }
        )*}
    };
}

fields! {
    /// P: the entry is present.
    present, set_present: low[0; 1];
    /// FPD: faults of this entry are not recorded.
    fpd, set_fpd: low[1; 1];
    /// DM: destination mode is logical.
    dst_mode, set_dst_mode: low[2; 1];
    /// RH: redirection hint.
    redir_hint, set_redir_hint: low[3; 1];
    /// TM: level triggered.
    trigger_mode, set_trigger_mode: low[4; 1];
    /// DLM: delivery mode.
    dlvry_mode, set_dlvry_mode: low[5; 3];
    /// IM: posted format.
    pst, set_pst: low[15; 1];
    /// V: the vector.
    vector, set_vector: low[16; 8];
    /// DST: the destination, in bits 15:8 of this field in xAPIC mode.
    dest_id, set_dest_id: low[32; 32];
    /// SID: requester the entry belongs to.
    sid, set_sid: high[0; 16];
    /// SQ: which bits of the requester's function number count.
    sq, set_sq: high[16; 2];
    /// SVT: how the requester is checked.
    svt, set_svt: high[18; 2];
}

/// GCMD/GSTS: compatibility format interrupts pass.
pub const CFI: u32 = 1 << 23;
/// GCMD/GSTS: the interrupt remapping table pointer is set.
pub const IRTP: u32 = 1 << 24;
/// GCMD/GSTS: interrupt remapping is enabled.
pub const IRE: u32 = 1 << 25;
/// GCMD/GSTS: queued invalidation is enabled.
pub const QIE: u32 = 1 << 26;
/// FSTS: a primary fault is pending.
pub const PPF: u32 = 1 << 1;
/// FSTS: a fault was lost.
pub const PFO: u32 = 1 << 0;
/// FECTL: fault interrupts are masked.
pub const FECTL_IM: u32 = 1 << 31;
/// FECTL: a fault interrupt is pending behind the mask.
pub const FECTL_IP: u32 = 1 << 30;

/// Why an interrupt request was refused (7.1.3, table "interrupt remapping fault conditions").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum FaultReason {
    /// Reserved bits of the request are set.
    ReservedRequest = 0x20,
    /// The index lies beyond the table.
    IndexTooLarge = 0x21,
    /// The entry is not present.
    NotPresent = 0x22,
    /// Reserved bits of the entry are set.
    ReservedIrte = 0x24,
    /// A compatibility format request while those are blocked.
    CompatibilityBlocked = 0x25,
    /// The requester is not the one the entry belongs to.
    SourceId = 0x26,
}

/// A recorded fault (FRCD).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FaultRecord {
    /// Why.
    pub reason: FaultReason,
    /// Who sent the request.
    pub source: u16,
    /// The index it asked for.
    pub index: u16,
}

/// A VT-d unit.
#[derive(PartialEq, Eq, Hash, Debug, Default)]
pub struct Vtd {
    /// The machine has one.
    pub present: bool,
    /// ECAP.EIM: it can hold 32-bit destinations.
    pub eim: bool,
    /// ECAP.MHMV: highest mask value of an invalidation, log2 of entries.
    pub max_handle_mask: u8,
    /// Global status (GSTS).
    pub gsts: u32,
    /// Interrupt remapping table address register: the table has this many entries.
    pub irta_entries: u32,
    /// IRTA.EIME: destinations have 32 bits.
    pub irta_eime: bool,
    /// The table in memory that IRTA points to; entries beyond its end are zero.
    pub table: Shared<Vec<Irte>>,
    /// The interrupt entry cache, as long as `table`; an entry that is not present is not cached.
    pub iec: Vec<Irte>,
    /// Fault status (FSTS).
    pub fsts: u32,
    /// Fault event control (FECTL).
    pub fectl: u32,
    /// Fault event data (FEDATA).
    pub fedata: u32,
    /// Fault event address (FEADDR and FEUADDR).
    pub feaddr: u64,
    /// The one fault recording register.
    pub frcd: Option<FaultRecord>,
}

clone_by_field! {
    Vtd { present, eim, max_handle_mask, gsts, irta_entries, irta_eime, table, iec, fsts, fectl, fedata, feaddr, frcd }
}
