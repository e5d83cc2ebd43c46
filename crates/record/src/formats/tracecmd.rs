//! A `trace.dat` that `trace-cmd report` and KernelShark read: the function_graph tracer with all events, as
//! `trace-cmd record` saves it from a kernel's ring buffers (trace-cmd.dat.v6(5), kernel/trace/ring_buffer.c,
//! trace_entries.h).
//!
//! The file describes itself: what an event's bytes mean is in the `format` text of each event. So the layout of
//! `funcgraph_exit` is that of 5.4 whichever kernel ran, which every version of trace-cmd knows. Numbers of events and
//! addresses of functions are made up, as they are different on every build of a kernel.
//!
//! # What it doesn't implement
//! Warnings and records of hardware, which no tracer has. Version 7 of the format, which adds compression.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use kstate::trace::{FieldValue, Tracepoint};
use kstate::tracing::{EntryKind as Kind, Tracer};
use kstate::{CpuId, Kernel};

use super::Slice;
use super::ftrace::{is_hard, is_soft, recorded, task};

/// Bytes of a page of the ring buffer, and of those in front of its events: its time, and how much is in use.
const PAGE: usize = 4096;
const PAGE_HEADER: usize = 16;

/// The highest `type_len` that counts words; longer events have their length in the first word.
const MAX_WORDS: usize = 28;
/// `RINGBUF_TYPE_TIME_EXTEND`: time passes that does not fit into the bits of an event.
const TIME_EXTEND: u32 = 30;
const DELTA_BITS: u32 = 27;

/// `common_flags`: interrupts off, in a hard interrupt, in a softirq (include/linux/trace_events.h).
const IRQS_OFF: u8 = 0x01;
const HARDIRQ: u8 = 0x08;
const SOFTIRQ: u8 = 0x10;

/// `enum trace_type`, which the numbers of these two are (kernel/trace/trace.h).
const GRAPH_ENT: u16 = 11;
const GRAPH_RET: u16 = 10;
/// Other events are numbered from here, in the order of [`EVENTS`].
const FIRST_EVENT: u16 = 20;

/// Where functions are: the first at this address, the others behind it.
const TEXT: u64 = 0xffff_ffff_8100_0000;
const FUNCTION_BYTES: u64 = 16;

/// How the fields of several events of `irq_matrix` are printed.
const GLOBAL: &str = "online_maps=%d global_avl=%u, global_rsvd=%u, total_alloc=%u";
const SYSTEM: &str = "bit=%d online_maps=%d global_avl=%u, global_rsvd=%u, total_alloc=%u";
const CPU: &str = "bit=%d cpu=%u online=%d avl=%u alloc=%u managed=%u online_maps=%u global_avl=%u, global_rsvd=%u, total_alloc=%u";
const UPDATE: &str = "irq=%u vector=%u cpu=%u prev_vector=%u prev_cpu=%u";
const RESERVE: &str = "irq=%u ret=%d";
const ACTIVATE: &str = "irq=%u is_managed=%d can_reserve=%d reserve=%d";

/// Every event: its system, its name, and how the kernel prints its fields (`TP_printk`).
const EVENTS: [(&str, &str, &str); 26] = [
    ("irq", "irq_handler_entry", "irq=%d name=%s"),
    ("irq", "irq_handler_exit", "irq=%d ret=%s"),
    ("irq_matrix", "irq_matrix_online", GLOBAL),
    ("irq_matrix", "irq_matrix_offline", GLOBAL),
    ("irq_matrix", "irq_matrix_reserve", GLOBAL),
    ("irq_matrix", "irq_matrix_remove_reserved", GLOBAL),
    ("irq_matrix", "irq_matrix_assign_system", SYSTEM),
    ("irq_matrix", "irq_matrix_alloc_reserved", CPU),
    ("irq_matrix", "irq_matrix_reserve_managed", CPU),
    ("irq_matrix", "irq_matrix_remove_managed", CPU),
    ("irq_matrix", "irq_matrix_alloc_managed", CPU),
    ("irq_matrix", "irq_matrix_assign", CPU),
    ("irq_matrix", "irq_matrix_alloc", CPU),
    ("irq_matrix", "irq_matrix_free", CPU),
    ("irq_vectors", "vector_config", "irq=%u vector=%u cpu=%u apicdest=0x%08x"),
    ("irq_vectors", "vector_update", UPDATE),
    ("irq_vectors", "vector_clear", UPDATE),
    ("irq_vectors", "vector_reserve_managed", RESERVE),
    ("irq_vectors", "vector_reserve", RESERVE),
    ("irq_vectors", "vector_alloc", "irq=%u vector=%u reserved=%d ret=%d"),
    ("irq_vectors", "vector_alloc_managed", "irq=%u vector=%u ret=%d"),
    ("irq_vectors", "vector_activate", ACTIVATE),
    ("irq_vectors", "vector_deactivate", ACTIVATE),
    ("irq_vectors", "vector_teardown", "irq=%u is_managed=%d has_reserved=%d"),
    ("irq_vectors", "vector_setup", "irq=%u is_legacy=%d ret=%d"),
    ("irq_vectors", "vector_free_moved", "irq=%u cpu=%u vector=%u is_managed=%d"),
];

