//! Interrupt entry, the lower half of /proc/interrupts, and a CPU's way out.
//!
//! Follows arch/x86/kernel/irq.c of 5.4, 6.12 and 7.3.

#![expect(non_snake_case, reason = "the names of the C functions")]

use std::fmt::Write as _;

use irqcore::chip::{generic_handle_irq_desc, generic_handle_irq_desc_frame};
use irqcore::cpuhotplug::irq_migrate_all_off_this_cpu;
use irqcore::proc::irq_proc_emit_counts;
use kfn::{kfn, kirq};
use kstate::apic::{FIRST_EXTERNAL_VECTOR, IrqCpustat, VectorIrq};
use kstate::irqdesc::{ArchOps, Irqd};
use kstate::printk::RATELIMIT_BURST;
use kstate::{CpuId, Irq, Kernel};

use super::apic::{ack_APIC_irq, is_vector_pending};
use super::io_apic::arch_dynirq_lower_bound;
use super::vector::{
    arch_early_irq_init, arch_probe_nr_irqs, irq_force_complete_move, lock_vector_lock, unlock_vector_lock,
};

/// What kernel/irq calls by name.
pub const ARCH_OPS: ArchOps = ArchOps {
    name: "x86",
    arch_probe_nr_irqs: Some(arch_probe_nr_irqs),
    arch_early_irq_init: Some(arch_early_irq_init),
    arch_dynirq_lower_bound: Some(arch_dynirq_lower_bound),
    irq_force_complete_move: Some(irq_force_complete_move),
    ack_bad_irq: Some(ack_bad_irq),
    arch_show_interrupts: Some(arch_show_interrupts),
};

/// Ends an interrupt that nobody expected.
#[kfn("arch/x86/kernel/irq.c")]
pub fn ack_bad_irq(k: &mut Kernel, irq: Irq) {
    k.log.push(format!("unexpected IRQ trap at vector {:02x}", irq.0));
    ack_APIC_irq(k);
}

/// A row of the lower half of /proc/interrupts.
struct IrqStatInfo {
    symbol: &'static str,
    count: fn(&IrqCpustat) -> u32,
    text: &'static str,
    /// When it is shown.
    shown: Shown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Always,
    /// Once something was counted on any CPU (7.2); before, always.
    Counted,
    /// With a thermal vector.
    Thermal,
    /// With the vectors of posted interrupts.
    Kvm,
    /// Once something was counted (7.2), one number for each CPU; before, always and one number for all.
    Error,
}

/// `irq_stat_info`, in its order. Before 7.2 the last three rows stand in front of KVM's.
const IRQ_STAT_INFO: &[IrqStatInfo] = {
    const fn row(
        symbol: &'static str,
        count: fn(&IrqCpustat) -> u32,
        text: &'static str,
        shown: Shown,
    ) -> IrqStatInfo {
        IrqStatInfo { symbol, count, text, shown }
    }
    use Shown::{Always, Counted, Error, Kvm, Thermal};
    &[
        row("NMI", |s| s.nmi_count, "Non-maskable interrupts", Always),
        row("LOC", |s| s.apic_timer_irqs, "Local timer interrupts", Always),
        row("SPU", |s| s.irq_spurious_count, "Spurious interrupts", Counted),
        row("PMI", |s| s.apic_perf_irqs, "Performance monitoring interrupts", Always),
        row("IWI", |s| s.apic_irq_work_irqs, "IRQ work interrupts", Always),
        row("RTR", |s| s.icr_read_retry_count, "APIC ICR read retries", Counted),
        row("RES", |s| s.irq_resched_count, "Rescheduling interrupts", Always),
        row("CAL", |s| s.irq_call_count, "Function call interrupts", Always),
        row("TLB", |s| s.irq_tlb_count, "TLB shootdowns", Always),
        row("TRM", |s| s.irq_thermal_count, "Thermal event interrupts", Thermal),
        row("PIN", |s| s.kvm_posted_intr_ipis, "Posted-interrupt notification event", Kvm),
        row("NPI", |s| s.kvm_posted_intr_nested_ipis, "Nested posted-interrupt event", Kvm),
        row("PIW", |s| s.kvm_posted_intr_wakeup_ipis, "Posted-interrupt wakeup event", Kvm),
        row("ERR", |s| s.irq_err_count, "PIC/APIC error interrupts", Error),
        row("MIS", |s| s.irq_mis_count, "Misrouted IO/APIC interrupts", Error),
    ]
};

