//! A trace that ui.perfetto.dev opens: Perfetto's own format, protocol buffers with one packet per
//! event (protos/perfetto/trace in Perfetto's tree).
//!
//! One track per CPU, on which interrupts and softirqs run, and one per task. A call is a slice with its arguments and
//! what it returns, a tracepoint an instant with its fields as arguments. Beside each CPU's track is one that shows who
//! runs there, and counters have what the tracepoints of the vector matrix say: how many CPUs and vectors there are.
//!
//! Where hardware was recorded, a device has a track of its own, what a local APIC does is on the track of its CPU,
//! and arrows lead from a message over IRR and ISR to the interrupt's first function, from there to the softirq that it
//! leaves work to, and to the task that is woken in the end.
//!
//! # What it doesn't implement
//! Interning of names: a trace is as long as its names are.

use std::collections::BTreeMap;

use kstate::trace::{Actor, Arg, Hardware, MatrixCpu, MatrixGlobal, Record, Table, Trace, Tracepoint, What};
use kstate::{CpuId, CtxId, Kernel};

use super::tracks::{CPUS, FIRST, Flows, HARDWARE, TASKS, place, tracks};
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
    pub const EVENT_COUNTER: u32 = 30;
    pub const EVENT_FLOW: u32 = 47;

    pub const ANNOTATION_INT: u32 = 4;
    pub const ANNOTATION_STRING: u32 = 6;
    pub const ANNOTATION_NAME: u32 = 10;
    pub const ANNOTATION_ENTRY: u32 = 11;

    pub const TRACK_UUID: u32 = 1;
    pub const TRACK_NAME: u32 = 2;
    pub const TRACK_PARENT: u32 = 5;
    pub const TRACK_COUNTER: u32 = 8;
    pub const TRACK_ORDERING: u32 = 11;
    pub const TRACK_RANK: u32 = 12;

    pub const COUNTER_UNIT: u32 = 3;
    pub const COUNTER_UNIT_NAME: u32 = 6;
}

const SLICE_BEGIN: u64 = 1;
const SLICE_END: u64 = 2;
const INSTANT: u64 = 3;
const COUNTER: u64 = 4;
/// `EXPLICIT`: children of a track stand in the order of their ranks.
const BY_RANK: u64 = 3;
const UNIT_TIME_NS: u64 = 1;
/// The group of counters.
const COUNTERS: u64 = 4;
/// Tracks of who runs on a CPU, and of the free vectors of a CPU, are numbered from here, behind all others.
const FIRST_RUNNING: u64 = FIRST + (1 << 34);
const FIRST_FREE: u64 = FIRST + (1 << 35);
/// Counters of the whole machine.
const ONLINE: u64 = FIRST + (1 << 36);
const FREE: u64 = ONLINE + 1;
const RESERVED: u64 = ONLINE + 2;
const VIRTUAL_TIME: u64 = ONLINE + 3;
/// `SEQ_INCREMENTAL_STATE_CLEARED`: nothing before this packet matters.
const STATE_CLEARED: u64 = 1;
/// All packets come from one writer.
const WRITER: u64 = 1;

/// What a trace takes for time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Clock {
    /// Virtual time, in which code takes none, and [`RECORD_TIME`] for each record.
    #[default]
    Virtual,
    /// Order alone: the record with the number `n` stands at `n` microseconds. Virtual time is a counter.
    Record,
}

impl Clock {
    /// From one record to the next at least, in nanoseconds.
    const fn step(self) -> u64 {
        match self {
            Self::Virtual => RECORD_TIME,
            Self::Record => 1000,
        }
    }
}

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

/// How a trace is written.
pub struct How<'a> {
    /// What it takes for time.
    pub clock: Clock,
    /// A machine that knows what arguments are; without it they are numbers.
    pub args_of: Option<&'a Kernel>,
    /// The number that a record has for people, by its place.
    pub number: &'a dyn Fn(usize) -> usize,
    /// Whether counters are written, which needs every tracepoint of the vector matrix in the part and before it.
    pub counters: bool,
}

/// The trace of everything in a part, ready for a file.
pub fn encode(slice: &Slice<'_>, clock: Clock) -> Vec<u8> {
    encode_with(slice, &How { clock, args_of: None, number: &|n| n, counters: true })
}

