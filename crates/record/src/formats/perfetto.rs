//! A trace that ui.perfetto.dev opens: Perfetto's own format, protocol buffers with one packet per
//! event (protos/perfetto/trace in Perfetto's tree).
//!
//! One track per CPU, on which interrupts and softirqs run, and one per task. A call is a slice, a
//! tracepoint an instant with its fields as arguments.
//!
//! Where hardware was recorded, a device has a track of its own, what a local APIC does is on the track of its CPU,
//! and arrows lead from a message over IRR and ISR to the interrupt's first function, from there to the softirq that it
//! leaves work to, and to the task that is woken in the end.
//!
//! # What it doesn't implement
//! Interning of names: a trace is as long as its names are.

use std::collections::BTreeMap;

use kstate::CtxId;
use kstate::trace::{Actor, Field, Hardware, Record, Source, Trace, What};

use super::{RECORD_TIME, Slice, fields};
use crate::recording::flow_label;

/// Field numbers of the messages.
mod field {
    pub const PACKET: u32 = 1;
    pub const TIMESTAMP: u32 = 8;
    pub const SEQUENCE: u32 = 10;
    pub const TRACK_EVENT: u32 = 11;
    pub const SEQUENCE_FLAGS: u32 = 13;
    pub const TRACK_DESCRIPTOR: u32 = 60;

    pub const EVENT_ANNOTATION: u32 = 4;
    pub const EVENT_TYPE: u32 = 9;
    pub const EVENT_TRACK: u32 = 11;
    pub const EVENT_CATEGORY: u32 = 22;
    pub const EVENT_NAME: u32 = 23;
    pub const EVENT_FLOW: u32 = 47;

    pub const ANNOTATION_INT: u32 = 4;
    pub const ANNOTATION_STRING: u32 = 6;
    pub const ANNOTATION_NAME: u32 = 10;

    pub const TRACK_UUID: u32 = 1;
    pub const TRACK_NAME: u32 = 2;
    pub const TRACK_PARENT: u32 = 5;
}

const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;
const INSTANT: u64 = 3;
/// `SEQ_INCREMENTAL_STATE_CLEARED`: nothing before this packet matters.
const STATE_CLEARED: u64 = 1;
/// All packets come from one writer.
const WRITER: u64 = 1;

const CPUS: u64 = 1;
const TASKS: u64 = 2;
const HARDWARE: u64 = 3;
/// Tracks of CPUs, and then of tasks and of hardware, are numbered from here.
const FIRST: u64 = 16;
const FIRST_TASK: u64 = FIRST + (1 << 16);
const FIRST_HARDWARE: u64 = FIRST + (1 << 32);

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    fn fixed64(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(self, field: u32, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }
}

