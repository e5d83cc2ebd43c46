//! Lines that nobody handles: kernel/irq/spurious.c of 5.4 and 6.12.
//!
//! # What it doesn't implement
//! Polling of other lines (`irqfixup`, `irqpoll`), and the timer that polls a line which was
//! switched off.

use core::fmt::Write as _;

use kfn::kfn;
use kstate::irqdesc::*;
use kstate::{Irq, Kernel};

use crate::chip::irq_disable;
use crate::handle::{IRQ_HANDLED, IRQ_WAKE_THREAD, NO_POINTER};
use crate::settings::irq_settings_is_polled;

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

/// `irqfixup`: other lines are asked when one has no taker.
// DEVIATION: misrouted_irq() is not called: in these machines no line is on another pin than its firmware
// says.
pub fn irqfixup_setup(k: &mut Kernel, _: &str) -> bool {
    k.log.push("Misrouted IRQ fixup support enabled.".to_owned());
    k.log.push("This may impact system performance.".to_owned());
    true
}

/// `irqpoll`: the same, and with every tick of the timer.
// DEVIATION: the timer does not tick here, so that nothing is polled.
pub fn irqpoll_setup(k: &mut Kernel, _: &str) -> bool {
    k.log.push("Misrouted IRQ fixup and polling support enabled".to_owned());
    k.log.push("This may significantly impact system performance".to_owned());
    true
}
