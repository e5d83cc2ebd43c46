//! Chips and flow handlers: kernel/irq/chip.c of 5.4 and 6.12.
//!
//! A flow handler holds `desc->lock` and drops it around the actions. Nothing here waits, so the
//! lock has no counterpart: what runs between two waits is indivisible.

use kfn::{kfn, kirq};
use kstate::irqchip::*;
use kstate::irqdesc::*;
use kstate::msi::MsiMsg;
use kstate::{ChipId, CpuMask, Errno, Irq, Kernel};

use crate::dummychip::NO_IRQ_CHIP;
use crate::handle::{handle_irq_event, handle_irq_event_frame};
use crate::irqdesc::kstat_incr_irqs_this_cpu;
use crate::irqdomain::{irq_domain_activate_irq, irq_domain_deactivate_irq};
use crate::manage::{irq_do_set_affinity, irq_setup_affinity};
use crate::proc::{irq_proc_update_chip, irq_proc_update_valid};
use crate::resend::{check_irq_resend, clear_irq_resend};
use crate::settings::*;

/// `irq_startup` of a chip that leaves it to the one below (6.18).
#[kfn("kernel/irq/chip.c")]
pub fn irq_chip_startup_parent(k: &mut Kernel, data: Irqd) -> u32 {
    let Some(parent) = k.parent_data(data) else { return 0 };
    if let Some(startup) = k.chip(parent).irq_startup {
        return startup(k, parent);
    }
    irq_chip_enable_parent(k, data);
    0
}

/// `irq_shutdown` of a chip that leaves it to the one below (6.18).
#[kfn("kernel/irq/chip.c")]
pub fn irq_chip_shutdown_parent(k: &mut Kernel, data: Irqd) {
    let Some(parent) = k.parent_data(data) else { return };
    match k.chip(parent).irq_shutdown {
        Some(shutdown) => shutdown(k, parent),
        None => irq_chip_disable_parent(k, data),
    }
}

/// `IRQ_RESEND` of `irq_startup()`.
pub const IRQ_RESEND: bool = true;
/// `IRQ_NORESEND`.
pub const IRQ_NORESEND: bool = false;
/// `IRQ_START_FORCE`.
pub const IRQ_START_FORCE: bool = true;
/// `IRQ_START_COND`.
pub const IRQ_START_COND: bool = false;

/// Sets the outermost chip.
///
/// # Errors
/// `EINVAL` when there is no such interrupt.
#[kfn("kernel/irq/chip.c")]
pub fn irq_set_chip(k: &mut Kernel, irq: Irq, chip: ChipId) -> Result<(), Errno> {
    if k.find_desc(irq).is_none() {
        return Err(Errno::EINVAL);
    }
    k.irqd_mut(Irqd::top(irq)).chip = chip;
    irq_proc_update_chip(k, chip);
    Ok(())
}

/// Sets the trigger type of an interrupt.
///
/// # Errors
/// `EINVAL` when there is no such interrupt, or what the chip says.
#[kfn("kernel/irq/chip.c")]
pub fn irq_set_irq_type(k: &mut Kernel, irq: Irq, kind: u32) -> Result<(), Errno> {
    if k.find_desc(irq).is_none_or(irq_settings_is_per_cpu_devid) {
        return Err(Errno::EINVAL);
    }
    crate::manage::__irq_set_trigger(k, irq, kind)
}

/// Sets the flow handler's data.
///
/// # Errors
/// `EINVAL` when there is no such interrupt.
#[kfn("kernel/irq/chip.c")]
pub fn irq_set_handler_data(k: &mut Kernel, irq: Irq, data: u64) -> Result<(), Errno> {
    if k.find_desc(irq).is_none() {
        return Err(Errno::EINVAL);
    }
    k.desc_mut(irq).irq_common_data.handler_data = data;
    Ok(())
}

