//! What happened, in columns.

use std::collections::{BTreeMap, HashMap};

use kstate::trace::{Actor, Field, FieldValue, Hardware, Record, Shown, Trace, Tracepoint, What};
use kstate::{CtxId, Kernel};
use record::functions::{Function, Functions};
use record::{event_label, flow_label};
use serde::Serialize;

use crate::cell::Cell;

/// What a record can be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Is {
    Enter,
    Exit,
    Tracepoint,
    Hardware,
    Warning,
}

/// What a record is of, and the names of its values.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub(crate) struct Of {
    pub(crate) is: Is,
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<&'static str>,
}

/// A lane of the picture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Lane {
    name: String,
    kind: &'static str,
    /// The CPU whose lane it is, or whose thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
}

/// One stack.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Context {
    actor: String,
    lane: u32,
    /// What records of hardware call it.
    number: u32,
}

/// The records, a column for each part.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Columns {
    /// What it is of.
    of: Vec<u32>,
    /// The stack; -1 where hardware acts on its own.
    context: Vec<i64>,
    cpu: Vec<u32>,
    /// ns after the record before; of the first one, since power-on.
    time: Vec<u64>,
    /// How many records before it is the call around it, or that returns; 0 where there is none.
    parent: Vec<u32>,
    /// One more than the interrupt that it is about; 0 where it is about none.
    irq: Vec<u32>,
    /// The lane, where it is not that of the stack; -1 elsewhere.
    lane: Vec<i64>,
    /// The values of all records, one after the other.
    values: Vec<Cell>,
}

/// What is written of the records.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    of: Vec<Of>,
    lanes: Vec<Lane>,
    contexts: Vec<Context>,
    records: Columns,
}

/// Collects the records.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    numbers: HashMap<Of, u32, foldhash::fast::FixedState>,
    of: Vec<Of>,
    columns: Columns,
    last: u64,
    /// Calls that are open, by stack.
    open: HashMap<CtxId, Vec<u32>, foldhash::fast::FixedState>,
    /// First and last record of each stack, and its CPU.
    life: BTreeMap<CtxId, (u32, u32, u32)>,
    lanes: Vec<Lane>,
    /// Places of hardware that have a lane.
    devices: BTreeMap<Place, u32>,
}

/// Where hardware is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    Cpu(u32),
    Device(u32),
    IoApic,
    Dmar,
}

/// The place of a record of hardware that is not on the lane of its stack.
fn place(record: &Record, hardware: &Hardware) -> Option<Place> {
    if let Some(cpu) = hardware.local_apic() {
        return Some(Place::Cpu(cpu.0));
    }
    match hardware.dev() {
        Some(dev) => Some(Place::Device(dev.0)),
        None if record.ctx != Trace::NOBODY => None,
        None if hardware.is_of_dmar() => Some(Place::Dmar),
        None => Some(Place::IoApic),
    }
}

impl Collector {
    pub(crate) fn len(&self) -> u32 {
        self.columns.of.len() as u32
    }

    /// Takes a record, right after it was made.
    pub(crate) fn take(&mut self, k: &Kernel, record: &Record) {
        let n = self.len();
        let (is, name, fields) = match record.what {
            What::Enter { meta, args } => {
                let mut fields = Vec::new();
                for (i, param) in meta.args.iter().enumerate() {
                    let Some(word) = args.get(i) else { continue };
                    fields.push(param.name);
                    self.columns.values.push(match param.shown {
                        Shown::Word => Cell::Number(word as i64),
                        _ => k.argument(param, word).into(),
                    });
                }
                (Is::Enter, meta.name, fields)
            }
            What::Exit { meta, ret } => {
                self.columns.values.extend(ret.map(|ret| Cell::Number(ret as i64)));
                (Is::Exit, meta.name, ret.map(|_| "ret").into_iter().collect())
            }
            What::Tracepoint(tracepoint) => {
                let fields = Tracepoint::fields_of(tracepoint.name()).unwrap_or_default().to_vec();
                let values = fields.iter().map(|field| match tracepoint.field(field) {
                    None => Cell::None,
                    Some(FieldValue::Number(number)) => Cell::Number(number),
                    Some(FieldValue::Text(text)) => text.as_str().into(),
                });
                self.columns.values.extend(values);
                (Is::Tracepoint, tracepoint.name(), fields)
            }
            What::Hardware(hardware) => {
                let fields = hardware.fields();
                let values = fields.iter().map(|(_, field)| match *field {
                    Field::Number(number) => Cell::Number(number as i64),
                    Field::Bit(bit) => bit.into(),
                    other => k.trace.field(other).into(),
                });
                self.columns.values.extend(values);
                (Is::Hardware, hardware.name(), fields.iter().map(|(name, _)| *name).collect())
            }
            What::Warn(text) => (Is::Warning, text, Vec::new()),
        };
        let of = self.number(Of { is, name, fields });
        let irq = debugger::irq_of(record, k).filter(|irq| irq.index() < k.irq.descs.len());
        let lane = match record.what {
            What::Hardware(hardware) => place(record, &hardware).map_or(-1, |place| self.device(k, place)),
            _ => -1,
        };
        let columns = &mut self.columns;
        columns.of.push(of);
        columns.irq.push(irq.map_or(0, |irq| irq.0 + 1));
        columns.lane.push(lane);
        columns.time.push(record.time.saturating_sub(self.last));
        self.last = record.time;
        columns.cpu.push(record.cpu.0);
        if record.ctx == Trace::NOBODY {
            columns.context.push(-1);
            columns.parent.push(0);
            return;
        }
        columns.context.push(record.ctx.0.into());
        let (_, last, _) = self.life.entry(record.ctx).or_insert((n, n, record.cpu.0));
        *last = n;
        let open = self.open.entry(record.ctx).or_default();
        let around = match record.what {
            What::Exit { .. } => open.pop(),
            _ => open.last().copied(),
        };
        if let What::Enter { .. } = record.what {
            open.push(n);
        }
        self.columns.parent.push(around.map_or(0, |around| n - around));
    }

