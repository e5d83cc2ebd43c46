//! The text of debugfs' irq directory: kernel/irq/debugfs.c and the end of kernel/irq/irqdomain.c,
//! of 5.4 and 6.12.

use core::fmt::Write as _;

use kstate::irqchip::*;
use kstate::irqdesc::*;
use kstate::irqdomain::*;
use kstate::{DomainId, Errno, Irq, Kernel};

/// Bits and their names.
pub type Bits = [(u32, &'static str)];

macro_rules! names {
    ($($name:ident)*) => { &[$(($name, stringify!($name))),*] };
}

macro_rules! settings_names {
    ($($name:ident)*) => { &[$(($name, concat!("_", stringify!($name)))),*] };
}

const IRQCHIP_FLAGS: &Bits = names! {
    IRQCHIP_SET_TYPE_MASKED IRQCHIP_EOI_IF_HANDLED IRQCHIP_MASK_ON_SUSPEND IRQCHIP_ONOFFLINE_ENABLED
    IRQCHIP_SKIP_SET_WAKE IRQCHIP_ONESHOT_SAFE IRQCHIP_EOI_THREADED IRQCHIP_SUPPORTS_LEVEL_MSI
    IRQCHIP_SUPPORTS_NMI IRQCHIP_ENABLE_WAKEUP_ON_SUSPEND IRQCHIP_IMMUTABLE IRQCHIP_MOVE_DEFERRED
};

/// The names of an interrupt's `IRQD_*`.
pub const IRQDATA_STATES: &Bits = names! {
    IRQ_TYPE_EDGE_RISING IRQ_TYPE_EDGE_FALLING IRQ_TYPE_LEVEL_HIGH IRQ_TYPE_LEVEL_LOW IRQD_LEVEL
    IRQD_ACTIVATED IRQD_IRQ_STARTED IRQD_IRQ_DISABLED IRQD_IRQ_MASKED IRQD_IRQ_INPROGRESS
    IRQD_PER_CPU IRQD_NO_BALANCING
    IRQD_SINGLE_TARGET IRQD_MOVE_PCNTXT IRQD_AFFINITY_SET IRQD_SETAFFINITY_PENDING
    IRQD_AFFINITY_MANAGED IRQD_AFFINITY_ON_ACTIVATE IRQD_MANAGED_SHUTDOWN IRQD_CAN_RESERVE
    IRQD_FORWARDED_TO_VCPU
    IRQD_WAKEUP_STATE IRQD_WAKEUP_ARMED
};

/// Those that only later kernels name: 5.4 sets `IRQD_DEFAULT_TRIGGER_SET` but has no name for it.
pub const IRQDATA_STATES_6_12: &Bits = names! {
    IRQD_DEFAULT_TRIGGER_SET
    IRQD_HANDLE_ENFORCE_IRQCTX
    IRQD_IRQ_ENABLED_ON_SUSPEND
    IRQD_RESEND_WHEN_IN_PROGRESS
};

/// The names of a descriptor's settings.
pub const IRQDESC_STATES: &Bits = settings_names! {
    IRQ_NOPROBE IRQ_NOREQUEST IRQ_NOTHREAD IRQ_NOAUTOEN IRQ_NESTED_THREAD IRQ_PER_CPU_DEVID
    IRQ_IS_POLLED IRQ_DISABLE_UNLAZY IRQ_HIDDEN
};

/// The names of a descriptor's `IRQS_*`.
pub const IRQDESC_ISTATES: &Bits = names! {
    IRQS_AUTODETECT IRQS_SPURIOUS_DISABLED IRQS_POLL_INPROGRESS IRQS_ONESHOT IRQS_REPLAY IRQS_WAITING
    IRQS_PENDING IRQS_SUSPENDED IRQS_NMI
};

const IRQDOMAIN_FLAGS: &Bits = names! {
    IRQ_DOMAIN_FLAG_HIERARCHY IRQ_DOMAIN_NAME_ALLOCATED IRQ_DOMAIN_FLAG_IPI_PER_CPU
    IRQ_DOMAIN_FLAG_IPI_SINGLE IRQ_DOMAIN_FLAG_MSI IRQ_DOMAIN_FLAG_ISOLATED_MSI
    IRQ_DOMAIN_FLAG_NO_MAP IRQ_DOMAIN_FLAG_MSI_PARENT IRQ_DOMAIN_FLAG_MSI_DEVICE
    IRQ_DOMAIN_FLAG_NONCORE
};

fn irq_debug_show_bits(out: &mut String, ind: usize, state: u32, names: &Bits) {
    for (mask, name) in names {
        if state & mask != 0 {
            let _ = writeln!(out, "{:w$}{name}", "", w = ind + 12);
        }
    }
}

fn irq_debug_show_chip(k: &Kernel, out: &mut String, d: Irqd, ind: usize) {
    let chip = k.chip(d);
    let _ = writeln!(out, "{:ind$}chip:    {}", "", chip.name);
    let _ = writeln!(out, "{:w$}flags:   0x{:x}", "", chip.flags, w = ind + 1);
    irq_debug_show_bits(out, ind, chip.flags, IRQCHIP_FLAGS);
}

fn irq_debug_show_data(k: &Kernel, out: &mut String, d: Irqd, ind: usize) {
    let data = k.irqd(d);
    let domain = data.domain.and_then(|id| k.irq.domains.get(id.index())?.as_ref());
    let _ = writeln!(out, "{:ind$}domain:  {}", "", domain.map_or("", |domain| domain.name.as_str()));
    let _ = writeln!(out, "{:w$}hwirq:   0x{:x}", "", data.hwirq, w = ind + 1);
    irq_debug_show_chip(k, out, d, ind + 1);
    if let Some(debug_show) = domain.and_then(|domain| domain.ops.debug_show) {
        debug_show(k, out, None, Some(d), ind + 1);
    }
    if let Some(parent) = k.parent_data(d) {
        let _ = writeln!(out, "{:w$}parent:", "", w = ind + 1);
        irq_debug_show_data(k, out, parent, ind + 4);
    }
}

/// `irqs/N`; empty when there is no such interrupt.
pub fn irq_debug_show(k: &Kernel, irq: Irq) -> String {
    let Some(desc) = k.find_desc(irq) else { return String::new() };
    let mut out = String::new();
    let device = desc.dev_name.as_deref().unwrap_or("(null)");
    let _ = writeln!(out, "handler:  {}", desc.handle_irq.name());
    let _ = writeln!(out, "device:   {device}");
    let _ = writeln!(out, "status:   0x{:08x}", desc.status_use_accessors);
    irq_debug_show_bits(&mut out, 0, desc.status_use_accessors, IRQDESC_STATES);
    let _ = writeln!(out, "istate:   0x{:08x}", desc.istate);
    irq_debug_show_bits(&mut out, 0, desc.istate, IRQDESC_ISTATES);
    let _ = writeln!(out, "ddepth:   {}", desc.depth);
    let _ = writeln!(out, "wdepth:   {}", desc.wake_depth);
    let _ = writeln!(out, "dstate:   0x{:08x}", desc.state());
    irq_debug_show_bits(&mut out, 0, desc.state(), IRQDATA_STATES);
    if k.sem.debugfs_names_flags {
        irq_debug_show_bits(&mut out, 0, desc.state(), IRQDATA_STATES_6_12);
    }
    let common = &desc.irq_common_data;
    let _ = writeln!(out, "node:     {}", common.node);
    let _ = writeln!(out, "affinity: {}", common.affinity.list());
    let _ = writeln!(out, "effectiv: {}", common.effective_affinity.list());
    let _ = writeln!(out, "pending:  {}", desc.pending_mask.list());
    irq_debug_show_data(k, &mut out, Irqd::top(irq), 0);
    out
}

/// Writes to `irqs/N`: a prefix of `trigger` injects the interrupt, anything else does nothing.
///
/// # Errors
/// As `irq_inject_interrupt()`.
pub fn irq_debug_write(k: &mut Kernel, irq: Irq, text: &str) -> Result<(), Errno> {
    let size = text.len().min(7);
    if text.as_bytes()[..size] == b"trigger"[..size] {
        return crate::resend::irq_inject_interrupt(k, irq);
    }
    Ok(())
}

/// Notes the device's name for debugfs.
pub fn irq_debugfs_copy_devname(k: &mut Kernel, irq: Irq, name: &str) {
    if k.find_desc(irq).is_some() {
        k.desc_mut(irq).dev_name = Some(name.into());
    }
}

fn irq_domain_debug_show_one(k: &Kernel, out: &mut String, id: DomainId, ind: usize) {
    let Some(d) = k.irq.domains.get(id.index()).and_then(Option::as_ref) else { return };
    let w = ind + 1;
    let _ = writeln!(out, "{:ind$}name:   {}", "", d.name);
    let _ = writeln!(out, "{:w$}size:   {}", "", d.revmap_size);
    let _ = writeln!(out, "{:w$}mapped: {}", "", d.mapcount);
    let _ = writeln!(out, "{:w$}flags:  0x{:08x}", "", d.flags);
    if k.sem.debugfs_names_flags {
        irq_debug_show_bits(out, ind, d.flags, IRQDOMAIN_FLAGS);
    }
    if let Some(debug_show) = d.ops.debug_show {
        debug_show(k, out, Some(id), None, w);
    }
    if let Some(parent) = d.parent {
        let name = k.irq.domains.get(parent.index()).and_then(Option::as_ref).map_or("", |p| p.name.as_str());
        let _ = writeln!(out, "{:w$}parent: {name}", "");
        irq_domain_debug_show_one(k, out, parent, ind + 4);
    }
}

/// `domains/NAME`: the domain and those below it.
pub fn irq_domain_debug_show(k: &Kernel, domain: DomainId) -> String {
    let mut out = String::new();
    irq_domain_debug_show_one(k, &mut out, domain, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use kstate::CpuMask;
    use kstate::semantics::{KernelVersion, Semantics};

    #[test]
    fn a_preallocated_interrupt_shows_as_the_kernel_prints_it() {
        let mut k = Kernel { sem: Semantics::of(KernelVersion::V5_4), ..Kernel::default() };
        k.topo.nr_cpu_ids = 8;
        k.topo.possible = CpuMask::first_n(8);
        k.topo.present = CpuMask::first_n(8);
        let arch = ArchOps { arch_probe_nr_irqs: Some(|_| 3), ..ArchOps::default() };
        crate::irqdesc::early_irq_init(&mut k, arch);
        assert_eq!(
            irq_debug_show(&k, Irq(2)),
            "handler:  handle_bad_irq\n\
             device:   (null)\n\
             status:   0x00000000\n\
             istate:   0x00000000\n\
             ddepth:   1\n\
             wdepth:   0\n\
             dstate:   0x00030000\n\
             \x20           IRQD_IRQ_DISABLED\n\
             \x20           IRQD_IRQ_MASKED\n\
             node:     0\n\
             affinity: 0-7\n\
             effectiv: \n\
             pending:  \n\
             domain:  \n\
             \x20hwirq:   0x0\n\
             \x20chip:    none\n\
             \x20 flags:   0x10\n\
             \x20            IRQCHIP_SKIP_SET_WAKE\n"
        );
    }
}
