//! When two worlds are the same state: when everything that can still happen is.
//!
//! What only tells how a state was reached is left out: the clock itself (what is pending counts by how
//! far away it is), the order in which tasks became able to run, since any may go first, the kernel log,
//! and counters that are only read by people.

use core::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;
use kstate::Kernel;
use kstate::apic::IrqCpustat;
use kstate::event::EventQueue;
use kstate::sched::{TaskState, WaitOn};
use kstate::{CtxId, Irq};

use super::World;

/// What a script can tell apart beyond what the machine does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reads {
    /// Its assertions look at the kernel log.
    pub log: bool,
    /// They look at counters.
    pub counters: bool,
}

impl Reads {
    /// What the assertions of a script look at.
    pub fn of(script: &crate::script::Script) -> Self {
        let counters =
            |path: &str| path.contains("interrupts") || path.contains("irqlab") || path.contains("spurious");
        let mut reads = Self::default();
        for path in script.asserted_paths() {
            reads.log |= path == "dmesg";
            reads.counters |= counters(&path);
        }
        reads
    }
}

/// A number that two worlds share when they are the same state, and else only by an accident of one in
/// 2^64.
pub fn identity(world: &World, reads: Reads) -> u64 {
    let mut k = world.k.clone();
    let mut hasher = FixedState::default().build_hasher();
    hash_events(&k.events, &mut hasher);
    let now = k.events.now;
    k.events = EventQueue::default();
    relative(&mut k, now);
    if !reads.log {
        k.log.clear();
        k.warnings = 0;
    }
    if !reads.counters {
        forget_counters(&mut k);
    }
    k.hash(&mut hasher);
    world.shell.hash_relative(now, &mut hasher);
    hasher.finish()
}

/// Pending events in their order, timers by how far away they are. Between two timers the order of what
/// devices will do does not matter.
fn hash_events(events: &EventQueue, hasher: &mut impl Hasher) {
    let now = events.now;
    let mut elastic = Vec::new();
    for (time, event) in events.iter() {
        if event.is_elastic() {
            elastic.push(*event);
            continue;
        }
        elastic.sort_unstable();
        core::mem::take(&mut elastic).hash(hasher);
        (time.saturating_sub(now), event).hash(hasher);
    }
    elastic.sort_unstable();
    elastic.hash(hasher);
}

/// Makes times relative to `now`, and sets of what were lists in the order of their making.
fn relative(k: &mut Kernel, now: u64) {
    let sched = &mut k.sched;
    for task in &mut sched.tasks {
        task.ctx = CtxId::default();
        if let TaskState::Waiting(WaitOn::Until(time)) = &mut task.state {
            *time = time.saturating_sub(now);
        }
        for frame in &mut task.frames {
            // What a frame waits for longest is a local of this name, as in C.
            for (slot, name) in frame.slots.iter_mut().zip(frame.code.locals) {
                if *name == "deadline" {
                    *slot = slot.saturating_sub(now);
                }
            }
        }
    }
    for hardirq in sched.hardirqs.values_mut() {
        hardirq.ctx = CtxId::default();
    }
    sched.runnable.make_contiguous().sort_unstable();
    sched.spinning.sort_unstable();
    for sleepers in sched.waiters.values_mut() {
        sleepers.sort_unstable();
    }
    for request in k.blk.requests.values_mut() {
        // Its event is in the queue.
        request.timer = None;
    }
}

/// Clears what is counted for people.
fn forget_counters(k: &mut Kernel) {
    let irqs: Vec<Irq> = k.for_each_irq().collect();
    for irq in irqs {
        let desc = k.desc_mut(irq);
        desc.kstat_irqs = Default::default();
        desc.tot_count = 0;
        // They matter from 99,900 on.
        desc.irq_count = 0;
        desc.last_unhandled = 0;
        // Only that it has changed is looked at.
        let handled_since = desc.threads_handled != desc.threads_handled_last;
        (desc.threads_handled, desc.threads_handled_last) = (u32::from(handled_since), 0);
    }
    for cpu in &mut k.apic.cpus {
        cpu.irq_stat = IrqCpustat::default();
    }
}