/// The rows of /proc/interrupts that are no devices. `prec` is the width of the first column.
pub fn arch_show_interrupts(k: &Kernel, p: &mut String, prec: usize) {
    let kvm = |info: &&IrqStatInfo| info.shown == Shown::Kvm;
    if k.sem.arch_rows_when_counted {
        IRQ_STAT_INFO.iter().for_each(|info| stat_row(k, p, prec, info));
        return;
    }
    IRQ_STAT_INFO.iter().filter(|info| !kvm(info)).for_each(|info| stat_row(k, p, prec, info));
    IRQ_STAT_INFO.iter().filter(kvm).for_each(|info| stat_row(k, p, prec, info));
}

/// The interrupts of a CPU that no device sent, for /proc/stat. Since 7.2 that is the sum of its rows; before, TLB shootdowns,
/// which are function calls as well, and the rows of KVM were left out.
pub fn arch_irq_stat_cpu(k: &Kernel, cpu: CpuId) -> u64 {
    let Some(data) = k.apic.cpus.get(cpu.index()) else { return 0 };
    let counts = |info: &&IrqStatInfo| {
        k.sem.arch_rows_when_counted
            || !matches!(info.shown, Shown::Kvm | Shown::Error) && info.symbol != "TLB"
    };
    IRQ_STAT_INFO.iter().filter(counts).map(|info| u64::from((info.count)(&data.irq_stat))).sum()
}

/// Errors, which were one number for all CPUs before 7.2.
pub fn arch_irq_stat(k: &Kernel) -> u64 {
    if k.sem.arch_rows_when_counted { 0 } else { k.apic.irq_stat_sum(|s| s.irq_err_count).into() }
}

fn stat_row(k: &Kernel, p: &mut String, prec: usize, info: &IrqStatInfo) {
    let IrqStatInfo { symbol, count, text, shown } = *info;
    let when_counted = k.sem.arch_rows_when_counted;
    let counted = || k.apic.cpus.iter().any(|cpu| count(&cpu.irq_stat) != 0);
    let visible = match shown {
        Shown::Always => true,
        Shown::Thermal => k.sem.thermal_vector,
        Shown::Kvm => k.sem.kvm_vectors,
        Shown::Counted | Shown::Error => !when_counted || counted(),
    };
    if !visible {
        return;
    }
    let _ = write!(p, "{symbol:>prec$}:");
    if shown == Shown::Error && !when_counted {
        let _ = writeln!(p, " {:10}", k.apic.irq_stat_sum(count));
        return;
    }
    let of = |cpu: CpuId| k.apic.cpus.get(cpu.index()).map_or(0, |data| count(&data.irq_stat));
    irq_proc_emit_counts(k, p, k.topo.online.iter().map(of));
    let _ = writeln!(p, "  {text}");
}

/// Which counter of a CPU.
pub(super) type Which = fn(&mut IrqCpustat) -> &mut u32;

/// Counts one for a row that 7.2 hides as long as there is nothing in it.
pub(super) fn inc_irq_stat(k: &mut Kernel, which: Which) {
    if k.sem.arch_rows_when_counted {
        irq_stat_inc_and_enable(k, which);
    } else {
        let count = which(irq_stat(k));
        *count = count.wrapping_add(1);
    }
}

/// Counts, and shows the row from now on: its counters say that something was counted.
#[kfn("arch/x86/kernel/irq.c")]
fn irq_stat_inc_and_enable(k: &mut Kernel, which: Which) {
    let count = which(irq_stat(k));
    *count = count.wrapping_add(1);
}

/// The row's counters of this CPU.
pub(super) fn irq_stat(k: &mut Kernel) -> &mut IrqCpustat {
    let cpu = k.cpu();
    &mut k.apic.cpu_mut(cpu).irq_stat
}

/// The interrupt of a slot of `vector_irq`. RCU keeps a descriptor that was freed since the slot was
/// read, with nothing left to do.
fn descriptor(k: &Kernel, slot: VectorIrq) -> Option<Irq> {
    match slot {
        VectorIrq::Desc(irq) => k.find_desc(irq).map(|_| irq),
        _ => None,
    }
}

/// Looks a second time, with the vector lock held (6.12).
#[kfn("arch/x86/kernel/irq.c")]
fn reevaluate_vector(k: &mut Kernel, vector: u32) -> Option<Irq> {
    let cpu = k.cpu();
    match k.apic.vector_irq(cpu, vector) {
        VectorIrq::Desc(irq) => return Some(irq),
        VectorIrq::Unused => {
            if k.ratelimit("reevaluate_vector", RATELIMIT_BURST) {
                k.log.push(format!("No irq handler for {cpu}.{vector}"));
            }
        }
        _ => k.apic.set_vector_irq(cpu, vector, VectorIrq::Unused),
    }
    None
}

