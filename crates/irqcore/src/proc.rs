//! /proc/interrupts and /proc/irq: kernel/irq/proc.c of 5.4, 6.12 and 7.3.

use core::fmt::Write as _;

use kfn::kfn;
use kstate::bitmap::{bitmap_parse, bitmap_parselist, nr_cpumask_bits};
use kstate::irqdesc::*;
use kstate::{ChipId, CpuMask, Errno, Irq, Kernel};

use crate::dummychip::NO_IRQ_CHIP;
use crate::irqdesc::kstat_irqs_cpu;
use crate::manage::{irq_can_set_affinity_usr, irq_select_affinity_usr, irq_set_affinity};
use crate::settings::{irq_settings_is_hidden, irq_settings_proc_valid, irq_settings_update_proc_valid};

/// A file of /proc/irq/N.
pub struct ProcFile {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub show: fn(&Kernel, &IrqDesc) -> String,
    /// Writes it, where it can be written.
    pub write: Option<fn(&mut Kernel, Irq, &str) -> Result<(), Errno>>,
}

/// The files that every interrupt has, in the order in which `register_irq_proc()` creates them.
pub static FILES: [ProcFile; 7] = [
    ProcFile {
        name: "smp_affinity",
        show: |k, desc| show_irq_affinity(k, AFFINITY, desc),
        write: Some(|k, irq, text| write_irq_affinity(k, false, irq, text)),
    },
    ProcFile { name: "affinity_hint", show: irq_affinity_hint_proc_show, write: None },
    ProcFile {
        name: "smp_affinity_list",
        show: |k, desc| show_irq_affinity(k, AFFINITY_LIST, desc),
        write: Some(|k, irq, text| write_irq_affinity(k, true, irq, text)),
    },
    ProcFile { name: "node", show: irq_node_proc_show, write: None },
    ProcFile {
        name: "effective_affinity",
        show: |k, desc| show_irq_affinity(k, EFFECTIVE, desc),
        write: None,
    },
    ProcFile {
        name: "effective_affinity_list",
        show: |k, desc| show_irq_affinity(k, EFFECTIVE_LIST, desc),
        write: None,
    },
    ProcFile { name: "spurious", show: irq_spurious_proc_show, write: None },
];

// What show_irq_affinity() is asked for.
const AFFINITY: u32 = 0;
const AFFINITY_LIST: u32 = 1;
const EFFECTIVE: u32 = 2;
const EFFECTIVE_LIST: u32 = 3;

fn show_irq_affinity(k: &Kernel, of: u32, desc: &IrqDesc) -> String {
    let common = &desc.irq_common_data;
    let mask = match of {
        EFFECTIVE | EFFECTIVE_LIST => &common.effective_affinity,
        // A move that is pending is what somebody asked for last.
        _ if desc.has(IRQD_SETAFFINITY_PENDING) => &desc.pending_mask,
        _ => &common.affinity,
    };
    match of {
        AFFINITY_LIST | EFFECTIVE_LIST => format!("{}\n", mask.list()),
        _ => format!("{}\n", mask.hex(k.topo.nr_cpu_ids)),
    }
}

fn irq_affinity_hint_proc_show(k: &Kernel, desc: &IrqDesc) -> String {
    format!("{}\n", desc.affinity_hint.clone().unwrap_or_default().hex(k.topo.nr_cpu_ids))
}

fn irq_node_proc_show(_: &Kernel, desc: &IrqDesc) -> String {
    format!("{}\n", desc.irq_common_data.node)
}

fn irq_spurious_proc_show(_: &Kernel, desc: &IrqDesc) -> String {
    // jiffies start five minutes before they wrap around 32 bits.
    let ms = match desc.last_unhandled {
        0 => 0,
        ns => ((ns / 1_000_000) as u32).wrapping_sub(300_000),
    };
    format!("count {}\nunhandled {}\nlast_unhandled {ms} ms\n", desc.irq_count, desc.irqs_unhandled)
}

fn parse(k: &Kernel, list: bool, text: &str) -> Result<CpuMask, Errno> {
    let mut mask = CpuMask::new();
    let read = if list { bitmap_parselist } else { bitmap_parse };
    read(&k.sem, text.as_bytes(), &mut mask, nr_cpumask_bits(k))?;
    // CPUs that cannot exist are accepted by the parser of 5.4 and never shown.
    Ok(mask.and(&CpuMask::first_n(k.topo.nr_cpu_ids)))
}

