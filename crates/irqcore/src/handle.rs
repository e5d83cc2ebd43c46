//! From the flow handler to the drivers: kernel/irq/handle.c of 5.4 and 6.12.

use kfn::{kfn, kirq};
use kstate::irqdesc::*;
use kstate::kstrtox::kstrtoull;
use kstate::sched::{TaskState, WaitOn};
use kstate::trace::{ActionName, Tracepoint};
use kstate::{Irq, Kernel};

use crate::irqdesc::kstat_incr_irqs_this_cpu;
use crate::settings::irq_settings_no_debug;
use crate::spurious::note_interrupt;

/// `IRQ_HANDLED` in the sum of what all handlers of a line returned.
pub const IRQ_HANDLED: u32 = IrqReturn::Handled as u32;
/// `IRQ_WAKE_THREAD` in that sum.
pub const IRQ_WAKE_THREAD: u32 = IrqReturn::WakeThread as u32;

/// How `%p` reads where a pointer has no value.
pub(crate) const NO_POINTER: &str = "(____ptrval____)";

/// `print_irq_desc()`, kernel/irq/debug.h. Five times in five seconds.
// DEVIATION: pointers have no value here: `%p` reads as before the kernel can hash them, `%pS` of a function as
// its name alone, and a chip goes by its name.
pub(crate) fn print_irq_desc(k: &mut Kernel, irq: Irq) {
    if !k.ratelimit("print_irq_desc", 5) {
        return;
    }
    let desc = k.desc(irq);
    let mut lines = vec![
        format!(
            "irq {irq}, desc: {NO_POINTER}, depth: {}, count: {}, unhandled: {}",
            desc.depth, desc.irq_count, desc.irqs_unhandled
        ),
        format!("->handle_irq():  {NO_POINTER}, {}", desc.handle_irq.name()),
        format!("->irq_data.chip(): {NO_POINTER}, {}", k.chip(Irqd::top(irq)).name),
    ];
    match desc.action.first() {
        Some(action) => {
            lines.push(format!("->action(): {NO_POINTER}"));
            lines.push(format!("->action->handler(): {NO_POINTER}, {}", action.handler.name));
        }
        None => lines.push("->action(): (null)".to_owned()),
    }
    const FLAGS: [(u32, &str); 6] = [
        (IRQ_LEVEL, "IRQ_LEVEL"),
        (IRQ_PER_CPU, "IRQ_PER_CPU"),
        (IRQ_NOPROBE, "IRQ_NOPROBE"),
        (IRQ_NOREQUEST, "IRQ_NOREQUEST"),
        (IRQ_NOTHREAD, "IRQ_NOTHREAD"),
        (IRQ_NOAUTOEN, "IRQ_NOAUTOEN"),
    ];
    let set = FLAGS.iter().filter(|flag| desc.status_use_accessors & flag.0 != 0);
    lines.extend(set.map(|flag| format!("{:>14} set", flag.1)));
    const STATES: [(u32, &str); 4] = [
        (IRQS_AUTODETECT, "IRQS_AUTODETECT"),
        (IRQS_REPLAY, "IRQS_REPLAY"),
        (IRQS_WAITING, "IRQS_WAITING"),
        (IRQS_PENDING, "IRQS_PENDING"),
    ];
    let set = STATES.iter().filter(|flag| desc.istate & flag.0 != 0);
    lines.extend(set.map(|flag| format!("{:>14} set", flag.1)));
    k.log.extend(lines);
}

/// The flow handler of a line that has none.
#[kfn("kernel/irq/handle.c")]
pub fn handle_bad_irq(k: &mut Kernel, irq: Irq) {
    print_irq_desc(k, irq);
    kstat_incr_irqs_this_cpu(k, irq);
    if let Some(ack_bad_irq) = k.irq.arch.ack_bad_irq {
        ack_bad_irq(k, irq);
    }
}

#[kfn("kernel/irq/handle.c")]
fn warn_no_thread(k: &mut Kernel, irq: Irq, n: usize) {
    let action = &mut k.desc_mut(irq).action[n];
    if action.thread_flags & IRQTF_WARNED != 0 {
        return;
    }
    action.thread_flags |= IRQTF_WARNED;
    let name = action.name.clone();
    k.pr_warn(format!("IRQ {irq} device {name} returned IRQ_WAKE_THREAD but no thread function available."));
}

