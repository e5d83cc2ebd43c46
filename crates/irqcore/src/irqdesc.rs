//! Interrupt descriptors and their numbers: kernel/irq/irqdesc.c of 5.4 and 6.12.
//!
//! 5.4 keeps descriptors in a radix tree next to a bitmap of numbers, 6.12 keeps both in one maple
//! tree. Here `IrqState` has both, for both releases.

use kfn::kfn;
use kstate::bitmap::{bitmap_parselist, nr_cpumask_bits};
use kstate::irqdesc::*;
use kstate::msi::IrqAffinityDesc;
use kstate::{CpuMask, Errno, Irq, Kernel};

use crate::dummychip::{NO_IRQ_CHIP, no_irq_chip};
use crate::settings::{irq_is_nmi, irq_settings_is_per_cpu, irq_settings_is_per_cpu_devid};

/// `NR_IRQS` of a kernel for 64 CPUs with IO-APIC and MSI.
pub const NR_IRQS: u32 = 256 + 4096;

/// A file of /sys/kernel/irq/N.
pub struct IrqAttr {
    /// Its name.
    pub name: &'static str,
    /// Its text; nothing where the interrupt has nothing of the kind.
    pub show: fn(&Kernel, Irq) -> String,
}

/// `irq_attrs`, in C's order.
pub static IRQ_ATTRS: [IrqAttr; 7] = [
    IrqAttr { name: "per_cpu_count", show: per_cpu_count_show },
    IrqAttr { name: "chip_name", show: chip_name_show },
    IrqAttr { name: "hwirq", show: hwirq_show },
    IrqAttr { name: "type", show: type_show },
    IrqAttr { name: "wakeup", show: wakeup_show },
    IrqAttr { name: "name", show: name_show },
    IrqAttr { name: "actions", show: actions_show },
];

fn per_cpu_count_show(k: &Kernel, irq: Irq) -> String {
    let desc = k.desc(irq);
    let counts: Vec<String> =
        k.topo.possible.iter().map(|cpu| kstat_irqs_cpu(desc, cpu).to_string()).collect();
    format!("{}\n", counts.join(","))
}

fn chip_name_show(k: &Kernel, irq: Irq) -> String {
    format!("{}\n", k.chip(Irqd::top(irq)).name)
}

fn hwirq_show(k: &Kernel, irq: Irq) -> String {
    let data = k.irqd(Irqd::top(irq));
    // 5.4 prints it as an int. The number of a message would be negative from PCI domain 16 on, and a machine
    // has domain 0 only.
    data.domain.map_or_else(String::new, |_| format!("{}\n", data.hwirq))
}

fn type_show(k: &Kernel, irq: Irq) -> String {
    let level = k.desc(irq).has(IRQD_LEVEL);
    format!("{}\n", if level { "level" } else { "edge" })
}

fn wakeup_show(k: &Kernel, irq: Irq) -> String {
    let set = k.desc(irq).has(IRQD_WAKEUP_STATE);
    format!("{}\n", if set { "enabled" } else { "disabled" })
}

fn name_show(k: &Kernel, irq: Irq) -> String {
    k.desc(irq).name.map_or_else(String::new, |name| format!("{name}\n"))
}

fn actions_show(k: &Kernel, irq: Irq) -> String {
    let names: Vec<&str> = k.desc(irq).action.iter().map(|action| &*action.name).collect();
    if names.is_empty() { String::new() } else { format!("{}\n", names.join(",")) }
}

// Without an affinity of its own a descriptor starts with the default one.
fn desc_smp_init(desc: &mut IrqDesc, node: i32, affinity: &CpuMask) {
    desc.irq_common_data.affinity.clone_from(affinity);
    desc.pending_mask = CpuMask::new();
    desc.irq_common_data.node = node;
}

fn desc_set_defaults(k: &Kernel, desc: &mut IrqDesc, node: i32, affinity: Option<&CpuMask>) {
    desc.irq_common_data.handler_data = 0;
    desc.irq_common_data.msi_desc = None;
    desc.irq_data.truncate(1);
    if desc.irq_data.is_empty() {
        desc.irq_data.push(IrqData::default());
    }
    desc.irq_data[0].chip = NO_IRQ_CHIP;
    desc.irq_data[0].chip_data = ChipData::None;
    crate::settings::irq_settings_clr_and_set(desc, u32::MAX, 0);
    desc.set(IRQD_IRQ_DISABLED);
    desc.set(IRQD_IRQ_MASKED);
    desc.handle_irq = FlowHandler::HandleBadIrq;
    desc.depth = 1;
    desc.irq_count = 0;
    desc.irqs_unhandled = 0;
    desc.tot_count = 0;
    desc.name = None;
    desc.kstat_irqs.clear();
    desc_smp_init(desc, node, affinity.unwrap_or(&k.irq.default_affinity));
}

