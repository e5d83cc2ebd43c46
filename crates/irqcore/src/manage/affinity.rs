//! Where interrupts go: affinity, and hints of drivers. kernel/irq/manage.c of 5.4 and 6.12.

use super::*;
use crate::migration::irq_can_move_pcntxt;

#[kfn("kernel/irq/manage.c")]
pub(super) fn __irq_can_set_affinity(k: &mut Kernel, irq: Irq) -> bool {
    k.find_desc(irq).is_some_and(irqd_can_balance) && k.chip(Irqd::top(irq)).irq_set_affinity.is_some()
}

/// Can the affinity of an interrupt be set?
#[kfn("kernel/irq/manage.c")]
pub fn irq_can_set_affinity(k: &mut Kernel, irq: Irq) -> bool {
    __irq_can_set_affinity(k, irq)
}

/// Can user space set it? Not when the kernel manages it.
#[kfn("kernel/irq/manage.c")]
pub fn irq_can_set_affinity_usr(k: &mut Kernel, irq: Irq) -> bool {
    __irq_can_set_affinity(k, irq) && !k.desc(irq).has(IRQD_AFFINITY_MANAGED)
}

pub(super) fn irq_set_thread_affinity(k: &mut Kernel, irq: Irq) {
    let wakes = k.sem.set_affinity_wakes_thread;
    let mut n = 0;
    while let Some(action) = k.desc_mut(irq).action.get_mut(n) {
        let mut threads = [None, None];
        threads[0] = action.thread.inspect(|_| action.thread_flags |= IRQTF_AFFINITY);
        if wakes && let Some(second) = action.secondary.as_deref_mut() {
            threads[1] = second.thread.inspect(|_| second.thread_flags |= IRQTF_AFFINITY);
        }
        if wakes {
            for thread in threads.into_iter().flatten() {
                k.wake(WaitOn::IrqThread(thread));
            }
        }
        n += 1;
    }
}

pub(super) fn irq_validate_effective_affinity(k: &mut Kernel, d: Irqd) {
    if k.desc(d.irq).irq_common_data.effective_affinity.is_empty() {
        let chip = &k.chip(d).name;
        let line = format!("genirq: irq_chip {chip} did not update eff. affinity mask of irq {}", d.irq);
        k.pr_warn_once(line);
    }
}

/// Lets the chip set the affinity, and takes note of it.
///
/// # Errors
/// `EINVAL` when the chip cannot or no CPU of the mask is online, `EBUSY` while the last move is not
/// cleaned up, `ENOSPC` for no vector.
#[kfn("kernel/irq/manage.c")]
pub fn irq_do_set_affinity(k: &mut Kernel, d: Irqd, mask: &CpuMask, force: bool) -> Result<(), Errno> {
    let Some(set_affinity) = k.chip(d).irq_set_affinity else { return Err(Errno::EINVAL) };
    // A managed interrupt stays with its housekeeping CPUs as long as one of them is online, so that
    // I/O from there does not disturb an isolated CPU.
    let managed = !force && k.desc(d.irq).has(IRQD_AFFINITY_MANAGED);
    let hk_mask = k.housekeeping.mask(HkType::ManagedIrq);
    let housekeeping = hk_mask.filter(|_| managed).map(|hk| mask.and(hk));
    let housekeeping = housekeeping.filter(|hk| hk.intersects(&k.topo.online));
    let prog_mask = housekeeping.as_ref().unwrap_or(mask);
    let ret = if force || !k.sem.set_affinity_online_only {
        set_affinity(k, d, prog_mask, force)?
    } else {
        let tmp_mask = prog_mask.and(&k.topo.online);
        if tmp_mask.is_empty() {
            return Err(Errno::EINVAL);
        }
        set_affinity(k, d, &tmp_mask, force)?
    };
    if ret != SetMask::OkNocopy {
        k.desc_mut(d.irq).irq_common_data.affinity.clone_from(mask);
    }
    irq_validate_effective_affinity(k, d);
    irq_set_thread_affinity(k, d.irq);
    Ok(())
}

fn irq_copy_pending(desc: &mut IrqDesc, mask: &CpuMask) {
    desc.pending_mask.clone_from(mask);
}

#[kfn("kernel/irq/manage.c")]
pub(super) fn irq_try_set_affinity(
    k: &mut Kernel,
    d: Irqd,
    dest: &CpuMask,
    force: bool,
) -> Result<(), Errno> {
    let ret = irq_do_set_affinity(k, d, dest, force);
    // User space should not see that the last move is not cleaned up: the next interrupt moves.
    if ret == Err(Errno::EBUSY) && !force {
        k.desc_mut(d.irq).set(IRQD_SETAFFINITY_PENDING);
        irq_copy_pending(k.desc_mut(d.irq), dest);
        return Ok(());
    }
    ret
}

#[kfn("kernel/irq/manage.c")]
pub(super) fn irq_set_affinity_deactivated(k: &mut Kernel, d: Irqd, mask: &CpuMask) -> bool {
    let desc = k.desc_mut(d.irq);
    if desc.has(IRQD_ACTIVATED) || !desc.has(IRQD_AFFINITY_ON_ACTIVATE) {
        return false;
    }
    desc.irq_common_data.affinity.clone_from(mask);
    desc.irq_common_data.effective_affinity.clone_from(mask);
    desc.set(IRQD_AFFINITY_SET);
    true
}

