//! The table of what has to be done for a CPU that comes or goes.
//!
//! C file: kernel/cpu.c of 5.4 and 6.12.
//!
//! # Architecture
//! What is done is a table of steps, `cpuhp_hp_states[]`. Those of kernel/ and arch/ stand in it from
//! the beginning; block/ registers its own.

use kfn::kframe;
use kstate::hotplug::{CpuhpCall, CpuhpCallback, CpuhpNode, CpuhpState, CpuhpStep};
use kstate::sched::Call;
use kstate::{CpuId, Errno, Kernel};

/// `cpuhp_get_step()`.
fn cpuhp_get_step(k: &Kernel, state: CpuhpState) -> &CpuhpStep {
    &k.hotplug.cpuhp_hp_states[state as usize]
}

/// `cpuhp_step_empty()`: nothing is to do on the way up, or down.
pub fn cpuhp_step_empty(k: &Kernel, bringup: bool, state: CpuhpState) -> bool {
    cpuhp_get_step(k, state).callback(bringup).is_none()
}

/// Invokes the callback of one state, for every instance where a state has them. `lastp` says that
/// `st->last` keeps the instance whose callback failed, so that undoing begins with those before it; without it
/// they are undone here.
// DEVIATION: C can call the callback of a single instance as well (`node`), when that comes or goes.
// Here nobody asks for it.
#[kframe("kernel/cpu.c")]
pub fn cpuhp_invoke_callback(
    k: &mut Kernel,
    cpu: CpuId,
    state: CpuhpState,
    bringup: bool,
    lastp: bool,
) -> Result<(), Errno> {
    if k.hotplug.cpus[cpu.index()].fail == Some(state) {
        k.hotplug.cpus[cpu.index()].fail = None;
        if !k.sem.cpuhp_skips_empty_states && cpuhp_step_empty(k, bringup, state) {
            return Ok(());
        }
        return Err(Errno::EAGAIN);
    }
    if cpuhp_step_empty(k, bringup, state) {
        if k.sem.cpuhp_skips_empty_states {
            k.warn("cpuhp_invoke_callback: the state has no callback");
        }
        return Ok(());
    }
    if !cpuhp_get_step(k, state).multi_instance {
        if lastp && k.hotplug.cpus[cpu.index()].last.is_some() {
            k.warn("cpuhp_invoke_callback: a state without instances has failed in the middle");
        }
        return call!(callback(k, cpu, state, bringup, None));
    }
    let cnt: u32 = 0;
    let node: Option<CpuhpNode> = None;
    let ret: Result<(), Errno> = Ok(());
    loop {
        node = cpuhp_get_step(k, state).list.get(cnt as usize).copied();
        if node.is_none() || lastp && k.hotplug.cpus[cpu.index()].last == node {
            break;
        }
        ret = call!(callback(k, cpu, state, bringup, node));
        if ret.is_err() {
            if lastp {
                k.hotplug.cpus[cpu.index()].last = node;
                return ret;
            }
            break;
        }
        cnt += 1;
    }
    if ret.is_ok() {
        if lastp {
            k.hotplug.cpus[cpu.index()].last = None;
        }
        return ret;
    }
    // The instances before the one that failed, the other way round.
    if cpuhp_step_empty(k, !bringup, state) {
        return ret;
    }
    let undone: u32 = 0;
    while undone < cnt {
        node = cpuhp_get_step(k, state).list.get(undone as usize).copied();
        let rollback_ret: Result<(), Errno> = call!(callback(k, cpu, state, !bringup, node));
        if rollback_ret.is_err() {
            k.warn("cpuhp_invoke_callback: rollback failed");
        }
        undone += 1;
    }
    ret
}

/// The callback as a frame, whatever kind it is of.
fn callback(
    k: &Kernel,
    cpu: CpuId,
    state: CpuhpState,
    bringup: bool,
    node: Option<CpuhpNode>,
) -> Call<Result<(), Errno>> {
    match cpuhp_get_step(k, state).callback(bringup).map(|callback| callback.call) {
        Some(CpuhpCall::SingleSleeps(cb)) => cb(cpu),
        Some(CpuhpCall::MultiSleeps(cbm)) => cbm(cpu, node.unwrap_or_default()),
        _ => at_once(cpu, state, bringup, node),
    }
}

