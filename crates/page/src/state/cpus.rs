//! CPUs: the vector matrix, `vector_irq`, local APICs, hotplug.

use kstate::apic::{ApicCpu, NR_VECTORS, VectorIrq};
use kstate::hotplug::CpuhpState;
use kstate::hw::lapic::{ApicMode, LocalApic, Lvt, VectorReg};
use kstate::matrix::{CpuMap, VectorMap};
use kstate::shared::Shared;
use kstate::topology::Topology;
use kstate::{CpuId, Irq, Kernel};

use super::{Object, Slots, is_same, keep};
use crate::cell::{Cell, list};

#[derive(Debug, Default)]
pub(super) struct Seen {
    totals: Option<[u32; 4]>,
    system: VectorMap,
    maps: Vec<Option<CpuMap>>,
    apic: Vec<ApicCpu>,
    lapics: Vec<LocalApic>,
    hotplug: Vec<Option<(CpuhpState, CpuhpState)>>,
    topo: Option<Shared<Topology>>,
}

impl Seen {
    pub(super) fn look(&mut self, k: &mut Kernel, slots: &mut Slots) {
        self.matrix(k, slots);
        self.vectors(k, slots);
        self.lapics(k, slots);
        let count = k.hotplug.cpus.len().max(self.hotplug.len());
        self.hotplug.resize(count, None);
        for (at, now) in k.hotplug.cpus.iter().enumerate() {
            if self.hotplug[at] != Some((now.state, now.target)) {
                self.hotplug[at] = Some((now.state, now.target));
                let object = Object::Cpu(CpuId(at as u32));
                slots.set(object, "state", None, now.state.name());
                slots.set(object, "target", None, now.target.name());
            }
        }
        if !is_same(self.topo.as_ref(), &k.topo) {
            let old = keep(&mut self.topo, &mut k.topo, Topology::default());
            if old.is_none_or(|old| (&old.online, &old.possible) != (&k.topo.online, &k.topo.possible)) {
                for cpu in k.topo.possible.iter() {
                    slots.set(Object::Cpu(cpu), "online", None, k.topo.online.contains(cpu));
                }
            }
        }
    }

    fn matrix(&mut self, k: &Kernel, slots: &mut Slots) {
        let matrix = &k.vector_matrix;
        let totals =
            [matrix.online_maps, matrix.global_available, matrix.global_reserved, matrix.total_allocated];
        if self.totals != Some(totals) {
            self.totals = Some(totals);
            let names = ["online_maps", "global_available", "global_reserved", "total_allocated"];
            for (name, total) in names.into_iter().zip(totals) {
                slots.set(Object::Matrix, name, None, total);
            }
        }
        if self.system != matrix.system_map {
            self.system = matrix.system_map;
            slots.set(Object::Matrix, "system", None, list(matrix.system_map.iter()));
        }
    }

    /// What each CPU's vectors are, and how many of them.
    fn vectors(&mut self, k: &Kernel, slots: &mut Slots) {
        let maps = &k.vector_matrix.maps;
        let count = maps.len().max(k.apic.cpus.len());
        self.maps.resize_with(count.max(self.maps.len()), || None);
        self.apic.resize_with(count.max(self.apic.len()), ApicCpu::default);
        let (no_map, no_cpu) = (CpuMap::default(), ApicCpu::default());
        for at in 0..count {
            let (there, apic) = (maps.get(at), k.apic.cpus.get(at).unwrap_or(&no_cpu));
            let (same_map, same_apic) = (self.maps[at].as_ref() == there, self.apic[at] == *apic);
            if same_map && same_apic {
                continue;
            }
            let map = there.unwrap_or(&no_map);
            let (old_map, old_apic) = (self.maps[at].as_ref().unwrap_or(&no_map), &self.apic[at]);
            let object = Object::Cpu(CpuId(at as u32));
            for vector in 0..NR_VECTORS {
                let cell = |map: &CpuMap, apic: &ApicCpu| {
                    (map.alloc_map.test(vector), map.managed_map.test(vector), apic.vector_irq.get(vector))
                };
                let now = cell(map, apic);
                if now != cell(old_map, old_apic) {
                    slots.set(object, "vector", Some(vector), letter(now));
                }
            }
            if !same_map {
                slots.set(object, "available", None, map.available);
                slots.set(object, "allocated", None, map.allocated);
                slots.set(object, "managed", None, map.managed);
                slots.set(object, "managed_allocated", None, map.managed_allocated);
                slots.set(object, "matrix_online", None, map.online);
                self.maps[at] = there.cloned();
            }
            if !same_apic {
                slots.set(object, "cleanup", None, list(apic.cleanup_list.iter().map(|Irq(irq)| *irq)));
                slots.set(object, "cleanup_timer", None, apic.cleanup_timer_pending);
                self.apic[at] = apic.clone();
            }
        }
    }

    fn lapics(&mut self, k: &Kernel, slots: &mut Slots) {
        self.lapics.resize_with(k.hw.lapics.len().max(self.lapics.len()), LocalApic::default);
        for (at, (lapic, seen)) in k.hw.lapics.iter().zip(&mut self.lapics).enumerate() {
            if lapic == seen {
                continue;
            }
            let object = Object::Cpu(CpuId(at as u32));
            let vectors = |reg: &VectorReg| list(reg.iter().map(u32::from));
            slots.set(object, "irr", None, vectors(&lapic.irr));
            slots.set(object, "isr", None, vectors(&lapic.isr));
            slots.set(object, "tmr", None, vectors(&lapic.tmr));
            slots.set(object, "apic_id", None, lapic.initial_id.0);
            slots.set(object, "apic_enabled", None, lapic.enabled());
            let mode = match lapic.mode {
                ApicMode::Disabled => "disabled",
                ApicMode::XApic => "xAPIC",
                ApicMode::X2Apic => "x2APIC",
            };
            slots.set(object, "apic_mode", None, mode);
            slots.set(object, "tpr", None, hex(lapic.tpr.into(), 2));
            slots.set(object, "ldr", None, hex(lapic.ldr, 8));
            slots.set(object, "svr", None, hex(lapic.svr, 3));
            slots.set(object, "lvt_timer", None, hex(lapic.lvt[Lvt::Timer as usize], 5));
            seen.clone_from(lapic);
        }
    }
}

fn hex(value: u32, digits: usize) -> String {
    format!("{value:#0width$x}", width = digits + 2)
}

/// A vector of a CPU: a letter for the matrix, and what `vector_irq` has.
fn letter((allocated, managed, slot): (bool, bool, VectorIrq)) -> Cell {
    let letter = match (allocated, managed) {
        (true, true) => "M",
        (true, false) => "A",
        (false, true) => "m",
        (false, false) => "",
    };
    match slot {
        VectorIrq::Desc(irq) => format!("{letter}{irq}").into(),
        VectorIrq::Shutdown => format!("{letter}x").into(),
        VectorIrq::Retriggered => format!("{letter}r").into(),
        VectorIrq::Unused if letter.is_empty() => Cell::None,
        VectorIrq::Unused => letter.into(),
    }
}
