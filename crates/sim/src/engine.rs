//! The engine: it decides which CPU, task or device takes the next step.
//!
//! A step is the smallest thing whose result others can see: a CPU takes an interrupt, a CPU runs a round of softirqs, a task
//! runs up to its next wait, or an event happens because its time has come. If several steps are possible, the oracle chooses.
//! Its quiet answer is interrupts first, then softirqs, then tasks in the order in which they became runnable. Time passes
//! only when nothing else can happen.

use kstate::apic::{IRQ_MOVE_CLEANUP_VECTOR, SPURIOUS_APIC_VECTOR, VectorIrq};
use kstate::event::Event;
use kstate::oracle::Point;
use kstate::sched::{Hardirq, Task, TaskKind, TaskState, WaitOn};
use kstate::semantics::VectorCleanup;
use kstate::trace::Actor;
use kstate::{CpuId, CpuMask, Kernel, TaskId};
use x86apic::hw::lapic;
use x86apic::kernel::idt::{Gate, idt_table};

/// What a step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A CPU took an interrupt.
    Interrupt(CpuId, u8),
    /// A CPU went on with an interrupt that was cut.
    Hardirq(CpuId),
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

/// A stopper holds the task's CPU, and is not that task itself.
fn stopped(k: &Kernel, task: TaskId) -> bool {
    let Task { cpu, kind, .. } = *k.sched.tasks[task.index()];
    k.hotplug.irqs_disabled.contains(cpu) && kind != TaskKind::Migration(cpu)
}

/// The first thing that can happen now without time passing: the quiet choice.
fn first_candidate(k: &Kernel) -> Option<Step> {
    next_interrupt(k).or_else(|| softirqs(k).next()).or_else(|| tasks(k).next())
}

/// The quiet choice, unless a device that is busy gets round to something before it: it may take any time.
fn first_or_device(k: &mut Kernel) -> Option<Step> {
    let first = first_candidate(k)?;
    let mut busy: Vec<(u64, Event)> = Vec::new();
    for (due, &event) in k.events.iter() {
        if matches!(event, Event::Device(..)) && !busy.iter().any(|(_, other)| *other == event) {
            busy.push((due, event));
        }
    }
    let n = k.oracle.choose(Point::Device, 1 + busy.len() as u32);
    let Some(&(due, event)) = n.checked_sub(1).and_then(|n| busy.get(n as usize)) else { return Some(first) };
    let early = match due.saturating_sub(k.events.now) {
        0 => "at its usual time".to_owned(),
        early => format!("{early} ns before its usual time"),
    };
    let text = format!("{} {early}, and before {}", k.event_name(&event), in_words(k, first));
    k.oracle.race(text);
    k.events.take(&event);
    Some(Step::Event(event))
}

/// What a step that comes next is about to do.
fn in_words(k: &Kernel, step: Step) -> String {
    match step {
        Step::Interrupt(cpu, vector) => {
            let handler = match k.apic.vector_irq(cpu, u32::from(vector)) {
                VectorIrq::Desc(irq) => k.find_desc(irq).map(|desc| desc.handle_irq.name()),
                _ => None,
            };
            let actor = interrupt_actor(k, cpu, vector);
            match handler {
                Some(handler) => format!("CPU {cpu} takes {actor} in {handler}()"),
                None => format!("CPU {cpu} takes {actor}"),
            }
        }
        Step::Hardirq(cpu) => format!("CPU {cpu} goes on with its interrupt"),
        Step::Softirq(cpu) => format!("blk_done_softirq() runs on CPU {cpu}"),
        Step::Task(task) => {
            let task = &k.sched.tasks[task.index()];
            let actor = &k.trace.ctxs[task.ctx].actor;
            match task.frames.last() {
                Some(frame) => format!("{actor} on CPU {} goes on in {}()", task.cpu, frame.code.meta.name),
                None => format!("{actor} on CPU {} ends", task.cpu),
            }
        }
        Step::Event(event) => k.event_name(&event),
    }
}

/// The first interrupt or softirq that a CPU can take.
pub(crate) fn first_interrupt(k: &Kernel) -> Option<Step> {
    next_interrupt(k).or_else(|| softirqs(k).next())
}

/// The first CPU that can take an interrupt, and which.
#[inline]
fn next_interrupt(k: &Kernel) -> Option<Step> {
    let mut next = k.hw.pending_cpus.first();
    while let Some(cpu) = next {
        if interruptible(k, cpu)
            && let Some(vector) = lapic::pending(k, cpu)
        {
            return Some(Step::Interrupt(cpu, vector));
        }
        next = k.hw.pending_cpus.next_after(cpu);
    }
    None
}

/// CPUs that can take an interrupt.
#[inline]
fn interrupts(k: &Kernel) -> impl Iterator<Item = Step> {
    k.hw.pending_cpus.iter().filter(|&cpu| interruptible(k, cpu)).filter_map(|cpu| {
        let vector = x86apic::hw::lapic::pending(k, cpu)?;
        Some(Step::Interrupt(cpu, vector))
    })
}

