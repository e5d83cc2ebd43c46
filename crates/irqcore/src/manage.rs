//! Requesting, freeing and enabling interrupts: kernel/irq/manage.c of 5.4 and 6.12. `affinity` moves
//! them, `thread` has their threads.
//!
//! # What it doesn't implement
//! NMIs, per-CPU interrupts, wake-up, affinity notifiers, power management of chips, posted
//! interrupts for guests. `desc->request_mutex` only orders callers of `free_irq()`: requesting does
//! not wait.

use kfn::{kfn, kframe};
use kstate::irqchip::*;
use kstate::irqdesc::*;
use kstate::isolation::HkType;
use kstate::sched::{TaskKind, TaskState, WaitOn};
use kstate::trace::Actor;
use kstate::{CpuMask, Errno, Irq, Kernel, TaskId};

use crate::chip::*;
use crate::dummychip::NO_IRQ_CHIP;
use crate::irqdomain::irq_domain_deactivate_irq;
use crate::proc::irq_proc_update_valid;
use crate::settings::*;

mod affinity;
mod thread;

pub use affinity::*;
pub use thread::*;

// ---- waiting for handlers ----

fn irqd_irq_inprogress(k: &Kernel, irq: Irq) -> bool {
    k.find_desc(irq).is_some_and(|desc| desc.has(IRQD_IRQ_INPROGRESS))
}

// The chip that can tell the state of an interrupt, and its answer.
fn chip_state(k: &mut Kernel, d: Irqd, which: IrqchipIrqState) -> Result<bool, Errno> {
    let mut at = Some(d);
    while let Some(data) = at {
        if let Some(get) = k.chip(data).irq_get_irqchip_state {
            return get(k, data, which);
        }
        at = k.parent_data(data);
    }
    Err(Errno::EINVAL)
}

/// Asks the hierarchy for a state at the hardware.
///
/// # Errors
/// `EINVAL` when no chip can tell.
#[kfn("kernel/irq/manage.c")]
pub fn __irq_get_irqchip_state(k: &mut Kernel, d: Irqd, which: IrqchipIrqState) -> Result<bool, Errno> {
    chip_state(k, d, which)
}

/// Sets a state of the interrupt at the hardware.
///
/// # Errors
/// `EINVAL`: neither the local APIC nor what stands in front of it takes one, nor does the 8259.
#[kfn("kernel/irq/manage.c")]
pub fn irq_set_irqchip_state(
    k: &mut Kernel,
    irq: Irq,
    which: IrqchipIrqState,
    val: bool,
) -> Result<(), Errno> {
    // DEVIATION: C walks up the hierarchy to find a chip that has the callback. On a PC none has.
    let _ = (k, irq, which, val);
    Err(Errno::EINVAL)
}

/// Spins until no handler of the line runs; with `sync_chip` also until it is not pending at a CPU.
#[kframe("kernel/irq/manage.c")]
fn __synchronize_hardirq(k: &mut Kernel, irq: Irq, sync_chip: bool) {
    loop {
        spin_until!(!irqd_irq_inprogress(k, irq));
        if !sync_chip {
            break;
        }
        let active: bool =
            __irq_get_irqchip_state(k, Irqd::top(irq), IrqchipIrqState::Active).unwrap_or(false);
        if !active {
            break;
        }
        // C asks again and again. The model asks once more when the answer has changed.
        spin_until!(
            k.find_desc(irq).is_none()
                || !chip_state(k, Irqd::top(irq), IrqchipIrqState::Active).unwrap_or(false)
        );
    }
}

/// Waits for hard interrupt handlers, not for threads. False when a thread is active.
#[kframe("kernel/irq/manage.c")]
pub fn synchronize_hardirq(k: &mut Kernel, irq: Irq) -> bool {
    let exists: bool = k.find_desc(irq).is_some();
    if exists {
        call!(__synchronize_hardirq(irq, false));
    }
    k.find_desc(irq).is_none_or(|desc| desc.threads_active == 0)
}

