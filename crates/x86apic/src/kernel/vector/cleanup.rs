//! Interrupts that have moved: when their old vector is free, and what frees it.
//!
//! Follows arch/x86/kernel/apic/vector.c of 5.4 and 6.12.

use super::*;

/// Length of a tick, in ns.
/// A jiffy.
const TICK_NS: u64 = 4_000_000;

/// Frees the vector an interrupt has moved away from.
#[kfn("arch/x86/kernel/apic/vector.c")]
fn free_moved_vector(k: &mut Kernel, irq: Irq) {
    let ApicChipData { prev_vector: vector, prev_cpu: cpu, is_managed: managed, .. } = apic_chip_data(k, irq);
    if managed && k.sem.warns_moved_managed {
        k.warn_once("WARNING: at arch/x86/kernel/apic/vector.c free_moved_vector");
    }
    k.tp(Tracepoint::VectorFreeMoved { irq, cpu, vector, is_managed: managed });
    free_vector(k, cpu, vector, managed);
    k.apic.set_vector_irq(cpu, vector, VectorIrq::Unused);
    hlist_del_init(k, irq);
    let apicd = k.apic.apicd_mut(irq);
    apicd.prev_vector = 0;
    apicd.move_in_progress = false;
}

/// Frees the vectors that have been moved away from this CPU (5.4).
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn smp_irq_move_cleanup_interrupt(k: &mut Kernel) {
    let cpu = k.cpu();
    ack_APIC_irq(k);
    let mut i = 0;
    while let Some(&irq) = k.apic.cpu_mut(cpu).cleanup_list.get(i) {
        let vector = apic_chip_data(k, irq).prev_vector;
        // One more is pending. This interrupt has the lowest priority of all: it comes first.
        if is_vector_pending(k, vector) {
            __apic_send_IPI_self(k, IRQ_MOVE_CLEANUP_VECTOR);
            i += 1;
            continue;
        }
        free_moved_vector(k, irq);
    }
}

/// Frees the vectors that have been moved away from `cpu` (6.12).
#[kfn("arch/x86/kernel/apic/vector.c")]
pub(super) fn __vector_cleanup(k: &mut Kernel, cpu: CpuId, check_irr: bool) {
    let mut rearm = false;
    let mut i = 0;
    while let Some(&irq) = k.apic.cpu_mut(cpu).cleanup_list.get(i) {
        let vector = apic_chip_data(k, irq).prev_vector;
        // One arrived on the old CPU after the move: let it be handled first. A CPU that goes down
        // has already sent such interrupts on.
        if check_irr && is_vector_pending(k, vector) {
            k.pr_warn(format!("Moved interrupt pending in old target APIC {irq}"));
            rearm = true;
            i += 1;
            continue;
        }
        free_moved_vector(k, irq);
    }
    if rearm {
        mod_timer(k, cpu);
    }
}

/// The vector cleanup timer of this CPU (6.12).
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn vector_cleanup_callback(k: &mut Kernel) {
    let cpu = k.cpu();
    k.apic.cpu_mut(cpu).cleanup_timer_pending = false;
    __vector_cleanup(k, cpu, true);
}

/// Lets the cleanup timer of `cpu` expire at `jiffies + 1`. The timer wheel never fires early: it
/// runs at the second tick from now.
// DEVIATION: all kernels are taken to run at 250 Hz; only this timer depends on it.
fn mod_timer(k: &mut Kernel, cpu: CpuId) {
    let delay = 2 * TICK_NS - k.events.now % TICK_NS;
    k.events.push(delay, Event::VectorCleanup(cpu));
    k.apic.cpu_mut(cpu).cleanup_timer_pending = true;
}

/// What becomes of the old vector of an interrupt whose old CPU is offline: it is forgotten and lost,
/// unless the CPU was to have freed it when it went.
fn old_cpu_is_offline(k: &mut Kernel, irq: Irq) {
    if k.sem.migrate_completes_move_first {
        let cpu = k.apic.apicd_mut(irq).prev_cpu;
        k.pr_warn(format!("IRQ {irq} schedule cleanup for offline CPU {cpu}"));
        free_moved_vector(k, irq);
    } else {
        k.apic.apicd_mut(irq).prev_vector = 0;
    }
}

/// Asks the old CPU to free the old vector (5.4).
#[kfn("arch/x86/kernel/apic/vector.c")]
fn __send_cleanup_vector(k: &mut Kernel, irq: Irq) {
    let apicd = k.apic.apicd_mut(irq);
    apicd.move_in_progress = false;
    let cpu = apicd.prev_cpu;
    if k.topo.is_online(cpu) {
        k.apic.apicd_mut(irq).clist = true;
        k.apic.cpu_mut(cpu).cleanup_list.insert(0, irq);
        __apic_send_IPI(k, cpu, IRQ_MOVE_CLEANUP_VECTOR);
    } else {
        old_cpu_is_offline(k, irq);
    }
}

