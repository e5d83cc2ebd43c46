//! IO-APIC pins.
//!
//! Follows arch/x86/kernel/apic/io_apic.c of 5.4 and 6.12, and the little of
//! arch/x86/kernel/acpi/boot.c that tells it how pins are wired.

#![expect(non_snake_case, reason = "the names of the C functions")]

use irqcore::chip::{
    __irq_set_handler, irq_chip_ack_parent, irq_chip_compose_msi_msg, irq_chip_retrigger_hierarchy,
};
use irqcore::irqdomain::{
    __irq_domain_alloc_irqs, irq_domain_activate_irq, irq_domain_alloc_irqs_parent,
    irq_domain_alloc_named_id_fwnode, irq_domain_create_hierarchy, irq_domain_deactivate_irq,
    irq_domain_free_irqs, irq_domain_free_irqs_top, irq_domain_get_irq_data, irq_find_mapping,
};
use irqcore::migration::irq_move_masked_irq;
use irqcore::settings::{irq_clear_status_flags, irq_set_status_flags};
use kfn::{kfn, kframe};
use kstate::apic::{IoApicRouteEntry, IrqPin, MpChipData, MpcIntsrc, PIC_CASCADE_IR};
use kstate::hw::lapic::{LVT_MASK, Lvt};
use kstate::irqchip::{
    IRQCHIP_AFFINITY_PRE_STARTUP, IRQCHIP_MOVE_DEFERRED, IRQCHIP_SKIP_SET_WAKE, IrqChip, IrqchipIrqState,
    SetMask,
};
use kstate::irqdesc::{ChipData, FlowHandler, IRQ_LEVEL, IRQD_IRQ_MASKED, IRQD_SETAFFINITY_PENDING, Irqd};
use kstate::irqdomain::{AllocType, IrqAllocInfo, IrqDomainOps};
use kstate::msi::MsiMsg;
use kstate::shared::Shared;
use kstate::{CpuMask, DomainId, Errno, Irq, Kernel};

use super::apic::ack_APIC_irq;
use super::i8259;
use super::irq::inc_irq_stat;
use super::irq_remapping::irq_remapping_get_ir_irq_domain;
use super::vector::{apic_ack_irq, init_irq_alloc_info, irq_complete_move, irqd_cfg, nr_legacy_irqs};
use crate::hw::{ioapic, lapic};

/// Allocate the interrupt if the pin has none.
pub const IOAPIC_MAP_ALLOC: u32 = 0x1;
/// Only pins that the firmware tables name.
pub const IOAPIC_MAP_CHECK: u32 = 0x2;
/// Delivery mode SMI of a redirection entry.
const DEST_SMI: u8 = 2;

/// Reads a register.
fn io_apic_read(k: &mut Kernel, reg: u32) -> u32 {
    ioapic::mmio_write(k, 0, reg);
    ioapic::mmio_read(k, 0x10)
}

/// Writes a register.
fn io_apic_write(k: &mut Kernel, reg: u32, value: u32) {
    ioapic::mmio_write(k, 0, reg);
    ioapic::mmio_write(k, 0x10, value);
}

/// `__ioapic_read_entry()`.
fn ioapic_read_entry(k: &mut Kernel, pin: u32) -> IoApicRouteEntry {
    let w1 = io_apic_read(k, 0x10 + 2 * pin);
    let w2 = io_apic_read(k, 0x11 + 2 * pin);
    IoApicRouteEntry::from_words(w1, w2)
}

/// `__ioapic_write_entry()`: the high word first, because the low one may unmask.
fn ioapic_write_entry(k: &mut Kernel, pin: u32, e: IoApicRouteEntry) {
    io_apic_write(k, 0x11 + 2 * pin, e.w2);
    io_apic_write(k, 0x10 + 2 * pin, e.w1());
}

/// The low word first, because it masks.
fn ioapic_mask_entry(k: &mut Kernel, pin: u32) {
    let e = IoApicRouteEntry { masked: true, ..IoApicRouteEntry::default() };
    io_apic_write(k, 0x10 + 2 * pin, e.w1());
    io_apic_write(k, 0x11 + 2 * pin, e.w2);
}