#[kfn("kernel/irq/irqdesc.c")]
fn alloc_desc(k: &mut Kernel, irq: Irq, node: i32, flags: u32, affinity: Option<&CpuMask>) -> IrqDesc {
    let _ = irq;
    let mut desc = IrqDesc::default();
    desc_set_defaults(k, &mut desc, node, affinity);
    desc.set(flags);
    desc
}

#[kfn("kernel/irq/irqdesc.c")]
fn free_desc(k: &mut Kernel, irq: Irq) {
    if k.find_desc(irq).is_none() {
        return;
    }
    // The debugfs file, the sysfs directory and the tree's entry end with the descriptor; RCU, which
    // keeps it for those who still look at it, has nothing to do where nobody is in the middle.
    crate::proc::unregister_irq_proc(k, irq);
    k.irq.remove_desc(irq);
    k.irq.resend_list.retain(|&i| i != irq);
}

#[kfn("kernel/irq/irqdesc.c")]
fn alloc_descs(
    k: &mut Kernel,
    start: u32,
    cnt: u32,
    node: i32,
    affinity: Option<&[IrqAffinityDesc]>,
) -> Result<Irq, Errno> {
    if let Some(affinity) = affinity
        && (affinity.len() < cnt as usize || affinity.iter().any(|a| a.mask.is_empty()))
    {
        return Err(Errno::EINVAL);
    }
    let mut node = node;
    for i in 0..cnt {
        let irq = Irq(start + i);
        let mut flags = 0;
        let wanted = affinity.map(|a| &a[i as usize]);
        if let Some(wanted) = wanted {
            if wanted.is_managed {
                flags = IRQD_AFFINITY_MANAGED | IRQD_MANAGED_SHUTDOWN;
            }
            if k.sem.alloc_descs_sets_affinity_set {
                flags |= IRQD_AFFINITY_SET;
            }
            if let Some(cpu) = wanted.mask.first() {
                node = k.cpu_to_node(cpu).0 as i32;
            }
        }
        let mut desc = alloc_desc(k, irq, node, flags, wanted.map(|a| &a.mask));
        if k.sem.irqs_sysfs {
            desc.istate |= IRQS_SYSFS;
        }
        k.irq.insert_desc(irq, desc);
    }
    Ok(Irq(start))
}

#[kfn("kernel/irq/irqdesc.c")]
fn irq_expand_nr_irqs(k: &mut Kernel, nr: u32) -> Result<(), Errno> {
    if nr > k.sem.max_sparse_irqs {
        return Err(Errno::ENOMEM);
    }
    k.irq.nr_irqs = nr;
    Ok(())
}

/// `irqaffinity=`. What a list holds before a mistake counts, and the boot CPU is always there.
pub fn irq_affinity_setup(k: &mut Kernel, text: &str) -> bool {
    let mut mask = CpuMask::new();
    // C does not look at the result.
    let _ = bitmap_parselist(&k.sem, text.as_bytes(), &mut mask, nr_cpumask_bits(k));
    // Bits beyond the machine are in C's mask and never shown.
    mask.and_assign(&CpuMask::first_n(k.topo.nr_cpu_ids));
    mask.set(k.cpu());
    k.irq.default_affinity = mask;
    true
}

/// Without `irqaffinity=` an interrupt may go to every CPU.
fn init_irq_default_affinity(k: &mut Kernel) {
    if k.irq.default_affinity.is_empty() {
        k.irq.default_affinity = CpuMask::first_n(k.topo.nr_cpu_ids);
    }
}

/// Creates the descriptors that exist before any driver asks, with the architecture's help.
pub fn early_irq_init(k: &mut Kernel, arch: ArchOps) {
    k.irq.arch = arch;
    k.irq.chips.clear();
    k.irq.chips.push(no_irq_chip());
    k.irq.nr_irqs = NR_IRQS;
    init_irq_default_affinity(k);
    let initcnt = arch.arch_probe_nr_irqs.map_or(0, |probe| probe(k));
    if initcnt > k.irq.nr_irqs {
        k.irq.nr_irqs = initcnt;
    }
    k.log.push(format!("NR_IRQS: {NR_IRQS}, nr_irqs: {}, preallocated irqs: {initcnt}", k.irq.nr_irqs));
    // The node of the first CPU that is online: nothing else runs yet.
    let node = k.topo.online.first().map_or(0, |cpu| k.cpu_to_node(cpu).0 as i32);
    for i in 0..initcnt {
        let mut desc = alloc_desc(k, Irq(i), node, 0, None);
        if k.sem.irqs_sysfs {
            desc.istate |= IRQS_SYSFS;
        }
        k.irq.insert_desc(Irq(i), desc);
    }
    if let Some(init) = arch.arch_early_irq_init {
        init(k);
    }
}