/// The trace, ready for a file.
pub fn encode_with(slice: &Slice<'_>, how: &How<'_>) -> Vec<u8> {
    let clock = how.clock;
    let shown = (slice.records.start..).zip(slice.clocked()).filter(|(_, (.., shown))| *shown);
    let records: Vec<(u64, &Record)> = shown
        .map(|(place, (time, record, _))| match clock {
            Clock::Virtual => (time, record),
            Clock::Record => ((how.number)(place) as u64 * clock.step(), record),
        })
        .collect();
    let (of, named) = tracks(slice);
    let mut events = Vec::new();
    let running = runs(slice, clock, &records, (&of, &named), &mut events);
    let counted = counters(slice, how, &records, &mut events);
    draw(slice, how, &records, &of, &mut events);
    // What happens at the same time keeps its order: who runs, what is counted, what is called.
    events.sort_by_key(|(time, _)| *time);

    let has_hardware = named.values().any(|(group, _)| *group == HARDWARE);
    let mut descriptors = vec![track(CPUS, None, "CPUs").number(field::TRACK_ORDERING, BY_RANK)];
    descriptors.push(track(TASKS, None, "Tasks"));
    if has_hardware {
        descriptors.push(track(HARDWARE, None, "Hardware"));
    }
    if !counted.is_empty() {
        descriptors.push(track(COUNTERS, None, "Counters").number(field::TRACK_ORDERING, BY_RANK));
    }
    descriptors.extend(named.iter().map(|(id, (group, name))| {
        let track = track(*id, Some(*group), name);
        if *group == CPUS { track.number(field::TRACK_RANK, 2 * (id - FIRST) + 1) } else { track }
    }));
    descriptors.extend(running.into_iter().map(|cpu| {
        let name = format!("CPU {cpu}: who runs");
        track(FIRST_RUNNING + cpu, Some(CPUS), &name).number(field::TRACK_RANK, 2 * cpu)
    }));
    descriptors.extend(counted);

    let descriptors = descriptors.into_iter().map(|track| (None, field::TRACK_DESCRIPTOR, track));
    let events = events.into_iter().map(|(time, event)| (Some(time), field::TRACK_EVENT, event));
    let mut trace = Message::default();
    for (n, (time, content, message)) in descriptors.chain(events).enumerate() {
        let mut packet = Message::default();
        if let Some(time) = time {
            packet = packet.number(field::TIMESTAMP, time);
        }
        packet = packet.number(field::SEQUENCE, WRITER);
        if n == 0 {
            packet = packet.number(field::SEQUENCE_FLAGS, STATE_CLEARED);
        }
        trace = trace.message(field::PACKET, &packet.message(content, &message));
    }
    trace.0
}

fn track(id: u64, parent: Option<u64>, name: &str) -> Message {
    let track = Message::default().number(field::TRACK_UUID, id).text(field::TRACK_NAME, name);
    match parent {
        Some(parent) => track.number(field::TRACK_PARENT, parent),
        None => track,
    }
}

/// Events with the time of each.
type Events = Vec<(u64, Message)>;