/// The type of an event's field in C.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Unsigned,
    Bool,
    /// Text behind the fields: where it is in the low half, how long it is in the high half.
    DataLoc,
}

impl Type {
    fn of(system: &str, field: &str) -> Self {
        match field {
            "name" => Self::DataLoc,
            "bit" | "ret" => Self::Int,
            "irq" if system == "irq" => Self::Int,
            "online" | "reserved" | "is_managed" | "can_reserve" | "reserve" | "has_reserved"
            | "is_legacy" => Self::Bool,
            _ => Self::Unsigned,
        }
    }

    const fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int | Self::Unsigned | Self::DataLoc => 4,
        }
    }
}

/// The fields of an event and where each begins, as a C compiler places them behind the common ones.
fn layout(system: &str, name: &str) -> Vec<(&'static str, Type, usize)> {
    let mut end = COMMON_BYTES;
    let fields = Tracepoint::fields_of(name).unwrap_or_default();
    let place = |field: &&'static str| {
        let of = Type::of(system, field);
        let at = end.next_multiple_of(of.size());
        end = at + of.size();
        (*field, of, at)
    };
    fields.iter().map(place).collect()
}

/// Bytes of what every event begins with (`struct trace_entry`).
const COMMON_BYTES: usize = 8;

/// A line of a `format` text.
fn field(declared: &str, offset: usize, size: usize, signed: bool) -> String {
    format!("\tfield:{declared};\toffset:{offset};\tsize:{size};\tsigned:{};\n", u8::from(signed))
}

/// The `format` text of an event.
fn format(name: &str, id: u16, fields: &str, print: &str) -> String {
    let common = [
        field("unsigned short common_type", 0, 2, false),
        field("unsigned char common_flags", 2, 1, false),
        field("unsigned char common_preempt_count", 3, 1, false),
        field("int common_pid", 4, 4, true),
    ]
    .concat();
    format!("name: {name}\nID: {id}\nformat:\n{common}\n{fields}\nprint fmt: {print}\n")
}

/// The number of a tracepoint: what `id` of /sys/kernel/tracing/events says. On a real machine it depends on everything
/// that was linked into the kernel.
pub fn event_id(name: &str) -> Option<u16> {
    let at = EVENTS.iter().position(|(_, event, _)| *event == name)?;
    Some(FIRST_EVENT + at as u16)
}

/// What `format` of a tracepoint says on a kernel; `None` where none has the name.
pub fn event_text(k: &Kernel, name: &str) -> Option<String> {
    let event = EVENTS.iter().find(|(_, event, _)| *event == name)?;
    Some(event_format(event_id(name)?, *event, !k.sem.char_is_unsigned))
}

/// The `format` text of a tracepoint; `signed` says whether a letter is.
fn event_format(id: u16, (system, name, print): (&str, &str, &str), signed: bool) -> String {
    let mut fields = String::new();
    let mut printed = format!("\"{print}\"");
    for (of, ty, at) in layout(system, name) {
        let (declared, argument) = match ty {
            Type::DataLoc => (format!("__data_loc char[] {of}"), format!("__get_str({of})")),
            Type::Int if name == "irq_handler_exit" && of == "ret" => {
                ("int ret".to_owned(), "REC->ret ? \"handled\" : \"unhandled\"".to_owned())
            }
            Type::Int => (format!("int {of}"), format!("REC->{of}")),
            Type::Unsigned => (format!("unsigned int {of}"), format!("REC->{of}")),
            Type::Bool => (format!("bool {of}"), format!("REC->{of}")),
        };
        fields.push_str(&field(&declared, at, ty.size(), ty == Type::Int || ty == Type::DataLoc && signed));
        // Writing to a String does not fail.
        let _ = write!(printed, ", {argument}");
    }
    format(name, id, &fields, &printed)
}

