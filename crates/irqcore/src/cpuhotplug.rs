//! Interrupts and CPUs that come and go: kernel/irq/cpuhotplug.c of 5.4 and 6.12.

use kfn::kfn;
use kstate::irqdesc::*;
use kstate::isolation::HkType;
use kstate::{CpuId, Errno, Irq, Kernel};

use crate::chip::{
    IRQ_RESEND, IRQ_START_COND, irq_shutdown_and_deactivate, irq_startup, irq_startup_managed,
};
use crate::irqdesc::{irq_get_next_irq, irq_get_nr_irqs};
use crate::manage::{irq_do_set_affinity, irq_set_affinity_locked};
use crate::migration::{irq_can_move_pcntxt, irq_fixup_move_pending, irq_force_complete_move};

fn irq_needs_fixup(k: &mut Kernel, irq: Irq) -> bool {
    let cpu = k.cpu();
    let common = &k.desc(irq).irq_common_data;
    // A chip that does not report its target leaves the effective mask empty.
    let m = if common.effective_affinity.is_empty() { &common.affinity } else { &common.effective_affinity };
    let other = m.iter().any(|c| c != cpu);
    let here = m.contains(cpu);
    if other && !m.intersects(&k.topo.online) {
        let line = format!(
            "Eff. affinity {} of IRQ {irq} contains only offline CPUs after offlining CPU {cpu}",
            m.list()
        );
        k.pr_warn(line);
        return true;
    }
    here
}

/// The function of this name: the architecture's, or the one that asks the chips.
fn force_complete_move(k: &mut Kernel, irq: Irq) {
    if k.sem.force_complete_move_by_chip {
        irq_force_complete_move(k, irq);
    } else if let Some(complete) = k.irq.arch.irq_force_complete_move {
        complete(k, irq);
    }
}

/// Moves one interrupt off this CPU. True when its affinity had to be broken.
#[kfn("kernel/irq/cpuhotplug.c")]
fn migrate_one_irq(k: &mut Kernel, irq: Irq) -> bool {
    let d = Irqd::top(irq);
    let maskchip = !irq_can_move_pcntxt(k, d) && !k.desc(irq).has(IRQD_IRQ_MASKED);
    if k.chip(d).irq_set_affinity.is_none() {
        return false;
    }
    if k.sem.migrate_completes_move_first {
        force_complete_move(k, irq);
    }
    let desc = k.desc(irq);
    if desc.has(IRQD_PER_CPU) || !desc.has(IRQD_IRQ_STARTED) || !irq_needs_fixup(k, irq) {
        irq_fixup_move_pending(k, irq, false);
        return false;
    }
    if !k.sem.migrate_completes_move_first {
        force_complete_move(k, irq);
    }
    // The last affinity somebody asked for is the one that counts, when it can be reached.
    let mut affinity = if irq_fixup_move_pending(k, irq, true) {
        k.desc(irq).pending_mask.clone()
    } else {
        k.desc(irq).irq_common_data.affinity.clone()
    };
    if maskchip && let Some(mask) = k.chip(d).irq_mask {
        mask(k, d);
    }
    let mut brokeaff = false;
    let mut is_online_mask = false;
    if !affinity.intersects(&k.topo.online) {
        if k.desc(irq).has(IRQD_AFFINITY_MANAGED) {
            k.desc_mut(irq).set(IRQD_MANAGED_SHUTDOWN);
            irq_shutdown_and_deactivate(k, irq);
            return false;
        }
        affinity = k.topo.online.clone();
        is_online_mask = true;
        brokeaff = true;
    }
    // Not by force: that would allow the CPU that goes.
    let mut err = irq_do_set_affinity(k, d, &affinity, false);
    if k.sem.migrate_breaks_affinity_on_enospc
        && err == Err(Errno::ENOSPC)
        && !k.desc(irq).has(IRQD_AFFINITY_MANAGED)
        && !is_online_mask
    {
        affinity = k.topo.online.clone();
        brokeaff = true;
        err = irq_do_set_affinity(k, d, &affinity, false);
    }
    if let Err(e) = err {
        k.pr_warn_ratelimited("migrate_one_irq", format!("IRQ{irq}: set affinity failed({}).", e.code()));
        brokeaff = false;
    }
    if maskchip && let Some(unmask) = k.chip(d).irq_unmask {
        unmask(k, d);
    }
    brokeaff
}

/// Moves all interrupts off this CPU, which is no longer in the online mask. Lines without handler
/// too: there may be a chained one.
#[kfn("kernel/irq/cpuhotplug.c")]
pub fn irq_migrate_all_off_this_cpu(k: &mut Kernel) {
    // for_each_active_irq() reads the limit once.
    if k.sem.nr_irqs_private {
        irq_get_nr_irqs(k);
    }
    let mut next = irq_get_next_irq(k, 0);
    while let Some(irq) = next {
        let affinity_broken = migrate_one_irq(k, irq);
        if affinity_broken && k.sem.migrate_logs_broken_affinity {
            let cpu = k.cpu();
            k.pr_warn_ratelimited(
                "irq_migrate_all_off_this_cpu",
                format!("IRQ {irq}: no longer affine to CPU{cpu}"),
            );
        }
        next = irq_get_next_irq(k, irq.0 + 1);
    }
}

/// Should a managed interrupt leave an isolated CPU for `cpu`?
#[kfn("kernel/irq/cpuhotplug.c")]
fn hk_should_isolate(k: &mut Kernel, irq: Irq, cpu: CpuId) -> bool {
    let Some(hk_mask) = k.housekeeping.mask(HkType::ManagedIrq) else { return false };
    if k.desc(irq).irq_common_data.effective_affinity.is_subset(hk_mask) {
        return false;
    }
    hk_mask.contains(cpu)
}

#[kfn("kernel/irq/cpuhotplug.c")]
fn irq_restore_affinity_of_irq(k: &mut Kernel, irq: Irq, cpu: CpuId) {
    let desc = k.desc(irq);
    if !desc.has(IRQD_AFFINITY_MANAGED)
        || desc.action.is_empty()
        || !desc.irq_common_data.affinity.contains(cpu)
    {
        return;
    }
    if k.sem.restore_affinity_skips_suspended && desc.istate & IRQS_SUSPENDED != 0 {
        return;
    }
    if desc.has(IRQD_MANAGED_SHUTDOWN) {
        if k.sem.managed_shutdown_keeps_depth {
            irq_startup_managed(k, irq);
        } else {
            irq_startup(k, irq, IRQ_RESEND, IRQ_START_COND);
        }
        if !k.sem.restore_affinity_after_startup {
            return;
        }
    }
    // An interrupt with a single target already has one of its CPUs.
    let single = k.desc(irq).has(IRQD_SINGLE_TARGET);
    if !single || (k.sem.housekeeping_managed_irq && hk_should_isolate(k, irq, cpu)) {
        let affinity = k.desc(irq).irq_common_data.affinity.clone();
        let _ = irq_set_affinity_locked(k, Irqd::top(irq), &affinity, false);
    }
}

/// Gives managed interrupts back to a CPU that came online.
///
/// # Errors
/// None; the hotplug callback has the form that can fail.
#[kfn("kernel/irq/cpuhotplug.c")]
pub fn irq_affinity_online_cpu(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    // for_each_active_irq() reads the limit once.
    if k.sem.nr_irqs_private {
        irq_get_nr_irqs(k);
    }
    let mut next = irq_get_next_irq(k, 0);
    while let Some(irq) = next {
        irq_restore_affinity_of_irq(k, irq, cpu);
        next = irq_get_next_irq(k, irq.0 + 1);
    }
    Ok(())
}