/// Writes `smp_affinity`, or `smp_affinity_list` with `list`.
///
/// # Errors
/// `EIO` (5.4) or `EPERM` (6.12) when user space may not move the interrupt, `EINVAL`, `ERANGE` or
/// `EOVERFLOW` for a text that is no mask, `EINVAL` for a mask without online CPU where the kernel
/// does not choose itself.
#[kfn("kernel/irq/proc.c")]
fn write_irq_affinity(k: &mut Kernel, list: bool, irq: Irq, text: &str) -> Result<(), Errno> {
    if k.find_desc(irq).is_none_or(|desc| !desc.proc_dir) {
        return Err(Errno::ENOENT);
    }
    if !irq_can_set_affinity_usr(k, irq) {
        return Err(if k.sem.managed_affinity_eperm { Errno::EPERM } else { Errno::EIO });
    }
    let new_value = parse(k, list, text)?;
    if new_value.intersects(&k.topo.online) {
        return irq_set_affinity(k, irq, &new_value);
    }
    // At least one CPU has to take it: an empty mask could make the machine unusable.
    if k.sem.empty_affinity_reselects {
        return irq_select_affinity_usr(k, irq).map_err(|_| Errno::EINVAL);
    }
    Err(Errno::EINVAL)
}

/// Text of /proc/irq/default_smp_affinity.
pub fn default_affinity_show(k: &Kernel) -> String {
    format!("{}\n", k.irq.default_affinity.hex(k.topo.nr_cpu_ids))
}

/// Writes /proc/irq/default_smp_affinity.
///
/// # Errors
/// `EINVAL` or `EOVERFLOW` for a text that is no mask, `EINVAL` for a mask without online CPU.
pub fn default_affinity_write(k: &mut Kernel, text: &str) -> Result<(), Errno> {
    let new_value = parse(k, false, text)?;
    if !new_value.intersects(&k.topo.online) {
        return Err(Errno::EINVAL);
    }
    k.irq.default_affinity = new_value;
    Ok(())
}

/// Creates /proc/irq/N, once.
#[kfn("kernel/irq/proc.c")]
pub fn register_irq_proc(k: &mut Kernel, irq: Irq) {
    if !k.irq.root_irq_dir || k.irqd(Irqd::top(irq)).chip == NO_IRQ_CHIP || k.desc(irq).proc_dir {
        return;
    }
    k.desc_mut(irq).proc_dir = true;
    // Once and for all: what changes later does not change the mode.
    let writable = !k.sem.proc_mode_follows_affinity || irq_can_set_affinity_usr(k, irq);
    k.desc_mut(irq).proc_affinity_writable = writable;
}

/// Creates /proc/irq/N/NAME for the action at position `n`, unless the name is taken.
#[kfn("kernel/irq/proc.c")]
pub fn register_handler_proc(k: &mut Kernel, irq: Irq, n: usize) {
    let desc = k.desc_mut(irq);
    let name = &desc.action[n].name;
    let unique = desc.action.iter().enumerate().all(|(i, action)| i == n || action.name != *name);
    if desc.proc_dir && unique {
        desc.action[n].dir = true;
    }
}

/// Removes /proc/irq/N.
#[kfn("kernel/irq/proc.c")]
pub fn unregister_irq_proc(k: &mut Kernel, irq: Irq) {
    k.desc_mut(irq).proc_dir = false;
}

/// Creates /proc/irq, with a directory for every interrupt that has a chip.
pub fn init_irq_proc(k: &mut Kernel) {
    k.irq.root_irq_dir = true;
    let irqs: Vec<Irq> = k.for_each_irq().collect();
    for irq in irqs {
        register_irq_proc(k, irq);
    }
}

/// Notes in the descriptor whether /proc/interrupts shows the line (7.2), so that a reader need not look at
/// its actions.
pub fn irq_proc_update_valid(k: &mut Kernel, irq: Irq) {
    if k.sem.irq_proc_valid {
        let desc = k.desc_mut(irq);
        let valid = !irq_settings_is_hidden(desc) && !desc.action.is_empty();
        irq_settings_update_proc_valid(desc, valid);
    }
}

/// The width of a chip's name that has room at least.
const CHIP_WIDTH: usize = 8;

/// Makes room for the name of a chip that an interrupt was given (7.2). The room is never given back.
pub fn irq_proc_update_chip(k: &mut Kernel, chip: ChipId) {
    if k.sem.proc_interrupts_aligned {
        let width = k.irq.chips[chip.index()].name.len() as u32;
        if width as usize > CHIP_WIDTH && width > k.irq.proc_chip_width {
            k.irq.proc_chip_width = width;
        }
    }
}