/// Wakes the thread of the action at position `n`; of its secondary one on request.
#[kfn("kernel/irq/handle.c")]
pub fn __irq_wake_thread(k: &mut Kernel, irq: Irq, n: usize, secondary: bool) {
    let Some(action) = k.desc(irq).action.get(n) else { return };
    let action = if secondary { action.secondary.as_deref() } else { Some(action) };
    let Some(thread) = action.and_then(|a| a.thread) else { return };
    // A thread that has died counts as having handled the interrupt.
    if matches!(k.sched.tasks[thread.index()].state, TaskState::Done(_)) {
        return;
    }
    let desc = k.desc_mut(irq);
    let action = &mut desc.action[n];
    let action = match (secondary, action.secondary.as_deref_mut()) {
        (true, Some(second)) => second,
        _ => action,
    };
    if action.thread_flags & IRQTF_RUNTHREAD != 0 {
        return;
    }
    action.thread_flags |= IRQTF_RUNTHREAD;
    desc.threads_oneshot |= action.thread_mask;
    desc.threads_active += 1;
    k.wake(WaitOn::IrqThread(thread));
}

/// `irqhandler.duration_warn_us=`. Says whether it took the text.
// DEVIATION: handlers take no time here, so that none is too slow, and a limit that can be read changes nothing.
pub fn irqhandler_duration_check_setup(k: &mut Kernel, arg: &str) -> bool {
    match kstrtoull(arg.as_bytes(), 0) {
        Err(e) => {
            let ret = e.code();
            k.log.push(format!("Unable to parse irqhandler.duration_warn_us setting: ret={ret}"));
            false
        }
        Ok(0) => {
            k.log.push("Invalid irqhandler.duration_warn_us setting, must be > 0".to_owned());
            false
        }
        Ok(_) => true,
    }
}

/// Calls all handlers of a line and sums up what they return.
#[kfn("kernel/irq/handle.c")]
pub fn __handle_irq_event_percpu(k: &mut Kernel, irq: Irq) -> u32 {
    let mut retval = 0;
    let mut n = 0;
    while let Some(action) = k.desc(irq).action.get(n) {
        let (handler, dev_id, threaded) = (action.handler, action.dev_id, action.thread_fn.is_some());
        if k.trace.on {
            let name = ActionName::new(&action.name);
            k.tp(Tracepoint::IrqHandlerEntry { irq, name });
        }
        let res = (handler.call)(k, irq, dev_id);
        k.tp(Tracepoint::IrqHandlerExit { irq, handled: res != IrqReturn::None });
        if res == IrqReturn::WakeThread {
            if threaded {
                __irq_wake_thread(k, irq, n, false);
            } else {
                warn_no_thread(k, irq, n);
            }
        }
        retval |= res as u32;
        n += 1;
    }
    retval
}

/// Calls all handlers of a line and looks for lines that nobody handles.
#[kfn("kernel/irq/handle.c")]
pub fn handle_irq_event_percpu(k: &mut Kernel, irq: Irq) -> u32 {
    let retval = __handle_irq_event_percpu(k, irq);
    let quiet = k.irq.noirqdebug || k.find_desc(irq).is_none_or(irq_settings_no_debug);
    if !quiet {
        note_interrupt(k, irq, retval);
    }
    retval
}

/// Marks a line in progress and calls its handlers. C gives `desc->lock` up around them, so that
/// others see the line in progress before and after they have run.
#[kirq("kernel/irq/handle.c")]
pub fn handle_irq_event(k: &mut Kernel, irq: Irq) -> u32 {
    let desc = k.desc_mut(irq);
    desc.istate &= !IRQS_PENDING;
    desc.set(IRQD_IRQ_INPROGRESS);
    step!();
    let ret: u32 = handle_irq_event_percpu(k, irq);
    step!();
    k.desc_mut(irq).clear(IRQD_IRQ_INPROGRESS);
    ret
}
