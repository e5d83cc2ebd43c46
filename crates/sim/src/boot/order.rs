//! The order in which the drivers of several controllers take interrupt numbers and vectors at boot.
//!
//! NVMe controllers come up at the same time: a real machine's workers race. What came of it is in the
//! machine file (`[[boot.interrupt]]`). Here drivers take turns: in a turn one controller goes on until
//! what its messages have has changed, while the others stand still. [`find`] looks for turns that lead
//! to what the file lists. Nothing is set from the file: turns that no real driver could take cannot be
//! taken, and where none lead there the search says so.

use std::collections::HashSet;

use kstate::event::Event;
use kstate::irqdesc::IRQD_ACTIVATED;
use kstate::sched::TaskState;
use kstate::{Irq, Kernel, PciDevId, TaskId};

use crate::engine::{self, Step};
use crate::machine::Machine;

/// Who has turns: a place in the list of the controllers.
pub(super) type Turn = u8;

/// How many turns the search takes in all before it gives up.
const TURNS: usize = 20_000;
/// The bits of a hardware interrupt number that say which message of its function it is
/// (`pci_msi_domain_calc_hwirq()`).
const INDEX: u64 = 0x7ff;

/// A message as it stands: number, index, and CPU and vector once it has one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Message {
    irq: u32,
    index: u32,
    place: Option<(u32, u32)>,
}

/// Controllers that come up together.
#[derive(Clone)]
pub(super) struct Turns {
    controllers: Vec<PciDevId>,
    /// The lowest number of a message.
    first_msi: u32,
    /// By task: the controller that it works for.
    owner: Vec<Option<Turn>>,
}

/// What a controller shows to the others and to the list.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Shown {
    /// The number in its name, once it has one.
    instance: Option<u32>,
    /// Descriptors that have their interrupt or wait for one.
    asked: usize,
    messages: Vec<Message>,
}

impl Turns {
    /// Of these functions, whose drivers have not been started yet.
    pub(super) fn new(k: &Kernel, controllers: Vec<PciDevId>) -> Self {
        Self { controllers, first_msi: k.apic.gsi_top, owner: vec![None; k.sched.tasks.len()] }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.controllers.len()
    }

    /// A task that was spawned since belongs to the controller whose turn it is.
    pub(super) fn own(&mut self, k: &Kernel, turn: Turn) {
        self.owner.resize(k.sched.tasks.len(), Some(turn));
    }

    fn shown(&self, k: &Kernel, turn: Turn) -> Shown {
        let dev = self.controllers[usize::from(turn)];
        let name = k.pci_dev(dev).name();
        let instance = k.nvme.devs.iter().find(|d| d.dev == dev && d.bound).map(|d| d.instance);
        let first = k.for_each_irq().skip_while(|irq| irq.0 < self.first_msi);
        let messages = first.filter_map(|irq| {
            let desc = k.find_desc(irq)?;
            if desc.dev_name.as_deref() != Some(name.as_str()) {
                return None;
            }
            let data = k.apic.apicd(irq).filter(|_| desc.has(IRQD_ACTIVATED));
            let place = data.filter(|apicd| apicd.vector != 0).map(|apicd| (apicd.cpu.0, apicd.vector));
            Some(Message { irq: irq.0, index: (desc.irq_data[0].hwirq & INDEX) as u32, place })
        });
        let function = k.pci_dev(dev);
        let store = function.msi_data.as_ref().map_or(0, |data| data.default_domain.store.len());
        Shown { instance, asked: function.msi_list.len() + store, messages: messages.collect() }
    }

    /// What the controller can do next.
    fn next(&self, k: &Kernel, turn: Turn) -> Option<(u64, Step)> {
        let owned = |task: &TaskId| self.owner.get(task.index()).copied().flatten() == Some(turn);
        if let Some(task) = k.sched.runnable.iter().find(|task| owned(task)) {
            return Some((k.events.now, Step::Task(*task)));
        }
        let dev = self.controllers[usize::from(turn)];
        let own = |event: &Event| match event {
            Event::Device(of, _) => *of == dev,
            Event::Wake(task) => owned(task),
            _ => false,
        };
        k.events.iter().find(|(_, event)| own(event)).map(|(time, event)| (time, Step::Event(*event)))
    }

    /// One step of the controller, and the interrupts that follow from it.
    fn step(&mut self, k: &mut Kernel, turn: Turn, after: &mut impl FnMut(&Kernel)) -> bool {
        let Some((time, step)) = self.next(k, turn) else { return false };
        k.events.now = k.events.now.max(time);
        if let Step::Event(event) = step {
            k.events.take(&event);
        }
        engine::run(k, step);
        after(k);
        while let Some(step) = engine::first_interrupt(k) {
            engine::run(k, step);
            after(k);
        }
        self.own(k, turn);
        true
    }

    /// Lets the task go on to its end, and nobody else.
    pub(super) fn finish(
        &mut self,
        k: &mut Kernel,
        turn: Turn,
        task: TaskId,
        after: &mut impl FnMut(&Kernel),
    ) {
        let done = |k: &Kernel| matches!(k.sched.tasks[task.index()].state, TaskState::Done(_));
        self.own(k, turn);
        while !done(k) && self.step(k, turn, after) {}
    }