/// Ties the interrupts of an MSI descriptor to it.
///
/// # Errors
/// `EINVAL` when there is no such interrupt.
pub fn irq_set_msi_desc_off(
    k: &mut Kernel,
    irq_base: Irq,
    irq_offset: u32,
    entry: Option<kstate::MsiDescId>,
) -> Result<(), Errno> {
    let irq = Irq(irq_base.0 + irq_offset);
    if k.find_desc(irq).is_none_or(irq_settings_is_per_cpu_devid) {
        return Err(Errno::EINVAL);
    }
    k.desc_mut(irq).irq_common_data.msi_desc = entry;
    if irq_offset == 0
        && let Some(entry) = entry.and_then(|entry| k.msi.descs.get_mut(entry))
    {
        entry.irq = Some(irq_base);
    }
    Ok(())
}

/// Sets the outermost chip's data.
///
/// # Errors
/// `EINVAL` when there is no such interrupt.
#[kfn("kernel/irq/chip.c")]
pub fn irq_set_chip_data(k: &mut Kernel, irq: Irq, data: ChipData) -> Result<(), Errno> {
    if k.find_desc(irq).is_none() {
        return Err(Errno::EINVAL);
    }
    k.irqd_mut(Irqd::top(irq)).chip_data = data;
    Ok(())
}

enum Startup {
    Normal,
    Managed,
    Abort,
}

#[kfn("kernel/irq/chip.c")]
fn __irq_startup_managed(k: &mut Kernel, irq: Irq, force: bool) -> Startup {
    let desc = k.desc_mut(irq);
    if !desc.has(IRQD_AFFINITY_MANAGED) {
        return Startup::Normal;
    }
    desc.clear(IRQD_MANAGED_SHUTDOWN);
    if !k.desc(irq).irq_common_data.affinity.intersects(&k.topo.online) {
        // No CPU for it is online: it stays shut down until CPU hotplug starts it up. Nobody should
        // enable such an interrupt by force.
        if force {
            k.warn_once("WARNING: at kernel/irq/chip.c __irq_startup_managed");
        }
        return Startup::Abort;
    }
    // Its vectors are reserved, so this is not expected to fail.
    if irq_domain_activate_irq(k, Irqd::top(irq), false).is_err() {
        k.warn("WARNING: at kernel/irq/chip.c __irq_startup_managed");
        return Startup::Abort;
    }
    Startup::Managed
}

#[kfn("kernel/irq/chip.c")]
fn __irq_startup(k: &mut Kernel, irq: Irq) -> u32 {
    let d = Irqd::top(irq);
    if !k.desc(irq).has(IRQD_ACTIVATED) {
        k.warn_once("WARNING: at kernel/irq/chip.c __irq_startup");
    }
    let mut ret = 0;
    if let Some(startup) = k.chip(d).irq_startup {
        ret = startup(k, d);
        k.desc_mut(irq).clear(IRQD_IRQ_DISABLED | IRQD_IRQ_MASKED);
    } else {
        irq_enable(k, irq);
    }
    k.desc_mut(irq).set(IRQD_IRQ_STARTED);
    ret
}

/// Starts an interrupt line up: affinity, unmasking, and a resend of what came in between.
#[kfn("kernel/irq/chip.c")]
pub fn irq_startup(k: &mut Kernel, irq: Irq, resend: bool, force: bool) -> u32 {
    let d = Irqd::top(irq);
    let mut ret = 0;
    k.desc_mut(irq).depth = 0;
    if k.desc(irq).has(IRQD_IRQ_STARTED) {
        irq_enable(k, irq);
    } else {
        match __irq_startup_managed(k, irq, force) {
            Startup::Normal => {
                // A chip of 6.12 wants the affinity before the line is live.
                let before = k.chip(d).flags & IRQCHIP_AFFINITY_PRE_STARTUP != 0;
                if before {
                    let _ = irq_setup_affinity(k, irq);
                }
                ret = __irq_startup(k, irq);
                if !before {
                    let _ = irq_setup_affinity(k, irq);
                }
            }
            Startup::Managed => {
                let aff = k.desc(irq).irq_common_data.affinity.clone();
                let _ = irq_do_set_affinity(k, d, &aff, false);
                ret = __irq_startup(k, irq);
            }
            Startup::Abort => {
                let depth = u32::from(k.sem.managed_shutdown_keeps_depth);
                let desc = k.desc_mut(irq);
                desc.depth = depth;
                desc.set(IRQD_MANAGED_SHUTDOWN);
                return 0;
            }
        }
    }
    if resend {
        let _ = check_irq_resend(k, irq, false);
    }
    ret
}

