//! Resending of interrupts that came while they could not be handled: kernel/irq/resend.c of 5.4
//! and 6.12.

use kfn::kfn;
use kstate::irqchip::IrqchipIrqState;
use kstate::irqdesc::*;
use kstate::{Errno, Irq, Kernel};

use crate::chip::{generic_handle_irq_desc, irq_chip_retrigger_hierarchy};
use crate::manage::irq_set_irqchip_state;
use crate::settings::{irq_settings_is_level, irq_settings_is_nested_thread};

/// The tasklet that runs interrupts again by software.
// DEVIATION: nothing in this machine needs it, since the local APIC can retrigger every interrupt.
// It is here for callers that drain the list themselves.
#[kfn("kernel/irq/resend.c")]
fn resend_irqs(k: &mut Kernel) {
    while let Some(irq) = k.irq.resend_list.pop() {
        if k.find_desc(irq).is_some() {
            generic_handle_irq_desc(k, irq);
        }
    }
}

#[kfn("kernel/irq/resend.c")]
fn irq_sw_resend(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    let desc = k.desc(irq);
    // The handlers of such a line insist on interrupt context; a nested line has no parent here.
    if desc.has(IRQD_HANDLE_ENFORCE_IRQCTX) || irq_settings_is_nested_thread(desc) {
        return Err(Errno::EINVAL);
    }
    if !k.irq.resend_list.contains(&irq) {
        k.irq.resend_list.push(irq);
    }
    Ok(())
}

/// `clear_irq_resend()`: a line that is shut down is not resent. 5.4 leaves its bit set, which
/// nobody can see: the flow handler of a line without handlers does nothing.
pub fn clear_irq_resend(k: &mut Kernel, irq: Irq) {
    k.irq.resend_list.retain(|&i| i != irq);
}

#[kfn("kernel/irq/resend.c")]
fn try_retrigger(k: &mut Kernel, irq: Irq) -> bool {
    let d = Irqd::top(irq);
    match k.chip(d).irq_retrigger {
        Some(retrigger) => retrigger(k, d),
        None => irq_chip_retrigger_hierarchy(k, d),
    }
}

/// Resends a pending interrupt, in hardware where possible.
///
/// # Errors
/// `EINVAL` for a level-triggered line, which hardware repeats on its own, `EBUSY` for one that is
/// being resent.
#[kfn("kernel/irq/resend.c")]
pub fn check_irq_resend(k: &mut Kernel, irq: Irq, inject: bool) -> Result<(), Errno> {
    let hierarchy = k.sem.resend_through_hierarchy;
    let desc = k.desc_mut(irq);
    if irq_settings_is_level(desc) {
        desc.istate &= !IRQS_PENDING;
        return Err(Errno::EINVAL);
    }
    if desc.istate & IRQS_REPLAY != 0 {
        return Err(Errno::EBUSY);
    }
    if desc.istate & IRQS_PENDING == 0 && !inject {
        return Ok(());
    }
    desc.istate &= !IRQS_PENDING;
    if hierarchy {
        if !try_retrigger(k, irq) {
            irq_sw_resend(k, irq)?;
        }
        k.desc_mut(irq).istate |= IRQS_REPLAY;
        return Ok(());
    }
    desc.istate |= IRQS_REPLAY;
    let d = Irqd::top(irq);
    let retriggered = k.chip(d).irq_retrigger.is_some_and(|retrigger| retrigger(k, d));
    if !retriggered && !irq_settings_is_nested_thread(k.desc(irq)) && !k.irq.resend_list.contains(&irq) {
        k.irq.resend_list.push(irq);
    }
    Ok(())
}

/// Injects an interrupt from user space (`echo trigger` to its debugfs file).
///
/// # Errors
/// `EINVAL` when it is not activated or cannot be injected, `EBUSY` when it is being resent.
#[kfn("kernel/irq/resend.c")]
pub fn irq_inject_interrupt(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    // A chip that can be told is the first choice; irq_debug_write() of 5.4 begins with it too.
    if irq_set_irqchip_state(k, irq, IrqchipIrqState::Pending, true).is_ok() {
        return Ok(());
    }
    let Some(desc) = k.find_desc(irq) else { return Err(Errno::EINVAL) };
    if k.sem.resend_through_hierarchy {
        if crate::settings::irq_is_nmi(desc) || !desc.has(IRQD_ACTIVATED) {
            return Err(Errno::EINVAL);
        }
        return check_irq_resend(k, irq, true);
    }
    // 5.4 does this in irq_debug_write() and does not look whether the line is activated.
    if irq_settings_is_level(desc) || crate::settings::irq_is_nmi(desc) {
        return Err(Errno::EINVAL);
    }
    k.desc_mut(irq).istate |= IRQS_PENDING;
    let _ = check_irq_resend(k, irq, false);
    Ok(())
}