#[kframe("kernel/irq/manage.c")]
fn __synchronize_irq(k: &mut Kernel, irq: Irq) {
    call!(__synchronize_hardirq(irq, true));
    wait_until!(k.find_desc(irq).is_none_or(|desc| desc.threads_active == 0), WaitOn::Threads(irq));
}

/// Waits for all handlers of a line, hard and threaded.
#[kframe("kernel/irq/manage.c")]
pub fn synchronize_irq(k: &mut Kernel, irq: Irq) {
    let exists: bool = k.find_desc(irq).is_some();
    if !exists {
        return;
    }
    if k.sem.free_irq_waits_for_threads {
        call!(__synchronize_irq(irq));
    } else {
        call!(__synchronize_hardirq(irq, true));
        wait_until!(k.find_desc(irq).is_none_or(|desc| desc.threads_active == 0), WaitOn::Threads(irq));
    }
}

/// Variants for callers that cannot wait.
pub mod nowait {
    use super::*;

    #[kfn("kernel/irq/manage.c")]
    fn __synchronize_hardirq(k: &mut Kernel, irq: Irq, sync_chip: bool) {
        if sync_chip {
            let _ = __irq_get_irqchip_state(k, Irqd::top(irq), IrqchipIrqState::Active);
        }
    }

    #[kfn("kernel/irq/manage.c")]
    fn __synchronize_irq(k: &mut Kernel, irq: Irq) {
        __synchronize_hardirq(k, irq, true);
    }

    /// As the frame of this name, for a line without handlers.
    #[kfn("kernel/irq/manage.c")]
    pub fn synchronize_irq(k: &mut Kernel, irq: Irq) {
        if k.find_desc(irq).is_none() {
            return;
        }
        if k.sem.free_irq_waits_for_threads {
            __synchronize_irq(k, irq);
        } else {
            __synchronize_hardirq(k, irq, true);
        }
    }
}

// ---- disable and enable ----

/// Disables one level deeper.
#[kfn("kernel/irq/manage.c")]
pub fn __disable_irq(k: &mut Kernel, irq: Irq) {
    let desc = k.desc_mut(irq);
    let before = desc.depth;
    desc.depth = before.wrapping_add(1);
    if before == 0 {
        irq_disable(k, irq);
    }
}

#[kfn("kernel/irq/manage.c")]
fn __disable_irq_nosync(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    if k.find_desc(irq).is_none_or(irq_settings_is_per_cpu_devid) {
        return Err(Errno::EINVAL);
    }
    __disable_irq(k, irq);
    Ok(())
}

/// Disables a line without waiting for its handlers.
#[kfn("kernel/irq/manage.c")]
pub fn disable_irq_nosync(k: &mut Kernel, irq: Irq) {
    let _ = __disable_irq_nosync(k, irq);
}

/// Disables a line and waits for its handlers.
#[kframe("kernel/irq/manage.c")]
pub fn disable_irq(k: &mut Kernel, irq: Irq) {
    let done: bool = __disable_irq_nosync(k, irq).is_ok();
    if done {
        call!(synchronize_irq(irq));
    }
}

/// Disables a line and waits for its hard handlers. False when a thread is active.
#[kframe("kernel/irq/manage.c")]
pub fn disable_hardirq(k: &mut Kernel, irq: Irq) -> bool {
    let done: bool = __disable_irq_nosync(k, irq).is_ok();
    let mut idle: bool = false;
    if done {
        idle = call!(synchronize_hardirq(irq));
    }
    idle
}

/// Enables by one level.
#[kfn("kernel/irq/manage.c")]
pub fn __enable_irq(k: &mut Kernel, irq: Irq) {
    let desc = k.desc_mut(irq);
    if desc.depth == 0 || desc.depth == 1 && desc.istate & IRQS_SUSPENDED != 0 {
        k.warn_text(
            format!("Unbalanced enable for IRQ {irq}"),
            "WARNING: at kernel/irq/manage.c __enable_irq",
        );
    } else if desc.depth == 1 {
        desc.status_use_accessors |= IRQ_NOPROBE;
        // Not irq_enable(): a line that was requested without being enabled starts up here.
        irq_startup(k, irq, IRQ_RESEND, IRQ_START_FORCE);
    } else {
        desc.depth -= 1;
    }
}

