//! Chips that do nothing: kernel/irq/dummychip.c of 5.4 and 6.12.

use kstate::irqchip::{IRQCHIP_SKIP_SET_WAKE, IrqChip};
use kstate::irqdesc::Irqd;
use kstate::{ChipId, Kernel};

/// The number of `no_irq_chip`: what an interrupt has before anybody set a chip.
pub const NO_IRQ_CHIP: ChipId = ChipId(0);

fn ack_bad(k: &mut Kernel, d: Irqd) {
    crate::handle::print_irq_desc(k, d.irq);
    if let Some(ack_bad_irq) = k.irq.arch.ack_bad_irq {
        ack_bad_irq(k, d.irq);
    }
}

fn noop(_: &mut Kernel, _: Irqd) {}

fn noop_ret(_: &mut Kernel, _: Irqd) -> u32 {
    0
}

/// `no_irq_chip`: no controller.
pub fn no_irq_chip() -> IrqChip {
    IrqChip {
        name: "none".to_owned(),
        irq_startup: Some(noop_ret),
        irq_shutdown: Some(noop),
        irq_enable: Some(noop),
        irq_disable: Some(noop),
        irq_ack: Some(ack_bad),
        flags: IRQCHIP_SKIP_SET_WAKE,
        ..IrqChip::default()
    }
}

/// `dummy_irq_chip`: a source that needs no service.
pub fn dummy_irq_chip() -> IrqChip {
    IrqChip {
        name: "dummy".to_owned(),
        irq_startup: Some(noop_ret),
        irq_shutdown: Some(noop),
        irq_enable: Some(noop),
        irq_disable: Some(noop),
        irq_ack: Some(noop),
        irq_mask: Some(noop),
        irq_unmask: Some(noop),
        flags: IRQCHIP_SKIP_SET_WAKE,
        ..IrqChip::default()
    }
}