/// The `format` texts of the tracer's own events.
fn graph_formats() -> [String; 2] {
    let entry = [field("unsigned long func", 8, 8, false), field("int depth", 16, 4, true)].concat();
    let exit = [
        field("unsigned long func", 8, 8, false),
        field("unsigned long long calltime", 16, 8, false),
        field("unsigned long long rettime", 24, 8, false),
        field("unsigned long overrun", 32, 8, false),
        field("int depth", 40, 4, true),
    ]
    .concat();
    let exit_print = "\"<-- %ps (%d) (start: %llx  end: %llx) over: %d\", (void *)REC->func, REC->depth, \
                      REC->calltime, REC->rettime, REC->depth";
    [
        format("funcgraph_entry", GRAPH_ENT, &entry, "\"--> %ps (%d)\", (void *)REC->func, REC->depth"),
        format("funcgraph_exit", GRAPH_RET, &exit, exit_print),
    ]
}

/// What `events/header_page` says.
fn header_page() -> String {
    [
        field("u64 timestamp", 0, 8, false),
        field("local_t commit", 8, 8, true),
        field("int overwrite", 8, 1, true),
        field("char data", PAGE_HEADER, PAGE - PAGE_HEADER, true),
    ]
    .concat()
}

/// What `events/header_event` says.
fn header_event() -> String {
    format!(
        "# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   {DELTA_BITS} bits\n\
         \tarray       :   32 bits\n\n\tpadding     : type == 29\n\ttime_extend : type == {TIME_EXTEND}\n\
         \ttime_stamp : type == 31\n\tdata max type_len  == {MAX_WORDS}\n"
    )
}

/// The ring buffer of a CPU, page by page.
#[derive(Default)]
struct Ring {
    /// Pages that are full.
    pages: Vec<u8>,
    /// Events of the page that is being filled.
    page: Vec<u8>,
    /// When that page began, and when its last event was.
    began: u64,
    last: u64,
}

impl Ring {
    fn event(&mut self, time: u64, data: &[u8]) {
        let words = data.len().div_ceil(4);
        // Header, length, and time that passes before it.
        let room = 4 + 4 + words * 4 + 8;
        if self.page.is_empty() || PAGE_HEADER + self.page.len() + room > PAGE {
            self.close();
            (self.began, self.last) = (time, time);
        }
        let delta = time.saturating_sub(self.last);
        self.last = time;
        let low = delta & ((1 << DELTA_BITS) - 1);
        let mut short = low as u32;
        if delta != low {
            self.word(TIME_EXTEND | short << 5);
            self.word((delta >> DELTA_BITS) as u32);
            short = 0;
        }
        if words <= MAX_WORDS {
            self.word(words as u32 | short << 5);
        } else {
            self.word(short << 5);
            self.word(words as u32 * 4 + 4);
        }
        self.page.extend_from_slice(data);
        self.page.resize(self.page.len().next_multiple_of(4), 0);
    }

    fn word(&mut self, word: u32) {
        self.page.extend_from_slice(&word.to_le_bytes());
    }

    /// Ends the page, if there is one.
    fn close(&mut self) {
        if self.page.is_empty() {
            return;
        }
        self.pages.extend_from_slice(&self.began.to_le_bytes());
        self.pages.extend_from_slice(&(self.page.len() as u64).to_le_bytes());
        self.pages.append(&mut self.page);
        self.pages.resize(self.pages.len().next_multiple_of(PAGE), 0);
    }
}