/// The limit of interrupt numbers (7.3).
#[kfn("kernel/irq/irqdesc.c")]
pub fn irq_get_nr_irqs(k: &mut Kernel) -> u32 {
    k.irq.nr_irqs
}

/// Sets the limit of interrupt numbers (7.3).
#[kfn("kernel/irq/irqdesc.c")]
pub fn irq_set_nr_irqs(k: &mut Kernel, nr: u32) -> u32 {
    k.irq.nr_irqs = nr;
    nr
}

/// Runs the flow handler of an interrupt.
///
/// # Errors
/// `EINVAL` when there is no such interrupt.
#[kfn("kernel/irq/irqdesc.c")]
pub fn generic_handle_irq(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    if k.find_desc(irq).is_none() {
        return Err(Errno::EINVAL);
    }
    crate::chip::generic_handle_irq_desc(k, irq);
    Ok(())
}

/// Frees `cnt` descriptors from `from` on.
#[kfn("kernel/irq/irqdesc.c")]
pub fn irq_free_descs(k: &mut Kernel, from: Irq, cnt: u32) {
    let nr_irqs = k.irq.nr_irqs;
    if from.0 >= nr_irqs || from.0.saturating_add(cnt) > nr_irqs {
        return;
    }
    for i in 0..cnt {
        free_desc(k, Irq(from.0 + i));
    }
}

/// The next numbers that the machine file lists for the function that is being probed.
// DEVIATION: drivers probe in parallel at boot, so who takes which number is a race whose outcome is an input.
fn boot_numbers(k: &Kernel, cnt: u32) -> Option<u32> {
    let free = |first: u32| (first..first + cnt).all(|irq| k.find_desc(Irq(irq)).is_none());
    k.irq.boot_numbers.iter().copied().find(|&first| free(first))
}

/// Allocates `cnt` descriptors: at `irq`, or from `from` on where the numbers are free.
///
/// # Errors
/// `EINVAL` for no descriptors or an impossible range, `EEXIST` when `irq` is taken, `ENOMEM` when
/// there are no numbers left.
#[kfn("kernel/irq/irqdesc.c")]
pub fn __irq_alloc_descs(
    k: &mut Kernel,
    irq: Option<Irq>,
    from: u32,
    cnt: u32,
    node: i32,
    affinity: Option<&[IrqAffinityDesc]>,
) -> Result<Irq, Errno> {
    if cnt == 0 {
        return Err(Errno::EINVAL);
    }
    let from = match irq {
        Some(irq) if from > irq.0 => return Err(Errno::EINVAL),
        Some(irq) => irq.0,
        // x86 keeps the numbers of all IO-APIC pins free.
        None => k.irq.arch.arch_dynirq_lower_bound.map_or(from, |bound| bound(k, from)),
    };
    let listed = if irq.is_none() { boot_numbers(k, cnt) } else { None };
    let start = listed.unwrap_or_else(|| k.irq.find_free_area(from, cnt));
    if irq.is_some_and(|irq| irq.0 != start) {
        return Err(Errno::EEXIST);
    }
    if start.saturating_add(cnt) > k.irq.nr_irqs {
        irq_expand_nr_irqs(k, start.saturating_add(cnt))?;
    }
    alloc_descs(k, start, cnt, node, affinity)
}

/// `irq_get_next_irq()`: the first number from `offset` on that has a descriptor.
pub fn irq_get_next_irq(k: &Kernel, offset: u32) -> Option<Irq> {
    k.irq.next_irq(offset, true).filter(|&irq| irq < k.irq.nr_irqs).map(Irq)
}

/// Counts an interrupt on this CPU.
pub fn kstat_incr_irqs_this_cpu(k: &mut Kernel, irq: Irq) {
    let cpu = k.cpu();
    let desc = k.desc_mut(irq);
    desc.kstat_irqs.increment(cpu);
    desc.tot_count = desc.tot_count.wrapping_add(1);
}

/// `kstat_irqs_cpu()`: how often an interrupt came on one CPU.
pub fn kstat_irqs_cpu(desc: &IrqDesc, cpu: kstate::CpuId) -> u32 {
    desc.kstat_irqs.get(cpu)
}

/// `kstat_irqs()`: how often it came on all CPUs.
pub fn kstat_irqs(desc: &IrqDesc) -> u32 {
    if !irq_settings_is_per_cpu_devid(desc) && !irq_settings_is_per_cpu(desc) && !irq_is_nmi(desc) {
        return desc.tot_count;
    }
    desc.kstat_irqs.sum()
}
