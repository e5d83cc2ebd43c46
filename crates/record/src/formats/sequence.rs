//! A sequence diagram for Mermaid: who tells whom what, on the way of an interrupt from the driver's write to the task that
//! is woken.
//!
//! Tasks, devices, the IO-APIC, the remapping unit, and of each CPU its local APIC and what it runs are beside each other.
//! Arrows are the records of hardware; of the calls only the outermost are there. What repeats is a loop, in which a number
//! that changes is given as its first and its last. So the diagram is short enough to paste.
//!
//! # What it doesn't implement
//! Activations: a part of a record may begin or end in the middle of an interrupt.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use kstate::hw::ioapic::{RTE_MASK, RTE_VECTOR};
use kstate::trace::{Actor, Field, Hardware, MsiRegister, Record, Source, What};
use kstate::{CpuId, CtxId, PciDevId};

use super::Slice;
use crate::recording::flow_label;

/// With more CPUs than these, all of them share two places, and their numbers stand in the text.
const CPUS: usize = 4;
/// More arrows than these are no diagram any more.
pub const ARROWS: usize = 120;
/// The longest piece of which repetitions are looked for.
const PERIOD: usize = 24;

/// Who an arrow comes from or goes to, in the order from left to right.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Who {
    /// A task, by its number of appearance.
    Task(usize, String),
    Device(usize, String),
    IoApic,
    Dmar,
    Apic(u32),
    Cpu(u32),
    /// All of them.
    Apics,
    Cpus,
}

impl Who {
    fn name(&self) -> String {
        match self {
            Self::Task(_, name) | Self::Device(_, name) => name.clone(),
            Self::IoApic => "IO-APIC".to_owned(),
            Self::Dmar => "remapping".to_owned(),
            Self::Apic(cpu) => format!("APIC {cpu}"),
            Self::Cpu(cpu) => format!("CPU {cpu}"),
            Self::Apics => "local APICs".to_owned(),
            Self::Cpus => "CPUs".to_owned(),
        }
    }
}

/// A piece of an arrow's text.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    /// A number: in the first repetition, and in the last.
    Number(String, String),
}

/// A text as pieces: decimal numbers, hexadecimal ones with `0x`, and what is between.
fn pieces(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        if start > 0 {
            out.push(Piece::Text(rest[..start].to_owned()));
        }
        rest = &rest[start..];
        let len = match rest.strip_prefix("0x") {
            Some(digits) => 2 + digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len()),
            None => rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()),
        };
        if len > 0 {
            out.push(Piece::Number(rest[..len].to_owned(), rest[..len].to_owned()));
        }
        rest = &rest[len..];
    }
    out
}

/// An arrow, or a loop of such.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Item {
    Arrow { from: Who, to: Who, lost: bool, text: Vec<Piece> },
    Loop { times: (usize, usize), items: Vec<Item> },
}

impl Item {
    /// The same, whatever the numbers.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Arrow { from, to, lost, text },
                Self::Arrow { from: other_from, to: other_to, lost: other_lost, text: other_text },
            ) => {
                (from, to, lost, text.len()) == (other_from, other_to, other_lost, other_text.len())
                    && text.iter().zip(other_text).all(|(a, b)| match (a, b) {
                        (Piece::Text(a), Piece::Text(b)) => a == b,
                        (Piece::Number(..), Piece::Number(..)) => true,
                        _ => false,
                    })
            }
            (Self::Loop { items, .. }, Self::Loop { items: other, .. }) => are_like(items, other),
            _ => false,
        }
    }

    /// Takes another one in that is like it and comes later.
    fn absorb(&mut self, later: Self) {
        match (self, later) {
            (Self::Arrow { text, .. }, Self::Arrow { text: later, .. }) => {
                for (piece, later) in text.iter_mut().zip(later) {
                    if let (Piece::Number(_, last), Piece::Number(_, later)) = (piece, later) {
                        *last = later;
                    }
                }
            }
            (Self::Loop { times, items }, Self::Loop { times: later_times, items: later }) => {
                *times = (times.0.min(later_times.0), times.1.max(later_times.1));
                items.iter_mut().zip(later).for_each(|(item, later)| item.absorb(later));
            }
            _ => {}
        }
    }

    fn arrows(&self) -> usize {
        match self {
            Self::Arrow { .. } => 1,
            Self::Loop { items, .. } => items.iter().map(Self::arrows).sum(),
        }
    }
}

fn are_like(a: &[Item], b: &[Item]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_like(b))
}

