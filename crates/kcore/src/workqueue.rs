//! Work queues: work that a worker does later.
//!
//! C file: kernel/workqueue.c of 5.4, 6.12 and 7.3.

use kfn::kframe;
use kstate::oracle::Point;
use kstate::sched::{Call, Slot as _, TaskKind, WaitOn};
use kstate::workqueue::{WorkFunc, WorkStruct, WorkqueueStruct};
use kstate::{CpuId, CpuMask, Errno, Kernel, TaskId, WorkId};

use crate::sched::isolation::{HkType, housekeeping_cpumask};

/// The functions above the outermost one of a worker, innermost first.
pub const KWORKER_ROOTS: &[&str] = &["process_one_work", "worker_thread", "kthread"];

/// `wq_unbound_cpumask`: where unbound work may run.
pub fn wq_unbound_cpumask(k: &Kernel) -> CpuMask {
    let domain = housekeeping_cpumask(k, HkType::Domain);
    let both = domain.and(&housekeeping_cpumask(k, HkType::Wq));
    if both.is_empty() { domain } else { both }
}

/// `wq_select_unbound_cpu()`: where unbound work goes that was queued on `cpu`.
/// CPUs that are isolated from the scheduler's domains, or from unbound work, get none.
// DEVIATION: another CPU is the next one above instead of a turn's, which is chance on a real machine.
fn wq_select_unbound_cpu(k: &Kernel, cpu: CpuId) -> CpuId {
    let allowed = wq_unbound_cpumask(k).and(&k.topo.online);
    if allowed.contains(cpu) { cpu } else { allowed.next_after(cpu).or(allowed.first()).unwrap_or(cpu) }
}

/// `kick_pool()`, `wake_up_worker()` of 5.4: wakes a worker of the pool that serves `cpu`, and answers where it runs.
///
/// Its CPU is chosen by `select_task_rq_fair()` (kernel/sched/fair.c), among those of the pool. 5.4 has a pool for each node
/// (`wq_calc_node_cpumask()`); where the newer ones have smaller pools, a worker may leave its pool's CPUs (`affn_strict` is
/// off). An isolated CPU has its work done on any that is not.
// DEVIATION: a worker stays on the CPU where it began, and on that of whoever queued the work unless the oracle says otherwise.
// On newer kernels it stays on its node, too, which the scheduler's balancing of nodes may take it away from.
fn kick_pool(k: &mut Kernel, work: WorkId, cpu: CpuId) -> CpuId {
    if !k.oracle.is_racing() {
        return cpu;
    }
    let (topo, here) = (&k.topo, k.cur.cpu);
    let active = wq_unbound_cpumask(k).and(&topo.active);
    let in_pool = |other: CpuId| cpu != here || topo.node_of(other) == topo.node_of(cpu);
    let pool: Vec<CpuId> = active.iter().filter(|&other| other != cpu && in_pool(other)).collect();
    let n = k.oracle.choose(Point::Worker, 1 + pool.len() as u32);
    let Some(&other) = n.checked_sub(1).and_then(|n| pool.get(n as usize)) else { return cpu };
    let func = k.work(work).func.name;
    k.oracle.race(format!(
        "select_task_rq_fair() puts the worker of {func}() on CPU {other} and not on CPU {cpu}"
    ));
    other
}

/// `__init_work()`, which `INIT_WORK()` calls: the work of `owner`, which is neither queued nor running. It is the same one every time.
pub fn __init_work(k: &mut Kernel, func: WorkFunc, owner: u32) -> WorkId {
    let work = WorkStruct { func, owner, worker: None, running: false, again: false };
    let known = k.sched.works.iter().position(|other| (other.func, other.owner) == (func, owner));
    let at = known.unwrap_or(k.sched.works.len());
    if at == k.sched.works.len() {
        k.sched.works.push(work);
    } else {
        k.sched.works[at] = work;
    }
    WorkId(at as u32)
}

/// `queue_work()`: on whatever CPU is right for the work queue. False when the work is queued already.
pub fn queue_work(k: &mut Kernel, wq: &WorkqueueStruct, work: WorkId) -> bool {
    queue_work_on(k, None, wq, work)
}

/// `queue_work_on()`: on this CPU; `None` is `WORK_CPU_UNBOUND`. False when the work is queued already.
pub fn queue_work_on(k: &mut Kernel, cpu: Option<CpuId>, wq: &WorkqueueStruct, work: WorkId) -> bool {
    let state = k.work_mut(work);
    if state.worker.is_some() {
        let queued = state.running && !state.again;
        state.again |= state.running;
        return queued;
    }
    let here = k.cur.cpu;
    let cpu = match cpu {
        Some(cpu) => cpu,
        None if wq.unbound => kick_pool(k, work, wq_select_unbound_cpu(k, here)),
        None => here,
    };
    let worker = k.spawn(TaskKind::Kworker, cpu, worker_thread(work).frame, KWORKER_ROOTS);
    k.work_mut(work).worker = Some(worker);
    true
}

/// A worker with one piece of work, as often as that is queued meanwhile.
#[kframe("kernel/workqueue.c", part)]
fn worker_thread(k: &mut Kernel, work: WorkId) {
    loop {
        let state = k.work_mut(work);
        state.running = true;
        state.again = false;
        call!((k.work(work).func.call)(k, k.work(work).owner));
        let state = k.work_mut(work);
        if !state.again {
            state.running = false;
            state.worker = None;
            return;
        }
    }
}

/// `flush_work()`: sleeps until the work is neither queued nor running.
#[kframe("kernel/workqueue.c")]
pub fn flush_work(k: &mut Kernel, work: WorkId) {
    loop {
        let Some(worker) = k.work(work).worker else { return };
        wait!(WaitOn::Exit(worker));
    }
}

/// `schedule_work_on()`, the first half of `work_on_cpu()`: gives a function to a worker of `cpu`.
pub fn schedule_work_on(k: &mut Kernel, cpu: CpuId, call: Call<Result<(), Errno>>) -> TaskId {
    const ROOTS: &[&str] = &["work_for_cpu_fn", "process_one_work", "worker_thread", "kthread"];
    k.spawn(TaskKind::Kworker, cpu, call.frame, ROOTS)
}

/// The second half of `work_on_cpu()`: sleeps until the worker has done what [`schedule_work_on`] gave it.
///
/// # Errors
/// Those of the function.
#[kframe("kernel/workqueue.c")]
pub fn work_on_cpu(k: &mut Kernel, worker: TaskId) -> Result<(), Errno> {
    wait_until!(k.task_value(worker).is_some(), WaitOn::Exit(worker));
    Result::from_slot(k.task_value(worker).unwrap_or_default())
}