    fn number(&mut self, of: Of) -> u32 {
        if let Some(number) = self.numbers.get(&of) {
            return *number;
        }
        let number = self.of.len() as u32;
        self.of.push(of.clone());
        self.numbers.insert(of, number);
        number
    }

    fn device(&mut self, k: &Kernel, place: Place) -> i64 {
        let lanes = &mut self.lanes;
        let lane = *self.devices.entry(place).or_insert_with(|| {
            let lane = match place {
                Place::Cpu(cpu) => Lane { name: format!("CPU {cpu}"), kind: "cpu", cpu: Some(cpu) },
                Place::Device(dev) => {
                    Lane { name: k.device_name(kstate::PciDevId(dev)), kind: "device", cpu: None }
                }
                Place::IoApic => Lane { name: "IO-APIC".to_owned(), kind: "device", cpu: None },
                Place::Dmar => Lane { name: "DMAR".to_owned(), kind: "device", cpu: None },
            };
            lanes.push(lane);
            lanes.len() as u32 - 1
        });
        lane.into()
    }

    /// Everything, with the lanes of the stacks.
    pub(crate) fn finish(mut self, k: &Kernel) -> Told {
        // A function may have got its name since.
        for (place, lane) in &self.devices {
            if let Place::Device(dev) = place {
                self.lanes[*lane as usize].name = k.device_name(kstate::PciDevId(*dev));
            }
        }
        // Stacks of one name that follow each other share a lane: the lane, and its last record so far.
        let mut free: BTreeMap<String, Vec<(u32, u32)>> = BTreeMap::new();
        let mut order: Vec<(CtxId, (u32, u32, u32))> =
            self.life.iter().map(|(ctx, life)| (*ctx, *life)).collect();
        order.sort_by_key(|(_, life)| *life);
        let mut numbers = BTreeMap::new();
        let mut contexts = Vec::new();
        for (ctx, (first, last, cpu)) in order {
            let actor = k.trace.ctxs.get(ctx).map_or(&Actor::Boot, |ctx| &ctx.actor);
            let lane = match actor {
                Actor::Irq { .. } | Actor::Softirq(_) | Actor::Cleanup(_) | Actor::Idle(_) => {
                    self.device(k, Place::Cpu(cpu)) as u32
                }
                _ => self.task(actor, &mut free, first, last),
            };
            numbers.insert(i64::from(ctx.0), contexts.len() as i64);
            contexts.push(Context { actor: flow_label(actor), lane, number: ctx.0 });
        }
        for context in &mut self.columns.context {
            *context = numbers.get(context).copied().unwrap_or(-1);
        }
        Told { of: self.of, lanes: self.lanes, contexts, records: self.columns }
    }

    fn task(
        &mut self,
        actor: &Actor,
        free: &mut BTreeMap<String, Vec<(u32, u32)>>,
        first: u32,
        last: u32,
    ) -> u32 {
        let (name, cpu) = match actor {
            Actor::Migration(cpu) => (format!("migration/{cpu}"), Some(cpu.0)),
            Actor::Cpuhp(cpu) => (event_label(actor), Some(cpu.0)),
            Actor::IrqThread(name) => (name.clone(), None),
            actor => (event_label(actor), None),
        };
        let known = free.entry(name.clone()).or_default();
        if let Some((lane, until)) = known.iter_mut().find(|(_, until)| *until < first) {
            *until = last;
            return *lane;
        }
        let lane = self.lanes.len() as u32;
        known.push((lane, last));
        let name = if known.len() == 1 { name } else { format!("{name} #{}", known.len()) };
        self.lanes.push(Lane { name, kind: "task", cpu });
        lane
    }
}

impl Told {
    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.records.of.len()
    }

    /// The record that comes at a place, of those that are none of hardware.
    pub(crate) fn kernel_record(&self, place: usize) -> Option<usize> {
        let of_kernel = |of: &u32| self.of[*of as usize].is != Is::Hardware;
        self.records
            .of
            .iter()
            .enumerate()
            .filter(|(_, of)| of_kernel(of))
            .nth(place)
            .map(|(record, _)| record)
    }

    /// Place and text of each function and event that has one.
    pub(crate) fn explained(&self, k: &Kernel) -> BTreeMap<&'static str, About> {
        let functions = Functions::of(k.sem.version);
        let named = self.of.iter().filter(|of| of.is != Is::Warning && of.is != Is::Exit);
        named.map(|of| (of.name, About::of(of, functions))).collect()
    }
}

/// What is known of a function or an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    /// The tracer of this kernel shows it.
    shown: bool,
    /// It is of interest only for what it calls: no recording has it.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    plumbing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl About {
    fn of(of: &Of, functions: &Functions) -> Self {
        let function = functions.get(of.name).filter(|_| of.is == Is::Enter);
        let text = match explain::function_text(of.name) {
            Some(text) => Some(text.to_owned()),
            None if of.is == Is::Enter => None,
            None => explain::look_up(of.name).answers.into_iter().next().map(|entry| entry.text),
        };
        Self {
            file: function.map(|function| function.file),
            line: function.map(|function| function.line),
            shown: of.is != Is::Enter || functions.shown(of.name).is_some(),
            plumbing: function.is_some_and(Function::is_plumbing),
            text,
        }
    }
}