/// Calls `f` for each pin of an interrupt: for one, unless firmware tables are strange.
fn for_each_irq_pin(k: &mut Kernel, irq: Irq, mut f: impl FnMut(&mut Kernel, u32)) {
    let mut i = 0;
    while let Some(&IrqPin { apic: _, pin }) =
        k.apic.mp_chip_data.get(&irq).and_then(|data| data.irq_2_pin.get(i))
    {
        f(k, pin);
        i += 1;
    }
}

/// Adds a pin to an interrupt, once.
fn add_pin_to_irq_node(k: &mut Kernel, irq: Irq, pin: u32) {
    let pins = &mut k.apic.mp_chip_data_mut(irq).irq_2_pin;
    let pin = IrqPin { apic: 0, pin };
    if !pins.contains(&pin) {
        pins.push(pin);
    }
}

/// Masks or unmasks all pins of an interrupt.
fn io_apic_modify_irq(k: &mut Kernel, irq: Irq, masked: bool) {
    let entry = &mut k.apic.mp_chip_data_mut(irq).entry;
    entry.masked = masked;
    let w1 = entry.w1();
    for_each_irq_pin(k, irq, |k, pin| io_apic_write(k, 0x10 + 2 * pin, w1));
}

/// Masks an interrupt.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn mask_ioapic_irq(k: &mut Kernel, irq_data: Irqd) {
    // C then reads a register back, to be sure that the write has arrived.
    io_apic_modify_irq(k, irq_data.irq, true);
}

/// Unmasks an interrupt.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn unmask_ioapic_irq(k: &mut Kernel, irq_data: Irqd) {
    io_apic_modify_irq(k, irq_data.irq, false);
}

/// Clears the remote IRR of a pin, with the EOI register or by turning to edge and back.
fn __eoi_ioapic_pin(k: &mut Kernel, pin: u32, vector: u8) {
    if k.hw.ioapic.version >= 0x20 {
        ioapic::mmio_write(k, 0x40, u32::from(vector));
    } else {
        let entry = ioapic_read_entry(k, pin);
        ioapic_write_entry(k, pin, IoApicRouteEntry { masked: true, is_level: false, ..entry });
        ioapic_write_entry(k, pin, entry);
    }
}

/// The same for all pins of an interrupt.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn eoi_ioapic_pin(k: &mut Kernel, vector: u8, irq: Irq) {
    for_each_irq_pin(k, irq, |k, pin| __eoi_ioapic_pin(k, pin, vector));
}

/// Masks a pin and makes it forget what it was.
fn clear_IO_APIC_pin(k: &mut Kernel, pin: u32) {
    let mut entry = ioapic_read_entry(k, pin);
    if entry.delivery_mode == DEST_SMI {
        return;
    }
    if !entry.masked {
        entry.masked = true;
        ioapic_write_entry(k, pin, entry);
        entry = ioapic_read_entry(k, pin);
    }
    if entry.irr {
        // An EOI only reaches a level-triggered entry.
        if !entry.is_level {
            entry.is_level = true;
            ioapic_write_entry(k, pin, entry);
        }
        __eoi_ioapic_pin(k, pin, entry.vector);
    }
    ioapic_mask_entry(k, pin);
}

/// `disable_ioapic_support()`: interrupts come from the 8259.
pub fn disable_ioapic_support(k: &mut Kernel) {
    k.apic.ioapic_is_disabled = true;
}

/// `noapic`.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn parse_noapic(k: &mut Kernel, _: Option<&str>) -> Result<(), Errno> {
    disable_ioapic_support(k);
    Ok(())
}

/// Takes all pins out of service before they are set up.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn enable_IO_APIC(k: &mut Kernel) {
    if k.apic.ioapic_is_disabled {
        k.apic.nr_ioapic_pins = 0;
    }
    // Firmware left no pin in ExtINT mode, so the 8259 has none.
    for pin in 0..k.apic.nr_ioapic_pins {
        clear_IO_APIC_pin(k, pin);
    }
}

/// Masks every pin, while the entries' format changes (`mask_ioapic_entries()`).
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn mask_ioapic_entries(k: &mut Kernel) {
    for pin in 0..k.apic.nr_ioapic_pins {
        let mut entry = ioapic_read_entry(k, pin);
        if !entry.masked {
            entry.masked = true;
            ioapic_write_entry(k, pin, entry);
        }
    }
}

