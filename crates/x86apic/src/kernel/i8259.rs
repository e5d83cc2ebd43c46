//! The pair of 8259 interrupt controllers.
//!
//! Follows arch/x86/kernel/i8259.c of 5.4 and 6.12. Once the IO-APIC works the pair stays masked;
//! only IRQ 2, its cascade, keeps the chip.

#![expect(non_snake_case, reason = "the names of the C functions")]

use kfn::kfn;
use kstate::Kernel;
use kstate::apic::{PIC_CASCADE_IR, isa_irq_vector};
use kstate::irqchip::IrqChip;
use kstate::irqdesc::Irqd;

use crate::hw::pic;

/// Writes the cached mask bits of the controller that has `irq`.
fn write_mask(k: &mut Kernel, irq: u32) {
    let chip = usize::from(irq & 8 != 0);
    let mask = k.apic.cached_irq_mask.to_le_bytes()[chip];
    pic::write(k, chip, true, mask);
}

/// Masks an input.
#[kfn("arch/x86/kernel/i8259.c")]
pub(crate) fn mask_8259A_irq(k: &mut Kernel, irq: u32) {
    k.apic.cached_irq_mask |= 1 << irq;
    write_mask(k, irq);
}

/// Unmasks an input.
#[kfn("arch/x86/kernel/i8259.c")]
fn unmask_8259A_irq(k: &mut Kernel, irq: u32) {
    k.apic.cached_irq_mask &= !(1 << irq);
    write_mask(k, irq);
}

/// Masks an interrupt.
#[kfn("arch/x86/kernel/i8259.c")]
fn disable_8259A_irq(k: &mut Kernel, data: Irqd) {
    mask_8259A_irq(k, data.irq.0);
}

/// Unmasks an interrupt.
#[kfn("arch/x86/kernel/i8259.c")]
fn enable_8259A_irq(k: &mut Kernel, data: Irqd) {
    unmask_8259A_irq(k, data.irq.0);
}

/// An input requests service.
#[kfn("arch/x86/kernel/i8259.c")]
pub(crate) fn i8259A_irq_pending(k: &mut Kernel, irq: u32) -> bool {
    u16::from_le_bytes(k.hw.pic.irr) >> irq & 1 != 0
}

/// Masks an interrupt and ends it with a specific EOI, the slave's also at the cascade.
#[kfn("arch/x86/kernel/i8259.c")]
fn mask_and_ack_8259A(k: &mut Kernel, data: Irqd) {
    let irq = data.irq.0;
    mask_8259A_irq(k, irq);
    let eoi = 0x60 | (irq & 7) as u8;
    if irq & 8 != 0 {
        pic::write(k, 1, false, eoi);
        pic::write(k, 0, false, 0x60 | PIC_CASCADE_IR as u8);
    } else {
        pic::write(k, 0, false, eoi);
    }
}

/// Masks both controllers, whatever the cached bits say.
#[kfn("arch/x86/kernel/i8259.c")]
pub(crate) fn mask_8259A(k: &mut Kernel) {
    pic::write(k, 0, true, 0xff);
    pic::write(k, 1, true, 0xff);
}

/// Writes the cached mask bits back.
#[kfn("arch/x86/kernel/i8259.c")]
pub(crate) fn unmask_8259A(k: &mut Kernel) {
    write_mask(k, 0);
    write_mask(k, 8);
}

/// Programs both controllers: vectors from ISA interrupt 0's on, slave on input 2.
#[kfn("arch/x86/kernel/i8259.c")]
pub(crate) fn init_8259A(k: &mut Kernel, auto_eoi: bool) {
    pic::write(k, 0, true, 0xff);
    let icw4 = if auto_eoi { 0x03 } else { 0x01 };
    let words = [
        (0, [0x11, isa_irq_vector(0) as u8, 1 << PIC_CASCADE_IR, icw4]),
        (1, [0x11, isa_irq_vector(8) as u8, PIC_CASCADE_IR as u8, 0x01]),
    ];
    for (chip, icw) in words {
        for (i, word) in icw.into_iter().enumerate() {
            pic::write(k, chip, i > 0, word);
        }
    }
    unmask_8259A(k);
}

/// `i8259A_chip`. In automatic EOI mode masking is all there is to an acknowledgement; the chip here
/// always sends the EOI, which then ends nothing.
pub fn i8259A_chip() -> IrqChip {
    IrqChip {
        name: "XT-PIC".to_owned(),
        irq_mask: Some(disable_8259A_irq),
        irq_disable: Some(disable_8259A_irq),
        irq_unmask: Some(enable_8259A_irq),
        irq_mask_ack: Some(mask_and_ack_8259A),
        ..IrqChip::default()
    }
}
