//! Behaviour of a VT-d unit's interrupt remapping (Intel VT-d specification, chapter 5 for
//! remapping, 6.5.2.8 for the interrupt entry cache, 7.4 for fault events).
//!
//! # What it doesn't implement
//! Posted interrupts and DMA remapping.

use kstate::Kernel;
use kstate::hw::vtd::{
    CFI, FECTL_IM, FECTL_IP, FaultReason, FaultRecord, IRE, IRTP, Irte, PFO, PPF, QIE, Vtd,
};
use kstate::trace::Hardware;

use super::bus::{self, DeliveryMode, Message};

/// After power-on: present, everything off, fault interrupts masked.
pub fn power_on(k: &mut Kernel, eim: bool) {
    k.hw.vtd = Vtd { present: true, eim, max_handle_mask: 15, fectl: FECTL_IM, ..Vtd::default() };
}

/// Interrupt requests are remapped.
pub fn enabled(vtd: &Vtd) -> bool {
    vtd.gsts & IRE != 0
}

/// Global command register: each bit takes effect in GSTS at once.
pub fn write_gcmd(k: &mut Kernel, gcmd: u32) {
    let vtd = &mut k.hw.vtd;
    let table_set = (gcmd | vtd.gsts) & IRTP;
    vtd.gsts = gcmd & (IRE | CFI | QIE) | table_set;
}

/// Interrupt remapping table address register: `entries` of the table, and EIME.
pub fn write_irta(k: &mut Kernel, entries: u32, eime: bool) {
    let vtd = &mut k.hw.vtd;
    vtd.irta_entries = entries;
    vtd.irta_eime = eime;
}

/// Software writes an entry of the table in memory. The unit sees it once its cache has forgotten
/// the old one.
pub fn write_irte(k: &mut Kernel, index: u16, irte: Irte) {
    let vtd = &mut k.hw.vtd;
    let index = usize::from(index);
    if index >= vtd.table.len() {
        if irte == Irte::default() {
            return;
        }
        vtd.table.resize(index + 1, Irte::default());
        vtd.iec.resize(index + 1, Irte::default());
    }
    vtd.table[index] = irte;
}

/// Software reads an entry of the table in memory.
pub fn read_irte(k: &Kernel, index: u16) -> Irte {
    k.hw.vtd.table.get(usize::from(index)).copied().unwrap_or_default()
}

/// Interrupt entry cache invalidate descriptor (6.5.2.8): all entries, or `1 << mask` from `index`.
pub fn invalidate_iec(k: &mut Kernel, selection: Option<(u16, u8)>) {
    let iec = &mut k.hw.vtd.iec;
    let (start, end) = match selection {
        None => (0, iec.len()),
        Some((index, mask)) => {
            let first = usize::from(index) >> mask << mask;
            (first.min(iec.len()), (first + (1 << mask)).min(iec.len()))
        }
    };
    iec[start..end].fill(Irte::default());
}

/// A request of the compatibility format arrives while remapping is enabled: recorded as a fault
/// and refused, unless those pass (5.1.4).
pub(super) fn blocks_compatibility(k: &mut Kernel, source: u16) -> bool {
    // With 32-bit destinations they never pass.
    if k.hw.vtd.gsts & CFI != 0 && !k.hw.vtd.irta_eime {
        return false;
    }
    fault(k, FaultReason::CompatibilityBlocked, source, 0);
    true
}