/// Handles a device's vector, as long as the entry is this function. The slot is read without a lock, and
/// may be another one when it is used.
#[kirq("arch/x86/kernel/irq.c")]
pub(super) fn do_IRQ(k: &mut Kernel, vector: u32) {
    let desc: VectorIrq = k.apic.vector_irq(k.cpu(), vector);
    step!();
    let mut irq: Option<Irq> = descriptor(k, desc);
    // No such kernel looks again; for an experiment it is done where call_irq_handler() does it.
    if irq.is_none() && k.sem.reevaluates_vector {
        lock_vector_lock(k);
        irq = reevaluate_vector(k, vector);
        unlock_vector_lock(k);
    }
    if irq.is_some() {
        call!(generic_handle_irq_desc(irq.unwrap_or_default()));
    } else {
        ack_APIC_irq(k);
        let cpu = k.cpu();
        match desc {
            _ if k.sem.reevaluates_vector => {}
            VectorIrq::Unused => {
                if k.ratelimit("do_IRQ", RATELIMIT_BURST) {
                    k.log.push(format!("do_IRQ: {cpu}.{vector} No irq handler for vector"));
                }
            }
            // One interrupt in flight was expected here, not more.
            VectorIrq::Shutdown | VectorIrq::Retriggered => {
                k.apic.set_vector_irq(cpu, vector, VectorIrq::Unused);
            }
            VectorIrq::Desc(_) => {}
        }
    }
}

/// Calls the handler of a vector's interrupt, if there is one. request_irq() may be setting the vector up
/// on another CPU: what was not there is looked for again under the vector lock.
#[kirq("arch/x86/kernel/irq.c")]
fn call_irq_handler(k: &mut Kernel, vector: u32) -> bool {
    let desc: VectorIrq = k.apic.vector_irq(k.cpu(), vector);
    step!();
    let irq: Option<Irq> = descriptor(k, desc);
    if irq.is_some() {
        call!(generic_handle_irq_desc(irq.unwrap_or_default()));
        return true;
    }
    lock_vector_lock(k);
    let irq: Option<Irq> = reevaluate_vector(k, vector);
    unlock_vector_lock(k);
    if irq.is_none() {
        return false;
    }
    call!(generic_handle_irq_desc(irq.unwrap_or_default()));
    true
}

/// Handles a device's vector, since the entry code is generic. Before 6.17 (and 6.12.42) it looks once.
#[kirq("arch/x86/kernel/irq.c")]
pub(super) fn common_interrupt(k: &mut Kernel, vector: u32) {
    if k.sem.reevaluates_vector {
        let called: bool = call!(call_irq_handler(vector));
        if !called {
            ack_APIC_irq(k);
        }
        return;
    }
    let desc: VectorIrq = k.apic.vector_irq(k.cpu(), vector);
    step!();
    let irq: Option<Irq> = descriptor(k, desc);
    if irq.is_some() {
        call!(generic_handle_irq_desc(irq.unwrap_or_default()));
    } else {
        ack_APIC_irq(k);
        let cpu = k.cpu();
        match desc {
            VectorIrq::Unused => {
                if k.ratelimit("__common_interrupt", RATELIMIT_BURST) {
                    k.log.push(format!("__common_interrupt: {cpu}.{vector} No irq handler for vector"));
                }
            }
            // One interrupt in flight was expected here, not more.
            VectorIrq::Shutdown | VectorIrq::Retriggered => {
                k.apic.set_vector_irq(cpu, vector, VectorIrq::Unused);
            }
            VectorIrq::Desc(_) => {}
        }
    }
}

/// A CPU that is no longer online gives its interrupts away, then sends on those that it has not
/// taken yet.
#[kfn("arch/x86/kernel/irq.c")]
pub fn fixup_irqs(k: &mut Kernel) {
    irq_migrate_all_off_this_cpu(k);

    // C waits a millisecond, for interrupts on their way to arrive.
    let cpu = k.cpu();
    let mut vector = FIRST_EXTERNAL_VECTOR;
    while let Some((next, slot)) = k.apic.cpu_mut(cpu).vector_irq.next_from(vector) {
        vector = next + 1;
        let VectorIrq::Desc(irq) = slot else { continue };
        let mut left = VectorIrq::Unused;
        if is_vector_pending(k, next) {
            let data = Irqd::top(irq);
            if let Some(retrigger) = k.chip(data).irq_retrigger {
                retrigger(k, data);
                left = VectorIrq::Retriggered;
            }
        }
        k.apic.set_vector_irq(cpu, next, left);
    }
}
