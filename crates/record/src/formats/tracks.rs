//! Where a record is drawn: a track for each CPU, on which interrupts and softirqs run, one for each task, and one for each
//! piece of hardware that acts on its own. And the ways of interrupts over these tracks.

use std::collections::BTreeMap;

use kstate::CtxId;
use kstate::trace::{Actor, Field, Hardware, Record, Table, Trace, What};

use super::Slice;
use crate::recording::flow_label;

/// The group of CPUs.
pub(super) const CPUS: u64 = 1;
/// The group of tasks.
pub(super) const TASKS: u64 = 2;
/// The group of devices and of what else acts on its own.
pub(super) const HARDWARE: u64 = 3;
/// Tracks of CPUs, and then of tasks and of hardware, are numbered from here.
pub(super) const FIRST: u64 = 16;
const FIRST_TASK: u64 = FIRST + (1 << 16);
const FIRST_HARDWARE: u64 = FIRST + (1 << 32);

/// Where a context's calls are drawn: the track of each context, and the group and the name of each track.
pub(super) fn tracks(slice: &Slice<'_>) -> (Table<Option<u64>>, BTreeMap<u64, (u64, String)>) {
    let records = slice.timed();
    // The first and the last record, and the CPU of the last.
    let mut life: Table<Option<(usize, usize, u32)>> = slice.trace.ctxs.table();
    for (i, (_, record)) in records.iter().enumerate() {
        if let Some(life) = life.get_mut(record.ctx) {
            let (_, last, cpu) = life.get_or_insert((i, i, record.cpu.0));
            (*last, *cpu) = (i, record.cpu.0);
        }
    }
    let mut named = BTreeMap::new();
    let mut of: Table<Option<u64>> = slice.trace.ctxs.table();
    // Lanes of tasks by name: the track, and when it is free again.
    let mut lanes: BTreeMap<String, Vec<(u64, usize)>> = BTreeMap::new();
    let mut order: Vec<_> = life.iter().filter_map(|(ctx, life)| Some(((*life)?, ctx))).collect();
    order.sort_unstable();
    let mut next = FIRST_TASK;
    for ((first, last, cpu), ctx) in order {
        let actor = slice.actor(ctx);
        let track = match actor {
            Actor::Irq { .. } | Actor::Softirq(_) | Actor::Cleanup(_) | Actor::Idle(_) => {
                let cpu = u64::from(cpu);
                named.insert(FIRST + cpu, (CPUS, format!("CPU {cpu}")));
                FIRST + cpu
            }
            Actor::Task
            | Actor::Kworker
            | Actor::Cpuhp(_)
            | Actor::Migration(_)
            | Actor::IrqThread(_)
            | Actor::Boot => {
                let name = match actor {
                    Actor::Migration(cpu) => format!("migration/{cpu}"),
                    Actor::IrqThread(name) => name.clone(),
                    actor => flow_label(actor),
                };
                let lanes = lanes.entry(name.clone()).or_default();
                match lanes.iter_mut().find(|(_, free)| *free < first) {
                    Some((track, free)) => {
                        *free = last;
                        *track
                    }
                    None => {
                        let track = next;
                        next += 1;
                        lanes.push((track, last));
                        let name = if lanes.len() == 1 { name } else { format!("{name} #{}", lanes.len()) };
                        named.insert(track, (TASKS, name));
                        track
                    }
                }
            }
        };
        if let Some(of) = of.get_mut(ctx) {
            *of = Some(track);
        }
    }
    for (_, record) in &records {
        if let What::Hardware(hardware) = record.what
            && let Some((track, group, name)) = place(slice.trace, record, &hardware)
        {
            named.entry(track).or_insert((group, name));
        }
    }
    (of, named)
}

/// The track of what hardware does that is not on the track of a stack: its number, its group and its name.
pub(super) fn place(trace: &Trace, record: &Record, hardware: &Hardware) -> Option<(u64, u64, String)> {
    if let Some(cpu) = hardware.local_apic() {
        return Some((FIRST + u64::from(cpu.0), CPUS, format!("CPU {cpu}")));
    }
    if record.ctx != Trace::NOBODY {
        return None;
    }
    if hardware.is_of_dmar() {
        return Some((FIRST_HARDWARE + 1, HARDWARE, "DMAR".to_owned()));
    }
    Some(match hardware.dev() {
        Some(dev) => (FIRST_HARDWARE + 2 + u64::from(dev.0), HARDWARE, trace.field(Field::Device(dev))),
        None => (FIRST_HARDWARE, HARDWARE, "IO-APIC".to_owned()),
    })
}

/// The ways of interrupts, each with a number: where each has come to.
#[derive(Default)]
pub(super) struct Flows {
    last: u64,
    /// Of the message on the bus.
    message: Option<u64>,
    /// Of the vectors in IRR, by CPU and vector.
    requested: BTreeMap<(u32, u8), u64>,
    /// Of what a context does on behalf of an interrupt.
    contexts: BTreeMap<CtxId, u64>,
    /// Of the softirqs that were raised, by CPU.
    raised: BTreeMap<u32, u64>,
    /// Contexts that the way leads to, with their next record.
    next: BTreeMap<CtxId, u64>,
}

impl Flows {
    /// The way that a record of hardware is on.
    pub(super) fn of(&mut self, record: &Record, hardware: &Hardware) -> Option<u64> {
        match *hardware {
            Hardware::Message { .. } | Hardware::Ipi { .. } => {
                self.last += 1;
                self.message = Some(self.last);
                self.message
            }
            Hardware::Irte { .. } => self.message,
            Hardware::Irr { cpu, vector, .. } => {
                let flow = self.message?;
                self.requested.insert((cpu.0, vector), flow);
                Some(flow)
            }
            Hardware::Isr { cpu, vector } => {
                let flow = self.requested.remove(&(cpu.0, vector))?;
                self.contexts.insert(record.ctx, flow);
                self.next.insert(record.ctx, flow);
                Some(flow)
            }
            Hardware::Softirq { cpu } => {
                let flow = *self.contexts.get(&record.ctx)?;
                self.raised.insert(cpu.0, flow);
                Some(flow)
            }
            Hardware::Wakeup { task, .. } => {
                let flow = *self.contexts.get(&record.ctx)?;
                self.contexts.insert(task, flow);
                Some(flow)
            }
            _ => None,
        }
    }

    /// The way that leads to the first record of a context after a station.
    pub(super) fn arrives(&mut self, actor: &Actor, record: &Record) -> Option<u64> {
        if let Actor::Softirq(cpu) = actor
            && let Some(flow) = self.raised.remove(&cpu.0)
        {
            self.contexts.insert(record.ctx, flow);
            return Some(flow);
        }
        self.next.remove(&record.ctx)
    }
}