/// Functions and where they are.
struct Symbols(BTreeMap<&'static str, u64>);

impl Symbols {
    /// What `/proc/kallsyms` says of them.
    fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (name, address)| {
            let _ = writeln!(text, "{address:x} T {name}");
            text
        })
    }

    fn address(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// Text or data behind its length, of so many bytes.
fn sized(out: &mut Vec<u8>, bytes: usize, data: &[u8]) {
    out.extend_from_slice(&(data.len() as u64).to_le_bytes()[..bytes]);
    out.extend_from_slice(data);
}

/// How many bytes a tracepoint has with the common ones.
pub(super) fn event_bytes(tracepoint: &Tracepoint) -> u64 {
    let system =
        EVENTS.iter().find(|(_, name, _)| *name == tracepoint.name()).map_or("", |(system, ..)| system);
    let mut data = vec![0; COMMON_BYTES];
    event_data(&mut data, system, tracepoint);
    data.len() as u64
}

/// A tracepoint's fields behind the common ones.
fn event_data(data: &mut Vec<u8>, system: &str, tracepoint: &Tracepoint) {
    let fields = layout(system, tracepoint.name());
    let end = fields.last().map_or(COMMON_BYTES, |(_, ty, at)| at + ty.size());
    data.resize(end, 0);
    for (name, ty, at) in fields {
        match (tracepoint.field(name), ty) {
            (Some(FieldValue::Number(number)), Type::Bool) => data[at] = u8::from(number != 0),
            (Some(FieldValue::Number(number)), _) => {
                data[at..at + 4].copy_from_slice(&(number as u32).to_le_bytes());
            }
            (Some(FieldValue::Text(text)), _) => {
                let text = text.as_str().as_bytes();
                let place = data.len() as u32 | (text.len() as u32 + 1) << 16;
                data[at..at + 4].copy_from_slice(&place.to_le_bytes());
                data.extend_from_slice(text);
                data.push(0);
            }
            (None, _) => {}
        }
    }
}

/// The file, of a part of what `k` recorded.
pub fn encode(k: &Kernel, slice: &Slice<'_>) -> Vec<u8> {
    let entries = recorded(slice, Tracer::FunctionGraph, None);
    let names: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| match entry.kind {
            Kind::Enter { name, .. } | Kind::Exit { name, .. } => Some(name),
            Kind::Call { .. } | Kind::Event { .. } | Kind::Marker(_) => None,
        })
        .collect();
    let symbols = Symbols(names.into_iter().zip((TEXT..).step_by(FUNCTION_BYTES as usize)).collect());
    let ids: BTreeMap<&str, (u16, &str)> =
        (FIRST_EVENT..).zip(EVENTS).map(|(id, (system, name, _))| (name, (id, system))).collect();

    let cpus = k.topo.possible.iter().last().map_or(1, |CpuId(last)| last + 1);
    let mut rings: Vec<Ring> = (0..cpus).map(|_| Ring::default()).collect();
    let mut commands: BTreeMap<u32, String> = BTreeMap::new();
    for entry in &entries {
        let Some(ring) = rings.get_mut(entry.cpu.0 as usize) else { continue };
        let (comm, pid) = task(&k.trace, entry.ctx);
        commands.entry(pid).or_insert(comm);
        let actor = entry.ctx.and_then(|ctx| k.trace.ctxs.get(ctx)).map(|ctx| &ctx.actor);
        let mut flags = 0;
        let hard = actor.is_some_and(is_hard);
        if hard || matches!(entry.kind, Kind::Event { irqs_off: true, .. }) {
            flags |= IRQS_OFF;
        }
        if hard {
            flags |= HARDIRQ;
        }
        if actor.is_some_and(is_soft) {
            flags |= SOFTIRQ;
        }
        let (id, system) = match &entry.kind {
            Kind::Enter { .. } => (GRAPH_ENT, "ftrace"),
            Kind::Exit { .. } => (GRAPH_RET, "ftrace"),
            Kind::Event { tracepoint, .. } => match ids.get(tracepoint.name()) {
                Some(known) => *known,
                None => continue,
            },
            Kind::Call { .. } | Kind::Marker(_) => continue,
        };
        let mut data = Vec::with_capacity(64);
        data.extend_from_slice(&id.to_le_bytes());
        data.extend_from_slice(&[flags, 0]);
        data.extend_from_slice(&pid.to_le_bytes());
        match &entry.kind {
            Kind::Enter { name, depth, .. } => {
                data.extend_from_slice(&symbols.address(name).to_le_bytes());
                data.extend_from_slice(&depth.to_le_bytes());
            }
            Kind::Exit { name, entered, depth } => {
                for word in [symbols.address(name), *entered, entry.time, 0] {
                    data.extend_from_slice(&word.to_le_bytes());
                }
                data.extend_from_slice(&depth.to_le_bytes());
            }
            Kind::Event { tracepoint, .. } => event_data(&mut data, system, tracepoint),
            Kind::Call { .. } | Kind::Marker(_) => {}
        }
        ring.event(entry.time, &data);
    }
    for ring in &mut rings {
        ring.close();
    }

    let mut out = head(!k.sem.char_is_unsigned);
    sized(&mut out, 4, symbols.text().as_bytes());
    // Texts of trace_printk(): none.
    sized(&mut out, 4, b"");
    let commands: String = commands.iter().map(|(pid, comm)| format!("{pid} {comm}\n")).collect();
    sized(&mut out, 8, commands.as_bytes());
    out.extend_from_slice(&cpus.to_le_bytes());
    out.extend_from_slice(b"options  \0\0\0flyrecord\0");
    let mut at = (out.len() + rings.len() * 16).next_multiple_of(PAGE);
    for ring in &rings {
        out.extend_from_slice(&(at as u64).to_le_bytes());
        out.extend_from_slice(&(ring.pages.len() as u64).to_le_bytes());
        at += ring.pages.len();
    }
    out.resize(out.len().next_multiple_of(PAGE), 0);
    for ring in &mut rings {
        out.append(&mut ring.pages);
    }
    out
}

