//! Interrupts between CPUs. Most of their senders are elsewhere, or are not modelled.
//!
//! Follows arch/x86/kernel/smp.c of 5.4 and 6.12, under the names of 5.4.

use kstate::{CpuId, Kernel};

use super::apic::ack_APIC_irq;
use super::irq::irq_stat;

pub(super) fn smp_reschedule_interrupt(k: &mut Kernel) {
    irq_stat(k).irq_resched_count += 1;
    ack_APIC_irq(k);
}

/// `native_send_call_func_single_ipi()`: makes another CPU call a function.
// DEVIATION: the sender makes the call, in the same step. What is left of the interrupt is that the other CPU
// counts it.
pub fn native_send_call_func_single_ipi(k: &mut Kernel, cpu: CpuId) {
    let count = &mut k.apic.cpu_mut(cpu).irq_stat.irq_call_count;
    *count = count.wrapping_add(1);
}

pub(super) fn smp_call_function_interrupt(k: &mut Kernel) {
    irq_stat(k).irq_call_count += 1;
    ack_APIC_irq(k);
}

pub(super) fn smp_call_function_single_interrupt(k: &mut Kernel) {
    irq_stat(k).irq_call_count += 1;
    ack_APIC_irq(k);
}