/// Undoes one `disable_irq()`.
#[kfn("kernel/irq/manage.c")]
pub fn enable_irq(k: &mut Kernel, irq: Irq) {
    if k.find_desc(irq).is_none_or(irq_settings_is_per_cpu_devid) {
        return;
    }
    __enable_irq(k, irq);
}

/// May a driver still request the interrupt with these flags?
#[kfn("kernel/irq/manage.c")]
pub fn can_request_irq(k: &mut Kernel, irq: Irq, irqflags: u32) -> bool {
    let Some(desc) = k.find_desc(irq) else { return false };
    irq_settings_can_request(desc)
        && desc.action.first().is_none_or(|action| irqflags & action.flags & IRQF_SHARED != 0)
}

/// Sets the trigger type at the chip, and what follows from it.
///
/// # Errors
/// What the chip says.
#[kfn("kernel/irq/manage.c")]
pub fn __irq_set_trigger(k: &mut Kernel, irq: Irq, flags: u32) -> Result<(), Errno> {
    let d = Irqd::top(irq);
    let Some(set_type) = k.chip(d).irq_set_type else { return Ok(()) };
    let mut unmask = false;
    if k.chip(d).flags & IRQCHIP_SET_TYPE_MASKED != 0 {
        if !k.desc(irq).has(IRQD_IRQ_MASKED) {
            mask_irq(k, irq);
        }
        unmask = !k.desc(irq).has(IRQD_IRQ_DISABLED);
    }
    let flags = flags & IRQD_TRIGGER_MASK;
    let ret = set_type(k, d, flags);
    match ret {
        Ok(()) => {
            let desc = k.desc_mut(irq);
            desc.clear(IRQD_TRIGGER_MASK | IRQD_LEVEL);
            desc.set(flags);
            desc.status_use_accessors &= !(IRQD_TRIGGER_MASK | IRQ_LEVEL);
            desc.status_use_accessors |= flags;
            if flags & IRQ_TYPE_LEVEL_MASK != 0 {
                desc.status_use_accessors |= IRQ_LEVEL;
                desc.set(IRQD_LEVEL);
            }
        }
        // DEVIATION: C logs the address of the chip's function. No chip of this machine sets a type.
        Err(_) => k.warnings += 1,
    }
    if unmask {
        unmask_irq(k, irq);
    }
    ret
}

// ---- request ----

fn irq_request_resources(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    let d = Irqd::top(irq);
    match k.chip(d).irq_request_resources {
        Some(request) => request(k, d),
        None => Ok(()),
    }
}

fn irq_release_resources(k: &mut Kernel, irq: Irq) {
    let d = Irqd::top(irq);
    if let Some(release) = k.chip(d).irq_release_resources {
        release(k, d);
    }
}

// A thread that never ran ends when it is stopped.
fn drop_thread(k: &mut Kernel, thread: Option<TaskId>) {
    if let Some(thread) = thread {
        k.sched.runnable.retain(|&t| t != thread);
        let task = &mut k.sched.tasks[thread.index()];
        task.frames.clear();
        task.state = TaskState::Done(0);
    }
}