    /// Lets a controller go on until its messages have changed. False when it has come to its end.
    pub(super) fn take(&mut self, k: &mut Kernel, turn: Turn, after: &mut impl FnMut(&Kernel)) -> bool {
        let before = self.shown(k, turn);
        while self.step(k, turn, after) {
            if self.shown(k, turn) != before {
                return true;
            }
        }
        false
    }
}

/// What the machine file lists for a controller.
struct Wanted {
    instance: Option<u32>,
    /// Sorted by number. A managed message without a vector has no place.
    messages: Vec<Message>,
}

impl Wanted {
    fn of(machine: &Machine, name: &str) -> Self {
        let listed = machine.boot_interrupts.iter().filter(|i| machine.pci[i.device].address == name);
        let mut messages: Vec<Message> = listed
            .clone()
            .map(|i| {
                let place = (i.vector != 0).then_some((i.cpu.0, i.vector));
                Message { irq: i.irq.0, index: i.index, place }
            })
            .collect();
        messages.sort_by_key(|m| m.irq);
        let instance =
            listed.filter_map(|i| i.name.strip_prefix("nvme")?.split_once('q')?.0.parse().ok()).next();
        Self { instance, messages }
    }

    /// The controller can still come to what is listed.
    fn allows(&self, shown: &Shown, ended: bool) -> bool {
        if self.messages.is_empty() {
            return true;
        }
        if shown.instance.is_some() && self.instance.is_some() && shown.instance != self.instance {
            return false;
        }
        if ended {
            return shown.messages.iter().eq(self.messages.iter());
        }
        // A controller first has one message, and gives it back. Of an attempt that asks for more than can be had
        // nothing stays either.
        if shown.asked < 2 || shown.asked != self.messages.len() {
            return true;
        }
        let listed = |have: &Message| self.messages.iter().find(|want| want.index == have.index);
        shown.messages.iter().all(|have| {
            listed(have).is_some_and(|want| {
                have.irq == want.irq && (have.place == want.place || have.place.is_none())
            })
        })
    }
}

/// A machine on the way.
struct Branch {
    k: Kernel,
    turns: Turns,
    ended: Vec<bool>,
    taken: Vec<Turn>,
}

/// Turns after which the controllers' messages are where the machine file lists them; `None` where there
/// are none, or too many to try. `k` is the machine when all drivers have been started.
pub(super) fn find(k: Kernel, turns: Turns, machine: &Machine) -> Option<Vec<Turn>> {
    if turns.len() < 2 {
        return None;
    }
    let wanted: Vec<Wanted> =
        turns.controllers.iter().map(|&dev| Wanted::of(machine, &k.pci_dev(dev).name())).collect();
    let ended = vec![false; turns.len()];
    let mut open = vec![Branch { k, turns, ended, taken: Vec::new() }];
    let mut seen: HashSet<(Vec<Shown>, Vec<usize>)> = HashSet::new();
    let mut tried = 0;
    while let Some(mut branch) = open.pop() {
        if branch.ended.iter().all(|&ended| ended) {
            return Some(branch.taken);
        }
        branch.k.share();
        // The one whose queues have the lowest numbers is tried first: the last one pushed.
        let mut next: Vec<Turn> =
            (0..branch.turns.len() as u8).filter(|&t| !branch.ended[usize::from(t)]).collect();
        next.sort_by_key(|&t| core::cmp::Reverse(wanted[usize::from(t)].messages.last().map(|m| m.irq)));
        for turn in next {
            tried += 1;
            if tried > TURNS {
                return None;
            }
            let mut k = branch.k.clone();
            let mut turns = branch.turns.clone();
            let mut ended = branch.ended.clone();
            ended[usize::from(turn)] = !turns.take(&mut k, turn, &mut |_| {});
            if !wanted[usize::from(turn)].allows(&turns.shown(&k, turn), ended[usize::from(turn)]) {
                continue;
            }
            let taken: Vec<Turn> = branch.taken.iter().copied().chain([turn]).collect();
            let each = 0..turns.len() as u8;
            let counts = each.clone().map(|t| taken.iter().filter(|&&other| other == t).count()).collect();
            if seen.insert((each.map(|t| turns.shown(&k, t)).collect(), counts)) {
                open.push(Branch { k, turns, ended, taken });
            }
        }
    }
    None
}

/// The interrupts that are listed.
pub(super) fn listed(k: &Kernel, machine: &Machine) -> usize {
    let stands = |irq: Irq| {
        let data = k.apic.apicd(irq)?;
        let active = k.find_desc(irq)?.has(IRQD_ACTIVATED);
        Some(if active && data.vector != 0 { (data.cpu.0, data.vector) } else { (0, 0) })
    };
    let there = |i: &&crate::machine::BootInterrupt| {
        let expected = if i.vector == 0 { (0, 0) } else { (i.cpu.0, i.vector) };
        stands(i.irq) == Some(expected)
            && k.find_desc(i.irq).and_then(|d| d.dev_name.as_deref())
                == Some(machine.pci[i.device].address.as_str())
    };
    machine.boot_interrupts.iter().filter(there).count()
}
