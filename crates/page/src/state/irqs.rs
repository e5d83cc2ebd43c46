//! Interrupts: descriptor, vector, flags, hierarchy.

use debugger::hierarchy;
use explain::flags::flag_names;
use kstate::apic::ApicChipData;
use kstate::irqdesc::IrqDesc;
use kstate::shared::Shared;
use kstate::{Irq, Kernel};

use super::{Object, Slots, address, is_same, keep};
use crate::cell::Cell;

#[derive(Debug, Default)]
pub(super) struct Seen {
    descs: Vec<Option<Shared<IrqDesc>>>,
    apicd: Vec<Option<ApicChipData>>,
}

impl Seen {
    pub(super) fn look(&mut self, k: &mut Kernel, slots: &mut Slots) {
        let count = k.irq.descs.len().max(self.descs.len());
        self.descs.resize_with(count, || None);
        for at in 0..count {
            let irq = Irq(at as u32);
            let seen = &mut self.descs[at];
            let Some(Some(now)) = k.irq.descs.get_mut(at) else {
                if seen.take().is_some() {
                    slots.clear(Object::Irq(irq));
                }
                continue;
            };
            if !is_same(seen.as_ref(), now) {
                let old = keep(seen, now, IrqDesc::default());
                desc(k, slots, irq, old.as_deref());
            }
        }
        let count = k.apic.chip_data.len().max(self.apicd.len());
        self.apicd.resize_with(count, || None);
        for at in 0..count {
            let now = k.apic.chip_data.get(at).and_then(Option::as_ref);
            if self.apicd[at].as_ref() != now {
                self.apicd[at] = now.cloned();
                vector(slots, Irq(at as u32), now);
            }
        }
    }
}

/// What of a descriptor is another than it was.
fn desc(k: &Kernel, slots: &mut Slots, irq: Irq, old: Option<&IrqDesc>) {
    let Some(desc) = k.find_desc(irq) else { return };
    let object = Object::Irq(irq);
    // A field is worth a look where what it is made of differs.
    let differs = |of: fn(&IrqDesc, &IrqDesc) -> bool| old.is_none_or(|old| of(old, desc));
    if differs(|a, b| a.action != b.action) {
        let names: Vec<&str> = desc.action.iter().map(|action| &*action.name).collect();
        slots.set(object, "name", None, (!names.is_empty()).then(|| names.join(", ")));
    }
    if differs(|a, b| a.irq_common_data.affinity != b.irq_common_data.affinity) {
        slots.set(object, "affinity", None, &desc.irq_common_data.affinity);
    }
    if differs(|a, b| a.irq_common_data.effective_affinity != b.irq_common_data.effective_affinity) {
        slots.set(object, "effective", None, &desc.irq_common_data.effective_affinity);
    }
    if differs(|a, b| a.pending_mask != b.pending_mask) {
        slots.set(object, "pending", None, &desc.pending_mask);
    }
    if differs(|a, b| {
        (a.state(), a.istate, a.status_use_accessors) != (b.state(), b.istate, b.status_use_accessors)
    }) {
        let names = flag_names(k, irq);
        slots.set(object, "flags", None, (!names.is_empty()).then(|| names.join(" ")));
    }
    if differs(|a, b| a.depth != b.depth) {
        slots.set(object, "depth", None, desc.depth);
    }
    if differs(|a, b| a.irq_common_data.node != b.irq_common_data.node) {
        slots.set(object, "node", None, Cell::Number(desc.irq_common_data.node.into()));
    }
    if differs(|a, b| a.handle_irq != b.handle_irq) {
        slots.set(object, "handler", None, desc.handle_irq.name());
    }
    if differs(|a, b| a.irq_data != b.irq_data) {
        let levels = hierarchy(k, irq);
        let before = old.map_or(0, |old| old.irq_data.len());
        for n in 0..levels.len().max(before) {
            let level = levels.get(n);
            let n = Some(n as u32);
            slots.set(object, "domain", n, level.map(|(domain, ..)| domain.as_str()));
            slots.set(object, "hwirq", n, level.map(|(_, hwirq, _)| Cell::Number(*hwirq as i64)));
            slots.set(object, "chip", n, level.map(|(.., chip)| chip.as_str()));
        }
    }
    if differs(|a, b| a.irq_common_data.msi_desc != b.irq_common_data.msi_desc) {
        let msi = desc.irq_common_data.msi_desc.and_then(|id| k.msi.descs.get(id));
        slots.set(object, "device", None, msi.map(|msi| address(k, msi.dev)));
        slots.set(object, "entry", None, msi.map(|msi| u32::from(msi.entry_nr)));
    }
    if differs(|a, b| a.kstat_irqs != b.kstat_irqs) {
        for (cpu, count) in desc.kstat_irqs.iter() {
            slots.set(object, "count", Some(cpu.0), count);
        }
    }
}

fn vector(slots: &mut Slots, irq: Irq, data: Option<&ApicChipData>) {
    let object = Object::Irq(irq);
    let has = data.filter(|data| data.vector != 0);
    slots.set(object, "vector", None, has.map(|data| data.vector));
    slots.set(object, "cpu", None, has.map(|data| data.cpu.0));
    let before = data.filter(|data| data.prev_vector != 0);
    slots.set(object, "prev_vector", None, before.map(|data| data.prev_vector));
    slots.set(object, "prev_cpu", None, before.map(|data| data.prev_cpu.0));
    slots.set(object, "told_vector", None, data.map(|data| data.hw_irq_cfg.vector));
    slots.set(object, "told_dest", None, data.map(|data| data.hw_irq_cfg.dest_apicid));
    slots.set(object, "move_in_progress", None, data.map(|data| data.move_in_progress));
    slots.set(object, "is_managed", None, data.map(|data| data.is_managed));
    slots.set(object, "can_reserve", None, data.map(|data| data.can_reserve));
    slots.set(object, "has_reserved", None, data.map(|data| data.has_reserved));
}