#[kfn("kernel/irq/manage.c")]
fn __setup_irq(k: &mut Kernel, irq: Irq, new: IrqAction) -> Result<(), Errno> {
    let d = Irqd::top(irq);
    let mut new = new;
    if k.irqd(d).chip == NO_IRQ_CHIP {
        return Err(Errno::ENOSYS);
    }
    if new.flags & IRQF_TRIGGER_MASK == 0 {
        new.flags |= k.desc(irq).state() & IRQD_TRIGGER_MASK;
    }
    if k.sem.oneshot_without_thread_warns && new.flags & IRQF_ONESHOT != 0 && new.thread_fn.is_none() {
        k.warn_once("WARNING: at kernel/irq/manage.c __setup_irq");
    }
    let nested = irq_settings_is_nested_thread(k.desc(irq));
    if nested {
        if new.thread_fn.is_none() {
            return Err(Errno::EINVAL);
        }
    } else if irq_settings_can_thread(k.desc(irq)) {
        irq_setup_forced_threading(k, &mut new);
    }
    if new.thread_fn.is_some() && !nested {
        setup_irq_thread(k, &mut new, irq, false);
        if let Some(mut second) = new.secondary.take() {
            setup_irq_thread(k, &mut second, irq, true);
            new.secondary = Some(second);
        }
    }
    // A chip that cannot lose or repeat an interrupt needs no masking around the thread.
    if k.chip(d).flags & IRQCHIP_ONESHOT_SAFE != 0 {
        new.flags &= !IRQF_ONESHOT;
    }
    // C's labels from the inside out: mismatch, out_unlock, out_bus_unlock, out_thread.
    let ret = 'out_bus_unlock: {
        if k.desc(irq).action.is_empty()
            && let Err(e) = irq_request_resources(k, irq)
        {
            let chip = k.chip(d).name.clone();
            k.log.push(format!(
                "genirq: Failed to request resources for {} (irq {irq}) on irqchip {chip}",
                new.name
            ));
            break 'out_bus_unlock e;
        }
        let ret = 'out_unlock: {
            'mismatch: {
                let oneshot_safe = k.chip(d).flags & IRQCHIP_ONESHOT_SAFE != 0;
                let desc = k.desc_mut(irq);
                let mut thread_mask = 0u64;
                let shared = !desc.action.is_empty();
                if shared {
                    if irq_is_nmi(desc) {
                        let chip = k.chip(d).name.clone();
                        let name = &new.name;
                        k.pr_warn(format!(
                            "genirq: Invalid attempt to share NMI for {name} (irq {irq}) on irqchip {chip}."
                        ));
                        break 'out_unlock Errno::EINVAL;
                    }
                    // Whoever shares a line agrees on sharing, type, one-shot and per-CPU.
                    let oldtype = if desc.has(IRQD_DEFAULT_TRIGGER_SET) {
                        desc.state() & IRQD_TRIGGER_MASK
                    } else {
                        let oldtype = new.flags & IRQF_TRIGGER_MASK;
                        desc.clear(IRQD_TRIGGER_MASK);
                        desc.set(oldtype | IRQD_DEFAULT_TRIGGER_SET);
                        oldtype
                    };
                    let old = &desc.action[0];
                    if old.flags & new.flags & IRQF_SHARED == 0 || oldtype != new.flags & IRQF_TRIGGER_MASK {
                        break 'mismatch;
                    }
                    if old.flags & IRQF_ONESHOT != 0 && new.flags & IRQF_COND_ONESHOT != 0 {
                        new.flags |= IRQF_ONESHOT;
                    } else if (old.flags ^ new.flags) & IRQF_ONESHOT != 0 {
                        break 'mismatch;
                    }
                    if (old.flags ^ new.flags) & IRQF_PERCPU != 0 {
                        break 'mismatch;
                    }
                    thread_mask = desc.action.iter().fold(0, |all, action| all | action.thread_mask);
                }
                if new.flags & IRQF_ONESHOT != 0 {
                    if thread_mask == u64::MAX {
                        break 'out_unlock Errno::EBUSY;
                    }
                    new.thread_mask = 1 << thread_mask.trailing_ones();
                } else if new.handler == DEFAULT_PRIMARY && !oneshot_safe {
                    // The default handler only wakes the thread: a level-triggered line would come back at
                    // once.
                    let line = if k.sem.oneshot_error_names_device {
                        format!(
                            "genirq: Threaded irq requested with handler=NULL and !ONESHOT for {} (irq {irq})",
                            new.name
                        )
                    } else {
                        format!("genirq: Threaded irq requested with handler=NULL and !ONESHOT for irq {irq}")
                    };
                    k.log.push(line);
                    break 'out_unlock Errno::EINVAL;
                }
                if !shared {
                    let trigger = new.flags & IRQF_TRIGGER_MASK;
                    if trigger != 0
                        && let Err(e) = __irq_set_trigger(k, irq, trigger)
                    {
                        break 'out_unlock e;
                    }
                    // Also for a line that is not enabled yet: enabling it later has to succeed.
                    if let Err(e) = irq_activate(k, irq) {
                        break 'out_unlock e;
                    }
                    let noirqdebug = k.irq.noirqdebug && k.sem.noirqdebug_marks_lines;
                    let desc = k.desc_mut(irq);
                    desc.istate &= !(IRQS_AUTODETECT | IRQS_SPURIOUS_DISABLED | IRQS_ONESHOT | IRQS_WAITING);
                    desc.clear(IRQD_IRQ_INPROGRESS);
                    if new.flags & IRQF_PERCPU != 0 {
                        desc.set(IRQD_PER_CPU);
                        desc.status_use_accessors |= IRQ_PER_CPU;
                        if new.flags & IRQF_NO_DEBUG != 0 {
                            desc.status_use_accessors |= IRQ_NO_DEBUG;
                        }
                    }
                    if noirqdebug {
                        desc.status_use_accessors |= IRQ_NO_DEBUG;
                    }
                    if new.flags & IRQF_ONESHOT != 0 {
                        desc.istate |= IRQS_ONESHOT;
                    }
                    if new.flags & IRQF_NOBALANCING != 0 {
                        desc.status_use_accessors |= IRQ_NO_BALANCING;
                        desc.set(IRQD_NO_BALANCING);
                    }
                    if new.flags & IRQF_NO_AUTOEN == 0 && irq_settings_can_autoenable(desc) {
                        irq_startup(k, irq, IRQ_RESEND, IRQ_START_COND);
                    } else {
                        desc.depth = 1;
                        if new.flags & IRQF_SHARED != 0 {
                            k.warn_once("WARNING: at kernel/irq/manage.c __setup_irq");
                        }
                    }
                } else if new.flags & IRQF_TRIGGER_MASK != 0 {
                    let nmsk = new.flags & IRQF_TRIGGER_MASK;
                    let omsk = k.desc(irq).state() & IRQD_TRIGGER_MASK;
                    if nmsk != omsk {
                        k.log.push(format!("genirq: irq {irq} uses trigger mode {omsk}; requested {nmsk}"));
                    }
                }

                let threads = [new.thread, new.secondary.as_ref().and_then(|second| second.thread)];
                let desc = k.desc_mut(irq);
                desc.action.push(new);
                let n = desc.action.len() - 1;
                desc.irq_count = 0;
                desc.irqs_unhandled = 0;
                // The line may have been switched off because nobody handled it: now somebody might.
                if shared && desc.istate & IRQS_SPURIOUS_DISABLED != 0 {
                    desc.istate &= !IRQS_SPURIOUS_DISABLED;
                    __enable_irq(k, irq);
                }
                irq_proc_update_valid(k, irq);
                if k.sem.irq_thread_ready {
                    for thread in threads {
                        wake_up_and_wait_for_irq_thread_ready(k, thread);
                    }
                } else {
                    for thread in threads.into_iter().flatten() {
                        k.wake(WaitOn::IrqThread(thread));
                    }
                }
                crate::proc::register_irq_proc(k, irq);
                crate::proc::register_handler_proc(k, irq, n);
                return Ok(());
            }
            if new.flags & IRQF_PROBE_SHARED == 0 {
                let old = &k.desc(irq).action[0];
                let line = format!(
                    "genirq: Flags mismatch irq {irq}. {:08x} ({}) vs. {:08x} ({})",
                    new.flags, new.name, old.flags, old.name
                );
                k.log.push(line);
            }
            Errno::EBUSY
        };
        if k.desc(irq).action.is_empty() {
            irq_release_resources(k, irq);
        }
        ret
    };
    drop_thread(k, new.thread);
    drop_thread(k, new.secondary.as_ref().and_then(|second| second.thread));
    Err(ret)
}