/// Starts a managed interrupt whose CPU came back, unless a driver has disabled it meanwhile (6.16).
#[kfn("kernel/irq/chip.c")]
pub fn irq_startup_managed(k: &mut Kernel, irq: Irq) {
    let desc = k.desc_mut(irq);
    // Now, so that the next CPU of its affinity does not count another level off.
    desc.clear(IRQD_MANAGED_SHUTDOWN);
    desc.depth = desc.depth.wrapping_sub(1);
    if desc.depth == 0 {
        irq_startup(k, irq, IRQ_RESEND, IRQ_START_COND);
    }
}

/// Activates an interrupt, unless the kernel manages its affinity: then startup does.
///
/// # Errors
/// What the domains say, `ENOSPC` for no vector.
#[kfn("kernel/irq/chip.c")]
pub fn irq_activate(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    if !k.desc(irq).has(IRQD_AFFINITY_MANAGED) {
        return irq_domain_activate_irq(k, Irqd::top(irq), false);
    }
    Ok(())
}

/// Activates and starts up, for chained handlers.
#[kfn("kernel/irq/chip.c")]
pub fn irq_activate_and_startup(k: &mut Kernel, irq: Irq, resend: bool) -> u32 {
    if irq_activate(k, irq).is_err() {
        k.warn("WARNING: at kernel/irq/chip.c irq_activate_and_startup");
        return 0;
    }
    irq_startup(k, irq, resend, IRQ_START_FORCE)
}

/// Shuts an interrupt line down.
#[kfn("kernel/irq/chip.c")]
pub fn irq_shutdown(k: &mut Kernel, irq: Irq) {
    let d = Irqd::top(irq);
    if !k.desc(irq).has(IRQD_IRQ_STARTED) {
        return;
    }
    clear_irq_resend(k, irq);
    let depth = if k.sem.managed_shutdown_keeps_depth { k.desc(irq).depth.wrapping_add(1) } else { 1 };
    k.desc_mut(irq).depth = depth;
    if let Some(shutdown) = k.chip(d).irq_shutdown {
        shutdown(k, d);
        k.desc_mut(irq).set(IRQD_IRQ_DISABLED | IRQD_IRQ_MASKED);
    } else {
        __irq_disable(k, irq, true);
    }
    k.desc_mut(irq).clear(IRQD_IRQ_STARTED);
}

/// Shuts an interrupt down and gives its hardware resources back. It may never have been started.
#[kfn("kernel/irq/chip.c")]
pub fn irq_shutdown_and_deactivate(k: &mut Kernel, irq: Irq) {
    irq_shutdown(k, irq);
    irq_domain_deactivate_irq(k, Irqd::top(irq));
}

/// Enables and unmasks.
#[kfn("kernel/irq/chip.c")]
pub fn irq_enable(k: &mut Kernel, irq: Irq) {
    if !k.desc(irq).has(IRQD_IRQ_DISABLED) {
        unmask_irq(k, irq);
        return;
    }
    k.desc_mut(irq).clear(IRQD_IRQ_DISABLED);
    let d = Irqd::top(irq);
    if let Some(enable) = k.chip(d).irq_enable {
        enable(k, d);
        k.desc_mut(irq).clear(IRQD_IRQ_MASKED);
    } else {
        unmask_irq(k, irq);
    }
}

#[kfn("kernel/irq/chip.c")]
fn __irq_disable(k: &mut Kernel, irq: Irq, mask: bool) {
    if k.desc(irq).has(IRQD_IRQ_DISABLED) {
        if mask {
            mask_irq(k, irq);
        }
        return;
    }
    k.desc_mut(irq).set(IRQD_IRQ_DISABLED);
    let d = Irqd::top(irq);
    if let Some(disable) = k.chip(d).irq_disable {
        disable(k, d);
        k.desc_mut(irq).set(IRQD_IRQ_MASKED);
    } else if mask {
        mask_irq(k, irq);
    }
}

/// Disables. A chip without a callback for it stays unmasked until an interrupt comes: most often
/// none does.
#[kfn("kernel/irq/chip.c")]
pub fn irq_disable(k: &mut Kernel, irq: Irq) {
    let unlazy = irq_settings_disable_unlazy(k.desc(irq));
    __irq_disable(k, irq, unlazy);
}

