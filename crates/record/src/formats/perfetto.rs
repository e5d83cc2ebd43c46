//! A trace that ui.perfetto.dev opens: Perfetto's own format, protocol buffers with one packet per
//! event (protos/perfetto/trace in Perfetto's tree).
//!
//! One track per CPU, on which interrupts and softirqs run, and one per task. A call is a slice, a
//! tracepoint an instant with its fields as arguments.
//!
//! # What it doesn't implement
//! Interning of names: a trace is as long as its names are.

use std::collections::BTreeMap;

use kstate::trace::{Actor, What};

use super::{Slice, fields};
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
/// Tracks of CPUs, and then of tasks, are numbered from here.
const FIRST: u64 = 16;

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
    let mut next = FIRST + (1 << 16);
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
    (of, named)
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
    let groups = [(CPUS, None, "CPUs"), (TASKS, None, "Tasks")];
    let tracks = named.iter().map(|(id, (parent, name))| (*id, Some(*parent), name.as_str()));
    for (id, parent, name) in groups.into_iter().chain(tracks) {
        let mut track = Message::default().number(field::TRACK_UUID, id).text(field::TRACK_NAME, name);
        if let Some(parent) = parent {
            track = track.number(field::TRACK_PARENT, parent);
        }
        trace = packet(trace, None, field::TRACK_DESCRIPTOR, &track);
    }
    // Calls that were open when the part began have no beginning, and so no end.
    let mut depth = vec![0u32; of.len()];
    for (time, record) in slice.timed() {
        let ctx = record.ctx.index();
        let Some(track) = of.get(ctx).copied().flatten() else { continue };
        let event = Message::default().number(field::EVENT_TRACK, track);
        let event = match record.what {
            What::Enter { meta, .. } => {
                depth[ctx] += 1;
                event
                    .number(field::EVENT_TYPE, SLICE_BEGIN)
                    .text(field::EVENT_CATEGORY, "function")
                    .text(field::EVENT_NAME, meta.name)
                    .message(field::EVENT_ANNOTATION, &annotation("file", slice.functions.file_of(meta)))
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

fn annotation(name: &str, value: &str) -> Message {
    let message = Message::default().text(field::ANNOTATION_NAME, name);
    match value.parse::<i64>() {
        Ok(number) => message.number(field::ANNOTATION_INT, number as u64),
        Err(_) => message.text(field::ANNOTATION_STRING, value),
    }
}
