//! Line settings and state bits: kernel/irq/settings.h and the inline helpers of
//! include/linux/irq.h and kernel/irq/internals.h, of 5.4 and 6.12.

use kstate::irqdesc::*;
use kstate::{Irq, Kernel};

/// Clears and sets `_IRQ_*` bits that may be changed.
pub fn irq_settings_clr_and_set(desc: &mut IrqDesc, clr: u32, set: u32) {
    desc.status_use_accessors &= !(clr & IRQF_MODIFY_MASK);
    desc.status_use_accessors |= set & IRQF_MODIFY_MASK;
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $bits:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(desc: &IrqDesc) -> bool {
            desc.status_use_accessors & $bits != 0
        }
    )*};
}

settings! {
    /// Per CPU.
    irq_settings_is_per_cpu: IRQ_PER_CPU;
    /// A per-CPU device.
    irq_settings_is_per_cpu_devid: IRQ_PER_CPU_DEVID;
    /// Excluded from balancing.
    irq_settings_has_no_balance_set: IRQ_NO_BALANCING;
    /// Level triggered.
    irq_settings_is_level: IRQ_LEVEL;
    /// Can be moved outside its own interrupt.
    irq_settings_can_move_pcntxt: IRQ_MOVE_PCNTXT;
    /// Runs in its parent's thread.
    irq_settings_is_nested_thread: IRQ_NESTED_THREAD;
    /// Polled by another line's handler.
    irq_settings_is_polled: IRQ_IS_POLLED;
    /// Masked at once when disabled.
    irq_settings_disable_unlazy: IRQ_DISABLE_UNLAZY;
    /// Not shown in /proc/interrupts.
    irq_settings_is_hidden: IRQ_HIDDEN;
    /// Shown in /proc/interrupts.
    irq_settings_proc_valid: IRQ_PROC_VALID;
    /// Excluded from spurious detection.
    irq_settings_no_debug: IRQ_NO_DEBUG;
}

/// Notes whether the line is shown in /proc/interrupts.
pub fn irq_settings_update_proc_valid(desc: &mut IrqDesc, valid: bool) {
    desc.status_use_accessors &= !IRQ_PROC_VALID;
    if valid {
        desc.status_use_accessors |= IRQ_PROC_VALID;
    }
}

/// Can be requested.
pub fn irq_settings_can_request(desc: &IrqDesc) -> bool {
    desc.status_use_accessors & IRQ_NOREQUEST == 0
}

/// Can be threaded.
pub fn irq_settings_can_thread(desc: &IrqDesc) -> bool {
    desc.status_use_accessors & IRQ_NOTHREAD == 0
}

/// Is enabled by its request.
pub fn irq_settings_can_autoenable(desc: &IrqDesc) -> bool {
    desc.status_use_accessors & IRQ_NOAUTOEN == 0
}

/// Is it delivered as an NMI?
pub fn irq_is_nmi(desc: &IrqDesc) -> bool {
    desc.istate & IRQS_NMI != 0
}

/// May the affinity be changed at all?
pub fn irqd_can_balance(desc: &IrqDesc) -> bool {
    !desc.has(IRQD_PER_CPU | IRQD_NO_BALANCING)
}

/// `irq_set_status_flags()`.
pub fn irq_set_status_flags(k: &mut Kernel, irq: Irq, set: u32) {
    crate::chip::irq_modify_status(k, irq, 0, set);
}

/// `irq_clear_status_flags()`.
pub fn irq_clear_status_flags(k: &mut Kernel, irq: Irq, clr: u32) {
    crate::chip::irq_modify_status(k, irq, clr, 0);
}