/// What the file begins with: that it is one, and what its events look like. `signed` says whether a letter is.
fn head(signed: bool) -> Vec<u8> {
    let mut out = b"\x17\x08\x44tracing6\0".to_vec();
    // The bytes of its numbers are in little-endian order, and a long has eight of them.
    out.extend_from_slice(&[0, 8]);
    out.extend_from_slice(&(PAGE as u32).to_le_bytes());
    out.extend_from_slice(b"header_page\0");
    sized(&mut out, 8, header_page().as_bytes());
    out.extend_from_slice(b"header_event\0");
    sized(&mut out, 8, header_event().as_bytes());
    let formats = graph_formats();
    out.extend_from_slice(&(formats.len() as u32).to_le_bytes());
    for format in formats {
        sized(&mut out, 8, format.as_bytes());
    }
    let mut systems: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (id, event) in (FIRST_EVENT..).zip(EVENTS) {
        systems.entry(event.0).or_default().push(event_format(id, event, signed));
    }
    out.extend_from_slice(&(systems.len() as u32).to_le_bytes());
    for (system, formats) in systems {
        out.extend_from_slice(system.as_bytes());
        out.push(0);
        out.extend_from_slice(&(formats.len() as u32).to_le_bytes());
        for format in formats {
            sized(&mut out, 8, format.as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_a_c_compiler_places_them() {
        let places = |system, name| {
            let fields = layout(system, name);
            fields.iter().map(|(name, ty, at)| format!("{name} {at} {}", ty.size())).collect::<Vec<_>>()
        };
        assert_eq!(
            places("irq_vectors", "vector_alloc"),
            ["irq 8 4", "vector 12 4", "reserved 16 1", "ret 20 4"]
        );
        assert_eq!(
            places("irq_vectors", "vector_activate")[1..],
            ["is_managed 12 1", "can_reserve 13 1", "reserve 14 1"]
        );
        assert_eq!(places("irq", "irq_handler_entry"), ["irq 8 4", "name 12 4"]);
    }

    #[test]
    fn every_event_prints_each_of_its_fields() {
        for (_, name, print) in EVENTS {
            let fields = Tracepoint::fields_of(name).unwrap_or_default();
            assert_eq!(print.matches('%').count(), fields.len(), "{name}");
        }
    }

    #[test]
    fn time_that_passes_between_events_is_kept_however_long() {
        let mut ring = Ring::default();
        for time in [5, 6, 6 + (3 << DELTA_BITS) + 9] {
            ring.event(time, &[7; 8]);
        }
        ring.close();
        let word = |at: usize| ring.pages[at..at + 4].iter().rev().fold(0u32, |n, b| n << 8 | u32::from(*b));
        assert_eq!((word(0), word(8)), (5, 3 * 12 + 8));
        assert_eq!([word(16), word(28)], [2, 2 | 1 << 5]);
        assert_eq!([word(40), word(44), word(48)], [TIME_EXTEND | 9 << 5, 3, 2]);
        assert_eq!(ring.pages.len(), PAGE);
    }
}