/// Where a context's calls are drawn.
fn tracks(slice: &Slice<'_>) -> (Vec<Option<u64>>, BTreeMap<u64, (u64, String)>) {
    let records = slice.timed();
    let mut life: Vec<Option<(usize, usize)>> = vec![None; slice.trace.ctxs.len()];
    let mut cpu_of = vec![0; slice.trace.ctxs.len()];
    for (i, (_, record)) in records.iter().enumerate() {
        if let Some(life) = life.get_mut(record.ctx.index()) {
            let (_, last) = life.get_or_insert((i, i));
            *last = i;
            cpu_of[record.ctx.index()] = record.cpu.0;
        }
    }
    let mut named = BTreeMap::new();
    let mut of = vec![None; life.len()];
    // Lanes of tasks by name: the track, and when it is free again.
    let mut lanes: BTreeMap<String, Vec<(u64, usize)>> = BTreeMap::new();
    let mut order: Vec<usize> = (0..life.len()).filter(|i| life[*i].is_some()).collect();
    order.sort_by_key(|i| life[*i]);
    let mut next = FIRST_TASK;
    for i in order {
        let Some((first, last)) = life[i] else { continue };
        let actor = &slice.trace.ctxs[i].actor;
        let track = match actor {
            Actor::Irq { .. } | Actor::Softirq(_) | Actor::Cleanup(_) | Actor::Idle(_) => {
                let cpu = u64::from(cpu_of[i]);
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
        of[i] = Some(track);
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
fn place(trace: &Trace, record: &Record, hardware: &Hardware) -> Option<(u64, u64, String)> {
    match *hardware {
        Hardware::Irr { cpu, .. }
        | Hardware::Accept { cpu, .. }
        | Hardware::Isr { cpu, .. }
        | Hardware::Spurious { cpu, .. }
        | Hardware::Inta { cpu, .. }
        | Hardware::Eoi { cpu, .. }
        | Hardware::Lvt { cpu, .. }
        | Hardware::LapicReset { cpu } => Some((FIRST + u64::from(cpu.0), CPUS, format!("CPU {cpu}"))),
        _ if record.ctx != Trace::NOBODY => None,
        Hardware::Message { from: Source::Dmar, .. }
        | Hardware::Blocked { from: Source::Dmar, .. }
        | Hardware::Irte { .. }
        | Hardware::Fault { .. } => Some((FIRST_HARDWARE + 1, HARDWARE, "DMAR".to_owned())),
        _ => Some(match hardware.dev() {
            Some(dev) => (FIRST_HARDWARE + 2 + u64::from(dev.0), HARDWARE, trace.field(Field::Device(dev))),
            None => (FIRST_HARDWARE, HARDWARE, "IO-APIC".to_owned()),
        }),
    }
}

/// The ways of interrupts, each with a number: where each has come to.
#[derive(Default)]
struct Flows {
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
    fn of(&mut self, record: &Record, hardware: &Hardware) -> Option<u64> {
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
    fn arrives(&mut self, actor: &Actor, record: &Record) -> Option<u64> {
        if let Actor::Softirq(cpu) = actor
            && let Some(flow) = self.raised.remove(&cpu.0)
        {
            self.contexts.insert(record.ctx, flow);
            return Some(flow);
        }
        self.next.remove(&record.ctx)
    }
}

/// The trace, ready for a file.
pub fn encode(slice: &Slice<'_>) -> Vec<u8> {
    let (of, named) = tracks(slice);
    let mut trace = Message::default();
    let mut cleared = false;
    let mut packet = |trace: Message, time: Option<u64>, content: u32, message: &Message| {
        let mut packet = Message::default();
        if let Some(time) = time {
            packet = packet.number(field::TIMESTAMP, time);
        }
        packet = packet.number(field::SEQUENCE, WRITER);
        if !cleared {
            packet = packet.number(field::SEQUENCE_FLAGS, STATE_CLEARED);
            cleared = true;
        }
        trace.message(field::PACKET, &packet.message(content, message))
    };
    let has_hardware = named.values().any(|(group, _)| *group == HARDWARE);
    let hardware = has_hardware.then_some((HARDWARE, None, "Hardware"));
    let groups = [(CPUS, None, "CPUs"), (TASKS, None, "Tasks")].into_iter().chain(hardware);
    let tracks = named.iter().map(|(id, (parent, name))| (*id, Some(*parent), name.as_str()));
    for (id, parent, name) in groups.chain(tracks) {
        let mut track = Message::default().number(field::TRACK_UUID, id).text(field::TRACK_NAME, name);
        if let Some(parent) = parent {
            track = track.number(field::TRACK_PARENT, parent);
        }
        trace = packet(trace, None, field::TRACK_DESCRIPTOR, &track);
    }
    // Calls that were open when the part began have no beginning, and so no end.
    let mut depth = vec![0u32; of.len()];
    let mut flows = Flows::default();
    for (time, record) in slice.timed() {
        let ctx = record.ctx.index();
        let own = of.get(ctx).copied().flatten();
        if let What::Hardware(hardware) = record.what {
            let elsewhere = place(slice.trace, record, &hardware).map(|(track, ..)| track);
            let Some(track) = elsewhere.or(own) else { continue };
            let event = instant(track, "hardware", hardware.name());
            let event = hardware.fields().into_iter().fold(event, |event, (name, field)| {
                let text = slice.trace.field(field);
                event.message(field::EVENT_ANNOTATION, &annotation(name, &text))
            });
            let flow = flows.of(record, &hardware);
            trace = packet(trace, Some(time), field::TRACK_EVENT, &arrow(event, flow));
            // The task may go on in the middle of a call, of which nothing begins there.
            if let Hardware::Wakeup { task, .. } = hardware
                && let Some(track) = of.get(task.index()).copied().flatten()
            {
                let woken = arrow(instant(track, "hardware", "woken"), flow);
                trace = packet(trace, Some(time + RECORD_TIME / 2), field::TRACK_EVENT, &woken);
            }
            continue;
        }
        let Some(track) = own else { continue };
        let arrives = match record.what {
            What::Enter { .. } => flows.arrives(slice.actor(record.ctx), record),
            _ => None,
        };
        let event = Message::default().number(field::EVENT_TRACK, track);
        let event = match record.what {
            What::Enter { meta, .. } => {
                depth[ctx] += 1;
                let event = event
                    .number(field::EVENT_TYPE, SLICE_BEGIN)
                    .text(field::EVENT_CATEGORY, "function")
                    .text(field::EVENT_NAME, meta.name)
                    .message(field::EVENT_ANNOTATION, &annotation("file", slice.functions.file_of(meta)));
                arrow(event, arrives)
            }
            What::Exit { .. } => {
                let Some(left) = depth[ctx].checked_sub(1) else { continue };
                depth[ctx] = left;
                event.number(field::EVENT_TYPE, SLICE_END)
            }
            What::Tracepoint(tracepoint) => {
                let text = tracepoint.to_string();
                let event = event
                    .number(field::EVENT_TYPE, INSTANT)
                    .text(field::EVENT_CATEGORY, "tracepoint")
                    .text(field::EVENT_NAME, tracepoint.name());
                fields(&text).fold(event, |event, (name, value)| {
                    event.message(field::EVENT_ANNOTATION, &annotation(name, value))
                })
            }
            // Drawn above.
            What::Hardware(_) => continue,
            What::Warn(text) => event
                .number(field::EVENT_TYPE, INSTANT)
                .text(field::EVENT_CATEGORY, "warning")
                .text(field::EVENT_NAME, text),
        };
        trace = packet(trace, Some(time), field::TRACK_EVENT, &event);
    }
    trace.0
}

fn instant(track: u64, category: &str, name: &str) -> Message {
    Message::default()
        .number(field::EVENT_TRACK, track)
        .number(field::EVENT_TYPE, INSTANT)
        .text(field::EVENT_CATEGORY, category)
        .text(field::EVENT_NAME, name)
}

/// Ties an event to the others on its way.
fn arrow(event: Message, flow: Option<u64>) -> Message {
    match flow {
        Some(flow) => event.fixed64(field::EVENT_FLOW, flow),
        None => event,
    }
}

fn annotation(name: &str, value: &str) -> Message {
    let message = Message::default().text(field::ANNOTATION_NAME, name);
    match value.parse::<i64>() {
        Ok(number) => message.number(field::ANNOTATION_INT, number as u64),
        Err(_) => message.text(field::ANNOTATION_STRING, value),
    }
}
