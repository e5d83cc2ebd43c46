//! Interrupt entry, the lower half of /proc/interrupts, and a CPU's way out.
//!
//! Follows arch/x86/kernel/irq.c of 5.4 and 6.12.

#![expect(non_snake_case, reason = "the names of the C functions")]

use std::fmt::Write as _;

use irqcore::chip::{generic_handle_irq_desc, generic_handle_irq_desc_frame};
use irqcore::cpuhotplug::irq_migrate_all_off_this_cpu;
use kfn::{kfn, kirq};
use kstate::apic::{
    ERROR_APIC_VECTOR, FIRST_EXTERNAL_VECTOR, IRQ_MOVE_CLEANUP_VECTOR, IrqCpustat, LOCAL_TIMER_VECTOR,
    SPURIOUS_APIC_VECTOR, VectorIrq,
};
use kstate::irqdesc::{ArchOps, Irqd};
use kstate::printk::RATELIMIT_BURST;
use kstate::sched::Frame;
use kstate::semantics::VectorCleanup;
use kstate::trace::Actor;
use kstate::{Irq, Kernel};

use super::apic::{ack_apic_irq, is_vector_pending};
use super::io_apic::arch_dynirq_lower_bound;
use super::vector::{
    arch_early_irq_init, arch_probe_nr_irqs, irq_force_complete_move, lock_vector_lock,
    smp_irq_move_cleanup_interrupt, unlock_vector_lock,
};
use crate::hw::lapic;

const CALL_FUNCTION_SINGLE_VECTOR: u32 = 0xfb;
const CALL_FUNCTION_VECTOR: u32 = 0xfc;
const RESCHEDULE_VECTOR: u32 = 0xfd;

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
    ack_apic_irq(k);
}

/// The rows of /proc/interrupts that are no devices. `prec` is the width of the first column.
pub fn arch_show_interrupts(k: &Kernel, p: &mut String, prec: usize) {
    type Row = (&'static str, fn(&IrqCpustat) -> u32, &'static str);
    let zero: fn(&IrqCpustat) -> u32 = |_| 0;
    let mut rows: Vec<Row> = vec![
        ("NMI", |s| s.nmi_count, "Non-maskable interrupts"),
        ("LOC", |s| s.apic_timer_irqs, "Local timer interrupts"),
        ("SPU", |s| s.irq_spurious_count, "Spurious interrupts"),
        ("PMI", |s| s.apic_perf_irqs, "Performance monitoring interrupts"),
        ("IWI", |s| s.apic_irq_work_irqs, "IRQ work interrupts"),
        ("RTR", |s| s.icr_read_retry_count, "APIC ICR read retries"),
        ("RES", |s| s.irq_resched_count, "Rescheduling interrupts"),
        ("CAL", |s| s.irq_call_count, "Function call interrupts"),
        ("TLB", |s| s.irq_tlb_count, "TLB shootdowns"),
    ];
    if k.sem.thermal_vector {
        rows.push(("TRM", |s| s.irq_thermal_count, "Thermal event interrupts"));
    }
    let devices = rows.len();
    if k.sem.kvm_vectors {
        rows.push(("PIN", zero, "Posted-interrupt notification event"));
        rows.push(("NPI", zero, "Nested posted-interrupt event"));
        rows.push(("PIW", zero, "Posted-interrupt wakeup event"));
    }
    // Writing to a String does not fail.
    for (i, (name, count, text)) in rows.iter().enumerate() {
        if i == devices {
            error_rows(k, p, prec);
        }
        let _ = write!(p, "{name:>prec$}: ");
        for cpu in k.topo.online.iter() {
            let stat = k.apic.cpus.get(cpu.index()).map_or(0, |c| count(&c.irq_stat));
            let _ = write!(p, "{stat:10} ");
        }
        let _ = writeln!(p, "  {text}");
    }
    if devices == rows.len() {
        error_rows(k, p, prec);
    }
}

/// The two rows with one number.
fn error_rows(k: &Kernel, p: &mut String, prec: usize) {
    let _ = writeln!(p, "{:>prec$}: {:10}", "ERR", k.apic.irq_err_count);
    let _ = writeln!(p, "{:>prec$}: {:10}", "MIS", k.apic.irq_mis_count);
}

