//! CPU hotplug: bringing CPUs up at boot and from `/sys/devices/system/cpu/cpuN/online`, and taking
//! them down.
//!
//! C file: kernel/cpu.c of 5.4 and 6.12.
//!
//! # Architecture
//! What has to be done for a CPU that comes or goes is a table of steps, `cpuhp_hp_states[]`. Those of
//! kernel/ and arch/ stand in it from the beginning; block/ registers its own.
//!
//! # What it doesn't implement
//! States whose callbacks have no effect on interrupts or on the block layer.

pub mod smt;

use kfn::{kfn, kframe};
use kstate::hotplug::{
    CpuhpCall, CpuhpCallback, CpuhpCpuState, CpuhpNode, CpuhpSmtControl, CpuhpState, CpuhpStep,
    CpuhpSyncState,
};
use kstate::kstrtox::kstrtobool;
use kstate::sched::{Call, TaskKind, WaitOn};
use kstate::semantics::HousekeepingCheck;
use kstate::{CpuId, CpuMask, Errno, Kernel, TaskId};
use x86apic::kernel::smp::native_send_call_func_single_ipi;

use crate::sched::core::{sched_cpu_activate, sched_cpu_deactivate, sched_cpu_dying, sched_cpu_starting};
use crate::sched::isolation::{HkType, housekeeping_cpumask};
use crate::smpboot::{SMPBOOT_THREAD, smpboot_park_threads, smpboot_thread_fn, smpboot_unpark_threads};
use crate::stop_machine::stop_machine_cpuslocked;
use crate::workqueue::{schedule_work_on, work_on_cpu};
use crate::x86::smpboot::{do_boot_cpu, native_cpu_disable, native_cpu_up, topology_is_primary_thread};

/// `cpuhp_get_step()`.
fn cpuhp_get_step(k: &Kernel, state: CpuhpState) -> &CpuhpStep {
    &k.hotplug.cpuhp_hp_states[state as usize]
}

/// `cpuhp_step_empty()`: nothing is to do on the way up, or down.
fn cpuhp_step_empty(k: &Kernel, bringup: bool, state: CpuhpState) -> bool {
    cpuhp_get_step(k, state).callback(bringup).is_none()
}

/// Invokes the callback of one state, for every instance where a state has them. `lastp` says that
/// `st->last` keeps the instance whose callback failed, so that undoing begins with those before it; without it
/// they are undone here.
// DEVIATION: C can call the callback of a single instance as well (`node`), when that comes or goes.
// Here nobody asks for it.
#[kframe("kernel/cpu.c")]
fn cpuhp_invoke_callback(
    k: &mut Kernel,
    cpu: CpuId,
    state: CpuhpState,
    bringup: bool,
    lastp: bool,
) -> Result<(), Errno> {
    if k.cpuhp_state(cpu).fail == Some(state) {
        k.cpuhp_state_mut(cpu).fail = None;
        if !k.sem.cpuhp_skips_empty_states && cpuhp_step_empty(k, bringup, state) {
            return Ok(());
        }
        return Err(Errno::EAGAIN);
    }
    if cpuhp_step_empty(k, bringup, state) {
        if k.sem.cpuhp_skips_empty_states {
            k.warn_once("WARNING: at kernel/cpu.c cpuhp_invoke_callback");
        }
        return Ok(());
    }
    if !cpuhp_get_step(k, state).multi_instance {
        if lastp && k.cpuhp_state(cpu).last.is_some() {
            k.warn_once("WARNING: at kernel/cpu.c cpuhp_invoke_callback");
        }
        // Most of them do not sleep and need no frame.
        if let Some(CpuhpCall::Single(cb)) = cpuhp_get_step(k, state).callback(bringup).map(|step| step.call)
        {
            return cb(k, cpu);
        }
        return call!(callback(k, cpu, state, bringup, None));
    }
    call!(hlist_for_each(cpu, state, bringup, lastp))
}