fn mask_ack_irq(k: &mut Kernel, irq: Irq) {
    let d = Irqd::top(irq);
    if let Some(mask_ack) = k.chip(d).irq_mask_ack {
        mask_ack(k, d);
        k.desc_mut(irq).set(IRQD_IRQ_MASKED);
    } else {
        mask_irq(k, irq);
        if let Some(ack) = k.chip(d).irq_ack {
            ack(k, d);
        }
    }
}

/// Masks at the chip, once.
#[kfn("kernel/irq/chip.c")]
pub fn mask_irq(k: &mut Kernel, irq: Irq) {
    if k.desc(irq).has(IRQD_IRQ_MASKED) {
        return;
    }
    let d = Irqd::top(irq);
    if let Some(mask) = k.chip(d).irq_mask {
        mask(k, d);
        k.desc_mut(irq).set(IRQD_IRQ_MASKED);
    }
}

/// Unmasks at the chip, once.
#[kfn("kernel/irq/chip.c")]
pub fn unmask_irq(k: &mut Kernel, irq: Irq) {
    if !k.desc(irq).has(IRQD_IRQ_MASKED) {
        return;
    }
    let d = Irqd::top(irq);
    if let Some(unmask) = k.chip(d).irq_unmask {
        unmask(k, d);
        k.desc_mut(irq).clear(IRQD_IRQ_MASKED);
    }
}

/// Unmasks after a one-shot thread, with the EOI that was kept back.
#[kfn("kernel/irq/chip.c")]
pub fn unmask_threaded_irq(k: &mut Kernel, irq: Irq) {
    let d = Irqd::top(irq);
    if k.chip(d).flags & IRQCHIP_EOI_THREADED != 0 {
        irq_eoi(k, d);
    }
    unmask_irq(k, irq);
}

fn irq_eoi(k: &mut Kernel, d: Irqd) {
    if let Some(eoi) = k.chip(d).irq_eoi {
        eoi(k, d);
    }
}

// A poller on another CPU would be waited for here.
// DEVIATION: a line is polled in one step, so that no CPU meets one that another CPU polls.
#[kfn("kernel/irq/chip.c")]
fn irq_check_poll(k: &mut Kernel, irq: Irq) -> bool {
    let desc = k.desc(irq);
    desc.istate & IRQS_POLL_INPROGRESS != 0 && !desc.has(IRQD_IRQ_DISABLED) && !desc.action.is_empty()
}

#[inline]
fn irq_may_run(k: &mut Kernel, irq: Irq) -> bool {
    if !k.desc(irq).has(IRQD_IRQ_INPROGRESS | IRQD_WAKEUP_ARMED) {
        return true;
    }
    irq_check_poll(k, irq)
}

/// Waits until the interrupt is no longer handled elsewhere, and says whether it can be handled then.
#[kirq("kernel/irq/chip.c")]
fn irq_wait_on_inprogress(k: &mut Kernel, irq: Irq) -> bool {
    spin_until!(!k.find_desc(irq).is_some_and(|desc| desc.has(IRQD_IRQ_INPROGRESS)));
    // It may have been disabled meanwhile.
    let desc = k.desc(irq);
    !desc.has(IRQD_IRQ_DISABLED) && !desc.action.is_empty()
}

/// Whether the interrupt can be handled here, as far as power management and other CPUs go.
// DEVIATION: a line is polled in one step, so that the CPU that polls it is never the one that asks.
#[kirq("kernel/irq/chip.c")]
fn irq_can_handle_pm(k: &mut Kernel, irq: Irq) -> bool {
    let desc = k.desc(irq);
    if !desc.has(IRQD_IRQ_INPROGRESS | IRQD_WAKEUP_ARMED) {
        return true;
    }
    if desc.has(IRQD_WAKEUP_ARMED) {
        return false;
    }
    if desc.istate & IRQS_POLL_INPROGRESS == 0
        && (desc.handle_irq != FlowHandler::HandleEdgeIrq || !waits_for_old_cpu(k, irq))
    {
        return false;
    }
    call!(irq_wait_on_inprogress(irq))
}