/// The row's counters of this CPU.
fn irq_stat(k: &mut Kernel) -> &mut IrqCpustat {
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
pub fn reevaluate_vector(k: &mut Kernel, vector: u32) -> Option<Irq> {
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
fn do_IRQ(k: &mut Kernel, vector: u32) {
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
        ack_apic_irq(k);
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

/// Handles a device's vector, since the entry code is generic. Before 6.17 (and 6.12.43) it looks once.
#[kirq("arch/x86/kernel/irq.c")]
fn common_interrupt(k: &mut Kernel, vector: u32) {
    if k.sem.reevaluates_vector {
        let called: bool = call!(call_irq_handler(vector));
        if !called {
            ack_apic_irq(k);
        }
        return;
    }
    let desc: VectorIrq = k.apic.vector_irq(k.cpu(), vector);
    step!();
    let irq: Option<Irq> = descriptor(k, desc);
    if irq.is_some() {
        call!(generic_handle_irq_desc(irq.unwrap_or_default()));
    } else {
        ack_apic_irq(k);
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

/// Whose tree the interrupt at `vector` of this CPU is, for the recorder.
pub fn interrupt_actor(k: &Kernel, vector: u8) -> Actor {
    let cpu = k.cpu();
    let vector = u32::from(vector);
    if vector == IRQ_MOVE_CLEANUP_VECTOR && k.sem.vector_cleanup == VectorCleanup::Ipi {
        return Actor::Cleanup(cpu);
    }
    let irq = match k.apic.vector_irq(cpu, vector) {
        VectorIrq::Desc(irq) => Some(irq),
        _ => None,
    };
    let name = irq
        .and_then(|irq| k.find_desc(irq)?.action.first())
        .map_or_else(String::new, |action| action.name.clone());
    Actor::Irq { irq, name, cpu }
}

/// A CPU takes the interrupt that its local APIC has pending, which is `vector`.
pub fn handle_vector(k: &mut Kernel, vector: u8) {
    let cpu = k.cpu();
    let taken = take_vector(k, vector);
    let old = k.apic.cpu_mut(cpu).irq_regs_vector.replace(taken);
    if !is_device_vector(k, taken) {
        system_vector(k, taken);
    } else if k.sem.common_interrupt {
        common_interrupt(k, taken);
    } else {
        do_IRQ(k, taken);
    }
    k.apic.cpu_mut(cpu).irq_regs_vector = old;
}

/// The same, stopped before the first thing that others can see: the frame of what a device's vector
/// leads to. `None` for the system's own vectors, which nothing can come between. Whoever runs the
/// frame to its end calls [`leave_vector`].
pub fn enter_vector(k: &mut Kernel, vector: u8) -> Option<Frame> {
    let cpu = k.cpu();
    let taken = take_vector(k, vector);
    k.apic.cpu_mut(cpu).irq_regs_vector = Some(taken);
    if !is_device_vector(k, taken) {
        system_vector(k, taken);
        leave_vector(k);
        return None;
    }
    let call = if k.sem.common_interrupt { common_interrupt_frame(taken) } else { do_IRQ_frame(taken) };
    Some(call.frame)
}

/// This CPU's interrupt is over.
pub fn leave_vector(k: &mut Kernel) {
    let cpu = k.cpu();
    k.apic.cpu_mut(cpu).irq_regs_vector = None;
}

fn take_vector(k: &mut Kernel, vector: u8) -> u32 {
    let cpu = k.cpu();
    let taken = u32::from(lapic::ack(k, cpu));
    debug_assert!(
        taken == u32::from(vector) || taken == SPURIOUS_APIC_VECTOR,
        "the local APIC had another vector pending: see lapic::pending()"
    );
    taken
}

/// The gate of the vector leads to a device's interrupt.
fn is_device_vector(k: &Kernel, vector: u32) -> bool {
    let cleanup = vector == IRQ_MOVE_CLEANUP_VECTOR && k.sem.vector_cleanup == VectorCleanup::Ipi;
    vector < k.sem.first_system_vector && !cleanup
}

/// The gates of the system's vectors.
fn system_vector(k: &mut Kernel, vector: u32) {
    match vector {
        IRQ_MOVE_CLEANUP_VECTOR => smp_irq_move_cleanup_interrupt(k),
        // The hardware sets no ISR bit for it, so there is nothing to end.
        SPURIOUS_APIC_VECTOR => irq_stat(k).irq_spurious_count += 1,
        ERROR_APIC_VECTOR => {
            k.apic.irq_err_count = k.apic.irq_err_count.wrapping_add(1);
            ack_apic_irq(k);
        }
        RESCHEDULE_VECTOR => {
            irq_stat(k).irq_resched_count += 1;
            ack_apic_irq(k);
        }
        CALL_FUNCTION_VECTOR | CALL_FUNCTION_SINGLE_VECTOR => {
            irq_stat(k).irq_call_count += 1;
            ack_apic_irq(k);
        }
        LOCAL_TIMER_VECTOR => {
            irq_stat(k).apic_timer_irqs += 1;
            ack_apic_irq(k);
        }
        _ => {
            // spurious_interrupt(): a gate that belongs to nobody, but the ISR bit is set.
            irq_stat(k).irq_spurious_count += 1;
            ack_apic_irq(k);
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