/// What ACPI says about a q35's pins: the timer on pin 2, and the four interrupts that PCI links can
/// use are level triggered, active high. Each other ISA interrupt is on the pin of its number, but for
/// those that this machine's firmware puts elsewhere.
///
/// Follows `acpi_parse_int_src_ovr()` and `mp_config_acpi_legacy_irqs()`.
// DEVIATION: with noapic C does not read ACPI's entries. The firmware has an MP table that says the same, as
// SeaBIOS writes it, so that there are pins, several CPUs and a top of the GSIs all the same.
// Of the IO-APICs behind the first one only the number of pins counts: nothing is wired to them.
pub fn acpi_parse_madt_ioapic_entries(k: &mut Kernel) {
    k.apic.acpi_ioapic = !k.apic.ioapic_is_disabled;
    let pins = k.hw.ioapic.redirection.len() as u32;
    k.apic.nr_ioapic_pins = pins;
    k.apic.gsi_top = pins + k.apic.more_gsis;
    let mut irqs = vec![MpcIntsrc { srcbusirq: 0, dstirq: 2, level_low: None }];
    irqs.extend_from_slice(&k.apic.madt_overrides);
    let moved = |irq| k.apic.madt_overrides.iter().any(|e| e.srcbusirq == irq);
    for irq in [5, 9, 10, 11].into_iter().filter(|&irq| !moved(irq)) {
        irqs.push(MpcIntsrc { srcbusirq: irq, dstirq: irq, level_low: Some((true, false)) });
    }
    for irq in 0..nr_legacy_irqs() {
        // The interrupt has a pin, or its pin has an interrupt.
        if irqs.iter().all(|e| e.srcbusirq != irq && e.dstirq != irq) {
            irqs.push(MpcIntsrc { srcbusirq: irq, dstirq: irq, level_low: None });
        }
    }
    k.apic.mp_irqs = Shared::new(irqs);
}

/// The firmware's entry for a pin.
fn find_irq_entry(k: &Kernel, pin: u32) -> Option<MpcIntsrc> {
    k.apic.mp_irqs.iter().copied().find(|e| e.dstirq == pin)
}

/// The pin of an ISA interrupt.
fn find_isa_irq_pin(k: &Kernel, irq: u32) -> Option<u32> {
    k.apic.mp_irqs.iter().find(|e| e.srcbusirq == irq).map(|e| e.dstirq)
}

/// Trigger and polarity the firmware gives to a global interrupt: level, active low.
pub fn acpi_get_override_irq(k: &Kernel, gsi: u32) -> Option<(bool, bool)> {
    // ISA interrupts that conform to their bus are edges, active high.
    find_irq_entry(k, gsi).map(|e| e.level_low.unwrap_or((false, false)))
}

/// Completes a description for one pin.
fn ioapic_copy_alloc_attr(k: &Kernel, src: Option<&IrqAllocInfo>, gsi: u32, pin: u32) -> IrqAllocInfo {
    let mut dst = src.cloned().unwrap_or_else(|| init_irq_alloc_info(None));
    let src_valid = dst.valid;
    dst.kind = AllocType::IoApic;
    dst.ioapic_pin = pin;
    dst.valid = true;
    if !src_valid {
        dst.node = -1;
        // PCI interrupts are level triggered, active low.
        (dst.trigger_level, dst.polarity_low) = acpi_get_override_irq(k, gsi).unwrap_or((true, true));
    }
    dst
}

/// Installs the flow handler for a trigger mode.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn mp_register_handler(k: &mut Kernel, irq: Irq, level: bool) {
    let (handler, name) = if level {
        irq_set_status_flags(k, irq, IRQ_LEVEL);
        (FlowHandler::HandleFasteoiIrq, "fasteoi")
    } else {
        irq_clear_status_flags(k, irq, IRQ_LEVEL);
        (FlowHandler::HandleEdgeIrq, "edge")
    };
    __irq_set_handler(k, irq, handler, false, Some(name));
}