/// Somebody handles the line; otherwise it is pending. C has this function since 6.16, and its statements
/// in every flow handler before.
fn irq_can_handle_actions(k: &mut Kernel, irq: Irq) -> bool {
    let desc = k.desc_mut(irq);
    desc.istate &= !(IRQS_REPLAY | IRQS_WAITING);
    if desc.action.is_empty() || desc.has(IRQD_IRQ_DISABLED) {
        desc.istate |= IRQS_PENDING;
        return false;
    }
    true
}

/// The first question of all flow handlers but that of edges: `irq_may_run()` or `irq_can_handle_pm()`.
#[kirq("kernel/irq/chip.c", part)]
fn may_run(k: &mut Kernel, irq: Irq) -> bool {
    if k.sem.irq_can_handle {
        return call!(irq_can_handle_pm(irq));
    }
    irq_may_run(k, irq)
}

/// A line that needs no service at the controller.
#[kirq("kernel/irq/chip.c")]
pub fn handle_simple_irq(k: &mut Kernel, irq: Irq) {
    let run: bool = call!(may_run(irq));
    if !run || !irq_can_handle_actions(k, irq) {
        return;
    }
    kstat_incr_irqs_this_cpu(k, irq);
    call!(handle_irq_event(irq));
}

#[kfn("kernel/irq/chip.c")]
fn cond_unmask_irq(k: &mut Kernel, irq: Irq) {
    // A one-shot line whose thread was woken stays masked.
    let desc = k.desc(irq);
    if !desc.has(IRQD_IRQ_DISABLED) && desc.has(IRQD_IRQ_MASKED) && desc.threads_oneshot == 0 {
        unmask_irq(k, irq);
    }
}

/// A level-triggered line: masked until the handlers have seen to the device.
#[kirq("kernel/irq/chip.c")]
pub fn handle_level_irq(k: &mut Kernel, irq: Irq) {
    mask_ack_irq(k, irq);
    let run: bool = call!(may_run(irq));
    if !run || !irq_can_handle_actions(k, irq) {
        return;
    }
    kstat_incr_irqs_this_cpu(k, irq);
    call!(handle_irq_event(irq));
    cond_unmask_irq(k, irq);
}

#[kfn("kernel/irq/chip.c")]
fn cond_unmask_eoi_irq(k: &mut Kernel, irq: Irq) {
    let d = Irqd::top(irq);
    let desc = k.desc(irq);
    if desc.istate & IRQS_ONESHOT == 0 {
        irq_eoi(k, d);
    } else if !desc.has(IRQD_IRQ_DISABLED) && desc.has(IRQD_IRQ_MASKED) && desc.threads_oneshot == 0 {
        irq_eoi(k, d);
        unmask_irq(k, irq);
    } else if k.chip(d).flags & IRQCHIP_EOI_THREADED == 0 {
        irq_eoi(k, d);
    }
}

/// A line whose controller only wants an EOI at the end.
#[kirq("kernel/irq/chip.c")]
pub fn handle_fasteoi_irq(k: &mut Kernel, irq: Irq) {
    let mut run: bool = call!(may_run(irq));
    let d = Irqd::top(irq);
    if !run && k.desc(irq).has(IRQD_RESEND_WHEN_IN_PROGRESS) {
        // It came on its new CPU while the old one still handles it.
        k.desc_mut(irq).istate |= IRQS_PENDING;
    }
    if run && !irq_can_handle_actions(k, irq) {
        mask_irq(k, irq);
        run = false;
    }
    if !run {
        if k.chip(d).flags & IRQCHIP_EOI_IF_HANDLED == 0 {
            irq_eoi(k, d);
        }
        return;
    }
    kstat_incr_irqs_this_cpu(k, irq);
    if k.desc(irq).istate & IRQS_ONESHOT != 0 {
        mask_irq(k, irq);
    }
    call!(handle_irq_event(irq));
    cond_unmask_eoi_irq(k, irq);
    // Only the flag above leaves a line pending here.
    if k.desc(irq).has(IRQD_RESEND_WHEN_IN_PROGRESS) && k.desc(irq).istate & IRQS_PENDING != 0 {
        let _ = check_irq_resend(k, irq, false);
    }
}