/// Remaps a request (5.1.4). `None` when it is refused, which is recorded as a fault.
pub(super) fn remap(
    k: &mut Kernel,
    handle: u16,
    subhandle: u16,
    reserved: bool,
    source: u16,
) -> Option<Message> {
    let index = u32::from(handle) + u32::from(subhandle);
    if reserved {
        fault(k, FaultReason::ReservedRequest, source, handle);
        return None;
    }
    if index >= k.hw.vtd.irta_entries {
        fault(k, FaultReason::IndexTooLarge, source, handle);
        return None;
    }
    let irte = fetch(&mut k.hw.vtd, index as usize);
    match check(&irte, source) {
        Err(reason) => {
            if irte.fpd() == 0 {
                fault(k, reason, source, index as u16);
            } else {
                k.hw(|_| Hardware::Fault { source, index: index as u16, reason });
            }
            None
        }
        Ok(mode) => {
            let wide = k.hw.vtd.irta_eime;
            let dest = if wide { irte.dest_id() } else { irte.dest_id() >> 8 & 0xff };
            let logical = irte.dst_mode() != 0;
            let mode = mode.hinted(logical && irte.redir_hint() != 0);
            let (vector, level) = (irte.vector() as u8, irte.trigger_mode() != 0);
            let index = index as u16;
            k.hw(|_| Hardware::Irte { index, source, vector, dest, logical, mode, level });
            Some(Message { dest, wide, logical, mode, vector, level })
        }
    }
}

/// An entry through the cache.
fn fetch(vtd: &mut Vtd, index: usize) -> Irte {
    let Some(cached) = vtd.iec.get_mut(index) else {
        return Irte::default();
    };
    if cached.present() == 0 && vtd.table[index].present() != 0 {
        *cached = vtd.table[index];
    }
    if cached.present() != 0 { *cached } else { vtd.table[index] }
}

fn check(irte: &Irte, source: u16) -> Result<DeliveryMode, FaultReason> {
    if irte.present() == 0 {
        return Err(FaultReason::NotPresent);
    }
    // Bits 14:12 and 31:24 of a remapped entry are reserved; posted entries are not modelled.
    if irte.low & 0xff00_7000 != 0 || irte.high >> 20 != 0 || irte.pst() != 0 {
        return Err(FaultReason::ReservedIrte);
    }
    let mode = DeliveryMode::from_bits(irte.dlvry_mode()).ok_or(FaultReason::ReservedIrte)?;
    let sid = irte.sid() as u16;
    let verified = match irte.svt() {
        0 => true,
        1 => {
            let ignored = [0, 0b100, 0b110, 0b111][irte.sq() as usize];
            (sid ^ source) & !ignored == 0
        }
        2 => (sid >> 8..=sid & 0xff).contains(&(source >> 8)),
        _ => return Err(FaultReason::ReservedIrte),
    };
    if verified { Ok(mode) } else { Err(FaultReason::SourceId) }
}

/// Records a fault and raises the fault event (7.2, 7.4); with a record still there it is lost.
fn fault(k: &mut Kernel, reason: FaultReason, source: u16, index: u16) {
    k.hw(|_| Hardware::Fault { source, index, reason });
    let vtd = &mut k.hw.vtd;
    if vtd.frcd.is_some() {
        vtd.fsts |= PFO;
        return;
    }
    vtd.frcd = Some(FaultRecord { reason, source, index });
    let was = vtd.fsts & PPF != 0;
    vtd.fsts |= PPF;
    if !was {
        vtd.fectl |= FECTL_IP;
        fault_event(k);
    }
}

fn fault_event(k: &mut Kernel) {
    let Vtd { fectl, fedata, feaddr, .. } = k.hw.vtd;
    if fectl & FECTL_IP != 0 && fectl & FECTL_IM == 0 {
        k.hw.vtd.fectl &= !FECTL_IP;
        // 5.1.6: fault events are not remapped themselves.
        bus::msi_write_unmapped(k, feaddr, fedata);
    }
}

/// Fault event control register: unmasking sends what waited.
pub fn write_fectl(k: &mut Kernel, value: u32) {
    let vtd = &mut k.hw.vtd;
    vtd.fectl = value & FECTL_IM | vtd.fectl & FECTL_IP;
    fault_event(k);
}

/// Software takes the fault record (clears F of FRCD); the last one clears PPF.
pub fn take_fault(k: &mut Kernel) -> Option<FaultRecord> {
    let vtd = &mut k.hw.vtd;
    vtd.fsts &= !PPF;
    vtd.fectl &= !FECTL_IP;
    vtd.frcd.take()
}

/// Fault status register: writing ones clears PFO.
pub fn write_fsts(k: &mut Kernel, value: u32) {
    k.hw.vtd.fsts &= !(value & PFO);
}
