//! Moves of an interrupt that wait for the interrupt itself: kernel/irq/migration.c of 5.4 and
//! 6.12.

use kfn::kfn;
use kstate::irqchip::IRQCHIP_MOVE_DEFERRED;
use kstate::irqdesc::*;
use kstate::{CpuMask, Errno, Irq, Kernel};

use crate::manage::irq_do_set_affinity;

/// `irq_can_move_pcntxt()` (kernel/irq/internals.h): an interrupt moves at once, and does not wait for its
/// next occurrence.
pub fn irq_can_move_pcntxt(k: &Kernel, d: Irqd) -> bool {
    if k.sem.move_deferred_by_chip {
        k.chip(d).flags & IRQCHIP_MOVE_DEFERRED == 0
    } else {
        k.desc(d.irq).has(IRQD_MOVE_PCNTXT)
    }
}

/// Cleans up a pending move when a CPU goes. True when the move is pending and an online CPU is
/// among its targets.
#[kfn("kernel/irq/migration.c")]
pub fn irq_fixup_move_pending(k: &mut Kernel, irq: Irq, force_clear: bool) -> bool {
    let desc = k.desc(irq);
    if !desc.has(IRQD_SETAFFINITY_PENDING) {
        return false;
    }
    if !desc.pending_mask.intersects(&k.topo.online) {
        k.desc_mut(irq).clear(IRQD_SETAFFINITY_PENDING);
        return false;
    }
    if force_clear {
        k.desc_mut(irq).clear(IRQD_SETAFFINITY_PENDING);
    }
    true
}

/// Has the first chip that can free the old vector of an interrupt that has moved, because a CPU goes
/// down (6.15).
#[kfn("kernel/irq/migration.c")]
pub fn irq_force_complete_move(k: &mut Kernel, irq: Irq) {
    let mut at = Some(Irqd::top(irq));
    while let Some(d) = at {
        if let Some(complete) = k.chip(d).irq_force_complete_move {
            complete(k, d);
            return;
        }
        at = k.parent_data(d);
    }
}

/// Carries a pending move out. The line is masked.
#[kfn("kernel/irq/migration.c")]
pub fn irq_move_masked_irq(k: &mut Kernel, idata: Irqd) {
    let irq = idata.irq;
    let top = Irqd::top(irq);
    if !k.desc(irq).has(IRQD_SETAFFINITY_PENDING) {
        return;
    }
    k.desc_mut(irq).clear(IRQD_SETAFFINITY_PENDING);
    if k.desc(irq).has(IRQD_PER_CPU) {
        k.warn("WARNING: at kernel/irq/migration.c irq_move_masked_irq");
        return;
    }
    if k.desc(irq).pending_mask.is_empty() || k.chip(top).irq_set_affinity.is_none() {
        return;
    }
    if k.desc(irq).pending_mask.intersects(&k.topo.online) {
        let mask = k.desc(irq).pending_mask.clone();
        // While the last move is not cleaned up the next one waits for another interrupt.
        if irq_do_set_affinity(k, top, &mask, false) == Err(Errno::EBUSY) {
            k.desc_mut(irq).set(IRQD_SETAFFINITY_PENDING);
            return;
        }
    }
    k.desc_mut(irq).pending_mask = CpuMask::new();
}

/// Masks the line, moves it, and unmasks it.
#[kfn("kernel/irq/migration.c")]
pub fn __irq_move_irq(k: &mut Kernel, idata: Irqd) {
    let top = Irqd::top(idata.irq);
    let desc = k.desc(idata.irq);
    if desc.has(IRQD_IRQ_DISABLED) {
        return;
    }
    // A one-shot line may be masked already, and has to stay so.
    let masked = desc.has(IRQD_IRQ_MASKED);
    if !masked && let Some(mask) = k.chip(top).irq_mask {
        mask(k, top);
    }
    irq_move_masked_irq(k, top);
    if !masked && let Some(unmask) = k.chip(top).irq_unmask {
        unmask(k, top);
    }
}

/// `irq_move_irq()`: moves when a move is pending.
pub fn irq_move_irq(k: &mut Kernel, idata: Irqd) {
    if k.desc(idata.irq).has(IRQD_SETAFFINITY_PENDING) {
        __irq_move_irq(k, idata);
    }
}