/// Finishes a move that somebody else noticed, for instance the remapping driver (5.4).
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn send_cleanup_vector(k: &mut Kernel, irq: Irq) {
    if k.apic.apicd_mut(irq).move_in_progress {
        __send_cleanup_vector(k, irq);
    }
}

/// Lets a timer on the old CPU free the old vector (6.12).
#[kfn("arch/x86/kernel/apic/vector.c")]
fn __vector_schedule_cleanup(k: &mut Kernel, irq: Irq) {
    let apicd = k.apic.apicd_mut(irq);
    let cpu = apicd.prev_cpu;
    apicd.move_in_progress = false;
    if k.topo.is_online(cpu) {
        k.apic.apicd_mut(irq).clist = true;
        k.apic.cpu_mut(cpu).cleanup_list.insert(0, irq);
        // A timer that is armed will see the new entry.
        if !k.apic.cpu_mut(cpu).cleanup_timer_pending {
            mod_timer(k, cpu);
        }
    } else {
        old_cpu_is_offline(k, irq);
    }
}

/// Finishes a move that somebody else noticed, for instance the remapping driver (6.12).
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn vector_schedule_cleanup(k: &mut Kernel, irq: Irq) {
    if k.apic.apicd_mut(irq).move_in_progress {
        __vector_schedule_cleanup(k, irq);
    }
}

/// Finishes the last move if this interrupt came on the new vector (5.4).
#[kfn("arch/x86/kernel/apic/vector.c")]
fn __irq_complete_move(k: &mut Kernel, irq: Irq, vector: u32) {
    let ApicChipData { move_in_progress, vector: new, cpu, .. } = *k.apic.apicd_mut(irq);
    if move_in_progress && vector == new && cpu == k.cpu() {
        __send_cleanup_vector(k, irq);
    }
}

/// The vector that `~regs->orig_ax` stands for after an entry that left -1 there (5.8).
const LOST: u32 = 0;

/// Finishes the last move if this interrupt came where it now should.
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn irq_complete_move(k: &mut Kernel, irq: Irq) {
    let this_cpu = k.cpu();
    match k.sem.vector_cleanup {
        VectorCleanup::Ipi => {
            let vector = k.apic.cpu_mut(this_cpu).irq_regs_vector.unwrap_or(0);
            __irq_complete_move(k, irq, if k.sem.irq_regs_lose_vector { LOST } else { vector });
        }
        VectorCleanup::Timer => {
            // The vector need not be compared: a move always changes the CPU.
            let ApicChipData { move_in_progress, vector, cpu, .. } = *k.apic.apicd_mut(irq);
            let arrived = !k.sem.irq_regs_lose_vector || vector == LOST;
            if move_in_progress && cpu == this_cpu && arrived {
                __vector_schedule_cleanup(k, irq);
            }
        }
    }
}

/// Frees the old vector of an interrupt at once, because a CPU is going down and all others wait (until
/// 6.14).
#[kfn("arch/x86/kernel/apic/vector.c")]
pub fn irq_force_complete_move(k: &mut Kernel, irq: Irq) {
    let domain = k.apic.x86_vector_domain;
    // Called for all interrupts; those of other domains have other chip data.
    let Some(irqd) = irq_domain_get_irq_data(k, domain, irq) else { return };
    force_complete_move(k, irqd);
}

/// `irq_force_complete_move` of the vectors' chip (6.15).
#[kfn("arch/x86/kernel/apic/vector.c")]
pub(super) fn apic_force_complete_move(k: &mut Kernel, irqd: Irqd) {
    force_complete_move(k, irqd);
}

fn force_complete_move(k: &mut Kernel, irqd: Irqd) {
    let (this_cpu, irq) = (k.cpu(), irqd.irq);
    if k.apic.apicd(irq).is_none() {
        return;
    }
    let ApicChipData { prev_vector: vector, cpu, prev_cpu, move_in_progress, .. } = apic_chip_data(k, irq);
    if vector == 0 {
        return;
    }
    if k.sem.migrate_completes_move_first && cpu != this_cpu && prev_cpu != this_cpu {
        return;
    }
    if move_in_progress {
        // An interrupt raised on the old vector right before would now be lost.
        k.pr_warn(format!("IRQ fixup: irq {irq} move in progress, old vector {vector}"));
    }
    free_moved_vector(k, irq);
}