/// CPUs that can run softirqs.
#[inline]
fn softirqs(k: &Kernel) -> impl Iterator<Item = Step> {
    k.blk.softirq_cpus().map(Step::Softirq)
}

/// Tasks that can run.
#[inline]
fn tasks(k: &Kernel) -> impl Iterator<Item = Step> {
    k.sched.runnable.iter().filter(|&&task| !stopped(k, task)).map(|&task| Step::Task(task))
}

/// The `n`th thing that can happen now without time passing.
fn candidate(k: &Kernel, n: usize) -> Option<Step> {
    interrupts(k).chain(softirqs(k)).chain(tasks(k)).nth(n)
}

/// Everything that can happen next where interleavings are explored, the quiet choice first.
///
/// A CPU that is in an interrupt does nothing else, and takes one that is pending before anything else:
/// a task runs with interrupts on between its steps. While a stopper holds a CPU nothing else runs on it.
/// Events of devices can happen at any time; time passes only when nothing else can happen, and not
/// past an event that is due.
pub fn candidates(k: &Kernel, limit: u64) -> Vec<Step> {
    let sched = &k.sched;
    let free = |cpu: CpuId| !sched.hardirqs.contains_key(&cpu);
    let mut steps: Vec<Step> = Vec::new();
    steps.extend(sched.hardirqs.iter().filter(|(_, irq)| !irq.spinning).map(|(&cpu, _)| Step::Hardirq(cpu)));
    let mut interrupted = CpuMask::new();
    for cpu in k.hw.pending_cpus.iter().filter(|&cpu| interruptible(k, cpu) && free(cpu)) {
        if let Some(vector) = x86apic::hw::lapic::pending(k, cpu) {
            interrupted.set(cpu);
            steps.push(Step::Interrupt(cpu, vector));
        }
    }
    let softirqs = k.blk.softirq_cpus().filter(|&cpu| free(cpu) && !interrupted.contains(cpu));
    steps.extend(softirqs.map(Step::Softirq));
    let runs = |task: &&TaskId| {
        let cpu = sched.tasks[task.index()].cpu;
        free(cpu) && !interrupted.contains(cpu) && !stopped(k, **task)
    };
    steps.extend(sched.runnable.iter().filter(runs).map(|&task| Step::Task(task)));
    let idle = steps.is_empty();
    for (at, (time, &event)) in k.events.iter().enumerate() {
        let is_next = at == 0 && idle && (event.is_elastic() || time <= limit);
        // A timer of a CPU is softirq work of that CPU: it is in no interrupt then, and not stopped.
        let can_happen = match event {
            Event::VectorCleanup(cpu) => free(cpu) && interruptible(k, cpu),
            event => event.is_elastic(),
        };
        if (is_next || can_happen) && !steps.contains(&Step::Event(event)) {
            steps.push(Step::Event(event));
        }
    }
    steps
}

/// Does one of the [`candidates`].
pub fn take(k: &mut Kernel, step: Step) {
    if let Step::Event(event) = step {
        let taken = if event.is_elastic() { k.events.take(&event) } else { k.events.pop() == Some(event) };
        debug_assert!(taken, "{event:?} is not pending");
    }
    run(k, step);
}