/// The pin's attributes are what the caller asks for. The first user of an ISA interrupt may change
/// them.
fn mp_check_pin_attr(k: &mut Kernel, irq: Irq, info: &IrqAllocInfo) -> bool {
    let (level, low) = (info.trigger_level, info.polarity_low);
    let data = k.apic.mp_chip_data_mut(irq);
    if irq.0 < nr_legacy_irqs() && data.count == 1 {
        if level != data.is_level {
            mp_register_handler(k, irq, level);
        }
        let data = k.apic.mp_chip_data_mut(irq);
        (data.is_level, data.entry.is_level) = (level, level);
        (data.active_low, data.entry.active_low) = (low, low);
    }
    let data = k.apic.mp_chip_data_mut(irq);
    data.is_level == level && data.active_low == low
}

/// Allocates the interrupt of a pin that is no ISA interrupt; its number is the GSI.
fn alloc_irq_from_domain(
    k: &mut Kernel,
    domain: DomainId,
    gsi: u32,
    info: &mut IrqAllocInfo,
) -> Result<Irq, Errno> {
    // One of the first 16 that is no ISA interrupt gets any number.
    let irq = (!k.apic.ioapic_initialized || gsi >= nr_legacy_irqs()).then_some(Irq(gsi));
    let legacy = irq.is_some_and(|irq| irq.0 < nr_legacy_irqs());
    let node = info.node;
    __irq_domain_alloc_irqs(k, domain, irq, 1, node, info, legacy, None)
}

/// Puts an ISA interrupt, whose descriptor exists, on a pin.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn alloc_isa_irq_from_domain(
    k: &mut Kernel,
    domain: DomainId,
    irq: Irq,
    ioapic: u32,
    pin: u32,
    info: &mut IrqAllocInfo,
) -> Result<Irq, Errno> {
    let _ = (ioapic, pin);
    if k.find_desc(irq).is_some_and(|d| d.irq_data.len() > 1) {
        // A second pin of the same interrupt.
        if !mp_check_pin_attr(k, irq, info) {
            return Err(Errno::EBUSY);
        }
        add_pin_to_irq_node(k, irq, info.ioapic_pin);
        return Ok(irq);
    }
    info.legacy = true;
    let node = info.node;
    let irq = __irq_domain_alloc_irqs(k, domain, Some(irq), 1, node, info, true, None)?;
    k.apic.mp_chip_data_mut(irq).isa_irq = true;
    Ok(irq)
}

/// The interrupt of a pin, allocated if asked for.
fn mp_map_pin_to_irq(
    k: &mut Kernel,
    gsi: u32,
    entry: Option<MpcIntsrc>,
    pin: u32,
    flags: u32,
    info: Option<&IrqAllocInfo>,
) -> Result<Irq, Errno> {
    let domain = k.apic.ioapic_domain.ok_or(Errno::ENOSYS)?;
    let isa = entry.map(|e| Irq(e.srcbusirq)).filter(|irq| irq.0 < nr_legacy_irqs());
    if k.sem.isa_irq2_refused && isa == Some(Irq(PIC_CASCADE_IR)) {
        return Err(Errno::EINVAL);
    }

    if flags & IOAPIC_MAP_ALLOC == 0 {
        return match isa {
            Some(irq) => Ok(irq),
            None => irq_find_mapping(k, domain, u64::from(pin)).ok_or(Errno::ENOENT),
        };
    }
    let mut tmp = ioapic_copy_alloc_attr(k, info, gsi, pin);
    let irq = if let Some(irq) = isa {
        alloc_isa_irq_from_domain(k, domain, irq, 0, pin, &mut tmp)?
    } else if let Some(irq) = irq_find_mapping(k, domain, u64::from(pin)) {
        if !mp_check_pin_attr(k, irq, &tmp) {
            return Err(Errno::EBUSY);
        }
        irq
    } else {
        alloc_irq_from_domain(k, domain, gsi, &mut tmp)?
    };
    k.apic.mp_chip_data_mut(irq).count += 1;
    Ok(irq)
}

/// The interrupt of a global interrupt number.
///
/// # Errors
/// `ENODEV` for a number of no IO-APIC, `ENOENT` if it has no interrupt and none is to be allocated,
/// `EBUSY` if the pin is in use with another trigger mode.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn mp_map_gsi_to_irq(
    k: &mut Kernel,
    gsi: u32,
    flags: u32,
    info: Option<&IrqAllocInfo>,
) -> Result<Irq, Errno> {
    if gsi >= k.apic.nr_ioapic_pins {
        return Err(Errno::ENODEV);
    }
    let entry = find_irq_entry(k, gsi);
    if flags & IOAPIC_MAP_CHECK != 0 && entry.is_none() {
        return Err(Errno::ENODEV);
    }
    mp_map_pin_to_irq(k, gsi, entry, gsi, flags, info)
}

