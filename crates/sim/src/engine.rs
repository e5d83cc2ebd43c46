//! The machine's clockwork: which CPU, task or device does something next.
//!
//! One step is the smallest thing that others can see the end of: an interrupt taken on a CPU, a
//! round of softirqs, a task up to its next wait, or an event whose time has come. Where several
//! are possible the oracle chooses; its quiet answer is interrupts first, then softirqs, then
//! tasks in the order in which they became runnable, and time passes only when nothing else can
//! happen.

use kstate::event::Event;
use kstate::oracle::Point;
use kstate::sched::{Flow, TaskState, WaitOn};
use kstate::trace::{self, Actor};
use kstate::{CpuId, Kernel, TaskId};

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A CPU took an interrupt.
    Interrupt(CpuId, u8),
    /// A CPU ran its pending softirqs.
    Softirq(CpuId),
    /// A task ran to its next wait.
    Task(TaskId),
    /// An event happened.
    Event(Event),
}

/// A CPU takes interrupts: it is online and no stopper holds its interrupts off.
fn interruptible(k: &Kernel, cpu: CpuId) -> bool {
    k.topo.online.contains(cpu) && !k.hotplug.irqs_disabled.contains(cpu)
}

/// The first thing that can happen now without time passing: the quiet choice.
fn first_candidate(k: &Kernel) -> Option<Step> {
    if k.hw.pending_cpus.is_empty() && k.blk.softirq_cpus().next().is_none() {
        return k.sched.runnable.front().map(|&task| Step::Task(task));
    }
    candidate(k, 0)
}

/// The `n`th thing that can happen now without time passing.
fn candidate(k: &Kernel, n: usize) -> Option<Step> {
    let interrupts = k.hw.pending_cpus.iter().filter(|&cpu| interruptible(k, cpu)).filter_map(|cpu| {
        let vector = x86apic::hw::lapic::pending(k, cpu)?;
        Some(Step::Interrupt(cpu, vector))
    });
    let softirqs = k.blk.softirq_cpus().map(Step::Softirq);
    let tasks = k.sched.runnable.iter().map(|&task| Step::Task(task));
    interrupts.chain(softirqs).chain(tasks).nth(n)
}

/// Does the next thing. `None` when nothing can happen before `limit` (in ns of virtual time).
pub fn step(k: &mut Kernel, limit: u64) -> Option<Step> {
    let chosen = if k.oracle.is_quiet() {
        first_candidate(k)
    } else {
        let count = (0..).take_while(|&n| candidate(k, n).is_some()).count();
        let n = k.oracle.choose(Point::Schedule, count as u32);
        candidate(k, n as usize)
    };
    if let Some(step) = chosen {
        run(k, step);
        return Some(step);
    }
    if k.events.next_time().is_none_or(|time| time > limit) {
        return None;
    }
    let event = k.events.pop()?;
    let step = Step::Event(event);
    run(k, step);
    Some(step)
}

/// Runs until nothing more happens before `limit`, then moves the clock there. `after` is called
/// after every step.
pub fn run_until(k: &mut Kernel, limit: u64, after: &mut impl FnMut(&Kernel)) {
    while step(k, limit).is_some() {
        after(k);
    }
    k.events.now = k.events.now.max(limit);
}

/// Runs until a task has ended and returns the value of its outermost frame; `None` when it
/// waits for something that will not happen. `after` is called after every step.
pub fn run_task(k: &mut Kernel, task: TaskId, after: &mut impl FnMut(&Kernel)) -> Option<u64> {
    loop {
        if let TaskState::Done(value) = k.sched.tasks[task.index()].state {
            return Some(value);
        }
        step(k, u64::MAX)?;
        after(k);
    }
}

fn run(k: &mut Kernel, step: Step) {
    match step {
        Step::Interrupt(cpu, vector) => interrupt(k, cpu, vector),
        Step::Softirq(cpu) => {
            let ctx = context(k, || Actor::Softirq(cpu));
            let before = k.switch_to(ctx, cpu);
            drivers::blk_mq::blk_done_softirq(k, cpu);
            k.cur = before;
        }
        Step::Task(task) => {
            // The quiet choice is the first one.
            if k.sched.runnable.front() == Some(&task) {
                k.sched.runnable.pop_front();
            } else {
                k.sched.runnable.retain(|&t| t != task);
            }
            resume(k, task);
            if k.sched.tasks[task.index()].state == TaskState::Spinning {
                return;
            }
        }
        Step::Event(event) => happen(k, event),
    }
    k.sched.unspin();
}