/// Width of the first column of /proc/interrupts, `least` or as many digits as the numbers have: since 7.2
/// that is `irq_proc_calc_prec()`.
fn precision(nr_irqs: u32, least: usize) -> usize {
    let mut prec = least;
    let mut j = 10_u64.pow(least as u32);
    while prec < 10 && j <= u64::from(nr_irqs) {
        j *= 10;
        prec += 1;
    }
    prec
}

/// Whether /proc/interrupts has a row for a line.
fn shown(k: &Kernel, irq: Irq) -> bool {
    let desc = k.desc(irq);
    if k.sem.irq_proc_valid {
        return irq_settings_proc_valid(desc);
    }
    if irq_settings_is_hidden(desc) {
        return false;
    }
    let counted = || k.topo.online.iter().any(|cpu| kstat_irqs_cpu(desc, cpu) != 0);
    !desc.action.is_empty() || !k.sem.proc_interrupts_needs_action && counted()
}

/// The row of a line, since 7.2 by `irq_seq_show()`.
fn show_one(k: &Kernel, out: &mut String, irq: Irq, prec: usize) {
    let desc = k.desc(irq);
    let aligned = k.sem.proc_interrupts_aligned;
    let counts = k.topo.online.iter().map(|cpu| kstat_irqs_cpu(desc, cpu));
    let chip = &k.chip(Irqd::top(irq)).name;
    let _ = write!(out, "{irq:>prec$}:", irq = irq.0);
    irq_proc_emit_counts(k, out, counts);
    let _ = if aligned {
        let width = CHIP_WIDTH.max(k.irq.proc_chip_width as usize);
        write!(out, "  {:<width$}", if chip.is_empty() { "-" } else { chip })
    } else {
        write!(out, " {chip:>8}")
    };
    let data = &desc.irq_data[0];
    let _ = match data.domain {
        Some(_) if k.sem.proc_hwirq_is_int => write!(out, " {:>prec$}", data.hwirq as i32),
        Some(_) => write!(out, " {:>prec$}", data.hwirq),
        None if aligned => write!(out, "  {:>prec$}", ""),
        None => write!(out, " {:>prec$}", ""),
    };
    if let Some(name) = desc.name {
        let _ = write!(out, "-{name:<8}");
    }
    for (i, action) in desc.action.iter().enumerate() {
        let _ = write!(out, "{}{}", if i == 0 { "  " } else { ", " }, action.name);
    }
    out.push('\n');
}

/// The counts of the online CPUs behind the colon of a row, `irq_proc_emit_counts()` since 7.2: ten columns
/// each, with a blank in front of each. Before, the blanks are behind the colon and behind each count.
pub fn irq_proc_emit_counts(k: &Kernel, out: &mut String, counts: impl Iterator<Item = u32>) {
    if k.sem.proc_interrupts_aligned {
        for count in counts {
            let _ = write!(out, " {count:>10}");
        }
        return;
    }
    out.push(' ');
    for count in counts {
        let _ = write!(out, "{count:>10} ");
    }
}

/// Text of /proc/interrupts. C is called for each line by itself.
pub fn show_interrupts(k: &Kernel) -> String {
    let prec = precision(k.irq.nr_irqs, if k.sem.proc_interrupts_aligned { 4 } else { 3 });
    let mut out = String::new();
    let _ = write!(out, "{:w$}", "", w = prec + 8);
    for cpu in k.topo.online.iter() {
        let _ = write!(out, "CPU{:<8}", cpu.0);
    }
    out.push('\n');
    for irq in k.for_each_irq().filter(|irq| shown(k, *irq)) {
        show_one(k, &mut out, irq, prec);
    }
    if let Some(arch_show_interrupts) = k.irq.arch.arch_show_interrupts {
        arch_show_interrupts(k, &mut out, prec);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_grows_with_nr_irqs() {
        let check = |nr_irqs, expect| {
            assert_eq!(precision(nr_irqs, 3), expect, "nr_irqs {nr_irqs}");
            assert_eq!(precision(nr_irqs, 4), expect.max(4), "nr_irqs {nr_irqs}");
        };
        check(16, 3);
        check(999, 3);
        check(1000, 4);
        check(4352, 4);
        check(10_000, 5);
    }
}