/// The interrupt has moved to this CPU while its handler runs on the old one, and the kernel waits for
/// that (`irq_can_handle_pm()` of 6.17).
fn waits_for_old_cpu(k: &Kernel, irq: Irq) -> bool {
    if !k.sem.edge_waits_for_old_cpu {
        return false;
    }
    let desc = k.desc(irq);
    desc.has(IRQD_IRQ_INPROGRESS)
        && desc.has(IRQD_SINGLE_TARGET)
        && !desc.has(IRQD_WAKEUP_ARMED)
        && desc.irq_common_data.effective_affinity.first() == Some(k.cpu())
}

/// An edge-triggered line: acked at once, and handled again for every edge that came meanwhile.
#[kirq("kernel/irq/chip.c")]
pub fn handle_edge_irq(k: &mut Kernel, irq: Irq) {
    let run: bool = 'out: {
        if k.sem.irq_can_handle {
            let can: bool = call!(irq_can_handle_pm(irq));
            break 'out can && irq_can_handle_actions(k, irq);
        }
        k.desc_mut(irq).istate &= !(IRQS_REPLAY | IRQS_WAITING);
        if waits_for_old_cpu(k, irq) {
            spin_until!(!k.find_desc(irq).is_some_and(|desc| desc.has(IRQD_IRQ_INPROGRESS)));
        }
        break 'out irq_may_run(k, irq) && irq_can_handle_actions(k, irq);
    };
    if !run {
        k.desc_mut(irq).istate |= IRQS_PENDING;
        mask_ack_irq(k, irq);
        return;
    }
    kstat_incr_irqs_this_cpu(k, irq);
    let d = Irqd::top(irq);
    if let Some(ack) = k.chip(d).irq_ack {
        ack(k, d);
    }
    loop {
        if k.desc(irq).action.is_empty() {
            mask_irq(k, irq);
            return;
        }
        // An edge that came while the handler ran may have masked the line.
        let desc = k.desc(irq);
        if desc.istate & IRQS_PENDING != 0 && !desc.has(IRQD_IRQ_DISABLED) && desc.has(IRQD_IRQ_MASKED) {
            unmask_irq(k, irq);
        }
        call!(handle_irq_event(irq));
        let desc = k.desc(irq);
        if desc.istate & IRQS_PENDING == 0 || desc.has(IRQD_IRQ_DISABLED) {
            return;
        }
    }
}

/// A per-CPU line.
#[kfn("kernel/irq/chip.c")]
pub fn handle_percpu_irq(k: &mut Kernel, irq: Irq) {
    let d = Irqd::top(irq);
    kstat_incr_irqs_this_cpu(k, irq);
    if let Some(ack) = k.chip(d).irq_ack {
        ack(k, d);
    }
    crate::handle::handle_irq_event_percpu(k, irq);
    irq_eoi(k, d);
}

/// Calls the flow handler (`desc->handle_irq`).
#[kirq("include/linux/irqdesc.h")]
pub fn generic_handle_irq_desc(k: &mut Kernel, irq: Irq) {
    match k.desc(irq).handle_irq {
        FlowHandler::HandleBadIrq => crate::handle::handle_bad_irq(k, irq),
        FlowHandler::HandleEdgeIrq => {
            call!(handle_edge_irq(irq));
        }
        FlowHandler::HandleFasteoiIrq => {
            call!(handle_fasteoi_irq(irq));
        }
        FlowHandler::HandleLevelIrq => {
            call!(handle_level_irq(irq));
        }
        FlowHandler::HandleSimpleIrq => {
            call!(handle_simple_irq(irq));
        }
        FlowHandler::HandlePercpuIrq => handle_percpu_irq(k, irq),
    }
}