/// Makes loops of what repeats, of short pieces first.
fn fold(mut items: Vec<Item>) -> Vec<Item> {
    for period in 1..=PERIOD {
        let mut out: Vec<Item> = Vec::with_capacity(items.len());
        let mut rest = items.as_slice();
        while !rest.is_empty() {
            let repeated = |n: usize| {
                rest.get(n * period..(n + 1) * period).is_some_and(|next| are_like(&rest[..period], next))
            };
            let times =
                if rest.len() < 2 * period { 1 } else { 1 + (1..).take_while(|n| repeated(*n)).count() };
            if times == 1 {
                out.push(rest[0].clone());
                rest = &rest[1..];
                continue;
            }
            let mut body = rest[..period].to_vec();
            for n in 1..times {
                for (item, later) in body.iter_mut().zip(&rest[n * period..]) {
                    item.absorb(later.clone());
                }
            }
            out.push(Item::Loop { times: (times, times), items: body });
            rest = &rest[times * period..];
        }
        items = out;
    }
    items
}

/// What is written to one entry of an MSI-X table, one word after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    ctx: CtxId,
    cpu: CpuId,
    dev: PciDevId,
    entry: u16,
    address: Option<u32>,
    data: Option<u32>,
    mask: Option<u32>,
}

/// The diagram while it is put together.
struct Diagram<'a> {
    slice: &'a Slice<'a>,
    /// CPUs have a place for each.
    single: bool,
    tasks: Vec<String>,
    devices: Vec<String>,
    items: Vec<Item>,
    entry: Option<Entry>,
    /// A message on its way: who sent it, and what it says.
    message: Option<(Who, String)>,
    /// Calls that are open, by context.
    depth: BTreeMap<CtxId, usize>,
}

