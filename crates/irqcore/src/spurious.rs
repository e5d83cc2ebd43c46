//! Lines that nobody handles: kernel/irq/spurious.c of 5.4 and 6.12.
//!
//! # What it doesn't implement
//! The timer that polls a line which was switched off.

use core::fmt::Write as _;

use kfn::kfn;
use kstate::irqdesc::*;
use kstate::{Irq, Kernel};

use crate::chip::irq_disable;
use crate::handle::{IRQ_HANDLED, IRQ_WAKE_THREAD, NO_POINTER, handle_irq_event};
use crate::settings::{irq_settings_is_nested_thread, irq_settings_is_per_cpu, irq_settings_is_polled};

/// A tenth of a second: unhandled interrupts further apart are not a storm.
const UNHANDLED_INTERVAL_NS: u64 = 100_000_000;
const SPURIOUS_DEFERRED: u32 = 0x8000_0000;

#[kfn("kernel/irq/spurious.c")]
fn __report_bad_irq(k: &mut Kernel, irq: Irq) {
    k.log.push(format!("irq {irq}: nobody cared (try booting with the \"irqpoll\" option)"));
    k.log.push("handlers:".to_owned());
    for n in 0..k.desc(irq).action.len() {
        let action = &k.desc(irq).action[n];
        // DEVIATION: pointers have no value here: `%p` reads as before the kernel can hash them.
        let mut line = format!("[<{NO_POINTER}>] {}", action.handler.name);
        if let Some(thread_fn) = action.thread_fn {
            let _ = write!(line, " threaded [<{NO_POINTER}>] {}", thread_fn.name);
        }
        k.log.push(line);
    }
}

/// Counts interrupts that nobody handled, and switches a line off that has too many.
#[kfn("kernel/irq/spurious.c")]
pub fn note_interrupt(k: &mut Kernel, irq: Irq, action_ret: u32) {
    let now = k.events.now;
    let skip_clean = k.sem.note_interrupt_skips_clean;
    let mut action_ret = action_ret;
    let desc = k.desc_mut(irq);
    if desc.istate & IRQS_POLL_INPROGRESS != 0 || irq_settings_is_polled(desc) {
        return;
    }
    if action_ret & IRQ_WAKE_THREAD != 0 {
        if action_ret == IRQ_WAKE_THREAD {
            // Whether the thread handles it is known with the next interrupt; bit 31 says that such
            // an answer is due.
            if desc.threads_handled_last & SPURIOUS_DEFERRED == 0 {
                desc.threads_handled_last |= SPURIOUS_DEFERRED;
                return;
            }
            let handled = desc.threads_handled | SPURIOUS_DEFERRED;
            if handled != desc.threads_handled_last {
                action_ret = IRQ_HANDLED;
                desc.threads_handled_last = handled;
            } else {
                action_ret = 0;
            }
        } else {
            // A hard handler of the line has handled it: the threads do not matter.
            desc.threads_handled_last &= !SPURIOUS_DEFERRED;
        }
    }
    if action_ret == 0 {
        if now > desc.last_unhandled + UNHANDLED_INTERVAL_NS {
            desc.irqs_unhandled = 1;
        } else {
            desc.irqs_unhandled += 1;
        }
        desc.last_unhandled = now;
    }
    if try_misrouted_irq(k, irq, action_ret) {
        let ok = misrouted_irq(k, irq);
        if action_ret == 0 {
            let desc = k.desc_mut(irq);
            desc.irqs_unhandled = desc.irqs_unhandled.wrapping_sub(u32::from(ok));
        }
    }
    let desc = k.desc_mut(irq);
    if skip_clean && desc.irqs_unhandled == 0 {
        return;
    }
    desc.irq_count += 1;
    if desc.irq_count < 100_000 {
        return;
    }
    desc.irq_count = 0;
    if desc.irqs_unhandled > 99_900 {
        __report_bad_irq(k, irq);
        k.pr_warn(format!("Disabling IRQ #{irq}"));
        let desc = k.desc_mut(irq);
        desc.istate |= IRQS_SPURIOUS_DISABLED;
        desc.depth += 1;
        irq_disable(k, irq);
        // DEVIATION: the timer that polls the line ten times a second is not started.
    }
    k.desc_mut(irq).irqs_unhandled = 0;
}

/// `noirqdebug`.
pub fn noirqdebug_setup(k: &mut Kernel, _: &str) -> bool {
    k.irq.noirqdebug = true;
    k.log.push("IRQ lockup detection disabled".to_owned());
    true
}

/// Whether the other lines are asked: none of this one's handlers took it, or with `irqpoll` one of them wants
/// them asked in any case.
// DEVIATION: the timer does not tick here, so that irqpoll asks nobody at its interrupts.
fn try_misrouted_irq(k: &Kernel, irq: Irq, action_ret: u32) -> bool {
    match k.irq.irqfixup {
        0 => false,
        _ if action_ret == 0 => true,
        1 => false,
        _ => irq.0 == 0 || k.desc(irq).action.first().is_some_and(|a| a.flags & IRQF_IRQPOLL != 0),
    }
}

/// Asks all other lines; true if one of them was meant.
#[kfn("kernel/irq/spurious.c")]
fn misrouted_irq(k: &mut Kernel, irq: Irq) -> bool {
    if core::mem::replace(&mut k.irq.irq_poll_active, true) {
        return false;
    }
    let mut ok = false;
    for i in k.for_each_irq().collect::<Vec<_>>() {
        if i.0 != 0 && i != irq {
            ok |= try_one_irq(k, i, false);
        }
    }
    k.irq.irq_poll_active = false;
    ok
}

/// Calls the handlers of a line that may be shared, as if it had come; true if one took it.
#[kfn("kernel/irq/spurious.c")]
fn try_one_irq(k: &mut Kernel, irq: Irq, force: bool) -> bool {
    let desc = k.desc_mut(irq);
    if irq_settings_is_per_cpu(desc) || irq_settings_is_nested_thread(desc) || irq_settings_is_polled(desc) {
        return false;
    }
    if desc.has(IRQD_IRQ_DISABLED) && !force {
        return false;
    }
    // All handlers agree on IRQF_SHARED, so that the first speaks for them.
    let Some(action) = desc.action.first() else { return false };
    if action.flags & IRQF_SHARED == 0 || action.flags & IRQF_TIMER != 0 {
        return false;
    }
    if desc.has(IRQD_IRQ_INPROGRESS) {
        // Another CPU runs it already, and looks once more.
        desc.istate |= IRQS_PENDING;
        return false;
    }
    desc.istate |= IRQS_POLL_INPROGRESS;
    let mut ret = false;
    loop {
        ret |= handle_irq_event(k, irq) == IRQ_HANDLED;
        let desc = k.desc(irq);
        if desc.istate & IRQS_PENDING == 0 || desc.action.is_empty() {
            break;
        }
    }
    k.desc_mut(irq).istate &= !IRQS_POLL_INPROGRESS;
    ret
}

/// `irqfixup`: other lines are asked when one has no taker.
pub fn irqfixup_setup(k: &mut Kernel, _: &str) -> bool {
    k.irq.irqfixup = 1;
    k.log.push("Misrouted IRQ fixup support enabled.".to_owned());
    k.log.push("This may impact system performance.".to_owned());
    true
}

/// `irqpoll`: the same, and after interrupts that say so.
pub fn irqpoll_setup(k: &mut Kernel, _: &str) -> bool {
    k.irq.irqfixup = 2;
    k.log.push("Misrouted IRQ fixup and polling support enabled".to_owned());
    k.log.push("This may significantly impact system performance".to_owned());
    true
}