/// Installs a handler of early boot, before memory can be allocated (5.4).
///
/// # Errors
/// As `request_threaded_irq()`.
#[kfn("kernel/irq/manage.c")]
pub fn setup_irq(
    k: &mut Kernel,
    irq: Irq,
    handler: Handler,
    flags: u32,
    name: &str,
    dev_id: DevId,
) -> Result<(), Errno> {
    if k.find_desc(irq).is_none_or(irq_settings_is_per_cpu_devid) {
        return Err(Errno::EINVAL);
    }
    __setup_irq(k, irq, IrqAction::new(handler, None, flags, name, dev_id))
}

/// Requests an interrupt: installs the handlers and starts the line up.
///
/// # Errors
/// `EINVAL` for an interrupt that does not exist or cannot be requested or for flags that contradict
/// each other, `ENOSYS` when it has no chip, `EBUSY` when it cannot be shared, `ENOSPC` for no
/// vector.
#[kfn("kernel/irq/manage.c")]
pub fn request_threaded_irq(
    k: &mut Kernel,
    irq: Irq,
    handler: Option<Handler>,
    thread_fn: Option<Handler>,
    irqflags: u32,
    devname: &str,
    dev_id: DevId,
) -> Result<(), Errno> {
    let has = |bits: u32| irqflags & bits != 0;
    if has(IRQF_SHARED) && dev_id == DevId::None
        || has(IRQF_SHARED) && has(IRQF_NO_AUTOEN)
        || !has(IRQF_SHARED) && has(IRQF_COND_SUSPEND)
        || has(IRQF_NO_SUSPEND) && has(IRQF_COND_SUSPEND)
    {
        return Err(Errno::EINVAL);
    }
    let Some(desc) = k.find_desc(irq) else { return Err(Errno::EINVAL) };
    if !irq_settings_can_request(desc) || irq_settings_is_per_cpu_devid(desc) {
        return Err(Errno::EINVAL);
    }
    let handler = match (handler, thread_fn) {
        (Some(handler), _) => handler,
        (None, Some(_)) => DEFAULT_PRIMARY,
        (None, None) => return Err(Errno::EINVAL),
    };
    __setup_irq(k, irq, IrqAction::new(handler, thread_fn, irqflags, devname, dev_id))
}