/// Drops a user of a pin's interrupt, and the interrupt with the last one.
#[kframe("arch/x86/kernel/apic/io_apic.c")]
pub fn mp_unmap_irq(k: &mut Kernel, irq: Irq) {
    let mut last: bool = false;
    // An ISA interrupt never loses its last user.
    if let Some(data) = k.apic.mp_chip_data.get_mut(&irq).filter(|data| !data.isa_irq) {
        data.count = data.count.saturating_sub(1);
        last = data.count == 0;
    }
    if last {
        call!(irq_domain_free_irqs(irq, 1));
    }
}

/// Gives the ISA interrupts their pins.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn setup_IO_APIC_irqs(k: &mut Kernel) {
    for pin in 0..k.apic.nr_ioapic_pins {
        if let Some(entry) = find_irq_entry(k, pin) {
            // C does not look at the result: a pin that nobody gets stays as it is.
            let _ = mp_map_pin_to_irq(k, pin, Some(entry), pin, IOAPIC_MAP_ALLOC, None);
        }
    }
}

/// Unmasks a pin. True if the 8259 saw an edge meanwhile.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn startup_ioapic_irq(k: &mut Kernel, data: Irqd) -> u32 {
    let irq = data.irq;
    let mut was_pending = 0;
    if irq.0 < nr_legacy_irqs() {
        i8259::mask_8259A_irq(k, irq.0);
        was_pending = u32::from(i8259::i8259A_irq_pending(k, irq.0));
    }
    io_apic_modify_irq(k, irq, false);
    was_pending
}

/// A pin has been sent but not ended.
fn io_apic_level_ack_pending(k: &mut Kernel, irq: Irq) -> bool {
    let mut pending = false;
    for_each_irq_pin(k, irq, |k, pin| pending |= ioapic_read_entry(k, pin).irr);
    pending
}

/// `ioapic_irqd_mask()` (5.4), `ioapic_prepare_move()` (6.12): masks an interrupt that is to move.
fn ioapic_prepare_move(k: &mut Kernel, data: Irqd) -> bool {
    if !k.desc(data.irq).has(IRQD_SETAFFINITY_PENDING) {
        return false;
    }
    if !(k.sem.ioapic_move_keeps_masked && k.desc(data.irq).has(IRQD_IRQ_MASKED)) {
        mask_ioapic_irq(k, data);
    }
    true
}

/// `ioapic_irqd_unmask()` (5.4), `ioapic_finish_move()` (6.12): moves it, once the EOI has arrived.
fn ioapic_finish_move(k: &mut Kernel, data: Irqd, moveit: bool) {
    if !moveit {
        return;
    }
    if !io_apic_level_ack_pending(k, data.irq) {
        irq_move_masked_irq(k, data);
    }
    if !(k.sem.ioapic_move_keeps_masked && k.desc(data.irq).has(IRQD_IRQ_MASKED)) {
        unmask_ioapic_irq(k, data);
    }
}

/// Ends a level-triggered interrupt.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn ioapic_ack_level(k: &mut Kernel, irq_data: Irqd) {
    let irq = irq_data.irq;
    irq_complete_move(k, irq);
    let masked = ioapic_prepare_move(k, irq_data);

    // An interrupt that fixup_irqs() sent on as an IPI is an edge to the local APIC, whose EOI then
    // does not reach the IO-APIC.
    let vector = irqd_cfg(k, irq).unwrap_or_default().vector as u8;
    let was_level = k.hw.lapics[k.cpu().index()].tmr.test(vector);
    ack_APIC_irq(k);
    if !was_level {
        inc_irq_stat(k, |stat| &mut stat.irq_mis_count);
        let vector = irqd_cfg(k, irq).unwrap_or_default().vector as u8;
        eoi_ioapic_pin(k, vector, irq);
    }
    ioapic_finish_move(k, irq_data, masked);
}