/// Sets the affinity now, or leaves it to the next interrupt where the chip demands that.
///
/// # Errors
/// `EINVAL` when the chip cannot, or as `irq_do_set_affinity()`.
#[kfn("kernel/irq/manage.c")]
pub fn irq_set_affinity_locked(k: &mut Kernel, d: Irqd, mask: &CpuMask, force: bool) -> Result<(), Errno> {
    if k.chip(d).irq_set_affinity.is_none() {
        return Err(Errno::EINVAL);
    }
    if k.sem.set_affinity_deactivated && irq_set_affinity_deactivated(k, d, mask) {
        return Ok(());
    }
    let mut ret = Ok(());
    if irq_can_move_pcntxt(k, d) && !k.desc(d.irq).has(IRQD_SETAFFINITY_PENDING) {
        ret = irq_try_set_affinity(k, d, mask, force);
    } else {
        k.desc_mut(d.irq).set(IRQD_SETAFFINITY_PENDING);
        irq_copy_pending(k.desc_mut(d.irq), mask);
    }
    k.desc_mut(d.irq).set(IRQD_AFFINITY_SET);
    ret
}

/// Sets the affinity of an interrupt.
///
/// # Errors
/// `EINVAL` when there is no such interrupt, or as `irq_set_affinity_locked()`.
#[kfn("kernel/irq/manage.c")]
pub fn __irq_set_affinity(k: &mut Kernel, irq: Irq, mask: &CpuMask, force: bool) -> Result<(), Errno> {
    if k.find_desc(irq).is_none() {
        return Err(Errno::EINVAL);
    }
    irq_set_affinity_locked(k, Irqd::top(irq), mask, force)
}

/// Sets the affinity of an interrupt to CPUs of which one is online.
///
/// # Errors
/// As `__irq_set_affinity()`.
#[kfn("kernel/irq/manage.c")]
pub fn irq_set_affinity(k: &mut Kernel, irq: Irq, mask: &CpuMask) -> Result<(), Errno> {
    __irq_set_affinity(k, irq, mask, false)
}

/// Leaves or takes back a hint for user space (6.12; `setaffinity` also sets the affinity to it).
///
/// # Errors
/// `EINVAL` when there is no such interrupt.
#[kfn("kernel/irq/manage.c")]
pub fn __irq_apply_affinity_hint(
    k: &mut Kernel,
    irq: Irq,
    m: Option<&CpuMask>,
    setaffinity: bool,
) -> Result<(), Errno> {
    apply_hint(k, irq, m, setaffinity)
}

fn apply_hint(k: &mut Kernel, irq: Irq, m: Option<&CpuMask>, setaffinity: bool) -> Result<(), Errno> {
    if k.find_desc(irq).is_none_or(irq_settings_is_per_cpu_devid) {
        return Err(Errno::EINVAL);
    }
    k.desc_mut(irq).affinity_hint = m.cloned();
    if let Some(m) = m
        && setaffinity
    {
        let _ = __irq_set_affinity(k, irq, m, false);
    }
    Ok(())
}

/// Leaves a hint for user space, and sets the affinity to it; `None` takes the hint back.
///
/// # Errors
/// `EINVAL` when there is no such interrupt.
#[kfn("kernel/irq/manage.c")]
pub fn irq_set_affinity_hint(k: &mut Kernel, irq: Irq, m: Option<&CpuMask>) -> Result<(), Errno> {
    if k.sem.affinity_hint_inline {
        return __irq_apply_affinity_hint(k, irq, m, true);
    }
    apply_hint(k, irq, m, true)
}

/// Chooses the CPUs of an interrupt that starts up.
///
/// # Errors
/// As `irq_do_set_affinity()`.
#[kfn("kernel/irq/manage.c")]
pub fn irq_setup_affinity(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    if !__irq_can_set_affinity(k, irq) {
        return Ok(());
    }
    let desc = k.desc(irq);
    let mut set = &k.irq.default_affinity;
    let mut forget = false;
    // What user space or the kernel chose is kept, as long as one of the CPUs is online.
    if desc.has(IRQD_AFFINITY_MANAGED | IRQD_AFFINITY_SET) {
        if desc.irq_common_data.affinity.intersects(&k.topo.online) {
            set = &desc.irq_common_data.affinity;
        } else {
            forget = true;
        }
    }
    let mut mask = k.topo.online.and(set);
    if mask.is_empty() {
        mask = k.topo.online.clone();
    }
    let node = desc.irq_common_data.node;
    if let Some(nodemask) = usize::try_from(node).ok().and_then(|node| k.topo.node_cpus.get(node))
        && mask.intersects(nodemask)
    {
        mask.and_assign(nodemask);
    }
    if forget {
        k.desc_mut(irq).clear(IRQD_AFFINITY_SET);
    }
    irq_do_set_affinity(k, Irqd::top(irq), &mask, false)
}

/// Lets the kernel choose after user space wrote a mask without CPU (5.4).
///
/// # Errors
/// As `irq_setup_affinity()`.
#[kfn("kernel/irq/manage.c")]
pub fn irq_select_affinity_usr(k: &mut Kernel, irq: Irq) -> Result<(), Errno> {
    irq_setup_affinity(k, irq)
}