/// `request_irq()`: requests an interrupt without a threaded handler.
///
/// # Errors
/// As `request_threaded_irq()`.
pub fn request_irq(
    k: &mut Kernel,
    irq: Irq,
    handler: Handler,
    flags: u32,
    name: &str,
    dev_id: DevId,
) -> Result<(), Errno> {
    request_threaded_irq(k, irq, Some(handler), None, flags, name, dev_id)
}

// ---- free ----

// The part of __free_irq() that is done under desc->lock.
fn unlink(k: &mut Kernel, irq: Irq, dev_id: DevId) -> bool {
    let desc = k.desc_mut(irq);
    let Some(n) = desc.action.iter().position(|action| action.dev_id == dev_id) else {
        k.warn_text(
            format!("Trying to free already-free IRQ {irq}"),
            "WARNING: at kernel/irq/manage.c __free_irq",
        );
        return false;
    };
    desc.removed = Some(Box::new(desc.action.remove(n)));
    if desc.action.is_empty() {
        desc.status_use_accessors &= !IRQ_DISABLE_UNLAZY;
        // Deactivated later, when no handler runs.
        irq_shutdown(k, irq);
    }
    let desc = k.desc_mut(irq);
    if desc.affinity_hint.is_some() {
        desc.affinity_hint = None;
        k.warn_once("WARNING: at kernel/irq/manage.c __free_irq");
    }
    irq_proc_update_valid(k, irq);
    true
}

fn thread_to_stop(k: &Kernel, irq: Irq, secondary: bool) -> Option<TaskId> {
    let removed = k.desc(irq).removed.as_deref()?;
    if secondary { removed.secondary.as_deref()?.thread } else { removed.thread }
}

fn kthread_stop(k: &mut Kernel, irq: Irq, thread: TaskId) {
    if let Some(action) = k.desc_mut(irq).action_of_mut(thread) {
        action.should_stop = true;
    }
    k.wake(WaitOn::IrqThread(thread));
}