/// Ends a level-triggered interrupt that is remapped: the entry's vector is the pin's number, which
/// the local APIC's EOI does not name.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn ioapic_ir_ack_level(k: &mut Kernel, irq_data: Irqd) {
    apic_ack_irq(k, irq_data);
    let vector = k.apic.mp_chip_data_mut(irq_data.irq).entry.vector;
    eoi_ioapic_pin(k, vector, irq_data.irq);
}

/// Takes the routing part of an entry from the message that the parent composes (6.12).
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn ioapic_setup_msg_from_msi(k: &mut Kernel, irq_data: Irqd) {
    let mut msg = MsiMsg::default();
    let _ = irq_chip_compose_msi_msg(k, irq_data, &mut msg);
    let entry = &mut k.apic.mp_chip_data_mut(irq_data.irq).entry;
    entry.vector = msg.data as u8;
    entry.delivery_mode = (msg.data >> 8 & 7) as u8;
    entry.dest_mode_logical = msg.address_lo >> 2 & 1 != 0;
    // Format bit and index, or destination: bits 4 to 19 of the address.
    entry.w2 = (msg.address_lo >> 4 & 0xffff) << 16;
}

/// Writes an interrupt's entry to its pins.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn ioapic_configure_entry(k: &mut Kernel, irqd: Irqd) {
    let irq = irqd.irq;
    if k.sem.ioapic_entry_from_msi {
        ioapic_setup_msg_from_msi(k, irqd);
    } else if k.irqd(irqd).chip == k.apic.chips.ioapic_chip {
        // Behind the remapping domain the entry never changes.
        let cfg = irqd_cfg(k, irq).unwrap_or_default();
        let entry = &mut k.apic.mp_chip_data_mut(irq).entry;
        entry.set_dest(cfg.dest_apicid);
        entry.vector = cfg.vector as u8;
    }
    let entry = k.apic.mp_chip_data_mut(irq).entry;
    for_each_irq_pin(k, irq, |k, pin| ioapic_write_entry(k, pin, entry));
}

/// Moves an interrupt.
///
/// # Errors
/// Those of the parent.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn ioapic_set_affinity(
    k: &mut Kernel,
    irq_data: Irqd,
    mask: &CpuMask,
    force: bool,
) -> Result<SetMask, Errno> {
    let parent = irq_data.parent();
    let set_affinity = k.chip(parent).irq_set_affinity.ok_or(Errno::ENOSYS)?;
    let ret = set_affinity(k, parent, mask, force)?;
    if ret != SetMask::OkDone {
        ioapic_configure_entry(k, irq_data);
    }
    Ok(ret)
}

/// Whether a level-triggered interrupt was sent and not ended.
///
/// # Errors
/// `EINVAL` for any other question.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn ioapic_irq_get_chip_state(k: &mut Kernel, irqd: Irqd, which: IrqchipIrqState) -> Result<bool, Errno> {
    if which != IrqchipIrqState::Active {
        return Err(Errno::EINVAL);
    }
    // Remote IRR means nothing for an edge.
    let mut active = false;
    for_each_irq_pin(k, irqd.irq, |k, pin| {
        let entry = ioapic_read_entry(k, pin);
        active |= entry.irr && entry.is_level;
    });
    Ok(active)
}

/// `ioapic_chip` and `ioapic_ir_chip`.
fn ioapic_chip(k: &Kernel, name: &str, eoi: fn(&mut Kernel, Irqd)) -> IrqChip {
    let mut flags = IRQCHIP_SKIP_SET_WAKE;
    if k.sem.chips_set_affinity_pre_startup {
        flags |= IRQCHIP_AFFINITY_PRE_STARTUP;
    }
    if k.sem.move_deferred_by_chip && name == "IO-APIC" {
        flags |= IRQCHIP_MOVE_DEFERRED;
    }
    IrqChip {
        name: name.to_owned(),
        irq_startup: Some(startup_ioapic_irq),
        irq_mask: Some(mask_ioapic_irq),
        irq_unmask: Some(unmask_ioapic_irq),
        irq_ack: Some(irq_chip_ack_parent),
        irq_eoi: Some(eoi),
        irq_set_affinity: Some(ioapic_set_affinity),
        irq_retrigger: Some(irq_chip_retrigger_hierarchy),
        irq_get_irqchip_state: Some(ioapic_irq_get_chip_state),
        flags,
        ..IrqChip::default()
    }
}