// `HandleBadIrq` stands for C's null pointer, which becomes `handle_bad_irq`.
fn __irq_do_set_handler(
    k: &mut Kernel,
    irq: Irq,
    handle: FlowHandler,
    is_chained: bool,
    name: Option<&'static str>,
) {
    if handle != FlowHandler::HandleBadIrq {
        // The outermost chip may come later than the inner ones. The handler is installed all the
        // same, but such a line cannot be started right away.
        let mut at = Some(Irqd::top(irq));
        while let Some(d) = at {
            if k.irqd(d).chip != NO_IRQ_CHIP {
                break;
            }
            if is_chained {
                k.warn("WARNING: at kernel/irq/chip.c __irq_do_set_handler");
                return;
            }
            at = k.parent_data(d);
        }
        if at.is_none() {
            k.warn("WARNING: at kernel/irq/chip.c __irq_do_set_handler");
            return;
        }
    }
    if handle == FlowHandler::HandleBadIrq {
        if k.irqd(Irqd::top(irq)).chip != NO_IRQ_CHIP {
            mask_ack_irq(k, irq);
        }
        let desc = k.desc_mut(irq);
        desc.set(IRQD_IRQ_DISABLED);
        if is_chained {
            desc.action.clear();
        }
        desc.depth = 1;
    }
    let desc = k.desc_mut(irq);
    desc.handle_irq = handle;
    desc.name = name;
    if handle != FlowHandler::HandleBadIrq && is_chained {
        let kind = desc.state() & IRQD_TRIGGER_MASK;
        if kind != IRQ_TYPE_NONE {
            // The chip may install a flow handler of its own for the type: not for a chained line.
            let _ = crate::manage::__irq_set_trigger(k, irq, kind);
            k.desc_mut(irq).handle_irq = handle;
        }
        k.desc_mut(irq).status_use_accessors |= IRQ_NOPROBE | IRQ_NOREQUEST | IRQ_NOTHREAD;
        irq_activate_and_startup(k, irq, IRQ_RESEND);
    }
    irq_proc_update_valid(k, irq);
}

/// Installs a flow handler; `HandleBadIrq` uninstalls it.
#[kfn("kernel/irq/chip.c")]
pub fn __irq_set_handler(
    k: &mut Kernel,
    irq: Irq,
    handle: FlowHandler,
    is_chained: bool,
    name: Option<&'static str>,
) {
    if k.find_desc(irq).is_some() {
        __irq_do_set_handler(k, irq, handle, is_chained, name);
    }
}

/// Sets the outermost chip and the flow handler.
#[kfn("kernel/irq/chip.c")]
pub fn irq_set_chip_and_handler_name(
    k: &mut Kernel,
    irq: Irq,
    chip: ChipId,
    handle: FlowHandler,
    name: Option<&'static str>,
) {
    let _ = irq_set_chip(k, irq, chip);
    __irq_set_handler(k, irq, handle, false, name);
}

/// Changes line settings and the state bits that follow from them.
pub fn irq_modify_status(k: &mut Kernel, irq: Irq, clr: u32, set: u32) {
    if k.find_desc(irq).is_none() {
        return;
    }
    if k.desc(irq).depth == 0 && set & IRQ_NOAUTOEN != 0 {
        k.warn_once("WARNING: at kernel/irq/chip.c irq_modify_status");
    }
    let desc = k.desc_mut(irq);
    irq_settings_clr_and_set(desc, clr, set);
    let mut trigger = desc.state() & IRQD_TRIGGER_MASK;
    desc.clear(IRQD_NO_BALANCING | IRQD_PER_CPU | IRQD_TRIGGER_MASK | IRQD_LEVEL | IRQD_MOVE_PCNTXT);
    if irq_settings_has_no_balance_set(desc) {
        desc.set(IRQD_NO_BALANCING);
    }
    if irq_settings_is_per_cpu(desc) {
        desc.set(IRQD_PER_CPU);
    }
    if irq_settings_can_move_pcntxt(desc) {
        desc.set(IRQD_MOVE_PCNTXT);
    }
    if irq_settings_is_level(desc) {
        desc.set(IRQD_LEVEL);
    }
    let tmp = desc.status_use_accessors & IRQD_TRIGGER_MASK;
    if tmp != IRQ_TYPE_NONE {
        trigger = tmp;
    }
    desc.set(trigger);
    irq_proc_update_valid(k, irq);
}