impl Diagram<'_> {
    fn apic(&self, cpu: CpuId) -> Who {
        if self.single { Who::Apic(cpu.0) } else { Who::Apics }
    }

    fn device(&mut self, dev: PciDevId) -> Who {
        let name = self.slice.trace.field(Field::Device(dev));
        let at = position(&mut self.devices, &name);
        Who::Device(at, name)
    }

    /// Who a context is.
    fn context(&mut self, ctx: CtxId, cpu: CpuId) -> Who {
        let actor = self.slice.trace.ctxs.get(ctx).map(|ctx| &ctx.actor);
        let name = match actor {
            None | Some(Actor::Irq { .. } | Actor::Softirq(_) | Actor::Cleanup(_) | Actor::Idle(_)) => {
                return if self.single { Who::Cpu(cpu.0) } else { Who::Cpus };
            }
            Some(Actor::Migration(_) | Actor::Cpuhp(_)) if !self.single => match actor {
                Some(Actor::Migration(_)) => "migration".to_owned(),
                _ => "cpuhp".to_owned(),
            },
            Some(Actor::Migration(cpu)) => format!("migration/{cpu}"),
            Some(actor) => flow_label(actor),
        };
        let at = position(&mut self.tasks, &name);
        Who::Task(at, name)
    }

    fn source(&mut self, source: Source) -> Who {
        match source {
            Source::Function(dev) => self.device(dev),
            Source::IoApic(_) => Who::IoApic,
            Source::Dmar => Who::Dmar,
            Source::Icr(cpu) => self.apic(cpu),
        }
    }

    /// An arrow. Of an APIC or CPU that shares its place the number stands in the text.
    fn arrow(&mut self, from: Who, to: Who, cpu: Option<CpuId>, text: &str) {
        self.add(from, to, false, cpu, text);
    }

    fn add(&mut self, from: Who, to: Who, lost: bool, cpu: Option<CpuId>, text: &str) {
        let text = match cpu {
            Some(cpu) if !self.single => pieces(&format!("CPU {cpu}: {text}")),
            _ => pieces(text),
        };
        self.items.push(Item::Arrow { from, to, lost, text });
    }

    /// The words of a table's entry that were written belong together.
    fn end_of_entry(&mut self) {
        let Some(Entry { ctx, cpu, dev, entry, address, data, mask }) = self.entry.take() else { return };
        let mut words = Vec::new();
        words.extend(address.map(|address| format!("address {address:#x}")));
        words.extend(data.map(|data| format!("data {data:#x}")));
        words.extend(mask.map(|mask| (if mask & 1 != 0 { "masked" } else { "unmasked" }).to_owned()));
        let (from, to) = (self.context(ctx, cpu), self.device(dev));
        self.arrow(from, to, None, &format!("MSI-X entry {entry}: {}", words.join(", ")));
    }

    fn record(&mut self, record: &Record) {
        let continues = match (record.what, self.entry) {
            (What::Hardware(Hardware::MsixEntry { dev, entry, .. }), Some(open)) => {
                (record.ctx, dev, entry) == (open.ctx, open.dev, open.entry)
            }
            // The bit that a write to the entry changes.
            (What::Hardware(Hardware::Mask { .. }), _) => true,
            _ => false,
        };
        if !continues {
            self.end_of_entry();
        }
        match record.what {
            What::Enter { meta, .. } => {
                let depth = self.depth.entry(record.ctx).or_default();
                *depth += 1;
                if *depth == 1 {
                    let who = self.context(record.ctx, record.cpu);
                    let of = match self.slice.actor(record.ctx) {
                        Actor::Irq { irq: Some(irq), name, .. } if !name.is_empty() => {
                            format!("irq {irq} {name}: ")
                        }
                        Actor::Irq { irq: Some(irq), .. } => format!("irq {irq}: "),
                        Actor::Softirq(_) => "softirq: ".to_owned(),
                        _ => String::new(),
                    };
                    let cpu = matches!(who, Who::Cpus).then_some(record.cpu);
                    self.arrow(who.clone(), who, cpu, &format!("{of}{}()", meta.name));
                }
            }
            What::Exit { .. } => {
                // What was open when the part began has no beginning in it.
                let depth = self.depth.entry(record.ctx).or_default();
                *depth = depth.saturating_sub(1);
            }
            What::Warn(text) => {
                let who = self.context(record.ctx, record.cpu);
                self.arrow(who.clone(), who, None, &format!("warning: {text}"));
            }
            What::Tracepoint(_) => {}
            What::Hardware(hardware) => self.hardware(record, hardware),
        }
    }

    fn hardware(&mut self, record: &Record, hardware: Hardware) {
        let text = |this: &Self| {
            // What has no words of its own has those of its record.
            let text = this.slice.trace.hardware_text(&hardware);
            text.trim_start_matches("hw::").replacen('_', " ", 1)
        };
        match hardware {
            Hardware::MsixEntry { dev, entry, register, value } => {
                let mut open = self.entry.unwrap_or(Entry {
                    ctx: record.ctx,
                    cpu: record.cpu,
                    dev,
                    entry,
                    address: None,
                    data: None,
                    mask: None,
                });
                match register {
                    MsiRegister::AddressLo => open.address = Some(value),
                    MsiRegister::AddressHi => {}
                    MsiRegister::Data => open.data = Some(value),
                    MsiRegister::Mask => open.mask = Some(value),
                }
                self.entry = Some(open);
            }
            Hardware::Mask { .. } => {}
            Hardware::MsixControl { dev, enable, function_mask } => {
                let on = if enable { "enabled" } else { "disabled" };
                let all = if function_mask { ", all entries masked" } else { "" };
                let (from, to) = (self.context(record.ctx, record.cpu), self.device(dev));
                self.arrow(from, to, None, &format!("MSI-X {on}{all}"));
            }
            Hardware::Msi { dev, .. }
            | Hardware::MsiControl { dev, .. }
            | Hardware::Doorbell { dev, .. }
            | Hardware::Notify { dev, .. } => {
                let words = match hardware {
                    Hardware::Doorbell { queue, completion, value, .. } => {
                        let what = if completion { "completion head" } else { "tail" };
                        format!("doorbell of queue {queue}: {what} {value}")
                    }
                    Hardware::Notify { queue, .. } => format!("notifies virtqueue {queue}"),
                    _ => text(self),
                };
                let (from, to) = (self.context(record.ctx, record.cpu), self.device(dev));
                self.arrow(from, to, None, &words);
            }
            Hardware::Completion { dev, .. } | Hardware::Used { dev, .. } | Hardware::Pending { dev, .. } => {
                let words = match hardware {
                    Hardware::Completion { queue, command, status: 0, .. } => {
                        format!("completes command {command} of queue {queue}")
                    }
                    Hardware::Completion { queue, command, status, .. } => {
                        format!("completes command {command} of queue {queue} with status {status:#x}")
                    }
                    Hardware::Used { queue, chains, .. } => {
                        format!("gives back {chains} of virtqueue {queue}")
                    }
                    Hardware::Pending { entry, pending: true, .. } => format!("entry {entry} is pending"),
                    _ => text(self),
                };
                let who = self.device(dev);
                self.arrow(who.clone(), who, None, &words);
            }
            Hardware::Intx { dev, asserted } => {
                let from = self.device(dev);
                let what = if asserted { "asserts its pin" } else { "deasserts its pin" };
                self.arrow(from, Who::IoApic, None, what);
            }
            Hardware::IoApicEntry { pin, value } => {
                let from = self.context(record.ctx, record.cpu);
                let masked = if value & RTE_MASK == 0 { "" } else { ", masked" };
                let words = format!("entry of pin {pin}: vector {}{masked}", value & RTE_VECTOR);
                self.arrow(from, Who::IoApic, None, &words);
            }
            Hardware::IoApicLine { pin, asserted } => {
                let what = if asserted { "asserted" } else { "deasserted" };
                self.arrow(Who::IoApic, Who::IoApic, None, &format!("pin {pin} is {what}"));
            }
            Hardware::RemoteIrr { pin, set } => {
                let what = if set { "set" } else { "clear" };
                self.arrow(Who::IoApic, Who::IoApic, None, &format!("Remote IRR of pin {pin} is {what}"));
            }
            Hardware::Message { from, address, data } => {
                let from = self.source(from);
                self.message = Some((from, format!("message {address:#x} / {data:#x}")));
            }
            Hardware::Irte { index, .. } => {
                if let Some((from, words)) = self.message.take() {
                    self.arrow(from, Who::Dmar, None, &words);
                }
                self.message = Some((Who::Dmar, format!("entry {index}")));
            }
            Hardware::Fault { .. } => {
                if let Some((from, words)) = self.message.take() {
                    self.add(from, Who::Dmar, true, None, &words);
                }
                let words = text(self);
                self.arrow(Who::Dmar, Who::Dmar, None, &words);
            }
            Hardware::Blocked { from, reason } => {
                let sender = self.source(from);
                let words = self.message.take().map_or_else(|| "message".to_owned(), |(_, words)| words);
                let reason = reason.name().replace('_', " ");
                self.add(sender.clone(), sender, true, None, &format!("{words} reaches nobody: {reason}"));
            }
            Hardware::Ipi { .. } => {
                let from = self.context(record.ctx, record.cpu);
                self.message = Some((from, "IPI".to_owned()));
            }
            Hardware::Lvt { cpu, .. } => {
                self.message = Some((self.apic(cpu), "local vector table".to_owned()));
            }
            Hardware::Irr { cpu, vector, again, .. } => {
                let to = self.apic(cpu);
                let (from, words) =
                    self.message.clone().unwrap_or_else(|| (to.clone(), "accepts".to_owned()));
                let again = if again { ", pending already" } else { "" };
                self.arrow(from, to, Some(cpu), &format!("{words}: vector {vector} into IRR{again}"));
            }
            Hardware::Accept { cpu, mode, .. } => {
                let to = self.apic(cpu);
                let (from, words) =
                    self.message.clone().unwrap_or_else(|| (to.clone(), "accepts".to_owned()));
                self.arrow(from, to, Some(cpu), &format!("{words}: {}", mode.name()));
            }
            Hardware::Isr { cpu, vector }
            | Hardware::Spurious { cpu, vector }
            | Hardware::Inta { cpu, vector } => {
                let words = match hardware {
                    Hardware::Isr { .. } => format!("takes vector {vector} into ISR"),
                    Hardware::Spurious { .. } => format!("takes the spurious vector {vector}"),
                    _ => format!("takes vector {vector} of the 8259"),
                };
                let to = if self.single { Who::Cpu(cpu.0) } else { Who::Cpus };
                let from = self.apic(cpu);
                self.arrow(from, to, Some(cpu), &words);
            }
            Hardware::Eoi { cpu, vector, .. } => {
                let from = if self.single { Who::Cpu(cpu.0) } else { Who::Cpus };
                let to = self.apic(cpu);
                self.arrow(from, to, Some(cpu), &format!("EOI of vector {vector}"));
            }
            Hardware::LapicReset { cpu } => {
                let who = self.apic(cpu);
                self.arrow(who.clone(), who, Some(cpu), "begins anew");
            }
            Hardware::Softirq { cpu } => {
                let who = self.context(record.ctx, cpu);
                self.arrow(who.clone(), who, Some(cpu), "raises the block softirq");
            }
            Hardware::Wakeup { task, cpu, .. } => {
                let (from, to) = (self.context(record.ctx, record.cpu), self.context(task, cpu));
                self.arrow(from, to, None, &format!("wakes it on CPU {cpu}"));
            }
        }
    }
}

