//! The state of the machine at each record, as differences.
//!
//! A value of the state has a place: an object of the machine, the name of a field, and a number where there are several of
//! the name. What changed since the record before is found by comparing with what was seen last. Descriptors, functions and
//! queues are [`Shared`](kstate::shared::Shared): after each look they are shared, so that those that nobody wrote since are still at one address and
//! need not be read. Registers and counters of the CPUs are compared as words.

use std::collections::HashMap;

use kstate::shared::Shared;
use kstate::{CpuId, DomainId, Irq, Kernel, NvmeId, PciDevId, QueueId};
use serde::Serialize;

use crate::cell::Cell;

mod cpus;
mod devices;
mod domains;
mod irqs;
mod queues;

/// Something of the machine that has values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Object {
    Matrix,
    Irq(Irq),
    Cpu(CpuId),
    Device(PciDevId),
    IoApic,
    Dmar,
    Domain(DomainId),
    /// A hardware queue of a disk.
    Queue(QueueId, u32),
    /// A queue of an NVMe controller.
    NvmeQueue(NvmeId, u16),
}

impl Object {
    fn kind(self) -> &'static str {
        match self {
            Self::Matrix => "matrix",
            Self::Irq(_) => "irq",
            Self::Cpu(_) => "cpu",
            Self::Device(_) => "device",
            Self::IoApic => "ioapic",
            Self::Dmar => "dmar",
            Self::Domain(_) => "domain",
            Self::Queue(..) => "queue",
            Self::NvmeQueue(..) => "nvme_queue",
        }
    }

    fn id(self, k: &Kernel) -> String {
        match self {
            Self::Matrix | Self::IoApic | Self::Dmar => String::new(),
            Self::Irq(irq) => irq.to_string(),
            Self::Cpu(cpu) => cpu.to_string(),
            Self::Device(dev) => address(k, dev),
            Self::Domain(domain) => domain.0.to_string(),
            Self::Queue(queue, n) => format!("{queue}/{n}"),
            Self::NvmeQueue(nvme, n) => format!("{nvme}/{n}"),
        }
    }
}

/// The address of a function.
fn address(k: &Kernel, dev: PciDevId) -> String {
    k.pci.devs.get(dev.index()).map_or_else(|| dev.to_string(), |dev| dev.name())
}

type Place = (Object, &'static str, Option<u32>);

/// The values of the state, and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// By place.
    index: HashMap<Place, u32, foldhash::fast::FixedState>,
    places: Vec<Place>,
    values: Vec<Cell>,
    /// The slots of each object.
    of: HashMap<Object, Vec<u32>, foldhash::fast::FixedState>,
    /// The record that is being looked at; `None` before the first.
    record: Option<u32>,
    start: Vec<(u32, Cell)>,
    changes: Changes,
    checkpoints: Vec<Checkpoint>,
}

/// What changed, in the order of the records.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Changes {
    /// How many records after that of the change before.
    record: Vec<u32>,
    /// The place.
    field: Vec<u32>,
    old: Vec<Cell>,
    new: Vec<Cell>,
    #[serde(skip)]
    last: u32,
}

/// All values after a record.
#[derive(Clone, Debug, Serialize)]
struct Checkpoint {
    record: u32,
    values: Vec<(u32, Cell)>,
}

/// Records between two checkpoints, at least.
const SPACING: u32 = 1 << 14;

impl Slots {
    /// Writes a value, if it is another one.
    fn set(&mut self, object: Object, name: &'static str, n: Option<u32>, value: impl Into<Cell>) {
        let (place, value) = ((object, name, n), value.into());
        let slot = match self.index.get(&place) {
            Some(slot) => *slot,
            None if value == Cell::None => return,
            None => {
                let slot = self.places.len() as u32;
                self.index.insert(place, slot);
                self.places.push(place);
                self.values.push(Cell::None);
                self.of.entry(object).or_default().push(slot);
                slot
            }
        };
        self.write(slot, value);
    }

    fn write(&mut self, slot: u32, value: Cell) {
        let seen = &mut self.values[slot as usize];
        if *seen == value {
            return;
        }
        let old = core::mem::replace(seen, value.clone());
        let Some(record) = self.record else { return };
        let changes = &mut self.changes;
        changes.record.push(record - changes.last);
        changes.last = record;
        changes.field.push(slot);
        changes.old.push(old);
        changes.new.push(value);
    }

    /// An object is gone, and its values with it.
    fn clear(&mut self, object: Object) {
        for slot in self.of.get(&object).cloned().unwrap_or_default() {
            self.write(slot, Cell::None);
        }
    }

    fn all(&self) -> Vec<(u32, Cell)> {
        let there = self.values.iter().enumerate().filter(|(_, value)| **value != Cell::None);
        there.map(|(slot, value)| (slot as u32, value.clone())).collect()
    }
}

/// What was seen last.
#[derive(Debug, Default)]
pub(crate) struct Looker {
    slots: Slots,
    irqs: irqs::Seen,
    cpus: cpus::Seen,
    devices: devices::Seen,
    domains: domains::Seen,
    queues: queues::Seen,
}

impl Looker {
    /// Takes the state before the first record.
    pub(crate) fn start(&mut self, k: &mut Kernel) {
        self.compare(k);
        self.slots.start = self.slots.all();
    }

    /// Looks at the machine right after a record.
    pub(crate) fn look(&mut self, k: &mut Kernel, record: u32) {
        self.slots.record = Some(record);
        self.compare(k);
        if record > 0 && record.is_multiple_of(SPACING) {
            let values = self.slots.all();
            self.slots.checkpoints.push(Checkpoint { record, values });
        }
    }

    fn compare(&mut self, k: &mut Kernel) {
        let Self { slots, irqs, cpus, devices, domains, queues } = self;
        irqs.look(k, slots);
        cpus.look(k, slots);
        devices.look(k, slots);
        domains.look(k, slots);
        queues.look(k, slots);
    }

    /// What was found.
    pub(crate) fn finish(self, k: &Kernel) -> States {
        let Slots { places, start, changes, checkpoints, .. } = self.slots;
        let mut numbers: HashMap<Object, u32, foldhash::fast::FixedState> = HashMap::default();
        let mut objects = Vec::new();
        let fields = places.iter().map(|(object, name, n)| {
            let number = *numbers.entry(*object).or_insert_with(|| {
                objects.push((object.kind(), object.id(k)));
                objects.len() as u32 - 1
            });
            (number, n.map_or_else(|| (*name).to_owned(), |n| format!("{name}/{n}")))
        });
        let fields = fields.collect();
        States { objects, fields, start, changes, checkpoints }
    }
}

/// The state before the first record, and what changed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct States {
    /// Kind and name of each object.
    objects: Vec<(&'static str, String)>,
    /// The object of each place, and the field.
    fields: Vec<(u32, String)>,
    start: Vec<(u32, Cell)>,
    changes: Changes,
    checkpoints: Vec<Checkpoint>,
}

impl States {
    /// How many changes there were.
    pub(crate) fn changes(&self) -> usize {
        self.changes.field.len()
    }
}

/// What is shared is still what was seen.
fn is_same<T>(seen: Option<&Shared<T>>, now: &Shared<T>) -> bool {
    seen.is_some_and(|seen| core::ptr::eq(&raw const **seen, &raw const **now))
}

/// Shares a value, keeps it, and returns what was seen before it.
fn keep<T: Clone>(seen: &mut Option<Shared<T>>, now: &mut Shared<T>, spare: T) -> Option<Shared<T>> {
    if now.is_own() {
        *now = core::mem::replace(now, Shared::new(spare)).share();
    }
    seen.replace(now.clone())
}
