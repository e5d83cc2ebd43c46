//! Interrupts between CPUs. Their senders are elsewhere, or are not modelled.
//!
//! Follows arch/x86/kernel/smp.c of 5.4 and 6.12, under the names of 5.4.

use kstate::Kernel;

use super::apic::ack_APIC_irq;
use super::irq::irq_stat;

pub(super) fn smp_reschedule_interrupt(k: &mut Kernel) {
    irq_stat(k).irq_resched_count += 1;
    ack_APIC_irq(k);
}

pub(super) fn smp_call_function_interrupt(k: &mut Kernel) {
    irq_stat(k).irq_call_count += 1;
    ack_APIC_irq(k);
}

pub(super) fn smp_call_function_single_interrupt(k: &mut Kernel) {
    irq_stat(k).irq_call_count += 1;
    ack_APIC_irq(k);
}
