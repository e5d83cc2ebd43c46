//! Threads of interrupts: what they wait for, and how they are set up. kernel/irq/manage.c of 5.4 and
//! 6.12.

use super::*;

#[kfn("kernel/irq/manage.c")]
pub(super) fn irq_default_primary_handler(k: &mut Kernel, _irq: Irq, _dev_id: DevId) -> IrqReturn {
    IrqReturn::WakeThread
}

#[kfn("kernel/irq/manage.c")]
pub(super) fn irq_forced_secondary_handler(k: &mut Kernel, irq: Irq, _dev_id: DevId) -> IrqReturn {
    k.warn_text(
        format!("Secondary action handler called for irq {irq}"),
        "WARNING: at kernel/irq/manage.c irq_forced_secondary_handler",
    );
    IrqReturn::None
}

pub(super) const DEFAULT_PRIMARY: Handler =
    Handler { name: "irq_default_primary_handler", call: irq_default_primary_handler };
pub(super) const FORCED_SECONDARY: Handler =
    Handler { name: "irq_forced_secondary_handler", call: irq_forced_secondary_handler };

/// Moves the thread to the CPU of its interrupt, if somebody said that it has one to go to. Answers
/// whether it did: the thread counts as running from then on, and its next sleep ends at once
/// (`__set_current_state(TASK_RUNNING)`).
#[kfn("kernel/irq/manage.c")]
pub(super) fn irq_thread_check_affinity(k: &mut Kernel, irq: Irq, me: TaskId) -> bool {
    let Some(action) = k.desc_mut(irq).action_of_mut(me) else { return false };
    if action.thread_flags & IRQTF_AFFINITY == 0 {
        return false;
    }
    action.thread_flags &= !IRQTF_AFFINITY;
    // set_cpus_allowed_ptr(): the thread moves when it is not on one of the CPUs.
    let mask = k.desc(irq).irq_common_data.effective_affinity.and(&k.topo.online);
    if let Some(cpu) = mask.first()
        && !mask.contains(k.sched.tasks[me.index()].cpu)
    {
        k.sched.tasks[me.index()].cpu = cpu;
    }
    true
}

// What a thread that has looked at its flags does next: run, stop, or sleep.
fn thread_todo(k: &mut Kernel, irq: Irq, me: TaskId) -> Option<bool> {
    let Some(action) = k.desc_mut(irq).action_of_mut(me) else { return Some(false) };
    if action.thread_flags & IRQTF_RUNTHREAD != 0 {
        action.thread_flags &= !IRQTF_RUNTHREAD;
        return Some(true);
    }
    action.should_stop.then_some(false)
}

/// Sleeps until the hard handler wants the thread; false when the thread has to end.
#[kframe("kernel/irq/manage.c")]
pub(super) fn irq_wait_for_interrupt(k: &mut Kernel, irq: Irq, me: TaskId) -> bool {
    let mut todo: Option<bool> = None;
    while todo.is_none() {
        let mut runs: bool = false;
        if k.sem.set_affinity_wakes_thread {
            runs = irq_thread_check_affinity(k, irq, me);
        }
        todo = thread_todo(k, irq, me);
        if todo.is_none() {
            if runs {
                step!();
            } else {
                wait!(WaitOn::IrqThread(me));
            }
        }
    }
    todo.unwrap_or(false)
}

/// Unmasks a one-shot line when its last thread is done.
#[kframe("kernel/irq/manage.c")]
pub(super) fn irq_finalize_oneshot(k: &mut Kernel, irq: Irq, me: TaskId) {
    let desc = k.desc(irq);
    if desc.istate & IRQS_ONESHOT == 0
        || desc.action_of(me).is_none_or(|action| action.handler == FORCED_SECONDARY)
    {
        return;
    }
    // The thread can be faster than the hard handler that woke it.
    spin_until!(!irqd_irq_inprogress(k, irq));
    let desc = k.desc_mut(irq);
    // A thread that is wanted again keeps the line masked.
    let done = desc.action_of(me).filter(|action| action.thread_flags & IRQTF_RUNTHREAD == 0);
    if let Some(thread_mask) = done.map(|action| action.thread_mask) {
        desc.threads_oneshot &= !thread_mask;
        if desc.threads_oneshot == 0 && !desc.has(IRQD_IRQ_DISABLED) && desc.has(IRQD_IRQ_MASKED) {
            unmask_threaded_irq(k, irq);
        }
    }
}

fn call_thread_fn(k: &mut Kernel, irq: Irq, me: TaskId) -> IrqReturn {
    let Some(action) = k.desc(irq).action_of(me) else { return IrqReturn::None };
    let dev_id = action.dev_id;
    let Some(thread_fn) = action.thread_fn else { return IrqReturn::None };
    let ret = (thread_fn.call)(k, irq, dev_id);
    if ret == IrqReturn::Handled {
        let desc = k.desc_mut(irq);
        desc.threads_handled = desc.threads_handled.wrapping_add(1);
    }
    ret
}

/// Runs the handler of a driver that did not ask for a thread.
#[kframe("kernel/irq/manage.c")]
pub(super) fn irq_forced_thread_fn(k: &mut Kernel, irq: Irq, me: TaskId) -> IrqReturn {
    if k.sem.forced_thread_calls_thread_fn {
        return call!(irq_thread_fn(irq, me));
    }
    let ret: IrqReturn = call_thread_fn(k, irq, me);
    call!(irq_finalize_oneshot(irq, me));
    ret
}