#[kframe("kernel/irq/manage.c")]
fn irq_stop_thread(k: &mut Kernel, irq: Irq, thread: TaskId) {
    kthread_stop(k, irq, thread);
    wait_until!(matches!(k.sched.tasks[thread.index()].state, TaskState::Done(_)), WaitOn::Exit(thread));
}

/// Frees the action with this cookie; false when there is none.
#[kframe("kernel/irq/manage.c")]
fn __free_irq(k: &mut Kernel, irq: Irq, dev_id: DevId) -> bool {
    // desc->request_mutex: one at a time.
    wait_until!(k.find_desc(irq).is_none_or(|desc| desc.removed.is_none()), WaitOn::Threads(irq));
    let found: bool = k.find_desc(irq).is_some() && unlink(k, irq, dev_id);
    if !found {
        return false;
    }
    if k.sem.free_irq_waits_for_threads {
        call!(__synchronize_irq(irq));
    } else {
        call!(__synchronize_hardirq(irq, true));
    }
    let thread: Option<TaskId> = thread_to_stop(k, irq, false);
    if thread.is_some() {
        call!(irq_stop_thread(irq, thread.unwrap_or_default()));
        let second: Option<TaskId> = thread_to_stop(k, irq, true);
        if second.is_some() {
            call!(irq_stop_thread(irq, second.unwrap_or_default()));
        }
    }
    if k.desc(irq).action.is_empty() {
        irq_domain_deactivate_irq(k, Irqd::top(irq));
        irq_release_resources(k, irq);
    }
    k.desc_mut(irq).removed = None;
    k.wake(WaitOn::Threads(irq));
    true
}

/// Takes a handler back and waits until it does not run. The last one shuts the line down.
#[kframe("kernel/irq/manage.c")]
pub fn free_irq(k: &mut Kernel, irq: Irq, dev_id: DevId) -> bool {
    let exists: bool = k.find_desc(irq).is_some_and(|desc| !irq_settings_is_per_cpu_devid(desc));
    let mut found: bool = false;
    if exists {
        found = call!(__free_irq(irq, dev_id));
    }
    found
}

/// What has to hold about every descriptor.
///
/// # Errors
/// Which rule is broken, and where.
pub fn check_invariants(k: &Kernel) -> Result<(), String> {
    for irq in k.for_each_irq() {
        let desc = k.desc(irq);
        let bad = |what: &str| Err(format!("irq {irq}: {what}"));
        if desc.irq_data.is_empty() {
            return bad("no irq_data");
        }
        if desc.irq_data.iter().any(|data| data.chip.index() >= k.irq.chips.len()) {
            return bad("a chip that does not exist");
        }
        if irq.0 >= k.irq.nr_irqs {
            return bad("its number is not below nr_irqs");
        }
        if desc.has(IRQD_IRQ_STARTED) && desc.action.is_empty() && desc.removed.is_none() {
            return bad("started without an action");
        }
        if desc.has(IRQD_IRQ_STARTED) && !desc.has(IRQD_ACTIVATED) {
            return bad("started but not activated");
        }
        if desc.has(IRQD_IRQ_STARTED) && desc.has(IRQD_MANAGED_SHUTDOWN) {
            return bad("started in managed shutdown");
        }
        if desc.has(IRQD_SETAFFINITY_PENDING) && desc.pending_mask.is_empty() {
            return bad("a move is pending to nowhere");
        }
        let sum = desc.kstat_irqs.sum();
        if sum != desc.tot_count {
            return bad("its count is not the sum over all CPUs");
        }
        let threads = desc.action.iter().filter(|a| a.thread_flags & IRQTF_RUNTHREAD != 0).count();
        if (desc.threads_active as usize) < threads {
            return bad("more threads are wanted than active");
        }
    }
    crate::irqdomain::check_invariants(k)
}

/// `threadirqs`.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn setup_forced_irqthreads(k: &mut Kernel, _: Option<&str>) -> Result<(), Errno> {
    k.irq.force_irqthreads = true;
    Ok(())
}