/// Does the next thing. `None` when nothing can happen before `limit` (in ns of virtual time).
pub fn step(k: &mut Kernel, limit: u64) -> Option<Step> {
    if k.oracle.interleave {
        let steps = candidates(k, limit);
        let n = k.oracle.choose(Point::Schedule, steps.len() as u32);
        let chosen = *steps.get(n as usize)?;
        take(k, chosen);
        return Some(chosen);
    }
    let chosen = if k.oracle.is_quiet() {
        first_candidate(k)
    } else if k.oracle.is_racing() {
        first_or_device(k)
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

/// Nothing can happen any more, however much time passes.
pub fn is_idle(k: &Kernel) -> bool {
    if k.oracle.interleave {
        return candidates(k, u64::MAX).is_empty();
    }
    first_candidate(k).is_none() && k.events.next_time().is_none()
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

/// Does a step that was chosen elsewhere; an event has been taken out of the queue.
pub(crate) fn run(k: &mut Kernel, step: Step) {
    match step {
        Step::Interrupt(cpu, vector) => interrupt(k, cpu, vector),
        Step::Hardirq(cpu) => {
            hardirq(k, cpu);
            if k.sched.hardirqs.get(&cpu).is_some_and(|hardirq| hardirq.spinning) {
                return;
            }
        }
        Step::Softirq(cpu) => {
            let ctx = context(k, || Actor::Softirq(cpu));
            let before = k.switch_to(ctx, cpu);
            drivers::block::blk_softirq::blk_done_softirq(k, cpu);
            k.cur = before;
        }
        Step::Task(task) => {
            // The quiet choice is the first one that no stopper holds up, and few stand before it.
            let at = k.sched.runnable.iter().position(|&t| t == task);
            at.and_then(|at| k.sched.runnable.remove(at));
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
        let actor = interrupt_actor(k, cpu, vector);
        k.cur.ctx = k.trace.open(actor, &[]);
    }
    let taken = u32::from(lapic::ack(k, cpu));
    debug_assert!(
        taken == u32::from(vector) || taken == SPURIOUS_APIC_VECTOR,
        "the local APIC had another vector pending: see lapic::pending()"
    );
    let old = k.apic.cpu_mut(cpu).irq_regs_vector.replace(taken);
    match idt_table(k, taken) {
        // Stopped before the first thing that others can see; hardirq() goes on, to the end.
        Gate::Device(_, frame) if k.oracle.interleave => {
            let cut = Hardirq { frames: vec![frame(taken)], spinning: false, ctx: k.cur.ctx };
            k.sched.hardirqs.insert(cpu, cut);
            hardirq(k, cpu);
        }
        gate => {
            match gate {
                Gate::System(f) => f(k),
                Gate::Device(f, _) => f(k, taken),
            }
            k.apic.cpu_mut(cpu).irq_regs_vector = old;
        }
    }
    k.cur = before;
}

/// Whose tree the interrupt at `vector` of a CPU is, for the recorder.
fn interrupt_actor(k: &Kernel, cpu: CpuId, vector: u8) -> Actor {
    let vector = u32::from(vector);
    if vector == IRQ_MOVE_CLEANUP_VECTOR && k.sem.vector_cleanup == VectorCleanup::Ipi {
        return Actor::Cleanup(cpu);
    }
    let irq = match k.apic.vector_irq(cpu, vector) {
        VectorIrq::Desc(irq) => Some(irq),
        _ => None,
    };
    let name = irq
        .and_then(|irq| k.find_desc(irq)?.action.first())
        .map_or_else(|| "".into(), |action| action.name.clone());
    Actor::Irq { irq, name, cpu }
}

/// The CPU goes on with its interrupt, to the next place where it can be cut.
fn hardirq(k: &mut Kernel, cpu: CpuId) {
    let Some(Hardirq { mut frames, ctx, .. }) = k.sched.hardirqs.remove(&cpu) else { return };
    let before = k.switch_to(ctx, cpu);
    let state = k.run_frames(&mut frames);
    if let TaskState::Waiting(_) = state {
        let function = frames.last().map_or("", |frame| frame.code.meta.name);
        k.pr_warn(format!(
            "irqlab: BUG: scheduling while atomic: {function} wants to sleep in an interrupt on CPU {cpu}"
        ));
    }
    match state {
        TaskState::Done(_) => k.apic.cpu_mut(cpu).irq_regs_vector = None,
        state => {
            let spinning = state == TaskState::Spinning;
            k.sched.hardirqs.insert(cpu, Hardirq { frames, spinning, ctx });
        }
    }
    k.cur = before;
}

/// Runs a task to its next wait.
fn resume(k: &mut Kernel, id: TaskId) {
    let task = &mut k.sched.tasks[id.index()];
    let (ctx, cpu) = (task.ctx, task.cpu);
    let mut frames = core::mem::take(&mut task.frames);
    let before = k.switch_to(ctx, cpu);
    k.cur.task = Some(id);
    let state = k.run_frames(&mut frames);
    k.cur = before;
    let task = &mut k.sched.tasks[id.index()];
    task.frames = frames;
    task.state = state;
    match state {
        TaskState::Runnable => k.sched.runnable.push_back(id),
        TaskState::Spinning => k.sched.spinning.push(id),
        TaskState::Waiting(on) => {
            might_sleep(k, cpu, on);
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

/// A task goes to sleep on a CPU where it may not.
fn might_sleep(k: &mut Kernel, cpu: CpuId, on: WaitOn) {
    let why = if k.hotplug.irqs_disabled.contains(cpu) && on != WaitOn::StopMachine {
        "with interrupts off"
    } else if k.apic.vector_lock == Some(cpu) {
        "with vector_lock held"
    } else {
        return;
    };
    let on = k.wait_name(on);
    k.pr_warn(format!("irqlab: BUG: scheduling while atomic: CPU {cpu} wants to wait for {on} {why}"));
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
        Event::Device(dev, word) => pcimsi::hw::device_event(k, dev, word),
        Event::VectorCleanup(cpu) => {
            let ctx = context(k, || Actor::Cleanup(cpu));
            let before = k.switch_to(ctx, cpu);
            x86apic::kernel::vector::vector_cleanup_callback(k);
            k.cur = before;
        }
        Event::IntxLevel(dev, level) => k.on_its_own(|k| pcimsi::hw::intx_set(k, dev, level)),
        Event::IoApicLevel(pin) => {
            k.on_its_own(|k| x86apic::hw::ioapic::service_level(k, usize::from(pin)));
        }
        Event::BlkTimeout(rq) => drivers::block::blk_core::blk_rq_timed_out_timer(k, rq),
        Event::WakeOn(on) => k.wake(on),
    }
}