// Calls a callback of the parent's chip. C calls it without looking whether it is there; a missing
// one is a defect of the chip's tables.
macro_rules! parent_callbacks {
    ($($(#[$doc:meta])* $name:ident: $($callback:ident),+;)*) => {$(
        $(#[$doc])*
        #[kfn("kernel/irq/chip.c")]
        pub fn $name(k: &mut Kernel, d: Irqd) {
            let Some(parent) = k.parent_data(d) else { return };
            let chip = k.chip(parent);
            if let Some(callback) = None$(.or(chip.$callback))+ {
                callback(k, parent);
            }
        }
    )*};
}

parent_callbacks! {
    /// Enables the parent interrupt, or unmasks it.
    irq_chip_enable_parent: irq_enable, irq_unmask;
    /// Disables the parent interrupt, or masks it.
    irq_chip_disable_parent: irq_disable, irq_mask;
    /// Acks the parent interrupt.
    irq_chip_ack_parent: irq_ack;
    /// Masks the parent interrupt.
    irq_chip_mask_parent: irq_mask;
    /// Masks and acks the parent interrupt.
    irq_chip_mask_ack_parent: irq_mask_ack;
    /// Unmasks the parent interrupt.
    irq_chip_unmask_parent: irq_unmask;
    /// Ends the parent interrupt.
    irq_chip_eoi_parent: irq_eoi;
    /// Releases resources of the parent interrupt.
    irq_chip_release_resources_parent: irq_release_resources;
}

/// Sets the affinity of the parent interrupt.
///
/// # Errors
/// `ENOSYS` when the parent's chip cannot, or what it says.
#[kfn("kernel/irq/chip.c")]
pub fn irq_chip_set_affinity_parent(
    k: &mut Kernel,
    d: Irqd,
    dest: &CpuMask,
    force: bool,
) -> Result<SetMask, Errno> {
    let parent = k.parent_data(d).ok_or(Errno::ENOSYS)?;
    match k.chip(parent).irq_set_affinity {
        Some(set_affinity) => set_affinity(k, parent, dest, force),
        None => Err(Errno::ENOSYS),
    }
}

/// Sets the trigger type of the parent interrupt.
///
/// # Errors
/// `ENOSYS` when the parent's chip cannot, or what it says.
#[kfn("kernel/irq/chip.c")]
pub fn irq_chip_set_type_parent(k: &mut Kernel, d: Irqd, kind: u32) -> Result<(), Errno> {
    let parent = k.parent_data(d).ok_or(Errno::ENOSYS)?;
    match k.chip(parent).irq_set_type {
        Some(set_type) => set_type(k, parent, kind),
        None => Err(Errno::ENOSYS),
    }
}

/// Retriggers in hardware, at the first parent that can; false when none can.
#[kfn("kernel/irq/chip.c")]
pub fn irq_chip_retrigger_hierarchy(k: &mut Kernel, d: Irqd) -> bool {
    let mut at = k.parent_data(d);
    while let Some(parent) = at {
        if let Some(retrigger) = k.chip(parent).irq_retrigger {
            return retrigger(k, parent);
        }
        at = k.parent_data(parent);
    }
    false
}

/// Asks for the state of the parent interrupt; false where its chip cannot tell.
///
/// # Errors
/// What the chip says.
#[kfn("kernel/irq/chip.c")]
pub fn irq_chip_get_parent_state(k: &mut Kernel, d: Irqd, which: IrqchipIrqState) -> Result<bool, Errno> {
    let Some(parent) = k.parent_data(d) else { return Ok(false) };
    match k.chip(parent).irq_get_irqchip_state {
        Some(get) => get(k, parent, which),
        None => Ok(false),
    }
}

/// Lets a chip of the hierarchy compose the MSI message.
///
/// # Errors
/// `ENOSYS` when no chip can.
#[kfn("kernel/irq/chip.c")]
pub fn irq_chip_compose_msi_msg(k: &mut Kernel, d: Irqd, msg: &mut MsiMsg) -> Result<(), Errno> {
    let mut pos = None;
    let mut at = Some(d);
    while let Some(data) = at {
        if k.chip(data).irq_compose_msi_msg.is_some() {
            pos = Some(data);
            if k.sem.compose_msi_msg_outermost {
                break;
            }
        }
        at = k.parent_data(data);
    }
    let pos = pos.ok_or(Errno::ENOSYS)?;
    if let Some(compose) = k.chip(pos).irq_compose_msi_msg {
        compose(k, pos, msg);
    }
    Ok(())
}