#[kframe("kernel/cpu.c", part)]
fn at_once(
    k: &mut Kernel,
    cpu: CpuId,
    state: CpuhpState,
    bringup: bool,
    node: Option<CpuhpNode>,
) -> Result<(), Errno> {
    let callback = cpuhp_get_step(k, state).callback(bringup);
    callback.map_or(Ok(()), |callback| match callback.call {
        CpuhpCall::Single(cb) => cb(k, cpu),
        CpuhpCall::Multi(cbm) => cbm(k, cpu, node.unwrap_or_default()),
        // Those are frames of their own.
        CpuhpCall::SingleSleeps(_) | CpuhpCall::MultiSleeps(_) => Ok(()),
    })
}

fn cpuhp_store_callbacks(k: &mut Kernel, state: CpuhpState, step: CpuhpStep) -> Result<(), Errno> {
    let sp = k.hotplug.cpuhp_hp_states.get_mut(state as usize).ok_or(Errno::EINVAL)?;
    if sp.name.is_some() {
        return Err(Errno::EBUSY);
    }
    *sp = step;
    Ok(())
}

/// `cpuhp_setup_state_nocalls()`: gives a state its callbacks, which are called for CPUs that come and
/// go from now on.
///
/// # Errors
/// `EBUSY` for a state that has callbacks.
// DEVIATION: there is no cpuhp_setup_state(), which also calls `startup` for the CPUs that are there:
// nobody in this model needs it.
pub fn cpuhp_setup_state_nocalls(
    k: &mut Kernel,
    state: CpuhpState,
    name: &'static str,
    startup: Option<CpuhpCallback>,
    teardown: Option<CpuhpCallback>,
) -> Result<(), Errno> {
    let step = CpuhpStep { name: Some(name), startup, teardown, ..CpuhpStep::default() };
    cpuhp_store_callbacks(k, state, step)
}

/// `cpuhp_setup_state_multi()`: the same with callbacks that are called for every instance.
///
/// # Errors
/// `EBUSY` for a state that has callbacks.
pub fn cpuhp_setup_state_multi(
    k: &mut Kernel,
    state: CpuhpState,
    name: &'static str,
    startup: Option<CpuhpCallback>,
    teardown: Option<CpuhpCallback>,
) -> Result<(), Errno> {
    let step =
        CpuhpStep { name: Some(name), startup, teardown, multi_instance: true, ..CpuhpStep::default() };
    cpuhp_store_callbacks(k, state, step)
}

/// `cpuhp_state_add_instance_nocalls()`: from now on the callbacks of `state` are called for `node` too.
///
/// # Errors
/// `EINVAL` for a state without instances.
// DEVIATION: there is no cpuhp_state_add_instance(), which also calls `startup` for the CPUs that are
// there: nobody in this model needs it.
pub fn cpuhp_state_add_instance_nocalls(
    k: &mut Kernel,
    state: CpuhpState,
    node: CpuhpNode,
) -> Result<(), Errno> {
    let sp = k.hotplug.cpuhp_hp_states.get_mut(state as usize).ok_or(Errno::EINVAL)?;
    if !sp.multi_instance {
        return Err(Errno::EINVAL);
    }
    sp.list.insert(0, node);
    Ok(())
}

/// `cpuhp_state_remove_instance_nocalls()`.
///
/// # Errors
/// `EINVAL` for a state without instances.
// DEVIATION: C waits here until no CPU comes or goes any more (cpus_read_lock()). An instance that
// goes in the middle is one less to be called for.
pub fn cpuhp_state_remove_instance_nocalls(
    k: &mut Kernel,
    state: CpuhpState,
    node: CpuhpNode,
) -> Result<(), Errno> {
    let sp = k.hotplug.cpuhp_hp_states.get_mut(state as usize).ok_or(Errno::EINVAL)?;
    if !sp.multi_instance {
        return Err(Errno::EINVAL);
    }
    sp.list.retain(|&other| other != node);
    Ok(())
}