/// The part of [`cpuhp_invoke_callback`] behind `hlist_for_each()`: the callback is invoked for every instance.
// It is a frame of its own for its locals: a frame with many of them is not made without an allocation.
#[kframe("kernel/cpu.c", part)]
fn hlist_for_each(
    k: &mut Kernel,
    cpu: CpuId,
    state: CpuhpState,
    bringup: bool,
    lastp: bool,
) -> Result<(), Errno> {
    let cnt: u32 = 0;
    let node: Option<CpuhpNode> = None;
    let ret: Result<(), Errno> = Ok(());
    loop {
        node = cpuhp_get_step(k, state).list.get(cnt as usize).copied();
        if node.is_none() || lastp && k.cpuhp_state(cpu).last == node {
            break;
        }
        if is_plain(k, state, bringup) {
            ret = invoke(k, cpu, state, bringup, node);
        } else {
            ret = call!(callback(k, cpu, state, bringup, node));
        }
        if ret.is_err() {
            if lastp {
                k.cpuhp_state_mut(cpu).last = node;
                return ret;
            }
            break;
        }
        cnt += 1;
    }
    if ret.is_ok() {
        if lastp {
            k.cpuhp_state_mut(cpu).last = None;
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
            k.warn_once("WARNING: at kernel/cpu.c cpuhp_invoke_callback");
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
    invoke(k, cpu, state, bringup, node)
}

/// The callback does not sleep, and needs no frame.
fn is_plain(k: &Kernel, state: CpuhpState, bringup: bool) -> bool {
    let callback = cpuhp_get_step(k, state).callback(bringup);
    callback.is_some_and(|callback| matches!(callback.call, CpuhpCall::Single(_) | CpuhpCall::Multi(_)))
}

/// Invokes a callback that is plain.
fn invoke(
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

/// What of `cpuhp_hp_states[]` is there from the beginning.
fn cpuhp_hp_states(k: &Kernel) -> Vec<CpuhpStep> {
    let mut steps = vec![CpuhpStep::default(); CpuhpState::ALL.len()];
    let mut step = |state, name, startup, teardown| {
        steps[state as usize] = CpuhpStep { name: Some(name), startup, teardown, ..CpuhpStep::default() };
    };
    let single = |name, call| Some(CpuhpCallback { name, call: CpuhpCall::Single(call) });
    let sleeps = |name, call| Some(CpuhpCallback { name, call: CpuhpCall::SingleSleeps(call) });
    if k.sem.cpuhp_split_startup {
        let kick = sleeps("cpuhp_kick_ap_alive", cpuhp_kick_ap_alive);
        step(CpuhpState::BpKickAp, "cpu:kick_ap", kick, None);
        let bringup = sleeps("cpuhp_bringup_ap", cpuhp_bringup_ap);
        step(CpuhpState::BringupCpu, "cpu:bringup", bringup, single("finish_cpu", finish_cpu));
    } else {
        step(CpuhpState::BringupCpu, "cpu:bringup", sleeps("bringup_cpu", bringup_cpu), None);
    }
    let starting = single("sched_cpu_starting", sched_cpu_starting);
    let dying = single("sched_cpu_dying", sched_cpu_dying);
    step(CpuhpState::ApSchedStarting, "sched:starting", starting, dying);
    step(CpuhpState::TeardownCpu, "cpu:teardown", None, sleeps("takedown_cpu", takedown_cpu));
    let unpark = single("smpboot_unpark_threads", smpboot_unpark_threads);
    let park = single("smpboot_park_threads", smpboot_park_threads);
    step(CpuhpState::ApSmpbootThreads, "smpboot/threads:online", unpark, park);
    let affinity = single("irq_affinity_online_cpu", irqcore::cpuhotplug::irq_affinity_online_cpu);
    step(CpuhpState::ApIrqAffinityOnline, "irq/affinity:online", affinity, None);
    let activate = single("sched_cpu_activate", sched_cpu_activate);
    let deactivate = sleeps("sched_cpu_deactivate", sched_cpu_deactivate);
    step(CpuhpState::ApActive, "sched:active", activate, deactivate);
    steps
}

/// The idle task of a dead CPU gives its memory back, which nobody can tell.
fn finish_cpu(_k: &mut Kernel, _cpu: CpuId) -> Result<(), Errno> {
    Ok(())
}

/// The states from `CPUHP_AP_IDLE_DEAD` to below `CPUHP_AP_ONLINE` run with interrupts off and
/// cannot fail.
fn cpuhp_is_atomic_state(state: CpuhpState) -> bool {
    CpuhpState::ApIdleDead <= state && state < CpuhpState::ApOnline
}

fn cpuhp_set_state(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> CpuhpState {
    let st = k.cpuhp_state_mut(cpu);
    let prev_state = st.state;
    st.rollback = false;
    st.last = None;
    st.target = target;
    st.bringup = st.state < target;
    prev_state
}

fn cpuhp_reset_state(k: &mut Kernel, cpu: CpuId, prev_state: CpuhpState) {
    let skips = k.sem.cpuhp_skips_empty_states;
    let st = k.cpuhp_state_mut(cpu);
    st.target = prev_state;
    if skips && st.rollback {
        return;
    }
    st.rollback = true;
    // What is left of the state itself is undone first where only some of its instances were called.
    if st.last.is_none() {
        st.state = if st.bringup { st.state.down() } else { st.state.up() };
    }
    st.bringup = !st.bringup;
}

fn complete_ap_thread(k: &mut Kernel, cpu: CpuId, bringup: bool) {
    let st = k.cpuhp_state_mut(cpu);
    if bringup {
        st.done_up += 1;
    } else {
        st.done_down += 1;
    }
    k.wake(WaitOn::Cpuhp(cpu));
}

/// Sleeps until the CPU's thread, or the CPU itself, reports the end of the way up or down.
#[kframe("kernel/cpu.c")]
fn wait_for_ap_thread(k: &mut Kernel, cpu: CpuId, bringup: bool) {
    if bringup {
        wait_until!(k.cpuhp_state(cpu).done_up > 0, WaitOn::Cpuhp(cpu));
        k.cpuhp_state_mut(cpu).done_up -= 1;
    } else {
        wait_until!(k.cpuhp_state(cpu).done_down > 0, WaitOn::Cpuhp(cpu));
        k.cpuhp_state_mut(cpu).done_down -= 1;
    }
}

/// Lets the CPU's hotplug thread go to `st->target`.
#[kframe("kernel/cpu.c")]
fn __cpuhp_kick_ap(k: &mut Kernel, cpu: CpuId) {
    if k.cpuhp_state(cpu).state == k.cpuhp_state(cpu).target {
        return;
    }
    k.cpuhp_state_mut(cpu).result = None;
    k.cpuhp_state_mut(cpu).should_run = true;
    let thread = k.cpuhp_state(cpu).thread;
    let frame = smpboot_thread_fn(cpu).frame;
    let thread = k.spawn_or_reuse(thread, TaskKind::Cpuhp(cpu), cpu, frame, SMPBOOT_THREAD);
    k.cpuhp_state_mut(cpu).thread = Some(thread);
    call!(wait_for_ap_thread(cpu, k.cpuhp_state(cpu).bringup));
}

#[kframe("kernel/cpu.c")]
fn cpuhp_kick_ap(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    let prev_state: CpuhpState = cpuhp_set_state(k, cpu, target);
    call!(__cpuhp_kick_ap(cpu));
    let ret: Option<Errno> = k.cpuhp_state(cpu).result;
    if ret.is_some() {
        cpuhp_reset_state(k, cpu, prev_state);
        call!(__cpuhp_kick_ap(cpu));
    }
    ret.map_or(Ok(()), Err)
}

#[kframe("kernel/cpu.c")]
fn cpuhp_kick_ap_work(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    call!(cpuhp_kick_ap(cpu, k.cpuhp_state(cpu).target))
}

/// One callback on the CPU's own hotplug thread.
#[kframe("kernel/cpu.c")]
pub(crate) fn cpuhp_thread_fun(k: &mut Kernel, cpu: CpuId) {
    let bringup: bool = k.cpuhp_state(cpu).bringup;
    let state: CpuhpState = k.cpuhp_state(cpu).state;
    let found: bool = true;
    if k.sem.cpuhp_skips_empty_states {
        let next = cpuhp_next_state(k, cpu, bringup, k.cpuhp_state(cpu).target);
        found = next.is_some();
        state = next.unwrap_or_default();
        k.cpuhp_state_mut(cpu).should_run = found;
    } else {
        let st = k.cpuhp_state_mut(cpu);
        if bringup {
            st.state = st.state.up();
            state = st.state;
            st.should_run = st.state < st.target;
        } else {
            st.state = st.state.down();
            st.should_run = st.state > st.target;
        }
    }
    if found {
        let ret: Result<(), Errno> = call!(cpuhp_invoke_callback(cpu, state, bringup, true));
        k.cpuhp_state_mut(cpu).result = ret.err();
        if ret.is_err() {
            if cpuhp_is_atomic_state(state) {
                k.warn_once("WARNING: at kernel/cpu.c cpuhp_thread_fun");
            }
            if k.cpuhp_state(cpu).rollback {
                k.warn_once("WARNING: at kernel/cpu.c cpuhp_thread_fun");
            }
            k.cpuhp_state_mut(cpu).should_run = false;
        }
    }
    if !k.cpuhp_state(cpu).should_run {
        complete_ap_thread(k, cpu, bringup);
    }
}

/// 6.12: the next state with a callback on the way to `target`. `st->state` is moved ahead, as if
/// the callback had run.
fn cpuhp_next_state(k: &mut Kernel, cpu: CpuId, bringup: bool, target: CpuhpState) -> Option<CpuhpState> {
    loop {
        let st = k.cpuhp_state_mut(cpu);
        let state = if bringup {
            if st.state >= target {
                return None;
            }
            st.state = st.state.up();
            st.state
        } else {
            if st.state <= target {
                return None;
            }
            let state = st.state;
            st.state = state.down();
            state
        };
        if !cpuhp_step_empty(k, bringup, state) {
            return Some(state);
        }
    }
}

/// 6.12: invokes all callbacks on the way to `target`.
#[kframe("kernel/cpu.c")]
fn __cpuhp_invoke_callback_range(
    k: &mut Kernel,
    bringup: bool,
    cpu: CpuId,
    target: CpuhpState,
    nofail: bool,
) -> Result<(), Errno> {
    let result: Result<(), Errno> = Ok(());
    loop {
        let state: Option<CpuhpState> = cpuhp_next_state(k, cpu, bringup, target);
        if state.is_none() {
            break;
        }
        let err: Result<(), Errno> =
            call!(cpuhp_invoke_callback(cpu, state.unwrap_or_default(), bringup, false));
        if err.is_err() {
            if !nofail {
                return err;
            }
            // DEVIATION: C logs the state's number, which is another one here; no callback of this model fails.
            result = Err(Errno::EPERM);
        }
    }
    result
}

/// 5.4: invokes all callbacks up to `target` on the controlling CPU; 6.12 goes through the range.
#[kframe("kernel/cpu.c")]
fn cpuhp_up_callbacks(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    let prev_state: CpuhpState = k.cpuhp_state(cpu).state;
    let ret: Result<(), Errno> = Ok(());
    if k.sem.cpuhp_skips_empty_states {
        ret = call!(__cpuhp_invoke_callback_range(true, cpu, target, false));
        if ret.is_err() {
            cpuhp_reset_state(k, cpu, prev_state);
            let undo: Result<(), Errno> = call!(__cpuhp_invoke_callback_range(false, cpu, prev_state, false));
            if undo.is_err() {
                k.warn("WARNING: at kernel/cpu.c cpuhp_up_callbacks");
            }
        }
        return ret;
    }
    while k.cpuhp_state(cpu).state < target {
        k.cpuhp_state_mut(cpu).step_up();
        ret = call!(cpuhp_invoke_callback(cpu, k.cpuhp_state(cpu).state, true, false));
        if ret.is_err() {
            k.cpuhp_state_mut(cpu).target = prev_state;
            call!(undo_cpu_up(cpu));
            break;
        }
    }
    ret
}

/// 5.4.
#[kframe("kernel/cpu.c")]
fn undo_cpu_up(k: &mut Kernel, cpu: CpuId) {
    k.cpuhp_state_mut(cpu).step_down();
    while k.cpuhp_state(cpu).state > k.cpuhp_state(cpu).target {
        // The answer of a rollback is of no interest to C.
        let _ret: Result<(), Errno> =
            call!(cpuhp_invoke_callback(cpu, k.cpuhp_state(cpu).state, false, false));
        k.cpuhp_state_mut(cpu).step_down();
    }
}

/// 5.4: invokes all callbacks down to `target` on the controlling CPU; 6.12 goes through the range.
#[kframe("kernel/cpu.c")]
fn cpuhp_down_callbacks(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    let prev_state: CpuhpState = k.cpuhp_state(cpu).state;
    let ret: Result<(), Errno> = Ok(());
    if k.sem.cpuhp_skips_empty_states {
        ret = call!(__cpuhp_invoke_callback_range(false, cpu, target, false));
        if ret.is_err() {
            cpuhp_reset_state(k, cpu, prev_state);
            if k.cpuhp_state(cpu).state < prev_state {
                let undo: Result<(), Errno> =
                    call!(__cpuhp_invoke_callback_range(true, cpu, prev_state, false));
                if undo.is_err() {
                    k.warn("WARNING: at kernel/cpu.c cpuhp_down_callbacks");
                }
            }
        }
        return ret;
    }
    while k.cpuhp_state(cpu).state > target {
        ret = call!(cpuhp_invoke_callback(cpu, k.cpuhp_state(cpu).state, false, false));
        if ret.is_err() {
            k.cpuhp_state_mut(cpu).target = prev_state;
            if k.cpuhp_state(cpu).state < prev_state {
                call!(undo_cpu_down(cpu));
            }
            break;
        }
        k.cpuhp_state_mut(cpu).step_down();
    }
    ret
}

/// 5.4.
#[kframe("kernel/cpu.c")]
fn undo_cpu_down(k: &mut Kernel, cpu: CpuId) {
    k.cpuhp_state_mut(cpu).step_up();
    while k.cpuhp_state(cpu).state < k.cpuhp_state(cpu).target {
        // The answer of a rollback is of no interest to C.
        let _ret: Result<(), Errno> =
            call!(cpuhp_invoke_callback(cpu, k.cpuhp_state(cpu).state, true, false));
        k.cpuhp_state_mut(cpu).step_up();
    }
}

// ---- taking a CPU down ----

/// The CPU leaves, on its own stopper thread, while all others stand still.
#[kframe("kernel/cpu.c")]
pub(crate) fn take_cpu_down(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    let target: CpuhpState = k.cpuhp_state(cpu).target.max(CpuhpState::ApOffline);
    native_cpu_disable(k)?;
    if k.sem.cpuhp_skips_empty_states {
        if k.cpuhp_state(cpu).state != CpuhpState::TeardownCpu.down() {
            k.warn("WARNING: at kernel/cpu.c take_cpu_down");
        }
        let _ret: Result<(), Errno> = call!(__cpuhp_invoke_callback_range(false, cpu, target, true));
    } else {
        if k.cpuhp_state(cpu).state != CpuhpState::TeardownCpu {
            k.warn("WARNING: at kernel/cpu.c take_cpu_down");
        }
        k.cpuhp_state_mut(cpu).step_down();
        while k.cpuhp_state(cpu).state > target {
            let ret: Result<(), Errno> =
                call!(cpuhp_invoke_callback(cpu, k.cpuhp_state(cpu).state, false, false));
            if ret.is_err() {
                k.warn_once("WARNING: at kernel/cpu.c take_cpu_down");
            }
            k.cpuhp_state_mut(cpu).step_down();
        }
    }
    // The stopper is parked here. It has nothing left to do in any case.
    Ok(())
}

/// The idle task of a CPU that went offline says that it is dead, and halts.
#[kframe("kernel/cpu.c")]
pub(crate) fn cpuhp_report_idle_dead(k: &mut Kernel, cpu: CpuId) {
    if k.cpuhp_state(cpu).state != CpuhpState::ApOffline {
        k.bug("kernel BUG at kernel/cpu.c cpuhp_report_idle_dead");
    }
    let st = k.cpuhp_state_mut(cpu);
    st.state = CpuhpState::ApIdleDead;
    // RCU does not look at this CPU any more, so that another one has to complete this: the first that is online,
    // by smp_call_function_single().
    if let Some(first) = k.topo.online.first() {
        native_send_call_func_single_ipi(k, first);
    }
    complete_ap_thread(k, cpu, false);
    // native_play_dead(): from here on only INIT reaches the CPU.
    k.cpuhp_state_mut(cpu).ap_sync_state = CpuhpSyncState::Dead;
    k.wake(WaitOn::Cpuhp(cpu));
}

#[kframe("kernel/cpu.c")]
fn takedown_cpu(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    // The hotplug thread is parked and the sparse irq lock taken; nothing here depends on either.
    call!(stop_machine_cpuslocked(cpu))?;
    if k.topo.online.contains(cpu) {
        k.bug("kernel BUG at kernel/cpu.c takedown_cpu");
    }
    call!(wait_for_ap_thread(cpu, false));
    if k.sem.cpuhp_split_startup {
        call!(cpuhp_bp_sync_dead(cpu));
    }
    // common_cpu_die(), arch_cpuhp_cleanup_dead_cpu(): not while the machine comes up.
    if k.hotplug.system_running {
        k.log.push(format!("smpboot: CPU {cpu} is now offline"));
    }
    Ok(())
}

/// 6.12.
#[kframe("kernel/cpu.c")]
fn cpuhp_bp_sync_dead(k: &mut Kernel, cpu: CpuId) {
    if k.cpuhp_state(cpu).ap_sync_state != CpuhpSyncState::Dead {
        k.cpuhp_state_mut(cpu).ap_sync_state = CpuhpSyncState::ShouldDie;
    }
    wait_until!(k.cpuhp_state(cpu).ap_sync_state == CpuhpSyncState::Dead, WaitOn::Cpuhp(cpu));
}

#[kframe("kernel/cpu.c")]
fn _cpu_down(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    if k.topo.online.weight() == 1 {
        return Err(Errno::EBUSY);
    }
    if !k.topo.present.contains(cpu) {
        return Err(Errno::EINVAL);
    }
    call!(cpus_write_lock());
    // The CPU that goes counts too.
    if k.sem.housekeeping_check == HousekeepingCheck::Any
        && !housekeeping_cpumask(k, HkType::Domain).intersects(&k.topo.online)
    {
        cpus_write_unlock(k);
        return Err(Errno::EBUSY);
    }
    let prev_state: CpuhpState = cpuhp_set_state(k, cpu, target);
    let ret: Result<(), Errno> = Ok(());
    let down: bool = true;
    if k.cpuhp_state(cpu).state > CpuhpState::TeardownCpu {
        k.cpuhp_state_mut(cpu).target = target.max(CpuhpState::TeardownCpu);
        ret = call!(cpuhp_kick_ap_work(cpu));
        // The thread has undone what failed, or the target is within its range.
        down = ret.is_ok() && k.cpuhp_state(cpu).state <= CpuhpState::TeardownCpu;
        if down {
            k.cpuhp_state_mut(cpu).target = target;
        }
    }
    if down {
        ret = call!(cpuhp_down_callbacks(cpu, target));
        if ret.is_err() && k.cpuhp_state(cpu).state < prev_state {
            if k.cpuhp_state(cpu).state == CpuhpState::TeardownCpu {
                cpuhp_reset_state(k, cpu, prev_state);
                call!(__cpuhp_kick_ap(cpu));
            } else if k.sem.cpuhp_skips_empty_states {
                k.warn_text(
                    format!("DEAD callback error for CPU{cpu}"),
                    "WARNING: at kernel/cpu.c _cpu_down",
                );
            }
        }
    }
    cpus_write_unlock(k);
    ret
}

/// 6.12: on a worker of another CPU, so that the controlling task does not sit on the CPU that goes.
#[kframe("kernel/cpu.c")]
fn __cpu_down_maps_locked(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    call!(_cpu_down(cpu, target))
}

#[kframe("kernel/cpu.c")]
fn cpu_down_maps_locked(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    if k.hotplug.cpu_hotplug_disabled > 0 {
        return Err(Errno::EBUSY);
    }
    // One CPU in the scheduler's domains has to stay.
    let checks = k.sem.housekeeping_check == HousekeepingCheck::Other;
    let housekeeping = housekeeping_cpumask(k, HkType::Domain);
    let on: Option<CpuId> = k.topo.online.iter().find(|&c| c != cpu && (!checks || housekeeping.contains(c)));
    if on.is_none() && (checks || k.sem.cpu_down_by_kworker) {
        return Err(Errno::EBUSY);
    }
    if !k.sem.cpu_down_by_kworker {
        return call!(_cpu_down(cpu, target));
    }
    let controller = on.unwrap_or_default();
    let worker: TaskId = schedule_work_on(k, controller, __cpu_down_maps_locked(cpu, target));
    call!(work_on_cpu(worker))
}

/// 5.4.
#[kframe("kernel/cpu.c")]
fn do_cpu_down(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    call!(cpu_maps_update_begin());
    let err: Result<(), Errno> = call!(cpu_down_maps_locked(cpu, target));
    cpu_maps_update_done(k);
    err
}

/// In 5.4 the outermost function, over `do_cpu_down()`; 6.12 does that one's work here.
#[kframe("kernel/cpu.c")]
fn cpu_down(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    if !k.sem.cpuhp_split_startup {
        return call!(do_cpu_down(cpu, target));
    }
    call!(cpu_maps_update_begin());
    let err: Result<(), Errno> = call!(cpu_down_maps_locked(cpu, target));
    cpu_maps_update_done(k);
    err
}

/// Takes a CPU down: what writing 0 to its `online` file does. In 5.4 `cpu_subsys_offline()` calls
/// `cpu_down()` at once.
///
/// # Errors
/// `EBUSY` for the last CPU or while hotplug is disabled, `ENOSPC` when its interrupts do not fit
/// on the others, `EINVAL` for a CPU that is not there.
#[kframe("kernel/cpu.c")]
pub fn cpu_device_down(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    if !k.topo.possible.contains(cpu) {
        return Err(Errno::EINVAL);
    }
    call!(cpu_down(cpu, CpuhpState::Offline))
}

// ---- bringing a CPU up ----

/// The callbacks that run on the new CPU before it takes interrupts.
#[kframe("kernel/cpu.c")]
pub(crate) fn notify_cpu_starting(k: &mut Kernel, cpu: CpuId) {
    let target: CpuhpState = k.cpuhp_state(cpu).target.min(CpuhpState::ApOnline);
    k.hotplug.cpus_booted_once_mask.set(cpu);
    if k.sem.cpuhp_skips_empty_states {
        let _ret: Result<(), Errno> = call!(__cpuhp_invoke_callback_range(true, cpu, target, true));
        return;
    }
    while k.cpuhp_state(cpu).state < target {
        k.cpuhp_state_mut(cpu).step_up();
        let ret: Result<(), Errno> = call!(cpuhp_invoke_callback(cpu, k.cpuhp_state(cpu).state, true, false));
        if ret.is_err() {
            k.warn_once("WARNING: at kernel/cpu.c notify_cpu_starting");
        }
    }
}

/// The new CPU is in its idle loop: the controlling task goes on.
#[kfn("kernel/cpu.c")]
pub(crate) fn cpuhp_online_idle(k: &mut Kernel, cpu: CpuId) {
    let st = k.cpuhp_state_mut(cpu);
    st.ap_sync_state = CpuhpSyncState::Online;
    st.state = CpuhpState::ApOnlineIdle;
    complete_ap_thread(k, cpu, true);
}

/// 5.4.
#[kframe("kernel/cpu.c")]
fn bringup_cpu(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    call!(native_cpu_up(cpu))?;
    call!(bringup_wait_for_ap(cpu))
}

/// 5.4.
#[kframe("kernel/cpu.c")]
fn bringup_wait_for_ap(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    call!(wait_for_ap_thread(cpu, true));
    if !k.topo.online.contains(cpu) {
        k.warn_once("WARNING: at kernel/cpu.c bringup_wait_for_ap");
        return Err(Errno::ECANCELED);
    }
    if !cpu_smt_allowed(k, cpu) {
        return Err(Errno::ECANCELED);
    }
    if k.cpuhp_state(cpu).target <= CpuhpState::ApOnlineIdle {
        return Ok(());
    }
    call!(cpuhp_kick_ap(cpu, k.cpuhp_state(cpu).target))
}

/// 6.12.
#[kframe("kernel/cpu.c")]
fn cpuhp_kick_ap_alive(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    if !cpuhp_can_boot_ap(k, cpu) {
        return Err(Errno::EAGAIN);
    }
    do_boot_cpu(k, cpu);
    Ok(())
}

/// 6.12.
#[kfn("kernel/cpu.c")]
fn cpuhp_can_boot_ap(k: &mut Kernel, cpu: CpuId) -> bool {
    let st = k.cpuhp_state_mut(cpu);
    match st.ap_sync_state {
        CpuhpSyncState::Dead | CpuhpSyncState::Kicked | CpuhpSyncState::Alive => {
            st.ap_sync_state = CpuhpSyncState::Kicked;
            true
        }
        CpuhpSyncState::ShouldDie | CpuhpSyncState::ShouldOnline | CpuhpSyncState::Online => false,
    }
}

/// 6.12: lets the new CPU on and waits until it is in its idle loop.
#[kframe("kernel/cpu.c")]
fn cpuhp_bringup_ap(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    call!(cpuhp_bp_sync_alive(cpu));
    call!(bringup_wait_for_ap_online(cpu))?;
    if k.cpuhp_state(cpu).target <= CpuhpState::ApOnlineIdle {
        return Ok(());
    }
    call!(cpuhp_kick_ap(cpu, k.cpuhp_state(cpu).target))
}

/// 6.12. The CPU always comes: C gives up after ten seconds.
#[kframe("kernel/cpu.c")]
fn cpuhp_bp_sync_alive(k: &mut Kernel, cpu: CpuId) {
    wait_until!(k.cpuhp_state(cpu).ap_sync_state == CpuhpSyncState::Alive, WaitOn::Cpuhp(cpu));
    k.cpuhp_state_mut(cpu).ap_sync_state = CpuhpSyncState::ShouldOnline;
    k.wake(WaitOn::Cpuhp(cpu));
}

/// 6.12.
#[kframe("kernel/cpu.c")]
fn bringup_wait_for_ap_online(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    call!(wait_for_ap_thread(cpu, true));
    if !k.topo.online.contains(cpu) {
        k.warn_once("WARNING: at kernel/cpu.c bringup_wait_for_ap_online");
        return Err(Errno::ECANCELED);
    }
    cpu_smt_allowed(k, cpu).then_some(()).ok_or(Errno::ECANCELED)
}

/// `nosmt`, or `nosmt=force`: this word was read before anybody asked for CPUs.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn smt_cmdline_disable(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    cpu_smt_disable(k, value == Some("force"));
    Ok(())
}

/// `cpu_smt_disable()`: second threads stay off.
pub fn cpu_smt_disable(k: &mut Kernel, force: bool) {
    if !smt::cpu_smt_possible(k) {
        return;
    }
    let (how, control) = if force {
        ("Force disabled", CpuhpSmtControl::ForceDisabled)
    } else {
        ("disabled", CpuhpSmtControl::Disabled)
    };
    k.log.push(format!("SMT: {how}"));
    k.hotplug.cpu_smt_control = control;
    k.hotplug.cpu_smt_num_threads = 1;
}

/// `mitigations=`.
///
/// # Errors
/// None; `early_param()` has the form that can fail.
pub fn mitigations_parse_cmdline(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    let value = value.unwrap_or_default();
    let unsupported = format!("Unsupported mitigations={value}, system may still be vulnerable");
    if !k.sem.mitigations_attack_vectors {
        match value {
            "off" | "auto" => k.hotplug.mitigations_auto_nosmt = false,
            "auto,nosmt" => k.hotplug.mitigations_auto_nosmt = true,
            _ => k.log.push(unsupported),
        }
        return Ok(());
    }
    // The longer of two that begin alike stands first.
    let global = ["auto,nosmt", "auto", "off"].into_iter().find(|word| value.starts_with(word));
    if let Some(word) = global {
        k.hotplug.mitigations_auto_nosmt = word == "auto,nosmt";
    }
    let rest = &value[global.map_or(0, str::len)..];
    if rest.is_empty() {
        return Ok(());
    }
    // C looks at the character that stands where a comma would, also where there is no word before it.
    let Some(vectors) = rest.strip_prefix(',') else {
        k.log.push(unsupported);
        return Ok(());
    };
    const VECTORS: [&str; 5] =
        ["no_user_kernel", "no_user_user", "no_guest_host", "no_guest_guest", "no_cross_thread"];
    if let Some(unknown) = vectors.split(',').find(|vector| !VECTORS.contains(vector)) {
        k.log.push(format!("Unsupported mitigations options {unknown}"));
    }
    Ok(())
}

/// `cpuhp.parallel=` (6.12).
///
/// # Errors
/// `EINVAL` for what is no boolean.
pub fn parallel_bringup_parse_param(k: &mut Kernel, value: Option<&str>) -> Result<(), Errno> {
    k.params.cpuhp_parallel_bringup = kstrtobool(&k.sem, value.ok_or(Errno::EINVAL)?.as_bytes())?;
    Ok(())
}

/// With `nosmt` a secondary thread is started once, for its machine-check bit, and not again. In
/// 6.12 it is `cpu_bootable()`.
fn cpu_smt_allowed(k: &Kernel, cpu: CpuId) -> bool {
    let off = matches!(k.hotplug.cpu_smt_control, CpuhpSmtControl::Disabled | CpuhpSmtControl::ForceDisabled);
    !off || topology_is_primary_thread(k, cpu) || !k.hotplug.cpus_booted_once_mask.contains(cpu)
}

#[kframe("kernel/cpu.c")]
fn _cpu_up(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    call!(cpus_write_lock());
    let ret: Result<(), Errno> = Ok(());
    if !k.topo.present.contains(cpu) {
        cpus_write_unlock(k);
        return Err(Errno::EINVAL);
    }
    // Somebody else was faster, or this is the boot CPU.
    if k.cpuhp_state(cpu).state >= target {
        cpus_write_unlock(k);
        return Ok(());
    }
    cpuhp_set_state(k, cpu, target);
    if k.cpuhp_state(cpu).state > CpuhpState::BringupCpu {
        ret = call!(cpuhp_kick_ap_work(cpu));
    }
    if ret.is_ok() {
        ret = call!(cpuhp_up_callbacks(cpu, target.min(CpuhpState::BringupCpu)));
    }
    cpus_write_unlock(k);
    ret
}

/// 5.4.
#[kframe("kernel/cpu.c")]
fn do_cpu_up(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    if !k.topo.possible.contains(cpu) {
        k.log.push(format!("can't online cpu {cpu} because it is not configured as may-hotadd at boot time"));
        return Err(Errno::EINVAL);
    }
    call!(cpu_maps_update_begin());
    let err: Result<(), Errno> = Ok(());
    if k.hotplug.cpu_hotplug_disabled > 0 {
        err = Err(Errno::EBUSY);
    } else if !cpu_smt_allowed(k, cpu) {
        err = Err(Errno::EPERM);
    } else {
        err = call!(_cpu_up(cpu, target));
    }
    cpu_maps_update_done(k);
    err
}

/// In 5.4 the outermost function, over `do_cpu_up()`; later kernels do that one's work here.
#[kframe("kernel/cpu.c")]
pub(crate) fn cpu_up(k: &mut Kernel, cpu: CpuId, target: CpuhpState) -> Result<(), Errno> {
    if !k.sem.cpuhp_split_startup {
        return call!(do_cpu_up(cpu, target));
    }
    if !k.topo.possible.contains(cpu) {
        k.log.push(format!("can't online cpu {cpu} because it is not configured as may-hotadd at boot time"));
        return Err(Errno::EINVAL);
    }
    call!(cpu_maps_update_begin());
    let err: Result<(), Errno> = Ok(());
    if k.hotplug.cpu_hotplug_disabled > 0 {
        err = Err(Errno::EBUSY);
    } else if !cpu_smt_allowed(k, cpu) {
        err = Err(Errno::EPERM);
    } else {
        err = call!(_cpu_up(cpu, target));
    }
    cpu_maps_update_done(k);
    err
}

/// Brings a CPU up: what writing 1 to its `online` file does. In 5.4 `cpu_subsys_online()` calls
/// `cpu_up()` at once.
///
/// # Errors
/// `EINVAL` for a CPU that is not there, `EBUSY` while hotplug is disabled, `EPERM` and
/// `ECANCELED` for a secondary thread under `nosmt`.
#[kframe("kernel/cpu.c")]
pub fn cpu_device_up(k: &mut Kernel, cpu: CpuId) -> Result<(), Errno> {
    call!(cpu_up(cpu, CpuhpState::Online))
}

// ---- locks ----

#[kframe("kernel/cpu.c")]
fn cpu_maps_update_begin(k: &mut Kernel) {
    wait_until!(!k.hotplug.cpu_add_remove_lock.is_locked(), WaitOn::HotplugLock);
    k.hotplug.cpu_add_remove_lock.lock(k.cur.task);
}

fn cpu_maps_update_done(k: &mut Kernel) {
    k.hotplug.cpu_add_remove_lock.unlock();
    k.wake(WaitOn::HotplugLock);
}

/// Readers of this lock never sleep while they hold it, so that only another writer is in the way.
#[kframe("kernel/cpu.c")]
fn cpus_write_lock(k: &mut Kernel) {
    wait_until!(!k.hotplug.cpu_hotplug_lock.is_locked(), WaitOn::HotplugLock);
    k.hotplug.cpu_hotplug_lock.lock(k.cur.task);
}

fn cpus_write_unlock(k: &mut Kernel) {
    k.hotplug.cpu_hotplug_lock.unlock();
    k.wake(WaitOn::HotplugLock);
}

/// Waits until no CPU comes or goes. Who reads holds the lock for no longer than a step, so that nobody has to
/// drop it.
#[kframe("kernel/cpu.c", part)]
pub fn cpus_read_lock(k: &mut Kernel) {
    wait_until!(!k.hotplug.cpu_hotplug_lock.is_locked(), WaitOn::HotplugLock);
}

// ---- boot ----

/// Marks the boot CPU as online and makes room for the state of all others (`boot_cpu_init()`,
/// `boot_cpu_hotplug_init()`). It belongs before everything that asks for online CPUs.
pub fn boot_cpu_init(k: &mut Kernel) {
    let cpu = CpuId(0);
    k.hotplug.cpus = vec![CpuhpCpuState::default(); k.topo.cpus.len()];
    *k.hotplug.cpuhp_hp_states = cpuhp_hp_states(k);
    k.topo.online = CpuMask::of(cpu);
    k.topo.active = CpuMask::of(cpu);
    k.topo.siblings = vec![CpuMask::new(); k.topo.cpus.len()];
    k.topo.set_cpu_sibling_map(cpu);
    // Nodes learn of their CPUs as these are identified, each when it first runs.
    k.topo.node_cpus = vec![CpuMask::new(); k.topo.nr_node_ids as usize];
    k.topo.numa_add_cpu(cpu);
    k.hotplug.cpus_booted_once_mask.set(cpu);
    k.hotplug.cpu_initialized_mask.set(cpu);
    k.hotplug.cpu_callout_mask.set(cpu);
    k.hotplug.cpu_callin_mask.set(cpu);
    let st = k.cpuhp_state_mut(cpu);
    st.ap_sync_state = CpuhpSyncState::Online;
    st.state = CpuhpState::Online;
    st.target = CpuhpState::Online;
}

/// 6.12.
#[kframe("kernel/cpu.c")]
pub(crate) fn bringup_nonboot_cpus(k: &mut Kernel, max_cpus: u32) {
    if max_cpus == 0 {
        return;
    }
    if !k.params.cpuhp_parallel_bringup {
        call!(cpuhp_bringup_mask(Threads::All, max_cpus, CpuhpState::Online));
        return;
    }
    let smt = k.topo.present.iter().any(|c| !topology_is_primary_thread(k, c));
    if !smt {
        call!(cpuhp_bringup_mask(Threads::All, max_cpus, CpuhpState::BpKickAp));
        call!(cpuhp_bringup_mask(Threads::All, max_cpus, CpuhpState::Online));
        return;
    }
    call!(cpuhp_bringup_mask(Threads::Primary, max_cpus, CpuhpState::BpKickAp));
    call!(cpuhp_bringup_mask(Threads::Primary, max_cpus, CpuhpState::Online));
    let ncpus: u32 = max_cpus.saturating_sub(k.topo.online.weight());
    if ncpus > 0 {
        call!(cpuhp_bringup_mask(Threads::Secondary, ncpus, CpuhpState::BpKickAp));
        call!(cpuhp_bringup_mask(Threads::Secondary, ncpus, CpuhpState::Online));
    }
}

/// Which CPUs 6.12 brings up in one go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Threads {
    #[default]
    All,
    Primary,
    Secondary,
}

impl kstate::sched::Slot for Threads {
    fn to_slot(self) -> u64 {
        self as u64
    }
    fn from_slot(slot: u64) -> Self {
        [Self::All, Self::Primary, Self::Secondary].get(slot as usize).copied().unwrap_or_default()
    }
}

/// The lowest present CPU of `which` that is not below `from`.
fn next_of(k: &Kernel, which: Threads, from: u32) -> Option<CpuId> {
    let mut cpu = k.topo.present.next_from(from)?;
    while which != Threads::All && topology_is_primary_thread(k, cpu) != (which == Threads::Primary) {
        cpu = k.topo.present.next_after(cpu)?;
    }
    Some(cpu)
}

/// 6.12: brings at most `ncpus` CPUs up to `target`.
#[kframe("kernel/cpu.c")]
fn cpuhp_bringup_mask(k: &mut Kernel, which: Threads, ncpus: u32, target: CpuhpState) {
    let left: u32 = ncpus;
    let cpu: Option<CpuId> = next_of(k, which, 0);
    while cpu.is_some() {
        let ret: Result<(), Errno> = call!(cpu_up(cpu.unwrap_or_default(), target));
        if ret.is_err() {
            // Only the last step was undone: the rest of the way down.
            let undo: Result<(), Errno> = call!(__cpuhp_invoke_callback_range(
                false,
                cpu.unwrap_or_default(),
                CpuhpState::Offline,
                false
            ));
            if undo.is_err() {
                k.warn("WARNING: at kernel/cpu.c cpuhp_bringup_mask");
            }
        }
        left -= 1;
        if left == 0 {
            break;
        }
        cpu = next_of(k, which, cpu.unwrap_or_default().0 + 1);
    }
}