fn position(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// Text as Mermaid has it: some letters end a statement or begin a comment.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '#' => out.push_str("#35;"),
            ';' => out.push_str("#59;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '%' => out.push_str("#37;"),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

fn text_of(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Number(first, last) if first == last => text.push_str(first),
            Piece::Number(first, last) => {
                let _ = write!(text, "{first}\u{2026}{last}");
            }
        }
    }
    escaped(&text)
}

/// Who is in these items.
fn actors(items: &[Item], out: &mut Vec<Who>) {
    for item in items {
        match item {
            Item::Arrow { from, to, .. } => out.extend([from.clone(), to.clone()]),
            Item::Loop { items, .. } => actors(items, out),
        }
    }
}

fn print(out: &mut String, items: &[Item], depth: usize, place: &dyn Fn(&Who) -> usize) {
    let indent = 4 * (depth + 1);
    for item in items {
        // Writing to a string cannot fail.
        let _ = match item {
            Item::Arrow { from, to, lost, text } => {
                let arrow = if *lost { "-x" } else { "->>" };
                writeln!(out, "{:indent$}p{}{arrow}p{}: {}", "", place(from), place(to), text_of(text))
            }
            Item::Loop { times: (least, most), items } => {
                let times = if least == most { most.to_string() } else { format!("{least} to {most}") };
                let _ = writeln!(out, "{:indent$}loop {times} times", "");
                print(out, items, depth + 1, place);
                writeln!(out, "{:indent$}end", "")
            }
        };
    }
}