/// Calls, tracepoints, warnings and records of hardware, on the tracks of who made them.
fn draw(
    slice: &Slice<'_>,
    how: &How<'_>,
    records: &[(u64, &Record)],
    of: &Table<Option<u64>>,
    events: &mut Events,
) {
    // Calls that were open when the part began have no beginning, and so no end.
    let mut depth: Table<u32> = slice.trace.ctxs.table();
    let mut flows = Flows::default();
    for &(time, record) in records {
        let ctx = record.ctx;
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
            events.push((time, arrow(event, flow)));
            // The task may go on in the middle of a call, of which nothing begins there.
            if let Hardware::Wakeup { task, .. } = hardware
                && let Some(track) = of.get(task).copied().flatten()
            {
                let woken = arrow(instant(track, "hardware", "woken"), flow);
                events.push((time + how.clock.step() / 2, woken));
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
            What::Enter { meta, args } => {
                if let Some(depth) = depth.get_mut(ctx) {
                    *depth += 1;
                }
                let event = event
                    .number(field::EVENT_TYPE, SLICE_BEGIN)
                    .text(field::EVENT_CATEGORY, "function")
                    .text(field::EVENT_NAME, meta.name)
                    .message(field::EVENT_ANNOTATION, &annotation("file", slice.functions.file_of(meta)));
                let carried: Vec<Message> = match how.args_of {
                    Some(k) => {
                        k.named_arguments(meta, &args).map(|(name, arg)| annotation(name, &arg)).collect()
                    }
                    None => meta.arguments(&args).map(|(name, arg)| argument(name, arg)).collect(),
                };
                let event =
                    carried.iter().fold(event, |event, arg| event.message(field::EVENT_ANNOTATION, arg));
                arrow(event, arrives)
            }
            What::Exit { ret, .. } => {
                let Some(depth) = depth.get_mut(ctx).filter(|depth| **depth > 0) else { continue };
                *depth -= 1;
                let event = event.number(field::EVENT_TYPE, SLICE_END);
                match ret {
                    Some(ret) => event.message(field::EVENT_ANNOTATION, &number("ret", ret)),
                    None => event,
                }
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
        events.push((time, event));
    }
}

/// Who made the last record of a CPU.
struct Running {
    ctx: CtxId,
    /// Virtual time of that record.
    time: u64,
    /// When its slice is over, if nothing follows.
    over: u64,
}

/// Who runs on each CPU: a slice for the records that one stack makes in a row, without virtual time between them, as code
/// takes none. Returns the CPUs.
fn runs(
    slice: &Slice<'_>,
    clock: Clock,
    records: &[(u64, &Record)],
    (of, named): (&Table<Option<u64>>, &BTreeMap<u64, (u64, String)>),
    events: &mut Events,
) -> Vec<u64> {
    let mut running: BTreeMap<u64, Running> = BTreeMap::new();
    let end = |cpu: u64, running: &Running| {
        let event = Message::default().number(field::EVENT_TRACK, FIRST_RUNNING + cpu);
        (running.over, event.number(field::EVENT_TYPE, SLICE_END))
    };
    for &(time, record) in records {
        // Hardware runs on no CPU.
        if record.ctx == Trace::NOBODY {
            continue;
        }
        let cpu = u64::from(record.cpu.0);
        let now = Running { ctx: record.ctx, time: record.time, over: time + clock.step() / 2 };
        let before = running.insert(cpu, now);
        if let Some(before) = before {
            if before.ctx == record.ctx && before.time == record.time {
                continue;
            }
            events.push(end(cpu, &before));
        }
        let lane = of.get(record.ctx).copied().flatten().and_then(|track| named.get(&track));
        let name = match lane {
            Some((TASKS, name)) => name.clone(),
            _ => who(slice.actor(record.ctx)),
        };
        let event = Message::default()
            .number(field::EVENT_TRACK, FIRST_RUNNING + cpu)
            .number(field::EVENT_TYPE, SLICE_BEGIN)
            .text(field::EVENT_CATEGORY, "runs")
            .text(field::EVENT_NAME, &name);
        events.push((time, event));
    }
    events.extend(running.iter().map(|(cpu, running)| end(*cpu, running)));
    running.into_keys().collect()
}

/// Who that is on a track that has its CPU in its name.
fn who(actor: &Actor) -> String {
    match actor {
        Actor::Irq { irq: Some(irq), name, .. } if !name.is_empty() => format!("irq {irq} {name}"),
        Actor::Irq { irq: Some(irq), .. } => format!("irq {irq}"),
        Actor::Irq { irq: None, .. } => "irq".to_owned(),
        Actor::Cleanup(_) => "vector cleanup".to_owned(),
        actor => flow_label(actor),
    }
}

/// What the tracepoints of the vector matrix have said so far.
#[derive(Default)]
struct Matrix {
    global: Option<MatrixGlobal>,
    values: BTreeMap<u64, u64>,
}

impl Matrix {
    /// The counters that a record changes.
    fn follow(&mut self, record: &Record) -> Vec<(u64, u64)> {
        use Tracepoint as T;
        let What::Tracepoint(tracepoint) = record.what else { return Vec::new() };
        let mut said = Vec::new();
        let mut free = |CpuId(cpu): CpuId, vectors: u32| said.push((FIRST_FREE + u64::from(cpu), vectors));
        let global = match tracepoint {
            // It is the CPU that comes, and brings the vectors that are free there.
            T::IrqMatrixOnline(global) => {
                let before = self
                    .global
                    .or((global.online_maps == 1).then_some(MatrixGlobal { global_available: 0, ..global }));
                if let Some(before) = before {
                    free(record.cpu, global.global_available.saturating_sub(before.global_available));
                }
                global
            }
            // It is the CPU that goes, on which nobody gets a vector now.
            T::IrqMatrixOffline(global) => {
                free(record.cpu, 0);
                global
            }
            T::IrqMatrixReserve(global)
            | T::IrqMatrixRemoveReserved(global)
            | T::IrqMatrixAssignSystem { global, .. } => global,
            T::IrqMatrixAllocReserved(cpu)
            | T::IrqMatrixReserveManaged(cpu)
            | T::IrqMatrixRemoveManaged(cpu)
            | T::IrqMatrixAllocManaged(cpu)
            | T::IrqMatrixAssign(cpu)
            | T::IrqMatrixAlloc(cpu)
            | T::IrqMatrixFree(cpu) => {
                let MatrixCpu { cpu, online, available, global, .. } = cpu;
                free(cpu, if online { available } else { 0 });
                global
            }
            _ => return Vec::new(),
        };
        self.global = Some(global);
        said.push((ONLINE, global.online_maps));
        said.push((FREE, global.global_available));
        said.push((RESERVED, global.global_reserved));
        let mut said: Vec<(u64, u64)> = said.into_iter().map(|(of, value)| (of, value.into())).collect();
        said.retain(|(of, value)| self.values.insert(*of, *value) != Some(*value));
        said
    }
}

/// The counters, which begin with what was said before the part. Returns their tracks.
fn counters(
    slice: &Slice<'_>,
    &How { clock, counters, .. }: &How<'_>,
    records: &[(u64, &Record)],
    events: &mut Events,
) -> Vec<Message> {
    let Some((first, record)) = records.first() else { return Vec::new() };
    let mut matrix = Matrix::default();
    if counters {
        for record in slice.trace.records.iter().take(slice.records.start) {
            matrix.follow(record);
        }
    }
    events.extend(matrix.values.iter().map(|(of, value)| (*first, counter(*of, *value))));
    let mut virtual_time = record.time;
    if clock == Clock::Record {
        events.push((*first, counter(VIRTUAL_TIME, virtual_time)));
    }
    for (time, record) in records {
        if clock == Clock::Record && record.time != virtual_time {
            virtual_time = record.time;
            events.push((*time, counter(VIRTUAL_TIME, virtual_time)));
        }
        if counters {
            events.extend(matrix.follow(record).into_iter().map(|(of, value)| (*time, counter(of, value))));
        }
    }
    let described = |of: u64, name: &str, rank: u64, counter: Message| {
        track(of, Some(COUNTERS), name)
            .message(field::TRACK_COUNTER, &counter)
            .number(field::TRACK_RANK, rank)
    };
    let unit = |name: &str| Message::default().text(field::COUNTER_UNIT_NAME, name);
    let mut tracks: Vec<Message> = matrix
        .values
        .keys()
        .map(|of| match *of {
            ONLINE => described(ONLINE, "CPUs online", 0, unit("CPUs")),
            FREE => described(FREE, "free vectors", 1, unit("vectors")),
            RESERVED => described(RESERVED, "reserved vectors", 2, unit("vectors")),
            of => {
                let cpu = of - FIRST_FREE;
                described(of, &format!("free vectors of CPU {cpu}"), 4 + cpu, unit("vectors"))
            }
        })
        .collect();
    if clock == Clock::Record {
        let unit = Message::default().number(field::COUNTER_UNIT, UNIT_TIME_NS);
        tracks.push(described(VIRTUAL_TIME, "virtual time", 3, unit));
    }
    tracks
}

fn counter(track: u64, value: u64) -> Message {
    Message::default()
        .number(field::EVENT_TRACK, track)
        .number(field::EVENT_TYPE, COUNTER)
        .number(field::EVENT_COUNTER, value)
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

fn number(name: &str, value: u64) -> Message {
    Message::default().text(field::ANNOTATION_NAME, name).number(field::ANNOTATION_INT, value)
}

/// An argument of a call: a number, or of an interrupt's data the interrupt and the level.
fn argument(name: &str, arg: Arg) -> Message {
    match arg {
        Arg::Word(word) => number(name, word),
        Arg::IrqData(data) => {
            let irq = number("irq", u64::from(data.irq.0));
            let level = number("level", u64::from(data.level));
            let entries = Message::default().text(field::ANNOTATION_NAME, name);
            entries.message(field::ANNOTATION_ENTRY, &irq).message(field::ANNOTATION_ENTRY, &level)
        }
    }
}
