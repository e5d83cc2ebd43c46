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

use kstate::Kernel;
use kstate::trace::{Hardware, What};

use super::tracks::{CPUS, Flows, HARDWARE, TASKS, place, tracks};
use super::{RECORD_TIME, Slice, fields};

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

/// The trace, ready for a file.
pub fn encode(slice: &Slice<'_>) -> Vec<u8> {
    encode_with(slice, None)
}

/// The same; calls have their arguments where a machine is given that knows what they are.
pub fn encode_with(slice: &Slice<'_>, args_of: Option<&Kernel>) -> Vec<u8> {
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
            What::Enter { meta, ref args } => {
                depth[ctx] += 1;
                let event = event
                    .number(field::EVENT_TYPE, SLICE_BEGIN)
                    .text(field::EVENT_CATEGORY, "function")
                    .text(field::EVENT_NAME, meta.name)
                    .message(field::EVENT_ANNOTATION, &annotation("file", slice.functions.file_of(meta)));
                let named = args_of.into_iter().flat_map(|k| k.named_arguments(meta, args));
                let event = named.fold(event, |event, (name, value)| {
                    event.message(field::EVENT_ANNOTATION, &annotation(name, &value))
                });
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