/// Runs the threaded handler.
#[kframe("kernel/irq/manage.c")]
pub(super) fn irq_thread_fn(k: &mut Kernel, irq: Irq, me: TaskId) -> IrqReturn {
    let ret: IrqReturn = call_thread_fn(k, irq, me);
    call!(irq_finalize_oneshot(irq, me));
    ret
}

/// One threaded handler less is active.
#[kfn("kernel/irq/manage.c")]
pub fn wake_threads_waitq(k: &mut Kernel, irq: Irq) {
    let desc = k.desc_mut(irq);
    desc.threads_active = desc.threads_active.wrapping_sub(1);
    if desc.threads_active == 0 {
        k.wake(WaitOn::Threads(irq));
    }
}

#[kfn("kernel/irq/manage.c")]
pub(super) fn irq_wake_secondary(k: &mut Kernel, irq: Irq, me: TaskId) {
    let n = k.desc(irq).action.iter().position(|a| a.thread == Some(me) && a.secondary.is_some());
    match n {
        Some(n) => crate::handle::__irq_wake_thread(k, irq, n, true),
        None => k.warn_once("WARNING: at kernel/irq/manage.c irq_wake_secondary"),
    }
}

#[kfn("kernel/irq/manage.c")]
pub(super) fn irq_thread_set_ready(k: &mut Kernel, irq: Irq, me: TaskId) {
    if let Some(action) = k.desc_mut(irq).action_of_mut(me) {
        action.thread_flags |= IRQTF_READY;
    }
    k.wake(WaitOn::Threads(irq));
}

// DEVIATION: C waits here until the thread has run for the first time. Whoever requests an interrupt
// goes on at once in this model; the thread's first step is the same.
#[kfn("kernel/irq/manage.c")]
pub(super) fn wake_up_and_wait_for_irq_thread_ready(k: &mut Kernel, thread: Option<TaskId>) {
    if let Some(thread) = thread {
        k.wake(WaitOn::IrqThread(thread));
    }
}

/// An interrupt's thread.
#[kframe("kernel/irq/manage.c")]
fn irq_thread(k: &mut Kernel, irq: Irq) {
    let me: TaskId = k.cur.task.unwrap_or_default();
    // A request that failed has taken its action back before the thread ran.
    if k.find_desc(irq).is_none_or(|desc| desc.action_of(me).is_none()) {
        return;
    }
    if k.sem.irq_thread_ready {
        irq_thread_set_ready(k, irq, me);
    }
    let forced: bool = k.irq.force_irqthreads
        && k.desc(irq).action_of(me).is_some_and(|action| action.thread_flags & IRQTF_FORCED_THREAD != 0);
    if !k.sem.set_affinity_wakes_thread {
        irq_thread_check_affinity(k, irq, me);
    }
    let mut run: bool = call!(irq_wait_for_interrupt(irq, me));
    while run {
        if !k.sem.set_affinity_wakes_thread {
            irq_thread_check_affinity(k, irq, me);
        }
        let mut ret: IrqReturn = IrqReturn::None;
        if forced {
            ret = call!(irq_forced_thread_fn(irq, me));
        } else {
            ret = call!(irq_thread_fn(irq, me));
        }
        if ret == IrqReturn::WakeThread {
            irq_wake_secondary(k, irq, me);
        }
        wake_threads_waitq(k, irq);
        run = call!(irq_wait_for_interrupt(irq, me));
    }
}

/// Wakes the thread of the action with this cookie.
#[kfn("kernel/irq/manage.c")]
pub fn irq_wake_thread(k: &mut Kernel, irq: Irq, dev_id: DevId) {
    let Some(desc) = k.find_desc(irq) else { return };
    if let Some(n) = desc.action.iter().position(|a| a.dev_id == dev_id)
        && desc.action[n].thread.is_some()
    {
        crate::handle::__irq_wake_thread(k, irq, n, false);
    }
}

pub(super) fn irq_setup_forced_threading(k: &Kernel, new: &mut IrqAction) {
    if !k.irq.force_irqthreads
        || new.flags & (IRQF_NO_THREAD | IRQF_PERCPU | IRQF_ONESHOT) != 0
        || new.handler == DEFAULT_PRIMARY
    {
        return;
    }
    new.flags |= IRQF_ONESHOT;
    // A driver with both a hard and a threaded handler gets two threads.
    if let Some(thread_fn) = new.thread_fn {
        new.secondary =
            Some(Box::new(IrqAction::new(FORCED_SECONDARY, Some(thread_fn), 0, &new.name, new.dev_id)));
    }
    new.thread_flags |= IRQTF_FORCED_THREAD;
    new.thread_fn = Some(new.handler);
    new.handler = DEFAULT_PRIMARY;
}

/// What a task's name can hold: `TASK_COMM_LEN` without the byte that ends it.
const COMM_CHARS: usize = 15;

#[kfn("kernel/irq/manage.c")]
pub(super) fn setup_irq_thread(k: &mut Kernel, new: &mut IrqAction, irq: Irq, secondary: bool) {
    let cpu = k.cpu();
    let thread = k.spawn(TaskKind::IrqThread(irq), cpu, irq_thread(irq).frame, &["kthread"]);
    let name = format!("irq/{irq}-{}{}", if secondary { "s-" } else { "" }, new.name);
    let ctx = k.sched.tasks[thread.index()].ctx;
    k.trace.ctxs[ctx].actor = Actor::IrqThread(name.chars().take(COMM_CHARS).collect());
    new.thread = Some(thread);
    // The thread moves itself to the interrupt's CPU, also one that joins a line later.
    new.thread_flags |= IRQTF_AFFINITY;
}