/// Registers the chips.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn arch_early_ioapic_init(k: &mut Kernel) {
    let chip = ioapic_chip(k, "IO-APIC", ioapic_ack_level);
    k.apic.chips.ioapic_chip = k.irq.add_chip(chip);
    let chip = ioapic_chip(k, "IR-IO-APIC", ioapic_ir_ack_level);
    k.apic.chips.ioapic_ir_chip = k.irq.add_chip(chip);
    k.apic.chips.i8259a_chip = k.irq.add_chip(i8259::i8259A_chip());
}

/// Lets the timer interrupt come through the IO-APIC and sees that it does.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn check_timer(k: &mut Kernel) {
    i8259::mask_8259A_irq(k, 0);
    let cpu = k.cpu();
    lapic::set_lvt(k, cpu, Lvt::Lint0, LVT_MASK | 0x700);
    i8259::init_8259A(k, true);

    let Some(pin) = find_isa_irq_pin(k, 0) else { return };
    let irq_data = Irqd::top(Irq(0));
    if find_irq_entry(k, pin).is_some_and(|e| e.level_low.is_some_and(|(level, _)| level)) {
        unmask_ioapic_irq(k, irq_data);
    }
    irq_domain_deactivate_irq(k, irq_data);
    // C does not look at the result but at whether the timer ticks, which it does here.
    let _ = irq_domain_activate_irq(k, irq_data, false);
}

/// Creates the IO-APIC's domain.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
fn mp_irqdomain_create(k: &mut Kernel) {
    let info = IrqAllocInfo { kind: AllocType::IoApic, ..init_irq_alloc_info(None) };
    let remapped = irq_remapping_get_ir_irq_domain(k, &info);
    // 6.12 always names the domain after the IO-APIC's id; it finds the parent by asking every
    // domain whether it serves IO-APICs (x86_vector_select()), which has the same answer.
    let name = if remapped.is_some() && !k.sem.ioapic_entry_from_msi { "IO-APIC-IR" } else { "IO-APIC" };
    let id = if k.sem.ioapic_entry_from_msi { i32::from(k.hw.ioapic.id) } else { 0 };
    let fwnode = irq_domain_alloc_named_id_fwnode(k, name, id);
    let parent = remapped.unwrap_or(k.apic.x86_vector_domain);
    let pins = k.apic.nr_ioapic_pins;
    let ops = MP_IOAPIC_IRQDOMAIN_OPS;
    let domain = irq_domain_create_hierarchy(k, Some(parent), 0, pins, &fwnode, ops);
    k.apic.ioapic_domain = Some(domain);
    // mp_irqdomain_create() of the other IO-APICs goes on from there.
    k.apic.ioapic_dynirq_base = k.apic.ioapic_dynirq_base.max(pins + k.apic.more_gsis);
}

/// Takes the legacy interrupts over from the 8259.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn setup_IO_APIC(k: &mut Kernel) {
    if k.apic.ioapic_is_disabled || k.apic.nr_ioapic_pins == 0 {
        return;
    }
    // IRQ 2 stays the cascade.
    k.apic.io_apic_irqs = !(1 << PIC_CASCADE_IR);
    mp_irqdomain_create(k);
    setup_IO_APIC_irqs(k);
    check_timer(k);
    k.apic.ioapic_initialized = true;
}

/// The lowest number of an interrupt without a fixed one: above all pins.
pub fn arch_dynirq_lower_bound(k: &Kernel, from: u32) -> u32 {
    match (k.apic.ioapic_dynirq_base, k.apic.gsi_top) {
        (0, 0) => from,
        (0, gsi_top) => gsi_top,
        (base, _) => base,
    }
}

/// The entry of a pin that is not remapped (5.4).
fn mp_setup_entry(k: &mut Kernel, irq: Irq) {
    let cfg = irqd_cfg(k, irq).unwrap_or_default();
    let logical = k.apic.driver.dest_mode_logical();
    let data = k.apic.mp_chip_data_mut(irq);
    data.entry = IoApicRouteEntry {
        vector: cfg.vector as u8,
        dest_mode_logical: logical,
        active_low: data.active_low,
        is_level: data.is_level,
        masked: data.is_level,
        ..IoApicRouteEntry::default()
    };
    data.entry.set_dest(cfg.dest_apicid);
}

