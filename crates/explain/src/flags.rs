//! Which function changes which flag of an interrupt, found by watching a machine run.
//!
//! Whenever something is recorded the flags of all interrupts are compared with what they were at the
//! record before; what changed was changed by the function that ran between the two.

use std::collections::{BTreeMap, BTreeSet};

use irqcore::debugfs::{Bits, IRQDATA_STATES, IRQDATA_STATES_6_12, IRQDESC_ISTATES, IRQDESC_STATES};
use kstate::trace::{Observer, What};
use kstate::{CtxId, Irq, Kernel};

/// The flags that each function set and cleared.
pub type Changes = BTreeMap<&'static str, Changed>;

/// The flags that a function set and cleared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changed {
    /// Those it set, by name.
    pub set: BTreeSet<&'static str>,
    /// Those it cleared, by name.
    pub cleared: BTreeSet<&'static str>,
}

#[derive(Debug, Default)]
struct Seen {
    /// `IRQD_*` and `IRQS_*` of every interrupt.
    flags: BTreeMap<Irq, (u32, u32)>,
    stacks: BTreeMap<CtxId, Vec<&'static str>>,
    /// The function that ran after the last record.
    running: Option<&'static str>,
    changes: Changes,
}

/// The names of all flags of an interrupt that are set, as `irqs/N` lists them: its data's, its
/// descriptor's and its settings.
pub fn flag_names(k: &Kernel, irq: Irq) -> Vec<&'static str> {
    let Some(desc) = k.find_desc(irq) else { return Vec::new() };
    let more = if k.sem.debugfs_names_flags { IRQDATA_STATES_6_12 } else { &[] };
    let groups = [
        (desc.state(), IRQDATA_STATES),
        (desc.state(), more),
        (desc.istate, IRQDESC_ISTATES),
        (desc.status_use_accessors, IRQDESC_STATES),
    ];
    let set = |(state, names): (u32, &'static Bits)| {
        names.iter().filter(move |(mask, _)| state & mask != 0).map(|(_, name)| *name)
    };
    groups.into_iter().flat_map(set).collect()
}

/// The names of `IRQD_*` and `IRQS_*` bits in any kernel.
fn names_of(state: u32, istate: u32) -> impl Iterator<Item = &'static str> {
    let groups = [(state, IRQDATA_STATES), (state, IRQDATA_STATES_6_12), (istate, IRQDESC_ISTATES)];
    groups.into_iter().flat_map(|(bits, names)| {
        names.iter().filter(move |(mask, _)| bits & mask != 0).map(|(_, name)| *name)
    })
}

impl Observer for Seen {
    fn recorded(&mut self, k: &mut Kernel) {
        let Some(record) = k.trace.records.last() else { return };
        let stack = self.stacks.entry(record.ctx).or_default();
        let before = self.running.or_else(|| stack.last().copied());
        match record.what {
            What::Enter { meta, .. } => stack.push(meta.name),
            What::Exit { .. } => {
                stack.pop();
            }
            What::Tracepoint(_) | What::Warn(_) | What::Hardware(_) => {}
        }
        self.running = stack.last().copied();
        let now: BTreeMap<Irq, (u32, u32)> = k
            .for_each_irq()
            .filter_map(|irq| Some((irq, k.find_desc(irq)?)))
            .map(|(irq, desc)| (irq, (desc.state(), desc.istate)))
            .collect();
        if now == self.flags {
            return;
        }
        if let Some(function) = before {
            let changed = self.changes.entry(function).or_default();
            for (irq, (state, istate)) in &now {
                // One that appeared or went was not changed.
                let Some((old, iold)) = self.flags.get(irq) else { continue };
                changed.set.extend(names_of(state & !old, istate & !iold));
                changed.cleared.extend(names_of(old & !state, iold & !istate));
            }
        }
        self.flags = now;
    }
}

/// Begins to watch a machine.
pub fn watch(k: &mut Kernel) {
    k.trace.observer.begin(Box::new(Seen::default()));
}

/// Ends the watch, and says what was seen.
pub fn seen(k: &mut Kernel) -> Changes {
    let mut changes = k.trace.observer.end::<Seen>().map_or_else(Changes::new, |seen| seen.changes);
    changes.retain(|_, changed| *changed != Changed::default());
    changes
}