/// Where the records of something short-lived go.
fn context(k: &mut Kernel, actor: impl FnOnce() -> Actor) -> kstate::CtxId {
    if k.trace.on { k.trace.open(actor(), &[]) } else { k.cur.ctx }
}

/// The CPU takes its highest pending vector.
fn interrupt(k: &mut Kernel, cpu: CpuId, vector: u8) {
    let before = k.switch_to(k.cur.ctx, cpu);
    if k.trace.on {
        let actor = x86apic::kernel::irq::interrupt_actor(k, vector);
        k.cur.ctx = k.trace.open(actor, &[]);
    }
    x86apic::kernel::irq::handle_vector(k, vector);
    k.cur = before;
}

/// Runs a task to its next wait.
fn resume(k: &mut Kernel, id: TaskId) {
    let task = &mut k.sched.tasks[id.index()];
    let (ctx, cpu) = (task.ctx, task.cpu);
    let mut frames = core::mem::take(&mut task.frames);
    let before = k.switch_to(ctx, cpu);
    k.cur.task = Some(id);
    let state = loop {
        let Some(mut frame) = frames.pop() else { break TaskState::Done(0) };
        if !frame.entered {
            frame.entered = true;
            if k.trace.on {
                let mut args = [None; trace::MAX_ARGS];
                for (kept, arg) in args.iter_mut().zip(frame.args()) {
                    *kept = Some(*arg);
                }
                trace::enter(k, &frame.code.meta, &args);
            }
        }
        match (frame.code.resume)(k, &mut frame) {
            Flow::Call(callee) => frames.extend([frame, callee]),
            Flow::Return(value) => {
                if k.trace.on {
                    trace::exit(k, &frame.code.meta, Some(value));
                }
                match frames.last_mut() {
                    Some(caller) => caller.ret = value,
                    None => break TaskState::Done(value),
                }
            }
            Flow::Again => {
                frames.push(frame);
                break TaskState::Runnable;
            }
            Flow::Spin => {
                frames.push(frame);
                break TaskState::Spinning;
            }
            Flow::Wait(on) => {
                frames.push(frame);
                break TaskState::Waiting(on);
            }
        }
    };
    k.cur = before;
    let task = &mut k.sched.tasks[id.index()];
    task.frames = frames;
    task.state = state;
    match state {
        TaskState::Runnable => k.sched.runnable.push_back(id),
        TaskState::Spinning => k.sched.spinning.push(id),
        TaskState::Waiting(on) => {
            if let WaitOn::Until(time) = on {
                let delay = time.saturating_sub(k.events.now);
                k.events.push(delay, Event::Wake(id));
            } else {
                k.sched.waiters.entry(on).or_default().push(id);
            }
        }
        TaskState::Done(_) => k.wake(WaitOn::Exit(id)),
    }
}

/// An event's time has come.
fn happen(k: &mut Kernel, event: Event) {
    match event {
        Event::Wake(task) => {
            if matches!(k.sched.tasks[task.index()].state, TaskState::Waiting(WaitOn::Until(_))) {
                k.sched.tasks[task.index()].state = TaskState::Runnable;
                k.sched.runnable.push_back(task);
            }
        }
        Event::Nvme(id, event) => drivers::nvme::hw::event(k, id, event),
        Event::Virtio(id, queue) => drivers::virtio::hw::complete(k, id, queue),
        Event::VectorCleanup(cpu) => {
            let ctx = context(k, || Actor::Cleanup(cpu));
            let before = k.switch_to(ctx, cpu);
            x86apic::kernel::vector::vector_cleanup_callback(k);
            k.cur = before;
        }
        Event::IntxLevel(dev, level) => pcimsi::hw::intx_set(k, dev, level),
        Event::IoApicLevel(pin) => x86apic::hw::ioapic::service_level(k, usize::from(pin)),
        Event::BlkTimeout(rq) => drivers::blk_mq::timed_out(k, rq),
        Event::WakeOn(on) => k.wake(on),
    }
}