/// The diagram.
pub fn mermaid(slice: &Slice<'_>) -> String {
    let records = slice.timed();
    let mut cpus: Vec<CpuId> = records
        .iter()
        .filter_map(|(_, record)| match record.what {
            What::Hardware(
                Hardware::Irr { cpu, .. }
                | Hardware::Accept { cpu, .. }
                | Hardware::Isr { cpu, .. }
                | Hardware::Eoi { cpu, .. },
            ) => Some(cpu),
            _ => None,
        })
        .collect();
    cpus.sort_unstable();
    cpus.dedup();
    let mut diagram = Diagram {
        slice,
        single: cpus.len() <= CPUS,
        tasks: Vec::new(),
        devices: Vec::new(),
        items: Vec::new(),
        entry: None,
        message: None,
        depth: BTreeMap::new(),
    };
    for (_, record) in &records {
        diagram.record(record);
    }
    diagram.end_of_entry();
    let items = fold(diagram.items);
    let mut kept = 0;
    let shown: Vec<Item> = items
        .iter()
        .take_while(|item| {
            kept += item.arrows();
            kept <= ARROWS
        })
        .cloned()
        .collect();
    let left_out: usize = items[shown.len()..].iter().map(Item::arrows).sum();
    let mut who = Vec::new();
    actors(&shown, &mut who);
    who.sort();
    who.dedup();
    let place = |wanted: &Who| who.iter().position(|known| known == wanted).unwrap_or_default();
    let mut out = String::from("sequenceDiagram\n");
    for (n, who) in who.iter().enumerate() {
        let word = if matches!(who, Who::Task(..)) { "actor" } else { "participant" };
        let _ = writeln!(out, "    {word} p{n} as {}", escaped(&who.name()));
    }
    print(&mut out, &shown, 0, &place);
    if let (true, Some(last)) = (left_out > 0, who.len().checked_sub(1)) {
        let over = if last == 0 { "p0".to_owned() } else { format!("p0,p{last}") };
        let _ = writeln!(
            out,
            "    Note over {over}: {left_out} more arrows are left out: a shorter recording shows all"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(text: &str) -> Item {
        Item::Arrow { from: Who::Dmar, to: Who::IoApic, lost: false, text: pieces(text) }
    }

    fn folded(texts: &[&str]) -> String {
        let mut out = String::new();
        print(&mut out, &fold(texts.iter().map(|text| arrow(text)).collect()), 0, &|_| 0);
        out.replace("p0->>p0: ", "").replace("    ", " ")
    }

    #[test]
    fn what_repeats_is_a_loop_with_the_numbers_that_change() {
        assert_eq!(
            folded(&["a 1 0xfe", "a 2 0xfe", "a 9 0xff"]),
            " loop 3 times\n  a 1\u{2026}9 0xfe\u{2026}0xff\n end\n"
        );
        assert_eq!(folded(&["a", "b", "c"]), " a\n b\n c\n");
        assert_eq!(folded(&["a 1", "b", "a 2", "b", "c"]), " loop 2 times\n  a 1\u{2026}2\n  b\n end\n c\n");
    }

    #[test]
    fn loops_stand_in_loops() {
        assert_eq!(
            folded(&["x", "x", "y", "x", "x", "x", "y"]),
            " loop 2 times\n  loop 2 to 3 times\n   x\n  end\n  y\n end\n"
        );
    }

    #[test]
    fn no_letter_of_a_text_ends_a_line_of_the_diagram() {
        assert_eq!(escaped("a;b#c<d>\n%%e"), "a#59;b#35;c#lt;d#gt; #37;#37;e");
    }
}