/// The entry of a pin before anyone says where it leads (6.12).
fn mp_preconfigure_entry(k: &mut Kernel, irq: Irq) {
    let data = k.apic.mp_chip_data_mut(irq);
    data.entry = IoApicRouteEntry {
        active_low: data.active_low,
        is_level: data.is_level,
        masked: data.is_level,
        ..IoApicRouteEntry::default()
    };
}

/// Sets up a pin's interrupt.
///
/// # Errors
/// `EINVAL` for more than one, `EEXIST` for a pin in use, those of the parent.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn mp_irqdomain_alloc(
    k: &mut Kernel,
    domain: DomainId,
    virq: Irq,
    nr_irqs: u32,
    info: &mut IrqAllocInfo,
) -> Result<(), Errno> {
    if nr_irqs > 1 {
        return Err(Errno::EINVAL);
    }
    let irq_data = irq_domain_get_irq_data(k, domain, virq).ok_or(Errno::EINVAL)?;
    let pin = info.ioapic_pin;
    if irq_find_mapping(k, domain, u64::from(pin)).is_some_and(|irq| irq.0 > 0) {
        return Err(Errno::EEXIST);
    }

    info.ioapic_entry = None;
    irq_domain_alloc_irqs_parent(k, domain, virq, nr_irqs, info)?;

    let remapped = k.domain(domain).parent != Some(k.apic.x86_vector_domain);
    let chips = k.apic.chips;
    let data = k.irqd_mut(irq_data);
    data.hwirq = u64::from(pin);
    data.chip = if remapped { chips.ioapic_ir_chip } else { chips.ioapic_chip };
    data.chip_data = ChipData::IoApic;

    // Trigger and polarity: mp_irqdomain_get_attr().
    let (is_level, active_low) = if info.valid {
        (info.trigger_level, info.polarity_low)
    } else {
        acpi_get_override_irq(k, pin).unwrap_or((true, true))
    };
    let data = MpChipData { is_level, active_low, ..MpChipData::default() };
    k.apic.mp_chip_data.insert(virq, data);
    add_pin_to_irq_node(k, virq, pin);

    if k.sem.ioapic_entry_from_msi {
        mp_preconfigure_entry(k, virq);
    } else if let Some(entry) = info.ioapic_entry {
        // The remapping driver wrote it while it allocated.
        k.apic.mp_chip_data_mut(virq).entry = entry;
    } else {
        mp_setup_entry(k, virq);
    }
    mp_register_handler(k, virq, is_level);
    if virq.0 < nr_legacy_irqs() {
        i8259::mask_8259A_irq(k, virq.0);
    }
    Ok(())
}

/// Frees a pin's interrupt.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn mp_irqdomain_free(k: &mut Kernel, domain: DomainId, virq: Irq, nr_irqs: u32) {
    k.apic.mp_chip_data.remove(&virq);
    irq_domain_free_irqs_top(k, domain, virq, nr_irqs);
}

/// Writes a pin's entry.
///
/// # Errors
/// None; C returns 0.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn mp_irqdomain_activate(
    k: &mut Kernel,
    domain: DomainId,
    irq_data: Irqd,
    reserve: bool,
) -> Result<(), Errno> {
    let _ = (domain, reserve);
    ioapic_configure_entry(k, irq_data);
    Ok(())
}

/// Masks a pin and clears its entry.
#[kfn("arch/x86/kernel/apic/io_apic.c")]
pub fn mp_irqdomain_deactivate(k: &mut Kernel, domain: DomainId, irq_data: Irqd) {
    let _ = domain;
    let pin = k.irqd(irq_data).hwirq as u32;
    ioapic_mask_entry(k, pin);
}

/// `mp_ioapic_irqdomain_ops`.
pub const MP_IOAPIC_IRQDOMAIN_OPS: IrqDomainOps = IrqDomainOps {
    name: "mp_ioapic_irqdomain_ops",
    alloc: Some(mp_irqdomain_alloc),
    free: Some(mp_irqdomain_free),
    activate: Some(mp_irqdomain_activate),
    deactivate: Some(mp_irqdomain_deactivate),
    debug_show: None,
};
