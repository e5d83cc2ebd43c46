//! Gates: what a CPU jumps to for a vector.
//!
//! Follows arch/x86/kernel/idt.c of 5.4 and 6.12.

use kstate::Kernel;
use kstate::apic::{
    ERROR_APIC_VECTOR, IRQ_MOVE_CLEANUP_VECTOR, LOCAL_TIMER_VECTOR, NR_VECTORS, SPURIOUS_APIC_VECTOR,
};
use kstate::sched::Frame;
use kstate::semantics::{Semantics, VectorCleanup};

use super::apic::{smp_apic_timer_interrupt, smp_error_interrupt, smp_spurious_interrupt};
use super::irq::{common_interrupt, common_interrupt_frame, do_IRQ, do_IRQ_frame};
use super::smp::{smp_call_function_interrupt, smp_call_function_single_interrupt, smp_reschedule_interrupt};
use super::vector::smp_irq_move_cleanup_interrupt;

const CALL_FUNCTION_SINGLE_VECTOR: u32 = 0xfb;
const CALL_FUNCTION_VECTOR: u32 = 0xfc;
const RESCHEDULE_VECTOR: u32 = 0xfd;

/// What a gate leads to.
pub enum Gate {
    /// The function of a vector of the system's. Nothing can come between.
    System(fn(&mut Kernel)),
    /// The function of all devices' vectors: run whole, or as a frame.
    Device(fn(&mut Kernel, u32), fn(u32) -> Frame),
}

/// `idt_table`: where the gate of a vector leads.
pub fn idt_table(k: &Kernel, vector: u32) -> Gate {
    let cleanup = vector == IRQ_MOVE_CLEANUP_VECTOR && k.sem.vector_cleanup == VectorCleanup::Ipi;
    if vector < k.sem.first_system_vector && !cleanup {
        if k.sem.common_interrupt {
            return Gate::Device(common_interrupt, |vector| common_interrupt_frame(vector).frame);
        }
        return Gate::Device(do_IRQ, |vector| do_IRQ_frame(vector).frame);
    }
    Gate::System(match vector {
        IRQ_MOVE_CLEANUP_VECTOR => smp_irq_move_cleanup_interrupt,
        ERROR_APIC_VECTOR => smp_error_interrupt,
        RESCHEDULE_VECTOR => smp_reschedule_interrupt,
        CALL_FUNCTION_VECTOR => smp_call_function_interrupt,
        CALL_FUNCTION_SINGLE_VECTOR => smp_call_function_single_interrupt,
        LOCAL_TIMER_VECTOR => smp_apic_timer_interrupt,
        SPURIOUS_APIC_VECTOR => |k| smp_spurious_interrupt(k, SPURIOUS_APIC_VECTOR),
        // A gate that belongs to nobody, but the ISR bit is set.
        _ => |k| smp_spurious_interrupt(k, NR_VECTORS),
    })
}

/// `system_vectors`: the gates that are no device's, a bit each.
pub fn system_vectors(sem: &Semantics) -> [u64; 4] {
    let mut system: Vec<u32> = (0..=17).collect();
    system.push(19);
    if sem.idt_has_control_protection {
        system.push(21);
    }
    // Reboot, call function (two), reschedule; irq_work and the platform's; timer, error, spurious.
    system.extend([0xf8, 0xfb, 0xfc, 0xfd, 0xf6, 0xf7]);
    system.extend([LOCAL_TIMER_VECTOR, ERROR_APIC_VECTOR, SPURIOUS_APIC_VECTOR]);
    if sem.vector_cleanup == VectorCleanup::Ipi {
        system.push(IRQ_MOVE_CLEANUP_VECTOR);
    }
    if sem.thermal_vector {
        system.push(0xfa);
    }
    if sem.kvm_vectors {
        system.extend([0xf0, 0xf1, 0xf2]);
    }
    if sem.idt_fills_system_vectors {
        system.extend(sem.first_system_vector..NR_VECTORS);
    }
    let mut gates = [0; 4];
    for vector in system {
        gates[(vector / 64) as usize] |= 1 << (vector % 64);
    }
    gates
}

/// Marks the gates that are no device's.
pub fn idt_setup_apic_and_irq_gates(k: &mut Kernel) {
    for (vectors, gates) in k.apic.system_vectors.iter_mut().zip(system_vectors(&k.sem)) {
        *vectors |= gates;
    }
}
