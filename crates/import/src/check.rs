//! The imported machine boots, and what it shows is compared with the source, interrupt by interrupt.

use core::fmt::{self, Display};
use std::collections::BTreeMap;

use kstate::Irq;
use kstate::irqdesc::IRQD_AFFINITY_MANAGED;
use kstate::semantics::Semantics;
use sim::lab::Lab;

use crate::facts::Facts;
use crate::interrupts::{Interrupts, Row};
use crate::model::Imported;

/// How many differences of a kind are listed.
const LISTED: usize = 8;

/// One kind of thing that was compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compared {
    /// What it is.
    pub what: &'static str,
    /// How many the source has.
    pub lines: usize,
    /// How many are the same.
    pub same: usize,
    /// Each one that is not: what the source says and what the machine does.
    pub differences: Vec<String>,
    /// It must agree, and where it does not, import is wrong.
    pub must: bool,
}

/// The whole comparison.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Check {
    /// By kind.
    pub kinds: Vec<Compared>,
    /// What the machine's kernel said while it booted that concerns import.
    pub log: Vec<String>,
}

impl Check {
    /// Everything that must agree does.
    pub fn agrees(&self) -> bool {
        self.kinds.iter().all(|kind| !kind.must || kind.differences.is_empty())
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<46} {:>6} {:>6} {:>6}", "what", "lines", "same", "other")?;
        for kind in &self.kinds {
            let other = kind.differences.len();
            writeln!(f, "{:<46} {:>6} {:>6} {other:>6}", kind.what, kind.lines, kind.same)?;
            for difference in kind.differences.iter().take(LISTED) {
                writeln!(f, "    {difference}")?;
            }
            if other > LISTED {
                writeln!(f, "    and {} more", other - LISTED)?;
            }
        }
        self.log.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Collects what is compared.
struct Kind(Compared);

impl Kind {
    fn new(what: &'static str, must: bool) -> Self {
        Self(Compared { what, lines: 0, same: 0, differences: Vec::new(), must })
    }

    fn compare<T: PartialEq>(
        &mut self,
        irq: u32,
        name: &str,
        source: &T,
        here: &T,
        show: impl Fn(&T) -> String,
    ) {
        self.0.lines += 1;
        if source == here {
            self.0.same += 1;
        } else {
            self.0.differences.push(format!(
                "{irq} {name}: {} in the source, {} here",
                show(source),
                show(here)
            ));
        }
    }
}

/// Boots the machine and compares.
pub(crate) fn check(facts: &Facts, imported: &Imported) -> Check {
    let machine = &imported.machine;
    let lab = Lab::boot_with(machine, Semantics::of(machine.kernel), false);
    let k = &lab.k;
    let here = Interrupts::parse(&irqcore::proc::show_interrupts(k)).unwrap_or_default();
    let rows: BTreeMap<u32, &Row> = here.rows.iter().map(|row| (row.irq, row)).collect();
    let mut number = Kind::new("/proc/interrupts: number, chip, hwirq, action", false);
    let mut managed = Kind::new("smp_affinity_list of managed", true);
    let mut flags = Kind::new("managed or not", true);
    let mut others = Kind::new("smp_affinity_list of others", false);
    let mut effective = Kind::new("effective_affinity_list", false);
    let mut vectors = Kind::new("vector, of debugfs", false);
    let online = k.topo.online.list();
    let mut cpus = Kind::new("CPUs that are online", true);
    cpus.compare(0, "CPUs", &facts.cpus.online.list(), &online, Clone::clone);
    let read = |irq: u32, name: &str| {
        let file = irqcore::proc::FILES.iter().find(|file| file.name == name)?;
        Some((file.show)(k, k.find_desc(Irq(irq))?).trim().to_owned())
    };
    let nothing = || "nothing".to_owned();
    for (&irq, found) in &facts.irqs {
        let Some(row) = &found.row else { continue };
        let name = row.actions.as_str();
        let text = |row: &Row| {
            // Old kernels print no hardware number.
            let hwirq = row.hwirq.map_or(String::new(), |hwirq| format!(" {hwirq}"));
            let chip = row.chip.replace("IO-APIC-IR", "IO-APIC").replace("DMAR_MSI", "DMAR-MSI");
            format!("{chip}{hwirq}-{} {}", row.flow, row.actions)
        };
        let mine = rows.get(&irq).map(|mine| {
            let mut mine = (*mine).clone();
            if row.hwirq.is_none() {
                mine.hwirq = None;
            }
            text(&mine)
        });
        number.compare(irq, name, &Some(text(row)), &mine, |row| row.clone().unwrap_or_else(nothing));
        if mine.is_none() {
            continue;
        }
        let is = k.find_desc(Irq(irq)).is_some_and(|desc| desc.has(IRQD_AFFINITY_MANAGED));
        let wanted = imported.managed.contains(&irq);
        flags.compare(irq, name, &wanted, &is, |managed| {
            if *managed { "managed" } else { "not managed" }.to_owned()
        });
        let show = |list: &Option<String>| list.clone().unwrap_or_else(nothing);
        if let Some(affinity) = &found.affinity {
            let kind = if wanted { &mut managed } else { &mut others };
            kind.compare(irq, name, &Some(affinity.list()), &read(irq, "smp_affinity_list"), show);
        }
        if let Some(mask) = &found.effective {
            effective.compare(irq, name, &Some(mask.list()), &read(irq, "effective_affinity_list"), show);
        }
        if let Some((vector, cpu)) = found.debug.as_ref().and_then(|debug| debug.vector) {
            let cfg = x86apic::kernel::vector::irqd_cfg(k, Irq(irq)).map(|cfg| cfg.vector);
            let stands = k.apic.apicd(Irq(irq)).map(|apicd| apicd.cpu.0);
            let here = cfg.zip(stands);
            vectors.compare(irq, name, &Some((vector, cpu)), &here, |at| {
                at.map_or_else(nothing, |(vector, cpu)| format!("{vector} on CPU {cpu}"))
            });
        }
    }
    let mut matrix = Kind::new("vector matrix: CPU, avl man mac act", false);
    for (&cpu, row) in &facts.matrix {
        let here = k
            .vector_matrix
            .maps
            .get(cpu as usize)
            .filter(|map| map.online)
            .map(|map| [map.available, map.managed, map.managed_allocated, map.allocated]);
        matrix.compare(cpu, "", &Some(row.counters), &here, |row| {
            row.map_or_else(nothing, |row| row.map(|n| n.to_string()).join(" "))
        });
    }
    let mut extra = Kind::new("interrupts that the source does not have", false);
    for row in here.rows.iter().filter(|row| facts.irqs.get(&row.irq).is_none_or(|irq| irq.row.is_none())) {
        extra.0.lines += 1;
        extra.0.differences.push(format!("{} {} {}", row.irq, row.chip, row.actions));
    }
    let kinds = [cpus, number, flags, managed, others, effective, vectors, matrix, extra];
    Check {
        kinds: kinds.into_iter().map(|kind| kind.0).filter(|kind| kind.lines > 0).collect(),
        log: k.log.iter().filter(|line| line.contains("irqlab:")).cloned().collect(),
    }
}
